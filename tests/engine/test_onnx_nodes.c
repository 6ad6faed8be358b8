/* The official single-operator cases. What runs has to agree; what is refused, when it is loaded
   or, in training mode and without hooks of the host, when it runs, is counted. */
#include "engine/onnx/onnx.h"
#include "engine_support.h"
#include "support/oom.h"

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

static bool same_tensor(const char *name, const nnd_tensor *got, const nnd_tensor *want)
{
    char a[160], b[160];
    double worst;
    bool same = got->dtype == want->dtype && got->rank == want->rank;
    for (int i = 0; same && i < want->rank; i++)
        same = got->dims[i] == want->dims[i];
    if (!same) {
        printf("  %s, expected %s\n", nnd_tensor_describe(got, a, sizeof(a)),
               nnd_tensor_describe(want, b, sizeof(b)));
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
    if (bad) printf("  %zu elements differ, worst %g\n", bad, worst);
    return bad == 0;
}

static bool same_value(const char *name, const nnd_value *got, const nnd_value *want)
{
    if (strcmp(nnd_value_type_name(got), nnd_value_type_name(want)) != 0) return false;
    if (nnd_value_tensor(want))
        return same_tensor(name, nnd_value_tensor(got), nnd_value_tensor(want));
    bool same = nnd_value_list_count(got) == nnd_value_list_count(want);
    for (size_t i = 0; same && i < nnd_value_list_count(want); i++)
        same = same_value(name, nnd_value_list_at(got, i), nnd_value_list_at(want, i));
    for (size_t i = 0; same && i < nnd_value_record_count(want); i++)
        same = same_value(name, nnd_value_record_at(got, i), nnd_value_record_at(want, i));
    return same;
}

typedef enum verdict { AGREES, DIFFERS, UNSUPPORTED } verdict;

static verdict run_set(const char *name, const char *folder, nnd_engine_model *model)
{
    char path[1600];
    size_t n = nnd_engine_model_input_count(model);
    nnd_engine_request *request;
    bool ok = true;
    assert_ok(nnd_engine_request_create(model, &request));
    for (size_t i = 0; i < n && ok; i++) {
        nnd_value *input = NULL;
        snprintf(path, sizeof(path), "%s/input_%zu.pb", folder, i);
        if (!nnd_port_file_exists(path)) continue; /* an empty optional */
        ok = read_stored(path, &nnd_engine_model_input(model, i)->type, &input) &&
             nnd_engine_request_bind_value(request, i, input) == NND_OK;
        nnd_value_unref(input);
    }
    nnd_status status = ok ? nnd_engine_request_run(request, 2, NULL) : NND_E_FORMAT;
    if (status != NND_OK) {
        report_error(name);
        ok = false;
    }
    for (size_t i = 0; i < nnd_engine_model_output_count(model) && ok; i++) {
        nnd_value *want = NULL, *got = NULL;
        snprintf(path, sizeof(path), "%s/output_%zu.pb", folder, i);
        assert_ok(nnd_engine_request_output_value(request, i, &got));
        ok = read_stored(path, &nnd_engine_model_output(model, i)->type, &want) &&
             same_value(name, got, want);
        if (!ok) printf("  %s: output %zu differs\n", name, i);
        nnd_value_unref(want);
        nnd_value_unref(got);
    }
    nnd_engine_request_destroy(request);
    return ok ? AGREES : status == NND_E_UNSUPPORTED ? UNSUPPORTED : DIFFERS;
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
        result = run_set(name, path, model);
    }
    nnd_engine_model_unref(model);
    return result;
}

/* The folder with the cases, unpacked once; NULL when there are none. */
static char *scratch;
static char root[1024];

static int unpack(void **state)
{
    char command[2048];
    (void)state;
    if (!test_data_dir() || nnd_port_dir_create_temp("nnd-onnx", &scratch) != 0) return 0;
    snprintf(command, sizeof(command), "tar xf '%s/onnx-tests/node.tar.xz' -C '%s'",
             test_data_dir(), scratch);
    if (system(command) == 0) snprintf(root, sizeof(root), "%s/node", scratch);
    return 0;
}

static int remove_cases(void **state)
{
    (void)state;
    if (scratch) nnd_port_dir_remove_tree(scratch);
    nnd_port_free(scratch);
    return 0;
}

static void skip_without_cases(void)
{
    skip_without_data();
    if (root[0]) return;
    fprintf(stderr, "skipped: the cases cannot be unpacked\n");
    skip();
}

static void official_cases_agree(void **state)
{
    nnd_port_dir_list list;
    size_t agree = 0, unsupported = 0, differ = 0;
    (void)state;
    skip_without_cases();
    assert_int_equal(nnd_port_dir_read(root, &list), 0);
    for (size_t i = 0; i < list.count; i++) {
        verdict v = run_case(root, list.names[i]);
        agree += v == AGREES;
        unsupported += v == UNSUPPORTED;
        differ += v == DIFFERS;
    }
    printf("official operator cases: %zu of %zu agree, %zu not supported, %zu differ\n", agree,
           list.count, unsupported, differ);
    nnd_port_dir_list_free(&list);
    assert_int_equal(differ, 0);
}

/* ---- memory running out in what makes values other than tensors ----------------------------- */

enum { MOST_INPUTS = 8 };

static nnd_status load_and_run(const char *bytes, size_t size, nnd_value *const *inputs)
{
    nnd_engine_model *model;
    nnd_engine_request *request = NULL;
    NND_TRY(nnd_engine_model_load_memory(bytes, size, NULL, &model));
    nnd_status status = nnd_engine_request_create(model, &request);
    for (size_t i = 0; i < nnd_engine_model_input_count(model) && status == NND_OK; i++)
        if (inputs[i]) status = nnd_engine_request_bind_value(request, i, inputs[i]);
    if (status == NND_OK) status = nnd_engine_request_run(request, 1, NULL);
    nnd_engine_request_destroy(request);
    nnd_engine_model_unref(model);
    return status;
}

static void fail_each_allocation(const char *name, const char *bytes, size_t size,
                                 nnd_value *const *inputs)
{
    oom_begin();
    for (long i = 0;; i++) {
        oom_fail_after(i);
        nnd_status status = load_and_run(bytes, size, inputs);
        bool hit = oom_hit();
        oom_never();
        nnd_error_clear();
        if (oom_live_blocks() != 0 || status != (hit ? NND_E_OUT_OF_MEMORY : NND_OK))
            fail_msg("%s, allocation %ld: %s, %ld blocks left", name, i, nnd_status_name(status),
                     oom_live_blocks());
        if (!hit) break;
    }
    oom_end();
}

static void out_of_memory_is_clean(void **state)
{
    static const char *const prefixes[] = {"test_sequence_",   "test_optional_", "test_scan",
                                           "test_split_to",    "test_string_",   "test_strnorm",
                                           "test_ai_onnx_ml_", "test_tfidf",     "test_identity_",
                                           "test_loop13",      "test_if_"};
    nnd_port_dir_list list;
    char path[1600];
    (void)state;
    skip_without_cases();
    assert_int_equal(nnd_port_dir_read(root, &list), 0);
    for (size_t i = 0; i < list.count; i++) {
        nnd_value *inputs[MOST_INPUTS] = {0};
        nnd_engine_model *model;
        size_t size;
        bool wanted = false;
        for (size_t k = 0; k < NND_COUNT(prefixes); k++)
            wanted = wanted || strncmp(list.names[i], prefixes[k], strlen(prefixes[k])) == 0;
        if (!wanted) continue;
        snprintf(path, sizeof(path), "%s/%s/model.onnx", root, list.names[i]);
        char *bytes = read_file(path, &size);
        if (nnd_engine_model_load_memory(bytes, size, NULL, &model) == NND_OK) {
            assert_true(nnd_engine_model_input_count(model) <= MOST_INPUTS);
            for (size_t k = 0; k < nnd_engine_model_input_count(model); k++) {
                snprintf(path, sizeof(path), "%s/%s/test_data_set_0/input_%zu.pb", root,
                         list.names[i], k);
                (void)read_stored(path, &nnd_engine_model_input(model, k)->type, &inputs[k]);
            }
            nnd_engine_model_unref(model);
            fail_each_allocation(list.names[i], bytes, size, inputs);
        }
        for (size_t k = 0; k < MOST_INPUTS; k++)
            nnd_value_unref(inputs[k]);
        nnd_port_free(bytes);
    }
    nnd_port_dir_list_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(official_cases_agree),
        cmocka_unit_test(out_of_memory_is_clean),
    };
    return cmocka_run_group_tests(tests, unpack, remove_cases);
}
