/* Writing YUV with NEON; see kernels.h for the arithmetic. */
#include <arm_neon.h>

#include "ops/kernels/arm/neon.h"
#include "ops/kernels/reference/reference.h"

/* Levels of four pairs, weighted and brought down by `shift` (negative). */
static inline int16x4_t weigh_4(int16x4_t r, int16x4_t g, int16x4_t b, const int16_t w[3],
                                int32x4_t shift)
{
    const int32x4_t sum = vmlal_n_s16(vmlal_n_s16(vmull_n_s16(r, w[0]), g, w[1]), b, w[2]);
    return vmovn_s32(vrshlq_s32(sum, shift));
}

static inline uint8x8_t weigh_8(const uint16x8_t sum[3], const int16_t w[3], int32x4_t shift)
{
    const int16x8_t r = vreinterpretq_s16_u16(sum[0]), g = vreinterpretq_s16_u16(sum[1]),
                    b = vreinterpretq_s16_u16(sum[2]);
    const int16x8_t level =
        vcombine_s16(weigh_4(vget_low_s16(r), vget_low_s16(g), vget_low_s16(b), w, shift),
                     weigh_4(vget_high_s16(r), vget_high_s16(g), vget_high_s16(b), w, shift));
    return vqmovun_s16(vaddq_s16(level, vdupq_n_s16(128)));
}

#define CHROMA(c)                                                                                  \
    void nnd_chroma_u8c##c##_neon(uint8_t *uv, const uint8_t *upper, const uint8_t *lower,         \
                                  size_t count, const nnd_chroma_coef *coef)                       \
    {                                                                                              \
        const int32x4_t shift = vdupq_n_s32(lower ? -17 : -16);                                    \
        size_t i = 0;                                                                              \
        for (; i + 16 <= count; i += 16) {                                                         \
            const uint8x16x##c##_t p = vld##c##q_u8(upper + (c)*i);                                \
            uint16x8_t sum[3];                                                                     \
            for (int k = 0; k < 3; k++)                                                            \
                sum[k] = vpaddlq_u8(p.val[k]);                                                     \
            if (lower) {                                                                           \
                const uint8x16x##c##_t q = vld##c##q_u8(lower + (c)*i);                            \
                for (int k = 0; k < 3; k++)                                                        \
                    sum[k] = vpadalq_u8(sum[k], q.val[k]);                                         \
            }                                                                                      \
            const uint8x8x2_t pairs = {                                                            \
                {weigh_8(sum, coef->u, shift), weigh_8(sum, coef->v, shift)}};                     \
            vst2_u8(uv + i, pairs);                                                                \
        }                                                                                          \
        nnd_chroma_u8c##c##_reference(uv + i, upper + (c)*i, lower ? lower + (c)*i : NULL,         \
                                      count - i, coef);                                            \
    }

CHROMA(3)
CHROMA(4)

void nnd_range_u8_neon(uint8_t *dst, const uint8_t *src, size_t count, const nnd_level_range *range)
{
    const uint8x8_t below = vdup_n_u8(range->below);
    const uint16x8_t above = vdupq_n_u16(range->above);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const uint16x8_t level = vmovl_u8(vqsub_u8(vld1_u8(src + i), below));
        const uint32x4_t low = vmull_n_u16(vget_low_u16(level), (uint16_t)range->mul),
                         high = vmull_n_u16(vget_high_u16(level), (uint16_t)range->mul);
        const uint16x8_t scaled = vcombine_u16(vrshrn_n_u32(low, 14), vrshrn_n_u32(high, 14));
        vst1_u8(dst + i, vqmovn_u16(vaddq_u16(scaled, above)));
    }
    nnd_range_u8_reference(dst + i, src + i, count - i, range);
}

void nnd_split_u8_neon(uint8_t *even, uint8_t *odd, const uint8_t *src, size_t count)
{
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const uint8x16x2_t pairs = vld2q_u8(src + 2 * i);
        vst1q_u8(even + i, pairs.val[0]);
        vst1q_u8(odd + i, pairs.val[1]);
    }
    nnd_split_u8_reference(even + i, odd + i, src + 2 * i, count - i);
}

void nnd_merge_u8_neon(uint8_t *dst, const uint8_t *even, const uint8_t *odd, size_t count)
{
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const uint8x16x2_t pairs = {{vld1q_u8(even + i), vld1q_u8(odd + i)}};
        vst2q_u8(dst + 2 * i, pairs);
    }
    nnd_merge_u8_reference(dst + 2 * i, even + i, odd + i, count - i);
}
