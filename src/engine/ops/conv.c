/*
 * Conv: f32 through the kernels with weights packed at load, or in every run where they are
 * computed by the model; everything else by plain loops. The kernels know two dimensions; a third
 * one is either merged into them or cut into slices.
 */
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "engine/kernels/kernels.h"
#include "engine/ops/blocked.h"
#include "engine/ops/blocks.h"
#include "engine/ops/epilogue.h"
#include "engine/ops/residual.h"
#include "engine/ops/window.h"
#include "engine/packed/packed.h"

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
    int64_t channels;
    if (!nnd_conv_groups(c->node, weight->dims[1], groups, &channels) ||
        weight->dims[0] % *groups || channels != x->dims[1])
        return nnd_op_fail(c, NND_E_SHAPE,
                           "%lld input channels in %lld groups do not fit weights for %lld × %lld",
                           (long long)x->dims[1], (long long)*groups, (long long)weight->dims[0],
                           (long long)weight->dims[1]);
    if (bias && (bias->rank != 1 || bias->dims[0] != weight->dims[0]))
        return nnd_op_fail(c, NND_E_SHAPE, "the bias does not have one value per output channel");
    return NND_OK;
}

/* The same, and the shape of the result before anything is added to it. */
static nnd_status read_result(const nnd_op_ctx *c, nnd_window *w, int64_t *groups, int64_t *dims)
{
    NND_TRY(read_conv(c, w, groups));
    dims[0] = c->in[0]->dims[0];
    dims[1] = c->in[1]->dims[0];
    memcpy(dims + 2, w->out, (size_t)w->spatial * sizeof(*dims));
    return NND_OK;
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
        int64_t groups, channels;
        nnd_conv_groups(c->node, weight->dims[1], &groups, &channels);
        NND_TRY(nnd_blocked_check(c, 0, channels));
        v->x = nnd_blocked_logical(c->in[0], channels);
        v->in[0] = &v->x;
    }
    if (c->op->flags & NND_OP_BLOCKED_OUT && nnd_residual_of(c)) {
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
    NND_TRY(read_result(&v.c, &w, &groups, dims));
    NND_TRY(nnd_residual_output(&v.c, w.spatial + 2, dims));
    if (!(c->op->flags & NND_OP_BLOCKED_OUT)) return NND_OK;
    memcpy(dims, c->out[0].dims, sizeof(dims));
    return nnd_blocked_output(c, dims);
}

/* The result before anything is added to it, in its layout. */
static nnd_status own_result(const nnd_op_ctx *c, nnd_tensor *y)
{
    plain_view v;
    nnd_window w;
    int64_t groups, dims[NND_MAX_RANK];
    nnd_op_ctx own = *c;
    own.out = y;
    own.out_count = 1;
    NND_TRY(plain_view_of(c, &v));
    NND_TRY(read_result(&v.c, &w, &groups, dims));
    if (c->op->flags & NND_OP_BLOCKED_OUT) return nnd_blocked_output(&own, dims);
    return nnd_op_output(&own, 0, c->in[0]->dtype, w.spatial + 2, dims);
}

static double conv_flops(const nnd_op_ctx *c)
{
    const nnd_tensor *weight = c->in[1];
    nnd_tensor y;
    if (own_result(c, &y) != NND_OK) return 0;
    double operations = 2.0 * (double)y.dims[0];
    for (int i = 0; i < weight->rank; i++)
        operations *= (double)weight->dims[i];
    for (int i = 2; i < weight->rank; i++)
        operations *= (double)y.dims[i];
    return operations;
}

/* ---- kernels ------------------------------------------------------------------------------- */

static const nnd_conv_algorithm algorithms[] = {NND_CONV_DIRECT, NND_CONV_DEPTHWISE,
                                                NND_CONV_WINOGRAD, NND_CONV_DIRECT_BF16};

/* Weights packed at load, shared by all plans of the node. */
typedef struct packed_conv {
    nnd_conv_algorithm algorithm;
    nnd_op_choice choice;
    const char *able[NND_COUNT(algorithms)]; /* names of the algorithms that can */
    char shape[256];
    nnd_packed_blob *weights;
} packed_conv;

/* A window over depth only, 3 × 1 × 1, moves over rows of whole pictures. */
static bool merges_picture(const nnd_window *w)
{
    for (int i = 1; i < 3; i++)
        if (w->kernel[i] != 1 || w->stride[i] != 1 || w->begin[i] || w->end[i]) return false;
    return w->in[1] * w->in[2] <= INT32_MAX;
}

/* Two dimensions in the place of three. A slice of the result is the 2-D convolution of the slices
   that the window covers, one behind the other as channels; the weights lie that way already. */
static bool flatten_window(nnd_window *w, int64_t *taps)
{
    *taps = 1;
    if (w->spatial < 3) return false;
    bool merged = merges_picture(w);
    if (merged) {
        w->in[1] *= w->in[2];
        w->out[1] *= w->out[2];
    } else {
        *taps = w->kernel[0];
        for (int i = 0; i < 2; i++) {
            w->in[i] = w->in[i + 1];
            w->out[i] = w->out[i + 1];
            w->kernel[i] = w->kernel[i + 1];
            w->stride[i] = w->stride[i + 1];
            w->dilation[i] = w->dilation[i + 1];
            w->begin[i] = w->begin[i + 1];
            w->end[i] = w->end[i + 1];
        }
    }
    w->spatial = 2;
    return !merged;
}

static bool kernel_desc(const nnd_op_ctx *c, const nnd_window *window, int64_t groups,
                        nnd_conv_desc *d)
{
    const nnd_tensor *x = c->in[0], *weight = c->in[1];
    nnd_window flat = *window, *w = &flat;
    int64_t taps;
    if (x->dtype != NND_F32) return false;
    bool sliced = flatten_window(w, &taps);
    int row = w->spatial == 2 ? 0 : -1, col = w->spatial - 1;
    *d = (nnd_conv_desc){
        .batch = sliced ? 1 : x->dims[0],
        .in_channels = x->dims[1] * taps,
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

/* Only here are the weights read: those in a file may have to be copied to be aligned. */
static nnd_status pack_with(nnd_graph *g, const nnd_graph_node *n, const nnd_conv *conv,
                            packed_conv *p)
{
    const nnd_tensor *weight, *bias = NULL;
    void *fill;
    p->algorithm = nnd_conv_get_algorithm(conv);
    p->choice.kernel = nnd_conv_algorithm_name(p->algorithm);
    NND_TRY(
        nnd_packed_take(g, n, p->choice.kernel, nnd_conv_packed_bytes(conv), &p->weights, &fill));
    if (!fill) return NND_OK;
    NND_TRY(nnd_graph_constant(g, n->inputs[1], &weight));
    if (n->formal_count > 2) NND_TRY(nnd_graph_constant(g, n->inputs[2], &bias));
    nnd_conv_pack(conv, weight->data, bias ? bias->data : NULL, fill);
    return NND_OK;
}

/* Everything that the choice of an algorithm depends on, as text: the key of measured kernels. */
static void describe_shape(const nnd_conv_desc *d, char *text, size_t size)
{
    static const char *const layouts[] = {[NND_KERNEL_NCHW] = "nchw", [NND_KERNEL_NCHWC] = "nchwc"};
    snprintf(text, size,
             "%lldx%lldx%lldx%lld to %lld, kernel %lldx%lld, stride %lldx%lld, dilation %lldx%lld, "
             "pads %lld %lld %lld %lld, groups %lld, %s to %s%s",
             (long long)d->batch, (long long)d->in_channels, (long long)d->in_h, (long long)d->in_w,
             (long long)d->out_channels, (long long)d->kernel_h, (long long)d->kernel_w,
             (long long)d->stride_h, (long long)d->stride_w, (long long)d->dilation_h,
             (long long)d->dilation_w, (long long)d->pad_top, (long long)d->pad_left,
             (long long)d->pad_bottom, (long long)d->pad_right, (long long)d->groups,
             layouts[d->in_layout], layouts[d->out_layout], d->bf16 ? ", bf16" : "");
}

/* The algorithm that was measured to be the best, else that of the cost model. */
static nnd_conv_algorithm choose(const nnd_graph *g, const nnd_conv_desc *desc, packed_conv *p)
{
    p->choice.shape = p->shape;
    p->choice.kernels = p->able;
    describe_shape(desc, p->shape, sizeof(p->shape));
    for (size_t i = 0; i < NND_COUNT(algorithms); i++)
        if (nnd_conv_can(desc, algorithms[i]))
            p->able[p->choice.count++] = nnd_conv_algorithm_name(algorithms[i]);
    const char *best = nnd_choices_find(g, "Conv", &p->choice);
    p->choice.is_measured = best != NULL;
    for (size_t i = 0; best && i < NND_COUNT(algorithms); i++)
        if (strcmp(nnd_conv_algorithm_name(algorithms[i]), best) == 0) return algorithms[i];
    return NND_CONV_AUTO;
}

/* The packing does not depend on the picture's size: any size on which the window fits will do. */
static nnd_status pack(nnd_graph *g, const nnd_graph_node *n, const nnd_conv_desc *desc,
                       packed_conv **out)
{
    nnd_conv *conv = NULL;
    packed_conv *p = nnd_calloc(1, sizeof(*p));
    if (!p) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to prepare '%s'", n->name);
    nnd_status status = nnd_conv_create(desc, choose(g, desc, p), &conv);
    if (status == NND_OK) status = pack_with(g, n, conv, p);
    nnd_conv_destroy(conv);
    if (status == NND_OK)
        *out = p;
    else
        nnd_free(p);
    return status;
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
    int64_t groups;
    x.dims[0] = 1;
    nnd_conv_groups(n, weight->dims[1], &groups, &x.dims[1]);
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

/* A constant whose elements may lie at any address; NULL when the value is none. */
static const nnd_tensor *constant_of(const nnd_graph *g, uint32_t value)
{
    return g->values[value].is_constant ? &g->values[value].constant : NULL;
}

static nnd_status conv_prepare(nnd_graph *g, nnd_graph_node *n)
{
    bool has_bias = n->formal_count > 2 && n->inputs[2] != NND_NO_ID;
    const nnd_tensor *weight = constant_of(g, n->inputs[1]);
    const nnd_tensor *bias = has_bias ? constant_of(g, n->inputs[2]) : NULL;
    if (!weight || !weight->data || weight->dtype != NND_F32 || weight->rank < 3 ||
        weight->rank > 5)
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
    desc.bf16 = nnd_graph_allows_bf16(g);
    packed_conv *p = NULL;
    NND_TRY(pack(g, n, &desc, &p));
    n->state = p;
    if (p->choice.count > 1) n->choice = &p->choice;
    if (g->values[n->inputs[1]].uses == 1) nnd_graph_release_constant(g, n->inputs[1]);
    return NND_OK;
}

typedef struct conv_step {
    nnd_conv *conv;
    bool sliced;           /* three dimensions, a slice of the result at a time */
    nnd_window depth;      /* of the node */
    size_t area, out_area; /* of slices */
    size_t x_at, y_at;     /* slices in the workspace, in bytes */
    bool packs;            /* in every run, to this place in the workspace */
    size_t packed_at;
} conv_step;

static void conv_unplan(void *step)
{
    conv_step *s = step;
    if (!s) return;
    nnd_conv_destroy(s->conv);
    nnd_free(s);
}

/* The workspace: what the kernel wants, weights that are packed in every run, then the slices of
   the window and a slice of the result. */
static nnd_status plan_memory(nnd_op_ctx *c, conv_step *s)
{
    c->workspace_bytes = nnd_conv_workspace_bytes(s->conv);
    c->lane_bytes = nnd_conv_lane_bytes(s->conv);
    if (s->packs &&
        (!nnd_size_align(c->workspace_bytes, NND_KERNEL_ALIGN, &s->packed_at) ||
         !nnd_size_add(s->packed_at, nnd_conv_packed_bytes(s->conv), &c->workspace_bytes)))
        return nnd_op_fail(c, NND_E_OVERFLOW, "the weights are too large");
    if (!s->sliced) return NND_OK;
    const nnd_conv_desc *d = nnd_conv_get_desc(s->conv);
    size_t x, y;
    s->area = (size_t)(d->in_h * d->in_w);
    s->out_area = (size_t)(nnd_conv_out_h(s->conv) * nnd_conv_out_w(s->conv));
    bool fits = nnd_size_mul(s->area * sizeof(float), (size_t)d->in_channels, &x) &&
                nnd_size_mul(s->out_area * sizeof(float), (size_t)d->out_channels, &y) &&
                nnd_size_align(c->workspace_bytes, NND_KERNEL_ALIGN, &s->x_at) &&
                nnd_size_add(s->x_at, x, &s->y_at) &&
                nnd_size_align(s->y_at, NND_KERNEL_ALIGN, &s->y_at) &&
                nnd_size_add(s->y_at, y, &c->workspace_bytes);
    if (fits) return NND_OK;
    return nnd_op_fail(c, NND_E_OVERFLOW, "a slice is too large");
}

/* For weights that are packed in every run: nothing that takes long to pack. */
static nnd_conv_algorithm quickly_packed(const nnd_conv_desc *d)
{
    if (nnd_conv_can(d, NND_CONV_REFERENCE)) return NND_CONV_REFERENCE;
    return nnd_conv_can(d, NND_CONV_DEPTHWISE) ? NND_CONV_DEPTHWISE : NND_CONV_DIRECT;
}

static nnd_status conv_plan(nnd_op_ctx *c)
{
    plain_view v;
    nnd_window w;
    int64_t groups, dims[NND_MAX_RANK];
    nnd_conv_desc desc;
    const packed_conv *p = c->node->state;
    NND_TRY(plain_view_of(c, &v));
    NND_TRY(read_result(&v.c, &w, &groups, dims));
    if (!kernel_desc(&v.c, &w, groups, &desc) || nnd_tensor_count(&c->out[0]) == 0 ||
        nnd_tensor_count(c->in[0]) == 0 || nnd_tensor_count(c->in[1]) == 0)
        return NND_OK;
    desc.bf16 = p && p->algorithm == NND_CONV_DIRECT_BF16;
    desc.residual = nnd_residual_fits(&v.c, w.spatial + 2, dims);
    if (nnd_residual_of(c) && !desc.residual) desc.act = (nnd_act){0}; /* later, on the sum */
    conv_step *s = nnd_calloc(1, sizeof *s);
    if (!s) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for the plan");
    int64_t taps;
    s->depth = w;
    s->sliced = flatten_window(&w, &taps);
    s->packs = !p;
    nnd_status status = nnd_conv_create(&desc, p ? p->algorithm : quickly_packed(&desc), &s->conv);
    if (status == NND_OK) status = plan_memory(c, s);
    if (status != NND_OK) {
        conv_unplan(s);
        return status;
    }
    c->step = s;
    c->kernel = nnd_conv_algorithm_name(nnd_conv_get_algorithm(s->conv));
    return NND_OK;
}

typedef struct kernel_job {
    const nnd_op_ctx *c;
    const conv_step *s;
    const nnd_conv *conv;
    nnd_conv_args args;
    int stage;
    int64_t image, slice; /* of the result */
    float *x, *y;         /* slices */
} kernel_job;

static nnd_status kernel_tile(void *user, size_t index, int lane)
{
    const kernel_job *j = user;
    nnd_conv_run_tile(j->conv, &j->args, j->stage, index, nnd_op_lane(j->c, lane));
    return NND_OK;
}

static nnd_status run_stages(kernel_job *j)
{
    for (j->stage = 0; j->stage < nnd_conv_stages(j->conv); j->stage++)
        NND_TRY(nnd_op_for(j->c, nnd_conv_tiles(j->conv, j->stage), kernel_tile, j));
    return NND_OK;
}

/* Channel by channel, the planes below the window; what is outside of the volume is zero. */
static nnd_status gather_tile(void *user, size_t plane, int lane)
{
    const kernel_job *j = user;
    const nnd_window *w = &j->s->depth;
    const nnd_tensor *x = j->c->in[0];
    int64_t channel = (int64_t)plane / w->kernel[0], tap = (int64_t)plane % w->kernel[0];
    int64_t z = j->slice * w->stride[0] - w->begin[0] + tap * w->dilation[0];
    size_t area = j->s->area;
    float *to = j->x + plane * area;
    (void)lane;
    if (z < 0 || z >= w->in[0]) {
        memset(to, 0, area * sizeof(*to));
        return NND_OK;
    }
    size_t from = (size_t)((j->image * x->dims[1] + channel) * w->in[0] + z);
    memcpy(to, (const float *)x->data + from * area, area * sizeof(*to));
    return NND_OK;
}

static nnd_status scatter_tile(void *user, size_t channel, int lane)
{
    const kernel_job *j = user;
    const nnd_tensor *y = &j->c->out[0];
    size_t area = j->s->out_area;
    size_t to = (size_t)((j->image * y->dims[1] + (int64_t)channel) * y->dims[2] + j->slice);
    (void)lane;
    memcpy((float *)y->data + to * area, j->y + channel * area, area * sizeof(float));
    return NND_OK;
}

/* The residual's slice lies where the result's will be. */
static nnd_status residual_slice_tile(void *user, size_t channel, int lane)
{
    const kernel_job *j = user;
    const nnd_tensor *z = nnd_residual_of(j->c);
    size_t area = j->s->out_area;
    size_t from = (size_t)((j->image * z->dims[1] + (int64_t)channel) * z->dims[2] + j->slice);
    (void)lane;
    memcpy(j->y + channel * area, (const float *)z->data + from * area, area * sizeof(float));
    return NND_OK;
}

static nnd_status run_slices(nnd_op_ctx *c, kernel_job *j)
{
    const nnd_conv_desc *d = nnd_conv_get_desc(j->conv);
    j->x = (float *)((uintptr_t)c->workspace + j->s->x_at);
    j->y = (float *)((uintptr_t)c->workspace + j->s->y_at);
    j->args.x = j->x;
    j->args.y = j->y;
    if (d->residual) j->args.residual = j->y;
    for (j->image = 0; j->image < c->out[0].dims[0]; j->image++) {
        for (j->slice = 0; j->slice < c->out[0].dims[2]; j->slice++) {
            NND_TRY(nnd_op_for(c, (size_t)d->in_channels, gather_tile, j));
            if (d->residual)
                NND_TRY(nnd_op_for(c, (size_t)d->out_channels, residual_slice_tile, j));
            NND_TRY(run_stages(j));
            NND_TRY(nnd_op_for(c, (size_t)d->out_channels, scatter_tile, j));
        }
    }
    return NND_OK;
}

/* Those of the load, or the input's, packed now. */
static const void *packed_weights(const nnd_op_ctx *c, const conv_step *s)
{
    const packed_conv *p = c->node->state;
    const nnd_tensor *bias = nnd_op_in(c, 2);
    if (!s->packs) return p->weights->data;
    void *packed = (char *)c->workspace + s->packed_at;
    nnd_conv_pack(s->conv, c->in[1]->data, bias ? bias->data : NULL, packed);
    return packed;
}

static nnd_status run_kernel(nnd_op_ctx *c)
{
    const conv_step *s = c->step;
    kernel_job j = {.c = c, .s = s, .conv = s->conv};
    bool adds = nnd_conv_get_desc(s->conv)->residual;
    j.args = (nnd_conv_args){.x = c->in[0]->data,
                             .packed = packed_weights(c, s),
                             .residual = adds ? nnd_residual_of(c)->data : NULL,
                             .y = c->out[0].data,
                             .workspace = c->workspace};
    return s->sliced ? run_slices(c, &j) : run_stages(&j);
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
        if (j->c->node->epilogue && !nnd_residual_of(j->c))
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

static nnd_status run_layer(nnd_op_ctx *c)
{
    if (c->step) return run_kernel(c);
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    if (c->op->flags & NND_OP_PLANNED)
        return nnd_op_fail(c, NND_E_INTERNAL, "a blocked convolution without a kernel");
    return run_reference(c);
}

static nnd_status conv_run(nnd_op_ctx *c)
{
    const conv_step *s = c->step;
    nnd_tensor own;
    if (!nnd_residual_of(c) || (s && nnd_conv_get_desc(s->conv)->residual)) return run_layer(c);
    NND_TRY(own_result(c, &own));
    return nnd_residual_run(c, &own, run_layer);
}

#define CONV(flags)                                                                                \
    {                                                                                              \
        "", "Conv", 1, 0, 2, 3, 1, 1, NND_OP_EPILOGUE | (flags), conv_infer, conv_run,             \
            conv_prepare, nnd_free, conv_plan, conv_unplan, conv_flops, 0                          \
    }
static const nnd_op ops[] = {CONV(0u)};
const nnd_op nnd_op_conv_blocked = CONV(NND_OP_PLANNED | NND_OP_BLOCKED_IN | NND_OP_BLOCKED_OUT);
const nnd_op nnd_op_conv_blocked_in = CONV(NND_OP_PLANNED | NND_OP_BLOCKED_IN);
const nnd_op nnd_op_conv_blocked_out = CONV(NND_OP_PLANNED | NND_OP_BLOCKED_OUT);
const nnd_op_family nnd_ops_conv = {ops, NND_COUNT(ops)};
