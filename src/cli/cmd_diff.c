/* diff: what differs between two workflows. */
#include "cli/cli.h"

#include "port/port.h"

/* A JSON value on one line, cut when it is long. */
static void print_side(const char *sign, const nnd_json *value)
{
    nnd_json_writer *w = NULL;
    char *text = NULL;
    size_t size = 0;
    if (nnd_json_get_type(value) == NND_JSON_NULL) return;
    if (nnd_json_writer_create(0, &w) != NND_OK) return;
    nnd_json_put_json(w, value);
    if (nnd_json_writer_take(w, &text, &size) == NND_OK)
        printf("  %s %.*s%s\n", sign, (int)(size > 400 ? nnd_utf8_valid_prefix(text, 400) : size),
               text, size > 400 ? "…" : "");
    nnd_free(text);
    nnd_json_writer_destroy(w);
}

static nnd_status print_diff(const char *text, size_t size)
{
    nnd_json_doc *doc = NULL;
    NND_TRY(nnd_json_parse(text, size, NULL, &doc));
    const nnd_json *changes = nnd_json_get(nnd_json_root(doc), "changes");
    for (size_t i = 0; i < nnd_json_count(changes); i++) {
        const nnd_json *change = nnd_json_at(changes, i);
        printf("%s %s\n", nnd_json_string(nnd_json_get(change, "kind"), ""),
               nnd_json_string(nnd_json_get(change, "path"), ""));
        print_side("-", nnd_json_get(change, "before"));
        print_side("+", nnd_json_get(change, "after"));
    }
    if (!nnd_json_count(changes)) puts("the workflows are equal");
    nnd_json_destroy(doc);
    return NND_OK;
}

static nnd_status load_bare(const char *path, nnd_diagnostics *diags, nnd_workflow **out)
{
    char *text = NULL;
    size_t size = 0;
    NND_TRY(cli_read_source(path, &text, &size));
    nnd_status status = nnd_workflow_parse(text, size, path, NULL, diags, out);
    nnd_port_free(text);
    return status;
}

static nnd_status diff_text(const cli *c, const nnd_workflow *a, const nnd_workflow *b, char **text,
                            size_t *size)
{
    nnd_json_writer *w = NULL;
    NND_TRY(nnd_json_writer_create(0, &w));
    nnd_status status = nnd_workflow_diff(a, b, cli_has(c, "ui"), w);
    if (status == NND_OK) status = nnd_json_writer_take(w, text, size);
    nnd_json_writer_destroy(w);
    return status;
}

static int print_diff_json(cli *c, const char *text, size_t size)
{
    nnd_json_doc *doc = NULL;
    if (nnd_json_parse(text, size, NULL, &doc) != NND_OK || !cli_json_begin(c, "diff")) {
        nnd_json_destroy(doc);
        return cli_fail(c, NND_E_OUT_OF_MEMORY, NULL);
    }
    const nnd_json *root = nnd_json_root(doc);
    for (size_t i = 0; i < nnd_json_count(root); i++) {
        nnd_json_key(c->w, nnd_json_key_at(root, i));
        nnd_json_put_json(c->w, nnd_json_at(root, i));
    }
    nnd_json_destroy(doc);
    return cli_json_end(c, CLI_OK);
}

int cli_run_diff(cli *c)
{
    nnd_diagnostics *diags = NULL;
    nnd_workflow *a = NULL, *b = NULL;
    char *text = NULL;
    size_t size = 0;
    int code = CLI_OK;
    nnd_status status = nnd_diagnostics_create(&diags);
    if (status == NND_OK) status = load_bare(cli_operand(c, 0), diags, &a);
    if (status == NND_OK) status = load_bare(cli_operand(c, 1), diags, &b);
    if (status == NND_OK) status = diff_text(c, a, b, &text, &size);
    if (status == NND_OK && c->json)
        code = print_diff_json(c, text, size);
    else if (status == NND_OK)
        status = print_diff(text, size);
    if (status != NND_OK) code = cli_fail(c, status, diags);
    nnd_free(text);
    nnd_workflow_destroy(a);
    nnd_workflow_destroy(b);
    nnd_diagnostics_destroy(diags);
    return code;
}
