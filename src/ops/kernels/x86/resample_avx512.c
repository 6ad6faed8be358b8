/*
 * Interpolation with AVX-512: as in resample_avx2.c with two pixels in each of four lanes.
 */
#include <immintrin.h>

#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx512.h"

static inline __m128i load_2x8(const uint8_t *p, const uint8_t *q)
{
    return _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)(const void *)p),
                              _mm_loadl_epi64((const __m128i *)(const void *)q));
}

static inline __m512i join(__m128i a, __m128i b, __m128i c, __m128i d)
{
    const __m256i low = _mm256_set_m128i(b, a), high = _mm256_set_m128i(d, c);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* The eight pixels' eight bytes. */
#define LOAD_8X8(base, offset, i)                                                                  \
    join(load_2x8((base) + (offset)[i], (base) + (offset)[(i) + 1]),                               \
         load_2x8((base) + (offset)[(i) + 2], (base) + (offset)[(i) + 3]),                         \
         load_2x8((base) + (offset)[(i) + 4], (base) + (offset)[(i) + 5]),                         \
         load_2x8((base) + (offset)[(i) + 6], (base) + (offset)[(i) + 7]))

/* Which of eight weights the lanes get, eight times each: lane n that of pixel 2n + odd. */
static inline __m512i lane_index(int odd)
{
    const __m512i even =
        _mm512_setr_epi64(0, 0, 0x0002000200020002, 0x0002000200020002, 0x0004000400040004,
                          0x0004000400040004, 0x0006000600060006, 0x0006000600060006);
    return _mm512_add_epi16(even, _mm512_set1_epi16((short)odd));
}

static inline __m512i spread(const int16_t *w, __m512i index)
{
    const __m512i all = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(const void *)w));
    return _mm512_permutexvar_epi16(index, all);
}

static inline __m512i blend_rows(__m512i a, __m512i b, __m512i wy)
{
    const __m512i step = _mm512_mulhrs_epi16(_mm512_slli_epi16(_mm512_sub_epi16(b, a), 7), wy);
    return _mm512_add_epi16(_mm512_slli_epi16(a, 7), step);
}

static inline __m512i blend_columns(__m512i left, __m512i right, __m512i wx)
{
    const __m512i v =
        _mm512_add_epi16(left, _mm512_mulhrs_epi16(_mm512_sub_epi16(right, left), wx));
    return _mm512_mulhrs_epi16(v, _mm512_set1_epi16(256)); /* (v + 64) >> 7 */
}

#define BLEND_BYTES(a, b, unpack, wx, wy, BYTES, out)                                              \
    do {                                                                                           \
        const __m512i zero_ = _mm512_setzero_si512();                                              \
        const __m512i v_ = blend_rows(unpack(a, zero_), unpack(b, zero_), wy);                     \
        (out) = blend_columns(v_, _mm512_bsrli_epi128(v_, BYTES), wx);                             \
    } while (0)

/* Eight pixels of three bytes, exactly. */
static inline void store_8x3(uint8_t *dst, __m512i low, __m512i high)
{
    /* Six bytes at the start of every lane, then the lanes' words next to each other. */
    const __m512i pick = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 1, 2, 8, 9, 10, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
    const __m512i words = _mm512_castsi256_si512(
        _mm256_setr_epi16(0, 1, 2, 8, 9, 10, 16, 17, 18, 24, 25, 26, 3, 3, 3, 3));
    const __m512i packed = _mm512_shuffle_epi8(_mm512_packus_epi16(low, high), pick);
    const __m256i out = _mm512_castsi512_si256(_mm512_permutexvar_epi16(words, packed));
    _mm_storeu_si128((__m128i *)(void *)dst, _mm256_castsi256_si128(out));
    _mm_storel_epi64((__m128i *)(void *)(dst + 16), _mm256_extracti128_si256(out, 1));
}

static inline void store_8x4(uint8_t *dst, __m512i low, __m512i high)
{
    const __m512i packed = _mm512_packus_epi16(low, high);
    const __m512i pick = _mm512_castsi256_si512(_mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14));
    _mm256_storeu_si256((__m256i *)(void *)dst,
                        _mm512_castsi512_si256(_mm512_permutexvar_epi32(pick, packed)));
}

/* ---- rows ------------------------------------------------------------------------------ */

/* The whole of both rows blended into 16-bit lanes; the last store runs into the padding. */
static void blend_line(int16_t *out, const uint8_t *row0, const uint8_t *row1, int16_t wy,
                       size_t bytes)
{
    const __m512i w = _mm512_set1_epi16(wy);
    size_t i = 0;
    for (; i + 32 <= bytes; i += 32) {
        const __m512i a =
            _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(row0 + i)));
        const __m512i b =
            _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(row1 + i)));
        _mm512_storeu_si512(out + i, blend_rows(a, b, w));
    }
    if (i == bytes) return;
    const __mmask32 mask = (1u << (bytes - i)) - 1;
    const __m512i a = _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(mask, row0 + i));
    const __m512i b = _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(mask, row1 + i));
    _mm512_storeu_si512(out + i, blend_rows(a, b, w));
}

static inline __m128i load_8_words(const int16_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* Four pixels with their right neighbours, one per lane. */
#define LOAD_4_WORDS(base, offset, i)                                                              \
    join(load_8_words((base) + (offset)[i]), load_8_words((base) + (offset)[(i) + 1]),             \
         load_8_words((base) + (offset)[(i) + 2]), load_8_words((base) + (offset)[(i) + 3]))

/* Of eight pixels in two registers: the words of the left ones next to each other (the right ones
   are `channels` words on), and for each of them the pixel's number. Word n of pixel p is word
   8p + n of both registers together. */
typedef struct gather_index {
    int16_t word[32], pixel[32];
} gather_index;
#define WORDS_3(p) 8 * (p), 8 * (p) + 1, 8 * (p) + 2
#define WORDS_4(p) WORDS_3(p), 8 * (p) + 3
static const gather_index gather_3 = {
    {WORDS_3(0), WORDS_3(1), WORDS_3(2), WORDS_3(3), WORDS_3(4), WORDS_3(5), WORDS_3(6),
     WORDS_3(7)},
    {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6, 7, 7, 7}};
static const gather_index gather_4 = {{WORDS_4(0), WORDS_4(1), WORDS_4(2), WORDS_4(3), WORDS_4(4),
                                       WORDS_4(5), WORDS_4(6), WORDS_4(7)},
                                      {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3,
                                       4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7}};

static inline void store_24(uint8_t *dst, __m256i v)
{
    _mm_storeu_si128((__m128i *)(void *)dst, _mm256_castsi256_si128(v));
    _mm_storel_epi64((__m128i *)(void *)(dst + 16), _mm256_extracti128_si256(v, 1));
}

static inline void store_32(uint8_t *dst, __m256i v)
{
    _mm256_storeu_si256((__m256i *)(void *)dst, v);
}

/* Blending four pixels of a line costs less than loading one pixel from two rows. */
#define LINE_PAYS(columns, channels) ((columns)->row_bytes <= 4 * (channels) * (columns)->count)

#define BILINEAR(c, BYTES, store, store_line)                                                      \
    static size_t from_line_##c(uint8_t *dst, const int16_t *line,                                 \
                                const nnd_bilinear_columns *columns)                               \
    {                                                                                              \
        const __m512i left = _mm512_loadu_si512(gather_##c.word);                                  \
        const __m512i right = _mm512_add_epi16(left, _mm512_set1_epi16(c));                        \
        const __m512i pixel = _mm512_loadu_si512(gather_##c.pixel);                                \
        const int32_t *offset = columns->offset;                                                   \
        size_t i = 0;                                                                              \
        for (; i + 8 <= columns->count; i += 8) {                                                  \
            const __m512i a = LOAD_4_WORDS(line, offset, i);                                       \
            const __m512i b = LOAD_4_WORDS(line, offset, i + 4);                                   \
            const __m512i level = blend_columns(_mm512_permutex2var_epi16(a, left, b),             \
                                                _mm512_permutex2var_epi16(a, right, b),            \
                                                spread(columns->weight + i, pixel));               \
            store_line(dst + (c)*i, _mm512_cvtepi16_epi8(level));                                  \
        }                                                                                          \
        return i;                                                                                  \
    }                                                                                              \
    static size_t from_rows_##c(uint8_t *dst, const uint8_t *row0, const uint8_t *row1,            \
                                int16_t wy, const nnd_bilinear_columns *columns)                   \
    {                                                                                              \
        const __m512i vy = _mm512_set1_epi16(wy), even = lane_index(0), odd = lane_index(1);       \
        const int32_t *offset = columns->offset;                                                   \
        size_t i = 0;                                                                              \
        for (; i + 8 <= columns->safe; i += 8) {                                                   \
            const __m512i a = LOAD_8X8(row0, offset, i), b = LOAD_8X8(row1, offset, i);            \
            const int16_t *w = columns->weight + i;                                                \
            __m512i low, high;                                                                     \
            BLEND_BYTES(a, b, _mm512_unpacklo_epi8, spread(w, even), vy, BYTES, low);              \
            BLEND_BYTES(a, b, _mm512_unpackhi_epi8, spread(w, odd), vy, BYTES, high);              \
            store(dst + (c)*i, low, high);                                                         \
        }                                                                                          \
        return i;                                                                                  \
    }                                                                                              \
    static void bilinear_u8c##c(uint8_t *dst, const uint8_t *row0, const uint8_t *row1,            \
                                int16_t wy, const nnd_bilinear_columns *columns, int16_t *blended) \
    {                                                                                              \
        size_t i;                                                                                  \
        if (LINE_PAYS(columns, c)) {                                                               \
            blend_line(blended, row0, row1, wy, columns->row_bytes);                               \
            i = from_line_##c(dst, blended, columns);                                              \
        } else {                                                                                   \
            i = from_rows_##c(dst, row0, row1, wy, columns);                                       \
        }                                                                                          \
        const nnd_bilinear_columns rest = {columns->offset + i, columns->weight + i,               \
                                           columns->count - i,  0,                                 \
                                           columns->row_bytes,  columns->step};                    \
        nnd_bilinear_u8c##c##_reference(dst + (c)*i, row0, row1, wy, &rest, blended);              \
    }

BILINEAR(3, 6, store_8x3, store_24)
BILINEAR(4, 8, store_8x4, store_32)

/* ---- points ---------------------------------------------------------------------------- */

#define POINTS(c, BYTES, store)                                                                    \
    static void points_u8c##c(uint8_t *dst, const uint8_t *src, int64_t stride,                    \
                              const int64_t *offset, const int16_t *wx, const int16_t *wy,         \
                              size_t count)                                                        \
    {                                                                                              \
        const __m512i even = lane_index(0), odd = lane_index(1);                                   \
        const uint8_t *lower = src + stride;                                                       \
        size_t i = 0;                                                                              \
        for (; i + 8 <= count; i += 8) {                                                           \
            const __m512i a = LOAD_8X8(src, offset, i), b = LOAD_8X8(lower, offset, i);            \
            __m512i low, high;                                                                     \
            BLEND_BYTES(a, b, _mm512_unpacklo_epi8, spread(wx + i, even), spread(wy + i, even),    \
                        BYTES, low);                                                               \
            BLEND_BYTES(a, b, _mm512_unpackhi_epi8, spread(wx + i, odd), spread(wy + i, odd),      \
                        BYTES, high);                                                              \
            store(dst + (c)*i, low, high);                                                         \
        }                                                                                          \
        nnd_points_u8c##c##_reference(dst + (c)*i, src, stride, offset + i, wx + i, wy + i,        \
                                      count - i);                                                  \
    }

POINTS(3, 6, store_8x3)
POINTS(4, 8, store_8x4)

/* ---- sums ------------------------------------------------------------------------------ */

static void rows_u8(int16_t *dst, const uint8_t *const *rows, const int16_t *weight, int taps,
                    size_t count)
{
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        __m512i low = _mm512_set1_epi32(128), high = low;
        for (int k = 0; k < taps; k += 2) {
            const bool both = k + 1 < taps;
            const uint8_t *second = both ? rows[k + 1] : rows[k];
            const uint32_t pair = (uint32_t)(uint16_t)weight[k] |
                                  (both ? (uint32_t)(uint16_t)weight[k + 1] << 16 : 0);
            const __m512i w = _mm512_set1_epi32((int)pair);
            const __m512i a = _mm512_cvtepu8_epi16(
                _mm256_loadu_si256((const __m256i *)(const void *)(rows[k] + i)));
            const __m512i b = _mm512_cvtepu8_epi16(
                _mm256_loadu_si256((const __m256i *)(const void *)(second + i)));
            low = _mm512_add_epi32(low, _mm512_madd_epi16(_mm512_unpacklo_epi16(a, b), w));
            high = _mm512_add_epi32(high, _mm512_madd_epi16(_mm512_unpackhi_epi16(a, b), w));
        }
        _mm512_storeu_si512(
            dst + i, _mm512_packs_epi32(_mm512_srai_epi32(low, 8), _mm512_srai_epi32(high, 8)));
    }
    const uint8_t *rest[NND_KERNEL_MAX_TAPS];
    for (int k = 0; k < taps; k++)
        rest[k] = rows[k] + i;
    nnd_rows_u8_reference(dst + i, rest, weight, taps, count - i);
}

const nnd_ops_kernels nnd_ops_kernels_avx512 = {
    .name = "avx512",
    .bilinear_u8 = {nnd_bilinear_u8c1_avx2, nnd_bilinear_u8c2_avx2, bilinear_u8c3, bilinear_u8c4},
    .points_u8 = {nnd_points_u8c1_avx2, nnd_points_u8c2_avx2, points_u8c3, points_u8c4},
    .rows_u8 = rows_u8,
    .columns_u8 = {nnd_columns_u8c1_avx2, nnd_columns_u8c2_avx2, nnd_columns_u8c3_avx2,
                   nnd_columns_u8c4_avx2},
    .nv12_to_rgb = nnd_nv12_to_rgb_avx2,
    .gray_u8c3 = nnd_gray_u8c3_avx512,
    .gray_u8c4 = nnd_gray_u8c4_avx512,
    .swap_u8c3 = nnd_swap_u8c3_avx2,
    .swap_u8c4 = nnd_swap_u8c4_avx2,
    .planar_u8c1 = nnd_planar_u8c1_avx512,
    .planar_u8c3 = nnd_planar_u8c3_avx512,
    .planar_u8c4 = nnd_planar_u8c4_avx512,
    .packed_u8 = nnd_packed_u8_avx512,
    .f32_to_f16 = nnd_row_f32_to_f16_avx512,
    .f32_to_u8 = nnd_f32_to_u8_avx512,
    .chroma_u8c3 = nnd_chroma_u8c3_avx512,
    .chroma_u8c4 = nnd_chroma_u8c4_avx512,
    .range_u8 = nnd_range_u8_avx512,
    .split_u8 = nnd_split_u8_avx512,
    .merge_u8 = nnd_merge_u8_avx512,
    .planar_f32c1 = nnd_planar_f32c1_avx512,
    .planar_f32c3 = nnd_planar_f32c3_avx512,
    .planar_f32c4 = nnd_planar_f32c4_avx512,
    .packed_f32 = nnd_packed_f32_avx512,
    .interleave_f32c3 = nnd_interleave_f32c3_avx512,
    .interleave_f32c4 = nnd_interleave_f32c4_avx512,
    .gray_f32 = nnd_gray_f32_avx512,
    .f16_to_f32 = nnd_row_f16_to_f32_avx512,
    .f32_to_u16 = nnd_f32_to_u16_avx512,
    .u16_to_f32 = nnd_u16_to_f32_avx512,
    .clamp_f32 = nnd_clamp_f32_avx512,
    .sum_rows = {nnd_sum_rows_u8_avx512, nnd_sum_rows_u16_avx512, nnd_sum_rows_f32_avx512},
    .sum_columns = {nnd_sum_columns_c1_avx2, nnd_sum_columns_c2_avx2, nnd_sum_columns_c3_avx2,
                    nnd_sum_columns_c4_avx2},
    .points_u16 = {nnd_points_u16c1_avx2, NULL, nnd_points_u16c3_avx512, nnd_points_u16c4_avx512},
    .points_f32 = {nnd_points_f32c1_avx2, NULL, nnd_points_f32c3_avx512, nnd_points_f32c4_avx512},
    .places = nnd_places_avx512,
    .order_u8 = nnd_order_u8_avx2,
    .reverse_u8 = nnd_reverse_u8_avx2,
    .transpose = nnd_transpose_avx2,
    .nearest = nnd_nearest_avx2,
    .rgb_to_hsv_u8 = nnd_rgb_to_hsv_u8_avx512,
    .hsv_to_rgb_u8 = nnd_hsv_to_rgb_u8_avx512,
    .rgb_to_ycrcb_u8 = nnd_rgb_to_ycrcb_u8_avx512,
    .ycrcb_to_rgb_u8 = nnd_ycrcb_to_rgb_u8_avx512,
    .top_f32 = nnd_top_f32_avx512,
    .exp_f32 = nnd_exp_f32_avx512,
    .touching = nnd_touching_avx512,
    .first_above = nnd_first_above_avx512,
    .first_mean_above = nnd_first_mean_above_avx512,
    .first_product_above = nnd_first_product_above_avx512,
    .best_f32 = nnd_best_f32_avx512,
};
