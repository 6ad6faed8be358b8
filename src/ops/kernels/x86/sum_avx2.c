/* Interpolation in float with AVX2; see kernels.h for the arithmetic. */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx2.h"

static inline __m256 load_8_u8(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(
        _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}

static inline __m256 load_8_u16(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)));
}

static inline __m256 load_8_f32(const void *p)
{
    return _mm256_loadu_ps((const float *)p);
}

/* a · x + b · y, each product rounded. */
static inline __m256 blend_8(__m256 a, __m256 x, __m256 b, __m256 y)
{
    return _mm256_add_ps(_mm256_mul_ps(a, x), _mm256_mul_ps(b, y));
}

static inline __m128 blend_4(__m128 a, __m128 x, __m128 b, __m128 y)
{
    return _mm_add_ps(_mm_mul_ps(a, x), _mm_mul_ps(b, y));
}

/* ---- rows ------------------------------------------------------------------------------ */

#define VECTORS 4 /* sums at a time, which hides how long an addition takes */

#define SUM_ROWS(type, T)                                                                          \
    void nnd_sum_rows_##type##_avx2(float *sum, const void *const *rows, const float *weight,      \
                                    int taps, size_t count, bool first)                            \
    {                                                                                              \
        size_t i = 0;                                                                              \
        for (; i + 8 * VECTORS <= count; i += 8 * VECTORS) {                                       \
            __m256 s[VECTORS];                                                                     \
            for (size_t v = 0; v < VECTORS; v++)                                                   \
                s[v] = first ? _mm256_set1_ps(-0.0f) : _mm256_loadu_ps(sum + i + 8 * v);           \
            for (int k = 0; k < taps; k++) {                                                       \
                const T *row = (const T *)rows[k] + i;                                             \
                const __m256 w = _mm256_set1_ps(weight[k]);                                        \
                for (size_t v = 0; v < VECTORS; v++)                                               \
                    s[v] = _mm256_add_ps(s[v], _mm256_mul_ps(load_8_##type(row + 8 * v), w));      \
            }                                                                                      \
            for (size_t v = 0; v < VECTORS; v++)                                                   \
                _mm256_storeu_ps(sum + i + 8 * v, s[v]);                                           \
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

/* Four elements each of eight lines, pixels 0 … 3 in the low halves: out[k] has element k of all.
 */
#define LOAD_8X4(at, out)                                                                          \
    do {                                                                                           \
        const __m256 a_ = _mm256_set_m128(_mm_loadu_ps(at(4)), _mm_loadu_ps(at(0)));               \
        const __m256 b_ = _mm256_set_m128(_mm_loadu_ps(at(5)), _mm_loadu_ps(at(1)));               \
        const __m256 c_ = _mm256_set_m128(_mm_loadu_ps(at(6)), _mm_loadu_ps(at(2)));               \
        const __m256 d_ = _mm256_set_m128(_mm_loadu_ps(at(7)), _mm_loadu_ps(at(3)));               \
        const __m256 ab_ = _mm256_unpacklo_ps(a_, b_), cd_ = _mm256_unpacklo_ps(c_, d_);           \
        const __m256 ef_ = _mm256_unpackhi_ps(a_, b_), gh_ = _mm256_unpackhi_ps(c_, d_);           \
        (out)[0] = _mm256_shuffle_ps(ab_, cd_, 0x44);                                              \
        (out)[1] = _mm256_shuffle_ps(ab_, cd_, 0xEE);                                              \
        (out)[2] = _mm256_shuffle_ps(ef_, gh_, 0x44);                                              \
        (out)[3] = _mm256_shuffle_ps(ef_, gh_, 0xEE);                                              \
    } while (0)

static inline __m128 load_2x2(const float *p, const float *q)
{
    return _mm_castsi128_ps(_mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)(const void *)p),
                                               _mm_loadl_epi64((const __m128i *)(const void *)q)));
}

/* Two taps: weights of a pixel lie side by side, as its levels do. */
static size_t two_columns(float *dst, const float *src, const int32_t *start, const float *weight,
                          size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const int32_t *s = start + i;
        const __m256 a =
            _mm256_set_m128(load_2x2(src + s[4], src + s[5]), load_2x2(src + s[0], src + s[1]));
        const __m256 b =
            _mm256_set_m128(load_2x2(src + s[6], src + s[7]), load_2x2(src + s[2], src + s[3]));
        const __m256 v = _mm256_loadu_ps(weight + 2 * i), w = _mm256_loadu_ps(weight + 2 * i + 8);
        const __m256 x = _mm256_permute2f128_ps(v, w, 0x20), y = _mm256_permute2f128_ps(v, w, 0x31);
        _mm256_storeu_ps(dst + i,
                         blend_8(_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(x, y, 0x88),
                                 _mm256_shuffle_ps(a, b, 0xDD), _mm256_shuffle_ps(x, y, 0xDD)));
    }
    return i;
}

static size_t many_columns(float *dst, const float *src, const int32_t *start, const float *weight,
                           int taps, size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 sum = _mm256_set1_ps(-0.0f);
        for (int k = 0; k < taps; k += 4) {
            __m256 level[4], w[4];
#define LEVELS_AT(n)  (src + start[i + (n)] + k)
#define WEIGHTS_AT(n) (weight + (i + (n)) * (size_t)taps + (size_t)k)
            LOAD_8X4(LEVELS_AT, level);
            LOAD_8X4(WEIGHTS_AT, w);
            for (int t = 0; t < 4 && k + t < taps; t++)
                sum = _mm256_add_ps(sum, _mm256_mul_ps(level[t], w[t]));
        }
        _mm256_storeu_ps(dst + i, sum);
    }
    return i;
}

void nnd_sum_columns_c1_avx2(float *dst, const float *src, const int32_t *start,
                             const float *weight, int taps, size_t count)
{
    const size_t i = taps == 2 ? two_columns(dst, src, start, weight, count)
                               : many_columns(dst, src, start, weight, taps, count);
    nnd_sum_columns_c1_reference(dst + i, src, start + i, weight + i * (size_t)taps, taps,
                                 count - i);
}

/* Two channels: two pixels per vector. */
void nnd_sum_columns_c2_avx2(float *dst, const float *src, const int32_t *start,
                             const float *weight, int taps, size_t count)
{
    size_t i = 0;
    for (; i + 2 <= count; i += 2) {
        const float *p = src + 2 * (size_t)start[i], *q = src + 2 * (size_t)start[i + 1];
        const float *v = weight + i * (size_t)taps, *w = v + taps;
        __m128 sum = _mm_set1_ps(-0.0f);
        for (int k = 0; k < taps; k++) {
            const __m128 two = _mm_setr_ps(v[k], v[k], w[k], w[k]);
            sum = _mm_add_ps(sum, _mm_mul_ps(load_2x2(p + 2 * k, q + 2 * k), two));
        }
        _mm_storeu_ps(dst + 2 * i, sum);
    }
    nnd_sum_columns_c2_reference(dst + 2 * i, src, start + i, weight + i * (size_t)taps, taps,
                                 count - i);
}

/* Three or four channels: one pixel per vector. BEHIND: pixels that the store of one touches. */
#define SUM_COLUMNS(c, BEHIND)                                                                     \
    void nnd_sum_columns_c##c##_avx2(float *dst, const float *src, const int32_t *start,           \
                                     const float *weight, int taps, size_t count)                  \
    {                                                                                              \
        size_t i = 0;                                                                              \
        for (; i + (BEHIND) < count; i++) {                                                        \
            const float *p = src + (size_t)start[i] * (c), *w = weight + i * (size_t)taps;         \
            __m128 sum = _mm_mul_ps(_mm_loadu_ps(p), _mm_set1_ps(w[0]));                           \
            for (int k = 1; k < taps; k++)                                                         \
                sum = _mm_add_ps(sum, _mm_mul_ps(_mm_loadu_ps(p + k * (c)), _mm_set1_ps(w[k])));   \
            _mm_storeu_ps(dst + i * (c), sum);                                                     \
        }                                                                                          \
        nnd_sum_columns_c##c##_reference(dst + i * (c), src, start + i, weight + i * (size_t)taps, \
                                         taps, count - i);                                         \
    }

SUM_COLUMNS(3, 1)
SUM_COLUMNS(4, 0)

/* ---- points ---------------------------------------------------------------------------- */

static inline __m256 load_8_weights(const int16_t *w)
{
    const __m256i words = _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(const void *)w));
    return _mm256_mul_ps(_mm256_cvtepi32_ps(words), _mm256_set1_ps(1.0f / 32768));
}

static inline __m256 rest_of(__m256 w)
{
    return _mm256_sub_ps(_mm256_set1_ps(1.0f), w);
}

typedef struct pairs_8 {
    __m256 left, right;
} pairs_8;

static inline int32_t load_i32(const uint8_t *p)
{
    int32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline pairs_8 pairs_u16(const uint8_t *base, const int64_t *offset)
{
    const __m256i both = _mm256_setr_epi32(load_i32(base + offset[0]), load_i32(base + offset[1]),
                                           load_i32(base + offset[2]), load_i32(base + offset[3]),
                                           load_i32(base + offset[4]), load_i32(base + offset[5]),
                                           load_i32(base + offset[6]), load_i32(base + offset[7]));
    return (pairs_8){_mm256_cvtepi32_ps(_mm256_and_si256(both, _mm256_set1_epi32(0xffff))),
                     _mm256_cvtepi32_ps(_mm256_srli_epi32(both, 16))};
}

static inline pairs_8 pairs_f32(const uint8_t *base, const int64_t *offset)
{
#define FLOATS_AT(n) ((const float *)(const void *)(base + offset[n]))
    const __m256 a =
        _mm256_set_m128(load_2x2(FLOATS_AT(4), FLOATS_AT(5)), load_2x2(FLOATS_AT(0), FLOATS_AT(1)));
    const __m256 b =
        _mm256_set_m128(load_2x2(FLOATS_AT(6), FLOATS_AT(7)), load_2x2(FLOATS_AT(2), FLOATS_AT(3)));
    return (pairs_8){_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xDD)};
}

static inline void store_8_u16(uint16_t *dst, __m256 level)
{
    const __m256i v = _mm256_cvtps_epi32(level);
    _mm_storeu_si128((__m128i *)(void *)dst,
                     _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
}

static inline void store_4_u16(uint16_t *dst, __m128 level)
{
    const __m128i v = _mm_cvtps_epi32(level);
    _mm_storel_epi64((__m128i *)(void *)dst, _mm_packus_epi32(v, v));
}

#define POINTS_1(type, T, store)                                                                   \
    void nnd_points_##type##c1_avx2(T *dst, const uint8_t *src, int64_t stride,                    \
                                    const int64_t *offset, const int16_t *wx, const int16_t *wy,   \
                                    size_t count)                                                  \
    {                                                                                              \
        size_t i = 0;                                                                              \
        for (; i + 8 <= count; i += 8) {                                                           \
            const pairs_8 a = pairs_##type(src, offset + i),                                       \
                          b = pairs_##type(src + stride, offset + i);                              \
            const __m256 x = load_8_weights(wx + i), y = load_8_weights(wy + i);                   \
            const __m256 rest = rest_of(y);                                                        \
            const __m256 left = blend_8(a.left, rest, b.left, y),                                  \
                         right = blend_8(a.right, rest, b.right, y);                               \
            store(dst + i, blend_8(left, rest_of(x), right, x));                                   \
        }                                                                                          \
        nnd_points_##type##c1_reference(dst + i, src, stride, offset + i, wx + i, wy + i,          \
                                        count - i);                                                \
    }

POINTS_1(u16, uint16_t, store_8_u16)
POINTS_1(f32, float, _mm256_storeu_ps)

/* Three or four channels: a point and its right neighbour in one vector per row. */
static inline __m128 right_3(__m256 v)
{
    return _mm256_castps256_ps128(
        _mm256_permutevar8x32_ps(v, _mm256_setr_epi32(3, 4, 5, 6, 3, 4, 5, 6)));
}

static inline __m128 right_4(__m256 v)
{
    return _mm256_extractf128_ps(v, 1);
}

#define POINTS(type, T, n, BEHIND, store)                                                          \
    void nnd_points_##type##c##n##_avx2(T *dst, const uint8_t *src, int64_t stride,                \
                                        const int64_t *offset, const int16_t *wx,                  \
                                        const int16_t *wy, size_t count)                           \
    {                                                                                              \
        size_t i = 0;                                                                              \
        for (; i + (BEHIND) < count; i++) {                                                        \
            const uint8_t *p = src + offset[i];                                                    \
            const float x = (float)wx[i] * (1.0f / 32768), y = (float)wy[i] * (1.0f / 32768);      \
            const __m256 v = blend_8(load_8_##type(p), _mm256_set1_ps(1 - y),                      \
                                     load_8_##type(p + stride), _mm256_set1_ps(y));                \
            store(dst + (n)*i, blend_4(_mm256_castps256_ps128(v), _mm_set1_ps(1 - x),              \
                                       right_##n(v), _mm_set1_ps(x)));                             \
        }                                                                                          \
        nnd_points_##type##c##n##_reference(dst + (n)*i, src, stride, offset + i, wx + i, wy + i,  \
                                            count - i);                                            \
    }

POINTS(u16, uint16_t, 3, 1, store_4_u16)
POINTS(u16, uint16_t, 4, 0, store_4_u16)
POINTS(f32, float, 3, 1, _mm_storeu_ps)
POINTS(f32, float, 4, 0, _mm_storeu_ps)

/* ---- places ---------------------------------------------------------------------------- */

/* m0 · x + m1 · y + m2, with the last two terms' factors given for the row. */
static inline __m256d map_4(__m256d cx, const double *m, double cy)
{
    const __m256d along = _mm256_mul_pd(_mm256_set1_pd(m[0]), cx);
    return _mm256_add_pd(_mm256_add_pd(along, _mm256_set1_pd(m[1] * cy)), _mm256_set1_pd(m[2]));
}

/* The low 32 bits of four 64-bit lanes. */
static inline __m128i low_halves(__m256i v)
{
    return _mm256_castsi256_si128(
        _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6)));
}

static inline void store_places(int32_t *whole, int16_t *rest, __m256d place,
                                const nnd_warp_map *map)
{
    /* The maximum's second operand wins against NaN. */
    place = _mm256_max_pd(_mm256_add_pd(place, _mm256_set1_pd(map->shift)),
                          _mm256_set1_pd(-NND_PLACE_FAR));
    place = _mm256_min_pd(place, _mm256_set1_pd(NND_PLACE_FAR));
    const __m256d biased =
        _mm256_floor_pd(_mm256_add_pd(_mm256_mul_pd(place, _mm256_set1_pd(1 << NND_PLACE_BITS)),
                                      _mm256_set1_pd(NND_PLACE_BIAS + map->round)));
    /* Added to 2⁵², a whole number is what the mantissa holds. */
    const __m256i fixed = _mm256_castpd_si256(_mm256_add_pd(biased, _mm256_set1_pd(0x1p52)));
    /* The bias is 2³¹ pixels: the sign bit turned round. */
    _mm_storeu_si128((__m128i *)(void *)whole,
                     _mm_xor_si128(low_halves(_mm256_srli_epi64(fixed, NND_PLACE_BITS)),
                                   _mm_set1_epi32(INT32_MIN)));
    const __m128i below =
        _mm_and_si128(low_halves(fixed), _mm_set1_epi32((1 << NND_PLACE_BITS) - 1));
    _mm_storel_epi64((__m128i *)(void *)rest, _mm_packs_epi32(below, below));
}

void nnd_places_avx2(const nnd_places *out, const nnd_warp_map *map, int x, int y, size_t count)
{
    const double cy = y + 0.5;
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const __m256d cx =
            _mm256_add_pd(_mm256_set1_pd(x + (double)i + 0.5), _mm256_setr_pd(0, 1, 2, 3));
        __m256d u = map_4(cx, map->m, cy), v = map_4(cx, map->m + 3, cy);
        if (map->perspective) {
            const __m256d w = map_4(cx, map->m + 6, cy);
            u = _mm256_div_pd(u, w);
            v = _mm256_div_pd(v, w);
        }
        store_places(out->x + i, out->wx + i, u, map);
        store_places(out->y + i, out->wy + i, v, map);
    }
    const nnd_places rest = {out->x + i, out->y + i, out->wx + i, out->wy + i};
    nnd_places_reference(&rest, map, x + (int)i, y, count - i);
}
