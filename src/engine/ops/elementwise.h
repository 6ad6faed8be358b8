/*
 * Elementwise: several nodes that compute element by element, done in one go. The operator walks
 * over its result in strips that stay in the first-level cache; on each of them all parts run one
 * after the other, with the row functions of their own operators (rows.h). What is between them
 * never reaches memory, and the bits are those of the nodes one by one.
 *
 * Only the pass 'elementwise' makes such nodes: they are in no table that a model's file can name.
 * The node's `parts` are the nodes as they were, in an order of execution; the last one makes the
 * result. DequantizeLinear begins and QuantizeLinear ends it: between the parts everything is f32
 * (and bool). Inputs of parts are values of the graph: results of parts in front, which nobody else
 * reads, or inputs of the node, each listed once. The attribute `ops` names the operators.
 */
#ifndef NND_ENGINE_OPS_ELEMENTWISE_H
#define NND_ENGINE_OPS_ELEMENTWISE_H

#include "engine/ops/op.h"

enum { NND_MAX_PARTS = 24, NND_MAX_PART_INPUTS = 24 };

extern const nnd_op nnd_op_elementwise;

/* Whether the node can be a part: its operator has row functions, what they have to know ahead is
   constant, and its operands are f32 (or bool, the condition of Where, or the bytes of
   DequantizeLinear). types: of the graph's values. */
nnd_status nnd_elementwise_takes(nnd_graph *graph, const nnd_graph_node *node,
                                 const nnd_dtype *types, bool *takes);

/* A part that reads bytes of an input of the node only; one whose bytes are the node's result. */
bool nnd_elementwise_is_first(const nnd_graph_node *node);
bool nnd_elementwise_is_last(const nnd_graph_node *node);

/* The context of part i as if it ran on its own, for whoever counts work. c: of the node; `memory`
   keeps what the context points to. NND_E_… of infer. */
typedef struct nnd_part_memory {
    nnd_tensor made[NND_MAX_PARTS]; /* results of the parts, without elements */
    const nnd_tensor *in[3];
} nnd_part_memory;
/* Describes the result of part i, when those of the parts in front are described. */
nnd_status nnd_elementwise_part(const nnd_op_ctx *c, size_t i, nnd_part_memory *memory,
                                nnd_op_ctx *part);

#endif
