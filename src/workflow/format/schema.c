/* JSON Schema (2020-12) of the file format, with the parameters of every node type. */
#include "workflow/format/document.h"

#include "base/str.h"
#include "workflow/registry.h"

#include <string.h>

typedef nnd_json_writer writer;

static void text(writer *w, const char *key, const char *value)
{
    nnd_json_key(w, key);
    nnd_json_put_string(w, value);
}

static void type(writer *w, const char *name)
{
    text(w, "type", name);
}

/* "key": {"$ref": "#/$defs/name"} */
static void ref(writer *w, const char *key, const char *name)
{
    char *target = nnd_strf("#/$defs/%s", name);
    nnd_json_key(w, key);
    nnd_json_begin_object(w);
    text(w, "$ref", target ? target : "#");
    nnd_json_end_object(w);
    nnd_free(target);
}

/* "key": {"type": "array", "items": {"$ref": …}} */
static void array_of(writer *w, const char *key, const char *name)
{
    nnd_json_key(w, key);
    nnd_json_begin_object(w);
    type(w, "array");
    ref(w, "items", name);
    nnd_json_end_object(w);
}

static void simple(writer *w, const char *key, const char *type_name, const char *about)
{
    nnd_json_key(w, key);
    nnd_json_begin_object(w);
    if (type_name) type(w, type_name);
    if (about) text(w, "description", about);
    nnd_json_end_object(w);
}

static void number(writer *w, const char *key, const char *type_name, double minimum)
{
    nnd_json_key(w, key);
    nnd_json_begin_object(w);
    type(w, type_name);
    nnd_json_key(w, "minimum");
    nnd_json_put_number(w, minimum);
    nnd_json_end_object(w);
}

static void enumeration(writer *w, const char *key, const char *values)
{
    nnd_json_key(w, key);
    nnd_json_begin_object(w);
    nnd_json_key(w, "enum");
    nnd_json_begin_array(w);
    for (const char *p = values; *p;) {
        size_t n = strcspn(p, "|");
        nnd_json_put_string_n(w, p, n);
        p += n + (p[n] == '|');
    }
    nnd_json_end_array(w);
    nnd_json_end_object(w);
}

static void required(writer *w, const char *names)
{
    nnd_json_key(w, "required");
    nnd_json_begin_array(w);
    for (const char *p = names; *p;) {
        size_t n = strcspn(p, " ");
        nnd_json_put_string_n(w, p, n);
        p += n + (p[n] == ' ');
    }
    nnd_json_end_array(w);
}

/* Opens "name": {"type": "object", "required": […], "properties": { */
static void open_object(writer *w, const char *name, const char *names)
{
    nnd_json_key(w, name);
    nnd_json_begin_object(w);
    type(w, "object");
    if (names) required(w, names);
    nnd_json_key(w, "properties");
    nnd_json_begin_object(w);
}

static void close_object(writer *w)
{
    nnd_json_end_object(w);
    nnd_json_end_object(w);
}

/* ---- parameters -------------------------------------------------------------------------- */

static void param_bounds(writer *w, const nnd_param *p)
{
    if (p->minimum == 0 && p->maximum == 0) return;
    nnd_json_key(w, "minimum");
    nnd_json_put_number(w, p->minimum);
    nnd_json_key(w, "maximum");
    nnd_json_put_number(w, p->maximum);
}

static void param_kind(writer *w, const nnd_param *p)
{
    switch (p->kind) {
    case NND_PARAM_KIND_BOOL:
        type(w, "boolean");
        break;
    case NND_PARAM_KIND_INT:
        /* Whole numbers beyond 2^53 are written as text. */
        nnd_json_key(w, "type");
        nnd_json_begin_array(w);
        nnd_json_put_string(w, "integer");
        nnd_json_put_string(w, "string");
        nnd_json_end_array(w);
        text(w, "pattern", "^-?[0-9]+$");
        param_bounds(w, p);
        break;
    case NND_PARAM_KIND_FLOAT:
        type(w, "number");
        param_bounds(w, p);
        break;
    case NND_PARAM_KIND_ENUM:
    case NND_PARAM_KIND_TEXT:
    case NND_PARAM_KIND_FILE:
    case NND_PARAM_KIND_MODEL:
        type(w, "string");
        break;
    case NND_PARAM_KIND_NUMBERS:
        nnd_json_key(w, "type");
        nnd_json_begin_array(w);
        nnd_json_put_string(w, "array");
        nnd_json_put_string(w, "number");
        nnd_json_end_array(w);
        nnd_json_key(w, "items");
        nnd_json_begin_object(w);
        type(w, "number");
        param_bounds(w, p);
        nnd_json_end_object(w);
        break;
    case NND_PARAM_KIND_STRINGS:
        type(w, "array");
        simple(w, "items", "string", NULL);
        break;
    case NND_PARAM_KIND_JSON:
        break; /* anything */
    }
}

static void param(writer *w, const nnd_param *p)
{
    nnd_json_key(w, p->name);
    nnd_json_begin_object(w);
    text(w, "description", p->text ? p->text : "");
    nnd_json_key(w, "anyOf");
    nnd_json_begin_array(w);
    if (p->kind == NND_PARAM_KIND_ENUM) {
        nnd_json_begin_object(w);
        nnd_json_key(w, "enum");
        nnd_json_begin_array(w);
        for (const char *v = p->values; *v;) {
            size_t n = strcspn(v, "|");
            nnd_json_put_string_n(w, v, n);
            v += n + (v[n] == '|');
        }
        nnd_json_end_array(w);
        nnd_json_end_object(w);
    } else if (!(p->flags & NND_PARAM_SECRET)) {
        nnd_json_begin_object(w);
        param_kind(w, p);
        nnd_json_end_object(w);
    }
    nnd_json_begin_object(w);
    text(w, "$ref", "#/$defs/valueForm");
    nnd_json_end_object(w);
    nnd_json_end_array(w);
    nnd_json_end_object(w);
}

static bool holds_graph(const nnd_node_type *t)
{
    return strcmp(t->type, "flow.graph") == 0 || strcmp(t->type, "flow.map") == 0 ||
           strcmp(t->type, "flow.loop") == 0;
}

static void node_params(writer *w, const nnd_node_type *t)
{
    nnd_json_begin_object(w);
    type(w, "object");
    text(w, "title", t->title ? t->title : t->type);
    if (t->text) text(w, "description", t->text);
    nnd_json_key(w, "properties");
    nnd_json_begin_object(w);
    for (size_t i = 0; i < t->params.count; i++)
        param(w, wf_param_at(&t->params, i));
    nnd_json_end_object(w);
    if (!holds_graph(t)) { /* those take the parameters that their graph promotes */
        nnd_json_key(w, "additionalProperties");
        nnd_json_put_bool(w, false);
    }
    nnd_json_end_object(w);
}

/* if type is "x" or "x@1" then params are those of x */
static void node_rule(writer *w, const nnd_node_type *t, bool newest)
{
    char *versioned = nnd_strf("%s@%d", t->type, t->version);
    nnd_json_begin_object(w);
    nnd_json_key(w, "if");
    nnd_json_begin_object(w);
    nnd_json_key(w, "properties");
    nnd_json_begin_object(w);
    nnd_json_key(w, "type");
    nnd_json_begin_object(w);
    nnd_json_key(w, "enum");
    nnd_json_begin_array(w);
    nnd_json_put_string(w, versioned ? versioned : t->type);
    if (newest) nnd_json_put_string(w, t->type);
    nnd_json_end_array(w);
    nnd_json_end_object(w);
    nnd_json_end_object(w);
    nnd_json_end_object(w);
    nnd_json_key(w, "then");
    nnd_json_begin_object(w);
    nnd_json_key(w, "properties");
    nnd_json_begin_object(w);
    nnd_json_key(w, "params");
    node_params(w, t);
    nnd_json_end_object(w);
    nnd_json_end_object(w);
    nnd_json_end_object(w);
    nnd_free(versioned);
}

/* ---- definitions ------------------------------------------------------------------------- */

static void define_small(writer *w)
{
    nnd_json_key(w, "id");
    nnd_json_begin_object(w);
    type(w, "string");
    text(w, "pattern", "^[A-Za-z_][A-Za-z0-9_-]{0,63}$");
    nnd_json_end_object(w);
    nnd_json_key(w, "end");
    nnd_json_begin_object(w);
    text(w, "description", "[node, port]; \"@\" is the boundary of the graph");
    type(w, "array");
    simple(w, "items", "string", NULL);
    nnd_json_key(w, "minItems");
    nnd_json_put_int(w, 2);
    nnd_json_key(w, "maxItems");
    nnd_json_put_int(w, 2);
    nnd_json_end_object(w);
    nnd_json_key(w, "valueForm");
    nnd_json_begin_object(w);
    text(w, "description", "a file's content, a secret of the host, or a workflow input");
    type(w, "object");
    nnd_json_key(w, "properties");
    nnd_json_begin_object(w);
    simple(w, "$file", "string", NULL);
    simple(w, "$secret", "string", NULL);
    simple(w, "$input", "string", NULL);
    nnd_json_end_object(w);
    nnd_json_key(w, "minProperties");
    nnd_json_put_int(w, 1);
    nnd_json_key(w, "maxProperties");
    nnd_json_put_int(w, 1);
    nnd_json_key(w, "additionalProperties");
    nnd_json_put_bool(w, false);
    nnd_json_end_object(w);
}

static void define_boundary(writer *w)
{
    open_object(w, "input", "name");
    simple(w, "name", "string", NULL);
    simple(w, "type", "string", "port type: image, list<image>, image|tensor, any, …");
    close_object(w);
    open_object(w, "output", "name from");
    simple(w, "name", "string", NULL);
    ref(w, "from", "end");
    close_object(w);
    open_object(w, "promoted", "name to");
    simple(w, "name", "string", NULL);
    ref(w, "to", "end");
    close_object(w);
    open_object(w, "edge", "from to");
    ref(w, "from", "end");
    ref(w, "to", "end");
    enumeration(w, "kind", "data|param");
    number(w, "queue", "integer", 1);
    number(w, "bytes", "integer", 1);
    number(w, "age_ms", "number", 0);
    enumeration(w, "policy", "block|drop_oldest|drop_newest|latest|fault");
    close_object(w);
    open_object(w, "carry", "in out");
    simple(w, "in", "string", "input of the body's next turn");
    simple(w, "out", "string", "output of the body");
    close_object(w);
    open_object(w, "port", "name");
    simple(w, "name", "string", NULL);
    simple(w, "type", "string", NULL);
    close_object(w);
}

static void graph_members(writer *w)
{
    array_of(w, "params", "promoted");
    array_of(w, "inputs", "input");
    array_of(w, "outputs", "output");
    array_of(w, "nodes", "node");
    array_of(w, "edges", "edge");
}

static void node_members(writer *w)
{
    ref(w, "id", "id");
    simple(w, "type", "string", "node type, 'image.resize' or with its version 'image.resize@1'");
    simple(w, "title", "string", NULL);
    simple(w, "device", "string", "'cpu', 'sim:0', …");
    simple(w, "params", "object", NULL);
    open_object(w, "ports", NULL);
    array_of(w, "in", "port");
    array_of(w, "out", "port");
    close_object(w);
    simple(w, "on_error", NULL,
           "fail_graph, skip, isolate, {retry: n}, {restart: …}, {fallback: node}");
    simple(w, "input_policy", NULL, NULL);
    number(w, "deadline_ms", "number", 0);
    simple(w, "bypass", "boolean", NULL);
    simple(w, "mute", "boolean", NULL);
    simple(w, "ref", "string", "a workflow file used as sub-graph");
    open_object(w, "graph", NULL);
    graph_members(w);
    close_object(w);
    array_of(w, "carry", "carry");
    simple(w, "count", NULL, "flow.loop: number of turns");
    simple(w, "until", "string", "flow.loop: bool output that ends it");
}

static void define_node(writer *w, nnd_registry *registry)
{
    nnd_json_key(w, "node");
    nnd_json_begin_object(w);
    type(w, "object");
    required(w, "id type");
    nnd_json_key(w, "properties");
    nnd_json_begin_object(w);
    node_members(w);
    nnd_json_end_object(w);
    nnd_json_key(w, "allOf");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < nnd_registry_count(registry); i++) {
        const nnd_node_type *t = nnd_registry_at(registry, i);
        node_rule(w, t, nnd_registry_find(registry, t->type, 0) == t);
    }
    nnd_json_end_array(w);
    nnd_json_end_object(w);
}

nnd_status nnd_workflow_schema(nnd_registry *registry, nnd_json_writer *w)
{
    if (!registry || !w)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_workflow_schema: a registry and a writer are required");
    nnd_json_begin_object(w);
    text(w, "$schema", "https://json-schema.org/draft/2020-12/schema");
    text(w, "title", "nndeploy workflow, format 1");
    type(w, "object");
    required(w, "format");
    nnd_json_key(w, "properties");
    nnd_json_begin_object(w);
    enumeration(w, "format", "nndeploy/1");
    simple(w, "name", "string", NULL);
    simple(w, "title", "string", NULL);
    simple(w, "description", "string", NULL);
    open_object(w, "requires", NULL);
    simple(w, "nndeploy", "string", "\">=1.0\"");
    simple(w, "plugins", "object", "plug-in name → version");
    simple(w, "features", "array", NULL);
    close_object(w);
    graph_members(w);
    open_object(w, "run", NULL);
    enumeration(w, "mode", "serial|task|pipeline");
    close_object(w);
    simple(w, "models", "object", "catalogue name → {\"sha256\": …}");
    simple(w, "ui", "object", "where the editor keeps positions");
    nnd_json_end_object(w);
    nnd_json_key(w, "$defs");
    nnd_json_begin_object(w);
    define_small(w);
    define_boundary(w);
    define_node(w, registry);
    nnd_json_end_object(w);
    nnd_json_end_object(w);
    return NND_OK;
}
