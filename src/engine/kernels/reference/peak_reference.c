/* Plain C: what the compiler makes of it for every machine of the family. */
#include <stdint.h>

#include "engine/kernels/peak.h"

double nnd_peak_f32_reference(size_t rounds)
{
    float x = 0.999f + nnd_peak_sink * 1e-9f, total = 0;
    float sum[4 * NND_PEAK_SUMS] = {0};
    for (size_t r = 0; r < rounds; r++)
        for (int k = 0; k < 4 * NND_PEAK_SUMS; k++)
            sum[k] = sum[k] * x + 1e-3f;
    for (int k = 0; k < 4 * NND_PEAK_SUMS; k++)
        total += sum[k];
    nnd_peak_sink = total * 1e-9f;
    return 2.0 * 4 * NND_PEAK_SUMS * (double)rounds;
}

double nnd_peak_int8_reference(size_t rounds)
{
    int8_t x[16];
    uint32_t sum[16] = {0}, total = 0;
    for (int k = 0; k < 16; k++)
        x[k] = (int8_t)(k - 8);
    for (size_t r = 0; r < rounds; r++) {
        int32_t y = (int32_t)(r % 256) - 128;
        for (int k = 0; k < 16; k++)
            sum[k] += (uint32_t)(x[k] * y);
    }
    for (int k = 0; k < 16; k++)
        total += sum[k];
    nnd_peak_sink = (float)total * 1e-9f;
    return 2.0 * 16 * (double)rounds;
}
