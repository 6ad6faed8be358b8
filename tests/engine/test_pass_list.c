/* The list of passes: names, sets of them, what is reported; common subexpressions; long graphs. */
#include "pass_support.h"

/* ---- names ----------------------------------------------------------------------------------- */

static void every_pass_has_a_name_and_a_place(void **state)
{
    (void)state;
    uint32_t seen = 0;
    for (size_t i = 0; i < NND_PASS_COUNT; i++) {
        nnd_engine_pass pass = nnd_engine_pass_at(i), found;
        assert_ok(nnd_engine_pass_find(nnd_engine_pass_name(pass), &found));
        assert_int_equal(found, pass);
        seen |= 1u << pass;
    }
    assert_int_equal(seen, NND_PASSES_ALL);
    assert_int_equal(nnd_engine_pass_at(NND_PASS_COUNT - 1), NND_PASS_ELEMENTWISE);
    assert_int_equal(nnd_engine_pass_at(NND_PASS_COUNT - 2), NND_PASS_LAYOUT);
}

static void sets_are_read_as_people_write_them(void **state)
{
    (void)state;
    const uint32_t layout = 1u << NND_PASS_LAYOUT, bn = 1u << NND_PASS_BATCHNORM;
    const struct {
        const char *text;
        uint32_t set;
    } cases[] = {{"0", 0},
                 {"63", 63},
                 {"all", NND_PASSES_ALL},
                 {"default", NND_PASSES_DEFAULT},
                 {"none", 0},
                 {"no-layout", NND_PASSES_DEFAULT & ~layout},
                 {"no-layout+no-batchnorm", NND_PASSES_DEFAULT & ~layout & ~bn},
                 {"default+no-layout+qdq", (NND_PASSES_DEFAULT & ~layout) | 1u << NND_PASS_QDQ},
                 {"layout+batchnorm", layout | bn},
                 {"all+none+dead-code", 1u << NND_PASS_DEAD_CODE}};
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        uint32_t set = ~0u;
        assert_ok(nnd_engine_passes_parse(cases[i].text, &set));
        assert_int_equal(set, cases[i].set);
    }
}

#define LONG_WORD "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
static void bad_sets_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "+",
                                      "layuot",
                                      "no-",
                                      "default+",
                                      "-1",
                                      "99999999999",
                                      "all,none",
                                      LONG_WORD LONG_WORD LONG_WORD};
    for (size_t i = 0; i < NND_COUNT(bad); i++) {
        uint32_t set = 5;
        assert_status(nnd_engine_passes_parse(bad[i], &set), NND_E_INVALID_ARGUMENT);
        assert_int_equal(set, 5);
        nnd_error *e = nnd_error_take();
        assert_non_null(e);
        char *text = nnd_error_to_string(e);
        if (i == 2) assert_non_null(strstr(text, "did you mean 'layout'"));
        nnd_free(text);
        nnd_error_destroy(e);
    }
}

/* ---- the report ------------------------------------------------------------------------------ */

static void build_activation(pass_test *t)
{
    const int64_t x[4] = {1, 2, 4, 4}, w[4] = {2, 2, 1, 1};
    uint32_t in = pt_input(t, "x", 4, x);
    uint32_t c = pt_binary(t, "Conv", pt_unary(t, "Identity", in), pt_weights(t, 4, w));
    pt_output(t, pt_unary(t, "Relu", c));
}

static void the_report_says_what_became_of_what(void **state)
{
    (void)state;
    nnd_graph *g = pt_graph(build_activation, 13, 0);
    nnd_pass_report report = NND_PASS_REPORT_INIT;
    report.dump_after = NND_PASS_IDENTITY;
    assert_ok(nnd_passes_run(g, 1u << NND_PASS_IDENTITY | 1u << NND_PASS_ACTIVATION, &report));
    const nnd_pass_stats *identity = &report.passes[NND_PASS_IDENTITY];
    const nnd_pass_stats *activation = &report.passes[NND_PASS_ACTIVATION];
    assert_int_equal(identity->nodes_before, 3);
    assert_int_equal(identity->removed, 1);
    assert_int_equal(identity->kind_count, 1);
    assert_int_equal(identity->kinds[0].more, -1);
    assert_int_equal(activation->nodes_before, 2);
    assert_int_equal(activation->removed, 1);
    assert_int_equal(report.passes[NND_PASS_LAYOUT].changes, 0);
    /* As the pass left it: the Identity is gone, the Relu not yet in its place. */
    assert_non_null(report.dump);
    assert_null(strstr(report.dump, "Identity("));
    assert_non_null(strstr(report.dump, "Relu("));
    nnd_pass_report_fini(&report);
    nnd_graph_destroy(g);
}

/* ---- common subexpressions ------------------------------------------------------------------- */

/* Two equal chains through constants of equal content, and one that differs in a number. */
static void build_twins(pass_test *t)
{
    const int64_t x[2] = {3, 5};
    uint32_t in = pt_input(t, "x", 2, x), ends[3];
    for (int i = 0; i < 3; i++) {
        uint32_t sum = pt_binary(t, "Add", in, pt_number(t, i == 2 ? 0.25f : 0.5f));
        nnd_graph_node *leaky = pt_node_of(t, "LeakyRelu", 1, &sum);
        assert_ok(nnd_node_add_float(t->g, leaky, "alpha", 0.125f));
        ends[i] = pt_unary(t, "Tanh", leaky->outputs[0]);
    }
    pt_output(t, pt_binary(t, "Mul", ends[0], pt_binary(t, "Sub", ends[1], ends[2])));
}

static void equal_chains_are_computed_once(void **state)
{
    (void)state;
    size_t changes;
    nnd_graph *g = pt_compare(build_twins, 13, 0, nnd_pass_common, 0, &changes);
    assert_int_equal(changes, 3);
    assert_int_equal(g->node_count, 8);
    assert_int_equal(pt_count(g, "Tanh"), 2);
    nnd_graph_destroy(g);
}

/* Outputs keep their own memory; attributes, order of inputs, and chance make a difference. */
static void build_strangers(pass_test *t)
{
    const int64_t x[2] = {3, 5};
    uint32_t in = pt_input(t, "x", 2, x), a = pt_unary(t, "Abs", in), b = pt_unary(t, "Neg", in);
    pt_output(t, pt_unary(t, "Exp", a));
    pt_output(t, pt_unary(t, "Exp", a));
    pt_output(t, pt_unary(t, "Relu", pt_binary(t, "Sub", a, b)));
    pt_output(t, pt_unary(t, "Tanh", pt_binary(t, "Sub", b, a)));
    for (int i = 0; i < 2; i++) {
        nnd_graph_node *leaky = pt_node_of(t, "LeakyRelu", 1, &in);
        assert_ok(nnd_node_add_float(t->g, leaky, "alpha", i ? 0.5f : 0.25f));
        pt_output(t, pt_unary(t, "Abs", leaky->outputs[0]));
    }
}

static void what_differs_stays(void **state)
{
    (void)state;
    size_t changes;
    nnd_graph *g = pt_compare(build_strangers, 13, 0, nnd_pass_common, 0, &changes);
    assert_int_equal(changes, 0);
    assert_int_equal(g->node_count, 12);
    nnd_graph_destroy(g);
}

static void build_random(pass_test *t)
{
    const int64_t dims[1] = {4};
    uint32_t x = pt_input(t, "x", 1, dims);
    uint32_t a = pt_unary(t, "RandomUniformLike", x), b = pt_unary(t, "RandomUniformLike", x);
    pt_output(t, pt_binary(t, "Sub", a, b));
}

static void chance_is_never_shared(void **state)
{
    (void)state;
    size_t changes = 0;
    nnd_graph *g = pt_graph(build_random, 13, 0);
    assert_ok(nnd_pass_common(g, &changes));
    assert_int_equal(changes, 0);
    nnd_graph_destroy(g);
}

/* ---- long graphs ----------------------------------------------------------------------------- */

/* Every pass has to be nearly linear: with a factor of the length this test would take hours. All
   first halves come before all second ones, so that reader and producer are far from each other. */
static void build_long(pass_test *t)
{
    enum { LENGTH = 60000 };
    const int64_t dims[2] = {2, 2};
    uint32_t x = pt_input(t, "x", 2, dims), one = pt_number(t, 1.5f);
    uint32_t *halves = nnd_calloc(LENGTH, sizeof(*halves));
    static const char *const first[] = {"Sigmoid", "Erf", "Transpose", "Flatten", "Add", "MatMul"};
    static const char *const second[] = {"Mul", "Transpose", "Relu", "Softmax"};
    assert_non_null(halves);
    uint32_t weights = pt_weights(t, 2, dims);
    for (size_t i = 0; i < LENGTH; i++) {
        const char *type = first[i % NND_COUNT(first)];
        uint32_t other = type[0] == 'M' ? weights : one;
        bool two = type[0] == 'A' || type[0] == 'M';
        halves[i] = two ? pt_binary(t, type, x, other) : pt_unary(t, type, x);
    }
    for (size_t i = 0; i < LENGTH; i++) {
        const char *type = second[i % NND_COUNT(second)];
        uint32_t y =
            type[0] == 'M' ? pt_binary(t, type, x, halves[i]) : pt_unary(t, type, halves[i]);
        x = i % 2 ? pt_binary(t, "Add", x, y) : x;
        if (i % 2 == 0) halves[i] = y;
    }
    for (size_t i = 0; i < LENGTH; i += 2)
        x = pt_binary(t, "Max", x, halves[i]);
    pt_output(t, x);
    nnd_free(halves);
}

static void long_graphs_take_no_longer_than_they_are(void **state)
{
    (void)state;
    nnd_graph *g = pt_graph(build_long, 13, 0);
    nnd_pass_report report = NND_PASS_REPORT_INIT;
    assert_ok(nnd_passes_run(g, NND_PASSES_ALL, &report));
    assert_true(report.passes[NND_PASS_COMMON].changes > 0);
    nnd_pass_report_fini(&report);
    nnd_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pass_has_a_name_and_a_place),
        cmocka_unit_test(sets_are_read_as_people_write_them),
        cmocka_unit_test(bad_sets_are_refused),
        cmocka_unit_test(the_report_says_what_became_of_what),
        cmocka_unit_test(equal_chains_are_computed_once),
        cmocka_unit_test(what_differs_stays),
        cmocka_unit_test(chance_is_never_shared),
        cmocka_unit_test(long_graphs_take_no_longer_than_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
