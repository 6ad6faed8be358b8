#include <string.h>

#include "engine/kernels/simd/vec_neon.h"

typedef uint32x4_t raw;

static inline raw bytes_at(const uint8_t *q)
{
    uint32_t four;
    memcpy(&four, q, sizeof four);
    return vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(four))));
}

/* No block is shorter than a vector of four. */
static inline raw bytes_across(const uint8_t *q, int bytes)
{
    (void)bytes;
    return bytes_at(q);
}

static inline raw shifted(raw v, int shift)
{
    return vshlq_u32(v, vdupq_n_s32(-shift));
}

static inline raw shifted_across(raw v, int bytes, int bits)
{
    (void)bytes;
    (void)bits;
    return v;
}

static inline vf codes_of(raw v, int bits)
{
    return vcvtq_f32_u32(vandq_u32(v, vdupq_n_u32((1u << bits) - 1u)));
}

#include "engine/kernels/simd/f32_nbits_body.h"
