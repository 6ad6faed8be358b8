/* Linear workflows, fan-out and joins, sources, constants, flush, sessions. */
#include "workflow/support.h"

static void test_chain(void **state)
{
    (void)state;
    t_expect(T_DOC(T_NODE("a", "t.inc") "," T_NODE_P("b", "t.mul", "'by':10"),
                   T_EDGE("@", "x", "a", "in") "," T_EDGE("a", "out", "b", "in"), "b"),
             T_IN(1, 2, 3), T_IN(20, 30, 40));
}

static void test_diamond(void **state)
{
    (void)state;
    t_expect(
        T_DOC(T_NODE("a", "t.inc") "," T_NODE_P("b", "t.mul", "'by':10") "," T_NODE("c", "t.add"),
              T_EDGE("@", "x", "a", "in") "," T_EDGE("@", "x", "b", "in") "," T_EDGE(
                  "a", "out", "c", "a") "," T_EDGE("b", "out", "c", "b"),
              "c"),
        T_IN(1, 2, 3), T_IN(12, 23, 34));
}

/* A branch that drops packets does not hold the join up. */
static void test_gap_at_required_input(void **state)
{
    (void)state;
    t_expect(T_DOC(T_NODE_P("f", "t.filter", "'by':2") "," T_NODE("c", "t.add"),
                   T_EDGE("@", "x", "f", "in") "," T_EDGE("@", "x", "c", "a") "," T_EDGE("f", "out",
                                                                                         "c", "b"),
                   "c"),
             T_IN(1, 2, 3, 4), T_IN(4, 8));
}

static void test_gap_at_optional_input(void **state)
{
    (void)state;
    t_expect(T_DOC(T_NODE_P("f", "t.filter", "'by':2") "," T_NODE("c", "t.addopt"),
                   T_EDGE("@", "x", "f", "in") "," T_EDGE("@", "x", "c", "a") "," T_EDGE("f", "out",
                                                                                         "c", "b"),
                   "c"),
             T_IN(1, 2, 3, 4), T_IN(1001, 4, 1003, 8));
}

static void test_many_outputs_per_input(void **state)
{
    (void)state;
    t_expect(
        T_DOC(T_NODE("r", "t.range") "," T_NODE("a", "t.inc"),
              T_EDGE("@", "x", "r", "in") "," T_EDGE("r", "out", "a", "in"), "a"),
        T_IN(3, 0, 2, 20),
        T_IN(1, 2, 3, 1, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20));
}

static void test_flush(void **state)
{
    (void)state;
    t_expect(T_DOC(T_NODE("s", "t.sum") "," T_NODE("a", "t.inc"),
                   T_EDGE("@", "x", "s", "in") "," T_EDGE("s", "out", "a", "in"), "a"),
             T_IN(1, 2, 3), T_IN(7));
}

static void test_constant_meets_every_packet(void **state)
{
    (void)state;
    atomic_store(&t_const_calls, 0);
    t_expect(T_DOC(T_NODE_P("k", "t.const",
                            "'by':100") "," T_NODE("k1", "t.inc") "," T_NODE("c", "t.add"),
                   T_EDGE("k", "out", "k1", "in") "," T_EDGE("@", "x", "c",
                                                             "a") "," T_EDGE("k1", "out", "c", "b"),
                   "c"),
             T_IN(1, 2, 3), T_IN(102, 103, 104));
    assert_int_equal(atomic_load(&t_const_calls), 1);
}

static void test_constant_alone(void **state)
{
    (void)state;
    nnd_plan *plan =
        t_compile("{'format':'nndeploy/1','name':'t','outputs':[{'name':'y','from':['k','out']}],"
                  "'nodes':[{'id':'k','type':'t.const','params':{'by':5}}]}");
    nnd_run *run = t_run(plan);
    assert_pops(run, "y", 5);
    int64_t n;
    assert_status(t_pop(run, "y", &n), NND_E_AGAIN);
    assert_ok(nnd_run_set_param(run, "k", "by", "6"));
    assert_pops(run, "y", 6);
    assert_ok(nnd_run_drain(run));
    assert_status(t_pop(run, "y", &n), NND_E_CLOSED);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_source(void **state)
{
    (void)state;
    const char *text =
        "{'format':'nndeploy/1','name':'t','outputs':[{'name':'y','from':['a','out']}],"
        "'nodes':[{'id':'s','type':'t.source','params':{'by':30}},{'id':'a','type':'t.inc'}],"
        "'edges':[{'from':['s','out'],'to':['a','in']}]}";
    nnd_plan *plan = t_compile(text);
    nnd_run *run = t_run(plan);
    for (int i = 0; i < 30; i++)
        assert_pops(run, "y", i + 1);
    int64_t n;
    assert_status(t_pop(run, "y", &n), NND_E_CLOSED);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

/* An endless source stops when its only consumer has had enough. */
static void test_early_end(void **state)
{
    (void)state;
    const char *text =
        "{'format':'nndeploy/1','name':'t','outputs':[{'name':'y','from':['f','out']}],"
        "'nodes':[{'id':'s','type':'t.source','params':{'by':1000000}},"
        "{'id':'f','type':'t.first','params':{'by':3}}],"
        "'edges':[{'from':['s','out'],'to':['f','in']}]}";
    nnd_plan *plan = t_compile(text);
    nnd_run *run = t_run(plan);
    assert_ok(nnd_run_drain(run));
    for (int i = 0; i < 3; i++)
        assert_pops(run, "y", i);
    int64_t n;
    assert_status(t_pop(run, "y", &n), NND_E_CLOSED);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static const char *const two_inputs =
    "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'},"
    "{'name':'z','type':'int'}],'outputs':[{'name':'y','from':['c','out']}],"
    "'nodes':[{'id':'c','type':'t.add'}],'edges':[{'from':['@','x'],'to':['c','a']},"
    "{'from':['@','z'],'to':['c','b']}]}";

/* Joins match by sequence number, not by arrival. */
static void test_join_by_sequence(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(two_inputs);
    nnd_run *run = t_run(plan);
    for (int64_t i = 0; i < 6; i += 2) { /* 0, 2, 4 */
        nnd_value *value = NULL;
        assert_ok(nnd_value_new_int(i * 10, &value));
        nnd_header h = *nnd_value_header(value);
        h.sequence = i;
        assert_ok(nnd_value_set_header(value, &h));
        assert_ok(nnd_run_push(run, "x", value));
        nnd_value_unref(value);
    }
    for (int64_t i = 0; i < 5; i++)
        assert_ok(t_push(run, "z", i));
    assert_pops(run, "y", 0);
    assert_pops(run, "y", 22);
    assert_pops(run, "y", 44);
    assert_ok(nnd_run_drain(run));
    int64_t n;
    assert_status(t_pop(run, "y", &n), NND_E_CLOSED);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

/* One input far ahead of the other: no room is an answer, not a wait. */
static void test_push_without_room(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(two_inputs);
    nnd_run *run = t_run(plan);
    int pushed = 0;
    nnd_status status;
    while ((status = t_push(run, "x", pushed)) == NND_OK)
        assert_true(++pushed < 1000);
    assert_status(status, NND_E_FULL);
    assert_true(pushed >= 8);
    for (int i = 0; i < pushed; i++) {
        assert_ok(t_push(run, "z", 0));
        assert_pops(run, "y", i);
    }
    assert_ok(t_push(run, "x", 5));
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_oneshot(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(two_inputs);
    nnd_value *inputs = NULL, *outputs = NULL, *v = NULL;
    assert_ok(nnd_value_new_record(&inputs));
    assert_ok(nnd_value_new_int(4, &v));
    assert_ok(nnd_value_record_set(inputs, "x", v));
    assert_ok(nnd_value_record_set(inputs, "z", v));
    nnd_value_unref(v);
    assert_ok(nnd_workflow_run(plan, NULL, inputs, &outputs));
    assert_int_equal(t_int(nnd_value_record_get(outputs, "y")), 8);
    nnd_value_unref(outputs);
    nnd_value_unref(inputs);
    nnd_plan_unref(plan);
}

static void test_sink_runs_without_outputs(void **state)
{
    (void)state;
    atomic_store(&t_sink_calls, 0);
    nnd_plan *plan = t_compile(
        "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'}],"
        "'nodes':[{'id':'s','type':'t.sink'},{'id':'unused','type':'t.inc'}],"
        "'edges':[{'from':['@','x'],'to':['s','in']},{'from':['@','x'],'to':['unused','in']}]}");
    nnd_run *run = t_run(plan);
    for (int i = 0; i < 5; i++)
        assert_ok(t_push(run, "x", i));
    assert_ok(nnd_run_drain(run));
    assert_int_equal(atomic_load(&t_sink_calls), 5);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_param_changes_at_packet_boundary(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(T_DOC(T_NODE("a", "t.inc"), T_EDGE("@", "x", "a", "in"), "a"));
    nnd_run *run = t_run(plan);
    assert_ok(t_push(run, "x", 1));
    assert_ok(nnd_run_set_param(run, "a", "by", "5"));
    assert_ok(t_push(run, "x", 1));
    assert_pops(run, "y", 2);
    assert_pops(run, "y", 6);
    assert_status(nnd_run_set_param(run, "a", "nope", "5"), NND_E_NOT_FOUND);
    assert_true(nnd_run_set_param(run, "a", "by", "'x'") != NND_OK);
    assert_true(nnd_run_set_param(run, "a", "by", "99999999") != NND_OK);
    assert_status(nnd_run_set_param(run, "b", "by", "5"), NND_E_NOT_FOUND);
    assert_ok(t_push(run, "x", 1));
    assert_pops(run, "y", 6);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_param_edge(void **state)
{
    (void)state;
    nnd_plan *plan =
        t_compile("{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'},"
                  "{'name':'z','type':'int'}],'outputs':[{'name':'y','from':['a','out']}],"
                  "'nodes':[{'id':'a','type':'t.inc'}],'edges':[{'from':['@','x'],'to':['a','in']},"
                  "{'from':['@','z'],'to':['a','by'],'kind':'param'}]}");
    nnd_run *run = t_run(plan);
    assert_ok(t_push(run, "x", 1));
    assert_ok(t_push(run, "z", 10));
    assert_pops(run, "y", 11);
    assert_ok(nnd_run_end(run, "z")); /* the last value stays */
    assert_ok(t_push(run, "x", 2));
    assert_pops(run, "y", 12);
    nnd_run_destroy(run);
    run = t_run(plan);
    assert_ok(t_push(run, "z", 99999999)); /* out of bounds: that node's error */
    assert_true(t_push(run, "x", 1) != NND_OK);
    assert_int_equal(nnd_run_error_count(run), 1);
    assert_string_equal(nnd_error_node(nnd_run_error_at(run, 0)), "a");
    assert_string_equal(nnd_error_port(nnd_run_error_at(run, 0)), "by");
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_input_reference_as_param(void **state)
{
    (void)state;
    nnd_plan *plan =
        t_compile("{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'},"
                  "{'name':'z','type':'int'}],'outputs':[{'name':'y','from':['a','out']}],"
                  "'nodes':[{'id':'a','type':'t.inc','params':{'by':{'$input':'z'}}}],"
                  "'edges':[{'from':['@','x'],'to':['a','in']}]}");
    nnd_run *run = t_run(plan);
    assert_ok(t_push(run, "z", 7));
    assert_ok(t_push(run, "x", 1));
    assert_pops(run, "y", 8);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_any_is_checked_at_run_time(void **state)
{
    (void)state;
    nnd_plan *plan =
        t_compile("{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'any'}],"
                  "'outputs':[{'name':'y','from':['a','out']}],'nodes':[{'id':'p','type':'t.any'},"
                  "{'id':'a','type':'t.inc'}],'edges':[{'from':['@','x'],'to':['p','in']},"
                  "{'from':['p','out'],'to':['a','in']}]}");
    nnd_run *run = t_run(plan);
    assert_ok(t_push(run, "x", 1));
    assert_pops(run, "y", 2);
    nnd_value *text = NULL;
    assert_ok(nnd_value_new_text("one", SIZE_MAX, &text));
    assert_status(nnd_run_push(run, "x", text), NND_E_TYPE);
    nnd_value_unref(text);
    const nnd_error *e = nnd_run_error_at(run, 0);
    assert_string_equal(nnd_error_node(e), "a");
    assert_string_equal(nnd_error_port(e), "in");
    assert_int_equal(nnd_error_packet(e), 1);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

/* Three plans from one registry, runs interleaved: nothing is shared by accident. */
static void test_runs_are_independent(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(T_DOC(T_NODE("s", "t.sum"), T_EDGE("@", "x", "s", "in"), "s"));
    nnd_run *a = t_run(plan), *b = t_run(plan);
    nnd_plan_unref(plan); /* the runs hold it */
    for (int i = 0; i < 10; i++) {
        assert_ok(t_push(a, "x", i));
        assert_ok(t_push(b, "x", 100 * i));
    }
    assert_ok(nnd_run_drain(a));
    assert_ok(nnd_run_drain(b));
    assert_pops(a, "y", 45);
    assert_pops(b, "y", 4500);
    nnd_run_destroy(a);
    nnd_run_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_diamond),
        cmocka_unit_test(test_gap_at_required_input),
        cmocka_unit_test(test_gap_at_optional_input),
        cmocka_unit_test(test_many_outputs_per_input),
        cmocka_unit_test(test_flush),
        cmocka_unit_test(test_constant_meets_every_packet),
        cmocka_unit_test(test_constant_alone),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_early_end),
        cmocka_unit_test(test_join_by_sequence),
        cmocka_unit_test(test_push_without_room),
        cmocka_unit_test(test_oneshot),
        cmocka_unit_test(test_sink_runs_without_outputs),
        cmocka_unit_test(test_param_changes_at_packet_boundary),
        cmocka_unit_test(test_param_edge),
        cmocka_unit_test(test_input_reference_as_param),
        cmocka_unit_test(test_any_is_checked_at_run_time),
        cmocka_unit_test(test_runs_are_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
