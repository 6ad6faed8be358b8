/* What goes into products: transpositions, additions of a tensor of the result's shape, Gelu. */
#include "pass_support.h"

/* ---- transpositions -------------------------------------------------------------------------- */

/* bits 0, 1: operand A, B is transposed; bit 2: Gemm with both attributes set, else MatMul; bit 3:
   two batches. */
static void build_transposed(pass_test *t)
{
    bool a = t->variant & 1, b = t->variant & 2, gemm = t->variant & 4, batch = t->variant & 8;
    int64_t m = 5, k = 7, n = 9, x[3] = {2, m, k}, y[3] = {2, k, n};
    int rank = batch ? 3 : 2, from = 3 - rank;
    const int64_t swap[3] = {0, rank - 1, rank - 2}, swap2[2] = {1, 0};
    bool stored_a = a != gemm, stored_b = b != gemm; /* Gemm's attributes turn both once more */
    if (stored_a) memcpy(x + 1, (int64_t[]){k, m}, sizeof(x[0]) * 2);
    if (stored_b) memcpy(y + 1, (int64_t[]){n, k}, sizeof(y[0]) * 2);
    uint32_t in[2] = {pt_input(t, "x", rank, x + from), pt_input(t, "y", rank, y + from)};
    if (a) in[0] = pt_transpose(t, in[0], rank, batch ? swap : swap2);
    if (b) in[1] = pt_transpose(t, in[1], rank, batch ? swap : swap2);
    nnd_graph_node *node = pt_node_of(t, gemm ? "Gemm" : "MatMul", 2, in);
    uint32_t result = node->outputs[0];
    if (gemm) {
        assert_ok(nnd_node_add_int(t->g, node, "transA", 1));
        assert_ok(nnd_node_add_int(t->g, node, "transB", 1));
    }
    pt_output(t, result);
}

static void transpositions_go_into_products(void **state)
{
    (void)state;
    for (int variant = 0; variant < 12; variant++) {
        size_t changes, transposed = (size_t)(variant & 1) + (size_t)(variant >> 1 & 1);
        nnd_graph *g = pt_compare(build_transposed, 13, variant, nnd_pass_product, 1e-5, &changes);
        assert_int_equal(changes, transposed);
        assert_int_equal(g->node_count, 1);
        bool fused = transposed && !(variant & 4);
        assert_string_equal(g->nodes[0].type, variant & 4 ? "Gemm"
                                              : fused     ? "FusedMatMul"
                                                          : "MatMul");
        nnd_graph_destroy(g);
    }
}

/* Another order, or another dimension. */
static void build_other_order(pass_test *t)
{
    const int64_t x[3] = {4, 5, 6};
    uint32_t in = pt_input(t, "x", 3, x);
    in = pt_transpose(t, in, 3, t->variant ? (int64_t[]){2, 1, 0} : (int64_t[]){1, 0, 2});
    int64_t w[2] = {t->variant ? 4 : 6, 3};
    pt_output(t, pt_binary(t, "MatMul", in, pt_weights(t, 2, w)));
}

static void other_transpositions_stay(void **state)
{
    (void)state;
    for (int variant = 0; variant < 2; variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_other_order, 13, variant, nnd_pass_product, 0, &changes);
        assert_int_equal(changes, 0);
        nnd_graph_destroy(g);
    }
}

/* ---- residuals ------------------------------------------------------------------------------- */

/* bit 0: Gemm; bit 1: with a bias; bit 2: the product is the second operand; bit 3: batches. */
static void build_residual(pass_test *t)
{
    bool gemm = t->variant & 1, batch = t->variant & 8;
    const int64_t x[3] = {2, 5, 7}, w[2] = {7, 9}, z[3] = {2, 5, 9}, b[1] = {9};
    int rank = batch ? 3 : 2, from = 3 - rank;
    uint32_t in[3] = {pt_input(t, "x", rank, x + from), pt_weights(t, 2, w), pt_weights(t, 1, b)};
    uint32_t other = pt_input(t, "z", rank, z + from);
    size_t count = t->variant & 2 ? 3 : 2;
    uint32_t y = pt_node_of(t, gemm ? "Gemm" : "MatMul", gemm ? count : 2, in)->outputs[0];
    if (!gemm && count == 3) y = pt_binary(t, "Add", y, in[2]);
    pt_output(t, t->variant & 4 ? pt_binary(t, "Add", other, y) : pt_binary(t, "Add", y, other));
}

/* The bias first, as in a model. */
static nnd_status scale_then_residual(nnd_graph *g, size_t *changes)
{
    size_t biases = 0, dead = 0;
    NND_TRY(nnd_pass_scale(g, &biases));
    NND_TRY(nnd_pass_dead_code(g, &dead));
    return nnd_pass_residual(g, changes);
}

static void residuals_go_into_products(void **state)
{
    (void)state;
    for (int variant = 0; variant < 16; variant++) {
        size_t changes;
        if ((variant & 9) == 9) continue; /* Gemm has no batches */
        nnd_graph *g = pt_compare(build_residual, 13, variant, scale_then_residual, 1e-5, &changes);
        assert_int_equal(changes, 1);
        assert_int_equal(g->node_count, 1);
        assert_int_equal(g->nodes[0].formal_count, 4);
        nnd_graph_destroy(g);
    }
}

/* At an open batch of 1 the constant has the shape of the product; at run time it is repeated. */
static void build_open_batch(pass_test *t)
{
    const int64_t open[3] = {-1, 5, 7}, x[3] = {3, 5, 7}, w[2] = {7, 9}, one[3] = {1, 5, 9};
    const int64_t more[3] = {4, 5, 9}, single[3] = {1, 5, 7};
    uint32_t in =
        t->variant == 2 ? pt_input(t, "x", 3, single) : pt_input(t, "x", 3, t->variant ? x : open);
    uint32_t y = pt_binary(t, "MatMul", in, pt_weights(t, 2, w));
    y = pt_binary(t, "Add", y, t->variant == 2 ? pt_weights(t, 3, more) : pt_weights(t, 3, one));
    pt_output(t, pt_unary(t, "Relu", y));
}

static nnd_graph *with_residual(int variant)
{
    nnd_graph *g = pt_graph(build_open_batch, 13, variant);
    size_t changes = 0;
    if (variant == 0) {
        assert_ok(nnd_passes_shapes(g));
        assert_ok(nnd_pass_residual(g, &changes));
        assert_int_equal(changes, 1);
        assert_ok(nnd_pass_activation(g, &changes));
        assert_int_equal(changes, 2);
        assert_int_equal(g->node_count, 1);
        g->values[g->inputs[0]].dims[0] = 3;
    }
    return g;
}

static void a_residual_may_be_repeated_after_all(void **state)
{
    (void)state;
    nnd_tensor plain, fused;
    nnd_graph *expected = with_residual(1), *g = with_residual(0);
    pt_run(expected, &plain);
    pt_run(g, &fused);
    pt_assert_close(&fused, &plain, 1e-5);
    nnd_free(plain.data);
    nnd_free(fused.data);
    nnd_graph_destroy(expected);
    nnd_graph_destroy(g);
}

/* The product is what is repeated: the same nodes at other shapes. */
static void a_product_may_be_repeated_after_all(void **state)
{
    (void)state;
    nnd_tensor plain, fused;
    nnd_graph *expected = pt_graph(build_open_batch, 13, 2), *g = pt_graph(build_open_batch, 13, 2);
    size_t changes = 0;
    assert_ok(nnd_passes_shapes(g));
    uint32_t sum = g->nodes[1].outputs[0], product = g->nodes[0].outputs[0];
    g->values[sum].nominal[0] = g->values[g->nodes[1].inputs[1]].nominal[0] = 1;
    assert_int_equal(g->values[product].nominal[0], 1);
    assert_ok(nnd_pass_residual(g, &changes));
    assert_int_equal(changes, 1);
    assert_ok(nnd_pass_activation(g, &changes));
    assert_int_equal(g->node_count, 1);
    pt_run(expected, &plain);
    pt_run(g, &fused);
    pt_assert_close(&fused, &plain, 1e-5);
    nnd_free(plain.data);
    nnd_free(fused.data);
    nnd_graph_destroy(expected);
    nnd_graph_destroy(g);
}

/* 0: a matrix as C; 1: the product has another reader; 2: weights that are computed. */
static void build_no_residual(pass_test *t)
{
    const int64_t x[2] = {5, 7}, w[2] = {7, 9}, z[2] = {5, 9};
    uint32_t in[3] = {pt_input(t, "x", 2, x), pt_weights(t, 2, w), pt_weights(t, 2, z)};
    if (t->variant == 2) in[1] = pt_input(t, "w", 2, w);
    uint32_t y = pt_node_of(t, "Gemm", t->variant ? 2 : 3, in)->outputs[0];
    if (t->variant == 1) pt_output(t, y);
    pt_output(t, pt_binary(t, "Add", y, pt_input(t, "z", 2, z)));
}

static void other_sums_stay(void **state)
{
    (void)state;
    for (int variant = 0; variant < 3; variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_no_residual, 13, variant, nnd_pass_residual, 0, &changes);
        assert_int_equal(changes, 0);
        nnd_graph_destroy(g);
    }
}

/* ---- Gelu ------------------------------------------------------------------------------------ */

/* bit 0: the approximation; bit 1: Conv, else MatMul; bit 2: com.microsoft's. */
static void build_gelu(pass_test *t)
{
    const int64_t x[4] = {1, 4, 6, 6}, w[4] = {8, 4, 3, 3}, matrix[2] = {6, 9};
    bool conv = t->variant & 2;
    uint32_t in = pt_input(t, "x", 4, x);
    uint32_t y = conv ? pt_binary(t, "Conv", in, pt_weights(t, 4, w))
                      : pt_binary(t, "MatMul", in, pt_weights(t, 2, matrix));
    nnd_graph_node *n;
    const char *domain = t->variant & 4 ? "com.microsoft" : "";
    assert_ok(nnd_graph_add_node(t->g, domain, "Gelu", t->variant & 4 ? 1 : t->opset, NULL, 1, &y,
                                 1, NULL, &n));
    uint32_t result = n->outputs[0];
    if (t->variant & 1) assert_ok(nnd_node_add_string(t->g, n, "approximate", "tanh"));
    pt_output(t, result);
}

static void gelu_becomes_an_epilogue(void **state)
{
    (void)state;
    for (int variant = 0; variant < 8; variant++) {
        size_t changes;
        if ((variant & 5) == 5) continue; /* that one has no approximation */
        nnd_graph *g = pt_compare(build_gelu, 20, variant, nnd_pass_activation, 1e-5, &changes);
        assert_int_equal(changes, 1);
        assert_int_equal(g->node_count, 1);
        assert_int_equal(g->nodes[0].epilogue,
                         variant & 1 ? NND_EPILOGUE_GELU_TANH : NND_EPILOGUE_GELU);
        nnd_graph_destroy(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transpositions_go_into_products),
        cmocka_unit_test(other_transpositions_stay),
        cmocka_unit_test(residuals_go_into_products),
        cmocka_unit_test(a_residual_may_be_repeated_after_all),
        cmocka_unit_test(a_product_may_be_repeated_after_all),
        cmocka_unit_test(other_sums_stay),
        cmocka_unit_test(gelu_becomes_an_epilogue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
