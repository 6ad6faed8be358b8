/*
 * com.microsoft's MatMulBnb4: products with weights of four bits each that stand for one of sixteen
 * numbers, FP4 or NF4 (https://arxiv.org/abs/2305.14314, appendix E), times the largest absolute
 * value of their block.
 *
 * The matrix [N, K] is flattened, so a block may begin in one row and end in the next. The first
 * code of a byte is in its upper half.
 */
#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/ops/element.h"
#include "engine/ops/panels.h"
#include "engine/ops/real.h"

enum { A, B, LARGEST, CODES = 16 };

/* What the codes stand for: FP4 has a sign, two bits of an exponent and one of a mantissa, divided
   by the largest value; NF4 the quantiles of a normal distribution. */
static const float meanings[2][CODES] = {
    {0.0f, 5.208333333e-3f, 2.0f / 3.0f, 1.0f, 1.0f / 3.0f, 0.5f, 1.0f / 6.0f, 0.25f, -0.0f,
     -5.208333333e-3f, -2.0f / 3.0f, -1.0f, -1.0f / 3.0f, -0.5f, -1.0f / 6.0f, -0.25f},
    {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
     -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
     0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
     0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f}};

typedef struct matrix {
    const nnd_op_ctx *c;
    const float *meaning;
    const uint8_t *codes;
    size_t n, k, block;
    bool transposed; /* the rows of [N, K] are what A is multiplied with, as in a linear layer */
    size_t rows, from, to; /* of A; features of A and of the result */
} matrix;

static nnd_status read_matrix(const nnd_op_ctx *c, matrix *p)
{
    const uint32_t floats = 1u << NND_F32 | 1u << NND_F16 | 1u << NND_BF16;
    const int64_t limit = (int64_t)1 << 31;
    int64_t n = nnd_node_int(c->node, "N", 0), k = nnd_node_int(c->node, "K", 0);
    int64_t block = nnd_node_int(c->node, "block_size", 0);
    int64_t type = nnd_node_int(c->node, "quant_type", -1);
    NND_TRY(nnd_op_expect(c, A, floats));
    NND_TRY(nnd_op_expect(c, B, 1u << NND_U8));
    NND_TRY(nnd_op_expect(c, LARGEST, 1u << c->in[A]->dtype));
    if (type != 0 && type != 1)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "quant_type %lld", (long long)type);
    if (n < 1 || k < 1 || n >= limit || k >= limit || block < 16 || block > limit ||
        (block & (block - 1)))
        return nnd_op_fail(c, NND_E_SHAPE, "N %lld, K %lld and block_size %lld are impossible",
                           (long long)n, (long long)k, (long long)block);
    if (nnd_tensor_count(c->in[B]) != (n * k + 1) / 2 ||
        nnd_tensor_count(c->in[LARGEST]) != (n * k + block - 1) / block)
        return nnd_op_fail(c, NND_E_SHAPE, "the weights do not fit N %lld and K %lld", (long long)n,
                           (long long)k);
    const nnd_tensor *a = c->in[A];
    *p = (matrix){.c = c,
                  .meaning = meanings[type],
                  .codes = c->in[B]->data,
                  .n = (size_t)n,
                  .k = (size_t)k,
                  .block = (size_t)block,
                  .transposed = nnd_node_int(c->node, "transB", 1) != 0};
    p->from = p->transposed ? p->k : p->n;
    p->to = p->transposed ? p->n : p->k;
    if (a->rank < 1 || a->dims[a->rank - 1] != (int64_t)p->from)
        return nnd_op_fail(c, NND_E_SHAPE, "the input does not have %zu columns", p->from);
    p->rows = (size_t)nnd_op_span(a, 0, a->rank - 1);
    return NND_OK;
}

static nnd_status product_infer(nnd_op_ctx *c)
{
    matrix p;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(read_matrix(c, &p));
    memcpy(dims, c->in[A]->dims, sizeof(dims));
    dims[c->in[A]->rank - 1] = (int64_t)p.to;
    return nnd_op_output(c, 0, c->in[A]->dtype, c->in[A]->rank, dims);
}

static double product_flops(const nnd_op_ctx *c)
{
    matrix p;
    return read_matrix(c, &p) == NND_OK ? 2.0 * (double)p.rows * (double)p.n * (double)p.k : 0;
}

static float code_at(const matrix *p, size_t i)
{
    return p->meaning[(unsigned)p->codes[i / 2] >> (i % 2 ? 0 : 4) & 15u];
}

/* Elements i of the flattened matrix from `first` on, every `step`, as far as they share a block:
   how many they are. */
static size_t unpack_run(const matrix *p, size_t first, size_t step, size_t n, float *y)
{
    size_t block = first / p->block, left = (block + 1) * p->block - first;
    size_t run = (left + step - 1) / step;
    float scale = (float)nnd_get(p->c->in[LARGEST], block);
    if (run > n) run = n;
    for (size_t i = 0; i < run; i++)
        y[i] = code_at(p, first + i * step) * scale;
    return run;
}

static void unpack_column(const void *user, size_t column, void *scratch, float *y)
{
    const matrix *p = user;
    size_t first = p->transposed ? column * p->k : column, step = p->transposed ? 1 : p->k;
    (void)scratch;
    for (size_t i = 0; i < p->from;)
        i += unpack_run(p, first + i * step, step, p->from - i, y + i);
}

static nnd_status product_plan(nnd_op_ctx *c)
{
    matrix p;
    nnd_panels panels;
    NND_TRY(read_matrix(c, &p));
    if (p.rows == 0) return NND_OK;
    NND_TRY(nnd_panels_plan(p.rows, p.to, p.from, &panels));
    c->lane_bytes = nnd_panels_lane_bytes(&panels);
    c->kernel = "bnb4_gemm";
    return NND_OK;
}

typedef struct job {
    matrix p;
    nnd_panels panels;
    nnd_panels_args args;
} job;

static nnd_status product_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    return nnd_panels_run_tile(&j->panels, &j->args, tile, j->p.c->cancel, NULL,
                               nnd_op_lane(j->p.c, lane));
}

static nnd_status multiply(nnd_op_ctx *c, job *j, float *y)
{
    void *memory;
    NND_TRY(nnd_panels_plan(j->p.rows, j->p.to, j->p.from, &j->panels));
    NND_TRY(nnd_op_need_lane(c, nnd_panels_lane_bytes(&j->panels), &memory));
    j->args.c = y;
    j->args.column = unpack_column;
    j->args.user = &j->p;
    nnd_status status = nnd_op_for(c, nnd_panels_tiles(&j->panels), product_tile, j);
    nnd_free_aligned(memory);
    return status;
}

static nnd_status product_run(nnd_op_ctx *c)
{
    job j = {0};
    nnd_op_ctx own = *c; /* its scratch may be this call's */
    nnd_real a = {0}, result = {0};
    float *y;
    NND_TRY(read_matrix(&own, &j.p));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    nnd_status status = nnd_real_read(c->in[A], &a);
    j.args.a = a.data;
    if (status == NND_OK) status = nnd_real_result(&c->out[0], true, &result, &y);
    if (status == NND_OK) status = multiply(&own, &j, y);
    if (status == NND_OK) status = nnd_real_write(&c->out[0], &result);
    nnd_real_free(&a);
    nnd_real_free(&result);
    return status;
}

static const nnd_op ops[] = {
    {"com.microsoft", "MatMulBnb4", 1, 0, 3, 3, 1, 1, 0, product_infer, product_run,
     .plan = product_plan, .flops = product_flops},
};
const nnd_op_family nnd_ops_bnb4 = {ops, NND_COUNT(ops)};
