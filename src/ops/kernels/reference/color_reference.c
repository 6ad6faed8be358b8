/* Colour conversion of rows in plain C; see kernels.h for the arithmetic. */
#include "ops/kernels/fixed.h"
#include "ops/kernels/reference/reference.h"

static uint8_t from_q6(int32_t v)
{
    return nnd_fixed_clamp8(nnd_fixed_clamp16(v + 32) >> 6);
}

void nnd_nv12_to_rgb_reference(uint8_t *dst, const uint8_t *y, const uint8_t *uv, size_t count,
                               const nnd_yuv_coef *coef, bool bgr)
{
    for (size_t i = 0; i < count; i++) {
        const int32_t above = y[i] > coef->y_offset ? y[i] - coef->y_offset : 0;
        const int32_t u = (uv[i / 2 * 2] - 128) * 256, v = (uv[i / 2 * 2 + 1] - 128) * 256;
        const int32_t luma = nnd_fixed_mul(above * 128, coef->cy);
        const int32_t r = nnd_fixed_clamp16(luma + nnd_fixed_mul(v, coef->crv));
        const int32_t g = nnd_fixed_clamp16(nnd_fixed_clamp16(luma - nnd_fixed_mul(u, coef->cgu)) -
                                            nnd_fixed_mul(v, coef->cgv));
        const int32_t b = nnd_fixed_clamp16(luma + nnd_fixed_mul(u, coef->cbu));
        dst[3 * i] = from_q6(bgr ? b : r);
        dst[3 * i + 1] = from_q6(g);
        dst[3 * i + 2] = from_q6(bgr ? r : b);
    }
}

static void gray(uint8_t *dst, const uint8_t *src, size_t count, size_t step,
                 const int16_t weight[3], uint8_t above)
{
    for (size_t i = 0; i < count; i++, src += step)
        dst[i] =
            (uint8_t)(((src[0] * weight[0] + src[1] * weight[1] + src[2] * weight[2] + 16384) >>
                       15) +
                      above);
}

void nnd_gray_u8c3_reference(uint8_t *dst, const uint8_t *src, size_t count,
                             const int16_t weight[3], uint8_t above)
{
    gray(dst, src, count, 3, weight, above);
}

void nnd_gray_u8c4_reference(uint8_t *dst, const uint8_t *src, size_t count,
                             const int16_t weight[3], uint8_t above)
{
    gray(dst, src, count, 4, weight, above);
}

/* weight · the mean of 2^log2_count summed levels, rounded, about the middle level. */
static uint8_t chroma_of(const int16_t weight[3], const int32_t sum[3], int log2_count)
{
    const int shift = 15 + log2_count;
    const int32_t v = weight[0] * sum[0] + weight[1] * sum[1] + weight[2] * sum[2];
    return nnd_fixed_clamp8(((v + (1 << (shift - 1))) >> shift) + 128);
}

static void chroma(uint8_t *uv, const uint8_t *upper, const uint8_t *lower, size_t count,
                   size_t step, const nnd_chroma_coef *coef)
{
    for (size_t i = 0; i < count; i += 2) {
        const size_t columns = i + 1 < count ? 2 : 1;
        int32_t sum[3] = {0, 0, 0};
        for (size_t at = i * step; at < (i + columns) * step; at += step)
            for (size_t k = 0; k < 3; k++)
                sum[k] += upper[at + k] + (lower ? lower[at + k] : 0);
        const int log2_count = (columns == 2 ? 1 : 0) + (lower ? 1 : 0);
        uv[i] = chroma_of(coef->u, sum, log2_count);
        uv[i + 1] = chroma_of(coef->v, sum, log2_count);
    }
}

void nnd_chroma_u8c3_reference(uint8_t *uv, const uint8_t *upper, const uint8_t *lower,
                               size_t count, const nnd_chroma_coef *coef)
{
    chroma(uv, upper, lower, count, 3, coef);
}

void nnd_chroma_u8c4_reference(uint8_t *uv, const uint8_t *upper, const uint8_t *lower,
                               size_t count, const nnd_chroma_coef *coef)
{
    chroma(uv, upper, lower, count, 4, coef);
}

void nnd_range_u8_reference(uint8_t *dst, const uint8_t *src, size_t count,
                            const nnd_level_range *range)
{
    for (size_t i = 0; i < count; i++) {
        const int32_t level = src[i] > range->below ? src[i] - range->below : 0;
        dst[i] = nnd_fixed_clamp8(((level * range->mul + 8192) >> 14) + range->above);
    }
}

void nnd_split_u8_reference(uint8_t *even, uint8_t *odd, const uint8_t *src, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        even[i] = src[2 * i];
        odd[i] = src[2 * i + 1];
    }
}

void nnd_merge_u8_reference(uint8_t *dst, const uint8_t *even, const uint8_t *odd, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        dst[2 * i] = even[i];
        dst[2 * i + 1] = odd[i];
    }
}

void nnd_swap_u8c3_reference(uint8_t *dst, const uint8_t *src, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t first = src[3 * i];
        dst[3 * i] = src[3 * i + 2];
        dst[3 * i + 1] = src[3 * i + 1];
        dst[3 * i + 2] = first;
    }
}

void nnd_swap_u8c4_reference(uint8_t *dst, const uint8_t *src, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t first = src[4 * i];
        dst[4 * i] = src[4 * i + 2];
        dst[4 * i + 1] = src[4 * i + 1];
        dst[4 * i + 2] = first;
        dst[4 * i + 3] = src[4 * i + 3];
    }
}
