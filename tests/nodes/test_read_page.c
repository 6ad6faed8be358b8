/* The line reader on its page: the lines, boxes, texts and scores that the reference in
   tools/train/ocr names. */
#include "nodes/golden.h"

#include <math.h>

static int use_own_models(void **state)
{
    (void)state;
    char folder[1024];
    snprintf(folder, sizeof folder, "%s/models", NND_SOURCE_DIR);
    return setenv("NNDEPLOY_MODELS", folder, 1);
}

static nnd_json_doc *read_json(const char *name)
{
    size_t size = 0;
    nnd_json_doc *doc = NULL;
    char *bytes = read_bytes(path_in(NND_SOURCE_DIR, name), &size);
    assert_ok(nnd_json_parse(bytes, size, name, &doc));
    free(bytes);
    return doc;
}

/* One of the page's lines: box within a hundredth of a pixel, score within 0.02. */
static bool has_line(const nnd_detections *lines, const nnd_json *wanted)
{
    const double score = nnd_json_number(nnd_json_get(wanted, "score"), -1);
    const char *text = nnd_json_string(nnd_json_get(wanted, "text"), "?");
    for (size_t i = 0; i < lines->count; i++) {
        const nnd_detection *d = &lines->items[i];
        const float sides[4] = {d->x1, d->y1, d->x2, d->y2};
        bool same = strcmp(lines->labels[d->label], text) == 0;
        for (size_t k = 0; k < 4; k++)
            same = same &&
                   fabs(sides[k] -
                        nnd_json_number(nnd_json_at(nnd_json_get(wanted, "box"), k), -9)) < 0.01;
        if (same) return fabs(d->score - score) < 0.02;
    }
    return false;
}

static void the_page_reads_as_the_reference_says(void **state)
{
    (void)state;
    nnd_json_doc *doc = read_json("tools/train/ocr/expected.json");
    const nnd_json *lines = nnd_json_get(nnd_json_get(nnd_json_root(doc), "page.jpg"), "lines");
    nnd_plan *plan = compile_workflow("workflows/read-page.json", NULL, 0);
    nnd_value *picture = read_picture(path_in(NND_SOURCE_DIR, "examples/media/page.jpg"));
    nnd_value *outputs = run_on_picture(plan, picture);
    const nnd_detections *found = nnd_value_detections(nnd_value_record_get(outputs, "lines"));
    const nnd_text *text = nnd_value_text(nnd_value_record_get(outputs, "text"));
    char wanted[4096] = "";
    assert_true(nnd_json_count(lines) > 10);
    assert_int_equal(found->count, nnd_json_count(lines));
    for (size_t i = 0; i < nnd_json_count(lines); i++) {
        const nnd_json *line = nnd_json_at(lines, i);
        if (!has_line(found, line))
            fail_msg("not found: %s", nnd_json_string(nnd_json_get(line, "text"), "?"));
        strcat(wanted, nnd_json_string(nnd_json_get(line, "text"), "?"));
        strcat(wanted, "\n");
    }
    assert_string_equal(text->text, wanted);
    nnd_value_unref(outputs);
    nnd_value_unref(picture);
    nnd_plan_unref(plan);
    nnd_json_destroy(doc);
}

/* A page without ink has no lines, and that is no error. */
static void an_empty_page_gives_an_empty_text(void **state)
{
    (void)state;
    const double white[4] = {255, 255, 255, 255};
    nnd_plan *plan = compile_workflow("workflows/read-page.json", NULL, 0);
    nnd_value *picture = NULL;
    assert_ok(nnd_value_new_image(NND_PIX_RGB, NND_U8, 90, 40, &picture));
    assert_ok(nnd_image_fill(nnd_value_edit(picture), (nnd_rect){0, 0, 0, 0}, white));
    nnd_value *outputs = run_on_picture(plan, picture);
    assert_string_equal(nnd_value_text(nnd_value_record_get(outputs, "text"))->text, "");
    nnd_value_unref(outputs);
    nnd_value_unref(picture);
    nnd_plan_unref(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_reads_as_the_reference_says),
        cmocka_unit_test(an_empty_page_gives_an_empty_text),
    };
    return cmocka_run_group_tests(tests, use_own_models, NULL);
}
