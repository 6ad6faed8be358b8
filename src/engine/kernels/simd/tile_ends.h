/* What register tiles share: how sums start, which taps they take, how sums are stored (see set.h).
 */
#ifndef NND_ENGINE_KERNELS_SIMD_TILE_ENDS_H
#define NND_ENGINE_KERNELS_SIMD_TILE_ENDS_H

#include "engine/kernels/set.h"
#include "engine/kernels/simd/vec.h"

NND_INLINE void tile_start(const int rows, const int vectors, const nnd_tile_args *t,
                           vf acc[TILE_ROWS][TILE_VECTORS])
{
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            if (t->accumulate)
                acc[i][v] = v_load(t->c + i * t->c_row + v * t->c_vector);
            else if (t->bias_row)
                acc[i][v] = v_set1(t->bias_row[i]);
            else if (t->bias_vector)
                acc[i][v] = v_load(t->bias_vector + v * VLEN);
            else
                acc[i][v] = v_set1(0.0f);
        }
    }
    if (!t->r) return;
    vf beta = v_set1(t->beta);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            acc[i][v] = v_fma(beta, v_load(t->r + i * t->r_row + v * t->r_vector), acc[i][v]);
    }
}

/* All taps of a segment are one run where no window says otherwise. */
NND_INLINE nnd_tile_window tile_window(const nnd_tile_args *t, const nnd_tile_segment *s)
{
    return t->window ? *t->window : (nnd_tile_window){s->count, s->count, 0, 1, s->count};
}

/* Lanes that belong to somebody else get the value that they have. */
NND_INLINE void tile_keep_foreign(const int rows, const int vectors, const nnd_tile_args *t,
                                  vf acc[TILE_ROWS][TILE_VECTORS])
{
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        vm foreign = v_less(v_set1(0.0f), v_load(t->foreign + v * VLEN));
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            vf now = v_load(t->c + i * t->c_row + v * t->c_vector);
            acc[i][v] = v_select(foreign, now, acc[i][v]);
        }
    }
}

NND_INLINE void tile_finish(const int rows, const int vectors, const nnd_tile_args *t,
                            vf acc[TILE_ROWS][TILE_VECTORS])
{
    vf low = v_set1(t->low), high = v_set1(t->high);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            acc[i][v] = v_min(high, v_max(low, acc[i][v]));
    }
    if (t->foreign) tile_keep_foreign(rows, vectors, t, acc);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            v_store(t->c + i * t->c_row + v * t->c_vector, acc[i][v]);
    }
}

#endif
