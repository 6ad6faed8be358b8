/*
 * Moves arithmetic with constants into the layer before it, where only it reads that layer's
 * result: a factor or quotient per channel into the weights and bias of a convolution, a summand
 * per channel into the bias of any layer. A MatMul gets the bias as a third input, which its
 * operator takes although ONNX does not know it.
 *
 * At most one step per layer and round, so that a chain of them costs no more than a few copies.
 */
#include <math.h>
#include <string.h>

#include "engine/passes/layer.h"
#include "engine/passes/match.h"
#include "engine/passes/pass.h"

typedef struct folding {
    nnd_layer layer;
    nnd_graph_node *last;      /* the arithmetic */
    const nnd_tensor *operand; /* one element, or one per channel */
    char sign;                 /* '+', '-', '*', '/' */
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

static bool is_product(const folding *f)
{
    return f->sign == '*' || f->sign == '/';
}

static bool is_convolution(const nnd_layer *l)
{
    return l->kind == NND_LAYER_CONV || l->kind == NND_LAYER_CONV_TRANSPOSE;
}

/* The operand broadcasts along the channels only and does not make the result larger. */
static bool fits(const nnd_graph *g, const folding *f)
{
    const nnd_tensor *t = f->operand;
    int64_t count = nnd_tensor_count(t);
    int rank = is_convolution(&f->layer) ? f->layer.weight.rank
                                         : nnd_match_rank(g, f->layer.node->outputs[0]);
    if (rank < 0) rank = 1; /* every result has at least one dimension */
    if (t->rank > rank || (count != 1 && count != f->layer.channels)) return false;
    if (count == 1) return true;
    int channel = t->rank - nnd_layer_channels_from_end(&f->layer);
    return channel >= 0 && t->dims[channel] == count;
}

static nnd_status match(nnd_graph *g, nnd_graph_node *last, folding *f, bool *ok)
{
    *f = (folding){.last = last, .sign = sign_of(last)};
    *ok = false;
    for (size_t k = 0; f->sign && k < 2 && !f->operand; k++) {
        /* A constant less, or divided by, the layer is something else. */
        if (k && (f->sign == '-' || f->sign == '/')) break;
        NND_TRY(nnd_layer_match(g, last->inputs[k], &f->layer));
        if (f->layer.kind) NND_TRY(nnd_match_floats(g, last->inputs[1 - k], &f->operand));
    }
    if (!f->operand || (is_product(f) && !is_convolution(&f->layer))) return NND_OK;
    /* Weights that several layers read would be copied for each of them. */
    bool grows = nnd_tensor_count(f->operand) == 1 && f->layer.channels > 1;
    bool alone = g->values[f->layer.node->inputs[1]].uses == 1;
    *ok = fits(g, f) && (alone || !(is_product(f) || grows));
    for (int64_t i = 0; *ok && f->sign == '/' && i < nnd_tensor_count(f->operand); i++)
        *ok = ((const float *)f->operand->data)[i] != 0.0f;
    return NND_OK;
}

/* ---- folding ------------------------------------------------------------------------------- */

static nnd_status fold(nnd_graph *g, const folding *f)
{
    size_t channels = (size_t)f->layer.channels;
    const float *operand = f->operand->data;
    bool one = nnd_tensor_count(f->operand) == 1;
    double *numbers = nnd_calloc(channels, sizeof(*numbers));
    if (!numbers) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a factor");
    for (size_t c = 0; c < channels; c++) {
        double v = (double)operand[one ? 0 : c];
        numbers[c] = f->sign == '-' ? -v : f->sign == '/' ? 1.0 / v : v;
    }
    nnd_status status = nnd_layer_apply(g, &f->layer, is_product(f) ? numbers : NULL,
                                        is_product(f) ? NULL : numbers);
    if (status == NND_OK) nnd_layer_take_over(&f->layer, f->last);
    nnd_free(numbers);
    return status;
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
