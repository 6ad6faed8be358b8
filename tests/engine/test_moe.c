/* Mixtures of experts against their definition: every token by itself, in double precision, with
   weights that were unpacked one by one. */
#include "engine_support.h"
#include "onnx_writer.h"

#include "engine/ops/moe_route.h"
#include "support/oom.h"

#define MS "com.microsoft"
enum { MATRICES = 3, PLACES = 15 };
enum { OW_F16 = 10 };

typedef struct mix {
    size_t tokens, hidden, inner, experts, top;
    const char *act;
    int fusion; /* of SwiGLU */
    bool third, bias, normalise, shares;
    float alpha, beta, limit; /* limit 0: none */
    int bits, block;          /* 0: not quantised; one block per row */
    bool zeros;
    bool constant;
    bool half; /* f16 all over */
} mix;

typedef struct place {
    int elem, rank;
    int64_t dims[3];
    void *data;
    bool constant;
} place;

typedef struct trial {
    const mix *m;
    uint32_t seed;
    place places[PLACES];
    void *halves[PLACES]; /* their elements in f16 */
    double *w[MATRICES];  /* [experts][n][k] */
    const float *bias[MATRICES];
    size_t n[MATRICES], k[MATRICES];
    nnd_str model;
    nnd_tensor bound[PLACES];
    size_t bound_count;
    void *owned[40];
    size_t owned_count;
} trial;

static void *room(trial *t, size_t bytes)
{
    void *p = calloc(bytes + 1, 1);
    assert_non_null(p);
    assert_true(t->owned_count < NND_COUNT(t->owned));
    t->owned[t->owned_count++] = p;
    return p;
}

static uint32_t random_bits(trial *t)
{
    t->seed = t->seed * 1664525u + 1013904223u;
    return t->seed >> 8;
}

static float *random_floats(trial *t, size_t n)
{
    float *x = room(t, n * sizeof(*x));
    for (size_t i = 0; i < n; i++)
        x[i] = (float)random_bits(t) / (float)(1u << 23) - 1.0f;
    return x;
}

/* ---- the model ------------------------------------------------------------------------------ */

static place tensor_of(int elem, void *data, bool constant, int rank, size_t a, size_t b, size_t c)
{
    return (place){.elem = elem,
                   .rank = rank,
                   .dims = {(int64_t)a, (int64_t)b, (int64_t)c},
                   .data = data,
                   .constant = constant};
}

/* Codes with scales and zero points; `w` is what they stand for. */
static void make_codes(trial *t, size_t which, double *w)
{
    static const size_t places[MATRICES] = {2, 5, 8};
    const mix *m = t->m;
    size_t n = t->n[which], k = t->k[which], e = m->experts, bits = (size_t)m->bits;
    size_t block = m->block ? (size_t)m->block : k, blocks = k / block, per_byte = 8 / bits;
    size_t listed = m->block ? blocks : n, lists = m->block ? e * n : e;
    size_t list = (listed + per_byte - 1) / per_byte;
    unsigned mask = (1u << bits) - 1u;
    uint8_t *codes = room(t, e * n * k / per_byte), *zeros = room(t, lists * list);
    float *scales = random_floats(t, e * n * blocks);
    for (size_t i = 0; i < e * n * k / per_byte; i++)
        codes[i] = (uint8_t)random_bits(t);
    for (size_t i = 0; i < lists * list; i++)
        zeros[i] = (uint8_t)random_bits(t);
    for (size_t i = 0; i < e * n * blocks; i++)
        scales[i] /= (float)mask;
    for (size_t i = 0; i < e * n * k; i++) {
        size_t row = i / k, b = i % k / block;
        size_t at = m->block ? b : row % n, of = m->block ? row : row / n;
        int zero = 1 << (bits - 1);
        if (m->zeros) zero = zeros[of * list + at / per_byte] >> (at % per_byte * bits) & (int)mask;
        int code = codes[i / per_byte] >> (i % per_byte * bits) & (int)mask;
        w[i] = (double)(code - zero) * (double)scales[row * blocks + b];
    }
    t->places[places[which]] = tensor_of(OW_U8, codes, m->constant, 3, e, n, k / per_byte);
    t->places[places[which] + 1] =
        tensor_of(OW_F32, scales, m->constant, m->block ? 3 : 2, e, n, blocks);
    if (m->zeros)
        t->places[11 + which] =
            tensor_of(OW_U8, zeros, m->constant, m->block ? 3 : 2, e, m->block ? n : list, list);
}

static void make_matrix(trial *t, size_t which, size_t n, size_t k)
{
    static const size_t places[MATRICES] = {2, 4, 6}, code_bias[MATRICES] = {4, 7, 10};
    const mix *m = t->m;
    size_t count = m->experts * n * k;
    double *w = room(t, count * sizeof(*w));
    t->w[which] = w;
    t->n[which] = n;
    t->k[which] = k;
    if (m->bits) {
        make_codes(t, which, w);
    } else {
        float *x = random_floats(t, count);
        for (size_t i = 0; i < count; i++)
            w[i] = x[i];
        t->places[places[which]] = tensor_of(OW_F32, x, m->constant, 3, m->experts, n, k);
    }
    if (!m->bias) return;
    float *bias = random_floats(t, m->experts * n);
    t->bias[which] = bias;
    t->places[m->bits ? code_bias[which] : places[which] + 1] =
        tensor_of(OW_F32, bias, m->constant, 2, m->experts, n, 1);
}

/* One more attribute, for models that are wrong. A repeated one is the first of its name. */
static const char *extra_attr;
static int64_t extra_value;

static void make_attrs(const mix *m, nnd_str *attrs)
{
    if (extra_attr) ow_attr_int(attrs, extra_attr, extra_value);
    ow_attr_int(attrs, "k", (int64_t)m->top);
    ow_attr_text(attrs, "activation_type", m->act);
    ow_attr_int(attrs, "normalize_routing_weights", m->normalise);
    if (m->fusion) ow_attr_int(attrs, "swiglu_fusion", m->fusion);
    if (m->alpha != 0) ow_attr_float(attrs, "activation_alpha", m->alpha);
    if (m->beta != 0) ow_attr_float(attrs, "activation_beta", m->beta);
    if (m->limit != 0) ow_attr_float(attrs, "swiglu_limit", m->limit);
    if (m->bits) ow_attr_int(attrs, "expert_weight_bits", m->bits);
    if (m->block) ow_attr_int(attrs, "block_size", m->block);
}

/* The floats become f16, and what the definition reads is rounded like them. */
static void narrow(trial *t)
{
    for (size_t i = 0; i < PLACES; i++) {
        place *p = &t->places[i];
        nnd_tensor x;
        if (!p->data || p->elem != OW_F32) continue;
        assert_ok(nnd_tensor_init(&x, NND_F32, p->rank, p->dims, p->data));
        size_t n = (size_t)nnd_tensor_count(&x);
        void *halves = room(t, n * sizeof(uint16_t));
        assert_ok(nnd_dtype_convert(NND_F32, p->data, NND_F16, halves, n));
        assert_ok(nnd_dtype_convert(NND_F16, halves, NND_F32, p->data, n));
        t->halves[i] = halves;
    }
    for (size_t which = 0; which < MATRICES; which++)
        for (size_t i = 0; i < t->m->experts * t->n[which] * t->k[which]; i++)
            t->w[which][i] = ((const float *)t->places[2 + 2 * which].data)[i];
}

static void make_model(trial *t)
{
    nnd_str graph = {0}, attrs = {0}, names = {0};
    for (size_t i = 0; i < PLACES; i++) {
        const place *p = &t->places[i];
        char name[8];
        nnd_tensor x;
        if (i) nnd_str_add(&names, ",");
        if (!p->data) continue;
        snprintf(name, sizeof name, "i%zu", i);
        nnd_str_add(&names, name);
        nnd_dtype dtype = p->elem != OW_F32 ? NND_U8 : t->m->half ? NND_F16 : NND_F32;
        int elem = dtype == NND_F16 ? OW_F16 : p->elem;
        void *data = dtype == NND_F16 ? t->halves[i] : p->data;
        assert_ok(nnd_tensor_init(&x, dtype, p->rank, p->dims, data));
        if (p->constant) {
            ow_initializer(&graph, name, elem, p->rank, p->dims, data, nnd_tensor_bytes(&x));
            continue;
        }
        assert_true(t->bound_count < NND_COUNT(t->bound));
        t->bound[t->bound_count++] = x;
        ow_value(&graph, OW_INPUT, name, elem, p->rank, p->dims, NULL);
    }
    while (names.data[names.size - 1] == ',')
        names.data[--names.size] = '\0';
    make_attrs(t->m, &attrs);
    ow_node_of(&graph, MS, t->m->bits ? "QMoE" : "MoE", names.data, "y", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", t->m->half ? OW_F16 : OW_F32, -1, NULL, NULL);
    ow_model(&t->model, &graph, 21);
    nnd_str_free(&names);
}

static void make(trial *t, const mix *m)
{
    *t = (trial){.m = m, .seed = 17};
    size_t n = m->fusion ? 2 * m->inner : m->inner;
    t->places[0] = tensor_of(OW_F32, random_floats(t, m->tokens * m->hidden), false, 2, m->tokens,
                             m->hidden, 1);
    t->places[1] = tensor_of(OW_F32, random_floats(t, m->tokens * m->experts), false, 2, m->tokens,
                             m->experts, 1);
    make_matrix(t, 0, n, m->hidden);
    make_matrix(t, 1, m->hidden, m->inner);
    if (m->third) make_matrix(t, 2, m->inner, m->hidden);
    if (m->shares)
        t->places[14] = tensor_of(OW_F32, random_floats(t, m->tokens * m->experts), false, 2,
                                  m->tokens, m->experts, 1);
    if (m->half) narrow(t);
    make_model(t);
}

static void drop(trial *t)
{
    nnd_str_free(&t->model);
    for (size_t i = 0; i < t->owned_count; i++)
        free(t->owned[i]);
}

/* ---- the definition ------------------------------------------------------------------------- */

/* Row `row` of an expert's matrix times x. */
static double product(const trial *t, size_t which, size_t expert, size_t row, const double *x)
{
    size_t at = expert * t->n[which] + row, k = t->k[which];
    double sum = t->bias[which] ? (double)t->bias[which][at] : 0;
    for (size_t i = 0; i < k; i++)
        sum += t->w[which][at * k + i] * x[i];
    return sum;
}

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static double activated(const mix *m, double x, double linear)
{
    double limit = m->limit != 0 ? (double)m->limit : INFINITY;
    double alpha = m->alpha != 0 ? (double)m->alpha : 1.0;
    if (strcmp(m->act, "relu") == 0) return x > 0 ? x : 0;
    if (strcmp(m->act, "silu") == 0) return x * sigmoid(x);
    if (strcmp(m->act, "gelu") == 0)
        return 0.5 * x * (1.0 + tanh(sqrt(2.0 / 3.14159265358979) * (x + 0.044715 * x * x * x)));
    if (strcmp(m->act, "identity") == 0) return x;
    double g = fmin(x, limit), l = fmax(-limit, fmin(linear, limit));
    return g * sigmoid(alpha * g) * (l + (double)m->beta);
}

static void answer_of(const trial *t, size_t expert, const double *x, double *y)
{
    const mix *m = t->m;
    double inner[512];
    assert_true(m->inner <= NND_COUNT(inner));
    for (size_t i = 0; i < m->inner; i++) {
        size_t gate = m->fusion == 1 ? 2 * i : i;
        size_t other = m->fusion == 1 ? 2 * i + 1 : m->inner + i;
        double a = product(t, 0, expert, gate, x), b = 0;
        if (m->third) b = product(t, 2, expert, i, x);
        if (m->fusion) b = product(t, 0, expert, other, x);
        inner[i] = activated(m, a, b);
        if (m->third && strcmp(m->act, "swiglu") != 0) inner[i] *= b;
    }
    for (size_t i = 0; i < m->hidden; i++)
        y[i] = product(t, 1, expert, i, inner);
}

/* The weights of all experts, 0 for those that are not chosen. */
static void weights_of(const trial *t, size_t token, double *weight)
{
    const mix *m = t->m;
    const float *logits = (const float *)t->places[1].data + token * m->experts;
    const float *shares = t->places[14].data;
    bool chosen[64] = {false};
    double all = 0, few = 0;
    for (size_t n = 0; n < m->top; n++) {
        size_t best = SIZE_MAX;
        for (size_t e = 0; e < m->experts; e++)
            if (!chosen[e] && (best == SIZE_MAX || logits[e] >= logits[best])) best = e;
        chosen[best] = true;
    }
    for (size_t e = 0; e < m->experts; e++) {
        weight[e] = shares ? (double)shares[token * m->experts + e] : exp((double)logits[e]);
        all += weight[e];
        few += chosen[e] ? weight[e] : 0;
    }
    for (size_t e = 0; e < m->experts; e++) {
        bool normalised = m->normalise || (m->bits && !shares); /* QMoE always does it */
        double sum = normalised ? few : shares ? 1.0 : all;
        weight[e] = chosen[e] ? weight[e] / sum : 0;
    }
}

static void define(const trial *t, float *y)
{
    const mix *m = t->m;
    double x[512], weight[64], answer[512];
    assert_true(m->hidden <= NND_COUNT(x) && m->experts <= NND_COUNT(weight));
    for (size_t i = 0; i < m->tokens; i++) {
        double sum[512] = {0};
        for (size_t k = 0; k < m->hidden; k++)
            x[k] = (double)((const float *)t->places[0].data)[i * m->hidden + k];
        weights_of(t, i, weight);
        for (size_t e = 0; e < m->experts; e++) {
            if (weight[e] == 0) continue;
            answer_of(t, e, x, answer);
            for (size_t k = 0; k < m->hidden; k++)
                sum[k] += weight[e] * answer[k];
        }
        for (size_t k = 0; k < m->hidden; k++)
            y[i * m->hidden + k] = (float)sum[k];
    }
}

/* ---- the comparison ------------------------------------------------------------------------- */

static nnd_status run_model(const trial *t, int threads, float *y, nnd_tensor *shape)
{
    nnd_engine_model *model;
    nnd_engine_request *r = NULL;
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    if (t->m->half) options.passes = 0; /* else it would be computed in f32 */
    nnd_status status =
        nnd_engine_model_load_memory(t->model.data, t->model.size, &options, &model);
    if (status != NND_OK) return status;
    status = nnd_engine_request_create(model, &r);
    for (size_t i = 0; i < t->bound_count && status == NND_OK; i++)
        status = nnd_engine_request_bind_input(r, i, &t->bound[i]);
    if (status == NND_OK) status = nnd_engine_request_run(r, threads, NULL);
    if (status == NND_OK) status = nnd_engine_request_output(r, 0, shape);
    if (status == NND_OK)
        status = nnd_dtype_convert(shape->dtype, shape->data, NND_F32, y,
                                   (size_t)nnd_tensor_count(shape));
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(model);
    return status;
}

static void compare(const mix *m)
{
    trial t;
    double worst;
    nnd_tensor got, want;
    make(&t, m);
    size_t bytes = m->tokens * m->hidden * sizeof(float);
    float *one = room(&t, bytes), *many = room(&t, bytes), *y = room(&t, bytes);
    nnd_status status = run_model(&t, 1, one, &got);
    if (status != NND_OK) report_error(m->act);
    assert_int_equal(status, NND_OK);
    assert_int_equal((size_t)nnd_tensor_count(&got), m->tokens * m->hidden);
    assert_ok(run_model(&t, 4, many, &got));
    assert_memory_equal(one, many, bytes);
    define(&t, y);
    assert_ok(nnd_tensor_init(&want, NND_F32, got.rank, got.dims, y));
    assert_ok(nnd_tensor_init(&got, NND_F32, want.rank, want.dims, one));
    double bound = m->half ? 1e-3 : 1e-5;
    size_t bad = count_mismatches(&got, &want, bound, bound * (double)m->inner, &worst);
    if (bad) fail_msg("%s, %zu tokens: %zu differ, by up to %g", m->act, m->tokens, bad, worst);
    drop(&t);
}

static void floats_as_defined(void **state)
{
    static const mix mixes[] = {
        {.tokens = 1, .hidden = 5, .inner = 7, .experts = 1, .top = 1, .act = "identity"},
        {.tokens = 3, .hidden = 8, .inner = 5, .experts = 4, .top = 2, .act = "relu", .bias = true},
        {.tokens = 9, .hidden = 12, .inner = 33, .experts = 3, .top = 3, .act = "gelu"},
        {.tokens = 20,
         .hidden = 40,
         .inner = 70,
         .experts = 6,
         .top = 2,
         .act = "silu",
         .third = true,
         .bias = true,
         .normalise = true},
        {.tokens = 7,
         .hidden = 17,
         .inner = 20,
         .experts = 5,
         .top = 1,
         .act = "silu",
         .normalise = true},
        {.tokens = 11,
         .hidden = 16,
         .inner = 24,
         .experts = 4,
         .top = 2,
         .act = "swiglu",
         .third = true,
         .alpha = 1.702f,
         .beta = 1.0f,
         .limit = 0.75f},
        {.tokens = 13,
         .hidden = 16,
         .inner = 24,
         .experts = 4,
         .top = 2,
         .act = "swiglu",
         .fusion = 1,
         .bias = true,
         .alpha = 1.702f,
         .beta = 1.0f,
         .limit = 7.0f},
        {.tokens = 13,
         .hidden = 16,
         .inner = 24,
         .experts = 4,
         .top = 4,
         .act = "swiglu",
         .fusion = 2,
         .normalise = true},
        {.tokens = 600, .hidden = 33, .inner = 40, .experts = 2, .top = 1, .act = "relu"},
    };
    (void)state;
    for (size_t i = 0; i < 2 * NND_COUNT(mixes); i++) {
        mix m = mixes[i / 2];
        m.constant = i % 2;
        compare(&m);
    }
    mix half = mixes[3];
    half.half = half.constant = true;
    compare(&half);
}

static void codes_as_defined(void **state)
{
    static const mix mixes[] = {
        {.tokens = 1, .hidden = 32, .inner = 48, .experts = 3, .top = 2, .act = "silu"},
        {.tokens = 30,
         .hidden = 32,
         .inner = 48,
         .experts = 3,
         .top = 2,
         .act = "relu",
         .bias = true,
         .normalise = true},
        {.tokens = 5,
         .hidden = 64,
         .inner = 32,
         .experts = 4,
         .top = 2,
         .act = "swiglu",
         .fusion = 1,
         .block = 32,
         .bias = true,
         .alpha = 1.702f,
         .beta = 1.0f,
         .limit = 7.0f},
        {.tokens = 40,
         .hidden = 64,
         .inner = 96,
         .experts = 4,
         .top = 2,
         .act = "swiglu",
         .fusion = 2,
         .block = 16,
         .zeros = true},
        {.tokens = 6,
         .hidden = 48,
         .inner = 80,
         .experts = 2,
         .top = 1,
         .act = "gelu",
         .block = 16,
         .zeros = true},
        {.tokens = 9,
         .hidden = 24,
         .inner = 40,
         .experts = 5,
         .top = 3,
         .act = "identity",
         .zeros = true},
        {.tokens = 12,
         .hidden = 32,
         .inner = 32,
         .experts = 6,
         .top = 2,
         .act = "silu",
         .third = true,
         .shares = true,
         .block = 32},
        {.tokens = 12,
         .hidden = 32,
         .inner = 32,
         .experts = 6,
         .top = 2,
         .act = "swiglu",
         .third = true,
         .bias = true,
         .zeros = true,
         .block = 16},
    };
    static const int widths[] = {2, 4, 8};
    (void)state;
    for (size_t i = 0; i < NND_COUNT(widths) * NND_COUNT(mixes); i++) {
        mix m = mixes[i / NND_COUNT(widths)];
        m.bits = widths[i % NND_COUNT(widths)];
        m.constant = true;
        compare(&m);
    }
}

/* ---- routing -------------------------------------------------------------------------------- */

static void few_of_many_are_chosen(void **state)
{
    const float x[] = {1, 3, NAN, 3, -INFINITY, 2};
    const uint32_t want[] = {3, 1, 5, 0, 4, 2};
    uint32_t got[6];
    (void)state;
    for (size_t top = 1; top <= 6; top++) {
        nnd_top_few(x, 6, top, true, got);
        assert_memory_equal(got, want, top * sizeof(*got));
        nnd_top_few(x, 6, top, false, got);
        assert_int_equal(got[0], 1);
        if (top > 1) assert_int_equal(got[1], 3);
    }
}

static void sparse_mixers_look_at_close_logits(void **state)
{
    const nnd_routing r = {.experts = 4, .top = 2, .sparse_mixer = true, .normalise = true};
    const float logits[] = {1.0f, 0.99f, 0.5f, 0.985f};
    uint32_t chosen[2];
    float weight[2];
    (void)state;
    nnd_route(&r, logits, NULL, chosen, weight);
    assert_int_equal(chosen[0], 0);
    assert_int_equal(chosen[1], 1);
    assert_float_equal(weight[0], 1.0 / (1.0 + exp(-0.01) + exp(-0.015)), 1e-6);
    assert_float_equal(weight[1], 1.0 / (1.0 + exp(-0.005)), 1e-6);
}

/* ---- what is no mixture --------------------------------------------------------------------- */

static void refuse(const mix *m, const char *attr, int64_t value, nnd_status want)
{
    trial t;
    float y[64];
    nnd_tensor shape;
    extra_attr = attr;
    extra_value = value;
    make(&t, m);
    extra_attr = NULL;
    assert_int_equal(run_model(&t, 1, y, &shape), want);
    nnd_error_clear();
    drop(&t);
}

static void wrong_mixtures_are_refused(void **state)
{
    mix m = {.tokens = 1, .hidden = 32, .inner = 32, .experts = 3, .top = 2, .act = "silu"};
    (void)state;
    mix wrong = m;
    wrong.top = 4;
    refuse(&wrong, NULL, 0, NND_E_SHAPE);
    wrong = m;
    wrong.act = "tanh";
    refuse(&wrong, NULL, 0, NND_E_UNSUPPORTED);
    wrong.act = "swiglu"; /* neither FC3 nor pairs in FC1 */
    refuse(&wrong, NULL, 0, NND_E_FORMAT);
    wrong.fusion = 1;
    refuse(&wrong, "swiglu_fusion", 3, NND_E_UNSUPPORTED);
    refuse(&m, "k", -1, NND_E_SHAPE);
    refuse(&m, "use_sparse_mixer", 1, NND_OK);
    m.bits = 4;
    refuse(&m, "block_size", 24, NND_E_SHAPE);
    refuse(&m, "block_size", 64, NND_E_SHAPE);
    refuse(&m, "expert_weight_bits", 3, NND_E_UNSUPPORTED);
    refuse(&m, "expert_weight_bits", 8, NND_E_SHAPE);
    refuse(&m, "weights_prepacked", 1, NND_E_UNSUPPORTED);
}

static void lack_of_memory_is_survived(void **state)
{
    mix m = {.tokens = 20,
             .hidden = 32,
             .inner = 32,
             .experts = 3,
             .top = 2,
             .act = "swiglu",
             .fusion = 1,
             .bias = true};
    (void)state;
    for (int bits = 0; bits <= 4; bits += 4) {
        float y[20 * 32];
        nnd_tensor shape;
        trial t;
        m.bits = bits;
        m.constant = true;
        oom_begin();
        make(&t, &m);
        long live = oom_live_blocks();
        for (long n = 0;; n++) {
            oom_fail_after(n);
            nnd_status status = run_model(&t, 1, y, &shape);
            bool hit = oom_hit();
            oom_never();
            if (status != NND_OK) assert_status(status, NND_E_OUT_OF_MEMORY);
            nnd_error_clear();
            assert_int_equal(oom_live_blocks(), live);
            if (!hit) break;
        }
        drop(&t);
        oom_end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_as_defined),
        cmocka_unit_test(codes_as_defined),
        cmocka_unit_test(few_of_many_are_chosen),
        cmocka_unit_test(sparse_mixers_look_at_close_logits),
        cmocka_unit_test(wrong_mixtures_are_refused),
        cmocka_unit_test(lack_of_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
