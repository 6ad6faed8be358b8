/* Interpolation in float with NEON; see kernels.h for the arithmetic. */
#include <arm_neon.h>
#include <string.h>

#include "ops/kernels/arm/neon.h"
#include "ops/kernels/reference/reference.h"

/* a · x + b · y, each product rounded. */
static inline float32x4_t blend(float32x4_t a, float32x4_t x, float32x4_t b, float32x4_t y)
{
    return vaddq_f32(vmulq_f32(a, x), vmulq_f32(b, y));
}

/* ---- rows ------------------------------------------------------------------------------ */

static inline void load_8_u8(float32x4_t out[2], const uint8_t *p)
{
    const uint16x8_t words = vmovl_u8(vld1_u8(p));
    out[0] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(words)));
    out[1] = vcvtq_f32_u32(vmovl_u16(vget_high_u16(words)));
}

static inline void load_8_u16(float32x4_t out[2], const uint16_t *p)
{
    const uint16x8_t words = vld1q_u16(p);
    out[0] = vcvtq_f32_u32(vmovl_u16(vget_low_u16(words)));
    out[1] = vcvtq_f32_u32(vmovl_u16(vget_high_u16(words)));
}

static inline void load_8_f32(float32x4_t out[2], const float *p)
{
    out[0] = vld1q_f32(p);
    out[1] = vld1q_f32(p + 4);
}

#define SUM_ROWS(type, T)                                                                          \
    void nnd_sum_rows_##type##_neon(float *sum, const void *const *rows, const float *weight,      \
                                    int taps, size_t count, bool first)                            \
    {                                                                                              \
        size_t i = 0;                                                                              \
        for (; i + 16 <= count; i += 16) {                                                         \
            float32x4_t s[4], level[4];                                                            \
            for (size_t v = 0; v < 4; v++)                                                         \
                s[v] = first ? vdupq_n_f32(-0.0f) : vld1q_f32(sum + i + 4 * v);                    \
            for (int k = 0; k < taps; k++) {                                                       \
                load_8_##type(level, (const T *)rows[k] + i);                                      \
                load_8_##type(level + 2, (const T *)rows[k] + i + 8);                              \
                for (size_t v = 0; v < 4; v++)                                                     \
                    s[v] = vaddq_f32(s[v], vmulq_n_f32(level[v], weight[k]));                      \
            }                                                                                      \
            for (size_t v = 0; v < 4; v++)                                                         \
                vst1q_f32(sum + i + 4 * v, s[v]);                                                  \
        }                                                                                          \
        const void *rest[NND_SUM_ROWS];                                                            \
        for (int k = 0; k < taps; k++)                                                             \
            rest[k] = (const T *)rows[k] + i;                                                      \
        nnd_sum_rows_##type##_reference(sum + i, rest, weight, taps, count - i, first);            \
    }

SUM_ROWS(u8, uint8_t)
SUM_ROWS(u16, uint16_t)
SUM_ROWS(f32, float)

/* ---- columns --------------------------------------------------------------------------- */

/* Four by four elements. */
static inline void transpose(float32x4_t v[4])
{
    const float32x4_t a = vtrn1q_f32(v[0], v[1]), b = vtrn2q_f32(v[0], v[1]);
    const float32x4_t c = vtrn1q_f32(v[2], v[3]), d = vtrn2q_f32(v[2], v[3]);
    v[0] = vcombine_f32(vget_low_f32(a), vget_low_f32(c));
    v[1] = vcombine_f32(vget_low_f32(b), vget_low_f32(d));
    v[2] = vcombine_f32(vget_high_f32(a), vget_high_f32(c));
    v[3] = vcombine_f32(vget_high_f32(b), vget_high_f32(d));
}

/* One channel: four pixels by four taps at a time. */
void nnd_sum_columns_c1_neon(float *dst, const float *src, const int32_t *start,
                             const float *weight, int taps, size_t count)
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        float32x4_t sum = vdupq_n_f32(-0.0f);
        for (int k = 0; k < taps; k += 4) {
            float32x4_t level[4], w[4];
            for (size_t n = 0; n < 4; n++) {
                level[n] = vld1q_f32(src + start[i + n] + k);
                w[n] = vld1q_f32(weight + (i + n) * (size_t)taps + (size_t)k);
            }
            transpose(level);
            transpose(w);
            for (int t = 0; t < 4 && k + t < taps; t++)
                sum = vaddq_f32(sum, vmulq_f32(level[t], w[t]));
        }
        vst1q_f32(dst + i, sum);
    }
    nnd_sum_columns_c1_reference(dst + i, src, start + i, weight + i * (size_t)taps, taps,
                                 count - i);
}

/* Two channels: one pixel per half vector. */
void nnd_sum_columns_c2_neon(float *dst, const float *src, const int32_t *start,
                             const float *weight, int taps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float *p = src + 2 * (size_t)start[i], *w = weight + i * (size_t)taps;
        float32x2_t sum = vmul_n_f32(vld1_f32(p), w[0]);
        for (int k = 1; k < taps; k++)
            sum = vadd_f32(sum, vmul_n_f32(vld1_f32(p + 2 * k), w[k]));
        vst1_f32(dst + 2 * i, sum);
    }
}

/* Three or four channels: one pixel per vector. BEHIND: pixels that the store of one touches. */
#define SUM_COLUMNS(c, BEHIND)                                                                     \
    void nnd_sum_columns_c##c##_neon(float *dst, const float *src, const int32_t *start,           \
                                     const float *weight, int taps, size_t count)                  \
    {                                                                                              \
        size_t i = 0;                                                                              \
        for (; i + (BEHIND) < count; i++) {                                                        \
            const float *p = src + (size_t)start[i] * (c), *w = weight + i * (size_t)taps;         \
            float32x4_t sum = vmulq_n_f32(vld1q_f32(p), w[0]);                                     \
            for (int k = 1; k < taps; k++)                                                         \
                sum = vaddq_f32(sum, vmulq_n_f32(vld1q_f32(p + k * (c)), w[k]));                   \
            vst1q_f32(dst + i * (c), sum);                                                         \
        }                                                                                          \
        nnd_sum_columns_c##c##_reference(dst + i * (c), src, start + i, weight + i * (size_t)taps, \
                                         taps, count - i);                                         \
    }

SUM_COLUMNS(3, 1)
SUM_COLUMNS(4, 0)

/* ---- points ---------------------------------------------------------------------------- */

static inline float32x4_t four_weights(const int16_t *w)
{
    return vmulq_n_f32(vcvtq_f32_s32(vmovl_s16(vld1_s16(w))), 1.0f / 32768);
}

static inline float32x4_t rest_of(float32x4_t w)
{
    return vsubq_f32(vdupq_n_f32(1.0f), w);
}

static inline float32x4x2_t pairs_u16(const uint8_t *base, const int64_t *offset)
{
    uint32_t both[4];
    for (int n = 0; n < 4; n++)
        memcpy(&both[n], base + offset[n], sizeof(both[n]));
    const uint32x4_t v = vld1q_u32(both);
    const float32x4x2_t out = {
        {vcvtq_f32_u32(vandq_u32(v, vdupq_n_u32(0xffff))), vcvtq_f32_u32(vshrq_n_u32(v, 16))}};
    return out;
}

static inline float32x4x2_t pairs_f32(const uint8_t *base, const int64_t *offset)
{
    float32x2_t pair[4];
    for (int n = 0; n < 4; n++)
        memcpy(&pair[n], base + offset[n], sizeof(pair[n]));
    const float32x4_t a = vcombine_f32(pair[0], pair[1]), b = vcombine_f32(pair[2], pair[3]);
    const float32x4x2_t out = {{vuzp1q_f32(a, b), vuzp2q_f32(a, b)}};
    return out;
}

static inline void store_u16(uint16_t *dst, float32x4_t level)
{
    vst1_u16(dst, vmovn_u32(vcvtnq_u32_f32(level)));
}

static inline void store_f32(float *dst, float32x4_t level)
{
    vst1q_f32(dst, level);
}

#define POINTS_1(type, T)                                                                          \
    void nnd_points_##type##c1_neon(T *dst, const uint8_t *src, int64_t stride,                    \
                                    const int64_t *offset, const int16_t *wx, const int16_t *wy,   \
                                    size_t count)                                                  \
    {                                                                                              \
        size_t i = 0;                                                                              \
        for (; i + 4 <= count; i += 4) {                                                           \
            const float32x4x2_t a = pairs_##type(src, offset + i),                                 \
                                b = pairs_##type(src + stride, offset + i);                        \
            const float32x4_t x = four_weights(wx + i), y = four_weights(wy + i);                  \
            const float32x4_t left = blend(a.val[0], rest_of(y), b.val[0], y),                     \
                              right = blend(a.val[1], rest_of(y), b.val[1], y);                    \
            store_##type(dst + i, blend(left, rest_of(x), right, x));                              \
        }                                                                                          \
        nnd_points_##type##c1_reference(dst + i, src, stride, offset + i, wx + i, wy + i,          \
                                        count - i);                                                \
    }

POINTS_1(u16, uint16_t)
POINTS_1(f32, float)

/* Three or four channels: a pixel per vector. */
static inline float32x4_t pixel_u16(const uint8_t *p)
{
    uint16x4_t words;
    memcpy(&words, p, sizeof(words));
    return vcvtq_f32_u32(vmovl_u16(words));
}

static inline float32x4_t pixel_f32(const uint8_t *p)
{
    float32x4_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

#define POINTS(type, T, n, BEHIND)                                                                 \
    void nnd_points_##type##c##n##_neon(T *dst, const uint8_t *src, int64_t stride,                \
                                        const int64_t *offset, const int16_t *wx,                  \
                                        const int16_t *wy, size_t count)                           \
    {                                                                                              \
        const size_t pixel = (n) * sizeof(T);                                                      \
        size_t i = 0;                                                                              \
        for (; i + (BEHIND) < count; i++) {                                                        \
            const uint8_t *a = src + offset[i], *b = a + stride;                                   \
            const float32x4_t x = vdupq_n_f32((float)wx[i] * (1.0f / 32768)),                      \
                              y = vdupq_n_f32((float)wy[i] * (1.0f / 32768));                      \
            const float32x4_t left = blend(pixel_##type(a), rest_of(y), pixel_##type(b), y);       \
            const float32x4_t right =                                                              \
                blend(pixel_##type(a + pixel), rest_of(y), pixel_##type(b + pixel), y);            \
            store_##type(dst + (n)*i, blend(left, rest_of(x), right, x));                          \
        }                                                                                          \
        nnd_points_##type##c##n##_reference(dst + (n)*i, src, stride, offset + i, wx + i, wy + i,  \
                                            count - i);                                            \
    }

POINTS(u16, uint16_t, 3, 1)
POINTS(u16, uint16_t, 4, 0)
POINTS(f32, float, 3, 1)
POINTS(f32, float, 4, 0)

/* ---- places ---------------------------------------------------------------------------- */

static inline float64x2_t map_2(float64x2_t cx, const double *m, double cy)
{
    const float64x2_t along = vmulq_n_f64(cx, m[0]);
    return vaddq_f64(vaddq_f64(along, vdupq_n_f64(m[1] * cy)), vdupq_n_f64(m[2]));
}

static inline void store_places(int32_t *whole, int16_t *rest, float64x2_t place,
                                const nnd_warp_map *map)
{
    const float64x2_t low = vdupq_n_f64(-NND_PLACE_FAR), high = vdupq_n_f64(NND_PLACE_FAR);
    place = vaddq_f64(place, vdupq_n_f64(map->shift));
    /* Comparison, not a maximum: NaN is not above anything. */
    place = vminq_f64(vbslq_f64(vcgtq_f64(place, low), place, low), high);
    const int64x2_t biased = vcvtq_s64_f64(vaddq_f64(vmulq_n_f64(place, 1 << NND_PLACE_BITS),
                                                     vdupq_n_f64(NND_PLACE_BIAS + map->round)));
    const int64x2_t fixed = vsubq_s64(biased, vdupq_n_s64((int64_t)NND_PLACE_BIAS));
    vst1_s32(whole, vmovn_s64(vshrq_n_s64(fixed, NND_PLACE_BITS)));
    const int64x2_t below = vandq_s64(fixed, vdupq_n_s64((1 << NND_PLACE_BITS) - 1));
    rest[0] = (int16_t)vgetq_lane_s64(below, 0);
    rest[1] = (int16_t)vgetq_lane_s64(below, 1);
}

void nnd_places_neon(const nnd_places *out, const nnd_warp_map *map, int x, int y, size_t count)
{
    const double cy = y + 0.5;
    const float64x2_t step = {0, 1};
    size_t i = 0;
    for (; i + 2 <= count; i += 2) {
        const float64x2_t cx = vaddq_f64(vdupq_n_f64(x + (double)i + 0.5), step);
        float64x2_t u = map_2(cx, map->m, cy), v = map_2(cx, map->m + 3, cy);
        if (map->perspective) {
            const float64x2_t w = map_2(cx, map->m + 6, cy);
            u = vdivq_f64(u, w);
            v = vdivq_f64(v, w);
        }
        store_places(out->x + i, out->wx + i, u, map);
        store_places(out->y + i, out->wy + i, v, map);
    }
    const nnd_places rest = {out->x + i, out->y + i, out->wx + i, out->wy + i};
    nnd_places_reference(&rest, map, x + (int)i, y, count - i);
}
