/*
 * Text: characters are placed one after the other on whole pixels.
 */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "ops/draw/canvas.h"
#include "ops/draw/font.h"

static nnd_status check_text(float size, const char *text)
{
    if (!text) return nnd_error_set(NND_E_INVALID_ARGUMENT, "no text");
    if (!(size >= 1 && size <= NND_FONT_MAX_SIZE))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "text size is %g, expected 1…%g pixels",
                             (double)size, (double)NND_FONT_MAX_SIZE);
    if (!nnd_utf8_valid(text, strlen(text)))
        return nnd_error_set(NND_E_FORMAT, "the text is not UTF-8");
    return NND_OK;
}

static void place_glyph(const nnd_canvas *canvas, const nnd_glyph *glyph, double pen, double base)
{
    const double left = floor(pen + 0.5) + glyph->left, top = floor(base + 0.5) - glyph->top;
    const nnd_span columns = nnd_span_of(left, left + glyph->width, canvas->image->width);
    const nnd_span rows = nnd_span_of(top, top + glyph->height, canvas->image->height);
    for (int y = rows.begin; y < rows.end; y++) {
        const uint8_t *row = glyph->coverage + (ptrdiff_t)(y - top) * glyph->pitch;
        for (int x = columns.begin; x < columns.end; x++) {
            const uint8_t c = row[(ptrdiff_t)(x - left)];
            if (c) nnd_canvas_blend(canvas, x, y, c);
        }
    }
}

/* Walks over the text; draws when there is a canvas. *pen moves on. */
static nnd_status walk(const nnd_canvas *canvas, nnd_font_outline *outline, float size,
                       const char *text, double *pen, double base)
{
    nnd_glyph_scratch scratch = {NULL, 0};
    nnd_status status = NND_OK;
    const size_t length = strlen(text);
    for (size_t at = 0, used; at < length && status == NND_OK; at += used) {
        const uint32_t code = nnd_utf8_decode(text + at, length - at, &used);
        nnd_glyph glyph;
        if (!outline || !nnd_font_outline_glyph(outline, code, &glyph))
            status = nnd_font_dots_glyph(size, code, &scratch, &glyph);
        if (status != NND_OK) break;
        if (canvas && glyph.coverage) place_glyph(canvas, &glyph, *pen, base);
        *pen += glyph.advance;
    }
    nnd_free(scratch.data);
    return status;
}

static nnd_status walk_locked(const nnd_canvas *canvas, const nnd_font *font, float size,
                              const char *text, double *pen, double base)
{
    nnd_font_outline *outline = font ? font->outline : NULL;
    if (outline) NND_TRY(nnd_font_outline_begin(outline, size));
    const nnd_status status = walk(canvas, outline, size, text, pen, base);
    if (outline) nnd_font_outline_end(outline);
    return status;
}

nnd_status nnd_draw_text(nnd_image *image, const nnd_font *font, float x, float y, float size,
                         uint32_t color, const char *text)
{
    nnd_canvas canvas;
    NND_TRY(nnd_canvas_open(&canvas, image, color));
    NND_TRY(check_text(size, text));
    if (!isfinite(x) || !isfinite(y))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "the text's place is not a number");
    double pen = x;
    return walk_locked(&canvas, font, size, text, &pen, y);
}

nnd_status nnd_text_measure(const nnd_font *font, float size, const char *text, float *width,
                            float *ascent, float *descent)
{
    NND_TRY(check_text(size, text));
    double pen = 0;
    NND_TRY(walk_locked(NULL, font, size, text, &pen, 0));
    float up, down;
    if (font && font->outline)
        nnd_font_outline_extent(font->outline, size, &up, &down);
    else
        nnd_font_dots_extent(size, &up, &down);
    if (width) *width = (float)pen;
    if (ascent) *ascent = up;
    if (descent) *descent = down;
    return NND_OK;
}
