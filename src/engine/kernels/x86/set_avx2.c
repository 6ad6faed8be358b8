#include "engine/kernels/simd/vec_avx2.h"

#define SET_ISA NND_ISA_AVX2
#include "engine/kernels/simd/set_body.h"
