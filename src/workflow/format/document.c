/* A document's life, look-ups, and the JSON texts that it keeps. */
#include "workflow/format/document.h"

#include "base/str.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

/* ---- fields ------------------------------------------------------------------------------ */

static wf_field *fields_find(const wf_fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++)
        if (strcmp(fields->items[i].name, name) == 0) return &fields->items[i];
    return NULL;
}

const char *wf_fields_get(const wf_fields *fields, const char *name)
{
    const wf_field *field = fields_find(fields, name);
    return field ? field->json : NULL;
}

nnd_status wf_fields_set(wf_fields *fields, const char *name, const char *json, wf_place place)
{
    char *text = nnd_strdup(json);
    wf_field *field = fields_find(fields, name);
    if (text && field) {
        nnd_free(field->json);
        field->json = text;
        field->place = place;
        return NND_OK;
    }
    char *copy = nnd_strdup(name);
    wf_field added = {copy, text, place};
    if (!text || !copy || !nnd_vec_push(fields, added)) {
        nnd_free(text);
        nnd_free(copy);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a workflow's field");
    }
    return NND_OK;
}

static void field_fini(wf_field *field)
{
    nnd_free(field->name);
    nnd_free(field->json);
}

bool wf_fields_remove(wf_fields *fields, const char *name)
{
    wf_field *field = fields_find(fields, name);
    if (!field) return false;
    field_fini(field);
    size_t after = fields->count - (size_t)(field - fields->items) - 1;
    memmove(field, field + 1, after * sizeof *field);
    fields->count--;
    return true;
}

void wf_fields_fini(wf_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++)
        field_fini(&fields->items[i]);
    nnd_vec_free(fields);
}

/* ---- nodes, edges, graphs ---------------------------------------------------------------- */

static void ports_free(wf_port *ports, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        nnd_free(ports[i].name);
        nnd_free(ports[i].type);
    }
    nnd_free(ports);
}

void wf_node_fini(wf_node *node)
{
    char *texts[] = {node->id,           node->type, node->title, node->device, node->on_error,
                     node->input_policy, node->ref,  node->count, node->until};
    for (size_t i = 0; i < NND_COUNT(texts); i++)
        nnd_free(texts[i]);
    wf_fields_fini(&node->params);
    wf_fields_fini(&node->extra);
    ports_free(node->in_ports, node->in_port_count);
    ports_free(node->out_ports, node->out_port_count);
    for (size_t i = 0; i < node->carry_count; i++) {
        nnd_free(node->carry[i].in);
        nnd_free(node->carry[i].out);
    }
    nnd_free(node->carry);
    if (node->graph) {
        wf_graph_fini(node->graph);
        nnd_free(node->graph);
    }
    memset(node, 0, sizeof *node);
}

void wf_edge_fini(wf_edge *edge)
{
    nnd_free(edge->from_node);
    nnd_free(edge->from_port);
    nnd_free(edge->to_node);
    nnd_free(edge->to_port);
    wf_fields_fini(&edge->extra);
    memset(edge, 0, sizeof *edge);
}

static void boundary_fini(wf_graph *graph)
{
    for (size_t i = 0; i < graph->input_count; i++) {
        nnd_free(graph->inputs[i].name);
        nnd_free(graph->inputs[i].type);
        wf_fields_fini(&graph->inputs[i].extra);
    }
    for (size_t i = 0; i < graph->output_count; i++) {
        nnd_free(graph->outputs[i].name);
        nnd_free(graph->outputs[i].from_node);
        nnd_free(graph->outputs[i].from_port);
        wf_fields_fini(&graph->outputs[i].extra);
    }
    for (size_t i = 0; i < graph->param_count; i++) {
        nnd_free(graph->params[i].name);
        nnd_free(graph->params[i].to_node);
        nnd_free(graph->params[i].to_param);
        wf_fields_fini(&graph->params[i].extra);
    }
    nnd_free(graph->inputs);
    nnd_free(graph->outputs);
    nnd_free(graph->params);
}

void wf_graph_fini(wf_graph *graph)
{
    boundary_fini(graph);
    for (size_t i = 0; i < graph->node_count; i++)
        wf_node_fini(&graph->nodes[i]);
    for (size_t i = 0; i < graph->edge_count; i++)
        wf_edge_fini(&graph->edges[i]);
    nnd_free(graph->nodes);
    nnd_free(graph->edges);
    nnd_free(graph->file);
    wf_fields_fini(&graph->models);
    wf_fields_fini(&graph->extra);
    memset(graph, 0, sizeof *graph);
}

wf_node *wf_graph_find(const wf_graph *graph, const char *id)
{
    for (size_t i = 0; i < graph->node_count; i++)
        if (strcmp(graph->nodes[i].id, id) == 0) return &graph->nodes[i];
    return NULL;
}

wf_node *wf_document_find(const nnd_workflow *wf, const char *path)
{
    const wf_graph *graph = &wf->root;
    for (;;) {
        char id[80];
        size_t n = strcspn(path, "/");
        if (n >= sizeof id) return NULL;
        memcpy(id, path, n);
        id[n] = '\0';
        wf_node *node = wf_graph_find(graph, id);
        if (!node || path[n] == '\0') return node;
        if (!node->graph) return NULL;
        graph = node->graph;
        path += n + 1;
    }
}

bool wf_id_is_valid(const char *id)
{
    size_t n = 0;
    for (; id[n]; n++) {
        char c = id[n];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool later = (c >= '0' && c <= '9') || c == '-';
        if (!letter && !(n > 0 && later)) return false;
    }
    return n >= 1 && n <= 64;
}

static const char *const policy_names[] = {"block", "drop_oldest", "drop_newest", "latest",
                                           "fault"};

const char *wf_policy_name(wf_policy policy)
{
    return (size_t)policy < NND_COUNT(policy_names) ? policy_names[policy] : "?";
}

/* ---- documents --------------------------------------------------------------------------- */

nnd_status nnd_workflow_create(const char *name, nnd_workflow **out)
{
    nnd_workflow *wf = nnd_calloc(1, sizeof *wf);
    if (wf) wf->name = nnd_strdup(name ? name : "");
    if (!wf || !wf->name) {
        nnd_workflow_destroy(wf);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a workflow");
    }
    *out = wf;
    return NND_OK;
}

void nnd_workflow_destroy(nnd_workflow *wf)
{
    if (!wf) return;
    nnd_free(wf->name);
    nnd_free(wf->file);
    wf_graph_fini(&wf->root);
    nnd_free(wf->requires_json);
    nnd_free(wf->run_mode);
    wf_fields_fini(&wf->run_extra);
    wf_fields_fini(&wf->models);
    nnd_free(wf->ui);
    wf_fields_fini(&wf->extra);
    nnd_free(wf);
}

const char *nnd_workflow_name(const nnd_workflow *wf)
{
    return wf->name;
}

size_t nnd_workflow_input_count(const nnd_workflow *wf)
{
    return wf->root.input_count;
}

const char *nnd_workflow_input_name(const nnd_workflow *wf, size_t index)
{
    return index < wf->root.input_count ? wf->root.inputs[index].name : NULL;
}

const char *nnd_workflow_input_type(const nnd_workflow *wf, size_t index)
{
    return index < wf->root.input_count ? wf->root.inputs[index].type : NULL;
}

size_t nnd_workflow_output_count(const nnd_workflow *wf)
{
    return wf->root.output_count;
}

const char *nnd_workflow_output_name(const nnd_workflow *wf, size_t index)
{
    return index < wf->root.output_count ? wf->root.outputs[index].name : NULL;
}

/* ---- JSON texts -------------------------------------------------------------------------- */

typedef struct member {
    const char *key;
    size_t index;
} member;

static int by_key(const void *a, const void *b)
{
    return strcmp(((const member *)a)->key, ((const member *)b)->key);
}

static void put_sorted_object(nnd_json_writer *w, const nnd_json *json)
{
    size_t count = nnd_json_count(json);
    member *members = nnd_alloc((count + 1) * sizeof *members);
    if (!members) {
        nnd_json_put_json(w, json); /* the order suffers, the content does not */
        return;
    }
    for (size_t i = 0; i < count; i++)
        members[i] = (member){nnd_json_key_at(json, i), i};
    qsort(members, count, sizeof *members, by_key);
    nnd_json_begin_object(w);
    for (size_t i = 0; i < count; i++) {
        nnd_json_key(w, members[i].key);
        wf_put_sorted(w, nnd_json_at(json, members[i].index));
    }
    nnd_json_end_object(w);
    nnd_free(members);
}

void wf_put_sorted(nnd_json_writer *w, const nnd_json *json)
{
    switch (nnd_json_get_type(json)) {
    case NND_JSON_OBJECT:
        put_sorted_object(w, json);
        break;
    case NND_JSON_ARRAY:
        nnd_json_begin_array(w);
        for (size_t i = 0; i < nnd_json_count(json); i++)
            wf_put_sorted(w, nnd_json_at(json, i));
        nnd_json_end_array(w);
        break;
    default:
        nnd_json_put_json(w, json);
        break;
    }
}

nnd_status wf_json_text(const nnd_json *json, char **out)
{
    nnd_json_writer *w = NULL;
    NND_TRY(nnd_json_writer_create(0, &w));
    wf_put_sorted(w, json);
    nnd_status status = nnd_json_writer_take(w, out, NULL);
    nnd_json_writer_destroy(w);
    return status;
}

nnd_status wf_json_canonical(const char *text, char **out)
{
    nnd_json_doc *doc = NULL;
    NND_TRY(nnd_json_parse(text, strlen(text), NULL, &doc));
    nnd_status status = wf_json_text(nnd_json_root(doc), out);
    nnd_json_destroy(doc);
    return status;
}

nnd_status wf_put_text(nnd_json_writer *w, const char *json_text)
{
    nnd_json_doc *doc = NULL;
    NND_TRY(nnd_json_parse(json_text, strlen(json_text), NULL, &doc));
    wf_put_sorted(w, nnd_json_root(doc));
    nnd_json_destroy(doc);
    return NND_OK;
}
