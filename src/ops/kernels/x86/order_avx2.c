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

void nnd_order_u8_avx2(uint8_t *dst, const uint8_t *src, size_t count,
                       const nnd_channel_order *order)
{
    const size_t from = (size_t)order->from, to = (size_t)order->to;
    uint8_t pick[16], opaque[16];
    for (size_t i = 0; i < 16; i++) {
        const int channel = order->channel[i % to];
        const bool there = channel >= 0 && i / to < 4;
        pick[i] = there ? (uint8_t)(i / to * from + (size_t)channel) : 0x80;
        opaque[i] = channel < 0 ? 255 : 0;
    }
    const bytes_16 picked = load_16(pick), added = load_16(opaque);
    /* Four pixels at a time, loads and stores of 16 bytes. */
    size_t i = 0;
    for (; (count - i) * from >= 16 && (count - i) * to >= 16; i += 4)
        store_16(dst + i * to, either(pick_of(load_16(src + i * from), picked), added));
    nnd_order_u8_reference(dst + i * to, src + i * from, count - i, order);
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
    if (bytes % 4 == 0) {
        reverse_words(dst, src, count, bytes);
        return;
    }
    const size_t pixels = 16 / bytes, unused = 16 - pixels * bytes;
    uint8_t pick[16];
    for (size_t i = 0; i < 16; i++) {
        const size_t pixel = i / bytes;
        pick[i] =
            pixel < pixels ? (uint8_t)(unused + (pixels - 1 - pixel) * bytes + i % bytes) : 0x80;
    }
    const bytes_16 picked = load_16(pick);
    /* A load ends where its last pixel does; what it holds before its first one is not used. */
    size_t left = count;
    for (; left * bytes >= 16; left -= pixels, dst += pixels * bytes)
        store_16(dst, pick_of(load_16(src + left * bytes - 16), picked));
    nnd_reverse_u8_reference(dst, src, left, bytes);
}
