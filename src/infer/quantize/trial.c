/* Trials of a file under way: what it makes of the samples that check. */
#include "infer/quantize/internal.h"

#include <math.h>

nnd_status quant_build(nnd_quantize *q)
{
    NND_TRY(quant_plan_again(q));
    return quant_emit(q);
}

/* ---- running ------------------------------------------------------------------------------- */

typedef struct watch {
    const char *const *outputs;
    size_t count;
    quant_see see;
    void *user;
} watch;

static nnd_status watch_sample(const nnd_quantize *q, const nnd_model *model, nnd_request *request,
                               const watch *w, size_t sample)
{
    NND_TRY(quant_run(q, model, request, q->checks.items[sample]));
    for (size_t i = 0; i < w->count; i++) {
        nnd_value *value = NULL;
        nnd_status status = nnd_request_output(request, w->outputs[i], &value);
        if (status == NND_OK) status = w->see(w->user, sample, i, value);
        nnd_value_unref(value);
        NND_TRY(status);
    }
    return NND_OK;
}

nnd_status quant_watch(const nnd_quantize *q, const void *bytes, size_t size,
                       const char *const *outputs, size_t count, quant_see see, void *user)
{
    const watch w = {outputs, count, see, user};
    nnd_model *model = NULL;
    nnd_request *request = NULL;
    nnd_status status = quant_load(q, bytes, size, &model, &request);
    for (size_t i = 0; i < q->checks.count && status == NND_OK; i++)
        status = watch_sample(q, model, request, &w, i);
    nnd_request_destroy(request);
    nnd_model_unref(model);
    return status == NND_OK ? status : nnd_error_wrap(status, "trial of the new model");
}

/* ---- the outputs --------------------------------------------------------------------------- */

/* What the float model makes of each sample, once. */
static nnd_status keep_wanted(nnd_quantize *q)
{
    const size_t count = q->outline.outputs.count;
    while (q->wanted.count < q->checks.count) {
        nnd_value **values = nnd_calloc(count + 1, sizeof *values);
        if (!values || !nnd_vec_push(&q->wanted, values)) {
            nnd_free(values);
            return quant_no_memory();
        }
        NND_TRY(quant_run(q, q->model, q->request, q->checks.items[q->wanted.count - 1]));
        for (size_t i = 0; i < count; i++)
            NND_TRY(nnd_request_output(q->request, q->outline.outputs.items[i], &values[i]));
    }
    return NND_OK;
}

typedef struct scoring {
    const nnd_quantize *q;
    quant_sums *sums; /* per output */
} scoring;

/* Shapes that come from the data are not compared. */
static nnd_status add_output(void *user, size_t sample, size_t output, const nnd_value *value)
{
    scoring *s = user;
    const nnd_value *wanted = s->q->wanted.items[sample][output];
    if (!quant_is_plain_f32(wanted) || !quant_is_plain_f32(value)) return NND_OK;
    const nnd_tensor *a = nnd_value_tensor(wanted), *b = nnd_value_tensor(value);
    const int64_t count = nnd_tensor_count(a);
    const float *x = a->data, *y = b->data;
    if (count != nnd_tensor_count(b)) return NND_OK;
    for (int64_t i = 0; i < count; i++)
        quant_sums_add(&s->sums[output], (double)x[i], (double)y[i]);
    return NND_OK;
}

nnd_status quant_score(nnd_quantize *q, double *sqnr)
{
    const size_t count = q->outline.outputs.count;
    *sqnr = INFINITY;
    NND_TRY(keep_wanted(q));
    scoring s = {q, nnd_calloc(count + 1, sizeof *s.sums)};
    if (!s.sums) return quant_no_memory();
    nnd_status status = quant_watch(q, q->result.data, q->result.size, q->outline.outputs.items,
                                    count, add_output, &s);
    for (size_t i = 0; i < count && status == NND_OK; i++)
        *sqnr = fmin(*sqnr, quant_sums_sqnr(&s.sums[i]));
    nnd_free(s.sums);
    return status;
}
