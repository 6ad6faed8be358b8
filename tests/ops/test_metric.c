/*
 * Measures of results against figures that tools/testdata/make_metric_cases.py works out by the
 * definitions, against figures worked out by hand, and on what cannot be measured.
 */
#include <math.h>

#include "ops/metric/metric.h"
#include "ops/ops_support.h"
#include "port/port.h"
#include "support/oom.h"

static nnd_json_doc *cases;

static int setup(void **state)
{
    char *text = NULL;
    size_t size = 0;
    (void)state;
    assert_int_equal(
        nnd_port_file_read(NND_SOURCE_DIR "/tests/ops/data/metrics.json", 1u << 20, &text, &size),
        0);
    assert_ok(nnd_json_parse(text, size, "metrics.json", &cases));
    nnd_port_free(text);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nnd_json_destroy(cases);
    return 0;
}

static const nnd_json *group(const char *name)
{
    const nnd_json *list = nnd_json_get(nnd_json_root(cases), name);
    assert_true(nnd_json_count(list) > 0);
    return list;
}

static uint64_t whole(const nnd_json *json, const char *key)
{
    int64_t value = -1;
    assert_true(nnd_json_int(nnd_json_get(json, key), &value));
    return (uint64_t)value;
}

/* null stands for "no such figure", NAN here. */
static void check_figure(double value, const nnd_json *expected, const char *what)
{
    const double wanted = nnd_json_number(expected, NAN);
    if (isnan(wanted) ? isnan(value) : fabs(value - wanted) < 1e-12) return;
    fprintf(stderr, "%s: %.15g, expected %.15g\n", what, value, wanted);
    fail();
}

/* ---- texts ---- */

static nnd_text_errors compare(const char *truth, const char *text)
{
    nnd_text_errors e;
    assert_ok(nnd_text_compare(truth, strlen(truth), text, strlen(text), &e));
    return e;
}

static void test_texts(void **state)
{
    const nnd_json *list = group("texts");
    (void)state;
    for (size_t i = 0; i < nnd_json_count(list); i++) {
        const nnd_json *one = nnd_json_at(list, i);
        const nnd_text_errors e = compare(nnd_json_string(nnd_json_get(one, "truth"), NULL),
                                          nnd_json_string(nnd_json_get(one, "text"), NULL));
        assert_int_equal(e.characters, whole(one, "characters"));
        assert_int_equal(e.character_errors, whole(one, "character_errors"));
        assert_int_equal(e.words, whole(one, "words"));
        assert_int_equal(e.word_errors, whole(one, "word_errors"));
    }
}

static void test_texts_by_hand(void **state)
{
    (void)state;
    nnd_text_errors e = compare("kitten sat", "sitting sat");
    assert_int_equal(e.character_errors, 3);
    assert_int_equal(e.characters, 10);
    assert_int_equal(e.word_errors, 1);
    assert_int_equal(e.words, 2);
    e = compare("", "abc");
    assert_int_equal(e.characters, 0);
    assert_int_equal(e.character_errors, 3);
    assert_int_equal(e.word_errors, 1);
    e = compare("\xc3\xa4", "a"); /* one character of two bytes */
    assert_int_equal(e.characters, 1);
    assert_int_equal(e.character_errors, 1);
}

static void test_texts_that_are_none(void **state)
{
    nnd_text_errors e;
    (void)state;
    assert_status(nnd_text_compare("\xff", 1, "a", 1, &e), NND_E_FORMAT);
    assert_status(nnd_text_compare("a", 1, "\xc3", 1, &e), NND_E_FORMAT);
    assert_status(nnd_text_compare(NULL, 0, "a", 1, &e), NND_E_INVALID_ARGUMENT);
    char *longer = malloc(NND_METRIC_MAX_TEXT + 1);
    assert_non_null(longer);
    memset(longer, 'x', NND_METRIC_MAX_TEXT + 1);
    assert_ok(nnd_text_compare(longer, NND_METRIC_MAX_TEXT, longer, NND_METRIC_MAX_TEXT, &e));
    assert_int_equal(e.character_errors, 0);
    assert_status(nnd_text_compare("a", 1, longer, NND_METRIC_MAX_TEXT + 1, &e), NND_E_LIMIT);
    free(longer);
    nnd_error_clear();
}

/* ---- class masks ---- */

/* Truth and mask of a case; the mask's classes are of 8 or 16 bits. */
static void fill_masks(const nnd_json *one, nnd_value **truth, nnd_value **found, nnd_dtype dtype)
{
    const nnd_json *rows = nnd_json_get(one, "truth"), *given = nnd_json_get(one, "found");
    const int height = (int)nnd_json_count(rows);
    const int width = (int)nnd_json_count(nnd_json_at(rows, 0));
    assert_ok(nnd_value_new_image(NND_PIX_GRAY, dtype, width, height, truth));
    assert_ok(nnd_value_new_mask(dtype, false, width, height, found));
    nnd_image *image = nnd_value_edit(*truth);
    nnd_mask *mask = nnd_value_edit(*found);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            const nnd_json *a = nnd_json_at(nnd_json_at(rows, (size_t)y), (size_t)x);
            const nnd_json *b = nnd_json_at(nnd_json_at(given, (size_t)y), (size_t)x);
            uint8_t *to = image->data[0] + image->stride[0] * y;
            uint8_t *also = (uint8_t *)mask->data + mask->stride * y;
            if (dtype == NND_U8) {
                to[x] = (uint8_t)nnd_json_number(a, -1);
                also[x] = (uint8_t)nnd_json_number(b, -1);
            } else {
                ((uint16_t *)(void *)to)[x] = (uint16_t)nnd_json_number(a, -1);
                ((uint16_t *)(void *)also)[x] = (uint16_t)nnd_json_number(b, -1);
            }
        }
    }
}

static void check_masks(const nnd_json *one, nnd_dtype dtype)
{
    nnd_value *truth = NULL, *found = NULL;
    nnd_overlap o = {0};
    fill_masks(one, &truth, &found, dtype);
    const int ignore = (int)nnd_json_number(nnd_json_get(one, "ignore"), 0);
    assert_ok(nnd_overlap_add(&o, nnd_value_image(truth), ignore, nnd_value_mask(found)));
    const nnd_json *ious = nnd_json_get(one, "iou");
    for (size_t k = 0; k < nnd_json_count(ious); k++) {
        static const nnd_overlap_class never = {0};
        const nnd_overlap_class *c = k < o.count ? &o.classes[k] : &never;
        check_figure(nnd_overlap_iou(c), nnd_json_at(ious, k), "IoU of a class");
    }
    check_figure(nnd_overlap_mean(&o), nnd_json_get(one, "mean"), "mean IoU");
    assert_int_equal(o.pixels, whole(one, "pixels"));
    assert_int_equal(o.right, whole(one, "right"));
    nnd_overlap_fini(&o);
    nnd_value_unref(truth);
    nnd_value_unref(found);
}

static void test_masks(void **state)
{
    const nnd_json *list = group("masks");
    (void)state;
    for (size_t i = 0; i < nnd_json_count(list); i++) {
        check_masks(nnd_json_at(list, i), NND_U8);
        check_masks(nnd_json_at(list, i), NND_U16);
    }
}

/* A mask of half the size, of the left half of the picture only. */
static void test_mask_with_geometry(void **state)
{
    nnd_value *truth = NULL, *found = NULL;
    nnd_overlap o = {0};
    (void)state;
    assert_ok(nnd_value_new_image(NND_PIX_GRAY, NND_U8, 8, 4, &truth));
    assert_ok(nnd_value_new_mask(NND_F32, true, 2, 2, &found));
    nnd_image *image = nnd_value_edit(truth);
    for (int y = 0; y < 4; y++)
        memset(image->data[0] + image->stride[0] * y, 1, 8);
    nnd_mask *mask = nnd_value_edit(found);
    const float rows[2][2] = {{1.0f, 0.5f}, {0.49f, 0.0f}};
    for (int y = 0; y < 2; y++)
        memcpy((uint8_t *)mask->data + mask->stride * y, rows[y], sizeof rows[y]);
    mask->geometry = (nnd_geometry){{2, 0, 0, 0, 2, 0}, 8, 4, 2, 2};
    assert_ok(nnd_overlap_add(&o, image, -1, mask));
    assert_int_equal(o.pixels, 32);
    assert_int_equal(o.right, 8); /* two of four cells; the right half has no result */
    assert_int_equal(o.classes[1].truth, 32);
    assert_int_equal(o.classes[1].found, 8);
    assert_int_equal(o.classes[0].found, 8);
    mask->geometry.source_width = 9;
    assert_status(nnd_overlap_add(&o, image, -1, mask), NND_E_SHAPE);
    mask->dtype = NND_I32;
    assert_status(nnd_overlap_add(&o, image, -1, mask), NND_E_TYPE);
    nnd_error_clear();
    nnd_overlap_fini(&o);
    nnd_value_unref(truth);
    nnd_value_unref(found);
}

/* ---- boxes ---- */

static void read_box(const nnd_json *json, double *x1, double *y1, double *x2, double *y2)
{
    const nnd_json *box = nnd_json_get(json, "box");
    assert_int_equal(nnd_json_count(box), 4);
    *x1 = nnd_json_number(nnd_json_at(box, 0), NAN);
    *y1 = nnd_json_number(nnd_json_at(box, 1), NAN);
    *x2 = nnd_json_number(nnd_json_at(box, 2), NAN);
    *y2 = nnd_json_number(nnd_json_at(box, 3), NAN);
}

static void add_picture(nnd_precision *p, const nnd_json *picture)
{
    const nnd_json *truth = nnd_json_get(picture, "truth"), *found = nnd_json_get(picture, "found");
    const size_t n = nnd_json_count(truth), m = nnd_json_count(found);
    nnd_truth_box *t = calloc(n + 1, sizeof *t);
    nnd_found_box *f = calloc(m + 1, sizeof *f);
    assert_true(t && f);
    for (size_t i = 0; i < n; i++) {
        const nnd_json *one = nnd_json_at(truth, i);
        read_box(one, &t[i].x1, &t[i].y1, &t[i].x2, &t[i].y2);
        t[i].class_id = (int32_t)whole(one, "class");
        t[i].area = nnd_json_number(nnd_json_get(one, "area"), NAN);
        t[i].crowd = nnd_json_bool(nnd_json_get(one, "crowd"), false);
        t[i].ignore = nnd_json_bool(nnd_json_get(one, "ignore"), false);
    }
    for (size_t i = 0; i < m; i++) {
        const nnd_json *one = nnd_json_at(found, i);
        read_box(one, &f[i].x1, &f[i].y1, &f[i].x2, &f[i].y2);
        f[i].class_id = (int32_t)whole(one, "class");
        f[i].score = (float)nnd_json_number(nnd_json_get(one, "score"), NAN);
    }
    assert_ok(nnd_precision_add(p, t, n, f, m));
    free(t);
    free(f);
}

static void check_figures(nnd_precision *p, const nnd_json *expected)
{
    nnd_precision_figures f;
    const nnd_json *of_class = nnd_json_get(expected, "ap_of_class");
    assert_ok(nnd_precision_figures_of_all(p, &f));
    for (size_t i = 0; i < NND_AREA_COUNT; i++) {
        check_figure(f.ap[i], nnd_json_at(nnd_json_get(expected, "ap"), i), "AP");
        check_figure(f.recall_by_area[i], nnd_json_at(nnd_json_get(expected, "recall_by_area"), i),
                     "recall by area");
    }
    for (size_t i = 0; i < NND_RECALL_COUNT; i++)
        check_figure(f.recall[i], nnd_json_at(nnd_json_get(expected, "recall"), i), "recall");
    check_figure(f.ap50, nnd_json_get(expected, "ap50"), "AP50");
    check_figure(f.ap75, nnd_json_get(expected, "ap75"), "AP75");
    for (size_t c = 0; c < nnd_json_count(of_class); c++) {
        assert_ok(nnd_precision_figures_of_class(p, c, &f));
        check_figure(f.ap[NND_AREA_ALL], nnd_json_at(of_class, c), "AP of a class");
    }
}

static void test_boxes(void **state)
{
    const nnd_json *list = group("boxes");
    (void)state;
    for (size_t i = 0; i < nnd_json_count(list); i++) {
        const nnd_json *one = nnd_json_at(list, i), *pictures = nnd_json_get(one, "pictures");
        nnd_precision *p = NULL;
        assert_ok(nnd_precision_create((size_t)whole(one, "classes"), &p));
        for (size_t k = 0; k < nnd_json_count(pictures); k++)
            add_picture(p, nnd_json_at(pictures, k));
        check_figures(p, nnd_json_get(one, "expected"));
        nnd_precision_destroy(p);
    }
}

static void test_boxes_by_hand(void **state)
{
    /* Two objects; the first box hits one with IoU 0.8 (thresholds 0.50 … 0.80), the second hits
       nothing, the third hits the other exactly. */
    const nnd_truth_box truth[] = {{0, 0, 100, 100, 0, 0, false, false},
                                   {200, 0, 300, 100, 0, 0, false, false},
                                   {400, 0, 500, 100, 0, 0, true, false}};
    const nnd_found_box found[] = {{0, 0, 100, 80, 0.9f, 0},
                                   {0, 200, 100, 300, 0.8f, 0},
                                   {200, 0, 300, 100, 0.7f, 0},
                                   {410, 10, 420, 20, 0.95f, 0}, /* within the crowd: no error */
                                   {0, 0, 100, 100, 0.99f, 7}};  /* a class that is not asked for */
    nnd_precision_figures f;
    nnd_precision *p = NULL;
    (void)state;
    assert_ok(nnd_precision_create(1, &p));
    assert_ok(nnd_precision_add(p, truth, 3, found, 5));
    assert_ok(nnd_precision_figures_of_all(p, &f));
    assert_int_equal(f.objects, 2);
    /* 51 points of recall up to 0.5 at precision 1, 50 beyond at 2/3 */
    const double both = (51 + 50 * 2.0 / 3) / 101;
    /* above 0.80 only the last box hits: recall 0.5 at precision 1/3 */
    const double one = 51 / 3.0 / 101;
    assert_true(fabs(f.ap50 - both) < 1e-12);
    assert_true(fabs(f.ap75 - both) < 1e-12);
    assert_true(fabs(f.ap[NND_AREA_ALL] - (7 * both + 3 * one) / 10) < 1e-12);
    assert_true(fabs(f.recall[2] - (7 * 1.0 + 3 * 0.5) / 10) < 1e-12);
    assert_true(isnan(f.ap[NND_AREA_SMALL]));
    nnd_precision_destroy(p);
}

static void test_boxes_that_are_none(void **state)
{
    const nnd_truth_box truth = {0, 0, INFINITY, 1, 0, 0, false, false};
    const nnd_found_box found = {0, 0, 1, 1, NAN, 0};
    nnd_precision_figures f;
    nnd_precision *p = NULL;
    (void)state;
    assert_status(nnd_precision_create(65537, &p), NND_E_LIMIT);
    assert_ok(nnd_precision_create(0, &p));
    assert_ok(nnd_precision_figures_of_all(p, &f));
    assert_true(isnan(f.ap50) && f.objects == 0);
    assert_status(nnd_precision_add(p, &truth, 1, NULL, 0), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_precision_add(p, NULL, 0, &found, 1), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_precision_figures_of_class(p, 0, &f), NND_E_INVALID_ARGUMENT);
    nnd_error_clear();
    nnd_precision_destroy(p);
    nnd_precision_destroy(NULL);
}

/* ---- memory ---- */

static nnd_status work_without_memory(void)
{
    const nnd_truth_box truth = {0, 0, 10, 10, 0, 1, false, false};
    const nnd_found_box found = {0, 0, 10, 10, 0.5f, 1};
    const uint8_t pixels[4] = {0, 1, 2, 1};
    nnd_image image = {NND_PIX_GRAY, NND_U8, 2, 2, 0, 0, {(uint8_t *)pixels}, {2}, NULL};
    nnd_mask mask = {.dtype = NND_U8, .width = 2, .height = 2, .stride = 2, .data = image.data[0]};
    nnd_precision_figures f;
    nnd_precision *p = NULL;
    nnd_overlap o = {0};
    nnd_text_errors e;
    NND_TRY(nnd_text_compare("one two", 7, "one too", 7, &e));
    nnd_status status = nnd_overlap_add(&o, &image, 255, &mask);
    nnd_overlap_fini(&o);
    NND_TRY(status);
    NND_TRY(nnd_precision_create(2, &p));
    status = nnd_precision_add(p, &truth, 1, &found, 1);
    if (status == NND_OK) status = nnd_precision_figures_of_all(p, &f);
    nnd_precision_destroy(p);
    return status;
}

static void test_without_memory(void **state)
{
    (void)state;
    bool hit = true;
    oom_begin();
    nnd_error_clear();
    for (long n = 0; hit; n++) {
        oom_fail_after(n);
        const nnd_status status = work_without_memory();
        hit = oom_hit();
        oom_never();
        assert_int_equal(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), 0);
    }
    oom_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_texts_by_hand),
        cmocka_unit_test(test_texts_that_are_none),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_mask_with_geometry),
        cmocka_unit_test(test_boxes),
        cmocka_unit_test(test_boxes_by_hand),
        cmocka_unit_test(test_boxes_that_are_none),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
