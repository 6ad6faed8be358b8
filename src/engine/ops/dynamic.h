/*
 * Products of floats with bytes: the floats become bytes as DynamicQuantizeLinear makes them, of
 * the extremes of each product's rows together; sums are integers and are scaled back.
 */
#ifndef NND_ENGINE_OPS_DYNAMIC_H
#define NND_ENGINE_OPS_DYNAMIC_H

#include "engine/kernels/int8.h"
#include "engine/ops/qlinear.h"

/* A plan: plain data, copied freely. The weights are packed with its `gemm`. */
typedef struct nnd_dynamic_product {
    nnd_int8_gemm gemm;
    /* Where the parts of the workspace begin, and its bytes. */
    size_t packed, columns, scales, zeros, sums, total;
} nnd_dynamic_product;

/* m×k floats with k×n bytes. */
nnd_status nnd_dynamic_product_plan(int64_t m, int64_t n, int64_t k, bool is_signed,
                                    nnd_dynamic_product *out);

typedef struct nnd_dynamic_args {
    const float *a;
    const void *packed_b;
    const float *scale; /* of B: `scales` = 1 or n of them */
    size_t scales;
    const void *zero; /* in B's type: `zeros` = 1 or n of them; NULL = 0 */
    size_t zeros;
    const float *bias; /* n, or NULL */
    bool adds;         /* to what is in c; without bias */
    float *c;
    void *workspace; /* aligned to NND_KERNEL_ALIGN */
} nnd_dynamic_args;

nnd_status nnd_dynamic_product_run(const nnd_op_ctx *c, const nnd_dynamic_product *p,
                                   const nnd_dynamic_args *args);

#endif
