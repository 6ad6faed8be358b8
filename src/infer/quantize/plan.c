/*
 * What becomes integers: every layer with constant weights; sums and products of two activations of
 * which one is quantised; and what only moves or pools quantised values, so that integers need not
 * become floats between two layers. Nodes are looked at in the order of the file, which is one of
 * execution.
 */
#include "infer/quantize/internal.h"

#include "base/str.h"

#include <string.h>

/* In `uses`: two nodes read it; more, or something else than a node. */
static char two, many;

nnd_status quant_no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to quantise a model");
}

int64_t quant_tensor_find(const nnd_quantize *q, const char *name)
{
    const size_t *at = nnd_map_get(&q->tensor_at, name);
    return at && q->tensors.items[*at].is_stored ? (int64_t)*at : QUANT_NONE;
}

/* ---- who makes and who reads a tensor ------------------------------------------------------ */

static nnd_status note_use(nnd_quantize *q, const char *name, void *user)
{
    if (!name[0]) return NND_OK;
    NND_TRY(nnd_map_put(&q->names, name, q, NULL));
    void *known = nnd_map_get(&q->uses, name);
    if (known && known != user) user = known == &two || user == &many ? &many : &two;
    return nnd_map_put(&q->uses, name, user, NULL);
}

nnd_status quant_note_names(nnd_quantize *q)
{
    nnd_onnx_outline *o = &q->outline;
    for (size_t i = 0; i < o->nodes.count; i++) {
        nnd_onnx_outline_node *n = &o->nodes.items[i];
        NND_TRY(nnd_map_put(&q->names, n->name, q, NULL));
        for (size_t k = 0; k < n->output_count; k++)
            if (n->outputs[k][0]) {
                NND_TRY(nnd_map_put(&q->made_by, n->outputs[k], n, NULL));
                NND_TRY(nnd_map_put(&q->names, n->outputs[k], q, NULL));
            }
        for (size_t k = 0; k < n->input_count; k++)
            NND_TRY(note_use(q, n->inputs[k], n));
    }
    for (size_t i = 0; i < o->constants.count; i++)
        NND_TRY(nnd_map_put(&q->names, o->constants.items[i].name, q, NULL));
    for (size_t i = 0; i < o->outputs.count; i++)
        NND_TRY(note_use(q, o->outputs.items[i], &many));
    for (size_t i = 0; i < o->captured.count; i++)
        NND_TRY(note_use(q, o->captured.entries[i].key, &many));
    return NND_OK;
}

static int64_t index_of(const nnd_quantize *q, const nnd_onnx_outline_node *node)
{
    return node ? node - q->outline.nodes.items : QUANT_NONE;
}

/* The one node that reads a tensor, QUANT_NONE when there are none or several uses. */
static int64_t only_reader(const nnd_quantize *q, const char *tensor)
{
    void *user = nnd_map_get(&q->uses, tensor);
    return user && user != &two && user != &many ? index_of(q, user) : QUANT_NONE;
}

/* ---- tensors ------------------------------------------------------------------------------- */

static bool is_graph_output(const nnd_quantize *q, const char *name)
{
    for (size_t i = 0; i < q->outline.outputs.count; i++)
        if (strcmp(q->outline.outputs.items[i], name) == 0) return true;
    return false;
}

/* like: index of the tensor whose scale it takes over, QUANT_NONE = its own. A plan that is made
   again finds all that it needs: what was not observed stays float. */
static nnd_status add_tensor(nnd_quantize *q, const char *name, int64_t like, size_t *out)
{
    const size_t *known = nnd_map_get(&q->tensor_at, name);
    if (out && known) *out = *known;
    if (known) q->tensors.items[*known].is_stored = true;
    if (known || q->samples) return NND_OK;
    const size_t index = q->tensors.count;
    size_t *at = nnd_arena_alloc(&q->arena, sizeof *at);
    quant_tensor t = {.name = name,
                      .node = index_of(q, nnd_map_get(&q->made_by, name)),
                      .like = like == QUANT_NONE ? index : q->tensors.items[like].like,
                      .is_output = is_graph_output(q, name),
                      .is_stored = true};
    if (!at || !nnd_vec_push(&q->tensors, t)) return quant_no_memory();
    *at = index;
    if (out) *out = index;
    return nnd_map_put(&q->tensor_at, name, at, NULL);
}

/* ---- layers -------------------------------------------------------------------------------- */

bool quant_is_layer(const nnd_onnx_outline_node *n)
{
    return n->input_count >= 2 && n->output_count == 1 &&
           (quant_is_op(n, "Conv") || quant_is_op(n, "ConvTranspose") || quant_is_op(n, "Gemm") ||
            quant_is_op(n, "MatMul"));
}

static bool has_constant_operand(const nnd_quantize *q, const nnd_onnx_outline_node *n)
{
    for (size_t i = 0; i < n->input_count; i++)
        if (nnd_onnx_outline_constant(&q->outline, n->inputs[i])) return true;
    return false;
}

/* The last tensor of a node and what engines merge with it: a bias, then Relu or Clip. */
static const char *behind_merged(nnd_quantize *q, const char *tensor, bool with_bias)
{
    for (int64_t i; (i = only_reader(q, tensor)) != QUANT_NONE;) {
        const nnd_onnx_outline_node *n = &q->outline.nodes.items[i];
        const bool bias = with_bias && quant_is_op(n, "Add") && has_constant_operand(q, n);
        const bool clamp = quant_is_op(n, "Relu") || quant_is_op(n, "Clip");
        if (!bias && !clamp) break;
        q->roles[i] = QUANT_MERGED;
        tensor = n->outputs[0];
        with_bias = false;
        if (clamp) break;
    }
    return tensor;
}

/* ---- activations that squash --------------------------------------------------------------- */

/* Works element by element on input 0 alone: what else it reads is constant. */
static bool is_unary(const nnd_quantize *q, const nnd_onnx_outline_node *n)
{
    static const char *const ops[] = {"Sigmoid", "HardSigmoid", "HardSwish", "Tanh",     "Swish",
                                      "Mish",    "Gelu",        "Erf",       "Softplus", "Relu",
                                      "Clip",    "Add",         "Sub",       "Mul",      "Div"};
    bool known = false;
    for (size_t i = 0; i < NND_COUNT(ops); i++)
        known |= quant_is_op(n, ops[i]);
    for (size_t i = 1; i < n->input_count; i++)
        known = known && (!n->inputs[i][0] || nnd_onnx_outline_constant(&q->outline, n->inputs[i]));
    return known && n->input_count > 0 && n->output_count == 1;
}

/* Large numbers come out small, so that steps that are right for what goes in are far too coarse
   for what comes out: nothing is rounded between the two. */
static bool squashes(const nnd_onnx_outline_node *n)
{
    static const char *const ops[] = {"Sigmoid", "HardSigmoid", "HardSwish", "Tanh",
                                      "Swish",   "Mish",        "Gelu"};
    for (size_t i = 0; i < NND_COUNT(ops); i++)
        if (quant_is_op(n, ops[i])) return true;
    return false;
}

enum { GATE_NODES = 5 };

/* x·f(x): the product that reads x and a chain of nodes from x; NONE, or the chain's nodes. x is
   read by these two only. */
static int64_t find_gate(const nnd_quantize *q, const char *x, int64_t *chain, size_t *count)
{
    const int64_t maker = index_of(q, nnd_map_get(&q->made_by, x));
    if (nnd_map_get(&q->uses, x) != &two || maker == QUANT_NONE) return QUANT_NONE;
    /* Both readers lie close behind in files that tools write. */
    for (int64_t i = maker + 1;
         i < maker + 1 + 2 * GATE_NODES && i < (int64_t)q->outline.nodes.count; i++) {
        const nnd_onnx_outline_node *mul = &q->outline.nodes.items[i];
        if (!quant_is_op(mul, "Mul") || mul->input_count != 2) continue;
        for (size_t k = 0; k < 2; k++) {
            const char *at = mul->inputs[1 - k];
            if (strcmp(mul->inputs[k], x) != 0) continue;
            for (*count = 0; *count < GATE_NODES && strcmp(at, x) != 0; (*count)++) {
                const int64_t n = index_of(q, nnd_map_get(&q->made_by, at));
                if (n == QUANT_NONE || only_reader(q, at) == QUANT_NONE ||
                    !is_unary(q, &q->outline.nodes.items[n]))
                    break;
                chain[*count] = n;
                at = q->outline.nodes.items[n].inputs[0];
            }
            if (*count && strcmp(at, x) == 0) return i;
        }
    }
    return QUANT_NONE;
}

/* The last tensor of the activation behind one, which is part of the layer. */
static const char *behind_activation(nnd_quantize *q, const char *tensor)
{
    int64_t chain[GATE_NODES];
    size_t count;
    const int64_t next = only_reader(q, tensor), gate = find_gate(q, tensor, chain, &count);
    if (gate != QUANT_NONE) {
        for (size_t i = 0; i < count; i++)
            q->roles[chain[i]] = QUANT_MERGED;
        q->roles[gate] = QUANT_MERGED;
        return q->outline.nodes.items[gate].outputs[0];
    }
    if (next == QUANT_NONE || !squashes(&q->outline.nodes.items[next])) return tensor;
    q->roles[next] = QUANT_MERGED;
    return q->outline.nodes.items[next].outputs[0];
}

static nnd_status keep(nnd_quantize *q, const nnd_onnx_outline_node *n, const char *reason)
{
    const nnd_quantize_kept kept = {n->name, n->op, n->outputs[0], reason};
    return nnd_vec_push(&q->kept, kept) ? NND_OK : quant_no_memory();
}

static nnd_status fold_behind(nnd_quantize *q, quant_layer *layer)
{
    bool done = true;
    while (done) {
        const int64_t next = only_reader(q, layer->made);
        if (next == QUANT_NONE) return NND_OK;
        NND_TRY(quant_layer_fold(q, layer, (size_t)next, &done));
        if (done) q->roles[next] = QUANT_FOLDED;
    }
    return NND_OK;
}

/* A tensor and what behind_merged found behind it: nothing but a Relu lies between them, which
   multiplies along with what it is given. */
static bool is_clipped(const nnd_quantize *q, const char *made, const char *last)
{
    if (strcmp(made, last) == 0) return false;
    const nnd_onnx_outline_node *n = nnd_map_get(&q->made_by, last);
    return !quant_is_op(n, "Relu") || strcmp(n->inputs[0], made) != 0;
}

static nnd_status plan_layer(nnd_quantize *q, size_t index)
{
    const nnd_onnx_outline_node *n = &q->outline.nodes.items[index];
    const char *reason = NULL;
    quant_layer layer;
    nnd_status status = quant_layer_read(q, index, &layer, &reason);
    if (status == NND_OK && !reason) status = fold_behind(q, &layer);
    if (status == NND_OK && !reason && q->gives_biases) status = quant_layer_ensure_bias(q, &layer);
    if (status == NND_OK && !reason) status = add_tensor(q, n->inputs[0], QUANT_NONE, &layer.input);
    if (status == NND_OK && reason) status = keep(q, n, reason);
    const bool pushed = status == NND_OK && !reason && nnd_vec_push(&q->layers, layer);
    if (!pushed) quant_layer_fini(&layer);
    if (status != NND_OK || reason) return status;
    if (!pushed) return quant_no_memory();
    q->roles[index] = QUANT_LAYER;
    const bool matmul = quant_is_op(n, "MatMul");
    quant_layer *taken = &q->layers.items[q->layers.count - 1];
    const char *merged = behind_merged(q, layer.made, matmul);
    const char *last = behind_activation(q, merged);
    taken->is_homogeneous = last == merged && !is_clipped(q, layer.made, last);
    NND_TRY(add_tensor(q, last, QUANT_NONE, &taken->output));
    q->tensors.items[taken->output].is_of_layer = true;
    return NND_OK;
}

/* ---- what lies between layers -------------------------------------------------------------- */

static size_t quantised_inputs(const nnd_quantize *q, const nnd_onnx_outline_node *n)
{
    size_t count = 0;
    for (size_t i = 0; i < n->input_count; i++)
        count += quant_tensor_find(q, n->inputs[i]) != QUANT_NONE;
    return count;
}

/* Add and Mul of two activations. */
static nnd_status plan_pair(nnd_quantize *q, const nnd_onnx_outline_node *n)
{
    if (n->input_count != 2 || has_constant_operand(q, n) || !quantised_inputs(q, n)) return NND_OK;
    for (size_t i = 0; i < 2; i++)
        NND_TRY(add_tensor(q, n->inputs[i], QUANT_NONE, NULL));
    return add_tensor(q, behind_merged(q, n->outputs[0], false), QUANT_NONE, NULL);
}

/* The result is made of the input's own values (same scale), or lies between them. */
static bool moves_values(const nnd_onnx_outline_node *n, bool *same_scale)
{
    static const char *const same[] = {"MaxPool", "Reshape",  "Transpose",    "Flatten",  "Squeeze",
                                       "Slice",   "Identity", "DepthToSpace", "Unsqueeze"};
    static const char *const own[] = {"AveragePool", "GlobalAveragePool", "Resize", "Upsample",
                                      "Pad"};
    *same_scale = true;
    for (size_t i = 0; i < NND_COUNT(same); i++)
        if (quant_is_op(n, same[i])) return true;
    *same_scale = false;
    for (size_t i = 0; i < NND_COUNT(own); i++)
        if (quant_is_op(n, own[i])) return true;
    return false;
}

static nnd_status plan_between(nnd_quantize *q, const nnd_onnx_outline_node *n)
{
    bool same_scale;
    if (n->output_count < 1 || n->input_count < 1) return NND_OK;
    if (quant_is_op(n, "Add") || quant_is_op(n, "Mul")) return plan_pair(q, n);
    if (quant_is_op(n, "Concat"))
        return quantised_inputs(q, n) == n->input_count
                   ? add_tensor(q, n->outputs[0], QUANT_NONE, NULL)
                   : NND_OK;
    if (!moves_values(n, &same_scale)) return NND_OK;
    const int64_t input = quant_tensor_find(q, n->inputs[0]);
    if (input == QUANT_NONE) return NND_OK;
    return add_tensor(q, n->outputs[0], same_scale ? input : QUANT_NONE, NULL);
}

/* ---- what is left out ---------------------------------------------------------------------- */

static bool is_named(const nnd_onnx_outline_node *n, const char *name)
{
    bool named = strcmp(n->name, name) == 0 || strcmp(n->op, name) == 0;
    for (size_t i = 0; i < n->output_count; i++)
        named |= strcmp(n->outputs[i], name) == 0;
    return named;
}

static nnd_status exclude(nnd_quantize *q)
{
    const nnd_onnx_outline *o = &q->outline;
    for (size_t e = 0; e < q->options.exclude_count; e++) {
        const char *name = q->options.exclude[e];
        nnd_suggest suggest;
        bool found = false;
        nnd_suggest_begin(&suggest, name);
        for (size_t i = 0; i < o->nodes.count; i++) {
            const nnd_onnx_outline_node *n = &o->nodes.items[i];
            nnd_suggest_offer(&suggest, n->name);
            nnd_suggest_offer(&suggest, n->op);
            if (!is_named(n, name)) continue;
            q->why[i] = "excluded";
            found = true;
        }
        if (!found)
            return nnd_error_set(NND_E_NOT_FOUND,
                                 "the model has no node, operator or tensor '%s' to exclude%s%s%s",
                                 name, suggest.best ? "; did you mean '" : "",
                                 suggest.best ? suggest.best : "", suggest.best ? "'?" : "");
    }
    return NND_OK;
}

/* Layers that nothing with weights lies before. `seen` holds tensors with a layer before them. */
static nnd_status find_first(nnd_quantize *q, nnd_map *seen)
{
    for (size_t i = 0; i < q->outline.nodes.count; i++) {
        const nnd_onnx_outline_node *n = &q->outline.nodes.items[i];
        bool after = false;
        for (size_t k = 0; k < n->input_count; k++)
            after |= nnd_map_get(seen, n->inputs[k]) != NULL;
        if (quant_is_layer(n) && !after) q->why[i] = "a first layer";
        for (size_t k = 0; k < n->output_count && (after || quant_is_layer(n)); k++)
            NND_TRY(nnd_map_put(seen, n->outputs[k], q, NULL));
    }
    return NND_OK;
}

/* Layers without another one behind them. `seen` holds tensors that a layer needs. */
static nnd_status find_last(nnd_quantize *q, nnd_map *seen)
{
    for (size_t i = q->outline.nodes.count; i-- > 0;) {
        const nnd_onnx_outline_node *n = &q->outline.nodes.items[i];
        bool before = false;
        for (size_t k = 0; k < n->output_count; k++)
            before |= nnd_map_get(seen, n->outputs[k]) != NULL;
        if (quant_is_layer(n) && !before) q->why[i] = "a last layer";
        for (size_t k = 0; k < n->input_count && (before || quant_is_layer(n)); k++)
            NND_TRY(nnd_map_put(seen, n->inputs[k], q, NULL));
    }
    return NND_OK;
}

static nnd_status leave_out(nnd_quantize *q)
{
    nnd_map first = {0}, last = {0};
    nnd_status status = NND_OK;
    if (q->options.keep_first) status = find_first(q, &first);
    if (status == NND_OK && q->options.keep_last) status = find_last(q, &last);
    if (status == NND_OK) status = exclude(q);
    nnd_map_fini(&first);
    nnd_map_fini(&last);
    return status;
}

/* ---- who reads what is stored --------------------------------------------------------------- */

static void count_reads(nnd_quantize *q)
{
    const nnd_onnx_outline *o = &q->outline;
    for (size_t i = 0; i < o->nodes.count; i++) {
        const bool in_float = q->roles[i] == QUANT_FLOAT && quant_is_layer(&o->nodes.items[i]);
        for (size_t k = 0; k < o->nodes.items[i].input_count; k++) {
            const int64_t t = quant_tensor_find(q, o->nodes.items[i].inputs[k]);
            if (t == QUANT_NONE) continue;
            if (in_float)
                q->tensors.items[t].float_reads++;
            else
                q->tensors.items[t].reads++;
        }
    }
    for (size_t i = 0; i < o->captured.count; i++) {
        const int64_t t = quant_tensor_find(q, o->captured.entries[i].key);
        if (t != QUANT_NONE) q->tensors.items[t].reads++;
    }
}

/* Nobody reads the integers of a tensor that only layers in float use. */
static void drop_unread(nnd_quantize *q)
{
    for (size_t i = 0; i < q->tensors.count; i++) {
        quant_tensor *t = &q->tensors.items[i];
        if (t->is_of_layer && !t->is_output && !t->reads && t->float_reads) t->is_stored = false;
    }
}

static nnd_status plan_rest(nnd_quantize *q)
{
    count_reads(q);
    drop_unread(q);
    return q->options.equalise ? quant_equalise_plan(q) : NND_OK;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static nnd_status plan_nodes(nnd_quantize *q)
{
    for (size_t i = 0; i < q->outline.nodes.count; i++) {
        const nnd_onnx_outline_node *n = &q->outline.nodes.items[i];
        if (q->roles[i] != QUANT_FLOAT) continue;
        if (quant_is_layer(n))
            NND_TRY(q->why[i] ? keep(q, n, q->why[i]) : plan_layer(q, i));
        else if (!q->why[i])
            NND_TRY(plan_between(q, n));
    }
    return NND_OK;
}

static nnd_status refuse_nothing(const nnd_quantize *q)
{
    for (size_t i = 0; i < q->outline.nodes.count; i++)
        if (quant_is_op(&q->outline.nodes.items[i], "QuantizeLinear") && !q->layers.count)
            return nnd_error_set(NND_E_UNSUPPORTED, "the model is quantised already");
    if (q->layers.count) return NND_OK;
    if (!q->kept.count)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "the model has no Conv, ConvTranspose, Gemm or MatMul in its main "
                             "graph: there is nothing to quantise");
    const nnd_quantize_kept *k = &q->kept.items[0];
    return nnd_error_set(NND_E_UNSUPPORTED,
                         "none of the model's %zu layers can be quantised; %s '%s': %s",
                         q->kept.count, k->op, k->node[0] ? k->node : k->tensor, k->reason);
}

nnd_status quant_plan(nnd_quantize *q)
{
    const size_t count = q->outline.nodes.count + 1;
    q->roles = nnd_arena_calloc(&q->arena, count, sizeof *q->roles);
    q->why = nnd_arena_calloc(&q->arena, count, sizeof *q->why);
    q->shifts = nnd_arena_calloc(&q->arena, count, sizeof *q->shifts);
    if (!q->roles || !q->why || !q->shifts) return quant_no_memory();
    NND_TRY(leave_out(q));
    NND_TRY(plan_nodes(q));
    NND_TRY(plan_rest(q));
    return refuse_nothing(q);
}

nnd_status quant_plan_again(nnd_quantize *q)
{
    memset(q->roles, 0, q->outline.nodes.count * sizeof *q->roles);
    for (size_t i = 0; i < q->layers.count; i++)
        quant_layer_fini(&q->layers.items[i]);
    q->layers.count = q->kept.count = 0;
    for (size_t i = 0; i < q->tensors.count; i++) {
        quant_tensor *t = &q->tensors.items[i];
        t->is_stored = t->is_of_layer = t->is_folded = false;
        t->reads = t->float_reads = t->channels = 0;
    }
    NND_TRY(plan_nodes(q));
    return plan_rest(q);
}
