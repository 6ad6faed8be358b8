/* Writes a document in its canonical form: a fixed order of keys, uninterpreted objects sorted by
   key, each port, node and edge on one line (a node with an embedded graph is opened up). */
#include "workflow/format/document.h"

#include "base/port_status.h"
#include "base/str.h"
#include "port/port.h"

#include <stdlib.h>
#include <string.h>

/* The writer in use; every function passes the first failure on. */
typedef struct saver {
    nnd_json_writer *w;
    nnd_status status;
} saver;

static void put_raw(saver *s, const char *key, const char *json)
{
    if (!json) return;
    nnd_json_key(s->w, key);
    nnd_status status = wf_put_text(s->w, json);
    if (s->status == NND_OK) s->status = status;
}

static void put_text(saver *s, const char *key, const char *text)
{
    if (!text) return;
    nnd_json_key(s->w, key);
    nnd_json_put_string(s->w, text);
}

static void put_pair(saver *s, const char *key, const char *first, const char *second)
{
    nnd_json_key(s->w, key);
    nnd_json_begin_array(s->w);
    nnd_json_put_string(s->w, first);
    nnd_json_put_string(s->w, second);
    nnd_json_end_array(s->w);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const wf_field *const *)a)->name, (*(const wf_field *const *)b)->name);
}

/* Fields sorted by name, so that equal documents have equal texts. */
static void put_fields_but(saver *s, const wf_fields *fields, const char *const *skipped)
{
    if (fields->count == 0) return;
    const wf_field **sorted = nnd_alloc(fields->count * sizeof *sorted);
    if (!sorted) {
        s->status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to save a workflow");
        return;
    }
    for (size_t i = 0; i < fields->count; i++)
        sorted[i] = &fields->items[i];
    qsort(sorted, fields->count, sizeof(*sorted), by_name);
    for (size_t i = 0; i < fields->count; i++) {
        bool skip = false;
        for (const char *const *name = skipped; name && *name; name++)
            skip = skip || strcmp(*name, sorted[i]->name) == 0;
        if (!skip) put_raw(s, sorted[i]->name, sorted[i]->json);
    }
    nnd_free(sorted);
}

static void put_fields(saver *s, const wf_fields *fields)
{
    put_fields_but(s, fields, NULL);
}

static void put_fields_object(saver *s, const char *key, const wf_fields *fields)
{
    if (fields->count == 0) return;
    nnd_json_key(s->w, key);
    nnd_json_begin_object(s->w);
    put_fields(s, fields);
    nnd_json_end_object(s->w);
}

/* ---- boundary, edges --------------------------------------------------------------------- */

static void put_inputs(saver *s, const wf_graph *g)
{
    nnd_json_key(s->w, "inputs");
    nnd_json_begin_array(s->w);
    for (size_t i = 0; i < g->input_count; i++) {
        nnd_json_set_inline(s->w, true);
        nnd_json_begin_object(s->w);
        put_text(s, "name", g->inputs[i].name);
        put_text(s, "type", g->inputs[i].type);
        put_fields(s, &g->inputs[i].extra);
        nnd_json_end_object(s->w);
        nnd_json_set_inline(s->w, false);
    }
    nnd_json_end_array(s->w);
}

static void put_outputs(saver *s, const wf_graph *g)
{
    nnd_json_key(s->w, "outputs");
    nnd_json_begin_array(s->w);
    for (size_t i = 0; i < g->output_count; i++) {
        nnd_json_set_inline(s->w, true);
        nnd_json_begin_object(s->w);
        put_text(s, "name", g->outputs[i].name);
        put_pair(s, "from", g->outputs[i].from_node, g->outputs[i].from_port);
        put_fields(s, &g->outputs[i].extra);
        nnd_json_end_object(s->w);
        nnd_json_set_inline(s->w, false);
    }
    nnd_json_end_array(s->w);
}

static void put_promoted(saver *s, const wf_graph *g)
{
    if (g->param_count == 0) return;
    nnd_json_key(s->w, "params");
    nnd_json_begin_array(s->w);
    for (size_t i = 0; i < g->param_count; i++) {
        nnd_json_set_inline(s->w, true);
        nnd_json_begin_object(s->w);
        put_text(s, "name", g->params[i].name);
        put_pair(s, "to", g->params[i].to_node, g->params[i].to_param);
        put_fields(s, &g->params[i].extra);
        nnd_json_end_object(s->w);
        nnd_json_set_inline(s->w, false);
    }
    nnd_json_end_array(s->w);
}

static void put_edges(saver *s, const wf_graph *g)
{
    nnd_json_key(s->w, "edges");
    nnd_json_begin_array(s->w);
    for (size_t i = 0; i < g->edge_count; i++) {
        const wf_edge *e = &g->edges[i];
        nnd_json_set_inline(s->w, true);
        nnd_json_begin_object(s->w);
        put_pair(s, "from", e->from_node, e->from_port);
        put_pair(s, "to", e->to_node, e->to_port);
        if (e->is_param) put_text(s, "kind", "param");
        if (e->queue) {
            nnd_json_key(s->w, "queue");
            nnd_json_put_int(s->w, e->queue);
        }
        if (e->bytes) {
            nnd_json_key(s->w, "bytes");
            nnd_json_put_int(s->w, e->bytes);
        }
        if (e->age_ms > 0) {
            nnd_json_key(s->w, "age_ms");
            nnd_json_put_number(s->w, e->age_ms);
        }
        if (e->policy != WF_POLICY_BLOCK) put_text(s, "policy", wf_policy_name(e->policy));
        put_fields(s, &e->extra);
        nnd_json_end_object(s->w);
        nnd_json_set_inline(s->w, false);
    }
    nnd_json_end_array(s->w);
}

/* ---- nodes ------------------------------------------------------------------------------- */

static void put_port_list(saver *s, const char *key, const wf_port *ports, size_t count)
{
    nnd_json_key(s->w, key);
    nnd_json_begin_array(s->w);
    for (size_t i = 0; i < count; i++) {
        nnd_json_begin_object(s->w);
        put_text(s, "name", ports[i].name);
        put_text(s, "type", ports[i].type);
        put_fields(s, &ports[i].extra);
        nnd_json_end_object(s->w);
    }
    nnd_json_end_array(s->w);
}

static void put_type(saver *s, const wf_node *n)
{
    char *text = n->version ? nnd_strf("%s@%d", n->type, n->version) : nnd_strdup(n->type);
    if (text)
        put_text(s, "type", text);
    else
        s->status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to save a workflow");
    nnd_free(text);
}

static void put_settings(saver *s, const wf_node *n)
{
    put_text(s, "title", n->title);
    put_text(s, "device", n->device);
    put_raw(s, "on_error", n->on_error);
    put_raw(s, "input_policy", n->input_policy);
    if (n->deadline_ms > 0) {
        nnd_json_key(s->w, "deadline_ms");
        nnd_json_put_number(s->w, n->deadline_ms);
    }
    if (n->bypass) {
        nnd_json_key(s->w, "bypass");
        nnd_json_put_bool(s->w, true);
    }
    if (n->mute) {
        nnd_json_key(s->w, "mute");
        nnd_json_put_bool(s->w, true);
    }
}

static void put_loop(saver *s, const wf_node *n)
{
    if (n->carry_count) {
        nnd_json_key(s->w, "carry");
        nnd_json_set_inline(s->w, true);
        nnd_json_begin_array(s->w);
        for (size_t i = 0; i < n->carry_count; i++) {
            nnd_json_begin_object(s->w);
            put_text(s, "in", n->carry[i].in);
            put_text(s, "out", n->carry[i].out);
            put_fields(s, &n->carry[i].extra);
            nnd_json_end_object(s->w);
        }
        nnd_json_end_array(s->w);
        nnd_json_set_inline(s->w, !n->graph || n->ref);
    }
    put_raw(s, "count", n->count);
    put_text(s, "until", n->until);
}

static void put_graph(saver *s, const wf_graph *g);

static void put_node(saver *s, const wf_node *n)
{
    bool open = n->graph && !n->ref;
    nnd_json_set_inline(s->w, !open);
    nnd_json_begin_object(s->w);
    put_text(s, "id", n->id);
    put_type(s, n);
    if (open) nnd_json_set_inline(s->w, true);
    put_fields_object(s, "params", &n->params);
    if (n->has_ports) {
        nnd_json_key(s->w, "ports");
        nnd_json_begin_object(s->w);
        put_port_list(s, "in", n->in_ports, n->in_port_count);
        put_port_list(s, "out", n->out_ports, n->out_port_count);
        put_fields(s, &n->ports_extra);
        nnd_json_end_object(s->w);
    }
    if (open) nnd_json_set_inline(s->w, false);
    put_settings(s, n);
    put_loop(s, n);
    put_text(s, "ref", n->ref);
    if (open) {
        nnd_json_key(s->w, "graph");
        nnd_json_begin_object(s->w);
        put_graph(s, n->graph);
        nnd_json_end_object(s->w);
    }
    put_fields(s, &n->extra);
    nnd_json_end_object(s->w);
    nnd_json_set_inline(s->w, false);
}

static void put_graph(saver *s, const wf_graph *g)
{
    put_promoted(s, g);
    put_inputs(s, g);
    put_outputs(s, g);
    nnd_json_key(s->w, "nodes");
    nnd_json_begin_array(s->w);
    for (size_t i = 0; i < g->node_count; i++)
        put_node(s, &g->nodes[i]);
    nnd_json_end_array(s->w);
    put_edges(s, g);
    put_fields(s, &g->extra);
}

/* ---- documents --------------------------------------------------------------------------- */

static void put_run(saver *s, const nnd_workflow *wf)
{
    if (!wf->run_mode && wf->run_extra.count == 0) return;
    nnd_json_key(s->w, "run");
    nnd_json_set_inline(s->w, true);
    nnd_json_begin_object(s->w);
    put_text(s, "mode", wf->run_mode);
    put_fields(s, &wf->run_extra);
    nnd_json_end_object(s->w);
    nnd_json_set_inline(s->w, false);
}

/* Members of one object, each on a line of its own. */
static void put_lines(saver *s, const nnd_json *object, bool open_again)
{
    for (size_t i = 0; i < nnd_json_count(object); i++) {
        const nnd_json *value = nnd_json_at(object, i);
        bool opens = open_again && nnd_json_get_type(value) == NND_JSON_OBJECT;
        nnd_json_key_n(s->w, nnd_json_key_at(object, i), nnd_json_key_size(object, i));
        if (opens) {
            nnd_json_begin_object(s->w);
            put_lines(s, value, false);
            nnd_json_end_object(s->w);
            continue;
        }
        nnd_json_set_inline(s->w, true);
        nnd_json_put_json(s->w, value);
        nnd_json_set_inline(s->w, false);
    }
}

/* "ui" is opened two levels deep, so that moving one node changes one line. Its text is sorted. */
static void put_ui(saver *s, const char *text)
{
    nnd_json_doc *doc = NULL;
    if (!text) return;
    nnd_status status = nnd_json_parse(text, strlen(text), NULL, &doc);
    if (s->status == NND_OK) s->status = status;
    const nnd_json *ui = doc ? nnd_json_root(doc) : NULL;
    nnd_json_key(s->w, "ui");
    if (nnd_json_get_type(ui) == NND_JSON_OBJECT) {
        nnd_json_begin_object(s->w);
        put_lines(s, ui, true);
        nnd_json_end_object(s->w);
    } else {
        nnd_json_set_inline(s->w, true);
        nnd_json_put_json(s->w, ui);
        nnd_json_set_inline(s->w, false);
    }
    nnd_json_destroy(doc);
}

static void put_document(saver *s, const nnd_workflow *wf)
{
    static const char *const heading[] = {"title", "description", NULL};
    wf_graph root = wf->root;
    memset(&root.extra, 0, sizeof root.extra); /* unknown fields stand at the end */
    nnd_json_begin_object(s->w);
    put_text(s, "format", "nndeploy/1");
    put_text(s, "name", wf->name);
    nnd_json_set_inline(s->w, true);
    for (size_t i = 0; heading[i]; i++)
        put_raw(s, heading[i], wf_fields_get(&wf->extra, heading[i]));
    put_raw(s, "requires", wf->requires_json);
    nnd_json_set_inline(s->w, false);
    put_graph(s, &root);
    put_run(s, wf);
    if (wf->models.count) {
        nnd_json_key(s->w, "models");
        nnd_json_begin_object(s->w);
        nnd_json_set_inline(s->w, true);
        put_fields(s, &wf->models);
        nnd_json_set_inline(s->w, false);
        nnd_json_end_object(s->w);
    }
    put_ui(s, wf->ui);
    nnd_json_set_inline(s->w, true);
    put_fields_but(s, &wf->extra, heading);
    nnd_json_set_inline(s->w, false);
    nnd_json_end_object(s->w);
}

nnd_status nnd_workflow_save_text(const nnd_workflow *wf, char **text, size_t *size)
{
    if (!wf || !text)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_workflow_save_text: workflow and text are required");
    saver s = {0};
    char *body = NULL;
    size_t length = 0;
    NND_TRY(nnd_json_writer_create(2, &s.w));
    put_document(&s, wf);
    nnd_status status = s.status;
    if (status == NND_OK) status = nnd_json_writer_take(s.w, &body, &length);
    nnd_json_writer_destroy(s.w);
    NND_TRY(status);
    char *whole = nnd_realloc(body, length + 2);
    if (!whole) {
        nnd_free(body);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to save a workflow");
    }
    whole[length++] = '\n'; /* a text file ends with a newline */
    whole[length] = '\0';
    *text = whole;
    if (size) *size = length;
    return NND_OK;
}

nnd_status nnd_workflow_save(const nnd_workflow *wf, const char *path)
{
    char *text = NULL;
    size_t size = 0;
    if (!path)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_workflow_save: a path is required");
    NND_TRY(nnd_workflow_save_text(wf, &text, &size));
    nnd_status status = nnd_error_from_port(nnd_port_file_write_atomic(path, text, size),
                                            "cannot write workflow", path);
    nnd_free(text);
    return status;
}
