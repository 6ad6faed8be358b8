/* Transposition in blocks of VLEN × VLEN, and the reorders that are transpositions. */
#include "engine/kernels/set.h"
#include "engine/kernels/simd/vec.h"

/* A block of rows × cols, both in [1, VLEN]; each output row gets `stored` floats, the first `rows`
   of which are the column, the others 0. */
NND_INLINE void transpose_block(const float *x, size_t ldx, float *y, size_t ldy, size_t rows,
                                size_t cols, size_t stored)
{
    vf r[VLEN];
    for (size_t i = 0; i < VLEN; i++) {
        r[i] = v_set1(0.0f);
        if (i < rows) r[i] = cols == VLEN ? v_load(x + i * ldx) : v_load_n(x + i * ldx, cols);
    }
    v_transpose(r);
    for (size_t i = 0; i < VLEN; i++) {
        if (i >= cols) break;
        if (stored == VLEN)
            v_store(y + i * ldy, r[i]);
        else
            v_store_n(y + i * ldy, r[i], stored);
    }
}

void VEC_NAME(nnd_f32_transpose)(const float *x, size_t ldx, float *y, size_t ldy, size_t rows,
                                 size_t cols)
{
    for (size_t c = 0; c < cols; c += VLEN) {
        for (size_t r = 0; r < rows; r += VLEN) {
            const float *from = x + r * ldx + c;
            float *to = y + c * ldy + r;
            size_t tall = NND_MIN(rows - r, (size_t)VLEN), wide = NND_MIN(cols - c, (size_t)VLEN);
            if (tall == VLEN && wide == VLEN)
                transpose_block(from, ldx, to, ldy, VLEN, VLEN, VLEN);
            else
                transpose_block(from, ldx, to, ldy, tall, wide, tall);
        }
    }
}

void VEC_NAME(nnd_f32_to_nchwc)(const float *x, size_t ldx, float *y, size_t channels,
                                size_t pixels)
{
    size_t i = 0;
    for (; channels == VLEN && i + VLEN <= pixels; i += VLEN)
        transpose_block(x + i, ldx, y + i * VLEN, VLEN, VLEN, VLEN, VLEN);
    for (; i < pixels; i += VLEN)
        transpose_block(x + i, ldx, y + i * VLEN, VLEN, channels, NND_MIN(pixels - i, (size_t)VLEN),
                        VLEN);
}

void VEC_NAME(nnd_f32_to_nchw)(const float *x, float *y, size_t ldy, size_t channels, size_t pixels)
{
    VEC_NAME(nnd_f32_transpose)(x, VLEN, y, ldy, pixels, channels);
}

void VEC_NAME(nnd_f32_every_second)(const float *x, float *y, size_t n)
{
    size_t i = 0;
    /* A vector reads one float behind the last that it needs: the last one is done alone. */
    for (; i + VLEN < n; i += VLEN)
        v_store(y + i, v_load_even(x + 2 * i));
    for (; i < n; i++)
        y[i] = x[2 * i];
}

void VEC_NAME(nnd_f32_mix_rows)(const float *x, size_t pitch, const int32_t *rows,
                                const float *weights, size_t taps, float *y, size_t n)
{
    size_t i = 0;
    for (; i + VLEN <= n; i += VLEN) {
        vf sum = v_mul(v_set1(weights[0]), v_load(x + (size_t)rows[0] * pitch + i));
        for (size_t k = 1; k < taps; k++)
            sum = v_fma(v_set1(weights[k]), v_load(x + (size_t)rows[k] * pitch + i), sum);
        v_store(y + i, sum);
    }
    if (i == n) return;
    vf sum = v_mul(v_set1(weights[0]), v_load_n(x + (size_t)rows[0] * pitch + i, n - i));
    for (size_t k = 1; k < taps; k++)
        sum = v_fma(v_set1(weights[k]), v_load_n(x + (size_t)rows[k] * pitch + i, n - i), sum);
    v_store_n(y + i, sum, n - i);
}

void VEC_NAME(nnd_f32_mix_pixels)(const float *x, const int32_t *columns, const float *weights,
                                  size_t taps, float *y, size_t pixels)
{
    for (size_t p = 0; p < pixels; p++, columns += taps, weights += taps) {
        vf sum = v_load(x + (size_t)columns[0] * VLEN);
        if (taps > 1) sum = v_mul(v_set1(weights[0]), sum);
        for (size_t k = 1; k < taps; k++)
            sum = v_fma(v_set1(weights[k]), v_load(x + (size_t)columns[k] * VLEN), sum);
        v_store(y + p * VLEN, sum);
    }
}
