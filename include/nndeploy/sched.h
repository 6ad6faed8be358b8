/*
 * nndeploy/sched.h: the process's CPU budget, gangs, clock, cancel tokens, deadlines.
 *
 * Sections: 1 clock · 2 cancel tokens · 3 CPU budget · 4 gangs
 *
 * Part of nndeploy, Apache-2.0. Compiles alone as C11 and C++17.
 */
#ifndef NNDEPLOY_SCHED_H
#define NNDEPLOY_SCHED_H

#include "nndeploy/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- 1 clock --------------------------------------------------------------------------- */

#define NND_NO_DEADLINE INT64_MAX

/* Nanoseconds of the monotonic clock. Any thread. */
NND_API int64_t nnd_clock_now(void);
/* Nanoseconds since 1970-01-01 UTC. Any thread. */
NND_API int64_t nnd_clock_wall(void);

/* ---- 2 cancel tokens ------------------------------------------------------------------- */

/* A token that many parties look at and one or more trigger. Reference-counted, thread-safe.
   Cancelling a parent cancels its children, not the other way round. */
typedef struct nnd_cancel nnd_cancel;

NND_API nnd_status nnd_cancel_create(nnd_cancel *parent, nnd_cancel **out); /* parent may be NULL */
NND_API nnd_cancel *nnd_cancel_ref(nnd_cancel *token); /* takes NULL, gives NULL */
NND_API void nnd_cancel_unref(nnd_cancel *token);      /* takes NULL */
/* Triggers the token; a second call does nothing. Also callable from a signal handler when neither
   the token nor a descendant has callbacks (nnd_fence_wait with a token has one while it waits). */
NND_API void nnd_cancel_request(nnd_cancel *token);
/* Absolute nnd_clock_now() time after which nnd_cancel_check reports NND_E_TIMEOUT. */
NND_API void nnd_cancel_set_deadline(nnd_cancel *token, int64_t deadline_ns);
/* The earliest of it and its parents. */
NND_API int64_t nnd_cancel_deadline(const nnd_cancel *token);
/* NND_OK, NND_E_CANCELLED or NND_E_TIMEOUT, without touching the error record; a few
   nanoseconds (with a deadline, plus one look at the clock), never a lock, so kernels call it
   between tiles. NULL is never cancelled. */
NND_API nnd_status nnd_cancel_check(const nnd_cancel *token);
/* Calls fn(user) once when the token (or a parent) is cancelled: in the canceller's thread, or at
   once when it already is. Returns an id for nnd_cancel_forget (0 = no memory), which returns
   only when a callback under way in another thread has ended. Deadlines do not call back. */
NND_API uint64_t nnd_cancel_on(nnd_cancel *token, void (*fn)(void *user), void *user);
NND_API void nnd_cancel_forget(nnd_cancel *token, uint64_t id);

/* ---- 3 CPU budget ---------------------------------------------------------------------- */

/* One budget per process: the number of threads that may compute at the same time, the callers
   included. 0 asks for the default: affinity mask and cgroup quota, or NNDEPLOY_THREADS. Workers
   start on first need, sleep when idle, and end at process exit. Takes effect for gangs acquired
   afterwards. NND_E_LIMIT above 1024.
   fork: the workers stay with the parent. In the child, provided that no other thread was inside
   this room at the time of the fork, loops are done by their caller alone; nnd_sched_submit must
   not be used there before exec. */
NND_API nnd_status nnd_sched_set_threads(int threads);
NND_API int nnd_sched_threads(void);
/* Charges `threads` of a vendor's pool or worker process to the budget; gangs shrink accordingly
   (never below one). Give back with the negative number. */
NND_API void nnd_sched_charge(int threads);

typedef struct nnd_sched_stats {
    int budget;  /* threads, callers included */
    int charged; /* threads of foreign pools */
    int workers; /* started so far */
    int busy;    /* workers that belong to a gang or run a task now */
} nnd_sched_stats;
NND_API void nnd_sched_get_stats(nnd_sched_stats *out);

/* Runs fn(user) on an idle worker of the budget, or queues it until one is free. The task must
   not wait for another task. NND_E_OUT_OF_MEMORY only. Tasks that have not begun when the process
   exits are dropped; submitted by an exit handler, they run in the caller. */
NND_API nnd_status nnd_sched_submit(void (*fn)(void *user), void *user);

/* ---- 4 gangs --------------------------------------------------------------------------- */

/* A gang is the calling thread plus up to max_threads−1 workers that were idle; it works in
   lockstep on one parallel loop after another until released. What a loop computes never depends
   on the gang's size. Owned by the acquiring thread. Acquire never waits. */
typedef struct nnd_gang nnd_gang;

/* max_threads 0 = the whole budget. Inside a gang's loop the result is a gang of one, and so it is
   where workers are busy or cannot be had; fails only with NND_E_INVALID_ARGUMENT. */
NND_API nnd_status nnd_gang_acquire(int max_threads, nnd_gang **out);
NND_API void nnd_gang_release(nnd_gang *gang); /* takes NULL */
NND_API int nnd_gang_size(const nnd_gang *gang);

/* Tile function: does tile `index`; `lane` in [0, size) identifies per-thread scratch. A status
   other than NND_OK stops the loop; the first one (by tile index) is the loop's result and its
   error record becomes the caller's. */
typedef nnd_status (*nnd_tile_fn)(void *user, size_t index, int lane);
/* Runs fn for every index in [0, tiles); returns when all are done. Tiles begin in ascending order.
   Before each one `cancel` (may be NULL) is checked; once all have begun it has no effect. A failed
   tile goes before a cancellation. gang NULL = in the calling thread. */
NND_API nnd_status nnd_gang_for(nnd_gang *gang, size_t tiles, nnd_tile_fn fn, void *user,
                                const nnd_cancel *cancel);
/* Acquire + for + release. */
NND_API nnd_status nnd_parallel_for(size_t tiles, int max_threads, nnd_tile_fn fn, void *user,
                                    const nnd_cancel *cancel);

#ifdef __cplusplus
}
#endif
#endif
