/*
 * The fixed-point steps of kernels.h in plain C, one pixel at a time: what the reference loops over
 * and what the vector kernels must equal.
 */
#ifndef NND_OPS_FIXED_H
#define NND_OPS_FIXED_H

#include <stdint.h>

/* (a · b + 2¹⁴) >> 15 on 16-bit values. */
static inline int32_t nnd_fixed_mul(int32_t a, int32_t b)
{
    return (a * b + 0x4000) >> 15;
}

static inline int32_t nnd_fixed_clamp16(int32_t v)
{
    return v < -32768 ? -32768 : v > 32767 ? 32767 : v;
}

static inline uint8_t nnd_fixed_clamp8(int32_t v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* a + (b − a) · w; levels in, Q7 out. */
static inline int32_t nnd_fixed_blend_rows(int32_t a, int32_t b, int32_t w)
{
    return a * 128 + nnd_fixed_mul((b - a) * 128, w);
}

/* Levels of the four pixels around a point → level at the point. */
static inline uint8_t nnd_fixed_bilinear(int32_t p00, int32_t p01, int32_t p10, int32_t p11,
                                         int32_t wx, int32_t wy)
{
    const int32_t left = nnd_fixed_blend_rows(p00, p10, wy);
    const int32_t right = nnd_fixed_blend_rows(p01, p11, wy);
    return (uint8_t)((left + nnd_fixed_mul(right - left, wx) + 64) >> 7);
}

#endif
