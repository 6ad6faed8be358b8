/* Pictures to pictures: size, colour, blur, threshold. Thin over ops. */
#include "nodes/nodes_internal.h"

#include <string.h>

static const nnd_port image_in[] = {NND_PORT("image", "image", "the picture")};
static const nnd_port image_out[] = {NND_PORT("image", "image", "the result")};
static const nnd_port image_geometry_out[] = {
    NND_PORT("image", "image", "the result"),
    NND_PORT("geometry", "geometry", "where the result lies in the picture"),
};

#define SIDE_PARAM(name, def, about) NND_PARAM_INT(name, def, 1, NND_IMAGE_MAX_SIDE, "px", about)

static nnd_status image_like(nnd_ctx *ctx, const nnd_image *src, int width, int height,
                             nnd_value **out, nnd_image **image)
{
    NND_TRY(nnd_ctx_alloc_image(ctx, 0, src->format, src->dtype, width, height, out));
    *image = nnd_value_edit(*out);
    return NND_OK;
}

/* ---- image.resize ------------------------------------------------------------------------ */

/* A missing side follows from the other one and the picture's ratio. */
static nnd_status wanted_size(const nnd_params *p, const nnd_image *src, int *width, int *height)
{
    double scale = nnd_params_float(p, "scale");
    double w = (double)nnd_params_int(p, "width"), h = (double)nnd_params_int(p, "height");
    if (w <= 0 && h <= 0) {
        w = src->width * scale;
        h = src->height * scale;
    } else if (w <= 0) {
        w = h * src->width / src->height;
    } else if (h <= 0) {
        h = w * src->height / src->width;
    }
    *width = (int)(w + 0.5) < 1 ? 1 : (int)(w + 0.5);
    *height = (int)(h + 0.5) < 1 ? 1 : (int)(h + 0.5);
    if (w > NND_IMAGE_MAX_SIDE || h > NND_IMAGE_MAX_SIDE)
        return nnd_error_set(NND_E_LIMIT, "%.0f × %.0f pixels are more than %d per side", w, h,
                             NND_IMAGE_MAX_SIDE);
    return NND_OK;
}

static nnd_status resize_process(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    const nnd_image *src = nnd_node_image(ctx, 0);
    nnd_resize_options options = NND_RESIZE_OPTIONS_INIT;
    nnd_value *value = NULL;
    nnd_image *dst = NULL;
    int width = 0, height = 0;
    if (!src) return NND_E_TYPE;
    NND_TRY(wanted_size(p, src, &width, &height));
    NND_TRY(nnd_filter_from_name(nnd_params_text(p, "filter"), &options.filter));
    options.antialias = nnd_params_bool(p, "antialias");
    options.threads = nnd_ctx_threads(ctx);
    options.cancel = nnd_ctx_cancel(ctx);
    NND_TRY(image_like(ctx, src, width, height, &value, &dst));
    return nnd_node_finish(ctx, nnd_image_resize(dst, src, &options), value);
}

static const nnd_param resize_params[] = {
    NND_PARAM_INT("width", 0, 0, NND_IMAGE_MAX_SIDE, "px", "target width; 0 = from the height"),
    NND_PARAM_INT("height", 0, 0, NND_IMAGE_MAX_SIDE, "px", "target height; 0 = from the width"),
    NND_PARAM_FLOAT("scale", 1, 0.001, 1000, "", "factor when neither side is given"),
    NND_PARAM_ENUM("filter", "bilinear", NND_NODE_FILTERS, "interpolation"),
    NND_PARAM_BOOL("antialias", 0, "widen bilinear and bicubic when shrinking"),
};
const nnd_node_type nnd_node_image_resize = {
    .struct_size = sizeof(nnd_node_type),
    .type = "image.resize",
    .version = 1,
    .category = "image/geometry",
    .title = "Resize",
    .text = "Scales a picture to a size, or by a factor.",
    .inputs = NND_ARRAY(image_in),
    .outputs = NND_ARRAY(image_out),
    .params = NND_ARRAY(resize_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = resize_process,
};

/* ---- image.letterbox --------------------------------------------------------------------- */

static nnd_status letterbox_process(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    const nnd_image *src = nnd_node_image(ctx, 0);
    nnd_letterbox_options options = NND_LETTERBOX_OPTIONS_INIT;
    nnd_geometry geometry;
    nnd_value *value = NULL;
    nnd_image *dst = NULL;
    if (!src) return NND_E_TYPE;
    options.fit = (nnd_fit)nnd_params_enum(p, "fit");
    options.align = (nnd_align)nnd_params_enum(p, "align");
    NND_TRY(nnd_filter_from_name(nnd_params_text(p, "filter"), &options.filter));
    NND_TRY(nnd_node_levels(p, "color", src->format, options.value));
    options.threads = nnd_ctx_threads(ctx);
    options.cancel = nnd_ctx_cancel(ctx);
    NND_TRY(image_like(ctx, src, (int)nnd_params_int(p, "width"), (int)nnd_params_int(p, "height"),
                       &value, &dst));
    NND_TRY(nnd_node_finish(ctx, nnd_image_letterbox(dst, src, &options, &geometry), value));
    return nnd_node_emit_geometry(ctx, 1, &geometry);
}

static const nnd_param letterbox_params[] = {
    SIDE_PARAM("width", 640, "target width"),
    SIDE_PARAM("height", 640, "target height"),
    NND_PARAM_ENUM("fit", "letterbox", NND_NODE_FITS, "how the picture is made to fit"),
    NND_PARAM_ENUM("align", "centre", "centre|top-left", "where the picture stands in the padding"),
    NND_PARAM_ENUM("filter", "bilinear", NND_NODE_FILTERS, "interpolation"),
    NND_PARAM_NUMBERS("color", "[0]", 0, 65535, "", "padding per channel, in levels"),
};
const nnd_node_type nnd_node_image_letterbox = {
    .struct_size = sizeof(nnd_node_type),
    .type = "image.letterbox",
    .version = 1,
    .category = "image/geometry",
    .title = "Letterbox",
    .text = "Fits a picture into a fixed size and says where it went.",
    .inputs = NND_ARRAY(image_in),
    .outputs = NND_ARRAY(image_geometry_out),
    .params = NND_ARRAY(letterbox_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = letterbox_process,
};

/* ---- image.crop -------------------------------------------------------------------------- */

static nnd_status crop_process(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    const nnd_image *src = nnd_node_image(ctx, 0);
    nnd_geometry geometry;
    nnd_value *value = NULL;
    nnd_image *dst = NULL;
    if (!src) return NND_E_TYPE;
    nnd_rect rect = {(int32_t)nnd_params_int(p, "x"), (int32_t)nnd_params_int(p, "y"),
                     (int32_t)nnd_params_int(p, "width"), (int32_t)nnd_params_int(p, "height")};
    if (rect.width == 0) rect.width = src->width - rect.x;
    if (rect.height == 0) rect.height = src->height - rect.y;
    if (rect.width < 1 || rect.height < 1 || rect.x + rect.width > src->width ||
        rect.y + rect.height > src->height)
        return nnd_error_set(NND_E_SHAPE,
                             "the part at (%d, %d) of %d × %d pixels lies outside of the picture "
                             "of %d × %d",
                             rect.x, rect.y, rect.width, rect.height, src->width, src->height);
    NND_TRY(image_like(ctx, src, rect.width, rect.height, &value, &dst));
    NND_TRY(nnd_node_finish(ctx, nnd_image_crop(dst, src, rect, &geometry), value));
    return nnd_node_emit_geometry(ctx, 1, &geometry);
}

static const nnd_param crop_params[] = {
    NND_PARAM_INT("x", 0, 0, NND_IMAGE_MAX_SIDE, "px", "left edge"),
    NND_PARAM_INT("y", 0, 0, NND_IMAGE_MAX_SIDE, "px", "top edge"),
    NND_PARAM_INT("width", 0, 0, NND_IMAGE_MAX_SIDE, "px", "width; 0 = to the right edge"),
    NND_PARAM_INT("height", 0, 0, NND_IMAGE_MAX_SIDE, "px", "height; 0 = to the bottom"),
};
const nnd_node_type nnd_node_image_crop = {
    .struct_size = sizeof(nnd_node_type),
    .type = "image.crop",
    .version = 1,
    .category = "image/geometry",
    .title = "Crop",
    .text = "Cuts a rectangle out of a picture.",
    .inputs = NND_ARRAY(image_in),
    .outputs = NND_ARRAY(image_geometry_out),
    .params = NND_ARRAY(crop_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = crop_process,
};

/* ---- image.pad --------------------------------------------------------------------------- */

static nnd_status pad_process(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    const nnd_image *src = nnd_node_image(ctx, 0);
    double color[4];
    nnd_value *value = NULL;
    nnd_image *dst = NULL;
    if (!src) return NND_E_TYPE;
    int64_t left = nnd_params_int(p, "left"), top = nnd_params_int(p, "top");
    int64_t width = src->width + left + nnd_params_int(p, "right");
    int64_t height = src->height + top + nnd_params_int(p, "bottom");
    if (width > NND_IMAGE_MAX_SIDE || height > NND_IMAGE_MAX_SIDE)
        return nnd_error_set(NND_E_LIMIT,
                             "the padded picture would have more than %d pixels per side",
                             NND_IMAGE_MAX_SIDE);
    NND_TRY(nnd_node_levels(p, "color", src->format, color));
    NND_TRY(image_like(ctx, src, (int)width, (int)height, &value, &dst));
    nnd_border border = (nnd_border)nnd_params_enum(p, "border");
    return nnd_node_finish(ctx, nnd_image_pad(dst, src, (int)left, (int)top, border, color), value);
}

#define PAD_PARAM(name, about) NND_PARAM_INT(name, 0, 0, NND_IMAGE_MAX_SIDE, "px", about)
static const nnd_param pad_params[] = {
    PAD_PARAM("left", "pixels at the left"),
    PAD_PARAM("top", "pixels above"),
    PAD_PARAM("right", "pixels at the right"),
    PAD_PARAM("bottom", "pixels below"),
    NND_PARAM_ENUM("border", "constant", "constant|replicate|reflect|symmetric",
                   "what the new pixels show"),
    NND_PARAM_NUMBERS("color", "[0]", 0, 65535, "", "colour per channel for 'constant'"),
};
const nnd_node_type nnd_node_image_pad = {
    .struct_size = sizeof(nnd_node_type),
    .type = "image.pad",
    .version = 1,
    .category = "image/geometry",
    .title = "Pad",
    .text = "Adds pixels around a picture.",
    .inputs = NND_ARRAY(image_in),
    .outputs = NND_ARRAY(image_out),
    .params = NND_ARRAY(pad_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = pad_process,
};

/* ---- image.flip, image.rotate ------------------------------------------------------------ */

static nnd_status flip_process(nnd_ctx *ctx)
{
    static const nnd_flip flips[] = {NND_FLIP_HORIZONTAL, NND_FLIP_VERTICAL, NND_FLIP_BOTH};
    const nnd_image *src = nnd_node_image(ctx, 0);
    nnd_value *value = NULL;
    nnd_image *dst = NULL;
    if (!src) return NND_E_TYPE;
    nnd_flip flip = flips[nnd_params_enum(nnd_ctx_params(ctx), "axis")];
    NND_TRY(image_like(ctx, src, src->width, src->height, &value, &dst));
    return nnd_node_finish(ctx, nnd_image_flip(dst, src, flip), value);
}

static const nnd_param flip_params[] = {
    NND_PARAM_ENUM("axis", "horizontal", "horizontal|vertical|both", "left-right, up-down or both"),
};
const nnd_node_type nnd_node_image_flip = {
    .struct_size = sizeof(nnd_node_type),
    .type = "image.flip",
    .version = 1,
    .category = "image/geometry",
    .title = "Flip",
    .text = "Mirrors a picture.",
    .inputs = NND_ARRAY(image_in),
    .outputs = NND_ARRAY(image_out),
    .params = NND_ARRAY(flip_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = flip_process,
};

static nnd_status rotate_process(nnd_ctx *ctx)
{
    const nnd_image *src = nnd_node_image(ctx, 0);
    nnd_value *value = NULL;
    nnd_image *dst = NULL;
    if (!src) return NND_E_TYPE;
    int degrees = 90 * nnd_params_enum(nnd_ctx_params(ctx), "degrees");
    bool turned = degrees == 90 || degrees == 270;
    NND_TRY(image_like(ctx, src, turned ? src->height : src->width,
                       turned ? src->width : src->height, &value, &dst));
    return nnd_node_finish(ctx, nnd_image_rotate(dst, src, degrees), value);
}

static const nnd_param rotate_params[] = {
    NND_PARAM_ENUM("degrees", "90", "0|90|180|270", "clockwise"),
};
const nnd_node_type nnd_node_image_rotate = {
    .struct_size = sizeof(nnd_node_type),
    .type = "image.rotate",
    .version = 1,
    .category = "image/geometry",
    .title = "Rotate",
    .text = "Turns a picture by quarters, without loss.",
    .inputs = NND_ARRAY(image_in),
    .outputs = NND_ARRAY(image_out),
    .params = NND_ARRAY(rotate_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = rotate_process,
};

/* ---- image.convert ----------------------------------------------------------------------- */

static nnd_status convert_process(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    const nnd_image *src = nnd_node_image(ctx, 0);
    nnd_convert_options options = NND_CONVERT_OPTIONS_INIT;
    nnd_value *value = NULL;
    if (!src) return NND_E_TYPE;
    nnd_pixel_format format = nnd_pixel_format_from_name(nnd_params_text(p, "format"));
    const char *dtype_name = nnd_params_text(p, "dtype");
    nnd_dtype dtype =
        strcmp(dtype_name, "same") == 0 ? src->dtype : nnd_dtype_from_name(dtype_name);
    options.threads = nnd_ctx_threads(ctx);
    options.cancel = nnd_ctx_cancel(ctx);
    NND_TRY(nnd_ctx_alloc_image(ctx, 0, format, dtype, src->width, src->height, &value));
    return nnd_node_finish(ctx, nnd_image_convert(nnd_value_edit(value), src, &options), value);
}

static const nnd_param convert_params[] = {
    NND_PARAM_ENUM("format", "rgb", "rgb|bgr|gray|rgba|bgra|nv12|i420|yuyv", "pixel format"),
    NND_PARAM_ENUM("dtype", "same", "same|u8|u16|f32", "levels: 0…255, 0…65535 or 0…1"),
};
const nnd_node_type nnd_node_image_convert = {
    .struct_size = sizeof(nnd_node_type),
    .type = "image.convert",
    .version = 1,
    .category = "image/color",
    .title = "Convert",
    .text = "Changes a picture's pixel format and levels.",
    .inputs = NND_ARRAY(image_in),
    .outputs = NND_ARRAY(image_out),
    .params = NND_ARRAY(convert_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = convert_process,
};

/* ---- image.normalise --------------------------------------------------------------------- */

static nnd_status normalise_process(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    const nnd_image *src = nnd_node_image(ctx, 0);
    double mean[4] = {0}, std[4] = {1, 1, 1, 1};
    nnd_value *value = NULL;
    if (!src) return NND_E_TYPE;
    size_t channels = (size_t)nnd_pixel_format_channels(src->format);
    NND_TRY(nnd_node_numbers(p, "mean", mean, channels));
    NND_TRY(nnd_node_numbers(p, "std", std, channels));
    NND_TRY(nnd_ctx_alloc_image(ctx, 0, src->format, NND_F32, src->width, src->height, &value));
    nnd_status status =
        nnd_image_normalise(nnd_value_edit(value), src, nnd_params_float(p, "scale"), mean, std);
    return nnd_node_finish(ctx, status, value);
}

static const nnd_param normalise_params[] = {
    NND_PARAM_FLOAT("scale", 1.0 / 255, -1e6, 1e6, "", "factor before mean and std"),
    NND_PARAM_NUMBERS("mean", "[0]", 0, 0, "", "per channel, subtracted after scaling"),
    NND_PARAM_NUMBERS("std", "[1]", 0, 0, "", "per channel, divided by"),
};
const nnd_node_type nnd_node_image_normalise = {
    .struct_size = sizeof(nnd_node_type),
    .type = "image.normalise",
    .version = 1,
    .category = "image/color",
    .title = "Normalise",
    .text = "(level × scale − mean) ÷ std per channel, as an f32 picture.",
    .inputs = NND_ARRAY(image_in),
    .outputs = NND_ARRAY(image_out),
    .params = NND_ARRAY(normalise_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = normalise_process,
};

/* ---- image.blur -------------------------------------------------------------------------- */

static nnd_status blur_process(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    const nnd_image *src = nnd_node_image(ctx, 0);
    nnd_blur_options options = NND_BLUR_OPTIONS_INIT;
    nnd_value *value = NULL;
    nnd_image *dst = NULL;
    if (!src) return NND_E_TYPE;
    options.kind = (nnd_blur_kind)nnd_params_enum(p, "kind");
    options.kernel_width = options.kernel_height = (int)nnd_params_int(p, "size") | 1;
    options.sigma_x = options.sigma_y = nnd_params_float(p, "sigma");
    options.threads = nnd_ctx_threads(ctx);
    options.cancel = nnd_ctx_cancel(ctx);
    NND_TRY(image_like(ctx, src, src->width, src->height, &value, &dst));
    return nnd_node_finish(ctx, nnd_image_blur(dst, src, &options), value);
}

static const nnd_param blur_params[] = {
    NND_PARAM_ENUM("kind", "gaussian", "box|gaussian", "kernel"),
    NND_PARAM_INT("size", 5, 1, 255, "px",
                  "side of the kernel; even numbers count as the next odd"),
    NND_PARAM_FLOAT("sigma", 0, 0, 100, "px", "0 = from the size"),
};
const nnd_node_type nnd_node_image_blur = {
    .struct_size = sizeof(nnd_node_type),
    .type = "image.blur",
    .version = 1,
    .category = "image/filter",
    .title = "Blur",
    .text = "Softens a picture.",
    .inputs = NND_ARRAY(image_in),
    .outputs = NND_ARRAY(image_out),
    .params = NND_ARRAY(blur_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = blur_process,
};

/* ---- image.threshold --------------------------------------------------------------------- */

static nnd_status threshold_gray(nnd_ctx *ctx, const nnd_image *gray)
{
    static const nnd_threshold_kind kinds[] = {NND_THRESHOLD_FIXED, NND_THRESHOLD_OTSU,
                                               NND_THRESHOLD_LOCAL};
    const nnd_params *p = nnd_ctx_params(ctx);
    nnd_threshold_options options = NND_THRESHOLD_OPTIONS_INIT;
    nnd_value *value = NULL;
    options.kind = kinds[nnd_params_enum(p, "kind")];
    options.invert = nnd_params_enum(p, "foreground") == 0;
    options.value = (int)nnd_params_int(p, "value");
    options.block = (int)nnd_params_int(p, "window") | 1;
    options.offset = nnd_params_float(p, "offset");
    NND_TRY(nnd_ctx_alloc_image(ctx, 0, NND_PIX_GRAY, NND_U8, gray->width, gray->height, &value));
    return nnd_node_finish(ctx, nnd_image_threshold(nnd_value_edit(value), gray, &options, NULL),
                           value);
}

static nnd_status threshold_process(nnd_ctx *ctx)
{
    const nnd_image *src = nnd_node_image(ctx, 0);
    nnd_convert_options options = NND_CONVERT_OPTIONS_INIT;
    nnd_value *gray = NULL;
    if (!src) return NND_E_TYPE;
    if (src->format == NND_PIX_GRAY && src->dtype == NND_U8) return threshold_gray(ctx, src);
    options.threads = nnd_ctx_threads(ctx);
    options.cancel = nnd_ctx_cancel(ctx);
    NND_TRY(nnd_value_new_image(NND_PIX_GRAY, NND_U8, src->width, src->height, &gray));
    nnd_status status = nnd_image_convert(nnd_value_edit(gray), src, &options);
    if (status == NND_OK) status = threshold_gray(ctx, nnd_value_image(gray));
    nnd_value_unref(gray);
    return status;
}

static const nnd_param threshold_params[] = {
    NND_PARAM_ENUM("kind", "adaptive", "fixed|otsu|adaptive", "how the threshold is found"),
    NND_PARAM_ENUM("foreground", "dark", "dark|light", "which pixels become 255"),
    NND_PARAM_INT("value", 127, 0, 255, "", "threshold of 'fixed'"),
    NND_PARAM_INT("window", 61, 3, 255, "px", "side of the neighbourhood of 'adaptive'"),
    NND_PARAM_FLOAT("offset", 18, -255, 255, "",
                    "by how much 'adaptive' wants pixels to differ from the mean around them"),
};
const nnd_node_type nnd_node_image_threshold = {
    .struct_size = sizeof(nnd_node_type),
    .type = "image.threshold",
    .version = 1,
    .category = "image/filter",
    .title = "Threshold",
    .text = "Makes a picture of two levels: 255 for the foreground, 0 for the rest.",
    .inputs = NND_ARRAY(image_in),
    .outputs = NND_ARRAY(image_out),
    .params = NND_ARRAY(threshold_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = threshold_process,
};
