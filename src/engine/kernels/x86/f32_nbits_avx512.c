#include <stdint.h>

#include "engine/kernels/simd/vec_avx512.h"

static inline vf codes_at(const uint8_t *q, int shift, uint32_t mask)
{
    __m512i v = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)q));
    v = _mm512_and_si512(_mm512_srli_epi32(v, (unsigned)shift), _mm512_set1_epi32((int)mask));
    return _mm512_cvtepi32_ps(v);
}

#include "engine/kernels/simd/f32_nbits_body.h"
