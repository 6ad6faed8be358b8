/*
 * com.microsoft's quantised layers: QLinearConcat, QLinearAveragePool, QLinearGlobalAveragePool,
 * QLinearSoftmax. Global averages are sums of integers that are scaled once; else bytes are
 * dequantised, computed in single precision (sums in double) and quantised again.
 */
#include <string.h>

#include "engine/ops/qlinear.h"
#include "engine/ops/window.h"

/* ---- QLinearConcat -------------------------------------------------------------------------- */

enum { FIRST = 2, EACH = 3 }; /* behind scale and zero point of the result: value, scale, zero */

static nnd_status concat_read(const nnd_op_ctx *c, int *axis, int64_t *dims)
{
    const nnd_tensor *zero;
    size_t n = (c->in_count - FIRST) / EACH;
    NND_TRY(nnd_op_need(c, 1, &zero));
    NND_TRY(nnd_op_expect(c, 1, NND_BYTES));
    NND_TRY(nnd_scaling_check(c, 0, zero->dtype));
    if (n < 1 || FIRST + n * EACH != c->in_count)
        return nnd_op_fail(c, NND_E_FORMAT, "there are not three inputs for each tensor");
    for (size_t i = 0; i < n; i++) {
        NND_TRY(nnd_op_expect(c, FIRST + i * EACH, 1u << zero->dtype));
        NND_TRY(nnd_scaling_check(c, FIRST + i * EACH + 1, zero->dtype));
        const nnd_tensor *x = c->in[FIRST + i * EACH], *first = c->in[FIRST];
        if (i == 0) {
            NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 1), x->rank, axis));
            memcpy(dims, x->dims, (size_t)x->rank * sizeof(*dims));
            continue;
        }
        if (x->rank != first->rank) return nnd_op_fail(c, NND_E_SHAPE, "the ranks differ");
        for (int d = 0; d < x->rank; d++)
            if (d != *axis && x->dims[d] != dims[d])
                return nnd_op_fail(c, NND_E_SHAPE, "dimension %d differs", d);
        if (x->dims[*axis] > INT64_MAX / 2 - dims[*axis])
            return nnd_op_fail(c, NND_E_OVERFLOW, "the result is too large");
        dims[*axis] += x->dims[*axis];
    }
    return NND_OK;
}

static nnd_status concat_infer(nnd_op_ctx *c)
{
    int axis;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(concat_read(c, &axis, dims));
    return nnd_op_output(c, 0, c->in[1]->dtype, c->in[FIRST]->rank, dims);
}

typedef struct concat_job {
    const nnd_op_ctx *c;
    int axis;
    uint8_t *tables; /* NND_TABLE_CODES per operand: its codes as codes of the result */
} concat_job;

static nnd_status concat_tables(concat_job *j)
{
    const nnd_op_ctx *c = j->c;
    static const int64_t dims[1] = {NND_TABLE_CODES};
    uint8_t all[NND_TABLE_CODES];
    nnd_scaling result = nnd_scaling_result(c, 0);
    size_t n = (c->in_count - FIRST) / EACH;
    j->tables = nnd_alloc(n * NND_TABLE_CODES);
    if (!j->tables) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for tables");
    for (size_t i = 0; i < NND_TABLE_CODES; i++)
        all[i] = (uint8_t)i;
    for (size_t k = 0; k < n; k++) {
        nnd_tensor from, to;
        nnd_scaling s = nnd_scaling_at(c, FIRST + k * EACH + 1);
        NND_TRY(nnd_tensor_init(&from, c->in[1]->dtype, 1, dims, all));
        NND_TRY(nnd_tensor_init(&to, c->in[1]->dtype, 1, dims, j->tables + k * NND_TABLE_CODES));
        for (size_t i = 0; i < NND_TABLE_CODES; i++)
            nnd_quantise(&to, i, nnd_dequantise(&from, i, s), result);
    }
    return NND_OK;
}

/* One row of the dimensions before the axis. */
static nnd_status concat_tile(void *user, size_t row, int lane)
{
    const concat_job *j = user;
    const nnd_op_ctx *c = j->c;
    const nnd_tensor *y = &c->out[0];
    const uint8_t *table = j->tables;
    size_t to = row * (size_t)nnd_op_span(y, j->axis, y->rank);
    (void)lane;
    for (size_t k = FIRST; k < c->in_count; k += EACH) {
        const nnd_tensor *x = c->in[k];
        size_t n = (size_t)nnd_op_span(x, j->axis, x->rank);
        const uint8_t *codes = (const uint8_t *)x->data + row * n;
        for (size_t i = 0; i < n; i++)
            ((uint8_t *)y->data)[to + i] = table[codes[i]];
        to += n;
        table += NND_TABLE_CODES;
    }
    return NND_OK;
}

static nnd_status concat_run(nnd_op_ctx *c)
{
    concat_job j = {.c = c};
    int64_t dims[NND_MAX_RANK];
    NND_TRY(concat_read(c, &j.axis, dims));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    nnd_status status = concat_tables(&j);
    if (status == NND_OK)
        status = nnd_op_for(c, (size_t)nnd_op_span(&c->out[0], 0, j.axis), concat_tile, &j);
    nnd_free(j.tables);
    return status;
}

/* ---- QLinearGlobalAveragePool --------------------------------------------------------------- */

static nnd_status check_pair(const nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, NND_BYTES));
    NND_TRY(nnd_scaling_check(c, 1, c->in[0]->dtype));
    return nnd_scaling_check(c, 3, c->in[0]->dtype);
}

static bool channels_last(const nnd_op_ctx *c)
{
    return nnd_node_int(c->node, "channels_last", 0) != 0;
}

static nnd_status global_infer(nnd_op_ctx *c)
{
    int64_t dims[NND_MAX_RANK];
    NND_TRY(check_pair(c));
    const nnd_tensor *x = c->in[0];
    if (x->rank < 2) return nnd_op_fail(c, NND_E_SHAPE, "the input has rank %d", x->rank);
    int channels = channels_last(c) ? x->rank - 1 : 1;
    for (int d = 0; d < x->rank; d++)
        dims[d] = d == 0 || d == channels ? x->dims[d] : 1;
    return nnd_op_output(c, 0, x->dtype, x->rank, dims);
}

static nnd_status global_tile(void *user, size_t plane, int lane)
{
    const nnd_op_ctx *c = user;
    const nnd_tensor *x = c->in[0];
    bool last = channels_last(c);
    size_t channels = (size_t)x->dims[last ? x->rank - 1 : 1];
    size_t area = (size_t)nnd_op_span(x, last ? 1 : 2, last ? x->rank - 1 : x->rank);
    size_t from = last ? plane / channels * area * channels + plane % channels : plane * area;
    nnd_scaling s = nnd_scaling_at(c, 1), result = nnd_scaling_result(c, 3);
    int64_t sum = 0; /* exact, and scaled once */
    (void)lane;
    for (size_t i = 0; i < area; i++) {
        size_t at = from + i * (last ? channels : 1);
        sum += x->dtype == NND_I8 ? ((const int8_t *)x->data)[at] : ((const uint8_t *)x->data)[at];
    }
    sum -= (int64_t)s.zero * (int64_t)area;
    float factor = s.scale / (result.scale * (float)area);
    result.scale = 1;
    nnd_quantise(&c->out[0], plane, (float)sum * factor, result);
    return NND_OK;
}

static nnd_status global_run(nnd_op_ctx *c)
{
    return nnd_op_for(c, (size_t)nnd_tensor_count(&c->out[0]), global_tile, c);
}

/* ---- QLinearAveragePool --------------------------------------------------------------------- */

static nnd_status read_pool(const nnd_op_ctx *c, nnd_window *w)
{
    NND_TRY(check_pair(c));
    if (channels_last(c))
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "channels_last is not supported");
    return nnd_window_read(c, NULL, w);
}

static nnd_status pool_infer(nnd_op_ctx *c)
{
    nnd_window w;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(read_pool(c, &w));
    memcpy(dims, c->in[0]->dims, sizeof(dims));
    memcpy(dims + 2, w.out, (size_t)w.spatial * sizeof(*dims));
    return nnd_op_output(c, 0, c->in[0]->dtype, c->in[0]->rank, dims);
}

typedef struct pool_job {
    const nnd_op_ctx *c;
    nnd_window w; /* three dimensions, leading ones of extent 1 */
    bool include_pad;
    size_t in_area, out_area;
} pool_job;

/* Cells of one window along dimension d that lie in the input, [from, to), and how many count. */
static int64_t cells(const pool_job *j, int d, int64_t o, int64_t *from, int64_t *to)
{
    const nnd_window *w = &j->w;
    int64_t start = o * w->stride[d] - w->begin[d], inside = 0, padded = 0;
    *from = w->kernel[d];
    *to = 0;
    for (int64_t k = 0; k < w->kernel[d]; k++) {
        int64_t x = start + k * w->dilation[d];
        padded += x < w->in[d] + w->end[d];
        if (x < 0 || x >= w->in[d]) continue;
        if (k < *from) *from = k;
        *to = k + 1;
        inside++;
    }
    return j->include_pad ? padded : inside;
}

static float pool_cell(const pool_job *j, size_t plane, const int64_t *o, nnd_scaling s)
{
    const nnd_window *w = &j->w;
    int64_t from[3], to[3], count = 1;
    double sum = 0;
    for (int d = 0; d < 3; d++)
        count *= cells(j, d, o[d], &from[d], &to[d]);
    for (int64_t a = from[0]; a < to[0]; a++)
        for (int64_t b = from[1]; b < to[1]; b++)
            for (int64_t c = from[2]; c < to[2]; c++) {
                const int64_t k[3] = {a, b, c};
                int64_t at = 0;
                for (int d = 0; d < 3; d++)
                    at = at * w->in[d] + o[d] * w->stride[d] - w->begin[d] + k[d] * w->dilation[d];
                sum += (double)nnd_dequantise(j->c->in[0], plane * j->in_area + (size_t)at, s);
            }
    return count ? (float)(sum / (double)count) : 0.0f;
}

static nnd_status pool_tile(void *user, size_t plane, int lane)
{
    const pool_job *j = user;
    nnd_scaling s = nnd_scaling_at(j->c, 1), result = nnd_scaling_result(j->c, 3);
    (void)lane;
    for (size_t i = 0; i < j->out_area; i++) {
        int64_t o[3], left = (int64_t)i;
        for (int d = 2; d >= 0; d--) {
            o[d] = left % j->w.out[d];
            left /= j->w.out[d];
        }
        nnd_quantise(&j->c->out[0], plane * j->out_area + i, pool_cell(j, plane, o, s), result);
    }
    return NND_OK;
}

/* The same window in three dimensions. */
static nnd_window widen(const nnd_window *w)
{
    nnd_window wide = {.spatial = 3, .ceil_mode = w->ceil_mode};
    for (int d = 0; d < 3; d++) {
        int from = d - (3 - w->spatial);
        bool real = from >= 0;
        wide.in[d] = real ? w->in[from] : 1;
        wide.out[d] = real ? w->out[from] : 1;
        wide.kernel[d] = real ? w->kernel[from] : 1;
        wide.stride[d] = real ? w->stride[from] : 1;
        wide.dilation[d] = real ? w->dilation[from] : 1;
        wide.begin[d] = real ? w->begin[from] : 0;
        wide.end[d] = real ? w->end[from] : 0;
    }
    return wide;
}

static nnd_status pool_run(nnd_op_ctx *c)
{
    nnd_window w;
    NND_TRY(read_pool(c, &w));
    const nnd_tensor *x = c->in[0];
    pool_job j = {.c = c,
                  .w = widen(&w),
                  .include_pad = nnd_node_int(c->node, "count_include_pad", 0) != 0,
                  .in_area = (size_t)nnd_op_span(x, 2, x->rank),
                  .out_area = (size_t)nnd_op_span(&c->out[0], 2, x->rank)};
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    return nnd_op_for(c, (size_t)nnd_op_span(x, 0, 2), pool_tile, &j);
}

/* ---- QLinearSoftmax ------------------------------------------------------------------------- */

/* Rows of n elements that are `step` apart. Before opset 13 all dimensions from the axis on are one
   row. */
typedef struct softmax_job {
    const nnd_op_ctx *c;
    size_t n, step;
} softmax_job;

static nnd_status read_softmax(const nnd_op_ctx *c, softmax_job *j)
{
    int axis;
    bool merged = nnd_node_int(c->node, "opset", 13) < 13;
    NND_TRY(check_pair(c));
    const nnd_tensor *x = c->in[0];
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", merged ? 1 : -1), x->rank, &axis));
    *j = (softmax_job){.c = c, .step = merged ? 1 : (size_t)nnd_op_span(x, axis + 1, x->rank)};
    j->n = merged ? (size_t)nnd_op_span(x, axis, x->rank) : (size_t)x->dims[axis];
    return NND_OK;
}

static nnd_status softmax_infer(nnd_op_ctx *c)
{
    softmax_job j;
    NND_TRY(read_softmax(c, &j));
    return nnd_op_like(c, 0, 0);
}

/* Σ e^(x − top) of the row that begins at `first`, and the largest element, top. */
static double softmax_sum(const softmax_job *j, size_t first, float *top)
{
    const nnd_tensor *x = j->c->in[0];
    nnd_scaling s = nnd_scaling_at(j->c, 1);
    double sum = 0;
    *top = -INFINITY;
    for (size_t i = 0; i < j->n; i++) {
        float v = nnd_dequantise(x, first + i * j->step, s);
        if (v > *top) *top = v;
    }
    for (size_t i = 0; i < j->n; i++)
        sum += (double)expf(nnd_dequantise(x, first + i * j->step, s) - *top);
    return sum;
}

static nnd_status softmax_tile(void *user, size_t row, int lane)
{
    const softmax_job *j = user;
    nnd_scaling s = nnd_scaling_at(j->c, 1), result = nnd_scaling_result(j->c, 3);
    size_t first = row / j->step * j->n * j->step + row % j->step;
    float top;
    double sum = softmax_sum(j, first, &top);
    (void)lane;
    for (size_t i = 0; i < j->n; i++) {
        size_t at = first + i * j->step;
        double e = (double)expf(nnd_dequantise(j->c->in[0], at, s) - top);
        nnd_quantise(&j->c->out[0], at, (float)(e / sum), result);
    }
    return NND_OK;
}

static nnd_status softmax_run(nnd_op_ctx *c)
{
    softmax_job j;
    NND_TRY(read_softmax(c, &j));
    if (nnd_tensor_count(c->in[0]) == 0) return NND_OK;
    return nnd_op_for(c, (size_t)nnd_tensor_count(c->in[0]) / j.n, softmax_tile, &j);
}

#define MS "com.microsoft"
static const nnd_op ops[] = {
    {MS, "QLinearConcat", 1, 0, 5, -1, 1, 1, 0, concat_infer, concat_run, .variant = 0},
    {MS, "QLinearGlobalAveragePool", 1, 0, 4, 5, 1, 1, 0, global_infer, global_run, .variant = 0},
    {MS, "QLinearAveragePool", 1, 0, 4, 5, 1, 1, 0, pool_infer, pool_run, .variant = 0},
    {MS, "QLinearSoftmax", 1, 0, 4, 5, 1, 1, 0, softmax_infer, softmax_run, .variant = 0},
};
const nnd_op_family nnd_ops_qlinear_layers = {ops, NND_COUNT(ops)};
