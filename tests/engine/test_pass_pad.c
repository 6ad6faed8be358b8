/* Borders that become the padding of a pooling or convolution, and those that must not. */
#include <float.h>

#include "pass_support.h"

typedef enum before { NOTHING, RELU, CLIP, SIGMOID, NEGATIVE_CLIP } before;

/* A border around a picture, and the layer behind it. */
typedef struct border_case {
    const char *layer;
    before before;
    float border;
    int64_t pads[4], own[4]; /* top, left, bottom, right */
    int64_t kernel, stride, dilation;
    bool ceil_mode, counts, valid, indices;
    bool moves; /* the border into the padding */
} border_case;

static const border_case cases[] = {
    /* zeros count for an average */
    {"AveragePool", .pads = {1, 1, 1, 1}, .kernel = 3, .stride = 2, .moves = true},
    {"AveragePool", .pads = {0, 1, 2, 1}, .kernel = 3, .stride = 1, .moves = true},
    {"AveragePool", .pads = {1, 1, 1, 1}, .own = {1, 0, 0, 1}, .kernel = 4, .stride = 2,
     .counts = true, .moves = true},
    {"AveragePool", .pads = {1, 1, 1, 1}, .own = {1, 0, 0, 1}, .kernel = 4, .stride = 2},
    {"AveragePool", .pads = {1, 1, 1, 1}, .own = {1, 1, 1, 1}, .kernel = 4, .stride = 2,
     .valid = true, .moves = true},
    {"AveragePool", .border = 1, .pads = {1, 1, 1, 1}, .kernel = 3, .stride = 2},
    {"AveragePool", .pads = {3, 0, 0, 0}, .kernel = 3, .stride = 2}, /* a window of padding only */
    {"AveragePool", .pads = {2, 2, 2, 2}, .own = {1, 0, 0, 0}, .kernel = 3, .stride = 1,
     .counts = true},
    {"AveragePool", .pads = {1, 1, 0, 0}, .kernel = 2, .stride = 3, .ceil_mode = true,
     .moves = true},
    {"AveragePool", .pads = {1, 1, 1, 1}, .kernel = 3, .stride = 3, .ceil_mode = true},
    /* the largest */
    {"MaxPool", RELU, .pads = {1, 1, 1, 1}, .kernel = 3, .stride = 2, .moves = true},
    {"MaxPool", CLIP, .pads = {0, 0, 1, 1}, .kernel = 3, .stride = 2, .moves = true},
    {"MaxPool", SIGMOID, .pads = {0, 0, 1, 1}, .own = {1, 1, 0, 0}, .kernel = 3, .stride = 1,
     .moves = true},
    {"MaxPool", .pads = {1, 1, 1, 1}, .kernel = 3, .stride = 2},
    {"MaxPool", NEGATIVE_CLIP, .pads = {1, 1, 1, 1}, .kernel = 3, .stride = 2},
    {"MaxPool", .border = -INFINITY, .pads = {1, 1, 1, 1}, .kernel = 3, .stride = 2, .moves = true},
    {"MaxPool", .border = -FLT_MAX, .pads = {1, 1, 1, 1}, .kernel = 3, .stride = 2, .moves = true},
    {"MaxPool", .border = -5, .pads = {1, 1, 1, 1}, .kernel = 3, .stride = 2},
    {"MaxPool", RELU, .border = 1, .pads = {1, 1, 1, 1}, .kernel = 3, .stride = 2},
    {"MaxPool", RELU, .pads = {0, 0, 3, 0}, .kernel = 3, .stride = 2}, /* padding only */
    {"MaxPool", RELU, .pads = {1, 1, 1, 1}, .own = {2, 0, 0, 0}, .kernel = 3, .stride = 2},
    {"MaxPool", RELU, .pads = {1, 1, 1, 1}, .kernel = 2, .stride = 1, .dilation = 2},
    {"MaxPool", RELU, .pads = {1, 1, 1, 1}, .kernel = 3, .stride = 2, .indices = true},
    {"MaxPool", RELU, .pads = {1, 1, 0, 0}, .kernel = 2, .stride = 3, .ceil_mode = true,
     .moves = true},
    {"MaxPool", RELU, .pads = {1, 1, 1, 1}, .kernel = 3, .stride = 3, .ceil_mode = true},
    {"MaxPool", RELU, .pads = {1, 1, 1, 1}, .kernel = 3, .stride = 2, .valid = true, .moves = true},
    /* a convolution takes any */
    {"Conv", .pads = {4, 0, 1, 4}, .own = {1, 1, 1, 1}, .kernel = 3, .stride = 2, .dilation = 2,
     .moves = true},
    {"Conv", .pads = {1, 1, 1, 1}, .own = {1, 1, 1, 1}, .kernel = 3, .stride = 1, .valid = true,
     .moves = true},
    {"Conv", .border = 1, .pads = {1, 1, 1, 1}, .kernel = 3, .stride = 2},
};

static uint32_t picture(pass_test *t, before before)
{
    const int64_t dims[4] = {2, 3, 11, 13};
    uint32_t x = pt_input(t, "x", 4, dims);
    if (before == RELU) return pt_unary(t, "Relu", x);
    if (before == SIGMOID) return pt_unary(t, "Sigmoid", x);
    if (before == NOTHING) return x;
    const uint32_t in[3] = {x, pt_number(t, before == CLIP ? 0 : -1), pt_number(t, 6)};
    return pt_node_of(t, "Clip", 3, in)->outputs[0];
}

static uint32_t with_border(pass_test *t, uint32_t x, const border_case *c)
{
    const int64_t *p = c->pads, pads[8] = {0, 0, p[0], p[1], 0, 0, p[2], p[3]};
    const uint32_t in[3] = {x, pt_ints(t, 8, pads), pt_number(t, c->border)};
    return pt_node_of(t, "Pad", 3, in)->outputs[0];
}

static void build(pass_test *t)
{
    const border_case *c = &cases[t->variant];
    bool conv = strcmp(c->layer, "Conv") == 0;
    const int64_t w[4] = {4, 3, c->kernel, c->kernel}, dilation = c->dilation ? c->dilation : 1;
    uint32_t in[2] = {with_border(t, picture(t, c->before), c), 0};
    nnd_graph_node *n;
    if (conv) in[1] = pt_weights(t, 4, w);
    assert_ok(nnd_graph_add_node(t->g, "", c->layer, 19, NULL, conv ? 2 : 1, in, c->indices ? 2 : 1,
                                 NULL, &n));
    uint32_t result = n->outputs[0], at = c->indices ? n->outputs[1] : NND_NO_ID;
    assert_ok(nnd_node_add_ints(t->g, n, "kernel_shape", w + 2, 2));
    assert_ok(nnd_node_add_ints(t->g, n, "strides", (int64_t[]){c->stride, c->stride}, 2));
    assert_ok(nnd_node_add_ints(t->g, n, "dilations", (int64_t[]){dilation, dilation}, 2));
    assert_ok(nnd_node_add_ints(t->g, n, "pads", c->own, 4));
    assert_ok(nnd_node_add_int(t->g, n, "ceil_mode", c->ceil_mode));
    if (c->counts) assert_ok(nnd_node_add_int(t->g, n, "count_include_pad", 1));
    if (c->valid) assert_ok(nnd_node_add_string(t->g, n, "auto_pad", "VALID"));
    pt_output(t, result);
    if (at != NND_NO_ID) pt_output(t, at);
}

static void borders_become_padding(void **state)
{
    (void)state;
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        size_t changes;
        nnd_graph *g = pt_compare(build, 13, (int)i, nnd_pass_pad, 1e-5, &changes);
        if (changes != cases[i].moves || pt_count(g, "Pad") == cases[i].moves)
            fail_msg("case %zu (%s): %zu changes", i, cases[i].layer, changes);
        nnd_graph_destroy(g);
    }
}

/* The beginning of a residual network as some exporters write it, with every pass: the activation
   is in the convolution and the channels lie in blocks. */
static void build_stem(pass_test *t)
{
    static const border_case zeros = {.pads = {1, 1, 1, 1}};
    const int64_t dims[4] = {1, 3, 24, 28}, w[4] = {20, 3, 3, 3}, v[4] = {8, 20, 1, 1};
    uint32_t x = with_border(t, pt_input(t, "x", 4, dims), &zeros);
    x = pt_unary(t, "Relu", pt_binary(t, "Conv", x, pt_weights(t, 4, w)));
    x = with_border(t, x, &zeros);
    nnd_graph_node *n = pt_node_of(t, t->variant ? "AveragePool" : "MaxPool", 1, &x);
    uint32_t pooled = n->outputs[0];
    assert_ok(nnd_node_add_ints(t->g, n, "kernel_shape", (int64_t[]){3, 3}, 2));
    assert_ok(nnd_node_add_ints(t->g, n, "strides", (int64_t[]){2, 2}, 2));
    pt_output(t, pt_binary(t, "Conv", pooled, pt_weights(t, 4, v)));
}

static nnd_status all_passes(nnd_graph *g, size_t *changes)
{
    nnd_pass_report report = NND_PASS_REPORT_INIT;
    nnd_status status = nnd_passes_run(g, NND_PASSES_ALL, &report);
    *changes = report.passes[NND_PASS_PAD].changes;
    nnd_pass_report_fini(&report);
    return status;
}

static void a_stem_keeps_no_border(void **state)
{
    (void)state;
    for (int variant = 0; variant < 2; variant++) {
        size_t changes;
        nnd_graph *g = pt_compare(build_stem, 13, variant, all_passes, 1e-4, &changes);
        assert_int_equal(changes, 2);
        assert_int_equal(pt_count(g, "Pad"), 0);
        nnd_graph_destroy(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(borders_become_padding),
        cmocka_unit_test(a_stem_keeps_no_border),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
