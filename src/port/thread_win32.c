/* Threads, locks and time on Windows. */
#include "port/internal.h"

#if defined(_WIN32)

#include <process.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

int64_t nnd_port_now(void)
{
    static LARGE_INTEGER frequency; /* the same value whoever stores it */
    LARGE_INTEGER count;
    LARGE_INTEGER per_second = frequency;
    if (per_second.QuadPart == 0) {
        QueryPerformanceFrequency(&per_second);
        frequency = per_second;
    }
    QueryPerformanceCounter(&count);
    int64_t seconds = count.QuadPart / per_second.QuadPart;
    int64_t rest = count.QuadPart % per_second.QuadPart;
    return seconds * 1000000000 + rest * 1000000000 / per_second.QuadPart;
}

int64_t nnd_port_wall_now(void)
{
    /* File time counts 100 ns from 1601. */
    const int64_t epoch = INT64_C(116444736000000000);
    FILETIME t;
    GetSystemTimePreciseAsFileTime(&t);
    int64_t ticks = (int64_t)((uint64_t)t.dwHighDateTime << 32 | t.dwLowDateTime);
    return (ticks - epoch) * 100;
}

static DWORD to_ms(int64_t ns)
{
    if (ns <= 0) return 0;
    int64_t ms = ns / 1000000 + (ns % 1000000 != 0);
    return ms >= (int64_t)INFINITE ? INFINITE - 1 : (DWORD)ms;
}

void nnd_port_sleep(int64_t ns)
{
    Sleep(to_ms(ns));
}

struct nnd_port_thread {
    HANDLE handle;
    void (*entry)(void *arg);
    void *arg;
    char name[16];
};

void nnd_port_thread_set_name(const char *name)
{
    /* SetThreadDescription exists since Windows 10 1607; look it up, as older ones lack it. */
    typedef HRESULT(WINAPI * describe_fn)(HANDLE, PCWSTR);
    if (!name) return;
    HMODULE kernel = GetModuleHandleW(L"kernel32.dll");
    void *symbol = kernel ? (void *)GetProcAddress(kernel, "SetThreadDescription") : NULL;
    wchar_t *wide = symbol ? nnd_port_wide(name) : NULL;
    if (!wide) return;
    describe_fn describe;
    memcpy(&describe, &symbol, sizeof(describe));
    describe(GetCurrentThread(), wide);
    nnd_port_free(wide);
}

static unsigned __stdcall thread_main(void *context)
{
    nnd_port_thread *thread = context;
    if (thread->name[0]) nnd_port_thread_set_name(thread->name);
    thread->entry(thread->arg);
    return 0;
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
    thread->handle = (HANDLE)_beginthreadex(NULL, 0, thread_main, thread, 0, NULL);
    if (!thread->handle) {
        nnd_port_free(thread);
        return NND_PORT_E_LIMIT;
    }
    *out = thread;
    return 0;
}

void nnd_port_thread_join(nnd_port_thread *thread)
{
    if (!thread) return;
    WaitForSingleObject(thread->handle, INFINITE);
    CloseHandle(thread->handle);
    nnd_port_free(thread);
}

uint64_t nnd_port_thread_id(void)
{
    return GetCurrentThreadId();
}

void nnd_port_yield(void)
{
    SwitchToThread();
}

/* Fiber-local slots are the ones with a destructor. It is called with the value alone, as ours. */
int nnd_port_tls_create(void (*destructor)(void *value), nnd_port_tls *out)
{
    DWORD slot = FlsAlloc((PFLS_CALLBACK_FUNCTION)(uintptr_t)destructor);
    if (slot == FLS_OUT_OF_INDEXES) return NND_PORT_E_LIMIT;
    out->key = slot;
    return 0;
}

int nnd_port_tls_set(nnd_port_tls tls, void *value)
{
    return FlsSetValue((DWORD)tls.key, value) ? 0 : NND_PORT_E_MEMORY;
}

void *nnd_port_tls_get(nnd_port_tls tls)
{
    return FlsGetValue((DWORD)tls.key);
}

/* The slim lock and the condition variable of Windows are one pointer each and need no cleaning. */
_Static_assert(sizeof(SRWLOCK) == sizeof(nnd_port_mutex), "layout of nnd_port_mutex");
_Static_assert(sizeof(CONDITION_VARIABLE) == sizeof(nnd_port_cond), "layout of nnd_port_cond");
_Static_assert(sizeof(INIT_ONCE) == sizeof(nnd_port_once), "layout of nnd_port_once");

static SRWLOCK *lock_of(nnd_port_mutex *mutex)
{
    return (SRWLOCK *)(void *)&mutex->lock;
}

static CONDITION_VARIABLE *variable_of(nnd_port_cond *cond)
{
    return (CONDITION_VARIABLE *)(void *)&cond->variable;
}

int nnd_port_mutex_init(nnd_port_mutex *mutex)
{
    InitializeSRWLock(lock_of(mutex));
    return 0;
}

void nnd_port_mutex_fini(nnd_port_mutex *mutex)
{
    (void)mutex;
}

void nnd_port_mutex_lock(nnd_port_mutex *mutex)
{
    AcquireSRWLockExclusive(lock_of(mutex));
}

bool nnd_port_mutex_try_lock(nnd_port_mutex *mutex)
{
    return TryAcquireSRWLockExclusive(lock_of(mutex)) != 0;
}

void nnd_port_mutex_unlock(nnd_port_mutex *mutex)
{
    ReleaseSRWLockExclusive(lock_of(mutex));
}

int nnd_port_cond_init(nnd_port_cond *cond)
{
    InitializeConditionVariable(variable_of(cond));
    return 0;
}

void nnd_port_cond_fini(nnd_port_cond *cond)
{
    (void)cond;
}

bool nnd_port_cond_wait(nnd_port_cond *cond, nnd_port_mutex *mutex, int64_t deadline)
{
    DWORD ms = INFINITE;
    if (deadline != NND_PORT_FOREVER) ms = deadline < 0 ? 0 : to_ms(deadline - nnd_port_now());
    if (SleepConditionVariableSRW(variable_of(cond), lock_of(mutex), ms, 0)) return true;
    /* Windows may end a wait a little early; that counts as a wake without reason. */
    return deadline >= 0 && nnd_port_now() < deadline;
}

void nnd_port_cond_signal(nnd_port_cond *cond)
{
    WakeConditionVariable(variable_of(cond));
}

void nnd_port_cond_broadcast(nnd_port_cond *cond)
{
    WakeAllConditionVariable(variable_of(cond));
}

static BOOL CALLBACK run_once(PINIT_ONCE once, PVOID fn, PVOID *context)
{
    void (*function)(void);
    (void)once;
    (void)context;
    memcpy(&function, fn, sizeof(function));
    function();
    return TRUE;
}

void nnd_port_once_run(nnd_port_once *once, void (*fn)(void))
{
    InitOnceExecuteOnce((INIT_ONCE *)(void *)&once->state, run_once, &fn, NULL);
}

#endif
