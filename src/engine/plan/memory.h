/*
 * Where activations lie in one block of memory: blocks that live at the same time do not overlap.
 */
#ifndef NND_ENGINE_PLAN_MEMORY_H
#define NND_ENGINE_PLAN_MEMORY_H

#include "nndeploy/base.h"

#define NND_MEMORY_ALIGN 64

typedef struct nnd_memory_item {
    size_t bytes;
    uint32_t first, last; /* steps during which the bytes must stay, both included */
    size_t offset;        /* result, a multiple of NND_MEMORY_ALIGN */
} nnd_memory_item;

/* Places the items one by one, each into the smallest hole that fits between the already placed
   ones of overlapping life: largest first, and in other orders too where that is more than what
   lives at the same time; *total = size of the block. NND_E_OUT_OF_MEMORY,
   NND_E_OVERFLOW. */
nnd_status nnd_memory_assign(nnd_memory_item *items, size_t count, size_t *total);

#endif
