/* Channels and pixels in another order with AVX2: what 16 bytes hold is picked by one shuffle. */
#include <immintrin.h>

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

/* Index 0x80 gives 0. */
static inline bytes_16 pick_of(bytes_16 v, bytes_16 pick)
{
    return _mm_shuffle_epi8(v, pick);
}

static inline bytes_16 either(bytes_16 a, bytes_16 b)
{
    return _mm_or_si128(a, b);
}

/* Indices that are not of this window have, after the saturated sum, the highest bit set: 0. */
static inline bytes_16 from_window(const uint8_t *window, bytes_16 index, int number)
{
    const __m128i here = _mm_sub_epi8(index, _mm_set1_epi8((char)(16 * number)));
    return pick_of(load_16(window + 16 * number), _mm_adds_epu8(here, _mm_set1_epi8(0x70)));
}

#include "ops/kernels/order_lanes.h"

void nnd_order_u8_avx2(uint8_t *dst, const uint8_t *src, size_t count,
                       const nnd_channel_order *order)
{
    order_row(dst, src, count, order);
}

void nnd_nearest_avx2(uint8_t *dst, const uint8_t *src, const nnd_nearest_columns *columns)
{
    nearest_row(dst, src, columns);
}

/* Pixels of whole words, as many as 32 bytes hold. */
static void reverse_words(uint8_t *dst, const uint8_t *src, size_t count, size_t bytes)
{
    const size_t words = bytes / 4, pixels = 8 / words, unused = 8 - pixels * words;
    int32_t pick[8];
    for (size_t i = 0; i < 8; i++)
        pick[i] = i < pixels * words
                      ? (int32_t)(unused + (pixels - 1 - i / words) * words + i % words)
                      : 0;
    const __m256i picked = _mm256_loadu_si256((const __m256i *)(const void *)pick);
    size_t left = count;
    for (; left * bytes >= 32; left -= pixels, dst += pixels * bytes) {
        const __m256i v =
            _mm256_loadu_si256((const __m256i *)(const void *)(src + left * bytes - 32));
        _mm256_storeu_si256((__m256i *)(void *)dst, _mm256_permutevar8x32_epi32(v, picked));
    }
    nnd_reverse_u8_reference(dst, src, left, bytes);
}

void nnd_reverse_u8_avx2(uint8_t *dst, const uint8_t *src, size_t count, size_t bytes)
{
    if (bytes % 4 == 0)
        reverse_words(dst, src, count, bytes);
    else
        reverse_row(dst, src, count, bytes);
}
