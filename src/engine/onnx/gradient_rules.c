/*
 * The rule of each operator: from the derivatives of y by what a node computes to those by what it
 * reads. Rules are written in operators, so the derivatives can be differentiated again; shapes are
 * computed in the graph, where the planner folds them as soon as they are known.
 */
#include <string.h>

#include "engine/onnx/gradient.h"

/* ---- words that rules are written in ------------------------------------------------------- */

static uint32_t emit_1(nnd_gradient *d, const char *type, uint32_t a)
{
    return nnd_gradient_emit(d, type, 1, &a);
}

static uint32_t emit_2(nnd_gradient *d, const char *type, uint32_t a, uint32_t b)
{
    return nnd_gradient_emit(d, type, 2, (uint32_t[]){a, b});
}

static uint32_t emit_3(nnd_gradient *d, const char *type, uint32_t a, uint32_t b, uint32_t c)
{
    return nnd_gradient_emit(d, type, 3, (uint32_t[]){a, b, c});
}

static uint32_t add(nnd_gradient *d, uint32_t a, uint32_t b)
{
    return emit_2(d, "Add", a, b);
}

static uint32_t subtract(nnd_gradient *d, uint32_t a, uint32_t b)
{
    return emit_2(d, "Sub", a, b);
}

static uint32_t multiply(nnd_gradient *d, uint32_t a, uint32_t b)
{
    return emit_2(d, "Mul", a, b);
}

static uint32_t divide(nnd_gradient *d, uint32_t a, uint32_t b)
{
    return emit_2(d, "Div", a, b);
}

static uint32_t scale(nnd_gradient *d, uint32_t a, double factor)
{
    return multiply(d, a, nnd_gradient_number(d, factor, a));
}

/* Where the condition holds, `a`, else 0. */
static uint32_t where(nnd_gradient *d, uint32_t condition, uint32_t a)
{
    return emit_3(d, "Where", condition, a, nnd_gradient_number(d, 0, a));
}

static uint32_t one(nnd_gradient *d, int64_t v)
{
    return nnd_gradient_list(d, &v, 1);
}

static uint32_t shape_of(nnd_gradient *d, uint32_t value)
{
    return emit_1(d, "Shape", value);
}

/* Number of dimensions, i64[1]; of a value's shape. */
static uint32_t rank_of(nnd_gradient *d, uint32_t shape)
{
    return emit_1(d, "Shape", shape);
}

/* Entry `at` of a shape as i64[1]; from the end when negative. */
static uint32_t dim_of(nnd_gradient *d, uint32_t shape, int64_t at)
{
    return emit_2(d, "Gather", shape, one(d, at));
}

static uint32_t join(nnd_gradient *d, size_t count, const uint32_t *shapes)
{
    const uint32_t joined = nnd_gradient_emit(d, "Concat", count, shapes);
    nnd_gradient_int(d, "axis", 0);
    return joined;
}

/* A list of `count` (i64[1]) ones. */
static uint32_t ones(nnd_gradient *d, uint32_t count)
{
    return emit_2(d, "Expand", one(d, 1), count);
}

/* A 0 in `shape` is no dimension that stays: it is empty. */
static uint32_t reshape(nnd_gradient *d, uint32_t value, uint32_t shape)
{
    const uint32_t result = emit_2(d, "Reshape", value, shape);
    nnd_gradient_int(d, "allowzero", 1);
    return result;
}

static uint32_t reshape_like(nnd_gradient *d, uint32_t value, uint32_t like)
{
    return reshape(d, value, shape_of(d, like));
}

static uint32_t flatten(nnd_gradient *d, uint32_t value)
{
    return emit_2(d, "Reshape", value, one(d, -1));
}

static uint32_t transpose(nnd_gradient *d, uint32_t value, const int64_t *perm, size_t rank)
{
    const uint32_t result = emit_1(d, "Transpose", value);
    nnd_gradient_ints(d, "perm", perm, rank);
    return result;
}

static uint32_t sum_over(nnd_gradient *d, uint32_t value, uint32_t axes, bool keep)
{
    const uint32_t sum = emit_2(d, "ReduceSum", value, axes);
    nnd_gradient_int(d, "keepdims", keep);
    nnd_gradient_int(d, "noop_with_empty_axes", 1);
    return sum;
}

/* Undoes broadcasting: the sum over what was repeated to get from `shape` to the value's. */
static uint32_t sum_to(nnd_gradient *d, uint32_t value, uint32_t shape)
{
    const uint32_t wide = shape_of(d, value);
    const uint32_t missing = subtract(d, rank_of(d, wide), rank_of(d, shape));
    const uint32_t aligned = join(d, 2, (uint32_t[]){ones(d, missing), shape});
    const uint32_t differs = emit_1(d, "Not", emit_2(d, "Equal", aligned, wide));
    const uint32_t axes = flatten(d, emit_1(d, "NonZero", differs));
    return reshape(d, sum_over(d, value, axes, true), shape);
}

/* A part that may have been broadcast from input i. */
static void give_sum(nnd_gradient *d, size_t i, uint32_t part)
{
    if (!nnd_gradient_wants(d, i)) return;
    nnd_gradient_give(d, i, sum_to(d, part, shape_of(d, nnd_gradient_in(d, i))));
}

static uint32_t in(const nnd_gradient *d, size_t i)
{
    return nnd_gradient_in(d, i);
}

static uint32_t out(const nnd_gradient *d)
{
    return nnd_gradient_out(d, 0);
}

static uint32_t of(const nnd_gradient *d)
{
    return nnd_gradient_of(d, 0);
}

/* ---- arithmetic ---------------------------------------------------------------------------- */

static void rule_add(nnd_gradient *d)
{
    for (size_t i = 0; i < d->node.input_count; i++)
        give_sum(d, i, of(d));
}

static void rule_sub(nnd_gradient *d)
{
    give_sum(d, 0, of(d));
    if (nnd_gradient_wants(d, 1)) give_sum(d, 1, emit_1(d, "Neg", of(d)));
}

static void rule_mul(nnd_gradient *d)
{
    for (size_t i = 0; i < 2; i++)
        if (nnd_gradient_wants(d, i)) give_sum(d, i, multiply(d, of(d), in(d, 1 - i)));
}

static void rule_div(nnd_gradient *d)
{
    const uint32_t by_first = divide(d, of(d), in(d, 1));
    give_sum(d, 0, by_first);
    if (nnd_gradient_wants(d, 1)) give_sum(d, 1, emit_1(d, "Neg", multiply(d, by_first, out(d))));
}

/* b·a^(b−1), and a^b·ln a. Where a factor is 0 the derivative is, whatever the other would be. */
static void rule_pow(nnd_gradient *d)
{
    const uint32_t a = in(d, 0), b = emit_2(d, "CastLike", in(d, 1), a);
    const uint32_t zero = nnd_gradient_number(d, 0, a), unit = nnd_gradient_number(d, 1, a);
    if (nnd_gradient_wants(d, 0)) {
        const uint32_t power = emit_2(d, "Pow", a, subtract(d, b, unit));
        const uint32_t is_constant = emit_2(d, "Equal", b, zero);
        const uint32_t slope = emit_3(d, "Where", is_constant, zero, multiply(d, b, power));
        give_sum(d, 0, multiply(d, of(d), slope));
    }
    if (nnd_gradient_wants(d, 1)) {
        const uint32_t base = emit_3(d, "Where", emit_2(d, "Equal", a, zero), unit, a);
        give_sum(d, 1, multiply(d, of(d), multiply(d, out(d), emit_1(d, "Log", base))));
    }
}

/* Among equal ones the derivative is shared. */
static void rule_extreme(nnd_gradient *d)
{
    uint32_t count = NND_NO_ID;
    for (size_t i = 0; i < d->node.input_count; i++) {
        const uint32_t is_it = emit_2(d, "CastLike", emit_2(d, "Equal", in(d, i), out(d)), out(d));
        count = i ? add(d, count, is_it) : is_it;
    }
    const uint32_t share = divide(d, of(d), count);
    for (size_t i = 0; i < d->node.input_count; i++)
        if (nnd_gradient_wants(d, i))
            give_sum(d, i, where(d, emit_2(d, "Equal", in(d, i), out(d)), share));
}

static void rule_mean(nnd_gradient *d)
{
    const uint32_t part = scale(d, of(d), 1.0 / (double)d->node.input_count);
    for (size_t i = 0; i < d->node.input_count; i++)
        give_sum(d, i, part);
}

static void rule_where(nnd_gradient *d)
{
    if (nnd_gradient_wants(d, 1)) give_sum(d, 1, where(d, in(d, 0), of(d)));
    if (nnd_gradient_wants(d, 2)) give_sum(d, 2, where(d, emit_1(d, "Not", in(d, 0)), of(d)));
}

/* ---- functions of one element -------------------------------------------------------------- */

static void rule_identity(nnd_gradient *d)
{
    nnd_gradient_give(d, 0, of(d));
}

static void rule_neg(nnd_gradient *d)
{
    nnd_gradient_give(d, 0, emit_1(d, "Neg", of(d)));
}

static void rule_cast(nnd_gradient *d)
{
    nnd_gradient_give(d, 0, emit_2(d, "CastLike", of(d), in(d, 0)));
}

static void rule_sqrt(nnd_gradient *d)
{
    nnd_gradient_give(d, 0, divide(d, scale(d, of(d), 0.5), out(d)));
}

static void rule_reciprocal(nnd_gradient *d)
{
    const uint32_t square = multiply(d, out(d), out(d));
    nnd_gradient_give(d, 0, emit_1(d, "Neg", multiply(d, of(d), square)));
}

static void rule_exp(nnd_gradient *d)
{
    nnd_gradient_give(d, 0, multiply(d, of(d), out(d)));
}

static void rule_log(nnd_gradient *d)
{
    nnd_gradient_give(d, 0, divide(d, of(d), in(d, 0)));
}

static void rule_sin(nnd_gradient *d)
{
    nnd_gradient_give(d, 0, multiply(d, of(d), emit_1(d, "Cos", in(d, 0))));
}

static void rule_cos(nnd_gradient *d)
{
    const uint32_t sine = emit_1(d, "Sin", in(d, 0));
    nnd_gradient_give(d, 0, emit_1(d, "Neg", multiply(d, of(d), sine)));
}

static void rule_tanh(nnd_gradient *d)
{
    const uint32_t square = multiply(d, out(d), out(d));
    const uint32_t slope = subtract(d, nnd_gradient_number(d, 1, square), square);
    nnd_gradient_give(d, 0, multiply(d, of(d), slope));
}

static void rule_sigmoid(nnd_gradient *d)
{
    const uint32_t rest = subtract(d, nnd_gradient_number(d, 1, out(d)), out(d));
    nnd_gradient_give(d, 0, multiply(d, of(d), multiply(d, out(d), rest)));
}

static void rule_softplus(nnd_gradient *d)
{
    nnd_gradient_give(d, 0, multiply(d, of(d), emit_1(d, "Sigmoid", in(d, 0))));
}

/* 2/√π · exp(−x²) */
static void rule_erf(nnd_gradient *d)
{
    const uint32_t x = in(d, 0), square = emit_1(d, "Neg", multiply(d, x, x));
    const uint32_t slope = scale(d, emit_1(d, "Exp", square), 1.1283791670955126);
    nnd_gradient_give(d, 0, multiply(d, of(d), slope));
}

static void rule_abs(nnd_gradient *d)
{
    nnd_gradient_give(d, 0, multiply(d, of(d), emit_1(d, "Sign", in(d, 0))));
}

static uint32_t is_positive(nnd_gradient *d, uint32_t value)
{
    return emit_2(d, "Greater", value, nnd_gradient_number(d, 0, value));
}

static void rule_relu(nnd_gradient *d)
{
    nnd_gradient_give(d, 0, where(d, is_positive(d, out(d)), of(d)));
}

static void rule_leaky_relu(nnd_gradient *d)
{
    const uint32_t below = scale(d, of(d), (double)nnd_node_float(&d->node, "alpha", 0.01f));
    nnd_gradient_give(d, 0, emit_3(d, "Where", is_positive(d, in(d, 0)), of(d), below));
}

/* Below 0 it is alpha·(exp x − 1), whose slope is that and alpha. */
static void rule_elu(nnd_gradient *d)
{
    const double alpha = (double)nnd_node_float(&d->node, "alpha", 1.0f);
    const uint32_t slope = add(d, out(d), nnd_gradient_number(d, alpha, out(d)));
    const uint32_t below = multiply(d, of(d), slope);
    nnd_gradient_give(d, 0, emit_3(d, "Where", is_positive(d, in(d, 0)), of(d), below));
}

static void rule_prelu(nnd_gradient *d)
{
    const uint32_t positive = is_positive(d, in(d, 0));
    if (nnd_gradient_wants(d, 0)) {
        const uint32_t below = multiply(d, of(d), in(d, 1));
        nnd_gradient_give(d, 0, emit_3(d, "Where", positive, of(d), below));
    }
    if (nnd_gradient_wants(d, 1)) {
        const uint32_t negative = emit_1(d, "Not", positive);
        give_sum(d, 1, where(d, negative, multiply(d, of(d), in(d, 0))));
    }
}

/* What clipping leaves as it was, borders included. */
static void rule_clip(nnd_gradient *d)
{
    nnd_gradient_give(d, 0, where(d, emit_2(d, "Equal", in(d, 0), out(d)), of(d)));
}

/* As inference has it: the identity. */
static void rule_dropout(nnd_gradient *d)
{
    if (in(d, 2) != NND_NO_ID)
        nnd_gradient_refuse(d, "it has a training mode");
    else
        nnd_gradient_give(d, 0, of(d));
}

/* ---- shapes -------------------------------------------------------------------------------- */

static void rule_reshape(nnd_gradient *d)
{
    nnd_gradient_give(d, 0, reshape_like(d, of(d), in(d, 0)));
}

static void rule_expand(nnd_gradient *d)
{
    give_sum(d, 0, of(d));
}

static void rule_transpose(nnd_gradient *d)
{
    size_t rank;
    int64_t back[NND_MAX_RANK] = {0};
    const int64_t *perm = nnd_node_ints(&d->node, "perm", &rank);
    const uint32_t result = emit_1(d, "Transpose", of(d));
    for (size_t i = 0; i < rank && rank <= NND_MAX_RANK; i++)
        if (perm[i] >= 0 && perm[i] < (int64_t)rank) back[perm[i]] = (int64_t)i;
    if (perm && rank <= NND_MAX_RANK) nnd_gradient_ints(d, "perm", back, rank);
    nnd_gradient_give(d, 0, result);
}

static uint32_t *room(nnd_gradient *d, size_t count)
{
    uint32_t *ids = nnd_arena_calloc(&d->graph->arena, count + 1, sizeof(*ids));
    if (!ids && d->status == NND_OK)
        d->status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the derivatives of a model");
    return ids;
}

static void rule_concat(nnd_gradient *d)
{
    const size_t count = d->node.input_count;
    const int64_t axis = nnd_node_int(&d->node, "axis", 1); /* has a default in set 1 only */
    uint32_t *sizes = room(d, count), *parts = room(d, count);
    if (!sizes || !parts) return;
    for (size_t i = 0; i < count; i++)
        sizes[i] = dim_of(d, shape_of(d, in(d, i)), axis);
    nnd_gradient_emit_many(d, "Split", 2, (uint32_t[]){of(d), join(d, count, sizes)}, count, parts);
    nnd_gradient_int(d, "axis", axis);
    for (size_t i = 0; i < count; i++)
        nnd_gradient_give(d, i, parts[i]);
}

static void rule_split(nnd_gradient *d)
{
    const size_t count = d->node.output_count;
    uint32_t *parts = room(d, count);
    for (size_t i = 0; i < count && parts; i++) {
        parts[i] = nnd_gradient_of(d, i);
        if (nnd_gradient_out(d, i) == NND_NO_ID) {
            nnd_gradient_refuse(d, "an output is left out");
            return;
        }
        if (parts[i] == NND_NO_ID) parts[i] = nnd_gradient_fill(d, 0, nnd_gradient_out(d, i));
    }
    if (!parts) return;
    const uint32_t joined = nnd_gradient_emit(d, "Concat", count, parts);
    nnd_gradient_int(d, "axis", nnd_node_int(&d->node, "axis", 0));
    nnd_gradient_give(d, 0, joined);
}

/* Adds `part` up in a tensor like input 0, at these places of its elements in a row. */
static void give_at(nnd_gradient *d, uint32_t places, uint32_t part)
{
    const uint32_t x = in(d, 0), count = emit_2(d, "Reshape", emit_1(d, "Size", x), one(d, 1));
    const uint32_t empty = emit_2(d, "Expand", nnd_gradient_number(d, 0, part), count);
    const uint32_t sum = emit_3(d, "ScatterElements", empty, flatten(d, places), flatten(d, part));
    nnd_gradient_string(d, "reduction", "add");
    nnd_gradient_give(d, 0, reshape_like(d, sum, x));
}

/* What picks elements of input 0 (Slice, Gather and its kin) picks their places, too. */
static void rule_pick(nnd_gradient *d)
{
    const uint32_t x = in(d, 0), size = emit_1(d, "Size", x);
    const uint32_t zero = nnd_gradient_number(d, 0, size), unit = nnd_gradient_number(d, 1, size);
    const uint32_t places = emit_3(d, "Range", zero, size, unit);
    uint32_t picked, *inputs = room(d, d->node.input_count);
    if (!inputs) return;
    for (size_t i = 1; i < d->node.input_count; i++)
        inputs[i] = in(d, i);
    inputs[0] = reshape_like(d, places, x);
    nnd_gradient_repeat(d, d->node.input_count, inputs, 1, &picked);
    give_at(d, picked, of(d));
}

/* The form that rules emit, for derivatives of derivatives. */
static void rule_scatter(nnd_gradient *d)
{
    if (strcmp(nnd_node_string(&d->node, "reduction", "none"), "add") != 0) {
        nnd_gradient_refuse(d, "only those that add are differentiated");
        return;
    }
    nnd_gradient_give(d, 0, of(d));
    if (!nnd_gradient_wants(d, 2)) return;
    const uint32_t picked = emit_2(d, "GatherElements", of(d), in(d, 1));
    nnd_gradient_int(d, "axis", nnd_node_int(&d->node, "axis", 0));
    nnd_gradient_give(d, 2, picked);
}

/* ---- sums, softmax ------------------------------------------------------------------------- */

/* The derivative by a reduced tensor, repeated over what was reduced. */
static uint32_t spread_reduced(nnd_gradient *d)
{
    size_t count;
    const int64_t *listed = nnd_node_ints(&d->node, "axes", &count);
    uint32_t part = of(d), axes = in(d, 1);
    if (listed) axes = nnd_gradient_list(d, listed, count);
    if (!nnd_node_int(&d->node, "keepdims", 1) && axes != NND_NO_ID)
        part = emit_2(d, "Unsqueeze", part, axes);
    return emit_2(d, "Expand", part, shape_of(d, in(d, 0)));
}

static void rule_reduce_sum(nnd_gradient *d)
{
    nnd_gradient_give(d, 0, spread_reduced(d));
}

/* The share that an element of the input has in one of the output. */
static uint32_t share_of(nnd_gradient *d, uint32_t part)
{
    const uint32_t results = emit_2(d, "CastLike", emit_1(d, "Size", out(d)), part);
    return divide(d, results, emit_2(d, "CastLike", emit_1(d, "Size", in(d, 0)), part));
}

static void rule_reduce_mean(nnd_gradient *d)
{
    const uint32_t part = spread_reduced(d);
    nnd_gradient_give(d, 0, multiply(d, part, share_of(d, part)));
}

static void rule_global_average(nnd_gradient *d)
{
    const uint32_t part = emit_2(d, "Expand", of(d), shape_of(d, in(d, 0)));
    nnd_gradient_give(d, 0, multiply(d, part, share_of(d, part)));
}

/* Sum of what softmax normalises, kept as a dimension. Before set 13 that was all from an axis on;
   then `value` comes flattened to two dimensions. */
static uint32_t softmax_sum(nnd_gradient *d, uint32_t value)
{
    const bool old = d->node.opset < 13;
    return sum_over(d, value, one(d, old ? 1 : nnd_node_int(&d->node, "axis", -1)), true);
}

static uint32_t softmax_form(nnd_gradient *d, uint32_t value)
{
    if (d->node.opset >= 13) return value;
    const uint32_t flat = emit_1(d, "Flatten", value);
    nnd_gradient_int(d, "axis", nnd_node_int(&d->node, "axis", 1));
    return flat;
}

/* s·(g − Σ g·s) */
static void rule_softmax(nnd_gradient *d)
{
    const uint32_t s = softmax_form(d, out(d)), g = softmax_form(d, of(d));
    const uint32_t sum = softmax_sum(d, multiply(d, g, s));
    nnd_gradient_give(d, 0, reshape_like(d, multiply(d, s, subtract(d, g, sum)), in(d, 0)));
}

/* g − exp(s)·Σ g */
static void rule_log_softmax(nnd_gradient *d)
{
    const uint32_t s = emit_1(d, "Exp", softmax_form(d, out(d))), g = softmax_form(d, of(d));
    const uint32_t part = subtract(d, g, multiply(d, s, softmax_sum(d, g)));
    nnd_gradient_give(d, 0, reshape_like(d, part, in(d, 0)));
}

/* ---- products ------------------------------------------------------------------------------ */

/* A factor of MatMul as matrices: a vector is one row on the left, one column on the right. */
typedef struct matrix {
    uint32_t value, shape, filled; /* filled: i64[1], the dimensions that a vector lacks, 0 or 1 */
} matrix;

static matrix matrix_of(nnd_gradient *d, size_t i)
{
    const uint32_t value = in(d, i), shape = shape_of(d, value);
    const uint32_t filled = emit_2(d, "Max", one(d, 0), subtract(d, one(d, 2), rank_of(d, shape)));
    const uint32_t extra = ones(d, filled);
    const uint32_t whole = join(d, 2, i ? (uint32_t[]){shape, extra} : (uint32_t[]){extra, shape});
    return (matrix){reshape(d, value, whole), whole, filled};
}

/* The last two dimensions change places, however many there are. */
static uint32_t turn(nnd_gradient *d, const matrix *m)
{
    static const int64_t perm[] = {0, 2, 1};
    const uint32_t lead = emit_3(d, "Slice", m->shape, one(d, 0), one(d, -2));
    const uint32_t rows = dim_of(d, m->shape, -2), columns = dim_of(d, m->shape, -1);
    const uint32_t count = emit_1(d, "ReduceProd", lead);
    const uint32_t stack = reshape(d, m->value, join(d, 3, (uint32_t[]){count, rows, columns}));
    const uint32_t turned = transpose(d, stack, perm, NND_COUNT(perm));
    return reshape(d, turned, join(d, 3, (uint32_t[]){lead, columns, rows}));
}

static void give_factor(nnd_gradient *d, size_t i, const matrix *m, uint32_t a, uint32_t b)
{
    const uint32_t part = sum_to(d, emit_2(d, "MatMul", a, b), m->shape);
    nnd_gradient_give(d, i, reshape_like(d, part, in(d, i)));
}

static void rule_matmul(nnd_gradient *d)
{
    const matrix a = matrix_of(d, 0), b = matrix_of(d, 1);
    /* The result lacks the dimension of a factor that is a vector. */
    const uint32_t shape = shape_of(d, of(d));
    const uint32_t matrices = subtract(d, one(d, 2), add(d, a.filled, b.filled));
    const uint32_t end = subtract(d, rank_of(d, shape), matrices);
    const uint32_t lead = emit_3(d, "Slice", shape, one(d, 0), end);
    const uint32_t rows = dim_of(d, a.shape, -2), columns = dim_of(d, b.shape, -1);
    const uint32_t g = reshape(d, of(d), join(d, 3, (uint32_t[]){lead, rows, columns}));
    if (nnd_gradient_wants(d, 0)) give_factor(d, 0, &a, g, turn(d, &b));
    if (nnd_gradient_wants(d, 1)) give_factor(d, 1, &b, turn(d, &a), g);
}

static uint32_t gemm(nnd_gradient *d, uint32_t a, bool turn_a, uint32_t b, bool turn_b)
{
    const float alpha = nnd_node_float(&d->node, "alpha", 1.0f);
    const uint32_t product = emit_2(d, "Gemm", a, b);
    nnd_gradient_int(d, "transA", turn_a);
    nnd_gradient_int(d, "transB", turn_b);
    return alpha == 1.0f ? product : scale(d, product, (double)alpha);
}

static void rule_gemm(nnd_gradient *d)
{
    const bool turn_a = nnd_node_int(&d->node, "transA", 0) != 0;
    const bool turn_b = nnd_node_int(&d->node, "transB", 0) != 0;
    const uint32_t a = in(d, 0), b = in(d, 1), g = of(d);
    if (nnd_gradient_wants(d, 0))
        nnd_gradient_give(d, 0,
                          turn_a ? gemm(d, b, turn_b, g, true) : gemm(d, g, false, b, !turn_b));
    if (nnd_gradient_wants(d, 1))
        nnd_gradient_give(d, 1,
                          turn_b ? gemm(d, g, true, a, turn_a) : gemm(d, a, !turn_a, g, false));
    if (nnd_gradient_wants(d, 2))
        give_sum(d, 2, scale(d, g, (double)nnd_node_float(&d->node, "beta", 1.0f)));
}

/* ---- windows ------------------------------------------------------------------------------- */

/* Of a convolution or pooling: where its windows lie in the input. */
typedef struct window {
    size_t rank; /* of the picture, without batch and channels */
    int64_t stride[NND_MAX_RANK], dilation[NND_MAX_RANK];
    int64_t pads[2 * NND_MAX_RANK];
    bool is_same;        /* padded as much as it takes: SAME_UPPER, SAME_LOWER */
    uint32_t begin, end; /* the padding, i64[rank] */
    uint32_t axes;       /* 2 … rank + 1 */
} window;

/* Reads a list of `count` numbers ≥ least; false when there is one of another length. */
static bool read_list(const nnd_graph_node *node, const char *name, size_t count, int64_t fallback,
                      int64_t least, int64_t *out)
{
    size_t found;
    const int64_t *list = nnd_node_ints(node, name, &found);
    if (list && found != count) return false;
    for (size_t i = 0; i < count; i++) {
        out[i] = list ? list[i] : fallback;
        if (out[i] < least || out[i] > INT32_MAX) return false;
    }
    return true;
}

/* Dimensions of the picture, as far as the node or a constant tells; 0 = unknown. */
static size_t picture_rank(const nnd_gradient *d)
{
    static const struct {
        const char *name;
        size_t per_dimension;
    } lists[] = {{"kernel_shape", 1}, {"strides", 1}, {"dilations", 1}, {"pads", 2}};
    size_t count;
    for (size_t i = 0; i < NND_COUNT(lists); i++)
        if (nnd_node_ints(&d->node, lists[i].name, &count) && count)
            return count / lists[i].per_dimension;
    for (size_t i = 0; i < d->node.input_count && i < 2; i++) {
        const int32_t rank = in(d, i) == NND_NO_ID ? -1 : d->graph->values[in(d, i)].rank;
        if (rank > 2) return (size_t)rank - 2;
    }
    return 0;
}

/* A tensor's shape behind batch and channels. */
static uint32_t picture_of(nnd_gradient *d, uint32_t value)
{
    return emit_3(d, "Slice", shape_of(d, value), one(d, 2), one(d, INT64_MAX));
}

/* The padding that SAME_… means: what windows of that size need beyond the input, halved. */
static void pad_same(nnd_gradient *d, window *w, uint32_t kernel, bool upper)
{
    const uint32_t unit = one(d, 1), strides = nnd_gradient_list(d, w->stride, w->rank);
    const uint32_t dilations = nnd_gradient_list(d, w->dilation, w->rank);
    const uint32_t last = multiply(d, subtract(d, picture_of(d, of(d)), unit), strides);
    const uint32_t reach = add(d, multiply(d, subtract(d, kernel, unit), dilations), unit);
    const uint32_t extra = subtract(d, add(d, last, reach), picture_of(d, in(d, 0)));
    const uint32_t total = emit_2(d, "Max", extra, one(d, 0));
    const uint32_t half = divide(d, total, one(d, 2)), rest = subtract(d, total, half);
    w->begin = upper ? half : rest;
    w->end = upper ? rest : half;
}

/* kernel: i64[rank]. False, and refused, for a node that says too little. */
static bool read_window(nnd_gradient *d, uint32_t kernel, window *w)
{
    int64_t axes[NND_MAX_RANK];
    const char *pad = nnd_node_string(&d->node, "auto_pad", "NOTSET");
    *w = (window){.rank = picture_rank(d)};
    if (w->rank == 0 || w->rank + 2 > NND_MAX_RANK ||
        !read_list(&d->node, "strides", w->rank, 1, 1, w->stride) ||
        !read_list(&d->node, "dilations", w->rank, 1, 1, w->dilation) ||
        !read_list(&d->node, "pads", 2 * w->rank, 0, 0, w->pads)) {
        nnd_gradient_refuse(d, "the file does not tell the window's dimensions");
        return false;
    }
    w->is_same = strncmp(pad, "SAME_", 5) == 0;
    if (strcmp(pad, "VALID") == 0) memset(w->pads, 0, sizeof(w->pads));
    if (w->is_same) {
        pad_same(d, w, kernel, strcmp(pad, "SAME_UPPER") == 0);
    } else {
        w->begin = nnd_gradient_list(d, w->pads, w->rank);
        w->end = nnd_gradient_list(d, w->pads + w->rank, w->rank);
    }
    for (size_t i = 0; i < w->rank; i++)
        axes[i] = 2 + (int64_t)i;
    w->axes = nnd_gradient_list(d, axes, w->rank);
    return true;
}

/* The adjoint of taking windows: every element of g goes to all that its window of weights w saw,
   in a picture of the size of `like`. What lies behind the last window gets zeros. */
static uint32_t spread_windows(nnd_gradient *d, const window *w, uint32_t g, uint32_t weights,
                               int64_t group, uint32_t like)
{
    int64_t behind[NND_MAX_RANK];
    for (size_t i = 0; i < w->rank; i++)
        behind[i] = w->stride[i] - 1;
    const uint32_t padded = emit_2(d, "ConvTranspose", g, weights);
    nnd_gradient_ints(d, "strides", w->stride, w->rank);
    nnd_gradient_ints(d, "dilations", w->dilation, w->rank);
    nnd_gradient_ints(d, "output_padding", behind, w->rank);
    nnd_gradient_int(d, "group", group);
    const uint32_t end = add(d, w->begin, picture_of(d, like));
    return nnd_gradient_emit(d, "Slice", 4, (uint32_t[]){padded, w->begin, end, w->axes});
}

/* [N, G·C, …] → [C, G·N, …]: channels as batch, so that a convolution sums over the batch. */
static uint32_t swap_channels(nnd_gradient *d, uint32_t value, int64_t group, size_t picture)
{
    int64_t perm[NND_MAX_RANK + 1];
    const bool grouped = group != 1;
    const size_t rank = picture + (grouped ? 3 : 2);
    for (size_t i = 0; i < rank; i++)
        perm[i] = (int64_t)i;
    perm[0] = grouped ? 2 : 1;
    perm[grouped ? 2 : 1] = 0;
    if (!grouped) return transpose(d, value, perm, rank);
    const uint32_t tail = picture_of(d, value), rest = one(d, -1);
    const uint32_t parts =
        join(d, 4, (uint32_t[]){dim_of(d, shape_of(d, value), 0), one(d, group), rest, tail});
    const uint32_t turned = transpose(d, emit_2(d, "Reshape", value, parts), perm, rank);
    const uint32_t whole = join(d, 3, (uint32_t[]){dim_of(d, shape_of(d, turned), 0), rest, tail});
    return emit_2(d, "Reshape", turned, whole);
}

/* By the weights of windows that go over x and give g: x and g are correlated over the batch, with
   stride and dilation exchanged. `weights` has the shape of the result. */
static uint32_t correlate(nnd_gradient *d, const window *w, uint32_t x, uint32_t g, int64_t group,
                          uint32_t weights)
{
    if (w->is_same) {
        const int64_t none[] = {0, 0};
        const uint32_t zeros = nnd_gradient_list(d, none, NND_COUNT(none));
        x = emit_2(d, "Pad", x, join(d, 4, (uint32_t[]){zeros, w->begin, zeros, w->end}));
    }
    const uint32_t images = swap_channels(d, x, group, w->rank);
    const uint32_t filters = swap_channels(d, g, 1, w->rank);
    const uint32_t result = emit_2(d, "Conv", images, filters);
    nnd_gradient_ints(d, "strides", w->dilation, w->rank);
    nnd_gradient_ints(d, "dilations", w->stride, w->rank);
    if (!w->is_same) nnd_gradient_ints(d, "pads", w->pads, 2 * w->rank);
    nnd_gradient_int(d, "group", group);
    const uint32_t turned = swap_channels(d, result, 1, w->rank);
    const uint32_t begin = emit_2(d, "Expand", one(d, 0), one(d, (int64_t)w->rank));
    return nnd_gradient_emit(d, "Slice", 4,
                             (uint32_t[]){turned, begin, picture_of(d, weights), w->axes});
}

/* By a bias per channel. */
static void give_bias(nnd_gradient *d, const window *w)
{
    if (!nnd_gradient_wants(d, 2)) return;
    const uint32_t axes = join(d, 2, (uint32_t[]){one(d, 0), w->axes});
    nnd_gradient_give(d, 2, sum_over(d, of(d), axes, false));
}

static void rule_conv(nnd_gradient *d)
{
    window w;
    const uint32_t x = in(d, 0), weights = in(d, 1);
    const int64_t group = nnd_node_int(&d->node, "group", 1);
    if (!read_window(d, picture_of(d, weights), &w)) return;
    if (nnd_gradient_wants(d, 0))
        nnd_gradient_give(d, 0, spread_windows(d, &w, of(d), weights, group, x));
    if (nnd_gradient_wants(d, 1))
        nnd_gradient_give(d, 1, correlate(d, &w, x, of(d), group, weights));
    give_bias(d, &w);
}

/* The other way around: its windows go over the result. */
static void rule_conv_transpose(nnd_gradient *d)
{
    window w;
    size_t count;
    const uint32_t x = in(d, 0), weights = in(d, 1);
    const int64_t group = nnd_node_int(&d->node, "group", 1);
    if (!read_window(d, picture_of(d, weights), &w)) return;
    if (nnd_node_ints(&d->node, "output_shape", &count) ||
        strncmp(nnd_node_string(&d->node, "auto_pad", "NOTSET"), "SAME_", 5) == 0) {
        nnd_gradient_refuse(d, "its padding follows from its result");
        return;
    }
    if (nnd_gradient_wants(d, 0)) {
        const uint32_t part = emit_2(d, "Conv", of(d), weights);
        nnd_gradient_ints(d, "strides", w.stride, w.rank);
        nnd_gradient_ints(d, "dilations", w.dilation, w.rank);
        nnd_gradient_ints(d, "pads", w.pads, 2 * w.rank);
        nnd_gradient_int(d, "group", group);
        nnd_gradient_give(d, 0, part);
    }
    if (nnd_gradient_wants(d, 1))
        nnd_gradient_give(d, 1, correlate(d, &w, of(d), x, group, weights));
    give_bias(d, &w);
}

/* How much of each window is not padding, 0 … 1. */
static uint32_t covered(nnd_gradient *d, const window *w, const int64_t *kernel)
{
    const uint32_t ratio = emit_1(d, "AveragePool", nnd_gradient_fill(d, 1, in(d, 0)));
    nnd_gradient_ints(d, "kernel_shape", kernel, w->rank);
    nnd_gradient_ints(d, "strides", w->stride, w->rank);
    nnd_gradient_ints(d, "dilations", w->dilation, w->rank);
    nnd_gradient_int(d, "count_include_pad", 1);
    if (w->is_same)
        nnd_gradient_string(d, "auto_pad", nnd_node_string(&d->node, "auto_pad", ""));
    else
        nnd_gradient_ints(d, "pads", w->pads, 2 * w->rank);
    return ratio;
}

static void rule_average_pool(nnd_gradient *d)
{
    window w;
    size_t count;
    double elements = 1;
    int64_t ones_shape[NND_MAX_RANK + 2] = {1, 1};
    const uint32_t x = in(d, 0);
    const int64_t *kernel = nnd_node_ints(&d->node, "kernel_shape", &count);
    if (!kernel || count > NND_MAX_RANK || nnd_node_int(&d->node, "ceil_mode", 0)) {
        nnd_gradient_refuse(d, "it rounds up, or has no window");
        return;
    }
    if (!read_window(d, nnd_gradient_list(d, kernel, count), &w)) return;
    for (size_t i = 0; i < count; i++) {
        elements *= (double)kernel[i];
        ones_shape[2 + i] = kernel[i];
    }
    uint32_t g = scale(d, of(d), 1 / elements);
    if (!nnd_node_int(&d->node, "count_include_pad", 0)) g = divide(d, g, covered(d, &w, kernel));
    /* Every channel is a picture of its own. */
    const uint32_t planes =
        join(d, 2, (uint32_t[]){nnd_gradient_list(d, (int64_t[]){-1, 1}, 2), picture_of(d, g)});
    const uint32_t weights = emit_2(d, "Expand", nnd_gradient_number(d, 1, g),
                                    nnd_gradient_list(d, ones_shape, count + 2));
    const uint32_t part = spread_windows(d, &w, emit_2(d, "Reshape", g, planes), weights, 1, x);
    nnd_gradient_give(d, 0, reshape_like(d, part, x));
}

/* It tells the places of what it takes. */
static void rule_max_pool(nnd_gradient *d)
{
    uint32_t results[2];
    const uint32_t x = in(d, 0);
    if (nnd_node_int(&d->node, "storage_order", 0)) {
        nnd_gradient_refuse(d, "it counts columns first");
        return;
    }
    if (d->node.opset < 8) d->node.opset = 8; /* before, there was no second output */
    nnd_gradient_repeat(d, 1, &x, 2, results);
    give_at(d, results[1], of(d));
}

/* As inference has it: scale·(x − mean)/√(var + epsilon) + bias, each per channel. */
static void rule_batch_normalization(nnd_gradient *d)
{
    if (nnd_node_int(&d->node, "training_mode", 0) || d->node.opset < 9) {
        nnd_gradient_refuse(d, "only inference is differentiated");
        return;
    }
    if (nnd_gradient_wants(d, 3) || nnd_gradient_wants(d, 4)) {
        nnd_gradient_refuse(d, "mean and variance are not differentiated");
        return;
    }
    const uint32_t x = in(d, 0);
    const uint32_t tail = ones(d, subtract(d, rank_of(d, shape_of(d, x)), one(d, 2)));
    const uint32_t channels = join(d, 2, (uint32_t[]){one(d, -1), tail});
    const double epsilon = (double)nnd_node_float(&d->node, "epsilon", 1e-5f);
    const uint32_t variance = add(d, in(d, 4), nnd_gradient_number(d, epsilon, in(d, 4)));
    const uint32_t deviation = emit_2(d, "Reshape", emit_1(d, "Sqrt", variance), channels);
    if (nnd_gradient_wants(d, 0)) {
        const uint32_t factor = divide(d, emit_2(d, "Reshape", in(d, 1), channels), deviation);
        nnd_gradient_give(d, 0, multiply(d, of(d), factor));
    }
    const uint32_t shape = shape_of(d, deviation);
    if (nnd_gradient_wants(d, 1)) {
        const uint32_t mean = emit_2(d, "Reshape", in(d, 3), channels);
        const uint32_t normal = divide(d, subtract(d, x, mean), deviation);
        nnd_gradient_give(d, 1, flatten(d, sum_to(d, multiply(d, of(d), normal), shape)));
    }
    if (nnd_gradient_wants(d, 2)) nnd_gradient_give(d, 2, flatten(d, sum_to(d, of(d), shape)));
}

/* ---- the table ----------------------------------------------------------------------------- */

static const struct {
    const char *op;
    nnd_gradient_rule rule;
} rules[] = {
    {"Abs", rule_abs},
    {"Add", rule_add},
    {"AveragePool", rule_average_pool},
    {"BatchNormalization", rule_batch_normalization},
    {"Cast", rule_cast},
    {"CastLike", rule_cast},
    {"Clip", rule_clip},
    {"Concat", rule_concat},
    {"Conv", rule_conv},
    {"ConvTranspose", rule_conv_transpose},
    {"Cos", rule_cos},
    {"Div", rule_div},
    {"Dropout", rule_dropout},
    {"Elu", rule_elu},
    {"Erf", rule_erf},
    {"Exp", rule_exp},
    {"Expand", rule_expand},
    {"Flatten", rule_reshape},
    {"Gather", rule_pick},
    {"GatherElements", rule_pick},
    {"GatherND", rule_pick},
    {"Gemm", rule_gemm},
    {"GlobalAveragePool", rule_global_average},
    {"Identity", rule_identity},
    {"LeakyRelu", rule_leaky_relu},
    {"Log", rule_log},
    {"LogSoftmax", rule_log_softmax},
    {"MatMul", rule_matmul},
    {"Max", rule_extreme},
    {"MaxPool", rule_max_pool},
    {"Mean", rule_mean},
    {"Min", rule_extreme},
    {"Mul", rule_mul},
    {"Neg", rule_neg},
    {"PRelu", rule_prelu},
    {"Pow", rule_pow},
    {"Reciprocal", rule_reciprocal},
    {"ReduceMean", rule_reduce_mean},
    {"ReduceSum", rule_reduce_sum},
    {"Relu", rule_relu},
    {"Reshape", rule_reshape},
    {"ScatterElements", rule_scatter},
    {"Sigmoid", rule_sigmoid},
    {"Sin", rule_sin},
    {"Slice", rule_pick},
    {"Softmax", rule_softmax},
    {"Softplus", rule_softplus},
    {"Split", rule_split},
    {"Sqrt", rule_sqrt},
    {"Squeeze", rule_reshape},
    {"Sub", rule_sub},
    {"Sum", rule_add},
    {"Tanh", rule_tanh},
    {"Transpose", rule_transpose},
    {"Unsqueeze", rule_reshape},
    {"Where", rule_where},
};

/* Zero wherever there is a derivative. */
static const char *const flat_ops[] = {
    "And",   "ArgMax",  "ArgMin", "Ceil",        "ConstantOfShape",
    "Equal", "EyeLike", "Floor",  "Greater",     "GreaterOrEqual",
    "IsInf", "IsNaN",   "Less",   "LessOrEqual", "NonZero",
    "Not",   "Or",      "Round",  "Shape",       "Sign",
    "Size",  "Xor",
};

/* ONNX's numbers of f32, f16, f64 and bf16. */
static bool is_float_code(int64_t code)
{
    return code == 1 || code == 10 || code == 11 || code == 16;
}

nnd_gradient_rule nnd_gradient_find_rule(const nnd_graph_node *node, bool *flat)
{
    *flat = false;
    if (node->domain[0]) return NULL;
    for (size_t i = 0; i < NND_COUNT(flat_ops) && !*flat; i++)
        *flat = strcmp(node->type, flat_ops[i]) == 0;
    if (strcmp(node->type, "Cast") == 0) *flat = !is_float_code(nnd_node_int(node, "to", 1));
    for (size_t i = 0; i < NND_COUNT(rules); i++)
        if (strcmp(node->type, rules[i].op) == 0) return rules[i].rule;
    return NULL;
}
