/* What a profile says of each operator, against figures worked out by hand. */
#include "engine_support.h"
#include "onnx_writer.h"

static float weights[1024];

static void weight(nnd_str *graph, const char *name, int rank, const int64_t *dims)
{
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    assert_true(count <= NND_COUNT(weights));
    ow_initializer(graph, name, OW_F32, rank, dims, weights, count * sizeof(float));
}

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

/* x[2,4,6,6] → Conv → depthwise Conv → MaxPool → Flatten → Gemm → MatMul → + rows of a table. */
static nnd_str chain_model(void)
{
    nnd_str graph = {0}, attrs = {0}, model = {0};
    for (size_t i = 0; i < NND_COUNT(weights); i++)
        weights[i] = (float)((int)(i % 13) - 6) / 16.0f;
    weight(&graph, "w1", 4, DIMS(16, 4, 3, 3));
    weight(&graph, "w2", 4, DIMS(16, 1, 3, 3));
    weight(&graph, "w3", 2, DIMS(16, 5));
    weight(&graph, "b3", 1, DIMS(5));
    weight(&graph, "w4", 2, DIMS(5, 3));
    weight(&graph, "table", 2, DIMS(100, 3));
    ow_value(&graph, OW_INPUT, "x", OW_F32, 4, DIMS(2, 4, 6, 6), NULL);
    ow_value(&graph, OW_INPUT, "rows", OW_I64, 1, DIMS(2), NULL);
    ow_attr_ints(&attrs, "pads", DIMS(1, 1, 1, 1), 4);
    ow_attr_ints(&attrs, "strides", DIMS(2, 2), 2);
    ow_node(&graph, "Conv", "x,w1", "a", &attrs);
    ow_attr_ints(&attrs, "pads", DIMS(1, 1, 1, 1), 4);
    ow_attr_int(&attrs, "group", 16);
    ow_node(&graph, "Conv", "a,w2", "b", &attrs);
    ow_attr_ints(&attrs, "kernel_shape", DIMS(3, 3), 2);
    ow_node(&graph, "MaxPool", "b", "c", &attrs);
    ow_node(&graph, "Flatten", "c", "d", NULL);
    ow_node(&graph, "Gemm", "d,w3,b3", "e", NULL);
    ow_node(&graph, "MatMul", "e,w4", "f", NULL);
    ow_node(&graph, "Gather", "table,rows", "g", NULL);
    ow_node(&graph, "Add", "f,g", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 2, DIMS(2, 3), NULL);
    ow_model(&model, &graph, 13);
    return model;
}

typedef struct expected {
    const char *op;
    uint64_t flops, floats_read, other_bytes_read, floats_written;
} expected;

enum { IMAGE = 2 * 4 * 6 * 6, HIDDEN = 2 * 16 * 3 * 3 };
static const expected steps[] = {
    /* every output is 4 channels × 3 × 3 multiply-adds */
    {"Conv", 2 * HIDDEN * 4 * 9, IMAGE + 16 * 4 * 9, 0, HIDDEN},
    /* … 3 × 3 of its own channel */
    {"Conv", 2 * HIDDEN * 9, HIDDEN + 16 * 9, 0, HIDDEN},
    {"MaxPool", 2 * 16 * 9, HIDDEN, 0, 2 * 16},
    {"Flatten", 0, 0, 0, 0},
    {"Gemm", 2 * 2 * 5 * 16, 2 * 16 + 16 * 5 + 5, 0, 2 * 5},
    {"MatMul", 2 * 2 * 3 * 5, 2 * 5 + 5 * 3, 0, 2 * 3},
    /* two rows of the table, and which */
    {"Gather", 0, 2 * 3, 2 * sizeof(int64_t), 2 * 3},
    {"Add", 2 * 3, 2 * (2 * 3), 0, 2 * 3},
};

static nnd_engine_request *run_chain(uint32_t passes, nnd_engine_model **model)
{
    static float data[IMAGE];
    static int64_t index[2] = {3, 99};
    nnd_str bytes = chain_model();
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_request *r;
    nnd_tensor x, rows;
    options.passes = passes;
    /* The model reads its weights where they lie: the bytes live as long as it does. */
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    nnd_buffer *buffer;
    desc.bytes = bytes.size;
    assert_ok(nnd_buffer_create(&desc, &buffer));
    memcpy(nnd_buffer_data(buffer), bytes.data, bytes.size);
    nnd_str_free(&bytes);
    assert_ok(nnd_engine_model_load(buffer, &options, model));
    nnd_buffer_unref(buffer);
    assert_ok(nnd_engine_request_create(*model, &r));
    assert_ok(nnd_tensor_init(&x, NND_F32, 4, DIMS(2, 4, 6, 6), data));
    assert_ok(nnd_tensor_init(&rows, NND_I64, 1, DIMS(2), index));
    assert_ok(nnd_engine_request_bind_input(r, 0, &x));
    assert_ok(nnd_engine_request_bind_input(r, 1, &rows));
    nnd_engine_request_set_profile(r, true);
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    return r;
}

static void operations_and_bytes_are_as_by_hand(void **state)
{
    (void)state;
    nnd_engine_model *model;
    nnd_engine_request *r = run_chain(0, &model);
    assert_int_equal(nnd_engine_request_profile_count(r), NND_COUNT(steps));
    for (size_t i = 0; i < NND_COUNT(steps); i++) {
        nnd_engine_step_profile step;
        assert_ok(nnd_engine_request_profile_step(r, i, &step));
        assert_string_equal(step.op, steps[i].op);
        assert_int_equal(step.dtype, NND_F32);
        assert_int_equal(step.flops, steps[i].flops);
        assert_int_equal(step.bytes_read, 4 * steps[i].floats_read + steps[i].other_bytes_read);
        assert_int_equal(step.bytes_written, 4 * steps[i].floats_written);
    }
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(model);
}

/* Fusing and blocked layouts change how the work is done, not how much of it there is; an Add that
   became part of a product is no step any more. */
static void operations_do_not_depend_on_passes(void **state)
{
    (void)state;
    nnd_engine_model *model;
    nnd_engine_request *r = run_chain(NND_PASSES_DEFAULT, &model);
    nnd_engine_model_info info;
    uint64_t sum = 0, all = 0, wanted = 0;
    for (size_t i = 0; i < NND_COUNT(steps); i++)
        if (strcmp(steps[i].op, "Add") != 0) wanted += steps[i].flops;
    for (size_t i = 0; i < nnd_engine_request_profile_count(r); i++) {
        nnd_engine_step_profile step;
        assert_ok(nnd_engine_request_profile_step(r, i, &step));
        all += step.flops;
        if (strcmp(step.op, "Add") != 0) sum += step.flops;
    }
    nnd_engine_model_get_info(model, &info);
    assert_int_equal(sum, wanted);
    assert_int_equal(info.flops, all);
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(model);
}

/* ---- operators that memory decides about ----------------------------------------------------- */

/* One operator on x[2,3,4,5] and constants of ones, without passes. */
typedef struct single {
    const char *op, *domain;
    int64_t opset;
    const char *constants; /* dims of further inputs: "3 4,5" = [3,4] and [5]; "-" is left out */
    void (*attributes)(nnd_str *attrs);
    uint64_t flops, floats_read, floats_written;
} single;

enum { X = 2 * 3 * 4 * 5 };

static void last_axis(nnd_str *attrs)
{
    ow_attr_int(attrs, "axis", -1);
}

static void lrn_size(nnd_str *attrs)
{
    ow_attr_int(attrs, "size", 3);
}

static void linear(nnd_str *attrs)
{
    ow_attr_text(attrs, "mode", "linear");
}

static void cubic(nnd_str *attrs)
{
    ow_attr_text(attrs, "mode", "cubic");
}

static void last_one(nnd_str *attrs)
{
    ow_attr_ints(attrs, "axes", DIMS(3), 1);
}

static const single singles[] = {
    /* element-wise: one addition each; five steps of Gelu */
    {"Add", "", 13, "4 5", NULL, X, X + 20, X},
    {"Max", "", 13, "4 5,5", NULL, 2 * X, X + 25, X},
    {"Mean", "", 13, "4 5,5", NULL, 3 * X, X + 25, X},
    {"Relu", "", 13, "", NULL, X, X, X},
    {"Sigmoid", "", 13, "", NULL, 4 * X, X, X},
    {"HardSwish", "", 14, "", NULL, 5 * X, X, X},
    {"Gelu", "", 20, "", NULL, 5 * X, X, X},
    {"FastGelu", "com.microsoft", 1, "", NULL, 9 * X, X, X},
    /* rows */
    {"Softmax", "", 13, "", last_axis, 5 * X, X, X},
    {"LogSoftmax", "", 13, "", last_axis, 5 * X, X, X},
    {"LayerNormalization", "", 17, "5,5", last_axis, 7 * X, X + 10, X},
    {"LayerNormalization", "", 17, "5", last_axis, 6 * X, X + 5, X},
    {"RMSNormalization", "", 23, "5", last_axis, 4 * X, X + 5, X},
    {"InstanceNormalization", "", 6, "3,3", NULL, 7 * X, X + 6, X},
    {"BatchNormalization", "", 9, "3,3,3,3", NULL, 2 * X, X + 12, X},
    /* squares and sums over 3 channels, · factor, + bias, power, division */
    {"LRN", "", 13, "", lrn_size, (2 * 3 + 4) * X, X, X},
    /* many to one */
    {"ReduceSum", "", 11, "", last_one, X, X, X / 5},
    {"ReduceMean", "", 13, "", last_one, X, X, X / 5},
    {"ReduceL2", "", 13, "", last_one, 2 * X, X, X / 5},
    {"ReduceLogSumExp", "", 13, "", last_one, 4 * X, X, X / 5},
    {"GlobalAveragePool", "", 13, "", NULL, X, X, 2 * 3},
    /* height and width twice as large: 4 taps, then 16, then none */
    {"Resize", "", 13, "-,1:1 1 2 2", linear, 2 * 4 * (4 * X), X + 4, 4 * X},
    {"Resize", "", 13, "-,1:1 1 2 2", cubic, 2 * 16 * (4 * X), X + 4, 4 * X},
    {"Resize", "", 13, "-,1:1 1 2 2", NULL, 0, X + 4, 4 * X},
};

/* The further inputs of a single, as names; "1:1 1 2 2" is a list of values instead of dims. */
static void add_constants(nnd_str *graph, const char *text, nnd_str *names)
{
    nnd_str_printf(names, "x");
    for (int i = 0; *text; i++) {
        int64_t dims[4], count = 1;
        float values[64];
        int rank = 0;
        bool left_out = *text == '-', listed = text[0] == '1' && text[1] == ':';
        char name[16];
        if (left_out || listed) text += left_out ? 1 : 2;
        for (; *text && *text != ','; text += strspn(text, " ")) {
            dims[rank] = strtol(text, (char **)&text, 10);
            count *= dims[rank++];
        }
        if (*text == ',') text++;
        for (size_t k = 0; k < NND_COUNT(values); k++)
            values[k] = listed && k < 4 ? (float)dims[k] : 1;
        if (listed) {
            dims[0] = count = rank;
            rank = 1;
        }
        snprintf(name, sizeof(name), "c%d", i);
        nnd_str_printf(names, ",%s", left_out ? "" : name);
        if (!left_out)
            ow_initializer(graph, name, OW_F32, rank, dims, values,
                           (size_t)count * sizeof(*values));
    }
}

static void check_single(const single *s)
{
    static float data[X];
    nnd_str graph = {0}, attrs = {0}, names = {0}, model = {0};
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *engine;
    nnd_engine_request *r;
    nnd_engine_step_profile step;
    nnd_tensor x;
    options.passes = 0;
    ow_value(&graph, OW_INPUT, "x", OW_F32, 4, DIMS(2, 3, 4, 5), NULL);
    add_constants(&graph, s->constants, &names);
    if (s->attributes) s->attributes(&attrs);
    ow_node_of(&graph, s->domain, s->op, names.data, "y", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, -1, NULL, NULL);
    ow_model(&model, &graph, s->domain[0] ? 17 : s->opset);
    assert_ok(nnd_engine_model_load_memory(model.data, model.size, &options, &engine));
    assert_ok(nnd_engine_request_create(engine, &r));
    assert_ok(nnd_tensor_init(&x, NND_F32, 4, DIMS(2, 3, 4, 5), data));
    assert_ok(nnd_engine_request_bind_input(r, 0, &x));
    nnd_engine_request_set_profile(r, true);
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    assert_int_equal(nnd_engine_request_profile_count(r), 1);
    assert_ok(nnd_engine_request_profile_step(r, 0, &step));
    if (step.flops != s->flops || step.bytes_read != 4 * s->floats_read ||
        step.bytes_written != 4 * s->floats_written)
        fail_msg("%s: %d operations, %d bytes read, %d written", s->op, (int)step.flops,
                 (int)step.bytes_read, (int)step.bytes_written);
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(engine);
    nnd_str_free(&names);
    nnd_str_free(&model);
}

static void operators_without_products_are_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < NND_COUNT(singles); i++)
        check_single(&singles[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_and_bytes_are_as_by_hand),
        cmocka_unit_test(operations_do_not_depend_on_passes),
        cmocka_unit_test(operators_without_products_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
