/*
 * Moves arithmetic with constants into the layer before it, where only it reads that layer's
 * result: a factor or quotient per channel into the weights and bias of a Conv, a summand per
 * channel into the bias of a Conv, Gemm or MatMul. A MatMul gets the bias as a third input, which
 * its operator takes although ONNX does not know it.
 *
 * At most one step per layer and round, so that a chain of them costs no more than a few copies.
 */
#include <math.h>
#include <string.h>

#include "engine/passes/match.h"
#include "engine/passes/pass.h"

typedef struct folding {
    nnd_graph_node *layer, *last; /* last: the arithmetic */
    const nnd_tensor *operand;    /* one element, or one per channel */
    const nnd_tensor *weight, *bias;
    int64_t channels;
    bool is_conv;
    char sign; /* '+', '-', '*', '/' */
} folding;

/* ---- matching ------------------------------------------------------------------------------ */

static char sign_of(const nnd_graph_node *n)
{
    static const struct {
        const char *type;
        char sign;
    } signs[] = {{"Add", '+'}, {"Sub", '-'}, {"Mul", '*'}, {"Div", '/'}};
    /* Before opset 7 operands broadcast by an attribute. */
    for (size_t i = 0; i < NND_COUNT(signs) && n->opset >= 7; i++)
        if (nnd_match_is_binary(n, signs[i].type)) return signs[i].sign;
    return 0;
}

/* The layer with constant weights that makes `value` for one reader. */
static nnd_graph_node *layer_of(nnd_graph *g, uint32_t value)
{
    nnd_graph_node *n = nnd_match_maker(g, value, "Conv");
    if (!n) n = nnd_match_maker(g, value, "Gemm");
    if (!n) n = nnd_match_maker(g, value, "MatMul");
    if (!n || n->epilogue || n->formal_count < 2 || n->formal_count > 3 || !n->op ||
        n->formal_count != n->input_count || nnd_graph_single_reader(g, value) == NND_NO_ID)
        return NULL;
    const nnd_graph_value *w = &g->values[n->inputs[1]];
    bool ok = w->is_constant && w->dtype == NND_F32 && w->constant.data;
    return ok && (w->rank >= 3) == (strcmp(n->type, "Conv") == 0) && w->rank >= 2 ? n : NULL;
}

/* The operand broadcasts along the channels only and does not make the result larger. */
static bool fits(const nnd_graph *g, const folding *f)
{
    const nnd_tensor *t = f->operand;
    int64_t count = nnd_tensor_count(t);
    int rank = f->is_conv ? f->weight->rank : nnd_match_rank(g, f->layer->outputs[0]);
    if (rank < 0) rank = 1; /* every result has at least one dimension */
    if (t->rank > rank || (count != 1 && count != f->channels)) return false;
    if (count == 1) return true;
    int channel = t->rank - (f->is_conv ? f->weight->rank - 1 : 1);
    return channel >= 0 && t->dims[channel] == count;
}

static nnd_status match_bias(nnd_graph *g, folding *f, bool *ok)
{
    const nnd_graph_node *n = f->layer;
    if (n->formal_count < 3 || n->inputs[2] == NND_NO_ID) return NND_OK;
    NND_TRY(nnd_match_floats(g, n->inputs[2], &f->bias));
    *ok = f->bias && f->bias->rank == 1 && f->bias->dims[0] == f->channels;
    return NND_OK;
}

static nnd_status match(nnd_graph *g, nnd_graph_node *last, folding *f, bool *ok)
{
    *f = (folding){.last = last, .sign = sign_of(last)};
    *ok = false;
    for (size_t k = 0; f->sign && k < 2 && !f->operand; k++) {
        /* A constant less, or divided by, the layer is something else. */
        if (k && (f->sign == '-' || f->sign == '/')) break;
        f->layer = layer_of(g, last->inputs[k]);
        if (f->layer) NND_TRY(nnd_match_floats(g, last->inputs[1 - k], &f->operand));
    }
    if (!f->operand) return NND_OK;
    const nnd_graph_value *w = &g->values[f->layer->inputs[1]];
    f->weight = &w->constant;
    f->is_conv = w->rank >= 3;
    bool gemm = strcmp(f->layer->type, "Gemm") == 0;
    f->channels = w->constant.dims[!f->is_conv && !(gemm && nnd_node_int(f->layer, "transB", 0))];
    if (!f->is_conv && (f->sign == '*' || f->sign == '/' || w->rank != 2)) return NND_OK;
    if (gemm && nnd_node_float(f->layer, "beta", 1.0f) != 1.0f) return NND_OK;
    /* Weights that several layers read would be copied for each of them. */
    bool copies = f->is_conv && (f->sign == '*' || f->sign == '/');
    bool grows = nnd_tensor_count(f->operand) == 1 && f->channels > 1;
    *ok = f->channels > 0 && fits(g, f) && (w->uses == 1 || !(copies || grows));
    if (*ok) NND_TRY(match_bias(g, f, ok));
    for (int64_t i = 0; *ok && f->sign == '/' && i < nnd_tensor_count(f->operand); i++)
        *ok = ((const float *)f->operand->data)[i] != 0.0f;
    return NND_OK;
}

/* ---- folding ------------------------------------------------------------------------------- */

static double operand_at(const folding *f, int64_t channel)
{
    double v =
        (double)((const float *)f->operand->data)[nnd_tensor_count(f->operand) == 1 ? 0 : channel];
    return f->sign == '-' ? -v : f->sign == '/' ? 1.0 / v : v;
}

static nnd_status scale_weight(nnd_graph *g, const folding *f)
{
    uint32_t id = f->layer->inputs[1];
    const nnd_tensor *aligned;
    NND_TRY(nnd_graph_constant(g, id, &aligned));
    if (!g->values[id].owned || g->values[id].held) {
        nnd_tensor copy = *aligned;
        NND_TRY(nnd_graph_add_constant(g, NULL, &copy, &id));
    }
    float *w = g->values[id].constant.data;
    size_t size = (size_t)(nnd_tensor_count(&g->values[id].constant) / f->channels);
    for (int64_t c = 0; c < f->channels; c++) {
        double factor = operand_at(f, c);
        for (size_t i = 0; i < size; i++)
            w[(size_t)c * size + i] = (float)((double)w[(size_t)c * size + i] * factor);
    }
    f->layer->inputs[1] = id;
    return NND_OK;
}

static nnd_status make_bias(nnd_graph *g, const folding *f, uint32_t *id)
{
    nnd_tensor t;
    float *bias = nnd_alloc_aligned((size_t)f->channels * sizeof(*bias), 64);
    if (!bias) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a bias");
    const float *old = f->bias ? f->bias->data : NULL;
    bool product = f->sign == '*' || f->sign == '/';
    for (int64_t c = 0; c < f->channels; c++) {
        double b = old ? (double)old[c] : 0.0;
        bias[c] = (float)(product ? b * operand_at(f, c) : b + operand_at(f, c));
    }
    nnd_status status = nnd_tensor_init(&t, NND_F32, 1, &f->channels, bias);
    if (status == NND_OK) status = nnd_graph_add_value(g, NULL, id);
    if (status == NND_OK) return nnd_graph_set_constant(g, *id, &t, bias);
    nnd_free_aligned(bias);
    return status;
}

static nnd_status fold(nnd_graph *g, const folding *matched)
{
    /* New constants move the table of values, and with it the tensors that the match points to. */
    nnd_tensor operand = *matched->operand,
               old_bias = matched->bias ? *matched->bias : (nnd_tensor){0};
    folding f = *matched;
    f.operand = &operand;
    if (f.bias) f.bias = &old_bias;
    bool product = f.sign == '*' || f.sign == '/';
    uint32_t bias = NND_NO_ID;
    if (!product || f.bias) NND_TRY(make_bias(g, &f, &bias));
    if (product) NND_TRY(scale_weight(g, &f));
    uint32_t *inputs = nnd_arena_calloc(&g->arena, 3, sizeof(*inputs));
    if (!inputs) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the model's graph");
    memcpy(inputs, f.layer->inputs, 2 * sizeof(*inputs));
    inputs[2] = bias;
    f.layer->inputs = inputs;
    f.layer->input_count = f.layer->formal_count = bias == NND_NO_ID ? 2 : 3;
    f.layer->outputs[0] = f.last->outputs[0];
    f.last->dead = true;
    return NND_OK;
}

nnd_status nnd_pass_scale(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    for (size_t i = 0; i < g->node_count; i++) {
        folding f;
        bool ok;
        NND_TRY(match(g, &g->nodes[i], &f, &ok));
        if (!ok) continue;
        NND_TRY(fold(g, &f));
        (*changes)++;
    }
    nnd_graph_index(g);
    return NND_OK;
}
