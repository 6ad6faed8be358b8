/* What differs between two documents: nodes by id, edges by their ends, everything else by value.
 */
#include "workflow/format/document.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>

typedef struct differ {
    nnd_json_writer *w;
    size_t changes;
    nnd_status status;
} differ;

static void put_side(differ *d, const char *key, const char *json)
{
    nnd_json_key(d->w, key);
    if (!json) {
        nnd_json_put_null(d->w);
        return;
    }
    nnd_status status = wf_put_text(d->w, json);
    if (d->status == NND_OK) d->status = status;
}

/* before and after are JSON texts; NULL = absent. */
static void change(differ *d, const char *kind, const char *path, const char *before,
                   const char *after)
{
    d->changes++;
    nnd_json_begin_object(d->w);
    nnd_json_key(d->w, "kind");
    nnd_json_put_string(d->w, kind);
    nnd_json_key(d->w, "path");
    nnd_json_put_string(d->w, path);
    put_side(d, "before", before);
    put_side(d, "after", after);
    nnd_json_end_object(d->w);
}

/* A text as JSON, so that it can stand in before or after; NULL stays NULL. */
static char *quoted(differ *d, const char *text)
{
    nnd_json_writer *w = NULL;
    char *json = NULL;
    if (!text) return NULL;
    nnd_status status = nnd_json_writer_create(0, &w);
    if (status == NND_OK) {
        nnd_json_put_string(w, text);
        status = nnd_json_writer_take(w, &json, NULL);
    }
    nnd_json_writer_destroy(w);
    if (d->status == NND_OK) d->status = status;
    return json;
}

static void compare_json(differ *d, const char *kind, const char *path, const char *a,
                         const char *b)
{
    if (!nnd_str_equal(a, b)) change(d, kind, path, a, b);
}

static void compare_text(differ *d, const char *kind, const char *path, const char *a,
                         const char *b)
{
    if (nnd_str_equal(a, b)) return;
    char *qa = quoted(d, a), *qb = quoted(d, b);
    change(d, kind, path, qa, qb);
    nnd_free(qa);
    nnd_free(qb);
}

/* "prefix" + separator + "name"; NULL without memory (then the status says so). */
static char *join(differ *d, const char *prefix, const char *separator, const char *name)
{
    char *path = prefix[0] ? nnd_strf("%s%s%s", prefix, separator, name) : nnd_strdup(name);
    if (!path && d->status == NND_OK)
        d->status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a path");
    return path;
}

static void compare_fields(differ *d, const char *kind, const char *prefix, const wf_fields *a,
                           const wf_fields *b)
{
    for (size_t i = 0; i < a->count; i++) {
        char *path = join(d, prefix, ".", a->items[i].name);
        if (path) compare_json(d, kind, path, a->items[i].json, wf_fields_get(b, a->items[i].name));
        nnd_free(path);
    }
    for (size_t i = 0; i < b->count; i++) {
        if (wf_fields_get(a, b->items[i].name)) continue;
        char *path = join(d, prefix, ".", b->items[i].name);
        if (path) change(d, kind, path, NULL, b->items[i].json);
        nnd_free(path);
    }
}

static void compare_graphs(differ *d, const char *prefix, const wf_graph *a, const wf_graph *b);

/* ---- nodes ------------------------------------------------------------------------------- */

static char *type_text(const wf_node *n)
{
    return n->version ? nnd_strf("%s@%d", n->type, n->version) : nnd_strdup(n->type);
}

static void compare_settings(differ *d, const char *path, const wf_node *a, const wf_node *b)
{
    char before[64], after[64];
    char *ta = type_text(a), *tb = type_text(b);
    compare_text(d, "node-type", path, ta, tb);
    nnd_free(ta);
    nnd_free(tb);
    compare_text(d, "node-title", path, a->title, b->title);
    compare_text(d, "node-device", path, a->device, b->device);
    compare_json(d, "node-on_error", path, a->on_error, b->on_error);
    compare_json(d, "node-input_policy", path, a->input_policy, b->input_policy);
    compare_text(d, "node-ref", path, a->ref, b->ref);
    compare_json(d, "node-count", path, a->count, b->count);
    compare_text(d, "node-until", path, a->until, b->until);
    if (a->bypass != b->bypass)
        change(d, "node-bypass", path, a->bypass ? "true" : "false", b->bypass ? "true" : "false");
    if (a->mute != b->mute)
        change(d, "node-mute", path, a->mute ? "true" : "false", b->mute ? "true" : "false");
    if (a->deadline_ms < b->deadline_ms || a->deadline_ms > b->deadline_ms) {
        snprintf(before, sizeof before, "%.17g", a->deadline_ms);
        snprintf(after, sizeof after, "%.17g", b->deadline_ms);
        change(d, "node-deadline_ms", path, before, after);
    }
}

static bool same_ports(const wf_node *a, const wf_node *b)
{
    if (a->has_ports != b->has_ports || a->in_port_count != b->in_port_count ||
        a->out_port_count != b->out_port_count || a->carry_count != b->carry_count)
        return false;
    bool same = true;
    for (size_t i = 0; i < a->in_port_count; i++)
        same = same && nnd_str_equal(a->in_ports[i].name, b->in_ports[i].name) &&
               nnd_str_equal(a->in_ports[i].type, b->in_ports[i].type);
    for (size_t i = 0; i < a->out_port_count; i++)
        same = same && nnd_str_equal(a->out_ports[i].name, b->out_ports[i].name) &&
               nnd_str_equal(a->out_ports[i].type, b->out_ports[i].type);
    for (size_t i = 0; i < a->carry_count; i++)
        same = same && nnd_str_equal(a->carry[i].in, b->carry[i].in) &&
               nnd_str_equal(a->carry[i].out, b->carry[i].out);
    return same;
}

static void compare_nodes(differ *d, const char *path, const wf_node *a, const wf_node *b)
{
    static const wf_graph empty;
    compare_settings(d, path, a, b);
    compare_fields(d, "param", path, &a->params, &b->params);
    compare_fields(d, "node-field", path, &a->extra, &b->extra);
    if (!same_ports(a, b)) change(d, "node-ports", path, NULL, NULL);
    /* What a ref names is compared by its name, not by its content. */
    const wf_graph *ga = a->graph && !a->ref ? a->graph : &empty;
    const wf_graph *gb = b->graph && !b->ref ? b->graph : &empty;
    compare_graphs(d, path, ga, gb);
}

static void compare_all_nodes(differ *d, const char *prefix, const wf_graph *a, const wf_graph *b)
{
    for (size_t i = 0; i < a->node_count; i++) {
        const wf_node *other = wf_graph_find(b, a->nodes[i].id);
        char *path = join(d, prefix, "/", a->nodes[i].id);
        if (!path) return;
        if (other)
            compare_nodes(d, path, &a->nodes[i], other);
        else
            compare_text(d, "node-removed", path, a->nodes[i].type, NULL);
        nnd_free(path);
    }
    for (size_t i = 0; i < b->node_count; i++) {
        if (wf_graph_find(a, b->nodes[i].id)) continue;
        char *path = join(d, prefix, "/", b->nodes[i].id);
        if (path) compare_text(d, "node-added", path, NULL, b->nodes[i].type);
        nnd_free(path);
    }
}

/* ---- edges and boundary ------------------------------------------------------------------ */

static bool same_ends(const wf_edge *a, const wf_edge *b)
{
    return nnd_str_equal(a->from_node, b->from_node) && nnd_str_equal(a->from_port, b->from_port) &&
           nnd_str_equal(a->to_node, b->to_node) && nnd_str_equal(a->to_port, b->to_port) &&
           a->is_param == b->is_param;
}

static bool same_queue(const wf_edge *a, const wf_edge *b)
{
    return a->queue == b->queue && a->bytes == b->bytes && a->policy == b->policy &&
           !(a->age_ms < b->age_ms) && !(a->age_ms > b->age_ms);
}

static const wf_edge *find_edge(const wf_graph *g, const wf_edge *wanted)
{
    for (size_t i = 0; i < g->edge_count; i++)
        if (same_ends(&g->edges[i], wanted)) return &g->edges[i];
    return NULL;
}

static char *edge_name(differ *d, const char *prefix, const wf_edge *e)
{
    char *name = nnd_strf("%s.%s → %s.%s", e->from_node, e->from_port, e->to_node, e->to_port);
    char *path = name ? join(d, prefix, "/", name) : NULL;
    nnd_free(name);
    return path;
}

static void compare_edges(differ *d, const char *prefix, const wf_graph *a, const wf_graph *b)
{
    for (size_t i = 0; i < a->edge_count; i++) {
        const wf_edge *other = find_edge(b, &a->edges[i]);
        char *path = edge_name(d, prefix, &a->edges[i]);
        if (path && !other)
            change(d, "edge-removed", path, NULL, NULL);
        else if (path && !same_queue(&a->edges[i], other))
            change(d, "edge-queue", path, NULL, NULL);
        nnd_free(path);
    }
    for (size_t i = 0; i < b->edge_count; i++) {
        if (find_edge(a, &b->edges[i])) continue;
        char *path = edge_name(d, prefix, &b->edges[i]);
        if (path) change(d, "edge-added", path, NULL, NULL);
        nnd_free(path);
    }
}

static const wf_input *find_input(const wf_graph *g, const char *name)
{
    for (size_t i = 0; i < g->input_count; i++)
        if (strcmp(g->inputs[i].name, name) == 0) return &g->inputs[i];
    return NULL;
}

static const wf_output *find_output(const wf_graph *g, const char *name)
{
    for (size_t i = 0; i < g->output_count; i++)
        if (strcmp(g->outputs[i].name, name) == 0) return &g->outputs[i];
    return NULL;
}

static const wf_promoted *find_promoted(const wf_graph *g, const char *name)
{
    for (size_t i = 0; i < g->param_count; i++)
        if (strcmp(g->params[i].name, name) == 0) return &g->params[i];
    return NULL;
}

static void compare_inputs(differ *d, const char *prefix, const wf_graph *a, const wf_graph *b)
{
    for (size_t i = 0; i < a->input_count; i++) {
        const wf_input *other = find_input(b, a->inputs[i].name);
        char *path = join(d, prefix, "@", a->inputs[i].name);
        if (!path) return;
        compare_text(d, "input", path, a->inputs[i].type, other ? other->type : NULL);
        if (other) compare_fields(d, "input-field", path, &a->inputs[i].extra, &other->extra);
        nnd_free(path);
    }
    for (size_t i = 0; i < b->input_count; i++) {
        if (find_input(a, b->inputs[i].name)) continue;
        char *path = join(d, prefix, "@", b->inputs[i].name);
        if (path) compare_text(d, "input", path, NULL, b->inputs[i].type);
        nnd_free(path);
    }
}

/* ["node", "port"] as one text. */
static void compare_ends(differ *d, const char *kind, const char *prefix, const char *name,
                         const char *const a[2], const char *const b[2])
{
    char *path = join(d, prefix, "@", name);
    char *ta = a[0] ? nnd_strf("%s.%s", a[0], a[1]) : NULL;
    char *tb = b[0] ? nnd_strf("%s.%s", b[0], b[1]) : NULL;
    if (path) compare_text(d, kind, path, ta, tb);
    nnd_free(path);
    nnd_free(ta);
    nnd_free(tb);
}

static void compare_outputs(differ *d, const char *prefix, const wf_graph *a, const wf_graph *b)
{
    static const char *const none[2];
    for (size_t i = 0; i < a->output_count; i++) {
        const wf_output *o = &a->outputs[i], *other = find_output(b, o->name);
        const char *ends[2] = {o->from_node, o->from_port};
        const char *others[2] = {other ? other->from_node : NULL, other ? other->from_port : NULL};
        compare_ends(d, "output", prefix, o->name, ends, others);
    }
    for (size_t i = 0; i < b->output_count; i++) {
        const wf_output *o = &b->outputs[i];
        const char *ends[2] = {o->from_node, o->from_port};
        if (!find_output(a, o->name)) compare_ends(d, "output", prefix, o->name, none, ends);
    }
}

static void compare_promoted(differ *d, const char *prefix, const wf_graph *a, const wf_graph *b)
{
    static const char *const none[2];
    for (size_t i = 0; i < a->param_count; i++) {
        const wf_promoted *p = &a->params[i], *other = find_promoted(b, p->name);
        const char *ends[2] = {p->to_node, p->to_param};
        const char *others[2] = {other ? other->to_node : NULL, other ? other->to_param : NULL};
        compare_ends(d, "promoted", prefix, p->name, ends, others);
    }
    for (size_t i = 0; i < b->param_count; i++) {
        const wf_promoted *p = &b->params[i];
        const char *ends[2] = {p->to_node, p->to_param};
        if (!find_promoted(a, p->name)) compare_ends(d, "promoted", prefix, p->name, none, ends);
    }
}

static void compare_graphs(differ *d, const char *prefix, const wf_graph *a, const wf_graph *b)
{
    compare_promoted(d, prefix, a, b);
    compare_inputs(d, prefix, a, b);
    compare_outputs(d, prefix, a, b);
    compare_all_nodes(d, prefix, a, b);
    compare_edges(d, prefix, a, b);
    compare_fields(d, "field", prefix, &a->extra, &b->extra);
}

nnd_status nnd_workflow_diff(const nnd_workflow *a, const nnd_workflow *b, bool with_ui,
                             nnd_json_writer *w)
{
    if (!a || !b || !w)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_workflow_diff: two workflows and a writer are required");
    differ d = {.w = w};
    nnd_json_begin_object(w);
    nnd_json_key(w, "changes");
    nnd_json_begin_array(w);
    compare_text(&d, "name", "", a->name, b->name);
    compare_json(&d, "requires", "", a->requires_json, b->requires_json);
    compare_text(&d, "run-mode", "", a->run_mode, b->run_mode);
    compare_fields(&d, "run", "", &a->run_extra, &b->run_extra);
    compare_fields(&d, "model", "", &a->models, &b->models);
    compare_graphs(&d, "", &a->root, &b->root);
    compare_fields(&d, "field", "", &a->extra, &b->extra);
    if (with_ui) compare_json(&d, "ui", "", a->ui, b->ui);
    nnd_json_end_array(w);
    nnd_json_key(w, "equal");
    nnd_json_put_bool(w, d.changes == 0);
    nnd_json_end_object(w);
    return d.status;
}
