/* Interpolation in plain C; see kernels.h for the arithmetic. */
#include "ops/kernels/fixed.h"
#include "ops/kernels/reference/reference.h"

#define BILINEAR(c)                                                                                \
    void nnd_bilinear_u8c##c##_reference(uint8_t *dst, const uint8_t *row0, const uint8_t *row1,   \
                                         int16_t wy, const nnd_bilinear_columns *columns,          \
                                         int16_t *blended)                                         \
    {                                                                                              \
        (void)blended;                                                                             \
        for (size_t i = 0; i < columns->count; i++) {                                              \
            const uint8_t *a = row0 + columns->offset[i], *b = row1 + columns->offset[i];          \
            for (int k = 0; k < (c); k++)                                                          \
                dst[i * (c) + (size_t)k] = nnd_fixed_bilinear(a[k], a[k + (c)], b[k], b[k + (c)],  \
                                                              columns->weight[i], wy);             \
        }                                                                                          \
    }                                                                                              \
    void nnd_points_u8c##c##_reference(uint8_t *dst, const uint8_t *src, int64_t stride,           \
                                       const int64_t *offset, const int16_t *wx,                   \
                                       const int16_t *wy, size_t count)                            \
    {                                                                                              \
        for (size_t i = 0; i < count; i++) {                                                       \
            const uint8_t *a = src + offset[i], *b = a + stride;                                   \
            for (int k = 0; k < (c); k++)                                                          \
                dst[i * (c) + (size_t)k] =                                                         \
                    nnd_fixed_bilinear(a[k], a[k + (c)], b[k], b[k + (c)], wx[i], wy[i]);          \
        }                                                                                          \
    }                                                                                              \
    void nnd_columns_u8c##c##_reference(uint8_t *dst, const int16_t *src, const int32_t *start,    \
                                        const int16_t *weight, int taps, size_t count,             \
                                        size_t safe)                                               \
    {                                                                                              \
        (void)safe;                                                                                \
        for (size_t i = 0; i < count; i++) {                                                       \
            const int16_t *s = src + (size_t)start[i] * (c), *w = weight + i * (size_t)taps;       \
            int32_t sum[c];                                                                        \
            for (int k = 0; k < (c); k++)                                                          \
                sum[k] = 1 << 19;                                                                  \
            for (int t = 0; t < taps; t++)                                                         \
                for (int k = 0; k < (c); k++)                                                      \
                    sum[k] += s[t * (c) + k] * w[t];                                               \
            for (int k = 0; k < (c); k++)                                                          \
                dst[i * (c) + (size_t)k] = nnd_fixed_clamp8(sum[k] >> 20);                         \
        }                                                                                          \
    }

BILINEAR(1)
BILINEAR(2)
BILINEAR(3)
BILINEAR(4)

void nnd_rows_u8_reference(int16_t *dst, const uint8_t *const *rows, const int16_t *weight,
                           int taps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int32_t sum = 128;
        for (int k = 0; k < taps; k++)
            sum += rows[k][i] * weight[k];
        dst[i] = (int16_t)nnd_fixed_clamp16(sum >> 8);
    }
}
