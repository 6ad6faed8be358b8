/*
 * com.microsoft's mixtures of experts: MoE and QMoE, whose weights have few bits.
 *
 * Tokens are grouped by the expert that they are sent to, so that an expert's matrix is read once
 * for all of its tokens. A (token, expert) pair is a slot; slots of one expert lie together. The
 * steps of a run, each a loop over tiles: route the tokens, gather their rows, multiply by FC1 (and
 * FC3), activate, multiply by FC2, and add up each token's answers in the order of its choices. So
 * many tokens are taken at a time that their rows fit a fixed amount of memory: a turn.
 *
 * The products have three forms: constant weights in f32 are packed at load; codes multiply the
 * rows of a few tokens as they lie in the model; everything else is unpacked panel by panel. How
 * the work is cut depends on shapes and on the tokens' choices only.
 *
 * moe.c reads the operator's inputs and plans, moe_run.c runs.
 */
#ifndef NND_ENGINE_OPS_MOE_H
#define NND_ENGINE_OPS_MOE_H

#include "engine/kernels/kernels.h"
#include "engine/ops/moe_route.h"
#include "engine/ops/op.h"

enum { NND_FC1, NND_FC2, NND_FC3, NND_MOE_MATRICES };

/* [experts, n, k]: one expert's matrix has a row per output. */
typedef struct nnd_moe_matrix {
    const nnd_tensor *weights, *bias, *scales, *zeros; /* weights NULL: there is none */
    size_t n, k;
    size_t bits;                 /* 0 = no codes */
    size_t block, blocks, bytes; /* of a row; bytes: of a block's codes */
    size_t zero_row; /* bytes of zero points: of a row when blocked, else of an expert */
    bool blocked;
} nnd_moe_matrix;

typedef enum nnd_moe_act {
    NND_MOE_RELU,
    NND_MOE_GELU,
    NND_MOE_SILU,
    NND_MOE_SWIGLU,
    NND_MOE_IDENTITY,
} nnd_moe_act;

typedef struct nnd_moe {
    const nnd_op_ctx *c;
    const nnd_tensor *x, *logits, *shares; /* shares NULL: the softmax of the logits */
    nnd_routing routing;
    size_t tokens, hidden, inner; /* inner: the experts' own features */
    nnd_moe_act act;
    int64_t fusion; /* SwiGLU of FC1's outputs: 1 = they alternate, 2 = one half each */
    float alpha, beta, limit;
    nnd_moe_matrix fc[NND_MOE_MATRICES];
} nnd_moe;

/* Tokens of a turn, and floats of a slot: one row of an operand (a gathered token, then activated
   features) with the sums of its blocks, and one of a result (of FC1 and FC3, then of FC2). */
typedef struct nnd_moe_step {
    size_t turn, operand, sums, result;
} nnd_moe_step;

enum { NND_MOE_FEW_ROWS = 8 }; /* up to so many rows codes are not unpacked */

/* An expert's product with weights that are packed, and the bytes of those. */
nnd_status nnd_moe_gemm(const nnd_moe_matrix *w, size_t rows, int32_t precision, nnd_gemm *out);
nnd_status nnd_moe_packed_bytes(const nnd_moe_matrix *w, int32_t precision, size_t *out);

/* Scratch in front of that of a panel: the scaling of a row of codes. */
size_t nnd_moe_scaling_bytes(const nnd_moe_matrix *w);

/* All of a run: the step and the workspace are those of the plan. */
nnd_status nnd_moe_compute(nnd_op_ctx *c, const nnd_moe *m);

#endif
