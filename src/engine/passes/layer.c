#include "engine/passes/layer.h"

#include <string.h>

#include "engine/passes/match.h"

/* The weights as outer × channels × inner; a group's channels lie behind those of the one before.
 */
typedef struct weight_view {
    size_t outer, channels, inner;
    size_t outer_per_group;
} weight_view;

static nnd_layer_kind kind_of(const nnd_graph_node *n)
{
    static const struct {
        const char *type;
        nnd_layer_kind kind;
    } kinds[] = {{"Conv", NND_LAYER_CONV},
                 {"ConvTranspose", NND_LAYER_CONV_TRANSPOSE},
                 {"Gemm", NND_LAYER_GEMM},
                 {"MatMul", NND_LAYER_MATMUL}};
    for (size_t i = 0; i < NND_COUNT(kinds); i++)
        if (nnd_match_is(n, kinds[i].type)) return kinds[i].kind;
    return NND_LAYER_NONE;
}

static bool is_product(const nnd_layer *l)
{
    return l->kind == NND_LAYER_GEMM || l->kind == NND_LAYER_MATMUL;
}

/* False when the weights are none for this layer. */
static bool view_of(const nnd_layer *l, weight_view *out)
{
    const nnd_tensor *w = &l->weight;
    if (w->rank < 2 || is_product(l) != (w->rank == 2)) return false;
    size_t first = (size_t)w->dims[0], second = (size_t)w->dims[1];
    *out = (weight_view){1, first, (size_t)nnd_op_span(w, 1, w->rank), 1};
    if (l->kind == NND_LAYER_CONV_TRANSPOSE) {
        int64_t group = nnd_node_int(l->node, "group", 1);
        if (group < 1 || w->dims[0] % group != 0) return false;
        *out =
            (weight_view){first, second, (size_t)nnd_op_span(w, 2, w->rank), first / (size_t)group};
    } else if (l->kind == NND_LAYER_MATMUL ||
               (l->kind == NND_LAYER_GEMM && !nnd_node_int(l->node, "transB", 0))) {
        *out = (weight_view){first, second, 1, first};
    }
    return nnd_tensor_count(w) > 0;
}

static nnd_status match_bias(nnd_graph *g, nnd_layer *l, bool *ok)
{
    const nnd_graph_node *n = l->node;
    const nnd_tensor *bias;
    if (n->formal_count < 3 || n->inputs[2] == NND_NO_ID) return NND_OK;
    NND_TRY(nnd_match_floats(g, n->inputs[2], &bias));
    *ok = bias && bias->rank == 1 && bias->dims[0] == l->channels;
    if (*ok) l->bias = *bias;
    return NND_OK;
}

nnd_status nnd_layer_match(nnd_graph *g, uint32_t value, nnd_layer *out)
{
    weight_view view;
    *out = (nnd_layer){0};
    uint32_t maker = value == NND_NO_ID ? NND_NO_ID : g->values[value].producer;
    if (maker == NND_NO_ID || nnd_graph_single_reader(g, value) == NND_NO_ID) return NND_OK;
    nnd_layer l = {.node = &g->nodes[maker], .kind = kind_of(&g->nodes[maker])};
    const nnd_graph_node *n = l.node;
    if (!l.kind || !n->op || n->epilogue || n->formal_count < 2 || n->formal_count > 3 ||
        n->formal_count != n->input_count || n->inputs[1] == NND_NO_ID)
        return NND_OK;
    const nnd_graph_value *w = &g->values[n->inputs[1]];
    if (!w->is_constant || w->constant.dtype != NND_F32 || !w->constant.data) return NND_OK;
    if (l.kind == NND_LAYER_GEMM && nnd_node_float(n, "beta", 1.0f) != 1.0f) return NND_OK;
    l.weight = w->constant;
    if (!view_of(&l, &view)) return NND_OK;
    l.channels = (int64_t)(view.channels * (view.outer / view.outer_per_group));
    bool ok = true;
    NND_TRY(match_bias(g, &l, &ok));
    if (ok) *out = l;
    return NND_OK;
}

int nnd_layer_channels_from_end(const nnd_layer *l)
{
    return is_product(l) ? 1 : l->weight.rank - 1;
}

/* A copy that nobody else reads is scaled where it lies. */
static nnd_status scale_weight(nnd_graph *g, const nnd_layer *l, const double *factor, uint32_t *id)
{
    const nnd_tensor *aligned;
    weight_view v = {0};
    NND_TRY(nnd_graph_constant(g, *id, &aligned));
    const nnd_graph_value *old = &g->values[*id];
    if (!old->owned || old->uses != 1 || old->held) {
        nnd_tensor copy = *aligned;
        NND_TRY(nnd_graph_add_constant(g, NULL, &copy, id));
    }
    (void)view_of(l, &v);
    float *w = g->values[*id].constant.data;
    for (size_t o = 0; o < v.outer; o++)
        for (size_t c = 0; c < v.channels; c++) {
            double by = factor[o / v.outer_per_group * v.channels + c];
            for (size_t i = 0; i < v.inner; i++, w++)
                *w = (float)((double)*w * by);
        }
    return NND_OK;
}

static nnd_status make_bias(nnd_graph *g, const nnd_layer *l, const double *factor,
                            const double *summand, uint32_t *id)
{
    nnd_tensor t;
    float *bias = nnd_alloc_aligned((size_t)l->channels * sizeof(*bias), 64);
    if (!bias) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a bias");
    const float *old = l->bias.data;
    for (int64_t c = 0; c < l->channels; c++) {
        double b = old ? (double)old[c] : 0.0;
        if (factor) b *= factor[c];
        if (summand) b += summand[c];
        bias[c] = (float)b;
    }
    nnd_status status = nnd_tensor_init(&t, NND_F32, 1, &l->channels, bias);
    if (status == NND_OK) status = nnd_graph_add_value(g, NULL, id);
    if (status == NND_OK) return nnd_graph_set_constant(g, *id, &t, bias);
    nnd_free_aligned(bias);
    return status;
}

nnd_status nnd_layer_apply(nnd_graph *g, const nnd_layer *l, const double *factor,
                           const double *summand)
{
    uint32_t weight = l->node->inputs[1], bias = NND_NO_ID;
    if (l->bias.data || summand) NND_TRY(make_bias(g, l, factor, summand, &bias));
    if (factor) NND_TRY(scale_weight(g, l, factor, &weight));
    uint32_t *inputs = nnd_arena_calloc(&g->arena, 3, sizeof(*inputs));
    if (!inputs) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the model's graph");
    inputs[0] = l->node->inputs[0];
    inputs[1] = weight;
    inputs[2] = bias;
    l->node->inputs = inputs;
    l->node->input_count = l->node->formal_count = bias == NND_NO_ID ? 2 : 3;
    return NND_OK;
}

void nnd_layer_take_over(const nnd_layer *l, nnd_graph_node *last)
{
    l->node->outputs[0] = last->outputs[0];
    last->dead = true;
}
