/* Kernels of the built-in engine that a tuning file names: they are really used, results stay
   within the bounds that the kernels state, and what does not hold is said and left out. */
#include "infer_support.h"

#include "infer/tuning.h"

#include <math.h>

enum { CHANNELS = 32, SIDE = 17, PIXELS = SIDE * SIDE, MAX_NODES = 4 };
static char folder[256], tuning_file[512], model_file[512];
static float wide[CHANNELS * CHANNELS * 9], deep[CHANNELS * 9], input[CHANNELS * PIXELS];

/* wide = -Conv(x), 3×3, each output from all channels; deep = Conv(x), 3×3, channel by channel. The
   sign keeps the result of the first one in blocks of channels, which some kernels need. */
static void write_model(void)
{
    const int64_t w[4] = {CHANNELS, CHANNELS, 3, 3}, d[4] = {CHANNELS, 1, 3, 3};
    const int64_t x[4] = {1, CHANNELS, SIDE, SIDE};
    nnd_str graph = {0}, attrs = {0}, model = {0};
    ow_initializer(&graph, "w", OW_F32, 4, w, wide, sizeof wide);
    ow_initializer(&graph, "d", OW_F32, 4, d, deep, sizeof deep);
    ow_value(&graph, OW_INPUT, "x", OW_F32, 4, x, NULL);
    ow_attr_ints(&attrs, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    ow_node(&graph, "Conv", "x,w", "t", &attrs);
    ow_node(&graph, "Neg", "t", "wide", NULL);
    ow_attr_ints(&attrs, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    ow_attr_int(&attrs, "group", CHANNELS);
    ow_node(&graph, "Conv", "x,d", "deep", &attrs);
    ow_value(&graph, OW_OUTPUT, "wide", OW_F32, 4, x, NULL);
    ow_value(&graph, OW_OUTPUT, "deep", OW_F32, 4, x, NULL);
    ow_model(&model, &graph, 13);
    put_file(model_file, model.data, model.size);
    nnd_str_free(&model);
}

/* Numbers up to 1.125 in magnitude. */
static void fill(float *data, size_t count)
{
    static uint32_t seed = 1;
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (float)((int)(seed >> 16) % 19 - 9) / 8;
    }
}

static int begin(void **state)
{
    (void)state;
    make_folder(folder, sizeof folder);
    snprintf(tuning_file, sizeof tuning_file, "%s/tuning.json", folder);
    snprintf(model_file, sizeof model_file, "%s/m.onnx", folder);
    fill(wide, NND_COUNT(wide));
    fill(deep, NND_COUNT(deep));
    fill(input, NND_COUNT(input));
    write_model();
    assert_ok(nnd_tuning_set_path(tuning_file));
    return nnd_sched_set_threads(3);
}

static int finish(void **state)
{
    (void)state;
    char command[320];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    nnd_tuning_set_path(NULL);
    return system(command);
}

static int fresh(void **state)
{
    (void)state;
    nnd_port_file_remove(tuning_file);
    return 0;
}

/* ---- what a model says of its kernels -------------------------------------------------------- */

typedef struct node {
    char output[32], kernel[32], shape[256];
    char able[4][32];
    size_t count;
    bool measured;
} node;

static nnd_json_doc *document_of(nnd_status (*write)(void *, nnd_json_writer *), void *subject)
{
    nnd_json_writer *w = NULL;
    nnd_json_doc *doc = NULL;
    char *text = NULL;
    size_t size;
    assert_ok(nnd_json_writer_create(0, &w));
    assert_ok(write(subject, w));
    assert_ok(nnd_json_writer_take(w, &text, &size));
    nnd_json_writer_destroy(w);
    assert_ok(nnd_json_parse(text, size, NULL, &doc));
    nnd_free(text);
    return doc;
}

static nnd_status inspect(void *model, nnd_json_writer *w)
{
    return nnd_model_inspect(model, w);
}

static nnd_status profile(void *request, nnd_json_writer *w)
{
    return nnd_request_profile(request, w);
}

static void copy_text(char *to, size_t size, const nnd_json *object, const char *key)
{
    snprintf(to, size, "%s", nnd_json_string(nnd_json_get(object, key), ""));
}

/* The nodes that had a choice. */
static size_t nodes_of(nnd_model *model, node nodes[MAX_NODES])
{
    size_t count = 0;
    nnd_json_doc *doc = document_of(inspect, model);
    const nnd_json *list = nnd_json_get(nnd_json_root(doc), "nodes");
    for (size_t i = 0; i < nnd_json_count(list) && count < MAX_NODES; i++) {
        const nnd_json *json = nnd_json_at(list, i), *able = nnd_json_get(json, "kernels");
        if (!able) continue;
        node *n = &nodes[count++];
        *n = (node){.count = nnd_json_count(able)};
        copy_text(n->kernel, sizeof n->kernel, json, "kernel");
        copy_text(n->shape, sizeof n->shape, json, "kernel_shape");
        n->measured = nnd_json_bool(nnd_json_get(json, "kernel_measured"), false);
        for (size_t k = 0; k < n->count; k++)
            snprintf(n->able[k], sizeof n->able[k], "%s",
                     nnd_json_string(nnd_json_at(able, k), ""));
    }
    nnd_json_destroy(doc);
    return count;
}

static nnd_model *load(const char *backend, const char *config)
{
    nnd_model *model = NULL;
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    options.backend = backend;
    options.config = config;
    assert_ok(nnd_model_load(model_file, &options, &model));
    return model;
}

/* The engine's own choices; 0 on an instruction set that leaves none. */
static size_t own_nodes(node nodes[MAX_NODES])
{
    nnd_model *model = load("builtin", "kernels=own");
    size_t count = nodes_of(model, nodes);
    nnd_model_unref(model);
    return count;
}

/* ---- writing tuning files -------------------------------------------------------------------- */

/* A result of tuning with one run, to which the kernels are put; the file in force. */
static void write_tuning(const nnd_tuning_kernel *kernels, size_t count)
{
    static const char *const names[] = {"x"}, *const backends[] = {"builtin"};
    nnd_tuning *tuning = NULL;
    nnd_value *x = tensor_of(4, (int64_t[]){1, CHANNELS, SIDE, SIDE}, input);
    nnd_tune_options options = {.path = model_file,
                                .backends = backends,
                                .backend_count = 1,
                                .threads = (int[]){1},
                                .thread_count = 1,
                                .tolerance = 0.01,
                                .input_names = names,
                                .inputs = &x,
                                .input_count = 1};
    assert_ok(nnd_tuning_create(&tuning));
    assert_ok(nnd_tune_model(&options, tuning));
    nnd_tuning_entry *entry = &tuning->entries.items[0];
    assert_false(entry->has_kernels); /* the time was up */
    for (size_t i = 0; i < count; i++)
        assert_true(nnd_vec_push(&entry->kernels, kernels[i]));
    entry->has_kernels = true;
    assert_ok(nnd_tuning_save(tuning, tuning_file));
    nnd_tuning_unref(tuning);
    nnd_value_unref(x);
}

static nnd_tuning_kernel kernel_for(const char *shape, const char *kernel)
{
    return (nnd_tuning_kernel){.op = "Conv", .shape = shape, .kernel = kernel, .instead_of = ""};
}

static int warnings;
static char warning[2048];

static void catch_warning(void *user, nnd_log_level level, const char *room, const char *line)
{
    (void)user, (void)room;
    if (level != NND_LOG_WARN) return;
    warnings++;
    snprintf(warning, sizeof warning, "%s", line);
}

/* Loads; there is one warning with these words, and nodes have their own kernels. */
static void expect_refused(const char *const *words)
{
    node own[MAX_NODES], nodes[MAX_NODES];
    size_t count = own_nodes(own);
    nnd_log_set_sink(catch_warning, NULL);
    warnings = 0;
    nnd_model *model = load(NULL, NULL);
    nnd_log_set_sink(NULL, NULL);
    assert_int_equal(nodes_of(model, nodes), count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(nodes[i].kernel, own[i].kernel);
        assert_false(nodes[i].measured);
    }
    nnd_model_unref(model);
    assert_int_equal(warnings, 1);
    for (; *words; words++)
        if (!strstr(warning, *words)) fail_msg("'%s' is not in '%s'", *words, warning);
}
#define expect_warning(...) expect_refused((const char *const[]){__VA_ARGS__, NULL})

/* ---- results --------------------------------------------------------------------------------- */

static double weight_of(bool is_wide, int64_t m, int64_t c, int64_t tap)
{
    if (is_wide) return -(double)wide[(m * CHANNELS + c) * 9 + tap];
    return m == c ? (double)deep[m * 9 + tap] : 0;
}

/* By the definition, and what the widest of the kernels' bounds allows. */
static double exact(bool is_wide, int64_t m, int64_t row, int64_t column, double *bound)
{
    double sum = 0, weights = 0;
    for (int64_t c = 0; c < CHANNELS; c++) {
        for (int64_t tap = 0; tap < 9; tap++) {
            int64_t y = row + tap / 3 - 1, x = column + tap % 3 - 1;
            double w = weight_of(is_wide, m, c, tap);
            weights += fabs(w);
            if (y < 0 || y >= SIDE || x < 0 || x >= SIDE) continue;
            sum += w * (double)input[c * PIXELS + y * SIDE + x];
        }
    }
    *bound = ldexp((CHANNELS + 64) * 1.125 * weights, -24);
    return sum;
}

static void check_output(const nnd_value *value, bool is_wide)
{
    const float *y = floats_of(value);
    for (int64_t i = 0; i < CHANNELS * PIXELS; i++) {
        double bound, want;
        want = exact(is_wide, i / PIXELS, i % PIXELS / SIDE, i % SIDE, &bound);
        if (fabs((double)y[i] - want) > bound)
            fail_msg("element %d is %g, not %g ± %g", (int)i, (double)y[i], want, bound);
    }
}

/* The profile tells the same kernels as inspect does. */
static void check_profile(nnd_request *request, const node *nodes, size_t count)
{
    nnd_json_doc *doc = document_of(profile, request);
    size_t seen = 0;
    for (size_t i = 0; i < nnd_json_count(nnd_json_root(doc)); i++) {
        const nnd_json *step = nnd_json_at(nnd_json_root(doc), i);
        if (!nnd_json_get(step, "kernel_shape")) continue;
        assert_true(seen < count);
        assert_string_equal(nnd_json_string(nnd_json_get(step, "kernel"), ""), nodes[seen].kernel);
        assert_string_equal(nnd_json_string(nnd_json_get(step, "kernel_shape"), ""),
                            nodes[seen].shape);
        seen++;
    }
    assert_int_equal(seen, count);
    nnd_json_destroy(doc);
}

/* Right within the bounds, and with the same bits on any number of threads. */
static void check_results(nnd_model *model, const node *nodes, size_t count)
{
    static float first[2][CHANNELS * PIXELS];
    nnd_value *x = tensor_of(4, (int64_t[]){1, CHANNELS, SIDE, SIDE}, input);
    for (int threads = 1; threads <= 3; threads++) {
        nnd_request *request = NULL;
        nnd_request_options options = NND_REQUEST_OPTIONS_INIT;
        options.threads = threads;
        options.profile = true;
        assert_ok(nnd_request_create(model, &options, &request));
        assert_ok(nnd_request_bind_input(request, "x", x));
        assert_ok(nnd_request_run(request, NULL));
        for (int i = 0; i < 2; i++) {
            nnd_value *y = NULL;
            assert_ok(nnd_request_output(request, i ? "deep" : "wide", &y));
            if (threads == 1) {
                check_output(y, i == 0);
                memcpy(first[i], floats_of(y), sizeof first[i]);
            }
            assert_memory_equal(first[i], floats_of(y), sizeof first[i]);
            nnd_value_unref(y);
        }
        check_profile(request, nodes, count);
        nnd_request_destroy(request);
    }
    nnd_value_unref(x);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_file_forces_each_kernel(void **state)
{
    (void)state;
    node own[MAX_NODES], nodes[MAX_NODES];
    size_t count = own_nodes(own);
    if (!count) skip();
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++) {
        assert_true(own[i].count > 1);
        for (size_t k = 0; k < own[i].count; k++) {
            nnd_tuning_kernel kernel = kernel_for(own[i].shape, own[i].able[k]);
            write_tuning(&kernel, 1);
            for (int explicit = 0; explicit <= 1; explicit ++) {
                nnd_model *model = load(explicit ? "builtin" : NULL, NULL);
                assert_int_equal(nodes_of(model, nodes), count);
                for (size_t n = 0; n < count; n++) {
                    assert_string_equal(nodes[n].kernel, n == i ? own[i].able[k] : own[n].kernel);
                    assert_int_equal(nodes[n].measured, n == i);
                }
                check_results(model, nodes, count);
                nnd_model_unref(model);
            }
        }
    }
}

static void the_user_may_choose(void **state)
{
    (void)state;
    node own[MAX_NODES], nodes[MAX_NODES];
    size_t count = own_nodes(own);
    if (!count) skip();
    const char *other = own[0].able[strcmp(own[0].able[0], own[0].kernel) == 0];
    nnd_tuning_kernel kernel = kernel_for(own[0].shape, other);
    write_tuning(&kernel, 1);
    nnd_model *model = load("builtin", "kernels=own");
    assert_int_equal(nodes_of(model, nodes), count);
    assert_string_equal(nodes[0].kernel, own[0].kernel);
    nnd_model_unref(model);
    model = load("builtin", "kernels=tuned");
    assert_int_equal(nodes_of(model, nodes), count);
    assert_string_equal(nodes[0].kernel, other);
    nnd_model_unref(model);
    model = load("builtin", "kernels=direct");
    assert_int_equal(nodes_of(model, nodes), count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(nodes[i].kernel, "direct");
    nnd_model_unref(model);
    /* Where it cannot, the engine chooses. */
    model = load("builtin", "kernels=depthwise");
    assert_int_equal(nodes_of(model, nodes), count);
    assert_string_equal(nodes[1].kernel, "depthwise");
    assert_string_not_equal(nodes[0].kernel, "depthwise");
    nnd_model_unref(model);
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    options.backend = "builtin";
    options.config = "kernels=winnograd";
    assert_fails(nnd_model_load(model_file, &options, &model), NND_E_INVALID_ARGUMENT, "winnograd",
                 "direct, depthwise, winograd", "own");
}

static void what_does_not_hold_is_said_and_left_out(void **state)
{
    (void)state;
    node own[MAX_NODES];
    size_t count = own_nodes(own);
    if (!count) skip();
    nnd_tuning_kernel kernel = kernel_for("1x3x8x8", "direct");
    write_tuning(&kernel, 1);
    expect_warning("m.onnx", "'direct' for Conv 1x3x8x8", "no node has this shape");
    kernel = kernel_for(own[0].shape, "depthwise");
    write_tuning(&kernel, 1);
    expect_warning("'depthwise'", own[0].shape, "cannot do this shape");
    kernel = kernel_for(own[0].shape, "quick");
    write_tuning(&kernel, 1);
    expect_warning("no kernel 'quick'", "direct, depthwise, winograd");
    kernel.op = "Gemm";
    write_tuning(&kernel, 1);
    expect_warning("'Gemm'", "no kernels to choose from");
    nnd_tuning_kernel many[7];
    for (size_t i = 0; i < NND_COUNT(many); i++)
        many[i] = kernel_for("elsewhere", "direct");
    write_tuning(many, NND_COUNT(many));
    expect_warning("7 measured kernels are not used", "and 3 more");
}

/* The file in force as text; static. */
static char *read_tuning(void)
{
    static char text[1 << 15];
    FILE *f = fopen(tuning_file, "rb");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

/* Replaces the value of a key in the file. */
static void edit_tuning(const char *key, const char *value)
{
    char *text = read_tuning(), *other = malloc(strlen(text) + strlen(value) + 1);
    char *at = strstr(text, key);
    assert_non_null(at);
    at += strlen(key) + 2;
    sprintf(other, "%.*s%s%s", (int)(at - text), text, value, at + strcspn(at, ",\n"));
    put_file(tuning_file, other, strlen(other));
    free(other);
}

static void stale_results_are_not_used(void **state)
{
    (void)state;
    node own[MAX_NODES], nodes[MAX_NODES];
    size_t count = own_nodes(own);
    if (!count) skip();
    const char *other = own[0].able[strcmp(own[0].able[0], own[0].kernel) == 0];
    nnd_tuning_kernel kernel = kernel_for(own[0].shape, other);
    static const char *const keys[] = {"\"isa\"", "\"cores\"", "\"sha256\""};
    static const char *const values[] = {
        "\"other\"", "4711",
        "\"0000000000000000000000000000000000000000000000000000000000000000\""};
    for (size_t i = 0; i < NND_COUNT(keys); i++) {
        write_tuning(&kernel, 1);
        edit_tuning(keys[i], values[i]);
        if (i == 2) edit_tuning("\"mtime\"", "1"); /* else the content is not looked at */
        nnd_model *model = load("builtin", NULL);
        assert_int_equal(nodes_of(model, nodes), count);
        assert_string_equal(nodes[0].kernel, own[0].kernel);
        nnd_model_unref(model);
        nnd_port_file_remove(tuning_file);
    }
    write_tuning(&kernel, 1);
    edit_tuning("\"nndeploy\"", "\"0.9\"");
    expect_warning("nndeploy 0.9", "measures anew");
    /* A new version keeps nothing of them either. */
    nnd_tuning *tuning = NULL;
    assert_ok(nnd_tuning_read(tuning_file, &tuning));
    assert_int_equal(tuning->entries.items[0].kernels.count, 1);
    nnd_tuning_unref(tuning);
    nnd_port_file_remove(tuning_file);
    const char *damaged = "{\"schema\": \"nndeploy.tuning/1\", \"entries\": 5}";
    put_file(tuning_file, damaged, strlen(damaged));
    expect_warning(tuning_file, "an array");
}

static void damaged_kernels_are_refused(void **state)
{
    (void)state;
    static const char negative[] =
        "{\"op\": \"Conv\", \"shape\": \"s\", \"kernel\": \"k\", \"instead_of\": \"direct\", "
        "\"ms\": -1, \"instead_of_ms\": 2}";
    static const char *const bad[] = {
        "{\"op\": 1, \"shape\": \"s\", \"kernel\": \"k\"}", "{\"op\": \"Conv\", \"shape\": \"s\"}",
        "5", "{\"op\": \"Conv\", \"shape\": \"s\", \"kernel\": \"k\", \"instead_of\": \"direct\"}",
        negative};
    write_tuning(NULL, 0);
    char *text = read_tuning();
    for (size_t i = 0; i < NND_COUNT(bad); i++) {
        char other[1 << 14];
        const char *at = strstr(text, "\"kernels\": [");
        nnd_tuning *tuning = NULL;
        assert_non_null(at);
        at += strlen("\"kernels\": [");
        snprintf(other, sizeof other, "%.*s%s%s", (int)(at - text), text, bad[i], at);
        assert_fails(nnd_tuning_parse(other, strlen(other), "t.json", &tuning), NND_E_FORMAT,
                     "t.json");
    }
}

/* What tuning finds holds: kernels that can, other than the engine's own, clearly faster. */
static void tuning_compares_kernels(void **state)
{
    (void)state;
    node own[MAX_NODES];
    size_t count = own_nodes(own);
    static const char *const names[] = {"x"}, *const backends[] = {"builtin"};
    nnd_tuning *tuning = NULL, *again = NULL;
    nnd_value *x = tensor_of(4, (int64_t[]){1, CHANNELS, SIDE, SIDE}, input);
    nnd_tune_options options = {.path = model_file,
                                .backends = backends,
                                .backend_count = 1,
                                .tolerance = 0.01,
                                .budget = 300000000,
                                .input_names = names,
                                .inputs = &x,
                                .input_count = 1};
    assert_ok(nnd_tuning_create(&tuning));
    assert_ok(nnd_tune_model(&options, tuning));
    nnd_tuning_entry *entry = &tuning->entries.items[0];
    /* However slow this machine is: once more, with time for it. */
    entry->kernels.count = 0;
    assert_ok(nnd_tune_kernels(&options, 2, nnd_clock_now() + 200000000, &tuning->arena, entry));
    assert_true(entry->has_kernels);
    for (size_t i = 0; i < entry->kernels.count; i++) {
        const nnd_tuning_kernel *k = &entry->kernels.items[i];
        size_t n = 0, able = 0;
        while (n < count && strcmp(own[n].shape, k->shape) != 0)
            n++;
        assert_true(n < count);
        for (size_t a = 0; a < own[n].count; a++)
            able += strcmp(own[n].able[a], k->kernel) == 0;
        assert_int_equal(able, 1);
        assert_string_equal(k->op, "Conv");
        assert_string_equal(k->instead_of, own[n].kernel);
        assert_string_not_equal(k->kernel, own[n].kernel);
        assert_true(k->ms > 0 && k->ms < 0.9001 * k->instead_of_ms);
    }
    /* Saving and reading keep them all. */
    nnd_tuning_kernel full = {"Conv", "s", "winograd", "direct", 0.5, 1.5};
    assert_true(nnd_vec_push(&entry->kernels, full));
    assert_ok(nnd_tuning_save(tuning, tuning_file));
    assert_ok(nnd_tuning_read(tuning_file, &again));
    const nnd_tuning_entry *read = &again->entries.items[0];
    assert_int_equal(read->kernels.count, entry->kernels.count);
    const nnd_tuning_kernel *last = &read->kernels.items[read->kernels.count - 1];
    assert_string_equal(last->kernel, "winograd");
    assert_string_equal(last->instead_of, "direct");
    assert_float_equal(last->ms, 0.5, 0);
    assert_float_equal(last->instead_of_ms, 1.5, 0);
    nnd_tuning_unref(again);
    nnd_tuning_unref(tuning);
    nnd_value_unref(x);
}

static void a_stopped_comparison_says_so(void **state)
{
    (void)state;
    nnd_tuning_entry entry = {0};
    nnd_arena arena = {0};
    nnd_value *x = tensor_of(4, (int64_t[]){1, CHANNELS, SIDE, SIDE}, input);
    static const char *const names[] = {"x"};
    nnd_tune_options options = {.path = model_file,
                                .tolerance = 0.01,
                                .input_names = names,
                                .inputs = &x,
                                .input_count = 1};
    assert_ok(nnd_cancel_create(NULL, &options.cancel));
    nnd_cancel_request(options.cancel);
    assert_status(nnd_tune_kernels(&options, 1, INT64_MAX, &arena, &entry), NND_E_CANCELLED);
    assert_false(entry.has_kernels);
    /* A model that the engine cannot load has no kernels; that is no failure. */
    nnd_cancel_unref(options.cancel);
    options.cancel = NULL;
    options.path = tuning_file;
    assert_ok(nnd_tune_kernels(&options, 1, INT64_MAX, &arena, &entry));
    assert_false(entry.has_kernels);
    nnd_value_unref(x);
    nnd_arena_fini(&arena);
}

static void lack_of_memory_is_survived(void **state)
{
    (void)state;
    node own[MAX_NODES];
    if (!own_nodes(own)) skip();
    nnd_tuning_kernel kernels[2] = {kernel_for(own[0].shape, "direct"), kernel_for("s", "direct")};
    write_tuning(kernels, 2);
    nnd_log_set_sink(catch_warning, NULL);
    for (long n = 0;; n++) {
        nnd_model *model = NULL;
        assert_ok(nnd_tuning_set_path("off"));
        assert_ok(nnd_tuning_set_path(tuning_file));
        oom_fail_after(n);
        nnd_status status = nnd_model_load(model_file, NULL, &model);
        bool hit = oom_hit();
        oom_never();
        nnd_error_clear();
        nnd_model_unref(model);
        assert_true(status == NND_OK || (hit && status == NND_E_OUT_OF_MEMORY));
        if (!hit) break;
    }
    nnd_log_set_sink(NULL, NULL);
}

int main(void)
{
    oom_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_file_forces_each_kernel, fresh),
        cmocka_unit_test_setup(the_user_may_choose, fresh),
        cmocka_unit_test_setup(what_does_not_hold_is_said_and_left_out, fresh),
        cmocka_unit_test_setup(stale_results_are_not_used, fresh),
        cmocka_unit_test_setup(damaged_kernels_are_refused, fresh),
        cmocka_unit_test_setup(tuning_compares_kernels, fresh),
        cmocka_unit_test_setup(a_stopped_comparison_says_so, fresh),
        cmocka_unit_test_setup(lack_of_memory_is_survived, fresh),
    };
    return cmocka_run_group_tests(tests, begin, finish);
}
