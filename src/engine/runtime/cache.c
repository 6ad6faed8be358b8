#include "engine/runtime/exec.h"

nnd_status nnd_plan_cache_get(nnd_plan_cache *cache, nnd_graph *graph, const nnd_tensor *inputs,
                              nnd_plan **out)
{
    size_t oldest = NND_PLAN_CACHE_SIZE;
    for (size_t i = 0; i < NND_PLAN_CACHE_SIZE; i++) {
        if (cache->plans[i] && nnd_plan_matches(cache->plans[i], graph, inputs)) {
            cache->pins[i]++;
            cache->used[i] = ++cache->clock;
            *out = cache->plans[i];
            return NND_OK;
        }
        if (cache->pins[i]) continue;
        if (oldest == NND_PLAN_CACHE_SIZE || cache->used[i] < cache->used[oldest]) oldest = i;
    }
    if (oldest == NND_PLAN_CACHE_SIZE)
        return nnd_error_set(NND_E_LIMIT, "sub-graphs are nested more than %d deep at run time",
                             NND_PLAN_CACHE_SIZE);
    nnd_plan *plan;
    NND_TRY(nnd_plan_create(graph, inputs, &cache->options, &plan));
    nnd_plan_destroy(cache->plans[oldest]);
    cache->plans[oldest] = plan;
    cache->pins[oldest] = 1;
    cache->used[oldest] = ++cache->clock;
    *out = plan;
    return NND_OK;
}

void nnd_plan_cache_unpin(nnd_plan_cache *cache, const nnd_plan *plan)
{
    for (size_t i = 0; i < NND_PLAN_CACHE_SIZE; i++)
        if (cache->plans[i] == plan && cache->pins[i]) cache->pins[i]--;
}

void nnd_plan_cache_fini(nnd_plan_cache *cache)
{
    for (size_t i = 0; i < NND_PLAN_CACHE_SIZE; i++) {
        nnd_plan_destroy(cache->plans[i]);
        cache->plans[i] = NULL;
    }
}

nnd_status nnd_block_reserve(nnd_block *block, size_t bytes)
{
    if (bytes <= block->bytes) return NND_OK;
    nnd_free_aligned(block->data);
    block->bytes = 0;
    block->data = nnd_alloc_aligned(bytes, 64);
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
