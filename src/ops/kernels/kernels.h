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

#include <stddef.h>
#include <stdint.h>

#include "base/isa.h"

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
} nnd_bilinear_columns;

/* The longest fixed-point sum; more taps would lose precision in Q14. */
#define NND_KERNEL_MAX_TAPS 64

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
    /* Gray of 3 or 4 interleaved channels; weights Q15 of the first three, sum 2¹⁵. */
    void (*gray_u8c3)(uint8_t *dst, const uint8_t *src, size_t count, const int16_t weight[3]);
    void (*gray_u8c4)(uint8_t *dst, const uint8_t *src, size_t count, const int16_t weight[3]);
    /* Exchanges the first and the third channel. dst may be src. */
    void (*swap_u8c3)(uint8_t *dst, const uint8_t *src, size_t count);
    void (*swap_u8c4)(uint8_t *dst, const uint8_t *src, size_t count);

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
    /* Conversions of a run; to u8 rounds to even and clamps, NaN gives 0. */
    void (*f32_to_f16)(uint16_t *dst, const float *src, size_t count);
    void (*f32_to_u8)(uint8_t *dst, const float *src, size_t count);
} nnd_ops_kernels;

extern const nnd_ops_kernels nnd_ops_kernels_reference;
extern const nnd_ops_kernels nnd_ops_kernels_avx2;
extern const nnd_ops_kernels nnd_ops_kernels_avx512;
extern const nnd_ops_kernels nnd_ops_kernels_neon;

/* The best table not above nnd_isa_current(). */
const nnd_ops_kernels *nnd_ops_kernels_get(void);

#endif
