/*
 * The ncnn backend: the reader of .param files, which needs no library, then models over a real one
 * that NNDEPLOY_NCNN names (or the system's loader finds).
 */
#include <math.h>

#include "engine/engine_support.h"
#include "infer/backends/ncnn/param.h"
#include "infer/infer.h"
#include "infer_support.h"

static bool library_is_here;

static void skip_without_library(void)
{
    if (library_is_here) return;
    fprintf(stderr, "skipped: no ncnn here (NNDEPLOY_NCNN names its library)\n");
    skip();
}

/* ---- the reader --------------------------------------------------------------------------- */

static const char small_net[] = "7767517\n"
                                "5 6\n"
                                "Input data 0 1 data 0=4 1=4 2=3\n"
                                "Split s 1 2 data a b\n"
                                "Convolution c 1 1 a left 0=2 1=1 5=0 6=6 -23330=2,1.5,2 9=1\n"
                                "ReLU r 1 1 b right 0=0.1\n"
                                "Noop n 1 1 right end 7=\"two words\" 8=word\n";

static nnd_status read_text(const char *text, size_t *inputs, size_t *outputs)
{
    nnd_ncnn_param param = {0};
    nnd_status status = nnd_ncnn_param_read(&param, text, strlen(text));
    if (inputs) *inputs = param.inputs.count;
    if (outputs) *outputs = param.outputs.count;
    nnd_ncnn_param_fini(&param);
    return status;
}

static void files_are_read(void **state)
{
    (void)state;
    nnd_ncnn_param param = {0};
    assert_ok(nnd_ncnn_param_read(&param, small_net, sizeof small_net - 1));
    assert_int_equal(param.inputs.count, 1);
    assert_string_equal(param.inputs.items[0].name, "data");
    assert_int_equal(param.inputs.items[0].channels, 3);
    assert_false(param.inputs.items[0].is_borrowed); /* a ReLU would write into it */
    assert_int_equal(param.outputs.count, 2);
    assert_string_equal(param.outputs.items[0], "left");
    assert_string_equal(param.outputs.items[1], "end");
    assert_int_equal(param.types.count, 5);
    nnd_ncnn_param_fini(&param);
}

static void inputs_say_what_their_layers_need(void **state)
{
    (void)state;
    const char *text = "7767517 7 7 Input a 0 1 a Input b 0 1 b Input c 0 1 c Input d 0 1 d\n"
                       "ConvolutionDepthWise x 1 1 a x 0=8 1=3 11=3 6=72 7=8\n"
                       "InnerProduct y 1 1 b y 0=10 2=490\n"
                       "Embed z 1 1 c z 0=4 1=100 3=400\n";
    nnd_ncnn_param param = {0};
    assert_ok(nnd_ncnn_param_read(&param, text, strlen(text)));
    assert_int_equal(param.inputs.count, 4);
    assert_int_equal(param.inputs.items[0].channels, 8);
    assert_true(param.inputs.items[0].is_borrowed);
    assert_int_equal(param.inputs.items[1].elements, 49);
    assert_true(param.inputs.items[2].is_index);
    assert_false(param.inputs.items[3].is_borrowed); /* it is a result as well */
    assert_int_equal(param.outputs.count, 4);
    nnd_ncnn_param_fini(&param);
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"", "7767517"},
        {"7767518 1 1", "7767517"},
        {"7767517 0 1", "number of layers"},
        {"7767517 1 -1", "number of blobs"},
        {"7767517 99999999999999999999 1", "number of layers"},
        {"7767517 2 1 Input a 0 1 a", "fewer layers"},
        {"7767517 1 1 Input a 0 1 a Input b 0 1 b", "more layers"},
        {"7767517 2 1 Input a 0 1 a ReLU r 1 1 a b", "more blobs"},
        {"7767517 2 2 Input a 0 1 a ReLU r 1 1 z b", "'z'"},
        {"7767517 2 2 Input a 0 1 a Input b 0 1 a", "same name"},
        {"7767517 1 1 Input a 0 1", "ends early"},
        {"7767517 1 1 Input a 0 x a", "outputs"},
        {"7767517 1 1 Input a -1 1 a", "inputs"},
        {"7767517 1 1 Input a 0 1 a 32=1", "0 … 31"},
        {"7767517 1 1 Input a 0 1 a -5=1", "0 … 31"},
        {"7767517 1 1 Input a 0 1 a =1", "without number"},
        {"7767517 1 1 Input a 0 1 a 1=", "without value"},
        {"7767517 1 1 Input a 0 1 a -23300=3,1,2", "another length"},
        {"7767517 1 1 Input a 0 1 a -23300=-1", "another length"},
        {"7767517 1 1 Input a 0 1 a -23300=999999999", "another length"},
        {"7767517 1 1 Input a 0 1 a 1=1234567890123456", "without value"},
        {"7767517 1 1 Input a 0 1 a 1=\"no end", "without its end"},
        {"7767517 1 1 Concat a 0 1 a", "no input"},
        {"7767517 1 1 Input \xff\xfe 0 1 a", "UTF-8"},
    };
    for (size_t i = 0; i < NND_COUNT(bad); i++) {
        nnd_error_clear();
        nnd_status status = read_text(bad[i][0], NULL, NULL);
        if (status != NND_E_FORMAT) fail_msg("'%s': %s", bad[i][0], nnd_status_name(status));
        assert_error_has((const char *const[]){bad[i][1], NULL});
    }
    nnd_ncnn_param param = {0};
    assert_status(nnd_ncnn_param_read(&param, "7767517\0", 8), NND_E_FORMAT);
    nnd_ncnn_param_fini(&param);
}

/* Every cut and many single changes: no crash, and what is accepted has ports. */
static void damaged_files_do_no_harm(void **state)
{
    (void)state;
    char text[sizeof small_net];
    size_t inputs, outputs;
    for (size_t cut = 0; cut < sizeof small_net; cut++) {
        memcpy(text, small_net, cut);
        text[cut] = '\0';
        if (read_text(text, &inputs, &outputs) == NND_OK) assert_true(inputs && outputs);
    }
    uint32_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        memcpy(text, small_net, sizeof small_net);
        for (int k = 0; k < 2; k++) {
            seed = seed * 1664525u + 1013904223u;
            text[seed % (sizeof small_net - 1)] = "0=-,9 \"a\n"[seed >> 16 & 7];
        }
        if (read_text(text, &inputs, &outputs) == NND_OK) assert_true(inputs && outputs);
    }
}

static void every_lack_of_memory_is_reported(void **state)
{
    (void)state;
    oom_begin();
    long live = oom_live_blocks();
    for (long n = 0;; n++) {
        oom_fail_after(n);
        nnd_status status = read_text(small_net, NULL, NULL);
        bool hit = oom_hit();
        oom_never();
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), live);
        assert_int_equal(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
        if (!hit) break;
    }
    oom_end();
}

/* ---- absence ------------------------------------------------------------------------------ */

static void expect_absent(const char *place, const char *word)
{
    nnd_backend_status status = {.size = sizeof status};
    assert_int_equal(nnd_port_env_set("NNDEPLOY_NCNN", place), 0);
    nnd_backend_find("ncnn")->probe(&status);
    assert_string_equal(status.name, "ncnn");
    assert_false(status.available);
    if (!strstr(status.reason, word)) fail_msg("'%s' is not in: %s", word, status.reason);
}

static void absent_libraries_are_explained(void **state)
{
    (void)state;
    char *saved = NULL;
    nnd_model *model = NULL;
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    (void)nnd_port_env_dup("NNDEPLOY_NCNN", &saved);
    expect_absent("/nowhere/libncnn.so", "/nowhere/libncnn.so");
    expect_absent("libm.so.6", "ncnn_version");
    expect_absent("/nowhere", "NNDEPLOY_NCNN");
    options.backend = "ncnn";
    assert_fails(nnd_model_load_memory(small_net, sizeof small_net - 1, &options, &model),
                 NND_E_MISSING, "ncnn", "NNDEPLOY_NCNN");
    assert_int_equal(nnd_port_env_set("NNDEPLOY_NCNN", saved), 0);
    nnd_port_free(saved);
}

static void the_library_is_reported(void **state)
{
    (void)state;
    nnd_backend_status status = {.size = sizeof status};
    nnd_backend_find("ncnn")->probe(&status);
    library_is_here = status.available;
    skip_without_library();
    assert_string_not_equal(status.version, "");
    assert_string_equal(status.devices, "cpu");
    assert_non_null(strstr(status.library, "ncnn"));
}

/* ---- models written here ------------------------------------------------------------------ */

/* A folder with a net of two results: a 1×1 convolution 3 → 2 and max(x, x/10). */
typedef struct net_folder {
    char path[256];
    const char *param, *bin;
} net_folder;

/* Weights behind a flag of 0 (plain floats), then the bias. */
static const float conv_weights[8] = {1, 10, 100, 0, 0, 1, 0.5f, -1};

static void make_net(net_folder *f)
{
    char bytes[4 + sizeof conv_weights] = {0};
    memcpy(bytes + 4, conv_weights, sizeof conv_weights);
    make_folder(f->path, sizeof f->path);
    f->param = in_folder(f->path, "net.v1.param");
    f->bin = in_folder(f->path, "net.v1.bin");
    const char *text = "7767517\n5 6\nInput data 0 1 data\nSplit s 1 2 data a b\n"
                       "Convolution c 1 1 a left 0=2 1=1 5=1 6=6\nReLU r 1 1 b right 0=0.1\n"
                       "Noop n 1 1 right end\n";
    put_file(f->param, text, strlen(text));
    put_file(f->bin, bytes, sizeof bytes);
}

static void remove_net(net_folder *f)
{
    assert_int_equal(nnd_port_dir_remove_tree(f->path), 0);
}

static void ramp(float *x, int count)
{
    for (int i = 0; i < count; i++)
        x[i] = (float)(i - 5);
}

static void check_left(const nnd_value *y, const float *x, int size)
{
    const nnd_tensor *t = nnd_value_tensor(y);
    assert_int_equal(t->rank, 4);
    assert_int_equal(t->dims[1], 2);
    for (int i = 0; i < size; i++) {
        assert_float_equal(floats_of(y)[i], x[i] + 10 * x[size + i] + 100 * x[2 * size + i] + 0.5,
                           1e-3);
        assert_float_equal(floats_of(y)[size + i], x[2 * size + i] - 1, 1e-4);
    }
}

static nnd_model *load_net(const net_folder *f, const char *config)
{
    nnd_model_options options = NND_MODEL_OPTIONS_INIT; /* "auto": nothing else reads .param */
    nnd_model *model = NULL;
    options.threads = 1;
    options.config = config;
    assert_ok(nnd_model_load(f->param, &options, &model));
    assert_string_equal(nnd_model_backend(model), "ncnn");
    return model;
}

/* Sides that are no multiple of four make the library's channels lie apart from ours. */
static void run_sizes(nnd_request *r, const int64_t *dims)
{
    float x[3 * 64];
    int size = (int)(dims[2] * dims[3]);
    nnd_value *input = NULL, *left = NULL, *end = NULL;
    ramp(x, 3 * size);
    input = tensor_of(4, dims, x);
    assert_ok(nnd_request_bind_input(r, "data", input));
    assert_ok(nnd_request_run(r, NULL));
    assert_ok(nnd_request_output(r, "left", &left));
    assert_ok(nnd_request_output(r, "end", &end));
    check_left(left, x, size);
    for (int i = 0; i < 3 * size; i++) {
        assert_float_equal(floats_of(end)[i], x[i] < 0 ? x[i] * 0.1f : x[i], 1e-6);
        assert_float_equal(floats_of(input)[i], x[i], 0); /* nobody wrote into it */
    }
    nnd_value_unref(input);
    nnd_value_unref(left);
    nnd_value_unref(end);
}

static void small_nets_are_right(void **state)
{
    (void)state;
    skip_without_library();
    char text[64];
    net_folder f;
    make_net(&f);
    nnd_model *model = load_net(&f, NULL);
    nnd_request *r = NULL;
    assert_string_equal(nnd_model_port_describe(nnd_model_input(model, 0), text, sizeof text),
                        "f32[1,3,height,width]");
    assert_int_equal(nnd_model_output_count(model), 2);
    assert_ok(nnd_request_create(model, NULL, &r));
    run_sizes(r, (int64_t[]){1, 3, 4, 4});
    run_sizes(r, (int64_t[]){1, 3, 3, 5});
    run_sizes(r, (int64_t[]){1, 3, 1, 1});
    nnd_request_destroy(r);
    nnd_model_unref(model);
    remove_net(&f);
}

static void shapes_are_checked(void **state)
{
    (void)state;
    skip_without_library();
    net_folder f;
    make_net(&f);
    nnd_model *model = load_net(&f, NULL);
    nnd_request *r = NULL;
    float x[96] = {0};
    nnd_value *wrong = tensor_of(4, (int64_t[]){1, 4, 2, 2}, x);
    nnd_value *batch = tensor_of(4, (int64_t[]){2, 3, 2, 2}, x);
    nnd_value *empty = tensor_of(4, (int64_t[]){1, 3, 0, 2}, x);
    assert_ok(nnd_request_create(model, NULL, &r));
    assert_fails(nnd_request_bind_input(r, "data", wrong), NND_E_SHAPE, "f32[1,3,height,width]");
    assert_fails(nnd_request_bind_input(r, "data", batch), NND_E_SHAPE, "f32[2,3,2,2]");
    assert_ok(nnd_request_bind_input(r, "data", empty));
    assert_fails(nnd_request_run(r, NULL), NND_E_SHAPE, "[1,c,h,w]", "f32[1,3,0,2]");
    nnd_value_unref(wrong);
    nnd_value_unref(batch);
    nnd_value_unref(empty);
    nnd_request_destroy(r);
    nnd_model_unref(model);
    remove_net(&f);
}

static void bound_outputs_are_filled(void **state)
{
    (void)state;
    skip_without_library();
    net_folder f;
    make_net(&f);
    nnd_model *model = load_net(&f, NULL);
    nnd_request *r = NULL;
    float x[45];
    nnd_value *y = NULL;
    ramp(x, 45);
    nnd_value *input = tensor_of(4, (int64_t[]){1, 3, 3, 5}, x);
    nnd_value *bound = tensor_of(4, (int64_t[]){1, 2, 3, 5}, (float[30]){0});
    nnd_value *other = tensor_of(4, (int64_t[]){1, 2, 5, 3}, (float[30]){0});
    assert_ok(nnd_request_create(model, NULL, &r));
    assert_ok(nnd_request_bind_input(r, "data", input));
    assert_ok(nnd_request_bind_output(r, "left", bound));
    assert_ok(nnd_request_run(r, NULL));
    assert_ok(nnd_request_output(r, "left", &y));
    assert_ptr_equal(y, bound);
    check_left(bound, x, 15);
    nnd_value_unref(y);
    assert_ok(nnd_request_bind_output(r, "left", other));
    assert_fails(nnd_request_run(r, NULL), NND_E_SHAPE, "f32[1,2,5,3]", "f32[1,2,3,5]");
    nnd_value_unref(input);
    nnd_value_unref(bound);
    nnd_value_unref(other);
    nnd_request_destroy(r);
    nnd_model_unref(model);
    remove_net(&f);
}

static void copies_are_counted(void **state)
{
    (void)state;
    skip_without_library();
    char folder[256];
    const char *text = "7767517\n2 2\nInput data 0 1 data\n"
                       "Convolution c 1 1 data left 0=2 1=1 5=1 6=6\n";
    char bytes[4 + sizeof conv_weights] = {0};
    nnd_model *model = NULL;
    nnd_request *r = NULL;
    nnd_copy_stats before, after;
    float x[48];
    memcpy(bytes + 4, conv_weights, sizeof conv_weights);
    make_folder(folder, sizeof folder);
    put_file(in_folder(folder, "one.param"), text, strlen(text));
    put_file(in_folder(folder, "one.bin"), bytes, sizeof bytes);
    assert_ok(nnd_model_load(in_folder(folder, "one.param"), NULL, &model));
    assert_ok(nnd_request_create(model, NULL, &r));
    for (int64_t w = 4; w >= 3; w--) {
        ramp(x, 48);
        nnd_value *input = tensor_of(4, (int64_t[]){1, 3, 1, w}, x), *y = NULL;
        assert_ok(nnd_request_bind_input(r, "data", input));
        nnd_copy_get_stats(&before);
        assert_ok(nnd_request_run(r, NULL));
        nnd_copy_get_stats(&after);
        /* Rows of four lie as ours do; of three, both sides are copied. */
        assert_int_equal(after.copies - before.copies, w == 4 ? 0 : 2);
        assert_ok(nnd_request_output(r, "left", &y));
        check_left(y, x, (int)w);
        nnd_value_unref(input);
        nnd_request_destroy(r);
        r = NULL;
        if (w == 4) {
            assert_ok(nnd_request_create(model, NULL, &r));
            check_left(y, x, (int)w);
        } else {
            nnd_model_unref(model);
            check_left(y, x, (int)w); /* longer than all else */
        }
        nnd_value_unref(y);
    }
    assert_int_equal(nnd_port_dir_remove_tree(folder), 0);
}

static void bad_models_are_explained(void **state)
{
    (void)state;
    skip_without_library();
    net_folder f;
    nnd_model *model = NULL;
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    make_net(&f);
    put_file(f.bin, "\0\0\0\0\0\0\0\0", 8);
    assert_fails(nnd_model_load(f.param, NULL, &model), NND_E_FORMAT, "net.v1.bin", "end early");
    assert_int_equal(nnd_port_file_remove(f.bin), 0);
    assert_fails(nnd_model_load(f.param, NULL, &model), NND_E_MISSING, "net.v1.bin");
    options.config = "weights=../net.bin";
    assert_fails(nnd_model_load(f.param, &options, &model), NND_E_PERMISSION, "../net.bin");
    options.config = "speed=1";
    assert_fails(nnd_model_load(f.param, &options, &model), NND_E_INVALID_ARGUMENT, "speed");
    options.config = NULL;
    options.device = "gpu";
    assert_fails(nnd_model_load(f.param, &options, &model), NND_E_UNSUPPORTED, "gpu");
    options.device = NULL;
    options.precision = "int8";
    assert_fails(nnd_model_load(f.param, &options, &model), NND_E_UNSUPPORTED, "int8");
    const char *text = "7767517 2 2 Input a 0 1 a Frobnicate b 1 1 a b";
    put_file(f.param, text, strlen(text));
    assert_fails(nnd_model_load(f.param, NULL, &model), NND_E_UNSUPPORTED, "Frobnicate");
    put_file(f.param, "garbage", 7);
    assert_fails(nnd_model_load(f.param, NULL, &model), NND_E_FORMAT, "7767517");
    remove_net(&f);
}

static void cancelled_runs_do_not_begin(void **state)
{
    (void)state;
    skip_without_library();
    net_folder f;
    make_net(&f);
    nnd_model *model = load_net(&f, NULL);
    nnd_request *r = NULL;
    nnd_cancel *token = NULL;
    nnd_sched_stats stats;
    nnd_value *input = tensor_of(4, (int64_t[]){1, 3, 2, 2}, (float[12]){0});
    assert_ok(nnd_request_create(model, NULL, &r));
    assert_ok(nnd_request_bind_input(r, "data", input));
    assert_ok(nnd_cancel_create(NULL, &token));
    nnd_cancel_request(token);
    assert_status(nnd_request_run(r, token), NND_E_CANCELLED);
    assert_ok(nnd_request_run(r, NULL));
    nnd_sched_get_stats(&stats);
    assert_int_equal(stats.charged, 0);
    nnd_cancel_unref(token);
    nnd_value_unref(input);
    nnd_request_destroy(r);
    nnd_model_unref(model);
    remove_net(&f);
}

/* ---- two threads -------------------------------------------------------------------------- */

typedef struct worker {
    nnd_model *model;
    float scale;
    bool right;
} worker;

static void work(void *user)
{
    worker *w = user;
    nnd_request *r = NULL;
    w->right = nnd_request_create(w->model, NULL, &r) == NND_OK;
    for (int i = 0; w->right && i < 100; i++) {
        nnd_value *x = NULL, *y = NULL;
        w->right = nnd_value_new_tensor(NND_F32, 4, (int64_t[]){1, 3, 4, 5}, &x) == NND_OK;
        if (!w->right) break;
        float *data = nnd_value_tensor(x)->data;
        for (int k = 0; k < 60; k++)
            data[k] = w->scale * (float)(i + k);
        w->right = nnd_request_bind_input(r, "data", x) == NND_OK &&
                   nnd_request_run(r, NULL) == NND_OK &&
                   nnd_request_output(r, "left", &y) == NND_OK;
        for (int k = 0; w->right && k < 20; k++)
            w->right = fabsf(floats_of(y)[20 + k] - (data[40 + k] - 1)) < 1e-3f;
        nnd_value_unref(x);
        nnd_value_unref(y);
    }
    nnd_request_destroy(r);
}

static void two_requests_run_in_two_threads(void **state)
{
    (void)state;
    skip_without_library();
    net_folder f;
    make_net(&f);
    nnd_model *model = load_net(&f, "threads=1");
    worker workers[2] = {{model, 1, false}, {model, -3, false}};
    nnd_port_thread *threads[2] = {0};
    for (int i = 0; i < 2; i++)
        assert_int_equal(nnd_port_thread_create("worker", work, &workers[i], &threads[i]), 0);
    for (int i = 0; i < 2; i++) {
        nnd_port_thread_join(threads[i]);
        assert_true(workers[i].right);
    }
    nnd_model_unref(model);
    remove_net(&f);
}

/* ---- trained models ----------------------------------------------------------------------- */

static nnd_model *load_trained(const char *folder, const char *file)
{
    char path[1024];
    nnd_model *model = NULL;
    snprintf(path, sizeof path, "%s/models/ncnn/%s/%s", test_data_dir(), folder, file);
    assert_ok(nnd_model_load(path, NULL, &model));
    return model;
}

/* The ncnn file leaves the last step to its user: offsets from anchors become corners, as in
   "SSD: Single Shot MultiBox Detector", section 2.2, with variances 0.1 and 0.2. Anchors lie in the
   middle of their cells and are no larger than the picture. */
static void corners(float *box, double x, double y, double side)
{
    double width = side < 320 ? side / 320 : 1, height = side < 240 ? side / 240 : 1;
    double cx = x + box[0] * 0.1 * width, cy = y + box[1] * 0.1 * height;
    double w = exp(box[2] * 0.2) * width, h = exp(box[3] * 0.2) * height;
    box[0] = (float)(cx - w / 2);
    box[1] = (float)(cy - h / 2);
    box[2] = (float)(cx + w / 2);
    box[3] = (float)(cy + h / 2);
}

static void decode_boxes(nnd_tensor *boxes)
{
    static const double sides[4][4] = {{10, 16, 24}, {32, 48}, {64, 96}, {128, 192, 256}};
    static const int columns[4] = {40, 20, 10, 5}, rows[4] = {30, 15, 8, 4};
    float *box = boxes->data;
    for (int level = 0; level < 4; level++) {
        for (int i = 0; i < rows[level] * columns[level]; i++) {
            double x = (i % columns[level] + 0.5) / columns[level];
            double y = (i / columns[level] + 0.5) / rows[level];
            for (int k = 0; k < 4 && sides[level][k] > 0; k++, box += 4)
                corners(box, x, y, sides[level][k]);
        }
    }
    assert_ptr_equal(box, (float *)boxes->data + nnd_tensor_count(boxes));
}

/* The same network as the ONNX model of that name, exported by its authors. */
static void ultraface_gives_the_reference(void **state)
{
    (void)state;
    skip_without_library();
    skip_without_data();
    char folder[900];
    reference ref;
    nnd_request *r = NULL;
    nnd_value *x = NULL, *scores = NULL, *boxes = NULL;
    double worst;
    snprintf(folder, sizeof folder, "%s/models/ultraface_rfb320", test_data_dir());
    assert_true(reference_read(folder, &ref));
    nnd_model *model = load_trained("ultraface_rfb320", "RFB-320.param");
    assert_ok(nnd_request_create(model, NULL, &r));
    assert_ok(nnd_value_new_tensor(NND_F32, 4, ref.inputs[0].dims, &x));
    memcpy(nnd_value_tensor(x)->data, ref.inputs[0].data, nnd_tensor_bytes(&ref.inputs[0]));
    assert_ok(nnd_value_new_tensor(NND_F32, 3, ref.outputs[1].dims, &boxes));
    assert_ok(nnd_request_bind_input(r, "input", x));
    assert_ok(nnd_request_bind_output(r, "boxes", boxes));
    assert_ok(nnd_request_run(r, NULL));
    assert_ok(nnd_request_output(r, "scores", &scores));
    const nnd_tensor *t = nnd_value_tensor(scores);
    assert_int_equal(t->rank, 3);
    for (int d = 0; d < 3; d++)
        assert_int_equal(t->dims[d], ref.outputs[0].dims[d]);
    if (count_mismatches(t, &ref.outputs[0], 1e-3, 1e-4, &worst))
        fail_msg("scores differ by %g", worst);
    nnd_tensor view = *nnd_value_tensor(boxes);
    decode_boxes(&view);
    if (count_mismatches(&view, &ref.outputs[1], 1e-3, 1e-4, &worst))
        fail_msg("boxes differ by %g", worst);
    nnd_value_unref(x);
    nnd_value_unref(scores);
    nnd_value_unref(boxes);
    nnd_request_destroy(r);
    nnd_model_unref(model);
    reference_free(&ref);
}

typedef struct trained {
    const char *folder, *file;
    int side;
    const char *output;
    int64_t dims[4]; /* of the output, 0 = rank ends */
} trained;

static void trained_models_give_finite_results(void **state)
{
    (void)state;
    static const trained models[] = {
        {"squeezenet_v1.1", "squeezenet_v1.1.param", 227, "prob", {1, 1000}},
        {"waifu2x_upconv7_photo", "scale2.0x_model.param", 156, NULL, {1, 3, 284, 284}},
        {"fastestdet", "FastestDet.param", 352, NULL, {1, 85, 22, 22}},
        {"nanodet_m", "nanodet_m.param", 320, "792", {1, 1600, 80}},
        {"ppocrv5_mobile_det", "PP_OCRv5_mobile_det.ncnn.param", 320, NULL, {1, 1, 320, 320}},
    };
    skip_without_library();
    skip_without_data();
    for (size_t i = 0; i < NND_COUNT(models); i++) {
        const trained *m = &models[i];
        nnd_model *model = load_trained(m->folder, m->file);
        nnd_request *r = NULL;
        nnd_value *x = NULL, *y = NULL;
        char text[128];
        const char *output = m->output ? m->output : nnd_model_output(model, 0)->name;
        assert_int_equal(nnd_model_input(model, 0)->dims[1].value, 3);
        assert_ok(nnd_request_create(model, NULL, &r));
        assert_ok(nnd_value_new_tensor(NND_F32, 4, (int64_t[]){1, 3, m->side, m->side}, &x));
        float *data = nnd_value_tensor(x)->data;
        for (int k = 0; k < 3 * m->side * m->side; k++)
            data[k] = (float)(k % 251) / 251.0f;
        assert_ok(nnd_request_bind_input(r, nnd_model_input(model, 0)->name, x));
        assert_ok(nnd_request_run(r, NULL));
        assert_ok(nnd_request_output(r, output, &y));
        const nnd_tensor *t = nnd_value_tensor(y);
        fprintf(stderr, "%s: %s %s\n", m->folder, output,
                nnd_tensor_describe(t, text, sizeof text));
        for (int d = 0; d < 4 && m->dims[d]; d++)
            assert_int_equal(t->dims[d], m->dims[d]);
        for (int64_t k = 0; k < nnd_tensor_count(t); k++)
            assert_true(isfinite(floats_of(y)[k]));
        nnd_value_unref(x);
        nnd_value_unref(y);
        nnd_request_destroy(r);
        nnd_model_unref(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read),
        cmocka_unit_test(inputs_say_what_their_layers_need),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(damaged_files_do_no_harm),
        cmocka_unit_test(every_lack_of_memory_is_reported),
        cmocka_unit_test(absent_libraries_are_explained),
        cmocka_unit_test(the_library_is_reported),
        cmocka_unit_test(small_nets_are_right),
        cmocka_unit_test(shapes_are_checked),
        cmocka_unit_test(bound_outputs_are_filled),
        cmocka_unit_test(copies_are_counted),
        cmocka_unit_test(bad_models_are_explained),
        cmocka_unit_test(cancelled_runs_do_not_begin),
        cmocka_unit_test(two_requests_run_in_two_threads),
        cmocka_unit_test(ultraface_gives_the_reference),
        cmocka_unit_test(trained_models_give_finite_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
