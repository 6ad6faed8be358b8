/*
 * Layers that took the addition behind them, at shapes that the pass 'residual' did not see: what
 * is added may be repeated, or the layer's own result, and both of them. Models with open sizes run
 * at one shape after the other against the same model without passes.
 */
#include "engine_support.h"
#include "kernels_support.h"
#include "onnx_writer.h"

/* ---- models --------------------------------------------------------------------------------- */

typedef struct form {
    const char *name;
    int rank; /* of pictures */
    int64_t in, out, side, groups;
    const char *kernel; /* the algorithm that is asked for; NULL = the model's choice */
} form;
static const form forms[] = {
    {"few channels", 4, 3, 3, 3, 1, NULL},
    {"pointwise", 4, 20, 24, 1, 1, "direct"},
    {"direct", 4, 16, 20, 3, 2, "direct"},
    {"winograd", 4, 16, 24, 3, 1, "winograd"},
    {"depthwise", 4, 24, 24, 3, 24, "depthwise"},
    {"row", 3, 6, 10, 3, 1, NULL},
    {"volume", 5, 3, 4, 3, 1, NULL},
};

/* bit 0: the other operand first; bit 1: the other operand comes from a convolution, too */
enum { OTHER_FIRST = 1, OTHER_MADE = 2, VARIANTS = 4 };
static const char *const activations[] = {NULL, "Relu", "HardSwish"};

static void weights(nnd_str *graph, const char *name, int rank, const int64_t *dims)
{
    static float data[24 * 24 * 27];
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    assert_true(count <= NND_COUNT(data));
    for (size_t i = 0; i < count; i++)
        data[i] = rng_float(-0.5f, 0.5f);
    ow_initializer(graph, name, OW_F32, rank, dims, data, count * sizeof(*data));
}

/* Of the size of its input. */
static void conv(nnd_str *graph, const form *f, const char *x, const char *y, int64_t in,
                 int64_t side, int64_t groups)
{
    const int64_t half = side / 2, bias[1] = {f->out};
    const int64_t dims[5] = {f->out, in / groups, side, side, side};
    const int64_t pads[6] = {half, half, half, half, half, half};
    char inputs[64], weight[16], offset[16];
    nnd_str attrs = {0};
    snprintf(weight, sizeof(weight), "%s_w", y);
    snprintf(offset, sizeof(offset), "%s_b", y);
    snprintf(inputs, sizeof(inputs), "%s,%s,%s", x, weight, offset);
    weights(graph, weight, f->rank, dims);
    weights(graph, offset, 1, bias);
    ow_attr_ints(&attrs, "pads", pads, (size_t)(f->rank - 2) * 2);
    ow_attr_int(&attrs, "group", groups);
    ow_node(graph, "Conv", inputs, y, &attrs);
}

static nnd_str build(const form *f, int variant, const char *activation)
{
    static const char *const symbols[] = {"n", "c", "h", "w", "v"};
    static const char *const other[] = {"n2", "c", "h2", "w2", "v2"};
    int64_t x[5] = {-1, f->in, -1, -1, -1}, z[5] = {-1, f->out, -1, -1, -1};
    const int64_t open[5] = {-1, -1, -1, -1, -1};
    const char *added = variant & OTHER_MADE ? "made" : "z";
    char operands[32];
    nnd_str graph = {0}, model = {0};
    rng_state = 88172645463325252u;
    ow_value(&graph, OW_INPUT, "x", OW_F32, f->rank, x, symbols);
    ow_value(&graph, OW_INPUT, "z", OW_F32, f->rank, z, other);
    conv(&graph, f, "x", "layer", f->in, f->side, f->groups);
    if (variant & OTHER_MADE) conv(&graph, f, "z", "made", f->out, 1, 1);
    snprintf(operands, sizeof(operands), "%s,%s", variant & OTHER_FIRST ? added : "layer",
             variant & OTHER_FIRST ? "layer" : added);
    ow_node(&graph, "Add", operands, activation ? "sum" : "y", NULL);
    if (activation) ow_node(&graph, activation, "sum", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, f->rank, open, symbols);
    ow_model(&model, &graph, 14);
    return model;
}

static nnd_engine_model *load(const nnd_str *bytes, uint32_t passes, const char *kernel)
{
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_kernel all = {"Conv", "*", kernel};
    nnd_engine_model *m;
    options.passes = passes;
    options.kernels = &all;
    options.kernel_count = kernel != NULL;
    if (nnd_engine_model_load_memory(bytes->data, bytes->size, &options, &m) != NND_OK) {
        report_error("load");
        fail();
    }
    return m;
}

/* ---- runs ----------------------------------------------------------------------------------- */

/* Batch, and the sizes of x and z; those of more or fewer dimensions repeat the last one or leave
   it out. */
typedef struct sizes {
    int64_t x[3], z[3];
} sizes;
static const sizes all_sizes[] = {
    {{1, 6, 7}, {1, 6, 7}}, {{1, 6, 7}, {1, 1, 1}}, {{1, 1, 1}, {1, 6, 7}},
    {{2, 6, 7}, {1, 6, 7}}, {{1, 6, 7}, {3, 6, 7}}, {{2, 1, 7}, {1, 6, 1}},
    {{1, 6, 7}, {2, 1, 7}}, {{2, 9, 4}, {2, 9, 4}}, {{1, 1, 1}, {1, 1, 1}},
};

static void give(nnd_engine_request *r, size_t input, int rank, int64_t channels,
                 const int64_t *size)
{
    static float data[2][2 * 24 * 9 * 9 * 9];
    const int64_t dims[5] = {size[0], channels, size[1], size[2], size[2]};
    nnd_tensor t;
    assert_ok(nnd_tensor_init(&t, NND_F32, rank, dims, data[input]));
    assert_true((size_t)nnd_tensor_count(&t) <= NND_COUNT(data[0]));
    for (size_t i = 0; i < (size_t)nnd_tensor_count(&t); i++)
        data[input][i] = (float)((i * 37 + input * 11) % 101) / 25.0f - 2.0f;
    assert_ok(nnd_engine_request_bind_input(r, input, &t));
}

static nnd_status run(nnd_engine_request *r, const form *f, const sizes *s, nnd_tensor *y)
{
    give(r, 0, f->rank, f->in, s->x);
    give(r, 1, f->rank, f->out, s->z);
    NND_TRY(nnd_engine_request_run(r, 2, NULL));
    return nnd_engine_request_output(r, 0, y);
}

static void compare_at(nnd_engine_request *got, nnd_engine_request *expected, const form *f,
                       size_t which)
{
    nnd_tensor a, b;
    double worst;
    if (run(got, f, &all_sizes[which], &a) != NND_OK) {
        report_error(f->name);
        fail();
    }
    assert_ok(run(expected, f, &all_sizes[which], &b));
    assert_int_equal(a.rank, b.rank);
    assert_memory_equal(a.dims, b.dims, (size_t)a.rank * sizeof(*a.dims));
    if (count_mismatches(&a, &b, 1e-4, 1e-4, &worst))
        fail_msg("%s, sizes %zu: off by %g", f->name, which, worst);
}

static void compare(const form *f, int variant, const char *activation, uint32_t passes)
{
    nnd_str bytes = build(f, variant, activation);
    nnd_engine_model *plain = load(&bytes, 0, NULL), *fused = load(&bytes, passes, f->kernel);
    nnd_engine_request *expected, *got;
    assert_int_equal(count_ops(plain, "Add"), 1);
    assert_int_equal(count_ops(fused, "Add"), 0);
    assert_ok(nnd_engine_request_create(plain, &expected));
    assert_ok(nnd_engine_request_create(fused, &got));
    for (size_t i = 0; i < NND_COUNT(all_sizes); i++)
        compare_at(got, expected, f, i);
    for (size_t i = NND_COUNT(all_sizes); i-- > 0;) /* plans are there already */
        compare_at(got, expected, f, i);
    nnd_engine_request_destroy(got);
    nnd_engine_request_destroy(expected);
    nnd_engine_model_unref(fused);
    nnd_engine_model_unref(plain);
    nnd_str_free(&bytes);
}

static void run_all(nnd_isa isa)
{
    (void)isa;
    for (size_t i = 0; i < NND_COUNT(forms); i++)
        for (int variant = 0; variant < VARIANTS; variant++)
            for (size_t k = 0; k < NND_COUNT(activations); k++) {
                compare(&forms[i], variant, activations[k], NND_PASSES_DEFAULT);
                compare(&forms[i], variant, activations[k],
                        NND_PASSES_DEFAULT & ~(1u << NND_PASS_LAYOUT));
            }
}

static void sums_broadcast_on_every_isa(void **state)
{
    (void)state;
    each_isa(run_all);
}

/* One channel, which is repeated when the other operand, of which the pass could see but one, has
   more: that is nothing for channels in blocks. */
static void one_channel_meets_many(void **state)
{
    static const form first = {"first", 4, 3, 16, 3, 1, NULL}, one = {"one", 4, 16, 1, 3, 1, NULL};
    static const char *const symbols[] = {"c", "h", "w"};
    const int64_t x[4] = {1, 3, 6, 7}, z[3] = {-1, 6, 7}, axis[1] = {0}, length[1] = {1};
    static float data[2][5 * 6 * 7];
    nnd_str graph = {0}, model = {0};
    (void)state;
    for (size_t i = 0; i < NND_COUNT(data[0]); i++) {
        data[0][i] = (float)(i * 37 % 101) / 50.0f - 1.0f;
        data[1][i] = (float)(i * 29 % 97) / 50.0f - 1.0f;
    }
    ow_value(&graph, OW_INPUT, "x", OW_F32, 4, x, NULL);
    ow_value(&graph, OW_INPUT, "z", OW_F32, 3, z, symbols);
    ow_initializer(&graph, "axis", OW_I64, 1, length, axis, sizeof(axis));
    conv(&graph, &first, "x", "wide", 3, 3, 1);
    conv(&graph, &one, "wide", "layer", 16, 3, 1);
    ow_node(&graph, "Unsqueeze", "z,axis", "picture", NULL);
    ow_node(&graph, "Add", "layer,picture", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, -1, NULL, NULL);
    ow_model(&model, &graph, 14);
    nnd_engine_model *m[2] = {load(&model, 0, NULL), load(&model, NND_PASSES_DEFAULT, NULL)};
    assert_int_equal(count_ops(m[1], "Add"), 0);
    for (int64_t channels = 1; channels <= 5; channels += 4) {
        const int64_t given[3] = {channels, 6, 7};
        nnd_engine_request *r[2];
        nnd_tensor in[2], y[2];
        double worst;
        assert_ok(nnd_tensor_init(&in[0], NND_F32, 4, x, data[0]));
        assert_ok(nnd_tensor_init(&in[1], NND_F32, 3, given, data[1]));
        for (size_t i = 0; i < 2; i++) {
            assert_ok(nnd_engine_request_create(m[i], &r[i]));
            assert_ok(nnd_engine_request_bind_input(r[i], 0, &in[0]));
            assert_ok(nnd_engine_request_bind_input(r[i], 1, &in[1]));
            if (nnd_engine_request_run(r[i], 1, NULL) != NND_OK) {
                report_error("one channel");
                fail();
            }
            assert_ok(nnd_engine_request_output(r[i], 0, &y[i]));
        }
        assert_int_equal(y[1].dims[1], channels);
        assert_int_equal(nnd_tensor_count(&y[1]), nnd_tensor_count(&y[0]));
        assert_int_equal(count_mismatches(&y[1], &y[0], 1e-4, 1e-4, &worst), 0);
        nnd_engine_request_destroy(r[0]);
        nnd_engine_request_destroy(r[1]);
    }
    nnd_engine_model_unref(m[0]);
    nnd_engine_model_unref(m[1]);
    nnd_str_free(&model);
}

/* ---- convolutions without a kernel ----------------------------------------------------------- */

/* Weights that are inputs, in every float type: ONNX Runtime's FusedConv against the nodes that it
   stands for. */
static void other_types_broadcast(void **state)
{
    static const struct {
        nnd_dtype dtype;
        int onnx;
        double tolerance;
    } types[] = {{NND_F32, OW_F32, 1e-5}, {NND_F64, 11, 1e-6}, {NND_F16, 10, 2e-2}};
    static const int64_t dims[4][4] = {{1, 3, 5, 4}, {2, 3, 1, 1}, {2}, {2, 2, 5, 1}};
    static const int64_t small[4][4] = {{1, 3, 1, 1}, {2, 3, 1, 1}, {2}, {1, 2, 5, 4}};
    static const char *const names[] = {"x", "w", "bias", "z"};
    (void)state;
    for (size_t k = 0; k < 2 * NND_COUNT(types); k++) {
        const int64_t(*shape)[4] = k % 2 ? small : dims;
        nnd_dtype dtype = types[k / 2].dtype;
        nnd_str graph = {0}, attrs = {0}, model = {0};
        double room[4][64], worst;
        nnd_tensor t[4], a, b;
        for (size_t i = 0; i < 4; i++) {
            int rank = i == 2 ? 1 : 4;
            assert_ok(nnd_tensor_init(&t[i], dtype, rank, shape[i], room[i]));
            assert_true((size_t)nnd_tensor_count(&t[i]) <= NND_COUNT(room[i]));
            for (size_t e = 0; e < (size_t)nnd_tensor_count(&t[i]); e++)
                nnd_dtype_set(dtype, room[i], e, (double)((e * 7 + i * 3) % 11) / 5.0 - 1.0);
            ow_value(&graph, OW_INPUT, names[i], types[k / 2].onnx, rank, shape[i], NULL);
        }
        ow_attr_text(&attrs, "activation", "Relu");
        ow_node_of(&graph, "com.microsoft", "FusedConv", "x,w,bias,z", "a", &attrs);
        ow_node(&graph, "Conv", "x,w,bias", "c", NULL);
        ow_node(&graph, "Add", "c,z", "s", NULL);
        ow_node(&graph, "Relu", "s", "b", NULL);
        ow_value(&graph, OW_OUTPUT, "a", types[k / 2].onnx, -1, NULL, NULL);
        ow_value(&graph, OW_OUTPUT, "b", types[k / 2].onnx, -1, NULL, NULL);
        ow_model(&model, &graph, 14);
        nnd_engine_model *m = load(&model, 0, NULL);
        nnd_engine_request *r;
        assert_ok(nnd_engine_request_create(m, &r));
        for (size_t i = 0; i < 4; i++)
            assert_ok(nnd_engine_request_bind_input(r, i, &t[i]));
        assert_ok(nnd_engine_request_run(r, 1, NULL));
        assert_ok(nnd_engine_request_output(r, 0, &a));
        assert_ok(nnd_engine_request_output(r, 1, &b));
        assert_int_equal(a.rank, b.rank);
        assert_memory_equal(a.dims, b.dims, (size_t)a.rank * sizeof(*a.dims));
        double tolerance = types[k / 2].tolerance;
        assert_int_equal(count_mismatches(&a, &b, tolerance, tolerance, &worst), 0);
        nnd_engine_request_destroy(r);
        nnd_engine_model_unref(m);
        nnd_str_free(&model);
    }
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void what_does_not_broadcast_is_refused(void **state)
{
    static const sizes bad = {{1, 6, 7}, {1, 6, 3}};
    (void)state;
    for (int blocked = 0; blocked < 2; blocked++) {
        const form *f = &forms[3];
        nnd_str bytes = build(f, 0, "Relu");
        nnd_engine_model *m =
            load(&bytes, NND_PASSES_DEFAULT & ~(blocked ? 0u : 1u << NND_PASS_LAYOUT), f->kernel);
        nnd_engine_request *r;
        nnd_tensor y;
        assert_ok(nnd_engine_request_create(m, &r));
        assert_status(run(r, f, &bad, &y), NND_E_SHAPE);
        nnd_error *e = nnd_error_take();
        char *text = nnd_error_to_string(e);
        assert_non_null(strstr(text, "layer"));
        assert_non_null(strstr(text, "1x24x6x7"));
        assert_non_null(strstr(text, "1x24x6x3"));
        assert_non_null(strstr(text, "do not broadcast; give the model"));
        nnd_free(text);
        nnd_error_destroy(e);
        assert_ok(run(r, f, &all_sizes[1], &y)); /* and goes on */
        nnd_engine_request_destroy(r);
        nnd_engine_model_unref(m);
        nnd_str_free(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_broadcast_on_every_isa),
        cmocka_unit_test(one_channel_meets_many),
        cmocka_unit_test(other_types_broadcast),
        cmocka_unit_test(what_does_not_broadcast_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
