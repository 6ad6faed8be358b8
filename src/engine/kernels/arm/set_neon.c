#include "engine/kernels/simd/vec_neon.h"

#define SET_ISA NND_ISA_NEON
#include "engine/kernels/simd/set_body.h"
