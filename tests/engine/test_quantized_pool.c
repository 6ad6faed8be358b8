/* QLinearAveragePool and QLinearGlobalAveragePool under every ISA against their definitions, byte
   by byte: one to three dimensions, strides, dilations, padding that counts or does not, rows
   beyond one strip; equal bytes for 1 … 3 threads. */
#include "engine_support.h"
#include "kernels_support.h"
#include "onnx_writer.h"

enum { MAX_SPATIAL = 3 };

typedef struct pool {
    int spatial;
    int64_t channels, in[MAX_SPATIAL], kernel[MAX_SPATIAL], stride[MAX_SPATIAL];
    int64_t dilation[MAX_SPATIAL], pads[2 * MAX_SPATIAL], out[MAX_SPATIAL];
    bool is_signed, counts_padding, global;
    float x_scale, y_scale;
    uint8_t x_zero, y_zero, *x;
} pool;

static int32_t code(const pool *p, uint8_t byte)
{
    return p->is_signed ? (int8_t)byte : byte;
}

static int64_t area(const int64_t *dims, int n)
{
    int64_t all = 1;
    for (int i = 0; i < n; i++)
        all *= dims[i];
    return all;
}

static pool random_pool(bool global)
{
    pool p = {.spatial = (int)rng_int(1, MAX_SPATIAL), .channels = rng_int(1, 5), .global = global};
    for (int d = 0; d < p.spatial; d++) {
        const bool wide = d == p.spatial - 1 && rng_int(0, 5) == 0;
        p.kernel[d] = rng_int(1, 4);
        p.stride[d] = rng_int(1, 3);
        p.dilation[d] = rng_int(1, 2);
        const int64_t reach = (p.kernel[d] - 1) * p.dilation[d] + 1;
        p.pads[d] = rng_int(0, p.kernel[d] - 1);
        p.pads[d + p.spatial] = rng_int(0, p.kernel[d] - 1);
        p.in[d] = reach + (wide ? rng_int(300, 700) : rng_int(0, 12));
        p.out[d] = (p.in[d] + p.pads[d] + p.pads[d + p.spatial] - reach) / p.stride[d] + 1;
    }
    p.is_signed = rng_int(0, 1);
    p.counts_padding = rng_int(0, 1);
    p.x_scale = rng_float(0.01f, 0.1f);
    p.y_scale = rng_int(0, 1) ? p.x_scale : rng_float(0.01f, 0.1f);
    p.x_zero = (uint8_t)rng_next();
    p.y_zero = rng_int(0, 1) ? p.x_zero : (uint8_t)rng_next();
    int64_t n = p.channels * area(p.in, p.spatial);
    p.x = nnd_alloc((size_t)n);
    assert_non_null(p.x);
    for (int64_t i = 0; i < n; i++)
        p.x[i] = (uint8_t)rng_next();
    return p;
}

/* Sums in single precision, in the order of the window; the zero point is added before rounding. */
static int32_t expected_average(const pool *p, int64_t channel, const int64_t *o)
{
    float sum = 0;
    int64_t count = 0, taps = area(p->kernel, p->spatial);
    for (int64_t k = 0; k < taps; k++) {
        int64_t left = k, at = 0, tap[MAX_SPATIAL];
        bool inside = true;
        for (int d = p->spatial - 1; d >= 0; d--) {
            tap[d] = left % p->kernel[d];
            left /= p->kernel[d];
        }
        for (int d = 0; d < p->spatial; d++) {
            int64_t i = o[d] * p->stride[d] - p->pads[d] + tap[d] * p->dilation[d];
            inside = inside && i >= 0 && i < p->in[d];
            at = at * p->in[d] + i;
        }
        count += inside || p->counts_padding;
        if (!inside) continue;
        uint8_t byte = p->x[channel * area(p->in, p->spatial) + at];
        sum += ((float)code(p, byte) - (float)code(p, p->x_zero)) * p->x_scale;
    }
    float average = count ? sum / (float)count : 0.0f;
    return (int32_t)nearbyintf(average / p->y_scale + (float)code(p, p->y_zero));
}

static int32_t expected_global(const pool *p, int64_t channel)
{
    const int64_t n = area(p->in, p->spatial);
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += code(p, p->x[channel * n + i]) - code(p, p->x_zero);
    float factor = p->x_scale / (p->y_scale * (float)n);
    return (int32_t)nearbyintf((float)sum * factor) + code(p, p->y_zero);
}

static int32_t limited(const pool *p, int32_t v)
{
    const int32_t low = p->is_signed ? -128 : 0;
    return v < low ? low : v > low + 255 ? low + 255 : v;
}

static nnd_engine_model *write_model(const pool *p, nnd_str *model)
{
    nnd_str graph = {0}, attrs = {0};
    const int elem = p->is_signed ? OW_I8 : OW_U8;
    int64_t dims[2 + MAX_SPATIAL] = {1, p->channels};
    nnd_engine_model *m;
    memcpy(dims + 2, p->in, (size_t)p->spatial * sizeof(*dims));
    ow_value(&graph, OW_INPUT, "x", elem, 2 + p->spatial, dims, NULL);
    ow_initializer(&graph, "xs", OW_F32, 0, NULL, &p->x_scale, sizeof(float));
    ow_initializer(&graph, "xz", elem, 0, NULL, &p->x_zero, 1);
    ow_initializer(&graph, "ys", OW_F32, 0, NULL, &p->y_scale, sizeof(float));
    ow_initializer(&graph, "yz", elem, 0, NULL, &p->y_zero, 1);
    if (!p->global) {
        size_t n = (size_t)p->spatial;
        ow_attr_ints(&attrs, "kernel_shape", p->kernel, n);
        ow_attr_ints(&attrs, "strides", p->stride, n);
        ow_attr_ints(&attrs, "dilations", p->dilation, n);
        ow_attr_ints(&attrs, "pads", p->pads, 2 * n);
        ow_attr_int(&attrs, "count_include_pad", p->counts_padding);
    }
    ow_node_of(&graph, "com.microsoft",
               p->global ? "QLinearGlobalAveragePool" : "QLinearAveragePool", "x,xs,xz,ys,yz", "y",
               &attrs);
    ow_value(&graph, OW_OUTPUT, "y", elem, -1, NULL, NULL);
    ow_model(model, &graph, 14);
    assert_ok(nnd_engine_model_load_memory(model->data, model->size, NULL, &m));
    return m;
}

static void check_bytes(const pool *p, nnd_engine_request *r)
{
    const int64_t each = p->global ? 1 : area(p->out, p->spatial);
    nnd_tensor y;
    assert_ok(nnd_engine_request_output(r, 0, &y));
    assert_int_equal(nnd_tensor_count(&y), p->channels * each);
    for (int64_t i = 0; i < p->channels * each; i++) {
        int64_t left = i % each, o[MAX_SPATIAL];
        for (int d = p->spatial - 1; d >= 0; d--) {
            o[d] = left % p->out[d];
            left /= p->out[d];
        }
        int32_t want = p->global ? expected_global(p, i) : expected_average(p, i / each, o);
        assert_int_equal(code(p, ((const uint8_t *)y.data)[i]), limited(p, want));
    }
}

static void check_pool(bool global)
{
    pool p = random_pool(global);
    nnd_str model = {0};
    nnd_engine_model *m = write_model(&p, &model);
    for (int threads = 1; threads <= 3; threads++) {
        int64_t dims[2 + MAX_SPATIAL] = {1, p.channels};
        nnd_engine_request *r;
        nnd_tensor x;
        memcpy(dims + 2, p.in, (size_t)p.spatial * sizeof(*dims));
        assert_ok(nnd_tensor_init(&x, p.is_signed ? NND_I8 : NND_U8, 2 + p.spatial, dims, p.x));
        assert_ok(nnd_engine_request_create(m, &r));
        assert_ok(nnd_engine_request_bind_input(r, 0, &x));
        assert_ok(nnd_engine_request_run(r, threads, NULL));
        check_bytes(&p, r);
        nnd_engine_request_destroy(r);
    }
    nnd_engine_model_unref(m);
    nnd_str_free(&model);
    nnd_free(p.x);
}

static void averages_with(nnd_isa isa)
{
    (void)isa;
    for (int i = 0; i < ROUNDS(80); i++)
        check_pool(i % 4 == 0);
}

static void averages_are_as_defined(void **state)
{
    (void)state;
    each_isa(averages_with);
    averages_with(nnd_isa_current());
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(averages_are_as_defined)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
