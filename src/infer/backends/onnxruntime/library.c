/* Finding, opening and asking the ONNX Runtime library. */
#include "infer/backends/onnxruntime/ort.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_VARIABLE "NNDEPLOY_ONNXRUNTIME"
#define HOW_TO_GET                                                                                 \
    "install ONNX Runtime 1.14 or newer (pip's package onnxruntime carries the library; "          \
    "scripts/get-onnxruntime.sh fetches it) and set " PATH_VARIABLE " to the library file"

#if defined(_WIN32)
static const char *const system_names[] = {"onnxruntime.dll"};
#elif defined(__APPLE__)
static const char *const system_names[] = {"libonnxruntime.1.dylib", "libonnxruntime.dylib"};
#else
static const char *const system_names[] = {"libonnxruntime.so.1", "libonnxruntime.so"};
#endif

static nnd_port_mutex library_lock = NND_PORT_MUTEX_INIT;
static nnd_ort_library library;
static bool library_ready;

/* ---- errors and log ------------------------------------------------------------------------ */

/* Codes of the library, and the few texts that say more than their code. */
static nnd_status status_from(unsigned code, const char *text)
{
    if (strstr(text, "is not a registered function/op") || strstr(text, "No Op registered for") ||
        strstr(text, "Unsupported model IR version") ||
        strstr(text, "under development and support for this is limited") ||
        strstr(text, "Could not find an implementation"))
        return NND_E_UNSUPPORTED;
    if (strstr(text, "shape verification failed") || strstr(text, "computed output shape") ||
        strstr(text, "Got invalid dimensions") || strstr(text, "Invalid rank for"))
        return NND_E_SHAPE;
    if (strstr(text, "Unexpected input data type")) return NND_E_TYPE;
    switch (code) {
    case NND_ORT_INVALID_ARGUMENT:
        return NND_E_INVALID_ARGUMENT;
    case NND_ORT_NO_SUCHFILE:
    case NND_ORT_NO_MODEL:
        return NND_E_NOT_FOUND;
    case NND_ORT_INVALID_PROTOBUF:
    case NND_ORT_INVALID_GRAPH:
        return NND_E_FORMAT;
    case NND_ORT_NOT_IMPLEMENTED:
        return NND_E_UNSUPPORTED;
    default:
        return NND_E_BACKEND;
    }
}

static nnd_status check_with(const nnd_ort_api *api, OrtStatus *status, const char *what)
{
    if (!status) return NND_OK;
    const char *text = api->GetErrorMessage(status);
    nnd_status result = nnd_error_set(status_from(api->GetErrorCode(status), text),
                                      "onnxruntime: %s: %s", what, text);
    api->ReleaseStatus(status);
    return result;
}

nnd_status nnd_ort_check(const nnd_ort_library *lib, OrtStatus *status, const char *what)
{
    return check_with(lib->api, status, what);
}

/* Quiet: what the library calls an error comes back as an error record as well, and its warnings
   are about its own choices. One level lower each. */
static void NND_ORT_CALL forward_log(void *user, unsigned severity, const char *category,
                                     const char *id, const char *place, const char *message)
{
    (void)user, (void)category, (void)id;
    nnd_log_level level = severity >= NND_ORT_LOG_ERROR     ? NND_LOG_INFO
                          : severity == NND_ORT_LOG_WARNING ? NND_LOG_DEBUG
                                                            : NND_LOG_TRACE;
    nnd_log(level, "onnxruntime", "%s (%s)", message, place);
}

static unsigned log_severity(void)
{
    switch (nnd_log_get_level()) {
    case NND_LOG_TRACE:
        return NND_ORT_LOG_VERBOSE;
    case NND_LOG_DEBUG:
        return NND_ORT_LOG_WARNING;
    default:
        return NND_ORT_LOG_ERROR;
    }
}

/* ---- memory that sessions may take from us ------------------------------------------------- */

static void *NND_ORT_CALL shared_alloc(OrtAllocator *self, size_t size)
{
    (void)self;
    return size ? nnd_alloc_aligned(size, 64) : NULL;
}

static void NND_ORT_CALL shared_free(OrtAllocator *self, void *block)
{
    (void)self;
    nnd_free_aligned(block);
}

static const OrtMemoryInfo *NND_ORT_CALL shared_info(const OrtAllocator *self)
{
    (void)self;
    return library.cpu;
}

static nnd_ort_allocator shared_allocator = {NND_ORT_API_OLDEST, shared_alloc, shared_free,
                                             shared_info};

static nnd_status share_memory(nnd_ort_library *lib)
{
    OrtAllocator *allocator = (OrtAllocator *)(void *)&shared_allocator;
    NND_TRY(nnd_ort_check(lib, lib->api->RegisterAllocator(lib->env, allocator),
                          "cannot register an allocator"));
    lib->shares_memory = true;
    return NND_OK;
}

/* ---- finding ------------------------------------------------------------------------------- */

static nnd_status open_module(nnd_ort_library *lib)
{
    char reason[300] = "", *chosen = NULL;
    if (nnd_port_env_dup(PATH_VARIABLE, &chosen) == 0 && chosen[0]) {
        snprintf(lib->path, sizeof lib->path, "%s", chosen);
        int rc = nnd_port_module_open(chosen, &lib->module, reason, sizeof reason);
        nnd_port_free(chosen);
        if (rc == 0) return NND_OK;
        return nnd_error_set(NND_E_MISSING, PATH_VARIABLE " names '%s', which cannot be loaded: %s",
                             lib->path, reason);
    }
    nnd_port_free(chosen);
    for (size_t i = 0; i < NND_COUNT(system_names); i++) {
        snprintf(lib->path, sizeof lib->path, "%s", system_names[i]);
        if (nnd_port_module_open(system_names[i], &lib->module, NULL, 0) == 0) return NND_OK;
    }
    return nnd_error_set(NND_E_MISSING, "no library '%s' is installed; " HOW_TO_GET,
                         system_names[0]);
}

/* The newest table that both sides know; asking for a newer one than it has makes the library
   complain on stderr, so its version says what it has ("1.17.3" has table 17). */
static nnd_status open_table(nnd_ort_library *lib)
{
    void *symbol = nnd_port_module_symbol(lib->module, "OrtGetApiBase");
    nnd_ort_get_api_base_fn get_base;
    if (!symbol)
        return nnd_error_set(NND_E_MISSING, "'%s' is not ONNX Runtime: it has no OrtGetApiBase",
                             lib->path);
    memcpy(&get_base, &symbol, sizeof get_base);
    const nnd_ort_api_base *base = get_base();
    snprintf(lib->version, sizeof lib->version, "%s", base->GetVersionString());
    const char *dot = strchr(lib->version, '.');
    unsigned long minor = dot ? strtoul(dot + 1, NULL, 10) : 0;
    lib->api_version = minor > NND_ORT_API_NEWEST ? NND_ORT_API_NEWEST : (uint32_t)minor;
    if (strncmp(lib->version, "1.", 2) == 0 && lib->api_version >= NND_ORT_API_OLDEST)
        lib->api = base->GetApi(lib->api_version);
    if (lib->api) return NND_OK;
    return nnd_error_set(NND_E_MISSING,
                         "'%s' is ONNX Runtime %s, which is none that works here; " HOW_TO_GET,
                         lib->path, lib->version);
}

static nnd_status open_environment(nnd_ort_library *lib)
{
    const nnd_ort_api *api = lib->api;
    NND_TRY(nnd_ort_check(
        lib,
        api->CreateEnvWithCustomLogger(forward_log, NULL, log_severity(), "nndeploy", &lib->env),
        "cannot start"));
    /* Official builds for Windows report usage unless told not to. */
    NND_TRY(nnd_ort_check(lib, api->DisableTelemetryEvents(lib->env), "cannot stop telemetry"));
    NND_TRY(nnd_ort_check(lib, api->GetAllocatorWithDefaultOptions(&lib->allocator),
                          "it has no allocator"));
    NND_TRY(nnd_ort_check(
        lib, api->CreateCpuMemoryInfo(NND_ORT_DEVICE_ALLOCATOR, NND_ORT_MEMORY_DEFAULT, &lib->cpu),
        "it does not know the host's memory"));
    NND_TRY(nnd_ort_check(lib, api->GetAvailableProviders(&lib->providers, &lib->provider_count),
                          "it does not list its providers"));
    return share_memory(lib);
}

nnd_status nnd_ort_library_get(const nnd_ort_library **out)
{
    nnd_status status = NND_OK;
    nnd_port_mutex_lock(&library_lock);
    if (!library_ready) {
        memset(&library, 0, sizeof library);
        status = open_module(&library);
        if (status == NND_OK) status = open_table(&library);
        /* From here on the library has threads and state of its own: it is never unloaded. */
        if (status != NND_OK && library.module) nnd_port_module_close(library.module);
        if (status == NND_OK) status = open_environment(&library);
        library_ready = status == NND_OK;
    }
    nnd_port_mutex_unlock(&library_lock);
    *out = status == NND_OK ? &library : NULL;
    return status;
}
