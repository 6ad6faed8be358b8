/* Edge cases on tiny models: the contract of nndeploy/infer.h, the same on every backend. */
#include "edges_param.h"
#include "nndeploy/nodes.h"
#include "small.h"

#include <stdlib.h>

/* Loads `graph` or ends the case with the verdict on that. */
#define LOAD(b, graph, opset)                                                                      \
    do {                                                                                           \
        nnd_status load_status_ = bench_load(&(b), t->backend, &(graph), opset);                   \
        if (load_status_ != NND_OK) return trial_not_loaded(t, load_status_);                      \
    } while (0)

/* Runs b.request from x to y, or ends the case with the verdict on that. */
#define RUN(b, x, y)                                                                               \
    do {                                                                                           \
        nnd_status run_status_ = run_xy((b).request, x, y);                                        \
        if (run_status_ != NND_OK) {                                                               \
            nnd_value_unref(x);                                                                    \
            bench_close(&(b));                                                                     \
            return trial_not_run(t, run_status_);                                                  \
        }                                                                                          \
    } while (0)

/* ---- shapes -------------------------------------------------------------------------------- */

static verdict several_ports(trial *t)
{
    nnd_str graph = {0};
    bench b;
    nnd_value *sum, *difference;
    ow_value(&graph, OW_INPUT, "p", OW_F32, 2, DIMS(1, 2), NULL);
    ow_value(&graph, OW_INPUT, "q", OW_F32, 2, DIMS(1, 2), NULL);
    ow_node(&graph, "Add", "p,q", "sum", NULL);
    ow_node(&graph, "Sub", "p,q", "difference", NULL);
    ow_value(&graph, OW_OUTPUT, "sum", OW_F32, 2, DIMS(1, 2), NULL);
    ow_value(&graph, OW_OUTPUT, "difference", OW_F32, 2, DIMS(1, 2), NULL);
    LOAD(b, graph, 13);
    nnd_value *p = tensor_f32(2, DIMS(1, 2), FLOATS(5, 7)),
              *q = tensor_f32(2, DIMS(1, 2), FLOATS(1, 2));
    CHECK(nnd_model_input_count(b.model) == 2 && nnd_model_output_count(b.model) == 2);
    CHECK_OK(nnd_request_bind_input(b.request, "q", q));
    CHECK_OK(nnd_request_bind_input(b.request, "p", p));
    CHECK_OK(nnd_request_run(b.request, NULL));
    CHECK_OK(nnd_request_output(b.request, "difference", &difference));
    CHECK_OK(nnd_request_output(b.request, "sum", &sum));
    CHECK(is_f32(sum, 2, DIMS(1, 2), FLOATS(6, 9)) &&
          is_f32(difference, 2, DIMS(1, 2), FLOATS(4, 5)));
    nnd_value_unref(p), nnd_value_unref(q), nnd_value_unref(sum), nnd_value_unref(difference);
    bench_close(&b);
    return PASSED;
}

static verdict dynamic_batch(trial *t)
{
    nnd_str graph = {0};
    bench b;
    const float in[12] = {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3};
    const float out[12] = {1, 2, 3, 2, 3, 4, 3, 4, 5, 4, 5, 6};
    graph_add_bias(&graph);
    LOAD(b, graph, 13);
    CHECK(nnd_model_input(b.model, 0)->dims[0].value == -1);
    const int64_t sizes[] = {4, 1, 2};
    for (size_t i = 0; i < NND_COUNT(sizes); i++) {
        int64_t n = sizes[i];
        nnd_value *x = tensor_f32(2, DIMS(n, 3), in), *y;
        RUN(b, x, &y);
        CHECK(is_f32(y, 2, DIMS(n, 3), out));
        nnd_value_unref(x), nnd_value_unref(y);
    }
    bench_close(&b);
    return PASSED;
}

static verdict dynamic_size(trial *t)
{
    static const char *const symbols[] = {"h", "w"}, *const turned[] = {"w", "h"};
    nnd_str graph = {0};
    bench b;
    ow_value(&graph, OW_INPUT, "x", OW_F32, 2, DIMS(-1, -1), symbols);
    ow_node(&graph, "Transpose", "x", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 2, DIMS(-1, -1), turned);
    LOAD(b, graph, 13);
    nnd_value *x = tensor_f32(2, DIMS(2, 3), FLOATS(1, 2, 3, 4, 5, 6)), *y, *z;
    RUN(b, x, &y);
    CHECK(is_f32(y, 2, DIMS(3, 2), FLOATS(1, 4, 2, 5, 3, 6)));
    RUN(b, y, &z); /* a result as the next input */
    CHECK(is_f32(z, 2, DIMS(2, 3), FLOATS(1, 2, 3, 4, 5, 6)));
    nnd_value_unref(x), nnd_value_unref(y), nnd_value_unref(z);
    bench_close(&b);
    return PASSED;
}

static verdict zero_size(trial *t)
{
    nnd_str graph = {0};
    bench b;
    graph_add_bias(&graph);
    LOAD(b, graph, 13);
    nnd_value *x = tensor_f32(2, DIMS(0, 3), NULL), *y;
    RUN(b, x, &y);
    CHECK(is_f32(y, 2, DIMS(0, 3), NULL));
    nnd_value_unref(x), nnd_value_unref(y);
    bench_close(&b);
    return PASSED;
}

static verdict scalars(trial *t)
{
    nnd_str graph = {0};
    bench b;
    const float one = 1;
    ow_value(&graph, OW_INPUT, "x", OW_F32, 0, NULL, NULL);
    ow_initializer(&graph, "one", OW_F32, 0, NULL, &one, sizeof one);
    ow_node(&graph, "Add", "x,one", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 0, NULL, NULL);
    LOAD(b, graph, 13);
    nnd_value *x = tensor_f32(0, NULL, FLOATS(41)), *v = tensor_f32(1, DIMS(1), FLOATS(1)), *y;
    RUN(b, x, &y);
    CHECK(is_f32(y, 0, NULL, FLOATS(42)));
    nnd_value_unref(y);
    RUN(b, v, &y); /* a vector of one element stands for a scalar */
    CHECK(nnd_tensor_count(nnd_value_tensor(y)) == 1);
    CHECK(*(const float *)nnd_value_tensor(y)->data == 2);
    nnd_value_unref(x), nnd_value_unref(v), nnd_value_unref(y);
    bench_close(&b);
    return PASSED;
}

static verdict with_gaps(trial *t)
{
    nnd_str graph = {0};
    bench b;
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    nnd_tensor view;
    nnd_value *x, *y;
    graph_add_bias(&graph);
    LOAD(b, graph, 13);
    desc.bytes = 8 * sizeof(float);
    CHECK_OK(nnd_tensor_init(&view, NND_F32, 2, DIMS(2, 3), NULL));
    CHECK_OK(nnd_buffer_create(&desc, &view.buffer));
    view.data = nnd_buffer_data(view.buffer);
    view.strides[0] = 4; /* one float between the rows */
    memcpy(view.data, FLOATS(0, 0, 0, 99, 1, 1, 1, 99), desc.bytes);
    CHECK_OK(nnd_value_from_tensor(&view, &x));
    RUN(b, x, &y);
    CHECK(is_f32(y, 2, DIMS(2, 3), FLOATS(1, 2, 3, 2, 3, 4)));
    nnd_buffer_unref(view.buffer), nnd_value_unref(x), nnd_value_unref(y);
    bench_close(&b);
    return PASSED;
}

/* ---- mistakes ------------------------------------------------------------------------------ */

static verdict wrong_bindings(trial *t)
{
    nnd_str graph = {0};
    bench b;
    nnd_value *whole, *y, *x = tensor_f32(2, DIMS(1, 3), FLOATS(1, 2, 3));
    nnd_value *wide = tensor_f32(2, DIMS(1, 4), FLOATS(1, 2, 3, 4));
    graph_add_bias(&graph);
    LOAD(b, graph, 13);
    CHECK_OK(nnd_value_new_tensor(NND_I64, 2, DIMS(1, 3), &whole));
    CHECK(failed_with(nnd_request_run(b.request, NULL), NND_E_INVALID_ARGUMENT, "x"));
    CHECK(failed_with(nnd_request_bind_input(b.request, "x", whole), NND_E_TYPE, "i64"));
    CHECK(failed_with(nnd_request_bind_input(b.request, "x", wide), NND_E_SHAPE, "4"));
    CHECK(failed_with(nnd_request_bind_input(b.request, "X", x), NND_E_NOT_FOUND, "x"));
    CHECK(failed_with(nnd_request_output(b.request, "z", &y), NND_E_NOT_FOUND, "y"));
    RUN(b, x, &y); /* and it still works */
    CHECK(is_f32(y, 2, DIMS(1, 3), FLOATS(2, 4, 6)));
    nnd_value_unref(x), nnd_value_unref(y), nnd_value_unref(wide), nnd_value_unref(whole);
    bench_close(&b);
    return PASSED;
}

static verdict unknown_operator(trial *t)
{
    nnd_str graph = {0};
    bench b;
    graph_unary(&graph, "FoldSpaceTime", OW_F32, 1, DIMS(2));
    nnd_status status = bench_load(&b, t->backend, &graph, 13);
    CHECK(failed_with(status, NND_E_UNSUPPORTED, "FoldSpaceTime"));
    return PASSED;
}

static verdict damaged_model(trial *t)
{
    static const char noise[] = "this is no model at all, only a line of text";
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    nnd_model *model = NULL;
    nnd_str graph = {0}, bytes = {0};
    options.backend = t->backend;
    CHECK(failed_with(nnd_model_load_memory(noise, sizeof noise, &options, &model), NND_E_FORMAT,
                      ""));
    graph_add_bias(&graph);
    ow_model(&bytes, &graph, 13);
    nnd_status status = nnd_model_load_memory(bytes.data, bytes.size / 2, &options, &model);
    CHECK(failed_with(status, NND_E_FORMAT, ""));
    nnd_str_free(&bytes);
    return PASSED;
}

/* ---- memory -------------------------------------------------------------------------------- */

static verdict bound_outputs(trial *t)
{
    nnd_str graph = {0};
    bench b;
    nnd_value *x = tensor_f32(2, DIMS(2, 3), FLOATS(0, 0, 0, 1, 1, 1)), *y;
    nnd_value *room = tensor_f32(2, DIMS(2, 3), FLOATS(9, 9, 9, 9, 9, 9));
    nnd_value *large = tensor_f32(2, DIMS(4, 3), FLOATS(9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9));
    graph_add_bias(&graph);
    LOAD(b, graph, 13);
    CHECK_OK(nnd_request_bind_output(b.request, "y", room));
    RUN(b, x, &y);
    CHECK(nnd_value_tensor(y)->data == nnd_value_tensor(room)->data);
    CHECK(is_f32(room, 2, DIMS(2, 3), FLOATS(1, 2, 3, 2, 3, 4)));
    nnd_value_unref(y);
    CHECK_OK(nnd_request_bind_output(b.request, "y", large)); /* may fit: the batch is free */
    CHECK(failed_with(nnd_request_run(b.request, NULL), NND_E_SHAPE, ""));
    CHECK_OK(nnd_request_bind_output(b.request, "y", NULL));
    RUN(b, x, &y);
    CHECK(is_f32(y, 2, DIMS(2, 3), FLOATS(1, 2, 3, 2, 3, 4)));
    nnd_value_unref(x), nnd_value_unref(y), nnd_value_unref(room), nnd_value_unref(large);
    bench_close(&b);
    return PASSED;
}

static verdict held_results(trial *t)
{
    nnd_str graph = {0};
    bench b;
    enum { RUNS = 8 };
    nnd_value *held[RUNS];
    graph_add_bias(&graph);
    LOAD(b, graph, 13);
    for (int i = 0; i < RUNS; i++) {
        nnd_value *x = tensor_f32(2, DIMS(1, 3), FLOATS((float)i, 0, 0));
        RUN(b, x, &held[i]);
        nnd_value_unref(x);
    }
    bench_close(&b); /* results outlive request and model */
    for (int i = 0; i < RUNS; i++) {
        CHECK(is_f32(held[i], 2, DIMS(1, 3), FLOATS((float)i + 1, 2, 3)));
        nnd_value_unref(held[i]);
    }
    return PASSED;
}

/* An output that is the input unchanged must not depend on memory that its owner has let go. */
static verdict unchanged_output(trial *t)
{
    nnd_str graph = {0};
    bench b;
    nnd_value *x = tensor_f32(1, DIMS(3), FLOATS(1, 2, 3)), *y;
    graph_unary(&graph, "Identity", OW_F32, 1, DIMS(3));
    LOAD(b, graph, 13);
    RUN(b, x, &y);
    nnd_value_unref(x);
    bench_close(&b);
    CHECK(is_f32(y, 1, DIMS(3), FLOATS(1, 2, 3)));
    nnd_value_unref(y);
    return PASSED;
}

static verdict no_copies(trial *t)
{
    nnd_str graph = {0};
    bench b;
    nnd_copy_stats before, after;
    nnd_value *x = tensor_f32(2, DIMS(1, 3), FLOATS(1, 2, 3)), *y;
    graph_add_bias(&graph);
    LOAD(b, graph, 13);
    nnd_copy_get_stats(&before);
    for (int i = 0; i < 10; i++) {
        RUN(b, x, &y);
        nnd_value_unref(y);
    }
    nnd_copy_get_stats(&after);
    snprintf(t->detail, sizeof t->detail, "%llu copies in 10 runs",
             (unsigned long long)(after.copies - before.copies));
    nnd_value_unref(x);
    bench_close(&b);
    CHECK(after.copies == before.copies);
    return PASSED;
}

static verdict state_feedback(trial *t)
{
    nnd_str graph = {0};
    bench b;
    nnd_value *zero = tensor_f32(2, DIMS(1, 2), FLOATS(0, 0)), *y;
    nnd_value *x = tensor_f32(2, DIMS(1, 2), FLOATS(1, 2));
    ow_value(&graph, OW_INPUT, "state", OW_F32, 2, DIMS(1, 2), NULL);
    ow_value(&graph, OW_INPUT, "x", OW_F32, 2, DIMS(1, 2), NULL);
    ow_node(&graph, "Add", "state,x", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 2, DIMS(1, 2), NULL);
    LOAD(b, graph, 13);
    CHECK_OK(nnd_request_alias(b.request, "y", "state"));
    CHECK_OK(nnd_request_bind_input(b.request, "state", zero));
    for (int i = 1; i <= 5; i++) {
        RUN(b, x, &y);
        CHECK(is_f32(y, 2, DIMS(1, 2), FLOATS((float)i, 2 * (float)i)));
        nnd_value_unref(y);
    }
    CHECK(is_f32(zero, 2, DIMS(1, 2), FLOATS(0, 0)));
    nnd_value_unref(zero), nnd_value_unref(x);
    bench_close(&b);
    return PASSED;
}

/* ---- types --------------------------------------------------------------------------------- */

static verdict element_types(trial *t)
{
    /* ONNX numbers of the types that Identity has always taken. */
    static const struct {
        int element;
        nnd_dtype dtype;
    } types[] = {{1, NND_F32},  {2, NND_U8},   {3, NND_I8},   {4, NND_U16},
                 {5, NND_I16},  {6, NND_I32},  {7, NND_I64},  {9, NND_BOOL},
                 {10, NND_F16}, {11, NND_F64}, {12, NND_U32}, {13, NND_U64}};
    size_t refused = 0;
    char list[200] = "";
    for (size_t i = 0; i < NND_COUNT(types); i++) {
        nnd_str graph = {0};
        bench b;
        nnd_value *x, *y;
        graph_unary(&graph, "Identity", types[i].element, 1, DIMS(5));
        nnd_status status = bench_load(&b, t->backend, &graph, 13);
        if (status == NND_E_UNSUPPORTED) {
            size_t n = strlen(list);
            snprintf(list + n, sizeof list - n, " %s", nnd_dtype_name(types[i].dtype));
            refused++;
            continue;
        }
        CHECK(status == NND_OK);
        CHECK_OK(nnd_value_new_tensor(types[i].dtype, 1, DIMS(5), &x));
        for (size_t k = 0; k < 5; k++)
            nnd_dtype_set(types[i].dtype, nnd_value_tensor(x)->data, k, (double)(k & 1));
        RUN(b, x, &y);
        CHECK(nnd_value_tensor(y)->dtype == types[i].dtype);
        CHECK(memcmp(nnd_value_tensor(y)->data, nnd_value_tensor(x)->data,
                     nnd_tensor_bytes(nnd_value_tensor(x))) == 0);
        nnd_value_unref(x), nnd_value_unref(y);
        bench_close(&b);
    }
    if (refused) snprintf(t->detail, sizeof t->detail, "refused:%s", list);
    return refused == NND_COUNT(types) ? REFUSED : PASSED;
}

static verdict strings(trial *t)
{
    enum { ONNX_STRING = 8 };
    nnd_str graph = {0};
    bench b;
    nnd_value *x, *y;
    graph_unary(&graph, "Identity", ONNX_STRING, 1, DIMS(3));
    LOAD(b, graph, 13);
    CHECK_OK(nnd_value_new_tensor(NND_STRING, 1, DIMS(3), &x));
    CHECK_OK(nnd_value_set_string(x, 1, "größe", strlen("größe")));
    CHECK_OK(nnd_value_set_string(x, 2, "a\0b", 3));
    nnd_status status = run_xy(b.request, x, &y);
    if (status != NND_OK) {
        nnd_value_unref(x);
        bench_close(&b);
        return trial_not_loaded(t, status);
    }
    const nnd_tensor *out = nnd_value_tensor(y);
    CHECK(out && out->dtype == NND_STRING && nnd_tensor_count(out) == 3);
    const nnd_string *s = out->data;
    CHECK(s[0].size == 0 && s[1].size == strlen("größe") && s[2].size == 3);
    CHECK(strcmp(s[1].text, "größe") == 0 && memcmp(s[2].text, "a\0b", 3) == 0);
    nnd_value_unref(x), nnd_value_unref(y);
    bench_close(&b);
    return PASSED;
}

static verdict optional_input(trial *t)
{
    nnd_str graph = {0};
    bench b;
    const float b_default[2] = {10, 20};
    nnd_value *x = tensor_f32(1, DIMS(2), FLOATS(1, 2)), *y;
    nnd_value *other = tensor_f32(1, DIMS(2), FLOATS(5, 5));
    ow_value(&graph, OW_INPUT, "x", OW_F32, 1, DIMS(2), NULL);
    ow_value(&graph, OW_INPUT, "b", OW_F32, 1, DIMS(2), NULL);
    ow_initializer(&graph, "b", OW_F32, 1, DIMS(2), b_default, sizeof b_default);
    ow_node(&graph, "Add", "x,b", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 1, DIMS(2), NULL);
    LOAD(b, graph, 13);
    RUN(b, x, &y);
    CHECK(is_f32(y, 1, DIMS(2), FLOATS(11, 22)));
    nnd_value_unref(y);
    nnd_status status = nnd_request_bind_input(b.request, "b", other);
    if (status == NND_E_NOT_FOUND) {
        snprintf(t->detail, sizeof t->detail, "defaults cannot be given anew");
        nnd_error_clear();
    } else {
        CHECK(status == NND_OK);
        RUN(b, x, &y);
        CHECK(is_f32(y, 1, DIMS(2), FLOATS(6, 7)));
        nnd_value_unref(y);
    }
    nnd_value_unref(x), nnd_value_unref(other);
    bench_close(&b);
    return PASSED;
}

/* ---- files --------------------------------------------------------------------------------- */

static nnd_status open_weights(void *user, const char *name, const void **bytes, size_t *size,
                               void (**release)(void *handle), void **handle)
{
    static const float weights[3] = {1, 2, 3};
    if (strcmp(name, "weights.bin") != 0)
        return nnd_error_set(NND_E_MISSING, "no file '%s' here", name);
    ++*(int *)user;
    *bytes = weights;
    *size = sizeof weights;
    *release = NULL;
    *handle = NULL;
    return NND_OK;
}

/* Weights in a file of their own come through the host's open_file, not from the disk. */
static verdict external_data(trial *t)
{
    nnd_str graph = {0}, bytes = {0};
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    nnd_model *model = NULL;
    nnd_request *request;
    nnd_value *x = tensor_f32(1, DIMS(3), FLOATS(1, 1, 1)), *y;
    int opened = 0;
    ow_external(&graph, "b", OW_F32, 1, (int64_t[]){3}, "weights.bin", "0");
    ow_value(&graph, OW_INPUT, "x", OW_F32, 1, DIMS(3), NULL);
    ow_node(&graph, "Add", "x,b", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 1, DIMS(3), NULL);
    ow_model(&bytes, &graph, 13);
    options.backend = t->backend;
    options.open_file = open_weights;
    options.open_user = &opened;
    nnd_status status = nnd_model_load_memory(bytes.data, bytes.size, &options, &model);
    verdict v = status == NND_OK ? PASSED : trial_not_loaded(t, status);
    if (v == PASSED) {
        CHECK(opened > 0);
        CHECK_OK(nnd_request_create(model, NULL, &request));
        CHECK_OK(run_xy(request, x, &y));
        CHECK(is_f32(y, 1, DIMS(3), FLOATS(2, 3, 4)));
        nnd_value_unref(y);
        nnd_request_destroy(request);
    }
    nnd_model_unref(model);
    nnd_value_unref(x);
    nnd_str_free(&bytes);
    return v;
}

static verdict opened_again(trial *t)
{
    for (int i = 0; i < 10; i++) {
        nnd_str graph = {0};
        bench b;
        nnd_value *x = tensor_f32(2, DIMS(1, 3), FLOATS(1, 2, 3)), *y;
        graph_add_bias(&graph);
        LOAD(b, graph, 13);
        RUN(b, x, &y);
        CHECK(is_f32(y, 2, DIMS(1, 3), FLOATS(2, 4, 6)));
        nnd_value_unref(x), nnd_value_unref(y);
        bench_close(&b);
    }
    return PASSED;
}

/* ---- threads ------------------------------------------------------------------------------- */

typedef struct worker {
    nnd_model *model;
    float base;
    bool right;
} worker;

static void work(void *arg)
{
    worker *w = arg;
    nnd_request *request = NULL;
    bool right = nnd_request_create(w->model, NULL, &request) == NND_OK;
    for (int i = 0; right && i < 200; i++) {
        float v = w->base + (float)i;
        nnd_value *x = tensor_f32(2, DIMS(1, 3), FLOATS(v, v, v)), *y = NULL;
        right = run_xy(request, x, &y) == NND_OK &&
                is_f32(y, 2, DIMS(1, 3), FLOATS(v + 1, v + 2, v + 3));
        nnd_value_unref(x), nnd_value_unref(y);
    }
    nnd_request_destroy(request);
    w->right = right;
}

static verdict two_threads(trial *t)
{
    nnd_str graph = {0};
    bench b;
    nnd_port_thread *threads[2];
    graph_add_bias(&graph);
    LOAD(b, graph, 13);
    worker workers[2] = {{b.model, 0, false}, {b.model, 1000, false}};
    for (int i = 0; i < 2; i++)
        CHECK(nnd_port_thread_create("conformance", work, &workers[i], &threads[i]) == 0);
    for (int i = 0; i < 2; i++)
        nnd_port_thread_join(threads[i]);
    CHECK(workers[0].right && workers[1].right);
    bench_close(&b);
    return PASSED;
}

static verdict start_and_wait(trial *t)
{
    nnd_str graph = {0};
    bench b;
    nnd_value *x = tensor_f32(2, DIMS(1, 3), FLOATS(1, 2, 3)), *y;
    graph_add_bias(&graph);
    LOAD(b, graph, 13);
    CHECK_OK(nnd_request_bind_input(b.request, "x", x));
    CHECK_OK(nnd_request_start(b.request, NULL));
    CHECK_OK(nnd_request_wait(b.request, NULL));
    CHECK_OK(nnd_request_output(b.request, "y", &y));
    CHECK(is_f32(y, 2, DIMS(1, 3), FLOATS(2, 4, 6)));
    nnd_value_unref(x), nnd_value_unref(y);
    bench_close(&b);
    return PASSED;
}

/* A chain of products that takes seconds: x·w·w·…·w. */
static void graph_long(nnd_str *graph)
{
    enum { SIDE = 256, STEPS = 3000 };
    static const float w[SIDE * SIDE];
    char from[16] = "x", to[16], inputs[32];
    ow_initializer(graph, "w", OW_F32, 2, DIMS(SIDE, SIDE), w, sizeof w);
    ow_value(graph, OW_INPUT, "x", OW_F32, 2, DIMS(SIDE, SIDE), NULL);
    for (int i = 0; i < STEPS; i++) {
        snprintf(to, sizeof to, i + 1 < STEPS ? "t%d" : "y", i);
        snprintf(inputs, sizeof inputs, "%s,w", from);
        ow_node(graph, "MatMul", inputs, to, NULL);
        memcpy(from, to, sizeof from);
    }
    ow_value(graph, OW_OUTPUT, "y", OW_F32, 2, DIMS(SIDE, SIDE), NULL);
}

static void cancel_later(void *arg)
{
    nnd_port_sleep(30 * 1000 * 1000);
    nnd_cancel_request(arg);
}

static verdict cancelling(trial *t)
{
    nnd_str graph = {0};
    bench b;
    nnd_cancel *token;
    nnd_port_thread *thread;
    nnd_value *x;
    graph_long(&graph);
    LOAD(b, graph, 13);
    CHECK_OK(nnd_value_new_tensor(NND_F32, 2, DIMS(256, 256), &x));
    memset(nnd_value_tensor(x)->data, 0, 256 * 256 * sizeof(float));
    CHECK_OK(nnd_request_bind_input(b.request, "x", x));

    CHECK_OK(nnd_cancel_create(NULL, &token));
    CHECK(nnd_port_thread_create("canceller", cancel_later, token, &thread) == 0);
    int64_t start = nnd_clock_now();
    nnd_status status = nnd_request_run(b.request, token);
    int64_t stopped = nnd_clock_now() - start;
    nnd_port_thread_join(thread);
    CHECK(status == NND_E_CANCELLED);
    CHECK(nnd_request_run(b.request, token) == NND_E_CANCELLED); /* before it begins */
    nnd_cancel_unref(token);

    CHECK_OK(nnd_cancel_create(NULL, &token));
    nnd_cancel_set_deadline(token, nnd_clock_now() + 30 * 1000 * 1000);
    CHECK(nnd_request_run(b.request, token) == NND_E_TIMEOUT);
    nnd_cancel_unref(token);
    snprintf(t->detail, sizeof t->detail, "stopped %.1f ms after the run began, cancelled at 30 ms",
             (double)stopped * 1e-6);
    nnd_error_clear();
    nnd_value_unref(x);
    bench_close(&b);
    return PASSED;
}

/* ---- libraries that cannot work ------------------------------------------------------------ */

/* Backends whose library is found at run time, and the variable that names it. */
static const char *const run_time_loaded[][2] = {{"onnxruntime", "NNDEPLOY_ONNXRUNTIME"},
                                                 {"openvino", "NNDEPLOY_OPENVINO"},
                                                 {"ncnn", "NNDEPLOY_NCNN"}};

int conformance_probe_fails(const char *name)
{
    static const char bytes[] = "";
    const nnd_backend *backend = nnd_backend_find(name);
    nnd_backend_status status = {.size = sizeof status};
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    nnd_model *model = NULL;
    if (!backend) return 1;
    backend->probe(&status);
    options.backend = name;
    if (status.available || !status.reason[0]) return 1;
    return nnd_model_load_memory(bytes, 1, &options, &model) == NND_E_MISSING ? 0 : 1;
}

static bool probe_with(const trial *t, const char *variable, const char *path)
{
    char setting[1100];
    int code = -1;
    nnd_port_process *process = NULL;
    snprintf(setting, sizeof setting, "%s=%s", variable, path);
    const char *argv[] = {t->program, "--probe", t->backend, NULL}, *env[] = {setting, NULL};
    nnd_port_spawn spawn = {.argv = argv, .env = env};
    if (nnd_port_process_spawn(&spawn, &process) == 0)
        (void)nnd_port_process_wait(process, nnd_port_now() + (int64_t)60e9, &code);
    nnd_port_process_destroy(process);
    return code == 0;
}

/* A plug-in is refused as a whole; nothing is left of it. */
static bool plugin_fails(const char *path)
{
    size_t before = nnd_backend_count();
    nnd_status status = nnd_nodes_load_plugin(nnd_nodes_registry(), path);
    nnd_error *error = nnd_error_take();
    bool says_why = error && strstr(nnd_error_message(error), path);
    nnd_error_destroy(error);
    return (status == NND_E_FORMAT || status == NND_E_NOT_FOUND) && says_why &&
           nnd_backend_count() == before;
}

/* The first `part` of a file, that is a file cut off. */
static bool cut_file(const char *from, const char *to, size_t part)
{
    char *bytes = NULL;
    size_t size = 0;
    bool done = nnd_port_file_read(from, (size_t)1 << 30, &bytes, &size) == 0 &&
                nnd_port_file_write_atomic(to, bytes, size / part) == 0;
    nnd_port_free(bytes);
    return done;
}

static verdict broken_library(trial *t)
{
    static const char text[] = "not a library";
    const char *variable = NULL;
    char *folder = NULL, path[1024];
    for (size_t i = 0; i < NND_COUNT(run_time_loaded); i++)
        if (strcmp(run_time_loaded[i][0], t->backend) == 0) variable = run_time_loaded[i][1];
    if (!variable && !t->plugin) return SKIPPED; /* inside of our own library */
    CHECK(nnd_port_dir_create_temp("nnd-conformance", &folder) == 0);
    snprintf(path, sizeof path, "%s/broken.so", folder);
    CHECK(nnd_port_file_write_atomic(path, text, sizeof text) == 0);
    bool broken = variable ? probe_with(t, variable, path) : plugin_fails(path);
    if (t->plugin) broken = broken && cut_file(t->plugin, path, 2) && plugin_fails(path);
    snprintf(path, sizeof path, "%s/absent.so", folder);
    bool absent = variable ? probe_with(t, variable, path) : plugin_fails(path);
    /* A library, but not that one. A plug-in is looked for as a file. */
    bool other = variable ? probe_with(t, variable, "libm.so.6") : true;
    (void)nnd_port_dir_remove_tree(folder);
    nnd_port_free(folder);
    CHECK(broken);
    CHECK(absent);
    CHECK(other);
    return PASSED;
}

const conformance_case conformance_edges[] = {
    {"several ports", "several inputs and outputs, by name", "多个输入输出,按名称", several_ports,
     param_several_ports, false},
    {"dynamic batch", "batch size changes from run to run", "批大小逐次变化", dynamic_batch,
     param_dynamic_batch, false},
    {"dynamic size", "height and width change from run to run", "高宽逐次变化", dynamic_size,
     param_dynamic_size, false},
    {"zero size", "tensors without elements", "零元素张量", zero_size, param_zero_size, false},
    {"scalars", "scalars", "标量", scalars, param_scalars, false},
    {"strided input", "inputs with gaps between rows", "行间有间隔的输入", with_gaps,
     param_with_gaps, false},
    {"wrong bindings", "wrong dtype, shape, name are told apart", "区分错误的类型、形状、名称",
     wrong_bindings, param_wrong_bindings, false},
    {"unknown operator", "an operator that nobody has is refused by name", "未知算子按名称拒绝",
     unknown_operator, param_unknown_operator, false},
    {"damaged model", "damaged files are refused", "拒绝损坏的文件", damaged_model,
     param_damaged_model, false},
    {"bound outputs", "results go into the caller's memory", "结果写入调用者的内存", bound_outputs,
     param_bound_outputs, false},
    {"held results", "results outlive later runs and the model", "结果在后续运行和模型之后仍有效",
     held_results, param_held_results, false},
    {"unchanged output", "an output that is the input", "与输入相同的输出", unchanged_output,
     param_unchanged_output, false},
    {"no copies", "no copies of inputs and outputs", "输入输出零拷贝", no_copies, param_no_copies,
     false},
    {"state", "an output fed back as input", "输出反馈为输入", state_feedback, param_state_feedback,
     false},
    {"element types", "12 element types", "12 种元素类型", element_types, NULL, false},
    {"strings", "strings", "字符串", strings, NULL, false},
    {"optional input", "inputs with a default", "带默认值的输入", optional_input, NULL, false},
    {"external data", "weights in a file of their own", "权重在单独文件中", external_data,
     param_external_data, false},
    {"opened again", "loaded and unloaded ten times", "载入卸载十次", opened_again,
     param_opened_again, false},
    {"two threads", "two threads with a request each", "两个线程各一个请求", two_threads,
     param_two_threads, false},
    {"start and wait", "start and wait", "启动与等待", start_and_wait, param_start_and_wait, false},
    {"cancelling", "stopped by a token and by a deadline", "由令牌或期限停止", cancelling,
     param_cancelling, false},
    {"broken library", "missing, broken or foreign library", "缺失、损坏或错误的库", broken_library,
     broken_library, true},
};
const size_t conformance_edge_count = NND_COUNT(conformance_edges);
