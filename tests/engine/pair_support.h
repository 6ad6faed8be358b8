/*
 * Two results of one model that have to be equal: "a" by the operators under test, "b" by the plain
 * ones that they stand for.
 *
 *     pair p = {0};
 *     input(&p, "x", DIMS(3, 7));
 *     fused(&p, "QuickGelu", "x", "a");
 *     plain(&p, …, "b");
 *     compare(&p);
 */
#ifndef NND_TESTS_ENGINE_PAIR_SUPPORT_H
#define NND_TESTS_ENGINE_PAIR_SUPPORT_H

#include "base/isa.h"
#include "engine_support.h"
#include "onnx_writer.h"
#include "support/oom.h"

#define MS "com.microsoft"
enum { MAX_INPUTS = 7, ROOM = 512, OW_I32 = 6 };

typedef struct pair {
    nnd_str graph, attrs, model;
    size_t inputs;
    nnd_tensor t[MAX_INPUTS];
    float data[MAX_INPUTS][ROOM];
} pair;

#define DIMS(...)                                                                                  \
    NND_COUNT(((const int64_t[]){__VA_ARGS__})), (const int64_t[])                                 \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* An f32 input with values between −1 and 1. */
static inline void input(pair *p, const char *name, size_t rank, const int64_t *dims)
{
    size_t k = p->inputs++;
    assert_true(k < MAX_INPUTS);
    assert_ok(nnd_tensor_init(&p->t[k], NND_F32, (int)rank, dims, p->data[k]));
    assert_true(nnd_tensor_count(&p->t[k]) <= ROOM);
    for (size_t i = 0; i < ROOM; i++)
        p->data[k][i] = (float)((i * 37 + k * 11 + i * i * 5) % 101) / 50.0f - 1.0f;
    ow_value(&p->graph, OW_INPUT, name, OW_F32, (int)rank, dims, NULL);
}

static inline void constant(pair *p, const char *name, float v)
{
    ow_initializer(&p->graph, name, OW_F32, 0, NULL, &v, sizeof(v));
}

static inline void fused(pair *p, const char *type, const char *inputs, const char *outputs)
{
    ow_node_of(&p->graph, MS, type, inputs, outputs, &p->attrs);
}

static inline void plain(pair *p, const char *type, const char *inputs, const char *outputs)
{
    ow_node(&p->graph, type, inputs, outputs, &p->attrs);
}

static inline nnd_engine_model *load(pair *p)
{
    nnd_str model = {0};
    nnd_engine_model *m;
    ow_value(&p->graph, OW_OUTPUT, "a", OW_F32, 0, NULL, NULL);
    ow_value(&p->graph, OW_OUTPUT, "b", OW_F32, 0, NULL, NULL);
    ow_model(&model, &p->graph, 24);
    p->model = model;
    nnd_status status = nnd_engine_model_load_memory(model.data, model.size, NULL, &m);
    if (status != NND_OK) report_error("load");
    assert_int_equal(status, NND_OK);
    return m;
}

/* m: of `load`, is released. */
static inline void compare_in(pair *p, nnd_engine_model *m)
{
    nnd_engine_request *r;
    nnd_tensor a, b;
    double worst;
    assert_ok(nnd_engine_request_create(m, &r));
    for (size_t i = 0; i < p->inputs; i++)
        assert_ok(nnd_engine_request_bind_input(r, i, &p->t[i]));
    nnd_status status = nnd_engine_request_run(r, 2, NULL);
    if (status != NND_OK) report_error("run");
    assert_int_equal(status, NND_OK);
    assert_ok(nnd_engine_request_output(r, 0, &a));
    assert_ok(nnd_engine_request_output(r, 1, &b));
    assert_int_equal(a.dtype, b.dtype);
    assert_int_equal(nnd_tensor_count(&a), nnd_tensor_count(&b));
    assert_true(nnd_tensor_count(&a) > 0);
    assert_int_equal(count_mismatches(&a, &b, 1e-5, 1e-5, &worst), 0);
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&p->model);
}

static inline void compare(pair *p)
{
    compare_in(p, load(p));
}

static inline nnd_status load_and_run(const pair *p)
{
    nnd_engine_model *m;
    nnd_engine_request *r = NULL;
    nnd_status status = nnd_engine_model_load_memory(p->model.data, p->model.size, NULL, &m);
    if (status != NND_OK) return status;
    status = nnd_engine_request_create(m, &r);
    for (size_t i = 0; i < p->inputs && status == NND_OK; i++)
        status = nnd_engine_request_bind_input(r, i, &p->t[i]);
    if (status == NND_OK) status = nnd_engine_request_run(r, 1, NULL);
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    return status;
}

/* Equal results, and every allocation on the way there failing once. */
static inline void check_loaded(pair *p, nnd_engine_model *m)
{
    bool hit = true;
    (void)nnd_isa_current(); /* found out once; goes on without what it has no memory to read */
    oom_begin();
    for (long n = 0; hit; n++) {
        oom_fail_after(n);
        const nnd_status status = load_and_run(p);
        hit = oom_hit();
        oom_never();
        nnd_error_clear();
        if (status != (hit ? NND_E_OUT_OF_MEMORY : NND_OK))
            fail_msg("allocation %ld: %s", n, nnd_status_name(status));
        if (oom_live_blocks() != 0)
            fail_msg("allocation %ld: %ld blocks left", n, oom_live_blocks());
    }
    oom_end();
    compare_in(p, m);
}

static inline void check(pair *p)
{
    check_loaded(p, load(p));
}

static inline void ints(pair *p, const char *name, size_t count, const int64_t *v)
{
    const int64_t dims[1] = {(int64_t)count};
    ow_initializer(&p->graph, name, OW_I64, 1, dims, v, count * sizeof(*v));
}

static inline void floats(pair *p, const char *name, size_t rank, const int64_t *dims,
                          const float *v)
{
    size_t count = 1;
    for (size_t i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    ow_initializer(&p->graph, name, OW_F32, (int)rank, dims, v, count * sizeof(*v));
}

/* "a" and "b" of the values "got" and "want". */
static inline void check_same(pair *p)
{
    plain(p, "Identity", "got", "a");
    plain(p, "Identity", "want", "b");
    check(p);
}

/* The model with result "a" is refused, when it is loaded or when it runs. */
static inline void refuse(pair *p, const char *why)
{
    nnd_str model = {0};
    ow_value(&p->graph, OW_OUTPUT, "a", OW_F32, 0, NULL, NULL);
    ow_model(&model, &p->graph, 24);
    p->model = model;
    const nnd_status status = load_and_run(p);
    nnd_error *e = nnd_error_take();
    char *text = e ? nnd_error_to_string(e) : NULL;
    if (status == NND_OK || !text || !strstr(text, why))
        fail_msg("'%s' is not said: %s", why, text ? text : nnd_status_name(status));
    nnd_free(text);
    nnd_error_destroy(e);
    nnd_str_free(&p->model);
}

#endif
