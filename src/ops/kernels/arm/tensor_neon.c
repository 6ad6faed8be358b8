/* Levels to tensor elements with NEON, and the table of the NEON kernels. */
#include <arm_neon.h>

#include "ops/kernels/arm/neon.h"
#include "ops/kernels/reference/reference.h"

/* Multiplied and added apart, so that every instruction set rounds alike. */
static inline void store_elements(float *dst, uint16x4_t level, float32x4_t mul, float32x4_t add)
{
    vst1q_f32(dst, vaddq_f32(vmulq_f32(vcvtq_f32_u32(vmovl_u16(level)), mul), add));
}

static inline void store_8(float *dst, uint8x8_t level, float32x4_t mul, float32x4_t add)
{
    const uint16x8_t words = vmovl_u8(level);
    store_elements(dst, vget_low_u16(words), mul, add);
    store_elements(dst + 4, vget_high_u16(words), mul, add);
}

void nnd_planar_u8c1_neon(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                          const float *add)
{
    const float32x4_t m = vdupq_n_f32(mul[0]), a = vdupq_n_f32(add[0]);
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        store_8(plane[0] + i, vld1_u8(src + i), m, a);
    float *const rest = plane[0] + i;
    nnd_planar_u8c1_reference(&rest, src + i, count - i, mul, add);
}

/* Planes that are wanted, moved on by i elements. */
static inline void planes_from(float *rest[4], float *const *plane, int channels, size_t i)
{
    for (int c = 0; c < channels; c++)
        rest[c] = plane[c] ? plane[c] + i : NULL;
}

void nnd_planar_u8c3_neon(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                          const float *add)
{
    float *rest[4];
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const uint8x8x3_t p = vld3_u8(src + 3 * i);
        for (int c = 0; c < 3; c++)
            if (plane[c]) store_8(plane[c] + i, p.val[c], vdupq_n_f32(mul[c]), vdupq_n_f32(add[c]));
    }
    planes_from(rest, plane, 3, i);
    nnd_planar_u8c3_reference(rest, src + 3 * i, count - i, mul, add);
}

void nnd_planar_u8c4_neon(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                          const float *add)
{
    float *rest[4];
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const uint8x8x4_t p = vld4_u8(src + 4 * i);
        for (int c = 0; c < 4; c++)
            if (plane[c]) store_8(plane[c] + i, p.val[c], vdupq_n_f32(mul[c]), vdupq_n_f32(add[c]));
    }
    planes_from(rest, plane, 4, i);
    nnd_planar_u8c4_reference(rest, src + 4 * i, count - i, mul, add);
}

void nnd_packed_u8_neon(float *dst, const uint8_t *src, size_t count, const float mul[48],
                        const float add[48])
{
    size_t i = 0;
    for (; i + 48 <= count; i += 48) {
        for (size_t k = 0; k < 48; k += 8) {
            const uint16x8_t level = vmovl_u8(vld1_u8(src + i + k));
            store_elements(dst + i + k, vget_low_u16(level), vld1q_f32(mul + k),
                           vld1q_f32(add + k));
            store_elements(dst + i + k + 4, vget_high_u16(level), vld1q_f32(mul + k + 4),
                           vld1q_f32(add + k + 4));
        }
    }
    nnd_packed_u8_reference(dst + i, src + i, count - i, mul, add);
}

void nnd_row_f32_to_f16_neon(uint16_t *dst, const float *src, size_t count)
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        vst1_u16(dst + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(src + i))));
    nnd_row_f32_to_f16_reference(dst + i, src + i, count - i);
}

void nnd_f32_to_u8_neon(uint8_t *dst, const float *src, size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        /* The conversion saturates, takes NaN to 0 and rounds to even. */
        const uint32x4_t a = vcvtnq_u32_f32(vld1q_f32(src + i)),
                         b = vcvtnq_u32_f32(vld1q_f32(src + i + 4));
        vst1_u8(dst + i, vqmovn_u16(vcombine_u16(vqmovn_u32(a), vqmovn_u32(b))));
    }
    nnd_f32_to_u8_reference(dst + i, src + i, count - i);
}

const nnd_ops_kernels nnd_ops_kernels_neon = {
    .name = "neon",
    .bilinear_u8 = {nnd_bilinear_u8c1_neon, nnd_bilinear_u8c2_neon, nnd_bilinear_u8c3_neon,
                    nnd_bilinear_u8c4_neon},
    .points_u8 = {nnd_points_u8c1_neon, nnd_points_u8c2_neon, nnd_points_u8c3_neon,
                  nnd_points_u8c4_neon},
    .rows_u8 = nnd_rows_u8_neon,
    .columns_u8 = {nnd_columns_u8c1_neon, nnd_columns_u8c2_neon, nnd_columns_u8c3_neon,
                   nnd_columns_u8c4_neon},
    .nv12_to_rgb = nnd_nv12_to_rgb_neon,
    .gray_u8c3 = nnd_gray_u8c3_neon,
    .gray_u8c4 = nnd_gray_u8c4_neon,
    .swap_u8c3 = nnd_swap_u8c3_neon,
    .swap_u8c4 = nnd_swap_u8c4_neon,
    .planar_u8c1 = nnd_planar_u8c1_neon,
    .planar_u8c3 = nnd_planar_u8c3_neon,
    .planar_u8c4 = nnd_planar_u8c4_neon,
    .packed_u8 = nnd_packed_u8_neon,
    .f32_to_f16 = nnd_row_f32_to_f16_neon,
    .f32_to_u8 = nnd_f32_to_u8_neon,
    .chroma_u8c3 = nnd_chroma_u8c3_neon,
    .chroma_u8c4 = nnd_chroma_u8c4_neon,
    .range_u8 = nnd_range_u8_neon,
    .split_u8 = nnd_split_u8_neon,
    .merge_u8 = nnd_merge_u8_neon,
    .planar_f32c1 = nnd_planar_f32c1_neon,
    .planar_f32c3 = nnd_planar_f32c3_neon,
    .planar_f32c4 = nnd_planar_f32c4_neon,
    .packed_f32 = nnd_packed_f32_neon,
    .interleave_f32c3 = nnd_interleave_f32c3_neon,
    .interleave_f32c4 = nnd_interleave_f32c4_neon,
    .gray_f32 = nnd_gray_f32_neon,
    .f16_to_f32 = nnd_row_f16_to_f32_neon,
    .f32_to_u16 = nnd_f32_to_u16_neon,
    .u16_to_f32 = nnd_u16_to_f32_neon,
    .clamp_f32 = nnd_clamp_f32_neon,
    .sum_rows = {nnd_sum_rows_u8_neon, nnd_sum_rows_u16_neon, nnd_sum_rows_f32_neon},
    .sum_columns = {nnd_sum_columns_c1_neon, nnd_sum_columns_c2_neon, nnd_sum_columns_c3_neon,
                    nnd_sum_columns_c4_neon},
    .points_u16 = {nnd_points_u16c1_neon, NULL, nnd_points_u16c3_neon, nnd_points_u16c4_neon},
    .points_f32 = {nnd_points_f32c1_neon, NULL, nnd_points_f32c3_neon, nnd_points_f32c4_neon},
    .places = nnd_places_neon,
    .order_u8 = nnd_order_u8_neon,
    .reverse_u8 = nnd_reverse_u8_neon,
    .transpose = nnd_transpose_neon,
    .nearest = nnd_nearest_neon,
    .rgb_to_hsv_u8 = nnd_rgb_to_hsv_u8_neon,
    .hsv_to_rgb_u8 = nnd_hsv_to_rgb_u8_neon,
    .rgb_to_ycrcb_u8 = nnd_rgb_to_ycrcb_u8_neon,
    .ycrcb_to_rgb_u8 = nnd_ycrcb_to_rgb_u8_neon,
    .top_f32 = nnd_top_f32_neon,
    .exp_f32 = nnd_exp_f32_neon,
    .touching = nnd_touching_neon,
    .first_above = nnd_first_above_neon,
    .first_mean_above = nnd_first_mean_above_neon,
    .first_product_above = nnd_first_product_above_neon,
    .best_f32 = nnd_best_f32_neon,
};
