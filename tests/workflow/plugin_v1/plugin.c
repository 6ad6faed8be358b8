/*
 * The test plug-in. It is compiled against the frozen headers beside it and linked with nothing.
 * VARIANT chooses what is wrong with it; 0 is the good one.
 */
#include "nndeploy/plugin.h"

#include <string.h>

#ifndef VARIANT
#define VARIANT 0
#endif
enum {
    GOOD = 0,
    NO_SYMBOL,
    NEWER_ABI,
    SMALLER_STRUCT,
    LARGER_STRUCT,
    RETURNS_NULL,
    DUPLICATE_TYPE,
    BAD_DESCRIPTOR,
    NO_NAME,
    WITH_VALUE_TYPE,
    SMALLER_NODE
};

static const nnd_host *host;

/* ---- a node: text, repeated -------------------------------------------------------------- */

static const nnd_port in[] = {NND_PORT("text", "text", "what is repeated")};
static const nnd_port out[] = {NND_PORT("text", "text", "the result")};
static const nnd_param params[] = {NND_PARAM_INT("times", 2, 1, 1000, "", "how often")};

static nnd_status repeat_process(nnd_ctx *ctx)
{
    const nnd_text *text = host->value_text(host->ctx_input(ctx, 0));
    int64_t times = host->params_int(host->ctx_params(ctx), "times");
    if (text->size == 0) return host->error_set(NND_E_INVALID_ARGUMENT, "an empty text");
    char *buffer = host->alloc(text->size * (size_t)times + 1);
    if (!buffer) return host->error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    for (int64_t i = 0; i < times; i++)
        memcpy(buffer + (size_t)i * text->size, text->text, text->size);
    nnd_value *value = NULL;
    nnd_status status = host->value_new_text(buffer, text->size * (size_t)times, &value);
    host->free(buffer);
    return status == NND_OK ? host->ctx_emit(ctx, 0, value) : status;
}

static const nnd_node_type repeat = {
    .struct_size = VARIANT == SMALLER_NODE ? 40 : sizeof(nnd_node_type),
    .type = VARIANT == DUPLICATE_TYPE   ? "flow.merge"
            : VARIANT == BAD_DESCRIPTOR ? "no good name!"
                                        : "plugin.repeat",
    .version = 1,
    .category = "text",
    .title = "Repeat",
    .text = "Repeats a text.",
    .inputs = NND_ARRAY(in),
    .outputs = NND_ARRAY(out),
    .params = NND_ARRAY(params),
    .flags = NND_NODE_PURE,
    .process = repeat_process,
};
static const nnd_node_type *const nodes[] = {&repeat};

/* ---- a value type ------------------------------------------------------------------------ */

typedef struct celsius {
    double degrees;
} celsius;
static void celsius_destroy(void *payload)
{
    (void)payload; /* owns nothing */
}
static nnd_status celsius_clone(const void *payload, void *to, bool share)
{
    (void)share;
    *(celsius *)to = *(const celsius *)payload;
    return NND_OK;
}
static nnd_status celsius_to_json(const void *payload, nnd_json_writer *w)
{
    host->json_put_number(w, ((const celsius *)payload)->degrees);
    return NND_OK;
}
static const nnd_value_type celsius_type = {
    .struct_size = sizeof(nnd_value_type),
    .name = "plugin_celsius",
    .payload_size = sizeof(celsius),
    .destroy = celsius_destroy,
    .clone = celsius_clone,
    .to_json = celsius_to_json,
};
static const nnd_value_type *const value_types[] = {&celsius_type};

/* ---- the plug-in ------------------------------------------------------------------------- */

/* As a later version of the header might have it. */
static const struct {
    nnd_plugin plugin;
    char more[64];
} larger = {
    .plugin =
        {
            .struct_size = VARIANT == SMALLER_STRUCT  ? 16
                           : VARIANT == LARGER_STRUCT ? sizeof(larger)
                                                      : sizeof(nnd_plugin),
            .abi_version = VARIANT == NEWER_ABI ? 99 : NND_ABI_VERSION,
            .name = VARIANT == NO_NAME ? NULL : "repeat",
            .version = "0.9.1",
            .licence = "Apache-2.0",
            .nodes = NND_ARRAY(nodes),
            .value_types = {value_types, VARIANT == WITH_VALUE_TYPE ? 1 : 0,
                            sizeof(value_types[0])},
        },
};

#if VARIANT == 1 /* NO_SYMBOL; the preprocessor does not know enumerators */
NND_PLUGIN_EXPORT const nnd_plugin *another_entry(const nnd_host *h)
#else
NND_PLUGIN_EXPORT const nnd_plugin *nnd_plugin_v1(const nnd_host *h)
#endif
{
    host = h;
    if (VARIANT == RETURNS_NULL) {
        h->error_set(NND_E_MISSING, "the vendor's library is not installed");
        return NULL;
    }
    return &larger.plugin;
}
