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

nnd_status wf_fields_add(wf_fields *fields, const char *name, const char *json, wf_place place)
{
    wf_field added = {nnd_strdup(name), nnd_strdup(json), place};
    if (added.name && added.json && nnd_vec_push(fields, added)) return NND_OK;
    nnd_free(added.name);
    nnd_free(added.json);
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a workflow's field");
}

nnd_status wf_fields_set(wf_fields *fields, const char *name, const char *json, wf_place place)
{
    wf_field *field = fields_find(fields, name);
    if (!field) return wf_fields_add(fields, name, json, place);
    char *text = nnd_strdup(json);
    if (!text) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a workflow's field");
    nnd_free(field->json);
    field->json = text;
    field->place = place;
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
        wf_fields_fini(&ports[i].extra);
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
        wf_fields_fini(&node->carry[i].extra);
    }
    nnd_free(node->carry);
    wf_fields_fini(&node->ports_extra);
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

void wf_output_fini(wf_output *output)
{
    nnd_free(output->name);
    nnd_free(output->from_node);
    nnd_free(output->from_port);
    wf_fields_fini(&output->extra);
    memset(output, 0, sizeof *output);
}

void wf_promoted_fini(wf_promoted *promoted)
{
    nnd_free(promoted->name);
    nnd_free(promoted->to_node);
    nnd_free(promoted->to_param);
    wf_fields_fini(&promoted->extra);
    memset(promoted, 0, sizeof *promoted);
}

static void boundary_fini(wf_graph *graph)
{
    for (size_t i = 0; i < graph->input_count; i++) {
        nnd_free(graph->inputs[i].name);
        nnd_free(graph->inputs[i].type);
        wf_fields_fini(&graph->inputs[i].extra);
    }
    for (size_t i = 0; i < graph->output_count; i++)
        wf_output_fini(&graph->outputs[i]);
    for (size_t i = 0; i < graph->param_count; i++)
        wf_promoted_fini(&graph->params[i]);
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
    nnd_free(graph->requires_json);
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

/* ---- versions ---------------------------------------------------------------------------- */

bool wf_type_split(const char *text, size_t *name_size, int *version)
{
    const char *at = strrchr(text, '@');
    *name_size = at ? (size_t)(at - text) : strlen(text);
    *version = 0;
    if (*name_size == 0) return false;
    if (!at) return true;
    for (const char *p = at + 1; *p; p++) {
        if (*p < '0' || *p > '9' || *version > 9999) return false;
        *version = *version * 10 + (*p - '0');
    }
    return *version > 0;
}

/* Up to three numbers joined by dots; missing ones count as 0. */
static bool read_version(const char **text, long parts[3])
{
    const char *p = *text;
    memset(parts, 0, 3 * sizeof parts[0]);
    for (size_t i = 0; i < 3; i++) {
        if (*p < '0' || *p > '9') return false;
        for (; *p >= '0' && *p <= '9'; p++)
            parts[i] = parts[i] > 99999 ? parts[i] : parts[i] * 10 + (*p - '0');
        if (*p != '.' || i == 2) break;
        p++;
    }
    *text = p;
    return true;
}

static bool holds(const char *op, size_t size, int order)
{
    if (size == 0 || (size == 2 && memcmp(op, ">=", 2) == 0)) return order >= 0;
    if (size == 2 && memcmp(op, "<=", 2) == 0) return order <= 0;
    if (op[0] == '>') return order > 0;
    if (op[0] == '<') return order < 0;
    return order == 0;
}

bool wf_version_satisfies(const char *version, const char *range, bool *valid)
{
    static const char *const ops[] = {"", ">", "<", "=", "==", ">=", "<="};
    long ours[3], wanted[3];
    bool all = true;
    *valid = read_version(&version, ours);
    for (const char *p = range + strspn(range, " ,"); *p && *valid; p += strspn(p, " ,")) {
        const char *op = p;
        size_t size = strspn(p, "<>=");
        bool known = false;
        for (size_t i = 0; i < NND_COUNT(ops); i++)
            known = known || (size == strlen(ops[i]) && memcmp(op, ops[i], size) == 0);
        p += size;
        *valid = known && read_version(&p, wanted) && (!*p || strchr(" ,", *p));
        int order = 0;
        for (size_t i = 0; i < 3 && *valid && order == 0; i++)
            order = ours[i] < wanted[i] ? -1 : ours[i] > wanted[i];
        all = all && holds(op, size, order);
    }
    return all && *valid;
}

/* ---- JSON texts -------------------------------------------------------------------------- */

/* Keys by their bytes; they may hold NUL characters. */
typedef struct member {
    const char *key;
    size_t size;
    const nnd_json *value;
} member;

static int by_key(const void *a, const void *b)
{
    const member *x = a, *y = b;
    int order = memcmp(x->key, y->key, x->size < y->size ? x->size : y->size);
    return order ? order : x->size < y->size ? -1 : x->size > y->size;
}

static nnd_status put_sorted_object(nnd_json_writer *w, const nnd_json *json)
{
    size_t count = nnd_json_count(json);
    member *members = nnd_calloc(count + 1, sizeof *members);
    if (!members) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to sort an object");
    for (size_t i = 0; i < count; i++)
        members[i] =
            (member){nnd_json_key_at(json, i), nnd_json_key_size(json, i), nnd_json_at(json, i)};
    qsort(members, count, sizeof *members, by_key);
    nnd_json_begin_object(w);
    nnd_status status = NND_OK;
    for (size_t i = 0; i < count && status == NND_OK; i++) {
        nnd_json_key_n(w, members[i].key, members[i].size);
        status = wf_put_sorted(w, members[i].value);
    }
    nnd_json_end_object(w);
    nnd_free(members);
    return status;
}

nnd_status wf_put_sorted(nnd_json_writer *w, const nnd_json *json)
{
    if (nnd_json_get_type(json) == NND_JSON_OBJECT) return put_sorted_object(w, json);
    if (nnd_json_get_type(json) != NND_JSON_ARRAY) {
        nnd_json_put_json(w, json);
        return NND_OK;
    }
    nnd_json_begin_array(w);
    for (size_t i = 0; i < nnd_json_count(json); i++)
        NND_TRY(wf_put_sorted(w, nnd_json_at(json, i)));
    nnd_json_end_array(w);
    return NND_OK;
}

nnd_status wf_json_text(const nnd_json *json, char **out)
{
    nnd_json_writer *w = NULL;
    NND_TRY(nnd_json_writer_create(0, &w));
    nnd_status status = wf_put_sorted(w, json);
    if (status == NND_OK) status = nnd_json_writer_take(w, out, NULL);
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
    nnd_status status = wf_put_sorted(w, nnd_json_root(doc));
    nnd_json_destroy(doc);
    return status;
}
