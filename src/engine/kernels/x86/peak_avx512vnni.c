#include <immintrin.h>

#include "engine/kernels/peak.h"

/* 64 multiply-adds by one instruction. */
double nnd_peak_int8_avx512vnni(size_t rounds)
{
    __m512i x = _mm512_set1_epi8((char)(1 + (int)nnd_peak_sink)), sum[NND_PEAK_SUMS];
    for (int k = 0; k < NND_PEAK_SUMS; k++)
        sum[k] = _mm512_setzero_si512();
    for (size_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int k = 0; k < NND_PEAK_SUMS; k++)
            sum[k] = _mm512_dpbusd_epi32(sum[k], x, x);
    }
    for (int k = 1; k < NND_PEAK_SUMS; k++)
        sum[0] = _mm512_add_epi32(sum[0], sum[k]);
    nnd_peak_sink = (float)_mm512_reduce_add_epi32(sum[0]) * 1e-20f;
    return 2.0 * 64 * NND_PEAK_SUMS * (double)rounds;
}
