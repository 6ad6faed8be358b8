/* MaxPool, AveragePool, LpPool and their global forms. */
#include <math.h>
#include <string.h>

#include "engine/kernels/int8.h"
#include "engine/ops/blocked.h"
#include "engine/ops/blocks.h"
#include "engine/ops/window.h"

enum { MAX, AVERAGE, LP };

static bool is_blocked(const nnd_op_ctx *c)
{
    return (c->op->flags & NND_OP_BLOCKED_IN) != 0;
}

/* The window over NCHW; blocks of channels count as channels, each lane is one. */
static nnd_status read_window(const nnd_op_ctx *c, nnd_window *w)
{
    if (!is_blocked(c)) return nnd_window_read(c, NULL, w);
    NND_TRY(nnd_blocked_check(c, 0, c->in[0]->dims[1] * nnd_kernel_block()));
    nnd_tensor x = nnd_blocked_logical(c->in[0], c->in[0]->dims[1]);
    const nnd_tensor *in[1] = {&x};
    nnd_op_ctx plain = *c;
    plain.in = in;
    plain.in_count = 1;
    return nnd_window_read(&plain, NULL, w);
}

static nnd_status pool_infer(nnd_op_ctx *c)
{
    nnd_window w;
    int64_t dims[NND_MAX_RANK];
    uint32_t types = c->op->variant == MAX ? NND_NUMBERS : NND_FLOATS;
    NND_TRY(nnd_op_expect(c, 0, types));
    NND_TRY(read_window(c, &w));
    const nnd_tensor *x = c->in[0];
    memcpy(dims, x->dims, sizeof(dims));
    memcpy(dims + 2, w.out, (size_t)w.spatial * sizeof(*dims));
    NND_TRY(nnd_op_output(c, 0, x->dtype, x->rank, dims));
    return nnd_op_output(c, 1, NND_I64, x->rank, dims);
}

/* One operation per cell of each window; lanes that pad a block of channels count as channels. */
static double pool_flops(const nnd_op_ctx *c)
{
    nnd_window w;
    if (read_window(c, &w) != NND_OK) return 0;
    double operations = (double)nnd_tensor_count(&c->out[0]);
    for (int i = 0; i < w.spatial; i++)
        operations *= (double)w.kernel[i];
    return operations;
}

static double global_flops(const nnd_op_ctx *c)
{
    return (double)nnd_tensor_count(c->in[0]);
}

/* ---- kernels ------------------------------------------------------------------------------- */

static nnd_status pool_plan(nnd_op_ctx *c)
{
    nnd_window w;
    const nnd_tensor *x = c->in[0];
    NND_TRY(read_window(c, &w));
    bool wants_indices = c->out_count > 1 && c->node->outputs[1] != NND_NO_ID;
    if (x->dtype != NND_F32 || w.spatial > 2 || c->op->variant == LP || wants_indices ||
        nnd_tensor_count(&c->out[0]) == 0)
        return NND_OK;
    int col = w.spatial - 1;
    nnd_pool_desc d = {.kind = c->op->variant == MAX ? NND_POOL_MAX : NND_POOL_AVERAGE,
                       .layout = is_blocked(c) ? NND_KERNEL_NCHWC : NND_KERNEL_NCHW,
                       .batch = x->dims[0],
                       .channels = x->dims[1] * (is_blocked(c) ? x->dims[4] : 1),
                       .in_h = 1,
                       .in_w = w.in[col],
                       .out_h = 1,
                       .out_w = w.out[col],
                       .kernel_h = 1,
                       .kernel_w = w.kernel[col],
                       .stride_h = 1,
                       .stride_w = w.stride[col],
                       .dilation_h = 1,
                       .dilation_w = w.dilation[col],
                       .pad_left = w.begin[col],
                       .pad_right = w.end[col],
                       .count_include_pad = nnd_node_int(c->node, "count_include_pad", 0) != 0};
    if (w.spatial == 2) {
        d.in_h = w.in[0];
        d.out_h = w.out[0];
        d.kernel_h = w.kernel[0];
        d.stride_h = w.stride[0];
        d.dilation_h = w.dilation[0];
        d.pad_top = w.begin[0];
        d.pad_bottom = w.end[0];
    }
    nnd_pool *pool = nnd_calloc(1, sizeof(*pool));
    if (!pool) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a plan");
    if (nnd_pool_plan(&d, pool) != NND_OK) {
        nnd_error_clear(); /* a shape that only the plain loops take */
        nnd_free(pool);
        return NND_OK;
    }
    c->step = pool;
    c->kernel = "pool";
    return NND_OK;
}

static void pool_unplan(void *step)
{
    nnd_free(step);
}

typedef struct kernel_job {
    const nnd_pool *pool;
    const float *x;
    float *y;
} kernel_job;

static nnd_status kernel_tile(void *user, size_t index, int lane)
{
    const kernel_job *j = user;
    (void)lane;
    nnd_pool_run_tile(j->pool, j->x, j->y, index);
    return NND_OK;
}

/* ---- the largest byte ------------------------------------------------------------------------ */

enum { BYTE_ROW = 4096 };

/* One or two dimensions of bytes without indices, rows of at most BYTE_ROW. */
static bool is_byte_pool(const nnd_op_ctx *c, const nnd_window *w)
{
    const nnd_tensor *x = c->in[0];
    bool wants_indices = c->out_count > 1 && c->node->outputs[1] != NND_NO_ID;
    return c->op->variant == MAX && (x->dtype == NND_U8 || x->dtype == NND_I8) && w->spatial <= 2 &&
           !wants_indices && !is_blocked(c) && w->in[w->spatial - 1] <= BYTE_ROW;
}

typedef struct byte_job {
    const nnd_op_ctx *c;
    int64_t in_h, in_w, out_h, out_w, kernel_h, kernel_w, stride_h, stride_w, dilation_h,
        dilation_w, top, left;
} byte_job;

/* The columns of one row. */
static void max_columns(const byte_job *j, const uint8_t *row, bool is_signed, uint8_t *to)
{
    for (int64_t k = 0; k < j->kernel_w; k++) {
        int64_t start = k * j->dilation_w - j->left, step = j->stride_w;
        int64_t first = start < 0 ? (step - 1 - start) / step : 0;
        int64_t end = start < j->in_w ? (j->in_w - start + step - 1) / step : 0;
        if (end > j->out_w) end = j->out_w;
        if (first < end)
            nnd_int8_max(row + start + first * step, step, is_signed, to + first,
                         (size_t)(end - first));
    }
}

/* The rows of a window first, then columns of what remains. */
static nnd_status byte_plane(void *user, size_t plane, int lane)
{
    const byte_job *j = user;
    const nnd_tensor *x = j->c->in[0];
    const bool is_signed = x->dtype == NND_I8;
    const int least = is_signed ? -128 : 0;
    const uint8_t *from = (const uint8_t *)x->data + plane * (size_t)(j->in_h * j->in_w);
    uint8_t *to = (uint8_t *)j->c->out[0].data + plane * (size_t)(j->out_h * j->out_w);
    uint8_t row[BYTE_ROW];
    (void)lane;
    for (int64_t oy = 0; oy < j->out_h; oy++, to += j->out_w) {
        memset(row, least, (size_t)j->in_w);
        for (int64_t k = 0; k < j->kernel_h; k++) {
            int64_t y = oy * j->stride_h - j->top + k * j->dilation_h;
            if (y >= 0 && y < j->in_h)
                nnd_int8_max(from + y * j->in_w, 1, is_signed, row, (size_t)j->in_w);
        }
        memset(to, least, (size_t)j->out_w);
        max_columns(j, row, is_signed, to);
    }
    return NND_OK;
}

static nnd_status run_bytes(const nnd_op_ctx *c, const nnd_window *w)
{
    int col = w->spatial - 1, row = col - 1; /* a row of −1: one dimension */
    byte_job j = {.c = c,
                  .in_h = row < 0 ? 1 : w->in[row],
                  .in_w = w->in[col],
                  .out_h = row < 0 ? 1 : w->out[row],
                  .out_w = w->out[col],
                  .kernel_h = row < 0 ? 1 : w->kernel[row],
                  .kernel_w = w->kernel[col],
                  .stride_h = row < 0 ? 1 : w->stride[row],
                  .stride_w = w->stride[col],
                  .dilation_h = row < 0 ? 1 : w->dilation[row],
                  .dilation_w = w->dilation[col],
                  .top = row < 0 ? 0 : w->begin[row],
                  .left = w->begin[col]};
    return nnd_op_for(c, (size_t)nnd_op_span(c->in[0], 0, 2), byte_plane, &j);
}

/* ---- reference ----------------------------------------------------------------------------- */

typedef struct job {
    const nnd_op_ctx *c;
    nnd_window w;
    int variant;
    bool include_pad, column_major;
    double p;
    int64_t *indices;
    size_t lanes; /* channels side by side: the block of NCHWc, else 1 */
} job;

/* Element `cell` of a channel of a tensor whose channels have `area` elements. */
static size_t element(const job *j, size_t channel, size_t area, size_t cell)
{
    return (channel / j->lanes * area + cell) * j->lanes + channel % j->lanes;
}

/* Odometer over the window's cells: false behind the last one. */
static bool next_cell(const nnd_window *w, int64_t *k)
{
    for (int i = w->spatial - 1; i >= 0; i--) {
        if (++k[i] < w->kernel[i]) return true;
        k[i] = 0;
    }
    return false;
}

/* Where cell k of the window at output o lies. outside: not in the input; counted: inside the
   stated padding (the extra cells of ceil mode are not). */
static bool locate(const nnd_window *w, const int64_t *o, const int64_t *k, size_t *at,
                   size_t *column, bool *counted)
{
    bool inside = true;
    size_t stride = 1;
    *at = *column = 0;
    *counted = true;
    for (int i = 0; i < w->spatial; i++) {
        int64_t x = o[i] * w->stride[i] - w->begin[i] + k[i] * w->dilation[i];
        inside = inside && x >= 0 && x < w->in[i];
        *counted = *counted && x < w->in[i] + w->end[i];
        if (!inside) continue;
        *at = *at * (size_t)w->in[i] + (size_t)x;
        *column += (size_t)x * stride;
        stride *= (size_t)w->in[i];
    }
    return inside;
}

static double pool_cell(const job *j, size_t plane, const int64_t *o, int64_t *index)
{
    const nnd_tensor *x = j->c->in[0];
    int64_t k[NND_MAX_SPATIAL] = {0};
    size_t at, column, cells = 0, area = (size_t)nnd_op_span(x, 2, 2 + j->w.spatial);
    double result = j->variant == MAX ? -INFINITY : 0.0;
    bool counted;
    *index = -1;
    do {
        bool inside = locate(&j->w, o, k, &at, &column, &counted);
        cells += inside || (j->include_pad && counted);
        if (!inside) continue;
        double v = nnd_dtype_get(x->dtype, x->data, element(j, plane, area, at));
        if (j->variant == MAX && (*index < 0 || v > result || (v != v && result == result))) {
            result = v;
            *index = (int64_t)(plane * area + (j->column_major ? column : at));
        }
        if (j->variant == AVERAGE) result += v;
        if (j->variant == LP) result += pow(fabs(v), j->p);
    } while (next_cell(&j->w, k));
    if (j->variant == AVERAGE) return cells ? result / (double)cells : 0.0;
    return j->variant == LP ? pow(result, 1.0 / j->p) : result;
}

static nnd_status reference_tile(void *user, size_t plane, int lane)
{
    const job *j = user;
    const nnd_tensor *y = &j->c->out[0];
    int64_t o[NND_MAX_SPATIAL] = {0}, index;
    size_t area = (size_t)nnd_op_span(y, 2, 2 + j->w.spatial);
    (void)lane;
    for (size_t i = 0; i < area; i++) {
        nnd_dtype_set(y->dtype, y->data, element(j, plane, area, i),
                      pool_cell(j, plane, o, &index));
        if (j->indices) j->indices[plane * area + i] = index;
        for (int d = j->w.spatial - 1; d >= 0; d--) {
            if (++o[d] < j->w.out[d]) break;
            o[d] = 0;
        }
    }
    return NND_OK;
}

/* ---- volumes of f32, a row at a time --------------------------------------------------------- */

/* Outputs [*first, *last) of a row see cell k of the window inside of the input. */
static void columns_of(const nnd_window *w, int d, int64_t k, int64_t *first, int64_t *last)
{
    int64_t offset = k * w->dilation[d] - w->begin[d], stride = w->stride[d];
    *first = offset < 0 ? (-offset + stride - 1) / stride : 0;
    *last = w->in[d] > offset ? (w->in[d] - 1 - offset) / stride + 1 : 0;
    if (*last > w->out[d]) *last = w->out[d];
}

static void join_row(int variant, const float *x, int64_t stride, float *y, int64_t n)
{
    for (int64_t i = 0; i < n && variant == MAX; i++) {
        float v = x[i * stride];
        y[i] = v > y[i] || isnan(v) ? v : y[i];
    }
    for (int64_t i = 0; i < n && variant == AVERAGE; i++)
        y[i] += x[i * stride];
}

/* Cells of the window at output o along one dimension that the average divides by. */
static float cells_at(const job *j, int d, int64_t o)
{
    const nnd_window *w = &j->w;
    int64_t low = j->include_pad ? -w->begin[d] : 0;
    int64_t high = w->in[d] + (j->include_pad ? w->end[d] : 0), cells = 0;
    for (int64_t k = 0; k < w->kernel[d]; k++) {
        int64_t x = o * w->stride[d] - w->begin[d] + k * w->dilation[d];
        cells += x >= low && x < high;
    }
    return (float)cells;
}

static void volume_row(const job *j, const float *plane, int64_t oz, int64_t oy, float *y)
{
    const nnd_window *w = &j->w;
    for (int64_t i = 0; i < w->out[2]; i++)
        y[i] = j->variant == MAX ? -INFINITY : 0.0f;
    for (int64_t cell = 0; cell < w->kernel[0] * w->kernel[1]; cell++) {
        int64_t z = oz * w->stride[0] - w->begin[0] + cell / w->kernel[1] * w->dilation[0];
        int64_t row = oy * w->stride[1] - w->begin[1] + cell % w->kernel[1] * w->dilation[1];
        if (z < 0 || z >= w->in[0] || row < 0 || row >= w->in[1]) continue;
        const float *x = plane + (z * w->in[1] + row) * w->in[2];
        for (int64_t k = 0; k < w->kernel[2]; k++) {
            int64_t first, last;
            columns_of(w, 2, k, &first, &last);
            if (first >= last) continue;
            int64_t at = first * w->stride[2] - w->begin[2] + k * w->dilation[2];
            join_row(j->variant, x + at, w->stride[2], y + first, last - first);
        }
    }
    if (j->variant == MAX) return;
    float rows = cells_at(j, 0, oz) * cells_at(j, 1, oy);
    for (int64_t i = 0; i < w->out[2]; i++) {
        float cells = rows * cells_at(j, 2, i);
        y[i] = cells > 0 ? y[i] / cells : 0.0f;
    }
}

static nnd_status volume_tile(void *user, size_t index, int lane)
{
    const job *j = user;
    const nnd_window *w = &j->w;
    size_t in = (size_t)nnd_op_span(j->c->in[0], 2, 5), out = (size_t)nnd_op_span(j->c->out, 2, 5);
    size_t plane = index / (size_t)w->out[0], z = index % (size_t)w->out[0];
    const float *x = (const float *)j->c->in[0]->data + plane * in;
    float *y = (float *)j->c->out[0].data + plane * out + z * (out / (size_t)w->out[0]);
    (void)lane;
    for (int64_t row = 0; row < w->out[1]; row++)
        volume_row(j, x, (int64_t)z, row, y + row * w->out[2]);
    return NND_OK;
}

static nnd_status pool_run(nnd_op_ctx *c)
{
    if (c->step) {
        kernel_job k = {c->step, c->in[0]->data, c->out[0].data};
        return nnd_op_for(c, nnd_pool_tiles(k.pool), kernel_tile, &k);
    }
    job j = {.c = c, .variant = c->op->variant, .lanes = 1};
    NND_TRY(read_window(c, &j.w));
    if (is_blocked(c)) j.lanes = (size_t)c->in[0]->dims[4];
    j.include_pad = nnd_node_int(c->node, "count_include_pad", 0) != 0;
    j.column_major = nnd_node_int(c->node, "storage_order", 0) == 1;
    const nnd_attr *p = nnd_node_attr(c->node, "p");
    j.p = !p ? 2.0 : p->kind == NND_ATTR_FLOAT ? (double)p->u.f : (double)p->u.i;
    j.indices = c->out_count > 1 ? c->out[1].data : NULL;
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    if (is_byte_pool(c, &j.w)) return run_bytes(c, &j.w);
    if (j.w.spatial == 3 && c->in[0]->dtype == NND_F32 && j.variant != LP && !j.indices)
        return nnd_op_for(c, (size_t)(nnd_op_span(c->in[0], 0, 2) * j.w.out[0]), volume_tile, &j);
    return nnd_op_for(c, (size_t)nnd_op_span(c->in[0], 0, 2) * j.lanes, reference_tile, &j);
}

/* ---- global forms -------------------------------------------------------------------------- */

static nnd_status global_infer(nnd_op_ctx *c)
{
    int64_t dims[NND_MAX_RANK];
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    const nnd_tensor *x = c->in[0];
    if (x->rank < 2) return nnd_op_fail(c, NND_E_SHAPE, "the input has rank %d", x->rank);
    if (is_blocked(c)) NND_TRY(nnd_blocked_check(c, 0, x->dims[1] * nnd_kernel_block()));
    for (int i = 0; i < x->rank; i++)
        dims[i] = i < 2 || (is_blocked(c) && i == 4) ? x->dims[i] : 1;
    return nnd_op_output(c, 0, x->dtype, x->rank, dims);
}

static nnd_status global_blocked_tile(void *user, size_t plane, int lane)
{
    const nnd_op_ctx *c = user;
    (void)lane;
    nnd_global_pool(c->op->variant == MAX ? NND_POOL_MAX : NND_POOL_AVERAGE, NND_KERNEL_NCHWC,
                    c->in[0]->data, c->out[0].data, (size_t)nnd_op_span(c->in[0], 2, 4), plane, 1);
    return NND_OK;
}

static nnd_status global_blocked_run(nnd_op_ctx *c)
{
    if (nnd_op_span(c->in[0], 2, 4) == 0)
        return nnd_op_fail(c, NND_E_SHAPE, "there is nothing to pool");
    return nnd_op_for(c, (size_t)nnd_op_span(c->in[0], 0, 2), global_blocked_tile, c);
}

static nnd_status global_tile(void *user, size_t plane, int lane)
{
    const job *j = user;
    const nnd_tensor *x = j->c->in[0], *y = &j->c->out[0];
    size_t area = (size_t)nnd_op_span(x, 2, x->rank);
    (void)lane;
    if (x->dtype == NND_F32 && j->variant != LP && area) {
        nnd_global_pool(j->variant == MAX ? NND_POOL_MAX : NND_POOL_AVERAGE, NND_KERNEL_NCHW,
                        x->data, y->data, area, plane, 1);
        return NND_OK;
    }
    double result = j->variant == MAX ? -INFINITY : 0.0;
    for (size_t i = 0; i < area; i++) {
        double v = nnd_dtype_get(x->dtype, x->data, plane * area + i);
        if (j->variant == MAX) result = v > result || v != v ? v : result;
        if (j->variant == AVERAGE) result += v;
        if (j->variant == LP) result += pow(fabs(v), j->p);
    }
    if (j->variant == AVERAGE) result /= (double)area;
    if (j->variant == LP) result = pow(result, 1.0 / j->p);
    nnd_dtype_set(y->dtype, y->data, plane, result);
    return NND_OK;
}

static nnd_status global_run(nnd_op_ctx *c)
{
    job j = {.c = c, .variant = c->op->variant};
    const nnd_attr *p = nnd_node_attr(c->node, "p");
    j.p = !p ? 2.0 : p->kind == NND_ATTR_FLOAT ? (double)p->u.f : (double)p->u.i;
    return nnd_op_for(c, (size_t)nnd_tensor_count(&c->out[0]), global_tile, &j);
}

#define POOL(name, since, outs, v)                                                                 \
    {                                                                                              \
        "", name, since, 0, 1, 1, 1, outs, 0, pool_infer, pool_run, NULL, NULL, pool_plan,         \
            pool_unplan, pool_flops, v                                                             \
    }
#define GLOBAL(name, v)                                                                            \
    {                                                                                              \
        "", name, 1, 0, 1, 1, 1, 1, 0, global_infer, global_run, .flops = global_flops,            \
                                                                 .variant = v                      \
    }
#define BLOCKED_FLAGS (NND_OP_BLOCKED_IN | NND_OP_BLOCKED_OUT)
static const nnd_op ops[] = {
    POOL("MaxPool", 1, 2, MAX),   POOL("AveragePool", 1, 1, AVERAGE),   POOL("LpPool", 1, 1, LP),
    GLOBAL("GlobalMaxPool", MAX), GLOBAL("GlobalAveragePool", AVERAGE), GLOBAL("GlobalLpPool", LP),
};
static const nnd_op blocked_ops[] = {
    {"", "MaxPool", 1, 0, 1, 1, 1, 1, BLOCKED_FLAGS, pool_infer, pool_run, NULL, NULL, pool_plan,
     pool_unplan, pool_flops, MAX},
    {"", "AveragePool", 1, 0, 1, 1, 1, 1, BLOCKED_FLAGS, pool_infer, pool_run, NULL, NULL,
     pool_plan, pool_unplan, pool_flops, AVERAGE},
    {"", "GlobalMaxPool", 1, 0, 1, 1, 1, 1, BLOCKED_FLAGS, global_infer, global_blocked_run,
     .flops = global_flops, .variant = MAX},
    {"", "GlobalAveragePool", 1, 0, 1, 1, 1, 1, BLOCKED_FLAGS, global_infer, global_blocked_run,
     .flops = global_flops, .variant = AVERAGE},
};
const nnd_op_family nnd_ops_pool_blocked = {blocked_ops, NND_COUNT(blocked_ops)};
const nnd_op_family nnd_ops_pool = {ops, NND_COUNT(ops)};
