/* Which values the document, promotions and overrides give to one node's parameters. */
#include <string.h>

#include "base/str.h"
#include "workflow/compile/compile.h"

static nnd_status push_given(wf_givens *out, const wf_field *field, const char *name,
                             const wf_scope *scope)
{
    wf_given given = {*field, scope};
    if (name) given.field.name = (char *)(uintptr_t)name;
    if (!nnd_vec_push(out, given)) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    return NND_OK;
}

/* Splits "node.param=JSON" into parts; the node part may hold '/' but no '.'. */
static bool split_override(const char *text, size_t *node_size, const char **param,
                           size_t *param_size, const char **json)
{
    const char *dot = strchr(text, '.');
    const char *equal = dot ? strchr(dot, '=') : NULL;
    if (!equal || dot == text || equal == dot + 1) return false;
    *node_size = (size_t)(dot - text);
    *param = dot + 1;
    *param_size = (size_t)(equal - dot - 1);
    *json = equal + 1;
    return true;
}

/* A word such as an enumeration's value, which people write without quotes. */
static bool is_bare_word(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char others[] = "0123456789_-./:@";
    bool is_json =
        strcmp(text, "true") == 0 || strcmp(text, "false") == 0 || strcmp(text, "null") == 0;
    if (is_json || !strspn(text, letters)) return false;
    while (*text && (strchr(letters, *text) || strchr(others, *text)))
        text++;
    return !*text;
}

/* The value of an override as JSON; NULL without memory. */
static const char *override_json(wf_compiler *c, const char *text)
{
    if (!is_bare_word(text)) return text;
    char *quoted = nnd_strf("\"%s\"", text);
    const char *json = quoted ? nnd_arena_strdup_n(&c->arena, quoted, strlen(quoted)) : NULL;
    nnd_free(quoted);
    return json;
}

/* Overrides of the options that name this node. */
static nnd_status collect_overrides(wf_compiler *c, const wf_scope *scope, const char *path,
                                    wf_givens *out)
{
    for (size_t i = 0; i < c->options->set_count; i++) {
        size_t node_size, param_size;
        const char *param, *json;
        if (!split_override(c->options->set[i], &node_size, &param, &param_size, &json)) continue;
        if (strlen(path) != node_size || memcmp(path, c->options->set[i], node_size) != 0) continue;
        json = override_json(c, json);
        wf_field field = {
            nnd_arena_strdup_n(&c->arena, param, param_size), (char *)(uintptr_t)json, {0, 0}};
        if (!field.name || !json) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
        NND_TRY(push_given(out, &field, NULL, scope));
    }
    return NND_OK;
}

/* What reaches the promoted parameters of a graph: the outer node's values, "@" at the root. */
static nnd_status collect_graph_givens(wf_compiler *c, const wf_scope *scope, wf_givens *out)
{
    if (scope->parent) return wf_collect_givens(c, scope->parent, scope->node, out);
    return collect_overrides(c, scope, "@", out);
}

static nnd_status collect_promoted(wf_compiler *c, const wf_scope *scope, const wf_node *node,
                                   wf_givens *out)
{
    for (size_t i = 0; i < scope->graph->param_count; i++) {
        const wf_promoted *p = &scope->graph->params[i];
        if (strcmp(p->to_node, node->id) != 0) continue;
        wf_givens outer = {NULL, 0, 0};
        nnd_status status = collect_graph_givens(c, scope, &outer);
        for (size_t k = 0; k < outer.count && status == NND_OK; k++) {
            if (strcmp(outer.items[k].field.name, p->name) != 0) continue;
            status = push_given(out, &outer.items[k].field, p->to_param, outer.items[k].scope);
        }
        nnd_vec_free(&outer);
        NND_TRY(status);
    }
    return NND_OK;
}

nnd_status wf_collect_givens(wf_compiler *c, const wf_scope *scope, const wf_node *node,
                             wf_givens *out)
{
    for (size_t i = 0; i < node->params.count; i++)
        NND_TRY(push_given(out, &node->params.items[i], NULL, scope));
    NND_TRY(collect_promoted(c, scope, node, out));
    nnd_str path = {0};
    nnd_str_printf(&path, "%s%s", scope->prefix, node->id);
    nnd_status status = path.failed ? nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory")
                                    : collect_overrides(c, scope, path.data, out);
    nnd_str_free(&path);
    return status;
}

nnd_status wf_check_overrides(wf_compiler *c)
{
    const wf_place nowhere = {0, 0};
    for (size_t i = 0; i < c->options->set_count; i++) {
        const char *text = c->options->set[i];
        size_t node_size, param_size;
        const char *param, *json;
        if (!split_override(text, &node_size, &param, &param_size, &json)) {
            NND_TRY(wf_report(c->diags, NND_SEVERITY_ERROR, NND_E_INVALID_ARGUMENT, "bad-override",
                              NULL, nowhere, NULL, NULL, NULL,
                              "override '%s' is not of the form NODE.PARAM=JSON", text));
            continue;
        }
        char *path = nnd_strdup_n(text, node_size);
        if (!path) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
        nnd_status status = NND_OK;
        if (strcmp(path, "@") != 0 && !wf_document_find(c->wf, path))
            status = wf_report(c->diags, NND_SEVERITY_ERROR, NND_E_NOT_FOUND, "unknown-node", NULL,
                               nowhere, path, NULL, NULL,
                               "override '%s' names a node that does not exist", text);
        nnd_free(path);
        NND_TRY(status);
    }
    return NND_OK;
}
