/* Choosing among boxes, and boxes around connected pixels. */
#include "nodes/nodes_internal.h"

#include <stdlib.h>
#include <string.h>

static const nnd_port detections_in[] = {NND_PORT("detections", "detections", "boxes")};
static const nnd_port detections_out[] = {NND_PORT("detections", "detections", "the boxes kept")};

/* ---- detect.nms -------------------------------------------------------------------------- */

static nnd_status nms_process(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    const nnd_detections *in = nnd_node_detections(ctx, 0);
    nnd_value *value = NULL;
    if (!in) return NND_E_TYPE;
    NND_TRY(nnd_detections_nms(in, (float)nnd_params_float(p, "iou"),
                               nnd_params_bool(p, "class_aware"), nnd_params_int(p, "max"),
                               &value));
    return nnd_ctx_emit(ctx, 0, value);
}

static const nnd_param nms_params[] = {
    NND_PARAM_FLOAT("iou", 0.45, 0, 1, "", "boxes that overlap a better one by more are dropped"),
    NND_PARAM_BOOL("class_aware", 1, "compare boxes of one class only"),
    NND_PARAM_INT("max", 0, 0, 1000000, "", "most boxes kept; 0 = all"),
};
const nnd_node_type nnd_node_detect_nms = {
    .struct_size = sizeof(nnd_node_type),
    .type = "detect.nms",
    .version = 1,
    .category = "detect",
    .title = "Non-maximum suppression",
    .text = "Keeps the best of boxes that lie on top of each other.",
    .inputs = NND_ARRAY(detections_in),
    .outputs = NND_ARRAY(detections_out),
    .params = NND_ARRAY(nms_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = nms_process,
};

/* ---- detect.filter ----------------------------------------------------------------------- */

static bool label_is_wanted(const nnd_params *p, const nnd_detections *all, const nnd_detection *d)
{
    size_t count = nnd_params_string_count(p, "labels");
    for (size_t i = 0; i < count; i++)
        if (d->label >= 0 && (size_t)d->label < all->label_count &&
            strcmp(all->labels[d->label], nnd_params_string_at(p, "labels", i)) == 0)
            return true;
    return count == 0;
}

static bool is_wanted(const nnd_params *p, const nnd_detections *all, const nnd_detection *d)
{
    double side = nnd_params_float(p, "min_side");
    return d->score > nnd_params_float(p, "score") && d->x2 - d->x1 >= side &&
           d->y2 - d->y1 >= side && label_is_wanted(p, all, d);
}

static nnd_status filter_process(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    const nnd_detections *in = nnd_node_detections(ctx, 0);
    nnd_value *value = NULL;
    if (!in) return NND_E_TYPE;
    size_t kept = 0;
    for (size_t i = 0; i < in->count; i++)
        kept += is_wanted(p, in, &in->items[i]);
    NND_TRY(
        nnd_value_new_detections(kept, in->points_per_item, in->labels, in->label_count, &value));
    nnd_detections *out = nnd_value_edit(value);
    size_t points = (size_t)in->points_per_item;
    out->source_width = in->source_width;
    out->source_height = in->source_height;
    kept = 0;
    for (size_t i = 0; i < in->count; i++) {
        if (!is_wanted(p, in, &in->items[i])) continue;
        out->items[kept] = in->items[i];
        if (points)
            memcpy(out->points + kept * points, in->points + i * points,
                   points * sizeof *in->points);
        kept++;
    }
    return nnd_ctx_emit(ctx, 0, value);
}

static const nnd_param filter_params[] = {
    NND_PARAM_FLOAT("score", 0, -1, 1, "", "keep boxes that score more"),
    NND_PARAM_FLOAT("min_side", 0, 0, NND_IMAGE_MAX_SIDE, "px", "least width and height"),
    NND_PARAM_STRINGS("labels", "[]", "class names to keep; none = all"),
};
const nnd_node_type nnd_node_detect_filter = {
    .struct_size = sizeof(nnd_node_type),
    .type = "detect.filter",
    .version = 1,
    .category = "detect",
    .title = "Filter boxes",
    .text = "Keeps boxes by score, size and class.",
    .inputs = NND_ARRAY(detections_in),
    .outputs = NND_ARRAY(detections_out),
    .params = NND_ARRAY(filter_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = filter_process,
};

/* ---- detect.components ------------------------------------------------------------------- */

typedef struct box_limits {
    int64_t min_width, max_width, min_height, max_height; /* px */
    double min_aspect, max_aspect;                        /* width / height */
    double min_fill, max_fill;                            /* pixels / (width · height) */
} box_limits;

static double fill_of(const nnd_component *c)
{
    return (double)c->area / ((double)c->box.width * c->box.height);
}

static bool within(const box_limits *l, const nnd_component *c)
{
    double aspect = (double)c->box.width / c->box.height, fill = fill_of(c);
    return c->box.width >= l->min_width && c->box.width <= l->max_width &&
           c->box.height >= l->min_height && c->box.height <= l->max_height &&
           aspect >= l->min_aspect && aspect <= l->max_aspect && fill >= l->min_fill &&
           fill <= l->max_fill;
}

/* Top to bottom, then left to right. */
static int by_place(const void *a, const void *b)
{
    const nnd_component *x = a, *y = b;
    if (x->box.y != y->box.y) return x->box.y < y->box.y ? -1 : 1;
    if (x->box.x != y->box.x) return x->box.x < y->box.x ? -1 : 1;
    int bottom = x->box.y + x->box.height - y->box.y - y->box.height;
    return bottom ? bottom : x->box.width - y->box.width;
}

static nnd_status boxes_of(const nnd_image *image, nnd_component *list, size_t count,
                           nnd_value **out)
{
    if (count) qsort(list, count, sizeof *list, by_place);
    NND_TRY(nnd_value_new_detections(count, 0, NULL, 0, out));
    nnd_detections *d = nnd_value_edit(*out);
    d->source_width = image->width;
    d->source_height = image->height;
    for (size_t i = 0; i < count; i++) {
        const nnd_rect *box = &list[i].box;
        d->items[i].x1 = (float)box->x;
        d->items[i].y1 = (float)box->y;
        d->items[i].x2 = (float)(box->x + box->width);
        d->items[i].y2 = (float)(box->y + box->height);
        d->items[i].score = (float)fill_of(&list[i]);
    }
    return NND_OK;
}

static nnd_status components_process(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    const nnd_image *image = nnd_node_image(ctx, 0);
    nnd_components_options options = NND_COMPONENTS_OPTIONS_INIT;
    nnd_component *list = NULL;
    size_t count = 0, kept = 0;
    nnd_value *value = NULL;
    if (!image) return NND_E_TYPE;
    options.connectivity = nnd_params_enum(p, "connectivity") == 0 ? 8 : 4;
    const box_limits limits = {
        nnd_params_int(p, "min_width"),    nnd_params_int(p, "max_width"),
        nnd_params_int(p, "min_height"),   nnd_params_int(p, "max_height"),
        nnd_params_float(p, "min_aspect"), nnd_params_float(p, "max_aspect"),
        nnd_params_float(p, "min_fill"),   nnd_params_float(p, "max_fill"),
    };
    NND_TRY(nnd_image_components(image, &options, NULL, &list, &count));
    for (size_t i = 0; i < count; i++)
        if (within(&limits, &list[i])) list[kept++] = list[i];
    nnd_status status = boxes_of(image, list, kept, &value);
    nnd_free(list);
    NND_TRY(status);
    return nnd_ctx_emit(ctx, 0, value);
}

static const nnd_port components_in[] = {
    NND_PORT("image", "image", "gray picture; pixels that are not 0 count (see image.threshold)"),
};
static const nnd_port components_out[] = {
    NND_PORT("detections", "detections", "a box per group, sorted by rows; score = filled part"),
};
#define SIDE(name, def, about) NND_PARAM_INT(name, def, 1, NND_IMAGE_MAX_SIDE, "px", about)
static const nnd_param components_params[] = {
    NND_PARAM_ENUM("connectivity", "8", "8|4",
                   "whether pixels that touch by a corner belong together"),
    SIDE("min_width", 3, "least width"),
    SIDE("max_width", 160, "largest width"),
    SIDE("min_height", 10, "least height"),
    SIDE("max_height", 160, "largest height"),
    NND_PARAM_FLOAT("min_aspect", 0.1, 0, 1e5, "", "least width ÷ height"),
    NND_PARAM_FLOAT("max_aspect", 1.2, 0, 1e5, "", "largest width ÷ height"),
    NND_PARAM_FLOAT("min_fill", 0.12, 0, 1, "", "least part of the box that is filled"),
    NND_PARAM_FLOAT("max_fill", 0.95, 0, 1, "", "largest part of the box that is filled"),
};
const nnd_node_type nnd_node_detect_components = {
    .struct_size = sizeof(nnd_node_type),
    .type = "detect.components",
    .version = 1,
    .category = "detect",
    .title = "Connected pixels",
    .text = "Boxes around groups of connected pixels, chosen by size, ratio and filled part.",
    .inputs = NND_ARRAY(components_in),
    .outputs = NND_ARRAY(components_out),
    .params = NND_ARRAY(components_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = components_process,
};
