/* Finding the library, creating its core, asking for its devices and its numbers of types. */
#include "infer/backends/openvino/openvino.h"

#include "infer/backends/vendor/vendor.h"

#include <stdio.h>
#include <string.h>

#if defined(_WIN32)
#define LIBRARY_NAME "openvino_c.dll"
#elif defined(__APPLE__)
#define LIBRARY_NAME "libopenvino_c.dylib"
#else
#define LIBRARY_NAME "libopenvino_c.so"
#endif

/* In the wheel, in the archives, in packages. */
static const char *const below[] = {"libs",
                                    "openvino/libs",
                                    "lib",
                                    "runtime/lib/intel64",
                                    "runtime/lib/aarch64",
                                    "runtime/bin/intel64/Release",
                                    "runtime/lib/arm64/Release",
                                    NULL};
static const char *const loader_names[] = {LIBRARY_NAME, NULL};
static const char *const known_folders[] = {
#if !defined(_WIN32)
    "/usr/local/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/opt/intel/openvino/runtime/lib/intel64",
    "/opt/intel/openvino/runtime/lib/aarch64",
#endif
    NULL};

static const nnd_vendor_search search = {
    .variable = "NNDEPLOY_OPENVINO",
    .name = LIBRARY_NAME,
    .below = below,
    .loader_names = loader_names,
    .known_folders = known_folders,
    .advice = "scripts/get-openvino.sh fetches OpenVINO; NNDEPLOY_OPENVINO names its folder",
};

#define SYMBOL(result, name, params) {#name, offsetof(nnd_ov_api, name)},
static const nnd_vendor_symbol symbols[] = {NND_OV_FUNCTIONS(SYMBOL)};
static const nnd_vendor_symbol later_symbols[] = {NND_OV_LATER_FUNCTIONS(SYMBOL)};
#undef SYMBOL

/* ---- errors ------------------------------------------------------------------------------- */

/* The words by which releases say that they know the thing but cannot do it. */
static bool says_unsupported(const char *text)
{
    static const char *const words[] = {"not supported", "nsupported", "not implemented",
                                        "OpConversionFailure", "NotImplemented"};
    for (size_t i = 0; i < NND_COUNT(words); i++) {
        if (strstr(text, words[i])) return true;
    }
    return false;
}

nnd_status nnd_ov_fail(const nnd_ov_library *lib, nnd_ov_status result, nnd_status status,
                       const char *what, const char *name)
{
    char text[1600];
    /* Refused arguments leave the message of an earlier failure in its place. */
    bool has_words = lib->api.ov_get_last_err_msg && result > NND_OV_INVALID_C_PARAM;
    const char *said = has_words ? lib->api.ov_get_last_err_msg() : NULL;
    nnd_vendor_tidy(said && said[0] ? said : lib->api.ov_get_error_info(result), text, sizeof text);
    if (said) lib->api.ov_free(said);
    if (status == NND_E_BACKEND && says_unsupported(text)) status = NND_E_UNSUPPORTED;
    return nnd_error_set(status, "OpenVINO, model '%s': %s: %s", name, what, text);
}

/* ---- element types ------------------------------------------------------------------------ */

typedef struct type_name {
    nnd_dtype dtype;
    const char *name;
} type_name;

/* Strings are C++ objects to the library, and sub-byte types are left out. */
static const type_name type_names[] = {
    {NND_F32, "f32"},      {NND_F64, "f64"},         {NND_F16, "f16"},       {NND_BF16, "bf16"},
    {NND_I8, "i8"},        {NND_I16, "i16"},         {NND_I32, "i32"},       {NND_I64, "i64"},
    {NND_U8, "u8"},        {NND_U16, "u16"},         {NND_U32, "u32"},       {NND_U64, "u64"},
    {NND_BOOL, "boolean"}, {NND_F8E4M3FN, "f8e4m3"}, {NND_F8E5M2, "f8e5m2"}, {NND_F8E8M0, "f8e8m0"},
};

/* A model whose only input has the type: the library's own number for it is read off there. */
static bool ask_type(const nnd_ov_library *lib, const char *name, nnd_ov_type *out)
{
    const nnd_ov_api *ov = &lib->api;
    nnd_ov_model *model = NULL;
    nnd_ov_port *port = NULL;
    char text[1024];
    int n = snprintf(
        text, sizeof text,
        "<?xml version=\"1.0\"?><net name=\"type\" version=\"11\"><layers>"
        "<layer id=\"0\" name=\"x\" type=\"Parameter\" version=\"opset1\">"
        "<data shape=\"1\" element_type=\"%s\"/>"
        "<output><port id=\"0\" precision=\"FP32\" names=\"x\"><dim>1</dim></port></output></layer>"
        "<layer id=\"1\" name=\"y\" type=\"Result\" version=\"opset1\">"
        "<input><port id=\"0\" precision=\"FP32\"><dim>1</dim></port></input></layer></layers>"
        "<edges><edge from-layer=\"0\" from-port=\"0\" to-layer=\"1\" "
        "to-port=\"0\"/></edges></net>",
        name);
    if (ov->ov_core_read_model_from_memory_buffer(lib->core, text, (size_t)n, NULL, &model))
        return false;
    bool known = ov->ov_model_const_input_by_index(model, 0, &port) == NND_OV_OK &&
                 ov->ov_port_get_element_type(port, out) == NND_OV_OK;
    if (port) ov->ov_output_const_port_free(port);
    ov->ov_model_free(model);
    return known;
}

static bool ask_types(nnd_ov_library *lib)
{
    for (size_t i = 0; i < NND_COUNT(type_names); i++) {
        nnd_dtype dtype = type_names[i].dtype;
        lib->has_type[dtype] = ask_type(lib, type_names[i].name, &lib->types[dtype]);
    }
    return lib->has_type[NND_F32];
}

nnd_dtype nnd_ov_dtype(const nnd_ov_library *lib, nnd_ov_type type)
{
    for (int d = 1; d < NND_DTYPE_COUNT; d++) {
        if (lib->has_type[d] && lib->types[d] == type) return (nnd_dtype)d;
    }
    return NND_DTYPE_INVALID;
}

/* ---- the library -------------------------------------------------------------------------- */

static void take_version(nnd_ov_library *lib)
{
    nnd_ov_version version = {0};
    if (lib->api.ov_get_openvino_version(&version)) return;
    /* "2026.4.1-22982-e213…": the rest names the build. */
    const char *build = version.build ? version.build : "";
    snprintf(lib->version, sizeof lib->version, "%.*s", (int)strcspn(build, "-"), build);
    lib->api.ov_version_free(&version);
}

static void take_devices(nnd_ov_library *lib)
{
    nnd_ov_devices devices = {0};
    size_t used = 0;
    if (lib->api.ov_core_get_available_devices(lib->core, &devices)) return;
    for (size_t i = 0; i < devices.count; i++) {
        size_t n = strlen(devices.names[i]);
        if (used + n + 2 > sizeof lib->devices) break;
        if (used) lib->devices[used++] = ' ';
        memcpy(lib->devices + used, devices.names[i], n + 1);
        used += n;
    }
    lib->api.ov_available_devices_free(&devices);
}

static bool start_library(nnd_ov_library *lib, char *reason, size_t size)
{
    nnd_port_module *module = NULL;
    char why[256] = "";
    *lib = (nnd_ov_library){0};
    if (!nnd_vendor_open(&search, &module, lib->path, sizeof lib->path, reason, size)) return false;
    if (!nnd_vendor_symbols(module, symbols, NND_COUNT(symbols), &lib->api, why, sizeof why)) {
        snprintf(reason, size, "'%s' is no OpenVINO that we can use: %s", lib->path, why);
        nnd_port_module_close(module);
        return false;
    }
    (void)nnd_vendor_symbols(module, later_symbols, NND_COUNT(later_symbols), &lib->api, why,
                             sizeof why);
    /* From here on the library stays: it may have started threads. */
    lib->module = module;
    nnd_ov_status result = lib->api.ov_core_create(&lib->core);
    if (result || !ask_types(lib)) {
        snprintf(reason, size,
                 "'%s' was loaded, but does not start (%s); its plug-ins and "
                 "plugins.xml have to lie beside it",
                 lib->path, lib->api.ov_get_error_info(result));
        return false;
    }
    take_version(lib);
    take_devices(lib);
    return true;
}

const nnd_ov_library *nnd_ov_library_get(char *reason, size_t size)
{
    static nnd_port_mutex lock = NND_PORT_MUTEX_INIT;
    static nnd_ov_library library;
    static bool started;
    nnd_port_mutex_lock(&lock);
    if (!started) started = start_library(&library, reason, size);
    const nnd_ov_library *result = started ? &library : NULL;
    nnd_port_mutex_unlock(&lock);
    return result;
}

/* ---- the backend -------------------------------------------------------------------------- */

static void ov_probe(nnd_backend_status *status)
{
    status->name = nnd_backend_openvino.name;
    const nnd_ov_library *lib = nnd_ov_library_get(status->reason, sizeof status->reason);
    status->available = lib != NULL;
    if (!lib) return;
    memcpy(status->version, lib->version, sizeof status->version);
    memcpy(status->library, lib->path, sizeof status->library);
    memcpy(status->devices, lib->devices, sizeof status->devices);
}

static size_t ov_port_count(const void *model, bool outputs)
{
    const nnd_openvino_model *m = model;
    return outputs ? m->output_count : m->input_count;
}

static const nnd_model_port *ov_port(const void *model, bool outputs, size_t index)
{
    const nnd_openvino_model *m = model;
    return &m->ports[outputs ? m->input_count + index : index];
}

const nnd_backend nnd_backend_openvino = {
    .struct_size = sizeof(nnd_backend),
    .name = "openvino",
    .formats = "xml onnx tflite",
    .probe = ov_probe,
    .load = nnd_ov_load,
    .unload = nnd_ov_unload,
    .port_count = ov_port_count,
    .port = ov_port,
    .open = nnd_ov_open,
    .close = nnd_ov_close,
    .run = nnd_ov_run,
    .profile = nnd_ov_profile_write,
    .precisions = "f16 bf16",
};
