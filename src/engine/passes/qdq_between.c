/*
 * What lies between products: sums, products of two activations, averages, concatenation; and what
 * only moves values, which moves bytes as well.
 */
#include <string.h>

#include "engine/ops/qlinear.h"
#include "engine/passes/qdq.h"

#define MS "com.microsoft"

/* Add, Mul: the operators on bytes want one type for both operands and the result. */
static nnd_status try_pair(nnd_graph *g, const nnd_qdq_result *r, const char *type, bool *done)
{
    const nnd_graph_node *n = r->core;
    nnd_qdq_operand a, b;
    bool is;
    NND_TRY(nnd_qdq_read(g, n->inputs[0], &a, &is));
    if (is) NND_TRY(nnd_qdq_read(g, n->inputs[1], &b, &is));
    if (!is || a.type != r->to.type || b.type != r->to.type) return NND_OK;
    const uint32_t inputs[] = {a.codes, a.scale, a.zero,      b.codes,
                               b.scale, b.zero,  r->to.scale, r->to.zero};
    *done = true;
    return nnd_qdq_become(g, r, MS, type, NND_COUNT(inputs), inputs);
}

static nnd_status try_average(nnd_graph *g, const nnd_qdq_result *r, const char *type, bool *done)
{
    nnd_qdq_operand x;
    bool is;
    NND_TRY(nnd_qdq_read(g, r->core->inputs[0], &x, &is));
    if (!is || x.type != r->to.type) return NND_OK;
    const uint32_t inputs[] = {x.codes, x.scale, x.zero, r->to.scale, r->to.zero};
    *done = true;
    return nnd_qdq_become(g, r, MS, type, NND_COUNT(inputs), inputs);
}

/* ---- what moves values ------------------------------------------------------------------------
 */

/* Its result is made of elements of input 0, or the largest of some. */
static bool moves(const nnd_graph_node *n)
{
    static const char *const types[] = {
        "MaxPool",  "Reshape",      "Transpose",    "Flatten", "Squeeze", "Unsqueeze", "Slice",
        "Identity", "DepthToSpace", "SpaceToDepth", "Gather",  "Expand",  "Tile"};
    if (n->output_count > 1 && n->outputs[1] != NND_NO_ID) return false;
    for (size_t i = 0; i < NND_COUNT(types); i++)
        if (nnd_match_is(n, types[i])) return true;
    /* Outside of the picture there is another value. */
    return (nnd_match_is(n, "Resize") || nnd_match_is(n, "Upsample")) &&
           strcmp(nnd_node_string(n, "mode", "nearest"), "nearest") == 0 &&
           strcmp(nnd_node_string(n, "coordinate_transformation_mode", ""), "tf_crop_and_resize") !=
               0;
}

/* Bytes of one scale move as they are. */
static nnd_status try_move(nnd_graph *g, const nnd_qdq_result *r, bool *done)
{
    nnd_graph_node *n = r->core;
    nnd_qdq_operand x;
    bool is, same;
    if (r->clamp_count) return NND_OK;
    NND_TRY(nnd_qdq_read(g, n->inputs[0], &x, &is));
    if (is) NND_TRY(nnd_qdq_same(g, &x, &r->to, &same));
    if (!is || !same) return NND_OK;
    uint32_t *inputs = nnd_arena_calloc(&g->arena, n->formal_count, sizeof(*inputs));
    if (!inputs) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the model's graph");
    memcpy(inputs, n->inputs, n->formal_count * sizeof(*inputs));
    inputs[0] = x.codes;
    r->quantize->op = n->op;
    r->quantize->type = n->type;
    r->quantize->opset = n->opset;
    r->quantize->name = n->name;
    r->quantize->attrs = n->attrs;
    r->quantize->attr_count = n->attr_count;
    r->quantize->inputs = inputs;
    r->quantize->input_count = r->quantize->formal_count = n->formal_count;
    n->dead = true;
    *done = true;
    return NND_OK;
}

/* ---- Concat -----------------------------------------------------------------------------------
 */

enum { RESULT = 2, EACH = 3 }; /* scale and zero point of the result; each operand and its own */

/* Plain when nothing has to be given another scale. */
static nnd_status become_concat(nnd_graph *g, const nnd_qdq_result *r, uint32_t *inputs,
                                size_t count, bool plain)
{
    if (!plain) return nnd_qdq_become(g, r, MS, "QLinearConcat", RESULT + EACH * count, inputs);
    for (size_t i = 0; i < count; i++)
        inputs[i] = inputs[RESULT + EACH * i];
    return nnd_qdq_become(g, r, "", "Concat", count, inputs);
}

static nnd_status try_concat(nnd_graph *g, const nnd_qdq_result *r, bool *done)
{
    const nnd_graph_node *n = r->core;
    size_t count = n->formal_count;
    bool plain = true;
    if (r->clamp_count || !nnd_node_attr(n, "axis")) return NND_OK;
    uint32_t *inputs = nnd_arena_calloc(&g->arena, RESULT + EACH * count, sizeof(*inputs));
    if (!inputs) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the model's graph");
    inputs[0] = r->to.scale;
    inputs[1] = r->to.zero;
    for (size_t i = 0; i < count; i++) {
        nnd_qdq_operand x;
        bool is, same;
        NND_TRY(nnd_qdq_read(g, n->inputs[i], &x, &is));
        if (!is || x.type != r->to.type) return NND_OK;
        NND_TRY(nnd_qdq_same(g, &x, &r->to, &same));
        plain = plain && same;
        inputs[RESULT + EACH * i] = x.codes;
        inputs[RESULT + EACH * i + 1] = x.scale;
        inputs[RESULT + EACH * i + 2] = x.zero;
    }
    *done = true;
    return become_concat(g, r, inputs, count, plain);
}

nnd_status nnd_qdq_between(nnd_graph *g, const nnd_qdq_result *r, bool *done)
{
    const nnd_graph_node *n = r->core;
    *done = false;
    if (nnd_match_is_binary(n, "Add")) return try_pair(g, r, "QLinearAdd", done);
    if (nnd_match_is_binary(n, "Mul")) return try_pair(g, r, "QLinearMul", done);
    if (nnd_match_is(n, "GlobalAveragePool"))
        return try_average(g, r, "QLinearGlobalAveragePool", done);
    if (nnd_match_is(n, "AveragePool")) return try_average(g, r, "QLinearAveragePool", done);
    if (nnd_match_is(n, "Concat")) return try_concat(g, r, done);
    return moves(n) ? try_move(g, r, done) : NND_OK;
}
