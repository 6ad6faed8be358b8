/*
 * Attention under every ISA against double precision: random shapes with all tails, shared key
 * heads, strides, causal limits with offsets and windows, lengths, biases and masks in every form
 * of broadcasting, rows that see nothing, soft caps; guards around the result; equal bits for 1 … 4
 * threads; scratch that does not grow with the keys.
 *
 * Error bound of an element. A score of magnitude s = |scale|·Σ|q||k| (+ its terms) is off by at
 * most e = 2^-24·(size + 8)·s, its weight by a factor of e^±(2e + 2^-22), sums over n keys by
 * 2^-24·(n + 16) more: together (4e + 2^-22 + 2^-23·(n + 16))·Σ weight·|v|.
 */
#include "kernels_support.h"

#include "engine/kernels/attention.h"

typedef struct problem {
    nnd_attention a;
    guarded q, k, v, bias, choice, mask;
    uint8_t *keep;
    int64_t offset[4], valid[4];
} problem;

static size_t some(size_t low, size_t high)
{
    return (size_t)rng_int((int64_t)low, (int64_t)high);
}

/* Rows of heads in one of three orders, the last one transposed in itself. */
static guarded make_heads(nnd_heads *h, size_t batch, size_t heads, size_t rows, size_t size)
{
    size_t gap = some(0, 3);
    int form = (int)rng_int(0, 2);
    if (form == 0) { /* [batch, heads, rows, size + gap] */
        *h = (nnd_heads){.row = size + gap, .step = 1};
        h->head = rows * h->row;
        h->batch = heads * h->head;
    } else if (form == 1) { /* [batch, rows, heads, size] */
        *h = (nnd_heads){.head = size, .row = heads * size + gap};
        h->batch = rows * h->row;
    } else { /* [batch, heads, size, rows + gap] */
        *h = (nnd_heads){.row = 1, .step = rows + gap};
        h->head = size * h->step;
        h->batch = heads * h->head;
    }
    guarded g = guarded_random(batch * h->batch + 1, -1, 1);
    h->data = g.data;
    return g;
}

static guarded make_bias(nnd_bias *b, const nnd_attention *a, uint8_t **keep)
{
    size_t n[4] = {a->batch, a->heads, a->rows, a->keys}, *step[4], size = 1;
    if (rng_int(0, 3) == 0 && a->keys > 1) n[3] = some(1, a->keys - 1);
    *b = (nnd_bias){.columns = n[3]};
    step[0] = &b->batch;
    step[1] = &b->head;
    step[2] = &b->row;
    step[3] = &b->column;
    for (int i = 4; i-- > 0;) {
        if (rng_int(0, 2) == 0) continue;
        *step[i] = size;
        size *= n[i];
    }
    if (!*step[3]) b->columns = a->keys;
    guarded g = guarded_random(size, -2, 2);
    for (size_t i = 0; i < size; i++)
        if (rng_int(0, 9) == 0) g.data[i] = -INFINITY;
    b->data = g.data;
    if (!keep) return g;
    *keep = nnd_calloc(size, 1);
    assert_non_null(*keep);
    for (size_t i = 0; i < size; i++)
        (*keep)[i] = rng_int(0, 3) != 0;
    b->keep = *keep;
    b->inverted = rng_int(0, 1);
    b->fill = rng_int(0, 2) ? -INFINITY : -1.5f;
    b->data = NULL;
    return g;
}

static void make_limits(problem *p)
{
    nnd_attention *a = &p->a;
    a->causal = rng_int(0, 1);
    if (a->causal && rng_int(0, 2) == 0) a->window = rng_int(1, (int64_t)a->keys + 1);
    for (size_t i = 0; i < 4; i++) {
        p->offset[i] = rng_int(-3, (int64_t)a->keys);
        p->valid[i] = rng_int(-1, (int64_t)a->keys + 2);
    }
    if (rng_int(0, 1)) a->offset = p->offset;
    if (rng_int(0, 2) == 0) a->valid = p->valid;
}

static void problem_make(problem *p, size_t rows, size_t keys)
{
    nnd_attention *a = &p->a;
    *p = (problem){.a = {.batch = some(1, 3), .rows = rows, .keys = keys}};
    a->kv_heads = some(1, 3);
    a->heads = a->kv_heads * some(1, 3);
    a->size = some(1, 70);
    a->v_size = some(1, 70);
    a->scale = rng_int(0, 3) ? 1.0f / sqrtf((float)a->size) : 1.0f;
    a->empty_is_nan = rng_int(0, 1);
    a->nan_is_zero = rng_int(0, 3) == 0;
    if (rng_int(0, 2) == 0) a->softcap = rng_float(0.5f, 4.0f);
    p->q = make_heads(&a->q, a->batch, a->heads, rows, a->size);
    p->k = make_heads(&a->k, a->batch, a->kv_heads, keys, a->size);
    p->v = make_heads(&a->v, a->batch, a->kv_heads, keys, a->v_size);
    make_limits(p);
    if (rng_int(0, 1)) p->bias = make_bias(&a->bias, a, NULL);
    if (rng_int(0, 1)) p->choice = make_bias(&a->choice, a, &p->keep);
    if (rng_int(0, 1)) p->mask = make_bias(&a->mask, a, NULL);
    a->y_row = a->v_size + some(0, 3);
    a->y_head = rows * a->y_row;
    a->y_batch = a->heads * a->y_head;
}

static void problem_free(problem *p)
{
    guarded_free(&p->q);
    guarded_free(&p->k);
    guarded_free(&p->v);
    if (p->bias.block) guarded_free(&p->bias);
    if (p->choice.block) guarded_free(&p->choice);
    if (p->mask.block) guarded_free(&p->mask);
    nnd_free(p->keep);
}

static guarded run_all(nnd_attention *a)
{
    guarded y = guarded_make(a->batch * a->y_batch);
    void *scratch = aligned_scratch(nnd_attention_lane_bytes(a));
    a->y = y.data;
    for (size_t i = nnd_attention_tiles(a); i-- > 0;)
        nnd_attention_run_tile(a, i, scratch);
    nnd_free_aligned(scratch);
    return y;
}

/* ---- the definition ------------------------------------------------------------------------ */

static double element(const nnd_heads *h, size_t batch, size_t head, size_t row, size_t i)
{
    return h->data[batch * h->batch + head * h->head + row * h->row + i * (h->step ? h->step : 1)];
}

static double apply(double score, const nnd_bias *b, size_t batch, size_t head, size_t row,
                    size_t key)
{
    size_t at = batch * b->batch + head * b->head + row * b->row + key * b->column;
    if (!b->data && !b->keep) return score;
    if (key >= b->columns) return -INFINITY;
    if (b->data) return score + (double)b->data[at];
    return (b->keep[at] == 0) != b->inverted ? (double)b->fill : score;
}

static bool sees(const nnd_attention *a, size_t batch, size_t row, size_t key)
{
    int64_t last = (int64_t)row + (a->offset ? a->offset[batch] : 0), at = (int64_t)key;
    if (a->valid && at >= a->valid[batch]) return false;
    if (!a->causal) return true;
    return at <= last && (!a->window || at > last - a->window);
}

/* Scores of a row and the largest error of one. */
static double exact_scores(const nnd_attention *a, size_t b, size_t h, size_t row, double *scores)
{
    size_t kv = h / (a->heads / a->kv_heads);
    double worst = 0;
    for (size_t key = 0; key < a->keys; key++) {
        double sum = 0, size = 0;
        for (size_t i = 0; i < a->size; i++) {
            double x = element(&a->q, b, h, row, i) * element(&a->k, b, kv, key, i);
            sum += x;
            size += fabs(x);
        }
        double s = sum * a->scale;
        if (a->softcap != 0) s = a->softcap * tanh(s / a->softcap);
        s = apply(s, &a->bias, b, h, row, key);
        s = apply(s, &a->choice, b, h, row, key);
        s = apply(s, &a->mask, b, h, row, key);
        scores[key] = sees(a, b, row, key) ? s : -INFINITY;
        worst = fmax(worst, 0x1p-24 * ((double)a->size + 8) * (size * fabs(a->scale) + 4));
    }
    return worst;
}

static void check_row(const problem *p, size_t b, size_t h, size_t row, const float *y)
{
    const nnd_attention *a = &p->a;
    double *w = nnd_calloc(a->keys + 1, sizeof *w), top = -INFINITY, sum = 0;
    assert_non_null(w);
    double e = exact_scores(a, b, h, row, w), n = (double)a->keys;
    for (size_t i = 0; i < a->keys; i++)
        top = fmax(top, w[i]);
    for (size_t i = 0; i < a->keys; i++)
        sum += w[i] = top == -INFINITY ? 0 : exp(w[i] - top);
    for (size_t d = 0; d < a->v_size; d++) {
        double expected = 0, size = 0;
        for (size_t i = 0; i < a->keys; i++) {
            double x =
                sum != 0 ? w[i] / sum * element(&a->v, b, h / (a->heads / a->kv_heads), i, d) : 0;
            expected += x;
            size += fabs(x);
        }
        if (sum == 0 && a->empty_is_nan && !a->nan_is_zero) {
            assert_true(isnan(y[d]));
            continue;
        }
        double bound = (4 * e + 0x1p-22 + 0x1p-23 * (n + 16)) * size;
        if (fabs(y[d] - expected) <= bound) continue;
        fprintf(stderr, "%s: %zu rows %zu keys, %zu/%zu, row %zu element %zu: %g, not %g ± %g\n",
                nnd_isa_name(nnd_isa_current()), a->rows, a->keys, a->size, a->v_size, row, d, y[d],
                expected, bound);
        fail();
    }
    nnd_free(w);
}

static void check(problem *p)
{
    const nnd_attention *a = &p->a;
    guarded y = run_all(&p->a);
    for (size_t i = 0; i < a->batch * a->heads * a->rows; i++) {
        size_t row = i % a->rows, h = i / a->rows % a->heads, b = i / a->rows / a->heads;
        const float *at = y.data + b * a->y_batch + h * a->y_head + row * a->y_row;
        check_row(p, b, h, row, at);
        for (size_t d = a->v_size; d < a->y_row; d++)
            assert_true(at[d] == GUARD_VALUE);
    }
    guarded_free(&y);
}

/* ---- tests --------------------------------------------------------------------------------- */

static void random_problems(nnd_isa isa)
{
    (void)isa;
    for (int i = 0; i < ROUNDS(250); i++) {
        problem p;
        problem_make(&p, some(1, i % 5 ? 20 : 130), some(1, i % 3 ? 40 : 300));
        check(&p);
        problem_free(&p);
    }
}

static void every_size(nnd_isa isa)
{
    (void)isa;
    for (size_t n = 1; n <= 40; n++) {
        problem p;
        problem_make(&p, n, 41 - n);
        check(&p);
        problem_free(&p);
    }
}

/* Keys that nobody sees may hold anything. */
static void unseen_keys_are_not_read(nnd_isa isa)
{
    (void)isa;
    problem p;
    problem_make(&p, 9, 200);
    nnd_attention *a = &p.a;
    guarded_free(&p.k);
    guarded_free(&p.v);
    a->bias = a->choice = a->mask = (nnd_bias){0};
    a->causal = false;
    a->valid = p.valid;
    p.k = guarded_random(a->batch * a->kv_heads * 200 * a->size, -1, 1);
    p.v = guarded_random(a->batch * a->kv_heads * 200 * a->v_size, -1, 1);
    a->k = (nnd_heads){p.k.data, a->kv_heads * 200 * a->size, 200 * a->size, a->size, 1};
    a->v = (nnd_heads){p.v.data, a->kv_heads * 200 * a->v_size, 200 * a->v_size, a->v_size, 1};
    for (size_t b = 0; b < a->batch; b++) {
        p.valid[b] = 150 + (int64_t)b;
        for (size_t i = b * a->k.batch; i < (b + 1) * a->k.batch; i++)
            if (i % a->k.head >= (150 + b) * a->size) p.k.data[i] = NAN;
        for (size_t i = b * a->v.batch; i < (b + 1) * a->v.batch; i++)
            if (i % a->v.head >= (150 + b) * a->v_size) p.v.data[i] = NAN;
    }
    guarded y = run_all(a);
    for (size_t i = 0; i < a->batch * a->heads * a->rows; i++)
        for (size_t d = 0; d < a->v_size; d++)
            assert_true(isfinite(y.data[i / a->rows * a->y_head + i % a->rows * a->y_row + d]));
    guarded_free(&y);
    problem_free(&p);
}

/* A NaN or an infinity in a score makes its row NaN and no other one. */
static void broken_scores_stay_in_their_row(nnd_isa isa)
{
    (void)isa;
    static const float broken[] = {NAN, INFINITY};
    for (size_t n = 0; n < NND_COUNT(broken); n++) {
        problem p = {.a = {.batch = 1,
                           .heads = 1,
                           .kv_heads = 1,
                           .rows = 20,
                           .keys = 150,
                           .size = 8,
                           .v_size = 5,
                           .scale = 1,
                           .y_row = 5,
                           .y_head = 100,
                           .y_batch = 100}};
        p.q = guarded_random(20 * 8, -1, 1);
        p.k = guarded_random(150 * 8, 0.5f, 1);
        p.v = guarded_random(150 * 5, -1, 1);
        p.a.q = (nnd_heads){p.q.data, 0, 0, 8, 1};
        p.a.k = (nnd_heads){p.k.data, 0, 0, 8, 1};
        p.a.v = (nnd_heads){p.v.data, 0, 0, 5, 1};
        p.q.data[7 * 8 + 3] = broken[n];
        guarded y = run_all(&p.a);
        for (size_t i = 0; i < y.n; i++)
            assert_int_equal(isnan(y.data[i]) != 0, i / 5 == 7);
        guarded_free(&y);
        p.a.nan_is_zero = true;
        y = run_all(&p.a);
        for (size_t i = 0; i < y.n; i++)
            assert_int_equal(y.data[i] == 0, i / 5 == 7);
        guarded_free(&y);
        problem_free(&p);
    }
}

typedef struct attention_job {
    const nnd_attention *a;
    lanes lanes;
} attention_job;

static nnd_status attention_tile(void *user, size_t index, int lane)
{
    attention_job *job = user;
    nnd_attention_run_tile(job->a, index, job->lanes.scratch[lane]);
    return NND_OK;
}

static void same_bits_for_any_threads(nnd_isa isa)
{
    (void)isa;
    problem p;
    problem_make(&p, 250, 333);
    guarded serial = run_all(&p.a);
    assert_true(nnd_attention_tiles(&p.a) >= 3);
    assert_ok(nnd_sched_set_threads(MAX_LANES));
    for (int threads = 1; threads <= MAX_LANES; threads++) {
        guarded y = guarded_make(serial.n);
        p.a.y = y.data;
        attention_job job = {&p.a, lanes_make(nnd_attention_lane_bytes(&p.a))};
        assert_ok(nnd_parallel_for(nnd_attention_tiles(&p.a), threads, attention_tile, &job, NULL));
        assert_memory_equal(y.data, serial.data, y.n * sizeof(float));
        lanes_free(&job.lanes);
        guarded_free(&y);
    }
    guarded_free(&serial);
    problem_free(&p);
}

/* The vector forms hold one block of scores; the reference a single row of them. */
static void scratch_is_bounded(nnd_isa isa)
{
    nnd_attention a = {
        .batch = 1, .heads = 8, .kv_heads = 8, .rows = 512, .keys = 512, .size = 64, .v_size = 64};
    size_t few = nnd_attention_lane_bytes(&a);
    a.rows = a.keys = 1 << 16;
    size_t many = nnd_attention_lane_bytes(&a);
    assert_true(isa == NND_ISA_REFERENCE ? many <= 129 * few : many <= few);
    assert_true(many <= (size_t)1 << 19);
    a.size = SIZE_MAX / 8;
    assert_true(nnd_attention_lane_bytes(&a) <= SIZE_MAX / 2);
    a.rows = 0;
    assert_int_equal(nnd_attention_lane_bytes(&a), 0);
    assert_int_equal(nnd_attention_tiles(&a), 0);
}

#define EACH(name)                                                                                 \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        each_isa(name);                                                                            \
    }
EACH(random_problems)
EACH(every_size)
EACH(unseen_keys_are_not_read)
EACH(broken_scores_stay_in_their_row)
EACH(same_bits_for_any_threads)
EACH(scratch_is_bounded)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_problems),
        cmocka_unit_test(test_every_size),
        cmocka_unit_test(test_unseen_keys_are_not_read),
        cmocka_unit_test(test_broken_scores_stay_in_their_row),
        cmocka_unit_test(test_same_bits_for_any_threads),
        cmocka_unit_test(test_scratch_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
