/* From the public model options to the library's session options: threads, optimisation, memory,
   execution providers. */
#include "infer/backends/onnxruntime/ort.h"

#include "base/options.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROVIDER_OPTIONS = 32 };

typedef enum provider { EP_CPU, EP_CUDA, EP_TENSORRT, EP_COREML, EP_NNAPI, EP_QNN } provider;
static const char *const provider_names[] = {"CPUExecutionProvider",      "CUDAExecutionProvider",
                                             "TensorrtExecutionProvider", "CoreMLExecutionProvider",
                                             "NnapiExecutionProvider",    "QNNExecutionProvider"};
static const unsigned optimize_levels[] = {NND_ORT_OPTIMIZE_NONE, NND_ORT_OPTIMIZE_BASIC,
                                           NND_ORT_OPTIMIZE_EXTENDED, NND_ORT_OPTIMIZE_ALL};

typedef struct ort_config {
    int ep;       /* provider */
    int optimize; /* index into optimize_levels */
    bool arena;
    bool spin;
    int allocator; /* 0 = the library's, 1 = ours */
    char *ep_options;
} ort_config;

static const nnd_option config_options[] = {
    NND_OPTION_ENUM(ort_config, ep, "ep", "cpu|cuda|tensorrt|coreml|nnapi|qnn",
                    "execution provider"),
    NND_OPTION_STRING(ort_config, ep_options, "ep-options",
                      "\"key:value;key:value\" for the execution provider"),
    NND_OPTION_ENUM(ort_config, optimize, "optimize", "none|basic|extended|all",
                    "level of graph optimisation"),
    NND_OPTION_BOOL(ort_config, arena, "arena", "keep freed memory for the next run"),
    NND_OPTION_BOOL(ort_config, spin, "spin", "idle threads of the pool spin before they sleep"),
    NND_OPTION_ENUM(ort_config, allocator, "allocator", "library|nndeploy",
                    "whose memory activations and results lie in"),
};

/* "key=value  key=value" as the public options have it → the comma form of base/options.h. Blanks
   in double quotes stay. */
static nnd_status parse_config(const char *text, ort_config *config)
{
    char *list = nnd_strdup(text ? text : ""), *end = list;
    bool quoted = false;
    if (!list) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for options");
    for (const char *p = list; *p; p++) {
        if (*p == '"') quoted = !quoted;
        if (*p != ' ' || quoted)
            *end++ = *p;
        else if (end != list && p[1] != ' ' && p[1] != '\0')
            *end++ = ',';
    }
    *end = '\0';
    nnd_status status = nnd_options_parse(config_options, NND_COUNT(config_options), list,
                                          "backend onnxruntime", config);
    nnd_free(list);
    return status;
}

/* ---- providers ----------------------------------------------------------------------------- */

static nnd_status require_provider(const nnd_ort_library *lib, provider ep)
{
    nnd_str names = {0};
    for (int i = 0; i < lib->provider_count; i++) {
        if (strcmp(lib->providers[i], provider_names[ep]) == 0) {
            nnd_str_free(&names);
            return NND_OK;
        }
        nnd_str_printf(&names, "%s%s", i ? ", " : "", lib->providers[i]);
    }
    nnd_status status = nnd_error_set(
        NND_E_UNSUPPORTED, "onnxruntime %s ('%s') was built without %s; it has: %s", lib->version,
        lib->path, provider_names[ep], names.data ? names.data : "none");
    nnd_str_free(&names);
    return status;
}

typedef struct key_values {
    char *text; /* cut into pieces that the pointers name */
    const char *keys[MAX_PROVIDER_OPTIONS];
    const char *values[MAX_PROVIDER_OPTIONS];
    size_t count;
} key_values;

/* "key:value;key:value"; a device index comes first. */
static nnd_status split_options(const char *text, const char *device_index, key_values *out)
{
    *out = (key_values){.text = nnd_strdup(text ? text : "")};
    if (!out->text) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for options");
    if (device_index) {
        out->keys[0] = "device_id";
        out->values[out->count++] = device_index;
    }
    for (char *p = out->text; *p;) {
        char *key = p, *colon = strchr(p, ':'), *end = p + strcspn(p, ";");
        bool last = *end == '\0';
        if (!colon || colon > end || colon == key || out->count == MAX_PROVIDER_OPTIONS) {
            nnd_status status = nnd_error_set(
                NND_E_INVALID_ARGUMENT,
                "backend onnxruntime: ep-options wants at most %d pairs \"key:value;key:value\", "
                "got '%s'",
                MAX_PROVIDER_OPTIONS, text);
            nnd_free(out->text);
            return status;
        }
        *colon = *end = '\0';
        out->keys[out->count] = key;
        out->values[out->count++] = colon + 1;
        p = last ? end : end + 1;
    }
    return NND_OK;
}

static nnd_status append_cuda(const nnd_ort_library *lib, OrtSessionOptions *so,
                              const key_values *kv)
{
    const nnd_ort_api *api = lib->api;
    OrtCUDAProviderOptionsV2 *cuda = NULL;
    NND_TRY(nnd_ort_check(lib, api->CreateCUDAProviderOptions(&cuda), "CUDA"));
    nnd_status status = nnd_ort_check(
        lib, api->UpdateCUDAProviderOptions(cuda, kv->keys, kv->values, kv->count), "CUDA options");
    if (status == NND_OK)
        status = nnd_ort_check(lib, api->SessionOptionsAppendExecutionProvider_CUDA_V2(so, cuda),
                               "cannot use CUDA");
    api->ReleaseCUDAProviderOptions(cuda);
    return status;
}

static nnd_status append_tensorrt(const nnd_ort_library *lib, OrtSessionOptions *so,
                                  const key_values *kv)
{
    const nnd_ort_api *api = lib->api;
    OrtTensorRTProviderOptionsV2 *trt = NULL;
    NND_TRY(nnd_ort_check(lib, api->CreateTensorRTProviderOptions(&trt), "TensorRT"));
    nnd_status status =
        nnd_ort_check(lib, api->UpdateTensorRTProviderOptions(trt, kv->keys, kv->values, kv->count),
                      "TensorRT options");
    if (status == NND_OK)
        status = nnd_ort_check(lib, api->SessionOptionsAppendExecutionProvider_TensorRT_V2(so, trt),
                               "cannot use TensorRT");
    api->ReleaseTensorRTProviderOptions(trt);
    return status;
}

static nnd_status append_nnapi(const nnd_ort_library *lib, OrtSessionOptions *so)
{
    nnd_ort_append_nnapi_fn append;
    void *symbol =
        nnd_port_module_symbol(lib->module, "OrtSessionOptionsAppendExecutionProvider_Nnapi");
    if (!symbol)
        return nnd_error_set(NND_E_UNSUPPORTED, "'%s' lists NNAPI but exports no way to add it",
                             lib->path);
    memcpy(&append, &symbol, sizeof append);
    return nnd_ort_check(lib, append(so, 0), "cannot use NNAPI");
}

static nnd_status append_provider(const nnd_ort_library *lib, OrtSessionOptions *so, provider ep,
                                  const key_values *kv)
{
    switch (ep) {
    case EP_CPU:
        return NND_OK;
    case EP_CUDA:
        return append_cuda(lib, so, kv);
    case EP_TENSORRT:
        return append_tensorrt(lib, so, kv);
    case EP_NNAPI:
        return append_nnapi(lib, so);
    case EP_COREML:
    case EP_QNN:
        return nnd_ort_check(
            lib,
            lib->api->SessionOptionsAppendExecutionProvider(so, ep == EP_QNN ? "QNN" : "CoreML",
                                                            kv->keys, kv->values, kv->count),
            ep == EP_QNN ? "cannot use QNN" : "cannot use CoreML");
    }
    return NND_OK;
}

/* device "cuda:1" chooses CUDA unless the config says which provider; index = "1". */
static nnd_status apply_device(const char *device, ort_config *config, const char **index)
{
    *index = NULL;
    if (!device || !device[0] || strcmp(device, "cpu") == 0) return NND_OK;
    if (strncmp(device, "cuda", 4) == 0 && (device[4] == '\0' || device[4] == ':')) {
        if (config->ep == EP_CPU) config->ep = EP_CUDA;
        if (device[4] == ':' && (config->ep == EP_CUDA || config->ep == EP_TENSORRT))
            *index = device + 5;
        return NND_OK;
    }
    return nnd_error_set(
        NND_E_UNSUPPORTED,
        "backend onnxruntime runs on 'cpu' and 'cuda:N' (others through the option "
        "ep), not on '%s'",
        device);
}

/* ---- all of it ----------------------------------------------------------------------------- */

static nnd_status apply_config(const nnd_ort_library *lib, OrtSessionOptions *so,
                               const ort_config *config, int threads)
{
    const nnd_ort_api *api = lib->api;
    NND_TRY(nnd_ort_check(
        lib, api->SetSessionGraphOptimizationLevel(so, optimize_levels[config->optimize]),
        "option optimize"));
    NND_TRY(nnd_ort_check(lib, api->SetIntraOpNumThreads(so, threads), "threads"));
    NND_TRY(nnd_ort_check(lib, api->SetInterOpNumThreads(so, 1), "threads"));
    if (!config->arena) NND_TRY(nnd_ort_check(lib, api->DisableCpuMemArena(so), "option arena"));
    if (!config->spin)
        NND_TRY(nnd_ort_check(
            lib, api->AddSessionConfigEntry(so, "session.intra_op.allow_spinning", "0"),
            "option spin"));
    if (config->allocator == 1)
        NND_TRY(nnd_ort_check(lib,
                              api->AddSessionConfigEntry(so, "session.use_env_allocators", "1"),
                              "option allocator"));
    return NND_OK;
}

static nnd_status fill(const nnd_ort_library *lib, const nnd_model_options *options,
                       ort_config *config, OrtSessionOptions *so, int threads)
{
    const char *index;
    key_values kv;
    NND_TRY(parse_config(options->config, config));
    NND_TRY(apply_device(options->device, config, &index));
    NND_TRY(apply_config(lib, so, config, threads));
    NND_TRY(require_provider(lib, (provider)config->ep));
    NND_TRY(split_options(config->ep_options, index, &kv));
    nnd_status status = append_provider(lib, so, (provider)config->ep, &kv);
    nnd_free(kv.text);
    return status;
}

nnd_status nnd_ort_options_make(const nnd_ort_library *lib, const nnd_model_options *options,
                                OrtSessionOptions **out, int *pool)
{
    if (options->precision && options->precision[0] && strcmp(options->precision, "f32") != 0)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "backend onnxruntime computes in the precision of the model; '%s' is "
                             "not offered (TensorRT takes ep-options=\"trt_fp16_enable:1\")",
                             options->precision);
    ort_config config = {.optimize = NND_COUNT(optimize_levels) - 1, .arena = true, .spin = true};
    OrtSessionOptions *so = NULL;
    int threads = options->threads > 0 ? options->threads : nnd_sched_threads();
    NND_TRY(nnd_ort_check(lib, lib->api->CreateSessionOptions(&so), "cannot make options"));
    nnd_status status = fill(lib, options, &config, so, threads);
    nnd_options_fini(config_options, NND_COUNT(config_options), &config);
    if (status != NND_OK) {
        lib->api->ReleaseSessionOptions(so);
        return status;
    }
    *out = so;
    *pool = threads - 1; /* the thread that runs is one of them */
    return NND_OK;
}
