/* The short way: a workflow file that is loaded, compiled and run with a handful of calls. */
#include "nodes/nodes_internal.h"

#include "base/port_status.h"
#include "base/str.h"
#include "port/port.h"

#include <string.h>

struct nnd_app {
    nnd_plan *plan;
    nnd_value *inputs;  /* record */
    nnd_value *outputs; /* record of the last run, NULL before */
};

static nnd_status make_io(const char *folder, nnd_io **out)
{
    const char *read_roots[] = {folder, "."};
    const char *write_roots[] = {"."};
    const char *devices[] = {"*"};
    nnd_io_policy policy = NND_IO_POLICY_INIT;
    policy.base_dir = folder;
    policy.read_roots = read_roots;
    policy.read_root_count = NND_COUNT(read_roots);
    policy.write_roots = write_roots;
    policy.write_root_count = NND_COUNT(write_roots);
    policy.devices = devices;
    policy.device_count = NND_COUNT(devices);
    return nnd_io_create(&policy, out);
}

/* All diagnostics in one message. */
static nnd_status explain(nnd_status status, const char *path, const nnd_diagnostics *diags)
{
    if (nnd_diagnostics_error_count(diags) == 0) return status;
    char *text = nnd_diagnostics_to_string(diags);
    size_t n = text ? strlen(text) : 0;
    while (n && text[n - 1] == '\n')
        text[--n] = '\0';
    nnd_error_set(status, "workflow '%s':\n%s", path, text ? text : "has errors");
    nnd_free(text);
    return status;
}

static nnd_status compile(nnd_app *app, const char *path, nnd_io *io, const char *folder,
                          const char *const *set, size_t set_count, nnd_diagnostics *diags)
{
    nnd_compile_options options = NND_COMPILE_OPTIONS_INIT;
    nnd_services services;
    nnd_workflow *wf = NULL;
    NND_TRY(nnd_nodes_services(folder, &services));
    NND_TRY(nnd_workflow_load(path, io, diags, &wf));
    options.registry = nnd_nodes_registry();
    options.io = io;
    options.services = &services;
    options.set = set;
    options.set_count = set_count;
    nnd_status status = nnd_plan_compile(wf, &options, diags, &app->plan);
    nnd_workflow_destroy(wf);
    return status;
}

static nnd_status open_app(nnd_app *app, const char *path, const char *const *set, size_t set_count)
{
    char *folder = NULL;
    nnd_io *io = NULL;
    nnd_diagnostics *diags = NULL;
    if (!nnd_nodes_registry())
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for node types");
    nnd_status status = nnd_folder_of(path, "cannot find the folder of workflow", &folder);
    if (status == NND_OK) status = make_io(folder, &io);
    if (status == NND_OK) status = nnd_diagnostics_create(&diags);
    if (status == NND_OK) status = nnd_value_new_record(&app->inputs);
    if (status == NND_OK) {
        status = compile(app, path, io, folder, set, set_count, diags);
        if (status != NND_OK) explain(status, path, diags);
    }
    nnd_diagnostics_destroy(diags);
    nnd_io_unref(io);
    nnd_port_free(folder);
    return status;
}

nnd_status nnd_app_open(const char *path, const char *const *set, size_t set_count, nnd_app **out)
{
    if (!path || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_app_open: path and out are required");
    nnd_app *app = nnd_calloc(1, sizeof *app);
    if (!app) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a workflow");
    nnd_status status = open_app(app, path, set, set_count);
    if (status != NND_OK) {
        nnd_app_close(app);
        return status;
    }
    *out = app;
    return NND_OK;
}

void nnd_app_close(nnd_app *app)
{
    if (!app) return;
    nnd_value_unref(app->outputs);
    nnd_value_unref(app->inputs);
    nnd_plan_unref(app->plan);
    nnd_free(app);
}

static nnd_status input_type(const nnd_app *app, const char *input, const char **type)
{
    nnd_str names = {0};
    for (size_t i = 0; i < nnd_plan_input_count(app->plan); i++) {
        const char *name = nnd_plan_input_name(app->plan, i);
        if (input && strcmp(name, input) == 0) {
            *type = nnd_plan_input_type(app->plan, i);
            nnd_str_free(&names);
            return NND_OK;
        }
        nnd_str_printf(&names, "%s'%s'", i ? ", " : "", name);
    }
    nnd_status status = nnd_error_set(NND_E_NOT_FOUND, "the workflow has no input '%s'; it has: %s",
                                      input ? input : "", names.data ? names.data : "none");
    nnd_str_free(&names);
    return status;
}

/* Records only grow: taking a value back makes a new one without it. */
static nnd_status remove_input(nnd_app *app, const char *input)
{
    nnd_value *kept = NULL;
    NND_TRY(nnd_value_new_record(&kept));
    for (size_t i = 0; i < nnd_value_record_count(app->inputs); i++) {
        const char *name = nnd_value_record_name(app->inputs, i);
        if (strcmp(name, input) == 0) continue;
        nnd_status status = nnd_value_record_set(kept, name, nnd_value_record_at(app->inputs, i));
        if (status != NND_OK) {
            nnd_value_unref(kept);
            return status;
        }
    }
    nnd_value_unref(app->inputs);
    app->inputs = kept;
    return NND_OK;
}

nnd_status nnd_app_set(nnd_app *app, const char *input, nnd_value *value)
{
    const char *type = NULL;
    NND_TRY(input_type(app, input, &type));
    return value ? nnd_value_record_set(app->inputs, input, value) : remove_input(app, input);
}

nnd_status nnd_app_set_file(nnd_app *app, const char *input, const char *path)
{
    const char *type = NULL;
    nnd_value *value = NULL;
    NND_TRY(input_type(app, input, &type));
    NND_TRY(nnd_value_read_file(path, type, &value));
    nnd_status status = nnd_value_record_set(app->inputs, input, value);
    nnd_value_unref(value);
    return status;
}

nnd_status nnd_app_run(nnd_app *app, nnd_cancel *cancel)
{
    nnd_run_options options = NND_RUN_OPTIONS_INIT;
    nnd_value *outputs = NULL;
    options.cancel = cancel;
    nnd_status status = nnd_workflow_run(app->plan, &options, app->inputs, &outputs);
    nnd_value_unref(app->outputs);
    app->outputs = status == NND_OK ? outputs : NULL;
    return status;
}

nnd_value *nnd_app_get(const nnd_app *app, const char *output)
{
    return app->outputs && output ? nnd_value_record_get(app->outputs, output) : NULL;
}

nnd_status nnd_app_get_json(const nnd_app *app, char **json)
{
    nnd_json_writer *w = NULL;
    if (!app->outputs)
        return nnd_error_set(
            NND_E_STATE, "there are no results: the workflow has not run, or its last run failed");
    NND_TRY(nnd_json_writer_create(2, &w));
    nnd_status status = nnd_value_to_json(app->outputs, w);
    if (status == NND_OK) status = nnd_json_writer_take(w, json, NULL);
    nnd_json_writer_destroy(w);
    return status;
}

const char *nnd_app_error(void)
{
    static nnd_port_thread_local char text[4096];
    nnd_error *error = nnd_error_take();
    char *whole = error ? nnd_error_to_string(error) : NULL;
    size_t n = whole ? strlen(whole) : 0;
    if (n >= sizeof text) n = nnd_utf8_valid_prefix(whole, sizeof text - 1);
    if (n) memcpy(text, whole, n);
    text[n] = '\0';
    if (error) nnd_error_restore(error);
    nnd_free(whole);
    nnd_error_destroy(error);
    return text;
}
