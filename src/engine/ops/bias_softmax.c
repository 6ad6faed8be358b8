/*
 * com.microsoft's BiasSoftmax: a softmax of scores to which a bias is added. Both are matrices, cut
 * at `axis`; every row of the bias belongs to several of the scores' rows: to neighbours
 * (is_inner_broadcast) or to every so-many-th one.
 */
#include "engine/kernels/kernels.h"
#include "engine/ops/real.h"

typedef struct job {
    const float *x, *bias;
    float *y;
    size_t rows, n, bias_rows;
    bool inner;
} job;

static nnd_status read_shape(const nnd_op_ctx *c, job *j)
{
    int axis;
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    NND_TRY(nnd_op_expect(c, 1, 1u << c->in[0]->dtype));
    const nnd_tensor *x = c->in[0];
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 1), x->rank, &axis));
    *j = (job){.rows = (size_t)nnd_op_span(x, 0, axis), .n = (size_t)nnd_op_span(x, axis, x->rank)};
    j->inner = nnd_node_int(c->node, "is_inner_broadcast", 0) != 0;
    const size_t count = (size_t)nnd_tensor_count(c->in[1]);
    if (!j->rows || !j->n) return NND_OK;
    j->bias_rows = count / j->n;
    if (!count || count % j->n || j->rows % j->bias_rows)
        return nnd_op_fail(c, NND_E_SHAPE, "%zu values do not fit %zu rows of %zu scores", count,
                           j->rows, j->n);
    return NND_OK;
}

static nnd_status infer(nnd_op_ctx *c)
{
    job j;
    NND_TRY(read_shape(c, &j));
    return nnd_op_like(c, 0, 0);
}

static nnd_status softmax_row(void *user, size_t row, int lane)
{
    const job *j = user;
    const float *x = j->x + row * j->n;
    const float *bias =
        j->bias + (j->inner ? row / (j->rows / j->bias_rows) : row % j->bias_rows) * j->n;
    float *y = j->y + row * j->n;
    (void)lane;
    nnd_binary_apply(NND_BINARY_ADD, NND_BINARY_BOTH, x, bias, y, j->n, NULL);
    nnd_softmax_rows(y, y, 1, j->n);
    return NND_OK;
}

static nnd_status run(nnd_op_ctx *c)
{
    nnd_real x = {0}, bias = {0}, result = {0};
    job j;
    NND_TRY(read_shape(c, &j));
    if (!j.rows || !j.n) return NND_OK;
    nnd_status status = nnd_real_read(c->in[0], &x);
    if (status == NND_OK) status = nnd_real_read(c->in[1], &bias);
    if (status == NND_OK) status = nnd_real_result(&c->out[0], true, &result, &j.y);
    j.x = x.data;
    j.bias = bias.data;
    if (status == NND_OK) status = nnd_op_for(c, j.rows, softmax_row, &j);
    if (status == NND_OK) status = nnd_real_write(&c->out[0], &result);
    nnd_real_free(&x);
    nnd_real_free(&bias);
    nnd_real_free(&result);
    return status;
}

static const nnd_op ops[] = {
    {"com.microsoft", "BiasSoftmax", 1, 0, 2, 2, 1, 1, 0, infer, run, .variant = 0},
};
const nnd_op_family nnd_ops_bias_softmax = {ops, NND_COUNT(ops)};
