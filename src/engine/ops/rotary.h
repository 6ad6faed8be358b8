/* Rotary position embedding of one head: pairs of features turned by position-dependent angles. */
#ifndef NND_ENGINE_OPS_ROTARY_H
#define NND_ENGINE_OPS_ROTARY_H

#include <stdbool.h>
#include <stddef.h>

/* x and y: `size` features, may be the same. The first `turned` (even) ones are rotated by the
   turned/2 cosines and sines; the rest is copied. interleaved: the pairs are (0,1), (2,3), …,
   otherwise (0, turned/2), (1, turned/2 + 1), … */
void nnd_rotary_apply(const float *x, float *y, size_t size, size_t turned, const float *cosine,
                      const float *sine, bool interleaved);

#endif
