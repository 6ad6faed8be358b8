/* Edge policies. A join whose second input has not come yet holds the first one's edge full. */
#include "port/port.h"
#include "workflow/support.h"

/* x goes through `settings` into the join; z is pushed later. */
#define T_JOIN(settings)                                                                           \
    "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'},"                       \
    "{'name':'z','type':'int'}],'outputs':[{'name':'y','from':['c','out']}],"                      \
    "'nodes':[{'id':'c','type':'t.add'}],'edges':[{'from':['@','x'],'to':['c','a']" settings "},"  \
    "{'from':['@','z'],'to':['c','b'],'queue':100}]}"

/* Pushes 0 … 9 to x, then ten times 0 to z; the results are what the policy let through. */
static void expect_kept(const char *text, const int64_t *kept, size_t count)
{
    nnd_plan *plan = t_compile(text);
    nnd_run *run = t_run(plan);
    for (int i = 0; i < 10; i++)
        assert_ok(t_push(run, "x", i));
    for (int i = 0; i < 10; i++)
        assert_ok(t_push(run, "z", 0));
    assert_ok(nnd_run_drain(run));
    for (size_t i = 0; i < count; i++)
        assert_pops(run, "y", kept[i]);
    int64_t n;
    assert_status(t_pop(run, "y", &n), NND_E_CLOSED);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_drop_oldest(void **state)
{
    (void)state;
    expect_kept(T_JOIN(",'queue':3,'policy':'drop_oldest'"), T_IN(7, 8, 9));
    expect_kept(T_JOIN(",'queue':1,'policy':'drop_oldest'"), T_IN(9));
}

static void test_drop_newest(void **state)
{
    (void)state;
    expect_kept(T_JOIN(",'queue':3,'policy':'drop_newest'"), T_IN(0, 1, 2));
}

static void test_latest(void **state)
{
    (void)state;
    expect_kept(T_JOIN(",'policy':'latest'"), T_IN(9));
}

static void test_block(void **state)
{
    (void)state;
    expect_kept(T_JOIN(",'queue':2"), T_IN(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
}

static void test_fault(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(T_JOIN(",'queue':2,'policy':'fault'"));
    nnd_run *run = t_run(plan);
    assert_ok(t_push(run, "x", 0));
    assert_ok(t_push(run, "x", 1));
    assert_status(t_push(run, "x", 2), NND_E_FULL);
    assert_status(nnd_run_drain(run), NND_E_FULL);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_age(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(T_JOIN(",'queue':20,'age_ms':20"));
    nnd_run *run = t_run(plan);
    for (int i = 0; i < 3; i++)
        assert_ok(t_push(run, "x", i));
    nnd_port_sleep(60000000);
    assert_ok(t_push(run, "x", 3));
    for (int i = 0; i < 4; i++)
        assert_ok(t_push(run, "z", 0));
    assert_ok(nnd_run_drain(run));
    assert_pops(run, "y", 3);
    int64_t n;
    assert_status(t_pop(run, "y", &n), NND_E_CLOSED);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

/* What was dropped is counted, by reason. */
static void test_drops_are_counted(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(T_JOIN(",'queue':3,'policy':'drop_oldest'"));
    nnd_run *run = t_run(plan);
    for (int i = 0; i < 10; i++)
        assert_ok(t_push(run, "x", i));
    nnd_json_writer *w = NULL;
    char *text = NULL;
    assert_ok(nnd_json_writer_create(0, &w));
    assert_ok(nnd_run_stats_to_json(run, w));
    assert_ok(nnd_json_writer_take(w, &text, NULL));
    nnd_json_writer_destroy(w);
    assert_non_null(strstr(text, "\"dropped\":7"));
    nnd_free(text);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

/* A branch that drops does not stall the join behind it, whatever its policy. */
static void test_dropping_branch_and_join(void **state)
{
    (void)state;
    static const char *const policies[] = {"block", "drop_oldest", "drop_newest", "latest"};
    for (size_t i = 0; i < NND_COUNT(policies); i++) {
        char text[2048];
        snprintf(
            text, sizeof(text),
            T_DOC(T_NODE("r", "t.range") "," T_NODE("s", "t.sum") "," T_NODE("c", "t.addopt"),
                  T_EDGE("@", "x", "r", "in") "," T_EDGE_X(
                      "r", "out", "s", "in",
                      "'queue':1,'policy':'%s'") "," T_EDGE("@", "x", "c",
                                                            "a") "," T_EDGE("s", "out", "c", "b"),
                  "c"),
            policies[i]);
        nnd_plan *plan = t_compile(text);
        nnd_run *run = t_run(plan);
        for (int k = 0; k < 20; k++) {
            assert_ok(t_push(run, "x", k % 5));
            assert_pops(run, "y", k % 5 + 1000);
        }
        assert_ok(nnd_run_drain(run));
        nnd_run_destroy(run);
        nnd_plan_unref(plan);
    }
}

/* Reconvergence over paths of different length with capacity 1. */
static void test_reconvergence_with_capacity_one(void **state)
{
    (void)state;
    t_expect(
        T_DOC(
            T_NODE("a", "t.inc") "," T_NODE("b", "t.inc") "," T_NODE("d", "t.inc") "," T_NODE(
                "c", "t.add"),
            T_EDGE_X("@", "x", "a", "in", "'queue':1") "," T_EDGE_X(
                "a", "out", "b", "in",
                "'queue':1") "," T_EDGE_X("b", "out", "d", "in",
                                          "'queue':1") "," T_EDGE_X("d", "out", "c", "b",
                                                                    "'queue':1") "," T_EDGE_X("@",
                                                                                              "x",
                                                                                              "c",
                                                                                              "a",
                                                                                              "'que"
                                                                                              "ue':"
                                                                                              "1"),
            "c"),
        T_IN(1, 2, 3, 4, 5, 6), T_IN(5, 7, 9, 11, 13, 15));
}

static void test_byte_limit_lets_one_packet_pass(void **state)
{
    (void)state;
    t_expect(T_DOC(T_NODE("a", "t.inc"), T_EDGE_X("@", "x", "a", "in", "'bytes':1"), "a"),
             T_IN(1, 2, 3), T_IN(2, 3, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drop_oldest),
        cmocka_unit_test(test_drop_newest),
        cmocka_unit_test(test_latest),
        cmocka_unit_test(test_block),
        cmocka_unit_test(test_fault),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_drops_are_counted),
        cmocka_unit_test(test_dropping_branch_and_join),
        cmocka_unit_test(test_reconvergence_with_capacity_one),
        cmocka_unit_test(test_byte_limit_lets_one_packet_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
