/*
 * The AVX-512 kernels that the table takes from another file.
 */
#ifndef NND_OPS_AVX512_H
#define NND_OPS_AVX512_H

#include "ops/kernels/x86/avx2.h"

void nnd_planar_u8c1_avx512(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                            const float *add);
void nnd_planar_u8c3_avx512(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                            const float *add);
void nnd_planar_u8c4_avx512(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                            const float *add);
void nnd_packed_u8_avx512(float *dst, const uint8_t *src, size_t count, const float mul[48],
                          const float add[48]);
void nnd_row_f32_to_f16_avx512(uint16_t *dst, const float *src, size_t count);
void nnd_f32_to_u8_avx512(uint8_t *dst, const float *src, size_t count);

NND_DECLARE_PIXEL_KERNELS(avx512);
NND_DECLARE_FLOAT_KERNELS(avx512);

#endif
