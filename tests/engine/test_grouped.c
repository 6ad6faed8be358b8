/* com.microsoft's GroupQueryAttention against its definition, key by key: positions, a bias of the
   scores, sinks, chunks that are padded, caches that have room to spare. */
#include <math.h>

#include "engine_support.h"
#include "onnx_writer.h"

enum { OW_I32 = 6, ROOM = 2048, POSITIONS = 40, MOST = 4 };
enum { QUERY, KEY, VALUE, PAST_K, PAST_V, LENGTHS, TOTAL, COS, SIN, PLACES, BIAS, SINKS };
enum { NEW = 16, INPUTS };

typedef struct setting {
    int64_t batch, rows, heads, kv_heads, size, capacity, total;
    int64_t lengths[MOST]; /* seqlens_k */
    int64_t places[MOST];  /* position of the first row, further ones are 3 apart; −1 = none */
    int64_t added[MOST];   /* query_seqlens; −1 = none */
    int64_t bias_batch, bias_heads;
    bool sinks, smooth, all, interleaved; /* all: not causal */
    float softcap;
    int64_t window;
} setting;

static const setting settings[] = {
    {1, 3, 4, 2, 8, 4, 7, {6}, {9}, {-1}, 0, 0, false, false, false, false, 0, 0},
    {1, 3, 4, 2, 8, 4, 7, {6}, {2}, {-1}, 0, 0, false, false, false, true, 0, 0},
    {2, 1, 4, 1, 6, 6, 7, {6, 4}, {9, 3}, {-1}, 0, 0, false, false, false, false, 0, 0},
    {1, 5, 2, 2, 8, 0, 5, {4}, {7}, {-1}, 0, 0, false, false, false, false, 0, 0},
    {2, 5, 2, 2, 8, 0, 5, {4, 4}, {-1}, {-1}, 2, 1, false, false, false, false, 0, 0},
    {1, 3, 4, 2, 8, 20, 7, {6}, {-1}, {-1}, 1, 4, false, false, false, false, 2.0f, 0},
    {1, 3, 4, 2, 8, 4, 7, {6}, {-1}, {-1}, 1, 1, true, false, false, false, 3.0f, 3},
    {1, 3, 4, 2, 8, 4, 7, {6}, {-1}, {-1}, 0, 0, true, true, false, false, 0, 0},
    {1, 3, 4, 2, 8, 4, 7, {6}, {-1}, {-1}, 0, 0, false, true, false, false, 0, 2},
    {1, 3, 4, 2, 8, 4, 7, {6}, {-1}, {-1}, 0, 0, false, false, true, false, 0, 0},
    {1, 4, 4, 4, 16, 0, 4, {3}, {-1}, {-1}, 0, 0, false, true, true, false, 0, 0},
    {2, 4, 4, 2, 8, 12, 12, {5, 7}, {-1}, {2, 4}, 0, 0, false, false, false, false, 0, 0},
    {2, 4, 4, 2, 8, 12, 12, {5, 7}, {1, 7}, {0, 3}, 0, 0, true, false, false, false, 0, 4},
    {1, 4, 2, 1, 8, 6, 10, {9}, {-1}, {4}, 0, 0, false, false, false, false, 0, 0},
};

typedef struct data {
    float values[INPUTS][ROOM];
    int32_t lengths[MOST], total, added[MOST];
    int64_t places[POSITIONS];
    nnd_tensor t[INPUTS];
    bool given[INPUTS];
} data;

static void fill(data *d, const setting *s, int k, int rank, const int64_t *dims)
{
    assert_ok(nnd_tensor_init(&d->t[k], NND_F32, rank, dims, d->values[k]));
    size_t n = (size_t)nnd_tensor_count(&d->t[k]);
    assert_true(n <= ROOM);
    for (size_t i = 0; i < n; i++)
        d->values[k][i] =
            (float)((i * 37 + (size_t)k * 17 + i * i * 5 + (size_t)s->rows) % 103) / 51.0f - 1.0f;
    d->given[k] = true;
}

#define FILL(k, ...)                                                                               \
    fill(d, s, k, NND_COUNT(((const int64_t[]){__VA_ARGS__})), (const int64_t[]){__VA_ARGS__})

static void whole_numbers(data *d, int k, nnd_dtype dtype, int rank, const int64_t *dims, void *at)
{
    assert_ok(nnd_tensor_init(&d->t[k], dtype, rank, dims, at));
    d->given[k] = true;
}

static void make_data(data *d, const setting *s)
{
    const int64_t per_row[2] = {s->batch, s->rows};
    *d = (data){.total = (int32_t)s->total};
    FILL(QUERY, s->batch, s->rows, s->heads * s->size);
    FILL(KEY, s->batch, s->rows, s->kv_heads * s->size);
    FILL(VALUE, s->batch, s->rows, s->kv_heads * s->size);
    FILL(PAST_K, s->batch, s->kv_heads, s->capacity, s->size);
    FILL(PAST_V, s->batch, s->kv_heads, s->capacity, s->size);
    FILL(COS, POSITIONS, s->size / 2);
    FILL(SIN, POSITIONS, s->size / 2);
    if (s->bias_batch) FILL(BIAS, s->bias_batch, s->bias_heads, s->rows, s->total);
    if (s->sinks) FILL(SINKS, s->heads);
    for (int64_t b = 0; b < s->batch; b++) {
        d->lengths[b] = (int32_t)s->lengths[b];
        d->added[b] = (int32_t)s->added[b];
        for (int64_t i = 0; i < s->rows; i++)
            d->places[b * s->rows + i] = s->places[b] + 3 * i;
    }
    whole_numbers(d, LENGTHS, NND_I32, 1, &s->batch, d->lengths);
    whole_numbers(d, TOTAL, NND_I32, 0, NULL, &d->total);
    if (s->places[0] >= 0) whole_numbers(d, PLACES, NND_I64, 2, per_row, d->places);
    if (s->added[0] >= 0) whole_numbers(d, NEW, NND_I32, 1, &s->batch, d->added);
}

/* ---- the definition --------------------------------------------------------------------------
 */

typedef struct sequence {
    const data *d;
    const setting *s;
    int64_t batch, before, added;
} sequence;

/* Element `e` of a new row of a head, rotated. */
static double turned(const sequence *q, int input, int64_t heads, int64_t head, int64_t row,
                     int64_t e)
{
    const setting *s = q->s;
    const float *x = q->d->values[input] + ((q->batch * s->rows + row) * heads + head) * s->size;
    int64_t half = s->size / 2, place = q->before + row;
    bool prompt = !q->d->given[NEW] && s->rows == s->total;
    if (q->d->given[PLACES])
        place = prompt ? q->d->places[0] + row : q->d->places[q->batch * s->rows + row];
    int64_t pair = s->interleaved ? e / 2 : e % half;
    int64_t a = s->interleaved ? 2 * pair : pair, b = s->interleaved ? 2 * pair + 1 : pair + half;
    double cosine = (double)q->d->values[COS][place * half + pair];
    double sine = (double)q->d->values[SIN][place * half + pair];
    return e == a ? (double)x[a] * cosine - (double)x[b] * sine
                  : (double)x[b] * cosine + (double)x[a] * sine;
}

/* Element `e` of key (or value) `at` of the cache after this step. */
static double cached(const sequence *q, bool value, int64_t head, int64_t at, int64_t e)
{
    const setting *s = q->s;
    const float *past = q->d->values[value ? PAST_V : PAST_K];
    if (at < q->before)
        return (double)past[((q->batch * s->kv_heads + head) * s->capacity + at) * s->size + e];
    int64_t row = at - q->before;
    if (!value) return turned(q, KEY, s->kv_heads, head, row, e);
    return (double)
        q->d->values[VALUE][((q->batch * s->rows + row) * s->kv_heads + head) * s->size + e];
}

static double score(const sequence *q, int64_t head, int64_t row, int64_t key)
{
    const setting *s = q->s;
    int64_t kv = head / (s->heads / s->kv_heads), at = q->before + row;
    if (!s->all && (key > at || (s->window && key <= at - s->window))) return -INFINITY;
    double sum = 0;
    for (int64_t e = 0; e < s->size; e++)
        sum += turned(q, QUERY, s->heads, head, row, e) * cached(q, false, kv, key, e);
    sum /= sqrt((double)s->size);
    if (s->softcap != 0) sum = (double)s->softcap * tanh(sum / (double)s->softcap);
    if (!s->bias_batch) return sum;
    int64_t b = s->bias_batch > 1 ? q->batch : 0, h = s->bias_heads > 1 ? head : 0;
    return sum +
           (double)q->d->values[BIAS][((b * s->bias_heads + h) * s->rows + row) * s->total + key];
}

static void check_row(const sequence *q, int64_t head, int64_t row, const float *y)
{
    const setting *s = q->s;
    int64_t keys = q->before + q->added, kv = head / (s->heads / s->kv_heads);
    double sum = s->sinks ? exp((double)q->d->values[SINKS][head]) : s->smooth ? 1.0 : 0.0;
    for (int64_t key = 0; key < keys; key++)
        sum += exp(score(q, head, row, key));
    for (int64_t e = 0; e < s->size; e++) {
        double want = 0;
        for (int64_t key = 0; key < keys; key++)
            want += exp(score(q, head, row, key)) / sum * cached(q, true, kv, key, e);
        if (!(fabs(want - (double)y[e]) <= 1e-5))
            fail_msg("setting %td: head %d, row %d, element %d: %g, expected %g", s - settings,
                     (int)head, (int)row, (int)e, (double)y[e], want);
    }
}

static void check_cache(const sequence *q, bool value, const nnd_tensor *t)
{
    const setting *s = q->s;
    assert_int_equal(t->dims[2], s->capacity > s->total ? s->capacity : s->total);
    for (int64_t head = 0; head < s->kv_heads; head++)
        for (int64_t at = 0; at < q->before + q->added; at++)
            for (int64_t e = 0; e < s->size; e++) {
                int64_t i = ((q->batch * s->kv_heads + head) * t->dims[2] + at) * s->size + e;
                assert_float_equal(((const float *)t->data)[i], cached(q, value, head, at, e),
                                   1e-5);
            }
}

/* ---- running ---------------------------------------------------------------------------------
 */

static nnd_status run(const setting *s, data *d, const char *more, nnd_engine_model **m,
                      nnd_engine_request **r)
{
    static const char *const names[INPUTS] = {"q",     "k",   "v",   "pk", "pv",   "lengths",
                                              "total", "cos", "sin", "at", "bias", "sinks"};
    nnd_str graph = {0}, attrs = {0}, model = {0}, inputs = {0};
    for (int k = 0; k < INPUTS; k++) {
        const char *name = k == NEW ? "new" : names[k];
        const nnd_tensor *t = &d->t[k];
        if (k) nnd_str_add(&inputs, ",");
        if (!d->given[k]) continue;
        nnd_str_add(&inputs, name);
        int type = t->dtype == NND_F32 ? OW_F32 : t->dtype == NND_I32 ? OW_I32 : OW_I64;
        ow_value(&graph, OW_INPUT, name, type, t->rank, t->dims, NULL);
    }
    ow_attr_int(&attrs, "num_heads", s->heads);
    ow_attr_int(&attrs, "kv_num_heads", s->kv_heads);
    ow_attr_int(&attrs, "do_rotary", 1);
    ow_attr_int(&attrs, "rotary_interleaved", s->interleaved);
    ow_attr_int(&attrs, "local_window_size", s->window ? s->window : -1);
    ow_attr_int(&attrs, "smooth_softmax", s->smooth);
    ow_attr_int(&attrs, "causal", !s->all);
    ow_attr_float(&attrs, "softcap", s->softcap);
    if (more) ow_attr_int(&attrs, more, 1);
    ow_node_of(&graph, "com.microsoft", "GroupQueryAttention", inputs.data, "y,pk2,pv2", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, -1, NULL, NULL);
    ow_value(&graph, OW_OUTPUT, "pk2", OW_F32, -1, NULL, NULL);
    ow_value(&graph, OW_OUTPUT, "pv2", OW_F32, -1, NULL, NULL);
    ow_model(&model, &graph, 17);
    nnd_str_free(&inputs);
    nnd_status status = nnd_engine_model_load_memory(model.data, model.size, NULL, m);
    if (status == NND_OK) status = nnd_engine_request_create(*m, r);
    for (size_t k = 0, i = 0; k < INPUTS && status == NND_OK; k++)
        if (d->given[k]) status = nnd_engine_request_bind_input(*r, i++, &d->t[k]);
    if (status == NND_OK) status = nnd_engine_request_run(*r, 2, NULL);
    nnd_str_free(&model);
    return status;
}

static void agrees_with_the_definition(void **state)
{
    static data d;
    (void)state;
    for (size_t i = 0; i < NND_COUNT(settings); i++) {
        const setting *s = &settings[i];
        nnd_engine_model *m = NULL;
        nnd_engine_request *r = NULL;
        nnd_tensor y, k, v;
        make_data(&d, s);
        nnd_status status = run(s, &d, NULL, &m, &r);
        if (status != NND_OK) report_error("run");
        assert_int_equal(status, NND_OK);
        assert_ok(nnd_engine_request_output(r, 0, &y));
        assert_ok(nnd_engine_request_output(r, 1, &k));
        assert_ok(nnd_engine_request_output(r, 2, &v));
        for (int64_t b = 0; b < s->batch; b++) {
            sequence q = {&d, s, b, 0, d.given[NEW] ? s->added[b] : s->rows};
            if (d.given[NEW] || s->rows != s->total) q.before = s->lengths[b] + 1 - q.added;
            check_cache(&q, false, &k);
            check_cache(&q, true, &v);
            for (int64_t row = 0; row < q.added; row++)
                for (int64_t h = 0; h < s->heads; h++)
                    check_row(&q, h, row,
                              (const float *)y.data +
                                  ((b * s->rows + row) * s->heads + h) * s->size);
        }
        nnd_engine_request_destroy(r);
        nnd_engine_model_unref(m);
    }
}

static void refuse(const setting *s, data *d, const char *more, nnd_status want)
{
    nnd_engine_model *m = NULL;
    nnd_engine_request *r = NULL;
    assert_int_equal(run(s, d, more, &m, &r), want);
    nnd_error_clear();
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
}

static void wrong_inputs_are_refused(void **state)
{
    static data d;
    static const int64_t far[] = {-1, POSITIONS, POSITIONS - 1, INT64_MAX, INT64_MIN};
    setting s = settings[0];
    (void)state;
    for (size_t i = 0; i < 2 * NND_COUNT(far); i++) {
        s = settings[i % 2 ? 3 : 0]; /* a prompt counts on from its first position */
        make_data(&d, &s);
        d.places[0] = far[i / 2];
        if (i % 2 == 0 && far[i / 2] == POSITIONS - 1) continue; /* the last one, for one row */
        refuse(&s, &d, NULL, NND_E_FORMAT);
    }
    for (int32_t rows = -1; rows < 7; rows += 6) {
        s = settings[11];
        make_data(&d, &s);
        d.added[0] = rows;
        refuse(&s, &d, NULL, NND_E_FORMAT);
    }
    make_data(&d, &settings[0]);
    refuse(&settings[0], &d, "sliding_window_cache", NND_E_UNSUPPORTED);
    s = settings[5];
    make_data(&d, &s);
    d.t[BIAS].dims[3]--;
    refuse(&s, &d, NULL, NND_E_SHAPE);
    s = settings[6];
    make_data(&d, &s);
    d.t[SINKS].dims[0]--;
    refuse(&s, &d, NULL, NND_E_SHAPE);
    s = settings[9];
    s.window = 2;
    make_data(&d, &s);
    refuse(&s, &d, NULL, NND_E_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_definition),
        cmocka_unit_test(wrong_inputs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
