/* Colour spaces with NEON: the lanes of space_lanes.h. */
#include <arm_neon.h>
#include <string.h>

#include "ops/kernels/arm/neon.h"
#include "ops/kernels/reference/reference.h"

#define LANES 4
typedef int32x4_t ints;

static inline ints load_3(const uint8_t *p)
{
    static const uint8_t pick[16] = {0, 1, 2, 255, 3, 4, 5, 255, 6, 7, 8, 255, 9, 10, 11, 255};
    uint32_t last;
    memcpy(&last, p + 8, 4);
    const uint8x16_t bytes = vcombine_u8(vld1_u8(p), vreinterpret_u8_u32(vdup_n_u32(last)));
    return vreinterpretq_s32_u8(vqtbl1q_u8(bytes, vld1q_u8(pick)));
}

static inline ints load_4(const uint8_t *p)
{
    return vreinterpretq_s32_u8(vld1q_u8(p));
}

static inline void store_3(uint8_t *p, ints word)
{
    static const uint8_t pick[16] = {0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 255, 255, 255, 255};
    const uint8x16_t bytes = vqtbl1q_u8(vreinterpretq_u8_s32(word), vld1q_u8(pick));
    vst1_u8(p, vget_low_u8(bytes));
    const uint32_t last = vgetq_lane_u32(vreinterpretq_u32_u8(bytes), 2);
    memcpy(p + 8, &last, 4);
}

static inline void store_4(uint8_t *p, ints word)
{
    vst1q_u8(p, vreinterpretq_u8_s32(word));
}

static inline ints each(int v)
{
    return vdupq_n_s32(v);
}

static inline ints plus(ints a, ints b)
{
    return vaddq_s32(a, b);
}

static inline ints minus(ints a, ints b)
{
    return vsubq_s32(a, b);
}

static inline ints smaller(ints a, ints b)
{
    return vminq_s32(a, b);
}

static inline ints larger(ints a, ints b)
{
    return vmaxq_s32(a, b);
}

static inline ints both_bits(ints a, ints b)
{
    return vandq_s32(a, b);
}

static inline ints either_bits(ints a, ints b)
{
    return vorrq_s32(a, b);
}

static inline ints shift_up(ints v, int n)
{
    return vshlq_s32(v, vdupq_n_s32(n));
}

static inline ints shift_down(ints v, int n)
{
    return vshlq_s32(v, vdupq_n_s32(-n));
}

static inline ints times(ints a, ints b)
{
    return vmulq_s32(a, b);
}

static inline ints if_equal(ints a, ints b, ints yes, ints no)
{
    return vbslq_s32(vceqq_s32(a, b), yes, no);
}

static inline ints if_less(ints a, ints b, ints yes, ints no)
{
    return vbslq_s32(vcltq_s32(a, b), yes, no);
}

static inline ints quotient(ints a, ints b)
{
    return vcvtnq_s32_f32(vdivq_f32(vcvtq_f32_s32(a), vcvtq_f32_s32(b)));
}

#include "ops/kernels/space_lanes.h"

SPACE_KERNELS(neon)
