/*
 * Element-wise kernels under every ISA: accuracy in ulp against double precision over the whole
 * range (the bounds that kernels.h states), specials, tails with guards, aliasing, broadcasts.
 */
#include "kernels_support.h"

/* ---- accuracy --------------------------------------------------------------------------- */

typedef double (*exact_fn)(double x);

static float bits_to_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* All floats in steps, so that every exponent and both signs are met; about 860 000 of them. */
#define STEP  4999u
#define CHUNK 4096

typedef struct accuracy {
    void (*apply)(int kind, const float *x, float *y, size_t n);
    int kind;
    exact_fn exact;
    double worst, at;
} accuracy;

static void measure_chunk(accuracy *a, const float *x, size_t n)
{
    float y[CHUNK];
    a->apply(a->kind, x, y, n);
    for (size_t i = 0; i < n; i++) {
        double error = ulp_error(y[i], a->exact((double)x[i]));
        if (error > a->worst || isnan(error)) {
            a->worst = isnan(error) ? INFINITY : error;
            a->at = x[i];
        }
    }
}

static void measure(accuracy *a)
{
    float x[CHUNK];
    size_t n = 0;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += STEP) {
        x[n++] = bits_to_float((uint32_t)bits);
        if (n == CHUNK || bits + STEP > UINT32_MAX) {
            measure_chunk(a, x, n);
            n = 0;
        }
    }
    /* Densely where the functions bend. */
    for (int i = 0; i < ROUNDS(200); i++) {
        for (n = 0; n < CHUNK; n++)
            x[n] = rng_float(-1.0f, 1.0f) * ldexpf(1.0f, (int)rng_int(-3, 7));
        measure_chunk(a, x, CHUNK);
    }
}

static void apply_unary(int kind, const float *x, float *y, size_t n)
{
    nnd_unary_apply((nnd_unary_op)kind, x, y, n);
}

static void apply_act(int kind, const float *x, float *y, size_t n)
{
    nnd_act act = {(nnd_act_kind)kind, 0.0f, 0.0f};
    nnd_act_apply(&act, x, y, n);
}

static double exact_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double exact_neg(double x)
{
    return -x;
}

static double exact_reciprocal(double x)
{
    return 1 / x;
}

static double exact_square(double x)
{
    return x * x;
}

static void check_accuracy(nnd_isa isa)
{
    const struct {
        const char *name;
        accuracy a;
        double bound;
    } cases[] = {
        {"exp", {apply_unary, NND_UNARY_EXP, exp, 0, 0}, 1},
        {"log", {apply_unary, NND_UNARY_LOG, log, 0, 0}, 1},
        {"erf", {apply_unary, NND_UNARY_ERF, erf, 0, 0}, 2},
        {"tanh", {apply_act, NND_ACT_TANH, tanh, 0, 0}, 2},
        {"sigmoid", {apply_act, NND_ACT_SIGMOID, exact_sigmoid, 0, 0}, 3},
        {"sqrt", {apply_unary, NND_UNARY_SQRT, sqrt, 0, 0}, 0.5001},
        {"reciprocal", {apply_unary, NND_UNARY_RECIPROCAL, exact_reciprocal, 0, 0}, 0.5001},
        {"square", {apply_unary, NND_UNARY_SQUARE, exact_square, 0, 0}, 0.5001},
        {"neg", {apply_unary, NND_UNARY_NEG, exact_neg, 0, 0}, 0},
        {"abs", {apply_unary, NND_UNARY_ABS, fabs, 0, 0}, 0},
        {"floor", {apply_unary, NND_UNARY_FLOOR, floor, 0, 0}, 0},
        {"ceil", {apply_unary, NND_UNARY_CEIL, ceil, 0, 0}, 0},
        {"round", {apply_unary, NND_UNARY_ROUND, nearbyint, 0, 0}, 0},
    };
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        accuracy a = cases[i].a;
        measure(&a);
        printf("%-10s %-10s worst %.3f ulp at %.9g\n", nnd_isa_name(isa), cases[i].name, a.worst,
               a.at);
        assert_true(a.worst <= cases[i].bound);
    }
}

static void test_accuracy(void **state)
{
    (void)state;
    each_isa(check_accuracy);
}

/* ---- activations ------------------------------------------------------------------------ */

static void check_activations(nnd_isa isa)
{
    for (int kind = 0; kind < NND_ACT_COUNT; kind++) {
        nnd_act act = {(nnd_act_kind)kind, 0.3f, 0.7f};
        if (kind == NND_ACT_CLIP) act.alpha = -1.5f;
        for (size_t n = 0; n < 70; n++) {
            guarded x = guarded_random(n, -12.0f, 12.0f), y = guarded_make(n);
            nnd_act_apply(&act, x.data, y.data, n);
            for (size_t i = 0; i < n; i++) {
                double expected = exact_act(&act, x.data[i]);
                double bound = 1e-6 * fmax(1.0, fabs(expected));
                if (fabs(y.data[i] - expected) <= bound) continue;
                fprintf(stderr, "%s act %d of %g: %g, expected %g\n", nnd_isa_name(isa), kind,
                        x.data[i], y.data[i], expected);
                fail();
            }
            /* In place, and one by one: the same bits. */
            for (size_t i = 0; i < n; i++) {
                float alone;
                nnd_act_apply(&act, &x.data[i], &alone, 1);
                assert_memory_equal(&alone, &y.data[i], sizeof alone);
            }
            nnd_act_apply(&act, x.data, x.data, n);
            assert_memory_equal(x.data, y.data, n * sizeof(float));
            guarded_free(&x);
            guarded_free(&y);
        }
    }
}

static void test_activations(void **state)
{
    (void)state;
    each_isa(check_activations);
}

/* The definitions' limits, and NaN in gives NaN out. */
static void check_specials(nnd_isa isa)
{
    (void)isa;
    const float x[] = {NAN, INFINITY, -INFINITY, -1000.0f, 1000.0f, -0.0f};
    for (int kind = 0; kind < NND_ACT_COUNT; kind++) {
        nnd_act act = {(nnd_act_kind)kind, 0.3f, 0.7f};
        float y[NND_COUNT(x)];
        nnd_act_apply(&act, x, y, NND_COUNT(x));
        assert_true(isnan(y[0]));
        for (size_t i = 3; i < NND_COUNT(x); i++) {
            double expected = exact_act(&act, x[i]);
            assert_true(fabs(y[i] - expected) <= 1e-6 * fmax(1.0, fabs(expected)));
        }
    }
}

static void test_specials(void **state)
{
    (void)state;
    each_isa(check_specials);
}

/* ---- binary ----------------------------------------------------------------------------- */

static double exact_binary(nnd_binary_op op, double a, double b)
{
    switch (op) {
    case NND_BINARY_ADD:
        return a + b;
    case NND_BINARY_SUB:
        return a - b;
    case NND_BINARY_MUL:
        return a * b;
    case NND_BINARY_DIV:
        return a / b;
    case NND_BINARY_MIN:
        return isnan(a) || isnan(b) ? NAN : fmin(a, b);
    case NND_BINARY_MAX:
        return isnan(a) || isnan(b) ? NAN : fmax(a, b);
    default:
        return NAN;
    }
}

static void check_binary_case(nnd_binary_op op, nnd_binary_mode mode, size_t n)
{
    guarded a = guarded_random(n ? n : 1, -2, 2), b = guarded_random(n ? n : 1, -2, 2);
    guarded y = guarded_make(n);
    if (n > 3) {
        a.data[1] = NAN;
        b.data[2] = NAN;
    }
    nnd_binary_apply(op, mode, a.data, b.data, y.data, n, NULL);
    for (size_t i = 0; i < n; i++) {
        double left = a.data[mode == NND_BINARY_SCALAR_A ? 0 : i];
        double right = b.data[mode == NND_BINARY_SCALAR_B ? 0 : i];
        assert_true(ulp_error(y.data[i], exact_binary(op, left, right)) <= 0.5001);
    }
    /* With an activation, onto a operand's own array. */
    nnd_act relu = {NND_ACT_RELU, 0, 0};
    float *to = mode == NND_BINARY_SCALAR_A ? b.data : a.data;
    nnd_binary_apply(op, mode, a.data, b.data, to, n, &relu);
    for (size_t i = 0; i < n; i++) {
        float expected = y.data[i] < 0.0f ? 0.0f : y.data[i];
        assert_true(to[i] == expected || (isnan(to[i]) && isnan(expected)));
    }
    guarded_free(&a);
    guarded_free(&b);
    guarded_free(&y);
}

static void check_binary(nnd_isa isa)
{
    (void)isa;
    for (int op = 0; op < NND_BINARY_COUNT; op++) {
        for (int mode = 0; mode < 3; mode++) {
            for (size_t n = 0; n < 50; n++)
                check_binary_case((nnd_binary_op)op, (nnd_binary_mode)mode, n);
            check_binary_case((nnd_binary_op)op, (nnd_binary_mode)mode, 5001);
        }
    }
}

static void test_binary(void **state)
{
    (void)state;
    each_isa(check_binary);
}

/* Two images of `channels` channels in both layouts. */
static void check_channel_case(nnd_kernel_layout layout, size_t channels, size_t spatial)
{
    size_t block = layout == NND_KERNEL_NCHW ? 1 : (size_t)nnd_kernel_block();
    size_t per_image = (channels + block - 1) / block, planes = 2 * per_image;
    guarded x = guarded_random(planes * block * spatial, -1, 1), y = guarded_make(x.n);
    guarded s = guarded_random(per_image * block, -1, 1);
    guarded t = guarded_random(per_image * block, -1, 1);
    nnd_act relu = {NND_ACT_RELU, 0, 0};
    /* In two calls, as tiles would. */
    nnd_binary_channel(NND_BINARY_SUB, layout, x.data, s.data, y.data, channels, spatial, 0, 1,
                       &relu);
    nnd_binary_channel(NND_BINARY_SUB, layout, x.data, s.data, y.data, channels, spatial, 1,
                       planes - 1, &relu);
    for (size_t i = 0; i < x.n; i++) {
        size_t c = i / (block * spatial) % per_image * block + i % block;
        float expected = x.data[i] - s.data[c];
        assert_true(y.data[i] == (expected < 0.0f ? 0.0f : expected));
    }
    nnd_scale_shift_channel(layout, x.data, s.data, t.data, y.data, channels, spatial, 0, planes,
                            NULL);
    for (size_t i = 0; i < x.n; i++) {
        size_t c = i / (block * spatial) % per_image * block + i % block;
        assert_true(fabs(y.data[i] - ((double)x.data[i] * s.data[c] + t.data[c])) <= 0x1p-23);
    }
    guarded_free(&x);
    guarded_free(&y);
    guarded_free(&s);
    guarded_free(&t);
}

static void check_channel(nnd_isa isa)
{
    (void)isa;
    for (size_t channels = 1; channels < 36; channels += 5) {
        check_channel_case(NND_KERNEL_NCHW, channels, 37);
        check_channel_case(NND_KERNEL_NCHWC, channels, 37);
    }
    check_channel_case(NND_KERNEL_NCHW, 3, 4999);
    check_channel_case(NND_KERNEL_NCHWC, 3, 4999);
}

static void test_channel(void **state)
{
    (void)state;
    each_isa(check_channel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy), cmocka_unit_test(test_activations),
        cmocka_unit_test(test_specials), cmocka_unit_test(test_binary),
        cmocka_unit_test(test_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
