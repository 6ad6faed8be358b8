/*
 * Every vector kernel against the reference, bit for bit: all lengths from 1 to 70 and some long
 * ones, with guard bytes behind the destination and sources that end where they must (the sanitizer
 * run sees reads behind them).
 */
#include <math.h>

#include "kernel_support.h"

/* ---- interpolation --------------------------------------------------------------------- */

static void check_bilinear(const nnd_ops_kernels *table, int channels, size_t src_width,
                           size_t count)
{
    uint32_t seed = (uint32_t)(count * 31 + src_width);
    const size_t c = (size_t)channels, row_bytes = src_width * c;
    block row0 = noise(row_bytes, seed + 1), row1 = noise(row_bytes, seed + 2);
    int32_t offset[MAX_COUNT];
    int16_t weight[MAX_COUNT];
    size_t safe = 0;
    int32_t step = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t left = i * (src_width - 1) / count;
        offset[i] = (int32_t)(left * c);
        if (i && offset[i] - offset[i - 1] > step) step = offset[i] - offset[i - 1];
        weight[i] = (int16_t)(i % 7 == 0 ? 32767 : i % 5 == 0 ? 0 : next_random(&seed) & 0x7fff);
        if ((size_t)offset[i] + NND_BILINEAR_READ(channels) <= row_bytes) safe = i + 1;
    }
    const nnd_bilinear_columns columns = {offset, weight, count, safe, row_bytes, step};
    int16_t *blended = malloc(2 * row_bytes + 64);
    assert_non_null(blended);
    const int16_t wy = (int16_t)(next_random(&seed) & 0x7fff);
    block got = blank(count * c), want = blank(count * c);
    reference->bilinear_u8[channels - 1](want.data, row0.data, row1.data, wy, &columns, blended);
    table->bilinear_u8[channels - 1](got.data, row0.data, row1.data, wy, &columns, blended);
    assert_equal(got, want, "bilinear", table->name, count);
    free(blended);
    free(row0.data);
    free(row1.data);
    free(got.data);
    free(want.data);
}

static void check_points(const nnd_ops_kernels *table, int channels, size_t count)
{
    uint32_t seed = (uint32_t)count;
    const int64_t c = channels, width = 37, height = 11, stride = width * c + 3;
    block src = noise((size_t)(stride * height - 3), 9);
    int64_t offset[MAX_COUNT];
    int16_t wx[MAX_COUNT], wy[MAX_COUNT];
    const int64_t last = (width * c - NND_BILINEAR_READ(channels)) / c;
    for (size_t i = 0; i < count; i++) {
        const int64_t x = i == 0 ? last : (int64_t)next_random(&seed) % (last + 1);
        const int64_t y = i == 0 ? height - 2 : (int64_t)next_random(&seed) % (height - 1);
        offset[i] = y * stride + x * c;
        wx[i] = (int16_t)(next_random(&seed) & 0x7fff);
        wy[i] = (int16_t)(next_random(&seed) & 0x7fff);
    }
    block got = blank(count * (size_t)c), want = blank(count * (size_t)c);
    reference->points_u8[channels - 1](want.data, src.data, stride, offset, wx, wy, count);
    table->points_u8[channels - 1](got.data, src.data, stride, offset, wx, wy, count);
    assert_equal(got, want, "points", table->name, count);
    free(src.data);
    free(got.data);
    free(want.data);
}

static void test_bilinear(void **state)
{
    (void)state;
    const nnd_ops_kernels *tables[4];
    const int count = vector_tables(tables);
    for (int t = 0; t < count; t++)
        for (int channels = 1; channels <= 4; channels++)
            for (size_t n = 1; n; n = next_count(n)) {
                check_bilinear(tables[t], channels, 2, n);
                check_bilinear(tables[t], channels, 3 + n / 2, n);
                check_bilinear(tables[t], channels, 2 * n + n / 3 + 1, n);
                check_bilinear(tables[t], channels, 3 * n, n);
                check_bilinear(tables[t], channels, 5 * n + 3, n);
                check_points(tables[t], channels, n);
            }
}

/* Weights as those of real kernels: positive and negative, sum 2¹⁴. */
static void fill_weights(int16_t *weight, int taps, uint32_t *seed)
{
    int sum = 0;
    for (int k = 0; k + 1 < taps; k++) {
        weight[k] = (int16_t)((int)(next_random(seed) % 6000) - 1500) / (int16_t)(taps > 8 ? 8 : 1);
        sum += weight[k];
    }
    weight[taps - 1] = (int16_t)(16384 - sum);
}

static void check_sums(const nnd_ops_kernels *table, int taps, size_t count)
{
    uint32_t seed = (uint32_t)(count * 64 + (size_t)taps);
    const uint8_t *rows[NND_KERNEL_MAX_TAPS];
    block blocks[NND_KERNEL_MAX_TAPS];
    int16_t row_weight[NND_KERNEL_MAX_TAPS];
    fill_weights(row_weight, taps, &seed);
    for (int k = 0; k < taps; k++) {
        blocks[k] = noise(count, seed + (uint32_t)k);
        rows[k] = blocks[k].data;
    }
    block got = blank(2 * count), want = blank(2 * count);
    reference->rows_u8((int16_t *)(void *)want.data, rows, row_weight, taps, count);
    table->rows_u8((int16_t *)(void *)got.data, rows, row_weight, taps, count);
    assert_equal(got, want, "sum of rows", table->name, count);
    for (int k = 0; k < taps; k++)
        free(blocks[k].data);
    free(got.data);
    free(want.data);
}

static void check_columns(const nnd_ops_kernels *table, int channels, int taps, size_t count)
{
    uint32_t seed = (uint32_t)(count * 64 + (size_t)taps);
    const size_t c = (size_t)channels, width = count + (size_t)taps;
    int16_t *src = calloc(width * c + 8, sizeof(int16_t)),
            *weight = calloc(count * (size_t)taps, sizeof(int16_t));
    int32_t start[MAX_COUNT];
    assert_non_null(src);
    assert_non_null(weight);
    for (size_t i = 0; i < width * c; i++)
        src[i] = (int16_t)((int)(next_random(&seed) % 20000) - 3000);
    for (size_t i = 0; i < count; i++) {
        start[i] = (int32_t)(next_random(&seed) % count);
        fill_weights(weight + i * (size_t)taps, taps, &seed);
    }
    block got = blank(count * c), want = blank(count * c);
    reference->columns_u8[channels - 1](want.data, src, start, weight, taps, count, count);
    table->columns_u8[channels - 1](got.data, src, start, weight, taps, count, count);
    assert_equal(got, want, "sum of columns", table->name, count);
    free(src);
    free(weight);
    free(got.data);
    free(want.data);
}

static void test_sums(void **state)
{
    (void)state;
    static const int taps[] = {1, 2, 3, 4, 5, 7, 8, 11, 12, 33, 64};
    const nnd_ops_kernels *tables[4];
    const int count = vector_tables(tables);
    for (int t = 0; t < count; t++)
        for (size_t k = 0; k < sizeof(taps) / sizeof(taps[0]); k++)
            for (size_t n = 1; n; n = next_count(n)) {
                check_sums(tables[t], taps[k], n);
                for (int channels = 1; channels <= 4; channels++)
                    check_columns(tables[t], channels, taps[k], n);
            }
}

/* ---- colour ---------------------------------------------------------------------------- */

#define CHECK(kernel, src, ...)                                                                    \
    memset(got.data, GUARD_BYTE, got.size);                                                        \
    memset(want.data, GUARD_BYTE, want.size);                                                      \
    reference->kernel(want.data, src.data, __VA_ARGS__);                                           \
    table->kernel(got.data, src.data, __VA_ARGS__);                                                \
    assert_equal(got, want, #kernel, table->name, count)

static void check_color(const nnd_ops_kernels *table, size_t count)
{
    static const int16_t weight[3] = {9798, 19235, 3735};
    const nnd_yuv_coef coefs[] = {{16, 19077, 13074, 3209, 6660, 16525},
                                  {0, 16384, 12901, 1535, 3835, 15201}};
    block c3 = noise(3 * count, 3), c4 = noise(4 * count, 4), luma = noise(count, 5);
    block chroma = noise((count + 1) / 2 * 2, 6);
    block got = blank(4 * count), want = blank(4 * count);
    for (int k = 0; k < 4; k++) {
        reference->nv12_to_rgb(want.data, luma.data, chroma.data, count, &coefs[k / 2], k & 1);
        table->nv12_to_rgb(got.data, luma.data, chroma.data, count, &coefs[k / 2], k & 1);
        assert_equal(got, want, "nv12", table->name, count);
    }
    CHECK(gray_u8c3, c3, count, weight, 0);
    CHECK(gray_u8c4, c4, count, weight, 0);
    CHECK(swap_u8c3, c3, count);
    CHECK(swap_u8c4, c4, count);
    table->swap_u8c3(c3.data, c3.data, count); /* in place, and back */
    table->swap_u8c3(c3.data, c3.data, count);
    block again = noise(3 * count, 3);
    assert_memory_equal(c3.data, again.data, 3 * count);
    free(again.data);
    free(c3.data);
    free(c4.data);
    free(luma.data);
    free(chroma.data);
    free(got.data);
    free(want.data);
}

static void check_writing(const nnd_ops_kernels *table, size_t count)
{
    static const int16_t luma_weight[3] = {8414, 16519, 3208};
    static const nnd_chroma_coef chroma_coef[2] = {
        {{-4857, -9535, 14392}, {14392, -12052, -2340}},
        {{-5529, -10855, 16384}, {16384, -13720, -2664}}};
    static const nnd_level_range ranges[3] = {{16, 0, 19077}, {0, 16, 14071}, {0, 0, 32767}};
    block c3 = noise(3 * count, 3), c4 = noise(4 * count, 4);
    block lower3 = noise(3 * count, 13), lower4 = noise(4 * count, 14);
    block got = blank(2 * count), want = blank(2 * count);
    CHECK(gray_u8c3, c3, count, luma_weight, 16);
    CHECK(gray_u8c4, c4, count, luma_weight, 16);
    for (int k = 0; k < 2; k++) {
        CHECK(chroma_u8c3, c3, NULL, count, &chroma_coef[k]);
        CHECK(chroma_u8c3, c3, lower3.data, count, &chroma_coef[k]);
        CHECK(chroma_u8c4, c4, NULL, count, &chroma_coef[k]);
        CHECK(chroma_u8c4, c4, lower4.data, count, &chroma_coef[k]);
    }
    for (int k = 0; k < 3; k++) {
        CHECK(range_u8, c3, count, &ranges[k]);
    }
    free(c3.data);
    free(c4.data);
    free(lower3.data);
    free(lower4.data);
    free(got.data);
    free(want.data);
}

static void check_pairs(const nnd_ops_kernels *table, size_t count)
{
    block src = noise(2 * count, 7), even = blank(count), odd = blank(count),
          back = blank(2 * count);
    table->split_u8(even.data, odd.data, src.data, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(even.data[i], src.data[2 * i]);
        assert_int_equal(odd.data[i], src.data[2 * i + 1]);
    }
    for (size_t i = 0; i < GUARD_SIZE; i++)
        assert_true(even.data[count + i] == GUARD_BYTE && odd.data[count + i] == GUARD_BYTE);
    table->merge_u8(back.data, even.data, odd.data, count);
    assert_memory_equal(back.data, src.data, 2 * count);
    for (size_t i = 0; i < GUARD_SIZE; i++)
        assert_int_equal(back.data[2 * count + i], GUARD_BYTE);
    free(src.data);
    free(even.data);
    free(odd.data);
    free(back.data);
}

/* Bytes of the pixels that images have. */
static const size_t pixel_sizes[] = {1, 2, 3, 4, 6, 8, 12, 16};
#define PIXEL_SIZES (sizeof(pixel_sizes) / sizeof(pixel_sizes[0]))

static void check_order(const nnd_ops_kernels *table, size_t count)
{
    static const nnd_channel_order orders[] = {
        {1, 3, {0, 0, 0, -1}}, {1, 4, {0, 0, 0, -1}}, {3, 4, {0, 1, 2, -1}}, {3, 4, {2, 1, 0, -1}},
        {4, 3, {0, 1, 2, 3}},  {4, 3, {2, 1, 0, 3}},  {4, 4, {2, 1, 0, 3}},
    };
    block got = blank(4 * count), want = blank(4 * count);
    for (size_t k = 0; k < sizeof(orders) / sizeof(orders[0]); k++) {
        /* Sources of exactly the size that is needed. */
        block part = noise((size_t)orders[k].from * count, 9);
        CHECK(order_u8, part, count, &orders[k]);
        free(part.data);
    }
    free(got.data);
    free(want.data);
    for (size_t k = 0; k < PIXEL_SIZES; k++) {
        const size_t bytes = pixel_sizes[k];
        block part = noise(bytes * count, 9);
        got = blank(bytes * count);
        want = blank(bytes * count);
        CHECK(reverse_u8, part, count, bytes);
        free(part.data);
        free(got.data);
        free(want.data);
    }
}

static void test_color(void **state)
{
    (void)state;
    const nnd_ops_kernels *tables[4];
    const int count = vector_tables(tables);
    for (int t = 0; t < count; t++)
        for (size_t n = 1; n; n = next_count(n)) {
            check_color(tables[t], n);
            check_writing(tables[t], n);
            check_order(tables[t], n);
            check_pairs(tables[t], n);
        }
    check_pairs(reference, 33);
}

/* ---- transposition --------------------------------------------------------------------- */

/* Rows of `slack` more bytes than needed; upwards: of both the last one first. */
static void check_transpose(const nnd_ops_kernels *table, size_t bytes, size_t width, size_t height,
                            size_t slack, bool upwards)
{
    const size_t dst_row = width * bytes + slack, src_row = height * bytes + slack;
    block src = noise(src_row * width - slack, (uint32_t)(width * 64 + height));
    block got = blank(dst_row * height), want = blank(dst_row * height);
    nnd_transposition job = {want.data, (int64_t)dst_row, src.data, (int64_t)src_row,
                             width,     height,           bytes};
    if (upwards) {
        job.dst += (height - 1) * dst_row;
        job.src += (width - 1) * src_row;
        job.dst_stride = -job.dst_stride;
        job.src_stride = -job.src_stride;
    }
    reference->transpose(&job);
    for (size_t y = 0; y < height; y++) /* by the definition */
        for (size_t x = 0; x < width; x++)
            assert_memory_equal(job.dst + (int64_t)y * job.dst_stride + (int64_t)(x * bytes),
                                job.src + (int64_t)x * job.src_stride + (int64_t)(y * bytes),
                                bytes);
    job.dst = got.data + (upwards ? (height - 1) * dst_row : 0);
    table->transpose(&job);
    assert_equal(got, want, "transposition", table->name, width);
    free(src.data);
    free(got.data);
    free(want.data);
}

static void test_transpose(void **state)
{
    (void)state;
    const nnd_ops_kernels *tables[4];
    const int count = vector_tables(tables);
    for (int t = 0; t < count; t++)
        for (size_t k = 0; k < PIXEL_SIZES; k++)
            for (size_t width = 1; width <= 40; width += width < 20 ? 1 : 7)
                for (size_t height = 1; height <= 35; height += height < 18 ? 1 : 5)
                    check_transpose(tables[t], pixel_sizes[k], width, height, width % 3 * 5,
                                    (width + height) & 1);
}

/* ---- nearest --------------------------------------------------------------------------- */

/* Rows of `from` pixels to `to` ones through the operator: the row ends where its last pixel does,
   so that the sanitizer sees windows beyond it. */
static void check_nearest(nnd_pixel_format format, nnd_dtype dtype, int from, int to)
{
    const size_t bytes = (size_t)nnd_pixel_format_channels(format) * (dtype == NND_U8    ? 1
                                                                      : dtype == NND_U16 ? 2
                                                                                         : 4);
    block src = noise(bytes * (size_t)from, (uint32_t)(from + to));
    const nnd_image in = {.format = format,
                          .dtype = dtype,
                          .width = from,
                          .height = 1,
                          .data = {src.data},
                          .stride = {(int64_t)src.size}};
    nnd_resize_options options = NND_RESIZE_OPTIONS_INIT;
    options.filter = NND_FILTER_NEAREST;
    const double scale = 1 / ((double)to / from);
    FOR_EACH_ISA
    {
        block got = blank(bytes * (size_t)to), want = blank(bytes * (size_t)to);
        nnd_image out = in;
        out.width = to;
        out.data[0] = got.data;
        out.stride[0] = (int64_t)got.size;
        assert_ok(nnd_image_resize(&out, &in, &options));
        for (size_t x = 0; x < (size_t)to; x++) {
            const size_t at = (size_t)((double)x * scale), last = (size_t)from - 1;
            memcpy(want.data + x * bytes, src.data + (at < last ? at : last) * bytes, bytes);
        }
        assert_equal(got, want, "nearest", nnd_isa_name(nnd_isa_current()), (size_t)to);
        free(got.data);
        free(want.data);
    }
    free(src.data);
}

static void test_nearest(void **state)
{
    (void)state;
    static const nnd_pixel_format formats[] = {NND_PIX_GRAY, NND_PIX_RGB, NND_PIX_BGRA};
    static const nnd_dtype dtypes[] = {NND_U8, NND_U16, NND_F32};
    for (size_t f = 0; f < 3; f++)
        for (size_t d = 0; d < 3; d++)
            for (int from = 1; from < 160; from += from < 40 ? 3 : 23)
                for (int to = 1; to < 150; to += to < 40 ? 2 : 19)
                    check_nearest(formats[f], dtypes[d], from, to);
}

/* ---- colour spaces --------------------------------------------------------------------- */

typedef void (*space_fn)(uint8_t *, const uint8_t *, size_t, int, bool);

static void check_space(space_fn expected, space_fn tested, const char *table, block src,
                        size_t written, size_t count, int channels, bool bgr)
{
    block got = blank(written * count), want = blank(written * count);
    expected(want.data, src.data, count, channels, bgr);
    tested(got.data, src.data, count, channels, bgr);
    assert_equal(got, want, "colour space", table, count);
    free(got.data);
    free(want.data);
}

#define CHECK_SPACE(member, src, written)                                                          \
    check_space(reference->member, table->member, table->name, src, written, count, channels, bgr)

/* src holds 3 levels a pixel, color `channels`. */
static void check_spaces(const nnd_ops_kernels *table, block src, block color, size_t count,
                         int channels, bool bgr)
{
    CHECK_SPACE(rgb_to_hsv_u8, color, 3);
    CHECK_SPACE(rgb_to_ycrcb_u8, color, 3);
    CHECK_SPACE(hsv_to_rgb_u8, src, (size_t)channels);
    CHECK_SPACE(ycrcb_to_rgb_u8, src, (size_t)channels);
}

/* Every level of two channels with every fifth, and the last, of the third. */
static void check_all_levels(const nnd_ops_kernels *table)
{
    const size_t count = 256 * 256;
    block src = noise(3 * count, 1);
    for (int first = 0; first < 256; first += 5) {
        for (size_t i = 0; i < count; i++) {
            src.data[3 * i] = (uint8_t)first;
            src.data[3 * i + 1] = (uint8_t)(i >> 8);
            src.data[3 * i + 2] = (uint8_t)i;
        }
        check_spaces(table, src, src, count, 3, first & 1);
    }
    free(src.data);
}

static void test_spaces(void **state)
{
    (void)state;
    const nnd_ops_kernels *tables[4];
    const int count = vector_tables(tables);
    for (int t = 0; t < count; t++) {
        for (size_t n = 1; n; n = next_count(n))
            for (int channels = 3; channels <= 4; channels++) {
                block src = noise(3 * n, (uint32_t)n), color = noise((size_t)channels * n, 4);
                check_spaces(tables[t], src, color, n, channels, false);
                check_spaces(tables[t], src, color, n, channels, true);
                free(src.data);
                free(color.data);
            }
        check_all_levels(tables[t]);
    }
}

/* The spaces by their definitions in exact numbers (doubles hold them well enough to tell all but
   the middles between two levels). */
static void test_space_definitions(void **state)
{
    (void)state;
    for (int r = 0; r < 256; r += 3)
        for (int g = 0; g < 256; g += 5)
            for (int b = 0; b < 256; b += 5) {
                const uint8_t color[3] = {(uint8_t)r, (uint8_t)g, (uint8_t)b};
                uint8_t hsv[3], back[3];
                reference->rgb_to_hsv_u8(hsv, color, 1, 3, false);
                const double max = fmax(r, fmax(g, b)), range = max - fmin(r, fmin(g, b));
                const double hue = range == 0 ? 0
                                   : max == r ? 30 * (g - b) / range
                                   : max == g ? 60 + 30 * (b - r) / range
                                              : 120 + 30 * (r - g) / range;
                const double off = fabs(hsv[0] - (hue < 0 ? hue + 180 : hue));
                assert_true(off <= 0.5 || off >= 179.5);
                assert_true(hsv[0] < 180);
                assert_true(fabs(hsv[1] - (max > 0 ? 255 * range / max : 0)) <= 0.5);
                assert_int_equal(hsv[2], (int)max);
                /* Colours of whole degrees come back but for what rounding took. */
                reference->hsv_to_rgb_u8(back, hsv, 1, 3, false);
                for (int k = 0; k < 3; k++)
                    assert_in_range(back[k] + 6 - color[k], 0, 12);
                reference->rgb_to_ycrcb_u8(hsv, color, 1, 3, false);
                reference->ycrcb_to_rgb_u8(back, hsv, 1, 3, false);
                for (int k = 0; k < 3; k++)
                    assert_in_range(back[k] + 2 - color[k], 0, 4);
            }
}

/* ---- tensor elements ------------------------------------------------------------------- */

typedef void (*planar_fn)(float *const *, const uint8_t *, size_t, const float *, const float *);

static void check_planar(planar_fn expected, planar_fn tested, const char *table, size_t channels,
                         size_t count, int left_out)
{
    static const float mul[4] = {1 / 58.395f, 1 / 57.12f, 1 / 57.375f, 0.25f},
                       add[4] = {-2.1f, -2.03f, -1.8f, 3};
    block src = noise(channels * count, 8), got[4], want[4];
    float *got_plane[4], *want_plane[4];
    for (size_t c = 0; c < channels; c++) {
        got[c] = blank(4 * count);
        want[c] = blank(4 * count);
        got_plane[c] = (int)c == left_out ? NULL : (float *)(void *)got[c].data;
        want_plane[c] = (int)c == left_out ? NULL : (float *)(void *)want[c].data;
    }
    expected(want_plane, src.data, count, mul, add);
    tested(got_plane, src.data, count, mul, add);
    for (size_t c = 0; c < channels; c++) {
        assert_equal(got[c], want[c], "planes", table, count);
        free(got[c].data);
        free(want[c].data);
    }
    free(src.data);
}

static void check_runs(const nnd_ops_kernels *table, size_t count)
{
    float mul[48], add[48], values[MAX_COUNT];
    uint32_t seed = (uint32_t)count;
    for (int i = 0; i < 48; i++) {
        mul[i] = 1.0f / (float)(50 + i % 3);
        add[i] = -0.5f * (float)(i % 3);
    }
    for (size_t i = 0; i < count; i++)
        values[i] = (float)((int)(next_random(&seed) % 4000) - 1000) / 7.0f;
    values[count / 2] = (float)NAN;
    values[count / 3] = 2.5f; /* rounds to even */
    block src = noise(count, 2), got = blank(4 * count), want = blank(4 * count);
    reference->packed_u8((float *)(void *)want.data, src.data, count, mul, add);
    table->packed_u8((float *)(void *)got.data, src.data, count, mul, add);
    assert_equal(got, want, "packed", table->name, count);
    reference->f32_to_f16((uint16_t *)(void *)want.data, values, count);
    table->f32_to_f16((uint16_t *)(void *)got.data, values, count);
    assert_equal(got, want, "f32 to f16", table->name, count);
    reference->f32_to_u8(want.data, values, count);
    table->f32_to_u8(got.data, values, count);
    assert_equal(got, want, "f32 to u8", table->name, count);
    free(src.data);
    free(got.data);
    free(want.data);
}

static void test_elements(void **state)
{
    (void)state;
    const nnd_ops_kernels *tables[4];
    const int count = vector_tables(tables);
    for (int t = 0; t < count; t++)
        for (size_t n = 1; n; n = next_count(n)) {
            check_planar(reference->planar_u8c1, tables[t]->planar_u8c1, tables[t]->name, 1, n, -1);
            check_planar(reference->planar_u8c3, tables[t]->planar_u8c3, tables[t]->name, 3, n, -1);
            check_planar(reference->planar_u8c3, tables[t]->planar_u8c3, tables[t]->name, 3, n, 1);
            check_planar(reference->planar_u8c4, tables[t]->planar_u8c4, tables[t]->name, 4, n, -1);
            check_planar(reference->planar_u8c4, tables[t]->planar_u8c4, tables[t]->name, 4, n, 3);
            check_runs(tables[t], n);
        }
}

static void test_dispatch(void **state)
{
    (void)state;
    assert_ok(nnd_isa_force(NND_ISA_REFERENCE));
    assert_ptr_equal(nnd_ops_kernels_get(), reference);
    assert_ok(nnd_isa_force(nnd_isa_detected()));
    if (nnd_isa_has(NND_ISA_AVX2)) {
        assert_ok(nnd_isa_force(NND_ISA_AVX2));
        assert_string_equal(nnd_ops_kernels_get()->name, "avx2");
        assert_ok(nnd_isa_force(nnd_isa_detected()));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dispatch), cmocka_unit_test(test_bilinear),
        cmocka_unit_test(test_sums),     cmocka_unit_test(test_color),
        cmocka_unit_test(test_elements), cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_spaces),   cmocka_unit_test(test_space_definitions),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
