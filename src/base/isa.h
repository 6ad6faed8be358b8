/*
 * Instruction-set dispatch for ops and engine: what the machine has, and what NNDEPLOY_ISA or a
 * test forces. A kernel table is asked for the best entry not above nnd_isa_current().
 */
#ifndef NND_BASE_ISA_H
#define NND_BASE_ISA_H

#include "nndeploy/base.h"

typedef enum nnd_isa {
    NND_ISA_REFERENCE = 0, /* plain C */
    NND_ISA_SSE41 = 1,
    NND_ISA_AVX2 = 2,   /* AVX2 + FMA + F16C */
    NND_ISA_AVX512 = 3, /* F, BW, DQ, VL */
    NND_ISA_AVX512VNNI = 4,
    NND_ISA_AVX512BF16 = 5,
    NND_ISA_NEON = 16,
    NND_ISA_NEON_DOTPROD = 17,
    NND_ISA_NEON_FP16 = 18,
    NND_ISA_NEON_BF16 = 19
} nnd_isa;

/* The best level this machine has and the operating system enables. */
nnd_isa nnd_isa_detected(void);
/* The level in force: the detected one, lowered by NNDEPLOY_ISA=reference|sse41|avx2|avx512|
   avx512vnni|avx512bf16|neon|… or nnd_isa_force. Read when a plan or kernel table is made. */
nnd_isa nnd_isa_current(void);
/* Lowers (or restores, with nnd_isa_detected()) the level for the process; for tests.
   NND_E_UNSUPPORTED above what the machine has. */
nnd_status nnd_isa_force(nnd_isa isa);
/* True when code of that level may run now. */
bool nnd_isa_has(nnd_isa isa);
const char *nnd_isa_name(nnd_isa isa);
nnd_status nnd_isa_from_name(const char *name, nnd_isa *out);

#endif
