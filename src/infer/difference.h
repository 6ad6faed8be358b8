/* How far two results are apart: what compare-models prints and what tuning accepts by. */
#ifndef NND_INFER_DIFFERENCE_H
#define NND_INFER_DIFFERENCE_H

#include "nndeploy/data.h"

/* An element differs when |a - b| > atol + rtol * |b|. Two NaNs are equal, and so are two equal
   infinities. */
typedef struct nnd_tolerance {
    double rtol, atol;
} nnd_tolerance;
#define NND_TOLERANCE_DEFAULT ((nnd_tolerance){1e-3, 1e-4})

typedef struct nnd_difference {
    bool comparable;  /* tensors (or lists and records of them) of the same types and shapes */
    char reason[160]; /* why not, "f32[1,10] and f32[10]" */
    uint64_t count;   /* elements */
    uint64_t differing;
    double max_abs;  /* of elements where both are finite */
    double max_rel;  /* |a - b| / max(|a|, |b|) */
    double relative; /* |a - b| / |b| in the 2-norm; 0 when both are zero */
    double cosine;   /* of the angle between both; 1 when both are zero */
    int64_t at;      /* row-major index of the worst element, -1 = none differs at all */
    double a, b;     /* its values */
} nnd_difference;

/* Both values are read on the host; NULL counts as a value that is not there. Never fails: what
   cannot be compared is not comparable. */
void nnd_difference_of(const nnd_value *a, const nnd_value *b, nnd_tolerance tolerance,
                       nnd_difference *out);
/* Comparable, and no element differs. */
bool nnd_difference_is_none(const nnd_difference *d);

#endif
