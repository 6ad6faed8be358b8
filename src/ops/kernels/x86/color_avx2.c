/* Colour conversion of rows with AVX2; see kernels.h for the arithmetic. */
#include <immintrin.h>

#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx2.h"

static inline __m128i load_16(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* ---- YUV ------------------------------------------------------------------------------- */

/* Sixteen bytes of each of three channels → 48 interleaved bytes. */
static inline void store_16x3(uint8_t *dst, __m128i c0, __m128i c1, __m128i c2)
{
    const __m128i m0 = _mm_setr_epi8(0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1, 5);
    const __m128i m1 = _mm_setr_epi8(-1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1);
    const __m128i m2 = _mm_setr_epi8(-1, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1);
    const __m128i n0 = _mm_setr_epi8(-1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10, -1);
    const __m128i n1 = _mm_setr_epi8(5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10);
    const __m128i n2 = _mm_setr_epi8(-1, 5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1);
    const __m128i o0 =
        _mm_setr_epi8(-1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1, -1);
    const __m128i o1 =
        _mm_setr_epi8(-1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1);
    const __m128i o2 =
        _mm_setr_epi8(10, -1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15);
    __m128i *out = (__m128i *)(void *)dst;
#define MERGE(x0, x1, x2)                                                                          \
    _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(c0, x0), _mm_shuffle_epi8(c1, x1)),                 \
                 _mm_shuffle_epi8(c2, x2))
    _mm_storeu_si128(out, MERGE(m0, m1, m2));
    _mm_storeu_si128(out + 1, MERGE(n0, n1, n2));
    _mm_storeu_si128(out + 2, MERGE(o0, o1, o2));
#undef MERGE
}

/* Q6 words → bytes. */
static inline __m128i level_bytes(__m256i q6)
{
    const __m256i v = _mm256_srai_epi16(_mm256_adds_epi16(q6, _mm256_set1_epi16(32)), 6);
    return _mm_packus_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

void nnd_nv12_to_rgb_avx2(uint8_t *dst, const uint8_t *y, const uint8_t *uv, size_t count,
                          const nnd_yuv_coef *coef, bool bgr)
{
    const __m256i cy = _mm256_set1_epi16(coef->cy), crv = _mm256_set1_epi16(coef->crv);
    const __m256i cgu = _mm256_set1_epi16(coef->cgu), cgv = _mm256_set1_epi16(coef->cgv);
    const __m256i cbu = _mm256_set1_epi16(coef->cbu);
    const __m128i offset = _mm_set1_epi8((char)coef->y_offset);
    /* A chroma byte becomes the high byte of two neighbouring words. */
    const __m256i pick_u =
        _mm256_setr_epi8(-1, 0, -1, 0, -1, 2, -1, 2, -1, 4, -1, 4, -1, 6, -1, 6, -1, 8, -1, 8, -1,
                         10, -1, 10, -1, 12, -1, 12, -1, 14, -1, 14);
    const __m256i pick_v =
        _mm256_setr_epi8(-1, 1, -1, 1, -1, 3, -1, 3, -1, 5, -1, 5, -1, 7, -1, 7, -1, 9, -1, 9, -1,
                         11, -1, 11, -1, 13, -1, 13, -1, 15, -1, 15);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m256i above = _mm256_cvtepu8_epi16(_mm_subs_epu8(load_16(y + i), offset));
        const __m256i pairs =
            _mm256_broadcastsi128_si256(_mm_xor_si128(load_16(uv + i), _mm_set1_epi8((char)0x80)));
        const __m256i u = _mm256_shuffle_epi8(pairs, pick_u),
                      v = _mm256_shuffle_epi8(pairs, pick_v);
        const __m256i luma = _mm256_mulhrs_epi16(_mm256_slli_epi16(above, 7), cy);
        const __m128i r = level_bytes(_mm256_adds_epi16(luma, _mm256_mulhrs_epi16(v, crv)));
        const __m128i g = level_bytes(_mm256_subs_epi16(
            _mm256_subs_epi16(luma, _mm256_mulhrs_epi16(u, cgu)), _mm256_mulhrs_epi16(v, cgv)));
        const __m128i b = level_bytes(_mm256_adds_epi16(luma, _mm256_mulhrs_epi16(u, cbu)));
        store_16x3(dst + 3 * i, bgr ? b : r, g, bgr ? r : b);
    }
    nnd_nv12_to_rgb_reference(dst + 3 * i, y + i, uv + i, count - i, coef, bgr);
}

/* ---- gray ------------------------------------------------------------------------------ */

/* Eight pixels, four per half: words (c0, c1) and (c2, 0) → their gray as 32-bit lanes. */
static inline __m256i gray_8(__m256i bytes, __m256i pick01, __m256i pick2, __m256i w01, __m256i w2)
{
    const __m256i sum = _mm256_add_epi32(_mm256_madd_epi16(_mm256_shuffle_epi8(bytes, pick01), w01),
                                         _mm256_madd_epi16(_mm256_shuffle_epi8(bytes, pick2), w2));
    return _mm256_srli_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(16384)), 15);
}

static inline void store_gray_16(uint8_t *dst, __m256i first, __m256i second, uint8_t above)
{
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(first, second), 0xD8);
    const __m128i bytes =
        _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128((__m128i *)(void *)dst, _mm_add_epi8(bytes, _mm_set1_epi8((char)above)));
}

#define GRAY_WEIGHTS(weight)                                                                       \
    const __m256i w01 = _mm256_set1_epi32(                                                         \
        (int)((uint32_t)(uint16_t)(weight)[0] | (uint32_t)(uint16_t)(weight)[1] << 16));           \
    const __m256i w2 = _mm256_set1_epi32((weight)[2])

void nnd_gray_u8c3_avx2(uint8_t *dst, const uint8_t *src, size_t count, const int16_t weight[3],
                        uint8_t above)
{
    GRAY_WEIGHTS(weight);
    const __m256i pick01 = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1));
    const __m256i pick2 = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(2, -1, -1, -1, 5, -1, -1, -1, 8, -1, -1, -1, 11, -1, -1, -1));
    size_t i = 0;
    /* The last load reaches four bytes behind its pixels. */
    for (; i + 18 <= count; i += 16) {
        const uint8_t *p = src + 3 * i;
        const __m256i first = _mm256_set_m128i(load_16(p + 12), load_16(p));
        const __m256i second = _mm256_set_m128i(load_16(p + 36), load_16(p + 24));
        store_gray_16(dst + i, gray_8(first, pick01, pick2, w01, w2),
                      gray_8(second, pick01, pick2, w01, w2), above);
    }
    nnd_gray_u8c3_reference(dst + i, src + 3 * i, count - i, weight, above);
}

void nnd_gray_u8c4_avx2(uint8_t *dst, const uint8_t *src, size_t count, const int16_t weight[3],
                        uint8_t above)
{
    GRAY_WEIGHTS(weight);
    const __m256i pick01 = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13, -1));
    const __m256i pick2 = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(2, -1, -1, -1, 6, -1, -1, -1, 10, -1, -1, -1, 14, -1, -1, -1));
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m256i first = _mm256_loadu_si256((const __m256i *)(const void *)(src + 4 * i));
        const __m256i second =
            _mm256_loadu_si256((const __m256i *)(const void *)(src + 4 * i + 32));
        store_gray_16(dst + i, gray_8(first, pick01, pick2, w01, w2),
                      gray_8(second, pick01, pick2, w01, w2), above);
    }
    nnd_gray_u8c4_reference(dst + i, src + 4 * i, count - i, weight, above);
}

/* ---- exchange of channels -------------------------------------------------------------- */

void nnd_swap_u8c3_avx2(uint8_t *dst, const uint8_t *src, size_t count)
{
    /* Five pixels at a time; the sixteenth byte stays as it is and belongs to the next ones. */
    const __m128i pick = _mm_setr_epi8(2, 1, 0, 5, 4, 3, 8, 7, 6, 11, 10, 9, 14, 13, 12, 15);
    size_t i = 0;
    for (; i + 6 <= count; i += 5)
        _mm_storeu_si128((__m128i *)(void *)(dst + 3 * i),
                         _mm_shuffle_epi8(load_16(src + 3 * i), pick));
    nnd_swap_u8c3_reference(dst + 3 * i, src + 3 * i, count - i);
}

void nnd_swap_u8c4_avx2(uint8_t *dst, const uint8_t *src, size_t count)
{
    const __m256i pick = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(2, 1, 0, 3, 6, 5, 4, 7, 10, 9, 8, 11, 14, 13, 12, 15));
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(src + 4 * i));
        _mm256_storeu_si256((__m256i *)(void *)(dst + 4 * i), _mm256_shuffle_epi8(v, pick));
    }
    nnd_swap_u8c4_reference(dst + 4 * i, src + 4 * i, count - i);
}
