/*
 * Interpolation in float with AVX-512. What gathers single pixels is bound by its loads and stays
 * with AVX2, except the points of three and four channels, of which two fit into a vector.
 */
#include <immintrin.h>

#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx512.h"

static inline __m512 load_16_u8(__mmask16 mask, const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, p)));
}

static inline __m512 load_16_u16(__mmask16 mask, const uint16_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, p)));
}

static inline __m512 load_16_f32(__mmask16 mask, const float *p)
{
    return _mm512_maskz_loadu_ps(mask, p);
}

/* ---- rows ------------------------------------------------------------------------------ */

#define VECTORS 4 /* sums at a time, which hides how long an addition takes */
#define ALL     ((__mmask16)0xffff)

#define SUM_ROWS(type, T)                                                                          \
    static void rest_of_rows_##type(float *sum, const void *const *rows, const float *weight,      \
                                    int taps, size_t from, size_t count, bool first)               \
    {                                                                                              \
        for (size_t i = from; i < count; i += 16) {                                                \
            const __mmask16 mask = (__mmask16)(count - i >= 16 ? ALL : (1u << (count - i)) - 1);   \
            __m512 s = first ? _mm512_set1_ps(-0.0f) : _mm512_maskz_loadu_ps(mask, sum + i);       \
            for (int k = 0; k < taps; k++)                                                         \
                s = _mm512_add_ps(s, _mm512_mul_ps(load_16_##type(mask, (const T *)rows[k] + i),   \
                                                   _mm512_set1_ps(weight[k])));                    \
            _mm512_mask_storeu_ps(sum + i, mask, s);                                               \
        }                                                                                          \
    }                                                                                              \
    void nnd_sum_rows_##type##_avx512(float *sum, const void *const *rows, const float *weight,    \
                                      int taps, size_t count, bool first)                          \
    {                                                                                              \
        size_t i = 0;                                                                              \
        for (; i + 16 * VECTORS <= count; i += 16 * VECTORS) {                                     \
            __m512 s[VECTORS];                                                                     \
            for (size_t v = 0; v < VECTORS; v++)                                                   \
                s[v] = first ? _mm512_set1_ps(-0.0f) : _mm512_loadu_ps(sum + i + 16 * v);          \
            for (int k = 0; k < taps; k++) {                                                       \
                const T *row = (const T *)rows[k] + i;                                             \
                const __m512 w = _mm512_set1_ps(weight[k]);                                        \
                for (size_t v = 0; v < VECTORS; v++)                                               \
                    s[v] =                                                                         \
                        _mm512_add_ps(s[v], _mm512_mul_ps(load_16_##type(ALL, row + 16 * v), w));  \
            }                                                                                      \
            for (size_t v = 0; v < VECTORS; v++)                                                   \
                _mm512_storeu_ps(sum + i + 16 * v, s[v]);                                          \
        }                                                                                          \
        rest_of_rows_##type(sum, rows, weight, taps, i, count, first);                             \
    }

SUM_ROWS(u8, uint8_t)
SUM_ROWS(u16, uint16_t)
SUM_ROWS(f32, float)

/* ---- points ---------------------------------------------------------------------------- */

static inline __m512 join(__m256 a, __m256 b)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(a), b, 1);
}

/* Eight elements each of two points. */
static inline __m512 points_u16(const uint8_t *p, const uint8_t *q)
{
    const __m256i both = _mm256_set_m128i(_mm_loadu_si128((const __m128i *)(const void *)q),
                                          _mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(both));
}

static inline __m512 points_f32(const uint8_t *p, const uint8_t *q)
{
    return join(_mm256_loadu_ps((const float *)(const void *)p),
                _mm256_loadu_ps((const float *)(const void *)q));
}

static inline __m512 blend_16(__m512 a, __m512 b, __m512 w)
{
    return _mm512_add_ps(_mm512_mul_ps(a, _mm512_sub_ps(_mm512_set1_ps(1.0f), w)),
                         _mm512_mul_ps(b, w));
}

/* Weights of two points over a half each. */
static inline __m512 two_weights(const int16_t *w)
{
    const float unit = 1.0f / 32768;
    return join(_mm256_set1_ps((float)w[0] * unit), _mm256_set1_ps((float)w[1] * unit));
}

/* Left pixels to the first two lanes, next to each other; the other two do not count. RIGHT: where
   the right pixel begins. */
#define PICK(n)                                                                                    \
    _mm512_setr_epi32(n, (n) + 1, (n) + 2, (n) + 3, 8 + (n), 9 + (n), 10 + (n), 11 + (n), 0, 0, 0, \
                      0, 0, 0, 0, 0)

static inline void store_2_u16(uint16_t *dst, __m256 level, size_t channels)
{
    const __m128i words = _mm256_cvtepi32_epi16(_mm256_cvtps_epi32(level));
    _mm_storel_epi64((__m128i *)(void *)dst, words);
    _mm_storel_epi64((__m128i *)(void *)(dst + channels), _mm_unpackhi_epi64(words, words));
}

static inline void store_2_f32(float *dst, __m256 level, size_t channels)
{
    _mm_storeu_ps(dst, _mm256_castps256_ps128(level));
    _mm_storeu_ps(dst + channels, _mm256_extractf128_ps(level, 1));
}

/* BEHIND: pixels that the store of one touches. */
#define POINTS(type, T, n, BEHIND)                                                                 \
    void nnd_points_##type##c##n##_avx512(T *dst, const uint8_t *src, int64_t stride,              \
                                          const int64_t *offset, const int16_t *wx,                \
                                          const int16_t *wy, size_t count)                         \
    {                                                                                              \
        const __m512i left = PICK(0), right = PICK(n);                                             \
        size_t i = 0;                                                                              \
        for (; i + 2 + (BEHIND) <= count; i += 2) {                                                \
            const uint8_t *p = src + offset[i], *q = src + offset[i + 1];                          \
            const __m512 v = blend_16(points_##type(p, q), points_##type(p + stride, q + stride),  \
                                      two_weights(wy + i));                                        \
            const __m256 a = _mm512_castps512_ps256(_mm512_permutexvar_ps(left, v)),               \
                         b = _mm512_castps512_ps256(_mm512_permutexvar_ps(right, v));              \
            const __m512 w = two_weights(wx + i);                                                  \
            const __m256 x = _mm512_castps512_ps256(_mm512_shuffle_f32x4(w, w, 0x08));             \
            const __m256 level = _mm256_add_ps(                                                    \
                _mm256_mul_ps(a, _mm256_sub_ps(_mm256_set1_ps(1.0f), x)), _mm256_mul_ps(b, x));    \
            store_2_##type(dst + (n)*i, level, n);                                                 \
        }                                                                                          \
        nnd_points_##type##c##n##_reference(dst + (n)*i, src, stride, offset + i, wx + i, wy + i,  \
                                            count - i);                                            \
    }

POINTS(u16, uint16_t, 3, 1)
POINTS(u16, uint16_t, 4, 0)
POINTS(f32, float, 3, 1)
POINTS(f32, float, 4, 0)

/* ---- places ---------------------------------------------------------------------------- */

static inline __m512d map_8(__m512d cx, const double *m, double cy)
{
    const __m512d along = _mm512_mul_pd(_mm512_set1_pd(m[0]), cx);
    return _mm512_add_pd(_mm512_add_pd(along, _mm512_set1_pd(m[1] * cy)), _mm512_set1_pd(m[2]));
}

static inline void store_places(int32_t *whole, int16_t *rest, __mmask8 mask, __m512d place,
                                const nnd_warp_map *map)
{
    /* The maximum's second operand wins against NaN. */
    place = _mm512_max_pd(_mm512_add_pd(place, _mm512_set1_pd(map->shift)),
                          _mm512_set1_pd(-NND_PLACE_FAR));
    place = _mm512_min_pd(place, _mm512_set1_pd(NND_PLACE_FAR));
    const __m512i biased =
        _mm512_cvttpd_epi64(_mm512_add_pd(_mm512_mul_pd(place, _mm512_set1_pd(1 << NND_PLACE_BITS)),
                                          _mm512_set1_pd(NND_PLACE_BIAS + map->round)));
    const __m512i fixed = _mm512_sub_epi64(biased, _mm512_set1_epi64((int64_t)NND_PLACE_BIAS));
    _mm256_mask_storeu_epi32(whole, mask,
                             _mm512_cvtepi64_epi32(_mm512_srai_epi64(fixed, NND_PLACE_BITS)));
    const __m512i below = _mm512_and_si512(fixed, _mm512_set1_epi64((1 << NND_PLACE_BITS) - 1));
    _mm_mask_storeu_epi16(rest, mask, _mm512_cvtepi64_epi16(below));
}

void nnd_places_avx512(const nnd_places *out, const nnd_warp_map *map, int x, int y, size_t count)
{
    const double cy = y + 0.5;
    for (size_t i = 0; i < count; i += 8) {
        const __mmask8 mask = (__mmask8)(count - i >= 8 ? 0xff : (1u << (count - i)) - 1);
        const __m512d cx = _mm512_add_pd(_mm512_set1_pd(x + (double)i + 0.5),
                                         _mm512_setr_pd(0, 1, 2, 3, 4, 5, 6, 7));
        __m512d u = map_8(cx, map->m, cy), v = map_8(cx, map->m + 3, cy);
        if (map->perspective) {
            const __m512d w = map_8(cx, map->m + 6, cy);
            u = _mm512_div_pd(u, w);
            v = _mm512_div_pd(v, w);
        }
        store_places(out->x + i, out->wx + i, mask, u, map);
        store_places(out->y + i, out->wy + i, mask, v, map);
    }
}
