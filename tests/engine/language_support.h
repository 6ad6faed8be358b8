/* Helpers of the tests of operators that exports of language models use: models of one node. */
#ifndef NND_TESTS_LANGUAGE_SUPPORT_H
#define NND_TESTS_LANGUAGE_SUPPORT_H

#include "engine_support.h"
#include "onnx_writer.h"

#define MS "com.microsoft"
enum { MAX_INPUTS = 12, MAX_OUTPUTS = 4, ROOM = 4096, OW_I32 = 6 };

/* A model of one node. */
typedef struct net {
    nnd_str graph, attrs, names;
    size_t places, inputs, outputs;
    nnd_tensor in[MAX_INPUTS];
    float out[MAX_OUTPUTS][ROOM];
    int64_t dims[MAX_OUTPUTS][NND_MAX_RANK];
} net;

#define DIMS(...)                                                                                  \
    NND_COUNT(((const int64_t[]){__VA_ARGS__})), (const int64_t[])                                 \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static inline void no_input(net *n)
{
    if (n->places++) nnd_str_add(&n->names, ",");
}

static inline void input(net *n, nnd_dtype dtype, size_t rank, const int64_t *dims,
                         const void *data)
{
    char name[16];
    int elem = dtype == NND_F32   ? OW_F32
               : dtype == NND_U8  ? OW_U8
               : dtype == NND_I32 ? OW_I32
                                  : OW_I64;
    snprintf(name, sizeof name, "i%zu", n->places);
    no_input(n);
    nnd_str_add(&n->names, name);
    assert_true(n->inputs < MAX_INPUTS);
    assert_ok(nnd_tensor_init(&n->in[n->inputs++], dtype, (int)rank, dims, (void *)data));
    ow_value(&n->graph, OW_INPUT, name, elem, (int)rank, dims, NULL);
}

static inline nnd_status run_threads(net *n, const nnd_str *model, int threads)
{
    nnd_engine_model *m;
    nnd_engine_request *r = NULL;
    nnd_status status = nnd_engine_model_load_memory(model->data, model->size, NULL, &m);
    if (status != NND_OK) return status;
    status = nnd_engine_request_create(m, &r);
    for (size_t i = 0; i < n->inputs && status == NND_OK; i++)
        status = nnd_engine_request_bind_input(r, i, &n->in[i]);
    if (status == NND_OK) status = nnd_engine_request_run(r, threads, NULL);
    for (size_t i = 0; i < n->outputs && status == NND_OK; i++) {
        nnd_tensor y;
        status = nnd_engine_request_output(r, i, &y);
        if (status != NND_OK) break;
        assert_int_equal(y.dtype, NND_F32);
        assert_true(nnd_tensor_count(&y) <= ROOM);
        memcpy(n->out[i], y.data, nnd_tensor_bytes(&y));
        memcpy(n->dims[i], y.dims, sizeof n->dims[i]);
    }
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    return status;
}

/* outputs: names with commas between them; an empty one is not wanted. The same bits with one
   thread and with several. */
static inline nnd_status run(net *n, const char *type, const char *outputs)
{
    nnd_str model = {0};
    static float one[MAX_OUTPUTS][ROOM];
    n->outputs = 0;
    for (const char *w = outputs; *w; w += strcspn(w, ","), w += *w == ',') {
        char name[16];
        size_t size = strcspn(w, ",");
        if (!size) continue;
        snprintf(name, sizeof name, "%.*s", (int)size, w);
        ow_value(&n->graph, OW_OUTPUT, name, OW_F32, -1, NULL, NULL);
        n->outputs++;
    }
    ow_node_of(&n->graph, MS, type, n->names.data, outputs, &n->attrs);
    ow_model(&model, &n->graph, 21);
    memset(n->out, 0, sizeof n->out);
    nnd_status status = run_threads(n, &model, 1);
    memcpy(one, n->out, sizeof one);
    if (status == NND_OK) {
        assert_ok(run_threads(n, &model, 4));
        assert_memory_equal(one, n->out, sizeof one);
    }
    nnd_str_free(&model);
    nnd_str_free(&n->names);
    return status;
}

static inline void run_well(net *n, const char *type, const char *outputs)
{
    nnd_status status = run(n, type, outputs);
    if (status != NND_OK) report_error(type);
    assert_int_equal(status, NND_OK);
}

static inline void same(const float *got, const double *want, size_t n, double bound)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= bound * fmax(1.0, fabs(want[i]))))
            fail_msg("[%zu] is %g, not %g", i, (double)got[i], want[i]);
}

/* Values between −1 and 1. */
static inline float *numbers(float *x, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / (float)(1u << 23) - 1.0f;
    }
    return x;
}

static inline double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

#endif
