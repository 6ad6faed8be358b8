/*
 * Products of bytes whose scales are computed: activations that DynamicQuantizeLinear made bytes
 * of, times constant weights or each other. Exporters write integer sums, a Cast to f32, and a
 * multiplication by the product of both scales; that is one product with a result in f32, with the
 * same roundings in the same order. What is added to its columns or channels is its bias.
 */
#include <string.h>

#include "engine/onnx/onnx.h"
#include "engine/ops/qproduct.h"
#include "engine/passes/qdq.h"

#define MS "com.microsoft"

enum { SCALES = 2 };

/* One of the numbers that a sum is multiplied by: a computed scalar, or a constant with one value
   or one per column. */
typedef struct factor {
    uint32_t value; /* NND_NO_ID = 1 */
    int64_t count;
    int rank;
} factor;

static nnd_status read_factor(nnd_graph *g, uint32_t value, factor *out, bool *is)
{
    uint32_t made = g->values[value].producer, constant = nnd_qdq_constant(g, value);
    *out = (factor){value, 1, 0};
    *is = false;
    if (constant != NND_NO_ID) {
        const nnd_tensor *t;
        NND_TRY(nnd_match_floats(g, constant, &t));
        *is = t && t->rank <= 1 && nnd_tensor_count(t) > 0;
        if (*is) *out = (factor){constant, nnd_tensor_count(t), t->rank};
    } else if (made != NND_NO_ID) {
        const nnd_graph_node *n = &g->nodes[made];
        *is = nnd_match_is(n, "DynamicQuantizeLinear") && n->output_count > 1 &&
              n->outputs[1] == value;
    }
    return NND_OK;
}

/* Scales of an operand each: what is one per column comes second, a constant that is the product of
   both stands beside 1. */
static nnd_status read_factors(nnd_graph *g, uint32_t value, factor out[SCALES], bool *is)
{
    const nnd_graph_node *product = nnd_match_binary(g, value, "Mul");
    NND_TRY(read_factor(g, value, &out[1], is));
    if (*is) {
        out[0] = (factor){NND_NO_ID, 1, 0};
        return NND_OK;
    }
    if (!product) return NND_OK;
    NND_TRY(read_factor(g, product->inputs[0], &out[0], is));
    if (*is) NND_TRY(read_factor(g, product->inputs[1], &out[1], is));
    if (*is && out[0].count > 1) {
        factor first = out[0];
        out[0] = out[1];
        out[1] = first;
    }
    *is = *is && out[0].count == 1;
    return NND_OK;
}

static nnd_status add_one(nnd_graph *g, uint32_t *id)
{
    float one = 1.0f;
    nnd_tensor t;
    NND_TRY(nnd_tensor_init(&t, NND_F32, 0, NULL, &one));
    return nnd_graph_add_constant(g, NULL, &t, id);
}

/* The sums of which `value` is what they are as f32, when nobody else reads either. */
static nnd_graph_node *sole_sums(nnd_graph *g, uint32_t value)
{
    const nnd_graph_node *cast = nnd_match_maker(g, value, "Cast");
    if (!cast || nnd_onnx_dtype((uint64_t)nnd_node_int(cast, "to", 0)) != NND_F32) return NULL;
    uint32_t sums = cast->inputs[0];
    nnd_graph_node *n = nnd_match_maker(g, sums, "MatMulInteger");
    if (!n) n = nnd_match_maker(g, sums, "ConvInteger");
    const bool is = n && n->formal_count >= 2 && n->inputs[1] != NND_NO_ID &&
                    nnd_graph_single_reader(g, value) != NND_NO_ID &&
                    nnd_graph_single_reader(g, sums) != NND_NO_ID;
    return is ? n : NULL;
}

/* Whether the product can have these scales, and none of them gives its result another shape. */
static bool takes(const nnd_graph *g, const nnd_graph_node *sums, const factor f[SCALES])
{
    const nnd_graph_value *w = &g->values[sums->inputs[1]];
    const int rank = w->is_constant ? w->constant.rank : 0;
    if (nnd_match_is(sums, "ConvInteger")) return f[1].count == 1 && rank >= 3;
    if (rank == 2) return f[1].count == 1 || f[1].count == w->constant.dims[1];
    return f[1].count == 1 && f[0].rank == 0 && f[1].rank == 0;
}

static uint32_t input_of(const nnd_graph_node *n, size_t i)
{
    return i < n->formal_count ? n->inputs[i] : NND_NO_ID;
}

static nnd_status become_product(nnd_graph *g, nnd_graph_node *mul, nnd_graph_node *sums,
                                 const factor *f)
{
    const bool conv = nnd_match_is(sums, "ConvInteger");
    uint32_t first = f[0].value, zeros[2] = {input_of(sums, 2), input_of(sums, 3)};
    if (first == NND_NO_ID) NND_TRY(add_one(g, &first));
    const uint32_t matmul[] = {sums->inputs[0], sums->inputs[1], first,
                               f[1].value,      zeros[0],        zeros[1]};
    const uint32_t window[] = {sums->inputs[0], first,      zeros[0],
                               sums->inputs[1], f[1].value, zeros[1]};
    if (!conv)
        return nnd_qdq_replace(g, mul, nnd_op_find(MS, NND_MATMUL_TO_FLOAT, 1), NND_COUNT(matmul),
                               matmul);
    NND_TRY(nnd_qdq_replace(g, mul, &nnd_op_conv_to_float, NND_COUNT(window), window));
    mul->attrs = sums->attrs;
    mul->attr_count = sums->attr_count;
    mul->opset = sums->opset;
    return NND_OK;
}

nnd_status nnd_qdq_dynamic(nnd_graph *g, nnd_graph_node *mul, bool *done)
{
    *done = false;
    if (!nnd_match_is_binary(mul, "Mul") || mul->epilogue) return NND_OK;
    for (size_t i = 0; i < 2 && !*done; i++) {
        nnd_graph_node *sums = sole_sums(g, mul->inputs[i]);
        factor f[SCALES];
        bool is;
        if (!sums) continue;
        NND_TRY(read_factors(g, mul->inputs[1 - i], f, &is));
        if (!is || !takes(g, sums, f)) continue;
        uint32_t cast = g->values[mul->inputs[i]].producer;
        NND_TRY(become_product(g, mul, sums, f));
        g->nodes[cast].dead = sums->dead = *done = true;
    }
    return NND_OK;
}

/* Such a convolution, read by nobody else, that has no bias yet. */
static nnd_graph_node *sole_conv(nnd_graph *g, uint32_t value)
{
    uint32_t id = g->values[value].producer;
    nnd_graph_node *n = id == NND_NO_ID ? NULL : &g->nodes[id];
    const bool is = n && !n->dead && n->op == &nnd_op_conv_to_float && n->formal_count == 6 &&
                    !n->epilogue && g->values[n->inputs[3]].is_constant &&
                    nnd_graph_single_reader(g, value) != NND_NO_ID;
    return is ? n : NULL;
}

/* One number per channel, [channels, 1, …] with or without the batch in front, for weights w. */
static bool is_per_channel(const nnd_tensor *t, const nnd_tensor *w)
{
    int at = t->rank - (w->rank - 1);
    if (at < 0 || at > 1) return false;
    return t->dims[at] == w->dims[0] && nnd_tensor_count(t) == w->dims[0];
}

nnd_status nnd_qdq_channel_bias(nnd_graph *g, nnd_graph_node *add, bool *done)
{
    *done = false;
    for (int i = 0; i < 2 && !*done; i++) {
        nnd_graph_node *n = sole_conv(g, add->inputs[i]);
        uint32_t bias = n ? nnd_qdq_constant(g, add->inputs[1 - i]) : NND_NO_ID;
        const nnd_tensor *t = NULL;
        if (bias != NND_NO_ID) NND_TRY(nnd_match_floats(g, bias, &t));
        if (!t || !is_per_channel(t, &g->values[n->inputs[3]].constant)) continue;
        uint32_t inputs[7];
        memcpy(inputs, n->inputs, 6 * sizeof *inputs);
        inputs[6] = bias;
        NND_TRY(nnd_qdq_replace(g, add, n->op, NND_COUNT(inputs), inputs));
        add->attrs = n->attrs;
        add->attr_count = n->attr_count;
        add->opset = n->opset;
        n->dead = *done = true;
    }
    return NND_OK;
}
