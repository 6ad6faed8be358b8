/* A plug-in with a node for the tests of eval: `test.mask` makes classes of gray levels, gives
   nothing for pictures of one width and fails for those of another. Built against the public
   headers only. */
#include <nndeploy/plugin.h>

static const nnd_host *host;

static void classes_of_row(const nnd_image *src, const nnd_mask *dst, int y)
{
    const uint8_t *from = src->data[0] + y * src->stride[0];
    uint8_t *to = (uint8_t *)dst->data + y * dst->stride;
    for (int x = 0; x < src->width; x++)
        to[x] = (uint8_t)(from[3 * x] / 50);
}

static nnd_status mask_process(nnd_ctx *ctx)
{
    const nnd_params *params = host->ctx_params(ctx);
    const nnd_image *src = host->value_image(host->ctx_input(ctx, 0));
    nnd_value *value = NULL;
    if (src->width == host->params_int(params, "silent")) return NND_OK;
    if (src->width == host->params_int(params, "fail"))
        return host->error_set(NND_E_UNSUPPORTED, "a picture of %d columns", src->width);
    if (src->format != NND_PIX_RGB || src->dtype != NND_U8)
        return host->error_set(NND_E_UNSUPPORTED, "test.mask takes 8-bit rgb");
    NND_TRY(host->value_new_mask(NND_U8, false, src->width, src->height, &value));
    for (int y = 0; y < src->height; y++)
        classes_of_row(src, host->value_edit(value), y);
    return host->ctx_emit(ctx, 0, value);
}

static const nnd_port in[] = {NND_PORT("image", "image", "8-bit rgb")};
static const nnd_port out[] = {NND_PORT("mask", "mask", "level / 50 of each pixel")};
static const nnd_param params[] = {
    NND_PARAM_INT("silent", 0, 0, 65535, "px", "pictures of this width get no mask"),
    NND_PARAM_INT("fail", 0, 0, 65535, "px", "pictures of this width are a failure"),
};
static const nnd_node_type mask = {
    .struct_size = sizeof(nnd_node_type),
    .type = "test.mask",
    .version = 1,
    .category = "test",
    .title = "Mask",
    .text = "Makes classes of gray levels.",
    .inputs = NND_ARRAY(in),
    .outputs = NND_ARRAY(out),
    .params = NND_ARRAY(params),
    .process = mask_process,
};

static const nnd_node_type *const nodes[] = {&mask};
static const nnd_plugin plugin = {
    .struct_size = sizeof(nnd_plugin),
    .abi_version = NND_ABI_VERSION,
    .name = "test-mask",
    .version = "1.0.0",
    .licence = "Apache-2.0",
    .nodes = NND_ARRAY(nodes),
};

NND_PLUGIN_EXPORT const nnd_plugin *nnd_plugin_v1(const nnd_host *h)
{
    host = h;
    return &plugin;
}
