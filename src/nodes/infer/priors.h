/* Boxes of single-shot detectors whose files leave the priors to whoever runs them. */
#ifndef NND_NODES_INFER_PRIORS_H
#define NND_NODES_INFER_PRIORS_H

#include "nndeploy/catalog.h"

/* Corners x1 y1 x2 y2 in 0…1 from offsets, f32 with 4 per prior, for a picture of that many pixels;
   of the same shape. NND_E_SHAPE when there is another number of priors. */
nnd_status nnd_priors_apply(const nnd_catalog_priors *priors, int64_t width, int64_t height,
                            const nnd_tensor *offsets, nnd_value **out);

#endif
