/* Channels and pixels in another order with NEON: what 16 bytes hold is picked by one look-up. */
#include <arm_neon.h>

#include "ops/kernels/arm/neon.h"
#include "ops/kernels/reference/reference.h"

typedef uint8x16_t bytes_16;

static inline bytes_16 load_16(const uint8_t *p)
{
    return vld1q_u8(p);
}

static inline void store_16(uint8_t *p, bytes_16 v)
{
    vst1q_u8(p, v);
}

/* Index 0x80 gives 0. */
static inline bytes_16 pick_of(bytes_16 v, bytes_16 pick)
{
    return vqtbl1q_u8(v, pick);
}

static inline bytes_16 either(bytes_16 a, bytes_16 b)
{
    return vorrq_u8(a, b);
}

/* Indices that are not of this window give 0. */
static inline bytes_16 from_window(const uint8_t *window, bytes_16 index, int number)
{
    return pick_of(load_16(window + 16 * number),
                   vsubq_u8(index, vdupq_n_u8((uint8_t)(16 * number))));
}

#include "ops/kernels/order_lanes.h"

void nnd_order_u8_neon(uint8_t *dst, const uint8_t *src, size_t count,
                       const nnd_channel_order *order)
{
    order_row(dst, src, count, order);
}

void nnd_nearest_neon(uint8_t *dst, const uint8_t *src, const nnd_nearest_columns *columns)
{
    nearest_row(dst, src, columns);
}

void nnd_reverse_u8_neon(uint8_t *dst, const uint8_t *src, size_t count, size_t bytes)
{
    reverse_row(dst, src, count, bytes);
}
