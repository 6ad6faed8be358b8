/* Between pictures and the tensors of models. */
#include "nodes/nodes_internal.h"

#include <string.h>

#define ORDERS "rgb|bgr|gray|rgba|bgra"

/* ---- image.to_tensor --------------------------------------------------------------------- */

static nnd_status to_tensor_options(nnd_ctx *ctx, nnd_to_tensor_options *o)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    o->fit = (nnd_fit)nnd_params_enum(p, "fit");
    o->align = (nnd_align)nnd_params_enum(p, "align");
    NND_TRY(nnd_filter_from_name(nnd_params_text(p, "filter"), &o->filter));
    o->antialias = nnd_params_bool(p, "antialias");
    o->order = nnd_pixel_format_from_name(nnd_params_text(p, "order"));
    o->scale = nnd_params_float(p, "scale");
    size_t channels = (size_t)nnd_pixel_format_channels(o->order);
    NND_TRY(nnd_node_numbers(p, "mean", o->mean, channels));
    NND_TRY(nnd_node_numbers(p, "std", o->std, channels));
    NND_TRY(nnd_node_numbers(p, "pad", o->pad, channels));
    o->threads = nnd_ctx_threads(ctx);
    o->cancel = nnd_ctx_cancel(ctx);
    return NND_OK;
}

static nnd_status to_tensor_process(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    const nnd_image *src = nnd_node_image(ctx, 0);
    nnd_to_tensor_options options = NND_TO_TENSOR_OPTIONS_INIT;
    nnd_geometry geometry;
    nnd_value *value = NULL;
    if (!src) return NND_E_TYPE;
    NND_TRY(to_tensor_options(ctx, &options));
    int64_t width = nnd_params_int(p, "width"), height = nnd_params_int(p, "height");
    int64_t channels = nnd_pixel_format_channels(options.order);
    if (width == 0) width = src->width;
    if (height == 0) height = src->height;
    bool nhwc = nnd_params_enum(p, "layout") == 1;
    nnd_value_desc desc = {.size = sizeof desc,
                           .type = "tensor",
                           .dtype = nnd_dtype_from_name(nnd_params_text(p, "dtype")),
                           .rank = 4,
                           .layout = nhwc ? NND_LAYOUT_NHWC : NND_LAYOUT_NCHW};
    const int64_t dims[4] = {1, nhwc ? height : channels, nhwc ? width : height,
                             nhwc ? channels : width};
    memcpy(desc.dims, dims, sizeof dims);
    NND_TRY(nnd_ctx_alloc(ctx, 0, &desc, &value));
    NND_TRY(nnd_node_finish(
        ctx, nnd_image_to_tensor(nnd_value_edit(value), src, &options, &geometry), value));
    return nnd_node_emit_geometry(ctx, 1, &geometry);
}

static nnd_status to_tensor_negotiate(nnd_negotiation *n)
{
    const nnd_params *p = nnd_negotiation_params(n);
    nnd_spec wanted, made;
    nnd_spec_init(&wanted);
    wanted.memory_kinds |= 1u << NND_MEM_SHARED | 1u << NND_MEM_PINNED;
    NND_TRY(nnd_negotiation_accept(n, 0, &wanted));
    nnd_spec_init(&made);
    made.dtype = nnd_dtype_from_name(nnd_params_text(p, "dtype"));
    made.rank = 4;
    bool nhwc = nnd_params_enum(p, "layout") == 1;
    int64_t width = nnd_params_int(p, "width"), height = nnd_params_int(p, "height");
    int64_t channels =
        nnd_pixel_format_channels(nnd_pixel_format_from_name(nnd_params_text(p, "order")));
    int64_t w = width ? width : -1, h = height ? height : -1;
    made.layout = nhwc ? NND_LAYOUT_NHWC : NND_LAYOUT_NCHW;
    const int64_t dims[4] = {1, nhwc ? h : channels, nhwc ? w : h, nhwc ? channels : w};
    memcpy(made.dims, dims, sizeof dims);
    return nnd_negotiation_produce(n, 0, &made);
}

static const nnd_port to_tensor_in[] = {NND_PORT("image", "image", "the picture, any format")};
static const nnd_port to_tensor_out[] = {
    NND_PORT("tensor", "tensor", "what the model reads"),
    NND_PORT("geometry", "geometry", "where the tensor's pixels lie in the picture"),
};
static const nnd_param to_tensor_params[] = {
    NND_PARAM_INT("width", 0, 0, NND_IMAGE_MAX_SIDE, "px",
                  "width of the tensor; 0 = the picture's"),
    NND_PARAM_INT("height", 0, 0, NND_IMAGE_MAX_SIDE, "px", "height; 0 = the picture's"),
    NND_PARAM_ENUM("fit", "stretch", NND_NODE_FITS, "how the picture is made to fit"),
    NND_PARAM_ENUM("align", "centre", "centre|top-left", "where the picture stands in the padding"),
    NND_PARAM_ENUM("filter", "bilinear", NND_NODE_FILTERS, "interpolation"),
    NND_PARAM_BOOL("antialias", 0, "widen bilinear and bicubic when shrinking"),
    NND_PARAM_ENUM("order", "rgb", ORDERS, "channels of the tensor"),
    NND_PARAM_FLOAT("scale", 1, -1e6, 1e6, "", "factor for levels 0…255, before mean and std"),
    NND_PARAM_NUMBERS("mean", "[0]", 0, 0, "", "per channel, subtracted after scaling"),
    NND_PARAM_NUMBERS("std", "[1]", 0, 0, "", "per channel, divided by"),
    NND_PARAM_NUMBERS("pad", "[0]", 0, 255, "", "padding per channel, level 0…255"),
    NND_PARAM_ENUM("layout", "nchw", "nchw|nhwc", "order of the dimensions"),
    NND_PARAM_ENUM("dtype", "f32", "f32|f16|u8", "type of the elements"),
};
const nnd_node_type nnd_node_image_to_tensor = {
    .struct_size = sizeof(nnd_node_type),
    .type = "image.to_tensor",
    .version = 1,
    .category = "image/tensor",
    .title = "To tensor",
    .text = "Everything between a picture and a model in one pass: fits the size, brings the "
            "channels into order, computes (level × scale − mean) ÷ std, arranges the dimensions.",
    .inputs = NND_ARRAY(to_tensor_in),
    .outputs = NND_ARRAY(to_tensor_out),
    .params = NND_ARRAY(to_tensor_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .negotiate = to_tensor_negotiate,
    .process = to_tensor_process,
};

/* ---- image.from_tensor ------------------------------------------------------------------- */

/* Height and width of the tensor's picture, by its layout. */
static nnd_status picture_size(const nnd_tensor *t, bool nhwc, int *width, int *height)
{
    if (t->rank != 3 && t->rank != 4)
        return nnd_error_set(NND_E_SHAPE, "wants [N,C,H,W] or [C,H,W] (or NHWC), got rank %d",
                             t->rank);
    const int64_t *d = t->dims + (t->rank - 3);
    int64_t h = nhwc ? d[0] : d[1], w = nhwc ? d[1] : d[2];
    if (h < 1 || w < 1 || h > NND_IMAGE_MAX_SIDE || w > NND_IMAGE_MAX_SIDE)
        return nnd_error_set(NND_E_SHAPE, "a picture of %lld × %lld pixels is not possible",
                             (long long)w, (long long)h);
    *width = (int)w;
    *height = (int)h;
    return NND_OK;
}

static nnd_status from_tensor_process(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    const nnd_tensor *given = nnd_node_tensor(ctx, 0);
    nnd_from_tensor_options options = NND_FROM_TENSOR_OPTIONS_INIT;
    nnd_value *value = NULL;
    int width = 0, height = 0;
    if (!given) return NND_E_TYPE;
    nnd_tensor src = *given;
    bool nhwc = nnd_params_enum(p, "layout") == 1;
    src.layout = nhwc ? NND_LAYOUT_NHWC : NND_LAYOUT_NCHW;
    options.order = nnd_pixel_format_from_name(nnd_params_text(p, "order"));
    options.scale = nnd_params_float(p, "scale");
    size_t channels = (size_t)nnd_pixel_format_channels(options.order);
    NND_TRY(nnd_node_numbers(p, "mean", options.mean, channels));
    NND_TRY(nnd_node_numbers(p, "std", options.std, channels));
    options.threads = nnd_ctx_threads(ctx);
    options.cancel = nnd_ctx_cancel(ctx);
    NND_TRY(picture_size(&src, nhwc, &width, &height));
    nnd_pixel_format format = nnd_pixel_format_from_name(nnd_params_text(p, "format"));
    NND_TRY(nnd_ctx_alloc_image(ctx, 0, format, NND_U8, width, height, &value));
    return nnd_node_finish(ctx, nnd_image_from_tensor(nnd_value_edit(value), &src, &options),
                           value);
}

static const nnd_port from_tensor_in[] = {
    NND_PORT("tensor", "tensor", "[N,C,H,W], [C,H,W] or NHWC")};
static const nnd_port from_tensor_out[] = {NND_PORT("image", "image", "the picture, 8 bit")};
static const nnd_param from_tensor_params[] = {
    NND_PARAM_ENUM("order", "rgb", ORDERS, "channels of the tensor"),
    NND_PARAM_ENUM("format", "rgb", ORDERS, "pixel format of the picture"),
    NND_PARAM_FLOAT("scale", 1.0 / 255, -1e6, 1e6, "", "the scale that to_tensor had"),
    NND_PARAM_NUMBERS("mean", "[0]", 0, 0, "", "the mean that to_tensor had"),
    NND_PARAM_NUMBERS("std", "[1]", 0, 0, "", "the std that to_tensor had"),
    NND_PARAM_ENUM("layout", "nchw", "nchw|nhwc", "order of the dimensions"),
};
const nnd_node_type nnd_node_image_from_tensor = {
    .struct_size = sizeof(nnd_node_type),
    .type = "image.from_tensor",
    .version = 1,
    .category = "image/tensor",
    .title = "From tensor",
    .text =
        "Makes a picture of a model's output: (value × std + mean) ÷ scale, rounded and clamped.",
    .inputs = NND_ARRAY(from_tensor_in),
    .outputs = NND_ARRAY(from_tensor_out),
    .params = NND_ARRAY(from_tensor_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = from_tensor_process,
};
