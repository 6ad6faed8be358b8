/*
 * The fourth input of Conv, Gemm and MatMul, which the pass 'residual' puts there (and FusedConv
 * has): it is added to the layer's own result, before the activation. The pass goes by nominal
 * shapes. At others the two may differ, and the addition broadcasts like a node Add: a kernel that
 * adds element by element is of no use then, and the layer and the addition run one after the
 * other.
 */
#ifndef NND_ENGINE_OPS_RESIDUAL_H
#define NND_ENGINE_OPS_RESIDUAL_H

#include "engine/ops/op.h"

/* NULL = the layer has none. */
static inline const nnd_tensor *nnd_residual_of(const nnd_op_ctx *c)
{
    return c->node->formal_count > 3 ? nnd_op_in(c, 3) : NULL;
}

/* Whether there is one, of the shape of the layer's own result. */
bool nnd_residual_fits(const nnd_op_ctx *c, int rank, const int64_t *dims);

/* infer: describes output 0 from the shape of the layer's own result; the type is that of input 0.
   NND_E_SHAPE when there is a residual that does not broadcast with it. */
nnd_status nnd_residual_output(nnd_op_ctx *c, int rank, const int64_t *dims);

/* run: `layer` writes output 0 of its context, which is described by `own` and may be smaller than
   that of c, and leaves the activation alone; the rest is done here. For residuals of any shape. */
nnd_status nnd_residual_run(nnd_op_ctx *c, const nnd_tensor *own,
                            nnd_status (*layer)(nnd_op_ctx *c));

#endif
