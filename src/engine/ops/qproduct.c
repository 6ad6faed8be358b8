/*
 * Integer products through the byte kernels: weights packed at load when they are constant. What
 * differs from one run to the next (scales and zero points may be computed values) becomes a few
 * numbers per column or channel at the start of each run.
 */
#include "engine/ops/qproduct.h"

#include <string.h>

#include "engine/kernels/int8.h"
#include "engine/ops/blocks.h"
#include "engine/packed/packed.h"

/* The constant of bytes that input `role` is, or NULL. */
static nnd_status constant_bytes(nnd_graph *g, const nnd_graph_node *n, int role,
                                 const nnd_tensor **out)
{
    *out = NULL;
    if (role < 0 || (size_t)role >= n->formal_count || n->inputs[role] == NND_NO_ID) return NND_OK;
    NND_TRY(nnd_graph_constant(g, n->inputs[role], out));
    bool usable = *out && (*out)->data && nnd_tensor_count(*out) > 0 &&
                  ((*out)->dtype == NND_U8 || (*out)->dtype == NND_I8);
    if (!usable) *out = NULL;
    return NND_OK;
}

static bool is_absent(const nnd_graph_node *n, int role)
{
    return role < 0 || (size_t)role >= n->formal_count || n->inputs[role] == NND_NO_ID;
}

static bool is_single(const nnd_tensor *t)
{
    return !t || nnd_tensor_count(t) == 1;
}

static bool is_signed(const nnd_tensor *t)
{
    return t->dtype == NND_I8;
}

static void read_zeros(const nnd_tensor *t, int32_t *zeros, size_t n)
{
    for (size_t i = 0; i < n; i++)
        zeros[i] = (int32_t)nnd_qproduct_value(t, i, 0);
}

/* What the sums of each column or channel are multiplied by: x_scale·w_scale/y_scale, rounded after
   each operation. */
static void read_scales(const nnd_op_ctx *c, float x_scale, float *scales, size_t n)
{
    const nnd_qroles *r = &nnd_qroles_of[c->op->variant];
    const nnd_tensor *w = nnd_qproduct_at(c, r->w_scale), *y = nnd_qproduct_at(c, r->y_scale);
    float y_scale = (float)nnd_qproduct_value(y, 0, 1);
    float first = x_scale * (float)nnd_qproduct_value(w, 0, 1);
    bool each = w && nnd_tensor_count(w) > 1, plain = each && w->dtype == NND_F32;
    if (y) first /= y_scale;
    for (size_t i = 0; i < n; i++) {
        float one = first;
        if (each) {
            one = x_scale *
                  (plain ? ((const float *)w->data)[i] : (float)nnd_qproduct_value(w, i, 1));
            if (y) one /= y_scale;
        }
        scales[i] = one;
    }
}

static nnd_int8_result result_of(const nnd_op_ctx *c, const float *scales)
{
    const nnd_qroles *r = &nnd_qroles_of[c->op->variant];
    nnd_dtype type = c->out[0].dtype;
    nnd_codes codes = nnd_codes_of(c->node, type);
    nnd_int8_result result = {.type = type,
                              .zero =
                                  (int32_t)nnd_qproduct_value(nnd_qproduct_at(c, r->y_zero), 0, 0),
                              .low = codes.low,
                              .high = codes.high,
                              .scale = scales};
    const nnd_tensor *bias = nnd_qproduct_at(c, r->bias);
    if (type == NND_F32 && bias && bias->dtype == NND_F32) result.bias = bias->data;
    return result;
}

/* ---- matrices ---------------------------------------------------------------------------------
 */

typedef struct matmul_step {
    nnd_qmatrices p;
    nnd_int8_gemm gemm;
} matmul_step;

/* What is added to the sums of each column, if that is all that is added. */
static bool is_row(const nnd_tensor *t, int64_t n)
{
    int64_t count = nnd_tensor_count(t);
    return count == 1 || (count == n && t->dims[t->rank - 1] == n);
}

/* Loops that take zero points or scales row by row, or add a matrix, need the weights as they were.
 */
static bool may_need_weights(const nnd_graph *g, const nnd_graph_node *n, int64_t columns)
{
    const nnd_qroles *r = &nnd_qroles_of[n->op->variant];
    const int roles[] = {r->x_scale, r->x_zero};
    for (size_t i = 0; i < NND_COUNT(roles); i++) {
        if (is_absent(n, roles[i])) continue;
        const nnd_graph_value *v = &g->values[n->inputs[roles[i]]];
        if (!v->is_constant || nnd_tensor_count(&v->constant) != 1) return true;
    }
    if (n->op->variant != NND_QPRODUCT_GEMM || is_absent(n, r->bias)) return false;
    const nnd_graph_value *added = &g->values[n->inputs[r->bias]];
    return !added->is_constant || !is_row(&added->constant, columns);
}

/* The product B that a node's packed weights are of, transposed at first where it says so. */
static nnd_status pack_matrix(const nnd_int8_gemm *gemm, const nnd_tensor *b, bool transposed,
                              void *to)
{
    size_t k = (size_t)gemm->desc.k, n = (size_t)gemm->desc.n;
    const uint8_t *from = b->data;
    if (!transposed) {
        nnd_int8_gemm_pack_b(gemm, from, to);
        return NND_OK;
    }
    uint8_t *turned = nnd_alloc(k * n);
    if (!turned) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to pack weights");
    for (size_t i = 0; i < n; i++)
        for (size_t x = 0; x < k; x++)
            turned[x * n + i] = from[i * k + x];
    nnd_int8_gemm_pack_b(gemm, turned, to);
    nnd_free(turned);
    return NND_OK;
}

nnd_status nnd_qmatmul_prepare(nnd_graph *g, nnd_graph_node *n)
{
    const nnd_qroles *r = &nnd_qroles_of[n->op->variant];
    const nnd_tensor *b;
    nnd_int8_gemm gemm;
    nnd_packed_blob *packed;
    void *fill;
    NND_TRY(constant_bytes(g, n, r->w, &b));
    if (!b || b->rank != 2) return NND_OK;
    bool is_gemm = n->op->variant == NND_QPRODUCT_GEMM;
    bool turned = is_gemm && nnd_node_int(n, "transB", 0) != 0;
    if (is_gemm && nnd_node_int(n, "transA", 0)) return NND_OK;
    nnd_int8_gemm_desc d = {
        .m = 1, .k = b->dims[turned], .n = b->dims[!turned], .b_signed = is_signed(b)};
    NND_TRY(nnd_int8_gemm_plan(&d, &gemm));
    NND_TRY(nnd_packed_take(g, n, "gemm", nnd_int8_gemm_packed_bytes(&gemm), &packed, &fill));
    if (fill) NND_TRY(pack_matrix(&gemm, b, turned, fill));
    n->state = packed;
    uint32_t value = n->inputs[r->w];
    if (g->values[value].uses == 1 && !may_need_weights(g, n, d.n))
        nnd_graph_release_constant(g, value);
    return NND_OK;
}

/* The run's numbers, in the workspace: the columns' corrections, scales, zero points, A packed, and
   B packed when it is no constant. */
typedef struct matmul_space {
    int32_t *columns;
    float *scales;
    int32_t *zeros;
    void *a, *b;
} matmul_space;

static size_t aligned(size_t bytes)
{
    return (bytes + NND_KERNEL_ALIGN - 1) / NND_KERNEL_ALIGN * NND_KERNEL_ALIGN;
}

/* Bytes of a number per column; the corrections are two lists. */
static size_t list_bytes(const matmul_step *s)
{
    return aligned((size_t)s->gemm.n_padded * sizeof(int32_t));
}

static size_t space_bytes(const matmul_step *s, bool pack)
{
    return 4 * list_bytes(s) + aligned(nnd_int8_gemm_a_bytes(&s->gemm)) +
           (pack ? nnd_int8_gemm_packed_bytes(&s->gemm) : 0);
}

static matmul_space space_at(const matmul_step *s, char *at)
{
    size_t list = list_bytes(s);
    return (matmul_space){.columns = (int32_t *)(void *)at,
                          .scales = (float *)(void *)(at + 2 * list),
                          .zeros = (int32_t *)(void *)(at + 3 * list),
                          .a = at + 4 * list,
                          .b = at + 4 * list + aligned(nnd_int8_gemm_a_bytes(&s->gemm))};
}

nnd_status nnd_qmatmul_plan(nnd_op_ctx *c)
{
    const nnd_qroles *r = &nnd_qroles_of[c->op->variant];
    matmul_step s = {0};
    if (c->op->variant == NND_QPRODUCT_GEMM) {
        const nnd_tensor *added = nnd_qproduct_at(c, r->bias);
        NND_TRY(nnd_qgemm_read(c, &s.p));
        if (!c->node->state || (added && !is_row(added, s.p.n))) return NND_OK;
    } else {
        NND_TRY(nnd_qmatrices_read(c, &s.p));
    }
    const nnd_tensor *a = c->in[r->x], *b = c->in[r->w];
    if (!is_single(nnd_qproduct_at(c, r->x_scale)) || !is_single(nnd_qproduct_at(c, r->x_zero)) ||
        nnd_tensor_count(&c->out[0]) == 0)
        return NND_OK;
    if (b->rank <= 2) { /* the rows of all matrices are one matrix */
        s.p.m *= (int64_t)s.p.batches;
        s.p.batches = 1;
        s.p.rank = 0;
    }
    nnd_int8_gemm_desc d = {
        .m = s.p.m, .n = s.p.n, .k = s.p.k, .a_signed = is_signed(a), .b_signed = is_signed(b)};
    NND_TRY(nnd_int8_gemm_plan(&d, &s.gemm));
    matmul_step *step = nnd_alloc(sizeof(*step));
    if (!step) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for a plan");
    *step = s;
    c->step = step;
    c->workspace_bytes = space_bytes(step, !c->node->state);
    c->kernel = "int8 gemm";
    return NND_OK;
}

void nnd_qmatmul_unplan(void *step)
{
    nnd_free(step);
}

typedef struct matmul_job {
    const nnd_int8_gemm *gemm;
    nnd_int8_gemm_args args;
    const void *a;
    void *packed_a;
} matmul_job;

static nnd_status pack_tile(void *user, size_t index, int lane)
{
    const matmul_job *j = user;
    (void)lane;
    nnd_int8_gemm_pack_a_tile(j->gemm, j->a, j->packed_a, index);
    return NND_OK;
}

static nnd_status matmul_tile(void *user, size_t index, int lane)
{
    const matmul_job *j = user;
    (void)lane;
    nnd_int8_gemm_run_tile(j->gemm, &j->args, index);
    return NND_OK;
}

nnd_status nnd_qmatmul_run(nnd_op_ctx *c, const nnd_tensor *a, int32_t a_zero, float a_scale)
{
    const nnd_qroles *r = &nnd_qroles_of[c->op->variant];
    const matmul_step *s = c->step;
    const nnd_int8_gemm *g = &s->gemm;
    const nnd_packed_blob *w = c->node->state;
    const nnd_tensor *b = c->in[r->w], *b_zero = nnd_qproduct_at(c, r->w_zero);
    matmul_space m = space_at(s, c->workspace);
    size_t n = (size_t)s->p.n, zeros = is_single(b_zero) ? 1 : n, last = SIZE_MAX;
    size_t element = c->out[0].dtype == NND_I32 || c->out[0].dtype == NND_F32 ? 4 : 1;
    const nnd_tensor *added =
        c->op->variant == NND_QPRODUCT_GEMM ? nnd_qproduct_at(c, r->bias) : NULL;
    matmul_job j = {.gemm = g, .packed_a = m.a};
    memset(m.scales, 0, (size_t)g->n_padded * sizeof(*m.scales));
    read_scales(c, a_scale, m.scales, n);
    read_zeros(b_zero, m.zeros, zeros);
    j.args = (nnd_int8_gemm_args){.packed_a = m.a,
                                  .packed_b = w ? w->data : m.b,
                                  .columns = m.columns,
                                  .result = result_of(c, m.scales)};
    for (size_t i = 0; i < s->p.batches; i++) {
        size_t at_a, at_b;
        nnd_qmatrices_locate(&s->p, i, &at_a, &at_b);
        if (!w && at_b != last)
            nnd_int8_gemm_pack_b(g, (const uint8_t *)b->data + at_b * (size_t)s->p.k * n, m.b);
        if (at_b != last)
            nnd_int8_gemm_columns(g, j.args.packed_b, a_zero, m.zeros, zeros,
                                  added ? added->data : NULL,
                                  added ? (size_t)nnd_tensor_count(added) : 0, m.columns);
        last = at_b;
        j.a = (const uint8_t *)a->data + at_a * (size_t)(s->p.m * s->p.k);
        j.args.c = (char *)c->out[0].data + i * (size_t)s->p.m * n * element;
        NND_TRY(nnd_op_for(c, nnd_int8_gemm_a_tiles(g), pack_tile, &j));
        NND_TRY(nnd_op_for(c, nnd_int8_gemm_tiles(g), matmul_tile, &j));
    }
    return NND_OK;
}

/* ---- convolution ------------------------------------------------------------------------------
 */

static nnd_status pack_conv(const nnd_int8_conv *conv, const nnd_tensor *w, const nnd_tensor *zero,
                            void *fill)
{
    size_t count = is_single(zero) ? 1 : (size_t)w->dims[0];
    int32_t *zeros = nnd_alloc(count * sizeof(*zeros));
    if (!zeros) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to pack weights");
    read_zeros(zero, zeros, count);
    nnd_int8_conv_pack(conv, w->data, zeros, count, fill);
    nnd_free(zeros);
    return NND_OK;
}

nnd_status nnd_qconv_prepare(nnd_graph *g, nnd_graph_node *n)
{
    const nnd_qroles *r = &nnd_qroles_of[n->op->variant];
    const nnd_tensor *w, *zero;
    nnd_int8_conv *conv;
    nnd_packed_blob *packed;
    void *fill = NULL;
    NND_TRY(constant_bytes(g, n, r->w, &w));
    NND_TRY(constant_bytes(g, n, r->w_zero, &zero));
    if (!w || w->rank < 3 || w->rank > 4 || (!zero && !is_absent(n, r->w_zero))) return NND_OK;
    if (!is_single(zero) && nnd_tensor_count(zero) != w->dims[0]) return NND_OK;
    /* The packing knows nothing of the picture: the kernel itself is a size that fits. */
    int64_t groups, channels, height = w->rank == 4 ? w->dims[2] : 1;
    if (!nnd_conv_groups(n, w->dims[1], &groups, &channels) || groups > w->dims[0])
        return NND_OK; /* the plan says what is wrong */
    nnd_conv_desc d = {.batch = 1,
                       .in_channels = channels,
                       .in_h = height,
                       .in_w = w->dims[w->rank - 1],
                       .out_channels = w->dims[0],
                       .groups = groups,
                       .kernel_h = height,
                       .kernel_w = w->dims[w->rank - 1],
                       .stride_h = 1,
                       .stride_w = 1,
                       .dilation_h = 1,
                       .dilation_w = 1};
    if (nnd_int8_conv_create(&d, false, is_signed(w), &conv) != NND_OK) {
        nnd_error_clear();
        return NND_OK;
    }
    nnd_status status = nnd_packed_take(g, n, nnd_int8_conv_name(conv),
                                        nnd_int8_conv_packed_bytes(conv), &packed, &fill);
    if (fill) status = pack_conv(conv, w, zero, fill);
    nnd_int8_conv_destroy(conv);
    NND_TRY(status);
    n->state = packed;
    if (g->values[n->inputs[r->w]].uses == 1) nnd_graph_release_constant(g, n->inputs[r->w]);
    return NND_OK;
}

nnd_status nnd_qconv_plan(nnd_op_ctx *c)
{
    const nnd_qroles *r = &nnd_qroles_of[c->op->variant];
    const nnd_tensor *x = c->in[r->x], *weight = c->in[r->w];
    nnd_window w;
    int64_t groups;
    nnd_int8_conv *conv;
    NND_TRY(nnd_qconv_read(c, &w, &groups));
    if (!c->node->state || nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    int col = w.spatial - 1, row = col - 1; /* a row of −1: one dimension */
    nnd_conv_desc d = {.batch = x->dims[0],
                       .in_channels = x->dims[1],
                       .in_h = row < 0 ? 1 : w.in[row],
                       .in_w = w.in[col],
                       .out_channels = weight->dims[0],
                       .groups = groups,
                       .kernel_h = row < 0 ? 1 : w.kernel[row],
                       .kernel_w = w.kernel[col],
                       .stride_h = row < 0 ? 1 : w.stride[row],
                       .stride_w = w.stride[col],
                       .dilation_h = row < 0 ? 1 : w.dilation[row],
                       .dilation_w = w.dilation[col],
                       .pad_top = row < 0 ? 0 : w.begin[row],
                       .pad_left = w.begin[col],
                       .pad_bottom = row < 0 ? 0 : w.end[row],
                       .pad_right = w.end[col]};
    NND_TRY(nnd_int8_conv_create(&d, is_signed(x), is_signed(weight), &conv));
    c->step = conv;
    c->workspace_bytes = (size_t)d.out_channels * (sizeof(int32_t) + sizeof(float));
    c->lane_bytes = nnd_int8_conv_lane_bytes(conv);
    c->kernel = nnd_int8_conv_name(conv);
    return NND_OK;
}

void nnd_qconv_unplan(void *step)
{
    nnd_int8_conv_destroy(step);
}

typedef struct conv_job {
    const nnd_op_ctx *c;
    nnd_int8_conv_args args;
} conv_job;

static nnd_status conv_tile(void *user, size_t index, int lane)
{
    const conv_job *j = user;
    nnd_int8_conv_run_tile(j->c->step, &j->args, index, nnd_op_lane(j->c, lane));
    return NND_OK;
}

nnd_status nnd_qconv_run(nnd_op_ctx *c)
{
    const nnd_qroles *r = &nnd_qroles_of[c->op->variant];
    const nnd_packed_blob *p = c->node->state;
    const nnd_tensor *bias = nnd_qproduct_at(c, r->bias);
    size_t channels = (size_t)c->out[0].dims[1];
    int32_t *start = c->workspace;
    float *scales = (float *)(void *)(start + channels);
    int32_t zero = (int32_t)nnd_qproduct_value(nnd_qproduct_at(c, r->x_zero), 0, 0);
    read_scales(c, (float)nnd_qproduct_value(nnd_qproduct_at(c, r->x_scale), 0, 1), scales,
                channels);
    nnd_int8_conv_start(c->step, p->data, bias && bias->dtype == NND_I32 ? bias->data : NULL, zero,
                        start);
    conv_job j = {.c = c,
                  .args = {.x = c->in[r->x]->data,
                           .packed = p->data,
                           .x_zero = zero,
                           .start = start,
                           .result = result_of(c, scales),
                           .y = c->out[0].data}};
    return nnd_op_for(c, nnd_int8_conv_tiles(c->step), conv_tile, &j);
}
