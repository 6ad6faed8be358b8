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

#define DEPTHWISE_QUADS
/* The neighbours of four outputs. */
static inline vi vi_quad(vi sums, const uint8_t *x, int32_t weights, int64_t step)
{
    static const uint8_t apart[2][16] = {{0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6},
                                         {0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 6, 7, 8, 9}};
    uint8x16_t v = vqtbl1q_u8(vld1q_u8(x), vld1q_u8(apart[step - 1]));
    int8x16_t less = vreinterpretq_s8_u8(veorq_u8(v, vdupq_n_u8(0x80)));
    return vdotq_s32(sums, less, vreinterpretq_s8_s32(vdupq_n_s32(weights)));
}

#include "engine/kernels/simd/int8_body.h"
