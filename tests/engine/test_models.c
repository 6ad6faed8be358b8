/* Real models against outputs that another runtime computed. */
#include "base/isa.h"
#include "engine_support.h"
#include "nndeploy/sched.h"

/* The others have their turn in the full run, and once below. */
#ifdef NND_TEST_LITE
static const char *const required[] = {"mnist_cnn", "dtln_1"};
#else
static const char *const required[] = {"mnist_cnn",       "ultraface_rfb320", "yunet_n_320",
                                       "yunet_n_dynamic", "yolox_nano",       "mobilenet_v2_qdq"};
#endif

typedef enum verdict { PASSES, FAILS, DOES_NOT_LOAD, NO_REFERENCE } verdict;

/* The quantisation step of an output whose values are multiples of one: the smallest difference
   between two values that differ; 0 for outputs of other models. */
static double quantisation_step(const char *name, const nnd_tensor *t)
{
    double step = 0;
    if (!strstr(name, "qdq") || t->dtype != NND_F32) return 0;
    const float *v = t->data;
    for (int64_t i = 1; i < nnd_tensor_count(t); i++) {
        double d = fabs((double)v[i] - (double)v[0]);
        if (d > 0 && (step == 0 || d < step)) step = d;
    }
    return step;
}

/* What an output may be off: no element by more than `tolerance` (two steps of a quantised output),
   unless the pass that computes in integers is off. Rounded in floating point, values between
   layers are a step off here and there, and a few scores a third or fourth one. */
enum { FLOAT_STEPS = 4, FLOAT_PERCENT = 2 };

static bool is_close(const nnd_tensor *got, const nnd_tensor *want, double step, uint32_t passes,
                     size_t *bad, double *worst)
{
    double more;
    *bad = count_mismatches(got, want, 1e-3, 1e-4 + 2 * step, worst);
    if (!*bad || !step || passes & 1u << NND_PASS_QDQ) return !*bad;
    return !count_mismatches(got, want, 1e-3, 1e-4 + FLOAT_STEPS * step, &more) &&
           *bad * 100 <= (size_t)nnd_tensor_count(want) * FLOAT_PERCENT;
}

static verdict run_model(const char *name, uint32_t passes, bool separate, int threads, bool loud)
{
    char folder[512], path[600];
    reference ref;
    nnd_engine_model *model;
    nnd_engine_request *request;
    snprintf(folder, sizeof(folder), "%s/models/%s", test_data_dir(), name);
    snprintf(path, sizeof(path), "%s/model.onnx", folder);
    if (!nnd_port_file_exists(path) || !reference_read(folder, &ref)) return NO_REFERENCE;
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    options.passes = passes;
    options.separate_tensors = separate;
    if (nnd_engine_model_load_file(path, &options, &model) != NND_OK) {
        report_error(name);
        reference_free(&ref);
        return DOES_NOT_LOAD;
    }
    assert_int_equal(nnd_engine_model_input_count(model), ref.input_count);
    assert_int_equal(nnd_engine_model_output_count(model), ref.output_count);
    assert_ok(nnd_engine_request_create(model, &request));
    verdict result = PASSES;
    for (size_t i = 0; i < ref.input_count && result == PASSES; i++)
        if (nnd_engine_request_bind_input(request, i, &ref.inputs[i]) != NND_OK) result = FAILS;
    int64_t start = nnd_clock_now();
    if (result == PASSES && nnd_engine_request_run(request, threads, NULL) != NND_OK)
        result = FAILS;
    double ms = (double)(nnd_clock_now() - start) / 1e6, worst = 0, w;
    if (result != PASSES) report_error(name);
    for (size_t i = 0; i < ref.output_count && result == PASSES; i++) {
        nnd_tensor t;
        assert_ok(nnd_engine_request_output(request, i, &t));
        if (nnd_tensor_count(&t) != nnd_tensor_count(&ref.outputs[i]) ||
            t.dtype != ref.outputs[i].dtype) {
            fprintf(stderr, "%s: output %zu has another shape\n", name, i);
            result = FAILS;
            break;
        }
        double step = quantisation_step(name, &ref.outputs[i]);
        size_t bad;
        bool close = is_close(&t, &ref.outputs[i], step, passes, &bad, &w);
        if (w > worst) worst = w;
        if (!close) {
            fprintf(stderr, "%s: output %zu: %zu elements differ, worst %g\n", name, i, bad, w);
            result = FAILS;
        }
    }
    if (loud)
        printf("  %-28s %s  %.1f ms, largest difference %.3g\n", name,
               result == PASSES ? "passes" : "FAILS", ms, worst);
    nnd_engine_request_destroy(request);
    nnd_engine_model_unref(model);
    reference_free(&ref);
    return result;
}

static void required_models_agree(void **state)
{
    (void)state;
    skip_without_data();
    for (size_t i = 0; i < NND_COUNT(required); i++)
        assert_int_equal(run_model(required[i], NND_PASSES_ALL, false, 2, true), PASSES);
}

static void models_agree_without_passes(void **state)
{
    (void)state;
    skip_without_data();
    for (size_t i = 0; i < NND_COUNT(required); i++)
        assert_int_equal(run_model(required[i], 0, false, 2, false), PASSES);
}

static void models_agree_with_separate_tensors(void **state)
{
    (void)state;
    skip_without_data();
    for (size_t i = 0; i < NND_COUNT(required); i++)
        assert_int_equal(run_model(required[i], NND_PASSES_ALL, true, 1, false), PASSES);
}

/* Every other model with reference data. */
static void other_models_agree(void **state)
{
    char folder[512];
    nnd_port_dir_list list;
    size_t pass = 0, fail = 0, refuse = 0;
    (void)state;
    skip_without_data();
    snprintf(folder, sizeof(folder), "%s/models", test_data_dir());
    assert_int_equal(nnd_port_dir_read(folder, &list), 0);
    for (size_t i = 0; i < list.count; i++) {
        bool known = false;
        for (size_t k = 0; k < NND_COUNT(required); k++)
            known = known || strcmp(required[k], list.names[i]) == 0;
        if (known) continue;
        verdict v = run_model(list.names[i], NND_PASSES_ALL, false, 2, true);
        pass += v == PASSES;
        fail += v == FAILS;
        refuse += v == DOES_NOT_LOAD;
    }
    printf("other models: %zu pass, %zu fail, %zu do not load\n", pass, fail, refuse);
    assert_int_equal(fail + refuse, 0);
    nnd_port_dir_list_free(&list);
}

/* ---- every model: threads and instruction sets ---------------------------------------------- */

/* All models take minutes under sanitizers: they are tried where NNDEPLOY_TEST_FULL says so. */
static bool is_full(void)
{
    const char *full = getenv("NNDEPLOY_TEST_FULL");
    return full && strcmp(full, "1") == 0;
}

/* Calls fn with the name of each model; returns how many it said yes to. */
static size_t for_models(bool (*fn)(const char *name))
{
    char folder[512];
    nnd_port_dir_list list;
    size_t count = 0;
    if (!is_full()) {
        for (size_t i = 0; i < NND_COUNT(required); i++)
            count += fn(required[i]);
        return count;
    }
    snprintf(folder, sizeof(folder), "%s/models", test_data_dir());
    assert_int_equal(nnd_port_dir_read(folder, &list), 0);
    for (size_t i = 0; i < list.count; i++)
        count += fn(list.names[i]);
    nnd_port_dir_list_free(&list);
    return count;
}

/* A copy of all outputs of one run, so many bytes; NULL when the model cannot be run here. */
static char *run_bytes(nnd_engine_model *model, const reference *ref, int threads, size_t *size)
{
    nnd_engine_request *request;
    char *bytes = NULL;
    *size = 0;
    assert_ok(nnd_engine_request_create(model, &request));
    for (size_t i = 0; i < ref->input_count; i++)
        assert_ok(nnd_engine_request_bind_input(request, i, &ref->inputs[i]));
    assert_ok(nnd_engine_request_run(request, threads, NULL));
    for (size_t i = 0; i < ref->output_count; i++) {
        nnd_tensor t;
        assert_ok(nnd_engine_request_output(request, i, &t));
        size_t more = nnd_tensor_bytes(&t);
        bytes = nnd_realloc(bytes, *size + more + 1);
        assert_non_null(bytes);
        if (more) memcpy(bytes + *size, t.data, more);
        *size += more;
    }
    nnd_engine_request_destroy(request);
    return bytes;
}

static bool same_bits_with_threads(const char *name)
{
    enum { MOST_THREADS = 4 };
    char folder[512], path[600];
    reference ref;
    nnd_engine_model *model;
    size_t size, other_size;
    snprintf(folder, sizeof(folder), "%s/models/%s", test_data_dir(), name);
    snprintf(path, sizeof(path), "%s/model.onnx", folder);
    if (!nnd_port_file_exists(path) || !reference_read(folder, &ref)) return false;
    assert_ok(nnd_engine_model_load_file(path, NULL, &model));
    char *bytes = run_bytes(model, &ref, 1, &size);
    for (int threads = 2; threads <= MOST_THREADS; threads++) {
        char *others = run_bytes(model, &ref, threads, &other_size);
        bool same = size == other_size && memcmp(bytes, others, size) == 0;
        if (!same) fprintf(stderr, "%s: other bits with %d threads\n", name, threads);
        assert_true(same);
        nnd_free(others);
    }
    nnd_free(bytes);
    nnd_engine_model_unref(model);
    reference_free(&ref);
    return true;
}

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    skip_without_data();
    assert_ok(nnd_sched_set_threads(4)); /* more than the machine may have */
    size_t count = for_models(same_bits_with_threads);
    assert_ok(nnd_sched_set_threads(0));
    printf("  same bits with 1, 2, 3 and 4 threads: %zu models\n", count);
    assert_true(count >= NND_COUNT(required));
}

static bool agrees_here(const char *name)
{
    verdict v = run_model(name, NND_PASSES_DEFAULT, false, 2, false);
    if (v == NO_REFERENCE) return false;
    if (v == PASSES) return true;
    fail_msg("%s fails with %s", name, nnd_isa_name(nnd_isa_current()));
    return false;
}

static void models_agree_with_every_isa(void **state)
{
    static const nnd_isa isas[] = {NND_ISA_REFERENCE,  NND_ISA_AVX2, NND_ISA_AVX512,
                                   NND_ISA_AVX512VNNI, NND_ISA_NEON, NND_ISA_NEON_DOTPROD};
    nnd_isa before = nnd_isa_current();
    (void)state;
    skip_without_data();
    for (size_t i = 0; i < NND_COUNT(isas); i++) {
        if (nnd_isa_force(isas[i]) != NND_OK) {
            nnd_error_clear();
            continue;
        }
        size_t count = for_models(agrees_here);
        printf("  %s: %zu models agree\n", nnd_isa_name(isas[i]), count);
        assert_true(count >= NND_COUNT(required));
    }
    assert_ok(nnd_isa_force(before));
}

/* ---- every level of optimisation ------------------------------------------------------------- */

static uint32_t level_passes;

static bool agrees_at_level(const char *name)
{
    verdict v = run_model(name, level_passes, false, 2, false);
    if (v == NO_REFERENCE) return false;
    if (v == PASSES) return true;
    fail_msg("%s fails with passes=%u", name, (unsigned)level_passes);
    return false;
}

/* No passes, all of them, and the default with each single one switched to the other side. */
static void models_agree_at_every_level(void **state)
{
    (void)state;
    skip_without_data();
    for (int i = -3; i < NND_PASS_COUNT; i++) {
        level_passes = i >= 0    ? NND_PASSES_DEFAULT ^ 1u << i
                       : i == -3 ? 0
                       : i == -2 ? NND_PASSES_ALL
                                 : NND_PASSES_DEFAULT;
        assert_true(for_models(agrees_at_level) >= NND_COUNT(required));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(required_models_agree),
        cmocka_unit_test(models_agree_without_passes),
        cmocka_unit_test(models_agree_with_separate_tensors),
        cmocka_unit_test(other_models_agree),
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(models_agree_with_every_isa),
        cmocka_unit_test(models_agree_at_every_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
