/*
 * A checked image with the colour that is drawn, and the one way in which pixels change: blending
 * by coverage.
 */
#ifndef NND_OPS_CANVAS_H
#define NND_OPS_CANVAS_H

#include "ops/ops_common.h"

typedef struct nnd_canvas {
    const nnd_image *image;
    int channels;
    uint8_t color[4]; /* in the image's order */
} nnd_canvas;

/* NND_E_TYPE unless the image holds u8, NND_E_UNSUPPORTED for YUV. */
nnd_status nnd_canvas_open(nnd_canvas *canvas, const nnd_image *image, uint32_t color);

/* Pixels [begin, end) whose squares touch [from, to), inside 0…size. */
typedef struct nnd_span {
    int begin, end;
} nnd_span;
nnd_span nnd_span_of(double from, double to, int size);

/* coverage 0…255; (x, y) inside the image. */
static inline void nnd_canvas_blend(const nnd_canvas *canvas, int x, int y, unsigned coverage)
{
    uint8_t *p = nnd_ops_row(canvas->image, 0, y) + (ptrdiff_t)x * canvas->channels;
    for (int c = 0; c < canvas->channels; c++)
        p[c] = (uint8_t)((p[c] * (255 - coverage) + canvas->color[c] * coverage + 127) / 255);
}

static inline unsigned nnd_coverage(double share)
{
    return share >= 1 ? 255u : share > 0 ? (unsigned)(share * 255 + 0.5) : 0u;
}

/* The luminance 0…255 of a colour 0xRRGGBB. */
unsigned nnd_color_luminance(uint32_t color);

#endif
