#include "engine/kernels/simd/vec_neon.h"

#include "engine/kernels/simd/peak_body.h"

/* Products of 16 bits, pairs of which are added to 32: 16 multiply-adds by three instructions. */
double nnd_peak_int8_neon(size_t rounds)
{
    int8x16_t x = vdupq_n_s8((int8_t)(1 + (int)nnd_peak_sink));
    int32x4_t sum[NND_PEAK_SUMS];
    for (int k = 0; k < NND_PEAK_SUMS; k++)
        sum[k] = vdupq_n_s32(0);
    for (size_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int k = 0; k < NND_PEAK_SUMS; k++) {
            NND_PEAK_TOUCH("w", x);
            int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(x));
            int16x8_t both = vmlal_s8(low, vget_high_s8(x), vget_high_s8(x));
            sum[k] = vpadalq_s16(sum[k], both);
        }
    }
    for (int k = 1; k < NND_PEAK_SUMS; k++)
        sum[0] = vaddq_s32(sum[0], sum[k]);
    nnd_peak_sink = (float)vgetq_lane_s32(sum[0], 0) * 1e-20f;
    return 2.0 * 16 * NND_PEAK_SUMS * (double)rounds;
}
