/*
 * Moves a Pad with zeros around the picture into the padding of the Conv that alone reads it.
 */
#include <string.h>

#include "engine/ops/op.h"
#include "engine/passes/pass.h"

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

static nnd_status pads_with_zeros(nnd_graph *g, const nnd_graph_node *pad, bool *yes)
{
    const nnd_tensor *t;
    *yes = !pad->domain[0] && strcmp(pad->type, "Pad") == 0 &&
           strcmp(nnd_node_string(pad, "mode", "constant"), "constant") == 0;
    if (!*yes || pad->opset < 11) {
        *yes = *yes && nnd_node_float(pad, "value", 0.0f) == 0.0f;
        return NND_OK;
    }
    bool has_axes = pad->formal_count > 3 && pad->inputs[3] != NND_NO_ID;
    *yes = pad->formal_count > 1 && pad->inputs[1] != NND_NO_ID && !has_axes;
    if (!*yes || pad->formal_count < 3 || pad->inputs[2] == NND_NO_ID) return NND_OK;
    NND_TRY(nnd_graph_constant(g, pad->inputs[2], &t));
    *yes = t && t->data && t->dtype == NND_F32 && nnd_tensor_count(t) == 1 &&
           *(const float *)t->data == 0.0f;
    return NND_OK;
}

/* Rank of the pictures when the node is a Conv with padding of its own choice, else 0. */
static int conv_rank(const nnd_graph *g, const nnd_graph_node *n)
{
    if (!n->op || n->op->domain[0] || strcmp(n->op->name, "Conv") != 0 || n->formal_count < 2)
        return 0;
    const char *automatic = nnd_node_string(n, "auto_pad", "NOTSET");
    const nnd_graph_value *w = &g->values[n->inputs[1]];
    /* VALID ignores the list. */
    if (strcmp(automatic, "NOTSET") != 0 || !w->is_constant || w->constant.rank > 5) return 0;
    return w->constant.rank >= 3 ? w->constant.rank : 0;
}

static nnd_status set_pads(nnd_graph *g, nnd_graph_node *conv, const int64_t *pads, size_t count)
{
    for (size_t i = 0; i < conv->attr_count; i++) {
        nnd_attr *a = &conv->attrs[i];
        if (strcmp(a->name, "pads") != 0) continue;
        int64_t *list = nnd_arena_calloc(&g->arena, count, sizeof(*list));
        if (!list) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the pad pass");
        memcpy(list, pads, count * sizeof(*list));
        a->u.ints = list;
        return NND_OK;
    }
    return nnd_node_add_ints(g, conv, "pads", pads, count);
}

static nnd_status try_pad(nnd_graph *g, nnd_graph_node *conv, bool *done)
{
    int64_t outer[2 * NND_MAX_RANK] = {0}, pads[2 * NND_MAX_RANK] = {0};
    int rank = conv_rank(g, conv);
    uint32_t producer = rank ? g->values[conv->inputs[0]].producer : NND_NO_ID;
    if (producer == NND_NO_ID || nnd_graph_single_reader(g, conv->inputs[0]) == NND_NO_ID)
        return NND_OK;
    nnd_graph_node *pad = &g->nodes[producer];
    bool ok;
    NND_TRY(pads_with_zeros(g, pad, &ok));
    if (ok) NND_TRY(read_pads(g, pad, outer, 2 * (size_t)rank, &ok));
    size_t own_count, count = 2 * (size_t)(rank - 2);
    const int64_t *own = nnd_node_ints(conv, "pads", &own_count);
    if (!ok || (own && own_count != count)) return NND_OK;
    for (int side = 0; side < 2; side++) {
        for (int d = 0; d < rank; d++) {
            int64_t zeros = outer[side * rank + d];
            if (zeros < 0 || zeros > INT32_MAX || (d < 2 && zeros)) return NND_OK;
            if (d < 2) continue;
            size_t at = (size_t)(side * (rank - 2) + d - 2);
            pads[at] = zeros + (own ? own[at] : 0);
        }
    }
    NND_TRY(set_pads(g, conv, pads, count));
    conv->inputs[0] = pad->inputs[0];
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
