#include "base/isa.h"
#include "engine/kernels/simd/vec_avx512.h"

#define SET_ISA  NND_ISA_AVX512
#define PAIR_DOT 0

static inline vf pair_low(const float *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16));
}

static inline vf pair_high(const float *p)
{
    __m512i pairs = _mm512_loadu_si512(p);
    return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-65536)));
}

#include "engine/kernels/simd/bf16_tile_body.h"
