/*
 * Interpolation with NEON: a pixel and its right neighbour in one register per pixel pair, as in
 * the AVX2 kernels. vqrdmulhq_s16(a, b) is (a · b + 2¹⁴) >> 15.
 */
#include <arm_neon.h>
#include <string.h>

#include "ops/kernels/arm/neon.h"
#include "ops/kernels/reference/reference.h"

/* ---- arithmetic ------------------------------------------------------------------------ */

static inline int16x8_t widen(uint8x8_t v)
{
    return vreinterpretq_s16_u16(vmovl_u8(v));
}

static inline int16x8_t blend_rows(uint8x8_t a, uint8x8_t b, int16x8_t wy)
{
    const int16x8_t step = vshlq_n_s16(vreinterpretq_s16_u16(vsubl_u8(b, a)), 7);
    return vaddq_s16(vshlq_n_s16(widen(a), 7), vqrdmulhq_s16(step, wy));
}

/* Levels in 16-bit lanes. */
static inline int16x8_t blend_columns(int16x8_t left, int16x8_t right, int16x8_t wx)
{
    return vrshrq_n_s16(vaddq_s16(left, vqrdmulhq_s16(vsubq_s16(right, left), wx)), 7);
}

static inline uint8x8_t load_4x2(const uint8_t *p, const uint8_t *q)
{
    uint32_t a, b;
    memcpy(&a, p, 4);
    memcpy(&b, q, 4);
    return vcreate_u8((uint64_t)a | (uint64_t)b << 32);
}

/* One pixel of three or four channels: its levels in the first lanes. */
#define ONE_PIXEL(a, b, wx, wy, LANES, out)                                                        \
    do {                                                                                           \
        const int16x8_t v_ = blend_rows(vld1_u8(a), vld1_u8(b), wy);                               \
        (out) = vqmovun_s16(blend_columns(v_, vextq_s16(v_, v_, LANES), vdupq_n_s16(wx)));         \
    } while (0)

/* Two pixels of two channels; the levels are in the lanes 0 1 and 4 5. */
static inline uint8x8_t two_pixels(uint8x8_t a, uint8x8_t b, int16_t wx0, int16_t wx1, int16x8_t wy)
{
    const int16x8_t v = blend_rows(a, b, wy);
    const int16x8_t right = vreinterpretq_s16_u64(vshrq_n_u64(vreinterpretq_u64_s16(v), 32));
    return vqmovun_s16(blend_columns(v, right, vcombine_s16(vdup_n_s16(wx0), vdup_n_s16(wx1))));
}

/* Eight pixels of one channel, from pairs left, right. */
static inline uint8x8_t eight_pixels(uint8x16_t a, uint8x16_t b, int16x8_t wx, int16x8_t wy)
{
    const uint8x8x2_t pa = vuzp_u8(vget_low_u8(a), vget_high_u8(a));
    const uint8x8x2_t pb = vuzp_u8(vget_low_u8(b), vget_high_u8(b));
    const int16x8_t left = blend_rows(pa.val[0], pb.val[0], wy);
    const int16x8_t right = blend_rows(pa.val[1], pb.val[1], wy);
    return vqmovun_s16(blend_columns(left, right, wx));
}

static inline void store_bytes(uint8_t *dst, uint8x8_t v, size_t bytes)
{
    const uint64_t bits = vget_lane_u64(vreinterpret_u64_u8(v), 0);
    memcpy(dst, &bits, bytes);
}

static inline uint16_t load_u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}

#define PAIRS_OF_8(base, offset, i)                                                                \
    vreinterpretq_u8_u16(                                                                          \
        (uint16x8_t){load_u16((base) + (offset)[i]), load_u16((base) + (offset)[(i) + 1]),         \
                     load_u16((base) + (offset)[(i) + 2]), load_u16((base) + (offset)[(i) + 3]),   \
                     load_u16((base) + (offset)[(i) + 4]), load_u16((base) + (offset)[(i) + 5]),   \
                     load_u16((base) + (offset)[(i) + 6]), load_u16((base) + (offset)[(i) + 7])})

/* ---- rows ------------------------------------------------------------------------------ */

#define REST(c, i)                                                                                 \
    const nnd_bilinear_columns rest = {columns->offset + (i), columns->weight + (i),               \
                                       columns->count - (i),  0,                                   \
                                       columns->row_bytes,    columns->step};                      \
    nnd_bilinear_u8c##c##_reference(dst + (c) * (i), row0, row1, wy, &rest, blended)

void nnd_bilinear_u8c1_neon(uint8_t *dst, const uint8_t *row0, const uint8_t *row1, int16_t wy,
                            const nnd_bilinear_columns *columns, int16_t *blended)
{
    const int16x8_t vy = vdupq_n_s16(wy);
    const int32_t *offset = columns->offset;
    size_t i = 0;
    for (; i + 8 <= columns->safe; i += 8)
        vst1_u8(dst + i, eight_pixels(PAIRS_OF_8(row0, offset, i), PAIRS_OF_8(row1, offset, i),
                                      vld1q_s16(columns->weight + i), vy));
    REST(1, i);
}

void nnd_bilinear_u8c2_neon(uint8_t *dst, const uint8_t *row0, const uint8_t *row1, int16_t wy,
                            const nnd_bilinear_columns *columns, int16_t *blended)
{
    const int16x8_t vy = vdupq_n_s16(wy);
    const int32_t *offset = columns->offset;
    const int16_t *w = columns->weight;
    size_t i = 0;
    for (; i + 2 <= columns->safe; i += 2) {
        const uint8x8_t level =
            two_pixels(load_4x2(row0 + offset[i], row0 + offset[i + 1]),
                       load_4x2(row1 + offset[i], row1 + offset[i + 1]), w[i], w[i + 1], vy);
        store_bytes(dst + 2 * i, level, 2);
        store_bytes(dst + 2 * i + 2, vext_u8(level, level, 4), 2);
    }
    REST(2, i);
}

void nnd_bilinear_u8c3_neon(uint8_t *dst, const uint8_t *row0, const uint8_t *row1, int16_t wy,
                            const nnd_bilinear_columns *columns, int16_t *blended)
{
    const int16x8_t vy = vdupq_n_s16(wy);
    size_t i = 0;
    for (; i < columns->safe; i++) {
        uint8x8_t level;
        ONE_PIXEL(row0 + columns->offset[i], row1 + columns->offset[i], columns->weight[i], vy, 3,
                  level);
        store_bytes(dst + 3 * i, level, 3);
    }
    REST(3, i);
}

void nnd_bilinear_u8c4_neon(uint8_t *dst, const uint8_t *row0, const uint8_t *row1, int16_t wy,
                            const nnd_bilinear_columns *columns, int16_t *blended)
{
    const int16x8_t vy = vdupq_n_s16(wy);
    size_t i = 0;
    for (; i < columns->safe; i++) {
        uint8x8_t level;
        ONE_PIXEL(row0 + columns->offset[i], row1 + columns->offset[i], columns->weight[i], vy, 4,
                  level);
        store_bytes(dst + 4 * i, level, 4);
    }
    REST(4, i);
}

/* ---- points ---------------------------------------------------------------------------- */

void nnd_points_u8c1_neon(uint8_t *dst, const uint8_t *src, int64_t stride, const int64_t *offset,
                          const int16_t *wx, const int16_t *wy, size_t count)
{
    const uint8_t *lower = src + stride;
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        vst1_u8(dst + i, eight_pixels(PAIRS_OF_8(src, offset, i), PAIRS_OF_8(lower, offset, i),
                                      vld1q_s16(wx + i), vld1q_s16(wy + i)));
    nnd_points_u8c1_reference(dst + i, src, stride, offset + i, wx + i, wy + i, count - i);
}

void nnd_points_u8c2_neon(uint8_t *dst, const uint8_t *src, int64_t stride, const int64_t *offset,
                          const int16_t *wx, const int16_t *wy, size_t count)
{
    const uint8_t *lower = src + stride;
    size_t i = 0;
    for (; i + 2 <= count; i += 2) {
        const int16x8_t vy = vcombine_s16(vdup_n_s16(wy[i]), vdup_n_s16(wy[i + 1]));
        const uint8x8_t level =
            two_pixels(load_4x2(src + offset[i], src + offset[i + 1]),
                       load_4x2(lower + offset[i], lower + offset[i + 1]), wx[i], wx[i + 1], vy);
        store_bytes(dst + 2 * i, level, 2);
        store_bytes(dst + 2 * i + 2, vext_u8(level, level, 4), 2);
    }
    nnd_points_u8c2_reference(dst + 2 * i, src, stride, offset + i, wx + i, wy + i, count - i);
}

void nnd_points_u8c3_neon(uint8_t *dst, const uint8_t *src, int64_t stride, const int64_t *offset,
                          const int16_t *wx, const int16_t *wy, size_t count)
{
    const uint8_t *lower = src + stride;
    for (size_t i = 0; i < count; i++) {
        uint8x8_t level;
        ONE_PIXEL(src + offset[i], lower + offset[i], wx[i], vdupq_n_s16(wy[i]), 3, level);
        store_bytes(dst + 3 * i, level, 3);
    }
}

void nnd_points_u8c4_neon(uint8_t *dst, const uint8_t *src, int64_t stride, const int64_t *offset,
                          const int16_t *wx, const int16_t *wy, size_t count)
{
    const uint8_t *lower = src + stride;
    for (size_t i = 0; i < count; i++) {
        uint8x8_t level;
        ONE_PIXEL(src + offset[i], lower + offset[i], wx[i], vdupq_n_s16(wy[i]), 4, level);
        store_bytes(dst + 4 * i, level, 4);
    }
}

/* ---- sums ------------------------------------------------------------------------------ */

void nnd_rows_u8_neon(int16_t *dst, const uint8_t *const *rows, const int16_t *weight, int taps,
                      size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        int32x4_t low = vdupq_n_s32(128), high = low;
        for (int k = 0; k < taps; k++) {
            const int16x8_t v = widen(vld1_u8(rows[k] + i));
            low = vmlal_n_s16(low, vget_low_s16(v), weight[k]);
            high = vmlal_n_s16(high, vget_high_s16(v), weight[k]);
        }
        vst1q_s16(dst + i, vcombine_s16(vqshrn_n_s32(low, 8), vqshrn_n_s32(high, 8)));
    }
    const uint8_t *rest[NND_KERNEL_MAX_TAPS];
    for (int k = 0; k < taps; k++)
        rest[k] = rows[k] + i;
    nnd_rows_u8_reference(dst + i, rest, weight, taps, count - i);
}

static inline void store_sum(uint8_t *dst, int32x4_t sum, size_t channels)
{
    const int16x4_t words = vqmovn_s32(vshrq_n_s32(sum, 20));
    store_bytes(dst, vqmovun_s16(vcombine_s16(words, words)), channels);
}

#define COLUMNS(c)                                                                                 \
    void nnd_columns_u8c##c##_neon(uint8_t *dst, const int16_t *src, const int32_t *start,         \
                                   const int16_t *weight, int taps, size_t count, size_t safe)     \
    {                                                                                              \
        size_t i = 0;                                                                              \
        for (; i < safe; i++) {                                                                    \
            const int16_t *p = src + (size_t)start[i] * (c), *w = weight + i * (size_t)taps;       \
            int32x4_t sum = vdupq_n_s32(1 << 19);                                                  \
            for (int k = 0; k < taps; k++, p += (c))                                               \
                sum = vmlal_n_s16(sum, vld1_s16(p), w[k]);                                         \
            store_sum(dst + i * (c), sum, c);                                                      \
        }                                                                                          \
        nnd_columns_u8c##c##_reference(dst + i * (c), src, start + i, weight + i * (size_t)taps,   \
                                       taps, count - i, 0);                                        \
    }

COLUMNS(2)
COLUMNS(3)
COLUMNS(4)

void nnd_columns_u8c1_neon(uint8_t *dst, const int16_t *src, const int32_t *start,
                           const int16_t *weight, int taps, size_t count, size_t safe)
{
    (void)safe;
    for (size_t i = 0; i < count; i++) {
        const int16_t *p = src + start[i], *w = weight + i * (size_t)taps;
        int32x4_t sum = vdupq_n_s32(0);
        int k = 0;
        for (; k + 4 <= taps; k += 4)
            sum = vmlal_s16(sum, vld1_s16(p + k), vld1_s16(w + k));
        int32_t total = vaddvq_s32(sum) + (1 << 19);
        for (; k < taps; k++)
            total += p[k] * w[k];
        total >>= 20;
        dst[i] = (uint8_t)(total < 0 ? 0 : total > 255 ? 255 : total);
    }
}
