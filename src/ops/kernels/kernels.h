/*
 * The inner loops of the operators, one table per instruction set. Every table gives the same bits
 * as the reference: u8 arithmetic is fixed point, float arithmetic multiplies and adds in a fixed
 * order without fused operations.
 *
 * Fixed point of the u8 interpolation: levels are Q7 in int16 (0 … 32640), weights Q15 (0 … 32767),
 * products round as (a · b + 2¹⁴) >> 15, which is one instruction on x86 (pmulhrsw) and ARM
 * (sqrdmulh). Rows are blended first, columns second.
 *
 * Fixed point of longer kernels (bicubic, area, Lanczos): weights Q14 in int16 that sum to 2¹⁴; the
 * sum over rows is rounded to Q6 in int16, the sum over columns to levels.
 */
#ifndef NND_OPS_KERNELS_H
#define NND_OPS_KERNELS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "base/isa.h"
#include "nndeploy/data.h"

/* YUV → RGB of one matrix and range: r = y·cy + v·crv, g = y·cy − u·cgu − v·cgv, b = y·cy + u·cbu
   with y = Y − y_offset (not below 0), u = U − 128, v = V − 128. cy is Q14 and multiplies y << 7,
   the others are Q13 and multiply u << 8 and v << 8; products and saturating sums are Q6. */
typedef struct nnd_yuv_coef {
    uint8_t y_offset;
    int16_t cy, crv, cgu, cgv, cbu;
} nnd_yuv_coef;

/* The columns of a bilinear resize: byte offset of the left pixel and the right one's weight.
   `safe`: the leading pixels for which NND_BILINEAR_READ bytes may be read there. */
#define NND_BILINEAR_READ(channels) ((channels) <= 2 ? 4 : 8)
typedef struct nnd_bilinear_columns {
    const int32_t *offset;
    const int16_t *weight;
    size_t count, safe;
    size_t row_bytes; /* of a source row */
    int32_t step;     /* the most that an offset is behind the one before it; they ascend */
} nnd_bilinear_columns;

/* The columns of a nearest resize: the source pixel of each one of `count`, of `bytes` bytes. Where
   every 16 bytes of the destination lie within `windows` times 16 bytes of the source, from
   window[] on and not behind the end of the row, index[] is the place of each byte in there; else
   windows is 0. */
#define NND_NEAREST_BLOCK   16
#define NND_NEAREST_WINDOWS 4
typedef struct nnd_nearest_columns {
    const int32_t *start;
    size_t count, bytes;
    int windows;
    const int32_t *window; /* of each whole block of the destination */
    const uint8_t *index;  /* of each byte of those */
} nnd_nearest_columns;

/* The longest fixed-point sum; more taps would lose precision in Q14. */
#define NND_KERNEL_MAX_TAPS 64

/* Weights of the first three channels in Q15, RGB → U and V. */
typedef struct nnd_chroma_coef {
    int16_t u[3], v[3];
} nnd_chroma_coef;

/* Levels from one range to another: (max(level − below, 0) · mul + 2¹³) / 2¹⁴ + above, at most 255.
 */
typedef struct nnd_level_range {
    uint8_t below, above;
    int16_t mul;
} nnd_level_range;

/* Channel k of a pixel of `to` channels is channel[k] of one of `from`, or 255 where that is −1. */
typedef struct nnd_channel_order {
    int from, to;
    int channel[4];
} nnd_channel_order;

/* How many rows sum_rows takes at once. */
#define NND_SUM_ROWS 8
/* Elements behind a line of sum_columns, and behind its weights, that may be read. */
#define NND_SUM_COLUMNS_READ 4
/* Elements that may be read from a point of points_u16 and points_f32 on. */
#define NND_POINTS_READ(channels) ((channels) == 1 ? 2 : 8)

/* Where the pixels of a warp come from: u = (m0 x + m1 y + m2), v = (m3 x + m4 y + m5), both over
   (m6 x + m7 y + m8) when perspective, of the pixel's centre; plus shift, in 2⁻¹⁵ pixels, plus
   round, rounded down. Places beyond ±2³⁰ are put there, NaN at −2³⁰. */
#define NND_PLACE_BITS 15
#define NND_PLACE_FAR  0x1p30
#define NND_PLACE_BIAS 0x1p46 /* makes all of them positive, so that truncation rounds down */
typedef struct nnd_warp_map {
    double m[9];
    bool perspective;
    double shift, round;
} nnd_warp_map;
/* Whole pixels and what is left over, of a run of pixels. */
typedef struct nnd_places {
    int32_t *x, *y;
    int16_t *wx, *wy;
} nnd_places;

/* Element types of images, as the index of a table. */
typedef enum nnd_level_type {
    NND_LEVEL_U8,
    NND_LEVEL_U16,
    NND_LEVEL_F32,
    NND_LEVEL_TYPES
} nnd_level_type;
static inline nnd_level_type nnd_level_type_of(nnd_dtype dtype)
{
    return dtype == NND_U8 ? NND_LEVEL_U8 : dtype == NND_U16 ? NND_LEVEL_U16 : NND_LEVEL_F32;
}

/* Pixels of `bytes` bytes whose rows become columns: (x, y) of dst, width × height, is (y, x) of
   src. Strides may be negative. */
typedef struct nnd_transposition {
    uint8_t *dst;
    int64_t dst_stride;
    const uint8_t *src;
    int64_t src_stride;
    size_t width, height, bytes;
} nnd_transposition;

/* The partial sums of exp_f32. */
#define NND_EXP_LANES 16

/* Boxes by side, none of them NaN. */
typedef struct nnd_box_columns {
    float *x1, *y1, *x2, *y2;
    int32_t *class_id;
    size_t count;
} nnd_box_columns;

/* Elements that may be read behind the period of first_above. */
#define NND_BOUNDS_READ 16
/* The numbers of a cell of first_product_above: four of a box, that of an object, the classes. */
#define NND_CELL_OBJECT  4
#define NND_CELL_CLASSES 5

/* The geometric mean of two scores, each put into 0 … 1, NaN to 0. */
static inline float nnd_score_mean(float a, float b)
{
    const float x = a > 1 ? 1 : a > 0 ? a : 0, y = b > 1 ? 1 : b > 0 ? b : 0;
    return sqrtf(x * y);
}

typedef struct nnd_ops_kernels {
    const char *name;

    /* Interpolates one row between row0 and row1 (wy: weight of row1). Index: channels − 1. Where
       most of the source is looked at, blending whole rows first is faster than pixel by pixel and
       gives the same bits: `blended` is room for row_bytes elements and 64 more bytes. */
    void (*bilinear_u8[4])(uint8_t *dst, const uint8_t *row0, const uint8_t *row1, int16_t wy,
                           const nnd_bilinear_columns *columns, int16_t *blended);
    /* Interpolates at scattered points: the upper left pixel at src + offset[i], its lower
       neighbour `stride` bytes on; NND_BILINEAR_READ bytes may be read at both. */
    void (*points_u8[4])(uint8_t *dst, const uint8_t *src, int64_t stride, const int64_t *offset,
                         const int16_t *wx, const int16_t *wy, size_t count);

    /* dst pixel i = src pixel start[i]. */
    void (*nearest)(uint8_t *dst, const uint8_t *src, const nnd_nearest_columns *columns);

    /* dst[i] = Σ rows[k][i] · weight[k], Q14 → Q6. */
    void (*rows_u8)(int16_t *dst, const uint8_t *const *rows, const int16_t *weight, int taps,
                    size_t count);
    /* dst pixel i = Σ src[(start[i] + k) pixels] · weight[i · taps + k], Q6 → u8. Index: channels −
       1. `safe`: the leading pixels behind whose last tap at least 8 more elements may be read. */
    void (*columns_u8[4])(uint8_t *dst, const int16_t *src, const int32_t *start,
                          const int16_t *weight, int taps, size_t count, size_t safe);

    /* A row of `count` pixels; uv holds (count + 1)/2 pairs. bgr: order of the three bytes. */
    void (*nv12_to_rgb)(uint8_t *dst, const uint8_t *y, const uint8_t *uv, size_t count,
                        const nnd_yuv_coef *coef, bool bgr);
    /* Gray or luma of 3 or 4 interleaved channels: Σ level · weight + above; weights Q15 of the
       first three channels, not negative, and such that the result is at most 255. */
    void (*gray_u8c3)(uint8_t *dst, const uint8_t *src, size_t count, const int16_t weight[3],
                      uint8_t above);
    void (*gray_u8c4)(uint8_t *dst, const uint8_t *src, size_t count, const int16_t weight[3],
                      uint8_t above);
    /* Pairs U, V of the means of 2 × 2 pixels, or of 2 × 1 where lower is NULL; an odd last column
       stands alone. */
    void (*chroma_u8c3)(uint8_t *uv, const uint8_t *upper, const uint8_t *lower, size_t count,
                        const nnd_chroma_coef *coef);
    void (*chroma_u8c4)(uint8_t *uv, const uint8_t *upper, const uint8_t *lower, size_t count,
                        const nnd_chroma_coef *coef);
    void (*range_u8)(uint8_t *dst, const uint8_t *src, size_t count, const nnd_level_range *range);
    /* src[2i], src[2i + 1] ↔ even[i], odd[i]. */
    void (*split_u8)(uint8_t *even, uint8_t *odd, const uint8_t *src, size_t count);
    void (*merge_u8)(uint8_t *dst, const uint8_t *even, const uint8_t *odd, size_t count);
    /* Exchanges the first and the third channel. dst may be src. */
    void (*swap_u8c3)(uint8_t *dst, const uint8_t *src, size_t count);
    void (*swap_u8c4)(uint8_t *dst, const uint8_t *src, size_t count);

    /* Any other order and number of channels. */
    void (*order_u8)(uint8_t *dst, const uint8_t *src, size_t count,
                     const nnd_channel_order *order);
    /* The pixels of 1 to 16 bytes from the last one to the first. */
    void (*reverse_u8)(uint8_t *dst, const uint8_t *src, size_t count, size_t bytes);
    void (*transpose)(const nnd_transposition *job);

    /* Between three levels of a colour space and pixels of 3 or 4 channels, red first or, bgr,
       last; an alpha written is 255. HSV is rounded to even from exact quotients; YCrCb is Q14. */
    void (*rgb_to_hsv_u8)(uint8_t *dst, const uint8_t *src, size_t count, int channels, bool bgr);
    void (*hsv_to_rgb_u8)(uint8_t *dst, const uint8_t *src, size_t count, int channels, bool bgr);
    void (*rgb_to_ycrcb_u8)(uint8_t *dst, const uint8_t *src, size_t count, int channels, bool bgr);
    void (*ycrcb_to_rgb_u8)(uint8_t *dst, const uint8_t *src, size_t count, int channels, bool bgr);

    /* plane[c][i] = src channel c of pixel i · mul[c] + add[c]; a NULL plane is left out. */
    void (*planar_u8c1)(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                        const float *add);
    void (*planar_u8c3)(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                        const float *add);
    void (*planar_u8c4)(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                        const float *add);
    /* dst[i] = src[i] · mul[i mod 48] + add[i mod 48]: interleaved output of 1, 3 or 4 channels. */
    void (*packed_u8)(float *dst, const uint8_t *src, size_t count, const float mul[48],
                      const float add[48]);
    /* The same of f32 levels. planar_f32c1 and packed_f32 also in place. */
    void (*planar_f32c1)(float *const *plane, const float *src, size_t count, const float *mul,
                         const float *add);
    void (*planar_f32c3)(float *const *plane, const float *src, size_t count, const float *mul,
                         const float *add);
    void (*planar_f32c4)(float *const *plane, const float *src, size_t count, const float *mul,
                         const float *add);
    void (*packed_f32)(float *dst, const float *src, size_t count, const float mul[48],
                       const float add[48]);
    /* dst[c · i + k] = plane[k][i]; planes may be the same ones. */
    void (*interleave_f32c3)(float *dst, const float *const *plane, size_t count);
    void (*interleave_f32c4)(float *dst, const float *const *plane, size_t count);
    /* dst[i] = plane[0][i] · weight[0] + plane[1][i] · weight[1] + plane[2][i] · weight[2]. */
    void (*gray_f32)(float *dst, const float *const *plane, size_t count, const float weight[3]);
    /* Conversions of a run; to u8 and u16 rounds to even and clamps, NaN gives 0. */
    void (*f32_to_f16)(uint16_t *dst, const float *src, size_t count);
    void (*f16_to_f32)(float *dst, const uint16_t *src, size_t count);
    void (*f32_to_u8)(uint8_t *dst, const float *src, size_t count);
    void (*f32_to_u16)(uint16_t *dst, const float *src, size_t count);
    void (*u16_to_f32)(float *dst, const uint16_t *src, size_t count);
    /* Into 0 … max, NaN to 0; dst may be src. */
    void (*clamp_f32)(float *dst, const float *src, size_t count, float max);

    /* Interpolation in float, for levels or kernels that the fixed point cannot hold. Products are
       added in the order of the taps.
       sum[i] = (first ? 0 : sum[i]) + Σ rows[k][i] · weight[k], at most NND_SUM_ROWS taps. Index:
       nnd_level_type of the rows. */
    void (*sum_rows[NND_LEVEL_TYPES])(float *sum, const void *const *rows, const float *weight,
                                      int taps, size_t count, bool first);
    /* dst pixel i = Σ src[(start[i] + k) pixels] · weight[i · taps + k]. Index: channels − 1. */
    void (*sum_columns[4])(float *dst, const float *src, const int32_t *start, const float *weight,
                           int taps, size_t count);
    /* As points_u8: offsets and stride in bytes, weights in 2⁻¹⁵, rows blended first. u16 rounds to
       even. Index: channels − 1; images have no two channels. */
    void (*points_u16[4])(uint16_t *dst, const uint8_t *src, int64_t stride, const int64_t *offset,
                          const int16_t *wx, const int16_t *wy, size_t count);
    void (*points_f32[4])(float *dst, const uint8_t *src, int64_t stride, const int64_t *offset,
                          const int16_t *wx, const int16_t *wy, size_t count);
    /* The places of the pixels (x, y) … (x + count − 1, y). */
    void (*places)(const nnd_places *out, const nnd_warp_map *map, int x, int y, size_t count);

    /* The largest element, −inf of none, NaN when one is NaN. */
    float (*top_f32)(const float *src, size_t count);
    /* dst[i] = e^(src[i] − top), which is finite and not less than any src[i]; returns the sum,
       made in NND_EXP_LANES of which element i belongs to i mod NND_EXP_LANES. dst may be src. */
    double (*exp_f32)(float *dst, const float *src, size_t count, float top);
    /* The first of the boxes from `from` on that is of the class and shares an area with the box
       (x1, y1, x2, y2); count if none does. */
    size_t (*touching)(const nnd_box_columns *boxes, size_t from, const float box[4],
                       int32_t class_id);

    /* What a detection head has to say is mostly nothing: the first element from `from` on that
       says something, count if none does. NaN is above nothing.
       src[i] > bound[i mod period], of at least NND_BOUNDS_READ elements; bound goes on for as
       many in the same way. */
    size_t (*first_above)(const float *src, size_t from, size_t count, const float *bound,
                          size_t period);
    /* nnd_score_mean(a[i], b[i]) > bound. */
    size_t (*first_mean_above)(const float *a, const float *b, size_t from, size_t count,
                               float bound);
    /* Cells of `step` numbers of which that of the object times the largest of the classes, −inf
       when all are NaN, is > bound. */
    size_t (*first_product_above)(const float *cells, size_t step, size_t from, size_t count,
                                  float bound);
    /* The index of the largest element, the first of equals; NaN is none, count if there is no
       other. */
    size_t (*best_f32)(const float *src, size_t count);
} nnd_ops_kernels;

extern const nnd_ops_kernels nnd_ops_kernels_reference;
extern const nnd_ops_kernels nnd_ops_kernels_avx2;
extern const nnd_ops_kernels nnd_ops_kernels_avx512;
extern const nnd_ops_kernels nnd_ops_kernels_neon;

/* The kernels that every instruction set has under the same name, with its own suffix. */
#define NND_DECLARE_POINTS(type, T, n, isa)                                                        \
    void nnd_points_##type##c##n##_##isa(T *dst, const uint8_t *src, int64_t stride,               \
                                         const int64_t *offset, const int16_t *wx,                 \
                                         const int16_t *wy, size_t count)
#define NND_DECLARE_SUM_ROWS(type, isa)                                                            \
    void nnd_sum_rows_##type##_##isa(float *sum, const void *const *rows, const float *weight,     \
                                     int taps, size_t count, bool first)
#define NND_DECLARE_SUM_COLUMNS(c, isa)                                                            \
    void nnd_sum_columns_c##c##_##isa(float *dst, const float *src, const int32_t *start,          \
                                      const float *weight, int taps, size_t count)
#define NND_DECLARE_FLOAT_KERNELS(isa)                                                             \
    void nnd_planar_f32c1_##isa(float *const *plane, const float *src, size_t count,               \
                                const float *mul, const float *add);                               \
    void nnd_planar_f32c3_##isa(float *const *plane, const float *src, size_t count,               \
                                const float *mul, const float *add);                               \
    void nnd_planar_f32c4_##isa(float *const *plane, const float *src, size_t count,               \
                                const float *mul, const float *add);                               \
    void nnd_packed_f32_##isa(float *dst, const float *src, size_t count, const float mul[48],     \
                              const float add[48]);                                                \
    void nnd_interleave_f32c3_##isa(float *dst, const float *const *plane, size_t count);          \
    void nnd_interleave_f32c4_##isa(float *dst, const float *const *plane, size_t count);          \
    void nnd_gray_f32_##isa(float *dst, const float *const *plane, size_t count,                   \
                            const float weight[3]);                                                \
    void nnd_row_f16_to_f32_##isa(float *dst, const uint16_t *src, size_t count);                  \
    void nnd_f32_to_u16_##isa(uint16_t *dst, const float *src, size_t count);                      \
    void nnd_u16_to_f32_##isa(float *dst, const uint16_t *src, size_t count);                      \
    void nnd_clamp_f32_##isa(float *dst, const float *src, size_t count, float max);               \
    NND_DECLARE_SUM_ROWS(u8, isa);                                                                 \
    NND_DECLARE_SUM_ROWS(u16, isa);                                                                \
    NND_DECLARE_SUM_ROWS(f32, isa);                                                                \
    NND_DECLARE_SUM_COLUMNS(1, isa);                                                               \
    NND_DECLARE_SUM_COLUMNS(2, isa);                                                               \
    NND_DECLARE_SUM_COLUMNS(3, isa);                                                               \
    NND_DECLARE_SUM_COLUMNS(4, isa);                                                               \
    NND_DECLARE_POINTS(u16, uint16_t, 1, isa);                                                     \
    NND_DECLARE_POINTS(u16, uint16_t, 3, isa);                                                     \
    NND_DECLARE_POINTS(u16, uint16_t, 4, isa);                                                     \
    NND_DECLARE_POINTS(f32, float, 1, isa);                                                        \
    NND_DECLARE_POINTS(f32, float, 3, isa);                                                        \
    NND_DECLARE_POINTS(f32, float, 4, isa);                                                        \
    void nnd_places_##isa(const nnd_places *out, const nnd_warp_map *map, int x, int y,            \
                          size_t count);                                                           \
    float nnd_top_f32_##isa(const float *src, size_t count);                                       \
    double nnd_exp_f32_##isa(float *dst, const float *src, size_t count, float top);               \
    size_t nnd_touching_##isa(const nnd_box_columns *boxes, size_t from, const float box[4],       \
                              int32_t class_id);                                                   \
    size_t nnd_first_above_##isa(const float *src, size_t from, size_t count, const float *bound,  \
                                 size_t period);                                                   \
    size_t nnd_first_mean_above_##isa(const float *a, const float *b, size_t from, size_t count,   \
                                      float bound);                                                \
    size_t nnd_first_product_above_##isa(const float *cells, size_t step, size_t from,             \
                                         size_t count, float bound);                               \
    size_t nnd_best_f32_##isa(const float *src, size_t count)
#define NND_DECLARE_SPACE(name, isa)                                                               \
    void nnd_##name##_u8_##isa(uint8_t *dst, const uint8_t *src, size_t count, int channels,       \
                               bool bgr)
#define NND_DECLARE_PIXEL_KERNELS(isa)                                                             \
    void nnd_gray_u8c3_##isa(uint8_t *dst, const uint8_t *src, size_t count,                       \
                             const int16_t weight[3], uint8_t above);                              \
    void nnd_gray_u8c4_##isa(uint8_t *dst, const uint8_t *src, size_t count,                       \
                             const int16_t weight[3], uint8_t above);                              \
    void nnd_chroma_u8c3_##isa(uint8_t *uv, const uint8_t *upper, const uint8_t *lower,            \
                               size_t count, const nnd_chroma_coef *coef);                         \
    void nnd_chroma_u8c4_##isa(uint8_t *uv, const uint8_t *upper, const uint8_t *lower,            \
                               size_t count, const nnd_chroma_coef *coef);                         \
    void nnd_range_u8_##isa(uint8_t *dst, const uint8_t *src, size_t count,                        \
                            const nnd_level_range *range);                                         \
    void nnd_order_u8_##isa(uint8_t *dst, const uint8_t *src, size_t count,                        \
                            const nnd_channel_order *order);                                       \
    void nnd_reverse_u8_##isa(uint8_t *dst, const uint8_t *src, size_t count, size_t bytes);       \
    void nnd_transpose_##isa(const nnd_transposition *job);                                        \
    void nnd_nearest_##isa(uint8_t *dst, const uint8_t *src, const nnd_nearest_columns *columns);  \
    NND_DECLARE_SPACE(rgb_to_hsv, isa);                                                            \
    NND_DECLARE_SPACE(hsv_to_rgb, isa);                                                            \
    NND_DECLARE_SPACE(rgb_to_ycrcb, isa);                                                          \
    NND_DECLARE_SPACE(ycrcb_to_rgb, isa);                                                          \
    void nnd_split_u8_##isa(uint8_t *even, uint8_t *odd, const uint8_t *src, size_t count);        \
    void nnd_merge_u8_##isa(uint8_t *dst, const uint8_t *even, const uint8_t *odd, size_t count)

/* The best table not above nnd_isa_current(). */
const nnd_ops_kernels *nnd_ops_kernels_get(void);

#endif
