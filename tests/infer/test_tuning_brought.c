/* Kernels of plug-ins next to the engine's own: `tune` takes whichever is faster, shape by shape,
   and every load of the model goes by that. */
#include "infer_support.h"

#include "infer/tuning.h"
#include "nndeploy/ir.h"

#include <math.h>
#include <stdatomic.h>

enum { WIDTH = 64 };
#define MILLISECOND INT64_C(1000000)
static char folder[256], tuning_file[512], model_file[512];
static float input[WIDTH];
static atomic_int slow_runs;

/* ---- kernels --------------------------------------------------------------------------------- */

static bool can(const nnd_operator_call *call)
{
    return call->inputs[0]->dtype == NND_F32;
}

static nnd_status negate(nnd_operator_call *call)
{
    const float *x = call->inputs[0]->data;
    float *y = call->outputs[0].data;
    for (int i = 0; i < WIDTH; i++)
        y[i] = -x[i];
    return NND_OK;
}

static nnd_status negate_slowly(nnd_operator_call *call)
{
    atomic_fetch_add(&slow_runs, 1);
    nnd_port_sleep(5 * MILLISECOND);
    return negate(call);
}

static nnd_status softmax_slowly(nnd_operator_call *call)
{
    const float *x = call->inputs[0]->data;
    float *y = call->outputs[0].data;
    double sum = 0;
    atomic_fetch_add(&slow_runs, 1);
    nnd_port_sleep(5 * MILLISECOND);
    for (int i = 0; i < WIDTH; i++)
        sum += exp((double)x[i]);
    for (int i = 0; i < WIDTH; i++)
        y[i] = (float)(exp((double)x[i]) / sum);
    return NND_OK;
}

#define KERNEL(op_, name_, priority_, run_)                                                        \
    {                                                                                              \
        .struct_size = sizeof(nnd_kernel), .domain = "", .op = op_, .name = name_, .since = 1,     \
        .priority = priority_, .supports = can, .run = run_                                        \
    }
static const nnd_kernel brought[] = {
    KERNEL("Neg", "test.neg, slow", 2, negate_slowly),
    KERNEL("Neg", "test.neg", 1, negate),
    KERNEL("Softmax", "test.softmax", 1, softmax_slowly),
};

/* ---- the model ------------------------------------------------------------------------------- */

/* y = -Softmax(x) */
static void write_model(void)
{
    const int64_t x[2] = {1, WIDTH};
    nnd_str graph = {0}, model = {0};
    ow_value(&graph, OW_INPUT, "x", OW_F32, 2, x, NULL);
    ow_node(&graph, "Softmax", "x", "s", NULL);
    ow_node(&graph, "Neg", "s", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 2, x, NULL);
    ow_model(&model, &graph, 13);
    put_file(model_file, model.data, model.size);
    nnd_str_free(&model);
}

static int begin(void **state)
{
    (void)state;
    make_folder(folder, sizeof folder);
    snprintf(tuning_file, sizeof tuning_file, "%s/tuning.json", folder);
    snprintf(model_file, sizeof model_file, "%s/m.onnx", folder);
    for (int i = 0; i < WIDTH; i++)
        input[i] = (float)(i % 7) / 4;
    write_model();
    for (size_t i = 0; i < NND_COUNT(brought); i++)
        assert_ok(nnd_kernel_register(&brought[i]));
    assert_ok(nnd_tuning_set_path(tuning_file));
    return nnd_sched_set_threads(2);
}

static int finish(void **state)
{
    (void)state;
    char command[320];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    nnd_tuning_set_path(NULL);
    return system(command);
}

static nnd_model *load(const char *backend, const char *config)
{
    nnd_model *model = NULL;
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    options.backend = backend;
    options.config = config;
    assert_ok(nnd_model_load(model_file, &options, &model));
    return model;
}

/* Runs once; slow kernels ran so many times. */
static void expect_slow_runs(nnd_model *model, int count)
{
    double sum = 0;
    nnd_request *request = NULL;
    nnd_value *x = tensor_of(2, (int64_t[]){1, WIDTH}, input), *y = NULL;
    for (int i = 0; i < WIDTH; i++)
        sum += exp((double)input[i]);
    assert_ok(nnd_request_create(model, NULL, &request));
    assert_ok(nnd_request_bind_input(request, "x", x));
    atomic_store(&slow_runs, 0);
    assert_ok(nnd_request_run(request, NULL));
    assert_int_equal(atomic_load(&slow_runs), count);
    assert_ok(nnd_request_output(request, "y", &y));
    for (int i = 0; i < WIDTH; i++)
        assert_float_equal(floats_of(y)[i], -(float)(exp((double)input[i]) / sum), 1e-6);
    nnd_value_unref(y);
    nnd_value_unref(x);
    nnd_request_destroy(request);
    nnd_model_unref(model);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_kernel_can_be_asked_for(void **state)
{
    (void)state;
    nnd_model *model = NULL;
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    expect_slow_runs(load("builtin", "kernels=own"), 2);
    expect_slow_runs(load("builtin", "kernels=test.neg"), 1);
    expect_slow_runs(load("builtin", "kernels=\"test.neg, slow\""), 2);
    expect_slow_runs(load("builtin", "kernels=engine"), 0);
    expect_slow_runs(load("builtin", "kernels=own plugin-kernels=off"), 0);
    options.backend = "builtin";
    options.config = "kernels=test.nag";
    assert_status(nnd_model_load(model_file, &options, &model), NND_E_INVALID_ARGUMENT);
    nnd_error *error = nnd_error_take();
    char *text = nnd_error_to_string(error);
    assert_non_null(strstr(text, "there is no kernel 'test.nag'"));
    nnd_free(text);
    nnd_error_destroy(error);
}

static void what_is_slower_is_left(void **state)
{
    (void)state;
    static const char *const names[] = {"x"}, *const backends[] = {"builtin"};
    nnd_tuning *tuning = NULL;
    nnd_value *x = tensor_of(2, (int64_t[]){1, WIDTH}, input);
    nnd_tune_options options = {.path = model_file,
                                .budget = 1500 * MILLISECOND,
                                .backends = backends,
                                .backend_count = 1,
                                .threads = (int[]){1},
                                .thread_count = 1,
                                .tolerance = 0.01,
                                .input_names = names,
                                .inputs = &x,
                                .input_count = 1};
    assert_ok(nnd_tuning_create(&tuning));
    assert_ok(nnd_tune_model(&options, tuning));
    nnd_tuning_entry *entry = &tuning->entries.items[0];
    assert_true(entry->has_kernels);
    assert_int_equal(entry->kernels.count, 2);
    for (size_t i = 0; i < entry->kernels.count; i++) {
        const nnd_tuning_kernel *k = &entry->kernels.items[i];
        bool neg = strcmp(k->op, "Neg") == 0;
        assert_string_equal(k->instead_of, neg ? "test.neg, slow" : "test.softmax");
        if (!neg || strcmp(k->kernel, "test.neg") != 0) assert_string_equal(k->kernel, "engine");
        assert_true(k->ms < k->instead_of_ms);
    }
    assert_ok(nnd_tuning_save(tuning, tuning_file));
    nnd_tuning_unref(tuning);
    nnd_value_unref(x);
    expect_slow_runs(load("builtin", NULL), 0);
    expect_slow_runs(load(NULL, NULL), 0);
    expect_slow_runs(load("builtin", "kernels=own"), 2);
    nnd_port_file_remove(tuning_file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_can_be_asked_for),
        cmocka_unit_test(what_is_slower_is_left),
    };
    return cmocka_run_group_tests(tests, begin, finish);
}
