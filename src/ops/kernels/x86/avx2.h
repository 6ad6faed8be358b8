/*
 * The AVX2 kernels by name: the AVX-512 table takes over those that gain nothing from wider
 * vectors.
 */
#ifndef NND_OPS_AVX2_H
#define NND_OPS_AVX2_H

#include "ops/kernels/kernels.h"

#define NND_DECLARE_RESAMPLE(c)                                                                    \
    void nnd_bilinear_u8c##c##_avx2(uint8_t *dst, const uint8_t *row0, const uint8_t *row1,        \
                                    int16_t wy, const nnd_bilinear_columns *columns,               \
                                    int16_t *blended);                                             \
    void nnd_points_u8c##c##_avx2(uint8_t *dst, const uint8_t *src, int64_t stride,                \
                                  const int64_t *offset, const int16_t *wx, const int16_t *wy,     \
                                  size_t count);                                                   \
    void nnd_columns_u8c##c##_avx2(uint8_t *dst, const int16_t *src, const int32_t *start,         \
                                   const int16_t *weight, int taps, size_t count, size_t safe);
NND_DECLARE_RESAMPLE(1)
NND_DECLARE_RESAMPLE(2)
NND_DECLARE_RESAMPLE(3)
NND_DECLARE_RESAMPLE(4)
#undef NND_DECLARE_RESAMPLE

void nnd_rows_u8_avx2(int16_t *dst, const uint8_t *const *rows, const int16_t *weight, int taps,
                      size_t count);
void nnd_nv12_to_rgb_avx2(uint8_t *dst, const uint8_t *y, const uint8_t *uv, size_t count,
                          const nnd_yuv_coef *coef, bool bgr);
void nnd_swap_u8c3_avx2(uint8_t *dst, const uint8_t *src, size_t count);
void nnd_swap_u8c4_avx2(uint8_t *dst, const uint8_t *src, size_t count);
void nnd_planar_u8c1_avx2(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                          const float *add);
void nnd_planar_u8c3_avx2(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                          const float *add);
void nnd_planar_u8c4_avx2(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                          const float *add);
void nnd_packed_u8_avx2(float *dst, const uint8_t *src, size_t count, const float mul[48],
                        const float add[48]);
void nnd_row_f32_to_f16_avx2(uint16_t *dst, const float *src, size_t count);
void nnd_f32_to_u8_avx2(uint8_t *dst, const float *src, size_t count);

NND_DECLARE_PIXEL_KERNELS(avx2);
NND_DECLARE_FLOAT_KERNELS(avx2);

#endif
