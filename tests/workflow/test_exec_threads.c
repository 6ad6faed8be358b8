/* One plan with runs in several threads; push and pop from different threads; shared objects. */
#include "port/port.h"
#include "workflow/support.h"

#define RUNS    4
#define PACKETS 300

typedef struct worker {
    nnd_plan *plan;
    int64_t offset;
    nnd_status status;
    int64_t sum;
} worker;

static void run_plan(void *arg)
{
    worker *w = arg;
    nnd_run *run = NULL;
    w->status = nnd_run_create(w->plan, NULL, &run);
    for (int64_t i = 0; w->status == NND_OK && i < PACKETS; i++)
        w->status = t_push(run, "x", i + w->offset);
    if (w->status == NND_OK) w->status = nnd_run_drain(run);
    int64_t n = 0;
    while (w->status == NND_OK && t_pop(run, "y", &n) == NND_OK)
        w->sum += n;
    nnd_run_destroy(run);
}

static void test_one_plan_many_runs(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(T_DOC(
        T_NODE("a", "t.inc") "," T_NODE_P("k", "t.const", "'by':3") "," T_NODE(
            "c", "t.add") ",{'id':'d','type':'flow.delay','params':{'initial':0}}," T_NODE("e",
                                                                                           "t.add"),
        T_EDGE("@", "x", "a", "in") "," T_EDGE("a", "out", "c", "a") "," T_EDGE(
            "k", "out", "c", "b") "," T_EDGE("c", "out", "e",
                                             "a") "," T_EDGE("d", "out", "e",
                                                             "b") "," T_EDGE("e", "out", "d", "in"),
        "e"));
    worker workers[RUNS];
    nnd_port_thread *threads[RUNS];
    for (int i = 0; i < RUNS; i++) {
        workers[i] = (worker){plan, i, NND_OK, 0};
        assert_int_equal(nnd_port_thread_create("run", run_plan, &workers[i], &threads[i]), 0);
    }
    for (int i = 0; i < RUNS; i++) {
        nnd_port_thread_join(threads[i]);
        assert_ok(workers[i].status);
        int64_t sum = 0, total = 0;
        for (int64_t k = 0; k < PACKETS; k++) {
            sum += k + i + 4;
            total += sum;
        }
        assert_int_equal(workers[i].sum, total);
    }
    nnd_plan_unref(plan);
}

typedef struct pusher {
    nnd_run *run;
    const char *input;
    nnd_status status;
} pusher;

static void push_all(void *arg)
{
    pusher *p = arg;
    for (int64_t i = 0; i < PACKETS; i++) {
        while ((p->status = t_push(p->run, p->input, i)) == NND_E_FULL)
            nnd_port_yield();
        if (p->status != NND_OK) return;
    }
    p->status = nnd_run_end(p->run, p->input);
}

/* Two threads push, a third changes a parameter, this one pops. */
static void change_param(void *arg)
{
    for (int i = 0; i < 50; i++) {
        (void)nnd_run_set_param(arg, "i", "by", i % 2 ? "1" : "1000");
        nnd_port_yield();
    }
}

static void test_push_and_pop_in_threads(void **state)
{
    (void)state;
    nnd_plan *plan =
        t_compile("{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'},"
                  "{'name':'z','type':'int'}],'outputs':[{'name':'y','from':['c','out']},"
                  "{'name':'w','from':['i','out']}],'nodes':[{'id':'c','type':'t.add'},"
                  "{'id':'i','type':'t.inc'}],'edges':[{'from':['@','x'],'to':['c','a']},"
                  "{'from':['@','z'],'to':['c','b']},{'from':['@','x'],'to':['i','in']}]}");
    nnd_run *run = t_run(plan);
    pusher a = {run, "x", NND_OK}, b = {run, "z", NND_OK};
    nnd_port_thread *ta, *tb, *tc;
    assert_int_equal(nnd_port_thread_create("x", push_all, &a, &ta), 0);
    assert_int_equal(nnd_port_thread_create("z", push_all, &b, &tb), 0);
    assert_int_equal(nnd_port_thread_create("c", change_param, run, &tc), 0);
    int64_t next = 0, n = 0;
    nnd_status status;
    while ((status = t_pop(run, "y", &n)) == NND_OK || status == NND_E_AGAIN) {
        if (status == NND_E_AGAIN) {
            nnd_port_yield();
            continue;
        }
        assert_int_equal(n, 2 * next);
        next++;
    }
    assert_status(status, NND_E_CLOSED);
    assert_int_equal(next, PACKETS);
    nnd_port_thread_join(ta);
    nnd_port_thread_join(tb);
    nnd_port_thread_join(tc);
    assert_ok(a.status);
    assert_ok(b.status);
    assert_ok(nnd_run_close(run));
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

/* ---- any call at any time ---------------------------------------------------------------- */

typedef struct fuzzer {
    nnd_run *run;
    uint32_t seed;
} fuzzer;

static void call_at_random(void *arg)
{
    fuzzer *f = arg;
    int64_t n;
    for (int i = 0; i < 200; i++) {
        f->seed = f->seed * 1664525u + 1013904223u;
        uint32_t draw = (f->seed >> 16) % 200;
        if (draw < 80)
            (void)t_push(f->run, draw % 2 ? "x" : "z", (int64_t)draw);
        else if (draw < 150)
            (void)t_pop(f->run, draw % 2 ? "y" : "w", &n);
        else if (draw < 180)
            (void)nnd_run_set_param(f->run, "i", "by", "3");
        else if (draw < 190)
            (void)nnd_run_error_count(f->run);
        else if (draw < 196)
            (void)nnd_run_end(f->run, draw % 2 ? "x" : "z");
        else if (draw < 197)
            (void)nnd_run_drain(f->run);
        else if (draw < 198)
            nnd_run_cancel(f->run);
        else if (draw < 199)
            (void)nnd_run_close(f->run);
        nnd_error_clear();
    }
}

static void test_any_call_at_any_time(void **state)
{
    (void)state;
    nnd_plan *plan =
        t_compile("{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'},"
                  "{'name':'z','type':'int'}],'outputs':[{'name':'y','from':['c','out']},"
                  "{'name':'w','from':['i','out']}],'nodes':[{'id':'c','type':'t.add'},"
                  "{'id':'i','type':'t.inc'},{'id':'s','type':'t.source','params':{'by':20}},"
                  "{'id':'q','type':'t.sink'}],'edges':[{'from':['@','x'],'to':['c','a']},"
                  "{'from':['@','z'],'to':['c','b']},{'from':['@','x'],'to':['i','in']},"
                  "{'from':['s','out'],'to':['q','in']}]}");
    for (uint32_t round = 0; round < 30; round++) {
        nnd_run *run = t_run(plan);
        fuzzer fuzzers[4];
        nnd_port_thread *threads[4];
        for (uint32_t i = 0; i < 4; i++) {
            fuzzers[i] = (fuzzer){run, round * 31 + i * 7919 + 1};
            assert_int_equal(
                nnd_port_thread_create("fuzz", call_at_random, &fuzzers[i], &threads[i]), 0);
        }
        for (int i = 0; i < 4; i++)
            nnd_port_thread_join(threads[i]);
        nnd_run_destroy(run);
    }
    nnd_plan_unref(plan);
}

/* ---- shared objects ---------------------------------------------------------------------- */

static atomic_int made, destroyed;

static nnd_status make_object(void *user, void **object)
{
    (void)user;
    nnd_port_sleep(2000000);
    atomic_fetch_add(&made, 1);
    *object = nnd_alloc(16);
    return *object ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
}

static void destroy_object(void *object)
{
    atomic_fetch_add(&destroyed, 1);
    nnd_free(object);
}

static nnd_status fail_object(void *user, void **object)
{
    (void)user;
    (void)object;
    return nnd_error_set(NND_E_IO, "no such weights");
}

static nnd_status heavy_prepare(nnd_prepare *p, void **prepared)
{
    (void)p;
    return nnd_shared_get("t.heavy/weights", make_object, NULL, destroy_object, prepared);
}
static void heavy_release(void *prepared)
{
    nnd_shared_release("t.heavy/weights", prepared);
}
static const nnd_node_type t_heavy = {.struct_size = sizeof(nnd_node_type),
                                      .type = "t.heavy",
                                      .version = 1,
                                      .category = "test",
                                      .title = "heavy",
                                      .text = "",
                                      .inputs = NND_ARRAY(t_in),
                                      .outputs = NND_ARRAY(t_out),
                                      .prepare = heavy_prepare,
                                      .release = heavy_release,
                                      .process = t_inc_process,
                                      .params = NND_ARRAY(t_by)};

typedef struct compile_job {
    nnd_registry *registry;
    nnd_plan *plan;
    nnd_status status;
} compile_job;

static void compile_heavy(void *arg)
{
    compile_job *j = arg;
    j->status =
        t_try_compile(j->registry, T_DOC(T_NODE("h", "t.heavy"), T_EDGE("@", "x", "h", "in"), "h"),
                      NULL, &j->plan);
}

static void test_plans_share_what_prepare_made(void **state)
{
    (void)state;
    nnd_registry *r = t_registry();
    assert_ok(nnd_registry_add(r, &t_heavy));
    compile_job jobs[3];
    nnd_port_thread *threads[3];
    for (int i = 0; i < 3; i++) {
        jobs[i] = (compile_job){r, NULL, NND_OK};
        assert_int_equal(nnd_port_thread_create("c", compile_heavy, &jobs[i], &threads[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        nnd_port_thread_join(threads[i]);
        assert_ok(jobs[i].status);
    }
    assert_int_equal(atomic_load(&made), 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(atomic_load(&destroyed), 0);
        nnd_plan_unref(jobs[i].plan);
    }
    assert_int_equal(atomic_load(&destroyed), 1);
    nnd_registry_unref(r);
    void *object = NULL;
    assert_status(nnd_shared_get("bad", fail_object, NULL, destroy_object, &object), NND_E_IO);
    assert_ok(nnd_shared_get("bad", make_object, NULL, destroy_object, &object));
    nnd_shared_release("bad", object);
    assert_int_equal(atomic_load(&destroyed), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_plan_many_runs),
        cmocka_unit_test(test_push_and_pop_in_threads),
        cmocka_unit_test(test_any_call_at_any_time),
        cmocka_unit_test(test_plans_share_what_prepare_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
