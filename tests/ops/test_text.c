/* Reading printed text: lines among components, the crop of a line, greedy CTC. */
#include "support/test.h"

#include <math.h>

#include "ops/text/text.h"
#include "support/oom.h"

/* ---- lines ------------------------------------------------------------------------------- */

static nnd_component ink(int x, int y, int width, int height)
{
    return (nnd_component){.box = {x, y, width, height}, .area = width * height / 2 + 1};
}

/* Letters of 10 × 16, eight in a row, 14 apart, sinking by `fall` per letter. */
static size_t add_row(nnd_component *list, size_t count, int x, int y, int fall)
{
    for (int i = 0; i < 8; i++)
        list[count++] = ink(x + 14 * i, y + fall * i, 10, 16);
    return count;
}

static nnd_text_line *find(const nnd_component *list, size_t count, size_t *line_count)
{
    const nnd_text_lines_options options = NND_TEXT_LINES_OPTIONS_INIT;
    nnd_text_line *lines = NULL;
    assert_ok(nnd_text_find_lines(list, count, &options, &lines, line_count));
    return lines;
}

static void assert_line(const nnd_text_line *line, double x0, double y0, double x1, double y1)
{
    assert_float_equal(line->x0, x0, 1e-9);
    assert_float_equal(line->y0, y0, 1e-9);
    assert_float_equal(line->x1, x1, 1e-9);
    assert_float_equal(line->y1, y1, 1e-9);
}

static void test_rows_and_columns(void **state)
{
    (void)state;
    nnd_component list[40];
    size_t count = add_row(list, 0, 200, 12, 0), lines_count = 0; /* the right column first */
    count = add_row(list, count, 10, 40, 0);
    count = add_row(list, count, 10, 10, 0);
    nnd_text_line *lines = find(list, count, &lines_count);
    assert_int_equal(lines_count, 3);
    assert_line(&lines[0], 10, 10, 118, 26);
    assert_line(&lines[1], 200, 12, 308, 28);
    assert_line(&lines[2], 10, 40, 118, 56);
    for (size_t i = 0; i < 3; i++)
        assert_float_equal(lines[i].slope, 0, 0);
    nnd_free(lines);
}

static void test_marks_join_the_nearest_line(void **state)
{
    (void)state;
    nnd_component list[40];
    size_t count = add_row(list, 0, 10, 10, 0), lines_count = 0;
    list[count++] = ink(120, 23, 3, 6);  /* a comma: widens the line */
    list[count++] = ink(60, 5, 4, 3);    /* the dot of an i */
    list[count++] = ink(128, 17, 8, 3);  /* a hyphen at the end */
    list[count++] = ink(300, 300, 3, 5); /* a speck far away */
    list[count++] = ink(0, 60, 300, 2);  /* a rule */
    list[count++] = ink(20, 80, 5, 170); /* too high to be a letter */
    nnd_text_line *lines = find(list, count, &lines_count);
    assert_int_equal(lines_count, 1);
    assert_line(&lines[0], 10, 5, 136, 29);
    nnd_free(lines);
}

static void test_a_sloped_line_keeps_its_height(void **state)
{
    (void)state;
    nnd_component list[40];
    size_t lines_count = 0, count = add_row(list, 0, 10, 10, 2);
    nnd_text_line *lines = find(list, count, &lines_count);
    assert_int_equal(lines_count, 1);
    assert_float_equal(lines[0].slope, 2.0 / 14, 1e-12);
    assert_float_equal((float)(lines[0].y1 - lines[0].y0), 16, 1e-9);
    assert_float_equal(lines[0].y0, 17, 1e-9); /* in the middle of the box: 10 + 7 */
    nnd_free(lines);
}

static void test_no_ink(void **state)
{
    (void)state;
    size_t lines_count = 9;
    nnd_text_line *lines = find(NULL, 0, &lines_count);
    assert_int_equal(lines_count, 0);
    nnd_free(lines);
}

static void test_lines_arguments(void **state)
{
    (void)state;
    nnd_component list[8];
    nnd_text_line *lines = NULL;
    size_t count = 0;
    nnd_text_lines_options options = NND_TEXT_LINES_OPTIONS_INIT;
    add_row(list, 0, 10, 10, 0);
    assert_status(nnd_text_find_lines(list, 8, NULL, &lines, &count), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_text_find_lines(NULL, 8, &options, &lines, &count), NND_E_INVALID_ARGUMENT);
    options.max_components = 7;
    assert_status(nnd_text_find_lines(list, 8, &options, &lines, &count), NND_E_LIMIT);
    options.max_components = 8;
    options.max_height = 5;
    assert_status(nnd_text_find_lines(list, 8, &options, &lines, &count), NND_E_INVALID_ARGUMENT);
    assert_null(lines);
    nnd_error_clear();
}

/* ---- crop -------------------------------------------------------------------------------- */

static nnd_value *gray_picture(int width, int height, uint8_t (*level)(int x, int y))
{
    nnd_value *value = NULL;
    assert_ok(nnd_value_new_image(NND_PIX_GRAY, NND_U8, width, height, &value));
    nnd_image *image = nnd_value_edit(value);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            image->data[0][y * image->stride[0] + x] = level(x, y);
    return value;
}

static uint8_t dark_bar(int x, int y)
{
    return x >= 30 && x < 38 && y >= 20 && y < 52 ? 20 : 220;
}

static uint8_t light_bar(int x, int y)
{
    return (uint8_t)(240 - dark_bar(x, y));
}

/* A picture of 32 rows is taken as it is; another one is brought to 32 rows. */
static void test_picture_of_a_line(void **state)
{
    (void)state;
    nnd_value *picture = gray_picture(40, 32, dark_bar), *high = gray_picture(50, 64, dark_bar);
    nnd_value *line = NULL;
    assert_ok(nnd_text_picture_to_tensor(nnd_value_image(picture), 4096, &line));
    const nnd_tensor *t = nnd_value_tensor(line);
    assert_int_equal(t->dims[2], 32);
    assert_int_equal(t->dims[3], 40);
    const float *values = t->data;
    for (int y = 0; y < 32; y++)
        for (int x = 0; x < 40; x++)
            assert_float_equal(values[40 * y + x], values[dark_bar(x, y) < 100 ? 40 * 20 + 30 : 0],
                               0);
    assert_true(values[40 * 20 + 30] > 0 && values[0] < 0);
    nnd_value_unref(line);
    assert_ok(nnd_text_picture_to_tensor(nnd_value_image(high), 4096, &line));
    assert_int_equal(nnd_value_tensor(line)->dims[3], 28); /* 25 columns, by fours */
    nnd_value_unref(line);
    assert_status(nnd_text_picture_to_tensor(nnd_value_image(high), 24, &line), NND_E_LIMIT);
    assert_status(nnd_text_picture_to_tensor(NULL, 24, &line), NND_E_INVALID_ARGUMENT);
    nnd_error_clear();
    nnd_value_unref(picture);
    nnd_value_unref(high);
}

/* Mean 0, deviation 1, and the bar above both, in whichever colour it is printed. */
static void test_crop_is_normalised(void **state)
{
    (void)state;
    const nnd_text_line line = {20, 22, 60, 47.6, 0}; /* one source pixel per cell */
    nnd_value *dark = gray_picture(100, 80, dark_bar), *light = gray_picture(100, 80, light_bar);
    nnd_value *a = NULL, *b = NULL;
    assert_ok(nnd_text_line_to_tensor(nnd_value_image(dark), &line, 4096, &a));
    assert_ok(nnd_text_line_to_tensor(nnd_value_image(light), &line, 4096, &b));
    const nnd_tensor *x = nnd_value_tensor(a), *y = nnd_value_tensor(b);
    const float *p = x->data, *q = y->data;
    double sum = 0, square = 0;
    assert_int_equal(x->rank, 4);
    assert_int_equal(x->dims[2], 32);
    assert_int_equal(x->dims[3], 56); /* 40 + 2 · 6.4 columns, rounded up to a multiple of 4 */
    for (int i = 0; i < 32 * 56; i++) {
        sum += p[i];
        square += (double)p[i] * p[i];
        assert_float_equal(p[i], q[i], 1e-5);
    }
    assert_float_equal(sum / (32 * 56), 0, 1e-5);
    assert_float_equal(square / (32 * 56), 1, 1e-4);
    assert_true(p[16 * 56 + 20] > 1 && p[16 * 56 + 2] < 0);
    nnd_value_unref(a);
    nnd_value_unref(b);
    nnd_value_unref(dark);
    nnd_value_unref(light);
}

static uint8_t falling_bar(int x, int y)
{
    return abs(y - 20 - x / 8) <= 2 ? 0 : 200;
}

/* With the line's slope a falling bar becomes a level one. */
static void test_crop_takes_out_the_slope(void **state)
{
    (void)state;
    const nnd_text_line line = {20, 16, 180, 41.6, 1.0 / 8};
    nnd_value *picture = gray_picture(200, 60, falling_bar), *value = NULL;
    assert_ok(nnd_text_line_to_tensor(nnd_value_image(picture), &line, 4096, &value));
    const nnd_tensor *t = nnd_value_tensor(value);
    const float *p = t->data;
    const int64_t width = t->dims[3];
    int level = 0, thick = 0;
    for (int j = 0; j < 32; j++)
        if (p[j * width + 40] > 1) {
            level += j;
            thick++;
        }
    assert_true(thick >= 3);
    level /= thick; /* the row in the middle of the bar */
    for (int64_t i = 16; i < width - 16; i++)
        assert_true(p[level * width + i] > 1);
    nnd_value_unref(value);
    nnd_value_unref(picture);
}

static void test_crop_arguments(void **state)
{
    (void)state;
    nnd_value *picture = gray_picture(20, 20, dark_bar), *rgb = NULL, *value = NULL;
    const nnd_image *gray = nnd_value_image(picture);
    nnd_text_line line = {0, 0, 20, 10, 0};
    assert_ok(nnd_value_new_image(NND_PIX_RGB, NND_U8, 20, 20, &rgb));
    assert_status(nnd_text_line_to_tensor(nnd_value_image(rgb), &line, 99, &value), NND_E_TYPE);
    assert_status(nnd_text_line_to_tensor(gray, &line, 40, &value), NND_E_LIMIT);
    line.slope = NAN;
    assert_status(nnd_text_line_to_tensor(gray, &line, 99, &value), NND_E_INVALID_ARGUMENT);
    line = (nnd_text_line){0, 5, 20, 5, 0};
    assert_status(nnd_text_line_to_tensor(gray, &line, 99, &value), NND_E_INVALID_ARGUMENT);
    line = (nnd_text_line){0, 0, INFINITY, 10, 0};
    assert_status(nnd_text_line_to_tensor(gray, &line, 99, &value), NND_E_INVALID_ARGUMENT);
    assert_null(value);
    nnd_error_clear();
    nnd_value_unref(rgb);
    nnd_value_unref(picture);
}

/* ---- greedy CTC -------------------------------------------------------------------------- */

static const char *const letters[4] = {"<blank>", " ", "a", "\xC3\xA9"};

/* Logits whose best class per frame is `path`, ahead of each other class by `lead`. */
static nnd_value *spell(const char *path, float lead)
{
    const int64_t frames = (int64_t)strlen(path), dims[3] = {1, frames, 4};
    nnd_value *value = NULL;
    assert_ok(nnd_value_new_tensor(NND_F32, 3, dims, &value));
    float *p = ((nnd_tensor *)nnd_value_edit(value))->data;
    for (int64_t i = 0; i < frames * 4; i++)
        p[i] = path[i / 4] - '0' == i % 4 ? lead : 0;
    return value;
}

static void assert_spells(const char *path, const char *text, double score)
{
    nnd_value *logits = spell(path, 2), *value = NULL;
    assert_ok(nnd_ctc_greedy(nnd_value_tensor(logits), 0, letters, 4, &value));
    const nnd_classes *classes = nnd_value_classes(value);
    assert_int_equal(classes->count, 1);
    assert_string_equal(classes->items[0].label, text);
    assert_float_equal(classes->items[0].score, score, 1e-6);
    nnd_value_unref(value);
    nnd_value_unref(logits);
}

static void test_ctc(void **state)
{
    (void)state;
    const double sure = exp(2) / (exp(2) + 3);
    assert_spells("0220", "a", sure);
    assert_spells("2222", "a", sure);
    assert_spells("20203", "aa\xC3\xA9", sure);
    assert_spells("1210121", "a  a", sure); /* spaces inside stay, those at the ends go */
    assert_spells("0000", "", 0);
    assert_spells("0101", "", sure); /* only spaces */
    assert_spells("", "", 0);
}

static void test_ctc_arguments(void **state)
{
    (void)state;
    nnd_value *logits = spell("0220", 1), *value = NULL;
    const nnd_tensor *t = nnd_value_tensor(logits);
    assert_status(nnd_ctc_greedy(t, 0, letters, 3, &value), NND_E_SHAPE);
    assert_status(nnd_ctc_greedy(t, 4, letters, 4, &value), NND_E_SHAPE);
    assert_status(nnd_ctc_greedy(t, -1, letters, 4, &value), NND_E_SHAPE);
    assert_status(nnd_ctc_greedy(t, 0, NULL, 4, &value), NND_E_INVALID_ARGUMENT);
    nnd_tensor two = *t;
    two.dims[0] = 2;
    two.dims[1] = 2;
    assert_status(nnd_ctc_greedy(&two, 0, letters, 4, &value), NND_E_SHAPE);
    assert_null(value);
    nnd_error_clear();
    nnd_value_unref(logits);
}

/* ---- memory ------------------------------------------------------------------------------ */

static nnd_status read_once(const nnd_component *list, size_t count)
{
    const nnd_text_lines_options options = NND_TEXT_LINES_OPTIONS_INIT;
    nnd_text_line *lines = NULL;
    size_t line_count = 0;
    nnd_status status = nnd_text_find_lines(list, count, &options, &lines, &line_count);
    if (status == NND_OK) assert_int_equal(line_count, 2);
    nnd_free(lines);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    nnd_component list[16];
    const size_t count = add_row(list, add_row(list, 0, 10, 10, 0), 10, 40, 0);
    long tries = 0;
    oom_begin();
    for (bool hit = true; hit; tries++) {
        oom_fail_after(tries);
        const nnd_status status = read_once(list, count);
        hit = oom_hit();
        oom_never();
        assert_int_equal(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), 0);
    }
    oom_end();
    assert_true(tries > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_and_columns),
        cmocka_unit_test(test_marks_join_the_nearest_line),
        cmocka_unit_test(test_a_sloped_line_keeps_its_height),
        cmocka_unit_test(test_no_ink),
        cmocka_unit_test(test_lines_arguments),
        cmocka_unit_test(test_picture_of_a_line),
        cmocka_unit_test(test_crop_is_normalised),
        cmocka_unit_test(test_crop_takes_out_the_slope),
        cmocka_unit_test(test_crop_arguments),
        cmocka_unit_test(test_ctc),
        cmocka_unit_test(test_ctc_arguments),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
