/* Levels in float with AVX-512; the ends of rows are masked where channels keep their order. */
#include <immintrin.h>

#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx512.h"

static inline __mmask16 lanes(size_t left)
{
    return (__mmask16)(left >= 16 ? 0xffff : (1u << left) - 1);
}

static inline __m512 scale(__m512 level, __m512 mul, __m512 add)
{
    return _mm512_add_ps(_mm512_mul_ps(level, mul), add);
}

/* ---- order of channels ----------------------------------------------------------------- */

/* Planes that are wanted, moved on by i elements. */
static inline void planes_from(float *rest[4], float *const *plane, int channels, size_t i)
{
    for (int c = 0; c < channels; c++)
        rest[c] = plane[c] ? plane[c] + i : NULL;
}

static inline void store_plane(float *plane, size_t i, __m512 level, float mul, float add)
{
    if (plane) _mm512_storeu_ps(plane + i, scale(level, _mm512_set1_ps(mul), _mm512_set1_ps(add)));
}

void nnd_planar_f32c1_avx512(float *const *plane, const float *src, size_t count, const float *mul,
                             const float *add)
{
    const __m512 m = _mm512_set1_ps(mul[0]), a = _mm512_set1_ps(add[0]);
    for (size_t i = 0; i < count; i += 16) {
        const __mmask16 mask = lanes(count - i);
        _mm512_mask_storeu_ps(plane[0] + i, mask,
                              scale(_mm512_maskz_loadu_ps(mask, src + i), m, a));
    }
}

static inline __m512i count_up(void)
{
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

/* Picks elements 0 … 47 out of three vectors: first those below 32, then the others. */
typedef struct pick_48 {
    __m512i low, high;
} pick_48;

static inline pick_48 pick_of(__m512i element)
{
    const __mmask16 beyond = _mm512_cmpge_epi32_mask(element, _mm512_set1_epi32(32));
    return (pick_48){element,
                     _mm512_mask_sub_epi32(count_up(), beyond, element, _mm512_set1_epi32(16))};
}

static inline __m512 pick(pick_48 index, __m512 a, __m512 b, __m512 c)
{
    return _mm512_permutex2var_ps(_mm512_permutex2var_ps(a, index.low, b), index.high, c);
}

void nnd_planar_f32c3_avx512(float *const *plane, const float *src, size_t count, const float *mul,
                             const float *add)
{
    const __m512i three = _mm512_mullo_epi32(count_up(), _mm512_set1_epi32(3));
    const pick_48 channel[3] = {pick_of(three),
                                pick_of(_mm512_add_epi32(three, _mm512_set1_epi32(1))),
                                pick_of(_mm512_add_epi32(three, _mm512_set1_epi32(2)))};
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const float *p = src + 3 * i;
        const __m512 a = _mm512_loadu_ps(p), b = _mm512_loadu_ps(p + 16),
                     c = _mm512_loadu_ps(p + 32);
        for (int k = 0; k < 3; k++)
            store_plane(plane[k], i, pick(channel[k], a, b, c), mul[k], add[k]);
    }
    float *rest[4];
    planes_from(rest, plane, 3, i);
    nnd_planar_f32c3_reference(rest, src + 3 * i, count - i, mul, add);
}

/* Four by four elements, in each lane. */
static inline void transpose(__m512 v[4])
{
    const __m512 a = _mm512_unpacklo_ps(v[0], v[1]), b = _mm512_unpackhi_ps(v[0], v[1]);
    const __m512 c = _mm512_unpacklo_ps(v[2], v[3]), d = _mm512_unpackhi_ps(v[2], v[3]);
    v[0] = _mm512_shuffle_ps(a, c, 0x44);
    v[1] = _mm512_shuffle_ps(a, c, 0xEE);
    v[2] = _mm512_shuffle_ps(b, d, 0x44);
    v[3] = _mm512_shuffle_ps(b, d, 0xEE);
}

/* Rows and columns of a four by four table of elements exchanged: what the transpose of lanes
   leaves to be done. */
static inline __m512i across_lanes(void)
{
    return _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
}

void nnd_planar_f32c4_avx512(float *const *plane, const float *src, size_t count, const float *mul,
                             const float *add)
{
    const __m512i order = across_lanes();
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m512 v[4];
        for (int k = 0; k < 4; k++)
            v[k] = _mm512_loadu_ps(src + 4 * i + 16 * k);
        transpose(v);
        for (int c = 0; c < 4; c++)
            store_plane(plane[c], i, _mm512_permutexvar_ps(order, v[c]), mul[c], add[c]);
    }
    float *rest[4];
    planes_from(rest, plane, 4, i);
    nnd_planar_f32c4_reference(rest, src + 4 * i, count - i, mul, add);
}

void nnd_packed_f32_avx512(float *dst, const float *src, size_t count, const float mul[48],
                           const float add[48])
{
    size_t phase = 0;
    for (size_t i = 0; i < count; i += 16) {
        const __mmask16 mask = lanes(count - i);
        _mm512_mask_storeu_ps(dst + i, mask,
                              scale(_mm512_maskz_loadu_ps(mask, src + i),
                                    _mm512_loadu_ps(mul + phase), _mm512_loadu_ps(add + phase)));
        phase = phase == 32 ? 0 : phase + 16;
    }
}

/* Element n of 48 is pixel n / 3 of plane n % 3. */
static inline pick_48 pick_interleaved(int first)
{
    const __m512i n = _mm512_add_epi32(count_up(), _mm512_set1_epi32(first));
    const __m512i pixel =
        _mm512_srli_epi32(_mm512_mullo_epi32(n, _mm512_set1_epi32(43691)), 17); /* n / 3 */
    const __m512i plane = _mm512_sub_epi32(n, _mm512_mullo_epi32(pixel, _mm512_set1_epi32(3)));
    return pick_of(_mm512_add_epi32(pixel, _mm512_slli_epi32(plane, 4)));
}

void nnd_interleave_f32c3_avx512(float *dst, const float *const *plane, size_t count)
{
    const pick_48 part[3] = {pick_interleaved(0), pick_interleaved(16), pick_interleaved(32)};
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m512 a = _mm512_loadu_ps(plane[0] + i), b = _mm512_loadu_ps(plane[1] + i),
                     c = _mm512_loadu_ps(plane[2] + i);
        for (int k = 0; k < 3; k++)
            _mm512_storeu_ps(dst + 3 * i + 16 * k, pick(part[k], a, b, c));
    }
    const float *const rest[3] = {plane[0] + i, plane[1] + i, plane[2] + i};
    nnd_interleave_f32c3_reference(dst + 3 * i, rest, count - i);
}

void nnd_interleave_f32c4_avx512(float *dst, const float *const *plane, size_t count)
{
    const __m512i order = across_lanes();
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m512 v[4];
        for (int c = 0; c < 4; c++)
            v[c] = _mm512_permutexvar_ps(order, _mm512_loadu_ps(plane[c] + i));
        transpose(v);
        for (int k = 0; k < 4; k++)
            _mm512_storeu_ps(dst + 4 * i + 16 * k, v[k]);
    }
    const float *const rest[4] = {plane[0] + i, plane[1] + i, plane[2] + i, plane[3] + i};
    nnd_interleave_f32c4_reference(dst + 4 * i, rest, count - i);
}

void nnd_gray_f32_avx512(float *dst, const float *const *plane, size_t count, const float weight[3])
{
    for (size_t i = 0; i < count; i += 16) {
        const __mmask16 mask = lanes(count - i);
        __m512 product[3];
        for (int k = 0; k < 3; k++)
            product[k] =
                _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, plane[k] + i), _mm512_set1_ps(weight[k]));
        _mm512_mask_storeu_ps(dst + i, mask,
                              _mm512_add_ps(_mm512_add_ps(product[0], product[1]), product[2]));
    }
}

/* ---- conversions ----------------------------------------------------------------------- */

void nnd_row_f16_to_f32_avx512(float *dst, const uint16_t *src, size_t count)
{
    for (size_t i = 0; i < count; i += 16) {
        const __mmask16 mask = lanes(count - i);
        _mm512_mask_storeu_ps(dst + i, mask,
                              _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, src + i)));
    }
}

/* The maximum's second operand wins against NaN. */
static inline __m512 clamp(__m512 level, __m512 max)
{
    return _mm512_min_ps(_mm512_max_ps(level, _mm512_setzero_ps()), max);
}

void nnd_f32_to_u8_avx512(uint8_t *dst, const float *src, size_t count)
{
    const __m512 max = _mm512_set1_ps(255.0f);
    for (size_t i = 0; i < count; i += 16) {
        const __mmask16 mask = lanes(count - i);
        const __m512i v = _mm512_cvtps_epi32(clamp(_mm512_maskz_loadu_ps(mask, src + i), max));
        _mm_mask_storeu_epi8(dst + i, mask, _mm512_cvtepi32_epi8(v));
    }
}

void nnd_f32_to_u16_avx512(uint16_t *dst, const float *src, size_t count)
{
    const __m512 max = _mm512_set1_ps(65535.0f);
    for (size_t i = 0; i < count; i += 16) {
        const __mmask16 mask = lanes(count - i);
        const __m512i v = _mm512_cvtps_epi32(clamp(_mm512_maskz_loadu_ps(mask, src + i), max));
        _mm256_mask_storeu_epi16(dst + i, mask, _mm512_cvtepi32_epi16(v));
    }
}

void nnd_u16_to_f32_avx512(float *dst, const uint16_t *src, size_t count)
{
    for (size_t i = 0; i < count; i += 16) {
        const __mmask16 mask = lanes(count - i);
        const __m512i v = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, src + i));
        _mm512_mask_storeu_ps(dst + i, mask, _mm512_cvtepi32_ps(v));
    }
}

void nnd_clamp_f32_avx512(float *dst, const float *src, size_t count, float max)
{
    for (size_t i = 0; i < count; i += 16) {
        const __mmask16 mask = lanes(count - i);
        _mm512_mask_storeu_ps(dst + i, mask,
                              clamp(_mm512_maskz_loadu_ps(mask, src + i), _mm512_set1_ps(max)));
    }
}
