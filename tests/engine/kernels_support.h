/* Shared by the kernel tests: random shapes and data, guarded arrays, every ISA of the machine. */
#ifndef NND_TESTS_ENGINE_KERNELS_SUPPORT_H
#define NND_TESTS_ENGINE_KERNELS_SUPPORT_H

#include "support/test.h"

#include <math.h>

#include "base/isa.h"
#include "engine/kernels/kernels.h"
#include "nndeploy/sched.h"

/* ---- extent ------------------------------------------------------------------------------ */

/* How many random problems a test tries: n, or a part of them where an emulator is about thirty
   times slower. What a test lists one by one is tried everywhere. */
#ifdef NND_TEST_LITE
#define ROUNDS(n) (((n) + 5) / 6)
#else
#define ROUNDS(n) (n)
#endif

/* ---- random numbers --------------------------------------------------------------------- */

static uint64_t rng_state = 88172645463325252u;

static inline uint32_t rng_next(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return (uint32_t)(rng_state >> 32);
}

/* In [low, high]. */
static inline int64_t rng_int(int64_t low, int64_t high)
{
    return low + (int64_t)(rng_next() % (uint64_t)(high - low + 1));
}

static inline float rng_float(float low, float high)
{
    return low + (high - low) * ((float)rng_next() * 0x1p-32f);
}

/* ---- guarded arrays ---------------------------------------------------------------------- */

/* Data between two guards that must not change; it starts off the natural vector alignment. */
#define GUARD       67
#define GUARD_VALUE -12345.75f

typedef struct guarded {
    float *block, *data;
    size_t n;
} guarded;

static inline guarded guarded_make(size_t n)
{
    guarded g = {nnd_alloc((n + 2 * GUARD) * sizeof(float)), NULL, n};
    assert_non_null(g.block);
    for (size_t i = 0; i < n + 2 * GUARD; i++)
        g.block[i] = GUARD_VALUE;
    g.data = g.block + GUARD;
    return g;
}

static inline guarded guarded_random(size_t n, float low, float high)
{
    guarded g = guarded_make(n);
    for (size_t i = 0; i < n; i++)
        g.data[i] = rng_float(low, high);
    return g;
}

static inline void guarded_check(const guarded *g)
{
    for (size_t i = 0; i < GUARD; i++) {
        assert_true(g->block[i] == GUARD_VALUE);
        assert_true(g->data[g->n + i] == GUARD_VALUE);
    }
}

static inline void guarded_free(guarded *g)
{
    guarded_check(g);
    nnd_free(g->block);
}

/* ---- ISAs -------------------------------------------------------------------------------- */

/* Runs body(isa) under every kernel level that this machine has, the reference first. */
static inline void each_isa(void (*body)(nnd_isa isa))
{
    static const nnd_isa levels[] = {NND_ISA_REFERENCE, NND_ISA_AVX2, NND_ISA_AVX512, NND_ISA_NEON};
    for (size_t i = 0; i < NND_COUNT(levels); i++) {
        if (!nnd_isa_has(levels[i])) continue;
        assert_ok(nnd_isa_force(levels[i]));
        body(levels[i]);
        assert_ok(nnd_isa_force(nnd_isa_detected()));
    }
}

/* ---- comparison -------------------------------------------------------------------------- */

/* Distance in units of the last place of the (exact) expected value. */
static inline double ulp_error(float got, double expected)
{
    if (isnan(expected)) return isnan(got) ? 0.0 : INFINITY;
    float rounded = (float)expected;
    if (got == rounded) return 0.0;
    if (isinf(rounded) || isinf(got) || isnan(got)) return INFINITY;
    int exponent;
    frexp(expected, &exponent);
    double ulp = ldexp(1.0, exponent - 24 < -149 ? -149 : exponent - 24);
    return fabs((double)got - expected) / ulp;
}

/* Activations in double precision, by their definitions. */
static inline double exact_act(const nnd_act *act, double x)
{
    double plus = x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    switch (act->kind) {
    case NND_ACT_RELU:
        return x < 0 ? 0 : x;
    case NND_ACT_CLIP:
        return fmin(fmax(x, act->alpha), act->beta);
    case NND_ACT_LEAKY_RELU:
        return x < 0 ? act->alpha * x : x;
    case NND_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case NND_ACT_TANH:
        return tanh(x);
    case NND_ACT_SILU:
        return x / (1 + exp(-(double)act->alpha * x));
    case NND_ACT_HARD_SIGMOID:
        return fmin(fmax(act->alpha * x + act->beta, 0), 1);
    case NND_ACT_HARD_SWISH:
        return x * fmin(fmax(x / 6 + 0.5, 0), 1);
    case NND_ACT_GELU:
        return 0.5 * x * (1 + erf(x / sqrt(2.0)));
    case NND_ACT_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    case NND_ACT_ELU:
        return x < 0 ? act->alpha * expm1(x) : x;
    case NND_ACT_SOFTPLUS:
        return plus;
    case NND_ACT_MISH:
        return x * tanh(plus);
    default:
        return x;
    }
}

/* A random activation with sensible parameters; about a third of the time none. */
static inline nnd_act random_act(void)
{
    nnd_act act = {NND_ACT_NONE, 0.0f, 0.0f};
    if (rng_int(0, 2) == 0) return act;
    act.kind = (nnd_act_kind)rng_int(0, NND_ACT_COUNT - 1);
    act.alpha = 0.2f;
    act.beta = 0.5f;
    if (act.kind == NND_ACT_CLIP) act.alpha = -0.5f;
    return act;
}

/* How much an activation may enlarge an error of its argument (GELU, SiLU, mish: below 1.2). */
#define ACT_SLOPE 1.2
/* What the activation adds by itself, relative to max(1, |result|). */
#define ACT_ERROR 1e-6

static inline void *aligned_scratch(size_t bytes)
{
    void *p = nnd_alloc_aligned(bytes ? bytes : NND_KERNEL_ALIGN, NND_KERNEL_ALIGN);
    assert_non_null(p);
    memset(p, 0xff, bytes); /* NaN: scratch must not be read before it is written */
    return p;
}

/* ---- threads ----------------------------------------------------------------------------- */

/* Per-lane scratch for up to MAX_LANES threads. */
#define MAX_LANES 4
typedef struct lanes {
    void *scratch[MAX_LANES];
} lanes;

static inline lanes lanes_make(size_t bytes)
{
    lanes l;
    for (int i = 0; i < MAX_LANES; i++)
        l.scratch[i] = aligned_scratch(bytes);
    return l;
}

static inline void lanes_free(lanes *l)
{
    for (int i = 0; i < MAX_LANES; i++)
        nnd_free_aligned(l->scratch[i]);
}

#endif
