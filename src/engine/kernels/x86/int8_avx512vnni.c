/* u8 vectors × i8 rows by VNNI, whose sums of four products do not saturate. */
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LANES = 16 };
#define ROWS           14
#define VECTORS        2
#define SIGNED_VECTORS false
#define WIDE_ROWS      false
#define SET_ISA        NND_ISA_AVX512VNNI
#define SET_NAME       nnd_int8_set_avx512vnni

typedef __m512i vi;
typedef __m512i vx;
typedef __m512i vb;
typedef __m512i va;
typedef __m512 vf;

static inline vi vi_load(const int32_t *p)
{
    return _mm512_loadu_si512(p);
}
static inline void vi_store(int32_t *p, vi v)
{
    _mm512_storeu_si512(p, v);
}
static inline vi vi_set1(int32_t v)
{
    return _mm512_set1_epi32(v);
}
static inline vi vi_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}
static inline vi vi_mul(vi a, vi b)
{
    return _mm512_mullo_epi32(a, b);
}
static inline vx vx_load(const uint8_t *p)
{
    return _mm512_loadu_si512(p);
}
static inline vb vb_load(const char *p)
{
    return _mm512_set1_epi32(*(const int32_t *)(const void *)p);
}
static inline va va_zero(void)
{
    return _mm512_setzero_si512();
}
static inline va va_dot(va sums, vx x, vb row)
{
    /* gcc 12 copies the sums around its own function for this; as an operand that is read and
       written they stay where they are. */
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(x), "v"(row));
    return sums;
}
static inline vi va_total(va sums)
{
    return sums;
}
static inline vf vf_set1(float v)
{
    return _mm512_set1_ps(v);
}
static inline vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline void vf_store(float *p, vf v)
{
    _mm512_storeu_ps(p, v);
}
static inline vf vf_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1u), p);
}
static inline void vf_store_n(float *p, vf v, size_t n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1u), v);
}
static inline vf vf_of(vi v)
{
    return _mm512_cvtepi32_ps(v);
}
static inline vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
static inline vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
static inline vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
static inline vf vf_least(vf v, vf low)
{
    return _mm512_min_ps(v, low);
}
static inline vf vf_most(vf v, vf high)
{
    return _mm512_max_ps(v, high);
}
static inline vi vi_codes(const uint8_t *p, bool is_signed)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    return is_signed ? _mm512_cvtepi8_epi32(v) : _mm512_cvtepu8_epi32(v);
}
static inline vf vf_ordered(vf v)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(v, v, _CMP_ORD_Q), v);
}
/* A NaN becomes the second operand. */
static inline vi vi_round(vf v, vf low, vf high)
{
    return _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(v, low), high));
}
static inline void vi_bytes(vi v, uint8_t *to)
{
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtepi32_epi8(v));
}

static inline void vi_bytes_part(vi v, uint8_t *to, size_t n)
{
    _mm_mask_storeu_epi8(to, (__mmask16)((1u << n) - 1u), _mm512_cvtepi32_epi8(v));
}

/* Sixteen entries at a time, for the bytes whose upper half says so. */
static inline size_t int8_lookup_all(const uint8_t *table, const uint8_t *x, uint8_t *y, size_t n)
{
    __m512i part[16];
    size_t i = 0;
    for (int t = 0; t < 16; t++)
        part[t] = _mm512_broadcast_i32x4(
            _mm_loadu_si128((const __m128i *)(const void *)(table + 16 * t)));
    for (; n - i >= 64; i += 64) {
        __m512i v = _mm512_loadu_si512(x + i), found = _mm512_setzero_si512();
        __m512i low = _mm512_and_si512(v, _mm512_set1_epi8(0x0f));
        __m512i high = _mm512_andnot_si512(_mm512_set1_epi8(0x0f), v);
#pragma GCC unroll 16
        for (int t = 0; t < 16; t++) {
            __mmask64 here = _mm512_cmpeq_epi8_mask(high, _mm512_set1_epi8((char)(16 * t)));
            found = _mm512_mask_shuffle_epi8(found, here, part[t], low);
        }
        _mm512_storeu_si512(y + i, found);
    }
    return i;
}

/* Two pieces of 16 bytes from different halves of a register. */
static inline void store_halves(__m256i v, uint8_t *low, uint8_t *high)
{
    _mm_storeu_si128((__m128i *)(void *)low, _mm256_castsi256_si128(v));
    _mm_storeu_si128((__m128i *)(void *)high, _mm256_extracti128_si256(v, 1));
}

enum { INTERLEAVED = 32 };
static inline void int8_interleave_some(const uint8_t *const rows[4], size_t at, uint8_t flip,
                                        uint8_t *to)
{
    __m256i x[4], top = _mm256_set1_epi8((char)flip);
    for (int j = 0; j < 4; j++)
        x[j] = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)(rows[j] + at)),
                                top);
    __m256i a = _mm256_unpacklo_epi8(x[0], x[1]), b = _mm256_unpacklo_epi8(x[2], x[3]);
    __m256i c = _mm256_unpackhi_epi8(x[0], x[1]), d = _mm256_unpackhi_epi8(x[2], x[3]);
    store_halves(_mm256_unpacklo_epi16(a, b), to, to + 64);
    store_halves(_mm256_unpackhi_epi16(a, b), to + 16, to + 80);
    store_halves(_mm256_unpacklo_epi16(c, d), to + 32, to + 96);
    store_halves(_mm256_unpackhi_epi16(c, d), to + 48, to + 112);
}

typedef struct vp {
    vi v[2];
} vp;
enum { PAIR_LANES = 32 };
static inline vp vp_set1(int32_t v)
{
    return (vp){{vi_set1(v), vi_set1(v)}};
}
/* The upper halves of the lanes are 0: pairs of 16-bit products with one product each. */
static inline vp vp_tap(vp sums, const uint8_t *x, int32_t weight, int64_t step)
{
    vi w = vi_set1(weight & 0xffff);
    for (int i = 0; i < 2; i++) {
        const void *at = x + 16 * step * i;
        vi v = step == 1
                   ? _mm512_cvtepu8_epi32(_mm_loadu_si128(at))
                   : _mm512_and_si512(_mm512_cvtepu16_epi32(_mm256_loadu_si256(at)), vi_set1(0xff));
        __asm__("vpdpwssd %2, %1, %0" : "+v"(sums.v[i]) : "v"(v), "v"(w));
    }
    return sums;
}
static inline vi vp_get(vp sums, int i)
{
    return sums.v[i];
}

#define DEPTHWISE_QUADS
/* Lane by lane of 16 bytes, the neighbours of four outputs. */
static inline vi vi_quad(vi sums, const uint8_t *x, int32_t weights, int64_t step)
{
    __m512i v, parts, neighbours;
    if (step == 1) {
        parts = _mm512_set_epi32(6, 5, 4, 3, 5, 4, 3, 2, 4, 3, 2, 1, 3, 2, 1, 0);
        neighbours =
            _mm512_broadcast_i32x4(_mm_set_epi32(0x06050403, 0x05040302, 0x04030201, 0x03020100));
        v = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(const void *)x));
    } else {
        parts = _mm512_set_epi32(9, 8, 7, 6, 7, 6, 5, 4, 5, 4, 3, 2, 3, 2, 1, 0);
        neighbours =
            _mm512_broadcast_i32x4(_mm_set_epi32(0x09080706, 0x07060504, 0x05040302, 0x03020100));
        v = _mm512_loadu_si512(x);
    }
    v = _mm512_shuffle_epi8(_mm512_permutexvar_epi32(parts, v), neighbours);
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(v), "v"(_mm512_set1_epi32(weights)));
    return sums;
}

#include "engine/kernels/simd/int8_body.h"
