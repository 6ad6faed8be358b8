/* i8 vectors × i8 rows by widening products; pairs of them are summed in 32 bits. */
#include "engine/kernels/simd/int8_vec_neon.h"

#define ROWS     4
#define SET_ISA  NND_ISA_NEON
#define SET_NAME nnd_int8_set_neon

/* Two sums per column, which va_total brings together. */
typedef struct va {
    int32x4_t low, high;
} va;
static inline va va_zero(void)
{
    return (va){vdupq_n_s32(0), vdupq_n_s32(0)};
}
static inline va va_dot(va sums, vx x, vb row)
{
    sums.low = vpadalq_s16(sums.low, vmull_s8(vget_low_s8(x), vget_low_s8(row)));
    sums.high = vpadalq_s16(sums.high, vmull_high_s8(x, row));
    return sums;
}
static inline vi va_total(va sums)
{
    return vpaddq_s32(sums.low, sums.high);
}

#include "engine/kernels/simd/int8_body.h"
