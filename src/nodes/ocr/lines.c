/* ocr.lines: where the lines of printed text are, and each as a line reader wants it; ocr.line: a
   picture of one line. The rules are those of tools/train/ocr/README.md, sections 3 to 7. */
#include "nodes/nodes_internal.h"

#include "ops/text/text.h"

#define MAX_WIDTH                                                                                  \
    NND_PARAM_INT("max_width", 8192, 8, 1 << 20, "", "most columns of a line's tensor")

static nnd_text_lines_options options_of(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    nnd_text_lines_options o = NND_TEXT_LINES_OPTIONS_INIT;
    o.min_height = (int)nnd_params_int(p, "min_height");
    o.max_height = (int)nnd_params_int(p, "max_height");
    o.min_line_height = (int)nnd_params_int(p, "min_line_height");
    o.line_gap = nnd_params_float(p, "line_gap");
    o.line_overlap = nnd_params_float(p, "line_overlap");
    o.line_ratio = nnd_params_float(p, "line_ratio");
    o.cancel = nnd_ctx_cancel(ctx);
    return o;
}

static nnd_status emit_boxes(nnd_ctx *ctx, const nnd_image *image, const nnd_text_line *lines,
                             size_t count)
{
    nnd_value *value = NULL;
    NND_TRY(nnd_value_new_detections(count, 0, NULL, 0, &value));
    nnd_detections *d = nnd_value_edit(value);
    d->source_width = image->width;
    d->source_height = image->height;
    for (size_t i = 0; i < count; i++) {
        d->items[i].x1 = (float)lines[i].x0;
        d->items[i].y1 = (float)lines[i].y0;
        d->items[i].x2 = (float)lines[i].x1;
        d->items[i].y2 = (float)lines[i].y1;
        d->items[i].score = 1;
    }
    return nnd_ctx_emit(ctx, 0, value);
}

static nnd_status emit_tensors(nnd_ctx *ctx, const nnd_image *gray, const nnd_text_line *lines,
                               size_t count)
{
    const int64_t widest = nnd_params_int(nnd_ctx_params(ctx), "max_width");
    nnd_value *list = NULL, **tensors = nnd_calloc(count + 1, sizeof *tensors);
    if (!tensors) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for lines of text");
    nnd_status status = NND_OK;
    for (size_t i = 0; i < count && status == NND_OK; i++) {
        status = nnd_cancel_check(nnd_ctx_cancel(ctx));
        if (status == NND_OK)
            status = nnd_text_line_to_tensor(gray, &lines[i], widest, &tensors[i]);
    }
    if (status == NND_OK) status = nnd_value_new_list(tensors, count, &list);
    for (size_t i = 0; i < count; i++)
        nnd_value_unref(tensors[i]);
    nnd_free(tensors);
    NND_TRY(status);
    return nnd_ctx_emit(ctx, 1, list);
}

/* The picture on a port as gray u8: itself when it is that already. */
static nnd_status gray_of(nnd_ctx *ctx, size_t port, const nnd_image *picture, nnd_value **out)
{
    if (picture->format == NND_PIX_GRAY && picture->dtype == NND_U8) {
        *out = nnd_value_ref(nnd_ctx_input(ctx, port));
        return NND_OK;
    }
    NND_TRY(nnd_value_new_image(NND_PIX_GRAY, NND_U8, picture->width, picture->height, out));
    nnd_status status = nnd_image_convert(nnd_value_edit(*out), picture, NULL);
    if (status != NND_OK) nnd_value_unref(*out);
    return status;
}

static nnd_status lines_process(nnd_ctx *ctx)
{
    const nnd_image *ink = nnd_node_image(ctx, 0), *picture = nnd_node_image(ctx, 1);
    const nnd_components_options every = NND_COMPONENTS_OPTIONS_INIT;
    const nnd_text_lines_options options = options_of(ctx);
    nnd_component *components = NULL;
    nnd_text_line *lines = NULL;
    nnd_value *gray = NULL;
    size_t component_count = 0, count = 0;
    if (!ink || !picture) return NND_E_TYPE;
    if (ink->width != picture->width || ink->height != picture->height)
        return nnd_error_set(NND_E_SHAPE, "the ink is %d × %d, the picture %d × %d", ink->width,
                             ink->height, picture->width, picture->height);
    NND_TRY(nnd_image_components(ink, &every, NULL, &components, &component_count));
    nnd_status status = nnd_text_find_lines(components, component_count, &options, &lines, &count);
    nnd_free(components);
    NND_TRY(status);
    status = gray_of(ctx, 1, picture, &gray);
    if (status == NND_OK) {
        status = emit_boxes(ctx, ink, lines, count);
        if (status == NND_OK) status = emit_tensors(ctx, nnd_value_image(gray), lines, count);
        nnd_value_unref(gray);
    }
    nnd_free(lines);
    return status;
}

static const nnd_port lines_in[] = {
    NND_PORT("ink", "image", "gray picture; pixels that are not 0 are ink (see image.threshold)"),
    NND_PORT("image", "image", "the picture that the ink was found in"),
};
static const nnd_port lines_out[] = {
    NND_PORT("detections", "detections", "a box per line, in reading order"),
    NND_PORT("lines", "list<tensor>", "each line f32[1,1,32,W], straightened and normalised"),
};
static const nnd_param lines_params[] = {
    NND_PARAM_INT("min_height", 6, 1, NND_IMAGE_MAX_SIDE, "px", "least height of a letter"),
    NND_PARAM_INT("max_height", 160, 1, NND_IMAGE_MAX_SIDE, "px", "largest height of a letter"),
    NND_PARAM_INT("min_line_height", 8, 1, NND_IMAGE_MAX_SIDE, "px", "least height of a line"),
    NND_PARAM_FLOAT("line_gap", 2.2, 0, 100, "", "a gap of more letter heights ends a line"),
    NND_PARAM_FLOAT("line_overlap", 0.45, 0, 1, "",
                    "least overlap of the heights of neighbours in a line"),
    NND_PARAM_FLOAT("line_ratio", 3.2, 1, 100, "", "largest ratio of their heights"),
    MAX_WIDTH,
};
const nnd_node_type nnd_node_ocr_lines = {
    .struct_size = sizeof(nnd_node_type),
    .type = "ocr.lines",
    .version = 1,
    .category = "text",
    .title = "Find lines of text",
    .text = "Finds the lines of printed text and prepares each for a line reader.",
    .inputs = NND_ARRAY(lines_in),
    .outputs = NND_ARRAY(lines_out),
    .params = NND_ARRAY(lines_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = lines_process,
};

/* ---- ocr.line ---------------------------------------------------------------------------- */

static nnd_status line_process(nnd_ctx *ctx)
{
    const nnd_image *picture = nnd_node_image(ctx, 0);
    nnd_value *gray = NULL, *line = NULL;
    if (!picture) return NND_E_TYPE;
    NND_TRY(gray_of(ctx, 0, picture, &gray));
    nnd_status status = nnd_text_picture_to_tensor(
        nnd_value_image(gray), nnd_params_int(nnd_ctx_params(ctx), "max_width"), &line);
    nnd_value_unref(gray);
    return nnd_node_finish(ctx, status, line);
}

static const nnd_port line_in[] = {
    NND_PORT("image", "image", "one level line of text with a small margin"),
};
static const nnd_port line_out[] = {
    NND_PORT("line", "tensor", "the line f32[1,1,32,W], normalised"),
};
static const nnd_param line_params[] = {MAX_WIDTH};
const nnd_node_type nnd_node_ocr_line = {
    .struct_size = sizeof(nnd_node_type),
    .type = "ocr.line",
    .version = 1,
    .category = "text",
    .title = "Take a line of text",
    .text = "Prepares a picture that shows one line of text for a line reader.",
    .inputs = NND_ARRAY(line_in),
    .outputs = NND_ARRAY(line_out),
    .params = NND_ARRAY(line_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = line_process,
};
