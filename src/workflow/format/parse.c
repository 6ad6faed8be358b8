/* Reads a whole workflow file: the top level, and files that sub-graphs refer to. */
#include "workflow/format/parse.h"

#include "base/port_status.h"
#include "base/str.h"
#include "port/port.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_FILE_BYTES = 256 << 20 };

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

nnd_status wf_read_pair(wf_reader *r, const nnd_json *json, const char *node, const char *what,
                        char **first, char **second)
{
    const char *a = nnd_json_string(nnd_json_at(json, 0), NULL);
    const char *b = nnd_json_string(nnd_json_at(json, 1), NULL);
    if (nnd_json_get_type(json) != NND_JSON_ARRAY || nnd_json_count(json) != 2 || !a || !b)
        return wf_bad(r, wf_place_of(json), node, "", "wrong-kind",
                      "'%s' must be a pair of strings, [\"node\", \"port\"]", what);
    NND_TRY(wf_read_copy(a, first));
    return wf_read_copy(b, second);
}

nnd_status wf_keep_unknown(wf_reader *r, const nnd_json *object, size_t index, const char *node,
                           wf_fields *extra, const char *const *known, size_t known_count)
{
    const char *key = nnd_json_key_at(object, index);
    char *text = NULL;
    if (strncmp(key, "x-", 2) != 0)
        NND_TRY(wf_report(r->diags, NND_SEVERITY_WARNING, NND_OK, "unknown-field", r->file,
                          wf_place_of_key(object, index), node, "",
                          nnd_suggest_from(key, known, known_count),
                          "unknown field '%s' is kept and ignored", key));
    NND_TRY(wf_json_text(nnd_json_at(object, index), &text));
    nnd_status status = wf_fields_set(extra, key, text, wf_place_of_key(object, index));
    nnd_free(text);
    return status;
}

/* ---- the top level ----------------------------------------------------------------------- */

/* ">=1.0", "1.2", "=1.0.0", several separated by blanks: what this library is must satisfy all. */
static bool version_satisfies(const char *wanted)
{
    const int ours[3] = {NND_VERSION_MAJOR, NND_VERSION_MINOR, NND_VERSION_PATCH};
    const char *p = wanted;
    while (*p) {
        p += strspn(p, " ,");
        if (!*p) break;
        char op[3] = {0};
        for (size_t i = 0; i < 2 && strchr("<>=", *p) && *p; i++)
            op[i] = *p++;
        int compare = 0;
        for (size_t i = 0; i < 3; i++) {
            char *end = NULL;
            long part = strtol(p, &end, 10);
            if (end == p) {
                if (i == 0) return false;
                break;
            }
            if (compare == 0) compare = ours[i] < part ? -1 : ours[i] > part;
            p = *end == '.' ? end + 1 : end;
            if (*end != '.') break;
        }
        bool ok = strcmp(op, ">") == 0                            ? compare > 0
                  : strcmp(op, "<") == 0                          ? compare < 0
                  : strcmp(op, "<=") == 0                         ? compare <= 0
                  : strcmp(op, "=") == 0 || strcmp(op, "==") == 0 ? compare == 0
                                                                  : compare >= 0;
        if (!ok || (*p && !strchr(" ,", *p))) return ok && !*p;
    }
    return true;
}

static nnd_status read_requires(wf_reader *r, const nnd_json *json, nnd_workflow *wf)
{
    const nnd_json *version = nnd_json_get(json, "nndeploy");
    const nnd_json *features = nnd_json_get(json, "features");
    if (nnd_json_get_type(json) != NND_JSON_OBJECT)
        return wf_bad(r, wf_place_of(json), "", "", "wrong-kind", "'requires' must be an object");
    const char *wanted = nnd_json_string(version, version ? NULL : "");
    if (!wanted)
        NND_TRY(wf_bad(r, wf_place_of(version), "", "", "wrong-kind",
                       "'requires.nndeploy' must be a string such as \">=1.0\""));
    else if (!version_satisfies(wanted))
        NND_TRY(wf_bad(r, wf_place_of(version), "", "", "version",
                       "this workflow wants nndeploy %s; this is %s", wanted, nnd_version()));
    for (size_t i = 0; i < nnd_json_count(features); i++)
        NND_TRY(wf_bad(r, wf_place_of(nnd_json_at(features, i)), "", "", "unknown-feature",
                       "this workflow needs the feature '%s', which nndeploy %s does not have",
                       nnd_json_string(nnd_json_at(features, i), "?"), nnd_version()));
    return wf_json_text(json, &wf->requires_json);
}

static nnd_status read_run(wf_reader *r, const nnd_json *json, nnd_workflow *wf)
{
    static const char *const modes[] = {"serial", "task", "pipeline"};
    if (nnd_json_get_type(json) != NND_JSON_OBJECT)
        return wf_bad(r, wf_place_of(json), "", "", "wrong-kind", "'run' must be an object");
    for (size_t i = 0; i < nnd_json_count(json); i++) {
        const nnd_json *member = nnd_json_at(json, i);
        if (strcmp(nnd_json_key_at(json, i), "mode") != 0) {
            char *text = NULL;
            NND_TRY(wf_json_text(member, &text));
            nnd_status status =
                wf_fields_set(&wf->run_extra, nnd_json_key_at(json, i), text, wf_place_of(member));
            nnd_free(text);
            NND_TRY(status);
            continue;
        }
        const char *mode = nnd_json_string(member, "");
        bool known = false;
        for (size_t m = 0; m < NND_COUNT(modes); m++)
            known = known || strcmp(mode, modes[m]) == 0;
        if (!known)
            NND_TRY(wf_bad(r, wf_place_of(member), "", "", "run-mode",
                           "'run.mode' must be \"serial\", \"task\" or \"pipeline\""));
        else
            NND_TRY(wf_read_copy(mode, &wf->run_mode));
    }
    return NND_OK;
}

static nnd_status read_models(wf_reader *r, const nnd_json *json)
{
    if (nnd_json_get_type(json) != NND_JSON_OBJECT)
        return wf_bad(r, wf_place_of(json), "", "", "wrong-kind",
                      "'models' must be an object: name → {\"sha256\": …}");
    for (size_t i = 0; i < nnd_json_count(json); i++) {
        char *text = NULL;
        NND_TRY(wf_json_text(nnd_json_at(json, i), &text));
        nnd_status status =
            wf_fields_set(r->models, nnd_json_key_at(json, i), text, wf_place_of_key(json, i));
        nnd_free(text);
        NND_TRY(status);
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
    if (wf_read_graph_member(r, root, i, "", &wf->root, &status)) return status;
    if (strcmp(key, "title") == 0 || strcmp(key, "description") == 0) {
        char *text = NULL;
        NND_TRY(wf_json_text(json, &text));
        status = wf_fields_set(&wf->extra, key, text, wf_place_of_key(root, i));
        nnd_free(text);
        return status;
    }
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
    NND_TRY(check_format(r, root));
    if (r->errors != before) return NND_OK; /* nothing else can be trusted */
    for (size_t i = 0; i < nnd_json_count(root); i++)
        NND_TRY(read_member(r, root, i, wf));
    return wf_check_graph(r, "", &wf->root);
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
    wf_reader r = {.io = io, .diags = diags, .file = file};
    if (file && nnd_port_path_real(file, &r.real)) r.real = NULL; /* not in the file system */
    nnd_status status = parse_text(text, size, &r, out);
    nnd_port_free(r.real);
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
    NND_TRY(nnd_error_from_port(nnd_port_file_read(path, MAX_FILE_BYTES, &text, &size),
                                "cannot read workflow", path));
    nnd_status status = nnd_workflow_parse(text, size, path, io, diags, out);
    nnd_port_free(text);
    return status;
}

/* ---- sub-graphs in files of their own ------------------------------------------------------ */

/* A ref is relative to the folder of the file that holds it. */
static char *ref_path(const wf_reader *r, const char *ref)
{
    const char *base = r->real ? r->real : r->file;
    const char *slash = base ? strrchr(base, '/') : NULL;
    if (nnd_port_path_is_absolute(ref) || !slash) return nnd_strdup(ref);
    return nnd_strf("%.*s/%s", (int)(slash - base), base, ref);
}

static nnd_status ref_failed(wf_reader *r, const char *path, const char *ref, wf_place place)
{
    nnd_error *error = nnd_error_take();
    nnd_status status = wf_bad(r, place, path, "", "ref", "sub-graph '%s' cannot be read: %s", ref,
                               error ? nnd_error_message(error) : "unknown reason");
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
    if (nnd_io_read_file(r->io, inner->real, &bytes, &size) != NND_OK)
        return ref_failed(r, path, node->ref, place);
    wf_graph *graph = nnd_calloc(1, sizeof *graph);
    nnd_status status = graph ? parse_text(bytes, size, inner, &wf)
                              : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a sub-graph");
    nnd_free(bytes);
    if (status == NND_OK)
        adopt(node, graph, wf);
    else
        nnd_free(graph);
    nnd_workflow_destroy(wf);
    r->errors += inner->errors;
    return status == NND_E_OUT_OF_MEMORY ? status : NND_OK;
}

nnd_status wf_read_ref(wf_reader *r, const char *path, wf_node *node, wf_place place)
{
    if (!r->io) return NND_OK; /* validation says that the sub-graph was not loaded */
    char *wanted = ref_path(r, node->ref);
    char *real = NULL;
    if (!wanted) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a path");
    nnd_status status = nnd_io_resolve_read(r->io, wanted, &real);
    nnd_free(wanted);
    if (status != NND_OK) return ref_failed(r, path, node->ref, place);
    int depth = 0;
    bool repeated = false;
    for (const wf_reader *o = r; o; o = o->outer) {
        depth++;
        repeated = repeated || (o->real && strcmp(o->real, real) == 0);
    }
    wf_reader inner = {.io = r->io, .diags = r->diags, .file = real, .real = real, .outer = r};
    if (repeated)
        status = wf_bad(r, place, path, "", "ref-recursion", "sub-graph '%s' contains itself",
                        node->ref);
    else if (depth >= WF_MAX_DEPTH)
        status = wf_bad(r, place, path, "", "ref-depth",
                        "sub-graphs are nested deeper than %d files", WF_MAX_DEPTH);
    else
        status = read_ref_text(r, &inner, path, node, place);
    nnd_free(real);
    return status;
}
