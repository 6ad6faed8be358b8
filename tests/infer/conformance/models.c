/* Real models against outputs that were computed elsewhere. */
#include "conformance.h"

#include <math.h>
#include <stdlib.h>

/* Models that come with the sources; their ports go by position. */
static const char *const own_models[] = {"digits-32", "latin-ocr"};

/* The same networks as .param files, and the output that can be compared as it is. */
static const struct twin {
    const char *model, *file, *output;
} twins[] = {
    /* The other one, boxes, is left before its last step: tests/infer/test_ncnn.c takes it. */
    {"ultraface_rfb320", "ncnn/ultraface_rfb320/RFB-320.param", "scores"},
};

static const char *data_dir(void)
{
    const char *dir = getenv("NNDEPLOY_TEST_DATA");
    return dir && dir[0] ? dir : NULL;
}

static void list_add(model_names *list, const char *name)
{
    char **grown = nnd_realloc(list->names, (list->count + 1) * sizeof *grown);
    if (!grown) return;
    list->names = grown;
    list->names[list->count] = nnd_strdup(name);
    list->count += list->names[list->count] != NULL;
}

model_names conformance_models(void)
{
    model_names list = {NULL, 0};
    nnd_port_dir_list folders;
    char path[1024];
    for (size_t i = 0; i < NND_COUNT(own_models); i++)
        list_add(&list, own_models[i]);
    if (!data_dir()) return list;
    snprintf(path, sizeof path, "%s/models", data_dir());
    if (nnd_port_dir_read(path, &folders) != 0) return list;
    for (size_t i = 0; i < folders.count; i++) {
        snprintf(path, sizeof path, "%s/models/%s/ref/ref.json", data_dir(), folders.names[i]);
        if (nnd_port_file_exists(path)) list_add(&list, folders.names[i]);
    }
    nnd_port_dir_list_free(&folders);
    return list;
}

void conformance_models_free(model_names *list)
{
    for (size_t i = 0; i < list->count; i++)
        nnd_free(list->names[i]);
    nnd_free(list->names);
    *list = (model_names){NULL, 0};
}

/* ---- reference data ------------------------------------------------------------------------ */

enum { MAX_PORTS = 32 };

typedef struct reference {
    char path[1024]; /* of the model */
    size_t input_count, output_count;
    char *input_names[MAX_PORTS], *output_names[MAX_PORTS];
    nnd_value *inputs[MAX_PORTS], *outputs[MAX_PORTS];
} reference;

static void reference_free(reference *ref)
{
    for (size_t i = 0; i < MAX_PORTS; i++) {
        nnd_free(ref->input_names[i]);
        nnd_free(ref->output_names[i]);
        nnd_value_unref(ref->inputs[i]);
        nnd_value_unref(ref->outputs[i]);
    }
}

static bool read_tensor(const char *folder, const nnd_json *json, char **name, nnd_value **out)
{
    char path[1024], *bytes = NULL;
    size_t size = 0;
    int64_t dims[NND_MAX_RANK] = {0};
    const nnd_json *shape = nnd_json_get(json, "shape");
    size_t rank = nnd_json_count(shape);
    nnd_dtype dtype = nnd_dtype_from_name(nnd_json_string(nnd_json_get(json, "dtype"), ""));
    snprintf(path, sizeof path, "%s/ref/%s", folder,
             nnd_json_string(nnd_json_get(json, "file"), ""));
    for (size_t i = 0; i < rank && i < NND_MAX_RANK; i++)
        if (!nnd_json_int(nnd_json_at(shape, i), &dims[i])) return false;
    if (rank > NND_MAX_RANK || nnd_port_file_read(path, (size_t)1 << 30, &bytes, &size) != 0)
        return false;
    bool ok = nnd_value_new_tensor(dtype, (int)rank, dims, out) == NND_OK &&
              nnd_tensor_bytes(nnd_value_tensor(*out)) == size;
    if (ok) memcpy(nnd_value_tensor(*out)->data, bytes, size);
    nnd_port_free(bytes);
    *name = nnd_strdup(nnd_json_string(nnd_json_get(json, "name"), ""));
    return ok && *name;
}

static bool read_reference(const char *name, reference *ref)
{
    char folder[800], path[1024], *text = NULL;
    size_t size = 0;
    nnd_json_doc *doc = NULL;
    snprintf(folder, sizeof folder, "%s/models/%s", data_dir(), name);
    snprintf(ref->path, sizeof ref->path, "%s/model.onnx", folder);
    snprintf(path, sizeof path, "%s/ref/ref.json", folder);
    if (nnd_port_file_read(path, 1 << 24, &text, &size) != 0) return false;
    bool ok = nnd_json_parse(text, size, path, &doc) == NND_OK;
    const nnd_json *inputs = ok ? nnd_json_get(nnd_json_root(doc), "inputs") : NULL;
    const nnd_json *outputs = ok ? nnd_json_get(nnd_json_root(doc), "outputs") : NULL;
    ok = ok && nnd_json_count(inputs) <= MAX_PORTS && nnd_json_count(outputs) <= MAX_PORTS;
    for (size_t i = 0; ok && i < nnd_json_count(inputs); i++, ref->input_count++)
        ok = read_tensor(folder, nnd_json_at(inputs, i), &ref->input_names[i], &ref->inputs[i]);
    for (size_t i = 0; ok && i < nnd_json_count(outputs); i++, ref->output_count++)
        ok = read_tensor(folder, nnd_json_at(outputs, i), &ref->output_names[i], &ref->outputs[i]);
    nnd_json_destroy(doc);
    nnd_port_free(text);
    return ok;
}

static bool is_own(const char *name)
{
    for (size_t i = 0; i < NND_COUNT(own_models); i++)
        if (strcmp(own_models[i], name) == 0) return true;
    return false;
}

static bool read_npy(const char *model, const char *name, nnd_value **out)
{
    char path[1024], *bytes = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/models/%s/%s", NND_SOURCE_DIR, model, name);
    bool ok = nnd_port_file_read(path, 1 << 28, &bytes, &size) == 0 &&
              nnd_npy_parse(bytes, size, out) == NND_OK;
    nnd_port_free(bytes);
    return ok;
}

static bool read_own(const char *name, reference *ref)
{
    snprintf(ref->path, sizeof ref->path, "%s/models/%s/%s.onnx", NND_SOURCE_DIR, name, name);
    ref->input_count = ref->output_count = 1;
    return read_npy(name, "test_image.npy", &ref->inputs[0]) &&
           read_npy(name, "test_logits.npy", &ref->outputs[0]);
}

/* Takes the .param file of the same network; false when there is none. */
static bool take_twin(const char *name, reference *ref)
{
    for (size_t i = 0; i < NND_COUNT(twins); i++) {
        if (strcmp(twins[i].model, name) != 0) continue;
        snprintf(ref->path, sizeof ref->path, "%s/models/%s", data_dir(), twins[i].file);
        for (size_t k = 0; k < ref->output_count; k++) {
            if (strcmp(ref->output_names[k], twins[i].output) == 0) continue;
            nnd_value_unref(ref->outputs[k]);
            ref->outputs[k] = NULL; /* not compared */
        }
        return nnd_port_file_exists(ref->path);
    }
    return false;
}

/* ---- comparing ----------------------------------------------------------------------------- */

/* The step of an output whose values are multiples of one; 0 for models that are not quantised. */
static double quantisation_step(const char *name, const nnd_tensor *t)
{
    double step = 0;
    if (!strstr(name, "qdq")) return 0;
    for (size_t i = 1; i < (size_t)nnd_tensor_count(t); i++) {
        double d = fabs(nnd_dtype_get(t->dtype, t->data, i) - nnd_dtype_get(t->dtype, t->data, 0));
        if (d > 1e-9 && (step == 0 || d < step)) step = d;
    }
    return step;
}

static bool same_dims(const nnd_tensor *a, const nnd_tensor *b)
{
    bool same = a->rank == b->rank;
    for (int d = 0; same && d < a->rank; d++)
        same = a->dims[d] == b->dims[d];
    return same;
}

static verdict compare(trial *t, const char *name, const char *port, const nnd_value *got,
                       const nnd_value *wanted, double *worst)
{
    const nnd_tensor *a = nnd_value_tensor(got), *b = nnd_value_tensor(wanted);
    double atol = 1e-4 + 2 * quantisation_step(name, b);
    size_t bad = 0;
    char text_a[128], text_b[128];
    if (!a || a->dtype != b->dtype || !same_dims(a, b)) {
        snprintf(t->detail, sizeof t->detail, "output '%s' is %s, the reference %s", port,
                 a ? nnd_tensor_describe(a, text_a, sizeof text_a) : "no tensor",
                 nnd_tensor_describe(b, text_b, sizeof text_b));
        return FAILED;
    }
    for (size_t i = 0; i < (size_t)nnd_tensor_count(b); i++) {
        double x = nnd_dtype_get(a->dtype, a->data, i), y = nnd_dtype_get(b->dtype, b->data, i);
        if (x == y || (isnan(x) && isnan(y))) continue;
        double d = fabs(x - y);
        if (d > *worst || isnan(d)) *worst = d;
        bad += !(d <= atol + 1e-3 * fabs(y));
    }
    if (bad == 0) return PASSED;
    snprintf(t->detail, sizeof t->detail, "output '%s': %zu of %lld elements differ, worst by %g",
             port, bad, (long long)nnd_tensor_count(b), *worst);
    return FAILED;
}

static verdict run_reference(trial *t, const char *name, const reference *ref, nnd_model *model,
                             nnd_request *request)
{
    double worst = 0;
    for (size_t i = 0; i < ref->input_count; i++) {
        const char *port =
            ref->input_names[i] ? ref->input_names[i] : nnd_model_input(model, i)->name;
        CHECK_OK(nnd_request_bind_input(request, port, ref->inputs[i]));
    }
    int64_t start = nnd_clock_now();
    nnd_status status = nnd_request_run(request, NULL);
    if (status != NND_OK) return trial_not_run(t, status);
    double ms = (double)(nnd_clock_now() - start) * 1e-6;
    for (size_t i = 0; i < ref->output_count; i++) {
        const char *port =
            ref->output_names[i] ? ref->output_names[i] : nnd_model_output(model, i)->name;
        nnd_value *got = NULL;
        if (!ref->outputs[i]) continue;
        CHECK_OK(nnd_request_output(request, port, &got));
        verdict v = compare(t, name, port, got, ref->outputs[i], &worst);
        nnd_value_unref(got);
        if (v != PASSED) return v;
    }
    snprintf(t->detail, sizeof t->detail, "first run %.1f ms, largest difference %.2g", ms, worst);
    return PASSED;
}

verdict conformance_run_model(trial *t, const char *name)
{
    reference ref = {0};
    nnd_model *model = NULL;
    nnd_request *request = NULL;
    if (!(is_own(name) ? read_own(name, &ref) : read_reference(name, &ref))) {
        reference_free(&ref);
        return trial_failed(t, __FILE__, __LINE__, "the reference data cannot be read");
    }
    if (strcmp(t->format, "param") == 0 && !take_twin(name, &ref)) {
        reference_free(&ref);
        return SKIPPED;
    }
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    options.backend = t->backend;
    nnd_status status = nnd_model_load(ref.path, &options, &model);
    verdict v = status == NND_OK ? PASSED : trial_not_loaded(t, status);
    if (v == PASSED && nnd_request_create(model, NULL, &request) != NND_OK)
        v = trial_failed(t, __FILE__, __LINE__, "no request");
    if (v == PASSED) v = run_reference(t, name, &ref, model, request);
    nnd_request_destroy(request);
    nnd_model_unref(model);
    reference_free(&ref);
    return v;
}
