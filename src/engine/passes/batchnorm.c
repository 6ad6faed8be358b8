/*
 * Folds a BatchNormalization with constant parameters into the layer before it:
 *   scale·(W∗x + b − mean)/√(var + ε) + bias = (f·W)∗x + f·b + (bias − f·mean),  f = scale/√(var +
 * ε)
 */
#include <math.h>
#include <string.h>

#include "engine/passes/layer.h"
#include "engine/passes/match.h"
#include "engine/passes/pass.h"

enum { SCALE, BIAS, MEAN, VARIANCE, PARAMETERS };

typedef struct folding {
    nnd_layer layer;
    nnd_graph_node *norm;
    const float *p[PARAMETERS]; /* of one element per channel */
} folding;

/* Channels are the second dimension of what is normalised. */
static bool fits(const nnd_graph *g, const nnd_layer *l, uint32_t value)
{
    int from_end = nnd_layer_channels_from_end(l);
    return from_end > 1 || nnd_match_rank(g, value) == 2;
}

/* Fills `f` when the pair can be folded. */
static nnd_status match(nnd_graph *g, nnd_graph_node *norm, folding *f, bool *found)
{
    *found = false;
    *f = (folding){.norm = norm};
    if (!nnd_match_is(norm, "BatchNormalization")) return NND_OK;
    if (norm->formal_count < 5 || nnd_node_int(norm, "training_mode", 0)) return NND_OK;
    for (size_t k = 1; k < norm->output_count; k++)
        if (norm->outputs[k] != NND_NO_ID && g->values[norm->outputs[k]].uses) return NND_OK;
    NND_TRY(nnd_layer_match(g, norm->inputs[0], &f->layer));
    if (!f->layer.kind || !fits(g, &f->layer, norm->inputs[0])) return NND_OK;
    for (size_t k = 0; k < PARAMETERS; k++) {
        const nnd_tensor *t;
        if (norm->inputs[k + 1] == NND_NO_ID) return NND_OK;
        NND_TRY(nnd_match_floats(g, norm->inputs[k + 1], &t));
        if (!t || t->rank != 1 || t->dims[0] != f->layer.channels) return NND_OK;
        f->p[k] = t->data;
    }
    *found = true;
    return NND_OK;
}

static nnd_status fold(nnd_graph *g, const folding *f)
{
    size_t channels = (size_t)f->layer.channels;
    double epsilon = (double)nnd_node_float(f->norm, "epsilon", 1e-5f);
    double *factor = nnd_calloc(channels, 2 * sizeof(*factor)), *summand = factor + channels;
    if (!factor) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a normalisation");
    for (size_t c = 0; c < channels; c++) {
        factor[c] = (double)f->p[SCALE][c] / sqrt((double)f->p[VARIANCE][c] + epsilon);
        summand[c] = (double)f->p[BIAS][c] - (double)f->p[MEAN][c] * factor[c];
    }
    nnd_status status = nnd_layer_apply(g, &f->layer, factor, summand);
    if (status == NND_OK) nnd_layer_take_over(&f->layer, f->norm);
    nnd_free(factor);
    return status;
}

nnd_status nnd_pass_batchnorm(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    for (size_t i = 0; i < g->node_count; i++) {
        folding f;
        bool found;
        if (g->nodes[i].dead || g->nodes[i].outputs[0] == NND_NO_ID) continue;
        NND_TRY(match(g, &g->nodes[i], &f, &found));
        if (!found) continue;
        NND_TRY(fold(g, &f));
        (*changes)++;
    }
    nnd_graph_index(g);
    return NND_OK;
}
