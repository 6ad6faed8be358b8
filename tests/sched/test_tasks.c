/* Submitted tasks, the budget's defaults, and what idle workers cost. */
#include "nndeploy/sched.h"
#include "port/port.h"
#include "sched/worker.h"
#include "support/test.h"

#include <stdatomic.h>
#include <time.h>

static void wait_until(_Atomic int *counter, int value)
{
    int64_t deadline = nnd_clock_now() + INT64_C(60000000000);
    while (atomic_load(counter) < value) {
        assert_true(nnd_clock_now() < deadline);
        nnd_port_sleep(200000);
    }
}

/* The last task counts before its worker is idle again. */
static void wait_until_idle(void)
{
    nnd_sched_stats stats;
    do {
        nnd_port_yield();
        nnd_sched_get_stats(&stats);
    } while (stats.busy != 0);
}

static void count_task(void *user)
{
    atomic_fetch_add((_Atomic int *)user, 1);
}

static void test_all_tasks_run(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        assert_ok(nnd_sched_set_threads(threads));
        _Atomic int done = 0;
        for (int i = 0; i < 2000; i++)
            assert_ok(nnd_sched_submit(count_task, &done));
        wait_until(&done, 2000);
        wait_until_idle();
        assert_int_equal(done, 2000);
    }
    assert_status(nnd_sched_submit(NULL, NULL), NND_E_INVALID_ARGUMENT);
}

typedef struct running {
    _Atomic int now;
    _Atomic int most;
    _Atomic int done;
} running;

static void observe_task(void *user)
{
    running *r = user;
    int now = atomic_fetch_add(&r->now, 1) + 1;
    int most = atomic_load(&r->most);
    while (now > most && !atomic_compare_exchange_weak(&r->most, &most, now)) {}
    nnd_port_sleep(500000);
    atomic_fetch_sub(&r->now, 1);
    atomic_fetch_add(&r->done, 1);
}

static void test_tasks_stay_within_the_budget(void **state)
{
    (void)state;
    assert_ok(nnd_sched_set_threads(3));
    running r = {0};
    for (int i = 0; i < 60; i++)
        assert_ok(nnd_sched_submit(observe_task, &r));
    wait_until(&r.done, 60);
    wait_until_idle();
    assert_true(r.most <= 3);
}

static nnd_status add_tile(void *user, size_t index, int lane)
{
    (void)index;
    (void)lane;
    atomic_fetch_add((_Atomic int *)user, 1);
    return NND_OK;
}

typedef struct gang_task_state {
    _Atomic int tiles;
    _Atomic int done;
} gang_task_state;

static void gang_task(void *user)
{
    gang_task_state *s = user;
    nnd_parallel_for(20, 0, add_tile, &s->tiles, NULL);
    atomic_fetch_add(&s->done, 1);
}

static void test_gangs_inside_tasks(void **state)
{
    (void)state;
    assert_ok(nnd_sched_set_threads(4));
    gang_task_state s = {0};
    for (int i = 0; i < 200; i++)
        assert_ok(nnd_sched_submit(gang_task, &s));
    wait_until(&s.done, 200);
    wait_until_idle();
    assert_int_equal(s.tiles, 4000);
}

static void test_tasks_wait_for_a_gang_to_end(void **state)
{
    (void)state;
    assert_ok(nnd_sched_set_threads(2));
    nnd_gang *gang;
    assert_ok(nnd_gang_acquire(0, &gang));
    assert_int_equal(nnd_gang_size(gang), 2);
    _Atomic int done = 0, tiles = 0;
    assert_ok(nnd_sched_submit(count_task, &done));
    assert_ok(nnd_gang_for(gang, 100, add_tile, &tiles, NULL));
    assert_int_equal(done, 0); /* the budget is with the gang */
    nnd_gang_release(gang);
    wait_until(&done, 1);
    wait_until_idle();
}

static void submit_main(void *arg)
{
    for (int i = 0; i < 500; i++)
        nnd_sched_submit(count_task, arg);
}

static void test_many_submitters(void **state)
{
    (void)state;
    assert_ok(nnd_sched_set_threads(3));
    _Atomic int done = 0;
    nnd_port_thread *threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(nnd_port_thread_create("submit", submit_main, &done, &threads[i]), 0);
    for (int i = 0; i < 4; i++)
        nnd_port_thread_join(threads[i]);
    wait_until(&done, 2000);
    wait_until_idle();
    assert_int_equal(done, 2000);
}

static void test_budget_defaults(void **state)
{
    (void)state;
    assert_int_equal(nnd_port_env_set("NNDEPLOY_THREADS", "5"), 0);
    assert_ok(nnd_sched_set_threads(0));
    assert_int_equal(nnd_sched_threads(), 5);
    nnd_log_set_level(NND_LOG_OFF);
    static const char *const nonsense[] = {"", "0", "-2", "x", "3x", "99999"};
    for (size_t i = 0; i < NND_COUNT(nonsense); i++) {
        assert_int_equal(nnd_port_env_set("NNDEPLOY_THREADS", nonsense[i]), 0);
        assert_ok(nnd_sched_set_threads(0));
        assert_int_equal(nnd_sched_threads(), nnd_port_cpu_count());
    }
    nnd_log_set_level(NND_LOG_WARN);
    assert_int_equal(nnd_port_env_set("NNDEPLOY_THREADS", NULL), 0);
    assert_status(nnd_sched_set_threads(-1), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_sched_set_threads(1025), NND_E_LIMIT);
    assert_ok(nnd_sched_set_threads(1024));
    assert_int_equal(nnd_sched_threads(), 1024);
    assert_ok(nnd_sched_set_threads(0));
}

/* ---- out of memory ------------------------------------------------------------------------- */

static _Atomic int allocations_left;

static void *failing_alloc(void *user, size_t size)
{
    (void)user;
    return atomic_fetch_sub(&allocations_left, 1) > 0 ? malloc(size) : NULL;
}

static void *failing_resize(void *user, void *block, size_t size)
{
    (void)user;
    return atomic_fetch_sub(&allocations_left, 1) > 0 ? realloc(block, size) : NULL;
}

static void plain_release(void *user, void *block)
{
    (void)user;
    free(block);
}

/* Loops are done whatever memory there is; a task is accepted and run, or refused. */
static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    assert_ok(nnd_sched_set_threads(3));
    nnd_allocator allocator = {failing_alloc, failing_resize, plain_release, NULL};
    int accepted = 0, refused = 0;
    for (int n = 0; n < 24; n++) {
        nnd_sched_shutdown(); /* from nothing, so that everything is allocated again */
        nnd_set_allocator(&allocator);
        allocations_left = n;
        _Atomic int tiles = 0, done = 0;
        nnd_status loop = nnd_parallel_for(10, 0, add_tile, &tiles, NULL);
        nnd_status task = nnd_sched_submit(count_task, &done);
        nnd_cancel *token = NULL;
        nnd_status cancel = nnd_cancel_create(NULL, &token);
        uint64_t callback = nnd_cancel_on(token, count_task, &tiles);
        nnd_cancel_request(token);
        nnd_cancel_unref(token);
        if (task == NND_OK) wait_until(&done, 1);
        wait_until_idle();
        nnd_error_clear();
        allocations_left = 1000;
        nnd_sched_shutdown();
        nnd_set_allocator(NULL);
        assert_int_equal(loop, NND_OK);
        assert_int_equal(tiles, callback ? 11 : 10);
        assert_true(task == NND_OK || task == NND_E_OUT_OF_MEMORY);
        assert_true(cancel == NND_OK || cancel == NND_E_OUT_OF_MEMORY);
        if (task == NND_OK) accepted++;
        if (task != NND_OK) refused++;
    }
    assert_true(accepted > 0 && refused > 0);
}

/* Workers that spun would use about one processor each; asleep they use none. The bound is a
   tenth of one, so that a busy machine does not matter. */
static void test_idle_workers_sleep(void **state)
{
    (void)state;
    assert_ok(nnd_sched_set_threads(4));
    nnd_gang *gang;
    _Atomic int tiles = 0;
    assert_ok(nnd_gang_acquire(0, &gang));
    assert_ok(nnd_gang_for(gang, 64, add_tile, &tiles, NULL));
    for (int released = 0; released <= 1; released++) {
        if (released) nnd_gang_release(gang);
        clock_t before = clock();
        nnd_port_sleep(300000000);
        double seconds = (double)(clock() - before) / CLOCKS_PER_SEC;
        assert_true(seconds < 0.03);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_tasks_run),
        cmocka_unit_test(test_tasks_stay_within_the_budget),
        cmocka_unit_test(test_gangs_inside_tasks),
        cmocka_unit_test(test_tasks_wait_for_a_gang_to_end),
        cmocka_unit_test(test_many_submitters),
        cmocka_unit_test(test_budget_defaults),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_idle_workers_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
