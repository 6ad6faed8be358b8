/* How code that others bring (operators, kernels) is called: nndeploy/ir.h from the inside. */
#ifndef NND_ENGINE_OPS_CALL_H
#define NND_ENGINE_OPS_CALL_H

#include "engine/ops/op.h"
#include "nndeploy/ir.h"

/* What a call stands for: a step of a plan, or only a node while it is prepared (ctx NULL). */
typedef struct nnd_op_origin {
    const nnd_graph_node *node;
    nnd_op_ctx *ctx;
} nnd_op_origin;

extern const nnd_operator_tools nnd_op_tools;
/* With the inputs of from->ctx; the rest is the caller's. */
nnd_operator_call nnd_op_call(nnd_op_origin *from);

/* Tables of plug-ins may be older, and shorter, than today's. */
#define NND_TABLE_HAS(table, type, member)                                                         \
    ((table)->struct_size >= offsetof(type, member) + sizeof((table)->member) && (table)->member)

#endif
