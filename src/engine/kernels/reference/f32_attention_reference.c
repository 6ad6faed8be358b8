/* Attention row by row: all scores of a row, their softmax, the sum of the values. */
#include <math.h>
#include <string.h>

#include "engine/kernels/reference/reference.h"

static float dot(const float *a, size_t a_step, const float *b, size_t b_step, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i * a_step] * b[i * b_step];
    return sum;
}

static void apply_bias(float *scores, size_t keys, const nnd_bias *b, size_t batch, size_t head,
                       size_t row)
{
    size_t from = batch * b->batch + head * b->head + row * b->row;
    if (!b->data && !b->keep) return;
    for (size_t i = 0; i < keys; i++) {
        size_t at = from + i * b->column;
        if (i >= b->columns)
            scores[i] = -INFINITY;
        else if (b->data)
            scores[i] += b->data[at];
        else if ((b->keep[at] != 0) == b->inverted)
            scores[i] = b->fill;
    }
}

static void softmax(const nnd_attention *a, size_t head, float *scores)
{
    float top = a->sinks ? a->sinks[head] : -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < a->keys; i++)
        top = scores[i] > top || isnan(scores[i]) ? scores[i] : top;
    for (size_t i = 0; i < a->keys; i++) {
        scores[i] = top == -INFINITY || scores[i] == -INFINITY ? 0.0f : expf(scores[i] - top);
        sum += (double)scores[i];
    }
    if (a->sinks) sum += exp((double)a->sinks[head] - (double)top);
    float inverse = sum != 0 ? (float)(1.0 / sum) : a->empty_is_nan ? NAN : 0.0f;
    bool broken = inverse != inverse && a->nan_is_zero;
    for (size_t i = 0; i < a->keys; i++)
        scores[i] = broken ? 0.0f : scores[i] * inverse;
}

static void tap(const nnd_attention *a, nnd_attention_stage stage, size_t index,
                const float *scores)
{
    if (a->tap && a->tap_stage == stage)
        memcpy(a->tap + index * a->keys, scores, a->keys * sizeof(*scores));
}

void nnd_f32_attention_reference(const nnd_attention *a, size_t index, float *scores)
{
    size_t row = index % a->rows, head = index / a->rows % a->heads, from, to;
    size_t batch = index / a->rows / a->heads, kv = head / (a->heads / a->kv_heads);
    size_t q_step = a->q.step ? a->q.step : 1, k_step = a->k.step ? a->k.step : 1;
    size_t v_step = a->v.step ? a->v.step : 1;
    const float *q = a->q.data + batch * a->q.batch + head * a->q.head + row * a->q.row;
    const float *k = a->k.data + batch * a->k.batch + kv * a->k.head;
    const float *v = a->v.data + batch * a->v.batch + kv * a->v.head;
    float *y = a->y + batch * a->y_batch + head * a->y_head + row * a->y_row;
    for (size_t i = 0; i < a->keys; i++)
        scores[i] = dot(q, q_step, k + i * a->k.row, k_step, a->size) * a->scale;
    tap(a, NND_TAP_SCORES, index, scores);
    for (size_t i = 0; a->softcap != 0 && i < a->keys; i++)
        scores[i] = a->softcap * tanhf(scores[i] / a->softcap);
    tap(a, NND_TAP_CAPPED, index, scores);
    apply_bias(scores, a->keys, &a->bias, batch, head, row);
    apply_bias(scores, a->keys, &a->choice, batch, head, row);
    apply_bias(scores, a->keys, &a->mask, batch, head, row);
    nnd_attention_sight(a, batch, row, &from, &to);
    for (size_t i = 0; i < a->keys; i++)
        if (i < from || i >= to) scores[i] = -INFINITY;
    tap(a, NND_TAP_BIASED, index, scores);
    softmax(a, head, scores);
    tap(a, NND_TAP_SOFTMAX, index, scores);
    memset(y, 0, a->v_size * sizeof(*y));
    for (size_t i = from; i < to; i++)
        for (size_t d = 0; d < a->v_size; d++)
            y[d] += scores[i] * v[i * a->v.row + d * v_step];
    for (size_t d = 0; from >= to && a->empty_is_nan && !a->nan_is_zero && a->keys && d < a->v_size;
         d++)
        y[d] = NAN;
}
