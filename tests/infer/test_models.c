/* Loading models: from files and memory, choosing backends, options, files beside the model. */
#include "infer_support.h"

#include "infer/infer.h"

static char folder[256];

static int make_files(void **state)
{
    (void)state;
    static const float b[3] = {10, 20, 30};
    nnd_str add = add_model(), beside = external_model("weights.bin");
    make_folder(folder, sizeof folder);
    put_file(in_folder(folder, "add.onnx"), add.data, add.size);
    put_file(in_folder(folder, "ADD.ONNX"), add.data, add.size);
    put_file(in_folder(folder, "plain"), add.data, add.size);
    put_file(in_folder(folder, "add.unheard-of"), add.data, add.size);
    put_file(in_folder(folder, "half.onnx"), add.data, add.size / 2);
    put_file(in_folder(folder, "text.onnx"), "this is no model", 16);
    put_file(in_folder(folder, "empty.onnx"), "", 0);
    put_file(in_folder(folder, "beside.onnx"), beside.data, beside.size);
    put_file(in_folder(folder, "weights.bin"), b, sizeof b);
    nnd_str_free(&add);
    nnd_str_free(&beside);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    char command[320];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

/* Runs the model on 1, 1, 1 and compares. */
static void check_sum(nnd_model *model, float a, float b, float c)
{
    nnd_request *request = NULL;
    nnd_value *x = tensor_of(2, (int64_t[]){1, 3}, (float[]){1, 1, 1}), *y = NULL;
    assert_ok(nnd_request_create(model, NULL, &request));
    assert_ok(nnd_request_bind_input(request, "x", x));
    assert_ok(nnd_request_run(request, NULL));
    assert_ok(nnd_request_output(request, "y", &y));
    assert_float_equal(floats_of(y)[0], a, 0);
    assert_float_equal(floats_of(y)[1], b, 0);
    assert_float_equal(floats_of(y)[2], c, 0);
    nnd_value_unref(x);
    nnd_value_unref(y);
    nnd_request_destroy(request);
}

static void files_and_memory_give_the_same_model(void **state)
{
    (void)state;
    const char *names[] = {"add.onnx", "ADD.ONNX", "plain"};
    for (size_t i = 0; i < NND_COUNT(names); i++) {
        nnd_model *model = NULL;
        assert_ok(nnd_model_load(in_folder(folder, names[i]), NULL, &model));
        assert_string_equal(nnd_model_backend(model), "builtin");
        check_sum(model, 2, 3, 4);
        nnd_model_unref(model);
    }
    nnd_str bytes = add_model();
    nnd_model *model = load_bytes(&bytes);
    check_sum(model, 2, 3, 4);
    nnd_model *second = nnd_model_ref(model);
    nnd_model_unref(model);
    check_sum(second, 2, 3, 4); /* lives as long as somebody holds it */
    nnd_model_unref(second);
    nnd_model_unref(NULL);
    nnd_str_free(&bytes);
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    nnd_model *model = NULL;
    assert_fails(nnd_model_load(in_folder(folder, "none.onnx"), NULL, &model), NND_E_NOT_FOUND,
                 "none.onnx");
    assert_fails(nnd_model_load(in_folder(folder, "half.onnx"), NULL, &model), NND_E_FORMAT,
                 "half.onnx");
    assert_fails(nnd_model_load(in_folder(folder, "text.onnx"), NULL, &model), NND_E_FORMAT,
                 "text.onnx");
    assert_fails(nnd_model_load(in_folder(folder, "empty.onnx"), NULL, &model), NND_E_FORMAT,
                 "empty.onnx");
    assert_fails(nnd_model_load(in_folder(folder, "add.unheard-of"), NULL, &model),
                 NND_E_UNSUPPORTED, ".unheard-of", "nndeploy backends");
    assert_status(nnd_model_load(NULL, NULL, &model), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_model_load_memory(NULL, 0, NULL, &model), NND_E_INVALID_ARGUMENT);
    nnd_model_options wrong = NND_MODEL_OPTIONS_INIT;
    wrong.size = 3;
    assert_status(nnd_model_load(in_folder(folder, "add.onnx"), &wrong, &model),
                  NND_E_INVALID_ARGUMENT);
    assert_null(model);
}

/* Every prefix of a model is an error or a model, never a crash. */
static void every_truncation_is_survived(void **state)
{
    (void)state;
    nnd_str bytes = add_model();
    for (size_t n = 0; n < bytes.size; n++) {
        nnd_model *model = NULL;
        char *part = malloc(n + 1); /* of its own size, so that reading on is seen */
        memcpy(part, bytes.data, n);
        nnd_status status = nnd_model_load_memory(part, n, NULL, &model);
        if (status == NND_OK) nnd_model_unref(model);
        free(part);
    }
    nnd_str_free(&bytes);
}

static nnd_status load_with(const nnd_model_options *options)
{
    nnd_model *model = NULL;
    nnd_status status = nnd_model_load(in_folder(folder, "add.onnx"), options, &model);
    nnd_model_unref(model);
    return status;
}

static void options_are_checked(void **state)
{
    (void)state;
    nnd_model_options o = NND_MODEL_OPTIONS_INIT;
    o.backend = "auto";
    assert_ok(load_with(&o));
    o.backend = "builtin";
    assert_ok(load_with(&o));
    o.backend = "tensorflow";
    assert_fails(load_with(&o), NND_E_NOT_FOUND, "tensorflow", "builtin");
    o = (nnd_model_options)NND_MODEL_OPTIONS_INIT;
    o.device = "cuda:0";
    assert_fails(load_with(&o), NND_E_UNSUPPORTED, "cuda:0", "cpu");
    o.device = "cpu";
    o.precision = "int8";
    assert_fails(load_with(&o), NND_E_UNSUPPORTED, "int8");
    o.precision = "f32";
    assert_ok(load_with(&o));
    o.config = "pases=3";
    assert_fails(load_with(&o), NND_E_INVALID_ARGUMENT, "pases", "passes");
    o.config = "passes=many";
    assert_fails(load_with(&o), NND_E_INVALID_ARGUMENT, "passes", "many");
    o.config = "  separate-tensors=true   passes=0 ";
    assert_ok(load_with(&o));
    o.config = "arena=shared";
    assert_ok(load_with(&o));
    o.config = "arena=mine";
    assert_fails(load_with(&o), NND_E_INVALID_ARGUMENT, "arena", "shared");
}

/* A few bytes of a file may ask for any amount of memory; the host says how much there is. */
static void memory_has_the_limit_that_is_asked_for(void **state)
{
    static const char *const limits[] = {"memory-limit=1", "memory-limit=16"};
    int64_t sides[2] = {1024, 1024};
    const char *shape[] = {"shape"}, *zeros[] = {"zeros"}, *y[] = {"y"};
    nnd_tensor t;
    (void)state;
    assert_ok(nnd_tensor_init(&t, NND_I64, 1, (int64_t[]){2}, sides));
    for (size_t i = 0; i < NND_COUNT(limits); i++) {
        nnd_model_options o = NND_MODEL_OPTIONS_INIT;
        nnd_model *model = NULL;
        nnd_ir *ir = NULL;
        assert_ok(nnd_ir_create("large", 17, &ir));
        nnd_ir_graph *g = nnd_ir_main(ir);
        assert_ok(nnd_ir_add_constant(g, "shape", &t));
        assert_ok(nnd_ir_add_node(g, &(nnd_ir_node){.op = "ConstantOfShape",
                                                    .inputs = shape,
                                                    .input_count = 1,
                                                    .outputs = zeros,
                                                    .output_count = 1}));
        assert_ok(nnd_ir_add_node(
            g,
            &(nnd_ir_node){
                .op = "Exp", .inputs = zeros, .input_count = 1, .outputs = y, .output_count = 1}));
        assert_ok(nnd_ir_add_output(g, "y", NULL));
        o.config = limits[i];
        if (i == 0)
            assert_fails(nnd_model_from_ir(ir, &o, &model), NND_E_LIMIT, "ConstantOfShape",
                         "4194304 bytes");
        else
            assert_ok(nnd_model_from_ir(ir, &o, &model));
        nnd_model_unref(model);
    }
}

static void a_cancelled_load_stops(void **state)
{
    (void)state;
    nnd_model_options o = NND_MODEL_OPTIONS_INIT;
    assert_ok(nnd_cancel_create(NULL, &o.cancel));
    nnd_cancel_request(o.cancel);
    assert_fails(load_with(&o), NND_E_CANCELLED, "add.onnx");
    nnd_cancel_unref(o.cancel);
}

static void ports_tell_names_and_shapes(void **state)
{
    (void)state;
    nnd_str bytes = add_model();
    nnd_model *model = load_bytes(&bytes);
    assert_int_equal(nnd_model_input_count(model), 1);
    assert_int_equal(nnd_model_output_count(model), 1);
    assert_null(nnd_model_input(model, 1));
    assert_null(nnd_model_output(model, 1));
    const nnd_model_port *x = nnd_model_input(model, 0);
    assert_int_equal(x->size, sizeof *x);
    assert_string_equal(x->name, "x");
    assert_int_equal(x->kind, NND_PORT_TENSOR);
    assert_int_equal(x->dtype, NND_F32);
    assert_int_equal(x->rank, 2);
    assert_true(x->dims[0].value == -1 && strcmp(x->dims[0].symbol, "n") == 0);
    assert_true(x->dims[1].value == 3);
    assert_string_equal(nnd_model_output(model, 0)->name, "y");
    char text[64], narrow[6];
    assert_string_equal(nnd_model_port_describe(x, text, sizeof text), "f32[n,3]");
    assert_string_equal(nnd_model_port_describe(x, narrow, sizeof narrow), "f32[n");
    nnd_model_unref(model);
    nnd_str_free(&bytes);
}

static void inspect_is_one_object_of_json(void **state)
{
    (void)state;
    nnd_str bytes = add_model();
    nnd_model *model = load_bytes(&bytes);
    nnd_json_writer *w = NULL;
    nnd_json_doc *doc = NULL;
    char *text = NULL;
    size_t size = 0;
    assert_ok(nnd_json_writer_create(0, &w));
    assert_ok(nnd_model_inspect(model, w));
    assert_ok(nnd_json_writer_take(w, &text, &size));
    assert_ok(nnd_json_parse(text, size, "inspect", &doc));
    const nnd_json *root = nnd_json_root(doc);
    assert_int_equal(nnd_json_count(nnd_json_get(root, "inputs")), 1);
    assert_int_equal(nnd_json_count(nnd_json_get(root, "outputs")), 1);
    assert_non_null(nnd_json_get(root, "nodes"));
    nnd_json_destroy(doc);
    nnd_free(text);
    nnd_json_writer_destroy(w);
    nnd_model_unref(model);
    nnd_str_free(&bytes);
}

/* ---- files beside the model --------------------------------------------------------------- */

static void weights_beside_the_model_are_read(void **state)
{
    (void)state;
    nnd_model *model = NULL;
    assert_ok(nnd_model_load(in_folder(folder, "beside.onnx"), NULL, &model));
    check_sum(model, 11, 21, 31);
    nnd_model_unref(model);
}

static nnd_status load_external(const char *location)
{
    nnd_str bytes = external_model(location);
    nnd_model *model = NULL;
    put_file(in_folder(folder, "external.onnx"), bytes.data, bytes.size);
    nnd_str_free(&bytes);
    nnd_status status = nnd_model_load(in_folder(folder, "external.onnx"), NULL, &model);
    nnd_model_unref(model);
    return status;
}

static void weights_outside_of_the_folder_are_refused(void **state)
{
    (void)state;
    char outside[256], absolute[512];
    static const float b[3] = {1, 2, 3};
    make_folder(outside, sizeof outside);
    snprintf(absolute, sizeof absolute, "%s/secret.bin", outside);
    put_file(absolute, b, sizeof b);
    assert_int_equal(symlink(absolute, in_folder(folder, "link.bin")), 0);
    assert_int_equal(symlink(outside, in_folder(folder, "way")), 0);
    assert_int_equal(symlink("weights.bin", in_folder(folder, "inner.bin")), 0);
    assert_ok(load_external("inner.bin"));
    assert_ok(load_external("./weights.bin"));
    assert_fails(load_external("link.bin"), NND_E_PERMISSION, "link.bin", "outside");
    assert_fails(load_external("way/secret.bin"), NND_E_PERMISSION, "way/secret.bin");
    assert_fails(load_external("../secret.bin"), NND_E_PERMISSION, "../secret.bin");
    assert_fails(load_external(absolute), NND_E_PERMISSION, "secret.bin");
    assert_fails(load_external("gone.bin"), NND_E_MISSING, "gone.bin", "beside the model");
    assert_int_equal(remove(absolute) | rmdir(outside), 0);
}

typedef struct file_host {
    int opened, released;
    char name[64];
    nnd_status status;
} file_host;

static float hosted[3] = {100, 200, 300};

static void hosted_release(void *handle)
{
    ((file_host *)handle)->released++;
}

static nnd_status hosted_open(void *user, const char *name, const void **bytes, size_t *size,
                              void (**release)(void *handle), void **handle)
{
    file_host *host = user;
    host->opened++;
    snprintf(host->name, sizeof host->name, "%s", name);
    if (host->status != NND_OK)
        return nnd_error_set(host->status, "the host says no to '%s'", name);
    *bytes = hosted;
    *size = sizeof hosted;
    *release = hosted_release;
    *handle = host;
    return NND_OK;
}

static void a_host_may_bring_the_files(void **state)
{
    (void)state;
    nnd_str bytes = external_model("far.bin");
    nnd_model_options o = NND_MODEL_OPTIONS_INIT;
    file_host host = {0};
    nnd_model *model = NULL;
    assert_fails(nnd_model_load_memory(bytes.data, bytes.size, &o, &model), NND_E_PERMISSION,
                 "far.bin");
    o.open_file = hosted_open;
    o.open_user = &host;
    assert_ok(nnd_model_load_memory(bytes.data, bytes.size, &o, &model));
    assert_int_equal(host.opened, 1);
    assert_int_equal(host.released, 0);
    assert_string_equal(host.name, "far.bin");
    check_sum(model, 101, 201, 301);
    nnd_model_unref(model);
    assert_int_equal(host.released, 1);
    host.status = NND_E_IO;
    assert_fails(nnd_model_load_memory(bytes.data, bytes.size, &o, &model), NND_E_IO,
                 "the host says no");
    assert_int_equal(host.released, 1);
    nnd_str_free(&bytes);
}

/* ---- no memory ---------------------------------------------------------------------------- */

static void loading_survives_lack_of_memory(void **state)
{
    (void)state;
    nnd_model_unref(NULL);
    oom_begin();
    for (long n = 0;; n++) {
        nnd_model *model = NULL;
        oom_fail_after(n);
        nnd_status status = nnd_model_load(in_folder(folder, "beside.onnx"), NULL, &model);
        bool hit = oom_hit();
        oom_never();
        if (status == NND_OK)
            check_sum(model, 11, 21, 31);
        else
            assert_status(status, NND_E_OUT_OF_MEMORY);
        nnd_model_unref(model);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), 0);
        if (!hit) break;
    }
    oom_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_and_memory_give_the_same_model),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(every_truncation_is_survived),
        cmocka_unit_test(memory_has_the_limit_that_is_asked_for),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(a_cancelled_load_stops),
        cmocka_unit_test(ports_tell_names_and_shapes),
        cmocka_unit_test(inspect_is_one_object_of_json),
        cmocka_unit_test(weights_beside_the_model_are_read),
        cmocka_unit_test(weights_outside_of_the_folder_are_refused),
        cmocka_unit_test(a_host_may_bring_the_files),
        cmocka_unit_test(loading_survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
