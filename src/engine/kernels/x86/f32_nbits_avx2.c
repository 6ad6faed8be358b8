#include "engine/kernels/simd/vec_avx2.h"

#include "engine/kernels/simd/f32_nbits_body.h"
