/*
 * Dequantise → operators → quantise becomes an operator on bytes: a product with sums of integers
 * that are scaled once, as the runtimes compute for which such models are made; in floating point
 * the rounding of the same model differs by a step here and there, and over many layers the steps
 * add up.
 *
 * A Relu or a Clip in front of the Quantize is a limit of its codes, whatever the zero point is:
 * rounding and clamping can change places when the limits are rounded too.
 */
#include "engine/passes/qdq.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "engine/onnx/onnx.h"
#include "engine/ops/qlinear.h"
#include "engine/passes/pass.h"

/* ---- reading --------------------------------------------------------------------------------- */

uint32_t nnd_qdq_constant(nnd_graph *g, uint32_t value)
{
    const nnd_graph_node *n = nnd_match_maker(g, value, "Identity");
    while (n) {
        value = n->inputs[0];
        n = nnd_match_maker(g, value, "Identity");
    }
    return value != NND_NO_ID && g->values[value].is_constant ? value : NND_NO_ID;
}

/* All scales are ordinary numbers: (255 − 0)·scale does not overflow, quotients do not vanish. */
static nnd_status has_usable_scales(nnd_graph *g, uint32_t value, bool *usable)
{
    const nnd_tensor *t;
    NND_TRY(nnd_match_floats(g, value, &t));
    *usable = t && t->rank <= 1 && nnd_tensor_count(t) > 0;
    for (int64_t i = 0; *usable && i < nnd_tensor_count(t); i++) {
        float scale = ((const float *)t->data)[i];
        *usable = scale >= FLT_MIN && scale <= FLT_MAX / 512;
    }
    return NND_OK;
}

/* Scale and zero point of a Quantize or Dequantize node. */
static nnd_status read_scaling(nnd_graph *g, const nnd_graph_node *n, nnd_qdq_operand *out,
                               bool *is)
{
    *is = false;
    if (n->formal_count != 3) return NND_OK;
    out->scale = nnd_qdq_constant(g, n->inputs[1]);
    out->zero = nnd_qdq_constant(g, n->inputs[2]);
    if (out->scale == NND_NO_ID || out->zero == NND_NO_ID) return NND_OK;
    out->type = g->values[out->zero].dtype;
    if (out->type != NND_U8 && out->type != NND_I8) return NND_OK;
    const nnd_tensor *zero;
    NND_TRY(nnd_graph_constant(g, out->zero, &zero));
    if (!zero->data || nnd_tensor_count(zero) != nnd_tensor_count(&g->values[out->scale].constant))
        return NND_OK;
    return has_usable_scales(g, out->scale, is);
}

static bool is_single(const nnd_graph *g, uint32_t constant)
{
    return nnd_tensor_count(&g->values[constant].constant) == 1;
}

/* Bytes without a Cast to the type that they have already. */
static uint32_t without_cast(nnd_graph *g, uint32_t value, nnd_dtype type)
{
    const nnd_graph_node *cast = nnd_match_maker(g, value, "Cast");
    if (!cast || nnd_onnx_dtype((uint64_t)nnd_node_int(cast, "to", 0)) != type) return value;
    uint32_t made = g->values[cast->inputs[0]].producer;
    if (made == NND_NO_ID || !g->nodes[made].op) return value;
    const nnd_graph_node *from = &g->nodes[made];
    /* The last operand of an operator on bytes that says the type of its result. */
    static const struct {
        const char *type;
        size_t zero;
    } makers[] = {{"QuantizeLinear", 2},
                  {"QLinearConv", 7},
                  {"QLinearAdd", 7},
                  {"QLinearMul", 7},
                  {"QGemm", 8},
                  {"QLinearMatMul", 7},
                  {"QLinearConcat", 1},
                  {"QLinearAveragePool", 4},
                  {"QLinearGlobalAveragePool", 4}};
    for (size_t i = 0; i < NND_COUNT(makers); i++) {
        if (strcmp(from->type, makers[i].type) != 0 || makers[i].zero >= from->formal_count)
            continue;
        uint32_t zero = nnd_qdq_constant(g, from->inputs[makers[i].zero]);
        if (zero != NND_NO_ID && g->values[zero].dtype == type) return cast->inputs[0];
    }
    return value;
}

nnd_status nnd_qdq_read(nnd_graph *g, uint32_t value, nnd_qdq_operand *out, bool *is)
{
    const nnd_graph_node *n = nnd_match_maker(g, value, "DequantizeLinear");
    *is = false;
    if (!n) return NND_OK;
    NND_TRY(read_scaling(g, n, out, is));
    *is = *is && is_single(g, out->scale);
    if (*is) out->codes = without_cast(g, n->inputs[0], out->type);
    return NND_OK;
}

nnd_status nnd_qdq_read_weights(nnd_graph *g, uint32_t value, int axis, nnd_qdq_operand *out,
                                bool *is)
{
    const nnd_graph_node *n = nnd_match_maker(g, value, "DequantizeLinear");
    *is = false;
    if (!n) return NND_OK;
    NND_TRY(read_scaling(g, n, out, is));
    if (!*is) return NND_OK;
    out->codes = nnd_qdq_constant(g, n->inputs[0]);
    *is = out->codes != NND_NO_ID && g->values[out->codes].dtype == out->type;
    if (!*is || is_single(g, out->scale)) return NND_OK;
    const nnd_graph_value *codes = &g->values[out->codes];
    int64_t along = nnd_node_int(n, "axis", 1);
    if (along < 0) along += codes->rank;
    *is = along == axis && axis < codes->rank &&
          codes->constant.dims[axis] == nnd_tensor_count(&g->values[out->scale].constant);
    return NND_OK;
}

nnd_status nnd_qdq_same(nnd_graph *g, const nnd_qdq_operand *a, const nnd_qdq_operand *b,
                        bool *same)
{
    const nnd_tensor *scale[2], *zero[2];
    *same = a->type == b->type;
    if (!*same) return NND_OK;
    NND_TRY(nnd_graph_constant(g, a->scale, &scale[0]));
    NND_TRY(nnd_graph_constant(g, b->scale, &scale[1]));
    NND_TRY(nnd_graph_constant(g, a->zero, &zero[0]));
    NND_TRY(nnd_graph_constant(g, b->zero, &zero[1]));
    *same = *(const float *)scale[0]->data == *(const float *)scale[1]->data &&
            *(const uint8_t *)zero[0]->data == *(const uint8_t *)zero[1]->data;
    return NND_OK;
}

/* ---- replacing ------------------------------------------------------------------------------- */

nnd_status nnd_qdq_replace(nnd_graph *g, nnd_graph_node *n, const nnd_op *op, size_t count,
                           const uint32_t *inputs)
{
    uint32_t *copy = nnd_arena_calloc(&g->arena, count, sizeof(*copy));
    if (!op || !copy) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the model's graph");
    memcpy(copy, inputs, count * sizeof(*copy));
    n->type = op->name;
    n->domain = op->domain;
    n->op = op;
    n->inputs = copy;
    n->input_count = n->formal_count = count;
    n->attr_count = 0;
    return NND_OK;
}

nnd_status nnd_qdq_become(nnd_graph *g, const nnd_qdq_result *r, const char *domain,
                          const char *type, size_t count, const uint32_t *inputs)
{
    nnd_graph_node *n = r->quantize;
    int64_t opset = domain[0] ? 1 : r->core->opset < 10 ? 10 : r->core->opset;
    NND_TRY(nnd_qdq_replace(g, n, nnd_op_find(domain, type, opset), count, inputs));
    n->opset = opset;
    n->name = r->core->name;
    n->attrs = r->core->attrs;
    n->attr_count = r->core->attr_count;
    if (r->clamp_count) {
        NND_TRY(nnd_node_add_int(g, n, NND_CODES_LOW, r->low));
        NND_TRY(nnd_node_add_int(g, n, NND_CODES_HIGH, r->high));
    }
    for (size_t i = 0; i < r->clamp_count; i++)
        r->clamps[i]->dead = true;
    r->core->dead = true;
    return NND_OK;
}

/* ---- what is in front of a Quantize ---------------------------------------------------------- */

/* The node that makes a value for one reader only. */
static nnd_graph_node *sole_maker(nnd_graph *g, uint32_t value)
{
    uint32_t id = value == NND_NO_ID ? NND_NO_ID : g->values[value].producer;
    if (id == NND_NO_ID || nnd_graph_single_reader(g, value) == NND_NO_ID) return NULL;
    nnd_graph_node *n = &g->nodes[id];
    bool plain = !n->dead && n->op && !n->domain[0] && !n->epilogue && n->formal_count > 0 &&
                 n->formal_count == n->input_count && n->outputs[0] == value;
    return plain ? n : NULL;
}

/* A limit of Clip: attribute before opset 11, constant input since. */
static nnd_status read_limit(nnd_graph *g, const nnd_graph_node *clip, size_t input,
                             const char *attr, float *limit, bool *is)
{
    if (clip->opset < 11) {
        *limit = nnd_node_float(clip, attr, *limit);
    } else if (input < clip->formal_count && clip->inputs[input] != NND_NO_ID) {
        bool number;
        NND_TRY(nnd_match_number(g, nnd_qdq_constant(g, clip->inputs[input]), limit, &number));
        *is = *is && number;
    }
    *is = *is && !isnan(*limit);
    return NND_OK;
}

static nnd_status read_clamp(nnd_graph *g, const nnd_graph_node *n, float *low, float *high,
                             bool *is)
{
    *low = -INFINITY;
    *high = INFINITY;
    *is = true;
    if (nnd_match_is(n, "Relu")) {
        *low = 0;
        return NND_OK;
    }
    *is = nnd_match_is(n, "Clip");
    if (!*is) return NND_OK;
    NND_TRY(read_limit(g, n, 1, "min", low, is));
    NND_TRY(read_limit(g, n, 2, "max", high, is));
    *low = fminf(*low, *high); /* of two that contradict, the upper one counts */
    return NND_OK;
}

/* The code of a limit, as QuantizeLinear makes it. */
static int32_t code_of(float v, float scale, int32_t zero, nnd_dtype type)
{
    double code = nearbyint((double)(v / scale)) + zero, low = type == NND_I8 ? -128 : 0;
    return (int32_t)(code < low ? low : code > low + 255 ? low + 255 : code);
}

static nnd_status read_result(nnd_graph *g, nnd_graph_node *quantize, nnd_qdq_result *r, bool *is)
{
    *r = (nnd_qdq_result){.quantize = quantize};
    NND_TRY(read_scaling(g, quantize, &r->to, is));
    *is = *is && is_single(g, r->to.scale);
    if (!*is) return NND_OK;
    const nnd_tensor *scale, *zero;
    NND_TRY(nnd_graph_constant(g, r->to.scale, &scale));
    NND_TRY(nnd_graph_constant(g, r->to.zero, &zero));
    float step = *(const float *)scale->data, low = -INFINITY, high = INFINITY;
    int32_t point = (int32_t)nnd_dtype_get(zero->dtype, zero->data, 0);
    r->core = sole_maker(g, quantize->inputs[0]);
    while (r->core && r->clamp_count < NND_COUNT(r->clamps)) {
        float least, most;
        bool clamps;
        NND_TRY(read_clamp(g, r->core, &least, &most, &clamps));
        if (!clamps) break;
        /* The limits of what comes first are clamped by what comes behind it. */
        least = fminf(fmaxf(least, low), high);
        most = fminf(fmaxf(most, low), high);
        low = least;
        high = most;
        r->clamps[r->clamp_count++] = r->core;
        r->core = sole_maker(g, r->core->inputs[0]);
    }
    r->low = code_of(low, step, point, r->to.type);
    r->high = code_of(high, step, point, r->to.type);
    return NND_OK;
}

static nnd_status try_quantize(nnd_graph *g, nnd_graph_node *n, size_t *changes)
{
    nnd_qdq_result r;
    bool is, done = false;
    NND_TRY(read_result(g, n, &r, &is));
    if (!is) return NND_OK;
    NND_TRY(nnd_qdq_table(g, &r, &done));
    if (!done && r.core) NND_TRY(nnd_qdq_product(g, &r, &done));
    if (!done && r.core) NND_TRY(nnd_qdq_between(g, &r, &done));
    if (done) (*changes)++;
    return NND_OK;
}

nnd_status nnd_pass_qdq(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    for (size_t i = 0; i < g->node_count; i++)
        if (nnd_match_is(&g->nodes[i], "QuantizeLinear"))
            NND_TRY(try_quantize(g, &g->nodes[i], changes));
    for (size_t i = 0; i < g->node_count; i++) {
        bool done;
        NND_TRY(nnd_qdq_to_float(g, &g->nodes[i], &done));
        if (done) (*changes)++;
    }
    nnd_graph_index(g);
    return NND_OK;
}
