/* The flow.* node types in all their cases. */
#include "workflow/support.h"

/* ---- flow.graph -------------------------------------------------------------------------- */

#define T_SUB                                                                                      \
    "'graph':{'inputs':[{'name':'i','type':'int'}],'outputs':[{'name':'o','from':['m','out']}],"   \
    "'params':[{'name':'factor','to':['m','by']}],"                                                \
    "'nodes':[{'id':'a','type':'t.inc'},{'id':'m','type':'t.mul'}],"                               \
    "'edges':[{'from':['@','i'],'to':['a','in']},{'from':['a','out'],'to':['m','in']}]}"

static void test_sub_graph(void **state)
{
    (void)state;
    const char *text =
        "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'}],"
        "'outputs':[{'name':'y','from':['s2','o']}],"
        "'nodes':[{'id':'s1','type':'flow.graph','params':{'factor':3}," T_SUB "},"
        "{'id':'s2','type':'flow.graph','params':{'factor':5}," T_SUB "}],"
        "'edges':[{'from':['@','x'],'to':['s1','i']},{'from':['s1','o'],'to':['s2','i']}]}";
    t_expect(text, T_IN(0, 1), T_IN(20, 35));
    nnd_plan *plan = t_compile(text);
    nnd_run *run = t_run(plan);
    assert_ok(nnd_run_set_param(run, "s1", "factor", "1")); /* promoted */
    assert_ok(nnd_run_set_param(run, "s2/m", "by", "1"));   /* direct */
    assert_ok(t_push(run, "x", 0));
    assert_pops(run, "y", 2);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_sub_graph_bypass_and_mute(void **state)
{
    (void)state;
#define T_WITH(flag)                                                                               \
    "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'}],"                      \
    "'outputs':[{'name':'y','from':['s','o']}],"                                                   \
    "'nodes':[{'id':'s','type':'flow.graph'," flag "," T_SUB "}],"                                 \
    "'edges':[{'from':['@','x'],'to':['s','i']}]}"
    t_expect(T_WITH("'bypass':true"), T_IN(4), T_IN(4));
    nnd_plan *plan = t_compile(T_WITH("'mute':true"));
    nnd_run *run = t_run(plan);
    int64_t n;
    assert_ok(t_push(run, "x", 4));
    assert_ok(nnd_run_drain(run));
    assert_status(t_pop(run, "y", &n), NND_E_CLOSED);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_promoted_param_edge(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(
        "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'},"
        "{'name':'f','type':'int'}],'outputs':[{'name':'y','from':['s','o']}],"
        "'nodes':[{'id':'s','type':'flow.graph','params':{'factor':{'$input':'f'}}," T_SUB "}],"
        "'edges':[{'from':['@','x'],'to':['s','i']}]}");
    nnd_run *run = t_run(plan);
    assert_ok(t_push(run, "f", 7));
    assert_ok(t_push(run, "x", 1));
    assert_pops(run, "y", 14);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

/* ---- flow.map ---------------------------------------------------------------------------- */

#define T_MAP(nodes, edges, last)                                                                  \
    "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'list<int>'},"                 \
    "{'name':'k','type':'int'}],'outputs':[{'name':'y','from':['m','o']}],"                        \
    "'nodes':[{'id':'m','type':'flow.map','graph':{'inputs':[{'name':'i','type':'int'},"           \
    "{'name':'k','type':'int'}],'outputs':[{'name':'o','from':['" last "','out']}],"               \
    "'nodes':[" nodes "],'edges':[" edges "]}}],"                                                  \
    "'edges':[{'from':['@','x'],'to':['m','i']},{'from':['@','k'],'to':['m','k']}]}"

static nnd_value *t_list(const int64_t *items, size_t count)
{
    nnd_value *values[64] = {NULL}, *list = NULL;
    for (size_t i = 0; i < count; i++)
        assert_ok(nnd_value_new_int(items[i], &values[i]));
    assert_ok(nnd_value_new_list(values, count, &list));
    for (size_t i = 0; i < count; i++)
        nnd_value_unref(values[i]);
    return list;
}

static void map_once(nnd_run *run, const int64_t *in, size_t n, int64_t k, const int64_t *out,
                     size_t m)
{
    nnd_value *list = t_list(in, n), *result = NULL;
    assert_ok(nnd_run_push(run, "x", list));
    assert_ok(t_push(run, "k", k));
    nnd_value_unref(list);
    assert_ok(nnd_run_pop(run, "y", &result));
    assert_true(nnd_value_is(result, "list"));
    assert_int_equal(nnd_value_list_count(result), m);
    for (size_t i = 0; i < m; i++)
        assert_int_equal(t_int(nnd_value_list_at(result, i)), out[i]);
    nnd_value_unref(result);
}

static void test_map(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(T_MAP(
        T_NODE("a", "t.add"), T_EDGE("@", "i", "a", "a") "," T_EDGE("@", "k", "a", "b"), "a"));
    nnd_run *run = t_run(plan);
    map_once(run, (int64_t[]){1, 2, 3}, 3, 10, (int64_t[]){11, 12, 13}, 3);
    map_once(run, (int64_t[]){0}, 0, 10, (int64_t[]){0}, 0); /* empty in, empty out */
    int64_t many[40], more[40];
    for (int i = 0; i < 40; i++) {
        many[i] = i;
        more[i] = i + 100;
    }
    map_once(run, many, 40, 100, more, 40); /* more than the queues hold */
    assert_ok(nnd_run_drain(run));
    nnd_value *none = NULL;
    assert_status(nnd_run_pop(run, "y", &none), NND_E_CLOSED);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

/* Elements without an answer are left out; several answers all count. */
static void test_map_filters_and_expands(void **state)
{
    (void)state;
    nnd_plan *plan =
        t_compile(T_MAP(T_NODE_P("f", "t.filter", "'by':2"), T_EDGE("@", "i", "f", "in"), "f"));
    nnd_run *run = t_run(plan);
    map_once(run, (int64_t[]){1, 2, 3, 4}, 4, 0, (int64_t[]){2, 4}, 2);
    map_once(run, (int64_t[]){1, 3}, 2, 0, (int64_t[]){0}, 0);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
    plan = t_compile(T_MAP(T_NODE("r", "t.range"), T_EDGE("@", "i", "r", "in"), "r"));
    run = t_run(plan);
    map_once(run, (int64_t[]){2, 0, 3}, 3, 0, (int64_t[]){0, 1, 0, 1, 2}, 5);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_map_constant_body_output(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(T_MAP(T_NODE_P("c", "t.const", "'by':9"), "", "c"));
    nnd_run *run = t_run(plan);
    map_once(run, (int64_t[]){1, 2, 3}, 3, 0, (int64_t[]){9, 9, 9}, 3);
    map_once(run, (int64_t[]){0}, 0, 0, (int64_t[]){0}, 0);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_map_inside_map(void **state)
{
    (void)state;
    nnd_plan *plan = t_compile(
        "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'list<list<int>>'}],"
        "'outputs':[{'name':'y','from':['m','o']}],"
        "'nodes':[{'id':'m','type':'flow.map','graph':{'inputs':[{'name':'i'}],"
        "'outputs':[{'name':'o','from':['n','o']}],'nodes':[{'id':'n','type':'flow.map',"
        "'graph':{'inputs':[{'name':'i'}],'outputs':[{'name':'o','from':['a','out']}],"
        "'nodes':[{'id':'a','type':'t.inc'}],'edges':[{'from':['@','i'],'to':['a','in']}]}}],"
        "'edges':[{'from':['@','i'],'to':['n','i']}]}}],"
        "'edges':[{'from':['@','x'],'to':['m','i']}]}");
    assert_string_equal(nnd_plan_output_type(plan, 0), "list<list<int>>");
    nnd_run *run = t_run(plan);
    nnd_value *rows[3], *outer = NULL, *result = NULL;
    rows[0] = t_list((int64_t[]){1, 2}, 2);
    rows[1] = t_list((int64_t[]){0}, 0);
    rows[2] = t_list((int64_t[]){7}, 1);
    assert_ok(nnd_value_new_list(rows, 3, &outer));
    assert_ok(nnd_run_push(run, "x", outer));
    assert_ok(nnd_run_pop(run, "y", &result));
    assert_int_equal(nnd_value_list_count(result), 3);
    assert_int_equal(nnd_value_list_count(nnd_value_list_at(result, 1)), 0);
    assert_int_equal(t_int(nnd_value_list_at(nnd_value_list_at(result, 0), 1)), 3);
    assert_int_equal(t_int(nnd_value_list_at(nnd_value_list_at(result, 2), 0)), 8);
    for (int i = 0; i < 3; i++)
        nnd_value_unref(rows[i]);
    nnd_value_unref(outer);
    nnd_value_unref(result);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

/* ---- flow.switch and flow.merge ---------------------------------------------------------- */

#define T_SWITCH(params, select)                                                                   \
    T_DOC("{'id':'s','type':'flow.switch','params':{" params                                       \
          "}}," T_NODE_P("a", "t.mul", "'by':10") "," T_NODE_P(                                    \
              "b", "t.mul", "'by':100") "," T_NODE("m", "flow.merge"),                             \
          T_EDGE("@", "x", "s", "value") "," select T_EDGE("s", "even", "a", "in") "," T_EDGE(     \
              "s", "odd", "b", "in") "," T_EDGE("a", "out", "m", "in") "," T_EDGE("b", "out", "m", \
                                                                                  "in"),           \
          "m")

static void test_switch_by_number(void **state)
{
    (void)state;
    /* 2 and more are no case: dropped without a default */
    t_expect(T_SWITCH("'cases':['even','odd']", T_EDGE("@", "x", "s", "select") ","),
             T_IN(0, 1, 2, 1), T_IN(0, 100, 100));
    t_expect(
        T_SWITCH("'cases':['even','odd'],'default':'even'", T_EDGE("@", "x", "s", "select") ","),
        T_IN(0, 1, 2, 3), T_IN(0, 100, 20, 30));
}

static void test_switch_by_param(void **state)
{
    (void)state;
    const char *text = T_SWITCH("'cases':['even','odd'],'select':'odd'", "");
    t_expect(text, T_IN(1, 2), T_IN(100, 200));
    nnd_plan *plan = t_compile(text);
    nnd_run *run = t_run(plan);
    assert_ok(t_push(run, "x", 1));
    assert_ok(nnd_run_set_param(run, "s", "select", "\"even\""));
    assert_ok(t_push(run, "x", 1));
    assert_pops(run, "y", 100);
    assert_pops(run, "y", 10);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_switch_by_bool(void **state)
{
    (void)state;
    t_expect(
        T_DOC("{'id':'s','type':'flow.switch'}," T_NODE_P("l", "t.less", "'by':3") "," T_NODE_P(
                  "a", "t.mul", "'by':10") "," T_NODE("m", "flow.merge"),
              T_EDGE("@", "x", "s", "value") "," T_EDGE("@", "x", "l", "in") "," T_EDGE(
                  "l", "out", "s",
                  "select") "," T_EDGE("s", "true", "a",
                                       "in") "," T_EDGE("a", "out", "m",
                                                        "in") "," T_EDGE("s", "false", "m", "in"),
              "m"),
        T_IN(1, 5, 2, 3), T_IN(10, 5, 20, 3));
}

/* ---- flow.loop --------------------------------------------------------------------------- */

#define T_LOOP(fields, until_output)                                                               \
    "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'},"                       \
    "{'name':'n','type':'int'}],'outputs':[{'name':'y','from':['l','o']}],"                        \
    "'nodes':[{'id':'l','type':'flow.loop'," fields ",'carry':[{'in':'i','out':'o'}],"             \
    "'graph':{'inputs':[{'name':'i','type':'int'}],'outputs':[{'name':'o','from':['a','out']"      \
    "}" until_output "],'nodes':[{'id':'a','type':'t.mul','params':{'by':2}},"                     \
    "{'id':'less','type':'t.less','params':{'by':-100}}],"                                         \
    "'edges':[{'from':['@','i'],'to':['a','in']},{'from':['a','out'],'to':['less','in']}]}}],"     \
    "'edges':[{'from':['@','x'],'to':['l','i']}]}"

static void test_loop_count(void **state)
{
    (void)state;
    t_expect(T_LOOP("'count':5", ""), T_IN(1, 3), T_IN(32, 96));
    t_expect(T_LOOP("'count':1", ""), T_IN(1, 3), T_IN(2, 6));
    nnd_plan *plan = t_compile(T_LOOP("'count':{'$input':'n'}", ""));
    nnd_run *run = t_run(plan);
    for (int64_t n = 0; n < 5; n++) {
        assert_ok(t_push(run, "x", 1));
        assert_ok(t_push(run, "n", n));
    }
    for (int64_t n = 1; n < 5; n++)
        assert_pops(run, "y", 1 << n); /* no turn: nothing */
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_loop_until(void **state)
{
    (void)state;
    const char *text = T_LOOP("'until':'done'", ",{'name':'done','from':['less','out']}");
    t_expect(text, T_IN(-1, -70, -3), T_IN(-128, -140, -192));
    nnd_plan *plan = t_compile(text); /* 1, 2, 4, … never ends */
    nnd_run *run = t_run(plan);
    assert_status(t_push(run, "x", 0), NND_E_LIMIT);
    assert_string_equal(nnd_error_node(nnd_run_error_at(run, 0)), "l");
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

/* ---- flow.delay -------------------------------------------------------------------------- */

static void test_delay_in_a_line(void **state)
{
    (void)state;
    t_expect(T_DOC("{'id':'d','type':'flow.delay','params':{'initial':7}}",
                   T_EDGE("@", "x", "d", "in"), "d"),
             T_IN(1, 2, 3), T_IN(7, 1, 2));
    t_expect(T_DOC("{'id':'d','type':'flow.delay'}," T_NODE("a", "t.addopt"),
                   T_EDGE("@", "x", "d", "in") "," T_EDGE("@", "x", "a", "a") "," T_EDGE("d", "out",
                                                                                         "a", "b"),
                   "a"),
             T_IN(1, 2, 3), T_IN(1001, 3, 5));
}

/* An accumulator: the sum so far goes round through the delay. */
static void test_delay_in_a_cycle(void **state)
{
    (void)state;
    t_expect(T_DOC(T_NODE("a", "t.add") ",{'id':'d','type':'flow.delay','params':{'initial':0}}",
                   T_EDGE("@", "x", "a", "a") "," T_EDGE("d", "out", "a",
                                                         "b") "," T_EDGE("a", "out", "d", "in"),
                   "a"),
             T_IN(1, 2, 3, 4, 5), T_IN(1, 3, 6, 10, 15));
    /* with a node between delay and join, and what the delay gives outside */
    t_expect(T_DOC(T_NODE("a", "t.add") "," T_NODE(
                       "i", "t.inc") ",{'id':'d','type':'flow.delay','params':{'initial':0}}",
                   T_EDGE("@", "x", "a", "a") "," T_EDGE("d", "out", "i", "in") "," T_EDGE(
                       "i", "out", "a", "b") "," T_EDGE("a", "out", "d", "in"),
                   "d"),
             T_IN(1, 2, 3), T_IN(0, 2, 5));
}

static void test_delay_cycle_with_gaps(void **state)
{
    (void)state;
    /* odd numbers do not come: the sum of the even ones */
    t_expect(T_DOC(T_NODE_P("f", "t.filter", "'by':2") "," T_NODE(
                       "a", "t.addopt") ",{'id':'d','type':'flow.delay','params':{'initial':0}}",
                   T_EDGE("@", "x", "f", "in") "," T_EDGE("f", "out", "a", "a") "," T_EDGE(
                       "d", "out", "a", "b") "," T_EDGE("a", "out", "d", "in"),
                   "a"),
             T_IN(2, 4, 6), T_IN(2, 6, 12));
}

/* ---- flow.list and flow.unlist ----------------------------------------------------------- */

static void test_list_and_unlist(void **state)
{
    (void)state;
    t_expect(T_DOC(T_NODE("a", "t.inc") "," T_NODE("l", "flow.list") "," T_NODE_P(
                       "u", "flow.unlist", "'index':-1"),
                   T_EDGE("@", "x", "l", "in") "," T_EDGE("@", "x", "a", "in") "," T_EDGE(
                       "a", "out", "l", "in") "," T_EDGE("l", "out", "u", "in"),
                   "u"),
             T_IN(1, 2), T_IN(2, 3));
    t_expect(T_DOC(T_NODE("l", "flow.list") "," T_NODE_P("u", "flow.unlist", "'index':3"),
                   T_EDGE("@", "x", "l", "in") "," T_EDGE("l", "out", "u", "in"), "u"),
             T_IN(1, 2), (const int64_t[]){0}, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sub_graph),
        cmocka_unit_test(test_sub_graph_bypass_and_mute),
        cmocka_unit_test(test_promoted_param_edge),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_map_filters_and_expands),
        cmocka_unit_test(test_map_constant_body_output),
        cmocka_unit_test(test_map_inside_map),
        cmocka_unit_test(test_switch_by_number),
        cmocka_unit_test(test_switch_by_param),
        cmocka_unit_test(test_switch_by_bool),
        cmocka_unit_test(test_loop_count),
        cmocka_unit_test(test_loop_until),
        cmocka_unit_test(test_delay_in_a_line),
        cmocka_unit_test(test_delay_in_a_cycle),
        cmocka_unit_test(test_delay_cycle_with_gaps),
        cmocka_unit_test(test_list_and_unlist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
