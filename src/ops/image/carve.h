/*
 * Cutting one block of scratch into parts. The same sequence of calls first measures (memory NULL)
 * and then hands out.
 */
#ifndef NND_OPS_CARVE_H
#define NND_OPS_CARVE_H

#include <stddef.h>
#include <stdint.h>

#define NND_CARVE_ALIGN 64

typedef struct nnd_carve {
    uint8_t *memory;
    size_t used;
} nnd_carve;

/* Every part is aligned and followed by at least one more line that vector code may read. */
static inline void *nnd_carve_take(nnd_carve *carve, size_t bytes)
{
    void *part = carve->memory ? carve->memory + carve->used : NULL;
    carve->used += (bytes / NND_CARVE_ALIGN + 2) * NND_CARVE_ALIGN;
    return part;
}

#endif
