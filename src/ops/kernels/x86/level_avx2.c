/* Levels in float with AVX2: scaling, order of channels, conversions. */
#include <immintrin.h>

#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx2.h"

static inline __m256 scale(__m256 level, __m256 mul, __m256 add)
{
    return _mm256_add_ps(_mm256_mul_ps(level, mul), add);
}

/* ---- order of channels ----------------------------------------------------------------- */

/* Four elements at p in the low half, four at q in the high one. */
static inline __m256 load_2x4(const float *p, const float *q)
{
    return _mm256_set_m128(_mm_loadu_ps(q), _mm_loadu_ps(p));
}

static inline void store_2x4(float *p, float *q, __m256 v)
{
    _mm_storeu_ps(p, _mm256_castps256_ps128(v));
    _mm_storeu_ps(q, _mm256_extractf128_ps(v, 1));
}

/* Planes that are wanted, moved on by i elements. */
static inline void planes_from(float *rest[4], float *const *plane, int channels, size_t i)
{
    for (int c = 0; c < channels; c++)
        rest[c] = plane[c] ? plane[c] + i : NULL;
}

static inline void store_plane(float *plane, size_t i, __m256 level, float mul, float add)
{
    if (plane) _mm256_storeu_ps(plane + i, scale(level, _mm256_set1_ps(mul), _mm256_set1_ps(add)));
}

void nnd_planar_f32c1_avx2(float *const *plane, const float *src, size_t count, const float *mul,
                           const float *add)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        store_plane(plane[0], i, _mm256_loadu_ps(src + i), mul[0], add[0]);
    float *const rest = plane[0] + i;
    nnd_planar_f32c1_reference(&rest, src + i, count - i, mul, add);
}

void nnd_planar_f32c3_avx2(float *const *plane, const float *src, size_t count, const float *mul,
                           const float *add)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        /* Of four pixels: 0 1 2 0 | 1 2 0 1 | 2 0 1 2. */
        const float *p = src + 3 * i;
        const __m256 a = load_2x4(p, p + 12), b = load_2x4(p + 4, p + 16),
                     c = load_2x4(p + 8, p + 20);
        const __m256 first = _mm256_blend_ps(_mm256_blend_ps(a, b, 0x44), c, 0x22);
        const __m256 second = _mm256_blend_ps(_mm256_blend_ps(b, a, 0x22), c, 0x44);
        const __m256 third = _mm256_blend_ps(_mm256_blend_ps(c, b, 0x22), a, 0x44);
        store_plane(plane[0], i, _mm256_permute_ps(first, 0x6C), mul[0], add[0]);
        store_plane(plane[1], i, _mm256_permute_ps(second, 0xB1), mul[1], add[1]);
        store_plane(plane[2], i, _mm256_permute_ps(third, 0xC6), mul[2], add[2]);
    }
    float *rest[4];
    planes_from(rest, plane, 3, i);
    nnd_planar_f32c3_reference(rest, src + 3 * i, count - i, mul, add);
}

/* Four by four elements, in each half. */
static inline void transpose(__m256 v[4])
{
    const __m256 a = _mm256_unpacklo_ps(v[0], v[1]), b = _mm256_unpackhi_ps(v[0], v[1]);
    const __m256 c = _mm256_unpacklo_ps(v[2], v[3]), d = _mm256_unpackhi_ps(v[2], v[3]);
    v[0] = _mm256_shuffle_ps(a, c, 0x44);
    v[1] = _mm256_shuffle_ps(a, c, 0xEE);
    v[2] = _mm256_shuffle_ps(b, d, 0x44);
    v[3] = _mm256_shuffle_ps(b, d, 0xEE);
}

void nnd_planar_f32c4_avx2(float *const *plane, const float *src, size_t count, const float *mul,
                           const float *add)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const float *p = src + 4 * i;
        __m256 v[4] = {load_2x4(p, p + 16), load_2x4(p + 4, p + 20), load_2x4(p + 8, p + 24),
                       load_2x4(p + 12, p + 28)};
        transpose(v);
        for (int c = 0; c < 4; c++)
            store_plane(plane[c], i, v[c], mul[c], add[c]);
    }
    float *rest[4];
    planes_from(rest, plane, 4, i);
    nnd_planar_f32c4_reference(rest, src + 4 * i, count - i, mul, add);
}

void nnd_packed_f32_avx2(float *dst, const float *src, size_t count, const float mul[48],
                         const float add[48])
{
    size_t i = 0;
    for (; i + 48 <= count; i += 48)
        for (size_t k = 0; k < 48; k += 8)
            _mm256_storeu_ps(dst + i + k,
                             scale(_mm256_loadu_ps(src + i + k), _mm256_loadu_ps(mul + k),
                                   _mm256_loadu_ps(add + k)));
    nnd_packed_f32_reference(dst + i, src + i, count - i, mul, add);
}

void nnd_interleave_f32c3_avx2(float *dst, const float *const *plane, size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m256 first = _mm256_permute_ps(_mm256_loadu_ps(plane[0] + i), 0x6C);
        const __m256 second = _mm256_permute_ps(_mm256_loadu_ps(plane[1] + i), 0xB1);
        const __m256 third = _mm256_permute_ps(_mm256_loadu_ps(plane[2] + i), 0xC6);
        float *p = dst + 3 * i;
        store_2x4(p, p + 12, _mm256_blend_ps(_mm256_blend_ps(first, second, 0x22), third, 0x44));
        store_2x4(p + 4, p + 16,
                  _mm256_blend_ps(_mm256_blend_ps(second, third, 0x22), first, 0x44));
        store_2x4(p + 8, p + 20,
                  _mm256_blend_ps(_mm256_blend_ps(third, first, 0x22), second, 0x44));
    }
    const float *const rest[3] = {plane[0] + i, plane[1] + i, plane[2] + i};
    nnd_interleave_f32c3_reference(dst + 3 * i, rest, count - i);
}

void nnd_interleave_f32c4_avx2(float *dst, const float *const *plane, size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        float *p = dst + 4 * i;
        __m256 v[4];
        for (int c = 0; c < 4; c++)
            v[c] = _mm256_loadu_ps(plane[c] + i);
        transpose(v);
        for (int k = 0; k < 4; k++)
            store_2x4(p + 4 * k, p + 16 + 4 * k, v[k]);
    }
    const float *const rest[4] = {plane[0] + i, plane[1] + i, plane[2] + i, plane[3] + i};
    nnd_interleave_f32c4_reference(dst + 4 * i, rest, count - i);
}

void nnd_gray_f32_avx2(float *dst, const float *const *plane, size_t count, const float weight[3])
{
    const __m256 w0 = _mm256_set1_ps(weight[0]), w1 = _mm256_set1_ps(weight[1]),
                 w2 = _mm256_set1_ps(weight[2]);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m256 two = _mm256_add_ps(_mm256_mul_ps(_mm256_loadu_ps(plane[0] + i), w0),
                                         _mm256_mul_ps(_mm256_loadu_ps(plane[1] + i), w1));
        _mm256_storeu_ps(dst + i,
                         _mm256_add_ps(two, _mm256_mul_ps(_mm256_loadu_ps(plane[2] + i), w2)));
    }
    const float *const rest[3] = {plane[0] + i, plane[1] + i, plane[2] + i};
    nnd_gray_f32_reference(dst + i, rest, count - i, weight);
}

/* ---- conversions ----------------------------------------------------------------------- */

void nnd_row_f16_to_f32_avx2(float *dst, const uint16_t *src, size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(
            dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(src + i))));
    nnd_row_f16_to_f32_reference(dst + i, src + i, count - i);
}

/* The maximum's second operand wins against NaN. */
static inline __m256 clamp(__m256 level, __m256 max)
{
    return _mm256_min_ps(_mm256_max_ps(level, _mm256_setzero_ps()), max);
}

void nnd_f32_to_u16_avx2(uint16_t *dst, const float *src, size_t count)
{
    const __m256 max = _mm256_set1_ps(65535.0f);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m256i v = _mm256_cvtps_epi32(clamp(_mm256_loadu_ps(src + i), max));
        _mm_storeu_si128(
            (__m128i *)(void *)(dst + i),
            _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
    }
    nnd_f32_to_u16_reference(dst + i, src + i, count - i);
}

void nnd_u16_to_f32_avx2(float *dst, const uint16_t *src, size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(dst + i, _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(
                                      _mm_loadu_si128((const __m128i *)(const void *)(src + i)))));
    nnd_u16_to_f32_reference(dst + i, src + i, count - i);
}

void nnd_clamp_f32_avx2(float *dst, const float *src, size_t count, float max)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(dst + i, clamp(_mm256_loadu_ps(src + i), _mm256_set1_ps(max)));
    nnd_clamp_f32_reference(dst + i, src + i, count - i, max);
}
