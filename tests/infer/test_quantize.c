/* The quantiser on small models: what the new file holds, and what it says about bad ones. */
#include "infer_support.h"

#include "engine/onnx/outline.h"
#include "engine/onnx/upgrade.h"
#include "engine/onnx/write.h"
#include "infer/quantize/quantize.h"

#include <math.h>

static char folder[256];

static int begin(void **state)
{
    (void)state;
    make_folder(folder, sizeof folder);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    char command[320];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static const int64_t x_dims[4] = {1, 2, 4, 4};

/* x → Conv without bias → BatchNormalization → Relu → MaxPool → MatMul by a Constant → y. */
static nnd_str chain_model(int opset)
{
    nnd_str graph = {0}, attrs = {0}, model = {0}, tensor = {0};
    float w[3 * 2 * 3 * 3], m[2 * 5];
    for (size_t i = 0; i < NND_COUNT(w); i++)
        w[i] = sinf((float)i);
    for (size_t i = 0; i < NND_COUNT(m); i++)
        m[i] = cosf((float)i);
    const float ones[3] = {1, 2, 3}, small[3] = {0.5f, -0.25f, 0.125f}, var[3] = {1, 4, 0.25f};
    ow_initializer(&graph, "w", OW_F32, 4, (int64_t[]){3, 2, 3, 3}, w, sizeof w);
    ow_initializer(&graph, "gain", OW_F32, 1, (int64_t[]){3}, ones, sizeof ones);
    ow_initializer(&graph, "shift", OW_F32, 1, (int64_t[]){3}, small, sizeof small);
    ow_initializer(&graph, "mean", OW_F32, 1, (int64_t[]){3}, small, sizeof small);
    ow_initializer(&graph, "var", OW_F32, 1, (int64_t[]){3}, var, sizeof var);
    ow_value(&graph, OW_INPUT, "x", OW_F32, 4, x_dims, NULL);
    ow_attr_ints(&attrs, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    ow_node(&graph, "Conv", "x,w", "c", &attrs);
    ow_node(&graph, "BatchNormalization", "c,gain,shift,mean,var", "n", NULL);
    ow_node(&graph, "Relu", "n", "r", NULL);
    ow_attr_ints(&attrs, "kernel_shape", (int64_t[]){2, 2}, 2);
    ow_attr_ints(&attrs, "strides", (int64_t[]){2, 2}, 2);
    ow_node(&graph, "MaxPool", "r", "p", &attrs);
    ow_tensor(&tensor, "", OW_F32, 2, (int64_t[]){2, 5}, m, sizeof m);
    nnd_str attribute = {0};
    ow_text(&attribute, 1, "value");
    ow_message(&attribute, 5, &tensor);
    ow_int(&attribute, 20, 4);
    ow_message(&attrs, 5, &attribute);
    ow_node(&graph, "Constant", "", "m", &attrs);
    ow_node(&graph, "MatMul", "p,m", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 4, (int64_t[]){1, 3, 2, 5}, NULL);
    ow_model(&model, &graph, opset);
    return model;
}

static nnd_value *sample(float phase)
{
    float x[32];
    for (size_t i = 0; i < NND_COUNT(x); i++)
        x[i] = sinf(phase + 0.7f * (float)i);
    return tensor_of(4, x_dims, x);
}

static nnd_status quantised(const nnd_str *model, const nnd_quantize_options *options,
                            nnd_quantize **q, const void **bytes, size_t *size)
{
    const char *path = in_folder(folder, "model.onnx");
    put_file(path, model->data, model->size);
    NND_TRY(nnd_quantize_create(path, options, q));
    for (int i = 0; i < 4; i++) {
        nnd_value *x = sample((float)i);
        nnd_status status = nnd_quantize_add(*q, "one", &x);
        nnd_value_unref(x);
        NND_TRY(status);
    }
    return nnd_quantize_finish(*q, bytes, size);
}

/* x → Conv whose channels reach from 10 to 0.05 → SiLU, HardSwish written out, Sigmoid or Relu →
   depthwise Conv that brings them together → y. */
enum { SILU, HARD_SWISH, SIGMOID, RELU, ACTIVATIONS };

static nnd_str uneven_model(int activation)
{
    static const float reach[4] = {10, 1, 0.2f, 0.05f};
    nnd_str graph = {0}, attrs = {0}, model = {0};
    float w[4 * 2], d[4 * 9], b[4];
    const float three = 3, zero = 0, six = 6;
    for (size_t i = 0; i < NND_COUNT(w); i++)
        w[i] = reach[i / 2] * (0.5f + sinf((float)i));
    for (size_t i = 0; i < NND_COUNT(d); i++)
        d[i] = cosf((float)i) / reach[i / 9];
    for (size_t i = 0; i < NND_COUNT(b); i++)
        b[i] = reach[i] / 4;
    ow_initializer(&graph, "w", OW_F32, 4, (int64_t[]){4, 2, 1, 1}, w, sizeof w);
    ow_initializer(&graph, "b", OW_F32, 1, (int64_t[]){4}, b, sizeof b);
    ow_initializer(&graph, "d", OW_F32, 4, (int64_t[]){4, 1, 3, 3}, d, sizeof d);
    ow_initializer(&graph, "three", OW_F32, 0, NULL, &three, sizeof three);
    ow_initializer(&graph, "zero", OW_F32, 0, NULL, &zero, sizeof zero);
    ow_initializer(&graph, "six", OW_F32, 0, NULL, &six, sizeof six);
    ow_value(&graph, OW_INPUT, "x", OW_F32, 4, x_dims, NULL);
    ow_node(&graph, "Conv", "x,w,b", "c", NULL);
    if (activation == SILU) {
        ow_node(&graph, "Sigmoid", "c", "s", NULL);
        ow_node(&graph, "Mul", "c,s", "a", NULL);
    } else if (activation == HARD_SWISH) {
        ow_node(&graph, "Add", "c,three", "h1", NULL);
        ow_node(&graph, "Clip", "h1,zero,six", "h2", NULL);
        ow_node(&graph, "Div", "h2,six", "h3", NULL);
        ow_node(&graph, "Mul", "h3,c", "a", NULL);
    } else {
        ow_node(&graph, activation == RELU ? "Relu" : "Sigmoid", "c", "a", NULL);
    }
    ow_attr_ints(&attrs, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    nnd_str group = {0};
    ow_text(&group, 1, "group");
    ow_int(&group, 3, 4);
    ow_int(&group, 20, 2);
    ow_message(&attrs, 5, &group);
    ow_node(&graph, "Conv", "a,d", "y", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 4, (int64_t[]){1, 4, 4, 4}, NULL);
    ow_model(&model, &graph, 13);
    return model;
}

static size_t count_of(const nnd_onnx_outline *o, const char *op)
{
    size_t count = 0;
    for (size_t i = 0; i < o->nodes.count; i++)
        count += strcmp(o->nodes.items[i].op, op) == 0;
    return count;
}

static const nnd_quantized_tensor *row_of(const nnd_quantize *q, nnd_quantized_kind kind,
                                          const char *tensor)
{
    for (size_t i = 0; i < nnd_quantize_tensor_count(q); i++) {
        const nnd_quantized_tensor *t = nnd_quantize_tensor_at(q, i);
        if (t->kind == kind && strcmp(t->tensor, tensor) == 0) return t;
    }
    return NULL;
}

static void a_chain_becomes_integers(void **state)
{
    (void)state;
    for (int opset = 8; opset <= 13; opset += 5) {
        nnd_str model = chain_model(opset);
        const nnd_quantize_options options = {.check_samples = 4};
        nnd_quantize *q = NULL;
        const void *bytes;
        size_t size;
        assert_ok(quantised(&model, &options, &q, &bytes, &size));
        assert_int_equal(nnd_quantize_is_upgraded(q), opset < 13);
        nnd_onnx_outline o = {0};
        assert_ok(nnd_onnx_outline_read(&o, bytes, size, NULL, NULL));
        assert_int_equal(o.opset, 13);
        /* x, r, p and y as integers; two weights and the bias that the normalisation left. */
        assert_int_equal(count_of(&o, "QuantizeLinear"), 4);
        assert_int_equal(count_of(&o, "DequantizeLinear"), 7);
        assert_int_equal(count_of(&o, "BatchNormalization"), 0);
        assert_int_equal(count_of(&o, "Constant"), 0);
        assert_null(nnd_onnx_outline_constant(&o, "w"));
        const nnd_onnx_constant *w = nnd_onnx_outline_constant(&o, "w.q");
        assert_non_null(w);
        assert_int_equal(w->tensor.dtype, NND_I8);
        const nnd_onnx_constant *bias = nnd_onnx_outline_constant(&o, "shift.q");
        assert_non_null(bias);
        assert_int_equal(bias->tensor.dtype, NND_I32);
        nnd_onnx_outline_fini(&o);
        const nnd_quantized_tensor *y = row_of(q, NND_QUANTIZED_OUTPUT, "y");
        assert_non_null(y);
        assert_true(y->is_measured && y->sqnr > 25 && y->cosine > 0.998);
        const nnd_quantized_tensor *r = row_of(q, NND_QUANTIZED_ACTIVATION, "r"),
                                   *p = row_of(q, NND_QUANTIZED_ACTIVATION, "p");
        assert_true(r && p && r->low == 0 && r->zero == 0);
        assert_float_equal(r->scale, p->scale, 0);
        assert_int_equal(row_of(q, NND_QUANTIZED_WEIGHT, "w")->channels, 3);
        assert_int_equal(row_of(q, NND_QUANTIZED_WEIGHT, "m")->channels, 5);
        nnd_quantize_destroy(q);
        nnd_str_free(&model);
    }
}

/* Every sum of integers is one of floats: scale by scale, the bias has that of the products. */
/* The figure of y, and how many nodes of that operator the new file has. */
static double uneven_error(int activation, bool equalise, const char *op, size_t *nodes)
{
    nnd_str model = uneven_model(activation);
    const nnd_quantize_options options = {.check_samples = 4, .equalise = equalise};
    nnd_quantize *q = NULL;
    const void *bytes;
    size_t size;
    nnd_onnx_outline o = {0};
    assert_ok(quantised(&model, &options, &q, &bytes, &size));
    assert_ok(nnd_onnx_outline_read(&o, bytes, size, NULL, NULL));
    /* x, what the activation gives, and y: nothing is rounded within the activation. */
    assert_int_equal(count_of(&o, "QuantizeLinear"), 3);
    *nodes = count_of(&o, op);
    nnd_onnx_outline_fini(&o);
    const nnd_quantized_tensor *y = row_of(q, NND_QUANTIZED_OUTPUT, "y");
    assert_true(y && y->is_measured);
    /* What is divided in the new model is compared as it was. */
    const nnd_quantized_tensor *a = row_of(q, NND_QUANTIZED_ACTIVATION, "a");
    assert_true(a && a->cosine > 0.999);
    const double sqnr = y->sqnr;
    nnd_quantize_destroy(q);
    nnd_str_free(&model);
    return sqnr;
}

static void channels_are_brought_together(void **state)
{
    /* The product that divides; a Relu's layer divides itself. */
    static const size_t products[ACTIVATIONS] = {[SILU] = 2, [HARD_SWISH] = 2, [SIGMOID] = 1};
    (void)state;
    for (int activation = 0; activation < ACTIVATIONS; activation++) {
        size_t without, with;
        const double before = uneven_error(activation, false, "Mul", &without);
        const double after = uneven_error(activation, true, "Mul", &with);
        assert_int_equal(with, products[activation]);
        assert_int_equal(without, activation == SILU || activation == HARD_SWISH);
        if (activation != SIGMOID) assert_true(after > before + 6);
        assert_true(after > 25 && after > before - 1);
    }
}

static void a_bias_has_the_scale_of_the_products(void **state)
{
    (void)state;
    nnd_str model = chain_model(13);
    const nnd_quantize_options options = {.per_tensor = true};
    nnd_quantize *q = NULL;
    const void *bytes;
    size_t size;
    assert_ok(quantised(&model, &options, &q, &bytes, &size));
    nnd_onnx_outline o = {0};
    assert_ok(nnd_onnx_outline_read(&o, bytes, size, NULL, NULL));
    float x, w, b;
    memcpy(&x, nnd_onnx_outline_constant(&o, "x.scale")->tensor.data, sizeof x);
    memcpy(&w, nnd_onnx_outline_constant(&o, "w.scale")->tensor.data, sizeof w);
    memcpy(&b, nnd_onnx_outline_constant(&o, "shift.scale")->tensor.data, sizeof b);
    assert_float_equal(b, x * w, 1e-9);
    /* shift − mean · gain / √(variance + 1e-5) of the first channel */
    const double real = 0.5 - 0.5 / sqrt(1 + 1e-5);
    int32_t first;
    memcpy(&first, nnd_onnx_outline_constant(&o, "shift.q")->tensor.data, sizeof first);
    assert_true(fabs(first * (double)b - real) <= (double)b * 0.51);
    nnd_onnx_outline_fini(&o);
    nnd_quantize_destroy(q);
    nnd_str_free(&model);
}

static void layers_can_stay_float(void **state)
{
    (void)state;
    static const char *const names[] = {"Conv"};
    nnd_str model = chain_model(13);
    const nnd_quantize_options options = {.exclude = names, .exclude_count = 1};
    nnd_quantize *q = NULL;
    const void *bytes;
    size_t size;
    assert_ok(quantised(&model, &options, &q, &bytes, &size));
    assert_int_equal(nnd_quantize_kept_count(q), 1);
    assert_string_equal(nnd_quantize_kept_at(q, 0)->tensor, "c");
    nnd_onnx_outline o = {0};
    assert_ok(nnd_onnx_outline_read(&o, bytes, size, NULL, NULL));
    assert_non_null(nnd_onnx_outline_constant(&o, "w"));
    assert_int_equal(count_of(&o, "BatchNormalization"), 1);
    nnd_onnx_outline_fini(&o);
    nnd_quantize_destroy(q);
    q = NULL;
    static const char *const nothing[] = {"Convv"};
    const nnd_quantize_options wrong = {.exclude = nothing, .exclude_count = 1};
    assert_fails(quantised(&model, &wrong, &q, &bytes, &size), NND_E_NOT_FOUND, "Convv", "'Conv'");
    const nnd_quantize_options none = {.keep_first = true, .keep_last = true};
    assert_fails(quantised(&model, &none, &q, &bytes, &size), NND_E_UNSUPPORTED, "none of");
    nnd_str_free(&model);
}

static void bad_samples_are_named(void **state)
{
    (void)state;
    nnd_str model = chain_model(13);
    const nnd_quantize_options options = {.check_samples = 1};
    nnd_quantize *q = NULL;
    const void *bytes;
    size_t size;
    const char *path = in_folder(folder, "model.onnx");
    put_file(path, model.data, model.size);
    assert_ok(nnd_quantize_create(path, &options, &q));
    assert_fails(nnd_quantize_finish(q, &bytes, &size), NND_E_STATE, "no sample");
    float nan[32] = {NAN};
    nnd_value *x = tensor_of(4, x_dims, nan);
    assert_fails(nnd_quantize_add(q, "seven", &x), NND_E_FORMAT, "seven", "'x'", "NaN");
    nnd_value_unref(x);
    x = tensor_of(1, (int64_t[]){1}, nan);
    assert_fails(nnd_quantize_add(q, "eight", &x), NND_E_SHAPE, "eight");
    nnd_value_unref(x);
    nnd_quantize_destroy(q);
    nnd_str_free(&model);
}

static void external_weights_come_into_the_file(void **state)
{
    (void)state;
    nnd_str graph = {0}, model = {0};
    float weights[3 * 64];
    for (size_t i = 0; i < NND_COUNT(weights); i++)
        weights[i] = (float)i / 256;
    put_file(in_folder(folder, "weights.bin"), weights, sizeof weights);
    ow_external(&graph, "w", OW_F32, 2, (int64_t[]){3, 64}, "weights.bin", "0");
    ow_value(&graph, OW_INPUT, "x", OW_F32, 2, (int64_t[]){1, 3}, NULL);
    ow_node(&graph, "MatMul", "x,w", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 2, (int64_t[]){1, 64}, NULL);
    ow_model(&model, &graph, 13);
    const char *path = in_folder(folder, "outside.onnx");
    put_file(path, model.data, model.size);
    for (int half = 0; half < 2; half++) {
        const nnd_quantize_options options = {.weights = half ? NND_WEIGHTS_F16 : NND_WEIGHTS_I8,
                                              .check_samples = 1};
        nnd_quantize *q = NULL;
        const void *bytes;
        size_t size;
        assert_ok(nnd_quantize_create(path, &options, &q));
        nnd_value *x = tensor_of(2, (int64_t[]){1, 3}, (const float[]){1, -1, 0.5f});
        assert_ok(nnd_quantize_add(q, "one", &x));
        nnd_value_unref(x);
        assert_ok(nnd_quantize_finish(q, &bytes, &size));
        assert_true(nnd_quantize_size_before(q) == model.size + sizeof weights);
        const nnd_str whole = {.data = (char *)(uintptr_t)bytes, .size = size};
        nnd_model_unref(load_bytes(&whole));
        assert_true(row_of(q, NND_QUANTIZED_OUTPUT, "y")->cosine > 0.999);
        nnd_quantize_destroy(q);
    }
    nnd_str_free(&model);
}

static void work(nnd_quantize_weights_as weights)
{
    const nnd_quantize_options options = {.weights = weights,
                                          .method = NND_RANGE_ENTROPY,
                                          .check_samples = 1,
                                          .equalise = true,
                                          .threads = 1};
    nnd_quantize *q = NULL;
    const void *bytes = NULL;
    size_t size = 0;
    nnd_value *x = NULL;
    nnd_status status = nnd_quantize_create(in_folder(folder, "model.onnx"), &options, &q);
    if (status == NND_OK) status = nnd_value_new_tensor(NND_F32, 4, x_dims, &x);
    if (status == NND_OK) {
        nnd_tensor *t = nnd_value_edit(x);
        memset(t->data, 0, nnd_tensor_bytes(t));
        status = nnd_quantize_add(q, "one", &x);
    }
    nnd_value_unref(x);
    if (status == NND_OK) status = nnd_quantize_finish(q, &bytes, &size);
    if (!oom_hit()) assert_ok(status);
    nnd_quantize_destroy(q);
    nnd_error_clear();
}

static void lack_of_memory_is_survived(void **state)
{
    (void)state;
    nnd_str model = chain_model(8);
    put_file(in_folder(folder, "model.onnx"), model.data, model.size);
    work(NND_WEIGHTS_I8); /* what the process makes once is there then */
    oom_begin();
    for (long n = 0;; n += 1 + n / 50) {
        oom_fail_after(n);
        work(NND_WEIGHTS_I8);
        const bool was_hit = oom_hit();
        oom_never();
        if (!was_hit) break;
    }
    assert_int_equal(oom_live_blocks(), 0);
    oom_end();
    nnd_str_free(&model);
}

static void damaged_files_are_survived(void **state)
{
    (void)state;
    nnd_str model = chain_model(8);
    const nnd_quantize_options options = {.equalise = true, .threads = 1};
    for (size_t i = 0; i < model.size; i++) {
        nnd_quantize *q = NULL;
        void *upgraded = NULL;
        size_t size;
        const char kept = model.data[i];
        model.data[i] = (char)(kept ^ (char)(1 << i % 8));
        if (nnd_onnx_upgrade(model.data, model.size, &upgraded, &size) == NND_OK)
            nnd_free(upgraded);
        if (i % 5 == 0) {
            put_file(in_folder(folder, "bad.onnx"), model.data, model.size);
            if (nnd_quantize_create(in_folder(folder, "bad.onnx"), &options, &q) == NND_OK)
                nnd_quantize_destroy(q);
        }
        model.data[i] = kept;
        nnd_error_clear();
    }
    for (size_t size = 0; size < model.size; size += 7) {
        void *upgraded = NULL;
        size_t left;
        assert_true(nnd_onnx_upgrade(model.data, size, &upgraded, &left) != NND_OK);
        nnd_error_clear();
    }
    nnd_str_free(&model);
}

/* ---- old operator sets --------------------------------------------------------------------- */

/* Forms of old sets next to each other: settings as attributes, a Softmax over two dimensions. */
static nnd_str old_model(void)
{
    nnd_str graph = {0}, attrs = {0}, model = {0};
    const float scales[4] = {1, 1, 2, 2};
    ow_initializer(&graph, "scales", OW_F32, 1, (int64_t[]){4}, scales, sizeof scales);
    ow_value(&graph, OW_INPUT, "x", OW_F32, 4, x_dims, NULL);
    ow_attr_float(&attrs, "min", -0.5f);
    ow_attr_float(&attrs, "max", 0.75f);
    ow_node(&graph, "Clip", "x", "a", &attrs);
    ow_attr_ints(&attrs, "pads", (int64_t[]){0, 0, 1, 0, 0, 0, 0, 2}, 8);
    ow_attr_float(&attrs, "value", 0.25f);
    ow_node(&graph, "Pad", "a", "b", &attrs);
    ow_attr_ints(&attrs, "starts", (int64_t[]){0, 1}, 2);
    ow_attr_ints(&attrs, "ends", (int64_t[]){5, 5}, 2);
    ow_attr_ints(&attrs, "axes", (int64_t[]){2, 3}, 2);
    ow_node(&graph, "Slice", "b", "c", &attrs);
    ow_attr_text(&attrs, "mode", "nearest");
    ow_node(&graph, "Upsample", "c,scales", "d", &attrs);
    ow_attr_int(&attrs, "axis", 2);
    ow_node(&graph, "Softmax", "d", "e", &attrs);
    ow_attr_int(&attrs, "axis", 3);
    ow_attr_ints(&attrs, "split", (int64_t[]){3, 5}, 2);
    ow_node(&graph, "Split", "e", "f,g", &attrs);
    ow_attr_ints(&attrs, "axes", (int64_t[]){0}, 1);
    ow_node(&graph, "Squeeze", "g", "h", &attrs);
    ow_attr_ints(&attrs, "axes", (int64_t[]){0, 2}, 2);
    ow_attr_int(&attrs, "keepdims", 0);
    ow_node(&graph, "ReduceSum", "h", "i", &attrs);
    ow_attr_float(&attrs, "ratio", 0.5f);
    ow_node(&graph, "Dropout", "i", "j", &attrs);
    ow_attr_ints(&attrs, "axes", (int64_t[]){1}, 1);
    ow_node(&graph, "Unsqueeze", "j", "y", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 2, (int64_t[]){10, 1}, NULL);
    ow_value(&graph, OW_OUTPUT, "f", OW_F32, 4, (int64_t[]){1, 2, 10, 3}, NULL);
    ow_model(&model, &graph, 9);
    return model;
}

static nnd_value *output_of(const nnd_str *bytes, const char *name)
{
    nnd_model *model = load_bytes(bytes);
    nnd_request *request = NULL;
    nnd_value *x = sample(0.3f), *y = NULL;
    assert_ok(nnd_request_create(model, NULL, &request));
    assert_ok(nnd_request_bind_input(request, "x", x));
    assert_ok(nnd_request_run(request, NULL));
    assert_ok(nnd_request_output(request, name, &y));
    nnd_value_unref(x);
    nnd_request_destroy(request);
    nnd_model_unref(model);
    return y;
}

static void old_operator_sets_mean_the_same(void **state)
{
    (void)state;
    static const char *const outputs[] = {"y", "f"};
    nnd_str old = old_model();
    void *bytes = NULL;
    size_t size = 0;
    assert_ok(nnd_onnx_upgrade(old.data, old.size, &bytes, &size));
    assert_non_null(bytes);
    const nnd_str new = {.data = bytes, .size = size};
    for (size_t i = 0; i < NND_COUNT(outputs); i++) {
        nnd_value *a = output_of(&old, outputs[i]), *b = output_of(&new, outputs[i]);
        const nnd_tensor *s = nnd_value_tensor(a), *t = nnd_value_tensor(b);
        assert_int_equal(nnd_tensor_count(s), nnd_tensor_count(t));
        for (int64_t k = 0; k < nnd_tensor_count(s); k++)
            assert_float_equal(floats_of(a)[k], floats_of(b)[k], 1e-6);
        nnd_value_unref(a);
        nnd_value_unref(b);
    }
    /* What is new enough stays as it is. */
    void *again = &old;
    assert_ok(nnd_onnx_upgrade(bytes, size, &again, &size));
    assert_null(again);
    nnd_free(bytes);
    nnd_str_free(&old);
}

static void unknown_operators_are_refused(void **state)
{
    (void)state;
    nnd_str graph = {0}, model = {0};
    void *bytes = NULL;
    size_t size;
    ow_value(&graph, OW_INPUT, "x", OW_F32, 1, (int64_t[]){4}, NULL);
    ow_node(&graph, "Scatter", "x,x,x", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 1, (int64_t[]){4}, NULL);
    ow_model(&model, &graph, 9);
    assert_fails(nnd_onnx_upgrade(model.data, model.size, &bytes, &size), NND_E_UNSUPPORTED,
                 "Scatter", "convert");
    nnd_str_free(&model);
}

/* ---- writing ------------------------------------------------------------------------------- */

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    const float data[6] = {1, -2, 3.5f, 0, 1e30f, -0.0f};
    nnd_tensor t;
    nnd_str graph = {0}, proto = {0}, model = {0}, opset = {0};
    assert_ok(nnd_tensor_init(&t, NND_F32, 2, (int64_t[]){2, 3}, (void *)(uintptr_t)data));
    nnd_onnx_put_tensor(&proto, "t", &t);
    nnd_pb_put_message(&graph, 5, &proto);
    const nnd_onnx_new_node node = {
        "DequantizeLinear", "com.microsoft", "n", {"a", "t", NULL}, "b", "axis", -1};
    nnd_onnx_put_node(&graph, &node);
    nnd_pb_put_text(&opset, 1, "");
    nnd_pb_put_int(&opset, 2, 300);
    nnd_pb_put_message(&model, 8, &opset);
    nnd_pb_put_message(&model, 7, &graph);
    nnd_onnx_outline o = {0};
    assert_ok(nnd_onnx_outline_read(&o, model.data, model.size, NULL, NULL));
    assert_int_equal(o.opset, 300);
    assert_int_equal(o.nodes.count, 1);
    const nnd_onnx_outline_node *n = &o.nodes.items[0];
    assert_string_equal(n->domain, "com.microsoft");
    assert_int_equal(n->input_count, 2);
    assert_string_equal(n->inputs[1], "t");
    assert_int_equal(nnd_onnx_outline_int(n, "axis", 0), -1);
    assert_int_equal(nnd_onnx_outline_int(n, "other", 7), 7);
    const nnd_onnx_constant *c = nnd_onnx_outline_constant(&o, "t");
    assert_non_null(c);
    assert_memory_equal(c->tensor.data, data, sizeof data);
    /* The node again with other names keeps its attribute. */
    nnd_str again = {0};
    nnd_onnx_put_node_again(&again, n->bytes, (const char *const[]){"p", "q"}, 2,
                            (const char *const[]){"r"}, 1);
    nnd_str second = {0};
    nnd_pb_put_message(&second, 7, &again);
    nnd_onnx_outline p = {0};
    assert_ok(nnd_onnx_outline_read(&p, second.data, second.size, NULL, NULL));
    assert_string_equal(p.nodes.items[0].inputs[0], "p");
    assert_string_equal(p.nodes.items[0].outputs[0], "r");
    assert_int_equal(nnd_onnx_outline_int(&p.nodes.items[0], "axis", 0), -1);
    nnd_onnx_outline_fini(&p);
    nnd_onnx_outline_fini(&o);
    nnd_str_free(&second);
    nnd_str_free(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_becomes_integers),
        cmocka_unit_test(channels_are_brought_together),
        cmocka_unit_test(a_bias_has_the_scale_of_the_products),
        cmocka_unit_test(layers_can_stay_float),
        cmocka_unit_test(bad_samples_are_named),
        cmocka_unit_test(external_weights_come_into_the_file),
        cmocka_unit_test(lack_of_memory_is_survived),
        cmocka_unit_test(damaged_files_are_survived),
        cmocka_unit_test(old_operator_sets_mean_the_same),
        cmocka_unit_test(unknown_operators_are_refused),
        cmocka_unit_test(what_is_written_is_read_again),
    };
    return cmocka_run_group_tests(tests, begin, finish);
}
