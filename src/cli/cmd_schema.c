/* schema: the JSON schema of workflow files. */
#include "cli/cli.h"

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
