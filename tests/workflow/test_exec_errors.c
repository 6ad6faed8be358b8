/* Failures: error policies, the state table, cancelling, deadlines; the named regressions. */
#include "port/port.h"
#include "workflow/support.h"

/* Node f fails at number 2 under the given on_error; a node behind it adds one. */
#define T_FAIL(more, how)                                                                          \
    T_DOC("{'id':'f','type':'t.fail','params':{'at':2,'how':'" how "'}" more                       \
          "}," T_NODE("a", "t.inc"),                                                               \
          T_EDGE("@", "x", "f", "in") "," T_EDGE("f", "out", "a", "in"), "a")

/* 1. A failing node made the caller wait for ever. 2. … and run had said OK. */
static void test_regression_1_2_failure_reaches_the_caller(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        nnd_status status;
    } cases[] = {
        {T_FAIL("", "error"), NND_E_BACKEND},         {T_FAIL("", "silent"), NND_E_IO},
        {T_FAIL("", "null"), NND_E_INVALID_ARGUMENT}, {T_FAIL("", "wrong_type"), NND_E_TYPE},
        {T_FAIL("", "no_status"), NND_E_INTERNAL},    {T_FAIL("", "twice"), NND_E_BACKEND},
    };
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        nnd_plan *plan = t_compile(cases[i].text);
        nnd_run *run = t_run(plan);
        assert_ok(t_push(run, "x", 1));
        assert_status(t_push(run, "x", 2), cases[i].status);
        assert_int_equal(nnd_run_error_count(run), 1);
        const nnd_error *e = nnd_run_error_at(run, 0);
        assert_string_equal(nnd_error_node(e), "f");
        assert_int_equal(nnd_error_packet(e), 1);
        assert_true(nnd_error_message(e)[0] != '\0');
        if (i == 0) {
            assert_non_null(nnd_error_cause(e));
            assert_string_equal(nnd_error_message(nnd_error_cause(e)), "the disk is gone");
        }
        /* what came before is still there, then the failure */
        assert_pops(run, "y", 2);
        int64_t n;
        assert_status(t_pop(run, "y", &n), cases[i].status);
        assert_status(t_push(run, "x", 3), cases[i].status);
        assert_status(nnd_run_drain(run), cases[i].status);
        assert_status(nnd_run_close(run), cases[i].status);
        nnd_run_destroy(run);
        nnd_plan_unref(plan);
    }
}

static void test_skip(void **state)
{
    (void)state;
    t_expect(T_FAIL(",'on_error':'skip'", "error"), T_IN(1, 2, 3), T_IN(2, 4));
    t_expect(T_FAIL(",'on_error':'skip'", "twice"), T_IN(1, 2, 3),
             T_IN(2, 4)); /* no half results */
    t_expect(T_FAIL(",'on_error':'isolate'", "error"), T_IN(1, 2, 3), T_IN(2, 4));
    t_expect(T_FAIL(",'on_error':'restart'", "error"), T_IN(1, 2, 3), T_IN(2, 4));
    nnd_plan *plan = t_compile(T_FAIL(",'on_error':'skip'", "error"));
    nnd_run *run = t_run(plan);
    for (int i = 0; i < 5; i++)
        assert_ok(t_push(run, "x", 2));
    assert_int_equal(nnd_run_error_count(run), 5); /* reported, though not fatal */
    assert_ok(nnd_run_drain(run));
    assert_ok(nnd_run_close(run));
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_retry(void **state)
{
    (void)state;
    atomic_store(&t_fail_calls, 0);
    nnd_plan *plan = t_compile(T_FAIL(",'on_error':{'retry':3}", "error"));
    nnd_run *run = t_run(plan);
    assert_status(t_push(run, "x", 2), NND_E_BACKEND);
    assert_int_equal(atomic_load(&t_fail_calls), 4);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_fallback(void **state)
{
    (void)state;
#define T_FALLBACK ",'on_error':{'fallback':'r'}},{'id':'r','type':'t.mul','params':{'by':100}"
    t_expect(T_FAIL(T_FALLBACK, "error"), T_IN(1, 2, 3), T_IN(2, 201, 4));
    t_expect(T_FAIL(T_FALLBACK, "twice"), T_IN(2), T_IN(201));
}

/* ---- states ------------------------------------------------------------------------------ */

/* Every call in every state; the documentation has this table. */
static void test_state_table(void **state)
{
    (void)state;
    enum { OPEN, DRAINED, FAILED, CANCELLED, CLOSED, STATES };
    static const struct {
        const char *call;
        nnd_status expected[STATES];
    } table[] = {
        {"push", {NND_OK, NND_E_CLOSED, NND_E_BACKEND, NND_E_CANCELLED, NND_E_STATE}},
        {"end", {NND_OK, NND_OK, NND_E_BACKEND, NND_E_CANCELLED, NND_E_STATE}},
        {"pop", {NND_E_AGAIN, NND_E_CLOSED, NND_E_BACKEND, NND_E_CANCELLED, NND_E_STATE}},
        {"set", {NND_OK, NND_OK, NND_E_BACKEND, NND_E_CANCELLED, NND_E_STATE}},
        {"drain", {NND_OK, NND_OK, NND_E_BACKEND, NND_E_CANCELLED, NND_E_STATE}},
        {"close", {NND_OK, NND_OK, NND_E_BACKEND, NND_E_CANCELLED, NND_E_STATE}},
    };
    nnd_plan *plan = t_compile(T_FAIL("", "error"));
    for (int s = 0; s < STATES; s++) {
        for (size_t c = 0; c < NND_COUNT(table); c++) {
            nnd_run *run = t_run(plan);
            int64_t n = 0;
            if (s == DRAINED) assert_ok(nnd_run_drain(run));
            if (s == FAILED) assert_status(t_push(run, "x", 2), NND_E_BACKEND);
            if (s == CANCELLED) {
                nnd_run_cancel(run);
                (void)nnd_run_drain(run);
            }
            if (s == CLOSED) assert_ok(nnd_run_close(run));
            const char *call = table[c].call;
            nnd_status got = strcmp(call, "push") == 0    ? t_push(run, "x", 1)
                             : strcmp(call, "end") == 0   ? nnd_run_end(run, "x")
                             : strcmp(call, "pop") == 0   ? t_pop(run, "y", &n)
                             : strcmp(call, "set") == 0   ? nnd_run_set_param(run, "a", "by", "2")
                             : strcmp(call, "drain") == 0 ? nnd_run_drain(run)
                                                          : nnd_run_close(run);
            if (got != table[c].expected[s])
                fprintf(stderr, "%s in state %d: %s, expected %s\n", call, s, nnd_status_name(got),
                        nnd_status_name(table[c].expected[s]));
            assert_int_equal(got, table[c].expected[s]);
            nnd_run_destroy(run);
        }
    }
    nnd_plan_unref(plan);
}

/* 4. Stopping lost queued frames; 12. only the last frame's outputs were kept. */
static void test_regression_4_12_nothing_is_lost(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(T_DOC(T_NODE("a", "t.inc"), T_EDGE("@", "x", "a", "in"), "a"));
    nnd_run *run = t_run(plan);
    for (int i = 0; i < 500; i++)
        assert_ok(t_push(run, "x", i));
    assert_ok(nnd_run_drain(run));
    for (int i = 0; i < 250; i++)
        assert_pops(run, "y", i + 1);
    assert_ok(nnd_run_close(run));
    for (int i = 250; i < 500; i++)
        assert_pops(run, "y", i + 1); /* also after close */
    int64_t n;
    assert_status(t_pop(run, "y", &n), NND_E_STATE);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

/* 5. A cycle was detected and its nodes silently skipped. */
static void test_regression_5_cycle_is_an_error(void **state)
{
    (void)state;
    nnd_registry *r = t_registry();
    nnd_diagnostics *diags = NULL;
    nnd_plan *plan = NULL;
    assert_ok(nnd_diagnostics_create(&diags));
    assert_status(
        t_try_compile(r,
                      T_DOC(T_NODE("a", "t.add") "," T_NODE("b", "t.inc") "," T_NODE("c", "t.inc"),
                            T_EDGE("@", "x", "a", "a") "," T_EDGE("a", "out", "b", "in") "," T_EDGE(
                                "b", "out", "c", "in") "," T_EDGE("c", "out", "a", "b"),
                            "a"),
                      diags, &plan),
        NND_E_VALIDATION);
    assert_int_equal(nnd_diagnostics_error_count(diags), 1);
    assert_string_equal(nnd_diagnostics_at(diags, 0)->code, "cycle");
    assert_non_null(strstr(nnd_diagnostics_at(diags, 0)->message, "b → c"));
    nnd_diagnostics_destroy(diags);
    nnd_registry_unref(r);
}

/* 8. Connecting mismatched types was accepted. */
static void test_regression_8_types_are_checked(void **state)
{
    (void)state;
    nnd_registry *r = t_registry();
    nnd_diagnostics *diags = NULL;
    nnd_plan *plan = NULL;
    assert_ok(nnd_diagnostics_create(&diags));
    assert_status(
        t_try_compile(r,
                      T_DOC(T_NODE("l", "t.less") "," T_NODE("a", "t.inc"),
                            T_EDGE("@", "x", "l", "in") "," T_EDGE("l", "out", "a", "in"), "a"),
                      diags, &plan),
        NND_E_VALIDATION);
    assert_int_equal(nnd_diagnostics_error_count(diags), 1);
    const nnd_diagnostic *d = nnd_diagnostics_at(diags, 0);
    assert_string_equal(d->code, "type-mismatch");
    assert_string_equal(d->node, "a");
    assert_string_equal(d->port, "in");
    assert_true(d->line > 0);
    nnd_diagnostics_destroy(diags);
    nnd_registry_unref(r);
}

/* 10. Initialising again with a shared stream freed it twice. */
static void test_regression_10_runs_again_and_again(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(T_DOC(T_NODE("s", "t.sum"), T_EDGE("@", "x", "s", "in"), "s"));
    for (int i = 0; i < 20; i++) {
        nnd_run *run = t_run(plan);
        assert_ok(t_push(run, "x", i));
        if (i % 2) assert_ok(nnd_run_drain(run));
        if (i % 3) assert_ok(nnd_run_close(run));
        nnd_run_destroy(run);
    }
    nnd_plan_unref(plan);
}

/* ---- cancel and deadlines ---------------------------------------------------------------- */

static void cancel_soon(void *arg)
{
    while (!atomic_load(&t_hang_inside))
        nnd_port_sleep(100000);
    nnd_run_cancel(arg);
}

static const char *const hang = T_DOC(T_NODE("h", "t.hang"), T_EDGE("@", "x", "h", "in"), "h");

static void test_cancel_from_another_thread(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(hang);
    nnd_run *run = t_run(plan);
    nnd_port_thread *thread = NULL;
    atomic_store(&t_hang_inside, 0);
    assert_int_equal(nnd_port_thread_create("cancel", cancel_soon, run, &thread), 0);
    assert_status(t_push(run, "x", 1), NND_E_CANCELLED);
    nnd_port_thread_join(thread);
    assert_status(nnd_run_close(run), NND_E_CANCELLED);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static atomic_int pushed;
static void push_until_cancelled(void *arg)
{
    nnd_status status = t_push(arg, "x", 1);
    nnd_error_clear();
    atomic_store(&pushed, status);
}

/* 3. A producer could not be terminated: the node waits for ever, cancelling its run ends that. */
static void test_regression_3_cancel_while_working(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(hang);
    nnd_run *run = t_run(plan);
    nnd_port_thread *thread = NULL;
    atomic_store(&t_hang_inside, 0);
    assert_int_equal(nnd_port_thread_create("push", push_until_cancelled, run, &thread), 0);
    while (!atomic_load(&t_hang_inside))
        nnd_port_sleep(100000);
    nnd_run_cancel(run);
    nnd_port_thread_join(thread);
    assert_int_equal(atomic_load(&pushed), NND_E_CANCELLED);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_run_deadline(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(hang);
    nnd_run_options o = NND_RUN_OPTIONS_INIT;
    o.deadline_ns = nnd_clock_now() + 20000000;
    nnd_run *run = NULL;
    assert_ok(nnd_run_create(plan, &o, &run));
    assert_status(t_push(run, "x", 1), NND_E_TIMEOUT);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_node_deadline(void **state)
{
    (void)state;
    const char *text = T_DOC(
        "{'id':'h','type':'t.hang','deadline_ms':5,'on_error':'skip'}," T_NODE("a", "t.addopt"),
        T_EDGE("@", "x", "h", "in") "," T_EDGE("@", "x", "a", "a") "," T_EDGE("h", "out", "a", "b"),
        "a");
    t_expect(text, T_IN(1, 2), T_IN(1001, 1002));
}

static void test_parent_cancel(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(hang);
    nnd_cancel *parent = NULL;
    assert_ok(nnd_cancel_create(NULL, &parent));
    nnd_run_options o = NND_RUN_OPTIONS_INIT;
    o.cancel = parent;
    nnd_run *run = NULL;
    assert_ok(nnd_run_create(plan, &o, &run));
    nnd_cancel_request(parent);
    assert_status(t_push(run, "x", 1), NND_E_CANCELLED);
    nnd_run_destroy(run);
    nnd_cancel_unref(parent);
    nnd_plan_unref(plan);
}

/* ---- events, statistics, trace ----------------------------------------------------------- */

typedef struct seen {
    int begin, end, errors, outputs, run_end;
    nnd_run *run;
    nnd_status inside;
} seen;

static void on_event(void *user, const nnd_event *e)
{
    seen *s = user;
    s->begin += e->kind == NND_EVENT_NODE_BEGIN;
    s->end += e->kind == NND_EVENT_NODE_END;
    s->errors += e->kind == NND_EVENT_ERROR;
    s->run_end += e->kind == NND_EVENT_RUN_END;
    if (e->kind == NND_EVENT_OUTPUT) {
        s->outputs++;
        assert_non_null(e->value);
        s->inside = t_push(s->run, "x", 1); /* not allowed */
    }
}

static void test_events_stats_trace(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(T_FAIL(",'on_error':'skip'", "error"));
    seen s = {0};
    nnd_run_options o = NND_RUN_OPTIONS_INIT;
    o.on_event = on_event;
    o.user = &s;
    o.trace = true;
    assert_ok(nnd_run_create(plan, &o, &s.run));
    for (int i = 1; i <= 3; i++)
        assert_ok(t_push(s.run, "x", i));
    assert_ok(nnd_run_drain(s.run));
    assert_int_equal(s.begin, 5);
    assert_int_equal(s.end, 5);
    assert_int_equal(s.errors, 1);
    assert_int_equal(s.outputs, 2);
    assert_int_equal(s.inside, NND_E_STATE);
    nnd_json_writer *w = NULL;
    char *text = NULL;
    assert_ok(nnd_json_writer_create(0, &w));
    assert_ok(nnd_run_stats_to_json(s.run, w));
    assert_ok(nnd_json_writer_take(w, &text, NULL));
    nnd_json_writer_destroy(w);
    nnd_json_doc *doc = NULL;
    assert_ok(nnd_json_parse(text, strlen(text), NULL, &doc));
    const nnd_json *nodes = nnd_json_get(nnd_json_root(doc), "nodes");
    assert_int_equal(nnd_json_count(nodes), 2);
    int64_t packets = 0;
    assert_true(nnd_json_int(nnd_json_get(nnd_json_at(nodes, 0), "packets"), &packets));
    assert_int_equal(packets, 3);
    nnd_json_destroy(doc);
    nnd_free(text);
    assert_ok(nnd_json_writer_create(0, &w));
    assert_ok(nnd_run_trace_to_json(s.run, w));
    assert_ok(nnd_json_writer_take(w, &text, NULL));
    nnd_json_writer_destroy(w);
    assert_ok(nnd_json_parse(text, strlen(text), NULL, &doc));
    int calls = 0;
    const nnd_json *events = nnd_json_get(nnd_json_root(doc), "traceEvents");
    for (size_t i = 0; i < nnd_json_count(events); i++)
        calls += strcmp(nnd_json_string(nnd_json_get(nnd_json_at(events, i), "ph"), ""), "X") == 0;
    assert_int_equal(calls, 5);
    nnd_json_destroy(doc);
    nnd_free(text);
    assert_ok(nnd_run_close(s.run));
    assert_int_equal(s.run_end, 1);
    nnd_run_destroy(s.run);
    nnd_plan_unref(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regression_1_2_failure_reaches_the_caller),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_fallback),
        cmocka_unit_test(test_state_table),
        cmocka_unit_test(test_regression_4_12_nothing_is_lost),
        cmocka_unit_test(test_regression_5_cycle_is_an_error),
        cmocka_unit_test(test_regression_8_types_are_checked),
        cmocka_unit_test(test_regression_10_runs_again_and_again),
        cmocka_unit_test(test_cancel_from_another_thread),
        cmocka_unit_test(test_regression_3_cancel_while_working),
        cmocka_unit_test(test_run_deadline),
        cmocka_unit_test(test_node_deadline),
        cmocka_unit_test(test_parent_cancel),
        cmocka_unit_test(test_events_stats_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
