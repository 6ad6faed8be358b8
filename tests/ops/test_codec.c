/*
 * Codecs: pixels against known pictures, round trips, limits, and bytes that want to do harm.
 */
#include <math.h>

#include "ops/ops_support.h"
#include "port/port.h"
#include "support/oom.h"

#define DATA NND_SOURCE_DIR "/tests/ops/data/codec/"

typedef struct file_bytes {
    char *data;
    size_t size;
} file_bytes;

static file_bytes read_data(const char *name)
{
    char path[512];
    file_bytes f = {NULL, 0};
    snprintf(path, sizeof(path), DATA "%s", name);
    assert_int_equal(nnd_port_file_read(path, 1 << 20, &f.data, &f.size), 0);
    return f;
}

/* ---- known pictures ---- */

typedef struct known_case {
    char name[64], how[8];
    int width, height, channels, bits, orientation;
    unsigned long long sum;
    int samples[5][6]; /* x y r g b a */
} known_case;

static bool next_case(char **cursor, known_case *c)
{
    int used = 0;
    if (sscanf(*cursor, "%63s %d %d %d %d %d %7s %llx%n", c->name, &c->width, &c->height,
               &c->channels, &c->bits, &c->orientation, c->how, &c->sum, &used) != 8)
        return false;
    *cursor += used;
    for (int i = 0; i < 5; i++) {
        int *s = c->samples[i];
        assert_int_equal(sscanf(*cursor, " %d,%d,%d,%d,%d,%d%n", &s[0], &s[1], &s[2], &s[3], &s[4],
                                &s[5], &used),
                         6);
        *cursor += used;
    }
    return true;
}

/* FNV-1a over the rows, as the generator counts it. */
static uint64_t sum_of(const nnd_image *image)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width * 4; x++)
            h = (h ^ image->data[0][y * image->stride[0] + x]) * 0x100000001B3u;
    return h;
}

static void check_pixels(const known_case *c, const nnd_image *image)
{
    const bool exact = strcmp(c->how, "exact") == 0;
    assert_int_equal(image->width, c->width);
    assert_int_equal(image->height, c->height);
    if (exact && sum_of(image) != c->sum) {
        fprintf(stderr, "%s: other pixels than expected\n", c->name);
        fail();
    }
    for (int i = 0; i < 5; i++) {
        const int *s = c->samples[i];
        const uint8_t *p = image->data[0] + s[1] * image->stride[0] + 4 * s[0];
        for (int k = 0; k < 4; k++) {
            if (abs(p[k] - s[2 + k]) <= (exact ? 0 : 2)) continue;
            fprintf(stderr, "%s: channel %d at %d,%d is %d, expected %d\n", c->name, k, s[0], s[1],
                    p[k], s[2 + k]);
            fail();
        }
    }
}

static void test_known_pictures(void **state)
{
    (void)state;
    const file_bytes list = read_data("cases.txt");
    char *text = calloc(1, list.size + 1), *cursor = text;
    memcpy(text, list.data, list.size);
    known_case c;
    int count = 0;
    for (; next_case(&cursor, &c); count++) {
        const file_bytes f = read_data(c.name);
        nnd_image_file_info info = {.size = sizeof(info)};
        assert_ok(nnd_image_decode_info(f.data, f.size, &info));
        assert_int_equal(info.codec, nnd_image_codec_from_name(c.name));
        assert_int_equal(info.width, c.width);
        assert_int_equal(info.height, c.height);
        assert_int_equal(info.channels, c.channels);
        assert_int_equal(info.bits, c.bits);
        assert_int_equal(info.orientation, c.orientation);
        nnd_decode_options o = NND_DECODE_OPTIONS_INIT;
        o.format = NND_PIX_RGBA;
        o.upright = false;
        nnd_value *value;
        assert_ok(nnd_image_decode(f.data, f.size, &o, &value));
        check_pixels(&c, nnd_value_image(value));
        nnd_value_unref(value);
        o.format = NND_PIX_NONE;
        assert_ok(nnd_image_decode(f.data, f.size, &o, &value));
        assert_int_equal(nnd_pixel_format_channels(nnd_value_image(value)->format) == 1,
                         c.channels == 1);
        nnd_value_unref(value);
        nnd_port_free(f.data);
    }
    assert_true(count >= 60);
    free(text);
    nnd_port_free(list.data);
}

/* The numbers of a palette or of small grays, instead of the colours that they stand for. */
static void test_numbers_as_stored(void **state)
{
    (void)state;
    for (int kind = 0; kind < 16; kind++) {
        const int bits = 1 << (kind & 3);
        const bool palette = kind & 4, interlaced = kind & 8;
        char name[64];
        snprintf(name, sizeof name, "%s%d%s.png", palette ? "palette" : "gray", bits,
                 interlaced ? "_interlaced" : "");
        const file_bytes f = read_data(name);
        nnd_decode_options o = NND_DECODE_OPTIONS_INIT;
        nnd_value *colors, *numbers;
        assert_ok(nnd_image_decode(f.data, f.size, &o, &colors));
        o.format = NND_PIX_NONE;
        o.as_stored = true;
        assert_ok(nnd_image_decode(f.data, f.size, &o, &numbers));
        const nnd_image *c = nnd_value_image(colors), *n = nnd_value_image(numbers);
        assert_int_equal(n->format, NND_PIX_GRAY);
        for (int y = 0; y < n->height; y++) {
            for (int x = 0; x < n->width; x++) {
                const int number = n->data[0][n->stride[0] * y + x];
                const uint8_t *color = c->data[0] + c->stride[0] * y + 3 * x;
                assert_true(number < 1 << bits);
                /* the palette of tools/testdata/make_codec_cases.py */
                assert_int_equal(color[0],
                                 palette ? number * 37 % 256 : number * 255 / ((1 << bits) - 1));
                if (palette) assert_int_equal(color[2], number * 151 % 256);
            }
        }
        nnd_value_unref(colors);
        nnd_value_unref(numbers);
        nnd_port_free(f.data);
    }
}

/* Every wanted format holds the same picture, whichever way the codec brought it there. */
static void test_formats_agree(void **state)
{
    (void)state;
    static const char *const files[] = {"rgb_444.jpg", "rgba8.png", "palette4.png",
                                        "gray8.png",   "rgb24.bmp", "cmyk.jpg"};
    static const nnd_pixel_format formats[] = {NND_PIX_RGB, NND_PIX_BGR, NND_PIX_RGBA,
                                               NND_PIX_BGRA};
    for (size_t i = 0; i < NND_COUNT(files); i++) {
        const file_bytes f = read_data(files[i]);
        nnd_value *rgb;
        assert_ok(nnd_image_decode(f.data, f.size, NULL, &rgb));
        assert_int_equal(nnd_value_image(rgb)->format, NND_PIX_RGB);
        for (size_t k = 0; k < NND_COUNT(formats); k++) {
            nnd_decode_options o = NND_DECODE_OPTIONS_INIT;
            o.format = formats[k];
            nnd_value *value, *back;
            assert_ok(nnd_image_decode(f.data, f.size, &o, &value));
            const nnd_image *image = nnd_value_image(value), *wanted = nnd_value_image(rgb);
            assert_int_equal(image->format, formats[k]);
            assert_ok(nnd_value_new_image(NND_PIX_RGB, NND_U8, image->width, image->height, &back));
            assert_ok(nnd_image_convert(nnd_value_edit(back), image, NULL));
            for (int y = 0; y < image->height; y++)
                assert_memory_equal(
                    nnd_value_image(back)->data[0] + y * nnd_value_image(back)->stride[0],
                    wanted->data[0] + y * wanted->stride[0], (size_t)image->width * 3);
            nnd_value_unref(back);
            nnd_value_unref(value);
        }
        nnd_decode_options o = NND_DECODE_OPTIONS_INIT;
        nnd_value *yuv;
        o.format = NND_PIX_NV12;
        assert_ok(nnd_image_decode(f.data, f.size, &o, &yuv));
        assert_int_equal(nnd_value_image(yuv)->format, NND_PIX_NV12);
        nnd_value_unref(yuv);
        nnd_value_unref(rgb);
        nnd_port_free(f.data);
    }
}

/* exif1 … exif8 hold the same stored pixels, so upright pictures are turns of the first. */
static void test_upright(void **state)
{
    (void)state;
    const file_bytes first = read_data("exif1.jpg");
    nnd_value *plain;
    assert_ok(nnd_image_decode(first.data, first.size, NULL, &plain));
    for (int orientation = 1; orientation <= 8; orientation++) {
        char name[32];
        snprintf(name, sizeof(name), "exif%d.jpg", orientation);
        const file_bytes f = read_data(name);
        nnd_value *value, *turned;
        assert_ok(nnd_image_decode(f.data, f.size, NULL, &value));
        const nnd_image *image = nnd_value_image(value);
        const bool swapped = orientation >= 5;
        assert_int_equal(image->width, swapped ? 13 : 19);
        assert_int_equal(image->height, swapped ? 19 : 13);
        assert_ok(nnd_value_new_image(NND_PIX_RGB, NND_U8, image->width, image->height, &turned));
        assert_ok(
            nnd_image_orient(nnd_value_edit(turned), nnd_value_image(plain), orientation, NULL));
        const nnd_image *wanted = nnd_value_image(turned);
        for (int y = 0; y < image->height; y++)
            assert_memory_equal(image->data[0] + y * image->stride[0],
                                wanted->data[0] + y * wanted->stride[0], (size_t)image->width * 3);
        nnd_value_unref(turned);
        nnd_value_unref(value);
        nnd_port_free(f.data);
    }
    nnd_value_unref(plain);
    nnd_port_free(first.data);
}

static void test_keep_16_bit(void **state)
{
    (void)state;
    const file_bytes f = read_data("rgb16.png");
    nnd_decode_options o = NND_DECODE_OPTIONS_INIT;
    nnd_value *wide, *narrow;
    o.keep_16_bit = true;
    assert_ok(nnd_image_decode(f.data, f.size, &o, &wide));
    assert_ok(nnd_image_decode(f.data, f.size, NULL, &narrow));
    const nnd_image *a = nnd_value_image(wide), *b = nnd_value_image(narrow);
    assert_int_equal(a->dtype, NND_U16);
    for (int y = 0; y < a->height; y++) {
        const uint16_t *p = (const uint16_t *)(const void *)(a->data[0] + y * a->stride[0]);
        const uint8_t *q = b->data[0] + y * b->stride[0];
        for (int x = 0; x < a->width * 3; x++) {
            assert_int_equal((p[x] - 77) % 251, 0); /* as the generator made them */
            assert_int_equal(q[x], (p[x] + 128) / 257);
        }
    }
    nnd_value_unref(narrow);
    nnd_value_unref(wide);
    nnd_port_free(f.data);
}

/* ---- encoding ---- */

static double mean_difference(const nnd_image *a, const nnd_image *b)
{
    const size_t row = nnd_image_pixel_bytes(a) * (size_t)a->width;
    double sum = 0;
    assert_int_equal(a->format, b->format);
    assert_int_equal(a->dtype, b->dtype);
    for (int y = 0; y < a->height; y++)
        for (size_t i = 0; i < row; i++)
            sum += abs(a->data[0][y * a->stride[0] + (int64_t)i] -
                       b->data[0][y * b->stride[0] + (int64_t)i]);
    return sum / ((double)row * a->height);
}

static void fill_smooth(nnd_image *image)
{
    const int channels = nnd_pixel_format_channels(image->format);
    const int depth = image->dtype == NND_U16 ? 2 : 1;
    for (int y = 0; y < image->height; y++)
        for (int i = 0; i < image->width * channels * depth; i++)
            image->data[0][y * image->stride[0] + i] =
                (uint8_t)(3 * y + 2 * (i / (channels * depth)) + 40 * (i % (channels * depth)));
}

static void check_round_trip(nnd_image_codec codec, nnd_pixel_format format, nnd_dtype dtype)
{
    test_image t = test_image_new(format, dtype, 37, 23, 5);
    nnd_encode_options e = NND_ENCODE_OPTIONS_INIT;
    nnd_decode_options d = NND_DECODE_OPTIONS_INIT;
    void *bytes;
    size_t size;
    nnd_value *value;
    fill_smooth(&t.view);
    e.codec = codec;
    d.format = format;
    d.keep_16_bit = true;
    assert_ok(nnd_image_encode(&t.view, &e, &bytes, &size));
    assert_int_equal(nnd_image_codec_probe(bytes, size), codec);
    assert_ok(nnd_image_decode(bytes, size, &d, &value));
    const nnd_image *back = nnd_value_image(value);
    const bool lossy_alpha = format == NND_PIX_RGBA || format == NND_PIX_BGRA;
    if (codec == NND_CODEC_PNG)
        assert_true(mean_difference(&t.view, back) == 0);
    else if (!lossy_alpha)
        assert_true(mean_difference(&t.view, back) <= (codec == NND_CODEC_BMP ? 0 : 3));
    nnd_value_unref(value);
    nnd_free(bytes);
    free(t.block);
}

static void test_round_trips(void **state)
{
    (void)state;
    static const nnd_pixel_format formats[] = {NND_PIX_RGB, NND_PIX_BGR, NND_PIX_GRAY, NND_PIX_RGBA,
                                               NND_PIX_BGRA};
    for (size_t i = 0; i < NND_COUNT(formats); i++) {
        check_round_trip(NND_CODEC_JPEG, formats[i], NND_U8);
        check_round_trip(NND_CODEC_PNG, formats[i], NND_U8);
        check_round_trip(NND_CODEC_PNG, formats[i], NND_U16);
        check_round_trip(NND_CODEC_BMP, formats[i], NND_U8);
    }
}

static void test_encode_converts(void **state)
{
    (void)state;
    test_image nv12 = test_image_new(NND_PIX_NV12, NND_U8, 10, 6, 0);
    test_image f32 = test_image_new(NND_PIX_RGB, NND_F32, 4, 3, 0);
    for (int i = 0; i < 4 * 3 * 3; i++)
        ((float *)(void *)f32.view.data[0])[i] = 0.5f;
    for (int codec = NND_CODEC_JPEG; codec <= NND_CODEC_BMP; codec++) {
        nnd_encode_options e = NND_ENCODE_OPTIONS_INIT;
        void *bytes;
        size_t size;
        nnd_value *value;
        e.codec = (nnd_image_codec)codec;
        assert_ok(nnd_image_encode(&nv12.view, &e, &bytes, &size));
        nnd_free(bytes);
        assert_ok(nnd_image_encode(&f32.view, &e, &bytes, &size));
        assert_ok(nnd_image_decode(bytes, size, NULL, &value));
        assert_in_range(nnd_value_image(value)->data[0][0], 127, 129);
        nnd_value_unref(value);
        nnd_free(bytes);
    }
    free(nv12.block);
    free(f32.block);
}

static void test_quality_and_bad_options(void **state)
{
    (void)state;
    test_image t = test_image_new(NND_PIX_RGB, NND_U8, 64, 64, 0);
    uint32_t seed = 7;
    for (int i = 0; i < 64 * 64 * 3; i++)
        t.view.data[0][i] = (uint8_t)next_random(&seed);
    size_t sizes[2];
    void *bytes;
    nnd_encode_options e = NND_ENCODE_OPTIONS_INIT;
    e.codec = NND_CODEC_JPEG;
    for (int i = 0; i < 2; i++) {
        e.quality = i ? 95 : 30;
        assert_ok(nnd_image_encode(&t.view, &e, &bytes, &sizes[i]));
        nnd_free(bytes);
    }
    assert_true(sizes[0] * 2 < sizes[1]);
    e.quality = 101;
    assert_status(nnd_image_encode(&t.view, &e, &bytes, sizes), NND_E_INVALID_ARGUMENT);
    e.quality = 90;
    e.codec = (nnd_image_codec)9;
    assert_status(nnd_image_encode(&t.view, &e, &bytes, sizes), NND_E_INVALID_ARGUMENT);
    e.codec = NND_CODEC_PNG;
    e.compression = 10;
    assert_status(nnd_image_encode(&t.view, &e, &bytes, sizes), NND_E_INVALID_ARGUMENT);
    e.size = 1;
    assert_status(nnd_image_encode(&t.view, &e, &bytes, sizes), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_image_encode(NULL, NULL, &bytes, sizes), NND_E_INVALID_ARGUMENT);
    nnd_value *value;
    assert_status(nnd_image_decode(NULL, 0, NULL, &value), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_image_decode("GIF89a", 6, NULL, &value), NND_E_UNSUPPORTED);
    free(t.block);
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(nnd_image_codec_from_name("a/b.JPG"), NND_CODEC_JPEG);
    assert_int_equal(nnd_image_codec_from_name("x.jpeg"), NND_CODEC_JPEG);
    assert_int_equal(nnd_image_codec_from_name("x.y.png"), NND_CODEC_PNG);
    assert_int_equal(nnd_image_codec_from_name("x.bmp"), NND_CODEC_BMP);
    assert_int_equal(nnd_image_codec_from_name("png"), NND_CODEC_NONE);
    assert_int_equal(nnd_image_codec_from_name("x.pngx"), NND_CODEC_NONE);
    assert_int_equal(nnd_image_codec_from_name("x.pn"), NND_CODEC_NONE);
    assert_int_equal(nnd_image_codec_from_name(NULL), NND_CODEC_NONE);
}

/* ---- limits ---- */

static void test_limits(void **state)
{
    (void)state;
    static const char *const files[] = {"rgb_420.jpg", "rgb8.png", "rgb24.bmp"};
    for (size_t i = 0; i < NND_COUNT(files); i++) {
        const file_bytes f = read_data(files[i]);
        nnd_decode_options o = NND_DECODE_OPTIONS_INIT;
        nnd_value *value;
        o.max_side = 18;
        assert_status(nnd_image_decode(f.data, f.size, &o, &value), NND_E_LIMIT);
        o.max_side = 19;
        o.max_pixels = 19 * 13 - 1;
        assert_status(nnd_image_decode(f.data, f.size, &o, &value), NND_E_LIMIT);
        o.max_pixels = 19 * 13;
        assert_ok(nnd_image_decode(f.data, f.size, &o, &value));
        nnd_value_unref(value);
        nnd_cancel *token;
        assert_ok(nnd_cancel_create(NULL, &token));
        nnd_cancel_request(token);
        o.cancel = token;
        assert_status(nnd_image_decode(f.data, f.size, &o, &value), NND_E_CANCELLED);
        nnd_cancel_unref(token);
        nnd_port_free(f.data);
    }
}

/* A header that promises a huge picture must not cost its memory. */
static void test_huge_dimensions(void **state)
{
    (void)state;
    nnd_value *value;
    file_bytes f = read_data("rgb8.png");
    memcpy(f.data + 16, "\0\0\xFF\xFF\0\0\xFF\xFF", 8); /* 65535 x 65535 */
    assert_status(nnd_image_decode(f.data, f.size, NULL, &value), NND_E_LIMIT);
    memcpy(f.data + 16, "\x7F\xFF\xFF\xFF\x7F\xFF\xFF\xFF", 8);
    assert_status(nnd_image_decode(f.data, f.size, NULL, &value), NND_E_LIMIT);
    memcpy(f.data + 16, "\xFF\xFF\xFF\xFF\0\0\0\1", 8);
    assert_status(nnd_image_decode(f.data, f.size, NULL, &value), NND_E_FORMAT);
    nnd_port_free(f.data);
    f = read_data("rgb24.bmp");
    memcpy(f.data + 18, "\xFF\xFF\0\0\xFF\xFF\0\0", 8);
    assert_status(nnd_image_decode(f.data, f.size, NULL, &value), NND_E_LIMIT);
    memcpy(f.data + 18, "\xE8\3\0\0\xE8\3\0\0", 8); /* 1000 x 1000 in a file of a kilobyte */
    assert_status(nnd_image_decode(f.data, f.size, NULL, &value), NND_E_FORMAT);
    memcpy(f.data + 18, "\1\0\0\0\0\0\0\x80", 8); /* the most negative height */
    assert_status(nnd_image_decode(f.data, f.size, NULL, &value), NND_E_FORMAT);
    nnd_port_free(f.data);
    f = read_data("rgb_444.jpg");
    for (size_t i = 0; i + 9 < f.size; i++) { /* the frame header */
        if ((uint8_t)f.data[i] == 0xFF && (uint8_t)f.data[i + 1] == 0xC0) {
            memcpy(f.data + i + 5, "\xFF\xDC\xFF\xDC", 4);
            break;
        }
    }
    assert_status(nnd_image_decode(f.data, f.size, NULL, &value), NND_E_LIMIT);
    nnd_port_free(f.data);
}

/* A progressive file whose last scan is repeated a thousand times. */
static void test_many_scans(void **state)
{
    (void)state;
    const file_bytes f = read_data("gray_progressive.jpg");
    size_t last = 0;
    for (size_t i = 0; i + 1 < f.size; i++)
        if ((uint8_t)f.data[i] == 0xFF && (uint8_t)f.data[i + 1] == 0xDA) last = i;
    assert_true(last > 0);
    const size_t scan = f.size - 2 - last, copies = 1000;
    char *bytes = malloc(f.size + copies * scan);
    size_t size = last;
    memcpy(bytes, f.data, last);
    for (size_t i = 0; i < copies; i++, size += scan)
        memcpy(bytes + size, f.data + last, scan);
    memcpy(bytes + size, "\xFF\xD9", 2);
    nnd_value *value;
    const nnd_status status = nnd_image_decode(bytes, size + 2, NULL, &value);
    assert_true(status == NND_E_LIMIT || status == NND_E_FORMAT);
    free(bytes);
    nnd_port_free(f.data);
}

/* ---- hostile bytes ---- */

/* In a block of its exact size, so that the address sanitizer sees one byte too many. */
static nnd_status decode_copy(const char *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    nnd_value *value = NULL;
    memcpy(copy, data, size);
    const nnd_status status = nnd_image_decode(copy, size, NULL, &value);
    if (status == NND_OK) {
        assert_non_null(nnd_value_image(value));
        nnd_value_unref(value);
    } else {
        assert_null(value);
    }
    free(copy);
    return status;
}

static bool is_orderly(nnd_status status)
{
    return status == NND_OK || status == NND_E_FORMAT || status == NND_E_LIMIT ||
           status == NND_E_UNSUPPORTED;
}

static const char *const victims[] = {"rgb_420.jpg",
                                      "rgb_444_progressive.jpg",
                                      "gray.jpg",
                                      "ycck.jpg",
                                      "exif6.jpg",
                                      "restart.jpg",
                                      "rgba8.png",
                                      "gray1.png",
                                      "rgb16_interlaced.png",
                                      "palette4_trns.png",
                                      "rgb8_extras.png",
                                      "rgb24.bmp",
                                      "palette4.bmp",
                                      "rgba32_v4.bmp",
                                      "rgb565.bmp",
                                      "core_header.bmp"};

static void test_truncation(void **state)
{
    (void)state;
    for (size_t i = 0; i < NND_COUNT(victims); i++) {
        const file_bytes f = read_data(victims[i]);
        for (size_t size = 0; size < f.size; size++) {
            const nnd_status status = decode_copy(f.data, size);
            if (status == NND_E_FORMAT) continue;
            fprintf(stderr, "%s cut to %zu of %zu: %s\n", victims[i], size, f.size,
                    nnd_status_name(status));
            fail();
        }
        nnd_port_free(f.data);
    }
}

static void test_bit_flips(void **state)
{
    (void)state;
    uint32_t seed = 11;
    for (size_t i = 0; i < NND_COUNT(victims); i++) {
        const file_bytes f = read_data(victims[i]);
        const size_t head = f.size < 160 ? f.size : 160;
        for (size_t bit = 0; bit < head * 8 + 400; bit++) { /* all of the head, some of the rest */
            const size_t at = bit < head * 8 ? bit / 8 : next_random(&seed) % f.size;
            f.data[at] = (char)(f.data[at] ^ (1 << bit % 8));
            const nnd_status status = decode_copy(f.data, f.size);
            f.data[at] = (char)(f.data[at] ^ (1 << bit % 8));
            if (is_orderly(status)) continue;
            fprintf(stderr, "%s bit %zu of byte %zu: %s\n", victims[i], bit % 8, at,
                    nnd_status_name(status));
            fail();
        }
        assert_int_equal(decode_copy(f.data, f.size), NND_OK);
        nnd_port_free(f.data);
    }
}

/* ---- out of memory ---- */

/* Decodes and encodes once; what was made is given back. */
static nnd_status decode_and_encode(const file_bytes *f, nnd_image_codec codec)
{
    nnd_value *value;
    NND_TRY(nnd_image_decode(f->data, f->size, NULL, &value));
    nnd_encode_options e = NND_ENCODE_OPTIONS_INIT;
    void *bytes;
    size_t size;
    e.codec = codec;
    const nnd_status status = nnd_image_encode(nnd_value_image(value), &e, &bytes, &size);
    nnd_value_unref(value);
    if (status == NND_OK) nnd_free(bytes);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static const char *const files[] = {
        "rgb_420.jpg",          "cmyk.jpg",  "exif6.jpg", "palette4_trns.png",
        "rgb16_interlaced.png", "rgb565.bmp"};
    for (size_t i = 0; i < NND_COUNT(files); i++) {
        const file_bytes f = read_data(files[i]);
        const nnd_image_codec codec = (nnd_image_codec)(NND_CODEC_JPEG + i % 3);
        long tries = 0;
        assert_ok(decode_and_encode(&f, codec)); /* whatever is made once per process */
        oom_begin();
        for (bool hit = true; hit; tries++) {
            oom_fail_after(tries);
            const nnd_status status = decode_and_encode(&f, codec);
            hit = oom_hit();
            oom_never();
            assert_int_equal(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
            nnd_error_clear();
            assert_int_equal(oom_live_blocks(), 0);
        }
        oom_end();
        assert_true(tries > 3);
        nnd_port_free(f.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_pictures),  cmocka_unit_test(test_numbers_as_stored),
        cmocka_unit_test(test_formats_agree),   cmocka_unit_test(test_upright),
        cmocka_unit_test(test_keep_16_bit),     cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_encode_converts), cmocka_unit_test(test_quality_and_bad_options),
        cmocka_unit_test(test_names),           cmocka_unit_test(test_limits),
        cmocka_unit_test(test_huge_dimensions), cmocka_unit_test(test_many_scans),
        cmocka_unit_test(test_truncation),      cmocka_unit_test(test_bit_flips),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
