/* backends and devices: what this machine offers. */
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
