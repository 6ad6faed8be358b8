/* Building and editing a document by API. Each call leaves the document as it was when it fails. */
#include "workflow/format/parse.h"

#include "base/str.h"

#include <string.h>

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a workflow");
}

static nnd_status no_node(const char *path)
{
    return nnd_error_set(NND_E_NOT_FOUND, "the workflow has no node '%s'", path ? path : "");
}

/* Names go into a file: they must be text. */
static nnd_status check_text(const char *what, const char *text)
{
    if (nnd_utf8_valid(text, strlen(text))) return NND_OK;
    return nnd_error_set(NND_E_INVALID_ARGUMENT, "a %s must be valid UTF-8", what);
}

/* Arrays of documents have no capacity of their own: they grow by one. */
static void *grow(void *items, size_t count, size_t size)
{
    return nnd_realloc(items, (count + 1) * size);
}

/* The graph that holds the node at `path`, and the node's own id. */
static nnd_status graph_of(nnd_workflow *wf, const char *path, wf_graph **graph, const char **id)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    *graph = &wf->root;
    *id = slash ? slash + 1 : path;
    if (!path || !path[0]) return no_node(path);
    if (!slash) return NND_OK;
    char *outer = nnd_strdup_n(path, (size_t)(slash - path));
    if (!outer) return no_memory();
    wf_node *node = wf_document_find(wf, outer);
    nnd_status status = NND_OK;
    if (!node || !node->graph || node->ref)
        status = nnd_error_set(NND_E_NOT_FOUND,
                               "the workflow has no node '%s' with an embedded graph", outer);
    else
        *graph = node->graph;
    nnd_free(outer);
    return status;
}

nnd_status nnd_workflow_add_input(nnd_workflow *wf, const char *name, const char *type)
{
    wf_graph *g = &wf->root;
    if (!name || !name[0]) return nnd_error_set(NND_E_INVALID_ARGUMENT, "an input needs a name");
    NND_TRY(check_text("name", name));
    NND_TRY(check_text("type", type ? type : ""));
    for (size_t i = 0; i < g->input_count; i++)
        if (strcmp(g->inputs[i].name, name) == 0)
            return nnd_error_set(NND_E_EXISTS, "the workflow has an input '%s' already", name);
    wf_input *items = grow(g->inputs, g->input_count, sizeof *items);
    if (!items) return no_memory();
    g->inputs = items;
    wf_input input = {.name = nnd_strdup(name), .type = nnd_strdup(type ? type : "any")};
    if (!input.name || !input.type) {
        nnd_free(input.name);
        nnd_free(input.type);
        return no_memory();
    }
    items[g->input_count++] = input;
    return NND_OK;
}

nnd_status nnd_workflow_add_output(nnd_workflow *wf, const char *name, const char *node,
                                   const char *port)
{
    wf_graph *g = &wf->root;
    if (!name || !name[0] || !node || !port)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "an output needs a name, a node and a port");
    NND_TRY(check_text("name", name));
    NND_TRY(check_text("port", port));
    for (size_t i = 0; i < g->output_count; i++)
        if (strcmp(g->outputs[i].name, name) == 0)
            return nnd_error_set(NND_E_EXISTS, "the workflow has an output '%s' already", name);
    if (strcmp(node, "@") != 0 && !wf_graph_find(g, node)) return no_node(node);
    wf_output *items = grow(g->outputs, g->output_count, sizeof *items);
    if (!items) return no_memory();
    g->outputs = items;
    wf_output output = {
        .name = nnd_strdup(name), .from_node = nnd_strdup(node), .from_port = nnd_strdup(port)};
    if (!output.name || !output.from_node || !output.from_port) {
        nnd_free(output.name);
        nnd_free(output.from_node);
        nnd_free(output.from_port);
        return no_memory();
    }
    items[g->output_count++] = output;
    return NND_OK;
}

static nnd_status split_type(const char *text, wf_node *node)
{
    size_t name_size = 0;
    NND_TRY(check_text("node type", text));
    if (!wf_type_split(text, &name_size, &node->version))
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "'%s' is no node type; write \"image.resize\" or, with a version "
                             "from 1, \"image.resize@1\"",
                             text);
    node->type = nnd_strdup_n(text, name_size);
    return node->type ? NND_OK : no_memory();
}

nnd_status nnd_workflow_add_node(nnd_workflow *wf, const char *path, const char *type)
{
    wf_graph *g = NULL;
    const char *id = NULL;
    if (!path || !type)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "a node needs an id and a type");
    NND_TRY(graph_of(wf, path, &g, &id));
    if (!wf_id_is_valid(id))
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "node id '%s': letters, digits, '_' and '-', not beginning with a "
                             "digit or '-', at most 64",
                             id);
    if (wf_graph_find(g, id))
        return nnd_error_set(NND_E_EXISTS, "the workflow has a node '%s' already", path);
    wf_node *items = grow(g->nodes, g->node_count, sizeof *items);
    if (!items) return no_memory();
    g->nodes = items;
    wf_node node = {.id = nnd_strdup(id)};
    nnd_status status = node.id ? split_type(type, &node) : no_memory();
    if (status != NND_OK) {
        wf_node_fini(&node);
        return status;
    }
    items[g->node_count++] = node;
    return NND_OK;
}

static void remove_edges_of(wf_graph *g, const char *id)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->edge_count; i++) {
        if (strcmp(g->edges[i].from_node, id) == 0 || strcmp(g->edges[i].to_node, id) == 0)
            wf_edge_fini(&g->edges[i]);
        else
            g->edges[kept++] = g->edges[i];
    }
    g->edge_count = kept;
}

static void remove_outputs_of(wf_graph *g, const char *id)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->output_count; i++) {
        if (strcmp(g->outputs[i].from_node, id) == 0)
            wf_output_fini(&g->outputs[i]);
        else
            g->outputs[kept++] = g->outputs[i];
    }
    g->output_count = kept;
}

static void remove_promoted_of(wf_graph *g, const char *id)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->param_count; i++) {
        if (strcmp(g->params[i].to_node, id) == 0)
            wf_promoted_fini(&g->params[i]);
        else
            g->params[kept++] = g->params[i];
    }
    g->param_count = kept;
}

nnd_status nnd_workflow_remove_node(nnd_workflow *wf, const char *path)
{
    wf_graph *g = NULL;
    const char *id = NULL;
    NND_TRY(graph_of(wf, path, &g, &id));
    wf_node *node = wf_graph_find(g, id);
    if (!node) return no_node(path);
    remove_edges_of(g, id);
    remove_outputs_of(g, id);
    remove_promoted_of(g, id);
    size_t index = (size_t)(node - g->nodes);
    wf_node_fini(node);
    memmove(node, node + 1, (g->node_count - index - 1) * sizeof *node);
    g->node_count--;
    return NND_OK;
}

nnd_status nnd_workflow_set_param(nnd_workflow *wf, const char *path, const char *param,
                                  const char *json)
{
    wf_node *node = path ? wf_document_find(wf, path) : NULL;
    if (!node) return no_node(path);
    if (!param || !param[0])
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "node '%s': a parameter needs a name", path);
    NND_TRY(check_text("name", param));
    if (!json) {
        wf_fields_remove(&node->params, param);
        return NND_OK;
    }
    char *text = NULL;
    nnd_status status = wf_json_canonical(json, &text);
    if (status == NND_E_OUT_OF_MEMORY) return status;
    if (status != NND_OK)
        return nnd_error_wrap(NND_E_FORMAT,
                              "node '%s', parameter '%s': the value is not JSON "
                              "(texts need double quotes)",
                              path, param);
    status = wf_fields_set(&node->params, param, text, (wf_place){0, 0});
    nnd_free(text);
    return status;
}

static const char *const field_names[] = {
    "title", "device", "on_error", "input_policy", "deadline_ms", "bypass", "mute",
    "ports", "graph",  "ref",      "carry",        "count",       "until"};

static bool is_field(const char *name)
{
    for (size_t i = 0; i < NND_COUNT(field_names); i++)
        if (strcmp(name, field_names[i]) == 0) return true;
    return strncmp(name, "x-", 2) == 0;
}

static void swap_text(char **a, char **b)
{
    char *t = *a;
    *a = *b;
    *b = t;
}

static void swap_ports(wf_node *a, wf_node *b)
{
    wf_node t = *a;
    a->has_ports = b->has_ports;
    a->in_ports = b->in_ports;
    a->out_ports = b->out_ports;
    a->in_port_count = b->in_port_count;
    a->out_port_count = b->out_port_count;
    a->ports_extra = b->ports_extra;
    b->has_ports = t.has_ports;
    b->in_ports = t.in_ports;
    b->out_ports = t.out_ports;
    b->in_port_count = t.in_port_count;
    b->out_port_count = t.out_port_count;
    b->ports_extra = t.ports_extra;
}

static void swap_graph(wf_node *a, wf_node *b)
{
    wf_graph *t = a->graph;
    a->graph = b->graph;
    b->graph = t;
}

static void swap_carry(wf_node *a, wf_node *b)
{
    wf_node t = *a;
    a->carry = b->carry;
    a->carry_count = b->carry_count;
    b->carry = t.carry;
    b->carry_count = t.carry_count;
}

/* Moves one field from `fresh` to `node`, and the old one back, so that freeing `fresh` is all that
   is left to do. */
static void swap_field(wf_node *node, wf_node *fresh, const char *field)
{
    const struct {
        const char *name;
        char **a, **b;
    } texts[] = {
        {"title", &node->title, &fresh->title},
        {"device", &node->device, &fresh->device},
        {"on_error", &node->on_error, &fresh->on_error},
        {"input_policy", &node->input_policy, &fresh->input_policy},
        {"ref", &node->ref, &fresh->ref},
        {"count", &node->count, &fresh->count},
        {"until", &node->until, &fresh->until},
    };
    for (size_t i = 0; i < NND_COUNT(texts); i++)
        if (strcmp(field, texts[i].name) == 0) swap_text(texts[i].a, texts[i].b);
    if (strcmp(field, "deadline_ms") == 0) node->deadline_ms = fresh->deadline_ms;
    if (strcmp(field, "bypass") == 0) node->bypass = fresh->bypass;
    if (strcmp(field, "mute") == 0) node->mute = fresh->mute;
    if (strcmp(field, "ports") == 0) swap_ports(node, fresh);
    if (strcmp(field, "carry") == 0) swap_carry(node, fresh);
    /* A graph is embedded or in a file, so one replaces the other. */
    if (strcmp(field, "graph") == 0) {
        swap_graph(node, fresh);
        swap_text(&node->ref, &fresh->ref);
    }
    if (strcmp(field, "ref") == 0) swap_graph(node, fresh);
}

/* Reads the field as the parser would, into a node of its own. */
static nnd_status read_field(const nnd_json *object, const char *path, wf_node *fresh)
{
    wf_budget budget = {0};
    nnd_diagnostics *diags = NULL;
    NND_TRY(nnd_diagnostics_create(&diags));
    wf_reader r = {.diags = diags, .prefix = "", .budget = &budget};
    nnd_status status = wf_read_node_member(&r, object, 0, path, fresh);
    if (status == NND_OK && r.errors) {
        status = wf_diagnostics_fail(diags, 0);
        nnd_error_set_place(NULL, 0, 0);
    }
    nnd_diagnostics_destroy(diags);
    return status;
}

static nnd_status apply_field(wf_node *node, const char *path, const char *field,
                              const nnd_json *object)
{
    wf_node fresh = {0};
    nnd_status status = NND_OK;
    bool removes = nnd_json_get_type(nnd_json_at(object, 0)) == NND_JSON_NULL;
    bool extra = strncmp(field, "x-", 2) == 0;
    if (!removes) status = read_field(object, path, &fresh);
    if (status == NND_OK && extra && removes)
        wf_fields_remove(&node->extra, field);
    else if (status == NND_OK && extra)
        status = wf_fields_set(&node->extra, field, wf_fields_get(&fresh.extra, field),
                               (wf_place){0, 0});
    else if (status == NND_OK)
        swap_field(node, &fresh, field);
    wf_node_fini(&fresh);
    return status;
}

/* The text {"field": value}, parsed. */
static nnd_status parse_field(const char *field, const char *json, nnd_json_doc **out)
{
    nnd_json_doc *value = NULL;
    nnd_json_writer *w = NULL;
    char *text = NULL;
    NND_TRY(nnd_json_parse(json, strlen(json), NULL, &value));
    nnd_status status = nnd_json_writer_create(0, &w);
    if (status == NND_OK) {
        nnd_json_begin_object(w);
        nnd_json_key(w, field);
        nnd_json_put_json(w, nnd_json_root(value));
        nnd_json_end_object(w);
        status = nnd_json_writer_take(w, &text, NULL);
    }
    if (status == NND_OK) status = nnd_json_parse(text, strlen(text), NULL, out);
    nnd_json_writer_destroy(w);
    nnd_json_destroy(value);
    nnd_free(text);
    return status;
}

nnd_status nnd_workflow_set_field(nnd_workflow *wf, const char *path, const char *field,
                                  const char *json)
{
    nnd_json_doc *doc = NULL;
    wf_node *node = path ? wf_document_find(wf, path) : NULL;
    if (!node) return no_node(path);
    if (!field || !json)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "node '%s': a field needs a name and a value",
                             path);
    NND_TRY(check_text("field", field));
    if (!is_field(field)) {
        const char *near = nnd_suggest_from(field, field_names, NND_COUNT(field_names));
        return nnd_error_set(NND_E_NOT_FOUND, "node '%s': there is no field '%s'%s%s%s", path,
                             field, near ? "; did you mean '" : "", near ? near : "",
                             near ? "'?" : "");
    }
    NND_TRY(parse_field(field, json, &doc));
    nnd_status status = apply_field(node, path, field, nnd_json_root(doc));
    nnd_json_destroy(doc);
    if (status != NND_OK) nnd_error_set_node(path, field);
    return status;
}

/* The graph that both ends are in, and their ids in it. */
static nnd_status common_graph(nnd_workflow *wf, const char *from, const char *to, wf_graph **graph,
                               const char **from_id, const char **to_id)
{
    wf_graph *other = NULL;
    NND_TRY(graph_of(wf, from, &other, from_id));
    NND_TRY(graph_of(wf, to, graph, to_id));
    if (*graph != other)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "'%s' and '%s' are in different graphs: an edge goes through the "
                             "inputs and outputs of a sub-graph",
                             from, to);
    if (strcmp(*from_id, "@") != 0 && !wf_graph_find(*graph, *from_id)) return no_node(from);
    return wf_graph_find(*graph, *to_id) ? NND_OK : no_node(to);
}

static nnd_status connect(nnd_workflow *wf, const char *from_node, const char *from_port,
                          const char *to_node, const char *to_port, bool is_param)
{
    wf_graph *g = NULL;
    const char *from_id = NULL, *to_id = NULL;
    if (!from_node || !from_port || !to_node || !to_port)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "an edge needs a node and a port at both ends");
    NND_TRY(check_text("port", from_port));
    NND_TRY(check_text("port", to_port));
    NND_TRY(common_graph(wf, from_node, to_node, &g, &from_id, &to_id));
    wf_edge *items = grow(g->edges, g->edge_count, sizeof *items);
    if (!items) return no_memory();
    g->edges = items;
    wf_edge edge = {.from_node = nnd_strdup(from_id),
                    .from_port = nnd_strdup(from_port),
                    .to_node = nnd_strdup(to_id),
                    .to_port = nnd_strdup(to_port),
                    .is_param = is_param};
    if (!edge.from_node || !edge.from_port || !edge.to_node || !edge.to_port) {
        wf_edge_fini(&edge);
        return no_memory();
    }
    items[g->edge_count++] = edge;
    return NND_OK;
}

nnd_status nnd_workflow_connect(nnd_workflow *wf, const char *from_node, const char *from_port,
                                const char *to_node, const char *to_port)
{
    return connect(wf, from_node, from_port, to_node, to_port, false);
}

nnd_status nnd_workflow_connect_param(nnd_workflow *wf, const char *from_node,
                                      const char *from_port, const char *to_node,
                                      const char *to_param)
{
    return connect(wf, from_node, from_port, to_node, to_param, true);
}
