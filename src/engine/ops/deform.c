/*
 * DeformConv: a convolution whose taps are displaced by an operand and weighted by another.
 *
 * A tile is a run of places of one picture and group: the displaced elements are gathered into
 * columns (one per place) and multiplied with the group's kernels, the sums always in one order.
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "engine/ops/real.h"
#include "engine/ops/window.h"

enum { X, W, OFFSET, BIAS, MASK, INPUTS };
enum { PLACES = 64 };

typedef struct job {
    const nnd_op_ctx *c;
    nnd_window w;
    int64_t batch, in_channels, out_channels, group, offset_group;
    size_t taps, rows, places, tiles; /* rows: of the columns = channels of a group × taps */
    nnd_real real[INPUTS];
    float *y;
} job;

static nnd_status check_group(const nnd_op_ctx *c, const char *name, int64_t value, int64_t count)
{
    if (value >= 1 && count % value == 0) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "%s %lld does not divide %lld channels", name,
                       (long long)value, (long long)count);
}

static nnd_status check_maps(const nnd_op_ctx *c, size_t i, const job *j, int64_t per_tap)
{
    const nnd_tensor *t = nnd_op_in(c, i);
    if (!t) return NND_OK;
    if (t->rank == 4 && t->dims[0] == j->batch &&
        t->dims[1] == j->offset_group * (int64_t)j->taps * per_tap && t->dims[2] == j->w.out[0] &&
        t->dims[3] == j->w.out[1])
        return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "input %zu is not [batch, groups·taps·%lld, height, width]",
                       i, (long long)per_tap);
}

static nnd_status read_job(const nnd_op_ctx *c, job *j)
{
    const nnd_tensor *needed;
    for (size_t i = 0; i < INPUTS; i++)
        if (i <= OFFSET || nnd_op_in(c, i)) {
            NND_TRY(nnd_op_need(c, i, &needed));
            NND_TRY(nnd_op_expect(c, i, i ? 1u << c->in[X]->dtype : NND_FLOATS));
        }
    const nnd_tensor *x = c->in[X], *w = c->in[W], *bias = nnd_op_in(c, BIAS);
    if (x->rank != 4 || w->rank != 4)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the input has rank %d; 4 is supported", x->rank);
    *j = (job){.c = c,
               .batch = x->dims[0],
               .in_channels = x->dims[1],
               .out_channels = w->dims[0],
               .group = nnd_node_int(c->node, "group", 1),
               .offset_group = nnd_node_int(c->node, "offset_group", 1)};
    NND_TRY(nnd_window_read(c, w->dims + 2, &j->w));
    NND_TRY(check_group(c, "group", j->group, j->in_channels));
    NND_TRY(check_group(c, "group", j->group, j->out_channels));
    NND_TRY(check_group(c, "offset_group", j->offset_group, j->in_channels));
    if (w->dims[1] != j->in_channels / j->group || w->dims[1] < 1)
        return nnd_op_fail(c, NND_E_SHAPE, "the kernels have %lld channels, %lld are wanted",
                           (long long)w->dims[1], (long long)(j->in_channels / j->group));
    if (bias && nnd_tensor_count(bias) != j->out_channels)
        return nnd_op_fail(c, NND_E_SHAPE, "there is not one bias per channel");
    j->taps = (size_t)(w->dims[2] * w->dims[3]);
    j->rows = (size_t)w->dims[1] * j->taps;
    j->places = (size_t)(j->w.out[0] * j->w.out[1]);
    j->tiles = (j->places + PLACES - 1) / PLACES;
    NND_TRY(check_maps(c, OFFSET, j, 2));
    return check_maps(c, MASK, j, 1);
}

static nnd_status deform_infer(nnd_op_ctx *c)
{
    job j;
    NND_TRY(read_job(c, &j));
    int64_t dims[4] = {j.batch, j.out_channels, j.w.out[0], j.w.out[1]};
    return nnd_op_output(c, 0, c->in[X]->dtype, 4, dims);
}

static nnd_status column_bytes(const nnd_op_ctx *c, const job *j, size_t *out)
{
    if (nnd_size_mul(j->rows, PLACES * sizeof(float), out)) return NND_OK;
    return nnd_op_fail(c, NND_E_OVERFLOW, "the kernels are too large");
}

static nnd_status deform_plan(nnd_op_ctx *c)
{
    job j;
    NND_TRY(read_job(c, &j));
    return column_bytes(c, &j, &c->lane_bytes);
}

/* Where a displaced tap lies: four elements of a plane and their weights, 0 for those outside. */
typedef struct tap {
    size_t at[4];
    float weight[4];
} tap;

static tap find_tap(const job *j, float y, float x, float weight)
{
    tap t = {{0}, {0}};
    int64_t height = j->w.in[0], width = j->w.in[1];
    if (!(y > -1 && y < (float)height && x > -1 && x < (float)width)) return t;
    int64_t top = (int64_t)floorf(y), left = (int64_t)floorf(x);
    float dy = y - (float)top, dx = x - (float)left;
    for (int i = 0; i < 4; i++) {
        int64_t row = top + i / 2, col = left + i % 2;
        if (row < 0 || row >= height || col < 0 || col >= width) continue;
        t.at[i] = (size_t)(row * width + col);
        t.weight[i] = weight * (i / 2 ? dy : 1 - dy) * (i % 2 ? dx : 1 - dx);
    }
    return t;
}

static tap tap_at(const job *j, size_t batch, size_t offset_group, size_t k, size_t place)
{
    size_t cols = (size_t)j->w.out[1], width = (size_t)j->w.kernel[1];
    size_t index = (batch * (size_t)j->offset_group + offset_group) * j->taps + k;
    const float *offset = j->real[OFFSET].data + 2 * index * j->places + place;
    const float *mask = j->real[MASK].data;
    int64_t y = (int64_t)(place / cols) * j->w.stride[0] - j->w.begin[0] +
                (int64_t)(k / width) * j->w.dilation[0];
    int64_t x = (int64_t)(place % cols) * j->w.stride[1] - j->w.begin[1] +
                (int64_t)(k % width) * j->w.dilation[1];
    return find_tap(j, (float)y + offset[0], (float)x + offset[j->places],
                    mask ? mask[index * j->places + place] : 1.0f);
}

/* Columns [channels of the group · taps, n places]. */
static void gather(const job *j, size_t batch, size_t group, size_t first, size_t n, float *columns)
{
    size_t channels = j->rows / j->taps, area = (size_t)(j->w.in[0] * j->w.in[1]);
    size_t per_offset = (size_t)(j->in_channels / j->offset_group);
    for (size_t k = 0; k < j->taps; k++)
        for (size_t i = 0; i < n; i++) {
            tap t = {{0}, {0}};
            for (size_t c = 0; c < channels; c++) {
                size_t channel = group * channels + c;
                if (c == 0 || channel % per_offset == 0)
                    t = tap_at(j, batch, channel / per_offset, k, first + i);
                const float *x =
                    j->real[X].data + (batch * (size_t)j->in_channels + channel) * area;
                columns[(c * j->taps + k) * PLACES + i] =
                    t.weight[0] * x[t.at[0]] + t.weight[1] * x[t.at[1]] + t.weight[2] * x[t.at[2]] +
                    t.weight[3] * x[t.at[3]];
            }
        }
}

static nnd_status deform_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    size_t first = tile % j->tiles * PLACES, group = tile / j->tiles % (size_t)j->group;
    size_t batch = tile / j->tiles / (size_t)j->group;
    size_t n = j->places - first < PLACES ? j->places - first : PLACES;
    size_t channels = (size_t)(j->out_channels / j->group);
    float *columns = nnd_op_lane(j->c, lane), sums[PLACES];
    gather(j, batch, group, first, n, columns);
    for (size_t c = 0; c < channels; c++) {
        size_t channel = group * channels + c;
        const float *w = j->real[W].data + channel * j->rows;
        NND_TRY(nnd_cancel_check(j->c->cancel));
        float start = j->real[BIAS].data ? j->real[BIAS].data[channel] : 0.0f;
        for (size_t i = 0; i < n; i++)
            sums[i] = start;
        for (size_t k = 0; k < j->rows; k++)
            for (size_t i = 0; i < n; i++)
                sums[i] += w[k] * columns[k * PLACES + i];
        memcpy(j->y + (batch * (size_t)j->out_channels + channel) * j->places + first, sums,
               n * sizeof(*sums));
    }
    return NND_OK;
}

static nnd_status deform(nnd_op_ctx *c, job *j, nnd_real *result)
{
    void *memory;
    size_t bytes;
    for (size_t i = 0; i < INPUTS; i++)
        NND_TRY(nnd_real_read(nnd_op_in(c, i), &j->real[i]));
    NND_TRY(nnd_real_result(&c->out[0], true, result, &j->y));
    NND_TRY(column_bytes(c, j, &bytes));
    NND_TRY(nnd_op_need_lane(c, bytes, &memory));
    nnd_status status =
        nnd_op_for(c, (size_t)j->batch * (size_t)j->group * j->tiles, deform_tile, j);
    nnd_free_aligned(memory);
    NND_TRY(status);
    return nnd_real_write(&c->out[0], result);
}

static nnd_status deform_run(nnd_op_ctx *c)
{
    job j;
    nnd_real result = {0};
    NND_TRY(read_job(c, &j));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    if (nnd_tensor_count(c->in[X]) == 0)
        return nnd_op_fail(c, NND_E_SHAPE, "the pictures are empty");
    nnd_op_ctx own = *c; /* its scratch may be this call's */
    j.c = &own;
    nnd_status status = deform(&own, &j, &result);
    for (size_t i = 0; i < INPUTS; i++)
        nnd_real_free(&j.real[i]);
    nnd_real_free(&result);
    return status;
}

static double deform_flops(const nnd_op_ctx *c)
{
    job j;
    if (read_job(c, &j) != NND_OK) return 0;
    return 2.0 * (double)j.batch * (double)j.out_channels * (double)j.rows * (double)j.places;
}

static const nnd_op ops[] = {
    {"", "DeformConv", 19, 0, 3, INPUTS, 1, 1, 0, deform_infer, deform_run, .plan = deform_plan,
     .flops = deform_flops},
};
const nnd_op_family nnd_ops_deform = {ops, NND_COUNT(ops)};
