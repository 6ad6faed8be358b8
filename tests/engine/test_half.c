/* Networks in f16 and bf16 are computed in f32: borders keep their type, bodies and attributes
   follow, and what only stores these types stays as it is. */
#include "engine_support.h"
#include "onnx_writer.h"
#include "pass_support.h"

#include "engine/kernels/kernels.h"

enum { OW_F16 = 10, OW_BF16 = 16, COUNT = 2 * 3 * 4, PIXELS = 16 };

static int code_of(nnd_dtype dtype)
{
    return dtype == NND_F16 ? OW_F16 : dtype == NND_BF16 ? OW_BF16 : OW_F32;
}

static void narrow(nnd_dtype dtype, const float *x, uint16_t *y, size_t n)
{
    if (dtype == NND_F16)
        nnd_f32_to_f16(x, y, n);
    else
        nnd_f32_to_bf16(x, y, n);
}

/* An initialiser with numbers that both half types hold exactly. */
static void weight(nnd_str *graph, nnd_dtype dtype, const char *name, int rank, const int64_t *dims)
{
    float wide[64];
    uint16_t data[64];
    size_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    assert_true(n <= NND_COUNT(wide));
    for (size_t i = 0; i < n; i++)
        wide[i] = (float)((int)(i * 7 % 11) - 5) / 8.0f;
    narrow(dtype, wide, data, n);
    if (dtype == NND_F32)
        ow_initializer(graph, name, OW_F32, rank, dims, wide, n * sizeof(*wide));
    else
        ow_initializer(graph, name, code_of(dtype), rank, dims, data, n * sizeof(*data));
}

/* y = body(Relu(x·w + c)) with an If whose branch reads what is outside, r = Relu(…) is an output
   that is read again, s is the input itself through Cast and ConstantOfShape's type. */
static void network(nnd_str *model, nnd_dtype dtype)
{
    nnd_str graph = {0}, attrs = {0}, branch = {0}, one = {0};
    const bool yes = true;
    const float value = 0.5f;
    uint16_t half;
    const int64_t matrix[] = {4, 4}, row[] = {4}, dims[] = {2, 3, 4}, unit = 1, rank = 3;
    ow_value(&graph, OW_INPUT, "x", code_of(dtype), 3, dims, NULL);
    weight(&graph, dtype, "w", 2, matrix);
    weight(&graph, dtype, "c", 1, row);
    ow_initializer(&graph, "yes", OW_BOOL, 0, NULL, &yes, sizeof(yes));
    ow_initializer(&graph, "dims", OW_I64, 1, &rank, dims, sizeof(dims));
    ow_node(&graph, "MatMul", "x,w", "p", NULL);
    ow_node(&graph, "Add", "p,c", "q", NULL);
    ow_node(&graph, "Relu", "q", "r", NULL);
    ow_node(&branch, "Mul", "r,x", "inner", NULL);
    ow_value(&branch, OW_OUTPUT, "inner", code_of(dtype), -1, NULL, NULL);
    nnd_str other = {0};
    nnd_str_add_n(&other, branch.data, branch.size);
    ow_attr_graph(&attrs, "then_branch", &branch);
    ow_attr_graph(&attrs, "else_branch", &other);
    ow_node(&graph, "If", "yes", "b", &attrs);
    narrow(dtype, &value, &half, 1);
    if (dtype == NND_F32)
        ow_tensor(&one, "", OW_F32, 1, &unit, &value, sizeof(value));
    else
        ow_tensor(&one, "", code_of(dtype), 1, &unit, &half, sizeof(half));
    ow_attr_tensor(&attrs, "value", &one);
    ow_node(&graph, "ConstantOfShape", "dims", "halves", &attrs);
    ow_node(&graph, "Cast", "dims", "d", (ow_attr_int(&attrs, "to", code_of(dtype)), &attrs));
    ow_node(&graph, "ReduceSum", "d", "total", NULL);
    ow_node(&graph, "Add", "b,halves", "e", NULL);
    ow_node(&graph, "Add", "e,total", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", code_of(dtype), 3, dims, NULL);
    ow_value(&graph, OW_OUTPUT, "r", code_of(dtype), 3, dims, NULL);
    ow_value(&graph, OW_OUTPUT, "x", code_of(dtype), 3, dims, NULL);
    ow_model(model, &graph, 13);
}

typedef struct results {
    nnd_dtype dtypes[3];
    double y[3][COUNT];
} results;

static void compute(nnd_dtype dtype, const char *passes, results *out)
{
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    const int64_t dims[] = {2, 3, 4};
    nnd_str model = {0};
    nnd_engine_model *m = NULL;
    nnd_engine_request *r;
    uint16_t data[COUNT];
    float wide[COUNT];
    nnd_tensor x, y;
    for (size_t i = 0; i < COUNT; i++)
        wide[i] = (float)((int)(i * 5 % 17) - 8) / 8.0f;
    narrow(dtype, wide, data, COUNT);
    assert_ok(nnd_tensor_init(&x, dtype, 3, dims, dtype == NND_F32 ? (void *)wide : data));
    network(&model, dtype);
    assert_ok(nnd_engine_passes_parse(passes, &options.passes));
    nnd_status status = nnd_engine_model_load_memory(model.data, model.size, &options, &m);
    if (status != NND_OK) report_error("load");
    assert_int_equal(status, NND_OK);
    assert_ok(nnd_engine_request_create(m, &r));
    assert_ok(nnd_engine_request_bind_input(r, 0, &x));
    status = nnd_engine_request_run(r, 1, NULL);
    if (status != NND_OK) report_error("run");
    assert_int_equal(status, NND_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_ok(nnd_engine_request_output(r, i, &y));
        assert_int_equal(nnd_tensor_count(&y), COUNT);
        out->dtypes[i] = y.dtype;
        for (size_t k = 0; k < COUNT; k++)
            out->y[i][k] = nnd_dtype_get(y.dtype, y.data, k);
    }
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&model);
}

/* All numbers are small multiples of powers of two, so that f16 is exact and bf16 rounds once. */
static void half_networks_compute_in_f32(void **state)
{
    static const char *const sets[] = {"default", "no-half", "none", "none+half"};
    results wide, narrow_results;
    (void)state;
    compute(NND_F32, "default", &wide);
    for (size_t i = 0; i < NND_COUNT(sets); i++) {
        for (int k = 0; k < 2; k++) {
            nnd_dtype dtype = k ? NND_BF16 : NND_F16;
            double step = k ? 1.0 / 64 : 1e-3;
            compute(dtype, sets[i], &narrow_results);
            for (size_t o = 0; o < 3; o++) {
                assert_int_equal(narrow_results.dtypes[o], dtype);
                for (size_t e = 0; e < COUNT; e++)
                    assert_true(fabs(narrow_results.y[o][e] - wide.y[o][e]) <=
                                step * (1 + fabs(wide.y[o][e])));
            }
        }
    }
}

static void what_only_moves_halves_stays(void **state)
{
    const int64_t dims[] = {2, 3};
    pass_test t = {.opset = 13};
    uint32_t x;
    size_t changes = 0;
    (void)state;
    assert_ok(nnd_graph_create(NULL, "g", &t.g));
    assert_ok(nnd_graph_add_input(t.g, "x", NND_F16, 2, dims, &x));
    uint32_t y = pt_unary(&t, "Transpose", x), z = pt_unary(&t, "Relu", y);
    t.g->values[z].dtype = NND_F16;
    pt_output(&t, z);
    assert_ok(nnd_graph_bind(t.g));
    nnd_graph_index(t.g);
    assert_ok(nnd_pass_half(t.g, &changes));
    assert_int_equal(changes, 0);
    assert_int_equal(t.g->node_count, 2);
    nnd_graph_destroy(t.g);
}

/* Border values keep their type, everything between them is f32. */
static void products_of_halves_become_f32(void **state)
{
    const int64_t dims[] = {2, 2};
    pass_test t = {.opset = 13};
    uint32_t x;
    size_t changes = 0;
    (void)state;
    assert_ok(nnd_graph_create(NULL, "g", &t.g));
    assert_ok(nnd_graph_add_input(t.g, "x", NND_BF16, 2, dims, &x));
    uint32_t y = pt_binary(&t, "MatMul", x, x);
    t.g->values[y].dtype = NND_BF16;
    pt_output(&t, y);
    assert_ok(nnd_graph_bind(t.g));
    nnd_graph_index(t.g);
    assert_ok(nnd_pass_half(t.g, &changes));
    assert_true(changes > 0);
    assert_int_equal(t.g->node_count, 3);
    assert_int_equal(t.g->nodes[0].inputs[0], x);
    assert_string_equal(t.g->nodes[0].type, "Cast");
    assert_int_equal(t.g->values[t.g->nodes[1].inputs[0]].dtype, NND_F32);
    assert_int_equal(t.g->values[t.g->nodes[1].inputs[1]].dtype, NND_F32);
    assert_int_equal(t.g->nodes[2].outputs[0], y);
    nnd_graph_destroy(t.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_networks_compute_in_f32),
        cmocka_unit_test(products_of_halves_become_f32),
        cmocka_unit_test(what_only_moves_halves_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
