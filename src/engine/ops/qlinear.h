/*
 * Quantised operands: a value is (code − zero)·scale, the codes are bytes.
 */
#ifndef NND_ENGINE_OPS_QLINEAR_H
#define NND_ENGINE_OPS_QLINEAR_H

#include <math.h>

#include "engine/ops/op.h"

#define NND_BYTES (1u << NND_I8 | 1u << NND_U8)

typedef struct nnd_scaling {
    float scale, zero;
} nnd_scaling;

/* Input `scale` is a scalar f32, the one behind it (may be absent) a scalar of the type. */
nnd_status nnd_scaling_check(const nnd_op_ctx *c, size_t scale, nnd_dtype type);
/* Both, read; for a checked pair with elements. */
nnd_scaling nnd_scaling_at(const nnd_op_ctx *c, size_t scale);

/* The code of element i without its zero point, times the scale. */
static inline float nnd_dequantise(const nnd_tensor *t, size_t i, nnd_scaling s)
{
    float code = t->dtype == NND_I8 ? (float)((const int8_t *)t->data)[i]
                                    : (float)((const uint8_t *)t->data)[i];
    return (code - s.zero) * s.scale;
}

/* Rounds halves to even and saturates; NaN becomes the zero point. */
static inline void nnd_quantise(const nnd_tensor *t, size_t i, float v, nnd_scaling s)
{
    float low = t->dtype == NND_I8 ? -128.0f : 0.0f, high = t->dtype == NND_I8 ? 127.0f : 255.0f;
    float q = nearbyintf(v / s.scale) + s.zero;
    q = q >= low ? (q > high ? high : q) : isnan(q) ? s.zero : low;
    if (t->dtype == NND_I8)
        ((int8_t *)t->data)[i] = (int8_t)q;
    else
        ((uint8_t *)t->data)[i] = (uint8_t)q;
}

#endif
