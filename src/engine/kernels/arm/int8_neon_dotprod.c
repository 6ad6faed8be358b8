/* i8 vectors × i8 rows by the dot product instruction. */
#include "engine/kernels/simd/int8_vec_neon.h"

#define ROWS     8
#define SET_ISA  NND_ISA_NEON_DOTPROD
#define SET_NAME nnd_int8_set_neon_dotprod

typedef int32x4_t va;
static inline va va_zero(void)
{
    return vdupq_n_s32(0);
}
static inline va va_dot(va sums, vx x, vb row)
{
    return vdotq_s32(sums, x, row);
}
static inline vi va_total(va sums)
{
    return sums;
}

#include "engine/kernels/simd/int8_body.h"
