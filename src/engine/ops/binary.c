/* Arithmetic of two or more operands with broadcasting. */
#include <math.h>
#include <string.h>

#include "engine/ops/rows.h"

enum {
    ADD,
    SUB,
    MUL,
    DIV,
    POW,
    MOD,
    MIN,
    MAX,
    SUM,
    MEAN,
    BIT_AND,
    BIT_OR,
    BIT_XOR,
    SHIFT,
    OP_COUNT
};

/* Division by zero gives zero for integers: ONNX leaves it open and a trap is no answer. */
static int64_t div_i64(int64_t a, int64_t b)
{
    if (b == 0) return 0;
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

/* Mod with fmod = 0 takes the divisor's sign, as in Python. */
static int64_t mod_i64(int64_t a, int64_t b)
{
    if (b == 0 || b == -1) return 0;
    int64_t r = a % b;
    return r != 0 && ((r < 0) != (b < 0)) ? r + b : r;
}

static double mod_f64(double a, double b)
{
    double r = fmod(a, b);
    return r != 0 && ((r < 0) != (b < 0)) ? r + b : r;
}

static int64_t pow_i64(int64_t base, int64_t exponent)
{
    if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent & 1 ? -1 : 1) : 0;
    uint64_t result = 1, factor = (uint64_t)base;
    for (; exponent; exponent >>= 1) {
        if (exponent & 1) result *= factor;
        factor *= factor;
    }
    return (int64_t)result;
}

static float min_f32(float a, float b)
{
    return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
}
static float max_f32(float a, float b)
{
    return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}
static double min_f64(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
}
static double max_f64(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
}

typedef nnd_binary_block block_fn;
#define BLOCK_FN(name, type, expr)                                                                 \
    static void name(const void *va, const void *vb, void *vy, size_t n, int64_t flag)             \
    {                                                                                              \
        const type *pa = va, *pb = vb;                                                             \
        type *y = vy;                                                                              \
        (void)flag;                                                                                \
        for (size_t i = 0; i < n; i++) {                                                           \
            const type a = pa[i], b = pb[i];                                                       \
            y[i] = (type)(expr);                                                                   \
        }                                                                                          \
    }
#define U(x) ((uint64_t)(x))

BLOCK_FN(add_f, float, a + b)
BLOCK_FN(add_d, double, a + b)
BLOCK_FN(add_i, uint64_t, a + b)
BLOCK_FN(sub_f, float, a - b)
BLOCK_FN(sub_d, double, a - b)
BLOCK_FN(sub_i, uint64_t, a - b)
BLOCK_FN(mul_f, float, a *b)
BLOCK_FN(mul_d, double, a *b)
BLOCK_FN(mul_i, uint64_t, a *b)
BLOCK_FN(div_f, float, a / b)
BLOCK_FN(div_d, double, a / b)
BLOCK_FN(div_i, int64_t, div_i64(a, b))
BLOCK_FN(div_u, uint64_t, b ? a / b : 0)
BLOCK_FN(pow_f, float, powf(a, b))
BLOCK_FN(pow_d, double, pow(a, b))
BLOCK_FN(pow_i, int64_t, pow_i64(a, b))
BLOCK_FN(pow_u, uint64_t,
         pow_i64((int64_t)a, (int64_t)(b >> 1)) * pow_i64((int64_t)a, (int64_t)(b - (b >> 1))))
BLOCK_FN(mod_f, float, flag ? fmodf(a, b) : (float)mod_f64((double)a, (double)b))
BLOCK_FN(mod_d, double, flag ? fmod(a, b) : mod_f64(a, b))
BLOCK_FN(mod_i, int64_t, flag ? (b == 0 || b == -1 ? 0 : a % b) : mod_i64(a, b))
BLOCK_FN(mod_u, uint64_t, b ? a % b : 0)
BLOCK_FN(min_f, float, min_f32(a, b))
BLOCK_FN(min_d, double, min_f64(a, b))
BLOCK_FN(min_i, int64_t, a < b ? a : b)
BLOCK_FN(min_u, uint64_t, a < b ? a : b)
BLOCK_FN(max_f, float, max_f32(a, b))
BLOCK_FN(max_d, double, max_f64(a, b))
BLOCK_FN(max_i, int64_t, a > b ? a : b)
BLOCK_FN(max_u, uint64_t, a > b ? a : b)
BLOCK_FN(and_i, uint64_t, a &b)
BLOCK_FN(or_i, uint64_t, a | b)
BLOCK_FN(xor_i, uint64_t, a ^ b)
BLOCK_FN(shift_u, uint64_t, b > 63 ? 0 : flag ? a << b : a >> b)

static const block_fn block_fns[OP_COUNT][NND_IN_COUNT] = {
    [ADD] = {add_f, add_d, add_i, add_i},   [SUB] = {sub_f, sub_d, sub_i, sub_i},
    [MUL] = {mul_f, mul_d, mul_i, mul_i},   [DIV] = {div_f, div_d, div_i, div_u},
    [POW] = {pow_f, pow_d, pow_i, pow_u},   [MOD] = {mod_f, mod_d, mod_i, mod_u},
    [MIN] = {min_f, min_d, min_i, min_u},   [MAX] = {max_f, max_d, max_i, max_u},
    [SUM] = {add_f, add_d, NULL, NULL},     [MEAN] = {add_f, add_d, NULL, NULL},
    [BIT_AND] = {NULL, NULL, and_i, and_i}, [BIT_OR] = {NULL, NULL, or_i, or_i},
    [BIT_XOR] = {NULL, NULL, xor_i, xor_i}, [SHIFT] = {NULL, NULL, NULL, shift_u},
};

/* ---- rows of f32 --------------------------------------------------------------------------- */

/* nnd_binary_op, −1 = no kernel does it. */
static int kernel_of(int variant)
{
    static const int kernels[] = {[ADD] = NND_BINARY_ADD,
                                  [SUB] = NND_BINARY_SUB,
                                  [MUL] = NND_BINARY_MUL,
                                  [DIV] = NND_BINARY_DIV,
                                  [POW] = -1,
                                  [MOD] = -1,
                                  [MIN] = NND_BINARY_MIN,
                                  [MAX] = NND_BINARY_MAX,
                                  [SUM] = NND_BINARY_ADD,
                                  [MEAN] = NND_BINARY_ADD};
    return variant <= MEAN ? kernels[variant] : -1;
}

/* x to the power of 2, which norms are full of. */
static bool is_square(int variant, const nnd_tensor *a, const nnd_tensor *b)
{
    return variant == POW && a->dtype == NND_F32 && nnd_tensor_count(b) == 1 &&
           nnd_dtype_get(b->dtype, b->data, 0) == 2.0;
}

static int64_t flag_of(const nnd_graph_node *n, int variant)
{
    return variant == MOD ? nnd_node_int(n, "fmod", 0)
                          : strcmp(nnd_node_string(n, "direction", "LEFT"), "LEFT") == 0;
}

void nnd_binary_row_init(const nnd_op_ctx *c, nnd_binary_row *r)
{
    int variant = c->op->variant;
    *r = (nnd_binary_row){.squares = is_square(variant, c->in[0], c->in[1])};
    r->kernel = kernel_of(r->squares ? MUL : variant);
    r->block = block_fns[variant][NND_IN_F32];
    r->flag = flag_of(c->node, variant);
}

void nnd_binary_row_apply(const nnd_binary_row *r, nnd_binary_mode mode, const float *a,
                          const float *b, float *y, size_t n)
{
    size_t a_step = mode != NND_BINARY_SCALAR_A, b_step = mode != NND_BINARY_SCALAR_B;
    if (r->kernel >= 0) {
        nnd_binary_apply((nnd_binary_op)r->kernel, mode, a, b, y, n, NULL);
        return;
    }
    nnd_block_memory ma, mb, my;
    for (size_t i = 0; i < n; i += NND_BLOCK) {
        size_t m = n - i < NND_BLOCK ? n - i : NND_BLOCK;
        const void *pa = nnd_block_load(NND_IN_F32, NND_F32, a, i * a_step, a_step, m, &ma);
        const void *pb = nnd_block_load(NND_IN_F32, NND_F32, b, i * b_step, b_step, m, &mb);
        r->block(pa, pb, &my, m, r->flag);
        memcpy(y + i, &my, m * sizeof(*y));
    }
}

/* ---- the loop ------------------------------------------------------------------------------ */

typedef struct job {
    nnd_broadcast broadcast;
    const nnd_tensor *a, *b, *y;
    nnd_class in;
    block_fn fn;
    int64_t flag;
    int kernel;  /* nnd_binary_op for plain f32, −1 = none */
    float scale; /* Mean: 1/count after the last addition */
} job;

static void run_f32(const job *j, size_t out, const size_t *at, size_t n)
{
    const float *a = (const float *)j->a->data + at[0], *b = (const float *)j->b->data + at[1];
    float *y = (float *)j->y->data + out;
    int last = j->broadcast.rank - 1;
    size_t sa = j->broadcast.strides[0][last], sb = j->broadcast.strides[1][last];
    nnd_binary_mode mode = sa == sb  ? NND_BINARY_BOTH
                           : sa == 0 ? NND_BINARY_SCALAR_A
                                     : NND_BINARY_SCALAR_B;
    nnd_binary_apply((nnd_binary_op)j->kernel, mode, a, b, y, n, NULL);
}

static void run_blocks(void *user, size_t out, const size_t *at, size_t n)
{
    const job *j = user;
    int last = j->broadcast.rank - 1;
    size_t sa = j->broadcast.strides[0][last], sb = j->broadcast.strides[1][last];
    if (j->kernel >= 0 && sa <= 1 && sb <= 1 && (sa | sb || n == 1)) {
        run_f32(j, out, at, n);
        return;
    }
    nnd_block_memory ma, mb, my;
    for (size_t i = 0; i < n; i += NND_BLOCK) {
        size_t m = n - i < NND_BLOCK ? n - i : NND_BLOCK;
        const void *a = nnd_block_load(j->in, j->a->dtype, j->a->data, at[0] + i * sa, sa, m, &ma);
        const void *b = nnd_block_load(j->in, j->b->dtype, j->b->data, at[1] + i * sb, sb, m, &mb);
        j->fn(a, b, &my, m, j->flag);
        for (size_t k = 0; k < m && j->scale != 1.0f; k++) {
            if (j->in == NND_IN_F32) my.f32[k] *= j->scale;
            if (j->in == NND_IN_F64) my.f64[k] *= (double)j->scale;
        }
        nnd_block_store(j->in, j->y->dtype, j->y->data, out + i, m, &my);
    }
}

static nnd_status tile(void *user, size_t index, int lane)
{
    job *j = user;
    size_t begin = index * NND_OP_GRAIN, end = begin + NND_OP_GRAIN;
    (void)lane;
    if (end > j->broadcast.total) end = j->broadcast.total;
    nnd_broadcast_runs(&j->broadcast, begin, end, run_blocks, j);
    return NND_OK;
}

/* A block of channels per image and block index against whole planes, in NCHWc: merged to
   [planes, pixels, block] with the second operand repeated over pixels. Runs of one block each
   would be too short. */
static bool is_per_channel(const job *j)
{
    const nnd_broadcast *b = &j->broadcast;
    size_t block = (size_t)nnd_kernel_block();
    int last = b->rank - 1;
    if (j->kernel < 0 || b->rank < 2 || b->rank > 3 || b->dims[last] != block) return false;
    for (int k = 0; k < 2; k++)
        if (b->strides[k][last] != 1) return false;
    bool whole = b->strides[0][last - 1] == block && b->strides[1][last - 1] == 0;
    if (b->rank == 3)
        whole = whole && b->strides[0][0] == b->dims[1] * block && b->strides[1][0] == block;
    return whole;
}

static nnd_status channel_tile(void *user, size_t plane, int lane)
{
    const job *j = user;
    const nnd_broadcast *b = &j->broadcast;
    size_t planes = b->rank == 3 ? b->dims[0] : 1;
    (void)lane;
    nnd_binary_channel((nnd_binary_op)j->kernel, NND_KERNEL_NCHWC, j->a->data, j->b->data,
                       j->y->data, planes * b->dims[b->rank - 1], b->dims[b->rank - 2], plane, 1,
                       NULL);
    return NND_OK;
}

/* Before opset 7, with broadcast = 1, the second operand was laid over the first one from dimension
   `axis` on: ones behind it make today's rule out of that. */
static nnd_tensor second_operand(const nnd_op_ctx *c)
{
    nnd_tensor b = *c->in[1];
    int rank = c->in[0]->rank;
    if (c->node->opset >= 7 || !nnd_node_int(c->node, "broadcast", 0)) return b;
    int64_t axis = nnd_node_int(c->node, "axis", rank - b.rank);
    if (axis < 0) axis += rank;
    for (int64_t missing = rank - axis - b.rank; missing > 0 && b.rank < NND_MAX_RANK; missing--)
        b.dims[b.rank++] = 1;
    return b;
}

static nnd_status combine(nnd_op_ctx *c, const nnd_tensor *a, const nnd_tensor *b, float scale)
{
    int variant = c->op->variant;
    if (is_square(variant, a, b)) {
        variant = MUL;
        b = a;
    }
    const nnd_tensor *in[2] = {a, b};
    job j = {.a = a, .b = b, .y = &c->out[0], .in = nnd_class_of(a->dtype), .scale = scale};
    j.flag = flag_of(c->node, variant);
    j.fn = block_fns[variant][j.in];
    /* An exponent of another type: both sides go through floating point where one is. */
    if (nnd_class_of(b->dtype) <= NND_IN_F64 && j.in > NND_IN_F64) {
        j.in = NND_IN_F64;
        j.fn = block_fns[variant][j.in];
    }
    bool plain = a->dtype == NND_F32 && b->dtype == NND_F32 && scale == 1.0f;
    j.kernel = plain ? kernel_of(variant) : -1;
    nnd_broadcast_init(&j.broadcast, &c->out[0], in, 2);
    if (j.broadcast.total && is_per_channel(&j))
        return nnd_op_for(c, j.broadcast.rank == 3 ? j.broadcast.dims[0] : 1, channel_tile, &j);
    return nnd_op_for(c, nnd_op_tiles(j.broadcast.total), tile, &j);
}

static nnd_status binary_run(nnd_op_ctx *c)
{
    size_t n = c->node->formal_count;
    if (n == 1) {
        memmove(c->out[0].data, c->in[0]->data, nnd_tensor_bytes(&c->out[0]));
        return NND_OK;
    }
    float mean = c->op->variant == MEAN ? 1.0f / (float)n : 1.0f;
    nnd_tensor second = second_operand(c);
    NND_TRY(combine(c, c->in[0], &second, n == 2 ? mean : 1.0f));
    for (size_t i = 2; i < n; i++)
        NND_TRY(combine(c, &c->out[0], c->in[i], i + 1 == n ? mean : 1.0f));
    return NND_OK;
}

bool nnd_binary_row_can(const nnd_graph_node *n)
{
    return n->op->run == binary_run && n->formal_count == 2 && n->opset >= 7 &&
           n->op->variant != MEAN && block_fns[n->op->variant][NND_IN_F32];
}

bool nnd_binary_row_wants_constant(const nnd_op *op)
{
    return op->variant == POW;
}

/* ---- shapes -------------------------------------------------------------------------------- */

static nnd_status binary_infer(nnd_op_ctx *c)
{
    int64_t dims[NND_MAX_RANK];
    int rank;
    size_t n = c->node->formal_count;
    const nnd_tensor *operands[2] = {nnd_op_in(c, 0), NULL};
    nnd_tensor second;
    nnd_op_ctx pair = *c;
    if (n == 2 && operands[0] && nnd_op_in(c, 1)) {
        second = second_operand(c);
        operands[1] = &second;
        pair.in = operands;
    }
    NND_TRY(nnd_op_broadcast(&pair, 0, n, &rank, dims));
    const nnd_tensor *t;
    NND_TRY(nnd_op_need(c, 0, &t));
    const nnd_dtype dtype = t->dtype;
    if (!block_fns[c->op->variant][nnd_class_of(dtype)] || !(NND_NUMBERS >> dtype & 1u))
        return nnd_op_expect(c, 0, 0);
    for (size_t i = 1; i < n; i++) {
        NND_TRY(nnd_op_expect(c, i, NND_NUMBERS));
        NND_TRY(nnd_op_need(c, i, &t));
        if (t->dtype != dtype && c->op->variant != POW)
            return nnd_op_fail(c, NND_E_TYPE, "operands differ in type: %s and %s",
                               nnd_dtype_name(dtype), nnd_dtype_name(t->dtype));
    }
    return nnd_op_output(c, 0, dtype, rank, dims);
}

#define ROW(name, since, low, high, v)                                                             \
    {                                                                                              \
        "", name, since, 0, low, high, 1, 1, NND_OP_INPLACE, binary_infer, binary_run,             \
            .variant = v                                                                           \
    }
static const nnd_op ops[] = {
    ROW("Add", 1, 2, 2, ADD),
    ROW("Sub", 1, 2, 2, SUB),
    ROW("Mul", 1, 2, 2, MUL),
    ROW("Div", 1, 2, 2, DIV),
    ROW("Pow", 1, 2, 2, POW),
    ROW("Mod", 10, 2, 2, MOD),
    ROW("Min", 1, 1, -1, MIN),
    ROW("Max", 1, 1, -1, MAX),
    ROW("Sum", 1, 1, -1, SUM),
    ROW("Mean", 1, 1, -1, MEAN),
    ROW("BitwiseAnd", 18, 2, 2, BIT_AND),
    ROW("BitwiseOr", 18, 2, 2, BIT_OR),
    ROW("BitwiseXor", 18, 2, 2, BIT_XOR),
    ROW("BitShift", 11, 2, 2, SHIFT),
};
const nnd_op_family nnd_ops_binary = {ops, NND_COUNT(ops)};
