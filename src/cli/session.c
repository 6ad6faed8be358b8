/* A workflow from its file to a plan that can run. */
#include "cli/session.h"

/* The policy for reading the workflow needs no output folders, so that the document, which says
   what outputs there are, can be read first. */
int cli_session_load(cli *c, const char *path, cli_session *s)
{
    *s = (cli_session){.c = c};
    c->document = path;
    nnd_status status = nnd_diagnostics_create(&s->diags);
    if (status == NND_OK) status = cli_registry(c, &s->registry);
    if (status == NND_OK) status = cli_apply_threads(c);
    if (status == NND_OK) status = cli_apply_tuning(c);
    if (status == NND_OK) status = cli_folder_of(path, &s->folder);
    if (status == NND_OK) status = cli_io_create(c, s->folder, NULL, 0, &s->io);
    if (status == NND_OK) status = cli_workflow_load(path, s->io, s->diags, &s->wf);
    /* With --set the compiler checks: it knows the values that the command line gives. */
    if (status == NND_OK && cli_count(c, "set") == 0)
        status = nnd_workflow_validate(s->wf, s->registry, s->diags);
    return status == NND_OK ? CLI_OK : cli_fail(c, status, s->diags);
}

nnd_status cli_session_compile(cli_session *s, const char *const *write_dirs,
                               size_t write_dir_count, nnd_run_mode mode, nnd_cancel *cancel)
{
    nnd_io_unref(s->io);
    s->io = NULL;
    NND_TRY(cli_io_create(s->c, s->folder, write_dirs, write_dir_count, &s->io));
    /* Warnings were found by validate already and would appear twice. */
    nnd_diagnostics_destroy(s->diags);
    s->diags = NULL;
    NND_TRY(nnd_diagnostics_create(&s->diags));
    cli_watch_progress("preparing", 0, 0);
    return cli_plan_compile(s->c, s->wf, s->folder, s->io, mode, cancel, s->diags, &s->plan);
}

nnd_status cli_session_failure(const cli_session *s, const nnd_run *run, nnd_cancel *cancel,
                               nnd_status status)
{
    if (run && s->c->running && nnd_run_error_count(run) && nnd_cancel_check(cancel) == NND_OK)
        status = nnd_error_restore(nnd_run_error_at(run, 0));
    if (cli_watch_interrupted()) status = nnd_error_set(NND_E_CANCELLED, "interrupted");
    return status;
}

void cli_session_fini(cli_session *s)
{
    nnd_plan_unref(s->plan);
    nnd_workflow_destroy(s->wf);
    nnd_diagnostics_destroy(s->diags);
    nnd_io_unref(s->io);
    nnd_free(s->folder);
    *s = (cli_session){0};
}
