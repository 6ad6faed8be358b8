/* Building a graph call by call; see nndeploy/ir.h. */
#include <stdio.h>
#include <string.h>

#include "engine/ir/ir.h"
#include "engine/runtime/bind.h"

enum { LISTED = 64 }; /* complaints kept as text; the rest is counted */
static const uint64_t MAX_WEIGHTS = (uint64_t)64 << 30;

/* ---- complaints ---------------------------------------------------------------------------- */

nnd_status nnd_ir_problem(nnd_ir *ir, const char *format, ...)
{
    nnd_str text = {0};
    va_list args;
    if (ir->line) nnd_str_printf(&text, "line %u: ", (unsigned)ir->line);
    va_start(args, format);
    nnd_str_vprintf(&text, format, args);
    va_end(args);
    const char *message = text.data ? text.data : "the graph is wrong";
    if (ir->problem_count++ < LISTED) nnd_str_printf(&ir->problems, "\n  %s", message);
    nnd_status status = nnd_error_set(NND_E_FORMAT, "%s", message);
    nnd_str_free(&text);
    return status;
}

/* Memory and limits are no complaints about the graph: nothing more is asked of it. */
static nnd_status note(nnd_ir *ir, nnd_status status)
{
    if (status != NND_OK && ir->broken == NND_OK) ir->broken = status;
    return status;
}

nnd_status nnd_ir_report(const nnd_ir *ir)
{
    if (ir->broken != NND_OK)
        return nnd_error_set(ir->broken, "building the graph failed: %s",
                             nnd_status_text(ir->broken));
    if (!ir->problem_count) return NND_OK;
    if (ir->problem_count > LISTED)
        return nnd_error_set(NND_E_FORMAT, "the graph has %zu errors:%s\n  and %zu more",
                             ir->problem_count, ir->problems.data ? ir->problems.data : "",
                             ir->problem_count - LISTED);
    return nnd_error_set(NND_E_FORMAT, "the graph has %zu error%s:%s", ir->problem_count,
                         ir->problem_count == 1 ? "" : "s",
                         ir->problems.data ? ir->problems.data : "");
}

static bool good_name(nnd_ir *ir, const char *what, const char *name)
{
    if (name && name[0] && nnd_utf8_valid(name, strlen(name))) return true;
    (void)!nnd_ir_problem(ir, "%s needs a name, in UTF-8", what);
    return false;
}

/* ---- life ---------------------------------------------------------------------------------- */

nnd_status nnd_ir_create_empty(nnd_ir **out)
{
    nnd_ir *ir = nnd_calloc(1, sizeof(*ir));
    *out = ir;
    if (!ir) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a graph");
    ir->main.ir = ir;
    ir->source.producer = ir->source.producer_version = ir->source.domain = ir->source.doc = "";
    ir->source.max_weight_bytes = MAX_WEIGHTS;
    return NND_OK;
}

nnd_status nnd_ir_create(const char *name, int64_t opset, nnd_ir **out)
{
    nnd_ir *ir;
    *out = NULL;
    if (opset < 1)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_ir_create: the opset is at least 1");
    NND_TRY(nnd_ir_create_empty(&ir));
    ir->source.producer = "nndeploy";
    ir->source.producer_version = nnd_version();
    nnd_status status = nnd_graph_create(NULL, name, &ir->source.graph);
    ir->main.graph = ir->source.graph;
    if (status == NND_OK) status = nnd_ir_import(ir, "", opset);
    if (status != NND_OK) {
        nnd_ir_destroy(ir);
        return status;
    }
    *out = ir;
    return NND_OK;
}

void nnd_ir_destroy(nnd_ir *ir)
{
    if (!ir) return;
    nnd_onnx_fini(&ir->source);
    nnd_buffer_unref(ir->bytes);
    nnd_str_free(&ir->problems);
    nnd_free(ir);
}

/* Of a domain, 0 = not imported. */
static int64_t imported(const nnd_ir *ir, const char *domain)
{
    for (size_t i = 0; i < ir->source.opset_count; i++)
        if (strcmp(ir->source.opsets[i].domain, domain) == 0) return ir->source.opsets[i].version;
    return 0;
}

nnd_status nnd_ir_import(nnd_ir *ir, const char *domain, int64_t version)
{
    nnd_onnx_model *m = &ir->source;
    if (!domain || strcmp(domain, "ai.onnx") == 0) domain = "";
    if (version < 1 || imported(ir, domain))
        return nnd_ir_problem(ir, "the domain '%s' is imported twice, or as version %lld", domain,
                              (long long)version);
    nnd_engine_opset *more = nnd_arena_calloc(&m->arena, m->opset_count + 1, sizeof(*more));
    char *copy = nnd_arena_strdup(&m->arena, domain);
    if (!more || !copy)
        return note(ir, nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for an import"));
    if (m->opset_count) memcpy(more, m->opsets, m->opset_count * sizeof(*more));
    more[m->opset_count++] = (nnd_engine_opset){copy, version};
    m->opsets = more;
    return NND_OK;
}

nnd_ir_graph *nnd_ir_main(nnd_ir *ir)
{
    return &ir->main;
}

nnd_status nnd_ir_add_body(nnd_ir_graph *parent, const char *name, nnd_ir_graph **out)
{
    nnd_ir *ir = parent->ir;
    *out = NULL;
    if (parent->depth == NND_ONNX_MAX_DEPTH)
        return note(ir, nnd_error_set(NND_E_LIMIT, "graphs are nested more than %d deep",
                                      NND_ONNX_MAX_DEPTH));
    nnd_ir_graph *body = nnd_arena_calloc(&ir->source.arena, 1, sizeof(*body));
    if (!body) return note(ir, nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a graph"));
    *body = (nnd_ir_graph){.ir = ir, .depth = parent->depth + 1};
    NND_TRY(note(ir, nnd_graph_create(parent->graph, name, &body->graph)));
    *out = body;
    return NND_OK;
}

/* ---- types --------------------------------------------------------------------------------- */

static nnd_status set_type(nnd_ir *ir, nnd_graph *g, uint32_t id, const nnd_ir_type *t)
{
    static const nnd_engine_kind kinds[] = {[NND_PORT_TENSOR] = NND_KIND_TENSOR,
                                            [NND_PORT_SEQUENCE] = NND_KIND_SEQUENCE,
                                            [NND_PORT_MAP] = NND_KIND_MAP};
    nnd_graph_value *v = &g->values[id];
    if ((unsigned)t->kind >= NND_COUNT(kinds) || (unsigned)t->element >= NND_COUNT(kinds) ||
        t->rank < -1 || t->rank > NND_MAX_RANK)
        return nnd_ir_problem(ir, "the type of '%s' is impossible: kind %d, rank %d", v->name,
                              (int)t->kind, (int)t->rank);
    v->type =
        (nnd_engine_type){.kind = kinds[t->kind], .element = kinds[t->element], .key = t->key};
    v->type.optional = t->optional;
    if (t->dtype != NND_DTYPE_INVALID) v->dtype = t->dtype;
    if (v->is_constant || v->type.kind != NND_KIND_TENSOR || t->rank < 0) return NND_OK;
    v->rank = t->rank;
    for (int i = 0; i < t->rank; i++) {
        const char *symbol = t->dims[i].symbol;
        v->dims[i] = t->dims[i].value < 0 ? -1 : t->dims[i].value;
        v->symbols[i] = NULL;
        if (v->dims[i] >= 0 || !symbol || !symbol[0]) continue;
        if (!nnd_utf8_valid(symbol, strlen(symbol)))
            return nnd_ir_problem(ir, "a dimension of '%s' has a name that is not UTF-8", v->name);
        v->symbols[i] = nnd_arena_strdup(&g->arena, symbol);
        if (!v->symbols[i])
            return note(ir, nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a type"));
    }
    return NND_OK;
}

nnd_status nnd_ir_set_type(nnd_ir_graph *graph, const char *name, const nnd_ir_type *type)
{
    uint32_t id = nnd_graph_find_value(graph->graph, name);
    if (id == NND_NO_ID)
        return nnd_ir_problem(graph->ir, "there is no value '%s' to set the type of",
                              name ? name : "");
    return set_type(graph->ir, graph->graph, id, type);
}

/* A new value, unless the name is taken. */
static nnd_status define(nnd_ir_graph *graph, const char *what, const char *name)
{
    if (!good_name(graph->ir, what, name)) return NND_E_FORMAT;
    if (nnd_graph_find_value(graph->graph, name) == NND_NO_ID) return NND_OK;
    return nnd_ir_problem(graph->ir, "%s '%s': the name is taken already", what, name);
}

nnd_status nnd_ir_add_input(nnd_ir_graph *graph, const char *name, const nnd_ir_type *type)
{
    uint32_t id;
    NND_TRY(define(graph, "an input", name));
    NND_TRY(
        note(graph->ir, nnd_graph_add_input(graph->graph, name, NND_DTYPE_INVALID, -1, NULL, &id)));
    return type ? set_type(graph->ir, graph->graph, id, type) : NND_OK;
}

nnd_status nnd_ir_add_output(nnd_ir_graph *graph, const char *name, const nnd_ir_type *type)
{
    uint32_t id;
    if (!good_name(graph->ir, "an output", name)) return NND_E_FORMAT;
    nnd_status status = nnd_graph_resolve(graph->graph, name, &id);
    if (status == NND_E_NOT_FOUND)
        return nnd_ir_problem(graph->ir, "nothing computes the output '%s'", name);
    NND_TRY(note(graph->ir, status));
    if (type) NND_TRY(set_type(graph->ir, graph->graph, id, type));
    return note(graph->ir, nnd_graph_add_output(graph->graph, id));
}

/* ---- constants ----------------------------------------------------------------------------- */

static nnd_status copy_strings(nnd_graph *g, nnd_tensor *t)
{
    size_t count = (size_t)nnd_tensor_count(t);
    const nnd_string *from = t->data;
    nnd_string *to = nnd_arena_calloc(&g->arena, count ? count : 1, sizeof(*to));
    for (size_t i = 0; to && i < count; i++) {
        char *text = nnd_arena_strdup_n(&g->arena, from[i].size ? from[i].text : "", from[i].size);
        if (!text) to = NULL;
        if (to) to[i] = (nnd_string){text, from[i].size};
    }
    t->data = to;
    return to ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a constant's strings");
}

/* The elements of *t become the graph's: in *owned, in its arena, or where they were. */
static nnd_status take_elements(nnd_ir *ir, nnd_graph *g, nnd_tensor *t, void **owned)
{
    size_t bytes = nnd_tensor_bytes(t);
    *owned = NULL;
    if (ir->borrow) return NND_OK;
    if (t->dtype == NND_STRING) return copy_strings(g, t);
    *owned = nnd_alloc_aligned(bytes ? bytes : 1, 64);
    if (!*owned) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a constant");
    if (bytes) memcpy(*owned, t->data, bytes);
    t->data = *owned;
    return NND_OK;
}

static bool has_elements(const nnd_tensor *t)
{
    return t && nnd_dtype_bits(t->dtype) && t->rank >= 0 && t->rank <= NND_MAX_RANK &&
           nnd_tensor_is_dense(t) && (t->data || !nnd_tensor_count(t));
}

/* name "" = unnamed. */
static nnd_status add_constant(nnd_ir_graph *graph, const char *name, const nnd_tensor *tensor,
                               uint32_t *id)
{
    nnd_onnx_model *m = &graph->ir->source;
    nnd_tensor t;
    void *owned;
    if (tensor->dtype != NND_STRING) m->weight_bytes += nnd_tensor_bytes(tensor);
    if (m->weight_bytes > m->max_weight_bytes)
        return nnd_error_set(NND_E_LIMIT, "the constants exceed the limit of %llu bytes",
                             (unsigned long long)m->max_weight_bytes);
    NND_TRY(nnd_tensor_init(&t, tensor->dtype, tensor->rank, tensor->dims, tensor->data));
    NND_TRY(take_elements(graph->ir, graph->graph, &t, &owned));
    nnd_status status = nnd_graph_add_value(graph->graph, name, id);
    if (status == NND_OK) return nnd_graph_set_constant(graph->graph, *id, &t, owned);
    nnd_free_aligned(owned);
    return status;
}

nnd_status nnd_ir_add_constant(nnd_ir_graph *graph, const char *name, const nnd_tensor *t)
{
    uint32_t id;
    NND_TRY(define(graph, "a constant", name));
    if (!has_elements(t))
        return nnd_ir_problem(graph->ir, "constant '%s': not a dense tensor in host memory", name);
    NND_TRY(note(graph->ir, add_constant(graph, name, t, &id)));
    graph->ir->source.parameters += (uint64_t)nnd_tensor_count(t);
    return NND_OK;
}

/* ---- attributes ---------------------------------------------------------------------------- */

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a node");
}

/* A copy of `count` items in the graph's arena; never NULL but without memory. */
static void *copy_items(nnd_graph *g, const void *items, size_t count, size_t size)
{
    void *copy = nnd_arena_calloc(&g->arena, count ? count : 1, size);
    if (copy && count) memcpy(copy, items, count * size);
    return copy;
}

static bool copy_text(nnd_graph *g, const nnd_string *from, nnd_string *to)
{
    to->size = from->size;
    to->text = nnd_arena_strdup_n(&g->arena, from->size ? from->text : "", from->size);
    return to->text != NULL;
}

static nnd_status tensor_attribute(nnd_ir_graph *graph, const nnd_ir_attribute *from, nnd_attr *to)
{
    nnd_graph *g = graph->graph;
    const nnd_tensor *aligned;
    if (!has_elements(from->tensor))
        return nnd_ir_problem(graph->ir, "attribute '%s': not a dense tensor in host memory",
                              from->name);
    NND_TRY(add_constant(graph, "", from->tensor, &to->holder));
    to->home = g;
    g->values[to->holder].held = true;
    NND_TRY(nnd_graph_constant(g, to->holder, &aligned)); /* operators read it directly */
    to->u.tensor = copy_items(g, aligned, 1, sizeof(*aligned));
    return to->u.tensor ? NND_OK : out_of_memory();
}

static nnd_status graph_attribute(nnd_ir_graph *graph, const nnd_ir_attribute *from, nnd_attr *to)
{
    if (!from->graph || from->graph->used || from->graph->graph->parent != graph->graph)
        return nnd_ir_problem(
            graph->ir, "attribute '%s': not a body of this graph, or used already", from->name);
    from->graph->used = true;
    to->u.graph = from->graph->graph;
    return NND_OK;
}

static nnd_status string_list(nnd_graph *g, const nnd_ir_attribute *from, nnd_attr *to)
{
    to->u.strings = nnd_arena_calloc(&g->arena, from->count ? from->count : 1, sizeof(nnd_string));
    for (size_t i = 0; to->u.strings && i < from->count; i++)
        if (!copy_text(g, &from->strings[i], &to->u.strings[i])) return out_of_memory();
    return to->u.strings ? NND_OK : out_of_memory();
}

static nnd_status copy_attribute(nnd_ir_graph *graph, const nnd_ir_attribute *from, nnd_attr *to)
{
    nnd_graph *g = graph->graph;
    to->name = nnd_arena_strdup(&g->arena, from->name);
    to->count = from->count;
    if (!to->name) return out_of_memory();
    switch (from->kind) {
    case NND_IR_ATTRIBUTE_INT:
        to->kind = NND_ATTR_INT;
        to->u.i = from->i;
        return NND_OK;
    case NND_IR_ATTRIBUTE_FLOAT:
        to->kind = NND_ATTR_FLOAT;
        to->u.f = from->f;
        return NND_OK;
    case NND_IR_ATTRIBUTE_STRING:
        to->kind = NND_ATTR_STRING;
        return copy_text(g, &from->s, &to->u.s) ? NND_OK : out_of_memory();
    case NND_IR_ATTRIBUTE_TENSOR:
        to->kind = NND_ATTR_TENSOR;
        return tensor_attribute(graph, from, to);
    case NND_IR_ATTRIBUTE_GRAPH:
        to->kind = NND_ATTR_GRAPH;
        return graph_attribute(graph, from, to);
    case NND_IR_ATTRIBUTE_INTS:
        to->kind = NND_ATTR_INTS;
        to->u.ints = copy_items(g, from->ints, from->count, sizeof(int64_t));
        return to->u.ints ? NND_OK : out_of_memory();
    case NND_IR_ATTRIBUTE_FLOATS:
        to->kind = NND_ATTR_FLOATS;
        to->u.floats = copy_items(g, from->floats, from->count, sizeof(float));
        return to->u.floats ? NND_OK : out_of_memory();
    case NND_IR_ATTRIBUTE_STRINGS:
        to->kind = NND_ATTR_STRINGS;
        return string_list(g, from, to);
    }
    return nnd_ir_problem(graph->ir, "attribute '%s' has no kind", from->name);
}

static nnd_status copy_attributes(nnd_ir_graph *graph, const nnd_ir_node *from, nnd_attr **out)
{
    nnd_attr *attrs =
        nnd_arena_calloc(&graph->graph->arena, from->attribute_count + 1, sizeof(*attrs));
    if (!attrs) return out_of_memory();
    for (size_t i = 0; i < from->attribute_count; i++) {
        const nnd_ir_attribute *a = &from->attributes[i];
        if (!good_name(graph->ir, "an attribute", a->name)) return NND_E_FORMAT;
        for (size_t k = 0; k < i; k++)
            if (strcmp(attrs[k].name, a->name) == 0)
                return nnd_ir_problem(graph->ir, "the %s node '%s' has the attribute '%s' twice",
                                      from->op, from->name, a->name);
        NND_TRY(copy_attribute(graph, a, &attrs[i]));
    }
    *out = attrs;
    return NND_OK;
}

/* ---- nodes --------------------------------------------------------------------------------- */

/* Ids of the inputs; the missing ones are complained about and left out. */
static nnd_status resolve_inputs(nnd_ir_graph *graph, const nnd_ir_node *n, uint32_t **out)
{
    uint32_t *ids = nnd_arena_calloc(&graph->graph->arena, n->input_count + 1, sizeof(*ids));
    if (!ids) return out_of_memory();
    nnd_status worst = NND_OK;
    for (size_t i = 0; i < n->input_count; i++) {
        ids[i] = NND_NO_ID;
        if (!n->inputs[i] || !n->inputs[i][0]) continue;
        nnd_status status = nnd_graph_resolve(graph->graph, n->inputs[i], &ids[i]);
        if (status == NND_E_NOT_FOUND)
            worst =
                nnd_ir_problem(graph->ir, "input '%s' of the %s node '%s' is not defined before it",
                               n->inputs[i], n->op, n->name);
        else
            NND_TRY(status);
    }
    *out = ids;
    return worst;
}

/* Names of the outputs that are free; the others are complained about and left out. */
static nnd_status free_outputs(nnd_ir_graph *graph, const nnd_ir_node *n, const char ***out)
{
    const char **names =
        nnd_arena_calloc(&graph->graph->arena, n->output_count + 1, sizeof(*names));
    if (!names) return out_of_memory();
    nnd_status worst = NND_OK;
    for (size_t i = 0; i < n->output_count; i++) {
        const char *name = n->outputs[i];
        names[i] = "";
        if (!name || !name[0]) continue;
        bool taken = nnd_graph_find_value(graph->graph, name) != NND_NO_ID ||
                     !nnd_utf8_valid(name, strlen(name));
        for (size_t k = 0; k < i && !taken; k++)
            taken = strcmp(names[k], name) == 0;
        if (taken)
            worst = nnd_ir_problem(graph->ir,
                                   "output '%s' of the %s node '%s': the name is taken already",
                                   name, n->op, n->name);
        else
            names[i] = name;
    }
    *out = names;
    return worst;
}

static nnd_status append_node(nnd_ir_graph *graph, const nnd_ir_node *n, int64_t opset)
{
    uint32_t *inputs = NULL;
    const char **outputs = NULL;
    nnd_attr *attrs = NULL;
    nnd_graph_node *node;
    nnd_status status = resolve_inputs(graph, n, &inputs);
    nnd_status second = free_outputs(graph, n, &outputs);
    nnd_status third = copy_attributes(graph, n, &attrs);
    if (status == NND_OK) status = second;
    if (status == NND_OK) status = third;
    /* The node is added all the same: what reads its results is not wrong because of it. */
    if (!inputs || !outputs) return status;
    nnd_status added = nnd_graph_add_node(graph->graph, n->domain, n->op, opset, n->name,
                                          n->input_count, inputs, n->output_count, outputs, &node);
    if (added != NND_OK) return added;
    graph->ir->source.node_count += graph->depth == 0;
    if (!attrs) return status;
    node->attrs = attrs;
    node->attr_count = n->attribute_count;
    NND_TRY(nnd_graph_close_node(graph->graph, node));
    return status;
}

nnd_status nnd_ir_add_node(nnd_ir_graph *graph, const nnd_ir_node *node)
{
    nnd_ir *ir = graph->ir;
    nnd_ir_node n = *node;
    char made_up[96];
    if (!good_name(ir, "the operator of a node", n.op)) return NND_E_FORMAT;
    if (!n.domain || strcmp(n.domain, "ai.onnx") == 0) n.domain = "";
    if (!n.name || !n.name[0]) {
        snprintf(made_up, sizeof(made_up), "%.64s_%zu", n.op, graph->graph->node_count);
        n.name = made_up;
    }
    if (!nnd_utf8_valid(n.name, strlen(n.name)) || !nnd_utf8_valid(n.domain, strlen(n.domain)))
        return nnd_ir_problem(ir, "a %s node has a name or domain that is not UTF-8", n.op);
    if (graph->graph->node_count >= NND_ONNX_MAX_NODES)
        return note(
            ir, nnd_error_set(NND_E_LIMIT, "the graph has more than %d nodes", NND_ONNX_MAX_NODES));
    /* A constant needs no operator. */
    if (!n.domain[0] && strcmp(n.op, "Constant") == 0 && n.attribute_count == 1 &&
        n.attributes[0].kind == NND_IR_ATTRIBUTE_TENSOR && n.output_count == 1)
        return nnd_ir_add_constant(graph, n.outputs[0], n.attributes[0].tensor);
    nnd_status status = append_node(graph, &n, n.opset > 0 ? n.opset : imported(ir, n.domain));
    return status == NND_E_FORMAT ? status : note(ir, status);
}

/* ---- checking and printing ----------------------------------------------------------------- */

static void check_outputs(nnd_ir *ir, const nnd_graph *g)
{
    if (!g->output_count) (void)!nnd_ir_problem(ir, "the graph '%s' has no outputs", g->name);
    for (const nnd_graph *child = g->children; child; child = child->sibling)
        check_outputs(ir, child);
}

/* What is found now is forgotten again: the caller may mend it. */
nnd_status nnd_ir_check(nnd_ir *ir)
{
    size_t count = ir->problem_count, size = ir->problems.size;
    check_outputs(ir, ir->source.graph);
    nnd_status format = nnd_ir_report(ir);
    ir->problem_count = count;
    if (ir->problems.data) ir->problems.data[ir->problems.size = size] = '\0';
    nnd_error *first = format == NND_OK ? NULL : nnd_error_take();
    nnd_status status = nnd_graph_bind(ir->source.graph);
    if (first && status != NND_OK) {
        nnd_error *second = nnd_error_take();
        status = nnd_error_set(format, "%s\n%s", nnd_error_message(first),
                               second ? nnd_error_message(second) : "");
        nnd_error_destroy(second);
    } else if (first) {
        status = nnd_error_set(format, "%s", nnd_error_message(first));
    }
    nnd_error_destroy(first);
    return format != NND_OK ? format : status;
}

nnd_status nnd_ir_print(const nnd_ir *ir, char **text)
{
    *text = nnd_graph_print(ir->source.graph);
    return *text ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to print a graph");
}
