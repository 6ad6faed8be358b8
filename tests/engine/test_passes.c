/* Every pass: what the graph looks like before and after, and when it must keep its hands off. */
#include <math.h>
#include <string.h>

#include "engine/passes/pass.h"
#include "engine/runtime/bind.h"
#include "support/test.h"

typedef struct fixture {
    nnd_graph *g;
    uint32_t x;
} fixture;

static fixture begin(void)
{
    fixture f;
    const int64_t dims[4] = {1, 2, 4, 4};
    assert_ok(nnd_graph_create(NULL, "g", &f.g));
    assert_ok(nnd_graph_add_input(f.g, "x", NND_F32, 4, dims, &f.x));
    return f;
}

static uint32_t constant(fixture *f, int rank, const int64_t *dims, float first)
{
    float data[64];
    nnd_tensor t;
    uint32_t id;
    assert_ok(nnd_tensor_init(&t, NND_F32, rank, dims, data));
    for (int64_t i = 0; i < nnd_tensor_count(&t); i++)
        data[i] = first + (float)i;
    assert_ok(nnd_graph_add_constant(f->g, NULL, &t, &id));
    return id;
}

static nnd_graph_node *node(fixture *f, const char *type, size_t n, const uint32_t *in)
{
    nnd_graph_node *made;
    assert_ok(nnd_graph_add_node(f->g, "", type, 13, NULL, n, in, 1, NULL, &made));
    return made;
}

static uint32_t conv(fixture *f)
{
    const int64_t w[4] = {2, 2, 1, 1};
    uint32_t in[2] = {f->x, constant(f, 4, w, 1.0f)};
    return node(f, "Conv", 2, in)->outputs[0];
}

static uint32_t unary(fixture *f, const char *type, uint32_t in)
{
    return node(f, type, 1, &in)->outputs[0];
}

static size_t run(fixture *f, nnd_pass_fn pass)
{
    size_t changes = 0;
    assert_ok(nnd_graph_bind(f->g));
    nnd_graph_index(f->g);
    assert_ok(pass(f->g, &changes));
    return changes;
}

static void constants_are_folded(void **state)
{
    (void)state;
    fixture f = begin();
    const int64_t two[1] = {2};
    uint32_t pair[2] = {constant(&f, 1, two, 1.0f), constant(&f, 1, two, 10.0f)};
    uint32_t sum = node(&f, "Add", 2, pair)->outputs[0];
    uint32_t last[2] = {unary(&f, "Neg", sum), f.x};
    assert_ok(
        nnd_graph_add_output(f.g, node(&f, "Mul", 2, (uint32_t[]){last[1], last[1]})->outputs[0]));
    assert_int_equal(run(&f, nnd_pass_constant_folding), 2);
    assert_int_equal(f.g->node_count, 1);
    const float *v = f.g->values[last[0]].constant.data;
    assert_true(v[0] == -11.0f && v[1] == -13.0f);
    nnd_graph_destroy(f.g);
}

static void identities_disappear_but_outputs_stay(void **state)
{
    (void)state;
    fixture f = begin();
    uint32_t kept = unary(&f, "Relu", unary(&f, "Identity", unary(&f, "Dropout", f.x)));
    assert_ok(nnd_graph_add_output(f.g, kept));
    assert_ok(nnd_graph_add_output(f.g, unary(&f, "Identity", kept)));
    assert_int_equal(run(&f, nnd_pass_identity), 2);
    assert_int_equal(f.g->node_count, 2); /* Relu, and the Identity that makes the second output */
    assert_int_equal(f.g->nodes[0].inputs[0], f.x);
    nnd_graph_destroy(f.g);
}

static void batchnorm_goes_into_the_convolution(void **state)
{
    (void)state;
    fixture f = begin();
    const int64_t two[1] = {2};
    uint32_t in[5] = {conv(&f), constant(&f, 1, two, 2.0f), constant(&f, 1, two, 5.0f),
                      constant(&f, 1, two, 1.0f), constant(&f, 1, two, 4.0f)};
    nnd_graph_node *n = node(&f, "BatchNormalization", 5, in);
    assert_ok(nnd_node_add_float(f.g, n, "epsilon", 0.0f));
    assert_ok(nnd_graph_add_output(f.g, n->outputs[0]));
    assert_int_equal(run(&f, nnd_pass_batchnorm), 1);
    assert_int_equal(f.g->node_count, 1);
    const nnd_graph_node *c = &f.g->nodes[0];
    assert_int_equal(c->formal_count, 3);
    const float *w = f.g->values[c->inputs[1]].constant.data,
                *b = f.g->values[c->inputs[2]].constant.data;
    assert_true(w[0] == 1.0f && w[1] == 2.0f);                    /* factor 2/√4 */
    assert_true(fabsf(w[2] - 3.0f * 3.0f / sqrtf(5.0f)) < 1e-6f); /* factor 3/√5 */
    assert_true(b[0] == 5.0f - 1.0f);
    nnd_graph_destroy(f.g);
}

static void batchnorm_stays_when_the_convolution_has_other_readers(void **state)
{
    (void)state;
    fixture f = begin();
    const int64_t two[1] = {2};
    uint32_t c = conv(&f);
    uint32_t in[5] = {c, constant(&f, 1, two, 2.0f), constant(&f, 1, two, 5.0f),
                      constant(&f, 1, two, 1.0f), constant(&f, 1, two, 4.0f)};
    assert_ok(nnd_graph_add_output(f.g, node(&f, "BatchNormalization", 5, in)->outputs[0]));
    assert_ok(nnd_graph_add_output(f.g, c));
    assert_int_equal(run(&f, nnd_pass_batchnorm), 0);
    assert_int_equal(f.g->node_count, 2);
    nnd_graph_destroy(f.g);
}

static void activations_become_epilogues(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        nnd_epilogue kind;
    } cases[] = {{"Relu", NND_EPILOGUE_RELU},
                 {"Sigmoid", NND_EPILOGUE_SIGMOID},
                 {"Tanh", NND_EPILOGUE_TANH},
                 {"LeakyRelu", NND_EPILOGUE_LEAKY_RELU},
                 {"HardSigmoid", NND_EPILOGUE_HARD_SIGMOID},
                 {"Clip", NND_EPILOGUE_CLIP}};
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        fixture f = begin();
        assert_ok(nnd_graph_add_output(f.g, unary(&f, cases[i].type, conv(&f))));
        assert_int_equal(run(&f, nnd_pass_activation), 1);
        assert_int_equal(f.g->node_count, 1);
        assert_int_equal(f.g->nodes[0].epilogue, cases[i].kind);
        assert_int_equal(f.g->nodes[0].outputs[0], f.g->outputs[0]);
        nnd_graph_destroy(f.g);
    }
}

static void silu_is_recognised(void **state)
{
    (void)state;
    fixture f = begin();
    uint32_t c = conv(&f), pair[2] = {c, unary(&f, "Sigmoid", c)};
    assert_ok(nnd_graph_add_output(f.g, node(&f, "Mul", 2, pair)->outputs[0]));
    assert_int_equal(run(&f, nnd_pass_activation), 1);
    assert_int_equal(f.g->node_count, 1);
    assert_int_equal(f.g->nodes[0].epilogue, NND_EPILOGUE_SILU);
    nnd_graph_destroy(f.g);
}

/* gate: Clip(x + 3, 0, 6)/6, or the product with 1/6, of a convolution's result. */
static uint32_t hard_gate(fixture *f, uint32_t x, bool divides)
{
    uint32_t sum[2] = {x, constant(f, 0, NULL, 3.0f)}, clip[3], quotient[2];
    clip[0] = node(f, "Add", 2, sum)->outputs[0];
    clip[1] = constant(f, 0, NULL, 0.0f);
    clip[2] = constant(f, 0, NULL, 6.0f);
    quotient[0] = node(f, "Clip", 3, clip)->outputs[0];
    quotient[1] = constant(f, 0, NULL, divides ? 6.0f : 1.0f / 6.0f);
    return node(f, divides ? "Div" : "Mul", 2, quotient)->outputs[0];
}

static void hard_activations_are_recognised(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        fixture f = begin();
        uint32_t x = conv(&f), pair[2] = {hard_gate(&f, x, i & 1), x};
        uint32_t y = i & 2 ? node(&f, "Mul", 2, pair)->outputs[0] : pair[0];
        assert_ok(nnd_graph_add_output(f.g, y));
        assert_int_equal(run(&f, nnd_pass_activation), 1);
        assert_int_equal(f.g->node_count, 1);
        assert_int_equal(f.g->nodes[0].epilogue,
                         i & 2 ? NND_EPILOGUE_HARD_SWISH : NND_EPILOGUE_HARD_SIGMOID);
        nnd_graph_destroy(f.g);
    }
}

/* Somebody else reads the sum: the chain stays. */
static void a_hard_activation_with_other_readers_stays(void **state)
{
    (void)state;
    fixture f = begin();
    uint32_t x = conv(&f), pair[2] = {hard_gate(&f, x, true), x};
    assert_ok(nnd_graph_add_output(f.g, node(&f, "Mul", 2, pair)->outputs[0]));
    assert_ok(nnd_graph_add_output(f.g, x));
    assert_int_equal(run(&f, nnd_pass_activation), 0);
    nnd_graph_destroy(f.g);
}

/* Pad → Conv with pads of its own; `value` of the padding, `channel` zeros before the channels. */
static size_t padded_conv(fixture *f, float value, int64_t channel)
{
    const int64_t pads[8] = {0, channel, 1, 2, 0, 0, 3, 4}, length[1] = {8};
    const int64_t own[4] = {10, 20, 30, 40}, w[4] = {2, 2, 1, 1};
    int64_t copy[8];
    nnd_tensor t;
    uint32_t in[3] = {f->x}, conv_in[2];
    memcpy(copy, pads, sizeof(copy));
    assert_ok(nnd_tensor_init(&t, NND_I64, 1, length, copy));
    assert_ok(nnd_graph_add_constant(f->g, NULL, &t, &in[1]));
    in[2] = constant(f, 0, NULL, value);
    conv_in[0] = node(f, "Pad", 3, in)->outputs[0];
    conv_in[1] = constant(f, 4, w, 1.0f);
    nnd_graph_node *n = node(f, "Conv", 2, conv_in);
    assert_ok(nnd_node_add_ints(f->g, n, "pads", own, 4));
    assert_ok(nnd_graph_add_output(f->g, n->outputs[0]));
    return run(f, nnd_pass_pad);
}

static void zeros_around_go_into_the_convolution(void **state)
{
    (void)state;
    static const int64_t expected[4] = {11, 22, 33, 44};
    fixture f = begin();
    size_t count;
    assert_int_equal(padded_conv(&f, 0.0f, 0), 1);
    assert_int_equal(f.g->node_count, 1);
    assert_int_equal(f.g->nodes[0].inputs[0], f.x);
    const int64_t *pads = nnd_node_ints(&f.g->nodes[0], "pads", &count);
    assert_int_equal(count, 4);
    assert_memory_equal(pads, expected, sizeof(expected));
    nnd_graph_destroy(f.g);
}

static void other_padding_stays(void **state)
{
    (void)state;
    fixture f = begin();
    assert_int_equal(padded_conv(&f, 1.0f, 0), 0); /* ones, not zeros */
    nnd_graph_destroy(f.g);
    f = begin();
    assert_int_equal(padded_conv(&f, 0.0f, 1), 0); /* channels */
    nnd_graph_destroy(f.g);
}

static void an_activation_stays_when_its_input_is_an_output(void **state)
{
    (void)state;
    fixture f = begin();
    uint32_t c = conv(&f);
    assert_ok(nnd_graph_add_output(f.g, unary(&f, "Relu", c)));
    assert_ok(nnd_graph_add_output(f.g, c));
    assert_int_equal(run(&f, nnd_pass_activation), 0);
    nnd_graph_destroy(f.g);
}

static void dead_chains_are_removed(void **state)
{
    (void)state;
    fixture f = begin();
    unary(&f, "Relu", unary(&f, "Neg", f.x));
    assert_ok(nnd_graph_add_output(f.g, unary(&f, "Abs", f.x)));
    assert_int_equal(run(&f, nnd_pass_dead_code), 2);
    assert_int_equal(f.g->node_count, 1);
    assert_string_equal(f.g->nodes[0].type, "Abs");
    nnd_graph_destroy(f.g);
}

static void unsupported_nodes_are_listed_together(void **state)
{
    (void)state;
    fixture f = begin();
    uint32_t a = unary(&f, "Frobnicate", f.x);
    nnd_graph_node *n;
    assert_ok(nnd_graph_add_node(f.g, "com.example", "Other", 3, "other", 1, &a, 1, NULL, &n));
    uint32_t too_many[2] = {f.x, f.x};
    node(&f, "Relu", 2, too_many);
    assert_status(nnd_graph_bind(f.g), NND_E_UNSUPPORTED);
    nnd_error *e = nnd_error_take();
    assert_non_null(strstr(nnd_error_message(e), "3 nodes"));
    assert_non_null(strstr(nnd_error_message(e), "Frobnicate (opset 13)"));
    assert_non_null(strstr(nnd_error_message(e), "'other': com.example.Other (opset 3)"));
    assert_non_null(strstr(nnd_error_message(e), "wrong number of inputs"));
    nnd_error_destroy(e);
    nnd_graph_destroy(f.g);
}

/* Hundreds of nodes are all named; a name is never longer than a line. */
static void many_unsupported_nodes_make_one_message(void **state)
{
    (void)state;
    enum { NODES = 300, LONG = 100000 };
    fixture f = begin();
    char *name = nnd_alloc(LONG + 1), wanted[32];
    for (int i = 0; i < LONG; i += 2)
        memcpy(name + i, "ü", 2);
    name[LONG] = 0;
    nnd_graph_node *n;
    assert_ok(nnd_graph_add_node(f.g, "", "Frobnicate", 13, name, 1, &f.x, 1, NULL, &n));
    for (int i = 0; i < NODES; i++) {
        snprintf(wanted, sizeof(wanted), "node%d", i);
        assert_ok(nnd_graph_add_node(f.g, "", "Frobnicate", 13, wanted, 1, &f.x, 1, NULL, &n));
    }
    assert_status(nnd_graph_bind(f.g), NND_E_UNSUPPORTED);
    nnd_error *e = nnd_error_take();
    const char *text = nnd_error_message(e);
    assert_true(strlen(text) < 200 * NODES);
    assert_non_null(strstr(text, "üü…': Frobnicate"));
    for (int i = 0; i < NODES; i++) {
        snprintf(wanted, sizeof(wanted), "'node%d'", i);
        assert_non_null(strstr(text, wanted));
    }
    nnd_error_destroy(e);
    nnd_free(name);
    nnd_graph_destroy(f.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constants_are_folded),
        cmocka_unit_test(many_unsupported_nodes_make_one_message),
        cmocka_unit_test(identities_disappear_but_outputs_stay),
        cmocka_unit_test(batchnorm_goes_into_the_convolution),
        cmocka_unit_test(batchnorm_stays_when_the_convolution_has_other_readers),
        cmocka_unit_test(activations_become_epilogues),
        cmocka_unit_test(silu_is_recognised),
        cmocka_unit_test(zeros_around_go_into_the_convolution),
        cmocka_unit_test(other_padding_stays),
        cmocka_unit_test(hard_activations_are_recognised),
        cmocka_unit_test(a_hard_activation_with_other_readers_stays),
        cmocka_unit_test(an_activation_stays_when_its_input_is_an_output),
        cmocka_unit_test(dead_chains_are_removed),
        cmocka_unit_test(unsupported_nodes_are_listed_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
