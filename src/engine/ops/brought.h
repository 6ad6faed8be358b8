/*
 * Kernels that plug-ins and programs bring for operators that exist. A node that such a kernel
 * takes gets a row of its own, which hides it from the passes; behind the row the kernel computes
 * it, or, where the kernel cannot after all, the operator itself.
 */
#ifndef NND_ENGINE_OPS_BROUGHT_H
#define NND_ENGINE_OPS_BROUGHT_H

#include "engine/ops/op.h"

bool nnd_brought_any(void);
/* Gives nodes of the graph and its sub-graphs to kernels that can do them, as far as nominal shapes
   are there. */
nnd_status nnd_brought_bind(nnd_graph *graph);
/* Whether somebody has brought a kernel for that operator. */
bool nnd_brought_for(const nnd_op *own, int64_t opset);
/* Whether somebody has brought a kernel of that name for an operator of that name, "*" = any. */
bool nnd_brought_named(const char *op, const char *kernel);
/* The operator as the model has it, also behind a row of a kernel. */
const nnd_op *nnd_brought_own(const nnd_op *op);

#endif
