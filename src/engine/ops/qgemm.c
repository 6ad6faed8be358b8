/*
 * com.microsoft's QGemm: y = alpha·op(A)·op(B) + C of bytes, summed in 32 bits; the result is
 * quantised again when it has a scale, else f32. C is in units of alpha·a_scale·b_scale. Constant
 * weights go through the byte kernels (qproduct.c), all other forms through the loops here.
 */
#include <string.h>

#include "base/size.h"
#include "engine/ops/qproduct.h"

enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, C, Y_SCALE, Y_ZERO, INPUTS };

typedef struct job {
    const nnd_op_ctx *c;
    bool trans_a, trans_b;
    size_t m, n, k;
    int32_t *b; /* [k, n], without zero points */
} job;

/* One value for all columns, or one each. */
static nnd_status check_columns(const nnd_op_ctx *c, size_t i, size_t n)
{
    const nnd_tensor *t = nnd_op_in(c, i);
    int64_t count = t ? nnd_tensor_count(t) : 1;
    if (count == 1 || count == (int64_t)n) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "input %zu has %lld values, 1 or %zu are wanted", i,
                       (long long)count, n);
}

static nnd_status check_types(const nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, A, NND_BYTES));
    NND_TRY(nnd_op_expect(c, B, NND_BYTES));
    NND_TRY(nnd_scaling_check(c, A_SCALE, c->in[A]->dtype));
    NND_TRY(nnd_op_expect(c, B_SCALE, 1u << NND_F32));
    if (nnd_op_in(c, B_ZERO)) NND_TRY(nnd_op_expect(c, B_ZERO, 1u << c->in[B]->dtype));
    if (nnd_op_in(c, C)) NND_TRY(nnd_op_expect(c, C, 1u << NND_I32));
    if (!nnd_op_in(c, Y_SCALE) != !nnd_op_in(c, Y_ZERO))
        return nnd_op_fail(c, NND_E_FORMAT, "scale and zero point of the result come together");
    if (!nnd_op_in(c, Y_SCALE)) return NND_OK;
    NND_TRY(nnd_op_expect(c, Y_ZERO, NND_BYTES));
    return nnd_scaling_check(c, Y_SCALE, c->in[Y_ZERO]->dtype);
}

static nnd_status read_job(const nnd_op_ctx *c, job *j)
{
    NND_TRY(check_types(c));
    const nnd_tensor *a = c->in[A], *b = c->in[B], *r = nnd_op_in(c, C);
    if (a->rank != 2 || b->rank != 2)
        return nnd_op_fail(c, NND_E_SHAPE, "the operands have ranks %d and %d, not 2", a->rank,
                           b->rank);
    *j = (job){.c = c,
               .trans_a = nnd_node_int(c->node, "transA", 0) != 0,
               .trans_b = nnd_node_int(c->node, "transB", 0) != 0};
    j->m = (size_t)a->dims[j->trans_a];
    j->k = (size_t)a->dims[!j->trans_a];
    j->n = (size_t)b->dims[!j->trans_b];
    if (b->dims[j->trans_b] != (int64_t)j->k)
        return nnd_op_fail(c, NND_E_SHAPE, "the inner dimensions do not fit");
    NND_TRY(check_columns(c, B_SCALE, j->n));
    NND_TRY(check_columns(c, B_ZERO, j->n));
    if (!r) return NND_OK;
    int64_t rows = r->rank > 1 ? r->dims[0] : 1, cols = r->rank ? r->dims[r->rank - 1] : 1;
    if (r->rank > 2 || (rows != 1 && rows != (int64_t)j->m) || (cols != 1 && cols != (int64_t)j->n))
        return nnd_op_fail(c, NND_E_SHAPE, "C does not broadcast to the result");
    return NND_OK;
}

nnd_status nnd_qgemm_read(const nnd_op_ctx *c, nnd_qmatrices *out)
{
    job j;
    NND_TRY(read_job(c, &j));
    *out = (nnd_qmatrices){
        .m = (int64_t)j.m, .n = (int64_t)j.n, .k = (int64_t)j.k, .batches = 1, .out_rank = 2};
    return NND_OK;
}

static nnd_status qgemm_infer(nnd_op_ctx *c)
{
    job j;
    NND_TRY(read_job(c, &j));
    const nnd_tensor *zero = nnd_op_in(c, Y_ZERO);
    int64_t dims[2] = {(int64_t)j.m, (int64_t)j.n};
    return nnd_op_output(c, 0, zero ? zero->dtype : NND_F32, 2, dims);
}

static int32_t code(const nnd_tensor *t, size_t i)
{
    return t->dtype == NND_I8 ? ((const int8_t *)t->data)[i] : ((const uint8_t *)t->data)[i];
}

static int32_t zero_of(const nnd_tensor *t, size_t column)
{
    return t ? code(t, nnd_tensor_count(t) == 1 ? 0 : column) : 0;
}

static nnd_status widen_b(job *j)
{
    const nnd_tensor *b = j->c->in[B], *zero = nnd_op_in(j->c, B_ZERO);
    size_t bytes;
    if (!nnd_size_mul(j->n, j->k, &bytes) || !nnd_size_mul(bytes, sizeof(*j->b), &bytes))
        return nnd_op_fail(j->c, NND_E_OVERFLOW, "an operand is too large");
    j->b = nnd_alloc(bytes + 1);
    if (!j->b) return nnd_op_fail(j->c, NND_E_OUT_OF_MEMORY, "no memory to widen an operand");
    for (size_t i = 0; i < j->k; i++)
        for (size_t x = 0; x < j->n; x++)
            j->b[i * j->n + x] =
                code(b, j->trans_b ? x * j->k + i : i * j->n + x) - zero_of(zero, x);
    return NND_OK;
}

/* Element of C at this place of the result. */
static uint32_t added(const job *j, size_t row, size_t column)
{
    const nnd_tensor *r = nnd_op_in(j->c, C);
    if (!r) return 0;
    size_t rows = r->rank > 1 ? (size_t)r->dims[0] : 1;
    size_t cols = r->rank ? (size_t)r->dims[r->rank - 1] : 1;
    return (uint32_t)((const int32_t *)
                          r->data)[(rows == 1 ? 0 : row) * cols + (cols == 1 ? 0 : column)];
}

enum { STRIP = 128 }; /* columns that are summed at once */

static nnd_status row_tile(void *user, size_t row, int lane)
{
    const job *j = user;
    const nnd_tensor *a = j->c->in[A], *y = &j->c->out[0], *b_scale = j->c->in[B_SCALE];
    nnd_scaling a_scaling = nnd_scaling_at(j->c, A_SCALE), result = {.scale = 1};
    int32_t zero = (int32_t)a_scaling.zero;
    float alpha = nnd_node_float(j->c->node, "alpha", 1.0f);
    (void)lane;
    if (nnd_op_in(j->c, Y_SCALE)) result = nnd_scaling_result(j->c, Y_SCALE);
    float y_scale = result.scale;
    result.scale = 1;
    for (size_t first = 0; first < j->n; first += STRIP) {
        uint32_t sums[STRIP]; /* wrap around as 32-bit hardware does */
        size_t width = j->n - first < STRIP ? j->n - first : STRIP;
        for (size_t x = 0; x < width; x++)
            sums[x] = added(j, row, first + x);
        for (size_t i = 0; i < j->k; i++) {
            uint32_t v = (uint32_t)(code(a, j->trans_a ? i * j->m + row : row * j->k + i) - zero);
            for (size_t x = 0; x < width; x++)
                sums[x] += v * (uint32_t)j->b[i * j->n + first + x];
        }
        for (size_t x = 0; x < width; x++) {
            size_t column = nnd_tensor_count(b_scale) == 1 ? 0 : first + x;
            float scale = alpha * a_scaling.scale * ((const float *)b_scale->data)[column];
            scale /= y_scale;
            float v = (float)(int32_t)sums[x] * scale;
            if (y->dtype == NND_F32)
                ((float *)y->data)[row * j->n + first + x] = v;
            else
                nnd_quantise(y, row * j->n + first + x, v, result);
        }
    }
    return NND_OK;
}

static nnd_status qgemm_run(nnd_op_ctx *c)
{
    job j;
    nnd_scaling a = nnd_scaling_at(c, A_SCALE);
    if (c->step)
        return nnd_qmatmul_run(c, c->in[A], (int32_t)a.zero,
                               nnd_node_float(c->node, "alpha", 1.0f) * a.scale);
    NND_TRY(read_job(c, &j));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    nnd_status status = widen_b(&j);
    if (status == NND_OK) status = nnd_op_for(c, j.m, row_tile, &j);
    nnd_free(j.b);
    return status;
}

static double qgemm_flops(const nnd_op_ctx *c)
{
    job j;
    return read_job(c, &j) == NND_OK ? 2.0 * (double)j.m * (double)j.n * (double)j.k : 0;
}

static const nnd_op ops[] = {
    {"com.microsoft", "QGemm", 1, 0, 6, INPUTS, 1, 1, 0, qgemm_infer, qgemm_run,
     nnd_qmatmul_prepare, NULL, nnd_qmatmul_plan, nnd_qmatmul_unplan, qgemm_flops,
     NND_QPRODUCT_GEMM},
};
const nnd_op_family nnd_ops_qgemm = {ops, NND_COUNT(ops)};
