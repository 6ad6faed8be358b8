/* Levels to tensor elements with AVX-512; the ends of rows are masked instead of left over. */
#include <immintrin.h>

#include "ops/kernels/x86/avx512.h"

static inline __mmask16 lanes(size_t left)
{
    return (__mmask16)(left >= 16 ? 0xffff : (1u << left) - 1);
}

/* Multiplied and added apart, so that every instruction set rounds alike. */
static inline __m512 elements(__m512i level, __m512 mul, __m512 add)
{
    return _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(level), mul), add);
}

static inline void store_elements(float *dst, __mmask16 mask, __m512i level, __m512 mul, __m512 add)
{
    _mm512_mask_storeu_ps(dst, mask, elements(level, mul, add));
}

void nnd_planar_u8c1_avx512(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                            const float *add)
{
    const __m512 m = _mm512_set1_ps(mul[0]), a = _mm512_set1_ps(add[0]);
    for (size_t i = 0; i < count; i += 16) {
        const __mmask16 mask = lanes(count - i);
        store_elements(plane[0] + i, mask,
                       _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, src + i)), m, a);
    }
}

/* Sixteen pixels of three bytes: twelve bytes in every lane. */
static inline __m512i load_16x3(const uint8_t *p, size_t left)
{
    const __m512i index = _mm512_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
    const size_t bytes = left >= 16 ? 48 : 3 * left;
    return _mm512_permutexvar_epi32(index, _mm512_maskz_loadu_epi8(((__mmask64)1 << bytes) - 1, p));
}

/* Picks one channel's bytes as 32-bit levels: only the lowest byte of each element names a source
   byte, the others stay −1 (zero). */
static inline __m512i channel_pick(int channel)
{
    const __m512i first = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, -1, -1, -1, 3, -1, -1, -1, 6, -1, -1, -1, 9, -1, -1, -1));
    return _mm512_add_epi32(first, _mm512_set1_epi32(channel));
}

/* All three planes while whole vectors can be loaded; returns how far that went. */
static size_t planar_3_whole(float *const *plane, const uint8_t *src, size_t count,
                             const float *mul, const float *add)
{
    const __m512i index = _mm512_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
    const __m512i pick0 = channel_pick(0), pick1 = channel_pick(1), pick2 = channel_pick(2);
    const __m512 m0 = _mm512_set1_ps(mul[0]), m1 = _mm512_set1_ps(mul[1]),
                 m2 = _mm512_set1_ps(mul[2]);
    const __m512 a0 = _mm512_set1_ps(add[0]), a1 = _mm512_set1_ps(add[1]),
                 a2 = _mm512_set1_ps(add[2]);
    float *const p0 = plane[0], *const p1 = plane[1], *const p2 = plane[2];
    size_t i = 0;
    for (; i + 22 <= count; i += 16) { /* 64 bytes are there */
        const __m512i bytes = _mm512_permutexvar_epi32(index, _mm512_loadu_si512(src + 3 * i));
        _mm512_storeu_ps(p0 + i, elements(_mm512_shuffle_epi8(bytes, pick0), m0, a0));
        _mm512_storeu_ps(p1 + i, elements(_mm512_shuffle_epi8(bytes, pick1), m1, a1));
        _mm512_storeu_ps(p2 + i, elements(_mm512_shuffle_epi8(bytes, pick2), m2, a2));
    }
    return i;
}

void nnd_planar_u8c3_avx512(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                            const float *add)
{
    const bool all = plane[0] && plane[1] && plane[2];
    const size_t whole = all ? planar_3_whole(plane, src, count, mul, add) : 0;
    for (int c = 0; c < 3; c++) {
        if (!plane[c]) continue;
        const __m512 m = _mm512_set1_ps(mul[c]), a = _mm512_set1_ps(add[c]);
        for (size_t i = whole; i < count; i += 16) {
            const __m512i bytes = load_16x3(src + 3 * i, count - i);
            store_elements(plane[c] + i, lanes(count - i),
                           _mm512_shuffle_epi8(bytes, channel_pick(c)), m, a);
        }
    }
}

void nnd_planar_u8c4_avx512(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                            const float *add)
{
    const __m512i low = _mm512_set1_epi32(0xff);
    for (int c = 0; c < 4; c++) {
        if (!plane[c]) continue;
        const __m128i bits = _mm_cvtsi32_si128(8 * c);
        const __m512 m = _mm512_set1_ps(mul[c]), a = _mm512_set1_ps(add[c]);
        for (size_t i = 0; i < count; i += 16) {
            const __mmask16 mask = lanes(count - i);
            const __m512i pixels = _mm512_maskz_loadu_epi32(mask, src + 4 * i);
            store_elements(plane[c] + i, mask,
                           _mm512_and_si512(_mm512_srl_epi32(pixels, bits), low), m, a);
        }
    }
}

void nnd_packed_u8_avx512(float *dst, const uint8_t *src, size_t count, const float mul[48],
                          const float add[48])
{
    size_t phase = 0;
    for (size_t i = 0; i < count; i += 16) {
        const __mmask16 mask = lanes(count - i);
        store_elements(dst + i, mask, _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, src + i)),
                       _mm512_loadu_ps(mul + phase), _mm512_loadu_ps(add + phase));
        phase = phase == 32 ? 0 : phase + 16;
    }
}

void nnd_row_f32_to_f16_avx512(uint16_t *dst, const float *src, size_t count)
{
    for (size_t i = 0; i < count; i += 16) {
        const __mmask16 mask = lanes(count - i);
        const __m256i half = _mm512_cvtps_ph(_mm512_maskz_loadu_ps(mask, src + i),
                                             _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        _mm256_mask_storeu_epi16(dst + i, mask, half);
    }
}
