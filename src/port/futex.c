/* Waiting on a word where the system has no futex: a small table of locks chosen by the address.
   A wake may reach more threads than asked for, which the contract allows. */
#include "port/internal.h"

#if !defined(__linux__)

enum { BUCKETS = 64 };

static struct {
    nnd_port_mutex lock;
    nnd_port_cond cond;
} buckets[BUCKETS];
static nnd_port_once once = NND_PORT_ONCE_INIT;

static void start(void)
{
    for (int i = 0; i < BUCKETS; i++) {
        nnd_port_mutex_init(&buckets[i].lock);
        nnd_port_cond_init(&buckets[i].cond);
    }
}

static size_t bucket_of(const void *word)
{
    nnd_port_once_run(&once, start);
    uintptr_t address = (uintptr_t)word;
    return (size_t)((address >> 2) ^ (address >> 9)) % BUCKETS;
}

bool nnd_port_futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
    size_t i = bucket_of((const void *)word);
    bool in_time = true;
    nnd_port_mutex_lock(&buckets[i].lock);
    if (atomic_load(word) == expected)
        in_time = nnd_port_cond_wait(&buckets[i].cond, &buckets[i].lock, deadline);
    nnd_port_mutex_unlock(&buckets[i].lock);
    return in_time;
}

void nnd_port_futex_wake(_Atomic uint32_t *word, uint32_t count)
{
    if (count == 0) return;
    size_t i = bucket_of((const void *)word);
    nnd_port_mutex_lock(&buckets[i].lock);
    nnd_port_cond_broadcast(&buckets[i].cond);
    nnd_port_mutex_unlock(&buckets[i].lock);
}

#endif
