/*
 * Out-of-memory injection and leak count for tests:
 *
 *     oom_begin();
 *     for (long n = 0;; n++) {
 *         oom_fail_after(n);            // the n-th allocation from now on fails, and all later
 * ones nnd_status status = work(); bool was_hit = oom_hit(); oom_never(); …check… if (!was_hit)
 * break;          // all failures were tried
 *     }
 *     assert_int_equal(oom_live_blocks(), …);
 *     oom_end();
 *
 * Counters are atomic; the countdown counts allocations of all threads.
 */
#ifndef NND_TEST_OOM_H
#define NND_TEST_OOM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "nndeploy/base.h"

static atomic_long oom_left = -1; /* allocations until failure; -1 = never */
static atomic_bool oom_was_hit;
static atomic_long oom_live;
static atomic_llong oom_bytes; /* bytes asked for since oom_begin, a resize counts in full */

static inline bool oom_refuses(void)
{
    long left = atomic_load(&oom_left);
    while (left > 0 && !atomic_compare_exchange_weak(&oom_left, &left, left - 1)) {}
    if (left == 0) atomic_store(&oom_was_hit, true);
    return left == 0;
}

static inline void *oom_alloc(void *user, size_t size)
{
    (void)user;
    if (oom_refuses()) return NULL;
    void *block = malloc(size ? size : 1);
    if (block) {
        atomic_fetch_add(&oom_live, 1);
        atomic_fetch_add(&oom_bytes, (long long)size);
    }
    return block;
}

static inline void *oom_resize(void *user, void *block, size_t size)
{
    (void)user;
    if (oom_refuses()) return NULL;
    void *grown = realloc(block, size ? size : 1);
    if (grown && !block) atomic_fetch_add(&oom_live, 1);
    if (grown) atomic_fetch_add(&oom_bytes, (long long)size);
    return grown;
}

static inline void oom_release(void *user, void *block)
{
    (void)user;
    if (block) atomic_fetch_sub(&oom_live, 1);
    free(block);
}

static inline void oom_never(void)
{
    atomic_store(&oom_left, -1);
}

static inline void oom_begin(void)
{
    static const nnd_allocator allocator = {oom_alloc, oom_resize, oom_release, NULL};
    nnd_error_clear();
    oom_never();
    atomic_store(&oom_live, 0);
    atomic_store(&oom_bytes, 0);
    nnd_set_allocator(&allocator);
}

/* The default allocator again; blocks made meanwhile have to be gone. */
static inline void oom_end(void)
{
    oom_never();
    nnd_error_clear();
    nnd_set_allocator(NULL);
}

static inline void oom_fail_after(long n)
{
    atomic_store(&oom_was_hit, false);
    atomic_store(&oom_left, n);
}

static inline bool oom_hit(void)
{
    return atomic_load(&oom_was_hit);
}

static inline long oom_live_blocks(void)
{
    return atomic_load(&oom_live);
}

#endif
