/* Processor features: CPUID with XGETBV on x86, the auxiliary vector on arm Linux. */
#include "port/internal.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)

#include <cpuid.h>

/* What the operating system saves on a context switch; a feature without it must not be used. */
static uint64_t enabled_states(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((uint64_t)high << 32) | low;
}

void nnd_port_cpu_query(nnd_port_cpu *out)
{
    unsigned a, b, c, d;
    memset(out, 0, sizeof(*out));
    if (!__get_cpuid(1, &a, &b, &c, &d)) return;
    out->sse41 = (c >> 19) & 1;
    bool osxsave = (c >> 27) & 1;
    uint64_t states = osxsave ? enabled_states() : 0;
    bool ymm = (states & 0x06) == 0x06;
    bool zmm = ymm && (states & 0xe0) == 0xe0;
    out->avx = ymm && ((c >> 28) & 1);
    out->fma = out->avx && ((c >> 12) & 1);
    out->f16c = out->avx && ((c >> 29) & 1);
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    out->avx2 = out->avx && ((b >> 5) & 1);
    out->avx512f = zmm && ((b >> 16) & 1);
    out->avx512dq = out->avx512f && ((b >> 17) & 1);
    out->avx512bw = out->avx512f && ((b >> 30) & 1);
    out->avx512vl = out->avx512f && ((b >> 31) & 1);
    out->avx512vnni = out->avx512f && ((c >> 11) & 1);
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
        out->avx512bf16 = out->avx512f && ((a >> 5) & 1);
}

/* The brand string lies in three leaves of four registers, padded with blanks on either side. */
static void read_name(char *name, size_t size)
{
    const unsigned first = 0x80000002u;
    unsigned words[13] = {0};
    for (unsigned i = 0; i < 3; i++) {
        unsigned *w = words + 4 * i;
        if (!__get_cpuid(first + i, &w[0], &w[1], &w[2], &w[3])) return;
    }
    snprintf(name, size, "%s", (const char *)words);
}

#elif defined(__aarch64__)

#if defined(__linux__)
#include <sys/auxv.h>
/* Bit numbers of AT_HWCAP and AT_HWCAP2 in the arm64 Linux ABI. */
enum { HWCAP_BIT_ASIMDHP = 10, HWCAP_BIT_ASIMDDP = 20, HWCAP_BIT_SVE = 22 };
enum { HWCAP2_BIT_I8MM = 13, HWCAP2_BIT_BF16 = 14 };
#endif

void nnd_port_cpu_query(nnd_port_cpu *out)
{
    memset(out, 0, sizeof(*out));
    out->neon = true; /* part of the base architecture */
#if defined(__linux__)
    unsigned long caps = getauxval(AT_HWCAP), caps2 = getauxval(AT_HWCAP2);
    out->neon_fp16 = (caps >> HWCAP_BIT_ASIMDHP) & 1;
    out->neon_dotprod = (caps >> HWCAP_BIT_ASIMDDP) & 1;
    out->sve = (caps >> HWCAP_BIT_SVE) & 1;
    out->neon_i8mm = (caps2 >> HWCAP2_BIT_I8MM) & 1;
    out->neon_bf16 = (caps2 >> HWCAP2_BIT_BF16) & 1;
#elif defined(__APPLE__)
    out->neon_fp16 = out->neon_dotprod = true; /* every Apple silicon since the A11/M1 */
#endif
}

/* Implementer and part of the first core: the kernel has no better name for it. */
static void read_name(char *name, size_t size)
{
    char line[256], implementer[16] = "", part[16] = "";
    FILE *file = NULL;
    if (nnd_port_file_open("/proc/cpuinfo", "r", &file)) return;
    while (!part[0] && fgets(line, sizeof line, file)) {
        sscanf(line, "CPU implementer : %15s", implementer);
        sscanf(line, "CPU part : %15s", part);
    }
    fclose(file);
    snprintf(name, size, "arm %s %s", implementer, part);
}

#else

void nnd_port_cpu_query(nnd_port_cpu *out)
{
    memset(out, 0, sizeof(*out));
#if defined(__ARM_NEON)
    out->neon = true;
#endif
}

static void read_name(char *name, size_t size)
{
    (void)name, (void)size;
}

#endif

const char *nnd_port_cpu_name(char *name, size_t size)
{
    if (!size) return name;
    name[0] = '\0';
    read_name(name, size);
    size_t first = strspn(name, " "), n = strlen(name);
    while (n > first && name[n - 1] == ' ')
        n--;
    memmove(name, name + first, n - first);
    name[n - first] = '\0';
    return name;
}
