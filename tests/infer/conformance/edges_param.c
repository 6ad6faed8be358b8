/* Edge cases on backends that read .param files (ncnn): what edges.c asks of ONNX models. */
#include "edges_param.h"

#include "small.h"

/* One row of three channels comes in: y[1,1,h,w] = x0 + 10·x1 + 100·x2 + 0.5. */
static const char net[] = "7767517\n2 2\nInput in 0 1 x\n"
                          "Convolution c 1 1 x y 0=1 1=1 5=1 6=3\n";
static const float weights[5] = {0 /* a flag: plain floats */, 1, 10, 100, 0.5f};

/* What open_file gives, and how often it was asked. */
typedef struct source {
    const void *bytes;
    size_t size;
    int opened;
} source;

static nnd_status open_bin(void *user, const char *name, const void **bytes, size_t *size,
                           void (**release)(void *handle), void **handle)
{
    source *s = user;
    if (strcmp(name, "net.bin") != 0)
        return nnd_error_set(NND_E_MISSING, "no file '%s' here", name);
    s->opened++;
    *bytes = s->bytes;
    *size = s->size;
    *release = NULL;
    *handle = NULL;
    return NND_OK;
}

static nnd_status load(bench *b, const trial *t, const char *text, source *from)
{
    *b = (bench){0};
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    options.backend = t->backend;
    options.threads = 1;
    options.config = "weights=net.bin";
    options.open_file = open_bin;
    options.open_user = from;
    nnd_status status = nnd_model_load_memory(text, strlen(text), &options, &b->model);
    if (status == NND_OK) status = nnd_request_create(b->model, NULL, &b->request);
    if (status != NND_OK) bench_close(b);
    return status;
}

#define LOAD(b, text)                                                                              \
    source from_ = {weights, strstr(text, "Convolution") ? sizeof weights : 0, 0};                 \
    bench b;                                                                                       \
    do {                                                                                           \
        nnd_status load_status_ = load(&(b), t, text, &from_);                                     \
        if (load_status_ != NND_OK) return trial_not_loaded(t, load_status_);                      \
    } while (0)

/* The refusal of a shape that the backend has no form for, in words. */
static verdict refused(trial *t, bench *b, nnd_value *x, nnd_status status)
{
    nnd_error *error = nnd_error_take();
    snprintf(t->detail, sizeof t->detail, "%s", error ? nnd_error_message(error) : "");
    nnd_error_destroy(error);
    nnd_value_unref(x);
    bench_close(b);
    return status == NND_E_SHAPE && t->detail[0] ? REFUSED : FAILED;
}

/* Runs the net on one column of three values and says whether the result is right. */
static bool runs_right(nnd_request *request, float v)
{
    nnd_value *x = tensor_f32(4, DIMS(1, 3, 1, 1), FLOATS(v, 2, 3)), *y = NULL;
    bool right = run_xy(request, x, &y) == NND_OK &&
                 is_f32(y, 4, DIMS(1, 1, 1, 1), FLOATS(v + 20 + 300 + 0.5f));
    nnd_value_unref(x), nnd_value_unref(y);
    return right;
}

/* ---- shapes -------------------------------------------------------------------------------- */

verdict param_several_ports(trial *t)
{
    LOAD(b, "7767517\n6 8\nInput i0 0 1 p\nInput i1 0 1 q\nSplit s0 1 2 p p0 p1\n"
            "Split s1 1 2 q q0 q1\nBinaryOp a 2 1 p0 q0 sum 0=0\n"
            "BinaryOp d 2 1 p1 q1 difference 0=1\n");
    nnd_value *p = tensor_f32(2, DIMS(1, 2), FLOATS(5, 7)), *sum;
    nnd_value *q = tensor_f32(2, DIMS(1, 2), FLOATS(1, 2)), *difference;
    CHECK(nnd_model_input_count(b.model) == 2 && nnd_model_output_count(b.model) == 2);
    CHECK_OK(nnd_request_bind_input(b.request, "q", q));
    CHECK_OK(nnd_request_bind_input(b.request, "p", p));
    CHECK_OK(nnd_request_run(b.request, NULL));
    CHECK_OK(nnd_request_output(b.request, "difference", &difference));
    CHECK_OK(nnd_request_output(b.request, "sum", &sum));
    CHECK(is_f32(sum, 2, DIMS(1, 2), FLOATS(6, 9)));
    CHECK(is_f32(difference, 2, DIMS(1, 2), FLOATS(4, 5)));
    nnd_value_unref(p), nnd_value_unref(q), nnd_value_unref(sum), nnd_value_unref(difference);
    bench_close(&b);
    return PASSED;
}

verdict param_dynamic_batch(trial *t)
{
    LOAD(b, net);
    nnd_value *x = tensor_f32(4, DIMS(2, 3, 1, 1), FLOATS(1, 2, 3, 4, 5, 6));
    return refused(t, &b, x, nnd_request_bind_input(b.request, "x", x));
}

verdict param_dynamic_size(trial *t)
{
    LOAD(b, net);
    const float in[18] = {0, 1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1};
    const int64_t sizes[][2] = {{2, 3}, {1, 2}, {3, 1}};
    for (size_t i = 0; i < NND_COUNT(sizes); i++) {
        int64_t h = sizes[i][0], w = sizes[i][1], n = h * w;
        float channels[18], out[6];
        for (int64_t k = 0; k < n; k++) {
            channels[k] = in[k], channels[n + k] = in[6 + k], channels[2 * n + k] = in[12 + k];
            out[k] = in[k] + 100.5f;
        }
        nnd_value *x = tensor_f32(4, DIMS(1, 3, h, w), channels), *y;
        CHECK_OK(run_xy(b.request, x, &y));
        CHECK(is_f32(y, 4, DIMS(1, 1, h, w), out));
        nnd_value_unref(x), nnd_value_unref(y);
    }
    bench_close(&b);
    return PASSED;
}

verdict param_zero_size(trial *t)
{
    LOAD(b, net);
    nnd_value *x = tensor_f32(4, DIMS(1, 3, 0, 2), NULL), *y;
    return refused(t, &b, x, run_xy(b.request, x, &y));
}

verdict param_scalars(trial *t)
{
    LOAD(b, "7767517\n2 2\nInput in 0 1 x\nBinaryOp a 1 1 x y 0=0 1=1 2=1.0\n");
    nnd_value *x = tensor_f32(0, NULL, FLOATS(41)), *y;
    return refused(t, &b, x, run_xy(b.request, x, &y));
}

verdict param_with_gaps(trial *t)
{
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    nnd_tensor view;
    nnd_value *x, *y;
    LOAD(b, net);
    desc.bytes = 9 * sizeof(float);
    CHECK_OK(nnd_tensor_init(&view, NND_F32, 4, DIMS(1, 3, 1, 2), NULL));
    CHECK_OK(nnd_buffer_create(&desc, &view.buffer));
    view.data = nnd_buffer_data(view.buffer);
    view.strides[1] = 3; /* one float between the channels */
    memcpy(view.data, FLOATS(1, 2, 99, 0, 0, 99, 1, 1, 99), desc.bytes);
    CHECK_OK(nnd_value_from_tensor(&view, &x));
    CHECK_OK(run_xy(b.request, x, &y));
    CHECK(is_f32(y, 4, DIMS(1, 1, 1, 2), FLOATS(101.5f, 102.5f)));
    nnd_buffer_unref(view.buffer), nnd_value_unref(x), nnd_value_unref(y);
    bench_close(&b);
    return PASSED;
}

/* ---- mistakes ------------------------------------------------------------------------------ */

verdict param_wrong_bindings(trial *t)
{
    nnd_value *whole, *y;
    LOAD(b, net);
    nnd_value *wide = tensor_f32(4, DIMS(1, 4, 1, 1), FLOATS(1, 2, 3, 4));
    CHECK_OK(nnd_value_new_tensor(NND_I64, 4, DIMS(1, 3, 1, 1), &whole));
    CHECK(failed_with(nnd_request_run(b.request, NULL), NND_E_INVALID_ARGUMENT, "x"));
    CHECK(failed_with(nnd_request_bind_input(b.request, "x", whole), NND_E_TYPE, "i64"));
    CHECK(failed_with(nnd_request_bind_input(b.request, "x", wide), NND_E_SHAPE, "4"));
    CHECK(failed_with(nnd_request_bind_input(b.request, "X", wide), NND_E_NOT_FOUND, "x"));
    CHECK(failed_with(nnd_request_output(b.request, "z", &y), NND_E_NOT_FOUND, "y"));
    CHECK(runs_right(b.request, 1)); /* and it still works */
    nnd_value_unref(whole), nnd_value_unref(wide);
    bench_close(&b);
    return PASSED;
}

verdict param_unknown_operator(trial *t)
{
    source from = {weights, sizeof weights, 0};
    bench b;
    nnd_status status =
        load(&b, t, "7767517\n2 2\nInput in 0 1 x\nFoldSpaceTime f 1 1 x y\n", &from);
    CHECK(failed_with(status, NND_E_UNSUPPORTED, "FoldSpaceTime"));
    return PASSED;
}

verdict param_damaged_model(trial *t)
{
    source from = {weights, sizeof weights, 0};
    bench b;
    char cut[sizeof net / 2] = "";
    memcpy(cut, net, sizeof cut - 1);
    CHECK(failed_with(load(&b, t, "this is no model at all", &from), NND_E_FORMAT, ""));
    CHECK(failed_with(load(&b, t, cut, &from), NND_E_FORMAT, ""));
    from.size = 8; /* the weights are cut off */
    CHECK(failed_with(load(&b, t, net, &from), NND_E_FORMAT, "net.bin"));
    return PASSED;
}

/* ---- memory -------------------------------------------------------------------------------- */

verdict param_bound_outputs(trial *t)
{
    LOAD(b, net);
    nnd_value *x = tensor_f32(4, DIMS(1, 3, 1, 1), FLOATS(1, 2, 3)), *y;
    nnd_value *room = tensor_f32(4, DIMS(1, 1, 1, 1), FLOATS(9));
    nnd_value *large = tensor_f32(4, DIMS(1, 1, 2, 1), FLOATS(9, 9));
    CHECK_OK(nnd_request_bind_output(b.request, "y", room));
    CHECK_OK(run_xy(b.request, x, &y));
    CHECK(nnd_value_tensor(y)->data == nnd_value_tensor(room)->data);
    CHECK(is_f32(room, 4, DIMS(1, 1, 1, 1), FLOATS(321.5f)));
    nnd_value_unref(y);
    CHECK_OK(nnd_request_bind_output(b.request, "y", large));
    CHECK(failed_with(nnd_request_run(b.request, NULL), NND_E_SHAPE, ""));
    CHECK_OK(nnd_request_bind_output(b.request, "y", NULL));
    CHECK(runs_right(b.request, 4));
    nnd_value_unref(x), nnd_value_unref(room), nnd_value_unref(large);
    bench_close(&b);
    return PASSED;
}

verdict param_held_results(trial *t)
{
    enum { RUNS = 8 };
    nnd_value *held[RUNS];
    LOAD(b, net);
    for (int i = 0; i < RUNS; i++) {
        nnd_value *x = tensor_f32(4, DIMS(1, 3, 1, 1), FLOATS((float)i, 0, 0));
        CHECK_OK(run_xy(b.request, x, &held[i]));
        nnd_value_unref(x);
    }
    bench_close(&b); /* results outlive request and model */
    for (int i = 0; i < RUNS; i++) {
        CHECK(is_f32(held[i], 4, DIMS(1, 1, 1, 1), FLOATS((float)i + 0.5f)));
        nnd_value_unref(held[i]);
    }
    return PASSED;
}

verdict param_unchanged_output(trial *t)
{
    LOAD(b, "7767517\n2 2\nInput in 0 1 x\nNoop n 1 1 x y\n");
    nnd_value *x = tensor_f32(2, DIMS(1, 3), FLOATS(1, 2, 3)), *y;
    CHECK_OK(run_xy(b.request, x, &y));
    nnd_value_unref(x);
    bench_close(&b);
    CHECK(is_f32(y, 2, DIMS(1, 3), FLOATS(1, 2, 3)));
    nnd_value_unref(y);
    return PASSED;
}

verdict param_no_copies(trial *t)
{
    nnd_copy_stats before, after;
    float in[12] = {1, 1, 1, 1};
    LOAD(b, net);
    nnd_value *x = tensor_f32(4, DIMS(1, 3, 1, 4), in), *y;
    nnd_copy_get_stats(&before);
    for (int i = 0; i < 10; i++) {
        CHECK_OK(run_xy(b.request, x, &y));
        nnd_value_unref(y);
    }
    nnd_copy_get_stats(&after);
    snprintf(t->detail, sizeof t->detail, "%llu copies in 10 runs, channels of four elements",
             (unsigned long long)(after.copies - before.copies));
    CHECK(after.copies == before.copies);
    nnd_value_unref(x);
    bench_close(&b);
    return PASSED;
}

verdict param_state_feedback(trial *t)
{
    LOAD(b, "7767517\n3 3\nInput i0 0 1 state\nInput i1 0 1 x\n"
            "BinaryOp a 2 1 state x y 0=0\n");
    nnd_value *zero = tensor_f32(2, DIMS(1, 2), FLOATS(0, 0)), *y;
    nnd_value *x = tensor_f32(2, DIMS(1, 2), FLOATS(1, 2));
    CHECK_OK(nnd_request_alias(b.request, "y", "state"));
    CHECK_OK(nnd_request_bind_input(b.request, "state", zero));
    for (int i = 1; i <= 5; i++) {
        CHECK_OK(run_xy(b.request, x, &y));
        CHECK(is_f32(y, 2, DIMS(1, 2), FLOATS((float)i, 2 * (float)i)));
        nnd_value_unref(y);
    }
    CHECK(is_f32(zero, 2, DIMS(1, 2), FLOATS(0, 0)));
    nnd_value_unref(zero), nnd_value_unref(x);
    bench_close(&b);
    return PASSED;
}

/* ---- files --------------------------------------------------------------------------------- */

verdict param_external_data(trial *t)
{
    LOAD(b, net);
    CHECK(from_.opened > 0);
    CHECK(runs_right(b.request, 1));
    bench_close(&b);
    return PASSED;
}

verdict param_opened_again(trial *t)
{
    for (int i = 0; i < 10; i++) {
        LOAD(b, net);
        CHECK(runs_right(b.request, (float)i));
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
    w->right = nnd_request_create(w->model, NULL, &request) == NND_OK;
    for (int i = 0; w->right && i < 200; i++)
        w->right = runs_right(request, w->base + (float)i);
    nnd_request_destroy(request);
}

verdict param_two_threads(trial *t)
{
    nnd_port_thread *threads[2];
    LOAD(b, net);
    worker workers[2] = {{b.model, 0, false}, {b.model, 1000, false}};
    for (int i = 0; i < 2; i++)
        CHECK(nnd_port_thread_create("conformance", work, &workers[i], &threads[i]) == 0);
    for (int i = 0; i < 2; i++)
        nnd_port_thread_join(threads[i]);
    CHECK(workers[0].right && workers[1].right);
    bench_close(&b);
    return PASSED;
}

verdict param_start_and_wait(trial *t)
{
    LOAD(b, net);
    nnd_value *x = tensor_f32(4, DIMS(1, 3, 1, 1), FLOATS(1, 2, 3)), *y;
    CHECK_OK(nnd_request_bind_input(b.request, "x", x));
    CHECK_OK(nnd_request_start(b.request, NULL));
    CHECK_OK(nnd_request_wait(b.request, NULL));
    CHECK_OK(nnd_request_output(b.request, "y", &y));
    CHECK(is_f32(y, 4, DIMS(1, 1, 1, 1), FLOATS(321.5f)));
    nnd_value_unref(x), nnd_value_unref(y);
    bench_close(&b);
    return PASSED;
}

/* A picture that takes the net a good while, and a deadline in the middle of it. */
verdict param_cancelling(trial *t)
{
    nnd_cancel *token;
    nnd_value *x = NULL, *y;
    LOAD(b, "7767517\n2 2\nInput in 0 1 x\nPooling p 1 1 x y 0=0 1=31 3=15 5=1\n");
    CHECK_OK(nnd_value_new_tensor(NND_F32, 4, DIMS(1, 3, 400, 400), &x));
    memset(nnd_value_tensor(x)->data, 0, nnd_tensor_bytes(nnd_value_tensor(x)));
    CHECK_OK(nnd_request_bind_input(b.request, "x", x));
    CHECK_OK(nnd_cancel_create(NULL, &token));
    nnd_cancel_request(token);
    CHECK(nnd_request_run(b.request, token) == NND_E_CANCELLED);
    nnd_cancel_unref(token);
    CHECK_OK(nnd_cancel_create(NULL, &token));
    int64_t start = nnd_clock_now();
    nnd_cancel_set_deadline(token, start + 20 * 1000 * 1000);
    nnd_status status = nnd_request_run(b.request, token);
    double ms = (double)(nnd_clock_now() - start) * 1e-6;
    nnd_cancel_unref(token);
    nnd_error_clear();
    bool works = run_xy(b.request, x, &y) == NND_OK;
    if (works) nnd_value_unref(y);
    nnd_value_unref(x);
    bench_close(&b);
    CHECK(works);
    if (status == NND_E_TIMEOUT) return PASSED;
    (void)trial_failed(t, __FILE__, __LINE__, "status == NND_E_TIMEOUT");
    snprintf(t->detail, sizeof t->detail, "a run of %.0f ms does not stop at 20 ms", ms);
    return FAILED;
}
