/*
 * The workers of the process: threads that sleep until somebody gives them an order.
 *
 * A worker waits on one word of its own, the order. It says which gang's loop to help with (gang,
 * lane, generation), to run submitted tasks, or to stop. An order for a loop is an offer: a worker
 * that comes too late finds the loop closed or of another generation and goes back to sleep.
 * Nobody ever waits for a worker that has not begun, so one that the system keeps from running
 * delays nobody.
 *
 * Who has which worker is bookkeeping under one lock (sched.lock), taken when a gang is acquired
 * or released and when a task is submitted or ends, never inside a loop.
 */
#ifndef NND_SCHED_WORKER_H
#define NND_SCHED_WORKER_H

#include "nndeploy/sched.h"
#include "port/port.h"

#define NND_SCHED_MAX_THREADS 1024
#define NND_CACHE_LINE        64

/* How long a thread looks at a word before it sleeps, in nanoseconds. A worker inside a gang waits
   through the serial parts of a run: to be woken costs a tenth of a millisecond on a virtual
   machine, and the kernel may put it behind the caller on the same processor. The caller waits for
   a tile that somebody is at. An idle worker looks only long enough to catch an acquire after a
   release. */
#define NND_SPIN_GANG_NS   300000
#define NND_SPIN_CALLER_NS 50000
#define NND_SPIN_IDLE_NS   2000

typedef uint64_t nnd_order;
#define NND_ORDER_NONE  ((nnd_order)0)
#define NND_ORDER_TASKS 0xffffu /* in the place of a gang's index */
#define NND_ORDER_STOP  0xfffeu
static inline nnd_order nnd_order_make(uint32_t generation, uint32_t lane, uint32_t gang)
{
    return (nnd_order)generation << 32 | (nnd_order)lane << 16 | gang;
}

typedef struct nnd_worker nnd_worker;
struct nnd_worker {
    _Alignas(NND_CACHE_LINE) _Atomic nnd_order order;
    _Atomic uint32_t asleep;  /* 1 = wants to be woken; the futex word */
    _Atomic uint32_t in_gang; /* a further order is likely soon */
    uint32_t lane;            /* in its gang */
    nnd_worker *next;         /* in the idle stack or in its gang */
    nnd_port_thread *thread;
};

/* Per-thread state. */
typedef struct nnd_sched_thread {
    nnd_worker *worker; /* NULL in threads of the host program */
    int gangs_held;     /* counted gangs that this thread owns now */
    bool in_loop;       /* inside a tile function: gangs are gangs of one */
} nnd_sched_thread;
extern nnd_port_thread_local nnd_sched_thread nnd_sched_self;

/* Gives the worker an order and wakes it when it sleeps. */
void nnd_worker_order(nnd_worker *worker, nnd_order order);

/* Looks at a word until it differs from `old`, at most `ns` nanoseconds; false: it did not.
   Returns at once when the process has one processor. */
bool nnd_sched_spin(const _Atomic uint64_t *word, uint64_t old, int64_t ns);

/* Takes idle workers for a gang of at most max_threads (0 = the budget), starting some where the
   budget allows. The list is linked by `next`, with lanes from 1; returns its length. *counted:
   the calling thread was counted into the budget, which nnd_workers_give_back undoes. */
int nnd_workers_take(int max_threads, nnd_worker **list, bool *counted);
void nnd_workers_give_back(nnd_worker *list, bool counted);

/* gang.c: what a worker does with an order for a gang's loop; frees the gangs that are not used. */
void nnd_gang_help(nnd_order order);
void nnd_gang_shutdown(void);

/* Ends all workers and frees what the room holds; they start again on need. Runs at process exit;
   tests call it to prove that nothing stays behind. Tasks that have not begun are dropped, those
   that run are waited for, but not longer than two seconds. No effect inside a worker and in a
   child after fork, where the workers do not exist. */
void nnd_sched_shutdown(void);

#endif
