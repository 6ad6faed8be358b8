/* How far the new model is from the float model, tensor by tensor. */
#include "infer/quantize/internal.h"

#include "engine/onnx/expose.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void quant_sums_add(quant_sums *sums, double a, double b)
{
    sums->aa += a * a;
    sums->bb += b * b;
    sums->ab += a * b;
    sums->dd += (a - b) * (a - b);
}

/* A tensor of zeros that stays one is equal; the limits keep the logarithm finite. */
double quant_sums_sqnr(const quant_sums *s)
{
    return s->dd > 0 ? 10 * log10(fmax(s->aa, 1e-300) / s->dd) : INFINITY;
}

static void finish(const quant_sums *s, nnd_quantized_tensor *row)
{
    row->is_measured = true;
    row->sqnr = quant_sums_sqnr(s);
    row->cosine = s->aa > 0 && s->bb > 0 ? s->ab / sqrt(s->aa * s->bb) : s->dd > 0 ? 0 : 1;
    if (row->cosine > 1) row->cosine = 1;
}

nnd_status quant_add_row(nnd_quantize *q, nnd_quantized_tensor row, const quant_sums *sums)
{
    if (sums) finish(sums, &row);
    return nnd_vec_push(&q->report, row) ? NND_OK : quant_no_memory();
}

/* ---- weights ------------------------------------------------------------------------------- */

static nnd_status add_weight(nnd_quantize *q, const quant_layer *layer)
{
    const nnd_onnx_outline_node *n = &q->outline.nodes.items[layer->node];
    nnd_quantized_tensor row = {.kind = NND_QUANTIZED_WEIGHT,
                                .tensor = layer->weight->name,
                                .node = n->name,
                                .op = n->op,
                                .channels = layer->channels};
    quant_sums sums = {0};
    for (size_t c = 0; c < layer->channels; c++)
        row.scale = fmax(row.scale, (double)layer->scales[c]);
    size_t i = 0;
    for (size_t o = 0; o < layer->outer; o++)
        for (size_t c = 0; c < layer->channels; c++)
            for (size_t k = 0; k < layer->inner; k++, i++) {
                const double w = (double)layer->w[i];
                row.low = fmin(row.low, w);
                row.high = fmax(row.high, w);
                quant_sums_add(&sums, w, (double)layer->integers[i] * (double)layer->scales[c]);
            }
    return quant_add_row(q, row, &sums);
}

/* ---- activations and outputs --------------------------------------------------------------- */

/* A tensor of both models. */
typedef struct pair {
    const char *ours, *theirs;   /* in the float model, in the new one */
    const quant_tensor *tensor;  /* NULL = an output of the model */
    const quant_tensor *divided; /* theirs is divided by its factors; NULL = it is not */
    quant_sums sums;
    bool comparable;
} pair;

typedef struct trial {
    nnd_quantize *q;
    NND_VEC(pair) pairs; /* of q->tensors, then of the model's outputs */
    void *bytes;
    nnd_model *model;
    nnd_request *request;
} trial;

static nnd_status list_pairs(trial *t)
{
    const nnd_quantize *q = t->q;
    for (size_t i = 0; i < q->tensors.count; i++) {
        const quant_tensor *tensor = &q->tensors.items[i];
        if (!tensor->is_stored) continue;
        const pair p = {.ours = tensor->name,
                        .theirs = tensor->after_name,
                        .tensor = tensor,
                        .divided = tensor->channels ? tensor : NULL,
                        .comparable = true};
        if (!nnd_vec_push(&t->pairs, p)) return quant_no_memory();
    }
    for (size_t i = 0; i < q->outline.outputs.count; i++) {
        const char *name = q->outline.outputs.items[i];
        const pair p = {.ours = name, .theirs = name, .comparable = true};
        if (!nnd_vec_push(&t->pairs, p)) return quant_no_memory();
    }
    return NND_OK;
}

static nnd_status open_new(trial *t)
{
    nnd_quantize *q = t->q;
    const char **names = nnd_calloc(q->tensors.count + 1, sizeof *names);
    size_t count = 0, size = 0;
    if (!names) return quant_no_memory();
    for (size_t i = 0; i < q->tensors.count; i++)
        if (q->tensors.items[i].is_stored && !q->tensors.items[i].is_output)
            names[count++] = q->tensors.items[i].after_name;
    nnd_status status =
        nnd_onnx_expose(q->result.data, q->result.size, names, count, &t->bytes, &size);
    nnd_free(names);
    if (status == NND_OK) status = quant_load(q, t->bytes, size, &t->model, &t->request);
    return status == NND_OK ? status : nnd_error_wrap(status, "trial of the new model");
}

/* An input of the model is what the sample says. */
static nnd_status float_value(const trial *t, const pair *p, nnd_value *const *sample,
                              nnd_value **out)
{
    const nnd_model *model = t->q->model;
    for (size_t i = 0; i < nnd_model_input_count(model); i++)
        if (strcmp(nnd_model_input(model, i)->name, p->ours) == 0) {
            *out = nnd_value_ref(sample[i]);
            return NND_OK;
        }
    return nnd_request_output(t->q->request, p->ours, out);
}

bool quant_is_plain_f32(const nnd_value *value)
{
    const nnd_tensor *t = value ? nnd_value_tensor(value) : NULL;
    return t && t->dtype == NND_F32 && t->data && nnd_tensor_is_dense(t);
}

/* Other types than f32, and shapes that come from the data, have no figure. */
static void add_values(pair *p, const nnd_value *ours, const nnd_value *theirs)
{
    p->comparable = p->comparable && quant_is_plain_f32(ours) && quant_is_plain_f32(theirs);
    if (!p->comparable) return;
    const nnd_tensor *a = nnd_value_tensor(ours), *b = nnd_value_tensor(theirs);
    const size_t count = (size_t)nnd_tensor_count(a);
    p->comparable = count == (size_t)nnd_tensor_count(b);
    const float *x = a->data, *y = b->data;
    const quant_tensor *d = p->divided;
    const size_t inner = d && count ? count / (size_t)(a->dims[0] * a->dims[1]) : 1;
    for (size_t i = 0; p->comparable && i < count; i++) {
        const double factor = d ? (double)d->factors[i / inner % d->channels] : 1;
        quant_sums_add(&p->sums, (double)x[i], (double)y[i] * factor);
    }
}

static nnd_status compare_sample(trial *t, nnd_value *const *sample)
{
    NND_TRY(quant_run(t->q, t->q->model, t->q->request, sample));
    NND_TRY(quant_run(t->q, t->model, t->request, sample));
    for (size_t i = 0; i < t->pairs.count; i++) {
        pair *p = &t->pairs.items[i];
        nnd_value *ours = NULL, *theirs = NULL;
        nnd_status status = float_value(t, p, sample, &ours);
        if (status == NND_OK) status = nnd_request_output(t->request, p->theirs, &theirs);
        if (status == NND_OK) add_values(p, ours, theirs);
        nnd_value_unref(ours);
        nnd_value_unref(theirs);
        NND_TRY(status);
    }
    return NND_OK;
}

static nnd_status add_activation(nnd_quantize *q, const quant_tensor *t, const pair *p)
{
    const nnd_onnx_outline_node *n =
        t->node == QUANT_NONE ? NULL : &q->outline.nodes.items[t->node];
    const nnd_quantized_tensor row = {.kind = NND_QUANTIZED_ACTIVATION,
                                      .tensor = t->name,
                                      .node = n ? n->name : "",
                                      .op = n ? n->op : "",
                                      .low = t->range.low,
                                      .high = t->range.high,
                                      .scale = (double)t->scale.scale,
                                      .zero = t->scale.zero,
                                      .channels = 1};
    return quant_add_row(q, row, p->comparable ? &p->sums : NULL);
}

static nnd_status add_output(nnd_quantize *q, const pair *p)
{
    const nnd_onnx_outline_node *n = nnd_map_get(&q->made_by, p->ours);
    const nnd_quantized_tensor row = {.kind = NND_QUANTIZED_OUTPUT,
                                      .tensor = p->ours,
                                      .node = n ? n->name : "",
                                      .op = n ? n->op : ""};
    return quant_add_row(q, row, p->comparable ? &p->sums : NULL);
}

static nnd_status run_trial(trial *t)
{
    nnd_quantize *q = t->q;
    NND_TRY(list_pairs(t));
    NND_TRY(open_new(t));
    for (size_t i = 0; i < q->checks.count; i++)
        NND_TRY(compare_sample(t, q->checks.items[i]));
    for (size_t i = 0; i < t->pairs.count; i++) {
        pair *p = &t->pairs.items[i];
        p->comparable = p->comparable && q->checks.count;
        NND_TRY(p->tensor ? add_activation(q, p->tensor, p) : add_output(q, p));
    }
    return NND_OK;
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* Worst first, unmeasured ones last; ties by kind and name, so that the order is always the same.
 */
static int by_error(const void *a, const void *b)
{
    const nnd_quantized_tensor *x = a, *y = b;
    if (x->is_measured != y->is_measured) return x->is_measured ? -1 : 1;
    if (x->is_measured && x->sqnr != y->sqnr) return x->sqnr < y->sqnr ? -1 : 1;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    return strcmp(x->tensor, y->tensor);
}

nnd_status quant_measure(nnd_quantize *q)
{
    trial t = {.q = q};
    nnd_status status = NND_OK;
    for (size_t i = 0; i < q->layers.count && status == NND_OK; i++)
        status = add_weight(q, &q->layers.items[i]);
    if (status == NND_OK) status = run_trial(&t);
    nnd_request_destroy(t.request);
    nnd_model_unref(t.model);
    nnd_free(t.bytes);
    nnd_vec_free(&t.pairs);
    if (status == NND_OK && q->report.count)
        qsort(q->report.items, q->report.count, sizeof *q->report.items, by_error);
    return status;
}
