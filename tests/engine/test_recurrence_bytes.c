/*
 * DynamicQuantizeLSTM under every ISA. The oracle is LSTM in f32, step by step: with dequantised
 * weights, and with an input and states that have been through the same codes. Where a state lies
 * next to a half, both may take different codes, which moves a gate by a step of the quantisation:
 * single results may be that far apart, but not on average. Equal bits for 1 … 3 threads.
 */
#include "engine_support.h"
#include "kernels_support.h"
#include "onnx_writer.h"

#define ONE_TOLERANCE  2e-2
#define MEAN_TOLERANCE 2e-4

enum { GATES = 4 };

typedef struct layer {
    int64_t steps, batch, input, hidden, directions;
    bool backwards, per_column, is_signed, has_bias, has_states, constant_weights;
    uint8_t *w, *r;   /* [directions, in, gates] */
    float *scales[2]; /* of w and r: [directions] or [directions, gates] */
    uint8_t *zeros[2];
    float *x, *bias, *h, *c;
} layer;

static float *floats(int64_t n, float most)
{
    float *v = nnd_alloc((size_t)(n + 1) * sizeof(*v));
    assert_non_null(v);
    for (int64_t i = 0; i < n; i++)
        v[i] = rng_float(-most, most);
    return v;
}

static uint8_t *codes(int64_t n)
{
    uint8_t *v = nnd_alloc((size_t)n + 1);
    assert_non_null(v);
    for (int64_t i = 0; i < n; i++)
        v[i] = (uint8_t)rng_next();
    return v;
}

static int64_t all_gates(const layer *l)
{
    return GATES * l->hidden;
}

static int64_t scale_count(const layer *l)
{
    return l->directions * (l->per_column ? all_gates(l) : 1);
}

static void fill(layer *l)
{
    int64_t d = l->directions, states = d * l->batch * l->hidden;
    l->w = codes(d * l->input * all_gates(l));
    l->r = codes(d * l->hidden * all_gates(l));
    for (int i = 0; i < 2; i++) {
        l->scales[i] = floats(scale_count(l), 0.0f);
        l->zeros[i] = codes(scale_count(l));
        for (int64_t k = 0; k < scale_count(l); k++)
            l->scales[i][k] = rng_float(0.001f, 0.004f);
        if (rng_int(0, 1)) memset(l->zeros[i], l->is_signed ? 0 : 128, (size_t)scale_count(l));
    }
    l->x = floats(l->steps * l->batch * l->input, 2.0f);
    l->bias = floats(d * 2 * all_gates(l), 0.3f);
    l->h = floats(states, l->has_states ? 0.9f : 0.0f);
    l->c = floats(states, l->has_states ? 0.9f : 0.0f);
    if (!l->has_bias) memset(l->bias, 0, (size_t)(d * 2 * all_gates(l)) * sizeof(float));
}

static void layer_free(layer *l)
{
    nnd_free(l->w);
    nnd_free(l->r);
    for (int i = 0; i < 2; i++) {
        nnd_free(l->scales[i]);
        nnd_free(l->zeros[i]);
    }
    nnd_free(l->x);
    nnd_free(l->bias);
    nnd_free(l->h);
    nnd_free(l->c);
}

/* ---- the oracle ------------------------------------------------------------------------------ */

/* To codes of their extremes and back. */
static void through_codes(const float *x, float *y, int64_t n)
{
    float low = 0, high = 0;
    for (int64_t i = 0; i < n; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    float scale = (high - low) / 255.0f, zero = scale > 0 ? nearbyintf(-low / scale) : 0;
    for (int64_t i = 0; i < n; i++) {
        float code = scale > 0 ? nearbyintf(x[i] / scale) + zero : 0;
        y[i] = (fminf(fmaxf(code, 0), 255) - zero) * scale;
    }
}

/* Weights of a direction as LSTM takes them: dequantised, [gates, in]. */
static float *weights_of(const layer *l, int which, int64_t d)
{
    const int64_t in = which ? l->hidden : l->input, all = all_gates(l);
    const uint8_t *from = (which ? l->r : l->w) + d * in * all;
    float *to = floats(in * all, 0);
    for (int64_t k = 0; k < in; k++)
        for (int64_t g = 0; g < all; g++) {
            const int64_t s = l->per_column ? d * all + g : d;
            const uint8_t code = from[k * all + g], zero = l->zeros[which][s];
            const int v = l->is_signed ? (int8_t)code - (int8_t)zero : code - zero;
            to[g * in + k] = (float)v * l->scales[which][s];
        }
    return to;
}

static nnd_engine_model *oracle_model(const layer *l, nnd_str *model)
{
    nnd_str graph = {0}, attrs = {0};
    const int64_t b = l->batch, n = l->hidden, all = all_gates(l);
    ow_value(&graph, OW_INPUT, "x", OW_F32, 3, (int64_t[]){1, b, l->input}, NULL);
    ow_value(&graph, OW_INPUT, "w", OW_F32, 3, (int64_t[]){1, all, l->input}, NULL);
    ow_value(&graph, OW_INPUT, "r", OW_F32, 3, (int64_t[]){1, all, n}, NULL);
    ow_value(&graph, OW_INPUT, "b", OW_F32, 2, (int64_t[]){1, 2 * all}, NULL);
    ow_value(&graph, OW_INPUT, "h", OW_F32, 3, (int64_t[]){1, b, n}, NULL);
    ow_value(&graph, OW_INPUT, "c", OW_F32, 3, (int64_t[]){1, b, n}, NULL);
    ow_attr_int(&attrs, "hidden_size", n);
    ow_node(&graph, "LSTM", "x,w,r,b,,h,c", ",yh,yc", &attrs);
    ow_value(&graph, OW_OUTPUT, "yh", OW_F32, -1, NULL, NULL);
    ow_value(&graph, OW_OUTPUT, "yc", OW_F32, -1, NULL, NULL);
    ow_model(model, &graph, 14);
    nnd_engine_model *m;
    assert_ok(nnd_engine_model_load_memory(model->data, model->size, NULL, &m));
    return m;
}

static void bind(nnd_engine_request *r, size_t i, int rank, const int64_t *dims, nnd_dtype type,
                 const void *data)
{
    nnd_tensor t;
    assert_ok(nnd_tensor_init(&t, type, rank, dims, (void *)(uintptr_t)data));
    assert_ok(nnd_engine_request_bind_input(r, i, &t));
}

/* One direction: y is [steps, directions, batch, hidden], h and c end as the last states. */
static void expect_direction(const layer *l, nnd_engine_model *m, int64_t d, const float *x,
                             float *y, float *h, float *c)
{
    const int64_t b = l->batch, n = l->hidden, all = all_gates(l), states = b * n;
    float *w = weights_of(l, 0, d), *rec = weights_of(l, 1, d), *seen = floats(states, 0);
    for (int64_t i = 0; i < l->steps; i++) {
        const bool turned = l->directions == 2 ? d == 1 : l->backwards;
        const int64_t t = turned ? l->steps - 1 - i : i;
        nnd_engine_request *r;
        nnd_tensor next;
        through_codes(h, seen, states);
        assert_ok(nnd_engine_request_create(m, &r));
        bind(r, 0, 3, (int64_t[]){1, b, l->input}, NND_F32, x + t * b * l->input);
        bind(r, 1, 3, (int64_t[]){1, all, l->input}, NND_F32, w);
        bind(r, 2, 3, (int64_t[]){1, all, n}, NND_F32, rec);
        bind(r, 3, 2, (int64_t[]){1, 2 * all}, NND_F32, l->bias + d * 2 * all);
        bind(r, 4, 3, (int64_t[]){1, b, n}, NND_F32, seen);
        bind(r, 5, 3, (int64_t[]){1, b, n}, NND_F32, c);
        assert_ok(nnd_engine_request_run(r, 1, NULL));
        assert_ok(nnd_engine_request_output(r, 0, &next));
        memcpy(h, next.data, (size_t)states * sizeof(float));
        memcpy(y + (t * l->directions + d) * states, h, (size_t)states * sizeof(float));
        assert_ok(nnd_engine_request_output(r, 1, &next));
        memcpy(c, next.data, (size_t)states * sizeof(float));
        nnd_engine_request_destroy(r);
    }
    nnd_free(w);
    nnd_free(rec);
    nnd_free(seen);
}

/* ---- the operator ---------------------------------------------------------------------------- */

enum { X, W, R, B, H, C, W_SCALE, W_ZERO, R_SCALE, R_ZERO, OPERANDS };

typedef struct operand {
    const char *name;
    int elem, rank;
    nnd_dtype type;
    int64_t dims[3];
    const void *data;
    bool constant;
} operand;

static void list_operands(const layer *l, operand out[OPERANDS])
{
    const int64_t d = l->directions, n = l->hidden, all = all_gates(l);
    const int bytes = l->is_signed ? OW_I8 : OW_U8, rank = l->per_column ? 2 : 1;
    const nnd_dtype type = l->is_signed ? NND_I8 : NND_U8;
    const operand list[OPERANDS] = {
        {"x", OW_F32, 3, NND_F32, {l->steps, l->batch, l->input}, l->x, false},
        {"w", bytes, 3, type, {d, l->input, all}, l->w, l->constant_weights},
        {"r", bytes, 3, type, {d, n, all}, l->r, l->constant_weights},
        {"b", OW_F32, 2, NND_F32, {d, 2 * all}, l->has_bias ? l->bias : NULL, true},
        {"h", OW_F32, 3, NND_F32, {d, l->batch, n}, l->has_states ? l->h : NULL, false},
        {"c", OW_F32, 3, NND_F32, {d, l->batch, n}, l->has_states ? l->c : NULL, false},
        {"ws", OW_F32, rank, NND_F32, {d, all}, l->scales[0], true},
        {"wz", bytes, rank, type, {d, all}, l->zeros[0], true},
        {"rs", OW_F32, rank, NND_F32, {d, all}, l->scales[1], true},
        {"rz", bytes, rank, type, {d, all}, l->zeros[1], true}};
    memcpy(out, list, sizeof(list));
}

static nnd_engine_model *write_model(const layer *l, nnd_str *model)
{
    nnd_str graph = {0}, attrs = {0};
    operand list[OPERANDS];
    char inputs[128] = "";
    size_t size = 0;
    list_operands(l, list);
    for (int i = 0; i < OPERANDS; i++) {
        const operand *o = &list[i];
        /* Lengths stand in front of the states, a peephole behind them: both are absent. */
        size += (size_t)snprintf(inputs + size, sizeof(inputs) - size, "%s%s%s", i ? "," : "",
                                 i == H || i == W_SCALE ? "," : "", o->data ? o->name : "");
        nnd_tensor t;
        assert_ok(nnd_tensor_init(&t, o->type, o->rank, o->dims, (void *)(uintptr_t)o->data));
        if (o->data && o->constant)
            ow_initializer(&graph, o->name, o->elem, o->rank, o->dims, o->data,
                           nnd_tensor_bytes(&t));
        else if (o->data)
            ow_value(&graph, OW_INPUT, o->name, o->elem, o->rank, o->dims, NULL);
    }
    ow_attr_text(&attrs, "direction",
                 l->directions == 2 ? "bidirectional"
                 : l->backwards     ? "reverse"
                                    : "forward");
    ow_attr_int(&attrs, "hidden_size", l->hidden);
    ow_node_of(&graph, "com.microsoft", "DynamicQuantizeLSTM", inputs, "y,yh,yc", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, -1, NULL, NULL);
    ow_value(&graph, OW_OUTPUT, "yh", OW_F32, -1, NULL, NULL);
    ow_value(&graph, OW_OUTPUT, "yc", OW_F32, -1, NULL, NULL);
    ow_model(model, &graph, 14);
    nnd_engine_model *m;
    assert_ok(nnd_engine_model_load_memory(model->data, model->size, NULL, &m));
    return m;
}

static nnd_engine_request *run_model(nnd_engine_model *m, const layer *l, int threads)
{
    operand list[OPERANDS];
    nnd_engine_request *r;
    size_t next = 0;
    list_operands(l, list);
    assert_ok(nnd_engine_request_create(m, &r));
    for (int i = 0; i < OPERANDS; i++)
        if (list[i].data && !list[i].constant)
            bind(r, next++, list[i].rank, list[i].dims, list[i].type, list[i].data);
    assert_ok(nnd_engine_request_run(r, threads, NULL));
    return r;
}

static void check_output(nnd_engine_request *r, size_t index, const float *want, int64_t n)
{
    nnd_tensor t;
    double sum = 0;
    assert_ok(nnd_engine_request_output(r, index, &t));
    assert_int_equal(nnd_tensor_count(&t), n);
    for (int64_t i = 0; i < n; i++) {
        double off = fabs((double)((const float *)t.data)[i] - (double)want[i]);
        if (!(off <= ONE_TOLERANCE))
            fail_msg("output %zu at %lld: %g, expected %g", index, (long long)i,
                     (double)((const float *)t.data)[i], (double)want[i]);
        sum += off;
    }
    assert_true(sum <= MEAN_TOLERANCE * (double)n);
}

static void check_same(nnd_engine_request *a, nnd_engine_request *b)
{
    for (size_t i = 0; i < 3; i++) {
        nnd_tensor x, y;
        assert_ok(nnd_engine_request_output(a, i, &x));
        assert_ok(nnd_engine_request_output(b, i, &y));
        assert_memory_equal(x.data, y.data, nnd_tensor_bytes(&x));
    }
}

static void check_layer(layer *l)
{
    nnd_str model = {0}, plain = {0};
    fill(l);
    nnd_engine_model *m = write_model(l, &model), *oracle = oracle_model(l, &plain);
    nnd_engine_request *one = run_model(m, l, 1), *more = run_model(m, l, (int)rng_int(2, 3));
    const int64_t inputs = l->steps * l->batch * l->input, each = l->batch * l->hidden;
    float *x = floats(inputs, 0), *y = floats(l->steps * l->directions * each, 0);
    through_codes(l->x, x, inputs);
    for (int64_t d = 0; d < l->directions; d++)
        expect_direction(l, oracle, d, x, y, l->h + d * each, l->c + d * each);
    check_output(one, 0, y, l->steps * l->directions * each);
    check_output(one, 1, l->h, l->directions * each);
    check_output(one, 2, l->c, l->directions * each);
    check_same(one, more);
    nnd_engine_request_destroy(one);
    nnd_engine_request_destroy(more);
    nnd_engine_model_unref(m);
    nnd_engine_model_unref(oracle);
    nnd_str_free(&model);
    nnd_str_free(&plain);
    nnd_free(x);
    nnd_free(y);
    layer_free(l);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void random_layers_with(nnd_isa isa)
{
    (void)isa;
    for (int i = 0; i < ROUNDS(40); i++) {
        layer l = {.steps = rng_int(1, 5),
                   .batch = rng_int(1, 4),
                   .input = rng_int(1, 40),
                   .hidden = rng_int(1, 40),
                   .directions = rng_int(1, 2)};
        l.backwards = rng_int(0, 1);
        l.per_column = rng_int(0, 1);
        l.is_signed = rng_int(0, 1);
        l.has_bias = rng_int(0, 1);
        l.has_states = rng_int(0, 1);
        l.constant_weights = rng_int(0, 2) > 0;
        check_layer(&l);
    }
}

static void random_layers(void **state)
{
    (void)state;
    each_isa(random_layers_with);
}

/* Large enough that threads help. */
static void threads_change_nothing(void **state)
{
    (void)state;
    layer l = {.steps = 3,
               .batch = 20,
               .input = 70,
               .hidden = 80,
               .directions = 2,
               .has_bias = true,
               .constant_weights = true};
    check_layer(&l);
}

/* The model with one operand of another size, or absent: refused, at load or when it runs. */
static void unfit_scales_are_refused(void **state)
{
    (void)state;
    for (int absent = 0; absent < 2; absent++) {
        nnd_str graph = {0}, attrs = {0}, model = {0};
        const float scale[2] = {0.1f, 0.1f};
        const uint8_t w[16] = {0};
        nnd_engine_model *m;
        nnd_status status;
        ow_value(&graph, OW_INPUT, "x", OW_F32, 3, (int64_t[]){1, 1, 2}, NULL);
        ow_initializer(&graph, "w", OW_I8, 3, (int64_t[]){1, 2, 8}, w, 16);
        ow_initializer(&graph, "s", OW_F32, 1, (int64_t[]){2}, scale, sizeof(scale));
        ow_attr_int(&attrs, "hidden_size", 2);
        ow_node_of(&graph, "com.microsoft", "DynamicQuantizeLSTM",
                   absent ? "x,w,w" : "x,w,w,,,,,,s,,s,", "y", &attrs);
        ow_value(&graph, OW_OUTPUT, "y", OW_F32, -1, NULL, NULL);
        ow_model(&model, &graph, 14);
        status = nnd_engine_model_load_memory(model.data, model.size, NULL, &m);
        if (status == NND_OK) {
            const float x[2] = {1, 2};
            nnd_engine_request *r;
            assert_ok(nnd_engine_request_create(m, &r));
            bind(r, 0, 3, (int64_t[]){1, 1, 2}, NND_F32, x);
            status = nnd_engine_request_run(r, 1, NULL);
            nnd_engine_request_destroy(r);
            nnd_engine_model_unref(m);
        }
        assert_true(status != NND_OK);
        nnd_error_clear();
        nnd_str_free(&model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_layers),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(unfit_scales_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
