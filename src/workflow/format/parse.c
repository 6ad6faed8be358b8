/* Reads a whole workflow file: the top level, and files that sub-graphs refer to. */
#include "workflow/format/parse.h"

#include "base/port_status.h"
#include "base/str.h"
#include "port/port.h"

#include <string.h>

/* ---- places and reports ------------------------------------------------------------------ */

wf_place wf_place_of(const nnd_json *json)
{
    return (wf_place){json ? nnd_json_line(json) : 0, json ? nnd_json_column(json) : 0};
}

wf_place wf_place_of_key(const nnd_json *object, size_t index)
{
    wf_place place = {0, 0};
    nnd_json_key_place(object, index, &place.line, &place.column);
    return place;
}

nnd_status wf_bad(wf_reader *r, wf_place place, const char *node, const char *port,
                  const char *code, const char *format, ...)
{
    nnd_str text = {0};
    va_list args;
    va_start(args, format);
    nnd_str_vprintf(&text, format, args);
    va_end(args);
    r->errors++;
    nnd_status status = wf_report(r->diags, NND_SEVERITY_ERROR, NND_E_VALIDATION, code, r->file,
                                  place, node, port, NULL, "%s", text.data ? text.data : code);
    nnd_str_free(&text);
    return status;
}

nnd_status wf_read_copy(const char *text, char **slot)
{
    nnd_free(*slot);
    *slot = nnd_strdup(text);
    return *slot ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a workflow");
}

nnd_status wf_read_string(wf_reader *r, const nnd_json *object, size_t index, const char *node,
                          char **slot)
{
    const nnd_json *json = nnd_json_at(object, index);
    const char *text = nnd_json_string(json, NULL);
    if (!text || strlen(text) != nnd_json_string_size(json))
        return wf_bad(r, wf_place_of(json), node, "", "wrong-kind", "'%s' must be a string%s",
                      nnd_json_key_at(object, index), text ? " without NUL characters" : "");
    return wf_read_copy(text, slot);
}

/* The text of a string without NUL characters, else NULL. */
static const char *plain_string(const nnd_json *json)
{
    const char *text = nnd_json_string(json, NULL);
    return text && strlen(text) == nnd_json_string_size(json) ? text : NULL;
}

nnd_status wf_read_pair(wf_reader *r, const nnd_json *json, const char *node, const char *what,
                        char **first, char **second)
{
    const char *a = plain_string(nnd_json_at(json, 0));
    const char *b = plain_string(nnd_json_at(json, 1));
    if (nnd_json_get_type(json) != NND_JSON_ARRAY || nnd_json_count(json) != 2 || !a || !b)
        return wf_bad(r, wf_place_of(json), node, "", "wrong-kind",
                      "'%s' must be a pair of strings, [\"node\", \"port\"]", what);
    NND_TRY(wf_read_copy(a, first));
    return wf_read_copy(b, second);
}

nnd_status wf_check_members(wf_reader *r, const nnd_json *object, const char *node, bool *good)
{
    size_t count = nnd_json_count(object);
    *good = count <= WF_MAX_FIELDS;
    if (!*good)
        return wf_bad(r, wf_place_of(object), node, "", "limit",
                      "an object with %zu members; at most %d are allowed", count, WF_MAX_FIELDS);
    for (size_t i = 0; i < count; i++) {
        if (strlen(nnd_json_key_at(object, i)) == nnd_json_key_size(object, i)) continue;
        *good = false;
        NND_TRY(wf_bad(r, wf_place_of_key(object, i), node, "", "wrong-kind",
                       "a field name with a NUL character"));
    }
    return NND_OK;
}

nnd_status wf_keep(const nnd_json *object, size_t index, wf_fields *fields)
{
    char *text = NULL;
    NND_TRY(wf_json_text(nnd_json_at(object, index), &text));
    nnd_status status = wf_fields_add(fields, nnd_json_key_at(object, index), text,
                                      wf_place_of(nnd_json_at(object, index)));
    nnd_free(text);
    return status;
}

nnd_status wf_keep_unknown(wf_reader *r, const nnd_json *object, size_t index, const char *node,
                           wf_fields *extra, const char *const *known, size_t known_count)
{
    const char *key = nnd_json_key_at(object, index);
    if (strncmp(key, "x-", 2) != 0)
        NND_TRY(wf_report(r->diags, NND_SEVERITY_WARNING, NND_OK, "unknown-field", r->file,
                          wf_place_of_key(object, index), node, "",
                          nnd_suggest_from(key, known, known_count),
                          "unknown field '%s' is kept and ignored", key));
    return wf_keep(object, index, extra);
}

/* ---- the top level ----------------------------------------------------------------------- */

static nnd_status read_wanted_version(wf_reader *r, const nnd_json *json)
{
    bool valid = false;
    const char *range = plain_string(json);
    if (!range)
        return wf_bad(r, wf_place_of(json), "", "", "wrong-kind",
                      "'requires.nndeploy' must be a string such as \">=1.0\"");
    if (wf_version_satisfies(nnd_version(), range, &valid)) return NND_OK;
    if (!valid)
        return wf_bad(r, wf_place_of(json), "", "", "version",
                      "'%s' is no range of versions; write \">=1.0\" or \">=1.0 <2\"", range);
    return wf_bad(r, wf_place_of(json), "", "", "version",
                  "this workflow wants nndeploy %s; this is %s", range, nnd_version());
}

static nnd_status read_plugins(wf_reader *r, const nnd_json *json)
{
    bool good = false, valid = false;
    if (nnd_json_get_type(json) != NND_JSON_OBJECT)
        return wf_bad(r, wf_place_of(json), "", "", "wrong-kind",
                      "'requires.plugins' must be an object: name → version");
    NND_TRY(wf_check_members(r, json, "", &good));
    for (size_t i = 0; good && i < nnd_json_count(json); i++) {
        const nnd_json *range = nnd_json_at(json, i);
        const char *text = plain_string(range);
        if (text) wf_version_satisfies("0", text, &valid);
        if (!text || !valid)
            NND_TRY(wf_bad(r, wf_place_of(range), "", "", "wrong-kind",
                           "the version of plug-in '%s' must be a string such as \">=1.0\", or "
                           "\"\" for any",
                           nnd_json_key_at(json, i)));
    }
    return NND_OK;
}

static nnd_status read_features(wf_reader *r, const nnd_json *json)
{
    if (nnd_json_get_type(json) != NND_JSON_ARRAY)
        return wf_bad(r, wf_place_of(json), "", "", "wrong-kind",
                      "'requires.features' must be an array of strings");
    for (size_t i = 0; i < nnd_json_count(json); i++) {
        const nnd_json *feature = nnd_json_at(json, i);
        const char *name = plain_string(feature);
        NND_TRY(name ? wf_bad(r, wf_place_of(feature), "", "", "unknown-feature",
                              "this workflow needs the feature '%s', which nndeploy %s does not "
                              "have",
                              name, nnd_version())
                     : wf_bad(r, wf_place_of(feature), "", "", "wrong-kind",
                              "each element of 'requires.features' must be a string"));
    }
    return NND_OK;
}

/* What a file asks for is checked here and kept whole, with members that we do not know. */
static nnd_status read_requires(wf_reader *r, const nnd_json *json, nnd_workflow *wf)
{
    static const char *const known[] = {"nndeploy", "plugins", "features"};
    wf_fields ignored = {0};
    nnd_status status = NND_OK;
    if (nnd_json_get_type(json) != NND_JSON_OBJECT)
        return wf_bad(r, wf_place_of(json), "", "", "wrong-kind", "'requires' must be an object");
    for (size_t i = 0; i < nnd_json_count(json) && status == NND_OK; i++) {
        const char *key = nnd_json_key_at(json, i);
        if (strcmp(key, "nndeploy") == 0)
            status = read_wanted_version(r, nnd_json_at(json, i));
        else if (strcmp(key, "plugins") == 0)
            status = read_plugins(r, nnd_json_at(json, i));
        else if (strcmp(key, "features") == 0)
            status = read_features(r, nnd_json_at(json, i));
        else
            status = wf_keep_unknown(r, json, i, "", &ignored, known, NND_COUNT(known));
    }
    wf_fields_fini(&ignored);
    NND_TRY(status);
    return wf_json_text(json, &wf->requires_json);
}

static nnd_status read_mode(wf_reader *r, const nnd_json *json, nnd_workflow *wf)
{
    static const char *const modes[] = {"serial", "task", "pipeline"};
    const char *mode = nnd_json_string(json, "");
    for (size_t m = 0; m < NND_COUNT(modes); m++)
        if (strcmp(mode, modes[m]) == 0) return wf_read_copy(mode, &wf->run_mode);
    return wf_bad(r, wf_place_of(json), "", "", "run-mode",
                  "'run.mode' must be \"serial\", \"task\" or \"pipeline\"");
}

static nnd_status read_run(wf_reader *r, const nnd_json *json, nnd_workflow *wf)
{
    static const char *const known[] = {"mode"};
    bool good = false;
    if (nnd_json_get_type(json) != NND_JSON_OBJECT)
        return wf_bad(r, wf_place_of(json), "", "", "wrong-kind", "'run' must be an object");
    NND_TRY(wf_check_members(r, json, "", &good));
    for (size_t i = 0; good && i < nnd_json_count(json); i++) {
        if (strcmp(nnd_json_key_at(json, i), "mode") == 0)
            NND_TRY(read_mode(r, nnd_json_at(json, i), wf));
        else
            NND_TRY(wf_keep_unknown(r, json, i, "", &wf->run_extra, known, NND_COUNT(known)));
    }
    return NND_OK;
}

static nnd_status read_models(wf_reader *r, const nnd_json *json)
{
    bool good = false;
    if (nnd_json_get_type(json) != NND_JSON_OBJECT)
        return wf_bad(r, wf_place_of(json), "", "", "wrong-kind",
                      "'models' must be an object: name → {\"sha256\": …}");
    NND_TRY(wf_check_members(r, json, "", &good));
    for (size_t i = 0; good && i < nnd_json_count(json); i++) {
        const nnd_json *pin = nnd_json_at(json, i), *sum = nnd_json_get(pin, "sha256");
        if (nnd_json_get_type(pin) != NND_JSON_OBJECT || (sum && !plain_string(sum)))
            NND_TRY(wf_bad(r, wf_place_of(pin), "", "", "wrong-kind",
                           "model '%s' must be an object such as {\"sha256\": \"…\"}",
                           nnd_json_key_at(json, i)));
        else
            NND_TRY(wf_keep(json, i, r->models));
    }
    return NND_OK;
}

static nnd_status read_member(wf_reader *r, const nnd_json *root, size_t i, nnd_workflow *wf)
{
    static const char *const known[] = {"format",  "name",  "requires",   "params", "inputs",
                                        "outputs", "nodes", "edges",      "run",    "models",
                                        "ui",      "title", "description"};
    const nnd_json *json = nnd_json_at(root, i);
    const char *key = nnd_json_key_at(root, i);
    nnd_status status = NND_OK;
    if (strcmp(key, "format") == 0) return NND_OK; /* checked before */
    if (strcmp(key, "name") == 0) return wf_read_string(r, root, i, "", &wf->name);
    if (strcmp(key, "requires") == 0) return read_requires(r, json, wf);
    if (strcmp(key, "run") == 0) return read_run(r, json, wf);
    if (strcmp(key, "models") == 0) return read_models(r, json);
    if (strcmp(key, "ui") == 0) return wf_json_text(json, &wf->ui);
    if (wf_read_graph_member(r, root, i, r->prefix, &wf->root, &status)) return status;
    if (strcmp(key, "title") == 0 || strcmp(key, "description") == 0)
        return wf_keep(root, i, &wf->extra);
    return wf_keep_unknown(r, root, i, "", &wf->extra, known, NND_COUNT(known));
}

static nnd_status check_format(wf_reader *r, const nnd_json *root)
{
    const nnd_json *format = nnd_json_get(root, "format");
    const char *text = nnd_json_string(format, "");
    if (strcmp(text, "nndeploy/1") == 0) return NND_OK;
    if (!format && nnd_json_get(root, "key_") && nnd_json_get(root, "node_repository_"))
        return wf_bad(r, wf_place_of(root), "", "", "format",
                      "this is a workflow of nndeploy 3.x (C++); "
                      "'nndeploy import-nndeploy' is meant for those");
    if (strncmp(text, "nndeploy/", 9) == 0)
        return wf_bad(r, wf_place_of(format), "", "", "format",
                      "format '%s' is newer than what nndeploy %s reads (nndeploy/1)", text,
                      nnd_version());
    return wf_bad(r, wf_place_of(format ? format : root), "", "", "format",
                  "a workflow begins with \"format\": \"nndeploy/1\"");
}

nnd_status wf_read_document(wf_reader *r, const nnd_json *root, nnd_workflow *wf)
{
    if (nnd_json_get_type(root) != NND_JSON_OBJECT)
        return wf_bad(r, wf_place_of(root), "", "", "wrong-kind",
                      "a workflow is a JSON object, not %s",
                      nnd_json_get_type(root) == NND_JSON_ARRAY ? "an array" : "a single value");
    size_t before = r->errors;
    bool good = false;
    NND_TRY(check_format(r, root));
    if (r->errors != before) return NND_OK; /* nothing else can be trusted */
    NND_TRY(wf_check_members(r, root, "", &good));
    for (size_t i = 0; good && i < nnd_json_count(root); i++)
        NND_TRY(read_member(r, root, i, wf));
    return wf_check_graph(r, r->prefix, &wf->root);
}

/* ---- files ------------------------------------------------------------------------------- */

static nnd_status finish(const wf_reader *r, nnd_status status, nnd_workflow *wf,
                         nnd_workflow **out)
{
    if (status == NND_OK && r->errors > 0) status = NND_E_VALIDATION;
    if (status != NND_OK) {
        nnd_workflow_destroy(wf);
        return status;
    }
    *out = wf;
    return NND_OK;
}

/* JSON errors become the one diagnostic of the file. */
static nnd_status report_json(wf_reader *r, nnd_status status)
{
    nnd_error *error = nnd_error_take();
    if (error && status == NND_E_FORMAT) {
        r->errors++;
        status = wf_report(r->diags, NND_SEVERITY_ERROR, NND_E_FORMAT, "json", r->file,
                           (wf_place){nnd_error_line(error), nnd_error_column(error)}, "", "", NULL,
                           "%s", nnd_error_message(error));
        if (status == NND_OK) status = NND_E_FORMAT;
    }
    if (error) nnd_error_restore(error);
    nnd_error_destroy(error);
    return status;
}

static nnd_status parse_text(const char *text, size_t size, wf_reader *r, nnd_workflow **out)
{
    nnd_json_doc *doc = NULL;
    nnd_workflow *wf = NULL;
    if (size > WF_MAX_TEXT)
        return nnd_error_set(NND_E_LIMIT, "a workflow of %zu bytes; at most %d are allowed", size,
                             (int)WF_MAX_TEXT);
    nnd_status status = nnd_json_parse(text, size, r->file, &doc);
    if (status != NND_OK) return report_json(r, status);
    status = nnd_workflow_create("", &wf);
    if (status == NND_OK && r->file) status = wf_read_copy(r->file, &wf->file);
    if (status == NND_OK) {
        if (!r->models) r->models = &wf->models;
        status = wf_read_document(r, nnd_json_root(doc), wf);
    }
    nnd_json_destroy(doc);
    return finish(r, status, wf, out);
}

nnd_status nnd_workflow_parse(const char *text, size_t size, const char *file, nnd_io *io,
                              nnd_diagnostics *diags, nnd_workflow **out)
{
    if (!text || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_workflow_parse: text and out are required");
    wf_budget budget = {0};
    nnd_diagnostics *own = NULL;
    if (!diags) NND_TRY(nnd_diagnostics_create(&own));
    wf_reader r = {
        .io = io, .diags = diags ? diags : own, .file = file, .prefix = "", .budget = &budget};
    size_t before = nnd_diagnostics_count(r.diags);
    if (file && nnd_port_path_real(file, &r.real)) r.real = NULL; /* not in the file system */
    nnd_status status = parse_text(text, size, &r, out);
    if (status == NND_E_VALIDATION) status = wf_diagnostics_fail(r.diags, before);
    nnd_port_free(r.real);
    nnd_diagnostics_destroy(own);
    return status;
}

nnd_status nnd_workflow_load(const char *path, nnd_io *io, nnd_diagnostics *diags,
                             nnd_workflow **out)
{
    if (!path || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_workflow_load: path and out are required");
    char *text = NULL;
    size_t size = 0;
    NND_TRY(nnd_error_from_port(nnd_port_file_read(path, WF_MAX_TEXT, &text, &size),
                                "cannot read workflow", path));
    nnd_status status = nnd_workflow_parse(text, size, path, io, diags, out);
    nnd_port_free(text);
    return status;
}

/* ---- sub-graphs in files of their own ------------------------------------------------------ */

/* A ref is relative to the folder of the file that holds it. */
static char *beside(const char *file, const char *ref)
{
    const char *slash = file ? strrchr(file, '/') : NULL;
    if (nnd_port_path_is_absolute(ref) || !slash) return nnd_strdup(ref);
    return nnd_strf("%.*s/%s", (int)(slash - file), file, ref);
}

/* Why the file could not be had goes into the finding: one that is not there can be put there. */
static nnd_status ref_failed(wf_reader *r, nnd_status why, const char *path, const char *ref,
                             wf_place place)
{
    if (why == NND_E_OUT_OF_MEMORY) return why;
    nnd_error *error = nnd_error_take();
    bool is_file = why == NND_E_NOT_FOUND || why == NND_E_PERMISSION;
    r->errors++;
    nnd_status status =
        wf_report(r->diags, NND_SEVERITY_ERROR, is_file ? why : NND_E_VALIDATION, "ref", r->file,
                  place, path, "", NULL, "sub-graph '%s' cannot be read: %s", ref,
                  error ? nnd_error_message(error) : nnd_status_text(why));
    nnd_error_destroy(error);
    return status;
}

/* Moves what a file holds into the graph of the node that refers to it. */
static void adopt(wf_node *node, wf_graph *graph, nnd_workflow *wf)
{
    *graph = wf->root;
    memset(&wf->root, 0, sizeof wf->root);
    graph->models = wf->models;
    memset(&wf->models, 0, sizeof wf->models);
    graph->requires_json = wf->requires_json;
    wf->requires_json = NULL;
    graph->file = wf->file;
    wf->file = NULL;
    node->graph = graph;
}

static nnd_status read_ref_text(wf_reader *r, wf_reader *inner, const char *path, wf_node *node,
                                wf_place place)
{
    void *bytes = NULL;
    size_t size = 0;
    nnd_workflow *wf = NULL;
    nnd_status status = nnd_io_read_file(r->io, inner->real, &bytes, &size);
    if (status != NND_OK) return ref_failed(r, status, path, node->ref, place);
    wf_graph *graph = nnd_calloc(1, sizeof *graph);
    status = graph ? parse_text(bytes, size, inner, &wf)
                   : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a sub-graph");
    nnd_free(bytes);
    if (status == NND_OK)
        adopt(node, graph, wf);
    else
        nnd_free(graph);
    nnd_workflow_destroy(wf);
    r->errors += inner->errors;
    if (status == NND_OK || inner->errors) return status == NND_E_OUT_OF_MEMORY ? status : NND_OK;
    return ref_failed(r, status, path, node->ref, place);
}

/* The file is known to be readable: not one of those being read, and not too many. */
static nnd_status read_ref_file(wf_reader *r, wf_reader *inner, const char *path, wf_node *node,
                                wf_place place)
{
    for (const wf_reader *o = r; o; o = o->outer)
        if (o->real && strcmp(o->real, inner->real) == 0)
            return wf_bad(r, place, path, "", "ref-recursion", "sub-graph '%s' contains itself",
                          node->ref);
    if (r->budget->refs++ >= WF_MAX_REFS)
        return wf_bad(r, place, path, "", "limit", "more than %d sub-graph files are referred to",
                      WF_MAX_REFS);
    return read_ref_text(r, inner, path, node, place);
}

nnd_status wf_read_ref(wf_reader *r, const char *path, wf_node *node, wf_place place)
{
    int depth = 1;
    if (!node->ref[0])
        return wf_bad(r, place, path, "", "ref", "'ref' is empty; it names a workflow file");
    if (!r->io) return NND_OK; /* validation says that it was not loaded */
    for (const char *p = path; *p; p++)
        depth += *p == '/';
    if (depth > WF_MAX_DEPTH)
        return wf_bad(r, place, path, "", "depth", "sub-graphs are nested deeper than %d levels",
                      WF_MAX_DEPTH);
    char *wanted = beside(r->real ? r->real : r->file, node->ref);
    char *shown = beside(r->file, node->ref);
    char *real = NULL;
    nnd_status status = NND_OK;
    if (!wanted || !shown)
        status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a path");
    else
        status = nnd_io_resolve_read(r->io, wanted, &real);
    if (status != NND_OK) {
        status = ref_failed(r, status, path, node->ref, place);
    } else {
        wf_reader inner = {.io = r->io,
                           .diags = r->diags,
                           .file = shown,
                           .real = real,
                           .outer = r,
                           .prefix = path,
                           .budget = r->budget};
        status = read_ref_file(r, &inner, path, node, place);
    }
    nnd_free(wanted);
    nnd_free(shown);
    nnd_free(real);
    return status;
}
