/*
 * Element types: names, sizes, and one element by value.
 *
 * Every floating format narrower than f32 is described by one row {exponent bits, mantissa bits,
 * bias, which codes are special}, so that one encoder and one decoder serve them all; f16 and bf16
 * have faster forms in float_bits.h. Formats: IEEE 754; OCP 8-bit Floating Point 1.0 (E4M3FN,
 * E5M2); the "FNUZ" forms of ONNX (bias one higher, no infinity, no negative zero, NaN = 0x80);
 * OCP Microscaling 1.0 (E8M0, E2M1).
 */
#include "data/dtype.h"

#include <math.h>
#include <string.h>

#include "data/float_bits.h"

typedef struct dtype_info {
    const char *name;
    const char *alias; /* NumPy's name where it is another one */
    uint16_t bits;
} dtype_info;

static const dtype_info infos[NND_DTYPE_COUNT] = {
    [NND_DTYPE_INVALID] = {"invalid", NULL, 0},
    [NND_F64] = {"f64", "float64", 64},
    [NND_F32] = {"f32", "float32", 32},
    [NND_F16] = {"f16", "float16", 16},
    [NND_BF16] = {"bf16", "bfloat16", 16},
    [NND_F8E4M3FN] = {"f8e4m3fn", "float8_e4m3fn", 8},
    [NND_F8E4M3FNUZ] = {"f8e4m3fnuz", "float8_e4m3fnuz", 8},
    [NND_F8E5M2] = {"f8e5m2", "float8_e5m2", 8},
    [NND_F8E5M2FNUZ] = {"f8e5m2fnuz", "float8_e5m2fnuz", 8},
    [NND_F8E8M0] = {"f8e8m0", "float8_e8m0fnu", 8},
    [NND_F4E2M1] = {"f4e2m1", "float4_e2m1fn", 4},
    [NND_I64] = {"i64", "int64", 64},
    [NND_I32] = {"i32", "int32", 32},
    [NND_I16] = {"i16", "int16", 16},
    [NND_I8] = {"i8", "int8", 8},
    [NND_I4] = {"i4", "int4", 4},
    [NND_I2] = {"i2", "int2", 2},
    [NND_U64] = {"u64", "uint64", 64},
    [NND_U32] = {"u32", "uint32", 32},
    [NND_U16] = {"u16", "uint16", 16},
    [NND_U8] = {"u8", "uint8", 8},
    [NND_U4] = {"u4", "uint4", 4},
    [NND_U2] = {"u2", "uint2", 2},
    [NND_BOOL] = {"bool", NULL, 8},
    [NND_STRING] = {"string", "str", 8 * sizeof(nnd_string)},
    [NND_C64] = {"c64", "complex64", 64},
    [NND_C128] = {"c128", "complex128", 128},
};

static bool dtype_is_known(nnd_dtype dtype)
{
    return dtype > NND_DTYPE_INVALID && dtype < NND_DTYPE_COUNT;
}

const char *nnd_dtype_name(nnd_dtype dtype)
{
    return infos[dtype_is_known(dtype) ? dtype : NND_DTYPE_INVALID].name;
}

nnd_dtype nnd_dtype_from_name(const char *name)
{
    if (!name) return NND_DTYPE_INVALID;
    for (int i = 1; i < NND_DTYPE_COUNT; i++) {
        const dtype_info *info = &infos[i];
        if (strcmp(info->name, name) == 0 || (info->alias && strcmp(info->alias, name) == 0)) {
            return (nnd_dtype)i;
        }
    }
    return NND_DTYPE_INVALID;
}

unsigned nnd_dtype_bits(nnd_dtype dtype)
{
    return infos[dtype_is_known(dtype) ? dtype : NND_DTYPE_INVALID].bits;
}

nnd_status nnd_dtype_bytes(nnd_dtype dtype, uint64_t count, size_t *out)
{
    uint64_t bits = nnd_dtype_bits(dtype);
    if (bits == 0) return nnd_error_set(NND_E_TYPE, "%d is not an element type", (int)dtype);
    uint64_t bytes;
    if (bits < 8) {
        uint64_t per_byte = 8 / bits;
        bytes = count / per_byte + (count % per_byte != 0);
    } else {
        if (count > UINT64_MAX / (bits / 8)) goto overflow;
        bytes = count * (bits / 8);
    }
    if (bytes > (uint64_t)PTRDIFF_MAX) goto overflow;
    *out = (size_t)bytes;
    return NND_OK;
overflow:
    return nnd_error_set(NND_E_OVERFLOW, "%llu elements of %s do not fit the address space",
                         (unsigned long long)count, nnd_dtype_name(dtype));
}

/* ---- narrow floating formats ---- */

typedef enum special_codes {
    SPECIAL_IEEE, /* all exponent bits set: infinity and NaN */
    SPECIAL_FN,   /* only the all-ones code is NaN, no infinity */
    SPECIAL_FNUZ, /* only the negative-zero code is NaN, no infinity */
    SPECIAL_NONE  /* every code is a number */
} special_codes;

typedef struct float_format {
    int exponent_bits, mantissa_bits, bias;
    special_codes special;
    bool saturates; /* infinity and overflow become the largest number */
} float_format;

static const float_format formats[NND_DTYPE_COUNT] = {
    [NND_F16] = {5, 10, 15, SPECIAL_IEEE, false},
    [NND_BF16] = {8, 7, 127, SPECIAL_IEEE, false},
    [NND_F8E4M3FN] = {4, 3, 7, SPECIAL_FN, true},
    [NND_F8E4M3FNUZ] = {4, 3, 8, SPECIAL_FNUZ, true},
    [NND_F8E5M2] = {5, 2, 15, SPECIAL_IEEE, true},
    [NND_F8E5M2FNUZ] = {5, 2, 16, SPECIAL_FNUZ, true},
    [NND_F4E2M1] = {2, 1, 1, SPECIAL_NONE, true},
};

/* Code of the largest finite number, sign clear. */
static uint32_t format_max_code(const float_format *f)
{
    uint32_t ones = (1u << (f->exponent_bits + f->mantissa_bits)) - 1u;
    switch (f->special) {
    case SPECIAL_IEEE:
        return ones - (1u << f->mantissa_bits);
    case SPECIAL_FN:
        return ones - 1u;
    default:
        return ones;
    }
}

static double format_decode(const float_format *f, uint32_t code)
{
    uint32_t sign_bit = 1u << (f->exponent_bits + f->mantissa_bits);
    uint32_t magnitude = code & (sign_bit - 1u);
    bool negative = (code & sign_bit) != 0;
    if (f->special == SPECIAL_FNUZ && code == sign_bit) return NAN;
    if (f->special != SPECIAL_FNUZ && magnitude > format_max_code(f)) {
        bool is_infinity = f->special == SPECIAL_IEEE && magnitude == format_max_code(f) + 1u;
        return copysign(is_infinity ? INFINITY : NAN, negative ? -1.0 : 1.0);
    }
    int exponent = (int)(magnitude >> f->mantissa_bits);
    uint32_t mantissa = magnitude & ((1u << f->mantissa_bits) - 1u);
    if (exponent == 0) {
        exponent = 1; /* subnormal: no hidden bit */
    } else {
        mantissa |= 1u << f->mantissa_bits;
    }
    double value = ldexp((double)mantissa, exponent - f->bias - f->mantissa_bits);
    return negative ? -value : value;
}

static uint32_t format_nan(const float_format *f, uint32_t sign)
{
    uint32_t sign_bit = 1u << (f->exponent_bits + f->mantissa_bits);
    switch (f->special) {
    case SPECIAL_IEEE: /* quiet */
        return sign | (format_max_code(f) + 1u) | (1u << (f->mantissa_bits - 1));
    case SPECIAL_FN:
        return sign | (sign_bit - 1u);
    case SPECIAL_FNUZ:
        return sign_bit;
    default: /* no NaN: the largest number, which no computation mistakes for a small one */
        return format_max_code(f);
    }
}

static uint32_t format_encode(const float_format *f, double value)
{
    uint32_t sign = nnd_f64_is_negative(value) ? 1u << (f->exponent_bits + f->mantissa_bits) : 0u;
    if (nnd_f64_is_nan(value)) return format_nan(f, sign);
    double magnitude = fabs(value);
    uint32_t code = 0;
    if (magnitude > 0.0) {
        int exponent = 1024;
        if (nnd_f64_is_finite(magnitude)) (void)frexp(magnitude, &exponent); /* in [2^(e-1), 2^e) */
        int biased = exponent - 1 + f->bias;
        if (biased >= 1 << f->exponent_bits) {
            code = UINT32_MAX;
        } else {
            if (biased < 1) biased = 1; /* subnormal steps */
            /* In units of the last place; rint rounds to nearest even, and a carry out of the
               mantissa moves on into the exponent field by itself. */
            double steps = rint(ldexp(magnitude, f->mantissa_bits + f->bias - biased));
            code = ((uint32_t)(biased - 1) << f->mantissa_bits) + (uint32_t)steps;
        }
    }
    uint32_t max_code = format_max_code(f);
    if (code > max_code) {
        if (!f->saturates) return sign | (max_code + 1u); /* infinity */
        code = max_code;
    }
    if (code == 0 && f->special == SPECIAL_FNUZ) return 0; /* there is no negative zero */
    return sign | code;
}

/* E8M0 is a bare exponent, 2^(code-127); 0xff is NaN. It has neither sign nor zero: zero becomes
   the smallest power, a negative number NaN. Ties round up. */
static double e8m0_decode(uint8_t code)
{
    return code == 0xff ? (double)NAN : ldexp(1.0, (int)code - 127);
}

static uint8_t e8m0_encode(double value)
{
    if (nnd_f64_is_nan(value) || value < 0.0) return 0xff;
    if (value >= 0x1.8p127) return 0xfe;
    if (value <= 0x1p-127) return 0;
    int exponent;
    double fraction = frexp(value, &exponent); /* [0.5, 1) */
    return (uint8_t)(exponent - 1 + 127 + (fraction >= 0.75 ? 1 : 0));
}

/* ---- one element ---- */

uint32_t nnd_dtype_get_packed(const void *data, size_t index, unsigned bits)
{
    unsigned per_byte = 8u / bits;
    unsigned shift = (unsigned)(index % per_byte) * bits;
    return ((uint32_t)((const uint8_t *)data)[index / per_byte] >> shift) & ((1u << bits) - 1u);
}

void nnd_dtype_set_packed(void *data, size_t index, unsigned bits, uint32_t code)
{
    unsigned per_byte = 8u / bits;
    unsigned shift = (unsigned)(index % per_byte) * bits;
    uint32_t mask = ((1u << bits) - 1u) << shift;
    uint8_t *byte = (uint8_t *)data + index / per_byte;
    *byte = (uint8_t)((*byte & ~mask) | ((code << shift) & mask));
}

static int64_t sign_extend(uint32_t code, unsigned bits)
{
    uint32_t sign = 1u << (bits - 1u);
    return (int64_t)(code ^ sign) - (int64_t)sign;
}

#define LOAD(type)                                                                                 \
    do {                                                                                           \
        type loaded_;                                                                              \
        memcpy(&loaded_, (const char *)data + index * sizeof(type), sizeof(type));                 \
        return (double)loaded_;                                                                    \
    } while (0)

double nnd_dtype_get(nnd_dtype dtype, const void *data, size_t index)
{
    const uint8_t *bytes = data;
    uint16_t half;
    switch (dtype) {
    case NND_F64:
        LOAD(double);
    case NND_F32:
        LOAD(float);
    case NND_F16:
        memcpy(&half, bytes + index * 2, 2);
        return (double)nnd_f16_to_f32(half);
    case NND_BF16:
        memcpy(&half, bytes + index * 2, 2);
        return (double)nnd_bf16_to_f32(half);
    case NND_F8E4M3FN:
    case NND_F8E4M3FNUZ:
    case NND_F8E5M2:
    case NND_F8E5M2FNUZ:
        return format_decode(&formats[dtype], bytes[index]);
    case NND_F8E8M0:
        return e8m0_decode(bytes[index]);
    case NND_F4E2M1:
        return format_decode(&formats[dtype], nnd_dtype_get_packed(data, index, 4));
    case NND_I64:
        LOAD(int64_t);
    case NND_I32:
        LOAD(int32_t);
    case NND_I16:
        LOAD(int16_t);
    case NND_I8:
        LOAD(int8_t);
    case NND_I4:
        return (double)sign_extend(nnd_dtype_get_packed(data, index, 4), 4);
    case NND_I2:
        return (double)sign_extend(nnd_dtype_get_packed(data, index, 2), 2);
    case NND_U64:
        LOAD(uint64_t);
    case NND_U32:
        LOAD(uint32_t);
    case NND_U16:
        LOAD(uint16_t);
    case NND_U8:
        LOAD(uint8_t);
    case NND_U4:
        return (double)nnd_dtype_get_packed(data, index, 4);
    case NND_U2:
        return (double)nnd_dtype_get_packed(data, index, 2);
    case NND_BOOL:
        return bytes[index] ? 1.0 : 0.0;
    case NND_C64: /* the real part */
        return nnd_dtype_get(NND_F32, data, index * 2);
    case NND_C128:
        return nnd_dtype_get(NND_F64, data, index * 2);
    default:
        return (double)NAN;
    }
}

/* Rounds to nearest even and saturates; NaN becomes 0. */
static int64_t double_to_i64(double value, int64_t low, int64_t high)
{
    if (nnd_f64_is_nan(value)) return 0;
    double rounded = rint(value);
    if (rounded <= (double)low) return low;
    if (rounded >= (double)high) return high; /* (double)INT64_MAX is 2^63 */
    return (int64_t)rounded;
}

static uint64_t double_to_u64(double value)
{
    if (!(value > 0.0)) return 0;
    double rounded = rint(value);
    return rounded >= 0x1p64 ? UINT64_MAX : (uint64_t)rounded;
}

#define STORE(type, expr)                                                                          \
    do {                                                                                           \
        type stored_ = (type)(expr);                                                               \
        memcpy((char *)data + index * sizeof(type), &stored_, sizeof(type));                       \
    } while (0)

void nnd_dtype_set(nnd_dtype dtype, void *data, size_t index, double value)
{
    switch (dtype) {
    case NND_F64:
        STORE(double, value);
        break;
    case NND_F32:
        STORE(float, value);
        break;
    case NND_F16:
    case NND_BF16:
        STORE(uint16_t, format_encode(&formats[dtype], value));
        break;
    case NND_F8E4M3FN:
    case NND_F8E4M3FNUZ:
    case NND_F8E5M2:
    case NND_F8E5M2FNUZ:
        STORE(uint8_t, format_encode(&formats[dtype], value));
        break;
    case NND_F8E8M0:
        STORE(uint8_t, e8m0_encode(value));
        break;
    case NND_F4E2M1:
        nnd_dtype_set_packed(data, index, 4, format_encode(&formats[dtype], value));
        break;
    case NND_I64:
        STORE(int64_t, double_to_i64(value, INT64_MIN, INT64_MAX));
        break;
    case NND_I32:
        STORE(int32_t, double_to_i64(value, INT32_MIN, INT32_MAX));
        break;
    case NND_I16:
        STORE(int16_t, double_to_i64(value, INT16_MIN, INT16_MAX));
        break;
    case NND_I8:
        STORE(int8_t, double_to_i64(value, INT8_MIN, INT8_MAX));
        break;
    case NND_I4:
        nnd_dtype_set_packed(data, index, 4, (uint32_t)double_to_i64(value, -8, 7));
        break;
    case NND_I2:
        nnd_dtype_set_packed(data, index, 2, (uint32_t)double_to_i64(value, -2, 1));
        break;
    case NND_U64:
        STORE(uint64_t, double_to_u64(value));
        break;
    case NND_U32:
        STORE(uint32_t, double_to_i64(value, 0, UINT32_MAX));
        break;
    case NND_U16:
        STORE(uint16_t, double_to_i64(value, 0, UINT16_MAX));
        break;
    case NND_U8:
        STORE(uint8_t, double_to_i64(value, 0, UINT8_MAX));
        break;
    case NND_U4:
        nnd_dtype_set_packed(data, index, 4, (uint32_t)double_to_i64(value, 0, 15));
        break;
    case NND_U2:
        nnd_dtype_set_packed(data, index, 2, (uint32_t)double_to_i64(value, 0, 3));
        break;
    case NND_BOOL:
        STORE(uint8_t, value != 0.0);
        break;
    case NND_C64:
        nnd_dtype_set(NND_F32, data, index * 2, value);
        nnd_dtype_set(NND_F32, data, index * 2 + 1, 0.0);
        break;
    case NND_C128:
        nnd_dtype_set(NND_F64, data, index * 2, value);
        nnd_dtype_set(NND_F64, data, index * 2 + 1, 0.0);
        break;
    default: /* strings have no number */
        break;
    }
}

int64_t nnd_dtype_get_int(nnd_dtype dtype, const void *data, size_t index)
{
    if (dtype == NND_I64 || dtype == NND_U64) {
        int64_t value;
        memcpy(&value, (const char *)data + index * sizeof(value), sizeof(value));
        return value;
    }
    return (int64_t)nnd_dtype_get(dtype, data, index);
}
