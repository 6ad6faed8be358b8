/*
 * Channels of one tensor share a scale. Where one channel reaches a hundred times as far as
 * another (behind SiLU in front of a depthwise convolution, say), little is left of the small one.
 * When only convolutions read the tensor, it is divided channel by channel and their weights are
 * multiplied by the same numbers, which changes nothing in floating point: after Nagel et al. 2019
 * (cross-layer equalisation) and Xiao et al. 2023 (the square root of both reaches).
 *
 * The division goes into the weights of the layer that makes the tensor when nothing or a Relu lies
 * between, else it is a Mul in front of the integers.
 */
#include "infer/quantize/internal.h"

#include <math.h>
#include <string.h>

/* Channels are brought together up to this factor; a channel that the samples hardly moved says
   little about others. */
#define LARGEST_FACTOR 256.0

/* ---- which tensors -------------------------------------------------------------------------- */

static size_t input_channels(const nnd_quantize *q, const quant_layer *layer)
{
    const nnd_onnx_outline_node *n = &q->outline.nodes.items[layer->node];
    const int64_t group = nnd_onnx_outline_int(n, "group", 1);
    const int64_t outputs = layer->weight->tensor.dims[0], each = layer->weight->tensor.dims[1];
    const bool fits = group > 0 && outputs % group == 0 && each <= INT32_MAX / group;
    return fits ? (size_t)(each * group) : 0;
}

nnd_status quant_equalise_plan(nnd_quantize *q)
{
    for (size_t i = 0; i < q->layers.count; i++) {
        const quant_layer *layer = &q->layers.items[i];
        quant_tensor *t = &q->tensors.items[layer->input];
        const size_t channels = input_channels(q, layer);
        if (!quant_is_op(&q->outline.nodes.items[layer->node], "Conv")) continue;
        if (t->channels && t->channels != channels) continue;
        t->channels = channels;
        t->reads--; /* what is left reads the values themselves */
    }
    for (size_t i = 0; i < q->tensors.count; i++)
        if (q->tensors.items[i].is_stored && q->tensors.items[i].like != i)
            q->tensors.items[q->tensors.items[i].like].reads++;
    for (size_t i = 0; i < q->tensors.count; i++) {
        quant_tensor *t = &q->tensors.items[i];
        const bool can =
            t->channels > 1 && !t->reads && !t->is_output && t->node != QUANT_NONE && t->like == i;
        if (!can || (q->samples && t->channels != t->room)) t->channels = 0;
        if (!t->channels || t->room) continue;
        t->room = t->channels;
        t->lows = nnd_arena_calloc(&q->arena, t->channels, sizeof *t->lows);
        t->highs = nnd_arena_calloc(&q->arena, t->channels, sizeof *t->highs);
        t->factors = nnd_arena_calloc(&q->arena, t->channels, sizeof *t->factors);
        if (!t->lows || !t->highs || !t->factors) return quant_no_memory();
    }
    return NND_OK;
}

/* ---- what its channels reach ---------------------------------------------------------------- */

void quant_equalise_observe(quant_tensor *t, const nnd_tensor *values)
{
    if (!t->channels) return;
    if (values->rank < 3 || values->dims[1] != (int64_t)t->channels) {
        t->channels = t->room = 0; /* not what the weights say: it stays as it is */
        return;
    }
    size_t inner = 1;
    t->spatial = values->rank - 2;
    for (int d = 2; d < values->rank; d++)
        inner *= (size_t)values->dims[d];
    const float *x = values->data;
    for (size_t i = 0; i < (size_t)nnd_tensor_count(values); i += inner) {
        const size_t c = i / inner % t->channels;
        for (size_t k = 0; k < inner; k++) {
            t->lows[c] = fminf(t->lows[c], x[i + k]);
            t->highs[c] = fmaxf(t->highs[c], x[i + k]);
        }
    }
}

/* ---- factors --------------------------------------------------------------------------------- */

/* Calls fn with each weight of a convolution and its input channel. */
typedef void (*weight_fn)(float *weight, size_t channel, void *user);
static void each_weight(const nnd_quantize *q, quant_layer *layer, weight_fn fn, void *user)
{
    const nnd_tensor *t = &layer->weight->tensor;
    const nnd_onnx_outline_node *n = &q->outline.nodes.items[layer->node];
    const size_t groups = (size_t)nnd_onnx_outline_int(n, "group", 1);
    const size_t outputs = (size_t)t->dims[0], depth = (size_t)t->dims[1];
    const size_t taps = (size_t)nnd_tensor_count(t) / outputs / depth;
    const size_t per_group = outputs / groups ? outputs / groups : 1;
    for (size_t m = 0; m < outputs; m++)
        for (size_t c = 0; c < depth; c++)
            for (size_t k = 0; k < taps; k++)
                fn(&layer->w[(m * depth + c) * taps + k], m / per_group * depth + c, user);
}

static void note_reach(float *weight, size_t channel, void *user)
{
    double *reach = (double *)user + channel;
    *reach = fmax(*reach, fabs((double)*weight));
}

static void multiply(float *weight, size_t channel, void *user)
{
    *weight *= ((const float *)user)[channel];
}

static bool is_depthwise(const quant_layer *layer)
{
    return layer->weight->tensor.dims[1] == 1;
}

static double reach_of(const quant_tensor *t, size_t c)
{
    return fmax(fabs((double)t->lows[c]), fabs((double)t->highs[c]));
}

/* One channel of weights has a scale of its own in a depthwise convolution, so the tensor alone
   decides; else both share the difference. */
static void choose_factors(quant_tensor *t, const double *weights, bool depthwise)
{
    double largest = 0;
    for (size_t c = 0; c < t->channels; c++) {
        const double reach = reach_of(t, c), w = weights[c];
        const double f = depthwise ? reach : reach > 0 && w > 0 ? sqrt(reach / w) : 0;
        t->factors[c] = (float)f;
        largest = fmax(largest, f);
    }
    for (size_t c = 0; c < t->channels; c++) {
        const double f = largest > 0 ? (double)t->factors[c] / largest : 1;
        t->factors[c] = (float)fmax(f, 1 / LARGEST_FACTOR);
    }
}

/* The layer makes the tensor and the division can take place before its activation. */
static bool fold_into_maker(nnd_quantize *q, quant_layer *layer, const quant_tensor *t)
{
    const size_t count = (size_t)nnd_tensor_count(&layer->weight->tensor);
    const bool conv = quant_is_op(&q->outline.nodes.items[layer->node], "Conv");
    if (!conv || !layer->is_homogeneous || layer->bias_stays_float || t->float_reads ||
        (size_t)layer->weight->tensor.dims[0] != t->channels)
        return false;
    for (size_t i = 0; i < count; i++)
        layer->w[i] /= t->factors[i / (count / t->channels)];
    for (size_t i = 0; i < layer->bias_count; i++)
        layer->bias[i] /= t->factors[i];
    return true;
}

static nnd_status equalise(nnd_quantize *q, size_t index)
{
    quant_tensor *t = &q->tensors.items[index];
    double *weights = nnd_calloc(t->channels, sizeof *weights);
    bool depthwise = true;
    if (!weights) return quant_no_memory();
    for (size_t i = 0; i < q->layers.count; i++) {
        quant_layer *layer = &q->layers.items[i];
        if (layer->input != index) continue;
        each_weight(q, layer, note_reach, weights);
        depthwise = depthwise && is_depthwise(layer);
    }
    choose_factors(t, weights, depthwise);
    nnd_free(weights);
    for (size_t i = 0; i < q->layers.count; i++) {
        quant_layer *layer = &q->layers.items[i];
        if (layer->input == index) each_weight(q, layer, multiply, t->factors);
        if (layer->output == index) t->is_folded = fold_into_maker(q, layer, t);
    }
    t->range = (nnd_range){0, 0};
    for (size_t c = 0; c < t->channels; c++) {
        t->range.low = fmin(t->range.low, (double)t->lows[c] / (double)t->factors[c]);
        t->range.high = fmax(t->range.high, (double)t->highs[c] / (double)t->factors[c]);
    }
    return NND_OK;
}

nnd_status quant_equalise(nnd_quantize *q)
{
    for (size_t i = 0; i < q->tensors.count; i++)
        if (q->tensors.items[i].channels) NND_TRY(equalise(q, i));
    return NND_OK;
}
