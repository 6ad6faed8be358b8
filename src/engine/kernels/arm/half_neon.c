#include <stdint.h>

#include "engine/kernels/simd/vec_neon.h"

static inline vf widen_f16(const uint16_t *x)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x)));
}

static inline void narrow_f16(vf v, uint16_t *y)
{
    vst1_u16(y, vreinterpret_u16_f16(vcvt_f16_f32(v)));
}

static inline vf widen_bf16(const uint16_t *x)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(x), 16));
}

static inline void narrow_bf16(vf v, uint16_t *y)
{
    uint32x4_t bits = vreinterpretq_u32_f32(v), high = vshrq_n_u32(bits, 16);
    uint32x4_t odd = vandq_u32(high, vdupq_n_u32(1));
    uint32x4_t up = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    uint32x4_t quiet = vorrq_u32(high, vdupq_n_u32(0x40));
    vst1_u16(y, vmovn_u32(vbslq_u32(v_is_nan(v), quiet, vshrq_n_u32(up, 16))));
}

#include "engine/kernels/simd/half_body.h"
