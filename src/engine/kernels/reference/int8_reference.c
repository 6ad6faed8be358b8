/* The byte kernels in plain C. */
#include <math.h>

#include "engine/kernels/int8_set.h"

enum { LANES = 8, ROWS = 4, VECTORS = 2 };

/* Rounds half to even without a call, as long as the rounding mode is the usual one: adding
   1.5·2^23 leaves no fraction bits. What is beyond ±1024 saturates in any byte type. */
static int32_t nearest(float v)
{
    const float magic = 12582912.0f;
    v = v > -1024.0f ? (v < 1024.0f ? v : 1024.0f) : -1024.0f;
    return (int32_t)((v + magic) - magic);
}

static uint8_t code_of(int32_t sum, float scale, int32_t zero, int32_t low, int32_t high)
{
    int32_t v = nearest((float)sum * scale) + zero;
    return (uint8_t)NND_MIN(NND_MAX(v, low), high);
}

static void tile(int rows, int vectors, const nnd_int8_tile_args *t)
{
    size_t columns = (size_t)vectors * LANES;
    for (size_t i = 0; i < (size_t)rows; i++) {
        int32_t *sums = t->sums + i * t->stride;
        for (size_t c = 0; c < columns; c++) {
            uint32_t sum = (uint32_t)(t->row_start ? t->row_start[i] : 0);
            if (t->column_start) sum += (uint32_t)t->column_start[c];
            if (t->row_factor) sum += (uint32_t)t->row_factor[i] * (uint32_t)t->column_factor[c];
            for (size_t q = 0; q < t->quads; q++) {
                const uint8_t *x = t->vectors + (q * columns + c) * 4;
                const int8_t *row = (const int8_t *)t->rows + (q * (size_t)rows + i) * 4;
                for (size_t j = 0; j < 4; j++)
                    sum += (uint32_t)((int32_t)x[j] * row[j]);
            }
            const nnd_int8_bytes *b = t->bytes;
            if (b)
                b->y[i * b->y_stride + c] =
                    code_of((int32_t)sum, b->row_scale ? b->row_scale[i] : b->column_scale[c],
                            b->zero, b->low, b->high);
            else
                sums[c] = (int32_t)sum;
        }
    }
}

static void interleave(const uint8_t *const rows[4], uint8_t flip, size_t panels, uint8_t *to,
                       size_t stride)
{
    for (size_t p = 0, at = 0; p < panels; p++, to += stride) {
        for (size_t i = 0; i < LANES * VECTORS; i++, at++) {
            for (size_t j = 0; j < 4; j++)
                to[i * 4 + j] = rows[j][at] ^ flip;
        }
    }
}

static void finish(const nnd_int8_block *b, const nnd_int8_result *result, uint8_t *y,
                   size_t y_stride)
{
    for (size_t r = 0; r < b->rows; r++) {
        for (size_t i = 0; i < b->columns; i++) {
            float scale = b->row_scale ? b->row_scale[r * b->row_step] : b->column_scale[i];
            y[r * y_stride + i] =
                code_of(b->sums[r * b->stride + i], scale, result->zero, result->low, result->high);
        }
    }
}

static void floats(const nnd_int8_block *b, float *y, size_t y_stride)
{
    for (size_t r = 0; r < b->rows; r++) {
        for (size_t i = 0; i < b->columns; i++) {
            float scale = b->row_scale ? b->row_scale[r * b->row_step] : b->column_scale[i];
            float *to = y + r * y_stride + i;
            *to = (float)b->sums[r * b->stride + i] * scale;
            if (b->row_bias) *to += b->row_bias[r * b->row_step];
            if (b->column_bias) *to += b->column_bias[i];
        }
    }
}

static void depthwise(const nnd_int8_depthwise_args *d)
{
    for (size_t i = 0; i < d->n; i++) {
        uint32_t sum = (uint32_t)d->start;
        for (size_t t = 0; t < d->count; t++)
            sum += (uint32_t)((int32_t)d->x[d->taps[t] + (ptrdiff_t)i * d->step] * d->weights[t]);
        const nnd_int8_bytes *b = d->bytes;
        if (b)
            b->y[i] = code_of((int32_t)sum, b->row_scale[0], b->zero, b->low, b->high);
        else
            d->sums[i] = (int32_t)sum;
    }
}

static void quantise(const float *x, float scale, int32_t zero, int32_t low, int32_t high,
                     uint8_t *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float v = x[i] / scale;
        int32_t code = (isnan(v) ? 0 : nearest(v)) + zero;
        y[i] = (uint8_t)NND_MIN(NND_MAX(code, low), high);
    }
}

static void dequantise(const uint8_t *x, float scale, int32_t zero, bool is_signed, float *y,
                       size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (float)((is_signed ? (int8_t)x[i] : x[i]) - zero) * scale;
}

static void lookup(const uint8_t *table, const uint8_t *x, uint8_t *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = table[x[i]];
}

static uint32_t sum(const uint8_t *x, bool is_signed, size_t n)
{
    uint32_t total = 0;
    for (size_t i = 0; i < n; i++) {
        const int32_t v = is_signed ? (int8_t)x[i] : x[i];
        total += (uint32_t)v;
    }
    return total;
}

static void range(const float *x, size_t n, float *low, float *high)
{
    *low = *high = 0.0f;
    for (size_t i = 0; i < n; i++) {
        *low = x[i] < *low ? x[i] : *low;
        *high = x[i] > *high ? x[i] : *high;
    }
}

static int32_t code_at(const uint8_t *x, size_t i, bool is_signed)
{
    return is_signed ? (int8_t)x[i] : x[i];
}

static void pair(const nnd_int8_pair *p, const uint8_t *a, size_t a_step, const uint8_t *b,
                 size_t b_step, uint8_t *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int32_t u = code_at(a, i * a_step, p->is_signed), v = code_at(b, i * b_step, p->is_signed);
        float r = p->product
                      ? fmaf((float)((u - p->a_zero) * (v - p->b_zero)), p->a_factor, p->start)
                      : fmaf((float)u, p->a_factor, fmaf((float)v, p->b_factor, p->start));
        y[i] = (uint8_t)NND_MIN(NND_MAX(nearest(r), p->low), p->high);
    }
}

const nnd_int8_set nnd_int8_set_reference = {.isa = NND_ISA_REFERENCE,
                                             .lanes = LANES,
                                             .tile_rows = ROWS,
                                             .tile_vectors = VECTORS,
                                             .tile = tile,
                                             .interleave = interleave,
                                             .finish = finish,
                                             .floats = floats,
                                             .depthwise = depthwise,
                                             .quantise = quantise,
                                             .dequantise = dequantise,
                                             .lookup = lookup,
                                             .sum = sum,
                                             .range = range,
                                             .pair = pair};
