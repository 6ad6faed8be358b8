#include "engine/ops/attention.h"

#include <math.h>
#include <string.h>

size_t nnd_attention_lane_bytes(size_t keys)
{
    return keys < SIZE_MAX / 8 ? (keys + 16) * sizeof(float) : SIZE_MAX / 2;
}

/* Eight sums side by side, so that compilers use vectors; always in the same order. */
static float dot(const float *a, const float *b, size_t n)
{
    float sums[8] = {0}, sum = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t k = 0; k < 8; k++)
            sums[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        sum += a[i] * b[i];
    for (size_t k = 0; k < 8; k++)
        sum += sums[k];
    return sum;
}

static void add_bias(float *scores, size_t keys, const nnd_bias *b, size_t batch, size_t head,
                     size_t row)
{
    if (!b->data) return;
    const float *from = b->data + batch * b->batch + head * b->head + row * b->row;
    for (size_t i = 0; i < keys; i++) {
        if (i < b->columns)
            scores[i] += from[i * b->column];
        else
            scores[i] = -INFINITY;
    }
}

static void hide(const nnd_attention *a, float *scores, size_t batch, size_t row)
{
    int64_t keys = (int64_t)a->keys, from = 0, to = a->valid ? a->valid[batch] : keys;
    if (a->causal) {
        int64_t end = (int64_t)row + 1 + (a->offset ? a->offset[batch] : 0);
        if (end < to) to = end;
        if (a->window > 0 && end > a->window) from = end - a->window;
    }
    if (to < 0) to = 0;
    if (to > keys) to = keys;
    if (from > to) from = to;
    for (int64_t i = 0; i < from; i++)
        scores[i] = -INFINITY;
    for (int64_t i = to; i < keys; i++)
        scores[i] = -INFINITY;
}

/* A row that sees nothing has no weights at all. */
static void softmax(float *scores, size_t n)
{
    float top = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        top = scores[i] > top || isnan(scores[i]) ? scores[i] : top;
    for (size_t i = 0; i < n; i++) {
        scores[i] = top == -INFINITY || scores[i] == -INFINITY ? 0.0f : expf(scores[i] - top);
        sum += (double)scores[i];
    }
    float inverse = sum != 0 ? (float)(1.0 / sum) : 0.0f;
    for (size_t i = 0; i < n; i++)
        scores[i] *= inverse;
}

static void tap(const nnd_attention *a, nnd_attention_stage stage, size_t index,
                const float *scores)
{
    if (a->tap && a->tap_stage == stage)
        memcpy(a->tap + index * a->keys, scores, a->keys * sizeof(*scores));
}

typedef struct job {
    const nnd_op_ctx *c;
    const nnd_attention *a;
    float *lane; /* of the only lane, when the plan did not bring scratch */
} job;

static nnd_status one_row(void *user, size_t index, int lane)
{
    const job *j = user;
    const nnd_attention *a = j->a;
    float *scores = j->lane ? j->lane : nnd_op_lane(j->c, lane);
    size_t row = index % a->rows, head = index / a->rows % a->heads;
    size_t batch = index / a->rows / a->heads, kv = head / (a->heads / a->kv_heads);
    const float *q = a->q.data + batch * a->q.batch + head * a->q.head + row * a->q.row;
    const float *k = a->k.data + batch * a->k.batch + kv * a->k.head;
    const float *v = a->v.data + batch * a->v.batch + kv * a->v.head;
    float *y = a->y + batch * a->y_batch + head * a->y_head + row * a->y_row;
    for (size_t i = 0; i < a->keys; i++)
        scores[i] = dot(q, k + i * a->k.row, a->size) * a->scale;
    tap(a, NND_TAP_SCORES, index, scores);
    if (a->softcap != 0)
        for (size_t i = 0; i < a->keys; i++)
            scores[i] = a->softcap * tanhf(scores[i] / a->softcap);
    tap(a, NND_TAP_CAPPED, index, scores);
    add_bias(scores, a->keys, &a->bias, batch, head, row);
    add_bias(scores, a->keys, &a->mask, batch, head, row);
    hide(a, scores, batch, row);
    tap(a, NND_TAP_BIASED, index, scores);
    softmax(scores, a->keys);
    tap(a, NND_TAP_SOFTMAX, index, scores);
    memset(y, 0, a->v_size * sizeof(*y));
    for (size_t i = 0; i < a->keys; i++) {
        if (scores[i] == 0) continue; /* masked: its value may be anything, even NaN */
        const float *from = v + i * a->v.row;
        for (size_t d = 0; d < a->v_size; d++)
            y[d] += scores[i] * from[d];
    }
    return NND_OK;
}

nnd_status nnd_attention_run(nnd_op_ctx *c, const nnd_attention *a)
{
    job j = {.c = c, .a = a};
    size_t tiles = a->batch * a->heads * a->rows;
    /* Nothing to write, however many rows of nothing there are. */
    if (!tiles || (!a->v_size && (!a->tap || !a->keys))) return NND_OK;
    if (c->lanes && c->lane_bytes >= nnd_attention_lane_bytes(a->keys))
        return nnd_op_for(c, tiles, one_row, &j);
    j.lane = nnd_alloc_aligned(nnd_attention_lane_bytes(a->keys), 64);
    if (!j.lane) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for the scores");
    nnd_status status = nnd_gang_for(NULL, tiles, one_row, &j, c->cancel);
    nnd_free_aligned(j.lane);
    return status;
}

nnd_status nnd_bias_read(const nnd_op_ctx *c, const nnd_tensor *t, const float *data,
                         const nnd_attention *a, nnd_bias *out)
{
    size_t want[4] = {a->batch, a->heads, a->rows, a->keys}, step[4] = {0}, size = 1;
    *out = (nnd_bias){0};
    if (!t) return NND_OK;
    if (t->rank > 4 || t->rank < 1)
        return nnd_op_fail(c, NND_E_SHAPE, "a mask has rank %d, 1 to 4 are possible", t->rank);
    for (int i = t->rank - 1; i >= 0; i--) {
        int to = 4 - t->rank + i;
        size_t extent = (size_t)t->dims[i];
        bool shorter = to == 3 && extent < want[3] && extent > 1;
        if (extent != 1 && extent != want[to] && !shorter)
            return nnd_op_fail(c, NND_E_SHAPE,
                               "a mask's dimension %d is %zu where %zu are attended", i, extent,
                               want[to]);
        step[to] = extent == 1 ? 0 : size;
        size *= extent;
    }
    size_t last = (size_t)t->dims[t->rank - 1];
    *out = (nnd_bias){data, step[0], step[1], step[2], step[3], last == 1 ? a->keys : last};
    return NND_OK;
}

nnd_heads nnd_heads_packed(const float *data, size_t rows, size_t heads, size_t size)
{
    return (nnd_heads){data, rows * heads * size, size, heads * size};
}

nnd_heads nnd_heads_planar(const float *data, size_t rows, size_t heads, size_t size)
{
    return (nnd_heads){data, rows * heads * size, rows * size, size};
}

void nnd_heads_append(float *to, size_t total, const float *past, size_t past_rows,
                      size_t past_extent, const nnd_heads *more, size_t more_rows, size_t batch,
                      size_t heads, size_t size)
{
    for (size_t i = 0; i < batch * heads; i++) {
        size_t b = i / heads, h = i % heads;
        float *at = to + i * total * size;
        if (past && past_rows)
            memmove(at, past + i * past_extent * size, past_rows * size * sizeof(*at));
        at += past_rows * size;
        for (size_t r = 0; r < more_rows; r++)
            memcpy(at + r * size, more->data + b * more->batch + h * more->head + r * more->row,
                   size * sizeof(*at));
    }
}
