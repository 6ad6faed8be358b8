#include "engine/kernels/peak.h"

#include "base/isa.h"

_Thread_local volatile float nnd_peak_sink;

typedef struct peak_row {
    nnd_isa isa;
    nnd_peak_fn fn;
} peak_row;

/* Best first. */
static const peak_row f32_loops[] = {
#if defined(__x86_64__)
    {NND_ISA_AVX512, nnd_peak_f32_avx512},
    {NND_ISA_AVX2, nnd_peak_f32_avx2},
#elif defined(__aarch64__)
    {NND_ISA_NEON, nnd_peak_f32_neon},
#endif
    {NND_ISA_REFERENCE, nnd_peak_f32_reference},
};

static const peak_row int8_loops[] = {
#if defined(__x86_64__)
    {NND_ISA_AVX512VNNI, nnd_peak_int8_avx512vnni},
    {NND_ISA_AVX512, nnd_peak_int8_avx512},
    {NND_ISA_AVX2, nnd_peak_int8_avx2},
#elif defined(__aarch64__)
    {NND_ISA_NEON, nnd_peak_int8_neon},
#endif
    {NND_ISA_REFERENCE, nnd_peak_int8_reference},
};

static double run_best(const peak_row *rows, size_t rounds)
{
    while (!nnd_isa_has(rows->isa))
        rows++;
    return rows->fn(rounds);
}

double nnd_peak_f32(size_t rounds)
{
    return run_best(f32_loops, rounds);
}

double nnd_peak_int8(size_t rounds)
{
    return run_best(int8_loops, rounds);
}
