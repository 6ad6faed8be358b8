/* A workflow from its file to a plan, as the commands that run one need it. */
#ifndef NND_CLI_SESSION_H
#define NND_CLI_SESSION_H

#include "cli/cli.h"

typedef struct cli_session {
    cli *c;
    char *folder; /* of the workflow */
    nnd_io *io;
    nnd_diagnostics *diags;
    nnd_registry *registry;
    nnd_workflow *wf;
    nnd_plan *plan; /* NULL until it is compiled */
} cli_session;

/* Reads and checks the workflow. CLI_OK or, after having reported, an exit code. Call
   cli_session_fini in any case. */
int cli_session_load(cli *c, const char *path, cli_session *s);
/* Compiles it with the values of --set. The workflow may write below write_dirs, too. */
nnd_status cli_session_compile(cli_session *s, const char *const *write_dirs,
                               size_t write_dir_count, nnd_run_mode mode, nnd_cancel *cancel);
/* What a failed run is reported as: its first failure says more than the status of the call that
   met it. run may be NULL. */
nnd_status cli_session_failure(const cli_session *s, const nnd_run *run, nnd_cancel *cancel,
                               nnd_status status);
void cli_session_fini(cli_session *s);

#endif
