/* What differs between two documents: nodes by id, boundary by name, edges by their ends,
   everything else by value. */
#include "workflow/format/document.h"

#include "base/map.h"
#include "base/str.h"

#include <string.h>

typedef struct differ {
    nnd_json_writer *w;
    size_t changes;
    nnd_status status; /* the first failure; nothing more is compared then */
} differ;

static void fail(differ *d, nnd_status status)
{
    if (d->status == NND_OK) d->status = status;
}

static void fail_memory(differ *d)
{
    fail(d, nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to compare workflows"));
}

static void put_side(differ *d, const char *key, const char *json)
{
    nnd_json_key(d->w, key);
    if (json)
        fail(d, wf_put_text(d->w, json));
    else
        nnd_json_put_null(d->w);
}

/* before and after are JSON texts; NULL = absent. */
static void change(differ *d, const char *kind, const char *path, const char *before,
                   const char *after)
{
    if (d->status != NND_OK) return;
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

static void compare_json(differ *d, const char *kind, const char *path, const char *a,
                         const char *b)
{
    if (!nnd_str_equal(a, b)) change(d, kind, path, a, b);
}

/* Builds a JSON text by a callback; NULL (and a failed differ) without memory. */
static char *json_of(differ *d, void (*put)(nnd_json_writer *w, const void *object),
                     const void *object)
{
    nnd_json_writer *w = NULL;
    char *json = NULL;
    nnd_status status = nnd_json_writer_create(0, &w);
    if (status == NND_OK) {
        put(w, object);
        status = nnd_json_writer_take(w, &json, NULL);
    }
    nnd_json_writer_destroy(w);
    char *canonical = NULL; /* fields may come in any order */
    if (status == NND_OK) status = wf_json_canonical(json, &canonical);
    nnd_free(json);
    fail(d, status);
    return canonical;
}

static void put_string(nnd_json_writer *w, const void *text)
{
    nnd_json_put_string(w, text);
}

static void compare_text(differ *d, const char *kind, const char *path, const char *a,
                         const char *b)
{
    if (nnd_str_equal(a, b)) return;
    char *before = a ? json_of(d, put_string, a) : NULL;
    char *after = b ? json_of(d, put_string, b) : NULL;
    change(d, kind, path, before, after);
    nnd_free(before);
    nnd_free(after);
}

/* Two things that are compared by their JSON; NULL = absent. */
static void compare_objects(differ *d, const char *kind, const char *path,
                            void (*put)(nnd_json_writer *w, const void *object), const void *a,
                            const void *b)
{
    char *before = a ? json_of(d, put, a) : NULL;
    char *after = b ? json_of(d, put, b) : NULL;
    compare_json(d, kind, path, before, after);
    nnd_free(before);
    nnd_free(after);
}

/* "prefix" + separator + "name"; NULL without memory (then the status says so). */
static char *join(differ *d, const char *prefix, const char *separator, const char *name)
{
    char *path = prefix[0] || separator[0] == '@' ? nnd_strf("%s%s%s", prefix, separator, name)
                                                  : nnd_strdup(name);
    if (!path) fail_memory(d);
    return path;
}

/* ---- lists of named things --------------------------------------------------------------- */

/* How to walk two lists: where the elements lie and what they are called. */
typedef struct listing {
    const void *items;
    size_t count, size;
} listing;

static const void *item_at(const listing *list, size_t i)
{
    return (const char *)list->items + i * list->size;
}

/* The first member of every named struct of a document is its name. */
static const char *name_of(const void *item)
{
    return *(char *const *)item;
}

static void index_names(differ *d, const listing *list, nnd_map *map)
{
    for (size_t i = 0; i < list->count && d->status == NND_OK; i++)
        fail(d, nnd_map_put(map, name_of(item_at(list, i)), (void *)(uintptr_t)item_at(list, i),
                            NULL));
}

/* Calls back with each pair of the same name, and with those that only one side has. */
typedef void (*pair_fn)(differ *d, const char *path, const void *a, const void *b);
static void compare_lists(differ *d, const char *prefix, const char *separator, listing a,
                          listing b, pair_fn compare)
{
    nnd_map in_a = {0}, in_b = {0};
    index_names(d, &a, &in_a);
    index_names(d, &b, &in_b);
    for (size_t i = 0; i < a.count && d->status == NND_OK; i++) {
        const void *item = item_at(&a, i);
        char *path = join(d, prefix, separator, name_of(item));
        if (path) compare(d, path, item, nnd_map_get(&in_b, name_of(item)));
        nnd_free(path);
    }
    for (size_t i = 0; i < b.count && d->status == NND_OK; i++) {
        const void *item = item_at(&b, i);
        if (nnd_map_get(&in_a, name_of(item))) continue;
        char *path = join(d, prefix, separator, name_of(item));
        if (path) compare(d, path, NULL, item);
        nnd_free(path);
    }
    nnd_map_fini(&in_a);
    nnd_map_fini(&in_b);
}

/* The order of things that both sides have, when it matters. */
static void compare_order(differ *d, const char *kind, const char *path, listing a, listing b)
{
    nnd_map in_a = {0}, in_b = {0};
    bool same = true;
    index_names(d, &a, &in_a);
    index_names(d, &b, &in_b);
    for (size_t i = 0, k = 0; d->status == NND_OK && same; i++, k++) {
        while (i < a.count && !nnd_map_get(&in_b, name_of(item_at(&a, i))))
            i++;
        while (k < b.count && !nnd_map_get(&in_a, name_of(item_at(&b, k))))
            k++;
        if (i >= a.count || k >= b.count) break;
        same = strcmp(name_of(item_at(&a, i)), name_of(item_at(&b, k))) == 0;
    }
    if (!same) change(d, kind, path, NULL, NULL);
    nnd_map_fini(&in_a);
    nnd_map_fini(&in_b);
}

/* ---- fields ------------------------------------------------------------------------------ */

#define FIELD_PAIR(function, kind)                                                                 \
    static void function(differ *d, const char *path, const void *a, const void *b)                \
    {                                                                                              \
        const wf_field *x = a, *y = b;                                                             \
        compare_json(d, kind, path, x ? x->json : NULL, y ? y->json : NULL);                       \
    }
FIELD_PAIR(compare_param, "param")
FIELD_PAIR(compare_node_field, "node-field")
FIELD_PAIR(compare_input_field, "input-field")
FIELD_PAIR(compare_output_field, "output-field")
FIELD_PAIR(compare_promoted_field, "promoted-field")
FIELD_PAIR(compare_run_field, "run")
FIELD_PAIR(compare_model, "model")
FIELD_PAIR(compare_field, "field")

static void compare_fields(differ *d, const char *prefix, const wf_fields *a, const wf_fields *b,
                           pair_fn compare)
{
    static const wf_fields none;
    if (!a) a = &none;
    if (!b) b = &none;
    if (a->count == 0 && b->count == 0) return;
    compare_lists(d, prefix, ".", (listing){a->items, a->count, sizeof(wf_field)},
                  (listing){b->items, b->count, sizeof(wf_field)}, compare);
}

static void put_fields(nnd_json_writer *w, const wf_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        nnd_json_key(w, fields->items[i].name);
        nnd_json_put_string(w, fields->items[i].json);
    }
}

/* ---- nodes ------------------------------------------------------------------------------- */

static void put_node_type(nnd_json_writer *w, const void *object)
{
    const wf_node *n = object;
    char *text = n->version ? nnd_strf("%s@%d", n->type, n->version) : NULL;
    nnd_json_put_string(w, text ? text : n->type);
    nnd_free(text);
}

static void put_port_list(nnd_json_writer *w, const char *key, const wf_port *ports, size_t count)
{
    nnd_json_key(w, key);
    nnd_json_begin_array(w);
    for (size_t i = 0; i < count; i++) {
        nnd_json_begin_object(w);
        nnd_json_key(w, "name");
        nnd_json_put_string(w, ports[i].name);
        nnd_json_key(w, "type");
        nnd_json_put_string(w, ports[i].type);
        put_fields(w, &ports[i].extra);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
}

static void put_ports(nnd_json_writer *w, const void *object)
{
    const wf_node *n = object;
    if (!n->has_ports) {
        nnd_json_put_null(w);
        return;
    }
    nnd_json_begin_object(w);
    put_port_list(w, "in", n->in_ports, n->in_port_count);
    put_port_list(w, "out", n->out_ports, n->out_port_count);
    put_fields(w, &n->ports_extra);
    nnd_json_end_object(w);
}

static void put_carry(nnd_json_writer *w, const void *object)
{
    const wf_node *n = object;
    nnd_json_begin_array(w);
    for (size_t i = 0; i < n->carry_count; i++) {
        nnd_json_begin_object(w);
        nnd_json_key(w, "in");
        nnd_json_put_string(w, n->carry[i].in);
        nnd_json_key(w, "out");
        nnd_json_put_string(w, n->carry[i].out);
        put_fields(w, &n->carry[i].extra);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
}

static void put_number(nnd_json_writer *w, const void *object)
{
    nnd_json_put_number(w, *(const double *)object);
}

static void put_flag(nnd_json_writer *w, const void *object)
{
    nnd_json_put_bool(w, *(const bool *)object);
}

static void compare_settings(differ *d, const char *path, const wf_node *a, const wf_node *b)
{
    compare_objects(d, "node-type", path, put_node_type, a, b);
    compare_text(d, "node-title", path, a->title, b->title);
    compare_text(d, "node-device", path, a->device, b->device);
    compare_json(d, "node-on_error", path, a->on_error, b->on_error);
    compare_json(d, "node-input_policy", path, a->input_policy, b->input_policy);
    compare_objects(d, "node-deadline_ms", path, put_number, &a->deadline_ms, &b->deadline_ms);
    compare_objects(d, "node-bypass", path, put_flag, &a->bypass, &b->bypass);
    compare_objects(d, "node-mute", path, put_flag, &a->mute, &b->mute);
    compare_objects(d, "node-ports", path, put_ports, a, b);
    compare_objects(d, "node-carry", path, put_carry, a, b);
    compare_json(d, "node-count", path, a->count, b->count);
    compare_text(d, "node-until", path, a->until, b->until);
    compare_text(d, "node-ref", path, a->ref, b->ref);
}

static void compare_graphs(differ *d, const char *prefix, const wf_graph *a, const wf_graph *b);

static void compare_node(differ *d, const char *path, const void *x, const void *y)
{
    static const wf_graph empty;
    const wf_node *a = x, *b = y;
    if (!a || !b) {
        compare_objects(d, a ? "node-removed" : "node-added", path, put_node_type, a, b);
        return;
    }
    compare_settings(d, path, a, b);
    compare_fields(d, path, &a->params, &b->params, compare_param);
    compare_fields(d, path, &a->extra, &b->extra, compare_node_field);
    /* What a ref names is compared by its name, not by its content. */
    bool own_a = a->graph && !a->ref, own_b = b->graph && !b->ref;
    if (own_a || own_b)
        compare_graphs(d, path, own_a ? a->graph : &empty, own_b ? b->graph : &empty);
}

/* ---- edges ------------------------------------------------------------------------------- */

static void put_edge(nnd_json_writer *w, const void *object)
{
    const wf_edge *e = object;
    nnd_json_begin_object(w);
    nnd_json_key(w, "queue");
    nnd_json_put_int(w, e->queue);
    nnd_json_key(w, "bytes");
    nnd_json_put_int(w, e->bytes);
    nnd_json_key(w, "age_ms");
    nnd_json_put_number(w, e->age_ms);
    nnd_json_key(w, "policy");
    nnd_json_put_string(w, wf_policy_name(e->policy));
    put_fields(w, &e->extra);
    nnd_json_end_object(w);
}

/* An edge with a name of its own: its ends, and which of several with these ends it is. */
typedef struct named_edge {
    char *name;
    const wf_edge *edge;
    size_t copies; /* of the first one: edges with the same ends */
} named_edge;

static char *edge_name(const wf_edge *e)
{
    return nnd_strf("%s.%s %s %s.%s", e->from_node, e->from_port, e->is_param ? "→ param" : "→",
                    e->to_node, e->to_port);
}

/* The second edge with the same ends is called "… (2)". */
static void make_unique(named_edge *edge, named_edge *first)
{
    char *name = nnd_strf("%s (%zu)", edge->name, ++first->copies);
    nnd_free(edge->name);
    edge->name = name;
}

static named_edge *name_edges(differ *d, const wf_graph *g)
{
    named_edge *list = nnd_calloc(g->edge_count + 1, sizeof *list);
    nnd_map seen = {0};
    if (!list) {
        fail_memory(d);
        return NULL;
    }
    for (size_t i = 0; i < g->edge_count && d->status == NND_OK; i++) {
        list[i] = (named_edge){edge_name(&g->edges[i]), &g->edges[i], 1};
        named_edge *first = list[i].name ? nnd_map_get(&seen, list[i].name) : NULL;
        if (first)
            make_unique(&list[i], first);
        else if (list[i].name)
            fail(d, nnd_map_put(&seen, list[i].name, &list[i], NULL));
        if (!list[i].name) fail_memory(d);
    }
    nnd_map_fini(&seen);
    return list;
}

static void free_edges(named_edge *list, const wf_graph *g)
{
    for (size_t i = 0; list && i < g->edge_count; i++)
        nnd_free(list[i].name);
    nnd_free(list);
}

static void compare_edge(differ *d, const char *path, const void *a, const void *b)
{
    const named_edge *x = a, *y = b;
    compare_objects(d,
                    !x   ? "edge-added"
                    : !y ? "edge-removed"
                         : "edge-queue",
                    path, put_edge, x ? x->edge : NULL, y ? y->edge : NULL);
}

static void compare_edges(differ *d, const char *prefix, const wf_graph *a, const wf_graph *b)
{
    named_edge *in_a = name_edges(d, a), *in_b = name_edges(d, b);
    if (d->status == NND_OK) {
        listing x = {in_a, a->edge_count, sizeof *in_a}, y = {in_b, b->edge_count, sizeof *in_b};
        compare_lists(d, prefix, "/", x, y, compare_edge);
        compare_order(d, "edge-order", prefix, x, y); /* a variadic input sees it */
    }
    free_edges(in_a, a);
    free_edges(in_b, b);
}

/* ---- boundary ---------------------------------------------------------------------------- */

static void compare_input(differ *d, const char *path, const void *x, const void *y)
{
    const wf_input *a = x, *b = y;
    compare_text(d, "input", path, a ? a->type : NULL, b ? b->type : NULL);
    compare_fields(d, path, a ? &a->extra : NULL, b ? &b->extra : NULL, compare_input_field);
}

static void put_pair(nnd_json_writer *w, const char *first, const char *second)
{
    nnd_json_begin_array(w);
    nnd_json_put_string(w, first);
    nnd_json_put_string(w, second);
    nnd_json_end_array(w);
}

static void put_output(nnd_json_writer *w, const void *object)
{
    const wf_output *o = object;
    put_pair(w, o->from_node, o->from_port);
}

static void put_promoted(nnd_json_writer *w, const void *object)
{
    const wf_promoted *p = object;
    put_pair(w, p->to_node, p->to_param);
}

static void compare_output(differ *d, const char *path, const void *x, const void *y)
{
    const wf_output *a = x, *b = y;
    compare_objects(d, "output", path, put_output, a, b);
    compare_fields(d, path, a ? &a->extra : NULL, b ? &b->extra : NULL, compare_output_field);
}

static void compare_promoted(differ *d, const char *path, const void *x, const void *y)
{
    const wf_promoted *a = x, *b = y;
    compare_objects(d, "promoted", path, put_promoted, a, b);
    compare_fields(d, path, a ? &a->extra : NULL, b ? &b->extra : NULL, compare_promoted_field);
}

/* ---- graphs and documents ---------------------------------------------------------------- */

static void compare_graphs(differ *d, const char *prefix, const wf_graph *a, const wf_graph *b)
{
    listing params_a = {a->params, a->param_count, sizeof(wf_promoted)};
    listing params_b = {b->params, b->param_count, sizeof(wf_promoted)};
    listing inputs_a = {a->inputs, a->input_count, sizeof(wf_input)};
    listing inputs_b = {b->inputs, b->input_count, sizeof(wf_input)};
    listing outputs_a = {a->outputs, a->output_count, sizeof(wf_output)};
    listing outputs_b = {b->outputs, b->output_count, sizeof(wf_output)};
    listing nodes_a = {a->nodes, a->node_count, sizeof(wf_node)};
    listing nodes_b = {b->nodes, b->node_count, sizeof(wf_node)};
    compare_lists(d, prefix, "@", params_a, params_b, compare_promoted);
    compare_lists(d, prefix, "@", inputs_a, inputs_b, compare_input);
    compare_order(d, "input-order", prefix, inputs_a, inputs_b);
    compare_lists(d, prefix, "@", outputs_a, outputs_b, compare_output);
    compare_order(d, "output-order", prefix, outputs_a, outputs_b);
    compare_lists(d, prefix, "/", nodes_a, nodes_b, compare_node);
    compare_edges(d, prefix, a, b);
    compare_fields(d, prefix, &a->extra, &b->extra, compare_field);
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
    compare_fields(&d, "", &a->run_extra, &b->run_extra, compare_run_field);
    compare_fields(&d, "", &a->models, &b->models, compare_model);
    compare_graphs(&d, "", &a->root, &b->root);
    compare_fields(&d, "", &a->extra, &b->extra, compare_field);
    if (with_ui) compare_json(&d, "ui", "", a->ui, b->ui);
    nnd_json_end_array(w);
    nnd_json_key(w, "equal");
    nnd_json_put_bool(w, d.changes == 0);
    nnd_json_end_object(w);
    return d.status;
}
