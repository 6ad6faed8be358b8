/*
 * Layout assignment: between convolutions, channels lie in blocks of a vector (NCHWc).
 *
 * One sweep in order of execution. For every value the pass knows which forms of it exist; a node
 * that can work on blocks and whose inputs are blocked (or worth it) gets and makes blocked values,
 * any other node gets plain ones. A reorder is made where a form is missing, once per value, so
 * that reorders between blocked nodes never come into being. A plain value keeps its id, whatever
 * reads it from outside stays right; the blocked form is a value of its own.
 *
 * Whether a value is a picture with C channels is never guessed: it follows from constant weights,
 * from constant shapes or from declared inputs that leave no choice.
 */
#include <string.h>

#include "engine/ops/blocked.h"
#include "engine/ops/window.h"
#include "engine/passes/pass.h"

typedef struct form {
    uint32_t blocked; /* value in blocks, NND_NO_ID = none yet */
    int64_t channels; /* 0 = not known to be a picture */
    bool plain;       /* the value itself has been made */
} form;

typedef struct layouter {
    nnd_graph *g;
    size_t values, nodes; /* before the pass */
    int64_t block;
    form *forms;     /* of the values before the pass */
    uint32_t *order; /* nodes in the new order of execution */
    size_t order_count, order_capacity;
    size_t *changes;
} layouter;

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the layout pass");
}

static bool is(const nnd_graph_node *n, const char *type)
{
    return !n->domain[0] && strcmp(n->type, type) == 0;
}

/* Conv by whatever name it came. */
static bool is_conv(const nnd_graph_node *n)
{
    return n->op && !n->op->domain[0] && strcmp(n->op->name, "Conv") == 0;
}

static bool is_one_of(const nnd_graph_node *n, const char *const *types, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is(n, types[i])) return true;
    return false;
}

static nnd_status append(layouter *l, uint32_t node)
{
    if (l->order_count == l->order_capacity) {
        size_t capacity = l->order_capacity * 2;
        uint32_t *bigger = nnd_realloc(l->order, capacity * sizeof(*bigger));
        if (!bigger) return out_of_memory();
        l->order = bigger;
        l->order_capacity = capacity;
    }
    l->order[l->order_count++] = node;
    return NND_OK;
}

/* ---- what is known about values ------------------------------------------------------------- */

/* Channels of a value that is a picture for sure, 0 otherwise. */
static int64_t channels_of(const layouter *l, uint32_t id)
{
    const nnd_graph_value *v = &l->g->values[id];
    if (id < l->values && l->forms[id].channels) return l->forms[id].channels;
    if (v->is_constant)
        return v->constant.rank == 4 && v->constant.dtype == NND_F32 ? v->constant.dims[1] : 0;
    if (l->g->nominal_exact && v->nominal_rank == 4) return v->nominal[1];
    return 0;
}

static bool is_blocked(const layouter *l, uint32_t id)
{
    return id != NND_NO_ID && id < l->values && l->forms[id].blocked != NND_NO_ID;
}

/* A Reshape to constant dimensions [n, C, h, w] says what comes out. */
static nnd_status note_reshape(layouter *l, const nnd_graph_node *n)
{
    const nnd_tensor *shape;
    if (!is(n, "Reshape") || n->formal_count < 2 || n->inputs[1] == NND_NO_ID) return NND_OK;
    NND_TRY(nnd_graph_constant(l->g, n->inputs[1], &shape));
    if (!shape || shape->dtype != NND_I64 || !shape->data || nnd_tensor_count(shape) != 4)
        return NND_OK;
    int64_t channels = ((const int64_t *)shape->data)[1];
    if (channels > 0) l->forms[n->outputs[0]].channels = channels;
    return NND_OK;
}

/* ---- reorders ------------------------------------------------------------------------------- */

/* A blocked value has the type and the nominal shape of the plain one. */
static void copy_nominal(layouter *l, uint32_t from, uint32_t to)
{
    nnd_graph_value *v = l->g->values;
    v[to].dtype = v[from].dtype;
    v[to].nominal_rank = v[from].nominal_rank;
    memcpy(v[to].nominal, v[from].nominal, sizeof(v[to].nominal));
}

static nnd_status add_reorder(layouter *l, const nnd_op *op, uint32_t in, uint32_t *out)
{
    nnd_graph_node *n;
    NND_TRY(nnd_graph_add_node(l->g, "", op->name, 1, NULL, 1, &in, 1, NULL, &n));
    n->op = op;
    *out = n->outputs[0];
    copy_nominal(l, in, *out);
    return append(l, (uint32_t)(l->g->node_count - 1));
}

static nnd_status need_plain(layouter *l, uint32_t id)
{
    uint32_t made;
    if (id == NND_NO_ID || id >= l->values || l->forms[id].plain) return NND_OK;
    NND_TRY(add_reorder(l, &nnd_op_from_blocked, l->forms[id].blocked, &made));
    nnd_graph_node *n = &l->g->nodes[l->g->node_count - 1];
    NND_TRY(nnd_node_add_int(l->g, n, "channels", l->forms[id].channels));
    n->outputs[0] = id;
    l->forms[id].plain = true;
    return NND_OK;
}

/* Constants are reordered now, everything else when the graph runs. */
static nnd_status block_constant(layouter *l, uint32_t id, uint32_t *out)
{
    const nnd_tensor *t;
    NND_TRY(nnd_graph_constant(l->g, id, &t));
    const int64_t dims[NND_BLOCKED_RANK] = {t->dims[0], nnd_blocks(t->dims[1], l->block),
                                            t->dims[2], t->dims[3], l->block};
    nnd_tensor plain = *t, blocked;
    void *data = nnd_alloc_aligned((size_t)nnd_kernel_elements(NND_KERNEL_NCHWC, (size_t)dims[0],
                                                               (size_t)t->dims[1],
                                                               (size_t)(dims[2] * dims[3])) *
                                           sizeof(float) +
                                       1,
                                   NND_KERNEL_ALIGN);
    if (!data) return out_of_memory();
    nnd_reorder_to_nchwc(plain.data, data, (size_t)plain.dims[1], (size_t)(dims[2] * dims[3]), 0,
                         (size_t)(dims[0] * dims[1]));
    nnd_status status = nnd_tensor_init(&blocked, NND_F32, NND_BLOCKED_RANK, dims, data);
    if (status == NND_OK) status = nnd_graph_add_value(l->g, NULL, out);
    if (status != NND_OK) {
        nnd_free_aligned(data);
        return status;
    }
    return nnd_graph_set_constant(l->g, *out, &blocked, data);
}

static nnd_status need_blocked(layouter *l, uint32_t id, uint32_t *out)
{
    form *f = &l->forms[id];
    if (f->blocked == NND_NO_ID) {
        const nnd_graph_value *v = &l->g->values[id];
        f->channels = channels_of(l, id);
        if (v->is_constant && v->constant.rank == 4 && v->constant.dtype == NND_F32) {
            NND_TRY(block_constant(l, id, &f->blocked));
        } else {
            NND_TRY(add_reorder(l, &nnd_op_to_blocked, id, &f->blocked));
            NND_TRY(nnd_node_add_int(l->g, &l->g->nodes[l->g->node_count - 1], "channels",
                                     f->channels));
        }
    }
    *out = f->blocked;
    return NND_OK;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

/* Output k of the node becomes a blocked value with that many channels. */
static nnd_status block_output(layouter *l, uint32_t node, int64_t channels)
{
    nnd_graph_node *n = &l->g->nodes[node];
    uint32_t plain = n->outputs[0], blocked;
    NND_TRY(nnd_graph_add_value(l->g, NULL, &blocked));
    copy_nominal(l, plain, blocked);
    n->outputs[0] = blocked;
    l->forms[plain] = (form){blocked, channels, false};
    (*l->changes)++;
    return append(l, node);
}

/* Input k reads the blocked form. */
static nnd_status block_input(layouter *l, uint32_t node, size_t k)
{
    uint32_t blocked;
    NND_TRY(need_blocked(l, l->g->nodes[node].inputs[k], &blocked));
    l->g->nodes[node].inputs[k] = blocked;
    return NND_OK;
}

/* The weights of a Conv that has a kernel for blocks: pictures, constant f32. */
static bool conv_weights(const layouter *l, const nnd_graph_node *n, const nnd_tensor **weight)
{
    if (!is_conv(n) || n->formal_count < 2 || n->formal_count != n->input_count) return false;
    const nnd_graph_value *w = &l->g->values[n->inputs[1]];
    *weight = &w->constant;
    if (!w->is_constant || w->constant.dtype != NND_F32 || w->constant.rank != 4) return false;
    if (nnd_tensor_count(&w->constant) == 0) return false;
    if (n->formal_count > 2 && n->inputs[2] != NND_NO_ID) {
        const nnd_graph_value *b = &l->g->values[n->inputs[2]];
        if (!b->is_constant || b->constant.dtype != NND_F32) return false;
    }
    return true;
}

/* A value that has to be a picture with so many channels: false when it is known to be another one,
   which the plain operator will complain about. */
static bool expect_channels(layouter *l, uint32_t id, int64_t channels)
{
    int64_t known = channels_of(l, id);
    if (known && known != channels) return false;
    l->forms[id].channels = channels;
    return true;
}

static nnd_status try_conv(layouter *l, uint32_t node, bool *done)
{
    nnd_graph_node *n = &l->g->nodes[node];
    const nnd_tensor *weight;
    if (!conv_weights(l, n, &weight)) return NND_OK;
    int64_t groups, in, channels = weight->dims[0];
    if (!nnd_conv_groups(n, weight->dims[1], &groups, &in)) return NND_OK;
    bool depthwise = groups == in && channels == in && groups > 1;
    /* A few channels are read as they lie; others are worth a reorder. */
    bool in_blocked = is_blocked(l, n->inputs[0]) || in >= l->block;
    if (depthwise && !in_blocked) return NND_OK;
    /* Most of a block would be padding. */
    if (!is_blocked(l, n->inputs[0]) && channels * 2 < l->block) return NND_OK;
    bool residual = n->formal_count > 3 && n->inputs[3] != NND_NO_ID;
    if (!expect_channels(l, n->inputs[0], in)) return NND_OK;
    /* One channel is repeated where the other operand has more, and lanes cannot be. */
    if (residual && channels == 1 && channels_of(l, n->inputs[3]) != 1) return NND_OK;
    if (residual && !expect_channels(l, n->inputs[3], channels)) return NND_OK;
    if (in_blocked) NND_TRY(block_input(l, node, 0));
    if (residual) NND_TRY(block_input(l, node, 3));
    l->g->nodes[node].op = in_blocked ? &nnd_op_conv_blocked : &nnd_op_conv_blocked_out;
    *done = true;
    return block_output(l, node, channels);
}

/* Transposed convolutions of whole blocks of channels. */
static nnd_status try_conv_transpose(layouter *l, uint32_t node, bool *done)
{
    nnd_graph_node *n = &l->g->nodes[node];
    if (!is(n, "ConvTranspose") || n->formal_count != n->input_count || n->formal_count < 2 ||
        !nnd_conv_transpose_has_phases(l->g, n))
        return NND_OK;
    const nnd_tensor *weight = &l->g->values[n->inputs[1]].constant;
    int64_t groups, channels, in = weight->dims[0];
    if (weight->rank != 4 || !nnd_conv_groups(n, weight->dims[1], &groups, &channels))
        return NND_OK;
    bool in_blocked = is_blocked(l, n->inputs[0]) || in >= l->block;
    if (!expect_channels(l, n->inputs[0], in)) return NND_OK;
    if (in_blocked) NND_TRY(block_input(l, node, 0));
    l->g->nodes[node].op =
        in_blocked ? &nnd_op_conv_transpose_blocked : &nnd_op_conv_transpose_blocked_out;
    *done = true;
    return block_output(l, node, channels);
}

/* Poolings: their blocked forms keep the number of channels. */
static nnd_status try_pool(layouter *l, uint32_t node, bool *done)
{
    const nnd_op_family *family = &nnd_ops_pool_blocked;
    nnd_graph_node *n = &l->g->nodes[node];
    if (n->domain[0] || !n->formal_count || !is_blocked(l, n->inputs[0])) return NND_OK;
    for (size_t k = 1; k < n->output_count; k++) /* indices of the maxima are for plain pictures */
        if (n->outputs[k] != NND_NO_ID && l->g->values[n->outputs[k]].uses) return NND_OK;
    for (size_t k = 0; k < family->count && !*done; k++) {
        if (strcmp(family->ops[k].name, n->type) != 0) continue;
        int64_t channels = l->forms[n->inputs[0]].channels;
        NND_TRY(block_input(l, node, 0));
        n = &l->g->nodes[node];
        n->op = &family->ops[k];
        n->output_count = 1;
        *done = true;
        NND_TRY(block_output(l, node, channels));
    }
    return NND_OK;
}

static nnd_status try_lrn(layouter *l, uint32_t node, bool *done)
{
    nnd_graph_node *n = &l->g->nodes[node];
    if (!is(n, "LRN") || !is_blocked(l, n->inputs[0])) return NND_OK;
    int64_t size = nnd_node_int(n, "size", 0), channels = l->forms[n->inputs[0]].channels;
    if (size < 1 || size > 2 * l->block) return NND_OK;
    NND_TRY(block_input(l, node, 0));
    n = &l->g->nodes[node];
    NND_TRY(nnd_node_add_int(l->g, n, "channels", channels));
    n->op = &nnd_op_lrn_blocked;
    *done = true;
    return block_output(l, node, channels);
}

/* Resize and Upsample of pictures whose channels stay; the other inputs are numbers. */
static nnd_status try_resize(layouter *l, uint32_t node, bool *done)
{
    nnd_graph_node *n = &l->g->nodes[node];
    bool resize = is(n, "Resize");
    if ((!resize && !is(n, "Upsample")) || !is_blocked(l, n->inputs[0])) return NND_OK;
    const nnd_graph_value *y = &l->g->values[n->outputs[0]];
    const char *mode = nnd_node_string(n, "coordinate_transformation_mode", "");
    int64_t channels = l->forms[n->inputs[0]].channels;
    if (n->formal_count != n->input_count || strcmp(mode, "tf_crop_and_resize") == 0 ||
        y->nominal_rank != 4 || y->nominal[1] != channels ||
        y->nominal[0] != l->g->values[n->inputs[0]].nominal[0])
        return NND_OK;
    for (size_t k = 1; k < n->input_count; k++)
        NND_TRY(need_plain(l, l->g->nodes[node].inputs[k]));
    NND_TRY(block_input(l, node, 0));
    n = &l->g->nodes[node];
    NND_TRY(nnd_node_add_int(l->g, n, "channels", channels));
    n->op = &nnd_ops_resize_blocked.ops[resize ? 0 : 1];
    *done = true;
    return block_output(l, node, channels);
}

static nnd_status try_unary(layouter *l, uint32_t node, bool *done)
{
    static const char *const types[] = {
        "Relu",      "LeakyRelu",  "Sigmoid",  "Tanh",  "HardSigmoid",
        "HardSwish", "Clip",       "Elu",      "Selu",  "Celu",
        "Softplus",  "Softsign",   "Mish",     "Gelu",  "Abs",
        "Neg",       "Exp",        "Sqrt",     "Erf",   "Floor",
        "Ceil",      "Reciprocal", "Identity", "Swish", "ThresholdedRelu",
        "Round"};
    nnd_graph_node *n = &l->g->nodes[node];
    if (!n->formal_count || !is_blocked(l, n->inputs[0])) return NND_OK;
    if (!is_one_of(n, types, NND_COUNT(types)) || n->formal_count != n->input_count) return NND_OK;
    for (size_t k = 1; k < n->output_count; k++)
        if (n->outputs[k] != NND_NO_ID && l->g->values[n->outputs[k]].uses) return NND_OK;
    int64_t channels = l->forms[n->inputs[0]].channels;
    for (size_t k = 1; k < n->input_count; k++)
        NND_TRY(need_plain(l, l->g->nodes[node].inputs[k]));
    NND_TRY(block_input(l, node, 0));
    l->g->nodes[node].output_count = 1;
    *done = true;
    return block_output(l, node, channels);
}

/* A constant that is the same for all elements, whatever their order. */
static bool is_scalar(const layouter *l, uint32_t id)
{
    const nnd_graph_value *v = &l->g->values[id];
    return v->is_constant && v->constant.rank <= 4 && nnd_tensor_count(&v->constant) == 1;
}

/* A constant [C, 1, 1] is a picture without a batch. */
static nnd_status widen_constant(layouter *l, uint32_t node, size_t k)
{
    const nnd_tensor *t;
    uint32_t wide, id = l->g->nodes[node].inputs[k];
    if (!l->g->values[id].is_constant || l->g->values[id].constant.rank != 3) return NND_OK;
    if (l->g->values[id].constant.dtype != NND_F32) return NND_OK;
    NND_TRY(nnd_graph_constant(l->g, id, &t));
    const int64_t dims[4] = {1, t->dims[0], t->dims[1], t->dims[2]};
    nnd_tensor as_picture;
    NND_TRY(nnd_tensor_init(&as_picture, NND_F32, 4, dims, t->data));
    NND_TRY(nnd_graph_add_constant(l->g, NULL, &as_picture, &wide));
    NND_TRY(block_constant(l, wide, &l->g->nodes[node].inputs[k]));
    return NND_OK;
}

static int64_t operand_channels(const layouter *l, uint32_t id)
{
    const nnd_graph_value *v = &l->g->values[id];
    if (v->is_constant && v->constant.rank == 3 && v->constant.dtype == NND_F32)
        return v->constant.dims[0];
    return channels_of(l, id);
}

static nnd_status try_binary(layouter *l, uint32_t node, bool *done)
{
    static const char *const types[] = {"Add", "Sub", "Mul", "Div", "Max", "Min", "Sum"};
    nnd_graph_node *n = &l->g->nodes[node];
    if (!is_one_of(n, types, NND_COUNT(types)) || n->formal_count != 2 || n->input_count != 2)
        return NND_OK;
    uint32_t a = n->inputs[0], b = n->inputs[1];
    if (n->opset < 7 || a == NND_NO_ID || b == NND_NO_ID) return NND_OK;
    if (!is_blocked(l, a) && !is_blocked(l, b)) return NND_OK;
    bool scalar[2] = {is_scalar(l, a), is_scalar(l, b)};
    int64_t channels = operand_channels(l, scalar[0] ? b : a);
    if (!channels || (!scalar[0] && !scalar[1] && operand_channels(l, b) != channels))
        return NND_OK;
    for (size_t k = 0; k < 2; k++) {
        uint32_t id = l->g->nodes[node].inputs[k];
        if (scalar[k]) continue;
        if (l->g->values[id].is_constant && l->g->values[id].constant.rank == 3)
            NND_TRY(widen_constant(l, node, k));
        else
            NND_TRY(block_input(l, node, k));
    }
    *done = true;
    return block_output(l, node, channels);
}

/* ---- channels picked: Concat, Split, Slice, channel shuffle ---------------------------------- */

/* A PickChannels node in construction. */
typedef struct picking {
    uint32_t inputs[64];
    size_t input_count;
    int64_t *map;
    size_t count;
} picking;

static nnd_status picking_init(picking *p, int64_t channels)
{
    *p = (picking){.map = nnd_calloc((size_t)channels * 2 + 1, sizeof(*p->map))};
    return p->map ? NND_OK : out_of_memory();
}

/* Channel `channel` of the blocked value `from`; through another PickChannels to where it came
   from. False when there are too many inputs. */
static bool pick(const layouter *l, picking *p, uint32_t from, int64_t channel, bool through)
{
    uint32_t producer = l->g->values[from].producer;
    const nnd_graph_node *n = producer == NND_NO_ID ? NULL : &l->g->nodes[producer];
    if (through && n && n->op == &nnd_op_pick_channels) {
        size_t count;
        const int64_t *map = nnd_node_ints(n, "map", &count);
        from = n->inputs[map[2 * channel]];
        channel = map[2 * channel + 1];
    }
    size_t k = 0;
    while (k < p->input_count && p->inputs[k] != from)
        k++;
    if (k == NND_COUNT(p->inputs)) return false;
    p->inputs[k] = from;
    if (k == p->input_count) p->input_count++;
    p->map[p->count++] = (int64_t)k;
    p->map[p->count++] = channel;
    return true;
}

/* The node that makes `value` out of what has been picked. */
static nnd_status picking_finish(layouter *l, picking *p, const char *name, uint32_t value)
{
    nnd_graph_node *n;
    NND_TRY(nnd_graph_add_node(l->g, "", nnd_op_pick_channels.name, 1, name, p->input_count,
                               p->inputs, 1, NULL, &n));
    n->op = &nnd_op_pick_channels;
    NND_TRY(nnd_node_add_ints(l->g, n, "map", p->map, p->count));
    copy_nominal(l, value, n->outputs[0]);
    l->forms[value] = (form){n->outputs[0], (int64_t)p->count / 2, false};
    (*l->changes)++;
    return append(l, (uint32_t)(l->g->node_count - 1));
}

static nnd_status try_concat(layouter *l, uint32_t node, bool *done)
{
    nnd_graph_node *n = &l->g->nodes[node];
    int64_t axis = nnd_node_int(n, "axis", 1);
    if (!is(n, "Concat") || (axis != 1 && axis != -3)) return NND_OK;
    int64_t channels = 0, in_blocks = 0;
    for (size_t k = 0; k < n->input_count; k++) {
        int64_t own = n->inputs[k] == NND_NO_ID ? 0 : channels_of(l, n->inputs[k]);
        if (!own || l->g->values[n->inputs[k]].is_constant) return NND_OK;
        channels += own;
        if (is_blocked(l, n->inputs[k])) in_blocks += own;
    }
    if (in_blocks * 2 < channels || n->input_count > 64) return NND_OK;
    picking p;
    uint32_t out = n->outputs[0];
    nnd_status status = picking_init(&p, channels);
    for (size_t k = 0; k < n->input_count && status == NND_OK; k++) {
        uint32_t id = l->g->nodes[node].inputs[k], blocked;
        status = need_blocked(l, id, &blocked);
        for (int64_t c = 0; c < l->forms[id].channels && status == NND_OK; c++)
            (void)pick(l, &p, blocked, c, false);
        n = &l->g->nodes[node];
    }
    if (status == NND_OK) status = picking_finish(l, &p, n->name, out);
    nnd_free(p.map);
    l->g->nodes[node].dead = *done = true;
    return status;
}

/* Channels [first, first + step·count) of a blocked value become `value`. */
static nnd_status pick_range(layouter *l, uint32_t from, int64_t first, int64_t step, int64_t count,
                             const char *name, uint32_t value, bool *ok)
{
    picking p;
    nnd_status status = picking_init(&p, count);
    for (int64_t c = 0; c < count && status == NND_OK && *ok; c++)
        *ok = pick(l, &p, l->forms[from].blocked, first + c * step, true);
    if (status == NND_OK && *ok) status = picking_finish(l, &p, name, value);
    nnd_free(p.map);
    return status;
}

/* The integers of a constant input, or of an attribute. NULL = there are none. */
static nnd_status int_list(layouter *l, const nnd_graph_node *n, size_t input, const char *attr,
                           int64_t *out, size_t max, size_t *count)
{
    const nnd_tensor *t;
    *count = 0;
    const int64_t *list = nnd_node_ints(n, attr, count);
    if (!list && input < n->formal_count && n->inputs[input] != NND_NO_ID) {
        NND_TRY(nnd_graph_constant(l->g, n->inputs[input], &t));
        if (!t || !t->data || (t->dtype != NND_I64 && t->dtype != NND_I32)) return NND_OK;
        *count = (size_t)nnd_tensor_count(t);
        for (size_t i = 0; i < *count && i < max; i++)
            out[i] = nnd_op_int_at(t, i);
    } else if (list) {
        memcpy(out, list, (*count < max ? *count : max) * sizeof(*out));
    }
    if (*count > max) *count = 0;
    return NND_OK;
}

static nnd_status try_split(layouter *l, uint32_t node, bool *done)
{
    enum { MOST = 64 };
    int64_t sizes[MOST], first = 0;
    size_t count;
    nnd_graph_node *n = &l->g->nodes[node];
    if (!is(n, "Split") || !is_blocked(l, n->inputs[0]) || n->output_count > MOST) return NND_OK;
    int64_t axis = nnd_node_int(n, "axis", 0), channels = l->forms[n->inputs[0]].channels;
    if (axis != 1 && axis != -3) return NND_OK;
    NND_TRY(int_list(l, n, 1, "split", sizes, MOST, &count));
    int64_t parts = (int64_t)n->output_count;
    if (count == 0 && n->formal_count < 2 && channels % parts == 0) {
        for (count = 0; count < n->output_count; count++)
            sizes[count] = channels / parts;
    }
    int64_t sum = 0;
    for (size_t k = 0; k < count; k++)
        sum += sizes[k];
    if (count != n->output_count || sum != channels) return NND_OK;
    for (size_t k = 0; k < count; k++) {
        bool ok = true;
        n = &l->g->nodes[node];
        uint32_t out = n->outputs[k];
        if (sizes[k] < 1) return NND_OK;
        if (out == NND_NO_ID) continue;
        NND_TRY(pick_range(l, n->inputs[0], first, 1, sizes[k], NULL, out, &ok));
        if (!ok) return NND_OK;
        first += sizes[k];
    }
    l->g->nodes[node].dead = *done = true;
    return NND_OK;
}

static nnd_status try_slice(layouter *l, uint32_t node, bool *done)
{
    int64_t starts[2], ends[2], axes[2], steps[2] = {1, 1};
    size_t counts[4];
    nnd_graph_node *n = &l->g->nodes[node];
    if (!is(n, "Slice") || !is_blocked(l, n->inputs[0])) return NND_OK;
    NND_TRY(int_list(l, n, 1, "starts", starts, 2, &counts[0]));
    NND_TRY(int_list(l, n, 2, "ends", ends, 2, &counts[1]));
    NND_TRY(int_list(l, n, 3, "axes", axes, 2, &counts[2]));
    NND_TRY(int_list(l, n, 4, "steps", steps, 2, &counts[3]));
    bool stepped = n->formal_count > 4 && n->inputs[4] != NND_NO_ID;
    if (counts[0] != 1 || counts[1] != 1 || counts[2] != 1 || (stepped && counts[3] != 1))
        return NND_OK;
    int64_t channels = l->forms[n->inputs[0]].channels, begin = starts[0], end = ends[0];
    if ((axes[0] != 1 && axes[0] != -3) || steps[0] < 1) return NND_OK;
    if (begin < 0) begin += channels;
    if (end < 0) end += channels;
    if (end > channels) end = channels;
    if (begin < 0 || begin >= end) return NND_OK;
    *done = true;
    uint32_t out = n->outputs[0];
    NND_TRY(pick_range(l, n->inputs[0], begin, steps[0], (end - begin + steps[0] - 1) / steps[0],
                       NULL, out, done));
    l->g->nodes[node].dead = *done;
    return NND_OK;
}

static nnd_status constant_dims(layouter *l, const nnd_graph_node *n, int64_t *dims, size_t *count)
{
    *count = 0;
    if (!is(n, "Reshape") || n->opset < 5 || nnd_node_int(n, "allowzero", 0)) return NND_OK;
    return int_list(l, n, 1, "shape", dims, NND_MAX_RANK, count);
}

/* The node that alone reads output 0 of `node`. */
static nnd_graph_node *only_reader(const layouter *l, const nnd_graph_node *node)
{
    uint32_t id = nnd_graph_single_reader(l->g, node->outputs[0]);
    return id == NND_NO_ID || id >= l->nodes ? NULL : &l->g->nodes[id];
}

/* Reshape to [N, g, C/g, H, W], Transpose of g and C/g, Reshape back. */
static nnd_status try_shuffle(layouter *l, uint32_t node, bool *done)
{
    int64_t wide[NND_MAX_RANK] = {0}, back[NND_MAX_RANK] = {0};
    size_t wide_count, back_count, perm_count;
    nnd_graph_node *n = &l->g->nodes[node];
    if (!is(n, "Reshape") || !is_blocked(l, n->inputs[0])) return NND_OK;
    const nnd_graph_value *x = &l->g->values[n->inputs[0]];
    int64_t channels = l->forms[n->inputs[0]].channels;
    NND_TRY(constant_dims(l, n, wide, &wide_count));
    if (wide_count != 5 || x->nominal_rank != 4 || wide[1] < 1 || wide[2] < 1 ||
        wide[1] * wide[2] != channels || wide[3] != x->nominal[2] || wide[4] != x->nominal[3])
        return NND_OK;
    nnd_graph_node *transpose = only_reader(l, n);
    const int64_t *perm = transpose ? nnd_node_ints(transpose, "perm", &perm_count) : NULL;
    static const int64_t swap[5] = {0, 2, 1, 3, 4};
    if (!perm || !is(transpose, "Transpose") || perm_count != 5 ||
        memcmp(perm, swap, sizeof(swap)) != 0)
        return NND_OK;
    nnd_graph_node *last = only_reader(l, transpose);
    if (!last) return NND_OK;
    NND_TRY(constant_dims(l, last, back, &back_count));
    if (back_count != 4 || back[1] != channels || back[2] != wide[3] || back[3] != wide[4])
        return NND_OK;
    picking p;
    bool ok = true;
    uint32_t out = last->outputs[0], from = l->forms[n->inputs[0]].blocked;
    nnd_status status = picking_init(&p, channels);
    for (int64_t c = 0; c < channels && status == NND_OK && ok; c++)
        ok = pick(l, &p, from, c % wide[1] * wide[2] + c / wide[1], true);
    if (status == NND_OK && ok) {
        n->dead = transpose->dead = last->dead = true; /* before pointers to nodes move */
        status = picking_finish(l, &p, NULL, out);
        *done = true;
    }
    nnd_free(p.map);
    return status;
}

/* ---- the sweep ------------------------------------------------------------------------------ */

static nnd_status visit(layouter *l, uint32_t node)
{
    static nnd_status (*const attempts[])(layouter *, uint32_t, bool *) = {
        try_conv,   try_conv_transpose, try_pool,  try_lrn,   try_resize, try_unary,
        try_binary, try_concat,         try_split, try_slice, try_shuffle};
    bool done = false;
    for (size_t i = 0; i < NND_COUNT(attempts) && !done; i++)
        NND_TRY(attempts[i](l, node, &done));
    if (done) return NND_OK;
    for (size_t k = 0; k < l->g->nodes[node].input_count; k++)
        NND_TRY(need_plain(l, l->g->nodes[node].inputs[k]));
    const nnd_graph_node *n = &l->g->nodes[node];
    for (size_t k = 0; k < n->output_count; k++)
        if (n->outputs[k] != NND_NO_ID) l->forms[n->outputs[k]].plain = true;
    NND_TRY(note_reshape(l, n));
    return append(l, node);
}

/* A convolution whose blocked result only a reorder reads writes plain channels itself. */
static void drop_last_reorders(layouter *l)
{
    nnd_graph *g = l->g;
    nnd_graph_index(g);
    for (size_t i = 0; i < g->node_count; i++) {
        nnd_graph_node *reorder = &g->nodes[i];
        if (reorder->op != &nnd_op_from_blocked || g->values[reorder->inputs[0]].uses != 1)
            continue;
        uint32_t producer = g->values[reorder->inputs[0]].producer;
        nnd_graph_node *conv = producer == NND_NO_ID ? NULL : &g->nodes[producer];
        if (!conv || conv->op != &nnd_op_conv_blocked || conv->formal_count > 3 ||
            nnd_node_int(conv, "group", 1) != 1)
            continue;
        conv->op = &nnd_op_conv_blocked_in;
        conv->outputs[0] = reorder->outputs[0];
        reorder->dead = true;
    }
    nnd_graph_index(g);
}

static nnd_status put_in_order(layouter *l)
{
    nnd_graph *g = l->g;
    nnd_graph_node *sorted = nnd_calloc(l->order_count + 1, sizeof(*sorted));
    if (!sorted) return out_of_memory();
    for (size_t i = 0; i < l->order_count; i++)
        sorted[i] = g->nodes[l->order[i]];
    memcpy(g->nodes, sorted, l->order_count * sizeof(*sorted));
    g->node_count = l->order_count;
    nnd_free(sorted);
    return NND_OK;
}

static nnd_status sweep(layouter *l)
{
    nnd_graph *g = l->g;
    for (size_t i = 0; i < l->values; i++) {
        const nnd_graph_value *v = &g->values[i];
        l->forms[i] = (form){NND_NO_ID, 0, v->producer == NND_NO_ID};
        if (nnd_graph_is_input(g, (uint32_t)i) && v->rank == 4 && v->dtype == NND_F32 &&
            v->dims[1] > 0)
            l->forms[i].channels = v->dims[1];
    }
    for (uint32_t i = 0; i < l->nodes; i++)
        if (!g->nodes[i].dead) NND_TRY(visit(l, i));
    for (size_t i = 0; i < g->output_count; i++)
        NND_TRY(need_plain(l, g->outputs[i]));
    return put_in_order(l);
}

static bool has_convolution(const nnd_graph *g)
{
    for (size_t i = 0; i < g->node_count; i++)
        if (is_conv(&g->nodes[i]) || is(&g->nodes[i], "ConvTranspose")) return true;
    return false;
}

nnd_status nnd_pass_layout(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    if (!has_convolution(g)) return NND_OK;
    layouter l = {.g = g,
                  .values = g->value_count,
                  .nodes = g->node_count,
                  .block = nnd_kernel_block(),
                  .order_capacity = g->node_count * 2 + 16,
                  .changes = changes};
    l.forms = nnd_calloc(l.values + 1, sizeof(*l.forms));
    l.order = nnd_calloc(l.order_capacity, sizeof(*l.order));
    nnd_status status = l.forms && l.order ? sweep(&l) : out_of_memory();
    if (status == NND_OK) drop_last_reorders(&l);
    nnd_free(l.forms);
    nnd_free(l.order);
    if (status != NND_OK) return status;
    size_t dead = 0; /* picked through, or replaced */
    return nnd_pass_dead_code(g, &dead);
}
