/* Rows that become columns with NEON: the vectors of turn_lanes.h. */
#include <arm_neon.h>
#include <string.h>

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

static inline bytes_16 load_12(const uint8_t *p)
{
    uint32_t last;
    memcpy(&last, p + 8, 4);
    return vcombine_u8(vld1_u8(p), vreinterpret_u8_u32(vdup_n_u32(last)));
}

static inline void store_12(uint8_t *p, bytes_16 v)
{
    const uint32_t last = vgetq_lane_u32(vreinterpretq_u32_u8(v), 2);
    vst1_u8(p, vget_low_u8(v));
    memcpy(p + 8, &last, 4);
}

/* Index 0x80 gives 0. */
static inline bytes_16 pick_of(bytes_16 v, bytes_16 pick)
{
    return vqtbl1q_u8(v, pick);
}

#define INTERLEAVE(bits)                                                                           \
    static inline bytes_16 low_##bits(bytes_16 a, bytes_16 b)                                      \
    {                                                                                              \
        return vreinterpretq_u8_u##bits(                                                           \
            vzip1q_u##bits(vreinterpretq_u##bits##_u8(a), vreinterpretq_u##bits##_u8(b)));         \
    }                                                                                              \
    static inline bytes_16 high_##bits(bytes_16 a, bytes_16 b)                                     \
    {                                                                                              \
        return vreinterpretq_u8_u##bits(                                                           \
            vzip2q_u##bits(vreinterpretq_u##bits##_u8(a), vreinterpretq_u##bits##_u8(b)));         \
    }
INTERLEAVE(16)
INTERLEAVE(32)
INTERLEAVE(64)

static inline bytes_16 low_8(bytes_16 a, bytes_16 b)
{
    return vzip1q_u8(a, b);
}

static inline bytes_16 high_8(bytes_16 a, bytes_16 b)
{
    return vzip2q_u8(a, b);
}

#include "ops/kernels/turn_lanes.h"

void nnd_transpose_neon(const nnd_transposition *job)
{
    turn_pixels(job);
}
