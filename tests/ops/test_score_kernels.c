/*
 * The kernels of scores and boxes of every instruction set against the reference, bit for bit, and
 * the reference against the C library.
 */
#include <math.h>

#include "kernel_support.h"

/* Exactly `count` numbers between −span and span. */
static float *numbers(size_t count, float span, uint32_t seed)
{
    float *out = malloc((count ? count : 1) * sizeof(float));
    assert_non_null(out);
    for (size_t i = 0; i < count; i++)
        out[i] = ((float)next_random(&seed) / 0x1p23f - 1) * span;
    return out;
}

/* ---- soft-max -------------------------------------------------------------------------- */

static void check_exp(const nnd_ops_kernels *table, size_t count, float span)
{
    float *src = numbers(count, span, (uint32_t)count);
    if (count > 3) src[2] = -INFINITY;
    const float top = reference->top_f32(src, count);
    assert_float_equal(table->top_f32(src, count), top, 0);
    block got = blank(4 * count), want = blank(4 * count);
    const double expected = reference->exp_f32((float *)(void *)want.data, src, count, top);
    const double sum = table->exp_f32((float *)(void *)got.data, src, count, top);
    assert_equal(got, want, "exponentials", table->name, count);
    assert_memory_equal(&sum, &expected, sizeof(sum));
    const double in_place = table->exp_f32(src, src, count, top);
    assert_memory_equal(src, want.data, 4 * count);
    assert_memory_equal(&in_place, &expected, sizeof(sum));
    free(src);
    free(got.data);
    free(want.data);
}

static void test_exp(void **state)
{
    (void)state;
    const nnd_ops_kernels *tables[4];
    const int count = vector_tables(tables);
    for (int t = 0; t < count; t++)
        for (size_t n = 1; n; n = next_count(n)) {
            check_exp(tables[t], n, 5);
            check_exp(tables[t], n, 60); /* some of which e^x is denormal or 0 */
            check_exp(tables[t], n, 3e38f);
        }
}

/* Less than the distance of two floats from the exact value, the sum from that of the C library. */
static void test_exp_accuracy(void **state)
{
    (void)state;
    enum { COUNT = 50000 };
    float *src = numbers(COUNT, 45, 11), *e = malloc(COUNT * sizeof(float));
    assert_non_null(e);
    const float top = reference->top_f32(src, COUNT);
    const double sum = reference->exp_f32(e, src, COUNT, top);
    double exact = 0;
    for (size_t i = 0; i < COUNT; i++) {
        const double want = exp((double)(src[i] - top));
        assert_true(fabs(e[i] - want) <= fmax(want * 0x1p-23, 0x1p-149));
        exact += want;
    }
    assert_true(fabs(sum - exact) <= exact * 0x1p-23);
    free(src);
    free(e);
}

static void check_top(const nnd_ops_kernels *table, size_t count)
{
    float *src = numbers(count, 9, (uint32_t)count);
    for (size_t at = 0; at < count; at++) {
        const float kept = src[at];
        src[at] = 10;
        assert_float_equal(table->top_f32(src, count), 10, 0);
        src[at] = INFINITY;
        assert_true(isinf(table->top_f32(src, count)));
        src[at] = NAN;
        assert_true(isnan(table->top_f32(src, count)));
        src[at] = kept;
    }
    for (size_t i = 0; i < count; i++)
        src[i] = -INFINITY;
    assert_true(table->top_f32(src, count) < 0 && isinf(table->top_f32(src, count)));
    free(src);
}

static void test_top(void **state)
{
    (void)state;
    const nnd_ops_kernels *tables[4];
    const int count = vector_tables(tables);
    for (size_t n = 1; n; n = next_count(n)) {
        for (int t = 0; t < count; t++)
            check_top(tables[t], n);
        check_top(reference, n);
    }
}

/* The operator: shares that sum to 1, the same in every instruction set. */
static void test_softmax_rows(void **state)
{
    (void)state;
    for (int64_t row = 1; row < 70; row++) {
        float *src = numbers(3 * (size_t)row, 12, (uint32_t)row), *first = NULL;
        const int64_t dims[] = {3, row};
        FOR_EACH_ISA
        {
            float *shares = malloc(3 * (size_t)row * sizeof(float));
            assert_non_null(shares);
            nnd_tensor from, to;
            assert_ok(nnd_tensor_init(&from, NND_F32, 2, dims, src));
            assert_ok(nnd_tensor_init(&to, NND_F32, 2, dims, shares));
            assert_ok(nnd_softmax(&to, &from));
            for (int64_t y = 0; y < 3; y++) {
                const float *in = src + y * row, *out = shares + y * row;
                const double top = reference->top_f32(in, (size_t)row);
                double sum = 0, all = 0;
                for (int64_t x = 0; x < row; x++)
                    all += exp(in[x] - top);
                for (int64_t x = 0; x < row; x++) {
                    const double want = exp(in[x] - top) / all;
                    const double bound = (6 + top - in[x] + log((double)row)) * 0x1p-24;
                    assert_true(fabs(out[x] - want) <= want * bound);
                    sum += out[x];
                }
                assert_float_equal(sum, 1, 1e-6);
            }
            if (first)
                assert_memory_equal(shares, first, 3 * (size_t)row * sizeof(float));
            else
                first = shares;
            if (first != shares) free(shares);
        }
        free(first);
        free(src);
    }
}

/* ---- boxes ----------------------------------------------------------------------------- */

static void check_touching(const nnd_ops_kernels *table, size_t count, float side)
{
    uint32_t seed = (uint32_t)count;
    nnd_box_columns boxes = {
        numbers(count, 50, 1), numbers(count, 50, 2),           numbers(count, 5, 3),
        numbers(count, 5, 4),  malloc(count * sizeof(int32_t)), count};
    assert_non_null(boxes.class_id);
    for (size_t i = 0; i < count; i++) {
        boxes.x2[i] = floorf(boxes.x2[i] + boxes.x1[i]); /* some have no area, some share a side */
        boxes.y2[i] = floorf(boxes.y2[i] + boxes.y1[i]);
        boxes.class_id[i] = (int32_t)(next_random(&seed) % 3) - 1;
    }
    for (int round = 0; round < 20; round++) {
        const float x = (float)(next_random(&seed) % 100) - 50,
                    y = (float)(next_random(&seed) % 100) - 50;
        const float box[4] = {x, y, x + side, y + side};
        const int32_t class_id = round % 4 - 1;
        for (size_t from = 0; from <= count; from++) {
            const size_t found = table->touching(&boxes, from, box, class_id);
            assert_int_equal(found, reference->touching(&boxes, from, box, class_id));
            assert_true(found >= from && found <= count);
            from = found; /* and from the one behind it */
        }
    }
    free(boxes.x1);
    free(boxes.y1);
    free(boxes.x2);
    free(boxes.y2);
    free(boxes.class_id);
}

static void test_touching(void **state)
{
    (void)state;
    const nnd_ops_kernels *tables[4];
    const int count = vector_tables(tables);
    for (int t = 0; t < count; t++)
        for (size_t n = 1; n; n = next_count(n)) {
            check_touching(tables[t], n, 8);
            check_touching(tables[t], n, 60);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp),      cmocka_unit_test(test_exp_accuracy),
        cmocka_unit_test(test_top),      cmocka_unit_test(test_softmax_rows),
        cmocka_unit_test(test_touching),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
