/* Threads, locks, time, futex, thread-local values, processor. */
#include "support/test.h"

#include "port/port.h"

enum { THREADS = 4, ROUNDS = 20000 };
#define MS INT64_C(1000000)

static nnd_port_mutex lock = NND_PORT_MUTEX_INIT;
static nnd_port_cond cond;
static int counter;
static int phase;

static void count_up(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        nnd_port_mutex_lock(&lock);
        counter++;
        nnd_port_mutex_unlock(&lock);
    }
}

static void test_mutex(void **state)
{
    (void)state;
    nnd_port_thread *threads[THREADS];
    counter = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(nnd_port_thread_create("a name far too long", count_up, NULL, &threads[i]),
                         0);
    for (int i = 0; i < THREADS; i++)
        nnd_port_thread_join(threads[i]);
    assert_int_equal(counter, THREADS * ROUNDS);
    assert_true(nnd_port_mutex_try_lock(&lock));
    nnd_port_mutex_unlock(&lock);
    nnd_port_thread_join(NULL);
}

static void answer(void *arg)
{
    (void)arg;
    nnd_port_mutex_lock(&lock);
    while (phase != 1)
        nnd_port_cond_wait(&cond, &lock, NND_PORT_FOREVER);
    phase = 2;
    nnd_port_cond_broadcast(&cond);
    nnd_port_mutex_unlock(&lock);
}

static void test_condition(void **state)
{
    (void)state;
    nnd_port_thread *thread;
    assert_int_equal(nnd_port_cond_init(&cond), 0);
    phase = 0;
    assert_int_equal(nnd_port_thread_create(NULL, answer, NULL, &thread), 0);
    nnd_port_mutex_lock(&lock);
    int64_t start = nnd_port_now();
    while (nnd_port_cond_wait(&cond, &lock, start + 20 * MS)) {}
    assert_true(nnd_port_now() - start >= 20 * MS);
    assert_false(nnd_port_cond_wait(&cond, &lock, -5)); /* long past */
    phase = 1;
    nnd_port_cond_signal(&cond);
    while (phase != 2)
        assert_true(nnd_port_cond_wait(&cond, &lock, nnd_port_now() + 60000 * MS));
    nnd_port_mutex_unlock(&lock);
    nnd_port_thread_join(thread);
    nnd_port_cond_fini(&cond);
}

static _Atomic uint32_t word;
static atomic_int woken;

static void wait_on_word(void *arg)
{
    (void)arg;
    while (atomic_load(&word) == 0)
        nnd_port_futex_wait(&word, 0, NND_PORT_FOREVER);
    atomic_fetch_add(&woken, 1);
}

static void test_futex(void **state)
{
    (void)state;
    nnd_port_thread *threads[THREADS];
    atomic_store(&word, 0);
    int64_t start = nnd_port_now();
    while (nnd_port_futex_wait(&word, 0, start + 10 * MS)) {}
    assert_true(nnd_port_now() - start >= 10 * MS);
    assert_true(nnd_port_futex_wait(&word, 1, NND_PORT_FOREVER)); /* differs: returns at once */
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(nnd_port_thread_create("futex", wait_on_word, NULL, &threads[i]), 0);
    nnd_port_sleep(5 * MS);
    assert_int_equal(atomic_load(&woken), 0);
    atomic_store(&word, 1);
    nnd_port_futex_wake(&word, UINT32_MAX);
    for (int i = 0; i < THREADS; i++)
        nnd_port_thread_join(threads[i]);
    assert_int_equal(atomic_load(&woken), THREADS);
}

static nnd_port_once once = NND_PORT_ONCE_INIT;
static atomic_int once_runs;

static void run_me_once(void)
{
    nnd_port_sleep(2 * MS);
    atomic_fetch_add(&once_runs, 1);
}

static void call_once(void *arg)
{
    (void)arg;
    nnd_port_once_run(&once, run_me_once);
    if (atomic_load(&once_runs) != 1) abort();
}

static nnd_port_tls tls;
static atomic_int destroyed;

static void destroy_value(void *value)
{
    if (value == &destroyed) atomic_fetch_add(&destroyed, 1);
}

static void use_tls(void *arg)
{
    if (nnd_port_tls_get(tls) != NULL || nnd_port_tls_set(tls, &destroyed)) abort();
    if (nnd_port_tls_get(tls) != &destroyed) abort();
    if (arg) nnd_port_tls_set(tls, NULL);
}

static void run_all(void (*entry)(void *), void *arg)
{
    nnd_port_thread *threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(nnd_port_thread_create("run", entry, arg, &threads[i]), 0);
    for (int i = 0; i < THREADS; i++)
        nnd_port_thread_join(threads[i]);
}

static void test_once_and_tls(void **state)
{
    (void)state;
    run_all(call_once, NULL);
    assert_int_equal(atomic_load(&once_runs), 1);
    assert_int_equal(nnd_port_tls_create(destroy_value, &tls), 0);
    run_all(use_tls, NULL);
    assert_int_equal(atomic_load(&destroyed), THREADS);
    run_all(use_tls, &tls);
    assert_int_equal(atomic_load(&destroyed), THREADS);
}

static void test_time(void **state)
{
    (void)state;
    int64_t start = nnd_port_now();
    nnd_port_sleep(15 * MS);
    int64_t elapsed = nnd_port_now() - start;
    assert_true(elapsed >= 14 * MS && elapsed < 10000 * MS);
    nnd_port_sleep(-1);
    assert_true(nnd_port_wall_now() > INT64_C(1600000000) * 1000 * MS);
    assert_true(nnd_port_thread_id() != 0);
    assert_true(nnd_port_thread_id() == nnd_port_thread_id());
    nnd_port_yield();
    nnd_port_cpu_relax();
}

static void test_processor(void **state)
{
    (void)state;
    nnd_port_cpu cpu;
    assert_in_range(nnd_port_cpu_count(), 1, 65536);
    nnd_port_cpu_query(&cpu);
    assert_false(cpu.neon && cpu.sse41);
    assert_true(!cpu.avx2 || cpu.avx);
    assert_true(!cpu.avx512vnni || cpu.avx512f);
    assert_true(nnd_port_page_size() >= 4096);
    assert_int_equal(nnd_port_page_size() & (nnd_port_page_size() - 1), 0);
    size_t large = nnd_port_large_page_size();
    assert_int_equal(large & (large - 1), 0);
    assert_int_equal(large % nnd_port_page_size(), 0);
    assert_true(nnd_port_peak_memory() > 100000);
    char name[64], cut[4];
    size_t n = strlen(nnd_port_cpu_name(name, sizeof name));
    assert_true(n < sizeof name);
    assert_true(n == 0 || (name[0] != ' ' && name[n - 1] != ' '));
    assert_true(strlen(nnd_port_cpu_name(cut, sizeof cut)) < sizeof cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mutex), cmocka_unit_test(test_condition),
        cmocka_unit_test(test_futex), cmocka_unit_test(test_once_and_tls),
        cmocka_unit_test(test_time),  cmocka_unit_test(test_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
