/* Graphs by hand: building, complaints, printing, running; bodies; out of memory. */
#include "ir_support.h"
#include "support/oom.h"

static void run_linear(nnd_engine_model *model)
{
    float x[6] = {1, 1, 1, 0, -1, 0};
    nnd_tensor in, out;
    nnd_engine_request *request;
    assert_ok(nnd_engine_request_create(model, &request));
    assert_ok(nnd_tensor_init(&in, NND_F32, 2, (int64_t[]){2, 3}, x));
    assert_ok(nnd_engine_request_bind_input(request, 0, &in));
    assert_ok(nnd_engine_request_run(request, 1, NULL));
    assert_ok(nnd_engine_request_output(request, 0, &out));
    const float *y = out.data;
    assert_int_equal(nnd_tensor_count(&out), 4);
    assert_true(y[0] == 6.5f && y[1] == 0 && y[2] == 0 && y[3] == 2.25f);
    nnd_engine_request_destroy(request);
}

static void a_graph_by_hand_runs(void **state)
{
    nnd_engine_model *model;
    (void)state;
    nnd_ir *ir = build_linear();
    assert_ok(nnd_ir_check(ir));
    assert_ok(nnd_ir_check(ir)); /* as often as one likes */
    assert_ok(nnd_engine_model_load_ir(ir, NULL, &model));
    const nnd_engine_port *port = nnd_engine_model_input(model, 0);
    assert_string_equal(port->name, "x");
    assert_string_equal(port->dims[0].symbol, "batch");
    assert_int_equal(port->dims[1].value, 3);
    port = nnd_engine_model_output(model, 0); /* of no declared type */
    assert_int_equal(port->dtype, NND_F32);
    assert_int_equal(port->rank, 2);
    assert_int_equal(port->dims[0].value, -1);
    run_linear(model);
    nnd_engine_model_unref(model);
}

static void printing_shows_every_node(void **state)
{
    char *text;
    (void)state;
    nnd_ir *ir = build_linear();
    assert_ok(nnd_ir_print(ir, &text));
    assert_non_null(strstr(text, "graph linear(%x: f32[batch,3])"));
    assert_non_null(strstr(text, "= Gemm(%x, %w, %b) transB=1  # dense"));
    assert_non_null(strstr(text, "return %y"));
    nnd_free(text);
    nnd_ir_destroy(ir);
}

static nnd_status add(nnd_ir_graph *g, const char *op, const char *in, const char *out)
{
    return nnd_ir_add_node(
        g, &(nnd_ir_node){
               .op = op, .inputs = &in, .input_count = 1, .outputs = &out, .output_count = 1});
}

static void all_errors_come_together(void **state)
{
    nnd_engine_model *model;
    nnd_ir *ir;
    nnd_ir_type x = {.dtype = NND_F32, .rank = 1, .dims = {{4, NULL}}};
    (void)state;
    assert_ok(nnd_ir_create("wrong", 17, &ir));
    nnd_ir_graph *g = nnd_ir_main(ir);
    assert_ok(nnd_ir_add_input(g, "x", &x));
    assert_status(nnd_ir_add_input(g, "x", &x), NND_E_FORMAT);
    assert_status(add(g, "Relu", "nowhere", "a"), NND_E_FORMAT);
    assert_status(add(g, "Relu", "x", "x"), NND_E_FORMAT);
    assert_ok(add(g, "Relo", "x", "b"));
    assert_ok(add(g, "Add", "x", "c"));
    assert_status(nnd_ir_add_output(g, "lost", NULL), NND_E_FORMAT);
    assert_status(nnd_ir_import(ir, "", 3), NND_E_FORMAT);
    assert_status(nnd_ir_check(ir), NND_E_FORMAT);
    const char *text = error_text();
    static const char *const wanted[] = {
        "'x': the name is taken", "input 'nowhere'", "output 'x' of the Relu", "'lost'", "Relo",
        "wrong number of inputs", "no outputs",      "imported twice"};
    for (size_t i = 0; i < NND_COUNT(wanted); i++)
        if (!strstr(text, wanted[i])) fail_msg("'%s' is not in: %s", wanted[i], text);
    assert_status(nnd_ir_save(ir, "never-written.nnd.json"), NND_E_FORMAT);
    assert_false(nnd_port_file_exists("never-written.nnd.json"));
    assert_status(nnd_engine_model_load_ir(ir, NULL, &model), NND_E_FORMAT);
}

/* y = if c then x + k else −x, where k is a constant of the body and x is captured. */
static nnd_ir *build_if(void)
{
    static float k[1] = {10};
    nnd_ir *ir;
    nnd_ir_graph *then_body, *else_body;
    nnd_tensor kt;
    nnd_ir_type c = {.dtype = NND_BOOL, .rank = 0}, x = {.dtype = NND_F32, .rank = 0};
    assert_ok(nnd_ir_create("choice", 17, &ir));
    nnd_ir_graph *g = nnd_ir_main(ir);
    assert_ok(nnd_tensor_init(&kt, NND_F32, 0, NULL, k));
    assert_ok(nnd_ir_add_input(g, "c", &c));
    assert_ok(nnd_ir_add_input(g, "x", &x));
    assert_ok(nnd_ir_add_body(g, "yes", &then_body));
    assert_ok(nnd_ir_add_constant(then_body, "k", &kt));
    const char *in[] = {"x", "k"}, *sum[] = {"s"}, *condition[] = {"c"}, *out[] = {"y"};
    assert_ok(nnd_ir_add_node(
        then_body,
        &(nnd_ir_node){
            .op = "Add", .inputs = in, .input_count = 2, .outputs = sum, .output_count = 1}));
    assert_ok(nnd_ir_add_output(then_body, "s", &x));
    assert_ok(nnd_ir_add_body(g, "no", &else_body));
    assert_ok(add(else_body, "Neg", "x", "n"));
    assert_ok(nnd_ir_add_output(else_body, "n", &x));
    nnd_ir_attribute bodies[] = {NND_IR_GRAPH("then_branch", then_body),
                                 NND_IR_GRAPH("else_branch", else_body)};
    nnd_ir_node node = {.op = "If",
                        .inputs = condition,
                        .input_count = 1,
                        .outputs = out,
                        .output_count = 1,
                        .attributes = bodies,
                        .attribute_count = 2};
    assert_ok(nnd_ir_add_node(g, &node));
    assert_ok(nnd_ir_add_output(g, "y", &x));
    return ir;
}

static float run_if(nnd_engine_model *model, bool c, float x)
{
    nnd_tensor ct, xt, out;
    nnd_engine_request *request;
    assert_ok(nnd_tensor_init(&ct, NND_BOOL, 0, NULL, &c));
    assert_ok(nnd_tensor_init(&xt, NND_F32, 0, NULL, &x));
    assert_ok(nnd_engine_request_create(model, &request));
    assert_ok(nnd_engine_request_bind_input(request, 0, &ct));
    assert_ok(nnd_engine_request_bind_input(request, 1, &xt));
    assert_ok(nnd_engine_request_run(request, 1, NULL));
    assert_ok(nnd_engine_request_output(request, 0, &out));
    float y = *(const float *)out.data;
    nnd_engine_request_destroy(request);
    return y;
}

static void bodies_see_outer_values(void **state)
{
    char path[700];
    nnd_engine_model *model, *loaded;
    (void)state;
    nnd_ir *ir = build_if();
    assert_ok(nnd_ir_check(ir));
    snprintf(path, sizeof(path), "%s/choice.nnd.json", scratch_folder());
    assert_ok(nnd_ir_save(ir, path));
    assert_ok(nnd_engine_model_load_ir(ir, NULL, &model));
    assert_ok(nnd_engine_model_load_file(path, NULL, &loaded));
    assert_true(run_if(model, true, 2) == 12 && run_if(loaded, true, 2) == 12);
    assert_true(run_if(model, false, 2) == -2 && run_if(loaded, false, 2) == -2);
    nnd_engine_model_unref(model);
    nnd_engine_model_unref(loaded);
    *strrchr(path, '/') = '\0';
    (void)nnd_port_dir_remove_tree(path);
}

static void a_body_belongs_to_one_node(void **state)
{
    nnd_ir *ir;
    nnd_ir_graph *body;
    (void)state;
    assert_ok(nnd_ir_create("g", 17, &ir));
    assert_ok(nnd_ir_add_body(nnd_ir_main(ir), "b", &body));
    nnd_ir_attribute twice[] = {NND_IR_GRAPH("then_branch", body),
                                NND_IR_GRAPH("else_branch", body)};
    assert_status(
        nnd_ir_add_node(nnd_ir_main(ir),
                        &(nnd_ir_node){.op = "If", .attributes = twice, .attribute_count = 2}),
        NND_E_FORMAT);
    nnd_ir_destroy(ir);
}

/* Everything without memory at every point: an error or a model, no leak, no crash. */
static nnd_status build_and_load(void)
{
    float w[4] = {1, 2, 3, 4};
    nnd_ir *ir;
    nnd_tensor t;
    nnd_engine_model *model;
    nnd_ir_type x = {.dtype = NND_F32, .rank = 2, .dims = {{2, NULL}, {2, NULL}}};
    const char *in[] = {"x", "w"}, *out[] = {"y"};
    nnd_ir_attribute attributes[] = {NND_IR_FLOAT("alpha", 2)};
    NND_TRY(nnd_ir_create("g", 17, &ir));
    nnd_ir_graph *g = nnd_ir_main(ir);
    /* Results are not looked at: the last call has to know. */
    (void)!nnd_tensor_init(&t, NND_F32, 2, (int64_t[]){2, 2}, w);
    (void)!nnd_ir_add_input(g, "x", &x);
    (void)!nnd_ir_add_constant(g, "w", &t);
    (void)!nnd_ir_add_node(g, &(nnd_ir_node){.op = "Gemm",
                                             .inputs = in,
                                             .input_count = 2,
                                             .outputs = out,
                                             .output_count = 1,
                                             .attributes = attributes,
                                             .attribute_count = 1});
    (void)!nnd_ir_add_output(g, "y", NULL);
    NND_TRY(nnd_engine_model_load_ir(ir, NULL, &model));
    nnd_engine_model_unref(model);
    return NND_OK;
}

static void memory_may_end_anywhere(void **state)
{
    (void)state;
    assert_ok(build_and_load());
    oom_begin();
    bool hit = true;
    for (long n = 0; hit; n++) {
        oom_fail_after(n);
        nnd_status status = build_and_load();
        hit = oom_hit();
        oom_never();
        nnd_error_clear();
        assert_int_equal(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
        assert_int_equal(oom_live_blocks(), 0);
    }
    oom_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_graph_by_hand_runs),       cmocka_unit_test(printing_shows_every_node),
        cmocka_unit_test(all_errors_come_together),   cmocka_unit_test(bodies_see_outer_values),
        cmocka_unit_test(a_body_belongs_to_one_node), cmocka_unit_test(memory_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
