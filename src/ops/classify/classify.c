/*
 * Soft-max and the best classes of a score vector.
 */
#include <math.h>
#include <stdlib.h>

#include "ops/kernels/kernels.h"
#include "ops/ops_common.h"

/* A row whose largest element is not a number to subtract: +inf takes all of the weight, a row of
   −inf is spread evenly, NaN spreads to the whole row. */
static void share_evenly(const float *from, float *to, size_t count, float top)
{
    size_t tops = 0;
    for (size_t i = 0; i < count; i++)
        tops += from[i] == top;
    const float share = isnan(top) ? top : 1.0f / (float)tops;
    for (size_t i = 0; i < count; i++)
        to[i] = isnan(top) || from[i] == top ? share : 0.0f;
}

/* One row, in place or not. The largest element becomes exp(0), so nothing overflows. */
static void softmax_row(const nnd_ops_kernels *kernels, const float *from, float *to, size_t count)
{
    const float top = kernels->top_f32(from, count);
    if (!nnd_ops_is_finite(top)) {
        share_evenly(from, to, count, top);
        return;
    }
    const float share = (float)(1 / kernels->exp_f32(to, from, count, top)), none = 0;
    kernels->planar_f32c1(&to, to, count, &share, &none);
}

static nnd_status check_f32(const nnd_tensor *t, const char *name)
{
    char have[96];
    if (!t) return nnd_error_set(NND_E_INVALID_ARGUMENT, "%s: no tensor", name);
    if (t->dtype != NND_F32)
        return nnd_error_set(NND_E_TYPE, "%s is %s, expected f32", name,
                             nnd_tensor_describe(t, have, sizeof(have)));
    if (!nnd_tensor_is_dense(t))
        return nnd_error_set(NND_E_SHAPE, "%s is strided, copy it to a dense tensor first", name);
    if (!t->data && nnd_tensor_count(t) > 0)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "%s is not in host memory", name);
    return NND_OK;
}

nnd_status nnd_softmax(nnd_tensor *dst, const nnd_tensor *src)
{
    NND_TRY(check_f32(src, "source"));
    NND_TRY(check_f32(dst, "destination"));
    bool same = dst->rank == src->rank;
    for (int i = 0; same && i < src->rank; i++)
        same = dst->dims[i] == src->dims[i];
    if (!same) {
        char a[96], b[96];
        return nnd_error_set(NND_E_SHAPE, "destination is %s, source is %s",
                             nnd_tensor_describe(dst, a, sizeof(a)),
                             nnd_tensor_describe(src, b, sizeof(b)));
    }
    const nnd_ops_kernels *kernels = nnd_ops_kernels_get();
    const int64_t row = src->rank ? src->dims[src->rank - 1] : 1;
    const int64_t count = nnd_tensor_count(src);
    const float *from = src->data;
    float *to = dst->data;
    for (int64_t i = 0; i < count; i += row)
        softmax_row(kernels, from + i, to + i, (size_t)row);
    return NND_OK;
}

typedef struct ranked {
    float score;
    int32_t index;
} ranked;

/* Descending, NaN last, ties by index. */
static int compare_ranked(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    const float sx = isnan(x->score) ? -INFINITY : x->score;
    const float sy = isnan(y->score) ? -INFINITY : y->score;
    if (sx != sy) return sx > sy ? -1 : 1;
    if (isnan(x->score) != isnan(y->score)) return isnan(x->score) ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static nnd_status check_vector(const nnd_tensor *scores)
{
    NND_TRY(check_f32(scores, "scores"));
    int long_dims = 0;
    for (int i = 0; i < scores->rank; i++)
        long_dims += scores->dims[i] != 1;
    const int64_t count = nnd_tensor_count(scores);
    if (long_dims > 1 || count < 1 || count > INT32_MAX) {
        char have[96];
        return nnd_error_set(NND_E_SHAPE, "scores are %s, expected one vector: f32[N] or f32[1,N]",
                             nnd_tensor_describe(scores, have, sizeof(have)));
    }
    return NND_OK;
}

static nnd_status make_classes(const ranked *order, size_t count, const char *const *labels,
                               size_t label_count, nnd_value **out)
{
    nnd_value *value;
    NND_TRY(nnd_value_new_classes(count, &value));
    for (size_t i = 0; i < count; i++) {
        const size_t id = (size_t)order[i].index;
        const nnd_status status = nnd_value_set_class(value, i, order[i].index, order[i].score,
                                                      id < label_count ? labels[id] : NULL);
        if (status != NND_OK) {
            nnd_value_unref(value);
            return status;
        }
    }
    *out = value;
    return NND_OK;
}

nnd_status nnd_top_k(const nnd_tensor *scores, int k, bool softmax, const char *const *labels,
                     size_t label_count, nnd_value **out_classes)
{
    if (!out_classes || k < 1 || (label_count && !labels))
        return nnd_error_set(
            NND_E_INVALID_ARGUMENT,
            "k is %d, expected 1 or more, with a result and as many labels as said", k);
    NND_TRY(check_vector(scores));
    const size_t count = (size_t)nnd_tensor_count(scores);
    ranked *order = nnd_alloc(count * sizeof(*order));
    float *shares = softmax ? nnd_alloc(count * sizeof(*shares)) : NULL;
    nnd_status status = NND_OK;
    if (!order || (softmax && !shares)) {
        status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to sort %zu scores", count);
    } else {
        const float *values = scores->data;
        if (softmax) {
            softmax_row(nnd_ops_kernels_get(), values, shares, count);
            values = shares;
        }
        for (size_t i = 0; i < count; i++)
            order[i] = (ranked){values[i], (int32_t)i};
        qsort(order, count, sizeof(*order), compare_ranked);
        const size_t kept = (size_t)k < count ? (size_t)k : count;
        status = make_classes(order, kept, labels, label_count, out_classes);
    }
    nnd_free(shares);
    nnd_free(order);
    return status;
}
