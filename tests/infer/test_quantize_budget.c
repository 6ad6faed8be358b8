/* What the quantiser does for the outputs: means that biases restore, ranges that suit them, and
   layers that stay float for an error that was asked for. */
#include "infer_support.h"

#include "engine/onnx/outline.h"
#include "infer/quantize/quantize.h"

#include <math.h>

enum { CHANNELS = 4, SIDE = 6, LAYERS = 3, SAMPLES = 4 };
static const int64_t x_dims[4] = {1, CHANNELS, SIDE, SIDE};
static char folder[256];

static int begin(void **state)
{
    (void)state;
    make_folder(folder, sizeof folder);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    char command[320];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

/* x → three convolutions, with a Relu between them → y. The weights of the first one lie below half
   a step of its channels' scales, but for one of each: rounded, they are gone. */
static void put_model(void)
{
    nnd_str graph = {0}, model = {0};
    float w[LAYERS][CHANNELS * CHANNELS];
    for (int i = 0; i < CHANNELS * CHANNELS; i++) {
        const bool same = i / CHANNELS == i % CHANNELS;
        w[0][i] = same ? 1.27f : 0.0045f;
        w[1][i] = same ? 1.0f : 0.25f * sinf((float)i);
        w[2][i] = same ? 0.5f : 0.25f * cosf((float)i);
    }
    ow_value(&graph, OW_INPUT, "x", OW_F32, 4, x_dims, NULL);
    for (int l = 0; l < LAYERS; l++) {
        static const char *const weights[LAYERS] = {"w0", "w1", "w2"};
        static const char *const inputs[LAYERS] = {"x,w0", "r0,w1", "r1,w2"};
        static const char *const results[LAYERS] = {"c0", "c1", "y"};
        static const char *const clipped[LAYERS] = {"r0", "r1", NULL};
        ow_initializer(&graph, weights[l], OW_F32, 4, (int64_t[]){CHANNELS, CHANNELS, 1, 1}, w[l],
                       sizeof w[l]);
        ow_node(&graph, "Conv", inputs[l], results[l], NULL);
        if (clipped[l]) ow_node(&graph, "Relu", results[l], clipped[l], NULL);
    }
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 4, x_dims, NULL);
    ow_model(&model, &graph, 13);
    put_file(in_folder(folder, "model.onnx"), model.data, model.size);
    nnd_str_free(&model);
}

static nnd_value *sample(int index)
{
    float x[CHANNELS * SIDE * SIDE];
    for (size_t i = 0; i < NND_COUNT(x); i++)
        x[i] = 0.6f + 0.4f * sinf((float)index + 0.7f * (float)i);
    return tensor_of(4, x_dims, x);
}

static nnd_status quantised(const nnd_quantize_options *options, nnd_quantize **q, nnd_str *file)
{
    const void *bytes;
    NND_TRY(nnd_quantize_create(in_folder(folder, "model.onnx"), options, q));
    for (int i = 0; i < SAMPLES; i++) {
        nnd_value *x = sample(i);
        const nnd_status status = nnd_quantize_add(*q, "one", &x);
        nnd_value_unref(x);
        NND_TRY(status);
    }
    NND_TRY(nnd_quantize_finish(*q, &bytes, &file->size));
    file->data = (char *)(uintptr_t)bytes;
    return NND_OK;
}

/* Means of y's channels over all samples. */
static void means_of(const nnd_str *file, double *means)
{
    nnd_model *model = load_bytes(file);
    nnd_request *request = NULL;
    assert_ok(nnd_request_create(model, NULL, &request));
    memset(means, 0, CHANNELS * sizeof *means);
    for (int s = 0; s < SAMPLES; s++) {
        nnd_value *x = sample(s), *y = NULL;
        assert_ok(nnd_request_bind_input(request, "x", x));
        assert_ok(nnd_request_run(request, NULL));
        assert_ok(nnd_request_output(request, "y", &y));
        for (int i = 0; i < CHANNELS * SIDE * SIDE; i++)
            means[i / (SIDE * SIDE)] += (double)floats_of(y)[i] / (SAMPLES * SIDE * SIDE);
        nnd_value_unref(x);
        nnd_value_unref(y);
    }
    nnd_request_destroy(request);
    nnd_model_unref(model);
}

static void float_means(double *means)
{
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(nnd_port_file_read(in_folder(folder, "model.onnx"), 1 << 20, &bytes, &size),
                     0);
    const nnd_str file = {.data = bytes, .size = size};
    means_of(&file, means);
    nnd_port_free(bytes);
}

static void biases_restore_the_means(void **state)
{
    (void)state;
    double wanted[CHANNELS], sqnr[2], off[2] = {0};
    put_model();
    float_means(wanted);
    for (int corrects = 0; corrects < 2; corrects++) {
        const nnd_quantize_options options = {.check_samples = SAMPLES,
                                              .correct_bias = corrects != 0};
        nnd_quantize *q = NULL;
        nnd_str file = {0};
        nnd_onnx_outline o = {0};
        double means[CHANNELS];
        assert_ok(quantised(&options, &q, &file));
        sqnr[corrects] = nnd_quantize_output_sqnr(q);
        means_of(&file, means);
        for (int c = 0; c < CHANNELS; c++)
            off[corrects] = fmax(off[corrects], fabs(means[c] - wanted[c]));
        assert_ok(nnd_onnx_outline_read(&o, file.data, file.size, NULL, NULL));
        assert_int_equal(nnd_onnx_outline_constant(&o, "w0.bias.q") != NULL, corrects);
        nnd_onnx_outline_fini(&o);
        nnd_quantize_destroy(q);
    }
    assert_true(off[0] > 0.005);
    assert_true(off[1] < off[0] / 4);
    assert_true(sqnr[1] > sqnr[0] + 3);
}

/* Every method leaves at most as much as the one that is chosen of them. */
static void the_best_ranges_are_chosen(void **state)
{
    (void)state;
    double best = 0, chosen = 0;
    put_model();
    for (int m = NND_RANGE_MIN_MAX; m <= NND_RANGE_AUTO; m++) {
        const nnd_quantize_options options = {
            .method = (nnd_range_method)m, .percentile = 99, .check_samples = SAMPLES};
        nnd_quantize *q = NULL;
        nnd_str file = {0};
        assert_ok(quantised(&options, &q, &file));
        const double sqnr = nnd_quantize_output_sqnr(q);
        if (m == NND_RANGE_AUTO)
            chosen = sqnr;
        else
            best = fmax(best, sqnr);
        assert_true(m == NND_RANGE_AUTO ? nnd_quantize_method(q) < NND_RANGE_AUTO
                                        : (int)nnd_quantize_method(q) == m);
        nnd_quantize_destroy(q);
    }
    assert_float_equal(chosen, best, 1e-9);
}

static void a_budget_is_held(void **state)
{
    (void)state;
    double plain = 0;
    put_model();
    for (int corrects = 0; corrects < 2; corrects++) {
        nnd_quantize_options options = {.check_samples = SAMPLES, .correct_bias = corrects != 0};
        nnd_quantize *q = NULL;
        nnd_str file = {0};
        assert_ok(quantised(&options, &q, &file));
        plain = nnd_quantize_output_sqnr(q);
        assert_int_equal(nnd_quantize_kept_count(q), 0);
        nnd_quantize_destroy(q);
        q = NULL;
        /* What is held already costs nothing. */
        options.least_sqnr = plain - 1;
        assert_ok(quantised(&options, &q, &file));
        assert_int_equal(nnd_quantize_kept_count(q), 0);
        nnd_quantize_destroy(q);
        q = NULL;
        options.least_sqnr = plain + 1;
        assert_ok(quantised(&options, &q, &file));
        assert_true(nnd_quantize_output_sqnr(q) >= plain + 1);
        const size_t kept = nnd_quantize_kept_count(q);
        assert_true(kept > 0 && kept < LAYERS);
        for (size_t i = 0; i < kept; i++)
            assert_non_null(strstr(nnd_quantize_kept_at(q, i)->reason, "alone"));
        nnd_onnx_outline o = {0};
        assert_ok(nnd_onnx_outline_read(&o, file.data, file.size, NULL, NULL));
        size_t floats = 0;
        floats += nnd_onnx_outline_constant(&o, "w0") != NULL;
        floats += nnd_onnx_outline_constant(&o, "w1") != NULL;
        floats += nnd_onnx_outline_constant(&o, "w2") != NULL;
        assert_int_equal(floats, kept);
        nnd_onnx_outline_fini(&o);
        nnd_quantize_destroy(q);
    }
    const nnd_quantize_options too_much = {.check_samples = SAMPLES, .least_sqnr = 190};
    nnd_quantize *q = NULL;
    nnd_str file = {0};
    assert_fails(quantised(&too_much, &q, &file), NND_E_LIMIT, "single layer", "190", "f16");
    nnd_quantize_destroy(q);
    const nnd_quantize_options unmeasured = {.least_sqnr = 10};
    q = NULL;
    assert_fails(quantised(&unmeasured, &q, &file), NND_E_STATE, "no sample");
    nnd_quantize_destroy(q);
}

/* What stays float without the layers that stay integers being any worse: a layer in float reads
   what is not rounded, so that a budget never ends above the float model's own noise. */
static void layers_in_float_read_what_is_not_rounded(void **state)
{
    (void)state;
    static const char *const excluded[] = {"w1_is_no_node", "c1", "y"};
    put_model();
    const nnd_quantize_options options = {
        .check_samples = SAMPLES, .equalise = true, .exclude = excluded + 1, .exclude_count = 2};
    nnd_quantize *q = NULL;
    nnd_str file = {0};
    nnd_onnx_outline o = {0};
    assert_ok(quantised(&options, &q, &file));
    assert_ok(nnd_onnx_outline_read(&o, file.data, file.size, NULL, NULL));
    size_t quantise = 0;
    for (size_t i = 0; i < o.nodes.count; i++)
        quantise += strcmp(o.nodes.items[i].op, "QuantizeLinear") == 0;
    assert_int_equal(quantise, 1); /* x only */
    nnd_onnx_outline_fini(&o);
    nnd_quantize_destroy(q);
}

static void work(void)
{
    const nnd_quantize_options options = {.method = NND_RANGE_AUTO,
                                          .percentile = 99,
                                          .equalise = true,
                                          .correct_bias = true,
                                          .least_sqnr = 48,
                                          .check_samples = 1,
                                          .threads = 1};
    nnd_quantize *q = NULL;
    const void *bytes = NULL;
    size_t size = 0;
    nnd_value *x = NULL;
    nnd_status status = nnd_quantize_create(in_folder(folder, "model.onnx"), &options, &q);
    if (status == NND_OK) status = nnd_value_new_tensor(NND_F32, 4, x_dims, &x);
    if (status == NND_OK) {
        nnd_tensor *t = nnd_value_edit(x);
        for (int64_t i = 0; i < nnd_tensor_count(t); i++)
            ((float *)t->data)[i] = (float)i / 144;
        status = nnd_quantize_add(q, "one", &x);
    }
    nnd_value_unref(x);
    if (status == NND_OK) status = nnd_quantize_finish(q, &bytes, &size);
    if (!oom_hit()) assert_ok(status);
    nnd_quantize_destroy(q);
    nnd_error_clear();
}

static void lack_of_memory_is_survived(void **state)
{
    (void)state;
    put_model();
    work(); /* what the process makes once is there then */
    oom_begin();
    for (long n = 0;; n += 1 + n / 30) {
        oom_fail_after(n);
        work();
        const bool was_hit = oom_hit();
        oom_never();
        if (!was_hit) break;
    }
    assert_int_equal(oom_live_blocks(), 0);
    oom_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(biases_restore_the_means),
        cmocka_unit_test(the_best_ranges_are_chosen),
        cmocka_unit_test(a_budget_is_held),
        cmocka_unit_test(layers_in_float_read_what_is_not_rounded),
        cmocka_unit_test(lack_of_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, begin, finish);
}
