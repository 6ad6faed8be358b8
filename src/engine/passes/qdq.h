/*
 * What the files of the pass qdq share. Private to the passes.
 *
 * Everything is found from a QuantizeLinear backwards, and that node is replaced where it stands:
 * the bytes that the float operators were made from are there already.
 */
#ifndef NND_ENGINE_PASSES_QDQ_H
#define NND_ENGINE_PASSES_QDQ_H

#include "engine/passes/match.h"

/* Bytes and what they stand for: (code − zero)·scale. All three are values of the graph, scale and
   zero constants, every scale a positive number that neither vanishes nor overflows with a byte. */
typedef struct nnd_qdq_operand {
    uint32_t codes, scale, zero;
    nnd_dtype type;
} nnd_qdq_operand;

/* A quantised result under way: the Quantize node, what it says, and the limits that activations
   in front of it set to the codes. `core` makes the floats, and only for this node; NULL when
   nothing of the kind does. */
typedef struct nnd_qdq_result {
    nnd_graph_node *quantize, *core;
    nnd_qdq_operand to;
    int32_t low, high;
    size_t clamp_count;
    nnd_graph_node *clamps[2];
} nnd_qdq_result;

/* The constant behind a value, through Identity nodes: its id, or NND_NO_ID. */
uint32_t nnd_qdq_constant(nnd_graph *g, uint32_t value);
/* The operand that a float value is dequantised from, with one scale for all. */
nnd_status nnd_qdq_read(nnd_graph *g, uint32_t value, nnd_qdq_operand *out, bool *is);
/* Constant bytes with one scale, or one per index of dimension `axis` of `rank`. */
nnd_status nnd_qdq_read_weights(nnd_graph *g, uint32_t value, int axis, nnd_qdq_operand *out,
                                bool *is);
/* Equal scales, zero points and types. */
nnd_status nnd_qdq_same(nnd_graph *g, const nnd_qdq_operand *a, const nnd_qdq_operand *b,
                        bool *same);

/* The Quantize node becomes that operator with the attributes of r->core and the limits of the
   codes; core and activations go. */
nnd_status nnd_qdq_become(nnd_graph *g, const nnd_qdq_result *r, const char *domain,
                          const char *type, size_t count, const uint32_t *inputs);
/* The Quantize node becomes `op` on these inputs, without attributes; what it read may stay. */
nnd_status nnd_qdq_replace(nnd_graph *g, nnd_graph_node *quantize, const struct nnd_op *op,
                           size_t count, const uint32_t *inputs);

/* qdq_products.c: Conv, Gemm, MatMul. qdq_between.c: what lies between those. qdq_table.c: what is
   a function of one byte. Each says whether it did it. */
nnd_status nnd_qdq_product(nnd_graph *g, const nnd_qdq_result *r, bool *done);
nnd_status nnd_qdq_between(nnd_graph *g, const nnd_qdq_result *r, bool *done);
/* A Conv, Gemm or MatMul of bytes without a Quantize behind it, and the bias that is added to the
   columns of the last one; what the next two do. */
nnd_status nnd_qdq_to_float(nnd_graph *g, nnd_graph_node *n, bool *done);
#define NND_MATMUL_TO_FLOAT "MatMulIntegerToFloat" /* of com.microsoft */
/* qdq_dynamic.c: the Mul that scales integer sums becomes the whole product; an Add to the channels
   of a convolution with a result in f32 is its bias. */
nnd_status nnd_qdq_dynamic(nnd_graph *g, nnd_graph_node *mul, bool *done);
nnd_status nnd_qdq_channel_bias(nnd_graph *g, nnd_graph_node *add, bool *done);
nnd_status nnd_qdq_table(nnd_graph *g, const nnd_qdq_result *r, bool *done);

#endif
