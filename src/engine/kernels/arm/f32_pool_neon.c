#include "engine/kernels/simd/vec_neon.h"

#include "engine/kernels/simd/f32_pool_body.h"
