#include "engine/kernels/reference/reference.h"
#include "engine/kernels/sets.h"

const nnd_kernel_set nnd_kernel_set_reference = {
    .isa = NND_ISA_REFERENCE,
    .block = NND_REFERENCE_BLOCK,
    .depthwise = {nnd_f32_depthwise_nchw_reference, nnd_f32_depthwise_nchwc_reference},
    .pool = {{nnd_f32_maxpool_nchw_reference, nnd_f32_maxpool_nchwc_reference},
             {nnd_f32_avgpool_nchw_reference, nnd_f32_avgpool_nchwc_reference}},
    .global_pool = {nnd_f32_globalpool_nchw_reference, nnd_f32_globalpool_nchwc_reference},
    .act = nnd_f32_act_reference,
    .unary = nnd_f32_unary_reference,
    .binary = nnd_f32_binary_reference,
    .binary_block = nnd_f32_binary_block_reference,
    .scale_shift = nnd_f32_scale_shift_reference,
    .scale_shift_block = nnd_f32_scale_shift_block_reference,
    .softmax = nnd_f32_softmax_reference,
    .layer_norm = nnd_f32_layernorm_reference,
    .rms_norm = nnd_f32_rmsnorm_reference,
    .reduce = nnd_f32_reduce_reference,
    .to_nchwc = nnd_f32_to_nchwc_reference,
    .to_nchw = nnd_f32_to_nchw_reference,
    .transpose = nnd_f32_transpose_reference,
    .f16_to_f32 = nnd_f16_to_f32_reference,
    .f32_to_f16 = nnd_f32_to_f16_reference,
    .bf16_to_f32 = nnd_bf16_to_f32_reference,
    .f32_to_bf16 = nnd_f32_to_bf16_reference,
    .nbits_dot = nnd_f32_nbits_dot_reference,
};
