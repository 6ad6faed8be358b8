/* The CPU budget, the workers that live in it, and submitted tasks. */
#include "sched/worker.h"

#include <stdlib.h>

typedef struct task {
    void (*fn)(void *user);
    void *user;
} task;

static struct {
    nnd_port_mutex lock;
    int budget; /* 0 = not determined yet */
    int charged;
    int callers; /* threads of the host program that own a gang */
    int busy;    /* workers in gangs or running tasks */
    int count;   /* workers started */
    bool stopping;
    bool exiting;
    bool exit_registered;
    uint64_t process; /* that the workers belong to */
    uint32_t generation;
    nnd_worker *idle; /* most recently used first: its cache is warm */
    nnd_worker *workers[NND_SCHED_MAX_THREADS];

    /* tasks that wait for a worker: a ring */
    task *tasks;
    size_t task_first;
    size_t task_count;
    size_t task_capacity;
} sched = {.lock = NND_PORT_MUTEX_INIT};

static _Atomic uint32_t live_workers; /* futex word of the shutdown */
static _Atomic bool may_spin;         /* more than one processor */
static _Atomic bool workers_must_end; /* outlives an order that somebody overwrites */

nnd_port_thread_local nnd_sched_thread nnd_sched_self;

/* ---- waiting ------------------------------------------------------------------------------- */

bool nnd_sched_spin(const _Atomic uint64_t *word, uint64_t old, int64_t ns)
{
    if (!atomic_load_explicit(&may_spin, memory_order_relaxed)) return false;
    int64_t end = 0;
    for (uint32_t i = 1;; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != old) return true;
        nnd_port_cpu_relax();
        if (i % 16 != 0) continue; /* the clock costs more than the look */
        int64_t now = nnd_port_now();
        if (end == 0) end = now + ns;
        if (now >= end) return false;
    }
}

void nnd_worker_order(nnd_worker *worker, nnd_order order)
{
    /* Sequentially consistent with the worker, which sets `asleep` first and reads the order
       afterwards: it sees the order, or we see that it sleeps. */
    atomic_store(&worker->order, order);
    if (atomic_load(&worker->asleep) && atomic_exchange(&worker->asleep, 0))
        nnd_port_futex_wake(&worker->asleep, 1);
}

static nnd_order wait_for_order(nnd_worker *self, nnd_order seen)
{
    bool in_gang = atomic_load_explicit(&self->in_gang, memory_order_relaxed);
    nnd_sched_spin(&self->order, seen, in_gang ? NND_SPIN_GANG_NS : NND_SPIN_IDLE_NS);
    nnd_order order;
    while ((order = atomic_load(&self->order)) == seen) {
        atomic_store(&self->asleep, 1);
        if (atomic_load(&self->order) == seen)
            nnd_port_futex_wait(&self->asleep, 1, NND_PORT_FOREVER);
        atomic_store(&self->asleep, 0);
    }
    return order;
}

/* ---- budget (the functions below want the lock) -------------------------------------------- */

static int default_budget(void)
{
    uint32_t processors = nnd_port_cpu_count();
    char text[16];
    if (nnd_port_env_copy("NNDEPLOY_THREADS", text, sizeof text)) {
        char *end;
        long n = strtol(text, &end, 10);
        if (end != text && *end == '\0' && n >= 1 && n <= NND_SCHED_MAX_THREADS) return (int)n;
        nnd_log(NND_LOG_WARN, "sched", "NNDEPLOY_THREADS='%s' is no number from 1 to %d; using %u",
                text, NND_SCHED_MAX_THREADS, processors);
    }
    return processors < NND_SCHED_MAX_THREADS ? (int)processors : NND_SCHED_MAX_THREADS;
}

static void determine_budget(void)
{
    if (sched.budget > 0) return;
    sched.budget = default_budget();
    atomic_store_explicit(&may_spin, nnd_port_cpu_count() > 1, memory_order_relaxed);
}

/* Threads that may compute at the same time. */
static int budget_limit(void)
{
    int limit = sched.budget - sched.charged;
    return limit < 1 ? 1 : limit;
}

/* ---- workers ------------------------------------------------------------------------------- */

static bool take_task(task *out)
{
    if (sched.task_count == 0) return false;
    *out = sched.tasks[sched.task_first];
    sched.task_first = (sched.task_first + 1) % sched.task_capacity;
    sched.task_count--;
    return true;
}

static void run_tasks(nnd_worker *self)
{
    task t;
    nnd_port_mutex_lock(&sched.lock);
    /* The budget may have shrunk meanwhile; one worker always goes on. */
    while (!sched.stopping && (sched.busy == 1 || sched.busy + sched.callers <= budget_limit()) &&
           take_task(&t)) {
        nnd_port_mutex_unlock(&sched.lock);
        t.fn(t.user);
        nnd_port_mutex_lock(&sched.lock);
    }
    sched.busy--;
    self->next = sched.idle;
    sched.idle = self;
    nnd_port_mutex_unlock(&sched.lock);
}

static void worker_main(void *arg)
{
    nnd_worker *self = arg;
    nnd_sched_self.worker = self;
    nnd_order order = NND_ORDER_NONE;
    while (!atomic_load(&workers_must_end)) {
        order = wait_for_order(self, order);
        uint32_t what = (uint32_t)(order & 0xffff);
        if (what == NND_ORDER_TASKS) {
            run_tasks(self);
        } else if (what != NND_ORDER_STOP) {
            nnd_gang_help(order);
        }
    }
    nnd_error_clear();
    atomic_fetch_sub(&live_workers, 1);
    nnd_port_futex_wake(&live_workers, UINT32_MAX);
}

static void shutdown_at_exit(void)
{
    nnd_port_mutex_lock(&sched.lock);
    sched.exiting = true;
    nnd_port_mutex_unlock(&sched.lock);
    nnd_sched_shutdown();
}

static nnd_worker *start_worker(void)
{
    if (sched.exiting || sched.count >= NND_SCHED_MAX_THREADS) return NULL;
    if (!sched.exit_registered) {
        if (atexit(shutdown_at_exit) != 0) return NULL;
        sched.exit_registered = true;
    }
    nnd_worker *worker = nnd_alloc_aligned(sizeof *worker, NND_CACHE_LINE);
    if (!worker) return NULL;
    atomic_init(&worker->order, NND_ORDER_NONE);
    atomic_init(&worker->asleep, 0);
    atomic_init(&worker->in_gang, 0);
    worker->next = NULL;
    atomic_fetch_add(&live_workers, 1);
    if (nnd_port_thread_create("nnd-worker", worker_main, worker, &worker->thread) != NND_PORT_OK) {
        atomic_fetch_sub(&live_workers, 1);
        nnd_free_aligned(worker);
        return NULL;
    }
    if (sched.count == 0) sched.process = nnd_port_process_id();
    sched.workers[sched.count++] = worker;
    return worker;
}

/* An idle worker, else a new one, now busy; NULL when there is neither. */
static nnd_worker *engage_worker(void)
{
    if (sched.stopping) return NULL;
    nnd_worker *worker = sched.idle;
    if (worker) {
        sched.idle = worker->next;
    } else {
        worker = start_worker();
    }
    if (worker) sched.busy++;
    return worker;
}

/* Puts workers to the tasks that wait, as far as the budget goes; one worker may always run. */
static void dispatch_tasks(void)
{
    for (size_t n = sched.task_count; n > 0; n--) {
        if (sched.busy > 0 && sched.busy + sched.callers >= budget_limit()) return;
        nnd_worker *worker = engage_worker();
        if (!worker) return;
        nnd_worker_order(worker, nnd_order_make(++sched.generation, 0, NND_ORDER_TASKS));
    }
}

int nnd_workers_take(int max_threads, nnd_worker **list, bool *counted)
{
    int taken = 0;
    *list = NULL;
    nnd_port_mutex_lock(&sched.lock);
    determine_budget();
    *counted = !nnd_sched_self.worker && nnd_sched_self.gangs_held == 0;
    if (*counted) {
        sched.callers++;
        nnd_sched_self.gangs_held++;
    }
    int limit = budget_limit();
    int want = max_threads == 0 || max_threads > limit ? limit - 1 : max_threads - 1;
    while (taken < want && sched.busy + sched.callers < limit) {
        nnd_worker *worker = engage_worker();
        if (!worker) break;
        atomic_store_explicit(&worker->in_gang, 1, memory_order_relaxed);
        worker->lane = (uint32_t)++taken;
        worker->next = *list;
        *list = worker;
    }
    nnd_port_mutex_unlock(&sched.lock);
    return taken;
}

void nnd_workers_give_back(nnd_worker *list, bool counted)
{
    nnd_port_mutex_lock(&sched.lock);
    if (counted) {
        sched.callers--;
        nnd_sched_self.gangs_held--;
    }
    while (list) {
        nnd_worker *worker = list;
        list = worker->next;
        atomic_store_explicit(&worker->in_gang, 0, memory_order_relaxed);
        worker->next = sched.idle;
        sched.idle = worker;
        sched.busy--;
    }
    dispatch_tasks();
    nnd_port_mutex_unlock(&sched.lock);
}

/* ---- public -------------------------------------------------------------------------------- */

nnd_status nnd_sched_set_threads(int threads)
{
    if (threads < 0)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "a budget of %d threads is not possible; 0 "
                             "asks for the default",
                             threads);
    if (threads > NND_SCHED_MAX_THREADS)
        return nnd_error_set(NND_E_LIMIT, "a budget of %d threads is above the limit of %d",
                             threads, NND_SCHED_MAX_THREADS);
    nnd_port_mutex_lock(&sched.lock);
    sched.budget = 0;
    determine_budget();
    if (threads > 0) sched.budget = threads;
    dispatch_tasks();
    nnd_port_mutex_unlock(&sched.lock);
    return NND_OK;
}

int nnd_sched_threads(void)
{
    nnd_port_mutex_lock(&sched.lock);
    determine_budget();
    int budget = sched.budget;
    nnd_port_mutex_unlock(&sched.lock);
    return budget;
}

void nnd_sched_charge(int threads)
{
    nnd_port_mutex_lock(&sched.lock);
    determine_budget();
    sched.charged += threads;
    if (sched.charged < 0) sched.charged = 0;
    dispatch_tasks();
    nnd_port_mutex_unlock(&sched.lock);
}

void nnd_sched_get_stats(nnd_sched_stats *out)
{
    if (!out) return;
    nnd_port_mutex_lock(&sched.lock);
    determine_budget();
    *out = (nnd_sched_stats){.budget = sched.budget,
                             .charged = sched.charged,
                             .workers = sched.count,
                             .busy = sched.busy};
    nnd_port_mutex_unlock(&sched.lock);
}

static bool push_task(task t)
{
    if (sched.task_count == sched.task_capacity) {
        size_t capacity = sched.task_capacity ? 2 * sched.task_capacity : 64;
        task *tasks = nnd_calloc(capacity, sizeof *tasks);
        if (!tasks) return false;
        for (size_t i = 0; i < sched.task_count; i++)
            tasks[i] = sched.tasks[(sched.task_first + i) % sched.task_capacity];
        nnd_free(sched.tasks);
        sched.tasks = tasks;
        sched.task_first = 0;
        sched.task_capacity = capacity;
    }
    sched.tasks[(sched.task_first + sched.task_count++) % sched.task_capacity] = t;
    return true;
}

nnd_status nnd_sched_submit(void (*fn)(void *user), void *user)
{
    if (!fn) return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_sched_submit: fn is NULL");
    nnd_worker *worker = NULL;
    nnd_order order = NND_ORDER_NONE;
    nnd_port_mutex_lock(&sched.lock);
    determine_budget();
    bool inline_only = sched.exiting;
    bool queued = !inline_only && push_task((task){fn, user});
    if (queued && (sched.busy == 0 || sched.busy + sched.callers < budget_limit())) {
        worker = engage_worker();
        if (worker) order = nnd_order_make(++sched.generation, 0, NND_ORDER_TASKS);
        if (!worker && sched.busy == 0) {
            /* No thread could be started and nobody is there who would come for the task. */
            sched.task_count--;
            queued = false;
        }
    }
    nnd_port_mutex_unlock(&sched.lock);

    if (worker) nnd_worker_order(worker, order);
    if (inline_only) fn(user); /* the process is ending and has no workers any more */
    if (queued || inline_only) return NND_OK;
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory or no thread for a task");
}

/* ---- the end ------------------------------------------------------------------------------- */

static bool wait_for_workers_to_end(void)
{
    int64_t deadline = nnd_port_now() + 2 * INT64_C(1000000000);
    uint32_t left;
    while ((left = atomic_load(&live_workers)) != 0) {
        if (nnd_port_now() >= deadline) return false;
        nnd_port_futex_wait(&live_workers, left, deadline);
    }
    return true;
}

void nnd_sched_shutdown(void)
{
    if (nnd_sched_self.worker) return;
    nnd_port_mutex_lock(&sched.lock);
    bool ours = sched.process == nnd_port_process_id();
    if (!ours || sched.stopping) {
        nnd_port_mutex_unlock(&sched.lock);
        return;
    }
    sched.stopping = true; /* nobody engages a worker from here on */
    atomic_store(&workers_must_end, true);
    for (int i = 0; i < sched.count; i++)
        nnd_worker_order(sched.workers[i], nnd_order_make(++sched.generation, 0, NND_ORDER_STOP));
    nnd_port_mutex_unlock(&sched.lock);
    if (!wait_for_workers_to_end()) return;

    for (int i = 0; i < sched.count; i++)
        nnd_port_thread_join(sched.workers[i]->thread);
    nnd_port_mutex_lock(&sched.lock);
    /* A thread that still owns a gang may look at its workers; then the memory stays. */
    if (sched.callers == 0) {
        for (int i = 0; i < sched.count; i++)
            nnd_free_aligned(sched.workers[i]);
        nnd_gang_shutdown();
        nnd_free(sched.tasks);
        sched.tasks = NULL;
        sched.task_first = sched.task_count = sched.task_capacity = 0;
        sched.idle = NULL;
        sched.busy = 0;
        sched.count = 0;
        sched.stopping = false;
        atomic_store(&workers_must_end, false);
    }
    nnd_port_mutex_unlock(&sched.lock);
}
