#include <string.h>

#include "engine/kernels/reference/reference.h"

#define BLOCK NND_REFERENCE_BLOCK

void nnd_f32_to_nchwc_reference(const float *x, size_t ldx, float *y, size_t channels,
                                size_t pixels)
{
    for (size_t i = 0; i < pixels; i++) {
        for (size_t c = 0; c < BLOCK; c++)
            y[i * BLOCK + c] = c < channels ? x[c * ldx + i] : 0.0f;
    }
}

void nnd_f32_to_nchw_reference(const float *x, float *y, size_t ldy, size_t channels, size_t pixels)
{
    for (size_t c = 0; c < channels; c++) {
        for (size_t i = 0; i < pixels; i++)
            y[c * ldy + i] = x[i * BLOCK + c];
    }
}

void nnd_f32_transpose_reference(const float *x, size_t ldx, float *y, size_t ldy, size_t rows,
                                 size_t cols)
{
    for (size_t c = 0; c < cols; c++) {
        for (size_t r = 0; r < rows; r++)
            y[c * ldy + r] = x[r * ldx + c];
    }
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float widen_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1fu;
    uint32_t fraction = half & 0x3ffu;
    if (exponent == 0x1fu) { /* infinity, or a NaN made quiet */
        uint32_t quiet = fraction ? 0x400000u : 0u;
        return float_of(sign | 0x7f800000u | quiet | (fraction << 13));
    }
    if (exponent == 0) { /* zero or subnormal: fraction · 2^−24 */
        float magnitude = (float)fraction * 0x1p-24f;
        return float_of(sign | bits_of(magnitude));
    }
    return float_of(sign | ((exponent + 112u) << 23) | (fraction << 13));
}

static uint16_t narrow_f16(float value)
{
    uint32_t bits = bits_of(value);
    uint32_t sign = (bits >> 16) & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x1ffu));
    if (magnitude >= 0x47800000u) return (uint16_t)(sign | 0x7c00u); /* from 65536 */
    if (magnitude < 0x38800000u) {
        /* Below 2^−14: adding 1/2 leaves fraction · 2^−24, rounded to even, in the low bits. */
        uint32_t shifted = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
        return (uint16_t)(sign | shifted);
    }
    uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
    return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
}

void nnd_f16_to_f32_reference(const uint16_t *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = widen_f16(x[i]);
}

void nnd_f32_to_f16_reference(const float *x, uint16_t *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = narrow_f16(x[i]);
}

void nnd_bf16_to_f32_reference(const uint16_t *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = float_of((uint32_t)x[i] << 16);
}

void nnd_f32_to_bf16_reference(const float *x, uint16_t *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = bits_of(x[i]);
        if ((bits & 0x7fffffffu) > 0x7f800000u)
            y[i] = (uint16_t)((bits >> 16) | 0x40u);
        else
            y[i] = (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
    }
}

void nnd_f32_mix_rows_reference(const float *x, size_t pitch, const int32_t *rows,
                                const float *weights, size_t taps, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float sum = weights[0] * x[(size_t)rows[0] * pitch + i];
        for (size_t k = 1; k < taps; k++)
            sum += weights[k] * x[(size_t)rows[k] * pitch + i];
        y[i] = sum;
    }
}

void nnd_f32_mix_pixels_reference(const float *x, const int32_t *columns, const float *weights,
                                  size_t taps, float *y, size_t pixels)
{
    for (size_t i = 0; i < pixels * NND_REFERENCE_BLOCK; i++) {
        const int32_t *column = columns + i / NND_REFERENCE_BLOCK * taps;
        const float *weight = weights + i / NND_REFERENCE_BLOCK * taps;
        size_t lane = i % NND_REFERENCE_BLOCK;
        float sum = x[(size_t)column[0] * NND_REFERENCE_BLOCK + lane];
        if (taps > 1) sum *= weight[0];
        for (size_t k = 1; k < taps; k++)
            sum += weight[k] * x[(size_t)column[k] * NND_REFERENCE_BLOCK + lane];
        y[i] = sum;
    }
}
