#include <string.h>

#include "engine/kernels/simd/vec_neon.h"

static inline vf codes_at(const uint8_t *q, int shift, uint32_t mask)
{
    uint32_t four;
    memcpy(&four, q, sizeof four);
    uint32x4_t v = vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(four))));
    v = vandq_u32(vshlq_u32(v, vdupq_n_s32(-shift)), vdupq_n_u32(mask));
    return vcvtq_f32_u32(v);
}

#include "engine/kernels/simd/f32_nbits_body.h"
