/*
 * The byte kernels of one ISA. The file that includes this has defined LANES, ROWS and VECTORS (the
 * register tile), SET_ISA, SET_NAME, SIGNED_VECTORS, WIDE_ROWS and
 *
 *   vi  LANES × i32: vi_load, vi_store (any address), vi_set1, vi_add, vi_mul
 *   vx  a vector operand of LANES quads: vx_load
 *   vb  a broadcast quad: vb_load
 *   va  running sums: va_zero, va_dot(sums, vx, vb), va_total → vi
 *   vf  LANES × f32: vf_load, vf_store, vf_set1, vf_of(vi), vf_add, vf_mul, vf_div,
 *       vf_fma(a, b, c): a·b + c, vf_ordered(v): 0 for a NaN
 *   vf_least(v, low), vf_most(v, high)  the smaller or larger one; the second one for a NaN
 *   vi_codes(p, is_signed)  LANES bytes, widened
 *   vi_round(v, low, high) → vi  the nearest integers within these limits, low for a NaN
 *   vi_bytes(v, to), vi_bytes_part(v, to, n)  the low byte of each lane, of the first n lanes
 *   vp  PAIR_LANES running sums of a depthwise kernel: vp_set1, vp_get(sums, i) → vi,
 *       vp_tap(sums, x, weight, step)
 *   with DEPTHWISE_QUADS: vi_quad(sums, x, weights, step), LANES sums of four neighbours, less 128
 *       each with SIGNED_VECTORS
 *   int8_lookup_all(table, x, y, n)  y = table[x] of the first bytes in whole vectors: how many
 *   int8_interleave_some(rows, at, flip, to)  INTERLEAVED columns
 *
 * Conversions and vf_add, vf_mul, vf_div, vf_fma and vi_round are single roundings, so that all
 * ISAs give the same bits.
 */
#include <string.h>

#include "engine/kernels/int8_set.h"

#define NND_INLINE static inline __attribute__((always_inline))

/* What all lanes of a conversion to bytes share. Limits of the rounded value before the zero point
   is added: they are integers, so that limiting first and rounding then is the same. */
typedef struct scaled_limits {
    vi zero;
    vf low, high;
} scaled_limits;

NND_INLINE scaled_limits limits_of(int32_t zero, int32_t low, int32_t high)
{
    return (scaled_limits){vi_set1(zero), vf_set1((float)(low - zero)),
                           vf_set1((float)(high - zero))};
}

NND_INLINE vi scaled_code(vi sum, vf scale, scaled_limits l)
{
    return vi_add(vi_round(vf_mul(vf_of(sum), scale), l.low, l.high), l.zero);
}

NND_INLINE void tile_bytes(const int rows, const int vectors, const nnd_int8_bytes *b,
                           vi sums[ROWS][VECTORS])
{
    const scaled_limits limits = limits_of(b->zero, b->low, b->high);
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        vf scale = vf_set1(b->row_scale ? b->row_scale[i] : 0.0f);
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            if (!b->row_scale) scale = vf_load(b->column_scale + v * LANES);
            vi_bytes(scaled_code(sums[i][v], scale, limits),
                     b->y + (size_t)i * b->y_stride + v * LANES);
        }
    }
}

/* The corrections, one after another: nearly always only one of them is there. */
NND_INLINE void tile_finish(const int rows, const int vectors, const nnd_int8_tile_args *t,
                            vi sums[ROWS][VECTORS])
{
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
    }
    if (t->bytes) {
        tile_bytes(rows, vectors, t->bytes, sums);
        return;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
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
    vi sums[ROWS][VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            sums[i][v] = va_total(acc[i][v]);
    }
    tile_finish(rows, vectors, t, sums);
}

/* One row, four quads at a time: sums that do not wait for each other. */
NND_INLINE void tile_row(const int vectors, const nnd_int8_tile_args *t)
{
    enum { DEPTH = 4 };
    const size_t quad = WIDE_ROWS ? 8 : 4, step = (size_t)vectors * LANES * 4;
    va acc[DEPTH][VECTORS];
#pragma GCC unroll 4
    for (int d = 0; d < DEPTH; d++) {
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            acc[d][v] = va_zero();
    }
    const uint8_t *x = t->vectors;
    const char *b = t->rows;
    size_t q = t->quads;
    for (; q >= DEPTH; q -= DEPTH, x += DEPTH * step, b += DEPTH * quad) {
#pragma GCC unroll 4
        for (int d = 0; d < DEPTH; d++) {
            vb r = vb_load(b + (size_t)d * quad);
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                acc[d][v] =
                    va_dot(acc[d][v], vx_load(x + (size_t)d * step + (size_t)v * LANES * 4), r);
        }
    }
    for (; q > 0; q--, x += step, b += quad) {
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            acc[0][v] = va_dot(acc[0][v], vx_load(x + (size_t)v * LANES * 4), vb_load(b));
    }
    vi sums[ROWS][VECTORS];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++)
        sums[0][v] = vi_add(vi_add(va_total(acc[0][v]), va_total(acc[1][v])),
                            vi_add(va_total(acc[2][v]), va_total(acc[3][v])));
    tile_finish(1, vectors, t, sums);
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
    case 1:
        if (vectors == 1)
            tile_row(1, t);
        else
            tile_row(VECTORS, t);
        break;
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
    const scaled_limits limits = limits_of(result->zero, result->low, result->high);
    for (size_t r = 0; r < b->rows; r++, y += y_stride) {
        const int32_t *sums = b->sums + r * b->stride;
        vf scale = vf_set1(b->row_scale ? b->row_scale[r * b->row_step] : 0.0f);
        for (size_t i = 0; i < b->columns; i += LANES) {
            if (b->column_scale) scale = vf_load(b->column_scale + i);
            vi code = scaled_code(vi_load(sums + i), scale, limits);
            if (b->columns - i >= LANES)
                vi_bytes(code, y + i);
            else
                vi_bytes_part(code, y + i, b->columns - i);
        }
    }
}

/* `left` elements from p on, as many as fit. */
NND_INLINE vf vf_load_some(const float *p, size_t left)
{
    return left >= LANES ? vf_load(p) : vf_load_n(p, left);
}

NND_INLINE void vf_store_some(float *p, vf v, size_t left)
{
    if (left >= LANES)
        vf_store(p, v);
    else
        vf_store_n(p, v, left);
}

static void int8_floats(const nnd_int8_block *b, float *y, size_t y_stride)
{
    for (size_t r = 0; r < b->rows; r++, y += y_stride) {
        const int32_t *sums = b->sums + r * b->stride;
        vf scale = vf_set1(b->row_scale ? b->row_scale[r * b->row_step] : 0.0f);
        vf bias = vf_set1(b->row_bias ? b->row_bias[r * b->row_step] : 0.0f);
        for (size_t i = 0; i < b->columns; i += LANES) {
            const size_t left = b->columns - i;
            if (!b->row_scale) scale = vf_load(b->column_scale + i);
            vf v = vf_mul(vf_of(vi_load(sums + i)), scale);
            if (b->column_bias) bias = vf_load_some(b->column_bias + i, left);
            if (b->row_bias || b->column_bias) v = vf_add(v, bias);
            vf_store_some(y + i, v, left);
        }
    }
}

static void int8_interleave(const uint8_t *const rows[4], uint8_t flip, size_t panels, uint8_t *to,
                            size_t stride)
{
    for (size_t p = 0, at = 0; p < panels; p++, to += stride) {
        for (size_t i = 0; i < LANES * VECTORS; i += INTERLEAVED, at += INTERLEAVED)
            int8_interleave_some(rows, at, flip, to + i * 4);
    }
}

NND_INLINE void depthwise_store(const nnd_int8_depthwise_args *d, size_t i, vi sums, vf scale,
                                scaled_limits limits)
{
    if (d->bytes)
        vi_bytes(scaled_code(sums, scale, limits), d->bytes->y + i);
    else
        vi_store(d->sums + i, sums);
}

NND_INLINE void depthwise(const int64_t step, const nnd_int8_depthwise_args *d)
{
    const nnd_int8_bytes none = {0}, *b = d->bytes ? d->bytes : &none;
    const scaled_limits limits = limits_of(b->zero, b->low, b->high);
    const vf scale = vf_set1(b->row_scale ? b->row_scale[0] : 0.0f);
    for (size_t i = 0; i < d->n; i += PAIR_LANES) {
        vp sum = vp_set1(d->start);
        for (size_t t = 0; t < d->count; t++)
            sum = vp_tap(sum, d->x + d->taps[t] + (ptrdiff_t)i * step, d->weights[t], step);
        depthwise_store(d, i, vp_get(sum, 0), scale, limits);
        depthwise_store(d, i + LANES, vp_get(sum, 1), scale, limits);
    }
}

static void int8_depthwise(const nnd_int8_depthwise_args *d)
{
    if (d->step == 1)
        depthwise(1, d);
    else
        depthwise(2, d);
}

#ifdef DEPTHWISE_QUADS
/* What sums begin with: instructions that want i8 take 128 off each neighbour. */
NND_INLINE int32_t quads_start(const size_t count, const nnd_int8_depthwise_args *d)
{
    int32_t sum = 0;
    for (size_t t = 0; SIGNED_VECTORS && t < count; t++)
        for (int i = 0; i < 4; i++)
            sum += (int8_t)(uint8_t)((uint32_t)d->weights[t] >> 8 * i);
    return (int32_t)((uint32_t)d->start + 128u * (uint32_t)sum);
}

/* Two vectors at a time: their sums do not wait for each other. count: a constant where it is
   known, so that the offsets and weights stay in registers. */
NND_INLINE void quads(const size_t count, const int64_t step, const nnd_int8_depthwise_args *d)
{
    const nnd_int8_bytes none = {0}, *b = d->bytes ? d->bytes : &none;
    const scaled_limits limits = limits_of(b->zero, b->low, b->high);
    const vf scale = vf_set1(b->row_scale ? b->row_scale[0] : 0.0f);
    const vi start = vi_set1(quads_start(count, d));
    for (size_t i = 0; i < d->n; i += 2 * LANES) {
        vi first = start, second = start;
        for (size_t t = 0; t < count; t++) {
            const uint8_t *x = d->x + d->taps[t] + (ptrdiff_t)i * step;
            first = vi_quad(first, x, d->weights[t], step);
            second = vi_quad(second, x + LANES * step, d->weights[t], step);
        }
        depthwise_store(d, i, first, scale, limits);
        depthwise_store(d, i + LANES, second, scale, limits);
    }
}

static void int8_depthwise_quads(const nnd_int8_depthwise_args *d)
{
    const bool three = d->count == 3;
    if (d->step == 1 && three)
        quads(3, 1, d);
    else if (d->step == 1)
        quads(d->count, 1, d);
    else if (three)
        quads(3, 2, d);
    else
        quads(d->count, 2, d);
}
#endif

static void int8_quantise(const float *x, float scale, int32_t zero, int32_t low, int32_t high,
                          uint8_t *y, size_t n)
{
    const vf by = vf_set1(scale), least = vf_set1((float)(low - zero));
    const vf most = vf_set1((float)(high - zero));
    for (size_t i = 0; i < n; i += LANES) {
        float last[LANES] = {0};
        bool whole = n - i >= LANES;
        if (!whole) memcpy(last, x + i, (n - i) * sizeof *x);
        vf v = vf_ordered(vf_div(vf_load(whole ? x + i : last), by));
        vi code = vi_add(vi_round(v, least, most), vi_set1(zero));
        if (whole)
            vi_bytes(code, y + i);
        else
            vi_bytes_part(code, y + i, n - i);
    }
}

static void int8_dequantise(const uint8_t *x, float scale, int32_t zero, bool is_signed, float *y,
                            size_t n)
{
    const vf by = vf_set1(scale);
    const vi minus = vi_set1(-zero);
    size_t i = 0;
    for (; n - i >= LANES; i += LANES)
        vf_store(y + i, vf_mul(vf_of(vi_add(vi_codes(x + i, is_signed), minus)), by));
    if (i == n) return;
    uint8_t last[LANES] = {0};
    float out[LANES];
    memcpy(last, x + i, n - i);
    vf_store(out, vf_mul(vf_of(vi_add(vi_codes(last, is_signed), minus)), by));
    memcpy(y + i, out, (n - i) * sizeof *y);
}

static void int8_lookup(const uint8_t *table, const uint8_t *x, uint8_t *y, size_t n)
{
    for (size_t i = int8_lookup_all(table, x, y, n); i < n; i++)
        y[i] = table[x[i]];
}

/* Two vectors at a time: sums that do not wait for each other. */
static uint32_t int8_sum(const uint8_t *x, bool is_signed, size_t n)
{
    vi sums[2] = {vi_set1(0), vi_set1(0)};
    for (; n >= 2 * LANES; n -= 2 * LANES, x += 2 * LANES) {
        sums[0] = vi_add(sums[0], vi_codes(x, is_signed));
        sums[1] = vi_add(sums[1], vi_codes(x + LANES, is_signed));
    }
    int32_t lanes[LANES];
    vi_store(lanes, vi_add(sums[0], sums[1]));
    uint32_t total = 0;
    for (size_t i = 0; i < LANES; i++)
        total += (uint32_t)lanes[i];
    for (size_t i = 0; i < n; i++) {
        const int32_t v = is_signed ? (int8_t)x[i] : x[i];
        total += (uint32_t)v;
    }
    return total;
}

static void int8_range(const float *x, size_t n, float *low, float *high)
{
    vf least[2] = {vf_set1(0.0f), vf_set1(0.0f)}, most[2] = {vf_set1(0.0f), vf_set1(0.0f)};
    for (size_t i = 0; i < n; i += 2 * LANES) {
        const size_t left = n - i;
        const vf v = vf_load_some(x + i, left);
        const vf w = left > LANES ? vf_load_some(x + i + LANES, left - LANES) : vf_set1(0.0f);
        least[0] = vf_least(v, least[0]);
        most[0] = vf_most(v, most[0]);
        least[1] = vf_least(w, least[1]);
        most[1] = vf_most(w, most[1]);
    }
    float lows[LANES], highs[LANES];
    vf_store(lows, vf_least(least[0], least[1]));
    vf_store(highs, vf_most(most[0], most[1]));
    *low = *high = 0.0f;
    for (size_t i = 0; i < LANES; i++) {
        *low = lows[i] < *low ? lows[i] : *low;
        *high = highs[i] > *high ? highs[i] : *high;
    }
}

/* LANES codes from x[i·step] on, of which `left` are there. */
NND_INLINE vi pair_codes(const bool is_signed, const uint8_t *x, size_t i, size_t step, size_t left)
{
    uint8_t last[LANES] = {0};
    if (!step) return vi_set1(is_signed ? (int8_t)x[0] : x[0]);
    if (left >= LANES) return vi_codes(x + i, is_signed);
    memcpy(last, x + i, left);
    return vi_codes(last, is_signed);
}

NND_INLINE void pair(const bool product, const bool is_signed, const nnd_int8_pair *p,
                     const uint8_t *a, size_t a_step, const uint8_t *b, size_t b_step, uint8_t *y,
                     size_t n)
{
    const vf a_factor = vf_set1(p->a_factor), b_factor = vf_set1(p->b_factor);
    const vf start = vf_set1(p->start), low = vf_set1((float)p->low),
             high = vf_set1((float)p->high);
    const vi a_zero = vi_set1(-p->a_zero), b_zero = vi_set1(-p->b_zero);
    for (size_t i = 0; i < n; i += LANES) {
        vi u = pair_codes(is_signed, a, i, a_step, n - i);
        vi v = pair_codes(is_signed, b, i, b_step, n - i);
        vf r = product
                   ? vf_fma(vf_of(vi_mul(vi_add(u, a_zero), vi_add(v, b_zero))), a_factor, start)
                   : vf_fma(vf_of(u), a_factor, vf_fma(vf_of(v), b_factor, start));
        vi code = vi_round(r, low, high);
        if (n - i >= LANES)
            vi_bytes(code, y + i);
        else
            vi_bytes_part(code, y + i, n - i);
    }
}

static void int8_pair(const nnd_int8_pair *p, const uint8_t *a, size_t a_step, const uint8_t *b,
                      size_t b_step, uint8_t *y, size_t n)
{
    if (p->product && p->is_signed)
        pair(true, true, p, a, a_step, b, b_step, y, n);
    else if (p->product)
        pair(true, false, p, a, a_step, b, b_step, y, n);
    else if (p->is_signed)
        pair(false, true, p, a, a_step, b, b_step, y, n);
    else
        pair(false, false, p, a, a_step, b, b_step, y, n);
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
                               .floats = int8_floats,
                               .depthwise = int8_depthwise,
#ifdef DEPTHWISE_QUADS
                               .depthwise_quads = int8_depthwise_quads,
#endif
                               .quantise = int8_quantise,
                               .dequantise = int8_dequantise,
                               .lookup = int8_lookup,
                               .sum = int8_sum,
                               .range = int8_range,
                               .pair = int8_pair};
