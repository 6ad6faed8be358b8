/* Models and requests through engine.h, on models made by hand: binding, dynamic shapes, threads,
   cancelling, damaged files, external data, memory running out. */
#include "engine_support.h"
#include "nndeploy/sched.h"
#include "onnx_writer.h"
#include "support/oom.h"

/* ---- models --------------------------------------------------------------------------------- */

static float weights[64 * 64 * 9];

static void fill_weights(void)
{
    for (size_t i = 0; i < NND_COUNT(weights); i++)
        weights[i] = (float)((int)(i * 7 % 23) - 11) / 64.0f;
}

/* Conv → Relu → Conv → Sigmoid on [N, channels, H, W] with open N, H, W. */
static nnd_str conv_model(int64_t channels)
{
    static const char *const symbols[] = {"n", NULL, "h", "w"};
    const int64_t pads[4] = {1, 1, 1, 1}, w[4] = {channels, channels, 3, 3};
    const int64_t dims[4] = {-1, channels, -1, -1};
    size_t bytes = (size_t)(channels * channels * 9) * sizeof(float);
    nnd_str graph = {0}, attrs = {0}, model = {0};
    ow_initializer(&graph, "w", OW_F32, 4, w, weights, bytes);
    ow_value(&graph, OW_INPUT, "x", OW_F32, 4, dims, symbols);
    ow_attr_ints(&attrs, "pads", pads, 4);
    ow_node(&graph, "Conv", "x,w", "a", &attrs);
    ow_node(&graph, "Relu", "a", "b", NULL);
    ow_attr_ints(&attrs, "pads", pads, 4);
    ow_node(&graph, "Conv", "b,w", "c", &attrs);
    ow_node(&graph, "Sigmoid", "c", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 4, dims, symbols);
    ow_model(&model, &graph, 13);
    return model;
}

/* y = NonZero(x)ᵀ-like: a shape that depends on elements, then an If on it. */
static nnd_str dynamic_model(void)
{
    const int64_t one[1] = {1}, open[1] = {-1}, open2[2] = {-1, -1};
    static const char *const names[] = {"n", "m"};
    nnd_str graph = {0}, attrs = {0}, model = {0}, then_graph = {0}, else_graph = {0};
    int64_t zero = 0;
    ow_value(&graph, OW_INPUT, "x", OW_F32, 1, open, names);
    ow_value(&graph, OW_INPUT, "flag", OW_BOOL, 1, one, NULL);
    ow_initializer(&graph, "axis", OW_I64, 1, one, &zero, sizeof(zero));
    ow_node(&graph, "NonZero", "x", "nz", NULL);
    ow_node(&graph, "Squeeze", "nz,axis", "index", NULL);
    ow_node(&graph, "Gather", "x,index", "kept", NULL);
    ow_node(&then_graph, "Neg", "kept", "t", NULL);
    ow_value(&then_graph, OW_OUTPUT, "t", OW_F32, 1, open, names);
    ow_node(&else_graph, "Identity", "kept", "e", NULL);
    ow_value(&else_graph, OW_OUTPUT, "e", OW_F32, 1, open, names);
    ow_attr_graph(&attrs, "then_branch", &then_graph);
    ow_attr_graph(&attrs, "else_branch", &else_graph);
    ow_node(&graph, "If", "flag", "y", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 1, open, names);
    ow_value(&graph, OW_OUTPUT, "nz", OW_I64, 2, open2, names);
    ow_model(&model, &graph, 13);
    return model;
}

static nnd_engine_model *load(const nnd_str *bytes)
{
    nnd_engine_model *m;
    assert_ok(nnd_engine_model_load_memory(bytes->data, bytes->size, NULL, &m));
    return m;
}

static nnd_tensor f32(int rank, const int64_t *dims, float *data)
{
    nnd_tensor t;
    assert_ok(nnd_tensor_init(&t, NND_F32, rank, dims, data));
    for (int64_t i = 0; i < nnd_tensor_count(&t); i++)
        data[i] = (float)(i % 31) / 16.0f - 1.0f;
    return t;
}

static nnd_json_doc *description(const nnd_engine_model *m, const nnd_tensor *shapes)
{
    nnd_json_writer *w;
    nnd_json_doc *doc;
    char *text;
    size_t size;
    assert_ok(nnd_json_writer_create(2, &w));
    assert_ok(nnd_engine_model_describe(m, shapes, w));
    assert_ok(nnd_json_writer_take(w, &text, &size));
    assert_ok(nnd_json_parse(text, size, NULL, &doc));
    nnd_json_writer_destroy(w);
    nnd_free(text);
    return doc;
}

/* ---- binding -------------------------------------------------------------------------------- */

static void ports_are_described(void **state)
{
    (void)state;
    nnd_str bytes = conv_model(3);
    nnd_engine_model *m = load(&bytes);
    assert_int_equal(nnd_engine_model_input_count(m), 1);
    const nnd_engine_port *p = nnd_engine_model_input(m, 0);
    assert_string_equal(p->name, "x");
    assert_int_equal(p->rank, 4);
    assert_int_equal(p->dims[0].value, -1);
    assert_string_equal(p->dims[0].symbol, "n");
    assert_int_equal(p->dims[1].value, 3);
    assert_null(nnd_engine_model_input(m, 1));
    nnd_engine_model_info info;
    nnd_engine_model_get_info(m, &info);
    assert_string_equal(info.producer, "nndeploy tests");
    assert_int_equal(info.nodes_in_file, 4);
    assert_int_equal(info.nodes, 2); /* the activations are epilogues now */
    assert_int_equal(info.parameters, 81);
    nnd_json_doc *doc = description(m, NULL);
    assert_int_equal(nnd_json_count(nnd_json_get(nnd_json_root(doc), "nodes")), 2);
    assert_int_equal(nnd_json_get_type(nnd_json_get(nnd_json_root(doc), "memory")), NND_JSON_NULL);
    nnd_json_destroy(doc);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

static void it_is_described_at_given_shapes(void **state)
{
    (void)state;
    const int64_t dims[4] = {2, 3, 9, 7}, channels[4] = {2, 4, 9, 7};
    nnd_str bytes = conv_model(3);
    nnd_engine_model *m = load(&bytes);
    nnd_tensor shape;
    assert_ok(nnd_tensor_init(&shape, NND_F32, 4, dims, NULL));
    nnd_json_doc *doc = description(m, &shape);
    const nnd_json *root = nnd_json_root(doc);
    assert_int_equal((int64_t)nnd_json_number(nnd_json_get(root, "flops"), 0),
                     2 * (2 * 2 * 3 * 3 * 9 * 9 * 7));
    for (int side = 0; side < 2; side++) {
        const nnd_json *ports = nnd_json_get(root, side ? "outputs" : "inputs");
        for (size_t d = 0; d < 4; d++) {
            const nnd_json *dim = nnd_json_at(nnd_json_get(nnd_json_at(ports, 0), "shape"), d);
            assert_int_equal((int64_t)nnd_json_number(dim, -1), dims[d]);
        }
    }
    const nnd_json *memory = nnd_json_get(root, "memory");
    assert_true(nnd_json_number(nnd_json_get(memory, "arena_bytes"), 0) > 0);
    nnd_json_destroy(doc);
    nnd_json_writer *w;
    assert_ok(nnd_json_writer_create(0, &w));
    assert_ok(nnd_tensor_init(&shape, NND_F32, 4, channels, NULL));
    assert_status(nnd_engine_model_describe(m, &shape, w), NND_E_SHAPE);
    assert_ok(nnd_tensor_init(&shape, NND_I32, 4, dims, NULL));
    assert_status(nnd_engine_model_describe(m, &shape, w), NND_E_TYPE);
    nnd_error_clear();
    nnd_json_writer_destroy(w);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

/* ONNX's own domain under its other name as well, as some tools write it. */
static void a_domain_may_be_imported_twice(void **state)
{
    (void)state;
    static const char again[] = "\x42\x0b\x0a\x07"
                                "ai.onnx\x10\x0d";
    nnd_str bytes = conv_model(3);
    nnd_str_add_n(&bytes, again, sizeof(again) - 1);
    nnd_engine_model *m = load(&bytes);
    nnd_json_doc *doc = description(m, NULL); /* which no parser would take with one key twice */
    const nnd_json *opsets = nnd_json_get(nnd_json_root(doc), "opsets");
    assert_int_equal((int)nnd_json_number(nnd_json_get(opsets, "ai.onnx"), 0), 13);
    nnd_json_destroy(doc);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

static void wrong_bindings_are_refused(void **state)
{
    (void)state;
    nnd_str bytes = conv_model(3);
    nnd_engine_model *m = load(&bytes);
    nnd_engine_request *r;
    float data[3 * 4 * 4];
    const int64_t good[4] = {1, 3, 4, 4}, channels[4] = {1, 2, 4, 4};
    assert_ok(nnd_engine_request_create(m, &r));
    nnd_tensor t = f32(4, good, data), other = f32(4, channels, data), wrong = t;
    wrong.dtype = NND_I32;
    nnd_tensor result;
    assert_status(nnd_engine_request_run(r, 1, NULL), NND_E_STATE);
    assert_status(nnd_engine_request_output(r, 0, &result), NND_E_STATE);
    assert_status(nnd_engine_request_bind_input(r, 0, &wrong), NND_E_TYPE);
    assert_status(nnd_engine_request_bind_input(r, 0, &other), NND_E_SHAPE);
    assert_status(nnd_engine_request_bind_input(r, 1, &t), NND_E_INVALID_ARGUMENT);
    assert_ok(nnd_engine_request_bind_input(r, 0, &t));
    const int64_t small[4] = {1, 3, 4, 5};
    float out[3 * 4 * 5];
    nnd_tensor bad_out = f32(4, small, out), good_out = f32(4, good, out);
    assert_ok(nnd_engine_request_bind_output(r, 0, &bad_out));
    assert_status(nnd_engine_request_run(r, 1, NULL), NND_E_SHAPE);
    assert_ok(nnd_engine_request_bind_output(r, 0, &good_out));
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    assert_ok(nnd_engine_request_output(r, 0, &result));
    assert_ptr_equal(result.data, out);
    nnd_error_clear();
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

static void a_held_output_is_not_overwritten(void **state)
{
    (void)state;
    nnd_str bytes = conv_model(2);
    nnd_engine_model *m = load(&bytes);
    nnd_engine_request *r;
    float data[2 * 3 * 3];
    const int64_t dims[4] = {1, 2, 3, 3};
    nnd_tensor t = f32(4, dims, data), first, second;
    assert_ok(nnd_engine_request_create(m, &r));
    assert_ok(nnd_engine_request_bind_input(r, 0, &t));
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    assert_ok(nnd_engine_request_output(r, 0, &first));
    nnd_buffer *held = nnd_buffer_ref(first.buffer);
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    assert_ok(nnd_engine_request_output(r, 0, &second));
    assert_ptr_not_equal(first.data, second.data);
    assert_memory_equal(first.data, second.data, sizeof(data));
    nnd_buffer_unref(held);
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

/* ---- shapes --------------------------------------------------------------------------------- */

static void element_dependent_shapes_and_branches_run(void **state)
{
    (void)state;
    nnd_str bytes = dynamic_model();
    nnd_engine_model *m = load(&bytes);
    nnd_engine_request *r;
    float x[6] = {0, 1, 0, 2, 3, 0};
    uint8_t flag = 1;
    const int64_t six[1] = {6}, one[1] = {1};
    nnd_tensor tx, tf, y, nz;
    assert_ok(nnd_tensor_init(&tx, NND_F32, 1, six, x));
    assert_ok(nnd_tensor_init(&tf, NND_BOOL, 1, one, &flag));
    assert_ok(nnd_engine_request_create(m, &r));
    assert_ok(nnd_engine_request_bind_input(r, 0, &tx));
    assert_ok(nnd_engine_request_bind_input(r, 1, &tf));
    for (int round = 0; round < 4; round++) {
        flag = round % 2;
        x[5] = round < 2 ? 0.0f : 9.0f;
        assert_ok(nnd_engine_request_run(r, 2, NULL));
        assert_ok(nnd_engine_request_output(r, 0, &y));
        assert_ok(nnd_engine_request_output(r, 1, &nz));
        assert_int_equal(y.dims[0], round < 2 ? 3 : 4);
        assert_int_equal(nz.dims[1], y.dims[0]);
        assert_true(((float *)y.data)[1] == (flag ? -2.0f : 2.0f));
        assert_int_equal(((int64_t *)nz.data)[2], 4);
    }
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

static void changing_shapes_do_not_grow_memory(void **state)
{
    (void)state;
    nnd_str bytes = conv_model(2);
    nnd_engine_model *m = load(&bytes);
    nnd_engine_request *r;
    static float data[2 * 20 * 20];
    oom_begin();
    assert_ok(nnd_engine_request_create(m, &r));
    long after_warm_up = 0;
    size_t held = 0;
    for (int i = 0; i < 10000; i++) {
        const int64_t dims[4] = {1, 2, 1 + i % 20, 1 + i / 20 % 20};
        nnd_tensor t = f32(4, dims, data);
        assert_ok(nnd_engine_request_bind_input(r, 0, &t));
        assert_ok(nnd_engine_request_run(r, 1, NULL));
        if (i == 1000) {
            after_warm_up = oom_live_blocks();
            held = nnd_engine_request_bytes(r);
        }
    }
    assert_true(oom_live_blocks() <= after_warm_up + 2);
    assert_int_equal(nnd_engine_request_bytes(r), held);
    nnd_engine_request_destroy(r);
    assert_int_equal(oom_live_blocks(), 0);
    oom_end();
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

/* ---- threads -------------------------------------------------------------------------------- */

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    (void)state;
    nnd_str bytes = conv_model(16);
    nnd_engine_model *m = load(&bytes);
    enum { COUNT = 16 * 61 * 47 };
    static float data[COUNT], first[COUNT];
    const int64_t dims[4] = {1, 16, 61, 47};
    nnd_tensor t = f32(4, dims, data), y;
    assert_ok(nnd_sched_set_threads(4));
    for (int threads = 1; threads <= 4; threads++) {
        nnd_engine_request *r;
        assert_ok(nnd_engine_request_create(m, &r));
        assert_ok(nnd_engine_request_bind_input(r, 0, &t));
        assert_ok(nnd_engine_request_run(r, threads, NULL));
        assert_ok(nnd_engine_request_output(r, 0, &y));
        if (threads == 1)
            memcpy(first, y.data, sizeof(first));
        else
            assert_memory_equal(first, y.data, sizeof(first));
        nnd_engine_request_destroy(r);
    }
    assert_ok(nnd_sched_set_threads(0));
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

typedef struct runner {
    nnd_engine_model *model;
    float *data;
    nnd_tensor input;
    nnd_status status;
    double sum;
} runner;

static void run_requests(void *user)
{
    runner *w = user;
    nnd_engine_request *r;
    w->status = nnd_engine_request_create(w->model, &r);
    if (w->status != NND_OK) return;
    w->status = nnd_engine_request_bind_input(r, 0, &w->input);
    for (int i = 0; i < 10 && w->status == NND_OK; i++) {
        nnd_tensor y;
        w->status = nnd_engine_request_run(r, 2, NULL);
        if (w->status == NND_OK) w->status = nnd_engine_request_output(r, 0, &y);
        w->sum = 0;
        for (int64_t k = 0; w->status == NND_OK && k < nnd_tensor_count(&y); k++)
            w->sum += (double)((float *)y.data)[k];
    }
    nnd_engine_request_destroy(r);
}

static void two_requests_run_at_once(void **state)
{
    (void)state;
    nnd_str bytes = conv_model(8);
    nnd_engine_model *m = load(&bytes);
    static float data[2][8 * 32 * 32];
    const int64_t dims[4] = {1, 8, 32, 32};
    runner workers[2];
    nnd_port_thread *threads[2];
    for (int i = 0; i < 2; i++) {
        workers[i] = (runner){.model = m, .data = data[i], .input = f32(4, dims, data[i])};
        assert_int_equal(nnd_port_thread_create("test", run_requests, &workers[i], &threads[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        nnd_port_thread_join(threads[i]);
        assert_int_equal(workers[i].status, NND_OK);
    }
    assert_true(workers[0].sum == workers[1].sum);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

static void cancel_soon(void *token)
{
    nnd_port_sleep(20 * 1000000);
    nnd_cancel_request(token);
}

/* A network of a single step: what ends it before its result is whole ended it between two tiles.
 */
static void cancel_ends_a_convolution_between_tiles(void **state)
{
    (void)state;
    enum { CHANNELS = 64, SIDE = 1200 }; /* a hundred GFLOP */
    const float marked = 1e30f;
    const int64_t dims[4] = {1, CHANNELS, SIDE, SIDE}, w[4] = {CHANNELS, CHANNELS, 3, 3};
    const int64_t pads[4] = {1, 1, 1, 1};
    const size_t count = (size_t)CHANNELS * SIDE * SIDE;
    nnd_str graph = {0}, attrs = {0}, bytes = {0};
    ow_initializer(&graph, "w", OW_F32, 4, w, weights, CHANNELS * CHANNELS * 9 * sizeof(float));
    ow_value(&graph, OW_INPUT, "x", OW_F32, 4, dims, NULL);
    ow_attr_ints(&attrs, "pads", pads, 4);
    ow_node(&graph, "Conv", "x,w", "y", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 4, dims, NULL);
    ow_model(&bytes, &graph, 13);
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    options.passes &= ~(1u << NND_PASS_LAYOUT);
    nnd_engine_model *m;
    nnd_engine_request *r;
    nnd_cancel *token;
    nnd_port_thread *thread;
    float *x = nnd_calloc(count, sizeof(float)), *y = nnd_alloc(count * sizeof(float));
    assert_non_null(x);
    assert_non_null(y);
    for (size_t i = 0; i < count; i++)
        y[i] = marked;
    nnd_tensor in = f32(4, dims, x), out;
    assert_ok(nnd_tensor_init(&out, NND_F32, 4, dims, y));
    assert_ok(nnd_engine_model_load_memory(bytes.data, bytes.size, &options, &m));
    assert_ok(nnd_engine_request_create(m, &r));
    assert_ok(nnd_engine_request_bind_input(r, 0, &in));
    assert_ok(nnd_engine_request_bind_output(r, 0, &out));
    nnd_engine_request_set_profile(r, true);
    assert_ok(nnd_cancel_create(NULL, &token));
    assert_int_equal(nnd_port_thread_create("cancel", cancel_soon, token, &thread), 0);
    nnd_status status = nnd_engine_request_run(r, 2, token);
    nnd_port_thread_join(thread);
    assert_status(status, NND_E_CANCELLED);
    assert_int_equal(nnd_engine_request_profile_count(r), 1);
    size_t left = 0;
    for (size_t i = 0; i < count; i++)
        left += y[i] == marked;
    assert_true(left > 0);
    nnd_cancel_unref(token);
    nnd_engine_request_destroy(r);
    nnd_free(x);
    nnd_free(y);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

/* ---- damaged files -------------------------------------------------------------------------- */

/* Loads and, when that works, runs once on zeros: nothing may crash. */
static void try_bytes(const char *data, size_t size)
{
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *m;
    nnd_engine_request *r;
    options.max_arena_bytes = 1 << 26;
    /* An exact copy, so that a sanitizer sees every step beyond the end. */
    char *copy = nnd_alloc(size ? size : 1);
    memcpy(copy, data, size);
    if (nnd_engine_model_load_memory(copy, size, &options, &m) == NND_OK) {
        static char zeros[1 << 16];
        assert_ok(nnd_engine_request_create(m, &r));
        bool bound = true;
        for (size_t i = 0; i < nnd_engine_model_input_count(m); i++) {
            const nnd_engine_port *p = nnd_engine_model_input(m, i);
            int64_t dims[NND_MAX_RANK];
            nnd_tensor t;
            for (int k = 0; k < p->rank; k++)
                dims[k] = p->dims[k].value < 0 ? 3 : p->dims[k].value;
            bound = bound && p->dtype && p->dtype != NND_STRING && p->rank >= 0 &&
                    nnd_tensor_init(&t, p->dtype, p->rank, dims, zeros) == NND_OK &&
                    nnd_tensor_bytes(&t) <= sizeof(zeros) &&
                    nnd_engine_request_bind_input(r, i, &t) == NND_OK;
        }
        if (bound && nnd_engine_request_run(r, 1, NULL) != NND_OK) nnd_error_clear();
        nnd_engine_request_destroy(r);
        nnd_engine_model_unref(m);
    }
    nnd_error_clear();
    nnd_free(copy);
}

static void damage(const char *bytes, size_t size, size_t step)
{
    char *copy = nnd_alloc(size);
    assert_non_null(copy);
    for (size_t i = 0; i < size; i += step)
        try_bytes(bytes, i);
    for (size_t i = 0; i < size; i += step) {
        for (int bit = 0; bit < 8; bit += 3) {
            memcpy(copy, bytes, size);
            copy[i] = (char)(copy[i] ^ (1 << bit));
            try_bytes(copy, size);
        }
    }
    nnd_free(copy);
}

static void damaged_models_never_crash(void **state)
{
    (void)state;
    nnd_str models[] = {conv_model(2), dynamic_model()};
    for (size_t i = 0; i < NND_COUNT(models); i++) {
        damage(models[i].data, models[i].size, 1);
        nnd_str_free(&models[i]);
    }
}

static void damaged_real_model_never_crashes(void **state)
{
    char path[1024];
    size_t size;
    (void)state;
    skip_without_data();
    snprintf(path, sizeof(path), "%s/models/mnist_cnn/model.onnx", test_data_dir());
    char *bytes = read_file(path, &size);
    assert_non_null(bytes);
    damage(bytes, size, 7);
    nnd_port_free(bytes);
}

static void clear_messages_for_what_is_no_model(void **state)
{
    (void)state;
    nnd_engine_model *m;
    assert_status(nnd_engine_model_load_memory("", 0, NULL, &m), NND_E_FORMAT);
    assert_status(nnd_engine_model_load_memory("not a model", 11, NULL, &m), NND_E_FORMAT);
    assert_status(nnd_engine_model_load_file("/nonexistent/model.onnx", NULL, &m), NND_E_NOT_FOUND);
    nnd_error_clear();
}

/* ---- external data -------------------------------------------------------------------------- */

static nnd_status give_weights(void *user, const char *relative, nnd_buffer **out)
{
    *(const char **)user = relative;
    return nnd_buffer_wrap(weights, 64, NULL, NULL, out);
}

static nnd_status load_external(const char *location, const char *offset, const char **asked)
{
    const int64_t dims[2] = {2, 2};
    nnd_str graph = {0}, model = {0};
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *m = NULL;
    options.open = asked ? give_weights : NULL;
    options.open_user = (void *)asked;
    ow_external(&graph, "w", OW_F32, 2, dims, location, offset);
    ow_value(&graph, OW_INPUT, "x", OW_F32, 2, dims, NULL);
    ow_node(&graph, "MatMul", "x,w", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 2, dims, NULL);
    ow_model(&model, &graph, 13);
    nnd_status status = nnd_engine_model_load_memory(model.data, model.size, &options, &m);
    nnd_engine_model_unref(m);
    nnd_str_free(&model);
    nnd_error_clear();
    return status;
}

static void external_data_stays_in_the_folder(void **state)
{
    (void)state;
    static const char *const outside[] = {"/etc/passwd", "../w.bin", "a/../../w.bin", "..", "",
                                          "a\\w.bin",    "c:w.bin",  "a//w.bin",      "a/"};
    const char *asked = NULL;
    assert_int_equal(load_external("weights/w.bin", "16", &asked), NND_OK);
    assert_non_null(asked);
    for (size_t i = 0; i < NND_COUNT(outside); i++) {
        asked = NULL;
        assert_int_equal(load_external(outside[i], "0", &asked), NND_E_PERMISSION);
        assert_null(asked);
    }
    assert_int_equal(load_external("w.bin", "0", NULL), NND_E_PERMISSION);
    assert_int_equal(load_external("w.bin", "52", &asked), NND_E_FORMAT);
    assert_int_equal(load_external("w.bin", "-1", &asked), NND_E_FORMAT);
    assert_int_equal(load_external("w.bin", "99999999999999999999", &asked), NND_E_FORMAT);
}

#ifndef _WIN32
#include <unistd.h>

static void write_file(const char *folder, const char *name, const void *data, size_t size)
{
    char path[1200];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(nnd_port_file_write_atomic(path, data, size), 0);
}

/* A model file beside its weights loads; weights behind a link out of the folder do not. */
static void links_out_of_the_folder_are_refused(void **state)
{
    (void)state;
    const int64_t dims[2] = {2, 2};
    char *root = NULL, folder[1024], path[1200], target[1200];
    nnd_str graph = {0}, model = {0};
    nnd_engine_model *m;
    assert_int_equal(nnd_port_dir_create_temp("nnd-links", &root), 0);
    snprintf(folder, sizeof(folder), "%s/model", root);
    assert_int_equal(nnd_port_dir_create(folder), 0);
    ow_external(&graph, "w", OW_F32, 2, dims, "w.bin", "0");
    ow_value(&graph, OW_INPUT, "x", OW_F32, 2, dims, NULL);
    ow_node(&graph, "MatMul", "x,w", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 2, dims, NULL);
    ow_model(&model, &graph, 13);
    write_file(folder, "m.onnx", model.data, model.size);
    snprintf(path, sizeof(path), "%s/m.onnx", folder);
    assert_status(nnd_engine_model_load_file(path, NULL, &m), NND_E_NOT_FOUND);
    write_file(folder, "w.bin", weights, 16);
    assert_ok(nnd_engine_model_load_file(path, NULL, &m));
    nnd_engine_model_unref(m);
    write_file(root, "secret.bin", weights, 16);
    snprintf(target, sizeof(target), "%s/w.bin", folder);
    assert_int_equal(nnd_port_file_remove(target), 0);
    assert_int_equal(symlink("../secret.bin", target), 0);
    assert_status(nnd_engine_model_load_file(path, NULL, &m), NND_E_PERMISSION);
    nnd_error_clear();
    assert_int_equal(nnd_port_dir_remove_tree(root), 0);
    nnd_port_free(root);
    nnd_str_free(&model);
}
#endif

/* ---- memory runs out ------------------------------------------------------------------------ */

static nnd_status load_and_run(const nnd_str *bytes, nnd_tensor *inputs, size_t count)
{
    nnd_engine_model *m = NULL;
    nnd_engine_request *r = NULL;
    nnd_status status = nnd_engine_model_load_memory(bytes->data, bytes->size, NULL, &m);
    if (status == NND_OK) status = nnd_engine_request_create(m, &r);
    for (size_t i = 0; i < count && status == NND_OK; i++)
        status = nnd_engine_request_bind_input(r, i, &inputs[i]);
    if (status == NND_OK) status = nnd_engine_request_run(r, 1, NULL);
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    return status;
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    float x[2 * 5 * 5];
    uint8_t flag = 1;
    const int64_t dims[4] = {1, 2, 5, 5}, n[1] = {6}, one[1] = {1};
    nnd_tensor inputs[2][2];
    nnd_str models[] = {conv_model(2), dynamic_model()};
    inputs[0][0] = f32(4, dims, x);
    inputs[1][0] = f32(1, n, x);
    assert_ok(nnd_tensor_init(&inputs[1][1], NND_BOOL, 1, one, &flag));
    oom_begin();
    for (size_t k = 0; k < NND_COUNT(models); k++) {
        for (long i = 0;; i++) {
            oom_fail_after(i);
            nnd_status status = load_and_run(&models[k], inputs[k], k + 1);
            bool hit = oom_hit();
            oom_never();
            nnd_error_clear();
            assert_int_equal(oom_live_blocks(), 0);
            if (!hit) {
                assert_int_equal(status, NND_OK);
                break;
            }
            assert_int_equal(status, NND_E_OUT_OF_MEMORY);
        }
    }
    oom_end();
    for (size_t k = 0; k < NND_COUNT(models); k++)
        nnd_str_free(&models[k]);
}

static void profile_counts_steps(void **state)
{
    (void)state;
    nnd_str bytes = conv_model(4);
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *m;
    nnd_engine_request *r;
    float data[4 * 8 * 8];
    const int64_t dims[4] = {1, 4, 8, 8};
    nnd_tensor t = f32(4, dims, data);
    nnd_engine_step_profile step;
    options.passes &= ~(1u << NND_PASS_LAYOUT); /* no steps that depend on the vector's width */
    assert_ok(nnd_engine_model_load_memory(bytes.data, bytes.size, &options, &m));
    assert_ok(nnd_engine_request_create(m, &r));
    assert_ok(nnd_engine_request_bind_input(r, 0, &t));
    nnd_engine_request_set_profile(r, true);
    for (int i = 0; i < 3; i++)
        assert_ok(nnd_engine_request_run(r, 1, NULL));
    assert_int_equal(nnd_engine_request_profile_count(r), 2);
    assert_ok(nnd_engine_request_profile_step(r, 0, &step));
    assert_int_equal(step.runs, 3);
    assert_string_equal(step.op, "Conv");
    assert_int_equal(step.flops, 2 * 4 * 9 * 4 * 64);
    assert_true(step.ns >= 0);
    assert_status(nnd_engine_request_profile_step(r, 2, &step), NND_E_NOT_FOUND);
    nnd_error_clear();
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_are_described),
        cmocka_unit_test(it_is_described_at_given_shapes),
        cmocka_unit_test(a_domain_may_be_imported_twice),
        cmocka_unit_test(wrong_bindings_are_refused),
        cmocka_unit_test(a_held_output_is_not_overwritten),
        cmocka_unit_test(element_dependent_shapes_and_branches_run),
        cmocka_unit_test(changing_shapes_do_not_grow_memory),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(two_requests_run_at_once),
        cmocka_unit_test(cancel_ends_a_convolution_between_tiles),
        cmocka_unit_test(damaged_models_never_crash),
        cmocka_unit_test(damaged_real_model_never_crashes),
        cmocka_unit_test(clear_messages_for_what_is_no_model),
        cmocka_unit_test(external_data_stays_in_the_folder),
#ifndef _WIN32
        cmocka_unit_test(links_out_of_the_folder_are_refused),
#endif
        cmocka_unit_test(every_failed_allocation_is_reported),
        cmocka_unit_test(profile_counts_steps),
    };
    fill_weights();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
