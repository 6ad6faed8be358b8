/* Levels in float with NEON: scaling, order of channels, conversions. */
#include <arm_neon.h>

#include "ops/kernels/arm/neon.h"
#include "ops/kernels/reference/reference.h"

static inline float32x4_t scale(float32x4_t level, float32x4_t mul, float32x4_t add)
{
    return vaddq_f32(vmulq_f32(level, mul), add);
}

/* ---- order of channels ----------------------------------------------------------------- */

/* Planes that are wanted, moved on by i elements. */
static inline void planes_from(float *rest[4], float *const *plane, int channels, size_t i)
{
    for (int c = 0; c < channels; c++)
        rest[c] = plane[c] ? plane[c] + i : NULL;
}

void nnd_planar_f32c1_neon(float *const *plane, const float *src, size_t count, const float *mul,
                           const float *add)
{
    const float32x4_t m = vdupq_n_f32(mul[0]), a = vdupq_n_f32(add[0]);
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        vst1q_f32(plane[0] + i, scale(vld1q_f32(src + i), m, a));
    float *const rest = plane[0] + i;
    nnd_planar_f32c1_reference(&rest, src + i, count - i, mul, add);
}

#define PLANAR(c)                                                                                  \
    void nnd_planar_f32c##c##_neon(float *const *plane, const float *src, size_t count,            \
                                   const float *mul, const float *add)                             \
    {                                                                                              \
        float *rest[4];                                                                            \
        size_t i = 0;                                                                              \
        for (; i + 4 <= count; i += 4) {                                                           \
            const float32x4x##c##_t p = vld##c##q_f32(src + (c)*i);                                \
            for (int k = 0; k < (c); k++)                                                          \
                if (plane[k])                                                                      \
                    vst1q_f32(plane[k] + i,                                                        \
                              scale(p.val[k], vdupq_n_f32(mul[k]), vdupq_n_f32(add[k])));          \
        }                                                                                          \
        planes_from(rest, plane, c, i);                                                            \
        nnd_planar_f32c##c##_reference(rest, src + (c)*i, count - i, mul, add);                    \
    }

PLANAR(3)
PLANAR(4)

void nnd_packed_f32_neon(float *dst, const float *src, size_t count, const float mul[48],
                         const float add[48])
{
    size_t i = 0;
    for (; i + 48 <= count; i += 48)
        for (size_t k = 0; k < 48; k += 4)
            vst1q_f32(dst + i + k,
                      scale(vld1q_f32(src + i + k), vld1q_f32(mul + k), vld1q_f32(add + k)));
    nnd_packed_f32_reference(dst + i, src + i, count - i, mul, add);
}

void nnd_interleave_f32c3_neon(float *dst, const float *const *plane, size_t count)
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const float32x4x3_t p = {
            {vld1q_f32(plane[0] + i), vld1q_f32(plane[1] + i), vld1q_f32(plane[2] + i)}};
        vst3q_f32(dst + 3 * i, p);
    }
    const float *const rest[3] = {plane[0] + i, plane[1] + i, plane[2] + i};
    nnd_interleave_f32c3_reference(dst + 3 * i, rest, count - i);
}

void nnd_interleave_f32c4_neon(float *dst, const float *const *plane, size_t count)
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const float32x4x4_t p = {{vld1q_f32(plane[0] + i), vld1q_f32(plane[1] + i),
                                  vld1q_f32(plane[2] + i), vld1q_f32(plane[3] + i)}};
        vst4q_f32(dst + 4 * i, p);
    }
    const float *const rest[4] = {plane[0] + i, plane[1] + i, plane[2] + i, plane[3] + i};
    nnd_interleave_f32c4_reference(dst + 4 * i, rest, count - i);
}

void nnd_gray_f32_neon(float *dst, const float *const *plane, size_t count, const float weight[3])
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const float32x4_t two = vaddq_f32(vmulq_n_f32(vld1q_f32(plane[0] + i), weight[0]),
                                          vmulq_n_f32(vld1q_f32(plane[1] + i), weight[1]));
        vst1q_f32(dst + i, vaddq_f32(two, vmulq_n_f32(vld1q_f32(plane[2] + i), weight[2])));
    }
    const float *const rest[3] = {plane[0] + i, plane[1] + i, plane[2] + i};
    nnd_gray_f32_reference(dst + i, rest, count - i, weight);
}

/* ---- conversions ----------------------------------------------------------------------- */

void nnd_row_f16_to_f32_neon(float *dst, const uint16_t *src, size_t count)
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        vst1q_f32(dst + i, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(src + i))));
    nnd_row_f16_to_f32_reference(dst + i, src + i, count - i);
}

void nnd_f32_to_u16_neon(uint16_t *dst, const float *src, size_t count)
{
    size_t i = 0;
    /* The conversion saturates, takes NaN to 0 and rounds to even. */
    for (; i + 4 <= count; i += 4)
        vst1_u16(dst + i, vqmovn_u32(vcvtnq_u32_f32(vld1q_f32(src + i))));
    nnd_f32_to_u16_reference(dst + i, src + i, count - i);
}

void nnd_u16_to_f32_neon(float *dst, const uint16_t *src, size_t count)
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        vst1q_f32(dst + i, vcvtq_f32_u32(vmovl_u16(vld1_u16(src + i))));
    nnd_u16_to_f32_reference(dst + i, src + i, count - i);
}

void nnd_clamp_f32_neon(float *dst, const float *src, size_t count, float max)
{
    const float32x4_t zero = vdupq_n_f32(0.0f), top = vdupq_n_f32(max);
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const float32x4_t v = vld1q_f32(src + i);
        /* Comparison, not a maximum: NaN is not above 0. */
        vst1q_f32(dst + i, vminq_f32(vbslq_f32(vcgtq_f32(v, zero), v, zero), top));
    }
    nnd_clamp_f32_reference(dst + i, src + i, count - i, max);
}
