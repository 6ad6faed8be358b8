#include "engine/ops/panels.h"

static size_t aligned(size_t bytes)
{
    return (bytes + NND_KERNEL_ALIGN - 1) / NND_KERNEL_ALIGN * NND_KERNEL_ALIGN;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

nnd_status nnd_panels_plan(size_t m, size_t n, size_t k, nnd_panels *out)
{
    size_t packed = 0;
    *out = (nnd_panels){.m = m, .n = n, .k = k};
    for (size_t last = 0; last < 2; last++) {
        size_t whole = n < NND_PANEL_COLUMNS ? n : NND_PANEL_COLUMNS;
        size_t rest = n % NND_PANEL_COLUMNS;
        nnd_gemm_desc d = {.m = (int64_t)m,
                           .n = (int64_t)(last && rest ? rest : whole),
                           .k = (int64_t)k,
                           .trans_b = true,
                           .ldc = (int64_t)n,
                           .alpha = 1.0f,
                           .bias = NND_GEMM_BIAS_COLUMN};
        NND_TRY(nnd_gemm_plan(&d, &out->gemm[last]));
        packed = larger(packed, nnd_gemm_packed_bytes(&out->gemm[last]));
    }
    out->packed = aligned(k * NND_PANEL_COLUMNS * sizeof(float));
    out->scratch = out->packed + aligned(packed);
    return NND_OK;
}

size_t nnd_panels_lane_bytes(const nnd_panels *p)
{
    return p->scratch + larger(nnd_gemm_lane_bytes(&p->gemm[0]), nnd_gemm_lane_bytes(&p->gemm[1]));
}

nnd_status nnd_panels_most_lane_bytes(size_t most, size_t n, size_t k, size_t *out)
{
    *out = 0;
    for (size_t m = 1; m <= most; m++) {
        nnd_panels p;
        NND_TRY(nnd_panels_plan(m, n, k, &p));
        *out = larger(*out, nnd_panels_lane_bytes(&p));
    }
    return NND_OK;
}

nnd_status nnd_panels_run_tile(const nnd_panels *p, const nnd_panels_args *args, size_t tile,
                               const nnd_cancel *cancel, void *column_scratch, void *scratch)
{
    const nnd_gemm *gemm = &p->gemm[tile + 1 == nnd_panels_tiles(p)];
    size_t first = tile * NND_PANEL_COLUMNS;
    char *memory = scratch;
    float *panel = scratch, *packed = (float *)(void *)(memory + p->packed);
    for (size_t i = 0; i < (size_t)gemm->desc.n; i++)
        args->column(args->user, first + i, column_scratch, panel + i * p->k);
    nnd_gemm_pack_b(gemm, panel, packed);
    nnd_gemm_args product = {.a = args->a,
                             .packed_b = packed,
                             .bias = args->bias ? args->bias + first : NULL,
                             .c = args->c + first};
    for (size_t i = 0; i < nnd_gemm_tiles(gemm); i++) {
        NND_TRY(nnd_cancel_check(cancel));
        nnd_gemm_run_tile(gemm, &product, i, memory + p->scratch);
    }
    return NND_OK;
}
