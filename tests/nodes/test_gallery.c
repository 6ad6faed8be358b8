/* The workflows of the gallery on real pictures with real trained models: the objects must be those
   that the reference results name. */
#include "nodes/golden.h"

/* The models of the test data are found by name. */
static int use_test_models(void **state)
{
    (void)state;
    char folders[2048];
    snprintf(folders, sizeof folders, "%s/models:%s/models", NND_SOURCE_DIR,
             test_data_dir() ? test_data_dir() : NND_SOURCE_DIR);
    return setenv("NNDEPLOY_MODELS", folders, 1);
}

static nnd_json_doc *read_source(const char *model)
{
    char name[256];
    size_t size = 0;
    nnd_json_doc *doc = NULL;
    snprintf(name, sizeof name, "models/%s/SOURCE.json", model);
    char *bytes = read_bytes(path_in(test_data_dir(), name), &size);
    assert_ok(nnd_json_parse(bytes, size, name, &doc));
    free(bytes);
    return doc;
}

static void read_box(const nnd_json *json, double box[4])
{
    for (size_t i = 0; i < 4; i++)
        box[i] = nnd_json_number(nnd_json_at(json, i), -1);
}

static void check_picture(const nnd_value *outputs, const nnd_value *input)
{
    const nnd_value *picture = nnd_value_record_get(outputs, "picture");
    assert_non_null(picture);
    const nnd_image *drawn = nnd_value_image(picture), *plain = nnd_value_image(input);
    assert_int_equal(drawn->width, plain->width);
    assert_int_equal(drawn->height, plain->height);
    size_t changed = 0;
    for (int y = 0; y < plain->height; y++)
        for (int x = 0; x < plain->width * 3; x++)
            changed += drawn->data[0][y * drawn->stride[0] + x] !=
                       plain->data[0][y * plain->stride[0] + x];
    assert_true(changed > 1000); /* something was drawn, into a copy */
}

/* {"faces": n, "top": [[score, [x1, y1, x2, y2]], …]} */
static void check_faces(const char *workflow, const char *model)
{
    skip_without_data();
    nnd_json_doc *doc = read_source(model);
    const nnd_json *expected = nnd_json_get(nnd_json_root(doc), "verified_result");
    nnd_plan *plan = compile_workflow(workflow, NULL, 0);
    nnd_value *picture = read_picture(path_in(test_data_dir(), "media/faces_1.jpg"));
    nnd_value *outputs = run_on_picture(plan, picture);
    const nnd_detections *faces = nnd_value_detections(nnd_value_record_get(outputs, "faces"));
    assert_non_null(faces);
    assert_int_equal(faces->count, nnd_json_number(nnd_json_get(expected, "faces"), -1));
    const nnd_json *top = nnd_json_get(expected, "top");
    assert_true(nnd_json_count(top) >= 3);
    for (size_t i = 0; i < nnd_json_count(top); i++) {
        double box[4];
        read_box(nnd_json_at(nnd_json_at(top, i), 1), box);
        assert_true(find_box(faces, box, nnd_json_number(nnd_json_at(nnd_json_at(top, i), 0), -1),
                             "face") >= 0);
    }
    check_picture(outputs, picture);
    nnd_value_unref(outputs);
    nnd_value_unref(picture);
    nnd_plan_unref(plan);
    nnd_json_destroy(doc);
}

static void ultraface_finds_the_faces(void **state)
{
    (void)state;
    check_faces("workflows/face-detection.json", "ultraface_rfb320");
}

static void yunet_finds_the_faces(void **state)
{
    (void)state;
    check_faces("workflows/face-detection-yunet.json", "yunet_n_320");
}

static void yunet_places_five_points_inside_each_face(void **state)
{
    (void)state;
    skip_without_data();
    nnd_plan *plan = compile_workflow("workflows/face-detection-yunet.json", NULL, 0);
    nnd_value *picture = read_picture(path_in(test_data_dir(), "media/faces_2.jpg"));
    nnd_value *outputs = run_on_picture(plan, picture);
    const nnd_detections *faces = nnd_value_detections(nnd_value_record_get(outputs, "faces"));
    assert_true(faces->count > 0);
    assert_int_equal(faces->points_per_item, 5);
    for (size_t i = 0; i < faces->count; i++) {
        const nnd_detection *f = &faces->items[i];
        float slack = (f->x2 - f->x1) * 0.25f;
        for (size_t k = 0; k < 5; k++) {
            const nnd_point *p = &faces->points[i * 5 + k];
            assert_true(p->x > f->x1 - slack && p->x < f->x2 + slack);
            assert_true(p->y > f->y1 - slack && p->y < f->y2 + slack);
        }
        /* The eyes are above the mouth. */
        assert_true(faces->points[i * 5].y < faces->points[i * 5 + 3].y);
    }
    nnd_value_unref(outputs);
    nnd_value_unref(picture);
    nnd_plan_unref(plan);
}

/* [[label, score, [x1, y1, x2, y2]], …], counted above 0.35. */
static void yolox_finds_the_objects(void **state)
{
    (void)state;
    skip_without_data();
    nnd_json_doc *doc = read_source("yolox_nano");
    const nnd_json *expected = nnd_json_get(nnd_json_root(doc), "verified_result");
    nnd_plan *plan = compile_workflow("workflows/object-detection-yolox.json", NULL, 0);
    nnd_value *picture = read_picture(path_in(test_data_dir(), "media/dog.jpg"));
    nnd_value *outputs = run_on_picture(plan, picture);
    const nnd_detections *objects = nnd_value_detections(nnd_value_record_get(outputs, "objects"));
    assert_int_equal(objects->count, nnd_json_count(expected));
    for (size_t i = 0; i < nnd_json_count(expected); i++) {
        const nnd_json *item = nnd_json_at(expected, i);
        double box[4];
        read_box(nnd_json_at(item, 2), box);
        assert_true(find_box(objects, box, nnd_json_number(nnd_json_at(item, 1), -1),
                             nnd_json_string(nnd_json_at(item, 0), "?")) >= 0);
    }
    check_picture(outputs, picture);
    nnd_value_unref(outputs);
    nnd_value_unref(picture);
    nnd_plan_unref(plan);
    nnd_json_destroy(doc);
}

/* The picture of the reference is kept as the model's input: f32 levels, 28 × 28. */
static void mnist_reads_the_seven(void **state)
{
    (void)state;
    skip_without_data();
    size_t size = 0;
    nnd_value *picture = NULL;
    float *levels = read_bytes(path_in(test_data_dir(), "models/mnist_cnn/ref/in_0.bin"), &size);
    assert_int_equal(size, 28 * 28 * sizeof(float));
    assert_ok(nnd_value_new_image(NND_PIX_GRAY, NND_U8, 28, 28, &picture));
    nnd_image *image = nnd_value_edit(picture);
    for (int y = 0; y < 28; y++)
        for (int x = 0; x < 28; x++)
            image->data[0][y * image->stride[0] + x] = (uint8_t)levels[y * 28 + x];
    free(levels);
    nnd_plan *plan = compile_workflow("workflows/digit-mnist.json", NULL, 0);
    nnd_value *outputs = run_on_picture(plan, picture);
    const nnd_classes *digit = nnd_value_classes(nnd_value_record_get(outputs, "digit"));
    assert_int_equal(digit->count, 3);
    assert_int_equal(digit->items[0].class_id, 7);
    assert_true(digit->items[0].score > 0.9f);
    nnd_value_unref(outputs);
    nnd_value_unref(picture);
    nnd_plan_unref(plan);
}

/* Our own recogniser on our own pictures: every number as the reference implementation in
   tools/train/digits has it. */

static nnd_json_doc *read_expected(void)
{
    size_t size = 0;
    nnd_json_doc *doc = NULL;
    char *bytes = read_bytes(path_in(NND_SOURCE_DIR, "tools/train/digits/expected.json"), &size);
    assert_ok(nnd_json_parse(bytes, size, "expected.json", &doc));
    free(bytes);
    return doc;
}

static int64_t expected_int(const nnd_json *object, const char *name)
{
    int64_t n = -1;
    assert_true(nnd_json_int(nnd_json_get(object, name), &n));
    return n;
}

static uint64_t sum_of(const nnd_image *image, bool count)
{
    uint64_t sum = 0;
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width; x++) {
            uint8_t level = image->data[0][y * image->stride[0] + x];
            sum += count ? level != 0 : level;
        }
    return sum;
}

/* Sections 1 to 3 of the specification: gray levels, ink, components. */
static void check_ink(const nnd_image *picture, const nnd_json *expected)
{
    nnd_value *gray = NULL, *ink = NULL;
    nnd_threshold_options options = NND_THRESHOLD_OPTIONS_INIT;
    nnd_component *list = NULL;
    size_t count = 0;
    options.kind = NND_THRESHOLD_LOCAL;
    options.invert = true;
    options.block = 61;
    options.offset = 18;
    assert_ok(nnd_value_new_image(NND_PIX_GRAY, NND_U8, picture->width, picture->height, &gray));
    assert_ok(nnd_value_new_image(NND_PIX_GRAY, NND_U8, picture->width, picture->height, &ink));
    assert_ok(nnd_image_convert(nnd_value_edit(gray), picture, NULL));
    assert_int_equal(sum_of(nnd_value_image(gray), false), expected_int(expected, "gray_sum"));
    assert_ok(nnd_image_threshold(nnd_value_edit(ink), nnd_value_image(gray), &options, NULL));
    assert_int_equal(sum_of(nnd_value_image(ink), true), expected_int(expected, "ink_pixels"));
    assert_ok(nnd_image_components(nnd_value_image(ink), NULL, NULL, &list, &count));
    assert_int_equal(count, expected_int(expected, "components"));
    nnd_free(list);
    nnd_value_unref(gray);
    nnd_value_unref(ink);
}

static bool same_box(const nnd_detection *d, const nnd_json *box)
{
    const float sides[4] = {d->x1, d->y1, d->x2, d->y2};
    for (size_t i = 0; i < 4; i++)
        if (sides[i] != (float)nnd_json_number(nnd_json_at(box, i), -1)) return false;
    return true;
}

/* Section 4: the plausible boxes, in their order; the score is the filled part. */
static void check_boxes(const nnd_detections *boxes, const nnd_json *expected)
{
    assert_int_equal(boxes->count, nnd_json_count(expected));
    for (size_t i = 0; i < boxes->count; i++) {
        const nnd_detection *d = &boxes->items[i];
        const nnd_json *box = nnd_json_at(expected, i);
        double area = nnd_json_number(nnd_json_at(box, 4), -1);
        assert_true(same_box(d, box));
        assert_float_equal((double)d->score * (d->x2 - d->x1) * (d->y2 - d->y1), area, 0.01);
    }
}

static bool has_digit(const nnd_detections *digits, const nnd_json *wanted)
{
    double score = nnd_json_number(nnd_json_get(wanted, "score"), -1);
    for (size_t i = 0; i < digits->count; i++) {
        const nnd_detection *d = &digits->items[i];
        if (!same_box(d, nnd_json_get(wanted, "box"))) continue;
        return d->score > score - 0.02 && d->score < score + 0.02 &&
               strcmp(digits->labels[d->label],
                      nnd_json_string(nnd_json_get(wanted, "label"), "?")) == 0;
    }
    return false;
}

/* Sections 5 to 7: each digit with its score, the lines. */
static void check_lines(const nnd_value *outputs, const nnd_json *lines)
{
    const nnd_text *text = nnd_value_text(nnd_value_record_get(outputs, "text"));
    const nnd_detections *digits = nnd_value_detections(nnd_value_record_get(outputs, "digits"));
    char wanted[4096] = "";
    size_t count = 0;
    assert_true(nnd_json_count(lines) > 0);
    for (size_t i = 0; i < nnd_json_count(lines); i++) {
        const nnd_json *line = nnd_json_at(lines, i), *items = nnd_json_get(line, "digits");
        strcat(wanted, nnd_json_string(nnd_json_get(line, "text"), "?"));
        strcat(wanted, "\n");
        for (size_t k = 0; k < nnd_json_count(items); k++)
            assert_true(has_digit(digits, nnd_json_at(items, k)));
        count += nnd_json_count(items);
    }
    assert_string_equal(text->text, wanted);
    assert_int_equal(digits->count, count);
}

static nnd_plan *compile_with_boxes(void)
{
    nnd_workflow *wf = NULL;
    nnd_compile_options options = NND_COMPILE_OPTIONS_INIT;
    nnd_io_policy policy = NND_IO_POLICY_INIT;
    const char *roots[] = {path_in(NND_SOURCE_DIR, "workflows")};
    nnd_services services;
    nnd_plan *plan = NULL;
    nnd_io *io = NULL;
    policy.base_dir = roots[0];
    policy.read_roots = roots;
    policy.read_root_count = 1;
    assert_ok(nnd_io_create(&policy, &io));
    assert_ok(
        nnd_workflow_load(path_in(NND_SOURCE_DIR, "workflows/read-digits.json"), io, NULL, &wf));
    assert_ok(nnd_workflow_add_output(wf, "boxes", "find", "detections"));
    assert_ok(nnd_nodes_services(roots[0], &services));
    options.registry = nnd_nodes_registry();
    options.io = io;
    options.services = &services;
    assert_ok(nnd_plan_compile(wf, &options, NULL, &plan));
    nnd_workflow_destroy(wf);
    nnd_io_unref(io);
    return plan;
}

static void check_digits(const char *picture_name, const char *expected_name)
{
    nnd_json_doc *doc = read_expected();
    const nnd_json *expected = nnd_json_get(nnd_json_root(doc), expected_name);
    nnd_plan *plan = compile_with_boxes();
    nnd_value *picture = read_picture(path_in(NND_SOURCE_DIR, picture_name));
    check_ink(nnd_value_image(picture), expected);
    nnd_value *outputs = run_on_picture(plan, picture);
    check_boxes(nnd_value_detections(nnd_value_record_get(outputs, "boxes")),
                nnd_json_get(expected, "boxes"));
    check_lines(outputs, nnd_json_get(expected, "lines"));
    check_picture(outputs, picture);
    nnd_value_unref(outputs);
    nnd_value_unref(picture);
    nnd_plan_unref(plan);
    nnd_json_destroy(doc);
}

static void our_reader_reads_the_meter(void **state)
{
    (void)state;
    check_digits("examples/media/meter.jpg", "meter.jpg");
}

static void our_reader_reads_the_sheet(void **state)
{
    (void)state;
    check_digits("examples/media/sheet.png", "sheet.png");
}

/* ---- the files ----------------------------------------------------------------------------- */

static const char *const gallery[] = {
    "face-detection", "face-detection-yunet", "object-detection-yolox",
    "digit-mnist",    "read-digits",          "read-page"};

static void the_files_are_canonical(void **state)
{
    (void)state;
    for (size_t i = 0; i < NND_COUNT(gallery); i++) {
        char name[128];
        size_t size = 0, saved_size = 0;
        nnd_workflow *wf = NULL;
        char *saved = NULL;
        snprintf(name, sizeof name, "workflows/%s.json", gallery[i]);
        char *text = read_bytes(path_in(NND_SOURCE_DIR, name), &size);
        assert_ok(nnd_workflow_parse(text, size, name, NULL, NULL, &wf));
        assert_string_equal(nnd_workflow_name(wf), gallery[i]);
        assert_ok(nnd_workflow_save_text(wf, &saved, &saved_size));
        if (size != saved_size || memcmp(text, saved, size) != 0)
            fail_msg("%s is not in canonical form: nndeploy fmt writes it", name);
        nnd_free(saved);
        free(text);
        nnd_workflow_destroy(wf);
    }
}

/* Validation alone needs no model file: the ports are in the document. */
static void the_files_are_valid_without_their_models(void **state)
{
    (void)state;
    for (size_t i = 0; i < NND_COUNT(gallery); i++) {
        char name[128];
        nnd_workflow *wf = NULL;
        nnd_diagnostics *diags = NULL;
        snprintf(name, sizeof name, "workflows/%s.json", gallery[i]);
        assert_ok(nnd_diagnostics_create(&diags));
        assert_ok(nnd_workflow_load(path_in(NND_SOURCE_DIR, name), NULL, NULL, &wf));
        nnd_status status = nnd_workflow_validate(wf, nnd_nodes_registry(), diags);
        print_diagnostics(diags);
        assert_ok(status);
        assert_int_equal(nnd_diagnostics_count(diags), 0);
        nnd_diagnostics_destroy(diags);
        nnd_workflow_destroy(wf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_files_are_canonical),
        cmocka_unit_test(the_files_are_valid_without_their_models),
        cmocka_unit_test(our_reader_reads_the_meter),
        cmocka_unit_test(our_reader_reads_the_sheet),
        cmocka_unit_test(ultraface_finds_the_faces),
        cmocka_unit_test(yunet_finds_the_faces),
        cmocka_unit_test(yunet_places_five_points_inside_each_face),
        cmocka_unit_test(yolox_finds_the_objects),
        cmocka_unit_test(mnist_reads_the_seven),
    };
    return cmocka_run_group_tests(tests, use_test_models, NULL);
}
