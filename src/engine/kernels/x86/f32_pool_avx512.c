#include "engine/kernels/simd/vec_avx512.h"

#include "engine/kernels/simd/f32_pool_body.h"
