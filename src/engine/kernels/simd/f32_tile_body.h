/*
 * The register-tile kernel of GEMM and direct convolution (see set.h). Each number of rows and
 * vectors is a function of its own, with all sums in registers.
 */
#include "engine/kernels/set.h"
#include "engine/kernels/simd/tile_ends.h"
#include "engine/kernels/simd/vec.h"

/* `count` taps, one behind the other. */
NND_INLINE void tile_run(const int rows, const int vectors, const int a_row, ptrdiff_t a_step,
                         const float *x, const ptrdiff_t *taps, size_t count, size_t depth,
                         const float *b, vf acc[TILE_ROWS][TILE_VECTORS])
{
    for (size_t tap = 0; tap < count; tap++) {
        const float *a = x + taps[tap];
        for (size_t k = 0; k < depth; k++, a += a_step, b += vectors * VLEN) {
            vf w[TILE_VECTORS];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                w[v] = v_load(b + v * VLEN);
#pragma GCC unroll 16
            for (int i = 0; i < rows; i++) {
                vf value = v_set1(a[i * a_row]);
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++)
                    acc[i][v] = v_fma(value, w[v], acc[i][v]);
            }
        }
    }
}

/* A single row waits for its own sums: four of each run side by side, k modulo 4, and are joined in
   a fixed order. */
#define ROW_CHAINS 4
NND_INLINE void tile_run_row(const int vectors, ptrdiff_t a_step, const float *x,
                             const ptrdiff_t *taps, size_t count, size_t depth, const float *b,
                             vf side[ROW_CHAINS][TILE_VECTORS])
{
    for (size_t tap = 0; tap < count; tap++) {
        const float *a = x + taps[tap];
        size_t k = 0;
        for (; k + ROW_CHAINS <= depth; k += ROW_CHAINS) {
#pragma GCC unroll 4
            for (int chain = 0; chain < ROW_CHAINS; chain++, a += a_step, b += vectors * VLEN) {
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++)
                    side[chain][v] = v_fma(v_set1(*a), v_load(b + v * VLEN), side[chain][v]);
            }
        }
        for (; k < depth; k++, a += a_step, b += vectors * VLEN) {
            for (int v = 0; v < vectors; v++)
                side[0][v] = v_fma(v_set1(*a), v_load(b + v * VLEN), side[0][v]);
        }
    }
}

NND_INLINE void tile(const int rows, const int vectors, const int a_row, ptrdiff_t a_step,
                     const nnd_tile_args *t)
{
    vf acc[TILE_ROWS][TILE_VECTORS];
    tile_start(rows, vectors, t, acc);
    const float *b = t->b;
    for (const nnd_tile_segment *s = t->segments; s < t->segments + NND_TILE_SEGMENTS; s++) {
        nnd_tile_window w = tile_window(t, s);
        size_t weights = s->depth * (size_t)(vectors * VLEN); /* of a tap */
        for (size_t plane = 0; plane < s->count; plane += w.taps, b += w.taps * weights) {
            for (size_t row = 0, at = w.first; row < w.rows; row++, at += w.width)
                tile_run(rows, vectors, a_row, a_step, t->a, s->taps + plane + at, w.columns,
                         s->depth, b + at * weights, acc);
        }
    }
    tile_finish(rows, vectors, t, acc);
}

NND_INLINE void tile_row(const int vectors, ptrdiff_t a_step, const nnd_tile_args *t)
{
    vf acc[TILE_ROWS][TILE_VECTORS], side[ROW_CHAINS][TILE_VECTORS];
    tile_start(1, vectors, t, acc);
    for (int v = 0; v < vectors; v++) {
        side[0][v] = acc[0][v];
        side[1][v] = side[2][v] = side[3][v] = v_set1(0.0f);
    }
    const float *b = t->b;
    for (const nnd_tile_segment *s = t->segments; s < t->segments + NND_TILE_SEGMENTS; s++) {
        nnd_tile_window w = tile_window(t, s);
        size_t weights = s->depth * (size_t)(vectors * VLEN);
        for (size_t plane = 0; plane < s->count; plane += w.taps, b += w.taps * weights) {
            for (size_t row = 0, at = w.first; row < w.rows; row++, at += w.width)
                tile_run_row(vectors, a_step, t->a, s->taps + plane + at, w.columns, s->depth,
                             b + at * weights, side);
        }
    }
    for (int v = 0; v < vectors; v++)
        acc[0][v] = v_add(v_add(side[0][v], side[1][v]), v_add(side[2][v], side[3][v]));
    tile_finish(1, vectors, t, acc);
}

#define TILE_CASE(rows)                                                                            \
    case rows:                                                                                     \
        if (vectors == 1)                                                                          \
            planar ? tile(rows, 1, 1, t->a_step, t) : tile(rows, 1, VLEN, 1, t);                   \
        else                                                                                       \
            planar ? tile(rows, 2, 1, t->a_step, t) : tile(rows, 2, VLEN, 1, t);                   \
        break;

NND_INLINE void tile_of(const bool planar, int rows, int vectors, const nnd_tile_args *t)
{
    switch (rows) {
    case 1:
        vectors == 1 ? tile_row(1, planar ? t->a_step : 1, t)
                     : tile_row(2, planar ? t->a_step : 1, t);
        break;
        TILE_CASE(2)
        TILE_CASE(3)
        TILE_CASE(4)
        TILE_CASE(5)
        TILE_CASE(6)
#if TILE_ROWS > 6
        TILE_CASE(7)
        TILE_CASE(8)
#endif
#if TILE_ROWS > 8
        TILE_CASE(9)
        TILE_CASE(10)
        TILE_CASE(11)
        TILE_CASE(12)
        TILE_CASE(13)
        TILE_CASE(14)
#endif
    }
}

void VEC_NAME(nnd_f32_tile_planar)(int rows, int vectors, const nnd_tile_args *t)
{
    tile_of(true, rows, vectors, t);
}

void VEC_NAME(nnd_f32_tile_blocked)(int rows, int vectors, const nnd_tile_args *t)
{
    tile_of(false, rows, vectors, t);
}
