/* Warps, and the crops of boxes. */
#include "nodes/nodes_internal.h"

#include <math.h>

static const nnd_port image_in[] = {NND_PORT("image", "image", "the picture")};
static const nnd_port warp_out[] = {
    NND_PORT("image", "image", "the result"),
    NND_PORT("geometry", "geometry", "where the result lies in the picture"),
};
static const nnd_port perspective_out[] = {NND_PORT("image", "image", "the result")};

#define WARP_PARAMS                                                                                \
    NND_PARAM_INT("width", 0, 0, NND_IMAGE_MAX_SIDE, "px", "0 = the picture's"),                   \
        NND_PARAM_INT("height", 0, 0, NND_IMAGE_MAX_SIDE, "px", "0 = the picture's"),              \
        NND_PARAM_ENUM("filter", "bilinear", "nearest|bilinear", "interpolation"),                 \
        NND_PARAM_ENUM("border", "constant", "constant|replicate",                                 \
                       "what is outside of the picture"),                                          \
        NND_PARAM_NUMBERS("color", "[0]", 0, 65535, "", "colour per channel for 'constant'")

static nnd_status warp_options(nnd_ctx *ctx, const nnd_image *src, nnd_warp_options *options)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    options->filter = nnd_params_enum(p, "filter") == 0 ? NND_FILTER_NEAREST : NND_FILTER_BILINEAR;
    options->border = (nnd_border)nnd_params_enum(p, "border");
    options->threads = nnd_ctx_threads(ctx);
    options->cancel = nnd_ctx_cancel(ctx);
    return nnd_node_levels(p, "color", src->format, options->value);
}

static nnd_status warp_target(nnd_ctx *ctx, const nnd_image *src, nnd_value **out)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    int width = (int)nnd_params_int(p, "width"), height = (int)nnd_params_int(p, "height");
    return nnd_ctx_alloc_image(ctx, 0, src->format, src->dtype, width ? width : src->width,
                               height ? height : src->height, out);
}

static nnd_status matrix_numbers(const nnd_params *p, const char *name, double *out, size_t count)
{
    size_t given = nnd_params_numbers(p, name, out, count);
    if (given == count) return NND_OK;
    return nnd_error_set(NND_E_SHAPE, "parameter '%s' has %zu numbers; %zu are wanted", name, given,
                         count);
}

/* ---- image.warp_affine ------------------------------------------------------------------- */

static nnd_status affine_process(nnd_ctx *ctx)
{
    const nnd_image *src = nnd_node_image(ctx, 0);
    nnd_warp_options options = NND_WARP_OPTIONS_INIT;
    nnd_geometry geometry;
    double m[6];
    nnd_value *value = NULL;
    if (!src) return NND_E_TYPE;
    NND_TRY(matrix_numbers(nnd_ctx_params(ctx), "matrix", m, 6));
    NND_TRY(warp_options(ctx, src, &options));
    options.inverse = nnd_params_bool(nnd_ctx_params(ctx), "inverse");
    NND_TRY(warp_target(ctx, src, &value));
    NND_TRY(nnd_node_finish(
        ctx, nnd_image_warp_affine(nnd_value_edit(value), src, m, &options, &geometry), value));
    return nnd_node_emit_geometry(ctx, 1, &geometry);
}

static const nnd_param affine_params[] = {
    NND_PARAM_NUMBERS("matrix", "[1,0,0,0,1,0]", 0, 0, "", "2 × 3, row by row: picture → result"),
    NND_PARAM_BOOL("inverse", 0, "the matrix leads from the result to the picture"),
    WARP_PARAMS,
};
const nnd_node_type nnd_node_image_warp_affine = {
    .struct_size = sizeof(nnd_node_type),
    .type = "image.warp_affine",
    .version = 1,
    .category = "image/geometry",
    .title = "Affine warp",
    .text =
        "Turns, scales, shears and shifts a picture by a 2 × 3 matrix (pixel edges on integers).",
    .inputs = NND_ARRAY(image_in),
    .outputs = NND_ARRAY(warp_out),
    .params = NND_ARRAY(affine_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = affine_process,
};

/* ---- image.warp_perspective -------------------------------------------------------------- */

static nnd_status perspective_process(nnd_ctx *ctx)
{
    const nnd_image *src = nnd_node_image(ctx, 0);
    nnd_warp_options options = NND_WARP_OPTIONS_INIT;
    double corners[8], m[9];
    nnd_value *value = NULL;
    if (!src) return NND_E_TYPE;
    NND_TRY(matrix_numbers(nnd_ctx_params(ctx), "corners", corners, 8));
    NND_TRY(warp_options(ctx, src, &options));
    NND_TRY(warp_target(ctx, src, &value));
    nnd_image *dst = nnd_value_edit(value);
    double w = dst->width, h = dst->height;
    const double target[8] = {0, 0, w, 0, w, h, 0, h};
    nnd_status status = nnd_perspective_from_points(corners, target, m);
    if (status == NND_OK) status = nnd_image_warp_perspective(dst, src, m, &options);
    return nnd_node_finish(ctx, status, value);
}

static const nnd_param perspective_params[] = {
    NND_PARAM_NUMBERS("corners", "[0,0,1,0,1,1,0,1]", 0, 0, "px",
                      "x, y of the four corners in the picture, clockwise from the top left"),
    WARP_PARAMS,
};
const nnd_node_type nnd_node_image_warp_perspective = {
    .struct_size = sizeof(nnd_node_type),
    .type = "image.warp_perspective",
    .version = 1,
    .category = "image/geometry",
    .title = "Rectify",
    .text = "Makes a rectangle of the quadrilateral that four corners name: a page, a plate.",
    .inputs = NND_ARRAY(image_in),
    .outputs = NND_ARRAY(perspective_out),
    .params = NND_ARRAY(perspective_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = perspective_process,
};

/* ---- image.crop_boxes -------------------------------------------------------------------- */

typedef struct crop_plan {
    int width, height; /* of each crop */
    double scale;      /* of the box */
    bool square;
} crop_plan;

/* The part of the picture that one box asks for. */
static void box_region(const nnd_detection *box, const crop_plan *plan, double region[4])
{
    double cx = (box->x1 + box->x2) / 2.0, cy = (box->y1 + box->y2) / 2.0;
    double w = (double)box->x2 - box->x1, h = (double)box->y2 - box->y1;
    if (plan->square) w = h = w > h ? w : h;
    w = fmax(w, 1) * plan->scale; /* what a box without area stands for is a pixel */
    h = fmax(h, 1) * plan->scale;
    region[0] = cx - w / 2;
    region[1] = cy - h / 2;
    region[2] = w;
    region[3] = h;
}

/* Samples the region n × n times per pixel and averages, so that shrinking does not alias. Beyond
   the picture its edge repeats. */
static nnd_status crop_region(const nnd_image *src, const double region[4], const crop_plan *plan,
                              const nnd_cancel *cancel, nnd_value **out)
{
    nnd_warp_options warp = NND_WARP_OPTIONS_INIT;
    nnd_resize_options mean = NND_RESIZE_OPTIONS_INIT;
    nnd_value *fine = NULL;
    double over = fmax(region[2] / plan->width, region[3] / plan->height);
    int n = over <= 1 ? 1 : over >= 8 ? 8 : (int)ceil(over);
    int width = plan->width * n, height = plan->height * n;
    const double m[6] = {region[2] / width, 0, region[0], 0, region[3] / height, region[1]};
    warp.inverse = true;
    warp.border = NND_BORDER_REPLICATE;
    warp.cancel = cancel;
    mean.filter = NND_FILTER_AREA;
    NND_TRY(nnd_value_new_image(src->format, src->dtype, width, height, &fine));
    nnd_status status = nnd_image_warp_affine(nnd_value_edit(fine), src, m, &warp, NULL);
    if (status == NND_OK && n == 1) {
        *out = fine;
        return NND_OK;
    }
    if (status == NND_OK)
        status = nnd_value_new_image(src->format, src->dtype, plan->width, plan->height, out);
    if (status == NND_OK)
        status = nnd_image_resize(nnd_value_edit(*out), nnd_value_image(fine), &mean);
    nnd_value_unref(fine);
    return status;
}

static nnd_status crop_all(nnd_ctx *ctx, const nnd_image *src, const nnd_detections *boxes,
                           const crop_plan *plan, nnd_value **crops)
{
    for (size_t i = 0; i < boxes->count; i++) {
        double region[4];
        box_region(&boxes->items[i], plan, region);
        if (!isfinite(region[0] + region[1]) || !isfinite(region[2] + region[3]))
            return nnd_error_set(NND_E_SHAPE, "the coordinates of box %zu are no numbers", i);
        NND_TRY(crop_region(src, region, plan, nnd_ctx_cancel(ctx), &crops[i]));
    }
    return NND_OK;
}

static nnd_status crop_boxes_process(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    const nnd_image *src = nnd_node_image(ctx, 0);
    const nnd_detections *boxes = nnd_node_detections(ctx, 1);
    nnd_value *list = NULL;
    if (!src || !boxes) return NND_E_TYPE;
    crop_plan plan = {(int)nnd_params_int(p, "width"), (int)nnd_params_int(p, "height"),
                      nnd_params_float(p, "scale"), nnd_params_bool(p, "square")};
    nnd_value **crops = nnd_calloc(boxes->count + 1, sizeof *crops);
    if (!crops) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for crops");
    nnd_status status = crop_all(ctx, src, boxes, &plan, crops);
    if (status == NND_OK) status = nnd_value_new_list(crops, boxes->count, &list);
    for (size_t i = 0; i < boxes->count; i++)
        nnd_value_unref(crops[i]);
    nnd_free(crops);
    return nnd_node_finish(ctx, status, list);
}

static const nnd_port crop_boxes_in[] = {
    NND_PORT("image", "image", "the picture"),
    NND_PORT("detections", "detections", "what to cut out"),
};
static const nnd_port crop_boxes_out[] = {
    NND_PORT("crops", "list<image>", "one picture per box, in their order"),
};
static const nnd_param crop_boxes_params[] = {
    NND_PARAM_INT("width", 32, 1, 4096, "px", "width of each crop"),
    NND_PARAM_INT("height", 32, 1, 4096, "px", "height of each crop"),
    NND_PARAM_FLOAT("scale", 1, 0.01, 100, "", "size of the part relative to the box"),
    NND_PARAM_BOOL("square", 0, "take a square with the box's longer side"),
};
const nnd_node_type nnd_node_image_crop_boxes = {
    .struct_size = sizeof(nnd_node_type),
    .type = "image.crop_boxes",
    .version = 1,
    .category = "image/geometry",
    .title = "Crop boxes",
    .text =
        "Cuts each box out of the picture and brings it to one size, averaging when it shrinks.",
    .inputs = NND_ARRAY(crop_boxes_in),
    .outputs = NND_ARRAY(crop_boxes_out),
    .params = NND_ARRAY(crop_boxes_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = crop_boxes_process,
};
