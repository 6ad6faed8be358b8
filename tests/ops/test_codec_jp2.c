/*
 * JPEG 2000 against the formulas of its pictures (tools/testdata/make_jp2_cases.c), files that are
 * put together here (palettes, alpha that colours are multiplied with), and damaged ones. What
 * needs pixels is skipped where OpenJPEG is not installed; headers are read without it.
 */
#include "ops/ops_support.h"
#include "port/port.h"
#include "support/oom.h"

#define DATA NND_SOURCE_DIR "/tests/ops/data/codec/"

enum { WIDTH = 19, HEIGHT = 13 };

typedef struct jp2_case {
    const char *file;
    int components, bits;
    int step_x, step_y, x0, y0; /* of the second and third component; of the picture */
    bool is_ycc, lossy;
} jp2_case;

static const jp2_case cases[] = {
    {"gray1.jp2", 1, 1, 1, 1, 0, 0, false, false},
    {"gray4.j2k", 1, 4, 1, 1, 0, 0, false, false},
    {"gray8.jp2", 1, 8, 1, 1, 0, 0, false, false},
    {"gray12_signed.j2k", 1, 12, 1, 1, 0, 0, false, false},
    {"gray16.jp2", 1, 16, 1, 1, 0, 0, false, false},
    {"gray8_alpha.jp2", 2, 8, 1, 1, 0, 0, false, false},
    {"gray8_alpha.j2k", 2, 8, 1, 1, 0, 0, false, false},
    {"rgb8.jp2", 3, 8, 1, 1, 0, 0, false, false},
    {"rgb8_tiles.j2k", 3, 8, 1, 1, 5, 3, false, false},
    {"rgb10.jp2", 3, 10, 1, 1, 0, 0, false, false},
    {"rgba8.jp2", 4, 8, 1, 1, 0, 0, false, false},
    {"rgb8_lossy.jp2", 3, 8, 1, 1, 0, 0, false, true},
    {"sycc444.jp2", 3, 8, 1, 1, 0, 0, true, false},
    {"sycc420.jp2", 3, 8, 2, 2, 0, 0, true, false},
    {"ycc422_offset.j2k", 3, 8, 2, 1, 5, 3, true, false},
};

typedef struct file_bytes {
    uint8_t *data;
    size_t size;
} file_bytes;

/* In a block of its exact size, for the address sanitizer. */
static file_bytes read_data(const char *name)
{
    char path[512], *data;
    file_bytes f;
    snprintf(path, sizeof(path), DATA "%s", name);
    assert_int_equal(nnd_port_file_read(path, 1 << 20, &data, &f.size), 0);
    f.data = malloc(f.size);
    assert_non_null(f.data);
    memcpy(f.data, data, f.size);
    nnd_port_free(data);
    return f;
}

static nnd_status decode(const file_bytes *f, bool keep_16_bit, nnd_value **out)
{
    nnd_decode_options o = NND_DECODE_OPTIONS_INIT;
    o.format = NND_PIX_NONE;
    o.keep_16_bit = keep_16_bit;
    return nnd_image_decode(f->data, f->size, &o, out);
}

static void needs_library(void)
{
    const file_bytes f = read_data("gray8.jp2");
    nnd_value *value = NULL;
    const nnd_status status = decode(&f, false, &value);
    nnd_value_unref(value);
    nnd_error_clear();
    free(f.data);
    if (status != NND_E_MISSING) return;
    fprintf(stderr, "skipped: OpenJPEG is not installed\n");
    skip();
}

/* ---- pixels --------------------------------------------------------------------------------- */

/* A sample as the files were made: levels of all bits, from 0 on. */
static int sample(const jp2_case *c, int component, int x, int y)
{
    int v = c->lossy ? x * 6 + y * 4 + component * 40 : x * 13 + y * 3 + component * (y * 17 + 40);
    if (c->bits > 8) v *= 1 << (c->bits - 8);
    return v & ((1 << c->bits) - 1);
}

static int coarse(int at, int first, int step)
{
    const int index = (first + at) / step - (first + step - 1) / step;
    return index < 0 ? 0 : index;
}

static double clamp_level(double v, double white)
{
    return v < 0 ? 0 : v > white ? white : v;
}

/* What the pixel has to be, in levels 0 … white. */
static void expected(const jp2_case *c, int x, int y, double white, double out[4])
{
    const double most = (1 << c->bits) - 1;
    double level[4] = {0};
    for (int i = 0; i < c->components; i++) {
        const bool is_coarse = i == 1 || i == 2;
        const int sx = is_coarse ? coarse(x, c->x0, c->step_x) : x;
        const int sy = is_coarse ? coarse(y, c->y0, c->step_y) : y;
        level[i] = sample(c, i, sx, sy) * white / most;
    }
    const bool is_gray = c->components < 3;
    for (int i = 0; i < 3; i++)
        out[i] = level[is_gray ? 0 : i];
    out[3] = c->components % 2 ? white : level[c->components - 1];
    if (!c->is_ycc) return;
    const double blue = level[1] - 128, red = level[2] - 128;
    out[0] = clamp_level(level[0] + 1.402 * red, white);
    out[1] = clamp_level(level[0] - 0.344136 * blue - 0.714136 * red, white);
    out[2] = clamp_level(level[0] + 1.772 * blue, white);
}

static double channel_of(const nnd_image *image, int x, int y, int channel)
{
    const uint8_t *row = image->data[0] + y * image->stride[0];
    const int at = x * nnd_pixel_format_channels(image->format) + channel;
    return image->dtype == NND_U16 ? ((const uint16_t *)(const void *)row)[at] : row[at];
}

static void check_pixels(const jp2_case *c, const file_bytes *f, bool keep_16_bit)
{
    nnd_value *value;
    assert_ok(decode(f, keep_16_bit, &value));
    const nnd_image *image = nnd_value_image(value);
    const bool wide = keep_16_bit && c->bits > 8;
    const double white = wide ? 65535 : 255;
    const int channels = c->components % 2 ? c->components : 4;
    /* Exact values are rounded to integers; the lossy file keeps the picture's look. */
    const double slack = c->lossy ? 12 : 0.51;
    assert_int_equal(image->dtype, wide ? NND_U16 : NND_U8);
    assert_int_equal(nnd_pixel_format_channels(image->format), channels);
    assert_int_equal(image->width, WIDTH);
    assert_int_equal(image->height, HEIGHT);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            double want[4];
            expected(c, x, y, white, want);
            for (int i = 0; i < channels; i++) {
                const double got = channel_of(image, x, y, i);
                if (!(got >= want[i] - slack && got <= want[i] + slack))
                    fail_msg("%s at %d, %d, channel %d: %g, expected %g", c->file, x, y, i, got,
                             want[i]);
            }
        }
    nnd_value_unref(value);
}

static void test_pixels(void **state)
{
    (void)state;
    needs_library();
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        const file_bytes f = read_data(cases[i].file);
        check_pixels(&cases[i], &f, false);
        check_pixels(&cases[i], &f, true);
        free(f.data);
    }
}

/* The usual wish is RGB. */
static void test_wish(void **state)
{
    (void)state;
    needs_library();
    static const char *const files[] = {"gray8.jp2", "gray8_alpha.j2k", "rgba8.jp2", "sycc420.jp2"};
    for (size_t i = 0; i < NND_COUNT(files); i++) {
        const file_bytes f = read_data(files[i]);
        nnd_value *value;
        assert_ok(nnd_image_decode(f.data, f.size, NULL, &value));
        assert_int_equal(nnd_value_image(value)->format, NND_PIX_RGB);
        nnd_value_unref(value);
        free(f.data);
    }
}

static void test_info(void **state)
{
    (void)state;
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        const jp2_case *c = &cases[i];
        const file_bytes f = read_data(c->file);
        nnd_image_file_info info = {.size = sizeof(info)};
        assert_int_equal(nnd_image_codec_probe(f.data, f.size), NND_CODEC_JPEG_2000);
        assert_ok(nnd_image_decode_info(f.data, f.size, &info));
        assert_int_equal(info.codec, NND_CODEC_JPEG_2000);
        assert_int_equal(info.width, WIDTH);
        assert_int_equal(info.height, HEIGHT);
        assert_int_equal(info.channels, c->components % 2 ? c->components : 4);
        assert_int_equal(info.bits, c->bits > 8 ? 16 : 8);
        assert_int_equal(info.orientation, 1);
        free(f.data);
    }
}

/* ---- files that are put together here ------------------------------------------------------- */

static size_t find(const file_bytes *f, const char *word)
{
    for (size_t i = 0; i + 4 <= f->size; i++)
        if (memcmp(f->data + i, word, 4) == 0) return i;
    fail_msg("there is no '%s'", word);
    return 0;
}

static void put_u32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* More boxes at the end of the super box jp2h. */
static void add_boxes(file_bytes *f, const uint8_t *boxes, size_t size)
{
    const size_t head = find(f, "jp2h") - 4, length = get_u32(f->data + head);
    uint8_t *data = malloc(f->size + size);
    assert_non_null(data);
    memcpy(data, f->data, head + length);
    memcpy(data + head + length, boxes, size);
    memcpy(data + head + length + size, f->data + head + length, f->size - head - length);
    put_u32(data + head, (uint32_t)(length + size));
    free(f->data);
    f->data = data;
    f->size += size;
}

/* gray1.jp2 as numbers of two colours; the palette's third column has ten bits. */
static void test_palette(void **state)
{
    (void)state;
    needs_library();
    static const uint8_t boxes[] = {
        0, 0, 0, 22, 'p', 'c', 'l', 'r', 0, 2, 3, 7, 7, 9, 10, 20, 3, 255, 200, 100, 0, 0, /* */
        0, 0, 0, 20, 'c', 'm', 'a', 'p', 0, 0, 1, 0, 0, 0, 1,  1,  0, 0,   1,   2};
    const double narrow[2][3] = {{10, 20, 255}, {200, 100, 0}};
    file_bytes f = read_data("gray1.jp2");
    nnd_image_file_info info = {.size = sizeof(info)};
    nnd_value *value;
    add_boxes(&f, boxes, sizeof(boxes));
    assert_ok(nnd_image_decode_info(f.data, f.size, &info));
    assert_int_equal(info.channels, 3);
    assert_int_equal(info.bits, 16);
    assert_ok(decode(&f, false, &value));
    const nnd_image *image = nnd_value_image(value);
    assert_int_equal(image->format, NND_PIX_RGB);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++)
                assert_true(channel_of(image, x, y, c) == narrow[sample(&cases[0], 0, x, y)][c]);
    nnd_value_unref(value);
    free(f.data);
}

/* The alpha of rgba8.jp2 declared as one that the colours are multiplied with. */
static void test_premultiplied(void **state)
{
    (void)state;
    needs_library();
    file_bytes f = read_data("rgba8.jp2");
    nnd_value *straight, *divided;
    assert_ok(decode(&f, false, &straight));
    uint8_t *cdef = f.data + find(&f, "cdef") + 4;
    assert_int_equal(cdef[2 + 6 * 3 + 3], 1);
    cdef[2 + 6 * 3 + 3] = 2;
    assert_ok(decode(&f, false, &divided));
    const nnd_image *from = nnd_value_image(straight), *to = nnd_value_image(divided);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            const double alpha = channel_of(from, x, y, 3);
            assert_true(channel_of(to, x, y, 3) == alpha);
            for (int c = 0; c < 3; c++) {
                const double want =
                    alpha > 0 ? clamp_level(channel_of(from, x, y, c) * 255 / alpha, 255) : 0;
                assert_true(channel_of(to, x, y, c) >= want - 0.51);
                assert_true(channel_of(to, x, y, c) <= want + 0.51);
            }
        }
    nnd_value_unref(straight);
    nnd_value_unref(divided);
    free(f.data);
}

/* ---- damage and limits ---------------------------------------------------------------------- */

static void refuse(const file_bytes *f, nnd_status status, const char *word)
{
    nnd_value *value;
    assert_status(nnd_image_decode(f->data, f->size, NULL, &value), status);
    nnd_error *error = nnd_error_take();
    if (!strstr(nnd_error_message(error), word))
        fail_msg("'%s' does not mention '%s'", nnd_error_message(error), word);
    nnd_error_destroy(error);
}

/* Each begins with a good file and spoils one thing. */
static void test_refusals(void **state)
{
    (void)state;
    enum { SIZE_X = 6, TILE_X = 22, COUNT = 38, DEPTH = 40 }; /* from the marker SIZ on */
    static const struct {
        size_t offset;
        uint32_t value;
        int bytes;
        nnd_status status;
        const char *word;
    } spoils[] = {
        {SIZE_X, 0, 4, NND_E_FORMAT, "size"},
        {SIZE_X, 0x7FFFFFFF, 4, NND_E_FORMAT, "tile"},
        {SIZE_X, 0xFFFFFFFF, 4, NND_E_FORMAT, "size"},
        {TILE_X, 0, 4, NND_E_FORMAT, "tiles"},
        {TILE_X, 1, 4, NND_E_FORMAT, "tiles are missing"},
        {COUNT, 5, 2, NND_E_UNSUPPORTED, "components"},
        {COUNT, 0, 2, NND_E_FORMAT, "size"},
        {DEPTH, 16, 1, NND_E_UNSUPPORTED, "17 bits"},
        {DEPTH + 1, 0, 1, NND_E_FORMAT, "component"},
    };
    for (size_t i = 0; i < NND_COUNT(spoils); i++) {
        file_bytes f = read_data("gray8_alpha.j2k");
        uint8_t *at = f.data + 2 + spoils[i].offset, *to = at;
        for (int k = spoils[i].bytes; k-- > 0; to++)
            *to = (uint8_t)(spoils[i].value >> (8 * k));
        refuse(&f, spoils[i].status, spoils[i].word);
        free(f.data);
    }
    file_bytes f = read_data("rgb8.jp2");
    f.data[find(&f, "colr") + 10] = 12; /* CMYK */
    refuse(&f, NND_E_UNSUPPORTED, "colour space 12");
    free(f.data);
    f = read_data("rgb8.jp2");
    memcpy(f.data + find(&f, "jp2h"), "free", 4);
    refuse(&f, NND_E_FORMAT, "header");
    free(f.data);
}

/* Tiny files that ask for much: a hundred million precincts, tiles without end. */
static void test_bombs(void **state)
{
    (void)state;
    static const uint8_t head[] = {
        0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0, 0, 0, 39, 16, 0, 0, 39, 16, /* 10000 × 10000 */
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 39, 16, 0, 0, 39, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7, 1, 1,
        /* COD with precincts of one pixel */
        0xFF, 0x52, 0, 13, 1, 0, 0, 1, 0, 0, 4, 4, 0, 1, 0x00,
        /* a tile part that is there */
        0xFF, 0x90, 0, 10, 0, 0, 0, 0, 0, 14, 0, 1, 0xFF, 0x93, 0xFF, 0xD9};
    file_bytes f = {malloc(sizeof(head)), sizeof(head)};
    assert_non_null(f.data);
    memcpy(f.data, head, sizeof(head));
    refuse(&f, NND_E_FORMAT, "precincts");
    free(f.data);
    /* 62500 tiles for 4 million pixels, in a file that has room for them. */
    f = (file_bytes){calloc(1 << 20, 1), 1 << 20};
    assert_non_null(f.data);
    memcpy(f.data, head, sizeof(head));
    put_u32(f.data + 8, 2000);
    put_u32(f.data + 12, 2000);
    put_u32(f.data + 24, 8);
    put_u32(f.data + 28, 8);
    refuse(&f, NND_E_LIMIT, "tiles");
    free(f.data);
}

static void test_limits(void **state)
{
    (void)state;
    const file_bytes f = read_data("rgb8_tiles.j2k");
    nnd_decode_options o = NND_DECODE_OPTIONS_INIT;
    nnd_value *value;
    o.max_side = WIDTH - 1;
    assert_status(nnd_image_decode(f.data, f.size, &o, &value), NND_E_LIMIT);
    o.max_side = 0;
    o.max_pixels = WIDTH * HEIGHT - 1;
    assert_status(nnd_image_decode(f.data, f.size, &o, &value), NND_E_LIMIT);
    o.max_pixels = 0;
    nnd_cancel *cancel;
    assert_ok(nnd_cancel_create(NULL, &cancel));
    nnd_cancel_request(cancel);
    o.cancel = cancel;
    assert_status(nnd_image_decode(f.data, f.size, &o, &value), NND_E_CANCELLED);
    nnd_cancel_unref(cancel);
    free(f.data);
}

/* Every beginning of every file is refused. */
static void test_truncated(void **state)
{
    (void)state;
    needs_library();
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        const file_bytes f = read_data(cases[i].file);
        for (size_t size = 12; size < f.size; size++) {
            const file_bytes part = {malloc(size), size};
            nnd_value *value;
            assert_non_null(part.data);
            memcpy(part.data, f.data, size);
            assert_status(decode(&part, false, &value), NND_E_FORMAT);
            nnd_error_clear();
            free(part.data);
        }
        free(f.data);
    }
}

static void test_damaged(void **state)
{
    (void)state;
    needs_library();
    uint32_t seed = 3;
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        const file_bytes f = read_data(cases[i].file);
        for (int round = 0; round < 300; round++) {
            const file_bytes copy = {malloc(f.size), f.size};
            nnd_value *value = NULL;
            assert_non_null(copy.data);
            memcpy(copy.data, f.data, f.size);
            for (int k = 0; k <= round % 3; k++)
                copy.data[4 + next_random(&seed) % (f.size - 4)] ^=
                    (uint8_t)(1 + next_random(&seed) % 255);
            nnd_decode_options o = NND_DECODE_OPTIONS_INIT;
            o.max_pixels = 1 << 20;
            (void)nnd_image_decode(copy.data, copy.size, &o, &value);
            nnd_value_unref(value);
            nnd_error_clear();
            free(copy.data);
        }
        free(f.data);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    needs_library();
    const file_bytes f = read_data("gray8_alpha.jp2");
    long tries = 0;
    oom_begin();
    for (bool hit = true; hit; tries++) {
        nnd_value *value = NULL;
        oom_fail_after(tries);
        const nnd_status status = decode(&f, false, &value);
        hit = oom_hit();
        oom_never();
        assert_int_equal(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
        nnd_value_unref(value);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), 0);
    }
    oom_end();
    assert_true(tries > 2);
    free(f.data);
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(nnd_image_codec_from_name("a.jp2"), NND_CODEC_JPEG_2000);
    assert_int_equal(nnd_image_codec_from_name("a.J2K"), NND_CODEC_JPEG_2000);
    assert_false(nnd_image_codec_writes(NND_CODEC_JPEG_2000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pixels),        cmocka_unit_test(test_wish),
        cmocka_unit_test(test_info),          cmocka_unit_test(test_palette),
        cmocka_unit_test(test_premultiplied), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_bombs),         cmocka_unit_test(test_limits),
        cmocka_unit_test(test_truncated),     cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
