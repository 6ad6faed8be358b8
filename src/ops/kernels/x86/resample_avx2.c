/*
 * Interpolation with AVX2. A pixel and its right neighbour are loaded together from both rows, the
 * rows are blended in 16-bit lanes, then the left pixel with the right one, which sits a fixed
 * number of bytes further in the same lane.
 */
#include <immintrin.h>
#include <string.h>

#include "ops/kernels/fixed.h"
#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx2.h"

/* ---- loads ----------------------------------------------------------------------------- */

static inline int32_t load_i32(const void *p)
{
    int32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline __m128i load_2x8(const uint8_t *p, const uint8_t *q)
{
    return _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)(const void *)p),
                              _mm_loadl_epi64((const __m128i *)(const void *)q));
}

/* The four pixels' eight bytes. */
#define LOAD_4X8(base, offset, i)                                                                  \
    _mm256_set_m128i(load_2x8((base) + (offset)[(i) + 2], (base) + (offset)[(i) + 3]),             \
                     load_2x8((base) + (offset)[i], (base) + (offset)[(i) + 1]))
#define LOAD_4X4(base, offset, i)                                                                  \
    _mm_setr_epi32(load_i32((base) + (offset)[i]), load_i32((base) + (offset)[(i) + 1]),           \
                   load_i32((base) + (offset)[(i) + 2]), load_i32((base) + (offset)[(i) + 3]))
#define LOAD_8X4(base, offset, i)                                                                  \
    _mm256_set_m128i(LOAD_4X4(base, offset, (i) + 4), LOAD_4X4(base, offset, i))

/* Four weights, each repeated over the lane that its pixel has after unpacking low (first, third)
   or high (second, fourth). */
static inline __m256i spread_4_low(__m256i w)
{
    return _mm256_shuffle_epi8(w, _mm256_setr_epi8(0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1,
                                                   4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5));
}

static inline __m256i spread_4_high(__m256i w)
{
    return _mm256_shuffle_epi8(w, _mm256_setr_epi8(2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3,
                                                   6, 7, 6, 7, 6, 7, 6, 7, 6, 7, 6, 7, 6, 7, 6, 7));
}

static inline __m256i load_4_weights(const int16_t *w)
{
    return _mm256_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)(const void *)w));
}

/* Eight weights, each four times: pixels 0 1 | 4 5 and 2 3 | 6 7. */
static inline __m256i load_8_weights(const int16_t *w)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)w));
}

static inline __m256i spread_8_low(__m256i w)
{
    return _mm256_shuffle_epi8(w, _mm256_setr_epi8(0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3,
                                                   8, 9, 8, 9, 8, 9, 8, 9, 10, 11, 10, 11, 10, 11,
                                                   10, 11));
}

static inline __m256i spread_8_high(__m256i w)
{
    return _mm256_shuffle_epi8(w, _mm256_setr_epi8(4, 5, 4, 5, 4, 5, 4, 5, 6, 7, 6, 7, 6, 7, 6, 7,
                                                   12, 13, 12, 13, 12, 13, 12, 13, 14, 15, 14, 15,
                                                   14, 15, 14, 15));
}

/* ---- arithmetic ------------------------------------------------------------------------ */

static inline __m256i blend_rows(__m256i a, __m256i b, __m256i wy)
{
    const __m256i step = _mm256_mulhrs_epi16(_mm256_slli_epi16(_mm256_sub_epi16(b, a), 7), wy);
    return _mm256_add_epi16(_mm256_slli_epi16(a, 7), step);
}

static inline __m256i blend_columns(__m256i left, __m256i right, __m256i wx)
{
    const __m256i v =
        _mm256_add_epi16(left, _mm256_mulhrs_epi16(_mm256_sub_epi16(right, left), wx));
    return _mm256_mulhrs_epi16(v, _mm256_set1_epi16(256)); /* (v + 64) >> 7 */
}

/* a, b: bytes of both rows; BYTES: from a pixel to its neighbour in 16-bit lanes. */
#define BLEND_BYTES(a, b, unpack, wx, wy, BYTES, out)                                              \
    do {                                                                                           \
        const __m256i zero_ = _mm256_setzero_si256();                                              \
        const __m256i v_ = blend_rows(unpack(a, zero_), unpack(b, zero_), wy);                     \
        (out) = blend_columns(v_, _mm256_srli_si256(v_, BYTES), wx);                               \
    } while (0)

static inline void store_8(uint8_t *dst, __m128i v)
{
    _mm_storel_epi64((__m128i *)(void *)dst, v);
}

/* Four pixels of three bytes; two bytes behind them are overwritten. */
static inline void store_4x3(uint8_t *dst, __m256i low, __m256i high)
{
    const __m256i packed = _mm256_shuffle_epi8(
        _mm256_packus_epi16(low, high),
        _mm256_setr_epi8(0, 1, 2, 8, 9, 10, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 2, 8, 9,
                         10, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
    store_8(dst, _mm256_castsi256_si128(packed));
    store_8(dst + 6, _mm256_extracti128_si256(packed, 1));
}

static inline void store_4x4(uint8_t *dst, __m256i low, __m256i high)
{
    const __m256i packed = _mm256_shuffle_epi32(_mm256_packus_epi16(low, high), 0x08);
    store_8(dst, _mm256_castsi256_si128(packed));
    store_8(dst + 8, _mm256_extracti128_si256(packed, 1));
}

static inline void store_8x2(uint8_t *dst, __m256i low, __m256i high)
{
    const __m256i packed = _mm256_shuffle_epi8(
        _mm256_packus_epi16(low, high),
        _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 4, 5, 8, 9,
                         12, 13, -1, -1, -1, -1, -1, -1, -1, -1));
    store_8(dst, _mm256_castsi256_si128(packed));
    store_8(dst + 8, _mm256_extracti128_si256(packed, 1));
}

/* One channel: bytes left, right in the low half of each 32 bits. */
static inline __m256i pack_pairs(__m256i first, __m256i second)
{
    const __m256i mask = _mm256_set1_epi32(0xffff);
    const __m256i packed =
        _mm256_packus_epi32(_mm256_and_si256(first, mask), _mm256_and_si256(second, mask));
    return _mm256_permute4x64_epi64(packed, 0xD8);
}

static inline void blend_store_16x1(uint8_t *dst, __m256i a, __m256i b, __m256i wx, __m256i wy)
{
    const __m256i low = _mm256_set1_epi16(0xff);
    const __m256i left = blend_rows(_mm256_and_si256(a, low), _mm256_and_si256(b, low), wy);
    const __m256i right = blend_rows(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8), wy);
    const __m256i level = blend_columns(left, right, wx);
    _mm_storeu_si128((__m128i *)(void *)dst, _mm_packus_epi16(_mm256_castsi256_si128(level),
                                                              _mm256_extracti128_si256(level, 1)));
}

/* ---- rows ------------------------------------------------------------------------------ */

/* The pixels that vectors did not reach. */
static inline nnd_bilinear_columns columns_from(const nnd_bilinear_columns *c, size_t i)
{
    return (nnd_bilinear_columns){c->offset + i, c->weight + i,
                                  c->count - i,  c->safe > i ? c->safe - i : 0,
                                  c->row_bytes,  c->step};
}

void nnd_bilinear_u8c1_avx2(uint8_t *dst, const uint8_t *row0, const uint8_t *row1, int16_t wy,
                            const nnd_bilinear_columns *columns, int16_t *blended)
{
    const __m256i vy = _mm256_set1_epi16(wy);
    const int32_t *offset = columns->offset;
    size_t i = 0;
    for (; i + 16 <= columns->safe; i += 16) {
        const __m256i a = pack_pairs(LOAD_8X4(row0, offset, i), LOAD_8X4(row0, offset, i + 8));
        const __m256i b = pack_pairs(LOAD_8X4(row1, offset, i), LOAD_8X4(row1, offset, i + 8));
        const __m256i wx = _mm256_loadu_si256((const __m256i *)(const void *)(columns->weight + i));
        blend_store_16x1(dst + i, a, b, wx, vy);
    }
    const nnd_bilinear_columns rest = columns_from(columns, i);
    nnd_bilinear_u8c1_reference(dst + i, row0, row1, wy, &rest, blended);
}

void nnd_bilinear_u8c2_avx2(uint8_t *dst, const uint8_t *row0, const uint8_t *row1, int16_t wy,
                            const nnd_bilinear_columns *columns, int16_t *blended)
{
    const __m256i vy = _mm256_set1_epi16(wy);
    const int32_t *offset = columns->offset;
    size_t i = 0;
    for (; i + 8 <= columns->safe; i += 8) {
        const __m256i a = LOAD_8X4(row0, offset, i), b = LOAD_8X4(row1, offset, i);
        const __m256i wx = load_8_weights(columns->weight + i);
        __m256i low, high;
        BLEND_BYTES(a, b, _mm256_unpacklo_epi8, spread_8_low(wx), vy, 4, low);
        BLEND_BYTES(a, b, _mm256_unpackhi_epi8, spread_8_high(wx), vy, 4, high);
        store_8x2(dst + 2 * i, low, high);
    }
    const nnd_bilinear_columns rest = columns_from(columns, i);
    nnd_bilinear_u8c2_reference(dst + 2 * i, row0, row1, wy, &rest, blended);
}

/* The whole of both rows blended into 16-bit lanes. */
static void blend_line(int16_t *out, const uint8_t *row0, const uint8_t *row1, int16_t wy,
                       size_t bytes)
{
    const __m256i w = _mm256_set1_epi16(wy);
    size_t i = 0;
    for (; i + 16 <= bytes; i += 16) {
        const __m256i a =
            _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(row0 + i)));
        const __m256i b =
            _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(row1 + i)));
        _mm256_storeu_si256((__m256i *)(void *)(out + i), blend_rows(a, b, w));
    }
    for (; i < bytes; i++)
        out[i] = (int16_t)nnd_fixed_blend_rows(row0[i], row1[i], wy);
}

/* Two pixels with their right neighbours, one per half. */
#define LOAD_2_WORDS(base, offset, i, j)                                                           \
    _mm256_set_m128i(_mm_loadu_si128((const __m128i *)(const void *)((base) + (offset)[j])),       \
                     _mm_loadu_si128((const __m128i *)(const void *)((base) + (offset)[i])))

/* Four pixels of a blended line as bytes: the first two in the low half, each in eight bytes of
   which the first ones count. BYTES: from a pixel to its neighbour. */
#define LEVELS_4(line, columns, i, BYTES, out)                                                     \
    do {                                                                                           \
        const __m256i a_ = LOAD_2_WORDS(line, (columns)->offset, i, (i) + 2);                      \
        const __m256i b_ = LOAD_2_WORDS(line, (columns)->offset, (i) + 1, (i) + 3);                \
        const __m256i right_ =                                                                     \
            _mm256_unpacklo_epi64(_mm256_srli_si256(a_, BYTES), _mm256_srli_si256(b_, BYTES));     \
        const __m256i pick_ = _mm256_setr_epi8(0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3, 4,  \
                                               5, 4, 5, 4, 5, 4, 5, 6, 7, 6, 7, 6, 7, 6, 7);       \
        (out) =                                                                                    \
            blend_columns(_mm256_unpacklo_epi64(a_, b_), right_,                                   \
                          _mm256_shuffle_epi8(load_4_weights((columns)->weight + (i)), pick_));    \
    } while (0)

/* Blending three pixels of a line costs about as much as loading one pixel from two rows. */
#define LINE_PAYS(columns, channels) ((columns)->row_bytes <= 3 * (channels) * (columns)->count)

/* Two neighbouring pixels, each with its right neighbour, lie in 16 bytes when the second one is at
   most this far behind the first. */
#define PAIR_STEP 9

/* Index: how far the second pixel is behind the first one. Their levels as words. */
#define PAIR(d)                                                                                    \
    {                                                                                              \
        0, 128, 1, 128, 2, 128, d, 128, (d) + 1, 128, (d) + 2, 128, 128, 128, 128, 128             \
    }
static const uint8_t pair_pick[PAIR_STEP + 1][16] = {
    [0] = PAIR(0), [3] = PAIR(3), [6] = PAIR(6), [9] = PAIR(9)};

static inline __m128i load_16(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

/* The levels of the pixels at o[0], o[1] | o[4], o[5]: three words each. */
static inline __m256i levels_of_pairs(const uint8_t *row0, const uint8_t *row1, const int32_t *o,
                                      __m256i wx, __m256i wy)
{
    const __m256i a = _mm256_set_m128i(load_16(row0 + o[4]), load_16(row0 + o[0]));
    const __m256i b = _mm256_set_m128i(load_16(row1 + o[4]), load_16(row1 + o[0]));
    const __m256i pick =
        _mm256_set_m128i(load_16(pair_pick[o[5] - o[4]]), load_16(pair_pick[o[1] - o[0]]));
    const __m256i next = _mm256_add_epi8(pick, _mm256_set1_epi8(3));
    const __m256i left = blend_rows(_mm256_shuffle_epi8(a, pick), _mm256_shuffle_epi8(b, pick), wy);
    const __m256i right =
        blend_rows(_mm256_shuffle_epi8(a, next), _mm256_shuffle_epi8(b, next), wy);
    return blend_columns(left, right, wx);
}

static inline void eight_of_pairs(uint8_t *dst, const uint8_t *row0, const uint8_t *row1,
                                  const int32_t *offset, const int16_t *weight, __m256i wy)
{
    const __m256i spread = _mm256_setr_epi8(0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 8, 9, 8,
                                            9, 8, 9, 10, 11, 10, 11, 10, 11, 10, 11, 10, 11);
    const __m256i two_on = _mm256_add_epi8(spread, _mm256_set1_epi8(4));
    const __m256i pack = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, -1, -1, -1, -1));
    const __m256i w = load_8_weights(weight);
    const __m256i first = levels_of_pairs(row0, row1, offset, _mm256_shuffle_epi8(w, spread), wy);
    const __m256i second =
        levels_of_pairs(row0, row1, offset + 2, _mm256_shuffle_epi8(w, two_on), wy);
    const __m256i bytes = _mm256_shuffle_epi8(_mm256_packus_epi16(first, second), pack);
    const __m128i high = _mm256_extracti128_si256(bytes, 1);
    const int32_t end = _mm_extract_epi32(high, 2);
    _mm_storeu_si128((__m128i *)(void *)dst, _mm256_castsi256_si128(bytes));
    store_8(dst + 12, high);
    memcpy(dst + 20, &end, sizeof(end));
}

/* Eight pixels at a time. */
static size_t from_pairs_3(uint8_t *dst, const uint8_t *row0, const uint8_t *row1, int16_t wy,
                           const nnd_bilinear_columns *columns)
{
    const __m256i vy = _mm256_set1_epi16(wy);
    const int32_t *o = columns->offset;
    const size_t end = columns->row_bytes;
    size_t i = 0;
    for (; i + 8 <= columns->count && (size_t)o[i + 6] + 16 <= end; i += 8)
        eight_of_pairs(dst + 3 * i, row0, row1, o + i, columns->weight + i, vy);
    /* Near the end of the rows 16 bytes may be read from copies only. */
    for (; i + 8 <= columns->count; i += 8) {
        uint8_t copy0[8 * PAIR_STEP + 16] = {0}, copy1[8 * PAIR_STEP + 16] = {0};
        const size_t from = (size_t)o[i], left = end - from;
        const size_t bytes = left < sizeof(copy0) ? left : sizeof(copy0);
        int32_t moved[8];
        memcpy(copy0, row0 + from, bytes);
        memcpy(copy1, row1 + from, bytes);
        for (size_t k = 0; k < 8; k++)
            moved[k] = o[i + k] - o[i];
        eight_of_pairs(dst + 3 * i, copy0, copy1, moved, columns->weight + i, vy);
    }
    return i;
}

static size_t from_line_4(uint8_t *dst, const int16_t *line, const nnd_bilinear_columns *columns)
{
    size_t i = 0;
    for (; i + 4 <= columns->count; i += 4) {
        __m256i level;
        LEVELS_4(line, columns, i, 8, level);
        const __m128i packed =
            _mm_packus_epi16(_mm256_castsi256_si128(level), _mm256_extracti128_si256(level, 1));
        _mm_storeu_si128((__m128i *)(void *)(dst + 4 * i), packed);
    }
    return i;
}

static size_t from_rows_3(uint8_t *dst, const uint8_t *row0, const uint8_t *row1, int16_t wy,
                          const nnd_bilinear_columns *columns)
{
    const __m256i vy = _mm256_set1_epi16(wy);
    const int32_t *offset = columns->offset;
    size_t i = 0;
    for (; i + 4 <= columns->safe && i + 4 < columns->count; i += 4) {
        const __m256i a = LOAD_4X8(row0, offset, i), b = LOAD_4X8(row1, offset, i);
        const __m256i wx = load_4_weights(columns->weight + i);
        __m256i low, high;
        BLEND_BYTES(a, b, _mm256_unpacklo_epi8, spread_4_low(wx), vy, 6, low);
        BLEND_BYTES(a, b, _mm256_unpackhi_epi8, spread_4_high(wx), vy, 6, high);
        store_4x3(dst + 3 * i, low, high);
    }
    return i;
}

static size_t from_rows_4(uint8_t *dst, const uint8_t *row0, const uint8_t *row1, int16_t wy,
                          const nnd_bilinear_columns *columns)
{
    const __m256i vy = _mm256_set1_epi16(wy);
    const int32_t *offset = columns->offset;
    size_t i = 0;
    for (; i + 4 <= columns->safe; i += 4) {
        const __m256i a = LOAD_4X8(row0, offset, i), b = LOAD_4X8(row1, offset, i);
        const __m256i wx = load_4_weights(columns->weight + i);
        __m256i low, high;
        BLEND_BYTES(a, b, _mm256_unpacklo_epi8, spread_4_low(wx), vy, 8, low);
        BLEND_BYTES(a, b, _mm256_unpackhi_epi8, spread_4_high(wx), vy, 8, high);
        store_4x4(dst + 4 * i, low, high);
    }
    return i;
}

void nnd_bilinear_u8c3_avx2(uint8_t *dst, const uint8_t *row0, const uint8_t *row1, int16_t wy,
                            const nnd_bilinear_columns *columns, int16_t *blended)
{
    size_t i = 0;
    if (columns->step <= PAIR_STEP) i = from_pairs_3(dst, row0, row1, wy, columns);
    const nnd_bilinear_columns wide = columns_from(columns, i);
    i += from_rows_3(dst + 3 * i, row0, row1, wy, &wide);
    const nnd_bilinear_columns rest = columns_from(columns, i);
    nnd_bilinear_u8c3_reference(dst + 3 * i, row0, row1, wy, &rest, blended);
}

void nnd_bilinear_u8c4_avx2(uint8_t *dst, const uint8_t *row0, const uint8_t *row1, int16_t wy,
                            const nnd_bilinear_columns *columns, int16_t *blended)
{
    size_t i;
    if (LINE_PAYS(columns, 4)) {
        blend_line(blended, row0, row1, wy, columns->row_bytes);
        i = from_line_4(dst, blended, columns);
    } else {
        i = from_rows_4(dst, row0, row1, wy, columns);
    }
    const nnd_bilinear_columns rest = columns_from(columns, i);
    nnd_bilinear_u8c4_reference(dst + 4 * i, row0, row1, wy, &rest, blended);
}

/* ---- points ---------------------------------------------------------------------------- */

void nnd_points_u8c1_avx2(uint8_t *dst, const uint8_t *src, int64_t stride, const int64_t *offset,
                          const int16_t *wx, const int16_t *wy, size_t count)
{
    const uint8_t *lower = src + stride;
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m256i a = pack_pairs(LOAD_8X4(src, offset, i), LOAD_8X4(src, offset, i + 8));
        const __m256i b = pack_pairs(LOAD_8X4(lower, offset, i), LOAD_8X4(lower, offset, i + 8));
        blend_store_16x1(dst + i, a, b, _mm256_loadu_si256((const __m256i *)(const void *)(wx + i)),
                         _mm256_loadu_si256((const __m256i *)(const void *)(wy + i)));
    }
    nnd_points_u8c1_reference(dst + i, src, stride, offset + i, wx + i, wy + i, count - i);
}

void nnd_points_u8c2_avx2(uint8_t *dst, const uint8_t *src, int64_t stride, const int64_t *offset,
                          const int16_t *wx, const int16_t *wy, size_t count)
{
    const uint8_t *lower = src + stride;
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m256i a = LOAD_8X4(src, offset, i), b = LOAD_8X4(lower, offset, i);
        const __m256i x = load_8_weights(wx + i), y = load_8_weights(wy + i);
        __m256i low, high;
        BLEND_BYTES(a, b, _mm256_unpacklo_epi8, spread_8_low(x), spread_8_low(y), 4, low);
        BLEND_BYTES(a, b, _mm256_unpackhi_epi8, spread_8_high(x), spread_8_high(y), 4, high);
        store_8x2(dst + 2 * i, low, high);
    }
    nnd_points_u8c2_reference(dst + 2 * i, src, stride, offset + i, wx + i, wy + i, count - i);
}

void nnd_points_u8c3_avx2(uint8_t *dst, const uint8_t *src, int64_t stride, const int64_t *offset,
                          const int16_t *wx, const int16_t *wy, size_t count)
{
    const uint8_t *lower = src + stride;
    size_t i = 0;
    for (; i + 4 < count; i += 4) {
        const __m256i a = LOAD_4X8(src, offset, i), b = LOAD_4X8(lower, offset, i);
        const __m256i x = load_4_weights(wx + i), y = load_4_weights(wy + i);
        __m256i low, high;
        BLEND_BYTES(a, b, _mm256_unpacklo_epi8, spread_4_low(x), spread_4_low(y), 6, low);
        BLEND_BYTES(a, b, _mm256_unpackhi_epi8, spread_4_high(x), spread_4_high(y), 6, high);
        store_4x3(dst + 3 * i, low, high);
    }
    nnd_points_u8c3_reference(dst + 3 * i, src, stride, offset + i, wx + i, wy + i, count - i);
}

void nnd_points_u8c4_avx2(uint8_t *dst, const uint8_t *src, int64_t stride, const int64_t *offset,
                          const int16_t *wx, const int16_t *wy, size_t count)
{
    const uint8_t *lower = src + stride;
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const __m256i a = LOAD_4X8(src, offset, i), b = LOAD_4X8(lower, offset, i);
        const __m256i x = load_4_weights(wx + i), y = load_4_weights(wy + i);
        __m256i low, high;
        BLEND_BYTES(a, b, _mm256_unpacklo_epi8, spread_4_low(x), spread_4_low(y), 8, low);
        BLEND_BYTES(a, b, _mm256_unpackhi_epi8, spread_4_high(x), spread_4_high(y), 8, high);
        store_4x4(dst + 4 * i, low, high);
    }
    nnd_points_u8c4_reference(dst + 4 * i, src, stride, offset + i, wx + i, wy + i, count - i);
}
