/* Models: choosing a backend, mapping the file, giving access to the files beside it. */
#include "infer/infer.h"

#include "base/port_status.h"
#include "base/str.h"

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

static bool same_suffix(const char *a, const char *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char x = a[i] >= 'A' && a[i] <= 'Z' ? (char)(a[i] - 'A' + 'a') : a[i];
        if (x != b[i]) return false;
    }
    return true;
}

static bool format_listed(const char *formats, const char *suffix)
{
    size_t n = strlen(suffix);
    for (const char *p = formats; *p;) {
        size_t word = strcspn(p, " ");
        if (word == n && same_suffix(suffix, p, n)) return true;
        p += word;
        p += strspn(p, " ");
    }
    return false;
}

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

/* "auto": the first one that is there and reads the file's format. */
static nnd_status choose_backend(const char *wanted, const char *path, const nnd_backend **out)
{
    if (wanted && wanted[0] && strcmp(wanted, "auto") != 0) return choose_named(wanted, out);
    const char *dot = path ? strrchr(path, '.') : NULL;
    const char *suffix = dot && !strchr(dot, '/') ? dot + 1 : "onnx";
    for (size_t i = 0; nnd_backend_at(i); i++) {
        const nnd_backend *backend = nnd_backend_at(i);
        nnd_backend_status probe = {.size = sizeof probe};
        if (!format_listed(backend->formats, suffix)) continue;
        backend->probe(&probe);
        if (!probe.available) continue;
        *out = backend;
        return NND_OK;
    }
    return nnd_error_set(NND_E_UNSUPPORTED,
                         "no backend that is available here reads '.%s' models ('%s'); "
                         "'nndeploy backends' lists what each one reads",
                         suffix, path ? path : "model in memory");
}

/* ---- models ------------------------------------------------------------------------------ */

static nnd_status model_load(nnd_model *model, const void *bytes, size_t size, const char *path,
                             const nnd_model_options *options)
{
    NND_TRY(choose_backend(options->backend, path, &model->backend));
    nnd_model_options effective = *options;
    char *folder = NULL;
    if (!effective.open_file && path) {
        NND_TRY(nnd_folder_of(path, "cannot find the folder of model", &folder));
        effective.open_file = open_in_folder;
        effective.open_user = folder;
    }
    nnd_status status = nnd_cancel_check(options->cancel);
    if (status != NND_OK)
        nnd_error_set(status, "model '%s': loading was stopped", model->name);
    else
        status = model->backend->load(bytes, size, path, &effective, &model->impl);
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
    nnd_free(model->name);
    nnd_free(model);
}

const char *nnd_model_backend(const nnd_model *model)
{
    return model->backend->name;
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
