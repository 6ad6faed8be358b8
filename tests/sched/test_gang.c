/* Gangs: every tile exactly once, stable lanes, errors by lowest tile, cancel, nesting, budget. */
#include "nndeploy/sched.h"
#include "port/port.h"
#include "sched/worker.h"
#include "support/test.h"

#include <stdatomic.h>

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

enum { MAX_TILES = 1000, MAX_LANES = 16 };

typedef struct counted_loop {
    _Atomic int done[MAX_TILES];
    _Atomic int wrong_lanes;
    _Atomic int in_lane[MAX_LANES]; /* threads in a lane at the same time */
    int size;
} counted_loop;

static nnd_status count_tile(void *user, size_t index, int lane)
{
    counted_loop *loop = user;
    if (lane < 0 || lane >= loop->size || atomic_fetch_add(&loop->in_lane[lane], 1) != 0)
        atomic_fetch_add(&loop->wrong_lanes, 1);
    atomic_fetch_add(&loop->done[index], 1);
    if (lane >= 0 && lane < loop->size) atomic_fetch_sub(&loop->in_lane[lane], 1);
    return NND_OK;
}

static void check_all_done(counted_loop *loop, size_t tiles)
{
    for (size_t i = 0; i < MAX_TILES; i++)
        assert_int_equal(loop->done[i], i < tiles ? 1 : 0);
    assert_int_equal(loop->wrong_lanes, 0);
}

static void test_every_tile_once(void **state)
{
    (void)state;
    static const size_t tile_counts[] = {0, 1, 2, 3, 7, 64, 1000};
    for (int threads = 1; threads <= 8; threads++) {
        assert_ok(nnd_sched_set_threads(threads));
        nnd_gang *gang;
        assert_ok(nnd_gang_acquire(0, &gang));
        assert_int_equal(nnd_gang_size(gang), threads);
        for (size_t c = 0; c < NND_COUNT(tile_counts); c++) {
            counted_loop loop = {.size = nnd_gang_size(gang)};
            assert_ok(nnd_gang_for(gang, tile_counts[c], count_tile, &loop, NULL));
            check_all_done(&loop, tile_counts[c]);
        }
        nnd_gang_release(gang);
    }
}

static void test_without_a_gang(void **state)
{
    (void)state;
    counted_loop loop = {.size = 1};
    assert_ok(nnd_gang_for(NULL, 10, count_tile, &loop, NULL));
    check_all_done(&loop, 10);
    assert_int_equal(nnd_gang_size(NULL), 1);
    nnd_gang_release(NULL);
    nnd_gang *gang;
    assert_status(nnd_gang_acquire(0, NULL), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_gang_acquire(-1, &gang), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_gang_for(NULL, 1, NULL, NULL, NULL), NND_E_INVALID_ARGUMENT);
}

static nnd_status remember_thread(void *user, size_t index, int lane)
{
    (void)index;
    _Atomic uint64_t *of_lane = user;
    uint64_t self = nnd_port_thread_id();
    uint64_t before = 0;
    if (!atomic_compare_exchange_strong(&of_lane[lane], &before, self) && before != self)
        return nnd_error_set(NND_E_INTERNAL, "lane %d changed its thread", lane);
    return NND_OK;
}

static void test_lanes_are_stable(void **state)
{
    (void)state;
    assert_ok(nnd_sched_set_threads(4));
    nnd_gang *gang;
    assert_ok(nnd_gang_acquire(4, &gang));
    _Atomic uint64_t of_lane[4] = {0};
    of_lane[0] = nnd_port_thread_id();
    for (int i = 0; i < 500; i++)
        assert_ok(nnd_gang_for(gang, 16, remember_thread, of_lane, NULL));
    nnd_gang_release(gang);
}

/* ---- errors -------------------------------------------------------------------------------- */

static nnd_status fail_from_five(void *user, size_t index, int lane)
{
    (void)lane;
    if (index == 5 && user) nnd_port_sleep(1000000); /* later ones fail first */
    if (index >= 5) return nnd_error_set(NND_E_FORMAT, "tile %zu is bad", index);
    return NND_OK;
}

static void check_message(const char *expected)
{
    nnd_error *error = nnd_error_take();
    assert_non_null(error);
    assert_string_equal(nnd_error_message(error), expected);
    nnd_error_destroy(error);
}

static void test_lowest_tile_wins(void **state)
{
    (void)state;
    assert_ok(nnd_sched_set_threads(4));
    nnd_gang *gang;
    assert_ok(nnd_gang_acquire(0, &gang));
    for (int i = 0; i < 50; i++) {
        nnd_error_clear();
        assert_status(nnd_gang_for(gang, 64, fail_from_five, i % 5 ? NULL : gang, NULL),
                      NND_E_FORMAT);
        check_message("tile 5 is bad");
    }
    counted_loop loop = {.size = 4};
    assert_ok(nnd_gang_for(gang, 100, count_tile, &loop, NULL)); /* it goes on as if nothing was */
    check_all_done(&loop, 100);
    nnd_gang_release(gang);
    assert_status(nnd_gang_for(NULL, 64, fail_from_five, NULL, NULL), NND_E_FORMAT);
    check_message("tile 5 is bad");
}

static nnd_status fail_without_record(void *user, size_t index, int lane)
{
    (void)user;
    (void)lane;
    return index == 3 ? NND_E_SHAPE : NND_OK;
}

static void test_failure_without_record_gets_one(void **state)
{
    (void)state;
    assert_ok(nnd_sched_set_threads(2));
    nnd_error_clear();
    assert_status(nnd_parallel_for(8, 0, fail_without_record, NULL, NULL), NND_E_SHAPE);
    nnd_error *error = nnd_error_take();
    if (error) assert_int_equal(nnd_error_status(error), NND_E_SHAPE);
    nnd_error_destroy(error);
}

/* ---- cancel -------------------------------------------------------------------------------- */

typedef struct cancel_loop {
    nnd_cancel *token;
    _Atomic int done;
} cancel_loop;

static nnd_status cancel_at_ten(void *user, size_t index, int lane)
{
    (void)lane;
    cancel_loop *loop = user;
    atomic_fetch_add(&loop->done, 1);
    if (index == 10) nnd_cancel_request(loop->token);
    return NND_OK;
}

static void test_cancel_inside_a_loop(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        assert_ok(nnd_sched_set_threads(threads));
        cancel_loop loop = {0};
        assert_ok(nnd_cancel_create(NULL, &loop.token));
        assert_status(nnd_parallel_for(1000000, 0, cancel_at_ten, &loop, loop.token),
                      NND_E_CANCELLED);
        assert_true(loop.done >= 11);
        assert_true(loop.done < 1000000);
        /* Cancelled before: nothing runs. */
        loop.done = 0;
        assert_status(nnd_parallel_for(1000, 0, cancel_at_ten, &loop, loop.token), NND_E_CANCELLED);
        assert_int_equal(loop.done, 0);
        nnd_cancel_unref(loop.token);
    }
}

static nnd_status sleep_a_little(void *user, size_t index, int lane)
{
    (void)user;
    (void)index;
    (void)lane;
    nnd_port_sleep(1000000);
    return NND_OK;
}

static void test_deadline_inside_a_loop(void **state)
{
    (void)state;
    assert_ok(nnd_sched_set_threads(3));
    nnd_cancel *token;
    assert_ok(nnd_cancel_create(NULL, &token));
    nnd_cancel_set_deadline(token, nnd_clock_now() + 5000000);
    assert_status(nnd_parallel_for(100000, 0, sleep_a_little, NULL, token), NND_E_TIMEOUT);
    nnd_cancel_unref(token);
}

static nnd_status cancel_at_the_end(void *user, size_t index, int lane)
{
    (void)lane;
    if (index == 9) nnd_cancel_request(user);
    return NND_OK;
}

static void test_cancel_after_the_last_tile_is_ok(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        assert_ok(nnd_sched_set_threads(threads));
        nnd_cancel *token;
        assert_ok(nnd_cancel_create(NULL, &token));
        assert_ok(nnd_parallel_for(10, 0, cancel_at_the_end, token, token));
        nnd_cancel_unref(token);
    }
}

/* ---- nesting, budget ----------------------------------------------------------------------- */

static nnd_status nested(void *user, size_t index, int lane)
{
    (void)index;
    (void)lane;
    nnd_gang *inner;
    NND_TRY(nnd_gang_acquire(0, &inner));
    if (nnd_gang_size(inner) != 1) return nnd_error_set(NND_E_INTERNAL, "a nested gang has more");
    counted_loop loop = {.size = 1};
    nnd_status status = nnd_gang_for(inner, 50, count_tile, &loop, NULL);
    if (loop.wrong_lanes) status = nnd_error_set(NND_E_INTERNAL, "wrong lane");
    nnd_gang_release(inner);
    /* The outer gang from inside its own loop works, alone, as well. */
    if (status == NND_OK) {
        counted_loop again = {.size = 1};
        status = nnd_gang_for(user, 50, count_tile, &again, NULL);
        if (again.wrong_lanes) status = nnd_error_set(NND_E_INTERNAL, "wrong lane");
    }
    return status;
}

static void test_nested_gangs_are_gangs_of_one(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        assert_ok(nnd_sched_set_threads(threads));
        nnd_gang *gang;
        assert_ok(nnd_gang_acquire(0, &gang));
        assert_ok(nnd_gang_for(gang, 40, nested, gang, NULL));
        nnd_gang_release(gang);
    }
    nnd_sched_stats stats;
    nnd_sched_get_stats(&stats);
    assert_int_equal(stats.busy, 0);
}

static void test_charges_shrink_gangs(void **state)
{
    (void)state;
    assert_ok(nnd_sched_set_threads(6));
    nnd_gang *gang;
    nnd_sched_charge(4);
    assert_ok(nnd_gang_acquire(0, &gang));
    assert_int_equal(nnd_gang_size(gang), 2);
    nnd_gang_release(gang);
    nnd_sched_charge(100);
    assert_ok(nnd_gang_acquire(0, &gang));
    assert_int_equal(nnd_gang_size(gang), 1);
    nnd_gang_release(gang);
    nnd_sched_charge(-104);
    assert_ok(nnd_gang_acquire(3, &gang));
    assert_int_equal(nnd_gang_size(gang), 3);
    nnd_sched_stats stats;
    nnd_sched_get_stats(&stats);
    assert_int_equal(stats.budget, 6);
    assert_int_equal(stats.charged, 0);
    assert_int_equal(stats.busy, 2);
    nnd_gang_release(gang);
}

typedef struct second_caller {
    _Atomic int size;
    int max_threads;
} second_caller;

static void second_main(void *arg)
{
    second_caller *second = arg;
    nnd_gang *gang;
    if (nnd_gang_acquire(second->max_threads, &gang) != NND_OK) return;
    atomic_store(&second->size, nnd_gang_size(gang));
    nnd_gang_release(gang);
}

static int size_for_second_caller(int max_threads)
{
    second_caller second = {.max_threads = max_threads};
    nnd_port_thread *thread;
    assert_int_equal(nnd_port_thread_create("second", second_main, &second, &thread), 0);
    nnd_port_thread_join(thread);
    return second.size;
}

static void test_callers_share_the_budget(void **state)
{
    (void)state;
    assert_ok(nnd_sched_set_threads(4));
    nnd_gang *gang;
    assert_ok(nnd_gang_acquire(2, &gang));
    assert_int_equal(size_for_second_caller(0), 2); /* 2 + 2 = 4 */
    nnd_gang_release(gang);
    assert_ok(nnd_gang_acquire(0, &gang));
    assert_int_equal(size_for_second_caller(0), 1); /* never waits */
    nnd_gang_release(gang);
    assert_int_equal(size_for_second_caller(0), 4);
}

/* ---- stress -------------------------------------------------------------------------------- */

static nnd_status fail_some(void *user, size_t index, int lane)
{
    (void)lane;
    const size_t *bad = user;
    if (index >= *bad) return nnd_error_set(NND_E_TYPE, "tile %zu", index);
    return NND_OK;
}

static void stress_main(void *arg)
{
    _Atomic int *wrong = arg;
    for (int i = 0; i < 300; i++) {
        nnd_gang *gang;
        if (nnd_gang_acquire(i % 5, &gang) != NND_OK) continue;
        for (int k = 0; k < 3; k++) {
            counted_loop loop = {.size = nnd_gang_size(gang)};
            size_t tiles = (size_t)(i * 7 + k * 3) % 97;
            if (nnd_gang_for(gang, tiles, count_tile, &loop, NULL) != NND_OK)
                atomic_fetch_add(wrong, 1);
            for (size_t t = 0; t < tiles; t++)
                if (loop.done[t] != 1) atomic_fetch_add(wrong, 1);
            if (loop.wrong_lanes) atomic_fetch_add(wrong, 1);
        }
        size_t bad = (size_t)i % 40;
        char expected[32];
        snprintf(expected, sizeof expected, "tile %zu", bad);
        if (nnd_gang_for(gang, 64, fail_some, &bad, NULL) != NND_E_TYPE) atomic_fetch_add(wrong, 1);
        nnd_error *error = nnd_error_take();
        if (!error || strcmp(nnd_error_message(error), expected) != 0) atomic_fetch_add(wrong, 1);
        nnd_error_destroy(error);
        nnd_gang_release(gang);
    }
}

static void test_many_callers(void **state)
{
    (void)state;
    assert_ok(nnd_sched_set_threads(6));
    _Atomic int wrong = 0;
    nnd_port_thread *threads[6];
    for (int i = 0; i < 6; i++)
        assert_int_equal(nnd_port_thread_create("stress", stress_main, &wrong, &threads[i]), 0);
    for (int i = 0; i < 6; i++)
        nnd_port_thread_join(threads[i]);
    assert_int_equal(wrong, 0);
    nnd_sched_stats stats;
    nnd_sched_get_stats(&stats);
    assert_int_equal(stats.busy, 0);
    assert_true(stats.workers <= 1023);
}

static void test_shutdown_and_again(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_ok(nnd_sched_set_threads(4));
        counted_loop loop = {.size = 4};
        assert_ok(nnd_parallel_for(100, 0, count_tile, &loop, NULL));
        check_all_done(&loop, 100);
        nnd_sched_shutdown();
        nnd_sched_stats stats;
        nnd_sched_get_stats(&stats);
        assert_int_equal(stats.workers, 0);
        assert_int_equal(stats.busy, 0);
    }
}

/* The workers stay with the parent: the child's loops are done by their caller, and it ends. */
#if !defined(_WIN32)
static int child_main(void)
{
    counted_loop loop = {.size = 2};
    if (nnd_parallel_for(100, 0, count_tile, &loop, NULL) != NND_OK || loop.wrong_lanes) return 1;
    for (int i = 0; i < 100; i++)
        if (loop.done[i] != 1) return 2;
    nnd_sched_shutdown();
    return 0;
}

static void test_fork(void **state)
{
    (void)state;
    assert_ok(nnd_sched_set_threads(2));
    counted_loop loop = {.size = 2};
    assert_ok(nnd_parallel_for(100, 0, count_tile, &loop, NULL));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(child_main());
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_tile_once),
        cmocka_unit_test(test_without_a_gang),
        cmocka_unit_test(test_lanes_are_stable),
        cmocka_unit_test(test_lowest_tile_wins),
        cmocka_unit_test(test_failure_without_record_gets_one),
        cmocka_unit_test(test_cancel_inside_a_loop),
        cmocka_unit_test(test_deadline_inside_a_loop),
        cmocka_unit_test(test_cancel_after_the_last_tile_is_ok),
        cmocka_unit_test(test_nested_gangs_are_gangs_of_one),
        cmocka_unit_test(test_charges_shrink_gangs),
        cmocka_unit_test(test_callers_share_the_budget),
        cmocka_unit_test(test_many_callers),
#if !defined(_WIN32)
        cmocka_unit_test(test_fork),
#endif
        cmocka_unit_test(test_shutdown_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
