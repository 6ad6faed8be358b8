#include "engine/runtime/shared_arena.h"

#include "port/port.h"

static struct {
    nnd_port_mutex lock;
    size_t models;
    nnd_shared_block *idle; /* the one used last first: it is the warmest */
} pool = {.lock = NND_PORT_MUTEX_INIT};

static void destroy(nnd_shared_block *block)
{
    nnd_block_fini(&block->arena);
    nnd_block_fini(&block->lanes);
    nnd_free(block);
}

void nnd_shared_arena_join(void)
{
    nnd_port_mutex_lock(&pool.lock);
    pool.models++;
    nnd_port_mutex_unlock(&pool.lock);
}

void nnd_shared_arena_leave(void)
{
    nnd_shared_block *rest = NULL;
    nnd_port_mutex_lock(&pool.lock);
    if (--pool.models == 0) {
        rest = pool.idle;
        pool.idle = NULL;
    }
    nnd_port_mutex_unlock(&pool.lock);
    while (rest) {
        nnd_shared_block *next = rest->next;
        destroy(rest);
        rest = next;
    }
}

nnd_status nnd_shared_arena_borrow(nnd_shared_block **out)
{
    nnd_port_mutex_lock(&pool.lock);
    *out = pool.idle;
    if (pool.idle) pool.idle = pool.idle->next;
    nnd_port_mutex_unlock(&pool.lock);
    if (!*out) *out = nnd_calloc(1, sizeof **out);
    return *out ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for activations");
}

void nnd_shared_arena_give_back(nnd_shared_block *block)
{
    nnd_port_mutex_lock(&pool.lock);
    block->next = pool.idle;
    pool.idle = block;
    nnd_port_mutex_unlock(&pool.lock);
}

size_t nnd_shared_arena_bytes(void)
{
    size_t sum = 0;
    nnd_port_mutex_lock(&pool.lock);
    for (const nnd_shared_block *b = pool.idle; b; b = b->next)
        sum += b->arena.bytes + b->lanes.bytes;
    nnd_port_mutex_unlock(&pool.lock);
    return sum;
}
