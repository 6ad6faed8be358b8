/* One element of a tensor of any number type as double, quickly for f32. */
#ifndef NND_ENGINE_OPS_ELEMENT_H
#define NND_ENGINE_OPS_ELEMENT_H

#include "engine/ops/op.h"

static inline double nnd_get(const nnd_tensor *t, size_t i)
{
    if (t->dtype == NND_F32) return (double)((const float *)t->data)[i];
    return nnd_dtype_get(t->dtype, t->data, i);
}

/* Rounds to the type; integers to the nearest one, saturated. */
static inline void nnd_set(const nnd_tensor *t, size_t i, double v)
{
    if (t->dtype == NND_F32)
        ((float *)t->data)[i] = (float)v;
    else
        nnd_dtype_set(t->dtype, t->data, i, v);
}

#endif
