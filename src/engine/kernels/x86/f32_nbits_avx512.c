#include <stdint.h>
#include <string.h>

#include "engine/kernels/simd/vec_avx512.h"

typedef __m512i raw;

static inline raw bytes_at(const uint8_t *q)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)q));
}

static inline raw bytes_across(const uint8_t *q, int bytes)
{
    int64_t eight = 0;
    int32_t four;
    if (bytes == 8) {
        memcpy(&eight, q, sizeof(eight));
        return _mm512_cvtepu8_epi32(_mm_set1_epi64x(eight));
    }
    memcpy(&four, q, sizeof(four));
    return _mm512_cvtepu8_epi32(_mm_set1_epi32(four));
}

static inline raw shifted(raw v, int shift)
{
    return _mm512_srli_epi32(v, (unsigned)shift);
}

static inline raw shifted_across(raw v, int bytes, int bits)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i part = _mm512_srli_epi32(lane, bytes == 8 ? 3 : 2);
    return _mm512_srlv_epi32(v, _mm512_mullo_epi32(part, _mm512_set1_epi32(bits)));
}

/* Looked up by four bits of the number, which need no mask then. */
static inline vf codes_of(raw v, int bits)
{
    const vf of_four = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const vf of_two = _mm512_setr_ps(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
    if (bits == 8) return _mm512_cvtepi32_ps(v);
    return _mm512_permutexvar_ps(v, bits == 4 ? of_four : of_two);
}

#include "engine/kernels/simd/f32_nbits_body.h"
