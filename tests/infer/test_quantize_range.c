/* Ranges, scales and integers of the quantiser against numbers worked out by hand. */
#include "infer_support.h"

#include "infer/quantize/range.h"

#include <math.h>

static nnd_observer observed(const float *values, size_t n)
{
    nnd_observer o = {0};
    assert_ok(nnd_observer_add(&o, values, n, true));
    return o;
}

static void min_max_is_what_was_seen_and_zero(void **state)
{
    (void)state;
    nnd_observer o = {0};
    assert_float_equal(nnd_observer_min_max(&o).high, 0, 0);
    assert_ok(nnd_observer_add(&o, (const float[]){2, 3}, 2, false));
    assert_null(o.bins);
    nnd_range r = nnd_observer_min_max(&o);
    assert_float_equal(r.low, 0, 0);
    assert_float_equal(r.high, 3, 0);
    assert_ok(nnd_observer_add(&o, (const float[]){-7, 1}, 2, false));
    r = nnd_observer_min_max(&o);
    assert_float_equal(r.low, -7, 0);
    assert_float_equal(r.high, 3, 0);
    assert_int_equal(o.count, 4);
    assert_fails(nnd_observer_add(&o, (const float[]){0, NAN}, 2, true), NND_E_FORMAT, "element 1",
                 "NaN");
    assert_fails(nnd_observer_add(&o, (const float[]){-INFINITY}, 1, true), NND_E_FORMAT,
                 "infinite");
    assert_int_equal(o.count, 4);
    nnd_observer_fini(&o);
}

/* Bins have the same counts whatever came first. */
static void order_does_not_count(void **state)
{
    (void)state;
    enum { N = 5000 };
    static float values[N];
    uint32_t seed = 7;
    for (int i = 0; i < N; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = ldexpf((float)(int32_t)seed, (int)(seed >> 8 & 15u) - 38);
    }
    nnd_observer up = {0}, down = {0};
    for (int i = 0; i < N; i++) {
        assert_ok(nnd_observer_add(&up, &values[i], 1, true));
        assert_ok(nnd_observer_add(&down, &values[N - 1 - i], 1, true));
    }
    assert_float_equal(up.limit, down.limit, 0);
    assert_memory_equal(up.bins, down.bins, 2 * NND_RANGE_BINS * sizeof *up.bins);
    uint64_t total = up.zeros;
    for (int i = 0; i < 2 * NND_RANGE_BINS; i++)
        total += up.bins[i];
    assert_int_equal(total, N);
    nnd_observer_fini(&up);
    nnd_observer_fini(&down);
}

/* 0, 1, … 999 with a limit of 1024: bins of a half. */
static void percentiles_cut_the_ends_off(void **state)
{
    (void)state;
    float values[1000];
    for (int i = 0; i < 1000; i++)
        values[i] = (float)i;
    nnd_observer o = observed(values, 1000);
    assert_float_equal(o.limit, 1024, 0);
    assert_int_equal(o.zeros, 1);
    nnd_range r = nnd_observer_percentile(&o, 100);
    assert_float_equal(r.high, 999, 0);
    /* One in a hundred: 990 … 999 go, and the bin of 989 ends at 989.5. */
    r = nnd_observer_percentile(&o, 99);
    assert_float_equal(r.low, 0, 0);
    assert_float_equal(r.high, 989.5, 0);
    nnd_observer_fini(&o);
    /* Both ends share: 5 of 1000 go on each side. */
    for (int i = 0; i < 1000; i++)
        values[i] = (float)i - 499.5f;
    o = observed(values, 1000);
    r = nnd_observer_percentile(&o, 99);
    assert_float_equal(r.low, -494.75, 0);
    assert_float_equal(r.high, 494.75, 0);
    nnd_observer_fini(&o);
}

/* 128 bins, full and nearly empty in turns, and one value far away: levels of one bin each lose
   nothing but that value, levels wide enough for it lose the turns. */
static void entropy_leaves_a_lonely_value_out(void **state)
{
    (void)state;
    enum { LEVELS = 128, EACH = 505 };
    static float values[LEVELS * EACH + 1];
    size_t n = 0;
    for (int level = 0; level < LEVELS; level++)
        for (int i = 0; i < (level % 2 ? 10 : 2 * EACH - 10); i++)
            values[n++] = ((float)level + 0.5f) / 1024;
    assert_int_equal(n, LEVELS * EACH);
    values[n] = 1.5f;
    nnd_observer o = observed(values, LEVELS * EACH + 1);
    assert_float_equal(o.limit, 2, 0);
    nnd_range r;
    assert_ok(nnd_observer_entropy(&o, LEVELS, &r));
    assert_float_equal(r.low, 0, 0);
    assert_float_equal(r.high, 0.125, 1e-12);
    nnd_observer_fini(&o);
    /* Without it all stays. */
    o = observed(values, LEVELS * EACH);
    assert_ok(nnd_observer_entropy(&o, LEVELS, &r));
    assert_float_equal(r.high, 127.5 / 1024, 1e-12);
    nnd_observer_fini(&o);
    /* Nothing but zeros has no range. */
    o = observed((const float[]){0, 0}, 2);
    assert_ok(nnd_observer_entropy(&o, LEVELS, &r));
    assert_float_equal(r.high, 0, 0);
    nnd_observer_fini(&o);
}

/* 10000 values of up to 1, evenly, and a single 4: a range of 4 rounds each with a square error of
   16 times that of a range of 1, all in all (4² − 1²)·10000/255²/12 = 0.19 more; without the single
   value it is off by 3, squared 9. With a hundred times the values the cut pays. */
static void least_squares_weigh_rounding_against_clipping(void **state)
{
    (void)state;
    enum { FEW = 10000, MANY = 1000000 };
    float *values = nnd_alloc((MANY + 1) * sizeof *values);
    assert_non_null(values);
    values[0] = 4;
    for (int i = 1; i <= MANY; i++)
        values[i] = (float)(i % 1000 + 1) / 1000;
    nnd_observer o = observed(values, FEW + 1);
    nnd_range r;
    assert_ok(nnd_observer_mse(&o, false, &r));
    assert_true(r.high > 3.8 && r.high <= 4);
    nnd_observer_fini(&o);
    o = observed(values, MANY + 1);
    assert_ok(nnd_observer_mse(&o, false, &r));
    assert_true(r.low == 0 && r.high >= 1 && r.high < 2.5);
    /* Around zero the unused side costs nothing but levels. */
    assert_ok(nnd_observer_mse(&o, true, &r));
    assert_true(r.low == 0 && r.high >= 1 && r.high < 2.5);
    nnd_observer_fini(&o);
    nnd_free(values);
    /* Zeros, and one value alone. */
    o = observed((const float[]){0, 0}, 2);
    assert_ok(nnd_observer_mse(&o, false, &r));
    assert_float_equal(r.high, 0, 0);
    nnd_observer_fini(&o);
    o = observed((const float[]){-3}, 1);
    assert_ok(nnd_observer_mse(&o, false, &r));
    assert_float_equal(r.low, -3, 0.01);
    assert_float_equal(r.high, 0, 0);
    nnd_observer_fini(&o);
}

static void scales_hold_their_range(void **state)
{
    (void)state;
    nnd_scale s = nnd_scale_u8((nnd_range){0, 510});
    assert_float_equal(s.scale, 2, 0);
    assert_int_equal(s.zero, 0);
    s = nnd_scale_u8((nnd_range){-51, 204});
    assert_float_equal(s.scale, 1, 0);
    assert_int_equal(s.zero, 51);
    s = nnd_scale_u8((nnd_range){-255, 0});
    assert_int_equal(s.zero, 255);
    s = nnd_scale_u8((nnd_range){0, 0});
    assert_float_equal(s.scale, 1, 0);
    assert_int_equal(s.zero, 0);
    s = nnd_scale_s8((nnd_range){-254, 100});
    assert_float_equal(s.scale, 2, 0);
    assert_int_equal(s.zero, 0);
}

static void weights_have_a_scale_per_channel(void **state)
{
    (void)state;
    /* [2 outer, 2 channels, 2 inner] */
    const float w[8] = {127, -1, 0, 0, 63.5f, 2.5f, 0, 0};
    float scales[2] = {0};
    int8_t q[8];
    nnd_quantize_weights(w, 2, 2, 2, 127, scales, q);
    assert_float_equal(scales[0], 1, 0);
    assert_float_equal(scales[1], 1, 0); /* nothing but zeros: any will do */
    /* To nearest, ties to even. */
    const int8_t expected[8] = {127, -1, 0, 0, 64, 2, 0, 0};
    assert_memory_equal(q, expected, 8);
    /* Seven bits; and a scale that somebody else needs larger. */
    scales[0] = 0;
    scales[1] = 4;
    nnd_quantize_weights((const float[]){63, -126, 8, -8}, 1, 2, 2, 63, scales, q);
    assert_float_equal(scales[0], 2, 0);
    assert_float_equal(scales[1], 4, 0);
    const int8_t seven[4] = {32, -63, 2, -2};
    assert_memory_equal(q, seven, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(min_max_is_what_was_seen_and_zero),
        cmocka_unit_test(order_does_not_count),
        cmocka_unit_test(percentiles_cut_the_ends_off),
        cmocka_unit_test(entropy_leaves_a_lonely_value_out),
        cmocka_unit_test(least_squares_weigh_rounding_against_clipping),
        cmocka_unit_test(scales_hold_their_range),
        cmocka_unit_test(weights_have_a_scale_per_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
