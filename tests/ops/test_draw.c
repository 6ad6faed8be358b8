/* Shapes by the area they cover, clipping, text, fonts and detections. */
#include <math.h>

#include "ops/ops_support.h"
#include "port/port.h"
#include "support/oom.h"

#define SIDE 64

/* A black GRAY picture; white ink then counts coverage. */
static test_image gray(void)
{
    test_image t = test_image_new(NND_PIX_GRAY, NND_U8, SIDE, SIDE, 3);
    for (int y = 0; y < SIDE; y++)
        memset(t.view.data[0] + y * t.view.stride[0], 0, SIDE);
    return t;
}

static double ink(const nnd_image *image)
{
    double sum = 0;
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++)
            sum += image->data[0][y * image->stride[0] + x];
    return sum / 255;
}

static int at(const nnd_image *image, int x, int y)
{
    return image->data[0][y * image->stride[0] + x];
}

/* Bytes beyond the rows are as they were made. */
static void check_guards(const test_image *t)
{
    const int64_t row = (int64_t)nnd_image_pixel_bytes(&t->view) * t->view.width;
    for (size_t i = 0; i < t->block_size; i++) {
        const int64_t offset = t->block + i - t->view.data[0];
        const bool inside = offset >= 0 && offset / t->view.stride[0] < t->view.height &&
                            offset % t->view.stride[0] < row;
        if (!inside) assert_int_equal(t->block[i], GUARD_BYTE);
    }
}

/* ---- shapes ---- */

static void test_rect(void **state)
{
    (void)state;
    test_image t = gray();
    assert_ok(nnd_draw_rect(&t.view, 10.25f, 20.5f, 30, 40, 0, 0xFFFFFF));
    assert_float_equal(ink(&t.view), 19.75 * 19.5, 0.5);
    assert_int_equal(at(&t.view, 15, 30), 255);
    assert_int_equal(at(&t.view, 10, 30), 191); /* three quarters */
    assert_int_equal(at(&t.view, 15, 20), 128);
    assert_int_equal(at(&t.view, 30, 30), 0);
    free(t.block);
    t = gray();
    assert_ok(nnd_draw_rect(&t.view, 30, 40, 10, 20, 3, 0xFFFFFF)); /* corners in any order */
    assert_float_equal(ink(&t.view), 23 * 23 - 17 * 17, 0.5);
    assert_int_equal(at(&t.view, 20, 30), 0);
    assert_int_equal(at(&t.view, 10, 30), 255);
    free(t.block);
    t = gray();
    assert_ok(nnd_draw_rect(&t.view, 10, 10, 12, 12, 8, 0xFFFFFF)); /* no room for a hole */
    assert_float_equal(ink(&t.view), 100, 0.5);
    free(t.block);
}

static void test_line_and_circle(void **state)
{
    (void)state;
    test_image t = gray();
    assert_ok(nnd_draw_line(&t.view, 10, 10, 50, 40, 4, 0xFFFFFF));
    assert_float_equal(ink(&t.view), 50 * 4 + 3.14159 * 4, 2); /* with round ends */
    free(t.block);
    t = gray();
    assert_ok(nnd_draw_line(&t.view, 5, 20.5f, 45, 20.5f, 1, 0xFFFFFF));
    for (int x = 6; x < 44; x++)
        assert_int_equal(at(&t.view, x, 20), 255);
    assert_int_equal(at(&t.view, 20, 19), 0);
    free(t.block);
    t = gray();
    assert_ok(nnd_draw_circle(&t.view, 32, 32, 20, 0, 0xFFFFFF));
    assert_float_equal(ink(&t.view), 3.14159 * 400, 4);
    free(t.block);
    t = gray();
    assert_ok(nnd_draw_circle(&t.view, 32, 32, 20, 4, 0xFFFFFF));
    assert_float_equal(ink(&t.view), 3.14159 * (22 * 22 - 18 * 18), 4);
    assert_int_equal(at(&t.view, 32, 32), 0);
    free(t.block);
}

static void test_formats(void **state)
{
    (void)state;
    static const struct {
        nnd_pixel_format format;
        uint8_t pixel[4];
    } cases[] = {{NND_PIX_RGB, {0x10, 0x20, 0x30, 0}},
                 {NND_PIX_BGR, {0x30, 0x20, 0x10, 0}},
                 {NND_PIX_RGBA, {0x10, 0x20, 0x30, 0xFF}},
                 {NND_PIX_BGRA, {0x30, 0x20, 0x10, 0xFF}},
                 {NND_PIX_GRAY, {0x1D, 0, 0, 0}}};
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        test_image t = test_image_new(cases[i].format, NND_U8, 8, 8, 4);
        assert_ok(nnd_draw_rect(&t.view, -5, -5, 100, 100, 0, 0x102030));
        assert_memory_equal(t.view.data[0] + 3 * t.view.stride[0], cases[i].pixel,
                            nnd_image_pixel_bytes(&t.view));
        check_guards(&t);
        free(t.block);
    }
}

/* Far away, huge and across every edge: nothing outside of the rows changes. */
static void test_clipping(void **state)
{
    (void)state;
    static const float places[] = {-1e9f, -70, -0.5f, 0, 31.7f, 63.9f, 64, 1000, 1e9f, 3e38f};
    test_image t = gray();
    for (size_t i = 0; i < NND_COUNT(places); i++) {
        for (size_t k = 0; k < NND_COUNT(places); k++) {
            const float x = places[i], y = places[k];
            assert_ok(nnd_draw_line(&t.view, x, y, y, x, 3, 0x123456));
            assert_ok(nnd_draw_line(&t.view, x, 5, 60, y, 1e6f, 0x654321));
            assert_ok(nnd_draw_rect(&t.view, x, y, y, 20, 2, 0xFFFFFF));
            assert_ok(nnd_draw_circle(&t.view, x, y, 40, 5, 0xABCDEF));
            assert_ok(nnd_draw_text(&t.view, NULL, x, y, 20, 0xFF, "Edge \xC3\xA9"));
        }
    }
    check_guards(&t);
    free(t.block);
}

static void test_bad_arguments(void **state)
{
    (void)state;
    test_image t = gray(), yuv = test_image_new(NND_PIX_NV12, NND_U8, 8, 8, 0);
    test_image f32 = test_image_new(NND_PIX_RGB, NND_F32, 8, 8, 0);
    assert_status(nnd_draw_line(NULL, 0, 0, 1, 1, 1, 0), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_draw_line(&t.view, NAN, 0, 1, 1, 1, 0), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_draw_line(&t.view, 0, 0, 1, 1, 0, 0), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_draw_circle(&t.view, 0, 0, -1, 1, 0), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_draw_rect(&t.view, 0, 0, 1, 1, NAN, 0), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_draw_rect(&yuv.view, 0, 0, 1, 1, 1, 0), NND_E_UNSUPPORTED);
    assert_status(nnd_draw_rect(&f32.view, 0, 0, 1, 1, 1, 0), NND_E_TYPE);
    assert_status(nnd_draw_text(&t.view, NULL, 0, 0, 0, 0, "x"), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_draw_text(&t.view, NULL, 0, 0, 1e9f, 0, "x"), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_draw_text(&t.view, NULL, 0, 0, 9, 0, NULL), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_draw_text(&t.view, NULL, 0, 0, 9, 0, "\xFF"), NND_E_FORMAT);
    free(f32.block);
    free(yuv.block);
    free(t.block);
}

/* ---- text ---- */

/* At 10 pixels the embedded font's dots are pixels. */
static void test_embedded_text(void **state)
{
    (void)state;
    static const char *const wanted[] = {".###.", "..#..", "..#..", "..#..",
                                         "..#..", "..#..", ".###."};
    test_image t = gray();
    assert_ok(nnd_draw_text(&t.view, NULL, 10, 30, 10, 0xFFFFFF, "I"));
    double dots = 0;
    for (int y = 0; y < 7; y++)
        for (int x = 0; x < 5; x++) {
            assert_int_equal(at(&t.view, 10 + x, 23 + y), wanted[y][x] == '#' ? 255 : 0);
            dots += wanted[y][x] == '#';
        }
    assert_float_equal(ink(&t.view), dots, 0.01);
    free(t.block);
}

/* All characters of ASCII and Latin-1 can be seen and differ from each other; what is missing is
   one and the same box. */
static void test_embedded_characters(void **state)
{
    (void)state;
    uint8_t seen[256][16 * 8];
    size_t count = 0;
    for (uint32_t code = 0x21; code <= 0xFF; code++) {
        if (code >= 0x7F && code <= 0xA0) continue;
        char text[3] = {(char)code, 0, 0};
        if (code >= 0x80) {
            text[0] = (char)(0xC0 | code >> 6);
            text[1] = (char)(0x80 | (code & 63));
        }
        test_image t = gray();
        assert_ok(nnd_draw_text(&t.view, NULL, 0, 12, 10, 0xFFFFFF, text));
        assert_true(ink(&t.view) >= 1);
        for (int y = 0; y < 16; y++)
            memcpy(seen[count] + 8 * y, t.view.data[0] + y * t.view.stride[0], 8);
        free(t.block);
        count++;
    }
    test_image t = gray();
    uint8_t box[16 * 8];
    assert_ok(nnd_draw_text(&t.view, NULL, 0, 12, 10, 0xFFFFFF, "\xE7\x8C\xAB"));
    for (int y = 0; y < 16; y++)
        memcpy(box + 8 * y, t.view.data[0] + y * t.view.stride[0], 8);
    free(t.block);
    size_t boxes = 0, pairs = 0;
    for (size_t i = 0; i < count; i++) {
        boxes += memcmp(seen[i], box, sizeof(box)) == 0;
        for (size_t k = 0; k < i; k++)
            pairs += memcmp(seen[i], box, sizeof(box)) != 0 &&
                     memcmp(seen[i], seen[k], sizeof(box)) == 0;
    }
    assert_in_range(boxes, 0, 12);
    /* Bar and broken bar, hyphen and soft hyphen, degree and masculine ordinal look alike. */
    assert_int_equal(pairs, 3);
}

static void check_measure(const nnd_font *font)
{
    float width, ascent, descent, twice, none;
    assert_ok(nnd_text_measure(font, 20, "Hello", &width, &ascent, &descent));
    assert_true(width > 20 && width < 100 && ascent > 10 && descent > 1 && ascent + descent < 40);
    assert_ok(nnd_text_measure(font, 20, "HelloHello", &twice, NULL, NULL));
    assert_float_equal(twice, 2 * width, 0.01);
    assert_ok(nnd_text_measure(font, 20, "", &none, NULL, NULL));
    assert_float_equal(none, 0, 0);
    /* The ink stays inside of what was measured. */
    test_image t = test_image_new(NND_PIX_GRAY, NND_U8, 200, 80, 0);
    memset(t.view.data[0], 0, 200 * 80);
    assert_ok(nnd_draw_text(&t.view, font, 20, 40, 20, 0xFFFFFF, "Hello"));
    for (int y = 0; y < 80; y++)
        for (int x = 0; x < 200; x++)
            if (at(&t.view, x, y))
                assert_true(x >= 18 && x <= 22 + (int)ceilf(width) &&
                            y >= 39 - (int)ceilf(ascent) && y <= 40 + (int)ceilf(descent));
    assert_true(ink(&t.view) > 30);
    free(t.block);
}

static void test_fonts(void **state)
{
    (void)state;
    check_measure(NULL);
    assert_string_equal(nnd_font_name(NULL), "embedded");
    nnd_font *font;
    assert_ok(nnd_font_create(NULL, &font));
    assert_true(strlen(nnd_font_name(font)) > 0);
    check_measure(font);
    nnd_font_destroy(font);
    nnd_font_destroy(NULL);
    assert_status(nnd_font_create("/nowhere/at-all.ttf", &font), NND_E_NOT_FOUND);
    assert_status(nnd_font_create(NND_SOURCE_DIR "/CMakeLists.txt", &font), NND_E_FORMAT);
    assert_status(nnd_font_create_memory("no font", 7, &font), NND_E_FORMAT);
    assert_status(nnd_font_create_memory(NULL, 0, &font), NND_E_INVALID_ARGUMENT);
}

static void draw_tile(void *font)
{
    for (int i = 0; i < 50; i++) {
        test_image t = gray();
        if (nnd_draw_text(&t.view, font, 2, 40, (float)(10 + i % 7), 0xFFFFFF, "Ag") != NND_OK ||
            ink(&t.view) < 10)
            abort();
        free(t.block);
    }
}

static void test_font_in_threads(void **state)
{
    (void)state;
    nnd_font *font;
    nnd_port_thread *threads[4];
    assert_ok(nnd_font_create(NULL, &font));
    for (int i = 0; i < 4; i++)
        assert_int_equal(nnd_port_thread_create("draw", draw_tile, font, &threads[i]), 0);
    for (int i = 0; i < 4; i++)
        nnd_port_thread_join(threads[i]);
    nnd_font_destroy(font);
}

/* ---- detections ---- */

static nnd_value *make_detections(void)
{
    static const char *const labels[] = {"cat", "a label that is far too long for the picture"};
    nnd_value *value;
    assert_ok(nnd_value_new_detections(5, 1, labels, 2, &value));
    nnd_detections *d = nnd_value_edit(value);
    static const float boxes[5][4] = {
        {10, 30, 40, 60}, {-20, -20, 20, 10}, {50, 2, 90, 70}, {NAN, 0, 1, 1}, {30, 20, 25, 15}};
    for (int i = 0; i < 5; i++) {
        d->items[i].x1 = boxes[i][0];
        d->items[i].y1 = boxes[i][1];
        d->items[i].x2 = boxes[i][2];
        d->items[i].y2 = boxes[i][3];
        d->items[i].score = i == 2 ? INFINITY : 0.934f;
        d->items[i].class_id = i;
        d->items[i].label = i < 2 ? i : -1;
        d->points[i] = (nnd_point){(float)i * 20, i == 1 ? NAN : 30, -1};
    }
    d->items[2].track_id = 77;
    return value;
}

static void test_detections(void **state)
{
    (void)state;
    nnd_value *value = make_detections();
    test_image t = test_image_new(NND_PIX_RGB, NND_U8, SIDE, SIDE, 7);
    for (int y = 0; y < SIDE; y++)
        memset(t.view.data[0] + y * t.view.stride[0], 0, SIDE * 3);
    nnd_draw_options o = NND_DRAW_OPTIONS_INIT;
    o.thickness = 2;
    assert_ok(nnd_draw_detections(&t.view, nnd_value_detections(value), &o));
    const uint32_t color = nnd_palette_color(0); /* of the first box; its left edge at x = 10 */
    const uint8_t wanted[3] = {(uint8_t)(color >> 16), (uint8_t)(color >> 8), (uint8_t)color};
    assert_memory_equal(t.view.data[0] + 50 * t.view.stride[0] + 3 * 10, wanted, 3);
    assert_ok(nnd_draw_detections(&t.view, nnd_value_detections(value), NULL));
    check_guards(&t);
    o.text_size = -1;
    assert_status(nnd_draw_detections(&t.view, nnd_value_detections(value), &o),
                  NND_E_INVALID_ARGUMENT);
    assert_status(nnd_draw_detections(&t.view, NULL, NULL), NND_E_INVALID_ARGUMENT);
    free(t.block);
    nnd_value_unref(value);
}

/* Without labels, scores and points only the frames are drawn. */
static void test_detection_parts(void **state)
{
    (void)state;
    nnd_value *value;
    assert_ok(nnd_value_new_detections(1, 1, NULL, 0, &value));
    nnd_detections *d = nnd_value_edit(value);
    d->items[0] = (nnd_detection){20, 20, 40, 40, 0.5f, 3, -1, -1, 0};
    d->points[0] = (nnd_point){30, 30, 1};
    double inked[4];
    for (int i = 0; i < 4; i++) {
        test_image t = gray();
        nnd_draw_options o = NND_DRAW_OPTIONS_INIT;
        o.thickness = 2;
        o.text_size = 10;
        o.color = 0xFFFFFF;
        o.labels = i == 1;
        o.scores = i == 2;
        o.points = i == 3;
        assert_ok(nnd_draw_detections(&t.view, d, &o));
        inked[i] = ink(&t.view);
        free(t.block);
    }
    assert_float_equal(inked[0], 22 * 22 - 18 * 18, 0.5);
    assert_true(inked[1] > inked[0] + 100 && inked[2] > inked[0] + 50 && inked[3] > inked[0] + 3);
    nnd_value_unref(value);
}

static void test_palette(void **state)
{
    (void)state;
    for (int64_t i = 0; i < 100; i++) {
        assert_true(nnd_palette_color(i) <= 0xFFFFFF);
        for (int64_t k = i + 1; k < i + 6; k++) {
            const uint32_t a = nnd_palette_color(i), b = nnd_palette_color(k);
            int apart = 0;
            for (int shift = 0; shift < 24; shift += 8)
                apart += abs((int)(a >> shift & 255) - (int)(b >> shift & 255));
            assert_true(apart > 60);
        }
    }
    assert_int_equal(nnd_palette_color(-1), nnd_palette_color(-5));
    assert_true(nnd_palette_color(INT64_MAX) <= 0xFFFFFF);
}

/* With the embedded font, or with the one that the system has. */
static nnd_status draw_once(nnd_image *image, const nnd_detections *d, bool system_font)
{
    nnd_font *font = NULL;
    if (system_font) NND_TRY(nnd_font_create(NULL, &font));
    nnd_draw_options o = NND_DRAW_OPTIONS_INIT;
    o.font = font;
    const nnd_status status = nnd_draw_detections(image, d, &o);
    nnd_font_destroy(font);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    nnd_value *value = make_detections();
    test_image t = gray();
    for (int system_font = 0; system_font < 2; system_font++) {
        long tries = 0;
        assert_ok(draw_once(&t.view, nnd_value_detections(value), system_font));
        oom_begin();
        for (bool hit = true; hit; tries++) {
            oom_fail_after(tries);
            const nnd_status status = draw_once(&t.view, nnd_value_detections(value), system_font);
            hit = oom_hit();
            oom_never();
            /* FreeType can do without some of its memory. */
            if (status != NND_OK || !system_font)
                assert_int_equal(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
            nnd_error_clear();
            assert_int_equal(oom_live_blocks(), 0);
        }
        oom_end();
        assert_true(tries > 1);
    }
    free(t.block);
    nnd_value_unref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rect),
        cmocka_unit_test(test_line_and_circle),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_embedded_text),
        cmocka_unit_test(test_embedded_characters),
        cmocka_unit_test(test_fonts),
        cmocka_unit_test(test_font_in_threads),
        cmocka_unit_test(test_detections),
        cmocka_unit_test(test_detection_parts),
        cmocka_unit_test(test_palette),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
