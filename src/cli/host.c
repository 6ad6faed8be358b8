/* What the command offers to workflows: node types, files, threads. */
#include "cli/cli.h"

#include "base/port_status.h"
#include "infer/tuning.h"
#include "nndeploy/nodes.h"
#include "nndeploy/sched.h"
#include "port/port.h"

#include <string.h>

/* Larger than any workflow, tensor or picture that a device can hold. */
#define FILE_LIMIT ((size_t)4 << 30)

/* Those that every command is to have: NNDEPLOY_PLUGINS lists their files. */
static nnd_status load_usual_plugins(nnd_registry *registry)
{
    char *list = NULL;
    if (nnd_port_env_dup("NNDEPLOY_PLUGINS", &list) != 0) return NND_OK;
    const char *rest = list, *entry;
    nnd_status status = NND_OK;
    for (size_t n; status == NND_OK && (entry = nnd_path_list_next(&rest, &n)) != NULL;) {
        char *path = nnd_strdup_n(entry, n);
        status = path ? nnd_nodes_load_plugin(registry, path) : cli_no_memory();
        nnd_free(path);
    }
    nnd_port_free(list);
    return status;
}

nnd_status cli_registry(const cli *c, nnd_registry **out)
{
    static nnd_registry *ready; /* with its plug-ins, which are loaded once */
    nnd_registry *registry = ready ? ready : nnd_nodes_registry();
    if (!registry) return cli_no_memory();
    if (!ready) NND_TRY(load_usual_plugins(registry));
    for (size_t i = 0; !ready && i < cli_count(c, "plugin"); i++)
        NND_TRY(nnd_nodes_load_plugin(registry, cli_nth(c, "plugin", i)));
    *out = ready = registry;
    return NND_OK;
}

nnd_status cli_apply_threads(const cli *c)
{
    return nnd_sched_set_threads((int)cli_int(c, "threads", 0));
}

nnd_status cli_apply_tuning(const cli *c)
{
    return nnd_tuning_set_path(cli_text(c, "tuning", NULL));
}

static nnd_status refuse_folder(const char *path)
{
    if (!nnd_port_dir_exists(path)) return NND_OK;
    return nnd_error_set(NND_E_FORMAT, "'%s' is a folder, not a file", path);
}

nnd_status cli_read_file(const char *path, char **data, size_t *size)
{
    NND_TRY(refuse_folder(path));
    int rc = nnd_port_file_read(path, FILE_LIMIT, data, size);
    return nnd_error_from_port(rc, "cannot read", path);
}

nnd_status cli_read_source(const char *path, char **text, size_t *size)
{
    if (strcmp(path, "-") != 0) return cli_read_file(path, text, size);
    int rc = nnd_port_stream_read(stdin, FILE_LIMIT, text, size);
    return nnd_error_from_port(rc, "cannot read", "standard input");
}

/* ---- folders ----------------------------------------------------------------------------- */

nnd_status cli_folder_of(const char *path, char **out)
{
    char *real = NULL;
    int rc =
        strcmp(path, "-") == 0 ? nnd_port_path_current_dir(&real) : nnd_port_path_real(path, &real);
    if (rc) return nnd_error_from_port(rc, "cannot open", path);
    char *slash = strrchr(real, '/');
    if (strcmp(path, "-") == 0)
        *out = nnd_strdup(real);
    else if (!slash)
        *out = nnd_strdup(".");
    else
        *out = nnd_strdup_n(real, slash == real ? 1 : (size_t)(slash - real));
    nnd_port_free(real);
    return *out ? NND_OK : cli_no_memory();
}

typedef NND_VEC(const char *) folder_list;

static nnd_status add_folder(folder_list *list, const char *folder)
{
    return nnd_vec_push(list, folder) ? NND_OK : cli_no_memory();
}

static nnd_status add_allowed(const cli *c, folder_list *list)
{
    for (size_t i = 0; i < cli_count(c, "allow"); i++) {
        const char *folder = cli_nth(c, "allow", i);
        if (!nnd_port_file_exists(folder) && !nnd_port_dir_exists(folder))
            return nnd_error_set(NND_E_NOT_FOUND, "--allow: there is no '%s'", folder);
        NND_TRY(add_folder(list, folder));
    }
    return NND_OK;
}

static nnd_status create_io(const cli *c, const char *base_dir, folder_list *read,
                            folder_list *write, nnd_io **out)
{
    static const char *const all_devices[] = {"*"};
    nnd_io_policy policy = NND_IO_POLICY_INIT;
    NND_TRY(add_folder(read, base_dir));
    NND_TRY(add_folder(read, "."));
    NND_TRY(add_allowed(c, read));
    NND_TRY(add_folder(write, "."));
    NND_TRY(add_allowed(c, write));
    policy.base_dir = base_dir;
    policy.read_roots = read->items;
    policy.read_root_count = read->count;
    policy.write_roots = write->items;
    policy.write_root_count = write->count;
    policy.devices = all_devices;
    policy.device_count = NND_COUNT(all_devices);
    return nnd_io_create(&policy, out);
}

nnd_status cli_io_create(const cli *c, const char *base_dir, const char *const *write_dirs,
                         size_t write_dir_count, nnd_io **out)
{
    folder_list read = {0}, write = {0};
    char **models = NULL;
    size_t model_count = 0;
    nnd_status status = nnd_nodes_model_folders(base_dir, &models, &model_count);
    for (size_t i = 0; i < model_count && status == NND_OK; i++)
        if (nnd_port_dir_exists(models[i])) status = add_folder(&read, models[i]);
    for (size_t i = 0; i < write_dir_count && status == NND_OK; i++)
        status = add_folder(&write, write_dirs[i]);
    if (status == NND_OK) status = create_io(c, base_dir, &read, &write, out);
    for (size_t i = 0; i < model_count; i++)
        nnd_free(models[i]);
    nnd_free(models);
    nnd_vec_free(&read);
    nnd_vec_free(&write);
    return status;
}

/* ---- workflows --------------------------------------------------------------------------- */

nnd_status cli_workflow_load(const char *path, nnd_io *io, nnd_diagnostics *diags,
                             nnd_workflow **out)
{
    char *text = NULL;
    size_t size = 0;
    if (strcmp(path, "-") != 0) {
        NND_TRY(refuse_folder(path));
        return nnd_workflow_load(path, io, diags, out);
    }
    NND_TRY(cli_read_source(path, &text, &size));
    nnd_status status = nnd_workflow_parse(text, size, "standard input", io, diags, out);
    nnd_port_free(text);
    return status;
}

nnd_status cli_plan_compile(const cli *c, const nnd_workflow *wf, const char *folder, nnd_io *io,
                            nnd_run_mode mode, nnd_cancel *cancel, nnd_diagnostics *diags,
                            nnd_plan **out)
{
    nnd_services services;
    nnd_registry *registry = NULL;
    nnd_compile_options options = NND_COMPILE_OPTIONS_INIT;
    size_t count = cli_count(c, "set");
    NND_TRY(cli_registry(c, &registry));
    NND_TRY(nnd_nodes_services(folder, &services));
    const char **set = nnd_calloc(count + 1, sizeof *set);
    if (!set) return cli_no_memory();
    for (size_t i = 0; i < count; i++)
        set[i] = cli_nth(c, "set", i);
    options.registry = registry;
    options.io = io;
    options.services = &services;
    options.mode = mode;
    options.cancel = cancel;
    options.set = set;
    options.set_count = count;
    nnd_status status = nnd_plan_compile(wf, &options, diags, out);
    nnd_free(set);
    return status;
}
