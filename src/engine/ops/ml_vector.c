/* ai.onnx.ml: features of a row (ArrayFeatureExtractor, Binarizer, FeatureVectorizer, Imputer,
   Normalizer, Scaler). */
#include <math.h>
#include <string.h>

#include "engine/ops/ml.h"

/* ---- ArrayFeatureExtractor ------------------------------------------------------------------ */

static nnd_status extract_infer(nnd_op_ctx *c)
{
    const nnd_tensor *x, *index;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_need(c, 1, &index));
    NND_TRY(nnd_op_expect(c, 0, NND_ML_NUMBERS | 1u << NND_STRING));
    NND_TRY(nnd_op_expect(c, 1, 1u << NND_I64));
    if (x->rank < 1) return nnd_op_fail(c, NND_E_SHAPE, "the input is a scalar");
    memcpy(dims, x->dims, sizeof(dims));
    int rank = x->rank;
    if (rank == 1) dims[rank++ - 1] = 1; /* a vector is one row */
    dims[rank - 1] = nnd_tensor_count(index);
    return nnd_op_output(c, 0, x->dtype, rank, dims);
}

static nnd_status extract_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0], *index = c->in[1];
    int64_t width = x->dims[x->rank - 1];
    size_t size = nnd_op_element(x->dtype), rows = (size_t)nnd_op_span(x, 0, x->rank - 1);
    size_t taken = (size_t)nnd_tensor_count(index);
    char *to = c->out[0].data;
    for (size_t i = 0; i < taken; i++) {
        int64_t at = nnd_op_int_at(index, i);
        if (at < 0 || at >= width)
            return nnd_op_fail(c, NND_E_SHAPE, "feature %lld of %lld", (long long)at,
                               (long long)width);
        for (size_t r = 0; r < rows; r++) {
            const char *from = (const char *)x->data + (r * (size_t)width + (size_t)at) * size;
            if (size == sizeof(float)) /* one instruction, as the size is known */
                memcpy(to + (r * taken + i) * size, from, sizeof(float));
            else
                memcpy(to + (r * taken + i) * size, from, size);
        }
    }
    return NND_OK;
}

/* ---- Binarizer ------------------------------------------------------------------------------ */

static nnd_status binarizer_infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, NND_ML_NUMBERS));
    return nnd_op_like(c, 0, 0);
}

static nnd_status binarizer_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0];
    size_t count = (size_t)nnd_tensor_count(x);
    float threshold = nnd_node_float(c->node, "threshold", 0);
    if (x->dtype == NND_F32) {
        const float *from = x->data;
        float *to = c->out[0].data;
        for (size_t i = 0; i < count; i++)
            to[i] = from[i] > threshold ? 1.0f : 0.0f;
        return NND_OK;
    }
    for (size_t i = 0; i < count; i++)
        nnd_dtype_set(x->dtype, c->out[0].data, i,
                      nnd_dtype_get(x->dtype, x->data, i) > (double)threshold);
    return NND_OK;
}

/* ---- FeatureVectorizer ---------------------------------------------------------------------- */

/* Columns that input k takes: the attribute cuts or pads with zeros. */
static int64_t columns_of(const nnd_op_ctx *c, size_t k)
{
    size_t count;
    const int64_t *dims = nnd_node_ints(c->node, "inputdimensions", &count);
    const nnd_tensor *t = c->in[k];
    return dims && k < count ? dims[k] : t->rank > 1 ? nnd_op_span(t, 1, t->rank) : t->dims[0];
}

static nnd_status features_infer(nnd_op_ctx *c)
{
    int64_t dims[2] = {0, 0};
    for (size_t k = 0; k < c->in_count; k++) {
        const nnd_tensor *t;
        NND_TRY(nnd_op_need(c, k, &t));
        NND_TRY(nnd_op_expect(c, k, NND_ML_NUMBERS));
        if (t->rank < 1) return nnd_op_fail(c, NND_E_SHAPE, "input %zu is a scalar", k);
        int64_t rows = t->rank > 1 ? t->dims[0] : 1, columns = columns_of(c, k);
        if ((k && rows != dims[0]) || columns < 0 || columns > INT32_MAX)
            return nnd_op_fail(c, NND_E_SHAPE, "input %zu does not fit the others", k);
        dims[0] = rows;
        dims[1] += columns;
    }
    return nnd_op_output(c, 0, NND_F32, 2, dims);
}

static nnd_status features_run(nnd_op_ctx *c)
{
    size_t rows = (size_t)c->out[0].dims[0], width = (size_t)c->out[0].dims[1], at = 0;
    float *to = c->out[0].data;
    memset(to, 0, nnd_tensor_bytes(&c->out[0]));
    for (size_t k = 0; k < c->in_count; k++) {
        const nnd_tensor *t = c->in[k];
        size_t columns = (size_t)columns_of(c, k);
        size_t there = rows ? (size_t)nnd_tensor_count(t) / rows : 0;
        for (size_t r = 0; r < rows; r++)
            for (size_t i = 0; i < columns && i < there; i++)
                to[r * width + at + i] = (float)nnd_dtype_get(t->dtype, t->data, r * there + i);
        at += columns;
    }
    return NND_OK;
}

/* ---- Imputer -------------------------------------------------------------------------------- */

static nnd_status imputer_infer(nnd_op_ctx *c)
{
    const nnd_tensor *x;
    nnd_tensor values;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_expect(c, 0, NND_ML_NUMBERS));
    bool real = 1u << x->dtype & NND_FLOATS;
    NND_TRY(
        nnd_ml_vector(c->node, real ? "imputed_value_floats" : "imputed_value_int64s", &values));
    int64_t width = x->rank ? x->dims[x->rank - 1] : 1;
    if (values.rank != 1 || (values.dims[0] != 1 && values.dims[0] != width))
        return nnd_op_fail(c, NND_E_SHAPE, "there is not one value for each of %lld features",
                           (long long)width);
    return nnd_op_like(c, 0, 0);
}

static nnd_status imputer_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0];
    nnd_tensor values;
    bool real = 1u << x->dtype & NND_FLOATS;
    NND_TRY(
        nnd_ml_vector(c->node, real ? "imputed_value_floats" : "imputed_value_int64s", &values));
    double gone = (double)nnd_node_float(c->node, "replaced_value_float", 0);
    int64_t gone_int = nnd_node_int(c->node, "replaced_value_int64", 0);
    size_t size = nnd_op_element(x->dtype), width = (size_t)values.dims[0];
    for (size_t i = 0; i < (size_t)nnd_tensor_count(x); i++) {
        size_t k = i % width;
        double v = real ? nnd_dtype_get(x->dtype, x->data, i) : 0;
        bool replace =
            real ? v == gone || (isnan(v) && isnan(gone)) : nnd_op_int_at(x, i) == gone_int;
        if (!replace)
            memcpy((char *)c->out[0].data + i * size, (const char *)x->data + i * size, size);
        else if (x->dtype == NND_I64)
            ((int64_t *)c->out[0].data)[i] = ((const int64_t *)values.data)[k];
        else
            nnd_dtype_set(x->dtype, c->out[0].data, i, nnd_dtype_get(values.dtype, values.data, k));
    }
    return NND_OK;
}

/* ---- Normalizer ----------------------------------------------------------------------------- */

static nnd_status real_infer(nnd_op_ctx *c)
{
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_expect(c, 0, NND_ML_NUMBERS));
    if (x->rank < 1) return nnd_op_fail(c, NND_E_SHAPE, "the input is a scalar");
    return nnd_op_output(c, 0, NND_F32, x->rank, x->dims);
}

static nnd_status normalizer_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0];
    const char *norm = nnd_node_string(c->node, "norm", "MAX");
    bool l1 = strcmp(norm, "L1") == 0, l2 = strcmp(norm, "L2") == 0;
    if (!l1 && !l2 && strcmp(norm, "MAX") != 0)
        return nnd_op_fail(c, NND_E_FORMAT, "norm is '%s'", norm);
    size_t width = (size_t)x->dims[x->rank - 1], count = (size_t)nnd_tensor_count(x);
    float *to = c->out[0].data;
    for (size_t row = 0; row < count; row += width) {
        double sum = l1 || l2 ? 0 : -INFINITY;
        for (size_t i = 0; i < width; i++) {
            double v = nnd_dtype_get(x->dtype, x->data, row + i);
            sum = l1 ? sum + fabs(v) : l2 ? sum + v * v : fmax(sum, v);
        }
        if (l2) sum = sqrt(sum);
        for (size_t i = 0; i < width; i++) {
            double v = nnd_dtype_get(x->dtype, x->data, row + i);
            to[row + i] = (float)(sum != 0 ? v / sum : v);
        }
    }
    return NND_OK;
}

/* ---- Scaler --------------------------------------------------------------------------------- */

static nnd_status scaler_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0];
    size_t width = (size_t)x->dims[x->rank - 1], offsets, scales;
    const float *offset = nnd_node_floats(c->node, "offset", &offsets);
    const float *scale = nnd_node_floats(c->node, "scale", &scales);
    bool fits =
        offset && scale && (offsets == 1 || offsets == width) && (scales == 1 || scales == width);
    if (!fits)
        return nnd_op_fail(c, NND_E_SHAPE, "offset and scale do not fit %zu features", width);
    size_t count = (size_t)nnd_tensor_count(x), next_offset = offsets > 1, next_scale = scales > 1;
    const float *numbers = x->dtype == NND_F32 ? x->data : NULL;
    float *to = c->out[0].data;
    for (size_t row = 0; row < count; row += width)
        for (size_t k = 0; k < width; k++) {
            double v =
                numbers ? (double)numbers[row + k] : nnd_dtype_get(x->dtype, x->data, row + k);
            double off = (double)offset[k * next_offset];
            to[row + k] = (float)((v - off) * (double)scale[k * next_scale]);
        }
    return NND_OK;
}

static const nnd_op ops[] = {
    {NND_ML, "ArrayFeatureExtractor", 1, 0, 2, 2, 1, 1, 0, extract_infer, extract_run,
     .variant = 0},
    {NND_ML, "Binarizer", 1, 0, 1, 1, 1, 1, 0, binarizer_infer, binarizer_run, .variant = 0},
    {NND_ML, "FeatureVectorizer", 1, 0, 1, -1, 1, 1, 0, features_infer, features_run, .variant = 0},
    {NND_ML, "Imputer", 1, 0, 1, 1, 1, 1, 0, imputer_infer, imputer_run, .variant = 0},
    {NND_ML, "Normalizer", 1, 0, 1, 1, 1, 1, 0, real_infer, normalizer_run, .variant = 0},
    {NND_ML, "Scaler", 1, 0, 1, 1, 1, 1, 0, real_infer, scaler_run, .variant = 0},
};
const nnd_op_family nnd_ops_ml_vector = {ops, NND_COUNT(ops)};
