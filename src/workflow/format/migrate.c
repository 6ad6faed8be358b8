/* Brings nodes to newer versions of their types, by the migrations in the registry. */
#include "workflow/format/document.h"

#include "base/str.h"
#include "base/vec.h"
#include "workflow/registry.h"

#include <string.h>

/* What one node becomes; applied when all nodes are known to succeed. */
typedef struct change {
    wf_node *node;
    char *path;
    wf_fields params;
    int version;
} change;

typedef struct migrator {
    nnd_registry *registry;
    nnd_diagnostics *diags;
    const char *file;
    NND_VEC(change) changes;
} migrator;

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to migrate a workflow");
}

static void change_fini(change *c)
{
    nnd_free(c->path);
    wf_fields_fini(&c->params);
}

static nnd_status params_text(const wf_fields *params, char **out)
{
    nnd_json_writer *w = NULL;
    nnd_status status = nnd_json_writer_create(0, &w);
    if (status != NND_OK) return status;
    nnd_json_begin_object(w);
    for (size_t i = 0; i < params->count && status == NND_OK; i++) {
        nnd_json_key(w, params->items[i].name);
        status = wf_put_text(w, params->items[i].json);
    }
    nnd_json_end_object(w);
    if (status == NND_OK) status = nnd_json_writer_take(w, out, NULL);
    nnd_json_writer_destroy(w);
    return status;
}

static nnd_status read_params(const nnd_json *json, wf_place place, wf_fields *out)
{
    if (nnd_json_get_type(json) != NND_JSON_OBJECT)
        return nnd_error_set(NND_E_FORMAT, "the migration gives no object of parameters");
    for (size_t i = 0; i < nnd_json_count(json); i++) {
        char *text = NULL;
        NND_TRY(wf_json_text(nnd_json_at(json, i), &text));
        nnd_status status = wf_fields_set(out, nnd_json_key_at(json, i), text, place);
        nnd_free(text);
        NND_TRY(status);
    }
    return NND_OK;
}

/* Runs one step: the callback sees *params, which is replaced by what it writes. */
static nnd_status step(const nnd_migration *m, wf_place place, wf_fields *params)
{
    char *before = NULL, *after = NULL;
    nnd_json_doc *doc = NULL, *result = NULL;
    nnd_json_writer *w = NULL;
    wf_fields fresh = {0};
    nnd_status status = params_text(params, &before);
    if (status == NND_OK) status = nnd_json_parse(before, strlen(before), NULL, &doc);
    if (status == NND_OK) status = nnd_json_writer_create(0, &w);
    if (status == NND_OK) status = m->params(nnd_json_root(doc), w);
    if (status == NND_OK) status = nnd_json_writer_take(w, &after, NULL);
    if (status == NND_OK) status = nnd_json_parse(after, strlen(after), NULL, &result);
    if (status == NND_OK) status = read_params(nnd_json_root(result), place, &fresh);
    if (status == NND_OK) {
        wf_fields_fini(params);
        *params = fresh;
    } else {
        wf_fields_fini(&fresh);
    }
    nnd_json_writer_destroy(w);
    nnd_json_destroy(doc);
    nnd_json_destroy(result);
    nnd_free(before);
    nnd_free(after);
    return status;
}

static nnd_status copy_params(const wf_node *node, wf_fields *out)
{
    for (size_t i = 0; i < node->params.count; i++)
        NND_TRY(wf_fields_add(out, node->params.items[i].name, node->params.items[i].json,
                              node->params.items[i].place));
    return NND_OK;
}

/* Takes as many steps as there are; a step to a version that is not here is none. */
static nnd_status walk(const migrator *m, change *c)
{
    for (;;) {
        const nnd_migration *next = wf_registry_migration(m->registry, c->node->type, c->version);
        if (!next || !nnd_registry_find(m->registry, c->node->type, next->to_version))
            return NND_OK;
        nnd_status status = step(next, c->node->place, &c->params);
        if (status == NND_E_OUT_OF_MEMORY) return status;
        if (status != NND_OK) {
            status = nnd_error_wrap(status, "'%s@%d' cannot become version %d", c->node->type,
                                    c->version, next->to_version);
            nnd_error_set_node(c->path, NULL);
            return status;
        }
        c->version = next->to_version;
    }
}

static nnd_status migrate_node(migrator *m, wf_node *node, const char *path)
{
    const nnd_node_type *newest = nnd_registry_find(m->registry, node->type, 0);
    if (!newest || node->version == 0 || node->version >= newest->version) return NND_OK;
    change c = {.node = node, .path = nnd_strdup(path), .version = node->version};
    nnd_status status = c.path ? copy_params(node, &c.params) : no_memory();
    if (status == NND_OK) status = walk(m, &c);
    if (status == NND_OK && c.version < newest->version)
        status = wf_report(m->diags, NND_SEVERITY_WARNING, NND_OK, "no-migration", m->file,
                           node->place, path, "", NULL,
                           "there is version %d of '%s', and no way there from version %d",
                           newest->version, node->type, c.version);
    if (status == NND_OK && c.version > node->version && !nnd_vec_push(&m->changes, c))
        status = no_memory();
    else if (status == NND_OK && c.version > node->version)
        return NND_OK; /* the list holds it now */
    change_fini(&c);
    return status;
}

static nnd_status migrate_graph(migrator *m, wf_graph *graph, const char *prefix)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        wf_node *node = &graph->nodes[i];
        char *path = prefix[0] ? nnd_strf("%s/%s", prefix, node->id) : nnd_strdup(node->id);
        if (!path) return no_memory();
        nnd_status status = migrate_node(m, node, path);
        if (status == NND_OK && node->graph && !node->ref)
            status = migrate_graph(m, node->graph, path);
        nnd_free(path);
        NND_TRY(status);
    }
    return NND_OK;
}

/* Says what will change, step by step: nothing is changed silently. */
static nnd_status announce(const migrator *m, const change *c)
{
    for (int version = c->node->version; version < c->version;) {
        const nnd_migration *next = wf_registry_migration(m->registry, c->node->type, version);
        NND_TRY(wf_report(m->diags, NND_SEVERITY_WARNING, NND_OK, "migrated", m->file,
                          c->node->place, c->path, "", NULL, "'%s' from version %d to %d: %s",
                          c->node->type, version, next->to_version, next->text));
        version = next->to_version;
    }
    return NND_OK;
}

nnd_status nnd_workflow_migrate(nnd_workflow *wf, nnd_registry *registry, nnd_diagnostics *diags,
                                size_t *changed)
{
    if (!wf || !registry)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_workflow_migrate: a workflow and a registry are required");
    migrator m = {.registry = registry, .diags = diags, .file = wf->file};
    nnd_status status = migrate_graph(&m, &wf->root, "");
    for (size_t i = 0; i < m.changes.count && status == NND_OK; i++)
        status = announce(&m, &m.changes.items[i]);
    for (size_t i = 0; i < m.changes.count; i++) {
        change *c = &m.changes.items[i];
        if (status == NND_OK) {
            wf_fields old = c->node->params;
            c->node->params = c->params;
            c->params = old;
            c->node->version = c->version;
        }
        change_fini(c);
    }
    if (status == NND_OK && changed) *changed = m.changes.count;
    nnd_vec_free(&m.changes);
    return status;
}
