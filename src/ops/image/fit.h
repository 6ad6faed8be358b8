/*
 * Where the pixels of a fitted picture come from.
 */
#ifndef NND_OPS_FIT_H
#define NND_OPS_FIT_H

#include "ops/image/axis.h"

/* The region of interest is resized as x and y say (their part is what shows) and put at
   `content`. */
typedef struct nnd_fit_layout {
    nnd_axis_size x, y;
    nnd_rect content;
} nnd_fit_layout;

/* roi must be inside the source. NND_E_LIMIT when the resized picture would be absurdly large. */
nnd_status nnd_fit_layout_init(nnd_fit_layout *layout, nnd_fit fit, nnd_align align, nnd_rect roi,
                               int dst_width, int dst_height);
void nnd_fit_layout_geometry(const nnd_fit_layout *layout, nnd_rect roi, int src_width,
                             int src_height, int dst_width, int dst_height, nnd_geometry *geometry);
/* roi, or the whole picture when it is all zero; NND_E_SHAPE when it is not inside. */
nnd_status nnd_fit_roi(nnd_rect roi, int width, int height, nnd_rect *out);

#endif
