/* ConvTranspose in one to three dimensions: each result gathers the inputs that reach it. */
#include <string.h>

#include "engine/ops/epilogue.h"
#include "engine/ops/window.h"

typedef struct geometry {
    int spatial;
    int64_t groups, in_group, out_group;
    int64_t in[NND_MAX_SPATIAL], out[NND_MAX_SPATIAL], kernel[NND_MAX_SPATIAL];
    int64_t stride[NND_MAX_SPATIAL], dilation[NND_MAX_SPATIAL], begin[NND_MAX_SPATIAL];
} geometry;

static nnd_status list(const nnd_op_ctx *c, const char *name, int count, int64_t fallback,
                       int64_t *out, bool *present)
{
    size_t n;
    const int64_t *items = nnd_node_ints(c->node, name, &n);
    if (items && n != (size_t)count)
        return nnd_op_fail(c, NND_E_SHAPE, "%s has %zu values, %d are wanted", name, n, count);
    for (int i = 0; i < count; i++) {
        out[i] = items ? items[i] : fallback;
        if (out[i] < 0 || out[i] > INT32_MAX)
            return nnd_op_fail(c, NND_E_SHAPE, "%s is impossible", name);
    }
    if (present) *present = items != NULL;
    return NND_OK;
}

static nnd_status read_extents(const nnd_op_ctx *c, geometry *g)
{
    int64_t extra[NND_MAX_SPATIAL], wanted[NND_MAX_SPATIAL], pads[2 * NND_MAX_SPATIAL];
    bool has_shape;
    const char *auto_pad = nnd_node_string(c->node, "auto_pad", "NOTSET");
    bool same = strncmp(auto_pad, "SAME_", 5) == 0, upper = strcmp(auto_pad, "SAME_UPPER") == 0;
    NND_TRY(list(c, "strides", g->spatial, 1, g->stride, NULL));
    NND_TRY(list(c, "dilations", g->spatial, 1, g->dilation, NULL));
    NND_TRY(list(c, "output_padding", g->spatial, 0, extra, NULL));
    NND_TRY(list(c, "output_shape", g->spatial, 0, wanted, &has_shape));
    NND_TRY(list(c, "pads", 2 * g->spatial, 0, pads, NULL));
    for (int i = 0; i < g->spatial; i++) {
        if (g->stride[i] < 1 || g->dilation[i] < 1 || g->kernel[i] < 1 || g->in[i] < 1)
            return nnd_op_fail(c, NND_E_SHAPE, "dimension %d is impossible", i + 2);
        int64_t full =
            (g->in[i] - 1) * g->stride[i] + extra[i] + (g->kernel[i] - 1) * g->dilation[i] + 1;
        g->begin[i] = pads[i];
        g->out[i] = full - pads[i] - pads[i + g->spatial];
        if (same && !has_shape) wanted[i] = g->in[i] * g->stride[i];
        if (same || has_shape) {
            int64_t total = full - wanted[i] > 0 ? full - wanted[i] : 0;
            g->begin[i] = upper || !same ? total / 2 : total - total / 2;
            g->out[i] = wanted[i];
        }
        if (g->out[i] < 0) return nnd_op_fail(c, NND_E_SHAPE, "the padding eats the result");
    }
    return NND_OK;
}

static nnd_status read_geometry(const nnd_op_ctx *c, geometry *g)
{
    const nnd_tensor *x, *w, *bias = nnd_op_in(c, 2);
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_expect(c, 1, 1u << x->dtype));
    NND_TRY(nnd_op_need(c, 1, &w));
    *g = (geometry){.spatial = x->rank - 2, .groups = nnd_node_int(c->node, "group", 1)};
    if (g->spatial < 1 || g->spatial > NND_MAX_SPATIAL || w->rank != x->rank || g->groups < 1 ||
        x->dims[1] != w->dims[0] || x->dims[1] % g->groups)
        return nnd_op_fail(c, NND_E_SHAPE, "input and weights do not fit");
    g->in_group = x->dims[1] / g->groups;
    g->out_group = w->dims[1];
    if (bias &&
        (bias->rank != 1 || bias->dims[0] != g->out_group * g->groups || bias->dtype != x->dtype))
        return nnd_op_fail(c, NND_E_SHAPE, "the bias does not have one value per output channel");
    for (int i = 0; i < g->spatial; i++) {
        g->in[i] = x->dims[i + 2];
        g->kernel[i] = w->dims[i + 2];
    }
    return read_extents(c, g);
}

static nnd_status transpose_infer(nnd_op_ctx *c)
{
    geometry g;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(read_geometry(c, &g));
    dims[0] = c->in[0]->dims[0];
    dims[1] = g.out_group * g.groups;
    memcpy(dims + 2, g.out, (size_t)g.spatial * sizeof(*dims));
    return nnd_op_output(c, 0, c->in[0]->dtype, g.spatial + 2, dims);
}

static double transpose_flops(const nnd_op_ctx *c)
{
    double per_input = 2.0;
    for (int i = 1; i < c->in[1]->rank; i++)
        per_input *= (double)c->in[1]->dims[i];
    return per_input * (double)nnd_tensor_count(c->in[0]);
}

typedef struct job {
    const nnd_op_ctx *c;
    geometry g; /* widened to three dimensions */
} job;

static void widen(geometry *g)
{
    int shift = NND_MAX_SPATIAL - g->spatial;
    for (int i = NND_MAX_SPATIAL - 1; i >= 0; i--) {
        bool real = i >= shift;
        int from = i - shift;
        g->in[i] = real ? g->in[from] : 1;
        g->out[i] = real ? g->out[from] : 1;
        g->kernel[i] = real ? g->kernel[from] : 1;
        g->stride[i] = real ? g->stride[from] : 1;
        g->dilation[i] = real ? g->dilation[from] : 1;
        g->begin[i] = real ? g->begin[from] : 0;
    }
}

/* Input index that reaches output o through tap k, −1 = none. */
static int64_t source(const geometry *g, int d, int64_t o, int64_t k)
{
    int64_t at = o + g->begin[d] - k * g->dilation[d];
    if (at < 0 || at % g->stride[d] || at / g->stride[d] >= g->in[d]) return -1;
    return at / g->stride[d];
}

/* Adds one row of weights and inputs to the f32 or double sums of an output row. */
static void add_row(const job *j, size_t x_row, size_t w_row, double *sums)
{
    const geometry *g = &j->g;
    const nnd_tensor *x = j->c->in[0], *w = j->c->in[1];
    for (int64_t k = 0; k < g->kernel[2]; k++) {
        double tap = nnd_dtype_get(w->dtype, w->data, w_row + (size_t)k);
        int64_t shift = k * g->dilation[2] - g->begin[2];
        for (int64_t i = 0; i < g->in[2]; i++) {
            int64_t o = i * g->stride[2] + shift;
            if (o < 0 || o >= g->out[2]) continue;
            double v = x->dtype == NND_F32 ? (double)((const float *)x->data)[x_row + (size_t)i]
                                           : nnd_dtype_get(x->dtype, x->data, x_row + (size_t)i);
            sums[o] += tap * v;
        }
    }
}

static nnd_status tile(void *user, size_t index, int lane)
{
    const job *j = user;
    const geometry *g = &j->g;
    const nnd_tensor *x = j->c->in[0], *y = &j->c->out[0], *bias = nnd_op_in(j->c, 2);
    size_t left = index;
    double *sums = nnd_op_lane(j->c, lane);
    int64_t oy = (int64_t)(left % (size_t)g->out[1]), oz, m, n;
    left /= (size_t)g->out[1];
    oz = (int64_t)(left % (size_t)g->out[0]);
    left /= (size_t)g->out[0];
    m = (int64_t)(left % (size_t)y->dims[1]);
    n = (int64_t)(left / (size_t)y->dims[1]);
    for (int64_t i = 0; i < g->out[2]; i++)
        sums[i] = bias ? nnd_dtype_get(bias->dtype, bias->data, (size_t)m) : 0.0;
    int64_t group = m / g->out_group;
    for (int64_t ci = group * g->in_group; ci < (group + 1) * g->in_group; ci++) {
        for (int64_t kz = 0; kz < g->kernel[0]; kz++) {
            int64_t iz = source(g, 0, oz, kz);
            for (int64_t ky = 0; iz >= 0 && ky < g->kernel[1]; ky++) {
                int64_t iy = source(g, 1, oy, ky);
                if (iy < 0) continue;
                size_t x_row =
                    (size_t)((((n * x->dims[1] + ci) * g->in[0] + iz) * g->in[1] + iy) * g->in[2]);
                size_t w_row =
                    (size_t)((((ci * g->out_group + m % g->out_group) * g->kernel[0] + kz) *
                                  g->kernel[1] +
                              ky) *
                             g->kernel[2]);
                add_row(j, x_row, w_row, sums);
            }
        }
    }
    for (int64_t i = 0; i < g->out[2]; i++)
        nnd_dtype_set(y->dtype, y->data, index * (size_t)g->out[2] + (size_t)i, sums[i]);
    return NND_OK;
}

static nnd_status transpose_plan(nnd_op_ctx *c)
{
    const nnd_tensor *y = &c->out[0];
    c->lane_bytes = (size_t)(y->dims[y->rank - 1] > 0 ? y->dims[y->rank - 1] : 1) * sizeof(double);
    return NND_OK;
}

static nnd_status transpose_run(nnd_op_ctx *c)
{
    job j = {.c = c};
    size_t count = (size_t)nnd_tensor_count(&c->out[0]);
    NND_TRY(read_geometry(c, &j.g));
    if (!count) return NND_OK;
    widen(&j.g);
    if (c->lanes) return nnd_op_for(c, count / (size_t)j.g.out[2], tile, &j);
    /* Folding a constant: no plan has made scratch. */
    c->lanes = nnd_alloc((size_t)j.g.out[2] * sizeof(double));
    if (!c->lanes) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for ConvTranspose");
    nnd_status status = nnd_gang_for(NULL, count / (size_t)j.g.out[2], tile, &j, c->cancel);
    nnd_free(c->lanes);
    c->lanes = NULL;
    return status;
}

static const nnd_op ops[] = {
    {"", "ConvTranspose", 1, 0, 2, 3, 1, 1, 0, transpose_infer, transpose_run, NULL, NULL,
     transpose_plan, NULL, transpose_flops, 0},
};
const nnd_op_family nnd_ops_conv_transpose = {ops, NND_COUNT(ops)};
