/* A plug-in with an inference backend: "echo" gives back what it is given. Files of its models
   hold the word "echo". Built against the public headers only, linked with nothing of nndeploy. */
#include "nndeploy/infer.h"
#include "nndeploy/plugin.h"

#include <stdio.h>
#include <string.h>

static const nnd_host *host;

static const nnd_model_port ports[2] = {
    {.size = sizeof(nnd_model_port),
     .name = "in",
     .kind = NND_PORT_TENSOR,
     .dtype = NND_F32,
     .rank = 1,
     .dims = {{-1, "n"}}},
    {.size = sizeof(nnd_model_port),
     .name = "out",
     .kind = NND_PORT_TENSOR,
     .dtype = NND_F32,
     .rank = 1,
     .dims = {{-1, "n"}}},
};

static void echo_probe(nnd_backend_status *status)
{
    status->name = "echo";
    status->available = true;
    snprintf(status->version, sizeof status->version, "0.1");
    snprintf(status->devices, sizeof status->devices, "cpu");
}

static nnd_status echo_load(const void *bytes, size_t size, const char *path,
                            const nnd_model_options *options, void **model)
{
    (void)path;
    (void)options;
    if (size < 4 || memcmp(bytes, "echo", 4) != 0)
        return host->error_set(NND_E_FORMAT, "this is no model of echo");
    *model = (void *)&ports;
    return NND_OK;
}

static void echo_unload(void *model)
{
    (void)model; /* owns nothing */
}

static size_t echo_port_count(const void *model, bool outputs)
{
    (void)model;
    (void)outputs;
    return 1;
}

static const nnd_model_port *echo_port(const void *model, bool outputs, size_t index)
{
    (void)model;
    (void)index;
    return &ports[outputs];
}

static nnd_status echo_open(void *model, const nnd_request_options *options, void **request)
{
    (void)options;
    *request = model;
    return NND_OK;
}

static void echo_close(void *request)
{
    (void)request; /* owns nothing */
}

static nnd_status echo_run(void *request, nnd_value *const *inputs, nnd_value **outputs,
                           nnd_cancel *cancel)
{
    (void)request;
    (void)cancel;
    if (outputs[0]) return host->error_set(NND_E_UNSUPPORTED, "echo takes no bound outputs");
    outputs[0] = host->value_ref(inputs[0]);
    return NND_OK;
}

static const nnd_backend echo = {
    .struct_size = sizeof(nnd_backend),
    .name = "echo",
    .formats = "echo",
    .probe = echo_probe,
    .load = echo_load,
    .unload = echo_unload,
    .port_count = echo_port_count,
    .port = echo_port,
    .open = echo_open,
    .close = echo_close,
    .run = echo_run,
};

static const nnd_extension extensions[] = {
    {"infer.backend/1", &echo}, {"something.else/7", &echo}, /* hosts skip what they do not know */
};

static const nnd_plugin plugin = {
    .struct_size = sizeof(nnd_plugin),
    .abi_version = NND_ABI_VERSION,
    .name = "echo",
    .version = "0.1.0",
    .licence = "Apache-2.0",
    .extensions = NND_ARRAY(extensions),
};

NND_PLUGIN_EXPORT const nnd_plugin *nnd_plugin_v1(const nnd_host *h)
{
    host = h;
    return &plugin;
}
