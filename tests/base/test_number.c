/* Numbers ↔ text against the C library, on random bits and at the edges. */
#include "support/test.h"

#include <math.h>

#include "base/number.h"

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint64_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static double read_all(const char *text)
{
    double value = NAN;
    assert_int_equal(nnd_number_read(text, strlen(text), &value), strlen(text));
    return value;
}

static void test_random_doubles(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = draw();
        double value;
        char text[NND_NUMBER_TEXT], wide[40];
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value)) continue;
        size_t size = nnd_number_write(value, text);
        assert_int_equal(size, strlen(text));
        assert_true(read_all(text) == value);
        assert_true(strtod(text, NULL) == value);
        /* Never longer than the shortest %.{p}e that reads back. */
        int precision = 0;
        do {
            snprintf(wide, sizeof(wide), "%.*e", precision, value);
        } while (strtod(wide, NULL) != value && precision++ < 17);
        int digits = 0;
        for (const char *at = text; *at && *at != 'e'; at++)
            digits += *at >= '0' && *at <= '9';
        if (fabs(value) >= 1e21 || fabs(value) < 1e-6) assert_true(digits <= precision + 1);
        snprintf(wide, sizeof(wide), "%.17g", value);
        assert_true(read_all(wide) == value);
    }
}

/* Decimal texts of many lengths and exponents agree with strtod. */
static void test_random_texts(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[900];
        size_t size = 0, digits = 1 + draw() % (i % 20 == 0 ? 800 : 25);
        text[size++] = (char)('1' + draw() % 9);
        if (digits > 1) text[size++] = '.';
        while (--digits > 0)
            text[size++] = (char)('0' + draw() % 10);
        snprintf(text + size, sizeof(text) - size, "e%d", (int)(draw() % 680) - 340);
        assert_true(read_all(text) == strtod(text, NULL));
    }
}

/* Exactly between two doubles, and one digit to either side. */
static void test_halfway(void **state)
{
    (void)state;
    assert_true(read_all("9007199254740993") == 9007199254740992.0);
    assert_true(read_all("9007199254740993.00000000000000000000000000000000001") ==
                9007199254740994.0);
    assert_true(read_all("9007199254740992.99999999999999999999999999999999999") ==
                9007199254740992.0);
    assert_true(read_all("9007199254740995") == 9007199254740996.0);
    assert_true(read_all("2.4703282292062327208e-324") == 0.0);
    assert_true(read_all("2.4703282292062328e-324") == 5e-324);
    assert_true(read_all("1.7976931348623158e308") == 1.7976931348623157e308);
    assert_true(isinf(read_all("1.7976931348623159e308")));
    assert_true(read_all("2.2250738585072011e-308") == 2.2250738585072011e-308);
    /* A tail far beyond the digits that are kept still decides. */
    char text[1600] = "9007199254740993.";
    size_t size = strlen(text);
    memset(text + size, '0', 1500);
    text[size + 1500] = '\0';
    assert_true(read_all(text) == 9007199254740992.0);
    text[size + 1499] = '1';
    assert_true(read_all(text) == 9007199254740994.0);
}

static void test_floats(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint32_t bits = (uint32_t)draw();
        float value;
        char text[NND_NUMBER_TEXT];
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value)) continue;
        size_t size = nnd_number_write_float(value, text);
        assert_true(size <= 20 || fabsf(value) >= 1e9f);
        assert_true(strtof(text, NULL) == value);
    }
}

static void test_prefixes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t used;
        double value;
    } cases[] = {{"1.", 1, 1},     {"1.x", 1, 1},      {"1e", 1, 1},       {"1e+", 1, 1},
                 {"01", 1, 0},     {"-0.5e1,", 6, -5}, {"12]", 2, 12},     {"1.5.2", 3, 1.5},
                 {"0.10", 4, 0.1}, {"1E2 ", 3, 100},   {"123abc", 3, 123}, {"00.5", 1, 0}};
    double value = 42;
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        assert_int_equal(nnd_number_read(cases[i].text, strlen(cases[i].text), &value),
                         cases[i].used);
        assert_true(value == cases[i].value);
    }
    value = 42;
    static const char *const none[] = {"", "-", "+1", ".5", "e5", "x", "-.5", " 1"};
    for (size_t i = 0; i < NND_COUNT(none); i++)
        assert_int_equal(nnd_number_read(none[i], strlen(none[i]), &value), 0);
    assert_true(value == 42);
    /* The size is obeyed: no look beyond it. */
    assert_int_equal(nnd_number_read("123456", 3, &value), 3);
    assert_true(value == 123);
}

static void test_special(void **state)
{
    (void)state;
    char text[NND_NUMBER_TEXT];
    nnd_number_write(NAN, text);
    assert_string_equal(text, "NaN");
    nnd_number_write(-INFINITY, text);
    assert_string_equal(text, "-Infinity");
    nnd_number_write_int(INT64_MIN, text);
    assert_string_equal(text, "-9223372036854775808");
    nnd_number_write_int(1000, text);
    assert_string_equal(text, "1000");
    assert_true(signbit(read_all("-0")) != 0);
    assert_true(read_all("0e99999999999999999999") == 0);
    assert_true(isinf(read_all("1e99999999999999999999")));
    assert_true(read_all("1e-99999999999999999999") == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_doubles), cmocka_unit_test(test_random_texts),
        cmocka_unit_test(test_halfway),        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_prefixes),       cmocka_unit_test(test_special),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
