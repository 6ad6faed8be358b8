#include <stdint.h>

#include "engine/kernels/simd/vec_avx512.h"

static inline vf widen_f16(const uint16_t *x)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)x));
}

static inline void narrow_f16(vf v, uint16_t *y)
{
    _mm256_storeu_si256((__m256i *)y, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

static inline vf widen_bf16(const uint16_t *x)
{
    __m512i bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)x));
    return _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
}

static inline void narrow_bf16(vf v, uint16_t *y)
{
    __m512i bits = _mm512_castps_si512(v), high = _mm512_srli_epi32(bits, 16);
    __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
    __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __m512i quiet = _mm512_or_si512(high, _mm512_set1_epi32(0x40));
    __m512i result = _mm512_mask_blend_epi32(v_is_nan(v), _mm512_srli_epi32(up, 16), quiet);
    _mm256_storeu_si256((__m256i *)y, _mm512_cvtepi32_epi16(result));
}

#include "engine/kernels/simd/half_body.h"
