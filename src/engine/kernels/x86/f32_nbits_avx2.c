#include <stdint.h>

#include "engine/kernels/simd/vec_avx2.h"

static inline vf codes_at(const uint8_t *q, int shift, uint32_t mask)
{
    __m256i v = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)q));
    v = _mm256_and_si256(_mm256_srli_epi32(v, shift), _mm256_set1_epi32((int)mask));
    return _mm256_cvtepi32_ps(v);
}

#include "engine/kernels/simd/f32_nbits_body.h"
