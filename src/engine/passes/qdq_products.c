/*
 * Conv, Gemm and MatMul between QDQ: QLinearConv, QGemm, QLinearMatMul. Where no Quantize follows
 * (an activation that squashes lies between, say), their sums are scaled to floats.
 */
#include <math.h>
#include <string.h>

#include "engine/ops/qproduct.h"
#include "engine/passes/qdq.h"

#define MS "com.microsoft"

/* How far the scale of a bias may be from the product of the two others. */
#define BIAS_TOLERANCE 1e-4

static float scale_at(const nnd_tensor *t, int64_t i)
{
    return ((const float *)t->data)[nnd_tensor_count(t) == 1 ? 0 : i];
}

static bool is_list_of(const nnd_tensor *t, int64_t n)
{
    int64_t count = nnd_tensor_count(t);
    return count == n && (t->rank < 2 || t->dims[t->rank - 1] == n);
}

/* The bias as it is stored: one i32 per channel, zero point 0, with x_scale·w_scale, which is what
   the sums have too. NND_NO_ID when there is none. */
static nnd_status read_bias(nnd_graph *g, const nnd_graph_node *n, const nnd_qdq_operand *x,
                            const nnd_qdq_operand *w, int64_t channels, uint32_t *out, bool *is)
{
    *out = NND_NO_ID;
    *is = n->formal_count < 3 || n->inputs[2] == NND_NO_ID;
    const nnd_graph_node *from = *is ? NULL : nnd_match_maker(g, n->inputs[2], "DequantizeLinear");
    if (!from || from->formal_count < 2) return NND_OK;
    *out = nnd_qdq_constant(g, from->inputs[0]);
    if (*out == NND_NO_ID || g->values[*out].dtype != NND_I32) return NND_OK;
    if (!is_list_of(&g->values[*out].constant, channels)) return NND_OK;
    const nnd_tensor *scale, *x_scale, *w_scale, *zero = NULL;
    NND_TRY(nnd_match_floats(g, nnd_qdq_constant(g, from->inputs[1]), &scale));
    NND_TRY(nnd_graph_constant(g, x->scale, &x_scale));
    NND_TRY(nnd_graph_constant(g, w->scale, &w_scale));
    if (!scale || scale->rank > 1) return NND_OK;
    if (nnd_tensor_count(scale) != 1 && nnd_tensor_count(scale) != channels) return NND_OK;
    if (from->formal_count > 2 && from->inputs[2] != NND_NO_ID) {
        uint32_t point = nnd_qdq_constant(g, from->inputs[2]);
        if (point == NND_NO_ID) return NND_OK;
        NND_TRY(nnd_graph_constant(g, point, &zero));
    }
    for (int64_t i = 0; zero && i < nnd_tensor_count(zero); i++)
        if (nnd_dtype_get(zero->dtype, zero->data, (size_t)i) != 0) return NND_OK;
    for (int64_t i = 0; i < channels; i++) {
        double product = (double)scale_at(x_scale, 0) * (double)scale_at(w_scale, i);
        if (!(fabs((double)scale_at(scale, i) - product) <= BIAS_TOLERANCE * product))
            return NND_OK;
    }
    *is = true;
    return NND_OK;
}

/* The operands of a Conv: bytes, weights, bias. */
static nnd_status read_conv(nnd_graph *g, const nnd_graph_node *n, nnd_qdq_operand *x,
                            nnd_qdq_operand *w, uint32_t *bias, bool *is)
{
    NND_TRY(nnd_qdq_read(g, n->inputs[0], x, is));
    if (*is) NND_TRY(nnd_qdq_read_weights(g, n->inputs[1], 0, w, is));
    *is = *is && g->values[w->codes].rank >= 3;
    if (!*is) return NND_OK;
    return read_bias(g, n, x, w, g->values[w->codes].constant.dims[0], bias, is);
}

static nnd_status try_conv(nnd_graph *g, const nnd_qdq_result *r, bool *done)
{
    nnd_qdq_operand x, w;
    uint32_t bias;
    bool is;
    NND_TRY(read_conv(g, r->core, &x, &w, &bias, &is));
    if (!is) return NND_OK;
    const uint32_t inputs[] = {x.codes, x.scale,     x.zero,     w.codes, w.scale,
                               w.zero,  r->to.scale, r->to.zero, bias};
    *done = true;
    return nnd_qdq_become(g, r, "", "QLinearConv", bias == NND_NO_ID ? 8 : 9, inputs);
}

/* The operands of a Gemm whose sums are all that there is. */
static nnd_status read_gemm(nnd_graph *g, const nnd_graph_node *n, nnd_qdq_operand *a,
                            nnd_qdq_operand *b, uint32_t *bias, bool *is)
{
    int columns = nnd_node_int(n, "transB", 0) ? 0 : 1;
    *is = !nnd_node_int(n, "transA", 0) && nnd_node_float(n, "alpha", 1.0f) == 1.0f &&
          nnd_node_float(n, "beta", 1.0f) == 1.0f;
    if (*is) NND_TRY(nnd_qdq_read(g, n->inputs[0], a, is));
    if (*is) NND_TRY(nnd_qdq_read_weights(g, n->inputs[1], columns, b, is));
    *is = *is && g->values[b->codes].rank == 2;
    if (!*is) return NND_OK;
    return read_bias(g, n, a, b, g->values[b->codes].constant.dims[columns], bias, is);
}

static nnd_status try_gemm(nnd_graph *g, const nnd_qdq_result *r, bool *done)
{
    nnd_qdq_operand a, b;
    uint32_t bias;
    bool is;
    NND_TRY(read_gemm(g, r->core, &a, &b, &bias, &is));
    if (!is) return NND_OK;
    const uint32_t inputs[] = {a.codes, a.scale, a.zero,      b.codes,   b.scale,
                               b.zero,  bias,    r->to.scale, r->to.zero};
    *done = true;
    return nnd_qdq_become(g, r, MS, "QGemm", NND_COUNT(inputs), inputs);
}

static nnd_status try_matmul(nnd_graph *g, const nnd_qdq_result *r, bool *done)
{
    const nnd_graph_node *n = r->core;
    nnd_qdq_operand a, b;
    bool is;
    NND_TRY(nnd_qdq_read(g, n->inputs[0], &a, &is));
    if (!is) return NND_OK;
    NND_TRY(nnd_qdq_read_weights(g, n->inputs[1], 1, &b, &is));
    is = is && g->values[b.codes].rank == 2;
    if (!is) NND_TRY(nnd_qdq_read(g, n->inputs[1], &b, &is));
    if (!is) return NND_OK;
    const uint32_t inputs[] = {a.codes, a.scale, a.zero,      b.codes,
                               b.scale, b.zero,  r->to.scale, r->to.zero};
    *done = true;
    return nnd_qdq_become(g, r, "", "QLinearMatMul", NND_COUNT(inputs), inputs);
}

nnd_status nnd_qdq_product(nnd_graph *g, const nnd_qdq_result *r, bool *done)
{
    const nnd_graph_node *n = r->core;
    *done = false;
    if (n->formal_count < 2 || n->inputs[1] == NND_NO_ID) return NND_OK;
    if (nnd_match_is(n, "Conv")) return try_conv(g, r, done);
    if (nnd_match_is(n, "Gemm")) return try_gemm(g, r, done);
    if (nnd_match_is(n, "MatMul")) return try_matmul(g, r, done);
    return NND_OK;
}

/* ---- products whose result stays float --------------------------------------------------------
 */

/* A MatMul with constant weights. */
static nnd_status matmul_to_float(nnd_graph *g, nnd_graph_node *n, bool *done)
{
    nnd_qdq_operand a, b;
    NND_TRY(nnd_qdq_read(g, n->inputs[0], &a, done));
    if (*done) NND_TRY(nnd_qdq_read_weights(g, n->inputs[1], 1, &b, done));
    *done = *done && g->values[b.codes].rank == 2;
    if (!*done) return NND_OK;
    const uint32_t inputs[] = {a.codes, b.codes, a.scale, b.scale, a.zero, b.zero};
    return nnd_qdq_replace(g, n, nnd_op_find(MS, NND_MATMUL_TO_FLOAT, 1), NND_COUNT(inputs),
                           inputs);
}

/* Such a product, read by nobody else, that has no bias yet. */
static nnd_graph_node *sole_matmul(nnd_graph *g, uint32_t value)
{
    uint32_t id = value == NND_NO_ID ? NND_NO_ID : g->values[value].producer;
    nnd_graph_node *n = id == NND_NO_ID ? NULL : &g->nodes[id];
    const bool is = n && !n->dead && n->op && strcmp(n->domain, MS) == 0 &&
                    strcmp(n->type, NND_MATMUL_TO_FLOAT) == 0 && n->formal_count == 6 &&
                    !n->epilogue && nnd_graph_single_reader(g, value) != NND_NO_ID;
    return is ? n : NULL;
}

/* The addition of a constant to the rows of such a product is its bias. */
static nnd_status bias_to_float(nnd_graph *g, nnd_graph_node *add, bool *done)
{
    for (int i = 0; i < 2 && !*done; i++) {
        const nnd_graph_node *n = sole_matmul(g, add->inputs[i]);
        uint32_t bias = n ? nnd_qdq_constant(g, add->inputs[1 - i]) : NND_NO_ID;
        const nnd_tensor *t = NULL;
        if (bias != NND_NO_ID) NND_TRY(nnd_match_floats(g, bias, &t));
        if (!t || t->rank != 1 || t->dims[0] != g->values[n->inputs[1]].constant.dims[1]) continue;
        uint32_t inputs[7];
        memcpy(inputs, n->inputs, 6 * sizeof *inputs);
        inputs[6] = bias;
        g->nodes[g->values[add->inputs[i]].producer].dead = true;
        *done = true;
        NND_TRY(nnd_qdq_replace(g, add, n->op, 7, inputs));
    }
    return NND_OK;
}

static nnd_status conv_or_gemm_to_float(nnd_graph *g, nnd_graph_node *n, bool conv, bool *done)
{
    nnd_qdq_operand x, w;
    uint32_t bias;
    NND_TRY(conv ? read_conv(g, n, &x, &w, &bias, done) : read_gemm(g, n, &x, &w, &bias, done));
    if (!*done) return NND_OK;
    const uint32_t inputs[] = {x.codes, x.scale, x.zero, w.codes, w.scale, w.zero, bias};
    size_t attributes = n->attr_count;
    const nnd_op *op = conv ? &nnd_op_conv_to_float : nnd_op_find(MS, "QGemm", 1);
    NND_TRY(nnd_qdq_replace(g, n, op, bias == NND_NO_ID ? 6 : 7, inputs));
    n->attr_count = attributes;
    return NND_OK;
}

nnd_status nnd_qdq_to_float(nnd_graph *g, nnd_graph_node *n, bool *done)
{
    const bool conv = nnd_match_is(n, "Conv");
    *done = false;
    if (n->epilogue || n->formal_count < 2 || n->inputs[1] == NND_NO_ID) return NND_OK;
    if (conv || nnd_match_is(n, "Gemm")) return conv_or_gemm_to_float(g, n, conv, done);
    if (nnd_match_is(n, "MatMul")) return matmul_to_float(g, n, done);
    if (nnd_match_is(n, "Mul")) return nnd_qdq_dynamic(g, n, done);
    if (!nnd_match_is_binary(n, "Add")) return NND_OK;
    NND_TRY(bias_to_float(g, n, done));
    return *done ? NND_OK : nnd_qdq_channel_bias(g, n, done);
}
