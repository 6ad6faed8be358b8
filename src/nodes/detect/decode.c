/* From the tensors of detection models to boxes of the picture. */
#include "nodes/nodes_internal.h"

#include <string.h>

/* Options that all decoders share; geometry comes from the optional input `geometry_port`. */
static void common_options(nnd_ctx *ctx, size_t geometry_port, nnd_decode_boxes_options *options)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    const nnd_node_labels *labels = nnd_ctx_prepared(ctx);
    options->score = (float)nnd_params_float(p, "score");
    options->max_candidates = nnd_params_int(p, "max_candidates");
    options->geometry = nnd_node_geometry(ctx, geometry_port);
    options->width = (int32_t)nnd_params_int(p, "width");
    options->height = (int32_t)nnd_params_int(p, "height");
    if (labels) {
        options->labels = (const char *const *)labels->names;
        options->label_count = labels->count;
    }
}

#define GEOMETRY_PORT                                                                              \
    NND_PORT_OPT("geometry", "geometry",                                                           \
                 "where the model's picture lies in the source; without "                          \
                 "it boxes are those of the model's picture")
#define COMMON_PARAMS(default_score)                                                               \
    NND_PARAM_FLOAT("score", default_score, 0, 1, "", "keep boxes that score more"),               \
        NND_PARAM_INT("max_candidates", 0, 0, 1000000, "", "best boxes kept; 0 = all"),            \
        NND_PARAM_INT("width", 0, 0, NND_IMAGE_MAX_SIDE, "px",                                     \
                      "width of the model's picture when there is no geometry"),                   \
        NND_PARAM_INT("height", 0, 0, NND_IMAGE_MAX_SIDE, "px",                                    \
                      "height of the model's picture when there is no geometry"),                  \
    {                                                                                              \
        "labels", NND_PARAM_KIND_FILE, NND_PARAM_STATIC, 0, "", 0, 0, NULL, "",                    \
            "text file with a class name per line", NULL                                           \
    }

static const nnd_port detections_out[] = {
    NND_PORT("detections", "detections", "boxes in pixels of the source picture"),
};

/* ---- detect.decode_ssd ------------------------------------------------------------------- */

static nnd_status ssd_process(nnd_ctx *ctx)
{
    const nnd_tensor *scores = nnd_node_tensor(ctx, 0), *boxes = nnd_node_tensor(ctx, 1);
    nnd_decode_boxes_options options = NND_DECODE_BOXES_OPTIONS_INIT;
    nnd_value *value = NULL;
    if (!scores || !boxes) return NND_E_TYPE;
    common_options(ctx, 2, &options);
    int background = (int)nnd_params_int(nnd_ctx_params(ctx), "background");
    NND_TRY(nnd_decode_ssd(scores, boxes, background, &options, &value));
    return nnd_ctx_emit(ctx, 0, value);
}

static const nnd_port ssd_in[] = {
    NND_PORT("scores", "tensor", "f32[1,N,classes]"),
    NND_PORT("boxes", "tensor", "f32[1,N,4], x1 y1 x2 y2 in 0…1"),
    GEOMETRY_PORT,
};
static const nnd_param ssd_params[] = {
    COMMON_PARAMS(0.7),
    NND_PARAM_INT("background", 0, -1, 10000, "", "class that means nothing; −1 = none"),
};
const nnd_node_type nnd_node_detect_decode_ssd = {
    .struct_size = sizeof(nnd_node_type),
    .type = "detect.decode_ssd",
    .version = 1,
    .category = "detect",
    .title = "Decode SSD",
    .text = "Boxes of single-shot detectors whose graph has applied its priors (UltraFace).",
    .inputs = NND_ARRAY(ssd_in),
    .outputs = NND_ARRAY(detections_out),
    .params = NND_ARRAY(ssd_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .prepare = nnd_node_labels_prepare,
    .release = nnd_node_labels_release,
    .process = ssd_process,
};

/* ---- detect.decode_yunet ----------------------------------------------------------------- */

enum { YUNET_STRIDES = 3 };

static nnd_status yunet_process(nnd_ctx *ctx)
{
    static const int strides[YUNET_STRIDES] = {8, 16, 32};
    const nnd_tensor *t[4][YUNET_STRIDES];
    nnd_decode_boxes_options options = NND_DECODE_BOXES_OPTIONS_INIT;
    nnd_value *value = NULL;
    for (size_t kind = 0; kind < 4; kind++) {
        for (size_t s = 0; s < YUNET_STRIDES; s++) {
            t[kind][s] = nnd_node_tensor(ctx, kind * YUNET_STRIDES + s);
            if (!t[kind][s]) return NND_E_TYPE;
        }
    }
    common_options(ctx, 12, &options);
    NND_TRY(nnd_decode_yunet(t[0], t[1], t[2], t[3], strides, YUNET_STRIDES, &options, &value));
    return nnd_ctx_emit(ctx, 0, value);
}

static const nnd_port yunet_in[] = {
    NND_PORT("cls_8", "tensor", "f32[1,N,1], class scores at stride 8"),
    NND_PORT("cls_16", "tensor", "class scores at stride 16"),
    NND_PORT("cls_32", "tensor", "class scores at stride 32"),
    NND_PORT("obj_8", "tensor", "f32[1,N,1], objectness at stride 8"),
    NND_PORT("obj_16", "tensor", "objectness at stride 16"),
    NND_PORT("obj_32", "tensor", "objectness at stride 32"),
    NND_PORT("bbox_8", "tensor", "f32[1,N,4], boxes at stride 8"),
    NND_PORT("bbox_16", "tensor", "boxes at stride 16"),
    NND_PORT("bbox_32", "tensor", "boxes at stride 32"),
    NND_PORT("kps_8", "tensor", "f32[1,N,10], five points at stride 8"),
    NND_PORT("kps_16", "tensor", "five points at stride 16"),
    NND_PORT("kps_32", "tensor", "five points at stride 32"),
    GEOMETRY_PORT,
};
static const nnd_param yunet_params[] = {COMMON_PARAMS(0.6)};
const nnd_node_type nnd_node_detect_decode_yunet = {
    .struct_size = sizeof(nnd_node_type),
    .type = "detect.decode_yunet",
    .version = 1,
    .category = "detect",
    .title = "Decode YuNet",
    .text = "Faces with five points (eyes, nose, corners of the mouth) from YuNet's outputs.",
    .inputs = NND_ARRAY(yunet_in),
    .outputs = NND_ARRAY(detections_out),
    .params = NND_ARRAY(yunet_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .prepare = nnd_node_labels_prepare,
    .release = nnd_node_labels_release,
    .process = yunet_process,
};

/* ---- detect.decode_yolox ----------------------------------------------------------------- */

enum { MAX_STRIDES = 8 };

static nnd_status yolox_process(nnd_ctx *ctx)
{
    const nnd_tensor *output = nnd_node_tensor(ctx, 0);
    nnd_decode_boxes_options options = NND_DECODE_BOXES_OPTIONS_INIT;
    double numbers[MAX_STRIDES];
    int strides[MAX_STRIDES];
    nnd_value *value = NULL;
    if (!output) return NND_E_TYPE;
    size_t count = nnd_params_numbers(nnd_ctx_params(ctx), "strides", numbers, MAX_STRIDES);
    if (count < 1 || count > MAX_STRIDES)
        return nnd_error_set(NND_E_SHAPE, "parameter 'strides' takes 1 to %d numbers", MAX_STRIDES);
    for (size_t i = 0; i < count; i++)
        strides[i] = (int)numbers[i];
    common_options(ctx, 1, &options);
    NND_TRY(nnd_decode_yolox(output, strides, count, &options, &value));
    return nnd_ctx_emit(ctx, 0, value);
}

static const nnd_port yolox_in[] = {
    NND_PORT("output", "tensor", "f32[1,N,5+classes]"),
    GEOMETRY_PORT,
};
static const nnd_param yolox_params[] = {
    COMMON_PARAMS(0.35),
    NND_PARAM_NUMBERS("strides", "[8,16,32]", 1, 1024, "px", "pixels per grid cell, per grid"),
};
const nnd_node_type nnd_node_detect_decode_yolox = {
    .struct_size = sizeof(nnd_node_type),
    .type = "detect.decode_yolox",
    .version = 1,
    .category = "detect",
    .title = "Decode YOLOX",
    .text = "Boxes and classes from YOLOX's raw output (grids of several strides in one tensor).",
    .inputs = NND_ARRAY(yolox_in),
    .outputs = NND_ARRAY(detections_out),
    .params = NND_ARRAY(yolox_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .prepare = nnd_node_labels_prepare,
    .release = nnd_node_labels_release,
    .process = yolox_process,
};
