/* The pass qdq on activations that are quantised as they come: sums of integers, a Cast and a
   multiplication by two scales become one product, to the bit what they were. */
#include "pass_support.h"

#include "base/isa.h"

enum { FLOAT = 1, DOUBLE = 11 }; /* of ONNX */

/* What a test builds. */
typedef struct spec {
    nnd_dtype bytes;  /* of the weights */
    bool weight_zero; /* they have a zero point, 3 or one per column */
    bool per_column;  /* so have their scales */
    bool first;       /* the operand that a test is about is the first one of its node */
    bool bias;
    int scale_rank; /* of a single scale */
    int groups;
    int bias_rank;
    int cast_to;
    bool scaled_once;              /* the weights' scale is the product of both */
    bool keeps_sums, keeps_floats; /* outputs of their own */
} spec;

enum { COLUMNS = 7 };
static const spec usual = {.bytes = NND_I8, .groups = 1, .bias_rank = 1, .cast_to = FLOAT};
static spec now;

typedef struct dynamic {
    uint32_t codes, scale, zero;
} dynamic;

static dynamic quantised(pass_test *t, uint32_t x)
{
    nnd_graph_node *n;
    assert_ok(nnd_graph_add_node(t->g, "", "DynamicQuantizeLinear", 11, NULL, 1, &x, 3, NULL, &n));
    return (dynamic){n->outputs[0], n->outputs[1], n->outputs[2]};
}

static uint32_t bytes(pass_test *t, int rank, const int64_t *dims, int reach)
{
    nnd_tensor shape;
    uint8_t data[256];
    uint32_t id;
    assert_ok(nnd_tensor_init(&shape, now.bytes, rank, dims, data));
    size_t n = (size_t)nnd_tensor_count(&shape);
    assert_true(n <= sizeof data);
    for (size_t i = 0; i < n; i++)
        data[i] = (uint8_t)(int)(pt_random(t) * (float)reach + (now.bytes == NND_U8 ? 128 : 0));
    assert_ok(nnd_graph_add_constant(t->g, NULL, &shape, &id));
    return id;
}

static uint32_t scales(pass_test *t)
{
    const int64_t one[1] = {1}, each[1] = {COLUMNS};
    if (now.per_column) return pt_weights(t, 1, each);
    return now.scale_rank ? pt_weights(t, 1, one) : pt_number(t, 0.0371f);
}

static uint32_t either(pass_test *t, const char *type, uint32_t a, uint32_t b)
{
    return now.first ? pt_binary(t, type, a, b) : pt_binary(t, type, b, a);
}

/* Integer sums to the end of what an exporter writes. */
static uint32_t to_floats(pass_test *t, nnd_graph_node *sums, uint32_t x_scale)
{
    nnd_graph_node *cast = pt_node_of(t, "Cast", 1, sums->outputs);
    assert_ok(nnd_node_add_int(t->g, cast, "to", now.cast_to));
    if (now.keeps_sums) pt_output(t, sums->outputs[0]);
    if (now.keeps_floats) pt_output(t, cast->outputs[0]);
    uint32_t w_scale = scales(t), y = cast->outputs[0];
    if (now.cast_to != FLOAT) {
        nnd_graph_node *back = pt_node_of(t, "Cast", 1, &y);
        assert_ok(nnd_node_add_int(t->g, back, "to", FLOAT));
        y = back->outputs[0];
    }
    uint32_t scale = now.scaled_once ? w_scale : either(t, "Mul", x_scale, w_scale);
    return either(t, "Mul", y, scale);
}

static uint32_t matmul_of(pass_test *t, dynamic x, const int64_t *dims)
{
    const int64_t zeros[1] = {now.per_column ? dims[1] : 1};
    const uint32_t in[4] = {x.codes, bytes(t, 2, dims, 127), x.zero,
                            now.weight_zero ? bytes(t, 1, zeros, 9) : NND_NO_ID};
    return to_floats(t, pt_node_of(t, "MatMulInteger", 4, in), x.scale);
}

static void build_matmul(pass_test *t)
{
    const int64_t dims[3] = {2, 3, 10}, w[2] = {10, COLUMNS}, b[3] = {1, 1, COLUMNS};
    dynamic x = quantised(t, pt_input(t, "x", 3, dims));
    uint32_t y = matmul_of(t, x, w);
    if (now.bias) y = either(t, "Add", y, pt_weights(t, now.bias_rank, b + 3 - now.bias_rank));
    pt_output(t, pt_unary(t, "Tanh", y));
}

static nnd_graph *pass_on(pt_build build, size_t changes)
{
    size_t made;
    nnd_graph *g = pt_compare(build, 14, 0, nnd_pass_qdq, 0, &made);
    assert_int_equal(made, changes);
    return g;
}

static void products_are_one_step(void **state)
{
    (void)state;
    for (int form = 0; form < 128; form++) {
        now = usual;
        now.bytes = form & 1 ? NND_I8 : NND_U8;
        now.weight_zero = form & 2;
        now.per_column = form & 4;
        now.first = form & 8;
        now.bias = form & 16;
        now.scale_rank = form >> 5 & 1;
        now.scaled_once = form & 64;
        nnd_graph *g = pass_on(build_matmul, now.bias ? 2 : 1);
        assert_int_equal(pt_count(g, "MatMulIntegerToFloat"), 1);
        assert_int_equal(pt_count(g, "Cast") + pt_count(g, "Mul") + pt_count(g, "Add"), 0);
        nnd_graph_destroy(g);
    }
}

/* One quantisation serves three products. */
static void build_three(pass_test *t)
{
    const int64_t dims[3] = {2, 3, 10}, w[2] = {10, COLUMNS};
    dynamic x = quantised(t, pt_input(t, "x", 3, dims));
    for (int i = 0; i < 3; i++)
        pt_output(t, matmul_of(t, x, w));
}

static void products_share_a_quantisation(void **state)
{
    (void)state;
    now = usual;
    nnd_graph *g = pass_on(build_three, 3);
    assert_int_equal(pt_count(g, "DynamicQuantizeLinear"), 1);
    assert_int_equal(pt_count(g, "MatMulIntegerToFloat"), 3);
    nnd_graph_destroy(g);
}

static void build_two_activations(pass_test *t)
{
    const int64_t a[3] = {2, 3, 10}, b[3] = {2, 10, 7};
    dynamic x = quantised(t, pt_input(t, "a", 3, a)), y = quantised(t, pt_input(t, "b", 3, b));
    const uint32_t in[4] = {x.codes, y.codes, x.zero, y.zero};
    nnd_graph_node *cast = pt_node_of(t, "Cast", 1, pt_node_of(t, "MatMulInteger", 4, in)->outputs);
    assert_ok(nnd_node_add_int(t->g, cast, "to", FLOAT));
    pt_output(t, either(t, "Mul", cast->outputs[0], either(t, "Mul", x.scale, y.scale)));
}

static void both_operands_may_be_activations(void **state)
{
    (void)state;
    for (int form = 0; form < 2; form++) {
        now = usual;
        now.first = form;
        nnd_graph *g = pass_on(build_two_activations, 1);
        assert_int_equal(pt_count(g, "MatMulIntegerToFloat"), 1);
        nnd_graph_destroy(g);
    }
}

static void build_conv(pass_test *t)
{
    const int64_t dims[4] = {2, 4, 9, 8}, w[4] = {4, 4 / now.groups, 3, 3}, b[4] = {1, 4, 1, 1};
    dynamic x = quantised(t, pt_input(t, "x", 4, dims));
    const uint32_t in[4] = {x.codes, bytes(t, 4, w, 127), x.zero,
                            now.weight_zero ? bytes(t, 0, NULL, 9) : NND_NO_ID};
    nnd_graph_node *n = pt_node_of(t, "ConvInteger", 4, in);
    assert_ok(nnd_node_add_int(t->g, n, "group", now.groups));
    assert_ok(nnd_node_add_ints(t->g, n, "pads", (const int64_t[]){1, 0, 1, 2}, 4));
    uint32_t y = to_floats(t, n, x.scale);
    if (now.bias) y = either(t, "Add", y, pt_weights(t, now.bias_rank, b + 4 - now.bias_rank));
    pt_output(t, pt_unary(t, "Tanh", y));
}

static void convolutions_are_one_step(void **state)
{
    static const int groups[] = {1, 2, 4};
    (void)state;
    for (int form = 0; form < 96; form++) {
        now = usual;
        now.bytes = form & 1 ? NND_I8 : NND_U8;
        now.weight_zero = form & 2;
        now.first = form & 4;
        now.bias = form & 8;
        now.bias_rank = form & 16 ? 3 : 4;
        now.groups = groups[form / 32];
        nnd_graph *g = pass_on(build_conv, now.bias ? 2 : 1);
        assert_int_equal(pt_count(g, "ConvIntegerToFloat"), 1);
        assert_int_equal(pt_count(g, "Cast") + pt_count(g, "Mul") + pt_count(g, "Add"), 0);
        nnd_graph_destroy(g);
    }
}

/* Under every instruction set, those without kernels of their own included. */
static void every_isa_gives_the_same(void **state)
{
    static const nnd_isa levels[] = {NND_ISA_REFERENCE, NND_ISA_AVX2, NND_ISA_AVX512VNNI,
                                     NND_ISA_NEON, NND_ISA_NEON_DOTPROD};
    (void)state;
    now = usual;
    now.bias = now.weight_zero = true;
    for (size_t i = 0; i < NND_COUNT(levels); i++) {
        if (!nnd_isa_has(levels[i])) continue;
        assert_ok(nnd_isa_force(levels[i]));
        now.bias_rank = 1;
        nnd_graph_destroy(pass_on(build_matmul, 2));
        now.bias_rank = 4;
        nnd_graph_destroy(pass_on(build_conv, 2));
        assert_ok(nnd_isa_force(nnd_isa_detected()));
    }
}

/* ---- what stays ------------------------------------------------------------------------------ */

static void what_others_read_stays(void **state)
{
    (void)state;
    for (int form = 0; form < 2; form++) {
        now = usual;
        now.keeps_sums = form == 0;
        now.keeps_floats = form == 1;
        nnd_graph *g = pass_on(build_matmul, 0);
        assert_int_equal(pt_count(g, "MatMulInteger"), 1);
        nnd_graph_destroy(g);
    }
}

static void other_floats_stay(void **state)
{
    (void)state;
    now = usual;
    now.cast_to = DOUBLE;
    nnd_graph_destroy(pass_on(build_matmul, 0));
}

/* Neither a scale nor a bias may give the result another shape. */
static void build_widening(pass_test *t)
{
    const int64_t dims[2] = {3, 10}, w[2] = {10, 1}, wide[1] = {5}, deep[2] = {1, 1};
    dynamic x = quantised(t, pt_input(t, "x", 2, dims));
    uint32_t in[4] = {x.codes, bytes(t, 2, w, 127), x.zero, NND_NO_ID};
    nnd_graph_node *cast = pt_node_of(t, "Cast", 1, pt_node_of(t, "MatMulInteger", 4, in)->outputs);
    assert_ok(nnd_node_add_int(t->g, cast, "to", FLOAT));
    uint32_t list = now.first ? pt_weights(t, 1, wide) : pt_weights(t, 2, deep);
    pt_output(t, pt_binary(t, "Mul", cast->outputs[0], pt_binary(t, "Mul", x.scale, list)));
}

static void scales_that_widen_stay(void **state)
{
    (void)state;
    for (int form = 0; form < 2; form++) {
        now = usual;
        now.first = form;
        nnd_graph_destroy(pass_on(build_widening, 0));
    }
}

/* A list along the rows of a picture is no bias of its channels. */
static void build_rows(pass_test *t)
{
    const int64_t dims[4] = {1, 4, 4, 4}, w[4] = {4, 4, 1, 1}, rows[4] = {1, 1, 4, 1};
    dynamic x = quantised(t, pt_input(t, "x", 4, dims));
    const uint32_t in[3] = {x.codes, bytes(t, 4, w, 127), x.zero};
    uint32_t y = to_floats(t, pt_node_of(t, "ConvInteger", 3, in), x.scale);
    pt_output(t, pt_binary(t, "Add", y, pt_weights(t, now.bias_rank, rows + 4 - now.bias_rank)));
}

static void sums_along_a_picture_stay(void **state)
{
    (void)state;
    for (int rank = 1; rank <= 4; rank++) {
        now = usual;
        now.bias_rank = rank;
        nnd_graph *g = pass_on(build_rows, 1);
        assert_int_equal(pt_count(g, "Add"), 1);
        nnd_graph_destroy(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_one_step),
        cmocka_unit_test(products_share_a_quantisation),
        cmocka_unit_test(both_operands_may_be_activations),
        cmocka_unit_test(convolutions_are_one_step),
        cmocka_unit_test(every_isa_gives_the_same),
        cmocka_unit_test(what_others_read_stays),
        cmocka_unit_test(other_floats_stay),
        cmocka_unit_test(scales_that_widen_stay),
        cmocka_unit_test(sums_along_a_picture_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
