/*
 * Fonts inside the room: an outline font behind FreeType (font_outline.c, the only file that
 * includes it) or the embedded dots (font_dots.c). Both hand out glyphs as coverage maps.
 */
#ifndef NND_OPS_FONT_H
#define NND_OPS_FONT_H

#include "nndeploy/ops.h"

#define NND_FONT_MAX_SIZE 2048.0f

typedef struct nnd_glyph {
    const uint8_t *coverage; /* 0…255, `pitch` bytes from row to row; NULL when nothing is seen */
    int width, height;
    ptrdiff_t pitch;
    int left, top; /* first pixel: right of the pen, above the base line */
    float advance; /* pixels to the next pen position */
} nnd_glyph;

/* Memory for the glyph that is drawn now; belongs to one call. */
typedef struct nnd_glyph_scratch {
    uint8_t *data;
    size_t size;
} nnd_glyph_scratch;

typedef struct nnd_font_outline nnd_font_outline;

struct nnd_font {
    char *name;
    nnd_font_outline *outline; /* NULL = the embedded dots */
    char *file;                /* bytes that were read; NULL when borrowed */
};

/* Outline fonts. The bytes must stay; the name is borrowed from the font. */
nnd_status nnd_font_outline_create(const void *bytes, size_t size, nnd_font_outline **out);
void nnd_font_outline_destroy(nnd_font_outline *outline);
const char *nnd_font_outline_name(const nnd_font_outline *outline);
/* FreeType's faces hold one glyph at one size: between begin and end the font is the caller's. */
nnd_status nnd_font_outline_begin(nnd_font_outline *outline, float size);
/* false when the font lacks the character; *glyph is valid until the next call or end. */
bool nnd_font_outline_glyph(nnd_font_outline *outline, uint32_t code, nnd_glyph *glyph);
void nnd_font_outline_end(nnd_font_outline *outline);
void nnd_font_outline_extent(const nnd_font_outline *outline, float size, float *ascent,
                             float *descent);

/* The embedded font: ASCII and Latin-1, a box for everything else. */
nnd_status nnd_font_dots_glyph(float size, uint32_t code, nnd_glyph_scratch *scratch,
                               nnd_glyph *glyph);
void nnd_font_dots_extent(float size, float *ascent, float *descent);

#endif
