/* Threads, locks and time on POSIX systems. */
#include "port/internal.h"

#if !defined(_WIN32)

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

#define NS_PER_S 1000000000

static int64_t read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t nnd_port_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t nnd_port_wall_now(void)
{
    return read_clock(CLOCK_REALTIME);
}

static struct timespec to_timespec(int64_t ns)
{
    struct timespec t = {0};
    if (ns > 0) {
        t.tv_sec = (time_t)(ns / NS_PER_S);
        t.tv_nsec = (long)(ns % NS_PER_S);
    }
    return t;
}

void nnd_port_sleep(int64_t ns)
{
    struct timespec t = to_timespec(ns);
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {}
}

struct nnd_port_thread {
    pthread_t handle;
    void (*entry)(void *arg);
    void *arg;
    char name[16];
};

void nnd_port_thread_set_name(const char *name)
{
    char cut[16];
    if (!name) return;
    snprintf(cut, sizeof(cut), "%.15s", name);
#if defined(__APPLE__)
    pthread_setname_np(cut);
#else
    pthread_setname_np(pthread_self(), cut);
#endif
}

static void *thread_main(void *context)
{
    nnd_port_thread *thread = context;
    if (thread->name[0]) nnd_port_thread_set_name(thread->name);
    thread->entry(thread->arg);
    return NULL;
}

int nnd_port_thread_create(const char *name, void (*entry)(void *arg), void *arg,
                           nnd_port_thread **out)
{
    nnd_port_thread *thread = nnd_port_alloc(sizeof(*thread));
    if (!thread) return NND_PORT_E_MEMORY;
    memset(thread, 0, sizeof(*thread));
    thread->entry = entry;
    thread->arg = arg;
    if (name) snprintf(thread->name, sizeof(thread->name), "%.15s", name);

    sigset_t all, old;
    sigfillset(&all);
    /* Faults must still be delivered to the thread that causes them. */
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int code = pthread_create(&thread->handle, NULL, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (code) {
        nnd_port_free(thread);
        return code == EAGAIN ? NND_PORT_E_LIMIT : nnd_port_from_errno(code);
    }
    *out = thread;
    return 0;
}

void nnd_port_thread_join(nnd_port_thread *thread)
{
    if (!thread) return;
    pthread_join(thread->handle, NULL);
    nnd_port_free(thread);
}

uint64_t nnd_port_thread_id(void)
{
#if defined(__linux__)
    static _Thread_local uint64_t id;
    if (id == 0) id = (uint64_t)syscall(SYS_gettid);
    return id;
#else
    return (uint64_t)(uintptr_t)pthread_self();
#endif
}

void nnd_port_yield(void)
{
    sched_yield();
}

int nnd_port_tls_create(void (*destructor)(void *value), nnd_port_tls *out)
{
    pthread_key_t key;
    int code = pthread_key_create(&key, destructor);
    if (code) return code == EAGAIN ? NND_PORT_E_LIMIT : nnd_port_from_errno(code);
    out->key = (uintptr_t)key;
    return 0;
}

int nnd_port_tls_set(nnd_port_tls tls, void *value)
{
    return nnd_port_from_errno(pthread_setspecific((pthread_key_t)tls.key, value));
}

void *nnd_port_tls_get(nnd_port_tls tls)
{
    return pthread_getspecific((pthread_key_t)tls.key);
}

int nnd_port_mutex_init(nnd_port_mutex *mutex)
{
    return nnd_port_from_errno(pthread_mutex_init(&mutex->lock, NULL));
}

void nnd_port_mutex_fini(nnd_port_mutex *mutex)
{
    pthread_mutex_destroy(&mutex->lock);
}

void nnd_port_mutex_lock(nnd_port_mutex *mutex)
{
    pthread_mutex_lock(&mutex->lock);
}

bool nnd_port_mutex_try_lock(nnd_port_mutex *mutex)
{
    return pthread_mutex_trylock(&mutex->lock) == 0;
}

void nnd_port_mutex_unlock(nnd_port_mutex *mutex)
{
    pthread_mutex_unlock(&mutex->lock);
}

int nnd_port_cond_init(nnd_port_cond *cond)
{
#if defined(__APPLE__)
    return nnd_port_from_errno(pthread_cond_init(&cond->variable, NULL));
#else
    pthread_condattr_t attributes;
    int code = pthread_condattr_init(&attributes);
    if (code) return nnd_port_from_errno(code);
    code = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (!code) code = pthread_cond_init(&cond->variable, &attributes);
    pthread_condattr_destroy(&attributes);
    return nnd_port_from_errno(code);
#endif
}

void nnd_port_cond_fini(nnd_port_cond *cond)
{
    pthread_cond_destroy(&cond->variable);
}

bool nnd_port_cond_wait(nnd_port_cond *cond, nnd_port_mutex *mutex, int64_t deadline)
{
    if (deadline == NND_PORT_FOREVER) {
        pthread_cond_wait(&cond->variable, &mutex->lock);
        return true;
    }
#if defined(__APPLE__)
    int64_t left = deadline - nnd_port_now();
    struct timespec t = to_timespec(left);
    return pthread_cond_timedwait_relative_np(&cond->variable, &mutex->lock, &t) != ETIMEDOUT;
#else
    struct timespec t = to_timespec(deadline);
    return pthread_cond_timedwait(&cond->variable, &mutex->lock, &t) != ETIMEDOUT;
#endif
}

void nnd_port_cond_signal(nnd_port_cond *cond)
{
    pthread_cond_signal(&cond->variable);
}

void nnd_port_cond_broadcast(nnd_port_cond *cond)
{
    pthread_cond_broadcast(&cond->variable);
}

void nnd_port_once_run(nnd_port_once *once, void (*fn)(void))
{
    pthread_once(&once->state, fn);
}

#if defined(__linux__)

bool nnd_port_futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
    struct timespec t = to_timespec(deadline);
    /* The bitset form takes an absolute monotonic time, so a restart needs no arithmetic. */
    long rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
                      deadline == NND_PORT_FOREVER ? NULL : &t, NULL, FUTEX_BITSET_MATCH_ANY);
    return !(rc != 0 && errno == ETIMEDOUT);
}

void nnd_port_futex_wake(_Atomic uint32_t *word, uint32_t count)
{
    int n = count > (uint32_t)INT_MAX ? INT_MAX : (int)count;
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n, NULL, NULL, 0);
}

#endif

#endif
