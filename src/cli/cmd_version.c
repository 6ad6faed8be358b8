/* version: which release this is, and the ABI that plug-ins meet. */
#include "cli/cli.h"

int cli_run_version(cli *c)
{
    if (!c->json) {
        printf("nndeploy %s\n", nnd_version());
        return CLI_OK;
    }
    nnd_json_writer *w = cli_json_begin(c, "version");
    if (!w) return cli_fail(c, NND_E_OUT_OF_MEMORY, NULL);
    cli_json_text(w, "version", nnd_version());
    cli_json_int(w, "abi", nnd_abi_version());
    return cli_json_end(c, CLI_OK);
}
