/*
 * GEMM under every ISA against a double-precision loop: random shapes with all tails, transposed
 * operands, strides, biases, residuals, activations; guards around C; equal bits for 1 … 4 threads.
 * Error bound: (k + 4)·2^-24·(|alpha|·Σ|a||b| + |bias| + |beta·r|), times the activation's slope.
 * In bf16 the same bound holds for the rounded operands.
 */
#include "kernels_support.h"

typedef struct problem {
    nnd_gemm_desc d;
    guarded a, b, bias, r;
} problem;

static int64_t size_with_tails(void)
{
    static const int64_t edges[] = {1, 2, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 31, 32, 33, 64, 65};
    if (rng_int(0, 1)) return edges[rng_next() % NND_COUNT(edges)];
    return rng_int(1, 100);
}

static nnd_gemm_precision precision = NND_GEMM_F32; /* of the problems to come */

static problem problem_make(int64_t m, int64_t n, int64_t k)
{
    problem p = {.d = {.m = m, .n = n, .k = k, .alpha = 1.0f, .precision = precision}};
    nnd_gemm_desc *d = &p.d;
    d->trans_a = rng_int(0, 1);
    d->trans_b = rng_int(0, 1);
    if (rng_int(0, 1)) d->lda = (d->trans_a ? m : k) + rng_int(0, 9);
    if (rng_int(0, 1)) d->ldb = (d->trans_b ? k : n) + rng_int(0, 9);
    if (rng_int(0, 1)) d->ldc = n + rng_int(0, 9);
    if (rng_int(0, 1)) d->ldr = n + rng_int(0, 9);
    if (rng_int(0, 2) == 0) d->alpha = rng_float(-2.0f, 2.0f);
    if (rng_int(0, 1)) d->beta = rng_int(0, 1) ? 1.0f : rng_float(-2.0f, 2.0f);
    d->bias = (nnd_gemm_bias)rng_int(0, 3);
    d->one_tile = rng_int(0, 3) == 0;
    d->act = random_act();
    return p;
}

/* The strides in force. */
static int64_t stride(int64_t given, int64_t dense)
{
    return given ? given : dense;
}

static void problem_fill(problem *p)
{
    const nnd_gemm_desc *d = &p->d;
    int64_t rows_a = d->trans_a ? d->k : d->m, rows_b = d->trans_b ? d->n : d->k;
    p->a = guarded_random((size_t)(rows_a * stride(d->lda, d->trans_a ? d->m : d->k)), -1, 1);
    p->b = guarded_random((size_t)(rows_b * stride(d->ldb, d->trans_b ? d->k : d->n)), -1, 1);
    p->r = guarded_random((size_t)(d->m * stride(d->ldr, d->n)), -1, 1);
    p->bias = guarded_random((size_t)(d->m > d->n ? d->m : d->n), -1, 1);
}

static void problem_free(problem *p)
{
    guarded_free(&p->a);
    guarded_free(&p->b);
    guarded_free(&p->r);
    guarded_free(&p->bias);
}

static double rounded(float x)
{
    uint16_t half;
    nnd_f32_to_bf16(&x, &half, 1);
    nnd_bf16_to_f32(&half, &x, 1);
    return (double)x;
}

static void check_element(const problem *p, int64_t i, int64_t j, float got)
{
    const nnd_gemm_desc *d = &p->d;
    int64_t lda = stride(d->lda, d->trans_a ? d->m : d->k);
    int64_t ldb = stride(d->ldb, d->trans_b ? d->k : d->n);
    double sum = 0, size = 0;
    for (int64_t k = 0; k < d->k; k++) {
        double a = p->a.data[d->trans_a ? k * lda + i : i * lda + k];
        double b = p->b.data[d->trans_b ? j * ldb + k : k * ldb + j];
        if (d->precision != NND_GEMM_F32) b = rounded((float)b);
        a = d->precision == NND_GEMM_BF16 ? rounded(d->alpha * (float)a) : d->alpha * a;
        sum += a * b;
        size += fabs(a * b);
    }
    double bias = d->bias == NND_GEMM_BIAS_ROW      ? p->bias.data[i]
                  : d->bias == NND_GEMM_BIAS_COLUMN ? p->bias.data[j]
                  : d->bias == NND_GEMM_BIAS_SCALAR ? p->bias.data[0]
                                                    : 0.0;
    double rest = d->beta == 0.0f ? 0.0 : d->beta * (double)p->r.data[i * stride(d->ldr, d->n) + j];
    double expected = exact_act(&d->act, sum + bias + rest);
    double bound = ((double)d->k + 4) * 0x1p-24 * (size + fabs(bias) + fabs(rest));
    bound = bound * ACT_SLOPE + ACT_ERROR * fmax(1.0, fabs(expected));
    if (!(fabs(got - expected) <= bound)) {
        fprintf(stderr, "%s m %lld n %lld k %lld ta %d tb %d at %lld,%lld: %g, expected %g ± %g\n",
                nnd_isa_name(nnd_isa_current()), (long long)d->m, (long long)d->n, (long long)d->k,
                d->trans_a, d->trans_b, (long long)i, (long long)j, got, expected, bound);
        fail();
    }
}

/* Runs all tiles; `in_place` puts R into C first. */
static guarded run_gemm(const problem *p, bool in_place)
{
    const nnd_gemm_desc *d = &p->d;
    nnd_gemm g;
    assert_ok(nnd_gemm_plan(d, &g));
    void *packed = aligned_scratch(nnd_gemm_packed_bytes(&g));
    void *scratch = aligned_scratch(nnd_gemm_lane_bytes(&g));
    int64_t ldc = stride(d->ldc, d->n);
    guarded c = guarded_make((size_t)(d->m * ldc));
    if (in_place) memcpy(c.data, p->r.data, c.n * sizeof(float));
    nnd_gemm_pack_b(&g, p->b.data, packed);
    nnd_gemm_args args = {p->a.data, packed, p->bias.data, in_place ? c.data : p->r.data, c.data};
    for (size_t i = nnd_gemm_tiles(&g); i-- > 0;)
        nnd_gemm_run_tile(&g, &args, i, scratch);
    nnd_free_aligned(packed);
    nnd_free_aligned(scratch);
    return c;
}

static void check_problem(problem *p, bool in_place)
{
    const nnd_gemm_desc *d = &p->d;
    problem_fill(p);
    guarded c = run_gemm(p, in_place);
    int64_t ldc = stride(d->ldc, d->n);
    for (int64_t i = 0; i < d->m; i++) {
        for (int64_t j = 0; j < d->n; j++)
            check_element(p, i, j, c.data[i * ldc + j]);
        for (int64_t j = d->n; j < ldc && !in_place; j++)
            assert_true(c.data[i * ldc + j] == GUARD_VALUE);
    }
    guarded_free(&c);
    problem_free(p);
}

static void random_shapes(nnd_isa isa)
{
    (void)isa;
    for (int i = 0; i < ROUNDS(150); i++) {
        problem p = problem_make(size_with_tails(), size_with_tails(), size_with_tails());
        check_problem(&p, false);
    }
}

static void special_shapes(nnd_isa isa)
{
    static const int64_t sizes[][3] = {{1, 1000, 300}, {1000, 1, 300}, {1, 1, 1},   {3, 5, 0},
                                       {200, 300, 64}, {33, 70, 1200}, {1, 40, 900}};
    (void)isa;
    for (size_t i = 0; i < NND_COUNT(sizes); i++) {
        problem p = problem_make(sizes[i][0], sizes[i][1], sizes[i][2]);
        check_problem(&p, false);
    }
}

/* beta·C + …, several chunks of k included. */
static void accumulation_in_place(nnd_isa isa)
{
    static const int64_t depths[] = {7, 384, 1000};
    (void)isa;
    for (size_t i = 0; i < NND_COUNT(depths); i++) {
        problem p = problem_make(29, 77, depths[i]);
        p.d.beta = 0.75f;
        p.d.ldc = p.d.ldr = 80;
        check_problem(&p, true);
    }
}

typedef struct gemm_job {
    const nnd_gemm *gemm;
    nnd_gemm_args args;
    lanes lanes;
} gemm_job;

static nnd_status gemm_tile(void *user, size_t index, int lane)
{
    gemm_job *job = user;
    nnd_gemm_run_tile(job->gemm, &job->args, index, job->lanes.scratch[lane]);
    return NND_OK;
}

static void same_bits_for_any_threads(nnd_isa isa)
{
    (void)isa;
    problem p = problem_make(150, 333, 500);
    p.d.one_tile = false;
    problem_fill(&p);
    guarded serial = run_gemm(&p, false);
    nnd_gemm g;
    assert_ok(nnd_gemm_plan(&p.d, &g));
    assert_true(nnd_gemm_tiles(&g) > 4);
    void *packed = aligned_scratch(nnd_gemm_packed_bytes(&g));
    nnd_gemm_pack_b(&g, p.b.data, packed);
    assert_ok(nnd_sched_set_threads(MAX_LANES));
    for (int threads = 1; threads <= MAX_LANES; threads++) {
        guarded c = guarded_make(serial.n);
        gemm_job job = {&g,
                        {p.a.data, packed, p.bias.data, p.r.data, c.data},
                        lanes_make(nnd_gemm_lane_bytes(&g))};
        assert_ok(nnd_parallel_for(nnd_gemm_tiles(&g), threads, gemm_tile, &job, NULL));
        assert_memory_equal(c.data, serial.data, c.n * sizeof(float));
        lanes_free(&job.lanes);
        guarded_free(&c);
    }
    nnd_free_aligned(packed);
    guarded_free(&serial);
    problem_free(&p);
}

/* Each of the others in the precisions with weights in bf16, the instruction for them included. */
static void each_bf16_isa(void (*body)(nnd_isa isa))
{
    for (precision = NND_GEMM_BF16_WEIGHTS; precision <= NND_GEMM_BF16; precision++) {
        each_isa(body);
        if (nnd_isa_has(NND_ISA_AVX512BF16) || nnd_isa_has(NND_ISA_NEON_BF16))
            body(nnd_isa_detected());
    }
    precision = NND_GEMM_F32;
}

/* Weights that are exact in bf16: as in f32 to the last bit, but for the order in a single row. */
static void exact_weights_give_the_bits_of_f32(nnd_isa isa)
{
    (void)isa;
    for (int i = 0; i < ROUNDS(40); i++) {
        problem p = problem_make(rng_int(2, 6), size_with_tails(), rng_int(1, 900));
        problem_fill(&p);
        for (size_t k = 0; k < p.b.n; k++)
            p.b.data[k] = (float)rounded(p.b.data[k]);
        p.d.precision = NND_GEMM_F32;
        guarded wide = run_gemm(&p, false);
        p.d.precision = NND_GEMM_BF16_WEIGHTS;
        guarded narrow = run_gemm(&p, false);
        assert_memory_equal(wide.data, narrow.data, wide.n * sizeof(float));
        guarded_free(&wide);
        guarded_free(&narrow);
        problem_free(&p);
    }
}

static void weights_take_half_the_memory(nnd_isa isa)
{
    nnd_gemm wide, narrow;
    nnd_gemm_desc d = {.m = 1, .n = 100, .k = 1001, .alpha = 1.0f};
    assert_ok(nnd_gemm_plan(&d, &wide));
    d.precision = NND_GEMM_BF16;
    assert_ok(nnd_gemm_plan(&d, &narrow));
    size_t bytes = nnd_gemm_packed_bytes(&narrow);
    if (isa == NND_ISA_REFERENCE)
        assert_int_equal(bytes, nnd_gemm_packed_bytes(&wide));
    else
        assert_int_equal(bytes, nnd_gemm_packed_bytes(&wide) / 1001 * 501);
}

static void test_bf16(void **state)
{
    (void)state;
    each_bf16_isa(random_shapes);
    each_bf16_isa(special_shapes);
    each_bf16_isa(accumulation_in_place);
    each_bf16_isa(same_bits_for_any_threads);
    each_isa(exact_weights_give_the_bits_of_f32);
    each_isa(weights_take_half_the_memory);
}

static void test_random_shapes(void **state)
{
    (void)state;
    each_isa(random_shapes);
}

static void test_special_shapes(void **state)
{
    (void)state;
    each_isa(special_shapes);
}

static void test_accumulation_in_place(void **state)
{
    (void)state;
    each_isa(accumulation_in_place);
}

static void test_same_bits_for_any_threads(void **state)
{
    (void)state;
    each_isa(same_bits_for_any_threads);
}

static void test_bad_shapes_are_refused(void **state)
{
    (void)state;
    nnd_gemm g;
    nnd_gemm_desc d = {.m = -1, .n = 2, .k = 2};
    assert_status(nnd_gemm_plan(&d, &g), NND_E_SHAPE);
    d = (nnd_gemm_desc){.m = 2, .n = 2, .k = 8, .lda = 7};
    assert_status(nnd_gemm_plan(&d, &g), NND_E_SHAPE);
    d = (nnd_gemm_desc){.m = INT64_MAX / 2, .n = INT64_MAX / 2, .k = 3};
    assert_status(nnd_gemm_plan(&d, &g), NND_E_OVERFLOW);
    d = (nnd_gemm_desc){.m = 0, .n = 3, .k = 3, .alpha = 1.0f};
    assert_ok(nnd_gemm_plan(&d, &g));
    assert_int_equal(nnd_gemm_tiles(&g), 0);
    nnd_error_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_shapes),
        cmocka_unit_test(test_special_shapes),
        cmocka_unit_test(test_accumulation_in_place),
        cmocka_unit_test(test_same_bits_for_any_threads),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_bad_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
