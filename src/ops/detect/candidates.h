/*
 * What box decoders share: where the model's picture lies in the source, a growing list of
 * candidates in source pixels, and the value made of the best of them.
 */
#ifndef NND_OPS_CANDIDATES_H
#define NND_OPS_CANDIDATES_H

#include "ops/ops_common.h"

#define NND_DECODE_MAX_POINTS 8

typedef struct nnd_candidate {
    float x1, y1, x2, y2, score;
    int32_t class_id;
    nnd_point points[NND_DECODE_MAX_POINTS];
} nnd_candidate;

typedef struct nnd_candidates {
    const nnd_decode_boxes_options *options;
    nnd_geometry geometry; /* model's picture → source */
    double width, height;  /* of the model's picture; boxes in 0…1 are scaled by it */
    int points_per_item;
    nnd_candidate *items;
    size_t count, capacity;
} nnd_candidates;

/* Checks the options (NULL = defaults) and sets up an empty list. */
nnd_status nnd_candidates_open(nnd_candidates *list, const nnd_decode_boxes_options *options,
                               int points_per_item);
/* A box in pixels of the model's picture. Mapped to the source and clipped; boxes that are not
   finite or empty afterwards are left out. */
nnd_status nnd_candidates_add(nnd_candidates *list, double x1, double y1, double x2, double y2,
                              float score, int32_t class_id, const nnd_point *points);
/* Best first, ties in the order of adding. Frees the list whether or not `status` is a failure,
   and passes that on. */
nnd_status nnd_candidates_close(nnd_candidates *list, nnd_status status, nnd_value **out);

/* Dense f32 [1, rows, columns] on the host; −1 = any number. `name` goes into the message. */
nnd_status nnd_detect_check_tensor(const nnd_tensor *t, const char *name, int64_t rows,
                                   int64_t columns);

#endif
