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
    {"Add", 0, 2 * (2 * 3), 0, 2 * 3},
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

/* Fusing and blocked layouts change how the work is done, not how much of it there is. */
static void operations_do_not_depend_on_passes(void **state)
{
    (void)state;
    nnd_engine_model *model;
    nnd_engine_request *r = run_chain(NND_PASSES_DEFAULT, &model);
    nnd_engine_model_info info;
    uint64_t sum = 0, wanted = 0;
    for (size_t i = 0; i < NND_COUNT(steps); i++)
        wanted += steps[i].flops;
    for (size_t i = 0; i < nnd_engine_request_profile_count(r); i++) {
        nnd_engine_step_profile step;
        assert_ok(nnd_engine_request_profile_step(r, i, &step));
        sum += step.flops;
    }
    nnd_engine_model_get_info(model, &info);
    assert_int_equal(sum, wanted);
    assert_int_equal(info.flops, wanted);
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_and_bytes_are_as_by_hand),
        cmocka_unit_test(operations_do_not_depend_on_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
