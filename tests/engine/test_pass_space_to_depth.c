/* Pixels that are sorted into channels, and the convolution behind them. */
#include "pass_support.h"

/* ---- what networks begin with ---------------------------------------------------------------- */

enum { ALONG_BOTH = 1, NEGATIVE = 2, STRIDED = 4, WIDE = 8, OPERATOR = 16, VARIANTS = 32 };

/* Pixels first[axis], first[axis] + step, … below `end`. */
static uint32_t slice(pass_test *t, uint32_t x, size_t axes, const int64_t *axis,
                      const int64_t *first, int64_t step, int64_t end)
{
    const int64_t ends[2] = {end, end}, steps[2] = {step, step};
    const uint32_t in[5] = {x, pt_ints(t, axes, first), pt_ints(t, axes, ends),
                            pt_ints(t, axes, axis), pt_ints(t, axes, steps)};
    return pt_node_of(t, "Slice", 5, in)->outputs[0];
}

static uint32_t piece(pass_test *t, uint32_t x, const int64_t *first, int64_t step)
{
    const int64_t axes[2] = {2, 3}, negative[2] = {-2, -1};
    const int64_t *axis = t->variant & NEGATIVE ? negative : axes;
    int64_t end = t->variant & NEGATIVE ? INT64_MAX : INT32_MAX;
    if (t->variant & ALONG_BOTH) return slice(t, x, 2, axis, first, step, end);
    return slice(t, slice(t, x, 1, axis, first, step, end), 1, axis + 1, first + 1, step, end);
}

static uint32_t concat(pass_test *t, size_t count, const uint32_t *pieces)
{
    nnd_graph_node *n = pt_node_of(t, "Concat", count, pieces);
    assert_ok(nnd_node_add_int(t->g, n, "axis", 1));
    return n->outputs[0];
}

/* Columns first, as detectors do it. */
static uint32_t sorted(pass_test *t, uint32_t x, int64_t step)
{
    uint32_t pieces[16];
    if (t->variant & OPERATOR) {
        nnd_graph_node *n = pt_node_of(t, "SpaceToDepth", 1, &x);
        assert_ok(nnd_node_add_int(t->g, n, "blocksize", step));
        return n->outputs[0];
    }
    for (int64_t i = 0; i < step * step; i++)
        pieces[i] = piece(t, x, (int64_t[]){i % step, i / step}, step);
    return concat(t, (size_t)(step * step), pieces);
}

static void build_stem(pass_test *t)
{
    bool strided = t->variant & STRIDED;
    int64_t step = t->variant & WIDE ? 3 : 2;
    const int64_t x[4] = {2, 3, 4 * step, 5 * step}, w[4] = {7, 3 * step * step, 3, 2}, b[1] = {7};
    const uint32_t in[3] = {sorted(t, pt_input(t, "x", 4, x), step), pt_weights(t, 4, w),
                            pt_weights(t, 1, b)};
    nnd_graph_node *n = pt_node_of(t, "Conv", strided ? 3 : 2, in);
    pt_output(t, n->outputs[0]);
    if (!strided) return;
    assert_ok(nnd_node_add_ints(t->g, n, "strides", (int64_t[]){2, 1}, 2));
    assert_ok(nnd_node_add_ints(t->g, n, "pads", (int64_t[]){1, 0, 2, 1}, 4));
    assert_ok(nnd_node_add_ints(t->g, n, "kernel_shape", w + 2, 2));
}

static void the_convolution_reads_the_picture(void **state)
{
    (void)state;
    for (int variant = 0; variant < VARIANTS; variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_stem, 13, variant, nnd_pass_space_to_depth, 1e-5, &changes);
        assert_int_equal(changes, 1);
        assert_int_equal(g->node_count, 1);
        assert_string_equal(g->nodes[0].type, "Conv");
        assert_int_equal(g->nodes[0].inputs[0], g->inputs[0]);
        nnd_graph_destroy(g);
    }
}

/* ---- what stays ------------------------------------------------------------------------------ */

enum { CHANNELS, DILATED, GROUPED, READ_TWICE, SHORT, LATE, UNEVEN, TWICE, OTHER_PICTURE, STAYING };

static void build_other(pass_test *t)
{
    static const int64_t order[4][2] = {{0, 0}, {1, 0}, {0, 1}, {1, 1}};
    const int64_t axis[2] = {2, 3};
    int64_t c = t->variant == CHANNELS ? 5 : 2;
    const int64_t x[4] = {1, c, 8, 16}, w[4] = {4, t->variant == GROUPED ? 2 * c : 4 * c, 2, 2};
    uint32_t in = pt_input(t, "x", 4, x), other = pt_unary(t, "Neg", in), pieces[4];
    for (int i = 0; i < 4; i++) {
        int64_t step = 2, end = INT32_MAX;
        int64_t first[2] = {order[i][0], order[i][1]};
        if (t->variant == SHORT) end = 6;
        if (t->variant == LATE) first[0] += 2;
        uint32_t from = t->variant == OTHER_PICTURE && i == 3 ? other : in;
        from = slice(t, from, 1, axis, first, step, end);
        if (t->variant == UNEVEN) step = 4;
        pieces[i] = slice(t, from, 1, axis + (t->variant != TWICE), first + 1, step, end);
    }
    uint32_t all = concat(t, 4, pieces);
    nnd_graph_node *n = pt_node_of(t, "Conv", 2, (uint32_t[]){all, pt_weights(t, 4, w)});
    pt_output(t, n->outputs[0]);
    if (t->variant == READ_TWICE) pt_output(t, all);
    if (t->variant == GROUPED) assert_ok(nnd_node_add_int(t->g, n, "group", 2));
    if (t->variant == DILATED)
        assert_ok(nnd_node_add_ints(t->g, n, "dilations", (int64_t[]){2, 1}, 2));
}

static void what_is_sorted_otherwise_stays(void **state)
{
    (void)state;
    for (int variant = 0; variant < STAYING; variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_other, 13, variant, nnd_pass_space_to_depth, 0, &changes);
        if (changes) fail_msg("case %d was taken for a picture's pixels", variant);
        nnd_graph_destroy(g);
    }
}

/* 0: both fixed and even; 1: one is odd, which is an error that running the model tells; 2: one is
   open, and a run may bring an odd one. */
static void build_sizes(pass_test *t)
{
    const int64_t heights[3] = {8, 7, -1}, w[4] = {4, 12, 3, 3};
    const int64_t x[4] = {-1, 3, heights[t->variant], 8};
    uint32_t in = pt_input(t, "x", 4, x);
    t->variant = 0;
    pt_output(t, pt_binary(t, "Conv", sorted(t, in, 2), pt_weights(t, 4, w)));
}

static void sizes_have_to_be_known_and_even(void **state)
{
    (void)state;
    for (int variant = 0; variant < 3; variant++) {
        size_t changes = 0;
        nnd_graph *g = pt_graph(build_sizes, 13, variant);
        assert_ok(nnd_passes_shapes(g));
        assert_ok(nnd_pass_space_to_depth(g, &changes));
        assert_int_equal(changes, variant == 0);
        nnd_graph_destroy(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_convolution_reads_the_picture),
        cmocka_unit_test(what_is_sorted_otherwise_stays),
        cmocka_unit_test(sizes_have_to_be_known_and_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
