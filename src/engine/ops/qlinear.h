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
    float low, high; /* limits of a result's codes */
} nnd_scaling;

/* Input `scale` is a scalar f32, the one behind it (may be absent) a scalar of the type. */
nnd_status nnd_scaling_check(const nnd_op_ctx *c, size_t scale, nnd_dtype type);
/* Both, read; for a checked pair with elements. */
nnd_scaling nnd_scaling_at(const nnd_op_ctx *c, size_t scale);
/* The same of output 0, with the limits of its codes. */
nnd_scaling nnd_scaling_result(const nnd_op_ctx *c, size_t scale);

/* Limits that an activation sets to the codes of a result, as the pass qdq puts them on its node;
   what the type holds where there are none. */
#define NND_CODES_LOW  "nndeploy_codes_low"
#define NND_CODES_HIGH "nndeploy_codes_high"
typedef struct nnd_codes {
    int32_t low, high;
} nnd_codes;
nnd_codes nnd_codes_of(const nnd_graph_node *node, nnd_dtype type);

/* What DynamicQuantizeLinear finds: a scale, 0 for nothing but zeros, and a zero point. */
typedef struct nnd_dynamic {
    float scale;
    uint8_t zero;
} nnd_dynamic;
/* The scaling of x, f32, and its codes in y, which may be NULL. */
nnd_status nnd_dynamic_quantise(const nnd_op_ctx *c, const nnd_tensor *x, uint8_t *y,
                                nnd_dynamic *scaling);

/* y = table[x]; input 1 has 256 bytes. No model has it, the pass qdq makes it. */
extern const nnd_op nnd_op_byte_table;
enum { NND_TABLE_CODES = 256 };
/* Output 0 = table[input 0], all bytes. */
nnd_status nnd_byte_table_run(const nnd_op_ctx *c, const uint8_t *table);

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
    float q = nearbyintf(v / s.scale) + s.zero;
    if (isnan(q)) q = s.zero;
    q = q < s.low ? s.low : q > s.high ? s.high : q;
    if (t->dtype == NND_I8)
        ((int8_t *)t->data)[i] = (int8_t)q;
    else
        ((uint8_t *)t->data)[i] = (uint8_t)q;
}

#endif
