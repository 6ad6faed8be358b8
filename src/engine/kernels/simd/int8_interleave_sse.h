/* Interleaving of byte rows in 256-bit registers, for both x86 files. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

static inline void int8_interleave_8(const uint8_t *const rows[4], size_t at, uint8_t flip,
                                     uint8_t *to)
{
    __m128i x[4], top = _mm_set1_epi8((char)flip);
    for (int j = 0; j < 4; j++)
        x[j] = _mm_xor_si128(_mm_loadl_epi64((const __m128i *)(const void *)(rows[j] + at)), top);
    __m128i low = _mm_unpacklo_epi8(x[0], x[1]), high = _mm_unpacklo_epi8(x[2], x[3]);
    _mm_storeu_si128((__m128i *)(void *)to, _mm_unpacklo_epi16(low, high));
    _mm_storeu_si128((__m128i *)(void *)(to + 16), _mm_unpackhi_epi16(low, high));
}

/* Two pieces of 16 bytes from different halves of a register. */
static inline void int8_store_halves(__m256i v, uint8_t *low, uint8_t *high)
{
    _mm_storeu_si128((__m128i *)(void *)low, _mm256_castsi256_si128(v));
    _mm_storeu_si128((__m128i *)(void *)high, _mm256_extracti128_si256(v, 1));
}

static inline void int8_interleave_32(const uint8_t *const rows[4], size_t at, uint8_t flip,
                                      uint8_t *to)
{
    __m256i x[4], top = _mm256_set1_epi8((char)flip);
    for (int j = 0; j < 4; j++)
        x[j] = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)(rows[j] + at)),
                                top);
    __m256i a = _mm256_unpacklo_epi8(x[0], x[1]), b = _mm256_unpacklo_epi8(x[2], x[3]);
    __m256i c = _mm256_unpackhi_epi8(x[0], x[1]), d = _mm256_unpackhi_epi8(x[2], x[3]);
    int8_store_halves(_mm256_unpacklo_epi16(a, b), to, to + 64);
    int8_store_halves(_mm256_unpackhi_epi16(a, b), to + 16, to + 80);
    int8_store_halves(_mm256_unpacklo_epi16(c, d), to + 32, to + 96);
    int8_store_halves(_mm256_unpackhi_epi16(c, d), to + 48, to + 112);
}
#define int8_interleave_32 int8_interleave_32
