#include "base/isa.h"
#include "engine/kernels/simd/vec_neon.h"

#undef VEC_NAME
#define VEC_NAME(stem) stem##_neon_bf16
#define SET_ISA        NND_ISA_NEON_BF16
#define PAIR_DOT       1

/* sum + x·w for the two halves of each lane; the vectors are bits only. */
static inline vf pair_dot(vf sum, vf x, vf w)
{
    return vbfdotq_f32(sum, vreinterpretq_bf16_f32(x), vreinterpretq_bf16_f32(w));
}

#include "engine/kernels/simd/bf16_tile_body.h"
