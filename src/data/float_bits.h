/*
 * Bits of floating point: conversions between float and its 16-bit forms, inline for kernels and
 * tables, and classification. All conversions round to
 * nearest even, keep infinities and turn every NaN into a quiet NaN of the same sign.
 */
#ifndef NND_DATA_FLOAT_BITS_H
#define NND_DATA_FLOAT_BITS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t nnd_f32_to_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static inline float nnd_f32_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Classification without the type-generic macros of math.h, whose float branch some C libraries
   show to the compiler's conversion warnings also for doubles. */
static inline uint64_t nnd_f64_to_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static inline bool nnd_f64_is_nan(double value)
{
    return value != value;
}

static inline bool nnd_f64_is_finite(double value)
{
    return (nnd_f64_to_bits(value) & UINT64_C(0x7ff0000000000000)) != UINT64_C(0x7ff0000000000000);
}

static inline bool nnd_f64_is_negative(double value)
{
    return nnd_f64_to_bits(value) >> 63 != 0;
}

static inline float nnd_bf16_to_f32(uint16_t code)
{
    return nnd_f32_from_bits((uint32_t)code << 16);
}

static inline uint16_t nnd_f32_to_bf16(float value)
{
    uint32_t bits = nnd_f32_to_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((bits >> 16) | 0x0040u);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static inline float nnd_f16_to_f32(uint16_t code)
{
    uint32_t sign = (uint32_t)(code & 0x8000u) << 16;
    uint32_t magnitude = code & 0x7fffu;
    if (magnitude >= 0x7c00u) { /* infinity or NaN: all exponent bits set */
        return nnd_f32_from_bits(sign | 0x7f800000u | ((magnitude & 0x03ffu) << 13));
    }
    /* Normal and subnormal alike: put the bits into float's fields, then fix the bias by an exact
       multiplication with 2^(127-15). */
    float scaled = nnd_f32_from_bits(magnitude << 13) * 0x1p112f;
    return nnd_f32_from_bits(sign | nnd_f32_to_bits(scaled));
}

static inline uint16_t nnd_f32_to_f16(float value)
{
    uint32_t bits = nnd_f32_to_bits(value);
    uint32_t sign = (bits >> 16) & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) { /* NaN: keep the leading payload bits, set the quiet bit */
        return (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x01ffu));
    }
    if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* rounds to infinity */
    if (magnitude < 0x38800000u) {
        /* Below 2^-14: adding 0.5 makes the hardware round at bit 2^-24, the subnormal step. */
        float shifted = nnd_f32_from_bits(magnitude) + 0.5f;
        return (uint16_t)(sign | (nnd_f32_to_bits(shifted) - 0x3f000000u));
    }
    uint32_t rounded = magnitude + 0x0fffu + ((magnitude >> 13) & 1u);
    return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
}

#endif
