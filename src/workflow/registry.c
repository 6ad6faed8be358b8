/* The set of node types: checked when they come in, sorted by name and version. */
#include "workflow/registry.h"

#include "nndeploy/plugin.h"

#include "base/options.h"
#include "base/str.h"
#include "base/vec.h"
#include "port/port.h"
#include "workflow/flow/flow.h"
#include "workflow/format/params.h"
#include "workflow/type_expr.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct nnd_registry {
    _Atomic uint32_t holders;
    nnd_port_mutex lock;
    NND_VEC(const nnd_node_type *) types; /* sorted by type, version */
    NND_VEC(wf_registry_owner) owners;
    NND_VEC(const nnd_migration *) migrations;
};

/* ---- descriptor checks ------------------------------------------------------------------- */

static nnd_status bad_type(const nnd_node_type *t, const char *field, const char *what)
{
    return nnd_error_set(NND_E_INVALID_ARGUMENT, "node type '%s', %s: %s", t->type ? t->type : "?",
                         field, what);
}

/* "image.resize": lower-case words joined by dots. */
static bool type_name_is_valid(const char *name)
{
    size_t n = 0;
    bool dot = false, start = true;
    for (; name[n]; n++) {
        char c = name[n];
        bool letter = c >= 'a' && c <= 'z';
        bool later = (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (c == '.' && !start) {
            start = true;
            dot = true;
            continue;
        }
        if (!letter && (start || !later)) return false;
        start = false;
    }
    return dot && !start && n <= 96;
}

static nnd_status check_ports(const nnd_node_type *t, const nnd_array *ports, const char *which)
{
    if (ports->count && (!ports->items || ports->item_size < sizeof(nnd_port)))
        return bad_type(t, which, "the array is empty or its elements are too small");
    for (size_t i = 0; i < ports->count; i++) {
        const nnd_port *port = wf_port_at(ports, i);
        if (!port->name || !port->name[0] || !port->type)
            return bad_type(t, which, "a port has no name or no type");
        if (wf_type_check(port->type, false) != NND_OK)
            return nnd_error_wrap(NND_E_INVALID_ARGUMENT, "node type '%s', port '%s'", t->type,
                                  port->name);
        for (size_t k = 0; k < i; k++)
            if (strcmp(wf_port_at(ports, k)->name, port->name) == 0)
                return bad_type(t, port->name, "two ports have this name");
    }
    return NND_OK;
}

static bool has_bounds(const nnd_param *p)
{
    return p->minimum != 0 || p->maximum != 0;
}

/* What reading the default relies on: a known kind with the fields that it uses. */
static nnd_status check_kind(const nnd_node_type *t, const nnd_param *p)
{
    if (p->kind < NND_PARAM_KIND_BOOL || p->kind > NND_PARAM_KIND_JSON)
        return bad_type(t, p->name, "its kind is unknown to this version");
    if (p->kind >= NND_PARAM_KIND_ENUM && !p->string)
        return bad_type(t, p->name, "its default is missing (use \"\")");
    if (p->kind == NND_PARAM_KIND_ENUM &&
        (!p->values || nnd_parse_choice(p->string, p->values) < 0))
        return bad_type(t, p->name, "its default is none of its values");
    if (p->kind == NND_PARAM_KIND_BOOL && p->number != 0 && p->number != 1)
        return bad_type(t, p->name, "its default is not 0 or 1");
    if (p->kind == NND_PARAM_KIND_INT &&
        !(p->number == floor(p->number) && fabs(p->number) <= 9007199254740991.0))
        return bad_type(t, p->name, "its default is no whole number within 2^53");
    if ((p->flags & NND_PARAM_SECRET) && (p->kind != NND_PARAM_KIND_TEXT || p->string[0]))
        return bad_type(t, p->name, "a secret is a TEXT parameter without default");
    return NND_OK;
}

static nnd_status check_default(const nnd_node_type *t, const nnd_param *p)
{
    NND_TRY(check_kind(t, p));
    nnd_status status = wf_param_check_default(p);
    if (status == NND_OK || status == NND_E_OUT_OF_MEMORY) return status;
    return nnd_error_wrap(NND_E_INVALID_ARGUMENT, "node type '%s', parameter '%s': its default",
                          t->type, p->name);
}

static nnd_status check_params(const nnd_node_type *t)
{
    if (t->params.count && (!t->params.items || t->params.item_size < sizeof(nnd_param)))
        return bad_type(t, "params", "the array is empty or its elements are too small");
    for (size_t i = 0; i < t->params.count; i++) {
        const nnd_param *p = wf_param_at(&t->params, i);
        if (!p->name || !p->name[0]) return bad_type(t, "params", "a parameter has no name");
        if (!(p->minimum <= p->maximum))
            return bad_type(t, p->name, "its bounds are the wrong way");
        for (size_t k = 0; k < i; k++)
            if (strcmp(wf_param_at(&t->params, k)->name, p->name) == 0)
                return bad_type(t, p->name, "two parameters have this name");
        NND_TRY(check_default(t, p));
    }
    return NND_OK;
}

nnd_status wf_node_type_check(const nnd_node_type *t)
{
    if (!t) return nnd_error_set(NND_E_INVALID_ARGUMENT, "a node type is missing (NULL)");
    if (t->struct_size < sizeof(nnd_node_type))
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "a node type descriptor is smaller (%zu bytes) than this version's "
                             "(%zu): build the plug-in with headers of nndeploy 1.0 or later",
                             t->struct_size, sizeof(nnd_node_type));
    if (!t->type || !type_name_is_valid(t->type))
        return bad_type(t, "type", "a type is lower-case words joined by dots, 'image.resize'");
    if (t->version < 1 || t->version > 99999) return bad_type(t, "version", "must be 1 or more");
    if (!t->process) return bad_type(t, "process", "the callback is missing");
    NND_TRY(check_ports(t, &t->inputs, "inputs"));
    NND_TRY(check_ports(t, &t->outputs, "outputs"));
    return check_params(t);
}

/* ---- life -------------------------------------------------------------------------------- */

nnd_status nnd_registry_create(nnd_registry **out)
{
    nnd_registry *r = nnd_calloc(1, sizeof *r);
    if (!r || nnd_port_mutex_init(&r->lock)) {
        nnd_free(r);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a registry");
    }
    r->holders = 1;
    nnd_status status = wf_registry_add_all(r, wf_flow_types, wf_flow_type_count, NULL);
    if (status != NND_OK) {
        nnd_registry_unref(r);
        return status;
    }
    *out = r;
    return NND_OK;
}

nnd_registry *nnd_registry_ref(nnd_registry *r)
{
    if (r) atomic_fetch_add_explicit(&r->holders, 1, memory_order_relaxed);
    return r;
}

void nnd_registry_unref(nnd_registry *r)
{
    if (!r || atomic_fetch_sub_explicit(&r->holders, 1, memory_order_acq_rel) != 1) return;
    /* Descriptors live in the plug-ins: the list goes first. */
    nnd_vec_free(&r->types);
    nnd_vec_free(&r->migrations);
    for (size_t i = r->owners.count; i-- > 0;)
        if (r->owners.items[i].release) r->owners.items[i].release(r->owners.items[i].object);
    nnd_vec_free(&r->owners);
    nnd_port_mutex_fini(&r->lock);
    nnd_free(r);
}

/* ---- content ----------------------------------------------------------------------------- */

static int compare(const nnd_node_type *a, const char *type, int version)
{
    int names = strcmp(a->type, type);
    return names ? names : a->version < version ? -1 : a->version > version;
}

/* First position whose type is not below (type, version). */
static size_t lower_bound(const nnd_registry *r, const char *type, int version)
{
    size_t low = 0, high = r->types.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(r->types.items[middle], type, version) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static nnd_status check_new(const nnd_registry *r, const nnd_node_type *const *types, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const nnd_node_type *t = types[i];
        size_t at = lower_bound(r, t->type, t->version);
        bool exists = at < r->types.count && compare(r->types.items[at], t->type, t->version) == 0;
        for (size_t k = 0; k < i; k++)
            exists = exists || compare(types[k], t->type, t->version) == 0;
        if (exists)
            return nnd_error_set(NND_E_EXISTS, "there is a node type '%s@%d' already", t->type,
                                 t->version);
    }
    return NND_OK;
}

static void insert(nnd_registry *r, const nnd_node_type *t)
{
    size_t at = lower_bound(r, t->type, t->version);
    memmove(&r->types.items[at + 1], &r->types.items[at],
            (r->types.count - at) * sizeof r->types.items[0]);
    r->types.items[at] = t;
    r->types.count++;
}

nnd_status wf_registry_add_all(nnd_registry *r, const nnd_node_type *const *types, size_t count,
                               const wf_registry_owner *owner)
{
    for (size_t i = 0; i < count; i++)
        NND_TRY(wf_node_type_check(types[i]));
    nnd_port_mutex_lock(&r->lock);
    nnd_status status = check_new(r, types, count);
    if (status == NND_OK &&
        (!nnd_vec_reserve(&r->types, count) || !nnd_vec_reserve(&r->owners, owner ? 1u : 0u)))
        status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for node types");
    if (status == NND_OK) {
        for (size_t i = 0; i < count; i++)
            insert(r, types[i]);
        if (owner) r->owners.items[r->owners.count++] = *owner;
    }
    nnd_port_mutex_unlock(&r->lock);
    return status;
}

nnd_status nnd_registry_add(nnd_registry *r, const nnd_node_type *type)
{
    if (!r)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_registry_add: a registry is required");
    return wf_registry_add_all(r, &type, 1, NULL);
}

/* The registry is locked through a const pointer: looking things up does not change it. */
static nnd_port_mutex *lock_of(const nnd_registry *r)
{
    return &((nnd_registry *)(uintptr_t)r)->lock;
}

const nnd_node_type *nnd_registry_find(const nnd_registry *r, const char *type, int version)
{
    const nnd_node_type *found = NULL;
    if (!r || !type) return NULL;
    nnd_port_mutex_lock(lock_of(r));
    if (version > 0) {
        size_t at = lower_bound(r, type, version);
        if (at < r->types.count && compare(r->types.items[at], type, version) == 0)
            found = r->types.items[at];
    } else {
        size_t behind = lower_bound(r, type, 100000);
        if (behind > 0 && strcmp(r->types.items[behind - 1]->type, type) == 0)
            found = r->types.items[behind - 1];
    }
    nnd_port_mutex_unlock(lock_of(r));
    return found;
}

size_t nnd_registry_count(const nnd_registry *r)
{
    nnd_port_mutex_lock(lock_of(r));
    size_t count = r->types.count;
    nnd_port_mutex_unlock(lock_of(r));
    return count;
}

const nnd_node_type *nnd_registry_at(const nnd_registry *r, size_t index)
{
    nnd_port_mutex_lock(lock_of(r));
    const nnd_node_type *type = index < r->types.count ? r->types.items[index] : NULL;
    nnd_port_mutex_unlock(lock_of(r));
    return type;
}

bool nnd_registry_extension(const nnd_registry *r, size_t index, const char **kind,
                            const void **extension)
{
    const nnd_extension *found = NULL;
    if (!r || !kind || !extension) return false;
    nnd_port_mutex_lock(lock_of(r));
    for (size_t i = 0; i < r->owners.count && !found; i++) {
        const nnd_array *list = &r->owners.items[i].extensions;
        if (index < list->count)
            found = (const nnd_extension *)((const char *)list->items + index * list->item_size);
        else
            index -= list->count;
    }
    nnd_port_mutex_unlock(lock_of(r));
    if (!found) return false;
    *kind = found->kind;
    *extension = found->extension;
    return true;
}

const char *wf_registry_plugin_version(const nnd_registry *r, const char *name)
{
    const char *version = NULL;
    nnd_port_mutex_lock(lock_of(r));
    for (size_t i = 0; i < r->owners.count && !version; i++)
        if (strcmp(r->owners.items[i].name, name) == 0) version = r->owners.items[i].version;
    nnd_port_mutex_unlock(lock_of(r));
    return version;
}

/* ---- migrations -------------------------------------------------------------------------- */

static const nnd_migration *find_migration(const nnd_registry *r, const char *type, int from)
{
    for (size_t i = 0; i < r->migrations.count; i++) {
        const nnd_migration *m = r->migrations.items[i];
        if (m->from_version == from && strcmp(m->type, type) == 0) return m;
    }
    return NULL;
}

const nnd_migration *wf_registry_migration(const nnd_registry *r, const char *type, int from)
{
    nnd_port_mutex_lock(lock_of(r));
    const nnd_migration *found = find_migration(r, type, from);
    nnd_port_mutex_unlock(lock_of(r));
    return found;
}

nnd_status nnd_registry_add_migration(nnd_registry *r, const nnd_migration *m)
{
    if (!r || !m || m->struct_size < sizeof(nnd_migration) || !m->type || !m->text || !m->params)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "a migration needs its size, a type, a text and a callback");
    if (m->from_version < 1 || m->to_version <= m->from_version)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "migration of '%s': from version %d to %d is no step forward", m->type,
                             m->from_version, m->to_version);
    nnd_port_mutex_lock(&r->lock);
    nnd_status status = NND_OK;
    if (find_migration(r, m->type, m->from_version))
        status = nnd_error_set(NND_E_EXISTS, "there is a migration of '%s@%d' already", m->type,
                               m->from_version);
    else if (!nnd_vec_push(&r->migrations, m))
        status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a migration");
    nnd_port_mutex_unlock(&r->lock);
    return status;
}

/* ---- description ------------------------------------------------------------------------- */

static void put(nnd_json_writer *w, const char *key, const char *text)
{
    nnd_json_key(w, key);
    nnd_json_put_string(w, text ? text : "");
}

static void put_flag(nnd_json_writer *w, const char *key, bool value)
{
    if (!value) return;
    nnd_json_key(w, key);
    nnd_json_put_bool(w, true);
}

static void put_ports(nnd_json_writer *w, const char *key, const nnd_array *ports)
{
    nnd_json_key(w, key);
    nnd_json_begin_array(w);
    for (size_t i = 0; i < ports->count; i++) {
        const nnd_port *port = wf_port_at(ports, i);
        nnd_json_begin_object(w);
        put(w, "name", port->name);
        put(w, "type", port->type);
        put(w, "text", port->text);
        put_flag(w, "optional", port->flags & NND_PORT_OPTIONAL);
        put_flag(w, "variadic", port->flags & NND_PORT_VARIADIC);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
}

static const char *kind_name(nnd_param_kind kind)
{
    static const char *const names[] = {"?",    "bool",  "int",     "float",   "enum", "text",
                                        "file", "model", "numbers", "strings", "json"};
    return (size_t)kind < NND_COUNT(names) ? names[kind] : "?";
}

static nnd_status put_default(nnd_json_writer *w, const nnd_param *p)
{
    nnd_json_key(w, "default");
    if (p->flags & NND_PARAM_REQUIRED)
        nnd_json_put_null(w);
    else if (p->kind == NND_PARAM_KIND_BOOL)
        nnd_json_put_bool(w, p->number != 0);
    else if (p->kind == NND_PARAM_KIND_INT || p->kind == NND_PARAM_KIND_FLOAT)
        nnd_json_put_number(w, p->number);
    else if (p->kind >= NND_PARAM_KIND_NUMBERS)
        return wf_put_text(w, p->string);
    else
        nnd_json_put_string(w, p->string);
    return NND_OK;
}

static void put_values(nnd_json_writer *w, const char *values)
{
    nnd_json_key(w, "values");
    nnd_json_begin_array(w);
    for (const char *p = values; *p;) {
        size_t n = strcspn(p, "|");
        nnd_json_put_string_n(w, p, n);
        p += n;
        if (*p) p++;
    }
    nnd_json_end_array(w);
}

static nnd_status put_param(nnd_json_writer *w, const nnd_param *p)
{
    nnd_json_begin_object(w);
    put(w, "name", p->name);
    put(w, "kind", kind_name(p->kind));
    NND_TRY(put_default(w, p));
    if (has_bounds(p)) {
        nnd_json_key(w, "minimum");
        nnd_json_put_number(w, p->minimum);
        nnd_json_key(w, "maximum");
        nnd_json_put_number(w, p->maximum);
    }
    if (p->values) put_values(w, p->values);
    put(w, "unit", p->unit);
    put(w, "text", p->text);
    if (p->widget) put(w, "widget", p->widget);
    put_flag(w, "required", p->flags & NND_PARAM_REQUIRED);
    put_flag(w, "secret", p->flags & NND_PARAM_SECRET);
    put_flag(w, "static", p->flags & NND_PARAM_STATIC);
    put_flag(w, "advanced", p->flags & NND_PARAM_ADVANCED);
    nnd_json_end_object(w);
    return NND_OK;
}

static void put_flags(nnd_json_writer *w, uint32_t flags)
{
    static const char *const names[] = {"pure",      "stateful", "blocking", "reentrant", "inplace",
                                        "batchable", "source",   "sink",     "random"};
    nnd_json_key(w, "flags");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < NND_COUNT(names); i++)
        if (flags & (1u << i)) nnd_json_put_string(w, names[i]);
    nnd_json_end_array(w);
}

nnd_status nnd_node_type_to_json(const nnd_node_type *t, nnd_json_writer *w)
{
    if (!t || !w)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_node_type_to_json: a type and a writer are required");
    nnd_json_begin_object(w);
    put(w, "type", t->type);
    nnd_json_key(w, "version");
    nnd_json_put_int(w, t->version);
    put(w, "category", t->category);
    put(w, "title", t->title);
    put(w, "text", t->text);
    put_ports(w, "inputs", &t->inputs);
    put_ports(w, "outputs", &t->outputs);
    put_flag(w, "dynamic_ports", t->resolve_ports != NULL);
    nnd_json_key(w, "params");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < t->params.count; i++)
        NND_TRY(put_param(w, wf_param_at(&t->params, i)));
    nnd_json_end_array(w);
    put_flags(w, t->flags);
    nnd_json_end_object(w);
    return NND_OK;
}
