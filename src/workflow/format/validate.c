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

/* A port as the checks need it; texts are borrowed from descriptors and the document. */
typedef struct port {
    const char *name;
    const char *type;
    uint32_t flags;
    wf_place place;
} port;
typedef struct ports {
    port *items;
    size_t count, capacity;
    nnd_map index; /* name → port */
    bool known; /* false: they depend on something that is not here (a model, a missing plug-in) */
} ports;

/* One node with what the checks look up again and again. */
typedef struct member {
    const wf_node *node;
    const nnd_node_type *type; /* NULL = unknown */
    ports in, out;
    bool is_fallback; /* gets its packets from the node that names it */
} member;

/* One graph under check. */
typedef struct scope {
    nnd_registry *registry;
    nnd_diagnostics *diags;
    const char *missing;   /* a plug-in that is required and not loaded, NULL = none */
    bool overrides_follow; /* REQUIRED parameters may still get their values */
    const wf_graph *graph;
    const char *prefix; /* "" or "sub" */
    const char *file;
    member *members; /* one per node */
    nnd_map ids;     /* id → member */
    nnd_map inputs;  /* name → wf_input */
    nnd_map fed;     /* "node port" → the first data edge that ends there */
    nnd_map driven;  /* "node param" → what feeds it: an edge or a promotion */
    nnd_str *key;    /* scratch of make_key */
} scope;

enum {
    MAX_CANDIDATES = 1024, /* names that are looked through for a suggestion */
    MAX_LISTED = 16        /* port names in a message */
};

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
    if (wf_diagnostics_full(s->diags)) /* still to be counted */
        return wf_report(s->diags, severity, NND_E_VALIDATION, code, s->file, place, "", "", NULL,
                         "%s", code);
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

/* Offers names until there are enough; nothing at all once the list of problems is full. */
static bool wants_more(const scope *s, size_t offered)
{
    return offered < MAX_CANDIDATES && !wf_diagnostics_full(s->diags);
}

/* ---- ports ------------------------------------------------------------------------------- */

static bool is_graph_node(const wf_node *n)
{
    return n->graph || n->ref;
}

static nnd_status add_port(ports *list, const char *name, const char *type, uint32_t flags,
                           wf_place place)
{
    port p = {name, type, flags, place};
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
        NND_TRY(add_port(list, name, type, NND_PORT_OPTIONAL, n->place));
    }
    return NND_OK;
}

static nnd_status saved_ports(const wf_node *n, bool outputs, ports *list)
{
    const wf_port *items = outputs ? n->out_ports : n->in_ports;
    size_t count = outputs ? n->out_port_count : n->in_port_count;
    list->known = n->has_ports;
    for (size_t i = 0; i < count; i++)
        NND_TRY(add_port(list, items[i].name, items[i].type, NND_PORT_OPTIONAL, items[i].place));
    return NND_OK;
}

static nnd_status declared_ports(const nnd_array *declared, wf_place place, ports *list)
{
    list->known = true;
    for (size_t i = 0; i < declared->count; i++) {
        const nnd_port *p = wf_port_at(declared, i);
        NND_TRY(add_port(list, p->name, p->type, p->flags, place));
    }
    return NND_OK;
}

/* Checks what the file says of ports and makes them findable by name. */
static nnd_status index_ports(const scope *s, const wf_node *n, ports *list)
{
    for (size_t i = 0; i < list->count; i++) {
        port *p = &list->items[i];
        if (wf_type_check(p->type, false) != NND_OK) {
            if (!is_graph_node(n)) /* a graph's own check says it of its inputs */
                NND_TRY(REPORT(s, p->place, n->id, p->name, "bad-type", NULL,
                               "'%.80s' is no port type", p->type));
            p->type = "any";
        }
        if (!nnd_map_get(&list->index, p->name))
            NND_TRY(nnd_map_put(&list->index, p->name, p, NULL));
        else if (!is_graph_node(n))
            NND_TRY(REPORT(s, p->place, n->id, p->name, "duplicate", NULL,
                           "there are two ports named '%s'", p->name));
    }
    return NND_OK;
}

static nnd_status collect_ports(const scope *s, member *m, bool outputs)
{
    ports *list = outputs ? &m->out : &m->in;
    if (is_graph_node(m->node))
        NND_TRY(graph_ports(m->node, outputs, list));
    else if (!m->type || m->type->resolve_ports)
        NND_TRY(saved_ports(m->node, outputs, list));
    else
        NND_TRY(
            declared_ports(outputs ? &m->type->outputs : &m->type->inputs, m->node->place, list));
    return index_ports(s, m->node, list);
}

static void ports_fini(ports *list)
{
    nnd_map_fini(&list->index);
    nnd_vec_free(list);
}

static const char *nearest_port(const scope *s, const ports *list, const char *name)
{
    nnd_suggest near;
    nnd_suggest_begin(&near, name);
    for (size_t i = 0; i < list->count && wants_more(s, i); i++)
        nnd_suggest_offer(&near, list->items[i].name);
    return near.best;
}

static nnd_status unknown_port(const scope *s, wf_place place, const char *id, const char *name,
                               const ports *list, bool output)
{
    nnd_str names = {0};
    for (size_t i = 0; i < list->count && i < MAX_LISTED; i++)
        nnd_str_printf(&names, "%s'%s'", i ? ", " : "", list->items[i].name);
    nnd_status status =
        REPORT(s, place, id, name, "unknown-port", nearest_port(s, list, name),
               "there is no %s '%s'; there %s %s%s", output ? "output" : "input", name,
               list->count == 1 ? "is" : "are", names.data ? names.data : "none",
               list->count > MAX_LISTED ? ", …" : "");
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
    for (size_t i = 0; i < nnd_registry_count(s->registry) && wants_more(s, i); i++)
        nnd_suggest_offer(&near, nnd_registry_at(s->registry, i)->type);
    if (s->missing)
        return REPORT(s, n->place, n->id, "", "unknown-type", near.best,
                      "node type '%s' is not known here; the plug-in '%s', which the workflow "
                      "requires, is not loaded",
                      n->type, s->missing);
    return REPORT(
        s, n->place, n->id, "", "unknown-type", near.best,
        "node type '%s' is not known here: a plug-in that brings it is not loaded, or the "
        "name is wrong",
        n->type);
}

static nnd_status unknown_node(const scope *s, wf_place place, const char *id)
{
    nnd_suggest near;
    nnd_suggest_begin(&near, id);
    for (size_t i = 0; i < s->graph->node_count && wants_more(s, i); i++)
        nnd_suggest_offer(&near, s->graph->nodes[i].id);
    return REPORT(s, place, "", "", "unknown-node", near.best, "there is no node '%s'", id);
}

static nnd_status unknown_input(const scope *s, wf_place place, const char *id, const char *name)
{
    nnd_suggest near;
    nnd_suggest_begin(&near, name);
    for (size_t i = 0; i < s->graph->input_count && wants_more(s, i); i++)
        nnd_suggest_offer(&near, s->graph->inputs[i].name);
    return REPORT(s, place, id, name, "unknown-input", near.best, "the %s has no input '%s'",
                  s->prefix[0] ? "sub-graph" : "workflow", name);
}

static nnd_status static_param(const scope *s, wf_place place, const char *id, const char *name)
{
    return REPORT(s, place, id, name, "static-param", NULL,
                  "parameter '%s' is fixed when the workflow is compiled; an edge or input cannot "
                  "feed it",
                  name);
}

static bool has_promoted(const wf_graph *g, const char *name)
{
    for (size_t i = 0; i < g->param_count; i++)
        if (strcmp(g->params[i].name, name) == 0) return true;
    return false;
}

/* Values of a sub-graph node belong to its promoted parameters (or to flow.map and flow.loop). */
static nnd_status check_promoted_values(const scope *s, const wf_node *n, const nnd_node_type *type)
{
    nnd_map promoted = {0};
    nnd_status status = NND_OK;
    for (size_t k = 0; n->graph && k < n->graph->param_count && status == NND_OK; k++)
        status = nnd_map_put(&promoted, n->graph->params[k].name, &n->graph->params[k], NULL);
    for (size_t i = 0; n->graph && i < n->params.count && status == NND_OK; i++) {
        const wf_field *f = &n->params.items[i];
        nnd_suggest near;
        if ((type && wf_param_find(type, f->name)) || nnd_map_get(&promoted, f->name)) continue;
        nnd_suggest_begin(&near, f->name);
        for (size_t k = 0; k < n->graph->param_count && wants_more(s, k); k++)
            nnd_suggest_offer(&near, n->graph->params[k].name);
        status = REPORT(s, f->place, n->id, f->name, "unknown-param", near.best,
                        "the sub-graph promotes no parameter '%s'", f->name);
    }
    nnd_map_fini(&promoted);
    return status;
}

/* Maps from two names to something: a blank separates them, ids have none. The buffer for keys
   grows only while a map is filled; a key that does not fit is in no map. */
static bool make_key(const scope *s, const char *node, const char *name, bool grow)
{
    size_t size = strlen(node) + strlen(name) + 2;
    if (!grow && size > s->key->capacity) return false;
    nnd_str_clear(s->key);
    nnd_str_add(s->key, node);
    nnd_str_add_char(s->key, ' ');
    nnd_str_add(s->key, name);
    return !s->key->failed;
}

static void *get_pair(const scope *s, const nnd_map *map, const char *node, const char *name)
{
    return make_key(s, node, name, false) ? nnd_map_get(map, s->key->data) : NULL;
}

/* Keeps what is there already. */
static nnd_status put_pair(const scope *s, nnd_map *map, const char *node, const char *name,
                           void *value)
{
    if (!make_key(s, node, name, true)) return no_memory();
    return nnd_map_get(map, s->key->data) ? NND_OK : nnd_map_put(map, s->key->data, value, NULL);
}

/* Of a type's own parameters those that the file gives, and a stand-in for each REQUIRED one that
   an edge or a promotion feeds. A sub-graph's promoted ones are not the type's. */
static nnd_status params_to_check(const scope *s, const wf_node *n, const nnd_node_type *type,
                                  wf_fields *given)
{
    static const char fed[] = "{\"$input\":\"\"}";
    for (size_t i = 0; i < n->params.count; i++) {
        wf_field *f = &n->params.items[i];
        if (is_graph_node(n) && !wf_param_find(type, f->name)) continue;
        if (!nnd_vec_push(given, *f)) return no_memory();
    }
    for (size_t i = 0; i < type->params.count; i++) {
        const nnd_param *p = wf_param_at(&type->params, i);
        if (!(p->flags & NND_PARAM_REQUIRED) || wf_fields_get(&n->params, p->name)) continue;
        if (!s->overrides_follow && !get_pair(s, &s->driven, n->id, p->name)) continue;
        /* Borrowed texts: the list is only read. */
        wf_field f = {(char *)(uintptr_t)p->name, (char *)(uintptr_t)fed, n->place};
        if (!nnd_vec_push(given, f)) return no_memory();
    }
    return NND_OK;
}

/* {"$input": "x"}: x must be there, and the parameter one that may change and is fed only once. */
static nnd_status check_input_value(const scope *s, const wf_node *n, const nnd_node_type *type,
                                    const wf_field *f)
{
    bool is_ref = false;
    char *input = NULL;
    NND_TRY(wf_param_input_ref(f->json, &is_ref, &input));
    if (!is_ref) return NND_OK;
    const nnd_param *p = type ? wf_param_find(type, f->name) : NULL;
    nnd_status status = NND_OK;
    if (!nnd_map_get(&s->inputs, input)) status = unknown_input(s, f->place, n->id, input);
    if (status == NND_OK && p && (p->flags & NND_PARAM_STATIC))
        status = static_param(s, f->place, n->id, f->name);
    const wf_edge *edge = get_pair(s, &s->driven, n->id, f->name);
    if (status == NND_OK && edge)
        status = REPORT(s, f->place, n->id, f->name, "second-edge", NULL,
                        "parameter '%s' takes its value from an input and from an edge", f->name);
    nnd_free(input);
    return status;
}

static nnd_status check_input_values(const scope *s, const wf_node *n, const nnd_node_type *type)
{
    for (size_t i = 0; i < n->params.count; i++)
        NND_TRY(check_input_value(s, n, type, &n->params.items[i]));
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
                                   .place = n->place,
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

static nnd_status check_sub_graph(const scope *s, const member *m)
{
    const wf_node *n = m->node;
    NND_TRY(check_promoted_values(s, n, m->type));
    if (m->type) NND_TRY(check_params(s, n, m->type));
    if (!n->graph)
        return report(s, NND_SEVERITY_WARNING, n->place, n->id, "", "ref-not-loaded", NULL,
                      "sub-graph '%s' was not loaded, so it is not checked", n->ref);
    char *path = path_of(s, n->id);
    if (!path) return no_memory();
    nnd_status status = check_graph(s, n->graph, path, n->graph->file ? n->graph->file : s->file);
    nnd_free(path);
    return status;
}

/* What a node does when it fails; another node that stands in gets its packets from there. */
static nnd_status check_on_error(const scope *s, const member *m, const nnd_json *given)
{
    static const char *const words[] = {"fail_graph", "skip", "isolate", "restart"};
    const wf_node *n = m->node;
    const char *word = nnd_json_string(given, "");
    const char *other = nnd_json_string(nnd_json_get(given, "fallback"), NULL);
    int64_t count = 0;
    for (size_t i = 0; i < NND_COUNT(words); i++)
        if (strcmp(word, words[i]) == 0) return NND_OK;
    if (nnd_json_get(given, "restart")) return NND_OK;
    if (nnd_json_int(nnd_json_get(given, "retry"), &count) && count >= 0 && count <= 1000000)
        return NND_OK;
    if (!other)
        return REPORT(s, n->place, n->id, "on_error", "bad-on-error", NULL,
                      "'on_error' is \"fail_graph\", \"skip\", \"isolate\", \"restart\", "
                      "{\"retry\": n} or {\"fallback\": \"node\"}");
    member *to = nnd_map_get(&s->ids, other);
    if (!to) return unknown_node(s, n->place, other);
    if (to == m)
        return REPORT(s, n->place, n->id, "on_error", "bad-on-error", NULL,
                      "a node cannot be its own fallback");
    to->is_fallback = true;
    return NND_OK;
}

/* Runs synchronise inputs by sequence number; the file may say so. */
static nnd_status check_input_policy(const scope *s, const wf_node *n)
{
    if (!n->input_policy || strcmp(n->input_policy, "\"sync\"") == 0) return NND_OK;
    return REPORT(s, n->place, n->id, "input_policy", "unsupported-input-policy", "sync",
                  "input_policy %.100s is not available in this version", n->input_policy);
}

static nnd_status check_settings(const scope *s, const member *m)
{
    nnd_json_doc *doc = NULL;
    NND_TRY(check_input_policy(s, m->node));
    if (!m->node->on_error) return NND_OK;
    NND_TRY(nnd_json_parse(m->node->on_error, strlen(m->node->on_error), NULL, &doc));
    nnd_status status = check_on_error(s, m, nnd_json_root(doc));
    nnd_json_destroy(doc);
    return status;
}

static nnd_status check_loop_fields(const scope *s, const wf_node *n)
{
    bool is_loop = strcmp(n->type, "flow.loop") == 0;
    const char *field = n->carry_count ? "carry" : n->count ? "count" : n->until ? "until" : NULL;
    if (is_loop || !field) return NND_OK;
    return REPORT(s, n->place, n->id, "", "unexpected-field", NULL,
                  "'%s' belongs to nodes of type flow.loop", field);
}

static nnd_status check_node(const scope *s, const member *m)
{
    static const char *const graph_types[] = {"flow.graph", "flow.map", "flow.loop"};
    const wf_node *n = m->node;
    bool wants_graph = false;
    for (size_t i = 0; i < NND_COUNT(graph_types); i++)
        wants_graph = wants_graph || strcmp(n->type, graph_types[i]) == 0;
    if (!m->type) NND_TRY(unknown_type(s, n));
    NND_TRY(check_settings(s, m));
    NND_TRY(check_input_values(s, n, m->type));
    if (m->type) NND_TRY(check_loop_fields(s, n));
    if (wants_graph && !is_graph_node(n))
        return REPORT(s, n->place, n->id, "", "missing-graph", NULL,
                      "a node of type '%s' needs a 'graph' or a 'ref'", n->type);
    if (!wants_graph && m->type && is_graph_node(n))
        return REPORT(s, n->place, n->id, "", "unexpected-graph", NULL,
                      "nodes of type '%s' have no sub-graph; use flow.graph, flow.map or flow.loop",
                      n->type);
    if (is_graph_node(n)) return check_sub_graph(s, m);
    return m->type ? check_params(s, n, m->type) : NND_OK;
}

/* ---- ends of edges ----------------------------------------------------------------------- */

/* Where an edge or an output comes from: its type (NULL = not known), all problems reported. */
static nnd_status source_type(const scope *s, wf_place place, const char *node, const char *name,
                              const char **type)
{
    *type = NULL;
    if (strcmp(node, "@") == 0) {
        const wf_input *input = nnd_map_get(&s->inputs, name);
        if (!input) return unknown_input(s, place, "", name);
        if (wf_type_check(input->type, false) == NND_OK) *type = input->type;
        nnd_error_clear();
        return NND_OK;
    }
    const member *m = nnd_map_get(&s->ids, node);
    if (!m) return unknown_node(s, place, node);
    const port *p = nnd_map_get(&m->out.index, name);
    if (!p && m->out.known) return unknown_port(s, place, node, name, &m->out, true);
    if (p && !wf_type_has_variables(p->type)) *type = p->type;
    return NND_OK;
}

static nnd_status check_param_edge(const scope *s, const wf_edge *e, const member *to)
{
    if (!to->type) return NND_OK;
    const nnd_param *p = wf_param_find(to->type, e->to_port);
    bool promoted = to->node->graph && has_promoted(to->node->graph, e->to_port);
    if (!p && !promoted && (to->node->graph || !to->node->ref))
        return REPORT(s, e->place, e->to_node, e->to_port, "unknown-param", NULL,
                      "'%s' has no parameter '%s' that an edge could feed", to->node->type,
                      e->to_port);
    if (p && (p->flags & NND_PARAM_STATIC))
        return static_param(s, e->place, e->to_node, e->to_port);
    if (get_pair(s, &s->driven, e->to_node, e->to_port) == (const void *)e) return NND_OK;
    return REPORT(s, e->place, e->to_node, e->to_port, "second-edge", NULL,
                  "parameter '%s' is fed already; only one edge may feed it", e->to_port);
}

static nnd_status check_types(const scope *s, const wf_edge *e, const char *from, const port *to)
{
    wf_bindings bindings = {0};
    wf_match match = WF_MATCH_RUN;
    if (!from || wf_type_has_variables(from) || wf_type_has_variables(to->type)) return NND_OK;
    nnd_status status = wf_type_match(to->type, from, &bindings, &match);
    wf_bindings_fini(&bindings);
    NND_TRY(status);
    if (match != WF_MATCH_NO) return NND_OK;
    return REPORT(s, e->place, e->to_node, e->to_port, "type-mismatch", NULL,
                  "wants %s, but '%s.%s' gives %s", to->type, e->from_node, e->from_port, from);
}

static nnd_status check_data_edge(const scope *s, const wf_edge *e, const member *to,
                                  const char *from)
{
    const port *p = nnd_map_get(&to->in.index, e->to_port);
    if (p)
        NND_TRY(check_types(s, e, from, p));
    else if (to->in.known)
        NND_TRY(unknown_port(s, e->place, e->to_node, e->to_port, &to->in, false));
    const wf_edge *first = get_pair(s, &s->fed, e->to_node, e->to_port);
    if (!p || (p->flags & NND_PORT_VARIADIC) || !first || first == e) return NND_OK;
    return REPORT(s, e->place, e->to_node, e->to_port, "second-edge", NULL,
                  "this input has an edge already (from '%s.%s'); only one may feed it",
                  first->from_node, first->from_port);
}

static nnd_status check_edge(const scope *s, const wf_edge *e)
{
    const char *from = NULL;
    NND_TRY(source_type(s, e->place, e->from_node, e->from_port, &from));
    if (strcmp(e->to_node, "@") == 0)
        return REPORT(s, e->place, "", e->to_port, "edge-to-boundary", NULL,
                      "an edge cannot end at \"@\"; name the port in 'outputs' instead");
    const member *to = nnd_map_get(&s->ids, e->to_node);
    if (!to) return unknown_node(s, e->place, e->to_node);
    return e->is_param ? check_param_edge(s, e, to) : check_data_edge(s, e, to, from);
}

static nnd_status check_required_inputs(const scope *s, const member *m)
{
    for (size_t i = 0; i < m->in.count && !m->is_fallback; i++) {
        const port *p = &m->in.items[i];
        if ((p->flags & NND_PORT_OPTIONAL) || get_pair(s, &s->fed, m->node->id, p->name)) continue;
        NND_TRY(REPORT(s, m->node->place, m->node->id, p->name, "unconnected", NULL,
                       "input '%s' (%s) is not connected", p->name, p->type));
    }
    return NND_OK;
}

/* ---- boundary ---------------------------------------------------------------------------- */

static nnd_status check_inputs(const scope *s)
{
    for (size_t i = 0; i < s->graph->input_count; i++) {
        const wf_input *in = &s->graph->inputs[i];
        if (wf_type_check(in->type, false) != NND_OK)
            NND_TRY(REPORT(s, in->place, "", in->name, "bad-type", NULL, "'%.80s' is no port type",
                           in->type));
        else if (wf_type_check(in->type, true) != NND_OK)
            NND_TRY(report(s, NND_SEVERITY_WARNING, in->place, "", in->name, "unknown-value-type",
                           NULL, "'%s' names a type of value that is not known here", in->type));
    }
    nnd_error_clear();
    return NND_OK;
}

static nnd_status check_promoted(const scope *s, const wf_promoted *p)
{
    const member *m = nnd_map_get(&s->ids, p->to_node);
    if (!m) return unknown_node(s, p->place, p->to_node);
    const wf_graph *inner = m->node->graph;
    if (!m->type || (m->node->ref && !inner) || wf_param_find(m->type, p->to_param) ||
        (inner && has_promoted(inner, p->to_param)))
        return NND_OK;
    return REPORT(s, p->place, m->node->id, p->to_param, "unknown-param", NULL,
                  "'%s' has no parameter '%s' that could be promoted", m->node->type, p->to_param);
}

static nnd_status check_boundary(const scope *s)
{
    const wf_graph *g = s->graph;
    NND_TRY(check_inputs(s));
    for (size_t i = 0; i < g->output_count; i++) {
        const char *type = NULL;
        NND_TRY(source_type(s, g->outputs[i].place, g->outputs[i].from_node,
                            g->outputs[i].from_port, &type));
    }
    for (size_t i = 0; i < g->param_count; i++)
        NND_TRY(check_promoted(s, &g->params[i]));
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
    const member *m = nnd_map_get(&s->ids, id);
    return m ? (size_t)(m - s->members) : SIZE_MAX;
}

static nnd_status report_cycle(const scope *s, const size_t *stack, size_t depth, size_t back)
{
    if (wf_diagnostics_full(s->diags)) return NND_OK;
    nnd_str names = {0};
    size_t start = 0;
    while (start < depth && stack[start] != back)
        start++;
    for (size_t i = start; i < depth && i < start + MAX_LISTED; i++)
        nnd_str_printf(&names, "%s → ", s->graph->nodes[stack[i]].id);
    if (depth - start > MAX_LISTED) nnd_str_add(&names, "… → ");
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
    nnd_status status;
    if (a.first && a.heads && tails && color && stack && next) {
        fill_adjacency(s, &a, tails);
        status = search_cycles(s, &a, color, stack, next);
    } else {
        status = no_memory();
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

static nnd_status index_nodes(scope *s)
{
    const wf_graph *g = s->graph;
    s->members = nnd_calloc(g->node_count + 1, sizeof *s->members);
    if (!s->members) return no_memory();
    for (size_t i = 0; i < g->node_count; i++) {
        member *m = &s->members[i];
        m->node = &g->nodes[i];
        m->type = nnd_registry_find(s->registry, m->node->type, m->node->version);
        NND_TRY(nnd_map_put(&s->ids, m->node->id, m, NULL));
        NND_TRY(collect_ports(s, m, false));
        NND_TRY(collect_ports(s, m, true));
    }
    nnd_error_clear();
    for (size_t i = 0; i < g->input_count; i++)
        NND_TRY(nnd_map_put(&s->inputs, g->inputs[i].name, &g->inputs[i], NULL));
    return NND_OK;
}

static nnd_status index_edges(scope *s)
{
    for (size_t i = 0; i < s->graph->edge_count; i++) {
        wf_edge *e = &s->graph->edges[i];
        NND_TRY(put_pair(s, e->is_param ? &s->driven : &s->fed, e->to_node, e->to_port, e));
    }
    for (size_t i = 0; i < s->graph->param_count; i++) {
        wf_promoted *p = &s->graph->params[i];
        NND_TRY(put_pair(s, &s->driven, p->to_node, p->to_param, p));
    }
    return NND_OK;
}

static nnd_status check_parts(scope *s)
{
    const wf_graph *g = s->graph;
    NND_TRY(index_nodes(s));
    NND_TRY(index_edges(s));
    for (size_t i = 0; i < g->node_count; i++)
        NND_TRY(check_node(s, &s->members[i]));
    for (size_t i = 0; i < g->edge_count; i++)
        NND_TRY(check_edge(s, &g->edges[i]));
    for (size_t i = 0; i < g->node_count; i++)
        NND_TRY(check_required_inputs(s, &s->members[i]));
    NND_TRY(check_boundary(s));
    return check_cycles(s);
}

static nnd_status check_plugins(scope *s, const char *requires_json, nnd_json_doc **doc);

static nnd_status check_graph(const scope *outer, const wf_graph *graph, const char *prefix,
                              const char *file)
{
    scope s = {.registry = outer->registry,
               .overrides_follow = outer->overrides_follow,
               .diags = outer->diags,
               .missing = outer->missing,
               .graph = graph,
               .prefix = prefix,
               .file = file};
    nnd_str key = {0};
    s.key = &key;
    nnd_json_doc *requires = NULL; /* keeps s.missing alive */
    nnd_status status = check_plugins(&s, graph->requires_json, &requires);
    if (status == NND_OK) status = check_parts(&s);
    for (size_t i = 0; s.members && i < graph->node_count; i++) {
        ports_fini(&s.members[i].in);
        ports_fini(&s.members[i].out);
    }
    nnd_free(s.members);
    nnd_map_fini(&s.ids);
    nnd_map_fini(&s.inputs);
    nnd_map_fini(&s.fed);
    nnd_map_fini(&s.driven);
    nnd_str_free(&key);
    nnd_json_destroy(requires);
    return status;
}

/* Plug-ins that a file asks for. The first one that is missing goes to s->missing, borrowed from
 *doc. */
static nnd_status check_plugins(scope *s, const char *requires_json, nnd_json_doc **doc)
{
    if (!requires_json) return NND_OK;
    NND_TRY(nnd_json_parse(requires_json, strlen(requires_json), NULL, doc));
    const nnd_json *plugins = nnd_json_get(nnd_json_root(*doc), "plugins");
    for (size_t i = 0; i < nnd_json_count(plugins); i++) {
        const char *name = nnd_json_key_at(plugins, i);
        const char *range = nnd_json_string(nnd_json_at(plugins, i), "");
        const char *loaded = wf_registry_plugin_version(s->registry, name);
        bool valid = false;
        if (!loaded && !s->missing) s->missing = name;
        if (!loaded)
            NND_TRY(REPORT(s, ((wf_place){0, 0}), "", "", "missing-plugin", NULL,
                           "this workflow needs the plug-in '%s' (%s), which is not loaded", name,
                           range[0] ? range : "any version"));
        else if (!wf_version_satisfies(loaded, range, &valid))
            NND_TRY(REPORT(s, ((wf_place){0, 0}), "", "", "plugin-version", NULL,
                           "this workflow wants plug-in '%s' %s; %s is loaded", name, range,
                           loaded));
    }
    return NND_OK;
}

nnd_status nnd_workflow_validate(const nnd_workflow *wf, nnd_registry *registry,
                                 nnd_diagnostics *diags)
{
    return wf_validate(wf, registry, false, diags);
}

nnd_status wf_validate(const nnd_workflow *wf, nnd_registry *registry, bool overrides_follow,
                       nnd_diagnostics *diags)
{
    if (!wf || !registry)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_workflow_validate: a workflow and a registry are required");
    nnd_diagnostics *own = NULL;
    nnd_json_doc *requires = NULL;
    if (!diags) NND_TRY(nnd_diagnostics_create(&own));
    scope top = {.registry = registry,
                 .diags = diags ? diags : own,
                 .overrides_follow = overrides_follow,
                 .prefix = "",
                 .file = wf->file};
    size_t listed = nnd_diagnostics_count(top.diags);
    size_t before = nnd_diagnostics_error_count(top.diags);
    nnd_status status = check_plugins(&top, wf->requires_json, &requires);
    if (status == NND_OK) status = check_graph(&top, &wf->root, "", wf->file);
    if (status == NND_OK && nnd_diagnostics_error_count(top.diags) > before)
        status = wf_diagnostics_fail(top.diags, listed);
    nnd_json_destroy(requires);
    nnd_diagnostics_destroy(own);
    return status;
}
