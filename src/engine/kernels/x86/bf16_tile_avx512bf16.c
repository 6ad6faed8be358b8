#include "base/isa.h"
#include "engine/kernels/simd/vec_avx512.h"

#undef VEC_NAME
#define VEC_NAME(stem) stem##_avx512bf16
#define SET_ISA        NND_ISA_AVX512BF16
#define PAIR_DOT       1

/* sum + x·w for the two halves of each lane; the vectors are bits only. */
static inline vf pair_dot(vf sum, vf x, vf w)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_castps_si512(x),
                            (__m512bh)_mm512_castps_si512(w));
}

#include "engine/kernels/simd/bf16_tile_body.h"
