/* Functions of one operand, activations included. */
#include <math.h>
#include <string.h>

#include "engine/ops/rows.h"

enum {
    NEG,
    ABS,
    EXP,
    LOG,
    SQRT,
    RECIPROCAL,
    FLOOR,
    CEIL,
    ROUND,
    SIGN,
    ERF,
    SIN,
    COS,
    TAN,
    ASIN,
    ACOS,
    ATAN,
    SINH,
    COSH,
    TANH,
    ASINH,
    ACOSH,
    ATANH,
    SIGMOID,
    RELU,
    LEAKY_RELU,
    ELU,
    SELU,
    CELU,
    SOFTPLUS,
    SOFTSIGN,
    HARD_SIGMOID,
    HARD_SWISH,
    MISH,
    GELU,
    SWISH,
    THRESHOLDED_RELU,
    SHRINK,
    CLIP,
    BIT_NOT,
    OP_COUNT
};

typedef nnd_unary_params params;
typedef double (*real_fn)(double x, const params *p);
typedef int64_t (*int_fn)(int64_t x, const params *p);

#define REAL(name, expr)                                                                           \
    static double name(double x, const params *p)                                                  \
    {                                                                                              \
        (void)p;                                                                                   \
        return expr;                                                                               \
    }
REAL(f_neg, -x)
REAL(f_abs, fabs(x))
REAL(f_exp, exp(x))
REAL(f_log, log(x))
REAL(f_sqrt, sqrt(x))
REAL(f_reciprocal, 1.0 / x)
REAL(f_floor, floor(x))
REAL(f_ceil, ceil(x))
REAL(f_round, nearbyint(x))
REAL(f_sign, x > 0 ? 1.0 : x < 0 ? -1.0 : x)
REAL(f_erf, erf(x))
REAL(f_sin, sin(x))
REAL(f_cos, cos(x))
REAL(f_tan, tan(x))
REAL(f_asin, asin(x))
REAL(f_acos, acos(x))
REAL(f_atan, atan(x))
REAL(f_sinh, sinh(x))
REAL(f_cosh, cosh(x))
REAL(f_tanh, tanh(x))
REAL(f_asinh, asinh(x))
REAL(f_acosh, acosh(x))
REAL(f_atanh, atanh(x))
REAL(f_sigmoid, 1.0 / (1.0 + exp(-x)))
REAL(f_relu, x > 0 || isnan(x) ? x : 0.0)
REAL(f_leaky_relu, x < 0 ? p->a * x : x)
REAL(f_elu, x < 0 ? p->a * expm1(x) : x)
REAL(f_selu, x > 0 ? p->b * x : p->b * p->a * expm1(x))
REAL(f_celu, x > 0 ? x : p->a * expm1(x / p->a))
REAL(f_softplus, x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)))
REAL(f_softsign, x / (1.0 + fabs(x)))
REAL(f_hard_sigmoid, fmin(fmax(p->a *x + p->b, 0.0), 1.0))
REAL(f_hard_swish, x *fmin(fmax(x / 6.0 + 0.5, 0.0), 1.0))
REAL(f_mish, x *tanh(f_softplus(x, p)))
REAL(f_gelu, p->flag ? 0.5 * x *(1.0 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
                     : 0.5 * x * (1.0 + erf(x * 0.7071067811865476)))
REAL(f_swish, x / (1.0 + exp(-p->a * x)))
REAL(f_thresholded, x > p->a ? x : 0.0)
REAL(f_shrink, x<-p->a ? x + p->b : x> p->a ? x - p->b : 0.0)
REAL(f_clip, x<p->a ? (p->a > p->b ? p->b : p->a) : x> p->b ? p->b : x)

#define INTEGER(name, expr)                                                                        \
    static int64_t name(int64_t x, const params *p)                                                \
    {                                                                                              \
        (void)p;                                                                                   \
        return expr;                                                                               \
    }
INTEGER(i_neg, (int64_t)(0 - (uint64_t)x))
INTEGER(i_abs, x < 0 ? (int64_t)(0 - (uint64_t)x) : x)
INTEGER(i_sign, x > 0 ? 1 : x < 0 ? -1 : 0)
INTEGER(i_relu, x > 0 ? x : 0)
INTEGER(i_clip, x<p->low ? (p->low > p->high ? p->high : p->low) : x> p->high ? p->high : x)
INTEGER(i_not, ~x)
INTEGER(i_same, x)
INTEGER(u_sign, x != 0)
INTEGER(u_clip,
        (uint64_t)x<(uint64_t)p->low ? p->low : (uint64_t)x>(uint64_t) p->high ? p->high : x)

static int64_t i_shrink(int64_t x, const params *p)
{
    return (int64_t)f_shrink((double)x, p);
}

static const struct {
    real_fn real;
    int_fn integer, natural;
} functions[OP_COUNT] = {
    [NEG] = {f_neg, i_neg, NULL},
    [ABS] = {f_abs, i_abs, i_same},
    [EXP] = {f_exp, NULL, NULL},
    [LOG] = {f_log, NULL, NULL},
    [SQRT] = {f_sqrt, NULL, NULL},
    [RECIPROCAL] = {f_reciprocal, NULL, NULL},
    [FLOOR] = {f_floor, NULL, NULL},
    [CEIL] = {f_ceil, NULL, NULL},
    [ROUND] = {f_round, NULL, NULL},
    [SIGN] = {f_sign, i_sign, u_sign},
    [ERF] = {f_erf, NULL, NULL},
    [SIN] = {f_sin, NULL, NULL},
    [COS] = {f_cos, NULL, NULL},
    [TAN] = {f_tan, NULL, NULL},
    [ASIN] = {f_asin, NULL, NULL},
    [ACOS] = {f_acos, NULL, NULL},
    [ATAN] = {f_atan, NULL, NULL},
    [SINH] = {f_sinh, NULL, NULL},
    [COSH] = {f_cosh, NULL, NULL},
    [TANH] = {f_tanh, NULL, NULL},
    [ASINH] = {f_asinh, NULL, NULL},
    [ACOSH] = {f_acosh, NULL, NULL},
    [ATANH] = {f_atanh, NULL, NULL},
    [SIGMOID] = {f_sigmoid, NULL, NULL},
    [RELU] = {f_relu, i_relu, i_same},
    [LEAKY_RELU] = {f_leaky_relu, NULL, NULL},
    [ELU] = {f_elu, NULL, NULL},
    [SELU] = {f_selu, NULL, NULL},
    [CELU] = {f_celu, NULL, NULL},
    [SOFTPLUS] = {f_softplus, NULL, NULL},
    [SOFTSIGN] = {f_softsign, NULL, NULL},
    [HARD_SIGMOID] = {f_hard_sigmoid, NULL, NULL},
    [HARD_SWISH] = {f_hard_swish, NULL, NULL},
    [MISH] = {f_mish, NULL, NULL},
    [GELU] = {f_gelu, NULL, NULL},
    [SWISH] = {f_swish, NULL, NULL},
    [THRESHOLDED_RELU] = {f_thresholded, NULL, NULL},
    [SHRINK] = {f_shrink, i_shrink, i_shrink},
    [CLIP] = {f_clip, i_clip, u_clip},
    [BIT_NOT] = {NULL, i_not, i_not},
};

/* ---- parameters ---------------------------------------------------------------------------- */

static void attr_params(const nnd_graph_node *n, int variant, params *p)
{
    static const struct {
        int variant;
        float a, b;
    } defaults[] = {{LEAKY_RELU, 0.01f, 0},
                    {ELU, 1.0f, 0},
                    {SELU, 1.67326319217681884765625f, 1.05070102214813232421875f},
                    {CELU, 1.0f, 0},
                    {HARD_SIGMOID, 0.2f, 0.5f},
                    {THRESHOLDED_RELU, 1.0f, 0},
                    {SWISH, 1.0f, 0},
                    {SHRINK, 0.5f, 0}};
    for (size_t i = 0; i < NND_COUNT(defaults); i++) {
        if (defaults[i].variant != variant) continue;
        const char *second = variant == SELU ? "gamma" : variant == SHRINK ? "bias" : "beta";
        p->a = (double)nnd_node_float(n, variant == SHRINK ? "lambd" : "alpha", defaults[i].a);
        p->b = (double)nnd_node_float(n, second, defaults[i].b);
    }
    if (variant == SWISH && strcmp(n->type, "QuickGelu") == 0)
        p->a = (double)nnd_node_float(n, "alpha", 1.702f);
    if (variant == GELU) p->flag = strcmp(nnd_node_string(n, "approximate", "none"), "tanh") == 0;
}

/* Limits of Clip; integers beyond 2^53 keep all their bits. */
static nnd_status clip_params(const nnd_op_ctx *c, params *p)
{
    nnd_dtype dtype = c->in[0]->dtype;
    bool natural = nnd_class_of(dtype) == NND_IN_U64;
    p->a = -INFINITY;
    p->b = INFINITY;
    p->low = natural ? 0 : INT64_MIN;
    p->high = natural ? -1 : INT64_MAX; /* −1: all bits set, the largest natural number */
    if (c->node->opset < 11) {
        p->a = (double)nnd_node_float(c->node, "min", -INFINITY);
        p->b = (double)nnd_node_float(c->node, "max", INFINITY);
        return NND_OK;
    }
    for (size_t k = 1; k < 3; k++) {
        const nnd_tensor *t = nnd_op_in(c, k);
        if (!t) continue;
        if (t->dtype != dtype || nnd_tensor_count(t) != 1)
            return nnd_op_fail(c, NND_E_TYPE, "a limit is not one element of the input's type");
        if (nnd_class_of(dtype) <= NND_IN_F64)
            *(k == 1 ? &p->a : &p->b) = nnd_dtype_get(dtype, t->data, 0);
        else
            *(k == 1 ? &p->low : &p->high) = nnd_op_int_at(t, 0);
    }
    return NND_OK;
}

/* ---- rows of f32 --------------------------------------------------------------------------- */

static void find_kernel(nnd_unary_row *r)
{
    static const struct {
        int variant;
        nnd_act_kind kind;
    } acts[] = {{SIGMOID, NND_ACT_SIGMOID},
                {TANH, NND_ACT_TANH},
                {RELU, NND_ACT_RELU},
                {LEAKY_RELU, NND_ACT_LEAKY_RELU},
                {ELU, NND_ACT_ELU},
                {SOFTPLUS, NND_ACT_SOFTPLUS},
                {HARD_SIGMOID, NND_ACT_HARD_SIGMOID},
                {HARD_SWISH, NND_ACT_HARD_SWISH},
                {MISH, NND_ACT_MISH},
                {SWISH, NND_ACT_SILU},
                {CLIP, NND_ACT_CLIP}};
    static const struct {
        int variant;
        nnd_unary_op op;
    } kernels[] = {{NEG, NND_UNARY_NEG},     {ABS, NND_UNARY_ABS},
                   {SQRT, NND_UNARY_SQRT},   {EXP, NND_UNARY_EXP},
                   {LOG, NND_UNARY_LOG},     {ERF, NND_UNARY_ERF},
                   {FLOOR, NND_UNARY_FLOOR}, {CEIL, NND_UNARY_CEIL},
                   {ROUND, NND_UNARY_ROUND}, {RECIPROCAL, NND_UNARY_RECIPROCAL}};
    for (size_t i = 0; i < NND_COUNT(acts); i++)
        if (acts[i].variant == r->variant) {
            r->has_act = true;
            r->act = (nnd_act){acts[i].kind, (float)r->p.a, (float)r->p.b};
        }
    if (r->variant == GELU) {
        r->has_act = true;
        r->act = (nnd_act){r->p.flag ? NND_ACT_GELU_TANH : NND_ACT_GELU, 0, 0};
    }
    for (size_t i = 0; i < NND_COUNT(kernels); i++)
        if (kernels[i].variant == r->variant) {
            r->has_kernel = true;
            r->kernel = kernels[i].op;
        }
}

nnd_status nnd_unary_row_init(const nnd_op_ctx *c, nnd_unary_row *r)
{
    *r = (nnd_unary_row){.variant = c->op->variant};
    attr_params(c->node, r->variant, &r->p);
    if (r->variant == CLIP) NND_TRY(clip_params(c, &r->p));
    find_kernel(r);
    return NND_OK;
}

void nnd_unary_row_apply(const nnd_unary_row *r, const float *x, float *y, size_t n)
{
    if (r->has_act) {
        nnd_act_apply(&r->act, x, y, n);
    } else if (r->has_kernel) {
        nnd_unary_apply(r->kernel, x, y, n);
    } else {
        for (size_t i = 0; i < n; i++)
            y[i] = (float)functions[r->variant].real((double)x[i], &r->p);
    }
}

/* ---- the loop ------------------------------------------------------------------------------ */

typedef struct job {
    const nnd_tensor *x, *y;
    nnd_unary_row row;
    nnd_class in;
    size_t total;
} job;

static void run_block(const job *j, size_t begin, size_t n)
{
    nnd_block_memory mx, my;
    const void *x = nnd_block_load(j->in, j->x->dtype, j->x->data, begin, 1, n, &mx);
    const params *p = &j->row.p;
    int variant = j->row.variant;
    if (j->in == NND_IN_F32) {
        for (size_t i = 0; i < n; i++)
            my.f32[i] = (float)functions[variant].real((double)((const float *)x)[i], p);
    } else if (j->in == NND_IN_F64) {
        for (size_t i = 0; i < n; i++)
            my.f64[i] = functions[variant].real(((const double *)x)[i], p);
    } else {
        int_fn fn = j->in == NND_IN_I64 ? functions[variant].integer : functions[variant].natural;
        for (size_t i = 0; i < n; i++)
            my.i64[i] = fn(((const int64_t *)x)[i], p);
    }
    nnd_block_store(j->in, j->y->dtype, j->y->data, begin, n, &my);
}

static nnd_status tile(void *user, size_t index, int lane)
{
    const job *j = user;
    size_t begin = index * NND_OP_GRAIN, end = begin + NND_OP_GRAIN;
    (void)lane;
    if (end > j->total) end = j->total;
    if (j->x->dtype == NND_F32) {
        nnd_unary_row_apply(&j->row, (const float *)j->x->data + begin, (float *)j->y->data + begin,
                            end - begin);
        return NND_OK;
    }
    for (; begin < end; begin += NND_BLOCK)
        run_block(j, begin, end - begin < NND_BLOCK ? end - begin : NND_BLOCK);
    return NND_OK;
}

static nnd_status unary_run(nnd_op_ctx *c)
{
    job j = {.x = c->in[0],
             .y = &c->out[0],
             .in = nnd_class_of(c->in[0]->dtype),
             .total = (size_t)nnd_tensor_count(&c->out[0])};
    NND_TRY(nnd_unary_row_init(c, &j.row));
    return nnd_op_for(c, nnd_op_tiles(j.total), tile, &j);
}

static nnd_status unary_infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, NND_NUMBERS));
    nnd_class in = nnd_class_of(c->in[0]->dtype);
    int v = c->op->variant;
    bool ok = in <= NND_IN_F64   ? functions[v].real != NULL
              : in == NND_IN_I64 ? functions[v].integer != NULL
                                 : functions[v].natural != NULL;
    if (!ok) return nnd_op_expect(c, 0, 0);
    return nnd_op_like(c, 0, 0);
}

bool nnd_unary_row_can(const nnd_op *op)
{
    return op->run == unary_run && functions[op->variant].real;
}

/* ---- PRelu: a slope per element, broadcast to the input ------------------------------------ */

void nnd_prelu_row_apply(const float *x, size_t x_step, const float *slope, size_t slope_step,
                         float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float v = x[i * x_step];
        y[i] = v < 0 ? v * slope[i * slope_step] : v;
    }
}

typedef struct prelu_job {
    nnd_broadcast broadcast;
    const nnd_tensor *x, *slope, *y;
    nnd_class in;
} prelu_job;

static void prelu_block(void *user, size_t out, const size_t *at, size_t n)
{
    const prelu_job *j = user;
    size_t sx = j->broadcast.strides[0][j->broadcast.rank - 1];
    size_t ss = j->broadcast.strides[1][j->broadcast.rank - 1];
    if (j->x->dtype == NND_F32) {
        nnd_prelu_row_apply((const float *)j->x->data + at[0], sx,
                            (const float *)j->slope->data + at[1], ss, (float *)j->y->data + out,
                            n);
        return;
    }
    nnd_block_memory mx, ms, my;
    for (size_t i = 0; i < n; i += NND_BLOCK) {
        size_t m = n - i < NND_BLOCK ? n - i : NND_BLOCK;
        const void *x = nnd_block_load(j->in, j->x->dtype, j->x->data, at[0] + i * sx, sx, m, &mx);
        const void *s =
            nnd_block_load(j->in, j->slope->dtype, j->slope->data, at[1] + i * ss, ss, m, &ms);
        for (size_t k = 0; k < m; k++) {
            if (j->in == NND_IN_F32) {
                float v = ((const float *)x)[k];
                my.f32[k] = v < 0 ? v * ((const float *)s)[k] : v;
            } else if (j->in == NND_IN_F64) {
                double v = ((const double *)x)[k];
                my.f64[k] = v < 0 ? v * ((const double *)s)[k] : v;
            } else {
                int64_t v = ((const int64_t *)x)[k];
                bool negative = j->in == NND_IN_I64 && v < 0;
                uint64_t scaled = (uint64_t)v * ((const uint64_t *)s)[k];
                my.u64[k] = negative ? scaled : (uint64_t)v;
            }
        }
        nnd_block_store(j->in, j->y->dtype, j->y->data, out + i, m, &my);
    }
}

static nnd_status prelu_tile(void *user, size_t index, int lane)
{
    prelu_job *j = user;
    size_t begin = index * NND_OP_GRAIN, end = begin + NND_OP_GRAIN;
    (void)lane;
    if (end > j->broadcast.total) end = j->broadcast.total;
    nnd_broadcast_runs(&j->broadcast, begin, end, prelu_block, j);
    return NND_OK;
}

/* Old files give one slope per channel as a vector: it is aligned with dimension 1. */
static nnd_tensor prelu_slope(const nnd_op_ctx *c)
{
    nnd_tensor slope = *c->in[1];
    const nnd_tensor *x = c->in[0];
    bool per_channel = slope.rank == 1 && x->rank > 2 && slope.dims[0] == x->dims[1] &&
                       slope.dims[0] != 1 &&
                       (c->node->opset < 9 || slope.dims[0] != x->dims[x->rank - 1]);
    if (!per_channel) return slope;
    slope.rank = x->rank - 1;
    for (int i = 1; i < slope.rank; i++)
        slope.dims[i] = 1;
    return slope;
}

static nnd_status prelu_run(nnd_op_ctx *c)
{
    nnd_tensor slope = prelu_slope(c);
    const nnd_tensor *in[2] = {c->in[0], &slope};
    prelu_job j = {
        .x = c->in[0], .slope = &slope, .y = &c->out[0], .in = nnd_class_of(c->in[0]->dtype)};
    nnd_broadcast_init(&j.broadcast, &c->out[0], in, 2);
    return nnd_op_for(c, nnd_op_tiles(j.broadcast.total), prelu_tile, &j);
}

static nnd_status prelu_infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, NND_NUMBERS));
    NND_TRY(nnd_op_expect(c, 1, 1u << c->in[0]->dtype));
    nnd_tensor slope = prelu_slope(c);
    const nnd_tensor *x = c->in[0];
    for (int i = 0; i < slope.rank; i++) {
        int own = x->rank - slope.rank + i;
        if (slope.dims[i] != 1 && (own < 0 || slope.dims[i] != x->dims[own]))
            return nnd_op_fail(c, NND_E_SHAPE, "the slope does not broadcast to the input");
    }
    return nnd_op_like(c, 0, 0);
}

#define ROW(name, since, v)                                                                        \
    {                                                                                              \
        "", name, since, 0, 1, 1, 1, 1, NND_OP_INPLACE, unary_infer, unary_run, .variant = v       \
    }
static const nnd_op ops[] = {
    ROW("Neg", 1, NEG),
    ROW("Abs", 1, ABS),
    ROW("Exp", 1, EXP),
    ROW("Log", 1, LOG),
    ROW("Sqrt", 1, SQRT),
    ROW("Reciprocal", 1, RECIPROCAL),
    ROW("Floor", 1, FLOOR),
    ROW("Ceil", 1, CEIL),
    ROW("Round", 11, ROUND),
    ROW("Sign", 9, SIGN),
    ROW("Erf", 9, ERF),
    ROW("Sin", 7, SIN),
    ROW("Cos", 7, COS),
    ROW("Tan", 7, TAN),
    ROW("Asin", 7, ASIN),
    ROW("Acos", 7, ACOS),
    ROW("Atan", 7, ATAN),
    ROW("Sinh", 9, SINH),
    ROW("Cosh", 9, COSH),
    ROW("Tanh", 1, TANH),
    ROW("Asinh", 9, ASINH),
    ROW("Acosh", 9, ACOSH),
    ROW("Atanh", 9, ATANH),
    ROW("Sigmoid", 1, SIGMOID),
    ROW("Relu", 1, RELU),
    ROW("LeakyRelu", 1, LEAKY_RELU),
    ROW("Elu", 1, ELU),
    ROW("Selu", 1, SELU),
    ROW("Celu", 12, CELU),
    ROW("Softplus", 1, SOFTPLUS),
    ROW("Softsign", 1, SOFTSIGN),
    ROW("HardSigmoid", 1, HARD_SIGMOID),
    ROW("HardSwish", 14, HARD_SWISH),
    ROW("Mish", 18, MISH),
    ROW("Gelu", 20, GELU),
    ROW("Swish", 24, SWISH),
    ROW("ThresholdedRelu", 10, THRESHOLDED_RELU),
    ROW("Shrink", 9, SHRINK),
    ROW("BitwiseNot", 18, BIT_NOT),
    {"", "Clip", 1, 0, 1, 3, 1, 1, NND_OP_INPLACE, unary_infer, unary_run, .variant = CLIP},
    {"", "PRelu", 1, 0, 2, 2, 1, 1, NND_OP_INPLACE, prelu_infer, prelu_run, .variant = 0},
    {"com.microsoft", "Gelu", 1, 0, 1, 1, 1, 1, NND_OP_INPLACE, unary_infer, unary_run,
     .variant = GELU},
    {"com.microsoft", "QuickGelu", 1, 0, 1, 1, 1, 1, NND_OP_INPLACE, unary_infer, unary_run,
     .variant = SWISH},
};
const nnd_op_family nnd_ops_unary = {ops, NND_COUNT(ops)};
