/* Element types: names, sizes, every code of every narrow format, conversions. */
#include "support/test.h"

#include <math.h>

#include "data/float_bits.h"
#include "nndeploy/data.h"

static void test_names_and_sizes(void **state)
{
    (void)state;
    for (int i = 1; i < NND_DTYPE_COUNT; i++) {
        assert_int_equal(nnd_dtype_from_name(nnd_dtype_name((nnd_dtype)i)), i);
        assert_true(nnd_dtype_bits((nnd_dtype)i) > 0);
    }
    assert_int_equal(nnd_dtype_from_name("float32"), NND_F32);
    assert_int_equal(nnd_dtype_from_name("uint8"), NND_U8);
    assert_int_equal(nnd_dtype_from_name("nonsense"), NND_DTYPE_INVALID);
    assert_int_equal(nnd_dtype_from_name(NULL), NND_DTYPE_INVALID);
    assert_int_equal(nnd_dtype_bits((nnd_dtype)99), 0);
    size_t bytes;
    assert_ok(nnd_dtype_bytes(NND_I4, 5, &bytes));
    assert_int_equal(bytes, 3);
    assert_ok(nnd_dtype_bytes(NND_U2, 5, &bytes));
    assert_int_equal(bytes, 2);
    assert_ok(nnd_dtype_bytes(NND_C128, 3, &bytes));
    assert_int_equal(bytes, 48);
    assert_status(nnd_dtype_bytes(NND_F32, UINT64_MAX / 2, &bytes), NND_E_OVERFLOW);
    assert_status(nnd_dtype_bytes(NND_DTYPE_INVALID, 1, &bytes), NND_E_TYPE);
}

/* Largest, smallest and special codes, from the format definitions. */
static void test_known_codes(void **state)
{
    (void)state;
    static const struct {
        nnd_dtype dtype;
        uint8_t code;
        double value;
    } known[] = {
        {NND_F8E4M3FN, 0x7e, 448.0},     {NND_F8E4M3FN, 0x01, 0x1p-9},
        {NND_F8E4M3FN, 0x08, 0x1p-6},    {NND_F8E4M3FN, 0x38, 1.0},
        {NND_F8E4M3FNUZ, 0x7f, 240.0},   {NND_F8E4M3FNUZ, 0x01, 0x1p-10},
        {NND_F8E4M3FNUZ, 0x40, 1.0},     {NND_F8E5M2, 0x7b, 57344.0},
        {NND_F8E5M2, 0x01, 0x1p-16},     {NND_F8E5M2, 0x7c, (double)INFINITY},
        {NND_F8E5M2FNUZ, 0x7f, 57344.0}, {NND_F8E5M2FNUZ, 0x01, 0x1p-17},
        {NND_F8E8M0, 0x7f, 1.0},         {NND_F8E8M0, 0x00, 0x1p-127},
        {NND_F8E8M0, 0xfe, 0x1p127},     {NND_F4E2M1, 0x07, 6.0},
        {NND_F4E2M1, 0x01, 0.5},         {NND_F4E2M1, 0x09, -0.5},
        {NND_F4E2M1, 0x05, 3.0},
    };
    for (size_t i = 0; i < NND_COUNT(known); i++)
        assert_true(nnd_dtype_get(known[i].dtype, &known[i].code, 0) == known[i].value);
    uint8_t nan_codes[] = {0x7f, 0x80, 0x7d, 0x80, 0xff};
    assert_true(isnan(nnd_dtype_get(NND_F8E4M3FN, &nan_codes[0], 0)));
    assert_true(isnan(nnd_dtype_get(NND_F8E4M3FNUZ, &nan_codes[1], 0)));
    assert_true(isnan(nnd_dtype_get(NND_F8E5M2, &nan_codes[2], 0)));
    assert_true(isnan(nnd_dtype_get(NND_F8E5M2FNUZ, &nan_codes[3], 0)));
    assert_true(isnan(nnd_dtype_get(NND_F8E8M0, &nan_codes[4], 0)));
}

static const nnd_dtype narrow[] = {NND_F8E4M3FN, NND_F8E4M3FNUZ, NND_F8E5M2, NND_F8E5M2FNUZ};

/* Every code decodes to a number that encodes to the same code. */
static void test_round_trip_of_every_code(void **state)
{
    (void)state;
    for (size_t k = 0; k < NND_COUNT(narrow); k++) {
        for (unsigned code = 0; code < 256; code++) {
            uint8_t in = (uint8_t)code, out = 0;
            double v = nnd_dtype_get(narrow[k], &in, 0);
            nnd_dtype_set(narrow[k], &out, 0, v);
            if (isnan(v)) {
                assert_true(isnan(nnd_dtype_get(narrow[k], &out, 0)));
            } else if (isinf(v)) {
                assert_int_equal(out & 0x7f, 0x7b); /* saturating */
            } else {
                assert_int_equal(out, in);
            }
        }
    }
    for (unsigned code = 0; code < 256; code++) {
        uint8_t in = (uint8_t)code, out = 0;
        nnd_dtype_set(NND_F8E8M0, &out, 0, nnd_dtype_get(NND_F8E8M0, &in, 0));
        assert_int_equal(out, in);
        for (size_t half = 0; half < 2; half++)
            nnd_dtype_set(NND_F4E2M1, &out, half, nnd_dtype_get(NND_F4E2M1, &in, half));
        assert_int_equal(out, in);
        static const nnd_dtype packed[] = {NND_I4, NND_U4, NND_I2, NND_U2};
        for (size_t k = 0; k < NND_COUNT(packed); k++) {
            out = 0;
            for (size_t i = 0; i < 8 / nnd_dtype_bits(packed[k]); i++)
                nnd_dtype_set(packed[k], &out, i, nnd_dtype_get(packed[k], &in, i));
            assert_int_equal(out, in);
        }
    }
}

/* Halfway points between neighbours go to the even code, just beside them to the nearer one. */
static void test_rounding_of_float8(void **state)
{
    (void)state;
    for (size_t k = 0; k < NND_COUNT(narrow); k++) {
        for (unsigned code = 0; code < 0x7b; code++) {
            uint8_t low = (uint8_t)code, high = (uint8_t)(code + 1), out;
            double a = nnd_dtype_get(narrow[k], &low, 0), b = nnd_dtype_get(narrow[k], &high, 0);
            double middle = (a + b) / 2.0;
            nnd_dtype_set(narrow[k], &out, 0, middle);
            assert_int_equal(out, code % 2 ? high : low);
            nnd_dtype_set(narrow[k], &out, 0, nextafter(middle, 0.0));
            assert_int_equal(out, low);
            nnd_dtype_set(narrow[k], &out, 0, nextafter(middle, 1e9));
            assert_int_equal(out, high);
        }
    }
}

static void test_saturation(void **state)
{
    (void)state;
    static const struct {
        nnd_dtype dtype;
        double largest;
    } limits[] = {{NND_F8E4M3FN, 448.0},
                  {NND_F8E4M3FNUZ, 240.0},
                  {NND_F8E5M2, 57344.0},
                  {NND_F8E5M2FNUZ, 57344.0},
                  {NND_F4E2M1, 6.0}};
    for (size_t i = 0; i < NND_COUNT(limits); i++) {
        static const double big[] = {1e6, 1e300, (double)INFINITY};
        for (size_t k = 0; k < NND_COUNT(big); k++) {
            uint8_t code = 0;
            nnd_dtype_set(limits[i].dtype, &code, 0, big[k]);
            assert_true(nnd_dtype_get(limits[i].dtype, &code, 0) == limits[i].largest);
            nnd_dtype_set(limits[i].dtype, &code, 0, -big[k]);
            assert_true(nnd_dtype_get(limits[i].dtype, &code, 0) == -limits[i].largest);
        }
    }
    uint8_t code;
    nnd_dtype_set(NND_F8E4M3FNUZ, &code, 0, -0.0);
    assert_int_equal(code, 0); /* no negative zero */
    nnd_dtype_set(NND_F8E4M3FN, &code, 0, -0.0);
    assert_int_equal(code, 0x80);
    nnd_dtype_set(NND_F8E8M0, &code, 0, -3.0);
    assert_int_equal(code, 0xff);
    nnd_dtype_set(NND_F8E8M0, &code, 0, 3.0);
    assert_int_equal(code, 0x81); /* a tie rounds up to 4 */
    nnd_dtype_set(NND_F8E8M0, &code, 0, 2.99);
    assert_int_equal(code, 0x80);
    int8_t i8;
    nnd_dtype_set(NND_I8, &i8, 0, 1000.0);
    assert_int_equal(i8, 127);
    nnd_dtype_set(NND_I8, &i8, 0, -1000.0);
    assert_int_equal(i8, -128);
    nnd_dtype_set(NND_I8, &i8, 0, 2.5);
    assert_int_equal(i8, 2); /* to even */
    uint8_t u8;
    nnd_dtype_set(NND_U8, &u8, 0, -3.0);
    assert_int_equal(u8, 0);
    uint64_t u64;
    nnd_dtype_set(NND_U64, &u64, 0, 1e30);
    assert_true(u64 == UINT64_MAX);
    int64_t i64;
    nnd_dtype_set(NND_I64, &i64, 0, 1e30);
    assert_true(i64 == INT64_MAX);
    nnd_dtype_set(NND_I64, &i64, 0, (double)NAN);
    assert_true(i64 == 0);
}

/* All 65536 codes of both 16-bit formats, through the fast and the general conversion. */
static void test_half_codes(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 65536; code++) {
        uint16_t half = (uint16_t)code, slow;
        float f = nnd_f16_to_f32(half), b = nnd_bf16_to_f32(half);
        nnd_dtype_set(NND_F16, &slow, 0, (double)f);
        if (isnan(f)) {
            assert_true(isnan(nnd_f16_to_f32(nnd_f32_to_f16(f))));
            assert_true((slow & 0x7fff) > 0x7c00);
        } else {
            assert_int_equal(nnd_f32_to_f16(f), half);
            assert_int_equal(slow, half);
        }
        nnd_dtype_set(NND_BF16, &slow, 0, (double)b);
        if (isnan(b)) {
            assert_true(isnan(nnd_bf16_to_f32(nnd_f32_to_bf16(b))));
        } else {
            assert_int_equal(nnd_f32_to_bf16(b), half);
            assert_int_equal(slow, half);
        }
    }
}

/* The fast narrowing agrees with the general one on values of all sizes, ties among them. */
static void test_half_rounding(void **state)
{
    (void)state;
    uint32_t bits = 1;
    for (int i = 0; i < 400000; i++) {
        bits = bits * 1664525u + 1013904223u;
        uint32_t pattern = i % 4 == 0 ? bits & 0xfffff000u : i % 4 == 1 ? bits & 0xffff8000u : bits;
        float f = nnd_f32_from_bits(pattern);
        if (isnan(f)) continue;
        uint16_t slow;
        nnd_dtype_set(NND_F16, &slow, 0, (double)f);
        assert_int_equal(nnd_f32_to_f16(f), slow);
        nnd_dtype_set(NND_BF16, &slow, 0, (double)f);
        assert_int_equal(nnd_f32_to_bf16(f), slow);
    }
    assert_int_equal(nnd_f32_to_f16(65519.0f), 0x7bff);
    assert_int_equal(nnd_f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(nnd_f32_to_f16(0x1p-25f), 0);
    assert_int_equal(nnd_f32_to_f16(0x1.000002p-25f), 1);
}

/* Small integers survive every pair of types that can hold them. */
static void test_convert_every_pair(void **state)
{
    (void)state;
    for (int from = 1; from < NND_DTYPE_COUNT; from++) {
        for (int to = 1; to < NND_DTYPE_COUNT; to++) {
            unsigned char a[64] = {0}, b[64] = {0};
            if (from == NND_STRING || to == NND_STRING) {
                assert_status(nnd_dtype_convert((nnd_dtype)from, a, (nnd_dtype)to, b, 1),
                              NND_E_TYPE);
                continue;
            }
            for (size_t i = 0; i < 3; i++)
                nnd_dtype_set((nnd_dtype)from, a, i, i % 2 ? 1.0 : 0.0);
            assert_ok(nnd_dtype_convert((nnd_dtype)from, a, (nnd_dtype)to, b, 3));
            for (size_t i = 0; i < 3; i++) {
                double expected = nnd_dtype_get((nnd_dtype)from, a, i);
                double got = nnd_dtype_get((nnd_dtype)to, b, i);
                if (i % 2) {
                    assert_true(got == 1.0);
                } else if (to == NND_BOOL) {
                    assert_true(got == (expected != 0.0));
                } else {
                    assert_true(fabs(got - expected) < 1e-30);
                }
            }
        }
    }
}

static void test_convert_wide_integers(void **state)
{
    (void)state;
    int64_t big[] = {INT64_MAX, INT64_MIN, (int64_t)1 << 53 | 1, -1};
    uint64_t u64[4];
    int32_t i32[4];
    assert_ok(nnd_dtype_convert(NND_I64, big, NND_U64, u64, 4));
    assert_true(u64[0] == (uint64_t)INT64_MAX && u64[1] == 0 && u64[3] == 0);
    assert_true(u64[2] == ((uint64_t)1 << 53 | 1));
    assert_ok(nnd_dtype_convert(NND_I64, big, NND_I32, i32, 4));
    assert_true(i32[0] == INT32_MAX && i32[1] == INT32_MIN && i32[3] == -1);
    uint64_t above = UINT64_MAX;
    int64_t back;
    assert_ok(nnd_dtype_convert(NND_U64, &above, NND_I64, &back, 1));
    assert_true(back == INT64_MAX);
    /* Rounded once: through double this would become 2^60 exactly halfway and go down. */
    uint64_t tie = ((uint64_t)1 << 60) + ((uint64_t)1 << 36) + 1;
    float f;
    assert_ok(nnd_dtype_convert(NND_U64, &tie, NND_F32, &f, 1));
    assert_true(f == (float)tie);
    assert_true(f == 0x1.000002p60f);
}

static void test_convert_complex(void **state)
{
    (void)state;
    float c64[] = {1.5f, -2.5f, 3.0f, 4.0f};
    double c128[4];
    float real[2];
    assert_ok(nnd_dtype_convert(NND_C64, c64, NND_C128, c128, 2));
    for (int i = 0; i < 4; i++)
        assert_true(c128[i] == (double)c64[i]);
    assert_ok(nnd_dtype_convert(NND_C128, c128, NND_F32, real, 2));
    assert_true(real[0] == 1.5f && real[1] == 3.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_sizes),
        cmocka_unit_test(test_known_codes),
        cmocka_unit_test(test_round_trip_of_every_code),
        cmocka_unit_test(test_rounding_of_float8),
        cmocka_unit_test(test_saturation),
        cmocka_unit_test(test_half_codes),
        cmocka_unit_test(test_half_rounding),
        cmocka_unit_test(test_convert_every_pair),
        cmocka_unit_test(test_convert_wide_integers),
        cmocka_unit_test(test_convert_complex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
