/*
 * Moves a constant Pad around the picture into the padding of the layer that alone reads it: zeros
 * into Conv and AveragePool, and into MaxPool what is never the largest of a window.
 */
#include <float.h>
#include <string.h>

#include "engine/ops/op.h"
#include "engine/passes/match.h"
#include "engine/passes/pass.h"

/* ---- the Pad --------------------------------------------------------------------------------- */

/* The constant list that a Pad works with: attribute before opset 11, input since. */
static nnd_status read_pads(nnd_graph *g, const nnd_graph_node *pad, int64_t *pads, size_t wanted,
                            bool *ok)
{
    size_t count = 0;
    const int64_t *list = nnd_node_ints(pad, pad->opset < 2 ? "paddings" : "pads", &count);
    const nnd_tensor *t = NULL;
    if (pad->opset >= 11) {
        NND_TRY(nnd_graph_constant(g, pad->inputs[1], &t));
        count = t && t->data && t->dtype == NND_I64 ? (size_t)nnd_tensor_count(t) : 0;
        list = t ? t->data : NULL;
    }
    *ok = list && count == wanted;
    if (*ok) memcpy(pads, list, wanted * sizeof(*pads));
    return NND_OK;
}

/* What the Pad puts around the picture; *ok = false for other modes, types and forms. */
static nnd_status read_border(nnd_graph *g, const nnd_graph_node *pad, float *border, bool *ok)
{
    *border = 0.0f;
    *ok = nnd_match_is(pad, "Pad") &&
          strcmp(nnd_node_string(pad, "mode", "constant"), "constant") == 0;
    if (!*ok || pad->opset < 11) {
        *border = nnd_node_float(pad, "value", 0.0f);
        return NND_OK;
    }
    bool has_axes = pad->formal_count > 3 && pad->inputs[3] != NND_NO_ID;
    *ok = pad->formal_count > 1 && pad->inputs[1] != NND_NO_ID && !has_axes;
    if (!*ok || pad->formal_count < 3 || pad->inputs[2] == NND_NO_ID) return NND_OK;
    return nnd_match_number(g, pad->inputs[2], border, ok);
}

/* ---- the layer ------------------------------------------------------------------------------- */

typedef enum layer_kind { OTHER, CONV, AVERAGE, MAX } layer_kind;

/* Lists of the node; padding is the begin of each dimension, then the end of each. */
typedef struct layer {
    layer_kind kind;
    size_t spatial;
    const int64_t *pads, *dilations; /* NULL = zeros, ones */
    const int64_t *window;           /* of a pooling */
    bool ceil_mode;
} layer;

static layer_kind kind_of(const nnd_graph_node *n)
{
    if (n->dead || !n->op || n->op->domain[0] || !n->formal_count) return OTHER;
    if (strcmp(n->op->name, "Conv") == 0 && n->formal_count >= 2) return CONV;
    if (strcmp(n->op->name, "AveragePool") == 0) return AVERAGE;
    return strcmp(n->op->name, "MaxPool") == 0 ? MAX : OTHER;
}

/* False for what is no layer with a padding of its own choice, and for lists that do not fit
   together: running the model says what is wrong with those. */
static bool read_layer(const nnd_graph *g, const nnd_graph_node *n, layer *l)
{
    size_t pads, dilations;
    *l = (layer){.kind = kind_of(n)};
    if (l->kind == OTHER) return false;
    const char *automatic = nnd_node_string(n, "auto_pad", "NOTSET");
    bool none = strcmp(automatic, "VALID") == 0; /* whatever the list says */
    if (!none && strcmp(automatic, "NOTSET") != 0) return false;
    l->pads = nnd_node_ints(n, "pads", &pads);
    l->dilations = nnd_node_ints(n, "dilations", &dilations);
    l->ceil_mode = nnd_node_int(n, "ceil_mode", 0) != 0;
    l->window = nnd_node_ints(n, "kernel_shape", &l->spatial);
    if (l->kind == CONV) {
        const nnd_graph_value *w = &g->values[n->inputs[1]];
        l->spatial = w->is_constant && w->constant.rank > 2 ? (size_t)w->constant.rank - 2 : 0;
    }
    if (l->spatial < 1 || l->spatial > 3) return false;
    if (l->pads && pads != 2 * l->spatial) return false;
    if (none) l->pads = NULL;
    return !l->dilations || dilations == l->spatial;
}

/* Its own padding and the border together. False when the Pad does something to batch or channels,
   or cuts. */
static bool add_border(const layer *l, const int64_t *border, int64_t *pads)
{
    size_t rank = l->spatial + 2;
    for (size_t side = 0; side < 2; side++) {
        for (size_t d = 0; d < rank; d++) {
            int64_t cells = border[side * rank + d];
            if (cells < 0 || cells > INT32_MAX || (d < 2 && cells)) return false;
            if (d < 2) continue;
            size_t at = side * l->spatial + d - 2;
            pads[at] = cells + (l->pads ? l->pads[at] : 0);
        }
    }
    return true;
}

/* ---- poolings -------------------------------------------------------------------------------- */

/* Whether no element of the value is below zero, by the operator that makes it. */
static nnd_status is_positive(nnd_graph *g, uint32_t value, bool *yes)
{
    static const char *const positive[] = {"Relu",     "Sigmoid",     "Abs",    "Exp",
                                           "Softplus", "HardSigmoid", "Softmax"};
    uint32_t id = g->values[value].producer;
    *yes = false;
    if (id == NND_NO_ID) return NND_OK;
    const nnd_graph_node *n = &g->nodes[id];
    switch (n->epilogue) {
    case NND_EPILOGUE_NONE:
        break;
    case NND_EPILOGUE_RELU:
    case NND_EPILOGUE_SIGMOID:
    case NND_EPILOGUE_HARD_SIGMOID:
        *yes = true;
        return NND_OK;
    case NND_EPILOGUE_CLIP:
        *yes = n->epilogue_a >= 0;
        return NND_OK;
    default:
        return NND_OK;
    }
    for (size_t i = 0; i < NND_COUNT(positive); i++)
        *yes = *yes || nnd_match_is(n, positive[i]);
    if (*yes || !nnd_match_is(n, "Clip")) return NND_OK;
    float low = nnd_node_float(n, "min", -FLT_MAX);
    bool known = n->opset < 11;
    if (!known && n->formal_count > 1) NND_TRY(nnd_match_number(g, n->inputs[1], &low, &known));
    *yes = known && low >= 0;
    return NND_OK;
}

/* Every window of a pooling sees a cell of the picture (unless that has none): the padding on each
   side is less than the window, which has no holes. */
static bool sees_picture(const layer *l, const int64_t *pads)
{
    for (size_t i = 0; i < 2 * l->spatial; i++) {
        size_t d = i % l->spatial;
        if (pads[i] >= l->window[d] || (l->dilations && l->dilations[d] != 1)) return false;
    }
    return true;
}

/* The last window of ceil mode starts inside of the picture: a border at the end was part of that,
   padding is not. */
static bool keeps_size(const layer *l, const int64_t *border)
{
    for (size_t d = 0; d < l->spatial; d++)
        if (l->ceil_mode && border[l->spatial + 2 + d + 2]) return false;
    return true;
}

/* Cells of the border count, so those of the padding have to, and nothing else may be among them.
 */
static bool counts_cells(const nnd_graph_node *n, const layer *l)
{
    if (nnd_node_int(n, "count_include_pad", 0) != 0) return true;
    for (size_t i = 0; l->pads && i < 2 * l->spatial; i++)
        if (l->pads[i]) return false;
    return true;
}

/* Padding is never the largest: neither may the border be. Positions of the largest (output 1)
   count the cells of the border. */
static nnd_status is_never_largest(nnd_graph *g, const nnd_graph_node *pool, uint32_t picture,
                                   float border, bool *yes)
{
    *yes = false;
    if (pool->output_count > 1 && pool->outputs[1] != NND_NO_ID) return NND_OK;
    *yes = border <= -FLT_MAX;
    return border == 0.0f ? is_positive(g, picture, yes) : NND_OK;
}

/* ---- the pass -------------------------------------------------------------------------------- */

static nnd_status set_pads(nnd_graph *g, nnd_graph_node *n, const int64_t *pads, size_t count)
{
    for (size_t i = 0; i < n->attr_count; i++) {
        nnd_attr *a = &n->attrs[i];
        if (strcmp(a->name, "auto_pad") == 0) a->u.s = (nnd_string){"NOTSET", 6};
        if (strcmp(a->name, "pads") != 0) continue;
        int64_t *list = nnd_arena_calloc(&g->arena, count, sizeof(*list));
        if (!list) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the pad pass");
        memcpy(list, pads, count * sizeof(*list));
        a->u.ints = list;
    }
    return nnd_node_attr(n, "pads") ? NND_OK : nnd_node_add_ints(g, n, "pads", pads, count);
}

static nnd_status set_counting(nnd_graph *g, nnd_graph_node *pool)
{
    for (size_t i = 0; i < pool->attr_count; i++) {
        if (strcmp(pool->attrs[i].name, "count_include_pad") != 0) continue;
        pool->attrs[i].u.i = 1;
        return NND_OK;
    }
    return nnd_node_add_int(g, pool, "count_include_pad", 1);
}

static nnd_status try_pad(nnd_graph *g, nnd_graph_node *n, bool *done)
{
    layer l;
    int64_t list[2 * NND_MAX_RANK] = {0}, pads[2 * NND_MAX_RANK] = {0};
    float border;
    bool ok;
    if (!read_layer(g, n, &l) || n->inputs[0] == NND_NO_ID) return NND_OK;
    uint32_t producer = g->values[n->inputs[0]].producer;
    if (producer == NND_NO_ID || nnd_graph_single_reader(g, n->inputs[0]) == NND_NO_ID)
        return NND_OK;
    nnd_graph_node *pad = &g->nodes[producer];
    NND_TRY(read_border(g, pad, &border, &ok));
    if (ok) NND_TRY(read_pads(g, pad, list, 2 * (l.spatial + 2), &ok));
    if (!ok || !add_border(&l, list, pads)) return NND_OK;
    if (l.kind == MAX)
        NND_TRY(is_never_largest(g, n, pad->inputs[0], border, &ok));
    else
        ok = border == 0.0f;
    if (l.kind == AVERAGE) ok = ok && counts_cells(n, &l);
    if (l.kind != CONV) ok = ok && keeps_size(&l, list) && sees_picture(&l, pads);
    if (!ok) return NND_OK;
    if (l.kind == AVERAGE) NND_TRY(set_counting(g, n));
    NND_TRY(set_pads(g, n, pads, 2 * l.spatial));
    n->inputs[0] = pad->inputs[0];
    pad->dead = *done = true;
    return NND_OK;
}

nnd_status nnd_pass_pad(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    for (size_t i = 0; i < g->node_count; i++) {
        bool done = false;
        if (!g->nodes[i].dead) NND_TRY(try_pad(g, &g->nodes[i], &done));
        *changes += done;
    }
    nnd_graph_index(g);
    return NND_OK;
}
