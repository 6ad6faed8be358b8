/* Forms that exporters write and the standard leaves open or does not know, as other engines take
   them. */
#include "engine_support.h"
#include "onnx_writer.h"

enum { ROOM = 64 };

/* Runs a model of one input; copies out at most ROOM numbers. */
static size_t run(nnd_str *graph, int64_t opset, const nnd_tensor *x, nnd_tensor *shape, float *y)
{
    nnd_str model = {0};
    nnd_engine_model *m = NULL;
    nnd_engine_request *r;
    ow_model(&model, graph, opset);
    nnd_status status = nnd_engine_model_load_memory(model.data, model.size, NULL, &m);
    if (status != NND_OK) report_error("load");
    assert_int_equal(status, NND_OK);
    assert_ok(nnd_engine_request_create(m, &r));
    assert_ok(nnd_engine_request_bind_input(r, 0, x));
    status = nnd_engine_request_run(r, 1, NULL);
    if (status != NND_OK) report_error("run");
    assert_int_equal(status, NND_OK);
    assert_ok(nnd_engine_request_output(r, 0, shape));
    size_t n = (size_t)nnd_tensor_count(shape);
    assert_true(n <= ROOM);
    for (size_t i = 0; i < n; i++)
        y[i] = (float)nnd_dtype_get(shape->dtype, shape->data, i);
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&model);
    return n;
}

static void ramp(nnd_tensor *t, float *data, int rank, const int64_t *dims)
{
    assert_ok(nnd_tensor_init(t, NND_F32, rank, dims, data));
    for (size_t i = 0; i < (size_t)nnd_tensor_count(t); i++)
        data[i] = (float)i;
}

/* The scale is an f32: 10 · 0.7 elements are 7, and element 2 comes from 2 / 0.4 = 5. */
static void scales_of_pictures_are_rounded_as_f32(void **state)
{
    static const struct {
        float scale;
        int64_t in;
        size_t out;
        int64_t index[7];
    } cases[] = {{0.7f, 10, 7, {0, 1, 2, 4, 5, 7, 8}}, {0.4f, 15, 6, {0, 2, 5, 7, 10, 12, 0}}};
    (void)state;
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        nnd_str graph = {0}, attrs = {0};
        const int64_t dims[] = {1, 1, 1, cases[i].in}, four = 4;
        const float scales[] = {1, 1, 1, cases[i].scale};
        nnd_tensor x, shape;
        float data[ROOM], y[ROOM];
        ramp(&x, data, 4, dims);
        ow_value(&graph, OW_INPUT, "x", OW_F32, 4, dims, NULL);
        ow_initializer(&graph, "s", OW_F32, 1, &four, scales, sizeof(scales));
        ow_attr_text(&attrs, "mode", "nearest");
        ow_attr_text(&attrs, "coordinate_transformation_mode", "asymmetric");
        ow_attr_text(&attrs, "nearest_mode", "floor");
        ow_node(&graph, "Resize", "x,,s", "y", &attrs);
        ow_value(&graph, OW_OUTPUT, "y", OW_F32, -1, NULL, NULL);
        assert_int_equal(run(&graph, 13, &x, &shape, y), cases[i].out);
        for (size_t k = 0; k < cases[i].out; k++)
            assert_int_equal((int64_t)y[k], cases[i].index[k]);
    }
}

/* PyTorch leaves out the dimension that says that the signal is real. */
static void signals_may_lack_their_last_dimension(void **state)
{
    float spectrum[2][ROOM];
    (void)state;
    for (int i = 0; i < 2; i++) {
        nnd_str graph = {0}, attrs = {0};
        const int64_t dims[] = {2, 16, 1}, step = 4, length = 8;
        nnd_tensor x, shape;
        float data[ROOM];
        ramp(&x, data, 3 - i, dims);
        ow_value(&graph, OW_INPUT, "x", OW_F32, 3 - i, dims, NULL);
        ow_initializer(&graph, "step", OW_I64, 0, NULL, &step, sizeof(step));
        ow_initializer(&graph, "length", OW_I64, 0, NULL, &length, sizeof(length));
        ow_attr_int(&attrs, "onesided", 1);
        ow_node(&graph, "STFT", "x,step,,length", "y", &attrs);
        ow_value(&graph, OW_OUTPUT, "y", OW_F32, -1, NULL, NULL);
        assert_int_equal(run(&graph, 17, &x, &shape, spectrum[i]), 2 * 3 * 5 * 2);
        assert_int_equal(shape.rank, 4);
    }
    assert_memory_equal(spectrum[0], spectrum[1], 2 * 3 * 5 * 2 * sizeof(float));
}

/* More sub-graphs than plans are kept: that of the main graph stays while it runs. Scripts become
   such networks. */
static void many_branches_in_one_run(void **state)
{
    enum { BRANCHES = 40 };
    const int64_t dims[] = {-1}, three = 3;
    const char *const symbols[] = {"n"};
    nnd_str graph = {0}, attrs = {0};
    nnd_tensor x, shape;
    float data[ROOM], y[ROOM];
    char from[16] = "x", to[16];
    (void)state;
    ramp(&x, data, 1, &three);
    ow_value(&graph, OW_INPUT, "x", OW_F32, 1, dims, symbols);
    for (int i = 0; i < BRANCHES; i++) {
        char inner[16];
        snprintf(to, sizeof(to), "y%d", i);
        for (int k = 0; k < 2; k++) {
            nnd_str branch = {0};
            snprintf(inner, sizeof(inner), "b%d_%d", i, k);
            char both[40];
            snprintf(both, sizeof(both), "%s,%s", from, from);
            ow_node(&branch, k ? "Max" : "Min", both, inner, NULL);
            ow_value(&branch, OW_OUTPUT, inner, OW_F32, -1, NULL, NULL);
            ow_attr_graph(&attrs, k ? "else_branch" : "then_branch", &branch);
        }
        char sum[16], flag[16];
        snprintf(sum, sizeof(sum), "s%d", i);
        snprintf(flag, sizeof(flag), "c%d", i);
        nnd_str keep = {0}, axis = {0};
        ow_attr_int(&keep, "keepdims", 0);
        ow_node(&graph, "ReduceSum", from, sum, &keep);
        ow_attr_int(&axis, "to", OW_BOOL);
        ow_node(&graph, "Cast", sum, flag, &axis);
        ow_node(&graph, "If", flag, to, &attrs);
        memcpy(from, to, sizeof(from));
    }
    ow_value(&graph, OW_OUTPUT, from, OW_F32, -1, NULL, NULL);
    assert_int_equal(run(&graph, 13, &x, &shape, y), 3);
    assert_memory_equal(y, data, 3 * sizeof(float));
}

/* PyTorch's unbind: a split of the number 1, without the dimension that the standard would keep. */
static void a_split_by_one_may_drop_the_dimension(void **state)
{
    const int64_t dims[] = {3, 2, 2}, one = 1;
    (void)state;
    for (int listed = 0; listed < 2; listed++)
        for (int keep = 0; keep < 2; keep++) {
            nnd_str graph = {0}, attrs = {0};
            const int64_t ones[] = {1, 1, 1}, three = 3;
            nnd_tensor x, shape;
            float data[ROOM], y[ROOM];
            ramp(&x, data, 3, dims);
            ow_value(&graph, OW_INPUT, "x", OW_F32, 3, dims, NULL);
            if (listed)
                ow_initializer(&graph, "s", OW_I64, 1, &three, ones, sizeof(ones));
            else
                ow_initializer(&graph, "s", OW_I64, 0, NULL, &one, sizeof(one));
            ow_initializer(&graph, "i", OW_I64, 0, NULL, &one, sizeof(one));
            ow_attr_int(&attrs, "keepdims", keep);
            ow_node(&graph, "SplitToSequence", "x,s", "q", &attrs);
            ow_node(&graph, "SequenceAt", "q,i", "y", NULL);
            ow_value(&graph, OW_OUTPUT, "y", OW_F32, -1, NULL, NULL);
            assert_int_equal(run(&graph, 18, &x, &shape, y), 4);
            assert_int_equal(shape.rank, keep || listed ? 3 : 2);
            assert_memory_equal(y, data + 4, 4 * sizeof(float));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scales_of_pictures_are_rounded_as_f32),
        cmocka_unit_test(signals_may_lack_their_last_dimension),
        cmocka_unit_test(many_branches_in_one_run),
        cmocka_unit_test(a_split_by_one_may_drop_the_dimension),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
