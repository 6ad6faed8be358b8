/* Models: making a session out of bytes and the files beside them, and what its ports are. */
#include "infer/backends/onnxruntime/ort.h"

#include "base/str.h"
#include "engine/onnx/wire.h"

#include <stdio.h>
#include <string.h>

/* ---- files beside the model ---------------------------------------------------------------- */

enum { MAX_FILES = 256, MAX_GRAPH_DEPTH = 16 };

/* The files that initialisers lie in, opened through the host's open_file: the library itself opens
   no file. */
typedef struct files {
    size_t count;
    char *names[MAX_FILES];
    char *bytes[MAX_FILES];
    size_t sizes[MAX_FILES];
    void (*release[MAX_FILES])(void *handle);
    void *handles[MAX_FILES];
} files;

static void files_free(files *f)
{
    for (size_t i = 0; f && i < f->count; i++) {
        if (f->release[i]) f->release[i](f->handles[i]);
        nnd_free(f->names[i]);
    }
    nnd_free(f);
}

static nnd_status files_add(files *f, nnd_pb_bytes name)
{
    for (size_t i = 0; i < f->count; i++)
        if (strlen(f->names[i]) == name.size && memcmp(f->names[i], name.data, name.size) == 0)
            return NND_OK;
    if (f->count == MAX_FILES)
        return nnd_error_set(NND_E_LIMIT, "more than %d files of external data", MAX_FILES);
    f->names[f->count] = nnd_strdup_n((const char *)name.data, name.size);
    if (!f->names[f->count]) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a name");
    f->count++;
    return NND_OK;
}

/* Field numbers of onnx.proto. */
enum {
    MODEL_GRAPH = 7,
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    NODE_ATTRIBUTE = 5,
    ATTRIBUTE_TENSOR = 5,
    ATTRIBUTE_GRAPH = 6,
    TENSOR_EXTERNAL_DATA = 13,
    ENTRY_KEY = 1,
    ENTRY_VALUE = 2
};

static nnd_status scan_entry(files *f, nnd_pb_bytes entry)
{
    nnd_pb_field field;
    nnd_pb_bytes key = {NULL, 0}, value = {NULL, 0};
    bool bad = false;
    while (nnd_pb_next(&entry, &field, &bad)) {
        if (field.type == NND_PB_LEN && field.number == ENTRY_KEY) key = field.bytes;
        if (field.type == NND_PB_LEN && field.number == ENTRY_VALUE) value = field.bytes;
    }
    if (key.size == 8 && memcmp(key.data, "location", 8) == 0 && value.size > 0)
        return files_add(f, value);
    return NND_OK;
}

/* Walks down the messages that can hold tensors. level: 0 model, 1 graph, 2 node, 3 attribute,
   4 tensor. Malformed bytes end the walk; the library will say what is wrong with them. */
static nnd_status scan(files *f, nnd_pb_bytes message, int level, int depth)
{
    nnd_pb_field field;
    bool bad = false;
    while (nnd_pb_next(&message, &field, &bad)) {
        if (field.type != NND_PB_LEN) continue;
        uint32_t n = field.number;
        if (level == 0 && n == MODEL_GRAPH) NND_TRY(scan(f, field.bytes, 1, depth));
        if (level == 1 && n == GRAPH_NODE) NND_TRY(scan(f, field.bytes, 2, depth));
        if (level == 1 && n == GRAPH_INITIALIZER) NND_TRY(scan(f, field.bytes, 4, depth));
        if (level == 2 && n == NODE_ATTRIBUTE) NND_TRY(scan(f, field.bytes, 3, depth));
        if (level == 3 && n == ATTRIBUTE_TENSOR) NND_TRY(scan(f, field.bytes, 4, depth));
        if (level == 3 && n == ATTRIBUTE_GRAPH && depth < MAX_GRAPH_DEPTH)
            NND_TRY(scan(f, field.bytes, 1, depth + 1));
        if (level == 4 && n == TENSOR_EXTERNAL_DATA) NND_TRY(scan_entry(f, field.bytes));
    }
    return NND_OK;
}

static nnd_status open_files(files *f, const nnd_model_options *options)
{
    for (size_t i = 0; i < f->count; i++) {
        const void *bytes = NULL;
        if (!options->open_file)
            return nnd_error_set(NND_E_MISSING,
                                 "the model in memory has external data in '%s'; open_file is "
                                 "needed to reach it",
                                 f->names[i]);
        NND_TRY(options->open_file(options->open_user, f->names[i], &bytes, &f->sizes[i],
                                   &f->release[i], &f->handles[i]));
        /* The library only reads; its type just has no const. */
        f->bytes[i] = (char *)(uintptr_t)bytes;
    }
    return NND_OK;
}

#if defined(_WIN32)
/* Names are ASCII in practice; wider ones are refused rather than guessed at. */
static nnd_status add_files(const nnd_ort_library *lib, OrtSessionOptions *so, const files *f)
{
    enum { NAME_MAX_CHARS = 260 };
    wchar_t(*wide)[NAME_MAX_CHARS] = nnd_calloc(f->count, sizeof *wide);
    const wchar_t *names[MAX_FILES];
    nnd_status status =
        wide ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for file names");
    for (size_t i = 0; status == NND_OK && i < f->count; i++) {
        size_t n = strlen(f->names[i]);
        for (size_t k = 0; k < n && status == NND_OK; k++) {
            if (n >= NAME_MAX_CHARS || (unsigned char)f->names[i][k] > 127)
                status = nnd_error_set(NND_E_UNSUPPORTED,
                                       "external data '%s': give the file a "
                                       "short ASCII name",
                                       f->names[i]);
            else
                wide[i][k] = (wchar_t)f->names[i][k];
        }
        names[i] = wide[i];
    }
    if (status == NND_OK)
        status = nnd_ort_check(lib,
                               lib->api->AddExternalInitializersFromFilesInMemory(
                                   so, names, f->bytes, f->sizes, f->count),
                               "external data");
    nnd_free(wide);
    return status;
}
#else
static nnd_status add_files(const nnd_ort_library *lib, OrtSessionOptions *so, const files *f)
{
    return nnd_ort_check(lib,
                         lib->api->AddExternalInitializersFromFilesInMemory(
                             so, (const char *const *)f->names, f->bytes, f->sizes, f->count),
                         "external data");
}
#endif

/* ---- ports --------------------------------------------------------------------------------- */

static nnd_status port_shape(const nnd_ort_library *lib, const OrtTensorTypeAndShapeInfo *info,
                             nnd_model_port *port)
{
    const nnd_ort_api *api = lib->api;
    unsigned element = 0;
    size_t rank = 0;
    int64_t dims[NND_MAX_RANK] = {0};
    const char *symbols[NND_MAX_RANK] = {NULL};
    NND_TRY(nnd_ort_check(lib, api->GetTensorElementType(info, &element), "no element type"));
    NND_TRY(nnd_ort_check(lib, api->GetDimensionsCount(info, &rank), "no rank"));
    port->dtype = nnd_ort_dtype_from(element);
    if (port->dtype == NND_DTYPE_INVALID || rank > NND_MAX_RANK)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "port '%s': element type %u of onnxruntime or rank %zu is not handled",
                             port->name, element, rank);
    NND_TRY(nnd_ort_check(lib, api->GetDimensions(info, dims, rank), "no dimensions"));
    NND_TRY(nnd_ort_check(lib, api->GetSymbolicDimensions(info, symbols, rank), "no dimensions"));
    port->rank = (int32_t)rank;
    /* Older libraries report a scalar where no shape is given. */
    if (rank == 0 &&
        (lib->api_version < NND_ORT_API_HAS_SHAPE || !api->TensorTypeAndShape_HasShape(info)))
        port->rank = -1;
    for (size_t d = 0; d < rank; d++) {
        port->dims[d].value = dims[d] < 0 ? -1 : dims[d];
        if (dims[d] >= 0 || !symbols[d] || !symbols[d][0]) continue;
        port->dims[d].symbol = nnd_strdup(symbols[d]);
        if (!port->dims[d].symbol) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for ports");
    }
    return NND_OK;
}

static nnd_status port_type(const nnd_ort_library *lib, const OrtTypeInfo *info,
                            nnd_model_port *port);

/* The type inside of optional(...) or sequence(...). */
static nnd_status port_inner(const nnd_ort_library *lib, const OrtTypeInfo *info, unsigned kind,
                             nnd_model_port *port)
{
    const nnd_ort_api *api = lib->api;
    OrtTypeInfo *inner = NULL;
    if (kind == NND_ORT_KIND_SEQUENCE) {
        const OrtSequenceTypeInfo *sequence = NULL;
        NND_TRY(nnd_ort_check(lib, api->CastTypeInfoToSequenceTypeInfo(info, &sequence), "type"));
        NND_TRY(nnd_ort_check(lib, api->GetSequenceElementType(sequence, &inner), "type"));
    } else {
        const OrtOptionalTypeInfo *optional = NULL;
        NND_TRY(nnd_ort_check(lib, api->CastTypeInfoToOptionalTypeInfo(info, &optional), "type"));
        NND_TRY(nnd_ort_check(lib, api->GetOptionalContainedTypeInfo(optional, &inner), "type"));
    }
    nnd_status status = port_type(lib, inner, port);
    if (kind == NND_ORT_KIND_SEQUENCE)
        port->kind = NND_PORT_SEQUENCE;
    else
        port->optional = true;
    /* What the casts give belongs to `info`, the type inside to us. */
    api->ReleaseTypeInfo(inner);
    return status;
}

static nnd_status port_type(const nnd_ort_library *lib, const OrtTypeInfo *info,
                            nnd_model_port *port)
{
    unsigned kind = 0;
    const OrtTensorTypeAndShapeInfo *tensor = NULL;
    NND_TRY(nnd_ort_check(lib, lib->api->GetOnnxTypeFromTypeInfo(info, &kind), "no type"));
    if (kind == NND_ORT_KIND_SEQUENCE ||
        (kind == NND_ORT_KIND_OPTIONAL && lib->api_version >= NND_ORT_API_STRING_BUFFER))
        return port_inner(lib, info, kind, port);
    if (kind != NND_ORT_KIND_TENSOR)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "port '%s' is a %s; tensors, sequences and optional ones are handled",
                             port->name, kind == NND_ORT_KIND_MAP ? "map" : "type of its own kind");
    NND_TRY(nnd_ort_check(lib, lib->api->CastTypeInfoToTensorInfo(info, &tensor), "no type"));
    return port_shape(lib, tensor, port);
}

/* Three lists of the library have the same form: inputs, outputs, initialisers that may be given
   anew. */
typedef struct port_list {
    OrtStatus *(NND_ORT_CALL *count)(const OrtSession *session, size_t *out);
    OrtStatus *(NND_ORT_CALL *name)(const OrtSession *session, size_t index,
                                    OrtAllocator *allocator, char **out);
    OrtStatus *(NND_ORT_CALL *type)(const OrtSession *session, size_t index, OrtTypeInfo **out);
    bool optional;
} port_list;

static nnd_status take_port(const nnd_ort_model *m, const port_list *list, size_t index,
                            nnd_model_port *port)
{
    const nnd_ort_library *lib = m->library;
    char *name = NULL;
    OrtTypeInfo *info = NULL;
    NND_TRY(nnd_ort_check(lib, list->name(m->session, index, lib->allocator, &name), "no name"));
    port->size = sizeof *port;
    port->name = nnd_strdup(name);
    port->optional = list->optional;
    (void)nnd_ort_check(lib, lib->api->AllocatorFree(lib->allocator, name), "cannot free a name");
    if (!port->name) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for ports");
    NND_TRY(nnd_ort_check(lib, list->type(m->session, index, &info), "no type"));
    nnd_status status = port_type(lib, info, port);
    lib->api->ReleaseTypeInfo(info);
    return status;
}

static nnd_status take_ports(nnd_ort_model *m)
{
    const nnd_ort_library *lib = m->library;
    const nnd_ort_api *api = lib->api;
    const port_list lists[] = {
        {api->SessionGetInputCount, api->SessionGetInputName, api->SessionGetInputTypeInfo, false},
        {api->SessionGetOverridableInitializerCount, api->SessionGetOverridableInitializerName,
         api->SessionGetOverridableInitializerTypeInfo, true},
        {api->SessionGetOutputCount, api->SessionGetOutputName, api->SessionGetOutputTypeInfo,
         false},
    };
    size_t counts[NND_COUNT(lists)] = {0}, total = 0;
    for (size_t k = 0; k < NND_COUNT(lists); k++) {
        NND_TRY(nnd_ort_check(lib, lists[k].count(m->session, &counts[k]), "no ports"));
        total += counts[k];
    }
    m->ports = nnd_calloc(total + 1, sizeof *m->ports);
    if (!m->ports) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model's ports");
    m->input_count = counts[0] + counts[1];
    m->output_count = counts[2];
    nnd_model_port *port = m->ports;
    for (size_t k = 0; k < NND_COUNT(lists); k++)
        for (size_t i = 0; i < counts[k]; i++)
            NND_TRY(take_port(m, &lists[k], i, port++));
    return NND_OK;
}

/* ---- life ---------------------------------------------------------------------------------- */

void nnd_ort_model_unref(nnd_ort_model *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->holders, 1, memory_order_acq_rel) != 1) return;
    if (m->session) m->library->api->ReleaseSession(m->session);
    nnd_sched_charge(-m->charged);
    for (size_t i = 0; m->ports && i < m->input_count + m->output_count; i++) {
        nnd_free((char *)(uintptr_t)m->ports[i].name);
        for (int d = 0; d < NND_MAX_RANK; d++)
            nnd_free((char *)(uintptr_t)m->ports[i].dims[d].symbol);
    }
    nnd_free(m->ports);
    nnd_free(m);
}

/* Libraries before 1.18 can only find external data by themselves, beside a path. The host has been
   asked for each file by then. */
static nnd_status create_session(nnd_ort_model *m, const OrtSessionOptions *so, const void *bytes,
                                 size_t size, const char *path, const files *f)
{
    const nnd_ort_library *lib = m->library;
    char what[512];
    snprintf(what, sizeof what, "cannot load model '%s'", path ? path : "in memory");
    if (f->count == 0 || lib->api_version >= NND_ORT_API_FILES_IN_MEMORY)
        return nnd_ort_check(
            lib, lib->api->CreateSessionFromArray(lib->env, bytes, size, so, &m->session), what);
#if !defined(_WIN32)
    if (path)
        return nnd_ort_check(lib, lib->api->CreateSession(lib->env, path, so, &m->session), what);
#endif
    return nnd_error_set(NND_E_UNSUPPORTED,
                         "onnxruntime %s takes no external data from memory (1.18 and newer do)",
                         lib->version);
}

static nnd_status load_into(nnd_ort_model *m, files *f, const void *bytes, size_t size,
                            const char *path, const nnd_model_options *options)
{
    OrtSessionOptions *so = NULL;
    int pool = 0;
    NND_TRY(nnd_ort_options_make(m->library, options, &so, &pool));
    nnd_status status = scan(f, (nnd_pb_bytes){bytes, size}, 0, 0);
    if (status == NND_OK) status = open_files(f, options);
    if (status == NND_OK && f->count > 0 && m->library->api_version >= NND_ORT_API_FILES_IN_MEMORY)
        status = add_files(m->library, so, f);
    if (status == NND_OK) status = create_session(m, so, bytes, size, path, f);
    m->library->api->ReleaseSessionOptions(so);
    if (status != NND_OK) return status;
    m->charged = pool;
    nnd_sched_charge(pool);
    return take_ports(m);
}

static nnd_status ort_load(const void *bytes, size_t size, const char *path,
                           const nnd_model_options *options, void **model)
{
    const nnd_ort_library *lib;
    NND_TRY(nnd_ort_library_get(&lib));
    nnd_ort_model *m = nnd_calloc(1, sizeof *m);
    files *f = nnd_calloc(1, sizeof *f);
    nnd_status status =
        m && f ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model");
    if (m) *m = (nnd_ort_model){.library = lib, .holders = 1};
    if (status == NND_OK) status = load_into(m, f, bytes, size, path, options);
    files_free(f);
    if (status == NND_OK && nnd_cancel_check(options->cancel) != NND_OK)
        status = nnd_error_set(nnd_cancel_check(options->cancel), "loading was stopped");
    if (status != NND_OK) {
        nnd_ort_model_unref(m);
        return status;
    }
    *model = m;
    return NND_OK;
}

static void ort_unload(void *model)
{
    nnd_ort_model_unref(model);
}

/* ---- the backend --------------------------------------------------------------------------- */

static void ort_probe(nnd_backend_status *status)
{
    const nnd_ort_library *lib;
    status->name = nnd_backend_onnxruntime.name;
    status->available = nnd_ort_library_get(&lib) == NND_OK;
    if (!status->available) {
        nnd_error *error = nnd_error_take();
        snprintf(status->reason, sizeof status->reason, "%s",
                 error ? nnd_error_message(error) : "no memory");
        nnd_error_destroy(error);
        return;
    }
    size_t used = 0;
    snprintf(status->version, sizeof status->version, "%s", lib->version);
    snprintf(status->library, sizeof status->library, "%s", lib->path);
    for (int i = 0; i < lib->provider_count; i++) {
        const char *name = lib->providers[i], *suffix = strstr(name, "ExecutionProvider");
        int length = suffix ? (int)(suffix - name) : (int)strlen(name);
        if (used + (size_t)length + 2 > sizeof status->devices) break;
        used += (size_t)snprintf(status->devices + used, sizeof status->devices - used, "%s%.*s",
                                 i ? " " : "", length, name);
    }
}

static size_t ort_port_count(const void *model, bool outputs)
{
    const nnd_ort_model *m = model;
    return outputs ? m->output_count : m->input_count;
}

static const nnd_model_port *ort_port(const void *model, bool outputs, size_t index)
{
    const nnd_ort_model *m = model;
    return &m->ports[outputs ? m->input_count + index : index];
}

const nnd_backend nnd_backend_onnxruntime = {
    .struct_size = sizeof(nnd_backend),
    .name = "onnxruntime",
    .formats = "onnx ort",
    .probe = ort_probe,
    .load = ort_load,
    .unload = ort_unload,
    .port_count = ort_port_count,
    .port = ort_port,
    .open = nnd_ort_request_open,
    .close = nnd_ort_request_close,
    .run = nnd_ort_request_run,
};
