/*
 * OpenCV's dnn module as an inference backend: a plug-in, because the library has a C++ interface
 * only. Models, requests and their checks are here; net.cpp talks to OpenCV.
 */
#include "net.h"
#include "onnx_ports.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static const nnd_host *host;

/* ---- options ------------------------------------------------------------------------------ */

static nnd_status no_memory(void)
{
    return host->error_set(NND_E_OUT_OF_MEMORY, "no memory for a model of OpenCV");
}

static bool is_word(const char *text, size_t size, const char *word)
{
    return strlen(word) == size && strncmp(text, word, size) == 0;
}

/* "fusion=off": one key with its value. */
static nnd_status take_option(const char *text, size_t size, opencv_setup *setup)
{
    static const char key[] = "fusion=";
    size_t n = sizeof key - 1;
    if (size < n || strncmp(text, key, n) != 0)
        return host->error_set(NND_E_INVALID_ARGUMENT,
                               "backend opencv-dnn: unknown option '%.*s'; there is: "
                               "fusion=on|off (compute neighbouring layers at once)",
                               (int)size, text);
    setup->fusion = is_word(text + n, size - n, "on");
    if (setup->fusion || is_word(text + n, size - n, "off")) return NND_OK;
    return host->error_set(NND_E_INVALID_ARGUMENT,
                           "backend opencv-dnn, option 'fusion': wants on or off, got '%.*s'",
                           (int)(size - n), text + n);
}

static nnd_status take_config(const char *config, opencv_setup *setup)
{
    static const char gaps[] = " ,";
    for (const char *p = config ? config : ""; *p;) {
        size_t size = strcspn(p, gaps);
        if (size) NND_TRY(take_option(p, size, setup));
        p += size;
        p += strspn(p, gaps);
    }
    return NND_OK;
}

static nnd_status take_device(const char *device, opencv_setup *setup)
{
    static const char *const names[] = {"cpu", "opencl"};
    char there[256];
    opencv_devices(there, sizeof there);
    for (size_t i = 0; i < NND_COUNT(names); i++)
        if (strcmp(names[i], device) == 0 && strstr(there, device)) {
            setup->device = names[i];
            return NND_OK;
        }
    return host->error_set(NND_E_UNSUPPORTED,
                           "backend opencv-dnn: there is no device '%s' here; there is: %s", device,
                           there);
}

static nnd_status take_options(const nnd_model_options *options, opencv_setup *setup)
{
    const char *precision = options->precision && options->precision[0] ? options->precision : "";
    *setup = (opencv_setup){.device = "cpu", .fusion = true};
    if (options->device && options->device[0]) NND_TRY(take_device(options->device, setup));
    NND_TRY(take_config(options->config, setup));
    setup->half = strcmp(precision, "f16") == 0 && strcmp(setup->device, "opencl") == 0;
    if (!precision[0] || strcmp(precision, "f32") == 0 || setup->half) return NND_OK;
    return host->error_set(NND_E_UNSUPPORTED,
                           "backend opencv-dnn computes in f32 on 'cpu', in f32 or f16 on "
                           "'opencl'; '%s' on '%s' is not offered",
                           precision, setup->device);
}

/* ---- models ------------------------------------------------------------------------------- */

typedef struct dnn_model {
    char *name;        /* path, for messages */
    const void *bytes; /* of the file; the caller keeps them */
    size_t size;
    opencv_setup setup;
    opencv_ports ports;
    _Atomic(opencv_net *) spare; /* the network that loading made: the first request's */
} dnn_model;

static void dnn_probe(nnd_backend_status *status)
{
    status->available = true;
    snprintf(status->version, sizeof status->version, "%s", opencv_version());
    opencv_devices(status->devices, sizeof status->devices);
}

static nnd_status check_port(const char *model, const nnd_model_port *port, const char *what)
{
    if (port->kind != NND_PORT_TENSOR || port->dtype != NND_F32)
        return host->error_set(NND_E_UNSUPPORTED,
                               "model '%s': OpenCV computes with f32 only; %s '%s' is %s", model,
                               what, port->name,
                               port->kind != NND_PORT_TENSOR ? "no tensor"
                               : port->dtype                 ? host->dtype_name(port->dtype)
                                                             : "of another type");
    return NND_OK;
}

static nnd_status check_ports(const opencv_ports *ports)
{
    if (ports->has_external)
        return host->error_set(NND_E_UNSUPPORTED,
                               "model '%s' keeps weights in further files, which OpenCV does not "
                               "read",
                               ports->model);
    if (!ports->output_count)
        return host->error_set(NND_E_FORMAT, "'%s' is no ONNX model: it has no outputs",
                               ports->model);
    for (size_t i = 0; i < ports->input_count + ports->output_count; i++)
        NND_TRY(check_port(ports->model, &ports->items[i],
                           i < ports->input_count ? "input" : "output"));
    return NND_OK;
}

static nnd_status make_net(const dnn_model *m, opencv_net **out)
{
    return opencv_net_create(host, m->bytes, m->size, &m->setup, &m->ports, out);
}

static void dnn_unload(void *model)
{
    dnn_model *m = model;
    opencv_net_destroy(atomic_load(&m->spare));
    opencv_ports_fini(host, &m->ports);
    host->free(m->name);
    host->free(m);
}

static nnd_status load_into(dnn_model *m, const nnd_model_options *options)
{
    opencv_net *net = NULL;
    NND_TRY(take_options(options, &m->setup));
    m->ports.model = m->name;
    NND_TRY(opencv_ports_read(host, &m->ports, m->bytes, m->size));
    NND_TRY(check_ports(&m->ports));
    NND_TRY(make_net(m, &net));
    atomic_store(&m->spare, net);
    return NND_OK;
}

static nnd_status dnn_load(const void *bytes, size_t size, const char *path,
                           const nnd_model_options *options, void **model)
{
    dnn_model *m = host->calloc(1, sizeof *m);
    if (!m) return no_memory();
    m->bytes = bytes;
    m->size = size;
    m->name = host->strdup(path ? path : "model in memory");
    nnd_status status = m->name ? load_into(m, options) : no_memory();
    if (status != NND_OK) {
        dnn_unload(m);
        return status;
    }
    *model = m;
    return NND_OK;
}

static size_t dnn_port_count(const void *model, bool outputs)
{
    const dnn_model *m = model;
    return outputs ? m->ports.output_count : m->ports.input_count;
}

static const nnd_model_port *dnn_port(const void *model, bool outputs, size_t index)
{
    const dnn_model *m = model;
    return &m->ports.items[outputs ? m->ports.input_count + index : index];
}

/* ---- requests ----------------------------------------------------------------------------- */

typedef struct dnn_request {
    const dnn_model *model;
    opencv_net *net;
    int threads;
} dnn_request;

static void dnn_close(void *request)
{
    dnn_request *r = request;
    opencv_net_destroy(r->net);
    host->free(r);
}

static nnd_status dnn_open(void *model, const nnd_request_options *options, void **request)
{
    dnn_model *m = model;
    dnn_request *r = host->calloc(1, sizeof *r);
    if (!r) return no_memory();
    r->model = m;
    r->threads = options->threads;
    r->net = atomic_exchange(&m->spare, NULL);
    nnd_status status = r->net ? NND_OK : make_net(m, &r->net);
    if (status != NND_OK) {
        dnn_close(r);
        return status;
    }
    *request = r;
    return NND_OK;
}

/* OpenCV knows no empty tensors, and its sides are int. */
static nnd_status check_input(const dnn_request *r, const nnd_model_port *port, const nnd_tensor *t)
{
    char text[128];
    bool fits = true;
    for (int d = 0; d < t->rank; d++)
        fits = fits && t->dims[d] >= 1 && t->dims[d] <= INT32_MAX;
    if (fits) return NND_OK;
    return host->error_set(
        NND_E_UNSUPPORTED,
        "model '%s', input '%s': OpenCV has no tensors without elements and none with a "
        "side beyond 2147483647, got %s",
        r->model->name, port->name, host->tensor_describe(t, text, sizeof text));
}

/* The same elements one after the other, in a value of their own. */
static nnd_status pack(const nnd_tensor *t, nnd_value **out)
{
    NND_TRY(host->value_new_tensor(t->dtype, t->rank, t->dims, out));
    nnd_tensor *dense = host->value_edit(*out);
    NND_TRY(host->tensor_copy(dense, t));
    host->copy_count(host->tensor_bytes(dense));
    return NND_OK;
}

static nnd_status set_input(dnn_request *r, size_t index, nnd_value *value, nnd_cancel *cancel)
{
    const nnd_model_port *port = &r->model->ports.items[index];
    const nnd_tensor *t = host->value_tensor(value);
    nnd_buffer *buffer = host->value_buffer(value);
    nnd_value *packed = NULL;
    nnd_status status = NND_OK;
    if (buffer) NND_TRY(host->buffer_wait(buffer, cancel));
    NND_TRY(check_input(r, port, t));
    if (!t->data)
        return host->error_set(
            NND_E_UNSUPPORTED,
            "model '%s', input '%s' lies in the memory of a device; bring it to the host "
            "first (a workflow does so by itself)",
            r->model->name, port->name);
    if (!host->tensor_is_dense(t)) {
        status = pack(t, &packed);
        t = status == NND_OK ? host->value_tensor(packed) : t;
    }
    if (status == NND_OK) status = opencv_net_set_input(r->net, index, t);
    if (status == NND_OK) host->copy_count(host->tensor_bytes(t));
    host->value_unref(packed);
    return status;
}

/* ---- results ------------------------------------------------------------------------------ */

/* OpenCV has two sides at least: a vector comes as a column, a scalar as one element. The model
   says what it should be; a result that does not fit what it says is refused. */
static nnd_status shape_result(const dnn_request *r, const nnd_model_port *port, nnd_tensor *view)
{
    char text[128];
    int64_t count = host->tensor_count(view);
    nnd_tensor found = *view;
    if (port->rank == 0 && count == 1)
        NND_TRY(host->tensor_init(view, view->dtype, 0, NULL, view->data));
    if (port->rank == 1) NND_TRY(host->tensor_init(view, view->dtype, 1, &count, view->data));
    bool fits = port->rank < 0 || port->rank == view->rank;
    for (int d = 0; fits && d < port->rank; d++)
        fits = port->dims[d].value < 0 || port->dims[d].value == view->dims[d];
    if (fits) return NND_OK;
    return host->error_set(
        NND_E_BACKEND,
        "model '%s', output '%s': OpenCV gives %s, which is not the shape that the model "
        "says",
        r->model->name, port->name, host->tensor_describe(&found, text, sizeof text));
}

static nnd_status check_bound(const dnn_request *r, const nnd_model_port *port,
                              const nnd_tensor *bound, const nnd_tensor *view)
{
    char is[128], room[128];
    bool same = bound->rank == view->rank;
    for (int d = 0; same && d < view->rank; d++)
        same = bound->dims[d] == view->dims[d];
    if (same) return NND_OK;
    return host->error_set(NND_E_SHAPE, "model '%s', output '%s': bound to %s, the result is %s",
                           r->model->name, port->name,
                           host->tensor_describe(bound, room, sizeof room),
                           host->tensor_describe(view, is, sizeof is));
}

/* The network computes its next results in the same memory: they are copied. */
static nnd_status take_output(dnn_request *r, size_t index, nnd_value **value)
{
    const nnd_model_port *port = dnn_port(r->model, true, index);
    nnd_tensor view;
    NND_TRY(opencv_net_output(r->net, index, &view));
    NND_TRY(shape_result(r, port, &view));
    if (*value)
        NND_TRY(check_bound(r, port, host->value_tensor(*value), &view));
    else
        NND_TRY(host->value_new_tensor(view.dtype, view.rank, view.dims, value));
    memcpy(host->value_tensor(*value)->data, view.data, host->tensor_bytes(&view));
    host->copy_count(host->tensor_bytes(&view));
    return NND_OK;
}

static nnd_status dnn_run(void *request, nnd_value *const *inputs, nnd_value **outputs,
                          nnd_cancel *cancel)
{
    dnn_request *r = request;
    for (size_t i = 0; i < r->model->ports.input_count; i++)
        NND_TRY(set_input(r, i, inputs[i], cancel));
    NND_TRY(opencv_net_run(r->net, r->threads, cancel));
    for (size_t i = 0; i < r->model->ports.output_count; i++)
        NND_TRY(take_output(r, i, &outputs[i]));
    return NND_OK;
}

static nnd_status dnn_profile(void *request, nnd_json_writer *w)
{
    return opencv_net_profile(((dnn_request *)request)->net, w);
}

/* ---- the plug-in -------------------------------------------------------------------------- */

static const nnd_backend backend = {
    .struct_size = sizeof(nnd_backend),
    .name = "opencv-dnn",
    .formats = "onnx",
    .probe = dnn_probe,
    .load = dnn_load,
    .unload = dnn_unload,
    .port_count = dnn_port_count,
    .port = dnn_port,
    .open = dnn_open,
    .close = dnn_close,
    .run = dnn_run,
    .profile = dnn_profile,
};

static const nnd_extension extensions[] = {{"infer.backend/1", &backend}};

static const nnd_plugin plugin = {
    .struct_size = sizeof(nnd_plugin),
    .abi_version = NND_ABI_VERSION,
    .name = "opencv-dnn",
    .version = NND_VERSION,
    .licence = "Apache-2.0",
    .extensions = NND_ARRAY(extensions),
};

NND_PLUGIN_EXPORT const nnd_plugin *nnd_plugin_v1(const nnd_host *h)
{
    host = h;
    if (NND_HOST_HAS(h, sched_threads)) return &plugin;
    (void)h->error_set(NND_E_UNSUPPORTED, "it needs a newer nndeploy than %s", h->version);
    return NULL;
}
