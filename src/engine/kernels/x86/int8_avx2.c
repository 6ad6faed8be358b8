/*
 * u8 vectors × i8 rows in pairs of 16 bits. The instruction for pairs of bytes saturates at 16
 * bits (255·127·2 does not fit); widening the vector once per quad costs two instructions that all
 * rows of the tile share, and every product is exact.
 */
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LANES = 8 };
#define ROWS           4
#define VECTORS        2
#define SIGNED_VECTORS false
#define WIDE_ROWS      true
#define SET_ISA        NND_ISA_AVX2
#define SET_NAME       nnd_int8_set_avx2

typedef __m256i vi;
typedef __m256i va;
typedef __m256 vf;
typedef struct vx {
    __m256i even, odd; /* k, k+2 and k+1, k+3 */
} vx;
typedef struct vb {
    __m256i even, odd;
} vb;

static inline vi vi_load(const int32_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
static inline void vi_store(int32_t *p, vi v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}
static inline vi vi_set1(int32_t v)
{
    return _mm256_set1_epi32(v);
}
static inline vi vi_add(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}
static inline vi vi_mul(vi a, vi b)
{
    return _mm256_mullo_epi32(a, b);
}
static inline vx vx_load(const uint8_t *p)
{
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return (vx){_mm256_and_si256(v, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(v, 8)};
}
static inline vb vb_load(const char *p)
{
    const int32_t *pairs = (const int32_t *)(const void *)p;
    return (vb){_mm256_set1_epi32(pairs[0]), _mm256_set1_epi32(pairs[1])};
}
static inline va va_zero(void)
{
    return _mm256_setzero_si256();
}
static inline va va_dot(va sums, vx x, vb row)
{
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(x.even, row.even));
    return _mm256_add_epi32(sums, _mm256_madd_epi16(x.odd, row.odd));
}
static inline vi va_total(va sums)
{
    return sums;
}
static inline vf vf_set1(float v)
{
    return _mm256_set1_ps(v);
}
static inline vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
static inline void vf_store(float *p, vf v)
{
    _mm256_storeu_ps(p, v);
}
static inline __m256i first_lanes(size_t n)
{
    static const int32_t mask[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    return _mm256_loadu_si256((const __m256i *)(mask + 8 - n));
}
static inline vf vf_load_n(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, first_lanes(n));
}
static inline void vf_store_n(float *p, vf v, size_t n)
{
    _mm256_maskstore_ps(p, first_lanes(n), v);
}
static inline vf vf_of(vi v)
{
    return _mm256_cvtepi32_ps(v);
}
static inline vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
static inline vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
static inline vf vf_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
static inline vf vf_least(vf v, vf low)
{
    return _mm256_min_ps(v, low);
}
static inline vf vf_most(vf v, vf high)
{
    return _mm256_max_ps(v, high);
}
static inline vi vi_codes(const uint8_t *p, bool is_signed)
{
    __m128i v = _mm_loadl_epi64((const __m128i *)(const void *)p);
    return is_signed ? _mm256_cvtepi8_epi32(v) : _mm256_cvtepu8_epi32(v);
}
static inline vf vf_ordered(vf v)
{
    return _mm256_and_ps(v, _mm256_cmp_ps(v, v, _CMP_ORD_Q));
}
/* A NaN becomes the second operand. */
static inline vi vi_round(vf v, vf low, vf high)
{
    return _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(v, low), high));
}
static inline void vi_bytes(vi v, uint8_t *to)
{
    const __m256i low = _mm256_set1_epi64x(0x0c080400), pick = _mm256_set1_epi64x(0x400000000);
    v = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(v, low), pick);
    _mm_storel_epi64((__m128i *)(void *)to, _mm256_castsi256_si128(v));
}

static inline void vi_bytes_part(vi v, uint8_t *to, size_t n)
{
    uint8_t all[LANES] = {0};
    vi_bytes(v, all);
    for (size_t i = 0; i < n; i++)
        to[i] = all[i];
}

/* Sixteen entries at a time; a shuffle gives 0 for an index with its top bit set, which the index
   of what is not among them has after a sum that saturates. */
static inline size_t int8_lookup_all(const uint8_t *table, const uint8_t *x, uint8_t *y, size_t n)
{
    __m256i part[16];
    size_t i = 0;
    for (int t = 0; t < 16; t++)
        part[t] = _mm256_broadcastsi128_si256(
            _mm_loadu_si128((const __m128i *)(const void *)(table + 16 * t)));
    for (; n - i >= 32; i += 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(x + i));
        __m256i found = _mm256_setzero_si256();
#pragma GCC unroll 16
        for (int t = 0; t < 16; t++) {
            __m256i index = _mm256_adds_epu8(v, _mm256_set1_epi8(0x70));
            found = _mm256_or_si256(found, _mm256_shuffle_epi8(part[t], index));
            v = _mm256_sub_epi8(v, _mm256_set1_epi8(16));
        }
        _mm256_storeu_si256((__m256i *)(void *)(y + i), found);
    }
    return i;
}

enum { INTERLEAVED = 16 };
static inline void int8_interleave_some(const uint8_t *const rows[4], size_t at, uint8_t flip,
                                        uint8_t *to)
{
    __m128i x[4], top = _mm_set1_epi8((char)flip), *out = (__m128i *)(void *)to;
    for (int j = 0; j < 4; j++)
        x[j] = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)(rows[j] + at)), top);
    __m128i a = _mm_unpacklo_epi8(x[0], x[1]), b = _mm_unpacklo_epi8(x[2], x[3]);
    __m128i c = _mm_unpackhi_epi8(x[0], x[1]), d = _mm_unpackhi_epi8(x[2], x[3]);
    _mm_storeu_si128(out, _mm_unpacklo_epi16(a, b));
    _mm_storeu_si128(out + 1, _mm_unpackhi_epi16(a, b));
    _mm_storeu_si128(out + 2, _mm_unpacklo_epi16(c, d));
    _mm_storeu_si128(out + 3, _mm_unpackhi_epi16(c, d));
}

typedef struct vp {
    vi v[2];
} vp;
enum { PAIR_LANES = 16 };
static inline vp vp_set1(int32_t v)
{
    return (vp){{vi_set1(v), vi_set1(v)}};
}
/* The upper halves of the lanes are 0: pairs of 16-bit products with one product each. */
static inline vp vp_tap(vp sums, const uint8_t *x, int32_t weight, int64_t step)
{
    vi w = vi_set1(weight & 0xffff);
    for (int i = 0; i < 2; i++) {
        const void *at = x + 8 * step * i;
        vi v = step == 1
                   ? _mm256_cvtepu8_epi32(_mm_loadl_epi64(at))
                   : _mm256_and_si256(_mm256_cvtepu16_epi32(_mm_loadu_si128(at)), vi_set1(0xff));
        sums.v[i] = _mm256_add_epi32(sums.v[i], _mm256_madd_epi16(v, w));
    }
    return sums;
}
static inline vi vp_get(vp sums, int i)
{
    return sums.v[i];
}

#define DEPTHWISE_QUADS
/* Pairs of neighbours in 16 bits, twice: every product is exact. Index −1 picks 0. */
static inline vi vi_quad(vi sums, const uint8_t *x, int32_t weights, int64_t step)
{
    const __m128i *low = (const __m128i *)(const void *)x;
    const __m128i *high = (const __m128i *)(const void *)(x + 4 * step);
    __m256i v = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)),
                                        _mm_loadu_si128(high), 1);
    __m256i first, last;
    if (step == 1) {
        first = _mm256_broadcastsi128_si256(
            _mm_setr_epi8(0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3, -1, 4, -1));
        last = _mm256_broadcastsi128_si256(
            _mm_setr_epi8(2, -1, 3, -1, 3, -1, 4, -1, 4, -1, 5, -1, 5, -1, 6, -1));
    } else {
        first = _mm256_broadcastsi128_si256(
            _mm_setr_epi8(0, -1, 1, -1, 2, -1, 3, -1, 4, -1, 5, -1, 6, -1, 7, -1));
        last = _mm256_broadcastsi128_si256(
            _mm_setr_epi8(2, -1, 3, -1, 4, -1, 5, -1, 6, -1, 7, -1, 8, -1, 9, -1));
    }
    /* Four i8, widened: the lower two and the upper two. */
    __m128i w = _mm_cvtepi8_epi16(_mm_cvtsi32_si128(weights));
    __m256i w_first = _mm256_broadcastd_epi32(w);
    __m256i w_last = _mm256_broadcastd_epi32(_mm_srli_epi64(w, 32));
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_shuffle_epi8(v, first), w_first));
    return _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_shuffle_epi8(v, last), w_last));
}

#include "engine/kernels/simd/int8_body.h"
