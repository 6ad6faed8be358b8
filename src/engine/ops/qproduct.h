/*
 * What the plain loops (qlinear.c) and the kernels (qproduct.c) of the integer products share.
 */
#ifndef NND_ENGINE_OPS_QPRODUCT_H
#define NND_ENGINE_OPS_QPRODUCT_H

#include "engine/ops/qlinear.h"
#include "engine/ops/window.h"

enum {
    NND_QPRODUCT_INTEGER,
    NND_QPRODUCT_QLINEAR,
    NND_QPRODUCT_TO_FLOAT,
    NND_QPRODUCT_DYNAMIC,
    NND_QPRODUCT_GEMM,
    NND_QPRODUCT_CONV_TO_FLOAT
};

/* Which inputs hold what; −1 = none. */
typedef struct nnd_qroles {
    int x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias;
} nnd_qroles;
extern const nnd_qroles nnd_qroles_of[]; /* by variant */

/* Input i, NULL for i < 0 and absent ones; element i of a list or the only one, `fallback` for
   none. */
const nnd_tensor *nnd_qproduct_at(const nnd_op_ctx *c, int i);
double nnd_qproduct_value(const nnd_tensor *t, size_t i, double fallback);

typedef struct nnd_qmatrices {
    int64_t m, n, k;
    int rank; /* of the batch */
    int64_t batch[NND_MAX_RANK], a_step[NND_MAX_RANK], b_step[NND_MAX_RANK];
    size_t batches;
    int out_rank;
    int64_t out[NND_MAX_RANK];
} nnd_qmatrices;

/* All check everything that the operator wants of its inputs. */
nnd_status nnd_qmatrices_read(const nnd_op_ctx *c, nnd_qmatrices *out);
nnd_status nnd_qgemm_read(const nnd_op_ctx *c, nnd_qmatrices *out);
nnd_status nnd_qconv_read(const nnd_op_ctx *c, nnd_window *w, int64_t *groups);
/* Which matrices of A and B belong to one matrix of the result. */
void nnd_qmatrices_locate(const nnd_qmatrices *p, size_t batch, size_t *a, size_t *b);

/* The life of nodes that go through the byte kernels; those that cannot have no step. */
nnd_status nnd_qmatmul_prepare(nnd_graph *graph, nnd_graph_node *node);
nnd_status nnd_qmatmul_plan(nnd_op_ctx *c);
/* A is given apart from the node's inputs: an operator may have quantised it itself. */
nnd_status nnd_qmatmul_run(nnd_op_ctx *c, const nnd_tensor *a, int32_t a_zero, float a_scale);
/* The convolution of bytes with a result in f32: x, scale, zero point, the same of the weights, and
   a bias that may be absent, in i32 (added to the sums) or f32 (added to the scaled sums). No model
   has it, the pass qdq makes it. */
extern const nnd_op nnd_op_conv_to_float;
nnd_status nnd_qconv_prepare(nnd_graph *graph, nnd_graph_node *node);
nnd_status nnd_qconv_plan(nnd_op_ctx *c);
nnd_status nnd_qconv_run(nnd_op_ctx *c);
void nnd_qmatmul_unplan(void *step);
void nnd_qconv_unplan(void *step);

#endif
