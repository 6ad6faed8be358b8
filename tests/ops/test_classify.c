/* Soft-max, best classes and label files. */
#include <math.h>

#include "ops/ops_support.h"
#include "support/oom.h"

static nnd_tensor vector(int64_t count, float *data)
{
    nnd_tensor t;
    const int64_t dims[] = {1, count};
    assert_ok(nnd_tensor_init(&t, NND_F32, 2, dims, data));
    return t;
}

/* ---- soft-max ---- */

static void test_softmax(void **state)
{
    (void)state;
    float data[] = {1, 2, 3, 1000, 1001, 1002}, out[6];
    const int64_t dims[] = {2, 3};
    nnd_tensor src, dst;
    assert_ok(nnd_tensor_init(&src, NND_F32, 2, dims, data));
    assert_ok(nnd_tensor_init(&dst, NND_F32, 2, dims, out));
    assert_ok(nnd_softmax(&dst, &src));
    const double sum = exp(-2.0) + exp(-1.0) + 1;
    for (int i = 0; i < 6; i++)
        assert_float_equal(out[i], exp(i % 3 - 2.0) / sum, 1e-6);
    assert_ok(nnd_softmax(&src, &src)); /* in place */
    assert_memory_equal(data, out, sizeof(out));
}

static void test_softmax_extremes(void **state)
{
    (void)state;
    float low[] = {-INFINITY, -INFINITY}, high[] = {1, INFINITY, INFINITY, -5};
    float far[] = {-3.4e38f, 3.4e38f}, bad[] = {1, NAN, 2};
    nnd_tensor t = vector(2, low);
    assert_ok(nnd_softmax(&t, &t));
    assert_float_equal(low[0], 0.5, 0);
    t = vector(4, high);
    assert_ok(nnd_softmax(&t, &t));
    assert_float_equal(high[1], 0.5, 0);
    assert_float_equal(high[0], 0, 0);
    t = vector(2, far);
    assert_ok(nnd_softmax(&t, &t));
    assert_float_equal(far[1], 1, 0);
    t = vector(3, bad);
    assert_ok(nnd_softmax(&t, &t));
    assert_true(isnan(bad[0]) && isnan(bad[2]));
}

static void test_softmax_arguments(void **state)
{
    (void)state;
    float a[4] = {0}, b[4];
    nnd_tensor x = vector(4, a), y = vector(3, b), z = vector(4, b);
    assert_status(nnd_softmax(&y, &x), NND_E_SHAPE);
    assert_status(nnd_softmax(&z, NULL), NND_E_INVALID_ARGUMENT);
    z.dtype = NND_I32;
    assert_status(nnd_softmax(&z, &x), NND_E_TYPE);
    const int64_t none[] = {3, 0};
    assert_ok(nnd_tensor_init(&x, NND_F32, 2, none, a));
    assert_ok(nnd_softmax(&x, &x)); /* nothing to do */
}

/* ---- best classes ---- */

static void test_top_k(void **state)
{
    (void)state;
    float data[] = {0.5f, 2, NAN, 2, -1, 0.5f};
    const char *labels[] = {"zero", "one", "two"};
    nnd_tensor t = vector(6, data);
    nnd_value *value;
    assert_ok(nnd_top_k(&t, 10, false, labels, 3, &value));
    const nnd_classes *c = nnd_value_classes(value);
    static const int order[] = {1, 3, 0, 5, 4, 2}; /* ties by index, NaN last */
    assert_int_equal(c->count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(c->items[i].class_id, order[i]);
    assert_string_equal(c->items[0].label, "one");
    assert_null(c->items[1].label);
    nnd_value_unref(value);

    float logits[] = {0, (float)log(3.0)};
    const int64_t dims[] = {1, 1, 2, 1};
    assert_ok(nnd_tensor_init(&t, NND_F32, 4, dims, logits));
    assert_ok(nnd_top_k(&t, 1, true, NULL, 0, &value));
    c = nnd_value_classes(value);
    assert_int_equal(c->count, 1);
    assert_int_equal(c->items[0].class_id, 1);
    assert_float_equal(c->items[0].score, 0.75f, 1e-6);
    assert_float_equal(logits[0], 0, 0); /* the input stays */
    nnd_value_unref(value);
}

static void test_top_k_arguments(void **state)
{
    (void)state;
    float data[6] = {0};
    nnd_tensor t = vector(6, data);
    nnd_value *value = NULL;
    const int64_t matrix[] = {2, 3}, empty[] = {0};
    assert_status(nnd_top_k(&t, 0, false, NULL, 0, &value), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_top_k(&t, 1, false, NULL, 2, &value), NND_E_INVALID_ARGUMENT);
    assert_ok(nnd_tensor_init(&t, NND_F32, 2, matrix, data));
    assert_status(nnd_top_k(&t, 1, false, NULL, 0, &value), NND_E_SHAPE);
    assert_ok(nnd_tensor_init(&t, NND_F32, 1, empty, data));
    assert_status(nnd_top_k(&t, 1, false, NULL, 0, &value), NND_E_SHAPE);
    assert_ok(nnd_tensor_init(&t, NND_U8, 1, matrix, data));
    assert_status(nnd_top_k(&t, 1, false, NULL, 0, &value), NND_E_TYPE);
    assert_null(value);
}

/* ---- labels ---- */

static void check_labels(const char *text, size_t count, const char *const *expected)
{
    char **labels;
    size_t got;
    assert_ok(nnd_labels_parse(text, strlen(text), &labels, &got));
    assert_int_equal(got, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(labels[i], expected[i]);
    nnd_labels_free(labels, got);
}

static void test_labels(void **state)
{
    (void)state;
    check_labels("", 0, NULL);
    check_labels("\n\r\n\n", 0, NULL);
    check_labels("cat", 1, (const char *const[]){"cat"});
    check_labels("cat\r\ndog\r\n\r\n\n", 2, (const char *const[]){"cat", "dog"});
    check_labels("a\n\nb c\n", 3, (const char *const[]){"a", "", "b c"});
    check_labels("\xEF\xBB\xBFn\xC3\xA4he\n\xE7\x8C\xAB", 2,
                 (const char *const[]){"n\xC3\xA4he", "\xE7\x8C\xAB"});
}

static void test_bad_labels(void **state)
{
    (void)state;
    char **labels = NULL;
    size_t count;
    assert_status(nnd_labels_parse("a\xFF", 2, &labels, &count), NND_E_FORMAT);
    assert_status(nnd_labels_parse("a\0b", 3, &labels, &count), NND_E_FORMAT);
    assert_status(nnd_labels_parse(NULL, 3, &labels, &count), NND_E_INVALID_ARGUMENT);
    assert_null(labels);
    nnd_labels_free(NULL, 0);
}

/* ---- out of memory ---- */

static nnd_status classify_once(const nnd_tensor *scores)
{
    static const char text[] = "zero\none\ntwo";
    char **labels;
    size_t count;
    nnd_value *value;
    NND_TRY(nnd_labels_parse(text, sizeof(text) - 1, &labels, &count));
    const nnd_status status =
        nnd_top_k(scores, 3, true, (const char *const *)labels, count, &value);
    nnd_labels_free(labels, count);
    if (status == NND_OK) nnd_value_unref(value);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    float data[] = {1, 2, 3, 4};
    nnd_tensor t = vector(4, data);
    long tries = 0;
    oom_begin();
    for (bool hit = true; hit; tries++) {
        oom_fail_after(tries);
        const nnd_status status = classify_once(&t);
        hit = oom_hit();
        oom_never();
        assert_int_equal(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), 0);
    }
    oom_end();
    assert_true(tries > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_softmax),           cmocka_unit_test(test_softmax_extremes),
        cmocka_unit_test(test_softmax_arguments), cmocka_unit_test(test_top_k),
        cmocka_unit_test(test_top_k_arguments),   cmocka_unit_test(test_labels),
        cmocka_unit_test(test_bad_labels),        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
