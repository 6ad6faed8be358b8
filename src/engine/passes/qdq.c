/*
 * Dequantise → Conv → (Relu) → quantise becomes one QLinearConv: sums of integers, scaled once, as
 * the runtimes compute for which such models are made. In floating point the rounding of the same
 * model differs by a step here and there, and over many layers the steps add up.
 *
 * A Relu in between says nothing that the quantisation does not say when the zero point is the
 * smallest value of an unsigned type.
 */
#include <string.h>

#include "engine/onnx/onnx.h"
#include "engine/ops/op.h"
#include "engine/passes/pass.h"

enum { CONV_INPUTS = 9 };

static bool is(const nnd_graph_node *n, const char *type)
{
    return !n->dead && !n->domain[0] && strcmp(n->type, type) == 0;
}

static nnd_graph_node *producer(nnd_graph *g, uint32_t value)
{
    uint32_t id = value == NND_NO_ID ? NND_NO_ID : g->values[value].producer;
    return id == NND_NO_ID || g->nodes[id].dead ? NULL : &g->nodes[id];
}

/* The only reader of a value that is no output, if it is of that type. */
static nnd_graph_node *only_reader(nnd_graph *g, uint32_t value, const char *type)
{
    uint32_t id = nnd_graph_single_reader(g, value);
    return id != NND_NO_ID && is(&g->nodes[id], type) ? &g->nodes[id] : NULL;
}

/* The constant behind a value, through Identity nodes: its id, or NND_NO_ID. */
static uint32_t constant_of(nnd_graph *g, uint32_t value)
{
    const nnd_graph_node *n = producer(g, value);
    while (n && is(n, "Identity") && n->inputs[0] != NND_NO_ID) {
        value = n->inputs[0];
        n = producer(g, value);
    }
    return value != NND_NO_ID && g->values[value].is_constant ? value : NND_NO_ID;
}

static bool is_byte(nnd_dtype type)
{
    return type == NND_U8 || type == NND_I8;
}

/* A quantised value without a Cast to the type that it has already. */
static uint32_t without_cast(nnd_graph *g, uint32_t value)
{
    const nnd_graph_node *cast = producer(g, value);
    if (!cast || !is(cast, "Cast")) return value;
    const nnd_graph_node *from = producer(g, cast->inputs[0]);
    size_t zero = from && is(from, "QLinearConv") ? 7 : 2;
    if (!from || (zero == 2 && !is(from, "QuantizeLinear")) || from->formal_count <= zero)
        return value;
    uint32_t point = constant_of(g, from->inputs[zero]);
    nnd_dtype to = nnd_onnx_dtype((uint64_t)nnd_node_int(cast, "to", 0));
    return point != NND_NO_ID && g->values[point].dtype == to ? cast->inputs[0] : value;
}

/* One quantised operand: value, scale and zero point, the last two constant. */
static bool read_operand(nnd_graph *g, const nnd_graph_node *n, bool weights, uint32_t *out)
{
    if (!n || n->formal_count != 3 || n->inputs[0] == NND_NO_ID) return false;
    out[1] = constant_of(g, n->inputs[1]);
    out[2] = constant_of(g, n->inputs[2]);
    out[0] = weights ? constant_of(g, n->inputs[0]) : without_cast(g, n->inputs[0]);
    if (out[0] == NND_NO_ID || out[1] == NND_NO_ID || out[2] == NND_NO_ID) return false;
    const nnd_graph_value *scale = &g->values[out[1]], *zero = &g->values[out[2]];
    if (scale->dtype != NND_F32 || !is_byte(zero->dtype)) return false;
    bool single = nnd_tensor_count(&scale->constant) == 1;
    if (weights && !single && (scale->rank != 1 || nnd_node_int(n, "axis", 1) != 0)) return false;
    return weights || single;
}

/* The bias as it is stored: i32, dequantised by x_scale·w_scale, which is what the sum has too. */
static bool read_bias(nnd_graph *g, const nnd_graph_node *conv, uint32_t *out)
{
    *out = NND_NO_ID;
    if (conv->formal_count < 3 || conv->inputs[2] == NND_NO_ID) return true;
    const nnd_graph_node *n = producer(g, conv->inputs[2]);
    if (!n || !is(n, "DequantizeLinear")) return false;
    *out = constant_of(g, n->inputs[0]);
    return *out != NND_NO_ID && g->values[*out].dtype == NND_I32;
}

/* Everything that the zero point lets through is not negative. */
static nnd_status starts_at_zero(nnd_graph *g, uint32_t zero, bool *out)
{
    const nnd_tensor *t;
    NND_TRY(nnd_graph_constant(g, zero, &t));
    *out = t && t->data && nnd_tensor_count(t) == 1 &&
           nnd_dtype_get(t->dtype, t->data, 0) == (t->dtype == NND_U8 ? 0 : -128);
    return NND_OK;
}

static nnd_status replace(nnd_graph *g, nnd_graph_node *conv, const uint32_t *inputs, size_t count,
                          nnd_graph_node *quantize)
{
    const nnd_op *op = nnd_op_find("", "QLinearConv", conv->opset > 10 ? conv->opset : 10);
    uint32_t *copy = nnd_arena_calloc(&g->arena, count, sizeof(*copy));
    if (!copy) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the model's graph");
    memcpy(copy, inputs, count * sizeof(*copy));
    conv->type = op->name;
    conv->op = op;
    conv->inputs = copy;
    conv->input_count = conv->formal_count = count;
    conv->outputs[0] = quantize->outputs[0];
    quantize->dead = true;
    g->values[conv->outputs[0]].producer = (uint32_t)(conv - g->nodes);
    return NND_OK;
}

static nnd_status try_conv(nnd_graph *g, nnd_graph_node *conv, size_t *changes)
{
    uint32_t inputs[CONV_INPUTS], result[3];
    if (!is(conv, "Conv") || conv->epilogue || conv->outputs[0] == NND_NO_ID) return NND_OK;
    const nnd_graph_node *x = producer(g, conv->inputs[0]), *w = producer(g, conv->inputs[1]);
    if (!x || !w || !is(x, "DequantizeLinear") || !is(w, "DequantizeLinear")) return NND_OK;
    nnd_graph_node *relu = only_reader(g, conv->outputs[0], "Relu");
    uint32_t last = relu ? relu->outputs[0] : conv->outputs[0];
    nnd_graph_node *quantize = last == NND_NO_ID ? NULL : only_reader(g, last, "QuantizeLinear");
    if (!quantize || quantize->inputs[0] != last || quantize->outputs[0] == NND_NO_ID)
        return NND_OK;
    if (!read_operand(g, x, false, inputs) || !read_operand(g, w, true, inputs + 3) ||
        !read_operand(g, quantize, false, result) || !read_bias(g, conv, &inputs[8]))
        return NND_OK;
    bool natural = true;
    if (relu) NND_TRY(starts_at_zero(g, result[2], &natural));
    if (!natural) return NND_OK;
    inputs[6] = result[1];
    inputs[7] = result[2];
    NND_TRY(replace(g, conv, inputs, inputs[8] == NND_NO_ID ? 8 : 9, quantize));
    if (relu) relu->dead = true;
    (*changes)++;
    return NND_OK;
}

nnd_status nnd_pass_qdq(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    for (size_t i = 0; i < g->node_count; i++)
        NND_TRY(try_conv(g, &g->nodes[i], changes));
    nnd_graph_index(g);
    return NND_OK;
}
