/*
 * GridSample and AffineGrid.
 *
 * GridSample finds, for each place of the result, which elements of a plane are mixed with which
 * weights; that is the same in all channels and done once for them. Places are the unit of work.
 */
#include <math.h>
#include <string.h>

#include "engine/ops/blocks.h"
#include "engine/ops/element.h"

/* ---- GridSample ----------------------------------------------------------------------------- */

enum { MAX_SPATIAL = 3, MAX_TAPS = 64 /* 4 per dimension */, PLACES = 64 };
enum { FIRST_OPSET = 16, GENERAL_OPSET = 20 }; /* where the names of the modes changed */

typedef enum mode { NEAREST, LINEAR, CUBIC } mode;
typedef enum padding { ZEROS, BORDER, REFLECTION } padding;

typedef struct sampler {
    const nnd_op_ctx *c;
    mode mode;
    padding padding;
    bool align;
    int spatial;
    size_t in_area, out_area, channels;
} sampler;

static nnd_status read_word(const nnd_op_ctx *c, const char *attr, const char *const *names,
                            size_t count, size_t fallback, int *out)
{
    const char *text = nnd_node_string(c->node, attr, names[fallback]);
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (int)i;
            return NND_OK;
        }
    return nnd_op_fail(c, NND_E_UNSUPPORTED, "the %s '%s' is not known", attr, text);
}

static nnd_status read_sampler(const nnd_op_ctx *c, sampler *s)
{
    static const char *const general[] = {"nearest", "linear", "cubic"};
    static const char *const first[] = {"nearest", "bilinear", "bicubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    int word;
    NND_TRY(nnd_op_expect(c, 0, NND_NUMBERS));
    NND_TRY(nnd_op_expect(c, 1, NND_FLOATS));
    const nnd_tensor *x = c->in[0], *grid = c->in[1];
    *s = (sampler){.c = c, .spatial = x->rank - 2};
    if (s->spatial < 1 || s->spatial > MAX_SPATIAL)
        return nnd_op_fail(c, NND_E_SHAPE, "the input has rank %d, 3 to 5 are supported", x->rank);
    if (grid->rank != x->rank || grid->dims[grid->rank - 1] != s->spatial ||
        grid->dims[0] != x->dims[0])
        return nnd_op_fail(c, NND_E_SHAPE,
                           "the grid is not [batch, extents of the result, %d coordinates]",
                           s->spatial);
    NND_TRY(
        read_word(c, "mode", c->node->opset < GENERAL_OPSET ? first : general, 3, LINEAR, &word));
    s->mode = (mode)word;
    NND_TRY(read_word(c, "padding_mode", paddings, 3, ZEROS, &word));
    s->padding = (padding)word;
    s->align = nnd_node_int(c->node, "align_corners", 0) != 0;
    s->in_area = (size_t)nnd_op_span(x, 2, x->rank);
    s->out_area = (size_t)nnd_op_span(grid, 1, grid->rank - 1);
    s->channels = (size_t)x->dims[1];
    return NND_OK;
}

static nnd_status sample_infer(nnd_op_ctx *c)
{
    sampler s;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(read_sampler(c, &s));
    dims[0] = c->in[0]->dims[0];
    dims[1] = c->in[0]->dims[1];
    memcpy(dims + 2, c->in[1]->dims + 1, (size_t)s.spatial * sizeof(*dims));
    return nnd_op_output(c, 0, c->in[0]->dtype, c->in[0]->rank, dims);
}

/* From −1 … 1 to element positions, in the precision of the grid. */
static double position(const sampler *s, double v, int64_t extent)
{
    if (s->c->in[1]->dtype == NND_F64) {
        double n = (double)extent;
        return s->align ? (v + 1) / 2 * (n - 1) : ((v + 1) * n - 1) / 2;
    }
    float f = (float)v, n = (float)extent;
    return (double)(s->align ? (f + 1) / 2 * (n - 1) : ((f + 1) * n - 1) / 2);
}

/* Reflects at the borders until it is between them; NaN and infinity end at the low one. */
static double reflect(double v, double low, double high)
{
    double range = high - low, beyond = v < low ? low - v : v - high;
    if (v >= low && v <= high) return v;
    if (!(range > 0) || !isfinite(v)) return low;
    double rest = fmod(beyond, 2 * range);
    bool from_low = (v < low) == (rest < range);
    if (rest >= range) rest -= range;
    return from_low ? low + rest : high - rest;
}

static double clamp(double v, double low, double high)
{
    return v > low ? (v < high ? v : high) : low; /* NaN becomes low */
}

static double low_border(const sampler *s)
{
    return s->align ? 0.0 : -0.5;
}

static double high_border(const sampler *s, int64_t extent)
{
    return (double)extent - (s->align ? 1.0 : 0.5);
}

/* The element that stands for position v (a whole number), −1 = none. */
static int64_t element(const sampler *s, double v, int64_t extent)
{
    double last = (double)(extent - 1);
    if (s->padding == ZEROS) return v >= 0 && v <= last ? (int64_t)v : -1;
    if (s->padding == REFLECTION) v = reflect(v, low_border(s), high_border(s, extent));
    return (int64_t)clamp(v, 0, last);
}

static double cubic_weight(double t)
{
    const double a = -0.75;
    t = fabs(t);
    if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
    return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

/* Elements along one dimension and their weights; returns how many. */
static int axis_taps(const sampler *s, double v, int64_t extent, int64_t *at, double *weight)
{
    double low = low_border(s), high = high_border(s, extent);
    if (s->mode == NEAREST) v = rint(v);
    if (!(v >= low && v <= high)) {
        if (s->padding == BORDER) v = clamp(v, 0, (double)(extent - 1));
        if (s->padding == REFLECTION) v = reflect(v, low, high);
    }
    weight[0] = 1;
    at[0] = element(s, v, extent);
    if (s->mode == NEAREST) return 1;
    int taps = s->mode == LINEAR ? 2 : 4;
    double base = floor(v), t = v - base, first = s->mode == LINEAR ? 0 : -1;
    for (int i = 0; i < taps; i++) {
        double step = first + i;
        at[i] = element(s, base + step, extent);
        weight[i] = s->mode == CUBIC ? cubic_weight(t - step) : i ? t : 1 - t;
    }
    return taps;
}

/* The taps of one place: elements of a plane and their weights. */
typedef struct place {
    int count;
    size_t at[MAX_TAPS];
    double weight[MAX_TAPS];
} place;

static void find_place(const sampler *s, size_t index, place *p)
{
    const nnd_tensor *x = s->c->in[0], *grid = s->c->in[1];
    size_t spatial = (size_t)s->spatial;
    p->count = 1;
    p->at[0] = 0;
    p->weight[0] = 1;
    for (size_t d = 0; d < spatial; d++) {
        int64_t extent = x->dims[2 + d], at[4];
        double weight[4], v = nnd_get(grid, index * spatial + (spatial - 1 - d));
        int taps = axis_taps(s, position(s, v, extent), extent, at, weight), count = 0;
        place old;
        old.count = p->count;
        memcpy(old.at, p->at, (size_t)p->count * sizeof(*p->at));
        memcpy(old.weight, p->weight, (size_t)p->count * sizeof(*p->weight));
        for (int i = 0; i < old.count; i++)
            for (int k = 0; k < taps; k++) {
                if (at[k] < 0) continue;
                p->at[count] = old.at[i] * (size_t)extent + (size_t)at[k];
                p->weight[count++] = old.weight[i] * weight[k];
            }
        p->count = count;
    }
}

static double mix(const nnd_tensor *x, size_t plane, const place *p)
{
    double sum = 0;
    if (x->dtype == NND_F32) {
        const float *from = (const float *)x->data + plane;
        for (int k = 0; k < p->count; k++)
            sum += (double)from[p->at[k]] * p->weight[k];
        return sum;
    }
    for (int k = 0; k < p->count; k++)
        sum += nnd_get(x, plane + p->at[k]) * p->weight[k];
    return sum;
}

/* ---- pictures of f32, linear, with zeros or the border outside: four taps in f32 ----------------
 */

typedef struct corner {
    uint32_t at[4];
    float weight[4]; /* 0 outside of the picture */
    bool outside;    /* with all four */
} corner;

static bool is_plain(const sampler *s)
{
    const nnd_tensor *x = s->c->in[0], *grid = s->c->in[1];
    return s->spatial == 2 && s->mode == LINEAR && s->padding != REFLECTION &&
           x->dtype == NND_F32 && grid->dtype == NND_F32 && s->in_area <= UINT32_MAX;
}

/* Along one dimension: two elements and their weights. */
static void ends_of(const sampler *s, float v, int64_t extent, uint32_t *at, float *weight)
{
    float p = (float)position(s, (double)v, extent), last = (float)(extent - 1);
    if (s->padding == BORDER) p = p > 0 ? (p < last ? p : last) : 0;
    bool near = p > -1 && p < last + 1; /* false for NaN */
    float base = near ? floorf(p) : 0, t = near ? p - base : 0;
    int64_t low = (int64_t)base;
    for (int i = 0; i < 2; i++) {
        bool inside = near && low + i >= 0 && low + i < extent;
        at[i] = inside ? (uint32_t)(low + i) : 0;
        weight[i] = inside ? (i ? t : 1 - t) : 0;
    }
}

static void find_corner(const sampler *s, size_t index, corner *p)
{
    const nnd_tensor *x = s->c->in[0];
    const float *grid = (const float *)s->c->in[1]->data + 2 * index;
    uint32_t column[2], row[2], width = (uint32_t)x->dims[3];
    float across[2], down[2];
    ends_of(s, grid[0], x->dims[3], column, across);
    ends_of(s, grid[1], x->dims[2], row, down);
    for (int i = 0; i < 4; i++) {
        p->weight[i] = down[i / 2] * across[i % 2];
        p->at[i] = p->weight[i] != 0 ? row[i / 2] * width + column[i % 2] : UINT32_MAX;
    }
    /* A tap without weight reads what another one reads: infinity out there must not matter. */
    uint32_t used = UINT32_MAX;
    for (int i = 0; i < 4; i++)
        if (p->at[i] != UINT32_MAX) used = p->at[i];
    for (int i = 0; i < 4; i++)
        if (p->at[i] == UINT32_MAX) p->at[i] = used;
    p->outside = used == UINT32_MAX;
}

static nnd_status plain_tile(void *user, size_t tile, int lane)
{
    const sampler *s = user;
    size_t tiles = (s->out_area + PLACES - 1) / PLACES, batch = tile / tiles;
    size_t first = tile % tiles * PLACES;
    size_t n = s->out_area - first < PLACES ? s->out_area - first : PLACES;
    corner corners[PLACES];
    (void)lane;
    for (size_t i = 0; i < n; i++)
        find_corner(s, batch * s->out_area + first + i, &corners[i]);
    for (size_t c = 0; c < s->channels; c++) {
        size_t plane = batch * s->channels + c;
        const float *x = (const float *)s->c->in[0]->data + plane * s->in_area;
        float *y = (float *)s->c->out[0].data + plane * s->out_area + first;
        for (size_t i = 0; i < n; i++) {
            const corner *p = &corners[i];
            y[i] = p->outside ? 0.0f
                              : x[p->at[0]] * p->weight[0] + x[p->at[1]] * p->weight[1] +
                                    x[p->at[2]] * p->weight[2] + x[p->at[3]] * p->weight[3];
        }
    }
    return NND_OK;
}

/* ---- any --------------------------------------------------------------------------------------
 */

/* Channels outside and places inside: a plane stays in the cache. */
static nnd_status sample_tile(void *user, size_t tile, int lane)
{
    const sampler *s = user;
    const nnd_tensor *x = s->c->in[0], *y = &s->c->out[0];
    size_t tiles = (s->out_area + PLACES - 1) / PLACES, batch = tile / tiles;
    size_t first = tile % tiles * PLACES;
    size_t n = s->out_area - first < PLACES ? s->out_area - first : PLACES;
    bool whole = nnd_class_of(y->dtype) > NND_IN_F64;
    place *places = nnd_op_lane(s->c, lane);
    for (size_t i = 0; i < n; i++)
        find_place(s, batch * s->out_area + first + i, &places[i]);
    for (size_t c = 0; c < s->channels; c++) {
        size_t plane = batch * s->channels + c, to = plane * s->out_area + first;
        for (size_t i = 0; i < n; i++) {
            double v = mix(x, plane * s->in_area, &places[i]);
            nnd_set(y, to + i, whole ? trunc(v) : v);
        }
    }
    return NND_OK;
}

static nnd_status sample_plan(nnd_op_ctx *c)
{
    c->lane_bytes = PLACES * sizeof(place);
    return NND_OK;
}

static nnd_status sample_run(nnd_op_ctx *c)
{
    sampler s;
    nnd_op_ctx own = *c; /* its scratch may be this call's */
    void *memory;
    NND_TRY(read_sampler(&own, &s));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    if (s.in_area == 0) {
        memset(c->out[0].data, 0, nnd_tensor_bytes(&c->out[0]));
        return NND_OK;
    }
    size_t tiles = (s.out_area + PLACES - 1) / PLACES * (size_t)c->in[0]->dims[0];
    if (is_plain(&s)) return nnd_op_for(&own, tiles, plain_tile, &s);
    NND_TRY(nnd_op_need_lane(&own, PLACES * sizeof(place), &memory));
    nnd_status status = nnd_op_for(&own, tiles, sample_tile, &s);
    nnd_free_aligned(memory);
    return status;
}

/* ---- AffineGrid ----------------------------------------------------------------------------- */

static nnd_status affine_infer(nnd_op_ctx *c)
{
    int64_t size[NND_MAX_RANK], dims[NND_MAX_RANK];
    size_t count;
    const nnd_tensor *given;
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    NND_TRY(nnd_op_need(c, 1, &given));
    NND_TRY(nnd_op_list(c, 1, "size", size, NND_MAX_RANK, &count));
    const nnd_tensor *theta = c->in[0];
    int64_t spatial = (int64_t)count - 2;
    if (spatial != 2 && spatial != 3)
        return nnd_op_fail(c, NND_E_SHAPE, "the size has %zu values, not 4 or 5", count);
    if (theta->rank != 3 || theta->dims[0] != size[0] || theta->dims[1] != spatial ||
        theta->dims[2] != spatial + 1)
        return nnd_op_fail(c, NND_E_SHAPE, "theta is not [%lld, %lld, %lld]", (long long)size[0],
                           (long long)spatial, (long long)spatial + 1);
    dims[0] = size[0];
    memcpy(dims + 1, size + 2, (size_t)spatial * sizeof(*dims));
    dims[1 + spatial] = spatial;
    return nnd_op_output(c, 0, theta->dtype, (int)spatial + 2, dims);
}

/* −1 … 1: at the centres of the outermost elements, or at their outer edges. A single element is
   in the middle either way. */
static double normal(int64_t i, int64_t n, bool align)
{
    if (align) return n > 1 ? 2.0 * (double)i / (double)(n - 1) - 1.0 : 0.0;
    return (2.0 * (double)i + 1.0) / (double)n - 1.0;
}

/* One row of the innermost dimension. */
static nnd_status affine_tile(void *user, size_t row, int lane)
{
    const nnd_op_ctx *c = user;
    const nnd_tensor *theta = c->in[0], *y = &c->out[0];
    bool align = nnd_node_int(c->node, "align_corners", 0) != 0;
    size_t spatial = (size_t)theta->dims[1], left = row;
    double at[MAX_SPATIAL + 1] = {0};
    (void)lane;
    for (size_t d = spatial - 1; d >= 1; d--) {
        int64_t n = y->dims[d];
        at[spatial - d] = normal((int64_t)(left % (size_t)n), n, align);
        left /= (size_t)n;
    }
    at[spatial] = 1;
    for (int64_t i = 0; i < y->dims[spatial]; i++) {
        size_t to = (row * (size_t)y->dims[spatial] + (size_t)i) * spatial;
        at[0] = normal(i, y->dims[spatial], align);
        for (size_t k = 0; k < spatial; k++) {
            double sum = 0;
            for (size_t m = 0; m <= spatial; m++)
                sum += nnd_get(theta, (left * spatial + k) * (spatial + 1) + m) * at[m];
            nnd_set(y, to + k, sum);
        }
    }
    return NND_OK;
}

static nnd_status affine_run(nnd_op_ctx *c)
{
    const nnd_tensor *y = &c->out[0];
    if (nnd_tensor_count(y) == 0) return NND_OK;
    return nnd_op_for(c, (size_t)nnd_op_span(y, 0, y->rank - 2), affine_tile, c);
}

static const nnd_op ops[] = {
    {"", "GridSample", FIRST_OPSET, 0, 2, 2, 1, 1, 0, sample_infer, sample_run,
     .plan = sample_plan},
    {"com.microsoft", "GridSample", 1, 0, 2, 2, 1, 1, 0, sample_infer, sample_run,
     .plan = sample_plan},
    {"", "AffineGrid", 20, 0, 2, 2, 1, 1, 0, affine_infer, affine_run, .variant = 0},
};
const nnd_op_family nnd_ops_sample = {ops, NND_COUNT(ops)};
