/* Pooling of regions of interest: RoiAlign and MaxRoiPool. */
#include <math.h>
#include <string.h>

#include "engine/ops/element.h"

enum { CHANNELS = 16 }; /* that share the geometry of a region */

/* A region may not ask for more samples in one cell than this. */
static const double MAX_SAMPLES = 16777216.0;

typedef struct job {
    const nnd_op_ctx *c;
    int64_t height, width, out_h, out_w, ratio;
    size_t channels, blocks;
    double scale;
    bool maximum, half_pixel;
} job;

static nnd_status positive(const nnd_op_ctx *c, const char *name, int64_t value)
{
    if (value >= 1 && value <= INT32_MAX) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "%s has the impossible value %lld", name, (long long)value);
}

static nnd_status check_input(const nnd_op_ctx *c, int64_t columns)
{
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    NND_TRY(nnd_op_expect(c, 1, NND_FLOATS));
    if (c->in[0]->rank != 4)
        return nnd_op_fail(c, NND_E_SHAPE, "the input has rank %d, not 4", c->in[0]->rank);
    if (c->in[1]->rank != 2 || c->in[1]->dims[1] != columns)
        return nnd_op_fail(c, NND_E_SHAPE, "the regions are not [count, %lld]", (long long)columns);
    return NND_OK;
}

static void set_geometry(const nnd_op_ctx *c, job *j)
{
    const nnd_tensor *x = c->in[0];
    j->c = c;
    j->channels = (size_t)x->dims[1];
    j->blocks = (j->channels + CHANNELS - 1) / CHANNELS;
    j->height = x->dims[2];
    j->width = x->dims[3];
    j->scale = (double)nnd_node_float(c->node, "spatial_scale", 1.0f);
}

static nnd_status give_output(nnd_op_ctx *c, const job *j)
{
    int64_t dims[4] = {c->in[1]->dims[0], c->in[0]->dims[1], j->out_h, j->out_w};
    return nnd_op_output(c, 0, c->in[0]->dtype, 4, dims);
}

static nnd_status read_batch(const job *j, double value, size_t *out)
{
    if (!(value >= 0 && value < (double)j->c->in[0]->dims[0]))
        return nnd_op_fail(j->c, NND_E_FORMAT, "a region is in picture %g of %lld", value,
                           (long long)j->c->in[0]->dims[0]);
    *out = (size_t)value;
    return NND_OK;
}

static nnd_status run_blocks(nnd_op_ctx *c, job *j, nnd_tile_fn tile)
{
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    if (j->height == 0 || j->width == 0)
        return nnd_op_fail(c, NND_E_SHAPE, "the pictures are empty");
    return nnd_op_for(c, (size_t)c->in[1]->dims[0] * j->blocks, tile, j);
}

/* ---- RoiAlign ------------------------------------------------------------------------------- */

static nnd_status read_align(const nnd_op_ctx *c, job *j)
{
    const char *kind = nnd_node_string(c->node, "mode", "avg");
    const char *coordinates =
        nnd_node_string(c->node, "coordinate_transformation_mode",
                        c->node->opset < 16 ? "output_half_pixel" : "half_pixel");
    *j = (job){.out_h = nnd_node_int(c->node, "output_height", 1),
               .out_w = nnd_node_int(c->node, "output_width", 1),
               .ratio = nnd_node_int(c->node, "sampling_ratio", 0),
               .maximum = strcmp(kind, "max") == 0,
               .half_pixel = strcmp(coordinates, "half_pixel") == 0};
    NND_TRY(check_input(c, 4));
    NND_TRY(positive(c, "output_height", j->out_h));
    NND_TRY(positive(c, "output_width", j->out_w));
    NND_TRY(nnd_op_expect(c, 2, 1u << NND_I64 | 1u << NND_I32));
    if (nnd_tensor_count(c->in[2]) != c->in[1]->dims[0])
        return nnd_op_fail(c, NND_E_SHAPE, "there is not one batch index per region");
    if (!j->maximum && strcmp(kind, "avg") != 0)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the mode '%s' is not known", kind);
    if (!j->half_pixel && strcmp(coordinates, "output_half_pixel") != 0)
        return nnd_op_fail(c, NND_E_UNSUPPORTED,
                           "the coordinate_transformation_mode '%s' is not known", coordinates);
    set_geometry(c, j);
    return NND_OK;
}

static nnd_status align_infer(nnd_op_ctx *c)
{
    job j;
    NND_TRY(read_align(c, &j));
    return give_output(c, &j);
}

/* One dimension of a region. */
typedef struct side {
    double start, cell;
    int64_t samples, extent;
} side;

/* Corners, extent and cells are rounded to the precision of the regions: how many samples a cell
   gets hangs on it. */
static double rounded(const job *j, double v)
{
    return j->c->in[1]->dtype == NND_F64 ? v : (double)(float)v;
}

static nnd_status read_sides(const job *j, size_t region, side *sides)
{
    const nnd_tensor *rois = j->c->in[1];
    double offset = j->half_pixel ? 0.5 : 0.0;
    for (size_t k = 0; k < 2; k++) { /* 0 = down, 1 = across; a region is x1 y1 x2 y2 */
        int64_t cells = k ? j->out_w : j->out_h;
        double first = rounded(j, nnd_get(rois, region * 4 + 1 - k) * j->scale);
        double last = rounded(j, nnd_get(rois, region * 4 + 3 - k) * j->scale);
        first = rounded(j, first - offset);
        double size = rounded(j, rounded(j, last - offset) - first);
        if (!j->half_pixel && size < 1) size = 1;
        sides[k] = (side){.start = first, .extent = k ? j->width : j->height};
        sides[k].cell = rounded(j, size / (double)cells);
        double samples = j->ratio > 0 ? (double)j->ratio : ceil(sides[k].cell);
        if (!(samples <= MAX_SAMPLES) || !isfinite(first))
            return nnd_op_fail(j->c, NND_E_LIMIT, "region %zu is too large to be sampled", region);
        sides[k].samples = samples > 0 ? (int64_t)samples : 0;
    }
    if ((double)sides[0].samples * (double)sides[1].samples > MAX_SAMPLES)
        return nnd_op_fail(j->c, NND_E_LIMIT, "region %zu is too large to be sampled", region);
    return NND_OK;
}

/* The two elements around sample i of a cell and their weights; false = outside. */
static bool neighbours(const side *s, int64_t cell, int64_t i, size_t *at, double *weight)
{
    double v = s->start + (double)cell * s->cell + ((double)i + 0.5) * s->cell / (double)s->samples;
    if (!(v >= -1.0 && v <= (double)s->extent)) return false;
    if (v < 0) v = 0;
    int64_t low = (int64_t)v, last = s->extent - 1;
    double t = low >= last ? 0 : v - (double)low;
    if (low > last) low = last;
    at[0] = (size_t)low;
    at[1] = (size_t)(low < last ? low + 1 : last);
    weight[0] = 1 - t;
    weight[1] = t;
    return true;
}

/* Mixes the four neighbours of one sample into each channel. */
static void add_sample(const job *j, const size_t *planes, size_t n, const size_t *row,
                       const double *down, const size_t *col, const double *across, bool first,
                       double *result)
{
    const nnd_tensor *x = j->c->in[0];
    size_t width = (size_t)j->width;
    for (size_t c = 0; c < n; c++) {
        double part[4];
        for (size_t k = 0; k < 4; k++)
            part[k] = down[k / 2] * across[k % 2] *
                      nnd_get(x, planes[c] + row[k / 2] * width + col[k % 2]);
        if (!j->maximum) {
            result[c] += part[0] + part[1] + part[2] + part[3];
            continue;
        }
        /* As the standard has it: the largest weighted neighbour, not the largest mixture. */
        double top = part[0];
        for (size_t k = 1; k < 4; k++)
            top = part[k] > top ? part[k] : top;
        result[c] = first || top > result[c] ? top : result[c];
    }
}

/* The mean of f32, which is nearly always asked for: offsets and weights are those of all channels.
 */
static void add_plain_sample(const job *j, const size_t *planes, size_t n, const size_t *row,
                             const double *down, const size_t *col, const double *across,
                             double *result)
{
    const float *x = j->c->in[0]->data;
    size_t at[4], width = (size_t)j->width;
    float weight[4];
    for (size_t k = 0; k < 4; k++) {
        at[k] = row[k / 2] * width + col[k % 2];
        weight[k] = (float)(down[k / 2] * across[k % 2]);
    }
    for (size_t c = 0; c < n; c++) {
        const float *plane = x + planes[c];
        result[c] += (double)(weight[0] * plane[at[0]] + weight[1] * plane[at[1]] +
                              weight[2] * plane[at[2]] + weight[3] * plane[at[3]]);
    }
}

static void align_cell(const job *j, const side *sides, int64_t y, int64_t x, const size_t *planes,
                       size_t n, double *result)
{
    const size_t origin[2] = {0};
    const double nothing[2] = {0};
    bool plain = !j->maximum && j->c->in[0]->dtype == NND_F32;
    size_t row[2], col[2];
    double down[2], across[2];
    memset(result, 0, CHANNELS * sizeof(*result));
    for (int64_t i = 0; i < sides[0].samples; i++) {
        bool inside = neighbours(&sides[0], y, i, row, down);
        for (int64_t k = 0; k < sides[1].samples; k++) {
            /* A sample outside counts as zero: that matters for the maximum only. */
            if (!inside && !j->maximum) break;
            bool hit = inside && neighbours(&sides[1], x, k, col, across);
            if (hit && plain)
                add_plain_sample(j, planes, n, row, down, col, across, result);
            else if (hit)
                add_sample(j, planes, n, row, down, col, across, i == 0 && k == 0, result);
            else if (j->maximum)
                add_sample(j, planes, n, origin, nothing, origin, nothing, i == 0 && k == 0,
                           result);
        }
    }
    double count = (double)sides[0].samples * (double)sides[1].samples;
    for (size_t c = 0; c < n && !j->maximum; c++)
        result[c] /= count > 1 ? count : 1;
}

static nnd_status align_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    const nnd_tensor *y = &j->c->out[0];
    size_t region = tile / j->blocks, first = tile % j->blocks * CHANNELS, batch;
    size_t n = j->channels - first < CHANNELS ? j->channels - first : CHANNELS;
    size_t planes[CHANNELS], area = (size_t)(j->out_h * j->out_w);
    double result[CHANNELS];
    side sides[2];
    (void)lane;
    NND_TRY(read_batch(j, (double)nnd_op_int_at(j->c->in[2], region), &batch));
    NND_TRY(read_sides(j, region, sides));
    for (size_t c = 0; c < n; c++)
        planes[c] = (batch * j->channels + first + c) * (size_t)(j->height * j->width);
    for (size_t i = 0; i < area; i++) {
        NND_TRY(nnd_cancel_check(j->c->cancel));
        align_cell(j, sides, (int64_t)i / j->out_w, (int64_t)i % j->out_w, planes, n, result);
        for (size_t c = 0; c < n; c++)
            nnd_set(y, (region * j->channels + first + c) * area + i, result[c]);
    }
    return NND_OK;
}

static nnd_status align_run(nnd_op_ctx *c)
{
    job j;
    NND_TRY(read_align(c, &j));
    return run_blocks(c, &j, align_tile);
}

/* ---- MaxRoiPool ----------------------------------------------------------------------------- */

static nnd_status read_pool(const nnd_op_ctx *c, job *j)
{
    size_t n;
    const int64_t *shape = nnd_node_ints(c->node, "pooled_shape", &n);
    NND_TRY(check_input(c, 5));
    if (!shape || n != 2)
        return nnd_op_fail(c, NND_E_SHAPE, "pooled_shape does not have two values");
    *j = (job){.out_h = shape[0], .out_w = shape[1]};
    NND_TRY(positive(c, "pooled_shape", shape[0]));
    NND_TRY(positive(c, "pooled_shape", shape[1]));
    set_geometry(c, j);
    return NND_OK;
}

static nnd_status pool_infer(nnd_op_ctx *c)
{
    job j;
    NND_TRY(read_pool(c, &j));
    return give_output(c, &j);
}

typedef struct span {
    int64_t first, count;
} span;

/* Corners are whole elements, both included. */
static nnd_status read_span(const job *j, size_t region, size_t k, span *out)
{
    const nnd_tensor *rois = j->c->in[1];
    double limit = (double)INT32_MAX, low = round(nnd_get(rois, region * 5 + 1 + k) * j->scale);
    double high = round(nnd_get(rois, region * 5 + 3 + k) * j->scale);
    if (!(fabs(low) < limit) || !(fabs(high) < limit))
        return nnd_op_fail(j->c, NND_E_FORMAT, "region %zu has impossible corners", region);
    out->first = (int64_t)low;
    out->count = high > low ? (int64_t)(high - low) + 1 : 1;
    return NND_OK;
}

/* The elements of a plane that cell i of a region covers, half-open. */
static void cover(const span *s, int64_t i, int64_t cells, int64_t extent, int64_t *from,
                  int64_t *to)
{
    double cell = (double)s->count / (double)cells;
    *from = (int64_t)floor((double)i * cell) + s->first;
    *to = (int64_t)ceil((double)(i + 1) * cell) + s->first;
    *from = *from < 0 ? 0 : *from > extent ? extent : *from;
    *to = *to < 0 ? 0 : *to > extent ? extent : *to;
}

static double pool_cell(const job *j, size_t plane, const span *spans, int64_t y, int64_t x)
{
    int64_t top, bottom, left, right;
    double best = 0;
    bool found = false;
    cover(&spans[1], y, j->out_h, j->height, &top, &bottom);
    cover(&spans[0], x, j->out_w, j->width, &left, &right);
    for (int64_t r = top; r < bottom; r++)
        for (int64_t c = left; c < right; c++) {
            double v = nnd_get(j->c->in[0], plane + (size_t)(r * j->width + c));
            if (!found || v > best) best = v;
            found = true;
        }
    return best;
}

static nnd_status pool_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    size_t region = tile / j->blocks, first = tile % j->blocks * CHANNELS, batch;
    size_t until = j->channels - first < CHANNELS ? j->channels : first + CHANNELS;
    size_t area = (size_t)(j->out_h * j->out_w);
    span spans[2];
    (void)lane;
    NND_TRY(read_batch(j, nnd_get(j->c->in[1], region * 5), &batch));
    NND_TRY(read_span(j, region, 0, &spans[0]));
    NND_TRY(read_span(j, region, 1, &spans[1]));
    for (size_t c = first; c < until; c++) {
        size_t plane = (batch * j->channels + c) * (size_t)(j->height * j->width);
        NND_TRY(nnd_cancel_check(j->c->cancel));
        for (size_t i = 0; i < area; i++)
            nnd_set(&j->c->out[0], (region * j->channels + c) * area + i,
                    pool_cell(j, plane, spans, (int64_t)i / j->out_w, (int64_t)i % j->out_w));
    }
    return NND_OK;
}

static nnd_status pool_run(nnd_op_ctx *c)
{
    job j;
    NND_TRY(read_pool(c, &j));
    return run_blocks(c, &j, pool_tile);
}

static const nnd_op ops[] = {
    {"", "RoiAlign", 10, 0, 3, 3, 1, 1, 0, align_infer, align_run, .variant = 0},
    {"", "MaxRoiPool", 1, 0, 2, 2, 1, 1, 0, pool_infer, pool_run, .variant = 0},
};
const nnd_op_family nnd_ops_roi = {ops, NND_COUNT(ops)};
