/* validate: everything that is wrong with workflows. */
#include "cli/cli.h"

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
