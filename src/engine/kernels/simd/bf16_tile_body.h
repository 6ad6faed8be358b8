/*
 * The register tile of products whose weights are bf16 (see nnd_bf16_tile in set.h). The vector
 * file defines PAIR_DOT = 1 and pair_dot, an instruction that multiplies pairs, or PAIR_DOT = 0 and
 * pair_low and pair_high, which widen one half of each pair. Without the instruction the sums run
 * as in the tile of f32, so that exact weights give the same bits in two rows and more.
 */
#include "engine/kernels/set.h"
#include "engine/kernels/simd/tile_ends.h"
#include "engine/kernels/simd/vec.h"

/* One pair of k for all rows, which lie a_row apart; with PAIR_DOT a row's pair is one element of
   a, else two that are half a step apart. */
NND_INLINE void tile_pair(const int rows, const int vectors, const int a_row, const float *a,
                          ptrdiff_t a_step, const float *b, vf (*acc)[TILE_VECTORS])
{
#if PAIR_DOT
    (void)a_step;
    vf w[TILE_VECTORS];
    for (int v = 0; v < vectors; v++)
        w[v] = v_load(b + v * VLEN);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        vf x = v_set1(a[i * a_row]);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            acc[i][v] = pair_dot(acc[i][v], x, w[v]);
    }
#else
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++, a += a_step / 2) {
        vf w[TILE_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            w[v] = half ? pair_high(b + v * VLEN) : pair_low(b + v * VLEN);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            vf x = v_set1(a[i * a_row]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                acc[i][v] = v_fma(x, w[v], acc[i][v]);
        }
    }
#endif
}

NND_INLINE void tile(const int rows, const int vectors, const nnd_tile_args *t)
{
    vf acc[TILE_ROWS][TILE_VECTORS];
    tile_start(rows, vectors, t, acc);
    const float *a = t->a, *b = t->b;
    for (size_t k = 0; k < t->segments[0].depth; k++, a += t->a_step, b += vectors * VLEN)
        tile_pair(rows, vectors, 1, a, t->a_step, b, acc);
    tile_finish(rows, vectors, t, acc);
}

/* Sums of a single row in four chains, as in the tile of f32. */
#define CHAINS      4
#define CHAIN_PAIRS (PAIR_DOT ? CHAINS : CHAINS / 2)
NND_INLINE void chain_pair(const int vectors, const float *a, ptrdiff_t a_step, const float *b,
                           vf side[CHAINS][TILE_VECTORS], const int pair)
{
    (void)a_step;
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
#if PAIR_DOT
        side[pair][v] = pair_dot(side[pair][v], v_set1(*a), v_load(b + v * VLEN));
#else
        vf *even = &side[2 * pair][v], *odd = &side[2 * pair + 1][v];
        *even = v_fma(v_set1(a[0]), pair_low(b + v * VLEN), *even);
        *odd = v_fma(v_set1(a[a_step / 2]), pair_high(b + v * VLEN), *odd);
#endif
    }
}

NND_INLINE void tile_row(const int vectors, const nnd_tile_args *t)
{
    vf acc[TILE_ROWS][TILE_VECTORS], side[CHAINS][TILE_VECTORS];
    tile_start(1, vectors, t, acc);
    for (int v = 0; v < vectors; v++) {
        side[0][v] = acc[0][v];
        side[1][v] = side[2][v] = side[3][v] = v_set1(0.0f);
    }
    const float *a = t->a, *b = t->b;
    size_t k = 0, depth = t->segments[0].depth;
    for (; k + CHAIN_PAIRS <= depth; k += CHAIN_PAIRS) {
#pragma GCC unroll 4
        for (int pair = 0; pair < CHAIN_PAIRS; pair++, a += t->a_step, b += vectors * VLEN)
            chain_pair(vectors, a, t->a_step, b, side, pair);
    }
    for (; k < depth; k++, a += t->a_step, b += vectors * VLEN)
        tile_pair(1, vectors, 1, a, t->a_step, b, side);
    for (int v = 0; v < vectors; v++)
        acc[0][v] = v_add(v_add(side[0][v], side[1][v]), v_add(side[2][v], side[3][v]));
    tile_finish(1, vectors, t, acc);
}

#define TILE_CASE(rows)                                                                            \
    case rows:                                                                                     \
        vectors == 1 ? tile(rows, 1, t) : tile(rows, 2, t);                                        \
        break;

static void tile_of(int rows, int vectors, const nnd_tile_args *t)
{
    switch (rows) {
    case 1:
        vectors == 1 ? tile_row(1, t) : tile_row(2, t);
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

#if PAIR_DOT
/* `count` taps, one behind the other. */
NND_INLINE void tile_run(const int rows, const int vectors, const float *x, const ptrdiff_t *taps,
                         size_t count, size_t depth, const float *b, vf (*acc)[TILE_VECTORS])
{
    for (size_t tap = 0; tap < count; tap++) {
        const float *a = x + taps[tap];
        for (size_t k = 0; k < depth; k++, a++, b += vectors * VLEN)
            tile_pair(rows, vectors, VLEN / 2, a, 0, b, acc);
    }
}

NND_INLINE void tile_blocked(const int rows, const int vectors, const nnd_tile_args *t)
{
    vf acc[TILE_ROWS][TILE_VECTORS];
    tile_start(rows, vectors, t, acc);
    const float *b = t->b;
    for (const nnd_tile_segment *s = t->segments; s < t->segments + NND_TILE_SEGMENTS; s++) {
        nnd_tile_window w = tile_window(t, s);
        size_t weights = s->depth * (size_t)(vectors * VLEN); /* of a tap */
        for (size_t plane = 0; plane < s->count; plane += w.taps, b += w.taps * weights) {
            for (size_t row = 0, at = w.first; row < w.rows; row++, at += w.width)
                tile_run(rows, vectors, t->a, s->taps + plane + at, w.columns, s->depth,
                         b + at * weights, acc);
        }
    }
    tile_finish(rows, vectors, t, acc);
}

#define BLOCKED_CASE(rows)                                                                         \
    case rows:                                                                                     \
        vectors == 1 ? tile_blocked(rows, 1, t) : tile_blocked(rows, 2, t);                        \
        break;

static void blocked_of(int rows, int vectors, const nnd_tile_args *t)
{
    switch (rows) {
        BLOCKED_CASE(1)
        BLOCKED_CASE(2)
        BLOCKED_CASE(3)
        BLOCKED_CASE(4)
        BLOCKED_CASE(5)
        BLOCKED_CASE(6)
        BLOCKED_CASE(7)
        BLOCKED_CASE(8)
#if TILE_ROWS > 8
        BLOCKED_CASE(9)
        BLOCKED_CASE(10)
        BLOCKED_CASE(11)
        BLOCKED_CASE(12)
        BLOCKED_CASE(13)
        BLOCKED_CASE(14)
#endif
    }
}
#else
#define blocked_of NULL
#endif

const nnd_bf16_tile VEC_NAME(nnd_bf16_tile) = {SET_ISA, PAIR_DOT, tile_of, blocked_of};
