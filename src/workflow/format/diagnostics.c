/* The list of everything that is wrong with a workflow. */
#include "workflow/format/document.h"

#include "base/str.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

typedef struct entry {
    nnd_diagnostic view; /* its strings belong to the entry */
    size_t order;        /* of reporting: keeps the sort stable */
} entry;

struct nnd_diagnostics {
    entry *items;
    size_t count, capacity;
    size_t errors;
    bool sorted;
};

nnd_status nnd_diagnostics_create(nnd_diagnostics **out)
{
    *out = nnd_calloc(1, sizeof **out);
    return *out ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for diagnostics");
}

static void entry_fini(entry *e)
{
    const char *texts[] = {e->view.code, e->view.message, e->view.file,
                           e->view.node, e->view.port,    e->view.suggestion};
    for (size_t i = 0; i < NND_COUNT(texts); i++)
        nnd_free((void *)(uintptr_t)texts[i]);
}

void nnd_diagnostics_destroy(nnd_diagnostics *d)
{
    if (!d) return;
    for (size_t i = 0; i < d->count; i++)
        entry_fini(&d->items[i]);
    nnd_vec_free(d);
    nnd_free(d);
}

static nnd_status add(nnd_diagnostics *d, const nnd_diagnostic *given)
{
    static const nnd_diagnostic last = {
        .severity = NND_SEVERITY_WARNING,
        .code = "too-many",
        .message = "there are more problems than this list holds",
    };
    /* One more than the limit says that there is more. */
    if (d->count == WF_MAX_DIAGNOSTICS) given = &last;
    if (d->count > WF_MAX_DIAGNOSTICS) return NND_OK;
    entry e = {.order = d->count};
    e.view = *given;
    e.view.code = nnd_strdup(given->code);
    e.view.message = nnd_strdup(given->message);
    e.view.file = nnd_strdup(given->file ? given->file : "");
    e.view.node = nnd_strdup(given->node ? given->node : "");
    e.view.port = nnd_strdup(given->port ? given->port : "");
    e.view.suggestion = nnd_strdup(given->suggestion ? given->suggestion : "");
    bool whole = e.view.code && e.view.message && e.view.file && e.view.node && e.view.port &&
                 e.view.suggestion;
    if (!whole || !nnd_vec_push(d, e)) {
        entry_fini(&e);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a diagnostic");
    }
    d->sorted = false;
    return NND_OK;
}

/* The first error is this thread's error record too, so that a caller without a list still learns
   what is wrong. */
static void record(const nnd_diagnostic *given)
{
    nnd_error_set(given->status, "%s%s%s%s", given->message,
                  given->suggestion && given->suggestion[0] ? " (did you mean '" : "",
                  given->suggestion && given->suggestion[0] ? given->suggestion : "",
                  given->suggestion && given->suggestion[0] ? "'?)" : "");
    if (given->node && given->node[0]) nnd_error_set_node(given->node, given->port);
    if (given->line) nnd_error_set_place(given->file, given->line, given->column);
}

nnd_status wf_report(nnd_diagnostics *diags, nnd_severity severity, nnd_status status,
                     const char *code, const char *file, wf_place place, const char *node,
                     const char *port, const char *suggestion, const char *format, ...)
{
    nnd_str text = {0};
    va_list args;
    va_start(args, format);
    nnd_str_vprintf(&text, format, args);
    va_end(args);
    nnd_diagnostic given = {
        .severity = severity,
        .status = status,
        .code = code,
        .message = text.data ? text.data : code,
        .file = file,
        .line = place.line,
        .column = place.column,
        .node = node,
        .port = port,
        .suggestion = suggestion,
    };
    nnd_status result = NND_OK;
    if (severity == NND_SEVERITY_ERROR && (!diags || diags->errors == 0)) record(&given);
    if (diags && severity == NND_SEVERITY_ERROR) diags->errors++;
    if (diags) result = add(diags, &given);
    nnd_str_free(&text);
    return result;
}

bool wf_diagnostics_full(const nnd_diagnostics *diags)
{
    return diags && diags->count > WF_MAX_DIAGNOSTICS;
}

nnd_status wf_diagnostics_fail(const nnd_diagnostics *diags, size_t before)
{
    for (size_t i = 0; i < nnd_diagnostics_count(diags); i++) {
        const nnd_diagnostic *d = nnd_diagnostics_at(diags, i);
        if (d->severity != NND_SEVERITY_ERROR || diags->items[i].order < before) continue;
        record(d);
        return NND_E_VALIDATION;
    }
    return nnd_error_set(NND_E_VALIDATION, "the workflow has errors");
}

size_t nnd_diagnostics_count(const nnd_diagnostics *d)
{
    return d ? d->count : 0;
}

size_t nnd_diagnostics_error_count(const nnd_diagnostics *d)
{
    return d ? d->errors : 0;
}

static int by_place(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    int files = strcmp(x->view.file, y->view.file);
    if (files) return files;
    /* What has no place stands behind what has one. */
    uint32_t lx = x->view.line ? x->view.line : UINT32_MAX;
    uint32_t ly = y->view.line ? y->view.line : UINT32_MAX;
    if (lx != ly) return lx < ly ? -1 : 1;
    if (x->view.column != y->view.column) return x->view.column < y->view.column ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

const nnd_diagnostic *nnd_diagnostics_at(const nnd_diagnostics *d, size_t index)
{
    if (!d || index >= d->count) return NULL;
    nnd_diagnostics *list = (nnd_diagnostics *)(uintptr_t)d;
    if (!d->sorted) {
        qsort(list->items, list->count, sizeof *list->items, by_place);
        list->sorted = true;
    }
    return &d->items[index].view;
}

nnd_status nnd_diagnostics_to_json(const nnd_diagnostics *d, nnd_json_writer *w)
{
    nnd_json_begin_array(w);
    for (size_t i = 0; i < nnd_diagnostics_count(d); i++) {
        const nnd_diagnostic *x = nnd_diagnostics_at(d, i);
        const char *const texts[][2] = {
            {"severity", x->severity == NND_SEVERITY_ERROR ? "error" : "warning"},
            {"status", nnd_status_name(x->status)},
            {"code", x->code},
            {"message", x->message},
            {"file", x->file},
            {"node", x->node},
            {"port", x->port},
            {"suggestion", x->suggestion},
        };
        nnd_json_begin_object(w);
        for (size_t k = 0; k < NND_COUNT(texts); k++) {
            nnd_json_key(w, texts[k][0]);
            nnd_json_put_string(w, texts[k][1]);
        }
        nnd_json_key(w, "line");
        nnd_json_put_int(w, x->line);
        nnd_json_key(w, "column");
        nnd_json_put_int(w, x->column);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
    return NND_OK;
}

char *nnd_diagnostics_to_string(const nnd_diagnostics *d)
{
    nnd_str s = {0};
    nnd_str_add(&s, "");
    for (size_t i = 0; i < nnd_diagnostics_count(d); i++) {
        const nnd_diagnostic *x = nnd_diagnostics_at(d, i);
        if (x->file[0]) nnd_str_printf(&s, "%s:", x->file);
        if (x->line) nnd_str_printf(&s, "%u:%u:", (unsigned)x->line, (unsigned)x->column);
        if (x->file[0] || x->line) nnd_str_add(&s, " ");
        nnd_str_add(&s, x->severity == NND_SEVERITY_ERROR ? "error: " : "warning: ");
        if (x->node[0]) nnd_str_printf(&s, "node '%s'", x->node);
        if (x->node[0] && x->port[0]) nnd_str_add(&s, ", ");
        if (x->port[0]) nnd_str_printf(&s, "'%s'", x->port);
        if (x->node[0] || x->port[0]) nnd_str_add(&s, ": ");
        nnd_str_add(&s, x->message);
        if (x->suggestion[0]) nnd_str_printf(&s, " (did you mean '%s'?)", x->suggestion);
        nnd_str_add(&s, "\n");
    }
    char *text = NULL;
    return nnd_str_take(&s, &text, NULL) == NND_OK ? text : NULL;
}
