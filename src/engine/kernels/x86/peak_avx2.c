#include "engine/kernels/simd/vec_avx2.h"

#include "engine/kernels/simd/peak_body.h"

/* Pairs to 16 bits, pairs of those to 32, added: 32 multiply-adds by three instructions. */
double nnd_peak_int8_avx2(size_t rounds)
{
    __m256i x = _mm256_set1_epi8((char)(1 + (int)nnd_peak_sink)), y = x;
    __m256i ones = _mm256_set1_epi16(1), sum[NND_PEAK_SUMS];
    for (int k = 0; k < NND_PEAK_SUMS; k++)
        sum[k] = _mm256_setzero_si256();
    for (size_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int k = 0; k < NND_PEAK_SUMS; k++) {
            NND_PEAK_TOUCH("x", x);
            __m256i pairs = _mm256_madd_epi16(_mm256_maddubs_epi16(x, y), ones);
            sum[k] = _mm256_add_epi32(sum[k], pairs);
        }
    }
    for (int k = 1; k < NND_PEAK_SUMS; k++)
        sum[0] = _mm256_add_epi32(sum[0], sum[k]);
    nnd_peak_sink = (float)_mm256_extract_epi32(sum[0], 0) * 1e-20f;
    return 2.0 * 32 * NND_PEAK_SUMS * (double)rounds;
}
