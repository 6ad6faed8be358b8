/* Models: options, reading ONNX, IR and TensorFlow Lite, compiling for a device. */
#include "infer/backends/openvino/openvino.h"

#include "base/str.h"
#include "infer/backends/vendor/vendor.h"

#include <stdio.h>
#include <string.h>

/* ---- options ------------------------------------------------------------------------------ */

static const nnd_option config_options[] = {
    NND_OPTION_STRING(nnd_ov_config, device, "device",
                      "CPU, GPU, GPU.1, NPU, AUTO, \"AUTO:GPU,CPU\", \"HETERO:GPU,CPU\""),
    NND_OPTION_ENUM(nnd_ov_config, hint, "hint", "latency|throughput",
                    "what the device is set up for"),
    NND_OPTION_STRING(nnd_ov_config, precision, "precision", "f32, f16 or bf16"),
    NND_OPTION_INT(nnd_ov_config, threads, "threads", 0, 1024,
                   "threads of the CPU device, 0 = the process's budget"),
    NND_OPTION_INT(nnd_ov_config, streams, "streams", 0, 1024,
                   "requests that the device works on at once, 0 = by the hint"),
    NND_OPTION_STRING(nnd_ov_config, cache_dir, "cache_dir", "folder for compiled models"),
    NND_OPTION_STRING(nnd_ov_config, weights, "weights",
                      "file with the weights of an .xml model, beside it"),
    NND_OPTION_BOOL(nnd_ov_config, profile, "profile", "measure each operator"),
};

static nnd_status replace_text(char **slot, const char *text)
{
    char *copy = nnd_strdup(text);
    if (!copy) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for options");
    nnd_free(*slot);
    *slot = copy;
    return NND_OK;
}

/* Our device names are small letters and colons, "gpu:1"; the library's are "GPU.1". What holds
   capital letters is the library's already. */
static void vendor_device(char *device)
{
    for (const char *p = device; *p; p++) {
        if (*p >= 'A' && *p <= 'Z') return;
    }
    for (char *p = device; *p; p++) {
        if (*p >= 'a' && *p <= 'z') *p = (char)(*p - 'a' + 'A');
        if (*p == ':') *p = '.';
    }
}

static nnd_status take_options(nnd_openvino_model *m, const nnd_model_options *options)
{
    static const char *const precisions[] = {"f32", "f16", "bf16"};
    nnd_ov_config *config = &m->config;
    config->threads = options->threads;
    if (options->device && options->device[0])
        NND_TRY(replace_text(&config->device, options->device));
    if (options->precision && options->precision[0])
        NND_TRY(replace_text(&config->precision, options->precision));
    NND_TRY(nnd_vendor_config(config_options, NND_COUNT(config_options), options->config,
                              "backend openvino", config));
    if (!config->device || !config->device[0]) NND_TRY(replace_text(&config->device, "CPU"));
    vendor_device(config->device);
    if (config->threads <= 0) config->threads = nnd_sched_threads();
    if (!config->precision) return NND_OK;
    for (size_t i = 0; i < NND_COUNT(precisions); i++) {
        if (strcmp(config->precision, precisions[i]) == 0) return NND_OK;
    }
    return nnd_error_set(NND_E_UNSUPPORTED,
                         "backend openvino computes in f32, f16 or bf16, not in '%s' (a quantised "
                         "model computes in int8 by itself)",
                         config->precision);
}

/* ---- reading ------------------------------------------------------------------------------ */

typedef enum model_format { FORMAT_ONNX, FORMAT_IR, FORMAT_TFLITE } model_format;

static model_format format_of(const char *bytes, size_t size)
{
    size_t i = size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (i < size && (bytes[i] == ' ' || (bytes[i] >= '\t' && bytes[i] <= '\r')))
        i++;
    if (i < size && bytes[i] == '<') return FORMAT_IR;
    /* The identifier of the flat buffer. */
    return size >= 8 && memcmp(bytes + 4, "TFL3", 4) == 0 ? FORMAT_TFLITE : FORMAT_ONNX;
}

static nnd_status read_failed(const nnd_openvino_model *m, nnd_ov_status result)
{
    nnd_status status = nnd_ov_fail(m->lib, result, NND_E_BACKEND, "cannot read it", m->name);
    /* What is wrong with a file that is being read is the file, unless the library knows better. */
    if (status != NND_E_BACKEND) return status;
    return nnd_error_wrap(NND_E_FORMAT, "OpenVINO refuses model '%s'", m->name);
}

static nnd_status read_bytes(nnd_openvino_model *m, const void *bytes, size_t size,
                             const nnd_ov_tensor *weights)
{
    nnd_ov_status result = m->lib->api.ov_core_read_model_from_memory_buffer(
        m->lib->core, bytes, size, weights, &m->model);
    return result ? read_failed(m, result) : NND_OK;
}

static nnd_status read_path(nnd_openvino_model *m, const char *path)
{
    nnd_ov_status result = m->lib->api.ov_core_read_model(m->lib->core, path, NULL, &m->model);
    return result ? read_failed(m, result) : NND_OK;
}

/* "folder/net.xml" → "net.bin" */
static char *weights_name(const nnd_openvino_model *m, const char *path)
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

static nnd_status refuse_path(const nnd_openvino_model *m, const char *name)
{
    return nnd_error_set(NND_E_PERMISSION,
                         "OpenVINO, model '%s': '%s' would lead outside of the model's folder",
                         m->name, name);
}

static nnd_status open_weights(nnd_openvino_model *m, const char *name,
                               const nnd_model_options *options, nnd_ov_tensor **out)
{
    const void *bytes = NULL;
    size_t size = 0;
    if (!is_plain_path(name)) return refuse_path(m, name);
    NND_TRY(options->open_file(options->open_user, name, &bytes, &size, &m->weights_release,
                               &m->weights_handle));
    m->has_weights = true;
    if (!size) return NND_OK;
    /* The library only reads; its type just has no const. */
    int64_t dims[1] = {(int64_t)size};
    nnd_ov_shape shape = {1, dims};
    nnd_ov_status result = m->lib->api.ov_tensor_create_from_host_ptr(
        m->lib->types[NND_U8], shape, (void *)(uintptr_t)bytes, out);
    return result ? nnd_ov_fail(m->lib, result, NND_E_BACKEND, "cannot pass its weights", m->name)
                  : NND_OK;
}

/* Models without constants have no weights, so a missing file matters only when reading fails. */
static nnd_status read_ir(nnd_openvino_model *m, const void *bytes, size_t size, const char *path,
                          const nnd_model_options *options)
{
    nnd_ov_tensor *weights = NULL;
    char *name = weights_name(m, path);
    nnd_status opened = NND_E_MISSING;
    if (name && options->open_file) opened = open_weights(m, name, options, &weights);
    nnd_status status = opened;
    if (opened == NND_OK || (opened == NND_E_MISSING && !m->config.weights)) {
        status = read_bytes(m, bytes, size, weights);
        if (status != NND_OK && opened != NND_OK)
            status = nnd_error_wrap(NND_E_MISSING,
                                    "model '%s' cannot be read without its weights '%s' beside it",
                                    m->name, name ? name : "<name>.bin");
    }
    if (weights) m->lib->api.ov_tensor_free(weights);
    nnd_free(name);
    return status;
}

/* May each file of external data be opened? The library opens them by itself. */
static nnd_status check_externals(const nnd_openvino_model *m, const nnd_onnx_file *file,
                                  const nnd_model_options *options)
{
    for (size_t i = 0; i < file->externals.count; i++) {
        const char *name = file->externals.entries[i].key;
        const void *bytes = NULL;
        size_t size = 0;
        void (*release)(void *handle) = NULL;
        void *handle = NULL;
        if (!is_plain_path(name)) return refuse_path(m, name);
        NND_TRY(options->open_file(options->open_user, name, &bytes, &size, &release, &handle));
        if (release) release(handle);
    }
    return NND_OK;
}

static nnd_status read_onnx(nnd_openvino_model *m, const nnd_onnx_file *file, const void *bytes,
                            size_t size, const char *path, const nnd_model_options *options)
{
    if (!file->externals.count) return read_bytes(m, bytes, size, NULL);
    if (!path || !options->open_file)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "OpenVINO, model '%s' keeps weights in a further file ('%s'): it can "
                             "be loaded from its path only, not from memory",
                             m->name, file->externals.entries[0].key);
    NND_TRY(check_externals(m, file, options));
    return read_path(m, path);
}

/* The library knows this format by the name of its file only. */
static nnd_status read_tflite(nnd_openvino_model *m, const char *path)
{
    if (path) return read_path(m, path);
    return nnd_error_set(NND_E_UNSUPPORTED,
                         "OpenVINO reads TensorFlow Lite models from files only, not from memory");
}

static nnd_status read_model(nnd_openvino_model *m, const void *bytes, size_t size,
                             const char *path, const nnd_model_options *options)
{
    model_format format = format_of(bytes, size);
    nnd_onnx_file file = {0};
    nnd_status status = NND_OK;
    if (format == FORMAT_ONNX) {
        status = nnd_onnx_file_read(&file, bytes, size);
        if (status != NND_OK)
            status = nnd_error_wrap(status, "OpenVINO cannot read model '%s'", m->name);
        else
            status = read_onnx(m, &file, bytes, size, path, options);
    } else if (format == FORMAT_IR) {
        status = read_ir(m, bytes, size, path, options);
    } else {
        status = read_tflite(m, path);
    }
    if (status == NND_OK) status = nnd_ov_take_ports(m, format == FORMAT_ONNX ? &file : NULL);
    nnd_onnx_file_fini(&file);
    return status;
}

/* ---- compiling ---------------------------------------------------------------------------- */

typedef struct properties {
    const char *words[16]; /* name, value, name, value, …, then empty texts */
    size_t count;
    char threads[16], streams[16];
} properties;

static void add_property(properties *p, const char *name, const char *value)
{
    p->words[p->count++] = name;
    p->words[p->count++] = value;
}

static void collect_properties(const nnd_ov_config *config, const nnd_ov_variant *variant,
                               properties *p)
{
    bool is_cpu = strcmp(config->device, "CPU") == 0;
    bool is_gpu = strncmp(config->device, "GPU", 3) == 0;
    *p = (properties){0};
    snprintf(p->threads, sizeof p->threads, "%d", variant->threads);
    snprintf(p->streams, sizeof p->streams, "%d", (int)config->streams);
    add_property(p, "PERFORMANCE_HINT", config->hint ? "THROUGHPUT" : "LATENCY");
    /* Left alone, devices choose a shorter type than the model has. */
    if (config->precision)
        add_property(p, "INFERENCE_PRECISION_HINT", config->precision);
    else if (is_cpu || is_gpu)
        add_property(p, "INFERENCE_PRECISION_HINT", "f32");
    if (is_cpu) {
        add_property(p, "INFERENCE_NUM_THREADS", p->threads);
        /* The process has other threads, which a pinned one would only be in the way of. */
        add_property(p, "ENABLE_CPU_PINNING", "NO");
    }
    if (config->streams) add_property(p, "NUM_STREAMS", p->streams);
    if (config->cache_dir && config->cache_dir[0]) add_property(p, "CACHE_DIR", config->cache_dir);
    if (variant->profile) add_property(p, "PERF_COUNT", "YES");
    for (size_t i = p->count; i < NND_COUNT(p->words); i++)
        p->words[i] = "";
}

static nnd_status compile(const nnd_openvino_model *m, nnd_ov_variant *variant)
{
    properties p;
    collect_properties(&m->config, variant, &p);
    const char *const *w = p.words;
    /* The library reads as many words as it is told of; the rest are not looked at. */
    nnd_ov_status result = m->lib->api.ov_core_compile_model(
        m->lib->core, m->model, m->config.device, p.count, &variant->compiled, w[0], w[1], w[2],
        w[3], w[4], w[5], w[6], w[7], w[8], w[9], w[10], w[11], w[12], w[13], w[14], w[15]);
    if (!result) return NND_OK;
    nnd_status status =
        nnd_ov_fail(m->lib, result, NND_E_BACKEND, "the device cannot run it", m->name);
    return nnd_error_wrap(status, "device '%s' (this machine has: %s)", m->config.device,
                          m->lib->devices[0] ? m->lib->devices : "none");
}

static nnd_status find_or_compile(nnd_openvino_model *m, int threads, bool profile,
                                  const nnd_ov_variant **out)
{
    for (nnd_ov_variant *v = m->variants; v; v = v->next) {
        if (v->threads != threads || v->profile != profile) continue;
        *out = v;
        return NND_OK;
    }
    nnd_ov_variant *variant = nnd_calloc(1, sizeof *variant);
    if (!variant) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model");
    variant->threads = threads;
    variant->profile = profile;
    nnd_status status = compile(m, variant);
    if (status != NND_OK) {
        nnd_free(variant);
        return status;
    }
    variant->next = m->variants;
    m->variants = variant;
    *out = variant;
    return NND_OK;
}

nnd_status nnd_ov_variant_get(nnd_openvino_model *m, int threads, bool profile,
                              const nnd_ov_variant **out)
{
    nnd_port_mutex_lock(&m->lock);
    nnd_status status = find_or_compile(m, threads > 0 ? threads : (int)m->config.threads,
                                        profile || m->config.profile, out);
    nnd_port_mutex_unlock(&m->lock);
    return status;
}

/* ---- life --------------------------------------------------------------------------------- */

void nnd_ov_unload(void *model)
{
    nnd_openvino_model *m = model;
    const nnd_ov_api *ov = &m->lib->api;
    while (m->variants) {
        nnd_ov_variant *next = m->variants->next;
        ov->ov_compiled_model_free(m->variants->compiled);
        nnd_free(m->variants);
        m->variants = next;
    }
    if (m->model) ov->ov_model_free(m->model);
    if (m->has_weights && m->weights_release) m->weights_release(m->weights_handle);
    for (size_t i = 0; i < m->text_count; i++)
        nnd_free(m->texts[i]);
    nnd_free(m->texts);
    nnd_free(m->ports);
    nnd_options_fini(config_options, NND_COUNT(config_options), &m->config);
    nnd_port_mutex_fini(&m->lock);
    nnd_free(m->name);
    nnd_free(m);
}

static nnd_status load_into(nnd_openvino_model *m, const void *bytes, size_t size, const char *path,
                            const nnd_model_options *options)
{
    const nnd_ov_variant *variant;
    NND_TRY(take_options(m, options));
    if (!size)
        return nnd_error_set(NND_E_FORMAT, "OpenVINO, model '%s': the file is empty", m->name);
    NND_TRY(read_model(m, bytes, size, path, options));
    nnd_status status = nnd_cancel_check(options->cancel);
    if (status != NND_OK) return nnd_error_set(status, "model '%s': loading was stopped", m->name);
    return nnd_ov_variant_get(m, 0, false, &variant);
}

nnd_status nnd_ov_load(const void *bytes, size_t size, const char *path,
                       const nnd_model_options *options, void **model)
{
    char reason[512] = "";
    const nnd_ov_library *lib = nnd_ov_library_get(reason, sizeof reason);
    if (!lib) return nnd_error_set(NND_E_MISSING, "OpenVINO is not available: %s", reason);
    nnd_openvino_model *m = nnd_calloc(1, sizeof *m);
    if (!m) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model");
    m->lib = lib;
    m->name = nnd_strdup(path ? path : "model in memory");
    if (!m->name || nnd_port_mutex_init(&m->lock)) {
        nnd_free(m->name);
        nnd_free(m);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model");
    }
    nnd_status status = load_into(m, bytes, size, path, options);
    if (status != NND_OK) {
        nnd_ov_unload(m);
        return status;
    }
    *model = m;
    return NND_OK;
}
