/* Building and editing a document by API. Each call leaves the document as it was when it fails. */
#include "workflow/format/document.h"

#include "base/str.h"
#include "base/vec.h"

#include <string.h>

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a workflow");
}

static nnd_status no_node(const char *path)
{
    return nnd_error_set(NND_E_NOT_FOUND, "the workflow has no node '%s'", path ? path : "");
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
    const char *at = strrchr(text, '@');
    size_t name = at ? (size_t)(at - text) : strlen(text);
    int version = 0;
    for (const char *p = at ? at + 1 : ""; *p; p++) {
        if (*p < '0' || *p > '9' || version > 9999)
            return nnd_error_set(NND_E_INVALID_ARGUMENT,
                                 "node type '%s': a version is a whole number, 'type@1'", text);
        version = version * 10 + (*p - '0');
    }
    if (name == 0 || (at && version < 1))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "'%s' is no node type", text);
    node->version = version;
    node->type = nnd_strdup_n(text, name);
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

static void remove_output(wf_graph *g, size_t i)
{
    nnd_free(g->outputs[i].name);
    nnd_free(g->outputs[i].from_node);
    nnd_free(g->outputs[i].from_port);
    wf_fields_fini(&g->outputs[i].extra);
    memmove(&g->outputs[i], &g->outputs[i + 1], (g->output_count - i - 1) * sizeof g->outputs[0]);
    g->output_count--;
}

nnd_status nnd_workflow_remove_node(nnd_workflow *wf, const char *path)
{
    wf_graph *g = NULL;
    const char *id = NULL;
    NND_TRY(graph_of(wf, path, &g, &id));
    wf_node *node = wf_graph_find(g, id);
    if (!node) return no_node(path);
    remove_edges_of(g, id);
    for (size_t i = g->output_count; i-- > 0;)
        if (strcmp(g->outputs[i].from_node, id) == 0) remove_output(g, i);
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
    if (!json) {
        wf_fields_remove(&node->params, param);
        return NND_OK;
    }
    char *text = NULL;
    if (wf_json_canonical(json, &text) != NND_OK)
        return nnd_error_wrap(NND_E_FORMAT,
                              "node '%s', parameter '%s': the value is not JSON "
                              "(texts need double quotes)",
                              path, param);
    nnd_status status = wf_fields_set(&node->params, param, text, (wf_place){0, 0});
    nnd_free(text);
    return status;
}

static nnd_status set_text(char **slot, const nnd_json *json, const char *field)
{
    const char *text = nnd_json_string(json, NULL);
    if (!text && nnd_json_get_type(json) != NND_JSON_NULL)
        return nnd_error_set(NND_E_TYPE, "field '%s' is a string", field);
    char *copy = nnd_strdup(text);
    if (text && !copy) return no_memory();
    nnd_free(*slot);
    *slot = copy;
    return NND_OK;
}

static nnd_status set_raw(char **slot, const nnd_json *json)
{
    char *copy = NULL;
    if (nnd_json_get_type(json) != NND_JSON_NULL) NND_TRY(wf_json_text(json, &copy));
    nnd_free(*slot);
    *slot = copy;
    return NND_OK;
}

static nnd_status set_flag(bool *slot, const nnd_json *json, const char *field)
{
    if (nnd_json_get_type(json) != NND_JSON_BOOL)
        return nnd_error_set(NND_E_TYPE, "field '%s' is true or false", field);
    *slot = nnd_json_bool(json, false);
    return NND_OK;
}

static nnd_status set_field(wf_node *node, const char *field, const nnd_json *json)
{
    static const char *const names[] = {"title",       "device", "on_error", "input_policy",
                                        "deadline_ms", "bypass", "mute"};
    if (strcmp(field, "title") == 0) return set_text(&node->title, json, field);
    if (strcmp(field, "device") == 0) return set_text(&node->device, json, field);
    if (strcmp(field, "on_error") == 0) return set_raw(&node->on_error, json);
    if (strcmp(field, "input_policy") == 0) return set_raw(&node->input_policy, json);
    if (strcmp(field, "bypass") == 0) return set_flag(&node->bypass, json, field);
    if (strcmp(field, "mute") == 0) return set_flag(&node->mute, json, field);
    if (strcmp(field, "deadline_ms") == 0) {
        double value = nnd_json_number(json, -1);
        if (value < 0)
            return nnd_error_set(NND_E_TYPE, "field 'deadline_ms' is a number of at least 0");
        node->deadline_ms = value;
        return NND_OK;
    }
    const char *near = nnd_suggest_from(field, names, NND_COUNT(names));
    return nnd_error_set(NND_E_NOT_FOUND, "nodes have no field '%s'%s%s%s", field,
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
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
    NND_TRY(nnd_json_parse(json, strlen(json), NULL, &doc));
    nnd_status status = set_field(node, field, nnd_json_root(doc));
    nnd_json_destroy(doc);
    if (status != NND_OK) nnd_error_set_node(path, field);
    return status;
}

nnd_status nnd_workflow_connect(nnd_workflow *wf, const char *from_node, const char *from_port,
                                const char *to_node, const char *to_port)
{
    wf_graph *g = &wf->root;
    if (!from_node || !from_port || !to_node || !to_port)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "an edge needs a node and a port at both ends");
    if (strcmp(from_node, "@") != 0 && !wf_graph_find(g, from_node)) return no_node(from_node);
    if (!wf_graph_find(g, to_node)) return no_node(to_node);
    wf_edge *items = grow(g->edges, g->edge_count, sizeof *items);
    if (!items) return no_memory();
    g->edges = items;
    wf_edge edge = {.from_node = nnd_strdup(from_node),
                    .from_port = nnd_strdup(from_port),
                    .to_node = nnd_strdup(to_node),
                    .to_port = nnd_strdup(to_port)};
    if (!edge.from_node || !edge.from_port || !edge.to_node || !edge.to_port) {
        wf_edge_fini(&edge);
        return no_memory();
    }
    items[g->edge_count++] = edge;
    return NND_OK;
}
