/*
 * Rounded weights move the mean of what a layer makes, channel by channel, since inputs are rarely
 * zero in the mean; behind many layers the shifts are most of the error. The means of the float
 * model are therefore restored by the biases (Nagel et al. 2019).
 *
 * A layer is corrected when all before it are: what they still shift is then part of its own mean.
 * Layers that do not wait for each other take one run together.
 */
#include "infer/quantize/internal.h"

#include "engine/onnx/expose.h"

#include <string.h>

/* A layer of the plan. */
typedef struct correction {
    size_t node;
    const char *made;
    size_t channels;
    size_t level;  /* layers one after another up to this one */
    double *means; /* of the float model */
    double *sums;  /* of the run at hand */
    double count;  /* values of a channel in them */
    bool unfit;    /* its result is not what its weights say */
} correction;

typedef struct corrector {
    nnd_quantize *q;
    nnd_arena arena;
    NND_VEC(correction) all;
    NND_VEC(correction *) watched; /* by output of the run at hand */
    size_t levels;
} corrector;

/* ---- which layers, in which order ---------------------------------------------------------- */

/* Adds up how many layers lie one after another before each tensor. */
static nnd_status find_levels(corrector *c, size_t *levels)
{
    const nnd_quantize *q = c->q;
    nnd_map made = {0}; /* tensor → entry of levels, by node */
    nnd_status status = NND_OK;
    for (size_t i = 0; i < q->outline.nodes.count && status == NND_OK; i++) {
        const nnd_onnx_outline_node *n = &q->outline.nodes.items[i];
        for (size_t k = 0; k < n->input_count; k++) {
            const size_t *before = nnd_map_get(&made, n->inputs[k]);
            if (before && *before > levels[i]) levels[i] = *before;
        }
        levels[i] += q->roles[i] == QUANT_LAYER;
        for (size_t k = 0; k < n->output_count && status == NND_OK; k++)
            if (n->outputs[k][0]) status = nnd_map_put(&made, n->outputs[k], &levels[i], NULL);
    }
    nnd_map_fini(&made);
    return status;
}

static nnd_status list_layers(corrector *c)
{
    const nnd_quantize *q = c->q;
    size_t *levels = nnd_arena_calloc(&c->arena, q->outline.nodes.count + 1, sizeof *levels);
    if (!levels) return quant_no_memory();
    NND_TRY(find_levels(c, levels));
    for (size_t i = 0; i < q->layers.count; i++) {
        const quant_layer *layer = &q->layers.items[i];
        correction one = {.node = layer->node,
                          .made = layer->made,
                          .channels = layer->bias_count,
                          .level = levels[layer->node]};
        if (!layer->bias || layer->bias_stays_float) continue;
        one.means = nnd_arena_calloc(&c->arena, one.channels, sizeof *one.means);
        one.sums = nnd_arena_calloc(&c->arena, one.channels, sizeof *one.sums);
        if (!one.means || !one.sums || !nnd_vec_push(&c->all, one)) return quant_no_memory();
        if (one.level > c->levels) c->levels = one.level;
    }
    return NND_OK;
}

/* ---- means --------------------------------------------------------------------------------- */

static nnd_status add_means(void *user, size_t sample, size_t output, const nnd_value *value)
{
    correction *k = ((corrector *)user)->watched.items[output];
    const nnd_tensor *t = quant_is_plain_f32(value) ? nnd_value_tensor(value) : NULL;
    (void)sample;
    if (!t || t->rank < 2 || t->dims[1] != (int64_t)k->channels) {
        k->unfit = true;
        return NND_OK;
    }
    const float *x = t->data;
    size_t inner = 1;
    for (int d = 2; d < t->rank; d++)
        inner *= (size_t)t->dims[d];
    for (size_t i = 0; i < (size_t)t->dims[0] * k->channels; i++, x += inner) {
        double sum = 0;
        for (size_t p = 0; p < inner; p++)
            sum += (double)x[p];
        k->sums[i % k->channels] += sum;
    }
    k->count += (double)t->dims[0] * (double)inner;
    return NND_OK;
}

/* Runs the model with the results of the watched layers as its only outputs. */
static nnd_status run_watched(corrector *c, const void *bytes, size_t size,
                              const char *const *names)
{
    void *exposed = NULL;
    const size_t count = c->watched.count;
    NND_TRY(nnd_onnx_expose(bytes, size, names, count, &exposed, &size));
    const nnd_status status = quant_watch(c->q, exposed, size, names, count, add_means, c);
    nnd_free(exposed);
    return status;
}

static nnd_status watch_level(corrector *c, size_t level)
{
    c->watched.count = 0;
    for (size_t i = 0; i < c->all.count; i++) {
        correction *k = &c->all.items[i];
        if ((level && k->level != level) || k->unfit) continue;
        memset(k->sums, 0, k->channels * sizeof *k->sums);
        k->count = 0;
        if (!nnd_vec_push(&c->watched, k)) return quant_no_memory();
    }
    return NND_OK;
}

static nnd_status measure_float(corrector *c)
{
    nnd_quantize *q = c->q;
    NND_TRY(watch_level(c, 0));
    const char **names = nnd_arena_calloc(&c->arena, c->watched.count + 1, sizeof *names);
    if (!names) return quant_no_memory();
    for (size_t i = 0; i < c->watched.count; i++)
        names[i] = c->watched.items[i]->made;
    NND_TRY(run_watched(c, q->model_bytes.data, q->model_bytes.size, names));
    for (size_t i = 0; i < c->all.count; i++) {
        correction *k = &c->all.items[i];
        for (size_t m = 0; m < k->channels && k->count > 0; m++)
            k->means[m] = k->sums[m] / k->count;
    }
    return NND_OK;
}

/* ---- corrections --------------------------------------------------------------------------- */

static const quant_tensor *folded_output(const nnd_quantize *q, size_t node)
{
    for (size_t i = 0; i < q->layers.count; i++)
        if (q->layers.items[i].node == node) {
            const quant_tensor *t = &q->tensors.items[q->layers.items[i].output];
            return t->is_folded ? t : NULL;
        }
    return NULL;
}

/* In the new model a layer's result may be divided by its tensor's factors. */
static void add_shift(const nnd_quantize *q, const correction *k)
{
    const quant_tensor *divided = folded_output(q, k->node);
    for (size_t m = 0; m < k->channels && k->count > 0; m++) {
        const double factor = divided ? (double)divided->factors[m] : 1;
        q->shifts[k->node][m] += (float)(k->means[m] - k->sums[m] / k->count * factor);
    }
}

static nnd_status correct_level(corrector *c, size_t level)
{
    nnd_quantize *q = c->q;
    NND_TRY(watch_level(c, level));
    if (!c->watched.count) return NND_OK;
    q->hide_outputs = true;
    nnd_status status = quant_build(q);
    q->hide_outputs = false;
    NND_TRY(status);
    const char **names = nnd_arena_calloc(&c->arena, c->watched.count, sizeof *names);
    if (!names) return quant_no_memory();
    for (size_t i = 0; i < c->watched.count; i++)
        names[i] = quant_name_made(q, c->watched.items[i]->made);
    NND_TRY(run_watched(c, q->result.data, q->result.size, names));
    for (size_t i = 0; i < c->watched.count; i++)
        if (!c->watched.items[i]->unfit) add_shift(q, c->watched.items[i]);
    return NND_OK;
}

/* Room for the shifts that the layers at hand may get, all 0. */
static nnd_status begin_shifts(corrector *c)
{
    nnd_quantize *q = c->q;
    for (size_t i = 0; i < c->all.count; i++) {
        const correction *k = &c->all.items[i];
        float **shift = &q->shifts[k->node];
        if (!*shift) *shift = nnd_arena_calloc(&q->arena, k->channels, sizeof **shift);
        if (!*shift) return quant_no_memory();
        memset(*shift, 0, k->channels * sizeof **shift);
    }
    return NND_OK;
}

static nnd_status correct(corrector *c)
{
    nnd_quantize *q = c->q;
    double before, after;
    q->gives_biases = true;
    NND_TRY(quant_plan_again(q));
    NND_TRY(list_layers(c));
    NND_TRY(begin_shifts(c));
    NND_TRY(quant_build(q));
    NND_TRY(quant_score(q, &before));
    NND_TRY(measure_float(c));
    for (size_t level = 1; level <= c->levels; level++)
        NND_TRY(correct_level(c, level));
    NND_TRY(quant_build(q));
    NND_TRY(quant_score(q, &after));
    if (after >= before) return NND_OK;
    q->gives_biases = false;
    NND_TRY(begin_shifts(c));
    return quant_build(q);
}

nnd_status quant_correct_bias(nnd_quantize *q)
{
    corrector c = {.q = q};
    const nnd_status status = q->checks.count ? correct(&c) : NND_OK;
    nnd_vec_free(&c.all);
    nnd_vec_free(&c.watched);
    nnd_arena_fini(&c.arena);
    return status;
}
