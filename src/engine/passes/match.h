/*
 * What passes that look for patterns share. Patterns are matched from their last node backwards and
 * that node is replaced where it stands: its inputs are there already, and what else reads a part
 * of the pattern keeps it. Parts that nobody reads any more are dead code.
 */
#ifndef NND_ENGINE_PASSES_MATCH_H
#define NND_ENGINE_PASSES_MATCH_H

#include "engine/graph/graph.h"

/* A node of ai.onnx of that type that no pass has removed. */
bool nnd_match_is(const nnd_graph_node *node, const char *type);
/* Such a node with exactly two operands, both there. */
bool nnd_match_is_binary(const nnd_graph_node *node, const char *type);
/* The node of that type that makes `value`, else NULL. */
nnd_graph_node *nnd_match_maker(nnd_graph *graph, uint32_t value, const char *type);
nnd_graph_node *nnd_match_binary(nnd_graph *graph, uint32_t value, const char *type);
/* The value that an f32 constant of one element holds; *is = false for any other value. */
nnd_status nnd_match_number(nnd_graph *graph, uint32_t value, float *out, bool *is);
/* Whether it is that number, to a few units of its last place. */
nnd_status nnd_match_near(nnd_graph *graph, uint32_t value, double number, bool *is);
/* Of a commutative node: the operand beside that number, NND_NO_ID when neither is it. */
nnd_status nnd_match_beside(nnd_graph *graph, const nnd_graph_node *node, double number,
                            uint32_t *out);
/* Aligned elements of an f32 constant, NULL for other values. */
nnd_status nnd_match_floats(nnd_graph *graph, uint32_t value, const nnd_tensor **out);
/* The rank, where the file or the nominal shapes tell it, else −1. */
int nnd_match_rank(const nnd_graph *graph, uint32_t value);
/* The nominal shapes say that both are of one rank: one-element constants between them have added
   no dimension. */
bool nnd_match_same_rank(const nnd_graph *graph, uint32_t a, uint32_t b);
/* Another operator in the place of the node: these inputs, no attributes, the same first output and
   no other. opset: what the new operator needs at least. */
nnd_status nnd_match_replace(nnd_graph *graph, nnd_graph_node *node, const char *type,
                             int64_t opset, size_t input_count, const uint32_t *inputs);

/* The same for an operator that a model's file cannot name. */
nnd_status nnd_match_become(nnd_graph *graph, nnd_graph_node *node, const struct nnd_op *op,
                            size_t input_count, const uint32_t *inputs);
/* The order of a Transpose of `rank` dimensions; false when the node is something else. An order
   that is not written down is known from the rank only. */
bool nnd_match_perm(const nnd_graph *graph, const nnd_graph_node *node, int64_t *perm, int *rank);

#endif
