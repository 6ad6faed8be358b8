/* The multiply-add loop of one vector form. */
#include "engine/kernels/peak.h"

double VEC_NAME(nnd_peak_f32)(size_t rounds)
{
    vf x = v_set1(0.999f + nnd_peak_sink * 1e-9f), y = v_set1(1e-3f), sum[NND_PEAK_SUMS];
    float lanes[VLEN];
    for (int k = 0; k < NND_PEAK_SUMS; k++)
        sum[k] = y;
    for (size_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int k = 0; k < NND_PEAK_SUMS; k++)
            sum[k] = v_fma(sum[k], x, y);
    }
    for (int k = 1; k < NND_PEAK_SUMS; k++)
        sum[0] = v_add(sum[0], sum[k]);
    v_store(lanes, sum[0]);
    nnd_peak_sink = lanes[0] * 1e-9f;
    return 2.0 * VLEN * NND_PEAK_SUMS * (double)rounds;
}
