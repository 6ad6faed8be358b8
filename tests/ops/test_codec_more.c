/*
 * Kinds of pictures that are only read: PNM against texts whose pixels are plain to see, WebP
 * (skipped where libwebp is not installed) against the formulas of its pictures, and what is known
 * by sight only.
 */
#include "ops/ops_support.h"
#include "port/port.h"
#include "support/oom.h"

#define DATA NND_SOURCE_DIR "/tests/ops/data/codec/"

static nnd_status decode_as(const void *bytes, size_t size, bool keep_16_bit, bool as_stored,
                            nnd_value **out)
{
    nnd_decode_options o = NND_DECODE_OPTIONS_INIT;
    o.format = NND_PIX_NONE;
    o.keep_16_bit = keep_16_bit;
    o.as_stored = as_stored;
    return nnd_image_decode(bytes, size, &o, out);
}

/* ---- PNM ------------------------------------------------------------------------------------ */

typedef struct pnm_case {
    const char *bytes;
    size_t size;
    int width, height, channels;
    uint8_t pixels[16];
} pnm_case;
#define PNM(bytes, ...)                                                                            \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, __VA_ARGS__                                                      \
    }

static const pnm_case pnm_cases[] = {
    PNM("P1 3 2 101 010", 3, 2, 1, {0, 255, 0, 255, 0, 255}),
    PNM("P1\n# a comment\n3 2\n1 0 1#x\n0\n1 0\n", 3, 2, 1, {0, 255, 0, 255, 0, 255}),
    PNM("P2\n2\t2 # behind\n4\n0 1\r\n 2 4", 2, 2, 1, {0, 64, 128, 255}),
    PNM("P2 2 1 65535 0 32768", 2, 1, 1, {0, 128}),
    PNM("P2 2 1 100 7 250 ", 2, 1, 1, {18, 255}), /* above white is white */
    PNM("P3 1 2 255 1 2 3 254 255 0", 1, 2, 3, {1, 2, 3, 254, 255, 0}),
    PNM("P4 10 2\n\xA5\x40\x00\xFF", 10, 2, 1,
        {0, 255, 0, 255, 255, 0, 255, 0, 255, 0, 255, 255, 255, 255, 255, 255}),
    PNM("P5 3 1 255\n\x00\x7F\xFF", 3, 1, 1, {0, 127, 255}),
    PNM("P5 2 1 1023\n\x03\xFF\x02\x00", 2, 1, 1, {255, 128}),
    PNM("P6#\n1 1 255 \n\x20\r", 1, 1, 3, {'\n', ' ', '\r'}), /* blanks are samples here */
};

static void test_pnm(void **state)
{
    (void)state;
    for (size_t i = 0; i < NND_COUNT(pnm_cases); i++) {
        const pnm_case *c = &pnm_cases[i];
        uint8_t *bytes = malloc(c->size); /* its exact size, for the address sanitizer */
        nnd_image_file_info info = {.size = sizeof(info)};
        nnd_value *value;
        assert_non_null(bytes);
        memcpy(bytes, c->bytes, c->size);
        assert_int_equal(nnd_image_codec_probe(bytes, c->size), NND_CODEC_PNM);
        assert_ok(nnd_image_decode_info(bytes, c->size, &info));
        assert_int_equal(info.width, c->width);
        assert_int_equal(info.height, c->height);
        assert_int_equal(info.channels, c->channels);
        assert_ok(decode_as(bytes, c->size, false, false, &value));
        const nnd_image *image = nnd_value_image(value);
        assert_int_equal(image->format, c->channels == 1 ? NND_PIX_GRAY : NND_PIX_RGB);
        const size_t row = (size_t)c->width * (size_t)c->channels;
        for (int y = 0; y < c->height && (size_t)y * row < sizeof(c->pixels); y++) {
            const size_t left = sizeof(c->pixels) - (size_t)y * row;
            assert_memory_equal(image->data[0] + y * image->stride[0], c->pixels + (size_t)y * row,
                                row < left ? row : left);
        }
        nnd_value_unref(value);
        /* Whatever is missing is noticed, and nothing before the end is read as a picture. */
        for (size_t size = 2; size + 1 < c->size; size++) {
            uint8_t *part = malloc(size);
            assert_non_null(part);
            memcpy(part, bytes, size);
            const nnd_status status = decode_as(part, size, false, false, &value);
            if (status == NND_OK) nnd_value_unref(value);
            assert_true(status == NND_E_FORMAT || c->bytes[1] <= '3');
            free(part);
        }
        free(bytes);
    }
}

static void test_pnm_levels(void **state)
{
    (void)state;
    static const char wide[] = "P5 3 1 1023\n\x00\x00\x02\x00\x03\xFF";
    static const char classes[] = "P2 4 1 20 0 1 19 20";
    nnd_value *value;
    assert_ok(decode_as(wide, sizeof(wide) - 1, true, false, &value));
    const nnd_image *image = nnd_value_image(value);
    assert_int_equal(image->dtype, NND_U16);
    const uint16_t *levels = (const uint16_t *)(const void *)image->data[0];
    assert_int_equal(levels[0], 0);
    assert_int_equal(levels[1], (512 * 65535 + 511) / 1023);
    assert_int_equal(levels[2], 65535);
    nnd_value_unref(value);
    assert_ok(decode_as(classes, sizeof(classes) - 1, false, true, &value));
    assert_memory_equal(nnd_value_image(value)->data[0], "\x00\x01\x13\x14", 4);
    nnd_value_unref(value);
}

static void test_pnm_refusals(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "P5 0 1 255 ",
        "P5 1 0 255 ",
        "P5 -1 1 255 ",
        "P5 x 1 255 ",
        "P5 1 1 0 \x01",
        "P5 1 1 65536 aa",
        "P5 99999999999 1 1 ",
        "P5 1",
        "P2 1 1 255 x",
        "P2 1 1 255 -1",
        "P1 1 1 2",
        "P1 2 1 1",
        "P6 30000 30000 255 ",
        "P2 9000 9000 9 1",
        "P4 65000 65000 \x01",
        "P5 2 2 255",
        "P5 2147483647 2 255 a",
    };
    nnd_value *value = NULL;
    for (size_t i = 0; i < NND_COUNT(bad); i++) {
        const nnd_status status = decode_as(bad[i], strlen(bad[i]), false, false, &value);
        if (status != NND_E_FORMAT && status != NND_E_LIMIT)
            fail_msg("'%s' gave %s", bad[i], nnd_status_name(status));
        nnd_error_clear();
    }
    nnd_decode_options o = NND_DECODE_OPTIONS_INIT;
    o.max_pixels = 3;
    assert_status(nnd_image_decode("P5 2 2 255 abcd", 15, &o, &value), NND_E_LIMIT);
    assert_null(value);
}

/* ---- WebP ----------------------------------------------------------------------------------- */

enum { WEBP_WIDTH = 19, WEBP_HEIGHT = 13 };

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

static bool have_libwebp(void)
{
    const file_bytes f = read_data("rgb_lossless.webp");
    nnd_value *value;
    const nnd_status status = decode_as(f.data, f.size, false, false, &value);
    if (status == NND_OK) nnd_value_unref(value);
    nnd_error_clear();
    nnd_port_free(f.data);
    return status != NND_E_MISSING;
}

#define NEEDS_LIBWEBP()                                                                            \
    do {                                                                                           \
        if (!have_libwebp()) {                                                                     \
            fprintf(stderr, "skipped: no libwebp is installed\n");                                 \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

static void check_webp(const char *name, int channels, int slack)
{
    const file_bytes f = read_data(name);
    nnd_image_file_info info = {.size = sizeof(info)};
    nnd_value *value;
    assert_int_equal(nnd_image_codec_probe(f.data, f.size), NND_CODEC_WEBP);
    assert_ok(nnd_image_decode_info(f.data, f.size, &info));
    assert_int_equal(info.width, WEBP_WIDTH);
    assert_int_equal(info.height, WEBP_HEIGHT);
    assert_int_equal(info.channels, channels);
    assert_int_equal(info.orientation, 1);
    assert_ok(decode_as(f.data, f.size, false, false, &value));
    const nnd_image *image = nnd_value_image(value);
    assert_int_equal(image->format, channels == 4 ? NND_PIX_RGBA : NND_PIX_RGB);
    for (int y = 0; y < WEBP_HEIGHT; y++)
        for (int x = 0; x < WEBP_WIDTH; x++) {
            const uint8_t *p = image->data[0] + y * image->stride[0] + x * channels;
            const int exact[4] = {(x * 13 + y * 3) % 256, (y * 17 + 40) % 256, (x * y + 90) % 256,
                                  (x * 11 + y * 7) % 255 + 1};
            const int smooth[3] = {x * 6 + y * 4, y * 8 + 60, 200 - x * 5};
            for (int c = 0; c < channels; c++)
                assert_true(abs(p[c] - (slack ? smooth : exact)[c]) <= slack);
        }
    nnd_value_unref(value);
    nnd_port_free(f.data);
}

static void test_webp(void **state)
{
    (void)state;
    NEEDS_LIBWEBP();
    check_webp("rgb_lossless.webp", 3, 0);
    check_webp("rgba_lossless.webp", 4, 0);
    check_webp("rgb_lossy.webp", 3, 12);
}

/* The extended form: a header that says that there is EXIF data, and its chunk behind the pixels.
 */
static uint8_t *with_exif(const file_bytes *f, int orientation, bool is_signed, size_t *size)
{
    static const uint8_t head[] = {
        'V', 'P', '8', 'X', 10, 0, 0, 0, 0x08, 0, 0, 0, WEBP_WIDTH - 1, 0, 0, WEBP_HEIGHT - 1,
        0,   0};
    const uint8_t tiff[] = {
        'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, (uint8_t)orientation,
        0,   0,   0,  0, 0, 0, 0};
    const size_t extra = is_signed ? 6 : 0, body = sizeof(tiff) + extra;
    *size = f->size + sizeof(head) + 8 + body;
    uint8_t *out = calloc(*size, 1), *end;
    assert_non_null(out);
    memcpy(out, f->data, 12);
    memcpy(out + 12, head, sizeof(head));
    memcpy(out + 12 + sizeof(head), f->data + 12, f->size - 12);
    end = out + sizeof(head) + f->size;
    memcpy(end, "EXIF", 4);
    end[4] = (uint8_t)body;
    memcpy(end + 8, "Exif\0\0", extra);
    memcpy(end + 8 + extra, tiff, sizeof(tiff));
    const uint32_t riff = (uint32_t)*size - 8;
    for (int i = 0; i < 4; i++)
        out[4 + i] = (uint8_t)(riff >> (8 * i));
    return out;
}

static void test_webp_orientation(void **state)
{
    (void)state;
    NEEDS_LIBWEBP();
    const file_bytes f = read_data("rgb_lossless.webp");
    for (int k = 0; k < 4; k++) {
        size_t size;
        uint8_t *bytes = with_exif(&f, k < 2 ? 6 : 1, k % 2, &size);
        nnd_image_file_info info = {.size = sizeof(info)};
        nnd_value *value;
        assert_ok(nnd_image_decode_info(bytes, size, &info));
        assert_int_equal(info.orientation, k < 2 ? 6 : 1);
        assert_ok(nnd_image_decode(bytes, size, NULL, &value));
        assert_int_equal(nnd_value_image(value)->width, k < 2 ? WEBP_HEIGHT : WEBP_WIDTH);
        nnd_value_unref(value);
        free(bytes);
    }
    nnd_port_free(f.data);
}

static void test_webp_damage(void **state)
{
    (void)state;
    NEEDS_LIBWEBP();
    uint32_t seed = 3;
    static const char *const names[] = {"rgb_lossless.webp", "rgba_lossless.webp",
                                        "rgb_lossy.webp"};
    for (size_t n = 0; n < NND_COUNT(names); n++) {
        const file_bytes f = read_data(names[n]);
        for (size_t size = 12; size < f.size; size++) {
            nnd_value *value;
            uint8_t *part = malloc(size);
            assert_non_null(part);
            memcpy(part, f.data, size);
            assert_status(decode_as(part, size, false, false, &value), NND_E_FORMAT);
            free(part);
        }
        for (int round = 0; round < 200; round++) {
            uint8_t *copy = malloc(f.size);
            nnd_value *value;
            assert_non_null(copy);
            memcpy(copy, f.data, f.size);
            copy[12 + next_random(&seed) % (f.size - 12)] ^=
                (uint8_t)(1 + next_random(&seed) % 255);
            if (decode_as(copy, f.size, false, false, &value) == NND_OK) nnd_value_unref(value);
            nnd_error_clear();
            free(copy);
        }
        nnd_decode_options o = NND_DECODE_OPTIONS_INIT;
        nnd_value *value;
        o.max_side = 18;
        assert_status(nnd_image_decode(f.data, f.size, &o, &value), NND_E_LIMIT);
        nnd_port_free(f.data);
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    NEEDS_LIBWEBP();
    const file_bytes f = read_data("rgba_lossless.webp");
    static const char pnm[] = "P5 2 2 255\nabcd";
    for (int kind = 0; kind < 2; kind++) {
        long tries = 0;
        oom_begin();
        for (bool hit = true; hit; tries++) {
            nnd_value *value = NULL;
            oom_fail_after(tries);
            const nnd_status status = kind ? nnd_image_decode(f.data, f.size, NULL, &value)
                                           : nnd_image_decode(pnm, sizeof(pnm) - 1, NULL, &value);
            hit = oom_hit();
            oom_never();
            assert_int_equal(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
            nnd_value_unref(value);
            nnd_error_clear();
            assert_int_equal(oom_live_blocks(), 0);
        }
        oom_end();
        assert_true(tries > 2);
    }
    nnd_port_free(f.data);
}

/* ---- known by sight ------------------------------------------------------------------------- */

static void test_foreign_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *word;
    } kinds[] = {
        {"II*\0 rest", 9, "TIFF"},
        {"MM\0* rest", 9, "TIFF"},
        {"GIF89a", 6, "GIF"},
        {"P7\nWIDTH 1", 10, "PAM"},
    };
    for (size_t i = 0; i < NND_COUNT(kinds); i++) {
        nnd_value *value;
        assert_int_equal(nnd_image_codec_probe(kinds[i].bytes, kinds[i].size), NND_CODEC_NONE);
        assert_status(nnd_image_decode(kinds[i].bytes, kinds[i].size, NULL, &value),
                      NND_E_UNSUPPORTED);
        nnd_error *error = nnd_error_take();
        assert_non_null(strstr(nnd_error_message(error), kinds[i].word));
        nnd_error_destroy(error);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(nnd_image_codec_from_name("a.WebP"), NND_CODEC_WEBP);
    assert_int_equal(nnd_image_codec_from_name("a.pgm"), NND_CODEC_PNM);
    assert_int_equal(nnd_image_codec_from_name("a.tiff"), NND_CODEC_NONE);
    assert_true(nnd_image_codec_writes(NND_CODEC_BMP));
    assert_false(nnd_image_codec_writes(NND_CODEC_WEBP));
    assert_false(nnd_image_codec_writes(NND_CODEC_PNM));
    assert_false(nnd_image_codec_writes(NND_CODEC_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pnm),
        cmocka_unit_test(test_pnm_levels),
        cmocka_unit_test(test_pnm_refusals),
        cmocka_unit_test(test_webp),
        cmocka_unit_test(test_webp_orientation),
        cmocka_unit_test(test_webp_damage),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_foreign_kinds),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
