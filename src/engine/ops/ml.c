#include "engine/ops/ml.h"

#include <math.h>
#include <string.h>

nnd_status nnd_ml_vector(const nnd_graph_node *n, const char *name, nnd_tensor *out)
{
    const nnd_attr *a = nnd_node_attr(n, name);
    *out = (nnd_tensor){.rank = -1};
    if (!a) return NND_OK;
    int64_t count = (int64_t)a->count;
    switch (a->kind) {
    case NND_ATTR_TENSOR:
        *out = *a->u.tensor;
        return NND_OK;
    case NND_ATTR_INTS:
        return nnd_tensor_init(out, NND_I64, 1, &count, a->u.ints);
    case NND_ATTR_FLOATS:
        return nnd_tensor_init(out, NND_F32, 1, &count, a->u.floats);
    case NND_ATTR_STRINGS:
        return nnd_tensor_init(out, NND_STRING, 1, &count, a->u.strings);
    default:
        return nnd_error_set(NND_E_FORMAT, "the attribute '%s' is no list", name);
    }
}

/* ---- scores -------------------------------------------------------------------------------- */

nnd_status nnd_ml_read_post(const nnd_op_ctx *c, nnd_ml_post *out)
{
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    const char *name = nnd_node_string(c->node, "post_transform", "NONE");
    for (size_t i = 0; i < NND_COUNT(names); i++) {
        if (strcmp(names[i], name) != 0) continue;
        *out = (nnd_ml_post)i;
        return NND_OK;
    }
    return nnd_op_fail(c, NND_E_FORMAT, "post_transform is '%s'", name);
}

static void softmax(double *v, size_t count, bool keep_zero)
{
    double largest = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, v[i]);
    for (size_t i = 0; i < count; i++) {
        if (keep_zero && v[i] == 0) continue;
        v[i] = exp(v[i] - largest);
        sum += v[i];
    }
    for (size_t i = 0; i < count && sum > 0; i++)
        v[i] /= sum;
}

/* The quantile of the normal distribution: Winitzki's approximation of the inverse error function,
   then Newton's steps. */
static double probit(double p)
{
    double x = 2 * p - 1;
    if (!(x > -1 && x < 1)) return x >= 1 ? INFINITY : x <= -1 ? -INFINITY : NAN;
    double a = 0.147, log_part = log((1 - x) * (1 + x)), pi = 3.14159265358979323846;
    double b = 2 / (pi * a) + log_part / 2;
    double y = copysign(sqrt(sqrt(b * b - log_part / a) - b), x);
    for (int i = 0; i < 3; i++)
        y -= (erf(y) - x) / (2 / sqrt(pi) * exp(-y * y));
    return sqrt(2) * y;
}

void nnd_ml_apply(nnd_ml_post post, double *scores, size_t count)
{
    if (post == NND_ML_SOFTMAX || post == NND_ML_SOFTMAX_ZERO)
        softmax(scores, count, post == NND_ML_SOFTMAX_ZERO);
    for (size_t i = 0; i < count; i++) {
        if (post == NND_ML_LOGISTIC) scores[i] = 1 / (1 + exp(-scores[i]));
        if (post == NND_ML_PROBIT) scores[i] = probit(scores[i]);
    }
}

size_t nnd_ml_argmax(const double *scores, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (scores[i] > scores[best]) best = i;
    return best;
}

/* ---- inputs and outputs -------------------------------------------------------------------- */

nnd_status nnd_ml_rows(const nnd_op_ctx *c, size_t *rows, size_t *features)
{
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_expect(c, 0, NND_ML_NUMBERS));
    if (x->rank != 1 && x->rank != 2)
        return nnd_op_fail(c, NND_E_SHAPE, "the input has rank %d", x->rank);
    *rows = x->rank == 2 ? (size_t)x->dims[0] : 1;
    *features = (size_t)x->dims[x->rank - 1];
    return NND_OK;
}

nnd_status nnd_ml_row(const nnd_tensor *x, size_t row, float *room, const float **out)
{
    size_t width = (size_t)x->dims[x->rank - 1];
    const void *from = (const char *)x->data + row * width * nnd_op_element(x->dtype);
    *out = x->dtype == NND_F32 ? from : room;
    return x->dtype == NND_F32 ? NND_OK : nnd_dtype_convert(x->dtype, from, NND_F32, room, width);
}

double nnd_ml_dot(const float *a, const float *b, size_t count)
{
    double sum[8] = {0};
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (size_t k = 0; k < 8; k++)
            sum[k] += (double)a[i + k] * (double)b[i + k];
    for (; i < count; i++)
        sum[0] += (double)a[i] * (double)b[i];
    return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

nnd_status nnd_ml_read_labels(const nnd_op_ctx *c, const char *strings, const char *ints,
                              nnd_ml_labels *out)
{
    NND_TRY(nnd_ml_vector(c->node, strings, &out->labels));
    if (out->labels.rank != 1 || !out->labels.dims[0])
        NND_TRY(nnd_ml_vector(c->node, ints, &out->labels));
    if (out->labels.rank != 1 || !out->labels.dims[0] ||
        (out->labels.dtype != NND_STRING && out->labels.dtype != NND_I64))
        return nnd_op_fail(c, NND_E_FORMAT, "there are no labels");
    out->count = (size_t)out->labels.dims[0];
    return NND_OK;
}

nnd_status nnd_ml_infer_classes(nnd_op_ctx *c, const nnd_ml_labels *labels, size_t columns)
{
    size_t rows, features;
    NND_TRY(nnd_ml_rows(c, &rows, &features));
    int64_t dims[2] = {(int64_t)rows, (int64_t)columns};
    NND_TRY(nnd_op_output(c, 0, labels->labels.dtype, 1, dims));
    return nnd_op_output(c, 1, NND_F32, 2, dims);
}

void nnd_ml_put_label(nnd_op_ctx *c, const nnd_ml_labels *labels, size_t row, size_t label)
{
    size_t size = nnd_op_element(labels->labels.dtype);
    if (c->out[0].data)
        memcpy((char *)c->out[0].data + row * size,
               (const char *)labels->labels.data + label * size, size);
}

void nnd_ml_put_scores(nnd_op_ctx *c, size_t output, size_t row, const double *scores, size_t count)
{
    if (output >= c->out_count || !c->out[output].data) return;
    nnd_tensor *y = &c->out[output];
    if (y->dtype == NND_F32)
        for (size_t i = 0; i < count; i++)
            ((float *)y->data)[row * count + i] = (float)scores[i];
    else
        for (size_t i = 0; i < count; i++)
            nnd_dtype_set(y->dtype, y->data, row * count + i, scores[i]);
}
