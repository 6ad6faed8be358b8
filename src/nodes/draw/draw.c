/* Drawing into pictures. */
#include "nodes/nodes_internal.h"

#include <string.h>

/* ---- the font, found once per plan ------------------------------------------------------- */

typedef struct font_file {
    nnd_font *font;
    void *bytes; /* of a font that the workflow names */
} font_file;

static void font_release(void *prepared)
{
    font_file *f = prepared;
    nnd_font_destroy(f->font);
    nnd_free(f->bytes);
    nnd_free(f);
}

/* A font that the workflow names comes through its io; without one the host's fonts are searched.
 */
static nnd_status font_load(nnd_prepare *prepare, font_file *f)
{
    const char *path = nnd_params_text(nnd_prepare_params(prepare), "font");
    size_t size = 0;
    if (!path[0]) return nnd_font_create(NULL, &f->font);
    NND_TRY(nnd_node_prepare_file(prepare, "font", path, &f->bytes, &size));
    return nnd_font_create_memory(f->bytes, size, &f->font);
}

static nnd_status font_prepare(nnd_prepare *prepare, void **prepared)
{
    font_file *f = nnd_calloc(1, sizeof *f);
    if (!f) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a font");
    nnd_status status = font_load(prepare, f);
    if (status != NND_OK) {
        font_release(f);
        return status;
    }
    *prepared = f;
    return NND_OK;
}

/* The picture to draw into: the packet's own when nobody else holds it, else a copy. */
static nnd_status canvas(nnd_ctx *ctx, nnd_value **out)
{
    if (!nnd_node_image(ctx, 0)) return NND_E_TYPE;
    return nnd_value_writable(nnd_ctx_take_input(ctx, 0), out);
}

#define FONT_PARAM                                                                                 \
    {                                                                                              \
        "font", NND_PARAM_KIND_FILE, NND_PARAM_STATIC, 0, "", 0, 0, NULL, "",                      \
            "font file; empty = one of the system, else a built-in Latin font", NULL               \
    }

static const nnd_port image_out[] = {NND_PORT("image", "image", "the picture with what was drawn")};

/* ---- draw.detections --------------------------------------------------------------------- */

static nnd_status draw_detections_process(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    const font_file *font = nnd_ctx_prepared(ctx);
    const nnd_detections *detections = nnd_node_detections(ctx, 1);
    nnd_draw_options options = NND_DRAW_OPTIONS_INIT;
    nnd_value *value = NULL;
    if (!detections) return NND_E_TYPE;
    options.font = font->font;
    options.thickness = (float)nnd_params_float(p, "thickness");
    options.text_size = (float)nnd_params_float(p, "text_size");
    options.labels = nnd_params_bool(p, "labels");
    options.scores = nnd_params_bool(p, "scores");
    options.points = nnd_params_bool(p, "points");
    if (nnd_params_text(p, "color")[0]) NND_TRY(nnd_node_color(p, "color", &options.color));
    NND_TRY(canvas(ctx, &value));
    return nnd_node_finish(ctx, nnd_draw_detections(nnd_value_edit(value), detections, &options),
                           value);
}

static const nnd_port draw_detections_in[] = {
    NND_PORT("image", "image", "8-bit picture: rgb, bgr, gray, rgba or bgra"),
    NND_PORT("detections", "detections", "what to draw"),
};
static const nnd_param draw_detections_params[] = {
    NND_PARAM_FLOAT("thickness", 0, 0, 100, "px", "of lines; 0 = by the picture's size"),
    NND_PARAM_FLOAT("text_size", 0, 0, 500, "px", "0 = by the picture's size"),
    NND_PARAM_BOOL("labels", 1, "write the class"),
    NND_PARAM_BOOL("scores", 1, "write the score"),
    NND_PARAM_BOOL("points", 1, "draw keypoints"),
    {"color", NND_PARAM_KIND_TEXT, 0, 0, "", 0, 0, NULL, "", "#RRGGBB; empty = by class", "color"},
    FONT_PARAM,
};
const nnd_node_type nnd_node_draw_detections = {
    .struct_size = sizeof(nnd_node_type),
    .type = "draw.detections",
    .version = 1,
    .category = "draw",
    .title = "Draw boxes",
    .text = "Draws boxes, keypoints, labels and scores into the picture.",
    .inputs = NND_ARRAY(draw_detections_in),
    .outputs = NND_ARRAY(image_out),
    .params = NND_ARRAY(draw_detections_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT | NND_NODE_INPLACE,
    .prepare = font_prepare,
    .release = font_release,
    .process = draw_detections_process,
};

/* ---- draw.text --------------------------------------------------------------------------- */

/* Lines below each other, from the top left corner. */
static nnd_status draw_lines(nnd_image *image, const nnd_font *font, const nnd_params *p,
                             uint32_t color, const char *text)
{
    float size = (float)nnd_params_float(p, "size"), y = (float)nnd_params_float(p, "y");
    float width, ascent, descent;
    char line[512];
    NND_TRY(nnd_text_measure(font, size, "X", &width, &ascent, &descent));
    while (*text) {
        size_t n = strcspn(text, "\n");
        size_t used = n < sizeof line ? n : sizeof line - 1;
        while (used < n && used > 0 && ((unsigned char)text[used] & 0xC0) == 0x80)
            used--; /* not in the middle of a character */
        memcpy(line, text, used);
        line[used] = '\0';
        NND_TRY(nnd_draw_text(image, font, (float)nnd_params_float(p, "x"), y + ascent, size, color,
                              line));
        y += (ascent + descent) * 1.2f;
        text += n + (text[n] == '\n');
    }
    return NND_OK;
}

static nnd_status draw_text_process(nnd_ctx *ctx)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    const font_file *font = nnd_ctx_prepared(ctx);
    const nnd_value *given = nnd_ctx_input(ctx, 1);
    const nnd_text *text = given ? nnd_value_text(given) : NULL;
    const char *what = text ? text->text : nnd_params_text(p, "text");
    nnd_value *value = NULL;
    uint32_t color = 0;
    NND_TRY(nnd_node_color(p, "color", &color));
    NND_TRY(canvas(ctx, &value));
    return nnd_node_finish(ctx, draw_lines(nnd_value_edit(value), font->font, p, color, what),
                           value);
}

static const nnd_port draw_text_in[] = {
    NND_PORT("image", "image", "8-bit picture: rgb, bgr, gray, rgba or bgra"),
    NND_PORT_OPT("text", "text", "what to write; without it the parameter counts"),
};
static const nnd_param draw_text_params[] = {
    NND_PARAM_TEXT("text", "", "what to write"),
    NND_PARAM_FLOAT("x", 8, -1e5, 1e5, "px", "left edge"),
    NND_PARAM_FLOAT("y", 8, -1e5, 1e5, "px", "top edge"),
    NND_PARAM_FLOAT("size", 24, 4, 1000, "px", "height of the letters"),
    {"color", NND_PARAM_KIND_TEXT, 0, 0, "#FFFFFF", 0, 0, NULL, "", "#RRGGBB", "color"},
    FONT_PARAM,
};
const nnd_node_type nnd_node_draw_text = {
    .struct_size = sizeof(nnd_node_type),
    .type = "draw.text",
    .version = 1,
    .category = "draw",
    .title = "Draw text",
    .text = "Writes text into the picture, a line below the other.",
    .inputs = NND_ARRAY(draw_text_in),
    .outputs = NND_ARRAY(image_out),
    .params = NND_ARRAY(draw_text_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT | NND_NODE_INPLACE,
    .prepare = font_prepare,
    .release = font_release,
    .process = draw_text_process,
};
