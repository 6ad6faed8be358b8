#include "engine/kernels/simd/vec_neon.h"

#include "engine/kernels/simd/f32_nbits_body.h"
