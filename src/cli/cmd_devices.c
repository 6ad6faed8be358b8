/* devices: where values and work can be. */
#include "cli/cli.h"

static int devices_json(cli *c)
{
    nnd_json_writer *w = cli_json_begin(c, "devices");
    if (!w) return cli_fail(c, NND_E_OUT_OF_MEMORY, NULL);
    nnd_json_key(w, "devices");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < nnd_device_count(); i++) {
        nnd_device_info info = {.size = sizeof info};
        if (nnd_device_get_info(nnd_device_at(i), &info) != NND_OK) continue;
        nnd_json_begin_object(w);
        cli_json_text(w, "name", info.name);
        cli_json_text(w, "kind", info.kind);
        cli_json_text(w, "description", info.description);
        cli_json_int(w, "memory_bytes", (int64_t)info.memory_bytes);
        cli_json_bool(w, "asynchronous", info.asynchronous);
        nnd_json_key(w, "memory_kinds");
        nnd_json_begin_array(w);
        for (int kind = NND_MEM_HOST; kind <= NND_MEM_DMABUF; kind++)
            if (info.memory_kinds & 1u << kind)
                nnd_json_put_string(w, nnd_memory_kind_name((nnd_memory_kind)kind));
        nnd_json_end_array(w);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
    return cli_json_end(c, CLI_OK);
}

int cli_run_devices(cli *c)
{
    if (c->json) return devices_json(c);
    cli_table table = {.columns = 4, .right = 1u << 2};
    static const char *const heads[] = {"DEVICE", "KIND", "MEMORY", "DESCRIPTION"};
    for (size_t i = 0; i < NND_COUNT(heads); i++)
        cli_table_add(&table, heads[i]);
    for (size_t i = 0; i < nnd_device_count(); i++) {
        nnd_device_info info = {.size = sizeof info};
        char memory[32] = "-";
        if (nnd_device_get_info(nnd_device_at(i), &info) != NND_OK) continue;
        if (info.memory_bytes) cli_bytes_text(info.memory_bytes, memory);
        cli_table_add(&table, info.name);
        cli_table_add(&table, info.kind);
        cli_table_add(&table, memory);
        cli_table_add(&table, info.description);
    }
    cli_table_print(&table, "");
    return CLI_OK;
}
