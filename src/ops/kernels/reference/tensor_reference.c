/* Levels to tensor elements in plain C, and the table of the reference kernels. */
#include <math.h>

#include "data/float_bits.h"
#include "ops/kernels/reference/reference.h"

static void planar(float *const *plane, const uint8_t *src, size_t count, size_t channels,
                   const float *mul, const float *add)
{
    for (size_t c = 0; c < channels; c++) {
        float *out = plane[c];
        if (!out) continue;
        for (size_t i = 0; i < count; i++)
            out[i] = (float)src[i * channels + c] * mul[c] + add[c];
    }
}

void nnd_planar_u8c1_reference(float *const *plane, const uint8_t *src, size_t count,
                               const float *mul, const float *add)
{
    planar(plane, src, count, 1, mul, add);
}

void nnd_planar_u8c3_reference(float *const *plane, const uint8_t *src, size_t count,
                               const float *mul, const float *add)
{
    planar(plane, src, count, 3, mul, add);
}

void nnd_planar_u8c4_reference(float *const *plane, const uint8_t *src, size_t count,
                               const float *mul, const float *add)
{
    planar(plane, src, count, 4, mul, add);
}

void nnd_packed_u8_reference(float *dst, const uint8_t *src, size_t count, const float mul[48],
                             const float add[48])
{
    for (size_t i = 0; i < count; i++)
        dst[i] = (float)src[i] * mul[i % 48] + add[i % 48];
}

void nnd_row_f32_to_f16_reference(uint16_t *dst, const float *src, size_t count)
{
    for (size_t i = 0; i < count; i++)
        dst[i] = nnd_f32_to_f16(src[i]);
}

void nnd_f32_to_u8_reference(uint8_t *dst, const float *src, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float v = src[i] > 0.0f ? src[i] : 0.0f; /* NaN becomes 0 */
        dst[i] = (uint8_t)rintf(v < 255.0f ? v : 255.0f);
    }
}

static void planar_f32(float *const *plane, const float *src, size_t count, size_t channels,
                       const float *mul, const float *add)
{
    for (size_t c = 0; c < channels; c++) {
        float *out = plane[c];
        if (!out) continue;
        for (size_t i = 0; i < count; i++)
            out[i] = src[i * channels + c] * mul[c] + add[c];
    }
}

void nnd_planar_f32c1_reference(float *const *plane, const float *src, size_t count,
                                const float *mul, const float *add)
{
    planar_f32(plane, src, count, 1, mul, add);
}

void nnd_planar_f32c3_reference(float *const *plane, const float *src, size_t count,
                                const float *mul, const float *add)
{
    planar_f32(plane, src, count, 3, mul, add);
}

void nnd_planar_f32c4_reference(float *const *plane, const float *src, size_t count,
                                const float *mul, const float *add)
{
    planar_f32(plane, src, count, 4, mul, add);
}

void nnd_packed_f32_reference(float *dst, const float *src, size_t count, const float mul[48],
                              const float add[48])
{
    for (size_t i = 0; i < count; i++)
        dst[i] = src[i] * mul[i % 48] + add[i % 48];
}

void nnd_interleave_f32c3_reference(float *dst, const float *const *plane, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < 3; k++)
            dst[3 * i + k] = plane[k][i];
}

void nnd_interleave_f32c4_reference(float *dst, const float *const *plane, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < 4; k++)
            dst[4 * i + k] = plane[k][i];
}

void nnd_gray_f32_reference(float *dst, const float *const *plane, size_t count,
                            const float weight[3])
{
    for (size_t i = 0; i < count; i++)
        dst[i] = plane[0][i] * weight[0] + plane[1][i] * weight[1] + plane[2][i] * weight[2];
}

void nnd_row_f16_to_f32_reference(float *dst, const uint16_t *src, size_t count)
{
    for (size_t i = 0; i < count; i++)
        dst[i] = nnd_f16_to_f32(src[i]);
}

void nnd_f32_to_u16_reference(uint16_t *dst, const float *src, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float v = src[i] > 0.0f ? src[i] : 0.0f; /* NaN becomes 0 */
        dst[i] = (uint16_t)rintf(v < 65535.0f ? v : 65535.0f);
    }
}

void nnd_u16_to_f32_reference(float *dst, const uint16_t *src, size_t count)
{
    for (size_t i = 0; i < count; i++)
        dst[i] = (float)src[i];
}

void nnd_clamp_f32_reference(float *dst, const float *src, size_t count, float max)
{
    for (size_t i = 0; i < count; i++) {
        const float v = src[i] > 0.0f ? src[i] : 0.0f;
        dst[i] = v < max ? v : max;
    }
}

const nnd_ops_kernels nnd_ops_kernels_reference = {
    .name = "reference",
    .bilinear_u8 = {nnd_bilinear_u8c1_reference, nnd_bilinear_u8c2_reference,
                    nnd_bilinear_u8c3_reference, nnd_bilinear_u8c4_reference},
    .points_u8 = {nnd_points_u8c1_reference, nnd_points_u8c2_reference, nnd_points_u8c3_reference,
                  nnd_points_u8c4_reference},
    .rows_u8 = nnd_rows_u8_reference,
    .columns_u8 = {nnd_columns_u8c1_reference, nnd_columns_u8c2_reference,
                   nnd_columns_u8c3_reference, nnd_columns_u8c4_reference},
    .nv12_to_rgb = nnd_nv12_to_rgb_reference,
    .gray_u8c3 = nnd_gray_u8c3_reference,
    .gray_u8c4 = nnd_gray_u8c4_reference,
    .swap_u8c3 = nnd_swap_u8c3_reference,
    .swap_u8c4 = nnd_swap_u8c4_reference,
    .planar_u8c1 = nnd_planar_u8c1_reference,
    .planar_u8c3 = nnd_planar_u8c3_reference,
    .planar_u8c4 = nnd_planar_u8c4_reference,
    .packed_u8 = nnd_packed_u8_reference,
    .f32_to_f16 = nnd_row_f32_to_f16_reference,
    .f32_to_u8 = nnd_f32_to_u8_reference,
    .chroma_u8c3 = nnd_chroma_u8c3_reference,
    .chroma_u8c4 = nnd_chroma_u8c4_reference,
    .range_u8 = nnd_range_u8_reference,
    .split_u8 = nnd_split_u8_reference,
    .merge_u8 = nnd_merge_u8_reference,
    .planar_f32c1 = nnd_planar_f32c1_reference,
    .planar_f32c3 = nnd_planar_f32c3_reference,
    .planar_f32c4 = nnd_planar_f32c4_reference,
    .packed_f32 = nnd_packed_f32_reference,
    .interleave_f32c3 = nnd_interleave_f32c3_reference,
    .interleave_f32c4 = nnd_interleave_f32c4_reference,
    .gray_f32 = nnd_gray_f32_reference,
    .f16_to_f32 = nnd_row_f16_to_f32_reference,
    .f32_to_u16 = nnd_f32_to_u16_reference,
    .u16_to_f32 = nnd_u16_to_f32_reference,
    .clamp_f32 = nnd_clamp_f32_reference,
    .sum_rows = {nnd_sum_rows_u8_reference, nnd_sum_rows_u16_reference, nnd_sum_rows_f32_reference},
    .sum_columns = {nnd_sum_columns_c1_reference, nnd_sum_columns_c2_reference,
                    nnd_sum_columns_c3_reference, nnd_sum_columns_c4_reference},
    .points_u16 = {nnd_points_u16c1_reference, NULL, nnd_points_u16c3_reference,
                   nnd_points_u16c4_reference},
    .points_f32 = {nnd_points_f32c1_reference, NULL, nnd_points_f32c3_reference,
                   nnd_points_f32c4_reference},
    .places = nnd_places_reference,
    .order_u8 = nnd_order_u8_reference,
    .reverse_u8 = nnd_reverse_u8_reference,
    .transpose = nnd_transpose_reference,
    .nearest = nnd_nearest_reference,
    .rgb_to_hsv_u8 = nnd_rgb_to_hsv_u8_reference,
    .hsv_to_rgb_u8 = nnd_hsv_to_rgb_u8_reference,
    .rgb_to_ycrcb_u8 = nnd_rgb_to_ycrcb_u8_reference,
    .ycrcb_to_rgb_u8 = nnd_ycrcb_to_rgb_u8_reference,
    .top_f32 = nnd_top_f32_reference,
    .exp_f32 = nnd_exp_f32_reference,
    .touching = nnd_touching_reference,
    .first_above = nnd_first_above_reference,
    .first_mean_above = nnd_first_mean_above_reference,
    .first_product_above = nnd_first_product_above_reference,
    .best_f32 = nnd_best_f32_reference,
};
