/*
 * Pools: buffers that come back are kept for the next request of the same class.
 *
 * A class is a description with its size rounded up to one of a few steps per power of two, so
 * that sizes that vary a little share buffers. Kept buffers of a class are a stack; when the soft
 * limit is reached, those of the class that was idle longest go first.
 */
#include "base/size.h"
#include "device/device_internal.h"
#include "port/port.h"

struct nnd_pool_class {
    nnd_pool *pool;
    nnd_buffer_desc desc; /* resolved; bytes is the capacity */
    nnd_buffer *kept;
    uint64_t last_use; /* value of the pool's clock */
    nnd_pool_class *next;
};

struct nnd_pool {
    nnd_port_mutex lock;
    size_t soft_limit;
    bool destroyed;
    size_t live; /* buffers handed out */
    uint64_t clock;
    nnd_pool_class *classes;
    nnd_pool_stats stats;
};

nnd_status nnd_pool_create(size_t soft_limit, nnd_pool **out)
{
    if (!out) return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_pool_create: out is NULL");
    *out = NULL;
    nnd_pool *pool = nnd_calloc(1, sizeof *pool);
    if (!pool || nnd_port_mutex_init(&pool->lock) != NND_PORT_OK) {
        nnd_free(pool);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a pool");
    }
    pool->soft_limit = soft_limit;
    *out = pool;
    return NND_OK;
}

/* Frees a pool that has neither an owner nor live buffers. */
static void pool_free(nnd_pool *pool)
{
    while (pool->classes) {
        nnd_pool_class *class = pool->classes;
        pool->classes = class->next;
        nnd_free(class);
    }
    nnd_port_mutex_fini(&pool->lock);
    nnd_free(pool);
}

static void free_list(nnd_buffer *list)
{
    while (list) {
        nnd_buffer *buffer = list;
        list = buffer->next_kept;
        nnd_buffer_free(buffer);
    }
}

/* Moves one kept buffer of the class onto the list. */
static void drop_one(nnd_pool *pool, nnd_pool_class *class, nnd_buffer **list)
{
    nnd_buffer *buffer = class->kept;
    class->kept = buffer->next_kept;
    pool->stats.kept_bytes -= class->desc.bytes;
    buffer->next_kept = *list;
    *list = buffer;
}

void nnd_pool_destroy(nnd_pool *pool)
{
    if (!pool) return;
    nnd_buffer *list = NULL;
    nnd_port_mutex_lock(&pool->lock);
    pool->destroyed = true;
    for (nnd_pool_class *class = pool->classes; class; class = class->next)
        while (class->kept)
            drop_one(pool, class, &list);
    bool last = pool->live == 0;
    nnd_port_mutex_unlock(&pool->lock);
    free_list(list);
    if (last) pool_free(pool);
}

/* ---- getting ------------------------------------------------------------------------------- */

static bool class_capacity(size_t bytes, size_t *out)
{
    size_t step = 64;
    while (step < bytes / 16)
        step *= 2;
    return nnd_size_align(bytes, step, out);
}

static nnd_pool_class *find_class(nnd_pool *pool, const nnd_buffer_desc *desc, size_t capacity)
{
    for (nnd_pool_class *class = pool->classes; class; class = class->next) {
        const nnd_buffer_desc *d = &class->desc;
        if (d->bytes == capacity && d->kind == desc->kind && d->device == desc->device &&
            d->alignment == desc->alignment && d->padding == desc->padding)
            return class;
    }
    nnd_pool_class *class = nnd_calloc(1, sizeof *class);
    if (!class) return NULL;
    class->pool = pool;
    class->desc = *desc;
    class->desc.bytes = capacity;
    class->next = pool->classes;
    pool->classes = class;
    return class;
}

/* A kept buffer of the class, or NULL; counts the request either way. */
static nnd_buffer *take_kept(nnd_pool *pool, nnd_pool_class *class)
{
    nnd_buffer *buffer = class->kept;
    if (buffer) {
        class->kept = buffer->next_kept;
        buffer->next_kept = NULL;
        pool->stats.kept_bytes -= class->desc.bytes;
        pool->stats.hits++;
    } else {
        pool->stats.misses++;
    }
    class->last_use = ++pool->clock;
    pool->live++;
    pool->stats.live_bytes += class->desc.bytes;
    return buffer;
}

static void forget_live(nnd_pool *pool, const nnd_pool_class *class)
{
    pool->live--;
    pool->stats.live_bytes -= class->desc.bytes;
}

nnd_status nnd_pool_get(nnd_pool *pool, const nnd_buffer_desc *desc, nnd_buffer **out)
{
    if (!pool || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_pool_get: pool or out is NULL");
    *out = NULL;
    nnd_buffer_desc resolved;
    NND_TRY(nnd_buffer_desc_resolve(desc, &resolved));
    size_t capacity;
    if (!class_capacity(resolved.bytes, &capacity))
        return nnd_error_set(NND_E_OVERFLOW, "a buffer of %zu bytes is not possible",
                             resolved.bytes);

    nnd_port_mutex_lock(&pool->lock);
    nnd_pool_class *class = find_class(pool, &resolved, capacity);
    nnd_buffer *buffer = class ? take_kept(pool, class) : NULL;
    nnd_port_mutex_unlock(&pool->lock);
    if (!class) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a pool's class");

    if (buffer) {
        atomic_store_explicit(&buffer->refs, 1, memory_order_relaxed);
        buffer->bytes = resolved.bytes;
    } else {
        nnd_status status = nnd_buffer_create_sized(&resolved, capacity, &buffer);
        if (status != NND_OK) {
            nnd_port_mutex_lock(&pool->lock);
            forget_live(pool, class);
            nnd_port_mutex_unlock(&pool->lock);
            return status;
        }
        buffer->pool_class = class;
    }
    *out = buffer;
    return NND_OK;
}

/* ---- taking back --------------------------------------------------------------------------- */

/* The class with kept buffers that was idle longest, other than `except`. */
static nnd_pool_class *stalest_class(nnd_pool *pool, const nnd_pool_class *except)
{
    nnd_pool_class *stalest = NULL;
    for (nnd_pool_class *class = pool->classes; class; class = class->next)
        if (class != except && class->kept && (!stalest || class->last_use < stalest->last_use))
            stalest = class;
    return stalest;
}

/* Makes room below the soft limit; what has to go is put on the list. */
static bool make_room(nnd_pool *pool, const nnd_pool_class *class, nnd_buffer **list)
{
    size_t bytes = class->desc.bytes;
    if (bytes > pool->soft_limit) return false;
    while (pool->stats.kept_bytes > pool->soft_limit - bytes) {
        nnd_pool_class *stalest = stalest_class(pool, class);
        if (!stalest) return false;
        drop_one(pool, stalest, list);
    }
    return true;
}

void nnd_pool_take_back(nnd_buffer *buffer)
{
    nnd_pool_class *class = buffer->pool_class;
    nnd_pool *pool = class->pool;
    nnd_buffer *list = NULL;
    nnd_port_mutex_lock(&pool->lock);
    forget_live(pool, class);
    if (!pool->destroyed && make_room(pool, class, &list)) {
        buffer->next_kept = class->kept;
        class->kept = buffer;
        pool->stats.kept_bytes += class->desc.bytes;
    } else {
        buffer->next_kept = list;
        list = buffer;
    }
    bool last = pool->destroyed && pool->live == 0;
    nnd_port_mutex_unlock(&pool->lock);
    free_list(list);
    if (last) pool_free(pool);
}

void nnd_pool_get_stats(const nnd_pool *pool, nnd_pool_stats *out)
{
    if (!pool || !out) return;
    nnd_port_mutex *lock = (nnd_port_mutex *)&pool->lock;
    nnd_port_mutex_lock(lock);
    *out = pool->stats;
    nnd_port_mutex_unlock(lock);
}
