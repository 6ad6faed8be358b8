/* The official single-operator cases. What loads has to agree; what does not load is counted. */
#include "engine/onnx/onnx.h"
#include "engine_support.h"

/* Cases that load and are not expected to agree: Dropout in training mode draws random numbers, the
   stored outputs come from one generator (several runtimes dispute these cases). */
static const char *const accepted[] = {"test_training_dropout", "test_training_dropout_default",
                                       "test_training_dropout_default_mask",
                                       "test_training_dropout_mask", NULL};

/* Cases whose stored outputs were drawn by another generator: types, shapes and the range have to
   agree, the draws cannot. */
static const char *const drawn[] = {
    "test_bernoulli",      "test_bernoulli_double",        "test_bernoulli_double_expanded",
    "test_bernoulli_seed", "test_bernoulli_seed_expanded", NULL};

static bool is_one_of(const char *const *names, const char *name)
{
    for (size_t i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}

static bool read_stored(const char *path, const nnd_engine_type *type, nnd_value **out)
{
    size_t size;
    char *bytes = read_file(path, &size);
    bool ok = bytes && nnd_onnx_read_value(bytes, size, type, out) == NND_OK;
    nnd_port_free(bytes);
    return ok;
}

static bool same_tensor(const char *name, size_t index, const nnd_tensor *got,
                        const nnd_tensor *want)
{
    char a[160], b[160];
    double worst;
    bool same = got->dtype == want->dtype && got->rank == want->rank;
    for (int i = 0; same && i < want->rank; i++)
        same = got->dims[i] == want->dims[i];
    if (!same) {
        printf("  %s: output %zu is %s, expected %s\n", name, index,
               nnd_tensor_describe(got, a, sizeof(a)), nnd_tensor_describe(want, b, sizeof(b)));
        return false;
    }
    if (want->dtype == NND_STRING) {
        const nnd_string *x = got->data, *y = want->data;
        for (size_t i = 0; i < (size_t)nnd_tensor_count(want); i++)
            if (x[i].size != y[i].size || memcmp(x[i].text, y[i].text, x[i].size) != 0)
                return false;
        return true;
    }
    if (is_one_of(drawn, name)) {
        for (size_t i = 0; i < (size_t)nnd_tensor_count(got) && same; i++) {
            double v = nnd_dtype_get(got->dtype, got->data, i);
            same = v == 0 || v == 1;
        }
        return same;
    }
    double atol = want->dtype == NND_F16 || want->dtype == NND_BF16 ? 1e-3 : 1e-6;
    size_t bad = count_mismatches(got, want, 1e-3, atol, &worst);
    if (bad) printf("  %s: output %zu: %zu elements differ, worst %g\n", name, index, bad, worst);
    return bad == 0;
}

typedef enum verdict { AGREES, DIFFERS, UNSUPPORTED } verdict;

static bool run_set(const char *name, const char *folder, nnd_engine_model *model)
{
    char path[1600];
    nnd_value *inputs[16] = {0};
    size_t n = nnd_engine_model_input_count(model);
    nnd_engine_request *request;
    bool ok = n <= 16;
    assert_ok(nnd_engine_request_create(model, &request));
    for (size_t i = 0; i < n && ok; i++) {
        snprintf(path, sizeof(path), "%s/input_%zu.pb", folder, i);
        ok = read_stored(path, &nnd_engine_model_input(model, i)->type, &inputs[i]) &&
             nnd_engine_request_bind_input(request, i, nnd_value_tensor(inputs[i])) == NND_OK;
    }
    if (!ok || nnd_engine_request_run(request, 2, NULL) != NND_OK) {
        report_error(name);
        ok = false;
    }
    for (size_t i = 0; i < nnd_engine_model_output_count(model) && ok; i++) {
        nnd_value *want = NULL;
        nnd_tensor got;
        snprintf(path, sizeof(path), "%s/output_%zu.pb", folder, i);
        assert_ok(nnd_engine_request_output(request, i, &got));
        ok = read_stored(path, &nnd_engine_model_output(model, i)->type, &want) &&
             same_tensor(name, i, &got, nnd_value_tensor(want));
        nnd_value_unref(want);
    }
    nnd_engine_request_destroy(request);
    for (size_t i = 0; i < n && i < 16; i++)
        nnd_value_unref(inputs[i]);
    return ok;
}

static verdict run_case(const char *root, const char *name)
{
    char path[1400];
    nnd_engine_model *model;
    snprintf(path, sizeof(path), "%s/%s/model.onnx", root, name);
    if (nnd_engine_model_load_file(path, NULL, &model) != NND_OK) {
        nnd_error *e = nnd_error_take();
        bool refused = e && nnd_error_status(e) == NND_E_UNSUPPORTED;
        if (!refused && e) {
            char *text = nnd_error_to_string(e);
            printf("  %s: %s\n", name, text);
            nnd_free(text);
        }
        nnd_error_destroy(e);
        return refused ? UNSUPPORTED : DIFFERS;
    }
    verdict result = AGREES;
    for (int set = 0; result == AGREES; set++) {
        snprintf(path, sizeof(path), "%s/%s/test_data_set_%d", root, name, set);
        if (!nnd_port_dir_exists(path)) break;
        if (!run_set(name, path, model)) result = DIFFERS;
    }
    nnd_engine_model_unref(model);
    return result;
}

static void official_cases_agree(void **state)
{
    char command[2048], root[1024], *scratch = NULL;
    nnd_port_dir_list list;
    size_t agree = 0, unsupported = 0, differ = 0, excused = 0;
    (void)state;
    skip_without_data();
    assert_int_equal(nnd_port_dir_create_temp("nnd-onnx", &scratch), 0);
    snprintf(command, sizeof(command), "tar xf '%s/onnx-tests/node.tar.xz' -C '%s'",
             test_data_dir(), scratch);
    if (system(command) != 0) {
        fprintf(stderr, "skipped: the cases cannot be unpacked\n");
        nnd_port_dir_remove_tree(scratch);
        nnd_port_free(scratch);
        skip();
    }
    snprintf(root, sizeof(root), "%s/node", scratch);
    assert_int_equal(nnd_port_dir_read(root, &list), 0);
    for (size_t i = 0; i < list.count; i++) {
        verdict v = run_case(root, list.names[i]);
        agree += v == AGREES;
        unsupported += v == UNSUPPORTED;
        excused += v == DIFFERS && is_one_of(accepted, list.names[i]);
        differ += v == DIFFERS && !is_one_of(accepted, list.names[i]);
    }
    printf(
        "official operator cases: %zu of %zu agree, %zu not supported, %zu excused, %zu differ\n",
        agree, list.count, unsupported, excused, differ);
    nnd_port_dir_list_free(&list);
    nnd_port_dir_remove_tree(scratch);
    nnd_port_free(scratch);
    assert_int_equal(differ, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(official_cases_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
