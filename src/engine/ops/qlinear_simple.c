/*
 * com.microsoft's quantised element-wise operators: QLinearAdd, QLinearMul, QLinearSigmoid,
 * QLinearLeakyRelu, QLinearWhere. Bytes are dequantised, computed in single precision and quantised
 * again.
 */
#include "engine/ops/qlinear.h"

#include <math.h>

#include "engine/ops/blocks.h"

enum { ADD, MUL, SIGMOID, LEAKY_RELU, WHERE };

nnd_status nnd_scaling_check(const nnd_op_ctx *c, size_t scale, nnd_dtype type)
{
    const nnd_tensor *zero = nnd_op_in(c, scale + 1);
    NND_TRY(nnd_op_expect(c, scale, 1u << NND_F32));
    if (zero && zero->dtype != type)
        return nnd_op_fail(c, NND_E_TYPE, "input %zu has another type than its values", scale + 1);
    if (nnd_tensor_count(c->in[scale]) == 1 && (!zero || nnd_tensor_count(zero) == 1))
        return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "scale and zero point are no scalars");
}

static bool is_binary(const nnd_op_ctx *c)
{
    return c->op->variant == ADD || c->op->variant == MUL;
}

static nnd_status simple_infer(nnd_op_ctx *c)
{
    int rank;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(nnd_op_expect(c, 0, NND_BYTES));
    nnd_dtype type = c->in[0]->dtype;
    NND_TRY(nnd_scaling_check(c, 1, type));
    if (!is_binary(c)) {
        NND_TRY(nnd_scaling_check(c, 3, type));
        return nnd_op_like(c, 0, 0);
    }
    NND_TRY(nnd_op_expect(c, 3, 1u << type));
    NND_TRY(nnd_scaling_check(c, 4, type));
    NND_TRY(nnd_scaling_check(c, 6, type));
    const nnd_tensor *operands[2] = {c->in[0], c->in[3]};
    nnd_op_ctx pair = *c;
    pair.in = operands;
    pair.in_count = 2;
    NND_TRY(nnd_op_broadcast(&pair, 0, 2, &rank, dims));
    return nnd_op_output(c, 0, type, rank, dims);
}

nnd_scaling nnd_scaling_at(const nnd_op_ctx *c, size_t scale)
{
    const nnd_tensor *zero = nnd_op_in(c, scale + 1);
    return (nnd_scaling){*(const float *)c->in[scale]->data,
                         zero ? (float)nnd_dtype_get(zero->dtype, zero->data, 0) : 0.0f};
}

typedef struct job {
    const nnd_op_ctx *c;
    nnd_broadcast broadcast;
    const nnd_tensor *in[2];
    nnd_scaling s[2], result;
    float alpha;
} job;

static float compute(const job *j, float a, float b)
{
    switch (j->c->op->variant) {
    case ADD:
        return a + b;
    case MUL:
        return a * b;
    case SIGMOID:
        return 1.0f / (1.0f + expf(-a));
    default:
        return a < 0 ? a * j->alpha : a;
    }
}

static void run_block(void *user, size_t out, const size_t *at, size_t n)
{
    const job *j = user;
    bool two = j->broadcast.operands == 2;
    size_t last = (size_t)j->broadcast.rank - 1;
    size_t sa = j->broadcast.strides[0][last], sb = two ? j->broadcast.strides[1][last] : 0;
    for (size_t i = 0; i < n; i++) {
        float a = nnd_dequantise(j->in[0], at[0] + i * sa, j->s[0]), b = 0;
        if (two) b = nnd_dequantise(j->in[1], at[1] + i * sb, j->s[1]);
        nnd_quantise(&j->c->out[0], out + i, compute(j, a, b), j->result);
    }
}

static nnd_status tile(void *user, size_t index, int lane)
{
    job *j = user;
    size_t begin = index * NND_OP_GRAIN, end = begin + NND_OP_GRAIN;
    (void)lane;
    if (end > j->broadcast.total) end = j->broadcast.total;
    nnd_broadcast_runs(&j->broadcast, begin, end, run_block, j);
    return NND_OK;
}

static nnd_status simple_run(nnd_op_ctx *c)
{
    job j = {.c = c, .in = {c->in[0]}, .alpha = nnd_node_float(c->node, "alpha", 0.01f)};
    bool two = is_binary(c);
    j.s[0] = nnd_scaling_at(c, 1);
    j.result = nnd_scaling_at(c, two ? 6 : 3);
    if (two) {
        j.in[1] = c->in[3];
        j.s[1] = nnd_scaling_at(c, 4);
    }
    nnd_broadcast_init(&j.broadcast, &c->out[0], j.in, two ? 2 : 1);
    return nnd_op_for(c, nnd_op_tiles(j.broadcast.total), tile, &j);
}

/* ---- QLinearWhere --------------------------------------------------------------------------- */

enum { CONDITION, THIS, OTHER = 4, RESULT = 7 };

static nnd_status where_infer(nnd_op_ctx *c)
{
    int rank;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(nnd_op_expect(c, CONDITION, 1u << NND_BOOL));
    NND_TRY(nnd_op_expect(c, THIS, NND_BYTES));
    nnd_dtype type = c->in[THIS]->dtype;
    NND_TRY(nnd_op_expect(c, OTHER, 1u << type));
    NND_TRY(nnd_scaling_check(c, THIS + 1, type));
    NND_TRY(nnd_scaling_check(c, OTHER + 1, type));
    NND_TRY(nnd_scaling_check(c, RESULT, type));
    const nnd_tensor *operands[3] = {c->in[CONDITION], c->in[THIS], c->in[OTHER]};
    nnd_op_ctx three = *c;
    three.in = operands;
    three.in_count = 3;
    NND_TRY(nnd_op_broadcast(&three, 0, 3, &rank, dims));
    return nnd_op_output(c, 0, type, rank, dims);
}

static void where_block(void *user, size_t out, const size_t *at, size_t n)
{
    const job *j = user;
    const nnd_broadcast *b = &j->broadcast;
    size_t last = (size_t)b->rank - 1;
    const uint8_t *condition = j->c->in[CONDITION]->data;
    for (size_t i = 0; i < n; i++) {
        int k = condition[at[0] + i * b->strides[0][last]] ? 0 : 1;
        size_t from = at[k + 1] + i * b->strides[k + 1][last];
        nnd_quantise(&j->c->out[0], out + i, nnd_dequantise(j->in[k], from, j->s[k]), j->result);
    }
}

static nnd_status where_tile(void *user, size_t index, int lane)
{
    job *j = user;
    size_t begin = index * NND_OP_GRAIN, end = begin + NND_OP_GRAIN;
    (void)lane;
    if (end > j->broadcast.total) end = j->broadcast.total;
    nnd_broadcast_runs(&j->broadcast, begin, end, where_block, j);
    return NND_OK;
}

static nnd_status where_run(nnd_op_ctx *c)
{
    job j = {.c = c, .in = {c->in[THIS], c->in[OTHER]}};
    const nnd_tensor *operands[3] = {c->in[CONDITION], c->in[THIS], c->in[OTHER]};
    j.s[0] = nnd_scaling_at(c, THIS + 1);
    j.s[1] = nnd_scaling_at(c, OTHER + 1);
    j.result = nnd_scaling_at(c, RESULT);
    nnd_broadcast_init(&j.broadcast, &c->out[0], operands, 3);
    return nnd_op_for(c, nnd_op_tiles(j.broadcast.total), where_tile, &j);
}

/* Zero points may be absent among the inputs: only the first two are certain. */
#define ROW(name, low, high, v)                                                                    \
    {                                                                                              \
        "com.microsoft", name, 1, 0, low, high, 1, 1, 0, simple_infer, simple_run, .variant = v    \
    }
static const nnd_op ops[] = {
    ROW("QLinearAdd", 2, 8, ADD),
    ROW("QLinearMul", 2, 8, MUL),
    ROW("QLinearSigmoid", 2, 5, SIGMOID),
    ROW("QLinearLeakyRelu", 2, 5, LEAKY_RELU),
    {"com.microsoft", "QLinearWhere", 1, 0, 8, 9, 1, 1, 0, where_infer, where_run,
     .variant = WHERE},
};
const nnd_op_family nnd_ops_qlinear_simple = {ops, NND_COUNT(ops)};
