/*
 * The passes that go by shapes: residual additions and the layout of channels. Small networks with
 * odd numbers of channels run with and without them, for each instruction set and number of
 * threads.
 */
#include "engine_support.h"
#include "kernels_support.h"
#include "nndeploy/sched.h"
#include "onnx_writer.h"

/* For counts of nodes: none of them in a group. */
#define APART          (NND_PASSES_DEFAULT & ~(1u << NND_PASS_ELEMENTWISE))
#define WITHOUT_LAYOUT (APART & ~(1u << NND_PASS_LAYOUT) & ~(1u << NND_PASS_RESIDUAL))

/* ---- networks ------------------------------------------------------------------------------- */

/* A model in the making; names of weights are made up. */
typedef struct net {
    nnd_str graph;
    int weights;
    uint32_t seed;
} net;

static float next(net *n)
{
    n->seed = n->seed * 1664525u + 1013904223u;
    return (float)(n->seed >> 8) / 8388608.0f - 1.0f;
}

static const char *weight(net *n, int rank, const int64_t *dims, float scale)
{
    static char name[32];
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    float *data = nnd_calloc((size_t)count + 1, sizeof(*data));
    assert_non_null(data);
    for (int64_t i = 0; i < count; i++)
        data[i] = next(n) * scale;
    snprintf(name, sizeof(name), "w%d", n->weights++);
    ow_initializer(&n->graph, name, OW_F32, rank, dims, data, (size_t)count * sizeof(*data));
    nnd_free(data);
    return name;
}

static const char *shape(net *n, size_t count, const int64_t *dims)
{
    static char name[32];
    const int64_t length[1] = {(int64_t)count};
    snprintf(name, sizeof(name), "w%d", n->weights++);
    ow_initializer(&n->graph, name, OW_I64, 1, length, dims, count * sizeof(*dims));
    return name;
}

/* in → out channels, k×k, "same" padding. */
static void conv(net *n, const char *x, const char *y, int64_t in, int64_t out, int64_t k,
                 int64_t stride, int64_t groups)
{
    const int64_t dims[4] = {out, in / groups, k, k}, bias[1] = {out};
    const int64_t pads[4] = {k / 2, k / 2, k / 2, k / 2}, strides[2] = {stride, stride};
    nnd_str attrs = {0};
    char inputs[128];
    snprintf(inputs, sizeof(inputs), "%s,%s", x,
             weight(n, 4, dims, 1.5f / sqrtf((float)(in / groups * k * k))));
    size_t used = strlen(inputs);
    snprintf(inputs + used, sizeof(inputs) - used, ",%s", weight(n, 1, bias, 0.5f));
    ow_attr_ints(&attrs, "pads", pads, 4);
    ow_attr_ints(&attrs, "strides", strides, 2);
    ow_attr_int(&attrs, "group", groups);
    ow_node(&n->graph, "Conv", inputs, y, &attrs);
}

static void node(net *n, const char *type, const char *inputs, const char *outputs)
{
    ow_node(&n->graph, type, inputs, outputs, NULL);
}

static void node_axis(net *n, const char *type, const char *inputs, const char *outputs)
{
    nnd_str attrs = {0};
    ow_attr_int(&attrs, "axis", 1);
    ow_node(&n->graph, type, inputs, outputs, &attrs);
}

static void pool(net *n, const char *type, const char *x, const char *y)
{
    const int64_t kernel[2] = {3, 3}, strides[2] = {2, 2}, pads[4] = {1, 0, 1, 1};
    nnd_str attrs = {0};
    ow_attr_ints(&attrs, "kernel_shape", kernel, 2);
    ow_attr_ints(&attrs, "strides", strides, 2);
    ow_attr_ints(&attrs, "pads", pads, 4);
    ow_attr_int(&attrs, "ceil_mode", 1);
    ow_node(&n->graph, type, x, y, &attrs);
}

static nnd_str finish(net *n, const char *output, int64_t side)
{
    static const char *const open[] = {"n", "c", "h", "w"};
    const int64_t in[4] = {1, 3, side, side}, out[4] = {-1, -1, -1, -1};
    nnd_str model = {0};
    ow_value(&n->graph, OW_INPUT, "x", OW_F32, 4, in, NULL);
    ow_value(&n->graph, OW_OUTPUT, output, OW_F32, 4, out, open);
    ow_model(&model, &n->graph, 14);
    return model;
}

enum { SIDE = 33 };

/* Residual blocks with a depthwise convolution and a gate per channel. */
static nnd_str gated(void)
{
    net n = {.seed = 1};
    conv(&n, "x", "a", 3, 20, 3, 2, 1);
    node(&n, "Relu", "a", "b");
    conv(&n, "b", "c", 20, 52, 1, 1, 1);
    node(&n, "HardSwish", "c", "d");
    conv(&n, "d", "e", 52, 52, 5, 1, 52);
    node(&n, "Relu", "e", "f");
    node(&n, "GlobalAveragePool", "f", "g");
    conv(&n, "g", "h", 52, 12, 1, 1, 1);
    node(&n, "Relu", "h", "i");
    conv(&n, "i", "j", 12, 52, 1, 1, 1);
    node(&n, "Sigmoid", "j", "k");
    node(&n, "Mul", "f,k", "l");
    conv(&n, "l", "m", 52, 20, 1, 1, 1);
    node(&n, "Add", "b,m", "o");
    node(&n, "Relu", "o", "p");
    pool(&n, "MaxPool", "p", "q");
    conv(&n, "q", "r", 20, 20, 3, 1, 1);
    node(&n, "Add", "r,q", "y");
    return finish(&n, "y", SIDE);
}

/* Branches that are split, shuffled, sliced and put together, with channels beside the blocks. */
static nnd_str branched(void)
{
    const int64_t wide[5] = {1, 2, 29, 17, 17}, back[4] = {1, 58, 17, 17};
    const int64_t per_channel[3] = {58, 1, 1}, start[1] = {5}, end[1] = {-3}, axis[1] = {1};
    const int64_t perm[5] = {0, 2, 1, 3, 4};
    net n = {.seed = 2};
    char inputs[64];
    nnd_str attrs = {0};
    conv(&n, "x", "a", 3, 24, 3, 2, 1);
    conv(&n, "a", "b", 24, 34, 1, 1, 1);
    node(&n, "LeakyRelu", "b", "c");
    node_axis(&n, "Concat", "a,c", "d"); /* 58 */
    snprintf(inputs, sizeof(inputs), "d,%s", shape(&n, 5, wide));
    node(&n, "Reshape", inputs, "e");
    ow_attr_ints(&attrs, "perm", perm, 5);
    ow_node(&n.graph, "Transpose", "e", "f", &attrs);
    snprintf(inputs, sizeof(inputs), "f,%s", shape(&n, 4, back));
    node(&n, "Reshape", inputs, "g");
    node_axis(&n, "Split", "g", "h,i"); /* 29 each */
    conv(&n, "h", "j", 29, 29, 3, 1, 29);
    node(&n, "Tanh", "i", "k");
    node_axis(&n, "Concat", "j,k", "l");
    snprintf(inputs, sizeof(inputs), "l,%s", weight(&n, 3, per_channel, 1.0f));
    node(&n, "Mul", inputs, "m");
    snprintf(inputs, sizeof(inputs), "m,%s", shape(&n, 1, start));
    size_t used = strlen(inputs);
    snprintf(inputs + used, sizeof(inputs) - used, ",%s", shape(&n, 1, end));
    used = strlen(inputs);
    snprintf(inputs + used, sizeof(inputs) - used, ",%s", shape(&n, 1, axis));
    node(&n, "Slice", inputs, "o"); /* 50 */
    pool(&n, "AveragePool", "o", "p");
    conv(&n, "p", "q", 50, 32, 3, 1, 2);
    conv(&n, "q", "y", 32, 9, 3, 1, 1);
    return finish(&n, "y", SIDE);
}

/* Local response normalisation of odd and even windows, whole and partial blocks. */
static nnd_str normalised(void)
{
    net n = {.seed = 4};
    const char *at = "x";
    static char names[8][8];
    for (int i = 0; i < 4; i++) {
        static const int64_t channels[] = {3, 20, 32, 37, 8}, sizes[] = {5, 4, 7, 3};
        char *mid = names[2 * i], *end = names[2 * i + 1];
        nnd_str attrs = {0};
        snprintf(mid, 8, "c%d", i);
        snprintf(end, 8, i == 3 ? "y" : "l%d", i);
        conv(&n, at, mid, channels[i], channels[i + 1], 1, 1, 1);
        ow_attr_int(&attrs, "size", sizes[i]);
        ow_attr_float(&attrs, "alpha", 0.5f);
        ow_attr_float(&attrs, "beta", i == 1 ? 0.6f : 0.75f);
        ow_attr_float(&attrs, "bias", 1.5f);
        ow_node(&n.graph, "LRN", mid, end, &attrs);
        at = end;
    }
    return finish(&n, "y", SIDE);
}

/* Pictures made larger in several ways. */
static nnd_str resized(void)
{
    static const char *const modes[] = {"linear", "nearest", "cubic"};
    static const char *const coordinates[] = {"half_pixel", "asymmetric", "align_corners"};
    const float factors[4] = {1, 1, 2, 1.5f};
    const int64_t four[1] = {4};
    net n = {.seed = 5};
    char inputs[64], names[3][8];
    const char *at = "a";
    ow_initializer(&n.graph, "factors", OW_F32, 1, four, factors, sizeof(factors));
    conv(&n, "x", "a", 3, 21, 3, 2, 1);
    for (int i = 0; i < 3; i++) {
        nnd_str attrs = {0};
        snprintf(names[i], sizeof(names[i]), "r%d", i);
        snprintf(inputs, sizeof(inputs), "%s,,factors", at);
        ow_attr_text(&attrs, "mode", modes[i]);
        ow_attr_text(&attrs, "coordinate_transformation_mode", coordinates[i]);
        ow_node(&n.graph, "Resize", inputs, names[i], &attrs);
        at = names[i];
    }
    conv(&n, at, "y", 21, 10, 1, 1, 1);
    return finish(&n, "y", SIDE);
}

/* in → out channels, with a window of k × k at every second pixel. */
static void conv_transpose(net *n, const char *x, const char *y, int64_t in, int64_t out, int64_t k,
                           int64_t cut, int64_t extra)
{
    const int64_t dims[4] = {in, out, k, k}, bias[1] = {out}, two[2] = {2, 2};
    const int64_t pads[4] = {cut, cut, cut, cut}, padding[2] = {extra, extra};
    nnd_str attrs = {0};
    char inputs[128];
    snprintf(inputs, sizeof(inputs), "%s,%s", x, weight(n, 4, dims, 1.0f / sqrtf((float)in)));
    size_t used = strlen(inputs);
    snprintf(inputs + used, sizeof(inputs) - used, ",%s", weight(n, 1, bias, 0.5f));
    ow_attr_ints(&attrs, "strides", two, 2);
    ow_attr_ints(&attrs, "pads", pads, 4);
    ow_attr_ints(&attrs, "output_padding", padding, 2);
    ow_node(&n->graph, "ConvTranspose", inputs, y, &attrs);
}

/* Down and up again: transposed convolutions that read a plain input, blocks and the sum of two,
   one that cuts off inputs and one of so few channels that both stay plain. */
static nnd_str transposed(void)
{
    net n = {.seed = 6};
    conv_transpose(&n, "x", "a", 3, 20, 2, 0, 0);
    conv(&n, "a", "b", 20, 33, 3, 2, 1);
    node(&n, "Relu", "b", "c");
    conv_transpose(&n, "c", "d", 33, 20, 3, 1, 1);
    node(&n, "Add", "a,d", "e");
    conv_transpose(&n, "e", "f", 20, 18, 4, 1, 0);
    conv(&n, "f", "g", 18, 20, 3, 2, 1);
    conv(&n, "g", "h", 20, 20, 3, 2, 1);
    conv_transpose(&n, "h", "i", 20, 24, 2, 1, 0);
    conv_transpose(&n, "i", "y", 24, 1, 4, 1, 0);
    return finish(&n, "y", SIDE);
}

static nnd_str (*const nets[])(void) = {gated, branched, normalised, resized, transposed};

/* ---- running -------------------------------------------------------------------------------- */

static nnd_engine_model *load(const nnd_str *bytes, uint32_t passes)
{
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *m;
    options.passes = passes;
    if (nnd_engine_model_load_memory(bytes->data, bytes->size, &options, &m) != NND_OK) {
        report_error("load");
        fail();
    }
    return m;
}

/* The result, nnd_free it. */
static float *run(nnd_engine_model *m, int threads, size_t *count)
{
    static float data[3 * SIDE * SIDE];
    const int64_t dims[4] = {1, 3, SIDE, SIDE};
    nnd_engine_request *r;
    nnd_tensor x, y;
    for (size_t i = 0; i < NND_COUNT(data); i++)
        data[i] = (float)((int)(i * 37 % 101) - 50) / 50.0f;
    assert_ok(nnd_tensor_init(&x, NND_F32, 4, dims, data));
    assert_ok(nnd_engine_request_create(m, &r));
    assert_ok(nnd_engine_request_bind_input(r, 0, &x));
    if (nnd_engine_request_run(r, threads, NULL) != NND_OK) {
        report_error("run");
        fail();
    }
    assert_ok(nnd_engine_request_output(r, 0, &y));
    *count = (size_t)nnd_tensor_count(&y);
    float *copy = nnd_calloc(*count, sizeof(*copy));
    assert_non_null(copy);
    memcpy(copy, y.data, *count * sizeof(*copy));
    nnd_engine_request_destroy(r);
    return copy;
}

static void assert_close(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(a[i] - b[i]) <= 1e-4f + 1e-4f * fabsf(b[i])))
            fail_msg("element %zu: %g instead of %g", i, (double)a[i], (double)b[i]);
}

static void blocked_networks_agree(void)
{
    size_t plain_count, count;
    for (size_t i = 0; i < NND_COUNT(nets); i++) {
        nnd_str bytes = nets[i]();
        nnd_engine_model *plain = load(&bytes, WITHOUT_LAYOUT);
        nnd_engine_model *blocked = load(&bytes, NND_PASSES_DEFAULT);
        float *expected = run(plain, 1, &plain_count), *got = run(blocked, 1, &count);
        assert_int_equal(count, plain_count);
        assert_close(got, expected, count);
        nnd_free(expected);
        nnd_free(got);
        nnd_engine_model_unref(plain);
        nnd_engine_model_unref(blocked);
        nnd_str_free(&bytes);
    }
}

static void threads_do_not_change_bits(void)
{
    size_t count;
    assert_ok(nnd_sched_set_threads(3));
    for (size_t i = 0; i < NND_COUNT(nets); i++) {
        nnd_str bytes = nets[i]();
        nnd_engine_model *m = load(&bytes, NND_PASSES_DEFAULT);
        float *one = run(m, 1, &count), *three = run(m, 3, &count);
        assert_memory_equal(one, three, count * sizeof(*one));
        nnd_free(one);
        nnd_free(three);
        nnd_engine_model_unref(m);
        nnd_str_free(&bytes);
    }
    assert_ok(nnd_sched_set_threads(0));
}

/* ---- what the graphs look like --------------------------------------------------------------- */

static void reorders_cancel(void **state)
{
    (void)state;
    nnd_str bytes = gated();
    nnd_engine_model *before = load(&bytes, WITHOUT_LAYOUT);
    nnd_engine_model *after = load(&bytes, NND_PASSES_DEFAULT);
    assert_int_equal(count_ops(before, "Add"), 2);
    assert_int_equal(count_ops(after, "Add"), 0); /* both are in convolutions */
    assert_int_equal(count_ops(after, "Relu"), 0);
    assert_int_equal(count_ops(after, "ToBlocked"), 0); /* the first convolution reads NCHW */
    assert_int_equal(count_ops(after, "FromBlocked"), 1);
    nnd_engine_model_unref(before);
    nnd_engine_model_unref(after);
    nnd_str_free(&bytes);
}

static void shuffles_become_picked_channels(void **state)
{
    (void)state;
    nnd_str bytes = branched();
    nnd_engine_model *m = load(&bytes, NND_PASSES_DEFAULT);
    assert_int_equal(count_ops(m, "Transpose"), 0);
    assert_int_equal(count_ops(m, "Concat"), 0);
    /* Concat, Reshape, Transpose, Reshape and Split are one node per part; then Concat and Slice.
     */
    assert_int_equal(count_ops(m, "PickChannels"), 4);
    /* Groups of 25 channels are no reason to leave the layout. */
    assert_int_equal(count_ops(m, "ToBlocked"), 0);
    assert_int_equal(count_ops(m, "FromBlocked"), 0);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

static void both_passes_can_be_left_out(void **state)
{
    (void)state;
    nnd_str bytes = gated();
    nnd_engine_model *m = load(&bytes, APART & ~(1u << NND_PASS_RESIDUAL));
    assert_int_equal(count_ops(m, "Add"), 2);
    nnd_engine_model_unref(m);
    m = load(&bytes, NND_PASSES_DEFAULT & ~(1u << NND_PASS_LAYOUT));
    assert_int_equal(count_ops(m, "Add"), 0);
    assert_int_equal(count_ops(m, "FromBlocked"), 0);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

/* An addition that broadcasts is no residual. */
static void a_broadcast_is_no_residual(void)
{
    size_t plain_count, count;
    net n = {.seed = 3};
    conv(&n, "x", "a", 3, 18, 3, 1, 1);
    node(&n, "GlobalMaxPool", "a", "b");
    conv(&n, "b", "c", 18, 18, 1, 1, 1);
    node(&n, "Add", "a,c", "y");
    nnd_str bytes = finish(&n, "y", SIDE);
    nnd_engine_model *plain = load(&bytes, WITHOUT_LAYOUT);
    nnd_engine_model *m = load(&bytes, NND_PASSES_DEFAULT);
    assert_int_equal(count_ops(m, "Add"), 1);
    float *expected = run(plain, 1, &plain_count), *got = run(m, 1, &count);
    assert_int_equal(count, plain_count);
    assert_close(got, expected, count);
    nnd_free(expected);
    nnd_free(got);
    nnd_engine_model_unref(plain);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

/* A picture with other channels than the weights want is refused, also when both fill as many
 * blocks. */
static void wrong_channels_are_refused(void **state)
{
    (void)state;
    static const char *const open[] = {"n", "c", "h", "w"};
    const int64_t dims[4] = {1, -1, 9, 9}, out[4] = {-1, -1, -1, -1}, given[4] = {1, 20, 9, 9};
    static float data[20 * 81];
    net n = {.seed = 6};
    nnd_str bytes = {0};
    nnd_engine_request *r;
    nnd_tensor x;
    conv(&n, "x", "y", 24, 24, 3, 1, 1);
    ow_value(&n.graph, OW_INPUT, "x", OW_F32, 4, dims, open);
    ow_value(&n.graph, OW_OUTPUT, "y", OW_F32, 4, out, open);
    ow_model(&bytes, &n.graph, 14);
    nnd_engine_model *m = load(&bytes, NND_PASSES_DEFAULT);
    assert_ok(nnd_tensor_init(&x, NND_F32, 4, given, data));
    assert_ok(nnd_engine_request_create(m, &r));
    assert_ok(nnd_engine_request_bind_input(r, 0, &x));
    assert_status(nnd_engine_request_run(r, 1, NULL), NND_E_SHAPE);
    nnd_error_clear();
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

static void run_all(nnd_isa isa)
{
    (void)isa;
    blocked_networks_agree();
    threads_do_not_change_bits();
    a_broadcast_is_no_residual();
}

static void on_every_isa(void **state)
{
    (void)state;
    each_isa(run_all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_every_isa),
        cmocka_unit_test(reorders_cancel),
        cmocka_unit_test(shuffles_become_picked_channels),
        cmocka_unit_test(both_passes_can_be_left_out),
        cmocka_unit_test(wrong_channels_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
