/*
 * What the scheduler costs: a parallel loop with one and two threads, acquiring and releasing, a
 * cancel check, a submitted task, a waiting worker. Prints one line per case; the best of several
 * rounds, because other programs share the machine.
 */
#include "nndeploy/sched.h"
#include "port/port.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { ROUNDS = 15 };

typedef void (*case_fn)(void *user, int count);

/* Nanoseconds per repetition, the least of ROUNDS measurements of `count` repetitions. */
static double measure(case_fn fn, void *user, int count)
{
    int64_t best = INT64_MAX;
    fn(user, count / 10 + 1);
    for (int i = 0; i < ROUNDS; i++) {
        int64_t begin = nnd_clock_now();
        fn(user, count);
        int64_t took = nnd_clock_now() - begin;
        if (took < best) best = took;
    }
    return (double)best / count;
}

static nnd_status empty_tile(void *user, size_t index, int lane)
{
    (void)user;
    (void)index;
    (void)lane;
    return NND_OK;
}

/* About 10 µs of arithmetic. */
static nnd_status busy_tile(void *user, size_t index, int lane)
{
    (void)lane;
    double x = (double)index;
    for (int i = 0; i < 5000; i++)
        x = x * 0.999 + 1.0;
    ((volatile double *)user)[index] = x;
    return NND_OK;
}

typedef struct loop_case {
    nnd_gang *gang;
    size_t tiles;
    nnd_tile_fn fn;
    void *user;
} loop_case;

static void run_loops(void *user, int count)
{
    const loop_case *c = user;
    for (int i = 0; i < count; i++)
        nnd_gang_for(c->gang, c->tiles, c->fn, c->user, NULL);
}

static void run_parallel_for(void *user, int count)
{
    const loop_case *c = user;
    for (int i = 0; i < count; i++)
        nnd_parallel_for(c->tiles, 0, c->fn, c->user, NULL);
}

static void run_acquire(void *user, int count)
{
    (void)user;
    for (int i = 0; i < count; i++) {
        nnd_gang *gang;
        if (nnd_gang_acquire(0, &gang) == NND_OK) nnd_gang_release(gang);
    }
}

static void run_checks(void *user, int count)
{
    volatile nnd_status status;
    for (int i = 0; i < count; i++)
        status = nnd_cancel_check(user);
    (void)status;
}

static void count_task(void *user)
{
    atomic_fetch_add((_Atomic int *)user, 1);
}

static void run_submits(void *user, int count)
{
    _Atomic int *done = user;
    atomic_store(done, 0);
    for (int i = 0; i < count; i++)
        nnd_sched_submit(count_task, done);
    while (atomic_load(done) < count)
        nnd_port_yield();
}

static void print(const char *name, double ns)
{
    printf("%-44s %10.1f ns\n", name, ns);
}

static void bench_loops(int threads)
{
    static double results[64];
    char name[64];
    nnd_sched_set_threads(threads);
    nnd_gang *gang;
    if (nnd_gang_acquire(0, &gang) != NND_OK) return;
    loop_case empty = {gang, 16, empty_tile, NULL};
    loop_case busy = {gang, 64, busy_tile, results};
    snprintf(name, sizeof name, "loop of 16 empty tiles, gang of %d", threads);
    print(name, measure(run_loops, &empty, 20000));
    empty.tiles = 2;
    snprintf(name, sizeof name, "loop of 2 empty tiles, gang of %d", threads);
    print(name, measure(run_loops, &empty, 20000));
    snprintf(name, sizeof name, "loop of 64 tiles of ~10 us, gang of %d", threads);
    print(name, measure(run_loops, &busy, 50));
    nnd_gang_release(gang);
    snprintf(name, sizeof name, "acquire + release, budget %d", threads);
    print(name, measure(run_acquire, NULL, 20000));
    loop_case single = {NULL, 16, empty_tile, NULL};
    snprintf(name, sizeof name, "parallel_for of 16 empty tiles, budget %d", threads);
    print(name, measure(run_parallel_for, &single, 20000));
}

static void bench_cancel(void)
{
    nnd_cancel *root, *child;
    if (nnd_cancel_create(NULL, &root) != NND_OK) return;
    if (nnd_cancel_create(root, &child) == NND_OK) {
        print("cancel check, no token", measure(run_checks, NULL, 1000000));
        print("cancel check, root token", measure(run_checks, root, 1000000));
        print("cancel check, child token", measure(run_checks, child, 1000000));
        nnd_cancel_set_deadline(root, nnd_clock_now() + INT64_C(3600000000000));
        print("cancel check, child token with a deadline", measure(run_checks, child, 1000000));
        nnd_cancel_unref(child);
    }
    nnd_cancel_unref(root);
}

static void bench_idle(void)
{
    nnd_gang *gang;
    nnd_sched_set_threads(4);
    if (nnd_gang_acquire(0, &gang) != NND_OK) return;
    nnd_gang_for(gang, 64, empty_tile, NULL, NULL);
    clock_t before = clock();
    nnd_port_sleep(1000000000);
    double share = (double)(clock() - before) / CLOCKS_PER_SEC;
    nnd_gang_release(gang);
    printf("%-44s %10.3f %%\n", "processor time of a waiting gang of 4", 100 * share);
}

int main(void)
{
    _Atomic int done;
    bench_loops(1);
    bench_loops(2);
    bench_cancel();
    nnd_sched_set_threads(2);
    print("submit and run an empty task", measure(run_submits, &done, 5000));
    bench_idle();
    return 0;
}
