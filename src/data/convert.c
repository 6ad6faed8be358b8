/*
 * Conversion of runs of elements. The frequent pairs have loops of their own; every other pair of
 * types goes element by element through double, integers among each other through int64.
 */
#include <string.h>

#include "data/dtype.h"
#include "data/float_bits.h"

typedef void (*convert_fn)(const void *src, void *dst, size_t count);

#define CONVERT_LOOP(name, from_type, to_type, expr)                                               \
    static void name(const void *src, void *dst, size_t count)                                     \
    {                                                                                              \
        const from_type *from = src;                                                               \
        to_type *to = dst;                                                                         \
        for (size_t i = 0; i < count; i++)                                                         \
            to[i] = (expr);                                                                        \
    }

CONVERT_LOOP(f32_to_f16, float, uint16_t, nnd_f32_to_f16(from[i]))
CONVERT_LOOP(f16_to_f32, uint16_t, float, nnd_f16_to_f32(from[i]))
CONVERT_LOOP(f32_to_bf16, float, uint16_t, nnd_f32_to_bf16(from[i]))
CONVERT_LOOP(bf16_to_f32, uint16_t, float, nnd_bf16_to_f32(from[i]))
CONVERT_LOOP(f32_to_f64, float, double, (double)from[i])
CONVERT_LOOP(f64_to_f32, double, float, (float)from[i])
CONVERT_LOOP(u8_to_f32, uint8_t, float, (float)from[i])
CONVERT_LOOP(i8_to_f32, int8_t, float, (float)from[i])
CONVERT_LOOP(i32_to_f32, int32_t, float, (float)from[i])
CONVERT_LOOP(i64_to_f32, int64_t, float, (float)from[i])
CONVERT_LOOP(i32_to_i64, int32_t, int64_t, (int64_t)from[i])

static const struct {
    nnd_dtype from, to;
    convert_fn fn;
} fast_pairs[] = {
    {NND_F32, NND_F16, f32_to_f16},   {NND_F16, NND_F32, f16_to_f32},
    {NND_F32, NND_BF16, f32_to_bf16}, {NND_BF16, NND_F32, bf16_to_f32},
    {NND_F32, NND_F64, f32_to_f64},   {NND_F64, NND_F32, f64_to_f32},
    {NND_U8, NND_F32, u8_to_f32},     {NND_I8, NND_F32, i8_to_f32},
    {NND_I32, NND_F32, i32_to_f32},   {NND_I64, NND_F32, i64_to_f32},
    {NND_I32, NND_I64, i32_to_i64},
};

static bool is_int(nnd_dtype dtype)
{
    return nnd_dtype_is_signed_int(dtype) || nnd_dtype_is_unsigned_int(dtype);
}

static bool is_aligned(const void *p, nnd_dtype dtype)
{
    size_t size = nnd_dtype_bits(dtype) / 8;
    return ((uintptr_t)p & (size - 1)) == 0;
}

/* Writes a 64-bit integer into an integer type, saturating. */
static void set_int(nnd_dtype to, void *dst, size_t index, int64_t value, bool value_unsigned)
{
    uint64_t magnitude = (uint64_t)value;
    bool above = value_unsigned && value < 0; /* beyond INT64_MAX */
    if (to == NND_I64) {
        int64_t stored = above ? INT64_MAX : value;
        memcpy((char *)dst + index * sizeof(stored), &stored, sizeof(stored));
    } else if (to == NND_U64) {
        uint64_t stored = value_unsigned || value > 0 ? magnitude : 0;
        memcpy((char *)dst + index * sizeof(stored), &stored, sizeof(stored));
    } else {
        /* The narrower types are exact through double once the value is within ±2^53. */
        int64_t bound = (int64_t)1 << 53;
        if (above || value > bound) value = bound;
        if (value < -bound) value = -bound;
        nnd_dtype_set(to, dst, index, (double)value);
    }
}

static void convert_ints(nnd_dtype from, const void *src, nnd_dtype to, void *dst, size_t count)
{
    bool from_unsigned = nnd_dtype_is_unsigned_int(from);
    for (size_t i = 0; i < count; i++)
        set_int(to, dst, i, nnd_dtype_get_int(from, src, i), from_unsigned);
}

/* A 64-bit integer as double, rounded to odd: a second rounding to a narrower format is then the
   only one that counts (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
 */
static double int_to_double_odd(int64_t value, bool value_unsigned)
{
    bool negative = !value_unsigned && value < 0;
    uint64_t magnitude = negative ? 0u - (uint64_t)value : (uint64_t)value;
    unsigned shift = 0;
    bool lost = false;
    while (magnitude >> 53) {
        lost |= (magnitude & 1u) != 0;
        magnitude >>= 1;
        shift++;
    }
    if (lost) magnitude |= 1u;
    double result = (double)magnitude * (double)((uint64_t)1 << shift);
    return negative ? -result : result;
}

static double get_for(nnd_dtype from, const void *src, size_t index, nnd_dtype to)
{
    if ((from == NND_I64 || from == NND_U64) && to != NND_F64 && to != NND_C128) {
        return int_to_double_odd(nnd_dtype_get_int(from, src, index), from == NND_U64);
    }
    return nnd_dtype_get(from, src, index);
}

/* Complex among each other keep both parts, which lie side by side as two real elements. */
static void convert_complex(nnd_dtype from, const void *src, nnd_dtype to, void *dst, size_t count)
{
    nnd_dtype from_part = from == NND_C64 ? NND_F32 : NND_F64;
    nnd_dtype to_part = to == NND_C64 ? NND_F32 : NND_F64;
    for (size_t i = 0; i < count * 2; i++)
        nnd_dtype_set(to_part, dst, i, nnd_dtype_get(from_part, src, i));
}

nnd_status nnd_dtype_convert(nnd_dtype from, const void *src, nnd_dtype to, void *dst, size_t count)
{
    if (nnd_dtype_bits(from) == 0 || nnd_dtype_bits(to) == 0 || from == NND_STRING ||
        to == NND_STRING) {
        return nnd_error_set(NND_E_TYPE, "cannot convert elements of %s to %s",
                             nnd_dtype_name(from), nnd_dtype_name(to));
    }
    size_t bytes;
    NND_TRY(nnd_dtype_bytes(from, count, &bytes));
    size_t to_bytes;
    NND_TRY(nnd_dtype_bytes(to, count, &to_bytes));
    if (count == 0) return NND_OK;
    if (from == to) {
        memcpy(dst, src, bytes);
        return NND_OK;
    }
    if (nnd_dtype_bits(from) >= 8 && nnd_dtype_bits(to) >= 8 && is_aligned(src, from) &&
        is_aligned(dst, to)) {
        for (size_t i = 0; i < NND_COUNT(fast_pairs); i++) {
            if (fast_pairs[i].from == from && fast_pairs[i].to == to) {
                fast_pairs[i].fn(src, dst, count);
                return NND_OK;
            }
        }
    }
    if (nnd_dtype_is_complex(from) && nnd_dtype_is_complex(to)) {
        convert_complex(from, src, to, dst, count);
    } else if (is_int(from) && is_int(to)) {
        convert_ints(from, src, to, dst, count);
    } else {
        for (size_t i = 0; i < count; i++)
            nnd_dtype_set(to, dst, i, get_for(from, src, i, to));
    }
    return NND_OK;
}
