/* Products and convolutions in bf16 by an option, and weights that are exact in it by themselves.
 */
#include "engine_support.h"
#include "onnx_writer.h"

#include <math.h>

#include "base/isa.h"
#include "engine/kernels/kernels.h"

enum { ROWS = 3, DEPTH = 70, COLUMNS = 41 };

typedef struct network {
    nnd_str graph, attrs, model;
    float x[ROWS * DEPTH], w[DEPTH * COLUMNS], bias[COLUMNS];
} network;

static float rounded(float x)
{
    uint16_t half;
    nnd_f32_to_bf16(&x, &half, 1);
    nnd_bf16_to_f32(&half, &x, 1);
    return x;
}

/* y = x·w + bias, by MatMul and Add or by Gemm. */
static void build(network *n, bool gemm, bool exact)
{
    const int64_t x[2] = {ROWS, DEPTH}, w[2] = {DEPTH, COLUMNS}, b[1] = {COLUMNS};
    uint32_t seed = 5;
    float *all[3] = {n->x, n->w, n->bias};
    const size_t counts[3] = {NND_COUNT(n->x), NND_COUNT(n->w), NND_COUNT(n->bias)};
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < counts[k]; i++) {
            seed = seed * 1664525u + 1013904223u;
            all[k][i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
            if (exact && k == 1) all[k][i] = rounded(all[k][i]);
        }
    ow_value(&n->graph, OW_INPUT, "x", OW_F32, 2, x, NULL);
    ow_initializer(&n->graph, "w", OW_F32, 2, w, n->w, sizeof(n->w));
    ow_initializer(&n->graph, "bias", OW_F32, 1, b, n->bias, sizeof(n->bias));
    if (gemm) {
        ow_node(&n->graph, "Gemm", "x,w,bias", "y", &n->attrs);
    } else {
        ow_node(&n->graph, "MatMul", "x,w", "p", &n->attrs);
        ow_node(&n->graph, "Add", "p,bias", "y", &n->attrs);
    }
    ow_value(&n->graph, OW_OUTPUT, "y", OW_F32, 0, NULL, NULL);
    ow_model(&n->model, &n->graph, 17);
}

/* Runs it; returns the bytes of the packed weights. */
static uint64_t run(const network *n, bool bf16, float *y)
{
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *m;
    nnd_engine_request *r;
    nnd_engine_model_info info;
    nnd_tensor in, out;
    options.bf16 = bf16;
    assert_ok(nnd_engine_model_load_memory(n->model.data, n->model.size, &options, &m));
    nnd_engine_model_get_info(m, &info);
    assert_ok(nnd_engine_request_create(m, &r));
    assert_ok(nnd_tensor_init(&in, NND_F32, 2, (int64_t[]){ROWS, DEPTH}, (void *)(uintptr_t)n->x));
    assert_ok(nnd_engine_request_bind_input(r, 0, &in));
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    assert_ok(nnd_engine_request_output(r, 0, &out));
    memcpy(y, out.data, ROWS * COLUMNS * sizeof(*y));
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    return info.packed_bytes;
}

/* Against double precision, with operands rounded or not. */
static void check(const network *n, bool round_x, bool round_w, const float *y)
{
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        size_t row = i / COLUMNS, column = i % COLUMNS;
        double sum = n->bias[column], size = fabs(sum);
        for (size_t k = 0; k < DEPTH; k++) {
            float a = n->x[row * DEPTH + k], b = n->w[k * COLUMNS + column];
            double product =
                (double)(round_x ? rounded(a) : a) * (double)(round_w ? rounded(b) : b);
            sum += product;
            size += fabs(product);
        }
        assert_true(fabs((double)y[i] - sum) <= (DEPTH + 4) * 0x1p-24 * size);
    }
}

static void on_every_isa(void (*body)(bool gemm))
{
    const nnd_isa levels[] = {NND_ISA_REFERENCE,  NND_ISA_AVX2, NND_ISA_AVX512,
                              NND_ISA_AVX512BF16, NND_ISA_NEON, NND_ISA_NEON_BF16};
    for (size_t i = 0; i < NND_COUNT(levels); i++) {
        assert_ok(nnd_isa_force(nnd_isa_detected()));
        if (!nnd_isa_has(levels[i])) continue;
        assert_ok(nnd_isa_force(levels[i]));
        body(false);
        body(true);
    }
    assert_ok(nnd_isa_force(nnd_isa_detected()));
}

static void by_option(bool gemm)
{
    network n = {0};
    float y[ROWS * COLUMNS], z[ROWS * COLUMNS];
    build(&n, gemm, false);
    uint64_t wide = run(&n, false, y), narrow = run(&n, true, z);
    check(&n, false, false, y);
    check(&n, true, true, z);
    assert_true(memcmp(y, z, sizeof(y)) != 0);
    assert_int_equal(wide, nnd_isa_current() == NND_ISA_REFERENCE ? narrow : 2 * narrow);
    nnd_str_free(&n.model);
}

static void by_themselves(bool gemm)
{
    network n = {0}, other = {0};
    float y[ROWS * COLUMNS], z[ROWS * COLUMNS];
    build(&n, gemm, true);
    build(&other, gemm, false);
    uint64_t narrow = run(&n, false, y), wide = run(&other, false, z);
    check(&n, false, false, y);
    assert_int_equal(wide, nnd_isa_current() == NND_ISA_REFERENCE ? narrow : 2 * narrow);
    nnd_str_free(&n.model);
    nnd_str_free(&other.model);
}

static void the_option_rounds_products(void **state)
{
    (void)state;
    on_every_isa(by_option);
}

static void exact_weights_are_kept_in_bf16(void **state)
{
    (void)state;
    on_every_isa(by_themselves);
}

/* ---- com.microsoft's Attention ------------------------------------------------------------- */

enum { STEPS = 5, FEATURES = 24, WIDTH = 3 * FEATURES };

/* Projection weights as a constant or as an input; returns the bytes of packed weights. */
static uint64_t run_attention(bool constant, bool bf16, float *y)
{
    const int64_t x[3] = {1, STEPS, FEATURES}, w[2] = {FEATURES, WIDTH}, b[1] = {WIDTH};
    static float tokens[STEPS * FEATURES], weights[FEATURES * WIDTH], bias[WIDTH];
    nnd_str graph = {0}, attrs = {0}, model = {0};
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *m;
    nnd_engine_request *r;
    nnd_engine_model_info info;
    nnd_tensor in[2], out;
    for (size_t i = 0; i < NND_COUNT(tokens); i++)
        tokens[i] = (float)(i * 53 % 103) / 103.0f - 0.5f;
    for (size_t i = 0; i < NND_COUNT(weights); i++)
        weights[i] = (float)(i * 37 % 101) / 101.0f - 0.5f;
    for (size_t i = 0; i < NND_COUNT(bias); i++)
        bias[i] = (float)(i % 7) / 7.0f;
    ow_value(&graph, OW_INPUT, "x", OW_F32, 3, x, NULL);
    if (constant)
        ow_initializer(&graph, "w", OW_F32, 2, w, weights, sizeof(weights));
    else
        ow_value(&graph, OW_INPUT, "w", OW_F32, 2, w, NULL);
    ow_initializer(&graph, "b", OW_F32, 1, b, bias, sizeof(bias));
    ow_attr_int(&attrs, "num_heads", 3);
    ow_node_of(&graph, "com.microsoft", "Attention", "x,w,b", "y", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 0, NULL, NULL);
    ow_model(&model, &graph, 17);
    options.bf16 = bf16;
    assert_ok(nnd_engine_model_load_memory(model.data, model.size, &options, &m));
    nnd_engine_model_get_info(m, &info);
    assert_ok(nnd_engine_request_create(m, &r));
    assert_ok(nnd_tensor_init(&in[0], NND_F32, 3, x, tokens));
    assert_ok(nnd_tensor_init(&in[1], NND_F32, 2, w, weights));
    for (size_t i = 0; i < (constant ? 1 : 2); i++)
        assert_ok(nnd_engine_request_bind_input(r, i, &in[i]));
    assert_ok(nnd_engine_request_run(r, 2, NULL));
    assert_ok(nnd_engine_request_output(r, 0, &out));
    memcpy(y, out.data, sizeof(tokens));
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&model);
    return info.packed_bytes;
}

/* Packed at load, the weights give the bits of those that are packed in each run. In bf16 queries
   and keys of at most 6 + 1 are off by 2^-7 of that at most, and the result is a mean of values. */
static void attention(bool gemm)
{
    float x[STEPS * FEATURES], y[STEPS * FEATURES], z[STEPS * FEATURES];
    if (gemm) return;
    assert_int_equal(run_attention(false, false, x), 0);
    uint64_t wide = run_attention(true, false, y), narrow = run_attention(true, true, z);
    assert_memory_equal(x, y, sizeof(x));
    assert_true(wide > 0);
    assert_int_equal(wide, nnd_isa_current() == NND_ISA_REFERENCE ? narrow : 2 * narrow);
    assert_true(memcmp(y, z, sizeof(y)) != 0);
    for (size_t i = 0; i < NND_COUNT(y); i++)
        assert_true(fabsf(y[i] - z[i]) <= 0.1f);
}

static void the_option_rounds_projections(void **state)
{
    (void)state;
    on_every_isa(attention);
}

/* ---- convolutions -------------------------------------------------------------------------- */

enum { CHANNELS = 32, SIDE = 6, PIXELS = SIDE * SIDE };

/* x + 1×1 convolution of (1×1 convolution of x): both in blocks of channels. */
static void run_convolutions(bool bf16, float *y, uint64_t *packed)
{
    const int64_t x[4] = {1, CHANNELS, SIDE, SIDE}, w[4] = {CHANNELS, CHANNELS, 1, 1};
    static float weights[CHANNELS * CHANNELS], pixels[CHANNELS * PIXELS];
    nnd_str graph = {0}, attrs = {0}, model = {0};
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *m;
    nnd_engine_request *r;
    nnd_engine_model_info info;
    nnd_tensor in, out;
    for (size_t i = 0; i < NND_COUNT(weights); i++)
        weights[i] = (float)(i * 37 % 101) / 101.0f - 0.5f;
    for (size_t i = 0; i < NND_COUNT(pixels); i++)
        pixels[i] = (float)(i * 53 % 103) / 103.0f - 0.5f;
    ow_value(&graph, OW_INPUT, "x", OW_F32, 4, x, NULL);
    ow_initializer(&graph, "w", OW_F32, 4, w, weights, sizeof(weights));
    ow_node(&graph, "Conv", "x,w", "a", &attrs);
    ow_node(&graph, "Conv", "a,w", "b", &attrs);
    ow_node(&graph, "Add", "x,b", "y", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 0, NULL, NULL);
    ow_model(&model, &graph, 17);
    options.bf16 = bf16;
    assert_ok(nnd_engine_model_load_memory(model.data, model.size, &options, &m));
    nnd_engine_model_get_info(m, &info);
    *packed = info.packed_bytes;
    assert_ok(nnd_engine_request_create(m, &r));
    assert_ok(nnd_tensor_init(&in, NND_F32, 4, x, pixels));
    assert_ok(nnd_engine_request_bind_input(r, 0, &in));
    assert_ok(nnd_engine_request_run(r, 2, NULL));
    assert_ok(nnd_engine_request_output(r, 0, &out));
    memcpy(y, out.data, sizeof(pixels));
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&model);
}

/* The product is checked in test_kernels_conv.c; here, that the option reaches it, and only where
   the processor multiplies pairs. */
static void convolutions(bool gemm)
{
    static float y[CHANNELS * PIXELS], z[CHANNELS * PIXELS];
    uint64_t wide, narrow;
    if (gemm) return;
    run_convolutions(false, y, &wide);
    run_convolutions(true, z, &narrow);
    bool pairs = nnd_isa_has(NND_ISA_AVX512BF16) || nnd_isa_has(NND_ISA_NEON_BF16);
    assert_int_equal(narrow < wide, pairs);
    assert_int_equal(memcmp(y, z, sizeof(y)) != 0, pairs);
    /* |x| ≤ 0.5 and |w| ≤ 0.5: |a| ≤ 8, |b| ≤ 128; each factor is off by 2^-9 of itself. */
    for (size_t i = 0; i < NND_COUNT(y); i++)
        assert_true(fabsf(y[i] - z[i]) <= 128 * 4.1f * 0x1p-9f);
}

static void the_option_rounds_convolutions(void **state)
{
    (void)state;
    on_every_isa(convolutions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_option_rounds_products),
        cmocka_unit_test(exact_weights_are_kept_in_bf16),
        cmocka_unit_test(the_option_rounds_projections),
        cmocka_unit_test(the_option_rounds_convolutions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
