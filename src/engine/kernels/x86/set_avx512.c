#include "engine/kernels/simd/vec_avx512.h"

#define SET_ISA NND_ISA_AVX512
#include "engine/kernels/simd/set_body.h"
