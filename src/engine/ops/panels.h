/*
 * Products c[m, n] = a[m, k]·B + bias with a matrix B that is stored in a form which the packed
 * kernel cannot read: codes of few bits, other types. A panel of its columns at a time is unpacked
 * into the lane's scratch and multiplied from there, so that the matrix as a whole never exists.
 * A tile is one panel. How the work is cut depends on the sizes only.
 */
#ifndef NND_ENGINE_OPS_PANELS_H
#define NND_ENGINE_OPS_PANELS_H

#include "engine/kernels/kernels.h"
#include "engine/ops/op.h"

#define NND_PANEL_COLUMNS 32
#define NND_PANEL_ROWS    256 /* rows of `a` that a user should have multiplied at a time */

/* A plan: plain data. Fields beside the sizes are private. */
typedef struct nnd_panels {
    size_t m, n, k;
    nnd_gemm gemm[2]; /* of all panels but the last, and of that one */
    size_t packed, scratch;
} nnd_panels;

typedef struct nnd_panels_args {
    const float *a;    /* dense */
    const float *bias; /* [n] or NULL */
    float *c;          /* dense */
    /* Writes the k elements of a column. `scratch` is the caller's, handed through. */
    void (*column)(const void *user, size_t column, void *scratch, float *y);
    const void *user;
} nnd_panels_args;

/* Sizes as nnd_gemm_plan takes them, n at least 1. */
nnd_status nnd_panels_plan(size_t m, size_t n, size_t k, nnd_panels *out);
static inline size_t nnd_panels_tiles(const nnd_panels *p)
{
    return (p->n + NND_PANEL_COLUMNS - 1) / NND_PANEL_COLUMNS;
}
/* Scratch of one lane, aligned for kernels; for any m from 1 to `most` it is at most that of
   nnd_panels_most_lane_bytes. */
size_t nnd_panels_lane_bytes(const nnd_panels *p);
nnd_status nnd_panels_most_lane_bytes(size_t most, size_t n, size_t k, size_t *out);
/* NND_E_CANCELLED and what belongs to it. */
nnd_status nnd_panels_run_tile(const nnd_panels *p, const nnd_panels_args *args, size_t tile,
                               const nnd_cancel *cancel, void *column_scratch, void *scratch);

#endif
