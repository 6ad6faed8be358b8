/* Operators that are brought: registration, attributes, state, workspace, threads, faults. */
#include "ir_support.h"
#include "onnx_writer.h"

/* y = a·x + sum(w), with w constant: prepare sums it, the workspace holds a copy of x. */
static nnd_status line_infer(nnd_operator_call *call)
{
    const nnd_tensor *x = call->inputs[0];
    if (call->tools->attribute_int(call, "forget", 0)) return NND_OK;
    if (x->dtype != NND_F32) return call->tools->error_set(call, NND_E_TYPE, "f32 %s", "wanted");
    return call->tools->describe_output(call, 0, NND_F32, x->rank, x->dims);
}

static nnd_status line_prepare(nnd_operator_call *call, void **state)
{
    const nnd_tensor *w = call->inputs[1];
    if (!w) return call->tools->error_set(call, NND_E_UNSUPPORTED, "input 1 has to be a constant");
    float *sum = nnd_calloc(1, sizeof(*sum));
    if (!sum) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a sum");
    for (int64_t i = 0; i < nnd_tensor_count(w); i++)
        *sum += ((const float *)w->data)[i];
    *state = sum;
    return NND_OK;
}

static nnd_status line_plan(nnd_operator_call *call, size_t *workspace_bytes)
{
    *workspace_bytes = nnd_tensor_bytes(call->inputs[0]);
    return NND_OK;
}

typedef struct line_work {
    const nnd_operator_call *call;
    float a;
} line_work;

static nnd_status line_tile(void *user, size_t tile, int lane)
{
    const line_work *work = user;
    float *copy = work->call->workspace, *y = work->call->outputs[0].data;
    (void)lane;
    copy[tile] = ((const float *)work->call->inputs[0]->data)[tile];
    y[tile] = work->a * copy[tile] + *(const float *)work->call->state;
    return NND_OK;
}

static nnd_status line_run(nnd_operator_call *call)
{
    line_work work = {call, call->tools->attribute_float(call, "a", 1)};
    return call->tools->parallel_for(call, (size_t)nnd_tensor_count(call->inputs[0]), line_tile,
                                     &work);
}

static const nnd_operator line = {.struct_size = sizeof(nnd_operator),
                                  .domain = "test.domain",
                                  .name = "Line",
                                  .since = 2,
                                  .until = 4,
                                  .min_inputs = 2,
                                  .max_inputs = 2,
                                  .min_outputs = 1,
                                  .max_outputs = 1,
                                  .infer = line_infer,
                                  .run = line_run,
                                  .prepare = line_prepare,
                                  .release = nnd_free,
                                  .plan = line_plan};

static nnd_ir *build_line(int64_t version, bool forget)
{
    static float w[2] = {1, 2};
    nnd_ir *ir;
    nnd_tensor t;
    nnd_ir_type x = {.dtype = NND_F32, .rank = 1, .dims = {{-1, "n"}}};
    const char *in[] = {"x", "w"}, *out[] = {"y"};
    nnd_ir_attribute attributes[] = {NND_IR_FLOAT("a", 10), NND_IR_INT("forget", forget)};
    assert_ok(nnd_ir_create("line", 17, &ir));
    assert_ok(nnd_ir_import(ir, "test.domain", version));
    nnd_ir_graph *g = nnd_ir_main(ir);
    assert_ok(nnd_tensor_init(&t, NND_F32, 1, (int64_t[]){2}, w));
    assert_ok(nnd_ir_add_input(g, "x", &x));
    assert_ok(nnd_ir_add_constant(g, "w", &t));
    assert_ok(nnd_ir_add_node(g, &(nnd_ir_node){.op = "Line",
                                                .domain = "test.domain",
                                                .name = "the line",
                                                .inputs = in,
                                                .input_count = 2,
                                                .outputs = out,
                                                .output_count = 1,
                                                .attributes = attributes,
                                                .attribute_count = 2}));
    assert_ok(nnd_ir_add_output(g, "y", NULL));
    return ir;
}

static nnd_status run_line(nnd_engine_model *model, int threads)
{
    static float x[100];
    nnd_tensor in, out;
    nnd_engine_request *request;
    for (int i = 0; i < 100; i++)
        x[i] = (float)i;
    assert_ok(nnd_tensor_init(&in, NND_F32, 1, (int64_t[]){100}, x));
    assert_ok(nnd_engine_request_create(model, &request));
    assert_ok(nnd_engine_request_bind_input(request, 0, &in));
    nnd_status status = nnd_engine_request_run(request, threads, NULL);
    if (status == NND_OK) {
        assert_ok(nnd_engine_request_output(request, 0, &out));
        for (int i = 0; i < 100; i++)
            assert_true(((const float *)out.data)[i] == 10 * x[i] + 3);
    }
    nnd_engine_request_destroy(request);
    return status;
}

static void a_domain_that_nobody_knows(void **state)
{
    nnd_ir *ir = build_line(2, false);
    (void)state;
    assert_status(nnd_ir_check(ir), NND_E_UNSUPPORTED);
    const char *text = error_text();
    assert_non_null(strstr(text, "'the line': test.domain.Line"));
    assert_non_null(strstr(text, "no plug-in that is loaded knows this domain"));
    nnd_ir_destroy(ir);
}

static void it_runs_once_it_is_there(void **state)
{
    nnd_engine_model *model;
    (void)state;
    assert_ok(nnd_operator_register(&line));
    assert_ok(nnd_operator_register(&line));
    assert_ok(nnd_engine_model_load_ir(build_line(4, false), NULL, &model));
    for (int threads = 1; threads <= 3; threads++)
        assert_ok(run_line(model, threads));
    nnd_engine_model_unref(model);
}

static void other_versions_are_refused(void **state)
{
    nnd_engine_model *model;
    (void)state;
    assert_status(nnd_engine_model_load_ir(build_line(5, false), NULL, &model), NND_E_UNSUPPORTED);
    assert_non_null(strstr(error_text(), "not in this opset version"));
}

static void faults_of_an_operator_are_named(void **state)
{
    nnd_engine_model *model;
    (void)state;
    assert_ok(nnd_engine_model_load_ir(build_line(2, true), NULL, &model));
    assert_status(run_line(model, 1), NND_E_TYPE);
    assert_non_null(strstr(error_text(), "did not describe its output 0"));
    nnd_engine_model_unref(model);
}

static void bad_tables_are_refused(void **state)
{
    nnd_operator bad = line;
    (void)state;
    assert_status(nnd_operator_register(NULL), NND_E_INVALID_ARGUMENT);
    bad.struct_size = 8;
    assert_status(nnd_operator_register(&bad), NND_E_INVALID_ARGUMENT);
    bad = line;
    bad.run = NULL;
    assert_status(nnd_operator_register(&bad), NND_E_INVALID_ARGUMENT);
    bad = line;
    bad.domain = "";
    assert_status(nnd_operator_register(&bad), NND_E_INVALID_ARGUMENT);
    bad = line;
    bad.since = 4;
    bad.until = 0;
    assert_status(nnd_operator_register(&bad), NND_E_EXISTS);
    bad = line;
    bad.domain = "com.microsoft";
    bad.name = "Gelu";
    bad.since = 1;
    assert_status(nnd_operator_register(&bad), NND_E_EXISTS);
    nnd_error_clear();
}

/* An ONNX file with a node of that domain. */
static void onnx_files_find_it(void **state)
{
    nnd_str g = {0}, m = {0}, attrs = {0}, opset = {0};
    float w[2] = {1, 2};
    nnd_engine_model *model;
    (void)state;
    ow_value(&g, OW_INPUT, "x", 1, 1, (int64_t[]){100}, NULL);
    ow_initializer(&g, "w", 1, 1, (int64_t[]){2}, w, sizeof(w));
    ow_attr_float(&attrs, "a", 10);
    ow_node_of(&g, "test.domain", "Line", "x,w", "y", &attrs);
    ow_value(&g, OW_OUTPUT, "y", 1, 1, (int64_t[]){100}, NULL);
    ow_model(&m, &g, 17);
    ow_text(&opset, 1, "test.domain");
    ow_int(&opset, 2, 3);
    ow_message(&m, 8, &opset);
    assert_ok(nnd_engine_model_load_memory(m.data, m.size, NULL, &model));
    assert_ok(run_line(model, 2));
    nnd_engine_model_unref(model);
    nnd_str_free(&m);
}

/* Nobody knows when the code behind an operator of a plug-in changes, so no packed weights of a
   model that has one are kept. */
static void their_models_are_not_cached(void **state)
{
    nnd_str g = {0}, m = {0}, opset = {0};
    float w[2] = {1, 2}, matrix[100 * 4] = {1};
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *model;
    nnd_engine_model_info info;
    nnd_port_dir_list list;
    char *folder;
    (void)state;
    ow_value(&g, OW_INPUT, "x", 1, 1, (int64_t[]){100}, NULL);
    ow_initializer(&g, "w", 1, 1, (int64_t[]){2}, w, sizeof(w));
    ow_initializer(&g, "m", 1, 2, (int64_t[]){100, 4}, matrix, sizeof(matrix));
    ow_node_of(&g, "test.domain", "Line", "x,w", "h", NULL);
    ow_node(&g, "MatMul", "h,m", "y", NULL);
    ow_value(&g, OW_OUTPUT, "y", 1, 1, (int64_t[]){4}, NULL);
    ow_model(&m, &g, 17);
    ow_text(&opset, 1, "test.domain");
    ow_int(&opset, 2, 3);
    ow_message(&m, 8, &opset);
    assert_int_equal(nnd_port_dir_create_temp("nnd-custom", &folder), 0);
    options.cache = folder;
    assert_ok(nnd_engine_model_load_memory(m.data, m.size, &options, &model));
    nnd_engine_model_get_info(model, &info);
    assert_true(info.packed_bytes > 0);
    assert_int_equal(info.mapped_bytes, 0);
    assert_int_equal(nnd_port_dir_read(folder, &list), 0);
    assert_int_equal(list.count, 0);
    nnd_port_dir_list_free(&list);
    nnd_engine_model_unref(model);
    assert_int_equal(nnd_port_dir_remove_tree(folder), 0);
    nnd_port_free(folder);
    nnd_str_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_domain_that_nobody_knows),
        cmocka_unit_test(it_runs_once_it_is_there),
        cmocka_unit_test(other_versions_are_refused),
        cmocka_unit_test(faults_of_an_operator_are_named),
        cmocka_unit_test(bad_tables_are_refused),
        cmocka_unit_test(onnx_files_find_it),
        cmocka_unit_test(their_models_are_not_cached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
