/* Passes that fuse: what the graph looks like before and after, equal results, and when they must
   keep their hands off. */
#include "pass_support.h"

/* ---- scale ----------------------------------------------------------------------------------- */

/* variant: bit 0: with bias; bits 1, 2: the arithmetic; bit 3: per channel, else one number. */
static void build_conv_arithmetic(pass_test *t)
{
    static const char *const types[] = {"Add", "Sub", "Mul", "Div"};
    const int64_t x[4] = {2, 4, 5, 6}, w[4] = {6, 2, 3, 3}, b[1] = {6}, per[3] = {6, 1, 1};
    uint32_t in[3] = {pt_input(t, "x", 4, x), pt_weights(t, 4, w), pt_weights(t, 1, b)};
    nnd_graph_node *conv = pt_node_of(t, "Conv", t->variant & 1 ? 3 : 2, in);
    uint32_t y = conv->outputs[0];
    assert_ok(nnd_node_add_int(t->g, conv, "group", 2));
    uint32_t operand = t->variant & 8 ? pt_weights(t, 3, per) : pt_number(t, 2.5f);
    const char *type = types[t->variant >> 1 & 3];
    bool swap = t->variant & 1 && (type[0] == 'A' || type[0] == 'M');
    pt_output(t, swap ? pt_binary(t, type, operand, y) : pt_binary(t, type, y, operand));
}

static void arithmetic_goes_into_the_convolution(void **state)
{
    (void)state;
    for (int variant = 0; variant < 16; variant++) {
        size_t changes;
        nnd_graph *g =
            pt_compare(build_conv_arithmetic, 13, variant, nnd_pass_scale, 1e-5, &changes);
        assert_int_equal(changes, 1);
        assert_int_equal(g->node_count, 1);
        assert_string_equal(g->nodes[0].type, "Conv");
        bool product = variant & 4;
        assert_int_equal(g->nodes[0].formal_count, product && !(variant & 1) ? 2 : 3);
        nnd_graph_destroy(g);
    }
}

/* variant: 0 MatMul, 1 MatMul of three dimensions, 2 Gemm, 3 Gemm with transB and C; Add or Sub. */
static void build_product_and_bias(pass_test *t)
{
    int kind = t->variant & 3;
    const int64_t x[3] = {2, 3, 4}, w[2] = {4, 5}, wt[2] = {5, 4}, b[3] = {1, 1, 5};
    uint32_t in[3] = {pt_input(t, "x", kind == 1 ? 3 : 2, kind == 1 ? x : x + 1),
                      pt_weights(t, 2, kind == 3 ? wt : w), pt_weights(t, 1, b + 2)};
    nnd_graph_node *n = pt_node_of(t, kind < 2 ? "MatMul" : "Gemm", kind == 3 ? 3 : 2, in);
    uint32_t y = n->outputs[0];
    if (kind == 3) assert_ok(nnd_node_add_int(t->g, n, "transB", 1));
    uint32_t bias = kind == 1 ? pt_weights(t, 3, b) : pt_weights(t, 1, b + 2);
    bool less = t->variant & 4;
    pt_output(t, less ? pt_binary(t, "Sub", y, bias) : pt_binary(t, "Add", bias, y));
}

static void a_bias_goes_into_the_product(void **state)
{
    (void)state;
    for (int variant = 0; variant < 8; variant++) {
        size_t changes;
        nnd_graph *g =
            pt_compare(build_product_and_bias, 13, variant, nnd_pass_scale, 1e-5, &changes);
        assert_int_equal(changes, 1);
        assert_int_equal(g->node_count, 1);
        assert_int_equal(g->nodes[0].formal_count, 3);
        nnd_graph_destroy(g);
    }
}

/* 0: along another dimension than the channels; 1: the constant is divided; 2: the layer's result
   is an output; 3: the operand makes the result larger; 4: a product with a matrix product. */
static void build_not_foldable(pass_test *t)
{
    const int64_t x[4] = {1, 4, 5, 6}, w[4] = {6, 4, 1, 1}, width[1] = {6},
                  one[5] = {1, 1, 1, 1, 1};
    const int64_t m[2] = {6, 3};
    uint32_t in = pt_input(t, "x", 4, x);
    uint32_t y = t->variant == 4 ? pt_binary(t, "MatMul", in, pt_weights(t, 2, m))
                                 : pt_binary(t, "Conv", in, pt_weights(t, 4, w));
    if (t->variant == 2) pt_output(t, y);
    if (t->variant == 0) pt_output(t, pt_binary(t, "Add", y, pt_weights(t, 1, width)));
    if (t->variant == 1)
        pt_output(t, pt_binary(t, "Div", pt_number(t, 3.0f),
                               pt_binary(t, "Sub", pt_number(t, 1000.0f), y)));
    if (t->variant == 2 || t->variant == 4) pt_output(t, pt_binary(t, "Mul", y, pt_number(t, 2)));
    if (t->variant == 3) pt_output(t, pt_binary(t, "Add", y, pt_weights(t, 5, one)));
}

static void what_does_not_fit_a_layer_stays(void **state)
{
    (void)state;
    for (int variant = 0; variant < 5; variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_not_foldable, 13, variant, nnd_pass_scale, 0, &changes);
        assert_int_equal(changes, 0);
        nnd_graph_destroy(g);
    }
}

/* ---- batch normalisation -----------------------------------------------------------------------
 */

static uint32_t batchnorm(pass_test *t, uint32_t x, int64_t channels)
{
    uint32_t in[5] = {x};
    for (int k = 1; k < 5; k++)
        in[k] = pt_weights(t, 1, &channels);
    in[4] = pt_unary(t, "Exp", in[4]); /* no variance is negative */
    return pt_node_of(t, "BatchNormalization", 5, in)->outputs[0];
}

/* variant, bits 0 and 1: MatMul, Gemm, Gemm with transB and C, ConvTranspose of two groups; 4: the
   product has three dimensions, so that its channels are not those that are normalised. */
static void build_layer_and_batchnorm(pass_test *t)
{
    static const char *const types[] = {"MatMul", "Gemm", "Gemm", "ConvTranspose", "MatMul"};
    const int64_t row[2] = {3, 4}, rows[3] = {2, 5, 4}, w[2] = {4, 5}, wt[2] = {5, 4};
    const int64_t picture[4] = {2, 4, 3, 3}, kernel[4] = {4, 3, 2, 3}, five = 5, six = 6;
    int kind = t->variant;
    uint32_t in[3] = {kind == 3   ? pt_input(t, "x", 4, picture)
                      : kind == 4 ? pt_input(t, "x", 3, rows)
                                  : pt_input(t, "x", 2, row)};
    in[1] = kind == 3 ? pt_weights(t, 4, kernel) : pt_weights(t, 2, kind == 2 ? wt : w);
    in[2] = pt_weights(t, 1, kind == 3 ? &six : &five);
    nnd_graph_node *n = pt_node_of(t, types[kind], kind == 2 || kind == 3 ? 3 : 2, in);
    uint32_t y = n->outputs[0];
    if (kind == 2) assert_ok(nnd_node_add_int(t->g, n, "transB", 1));
    if (kind == 2) assert_ok(nnd_node_add_float(t->g, n, "alpha", 0.5f));
    if (kind == 3) assert_ok(nnd_node_add_int(t->g, n, "group", 2));
    pt_output(t, batchnorm(t, y, kind == 3 ? 6 : 5));
}

static nnd_status fold_and_normalise(nnd_graph *g, size_t *changes)
{
    size_t folded = 0; /* the Exp */
    NND_TRY(nnd_pass_constant_folding(g, &folded));
    return nnd_pass_batchnorm(g, changes);
}

static void batchnorm_goes_into_layers(void **state)
{
    (void)state;
    for (int variant = 0; variant < 5; variant++) {
        size_t changes;
        nnd_graph *g =
            pt_compare(build_layer_and_batchnorm, 13, variant, fold_and_normalise, 1e-5, &changes);
        assert_int_equal(changes, variant < 4);
        assert_int_equal(g->node_count, variant < 4 ? 1 : 2);
        nnd_graph_destroy(g);
    }
}

/* variant: the rank, and channels few enough to stay. */
static void build_batchnorm_alone(pass_test *t)
{
    const int64_t dims[4] = {2, t->variant == 5 ? 8 : 20, 3, 5};
    int rank = t->variant == 5 ? 4 : t->variant;
    uint32_t x = pt_unary(t, "Relu", pt_input(t, "x", rank, dims));
    pt_output(t, pt_unary(t, "Neg", batchnorm(t, x, dims[1])));
}

static void batchnorm_alone_becomes_a_convolution(void **state)
{
    (void)state;
    for (int variant = 2; variant < 6; variant++) {
        size_t changes;
        nnd_graph *g =
            pt_compare(build_batchnorm_alone, 13, variant, fold_and_normalise, 1e-5, &changes);
        assert_int_equal(changes, variant == 4);
        bool conv = false;
        for (size_t i = 0; i < g->node_count; i++)
            conv = conv || strcmp(g->nodes[i].type, "Conv") == 0;
        assert_int_equal(conv, variant == 4);
        nnd_graph_destroy(g);
    }
}

/* variant: an operation per channel or with one number behind a ConvTranspose of two groups. */
static void build_transposed_arithmetic(pass_test *t)
{
    static const char *const types[] = {"Add", "Sub", "Mul", "Div"};
    const int64_t x[4] = {2, 4, 3, 3}, w[4] = {4, 3, 2, 3}, per[3] = {6, 1, 1};
    uint32_t in[2] = {pt_input(t, "x", 4, x), pt_weights(t, 4, w)};
    nnd_graph_node *n = pt_node_of(t, "ConvTranspose", 2, in);
    uint32_t y = n->outputs[0];
    assert_ok(nnd_node_add_int(t->g, n, "group", 2));
    uint32_t operand = t->variant & 4 ? pt_weights(t, 3, per) : pt_number(t, 2.5f);
    pt_output(t, pt_binary(t, types[t->variant & 3], y, operand));
}

static void arithmetic_goes_into_the_transposed_convolution(void **state)
{
    (void)state;
    for (int variant = 0; variant < 8; variant++) {
        size_t changes;
        nnd_graph *g =
            pt_compare(build_transposed_arithmetic, 13, variant, nnd_pass_scale, 1e-5, &changes);
        assert_int_equal(changes, 1);
        assert_int_equal(g->node_count, 1);
        nnd_graph_destroy(g);
    }
}

/* ---- normalisation --------------------------------------------------------------------------- */

static uint32_t mean(pass_test *t, uint32_t x, int64_t axis)
{
    if (t->opset >= 18) return pt_binary(t, "ReduceMean", x, pt_ints(t, 1, &axis));
    nnd_graph_node *n = pt_node_of(t, "ReduceMean", 1, &x);
    assert_ok(nnd_node_add_ints(t->g, n, "axes", &axis, 1));
    return n->outputs[0];
}

enum { MUL_SQUARE = 1, RECIPROCAL = 2, RMS = 4, NO_SHIFT = 8, ONE_OVER = 16, SWAPPED = 32 };

static uint32_t normalised(pass_test *t, uint32_t x, int64_t axis, uint32_t gamma)
{
    uint32_t d = t->variant & RMS ? x : pt_binary(t, "Sub", x, mean(t, x, axis));
    uint32_t square = t->variant & MUL_SQUARE ? pt_binary(t, "Mul", d, d)
                                              : pt_binary(t, "Pow", d, pt_number(t, 2));
    uint32_t sum = pt_binary(t, "Add", mean(t, square, axis), pt_number(t, 1e-5f));
    uint32_t root = pt_unary(t, "Sqrt", sum), n;
    if (t->variant & RECIPROCAL)
        n = pt_binary(t, "Mul", d, pt_unary(t, "Reciprocal", root));
    else if (t->variant & ONE_OVER)
        n = pt_binary(t, "Mul", pt_binary(t, "Div", pt_number(t, 1), root), d);
    else
        n = pt_binary(t, "Div", d, root);
    return t->variant & SWAPPED ? pt_binary(t, "Mul", gamma, n) : pt_binary(t, "Mul", n, gamma);
}

static void build_norm(pass_test *t)
{
    const int64_t x[3] = {2, 5, 24};
    uint32_t y = normalised(t, pt_input(t, "x", 3, x), -1, pt_weights(t, 1, x + 2));
    pt_output(t, t->variant & NO_SHIFT ? y : pt_binary(t, "Add", y, pt_weights(t, 1, x + 2)));
}

static void normalisation_is_recognised(void **state)
{
    (void)state;
    for (int64_t opset = 13; opset <= 18; opset += 5) {
        for (int variant = 0; variant < 64; variant++) {
            size_t changes;
            nnd_graph *g =
                pt_compare(build_norm, opset, variant, nnd_pass_normalization, 2e-5, &changes);
            bool rms = variant & RMS, shift = !(variant & NO_SHIFT);
            assert_int_equal(pt_count(g, rms ? "RMSNormalization" : "LayerNormalization"), 1);
            assert_int_equal(changes, !rms && shift ? 2 : 1);
            assert_int_equal(g->node_count, rms && shift ? 2 : 1);
            nnd_graph_destroy(g);
        }
    }
}

/* 0: over another dimension; 1: γ makes the result larger; 2: the mean of something else. */
static void build_no_norm(pass_test *t)
{
    const int64_t x[3] = {2, 4, 4}, narrow[3] = {2, 4, 1}, wide[1] = {8};
    uint32_t in = pt_input(t, "x", 3, t->variant == 1 ? narrow : x);
    uint32_t gamma = pt_weights(t, 1, t->variant == 1 ? wide : x + 1);
    int variant = t->variant;
    t->variant = 0;
    if (variant < 2) {
        pt_output(t, normalised(t, in, variant == 0 ? 1 : -1, gamma));
        return;
    }
    uint32_t d = pt_binary(t, "Sub", in, mean(t, in, -1)), a = pt_unary(t, "Abs", d);
    uint32_t sum = pt_binary(t, "Add", mean(t, pt_binary(t, "Mul", a, a), -1), pt_number(t, 1e-5f));
    pt_output(t, pt_binary(t, "Mul", pt_binary(t, "Div", d, pt_unary(t, "Sqrt", sum)), gamma));
}

static void what_is_no_normalisation_stays(void **state)
{
    (void)state;
    for (int variant = 0; variant < 3; variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_no_norm, 13, variant, nnd_pass_normalization, 0, &changes);
        assert_int_equal(changes, 0);
        nnd_graph_destroy(g);
    }
}

/* ---- Gelu, Swish, HardSwish ------------------------------------------------------------------ */

static uint32_t gelu_step(pass_test *t, uint32_t x, bool tanh, bool other)
{
    if (!tanh) {
        uint32_t r = other ? pt_binary(t, "Mul", x, pt_number(t, 0.70710678f))
                           : pt_binary(t, "Div", x, pt_number(t, 1.41421356f));
        return pt_binary(t, "Add", pt_unary(t, "Erf", r), pt_number(t, 1));
    }
    uint32_t cube = other ? pt_binary(t, "Mul", pt_binary(t, "Mul", x, x), x)
                          : pt_binary(t, "Pow", x, pt_number(t, 3));
    uint32_t sum = pt_binary(t, "Add", x, pt_binary(t, "Mul", cube, pt_number(t, 0.044715f)));
    uint32_t u = pt_binary(t, "Mul", pt_number(t, 0.7978845608f), sum);
    return pt_binary(t, "Add", pt_number(t, 1), pt_unary(t, "Tanh", u));
}

/* bit 0: tanh; bit 1: another way to write the argument; bits 2, 3: order of the factors. */
static void build_gelu(pass_test *t)
{
    const int64_t dims[3] = {2, 5, 24};
    uint32_t x = pt_input(t, "x", 3, dims);
    uint32_t step = gelu_step(t, x, t->variant & 1, t->variant & 2), y = 0;
    if (t->variant >> 2 == 0)
        y = pt_binary(t, "Mul", pt_binary(t, "Mul", x, step), pt_number(t, 0.5f));
    if (t->variant >> 2 == 1)
        y = pt_binary(t, "Mul", pt_binary(t, "Mul", pt_number(t, 0.5f), x), step);
    if (t->variant >> 2 == 2)
        y = pt_binary(t, "Mul", x, pt_binary(t, "Mul", pt_number(t, 0.5f), step));
    if (t->variant >> 2 == 3)
        y = pt_binary(t, "Mul", step, pt_binary(t, "Div", x, pt_number(t, 2)));
    pt_output(t, y);
}

static void gelu_is_recognised(void **state)
{
    (void)state;
    for (int variant = 0; variant < 16; variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_gelu, 13, variant, nnd_pass_gelu, 2e-6, &changes);
        assert_int_equal(changes, 1);
        assert_int_equal(g->node_count, 1);
        assert_string_equal(g->nodes[0].type, "Gelu");
        bool tanh = strcmp(nnd_node_string(&g->nodes[0], "approximate", "none"), "tanh") == 0;
        assert_int_equal(tanh, variant & 1);
        nnd_graph_destroy(g);
    }
}

/* 0, 1: Swish; 2, 3: with a factor; 4 … 7: HardSwish in four forms. */
static void build_gated(pass_test *t)
{
    const int64_t dims[2] = {7, 9};
    uint32_t x = pt_input(t, "x", 2, dims), y;
    if (t->variant < 4) {
        uint32_t in = t->variant & 2 ? pt_binary(t, "Mul", x, pt_number(t, 1.702f)) : x;
        uint32_t gate = pt_unary(t, "Sigmoid", in);
        y = t->variant & 1 ? pt_binary(t, "Mul", gate, x) : pt_binary(t, "Mul", x, gate);
    } else if (t->variant == 4) {
        nnd_graph_node *gate = pt_node_of(t, "HardSigmoid", 1, &x);
        uint32_t made = gate->outputs[0];
        assert_ok(nnd_node_add_float(t->g, gate, "alpha", 1.0f / 6.0f));
        y = pt_binary(t, "Mul", x, made);
    } else {
        uint32_t sum = pt_binary(t, "Add", pt_number(t, 3), x);
        const uint32_t in[3] = {sum, pt_number(t, 0), pt_number(t, 6)};
        uint32_t clip = pt_node_of(t, "Clip", 3, in)->outputs[0], six = pt_number(t, 6);
        if (t->variant == 5)
            y = pt_binary(t, "Mul", x, pt_binary(t, "Div", clip, six));
        else if (t->variant == 6)
            y = pt_binary(t, "Div", pt_binary(t, "Mul", clip, x), six);
        else
            y = pt_binary(t, "Mul", pt_number(t, 1.0f / 6.0f), pt_binary(t, "Mul", x, clip));
    }
    pt_output(t, y);
}

static void gates_are_recognised(void **state)
{
    (void)state;
    for (int variant = 0; variant < 8; variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_gated, 13, variant, nnd_pass_gelu, 2e-6, &changes);
        assert_int_equal(changes, 1);
        assert_int_equal(g->node_count, 1);
        assert_string_equal(g->nodes[0].type, variant < 4 ? "Swish" : "HardSwish");
        nnd_graph_destroy(g);
    }
}

/* Near misses: another x, another number, one dimension more by a constant. */
static void build_near_miss(pass_test *t)
{
    const int64_t dims[2] = {7, 9}, more[3] = {1, 1, 1};
    uint32_t x = pt_input(t, "x", 2, dims), z = pt_unary(t, "Neg", x), half = pt_number(t, 0.5f);
    if (t->variant == 0) pt_output(t, pt_binary(t, "Mul", x, pt_unary(t, "Sigmoid", z)));
    if (t->variant == 1)
        pt_output(t,
                  pt_binary(t, "Mul", pt_binary(t, "Mul", z, half), gelu_step(t, x, false, false)));
    if (t->variant == 2)
        pt_output(t, pt_binary(t, "Mul", pt_binary(t, "Mul", x, pt_number(t, 0.51f)),
                               gelu_step(t, x, true, false)));
    if (t->variant == 3) {
        uint32_t wide = pt_binary(t, "Mul", x, pt_weights(t, 3, more));
        pt_output(t, pt_binary(t, "Mul", x, pt_unary(t, "Sigmoid", wide)));
    }
}

static void near_misses_stay(void **state)
{
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_near_miss, 13, variant, nnd_pass_gelu, 0, &changes);
        assert_int_equal(changes, 0);
        nnd_graph_destroy(g);
    }
}

/* ---- transpose ------------------------------------------------------------------------------- */

static const int64_t to_last[4] = {0, 2, 3, 1}, to_first[4] = {0, 3, 1, 2}, turn[4] = {3, 0, 1, 2};

/* 0: cancel at once; 1: two become one; 2, 3: cancel across operators; 4: the cancelled one is an
   output; 5: three in a row. */
static void build_transposes(pass_test *t)
{
    const int64_t dims[4] = {2, 3, 4, 5};
    uint32_t x = pt_input(t, "x", 4, dims), y = pt_transpose(t, x, 4, to_last);
    if (t->variant == 1) y = pt_transpose(t, y, 4, turn);
    if (t->variant == 2 || t->variant == 3) {
        y = pt_unary(t, "Relu", pt_binary(t, "Mul", pt_number(t, 3), y));
        if (t->variant == 3)
            y = pt_binary(t, "Sub", y, pt_transpose(t, pt_unary(t, "Neg", x), 4, to_last));
    }
    if (t->variant == 5) y = pt_transpose(t, pt_transpose(t, y, 4, turn), 4, turn);
    if (t->variant != 1 && t->variant != 5) y = pt_transpose(t, y, 4, to_first);
    pt_output(t, t->variant == 4 ? y : pt_unary(t, "Exp", y));
}

static void transpositions_cancel(void **state)
{
    (void)state;
    static const size_t left[] = {0, 1, 0, 0, 1, 1};
    for (int variant = 0; variant < (int)NND_COUNT(left); variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_transposes, 13, variant, nnd_pass_transpose, 0, &changes);
        assert_true(changes > 0);
        assert_int_equal(pt_count(g, "Transpose"), left[variant]);
        nnd_graph_destroy(g);
    }
}

/* 0: somebody else reads the transposed one; 1: an operand that is a vector; 2: two orders. */
static void build_needed_transposes(pass_test *t)
{
    const int64_t dims[4] = {2, 3, 4, 4}, vector[1] = {3};
    uint32_t x = pt_input(t, "x", 4, dims), y = pt_transpose(t, x, 4, to_last);
    if (t->variant == 0) {
        pt_output(t, y);
        y = pt_unary(t, "Relu", y);
    }
    if (t->variant == 1) y = pt_binary(t, "Mul", y, pt_weights(t, 1, vector));
    if (t->variant == 2) {
        const int64_t other[4] = {0, 3, 2, 1};
        y = pt_binary(t, "Add", y, pt_transpose(t, x, 4, other));
    }
    pt_output(t, pt_transpose(t, y, 4, to_first));
}

static void needed_transpositions_stay(void **state)
{
    (void)state;
    for (int variant = 0; variant < 3; variant++) {
        size_t changes;
        nnd_graph *g =
            pt_compare(build_needed_transposes, 13, variant, nnd_pass_transpose, 0, &changes);
        assert_int_equal(changes, 0);
        nnd_graph_destroy(g);
    }
}

/* ---- reshape --------------------------------------------------------------------------------- */

/* variant 1: the last one copies a dimension; 2: an output in the middle. */
static void build_views(pass_test *t)
{
    const int64_t dims[3] = {2, 3, 4}, first[2] = {6, 4}, last[2] = {-1, 2}, copying[2] = {0, -1};
    const int64_t axes[1] = {1};
    uint32_t x = pt_input(t, "x", 3, dims);
    uint32_t y = pt_binary(t, "Reshape", x, pt_ints(t, 2, first));
    if (t->variant == 2) pt_output(t, y);
    y = pt_unary(t, "Flatten", pt_binary(t, "Unsqueeze", y, pt_ints(t, 1, axes)));
    y = pt_binary(t, "Reshape", y, pt_ints(t, 2, t->variant == 1 ? copying : last));
    pt_output(t, pt_unary(t, "Exp", y));
}

static void views_become_the_last_one(void **state)
{
    (void)state;
    static const size_t nodes[] = {2, 5, 3};
    for (int variant = 0; variant < 3; variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_views, 13, variant, nnd_pass_reshape, 0, &changes);
        assert_int_equal(changes > 0, variant != 1);
        assert_int_equal(g->node_count, nodes[variant]);
        nnd_graph_destroy(g);
    }
}

/* ---- activation ------------------------------------------------------------------------------ */

/* variant: Swish, with a factor of its own, as in CLIP. */
static void build_product_and_swish(pass_test *t)
{
    const int64_t x[2] = {3, 4}, w[2] = {4, 5};
    uint32_t y = pt_binary(t, "Gemm", pt_input(t, "x", 2, x), pt_weights(t, 2, w));
    nnd_graph_node *n = pt_node_of(t, "Swish", 1, &y);
    uint32_t z = n->outputs[0];
    if (t->variant) assert_ok(nnd_node_add_float(t->g, n, "alpha", 1.702f));
    pt_output(t, z);
}

static void swish_goes_into_the_product(void **state)
{
    (void)state;
    for (int variant = 0; variant < 2; variant++) {
        size_t changes;
        nnd_graph *g =
            pt_compare(build_product_and_swish, 24, variant, nnd_pass_activation, 1e-5, &changes);
        assert_int_equal(changes, 1);
        assert_int_equal(g->node_count, 1);
        nnd_graph_destroy(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_goes_into_the_convolution),
        cmocka_unit_test(a_bias_goes_into_the_product),
        cmocka_unit_test(what_does_not_fit_a_layer_stays),
        cmocka_unit_test(batchnorm_goes_into_layers),
        cmocka_unit_test(batchnorm_alone_becomes_a_convolution),
        cmocka_unit_test(swish_goes_into_the_product),
        cmocka_unit_test(arithmetic_goes_into_the_transposed_convolution),
        cmocka_unit_test(normalisation_is_recognised),
        cmocka_unit_test(what_is_no_normalisation_stays),
        cmocka_unit_test(gelu_is_recognised),
        cmocka_unit_test(gates_are_recognised),
        cmocka_unit_test(near_misses_stay),
        cmocka_unit_test(transpositions_cancel),
        cmocka_unit_test(needed_transpositions_stay),
        cmocka_unit_test(views_become_the_last_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
