/* Between picture files in memory and pictures. */
#include "nodes/nodes_internal.h"

static nnd_status decode_process(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    nnd_decode_options options = NND_DECODE_OPTIONS_INIT;
    const void *bytes = NULL;
    size_t size = 0;
    nnd_value *value = NULL;
    if (!nnd_value_as_bytes(nnd_ctx_input(ctx, 0), &bytes, &size))
        return nnd_error_set(NND_E_TYPE, "wants the bytes of a picture file");
    options.format = nnd_pixel_format_from_name(nnd_params_text(p, "format"));
    options.upright = nnd_params_bool(p, "upright");
    options.cancel = nnd_ctx_cancel(ctx);
    NND_TRY(nnd_image_decode(bytes, size, &options, &value));
    return nnd_ctx_emit(ctx, 0, value);
}

static const nnd_port decode_in[] = {
    NND_PORT("bytes", "bytes", "a JPEG, PNG, WebP, JPEG 2000, BMP or PNM file")};
static const nnd_port decode_out[] = {NND_PORT("image", "image", "the picture")};
static const nnd_param decode_params[] = {
    NND_PARAM_ENUM("format", "rgb", "rgb|bgr|gray|rgba|bgra", "pixel format of the result"),
    NND_PARAM_BOOL("upright", 1, "turn the picture as its EXIF data says"),
};
const nnd_node_type nnd_node_image_decode = {
    .struct_size = sizeof(nnd_node_type),
    .type = "image.decode",
    .version = 1,
    .category = "image/codec",
    .title = "Decode",
    .text = "Reads a picture file that is in memory.",
    .inputs = NND_ARRAY(decode_in),
    .outputs = NND_ARRAY(decode_out),
    .params = NND_ARRAY(decode_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = decode_process,
};

static nnd_status encode_process(nnd_ctx *ctx)
{
    static const nnd_image_codec codecs[] = {NND_CODEC_JPEG, NND_CODEC_PNG, NND_CODEC_BMP};
    const nnd_params *p = nnd_ctx_params(ctx);
    const nnd_image *image = nnd_node_image(ctx, 0);
    nnd_encode_options options = NND_ENCODE_OPTIONS_INIT;
    void *bytes = NULL;
    size_t size = 0;
    nnd_value *value = NULL;
    if (!image) return NND_E_TYPE;
    options.codec = codecs[nnd_params_enum(p, "codec")];
    options.quality = (int)nnd_params_int(p, "quality");
    options.compression = (int)nnd_params_int(p, "compression");
    NND_TRY(nnd_image_encode(image, &options, &bytes, &size));
    nnd_status status = nnd_value_new_bytes(bytes, size, &value);
    nnd_free(bytes);
    NND_TRY(status);
    return nnd_ctx_emit(ctx, 0, value);
}

static const nnd_port encode_in[] = {NND_PORT("image", "image", "the picture")};
static const nnd_port encode_out[] = {NND_PORT("bytes", "bytes", "the file")};
static const nnd_param encode_params[] = {
    NND_PARAM_ENUM("codec", "jpeg", "jpeg|png|bmp", "kind of file"),
    NND_PARAM_INT("quality", 92, 1, 100, "", "JPEG quality"),
    NND_PARAM_INT("compression", 6, 0, 9, "", "PNG effort"),
};
const nnd_node_type nnd_node_image_encode = {
    .struct_size = sizeof(nnd_node_type),
    .type = "image.encode",
    .version = 1,
    .category = "image/codec",
    .title = "Encode",
    .text = "Makes a picture file in memory.",
    .inputs = NND_ARRAY(encode_in),
    .outputs = NND_ARRAY(encode_out),
    .params = NND_ARRAY(encode_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = encode_process,
};
