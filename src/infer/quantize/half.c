/* Weights in 16 bits: each large f32 constant becomes a smaller one and a Cast of its name. */
#include "infer/quantize/internal.h"

#include <math.h>
#include <string.h>

/* Smaller ones gain nothing, and some operators want theirs as they are (sizes of a Resize). */
enum { HALF_LEAST_COUNT = 64, TYPE_F32 = 1 };

static nnd_dtype dtype_of(const nnd_quantize *q)
{
    return q->options.weights == NND_WEIGHTS_F16 ? NND_F16 : NND_BF16;
}

static nnd_status put_half(quant_file *f, const nnd_onnx_constant *c, const void *halves)
{
    const nnd_dtype dtype = dtype_of(f->q);
    const char *stored;
    NND_TRY(quant_name(f->q, c->name, dtype == NND_F16 ? ".f16" : ".bf16", &stored));
    const nnd_onnx_new_node cast = {"Cast", "", c->name, {stored}, c->name, "to", TYPE_F32};
    NND_TRY(quant_put_constant(f, stored, dtype, c->tensor.rank, c->tensor.dims, halves));
    return quant_put_node(f, &cast);
}

/* What a constant loses; false when a number of it has no such form. */
static bool measure(const nnd_onnx_constant *c, nnd_dtype dtype, const void *halves,
                    nnd_quantized_tensor *row, quant_sums *sums)
{
    const size_t count = (size_t)nnd_tensor_count(&c->tensor);
    for (size_t i = 0; i < count; i++) {
        float w;
        memcpy(&w, (const char *)c->tensor.data + i * sizeof w, sizeof w);
        const double half = nnd_dtype_get(dtype, halves, i);
        if (!isfinite(w) || !isfinite(half)) return false;
        row->low = fmin(row->low, (double)w);
        row->high = fmax(row->high, (double)w);
        quant_sums_add(sums, (double)w, half);
    }
    return true;
}

/* With room for the constant's numbers: those of the file need not be aligned. */
static nnd_status halve_with(quant_file *f, const nnd_onnx_constant *c, float *numbers,
                             uint16_t *halves)
{
    const nnd_dtype dtype = dtype_of(f->q);
    const size_t count = (size_t)nnd_tensor_count(&c->tensor);
    nnd_quantized_tensor row = {
        .kind = NND_QUANTIZED_WEIGHT, .tensor = c->name, .node = "", .op = ""};
    quant_sums sums = {0};
    memcpy(numbers, c->tensor.data, count * sizeof *numbers);
    NND_TRY(nnd_dtype_convert(NND_F32, numbers, dtype, halves, count));
    if (!measure(c, dtype, halves, &row, &sums)) {
        const nnd_quantize_kept kept = {"", "", c->name, "a number is beyond the 16-bit type"};
        return nnd_vec_push(&f->q->kept, kept) ? NND_OK : quant_no_memory();
    }
    NND_TRY(put_half(f, c, halves));
    return quant_add_row(f->q, row, &sums);
}

static nnd_status halve(quant_file *f, const nnd_onnx_constant *c)
{
    const size_t count = (size_t)nnd_tensor_count(&c->tensor);
    float *numbers = nnd_alloc(count * sizeof *numbers);
    uint16_t *halves = nnd_alloc(count * sizeof *halves);
    const nnd_status status =
        numbers && halves ? halve_with(f, c, numbers, halves) : quant_no_memory();
    nnd_free(numbers);
    nnd_free(halves);
    return status;
}

static bool is_excluded(const nnd_quantize *q, const char *name)
{
    for (size_t i = 0; i < q->options.exclude_count; i++)
        if (strcmp(q->options.exclude[i], name) == 0) return true;
    return false;
}

static nnd_status put_all(quant_file *f)
{
    const nnd_onnx_outline *o = &f->q->outline;
    for (size_t i = 0; i < o->constants.count; i++) {
        const nnd_onnx_constant *c = &o->constants.items[i];
        if (c->tensor.dtype == NND_F32 && nnd_tensor_count(&c->tensor) >= HALF_LEAST_COUNT &&
            !is_excluded(f->q, c->name))
            NND_TRY(halve(f, c));
    }
    if (!f->q->report.count)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "the model has no f32 weights of %d or more numbers in its main graph",
                             HALF_LEAST_COUNT);
    for (size_t i = 0; i < o->nodes.count; i++) {
        const nnd_onnx_outline_node *n = &o->nodes.items[i];
        if (n->output_count == 1 && nnd_map_get(&f->written, n->outputs[0])) continue;
        for (size_t k = 0; k < n->input_count; k++)
            NND_TRY(nnd_map_put(&f->used, n->inputs[k], f, NULL));
        for (size_t k = 0; k < n->output_count; k++)
            NND_TRY(nnd_map_put(&f->written, n->outputs[k], f, NULL));
        nnd_onnx_put_node_again(&f->nodes, n->bytes, n->inputs, n->input_count, n->outputs,
                                n->output_count);
    }
    return f->nodes.failed ? quant_no_memory() : NND_OK;
}

nnd_status quant_emit_half(nnd_quantize *q)
{
    quant_file f = {.q = q};
    nnd_status status = put_all(&f);
    if (status == NND_OK) status = quant_file_finish(&f);
    quant_file_fini(&f);
    return status;
}
