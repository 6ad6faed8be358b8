/* ncnn as a backend: the library, models, requests. */
#include "infer/backends/ncnn/ncnn_abi.h"
#include "infer/backends/ncnn/param.h"
#include "infer/backends/vendor/vendor.h"
#include "infer/infer.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>

/* ---- the library -------------------------------------------------------------------------- */

#if defined(_WIN32)
#define LIBRARY_NAME "ncnn.dll"
#elif defined(__APPLE__)
#define LIBRARY_NAME "libncnn.dylib"
#else
#define LIBRARY_NAME "libncnn.so"
#endif

/* Loaded once and kept: its thread pool lives as long as the process. */
typedef struct ncnn_library {
    nnd_port_module *module;
    nnd_ncnn_api api;
    char path[256];
    char version[64];
} ncnn_library;

static const char *const below[] = {"lib", "bin", "src", NULL};
static const char *const loader_names[] = {LIBRARY_NAME,
#if !defined(_WIN32) && !defined(__APPLE__)
                                           "libncnn.so.1",
#endif
                                           NULL};
static const char *const known_folders[] = {NULL};
static const nnd_vendor_search search = {
    .variable = "NNDEPLOY_NCNN",
    .name = LIBRARY_NAME,
    .below = below,
    .loader_names = loader_names,
    .known_folders = known_folders,
    .advice = "build ncnn as a shared library with its C API (NCNN_SHARED_LIB, NCNN_C_API); "
              "NNDEPLOY_NCNN names it",
};

#define SYMBOL(result, name, params) {#name, offsetof(nnd_ncnn_api, name)},
static const nnd_vendor_symbol symbols[] = {NND_NCNN_FUNCTIONS(SYMBOL)};
static const nnd_vendor_symbol later_symbols[] = {NND_NCNN_LATER_FUNCTIONS(SYMBOL)};
#undef SYMBOL

static bool start_library(ncnn_library *lib, char *reason, size_t size)
{
    nnd_port_module *module = NULL;
    char why[256] = "";
    *lib = (ncnn_library){0};
    if (!nnd_vendor_open(&search, &module, lib->path, sizeof lib->path, reason, size)) return false;
    if (!nnd_vendor_symbols(module, symbols, NND_COUNT(symbols), &lib->api, why, sizeof why)) {
        snprintf(reason, size, "'%s' is no ncnn with the C API that we use: %s", lib->path, why);
        nnd_port_module_close(module);
        return false;
    }
    lib->module = module;
    (void)nnd_vendor_symbols(module, later_symbols, NND_COUNT(later_symbols), &lib->api, why,
                             sizeof why);
    snprintf(lib->version, sizeof lib->version, "%s", lib->api.ncnn_version());
    return true;
}

static const ncnn_library *library_get(char *reason, size_t size)
{
    static nnd_port_mutex lock = NND_PORT_MUTEX_INIT;
    static ncnn_library library;
    static bool started;
    nnd_port_mutex_lock(&lock);
    if (!started) started = start_library(&library, reason, size);
    const ncnn_library *result = started ? &library : NULL;
    nnd_port_mutex_unlock(&lock);
    return result;
}

static void ncnn_probe(nnd_backend_status *status)
{
    status->name = nnd_backend_ncnn.name;
    const ncnn_library *lib = library_get(status->reason, sizeof status->reason);
    status->available = lib != NULL;
    if (!lib) return;
    memcpy(status->version, lib->version, sizeof status->version);
    memcpy(status->library, lib->path, sizeof status->library);
    snprintf(status->devices, sizeof status->devices, "cpu");
}

/* ---- models ------------------------------------------------------------------------------- */

typedef struct ncnn_config {
    char *weights;
    char *precision;
    int64_t threads;
} ncnn_config;

static const nnd_option config_options[] = {
    NND_OPTION_STRING(ncnn_config, weights, "weights", "file with the weights, beside the model"),
    NND_OPTION_STRING(ncnn_config, precision, "precision", "f32, f16 or bf16"),
    NND_OPTION_INT(ncnn_config, threads, "threads", 0, 1024, "0 = the process's budget"),
};

typedef struct ncnn_model {
    const ncnn_library *lib;
    char *name;
    ncnn_config config;
    nnd_ncnn_param param;
    nnd_ncnn_net_t net;
    nnd_model_port *ports; /* inputs, then outputs */
} ncnn_model;

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for an ncnn model");
}

static nnd_status take_options(ncnn_model *m, const nnd_model_options *options)
{
    static const char *const precisions[] = {"f32", "f16", "bf16"};
    if (options->device && options->device[0] && strcmp(options->device, "cpu") != 0)
        return nnd_error_set(NND_E_UNSUPPORTED, "backend ncnn runs on 'cpu' only, not on '%s'",
                             options->device);
    m->config.threads = options->threads;
    m->config.precision =
        nnd_strdup(options->precision && options->precision[0] ? options->precision : "f32");
    if (!m->config.precision) return no_memory();
    NND_TRY(nnd_vendor_config(config_options, NND_COUNT(config_options), options->config,
                              "backend ncnn", &m->config));
    if (m->config.threads <= 0) m->config.threads = nnd_sched_threads();
    for (size_t i = 0; i < NND_COUNT(precisions); i++) {
        if (strcmp(m->config.precision, precisions[i]) == 0) return NND_OK;
    }
    return nnd_error_set(NND_E_UNSUPPORTED,
                         "backend ncnn computes in f32, f16 or bf16, not in '%s' (a quantised "
                         "model computes in int8 by itself)",
                         m->config.precision);
}

static nnd_status apply_options(ncnn_model *m)
{
    const nnd_ncnn_api *ncnn = &m->lib->api;
    bool f16 = strcmp(m->config.precision, "f16") == 0;
    bool bf16 = strcmp(m->config.precision, "bf16") == 0;
    bool has_switches =
        ncnn->ncnn_option_set_use_fp16_packed && ncnn->ncnn_option_set_use_fp16_storage &&
        ncnn->ncnn_option_set_use_fp16_arithmetic && ncnn->ncnn_option_set_use_bf16_storage;
    if (!has_switches && (f16 || bf16))
        return nnd_error_set(NND_E_UNSUPPORTED, "this ncnn (%s) cannot be told its precision",
                             m->lib->version);
    nnd_ncnn_option_t option = ncnn->ncnn_option_create();
    if (!option) return no_memory();
    ncnn->ncnn_option_set_num_threads(option, (int)m->config.threads);
    ncnn->ncnn_option_set_use_vulkan_compute(option, 0);
    if (has_switches) {
        ncnn->ncnn_option_set_use_fp16_packed(option, f16);
        ncnn->ncnn_option_set_use_fp16_storage(option, f16);
        ncnn->ncnn_option_set_use_fp16_arithmetic(option, f16);
        ncnn->ncnn_option_set_use_bf16_storage(option, bf16);
    }
    ncnn->ncnn_net_set_option(m->net, option);
    ncnn->ncnn_option_destroy(option);
    return NND_OK;
}

/* One message with every layer that the library was built without. */
static nnd_status check_layers(const ncnn_model *m)
{
    nnd_str missing = {0};
    for (size_t i = 0; i < m->param.types.count; i++) {
        const char *type = m->param.types.entries[i].key;
        if (m->lib->api.ncnn_layer_type_to_index(type) < 0)
            nnd_str_printf(&missing, "%s%s", missing.size ? ", " : "", type);
    }
    nnd_status status = NND_OK;
    if (missing.size || missing.failed)
        status =
            nnd_error_set(NND_E_UNSUPPORTED, "model '%s' has layers that this ncnn (%s) lacks: %s",
                          m->name, m->lib->version, missing.data ? missing.data : "?");
    nnd_str_free(&missing);
    return status;
}

static nnd_status load_param(ncnn_model *m, const void *bytes, size_t size)
{
    nnd_status status = nnd_ncnn_param_read(&m->param, bytes, size);
    if (status != NND_OK) return nnd_error_wrap(status, "model '%s'", m->name);
    NND_TRY(check_layers(m));
    char *text = nnd_strdup_n(bytes, size);
    if (!text) return no_memory();
    int rc = m->lib->api.ncnn_net_load_param_memory(m->net, text);
    nnd_free(text);
    if (rc == 0) return NND_OK;
    return nnd_error_set(NND_E_FORMAT, "ncnn refuses model '%s' (%d)", m->name, rc);
}

/* The weights, read front to back. The library's reader has no room for a pointer of ours, and it
   reads in the thread that asked it to. */
typedef struct weights {
    const unsigned char *at;
    size_t left;
    bool is_short;
} weights;

static nnd_port_thread_local weights *weights_being_read;

static size_t read_weights(nnd_ncnn_datareader_t reader, void *out, size_t size)
{
    weights *w = weights_being_read;
    (void)reader;
    size_t n = size < w->left ? size : w->left;
    if (n) memcpy(out, w->at, n);
    w->at += n;
    w->left -= n;
    w->is_short = w->is_short || n < size;
    return n;
}

static nnd_status pass_weights(ncnn_model *m, const char *name, weights *w)
{
    const nnd_ncnn_api *ncnn = &m->lib->api;
    nnd_ncnn_datareader_t reader = ncnn->ncnn_datareader_create();
    if (!reader) return no_memory();
    reader->read = read_weights;
    weights_being_read = w;
    int rc = ncnn->ncnn_net_load_model_datareader(m->net, reader);
    weights_being_read = NULL;
    ncnn->ncnn_datareader_destroy(reader);
    if (rc || w->is_short)
        return nnd_error_set(NND_E_FORMAT, "model '%s': its weights '%s' %s", m->name, name,
                             w->is_short ? "end early" : "are refused by ncnn");
    if (w->left)
        nnd_log(NND_LOG_WARN, "infer",
                "model '%s': %zu bytes of '%s' are not used; does it belong "
                "to this model?",
                m->name, w->left, name);
    return NND_OK;
}

/* "folder/net.param" → "net.bin", "net.ncnn.param" → "net.ncnn.bin" */
static char *weights_name(const ncnn_model *m, const char *path)
{
    if (m->config.weights) return nnd_strdup(m->config.weights);
    const char *slash = path ? strrchr(path, '/') : NULL;
    const char *name = slash ? slash + 1 : path;
    if (!name) return NULL;
    const char *dot = strrchr(name, '.');
    return nnd_strf("%.*s.bin", (int)(dot ? (size_t)(dot - name) : strlen(name)), name);
}

/* A relative path of plain components: what the opener of further files expects. */
static bool is_plain_path(const char *path)
{
    if (!path[0] || path[0] == '/' || strpbrk(path, "\\:")) return false;
    for (const char *p = path;; p += strcspn(p, "/") + 1) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') return false;
        if (p[n] == '\0') return true;
    }
}

static nnd_status open_weights(ncnn_model *m, const char *name, const nnd_model_options *options)
{
    const void *bytes = NULL;
    size_t size = 0;
    void (*release)(void *handle) = NULL;
    void *handle = NULL;
    if (!is_plain_path(name))
        return nnd_error_set(NND_E_PERMISSION,
                             "model '%s': '%s' would lead outside of the model's folder", m->name,
                             name);
    NND_TRY(options->open_file(options->open_user, name, &bytes, &size, &release, &handle));
    nnd_status status = pass_weights(m, name, &(weights){bytes, size, false});
    if (release) release(handle);
    return status;
}

static nnd_status load_weights(ncnn_model *m, const char *path, const nnd_model_options *options)
{
    char *name = weights_name(m, path);
    nnd_status status =
        name && options->open_file
            ? open_weights(m, name, options)
            : nnd_error_set(NND_E_MISSING,
                            "model '%s' has no path, so its weights have to be named: config "
                            "\"weights=…\" and open_file",
                            m->name);
    nnd_free(name);
    return status;
}

/* The file tells little: what layers need of an input, and of outputs only the names. Heights and
   widths that it may give are hints of the exporter, the net takes others. */
static nnd_status make_ports(ncnn_model *m)
{
    size_t inputs = m->param.inputs.count, outputs = m->param.outputs.count;
    m->ports = nnd_calloc(inputs + outputs, sizeof *m->ports);
    if (!m->ports) return no_memory();
    for (size_t i = 0; i < inputs + outputs; i++) {
        nnd_model_port *port = &m->ports[i];
        *port = (nnd_model_port){
            .size = sizeof *port, .kind = NND_PORT_TENSOR, .dtype = NND_F32, .rank = -1};
        if (i >= inputs) {
            port->name = m->param.outputs.items[i - inputs];
            continue;
        }
        const nnd_ncnn_input *input = &m->param.inputs.items[i];
        port->name = input->name;
        if (input->is_index) port->dtype = NND_I32;
        if (!input->channels) continue;
        port->rank = 4;
        port->dims[0].value = 1;
        port->dims[1].value = input->channels;
        port->dims[2] = (nnd_dim){-1, "height"};
        port->dims[3] = (nnd_dim){-1, "width"};
    }
    return NND_OK;
}

static void ncnn_unload(void *model)
{
    ncnn_model *m = model;
    if (m->net) m->lib->api.ncnn_net_destroy(m->net);
    nnd_ncnn_param_fini(&m->param);
    nnd_options_fini(config_options, NND_COUNT(config_options), &m->config);
    nnd_free(m->ports);
    nnd_free(m->name);
    nnd_free(m);
}

static nnd_status load_into(ncnn_model *m, const void *bytes, size_t size, const char *path,
                            const nnd_model_options *options)
{
    if (!m->name) return no_memory();
    NND_TRY(take_options(m, options));
    m->net = m->lib->api.ncnn_net_create();
    if (!m->net) return no_memory();
    NND_TRY(apply_options(m));
    NND_TRY(load_param(m, bytes, size));
    NND_TRY(load_weights(m, path, options));
    return make_ports(m);
}

static nnd_status ncnn_load(const void *bytes, size_t size, const char *path,
                            const nnd_model_options *options, void **model)
{
    char reason[512] = "";
    const ncnn_library *lib = library_get(reason, sizeof reason);
    if (!lib) return nnd_error_set(NND_E_MISSING, "ncnn is not available: %s", reason);
    ncnn_model *m = nnd_calloc(1, sizeof *m);
    if (!m) return no_memory();
    m->lib = lib;
    m->name = nnd_strdup(path ? path : "model in memory");
    nnd_status status = load_into(m, bytes, size, path, options);
    if (status != NND_OK) {
        ncnn_unload(m);
        return status;
    }
    *model = m;
    return NND_OK;
}

static size_t ncnn_port_count(const void *model, bool outputs)
{
    const ncnn_model *m = model;
    return outputs ? m->param.outputs.count : m->param.inputs.count;
}

static const nnd_model_port *ncnn_port(const void *model, bool outputs, size_t index)
{
    const ncnn_model *m = model;
    return &m->ports[outputs ? m->param.inputs.count + index : index];
}

/* ---- requests ----------------------------------------------------------------------------- */

typedef struct ncnn_request {
    const ncnn_model *model;
    nnd_ncnn_extractor_t extractor; /* of the run under way; the library makes one for each */
    nnd_value **packed;             /* inputs that had to be made dense */
    nnd_ncnn_mat_t *mats;           /* inputs as the library sees them */
} ncnn_request;

static void ncnn_close(void *request)
{
    ncnn_request *r = request;
    nnd_free(r->packed);
    nnd_free(r->mats);
    nnd_free(r);
}

static nnd_status ncnn_open(void *model, const nnd_request_options *options, void **request)
{
    const ncnn_model *m = model;
    if (options->profile)
        return nnd_error_set(NND_E_UNSUPPORTED, "backend ncnn does not measure operators");
    if (options->threads && options->threads != (int)m->config.threads)
        nnd_log(NND_LOG_INFO, "infer",
                "model '%s': ncnn keeps to the %d threads that the model was loaded with", m->name,
                (int)m->config.threads);
    ncnn_request *r = nnd_calloc(1, sizeof *r);
    if (!r) return no_memory();
    r->model = m;
    r->packed = nnd_calloc(m->param.inputs.count + 1, sizeof(nnd_value *));
    r->mats = nnd_calloc(m->param.inputs.count + 1, sizeof(nnd_ncnn_mat_t));
    if (!r->packed || !r->mats) {
        ncnn_close(r);
        return no_memory();
    }
    *request = r;
    return NND_OK;
}

/* Sides of a picture as the library counts them, innermost first: w, h, d, c. An absent one is 1.
 */
typedef struct sides {
    int rank; /* 1 … 4, without the batch */
    int w, h, d, c;
} sides;

/* The first axis is the batch, of which the library knows none: [1,w], [1,h,w], [1,c,h,w],
   [1,c,d,h,w]. */
static nnd_status sides_of(const ncnn_model *m, const nnd_ncnn_input *input, const nnd_tensor *t,
                           sides *out)
{
    int side[4] = {1, 1, 1, 1};
    char text[128];
    bool fits = t->rank >= 2 && t->rank <= 5 && t->dims[0] == 1;
    for (int d = 1; fits && d < t->rank; d++) {
        fits = t->dims[d] >= 1 && t->dims[d] <= INT32_MAX / 16;
        side[d - 1] = (int)t->dims[d];
    }
    nnd_tensor_describe(t, text, sizeof text);
    if (!fits || nnd_tensor_count(t) > INT32_MAX)
        return nnd_error_set(NND_E_SHAPE,
                             "model '%s', input '%s': ncnn takes [1,w], [1,h,w], [1,c,h,w] or "
                             "[1,c,d,h,w] with elements in it and one batch at a time, got %s",
                             m->name, input->name, text);
    if (input->elements && nnd_tensor_count(t) != input->elements)
        return nnd_error_set(NND_E_SHAPE, "model '%s', input '%s': wants %lld elements, got %s",
                             m->name, input->name, (long long)input->elements, text);
    int rank = t->rank - 1;
    *out = (sides){rank, side[rank - 1], rank >= 2 ? side[rank - 2] : 1, rank == 4 ? side[1] : 1,
                   rank >= 3 ? side[0] : 1};
    return NND_OK;
}

static nnd_ncnn_mat_t create_mat(const nnd_ncnn_api *ncnn, const sides *s)
{
    if (s->rank == 1) return ncnn->ncnn_mat_create_1d(s->w, NULL);
    if (s->rank == 2) return ncnn->ncnn_mat_create_2d(s->w, s->h, NULL);
    if (s->rank == 3) return ncnn->ncnn_mat_create_3d(s->w, s->h, s->c, NULL);
    return ncnn->ncnn_mat_create_4d(s->w, s->h, s->d, s->c, NULL);
}

/* Elements of one channel, and from one channel to the next. */
static size_t channel_size(const sides *s)
{
    return (size_t)s->w * (size_t)s->h * (size_t)s->d;
}

static bool is_dense(const nnd_ncnn_api *ncnn, nnd_ncnn_mat_t mat, const sides *s)
{
    return s->rank < 3 || s->c == 1 || ncnn->ncnn_mat_get_cstep(mat) == channel_size(s);
}

/* Our memory where the library's channels lie as ours do and nobody writes there, else a copy. */
static nnd_ncnn_mat_t borrow_mat(const ncnn_request *r, const nnd_ncnn_input *input,
                                 const nnd_tensor *t, const sides *s)
{
    const nnd_ncnn_api *ncnn = &r->model->lib->api;
    if (!input->is_borrowed || s->rank != 3 || (uintptr_t)t->data % 16) return NULL;
    nnd_ncnn_mat_t mat = ncnn->ncnn_mat_create_external_3d(s->w, s->h, s->c, t->data, NULL);
    if (mat && is_dense(ncnn, mat, s)) return mat;
    if (mat) ncnn->ncnn_mat_destroy(mat);
    return NULL;
}

static nnd_status copy_in(const ncnn_request *r, const nnd_tensor *t, const sides *s,
                          nnd_ncnn_mat_t *out)
{
    const nnd_ncnn_api *ncnn = &r->model->lib->api;
    nnd_ncnn_mat_t mat = create_mat(ncnn, s);
    float *to = mat ? ncnn->ncnn_mat_get_data(mat) : NULL;
    *out = mat; /* the run's end destroys it */
    if (!to) return nnd_error_set(NND_E_OUT_OF_MEMORY, "ncnn has no memory for an input");
    size_t size = channel_size(s), step = s->rank < 3 ? size : ncnn->ncnn_mat_get_cstep(mat);
    for (int c = 0; c < s->c; c++)
        memcpy(to + (size_t)c * step, (const float *)t->data + (size_t)c * size, size * 4);
    nnd_copy_count(nnd_tensor_bytes(t));
    return NND_OK;
}

static nnd_status set_input(ncnn_request *r, size_t index, nnd_value *value, nnd_cancel *cancel)
{
    const ncnn_model *m = r->model;
    const nnd_ncnn_input *input = &m->param.inputs.items[index];
    const nnd_tensor *t = NULL;
    sides s;
    NND_TRY(nnd_vendor_dense_tensor(value, input->name, cancel, &t, &r->packed[index]));
    NND_TRY(sides_of(m, input, t, &s));
    r->mats[index] = borrow_mat(r, input, t, &s);
    if (!r->mats[index]) NND_TRY(copy_in(r, t, &s, &r->mats[index]));
    int rc = m->lib->api.ncnn_extractor_input(r->extractor, input->name, r->mats[index]);
    if (rc == 0) return NND_OK;
    return nnd_error_set(NND_E_BACKEND, "model '%s': ncnn refuses input '%s' (%d)", m->name,
                         input->name, rc);
}

/* ---- results ------------------------------------------------------------------------------ */

typedef struct foreign_memory {
    const nnd_ncnn_api *api;
    nnd_ncnn_mat_t mat;
} foreign_memory;

static void foreign_release(void *user, void *data)
{
    foreign_memory *memory = user;
    (void)data;
    memory->api->ncnn_mat_destroy(memory->mat);
    nnd_free(memory);
}

/* The library's memory as a value that keeps it alive; takes the mat over, also on failure. */
static nnd_status wrap_result(const nnd_ncnn_api *ncnn, nnd_ncnn_mat_t mat, nnd_tensor *view,
                              nnd_value **out)
{
    nnd_buffer *buffer = NULL;
    foreign_memory *memory = nnd_calloc(1, sizeof *memory);
    if (!memory) {
        ncnn->ncnn_mat_destroy(mat);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a result");
    }
    *memory = (foreign_memory){ncnn, mat};
    nnd_status status =
        nnd_buffer_wrap(view->data, nnd_tensor_bytes(view), foreign_release, memory, &buffer);
    if (status != NND_OK) {
        foreign_release(memory, NULL);
        return status;
    }
    view->buffer = buffer;
    status = nnd_value_from_tensor(view, out);
    nnd_buffer_unref(buffer);
    return status;
}

static void copy_out(const nnd_ncnn_api *ncnn, nnd_ncnn_mat_t mat, const sides *s, void *to)
{
    const float *from = ncnn->ncnn_mat_get_data(mat);
    size_t size = channel_size(s), step = s->rank < 3 ? size : ncnn->ncnn_mat_get_cstep(mat);
    for (int c = 0; c < s->c; c++)
        memcpy((float *)to + (size_t)c * size, from + (size_t)c * step, size * 4);
    nnd_copy_count((uint64_t)size * (uint64_t)s->c * 4);
}

/* Shape and place of a result: [1,w], [1,h,w], [1,c,h,w] or [1,c,d,h,w]. */
static nnd_status view_result(const ncnn_request *r, const char *name, nnd_ncnn_mat_t mat, sides *s,
                              nnd_tensor *view)
{
    const nnd_ncnn_api *ncnn = &r->model->lib->api;
    *s = (sides){ncnn->ncnn_mat_get_dims(mat), ncnn->ncnn_mat_get_w(mat), 1, 1, 1};
    if (s->rank >= 2) s->h = ncnn->ncnn_mat_get_h(mat);
    if (s->rank == 4) s->d = ncnn->ncnn_mat_get_d(mat);
    if (s->rank >= 3) s->c = ncnn->ncnn_mat_get_c(mat);
    if (s->rank < 1 || s->rank > 4 || ncnn->ncnn_mat_get_elempack(mat) != 1 ||
        ncnn->ncnn_mat_get_elemsize(mat) != 4)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "model '%s', output '%s': ncnn gives %d dimensions of %zu bytes, "
                             "packed by %d; elements of 4 bytes, not packed, are what we read",
                             r->model->name, name, s->rank, ncnn->ncnn_mat_get_elemsize(mat),
                             ncnn->ncnn_mat_get_elempack(mat));
    int64_t dims[5] = {1};
    int n = 1;
    if (s->rank >= 3) dims[n++] = s->c;
    if (s->rank == 4) dims[n++] = s->d;
    if (s->rank >= 2) dims[n++] = s->h;
    dims[n++] = s->w;
    return nnd_tensor_init(view, NND_F32, n, dims, ncnn->ncnn_mat_get_data(mat));
}

/* Into the memory that the caller bound; takes nothing over. */
static nnd_status fill_bound(const ncnn_request *r, const char *name, nnd_ncnn_mat_t mat,
                             const sides *s, const nnd_tensor *view, nnd_value *bound)
{
    const nnd_tensor *to = nnd_value_tensor(bound);
    char given[128], is[128];
    bool same = to->rank == view->rank;
    for (int d = 0; same && d < view->rank; d++)
        same = to->dims[d] == view->dims[d];
    if (!same)
        return nnd_error_set(NND_E_SHAPE, "model '%s', output '%s': bound to %s, the result is %s",
                             r->model->name, name, nnd_tensor_describe(to, given, sizeof given),
                             nnd_tensor_describe(view, is, sizeof is));
    copy_out(&r->model->lib->api, mat, s, to->data);
    return NND_OK;
}

static nnd_status take_result(const ncnn_request *r, const char *name, nnd_ncnn_mat_t mat,
                              nnd_value **value)
{
    const nnd_ncnn_api *ncnn = &r->model->lib->api;
    nnd_tensor view;
    sides s;
    nnd_status status = view_result(r, name, mat, &s, &view);
    if (status == NND_OK && !*value && view.data && is_dense(ncnn, mat, &s))
        return wrap_result(ncnn, mat, &view, value);
    if (status == NND_OK && *value) {
        status = fill_bound(r, name, mat, &s, &view, *value);
    } else if (status == NND_OK) {
        status = nnd_value_new_tensor(view.dtype, view.rank, view.dims, value);
        if (status == NND_OK && view.data) copy_out(ncnn, mat, &s, nnd_value_tensor(*value)->data);
    }
    ncnn->ncnn_mat_destroy(mat);
    return status;
}

static nnd_status take_output(ncnn_request *r, size_t index, nnd_value **value, nnd_cancel *cancel)
{
    const ncnn_model *m = r->model;
    const char *name = m->param.outputs.items[index];
    nnd_ncnn_mat_t mat = NULL;
    nnd_status status = nnd_cancel_check(cancel);
    if (status != NND_OK) return nnd_error_set(status, "model '%s': stopped", m->name);
    int rc = m->lib->api.ncnn_extractor_extract(r->extractor, name, &mat);
    if (rc == 0 && mat) return take_result(r, name, mat, value);
    if (mat) m->lib->api.ncnn_mat_destroy(mat);
    return nnd_error_set(rc == -100 ? NND_E_OUT_OF_MEMORY : NND_E_BACKEND,
                         "model '%s': ncnn cannot compute output '%s' (%d)", m->name, name, rc);
}

static nnd_status run_extractor(ncnn_request *r, nnd_value *const *inputs, nnd_value **outputs,
                                nnd_cancel *cancel)
{
    for (size_t i = 0; i < r->model->param.inputs.count; i++)
        NND_TRY(set_input(r, i, inputs[i], cancel));
    for (size_t i = 0; i < r->model->param.outputs.count; i++)
        NND_TRY(take_output(r, i, &outputs[i], cancel));
    return NND_OK;
}

/* The library cannot be stopped inside of an output; the token is looked at before each. */
static nnd_status ncnn_run(void *request, nnd_value *const *inputs, nnd_value **outputs,
                           nnd_cancel *cancel)
{
    ncnn_request *r = request;
    const nnd_ncnn_api *ncnn = &r->model->lib->api;
    int others = (int)r->model->config.threads - 1;
    r->extractor = ncnn->ncnn_extractor_create(r->model->net);
    if (!r->extractor) return no_memory();
    nnd_sched_charge(others);
    nnd_status status = run_extractor(r, inputs, outputs, cancel);
    nnd_sched_charge(-others);
    ncnn->ncnn_extractor_destroy(r->extractor);
    r->extractor = NULL;
    for (size_t i = 0; i < r->model->param.inputs.count; i++) {
        if (r->mats[i]) ncnn->ncnn_mat_destroy(r->mats[i]);
        r->mats[i] = NULL;
        nnd_value_unref(r->packed[i]);
        r->packed[i] = NULL;
    }
    return status;
}

const nnd_backend nnd_backend_ncnn = {
    .struct_size = sizeof(nnd_backend),
    .name = "ncnn",
    .formats = "param",
    .probe = ncnn_probe,
    .load = ncnn_load,
    .unload = ncnn_unload,
    .port_count = ncnn_port_count,
    .port = ncnn_port,
    .open = ncnn_open,
    .close = ncnn_close,
    .run = ncnn_run,
    .precisions = "f16 bf16",
};
