/*
 * Kernel speed on one core: GEMM sizes and the convolution shapes of common nets, per ISA, against
 * the peak that an FMA loop reaches in the same run. Usage: bench_engine_kernels [isa] [filter]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/isa.h"
#include "engine/kernels/kernels.h"
#include "nndeploy/sched.h"

/* ---- measuring -------------------------------------------------------------------------- */

/* Best seconds per call of fn over repeated rounds of about 5 ms, 0.15 s in all. */
static double best_seconds(void (*fn)(void *), void *user)
{
    int64_t begin = nnd_clock_now(), calls = 1, best = INT64_MAX;
    fn(user);
    int64_t first = nnd_clock_now() - begin;
    if (first < 5000000) calls = 5000000 / (first + 1) + 1;
    int64_t stop = nnd_clock_now() + 150000000;
    int64_t best_calls = calls;
    do {
        int64_t t0 = nnd_clock_now();
        for (int64_t i = 0; i < calls; i++)
            fn(user);
        int64_t took = nnd_clock_now() - t0;
        if (took < best) best = took;
    } while (nnd_clock_now() < stop);
    return (double)best * 1e-9 / (double)best_calls;
}

static float *filled(size_t bytes)
{
    size_t n = bytes / sizeof(float) + 1;
    float *p = nnd_alloc_aligned(n * sizeof(float), NND_KERNEL_ALIGN);
    if (!p) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    for (size_t i = 0; i < n; i++)
        p[i] = (float)(i * 2654435761u % 1000u) / 500.0f - 1.0f;
    return p;
}

/* ---- peak ------------------------------------------------------------------------------- */

#define PEAK_ROUNDS 20000
#define PEAK_SUMS   12

static volatile float peak_sink;

/* PEAK_SUMS independent chains of vector multiply-adds, written with GCC's vector types so that the
   target attribute alone decides the instructions. */
#define PEAK_LOOP(name, attribute, bytes)                                                          \
    typedef float name##_vector __attribute__((vector_size(bytes)));                               \
    attribute static void name(void *user)                                                         \
    {                                                                                              \
        name##_vector sum[PEAK_SUMS], x, y;                                                        \
        (void)user;                                                                                \
        for (size_t i = 0; i < bytes / 4; i++)                                                     \
            x[i] = 0.999f + peak_sink * 1e-9f, y[i] = 1e-3f;                                       \
        for (int k = 0; k < PEAK_SUMS; k++)                                                        \
            sum[k] = y;                                                                            \
        for (int r = 0; r < PEAK_ROUNDS; r++) {                                                    \
            _Pragma("GCC unroll 12") for (int k = 0; k < PEAK_SUMS; k++) sum[k] = sum[k] * x + y;  \
        }                                                                                          \
        for (int k = 1; k < PEAK_SUMS; k++)                                                        \
            sum[0] += sum[k];                                                                      \
        peak_sink = sum[0][0] * 1e-9f;                                                             \
    }

/* The multiply-adds must be fused: clang does so within an expression, gcc is told. */
#if defined(__clang__)
#define PEAK_FUSED
#else
#define PEAK_FUSED __attribute__((optimize("fp-contract=fast")))
#endif

#if defined(__x86_64__)
PEAK_LOOP(peak_avx2, __attribute__((target("avx2,fma"))) PEAK_FUSED, 32)
PEAK_LOOP(peak_avx512, __attribute__((target("avx512f"))) PEAK_FUSED, 64)
#elif defined(__aarch64__)
PEAK_LOOP(peak_neon, PEAK_FUSED, 16)
#endif

/* GFLOP/s of the ISA's FMA units; 0 where there is no loop for it. */
static double peak(nnd_isa isa)
{
#if defined(__x86_64__)
    if (isa == NND_ISA_AVX512)
        return 2.0 * PEAK_ROUNDS * PEAK_SUMS * 16 / best_seconds(peak_avx512, NULL) * 1e-9;
    if (isa == NND_ISA_AVX2)
        return 2.0 * PEAK_ROUNDS * PEAK_SUMS * 8 / best_seconds(peak_avx2, NULL) * 1e-9;
#elif defined(__aarch64__)
    if (isa == NND_ISA_NEON)
        return 2.0 * PEAK_ROUNDS * PEAK_SUMS * 4 / best_seconds(peak_neon, NULL) * 1e-9;
#endif
    (void)isa;
    return 0.0;
}

static void report(const char *name, double flops, double seconds, double top)
{
    double speed = flops / seconds * 1e-9;
    printf("  %-44s %9.1f us %8.1f GFLOP/s", name, seconds * 1e6, speed);
    if (top > 0) printf("  %3.0f %% of peak", 100 * speed / top);
    printf("\n");
}

/* ---- GEMM ------------------------------------------------------------------------------- */

typedef struct gemm_job {
    nnd_gemm gemm;
    nnd_gemm_args args;
    void *scratch;
} gemm_job;

static void gemm_run(void *user)
{
    gemm_job *job = user;
    for (size_t i = 0; i < nnd_gemm_tiles(&job->gemm); i++)
        nnd_gemm_run_tile(&job->gemm, &job->args, i, job->scratch);
}

static void bench_gemm(int64_t m, int64_t n, int64_t k, double top)
{
    char name[64];
    nnd_gemm_desc d = {.m = m, .n = n, .k = k, .alpha = 1.0f};
    gemm_job job;
    if (nnd_gemm_plan(&d, &job.gemm) != NND_OK) exit(1);
    float *a = filled((size_t)(m * k) * 4), *b = filled((size_t)(n * k) * 4);
    float *packed = filled(nnd_gemm_packed_bytes(&job.gemm)), *c = filled((size_t)(m * n) * 4);
    nnd_gemm_pack_b(&job.gemm, b, packed);
    job.args = (nnd_gemm_args){.a = a, .packed_b = packed, .c = c};
    job.scratch = filled(nnd_gemm_lane_bytes(&job.gemm));
    snprintf(name, sizeof name, "gemm %" PRId64 "x%" PRId64 "x%" PRId64 " (%zu tiles)", m, n, k,
             nnd_gemm_tiles(&job.gemm));
    report(name, 2.0 * (double)m * (double)n * (double)k, best_seconds(gemm_run, &job), top);
    nnd_free_aligned(a);
    nnd_free_aligned(b);
    nnd_free_aligned(c);
    nnd_free_aligned(packed);
    nnd_free_aligned(job.scratch);
}

/* ---- convolution ------------------------------------------------------------------------ */

typedef struct conv_shape {
    const char *net;
    int64_t ic, size, oc, kernel, stride, groups;
    bool plain_in; /* the first layer reads NCHW also when the rest is blocked */
} conv_shape;

static const conv_shape conv_shapes[] = {
    {"mobilenet first", 3, 224, 32, 3, 2, 1, true},
    {"mobilenet pw", 32, 112, 64, 1, 1, 1, false},
    {"mobilenet pw", 128, 56, 128, 1, 1, 1, false},
    {"mobilenet pw", 256, 28, 256, 1, 1, 1, false},
    {"mobilenet pw", 512, 14, 512, 1, 1, 1, false},
    {"mobilenet pw", 1024, 7, 1024, 1, 1, 1, false},
    {"mobilenet_v2 expand", 24, 56, 144, 1, 1, 1, false},
    {"mobilenet_v2 project", 144, 56, 24, 1, 1, 1, false},
    {"mobilenet_v2 project", 96, 112, 16, 1, 1, 1, false},
    {"mobilenet dw", 32, 112, 32, 3, 1, 32, false},
    {"mobilenet dw s2", 64, 112, 64, 3, 2, 64, false},
    {"mobilenet dw", 512, 14, 512, 3, 1, 512, false},
    {"mobilenet_v3 dw 5x5", 240, 14, 240, 5, 1, 240, false},
    {"resnet first", 3, 224, 64, 7, 2, 1, true},
    {"resnet 3x3", 64, 56, 64, 3, 1, 1, false},
    {"resnet 3x3", 128, 28, 128, 3, 1, 1, false},
    {"resnet 3x3", 256, 14, 256, 3, 1, 1, false},
    {"resnet 3x3", 512, 7, 512, 3, 1, 1, false},
    {"resnet 3x3 s2", 128, 56, 128, 3, 2, 1, false},
    {"resnet 1x1", 64, 56, 256, 1, 1, 1, false},
    {"resnet 1x1", 256, 56, 64, 1, 1, 1, false},
    {"resnet 1x1 s2", 256, 56, 512, 1, 2, 1, false},
    {"resnet 1x1", 2048, 7, 512, 1, 1, 1, false},
    {"yolox 3x3", 32, 80, 32, 3, 1, 1, false},
    {"yolox 3x3", 64, 40, 64, 3, 1, 1, false},
    {"yolox 3x3", 96, 52, 96, 3, 1, 1, false},
    {"yolox 3x3", 128, 20, 128, 3, 1, 1, false},
    {"yolox dw 5x5", 64, 52, 64, 5, 1, 64, false},
    {"classifier", 1280, 1, 1000, 1, 1, 1, false},
};

typedef struct conv_job {
    nnd_conv *conv;
    nnd_conv_args args;
    void *scratch;
} conv_job;

static void conv_run(void *user)
{
    conv_job *job = user;
    for (int stage = 0; stage < nnd_conv_stages(job->conv); stage++) {
        for (size_t i = 0; i < nnd_conv_tiles(job->conv, stage); i++)
            nnd_conv_run_tile(job->conv, &job->args, stage, i, job->scratch);
    }
}

static void bench_conv(const conv_shape *s, nnd_kernel_layout layout, double top)
{
    char name[96];
    int64_t pad = s->kernel / 2;
    nnd_conv_desc d = {.batch = 1,
                       .in_channels = s->ic,
                       .in_h = s->size,
                       .in_w = s->size,
                       .out_channels = s->oc,
                       .groups = s->groups,
                       .kernel_h = s->kernel,
                       .kernel_w = s->kernel,
                       .stride_h = s->stride,
                       .stride_w = s->stride,
                       .dilation_h = 1,
                       .dilation_w = 1,
                       .pad_top = pad,
                       .pad_left = pad,
                       .pad_bottom = pad,
                       .pad_right = pad,
                       .in_layout = s->plain_in ? NND_KERNEL_NCHW : layout,
                       .out_layout = layout,
                       .act = {NND_ACT_RELU, 0.0f, 0.0f}};
    conv_job job = {0};
    if (nnd_conv_create(&d, NND_CONV_AUTO, &job.conv) != NND_OK) exit(1);
    size_t pixels_in = (size_t)(s->size * s->size);
    size_t pixels_out = (size_t)(nnd_conv_out_h(job.conv) * nnd_conv_out_w(job.conv));
    float *x = filled(nnd_kernel_elements(NND_KERNEL_NCHWC, 1, (size_t)s->ic, pixels_in) * 4);
    float *y = filled(nnd_kernel_elements(NND_KERNEL_NCHWC, 1, (size_t)s->oc, pixels_out) * 4);
    float *w = filled((size_t)(s->oc * s->ic / s->groups * s->kernel * s->kernel) * 4);
    float *packed = filled(nnd_conv_packed_bytes(job.conv));
    nnd_conv_pack(job.conv, w, NULL, packed);
    job.args = (nnd_conv_args){.x = x, .packed = packed, .y = y};
    job.scratch = filled(nnd_conv_lane_bytes(job.conv));
    snprintf(name, sizeof name, "%s %s %" PRId64 "x%" PRId64 " %" PRId64 " (%zu)",
             layout == NND_KERNEL_NCHW ? "nchw " : "nchwc", s->net, s->ic, s->size, s->oc,
             nnd_conv_tiles(job.conv, 0));
    report(name, nnd_conv_flops(job.conv), best_seconds(conv_run, &job), top);
    nnd_conv_destroy(job.conv);
    nnd_free_aligned(x);
    nnd_free_aligned(y);
    nnd_free_aligned(w);
    nnd_free_aligned(packed);
    nnd_free_aligned(job.scratch);
}

/* ---- element-wise ------------------------------------------------------------------------ */

#define ROW 8192

typedef struct act_job {
    nnd_act act;
    float *x, *y;
} act_job;

static void act_run(void *user)
{
    act_job *job = user;
    nnd_act_apply(&job->act, job->x, job->y, ROW);
}

static void bench_activations(void)
{
    static const char *const names[NND_ACT_COUNT] = {
        "none",         "relu",       "clip", "leaky relu", "sigmoid", "tanh",     "silu",
        "hard sigmoid", "hard swish", "gelu", "gelu tanh",  "elu",     "softplus", "mish"};
    act_job job = {{NND_ACT_NONE, 0.1f, 0.5f}, filled(ROW * 4), filled(ROW * 4)};
    for (int kind = NND_ACT_RELU; kind < NND_ACT_COUNT; kind++) {
        job.act.kind = (nnd_act_kind)kind;
        printf("  %-44s %9.2f ns per element\n", names[kind],
               best_seconds(act_run, &job) / ROW * 1e9);
    }
    nnd_free_aligned(job.x);
    nnd_free_aligned(job.y);
}

static void bench_isa(nnd_isa isa, const char *filter)
{
    static const int64_t gemms[][3] = {{64, 64, 64},     {128, 128, 128},    {256, 256, 256},
                                       {512, 512, 512},  {1024, 1024, 1024}, {1, 1000, 1280},
                                       {1, 4096, 4096},  {8, 768, 768},      {197, 768, 768},
                                       {197, 3072, 768}, {384, 384, 64}};
    double top = peak(isa);
    printf("%s: peak %.1f GFLOP/s\n", nnd_isa_name(isa), top);
    for (size_t i = 0; i < NND_COUNT(gemms) && (!filter || strstr("gemm", filter)); i++)
        bench_gemm(gemms[i][0], gemms[i][1], gemms[i][2], top);
    for (size_t i = 0; i < NND_COUNT(conv_shapes); i++) {
        if (filter && !strstr(conv_shapes[i].net, filter)) continue;
        bench_conv(&conv_shapes[i], NND_KERNEL_NCHWC, top);
        bench_conv(&conv_shapes[i], NND_KERNEL_NCHW, top);
    }
    if (!filter || strstr("activations", filter)) bench_activations();
}

int main(int argc, char **argv)
{
    static const nnd_isa levels[] = {NND_ISA_AVX512, NND_ISA_AVX2, NND_ISA_NEON};
    for (size_t i = 0; i < NND_COUNT(levels); i++) {
        if (!nnd_isa_has(levels[i])) continue;
        if (argc > 1 && strcmp(argv[1], nnd_isa_name(levels[i])) != 0) continue;
        if (nnd_isa_force(levels[i]) != NND_OK) return 1;
        bench_isa(levels[i], argc > 2 ? argv[2] : NULL);
    }
    return 0;
}
