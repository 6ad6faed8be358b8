/* What is particular to the onnxruntime backend: options, providers, threads, files, sequences,
   memory. What it shares with the others is the conformance suite's. Skipped without the library.
 */
#include "infer/conformance/foreign_code.h"
#include "infer_support.h"

#define skip_without_library()                                                                     \
    do {                                                                                           \
        nnd_backend_status probe_ = {.size = sizeof probe_};                                       \
        nnd_backend_find("onnxruntime")->probe(&probe_);                                           \
        if (!probe_.available) {                                                                   \
            fprintf(stderr, "skipped: %s\n", probe_.reason);                                       \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

static nnd_model_options with_config(const char *config)
{
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    options.backend = "onnxruntime";
    options.config = config;
    options.threads = 1;
    return options;
}

static nnd_status load_add(const nnd_model_options *options, nnd_model **model)
{
    nnd_str bytes = add_model();
    nnd_status status = nnd_model_load_memory(bytes.data, bytes.size, options, model);
    nnd_str_free(&bytes);
    return status;
}

/* One run of add_model: y = x + (1, 2, 3). */
static nnd_status run_add(nnd_model *model, nnd_value *x, nnd_value **y)
{
    nnd_request *request = NULL;
    *y = NULL;
    nnd_status status = nnd_request_create(model, NULL, &request);
    if (status == NND_OK) status = nnd_request_bind_input(request, "x", x);
    if (status == NND_OK) status = nnd_request_run(request, NULL);
    if (status == NND_OK) status = nnd_request_output(request, "y", y);
    nnd_request_destroy(request);
    return status;
}

static void assert_adds(nnd_model *model)
{
    nnd_value *x = tensor_of(2, (int64_t[]){1, 3}, (float[]){10, 20, 30}), *y;
    assert_ok(run_add(model, x, &y));
    assert_true(floats_of(y)[0] == 11 && floats_of(y)[1] == 22 && floats_of(y)[2] == 33);
    nnd_value_unref(x);
    nnd_value_unref(y);
}

static void says_what_it_is(void **state)
{
    nnd_backend_status probe = {.size = sizeof probe};
    (void)state;
    nnd_backend_find("onnxruntime")->probe(&probe);
    assert_string_equal(probe.name, "onnxruntime");
    if (!probe.available) {
        assert_true(strstr(probe.reason, "ONNXRUNTIME") || strstr(probe.reason, "onnxruntime"));
        return;
    }
    assert_true(strncmp(probe.version, "1.", 2) == 0);
    assert_non_null(strstr(probe.devices, "CPU"));
    assert_true(probe.library[0] != '\0');
}

static void takes_its_options(void **state)
{
    static const char *const configs[] = {
        "",
        "ep=cpu",
        "optimize=none  arena=off",
        "optimize=basic spin=off",
        "optimize=extended arena=on",
        "allocator=nndeploy",
        "allocator=nndeploy arena=off",
    };
    (void)state;
    skip_without_library();
    for (size_t i = 0; i < NND_COUNT(configs); i++) {
        nnd_model_options options = with_config(configs[i]);
        nnd_model *model;
        assert_ok(load_add(&options, &model));
        assert_string_equal(nnd_model_backend(model), "onnxruntime");
        assert_adds(model);
        nnd_model_unref(model);
    }
}

static void refuses_wrong_options(void **state)
{
    nnd_model *model = NULL;
    nnd_model_options options = with_config("optimise=all");
    (void)state;
    skip_without_library();
    assert_fails(load_add(&options, &model), NND_E_INVALID_ARGUMENT, "optimise", "optimize");
    options.config = "ep=abacus";
    assert_fails(load_add(&options, &model), NND_E_INVALID_ARGUMENT, "abacus", "cuda");
    options.config = "ep-options=\"nonsense\"";
    assert_fails(load_add(&options, &model), NND_E_INVALID_ARGUMENT, "nonsense", "key:value");
    options.config = NULL;
    options.precision = "f16";
    assert_fails(load_add(&options, &model), NND_E_UNSUPPORTED, "f16");
    options.precision = NULL;
    options.device = "abacus";
    assert_fails(load_add(&options, &model), NND_E_UNSUPPORTED, "abacus");
    assert_null(model);
}

/* A provider that is not in the library is refused with the list of those that are; one that is
   listed but cannot start (no driver, no device) with the library's own words. */
static void refuses_absent_providers(void **state)
{
    static const char *const configs[] = {"ep=cuda", "ep=tensorrt", "ep=coreml", "ep=nnapi",
                                          "ep=qnn"};
    nnd_backend_status probe = {.size = sizeof probe};
    (void)state;
    skip_without_library();
    nnd_backend_find("onnxruntime")->probe(&probe);
    for (size_t i = 0; i < NND_COUNT(configs); i++) {
        nnd_model_options options = with_config(configs[i]);
        nnd_model *model = NULL;
        nnd_status status = load_add(&options, &model);
        if (status == NND_OK) assert_adds(model); /* this machine has it */
        nnd_model_unref(model);
        if (status == NND_OK) continue;
        nnd_error *error = nnd_error_take();
        assert_non_null(error);
        if (strcmp(probe.devices, "CPU") == 0) assert_int_equal(status, NND_E_UNSUPPORTED);
        if (status == NND_E_UNSUPPORTED)
            assert_non_null(strstr(nnd_error_message(error), "CPUExecutionProvider"));
        nnd_error_destroy(error);
    }
}

static void charges_its_threads(void **state)
{
    nnd_model_options options = with_config(NULL);
    nnd_sched_stats before, during, after;
    nnd_model *model;
    (void)state;
    skip_without_library();
    options.threads = 3;
    nnd_sched_get_stats(&before);
    assert_ok(load_add(&options, &model));
    nnd_sched_get_stats(&during);
    assert_adds(model);
    nnd_model_unref(model);
    nnd_sched_get_stats(&after);
    assert_int_equal(during.charged, before.charged + 2); /* the caller is the third */
    assert_int_equal(after.charged, before.charged);
}

static void reads_files_beside_the_model(void **state)
{
    const float weights[3] = {1, 2, 3};
    char folder[512];
    nnd_model_options options = with_config(NULL);
    nnd_model *model = NULL;
    (void)state;
    skip_without_library();
    make_folder(folder, sizeof folder);
    const char *path = in_folder(folder, "model.onnx"), *data = in_folder(folder, "b.bin");
    nnd_str inside = external_model("b.bin"), outside = external_model("../b.bin");
    put_file(path, inside.data, inside.size);
    assert_fails(nnd_model_load(path, &options, &model), NND_E_MISSING, "b.bin");
    put_file(data, weights, sizeof weights);
    assert_ok(nnd_model_load(path, &options, &model));
    assert_adds(model);
    nnd_model_unref(model);
    model = NULL;
    put_file(path, outside.data, outside.size);
    nnd_status status = nnd_model_load(path, &options, &model);
    assert_true(status == NND_E_PERMISSION || status == NND_E_MISSING);
    nnd_error_clear();
    nnd_str_free(&inside);
    nnd_str_free(&outside);
    assert_int_equal(nnd_port_dir_remove_tree(folder), 0);
}

/* A value of type sequence(tensor(f32)): message 4 of TypeProto. */
static void sequence_value(nnd_str *graph, uint32_t field, const char *name)
{
    nnd_str info = {0}, type = {0}, sequence = {0}, element = {0}, tensor = {0};
    ow_int(&tensor, 1, OW_F32);
    ow_message(&element, 1, &tensor);
    ow_message(&sequence, 1, &element);
    ow_message(&type, 4, &sequence);
    ow_text(&info, 1, name);
    ow_message(&info, 2, &type);
    ow_message(graph, field, &info);
}

static void handles_sequences(void **state)
{
    nnd_str graph = {0}, attrs = {0}, bytes = {0};
    nnd_model_options options = with_config(NULL);
    nnd_model *model;
    nnd_request *request;
    nnd_value *list, *back;
    (void)state;
    skip_without_library();
    /* s → one tensor → pieces again */
    sequence_value(&graph, OW_INPUT, "s");
    ow_attr_int(&attrs, "axis", 0);
    ow_node(&graph, "ConcatFromSequence", "s", "t", &attrs);
    ow_attr_int(&attrs, "keepdims", 1);
    ow_node(&graph, "SplitToSequence", "t", "r", &attrs);
    sequence_value(&graph, OW_OUTPUT, "r");
    ow_model(&bytes, &graph, 13);
    assert_ok(nnd_model_load_memory(bytes.data, bytes.size, &options, &model));
    assert_int_equal(nnd_model_input(model, 0)->kind, NND_PORT_SEQUENCE);
    assert_ok(nnd_request_create(model, NULL, &request));
    nnd_value *items[2] = {tensor_of(1, (int64_t[]){2}, (float[]){1, 2}),
                           tensor_of(1, (int64_t[]){1}, (float[]){3})};
    assert_ok(nnd_value_new_list(items, 2, &list));
    assert_ok(nnd_request_bind_input(request, "s", list));
    assert_ok(nnd_request_run(request, NULL));
    assert_ok(nnd_request_output(request, "r", &back));
    nnd_request_destroy(request);
    nnd_model_unref(model);
    assert_int_equal(nnd_value_list_count(back), 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(floats_of(nnd_value_list_at(back, i))[0] == (float)(i + 1));
    nnd_value_unref(items[0]);
    nnd_value_unref(items[1]);
    nnd_value_unref(list);
    nnd_value_unref(back);
    nnd_str_free(&bytes);
}

static void keeps_results_of_unloaded_models(void **state)
{
    nnd_model_options options = with_config("arena=off");
    nnd_model *model;
    nnd_value *x = tensor_of(2, (int64_t[]){1, 3}, (float[]){1, 1, 1}), *y;
    (void)state;
    if (!nnd_backend_find("onnxruntime")) fail();
    if (load_add(&options, &model) == NND_E_MISSING) {
        nnd_error_clear();
        nnd_value_unref(x);
        skip();
    }
    assert_ok(run_add(model, x, &y));
    nnd_model_unref(model);
    assert_true(floats_of(y)[2] == 4);
    nnd_value_unref(y);
    nnd_value_unref(x);
}

static size_t logged;

static void count_line(void *user, nnd_log_level level, const char *room, const char *line)
{
    (void)user, (void)level, (void)room, (void)line;
    logged++;
}

static void is_quiet(void **state)
{
    nnd_str graph = {0}, bytes = {0};
    nnd_model_options options = with_config(NULL);
    nnd_model *model = NULL;
    const int64_t dims[1] = {1};
    (void)state;
    skip_without_library();
    ow_value(&graph, OW_INPUT, "x", OW_F32, 1, dims, NULL);
    ow_node(&graph, "Abacus", "x", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 1, dims, NULL);
    ow_model(&bytes, &graph, 13);
    nnd_log_set_sink(count_line, NULL);
    logged = 0;
    assert_fails(nnd_model_load_memory(bytes.data, bytes.size, &options, &model), NND_E_UNSUPPORTED,
                 "Abacus");
    assert_int_equal(logged, 0);
    nnd_log_set_sink(NULL, NULL);
    nnd_str_free(&bytes);
}

/* Every one of our allocations fails once, loading and running: an error or a result, no leak. */
static void survives_lack_of_memory(void **state)
{
    (void)state;
    skip_without_library();
    oom_begin();
    nnd_str bytes = add_model();
    nnd_value *x = tensor_of(2, (int64_t[]){1, 3}, (float[]){1, 1, 1});
    nnd_error_clear();
    long blocks = oom_live_blocks();
    for (long n = 0;; n++) {
        nnd_model_options options = with_config(NULL);
        nnd_model *model = NULL;
        nnd_value *y = NULL;
        oom_fail_after(n);
        nnd_status status = nnd_model_load_memory(bytes.data, bytes.size, &options, &model);
        if (status == NND_OK) status = run_add(model, x, &y);
        bool hit = oom_hit();
        oom_never();
        if (status == NND_OK) assert_true(floats_of(y)[1] == 3);
        nnd_value_unref(y);
        nnd_model_unref(model);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), blocks);
        if (!hit) {
            assert_int_equal(status, NND_OK);
            break;
        }
        assert_true(status == NND_OK || status == NND_E_OUT_OF_MEMORY || status == NND_E_BACKEND);
    }
    nnd_value_unref(x);
    nnd_str_free(&bytes);
    oom_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_it_is),
        cmocka_unit_test(takes_its_options),
        cmocka_unit_test(refuses_wrong_options),
        cmocka_unit_test(refuses_absent_providers),
        cmocka_unit_test(charges_its_threads),
        cmocka_unit_test(reads_files_beside_the_model),
        cmocka_unit_test(handles_sequences),
        cmocka_unit_test(keeps_results_of_unloaded_models),
        cmocka_unit_test(is_quiet),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
