/* What the tests of models and requests share: small models, a folder for files, error texts. */
#ifndef NND_TESTS_INFER_SUPPORT_H
#define NND_TESTS_INFER_SUPPORT_H

#include <sys/stat.h>
#include <unistd.h>

#include "engine/onnx_writer.h"
#include "nndeploy/infer.h"
#include "nndeploy/sched.h"
#include "port/port.h"
#include "support/oom.h"
#include "support/test.h"

/* y[n,3] = x[n,3] + b[3] with b = 1, 2, 3. */
static inline nnd_str add_model(void)
{
    static const char *const symbols[] = {"n", NULL};
    static const float b[3] = {1, 2, 3};
    nnd_str graph = {0}, model = {0};
    ow_initializer(&graph, "b", OW_F32, 1, (int64_t[]){3}, b, sizeof b);
    ow_value(&graph, OW_INPUT, "x", OW_F32, 2, (int64_t[]){-1, 3}, symbols);
    ow_node(&graph, "Add", "x,b", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 2, (int64_t[]){-1, 3}, symbols);
    ow_model(&model, &graph, 13);
    return model;
}

/* The same with b in a file of its own. */
static inline nnd_str external_model(const char *location)
{
    static const char *const symbols[] = {"n", NULL};
    nnd_str graph = {0}, model = {0};
    ow_external(&graph, "b", OW_F32, 1, (int64_t[]){3}, location, "0");
    ow_value(&graph, OW_INPUT, "x", OW_F32, 2, (int64_t[]){-1, 3}, symbols);
    ow_node(&graph, "Add", "x,b", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 2, (int64_t[]){-1, 3}, symbols);
    ow_model(&model, &graph, 13);
    return model;
}

/* state_out = state + x: a running sum. */
static inline nnd_str sum_model(void)
{
    nnd_str graph = {0}, model = {0};
    const int64_t dims[1] = {4};
    ow_value(&graph, OW_INPUT, "state", OW_F32, 1, dims, NULL);
    ow_value(&graph, OW_INPUT, "x", OW_F32, 1, dims, NULL);
    ow_node(&graph, "Add", "state,x", "state_out", NULL);
    ow_value(&graph, OW_OUTPUT, "state_out", OW_F32, 1, dims, NULL);
    ow_model(&model, &graph, 13);
    return model;
}

/* Convolutions that keep a core busy for a good while. */
static inline nnd_str long_model(void)
{
    enum { CHANNELS = 64, LAYERS = 8 };
    static float weights[CHANNELS * CHANNELS * 9];
    const int64_t w[4] = {CHANNELS, CHANNELS, 3, 3}, x[4] = {1, CHANNELS, 256, 256};
    nnd_str graph = {0}, attrs = {0}, model = {0};
    char from[16] = "x", to[16], edge[32];
    ow_initializer(&graph, "w", OW_F32, 4, w, weights, sizeof weights);
    ow_value(&graph, OW_INPUT, "x", OW_F32, 4, x, NULL);
    for (int i = 0; i < LAYERS; i++) {
        snprintf(to, sizeof to, i == LAYERS - 1 ? "y" : "t%d", i);
        snprintf(edge, sizeof edge, "%s,w", from);
        ow_attr_ints(&attrs, "kernel_shape", (int64_t[]){3, 3}, 2);
        ow_attr_ints(&attrs, "pads", (int64_t[]){1, 1, 1, 1}, 4);
        ow_node(&graph, "Conv", edge, to, &attrs);
        memcpy(from, to, sizeof from);
    }
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 4, x, NULL);
    ow_model(&model, &graph, 13);
    return model;
}

static inline nnd_model *load_bytes(const nnd_str *bytes)
{
    nnd_model *model = NULL;
    assert_ok(nnd_model_load_memory(bytes->data, bytes->size, NULL, &model));
    return model;
}

static inline nnd_value *tensor_of(int rank, const int64_t *dims, const float *data)
{
    nnd_value *value = NULL;
    assert_ok(nnd_value_new_tensor(NND_F32, rank, dims, &value));
    nnd_tensor *t = nnd_value_edit(value);
    memcpy(t->data, data, nnd_tensor_bytes(t));
    return value;
}

static inline const float *floats_of(const nnd_value *value)
{
    return nnd_value_tensor(value)->data;
}

/* The call fails as expected, and its message holds every one of the words. */
#define assert_fails(expr, status, ...)                                                            \
    do {                                                                                           \
        nnd_error_clear();                                                                         \
        assert_status(expr, status);                                                               \
        assert_error_has((const char *const[]){__VA_ARGS__, NULL});                                \
    } while (0)

static inline void assert_error_has(const char *const *words)
{
    nnd_error *error = nnd_error_take();
    char *text = error ? nnd_error_to_string(error) : NULL;
    assert_non_null(text);
    for (; *words; words++) {
        if (!strstr(text, *words)) fail_msg("'%s' is not in: %s", *words, text);
    }
    nnd_free(text);
    nnd_error_destroy(error);
}

/* ---- files -------------------------------------------------------------------------------- */

/* A new folder in the system's place for temporary files. */
static inline void make_folder(char *path, size_t size)
{
    const char *base = getenv("TMPDIR");
    snprintf(path, size, "%s/nnd-test-XXXXXX", base && base[0] ? base : "/tmp");
    assert_non_null(mkdtemp(path));
}

static inline const char *in_folder(const char *folder, const char *name)
{
    static char paths[4][1024];
    static int next;
    char *path = paths[next++ & 3];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline void put_file(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

#endif
