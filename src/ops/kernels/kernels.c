#include "ops/kernels/kernels.h"

typedef struct table_entry {
    nnd_isa isa;
    const nnd_ops_kernels *kernels;
} table_entry;

/* Best first. */
static const table_entry tables[] = {
#if defined(__x86_64__) || defined(_M_X64)
    {NND_ISA_AVX512, &nnd_ops_kernels_avx512},
    {NND_ISA_AVX2, &nnd_ops_kernels_avx2},
#elif defined(__aarch64__)
    {NND_ISA_NEON, &nnd_ops_kernels_neon},
#endif
    {NND_ISA_REFERENCE, &nnd_ops_kernels_reference},
};

const nnd_ops_kernels *nnd_ops_kernels_get(void)
{
    const nnd_isa current = nnd_isa_current();
    size_t i = 0;
    while (tables[i].isa > current)
        i++;
    return tables[i].kernels;
}
