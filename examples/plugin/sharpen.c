/* A plug-in with one node type, built outside of the tree: it includes the public headers and links
   nothing. `demo.sharpen` makes edges stand out (unsharp masking with a 3 × 3 mean). */
#include <nndeploy/plugin.h>

static const nnd_host *host;

static uint8_t clamp(float level)
{
    return level < 0 ? 0 : level > 255 ? 255 : (uint8_t)(level + 0.5f);
}

/* One row; the rows above and below repeat at the edges. */
static void sharpen_row(const nnd_image *src, nnd_image *dst, int y, int channels, float amount)
{
    int above = y > 0 ? y - 1 : y, below = y + 1 < src->height ? y + 1 : y;
    const uint8_t *rows[3] = {src->data[0] + above * src->stride[0],
                              src->data[0] + y * src->stride[0],
                              src->data[0] + below * src->stride[0]};
    uint8_t *out = dst->data[0] + y * dst->stride[0];
    for (int x = 0; x < src->width; x++) {
        int left = x > 0 ? x - 1 : x, right = x + 1 < src->width ? x + 1 : x;
        for (int c = 0; c < channels; c++) {
            int sum = 0;
            for (int r = 0; r < 3; r++)
                sum += rows[r][left * channels + c] + rows[r][x * channels + c] +
                       rows[r][right * channels + c];
            float level = rows[1][x * channels + c];
            out[x * channels + c] = clamp(level + amount * (level - (float)sum / 9.0f));
        }
    }
}

static nnd_status sharpen_process(nnd_ctx *ctx)
{
    const nnd_image *src = host->value_image(host->ctx_input(ctx, 0));
    float amount = (float)host->params_float(host->ctx_params(ctx), "amount");
    nnd_value *value = NULL;
    int channels = src->format == NND_PIX_GRAY                                ? 1
                   : src->format == NND_PIX_RGB || src->format == NND_PIX_BGR ? 3
                                                                              : 0;
    if (src->dtype != NND_U8 || channels == 0)
        return host->error_set(NND_E_UNSUPPORTED, "demo.sharpen takes 8-bit gray, rgb or bgr");
    NND_TRY(host->ctx_alloc_image(ctx, 0, src->format, NND_U8, src->width, src->height, &value));
    nnd_image *dst = host->value_edit(value);
    for (int y = 0; y < src->height; y++)
        sharpen_row(src, dst, y, channels, amount);
    return host->ctx_emit(ctx, 0, value);
}

static const nnd_port in[] = {NND_PORT("image", "image", "the picture, 8-bit gray, rgb or bgr")};
static const nnd_port out[] = {NND_PORT("image", "image", "the sharper picture")};
static const nnd_param params[] = {
    NND_PARAM_FLOAT("amount", 1.0, 0, 10, "", "0 changes nothing"),
};
static const nnd_node_type sharpen = {
    .struct_size = sizeof(nnd_node_type),
    .type = "demo.sharpen",
    .version = 1,
    .category = "image/filter",
    .title = "Sharpen",
    .text = "Makes edges stand out.",
    .inputs = NND_ARRAY(in),
    .outputs = NND_ARRAY(out),
    .params = NND_ARRAY(params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = sharpen_process,
};

static const nnd_node_type *const nodes[] = {&sharpen};
static const nnd_plugin plugin = {
    .struct_size = sizeof(nnd_plugin),
    .abi_version = NND_ABI_VERSION,
    .name = "demo",
    .version = "1.0.0",
    .licence = "Apache-2.0",
    .nodes = NND_ARRAY(nodes),
};

NND_PLUGIN_EXPORT const nnd_plugin *nnd_plugin_v1(const nnd_host *h)
{
    host = h;
    return &plugin;
}
