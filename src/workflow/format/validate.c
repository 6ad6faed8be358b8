/* Checks a document as it stands, graph by graph, without files, models or devices. What needs the
   flattened graph (types through sub-graphs, credits, memory) is the compiler's. */
#include "workflow/format/document.h"

#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "workflow/format/params.h"
#include "workflow/registry.h"
#include "workflow/type_expr.h"

#include <string.h>

/* A port as the checks need it. */
typedef struct port {
    const char *name;
    const char *type;
    uint32_t flags;
} port;
typedef struct ports {
    port *items;
    size_t count, capacity;
    bool known; /* false: they depend on something that is not here (a model, a missing plug-in) */
} ports;

/* One graph under check. */
typedef struct scope {
    nnd_registry *registry;
    nnd_diagnostics *diags;
    const wf_graph *graph;
    const char *prefix; /* "" or "sub" */
    const char *file;
    nnd_map ids; /* id → wf_node */
    nnd_map fed; /* "node port" → the first data edge that ends there */
} scope;

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for checking a workflow");
}

/* "sub/node" of a node in the graph. Leaves "" without memory: only messages lose. */
static char *path_of(const scope *s, const char *id)
{
    return s->prefix[0] ? nnd_strf("%s/%s", s->prefix, id) : nnd_strdup(id);
}

#define REPORT(s, place, id, port, code, suggestion, ...)                                          \
    report(s, NND_SEVERITY_ERROR, place, id, port, code, suggestion, __VA_ARGS__)

static nnd_status report(const scope *s, nnd_severity severity, wf_place place, const char *id,
                         const char *port_name, const char *code, const char *suggestion,
                         const char *format, ...)
{
    nnd_str text = {0};
    va_list args;
    va_start(args, format);
    nnd_str_vprintf(&text, format, args);
    va_end(args);
    char *path = id && id[0] ? path_of(s, id) : nnd_strdup(s->prefix);
    nnd_status status =
        wf_report(s->diags, severity, NND_E_VALIDATION, code, s->file, place, path ? path : "",
                  port_name ? port_name : "", suggestion, "%s", text.data ? text.data : code);
    nnd_free(path);
    nnd_str_free(&text);
    return status;
}

/* ---- ports ------------------------------------------------------------------------------- */

static bool is_graph_node(const wf_node *n)
{
    return n->graph || n->ref;
}

static nnd_status add_port(ports *list, const char *name, const char *type, uint32_t flags)
{
    port p = {name, type, flags};
    return nnd_vec_push(list, p) ? NND_OK : no_memory();
}

/* Boundary of a sub-graph; types inside a map or loop are the compiler's matter. */
static nnd_status graph_ports(const wf_node *n, bool outputs, ports *list)
{
    bool plain = strcmp(n->type, "flow.graph") == 0;
    list->known = n->graph != NULL;
    if (!n->graph) return NND_OK;
    size_t count = outputs ? n->graph->output_count : n->graph->input_count;
    for (size_t i = 0; i < count; i++) {
        const char *name = outputs ? n->graph->outputs[i].name : n->graph->inputs[i].name;
        const char *type = outputs || !plain ? "any" : n->graph->inputs[i].type;
        NND_TRY(add_port(list, name, type, NND_PORT_OPTIONAL));
    }
    return NND_OK;
}

static nnd_status saved_ports(const wf_node *n, bool outputs, ports *list)
{
    const wf_port *items = outputs ? n->out_ports : n->in_ports;
    size_t count = outputs ? n->out_port_count : n->in_port_count;
    list->known = n->has_ports;
    for (size_t i = 0; i < count; i++)
        NND_TRY(add_port(list, items[i].name, items[i].type, NND_PORT_OPTIONAL));
    return NND_OK;
}

static nnd_status ports_of(const scope *s, const wf_node *n, bool outputs, ports *list)
{
    const nnd_node_type *type = nnd_registry_find(s->registry, n->type, n->version);
    if (is_graph_node(n)) return graph_ports(n, outputs, list);
    if (!type || type->resolve_ports) return saved_ports(n, outputs, list);
    const nnd_array *declared = outputs ? &type->outputs : &type->inputs;
    list->known = true;
    for (size_t i = 0; i < declared->count; i++) {
        const nnd_port *p = wf_port_at(declared, i);
        NND_TRY(add_port(list, p->name, p->type, p->flags));
    }
    return NND_OK;
}

static const port *find_port(const ports *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, name) == 0) return &list->items[i];
    return NULL;
}

static const char *nearest_port(const ports *list, const char *name)
{
    nnd_suggest near;
    nnd_suggest_begin(&near, name);
    for (size_t i = 0; i < list->count; i++)
        nnd_suggest_offer(&near, list->items[i].name);
    return near.best;
}

static nnd_status unknown_port(const scope *s, wf_place place, const char *id, const char *name,
                               const ports *list, bool output)
{
    nnd_str names = {0};
    for (size_t i = 0; i < list->count; i++)
        nnd_str_printf(&names, "%s'%s'", i ? ", " : "", list->items[i].name);
    nnd_status status =
        REPORT(s, place, id, name, "unknown-port", nearest_port(list, name),
               "there is no %s '%s'; there %s %s", output ? "output" : "input", name,
               list->count == 1 ? "is" : "are", names.data ? names.data : "none");
    nnd_str_free(&names);
    return status;
}

/* ---- nodes ------------------------------------------------------------------------------- */

static nnd_status unknown_type(const scope *s, const wf_node *n)
{
    nnd_suggest near;
    const nnd_node_type *newest = nnd_registry_find(s->registry, n->type, 0);
    if (newest)
        return REPORT(s, n->place, n->id, "", "unknown-version", NULL,
                      "node type '%s' has no version %d here (newest: %d)", n->type, n->version,
                      newest->version);
    nnd_suggest_begin(&near, n->type);
    for (size_t i = 0; i < nnd_registry_count(s->registry); i++)
        nnd_suggest_offer(&near, nnd_registry_at(s->registry, i)->type);
    return REPORT(
        s, n->place, n->id, "", "unknown-type", near.best,
        "node type '%s' is not known here: a plug-in that brings it is not loaded, or the "
        "name is wrong",
        n->type);
}

/* Values of a sub-graph node belong to its promoted parameters (or to flow.map and flow.loop). */
static nnd_status check_promoted_values(const scope *s, const wf_node *n, const nnd_node_type *type)
{
    for (size_t i = 0; n->graph && i < n->params.count; i++) {
        const wf_field *f = &n->params.items[i];
        nnd_suggest near;
        bool known = type && wf_param_find(type, f->name);
        nnd_suggest_begin(&near, f->name);
        for (size_t k = 0; k < n->graph->param_count; k++) {
            known = known || strcmp(n->graph->params[k].name, f->name) == 0;
            nnd_suggest_offer(&near, n->graph->params[k].name);
        }
        if (!known)
            NND_TRY(REPORT(s, f->place, n->id, f->name, "unknown-param", near.best,
                           "the sub-graph promotes no parameter '%s'", f->name));
    }
    return NND_OK;
}

static bool feeds_param(const scope *s, const wf_node *n, const char *param)
{
    for (size_t i = 0; i < s->graph->edge_count; i++) {
        const wf_edge *e = &s->graph->edges[i];
        if (e->is_param && strcmp(e->to_node, n->id) == 0 && strcmp(e->to_port, param) == 0)
            return true;
    }
    for (size_t i = 0; i < s->graph->param_count; i++) {
        const wf_promoted *p = &s->graph->params[i];
        if (strcmp(p->to_node, n->id) == 0 && strcmp(p->to_param, param) == 0) return true;
    }
    return false;
}

/* A REQUIRED parameter that an edge or a promotion feeds needs no value of its own. */
static nnd_status params_to_check(const scope *s, const wf_node *n, const nnd_node_type *type,
                                  wf_fields *given)
{
    static const char fed[] = "{\"$input\":\"\"}";
    for (size_t i = 0; i < n->params.count; i++) {
        wf_field *f = &n->params.items[i];
        if (!nnd_vec_push(given, *f)) return no_memory();
    }
    for (size_t i = 0; i < type->params.count; i++) {
        const nnd_param *p = wf_param_at(&type->params, i);
        if (!(p->flags & NND_PARAM_REQUIRED) || wf_fields_get(&n->params, p->name) ||
            !feeds_param(s, n, p->name))
            continue;
        /* Borrowed texts: the list is only read. */
        wf_field f = {(char *)(uintptr_t)p->name, (char *)(uintptr_t)fed, n->place};
        if (!nnd_vec_push(given, f)) return no_memory();
    }
    return NND_OK;
}

static nnd_status check_params(const scope *s, const wf_node *n, const nnd_node_type *type)
{
    wf_fields given = {0};
    nnd_params *params = NULL;
    char *path = path_of(s, n->id);
    if (!path) return no_memory();
    nnd_status status = params_to_check(s, n, type, &given);
    if (status == NND_OK) {
        wf_params_source source = {.type = type,
                                   .node = path,
                                   .file = s->file,
                                   .given = given.items,
                                   .given_count = given.count,
                                   .check_only = true};
        status = wf_params_make(&source, s->diags, &params);
    }
    wf_params_unref(params);
    nnd_vec_free(&given);
    nnd_free(path);
    return status == NND_E_VALIDATION ? NND_OK : status;
}

static nnd_status check_graph(const scope *outer, const wf_graph *graph, const char *prefix,
                              const char *file);

static nnd_status check_sub_graph(const scope *s, const wf_node *n, const nnd_node_type *type)
{
    NND_TRY(check_promoted_values(s, n, type));
    if (!n->graph)
        return report(s, NND_SEVERITY_WARNING, n->place, n->id, "", "ref-not-loaded", NULL,
                      "sub-graph '%s' was not loaded, so it is not checked", n->ref);
    char *path = path_of(s, n->id);
    if (!path) return no_memory();
    nnd_status status = check_graph(s, n->graph, path, n->graph->file ? n->graph->file : s->file);
    nnd_free(path);
    return status;
}

static nnd_status check_node(const scope *s, const wf_node *n)
{
    static const char *const graph_types[] = {"flow.graph", "flow.map", "flow.loop"};
    const nnd_node_type *type = nnd_registry_find(s->registry, n->type, n->version);
    bool wants_graph = false;
    for (size_t i = 0; i < NND_COUNT(graph_types); i++)
        wants_graph = wants_graph || strcmp(n->type, graph_types[i]) == 0;
    if (!type) NND_TRY(unknown_type(s, n));
    if (wants_graph && !is_graph_node(n))
        return REPORT(s, n->place, n->id, "", "missing-graph", NULL,
                      "a node of type '%s' needs a 'graph' or a 'ref'", n->type);
    if (!wants_graph && type && is_graph_node(n))
        return REPORT(s, n->place, n->id, "", "unexpected-graph", NULL,
                      "nodes of type '%s' have no sub-graph; use flow.graph, flow.map or flow.loop",
                      n->type);
    if (is_graph_node(n)) return check_sub_graph(s, n, type);
    return type ? check_params(s, n, type) : NND_OK;
}

/* ---- ends of edges ----------------------------------------------------------------------- */

static const wf_input *find_input(const wf_graph *g, const char *name)
{
    for (size_t i = 0; i < g->input_count; i++)
        if (strcmp(g->inputs[i].name, name) == 0) return &g->inputs[i];
    return NULL;
}

static nnd_status unknown_node(const scope *s, wf_place place, const char *id)
{
    nnd_suggest near;
    nnd_suggest_begin(&near, id);
    for (size_t i = 0; i < s->graph->node_count; i++)
        nnd_suggest_offer(&near, s->graph->nodes[i].id);
    return REPORT(s, place, "", "", "unknown-node", near.best, "there is no node '%s'", id);
}

static nnd_status unknown_input(const scope *s, wf_place place, const char *name)
{
    nnd_suggest near;
    nnd_suggest_begin(&near, name);
    for (size_t i = 0; i < s->graph->input_count; i++)
        nnd_suggest_offer(&near, s->graph->inputs[i].name);
    return REPORT(s, place, "", name, "unknown-input", near.best, "the %s has no input '%s'",
                  s->prefix[0] ? "sub-graph" : "workflow", name);
}

/* Where an edge or an output comes from: its type (NULL = not known), all problems reported. The
   text is borrowed from descriptors and the document. */
static nnd_status source_type(const scope *s, wf_place place, const char *node, const char *name,
                              const char **type)
{
    ports list = {0};
    *type = NULL;
    if (strcmp(node, "@") == 0) {
        const wf_input *input = find_input(s->graph, name);
        if (input) *type = input->type;
        return input ? NND_OK : unknown_input(s, place, name);
    }
    const wf_node *n = nnd_map_get(&s->ids, node);
    if (!n) return unknown_node(s, place, node);
    nnd_status status = ports_of(s, n, true, &list);
    const port *p = find_port(&list, name);
    if (status == NND_OK && list.known && !p)
        status = unknown_port(s, place, node, name, &list, true);
    if (p && !wf_type_has_variables(p->type)) *type = p->type;
    nnd_vec_free(&list);
    return status;
}

static nnd_status check_param_edge(const scope *s, const wf_edge *e, const wf_node *to)
{
    const nnd_node_type *type = nnd_registry_find(s->registry, to->type, to->version);
    if (!type) return NND_OK;
    const nnd_param *p = wf_param_find(type, e->to_port);
    bool promoted = false;
    for (size_t i = 0; to->graph && i < to->graph->param_count; i++)
        promoted = promoted || strcmp(to->graph->params[i].name, e->to_port) == 0;
    if (!p && !promoted)
        return REPORT(s, e->place, to->id, e->to_port, "unknown-param", NULL,
                      "'%s' has no parameter '%s' that an edge could feed", to->type, e->to_port);
    if (p && (p->flags & NND_PARAM_STATIC))
        return REPORT(
            s, e->place, to->id, e->to_port, "static-param", NULL,
            "parameter '%s' is fixed when the workflow is compiled; an edge cannot feed it",
            e->to_port);
    return NND_OK;
}

static nnd_status check_types(const scope *s, const wf_edge *e, const char *from, const port *to)
{
    wf_bindings bindings = {0};
    wf_match match = WF_MATCH_RUN;
    if (!from || wf_type_has_variables(to->type)) return NND_OK;
    nnd_status status = wf_type_match(to->type, from, &bindings, &match);
    wf_bindings_fini(&bindings);
    NND_TRY(status);
    if (match != WF_MATCH_NO) return NND_OK;
    return REPORT(s, e->place, e->to_node, e->to_port, "type-mismatch", NULL,
                  "wants %s, but '%s.%s' gives %s", to->type, e->from_node, e->from_port, from);
}

/* A blank separates: ids have none. */
static const wf_edge *first_edge(const scope *s, const char *node, const char *port_name)
{
    char *key = nnd_strf("%s %s", node, port_name);
    const wf_edge *edge = key ? nnd_map_get(&s->fed, key) : NULL;
    nnd_free(key);
    return edge;
}

static nnd_status index_edges(scope *s)
{
    for (size_t i = 0; i < s->graph->edge_count; i++) {
        wf_edge *e = &s->graph->edges[i];
        if (e->is_param || first_edge(s, e->to_node, e->to_port)) continue;
        char *key = nnd_strf("%s %s", e->to_node, e->to_port);
        if (!key) return no_memory();
        nnd_status status = nnd_map_put(&s->fed, key, e, NULL);
        nnd_free(key);
        NND_TRY(status);
    }
    return NND_OK;
}

static nnd_status check_data_edge(const scope *s, const wf_edge *e, const wf_node *to,
                                  const char *from)
{
    ports list = {0};
    nnd_status status = ports_of(s, to, false, &list);
    const port *p = find_port(&list, e->to_port);
    if (status == NND_OK && p)
        status = check_types(s, e, from, p);
    else if (status == NND_OK && list.known)
        status = unknown_port(s, e->place, to->id, e->to_port, &list, false);
    const wf_edge *first = first_edge(s, e->to_node, e->to_port);
    if (status == NND_OK && p && !(p->flags & NND_PORT_VARIADIC) && first && first != e)
        status = REPORT(s, e->place, to->id, e->to_port, "second-edge", NULL,
                        "this input has an edge already (from '%s.%s'); only one may feed it",
                        first->from_node, first->from_port);
    nnd_vec_free(&list);
    return status;
}

static nnd_status check_edge(const scope *s, const wf_edge *e)
{
    const char *from = NULL;
    NND_TRY(source_type(s, e->place, e->from_node, e->from_port, &from));
    if (strcmp(e->to_node, "@") == 0)
        return REPORT(s, e->place, "", e->to_port, "edge-to-boundary", NULL,
                      "an edge cannot end at \"@\"; name the port in 'outputs' instead");
    const wf_node *to = nnd_map_get(&s->ids, e->to_node);
    if (!to) return unknown_node(s, e->place, e->to_node);
    return e->is_param ? check_param_edge(s, e, to) : check_data_edge(s, e, to, from);
}

/* A fallback gets the packets of the node that names it and has no edges of its own. */
static nnd_status is_fallback(const scope *s, const wf_node *n, bool *out)
{
    *out = false;
    for (size_t i = 0; i < s->graph->node_count && !*out; i++) {
        const char *text = s->graph->nodes[i].on_error;
        nnd_json_doc *doc = NULL;
        if (!text || !strstr(text, "fallback")) continue;
        nnd_status status = nnd_json_parse(text, strlen(text), NULL, &doc);
        if (status == NND_E_OUT_OF_MEMORY) return status;
        if (status != NND_OK) continue;
        const nnd_json *id = nnd_json_get(nnd_json_root(doc), "fallback");
        *out = strcmp(nnd_json_string(id, ""), n->id) == 0;
        nnd_json_destroy(doc);
    }
    return NND_OK;
}

static nnd_status check_required_inputs(const scope *s, const wf_node *n)
{
    ports list = {0};
    bool fallback = false;
    NND_TRY(is_fallback(s, n, &fallback));
    if (fallback || n->mute || n->bypass) return NND_OK;
    nnd_status status = ports_of(s, n, false, &list);
    for (size_t i = 0; i < list.count && status == NND_OK; i++) {
        bool connected =
            (list.items[i].flags & NND_PORT_OPTIONAL) || first_edge(s, n->id, list.items[i].name);
        if (!connected)
            status =
                REPORT(s, n->place, n->id, list.items[i].name, "unconnected", NULL,
                       "input '%s' (%s) is not connected", list.items[i].name, list.items[i].type);
    }
    nnd_vec_free(&list);
    return status;
}

static nnd_status check_boundary(const scope *s)
{
    const wf_graph *g = s->graph;
    for (size_t i = 0; i < g->input_count; i++)
        if (wf_type_check(g->inputs[i].type, false) != NND_OK)
            NND_TRY(REPORT(s, g->inputs[i].place, "", g->inputs[i].name, "bad-type", NULL,
                           "'%s' is no port type", g->inputs[i].type));
    for (size_t i = 0; i < g->output_count; i++) {
        const char *type = NULL;
        NND_TRY(source_type(s, g->outputs[i].place, g->outputs[i].from_node,
                            g->outputs[i].from_port, &type));
    }
    for (size_t i = 0; i < g->param_count; i++) {
        const wf_promoted *p = &g->params[i];
        const wf_node *n = nnd_map_get(&s->ids, p->to_node);
        if (!n) {
            NND_TRY(unknown_node(s, p->place, p->to_node));
            continue;
        }
        const nnd_node_type *type = nnd_registry_find(s->registry, n->type, n->version);
        if (type && !is_graph_node(n) && !wf_param_find(type, p->to_param))
            NND_TRY(REPORT(s, p->place, n->id, p->to_param, "unknown-param", NULL,
                           "'%s' has no parameter '%s' that could be promoted", n->type,
                           p->to_param));
    }
    return NND_OK;
}

/* ---- cycles ------------------------------------------------------------------------------ */

enum { WHITE = 0, GREY = 1, BLACK = 2 };

/* Whether packets may come back to a node at a later sequence: only flow.delay lets them. A
   sub-graph may hold one; the compiler, which sees through it, decides then. */
static bool breaks_cycles(const wf_node *n)
{
    return is_graph_node(n) || strcmp(n->type, "flow.delay") == 0;
}

static size_t index_of(const scope *s, const char *id)
{
    const wf_node *n = nnd_map_get(&s->ids, id);
    return n ? (size_t)(n - s->graph->nodes) : SIZE_MAX;
}

static nnd_status report_cycle(const scope *s, const size_t *stack, size_t depth, size_t back)
{
    nnd_str names = {0};
    size_t start = 0;
    while (start < depth && stack[start] != back)
        start++;
    for (size_t i = start; i < depth; i++)
        nnd_str_printf(&names, "%s → ", s->graph->nodes[stack[i]].id);
    nnd_str_add(&names, s->graph->nodes[back].id);
    nnd_status status =
        REPORT(s, s->graph->nodes[back].place, s->graph->nodes[back].id, "", "cycle", NULL,
               "the nodes %s form a circle; only a flow.delay may close one",
               names.data ? names.data : "");
    nnd_str_free(&names);
    return status;
}

/* Edges sorted by the node they leave: those of node n are heads[first[n] … first[n + 1]). */
typedef struct adjacency {
    size_t *first;
    size_t *heads; /* index of the node an edge ends at */
} adjacency;

static void fill_adjacency(const scope *s, adjacency *a, size_t *tails)
{
    const wf_graph *g = s->graph;
    for (size_t e = 0; e < g->edge_count; e++) {
        tails[e] = index_of(s, g->edges[e].from_node);
        if (tails[e] != SIZE_MAX && breaks_cycles(&g->nodes[tails[e]])) tails[e] = SIZE_MAX;
        if (index_of(s, g->edges[e].to_node) == SIZE_MAX) tails[e] = SIZE_MAX;
        if (tails[e] != SIZE_MAX) a->first[tails[e] + 1]++;
    }
    for (size_t n = 0; n < g->node_count; n++)
        a->first[n + 1] += a->first[n];
    /* Filling moves each start to its end, which is the next one's start: shifted back after. */
    for (size_t e = 0; e < g->edge_count; e++)
        if (tails[e] != SIZE_MAX) a->heads[a->first[tails[e]]++] = index_of(s, g->edges[e].to_node);
    for (size_t n = g->node_count; n > 0; n--)
        a->first[n] = a->first[n - 1];
    a->first[0] = 0;
}

/* Depth-first without recursion: `next` is the edge that each node on the stack looks at. */
static nnd_status search_cycles(const scope *s, const adjacency *a, uint8_t *color, size_t *stack,
                                size_t *next)
{
    for (size_t root = 0; root < s->graph->node_count; root++) {
        size_t depth = 0;
        if (color[root] != WHITE) continue;
        stack[depth++] = root;
        color[root] = GREY;
        next[root] = a->first[root];
        while (depth) {
            size_t n = stack[depth - 1];
            if (next[n] == a->first[n + 1]) {
                color[n] = BLACK;
                depth--;
                continue;
            }
            size_t to = a->heads[next[n]++];
            if (color[to] == GREY) NND_TRY(report_cycle(s, stack, depth, to));
            if (color[to] != WHITE) continue;
            color[to] = GREY;
            next[to] = a->first[to];
            stack[depth++] = to;
        }
    }
    return NND_OK;
}

static nnd_status check_cycles(const scope *s)
{
    size_t nodes = s->graph->node_count + 1, edges = s->graph->edge_count + 1;
    adjacency a = {nnd_calloc(nodes + 1, sizeof(size_t)), nnd_calloc(edges, sizeof(size_t))};
    size_t *tails = nnd_calloc(edges, sizeof *tails);
    uint8_t *color = nnd_calloc(nodes, 1);
    size_t *stack = nnd_calloc(nodes, sizeof *stack);
    size_t *next = nnd_calloc(nodes, sizeof *next);
    nnd_status status = no_memory();
    if (a.first && a.heads && tails && color && stack && next) {
        fill_adjacency(s, &a, tails);
        status = search_cycles(s, &a, color, stack, next);
    }
    nnd_free(a.first);
    nnd_free(a.heads);
    nnd_free(tails);
    nnd_free(color);
    nnd_free(stack);
    nnd_free(next);
    return status;
}

/* ---- graphs ------------------------------------------------------------------------------ */

static nnd_status check_parts(scope *s)
{
    const wf_graph *g = s->graph;
    for (size_t i = 0; i < g->node_count; i++)
        NND_TRY(nnd_map_put(&s->ids, g->nodes[i].id, &g->nodes[i], NULL));
    NND_TRY(index_edges(s));
    for (size_t i = 0; i < g->node_count; i++)
        NND_TRY(check_node(s, &g->nodes[i]));
    for (size_t i = 0; i < g->edge_count; i++)
        NND_TRY(check_edge(s, &g->edges[i]));
    for (size_t i = 0; i < g->node_count; i++)
        NND_TRY(check_required_inputs(s, &g->nodes[i]));
    NND_TRY(check_boundary(s));
    return check_cycles(s);
}

static nnd_status check_graph(const scope *outer, const wf_graph *graph, const char *prefix,
                              const char *file)
{
    scope s = {outer->registry, outer->diags, graph, prefix, file, {0}, {0}};
    nnd_status status = check_parts(&s);
    nnd_map_fini(&s.ids);
    nnd_map_fini(&s.fed);
    return status;
}

static nnd_status check_plugins(const scope *s, const nnd_workflow *wf)
{
    nnd_json_doc *doc = NULL;
    if (!wf->requires_json) return NND_OK;
    NND_TRY(nnd_json_parse(wf->requires_json, strlen(wf->requires_json), NULL, &doc));
    const nnd_json *plugins = nnd_json_get(nnd_json_root(doc), "plugins");
    nnd_status status = NND_OK;
    for (size_t i = 0; i < nnd_json_count(plugins) && status == NND_OK; i++) {
        const char *name = nnd_json_key_at(plugins, i);
        if (!wf_registry_plugin_version(s->registry, name))
            status = REPORT(s, ((wf_place){0, 0}), "", "", "missing-plugin", NULL,
                            "this workflow needs the plug-in '%s' (%s), which is not loaded", name,
                            nnd_json_string(nnd_json_at(plugins, i), "any version"));
    }
    nnd_json_destroy(doc);
    return status;
}

nnd_status nnd_workflow_validate(const nnd_workflow *wf, nnd_registry *registry,
                                 nnd_diagnostics *diags)
{
    if (!wf || !registry)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_workflow_validate: a workflow and a registry are required");
    nnd_diagnostics *own = NULL;
    if (!diags) NND_TRY(nnd_diagnostics_create(&own));
    scope top = {
        .registry = registry, .diags = diags ? diags : own, .prefix = "", .file = wf->file};
    size_t before = nnd_diagnostics_error_count(top.diags);
    nnd_status status = check_plugins(&top, wf);
    if (status == NND_OK) status = check_graph(&top, &wf->root, "", wf->file);
    if (status == NND_OK && nnd_diagnostics_error_count(top.diags) > before)
        status = NND_E_VALIDATION;
    nnd_diagnostics_destroy(own);
    return status;
}
