/* Nodes with weights: their numbers, what behind them goes into these, and the integers. */
#include "infer/quantize/internal.h"

#include "base/size.h"

#include <math.h>
#include <string.h>

enum { BN_SCALE = 1, BN_BIAS, BN_MEAN, BN_VARIANCE, BN_INPUTS };

bool quant_is_op(const nnd_onnx_outline_node *node, const char *op)
{
    return !node->domain[0] && strcmp(node->op, op) == 0;
}

/* The numbers of a constant as an own array; NULL without memory. */
static float *numbers_of(const nnd_onnx_constant *c)
{
    const size_t bytes = nnd_tensor_bytes(&c->tensor);
    float *copy = nnd_alloc(bytes ? bytes : sizeof *copy);
    if (copy && bytes) memcpy(copy, c->tensor.data, bytes);
    return copy;
}

/* Elements in the file need not be aligned. */
static float number_at(const nnd_onnx_constant *c, size_t index)
{
    float value;
    memcpy(&value, (const char *)c->tensor.data + index * sizeof value, sizeof value);
    return value;
}

static bool is_f32(const nnd_onnx_constant *c)
{
    return c && c->tensor.dtype == NND_F32;
}

static bool all_finite(const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

/* Along which dimension of the weights the output channels lie, QUANT_NONE = one scale for all. */
static int channel_axis(const nnd_onnx_outline_node *node, int rank)
{
    if (quant_is_op(node, "Conv")) return 0;
    if (quant_is_op(node, "ConvTranspose")) return 1;
    if (quant_is_op(node, "Gemm")) return nnd_onnx_outline_int(node, "transB", 0) ? 0 : 1;
    return rank < 2 ? QUANT_NONE : rank - 1;
}

static void set_shape(const nnd_quantize *q, quant_layer *layer)
{
    const nnd_tensor *t = &layer->weight->tensor;
    layer->axis = channel_axis(&q->outline.nodes.items[layer->node], t->rank);
    layer->outer = layer->channels = layer->inner = 1;
    for (int i = 0; i < t->rank; i++) {
        size_t *part = i < layer->axis    ? &layer->outer
                       : i == layer->axis ? &layer->channels
                                          : &layer->inner;
        *part *= (size_t)t->dims[i];
    }
    if (!q->options.per_tensor) return;
    layer->inner *= layer->outer * layer->channels;
    layer->outer = layer->channels = 1;
    layer->axis = QUANT_NONE;
}

/* Number of output channels: a transposed convolution has them once per group in its weights. */
static size_t output_channels(const nnd_quantize *q, const quant_layer *layer)
{
    const nnd_onnx_outline_node *node = &q->outline.nodes.items[layer->node];
    const nnd_tensor *t = &layer->weight->tensor;
    if (quant_is_op(node, "ConvTranspose")) {
        const int64_t group = nnd_onnx_outline_int(node, "group", 1);
        size_t out;
        const bool fits = group > 0 && nnd_size_mul((size_t)t->dims[1], (size_t)group, &out);
        return fits ? out : 0;
    }
    const int axis = channel_axis(node, t->rank);
    return axis == QUANT_NONE ? 1 : (size_t)t->dims[axis];
}

static nnd_status read_bias(nnd_quantize *q, quant_layer *layer)
{
    const nnd_onnx_outline_node *node = &q->outline.nodes.items[layer->node];
    const bool gemm = quant_is_op(node, "Gemm");
    if (node->input_count < 3 || !node->inputs[2][0]) return NND_OK;
    const nnd_onnx_constant *c = nnd_onnx_outline_constant(&q->outline, node->inputs[2]);
    /* Integers of a bias have the scale of the products, so nothing may be multiplied after. */
    const bool plain = !gemm || (nnd_onnx_outline_float(node, "alpha", 1) == 1.0f &&
                                 nnd_onnx_outline_float(node, "beta", 1) == 1.0f);
    layer->bias_stays_float = true;
    if (!is_f32(c) || c->tensor.rank != 1 || !plain) return NND_OK;
    if ((size_t)c->tensor.dims[0] != output_channels(q, layer)) return NND_OK;
    layer->bias = numbers_of(c);
    if (!layer->bias) return quant_no_memory();
    layer->bias_count = (size_t)c->tensor.dims[0];
    layer->bias_name = c->name;
    layer->bias_stays_float = !all_finite(layer->bias, layer->bias_count);
    return NND_OK;
}

nnd_status quant_layer_read(nnd_quantize *q, size_t index, quant_layer *layer, const char **reason)
{
    const nnd_onnx_outline_node *node = &q->outline.nodes.items[index];
    const bool conv = quant_is_op(node, "Conv") || quant_is_op(node, "ConvTranspose");
    *layer = (quant_layer){.node = index, .made = node->outputs[0]};
    *reason = NULL;
    layer->weight = nnd_onnx_outline_constant(&q->outline, node->inputs[1]);
    if (!layer->weight) {
        *reason = "its weights are no constants";
        return NND_OK;
    }
    const nnd_tensor *t = &layer->weight->tensor;
    const size_t count = (size_t)nnd_tensor_count(t);
    if (t->dtype != NND_F32)
        *reason = "its weights are not f32";
    else if (!count)
        *reason = "its weights are empty";
    else if ((conv && t->rank < 3) || (quant_is_op(node, "Gemm") && t->rank != 2))
        *reason = "its weights have an unexpected rank";
    else if (nnd_onnx_outline_constant(&q->outline, node->inputs[0]))
        *reason = "both of its operands are constants";
    if (*reason) return NND_OK;
    layer->w = numbers_of(layer->weight);
    if (!layer->w) return quant_no_memory();
    if (!all_finite(layer->w, count)) {
        *reason = "its weights are not all finite";
        return NND_OK;
    }
    set_shape(q, layer);
    return read_bias(q, layer);
}

/* ---- folding ----------------------------------------------------------------------------- */

/* Into convolutions only: their channels are the outermost dimension of the weights, which are not
   empty. */
static size_t conv_channels(const quant_layer *layer)
{
    return (size_t)layer->weight->tensor.dims[0];
}

/* A bias of zeros where there was none. */
static nnd_status ensure_bias(quant_layer *layer, const char *name)
{
    if (layer->bias) return NND_OK;
    const size_t count = conv_channels(layer);
    layer->bias = nnd_calloc(count, sizeof *layer->bias);
    if (!layer->bias) return quant_no_memory();
    layer->bias_count = count;
    layer->bias_name = name;
    return NND_OK;
}

static nnd_status fold_norm(const nnd_quantize *q, quant_layer *layer,
                            const nnd_onnx_outline_node *node, bool *done)
{
    const nnd_onnx_constant *c[BN_INPUTS] = {NULL};
    const size_t channels = conv_channels(layer);
    const size_t each = (size_t)nnd_tensor_count(&layer->weight->tensor) / channels;
    if (node->input_count != BN_INPUTS || nnd_onnx_outline_int(node, "training_mode", 0))
        return NND_OK;
    for (int i = BN_SCALE; i < BN_INPUTS; i++) {
        c[i] = nnd_onnx_outline_constant(&q->outline, node->inputs[i]);
        if (!is_f32(c[i]) || (size_t)nnd_tensor_count(&c[i]->tensor) != channels) return NND_OK;
    }
    NND_TRY(ensure_bias(layer, c[BN_BIAS]->name));
    const double epsilon = (double)nnd_onnx_outline_float(node, "epsilon", 1e-5f);
    for (size_t k = 0; k < channels; k++) {
        const double scale = (double)number_at(c[BN_SCALE], k),
                     bias = (double)number_at(c[BN_BIAS], k),
                     mean = (double)number_at(c[BN_MEAN], k),
                     variance = (double)number_at(c[BN_VARIANCE], k);
        const double factor = scale / sqrt(variance + epsilon);
        layer->bias[k] = (float)(((double)layer->bias[k] - mean) * factor + bias);
        for (size_t i = 0; i < each; i++)
            layer->w[k * each + i] = (float)((double)layer->w[k * each + i] * factor);
    }
    *done = true;
    return NND_OK;
}

/* A constant of shape [channels, 1, …], maybe with ones before, that adds to an output of `rank`
   dimensions channel by channel. */
static bool is_per_channel(const nnd_onnx_constant *c, size_t channels, int rank)
{
    const int at = c->tensor.rank - (rank - 1);
    if (!is_f32(c) || at < 0 || at > 1 || (size_t)c->tensor.dims[at] != channels) return false;
    return (size_t)nnd_tensor_count(&c->tensor) == channels;
}

static nnd_status fold_add(const nnd_quantize *q, quant_layer *layer,
                           const nnd_onnx_outline_node *node, bool *done)
{
    const size_t channels = conv_channels(layer);
    const nnd_onnx_constant *c = NULL;
    for (size_t i = 0; i < 2 && !c; i++)
        c = nnd_onnx_outline_constant(&q->outline, node->inputs[i]);
    if (!c || !is_per_channel(c, channels, layer->weight->tensor.rank)) return NND_OK;
    NND_TRY(ensure_bias(layer, c->name));
    for (size_t k = 0; k < channels; k++)
        layer->bias[k] += number_at(c, k);
    *done = true;
    return NND_OK;
}

nnd_status quant_layer_fold(const nnd_quantize *q, quant_layer *layer, size_t index, bool *done)
{
    const nnd_onnx_outline_node *node = &q->outline.nodes.items[index];
    *done = false;
    if (!quant_is_op(&q->outline.nodes.items[layer->node], "Conv") || layer->bias_stays_float ||
        layer->folded_count == NND_COUNT(layer->folded))
        return NND_OK;
    if (quant_is_op(node, "BatchNormalization")) NND_TRY(fold_norm(q, layer, node, done));
    if (quant_is_op(node, "Add") && node->input_count == 2) NND_TRY(fold_add(q, layer, node, done));
    if (!*done) return NND_OK;
    layer->folded[layer->folded_count++] = index;
    layer->made = node->outputs[0];
    return NND_OK;
}

/* ---- integers ---------------------------------------------------------------------------- */

/* A bias far beyond its channel's weights needs a larger scale to fit 32 bits; weights that small
   beside it add nothing. Half of the range is left to the sums. */
static void make_room_for_bias(quant_layer *layer, float input_scale)
{
    for (size_t i = 0; layer->bias && !layer->bias_stays_float && i < layer->bias_count; i++) {
        const size_t c = i % layer->channels;
        const double needed = fabs((double)layer->bias[i]) / (double)input_scale / 1073741824.0;
        if (needed > (double)layer->scales[c]) layer->scales[c] = (float)needed;
    }
}

nnd_status quant_layer_ensure_bias(nnd_quantize *q, quant_layer *layer)
{
    if (layer->bias || layer->bias_stays_float ||
        !quant_is_op(&q->outline.nodes.items[layer->node], "Conv"))
        return NND_OK;
    char *text = nnd_strf("%s.bias", layer->weight->name);
    const char *name = text ? nnd_arena_strdup(&q->arena, text) : NULL;
    nnd_free(text);
    return name ? ensure_bias(layer, name) : quant_no_memory();
}

/* What bias.c has found out, in the units of the layer's own result. */
static void shift_bias(const nnd_quantize *q, quant_layer *layer)
{
    const float *shift = q->shifts[layer->node];
    const quant_tensor *made = &q->tensors.items[layer->output];
    for (size_t i = 0; shift && i < layer->bias_count; i++)
        layer->bias[i] += made->is_folded ? shift[i] / made->factors[i] : shift[i];
}

nnd_status quant_layer_settle(const nnd_quantize *q, quant_layer *layer)
{
    const size_t count = (size_t)nnd_tensor_count(&layer->weight->tensor);
    layer->scales = nnd_calloc(layer->channels, sizeof *layer->scales);
    layer->integers = nnd_alloc(count);
    if (!layer->scales || !layer->integers) return quant_no_memory();
    if (!all_finite(layer->w, count))
        return nnd_error_set(NND_E_FORMAT,
                             "the weights '%s' are not finite after the normalisation behind them; "
                             "leave the node that uses them out (--exclude)",
                             layer->weight->name);
    shift_bias(q, layer);
    make_room_for_bias(layer, q->tensors.items[layer->input].scale.scale);
    nnd_quantize_weights(layer->w, layer->outer, layer->channels, layer->inner,
                         q->options.seven_bits ? 63 : 127, layer->scales, layer->integers);
    return NND_OK;
}

void quant_layer_fini(quant_layer *layer)
{
    nnd_free(layer->w);
    nnd_free(layer->bias);
    nnd_free(layer->scales);
    nnd_free(layer->integers);
}
