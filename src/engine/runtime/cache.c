#include "base/memory.h"
#include "engine/runtime/exec.h"

/* Shapes that a sub-graph may see in one run: iterations whose values grow have one each. */
enum { PLANS_PER_BODY = 4 };

static size_t count_bodies(const nnd_graph *g)
{
    size_t n = 0;
    for (const nnd_graph *child = g->children; child; child = child->sibling)
        n += 1 + count_bodies(child);
    return n;
}

size_t nnd_plan_cache_limit(const nnd_graph *graph)
{
    size_t bodies = count_bodies(graph);
    if (bodies > (NND_PLAN_CACHE_MOST - NND_PLAN_CACHE_LEAST) / PLANS_PER_BODY)
        return NND_PLAN_CACHE_MOST;
    return NND_PLAN_CACHE_LEAST + PLANS_PER_BODY * bodies;
}

/* Room for one more plan; the table doubles. */
static nnd_status grow(nnd_plan_cache *cache)
{
    if (cache->count < cache->capacity) return NND_OK;
    size_t capacity = cache->capacity ? 2 * cache->capacity : 4;
    nnd_cached_plan *entries = nnd_realloc(cache->entries, capacity * sizeof(*entries));
    if (!entries) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for execution plans");
    cache->entries = entries;
    cache->capacity = capacity;
    return NND_OK;
}

/* The entry that a new plan goes into: one more, or that of the plan used longest ago. */
static nnd_status find_room(nnd_plan_cache *cache, size_t *out)
{
    size_t limit = cache->limit ? cache->limit : NND_PLAN_CACHE_LEAST;
    *out = cache->count;
    if (cache->count < limit) return grow(cache);
    for (size_t i = 0; i < cache->count; i++) {
        const nnd_cached_plan *e = &cache->entries[i];
        if (e->pins) continue;
        if (*out == cache->count || e->used < cache->entries[*out].used) *out = i;
    }
    if (*out < cache->count) return NND_OK;
    return nnd_error_set(NND_E_LIMIT, "sub-graphs are nested more than %zu deep at run time",
                         limit);
}

nnd_status nnd_plan_cache_get(nnd_plan_cache *cache, nnd_graph *graph, const nnd_tensor *inputs,
                              nnd_plan **out)
{
    for (size_t i = 0; i < cache->count; i++) {
        nnd_cached_plan *e = &cache->entries[i];
        if (!nnd_plan_matches(e->plan, graph, inputs)) continue;
        e->pins++;
        e->used = ++cache->clock;
        *out = e->plan;
        return NND_OK;
    }
    size_t at;
    nnd_plan *plan;
    NND_TRY(find_room(cache, &at));
    NND_TRY(nnd_plan_create(graph, inputs, &cache->options, &plan));
    if (at == cache->count)
        cache->count++;
    else
        nnd_plan_destroy(cache->entries[at].plan);
    cache->entries[at] = (nnd_cached_plan){plan, 1, ++cache->clock};
    *out = plan;
    return NND_OK;
}

void nnd_plan_cache_unpin(nnd_plan_cache *cache, const nnd_plan *plan)
{
    for (size_t i = 0; i < cache->count; i++)
        if (cache->entries[i].plan == plan && cache->entries[i].pins) cache->entries[i].pins--;
}

void nnd_plan_cache_fini(nnd_plan_cache *cache)
{
    for (size_t i = 0; i < cache->count; i++)
        nnd_plan_destroy(cache->entries[i].plan);
    nnd_free(cache->entries);
    cache->entries = NULL;
    cache->count = cache->capacity = 0;
}

nnd_status nnd_block_reserve(nnd_block *block, size_t bytes)
{
    if (bytes <= block->bytes) return NND_OK;
    nnd_free_aligned(block->data);
    block->bytes = 0;
    block->data = nnd_alloc_large(bytes);
    if (!block->data)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for %zu bytes of activations", bytes);
    block->bytes = bytes;
    return NND_OK;
}

void nnd_block_fini(nnd_block *block)
{
    nnd_free_aligned(block->data);
    *block = (nnd_block){0};
}
