#include "engine/kernels/simd/vec_neon.h"

#include "engine/kernels/simd/f32_attention_body.h"
