/* Normalisations: batch, instance, layer, group, RMS, local response, mean-variance. Rows of f32 go
   through kernels, everything else by plain loops with statistics in double. */
#include <math.h>
#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/ops/blocked.h"
#include "engine/ops/blocks.h"

enum { BATCH, INSTANCE, LAYER, GROUP, RMS, LP };

static double at(const nnd_tensor *t, size_t i)
{
    return nnd_dtype_get(t->dtype, t->data, i);
}

/* ---- BatchNormalization --------------------------------------------------------------------- */

static bool is_training(const nnd_op_ctx *c)
{
    return nnd_node_int(c->node, "training_mode", 0) != 0;
}

static nnd_status batch_infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    const nnd_tensor *x = c->in[0];
    int64_t channels = x->rank > 1 ? x->dims[1] : 1;
    for (size_t i = 1; i < 5; i++) {
        NND_TRY(nnd_op_expect(c, i, NND_FLOATS));
        if (nnd_tensor_count(c->in[i]) != channels)
            return nnd_op_fail(c, NND_E_SHAPE, "input %zu does not have one value per channel", i);
    }
    if (is_training(c) && nnd_tensor_count(x) == 0)
        return nnd_op_fail(c, NND_E_SHAPE, "there is nothing to take statistics of");
    NND_TRY(nnd_op_like(c, 0, 0));
    for (size_t i = 1; i < c->out_count; i++)
        NND_TRY(nnd_op_like(c, i, i < 3 ? i + 2 : i));
    return NND_OK;
}

typedef struct job {
    const nnd_op_ctx *c;
    size_t channels, area;
    double epsilon;
} job;

/* Tiles take some channels of some of the rows. */
enum { BATCH_CHANNELS = 64, BATCH_TILE = 1 << 14 };
typedef struct batch_job {
    job j;
    size_t rows, channels_together, rows_together;
} batch_job;

static nnd_status batch_tile(void *user, size_t tile, int lane)
{
    const batch_job *b = user;
    const job *j = &b->j;
    const nnd_tensor *const *in = j->c->in;
    const nnd_tensor *x = in[0], *y = &j->c->out[0];
    size_t groups = (j->channels + b->channels_together - 1) / b->channels_together;
    size_t first = tile % groups * b->channels_together, row = tile / groups * b->rows_together;
    size_t count = j->channels - first, end = b->rows;
    double scale[BATCH_CHANNELS], shift[BATCH_CHANNELS];
    (void)lane;
    if (count > b->channels_together) count = b->channels_together;
    if (end - row > b->rows_together) end = row + b->rows_together;
    for (size_t k = 0; k < count; k++) {
        scale[k] = at(in[1], first + k) / sqrt(at(in[4], first + k) + j->epsilon);
        shift[k] = at(in[2], first + k) - at(in[3], first + k) * scale[k];
    }
    for (; row < end; row++) {
        size_t begin = (row * j->channels + first) * j->area;
        if (x->dtype != NND_F32) {
            for (size_t i = 0; i < count * j->area; i++)
                nnd_dtype_set(y->dtype, y->data, begin + i,
                              at(x, begin + i) * scale[i / j->area] + shift[i / j->area]);
            continue;
        }
        const float *from = (const float *)x->data + begin;
        float *to = (float *)y->data + begin;
        /* Rows of single numbers have the parameters side by side, like the numbers. */
        for (size_t k = 0; j->area == 1 && k < count; k++)
            to[k] = (float)((double)from[k] * scale[k] + shift[k]);
        for (size_t k = 0; j->area > 1 && k < count; k++, from += j->area, to += j->area)
            for (size_t i = 0; i < j->area; i++)
                to[i] = (float)((double)from[i] * scale[k] + shift[k]);
    }
    return NND_OK;
}

/* One channel by its own statistics; the outputs behind the first move towards them. */
static nnd_status train_tile(void *user, size_t k, int lane)
{
    const job *j = user;
    const nnd_tensor *const *in = j->c->in;
    const nnd_tensor *x = in[0], *y = &j->c->out[0];
    size_t n = (size_t)nnd_tensor_count(x) / j->channels, step = j->channels * j->area;
    double mean = 0, variance = 0, keep = (double)nnd_node_float(j->c->node, "momentum", 0.9f);
    (void)lane;
#define AT(i) (((i) / j->area) * step + k * j->area + (i) % j->area)
    for (size_t i = 0; i < n; i++)
        mean += at(x, AT(i)) / (double)n;
    for (size_t i = 0; i < n; i++)
        variance += (at(x, AT(i)) - mean) * (at(x, AT(i)) - mean) / (double)n;
    double scale = at(in[1], k) / sqrt(variance + j->epsilon), shift = at(in[2], k) - mean * scale;
    const double statistics[2] = {mean, variance};
    for (size_t i = 1; i < j->c->out_count && i < 3; i++)
        if (j->c->out[i].data)
            nnd_dtype_set(j->c->out[i].dtype, j->c->out[i].data, k,
                          keep * at(in[i + 2], k) + (1 - keep) * statistics[i - 1]);
    for (size_t i = 0; i < n; i++)
        nnd_dtype_set(y->dtype, y->data, AT(i), at(x, AT(i)) * scale + shift);
#undef AT
    return NND_OK;
}

static nnd_status batch_normalise(job j, size_t elements)
{
    if (!elements) return NND_OK;
    batch_job b = {.j = j, .rows = elements / (j.channels * j.area)};
    size_t planes = 1 + BATCH_TILE / 4 / j.area;
    b.channels_together = planes < BATCH_CHANNELS ? planes : BATCH_CHANNELS;
    b.rows_together = 1 + BATCH_TILE / (b.channels_together * j.area);
    size_t groups = (j.channels + b.channels_together - 1) / b.channels_together;
    size_t tiles = (b.rows + b.rows_together - 1) / b.rows_together * groups;
    return nnd_op_for(j.c, tiles, batch_tile, &b);
}

static nnd_status batch_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0];
    job j = {.c = c,
             .channels = x->rank > 1 ? (size_t)x->dims[1] : 1,
             .area = (size_t)nnd_op_span(x, x->rank > 1 ? 2 : x->rank, x->rank),
             .epsilon = (double)nnd_node_float(c->node, "epsilon", 1e-5f)};
    if (is_training(c)) return nnd_op_for(c, j.channels, train_tile, &j);
    for (size_t i = 1; i < c->out_count; i++)
        if (c->out[i].data)
            memcpy(c->out[i].data, c->in[i < 3 ? i + 2 : i]->data, nnd_tensor_bytes(&c->out[i]));
    return batch_normalise(j, (size_t)nnd_tensor_count(x));
}

/* ---- rows with their own statistics: Instance, Group, Layer, RMS ----------------------- */

/* Row r covers `n` consecutive elements; the affine parameters of element i of row r are found by
   the variant. */
typedef struct row_job {
    const nnd_op_ctx *c;
    int variant;
    size_t rows, n, channels, area, groups;
    double epsilon;
    const nnd_tensor *scale, *bias;
    bool per_channel; /* GROUP: parameters per channel, not per group */
} row_job;

static void statistics(const row_job *j, size_t row, double *mean, double *inverse)
{
    const nnd_tensor *x = j->c->in[0];
    double sum = 0, squares = 0;
    if (j->variant != RMS)
        for (size_t i = 0; i < j->n; i++)
            sum += at(x, row * j->n + i);
    *mean = sum / (double)j->n;
    for (size_t i = 0; i < j->n; i++) {
        double d = at(x, row * j->n + i) - *mean;
        squares += d * d;
    }
    *inverse = 1.0 / sqrt(squares / (double)j->n + j->epsilon);
}

static size_t parameter(const row_job *j, const nnd_tensor *t, size_t row, size_t i)
{
    size_t n = (size_t)nnd_tensor_count(t);
    if (j->variant == INSTANCE) return row % j->channels;
    if (j->variant == GROUP) {
        size_t group = row % j->groups;
        return j->per_channel ? group * (j->channels / j->groups) + i / j->area : group;
    }
    return n == 1 ? 0 : i % n;
}

static nnd_status row_tile(void *user, size_t row, int lane)
{
    const row_job *j = user;
    const nnd_tensor *x = j->c->in[0], *y = &j->c->out[0];
    double mean, inverse;
    (void)lane;
    statistics(j, row, &mean, &inverse);
    for (size_t i = 0; i < j->n; i++) {
        double v = (at(x, row * j->n + i) - mean) * inverse;
        if (j->scale) v *= at(j->scale, parameter(j, j->scale, row, i));
        if (j->bias) v += at(j->bias, parameter(j, j->bias, row, i));
        nnd_dtype_set(y->dtype, y->data, row * j->n + i, v);
    }
    for (size_t k = 1; k < j->c->out_count; k++)
        if (j->c->out[k].data)
            nnd_dtype_set(j->c->out[k].dtype, j->c->out[k].data, row,
                          k == 1 && j->variant != RMS ? mean : inverse);
    return NND_OK;
}

/* ---- the same in f32 --------------------------------------------------------------------------
 */

static bool is_f32_vector(const nnd_tensor *t, size_t n)
{
    return !t || (t->dtype == NND_F32 && (size_t)nnd_tensor_count(t) == n);
}

/* Whether the kernels can do it: f32, parameters per element of a row or per channel, and nobody
   who asks for the statistics. */
static bool has_kernel(const row_job *j)
{
    const nnd_op_ctx *c = j->c;
    size_t n = j->variant == LAYER || j->variant == RMS ? j->n : j->channels;
    for (size_t k = 1; k < c->out_count; k++)
        if (c->out[k].data) return false;
    if (j->variant == GROUP && j->scale && !j->per_channel) return false;
    if (j->variant == RMS && j->bias) return false;
    return c->in[0]->dtype == NND_F32 && is_f32_vector(j->scale, n) && is_f32_vector(j->bias, n);
}

/* As many short rows as make a good tile. */
static size_t rows_per_tile(const row_job *j)
{
    return j->n < NND_OP_GRAIN ? NND_OP_GRAIN / j->n : 1;
}

static nnd_status kernel_tile(void *user, size_t index, int lane)
{
    const row_job *j = user;
    const float *x = j->c->in[0]->data, *scale = j->scale ? j->scale->data : NULL;
    const float *bias = j->bias ? j->bias->data : NULL;
    float *y = j->c->out[0].data, epsilon = (float)j->epsilon;
    size_t begin = index * rows_per_tile(j), left = j->rows - begin;
    size_t count = left < rows_per_tile(j) ? left : rows_per_tile(j);
    (void)lane;
    x += begin * j->n;
    if (j->variant == RMS) {
        nnd_rms_norm_rows(x, scale, epsilon, y + begin * j->n, count, j->n);
    } else if (j->variant == LAYER) {
        nnd_layer_norm_rows(x, scale, bias, epsilon, y + begin * j->n, count, j->n);
    } else {
        size_t planes = j->n / j->area; /* of a row */
        nnd_layer_norm_rows(x, NULL, NULL, epsilon, y + begin * j->n, count, j->n);
        nnd_scale_shift_channel(NND_KERNEL_NCHW, y, scale, bias, y, j->channels, j->area,
                                begin * planes, count * planes, NULL);
    }
    return NND_OK;
}

static nnd_status axis_of(const nnd_op_ctx *c, int *axis)
{
    return nnd_op_axis(c, nnd_node_int(c->node, "axis", -1), c->in[0]->rank, axis);
}

static nnd_status rows_infer(nnd_op_ctx *c)
{
    int v = c->op->variant;
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    const nnd_tensor *x = c->in[0];
    for (size_t i = 1; i < c->in_count; i++) {
        if (!nnd_op_in(c, i)) continue;
        NND_TRY(nnd_op_expect(c, i, NND_FLOATS));
        int64_t n = nnd_tensor_count(c->in[i]);
        bool fits = true;
        if (v == INSTANCE) fits = x->rank > 2 && n == x->dims[1];
        if (v == GROUP)
            fits = x->rank > 1 && (n == x->dims[1] || n == nnd_node_int(c->node, "num_groups", 0));
        if (!fits) return nnd_op_fail(c, NND_E_SHAPE, "input %zu does not fit the channels", i);
    }
    NND_TRY(nnd_op_like(c, 0, 0));
    if (v == GROUP) {
        int64_t groups = nnd_node_int(c->node, "num_groups", 0);
        if (x->rank < 2 || groups < 1 || x->dims[1] % groups)
            return nnd_op_fail(c, NND_E_SHAPE, "%lld groups do not divide the channels",
                               (long long)groups);
    }
    if (v != LAYER && v != RMS) return NND_OK;
    int axis;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(axis_of(c, &axis));
    for (size_t i = 1; i < c->in_count; i++) {
        int64_t n = nnd_op_in(c, i) ? nnd_tensor_count(c->in[i]) : 1,
                all = nnd_op_span(x, axis, x->rank);
        if (n == 0 || all % n)
            return nnd_op_fail(c, NND_E_SHAPE, "input %zu does not broadcast", i);
    }
    for (int i = 0; i < x->rank; i++)
        dims[i] = i < axis ? x->dims[i] : 1;
    nnd_dtype stash = nnd_node_int(c->node, "stash_type", 1) == 11 ? NND_F64 : NND_F32;
    NND_TRY(nnd_op_output(c, 1, stash, x->rank, dims));
    return nnd_op_output(c, 2, stash, x->rank, dims);
}

static nnd_status rows_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0];
    int axis = 2, v = c->op->variant;
    row_job j = {.c = c,
                 .variant = v,
                 .scale = nnd_op_in(c, 1),
                 .bias = nnd_op_in(c, 2),
                 .epsilon = (double)nnd_node_float(c->node, "epsilon", 1e-5f),
                 .groups = 1};
    if (v == LAYER || v == RMS) NND_TRY(axis_of(c, &axis));
    if (v == GROUP) {
        j.groups = (size_t)nnd_node_int(c->node, "num_groups", 1);
        j.per_channel = j.scale && nnd_tensor_count(j.scale) == x->dims[1];
        axis = 1;
    }
    j.rows = (size_t)nnd_op_span(x, 0, axis) * j.groups;
    if (!nnd_tensor_count(x)) return NND_OK;
    j.n = (size_t)nnd_tensor_count(x) / j.rows;
    j.channels = x->rank > 1 ? (size_t)x->dims[1] : 1;
    j.area = x->rank > 1 ? (size_t)nnd_op_span(x, 2, x->rank) : 1;
    if (!has_kernel(&j)) return nnd_op_for(c, j.rows, row_tile, &j);
    return nnd_op_for(c, (j.rows + rows_per_tile(&j) - 1) / rows_per_tile(&j), kernel_tile, &j);
}

/* ---- LRN ------------------------------------------------------------------------------------ */

static nnd_status lrn_infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    if (c->in[0]->rank < 2 || nnd_node_int(c->node, "size", 0) < 1)
        return nnd_op_fail(c, NND_E_SHAPE, "the input or size is impossible");
    return nnd_op_like(c, 0, 0);
}

static nnd_status lrn_tile(void *user, size_t plane, int lane)
{
    const job *j = user;
    const nnd_graph_node *n = j->c->node;
    const nnd_tensor *x = j->c->in[0], *y = &j->c->out[0];
    int64_t size = nnd_node_int(n, "size", 1), k = (int64_t)(plane % j->channels);
    int64_t first = k - (size - 1) / 2, last = k + size / 2;
    double alpha = (double)nnd_node_float(n, "alpha", 1e-4f) / (double)size;
    double beta = (double)nnd_node_float(n, "beta", 0.75f),
           bias = (double)nnd_node_float(n, "bias", 1.0f);
    (void)lane;
    if (first < 0) first = 0;
    if (last >= (int64_t)j->channels) last = (int64_t)j->channels - 1;
    size_t base = plane / j->channels * j->channels;
    for (size_t i = 0; i < j->area; i++) {
        double sum = 0;
        for (int64_t q = first; q <= last; q++) {
            double v = at(x, (base + (size_t)q) * j->area + i);
            sum += v * v;
        }
        size_t to = plane * j->area + i;
        nnd_dtype_set(y->dtype, y->data, to, at(x, to) / pow(bias + alpha * sum, beta));
    }
    return NND_OK;
}

static nnd_status lrn_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0];
    job j = {.c = c, .channels = (size_t)x->dims[1], .area = (size_t)nnd_op_span(x, 2, x->rank)};
    return nnd_op_for(c, (size_t)nnd_op_span(x, 0, 2), lrn_tile, &j);
}

/* In blocks of channels. The layout pass has seen to it that the window fits into three of them. */
static nnd_status lrn_blocked_infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_blocked_check(c, 0, nnd_node_int(c->node, "channels", 0)));
    return nnd_op_like(c, 0, 0);
}

static nnd_status lrn_blocked_tile(void *user, size_t plane, int lane)
{
    const nnd_op_ctx *c = user;
    const nnd_graph_node *n = c->node;
    const nnd_lrn_desc d = {.channels = (size_t)nnd_node_int(n, "channels", 0),
                            .spatial = (size_t)nnd_op_span(c->in[0], 2, 4),
                            .size = (int)nnd_node_int(n, "size", 1),
                            .alpha = nnd_node_float(n, "alpha", 1e-4f),
                            .beta = nnd_node_float(n, "beta", 0.75f),
                            .bias = nnd_node_float(n, "bias", 1.0f)};
    (void)lane;
    nnd_lrn_nchwc(&d, c->in[0]->data, c->out[0].data, plane, 1);
    return NND_OK;
}

static nnd_status lrn_blocked_run(nnd_op_ctx *c)
{
    return nnd_op_for(c, (size_t)nnd_op_span(c->in[0], 0, 2), lrn_blocked_tile, c);
}

/* ---- LpNormalization ------------------------------------------------------------------------ */

static nnd_status lp_infer(nnd_op_ctx *c)
{
    int axis;
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    NND_TRY(axis_of(c, &axis));
    return nnd_op_like(c, 0, 0);
}

static nnd_status lp_run(nnd_op_ctx *c)
{
    int axis;
    const nnd_tensor *x = c->in[0], *y = &c->out[0];
    NND_TRY(axis_of(c, &axis));
    bool absolute = nnd_node_int(c->node, "p", 2) == 1;
    size_t n = (size_t)x->dims[axis], inner = (size_t)nnd_op_span(x, axis + 1, x->rank);
    size_t rows = (size_t)nnd_op_span(x, 0, axis) * inner;
    for (size_t r = 0; r < rows; r++) {
        size_t base = r / inner * n * inner + r % inner;
        double norm = 0;
        for (size_t i = 0; i < n; i++) {
            double v = at(x, base + i * inner);
            norm += absolute ? fabs(v) : v * v;
        }
        norm = absolute ? norm : sqrt(norm);
        for (size_t i = 0; i < n; i++) {
            size_t k = base + i * inner;
            nnd_dtype_set(y->dtype, y->data, k, norm != 0 ? at(x, k) / norm : 0.0);
        }
    }
    return NND_OK;
}

/* ---- MeanVarianceNormalization -------------------------------------------------------------- */

typedef struct mvn {
    const nnd_op_ctx *c;
    uint32_t axes;         /* that statistics are taken over */
    size_t count, *offset; /* of the elements that share statistics, from the first one */
    bool divide;
} mvn;

static nnd_status read_mvn(const nnd_op_ctx *c, mvn *m)
{
    static const int64_t usual[] = {0, 2, 3};
    size_t n;
    const int64_t *axes = nnd_node_ints(c->node, "axes", &n);
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    int rank = c->in[0]->rank;
    *m = (mvn){.c = c, .count = 1, .divide = true};
    if (c->node->opset >= 9)
        return nnd_op_axes(c, axes ? axes : usual, axes ? n : NND_COUNT(usual), rank, &m->axes);
    for (int d = nnd_node_int(c->node, "across_channels", 0) ? 1 : 2; d < rank; d++)
        m->axes |= 1u << d;
    m->divide = nnd_node_int(c->node, "normalize_variance", 1) != 0;
    return NND_OK;
}

static nnd_status mvn_infer(nnd_op_ctx *c)
{
    mvn m;
    NND_TRY(read_mvn(c, &m));
    return nnd_op_like(c, 0, 0);
}

/* Element i of those along the axes in the set, in row-major order. */
static size_t subset_offset(const nnd_tensor *t, uint32_t set, size_t i)
{
    size_t at = 0, step = 1;
    for (int d = t->rank; d-- > 0;) {
        size_t n = (size_t)t->dims[d];
        if (set >> d & 1u) {
            at += i % n * step;
            i /= n;
        }
        step *= n;
    }
    return at;
}

static nnd_status mvn_tile(void *user, size_t index, int lane)
{
    const mvn *m = user;
    const nnd_tensor *x = m->c->in[0], *y = &m->c->out[0];
    size_t first = subset_offset(x, ~m->axes, index);
    double mean = 0, squares = 0, n = (double)m->count;
    (void)lane;
    for (size_t i = 0; i < m->count; i++)
        mean += at(x, first + m->offset[i]) / n;
    for (size_t i = 0; i < m->count; i++) {
        double d = at(x, first + m->offset[i]) - mean;
        squares += d * d / n;
    }
    double scale = m->divide ? 1.0 / (sqrt(squares) + 1e-9) : 1.0;
    for (size_t i = 0; i < m->count; i++) {
        size_t k = first + m->offset[i];
        nnd_dtype_set(y->dtype, y->data, k, (at(x, k) - mean) * scale);
    }
    return NND_OK;
}

static nnd_status mvn_run(nnd_op_ctx *c)
{
    mvn m;
    NND_TRY(read_mvn(c, &m));
    const nnd_tensor *x = c->in[0];
    if (nnd_tensor_count(x) == 0) return NND_OK;
    size_t groups = 1;
    for (int d = 0; d < x->rank; d++)
        if (m.axes >> d & 1u)
            m.count *= (size_t)x->dims[d];
        else
            groups *= (size_t)x->dims[d];
    m.offset = nnd_calloc(m.count, sizeof(*m.offset));
    if (!m.offset) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for the offsets");
    for (size_t i = 0; i < m.count; i++)
        m.offset[i] = subset_offset(x, m.axes, i);
    nnd_status status = nnd_op_for(c, groups, mvn_tile, &m);
    nnd_free(m.offset);
    return status;
}

static const nnd_op ops[] = {
    {"", "MeanVarianceNormalization", 1, 0, 1, 1, 1, 1, NND_OP_INPLACE, mvn_infer, mvn_run,
     .variant = 0},
    {"", "BatchNormalization", 1, 0, 5, 5, 1, 5, NND_OP_INPLACE, batch_infer, batch_run,
     .variant = BATCH},
    {"", "InstanceNormalization", 1, 0, 3, 3, 1, 1, NND_OP_INPLACE, rows_infer, rows_run,
     .variant = INSTANCE},
    /* ONNX has it since 17, ONNX Runtime since 1: its tools write it into older models. */
    {"", "LayerNormalization", 1, 0, 2, 3, 1, 3, NND_OP_INPLACE, rows_infer, rows_run,
     .variant = LAYER},
    {"", "GroupNormalization", 18, 0, 3, 3, 1, 1, NND_OP_INPLACE, rows_infer, rows_run,
     .variant = GROUP},
    {"", "RMSNormalization", 23, 0, 2, 2, 1, 1, NND_OP_INPLACE, rows_infer, rows_run,
     .variant = RMS},
    /* What ONNX Runtime writes for RMS normalisation, in either domain. */
    {"", "SimplifiedLayerNormalization", 1, 0, 2, 2, 1, 2, NND_OP_INPLACE, rows_infer, rows_run,
     .variant = RMS},
    {"com.microsoft", "SimplifiedLayerNormalization", 1, 0, 2, 2, 1, 2, NND_OP_INPLACE, rows_infer,
     rows_run, .variant = RMS},
    {"", "LRN", 1, 0, 1, 1, 1, 1, 0, lrn_infer, lrn_run, .variant = 0},
    {"", "LpNormalization", 1, 0, 1, 1, 1, 1, NND_OP_INPLACE, lp_infer, lp_run, .variant = LP},
};
const nnd_op nnd_op_lrn_blocked = {"",
                                   "LRN",
                                   1,
                                   0,
                                   1,
                                   1,
                                   1,
                                   1,
                                   NND_OP_BLOCKED_IN | NND_OP_BLOCKED_OUT,
                                   lrn_blocked_infer,
                                   lrn_blocked_run,
                                   .variant = 0};
const nnd_op_family nnd_ops_norm = {ops, NND_COUNT(ops)};
