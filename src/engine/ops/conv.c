/*
 * Conv: f32 in one and two dimensions through the kernels with weights packed at load, everything
 * else by plain loops.
 */
#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/ops/blocked.h"
#include "engine/ops/blocks.h"
#include "engine/ops/epilogue.h"
#include "engine/ops/window.h"

/* ---- shapes -------------------------------------------------------------------------------- */

static nnd_status read_conv(const nnd_op_ctx *c, nnd_window *w, int64_t *groups)
{
    const nnd_tensor *x, *weight, *bias = nnd_op_in(c, 2);
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_need(c, 1, &weight));
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    NND_TRY(nnd_op_expect(c, 1, 1u << x->dtype));
    if (bias) NND_TRY(nnd_op_expect(c, 2, 1u << x->dtype));
    if (weight->rank != x->rank || x->rank < 3)
        return nnd_op_fail(c, NND_E_SHAPE, "the input has rank %d, the weights %d", x->rank,
                           weight->rank);
    NND_TRY(nnd_window_read(c, weight->dims + 2, w));
    *groups = nnd_node_int(c->node, "group", 1);
    if (*groups < 1 || weight->dims[0] % *groups || weight->dims[1] * *groups != x->dims[1])
        return nnd_op_fail(c, NND_E_SHAPE,
                           "%lld input channels in %lld groups do not fit weights for %lld × %lld",
                           (long long)x->dims[1], (long long)*groups, (long long)weight->dims[0],
                           (long long)weight->dims[1]);
    if (bias && (bias->rank != 1 || bias->dims[0] != weight->dims[0]))
        return nnd_op_fail(c, NND_E_SHAPE, "the bias does not have one value per output channel");
    return NND_OK;
}

/* FusedConv's fourth input, added before the activation. */
static const nnd_tensor *residual_of(const nnd_op_ctx *c)
{
    return c->node->formal_count > 3 ? nnd_op_in(c, 3) : NULL;
}

static nnd_status check_residual(const nnd_op_ctx *c, const int64_t *dims)
{
    const nnd_tensor *z = residual_of(c), *x = c->in[0];
    if (!z) return NND_OK;
    if (z->dtype == x->dtype && z->rank == x->rank &&
        memcmp(z->dims, dims, (size_t)z->rank * sizeof(*dims)) == 0)
        return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "the residual does not have the shape of the result");
}

/* The node as if all of its tensors were NCHW. */
typedef struct plain_view {
    nnd_op_ctx c;
    const nnd_tensor *in[4];
    nnd_tensor x, z;
} plain_view;

static nnd_status plain_view_of(const nnd_op_ctx *c, plain_view *v)
{
    v->c = *c;
    if (!(c->op->flags & (NND_OP_BLOCKED_IN | NND_OP_BLOCKED_OUT))) return NND_OK;
    const nnd_tensor *weight;
    NND_TRY(nnd_op_need(c, 1, &weight));
    for (size_t i = 0; i < c->in_count && i < NND_COUNT(v->in); i++)
        v->in[i] = c->in[i];
    if (c->op->flags & NND_OP_BLOCKED_IN) {
        int64_t channels = weight->dims[1] * nnd_node_int(c->node, "group", 1);
        NND_TRY(nnd_blocked_check(c, 0, channels));
        v->x = nnd_blocked_logical(c->in[0], channels);
        v->in[0] = &v->x;
    }
    if (c->op->flags & NND_OP_BLOCKED_OUT && residual_of(c)) {
        NND_TRY(nnd_blocked_check(c, 3, weight->dims[0]));
        v->z = nnd_blocked_logical(c->in[3], weight->dims[0]);
        v->in[3] = &v->z;
    }
    v->c.in = v->in;
    return NND_OK;
}

static nnd_status conv_infer(nnd_op_ctx *c)
{
    plain_view v;
    nnd_window w;
    int64_t groups, dims[NND_MAX_RANK];
    NND_TRY(plain_view_of(c, &v));
    NND_TRY(read_conv(&v.c, &w, &groups));
    dims[0] = c->in[0]->dims[0];
    dims[1] = c->in[1]->dims[0];
    memcpy(dims + 2, w.out, (size_t)w.spatial * sizeof(*dims));
    NND_TRY(check_residual(&v.c, dims));
    if (c->op->flags & NND_OP_BLOCKED_OUT) return nnd_blocked_output(c, dims);
    return nnd_op_output(c, 0, c->in[0]->dtype, c->in[1]->rank, dims);
}

static double conv_flops(const nnd_op_ctx *c)
{
    const nnd_tensor *weight = c->in[1], *y = &c->out[0];
    double operations = 2.0 * (double)y->dims[0];
    for (int i = 0; i < weight->rank; i++)
        operations *= (double)weight->dims[i];
    for (int i = 2; i < weight->rank; i++)
        operations *= (double)y->dims[i];
    return operations;
}

/* ---- kernels ------------------------------------------------------------------------------- */

/* Weights packed at load, shared by all plans of the node. */
typedef struct packed_conv {
    nnd_conv_algorithm algorithm;
    size_t bytes;
    void *data;
} packed_conv;

static bool kernel_desc(const nnd_op_ctx *c, const nnd_window *w, int64_t groups, nnd_conv_desc *d)
{
    const nnd_tensor *x = c->in[0], *weight = c->in[1];
    if (x->dtype != NND_F32 || w->spatial > 2) return false;
    int row = w->spatial == 2 ? 0 : -1, col = w->spatial - 1;
    *d = (nnd_conv_desc){
        .batch = x->dims[0],
        .in_channels = x->dims[1],
        .in_h = 1,
        .in_w = w->in[col],
        .out_channels = weight->dims[0],
        .groups = groups,
        .kernel_h = 1,
        .kernel_w = w->kernel[col],
        .stride_h = 1,
        .stride_w = w->stride[col],
        .dilation_h = 1,
        .dilation_w = w->dilation[col],
        .pad_left = w->begin[col],
        .pad_right = w->end[col],
        .in_layout = c->op->flags & NND_OP_BLOCKED_IN ? NND_KERNEL_NCHWC : NND_KERNEL_NCHW,
        .out_layout = c->op->flags & NND_OP_BLOCKED_OUT ? NND_KERNEL_NCHWC : NND_KERNEL_NCHW,
        .residual = residual_of(c) != NULL,
        .act = nnd_epilogue_act(c->node)};
    if (row < 0) return true;
    d->in_h = w->in[row];
    d->kernel_h = w->kernel[row];
    d->stride_h = w->stride[row];
    d->dilation_h = w->dilation[row];
    d->pad_top = w->begin[row];
    d->pad_bottom = w->end[row];
    return true;
}

static void release_packed(void *state)
{
    packed_conv *p = state;
    if (!p) return;
    nnd_free_aligned(p->data);
    nnd_free(p);
}

/* The packing does not depend on the picture's size: any size on which the window fits will do. */
static nnd_status pack(const nnd_op_ctx *c, const nnd_conv_desc *desc, packed_conv **out)
{
    nnd_conv *conv;
    NND_TRY(nnd_conv_create(desc, NND_CONV_AUTO, &conv));
    packed_conv *p = nnd_calloc(1, sizeof(*p));
    if (p) {
        p->algorithm = nnd_conv_get_algorithm(conv);
        p->bytes = nnd_conv_packed_bytes(conv);
        p->data = nnd_alloc_aligned(p->bytes ? p->bytes : 1, NND_KERNEL_ALIGN);
    }
    if (!p || !p->data) {
        release_packed(p);
        nnd_conv_destroy(conv);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to pack the weights of '%s'",
                             c->node->name);
    }
    const nnd_tensor *bias = nnd_op_in(c, 2);
    nnd_conv_pack(conv, c->in[1]->data, bias ? bias->data : NULL, p->data);
    nnd_conv_destroy(conv);
    *out = p;
    return NND_OK;
}

/* The input at the nominal shapes, which the choice of the algorithm goes by; else one is invented,
   a small one, on which the attributes of the node can be read. */
static nnd_tensor nominal_input(const nnd_graph *g, const nnd_graph_node *n,
                                const nnd_tensor *weight)
{
    const nnd_graph_value *v = &g->values[n->inputs[0]];
    nnd_tensor x = {.dtype = weight->dtype, .rank = weight->rank};
    size_t count;
    const int64_t *dilations = nnd_node_ints(n, "dilations", &count);
    x.dims[0] = 1;
    x.dims[1] = weight->dims[1] * nnd_node_int(n, "group", 1);
    if (v->nominal_rank == x.rank && v->nominal[1] == x.dims[1]) {
        memcpy(x.dims, v->nominal, sizeof(x.dims));
        return x;
    }
    for (int i = 2; i < x.rank; i++) {
        int64_t dilation = dilations && (size_t)i - 2 < count ? dilations[i - 2] : 1;
        bool sane = dilation > 0 && dilation < 4096 && weight->dims[i] < 4096;
        x.dims[i] = sane ? (weight->dims[i] - 1) * dilation + 8 : 8;
    }
    return x;
}

static nnd_status conv_prepare(nnd_graph *g, nnd_graph_node *n)
{
    const nnd_tensor *weight = NULL, *bias = NULL;
    bool has_bias = n->formal_count > 2 && n->inputs[2] != NND_NO_ID;
    NND_TRY(nnd_graph_constant(g, n->inputs[1], &weight));
    if (has_bias) NND_TRY(nnd_graph_constant(g, n->inputs[2], &bias));
    if (!weight || !weight->data || weight->dtype != NND_F32 || weight->rank < 3 ||
        weight->rank > 4)
        return NND_OK;
    if (has_bias && (!bias || !bias->data || bias->dtype != NND_F32)) return NND_OK;
    nnd_tensor x = nominal_input(g, n, weight);
    const nnd_tensor *in[3] = {&x, weight, bias};
    nnd_op_ctx c = {.node = n, .op = n->op, .in_count = has_bias ? 3 : 2, .in = in};
    nnd_window w;
    int64_t groups;
    nnd_conv_desc desc;
    nnd_tensor out[1] = {0};
    c.out = out;
    c.out_count = 1;
    if (read_conv(&c, &w, &groups) != NND_OK || !kernel_desc(&c, &w, groups, &desc) ||
        nnd_tensor_count(weight) == 0) {
        nnd_error_clear(); /* the plan says what is wrong, with the real shapes */
        return NND_OK;
    }
    packed_conv *p = NULL;
    NND_TRY(pack(&c, &desc, &p));
    n->state = p;
    g->packed_bytes += p->bytes;
    if (g->values[n->inputs[1]].uses == 1) nnd_graph_release_constant(g, n->inputs[1]);
    return NND_OK;
}

static nnd_status conv_plan(nnd_op_ctx *c)
{
    plain_view v;
    nnd_window w;
    int64_t groups;
    nnd_conv_desc desc;
    const packed_conv *p = c->node->state;
    NND_TRY(plain_view_of(c, &v));
    NND_TRY(read_conv(&v.c, &w, &groups));
    if (!p || !kernel_desc(&v.c, &w, groups, &desc) || nnd_tensor_count(&c->out[0]) == 0 ||
        nnd_tensor_count(c->in[0]) == 0)
        return NND_OK;
    nnd_conv *conv;
    NND_TRY(nnd_conv_create(&desc, p->algorithm, &conv));
    c->step = conv;
    c->workspace_bytes = nnd_conv_workspace_bytes(conv);
    c->lane_bytes = nnd_conv_lane_bytes(conv);
    c->kernel = nnd_conv_algorithm_name(p->algorithm);
    return NND_OK;
}

static void conv_unplan(void *step)
{
    nnd_conv_destroy(step);
}

typedef struct kernel_job {
    const nnd_op_ctx *c;
    const nnd_conv *conv;
    nnd_conv_args args;
    int stage;
} kernel_job;

static nnd_status kernel_tile(void *user, size_t index, int lane)
{
    const kernel_job *j = user;
    nnd_conv_run_tile(j->conv, &j->args, j->stage, index, nnd_op_lane(j->c, lane));
    return NND_OK;
}

static nnd_status run_kernel(nnd_op_ctx *c)
{
    const packed_conv *p = c->node->state;
    kernel_job j = {.c = c, .conv = c->step};
    const nnd_tensor *residual = residual_of(c);
    j.args = (nnd_conv_args){.x = c->in[0]->data,
                             .packed = p->data,
                             .residual = residual ? residual->data : NULL,
                             .y = c->out[0].data,
                             .workspace = c->workspace};
    for (j.stage = 0; j.stage < nnd_conv_stages(j.conv); j.stage++)
        NND_TRY(nnd_op_for(c, nnd_conv_tiles(j.conv, j.stage), kernel_tile, &j));
    return NND_OK;
}

/* ---- reference ----------------------------------------------------------------------------- */

/* One output row (innermost dimension) per tile, any rank and float type. Sums in double. */
typedef struct job {
    const nnd_op_ctx *c;
    nnd_window w; /* padded with leading extents of 1 to three dimensions */
    int64_t groups;
} job;

static void widen(nnd_window *w)
{
    int shift = NND_MAX_SPATIAL - w->spatial;
    for (int i = NND_MAX_SPATIAL - 1; i >= 0; i--) {
        bool real = i >= shift;
        int from = i - shift;
        w->in[i] = real ? w->in[from] : 1;
        w->out[i] = real ? w->out[from] : 1;
        w->kernel[i] = real ? w->kernel[from] : 1;
        w->stride[i] = real ? w->stride[from] : 1;
        w->dilation[i] = real ? w->dilation[from] : 1;
        w->begin[i] = real ? w->begin[from] : 0;
        w->end[i] = real ? w->end[from] : 0;
    }
    w->spatial = NND_MAX_SPATIAL;
}

static double dot(const job *j, int64_t n, int64_t m, const int64_t *o)
{
    const nnd_window *w = &j->w;
    const nnd_tensor *x = j->c->in[0], *weight = j->c->in[1];
    int64_t in_group = x->dims[1] / j->groups, group = m / (weight->dims[0] / j->groups);
    double sum = 0;
    for (int64_t ci = 0; ci < in_group; ci++) {
        size_t plane = (size_t)(n * x->dims[1] + group * in_group + ci);
        size_t filter = (size_t)(m * in_group + ci);
        for (int64_t kz = 0; kz < w->kernel[0]; kz++) {
            int64_t z = o[0] * w->stride[0] - w->begin[0] + kz * w->dilation[0];
            if (z < 0 || z >= w->in[0]) continue;
            for (int64_t ky = 0; ky < w->kernel[1]; ky++) {
                int64_t y = o[1] * w->stride[1] - w->begin[1] + ky * w->dilation[1];
                if (y < 0 || y >= w->in[1]) continue;
                size_t row =
                    ((plane * (size_t)w->in[0] + (size_t)z) * (size_t)w->in[1] + (size_t)y) *
                    (size_t)w->in[2];
                size_t tap = ((filter * (size_t)w->kernel[0] + (size_t)kz) * (size_t)w->kernel[1] +
                              (size_t)ky) *
                             (size_t)w->kernel[2];
                for (int64_t kx = 0; kx < w->kernel[2]; kx++) {
                    int64_t at = o[2] * w->stride[2] - w->begin[2] + kx * w->dilation[2];
                    if (at < 0 || at >= w->in[2]) continue;
                    sum += nnd_dtype_get(x->dtype, x->data, row + (size_t)at) *
                           nnd_dtype_get(weight->dtype, weight->data, tap + (size_t)kx);
                }
            }
        }
    }
    return sum;
}

static nnd_status reference_tile(void *user, size_t index, int lane)
{
    const job *j = user;
    const nnd_tensor *bias = nnd_op_in(j->c, 2), *y = &j->c->out[0];
    size_t left = index;
    int64_t o[3];
    (void)lane;
    o[1] = (int64_t)(left % (size_t)j->w.out[1]);
    left /= (size_t)j->w.out[1];
    o[0] = (int64_t)(left % (size_t)j->w.out[0]);
    left /= (size_t)j->w.out[0];
    int64_t m = (int64_t)(left % (size_t)y->dims[1]), n = (int64_t)(left / (size_t)y->dims[1]);
    double start = bias ? nnd_dtype_get(bias->dtype, bias->data, (size_t)m) : 0.0;
    for (o[2] = 0; o[2] < j->w.out[2]; o[2]++) {
        double value = start + dot(j, n, m, o);
        size_t at = index * (size_t)j->w.out[2] + (size_t)o[2];
        if (j->c->node->epilogue && !residual_of(j->c))
            value = (double)nnd_epilogue_apply(j->c->node, (float)value);
        nnd_dtype_set(y->dtype, y->data, at, value);
    }
    return NND_OK;
}

static nnd_status run_reference(nnd_op_ctx *c)
{
    job j = {.c = c};
    NND_TRY(read_conv(c, &j.w, &j.groups));
    size_t count = (size_t)nnd_tensor_count(&c->out[0]);
    widen(&j.w);
    return nnd_op_for(c, count ? count / (size_t)j.w.out[2] : 0, reference_tile, &j);
}

static nnd_status residual_tile(void *user, size_t index, int lane)
{
    const nnd_op_ctx *c = user;
    const nnd_tensor *y = &c->out[0], *z = residual_of(c);
    size_t begin = index * NND_OP_GRAIN, total = (size_t)nnd_tensor_count(y);
    size_t end = total - begin < NND_OP_GRAIN ? total : begin + NND_OP_GRAIN;
    (void)lane;
    if (y->dtype == NND_F32) {
        float *to = y->data;
        const float *more = z->data;
        nnd_act act = nnd_epilogue_act(c->node);
        for (size_t i = begin; i < end; i++)
            to[i] += more[i];
        nnd_act_apply(&act, to + begin, to + begin, end - begin);
        return NND_OK;
    }
    for (size_t i = begin; i < end; i++) {
        double sum = nnd_dtype_get(y->dtype, y->data, i) + nnd_dtype_get(z->dtype, z->data, i);
        nnd_dtype_set(y->dtype, y->data, i, (double)nnd_epilogue_apply(c->node, (float)sum));
    }
    return NND_OK;
}

static nnd_status conv_run(nnd_op_ctx *c)
{
    if (c->step) return run_kernel(c);
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    if (c->op->flags & NND_OP_PLANNED)
        return nnd_op_fail(c, NND_E_INTERNAL, "a blocked convolution without a kernel");
    NND_TRY(run_reference(c));
    if (!residual_of(c)) return NND_OK;
    return nnd_op_for(c, nnd_op_tiles((size_t)nnd_tensor_count(&c->out[0])), residual_tile, c);
}

#define CONV(flags)                                                                                \
    {                                                                                              \
        "", "Conv", 1, 0, 2, 3, 1, 1, NND_OP_EPILOGUE | (flags), conv_infer, conv_run,             \
            conv_prepare, release_packed, conv_plan, conv_unplan, conv_flops, 0                    \
    }
static const nnd_op ops[] = {CONV(0u)};
const nnd_op nnd_op_conv_blocked = CONV(NND_OP_PLANNED | NND_OP_BLOCKED_IN | NND_OP_BLOCKED_OUT);
const nnd_op nnd_op_conv_blocked_in = CONV(NND_OP_PLANNED | NND_OP_BLOCKED_IN);
const nnd_op nnd_op_conv_blocked_out = CONV(NND_OP_PLANNED | NND_OP_BLOCKED_OUT);
const nnd_op_family nnd_ops_conv = {ops, NND_COUNT(ops)};
