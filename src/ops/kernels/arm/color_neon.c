/* Colour conversion of rows with NEON; see kernels.h for the arithmetic. */
#include <arm_neon.h>

#include "ops/kernels/arm/neon.h"
#include "ops/kernels/reference/reference.h"

/* Q6 → levels. */
static inline uint8x8_t level_bytes(int16x8_t q6)
{
    return vqmovun_s16(vshrq_n_s16(vqaddq_s16(q6, vdupq_n_s16(32)), 6));
}

/* Each of eight chroma bytes twice, as (c − 128) << 8. */
static inline int16x8x2_t spread_chroma(uint8x8_t c)
{
    const int16x8_t v = vreinterpretq_s16_u16(vshll_n_u8(veor_u8(c, vdup_n_u8(0x80)), 8));
    return vzipq_s16(v, v);
}

static inline void eight_pixels(uint8x8_t above, int16x8_t u, int16x8_t v, const nnd_yuv_coef *k,
                                uint8x8_t rgb[3])
{
    const int16x8_t luma =
        vqrdmulhq_s16(vreinterpretq_s16_u16(vshll_n_u8(above, 7)), vdupq_n_s16(k->cy));
    rgb[0] = level_bytes(vqaddq_s16(luma, vqrdmulhq_s16(v, vdupq_n_s16(k->crv))));
    rgb[1] = level_bytes(vqsubq_s16(vqsubq_s16(luma, vqrdmulhq_s16(u, vdupq_n_s16(k->cgu))),
                                    vqrdmulhq_s16(v, vdupq_n_s16(k->cgv))));
    rgb[2] = level_bytes(vqaddq_s16(luma, vqrdmulhq_s16(u, vdupq_n_s16(k->cbu))));
}

void nnd_nv12_to_rgb_neon(uint8_t *dst, const uint8_t *y, const uint8_t *uv, size_t count,
                          const nnd_yuv_coef *coef, bool bgr)
{
    const uint8x16_t offset = vdupq_n_u8(coef->y_offset);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const uint8x16_t above = vqsubq_u8(vld1q_u8(y + i), offset);
        const uint8x8x2_t chroma = vld2_u8(uv + i);
        const int16x8x2_t u = spread_chroma(chroma.val[0]), v = spread_chroma(chroma.val[1]);
        uint8x8_t low[3], high[3];
        eight_pixels(vget_low_u8(above), u.val[0], v.val[0], coef, low);
        eight_pixels(vget_high_u8(above), u.val[1], v.val[1], coef, high);
        const uint8x16_t r = vcombine_u8(low[0], high[0]), b = vcombine_u8(low[2], high[2]);
        const uint8x16x3_t out = {{bgr ? b : r, vcombine_u8(low[1], high[1]), bgr ? r : b}};
        vst3q_u8(dst + 3 * i, out);
    }
    nnd_nv12_to_rgb_reference(dst + 3 * i, y + i, uv + i, count - i, coef, bgr);
}

static inline uint8x8_t gray_8(uint8x8_t c0, uint8x8_t c1, uint8x8_t c2, const int16_t weight[3],
                               uint8_t above)
{
    const int16x8_t a = vreinterpretq_s16_u16(vmovl_u8(c0)),
                    b = vreinterpretq_s16_u16(vmovl_u8(c1));
    const int16x8_t c = vreinterpretq_s16_u16(vmovl_u8(c2));
    int32x4_t low = vmull_n_s16(vget_low_s16(a), weight[0]),
              high = vmull_n_s16(vget_high_s16(a), weight[0]);
    low = vmlal_n_s16(vmlal_n_s16(low, vget_low_s16(b), weight[1]), vget_low_s16(c), weight[2]);
    high = vmlal_n_s16(vmlal_n_s16(high, vget_high_s16(b), weight[1]), vget_high_s16(c), weight[2]);
    const int16x8_t words = vcombine_s16(vrshrn_n_s32(low, 15), vrshrn_n_s32(high, 15));
    return vadd_u8(vqmovun_s16(words), vdup_n_u8(above));
}

void nnd_gray_u8c3_neon(uint8_t *dst, const uint8_t *src, size_t count, const int16_t weight[3],
                        uint8_t above)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const uint8x8x3_t p = vld3_u8(src + 3 * i);
        vst1_u8(dst + i, gray_8(p.val[0], p.val[1], p.val[2], weight, above));
    }
    nnd_gray_u8c3_reference(dst + i, src + 3 * i, count - i, weight, above);
}

void nnd_gray_u8c4_neon(uint8_t *dst, const uint8_t *src, size_t count, const int16_t weight[3],
                        uint8_t above)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const uint8x8x4_t p = vld4_u8(src + 4 * i);
        vst1_u8(dst + i, gray_8(p.val[0], p.val[1], p.val[2], weight, above));
    }
    nnd_gray_u8c4_reference(dst + i, src + 4 * i, count - i, weight, above);
}

void nnd_swap_u8c3_neon(uint8_t *dst, const uint8_t *src, size_t count)
{
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const uint8x16x3_t p = vld3q_u8(src + 3 * i);
        const uint8x16x3_t out = {{p.val[2], p.val[1], p.val[0]}};
        vst3q_u8(dst + 3 * i, out);
    }
    nnd_swap_u8c3_reference(dst + 3 * i, src + 3 * i, count - i);
}

void nnd_swap_u8c4_neon(uint8_t *dst, const uint8_t *src, size_t count)
{
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const uint8x16x4_t p = vld4q_u8(src + 4 * i);
        const uint8x16x4_t out = {{p.val[2], p.val[1], p.val[0], p.val[3]}};
        vst4q_u8(dst + 4 * i, out);
    }
    nnd_swap_u8c4_reference(dst + 4 * i, src + 4 * i, count - i);
}
