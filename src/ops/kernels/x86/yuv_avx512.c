/* Writing YUV with AVX-512; see kernels.h for the arithmetic. */
#include <immintrin.h>

#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx512.h"

/* ---- gray ------------------------------------------------------------------------------ */

/* Sixteen pixels of three bytes: twelve bytes in every lane. */
static inline __m512i load_16x3(const uint8_t *p)
{
    const __m512i index = _mm512_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
    return _mm512_permutexvar_epi32(index, _mm512_loadu_si512(p));
}

static inline __m512i load_16x4(const uint8_t *p)
{
    return _mm512_loadu_si512(p);
}

/* BEHIND: pixels after the sixteen that a load touches. */
#define GRAY(c, load, BEHIND, pick01_of_4, pick2_of_4)                                             \
    void nnd_gray_u8c##c##_avx512(uint8_t *dst, const uint8_t *src, size_t count,                  \
                                  const int16_t weight[3], uint8_t above)                          \
    {                                                                                              \
        const __m512i pick01 = _mm512_broadcast_i32x4(pick01_of_4);                                \
        const __m512i pick2 = _mm512_broadcast_i32x4(pick2_of_4);                                  \
        const __m512i w01 = _mm512_set1_epi32(                                                     \
            (int)((uint32_t)(uint16_t)weight[0] | (uint32_t)(uint16_t)weight[1] << 16));           \
        const __m512i w2 = _mm512_set1_epi32(weight[2]), half = _mm512_set1_epi32(16384);          \
        size_t i = 0;                                                                              \
        for (; i + 16 + (BEHIND) <= count; i += 16) {                                              \
            const __m512i pixels = load(src + (c)*i);                                              \
            const __m512i sum =                                                                    \
                _mm512_add_epi32(_mm512_madd_epi16(_mm512_shuffle_epi8(pixels, pick01), w01),      \
                                 _mm512_madd_epi16(_mm512_shuffle_epi8(pixels, pick2), w2));       \
            const __m128i level =                                                                  \
                _mm512_cvtepi32_epi8(_mm512_srli_epi32(_mm512_add_epi32(sum, half), 15));          \
            _mm_storeu_si128((__m128i *)(void *)(dst + i),                                         \
                             _mm_add_epi8(level, _mm_set1_epi8((char)above)));                     \
        }                                                                                          \
        nnd_gray_u8c##c##_reference(dst + i, src + (c)*i, count - i, weight, above);               \
    }

GRAY(3, load_16x3, 6, _mm_setr_epi8(0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1),
     _mm_setr_epi8(2, -1, -1, -1, 5, -1, -1, -1, 8, -1, -1, -1, 11, -1, -1, -1))
GRAY(4, load_16x4, 0, _mm_setr_epi8(0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13, -1),
     _mm_setr_epi8(2, -1, -1, -1, 6, -1, -1, -1, 10, -1, -1, -1, 14, -1, -1, -1))

/* ---- chroma ---------------------------------------------------------------------------- */

static inline __m512i four_weights(const int16_t w[3])
{
    return _mm512_set1_epi64((int64_t)((uint64_t)(uint16_t)w[0] | (uint64_t)(uint16_t)w[1] << 16 |
                                       (uint64_t)(uint16_t)w[2] << 32));
}

/* Four pixels in each lane → words R, G, B, 0 of two pairs. */
static inline __m512i pair_sums(__m512i pixels, __m512i pick)
{
    return _mm512_maddubs_epi16(_mm512_shuffle_epi8(pixels, pick), _mm512_set1_epi8(1));
}

/* Neighbouring 32-bit lanes of a, then of b, added up, lane by lane of 128 bits. */
static inline __m512i add_pairs(__m512i a, __m512i b)
{
    const __m512 x = _mm512_castsi512_ps(a), y = _mm512_castsi512_ps(b);
    return _mm512_add_epi32(_mm512_castps_si512(_mm512_shuffle_ps(x, y, 0x88)),
                            _mm512_castps_si512(_mm512_shuffle_ps(x, y, 0xDD)));
}

#define CHROMA(c, load, BEHIND, pick_of_4)                                                         \
    void nnd_chroma_u8c##c##_avx512(uint8_t *uv, const uint8_t *upper, const uint8_t *lower,       \
                                    size_t count, const nnd_chroma_coef *coef)                     \
    {                                                                                              \
        const __m512i pick = _mm512_broadcast_i32x4(pick_of_4);                                    \
        const __m512i wu = four_weights(coef->u), wv = four_weights(coef->v);                      \
        const int bits = lower ? 17 : 16;                                                          \
        const __m512i half = _mm512_set1_epi32((128 << bits) + (1 << (bits - 1)));                 \
        const __m128i shift = _mm_cvtsi32_si128(bits);                                             \
        size_t i = 0;                                                                              \
        for (; i + 16 + (BEHIND) <= count; i += 16) {                                              \
            __m512i sum = pair_sums(load(upper + (c)*i), pick);                                    \
            if (lower) sum = _mm512_add_epi16(sum, pair_sums(load(lower + (c)*i), pick));          \
            const __m512i uv32 =                                                                   \
                add_pairs(_mm512_madd_epi16(sum, wu), _mm512_madd_epi16(sum, wv));                 \
            const __m512i level = _mm512_sra_epi32(_mm512_add_epi32(uv32, half), shift);           \
            const __m512i ordered = _mm512_shuffle_epi32(                                          \
                _mm512_max_epi32(level, _mm512_setzero_si512()), _MM_PERM_DBCA);                   \
            _mm_storeu_si128((__m128i *)(void *)(uv + i), _mm512_cvtusepi32_epi8(ordered));        \
        }                                                                                          \
        nnd_chroma_u8c##c##_reference(uv + i, upper + (c)*i, lower ? lower + (c)*i : NULL,         \
                                      count - i, coef);                                            \
    }

CHROMA(3, load_16x3, 6, _mm_setr_epi8(0, 3, 1, 4, 2, 5, -1, -1, 6, 9, 7, 10, 8, 11, -1, -1))
CHROMA(4, load_16x4, 0, _mm_setr_epi8(0, 4, 1, 5, 2, 6, -1, -1, 8, 12, 9, 13, 10, 14, -1, -1))

/* ---- bytes ----------------------------------------------------------------------------- */

void nnd_range_u8_avx512(uint8_t *dst, const uint8_t *src, size_t count,
                         const nnd_level_range *range)
{
    const __m512i mul = _mm512_set1_epi32((uint16_t)range->mul);
    const __m512i half = _mm512_set1_epi32((range->above << 14) + 8192);
    const __m128i below = _mm_set1_epi8((char)range->below);
    for (size_t i = 0; i < count; i += 16) {
        const __mmask16 mask = (__mmask16)(count - i >= 16 ? 0xffff : (1u << (count - i)) - 1);
        const __m128i bytes = _mm_subs_epu8(_mm_maskz_loadu_epi8(mask, src + i), below);
        const __m512i product = _mm512_madd_epi16(_mm512_cvtepu8_epi32(bytes), mul);
        const __m512i level = _mm512_srli_epi32(_mm512_add_epi32(product, half), 14);
        _mm_mask_storeu_epi8(dst + i, mask, _mm512_cvtusepi32_epi8(level));
    }
}

void nnd_split_u8_avx512(uint8_t *even, uint8_t *odd, const uint8_t *src, size_t count)
{
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        const __m512i pairs = _mm512_loadu_si512(src + 2 * i);
        _mm256_storeu_si256((__m256i *)(void *)(even + i), _mm512_cvtepi16_epi8(pairs));
        _mm256_storeu_si256((__m256i *)(void *)(odd + i),
                            _mm512_cvtepi16_epi8(_mm512_srli_epi16(pairs, 8)));
    }
    nnd_split_u8_reference(even + i, odd + i, src + 2 * i, count - i);
}

void nnd_merge_u8_avx512(uint8_t *dst, const uint8_t *even, const uint8_t *odd, size_t count)
{
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        const __m512i e =
            _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(even + i)));
        const __m512i o =
            _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(odd + i)));
        _mm512_storeu_si512(dst + 2 * i, _mm512_or_si512(e, _mm512_slli_epi16(o, 8)));
    }
    nnd_merge_u8_reference(dst + 2 * i, even + i, odd + i, count - i);
}
