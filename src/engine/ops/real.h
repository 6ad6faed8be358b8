/* Elements as f32: the tensor's own ones, or a converted copy for a type that is not f32. */
#ifndef NND_ENGINE_OPS_REAL_H
#define NND_ENGINE_OPS_REAL_H

#include "engine/ops/op.h"

typedef struct nnd_real {
    const float *data; /* NULL for an absent input */
    float *owned;
} nnd_real;

/* t may be NULL: an absent optional input. Bool becomes 0 and 1. Free with nnd_real_free. */
nnd_status nnd_real_read(const nnd_tensor *t, nnd_real *out);
void nnd_real_free(nnd_real *r);

/* Where to compute an f32 result: the tensor's own memory or a buffer of the same count, zeroed.
   nnd_real_write converts a buffer back and frees it; nnd_real_free drops it. A result that nobody
   wants (data NULL) gets a buffer too when `always` is set, else *data stays NULL. */
nnd_status nnd_real_result(nnd_tensor *t, bool always, nnd_real *out, float **data);
nnd_status nnd_real_write(nnd_tensor *t, nnd_real *r);

#endif
