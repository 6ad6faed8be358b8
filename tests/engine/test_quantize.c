/* QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear against their definitions, bit by bit:
   ties, limits, zero points at the ends of the type, infinities, NaN (which becomes the zero point)
   and lengths that leave remainders of vectors and tiles. */
#include <float.h>

#include "engine_support.h"
#include "onnx_writer.h"

enum { LENGTHS = 6 };
static const int64_t lengths[LENGTHS] = {1, 15, 16, 67, 4096, 20003};

typedef struct integer {
    nnd_dtype type;
    int onnx;
    int32_t low, high;
} integer;
static const integer integers[] = {{NND_U8, OW_U8, 0, 255},
                                   {NND_I8, OW_I8, -128, 127},
                                   {NND_U16, OW_U16, 0, 65535},
                                   {NND_I16, OW_I16, -32768, 32767}};

typedef struct network {
    nnd_str graph, attrs, model;
    nnd_engine_model *m;
    nnd_engine_request *r;
} network;

static void close_network(network *n)
{
    nnd_engine_request_destroy(n->r);
    nnd_engine_model_unref(n->m);
    nnd_str_free(&n->model);
}

/* Runs the graph, whose only input is x. */
static void run_network(network *n, const nnd_tensor *x)
{
    ow_model(&n->model, &n->graph, 21);
    assert_ok(nnd_engine_model_load_memory(n->model.data, n->model.size, NULL, &n->m));
    assert_ok(nnd_engine_request_create(n->m, &n->r));
    assert_ok(nnd_engine_request_bind_input(n->r, 0, x));
    assert_ok(nnd_engine_request_run(n->r, 2, NULL));
}

/* Numbers around the codes of `scale`: every fifth is a tie, some are not finite. */
static void fill(float *x, size_t n, float scale, const integer *to)
{
    static const float special[] = {NAN, INFINITY, -INFINITY, 1e38f, -1e38f, -0.0f, FLT_MIN};
    uint32_t span = (uint32_t)(to->high - to->low);
    uint32_t state = 12345;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        float steps = (float)(state >> 8) / (float)(1 << 24) * 2.5f - 1.25f;
        x[i] = steps * (float)span * scale;
        if (i % 5 == 0) x[i] = (nearbyintf(steps * (float)span) + 0.5f) * scale;
        if (i % 23 == 7) x[i] = special[state >> 8 & 7 ? (state >> 8) % NND_COUNT(special) : 0];
    }
}

static int32_t code_of(float x, float scale, int32_t zero, const integer *to)
{
    float steps = x / scale;
    if (isnan(steps)) return zero;
    double code = nearbyint((double)steps) + zero;
    return code < to->low ? to->low : code > to->high ? to->high : (int32_t)code;
}

static void check_integer(const integer *to, int64_t length, float scale, int32_t zero)
{
    network n = {0};
    nnd_tensor x, q, y;
    float *data = nnd_alloc((size_t)length * sizeof(*data));
    assert_non_null(data);
    fill(data, (size_t)length, scale, to);
    assert_ok(nnd_tensor_init(&x, NND_F32, 1, &length, data));
    ow_value(&n.graph, OW_INPUT, "x", OW_F32, 1, &length, NULL);
    ow_initializer(&n.graph, "scale", OW_F32, 0, NULL, &scale, sizeof(scale));
    ow_initializer(&n.graph, "zero", to->onnx, 0, NULL, &(uint16_t){(uint16_t)zero},
                   nnd_dtype_bits(to->type) / 8);
    ow_node(&n.graph, "QuantizeLinear", "x,scale,zero", "q", &n.attrs);
    ow_node(&n.graph, "DequantizeLinear", "q,scale,zero", "y", &n.attrs);
    ow_value(&n.graph, OW_OUTPUT, "q", to->onnx, 1, &length, NULL);
    ow_value(&n.graph, OW_OUTPUT, "y", OW_F32, 1, &length, NULL);
    run_network(&n, &x);
    assert_ok(nnd_engine_request_output(n.r, 0, &q));
    assert_ok(nnd_engine_request_output(n.r, 1, &y));
    assert_int_equal(q.dtype, to->type);
    for (size_t i = 0; i < (size_t)length; i++) {
        int32_t code = code_of(data[i], scale, zero, to);
        assert_int_equal((int32_t)nnd_dtype_get(q.dtype, q.data, i), code);
        float real = (float)(code - zero) * scale;
        assert_memory_equal((const float *)y.data + i, &real, sizeof(real));
    }
    close_network(&n);
    nnd_free(data);
}

static void to_integers_and_back(void **state)
{
    (void)state;
    for (size_t k = 0; k < NND_COUNT(integers); k++) {
        const integer *to = &integers[k];
        const int32_t zeros[] = {to->low, to->high, 0, to->low + (to->high - to->low) / 3};
        for (size_t i = 0; i < NND_COUNT(zeros); i++) {
            check_integer(to, lengths[i], 0.25f, zeros[i]);
            check_integer(to, lengths[LENGTHS - 1], 0.0173f, zeros[i]);
        }
    }
}

/* Codes of 16 bits whose step is so large that the lowest of them is −infinity, as quantisers make
   of the −3.4e38 of attention masks: 0·(−infinity) is a NaN, and that is "nothing is masked". */
static void masks_beyond_the_range_of_floats(void **state)
{
    const float mask[2] = {0, 1}, scale = 5.192376e33f;
    const uint16_t zero = UINT16_MAX, lowest = 0;
    const int64_t length = 2;
    network n = {0};
    nnd_tensor x, q;
    (void)state;
    assert_ok(nnd_tensor_init(&x, NND_F32, 1, &length, (void *)(uintptr_t)mask));
    ow_value(&n.graph, OW_INPUT, "x", OW_F32, 1, &length, NULL);
    ow_initializer(&n.graph, "scale", OW_F32, 0, NULL, &scale, sizeof(scale));
    ow_initializer(&n.graph, "zero", OW_U16, 0, NULL, &zero, sizeof(zero));
    ow_initializer(&n.graph, "lowest", OW_U16, 0, NULL, &lowest, sizeof(lowest));
    ow_node(&n.graph, "DequantizeLinear", "lowest,scale,zero", "least", &n.attrs);
    ow_node(&n.graph, "Mul", "x,least", "masked", &n.attrs);
    ow_node(&n.graph, "QuantizeLinear", "masked,scale,zero", "q", &n.attrs);
    ow_value(&n.graph, OW_OUTPUT, "q", OW_U16, 1, &length, NULL);
    run_network(&n, &x);
    assert_ok(nnd_engine_request_output(n.r, 0, &q));
    assert_int_equal(((const uint16_t *)q.data)[0], zero);
    assert_int_equal(((const uint16_t *)q.data)[1], 0);
    close_network(&n);
}

/* ---- DynamicQuantizeLinear ------------------------------------------------------------------- */

static void check_dynamic(float *data, int64_t length)
{
    network n = {0};
    nnd_tensor x, q, scale, zero;
    float low = 0, high = 0;
    for (size_t i = 0; i < (size_t)length; i++) {
        low = fminf(low, data[i]);
        high = fmaxf(high, data[i]);
    }
    float step = (high - low) / 255.0f;
    double from = step > 0 ? nearbyint((double)(0.0f - low / step)) : 0;
    from = isnan(from) ? 0 : fmin(fmax(from, 0), 255);
    assert_ok(nnd_tensor_init(&x, NND_F32, 1, &length, data));
    ow_value(&n.graph, OW_INPUT, "x", OW_F32, 1, &length, NULL);
    ow_node(&n.graph, "DynamicQuantizeLinear", "x", "q,s,z", &n.attrs);
    ow_value(&n.graph, OW_OUTPUT, "q", OW_U8, 1, &length, NULL);
    ow_value(&n.graph, OW_OUTPUT, "s", OW_F32, 0, NULL, NULL);
    ow_value(&n.graph, OW_OUTPUT, "z", OW_U8, 0, NULL, NULL);
    run_network(&n, &x);
    assert_ok(nnd_engine_request_output(n.r, 0, &q));
    assert_ok(nnd_engine_request_output(n.r, 1, &scale));
    assert_ok(nnd_engine_request_output(n.r, 2, &zero));
    assert_memory_equal(scale.data, &step, sizeof(step));
    assert_int_equal(*(const uint8_t *)zero.data, (int)from);
    for (size_t i = 0; i < (size_t)length; i++)
        assert_int_equal(((const uint8_t *)q.data)[i],
                         step > 0 ? code_of(data[i], step, (int32_t)from, &integers[0]) : 0);
    close_network(&n);
}

static void ranges_found_at_run_time(void **state)
{
    static float data[20003];
    (void)state;
    for (size_t k = 0; k < LENGTHS; k++) {
        size_t n = (size_t)lengths[k];
        for (int shift = -2; shift <= 2; shift++) { /* all negative … all positive */
            for (size_t i = 0; i < n; i++)
                data[i] = (float)((i * 37 + i * i * 5) % 1001) / 500.0f - 1.0f + (float)shift;
            check_dynamic(data, lengths[k]);
        }
        data[n / 2] = NAN;
        check_dynamic(data, lengths[k]);
        data[n - 1] = INFINITY;
        check_dynamic(data, lengths[k]);
        data[0] = -INFINITY;
        check_dynamic(data, lengths[k]);
        memset(data, 0, sizeof(data));
        check_dynamic(data, lengths[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_integers_and_back),
        cmocka_unit_test(masks_beyond_the_range_of_floats),
        cmocka_unit_test(ranges_found_at_run_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
