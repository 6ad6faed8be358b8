/* Every pass with every allocation failing: a clean error, nothing left, and never a graph that is
   half changed and taken for whole. */
#include "pass_support.h"

#include "support/oom.h"

/* ---- a graph for each pass, in which it finds something to do ----------------------------------
 */

static const int64_t picture[4] = {1, 16, 6, 6}, kernel[4] = {16, 16, 3, 3}, channels[1] = {16};

static uint32_t conv(pass_test *t, uint32_t x)
{
    return pt_binary(t, "Conv", x, pt_weights(t, 4, kernel));
}

/* What bytes make of `x`; i8: of constant weights. */
static uint32_t dequantised(pass_test *t, uint32_t x, nnd_dtype type)
{
    static const uint8_t bytes[16 * 16 * 9];
    nnd_tensor zero;
    uint32_t in[3] = {x, pt_number(t, 0.5f), 0};
    assert_ok(nnd_tensor_init(&zero, type, 0, NULL, (void *)(uintptr_t)bytes));
    assert_ok(nnd_graph_add_constant(t->g, NULL, &zero, &in[2]));
    if (type == NND_I8) {
        nnd_tensor w;
        assert_ok(nnd_tensor_init(&w, type, 4, kernel, (void *)(uintptr_t)bytes));
        assert_ok(nnd_graph_add_constant(t->g, NULL, &w, &in[0]));
    } else {
        in[0] = pt_node_of(t, "QuantizeLinear", 3, in)->outputs[0];
    }
    return pt_node_of(t, "DequantizeLinear", 3, in)->outputs[0];
}

/* A product of what DynamicQuantizeLinear makes, with a constant scale and a bias. */
static void build_dynamic(pass_test *t)
{
    static const uint8_t bytes[16 * 16];
    const int64_t square[2] = {16, 16};
    uint32_t x = pt_input(t, "rows", 2, square), in[3];
    nnd_tensor w;
    nnd_graph_node *n;
    assert_ok(nnd_graph_add_node(t->g, "", "DynamicQuantizeLinear", 11, NULL, 1, &x, 3, NULL, &n));
    assert_ok(nnd_tensor_init(&w, NND_I8, 2, square, (void *)(uintptr_t)bytes));
    assert_ok(nnd_graph_add_constant(t->g, NULL, &w, &in[1]));
    in[0] = n->outputs[0];
    in[2] = n->outputs[2];
    nnd_graph_node *cast = pt_node_of(t, "Cast", 1, pt_node_of(t, "MatMulInteger", 3, in)->outputs);
    assert_ok(nnd_node_add_int(t->g, cast, "to", 1));
    uint32_t y = pt_binary(t, "Mul", cast->outputs[0], pt_number(t, 0.25f));
    pt_output(t, pt_binary(t, "Add", y, pt_weights(t, 1, channels)));
}

static void build_qdq(pass_test *t)
{
    uint32_t x = dequantised(t, pt_input(t, "x", 4, picture), NND_U8);
    uint32_t y = pt_unary(t, "Relu", pt_binary(t, "Conv", x, dequantised(t, 0, NND_I8)));
    pt_output(t, dequantised(t, y, NND_U8));
    build_dynamic(t);
}

static void build_constants(pass_test *t)
{
    uint32_t sum = pt_binary(t, "Add", pt_weights(t, 1, channels), pt_number(t, 2));
    pt_output(t, pt_binary(t, "Mul", pt_input(t, "x", 1, channels), pt_unary(t, "Exp", sum)));
}

static void build_identity(pass_test *t)
{
    pt_output(t, pt_unary(t, "Neg", pt_unary(t, "Identity", pt_input(t, "x", 4, picture))));
}

static uint32_t batchnorm(pass_test *t, uint32_t x)
{
    uint32_t in[5] = {x};
    float variance[16];
    nnd_tensor list;
    for (int i = 1; i < 4; i++)
        in[i] = pt_weights(t, 1, channels);
    for (size_t i = 0; i < NND_COUNT(variance); i++)
        variance[i] = 1.5f;
    assert_ok(nnd_tensor_init(&list, NND_F32, 1, channels, variance));
    assert_ok(nnd_graph_add_constant(t->g, NULL, &list, &in[4]));
    return pt_node_of(t, "BatchNormalization", 5, in)->outputs[0];
}

/* Once behind a convolution, once alone. */
static void build_batchnorm(pass_test *t)
{
    uint32_t x = batchnorm(t, conv(t, pt_input(t, "x", 4, picture)));
    pt_output(t, batchnorm(t, pt_unary(t, "Relu", x)));
}

static void build_activation(pass_test *t)
{
    uint32_t y = pt_unary(t, "Relu", conv(t, pt_input(t, "x", 4, picture)));
    const uint32_t limits[3] = {conv(t, y), pt_number(t, 0), pt_number(t, 6)};
    pt_output(t, pt_node_of(t, "Clip", 3, limits)->outputs[0]);
}

static void build_dead(pass_test *t)
{
    uint32_t x = pt_input(t, "x", 4, picture);
    pt_unary(t, "Exp", pt_unary(t, "Neg", x));
    pt_output(t, pt_unary(t, "Abs", x));
}

static void build_residual(pass_test *t)
{
    const int64_t small[4] = {16, 16, 1, 1};
    uint32_t x = pt_input(t, "x", 4, picture);
    uint32_t y = pt_binary(t, "Conv", x, pt_weights(t, 4, small));
    pt_output(t, pt_binary(t, "Add", y, pt_unary(t, "Neg", x)));
}

static void build_layout(pass_test *t)
{
    uint32_t y = conv(t, pt_unary(t, "Relu", conv(t, pt_input(t, "x", 4, picture))));
    nnd_graph_node *pool = pt_node_of(t, "MaxPool", 1, &y);
    uint32_t pooled = pool->outputs[0];
    assert_ok(nnd_node_add_ints(t->g, pool, "kernel_shape", (int64_t[]){2, 2}, 2));
    pt_output(t, pt_unary(t, "Flatten", pooled));
}

static void build_pad(pass_test *t)
{
    const int64_t pads[8] = {0, 0, 1, 1, 0, 0, 1, 1};
    uint32_t list = pt_ints(t, 8, pads);
    uint32_t x = conv(t, pt_binary(t, "Pad", pt_input(t, "x", 4, picture), list));
    x = pt_binary(t, "Pad", x, list);
    nnd_graph_node *pool = pt_node_of(t, "AveragePool", 1, &x);
    uint32_t pooled = pool->outputs[0];
    assert_ok(nnd_node_add_ints(t->g, pool, "kernel_shape", (int64_t[]){3, 3}, 2));
    pt_output(t, pooled);
}

static void build_twins(pass_test *t)
{
    uint32_t x = pt_input(t, "x", 4, picture);
    uint32_t a = pt_unary(t, "Tanh", pt_binary(t, "Add", x, pt_number(t, 0.5f)));
    uint32_t b = pt_unary(t, "Tanh", pt_binary(t, "Add", x, pt_number(t, 0.5f)));
    pt_output(t, pt_binary(t, "Mul", a, b));
}

static void build_scale(pass_test *t)
{
    const int64_t per[3] = {16, 1, 1};
    uint32_t y = conv(t, pt_input(t, "x", 4, picture));
    y = pt_binary(t, "Mul", y, pt_number(t, 2.5f));
    pt_output(t, pt_binary(t, "Add", y, pt_weights(t, 3, per)));
}

static uint32_t mean(pass_test *t, uint32_t x)
{
    nnd_graph_node *n = pt_node_of(t, "ReduceMean", 1, &x);
    uint32_t y = n->outputs[0];
    assert_ok(nnd_node_add_ints(t->g, n, "axes", (int64_t[]){-1}, 1));
    return y;
}

static void build_norm(pass_test *t)
{
    const int64_t dims[3] = {2, 5, 24};
    uint32_t x = pt_input(t, "x", 3, dims), d = pt_binary(t, "Sub", x, mean(t, x));
    uint32_t v = mean(t, pt_binary(t, "Pow", d, pt_number(t, 2)));
    uint32_t root = pt_unary(t, "Sqrt", pt_binary(t, "Add", v, pt_number(t, 1e-5f)));
    uint32_t n = pt_binary(t, "Div", d, root);
    n = pt_binary(t, "Mul", n, pt_weights(t, 1, dims + 2));
    pt_output(t, pt_binary(t, "Add", n, pt_weights(t, 1, dims + 2)));
}

static void build_gelu(pass_test *t)
{
    uint32_t x = pt_input(t, "x", 4, picture);
    uint32_t erf = pt_unary(t, "Erf", pt_binary(t, "Div", x, pt_number(t, 1.41421356f)));
    uint32_t step = pt_binary(t, "Add", erf, pt_number(t, 1));
    uint32_t gelu = pt_binary(t, "Mul", pt_binary(t, "Mul", x, step), pt_number(t, 0.5f));
    pt_output(t, pt_binary(t, "Mul", gelu, pt_unary(t, "Sigmoid", gelu)));
}

static void build_transposes(pass_test *t)
{
    const int64_t to_last[4] = {0, 2, 3, 1}, to_first[4] = {0, 3, 1, 2};
    uint32_t y = pt_transpose(t, pt_input(t, "x", 4, picture), 4, to_last);
    y = pt_unary(t, "Relu", pt_binary(t, "Mul", pt_number(t, 3), y));
    pt_output(t, pt_unary(t, "Exp", pt_transpose(t, y, 4, to_first)));
}

static void build_views(pass_test *t)
{
    const int64_t first[2] = {16, 36}, last[2] = {-1, 2};
    uint32_t y = pt_binary(t, "Reshape", pt_input(t, "x", 4, picture), pt_ints(t, 2, first));
    pt_output(t, pt_unary(t, "Exp", pt_binary(t, "Reshape", y, pt_ints(t, 2, last))));
}

static void build_attention(pass_test *t)
{
    const int64_t rows[4] = {2, 3, 5, 8}, turned[4] = {2, 3, 8, 7}, values[4] = {2, 3, 7, 6};
    uint32_t q = pt_input(t, "q", 4, rows), k = pt_input(t, "k", 4, turned);
    uint32_t scores = pt_binary(t, "Div", pt_binary(t, "MatMul", q, k), pt_number(t, 3));
    scores = pt_binary(t, "Add", scores, pt_weights(t, 1, values + 2));
    nnd_graph_node *softmax = pt_node_of(t, "Softmax", 1, &scores);
    uint32_t w = softmax->outputs[0];
    assert_ok(nnd_node_add_int(t->g, softmax, "axis", -1));
    pt_output(t, pt_binary(t, "MatMul", w, pt_input(t, "v", 4, values)));
}

static void build_half(pass_test *t)
{
    static const uint16_t numbers[4] = {0x3f80, 0x4000, 0x3f00, 0xbf80};
    const int64_t dims[2] = {2, 2};
    uint32_t in[2];
    nnd_tensor w;
    assert_ok(nnd_tensor_init(&w, NND_BF16, 2, dims, (void *)(uintptr_t)numbers));
    assert_ok(nnd_graph_add_input(t->g, "x", NND_BF16, 2, dims, &in[0]));
    assert_ok(nnd_graph_add_constant(t->g, NULL, &w, &in[1]));
    uint32_t y = pt_node_of(t, "MatMul", 2, in)->outputs[0];
    t->g->values[y].dtype = NND_BF16;
    pt_output(t, y);
}

static void build_product(pass_test *t)
{
    const int64_t rows[2] = {3, 4}, turn[2] = {1, 0};
    uint32_t x = pt_transpose(t, pt_input(t, "x", 2, rows), 2, turn);
    pt_output(t, pt_binary(t, "MatMul", x, pt_input(t, "w", 2, rows)));
}

static uint32_t scalar(pass_test *t, nnd_dtype dtype, int64_t value)
{
    uint8_t byte = value != 0;
    nnd_tensor one;
    uint32_t id;
    assert_ok(nnd_tensor_init(&one, dtype, 0, NULL, dtype == NND_BOOL ? (void *)&byte : &value));
    assert_ok(nnd_graph_add_constant(t->g, NULL, &one, &id));
    return id;
}

/* The square of what it gets, by a sub-graph; hands its condition on when it is a Loop's. */
static nnd_graph *squaring(pass_test *t, bool loop)
{
    pass_test b = {.seed = 3, .opset = t->opset};
    uint32_t x, i, go;
    assert_ok(nnd_graph_create(t->g, "body", &b.g));
    if (loop) {
        assert_ok(nnd_graph_add_input(b.g, "i", NND_I64, 0, NULL, &i));
        assert_ok(nnd_graph_add_input(b.g, "go", NND_BOOL, 0, NULL, &go));
        pt_output(&b, go);
    }
    assert_ok(nnd_graph_resolve(b.g, "x", &x));
    pt_output(&b, pt_binary(&b, "Mul", x, pt_binary(&b, "Add", x, pt_number(&b, 1))));
    return b.g;
}

static void build_control(pass_test *t)
{
    pt_input(t, "x", 1, channels);
    const uint32_t yes = scalar(t, NND_BOOL, 1), trips[2] = {scalar(t, NND_I64, 2), NND_NO_ID};
    nnd_graph_node *n = pt_node_of(t, "If", 1, &yes);
    uint32_t y = n->outputs[0];
    assert_ok(nnd_node_add_graph(t->g, n, "then_branch", squaring(t, false)));
    assert_ok(nnd_node_add_graph(t->g, n, "else_branch", squaring(t, false)));
    assert_ok(nnd_graph_close_node(t->g, n));
    pt_output(t, y);
    n = pt_node_of(t, "Loop", 2, trips);
    y = n->outputs[0];
    assert_ok(nnd_node_add_graph(t->g, n, "body", squaring(t, true)));
    assert_ok(nnd_graph_close_node(t->g, n));
    pt_output(t, y);
}

static void build_sequence(pass_test *t)
{
    uint32_t x = pt_input(t, "x", 1, channels), list = 0;
    const uint32_t two[2] = {x, pt_unary(t, "Neg", x)};
    list = pt_node_of(t, "SequenceConstruct", 2, two)->outputs[0];
    pt_output(t, pt_binary(t, "SequenceAt", list, scalar(t, NND_I64, 1)));
    pt_output(t, pt_unary(t, "SequenceLength", list));
    nnd_graph_node *n = pt_node_of(t, "ConcatFromSequence", 1, &list);
    uint32_t y = n->outputs[0];
    assert_ok(nnd_node_add_int(t->g, n, "axis", 0));
    pt_output(t, y);
}

static void build_elementwise(pass_test *t)
{
    uint32_t x = pt_input(t, "x", 4, picture);
    uint32_t y = pt_binary(t, "Mul", pt_unary(t, "Exp", x), pt_number(t, 0.5f));
    y = pt_binary(t, "Add", y, pt_weights(t, 3, (int64_t[]){16, 1, 1}));
    y = pt_binary(t, "QuantizeLinear", pt_binary(t, "Div", x, y), pt_number(t, 0.1f));
    pt_output(t, pt_unary(t, "Neg", pt_binary(t, "DequantizeLinear", y, pt_number(t, 0.1f))));
}

static const struct {
    nnd_pass_fn run;
    pt_build build;
} cases[NND_PASS_COUNT] = {
    [NND_PASS_QDQ] = {nnd_pass_qdq, build_qdq},
    [NND_PASS_CONSTANT_FOLDING] = {nnd_pass_constant_folding, build_constants},
    [NND_PASS_IDENTITY] = {nnd_pass_identity, build_identity},
    [NND_PASS_BATCHNORM] = {nnd_pass_batchnorm, build_batchnorm},
    [NND_PASS_ACTIVATION] = {nnd_pass_activation, build_activation},
    [NND_PASS_DEAD_CODE] = {nnd_pass_dead_code, build_dead},
    [NND_PASS_RESIDUAL] = {nnd_pass_residual, build_residual},
    [NND_PASS_LAYOUT] = {nnd_pass_layout, build_layout},
    [NND_PASS_PAD] = {nnd_pass_pad, build_pad},
    [NND_PASS_COMMON] = {nnd_pass_common, build_twins},
    [NND_PASS_SCALE] = {nnd_pass_scale, build_scale},
    [NND_PASS_NORMALIZATION] = {nnd_pass_normalization, build_norm},
    [NND_PASS_GELU] = {nnd_pass_gelu, build_gelu},
    [NND_PASS_TRANSPOSE] = {nnd_pass_transpose, build_transposes},
    [NND_PASS_RESHAPE] = {nnd_pass_reshape, build_views},
    [NND_PASS_ATTENTION] = {nnd_pass_attention, build_attention},
    [NND_PASS_HALF] = {nnd_pass_half, build_half},
    [NND_PASS_PRODUCT] = {nnd_pass_product, build_product},
    [NND_PASS_CONTROL] = {nnd_pass_control, build_control},
    [NND_PASS_SEQUENCE] = {nnd_pass_sequence, build_sequence},
    [NND_PASS_ELEMENTWISE] = {nnd_pass_elementwise, build_elementwise},
};

static nnd_graph *graph_for(int pass)
{
    const char *name = nnd_engine_pass_name((nnd_engine_pass)pass);
    if (!cases[pass].run) fail_msg("the pass '%s' has no graph here", name);
    return pt_graph(cases[pass].build, 17, 0);
}

/* ---- what has to hold ------------------------------------------------------------------------ */

static void every_pass_alone(void **state)
{
    (void)state;
    for (int pass = 0; pass < NND_PASS_COUNT; pass++) {
        const char *name = nnd_engine_pass_name((nnd_engine_pass)pass);
        bool hit = true;
        oom_begin();
        for (long n = 0; hit; n++) {
            nnd_graph *g = graph_for(pass);
            size_t changes = 0;
            oom_fail_after(n);
            nnd_status status = nnd_passes_shapes(g);
            if (status == NND_OK) status = cases[pass].run(g, &changes);
            hit = oom_hit();
            oom_never();
            nnd_error_clear();
            nnd_graph_destroy(g);
            if (status != (hit ? NND_E_OUT_OF_MEMORY : NND_OK))
                fail_msg("'%s', allocation %ld: %s", name, n, nnd_status_name(status));
            if (!hit && !changes) fail_msg("'%s' finds nothing to do in its graph", name);
            if (oom_live_blocks() != 0)
                fail_msg("'%s', allocation %ld: %ld blocks left", name, n, oom_live_blocks());
        }
        oom_end();
    }
}

/* All of them one behind the other, with everything that can be reported. */
static void all_passes_together(void **state)
{
    (void)state;
    for (int built = 0; built < NND_PASS_COUNT; built++) {
        bool hit = true;
        oom_begin();
        for (long n = 0; hit; n++) {
            nnd_graph *g = graph_for(built);
            nnd_pass_report report = NND_PASS_REPORT_INIT;
            report.dump_after = NND_PASS_LAYOUT;
            oom_fail_after(n);
            nnd_status status = nnd_passes_run(g, NND_PASSES_ALL, &report);
            hit = oom_hit();
            oom_never();
            nnd_error_clear();
            nnd_pass_report_fini(&report);
            nnd_graph_destroy(g);
            assert_int_equal(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
            assert_int_equal(oom_live_blocks(), 0);
        }
        oom_end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pass_alone),
        cmocka_unit_test(all_passes_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
