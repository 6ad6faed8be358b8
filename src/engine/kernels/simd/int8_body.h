/*
 * The byte kernels of one ISA. The file that includes this has defined LANES, ROWS and VECTORS (the
 * register tile), SET_ISA, SET_NAME, SIGNED_VECTORS, WIDE_ROWS and
 *
 *   vi  LANES × i32: vi_load, vi_store (any address), vi_set1, vi_add, vi_mul
 *   vx  a vector operand of LANES quads: vx_load
 *   vb  a broadcast quad: vb_load
 *   va  running sums: va_zero, va_dot(sums, vx, vb), va_total → vi
 *   vi_scale(sums, factors) → vi   the integers nearest to (float)sum·factor, limited to ±1024
 *   vi_limit(v, low, high), vi_bytes(v, to): the low byte of each lane
 *   PAIR_LANES, vp              running sums of a depthwise kernel: vp_set1, vp_tap, vp_store
 *   int8_interleave_8           8 × 4 bytes
 *
 * Nothing here rounds but vi_scale, so that all ISAs give the same bits.
 */
#include <string.h>

#include "engine/kernels/int8_set.h"

#define NND_INLINE static inline __attribute__((always_inline))

/* The corrections, one after another: nearly always only one of them is there. */
NND_INLINE void tile_finish(const int rows, const int vectors, const nnd_int8_tile_args *t,
                            va acc[ROWS][VECTORS])
{
    vi sums[ROWS][VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            sums[i][v] = va_total(acc[i][v]);
    }
    if (t->row_start) {
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            vi row = vi_set1(t->row_start[i]);
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                sums[i][v] = vi_add(sums[i][v], row);
        }
    }
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) {
        if (t->column_start) {
            vi column = vi_load(t->column_start + v * LANES);
#pragma GCC unroll 16
            for (int i = 0; i < rows; i++)
                sums[i][v] = vi_add(sums[i][v], column);
        }
        if (t->row_factor) {
            vi column = vi_load(t->column_factor + v * LANES);
#pragma GCC unroll 16
            for (int i = 0; i < rows; i++)
                sums[i][v] = vi_add(sums[i][v], vi_mul(vi_set1(t->row_factor[i]), column));
        }
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++)
            vi_store(t->sums + (size_t)i * t->stride + v * LANES, sums[i][v]);
    }
}

NND_INLINE void tile(const int rows, const int vectors, const nnd_int8_tile_args *t)
{
    const size_t quad = WIDE_ROWS ? 8 : 4;
    va acc[ROWS][VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            acc[i][v] = va_zero();
    }
    const uint8_t *x = t->vectors;
    const char *b = t->rows;
    for (size_t q = 0; q < t->quads; q++) {
        vx w[VECTORS];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            w[v] = vx_load(x + (size_t)v * LANES * 4);
#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            vb r = vb_load(b + (size_t)i * quad);
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                acc[i][v] = va_dot(acc[i][v], w[v], r);
        }
        x += (size_t)vectors * LANES * 4;
        b += (size_t)rows * quad;
    }
    tile_finish(rows, vectors, t, acc);
}

#define TILE_CASE(rows)                                                                            \
    case rows:                                                                                     \
        if (vectors == 1)                                                                          \
            tile(rows, 1, t);                                                                      \
        else                                                                                       \
            tile(rows, VECTORS, t);                                                                \
        break;

static void int8_tile(int rows, int vectors, const nnd_int8_tile_args *t)
{
    switch (rows) {
        TILE_CASE(1)
        TILE_CASE(2)
        TILE_CASE(3)
        TILE_CASE(4)
#if ROWS > 4
        TILE_CASE(5)
        TILE_CASE(6)
        TILE_CASE(7)
        TILE_CASE(8)
#endif
#if ROWS > 8
        TILE_CASE(9)
        TILE_CASE(10)
        TILE_CASE(11)
        TILE_CASE(12)
        TILE_CASE(13)
        TILE_CASE(14)
#endif
    }
}

static void int8_finish(const nnd_int8_block *b, const nnd_int8_result *result, uint8_t *y,
                        size_t y_stride)
{
    const vi zero = vi_set1(result->zero), low = vi_set1(result->low);
    const vi high = vi_set1(result->high);
    for (size_t r = 0; r < b->rows; r++, y += y_stride) {
        const int32_t *sums = b->sums + r * b->stride;
        vf scale = vf_set1(b->row_scale ? b->row_scale[r * b->row_step] : 0.0f);
        for (size_t i = 0; i < b->columns; i += LANES) {
            if (b->column_scale) scale = vf_load(b->column_scale + i);
            vi v = vi_limit(vi_add(vi_scale(vi_load(sums + i), scale), zero), low, high);
            if (b->columns - i >= LANES) {
                vi_bytes(v, y + i);
            } else {
                uint8_t last[LANES];
                vi_bytes(v, last);
                memcpy(y + i, last, b->columns - i);
            }
        }
    }
}

static void int8_interleave(const uint8_t *const rows[4], uint8_t flip, size_t width, uint8_t *to)
{
    size_t i = 0;
#ifdef int8_interleave_32
    for (; i + 32 <= width; i += 32)
        int8_interleave_32(rows, i, flip, to + i * 4);
#endif
    for (; i < width; i += 8)
        int8_interleave_8(rows, i, flip, to + i * 4);
}

static void int8_depthwise(const nnd_int8_depthwise_args *d)
{
    for (size_t i = 0; i < d->n; i += PAIR_LANES) {
        vp sum = vp_set1(d->start);
        for (size_t t = 0; t < d->count; t++)
            sum = vp_tap(sum, d->x + d->taps[t] + i, d->weights[t]);
        vp_store(d->sums + i, sum);
    }
}

const nnd_int8_set SET_NAME = {.isa = SET_ISA,
                               .lanes = LANES,
                               .tile_rows = ROWS,
                               .tile_vectors = VECTORS,
                               .signed_vectors = SIGNED_VECTORS,
                               .wide_rows = WIDE_ROWS,
                               .tile = int8_tile,
                               .interleave = int8_interleave,
                               .finish = int8_finish,
                               .depthwise = int8_depthwise};
