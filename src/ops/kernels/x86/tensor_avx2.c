/* Levels to tensor elements with AVX2, and the table of the AVX2 kernels. */
#include <immintrin.h>

#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx2.h"

/* Eight levels as 32-bit integers → elements; multiplied and added apart, so that every
   instruction set rounds alike. */
static inline void store_elements(float *dst, __m256i level, __m256 mul, __m256 add)
{
    _mm256_storeu_ps(dst, _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(level), mul), add));
}

static inline __m256i load_8_bytes(const uint8_t *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}

void nnd_planar_u8c1_avx2(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                          const float *add)
{
    const __m256 m = _mm256_set1_ps(mul[0]), a = _mm256_set1_ps(add[0]);
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        store_elements(plane[0] + i, load_8_bytes(src + i), m, a);
    float *const rest = plane[0] + i;
    nnd_planar_u8c1_reference(&rest, src + i, count - i, mul, add);
}

/* Eight pixels of three bytes, and nothing behind them: four in the low half, four in the high half
   from its byte 4 on. */
static inline __m256i load_8x3(const uint8_t *p)
{
    return _mm256_set_m128i(_mm_loadu_si128((const __m128i *)(const void *)(p + 8)),
                            _mm_loadu_si128((const __m128i *)(const void *)p));
}

/* Picks one channel's bytes as 32-bit levels: only the lowest byte of each element names a source
   byte, the others stay negative (zero). */
static inline __m256i channel_pick(int channel)
{
    const __m256i first =
        _mm256_setr_epi8(0, -1, -1, -1, 3, -1, -1, -1, 6, -1, -1, -1, 9, -1, -1, -1, 4, -1, -1, -1,
                         7, -1, -1, -1, 10, -1, -1, -1, 13, -1, -1, -1);
    return _mm256_add_epi32(first, _mm256_set1_epi32(channel));
}

/* All three planes in one go. */
static void planar_3(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                     const float *add)
{
    const __m256i pick0 = channel_pick(0), pick1 = channel_pick(1), pick2 = channel_pick(2);
    const __m256 m0 = _mm256_set1_ps(mul[0]), m1 = _mm256_set1_ps(mul[1]),
                 m2 = _mm256_set1_ps(mul[2]);
    const __m256 a0 = _mm256_set1_ps(add[0]), a1 = _mm256_set1_ps(add[1]),
                 a2 = _mm256_set1_ps(add[2]);
    float *const p0 = plane[0], *const p1 = plane[1], *const p2 = plane[2];
    for (size_t i = 0; i + 8 <= count; i += 8) {
        const __m256i bytes = load_8x3(src + 3 * i);
        store_elements(p0 + i, _mm256_shuffle_epi8(bytes, pick0), m0, a0);
        store_elements(p1 + i, _mm256_shuffle_epi8(bytes, pick1), m1, a1);
        store_elements(p2 + i, _mm256_shuffle_epi8(bytes, pick2), m2, a2);
    }
}

static void planar_channel_3(float *dst, const uint8_t *src, size_t count, int channel, float mul,
                             float add)
{
    const __m256i pick = channel_pick(channel);
    const __m256 m = _mm256_set1_ps(mul), a = _mm256_set1_ps(add);
    for (size_t i = 0; i + 8 <= count; i += 8)
        store_elements(dst + i, _mm256_shuffle_epi8(load_8x3(src + 3 * i), pick), m, a);
}

/* Planes that are wanted, moved on by i elements. */
static inline void planes_from(float *rest[4], float *const *plane, int channels, size_t i)
{
    for (int c = 0; c < channels; c++)
        rest[c] = plane[c] ? plane[c] + i : NULL;
}

void nnd_planar_u8c3_avx2(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                          const float *add)
{
    const size_t vectors = count / 8 * 8;
    float *rest[4];
    if (plane[0] && plane[1] && plane[2]) {
        planar_3(plane, src, vectors, mul, add);
    } else {
        for (int c = 0; c < 3; c++)
            if (plane[c]) planar_channel_3(plane[c], src, vectors, c, mul[c], add[c]);
    }
    planes_from(rest, plane, 3, vectors);
    nnd_planar_u8c3_reference(rest, src + 3 * vectors, count - vectors, mul, add);
}

static void planar_channel_4(float *dst, const uint8_t *src, size_t count, int shift, float mul,
                             float add)
{
    const __m256i mask = _mm256_set1_epi32(0xff);
    const __m128i bits = _mm_cvtsi32_si128(shift);
    const __m256 m = _mm256_set1_ps(mul), n = _mm256_set1_ps(add);
    for (size_t i = 0; i + 8 <= count; i += 8) {
        const __m256i pixels = _mm256_loadu_si256((const __m256i *)(const void *)(src + 4 * i));
        store_elements(dst + i, _mm256_and_si256(_mm256_srl_epi32(pixels, bits), mask), m, n);
    }
}

void nnd_planar_u8c4_avx2(float *const *plane, const uint8_t *src, size_t count, const float *mul,
                          const float *add)
{
    const size_t vectors = count / 8 * 8;
    float *rest[4];
    for (int c = 0; c < 4; c++)
        if (plane[c]) planar_channel_4(plane[c], src, vectors, 8 * c, mul[c], add[c]);
    planes_from(rest, plane, 4, vectors);
    nnd_planar_u8c4_reference(rest, src + 4 * vectors, count - vectors, mul, add);
}

void nnd_packed_u8_avx2(float *dst, const uint8_t *src, size_t count, const float mul[48],
                        const float add[48])
{
    size_t i = 0;
    for (; i + 48 <= count; i += 48)
        for (size_t k = 0; k < 48; k += 8)
            store_elements(dst + i + k, load_8_bytes(src + i + k), _mm256_loadu_ps(mul + k),
                           _mm256_loadu_ps(add + k));
    nnd_packed_u8_reference(dst + i, src + i, count - i, mul, add);
}

void nnd_row_f32_to_f16_avx2(uint16_t *dst, const float *src, size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(dst + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT));
    nnd_row_f32_to_f16_reference(dst + i, src + i, count - i);
}

void nnd_f32_to_u8_avx2(uint8_t *dst, const float *src, size_t count)
{
    const __m256 zero = _mm256_setzero_ps(), max = _mm256_set1_ps(255.0f);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        /* The maximum's second operand wins against NaN. */
        const __m256 a = _mm256_min_ps(_mm256_max_ps(_mm256_loadu_ps(src + i), zero), max);
        const __m256 b = _mm256_min_ps(_mm256_max_ps(_mm256_loadu_ps(src + i + 8), zero), max);
        const __m256i words = _mm256_permute4x64_epi64(
            _mm256_packs_epi32(_mm256_cvtps_epi32(a), _mm256_cvtps_epi32(b)), 0xD8);
        _mm_storeu_si128(
            (__m128i *)(void *)(dst + i),
            _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
    }
    nnd_f32_to_u8_reference(dst + i, src + i, count - i);
}

const nnd_ops_kernels nnd_ops_kernels_avx2 = {
    .name = "avx2",
    .bilinear_u8 = {nnd_bilinear_u8c1_avx2, nnd_bilinear_u8c2_avx2, nnd_bilinear_u8c3_avx2,
                    nnd_bilinear_u8c4_avx2},
    .points_u8 = {nnd_points_u8c1_avx2, nnd_points_u8c2_avx2, nnd_points_u8c3_avx2,
                  nnd_points_u8c4_avx2},
    .rows_u8 = nnd_rows_u8_avx2,
    .columns_u8 = {nnd_columns_u8c1_avx2, nnd_columns_u8c2_avx2, nnd_columns_u8c3_avx2,
                   nnd_columns_u8c4_avx2},
    .nv12_to_rgb = nnd_nv12_to_rgb_avx2,
    .gray_u8c3 = nnd_gray_u8c3_avx2,
    .gray_u8c4 = nnd_gray_u8c4_avx2,
    .swap_u8c3 = nnd_swap_u8c3_avx2,
    .swap_u8c4 = nnd_swap_u8c4_avx2,
    .planar_u8c1 = nnd_planar_u8c1_avx2,
    .planar_u8c3 = nnd_planar_u8c3_avx2,
    .planar_u8c4 = nnd_planar_u8c4_avx2,
    .packed_u8 = nnd_packed_u8_avx2,
    .f32_to_f16 = nnd_row_f32_to_f16_avx2,
    .f32_to_u8 = nnd_f32_to_u8_avx2,
    .chroma_u8c3 = nnd_chroma_u8c3_avx2,
    .chroma_u8c4 = nnd_chroma_u8c4_avx2,
    .range_u8 = nnd_range_u8_avx2,
    .split_u8 = nnd_split_u8_avx2,
    .merge_u8 = nnd_merge_u8_avx2,
    .planar_f32c1 = nnd_planar_f32c1_avx2,
    .planar_f32c3 = nnd_planar_f32c3_avx2,
    .planar_f32c4 = nnd_planar_f32c4_avx2,
    .packed_f32 = nnd_packed_f32_avx2,
    .interleave_f32c3 = nnd_interleave_f32c3_avx2,
    .interleave_f32c4 = nnd_interleave_f32c4_avx2,
    .gray_f32 = nnd_gray_f32_avx2,
    .f16_to_f32 = nnd_row_f16_to_f32_avx2,
    .f32_to_u16 = nnd_f32_to_u16_avx2,
    .u16_to_f32 = nnd_u16_to_f32_avx2,
    .clamp_f32 = nnd_clamp_f32_avx2,
    .sum_rows = {nnd_sum_rows_u8_avx2, nnd_sum_rows_u16_avx2, nnd_sum_rows_f32_avx2},
    .sum_columns = {nnd_sum_columns_c1_avx2, nnd_sum_columns_c2_avx2, nnd_sum_columns_c3_avx2,
                    nnd_sum_columns_c4_avx2},
    .points_u16 = {nnd_points_u16c1_avx2, NULL, nnd_points_u16c3_avx2, nnd_points_u16c4_avx2},
    .points_f32 = {nnd_points_f32c1_avx2, NULL, nnd_points_f32c3_avx2, nnd_points_f32c4_avx2},
    .places = nnd_places_avx2,
    .order_u8 = nnd_order_u8_avx2,
    .reverse_u8 = nnd_reverse_u8_avx2,
    .transpose = nnd_transpose_avx2,
    .nearest = nnd_nearest_avx2,
    .rgb_to_hsv_u8 = nnd_rgb_to_hsv_u8_avx2,
    .hsv_to_rgb_u8 = nnd_hsv_to_rgb_u8_avx2,
    .rgb_to_ycrcb_u8 = nnd_rgb_to_ycrcb_u8_avx2,
    .ycrcb_to_rgb_u8 = nnd_ycrcb_to_rgb_u8_avx2,
    .top_f32 = nnd_top_f32_avx2,
    .exp_f32 = nnd_exp_f32_avx2,
    .touching = nnd_touching_avx2,
    .first_above = nnd_first_above_avx2,
    .first_mean_above = nnd_first_mean_above_avx2,
    .first_product_above = nnd_first_product_above_avx2,
    .best_f32 = nnd_best_f32_avx2,
};
