#include "engine/plan/work.h"

#include <string.h>

#include "engine/ops/brought.h"
#include "engine/ops/elementwise.h"

#define MS "com.microsoft"

static double count_of(const nnd_tensor *t)
{
    return t ? (double)nnd_tensor_count(t) : 0;
}

static const nnd_tensor *result(const nnd_op_ctx *c)
{
    return c->out_count ? &c->out[0] : NULL;
}

/* ---- so many operations per element ---------------------------------------------------------- */

typedef enum basis { OUTPUT, INPUT } basis;

typedef struct entry {
    const char *domain, *name;
    basis per; /* element of output 0 or of input 0 */
    int operations;
} entry;

/* By name: a row of the table has no room for what only a profile wants to know. */
static const entry entries[] = {
    /* two operands */
    {"", "Add", OUTPUT, 1},
    {"", "Sub", OUTPUT, 1},
    {"", "Mul", OUTPUT, 1},
    {"", "Div", OUTPUT, 1},
    {"", "Pow", OUTPUT, 1},
    {"", "Mod", OUTPUT, 1},
    {"", "And", OUTPUT, 1},
    {"", "Or", OUTPUT, 1},
    {"", "Xor", OUTPUT, 1},
    {"", "BitwiseAnd", OUTPUT, 1},
    {"", "BitwiseOr", OUTPUT, 1},
    {"", "BitwiseXor", OUTPUT, 1},
    {"", "BitShift", OUTPUT, 1},
    {"", "Equal", OUTPUT, 1},
    {"", "Less", OUTPUT, 1},
    {"", "LessOrEqual", OUTPUT, 1},
    {"", "Greater", OUTPUT, 1},
    {"", "GreaterOrEqual", OUTPUT, 1},
    {"", "PRelu", OUTPUT, 2}, /* compare, multiply */
    /* one operand */
    {"", "Abs", OUTPUT, 1},
    {"", "Neg", OUTPUT, 1},
    {"", "Sign", OUTPUT, 1},
    {"", "Not", OUTPUT, 1},
    {"", "BitwiseNot", OUTPUT, 1},
    {"", "Floor", OUTPUT, 1},
    {"", "Ceil", OUTPUT, 1},
    {"", "Round", OUTPUT, 1},
    {"", "Reciprocal", OUTPUT, 1},
    {"", "Sqrt", OUTPUT, 1},
    {"", "Exp", OUTPUT, 1},
    {"", "Log", OUTPUT, 1},
    {"", "Erf", OUTPUT, 1},
    {"", "Sin", OUTPUT, 1},
    {"", "Cos", OUTPUT, 1},
    {"", "Tan", OUTPUT, 1},
    {"", "Asin", OUTPUT, 1},
    {"", "Acos", OUTPUT, 1},
    {"", "Atan", OUTPUT, 1},
    {"", "Sinh", OUTPUT, 1},
    {"", "Cosh", OUTPUT, 1},
    {"", "Tanh", OUTPUT, 1},
    {"", "Asinh", OUTPUT, 1},
    {"", "Acosh", OUTPUT, 1},
    {"", "Atanh", OUTPUT, 1},
    {"", "IsNaN", OUTPUT, 1},
    {"", "IsInf", OUTPUT, 1},
    {"", "Relu", OUTPUT, 1},
    {"", "Clip", OUTPUT, 2},
    {"", "LeakyRelu", OUTPUT, 2},       /* compare, multiply */
    {"", "ThresholdedRelu", OUTPUT, 1}, /* compare */
    {"", "Elu", OUTPUT, 4},             /* compare, exp, − 1, multiply */
    {"", "Celu", OUTPUT, 5},            /* … of x / alpha */
    {"", "Selu", OUTPUT, 5},            /* … twice multiplied */
    {"", "Sigmoid", OUTPUT, 4},         /* negate, exp, + 1, divide */
    {"", "HardSigmoid", OUTPUT, 4},     /* multiply-add, two clamps */
    {"", "HardSwish", OUTPUT, 5},       /* … times x */
    {"", "Softplus", OUTPUT, 3},        /* exp, + 1, log */
    {"", "Softsign", OUTPUT, 3},        /* absolute value, + 1, divide */
    {"", "Mish", OUTPUT, 5},            /* Softplus, tanh, times x */
    {"", "Swish", OUTPUT, 6},           /* alpha · x, Sigmoid, times x */
    {"", "Gelu", OUTPUT, 5},            /* x / √2, erf, + 1, times x / 2 */
    {MS, "Gelu", OUTPUT, 5},
    {MS, "QuickGelu", OUTPUT, 6},      /* as Swish */
    {MS, "BiasGelu", OUTPUT, 6},       /* the bias as well */
    {"", "SwiGLU", OUTPUT, 6},         /* Swish without alpha, times the other half */
    {MS, "FastGelu", OUTPUT, 9},       /* x + a·x³ (4), times √(2/π), tanh, + 1, times x / 2 */
    {"", "QuantizeLinear", OUTPUT, 5}, /* divide, round, add, two clamps */
    {"", "DequantizeLinear", OUTPUT, 2},      /* subtract, multiply */
    {"", "DynamicQuantizeLinear", OUTPUT, 7}, /* the extremes (2) and QuantizeLinear */
    /* rows: each element is looked at several times */
    {"", "Softmax", OUTPUT, 5},    /* maximum, − maximum, exp, sum, divide */
    {"", "LogSoftmax", OUTPUT, 5}, /* … subtract in the end */
    {"", "Hardmax", OUTPUT, 1},
    {"", "LpNormalization", OUTPUT, 3},           /* square, sum, divide */
    {"", "BatchNormalization", OUTPUT, 2},        /* multiply-add */
    {"", "MeanVarianceNormalization", OUTPUT, 5}, /* sum, − mean, square, sum, divide */
    {"", "InstanceNormalization", OUTPUT, 7},     /* … scale, bias */
    {"", "GroupNormalization", OUTPUT, 7},
    {"", "CumSum", OUTPUT, 1},
    /* many to one */
    {"", "ReduceSum", INPUT, 1},
    {"", "ReduceMean", INPUT, 1},
    {"", "ReduceMax", INPUT, 1},
    {"", "ReduceMin", INPUT, 1},
    {"", "ReduceProd", INPUT, 1},
    {"", "ReduceL1", INPUT, 2},        /* absolute value, sum */
    {"", "ReduceL2", INPUT, 2},        /* square, sum */
    {"", "ReduceSumSquare", INPUT, 2}, /* square, sum */
    {"", "ReduceLogSum", INPUT, 1},
    {"", "ReduceLogSumExp", INPUT, 4}, /* maximum, − maximum, exp, sum */
    {"", "ArgMax", INPUT, 1},
    {"", "ArgMin", INPUT, 1},
};

/* ---- operators that need more than a factor -------------------------------------------------- */

/* All operands into one. */
static double of_several(const nnd_op_ctx *c)
{
    bool mean = strcmp(c->op->name, "Mean") == 0;
    return count_of(result(c)) * (double)(c->in_count - 1 + (mean ? 1 : 0));
}

/* Sum, − mean, square, sum, divide; then scale and bias where they are. */
static double of_layer_norm(const nnd_op_ctx *c)
{
    double each = 5;
    for (size_t k = 1; k < c->in_count; k++)
        each += c->in[k] ? 1 : 0;
    return each * count_of(result(c));
}

/* Square, sum, divide, scale. */
static double of_rms_norm(const nnd_op_ctx *c)
{
    return 4 * count_of(result(c));
}

/* The operands that are added (skip, bias), then the normalisation. Inputs: x, skip, gamma,
   {beta,} bias. */
static double of_skip_norm(const nnd_op_ctx *c)
{
    double each = 5;
    if (strcmp(c->op->name, "SkipSimplifiedLayerNormalization") == 0) each = 3;
    for (size_t k = 1; k < c->in_count; k++)
        each += c->in[k] ? 1 : 0;
    return each * count_of(result(c));
}

/* Two or three tables are added, then LayerNormalization with scale and bias. */
static double of_embed_norm(const nnd_op_ctx *c)
{
    return count_of(result(c)) * (nnd_op_in(c, 4) ? 9 : 8);
}

/* Squares and their sum over the window, times a factor, + bias, power, divide. */
static double of_lrn(const nnd_op_ctx *c)
{
    return count_of(result(c)) * (2.0 * (double)nnd_node_int(c->node, "size", 1) + 4);
}

/* Multiply-adds of all taps; an axis whose size stays has none. */
static double of_resize(const nnd_op_ctx *c)
{
    const char *mode = nnd_node_string(c->node, "mode", "nearest");
    const nnd_tensor *x = nnd_op_in(c, 0), *y = result(c);
    double taps = strcmp(mode, "cubic") == 0 ? 4 : strcmp(mode, "linear") == 0 ? 2 : 0, each = 1;
    if (!x || !y || !(taps > 0) || x->rank != y->rank) return 0;
    for (int i = 0; i < y->rank; i++)
        if (x->dims[i] != y->dims[i]) each *= taps;
    return each > 1 ? 2 * each * count_of(y) : 0;
}

/* Those of its parts. */
static double of_parts(const nnd_op_ctx *c)
{
    nnd_part_memory memory;
    nnd_op_ctx part;
    double sum = 0;
    for (size_t i = 0; i < c->node->part_count; i++)
        if (nnd_elementwise_part(c, i, &memory, &part) == NND_OK) sum += nnd_work_flops(&part);
    return sum;
}

static const struct {
    const char *domain, *name;
    double (*operations)(const nnd_op_ctx *c);
} counted[] = {
    {"", "Sum", of_several},
    {"", "Mean", of_several},
    {"", "Max", of_several},
    {"", "Min", of_several},
    {"", "LayerNormalization", of_layer_norm},
    {"", "RMSNormalization", of_rms_norm},
    {"", "SimplifiedLayerNormalization", of_rms_norm},
    {MS, "SimplifiedLayerNormalization", of_rms_norm},
    {MS, "EmbedLayerNormalization", of_embed_norm},
    {MS, "SkipLayerNormalization", of_skip_norm},
    {MS, "SkipSimplifiedLayerNormalization", of_skip_norm},
    {"", "LRN", of_lrn},
    {"", "Resize", of_resize},
    {"", "Upsample", of_resize},
    {"", "Elementwise", of_parts},
};

static bool is(const nnd_op *op, const char *domain, const char *name)
{
    return strcmp(op->name, name) == 0 && strcmp(op->domain, domain) == 0;
}

double nnd_work_flops(const nnd_op_ctx *c)
{
    const nnd_op *op = nnd_brought_own(c->op);
    if (op->flops) return c->op->flops(c);
    for (size_t i = 0; i < NND_COUNT(entries); i++) {
        const entry *e = &entries[i];
        if (!is(op, e->domain, e->name)) continue;
        return e->operations * count_of(e->per == OUTPUT ? result(c) : nnd_op_in(c, 0));
    }
    for (size_t i = 0; i < NND_COUNT(counted); i++)
        if (is(op, counted[i].domain, counted[i].name)) return counted[i].operations(c);
    return 0;
}
