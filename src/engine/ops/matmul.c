/* MatMul, Gemm and com.microsoft's FusedMatMul: f32 through the packed kernel, other types by plain
   loops. Passes give them inputs that the operators do not have by themselves: MatMul a bias as its
   third one, all a residual as their fourth one. */
#include <string.h>

#include "base/isa.h"
#include "engine/kernels/kernels.h"
#include "engine/ops/blocks.h"
#include "engine/ops/epilogue.h"
#include "engine/ops/product.h"
#include "engine/ops/residual.h"
#include "engine/packed/packed.h"
#include "port/port.h"

enum { MATMUL, GEMM, FUSED_MATMUL };

/* The operators as a batch of m×k times k×n. */
typedef struct product {
    int64_t m, n, k;
    bool trans_a, trans_b;
    float alpha, beta;
    int batch_rank;
    int64_t batch[NND_MAX_RANK]; /* extents of the result's batch dimensions */
    int64_t a_step[NND_MAX_RANK], b_step[NND_MAX_RANK]; /* in matrices; 0 = repeated */
    size_t batches;
    int out_rank;
    int64_t out[NND_MAX_RANK];
} product;

/* ---- shapes -------------------------------------------------------------------------------- */

/* FusedMatMul's attributes transBatchA and transBatchB: the operand's rows are its first dimension
   instead of the last but one, [m, batch …, k]. Without batches that is the same. */
static bool is_turned(const nnd_op_ctx *c, size_t i)
{
    const char *name = i ? "transBatchB" : "transBatchA";
    return c->op->variant == FUSED_MATMUL && c->in[i]->rank > 2 && nnd_node_int(c->node, name, 0);
}

/* The operand with its rows where they belong; without elements. */
static nnd_tensor upright(const nnd_op_ctx *c, size_t i)
{
    nnd_tensor t = *c->in[i];
    if (!is_turned(c, i)) return t;
    memmove(t.dims, t.dims + 1, (size_t)(t.rank - 2) * sizeof(t.dims[0]));
    t.dims[t.rank - 2] = c->in[i]->dims[0];
    return t;
}

static nnd_status matmul_shape(const nnd_op_ctx *c, product *p)
{
    const nnd_tensor *a, *b;
    NND_TRY(nnd_op_need(c, 0, &a));
    NND_TRY(nnd_op_need(c, 1, &b));
    if (!a->rank || !b->rank) return nnd_op_fail(c, NND_E_SHAPE, "a scalar is no matrix");
    const nnd_tensor left = upright(c, 0), right = upright(c, 1);
    a = &left;
    b = &right;
    int a_batch = a->rank > 2 ? a->rank - 2 : 0, b_batch = b->rank > 2 ? b->rank - 2 : 0;
    bool fused = c->op->variant == FUSED_MATMUL;
    *p = (product){.alpha = fused ? nnd_node_float(c->node, "alpha", 1.0f) : 1.0f,
                   .beta = 1.0f, /* of the bias that the pass 'scale' puts behind */
                   .trans_a = fused && a->rank > 1 && nnd_node_int(c->node, "transA", 0),
                   .trans_b = fused && b->rank > 1 && nnd_node_int(c->node, "transB", 0)};
    p->m = a->rank == 1 ? 1 : a->dims[a->rank - (p->trans_a ? 1 : 2)];
    p->k = a->dims[a->rank - (p->trans_a ? 2 : 1)];
    p->n = b->rank == 1 ? 1 : b->dims[b->rank - (p->trans_b ? 2 : 1)];
    int64_t b_k = b->rank == 1 ? b->dims[0] : b->dims[b->rank - (p->trans_b ? 1 : 2)];
    if (p->k != b_k)
        return nnd_op_fail(c, NND_E_SHAPE, "the inner dimensions are %lld and %lld",
                           (long long)p->k, (long long)b_k);
    p->batch_rank = a_batch > b_batch ? a_batch : b_batch;
    p->batches = 1;
    int64_t a_step = 1, b_step = 1;
    for (int i = p->batch_rank - 1; i >= 0; i--) {
        int ai = i - (p->batch_rank - a_batch), bi = i - (p->batch_rank - b_batch);
        int64_t x = ai >= 0 ? a->dims[ai] : 1, y = bi >= 0 ? b->dims[bi] : 1;
        if (x != y && x != 1 && y != 1)
            return nnd_op_fail(c, NND_E_SHAPE, "batch dimensions %lld and %lld do not broadcast",
                               (long long)x, (long long)y);
        p->batch[i] = x == 1 ? y : x;
        p->a_step[i] = x == 1 ? 0 : a_step;
        p->b_step[i] = y == 1 ? 0 : b_step;
        a_step *= x;
        b_step *= y;
        p->batches *= (size_t)p->batch[i];
    }
    memcpy(p->out, p->batch, sizeof(p->out));
    p->out_rank = p->batch_rank;
    if (a->rank > 1) p->out[p->out_rank++] = p->m;
    if (b->rank > 1) p->out[p->out_rank++] = p->n;
    return NND_OK;
}

static nnd_status gemm_shape(const nnd_op_ctx *c, product *p)
{
    const nnd_tensor *a, *b, *r = nnd_op_in(c, 2);
    NND_TRY(nnd_op_need(c, 0, &a));
    NND_TRY(nnd_op_need(c, 1, &b));
    if (a->rank != 2 || b->rank != 2)
        return nnd_op_fail(c, NND_E_SHAPE, "the operands have ranks %d and %d, not 2", a->rank,
                           b->rank);
    *p = (product){.trans_a = nnd_node_int(c->node, "transA", 0) != 0,
                   .trans_b = nnd_node_int(c->node, "transB", 0) != 0,
                   .alpha = nnd_node_float(c->node, "alpha", 1.0f),
                   .beta = nnd_node_float(c->node, "beta", 1.0f),
                   .batches = 1,
                   .out_rank = 2};
    p->m = a->dims[p->trans_a];
    p->k = a->dims[!p->trans_a];
    p->n = b->dims[!p->trans_b];
    if (p->k != b->dims[p->trans_b])
        return nnd_op_fail(c, NND_E_SHAPE, "the inner dimensions are %lld and %lld",
                           (long long)p->k, (long long)b->dims[p->trans_b]);
    p->out[0] = p->m;
    p->out[1] = p->n;
    if (!r) return NND_OK;
    int64_t rows = r->rank > 1 ? r->dims[0] : 1, cols = r->rank ? r->dims[r->rank - 1] : 1;
    if (r->rank > 2 || (rows != 1 && rows != p->m) || (cols != 1 && cols != p->n))
        return nnd_op_fail(c, NND_E_SHAPE, "C does not broadcast to the result");
    return NND_OK;
}

static nnd_status read_product(const nnd_op_ctx *c, product *p)
{
    const nnd_tensor *t;
    NND_TRY(nnd_op_expect(c, 0, NND_NUMBERS));
    for (size_t i = 1; i < c->in_count; i++)
        if (nnd_op_in(c, i)) NND_TRY(nnd_op_expect(c, i, 1u << c->in[0]->dtype));
    NND_TRY(nnd_op_need(c, 1, &t));
    return c->op->variant == GEMM ? gemm_shape(c, p) : matmul_shape(c, p);
}

static nnd_status product_infer(nnd_op_ctx *c)
{
    product p;
    NND_TRY(read_product(c, &p));
    return nnd_residual_output(c, p.out_rank, p.out);
}

static double product_flops(const nnd_op_ctx *c)
{
    product p;
    if (read_product(c, &p) != NND_OK) return 0;
    return 2.0 * (double)p.m * (double)p.n * (double)p.k * (double)p.batches;
}

/* ---- kernel -------------------------------------------------------------------------------- */

typedef struct gemm_step {
    product p;
    nnd_gemm gemm;
    bool bias_is_c; /* Gemm's C is one value per row or column, or one */
    bool adds;      /* the residual, in the kernel */
} gemm_step;

/* A constant matrix B [k, n] times rows: the rows of all batches are one matrix. */
static void merge_batches(product *p, const nnd_op_ctx *c)
{
    if (c->in[1]->rank > 2 || p->batches == 1 || p->trans_a) return;
    p->m *= (int64_t)p->batches;
    p->batches = 1;
    p->batch_rank = 0;
}

static nnd_status make_gemm(const nnd_op_ctx *c, gemm_step *s, bool *ok)
{
    NND_TRY(read_product(c, &s->p));
    const nnd_tensor *r = nnd_op_in(c, 2), *z = nnd_residual_of(c);
    s->adds = nnd_residual_fits(c, s->p.out_rank, s->p.out);
    merge_batches(&s->p, c);
    product *p = &s->p;
    nnd_gemm_desc d = {.m = p->m,
                       .n = p->n,
                       .k = p->k,
                       .trans_a = p->trans_a,
                       .trans_b = p->trans_b,
                       .alpha = p->alpha,
                       .precision = (nnd_gemm_precision)c->node->packed,
                       .beta = s->adds ? 1.0f : 0.0f};
    if (!z || s->adds) d.act = nnd_epilogue_act(c->node);
    *ok = c->in[0]->dtype == NND_F32;
    if (r && *ok) {
        int64_t rows = r->rank > 1 ? r->dims[0] : 1, cols = r->rank ? r->dims[r->rank - 1] : 1;
        s->bias_is_c = p->beta == 1.0f && (rows == 1 || cols == 1);
        if (s->bias_is_c)
            d.bias = rows == 1 && cols == 1 ? NND_GEMM_BIAS_SCALAR
                     : rows == 1            ? NND_GEMM_BIAS_COLUMN
                                            : NND_GEMM_BIAS_ROW;
        else if (rows == p->m && cols == p->n && !z)
            d.beta = p->beta;
        else
            *ok = false; /* scaled and broadcast: the plain loops */
    }
    return *ok ? nnd_gemm_plan(&d, &s->gemm) : NND_OK;
}

/* Rows that have been packed are done with: of a mapped file, their pages can go while the rest is
   packed. (Without trans_b all of the matrix is read up to the end.) */
static void pack_weights(const nnd_gemm *gemm, const float *b, float *packed)
{
    const size_t forget = (size_t)16 << 20;
    size_t tiles = nnd_gemm_pack_tiles(gemm), done = 0;
    size_t bytes = (size_t)(gemm->desc.n * gemm->desc.k) * sizeof(*b);
    for (size_t i = 0; i < tiles; i++) {
        nnd_gemm_pack_b_tile(gemm, b, packed, i);
        size_t now = bytes / tiles * i; /* a little less than what has been read */
        if (!gemm->desc.trans_b || now - done < forget) continue;
        nnd_port_map_forget((const char *)b + done, now - done);
        done = now;
    }
}

/* Weights that lose nothing in bf16, as those of a model in bf16 do not. At any address. */
static bool is_exact_in_bf16(const nnd_tensor *t)
{
    const char *at = t->data;
    for (int64_t i = 0; i < nnd_tensor_count(t); i++, at += sizeof(float)) {
        uint32_t bits;
        memcpy(&bits, at, sizeof(bits));
        if (bits & 0xffff) return false;
    }
    return true;
}

nnd_gemm_precision nnd_product_precision(const nnd_graph *g, const nnd_tensor *weights)
{
    if (nnd_graph_allows_bf16(g)) return NND_GEMM_BF16;
    return is_exact_in_bf16(weights) ? NND_GEMM_BF16_WEIGHTS : NND_GEMM_F32;
}

static nnd_status prepare(nnd_graph *g, nnd_graph_node *n, bool trans)
{
    /* Weights in a file may lie at odd addresses; a copy of large ones, only to pack it, would be
       the peak of the model's memory. */
    const nnd_graph_value *value = &g->values[n->inputs[1]];
    const nnd_tensor *b = value->is_constant ? &value->constant : NULL;
    if (nnd_isa_current() == NND_ISA_REFERENCE) NND_TRY(nnd_graph_constant(g, n->inputs[1], &b));
    if (!b || !b->data || b->dtype != NND_F32 || b->rank != 2 || nnd_tensor_count(b) == 0)
        return NND_OK;
    nnd_gemm gemm;
    nnd_gemm_desc d = {.m = 1,
                       .k = b->dims[trans],
                       .n = b->dims[!trans],
                       .trans_b = trans,
                       .alpha = 1.0f,
                       .precision = nnd_product_precision(g, b)};
    NND_TRY(nnd_gemm_plan(&d, &gemm));
    nnd_packed_blob *packed;
    void *fill;
    NND_TRY(nnd_packed_take(g, n, d.precision == NND_GEMM_F32 ? "gemm" : "gemm bf16",
                            nnd_gemm_packed_bytes(&gemm), &packed, &fill));
    if (fill) pack_weights(&gemm, b->data, fill);
    n->state = packed;
    n->packed = (int32_t)d.precision;
    if (g->values[n->inputs[1]].uses == 1) nnd_graph_release_constant(g, n->inputs[1]);
    return NND_OK;
}

nnd_status nnd_product_prepare(nnd_graph *g, nnd_graph_node *n)
{
    return prepare(g, n, false);
}

static nnd_status gemm_prepare(nnd_graph *g, nnd_graph_node *n)
{
    return prepare(g, n, n->op->variant && nnd_node_int(n, "transB", 0));
}

static nnd_status gemm_plan(nnd_op_ctx *c)
{
    gemm_step *s = nnd_calloc(1, sizeof(*s));
    bool ok;
    if (!s) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a plan");
    nnd_status status = make_gemm(c, s, &ok);
    if (status != NND_OK || !ok) {
        nnd_free(s);
        return status;
    }
    c->step = s;
    c->lane_bytes = nnd_gemm_lane_bytes(&s->gemm);
    if (!c->node->state) c->workspace_bytes = nnd_gemm_packed_bytes(&s->gemm);
    c->kernel = c->node->packed == NND_GEMM_BF16           ? "gemm bf16"
                : c->node->packed == NND_GEMM_BF16_WEIGHTS ? "gemm bf16 weights"
                                                           : "gemm";
    return NND_OK;
}

static void gemm_unplan(void *step)
{
    nnd_free(step);
}

typedef struct kernel_job {
    const nnd_op_ctx *c;
    const gemm_step *s;
    nnd_gemm_args args;
    const float *b;
    float *packed;
} kernel_job;

static nnd_status kernel_tile(void *user, size_t index, int lane)
{
    const kernel_job *j = user;
    nnd_gemm_run_tile(&j->s->gemm, &j->args, index, nnd_op_lane(j->c, lane));
    return NND_OK;
}

static nnd_status pack_tile(void *user, size_t index, int lane)
{
    const kernel_job *j = user;
    (void)lane;
    nnd_gemm_pack_b_tile(&j->s->gemm, j->b, j->packed, index);
    return NND_OK;
}

/* Which matrices of A and B belong to one matrix of the result. */
static void locate(const product *p, size_t batch, size_t *a, size_t *b)
{
    *a = *b = 0;
    for (int i = p->batch_rank - 1; i >= 0; i--) {
        size_t index = batch % (size_t)p->batch[i];
        batch /= (size_t)p->batch[i];
        *a += index * (size_t)p->a_step[i];
        *b += index * (size_t)p->b_step[i];
    }
}

static nnd_status run_kernel(nnd_op_ctx *c)
{
    const gemm_step *s = c->step;
    const product *p = &s->p;
    const nnd_tensor *r = nnd_op_in(c, 2), *z = s->adds ? nnd_residual_of(c) : NULL;
    const nnd_packed_blob *weights = c->node->state;
    size_t packed_matrix = SIZE_MAX, matrix = (size_t)(p->m * p->n);
    for (size_t i = 0; i < p->batches; i++) {
        size_t a, b;
        locate(p, i, &a, &b);
        kernel_job j = {.c = c, .s = s, .packed = c->workspace};
        j.args = (nnd_gemm_args){.a = (const float *)c->in[0]->data + a * (size_t)(p->m * p->k),
                                 .packed_b = weights ? weights->data : c->workspace,
                                 .bias = r && s->bias_is_c ? r->data : NULL,
                                 .r = r && !s->bias_is_c ? r->data : NULL,
                                 .c = (float *)c->out[0].data + i * matrix};
        if (z) j.args.r = (const float *)z->data + i * matrix;
        if (!weights && packed_matrix != b) {
            j.b = (const float *)c->in[1]->data + b * (size_t)(p->k * p->n);
            NND_TRY(nnd_op_for(c, nnd_gemm_pack_tiles(&s->gemm), pack_tile, &j));
            packed_matrix = b;
        }
        NND_TRY(nnd_op_for(c, nnd_gemm_tiles(&s->gemm), kernel_tile, &j));
    }
    return NND_OK;
}

/* ---- reference ----------------------------------------------------------------------------- */

typedef struct job {
    const nnd_op_ctx *c;
    product p;
} job;

static size_t element(bool transposed, int64_t row, int64_t col, int64_t rows, int64_t cols)
{
    return (size_t)(transposed ? col * rows + row : row * cols + col);
}

static void cell_int(const job *j, size_t a, size_t b, int64_t row, int64_t col, size_t to)
{
    const product *p = &j->p;
    nnd_block_memory m;
    nnd_class in = nnd_class_of(j->c->in[0]->dtype);
    uint64_t sum = 0;
    for (int64_t k = 0; k < p->k; k++) {
        uint64_t x =
            (uint64_t)nnd_op_int_at(j->c->in[0], a + element(p->trans_a, row, k, p->m, p->k));
        uint64_t y =
            (uint64_t)nnd_op_int_at(j->c->in[1], b + element(p->trans_b, k, col, p->k, p->n));
        sum += x * y;
    }
    if (j->c->op->variant) sum = (uint64_t)(int64_t)((double)p->alpha * (double)(int64_t)sum);
    const nnd_tensor *r = nnd_op_in(j->c, 2);
    if (r) {
        int64_t rows = r->rank > 1 ? r->dims[0] : 1, cols = r->rank ? r->dims[r->rank - 1] : 1;
        double add = (double)nnd_op_int_at(
            r, (size_t)((rows == 1 ? 0 : row) * cols + (cols == 1 ? 0 : col)));
        sum += (uint64_t)(int64_t)((double)p->beta * add);
    }
    m.u64[0] = sum;
    nnd_block_store(in, j->c->out[0].dtype, j->c->out[0].data, to, 1, &m);
}

/* What any floats give, written out for those that are folded at load. */
static double dot_f32(const product *p, const float *x, const float *y)
{
    size_t along_x = element(p->trans_a, 0, 1, p->m, p->k);
    size_t along_y = element(p->trans_b, 1, 0, p->k, p->n);
    double sum = 0;
    for (int64_t k = 0; k < p->k; k++, x += along_x, y += along_y)
        sum += (double)*x * (double)*y;
    return sum;
}

static double dot(const job *j, size_t a, size_t b, int64_t row, int64_t col)
{
    const product *p = &j->p;
    const nnd_tensor *x = j->c->in[0], *y = j->c->in[1];
    double sum = 0;
    if (x->dtype == NND_F32 && y->dtype == NND_F32)
        return dot_f32(p, (const float *)x->data + a + element(p->trans_a, row, 0, p->m, p->k),
                       (const float *)y->data + b + element(p->trans_b, 0, col, p->k, p->n));
    for (int64_t k = 0; k < p->k; k++)
        sum += nnd_dtype_get(x->dtype, x->data, a + element(p->trans_a, row, k, p->m, p->k)) *
               nnd_dtype_get(y->dtype, y->data, b + element(p->trans_b, k, col, p->k, p->n));
    return sum;
}

static void cell_real(const job *j, size_t a, size_t b, int64_t row, int64_t col, size_t to)
{
    const product *p = &j->p;
    const nnd_tensor *r = nnd_op_in(j->c, 2), *out = &j->c->out[0];
    double sum = dot(j, a, b, row, col) * (double)p->alpha;
    if (r) {
        int64_t rows = r->rank > 1 ? r->dims[0] : 1, cols = r->rank ? r->dims[r->rank - 1] : 1;
        size_t at = (size_t)((rows == 1 ? 0 : row) * cols + (cols == 1 ? 0 : col));
        sum += (double)p->beta * nnd_dtype_get(r->dtype, r->data, at);
    }
    if (j->c->node->epilogue && !nnd_residual_of(j->c))
        sum = (double)nnd_epilogue_apply(j->c->node, (float)sum);
    nnd_dtype_set(out->dtype, out->data, to, sum);
}

static nnd_status reference_tile(void *user, size_t index, int lane)
{
    const job *j = user;
    const product *p = &j->p;
    size_t a, b, batch = index / (size_t)p->m;
    int64_t row = (int64_t)(index % (size_t)p->m);
    bool integer = nnd_class_of(j->c->in[0]->dtype) > NND_IN_F64;
    (void)lane;
    locate(p, batch, &a, &b);
    for (int64_t col = 0; col < p->n; col++) {
        size_t to = index * (size_t)p->n + (size_t)col;
        (integer ? cell_int : cell_real)(j, a * (size_t)(p->m * p->k), b * (size_t)(p->k * p->n),
                                         row, col, to);
    }
    return NND_OK;
}

static nnd_status run_product(nnd_op_ctx *c)
{
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    if (c->step) return run_kernel(c);
    job j = {.c = c};
    NND_TRY(read_product(c, &j.p));
    return nnd_op_for(c, j.p.batches * (size_t)j.p.m, reference_tile, &j);
}

/* A residual of another shape than the product, or without a kernel. */
static nnd_status run_then_add(nnd_op_ctx *c)
{
    product p;
    nnd_tensor own;
    NND_TRY(read_product(c, &p));
    NND_TRY(nnd_tensor_init(&own, c->in[0]->dtype, p.out_rank, p.out, NULL));
    return nnd_residual_run(c, &own, run_product);
}

static nnd_status run_upright(nnd_op_ctx *c)
{
    const gemm_step *s = c->step;
    return nnd_residual_of(c) && !(s && s->adds) ? run_then_add(c) : run_product(c);
}

/* A copy of [rows, batches, n] as [batches, rows, n]. */
static nnd_status turn(const nnd_op_ctx *c, size_t i, void **memory)
{
    const nnd_tensor *t = c->in[i];
    const size_t row = (size_t)t->dims[t->rank - 1] * nnd_op_element(t->dtype);
    const size_t rows = (size_t)t->dims[0], batches = (size_t)nnd_op_span(t, 1, t->rank - 1);
    char *to = nnd_alloc_aligned(nnd_tensor_bytes(t) + 1, 64);
    *memory = to;
    if (!to) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory to transpose an operand");
    for (size_t b = 0; b < batches; b++)
        for (size_t r = 0; r < rows; r++, to += row)
            memcpy(to, (const char *)t->data + (r * batches + b) * row, row);
    return NND_OK;
}

static nnd_status product_run(nnd_op_ctx *c)
{
    if (!is_turned(c, 0) && !is_turned(c, 1)) return run_upright(c);
    nnd_tensor copies[2];
    const nnd_tensor *in[4] = {NULL};
    void *memory[2] = {NULL, NULL};
    nnd_op_ctx own = *c;
    nnd_status status = NND_OK;
    memcpy(in, c->in, (c->in_count < 4 ? c->in_count : 4) * sizeof(in[0]));
    for (size_t i = 0; i < 2 && status == NND_OK; i++) {
        copies[i] = *c->in[i];
        if (!is_turned(c, i)) continue;
        status = turn(c, i, &memory[i]);
        copies[i].data = memory[i];
        in[i] = &copies[i];
    }
    own.in = in;
    if (status == NND_OK) status = run_upright(&own);
    nnd_free_aligned(memory[0]);
    nnd_free_aligned(memory[1]);
    return status;
}

#define ROW(domain, name, high, v)                                                                 \
    {                                                                                              \
        domain, name, 1, 0, 2, high, 1, 1, NND_OP_EPILOGUE, product_infer, product_run,            \
            gemm_prepare, NULL, gemm_plan, gemm_unplan, product_flops, v                           \
    }
static const nnd_op ops[] = {
    ROW("", "MatMul", 2, MATMUL),
    ROW("", "Gemm", 3, GEMM),
    ROW("com.microsoft", "FusedMatMul", 2, FUSED_MATMUL),
};
const nnd_op_family nnd_ops_matmul = {ops, NND_COUNT(ops)};
