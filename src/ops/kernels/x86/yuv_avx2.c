/* Writing YUV with AVX2; see kernels.h for the arithmetic. */
#include <immintrin.h>

#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx2.h"

static inline __m128i load_16(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline __m256i load_32(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

static inline void store_32(uint8_t *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}

/* ---- chroma ---------------------------------------------------------------------------- */

typedef struct chroma_sums {
    __m256i u, v; /* weights of three channels and 0 */
    __m256i half; /* of a level */
    __m128i shift;
} chroma_sums;

static inline __m256i four_weights(const int16_t w[3])
{
    return _mm256_set1_epi64x((int64_t)((uint64_t)(uint16_t)w[0] | (uint64_t)(uint16_t)w[1] << 16 |
                                        (uint64_t)(uint16_t)w[2] << 32));
}

static inline chroma_sums sums_of(const nnd_chroma_coef *coef, bool two_rows)
{
    const int shift = two_rows ? 17 : 16;
    return (chroma_sums){four_weights(coef->u), four_weights(coef->v),
                         _mm256_set1_epi32(1 << (shift - 1)), _mm_cvtsi32_si128(shift)};
}

/* Four pixels in each half → words R, G, B, 0 of two pairs. `pick` puts a pair's levels of one
   channel side by side. */
static inline __m256i pair_sums(__m256i pixels, __m256i pick)
{
    return _mm256_maddubs_epi16(_mm256_shuffle_epi8(pixels, pick), _mm256_set1_epi8(1));
}

/* Summed levels of four pairs → U, V of each as 32-bit lanes, before the middle is added. */
static inline __m256i chroma_4(const chroma_sums *k, __m256i sum)
{
    const __m256i uv =
        _mm256_hadd_epi32(_mm256_madd_epi16(sum, k->u), _mm256_madd_epi16(sum, k->v));
    return _mm256_shuffle_epi32(_mm256_sra_epi32(_mm256_add_epi32(uv, k->half), k->shift), 0xD8);
}

static inline void store_chroma_8(uint8_t *dst, __m256i first, __m256i second)
{
    const __m256i words = _mm256_add_epi16(
        _mm256_permute4x64_epi64(_mm256_packs_epi32(first, second), 0xD8), _mm256_set1_epi16(128));
    _mm_storeu_si128((__m128i *)(void *)dst, _mm_packus_epi16(_mm256_castsi256_si128(words),
                                                              _mm256_extracti128_si256(words, 1)));
}

static inline __m256i load_8x3(const uint8_t *p)
{
    return _mm256_set_m128i(load_16(p + 12), load_16(p));
}

/* BEHIND: pixels after the sixteen that the last load touches. */
#define CHROMA(c, load, BEHIND, pick_of_4)                                                         \
    void nnd_chroma_u8c##c##_avx2(uint8_t *uv, const uint8_t *upper, const uint8_t *lower,         \
                                  size_t count, const nnd_chroma_coef *coef)                       \
    {                                                                                              \
        const __m256i pick = _mm256_broadcastsi128_si256(pick_of_4);                               \
        const chroma_sums k = sums_of(coef, lower != NULL);                                        \
        size_t i = 0;                                                                              \
        for (; i + 16 + (BEHIND) <= count; i += 16) {                                              \
            const uint8_t *p = upper + (c)*i;                                                      \
            __m256i first = pair_sums(load(p), pick), second = pair_sums(load(p + 8 * (c)), pick); \
            if (lower) {                                                                           \
                p = lower + (c)*i;                                                                 \
                first = _mm256_add_epi16(first, pair_sums(load(p), pick));                         \
                second = _mm256_add_epi16(second, pair_sums(load(p + 8 * (c)), pick));             \
            }                                                                                      \
            store_chroma_8(uv + i, chroma_4(&k, first), chroma_4(&k, second));                     \
        }                                                                                          \
        nnd_chroma_u8c##c##_reference(uv + i, upper + (c)*i, lower ? lower + (c)*i : NULL,         \
                                      count - i, coef);                                            \
    }

CHROMA(3, load_8x3, 2, _mm_setr_epi8(0, 3, 1, 4, 2, 5, -1, -1, 6, 9, 7, 10, 8, 11, -1, -1))
CHROMA(4, load_32, 0, _mm_setr_epi8(0, 4, 1, 5, 2, 6, -1, -1, 8, 12, 9, 13, 10, 14, -1, -1))

/* ---- bytes ----------------------------------------------------------------------------- */

void nnd_range_u8_avx2(uint8_t *dst, const uint8_t *src, size_t count, const nnd_level_range *range)
{
    const __m256i mul = _mm256_set1_epi32((uint16_t)range->mul), half = _mm256_set1_epi32(8192);
    const __m256i above = _mm256_set1_epi16(range->above), zero = _mm256_setzero_si256();
    const __m128i below = _mm_set1_epi8((char)range->below);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m256i level = _mm256_cvtepu8_epi16(_mm_subs_epu8(load_16(src + i), below));
        const __m256i low = _mm256_madd_epi16(_mm256_unpacklo_epi16(level, zero), mul);
        const __m256i high = _mm256_madd_epi16(_mm256_unpackhi_epi16(level, zero), mul);
        const __m256i words = _mm256_add_epi16(
            _mm256_packs_epi32(_mm256_srai_epi32(_mm256_add_epi32(low, half), 14),
                               _mm256_srai_epi32(_mm256_add_epi32(high, half), 14)),
            above);
        _mm_storeu_si128(
            (__m128i *)(void *)(dst + i),
            _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
    }
    nnd_range_u8_reference(dst + i, src + i, count - i, range);
}

void nnd_split_u8_avx2(uint8_t *even, uint8_t *odd, const uint8_t *src, size_t count)
{
    const __m256i low = _mm256_set1_epi16(0xff);
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        const __m256i a = load_32(src + 2 * i), b = load_32(src + 2 * i + 32);
        const __m256i e = _mm256_packus_epi16(_mm256_and_si256(a, low), _mm256_and_si256(b, low));
        const __m256i o = _mm256_packus_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8));
        store_32(even + i, _mm256_permute4x64_epi64(e, 0xD8));
        store_32(odd + i, _mm256_permute4x64_epi64(o, 0xD8));
    }
    nnd_split_u8_reference(even + i, odd + i, src + 2 * i, count - i);
}

void nnd_merge_u8_avx2(uint8_t *dst, const uint8_t *even, const uint8_t *odd, size_t count)
{
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        const __m256i e = load_32(even + i), o = load_32(odd + i);
        const __m256i low = _mm256_unpacklo_epi8(e, o), high = _mm256_unpackhi_epi8(e, o);
        store_32(dst + 2 * i, _mm256_permute2x128_si256(low, high, 0x20));
        store_32(dst + 2 * i + 32, _mm256_permute2x128_si256(low, high, 0x31));
    }
    nnd_merge_u8_reference(dst + 2 * i, even + i, odd + i, count - i);
}
