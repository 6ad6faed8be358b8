#include "engine/kernels/simd/vec_avx2.h"

#include "engine/kernels/simd/f32_pool_body.h"
