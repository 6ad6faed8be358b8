/*
 * Folds a BatchNormalization with constant parameters into the layer before it:
 *   scale·(W∗x + b − mean)/√(var + ε) + bias = (f·W)∗x + f·b + (bias − f·mean),  f = scale/√(var +
 * ε)
 *
 * One of pictures that has no such layer before it becomes a Conv of its own, channel by channel
 * with a window of one pixel: that takes blocked pictures, and an activation behind it. It waits
 * for the nominal shapes, and so until arithmetic in between has gone into the layer.
 */
#include <math.h>

#include "engine/passes/layer.h"
#include "engine/passes/match.h"
#include "engine/passes/pass.h"

enum { SCALE, BIAS, MEAN, VARIANCE, PARAMETERS };
/* Pictures of fewer channels gain nothing by lying in blocks. */
enum { MIN_CHANNELS = 16 };

typedef struct normal {
    nnd_graph_node *node;
    size_t channels;
    const float *p[PARAMETERS]; /* of one element per channel */
} normal;

static nnd_status match(nnd_graph *g, nnd_graph_node *n, normal *out, bool *found)
{
    *found = false;
    *out = (normal){.node = n};
    if (!nnd_match_is(n, "BatchNormalization")) return NND_OK;
    if (n->formal_count < 5 || nnd_node_int(n, "training_mode", 0)) return NND_OK;
    for (size_t k = 1; k < n->output_count; k++)
        if (n->outputs[k] != NND_NO_ID && g->values[n->outputs[k]].uses) return NND_OK;
    for (size_t k = 0; k < PARAMETERS; k++) {
        const nnd_tensor *t;
        if (n->inputs[k + 1] == NND_NO_ID) return NND_OK;
        NND_TRY(nnd_match_floats(g, n->inputs[k + 1], &t));
        if (!t || t->rank != 1 || (k && (size_t)t->dims[0] != out->channels)) return NND_OK;
        out->p[k] = t->data;
        out->channels = (size_t)t->dims[0];
    }
    *found = n->inputs[0] != NND_NO_ID && out->channels > 0;
    return NND_OK;
}

/* The result is factor · x + summand; room for both, in one block. */
static double *factors_of(const normal *n)
{
    double epsilon = (double)nnd_node_float(n->node, "epsilon", 1e-5f);
    double *factor = nnd_calloc(n->channels, 2 * sizeof(*factor));
    for (size_t c = 0; factor && c < n->channels; c++) {
        factor[c] = (double)n->p[SCALE][c] / sqrt((double)n->p[VARIANCE][c] + epsilon);
        factor[n->channels + c] = (double)n->p[BIAS][c] - (double)n->p[MEAN][c] * factor[c];
    }
    return factor;
}

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a normalisation");
}

static nnd_status fold(nnd_graph *g, const normal *n, bool *done)
{
    nnd_layer layer;
    uint32_t x = n->node->inputs[0];
    NND_TRY(nnd_layer_match(g, x, &layer));
    if (!layer.kind || (size_t)layer.channels != n->channels) return NND_OK;
    /* Channels are the second dimension of what is normalised. */
    if (nnd_layer_channels_from_end(&layer) == 1 && nnd_match_rank(g, x) != 2) return NND_OK;
    double *factor = factors_of(n);
    if (!factor) return out_of_memory();
    nnd_status status = nnd_layer_apply(g, &layer, factor, factor + n->channels);
    if (status == NND_OK) nnd_layer_take_over(&layer, n->node);
    nnd_free(factor);
    *done = true;
    return status;
}

/* Two constants in f32: [channels, 1, 1, 1] and [channels]. */
static nnd_status add_weights(nnd_graph *g, const normal *n, uint32_t ids[2])
{
    const int64_t dims[4] = {(int64_t)n->channels, 1, 1, 1};
    double *factor = factors_of(n);
    float *narrow = nnd_calloc(n->channels, 2 * sizeof(*narrow));
    nnd_status status = factor && narrow ? NND_OK : out_of_memory();
    for (size_t i = 0; i < 2 * n->channels && status == NND_OK; i++)
        narrow[i] = (float)factor[i];
    for (size_t k = 0; k < 2 && status == NND_OK; k++) {
        nnd_tensor t;
        status = nnd_tensor_init(&t, NND_F32, k ? 1 : 4, dims, narrow + k * n->channels);
        if (status == NND_OK) status = nnd_graph_add_constant(g, NULL, &t, &ids[k]);
    }
    nnd_free(factor);
    nnd_free(narrow);
    return status;
}

static nnd_status stand_alone(nnd_graph *g, const normal *n, bool *done)
{
    const nnd_graph_value *x = &g->values[n->node->inputs[0]];
    nnd_dtype dtype = x->dtype == NND_DTYPE_INVALID ? x->nominal_dtype : x->dtype;
    if (x->nominal_rank != 4 || dtype != NND_F32 || n->channels < MIN_CHANNELS) return NND_OK;
    uint32_t inputs[3] = {n->node->inputs[0]};
    NND_TRY(add_weights(g, n, inputs + 1));
    NND_TRY(nnd_match_replace(g, n->node, "Conv", 11, 3, inputs));
    *done = true;
    return nnd_node_add_int(g, n->node, "group", (int64_t)n->channels);
}

nnd_status nnd_pass_batchnorm(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    for (size_t i = 0; i < g->node_count; i++) {
        normal n;
        bool found, done = false;
        if (g->nodes[i].dead || g->nodes[i].outputs[0] == NND_NO_ID) continue;
        NND_TRY(match(g, &g->nodes[i], &n, &found));
        if (!found) continue;
        NND_TRY(fold(g, &n, &done));
        if (!done) NND_TRY(stand_alone(g, &n, &done));
        *changes += done;
    }
    nnd_graph_index(g);
    return NND_OK;
}
