/*
 * The plug-in opencv-dnn beyond the conformance suite: what it says of itself, its options, the
 * words of its errors, its threads, its profile, lack of memory. Skipped where it was not built.
 */
#include "infer_support.h"
#include "nndeploy/nodes.h"

static void skip_without_plugin(void)
{
    if (nnd_backend_find("opencv-dnn")) return;
    fprintf(stderr, "skipped: the plug-in opencv-dnn was not built (libopencv-dnn-dev)\n");
    skip();
}

static int load_plugin(void **state)
{
    (void)state;
#ifdef NND_TEST_OPENCV_DNN
    assert_ok(nnd_nodes_load_plugin(nnd_nodes_registry(), NND_TEST_OPENCV_DNN));
    assert_non_null(nnd_backend_find("opencv-dnn"));
#endif
    return 0;
}

static nnd_model_options on_opencv(const char *config)
{
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    options.backend = "opencv-dnn";
    options.config = config;
    return options;
}

static nnd_model *load_on_opencv(nnd_str *bytes)
{
    nnd_model_options options = on_opencv(NULL);
    nnd_model *model = NULL;
    assert_ok(nnd_model_load_memory(bytes->data, bytes->size, &options, &model));
    return model;
}

/* ---- itself ------------------------------------------------------------------------------- */

static void says_what_it_is(void **state)
{
    (void)state;
    skip_without_plugin();
    nnd_backend_status status = {.size = sizeof status};
    nnd_backend_find("opencv-dnn")->probe(&status);
    assert_true(status.available);
    assert_int_equal(status.version[0], '4');
    assert_int_equal(strncmp(status.devices, "cpu", 3), 0);
}

static void options_are_checked(void **state)
{
    (void)state;
    skip_without_plugin();
    nnd_str bytes = add_model();
    nnd_model *model = NULL;
    nnd_model_options options = on_opencv("fusion=off");
    assert_ok(nnd_model_load_memory(bytes.data, bytes.size, &options, &model));
    nnd_model_unref(model);
    options.config = "fusion=maybe";
    assert_fails(nnd_model_load_memory(bytes.data, bytes.size, &options, &model),
                 NND_E_INVALID_ARGUMENT, "fusion", "maybe");
    options.config = "fusion=on speed=1";
    assert_fails(nnd_model_load_memory(bytes.data, bytes.size, &options, &model),
                 NND_E_INVALID_ARGUMENT, "speed=1", "fusion=on|off");
    options = on_opencv(NULL);
    options.device = "abacus";
    assert_fails(nnd_model_load_memory(bytes.data, bytes.size, &options, &model), NND_E_UNSUPPORTED,
                 "abacus", "cpu");
    options.device = "cpu";
    options.precision = "f16";
    assert_fails(nnd_model_load_memory(bytes.data, bytes.size, &options, &model), NND_E_UNSUPPORTED,
                 "f16", "opencl");
    options.precision = "f32";
    assert_ok(nnd_model_load_memory(bytes.data, bytes.size, &options, &model));
    nnd_model_unref(model);
    nnd_str_free(&bytes);
}

/* The user gets OpenCV's own words, the model's name and nothing on standard error. */
static void errors_hold_the_words_of_opencv(void **state)
{
    (void)state;
    skip_without_plugin();
    nnd_str graph = {0}, bytes = {0};
    nnd_model_options options = on_opencv(NULL);
    nnd_model *model = NULL;
    ow_value(&graph, OW_INPUT, "x", OW_F32, 2, (int64_t[]){1, 3}, NULL);
    ow_node(&graph, "Abacus", "x", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 2, (int64_t[]){1, 3}, NULL);
    ow_model(&bytes, &graph, 13);
    assert_fails(nnd_model_load_memory(bytes.data, bytes.size, &options, &model), NND_E_UNSUPPORTED,
                 "model in memory", "Abacus", "OpenCV(4");
    nnd_str_free(&bytes);
}

/* ---- requests ----------------------------------------------------------------------------- */

static float second_of(nnd_request *r, nnd_value *x)
{
    nnd_value *y = NULL;
    assert_ok(nnd_request_bind_input(r, "x", x));
    assert_ok(nnd_request_run(r, NULL));
    assert_ok(nnd_request_output(r, "y", &y));
    float second = floats_of(y)[1];
    nnd_value_unref(y);
    return second;
}

static void requests_are_independent(void **state)
{
    (void)state;
    skip_without_plugin();
    enum { COUNT = 3 };
    nnd_request *requests[COUNT];
    nnd_str bytes = add_model();
    nnd_model *model = load_on_opencv(&bytes);
    nnd_value *one = tensor_of(2, (int64_t[]){1, 3}, (float[]){1, 1, 1});
    nnd_value *two = tensor_of(2, (int64_t[]){2, 3}, (float[]){5, 5, 5, 5, 5, 5});
    for (int i = 0; i < COUNT; i++)
        assert_ok(nnd_request_create(model, NULL, &requests[i]));
    for (int i = 0; i < COUNT; i++) {
        assert_true(second_of(requests[i], i & 1 ? one : two) == (i & 1 ? 3 : 7));
        assert_true(second_of(requests[0], one) == 3);
    }
    for (int i = 0; i < COUNT; i++)
        nnd_request_destroy(requests[i]);
    nnd_value_unref(one);
    nnd_value_unref(two);
    nnd_model_unref(model);
    nnd_str_free(&bytes);
}

/* What was left in the middle of a run does not disturb the next one. */
static void a_stopped_request_runs_again(void **state)
{
    (void)state;
    skip_without_plugin();
    nnd_str bytes = long_model();
    nnd_model *model = load_on_opencv(&bytes);
    nnd_request *r = NULL;
    nnd_value *x = NULL, *y = NULL;
    nnd_cancel *token = NULL;
    assert_ok(nnd_request_create(model, NULL, &r));
    assert_ok(nnd_value_new_tensor(NND_F32, 4, (int64_t[]){1, 64, 256, 256}, &x));
    memset(nnd_value_tensor(x)->data, 0, nnd_tensor_bytes(nnd_value_tensor(x)));
    assert_ok(nnd_request_bind_input(r, "x", x));
    for (int64_t ms = 1; ms <= 16; ms *= 4) {
        assert_ok(nnd_cancel_create(NULL, &token));
        nnd_cancel_set_deadline(token, nnd_clock_now() + ms * 1000000);
        assert_fails(nnd_request_run(r, token), NND_E_TIMEOUT, "model in memory");
        nnd_cancel_unref(token);
    }
    assert_ok(nnd_request_run(r, NULL));
    assert_ok(nnd_request_output(r, "y", &y));
    for (int64_t i = 0; i < nnd_tensor_count(nnd_value_tensor(y)); i += 999)
        assert_true(floats_of(y)[i] == 0);
    nnd_value_unref(x);
    nnd_value_unref(y);
    nnd_request_destroy(r);
    nnd_model_unref(model);
    nnd_str_free(&bytes);
}

static void a_profile_names_the_layers(void **state)
{
    (void)state;
    skip_without_plugin();
    nnd_str bytes = add_model();
    nnd_model *model = load_on_opencv(&bytes);
    nnd_request *r = NULL;
    nnd_json_writer *w = NULL;
    nnd_json_doc *doc = NULL;
    nnd_value *x = tensor_of(2, (int64_t[]){1, 3}, (float[]){1, 1, 1});
    char *text = NULL;
    assert_ok(nnd_request_create(model, NULL, &r));
    assert_true(second_of(r, x) == 3);
    assert_ok(nnd_json_writer_create(0, &w));
    assert_ok(nnd_request_profile(r, w));
    assert_ok(nnd_json_writer_take(w, &text, NULL));
    assert_ok(nnd_json_parse(text, strlen(text), "profile", &doc));
    const nnd_json *first = nnd_json_at(nnd_json_root(doc), 0);
    assert_non_null(first);
    assert_non_null(nnd_json_string(nnd_json_get(first, "op"), NULL));
    assert_true(nnd_json_number(nnd_json_get(first, "ms"), -1) >= 0);
    nnd_json_destroy(doc);
    nnd_free(text);
    nnd_json_writer_destroy(w);
    nnd_value_unref(x);
    nnd_request_destroy(r);
    nnd_model_unref(model);
    nnd_str_free(&bytes);
}

/* Every one of our allocations fails once, loading and running: an error or a result, no leak. */
static void survives_lack_of_memory(void **state)
{
    (void)state;
    skip_without_plugin();
    oom_begin();
    nnd_str bytes = add_model();
    nnd_value *x = tensor_of(2, (int64_t[]){1, 3}, (float[]){1, 1, 1});
    nnd_error_clear();
    long blocks = oom_live_blocks();
    bool hit = true;
    for (long n = 0; hit; n++) {
        nnd_model_options options = on_opencv(NULL);
        nnd_model *model = NULL;
        nnd_request *r = NULL;
        oom_fail_after(n);
        nnd_status status = nnd_model_load_memory(bytes.data, bytes.size, &options, &model);
        if (status == NND_OK) status = nnd_request_create(model, NULL, &r);
        if (status == NND_OK) status = nnd_request_bind_input(r, "x", x);
        if (status == NND_OK) status = nnd_request_run(r, NULL);
        hit = oom_hit();
        oom_never();
        assert_int_equal(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
        nnd_request_destroy(r);
        nnd_model_unref(model);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), blocks);
    }
    nnd_value_unref(x);
    nnd_str_free(&bytes);
    oom_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_it_is),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(errors_hold_the_words_of_opencv),
        cmocka_unit_test(requests_are_independent),
        cmocka_unit_test(a_stopped_request_runs_again),
        cmocka_unit_test(a_profile_names_the_layers),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, load_plugin, NULL);
}
