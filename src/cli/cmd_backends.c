/* backends: which inference frameworks are here, and why others are not. */
#include "cli/cli.h"

#include "nndeploy/infer.h"

#include <string.h>

static void probe(const nnd_backend *backend, nnd_backend_status *status)
{
    memset(status, 0, sizeof *status);
    status->size = sizeof *status;
    status->name = backend->name;
    backend->probe(status);
}

static int backends_json(cli *c)
{
    nnd_json_writer *w = cli_json_begin(c, "backends");
    if (!w) return cli_fail(c, NND_E_OUT_OF_MEMORY, NULL);
    nnd_json_key(w, "backends");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < nnd_backend_count(); i++) {
        nnd_backend_status s;
        probe(nnd_backend_at(i), &s);
        nnd_json_begin_object(w);
        cli_json_text(w, "name", nnd_backend_at(i)->name);
        cli_json_bool(w, "available", s.available);
        cli_json_text(w, "version", s.version);
        cli_json_text(w, "library", s.library);
        cli_json_text(w, "devices", s.devices);
        cli_json_text(w, "formats", nnd_backend_at(i)->formats);
        cli_json_text(w, "reason", s.reason);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
    return cli_json_end(c, CLI_OK);
}

int cli_run_backends(cli *c)
{
    nnd_registry *registry = NULL;
    nnd_status status = cli_registry(c, &registry);
    if (status != NND_OK) return cli_fail(c, status, NULL);
    if (c->json) return backends_json(c);
    cli_table table = {.columns = 5};
    static const char *const heads[] = {"BACKEND", "VERSION", "FORMATS", "DEVICES", "STATE"};
    for (size_t i = 0; i < NND_COUNT(heads); i++)
        cli_table_add(&table, heads[i]);
    for (size_t i = 0; i < nnd_backend_count(); i++) {
        nnd_backend_status s;
        probe(nnd_backend_at(i), &s);
        cli_table_add(&table, nnd_backend_at(i)->name);
        cli_table_add(&table, s.version[0] ? s.version : "-");
        cli_table_add(&table, nnd_backend_at(i)->formats);
        cli_table_add(&table, s.devices[0] ? s.devices : "-");
        if (s.available)
            cli_table_addf(&table, "available%s%s", s.library[0] ? ", " : "", s.library);
        else
            cli_table_addf(&table, "not available: %s", s.reason);
    }
    cli_table_print(&table, "");
    return CLI_OK;
}
