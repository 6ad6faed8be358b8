/* The pass qdq: what becomes integers, with what results, and what it must leave alone. */
#include "pass_support.h"

#include <float.h>

/* ---- parts of graphs ------------------------------------------------------------------------- */

/* What a test builds: one of these, and numbers for it. */
typedef struct spec {
    const char *type;
    nnd_dtype bytes; /* of activations */
    float scale, result_scale;
    int zero, result_zero;
    bool bias, per_channel, transposed;
    const char *behind; /* an activation between the operator and its Quantize, NULL = none */
    float low, high;    /* of Clip */
} spec;

/* Zero points are those of u8, 128 less for i8. */
static const spec usual = {
    .bytes = NND_U8, .scale = 0.03f, .result_scale = 0.05f, .zero = 128, .result_zero = 100};
static spec now;

static uint32_t byte_point(pass_test *t, nnd_dtype type, int zero)
{
    uint8_t code = (uint8_t)(type == NND_I8 ? zero - 128 : zero);
    nnd_tensor one;
    uint32_t id;
    assert_ok(nnd_tensor_init(&one, type, 0, NULL, &code));
    assert_ok(nnd_graph_add_constant(t->g, NULL, &one, &id));
    return id;
}

static uint32_t floats(pass_test *t, size_t n, const float *v)
{
    nnd_tensor list;
    uint32_t id;
    int64_t count = (int64_t)n;
    assert_ok(nnd_tensor_init(&list, NND_F32, 1, &count, (void *)(uintptr_t)v));
    assert_ok(nnd_graph_add_constant(t->g, NULL, &list, &id));
    return id;
}

static uint32_t integers(pass_test *t, nnd_dtype type, int rank, const int64_t *dims, int reach)
{
    nnd_tensor shape;
    int32_t data[512];
    uint32_t id;
    assert_ok(nnd_tensor_init(&shape, type, rank, dims, data));
    size_t n = (size_t)nnd_tensor_count(&shape);
    assert_true(n <= NND_COUNT(data));
    for (size_t i = 0; i < n; i++)
        nnd_dtype_set(type, data, i, (double)(int)(pt_random(t) * (float)reach));
    assert_ok(nnd_graph_add_constant(t->g, NULL, &shape, &id));
    return id;
}

static uint32_t three(pass_test *t, const char *type, uint32_t x, uint32_t scale, uint32_t zero)
{
    const uint32_t in[3] = {x, scale, zero};
    return pt_node_of(t, type, 3, in)->outputs[0];
}

/* Quantised and back. */
static uint32_t bytes_of(pass_test *t, uint32_t x, float scale, int zero, uint32_t *codes)
{
    uint32_t s = pt_number(t, scale), z = byte_point(t, now.bytes, zero);
    uint32_t q = three(t, "QuantizeLinear", x, s, z);
    if (codes) *codes = q;
    return three(t, "DequantizeLinear", q, s, z);
}

static uint32_t activation(pass_test *t, const char *name, int rank, const int64_t *dims)
{
    return bytes_of(t, pt_input(t, name, rank, dims), now.scale, now.zero, NULL);
}

/* Weights as i8 with one scale, or one per index of `axis`. */
static uint32_t weights(pass_test *t, int rank, const int64_t *dims, int axis)
{
    float scales[8];
    uint32_t codes = integers(t, NND_I8, rank, dims, 127), scale, zero;
    for (int64_t i = 0; i < dims[axis]; i++)
        scales[i] = 0.01f + 0.003f * (float)i;
    scale = now.per_channel ? floats(t, (size_t)dims[axis], scales) : pt_number(t, scales[0]);
    const int64_t count[1] = {dims[axis]};
    zero = integers(t, NND_I8, now.per_channel, count, 0);
    const uint32_t in[3] = {codes, scale, zero};
    nnd_graph_node *n = pt_node_of(t, "DequantizeLinear", 3, in);
    if (now.per_channel) assert_ok(nnd_node_add_int(t->g, n, "axis", axis));
    return n->outputs[0];
}

/* A bias in units of both scales. */
static uint32_t bias(pass_test *t, int64_t channels)
{
    float scales[8];
    const int64_t dims[1] = {channels};
    for (int64_t i = 0; i < channels; i++)
        scales[i] = now.scale * (0.01f + (now.per_channel ? 0.003f * (float)i : 0.0f));
    uint32_t codes = integers(t, NND_I32, 1, dims, 3000);
    const uint32_t in[2] = {codes, now.per_channel ? floats(t, (size_t)channels, scales)
                                                   : pt_number(t, scales[0])};
    nnd_graph_node *n = pt_node_of(t, "DequantizeLinear", 2, in);
    if (now.per_channel) assert_ok(nnd_node_add_int(t->g, n, "axis", 0));
    return n->outputs[0];
}

static uint32_t behind(pass_test *t, uint32_t y)
{
    if (!now.behind) return y;
    if (strcmp(now.behind, "Clip") != 0) return pt_unary(t, now.behind, y);
    return three(t, "Clip", y, pt_number(t, now.low), pt_number(t, now.high));
}

static void finish(pass_test *t, uint32_t y)
{
    pt_output(t, bytes_of(t, behind(t, y), now.result_scale, now.result_zero, NULL));
}

/* Before and after; the pass must leave `type` and no Quantize but that of inputs, no Dequantize
   but that of the output. */
static void expect(pt_build build, const char *type, size_t changes, double tolerance)
{
    size_t made;
    nnd_graph *g = pt_compare(build, 14, 0, nnd_pass_qdq, tolerance, &made);
    assert_int_equal(made, changes);
    assert_int_equal(pt_count(g, type), 1);
    assert_int_equal(pt_count(g, "QuantizeLinear"), g->input_count);
    assert_int_equal(pt_count(g, "DequantizeLinear"), 1);
    nnd_graph_destroy(g);
}

/* ---- products -------------------------------------------------------------------------------- */

static void build_conv(pass_test *t)
{
    const int64_t x[4] = {2, 4, 7, 6}, w[4] = {6, 2, 3, 3};
    uint32_t in[3] = {activation(t, "x", 4, x), weights(t, 4, w, 0)};
    if (now.bias) in[2] = bias(t, w[0]);
    nnd_graph_node *n = pt_node_of(t, "Conv", now.bias ? 3 : 2, in);
    assert_ok(nnd_node_add_int(t->g, n, "group", 2));
    assert_ok(nnd_node_add_ints(t->g, n, "pads", (const int64_t[]){1, 0, 1, 2}, 4));
    finish(t, n->outputs[0]);
}

static void build_gemm(pass_test *t)
{
    const int64_t x[2] = {3, 10}, w[2] = {10, 7}, turned[2] = {7, 10};
    uint32_t in[3] = {activation(t, "x", 2, x),
                      now.transposed ? weights(t, 2, turned, 0) : weights(t, 2, w, 1)};
    if (now.bias) in[2] = bias(t, 7);
    nnd_graph_node *n = pt_node_of(t, "Gemm", now.bias ? 3 : 2, in);
    assert_ok(nnd_node_add_int(t->g, n, "transB", now.transposed));
    finish(t, n->outputs[0]);
}

static void build_matmul(pass_test *t)
{
    const int64_t x[3] = {2, 3, 10}, w[2] = {10, 7};
    finish(t, pt_binary(t, "MatMul", activation(t, "x", 3, x), weights(t, 2, w, 1)));
}

static void build_matmul_of_activations(pass_test *t)
{
    const int64_t x[3] = {2, 3, 10}, w[3] = {2, 10, 7};
    finish(t, pt_binary(t, "MatMul", activation(t, "x", 3, x), activation(t, "w", 3, w)));
}

/* All forms, with an activation whose limits lie inside of what the codes stand for. */
static void each_form(pt_build build, const char *type)
{
    static const char *const activations[] = {NULL, "Relu", "Clip"};
    for (int form = 0; form < 48; form++) {
        now = usual;
        now.bytes = form & 1 ? NND_I8 : NND_U8;
        now.bias = form & 2;
        now.per_channel = form & 4;
        now.transposed = form & 8;
        now.result_scale = 0.2f;
        now.behind = activations[form / 16];
        now.low = -1.5f;
        now.high = 6.0f;
        expect(build, type, 1, 1.01 * (double)now.result_scale);
    }
}

static void products_are_integer(void **state)
{
    (void)state;
    each_form(build_conv, "QLinearConv");
    each_form(build_gemm, "QGemm");
    each_form(build_matmul, "QLinearMatMul");
    each_form(build_matmul_of_activations, "QLinearMatMul");
}

/* Limits of codes are exact: with a Relu nothing comes out below zero, with a Clip nothing outside
   of the codes next to its limits. */
static void activations_limit_the_codes(void **state)
{
    (void)state;
    static const struct {
        const char *behind;
        int zero;
        double low, high;
    } cases[] = {{"Relu", 0, 0, 51},
                 {"Relu", 7, 0, 49.6},
                 {"Relu", 255, 0, 0},
                 {"Clip", 100, -1.4, 6},
                 {"Clip", 0, 0, 6}};
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        nnd_tensor y;
        size_t changes = 0;
        now = usual;
        now.behind = cases[i].behind;
        now.result_zero = cases[i].zero;
        now.result_scale = 0.2f;
        now.low = -1.45f;
        now.high = 6.05f;
        nnd_graph *g = pt_graph(build_conv, 13, 0);
        assert_ok(nnd_pass_qdq(g, &changes));
        assert_int_equal(changes, 1);
        pt_run(g, &y);
        double low = INFINITY, high = -INFINITY;
        for (size_t k = 0; k < (size_t)nnd_tensor_count(&y); k++) {
            low = fmin(low, (double)((const float *)y.data)[k]);
            high = fmax(high, (double)((const float *)y.data)[k]);
        }
        assert_true(low >= cases[i].low - 1e-5 && high <= cases[i].high + 1e-5);
        if (strcmp(cases[i].behind, "Clip") == 0) assert_true(high >= cases[i].high - 1e-5);
        nnd_free(y.data);
        nnd_graph_destroy(g);
    }
}

/* ---- products without a Quantize ------------------------------------------------------------- */

static void build_to_float(pass_test *t)
{
    const int64_t x[4] = {2, 4, 7, 6}, w[4] = {4, 1, 3, 3}, m[2] = {3, 10}, g[2] = {10, 7};
    const bool conv = strcmp(now.type, "Conv") == 0;
    uint32_t in[3] = {conv ? activation(t, "x", 4, x) : activation(t, "x", 2, m),
                      conv ? weights(t, 4, w, 0) : weights(t, 2, g, 1)};
    if (now.bias) in[2] = bias(t, conv ? 4 : 7);
    nnd_graph_node *n = pt_node_of(t, now.type, now.bias ? 3 : 2, in);
    if (conv) assert_ok(nnd_node_add_int(t->g, n, "group", 4));
    uint32_t y = n->outputs[0];
    pt_output(t, pt_binary(t, "Mul", y, pt_unary(t, "Sigmoid", y)));
}

static void sums_without_a_quantize_become_floats(void **state)
{
    (void)state;
    for (int form = 0; form < 16; form++) {
        size_t changes;
        now = usual;
        now.bytes = form & 1 ? NND_I8 : NND_U8;
        now.bias = form & 2;
        now.per_channel = form & 4;
        now.type = form & 8 ? "Conv" : "Gemm";
        nnd_graph *g = pt_compare(build_to_float, 14, 0, nnd_pass_qdq, 1e-5, &changes);
        assert_int_equal(changes, 1);
        assert_int_equal(pt_count(g, form & 8 ? "ConvIntegerToFloat" : "QGemm"), 1);
        assert_int_equal(pt_count(g, "DequantizeLinear"), 0);
        nnd_graph_destroy(g);
    }
}

/* The bias of a MatMul is an Add of floats, on either side, with an activation behind it. */
static void build_matmul_with_bias(pass_test *t)
{
    const int64_t x[3] = {2, 3, 10}, w[2] = {10, 7}, b[1] = {now.transposed ? 1 : 7};
    uint32_t product = pt_binary(t, "MatMul", activation(t, "x", 3, x), weights(t, 2, w, 1));
    uint32_t added = pt_weights(t, 1, b);
    uint32_t sum =
        now.bias ? pt_binary(t, "Add", product, added) : pt_binary(t, "Add", added, product);
    if (now.result_zero) pt_output(t, product); /* somebody else reads it */
    finish(t, pt_binary(t, "Mul", sum, pt_unary(t, "Sigmoid", sum)));
}

static void a_bias_in_float_goes_into_the_product(void **state)
{
    (void)state;
    for (int form = 0; form < 32; form++) {
        size_t changes;
        now = usual;
        now.bytes = form & 1 ? NND_I8 : NND_U8;
        now.per_channel = form & 2;
        now.bias = form & 4;
        now.transposed = form & 8;   /* one number for all columns: it stays an Add */
        now.result_zero = form >> 4; /* an output of its own */
        now.result_scale = 0.1f;
        const bool taken = !now.transposed && !now.result_zero;
        nnd_graph *g = pt_compare(build_matmul_with_bias, 14, 0, nnd_pass_qdq, 0.101, &changes);
        assert_int_equal(changes, taken ? 2 : 1);
        assert_int_equal(pt_count(g, "MatMulIntegerToFloat"), 1);
        assert_int_equal(pt_count(g, "MatMul"), 0);
        assert_int_equal(pt_count(g, "Add"), !taken);
        nnd_graph_destroy(g);
    }
}

/* ---- between products ------------------------------------------------------------------------ */

static void build_pair(pass_test *t)
{
    const int64_t x[4] = {2, 3, 5, 7}, narrow[4] = {1, 3, 1, 1};
    uint32_t a = activation(t, "a", 4, x);
    uint32_t b = bytes_of(t, pt_input(t, "b", 4, now.transposed ? narrow : x), 0.02f, 90, NULL);
    finish(t, now.per_channel ? pt_binary(t, now.type, b, a) : pt_binary(t, now.type, a, b));
}

static void build_pool(pass_test *t)
{
    const int64_t x[4] = {2, 3, 8, 9};
    uint32_t in = activation(t, "x", 4, x);
    nnd_graph_node *n = pt_node_of(t, now.type, 1, &in);
    if (strcmp(now.type, "AveragePool") == 0) {
        assert_ok(nnd_node_add_ints(t->g, n, "kernel_shape", (const int64_t[]){3, 2}, 2));
        assert_ok(nnd_node_add_ints(t->g, n, "strides", (const int64_t[]){2, 1}, 2));
        assert_ok(nnd_node_add_ints(t->g, n, "pads", (const int64_t[]){1, 0, 1, 1}, 4));
    }
    finish(t, n->outputs[0]);
}

static void sums_products_and_averages_are_integer(void **state)
{
    static const char *const activations[] = {NULL, "Relu", "Clip"};
    (void)state;
    for (int form = 0; form < 24; form++) {
        now = usual;
        now.bytes = form & 1 ? NND_I8 : NND_U8;
        now.transposed = form & 2;
        now.per_channel = form & 4;
        now.behind = activations[form / 8];
        now.low = -1.5f;
        now.high = 3.0f;
        double step = 1.01 * (double)now.result_scale;
        now.type = "Add";
        expect(build_pair, "QLinearAdd", 1, step);
        now.type = "Mul";
        expect(build_pair, "QLinearMul", 1, step);
        now.type = "GlobalAveragePool";
        expect(build_pool, "QLinearGlobalAveragePool", 1, step);
        now.type = "AveragePool";
        expect(build_pool, "QLinearAveragePool", 1, step);
    }
}

static void build_concat(pass_test *t)
{
    const int64_t x[4] = {2, 3, 5, 7}, wide[4] = {2, 4, 5, 7};
    const uint32_t in[2] = {activation(t, "a", 4, x),
                            bytes_of(t, pt_input(t, "b", 4, wide),
                                     now.per_channel ? 0.01f : now.scale, now.zero, NULL)};
    nnd_graph_node *n = pt_node_of(t, "Concat", 2, in);
    assert_ok(nnd_node_add_int(t->g, n, "axis", 1));
    finish(t, n->outputs[0]);
}

static void concat_moves_bytes_of_one_scale(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        now = usual;
        now.bytes = form & 1 ? NND_I8 : NND_U8;
        now.per_channel = form & 2;
        now.result_scale = now.scale;
        now.result_zero = now.zero;
        expect(build_concat, now.per_channel ? "QLinearConcat" : "Concat", 1, 1e-6);
    }
}

/* Operators that move values, and the input that says where to. */
static void build_move(pass_test *t)
{
    const int64_t x[4] = {1, 4, 6, 8};
    const float scales[4] = {1, 1, 2, 2};
    uint32_t in[4] = {activation(t, "x", 4, x), NND_NO_ID, NND_NO_ID, NND_NO_ID};
    size_t count = 1;
    if (strcmp(now.type, "Reshape") == 0 || strcmp(now.type, "Expand") == 0) {
        in[count++] = pt_ints(t, 4,
                              now.type[0] == 'R' ? (const int64_t[]){1, 8, -1, 3}
                                                 : (const int64_t[]){3, 4, 6, 8});
    } else if (strcmp(now.type, "Slice") == 0) {
        in[count++] = pt_ints(t, 2, (const int64_t[]){1, 2});
        in[count++] = pt_ints(t, 2, (const int64_t[]){3, 6});
    } else if (strcmp(now.type, "Resize") == 0) {
        in[2] = floats(t, 4, scales);
        count = 3;
    }
    nnd_graph_node *n = pt_node_of(t, now.type, count, in);
    if (strcmp(now.type, "Transpose") == 0)
        assert_ok(nnd_node_add_ints(t->g, n, "perm", (const int64_t[]){0, 2, 3, 1}, 4));
    if (strcmp(now.type, "DepthToSpace") == 0) assert_ok(nnd_node_add_int(t->g, n, "blocksize", 2));
    if (strcmp(now.type, "MaxPool") == 0) {
        assert_ok(nnd_node_add_ints(t->g, n, "kernel_shape", (const int64_t[]){3, 2}, 2));
        assert_ok(nnd_node_add_ints(t->g, n, "strides", (const int64_t[]){2, 1}, 2));
        assert_ok(nnd_node_add_ints(t->g, n, "pads", (const int64_t[]){1, 0, 1, 1}, 4));
    }
    finish(t, n->outputs[0]);
}

static void what_moves_values_moves_bytes(void **state)
{
    static const char *const types[] = {"MaxPool", "Reshape", "Transpose",    "Flatten",
                                        "Slice",   "Expand",  "DepthToSpace", "Resize"};
    (void)state;
    for (size_t i = 0; i < 2 * NND_COUNT(types); i++) {
        now = usual;
        now.type = types[i / 2];
        now.bytes = i & 1 ? NND_I8 : NND_U8;
        now.result_scale = now.scale;
        now.result_zero = now.zero;
        expect(build_move, now.type, 1, 0);
    }
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void build_unary(pass_test *t)
{
    const int64_t x[3] = {2, 5, 40};
    finish(t, pt_unary(t, now.type, activation(t, "x", 3, x)));
}

static void functions_of_a_byte_are_tables(void **state)
{
    static const char *const types[] = {"Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish",
                                        "Tanh", "Elu",       "Exp",     "Neg",         "Erf"};
    (void)state;
    for (size_t i = 0; i < 4 * NND_COUNT(types); i++) {
        now = usual;
        now.type = types[i / 4];
        now.bytes = i & 1 ? NND_I8 : NND_U8;
        now.behind = i & 2 ? "Clip" : NULL;
        now.low = -0.5f;
        now.high = 0.5f;
        now.result_scale = 0.013f;
        expect(build_unary, "ByteTable", 1, 0);
    }
}

/* x·Sigmoid(x); per_channel: with bytes between the two; transposed: the other operand first. */
static void build_silu(pass_test *t)
{
    const int64_t dims[3] = {2, 5, 40};
    uint32_t x = activation(t, "x", 3, dims), gate = pt_unary(t, "Sigmoid", x);
    if (now.per_channel) gate = bytes_of(t, gate, 1.0f / 256, 0, NULL);
    finish(t, now.transposed ? pt_binary(t, "Mul", gate, x) : pt_binary(t, "Mul", x, gate));
}

/* Clip(x + 3, 0, 6)/6·x with numbers as scalars, in bytes after every step. */
static void build_hard_swish(pass_test *t)
{
    const int64_t dims[3] = {2, 5, 40};
    uint32_t x = activation(t, "x", 3, dims);
    uint32_t sum = bytes_of(t, pt_binary(t, "Add", x, pt_number(t, 3)), 0.03f, 30, NULL);
    uint32_t cut = three(t, "Clip", sum, pt_number(t, 0), pt_number(t, 6));
    cut = bytes_of(t, cut, 6.0f / 255, 0, NULL);
    finish(t, pt_binary(t, "Mul", x, pt_binary(t, "Div", cut, pt_number(t, 6))));
}

static void several_steps_of_one_byte_are_one_table(void **state)
{
    (void)state;
    for (int form = 0; form < 8; form++) {
        now = usual;
        now.bytes = form & 1 ? NND_I8 : NND_U8;
        now.per_channel = form & 2;
        now.transposed = form & 4;
        expect(build_silu, "ByteTable", now.per_channel ? 2 : 1, 0);
    }
    now = usual;
    expect(build_hard_swish, "ByteTable", 3, 0);
}

/* Another scale and nothing between: a table; the same scale: nothing at all. */
static void build_again(pass_test *t)
{
    const int64_t dims[2] = {3, 90};
    finish(t, activation(t, "x", 2, dims));
}

static void another_scale_is_a_table(void **state)
{
    (void)state;
    now = usual;
    expect(build_again, "ByteTable", 1, 0);
    now.result_scale = now.scale;
    now.result_zero = now.zero;
    expect(build_again, "Identity", 1, 0);
}

/* ---- what must stay -------------------------------------------------------------------------- */

typedef enum flaw {
    SCALE_ZERO,
    SCALE_NAN,
    SCALE_INFINITE,
    SCALE_NEGATIVE,
    SCALE_TINY,
    SCALE_LARGE,
    NO_ZERO_POINT,
    SCALE_IS_AN_INPUT,
    CHANNELS_ALONG_INPUT,
    TOO_MANY_SCALES,
    BIAS_OF_ANOTHER_SCALE,
    BIAS_WITH_ZERO_POINT,
    BIAS_TOO_SHORT,
    RESULT_READ_TWICE,
    RESULT_IS_AN_OUTPUT,
    RESULT_PER_CHANNEL,
    FLAWS
} flaw;

static float flawed_scale(flaw f)
{
    static const float scales[] = {
        [SCALE_ZERO] = 0.0f,      [SCALE_NAN] = NAN,          [SCALE_INFINITE] = INFINITY,
        [SCALE_NEGATIVE] = -0.5f, [SCALE_TINY] = FLT_MIN / 2, [SCALE_LARGE] = FLT_MAX / 100};
    return scales[f];
}

/* Where: 0 the input's scale, 1 the weights', 2 the result's. */
static uint32_t scale_of(pass_test *t, flaw f, int where)
{
    if (f <= SCALE_LARGE && t->variant / FLAWS == where) return pt_number(t, flawed_scale(f));
    if (f == SCALE_IS_AN_INPUT && t->variant / FLAWS == where) return pt_input(t, "s", 0, NULL);
    return pt_number(t, 0.05f);
}

static uint32_t flawed_weights(pass_test *t, flaw f)
{
    const int64_t dims[4] = {2, 2, 1, 1}, two[1] = {2}, three_of[1] = {3};
    const float scales[3] = {0.01f, 0.02f, 0.03f};
    bool many = f == TOO_MANY_SCALES, list = many || f == CHANNELS_ALONG_INPUT;
    const uint32_t in[3] = {integers(t, NND_I8, 4, dims, 100),
                            list ? floats(t, many ? 3 : 2, scales) : scale_of(t, f, 1),
                            integers(t, NND_I8, list, many ? three_of : two, 0)};
    nnd_graph_node *n = pt_node_of(t, "DequantizeLinear", 3, in);
    if (list) assert_ok(nnd_node_add_int(t->g, n, "axis", f == CHANNELS_ALONG_INPUT));
    return n->outputs[0];
}

static uint32_t flawed_bias(pass_test *t, flaw f)
{
    const int64_t two[1] = {2}, one[1] = {1};
    const uint32_t in[3] = {integers(t, NND_I32, 1, f == BIAS_TOO_SHORT ? one : two, 100),
                            pt_number(t, f == BIAS_OF_ANOTHER_SCALE ? 0.1f : 0.05f * 0.05f),
                            integers(t, NND_I32, 0, NULL, 0)};
    if (f == BIAS_WITH_ZERO_POINT) /* of the type that it has, and not 0 */
        *(int32_t *)t->g->values[in[2]].constant.data = 3;
    return pt_node_of(t, "DequantizeLinear", 3, in)->outputs[0];
}

static void build_flawed(pass_test *t)
{
    flaw f = (flaw)(t->variant % FLAWS);
    const int64_t dims[4] = {1, 2, 3, 3};
    const float two[2] = {0.1f, 0.2f};
    uint32_t x = pt_input(t, "x", 4, dims), point = byte_point(t, NND_U8, 100);
    uint32_t scale = scale_of(t, f, 0), y_scale = scale_of(t, f, 2), q_in[3] = {x, scale, point};
    size_t operands = f == NO_ZERO_POINT ? 2 : 3;
    uint32_t q = pt_node_of(t, "QuantizeLinear", operands, q_in)->outputs[0];
    const uint32_t dq_in[3] = {q, scale, point};
    uint32_t conv_in[3] = {pt_node_of(t, "DequantizeLinear", operands, dq_in)->outputs[0],
                           flawed_weights(t, f), flawed_bias(t, f)};
    uint32_t y = pt_node_of(t, "Conv", 3, conv_in)->outputs[0];
    if (f == RESULT_IS_AN_OUTPUT) pt_output(t, y);
    if (f == RESULT_READ_TWICE) pt_output(t, pt_unary(t, "Neg", y));
    if (f == RESULT_PER_CHANNEL) {
        const int64_t count[1] = {2};
        y_scale = floats(t, 2, two);
        point = integers(t, NND_U8, 1, count, 0);
    }
    pt_output(t, three(t, "QuantizeLinear", y, y_scale, point));
}

static void flawed_graphs_stay(void **state)
{
    (void)state;
    for (int variant = 0; variant < 3 * FLAWS; variant++) {
        flaw f = (flaw)(variant % FLAWS);
        if (variant >= FLAWS && f > SCALE_LARGE && f != SCALE_IS_AN_INPUT) continue;
        nnd_graph *g = pt_graph(build_flawed, 13, variant);
        size_t changes = 0;
        assert_ok(nnd_pass_qdq(g, &changes));
        /* Where only the result is flawed, the sums of integers become floats. */
        bool floats_only = f >= RESULT_READ_TWICE || (variant / FLAWS == 2 && f < NO_ZERO_POINT) ||
                           (variant / FLAWS == 2 && f == SCALE_IS_AN_INPUT);
        if (changes != floats_only || pt_count(g, floats_only ? "ConvIntegerToFloat" : "Conv") != 1)
            fail_msg("flaw %d at %d", (int)f, variant / FLAWS);
        nnd_graph_destroy(g);
    }
}

/* The same graph without a flaw does change: the test above tests what it says. */
static void the_same_without_a_flaw_changes(void **state)
{
    size_t changes = 0;
    (void)state;
    nnd_graph *g = pt_graph(build_flawed, 13, FLAWS * 3 + SCALE_ZERO);
    assert_ok(nnd_pass_qdq(g, &changes));
    assert_int_equal(changes, 1);
    assert_int_equal(pt_count(g, "QLinearConv"), 1);
    nnd_graph_destroy(g);
}

/* 0: alpha; 1: beta; 2: transA; 3: a matrix is added; 4: sum of unlike types; 5: a resized picture
   that is not made of its own values; 6: two different bytes under one function; 7: a pooling that
   also says where. */
static void build_other_arithmetic(pass_test *t)
{
    const int64_t m[2] = {5, 5}, x[4] = {1, 2, 4, 4};
    const float scales[4] = {1, 1, 2, 2};
    uint32_t y, a = activation(t, "x", t->variant < 4 ? 2 : 4, t->variant < 4 ? m : x);
    if (t->variant < 4) {
        uint32_t added = t->variant == 3 ? integers(t, NND_I32, 2, m, 100) : NND_NO_ID;
        uint32_t in[3] = {a, weights(t, 2, m, 1), NND_NO_ID};
        const uint32_t dq[2] = {added, pt_number(t, now.scale * 0.01f)};
        if (t->variant == 3) in[2] = pt_node_of(t, "DequantizeLinear", 2, dq)->outputs[0];
        if (t->variant == 1) in[2] = bias(t, 5);
        nnd_graph_node *n = pt_node_of(t, "Gemm", t->variant & 1 ? 3 : 2, in);
        if (t->variant < 2)
            assert_ok(nnd_node_add_float(t->g, n, t->variant ? "beta" : "alpha", 0.5f));
        if (t->variant == 2) assert_ok(nnd_node_add_int(t->g, n, "transA", 1));
        y = n->outputs[0];
    } else if (t->variant == 4) {
        uint32_t s = pt_number(t, 0.02f), z = byte_point(t, NND_I8, 128);
        uint32_t q = three(t, "QuantizeLinear", pt_input(t, "b", 4, x), s, z);
        y = pt_binary(t, "Add", a, three(t, "DequantizeLinear", q, s, z));
    } else if (t->variant == 5) {
        const uint32_t in[3] = {a, NND_NO_ID, floats(t, 4, scales)};
        nnd_graph_node *n = pt_node_of(t, "Resize", 3, in);
        assert_ok(nnd_node_add_string(t->g, n, "mode", "linear"));
        y = n->outputs[0];
    } else if (t->variant == 6) {
        y = pt_binary(t, "Sub", a, activation(t, "b", 4, x));
    } else {
        nnd_graph_node *n;
        assert_ok(nnd_graph_add_node(t->g, "", "MaxPool", t->opset, NULL, 1, &a, 2, NULL, &n));
        assert_ok(nnd_node_add_ints(t->g, n, "kernel_shape", (const int64_t[]){2, 2}, 2));
        pt_output(t, n->outputs[1]);
        y = n->outputs[0];
    }
    finish(t, y);
}

static void other_arithmetic_stays_in_floating_point(void **state)
{
    (void)state;
    for (int variant = 0; variant < 8; variant++) {
        size_t changes;
        now = usual;
        now.result_scale = now.scale;
        now.result_zero = now.zero;
        nnd_graph *g = pt_compare(build_other_arithmetic, 13, variant, nnd_pass_qdq, 0, &changes);
        if (changes) fail_msg("variant %d", variant);
        nnd_graph_destroy(g);
    }
}

/* A constant with more dimensions than the bytes makes the result larger: no table. */
static void build_widening(pass_test *t)
{
    const int64_t x[2] = {3, 4}, ones[3] = {1, 1, 1};
    uint32_t a = activation(t, "x", 2, x), number = pt_weights(t, 3, ones);
    finish(t, pt_binary(t, "Mul", a, number));
}

static void a_constant_that_widens_is_no_table(void **state)
{
    size_t changes;
    (void)state;
    now = usual;
    nnd_graph_destroy(pt_compare(build_widening, 13, 0, nnd_pass_qdq, 0, &changes));
    assert_int_equal(changes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_integer),
        cmocka_unit_test(activations_limit_the_codes),
        cmocka_unit_test(sums_without_a_quantize_become_floats),
        cmocka_unit_test(a_bias_in_float_goes_into_the_product),
        cmocka_unit_test(sums_products_and_averages_are_integer),
        cmocka_unit_test(concat_moves_bytes_of_one_scale),
        cmocka_unit_test(what_moves_values_moves_bytes),
        cmocka_unit_test(functions_of_a_byte_are_tables),
        cmocka_unit_test(several_steps_of_one_byte_are_one_table),
        cmocka_unit_test(another_scale_is_a_table),
        cmocka_unit_test(flawed_graphs_stay),
        cmocka_unit_test(the_same_without_a_flaw_changes),
        cmocka_unit_test(other_arithmetic_stays_in_floating_point),
        cmocka_unit_test(a_constant_that_widens_is_no_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
