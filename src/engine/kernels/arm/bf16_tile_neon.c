#include "base/isa.h"
#include "engine/kernels/simd/vec_neon.h"

#define SET_ISA  NND_ISA_NEON
#define PAIR_DOT 0

static inline vf pair_low(const float *p)
{
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(vld1q_f32(p)), 16));
}

static inline vf pair_high(const float *p)
{
    const uint32x4_t high = vdupq_n_u32(0xffff0000u);
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(vld1q_f32(p)), high));
}

#include "engine/kernels/simd/bf16_tile_body.h"
