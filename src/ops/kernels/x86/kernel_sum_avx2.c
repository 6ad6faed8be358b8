/*
 * Weighted sums of many taps with AVX2: pairs of taps side by side, multiplied and added by one
 * instruction.
 */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx2.h"

/* Two neighbouring weights in every 32 bits; `both` false leaves the second one out. */
static inline int32_t weight_pair(const int16_t *w, bool both)
{
    return (int32_t)((uint32_t)(uint16_t)w[0] | (both ? (uint32_t)(uint16_t)w[1] << 16 : 0));
}

void nnd_rows_u8_avx2(int16_t *dst, const uint8_t *const *rows, const int16_t *weight, int taps,
                      size_t count)
{
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m256i low = _mm256_set1_epi32(128), high = low;
        for (int k = 0; k < taps; k += 2) {
            const bool both = k + 1 < taps;
            const uint8_t *second = both ? rows[k + 1] : rows[k];
            const __m256i w = _mm256_set1_epi32(weight_pair(weight + k, both));
            const __m256i a =
                _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(rows[k] + i)));
            const __m256i b =
                _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(second + i)));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), w));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), w));
        }
        _mm256_storeu_si256(
            (__m256i *)(void *)(dst + i),
            _mm256_packs_epi32(_mm256_srai_epi32(low, 8), _mm256_srai_epi32(high, 8)));
    }
    const uint8_t *rest[NND_KERNEL_MAX_TAPS];
    for (int k = 0; k < taps; k++)
        rest[k] = rows[k] + i;
    nnd_rows_u8_reference(dst + i, rest, weight, taps, count - i);
}

/* Sums of one pixel per half: lane n holds channel n. */
#define COLUMNS(c, load, shuffle)                                                                  \
    void nnd_columns_u8c##c##_avx2(uint8_t *dst, const int16_t *src, const int32_t *start,         \
                                   const int16_t *weight, int taps, size_t count, size_t safe)     \
    {                                                                                              \
        const __m256i pairs = _mm256_broadcastsi128_si256(shuffle);                                \
        size_t i = 0;                                                                              \
        for (; i + 2 <= safe; i += 2) {                                                            \
            const int16_t *p = src + (size_t)start[i] * (c),                                       \
                          *q = src + (size_t)start[i + 1] * (c);                                   \
            const int16_t *v = weight + i * (size_t)taps, *w = v + taps;                           \
            __m256i sum = _mm256_set1_epi32(1 << 19);                                              \
            for (int k = 0; k < taps; k += 2, p += 2 * (c), q += 2 * (c)) {                        \
                const bool both = k + 1 < taps;                                                    \
                const __m256i x = _mm256_set_m128i(load((const __m128i *)(const void *)q),         \
                                                   load((const __m128i *)(const void *)p));        \
                const __m256i y = _mm256_set_m128i(_mm_set1_epi32(weight_pair(w + k, both)),       \
                                                   _mm_set1_epi32(weight_pair(v + k, both)));      \
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_shuffle_epi8(x, pairs), y));  \
            }                                                                                      \
            const __m256i words = _mm256_packs_epi32(_mm256_srai_epi32(sum, 20), sum);             \
            const __m256i bytes = _mm256_packus_epi16(words, words);                               \
            const int32_t a = _mm256_extract_epi32(bytes, 0), b = _mm256_extract_epi32(bytes, 4);  \
            memcpy(dst + i * (c), &a, (c));                                                        \
            memcpy(dst + (i + 1) * (c), &b, (c));                                                  \
        }                                                                                          \
        nnd_columns_u8c##c##_reference(dst + i * (c), src, start + i, weight + i * (size_t)taps,   \
                                       taps, count - i, 0);                                        \
    }

COLUMNS(2, _mm_loadl_epi64, _mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, -1, -1, -1, -1, -1, -1, -1, -1))
COLUMNS(3, _mm_loadu_si128, _mm_setr_epi8(0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11, -1, -1, -1, -1))
COLUMNS(4, _mm_loadu_si128, _mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15))

/* One channel: eight, then four taps at a time. */
static inline int32_t dot_taps(const int16_t *p, const int16_t *w, int taps)
{
    __m128i sum = _mm_setzero_si128();
    int k = 0;
    for (; k + 8 <= taps; k += 8)
        sum = _mm_add_epi32(
            sum, _mm_madd_epi16(_mm_loadu_si128((const __m128i *)(const void *)(p + k)),
                                _mm_loadu_si128((const __m128i *)(const void *)(w + k))));
    for (; k + 4 <= taps; k += 4)
        sum = _mm_add_epi32(
            sum, _mm_madd_epi16(_mm_loadl_epi64((const __m128i *)(const void *)(p + k)),
                                _mm_loadl_epi64((const __m128i *)(const void *)(w + k))));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
    int32_t total = _mm_cvtsi128_si32(sum);
    for (; k < taps; k++)
        total += p[k] * w[k];
    return total;
}

void nnd_columns_u8c1_avx2(uint8_t *dst, const int16_t *src, const int32_t *start,
                           const int16_t *weight, int taps, size_t count, size_t safe)
{
    (void)safe;
    for (size_t i = 0; i < count; i++) {
        const int32_t level =
            (dot_taps(src + start[i], weight + i * (size_t)taps, taps) + (1 << 19)) >> 20;
        dst[i] = (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
    }
}
