/* Models: choosing a backend, mapping the file, giving access to the files beside it. */
#include "infer/infer.h"

#include "base/port_status.h"
#include "base/str.h"
#include "infer/tuning.h"

#include <string.h>

/* ---- files beside the model -------------------------------------------------------------- */

/* A file is inside the model's folder when its real path (links resolved) begins with the folder's
   real path. */
static bool path_is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/')
        n--;
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || (n == 1 && folder[0] == '/'));
}

static void beside_release(void *handle)
{
    nnd_port_map *map = handle;
    nnd_port_map_close(map);
    nnd_free(map);
}

static nnd_status beside_map(const char *real, const char *name, const void **bytes, size_t *size,
                             void (**release)(void *handle), void **handle)
{
    nnd_port_map *map = nnd_calloc(1, sizeof *map);
    if (!map) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to open '%s'", name);
    int rc = nnd_port_map_open(real, map);
    if (rc) {
        nnd_free(map);
        return nnd_error_from_port(rc, "cannot open external data", name);
    }
    *bytes = map->data;
    *size = map->size;
    *release = beside_release;
    *handle = map;
    return NND_OK;
}

nnd_status nnd_model_open_beside(const char *folder, const char *name, const void **bytes,
                                 size_t *size, void (**release)(void *handle), void **handle)
{
    char *wanted = nnd_strf("%s/%s", folder, name);
    if (!wanted) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a path");
    char *real = NULL;
    int rc = nnd_port_path_real(wanted, &real);
    nnd_status status;
    if (rc)
        status =
            nnd_error_set(rc == NND_PORT_E_NOT_FOUND ? NND_E_MISSING : nnd_status_from_port(rc),
                          "external data '%s' should lie beside the model in '%s': %s", name,
                          folder, nnd_port_error_text(rc));
    else if (!path_is_below(real, folder))
        status = nnd_error_set(NND_E_PERMISSION,
                               "external data '%s' leads outside of the model's folder '%s'", name,
                               folder);
    else
        status = beside_map(real, name, bytes, size, release, handle);
    nnd_port_free(real);
    nnd_free(wanted);
    return status;
}

static nnd_status open_in_folder(void *user, const char *name, const void **bytes, size_t *size,
                                 void (**release)(void *handle), void **handle)
{
    return nnd_model_open_beside(user, name, bytes, size, release, handle);
}

/* ---- choosing a backend ------------------------------------------------------------------ */

static nnd_status require_available(const nnd_backend *backend)
{
    nnd_backend_status probe = {.size = sizeof probe};
    backend->probe(&probe);
    if (probe.available) return NND_OK;
    return nnd_error_set(NND_E_MISSING, "backend '%s' is not available: %s", backend->name,
                         probe.reason);
}

static nnd_status choose_named(const char *name, const nnd_backend **out)
{
    const nnd_backend *backend = nnd_backend_find(name);
    if (!backend) {
        nnd_str names = {0};
        for (size_t i = 0; nnd_backend_at(i); i++)
            nnd_str_printf(&names, "%s%s", i ? ", " : "", nnd_backend_at(i)->name);
        nnd_status status = nnd_error_set(
            NND_E_NOT_FOUND, "there is no backend '%s'; there are: %s (plug-ins bring more)", name,
            names.data ? names.data : "none");
        nnd_str_free(&names);
        return status;
    }
    NND_TRY(require_available(backend));
    *out = backend;
    return NND_OK;
}

/* The fixed order: the first one that is there and reads the file's format. */
static nnd_status choose_first(const char *path, const nnd_backend **out)
{
    for (size_t i = 0; nnd_backend_at(i); i++) {
        const nnd_backend *backend = nnd_backend_at(i);
        nnd_backend_status probe = {.size = sizeof probe};
        if (!nnd_backend_reads(backend, path)) continue;
        backend->probe(&probe);
        if (!probe.available) continue;
        *out = backend;
        return NND_OK;
    }
    const char *dot = path ? strrchr(path, '.') : NULL;
    return nnd_error_set(NND_E_UNSUPPORTED,
                         "no backend that is available here reads '%s' models ('%s'); "
                         "'nndeploy backends' lists what each one reads",
                         dot && !strchr(dot, '/') ? dot : ".onnx", path ? path : "model in memory");
}

/* ---- models ------------------------------------------------------------------------------ */

static bool is_text(const char *text)
{
    return text && text[0];
}

/* With one backend; options.backend is not looked at any more. */
static nnd_status load_with(nnd_model *model, const nnd_backend *backend, const void *bytes,
                            size_t size, const char *path, const nnd_model_options *options)
{
    nnd_status status = nnd_cancel_check(options->cancel);
    if (status != NND_OK)
        return nnd_error_set(status, "model '%s': loading was stopped", model->name);
    status = backend->load(bytes, size, path, options, &model->impl);
    if (status == NND_OK) model->backend = backend;
    return status;
}

static nnd_status set_choice(nnd_model *model, const char *text)
{
    nnd_free(model->choice);
    model->choice = nnd_strdup(text);
    return model->choice ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model");
}

/* As the tuning file says; *out stays NULL when it says nothing, or what it says fails. */
static nnd_status load_tuned(nnd_model *model, const nnd_tuned *tuned, const void *bytes,
                             size_t size, const char *path, const nnd_model_options *options)
{
    nnd_model_options effective = *options;
    effective.precision = tuned->precision;
    effective.config = tuned->config;
    effective.threads = tuned->threads;
    NND_TRY(load_with(model, tuned->backend, bytes, size, path, &effective));
    model->threads = tuned->threads;
    model->is_tuned = true;
    return set_choice(model, tuned->why);
}

static bool ends_loading(nnd_status status)
{
    return status == NND_OK || status == NND_E_CANCELLED || status == NND_E_TIMEOUT ||
           status == NND_E_OUT_OF_MEMORY;
}

static nnd_status load_auto(nnd_model *model, const void *bytes, size_t size, const char *path,
                            const nnd_model_options *options)
{
    nnd_tuned tuned = {0};
    const nnd_backend *first = NULL;
    bool plain =
        !is_text(options->precision) && !is_text(options->config) && !is_text(options->device);
    nnd_status status = NND_E_NOT_FOUND;
    if (plain) nnd_tuning_choose(path, bytes, size, options, &tuned);
    if (tuned.backend) status = load_tuned(model, &tuned, bytes, size, path, options);
    if (tuned.backend && !ends_loading(status))
        nnd_log(NND_LOG_WARN, "infer",
                "model '%s': backend '%s' was tuned for it, but cannot load "
                "it now; the first that fits is taken",
                model->name, tuned.backend->name);
    if (!ends_loading(status)) {
        status = choose_first(path, &first);
        if (status == NND_OK) status = load_with(model, first, bytes, size, path, options);
        if (status == NND_OK) {
            char *text = nnd_strf(
                tuned.why ? "the first that reads it (%s)" : "the first that reads it", tuned.why);
            status = set_choice(model, text);
            nnd_free(text);
        }
    }
    nnd_tuned_fini(&tuned);
    return status;
}

static nnd_status load_by_name(nnd_model *model, const void *bytes, size_t size, const char *path,
                               const nnd_model_options *options)
{
    const nnd_backend *backend = NULL;
    if (!is_text(options->backend) || strcmp(options->backend, "auto") == 0)
        return load_auto(model, bytes, size, path, options);
    NND_TRY(choose_named(options->backend, &backend));
    NND_TRY(load_with(model, backend, bytes, size, path, options));
    return set_choice(model, "as asked for");
}

static nnd_status model_load(nnd_model *model, const void *bytes, size_t size, const char *path,
                             const nnd_model_options *options)
{
    nnd_model_options effective = *options;
    char *folder = NULL;
    if (!effective.open_file && path) {
        NND_TRY(nnd_folder_of(path, "cannot find the folder of model", &folder));
        effective.open_file = open_in_folder;
        effective.open_user = folder;
    }
    nnd_status status = load_by_name(model, bytes, size, path, &effective);
    nnd_port_free(folder);
    return status;
}

static nnd_status model_create(const void *bytes, size_t size, const char *path,
                               const nnd_model_options *options, nnd_model **out)
{
    static const nnd_model_options defaults = NND_MODEL_OPTIONS_INIT;
    if (!options) options = &defaults;
    if (options->size != sizeof *options)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_model_options has the wrong size");
    nnd_model *model = nnd_calloc(1, sizeof *model);
    if (!model) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model");
    model->holders = 1;
    model->threads = options->threads;
    model->name = nnd_strdup(path ? path : "model in memory");
    nnd_status status =
        model->name ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model");
    if (status == NND_OK && path && !bytes) {
        int rc = nnd_port_map_open(path, &model->map);
        status = nnd_error_from_port(rc, "cannot open model", path);
        bytes = model->map.data;
        size = model->map.size;
    }
    if (status == NND_OK) status = model_load(model, bytes, size, path, options);
    if (status != NND_OK) {
        nnd_model_unref(model);
        return status;
    }
    *out = model;
    return NND_OK;
}

nnd_status nnd_model_load(const char *path, const nnd_model_options *options, nnd_model **out)
{
    if (!path || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_model_load: path and out are required");
    return model_create(NULL, 0, path, options, out);
}

nnd_status nnd_model_load_memory(const void *bytes, size_t size, const nnd_model_options *options,
                                 nnd_model **out)
{
    if (!bytes || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_model_load_memory: bytes and out are required");
    return model_create(bytes, size, NULL, options, out);
}

static nnd_status check_ir_options(const nnd_model_options *options)
{
    if (options->size != sizeof *options)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_model_options has the wrong size");
    if (is_text(options->backend) && strcmp(options->backend, "auto") != 0 &&
        strcmp(options->backend, nnd_backend_builtin.name) != 0)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "backend '%s' cannot take a graph; only 'builtin' can",
                             options->backend);
    return NND_OK;
}

nnd_status nnd_model_from_ir(nnd_ir *ir, const nnd_model_options *options, nnd_model **out)
{
    static const nnd_model_options defaults = NND_MODEL_OPTIONS_INIT;
    if (!ir || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_model_from_ir: a graph is required");
    if (!options) options = &defaults;
    nnd_status status = check_ir_options(options);
    nnd_model *model = status == NND_OK ? nnd_calloc(1, sizeof *model) : NULL;
    if (!model) {
        nnd_ir_destroy(ir);
        if (status != NND_OK) return status;
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model");
    }
    model->holders = 1;
    model->threads = options->threads;
    status = nnd_builtin_load_ir(ir, options, &model->impl);
    if (status == NND_OK) model->backend = &nnd_backend_builtin;
    model->name = nnd_strdup("graph in memory");
    if (status == NND_OK && !model->name)
        status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model");
    if (status == NND_OK) status = set_choice(model, "the one that takes graphs");
    if (status != NND_OK) {
        nnd_model_unref(model);
        return status;
    }
    *out = model;
    return NND_OK;
}

nnd_model *nnd_model_ref(nnd_model *model)
{
    if (model) atomic_fetch_add_explicit(&model->holders, 1, memory_order_relaxed);
    return model;
}

void nnd_model_unref(nnd_model *model)
{
    if (!model || atomic_fetch_sub_explicit(&model->holders, 1, memory_order_acq_rel) != 1) return;
    if (model->impl) model->backend->unload(model->impl);
    nnd_port_map_close(&model->map);
    nnd_free(model->choice);
    nnd_free(model->name);
    nnd_free(model);
}

const char *nnd_model_backend(const nnd_model *model)
{
    return model->backend->name;
}

const char *nnd_model_choice(const nnd_model *model)
{
    return model->choice;
}

int nnd_model_threads(const nnd_model *model)
{
    return model->threads;
}

size_t nnd_model_input_count(const nnd_model *model)
{
    return model->backend->port_count(model->impl, false);
}

size_t nnd_model_output_count(const nnd_model *model)
{
    return model->backend->port_count(model->impl, true);
}

const nnd_model_port *nnd_model_input(const nnd_model *model, size_t index)
{
    return index < nnd_model_input_count(model) ? model->backend->port(model->impl, false, index)
                                                : NULL;
}

const nnd_model_port *nnd_model_output(const nnd_model *model, size_t index)
{
    return index < nnd_model_output_count(model) ? model->backend->port(model->impl, true, index)
                                                 : NULL;
}

static void port_list_to_json(const nnd_model *model, bool outputs, nnd_json_writer *w)
{
    nnd_json_begin_array(w);
    for (size_t i = 0; i < model->backend->port_count(model->impl, outputs); i++) {
        char text[256];
        const nnd_model_port *port = model->backend->port(model->impl, outputs, i);
        nnd_json_begin_object(w);
        nnd_json_key(w, "name");
        nnd_json_put_string(w, port->name);
        nnd_json_key(w, "type");
        nnd_json_put_string(w, nnd_model_port_describe(port, text, sizeof text));
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
}

nnd_status nnd_model_inspect(const nnd_model *model, nnd_json_writer *w)
{
    if (model->backend->inspect) return model->backend->inspect(model->impl, w);
    nnd_json_begin_object(w);
    nnd_json_key(w, "inputs");
    port_list_to_json(model, false, w);
    nnd_json_key(w, "outputs");
    port_list_to_json(model, true, w);
    nnd_json_end_object(w);
    return NND_OK;
}

nnd_status nnd_model_inspect_at(const nnd_model *model, const nnd_tensor *shapes,
                                nnd_json_writer *w)
{
    const nnd_backend *backend = model->backend;
    bool has = backend->struct_size >= offsetof(nnd_backend, inspect_at) + sizeof(void (*)(void));
    if (has && backend->inspect_at) return backend->inspect_at(model->impl, shapes, w);
    return nnd_error_set(NND_E_UNSUPPORTED,
                         "backend '%s' does not tell what it does at given shapes; 'builtin' does",
                         backend->name);
}

/* ---- ports ------------------------------------------------------------------------------- */

nnd_status nnd_model_port_index(const nnd_model *model, bool outputs, const char *name, size_t *out)
{
    size_t count = model->backend->port_count(model->impl, outputs);
    for (size_t i = 0; name && i < count; i++) {
        if (strcmp(model->backend->port(model->impl, outputs, i)->name, name) == 0) {
            *out = i;
            return NND_OK;
        }
    }
    nnd_str names = {0};
    for (size_t i = 0; i < count; i++)
        nnd_str_printf(&names, "%s'%s'", i ? ", " : "",
                       model->backend->port(model->impl, outputs, i)->name);
    nnd_status status = nnd_error_set(NND_E_NOT_FOUND, "model '%s' has no %s '%s'; it has: %s",
                                      model->name, outputs ? "output" : "input", name ? name : "",
                                      names.data ? names.data : "none");
    nnd_str_free(&names);
    return status;
}

const char *nnd_model_port_describe(const nnd_model_port *port, char *text, size_t size)
{
    nnd_str s = {0};
    nnd_str_add(&s, port->kind == NND_PORT_SEQUENCE ? "sequence of "
                    : port->kind == NND_PORT_MAP    ? "map of "
                                                    : "");
    nnd_str_add(&s, nnd_dtype_name(port->dtype));
    nnd_str_add(&s, "[");
    if (port->rank < 0) nnd_str_add(&s, "…");
    for (int d = 0; d < port->rank; d++) {
        if (d) nnd_str_add(&s, ",");
        if (port->dims[d].value >= 0)
            nnd_str_printf(&s, "%lld", (long long)port->dims[d].value);
        else
            nnd_str_add(&s, port->dims[d].symbol ? port->dims[d].symbol : "?");
    }
    nnd_str_add(&s, "]");
    if (size) {
        size_t n = s.data ? s.size : 0;
        if (n >= size) n = nnd_utf8_valid_prefix(s.data, size - 1);
        if (n) memcpy(text, s.data, n);
        text[n] = '\0';
    }
    nnd_str_free(&s);
    return text;
}
