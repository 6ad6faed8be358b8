/* validate, fmt, diff and schema: workflows as files. */
#include "cli/cli.h"

#include "base/port_status.h"
#include "nndeploy/nodes.h"
#include "port/port.h"

#include <string.h>

/* ---- validate ----------------------------------------------------------------------------------
 */

static nnd_status check_file(cli *c, const char *path, nnd_registry *registry,
                             nnd_diagnostics *diags)
{
    char *folder = NULL;
    nnd_io *io = NULL;
    nnd_workflow *wf = NULL;
    nnd_status status = cli_folder_of(path, &folder);
    if (status == NND_OK) status = cli_io_create(c, folder, NULL, 0, &io);
    if (status == NND_OK) status = cli_workflow_load(path, io, diags, &wf);
    if (status == NND_OK) status = nnd_workflow_validate(wf, registry, diags);
    nnd_workflow_destroy(wf);
    nnd_io_unref(io);
    nnd_free(folder);
    return status;
}

static void put_file(nnd_json_writer *w, const char *path, const nnd_diagnostics *diags)
{
    size_t errors = nnd_diagnostics_error_count(diags);
    nnd_json_begin_object(w);
    cli_json_text(w, "file", path);
    cli_json_bool(w, "valid", errors == 0);
    cli_json_int(w, "errors", (int64_t)errors);
    cli_json_int(w, "warnings", (int64_t)(nnd_diagnostics_count(diags) - errors));
    nnd_json_key(w, "diagnostics");
    nnd_diagnostics_to_json(diags, w);
    nnd_json_end_object(w);
}

/* Wrong input weighs more than something missing. */
static int worse(int a, int b)
{
    if (a == CLI_INVALID || b == CLI_INVALID) return CLI_INVALID;
    return a > b ? a : b;
}

/* One file; a failure that is no finding ends the command with *failed set. */
static int validate_one(cli *c, const char *path, nnd_registry *registry, bool *failed)
{
    nnd_diagnostics *diags = NULL;
    c->document = path;
    nnd_status status = nnd_diagnostics_create(&diags);
    if (status == NND_OK) status = check_file(c, path, registry, diags);
    int code;
    if (status != NND_OK && nnd_diagnostics_error_count(diags) == 0) {
        code = cli_fail(c, status, diags);
        *failed = true;
    } else {
        size_t errors = nnd_diagnostics_error_count(diags);
        code = cli_exit_code(c, NND_OK, diags);
        if (c->json)
            put_file(c->w, path, diags);
        else if (errors)
            printf("%s: %zu error%s\n", path, errors, errors == 1 ? "" : "s");
        else
            printf("%s: ok\n", path);
        fflush(stdout);
        cli_print_diagnostics(c, diags);
    }
    nnd_error_clear();
    nnd_diagnostics_destroy(diags);
    return code;
}

int cli_run_validate(cli *c)
{
    nnd_registry *registry = NULL;
    nnd_status status = cli_registry(c, &registry);
    if (status != NND_OK) return cli_fail(c, status, NULL);
    if (c->json) {
        nnd_json_writer *w = cli_json_begin(c, "validate");
        if (!w) return cli_fail(c, NND_E_OUT_OF_MEMORY, NULL);
        nnd_json_key(w, "files");
        nnd_json_begin_array(w);
    }
    int code = CLI_OK;
    for (size_t i = 0; i < c->operands.count; i++) {
        bool failed = false;
        code = worse(code, validate_one(c, c->operands.items[i], registry, &failed));
        if (failed) return code;
    }
    if (!c->json) return code;
    nnd_json_end_array(c->w);
    cli_json_bool(c->w, "valid", code == CLI_OK);
    return cli_json_end(c, code);
}

/* ---- fmt ---------------------------------------------------------------------------------------
 */

typedef struct formatted {
    char *before, *after;
    size_t before_size, after_size;
    bool equal;
} formatted;

static nnd_status read_source(const char *path, char **text, size_t *size)
{
    if (strcmp(path, "-") != 0) return cli_read_file(path, text, size);
    int rc = nnd_port_stream_read(stdin, (size_t)1 << 30, text, size);
    return nnd_error_from_port(rc, "cannot read", "standard input");
}

/* Sub-graphs in other files stay as they are named: nothing is read but the file itself. */
static nnd_status format_file(const char *path, nnd_diagnostics *diags, formatted *f)
{
    nnd_workflow *wf = NULL;
    NND_TRY(read_source(path, &f->before, &f->before_size));
    nnd_status status = nnd_workflow_parse(f->before, f->before_size, path, NULL, diags, &wf);
    if (status == NND_OK) status = nnd_workflow_save_text(wf, &f->after, &f->after_size);
    nnd_workflow_destroy(wf);
    if (status != NND_OK) return status;
    f->equal = f->before_size == f->after_size && !memcmp(f->before, f->after, f->after_size);
    return NND_OK;
}

static nnd_status deliver(const cli *c, const char *path, const formatted *f)
{
    if (cli_has(c, "check")) return NND_OK;
    if (cli_has(c, "stdout") || strcmp(path, "-") == 0) {
        if (!c->json) fwrite(f->after, 1, f->after_size, stdout);
        return NND_OK;
    }
    if (f->equal) return NND_OK;
    int rc = nnd_port_file_write_atomic(path, f->after, f->after_size);
    return nnd_error_from_port(rc, "cannot write", path);
}

static int fmt_one(cli *c, const char *path, bool *differs)
{
    formatted f = {0};
    nnd_diagnostics *diags = NULL;
    int code = CLI_OK;
    nnd_status status = nnd_diagnostics_create(&diags);
    if (status == NND_OK) status = format_file(path, diags, &f);
    if (status == NND_OK) status = deliver(c, path, &f);
    if (status != NND_OK) {
        code = cli_fail(c, status, diags);
    } else {
        *differs = *differs || !f.equal;
        if (c->json) {
            nnd_json_begin_object(c->w);
            cli_json_text(c->w, "file", path);
            cli_json_bool(c->w, "canonical", f.equal);
            if (cli_has(c, "stdout")) cli_json_text(c->w, "text", f.after);
            nnd_json_end_object(c->w);
        } else if (!f.equal && cli_has(c, "check")) {
            printf("%s: not in canonical form\n", path);
        }
    }
    nnd_diagnostics_destroy(diags);
    nnd_port_free(f.before);
    nnd_free(f.after);
    return code;
}

int cli_run_fmt(cli *c)
{
    bool differs = false;
    if (cli_has(c, "check") && cli_has(c, "stdout"))
        return cli_usage(c, "options '--check' and '--stdout' exclude each other");
    if (c->json) {
        if (!cli_json_begin(c, "fmt")) return cli_fail(c, NND_E_OUT_OF_MEMORY, NULL);
        nnd_json_key(c->w, "files");
        nnd_json_begin_array(c->w);
    }
    for (size_t i = 0; i < c->operands.count; i++) {
        int code = fmt_one(c, c->operands.items[i], &differs);
        if (code != CLI_OK) return code;
    }
    int code = differs && cli_has(c, "check") ? CLI_INVALID : CLI_OK;
    if (!c->json) return code;
    nnd_json_end_array(c->w);
    cli_json_bool(c->w, "canonical", !differs);
    return cli_json_end(c, code);
}

/* ---- diff --------------------------------------------------------------------------------------
 */

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
    NND_TRY(read_source(path, &text, &size));
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

/* ---- schema ------------------------------------------------------------------------------------
 */

int cli_run_schema(cli *c)
{
    nnd_registry *registry = NULL;
    nnd_json_writer *w = NULL;
    char *text = NULL;
    size_t size = 0;
    nnd_status status = cli_registry(c, &registry);
    if (status == NND_OK) status = nnd_json_writer_create(2, &w);
    if (status == NND_OK) status = nnd_workflow_schema(registry, w);
    if (status == NND_OK) status = nnd_json_writer_take(w, &text, &size);
    nnd_json_writer_destroy(w);
    int code = CLI_OK;
    if (status == NND_OK && c->json) {
        if (cli_json_begin(c, "schema")) {
            nnd_json_key(c->w, "workflow_schema");
            status = cli_json_raw(c->w, text, size);
            if (status == NND_OK) code = cli_json_end(c, CLI_OK);
        } else {
            status = NND_E_OUT_OF_MEMORY;
        }
    } else if (status == NND_OK) {
        fwrite(text, 1, size, stdout);
        fputc('\n', stdout);
    }
    nnd_free(text);
    return status == NND_OK ? code : cli_fail(c, status, NULL);
}
