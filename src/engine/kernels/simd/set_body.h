/* The const table of one ISA. SET_ISA is its nnd_isa; VLEN, VEC_NAME and the register tile come
   from the vector header. */
#include "engine/kernels/sets.h"

void VEC_NAME(nnd_f32_tile_planar)(int rows, int vectors, const nnd_tile_args *t);
void VEC_NAME(nnd_f32_tile_blocked)(int rows, int vectors, const nnd_tile_args *t);
void VEC_NAME(nnd_f32_depthwise_nchwc)(const nnd_window_args *args);
void VEC_NAME(nnd_f32_winograd_input)(const nnd_winograd_args *args, int64_t top, int64_t left,
                                      float *to);
void VEC_NAME(nnd_f32_winograd_output)(const nnd_winograd_args *args, const float *from,
                                       int64_t top, int64_t left);
void VEC_NAME(nnd_f32_lrn_nchwc)(const nnd_lrn_args *args);
void VEC_NAME(nnd_f32_maxpool_nchw)(const nnd_window_args *args, int64_t planes);
void VEC_NAME(nnd_f32_maxpool_nchwc)(const nnd_window_args *args, int64_t planes);
void VEC_NAME(nnd_f32_avgpool_nchw)(const nnd_window_args *args, int64_t planes);
void VEC_NAME(nnd_f32_avgpool_nchwc)(const nnd_window_args *args, int64_t planes);
void VEC_NAME(nnd_f32_globalpool_nchw)(nnd_pool_kind kind, const float *x, float *y, size_t spatial,
                                       size_t planes);
void VEC_NAME(nnd_f32_globalpool_nchwc)(nnd_pool_kind kind, const float *x, float *y,
                                        size_t spatial, size_t planes);
void VEC_NAME(nnd_f32_act)(const nnd_act *act, const float *x, float *y, size_t n);
void VEC_NAME(nnd_f32_unary)(nnd_unary_op op, const float *x, float *y, size_t n);
void VEC_NAME(nnd_f32_binary)(nnd_binary_op op, nnd_binary_mode mode, const float *a,
                              const float *b, float *y, size_t n);
void VEC_NAME(nnd_f32_binary_block)(nnd_binary_op op, const float *x, const float *s, float *y,
                                    size_t pixels);
void VEC_NAME(nnd_f32_scale_shift)(const float *x, float scale, float shift, float *y, size_t n);
void VEC_NAME(nnd_f32_scale_shift_block)(const float *x, const float *scale, const float *shift,
                                         float *y, size_t pixels);
void VEC_NAME(nnd_f32_softmax)(const float *x, float *y, size_t n, bool logarithm);
void VEC_NAME(nnd_f32_layernorm)(const float *x, const float *gamma, const float *beta, float eps,
                                 float *y, size_t n);
void VEC_NAME(nnd_f32_rmsnorm)(const float *x, const float *gamma, float eps, float *y, size_t n);
float VEC_NAME(nnd_f32_reduce)(nnd_row_op op, const float *x, size_t n);
void VEC_NAME(nnd_f32_to_nchwc)(const float *x, size_t ldx, float *y, size_t channels,
                                size_t pixels);
void VEC_NAME(nnd_f32_to_nchw)(const float *x, float *y, size_t ldy, size_t channels,
                               size_t pixels);
void VEC_NAME(nnd_f32_mix_rows)(const float *x, size_t pitch, const int32_t *rows,
                                const float *weights, size_t taps, float *y, size_t n);
void VEC_NAME(nnd_f32_mix_pixels)(const float *x, const int32_t *columns, const float *weights,
                                  size_t taps, float *y, size_t pixels);
void VEC_NAME(nnd_f32_every_second)(const float *x, float *y, size_t n);
void VEC_NAME(nnd_f32_transpose)(const float *x, size_t ldx, float *y, size_t ldy, size_t rows,
                                 size_t cols);
void VEC_NAME(nnd_f16_to_f32)(const uint16_t *x, float *y, size_t n);
void VEC_NAME(nnd_f32_to_f16)(const float *x, uint16_t *y, size_t n);
void VEC_NAME(nnd_bf16_to_f32)(const uint16_t *x, float *y, size_t n);
void VEC_NAME(nnd_f32_to_bf16)(const float *x, uint16_t *y, size_t n);
void VEC_NAME(nnd_f32_nbits_dot)(const nnd_nbits_column *c, float *y);
void VEC_NAME(nnd_f32_nbits_spread)(const nnd_nbits_column *c, float *y);
void VEC_NAME(nnd_f32_attention_row)(nnd_attention_row *row);

const nnd_kernel_set VEC_NAME(nnd_kernel_set) = {
    .isa = SET_ISA,
    .block = VLEN,
    .tile_rows = TILE_ROWS,
    .tile_vectors = TILE_VECTORS,
    .tile_planar = VEC_NAME(nnd_f32_tile_planar),
    .tile_blocked = VEC_NAME(nnd_f32_tile_blocked),
    .depthwise = {NULL, VEC_NAME(nnd_f32_depthwise_nchwc)},
    .winograd_input = VEC_NAME(nnd_f32_winograd_input),
    .winograd_output = VEC_NAME(nnd_f32_winograd_output),
    .lrn = VEC_NAME(nnd_f32_lrn_nchwc),
    .pool = {{VEC_NAME(nnd_f32_maxpool_nchw), VEC_NAME(nnd_f32_maxpool_nchwc)},
             {VEC_NAME(nnd_f32_avgpool_nchw), VEC_NAME(nnd_f32_avgpool_nchwc)}},
    .global_pool = {VEC_NAME(nnd_f32_globalpool_nchw), VEC_NAME(nnd_f32_globalpool_nchwc)},
    .act = VEC_NAME(nnd_f32_act),
    .unary = VEC_NAME(nnd_f32_unary),
    .binary = VEC_NAME(nnd_f32_binary),
    .binary_block = VEC_NAME(nnd_f32_binary_block),
    .scale_shift = VEC_NAME(nnd_f32_scale_shift),
    .scale_shift_block = VEC_NAME(nnd_f32_scale_shift_block),
    .softmax = VEC_NAME(nnd_f32_softmax),
    .layer_norm = VEC_NAME(nnd_f32_layernorm),
    .rms_norm = VEC_NAME(nnd_f32_rmsnorm),
    .reduce = VEC_NAME(nnd_f32_reduce),
    .to_nchwc = VEC_NAME(nnd_f32_to_nchwc),
    .to_nchw = VEC_NAME(nnd_f32_to_nchw),
    .mix_rows = VEC_NAME(nnd_f32_mix_rows),
    .mix_pixels = VEC_NAME(nnd_f32_mix_pixels),
    .every_second = VEC_NAME(nnd_f32_every_second),
    .transpose = VEC_NAME(nnd_f32_transpose),
    .f16_to_f32 = VEC_NAME(nnd_f16_to_f32),
    .f32_to_f16 = VEC_NAME(nnd_f32_to_f16),
    .bf16_to_f32 = VEC_NAME(nnd_bf16_to_f32),
    .f32_to_bf16 = VEC_NAME(nnd_f32_to_bf16),
    .nbits_dot = VEC_NAME(nnd_f32_nbits_dot),
    .nbits_spread = VEC_NAME(nnd_f32_nbits_spread),
    .attention_row = VEC_NAME(nnd_f32_attention_row),
};
