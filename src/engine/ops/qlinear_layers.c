/*
 * com.microsoft's quantised layers: QLinearConcat, QLinearAveragePool, QLinearGlobalAveragePool,
 * QLinearSoftmax. Global averages are sums of integers that are scaled once; else bytes are
 * dequantised, computed in single precision (the sums of a softmax in double) and quantised again.
 */
#include <string.h>

#include "engine/kernels/int8.h"
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
    uint8_t all[NND_TABLE_CODES];
    float values[NND_TABLE_CODES];
    nnd_scaling result = nnd_scaling_result(c, 0);
    size_t n = (c->in_count - FIRST) / EACH;
    const bool is_signed = c->in[1]->dtype == NND_I8;
    j->tables = nnd_alloc(n * NND_TABLE_CODES);
    if (!j->tables) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for tables");
    for (size_t i = 0; i < NND_TABLE_CODES; i++)
        all[i] = (uint8_t)i;
    for (size_t k = 0; k < n; k++) {
        nnd_scaling s = nnd_scaling_at(c, FIRST + k * EACH + 1);
        nnd_int8_dequantise(all, s.scale, (int32_t)s.zero, is_signed, values, NND_TABLE_CODES);
        nnd_int8_quantise(values, result.scale, (int32_t)result.zero, is_signed,
                          j->tables + k * NND_TABLE_CODES, NND_TABLE_CODES);
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
        nnd_int8_lookup(table, codes, (uint8_t *)y->data + to, n);
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

/* Exact: scaled once, afterwards. */
static int64_t sum_of(const uint8_t *x, bool is_signed, size_t n)
{
    enum { PIECE = 1 << 22 }; /* 32 bits are enough for its sum */
    int64_t sum = 0;
    for (size_t i = 0; i < n; i += PIECE)
        sum += (int32_t)nnd_int8_sum(x + i, is_signed, n - i < PIECE ? n - i : PIECE);
    return sum;
}

static int64_t sum_apart(const uint8_t *x, size_t step, bool is_signed, size_t n)
{
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += is_signed ? (int8_t)x[i * step] : x[i * step];
    return sum;
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
    const uint8_t *x_at = (const uint8_t *)x->data + from;
    int64_t sum = last ? sum_apart(x_at, channels, x->dtype == NND_I8, area)
                       : sum_of(x_at, x->dtype == NND_I8, area);
    (void)lane;
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
    size_t in_area;
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

enum { STRIP = 256 }; /* results of a row at once */

/* Adds tap `k` of the windows [o, o + n) of a row of the input to their sums. */
static void add_tap(const pool_job *j, const uint8_t *row, int64_t k, int64_t o, int64_t n,
                    nnd_scaling s, float *sums)
{
    const nnd_window *w = &j->w;
    const int64_t step = w->stride[2], start = o * step - w->begin[2] + k * w->dilation[2];
    int64_t first = start < 0 ? (-start + step - 1) / step : 0;
    int64_t end = start < w->in[2] ? (w->in[2] - start + step - 1) / step : 0;
    if (end > n) end = n;
    uint8_t codes[STRIP];
    float values[STRIP];
    if (first >= end) return;
    const uint8_t *from = row + start + first * step;
    for (int64_t i = 0; step > 1 && i < end - first; i++)
        codes[i] = from[i * step];
    nnd_int8_dequantise(step > 1 ? codes : from, s.scale, (int32_t)s.zero,
                        j->c->in[0]->dtype == NND_I8, values, (size_t)(end - first));
    for (int64_t i = 0; i < end - first; i++)
        sums[first + i] += values[i];
}

/* Averages of the windows [o[2], o[2] + n) of a row, summed tap by tap in the order of the window,
   as quantised pooling elsewhere does. */
static void pool_strip(const pool_job *j, const uint8_t *plane, const int64_t o[3], int64_t n,
                       nnd_scaling s, float *sums)
{
    const nnd_window *w = &j->w;
    int64_t from[3], to[3], high = 1;
    for (int d = 0; d < 2; d++)
        high *= cells(j, d, o[d], &from[d], &to[d]);
    memset(sums, 0, (size_t)n * sizeof(*sums));
    for (int64_t a = from[0]; a < to[0]; a++)
        for (int64_t b = from[1]; b < to[1]; b++) {
            int64_t z = o[0] * w->stride[0] - w->begin[0] + a * w->dilation[0];
            int64_t y = o[1] * w->stride[1] - w->begin[1] + b * w->dilation[1];
            for (int64_t k = 0; k < w->kernel[2]; k++)
                add_tap(j, plane + (z * w->in[1] + y) * w->in[2], k, o[2], n, s, sums);
        }
    for (int64_t i = 0; i < n; i++) {
        int64_t count = high * cells(j, 2, o[2] + i, &from[2], &to[2]);
        sums[i] = count ? sums[i] / (float)count : 0.0f;
    }
}

/* The zero point is added before the rounding, not after it as elsewhere: averages are halves
   often, and small errors vanish in that sum. */
static void to_codes(float *v, int64_t n, nnd_scaling to, uint8_t *y)
{
    for (int64_t i = 0; i < n; i++) {
        float steps = v[i] / to.scale + to.zero;
        v[i] = steps == steps ? steps : to.zero;
    }
    nnd_int8_quantise_to(v, 1, 0, (int32_t)to.low, (int32_t)to.high, y, (size_t)n);
}

/* One row of results. */
static nnd_status pool_tile(void *user, size_t row, int lane)
{
    const pool_job *j = user;
    const nnd_tensor *x = j->c->in[0];
    nnd_scaling s = nnd_scaling_at(j->c, 1), result = nnd_scaling_result(j->c, 3);
    const int64_t wide = j->w.out[2], rows = j->w.out[0] * j->w.out[1];
    const int64_t at = (int64_t)row % rows;
    const uint8_t *plane = (const uint8_t *)x->data + row / (size_t)rows * j->in_area;
    uint8_t *y = (uint8_t *)j->c->out[0].data + row * (size_t)wide;
    (void)lane;
    for (int64_t i = 0; i < wide; i += STRIP) {
        const int64_t o[3] = {at / j->w.out[1], at % j->w.out[1], i};
        const int64_t n = wide - i < STRIP ? wide - i : STRIP;
        float sums[STRIP];
        pool_strip(j, plane, o, n, s, sums);
        to_codes(sums, n, result, y + i);
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
                  .in_area = (size_t)nnd_op_span(x, 2, x->rank)};
    size_t count = (size_t)nnd_tensor_count(&c->out[0]);
    if (!count) return NND_OK;
    return nnd_op_for(c, count / (size_t)j.w.out[2], pool_tile, &j);
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
