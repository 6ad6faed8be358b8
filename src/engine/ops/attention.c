#include "engine/ops/attention.h"

#include <math.h>
#include <string.h>

typedef struct job {
    const nnd_op_ctx *c;
    const nnd_attention *a;
    float *lane; /* of the only lane, when the plan did not bring scratch */
} job;

static nnd_status one_tile(void *user, size_t index, int lane)
{
    const job *j = user;
    nnd_attention_run_tile(j->a, index, j->lane ? j->lane : nnd_op_lane(j->c, lane));
    return NND_OK;
}

nnd_status nnd_attention_run(nnd_op_ctx *c, const nnd_attention *a)
{
    job j = {.c = c, .a = a};
    size_t tiles = nnd_attention_tiles(a), bytes = nnd_attention_lane_bytes(a);
    /* Nothing to write, however many rows of nothing there are. */
    if (!tiles || (!a->v_size && (!a->tap || !a->keys))) return NND_OK;
    if (c->lanes && c->lane_bytes >= bytes) return nnd_op_for(c, tiles, one_tile, &j);
    j.lane = nnd_alloc_aligned(bytes, NND_KERNEL_ALIGN);
    if (!j.lane) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for the scores");
    nnd_status status = nnd_gang_for(NULL, tiles, one_tile, &j, c->cancel);
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
    *out = (nnd_bias){.batch = step[0],
                      .head = step[1],
                      .row = step[2],
                      .column = step[3],
                      .columns = last == 1 ? a->keys : last};
    if (t->dtype == NND_BOOL) {
        out->keep = t->data;
        out->fill = -INFINITY;
    } else {
        out->data = data;
    }
    return NND_OK;
}

nnd_heads nnd_heads_packed(const float *data, size_t rows, size_t heads, size_t size)
{
    return (nnd_heads){data, rows * heads * size, size, heads * size, 1};
}

nnd_heads nnd_heads_planar(const float *data, size_t rows, size_t heads, size_t size)
{
    return (nnd_heads){data, rows * heads * size, rows * size, size, 1};
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
