/* The built-in engine as a backend. */
#include "engine/engine.h"
#include "infer/backends/builtin/kernels.h"
#include "infer/infer.h"

#include "base/isa.h"
#include "base/options.h"

#include <stdio.h>
#include <string.h>

typedef struct builtin_model {
    nnd_engine_model *engine;
    nnd_model_port *ports; /* inputs, then outputs */
    size_t input_count, output_count;
} builtin_model;

typedef struct builtin_request {
    const builtin_model *model;
    nnd_engine_request *engine;
    int threads;
} builtin_request;

static void builtin_probe(nnd_backend_status *status)
{
    status->name = nnd_backend_builtin.name;
    status->available = true;
    snprintf(status->version, sizeof status->version, "%s (%s)", nnd_version(),
             nnd_isa_name(nnd_isa_current()));
    snprintf(status->devices, sizeof status->devices, "cpu");
}

/* ---- loading ----------------------------------------------------------------------------- */

typedef struct file_source {
    const nnd_model_options *options;
} file_source;

typedef struct opened_file {
    void (*release)(void *handle);
    void *handle;
} opened_file;

static void opened_file_release(void *user, void *data)
{
    (void)data;
    opened_file *file = user;
    if (file->release) file->release(file->handle);
    nnd_free(file);
}

static nnd_status open_external(void *user, const char *relative, nnd_buffer **out)
{
    const file_source *source = user;
    const void *bytes = NULL;
    size_t size = 0;
    opened_file *file = nnd_calloc(1, sizeof *file);
    if (!file) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to open '%s'", relative);
    nnd_status status = source->options->open_file(source->options->open_user, relative, &bytes,
                                                   &size, &file->release, &file->handle);
    if (status != NND_OK) {
        nnd_free(file);
        return status;
    }
    /* The engine only reads; the buffer's type just has no const. */
    status = nnd_buffer_wrap((void *)(uintptr_t)bytes, size, opened_file_release, file, out);
    if (status != NND_OK) opened_file_release(file, NULL);
    return status;
}

enum { ARENA_OWN, ARENA_SHARED };
enum { PRECISION_F32, PRECISION_BF16 };
enum { KERNELS_ON, KERNELS_OFF };
typedef struct builtin_config {
    char *passes, *dump_after, *kernels;
    bool separate_tensors;
    int arena, precision; /* ARENA_…, PRECISION_… */
    int brought_kernels;  /* KERNELS_… */
    char *cache;
    int64_t cache_mib;
    int64_t memory_mib; /* 0 = the engine's own limit */
} builtin_config;

static const nnd_option config_options[] = {
    NND_OPTION_STRING(builtin_config, passes, "passes",
                      "optimisation passes: default+no-layout, none+activation, or a bit set"),
    NND_OPTION_STRING(builtin_config, dump_after, "dump-after",
                      "keep the graph as this pass left it, for inspect"),
    NND_OPTION_STRING(
        builtin_config, kernels, "kernels",
        "tuned: as 'nndeploy tune' has measured; own: as the engine's cost model says; "
        "or the name of a kernel, for every node that it can compute"),
    NND_OPTION_ENUM(builtin_config, brought_kernels, "plugin-kernels", "on|off",
                    "whether kernels that plug-ins bring are asked"),
    NND_OPTION_BOOL(builtin_config, separate_tensors, "separate-tensors",
                    "debug: every activation in memory of its own"),
    NND_OPTION_ENUM(builtin_config, arena, "arena", "own|shared",
                    "activations in memory of each request, or borrowed for each run from a pool"),
    NND_OPTION_STRING(builtin_config, cache, "cache",
                      "folder for packed weights, which all processes share"),
    NND_OPTION_INT(builtin_config, cache_mib, "cache-limit", 1, INT64_C(1) << 40,
                   "MiB that this folder may hold"),
    NND_OPTION_INT(builtin_config, memory_mib, "memory-limit", 1, INT64_C(1) << 40,
                   "MiB that the activations of a run may take"),
    NND_OPTION_ENUM(builtin_config, precision, "precision", "f32|bf16",
                    "what Gemm, MatMul and Conv with constant weights round their operands to"),
};

/* "key=value  key=value" as the public options have it → the comma form of base/options.h. Blanks
   within quotes stay. */
static nnd_status parse_config(const char *text, builtin_config *config)
{
    char *list = nnd_strdup(text ? text : ""), *end = list;
    bool quoted = false;
    if (!list) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for options");
    for (const char *p = list; *p; p++) {
        quoted = quoted != (*p == '"');
        if (*p != ' ' || quoted)
            *end++ = *p;
        else if (end != list && p[1] != ' ' && p[1] != '\0')
            *end++ = ',';
    }
    *end = '\0';
    nnd_status status = nnd_options_parse(config_options, NND_COUNT(config_options), list,
                                          "backend builtin", config);
    nnd_free(list);
    return status;
}

static nnd_status check_options(const nnd_model_options *options)
{
    if (options->device && options->device[0] && strcmp(options->device, "cpu") != 0)
        return nnd_error_set(NND_E_UNSUPPORTED, "backend builtin runs on 'cpu' only, not on '%s'",
                             options->device);
    return NND_OK;
}

/* The option itself counts, `config` where it is not given. */
static nnd_status read_precision(const nnd_model_options *options, builtin_config *config)
{
    const char *name = options->precision;
    if (!name || !name[0]) return NND_OK;
    config->precision = strcmp(name, "bf16") == 0 ? PRECISION_BF16 : PRECISION_F32;
    if (config->precision == PRECISION_BF16 || strcmp(name, "f32") == 0) return NND_OK;
    return nnd_error_set(NND_E_UNSUPPORTED,
                         "backend builtin computes in the precision of the model, or in 'bf16'; "
                         "'%s' is not offered",
                         name);
}

static void port_from_engine(nnd_model_port *port, const nnd_engine_port *from)
{
    static const nnd_port_kind kinds[] = {[NND_KIND_TENSOR] = NND_PORT_TENSOR,
                                          [NND_KIND_SEQUENCE] = NND_PORT_SEQUENCE,
                                          [NND_KIND_MAP] = NND_PORT_MAP};
    port->size = sizeof *port;
    port->name = from->name;
    port->kind = kinds[from->type.kind];
    port->element = kinds[from->type.element];
    port->key = from->type.key;
    port->optional = from->type.optional;
    port->dtype = from->dtype;
    port->rank = from->rank;
    for (int d = 0; d < from->rank; d++)
        port->dims[d] = (nnd_dim){from->dims[d].value, from->dims[d].symbol};
}

static nnd_status take_ports(builtin_model *m)
{
    m->input_count = nnd_engine_model_input_count(m->engine);
    m->output_count = nnd_engine_model_output_count(m->engine);
    m->ports = nnd_calloc(m->input_count + m->output_count + 1, sizeof *m->ports);
    if (!m->ports) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model's ports");
    for (size_t i = 0; i < m->input_count; i++)
        port_from_engine(&m->ports[i], nnd_engine_model_input(m->engine, i));
    for (size_t i = 0; i < m->output_count; i++)
        port_from_engine(&m->ports[m->input_count + i], nnd_engine_model_output(m->engine, i));
    return NND_OK;
}

static void builtin_unload(void *model)
{
    builtin_model *m = model;
    nnd_engine_model_unref(m->engine);
    nnd_free(m->ports);
    nnd_free(m);
}

/* From bytes, or from a graph, which is taken over. */
typedef struct model_source {
    const void *bytes;
    size_t size;
    nnd_ir *ir;
    const char *path, *name; /* the former is NULL for what lies in memory */
} model_source;

static nnd_status load_configured(const model_source *from, const nnd_model_options *options,
                                  const builtin_config *config, nnd_engine_model **out)
{
    file_source source = {options};
    nnd_engine_options engine = NND_ENGINE_OPTIONS_INIT;
    nnd_builtin_kernels kernels;
    char *folder = NULL;
    if (!config->cache) (void)nnd_port_env_dup("NNDEPLOY_PACKED", &folder);
    engine.name = from->name;
    engine.separate_tensors = config->separate_tensors;
    engine.shared_arena = config->arena == ARENA_SHARED;
    engine.dump_after = config->dump_after;
    engine.cache = config->cache ? config->cache : folder;
    engine.max_cache_bytes = (uint64_t)config->cache_mib << 20;
    engine.max_arena_bytes = (uint64_t)config->memory_mib << 20;
    engine.bf16 = config->precision == PRECISION_BF16;
    engine.only_own_kernels = config->brought_kernels == KERNELS_OFF;
    nnd_status status =
        config->passes ? nnd_engine_passes_parse(config->passes, &engine.passes) : NND_OK;
    if (status == NND_OK)
        status = nnd_builtin_kernels_find(config->kernels, from->path, from->bytes, from->size,
                                          &kernels);
    if (status != NND_OK) {
        nnd_ir_destroy(from->ir);
        nnd_port_free(folder);
        return nnd_error_wrap(status, "backend builtin");
    }
    if (options->open_file) {
        engine.open = open_external;
        engine.open_user = &source;
    }
    engine.kernels = kernels.items;
    engine.kernel_count = kernels.count;
    status = from->ir ? nnd_engine_model_load_ir(from->ir, &engine, out)
                      : nnd_engine_model_load_memory(from->bytes, from->size, &engine, out);
    nnd_builtin_kernels_fini(&kernels);
    nnd_port_free(folder);
    return status;
}

static nnd_status load_any(const model_source *from, const nnd_model_options *options, void **model)
{
    builtin_config config = {0};
    nnd_status status = check_options(options);
    builtin_model *m = status == NND_OK ? nnd_calloc(1, sizeof *m) : NULL;
    if (status == NND_OK && !m)
        status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model");
    if (status == NND_OK) status = parse_config(options->config, &config);
    if (status == NND_OK) status = read_precision(options, &config);
    if (status == NND_OK)
        status = load_configured(from, options, &config, &m->engine);
    else
        nnd_ir_destroy(from->ir);
    nnd_options_fini(config_options, NND_COUNT(config_options), &config);
    if (status == NND_OK) status = take_ports(m);
    if (status != NND_OK) {
        if (m) builtin_unload(m);
        return status;
    }
    *model = m;
    return NND_OK;
}

static nnd_status builtin_load(const void *bytes, size_t size, const char *path,
                               const nnd_model_options *options, void **model)
{
    model_source from = {
        .bytes = bytes, .size = size, .path = path, .name = path ? path : "model in memory"};
    return load_any(&from, options, model);
}

nnd_status nnd_builtin_load_ir(nnd_ir *ir, const nnd_model_options *options, void **model)
{
    model_source from = {.ir = ir, .name = "graph in memory"};
    return load_any(&from, options, model);
}

static size_t builtin_port_count(const void *model, bool outputs)
{
    const builtin_model *m = model;
    return outputs ? m->output_count : m->input_count;
}

static const nnd_model_port *builtin_port(const void *model, bool outputs, size_t index)
{
    const builtin_model *m = model;
    return &m->ports[outputs ? m->input_count + index : index];
}

static nnd_status builtin_inspect(const void *model, nnd_json_writer *w)
{
    return nnd_engine_model_describe(((const builtin_model *)model)->engine, NULL, w);
}

static nnd_status builtin_inspect_at(const void *model, const nnd_tensor *shapes,
                                     nnd_json_writer *w)
{
    return nnd_engine_model_describe(((const builtin_model *)model)->engine, shapes, w);
}

/* ---- running ----------------------------------------------------------------------------- */

static nnd_status builtin_open(void *model, const nnd_request_options *options, void **request)
{
    builtin_request *r = nnd_calloc(1, sizeof *r);
    if (!r) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a request");
    r->model = model;
    r->threads = options->threads;
    nnd_status status = nnd_engine_request_create(r->model->engine, &r->engine);
    if (status != NND_OK) {
        nnd_free(r);
        return status;
    }
    nnd_engine_request_set_profile(r->engine, options->profile);
    *request = r;
    return NND_OK;
}

static void builtin_close(void *request)
{
    builtin_request *r = request;
    nnd_engine_request_destroy(r->engine);
    nnd_free(r);
}

/* Waits until the bytes of a value are there; they have to be in host memory. */
static nnd_status wait_for_host(nnd_value *value, const char *port, nnd_cancel *cancel)
{
    const nnd_tensor *t = nnd_value_tensor(value);
    nnd_buffer *buffer = nnd_value_buffer(value);
    for (size_t i = 0; i < nnd_value_list_count(value); i++)
        NND_TRY(wait_for_host(nnd_value_list_at(value, i), port, cancel));
    for (size_t i = 0; i < nnd_value_record_count(value); i++)
        NND_TRY(wait_for_host(nnd_value_record_at(value, i), port, cancel));
    if (buffer) NND_TRY(nnd_buffer_wait(buffer, cancel));
    if (t && !t->data && nnd_tensor_count(t) > 0)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "input '%s' lies in the memory of device '%s'; bring it to the host "
                             "first (a workflow does so by itself)",
                             port, buffer ? nnd_device_name(nnd_buffer_device(buffer)) : "?");
    return NND_OK;
}

static nnd_status bind_ports(builtin_request *r, nnd_value *const *inputs, nnd_value **outputs,
                             nnd_cancel *cancel)
{
    const builtin_model *m = r->model;
    for (size_t i = 0; i < m->input_count; i++) {
        if (inputs[i]) NND_TRY(wait_for_host(inputs[i], m->ports[i].name, cancel));
        NND_TRY(nnd_engine_request_bind_value(r->engine, i, inputs[i]));
    }
    for (size_t i = 0; i < m->output_count; i++)
        NND_TRY(nnd_engine_request_bind_output(r->engine, i,
                                               outputs[i] ? nnd_value_tensor(outputs[i]) : NULL));
    return NND_OK;
}

/* The engine lets go of what it was given: a pool may use the memory for the next packet. */
static void unbind_inputs(builtin_request *r)
{
    for (size_t i = 0; i < r->model->input_count; i++)
        (void)nnd_engine_request_bind_input(r->engine, i, NULL);
}

static nnd_status builtin_run(void *request, nnd_value *const *inputs, nnd_value **outputs,
                              nnd_cancel *cancel)
{
    builtin_request *r = request;
    nnd_status status = bind_ports(r, inputs, outputs, cancel);
    if (status == NND_OK) status = nnd_engine_request_run(r->engine, r->threads, cancel);
    unbind_inputs(r);
    NND_TRY(status);
    for (size_t i = 0; i < r->model->output_count; i++)
        if (!outputs[i]) NND_TRY(nnd_engine_request_output_value(r->engine, i, &outputs[i]));
    return NND_OK;
}

/* What the step could have been computed with. */
static void put_choice(const nnd_engine_step_profile *step, nnd_json_writer *w)
{
    if (!step->shape) return;
    nnd_json_key(w, "kernel_shape");
    nnd_json_put_string(w, step->shape);
    nnd_json_key(w, "kernels");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < step->kernel_count; i++)
        nnd_json_put_string(w, step->kernels[i]);
    nnd_json_end_array(w);
}

static nnd_status builtin_profile(void *request, nnd_json_writer *w)
{
    const builtin_request *r = request;
    nnd_json_begin_array(w);
    for (size_t i = 0; i < nnd_engine_request_profile_count(r->engine); i++) {
        nnd_engine_step_profile step;
        NND_TRY(nnd_engine_request_profile_step(r->engine, i, &step));
        double runs = step.runs ? (double)step.runs : 1.0;
        nnd_json_begin_object(w);
        nnd_json_key(w, "name");
        nnd_json_put_string(w, step.name);
        nnd_json_key(w, "op");
        nnd_json_put_string(w, step.op);
        nnd_json_key(w, "kernel");
        nnd_json_put_string(w, step.kernel);
        put_choice(&step, w);
        nnd_json_key(w, "dtype");
        nnd_json_put_string(w, nnd_dtype_name(step.dtype));
        nnd_json_key(w, "ms");
        nnd_json_put_number(w, (double)step.ns / runs * 1e-6);
        nnd_json_key(w, "flops");
        nnd_json_put_int(w, (int64_t)step.flops);
        nnd_json_key(w, "bytes_read");
        nnd_json_put_int(w, (int64_t)step.bytes_read);
        nnd_json_key(w, "bytes_written");
        nnd_json_put_int(w, (int64_t)step.bytes_written);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
    return NND_OK;
}

const nnd_backend nnd_backend_builtin = {
    .struct_size = sizeof(nnd_backend),
    .name = "builtin",
    .formats = "onnx nnd.json",
    .probe = builtin_probe,
    .load = builtin_load,
    .unload = builtin_unload,
    .port_count = builtin_port_count,
    .port = builtin_port,
    .inspect = builtin_inspect,
    .open = builtin_open,
    .close = builtin_close,
    .run = builtin_run,
    .profile = builtin_profile,
    .inspect_at = builtin_inspect_at,
};
