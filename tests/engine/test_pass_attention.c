/* The pass 'attention': every way of writing attention out becomes one node with equal results, and
   what only looks like it stays. And the memory of the plan afterwards. */
#include "pass_support.h"

#include "base/isa.h"

/* ---- spellings ------------------------------------------------------------------------------- */

enum scaling { NO_SCALE, MUL_SCORES, DIV_SCORES, ROOT_ON_BOTH, DIV_QUERY, SCALINGS };
enum masking { NO_MASK, ADD, WHERE, WHERE_NOT, WHERE_THEN_ADD, ADD_WHERE_ADD, MASKINGS };
enum shape { PLANAR, SWAPPED_HEADS, KEYS_STORED_TRANSPOSED, RANK_3, RANK_2, SHAPES };

typedef struct spelling {
    int scaling, masking, shape;
    bool guarded; /* Where(IsNaN(w), 0, w) */
} spelling;

static spelling read_variant(int variant)
{
    return (spelling){variant % SCALINGS, variant / SCALINGS % MASKINGS,
                      variant / SCALINGS / MASKINGS % SHAPES,
                      variant / SCALINGS / MASKINGS / SHAPES};
}

enum { BATCH = 2, HEADS = 3, ROWS = 5, KEYS = 7, SIZE = 8, V_SIZE = 6 };

static uint32_t where(pass_test *t, uint32_t condition, uint32_t a, uint32_t b)
{
    const uint32_t in[3] = {condition, a, b};
    return pt_node_of(t, "Where", 3, in)->outputs[0];
}

/* Rows of heads as the product wants them; keys with their last two dimensions swapped. */
static uint32_t operand(pass_test *t, const char *name, int shape, int64_t rows, int64_t size,
                        bool keys)
{
    static const int64_t swap4[] = {0, 1, 3, 2}, swap3[] = {0, 2, 1}, swap2[] = {1, 0};
    static const int64_t heads[] = {0, 2, 1, 3}, heads_of_keys[] = {0, 2, 3, 1};
    if (shape == RANK_2) {
        uint32_t x = pt_input(t, name, 2, (int64_t[]){rows, size});
        return keys ? pt_transpose(t, x, 2, swap2) : x;
    }
    if (shape == RANK_3) {
        uint32_t x = pt_input(t, name, 3, (int64_t[]){rows, BATCH * HEADS, size});
        x = pt_transpose(t, x, 3, (int64_t[]){1, 0, 2});
        return keys ? pt_transpose(t, x, 3, swap3) : x;
    }
    if (shape == SWAPPED_HEADS) {
        uint32_t x = pt_input(t, name, 4, (int64_t[]){BATCH, rows, HEADS, size});
        return pt_transpose(t, x, 4, keys ? heads_of_keys : heads);
    }
    if (keys && shape == KEYS_STORED_TRANSPOSED)
        return pt_input(t, name, 4, (int64_t[]){BATCH, HEADS, size, rows});
    uint32_t x = pt_input(t, name, 4, (int64_t[]){BATCH, HEADS, rows, size});
    return keys ? pt_transpose(t, x, 4, swap4) : x;
}

static uint32_t hidden(pass_test *t)
{
    const int64_t dims[2] = {ROWS, KEYS};
    return pt_binary(t, "Greater", pt_weights(t, 2, dims), pt_number(t, 0.4f));
}

static uint32_t masked(pass_test *t, int masking, uint32_t s)
{
    const int64_t per_key[2] = {1, KEYS}, whole[2] = {ROWS, KEYS};
    if (masking == ADD_WHERE_ADD) s = pt_binary(t, "Add", pt_weights(t, 2, whole), s);
    if (masking == WHERE || masking == WHERE_THEN_ADD) {
        uint32_t keep = pt_unary(t, "Not", hidden(t));
        s = where(t, keep, s, pt_number(t, masking == WHERE ? -1e4f : -INFINITY));
    }
    if (masking == WHERE_NOT || masking == ADD_WHERE_ADD)
        s = where(t, hidden(t), pt_number(t, -INFINITY), s);
    if (masking == ADD || masking == WHERE_THEN_ADD || masking == ADD_WHERE_ADD)
        s = pt_binary(t, "Add", s, pt_weights(t, 2, per_key));
    return s;
}

static void build_attention(pass_test *t)
{
    spelling s = read_variant(t->variant);
    uint32_t q = operand(t, "q", s.shape, ROWS, SIZE, false);
    uint32_t k = operand(t, "k", s.shape, KEYS, SIZE, true);
    uint32_t v = operand(t, "v", s.shape, KEYS, V_SIZE, false);
    if (s.scaling == ROOT_ON_BOTH) {
        q = pt_binary(t, "Mul", q, pt_number(t, 0.5f));
        k = pt_binary(t, "Mul", pt_number(t, 0.5f), k);
    }
    if (s.scaling == DIV_QUERY) q = pt_binary(t, "Div", q, pt_number(t, 2.5f));
    uint32_t scores = pt_binary(t, "MatMul", q, k);
    if (s.scaling == MUL_SCORES) scores = pt_binary(t, "Mul", pt_number(t, 0.3f), scores);
    if (s.scaling == DIV_SCORES) scores = pt_binary(t, "Div", scores, pt_number(t, 3.0f));
    scores = masked(t, s.masking, scores);
    nnd_graph_node *softmax = pt_node_of(t, "Softmax", 1, &scores);
    uint32_t w = softmax->outputs[0];
    assert_ok(nnd_node_add_int(t->g, softmax, "axis", -1));
    if (s.guarded) w = where(t, pt_unary(t, "IsNaN", w), pt_number(t, 0.0f), w);
    uint32_t y = pt_binary(t, "MatMul", w, v);
    if (s.shape == SWAPPED_HEADS) y = pt_transpose(t, y, 4, (int64_t[]){0, 2, 1, 3});
    if (s.shape == RANK_3) y = pt_transpose(t, y, 3, (int64_t[]){1, 0, 2});
    pt_output(t, y);
}

static void every_spelling_becomes_one_node(void **state)
{
    (void)state;
    const nnd_isa levels[] = {NND_ISA_REFERENCE, nnd_isa_detected()};
    for (size_t i = 0; i < NND_COUNT(levels); i++) {
        assert_ok(nnd_isa_force(levels[i]));
        for (int variant = 0; variant < 2 * SHAPES * MASKINGS * SCALINGS; variant++) {
            size_t changes;
            nnd_graph *g =
                pt_compare(build_attention, 13, variant, nnd_pass_attention, 2e-5, &changes);
            assert_int_equal(changes, 1);
            assert_int_equal(pt_count(g, "FusedAttention"), 1);
            assert_int_equal(pt_count(g, "MatMul"), 0);
            assert_int_equal(pt_count(g, "Softmax"), 0);
            assert_int_equal(pt_count(g, "Transpose"), 0);
            nnd_graph_destroy(g);
        }
    }
}

/* A row that a mask of −∞ hides whole is NaN, and 0 behind the guard, before and after. */
static void build_empty_row(pass_test *t)
{
    const int64_t q[2] = {3, 4}, mask[2] = {3, 1};
    nnd_tensor m;
    float values[3] = {0, -INFINITY, 0};
    uint32_t id;
    uint32_t a = pt_input(t, "q", 2, q), b = pt_input(t, "k", 2, q), v = pt_input(t, "v", 2, q);
    assert_ok(nnd_tensor_init(&m, NND_F32, 2, mask, values));
    assert_ok(nnd_graph_add_constant(t->g, NULL, &m, &id));
    uint32_t s = pt_binary(t, "MatMul", a, pt_transpose(t, b, 2, (int64_t[]){1, 0}));
    uint32_t w = pt_unary(t, "Softmax", pt_binary(t, "Add", s, id));
    if (t->variant) w = where(t, pt_unary(t, "IsNaN", w), pt_number(t, 0.0f), w);
    uint32_t y = pt_binary(t, "MatMul", w, v);
    if (t->variant) {
        pt_output(t, y);
        return;
    }
    nnd_graph_node *cast = pt_node_of(t, "Cast", 1, (uint32_t[]){pt_unary(t, "IsNaN", y)});
    assert_ok(nnd_node_add_int(t->g, cast, "to", 1));
    pt_output(t, cast->outputs[0]);
}

static void an_empty_row_stays_what_it_was(void **state)
{
    (void)state;
    for (int variant = 0; variant < 2; variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_empty_row, 13, variant, nnd_pass_attention, 1e-5, &changes);
        assert_int_equal(changes, 1);
        nnd_graph_destroy(g);
    }
}

/* A mask may have more batches, rows or columns than the scores; so may one operand than another.
 */
static void build_broadcast(pass_test *t)
{
    static const struct {
        int64_t q[4], k[4], v[4], mask[4];
    } all[] = {
        {{1, 2, 5, 8}, {1, 2, 7, 8}, {1, 2, 7, 6}, {3, 1, 1, 7}},
        {{1, 2, 1, 8}, {1, 2, 7, 8}, {1, 2, 7, 6}, {1, 1, 5, 7}},
        {{1, 2, 5, 8}, {1, 2, 1, 8}, {1, 2, 7, 6}, {1, 1, 1, 7}},
        {{2, 3, 5, 8}, {1, 3, 7, 8}, {2, 1, 7, 6}, {1, 1, 1, 1}},
    };
    uint32_t q = pt_input(t, "q", 4, all[t->variant].q), k = pt_input(t, "k", 4, all[t->variant].k);
    uint32_t v = pt_input(t, "v", 4, all[t->variant].v);
    uint32_t s = pt_binary(t, "MatMul", q, pt_transpose(t, k, 4, (int64_t[]){0, 1, 3, 2}));
    s = pt_binary(t, "Add", s, pt_weights(t, 4, all[t->variant].mask));
    pt_output(t, pt_binary(t, "MatMul", pt_unary(t, "Softmax", s), v));
}

static void everything_broadcasts(void **state)
{
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_broadcast, 13, variant, nnd_pass_attention, 2e-5, &changes);
        assert_int_equal(changes, 1);
        nnd_graph_destroy(g);
    }
}

/* ---- what stays ------------------------------------------------------------------------------ */

enum {
    SCORES_ARE_READ,
    WEIGHTS_ARE_AN_OUTPUT,
    OTHER_AXIS,
    MASK_OF_MORE_RANKS,
    FACTOR_PER_KEY,
    NO_NUMBER_IN_WHERE,
    OF_F16,
    GUARD_OF_ANOTHER,
    STAYING
};

static uint32_t cast(pass_test *t, uint32_t x, int64_t to)
{
    nnd_graph_node *n = pt_node_of(t, "Cast", 1, &x);
    assert_ok(nnd_node_add_int(t->g, n, "to", to));
    return n->outputs[0];
}

static void build_other(pass_test *t)
{
    const int64_t per_key[1] = {KEYS}, ranks[5] = {1, 1, 1, 1, KEYS};
    const int64_t x[4] = {1, 2, KEYS, SIZE};
    uint32_t q = pt_input(t, "q", 4, x), k = pt_input(t, "k", 4, x), v = pt_input(t, "v", 4, x);
    if (t->variant == OF_F16) {
        q = cast(t, q, 10);
        k = cast(t, k, 10);
        v = cast(t, v, 10);
    }
    uint32_t s = pt_binary(t, "MatMul", q, pt_transpose(t, k, 4, (int64_t[]){0, 1, 3, 2}));
    if (t->variant == SCORES_ARE_READ) pt_output(t, pt_unary(t, "Neg", s));
    if (t->variant == MASK_OF_MORE_RANKS) s = pt_binary(t, "Add", s, pt_weights(t, 5, ranks));
    if (t->variant == FACTOR_PER_KEY) s = pt_binary(t, "Mul", s, pt_weights(t, 1, per_key));
    if (t->variant == NO_NUMBER_IN_WHERE)
        s = where(t, pt_binary(t, "Greater", s, pt_number(t, 0)), s, pt_weights(t, 1, per_key));
    nnd_graph_node *softmax = pt_node_of(t, "Softmax", 1, &s);
    uint32_t w = softmax->outputs[0];
    assert_ok(nnd_node_add_int(t->g, softmax, "axis", t->variant == OTHER_AXIS ? -2 : -1));
    if (t->variant == WEIGHTS_ARE_AN_OUTPUT) pt_output(t, w);
    if (t->variant == GUARD_OF_ANOTHER)
        w = where(t, pt_unary(t, "IsNaN", s), pt_number(t, 0.0f), w);
    uint32_t y = pt_binary(t, "MatMul", w, v);
    pt_output(t, t->variant == OF_F16 ? cast(t, y, 1) : y);
}

static void what_only_looks_like_attention_stays(void **state)
{
    (void)state;
    for (int variant = 0; variant < STAYING; variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_other, 13, variant, nnd_pass_attention, 0, &changes);
        if (changes) fail_msg("variant %d was taken for attention", variant);
        nnd_graph_destroy(g);
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Activations and scratch of a plan for `n` queries and keys of one head. */
static size_t plan_bytes(nnd_graph *g, int64_t n)
{
    nnd_tensor in[3];
    nnd_plan *plan;
    const nnd_plan_options options = {false, (uint64_t)1 << 40};
    for (size_t i = 0; i < 3; i++)
        assert_ok(nnd_tensor_init(&in[i], NND_F32, 3, (int64_t[]){1, n, SIZE}, NULL));
    assert_ok(nnd_plan_create(g, in, &options, &plan));
    size_t bytes = plan->arena_bytes + plan->lane_bytes;
    nnd_plan_destroy(plan);
    return bytes;
}

static void build_open(pass_test *t)
{
    const int64_t dims[3] = {1, -1, SIZE};
    uint32_t q = pt_input(t, "q", 3, dims), k = pt_input(t, "k", 3, dims);
    uint32_t v = pt_input(t, "v", 3, dims);
    uint32_t s = pt_binary(t, "MatMul", q, pt_transpose(t, k, 3, (int64_t[]){0, 2, 1}));
    s = pt_unary(t, "Softmax", pt_binary(t, "Mul", s, pt_number(t, 0.3f)));
    pt_output(t, pt_binary(t, "MatMul", s, v));
}

static void memory_does_not_grow_with_the_square(void **state)
{
    (void)state;
    size_t changes = 0;
    nnd_graph *plain = pt_graph(build_open, 17, 0), *g = pt_graph(build_open, 17, 0);
    assert_ok(nnd_passes_shapes(g));
    assert_ok(nnd_pass_attention(g, &changes));
    assert_int_equal(changes, 1);
    assert_ok(nnd_pass_dead_code(g, &changes));
    assert_int_equal(g->node_count, 1);
    nnd_packed *packed;
    assert_ok(nnd_packed_create(&packed));
    assert_ok(nnd_graph_prepare(plain, packed, pt_packed, NULL));
    assert_ok(nnd_graph_prepare(g, packed, pt_packed, NULL));
    size_t few = plan_bytes(g, 512), many = plan_bytes(g, 8192);
    assert_true(many <= 17 * few);
    assert_true(plan_bytes(plain, 8192) >= (size_t)8192 * 8192 * sizeof(float));
    assert_true(many < (size_t)1 << 19);
    nnd_graph_release(plain);
    nnd_graph_release(g);
    nnd_packed_destroy(packed);
    nnd_graph_destroy(plain);
    nnd_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_becomes_one_node),
        cmocka_unit_test(an_empty_row_stays_what_it_was),
        cmocka_unit_test(everything_broadcasts),
        cmocka_unit_test(what_only_looks_like_attention_stays),
        cmocka_unit_test(memory_does_not_grow_with_the_square),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
