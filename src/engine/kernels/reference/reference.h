/*
 * The plain C forms: short loops that say what each kernel means. They are the oracle of the tests
 * and what runs where no vector form exists.
 */
#ifndef NND_ENGINE_KERNELS_REFERENCE_REFERENCE_H
#define NND_ENGINE_KERNELS_REFERENCE_REFERENCE_H

#include "engine/kernels/attention.h"
#include "engine/kernels/set.h"

/* Channels per block of the reference's NCHWc. */
#define NND_REFERENCE_BLOCK 8

float nnd_round_to_bf16_reference(float x);
/* Rows [m0, m1) and columns [n0, n1) of a GEMM; packed_b is op(B), dense k×n. */
void nnd_f32_gemm_reference(const nnd_gemm_desc *desc, const nnd_gemm_args *args, int64_t m0,
                            int64_t m1, int64_t n0, int64_t n1);
/* Output channels [oc0, oc1) of one image; `weights` as given by the user, then the biases. */
void nnd_f32_conv_reference(const nnd_conv_desc *desc, int64_t out_h, int64_t out_w,
                            const nnd_conv_args *args, int64_t image, int64_t oc0, int64_t oc1);

/* One row of queries, 0 … batch·heads·rows − 1; `scores` has room for all keys. */
void nnd_f32_attention_reference(const nnd_attention *a, size_t row, float *scores);

void nnd_f32_depthwise_nchw_reference(const nnd_window_args *args);
void nnd_f32_depthwise_nchwc_reference(const nnd_window_args *args);
void nnd_f32_maxpool_nchw_reference(const nnd_window_args *args, int64_t planes);
void nnd_f32_maxpool_nchwc_reference(const nnd_window_args *args, int64_t planes);
void nnd_f32_avgpool_nchw_reference(const nnd_window_args *args, int64_t planes);
void nnd_f32_avgpool_nchwc_reference(const nnd_window_args *args, int64_t planes);
void nnd_f32_globalpool_nchw_reference(nnd_pool_kind kind, const float *x, float *y, size_t spatial,
                                       size_t planes);
void nnd_f32_globalpool_nchwc_reference(nnd_pool_kind kind, const float *x, float *y,
                                        size_t spatial, size_t planes);

void nnd_f32_act_reference(const nnd_act *act, const float *x, float *y, size_t n);
void nnd_f32_unary_reference(nnd_unary_op op, const float *x, float *y, size_t n);
void nnd_f32_binary_reference(nnd_binary_op op, nnd_binary_mode mode, const float *a,
                              const float *b, float *y, size_t n);
void nnd_f32_binary_block_reference(nnd_binary_op op, const float *x, const float *s, float *y,
                                    size_t pixels);
void nnd_f32_scale_shift_reference(const float *x, float scale, float shift, float *y, size_t n);
void nnd_f32_scale_shift_block_reference(const float *x, const float *scale, const float *shift,
                                         float *y, size_t pixels);

void nnd_f32_softmax_reference(const float *x, float *y, size_t n, bool logarithm);
void nnd_f32_layernorm_reference(const float *x, const float *gamma, const float *beta, float eps,
                                 float *y, size_t n);
void nnd_f32_rmsnorm_reference(const float *x, const float *gamma, float eps, float *y, size_t n);
float nnd_f32_reduce_reference(nnd_row_op op, const float *x, size_t n);

void nnd_f32_to_nchwc_reference(const float *x, size_t ldx, float *y, size_t channels,
                                size_t pixels);
void nnd_f32_to_nchw_reference(const float *x, float *y, size_t ldy, size_t channels,
                               size_t pixels);
void nnd_f32_transpose_reference(const float *x, size_t ldx, float *y, size_t ldy, size_t rows,
                                 size_t cols);
void nnd_f16_to_f32_reference(const uint16_t *x, float *y, size_t n);
void nnd_f32_to_f16_reference(const float *x, uint16_t *y, size_t n);
void nnd_bf16_to_f32_reference(const uint16_t *x, float *y, size_t n);
void nnd_f32_to_bf16_reference(const float *x, uint16_t *y, size_t n);
void nnd_f32_nbits_dot_reference(const nnd_nbits_column *c, float *y);
void nnd_f32_nbits_spread_reference(const nnd_nbits_column *c, float *y);

void nnd_f32_lrn_reference(const nnd_lrn_args *args);

void nnd_f32_mix_rows_reference(const float *x, size_t pitch, const int32_t *rows,
                                const float *weights, size_t taps, float *y, size_t n);
void nnd_f32_mix_pixels_reference(const float *x, const int32_t *columns, const float *weights,
                                  size_t taps, float *y, size_t pixels);

#endif
