/* Rows that become columns with AVX2: the vectors of turn_lanes.h, and squares of 8 × 8 words. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx2.h"

typedef __m128i bytes_16;

static inline bytes_16 load_16(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline void store_16(uint8_t *p, bytes_16 v)
{
    _mm_storeu_si128((__m128i *)(void *)p, v);
}

static inline bytes_16 load_12(const uint8_t *p)
{
    int32_t last;
    memcpy(&last, p + 8, 4);
    return _mm_insert_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p), last, 2);
}

static inline void store_12(uint8_t *p, bytes_16 v)
{
    const int32_t last = _mm_extract_epi32(v, 2);
    _mm_storel_epi64((__m128i *)(void *)p, v);
    memcpy(p + 8, &last, 4);
}

/* Index 0x80 gives 0. */
static inline bytes_16 pick_of(bytes_16 v, bytes_16 pick)
{
    return _mm_shuffle_epi8(v, pick);
}

#define INTERLEAVE(bits)                                                                           \
    static inline bytes_16 low_##bits(bytes_16 a, bytes_16 b)                                      \
    {                                                                                              \
        return _mm_unpacklo_epi##bits(a, b);                                                       \
    }                                                                                              \
    static inline bytes_16 high_##bits(bytes_16 a, bytes_16 b)                                     \
    {                                                                                              \
        return _mm_unpackhi_epi##bits(a, b);                                                       \
    }
INTERLEAVE(8)
INTERLEAVE(16)
INTERLEAVE(32)
INTERLEAVE(64)

/* Word i of eight rows from p on, in the halves of which row k faces row k + 4. */
static inline __m256 load_rows(const uint8_t *p, int64_t stride)
{
    return _mm256_insertf128_ps(
        _mm256_castps128_ps256(_mm_loadu_ps((const float *)(const void *)p)),
        _mm_loadu_ps((const float *)(const void *)(p + 4 * stride)), 1);
}

static inline void store_row(uint8_t *p, __m256 v)
{
    _mm256_storeu_ps((float *)(void *)p, v);
}

/* Four columns of eight rows become four rows. */
static inline void tile_8x4(uint8_t *dst, int64_t dst_stride, const uint8_t *src,
                            int64_t src_stride)
{
    const __m256 a = load_rows(src, src_stride), b = load_rows(src + src_stride, src_stride),
                 c = load_rows(src + 2 * src_stride, src_stride),
                 d = load_rows(src + 3 * src_stride, src_stride);
    const __m256 ab_low = _mm256_unpacklo_ps(a, b), ab_high = _mm256_unpackhi_ps(a, b);
    const __m256 cd_low = _mm256_unpacklo_ps(c, d), cd_high = _mm256_unpackhi_ps(c, d);
    store_row(dst, _mm256_shuffle_ps(ab_low, cd_low, 0x44));
    store_row(dst + dst_stride, _mm256_shuffle_ps(ab_low, cd_low, 0xEE));
    store_row(dst + 2 * dst_stride, _mm256_shuffle_ps(ab_high, cd_high, 0x44));
    store_row(dst + 3 * dst_stride, _mm256_shuffle_ps(ab_high, cd_high, 0xEE));
}

#define OWN_TILE_4
#define TILE_4 8
static inline void tile_4(uint8_t *dst, int64_t dst_stride, const uint8_t *src, int64_t src_stride)
{
    tile_8x4(dst, dst_stride, src, src_stride);
    tile_8x4(dst + 4 * dst_stride, dst_stride, src + 16, src_stride);
}

#include "ops/kernels/turn_lanes.h"

void nnd_transpose_avx2(const nnd_transposition *job)
{
    turn_pixels(job);
}
