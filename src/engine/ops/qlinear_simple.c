/*
 * com.microsoft's quantised element-wise operators: QLinearAdd, QLinearMul, QLinearSigmoid,
 * QLinearLeakyRelu, QLinearWhere. Sums and products of codes are scaled at once; else bytes are
 * dequantised, computed in single precision and quantised again, functions of one byte by a table.
 */
#include "engine/ops/qlinear.h"

#include <math.h>

#include "engine/kernels/int8.h"
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

nnd_codes nnd_codes_of(const nnd_graph_node *n, nnd_dtype type)
{
    int64_t least = type == NND_I8 ? -128 : 0, most = least + 255;
    int64_t low = nnd_node_int(n, NND_CODES_LOW, least),
            high = nnd_node_int(n, NND_CODES_HIGH, most);
    high = high < least ? least : high > most ? most : high;
    low = low < least ? least : low > high ? high : low;
    return (nnd_codes){(int32_t)low, (int32_t)high};
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
                         zero ? (float)nnd_dtype_get(zero->dtype, zero->data, 0) : 0.0f, 0, 0};
}

nnd_scaling nnd_scaling_result(const nnd_op_ctx *c, size_t scale)
{
    nnd_scaling s = nnd_scaling_at(c, scale);
    nnd_codes codes = nnd_codes_of(c->node, c->out[0].dtype);
    s.low = (float)codes.low;
    s.high = (float)codes.high;
    return s;
}

/* ---- sums and products ---------------------------------------------------------------------- */

typedef struct pair_job {
    const nnd_op_ctx *c;
    nnd_broadcast broadcast;
    nnd_int8_pair pair;
} pair_job;

static void pair_block(void *user, size_t out, const size_t *at, size_t n)
{
    const pair_job *j = user;
    size_t last = (size_t)j->broadcast.rank - 1;
    const uint8_t *a = j->c->in[0]->data, *b = j->c->in[3]->data;
    nnd_int8_pair_run(&j->pair, a + at[0], j->broadcast.strides[0][last], b + at[1],
                      j->broadcast.strides[1][last], (uint8_t *)j->c->out[0].data + out, n);
}

static nnd_status pair_tile(void *user, size_t index, int lane)
{
    pair_job *j = user;
    size_t begin = index * NND_OP_GRAIN, end = begin + NND_OP_GRAIN;
    (void)lane;
    if (end > j->broadcast.total) end = j->broadcast.total;
    nnd_broadcast_runs(&j->broadcast, begin, end, pair_block, j);
    return NND_OK;
}

/* The numbers in the order of operations in which kernels elsewhere compute them: results that are
   halves are rounded alike. */
static nnd_int8_pair pair_of(const nnd_op_ctx *c)
{
    nnd_scaling a = nnd_scaling_at(c, 1), b = nnd_scaling_at(c, 4), y = nnd_scaling_result(c, 6);
    nnd_int8_pair p = {.product = c->op->variant == MUL,
                       .is_signed = c->in[0]->dtype == NND_I8,
                       .a_zero = (int32_t)a.zero,
                       .b_zero = (int32_t)b.zero,
                       .low = (int32_t)y.low,
                       .high = (int32_t)y.high};
    if (p.product) {
        p.a_factor = a.scale * b.scale / y.scale;
        p.start = y.zero;
    } else {
        p.a_factor = a.scale / y.scale;
        p.b_factor = b.scale / y.scale;
        p.start = y.zero - fmaf(p.a_factor, a.zero, p.b_factor * b.zero);
    }
    return p;
}

static nnd_status pair_run(nnd_op_ctx *c)
{
    pair_job j = {.c = c, .pair = pair_of(c)};
    const nnd_tensor *in[2] = {c->in[0], c->in[3]};
    nnd_broadcast_init(&j.broadcast, &c->out[0], in, 2);
    return nnd_op_for(c, nnd_op_tiles(j.broadcast.total), pair_tile, &j);
}

/* ---- functions of one byte ------------------------------------------------------------------ */

static float compute(const nnd_op_ctx *c, float a)
{
    if (c->op->variant == SIGMOID) return 1.0f / (1.0f + expf(-a));
    return a < 0 ? a * nnd_node_float(c->node, "alpha", 0.01f) : a;
}

static nnd_status unary_run(nnd_op_ctx *c)
{
    nnd_scaling s = nnd_scaling_at(c, 1), result = nnd_scaling_result(c, 3);
    static const int64_t dims[1] = {NND_TABLE_CODES};
    uint8_t all[NND_TABLE_CODES], table[NND_TABLE_CODES];
    nnd_tensor from, to;
    for (size_t i = 0; i < NND_TABLE_CODES; i++)
        all[i] = (uint8_t)i;
    NND_TRY(nnd_tensor_init(&from, c->in[0]->dtype, 1, dims, all));
    NND_TRY(nnd_tensor_init(&to, c->in[0]->dtype, 1, dims, table));
    for (size_t i = 0; i < NND_TABLE_CODES; i++)
        nnd_quantise(&to, i, compute(c, nnd_dequantise(&from, i, s)), result);
    return nnd_byte_table_run(c, table);
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

typedef struct where_job {
    const nnd_op_ctx *c;
    nnd_broadcast broadcast;
    const nnd_tensor *in[2];
    nnd_scaling s[2], result;
} where_job;

static void where_block(void *user, size_t out, const size_t *at, size_t n)
{
    const where_job *j = user;
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
    where_job *j = user;
    size_t begin = index * NND_OP_GRAIN, end = begin + NND_OP_GRAIN;
    (void)lane;
    if (end > j->broadcast.total) end = j->broadcast.total;
    nnd_broadcast_runs(&j->broadcast, begin, end, where_block, j);
    return NND_OK;
}

static nnd_status where_run(nnd_op_ctx *c)
{
    where_job j = {.c = c, .in = {c->in[THIS], c->in[OTHER]}};
    const nnd_tensor *operands[3] = {c->in[CONDITION], c->in[THIS], c->in[OTHER]};
    j.s[0] = nnd_scaling_at(c, THIS + 1);
    j.s[1] = nnd_scaling_at(c, OTHER + 1);
    j.result = nnd_scaling_result(c, RESULT);
    nnd_broadcast_init(&j.broadcast, &c->out[0], operands, 3);
    return nnd_op_for(c, nnd_op_tiles(j.broadcast.total), where_tile, &j);
}

/* Zero points may be absent among the inputs: only the first two are certain. */
#define ROW(name, low, high, run, v)                                                               \
    {                                                                                              \
        "com.microsoft", name, 1, 0, low, high, 1, 1, 0, simple_infer, run, .variant = v           \
    }
static const nnd_op ops[] = {
    ROW("QLinearAdd", 2, 8, pair_run, ADD),
    ROW("QLinearMul", 2, 8, pair_run, MUL),
    ROW("QLinearSigmoid", 2, 5, unary_run, SIGMOID),
    ROW("QLinearLeakyRelu", 2, 5, unary_run, LEAKY_RELU),
    {"com.microsoft", "QLinearWhere", 1, 0, 8, 9, 1, 1, 0, where_infer, where_run,
     .variant = WHERE},
};
const nnd_op_family nnd_ops_qlinear_simple = {ops, NND_COUNT(ops)};
