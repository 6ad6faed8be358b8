#include "base/isa.h"

#include <stdatomic.h>
#include <string.h>

#include "base/str.h"
#include "port/port.h"

static const struct {
    nnd_isa isa;
    const char *name;
} names[] = {
    {NND_ISA_REFERENCE, "reference"},
    {NND_ISA_SSE41, "sse41"},
    {NND_ISA_AVX2, "avx2"},
    {NND_ISA_AVX512, "avx512"},
    {NND_ISA_AVX512VNNI, "avx512vnni"},
    {NND_ISA_AVX512BF16, "avx512bf16"},
    {NND_ISA_NEON, "neon"},
    {NND_ISA_NEON_DOTPROD, "neon_dotprod"},
    {NND_ISA_NEON_FP16, "neon_fp16"},
    {NND_ISA_NEON_BF16, "neon_bf16"},
};

static nnd_port_once once = NND_PORT_ONCE_INIT;
static nnd_isa detected;
static atomic_int current;

/* Levels build on each other, so a level counts only when all below it are there. */
static nnd_isa detect_x86(const nnd_port_cpu *cpu)
{
    if (!cpu->sse41) return NND_ISA_REFERENCE;
    if (!(cpu->avx2 && cpu->fma && cpu->f16c)) return NND_ISA_SSE41;
    if (!(cpu->avx512f && cpu->avx512bw && cpu->avx512dq && cpu->avx512vl)) return NND_ISA_AVX2;
    if (!cpu->avx512vnni) return NND_ISA_AVX512;
    return cpu->avx512bf16 ? NND_ISA_AVX512BF16 : NND_ISA_AVX512VNNI;
}

static nnd_isa detect_arm(const nnd_port_cpu *cpu)
{
    if (!cpu->neon) return NND_ISA_REFERENCE;
    if (!cpu->neon_dotprod) return NND_ISA_NEON;
    if (!cpu->neon_fp16) return NND_ISA_NEON_DOTPROD;
    return cpu->neon_bf16 ? NND_ISA_NEON_BF16 : NND_ISA_NEON_FP16;
}

/* Whether a machine whose best level is `best` can run `isa`: reference always, else the same
   family and not above. */
static bool covers(nnd_isa best, nnd_isa isa)
{
    if (isa == NND_ISA_REFERENCE) return true;
    return (best >= NND_ISA_NEON) == (isa >= NND_ISA_NEON) && isa <= best;
}

static void start(void)
{
    nnd_port_cpu cpu;
    nnd_port_cpu_query(&cpu);
    detected = cpu.neon ? detect_arm(&cpu) : detect_x86(&cpu);
    nnd_isa wanted = detected;
    char text[24];
    if (nnd_port_env_copy("NNDEPLOY_ISA", text, sizeof(text))) {
        nnd_isa asked;
        if (nnd_isa_from_name(text, &asked) != NND_OK) {
            nnd_error_clear();
            nnd_log(NND_LOG_WARN, "base", "NNDEPLOY_ISA='%s' is no instruction set; ignored", text);
        } else if (!covers(detected, asked)) {
            nnd_log(NND_LOG_WARN, "base", "NNDEPLOY_ISA=%s: this machine has %s only; ignored",
                    text, nnd_isa_name(detected));
        } else {
            wanted = asked;
        }
    }
    atomic_store(&current, (int)wanted);
}

nnd_isa nnd_isa_detected(void)
{
    nnd_port_once_run(&once, start);
    return detected;
}

nnd_isa nnd_isa_current(void)
{
    nnd_port_once_run(&once, start);
    return (nnd_isa)atomic_load(&current);
}

nnd_status nnd_isa_force(nnd_isa isa)
{
    nnd_isa best = nnd_isa_detected();
    if (!covers(best, isa))
        return nnd_error_set(NND_E_UNSUPPORTED, "this machine cannot run %s code, its best is %s",
                             nnd_isa_name(isa), nnd_isa_name(best));
    atomic_store(&current, (int)isa);
    return NND_OK;
}

bool nnd_isa_has(nnd_isa isa)
{
    return covers(nnd_isa_current(), isa);
}

const char *nnd_isa_name(nnd_isa isa)
{
    for (size_t i = 0; i < NND_COUNT(names); i++)
        if (names[i].isa == isa) return names[i].name;
    return "unknown";
}

nnd_status nnd_isa_from_name(const char *name, nnd_isa *out)
{
    for (size_t i = 0; i < NND_COUNT(names); i++) {
        if (strcmp(names[i].name, name) != 0) continue;
        *out = names[i].isa;
        return NND_OK;
    }
    nnd_suggest near;
    nnd_suggest_begin(&near, name);
    for (size_t i = 0; i < NND_COUNT(names); i++)
        nnd_suggest_offer(&near, names[i].name);
    return nnd_error_set(NND_E_NOT_FOUND, "unknown instruction set '%s'%s%s%s", name,
                         near.best ? "; did you mean '" : "", near.best ? near.best : "",
                         near.best ? "'?" : "");
}
