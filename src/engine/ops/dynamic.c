/* Plans and runs of products that make bytes of their floats: codes, rows packed, sums, floats. */
#include "engine/ops/dynamic.h"

/* Small products end sooner than help arrives. */
#define WORTH_HELP (1 << 18)

static size_t take(size_t *total, size_t bytes)
{
    size_t at = *total;
    *total += (bytes + NND_KERNEL_ALIGN - 1) / NND_KERNEL_ALIGN * NND_KERNEL_ALIGN;
    return at;
}

nnd_status nnd_dynamic_product_plan(int64_t m, int64_t n, int64_t k, bool is_signed,
                                    nnd_dynamic_product *out)
{
    nnd_int8_gemm_desc d = {.m = m, .n = n, .k = k, .b_signed = is_signed};
    nnd_dynamic_product p;
    NND_TRY(nnd_int8_gemm_plan(&d, &p.gemm));
    size_t columns = (size_t)p.gemm.n_padded * sizeof(int32_t);
    p.total = 0;
    take(&p.total, (size_t)(m * k)); /* the codes come first */
    p.packed = take(&p.total, nnd_int8_gemm_a_bytes(&p.gemm));
    p.columns = take(&p.total, nnd_int8_gemm_column_bytes(&p.gemm));
    p.scales = take(&p.total, columns);
    p.zeros = take(&p.total, columns);
    p.sums = take(&p.total, (size_t)(m * n) * sizeof(float));
    *out = p;
    return NND_OK;
}

typedef struct job {
    const nnd_int8_gemm *gemm;
    const uint8_t *codes;
    void *packed;
    nnd_int8_gemm_args args;
} job;

static nnd_status pack_tile(void *user, size_t index, int lane)
{
    const job *j = user;
    (void)lane;
    nnd_int8_gemm_pack_a_tile(j->gemm, j->codes, j->packed, index);
    return NND_OK;
}

static nnd_status product_tile(void *user, size_t index, int lane)
{
    const job *j = user;
    (void)lane;
    nnd_int8_gemm_run_tile(j->gemm, &j->args, index);
    return NND_OK;
}

/* What scales and zero points of both operands do to each column. */
static void set_columns(const nnd_int8_gemm *g, const nnd_dynamic_args *args, nnd_dynamic s,
                        int32_t *columns, int32_t *zeros, float *scales)
{
    static const int32_t none = 0;
    for (size_t i = 0; i < (size_t)g->n_padded; i++)
        scales[i] = i < (size_t)g->desc.n ? s.scale * args->scale[args->scales == 1 ? 0 : i] : 0;
    for (size_t i = 0; args->zero && i < args->zeros; i++)
        zeros[i] =
            g->desc.b_signed ? ((const int8_t *)args->zero)[i] : ((const uint8_t *)args->zero)[i];
    nnd_int8_gemm_columns(g, args->packed_b, s.zero, args->zero ? zeros : &none,
                          args->zero ? args->zeros : 1, NULL, 0, columns);
}

nnd_status nnd_dynamic_product_run(const nnd_op_ctx *c, const nnd_dynamic_product *p,
                                   const nnd_dynamic_args *args)
{
    const nnd_int8_gemm *g = &p->gemm;
    const nnd_int8_gemm_desc *d = &g->desc;
    char *memory = args->workspace;
    const int64_t dims[2] = {d->m, d->k};
    float *scales = (float *)(void *)(memory + p->scales);
    int32_t *columns = (int32_t *)(void *)(memory + p->columns);
    float *sums = args->adds ? (float *)(void *)(memory + p->sums) : args->c;
    nnd_op_ctx own = *c;
    nnd_dynamic s;
    nnd_tensor a;
    if ((double)d->m * (double)d->n * (double)d->k < WORTH_HELP) own.gang = NULL;
    NND_TRY(nnd_tensor_init(&a, NND_F32, 2, dims, (void *)(uintptr_t)args->a));
    NND_TRY(nnd_dynamic_quantise(&own, &a, (uint8_t *)memory, &s));
    job j = {.gemm = g, .codes = (const uint8_t *)memory, .packed = memory + p->packed};
    j.args = (nnd_int8_gemm_args){
        .packed_a = j.packed,
        .packed_b = args->packed_b,
        .columns = columns,
        .result = {.type = NND_F32, .scale = scales, .bias = args->adds ? NULL : args->bias},
        .c = sums};
    set_columns(g, args, s, columns, (int32_t *)(void *)(memory + p->zeros), scales);
    NND_TRY(nnd_op_for(&own, nnd_int8_gemm_a_tiles(g), pack_tile, &j));
    NND_TRY(nnd_op_for(&own, nnd_int8_gemm_tiles(g), product_tile, &j));
    for (size_t i = 0; args->adds && i < (size_t)(d->m * d->n); i++)
        args->c[i] += sums[i];
    return NND_OK;
}
