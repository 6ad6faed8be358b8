#include "engine/onnx/gradient.h"

#include <string.h>

#include "base/str.h"
#include "engine/onnx/scope.h"

enum {
    OPSET = 18, /* of the nodes that are emitted */
    /* All Gradient nodes of a model together may emit so many nodes (a chain of them would grow
       without bounds), and look at so many values and nodes. */
    MAX_NODES = 200 * 1000,
    MAX_WORK = 50 * 1000 * 1000,
    MAX_LIST = 2000 /* bytes of operators that a message names */
};

/* Marks of values. */
enum {
    GIVEN = 1,  /* in xs or zs: what computes it is not looked at */
    NEEDED = 2, /* y is computed from it */
    ACTIVE = 4  /* computed from xs, and differentiable */
};

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the derivatives of a model");
}

bool nnd_gradient_is(const char *domain, const char *type)
{
    return strcmp(type, "Gradient") == 0 && strcmp(domain, "ai.onnx.preview.training") == 0;
}

/* ---- what a rule sees ---------------------------------------------------------------------- */

static uint32_t actual_of(const nnd_gradient *d, uint32_t value)
{
    return value < d->value_count ? d->actual[value] : value;
}

uint32_t nnd_gradient_in(const nnd_gradient *d, size_t i)
{
    return i < d->node.input_count ? actual_of(d, d->node.inputs[i]) : NND_NO_ID;
}

uint32_t nnd_gradient_out(const nnd_gradient *d, size_t i)
{
    return i < d->node.output_count ? actual_of(d, d->node.outputs[i]) : NND_NO_ID;
}

uint32_t nnd_gradient_of(const nnd_gradient *d, size_t i)
{
    const uint32_t value = i < d->node.output_count ? d->node.outputs[i] : NND_NO_ID;
    if (value >= d->value_count || (d->marks[value] & GIVEN)) return NND_NO_ID;
    return d->adjoint[value];
}

bool nnd_gradient_wants(const nnd_gradient *d, size_t i)
{
    const uint32_t value = i < d->node.input_count ? d->node.inputs[i] : NND_NO_ID;
    return value < d->value_count && (d->marks[value] & ACTIVE);
}

void nnd_gradient_give(nnd_gradient *d, size_t i, uint32_t part)
{
    if (d->status != NND_OK || !nnd_gradient_wants(d, i)) return;
    uint32_t *sum = &d->adjoint[d->node.inputs[i]];
    *sum = *sum == NND_NO_ID ? part : nnd_gradient_emit(d, "Add", 2, (uint32_t[]){*sum, part});
}

void nnd_gradient_refuse(nnd_gradient *d, const char *why)
{
    if (d->status != NND_OK) return;
    d->status =
        nnd_error_set(NND_E_UNSUPPORTED, "Gradient '%s': no derivative of the %s node '%s': %s",
                      d->name, d->node.type, d->node.name, why);
}

/* ---- nodes that rules emit ----------------------------------------------------------------- */

static nnd_graph_node *add_node(nnd_gradient *d, const char *type, int64_t opset,
                                size_t input_count, const uint32_t *inputs, size_t output_count,
                                uint32_t *out)
{
    nnd_graph_node *node = NULL;
    if (d->status == NND_OK && ++d->model->gradient_nodes > MAX_NODES)
        d->status = nnd_error_set(NND_E_LIMIT,
                                  "Gradient '%s': the derivatives of the model take more than %d "
                                  "nodes",
                                  d->name, MAX_NODES);
    if (d->status == NND_OK)
        d->status = nnd_graph_add_node(d->graph, "", type, opset, d->name, input_count, inputs,
                                       output_count, NULL, &node);
    for (size_t i = 0; i < output_count; i++)
        out[i] = d->status == NND_OK ? node->outputs[i] : NND_NO_ID;
    return d->status == NND_OK ? node : NULL;
}

uint32_t nnd_gradient_emit(nnd_gradient *d, const char *type, size_t input_count,
                           const uint32_t *inputs)
{
    uint32_t out;
    (void)add_node(d, type, OPSET, input_count, inputs, 1, &out);
    return out;
}

void nnd_gradient_emit_many(nnd_gradient *d, const char *type, size_t input_count,
                            const uint32_t *inputs, size_t output_count, uint32_t *out)
{
    (void)add_node(d, type, OPSET, input_count, inputs, output_count, out);
}

void nnd_gradient_repeat(nnd_gradient *d, size_t input_count, const uint32_t *inputs,
                         size_t output_count, uint32_t *out)
{
    nnd_graph_node *node =
        add_node(d, d->node.type, d->node.opset, input_count, inputs, output_count, out);
    if (!node) return;
    node->domain = d->node.domain;
    node->attrs = nnd_arena_calloc(&d->graph->arena, d->node.attr_count + 1, sizeof(nnd_attr));
    if (!node->attrs) {
        d->status = out_of_memory();
        return;
    }
    if (d->node.attr_count)
        memcpy(node->attrs, d->node.attrs, d->node.attr_count * sizeof(nnd_attr));
    node->attr_count = d->node.attr_count;
}

static nnd_graph_node *last_node(nnd_gradient *d)
{
    return &d->graph->nodes[d->graph->node_count - 1];
}

void nnd_gradient_int(nnd_gradient *d, const char *name, int64_t v)
{
    if (d->status == NND_OK) d->status = nnd_node_add_int(d->graph, last_node(d), name, v);
}

void nnd_gradient_ints(nnd_gradient *d, const char *name, const int64_t *v, size_t count)
{
    if (d->status == NND_OK) d->status = nnd_node_add_ints(d->graph, last_node(d), name, v, count);
}

void nnd_gradient_string(nnd_gradient *d, const char *name, const char *v)
{
    if (d->status == NND_OK) d->status = nnd_node_add_string(d->graph, last_node(d), name, v);
}

static uint32_t add_constant(nnd_gradient *d, nnd_dtype dtype, int rank, const int64_t *dims,
                             const void *elements)
{
    uint32_t id = NND_NO_ID;
    nnd_tensor t;
    if (d->status == NND_OK)
        d->status = nnd_tensor_init(&t, dtype, rank, dims, (void *)(uintptr_t)elements);
    if (d->status == NND_OK) d->status = nnd_graph_add_constant(d->graph, NULL, &t, &id);
    return d->status == NND_OK ? id : NND_NO_ID;
}

uint32_t nnd_gradient_list(nnd_gradient *d, const int64_t *v, size_t count)
{
    return add_constant(d, NND_I64, 1, &(int64_t){(int64_t)count}, v);
}

uint32_t nnd_gradient_number(nnd_gradient *d, double v, uint32_t like)
{
    const uint32_t constant = add_constant(d, NND_F64, 0, NULL, &v);
    return nnd_gradient_emit(d, "CastLike", 2, (uint32_t[]){constant, like});
}

uint32_t nnd_gradient_fill(nnd_gradient *d, double v, uint32_t like)
{
    const uint32_t shape = nnd_gradient_emit(d, "Shape", 1, &like);
    return nnd_gradient_emit(d, "Expand", 2, (uint32_t[]){nnd_gradient_number(d, v, like), shape});
}

/* ---- the call ------------------------------------------------------------------------------ */

typedef struct call {
    const nnd_gradient_call *node;
    size_t x_count, z_count;
    uint32_t *given;  /* values that xs and, behind them, zs name */
    uint32_t *inputs; /* values that stand for these */
    uint32_t y;
    size_t node_count; /* of the graph, before */
} call;

static nnd_status malformed(const nnd_gradient_call *node, const char *what)
{
    return nnd_error_set(NND_E_FORMAT, "malformed ONNX: Gradient '%s': %s", node->name, what);
}

static const nnd_attr *find_attr(const nnd_gradient_call *node, const char *name,
                                 nnd_attr_kind kind)
{
    for (size_t i = 0; i < node->attr_count; i++)
        if (strcmp(node->attrs[i].name, name) == 0 && node->attrs[i].kind == kind)
            return &node->attrs[i];
    return NULL;
}

/* The value of a name in an attribute. */
static nnd_status find_named(nnd_onnx_model *m, nnd_graph *g, const nnd_gradient_call *node,
                             const nnd_string *text, uint32_t *out)
{
    const char *name;
    NND_TRY(
        nnd_onnx_scoped_name(m, g, (nnd_pb_bytes){(const uint8_t *)text->text, text->size}, &name));
    const nnd_status status = nnd_graph_resolve(g, name, out);
    if (status != NND_E_NOT_FOUND) return status;
    return nnd_error_set(NND_E_FORMAT,
                         "malformed ONNX: Gradient '%s' is by '%s', which is not defined before it",
                         node->name, name);
}

static nnd_status find_input(nnd_graph *g, const nnd_gradient_call *node, size_t i, uint32_t *out)
{
    if (!node->inputs[i][0]) return malformed(node, "an input is left out");
    const nnd_status status = nnd_graph_resolve(g, node->inputs[i], out);
    if (status != NND_E_NOT_FOUND) return status;
    return nnd_error_set(NND_E_FORMAT,
                         "malformed ONNX: input '%s' of Gradient '%s' is not defined before it",
                         node->inputs[i], node->name);
}

static nnd_status read_call(nnd_onnx_model *m, nnd_graph *g, const nnd_gradient_call *node, call *c)
{
    const nnd_attr *xs = find_attr(node, "xs", NND_ATTR_STRINGS);
    const nnd_attr *zs = find_attr(node, "zs", NND_ATTR_STRINGS);
    const nnd_attr *y = find_attr(node, "y", NND_ATTR_STRING);
    if (!xs || !xs->count || !y) return malformed(node, "'xs' or 'y' is missing");
    c->node = node;
    c->x_count = xs->count;
    c->z_count = zs ? zs->count : 0;
    if (node->input_count != c->x_count + c->z_count)
        return malformed(node, "it needs an input for each of 'xs' and 'zs'");
    if (node->output_count > c->x_count) return malformed(node, "more outputs than 'xs'");
    c->given = nnd_arena_calloc(&g->arena, node->input_count, sizeof(uint32_t));
    c->inputs = nnd_arena_calloc(&g->arena, node->input_count, sizeof(uint32_t));
    if (!c->given || !c->inputs) return out_of_memory();
    for (size_t i = 0; i < node->input_count; i++) {
        const nnd_string *name =
            i < c->x_count ? &xs->u.strings[i] : &zs->u.strings[i - c->x_count];
        NND_TRY(find_named(m, g, node, name, &c->given[i]));
        NND_TRY(find_input(g, node, i, &c->inputs[i]));
    }
    return find_named(m, g, node, &y->u.s, &c->y);
}

/* ---- what is differentiated ---------------------------------------------------------------- */

static nnd_status make_tables(nnd_gradient *d, const call *c)
{
    const size_t n = d->value_count;
    d->marks = nnd_calloc(n, sizeof(*d->marks));
    d->actual = nnd_calloc(n, sizeof(*d->actual));
    d->adjoint = nnd_calloc(n, sizeof(*d->adjoint));
    if (!d->marks || !d->actual || !d->adjoint) return out_of_memory();
    for (size_t i = 0; i < n; i++) {
        d->actual[i] = (uint32_t)i;
        d->adjoint[i] = NND_NO_ID;
    }
    for (size_t i = 0; i < c->x_count + c->z_count; i++) {
        d->marks[c->given[i]] |= GIVEN | (i < c->x_count ? ACTIVE : 0);
        d->actual[c->given[i]] = c->inputs[i];
    }
    d->marks[c->y] |= NEEDED;
    return NND_OK;
}

/* Whether y needs what this node computes. */
static bool is_needed(const nnd_gradient *d, const nnd_graph_node *node)
{
    for (size_t i = 0; i < node->output_count; i++) {
        const uint32_t value = node->outputs[i];
        if (value != NND_NO_ID && (d->marks[value] & (NEEDED | GIVEN)) == NEEDED) return true;
    }
    return false;
}

static bool reads(const nnd_gradient *d, const nnd_graph_node *node, uint8_t mark)
{
    for (size_t i = 0; i < node->input_count; i++)
        if (node->inputs[i] != NND_NO_ID && (d->marks[node->inputs[i]] & mark)) return true;
    return false;
}

/* Whether a node reads something that another value stands for. */
static bool reads_replaced(const nnd_gradient *d, const nnd_graph_node *node)
{
    for (size_t i = 0; i < node->input_count; i++) {
        const uint32_t value = node->inputs[i];
        if (value != NND_NO_ID && d->actual[value] != value) return true;
    }
    return false;
}

static void mark_needed(nnd_gradient *d, const call *c)
{
    for (size_t i = c->node_count; i-- > 0;) {
        const nnd_graph_node *node = &d->graph->nodes[i];
        if (!is_needed(d, node)) continue;
        for (size_t k = 0; k < node->input_count; k++)
            if (node->inputs[k] != NND_NO_ID) d->marks[node->inputs[k]] |= NEEDED;
    }
}

/* What a sub-graph takes from outside counts as constant, so it must not be computed there. */
static nnd_status check_captures(const nnd_gradient *d)
{
    for (size_t i = 0; i < d->graph->capture_count; i++) {
        const nnd_graph *g = d->graph;
        uint32_t value = g->captures[i].inner;
        if (value >= d->value_count || (d->marks[value] & (NEEDED | GIVEN)) != NEEDED) continue;
        for (size_t k = 0; g->parent && k < g->capture_count; k++)
            if (g->captures[k].inner == value) {
                value = g->captures[k].outer;
                g = g->parent;
                k = SIZE_MAX; /* it may be a capture there, too */
            }
        if (g->values[value].producer != NND_NO_ID)
            return nnd_error_set(NND_E_UNSUPPORTED,
                                 "Gradient '%s': 'y' depends on '%s', which is computed outside of "
                                 "the node's sub-graph",
                                 d->name, g->values[value].name);
    }
    return NND_OK;
}

/* Repeats a node for the values that stand for its inputs. */
static void replace_node(nnd_gradient *d)
{
    nnd_graph *g = d->graph;
    if (d->node.input_count != d->node.formal_count) {
        nnd_gradient_refuse(d, "it has sub-graphs and would be repeated for other inputs");
        return;
    }
    uint32_t *inputs = nnd_arena_calloc(&g->arena, d->node.input_count + 1, sizeof(*inputs));
    uint32_t *out = nnd_arena_calloc(&g->arena, d->node.output_count + 1, sizeof(*out));
    if (!inputs || !out) {
        d->status = out_of_memory();
        return;
    }
    for (size_t i = 0; i < d->node.input_count; i++)
        inputs[i] = nnd_gradient_in(d, i);
    nnd_gradient_repeat(d, d->node.input_count, inputs, d->node.output_count, out);
    for (size_t i = 0; i < d->node.output_count; i++) {
        const uint32_t value = d->node.outputs[i];
        if (value != NND_NO_ID && !(d->marks[value] & GIVEN)) d->actual[value] = out[i];
    }
}

/* Among operators with a rule, only a Split has several; the others' are places and masks. */
static size_t differentiable_outputs(const nnd_graph_node *node)
{
    return node->output_count < 1 || strcmp(node->type, "Split") == 0 ? node->output_count : 1;
}

/* Forward: what depends on xs, what is computed again, and which operators lack a rule. */
static nnd_status walk_forward(nnd_gradient *d, const call *c, nnd_str *lacking)
{
    for (size_t i = 0; i < c->node_count && d->status == NND_OK; i++) {
        d->node = d->graph->nodes[i];
        if (!is_needed(d, &d->node)) continue;
        if (reads_replaced(d, &d->node)) replace_node(d);
        bool flat;
        if (!reads(d, &d->node, ACTIVE)) continue;
        const nnd_gradient_rule rule = nnd_gradient_find_rule(&d->node, &flat);
        if (flat) continue;
        if (!rule && lacking->size < MAX_LIST)
            nnd_str_printf(lacking, "%s%s '%s'", lacking->size ? ", " : "", d->node.type,
                           d->node.name);
        for (size_t k = 0; k < differentiable_outputs(&d->node); k++) {
            const uint32_t value = d->node.outputs[k];
            if (value != NND_NO_ID && !(d->marks[value] & GIVEN)) d->marks[value] |= ACTIVE;
        }
    }
    return d->status;
}

static bool has_adjoint(const nnd_gradient *d)
{
    for (size_t i = 0; i < d->node.output_count; i++)
        if (nnd_gradient_of(d, i) != NND_NO_ID) return true;
    return false;
}

static nnd_status walk_backward(nnd_gradient *d, const call *c)
{
    const uint32_t y = c->y;
    if (d->marks[y] & ACTIVE) d->adjoint[y] = nnd_gradient_fill(d, 1, d->actual[y]);
    for (size_t i = c->node_count; i-- > 0 && d->status == NND_OK;) {
        bool flat;
        d->node = d->graph->nodes[i];
        if (!has_adjoint(d) || !reads(d, &d->node, ACTIVE)) continue;
        const nnd_gradient_rule rule = nnd_gradient_find_rule(&d->node, &flat);
        if (rule && !flat) rule(d);
    }
    return d->status;
}

/* The derivatives under their names. */
static nnd_status name_outputs(nnd_gradient *d, const call *c)
{
    for (size_t i = 0; i < c->node->output_count && d->status == NND_OK; i++) {
        const char *name = c->node->outputs[i];
        nnd_graph_node *node;
        if (!name[0]) continue;
        uint32_t value = d->adjoint[c->given[i]];
        if (value == NND_NO_ID) value = nnd_gradient_fill(d, 0, c->inputs[i]);
        if (d->status == NND_OK)
            d->status = nnd_graph_add_node(d->graph, "", "Identity", OPSET, d->name, 1, &value, 1,
                                           &name, &node);
    }
    return d->status;
}

static nnd_status differentiate(nnd_gradient *d, const call *c)
{
    nnd_str lacking = {0};
    NND_TRY(make_tables(d, c));
    mark_needed(d, c);
    NND_TRY(check_captures(d));
    nnd_status status = walk_forward(d, c, &lacking);
    if (status == NND_OK && lacking.failed) status = out_of_memory();
    if (status == NND_OK && lacking.size)
        status = nnd_error_set(NND_E_UNSUPPORTED, "Gradient '%s': no derivative is known of: %s",
                               d->name, lacking.data);
    nnd_str_free(&lacking);
    NND_TRY(status);
    NND_TRY(walk_backward(d, c));
    return name_outputs(d, c);
}

nnd_status nnd_gradient_expand(nnd_onnx_model *m, nnd_graph *g, const nnd_gradient_call *node)
{
    call c = {0};
    NND_TRY(read_call(m, g, node, &c));
    c.node_count = g->node_count;
    m->gradient_work += g->node_count + g->value_count;
    if (m->gradient_work > MAX_WORK)
        return nnd_error_set(NND_E_LIMIT, "Gradient '%s': the model has too many Gradient nodes",
                             node->name);
    nnd_gradient d = {.model = m, .graph = g, .name = node->name, .value_count = g->value_count};
    const nnd_status status = differentiate(&d, &c);
    nnd_free(d.marks);
    nnd_free(d.actual);
    nnd_free(d.adjoint);
    return status;
}
