#include "base/isa.h"
#include "engine/kernels/simd/vec_avx2.h"

#define SET_ISA  NND_ISA_AVX2
#define PAIR_DOT 0

static inline vf pair_low(const float *p)
{
    __m256i pairs = _mm256_loadu_si256((const __m256i *)p);
    return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
}

static inline vf pair_high(const float *p)
{
    __m256i pairs = _mm256_loadu_si256((const __m256i *)p);
    return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(-65536)));
}

#include "engine/kernels/simd/bf16_tile_body.h"
