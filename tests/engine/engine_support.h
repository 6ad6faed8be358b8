/* Helpers of the engine's tests: files, reference data, comparison. */
#ifndef NND_TESTS_ENGINE_SUPPORT_H
#define NND_TESTS_ENGINE_SUPPORT_H

#include <math.h>

#include "engine/engine.h"
#include "port/port.h"
#include "support/test.h"

/* A whole file, or NULL. Free with nnd_port_free. */
static inline char *read_file(const char *path, size_t *size)
{
    char *data = NULL;
    return nnd_port_file_read(path, (size_t)1 << 31, &data, size) == 0 ? data : NULL;
}

/* Elements outside |a − b| ≤ atol + rtol·|b|; NaN equals NaN, infinities their equals only. worst:
   the largest difference. */
static inline size_t count_mismatches(const nnd_tensor *a, const nnd_tensor *b, double rtol,
                                      double atol, double *worst)
{
    size_t bad = 0;
    *worst = 0;
    for (size_t i = 0; i < (size_t)nnd_tensor_count(b); i++) {
        double x = nnd_dtype_get(a->dtype, a->data, i), y = nnd_dtype_get(b->dtype, b->data, i);
        if (x == y || (isnan(x) && isnan(y))) continue;
        double d = fabs(x - y);
        if (d > *worst || isnan(d)) *worst = d;
        bad += !isfinite(y) || !(d <= atol + rtol * fabs(y));
    }
    return bad;
}

/* Every model, but where an emulator is about thirty times slower: convolutions in f32 and in
   bytes, recurrent layers, one with all of its operators at the sizes of real use. */
static inline bool model_is_tried(const char *folder)
{
#ifdef NND_TEST_LITE
    static const char *const small[] = {"mnist_cnn", "mobilenet_v2_qdq", "dtln_1",
                                        "silero_vad_16k_op15", "yunet_n_320"};
    const char *name = strrchr(folder, '/') + 1;
    for (size_t i = 0; i < NND_COUNT(small); i++)
        if (strcmp(small[i], name) == 0) return true;
    return false;
#else
    (void)folder;
    return true;
#endif
}

/* Reference data of one model: SOURCE/ref/ref.json with its .bin files. */
typedef struct reference {
    char *text;
    nnd_json_doc *doc;
    size_t input_count, output_count;
    nnd_tensor inputs[8], outputs[32];
} reference;

static inline void reference_read_tensor(const char *folder, const nnd_json *json, nnd_tensor *t)
{
    char path[1024];
    size_t size;
    int64_t dims[NND_MAX_RANK];
    const nnd_json *shape = nnd_json_get(json, "shape");
    for (size_t i = 0; i < nnd_json_count(shape); i++)
        assert_true(nnd_json_int(nnd_json_at(shape, i), &dims[i]));
    snprintf(path, sizeof(path), "%s/ref/%s", folder,
             nnd_json_string(nnd_json_get(json, "file"), ""));
    char *data = read_file(path, &size);
    assert_non_null(data);
    nnd_dtype dtype = nnd_dtype_from_name(nnd_json_string(nnd_json_get(json, "dtype"), ""));
    assert_ok(nnd_tensor_init(t, dtype, (int)nnd_json_count(shape), dims, data));
    assert_int_equal(nnd_tensor_bytes(t), size);
}

static inline bool reference_read(const char *folder, reference *r)
{
    if (!model_is_tried(folder)) return false;
    char path[1024];
    size_t size;
    *r = (reference){0};
    snprintf(path, sizeof(path), "%s/ref/ref.json", folder);
    r->text = read_file(path, &size);
    if (!r->text) return false;
    assert_ok(nnd_json_parse(r->text, size, path, &r->doc));
    const nnd_json *inputs = nnd_json_get(nnd_json_root(r->doc), "inputs");
    const nnd_json *outputs = nnd_json_get(nnd_json_root(r->doc), "outputs");
    r->input_count = nnd_json_count(inputs);
    r->output_count = nnd_json_count(outputs);
    assert_true(r->input_count <= 8 && r->output_count <= 32);
    for (size_t i = 0; i < r->input_count; i++)
        reference_read_tensor(folder, nnd_json_at(inputs, i), &r->inputs[i]);
    for (size_t i = 0; i < r->output_count; i++)
        reference_read_tensor(folder, nnd_json_at(outputs, i), &r->outputs[i]);
    return true;
}

static inline void reference_free(reference *r)
{
    for (size_t i = 0; i < r->input_count; i++)
        nnd_port_free(r->inputs[i].data);
    for (size_t i = 0; i < r->output_count; i++)
        nnd_port_free(r->outputs[i].data);
    nnd_json_destroy(r->doc);
    nnd_port_free(r->text);
}

/* How many nodes of that operator are left after the passes. */
static inline size_t count_ops(const nnd_engine_model *m, const char *op)
{
    nnd_json_writer *w;
    nnd_json_doc *doc;
    char *text;
    size_t size, found = 0;
    assert_ok(nnd_json_writer_create(0, &w));
    assert_ok(nnd_engine_model_describe(m, NULL, w));
    assert_ok(nnd_json_writer_take(w, &text, &size));
    assert_ok(nnd_json_parse(text, size, NULL, &doc));
    const nnd_json *nodes = nnd_json_get(nnd_json_root(doc), "nodes");
    for (size_t i = 0; i < nnd_json_count(nodes); i++)
        found += strcmp(nnd_json_string(nnd_json_get(nnd_json_at(nodes, i), "op"), ""), op) == 0;
    nnd_json_destroy(doc);
    nnd_free(text);
    nnd_json_writer_destroy(w);
    return found;
}

/* Prints this thread's error record to stderr and clears it. */
static inline void report_error(const char *what)
{
    nnd_error *e = nnd_error_take();
    char *text = e ? nnd_error_to_string(e) : NULL;
    fprintf(stderr, "%s: %s\n", what, text ? text : "(no error record)");
    nnd_free(text);
    nnd_error_destroy(e);
}

#endif
