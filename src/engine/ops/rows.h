/*
 * What element-wise operators do to a row of f32, or of bytes that stand for them. Their own `run`
 * and the operator that computes several of them at once (elementwise.h) are made of these, so that
 * both give the same bits. An element of a result depends on the elements at its place only; y may
 * be any of the operands of its type.
 */
#ifndef NND_ENGINE_OPS_ROWS_H
#define NND_ENGINE_OPS_ROWS_H

#include "engine/kernels/kernels.h"
#include "engine/ops/blocks.h"

/* ---- one operand --------------------------------------------------------------------------- */

typedef struct nnd_unary_params {
    double a, b;       /* the operator's parameters */
    int64_t low, high; /* Clip of integers */
    bool flag;
} nnd_unary_params;

typedef struct nnd_unary_row {
    int variant;
    nnd_unary_params p;
    bool has_act, has_kernel; /* a kernel does it */
    nnd_act act;
    nnd_unary_op kernel;
} nnd_unary_row;

bool nnd_unary_row_can(const nnd_op *op);
/* NND_E_TYPE for limits of Clip that are no single elements. */
nnd_status nnd_unary_row_init(const nnd_op_ctx *c, nnd_unary_row *row);
void nnd_unary_row_apply(const nnd_unary_row *row, const float *x, float *y, size_t n);

/* ---- two operands -------------------------------------------------------------------------- */

typedef void (*nnd_binary_block)(const void *a, const void *b, void *y, size_t n, int64_t flag);
typedef struct nnd_binary_row {
    int kernel; /* nnd_binary_op, −1 = `block` does it */
    nnd_binary_block block;
    int64_t flag;
    bool squares; /* the second operand is to be the first one */
} nnd_binary_row;

/* A node of two operands that broadcast by the rule of today. */
bool nnd_binary_row_can(const nnd_graph_node *node);
/* What it does depends on the elements of the second operand, which therefore has to be constant.
 */
bool nnd_binary_row_wants_constant(const nnd_op *op);
void nnd_binary_row_init(const nnd_op_ctx *c, nnd_binary_row *row);
void nnd_binary_row_apply(const nnd_binary_row *row, nnd_binary_mode mode, const float *a,
                          const float *b, float *y, size_t n);

/* ---- PRelu and Where: each operand has a step of 0 or 1 ------------------------------------- */

void nnd_prelu_row_apply(const float *x, size_t x_step, const float *slope, size_t slope_step,
                         float *y, size_t n);
void nnd_where_row_apply(const uint8_t *which, size_t which_step, const float *a, size_t a_step,
                         const float *b, size_t b_step, float *y, size_t n);

/* ---- QuantizeLinear and DequantizeLinear: f32 and integers, one scale for all --------------- */

typedef struct nnd_quant_row {
    float scale;
    int32_t zero;
    nnd_dtype type; /* of the integers: u8, i8, u16 or i16 */
} nnd_quant_row;

/* A node from or to bytes whose scale and zero point are constant. types: of the graph's values. */
bool nnd_quant_row_can(const nnd_graph *graph, const nnd_graph_node *node, const nnd_dtype *types);
void nnd_quant_row_init(const nnd_op_ctx *c, nnd_quant_row *row);
void nnd_quantize_row_apply(const nnd_quant_row *row, const float *x, void *y, size_t n);
void nnd_dequantize_row_apply(const nnd_quant_row *row, const void *x, float *y, size_t n);

#endif
