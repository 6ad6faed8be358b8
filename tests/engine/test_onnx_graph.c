/* Graphs as files have them: in another order than ONNX asks for, with names that come twice. */
#include "engine_support.h"
#include "onnx_writer.h"
#include "support/oom.h"

static const int64_t two[1] = {2};
static const int64_t one[1] = {1};

static void begin(nnd_str *graph)
{
    ow_value(graph, OW_INPUT, "x", OW_F32, 1, two, NULL);
    ow_value(graph, OW_OUTPUT, "y", OW_F32, 1, two, NULL);
}

/* Loads the graph, which is emptied; runs it on x = {1, 2} and compares y. */
static void expect(nnd_str *graph, float first, float second)
{
    nnd_str model = {0};
    nnd_engine_model *m;
    nnd_engine_request *r;
    nnd_tensor x, y;
    float data[2] = {1, 2};
    ow_model(&model, graph, 13);
    assert_ok(nnd_engine_model_load_memory(model.data, model.size, NULL, &m));
    assert_ok(nnd_engine_request_create(m, &r));
    assert_ok(nnd_tensor_init(&x, NND_F32, 1, two, data));
    assert_ok(nnd_engine_request_bind_input(r, 0, &x));
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    assert_ok(nnd_engine_request_output(r, 0, &y));
    assert_int_equal(nnd_tensor_count(&y), 2);
    assert_float_equal(((float *)y.data)[0], first, 1e-6);
    assert_float_equal(((float *)y.data)[1], second, 1e-6);
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&model);
}

static void expect_refused(nnd_str *graph, const char *const *words, size_t count)
{
    nnd_str model = {0};
    nnd_engine_model *m;
    ow_model(&model, graph, 13);
    assert_status(nnd_engine_model_load_memory(model.data, model.size, NULL, &m), NND_E_FORMAT);
    nnd_error *e = nnd_error_take();
    for (size_t i = 0; i < count; i++)
        assert_non_null(strstr(nnd_error_message(e), words[i]));
    nnd_error_destroy(e);
    nnd_str_free(&model);
}

/* y = -(x + x) * (x + x), written from the end to the beginning. */
static void write_backwards(nnd_str *graph)
{
    begin(graph);
    ow_node(graph, "Mul", "n,s", "y", NULL);
    ow_node(graph, "Neg", "s", "n", NULL);
    ow_node(graph, "Add", "x,x", "s", NULL);
}

static void nodes_may_come_in_any_order(void **state)
{
    (void)state;
    nnd_str graph = {0};
    write_backwards(&graph);
    expect(&graph, -4, -16);
}

/* A branch that reads two values of the main graph, which follow behind the If; one is called as a
   value of the branch of its own. */
static void write_branches(nnd_str *graph)
{
    nnd_str then_graph = {0}, else_graph = {0}, attrs = {0};
    ow_node(&then_graph, "Add", "inner,late", "r", NULL);
    ow_node(&then_graph, "Neg", "later", "inner", NULL);
    ow_value(&then_graph, OW_OUTPUT, "r", OW_F32, 1, two, NULL);
    ow_value(&else_graph, OW_OUTPUT, "later", OW_F32, 1, two, NULL);
    begin(graph);
    ow_value(graph, OW_INPUT, "c", OW_BOOL, 1, one, NULL);
    ow_attr_graph(&attrs, "then_branch", &then_graph);
    ow_attr_graph(&attrs, "else_branch", &else_graph);
    ow_node(graph, "If", "c", "y", &attrs);
    ow_node(graph, "Add", "x,late", "later", NULL);
    ow_node(graph, "Add", "x,x", "late", NULL);
}

static void branches_wait_for_what_they_read(void **state)
{
    (void)state;
    for (uint8_t c = 0; c < 2; c++) {
        nnd_str graph = {0}, model = {0};
        nnd_engine_model *m;
        nnd_engine_request *r;
        nnd_tensor x, condition, y;
        float data[2] = {1, 2};
        bool flag = c != 0;
        write_branches(&graph);
        ow_model(&model, &graph, 13);
        assert_ok(nnd_engine_model_load_memory(model.data, model.size, NULL, &m));
        assert_ok(nnd_engine_request_create(m, &r));
        assert_ok(nnd_tensor_init(&x, NND_F32, 1, two, data));
        assert_ok(nnd_tensor_init(&condition, NND_BOOL, 1, one, &flag));
        assert_ok(nnd_engine_request_bind_input(r, 0, &x));
        assert_ok(nnd_engine_request_bind_input(r, 1, &condition));
        assert_ok(nnd_engine_request_run(r, 1, NULL));
        assert_ok(nnd_engine_request_output(r, 0, &y));
        for (int i = 0; i < 2; i++)
            assert_float_equal(((float *)y.data)[i], c ? -data[i] : 3 * data[i], 1e-6);
        nnd_engine_request_destroy(r);
        nnd_engine_model_unref(m);
        nnd_str_free(&model);
    }
}

/* Both the branch and the main graph have a value `v`, and that of the main graph comes from the
   If: the branch does not wait for it. */
static void a_name_of_a_branch_is_its_own(void **state)
{
    (void)state;
    nnd_str graph = {0}, then_graph = {0}, else_graph = {0}, attrs = {0};
    const bool yes = true;
    ow_node(&then_graph, "Neg", "x", "v", NULL);
    ow_node(&then_graph, "Neg", "v", "t", NULL);
    ow_value(&then_graph, OW_OUTPUT, "t", OW_F32, 1, two, NULL);
    ow_node(&else_graph, "Neg", "x", "e", NULL);
    ow_value(&else_graph, OW_OUTPUT, "e", OW_F32, 1, two, NULL);
    begin(&graph);
    ow_initializer(&graph, "c", OW_BOOL, 1, one, &yes, sizeof(yes));
    ow_attr_graph(&attrs, "then_branch", &then_graph);
    ow_attr_graph(&attrs, "else_branch", &else_graph);
    ow_node(&graph, "Add", "v,v", "y", NULL);
    ow_node(&graph, "If", "c", "i", &attrs);
    ow_node(&graph, "Add", "i,i", "v", NULL);
    expect(&graph, 4, 8);
}

static void a_circle_is_an_error_that_names_its_nodes(void **state)
{
    (void)state;
    nnd_str graph = {0};
    begin(&graph);
    ow_node(&graph, "Neg", "x", "outside", NULL);
    ow_node(&graph, "Add", "outside,b", "y", NULL);
    ow_node(&graph, "Relu", "b", "a", NULL);
    ow_node(&graph, "Add", "a,x", "b", NULL);
    expect_refused(&graph, (const char *[]){"wait for each other", "Relu 'a'", "Add 'b'"}, 3);
    begin(&graph);
    ow_node(&graph, "Add", "x,y", "y", NULL);
    expect_refused(&graph, (const char *[]){"wait for each other", "Add 'y'"}, 2);
    begin(&graph);
    ow_node(&graph, "Add", "x,nowhere", "y", NULL);
    expect_refused(&graph, (const char *[]){"'nowhere'", "not defined"}, 2);
}

/* A chain that is as long as a file likes must not be a recursion. */
static void a_long_chain_may_be_backwards(void **state)
{
    (void)state;
    enum { LENGTH = 100001 }; /* odd */
    nnd_str graph = {0};
    char from[32], to[32];
    begin(&graph);
    for (int i = LENGTH; i > 0; i--) {
        snprintf(from, sizeof(from), "v%d", i - 1);
        snprintf(to, sizeof(to), "v%d", i);
        ow_node(&graph, "Neg", i == 1 ? "x" : from, i == LENGTH ? "y" : to, NULL);
    }
    nnd_str model = {0};
    nnd_engine_model *m;
    ow_model(&model, &graph, 13);
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    options.passes = 0;
    assert_ok(nnd_engine_model_load_memory(model.data, model.size, &options, &m));
    nnd_engine_model_unref(m);
    nnd_str_free(&model);
}

/* What ONNX Runtime's transformers optimizer can write; there, too, the last one counts. */
static void the_last_of_two_initialisers_counts(void **state)
{
    (void)state;
    nnd_str graph = {0};
    begin(&graph);
    ow_initializer(&graph, "w", OW_F32, 1, one, (float[]){5}, sizeof(float));
    ow_initializer(&graph, "w", OW_F32, 1, two, (float[]){10, 100}, 2 * sizeof(float));
    ow_node(&graph, "Mul", "x,w", "y", NULL);
    expect(&graph, 10, 200);
}

static void a_result_may_not_be_called_as_something_else(void **state)
{
    (void)state;
    nnd_str graph = {0}, model = {0};
    nnd_engine_model *m;
    begin(&graph);
    ow_node(&graph, "Neg", "x", "y", NULL);
    ow_node(&graph, "Relu", "x", "y", NULL);
    ow_model(&model, &graph, 13);
    assert_status(nnd_engine_model_load_memory(model.data, model.size, NULL, &m), NND_E_EXISTS);
    nnd_str_free(&model);
}

static void sorting_survives_without_memory(void **state)
{
    (void)state;
    nnd_str graphs[3] = {{0}}, models[3] = {{0}};
    write_backwards(&graphs[0]);
    write_branches(&graphs[1]);
    begin(&graphs[2]);
    ow_node(&graphs[2], "Add", "x,y", "y", NULL);
    for (int i = 0; i < 3; i++)
        ow_model(&models[i], &graphs[i], 13);
    oom_begin();
    for (int i = 0; i < 3; i++) {
        bool hit = true;
        for (long n = 0; hit; n++) {
            nnd_engine_model *m = NULL;
            oom_fail_after(n);
            nnd_status status =
                nnd_engine_model_load_memory(models[i].data, models[i].size, NULL, &m);
            hit = oom_hit();
            oom_never();
            if (status == NND_OK) nnd_engine_model_unref(m);
            nnd_status whole = i < 2 ? NND_OK : NND_E_FORMAT;
            /* An error's text may be what there is no memory for. */
            if (!hit || status != NND_E_OUT_OF_MEMORY) assert_int_equal(status, whole);
            nnd_error_clear();
        }
    }
    assert_int_equal(oom_live_blocks(), 0);
    oom_end();
    for (int i = 0; i < 3; i++)
        nnd_str_free(&models[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_may_come_in_any_order),
        cmocka_unit_test(branches_wait_for_what_they_read),
        cmocka_unit_test(a_name_of_a_branch_is_its_own),
        cmocka_unit_test(a_circle_is_an_error_that_names_its_nodes),
        cmocka_unit_test(a_long_chain_may_be_backwards),
        cmocka_unit_test(the_last_of_two_initialisers_counts),
        cmocka_unit_test(a_result_may_not_be_called_as_something_else),
        cmocka_unit_test(sorting_survives_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
