/*
 * The part of cmocka's interface that our tests use, in one header, for builds where cmocka is not
 * at hand (cross compilers). Same names, same "[  PASSED  ] N test(s)." lines. One test at a time;
 * a failed assertion in a helper thread ends the program.
 */
#ifndef NND_TEST_LITE_H
#define NND_TEST_LITE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void (*CMUnitTestFunction)(void **state);
typedef int (*CMFixtureFunction)(void **state);

struct CMUnitTest {
    const char *name;
    CMUnitTestFunction test_func;
    CMFixtureFunction setup_func;
    CMFixtureFunction teardown_func;
    void *initial_state;
};

enum { LITE_PASSED = 0, LITE_FAILED = 1, LITE_SKIPPED = 2 };

static jmp_buf lite_jump;
static _Thread_local bool lite_armed;

#if defined(__GNUC__)
__attribute__((noreturn))
#endif
static inline void
lite_leave(int result)
{
    fflush(NULL);
    if (!lite_armed) exit(1);
    longjmp(lite_jump, result);
}

#define lite_check(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "\n%s:%d: error: Failure!\n", __FILE__, __LINE__);                     \
            lite_leave(LITE_FAILED);                                                               \
        }                                                                                          \
    } while (0)

#define cmocka_unit_test(f)                                                                        \
    {                                                                                              \
#f, f, NULL, NULL, NULL                                                                    \
    }
#define cmocka_unit_test_setup(f, setup)                                                           \
    {                                                                                              \
#f, f, setup, NULL, NULL                                                                   \
    }
#define cmocka_unit_test_teardown(f, finish)                                                       \
    {                                                                                              \
#f, f, NULL, finish, NULL                                                                  \
    }
#define cmocka_unit_test_setup_teardown(f, setup, finish)                                          \
    {                                                                                              \
#f, f, setup, finish, NULL                                                                 \
    }
#define cmocka_unit_test_prestate(f, state)                                                        \
    {                                                                                              \
#f, f, NULL, NULL, state                                                                   \
    }
#define cmocka_unit_test_prestate_setup_teardown(f, setup, finish, state)                          \
    {                                                                                              \
#f, f, setup, finish, state                                                                \
    }

#define fail()             lite_check(false, "fail()")
#define fail_msg(...)      lite_check(false, __VA_ARGS__)
#define skip()             lite_leave(LITE_SKIPPED)
#define print_message(...) printf(__VA_ARGS__)
#define print_error(...)   fprintf(stderr, __VA_ARGS__)

#define lite_int(a)     ((unsigned long long)(a))
#define assert_true(c)  lite_check(!!(c), "%s", #c)
#define assert_false(c) lite_check(!(c), "!(%s)", #c)
#define assert_int_equal(a, b)                                                                     \
    lite_check(lite_int(a) == lite_int(b), "%s: 0x%llx != 0x%llx", #a, lite_int(a), lite_int(b))
#define assert_int_not_equal(a, b)                                                                 \
    lite_check(lite_int(a) != lite_int(b), "%s: both 0x%llx", #a, lite_int(a))
#define assert_null(p)     lite_check((p) == NULL, "%s is not NULL", #p)
#define assert_non_null(p) lite_check((p) != NULL, "%s is NULL", #p)
#define assert_ptr_equal(a, b)                                                                     \
    lite_check((const void *)(a) == (const void *)(b), "%s != %s", #a, #b)
#define assert_ptr_not_equal(a, b)                                                                 \
    lite_check((const void *)(a) != (const void *)(b), "%s == %s", #a, #b)
#define assert_string_equal(a, b)                                                                  \
    lite_check(strcmp((a), (b)) == 0, "\"%s\" != \"%s\"", (const char *)(a), (const char *)(b))
#define assert_string_not_equal(a, b)                                                              \
    lite_check(strcmp((a), (b)) != 0, "both \"%s\"", (const char *)(a))
#define assert_memory_equal(a, b, n)                                                               \
    lite_check(memcmp((a), (b), (n)) == 0, "%s and %s differ", #a, #b)
#define assert_memory_not_equal(a, b, n)                                                           \
    lite_check(memcmp((a), (b), (n)) != 0, "%s and %s are equal", #a, #b)
#define assert_in_range(v, low, high)                                                              \
    lite_check(lite_int(v) >= lite_int(low) && lite_int(v) <= lite_int(high),                      \
               "%s: %llu is not within %llu..%llu", #v, lite_int(v), lite_int(low),                \
               lite_int(high))
#define assert_not_in_range(v, low, high)                                                          \
    lite_check(lite_int(v) < lite_int(low) || lite_int(v) > lite_int(high),                        \
               "%s: %llu is within %llu..%llu", #v, lite_int(v), lite_int(low), lite_int(high))
static inline double lite_distance(double a, double b)
{
    return a < b ? b - a : a - b;
}
#define assert_float_equal(a, b, epsilon)                                                          \
    lite_check((a) == (b) || lite_distance((double)(a), (double)(b)) <= (double)(epsilon),         \
               "%s: %.9g != %.9g", #a, (double)(a), (double)(b))
#define assert_float_not_equal(a, b, epsilon)                                                      \
    lite_check(lite_distance((double)(a), (double)(b)) > (double)(epsilon), "%s: both %.9g", #a,   \
               (double)(a))
#define assert_return_code(rc, error)                                                              \
    lite_check((rc) >= 0, "%s: %lld, error %d", #rc, (long long)(rc), (int)(error))

static inline int lite_run_one(const struct CMUnitTest *test, void *group_state)
{
    void *state = test->initial_state ? test->initial_state : group_state;
    if (test->setup_func && test->setup_func(&state) != 0) return LITE_FAILED;
    lite_armed = true;
    /* Only the switch statement's controlling expression may hold setjmp portably. */
    switch (setjmp(lite_jump)) {
    case 0:
        test->test_func(&state);
        lite_armed = false;
        if (test->teardown_func && test->teardown_func(&state) != 0) return LITE_FAILED;
        return LITE_PASSED;
    case LITE_SKIPPED:
        lite_armed = false;
        return LITE_SKIPPED;
    default:
        lite_armed = false;
        return LITE_FAILED;
    }
}

static inline int lite_run(const char *group, const struct CMUnitTest *tests, size_t count,
                           CMFixtureFunction setup, CMFixtureFunction teardown)
{
    static const char *const labels[] = {"[       OK ]", "[  FAILED  ]", "[  SKIPPED ]"};
    size_t totals[3] = {0};
    void *state = NULL;
    printf("[==========] Running %zu test(s) from %s.\n", count, group);
    if (setup && setup(&state) != 0) {
        fprintf(stderr, "[  FAILED  ] GROUP SETUP\n");
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        printf("[ RUN      ] %s\n", tests[i].name);
        fflush(stdout);
        int result = lite_run_one(&tests[i], state);
        totals[result]++;
        printf("%s %s\n", labels[result], tests[i].name);
    }
    if (teardown && teardown(&state) != 0) totals[LITE_FAILED]++;
    printf("[==========] %zu test(s) run.\n[  PASSED  ] %zu test(s).\n", count,
           totals[LITE_PASSED]);
    if (totals[LITE_SKIPPED]) printf("[  SKIPPED ] %zu test(s).\n", totals[LITE_SKIPPED]);
    if (totals[LITE_FAILED]) printf("[  FAILED  ] %zu test(s).\n", totals[LITE_FAILED]);
    fflush(stdout);
    return (int)totals[LITE_FAILED];
}

#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    lite_run(#tests, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                  \
    lite_run(name, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

#endif
