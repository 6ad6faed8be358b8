/*
 * One direction of a resize: which source samples make a destination sample, with which weights.
 */
#ifndef NND_OPS_AXIS_H
#define NND_OPS_AXIS_H

#include "ops/ops_common.h"

typedef struct nnd_axis {
    int taps;       /* at most the source's size */
    int count;      /* destination samples */
    int32_t *start; /* first source sample; start + taps never passes the end */
    float *weight;  /* count × taps, each sample's sum is 1; NULL for the nearest filters */
} nnd_axis;

/* The sizes of a direction, and the part [from, from + count) of the destination that is made. */
typedef struct nnd_axis_size {
    int src, dst, from, count;
} nnd_axis_size;
/* other_scale: source/destination of the other direction (AREA enlarges as OpenCV does, which
   looks at both). After a failure there is nothing to free. */
nnd_status nnd_axis_init(nnd_axis *axis, nnd_axis_size size, double other_scale, nnd_filter filter,
                         bool antialias);
void nnd_axis_fini(nnd_axis *axis);
/* The weights in Q14, each sample's sum exactly 2¹⁴. NULL without memory; nnd_free. */
int16_t *nnd_axis_quantise(const nnd_axis *axis);

#endif
