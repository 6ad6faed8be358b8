/* fmt: workflow files in canonical form. */
#include "cli/cli.h"

#include "base/port_status.h"
#include "port/port.h"

#include <string.h>

typedef struct formatted {
    char *before, *after;
    size_t before_size, after_size;
    bool equal;
} formatted;

/* Sub-graphs in other files stay as they are named: nothing is read but the file itself. */
static nnd_status format_file(const char *path, nnd_diagnostics *diags, formatted *f)
{
    nnd_workflow *wf = NULL;
    NND_TRY(cli_read_source(path, &f->before, &f->before_size));
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    nnd_status status = nnd_workflow_parse(f->before, f->before_size, name, NULL, diags, &wf);
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
