#include "engine/runtime/expand.h"

#include <string.h>

#include "engine/ops/op.h"

#define MS "com.microsoft"

/* What is made in the place of one node. */
typedef struct maker {
    nnd_graph *g;
    const nnd_graph_node *from;
    const nnd_expansion *row;
    const nnd_graph_node *old; /* all nodes of the file; producers of its values count in them */
    size_t old_count;
} maker;

struct nnd_expansion {
    const char *type;
    int16_t min_inputs, max_inputs, max_outputs;
    const char *attr; /* only nodes where this int is not 0; NULL = all */
    const char *core_domain, *core;
    int64_t core_opset;
    nnd_status (*make)(maker *m);
};

/* ---- pieces ---------------------------------------------------------------------------------- */

static uint32_t input(const maker *m, size_t i)
{
    return i < m->from->formal_count ? m->from->inputs[i] : NND_NO_ID;
}

/* A node with one result, a new value. The node can be changed until the next one is made. */
static nnd_status put(maker *m, const char *domain, const char *type, int64_t opset, size_t count,
                      const uint32_t *inputs, nnd_graph_node **node, uint32_t *out)
{
    NND_TRY(nnd_graph_add_node(m->g, domain, type, opset, NULL, count, inputs, 1, NULL, node));
    *out = (*node)->outputs[0];
    return NND_OK;
}

/* The last node: its results are those of the node that is replaced. */
static void finish(maker *m, nnd_graph_node *node)
{
    node->outputs = m->from->outputs;
    node->output_count = m->from->output_count;
}

static nnd_status put_core(maker *m, size_t count, const uint32_t *inputs, nnd_graph_node **node,
                           uint32_t *out)
{
    NND_TRY(
        put(m, m->row->core_domain, m->row->core, m->row->core_opset, count, inputs, node, out));
    (*node)->name = m->from->name;
    return NND_OK;
}

/* The attributes of the node that is replaced, but for one. */
static nnd_status copy_attributes(maker *m, nnd_graph_node *to, const char *but)
{
    to->attrs = nnd_arena_calloc(&m->g->arena, m->from->attr_count + 1, sizeof(*to->attrs));
    if (!to->attrs) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the model's graph");
    to->attr_count = 0;
    for (size_t i = 0; i < m->from->attr_count; i++)
        if (!but || strcmp(m->from->attrs[i].name, but) != 0)
            to->attrs[to->attr_count++] = m->from->attrs[i];
    return NND_OK;
}

static nnd_status put_ints(maker *m, size_t count, const int64_t *values, uint32_t *out)
{
    const int64_t dims[1] = {(int64_t)count};
    nnd_tensor t;
    NND_TRY(nnd_tensor_init(&t, NND_I64, 1, dims, (void *)(uintptr_t)values));
    return nnd_graph_add_constant(m->g, NULL, &t, out);
}

/* ---- the same under another name ----------------------------------------------------------- */

static nnd_status rename_only(maker *m)
{
    nnd_graph_node n = *m->from;
    n.domain = m->row->core_domain;
    n.type = m->row->core;
    n.opset = m->row->core_opset;
    return nnd_graph_append(m->g, &n);
}

/* Different elements in the order in which they come; ai.onnx puts the places of the first ones
   between the results. */
static nnd_status unique(maker *m)
{
    const uint32_t *out = m->from->outputs;
    const size_t count = m->from->output_count;
    nnd_graph_node *n;
    uint32_t made;
    NND_TRY(put_core(m, 1, m->from->inputs, &n, &made));
    NND_TRY(nnd_node_add_int(m->g, n, "sorted", 0));
    n->outputs = nnd_arena_calloc(&m->g->arena, 4, sizeof(*n->outputs));
    if (!n->outputs) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the model's graph");
    n->output_count = count < 2 ? count : count + 1;
    n->outputs[0] = out[0];
    n->outputs[1] = NND_NO_ID;
    for (size_t i = 1; i < count; i++)
        n->outputs[i + 1] = out[i];
    return NND_OK;
}

/* ---- channels last ------------------------------------------------------------------------- */

/* The rank of a layer's input: of its window, of its weights, else what the file says. Pictures
   have 4. */
static int rank_of(const maker *m, size_t weights)
{
    size_t count;
    const bool window = nnd_node_ints(m->from, "kernel_shape", &count) != NULL;
    const uint32_t known[2] = {input(m, weights), input(m, 0)};
    int64_t rank = window ? (int64_t)count + 2 : -1;
    for (size_t i = 0; i < NND_COUNT(known) && rank < 0; i++)
        if (known[i] != NND_NO_ID) rank = m->g->values[known[i]].rank;
    return rank < 3 || rank > NND_MAX_RANK ? 4 : (int)rank;
}

static nnd_status put_transpose(maker *m, uint32_t in, int rank, bool channels_first,
                                nnd_graph_node **node, uint32_t *out)
{
    int64_t perm[NND_MAX_RANK] = {0};
    for (int i = 1; i < rank; i++)
        perm[i] = channels_first ? (i == 1 ? rank - 1 : i - 1) : (i == rank - 1 ? 1 : i + 1);
    NND_TRY(put(m, "", "Transpose", 13, 1, &in, node, out));
    return nnd_node_add_ints(m->g, *node, "perm", perm, (size_t)rank);
}

enum { MAX_LAYER_INPUTS = 9 };

/* Transpose, the layer with channels first, Transpose. turned: bits of the inputs that have their
   channels last. */
static nnd_status with_channels_first(maker *m, size_t weights, unsigned turned)
{
    uint32_t inputs[MAX_LAYER_INPUTS], made;
    const int rank = rank_of(m, weights);
    nnd_graph_node *n;
    for (size_t i = 0; i < m->from->formal_count; i++) {
        inputs[i] = m->from->inputs[i];
        if (turned >> i & 1u && inputs[i] != NND_NO_ID)
            NND_TRY(put_transpose(m, inputs[i], rank, true, &n, &inputs[i]));
    }
    NND_TRY(put_core(m, m->from->formal_count, inputs, &n, &made));
    NND_TRY(copy_attributes(m, n, "channels_last"));
    NND_TRY(put_transpose(m, made, rank, false, &n, &made));
    finish(m, n);
    return NND_OK;
}

static nnd_status pool(maker *m)
{
    return with_channels_first(m, SIZE_MAX, 1u << 0);
}

/* The weights' channels are last too, [M, kH, kW, C/group]: its description does not say so, but
   the tools that make it do. */
static nnd_status conv(maker *m)
{
    return with_channels_first(m, 1, 1u << 0 | 1u << 1);
}

/* Weights as those of Conv, and something to add of the result's layout. */
static nnd_status fused_conv(maker *m)
{
    return with_channels_first(m, 1, 1u << 0 | 1u << 3);
}

static nnd_status qlinear_conv(maker *m)
{
    return nnd_node_int(m->from, "channels_last", 0) ? with_channels_first(m, 3, 1u << 0)
                                                     : rename_only(m);
}

/* ---- group normalisation ----------------------------------------------------------------------
 */

/* What a sum's second operand is: as large as the first one, or one value per channel. */
typedef enum skip_form { SKIP_UNKNOWN, SKIP_WHOLE, SKIP_CHANNELS } skip_form;

static const nnd_graph_node *maker_of(const maker *m, uint32_t value)
{
    const uint32_t id = value == NND_NO_ID ? NND_NO_ID : m->g->values[value].producer;
    return id < m->old_count ? &m->old[id] : NULL;
}

/* Whether what makes the value makes pictures: one of com.microsoft's layers, a Transpose of four
   dimensions. */
static bool is_picture(const nnd_graph_node *n)
{
    static const char *const layers[] = {"NhwcConv", "NhwcFusedConv", "GroupNorm", "SkipGroupNorm"};
    size_t count;
    if (!n->domain[0] && strcmp(n->type, "Transpose") == 0)
        return nnd_node_ints(n, "perm", &count) && count == 4;
    for (size_t i = 0; i < NND_COUNT(layers); i++)
        if (strcmp(n->type, layers[i]) == 0) return strcmp(n->domain, MS) == 0;
    return false;
}

/* Shapes are not known yet; what made the operand tells. */
static skip_form form_of(const maker *m, uint32_t value)
{
    const nnd_graph_node *n = maker_of(m, value);
    if (n && is_picture(n)) return SKIP_WHOLE;
    while (n && !n->domain[0] && strcmp(n->type, "Unsqueeze") == 0 && n->formal_count) {
        value = n->inputs[0];
        n = maker_of(m, value);
    }
    if (n) return !n->domain[0] && strcmp(n->type, "Gemm") == 0 ? SKIP_CHANNELS : SKIP_UNKNOWN;
    return value != NND_NO_ID && m->g->values[value].rank == 2 ? SKIP_CHANNELS : SKIP_UNKNOWN;
}

/* Normalises x, which has its channels first; then SiLU if it is asked for. */
static nnd_status put_norm(maker *m, uint32_t x, uint32_t *out)
{
    const uint32_t inputs[3] = {x, input(m, 1), input(m, 2)};
    nnd_graph_node *n;
    NND_TRY(put_core(m, 3, inputs, &n, out));
    NND_TRY(nnd_node_add_int(m->g, n, "num_groups", nnd_node_int(m->from, "groups", 0)));
    NND_TRY(nnd_node_add_float(m->g, n, "epsilon", nnd_node_float(m->from, "epsilon", 1e-5f)));
    if (nnd_node_int(m->from, "activation", 0) == 0) return NND_OK;
    return put(m, "", "Swish", 24, 1, out, &n, out);
}

static bool is_last(const maker *m)
{
    return nnd_node_int(m->from, "channels_last", 1) != 0;
}

static nnd_status group_norm(maker *m)
{
    const int rank = rank_of(m, SIZE_MAX);
    uint32_t x = input(m, 0);
    nnd_graph_node *n;
    if (is_last(m)) NND_TRY(put_transpose(m, x, rank, true, &n, &x));
    NND_TRY(put_norm(m, x, &x));
    if (is_last(m)) NND_TRY(put_transpose(m, x, rank, false, &n, &x));
    finish(m, &m->g->nodes[m->g->node_count - 1]);
    return NND_OK;
}

/* One value per channel, as [batch, channels, 1, 1] or [channels, 1, 1]. */
static nnd_status put_channels(maker *m, uint32_t *value, bool of_each_picture)
{
    const int64_t shape[4] = {-1, m->g->values[input(m, 1)].dims[0], 1, 1};
    uint32_t in[2] = {*value, NND_NO_ID};
    nnd_graph_node *n;
    NND_TRY(put_ints(m, of_each_picture ? 4 : 3, shape + !of_each_picture, &in[1]));
    return put(m, "", "Reshape", 14, 2, in, &n, value);
}

/* Pictures with channels last whose second operand is known; else the operator stays as it is. */
static nnd_status skip_group_norm(maker *m)
{
    const skip_form form = form_of(m, input(m, 3));
    const nnd_graph_value *gamma = &m->g->values[input(m, 1)];
    uint32_t sum[2] = {input(m, 0), input(m, 3)}, bias = input(m, 4), y;
    nnd_graph_node *n;
    if (!is_last(m) || form == SKIP_UNKNOWN || !gamma->is_constant || gamma->rank != 1)
        return nnd_graph_append(m->g, m->from);
    NND_TRY(put_transpose(m, sum[0], 4, true, &n, &sum[0]));
    if (form == SKIP_WHOLE)
        NND_TRY(put_transpose(m, sum[1], 4, true, &n, &sum[1]));
    else
        NND_TRY(put_channels(m, &sum[1], true));
    NND_TRY(put(m, "", "Add", 14, 2, sum, &n, &sum[0]));
    if (bias != NND_NO_ID) {
        NND_TRY(put_channels(m, &bias, false));
        sum[1] = bias;
        NND_TRY(put(m, "", "Add", 14, 2, sum, &n, &sum[0]));
    }
    NND_TRY(put_norm(m, sum[0], &y));
    NND_TRY(put_transpose(m, y, 4, false, &n, &y));
    n->outputs[0] = m->from->outputs[0];
    if (m->from->output_count < 2 || m->from->outputs[1] == NND_NO_ID) return NND_OK;
    NND_TRY(put_transpose(m, sum[0], 4, false, &n, &y));
    n->outputs[0] = m->from->outputs[1];
    return NND_OK;
}

/* ---- several in a row ---------------------------------------------------------------------- */

static nnd_status matmul_gelu(maker *m)
{
    uint32_t in[2] = {NND_NO_ID, input(m, 2)};
    nnd_graph_node *n;
    NND_TRY(put_core(m, 2, m->from->inputs, &n, &in[0]));
    NND_TRY(put(m, MS, "FastGelu", 1, in[1] == NND_NO_ID ? 1 : 2, in, &n, &in[1]));
    finish(m, n);
    return NND_OK;
}

/* The activations that it may name, with the opset whose parameters they have. */
static int64_t activation_opset(const char *name)
{
    static const char *const known[] = {"Relu",     "Sigmoid",   "Tanh",        "Elu",
                                        "Selu",     "LeakyRelu", "HardSigmoid", "Celu",
                                        "Softplus", "Softsign",  "HardSwish",   "ThresholdedRelu"};
    static const char *const along_axis[] = {"Softmax", "LogSoftmax", "Hardmax"};
    for (size_t i = 0; i < NND_COUNT(known); i++)
        if (strcmp(known[i], name) == 0) return 16;
    for (size_t i = 0; i < NND_COUNT(along_axis); i++)
        if (strcmp(along_axis[i], name) == 0) return 13;
    return 0;
}

static nnd_status matmul_activation(maker *m)
{
    static const char *const params[][2] = {
        {"activation_alpha", "alpha"}, {"activation_beta", "beta"}, {"activation_gamma", "gamma"}};
    const char *name = nnd_node_string(m->from, "activation", "");
    const nnd_attr *axis = nnd_node_attr(m->from, "activation_axis");
    nnd_graph_node *n;
    uint32_t made;
    NND_TRY(put_core(m, 2, m->from->inputs, &n, &made));
    NND_TRY(copy_attributes(m, n, NULL));
    NND_TRY(put(m, "", name, activation_opset(name), 1, &made, &n, &made));
    for (size_t i = 0; i < NND_COUNT(params); i++)
        if (nnd_node_attr(m->from, params[i][0]))
            NND_TRY(nnd_node_add_float(m->g, n, params[i][1],
                                       nnd_node_float(m->from, params[i][0], 0)));
    if (axis && axis->kind == NND_ATTR_INT) NND_TRY(nnd_node_add_int(m->g, n, "axis", axis->u.i));
    finish(m, n);
    return NND_OK;
}

static nnd_status bias_add(maker *m)
{
    uint32_t in[2] = {NND_NO_ID, input(m, 2)};
    nnd_graph_node *n;
    NND_TRY(put_core(m, 2, m->from->inputs, &n, &in[0]));
    NND_TRY(put_core(m, 2, in, &n, &in[0]));
    finish(m, n);
    return NND_OK;
}

/* The first half of the last dimension times Gelu of the second. */
static nnd_status bias_split_gelu(maker *m)
{
    uint32_t made, in[2];
    nnd_graph_node *n;
    NND_TRY(put_core(m, 2, m->from->inputs, &n, &made));
    NND_TRY(nnd_graph_add_node(m->g, "", "Split", 18, NULL, 1, &made, 2, NULL, &n));
    NND_TRY(nnd_node_add_int(m->g, n, "axis", -1));
    NND_TRY(nnd_node_add_int(m->g, n, "num_outputs", 2));
    in[0] = n->outputs[0];
    in[1] = n->outputs[1];
    NND_TRY(put(m, "", "Gelu", 20, 1, &in[1], &n, &in[1]));
    NND_TRY(put(m, "", "Mul", 14, 2, in, &n, &made));
    finish(m, n);
    return NND_OK;
}

/* Dequantise, average, quantise. A zero point that is absent is a 0 of the operand's type. */
static nnd_status qlinear_mean(maker *m)
{
    const uint32_t from[3] = {input(m, 0), input(m, 1), input(m, 2)};
    uint32_t to[3] = {NND_NO_ID, input(m, 3), input(m, 4)};
    nnd_graph_node *n;
    NND_TRY(put(m, "", "DequantizeLinear", 21, from[2] == NND_NO_ID ? 2 : 3, from, &n, &to[0]));
    NND_TRY(put_core(m, 1, to, &n, &to[0]));
    NND_TRY(copy_attributes(m, n, NULL));
    if (to[2] == NND_NO_ID) {
        float zero = 0;
        nnd_tensor t;
        uint32_t like[2] = {NND_NO_ID, from[0]};
        NND_TRY(nnd_tensor_init(&t, NND_F32, 0, NULL, &zero));
        NND_TRY(nnd_graph_add_constant(m->g, NULL, &t, &like[0]));
        NND_TRY(put(m, "", "CastLike", 19, 2, like, &n, &to[2]));
    }
    NND_TRY(put(m, "", "QuantizeLinear", 21, 3, to, &n, &to[0]));
    finish(m, n);
    return NND_OK;
}

/* Words of 16 bits, with or without a sign, as numbers of 32. */
static nnd_status matmul_words(maker *m)
{
    uint32_t in[2];
    nnd_graph_node *n;
    for (size_t i = 0; i < 2; i++) {
        NND_TRY(put(m, "", "Cast", 19, 1, &m->from->inputs[i], &n, &in[i]));
        NND_TRY(nnd_node_add_int(m->g, n, "to", 6 /* i32, as ONNX counts types */));
    }
    NND_TRY(put_core(m, 2, in, &n, &in[0]));
    finish(m, n);
    return NND_OK;
}

/* The whole result, of which as much is cut off as the pads say: both are known when it runs. */
static nnd_status conv_transpose(maker *m)
{
    static const int64_t none[2] = {0, 0}, all[2] = {INT64_MAX, INT64_MAX};
    const uint32_t layer[3] = {input(m, 0), input(m, 1), input(m, 3)};
    const uint32_t pads = input(m, 2);
    uint32_t whole, extent, begin[2], end[2], cut[3];
    nnd_graph_node *n;
    NND_TRY(put_core(m, layer[2] == NND_NO_ID ? 2 : 3, layer, &n, &whole));
    NND_TRY(copy_attributes(m, n, NULL));
    if (pads == NND_NO_ID) {
        finish(m, n);
        return NND_OK;
    }
    NND_TRY(nnd_graph_add_node(m->g, "", "Split", 18, NULL, 1, &pads, 2, NULL, &n));
    NND_TRY(nnd_node_add_int(m->g, n, "num_outputs", 2));
    begin[1] = n->outputs[0];
    end[1] = n->outputs[1];
    NND_TRY(put(m, "", "Shape", 15, 1, &whole, &n, &extent));
    NND_TRY(nnd_node_add_int(m->g, n, "start", 2));
    NND_TRY(put(m, "", "Sub", 14, 2, (const uint32_t[]){extent, end[1]}, &n, &end[1]));
    NND_TRY(put_ints(m, 2, none, &begin[0]));
    NND_TRY(put_ints(m, 2, all, &end[0]));
    cut[0] = whole;
    NND_TRY(put(m, "", "Concat", 13, 2, begin, &n, &cut[1]));
    NND_TRY(nnd_node_add_int(m->g, n, "axis", 0));
    NND_TRY(put(m, "", "Concat", 13, 2, end, &n, &cut[2]));
    NND_TRY(nnd_node_add_int(m->g, n, "axis", 0));
    NND_TRY(put(m, "", "Slice", 13, 3, cut, &n, &whole));
    finish(m, n);
    return NND_OK;
}

/* The projection of all three operands, and the attention of rows without padding. */
static nnd_status packed_attention(maker *m)
{
    size_t sizes;
    const int64_t *parts = nnd_node_ints(m->from, "qkv_hidden_sizes", &sizes);
    uint32_t in[7] = {NND_NO_ID, NND_NO_ID, NND_NO_ID, NND_NO_ID, input(m, 3), input(m, 4)};
    uint32_t split[2] = {NND_NO_ID, NND_NO_ID};
    nnd_graph_node *n;
    NND_TRY(put_core(m, 3, m->from->inputs, &n, &split[0]));
    if (parts) NND_TRY(put_ints(m, sizes, parts, &split[1]));
    NND_TRY(nnd_graph_add_node(m->g, "", "Split", 18, NULL, parts ? 2 : 1, split, 3, NULL, &n));
    NND_TRY(nnd_node_add_int(m->g, n, "axis", -1));
    if (!parts) NND_TRY(nnd_node_add_int(m->g, n, "num_outputs", 3));
    memcpy(in, n->outputs, 3 * sizeof(in[0]));
    in[6] = input(m, 5);
    NND_TRY(put(m, MS, "PackedMultiHeadAttention", 1, in[6] == NND_NO_ID ? 6 : 7, in, &n, &in[0]));
    NND_TRY(copy_attributes(m, n, "qkv_hidden_sizes"));
    finish(m, n);
    return NND_OK;
}

/* ---- Fourier transforms of the last dimensions --------------------------------------------- */

/* One transform along the dimension `back` from the end, the complex pairs' not counted. */
static nnd_status put_dft(maker *m, uint32_t in, int64_t back, bool inverse, bool onesided,
                          uint32_t *out)
{
    const int64_t axis = -1 - back;
    uint32_t inputs[3] = {in, NND_NO_ID, NND_NO_ID};
    nnd_tensor t;
    nnd_graph_node *n;
    NND_TRY(nnd_tensor_init(&t, NND_I64, 0, NULL, (void *)(uintptr_t)&axis));
    NND_TRY(nnd_graph_add_constant(m->g, NULL, &t, &inputs[2]));
    NND_TRY(put(m, "", "DFT", 20, 3, inputs, &n, out));
    NND_TRY(nnd_node_add_int(m->g, n, "inverse", inverse));
    return nnd_node_add_int(m->g, n, "onesided", onesided);
}

static nnd_status real_transform(maker *m)
{
    static const int64_t last[1] = {-1};
    const bool inverse = strcmp(m->from->type, "Irfft") == 0;
    const int64_t dims = nnd_node_int(m->from, "signal_ndim", 1);
    uint32_t in[2] = {input(m, 0), NND_NO_ID};
    nnd_graph_node *n;
    NND_TRY(put_ints(m, 1, last, &in[1]));
    if (!inverse) NND_TRY(put(m, "", "Unsqueeze", 13, 2, in, &n, &in[0]));
    if (!inverse) NND_TRY(put_dft(m, in[0], 1, false, true, &in[0]));
    for (int64_t i = 2; i <= dims; i++)
        NND_TRY(put_dft(m, in[0], i, inverse, false, &in[0]));
    if (inverse) NND_TRY(put_dft(m, in[0], 1, true, true, &in[0]));
    if (inverse) NND_TRY(put(m, "", "Squeeze", 13, 2, in, &n, &in[0]));
    finish(m, &m->g->nodes[m->g->node_count - 1]);
    return NND_OK;
}

/* ---- products of complex numbers ----------------------------------------------------------- */

/* Real parts and imaginary parts of both operands, the four products, and their sums side by side.
   ComplexMulConj takes the second operand's conjugate. */
static nnd_status complex_product(maker *m)
{
    const bool conjugate = strcmp(m->from->type, "ComplexMulConj") == 0;
    uint32_t part[2][2], product[2][2], sum[2];
    nnd_graph_node *n;
    for (size_t i = 0; i < 2; i++) {
        const uint32_t in = m->from->inputs[i];
        NND_TRY(nnd_graph_add_node(m->g, "", "Split", 18, NULL, 1, &in, 2, NULL, &n));
        NND_TRY(nnd_node_add_int(m->g, n, "axis", -1));
        NND_TRY(nnd_node_add_int(m->g, n, "num_outputs", 2));
        memcpy(part[i], n->outputs, sizeof(part[i]));
    }
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < 2; k++)
            NND_TRY(put_core(m, 2, (const uint32_t[]){part[0][i], part[1][k]}, &n, &product[i][k]));
    const uint32_t real[2] = {product[0][0], product[1][1]};
    const uint32_t imaginary[2] = {product[1][0], product[0][1]};
    NND_TRY(put(m, "", conjugate ? "Add" : "Sub", 14, 2, real, &n, &sum[0]));
    NND_TRY(put(m, "", conjugate ? "Sub" : "Add", 14, 2, imaginary, &n, &sum[1]));
    NND_TRY(put(m, "", "Concat", 13, 2, sum, &n, &sum[0]));
    NND_TRY(nnd_node_add_int(m->g, n, "axis", -1));
    finish(m, n);
    return NND_OK;
}

/* ---- the table ----------------------------------------------------------------------------- */

#define ONNX(type, low, high, outs, core, opset, make)                                             \
    {                                                                                              \
        type, low, high, outs, NULL, "", core, opset, make                                         \
    }
#define LAST "channels_last"
static const nnd_expansion rows[] = {
    ONNX("QuantizeLinear", 2, 3, 1, "QuantizeLinear", 21, rename_only),
    ONNX("DequantizeLinear", 2, 3, 1, "DequantizeLinear", 21, rename_only),
    ONNX("ExpandDims", 2, 2, 1, "Unsqueeze", 13, rename_only),
    ONNX("GatherND", 2, 2, 1, "GatherND", 12, rename_only),
    ONNX("SampleOp", 1, 1, 1, "Identity", 16, rename_only),
    ONNX("Unique", 1, 1, 3, "Unique", 11, unique),
    ONNX("NhwcMaxPool", 1, 1, 1, "MaxPool", 12, pool),
    ONNX("NhwcConv", 2, 3, 1, "Conv", 11, conv),
    ONNX("GroupNorm", 3, 3, 1, "GroupNormalization", 21, group_norm),
    ONNX("SkipGroupNorm", 4, 5, 2, "GroupNormalization", 21, skip_group_norm),
    {"NhwcFusedConv", 2, 4, 1, NULL, MS, "FusedConv", 1, fused_conv},
    ONNX("QLinearConv", 8, 9, 1, "QLinearConv", 10, qlinear_conv),
    {"QLinearAveragePool", 4, 5, 1, LAST, MS, "QLinearAveragePool", 1, pool},
    ONNX("QLinearReduceMean", 4, 5, 1, "ReduceMean", 13, qlinear_mean),
    ONNX("MatMulInteger16", 2, 2, 1, "MatMul", 13, matmul_words),
    {"TransposeMatMul", 2, 2, 1, NULL, MS, "FusedMatMul", 1, rename_only},
    ONNX("GemmFastGelu", 2, 3, 1, "MatMul", 13, matmul_gelu),
    {"FusedMatMulActivation", 2, 2, 1, NULL, MS, "FusedMatMul", 1, matmul_activation},
    ONNX("BiasAdd", 3, 3, 1, "Add", 14, bias_add),
    ONNX("BiasSplitGelu", 2, 2, 1, "Add", 14, bias_split_gelu),
    ONNX("PackedAttention", 5, 6, 1, "Gemm", 13, packed_attention),
    ONNX("ConvTransposeWithDynamicPads", 2, 4, 1, "ConvTranspose", 11, conv_transpose),
    ONNX("ComplexMul", 2, 2, 1, "Mul", 14, complex_product),
    ONNX("ComplexMulConj", 2, 2, 1, "Mul", 14, complex_product),
    ONNX("Rfft", 1, 1, 1, "DFT", 20, real_transform),
    ONNX("Irfft", 1, 1, 1, "DFT", 20, real_transform),
};

size_t nnd_expansion_count(void)
{
    return NND_COUNT(rows);
}

nnd_expansion_info nnd_expansion_at(size_t i)
{
    return (nnd_expansion_info){rows[i].type, rows[i].core_domain, rows[i].core,
                                rows[i].core_opset};
}

/* What the attributes have to say beside the number of inputs. */
static bool attributes_fit(const nnd_graph_node *n, const nnd_expansion *row)
{
    if (row->attr && !nnd_node_int(n, row->attr, 0)) return false;
    if (row->make == matmul_activation)
        return activation_opset(nnd_node_string(n, "activation", "")) != 0;
    const int64_t dims = nnd_node_int(n, "signal_ndim", 1);
    const int64_t activation = nnd_node_int(n, "activation", 0);
    if (row->make == group_norm || row->make == skip_group_norm)
        return activation == 0 || activation == 1;
    if (row->make == real_transform)
        return dims >= 1 && dims < NND_MAX_RANK && nnd_node_int(n, "onesided", 1) == 1 &&
               nnd_node_int(n, "normalized", 0) == 0;
    return true;
}

static bool inputs_fit(const nnd_graph_node *n, const nnd_expansion *row)
{
    if (n->formal_count < (size_t)row->min_inputs || n->formal_count > (size_t)row->max_inputs)
        return false;
    for (size_t i = 0; i < (size_t)row->min_inputs; i++) {
        const bool zero_point = i == 2 && (row->make == qlinear_mean || row->make == pool);
        if (n->inputs[i] == NND_NO_ID && !zero_point) return false;
    }
    return true;
}

static const nnd_expansion *find(const nnd_graph_node *n)
{
    for (size_t i = 0; i < NND_COUNT(rows) && strcmp(n->domain, MS) == 0; i++)
        if (strcmp(rows[i].type, n->type) == 0) return &rows[i];
    return NULL;
}

bool nnd_expansion_knows(const nnd_graph_node *n)
{
    return find(n) != NULL;
}

const nnd_expansion *nnd_expansion_of(const nnd_graph_node *n)
{
    const nnd_expansion *row = find(n);
    if (!row || n->opset < 1 || nnd_op_custom_find(n->domain, n->type, n->opset)) return NULL;
    if (n->output_count < 1 || n->output_count > (size_t)row->max_outputs) return NULL;
    return inputs_fit(n, row) && attributes_fit(n, row) ? row : NULL;
}

static nnd_status expand_nodes(nnd_graph *g, nnd_graph_node *old, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        maker m = {.g = g,
                   .from = &old[i],
                   .row = nnd_expansion_of(&old[i]),
                   .old = old,
                   .old_count = count};
        if (m.row)
            NND_TRY(m.row->make(&m));
        else
            NND_TRY(nnd_graph_append(g, &old[i]));
    }
    return NND_OK;
}

nnd_status nnd_graph_expand(nnd_graph *g)
{
    bool any = false;
    for (nnd_graph *child = g->children; child; child = child->sibling)
        NND_TRY(nnd_graph_expand(child));
    for (size_t i = 0; i < g->node_count && !any; i++)
        any = nnd_expansion_of(&g->nodes[i]) != NULL;
    if (!any) return NND_OK;
    nnd_graph_node *old = g->nodes;
    const size_t count = g->node_count;
    g->nodes = NULL;
    g->node_count = g->node_capacity = 0;
    nnd_status status = expand_nodes(g, old, count);
    nnd_free(old);
    if (status == NND_OK) nnd_graph_index(g);
    return status;
}
