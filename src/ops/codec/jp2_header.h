/*
 * What a JPEG 2000 file says about itself, read without the library: the boxes of a JP2 file and
 * the headers of the code stream (ISO/IEC 15444-1, annexes A and I). So the limits are asked before
 * the library takes memory, and what it would take without bounds is refused.
 */
#ifndef NND_OPS_JP2_HEADER_H
#define NND_OPS_JP2_HEADER_H

#include "nndeploy/base.h"

enum { NND_JP2_MAX_COMPONENTS = 4, NND_JP2_MAX_BITS = 16 };

typedef struct nnd_jp2_component {
    uint32_t dx, dy; /* steps of the reference grid from sample to sample */
    int bits;
    bool is_signed;
} nnd_jp2_component;

/* The number of the first sample at or behind that place of the grid. */
static inline uint32_t nnd_jp2_first(uint32_t place, uint32_t step)
{
    return place / step + (place % step != 0);
}

typedef struct nnd_jp2_header {
    bool has_boxes;          /* a JP2 file, else a raw code stream */
    uint32_t x0, y0, x1, y1; /* the picture on the reference grid, half-open */
    uint32_t dx, dy;         /* the smallest steps of a component: one pixel of the picture */
    uint32_t width, height;  /* in pixels */
    int component_count;
    nnd_jp2_component components[NND_JP2_MAX_COMPONENTS];
    int channels; /* of the picture: a palette's columns, else the components */
    int bits;     /* of its most precise channel */
} nnd_jp2_header;

/* Reads and checks all headers, those of tile parts included. NND_E_FORMAT for a damaged file and
   for one that ends early, NND_E_UNSUPPORTED for more components, bits or other colour spaces than
   we read, NND_E_LIMIT for more tiles than a picture of that size can want. */
nnd_status nnd_jp2_read_header(const uint8_t *bytes, size_t size, nnd_jp2_header *out);

#endif
