/* Sub-graphs that become part of the graph around them, sequences that are followed through, and
   branches that a plan knows ahead. */
#include "pass_support.h"

/* ---- building -------------------------------------------------------------------------------- */

static const int64_t square[2] = {3, 3};

static uint32_t flag(pass_test *t, bool yes)
{
    uint8_t byte = yes;
    nnd_tensor one;
    uint32_t id;
    assert_ok(nnd_tensor_init(&one, NND_BOOL, 0, NULL, &byte));
    assert_ok(nnd_graph_add_constant(t->g, NULL, &one, &id));
    return id;
}

static uint32_t integer(pass_test *t, int64_t value)
{
    nnd_tensor one;
    uint32_t id;
    assert_ok(nnd_tensor_init(&one, NND_I64, 0, NULL, &value));
    assert_ok(nnd_graph_add_constant(t->g, NULL, &one, &id));
    return id;
}

static pass_test body_of(pass_test *t)
{
    pass_test body = {.seed = t->seed, .opset = t->opset, .variant = t->variant};
    assert_ok(nnd_graph_create(t->g, "body", &body.g));
    return body;
}

static uint32_t captured(pass_test *body, const char *name)
{
    uint32_t id;
    assert_ok(nnd_graph_resolve(body->g, name, &id));
    return id;
}

/* A node with bodies; outputs[0 … count) are its results. */
static void node_with(pass_test *t, const char *type, size_t n, const uint32_t *in, size_t count,
                      uint32_t *outputs, const char *const *names, nnd_graph *const *bodies)
{
    nnd_graph_node *node;
    assert_ok(nnd_graph_add_node(t->g, "", type, t->opset, NULL, n, in, count, NULL, &node));
    memcpy(outputs, node->outputs, count * sizeof(*outputs));
    for (size_t i = 0; names[i]; i++)
        assert_ok(nnd_node_add_graph(t->g, node, names[i], bodies[i]));
    assert_ok(nnd_graph_close_node(t->g, node));
}

static const char *const branch_names[] = {"then_branch", "else_branch", NULL};
static const char *const body_name[] = {"body", NULL};

/* ---- If ---------------------------------------------------------------------------------------
 */

/* What a branch can hand out: what it computes (twice), a capture, a constant. */
static nnd_graph *branch(pass_test *t, const char *type)
{
    pass_test b = body_of(t);
    uint32_t x = captured(&b, "x");
    uint32_t y = pt_binary(&b, type, pt_unary(&b, "Abs", x), pt_weights(&b, 2, square));
    pt_output(&b, y);
    pt_output(&b, y);
    pt_output(&b, x);
    pt_output(&b, pt_number(&b, 3.5f));
    return b.g;
}

/* A branch in which a condition that nobody knows decides. */
static nnd_graph *nested(pass_test *t)
{
    pass_test b = body_of(t);
    uint32_t zero = pt_number(&b, 0), x = captured(&b, "x"), y = pt_unary(&b, "Neg", x), sum, out;
    nnd_graph_node *n = pt_node_of(&b, "ReduceSum", 1, &y);
    sum = n->outputs[0];
    assert_ok(nnd_node_add_int(b.g, n, "keepdims", 0));
    nnd_graph *inner[2];
    for (int i = 0; i < 2; i++) {
        pass_test deep = body_of(&b);
        pt_output(&deep, pt_unary(&deep, i ? "Exp" : "Sin", captured(&deep, "x")));
        inner[i] = deep.g;
    }
    uint32_t less = pt_binary(&b, "Less", sum, zero);
    node_with(&b, "If", 1, &less, 1, &out, branch_names, inner);
    pt_output(&b, pt_binary(&b, "Add", out, y));
    return b.g;
}

/* variant bit 0: the condition; bit 1: nested */
static void build_if(pass_test *t)
{
    uint32_t x = pt_input(t, "x", 2, square), out[4], yes = flag(t, t->variant & 1);
    bool deep = t->variant & 2;
    nnd_graph *bodies[2];
    for (int i = 0; i < 2; i++)
        bodies[i] = deep ? nested(t) : branch(t, i ? "Mul" : "Add");
    node_with(t, "If", 1, &yes, deep ? 1 : 4, out, branch_names, bodies);
    for (int i = 0; i < (deep ? 1 : 4); i++)
        pt_output(t, i == 0 ? pt_binary(t, "Sub", out[i], x) : out[i]);
}

static void a_constant_condition_leaves_one_branch(void **state)
{
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_if, 17, variant, nnd_pass_control, 0, &changes);
        assert_int_equal(changes, 1);
        assert_int_equal(pt_count(g, "If"), variant & 2 ? 1 : 0);
        assert_int_equal(pt_count(g, "Mul"), variant == 0);
        assert_int_equal(pt_count(g, "Add"), variant != 0);
        size_t children = 0;
        for (const nnd_graph *child = g->children; child; child = child->sibling) {
            assert_ptr_equal(child->parent, g);
            children++;
        }
        assert_int_equal(children, variant & 2 ? 2 : 0);
        nnd_graph_destroy(g);
    }
}

/* The condition is a matter of shapes: no pass can say, a plan can. bit 0: which branch; bit 1: a
   branch that only computes with shapes. */
static void build_shape_if(pass_test *t)
{
    uint32_t x = pt_input(t, "x", 2, square), shape = pt_unary(t, "Shape", x), out, three;
    three = pt_ints(t, 1, (int64_t[]){t->variant & 1 ? 3 : 4});
    uint32_t begin = pt_ints(t, 1, (int64_t[]){0}), end = pt_ints(t, 1, (int64_t[]){1});
    const uint32_t range[3] = {shape, begin, end};
    uint32_t first = pt_node_of(t, "Slice", 3, range)->outputs[0];
    uint32_t yes = pt_binary(t, "Equal", first, three);
    nnd_graph *bodies[2];
    for (int i = 0; i < 2; i++) {
        pass_test b = body_of(t);
        uint32_t in = captured(&b, "x");
        if (t->variant & 2)
            pt_output(&b, pt_binary(&b, "Add", pt_unary(&b, "Shape", in),
                                    pt_ints(&b, 1, (int64_t[]){i})));
        else
            pt_output(&b, i ? pt_unary(&b, "Neg", in)
                            : pt_binary(&b, "Unsqueeze", in, pt_ints(&b, 1, (int64_t[]){1})));
        bodies[i] = b.g;
    }
    node_with(t, "If", 1, &yes, 1, &out, branch_names, bodies);
    if (t->variant & 2)
        out = pt_binary(t, "Expand", pt_number(t, 2), out);
    else
        out = pt_unary(t, "Exp", out);
    pt_output(t, out);
}

static nnd_status no_pass(nnd_graph *g, size_t *changes)
{
    (void)g;
    (void)changes;
    return NND_OK;
}

static void a_branch_is_planned_with_its_graph(void **state)
{
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_shape_if, 17, variant, no_pass, 0, &changes);
        const int64_t dims[2] = {3, 3};
        nnd_tensor in;
        nnd_plan *plan;
        assert_ok(nnd_tensor_init(&in, NND_F32, 2, dims, NULL));
        for (int separate = 0; separate < 2; separate++) {
            const nnd_plan_options options = {separate, (uint64_t)1 << 30};
            assert_ok(nnd_plan_create(g, &in, &options, &plan));
            const nnd_slot *s = &plan->slots[g->outputs[0]];
            assert_true(s->known);
            assert_int_equal(s->tensor.rank, variant == 1 ? 3 : 2);
            for (size_t i = 0; i < plan->step_count; i++)
                assert_false(plan->steps[i].dynamic);
            nnd_plan_destroy(plan);
        }
        nnd_graph_destroy(g);
    }
}

/* ---- Loop -------------------------------------------------------------------------------------
 */

enum { ROUNDS_UNKNOWN = 8, MANY_ROUNDS = 16, STOPS = 32, LARGE = 64 };

/* a, b = b, a·w + i, and two results per round; bits 0 to 2: how its condition is written. */
static nnd_graph *loop_body(pass_test *t)
{
    pass_test b = body_of(t);
    const int64_t scalar[1] = {0}, large[2] = {1024, 768};
    uint32_t i, go, a, c;
    assert_ok(nnd_graph_add_input(b.g, "i", NND_I64, 0, scalar, &i));
    assert_ok(nnd_graph_add_input(b.g, "go", NND_BOOL, 0, scalar, &go));
    a = pt_input(&b, "a", 2, square);
    c = pt_input(&b, "c", 2, square);
    uint32_t x = captured(&b, "x");
    nnd_graph_node *cast = pt_node_of(&b, "Cast", 1, &i);
    uint32_t number = cast->outputs[0];
    assert_ok(nnd_node_add_int(b.g, cast, "to", 1));
    uint32_t sum = pt_binary(&b, "Mul", a, pt_weights(&b, 2, square));
    sum = pt_binary(&b, "Add", sum, number);
    if (t->variant & LARGE)
        sum = pt_binary(&b, "Add", sum, pt_unary(&b, "ReduceMax", pt_weights(&b, 2, large)));
    if (t->variant & STOPS)
        pt_output(&b, pt_binary(&b, "Less", number, pt_number(&b, 1)));
    else
        pt_output(&b, t->variant & 1   ? go
                      : t->variant & 2 ? pt_unary(&b, "Identity", captured(&b, "yes"))
                                       : pt_unary(&b, "Identity", go));
    pt_output(&b, c);
    pt_output(&b, sum);
    pt_output(&b, pt_unary(&b, "Neg", sum));
    pt_output(&b, x);
    return b.g;
}

static void build_loop(pass_test *t)
{
    uint32_t x = pt_input(t, "x", 2, square), y = pt_input(t, "y", 2, square), out[4];
    int64_t rounds = t->variant & MANY_ROUNDS ? 65 : 5;
    uint8_t byte = 1;
    nnd_tensor one;
    uint32_t yes;
    assert_ok(nnd_tensor_init(&one, NND_BOOL, 0, NULL, &byte));
    assert_ok(nnd_graph_add_constant(t->g, "yes", &one, &yes));
    uint32_t in[4] = {integer(t, rounds), t->variant & 4 ? yes : NND_NO_ID, x, y};
    if (t->variant & ROUNDS_UNKNOWN) {
        nnd_graph_node *cast = pt_node_of(t, "ReduceMax", 1, &x);
        in[0] = cast->outputs[0];
        assert_ok(nnd_node_add_int(t->g, cast, "keepdims", 0));
        cast = pt_node_of(t, "Cast", 1, &in[0]);
        in[0] = cast->outputs[0];
        assert_ok(nnd_node_add_int(t->g, cast, "to", 7));
    }
    nnd_graph *bodies[1] = {loop_body(t)};
    node_with(t, "Loop", 4, in, 4, out, body_name, bodies);
    for (int i = 0; i < 4; i++)
        pt_output(t, i % 2 ? out[i] : pt_unary(t, "Abs", out[i]));
}

static void a_short_loop_is_written_out(void **state)
{
    (void)state;
    for (int variant = 0; variant < 8; variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_loop, 17, variant, nnd_pass_control, 0, &changes);
        assert_int_equal(changes, 1);
        assert_int_equal(pt_count(g, "Loop"), 0);
        assert_int_equal(pt_count(g, "Mul"), 5);
        assert_int_equal(pt_count(g, "Concat"), 2);
        assert_null(g->children);
        nnd_graph_destroy(g);
    }
}

static void other_loops_stay(void **state)
{
    (void)state;
    static const int variants[] = {ROUNDS_UNKNOWN, MANY_ROUNDS, STOPS, LARGE};
    for (size_t i = 0; i < NND_COUNT(variants); i++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_loop, 17, variants[i], nnd_pass_control, 0, &changes);
        assert_int_equal(changes, 0);
        assert_int_equal(pt_count(g, "Loop"), 1);
        nnd_graph_destroy(g);
    }
}

/* ---- sequences --------------------------------------------------------------------------------
 */

/* [x, y] or [], then −x at the front and |x| at position −1 or at the end. */
static void build_sequence(pass_test *t)
{
    uint32_t x = pt_input(t, "x", 2, square), y = pt_input(t, "y", 2, square);
    const uint32_t pair[2] = {x, y};
    bool empty = t->variant & 1, unknown = t->variant & 2;
    uint32_t list = empty ? pt_node_of(t, "SequenceEmpty", 0, NULL)->outputs[0]
                          : pt_node_of(t, "SequenceConstruct", 2, pair)->outputs[0];
    uint32_t front = integer(t, 0);
    if (unknown) { /* a position that is computed */
        nnd_graph_node *n = pt_node_of(t, "ReduceMin", 1, &x);
        uint32_t least = n->outputs[0];
        assert_ok(nnd_node_add_int(t->g, n, "keepdims", 0));
        least = pt_binary(t, "Mul", least, pt_number(t, 0));
        n = pt_node_of(t, "Cast", 1, &least);
        front = n->outputs[0];
        assert_ok(nnd_node_add_int(t->g, n, "to", 7));
    }
    const uint32_t first[3] = {list, pt_unary(t, "Neg", x), front};
    list = pt_unary(t, "Identity", pt_node_of(t, "SequenceInsert", 3, first)->outputs[0]);
    const uint32_t second[3] = {list, pt_unary(t, "Abs", x), integer(t, -1)};
    list = pt_node_of(t, "SequenceInsert", t->variant & 4 ? 2 : 3, second)->outputs[0];
    pt_output(t, pt_unary(t, "Exp", pt_binary(t, "SequenceAt", list, integer(t, 0))));
    pt_output(t, pt_binary(t, "SequenceAt", list, integer(t, -1)));
    pt_output(t, pt_unary(t, "SequenceLength", list));
    nnd_graph_node *all = pt_node_of(t, "ConcatFromSequence", 1, &list);
    uint32_t joined = all->outputs[0];
    assert_ok(nnd_node_add_int(t->g, all, "axis", 1));
    pt_output(t, joined);
    all = pt_node_of(t, "ConcatFromSequence", 1, &list);
    joined = all->outputs[0];
    assert_ok(nnd_node_add_int(t->g, all, "axis", 0));
    assert_ok(nnd_node_add_int(t->g, all, "new_axis", 1));
    pt_output(t, joined);
}

static void sequences_are_followed(void **state)
{
    (void)state;
    for (int variant = 0; variant < 8; variant++) {
        size_t changes;
        bool known = !(variant & 2);
        nnd_graph *g = pt_compare(build_sequence, 17, variant, nnd_pass_sequence, 0, &changes);
        assert_int_equal(changes, known ? 4 : 0);
        assert_int_equal(pt_count(g, "SequenceAt"), known ? 0 : 2);
        assert_int_equal(pt_count(g, "ConcatFromSequence"), known ? 1 : 2);
        nnd_graph_destroy(g);
    }
}

/* ---- all passes, and plans of the sub-graphs that stay ----------------------------------------
 */

static nnd_status all_passes(nnd_graph *g, size_t *changes)
{
    nnd_pass_report report = NND_PASS_REPORT_INIT;
    nnd_status status = nnd_passes_run(g, NND_PASSES_ALL, &report);
    *changes = report.passes[NND_PASS_CONTROL].changes;
    nnd_pass_report_fini(&report);
    return status;
}

static void all_passes_agree(void **state)
{
    (void)state;
    size_t changes;
    for (int variant = 0; variant < 4; variant++)
        nnd_graph_destroy(pt_compare(build_if, 17, variant, all_passes, 1e-6, &changes));
    for (int variant = 0; variant < 128; variant += 3)
        nnd_graph_destroy(pt_compare(build_loop, 17, variant, all_passes, 1e-6, &changes));
    for (int variant = 0; variant < 8; variant++)
        nnd_graph_destroy(pt_compare(build_sequence, 17, variant, all_passes, 1e-6, &changes));
}

static void build_many_ifs(pass_test *t)
{
    uint32_t x = pt_input(t, "x", 2, square), out = x;
    nnd_graph_node *n = pt_node_of(t, "ReduceSum", 1, &x);
    uint32_t sum = n->outputs[0];
    assert_ok(nnd_node_add_int(t->g, n, "keepdims", 0));
    for (int i = 0; i < 40; i++) {
        nnd_graph *bodies[2];
        uint32_t less = pt_binary(t, "Less", sum, pt_number(t, (float)i - 20.0f)), y;
        for (int k = 0; k < 2; k++) {
            pass_test b = body_of(t);
            pt_output(&b, pt_unary(&b, k ? "Sin" : "Cos", captured(&b, "x")));
            bodies[k] = b.g;
        }
        node_with(t, "If", 1, &less, 1, &y, branch_names, bodies);
        out = pt_binary(t, "Add", out, y);
    }
    pt_output(t, out);
}

/* A run finds the plans of the run before, however many sub-graphs there are, and other shapes do
   not make the cache grow without end. */
static void plans_of_branches_are_kept(void **state)
{
    (void)state;
    float x[9] = {1, -2, 3, -4, 5, -6, 7, -8, 9};
    nnd_graph *g = pt_graph(build_many_ifs, 17, 0);
    nnd_plan_cache cache = {.options = {false, (uint64_t)1 << 30},
                            .limit = nnd_plan_cache_limit(g)};
    nnd_exec_env env = {.cache = &cache};
    nnd_exec exec = {0};
    nnd_plan *kept[64];
    size_t count = 0;
    assert_true(cache.limit >= 80 + NND_PLAN_CACHE_LEAST && cache.limit <= NND_PLAN_CACHE_MOST);
    for (int64_t run = 0; run < 400; run++) {
        nnd_tensor in, *given = &in;
        nnd_plan *plan;
        /* twice the same, then always another one */
        const int64_t dims[2] = {run < 2 ? 3 : 1, run < 2 ? 3 : run % 9 + 1};
        assert_ok(nnd_tensor_init(&in, NND_F32, 2, dims, x));
        assert_ok(nnd_plan_cache_get(&cache, g, &in, &plan));
        void *arena = nnd_alloc_aligned(plan->arena_bytes + 1, 64);
        void *memory[1] = {nnd_calloc(9, sizeof(float))};
        assert_ok(nnd_exec_run(&exec, plan, &env, (const nnd_tensor *const *)&given, NULL, memory,
                               arena));
        nnd_exec_fini(&exec);
        nnd_plan_cache_unpin(&cache, plan);
        nnd_free(memory[0]);
        nnd_free_aligned(arena);
        assert_true(cache.count <= cache.limit);
        if (run == 0) {
            count = cache.count;
            assert_in_range(count, 41, 64);
            for (size_t i = 0; i < count; i++)
                kept[i] = cache.entries[i].plan;
        }
        if (run == 1) {
            assert_int_equal(cache.count, count);
            for (size_t i = 0; i < count; i++)
                assert_ptr_equal(cache.entries[i].plan, kept[i]);
        }
    }
    nnd_plan_cache_fini(&cache);
    nnd_block_fini(&env.lanes);
    nnd_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_constant_condition_leaves_one_branch),
        cmocka_unit_test(a_branch_is_planned_with_its_graph),
        cmocka_unit_test(a_short_loop_is_written_out),
        cmocka_unit_test(other_loops_stay),
        cmocka_unit_test(sequences_are_followed),
        cmocka_unit_test(all_passes_agree),
        cmocka_unit_test(plans_of_branches_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
