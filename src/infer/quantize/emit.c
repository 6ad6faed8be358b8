/* The new graph with integers: scales of activations, then node by node. */
#include "infer/quantize/internal.h"

#include <string.h>

/* ---- scales -------------------------------------------------------------------------------- */

static nnd_status choose_range(const nnd_quantize *q, const nnd_observer *o, quant_tensor *t)
{
    const nnd_range all = nnd_observer_min_max(o);
    t->range = all;
    if (q->options.method == NND_RANGE_PERCENTILE)
        t->range = nnd_observer_percentile(o, q->options.percentile);
    if (q->options.method == NND_RANGE_MSE)
        return nnd_observer_mse(o, q->options.signed_activations, &t->range);
    if (q->options.method != NND_RANGE_ENTROPY) return NND_OK;
    const bool one_sided = all.low == 0 || all.high == 0;
    const int levels = one_sided && !q->options.signed_activations ? 256 : 128;
    return nnd_observer_entropy(o, levels, &t->range);
}

/* With a tensor that is stored too; else the range of that one fits this one as well. */
static bool shares_scale(const nnd_quantize *q, const quant_tensor *t)
{
    const quant_tensor *like = &q->tensors.items[t->like];
    return like != t && like->is_stored;
}

/* Tensors that share a scale come behind the one that they share it with. */
static nnd_status choose_scales(nnd_quantize *q)
{
    NND_TRY(quant_equalise(q));
    for (size_t i = 0; i < q->tensors.count; i++) {
        quant_tensor *t = &q->tensors.items[i];
        const quant_tensor *like = &q->tensors.items[t->like];
        if (!t->is_stored) continue;
        if (shares_scale(q, t)) {
            t->range = like->range;
            t->scale = like->scale;
            continue;
        }
        if (!t->channels) NND_TRY(choose_range(q, &like->observer, t));
        t->scale = q->options.signed_activations ? nnd_scale_s8(t->range) : nnd_scale_u8(t->range);
    }
    for (size_t i = 0; i < q->layers.count; i++)
        NND_TRY(quant_layer_settle(q, &q->layers.items[i]));
    return NND_OK;
}

/* ---- activations --------------------------------------------------------------------------- */

/* An output of the model keeps its name behind the integers, every other tensor before them. */
static nnd_status name_tensor(nnd_quantize *q, quant_tensor *t)
{
    t->float_name = t->after_name = t->name;
    NND_TRY(t->is_output ? quant_name(q, t->name, ".float", &t->float_name)
                         : quant_name(q, t->name, ".dq", &t->after_name));
    NND_TRY(quant_name(q, t->name, ".q", &t->integer_name));
    const quant_tensor *like = &q->tensors.items[t->like];
    t->divided_name = t->float_name;
    if (t->channels && !t->is_folded) {
        NND_TRY(quant_name(q, t->name, ".divided", &t->divided_name));
        NND_TRY(quant_name(q, t->name, ".factors", &t->factors_name));
    }
    if (shares_scale(q, t)) {
        t->scale_name = like->scale_name;
        t->zero_name = like->zero_name;
        return NND_OK;
    }
    NND_TRY(quant_name(q, t->name, ".scale", &t->scale_name));
    return quant_name(q, t->name, ".zero", &t->zero_name);
}

static nnd_status put_scale(quant_file *f, const quant_tensor *t)
{
    const uint8_t zero = (uint8_t)t->scale.zero;
    if (shares_scale(f->q, t)) return NND_OK;
    NND_TRY(quant_put_constant(f, t->scale_name, NND_F32, 0, NULL, &t->scale.scale));
    return quant_put_constant(f, t->zero_name, f->q->options.signed_activations ? NND_I8 : NND_U8,
                              0, NULL, &zero);
}

static nnd_status put_division(quant_file *f, const quant_tensor *t)
{
    const int64_t dims[NND_MAX_RANK] = {(int64_t)t->channels, 1, 1, 1, 1, 1, 1, 1};
    const nnd_onnx_new_node node = {
        .op = "Mul",
        .domain = "",
        .name = t->divided_name,
        .inputs = {t->float_name, t->factors_name},
        .output = t->divided_name,
    };
    float *inverse = nnd_calloc(t->channels, sizeof *inverse);
    if (!inverse) return quant_no_memory();
    for (size_t c = 0; c < t->channels; c++)
        inverse[c] = 1.0f / t->factors[c];
    nnd_status status =
        quant_put_constant(f, t->factors_name, NND_F32, t->spatial + 1, dims, inverse);
    nnd_free(inverse);
    return status == NND_OK ? quant_put_node(f, &node) : status;
}

static nnd_status put_pair(quant_file *f, const quant_tensor *t)
{
    const char *node_name = t->after_name;
    /* An output's name may be that of a node. */
    if (t->is_output) NND_TRY(quant_name(f->q, t->name, ".dq", &node_name));
    const nnd_onnx_new_node quantise = {
        .op = "QuantizeLinear",
        .domain = "",
        .name = t->integer_name,
        .inputs = {t->divided_name, t->scale_name, t->zero_name},
        .output = t->integer_name,
    };
    const nnd_onnx_new_node dequantise = {
        .op = "DequantizeLinear",
        .domain = "",
        .name = node_name,
        .inputs = {t->integer_name, t->scale_name, t->zero_name},
        .output = t->after_name,
    };
    if (t->divided_name != t->float_name) NND_TRY(put_division(f, t));
    NND_TRY(put_scale(f, t));
    NND_TRY(quant_put_node(f, &quantise));
    return quant_put_node(f, &dequantise);
}

static nnd_status put_pair_behind(quant_file *f, const char *name)
{
    const int64_t index = quant_tensor_find(f->q, name);
    return index == QUANT_NONE ? NND_OK : put_pair(f, &f->q->tensors.items[index]);
}

/* ---- layers -------------------------------------------------------------------------------- */

static nnd_status put_dequantize(quant_file *f, const char *base, const char *integers,
                                 const char *scale, const char *zero, int axis, const char **out)
{
    NND_TRY(quant_name(f->q, base, ".dq", out));
    const nnd_onnx_new_node node = {
        .op = "DequantizeLinear",
        .domain = "",
        .name = *out,
        .inputs = {integers, scale, zero},
        .output = *out,
        .attribute = axis == QUANT_NONE ? NULL : "axis",
        .value = axis,
    };
    return quant_put_node(f, &node);
}

static nnd_status put_weight(quant_file *f, const quant_layer *layer, const char **out)
{
    const char *base = layer->weight->name, *integers, *scale, *zero;
    const nnd_tensor *t = &layer->weight->tensor;
    const int rank = layer->axis == QUANT_NONE ? 0 : 1;
    const int64_t dims[1] = {(int64_t)layer->channels};
    NND_TRY(quant_name(f->q, base, ".q", &integers));
    NND_TRY(quant_name(f->q, base, ".scale", &scale));
    NND_TRY(quant_name(f->q, base, ".zero", &zero));
    int8_t *zeros = nnd_calloc(layer->channels, sizeof *zeros);
    if (!zeros) return quant_no_memory();
    nnd_status status = quant_put_constant(f, integers, NND_I8, t->rank, t->dims, layer->integers);
    if (status == NND_OK) status = quant_put_constant(f, scale, NND_F32, rank, dims, layer->scales);
    if (status == NND_OK) status = quant_put_constant(f, zero, NND_I8, rank, dims, zeros);
    nnd_free(zeros);
    NND_TRY(status);
    return put_dequantize(f, base, integers, scale, zero, layer->axis, out);
}

static nnd_status fill_bias(const nnd_quantize *q, const quant_layer *layer, float *scales,
                            int32_t *integers)
{
    const double input = (double)q->tensors.items[layer->input].scale.scale;
    for (size_t i = 0; i < layer->bias_count; i++) {
        scales[i] = (float)(input * (double)layer->scales[i % layer->channels]);
        /* Both scales may be tiny: then the product vanishes, and with it the way back. */
        if (!(scales[i] > 0))
            return nnd_error_set(NND_E_FORMAT,
                                 "the numbers around the bias '%s' are too small for integers; "
                                 "leave the node that uses it out (--exclude)",
                                 layer->bias_name);
        nnd_dtype_set(NND_I32, integers, i, (double)layer->bias[i] / (double)scales[i]);
    }
    return NND_OK;
}

/* A bias has the scale of the products that it is added to. */
static nnd_status put_bias(quant_file *f, const quant_layer *layer, const char **out)
{
    const char *integers, *scale;
    const bool whole = layer->axis == QUANT_NONE;
    const int64_t dims[1] = {(int64_t)layer->bias_count};
    NND_TRY(quant_name(f->q, layer->bias_name, ".q", &integers));
    NND_TRY(quant_name(f->q, layer->bias_name, ".scale", &scale));
    float *scales = nnd_calloc(layer->bias_count + 1, sizeof *scales);
    int32_t *values = nnd_calloc(layer->bias_count + 1, sizeof *values);
    nnd_status status =
        scales && values ? fill_bias(f->q, layer, scales, values) : quant_no_memory();
    if (status == NND_OK) status = quant_put_constant(f, integers, NND_I32, 1, dims, values);
    if (status == NND_OK)
        status = quant_put_constant(f, scale, NND_F32, whole ? 0 : 1, dims, scales);
    nnd_free(scales);
    nnd_free(values);
    NND_TRY(status);
    return put_dequantize(f, layer->bias_name, integers, scale, NULL, whole ? QUANT_NONE : 0, out);
}

/* ---- nodes --------------------------------------------------------------------------------- */

static const char *name_read(const nnd_quantize *q, const char *name)
{
    const int64_t index = quant_tensor_find(q, name);
    const bool known = q->tensors.items && index != QUANT_NONE;
    return known ? q->tensors.items[index].after_name : name;
}

const char *quant_name_made(const nnd_quantize *q, const char *name)
{
    const int64_t index = quant_tensor_find(q, name);
    return index == QUANT_NONE ? name : q->tensors.items[index].float_name;
}

/* A layer that stays float reads what a layer of integers makes before it is rounded, and divided
   by factors that its own weights know nothing of. */
static const char *name_unrounded(const nnd_quantize *q, const char *name)
{
    const int64_t index = quant_tensor_find(q, name);
    const quant_tensor *t = index == QUANT_NONE ? NULL : &q->tensors.items[index];
    return t && (t->is_of_layer || t->channels) ? t->float_name : name_read(q, name);
}

/* The node with these inputs and outputs, and the integers of what it makes. */
static nnd_status put_again(quant_file *f, const nnd_onnx_outline_node *n, const char **inputs,
                            size_t input_count, const char *const *made)
{
    const char **outputs = nnd_arena_calloc(&f->q->naming, n->output_count + 1, sizeof *outputs);
    if (!outputs) return quant_no_memory();
    for (size_t i = 0; i < input_count; i++)
        NND_TRY(nnd_map_put(&f->used, inputs[i], f, NULL));
    for (size_t i = 0; i < n->output_count; i++) {
        outputs[i] = quant_name_made(f->q, made[i]);
        NND_TRY(nnd_map_put(&f->written, outputs[i], f, NULL));
    }
    nnd_onnx_put_node_again(&f->nodes, n->bytes, inputs, input_count, outputs, n->output_count);
    if (f->nodes.failed) return quant_no_memory();
    for (size_t i = 0; i < n->output_count; i++)
        NND_TRY(put_pair_behind(f, made[i]));
    return NND_OK;
}

static nnd_status put_node(quant_file *f, size_t index)
{
    const nnd_onnx_outline_node *n = &f->q->outline.nodes.items[index];
    const char **inputs = nnd_arena_calloc(&f->q->naming, n->input_count + 1, sizeof *inputs);
    if (!inputs) return quant_no_memory();
    for (size_t i = 0; i < n->input_count; i++)
        inputs[i] =
            quant_is_layer(n) ? name_unrounded(f->q, n->inputs[i]) : name_read(f->q, n->inputs[i]);
    return put_again(f, n, inputs, n->input_count, n->outputs);
}

static nnd_status put_layer(quant_file *f, const quant_layer *layer)
{
    const nnd_onnx_outline_node *n = &f->q->outline.nodes.items[layer->node];
    const char *inputs[3] = {f->q->tensors.items[layer->input].after_name, NULL, NULL};
    size_t count = 2;
    NND_TRY(put_weight(f, layer, &inputs[1]));
    if (layer->bias && !layer->bias_stays_float) {
        NND_TRY(put_bias(f, layer, &inputs[2]));
        count = 3;
    } else if (layer->bias_stays_float) {
        inputs[2] = name_read(f->q, n->inputs[2]);
        count = 3;
    }
    return put_again(f, n, inputs, count, &layer->made);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static bool is_constant_node(const nnd_quantize *q, const nnd_onnx_outline_node *n)
{
    return n->output_count == 1 && quant_is_op(n, "Constant") &&
           nnd_onnx_outline_constant(&q->outline, n->outputs[0]);
}

/* Constants that are read still, in front of all other nodes. */
static nnd_status put_constant_nodes(quant_file *f)
{
    const nnd_onnx_outline *o = &f->q->outline;
    nnd_str others = f->nodes;
    nnd_status status = NND_OK;
    f->nodes = (nnd_str){0};
    for (size_t i = 0; i < o->nodes.count && status == NND_OK; i++) {
        const nnd_onnx_outline_node *n = &o->nodes.items[i];
        if (is_constant_node(f->q, n) && quant_is_read(f, n->outputs[0])) status = put_node(f, i);
    }
    if (others.size) nnd_str_add_n(&f->nodes, others.data, others.size);
    nnd_str_free(&others);
    return status == NND_OK && f->nodes.failed ? quant_no_memory() : status;
}

static nnd_status put_nodes(quant_file *f)
{
    nnd_quantize *q = f->q;
    size_t layer = 0;
    for (size_t i = 0; i < q->tensors.count; i++)
        if (q->tensors.items[i].is_stored && q->tensors.items[i].node == QUANT_NONE)
            NND_TRY(put_pair(f, &q->tensors.items[i]));
    for (size_t i = 0; i < q->outline.nodes.count; i++) {
        if (q->roles[i] == QUANT_FOLDED || is_constant_node(q, &q->outline.nodes.items[i]))
            continue;
        if (q->roles[i] == QUANT_LAYER)
            NND_TRY(put_layer(f, &q->layers.items[layer++]));
        else
            NND_TRY(put_node(f, i));
    }
    return put_constant_nodes(f);
}

nnd_status quant_emit(nnd_quantize *q)
{
    quant_file f = {.q = q};
    nnd_arena_fini(&q->naming);
    nnd_map_clear(&q->new_names);
    nnd_status status = choose_scales(q);
    for (size_t i = 0; i < q->tensors.count && status == NND_OK; i++)
        if (q->tensors.items[i].is_stored) status = name_tensor(q, &q->tensors.items[i]);
    if (status == NND_OK) status = put_nodes(&f);
    if (status == NND_OK) status = quant_file_finish(&f);
    quant_file_fini(&f);
    return status;
}
