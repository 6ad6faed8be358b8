#include "engine/kernels/simd/vec_avx512.h"

#include "engine/kernels/simd/peak_body.h"

/* As with AVX2, on vectors of 64 bytes. */
double nnd_peak_int8_avx512(size_t rounds)
{
    __m512i x = _mm512_set1_epi8((char)(1 + (int)nnd_peak_sink)), y = x;
    __m512i ones = _mm512_set1_epi16(1), sum[NND_PEAK_SUMS];
    for (int k = 0; k < NND_PEAK_SUMS; k++)
        sum[k] = _mm512_setzero_si512();
    for (size_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int k = 0; k < NND_PEAK_SUMS; k++) {
            NND_PEAK_TOUCH("v", x);
            __m512i pairs = _mm512_madd_epi16(_mm512_maddubs_epi16(x, y), ones);
            sum[k] = _mm512_add_epi32(sum[k], pairs);
        }
    }
    for (int k = 1; k < NND_PEAK_SUMS; k++)
        sum[0] = _mm512_add_epi32(sum[0], sum[k]);
    nnd_peak_sink = (float)_mm512_reduce_add_epi32(sum[0]) * 1e-20f;
    return 2.0 * 64 * NND_PEAK_SUMS * (double)rounds;
}
