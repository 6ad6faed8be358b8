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
};
