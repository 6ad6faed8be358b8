/*
 * Folds a BatchNormalization with constant parameters into the Conv before it:
 *   scale·(W∗x + b − mean)/√(var + ε) + bias  =  (f·W)∗x + f·(b − mean) + bias,  f = scale/√(var +
 * ε)
 */
#include <math.h>
#include <string.h>

#include "engine/passes/pass.h"

typedef struct folding {
    nnd_graph_node *conv, *norm;
    nnd_tensor weight, bias; /* bias.data NULL = the Conv has none */
    nnd_tensor p[4];         /* scale, bias, mean, variance */
} folding;

/* Copies the description of a constant f32 vector; *ok turns false when it is anything else. */
static nnd_status get_vector(nnd_graph *g, uint32_t value, int64_t count, nnd_tensor *out, bool *ok)
{
    const nnd_tensor *t;
    NND_TRY(nnd_graph_constant(g, value, &t));
    *ok = *ok && t && t->dtype == NND_F32 && t->rank == 1 && t->dims[0] == count && t->data;
    if (*ok) *out = *t;
    return NND_OK;
}

/* Fills `f` when the pair can be folded. */
static nnd_status match(nnd_graph *g, nnd_graph_node *norm, folding *f, bool *found)
{
    *found = false;
    *f = (folding){.norm = norm};
    if (norm->domain[0] || strcmp(norm->type, "BatchNormalization") != 0) return NND_OK;
    if (norm->formal_count < 5 || nnd_node_int(norm, "training_mode", 0)) return NND_OK;
    for (size_t k = 1; k < norm->output_count; k++)
        if (norm->outputs[k] != NND_NO_ID && g->values[norm->outputs[k]].uses) return NND_OK;
    for (size_t k = 0; k < 5; k++)
        if (norm->inputs[k] == NND_NO_ID) return NND_OK;
    uint32_t producer = g->values[norm->inputs[0]].producer;
    if (producer == NND_NO_ID || nnd_graph_single_reader(g, norm->inputs[0]) == NND_NO_ID)
        return NND_OK;
    f->conv = &g->nodes[producer];
    if (f->conv->domain[0] || strcmp(f->conv->type, "Conv") != 0 || f->conv->epilogue)
        return NND_OK;
    if (f->conv->formal_count < 2 || f->conv->formal_count > 3) return NND_OK; /* 4: a residual */
    const nnd_tensor *weight;
    NND_TRY(nnd_graph_constant(g, f->conv->inputs[1], &weight));
    if (!weight || weight->dtype != NND_F32 || weight->rank < 3 || !weight->data) return NND_OK;
    f->weight = *weight;
    bool ok = true;
    int64_t channels = f->weight.dims[0];
    if (f->conv->formal_count > 2 && f->conv->inputs[2] != NND_NO_ID)
        NND_TRY(get_vector(g, f->conv->inputs[2], channels, &f->bias, &ok));
    for (size_t k = 0; k < 4; k++)
        NND_TRY(get_vector(g, norm->inputs[k + 1], channels, &f->p[k], &ok));
    *found = ok;
    return NND_OK;
}

static nnd_status fold(nnd_graph *g, const folding *f)
{
    int64_t channels = f->weight.dims[0];
    size_t per_channel = channels ? (size_t)(nnd_tensor_count(&f->weight) / channels) : 0;
    float epsilon = nnd_node_float(f->norm, "epsilon", 1e-5f);
    uint32_t weight_id = f->conv->inputs[1], bias_id;
    const nnd_graph_value *old_weight = &g->values[weight_id];
    /* A copy that nobody else reads is scaled where it lies. */
    if (!old_weight->owned || old_weight->uses != 1 || old_weight->held)
        NND_TRY(nnd_graph_add_constant(g, NULL, &f->weight, &weight_id));
    NND_TRY(nnd_graph_add_constant(g, NULL, &f->p[1], &bias_id));
    float *w = g->values[weight_id].constant.data, *b = g->values[bias_id].constant.data;
    const float *scale = f->p[0].data, *mean = f->p[2].data, *variance = f->p[3].data;
    const float *old_bias = f->bias.data;
    for (int64_t c = 0; c < channels; c++) {
        double factor = (double)scale[c] / sqrt((double)variance[c] + (double)epsilon);
        double old = old_bias ? (double)old_bias[c] : 0.0;
        for (size_t i = 0; i < per_channel; i++) {
            float *e = &w[(size_t)c * per_channel + i];
            *e = (float)((double)*e * factor);
        }
        b[c] = (float)((old - (double)mean[c]) * factor + (double)b[c]);
    }
    uint32_t *inputs = nnd_arena_calloc(&g->arena, 3, sizeof(uint32_t));
    if (!inputs) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the model's graph");
    inputs[0] = f->conv->inputs[0];
    inputs[1] = weight_id;
    inputs[2] = bias_id;
    f->conv->inputs = inputs;
    f->conv->input_count = f->conv->formal_count = 3;
    f->conv->outputs[0] = f->norm->outputs[0];
    f->norm->dead = true;
    return NND_OK;
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
