/*
 * Models in f16 or bf16 compute in f32: processors have no arithmetic for them that would be as
 * fast, and nothing else of the engine has to know these types. Every value becomes f32, constants
 * are widened at once, and what the model is given and gives keeps its type by a Cast at the
 * border. Results are at least as exact as with roundings in between.
 *
 * Only models that multiply matrices in these types are changed: one that merely stores or moves
 * them stays as it is, and so do those with operators of plug-ins, which may have kernels for them.
 */
#include <string.h>

#include "base/size.h"
#include "engine/kernels/kernels.h"
#include "engine/onnx/onnx.h"
#include "engine/onnx/write.h"
#include "engine/ops/op.h"
#include "engine/passes/pass.h"

enum { CAST_OPSET = 13 };

static bool is_half(nnd_dtype dtype)
{
    return dtype == NND_F16 || dtype == NND_BF16;
}

/* ---- whether it pays, and can be done ------------------------------------------------------ */

static bool multiplies_halves(const nnd_graph *g)
{
    for (size_t i = 0; i < g->node_count; i++) {
        const nnd_graph_node *n = &g->nodes[i];
        for (size_t k = 0; n->op && n->op->flops && k < n->formal_count; k++)
            if (n->inputs[k] != NND_NO_ID && is_half(g->values[n->inputs[k]].dtype)) return true;
    }
    for (const nnd_graph *child = g->children; child; child = child->sibling)
        if (multiplies_halves(child)) return true;
    return false;
}

static bool all_nodes_are_ours(const nnd_graph *g)
{
    for (size_t i = 0; i < g->node_count; i++) {
        const nnd_graph_node *n = &g->nodes[i];
        bool takes_bits = !n->domain[0] && strcmp(n->type, "BitCast") == 0;
        if (!n->op || takes_bits || n->op->flags & NND_OP_BROUGHT ||
            nnd_op_custom_find(n->domain, n->type, n->opset) == n->op)
            return false;
    }
    for (const nnd_graph *child = g->children; child; child = child->sibling)
        if (!all_nodes_are_ours(child)) return false;
    return true;
}

/* Tensors of a type that the file tells; an output is what a node makes. */
static bool borders_are_simple(const nnd_graph *g)
{
    for (size_t i = 0; i < g->input_count + g->output_count; i++) {
        bool out = i >= g->input_count;
        const nnd_graph_value *v = &g->values[out ? g->outputs[i - g->input_count] : g->inputs[i]];
        if (v->dtype == NND_DTYPE_INVALID) return false;
        if (is_half(v->dtype) && (v->type.kind || v->type.optional)) return false;
        if (is_half(v->dtype) && out && v->is_constant) return false;
    }
    return true;
}

/* ---- everything becomes f32 ---------------------------------------------------------------- */

static nnd_status widen_constant(nnd_graph *g, uint32_t id)
{
    const nnd_tensor *t;
    size_t bytes;
    NND_TRY(nnd_graph_constant(g, id, &t));
    size_t count = (size_t)nnd_tensor_count(t);
    if (!nnd_size_mul(count + 1, sizeof(float), &bytes))
        return nnd_error_set(NND_E_OVERFLOW, "a constant in f16 is too large for f32");
    float *data = nnd_alloc_aligned(bytes, NND_KERNEL_ALIGN);
    if (!data) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to widen a constant to f32");
    if (count && t->dtype == NND_F16) nnd_f16_to_f32(t->data, data, count);
    if (count && t->dtype == NND_BF16) nnd_bf16_to_f32(t->data, data, count);
    nnd_tensor wide = *t;
    wide.dtype = NND_F32;
    wide.data = data;
    return nnd_graph_set_constant(g, id, &wide, data);
}

/* Elements that attributes hold may be shared with other constants, so they come after these. */
static nnd_status widen_constants(nnd_graph *g, bool held, size_t *changes)
{
    for (uint32_t i = 0; i < g->value_count; i++) {
        const nnd_graph_value *v = &g->values[i];
        if (!v->is_constant || v->held != held || !is_half(v->constant.dtype)) continue;
        NND_TRY(widen_constant(g, i));
        (*changes)++;
    }
    for (nnd_graph *child = g->children; child; child = child->sibling)
        NND_TRY(widen_constants(child, held, changes));
    return NND_OK;
}

/* Attributes that name a type of the result. */
static void widen_attribute(nnd_attr *a)
{
    static const char *const names[] = {"to", "dtype", "output_dtype", "output_datatype"};
    if (a->kind == NND_ATTR_TENSOR && is_half(a->u.tensor->dtype))
        *a->u.tensor = a->home->values[a->holder].constant;
    for (size_t i = 0; a->kind == NND_ATTR_INT && i < NND_COUNT(names); i++)
        if (strcmp(a->name, names[i]) == 0 && is_half(nnd_onnx_dtype((uint64_t)a->u.i)))
            a->u.i = nnd_onnx_type_code(NND_F32);
}

/* All but the values at the border of the model. */
static void widen_types(nnd_graph *g, const bool *border)
{
    for (uint32_t i = 0; i < g->value_count; i++)
        if (is_half(g->values[i].dtype) && !(border && border[i])) g->values[i].dtype = NND_F32;
    for (size_t i = 0; i < g->node_count; i++)
        for (size_t k = 0; k < g->nodes[i].attr_count; k++)
            widen_attribute(&g->nodes[i].attrs[k]);
    for (nnd_graph *child = g->children; child; child = child->sibling)
        widen_types(child, NULL);
}

/* ---- the border ---------------------------------------------------------------------------- */

/* Who read a value of the border reads the one that stands for it. */
static void redirect(nnd_graph *g, size_t node_count, const uint32_t *stands_for)
{
    for (size_t i = 0; i < node_count; i++)
        for (size_t k = 0; k < g->nodes[i].input_count; k++)
            if (g->nodes[i].inputs[k] != NND_NO_ID)
                g->nodes[i].inputs[k] = stands_for[g->nodes[i].inputs[k]];
    for (nnd_graph *child = g->children; child; child = child->sibling)
        for (size_t i = 0; i < child->capture_count; i++)
            child->captures[i].outer = stands_for[child->captures[i].outer];
}

static nnd_status add_cast(nnd_graph *g, uint32_t from, nnd_dtype to, nnd_graph_node **out)
{
    NND_TRY(nnd_graph_add_node(g, "", "Cast", CAST_OPSET, NULL, 1, &from, 1, NULL, out));
    (*out)->op = nnd_op_find("", "Cast", CAST_OPSET);
    g->values[(*out)->outputs[0]].dtype = to;
    return nnd_node_add_int(g, *out, "to", nnd_onnx_type_code(to));
}

static nnd_status cast_inputs(nnd_graph *g, uint32_t *stands_for)
{
    for (size_t i = 0; i < g->input_count; i++) {
        uint32_t id = g->inputs[i];
        nnd_graph_node *cast;
        if (!is_half(g->values[id].dtype)) continue;
        NND_TRY(add_cast(g, id, NND_F32, &cast));
        stands_for[id] = cast->outputs[0];
    }
    return NND_OK;
}

/* The node that makes an output makes a new value instead, and a Cast the output from that. */
static nnd_status cast_outputs(nnd_graph *g, size_t node_count, const bool *border,
                               uint32_t *stands_for)
{
    for (size_t i = 0; i < node_count; i++) {
        for (size_t k = 0; k < g->nodes[i].output_count; k++) {
            uint32_t id = g->nodes[i].outputs[k];
            nnd_graph_node *cast;
            if (id == NND_NO_ID || !border[id] || !is_half(g->values[id].dtype)) continue;
            NND_TRY(nnd_graph_add_value(g, NULL, &stands_for[id]));
            g->values[stands_for[id]].dtype = NND_F32;
            g->nodes[i].outputs[k] = stands_for[id];
            NND_TRY(add_cast(g, stands_for[id], g->values[id].dtype, &cast));
            cast->outputs[0] = id;
        }
    }
    return NND_OK;
}

/* The nodes from `first` on go to the front of the order. */
static nnd_status move_to_front(nnd_graph *g, size_t first, size_t count)
{
    nnd_graph_node *moved = nnd_calloc(count + 1, sizeof(*moved));
    if (!moved) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to reorder the graph");
    memcpy(moved, g->nodes + first, count * sizeof(*moved));
    memmove(g->nodes + count, g->nodes, first * sizeof(*moved));
    memcpy(g->nodes, moved, count * sizeof(*moved));
    nnd_free(moved);
    return NND_OK;
}

static nnd_status cast_border(nnd_graph *g, const bool *border, uint32_t *stands_for)
{
    size_t before = g->node_count;
    NND_TRY(cast_inputs(g, stands_for));
    size_t casts = g->node_count - before;
    NND_TRY(cast_outputs(g, before, border, stands_for));
    redirect(g, before, stands_for);
    return move_to_front(g, before, casts);
}

static nnd_status widen(nnd_graph *g, bool *border, uint32_t *stands_for, size_t *changes)
{
    for (size_t i = 0; i < g->input_count; i++)
        border[g->inputs[i]] = true;
    for (size_t i = 0; i < g->output_count; i++)
        border[g->outputs[i]] = true;
    for (uint32_t i = 0; i < g->value_count; i++)
        stands_for[i] = i;
    NND_TRY(widen_constants(g, false, changes));
    NND_TRY(widen_constants(g, true, changes));
    widen_types(g, border);
    (*changes)++;
    return cast_border(g, border, stands_for);
}

nnd_status nnd_pass_half(nnd_graph *g, size_t *changes)
{
    if (!multiplies_halves(g) || !all_nodes_are_ours(g) || !borders_are_simple(g)) return NND_OK;
    bool *border = nnd_calloc(g->value_count + 1, sizeof(*border));
    uint32_t *stands_for = nnd_calloc(g->value_count + 1, sizeof(*stands_for));
    nnd_status status = border && stands_for
                            ? widen(g, border, stands_for, changes)
                            : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the half pass");
    nnd_free(border);
    nnd_free(stands_for);
    nnd_graph_index(g);
    return status;
}
