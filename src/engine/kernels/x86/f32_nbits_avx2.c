#include <stdint.h>
#include <string.h>

#include "engine/kernels/simd/vec_avx2.h"

typedef __m256i raw;

static inline raw bytes_at(const uint8_t *q)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)q));
}

static inline raw bytes_across(const uint8_t *q, int bytes)
{
    int32_t four;
    (void)bytes; /* fewer than 8 */
    memcpy(&four, q, sizeof(four));
    return _mm256_cvtepu8_epi32(_mm_set1_epi32(four));
}

static inline raw shifted(raw v, int shift)
{
    return _mm256_srli_epi32(v, shift);
}

static inline raw shifted_across(raw v, int bytes, int bits)
{
    (void)bytes;
    return _mm256_srlv_epi32(v, _mm256_setr_epi32(0, 0, 0, 0, bits, bits, bits, bits));
}

static inline vf codes_of(raw v, int bits)
{
    return _mm256_cvtepi32_ps(_mm256_and_si256(v, _mm256_set1_epi32((1 << bits) - 1)));
}

#include "engine/kernels/simd/f32_nbits_body.h"
