/*
 * RNN, GRU and LSTM under every ISA against the definition in double precision: random sizes with
 * all tails, directions, layouts, activations, optional inputs, weights that are constants or come
 * with the run; equal bits for 1 … 3 threads. Tolerance: 2e-5, absolute and relative (ten times
 * what is measured; a step's error is handed on to the next one).
 */
#include "engine_support.h"
#include "kernels_support.h"
#include "onnx_writer.h"

#define TOLERANCE 2e-5
enum { INPUTS = 8, OUTPUTS = 3, OW_I32 = 6, MAX_HIDDEN = 80 };
enum { X, W, R, B, LENGTHS, H0, C0, P };

typedef enum kind { RNN, GRU, LSTM } kind;
static const char *const kind_names[] = {"RNN", "GRU", "LSTM"};
static const int64_t kind_gates[] = {1, 3, 4};
static const char *const act_names[] = {
    "Sigmoid", "Tanh",     "Relu",       "Affine",   "LeakyRelu",      "HardSigmoid",
    "Elu",     "Softsign", "ScaledTanh", "Softplus", "ThresholdedRelu"};

typedef struct layer {
    kind kind;
    int64_t steps, batch, input, hidden, directions;
    bool backwards, batch_first, before_reset, input_forget, constant_weights;
    float clip;
    int acts[6]; /* into act_names, three per direction */
    float alpha[6], beta[6];
    nnd_tensor t[INPUTS];        /* dtype INVALID = absent */
    double *y, *last_h, *last_c; /* what is expected */
} layer;

/* ---- a random layer -------------------------------------------------------------------------- */

static void operand(layer *l, int which, int rank, const int64_t *dims)
{
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    float *data = nnd_alloc((size_t)count * sizeof(float));
    assert_non_null(data);
    /* Weights so small that no state grows without bounds. */
    float most = which == W || which == R ? 1.0f / sqrtf((float)dims[rank - 1]) : 0.5f;
    for (int64_t i = 0; i < count; i++) {
        if (which == LENGTHS)
            ((int32_t *)(void *)data)[i] = (int32_t)rng_int(0, l->steps);
        else
            data[i] = rng_float(-most, most);
    }
    assert_ok(
        nnd_tensor_init(&l->t[which], which == LENGTHS ? NND_I32 : NND_F32, rank, dims, data));
}

static void state_operand(layer *l, int which)
{
    int64_t d = l->directions, b = l->batch;
    operand(l, which, 3, (int64_t[]){l->batch_first ? b : d, l->batch_first ? d : b, l->hidden});
}

static void random_operands(layer *l)
{
    int64_t d = l->directions, n = l->hidden, all = kind_gates[l->kind] * n;
    bool first = l->batch_first;
    operand(l, X, 3,
            (int64_t[]){first ? l->batch : l->steps, first ? l->steps : l->batch, l->input});
    operand(l, W, 3, (int64_t[]){d, all, l->input});
    operand(l, R, 3, (int64_t[]){d, all, n});
    if (rng_int(0, 3)) operand(l, B, 2, (int64_t[]){d, 2 * all});
    if (rng_int(0, 2) == 0) operand(l, LENGTHS, 1, (int64_t[]){l->batch});
    if (rng_int(0, 1)) state_operand(l, H0);
    if (l->kind == LSTM && rng_int(0, 1)) state_operand(l, C0);
    if (l->kind == LSTM && rng_int(0, 1)) operand(l, P, 2, (int64_t[]){d, 3 * n});
}

static layer random_layer(void)
{
    layer l = {.kind = (kind)rng_int(0, 2),
               .steps = rng_int(1, 6),
               .batch = rng_int(0, 1) ? 1 : rng_int(1, 20),
               .input = rng_int(1, 40),
               .hidden = rng_int(1, MAX_HIDDEN),
               .directions = rng_int(1, 2),
               .batch_first = rng_int(0, 2) == 0,
               .before_reset = rng_int(0, 1),
               .input_forget = rng_int(0, 3) == 0,
               .constant_weights = rng_int(0, 3) > 0,
               .clip = rng_int(0, 3) ? 0.0f : 0.6f};
    static const int gates[] = {0, 1, 5, 7}; /* bounded ones */
    bool plain = rng_int(0, 1);
    l.backwards = l.directions == 1 && rng_int(0, 1);
    for (int i = 0; i < 6; i++) {
        l.acts[i] = l.kind != RNN && i % (l.kind == GRU ? 2 : 3) == 0 ? 0 : 1;
        if (!plain) l.acts[i] = (int)rng_int(0, NND_COUNT(act_names) - 1);
        if (!plain && l.kind != RNN && i % (l.kind == GRU ? 2 : 3) == 0)
            l.acts[i] = gates[rng_int(0, NND_COUNT(gates) - 1)];
        l.alpha[i] = 0.3f;
        l.beta[i] = 0.4f;
    }
    random_operands(&l);
    return l;
}

static void layer_free(layer *l)
{
    for (int i = 0; i < INPUTS; i++)
        nnd_free(l->t[i].data);
    nnd_free(l->y);
}

/* ---- the definition -------------------------------------------------------------------------- */

static double exact(const layer *l, int64_t d, int which, double x)
{
    int i = (int)d * (l->kind == RNN ? 1 : l->kind == GRU ? 2 : 3) + which;
    double a = l->alpha[i], b = l->beta[i];
    switch (l->acts[i]) {
    case 0:
        return 1 / (1 + exp(-x));
    case 1:
        return tanh(x);
    case 2:
        return fmax(x, 0);
    case 3:
        return a * x + b;
    case 4:
        return x < 0 ? a * x : x;
    case 5:
        return fmin(fmax(a * x + b, 0), 1);
    case 6:
        return x < 0 ? a * expm1(x) : x;
    case 7:
        return x / (1 + fabs(x));
    case 8:
        return a * tanh(b * x);
    case 9:
        return log1p(exp(x));
    default:
        return x > a ? x : 0;
    }
}

static double value(const layer *l, int which, int64_t i)
{
    return l->t[which].data ? (double)((const float *)l->t[which].data)[i] : 0;
}

static double clipped(const layer *l, double x)
{
    return l->clip > 0 ? fmin(fmax(x, -l->clip), l->clip) : x;
}

static double from_input(const layer *l, int64_t d, int64_t x_row, int64_t row)
{
    int64_t all = kind_gates[l->kind] * l->hidden;
    double sum = value(l, B, d * 2 * all + row);
    for (int64_t k = 0; k < l->input; k++)
        sum += value(l, X, x_row * l->input + k) * value(l, W, (d * all + row) * l->input + k);
    return sum;
}

static double from_state(const layer *l, int64_t d, const double *h, int64_t row)
{
    int64_t all = kind_gates[l->kind] * l->hidden;
    double sum = value(l, B, d * 2 * all + all + row);
    for (int64_t k = 0; k < l->hidden; k++)
        sum += h[k] * value(l, R, (d * all + row) * l->hidden + k);
    return sum;
}

static void exact_gru(const layer *l, int64_t d, int64_t x, double *h)
{
    int64_t n = l->hidden;
    double update[MAX_HIDDEN], reset[MAX_HIDDEN], old[MAX_HIDDEN], fresh[MAX_HIDDEN];
    for (int64_t i = 0; i < n; i++) {
        update[i] = exact(l, d, 0, clipped(l, from_input(l, d, x, i) + from_state(l, d, h, i)));
        reset[i] =
            exact(l, d, 0, clipped(l, from_input(l, d, x, n + i) + from_state(l, d, h, n + i)));
        old[i] = reset[i] * h[i];
    }
    for (int64_t i = 0; i < n; i++) {
        double past = l->before_reset ? reset[i] * from_state(l, d, h, 2 * n + i)
                                      : from_state(l, d, old, 2 * n + i);
        fresh[i] = exact(l, d, 1, clipped(l, from_input(l, d, x, 2 * n + i) + past));
    }
    for (int64_t i = 0; i < n; i++)
        h[i] = (1 - update[i]) * fresh[i] + update[i] * h[i];
}

static void exact_lstm(const layer *l, int64_t d, int64_t x, double *h, double *cell)
{
    int64_t n = l->hidden, p = d * 3 * n;
    double next[MAX_HIDDEN];
    for (int64_t i = 0; i < n; i++) {
        double g[4];
        for (int64_t k = 0; k < 4; k++)
            g[k] = from_input(l, d, x, k * n + i) + from_state(l, d, h, k * n + i);
        double in = exact(l, d, 0, clipped(l, g[0] + value(l, P, p + i) * cell[i]));
        double forget = exact(l, d, 0, clipped(l, g[2] + value(l, P, p + 2 * n + i) * cell[i]));
        if (l->input_forget) forget = 1 - in;
        cell[i] = forget * cell[i] + in * exact(l, d, 1, clipped(l, g[3]));
        double out = exact(l, d, 0, clipped(l, g[1] + value(l, P, p + n + i) * cell[i]));
        next[i] = out * exact(l, d, 2, cell[i]);
    }
    memcpy(h, next, (size_t)n * sizeof(*h));
}

static void exact_rnn(const layer *l, int64_t d, int64_t x, double *h)
{
    double next[MAX_HIDDEN];
    for (int64_t i = 0; i < l->hidden; i++)
        next[i] = exact(l, d, 0, clipped(l, from_input(l, d, x, i) + from_state(l, d, h, i)));
    memcpy(h, next, (size_t)l->hidden * sizeof(*h));
}

static void exact_sequence(layer *l, int64_t d, int64_t b)
{
    int64_t n = l->hidden, length = l->steps;
    int64_t state = (l->batch_first ? b * l->directions + d : d * l->batch + b) * n;
    double h[MAX_HIDDEN], cell[MAX_HIDDEN];
    for (int64_t i = 0; i < n; i++) {
        h[i] = value(l, H0, state + i);
        cell[i] = value(l, C0, state + i);
    }
    if (l->t[LENGTHS].data) length = ((const int32_t *)l->t[LENGTHS].data)[b];
    for (int64_t i = 0; i < length; i++) {
        int64_t t = l->backwards || d ? length - 1 - i : i;
        int64_t x = l->batch_first ? b * l->steps + t : t * l->batch + b;
        int64_t y = l->batch_first ? x * l->directions + d : (t * l->directions + d) * l->batch + b;
        if (l->kind == LSTM)
            exact_lstm(l, d, x, h, cell);
        else if (l->kind == GRU)
            exact_gru(l, d, x, h);
        else
            exact_rnn(l, d, x, h);
        memcpy(l->y + y * n, h, (size_t)n * sizeof(*h));
    }
    memcpy(l->last_h + state, h, (size_t)n * sizeof(*h));
    memcpy(l->last_c + state, cell, (size_t)n * sizeof(*h));
}

static void layer_expect(layer *l)
{
    size_t last = (size_t)(l->directions * l->batch * l->hidden), all = last * (size_t)l->steps;
    l->y = nnd_calloc(all + 2 * last, sizeof(double));
    assert_non_null(l->y);
    l->last_h = l->y + all;
    l->last_c = l->last_h + last;
    for (int64_t d = 0; d < l->directions; d++)
        for (int64_t b = 0; b < l->batch; b++)
            exact_sequence(l, d, b);
}

/* ---- the engine ------------------------------------------------------------------------------ */

static void write_attributes(const layer *l, nnd_str *attrs)
{
    char names[256] = "";
    size_t acts = (size_t)l->directions * (l->kind == RNN ? 1 : l->kind == GRU ? 2 : 3), size = 0;
    for (size_t i = 0; i < acts; i++)
        size += (size_t)snprintf(names + size, sizeof(names) - size, "%s%s", i ? "," : "",
                                 act_names[l->acts[i]]);
    ow_attr_text(attrs, "direction",
                 l->directions == 2 ? "bidirectional"
                 : l->backwards     ? "reverse"
                                    : "forward");
    ow_attr_texts(attrs, "activations", names);
    ow_attr_floats(attrs, "activation_alpha", l->alpha, acts);
    ow_attr_floats(attrs, "activation_beta", l->beta, acts);
    ow_attr_int(attrs, "layout", l->batch_first);
    ow_attr_int(attrs, "hidden_size", l->hidden);
    if (l->clip > 0) ow_attr_float(attrs, "clip", l->clip);
    if (l->kind == GRU) ow_attr_int(attrs, "linear_before_reset", l->before_reset);
    if (l->kind == LSTM) ow_attr_int(attrs, "input_forget", l->input_forget);
}

static nnd_engine_model *write_model(const layer *l, nnd_str *model)
{
    static const char *const names[INPUTS] = {"x", "w", "r", "b", "lengths", "h", "c", "p"};
    nnd_str graph = {0}, attrs = {0};
    char inputs[64] = "";
    size_t size = 0;
    int operands = l->kind == LSTM ? INPUTS : 6;
    for (int i = 0; i < operands; i++) {
        const nnd_tensor *t = &l->t[i];
        size += (size_t)snprintf(inputs + size, sizeof(inputs) - size, "%s%s", i ? "," : "",
                                 t->data ? names[i] : "");
        if (!t->data) continue;
        if (l->constant_weights && (i == W || i == R))
            ow_initializer(&graph, names[i], OW_F32, t->rank, t->dims, t->data,
                           nnd_tensor_bytes(t));
        else
            ow_value(&graph, OW_INPUT, names[i], i == LENGTHS ? OW_I32 : OW_F32, t->rank, t->dims,
                     NULL);
    }
    write_attributes(l, &attrs);
    ow_node(&graph, kind_names[l->kind], inputs, l->kind == LSTM ? "y,yh,yc" : "y,yh", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 4, (int64_t[]){-1, -1, -1, -1},
             (const char *const[]){"a", "b", "c", "d"});
    ow_value(&graph, OW_OUTPUT, "yh", OW_F32, -1, NULL, NULL);
    if (l->kind == LSTM) ow_value(&graph, OW_OUTPUT, "yc", OW_F32, -1, NULL, NULL);
    ow_model(model, &graph, 14);
    nnd_engine_model *m;
    assert_ok(nnd_engine_model_load_memory(model->data, model->size, NULL, &m));
    return m;
}

static nnd_engine_request *run_model(nnd_engine_model *m, const layer *l, int threads)
{
    nnd_engine_request *r;
    size_t next = 0;
    assert_ok(nnd_engine_request_create(m, &r));
    for (int i = 0; i < INPUTS; i++)
        if (l->t[i].data && !(l->constant_weights && (i == W || i == R)))
            assert_ok(nnd_engine_request_bind_input(r, next++, &l->t[i]));
    assert_ok(nnd_engine_request_run(r, threads, NULL));
    return r;
}

static void check_output(const layer *l, nnd_engine_request *r, size_t index, const double *want)
{
    nnd_tensor t;
    assert_ok(nnd_engine_request_output(r, index, &t));
    const float *got = t.data;
    int64_t count = l->directions * l->batch * l->hidden * (index ? 1 : l->steps);
    assert_int_equal(nnd_tensor_count(&t), count);
    for (int64_t i = 0; i < count; i++) {
        if (fabs((double)got[i] - want[i]) <= TOLERANCE * (1 + fabs(want[i]))) continue;
        fprintf(stderr, "%s %s steps %lld batch %lld input %lld hidden %lld, output %zu at %lld: ",
                nnd_isa_name(nnd_isa_current()), kind_names[l->kind], (long long)l->steps,
                (long long)l->batch, (long long)l->input, (long long)l->hidden, index,
                (long long)i);
        fprintf(stderr, "%g, expected %g\n", (double)got[i], want[i]);
        fail();
    }
}

static void check_same(nnd_engine_request *a, nnd_engine_request *b, size_t outputs)
{
    for (size_t i = 0; i < outputs; i++) {
        nnd_tensor x, y;
        assert_ok(nnd_engine_request_output(a, i, &x));
        assert_ok(nnd_engine_request_output(b, i, &y));
        assert_memory_equal(x.data, y.data, nnd_tensor_bytes(&x));
    }
}

static void check_layer(layer *l)
{
    nnd_str model = {0};
    layer_expect(l);
    nnd_engine_model *m = write_model(l, &model);
    nnd_engine_request *one = run_model(m, l, 1), *more = run_model(m, l, (int)rng_int(2, 3));
    const double *want[OUTPUTS] = {l->y, l->last_h, l->last_c};
    size_t outputs = l->kind == LSTM ? 3 : 2;
    for (size_t i = 0; i < outputs; i++)
        check_output(l, one, i, want[i]);
    check_same(one, more, outputs);
    nnd_engine_request_destroy(one);
    nnd_engine_request_destroy(more);
    nnd_engine_model_unref(m);
    nnd_str_free(&model);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void random_layers_with(nnd_isa isa)
{
    (void)isa;
    for (int i = 0; i < ROUNDS(60); i++) {
        layer l = random_layer();
        check_layer(&l);
        layer_free(&l);
    }
}

static void random_layers(void **state)
{
    (void)state;
    each_isa(random_layers_with);
}

/* Large enough that threads help with the steps, too. */
static void threads_change_nothing(void **state)
{
    (void)state;
    layer l = {.kind = LSTM,
               .steps = 3,
               .batch = 20,
               .input = 70,
               .hidden = MAX_HIDDEN,
               .directions = 2,
               .constant_weights = true};
    for (int i = 0; i < 6; i++)
        l.acts[i] = i % 3 != 0;
    random_operands(&l);
    check_layer(&l);
    layer_free(&l);
}

static void impossible_lengths_are_refused(void **state)
{
    (void)state;
    for (int32_t bad = -1; bad <= 3; bad += 4) {
        layer l = {.kind = GRU, .steps = 2, .batch = 1, .input = 3, .hidden = 4, .directions = 1};
        l.acts[1] = 1;
        random_operands(&l);
        nnd_free(l.t[LENGTHS].data);
        operand(&l, LENGTHS, 1, (int64_t[]){1});
        *(int32_t *)l.t[LENGTHS].data = bad;
        nnd_str model = {0};
        nnd_engine_model *m = write_model(&l, &model);
        nnd_engine_request *r;
        size_t next = 0;
        assert_ok(nnd_engine_request_create(m, &r));
        for (int i = 0; i < INPUTS; i++)
            if (l.t[i].data) assert_ok(nnd_engine_request_bind_input(r, next++, &l.t[i]));
        assert_status(nnd_engine_request_run(r, 1, NULL), NND_E_SHAPE);
        nnd_error_clear();
        nnd_engine_request_destroy(r);
        nnd_engine_model_unref(m);
        nnd_str_free(&model);
        layer_free(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_layers),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(impossible_lengths_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
