/*
 * ConvTranspose in one to three dimensions. f32 with constant weights: one convolution per phase of
 * the output, where the shape allows it and there are channels enough to fill vectors. Other f32: a
 * matrix product gives, for every input pixel, its contribution to each tap of the window, and a
 * second loop adds them up where they belong. Other types: each result gathers the inputs that
 * reach it.
 */
#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/ops/blocked.h"
#include "engine/ops/window.h"
#include "engine/packed/packed.h"

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
    *g = (geometry){.spatial = x->rank - 2};
    int64_t channels;
    if (g->spatial < 1 || g->spatial > NND_MAX_SPATIAL || w->rank != x->rank ||
        !nnd_conv_groups(c->node, w->dims[1], &g->groups, &channels) || x->dims[1] != w->dims[0] ||
        x->dims[1] % g->groups)
        return nnd_op_fail(c, NND_E_SHAPE, "input and weights do not fit");
    g->in_group = x->dims[1] / g->groups;
    g->out_group = w->dims[1];
    if (bias && (bias->rank != 1 || bias->dims[0] != channels || bias->dtype != x->dtype))
        return nnd_op_fail(c, NND_E_SHAPE, "the bias does not have one value per output channel");
    for (int i = 0; i < g->spatial; i++) {
        g->in[i] = x->dims[i + 2];
        g->kernel[i] = w->dims[i + 2];
    }
    return read_extents(c, g);
}

/* The same when the input may be in NCHWc. */
static nnd_status read_layer(const nnd_op_ctx *c, geometry *g)
{
    const nnd_tensor *weight, *in[3] = {0};
    nnd_tensor x;
    nnd_op_ctx plain = *c;
    if (!(c->op->flags & NND_OP_BLOCKED_IN)) return read_geometry(c, g);
    NND_TRY(nnd_op_need(c, 1, &weight));
    NND_TRY(nnd_blocked_check(c, 0, weight->dims[0]));
    x = nnd_blocked_logical(c->in[0], weight->dims[0]);
    for (size_t i = 1; i < c->in_count && i < NND_COUNT(in); i++)
        in[i] = c->in[i];
    in[0] = &x;
    plain.in = in;
    return read_geometry(&plain, g);
}

static nnd_status transpose_infer(nnd_op_ctx *c)
{
    geometry g;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(read_layer(c, &g));
    dims[0] = c->in[0]->dims[0];
    dims[1] = g.out_group * g.groups;
    memcpy(dims + 2, g.out, (size_t)g.spatial * sizeof(*dims));
    if (c->op->flags & NND_OP_BLOCKED_OUT) return nnd_blocked_output(c, dims);
    return nnd_op_output(c, 0, c->in[0]->dtype, g.spatial + 2, dims);
}

static double transpose_flops(const nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0];
    int last = c->op->flags & NND_OP_BLOCKED_IN ? 4 : x->rank;
    double operations = 2.0 * (double)x->dims[0];
    for (int i = 0; i < c->in[1]->rank; i++)
        operations *= (double)c->in[1]->dims[i];
    for (int i = 2; i < last; i++)
        operations *= (double)x->dims[i];
    return operations;
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

typedef struct transpose_step {
    nnd_conv_transpose *phases; /* NULL: a product */
    geometry g;                 /* widened */
    nnd_gemm gemm;
    size_t packed_bytes; /* of the input of one group, rounded */
    int64_t taps, area, out_area;
} transpose_step;

static void transpose_unplan(void *step)
{
    transpose_step *s = step;
    if (s) nnd_conv_transpose_destroy(s->phases);
    nnd_free(s);
}

/* ---- f32 by phases -------------------------------------------------------------------------- */

static nnd_conv_transpose_desc phases_desc(const nnd_op_ctx *c, const geometry *g)
{
    int row = g->spatial == 2 ? 0 : -1, col = g->spatial - 1;
    nnd_conv_transpose_desc d = {
        .batch = c->in[0]->dims[0],
        .in_channels = g->in_group * g->groups,
        .in_h = 1,
        .in_w = g->in[col],
        .out_channels = g->out_group * g->groups,
        .out_h = 1,
        .out_w = g->out[col],
        .groups = g->groups,
        .kernel_h = 1,
        .kernel_w = g->kernel[col],
        .stride_h = 1,
        .stride_w = g->stride[col],
        .begin_w = g->begin[col],
        .in_layout = c->op->flags & NND_OP_BLOCKED_IN ? NND_KERNEL_NCHWC : NND_KERNEL_NCHW,
        .out_layout = c->op->flags & NND_OP_BLOCKED_OUT ? NND_KERNEL_NCHWC : NND_KERNEL_NCHW};
    if (row < 0) return d;
    d.in_h = g->in[row];
    d.out_h = g->out[row];
    d.kernel_h = g->kernel[row];
    d.stride_h = g->stride[row];
    d.begin_h = g->begin[row];
    return d;
}

/* What is cut off must not depend on the size of the input; and whoever has few channels is better
   off with vectors along rows. */
static bool wants_phases(const nnd_graph_node *n, const geometry *g)
{
    const char *auto_pad = nnd_node_string(n, "auto_pad", "NOTSET");
    if (g->spatial > 2 || g->out_group * 2 < nnd_kernel_block()) return false;
    if (strncmp(auto_pad, "SAME_", 5) == 0 || nnd_node_attr(n, "output_shape")) return false;
    for (int i = 0; i < g->spatial; i++)
        if (g->dilation[i] != 1) return false;
    return true;
}

/* The node's phases for an input that is large enough for all of them; false when it is no layer
   for that. The plan says what is wrong with it, if anything, with the real shapes. */
static bool nominal_phases(const nnd_graph *g, const nnd_graph_node *n, const nnd_op *op,
                           nnd_conv_transpose_desc *d)
{
    const nnd_tensor *in[3] = {0}, *weight;
    nnd_tensor x = {.dtype = NND_F32}, out = {0};
    nnd_op_ctx c = {.node = n, .op = op, .in = in, .out = &out, .out_count = 1};
    for (c.in_count = 1; c.in_count < n->formal_count && c.in_count < 3; c.in_count++) {
        const nnd_graph_value *v = &g->values[n->inputs[c.in_count]];
        if (n->inputs[c.in_count] == NND_NO_ID) break;
        if (!v->is_constant || !v->constant.data || v->constant.dtype != NND_F32) return false;
        in[c.in_count] = &v->constant;
    }
    weight = in[1];
    if (!weight || weight->rank < 3 || weight->rank > 4 || nnd_tensor_count(weight) == 0)
        return false;
    x.rank = weight->rank;
    x.dims[0] = 1;
    x.dims[1] = weight->dims[0];
    for (int i = 2; i < x.rank; i++)
        x.dims[i] = 2 * weight->dims[i] + 8;
    in[0] = &x;
    geometry geo;
    if (read_geometry(&c, &geo) != NND_OK) {
        nnd_error_clear();
        return false;
    }
    if (!wants_phases(n, &geo)) return false;
    *d = phases_desc(&c, &geo);
    return nnd_conv_transpose_can(d);
}

bool nnd_conv_transpose_has_phases(const nnd_graph *g, const nnd_graph_node *n)
{
    nnd_conv_transpose_desc d;
    return nominal_phases(g, n, n->op, &d);
}

static nnd_status transpose_prepare(nnd_graph *g, nnd_graph_node *n)
{
    nnd_conv_transpose_desc d;
    nnd_conv_transpose *conv;
    const nnd_tensor *weight, *bias = NULL;
    nnd_packed_blob *blob;
    void *fill;
    if (!nominal_phases(g, n, n->op, &d)) return NND_OK;
    NND_TRY(nnd_conv_transpose_create(&d, &conv));
    nnd_status status =
        nnd_packed_take(g, n, "phases", nnd_conv_transpose_packed_bytes(conv), &blob, &fill);
    if (status == NND_OK && fill) {
        status = nnd_graph_constant(g, n->inputs[1], &weight);
        if (status == NND_OK && n->formal_count > 2 && n->inputs[2] != NND_NO_ID)
            status = nnd_graph_constant(g, n->inputs[2], &bias);
        if (status == NND_OK)
            status = nnd_conv_transpose_pack(conv, weight->data, bias ? bias->data : NULL, fill);
    }
    nnd_conv_transpose_destroy(conv);
    NND_TRY(status);
    n->state = blob;
    if (g->values[n->inputs[1]].uses == 1) nnd_graph_release_constant(g, n->inputs[1]);
    return NND_OK;
}

static nnd_status plan_phases(nnd_op_ctx *c, const geometry *g)
{
    nnd_conv_transpose_desc d = phases_desc(c, g);
    transpose_step *s = nnd_calloc(1, sizeof(*s));
    if (!s) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for the plan");
    nnd_status status = nnd_conv_transpose_create(&d, &s->phases);
    if (status != NND_OK) {
        nnd_free(s);
        return status;
    }
    c->step = s;
    c->lane_bytes = nnd_conv_transpose_lane_bytes(s->phases);
    c->kernel = "phases";
    return NND_OK;
}

static nnd_status phases_tile(void *user, size_t index, int lane)
{
    const nnd_op_ctx *c = user;
    const transpose_step *s = c->step;
    const nnd_packed_blob *weights = c->node->state;
    nnd_conv_transpose_run_tile(s->phases, c->in[0]->data, weights->data, c->out[0].data, index,
                                nnd_op_lane(c, lane));
    return NND_OK;
}

/* ---- f32 as a product ----------------------------------------------------------------------- */

/* Products larger than this are not worth their memory. */
static const size_t MAX_COLUMNS = (size_t)1 << 28;

static nnd_status transpose_plan(nnd_op_ctx *c)
{
    geometry g;
    const nnd_tensor *y = &c->out[0];
    NND_TRY(read_layer(c, &g));
    if (nnd_tensor_count(y) == 0) return NND_OK;
    if (c->node->state) return plan_phases(c, &g);
    if (c->op->flags & NND_OP_PLANNED)
        return nnd_op_fail(c, NND_E_INTERNAL, "a blocked ConvTranspose without phases");
    c->lane_bytes = (size_t)(y->dims[y->rank - 1] > 0 ? y->dims[y->rank - 1] : 1) * sizeof(double);
    widen(&g);
    int64_t taps = g.kernel[0] * g.kernel[1] * g.kernel[2], area = g.in[0] * g.in[1] * g.in[2];
    double columns = (double)g.out_group * (double)taps * (double)area * sizeof(float);
    if (c->in[0]->dtype != NND_F32 || nnd_tensor_count(y) == 0 || columns > (double)MAX_COLUMNS)
        return NND_OK;
    transpose_step *s = nnd_calloc(1, sizeof(*s));
    if (!s) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a plan");
    *s = (transpose_step){.g = g, .taps = taps, .area = area};
    s->out_area = g.out[0] * g.out[1] * g.out[2];
    nnd_gemm_desc d = {
        .m = g.out_group * taps, .n = area, .k = g.in_group, .trans_a = true, .alpha = 1.0f};
    nnd_status status = nnd_gemm_plan(&d, &s->gemm);
    if (status != NND_OK) {
        nnd_free(s);
        return status;
    }
    s->packed_bytes = (nnd_gemm_packed_bytes(&s->gemm) + 63u) & ~(size_t)63u;
    c->step = s;
    c->lane_bytes = nnd_gemm_lane_bytes(&s->gemm);
    c->workspace_bytes = s->packed_bytes + (size_t)(d.m * d.n) * sizeof(float);
    c->kernel = "gemm";
    return NND_OK;
}

typedef struct kernel_job {
    const nnd_op_ctx *c;
    const transpose_step *s;
    nnd_gemm_args args;
    const float *x;
    float *packed, *y; /* y: first channel of the group */
    const float *bias; /* of the group; NULL = none */
} kernel_job;

static nnd_status pack_tile(void *user, size_t index, int lane)
{
    const kernel_job *j = user;
    (void)lane;
    nnd_gemm_pack_b_tile(&j->s->gemm, j->x, j->packed, index);
    return NND_OK;
}

static nnd_status product_tile(void *user, size_t index, int lane)
{
    const kernel_job *j = user;
    nnd_gemm_run_tile(&j->s->gemm, &j->args, index, nnd_op_lane(j->c, lane));
    return NND_OK;
}

/* Adds one tap's contributions of the whole input to an output plane. */
static void add_tap(const geometry *g, const int64_t *k, const float *from, float *plane)
{
    int64_t shift[NND_MAX_SPATIAL];
    for (int d = 0; d < NND_MAX_SPATIAL; d++)
        shift[d] = k[d] * g->dilation[d] - g->begin[d];
    for (int64_t z = 0; z < g->in[0]; z++) {
        int64_t oz = z * g->stride[0] + shift[0];
        for (int64_t y = 0; y < g->in[1]; y++, from += g->in[2]) {
            int64_t oy = y * g->stride[1] + shift[1];
            if (oz < 0 || oz >= g->out[0] || oy < 0 || oy >= g->out[1]) continue;
            float *row = plane + (oz * g->out[1] + oy) * g->out[2];
            for (int64_t x = 0; x < g->in[2]; x++) {
                int64_t ox = x * g->stride[2] + shift[2];
                if (ox >= 0 && ox < g->out[2]) row[ox] += from[x];
            }
        }
    }
}

static nnd_status plane_tile(void *user, size_t channel, int lane)
{
    const kernel_job *j = user;
    const transpose_step *s = j->s;
    const float *from = j->args.c + channel * (size_t)(s->taps * s->area);
    float *plane = j->y + channel * (size_t)s->out_area, start = j->bias ? j->bias[channel] : 0.0f;
    int64_t k[NND_MAX_SPATIAL];
    (void)lane;
    for (int64_t i = 0; i < s->out_area; i++)
        plane[i] = start;
    for (k[0] = 0; k[0] < s->g.kernel[0]; k[0]++)
        for (k[1] = 0; k[1] < s->g.kernel[1]; k[1]++)
            for (k[2] = 0; k[2] < s->g.kernel[2]; k[2]++, from += s->area)
                add_tap(&s->g, k, from, plane);
    return NND_OK;
}

static nnd_status run_kernel(nnd_op_ctx *c)
{
    const transpose_step *s = c->step;
    const geometry *g = &s->g;
    const nnd_tensor *bias = nnd_op_in(c, 2);
    size_t groups = (size_t)(c->in[0]->dims[0] * g->groups);
    for (size_t i = 0; i < groups; i++) {
        size_t group = i % (size_t)g->groups;
        kernel_job j = {.c = c, .s = s, .packed = c->workspace};
        j.x = (const float *)c->in[0]->data + i * (size_t)(g->in_group * s->area);
        j.y = (float *)c->out[0].data + i * (size_t)(g->out_group * s->out_area);
        j.bias = bias ? (const float *)bias->data + group * (size_t)g->out_group : NULL;
        j.args.a =
            (const float *)c->in[1]->data + group * (size_t)(g->in_group * g->out_group * s->taps);
        j.args.packed_b = j.packed;
        j.args.c = (float *)((char *)c->workspace + s->packed_bytes);
        NND_TRY(nnd_op_for(c, nnd_gemm_pack_tiles(&s->gemm), pack_tile, &j));
        NND_TRY(nnd_op_for(c, nnd_gemm_tiles(&s->gemm), product_tile, &j));
        NND_TRY(nnd_op_for(c, (size_t)g->out_group, plane_tile, &j));
    }
    return NND_OK;
}

static nnd_status transpose_run(nnd_op_ctx *c)
{
    const transpose_step *s = c->step;
    if (s && s->phases) return nnd_op_for(c, nnd_conv_transpose_tiles(s->phases), phases_tile, c);
    if (s) return run_kernel(c);
    job j = {.c = c};
    size_t count = (size_t)nnd_tensor_count(&c->out[0]);
    if (!count) return NND_OK;
    NND_TRY(read_geometry(c, &j.g));
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

#define CONV_TRANSPOSE(flags)                                                                      \
    {                                                                                              \
        "", "ConvTranspose", 1, 0, 2, 3, 1, 1, flags, transpose_infer, transpose_run,              \
            transpose_prepare, NULL, transpose_plan, transpose_unplan, transpose_flops, 0          \
    }
static const nnd_op ops[] = {CONV_TRANSPOSE(0u)};
const nnd_op nnd_op_conv_transpose_blocked =
    CONV_TRANSPOSE(NND_OP_PLANNED | NND_OP_BLOCKED_IN | NND_OP_BLOCKED_OUT);
const nnd_op nnd_op_conv_transpose_blocked_out =
    CONV_TRANSPOSE(NND_OP_PLANNED | NND_OP_BLOCKED_OUT);
const nnd_op_family nnd_ops_conv_transpose = {ops, NND_COUNT(ops)};
