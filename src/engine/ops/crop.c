/* com.microsoft's CropAndResize and UnfoldTensor: pieces of a tensor as a tensor of their own. */
#include <math.h>
#include <string.h>

#include "engine/ops/element.h"

/* ---- CropAndResize ------------------------------------------------------------------------- */

enum { PICTURES, REGIONS, BATCH, SIZE };

typedef struct job {
    const nnd_op_ctx *c;
    int64_t height, width, out_h, out_w;
    size_t channels;
    bool nearest;
    double outside; /* for places that are not in the picture */
} job;

static nnd_status read_crop(const nnd_op_ctx *c, job *j)
{
    const nnd_tensor *size;
    const char *mode = nnd_node_string(c->node, "mode", "bilinear");
    NND_TRY(nnd_op_expect(c, PICTURES, NND_FLOATS));
    NND_TRY(nnd_op_expect(c, REGIONS, 1u << c->in[PICTURES]->dtype));
    NND_TRY(nnd_op_expect(c, BATCH, 1u << NND_I32));
    NND_TRY(nnd_op_expect(c, SIZE, 1u << NND_I32));
    const nnd_tensor *x = c->in[PICTURES], *regions = c->in[REGIONS];
    if (x->rank != 4 || regions->rank != 2 || regions->dims[1] != 4 ||
        nnd_tensor_count(c->in[BATCH]) != regions->dims[0] || nnd_tensor_count(c->in[SIZE]) != 2)
        return nnd_op_fail(c, NND_E_SHAPE, "pictures, regions and sizes do not fit each other");
    NND_TRY(nnd_op_known(c, SIZE, &size));
    *j = (job){.c = c,
               .height = x->dims[2],
               .width = x->dims[3],
               .out_h = nnd_op_int_at(size, 0),
               .out_w = nnd_op_int_at(size, 1),
               .channels = (size_t)x->dims[1],
               .nearest = strcmp(mode, "nearest") == 0,
               .outside = (double)nnd_node_float(c->node, "extrapolation_value", 0)};
    if (!j->nearest && strcmp(mode, "bilinear") != 0)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the mode '%s' is not known", mode);
    if (j->out_h < 1 || j->out_w < 1)
        return nnd_op_fail(c, NND_E_SHAPE, "a crop of %lld by %lld has no elements",
                           (long long)j->out_h, (long long)j->out_w);
    return NND_OK;
}

static nnd_status crop_infer(nnd_op_ctx *c)
{
    job j;
    NND_TRY(read_crop(c, &j));
    const int64_t dims[4] = {c->in[REGIONS]->dims[0], c->in[PICTURES]->dims[1], j.out_h, j.out_w};
    return nnd_op_output(c, 0, c->in[PICTURES]->dtype, 4, dims);
}

/* Where the crop's row or column `i` of `count` lies between two of `extent` ones; the regions'
   ends are the middles of the first and the last. */
typedef struct place {
    int64_t low, high;
    double part; /* of high */
    bool inside;
} place;

static place place_of(const job *j, double from, double to, int64_t i, int64_t count,
                      int64_t extent)
{
    const float a = (float)from, last = (float)(extent - 1);
    float at = 0.5f * (a + (float)to) * last;
    if (count > 1) {
        const float step = ((float)to - a) * last / (float)(count - 1);
        at = a * last + (float)i * step;
    }
    place p = {.inside = at >= 0 && at <= last}; /* also for NaN */
    if (!p.inside) return p;
    if (j->nearest) at = roundf(at);
    p.low = (int64_t)floorf(at);
    p.high = (int64_t)ceilf(at);
    p.part = (double)(at - floorf(at));
    return p;
}

static double sample(const job *j, size_t plane, const place *y, const place *x)
{
    const nnd_tensor *t = j->c->in[PICTURES];
    if (!y->inside || !x->inside) return j->outside;
    const size_t top = plane + (size_t)(y->low * j->width),
                 low = plane + (size_t)(y->high * j->width);
    const double a = nnd_get(t, top + (size_t)x->low), b = nnd_get(t, top + (size_t)x->high);
    const double c = nnd_get(t, low + (size_t)x->low), d = nnd_get(t, low + (size_t)x->high);
    const double upper = a + (b - a) * x->part, lower = c + (d - c) * x->part;
    return upper + (lower - upper) * y->part;
}

/* One channel of one region. */
static nnd_status crop_tile(void *user, size_t index, int lane)
{
    const job *j = user;
    const nnd_tensor *regions = j->c->in[REGIONS], *y = &j->c->out[0];
    const size_t region = index / j->channels, channel = index % j->channels;
    const int64_t batch = nnd_op_int_at(j->c->in[BATCH], region);
    const size_t area = (size_t)(j->height * j->width);
    double side[4];
    (void)lane;
    for (size_t i = 0; i < 4; i++)
        side[i] = nnd_get(regions, region * 4 + i);
    if (batch < 0 || batch >= j->c->in[PICTURES]->dims[0])
        return nnd_op_fail(j->c, NND_E_FORMAT, "region %zu is in picture %lld of %lld", region,
                           (long long)batch, (long long)j->c->in[PICTURES]->dims[0]);
    const size_t plane = ((size_t)batch * j->channels + channel) * area;
    size_t to = index * (size_t)(j->out_h * j->out_w);
    for (int64_t oy = 0; oy < j->out_h; oy++) {
        const place row = place_of(j, side[0], side[2], oy, j->out_h, j->height);
        for (int64_t ox = 0; ox < j->out_w; ox++) {
            const place column = place_of(j, side[1], side[3], ox, j->out_w, j->width);
            nnd_set(y, to++, sample(j, plane, &row, &column));
        }
    }
    return NND_OK;
}

static nnd_status crop_run(nnd_op_ctx *c)
{
    job j;
    NND_TRY(read_crop(c, &j));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    if (!j.height || !j.width) return nnd_op_fail(c, NND_E_SHAPE, "the pictures are empty");
    return nnd_op_for(c, (size_t)c->in[REGIONS]->dims[0] * j.channels, crop_tile, &j);
}

/* ---- UnfoldTensor -------------------------------------------------------------------------- */

typedef struct unfold {
    int axis;
    int64_t size, step, count; /* of a slice; between slices; slices */
} unfold;

static nnd_status read_unfold(const nnd_op_ctx *c, unfold *u)
{
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    if (!nnd_op_element(x->dtype)) return nnd_op_expect(c, 0, 0);
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "dim", -1), x->rank, &u->axis));
    u->size = nnd_node_int(c->node, "size", 0);
    u->step = nnd_node_int(c->node, "step", 1);
    if (u->size < 1 || u->step < 1 || u->size > x->dims[u->axis] || x->rank == NND_MAX_RANK)
        return nnd_op_fail(c, NND_E_SHAPE, "%lld elements have no slices of %lld",
                           (long long)x->dims[u->axis], (long long)u->size);
    u->count = (x->dims[u->axis] - u->size) / u->step + 1;
    return NND_OK;
}

static nnd_status unfold_infer(nnd_op_ctx *c)
{
    unfold u;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(read_unfold(c, &u));
    const nnd_tensor *x = c->in[0];
    memcpy(dims, x->dims, sizeof(dims));
    dims[u.axis] = u.count;
    dims[x->rank] = u.size;
    return nnd_op_output(c, 0, x->dtype, x->rank + 1, dims);
}

/* The slices become the last dimension. */
static nnd_status unfold_run(nnd_op_ctx *c)
{
    unfold u;
    NND_TRY(read_unfold(c, &u));
    const nnd_tensor *x = c->in[0];
    const size_t item = nnd_op_element(x->dtype),
                 inner = (size_t)nnd_op_span(x, u.axis + 1, x->rank);
    const size_t outer = (size_t)nnd_op_span(x, 0, u.axis), extent = (size_t)x->dims[u.axis];
    char *y = c->out[0].data;
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < (size_t)u.count; i++)
            for (size_t k = 0; k < inner; k++)
                for (size_t s = 0; s < (size_t)u.size; s++, y += item) {
                    const size_t at = o * extent + i * (size_t)u.step + s;
                    memcpy(y, (const char *)x->data + (at * inner + k) * item, item);
                }
    return NND_OK;
}

#define MS "com.microsoft"
static const nnd_op ops[] = {
    {MS, "CropAndResize", 1, 0, 4, 4, 1, 1, 0, crop_infer, crop_run, .variant = 0},
    {MS, "UnfoldTensor", 1, 0, 1, 1, 1, 1, 0, unfold_infer, unfold_run, .variant = 0},
};
const nnd_op_family nnd_ops_crop = {ops, NND_COUNT(ops)};
