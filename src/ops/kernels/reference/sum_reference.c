/* Interpolation in float, in plain C; see kernels.h for the arithmetic. */
#include <math.h>
#include <string.h>

#include "ops/kernels/reference/reference.h"

#define SUM_ROWS(type, T)                                                                          \
    void nnd_sum_rows_##type##_reference(float *sum, const void *const *rows, const float *weight, \
                                         int taps, size_t count, bool first)                       \
    {                                                                                              \
        /* By rows, which is what compilers can turn into vectors. Adding to −0 changes nothing. \
         */                                                                                        \
        for (size_t i = 0; first && i < count; i++)                                                \
            sum[i] = -0.0f;                                                                        \
        for (int k = 0; k < taps; k++) {                                                           \
            const T *row = rows[k];                                                                \
            for (size_t i = 0; i < count; i++)                                                     \
                sum[i] += (float)row[i] * weight[k];                                               \
        }                                                                                          \
    }

SUM_ROWS(u8, uint8_t)
SUM_ROWS(u16, uint16_t)
SUM_ROWS(f32, float)

#define SUM_COLUMNS(c)                                                                             \
    void nnd_sum_columns_c##c##_reference(float *dst, const float *src, const int32_t *start,      \
                                          const float *weight, int taps, size_t count)             \
    {                                                                                              \
        for (size_t i = 0; i < count; i++) {                                                       \
            const float *s = src + (size_t)start[i] * (c), *w = weight + i * (size_t)taps;         \
            float sum[c];                                                                          \
            for (int k = 0; k < (c); k++)                                                          \
                sum[k] = s[k] * w[0];                                                              \
            for (int t = 1; t < taps; t++)                                                         \
                for (int k = 0; k < (c); k++)                                                      \
                    sum[k] += s[t * (c) + k] * w[t];                                               \
            for (int k = 0; k < (c); k++)                                                          \
                dst[i * (c) + (size_t)k] = sum[k];                                                 \
        }                                                                                          \
    }

SUM_COLUMNS(1)
SUM_COLUMNS(2)
SUM_COLUMNS(3)
SUM_COLUMNS(4)

static inline float level_u16(const uint8_t *pixel, int channel)
{
    uint16_t level;
    memcpy(&level, pixel + 2 * channel, sizeof(level));
    return (float)level;
}

static inline float level_f32(const uint8_t *pixel, int channel)
{
    float level;
    memcpy(&level, pixel + 4 * channel, sizeof(level));
    return level;
}

#define AS_U16(level) ((uint16_t)rintf(level))
#define AS_F32(level) (level)

#define POINTS(type, T, n, store)                                                                  \
    void nnd_points_##type##c##n##_reference(T *dst, const uint8_t *src, int64_t stride,           \
                                             const int64_t *offset, const int16_t *wx,             \
                                             const int16_t *wy, size_t count)                      \
    {                                                                                              \
        for (size_t i = 0; i < count; i++) {                                                       \
            const uint8_t *a = src + offset[i], *b = a + stride;                                   \
            const float x = (float)wx[i] * (1.0f / 32768), y = (float)wy[i] * (1.0f / 32768);      \
            for (int k = 0; k < (n); k++) {                                                        \
                const float left = level_##type(a, k) * (1 - y) + level_##type(b, k) * y;          \
                const float right =                                                                \
                    level_##type(a, k + (n)) * (1 - y) + level_##type(b, k + (n)) * y;             \
                dst[i * (n) + (size_t)k] = store(left * (1 - x) + right * x);                      \
            }                                                                                      \
        }                                                                                          \
    }

POINTS(u16, uint16_t, 1, AS_U16)
POINTS(u16, uint16_t, 3, AS_U16)
POINTS(u16, uint16_t, 4, AS_U16)
POINTS(f32, float, 1, AS_F32)
POINTS(f32, float, 3, AS_F32)
POINTS(f32, float, 4, AS_F32)

/* ---- places ---------------------------------------------------------------------------- */

/* A place plus the bias, in 2⁻¹⁵ pixels. */
static int64_t biased_place(double place, double round)
{
    if (!(place > -NND_PLACE_FAR)) place = -NND_PLACE_FAR; /* also NaN */
    if (place > NND_PLACE_FAR) place = NND_PLACE_FAR;
    return (int64_t)(place * (1 << NND_PLACE_BITS) + (NND_PLACE_BIAS + round));
}

void nnd_places_reference(const nnd_places *out, const nnd_warp_map *map, int x, int y,
                          size_t count)
{
    const double *m = map->m;
    const double cy = y + 0.5;
    const int64_t bias = (int64_t)NND_PLACE_BIAS, below = (1 << NND_PLACE_BITS) - 1;
    for (size_t i = 0; i < count; i++) {
        const double cx = x + (double)i + 0.5;
        double u = m[0] * cx + m[1] * cy + m[2], v = m[3] * cx + m[4] * cy + m[5];
        if (map->perspective) {
            const double w = m[6] * cx + m[7] * cy + m[8];
            u /= w;
            v /= w;
        }
        const int64_t fu = biased_place(u + map->shift, map->round),
                      fv = biased_place(v + map->shift, map->round);
        out->x[i] = (int32_t)((fu - bias) >> NND_PLACE_BITS);
        out->y[i] = (int32_t)((fv - bias) >> NND_PLACE_BITS);
        out->wx[i] = (int16_t)(fu & below);
        out->wy[i] = (int16_t)(fv & below);
    }
}
