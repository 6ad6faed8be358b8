/*
 * com.microsoft's quantised element-wise operators: QLinearAdd, QLinearMul, QLinearSigmoid,
 * QLinearLeakyRelu. Bytes are dequantised, computed in single precision and quantised again.
 */
#include <math.h>

#include "engine/ops/blocks.h"

enum { ADD, MUL, SIGMOID, LEAKY_RELU };

#define BYTES (1u << NND_I8 | 1u << NND_U8)

/* Value, scale and zero point of an operand start at input `first`; those of the result are two. */
static nnd_status check_scaling(const nnd_op_ctx *c, size_t scale, nnd_dtype type)
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
    NND_TRY(nnd_op_expect(c, 0, BYTES));
    nnd_dtype type = c->in[0]->dtype;
    NND_TRY(check_scaling(c, 1, type));
    if (!is_binary(c)) {
        NND_TRY(check_scaling(c, 3, type));
        return nnd_op_like(c, 0, 0);
    }
    NND_TRY(nnd_op_expect(c, 3, 1u << type));
    NND_TRY(check_scaling(c, 4, type));
    NND_TRY(check_scaling(c, 6, type));
    const nnd_tensor *operands[2] = {c->in[0], c->in[3]};
    nnd_op_ctx pair = *c;
    pair.in = operands;
    pair.in_count = 2;
    NND_TRY(nnd_op_broadcast(&pair, 0, 2, &rank, dims));
    return nnd_op_output(c, 0, type, rank, dims);
}

typedef struct scaling {
    float scale, zero;
} scaling;

static scaling scaling_at(const nnd_op_ctx *c, size_t scale)
{
    const nnd_tensor *zero = nnd_op_in(c, scale + 1);
    return (scaling){*(const float *)c->in[scale]->data,
                     zero ? (float)nnd_dtype_get(zero->dtype, zero->data, 0) : 0.0f};
}

static float byte_at(const nnd_tensor *t, size_t i)
{
    return t->dtype == NND_I8 ? (float)((const int8_t *)t->data)[i]
                              : (float)((const uint8_t *)t->data)[i];
}

typedef struct job {
    const nnd_op_ctx *c;
    nnd_broadcast broadcast;
    const nnd_tensor *in[2];
    scaling s[2], result;
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

static void put(const nnd_tensor *y, size_t i, float q, float zero)
{
    float low = y->dtype == NND_I8 ? -128.0f : 0.0f, high = y->dtype == NND_I8 ? 127.0f : 255.0f;
    q = nearbyintf(q) + zero;
    q = q >= low ? (q > high ? high : q) : isnan(q) ? zero : low;
    if (y->dtype == NND_I8)
        ((int8_t *)y->data)[i] = (int8_t)q;
    else
        ((uint8_t *)y->data)[i] = (uint8_t)q;
}

static void run_block(void *user, size_t out, const size_t *at, size_t n)
{
    const job *j = user;
    bool two = j->broadcast.operands == 2;
    size_t last = (size_t)j->broadcast.rank - 1;
    size_t sa = j->broadcast.strides[0][last], sb = two ? j->broadcast.strides[1][last] : 0;
    for (size_t i = 0; i < n; i++) {
        float a = (byte_at(j->in[0], at[0] + i * sa) - j->s[0].zero) * j->s[0].scale, b = 0;
        if (two) b = (byte_at(j->in[1], at[1] + i * sb) - j->s[1].zero) * j->s[1].scale;
        put(&j->c->out[0], out + i, compute(j, a, b) / j->result.scale, j->result.zero);
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
    j.s[0] = scaling_at(c, 1);
    j.result = scaling_at(c, two ? 6 : 3);
    if (two) {
        j.in[1] = c->in[3];
        j.s[1] = scaling_at(c, 4);
    }
    nnd_broadcast_init(&j.broadcast, &c->out[0], j.in, two ? 2 : 1);
    return nnd_op_for(c, nnd_op_tiles(j.broadcast.total), tile, &j);
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
};
const nnd_op_family nnd_ops_qlinear_simple = {ops, NND_COUNT(ops)};
