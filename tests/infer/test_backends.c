/* Backends from outside: a small one that the test registers, and tables that are refused. */
#include "infer_support.h"

/* "plus": adds the numbers of input a and, when it is given, of b; files end in .plus. */

static bool plus_is_here = true;
static int plus_models, plus_requests;
static const char *plus_config;

static void plus_probe(nnd_backend_status *status)
{
    status->name = "plus";
    status->available = plus_is_here;
    snprintf(status->version, sizeof status->version, "2.1");
    snprintf(status->devices, sizeof status->devices, "cpu");
    if (!plus_is_here)
        snprintf(status->reason, sizeof status->reason, "libplus.so is not installed; try apt");
}

static nnd_status plus_load(const void *bytes, size_t size, const char *path,
                            const nnd_model_options *options, void **model)
{
    (void)path;
    if (size < 4 || memcmp(bytes, "plus", 4) != 0)
        return nnd_error_set(NND_E_FORMAT, "no plus file");
    plus_config = options->config;
    plus_models++;
    *model = &plus_models;
    return NND_OK;
}

static void plus_unload(void *model)
{
    (void)model;
    plus_models--;
}

static size_t plus_port_count(const void *model, bool outputs)
{
    (void)model;
    return outputs ? 1 : 2;
}

static const nnd_model_port *plus_port(const void *model, bool outputs, size_t index)
{
    static const nnd_model_port ports[3] = {
        {sizeof(nnd_model_port),
         "a",
         NND_PORT_TENSOR,
         false,
         NND_F32,
         0,
         {{0, NULL}},
         NND_PORT_TENSOR,
         NND_DTYPE_INVALID},
        {sizeof(nnd_model_port),
         "b",
         NND_PORT_TENSOR,
         true,
         NND_F32,
         1,
         {{-1, NULL}},
         NND_PORT_TENSOR,
         NND_DTYPE_INVALID},
        {sizeof(nnd_model_port),
         "sum",
         NND_PORT_TENSOR,
         false,
         NND_F32,
         1,
         {{1, NULL}},
         NND_PORT_TENSOR,
         NND_DTYPE_INVALID},
    };
    (void)model;
    return &ports[outputs ? 2 : index];
}

static nnd_status plus_open(void *model, const nnd_request_options *options, void **request)
{
    (void)model;
    (void)options;
    plus_requests++;
    *request = &plus_requests;
    return NND_OK;
}

static void plus_close(void *request)
{
    (void)request;
    plus_requests--;
}

static nnd_status plus_run(void *request, nnd_value *const *inputs, nnd_value **outputs,
                           nnd_cancel *cancel)
{
    (void)request;
    (void)cancel;
    float sum = floats_of(inputs[0])[0];
    for (int64_t i = 0; inputs[1] && i < nnd_tensor_count(nnd_value_tensor(inputs[1])); i++)
        sum += floats_of(inputs[1])[i];
    if (!outputs[0]) NND_TRY(nnd_value_new_tensor(NND_F32, 1, (int64_t[]){1}, &outputs[0]));
    ((float *)nnd_value_tensor(outputs[0])->data)[0] = sum;
    return NND_OK;
}

static const nnd_backend plus = {
    .struct_size = sizeof(nnd_backend),
    .name = "plus",
    .formats = "add plus",
    .probe = plus_probe,
    .load = plus_load,
    .unload = plus_unload,
    .port_count = plus_port_count,
    .port = plus_port,
    .open = plus_open,
    .close = plus_close,
    .run = plus_run,
};

static int add_plus(void **state)
{
    (void)state;
    return nnd_backend_register(&plus);
}

static void the_list_has_both(void **state)
{
    (void)state;
    size_t count = nnd_backend_count();
    assert_true(count >= 2);
    assert_string_equal(nnd_backend_at(0)->name, "builtin");
    assert_ptr_equal(nnd_backend_at(count - 1), &plus); /* behind those that are inside */
    assert_null(nnd_backend_at(count));
    assert_ptr_equal(nnd_backend_find("plus"), &plus);
    assert_null(nnd_backend_find("minus"));
    assert_null(nnd_backend_find(NULL));
    assert_fails(nnd_backend_register(&plus), NND_E_EXISTS, "plus");
    nnd_backend_status builtin = {.size = sizeof builtin};
    nnd_backend_at(0)->probe(&builtin);
    assert_true(builtin.available);
    assert_true(builtin.version[0] != '\0');
    assert_string_equal(builtin.devices, "cpu");
}

static void incomplete_tables_are_refused(void **state)
{
    (void)state;
    size_t count = nnd_backend_count();
    assert_status(nnd_backend_register(NULL), NND_E_INVALID_ARGUMENT);
    for (int what = 0; what < 12; what++) {
        nnd_backend b = plus;
        b.name = "broken";
        switch (what) {
        case 0:
            b.struct_size = 8;
            break;
        case 1:
            b.name = NULL;
            break;
        case 2:
            b.formats = NULL;
            break;
        case 3:
            b.probe = NULL;
            break;
        case 4:
            b.load = NULL;
            break;
        case 5:
            b.unload = NULL;
            break;
        case 6:
            b.port_count = NULL;
            break;
        case 7:
            b.port = NULL;
            break;
        case 8:
            b.open = NULL;
            break;
        case 9:
            b.close = NULL;
            break;
        case 10:
            b.run = NULL;
            break;
        default:
            b.struct_size = 0;
            break;
        }
        assert_fails(nnd_backend_register(&b), NND_E_INVALID_ARGUMENT, "incomplete");
    }
    assert_int_equal(nnd_backend_count(), count);
}

static nnd_model *load_plus(const char *path)
{
    nnd_model_options o = NND_MODEL_OPTIONS_INIT;
    nnd_model *model = NULL;
    o.config = "key=1";
    assert_ok(nnd_model_load(path, &o, &model));
    assert_string_equal(nnd_model_backend(model), "plus");
    assert_string_equal(plus_config, "key=1");
    return model;
}

static void auto_goes_by_the_suffix(void **state)
{
    (void)state;
    char folder[256];
    make_folder(folder, sizeof folder);
    const char *path = in_folder(folder, "model.plus"), *foreign = in_folder(folder, "model.add");
    put_file(path, "plus", 4);
    put_file(foreign, "what", 4);
    nnd_model *model = load_plus(path);
    nnd_model_unref(model);
    assert_int_equal(plus_models, 0);
    assert_fails(nnd_model_load(foreign, NULL, &model), NND_E_FORMAT, "no plus file");
    plus_is_here = false;
    assert_fails(nnd_model_load(path, NULL, &model), NND_E_UNSUPPORTED, ".plus");
    nnd_model_options o = NND_MODEL_OPTIONS_INIT;
    o.backend = "plus";
    assert_fails(nnd_model_load(path, &o, &model), NND_E_MISSING, "plus", "libplus.so", "apt");
    o.backend = "times";
    assert_fails(nnd_model_load(path, &o, &model), NND_E_NOT_FOUND, "builtin", "plus");
    plus_is_here = true;
    assert_int_equal(remove(path) | remove(foreign) | rmdir(folder), 0);
}

/* The model's option and the one in `config` say the same. */
static void the_engine_offers_bf16(void **state)
{
    (void)state;
    nnd_str bytes = add_model();
    const char *const good[][2] = {{"bf16", ""}, {"f32", "precision=bf16"}, {"", "precision=bf16"}};
    nnd_model *model = NULL;
    nnd_model_options o = NND_MODEL_OPTIONS_INIT;
    o.backend = "builtin";
    for (size_t i = 0; i < NND_COUNT(good); i++) {
        o.precision = good[i][0];
        o.config = good[i][1];
        assert_ok(nnd_model_load_memory(bytes.data, bytes.size, &o, &model));
        nnd_model_unref(model);
    }
    o.precision = "f16";
    assert_fails(nnd_model_load_memory(bytes.data, bytes.size, &o, &model), NND_E_UNSUPPORTED,
                 "bf16", "'f16'");
    o.precision = "";
    o.config = "precision=f16";
    assert_fails(nnd_model_load_memory(bytes.data, bytes.size, &o, &model), NND_E_INVALID_ARGUMENT,
                 "f32", "bf16");
    /* By choice only: tune does not trade digits for speed in the default backend. */
    assert_string_equal(nnd_backend_precisions(nnd_backend_at(0)), "");
    nnd_str_free(&bytes);
}

static nnd_model *plus_from_memory(void)
{
    nnd_model_options o = NND_MODEL_OPTIONS_INIT;
    nnd_model *model = NULL;
    o.backend = "plus";
    assert_ok(nnd_model_load_memory("plus", 4, &o, &model));
    return model;
}

static void optional_inputs_may_be_missing(void **state)
{
    (void)state;
    nnd_model *model = plus_from_memory();
    nnd_request *r = NULL;
    nnd_value *a = tensor_of(1, (int64_t[]){1}, (float[]){5}), *sum = NULL;
    nnd_value *b = tensor_of(1, (int64_t[]){2}, (float[]){10, 20});
    assert_ok(nnd_request_create(model, NULL, &r));
    nnd_model_unref(model); /* the request holds it */
    assert_fails(nnd_request_run(r, NULL), NND_E_INVALID_ARGUMENT, "'a'");
    assert_fails(nnd_request_bind_input(r, "a", b), NND_E_SHAPE, "f32[]", "f32[2]");
    assert_ok(nnd_request_bind_input(r, "a", a)); /* one element is as good as a scalar */
    assert_ok(nnd_request_run(r, NULL));
    assert_ok(nnd_request_output(r, "sum", &sum));
    assert_float_equal(floats_of(sum)[0], 5, 0);
    nnd_value_unref(sum);
    assert_ok(nnd_request_bind_input(r, "b", b));
    assert_ok(nnd_request_run(r, NULL));
    assert_ok(nnd_request_output(r, "sum", &sum));
    assert_float_equal(floats_of(sum)[0], 35, 0);
    nnd_value_unref(sum);
    assert_ok(nnd_request_bind_input(r, "b", NULL));
    assert_ok(nnd_request_run(r, NULL));
    assert_ok(nnd_request_output(r, "sum", &sum));
    assert_float_equal(floats_of(sum)[0], 5, 0);
    nnd_value_unref(sum);
    nnd_value_unref(a);
    nnd_value_unref(b);
    assert_int_equal(plus_models, 1);
    assert_int_equal(plus_requests, 1);
    nnd_request_destroy(r);
    assert_int_equal(plus_models, 0);
    assert_int_equal(plus_requests, 0);
}

/* What a backend does not offer has an answer all the same. */
static void inspect_and_profile_without_callbacks(void **state)
{
    (void)state;
    nnd_model *model = plus_from_memory();
    nnd_request *r = NULL;
    nnd_json_writer *w = NULL;
    char *text = NULL;
    assert_ok(nnd_json_writer_create(0, &w));
    assert_ok(nnd_model_inspect(model, w));
    assert_ok(nnd_json_writer_take(w, &text, NULL));
    assert_string_equal(text,
                        "{\"inputs\":[{\"name\":\"a\",\"type\":\"f32[]\"},{\"name\":\"b\",\"type\":"
                        "\"f32[?]\"}],\"outputs\":[{\"name\":\"sum\",\"type\":\"f32[1]\"}]}");
    nnd_free(text);
    assert_ok(nnd_request_create(model, NULL, &r));
    assert_fails(nnd_request_profile(r, w), NND_E_UNSUPPORTED, "plus");
    nnd_json_writer_destroy(w);
    nnd_request_destroy(r);
    nnd_model_unref(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_has_both),
        cmocka_unit_test(incomplete_tables_are_refused),
        cmocka_unit_test(auto_goes_by_the_suffix),
        cmocka_unit_test(the_engine_offers_bf16),
        cmocka_unit_test(optional_inputs_may_be_missing),
        cmocka_unit_test(inspect_and_profile_without_callbacks),
    };
    return cmocka_run_group_tests(tests, add_plus, NULL);
}
