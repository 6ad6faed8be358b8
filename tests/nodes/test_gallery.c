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
                             NULL) >= 0);
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

/* Our own recogniser on our own pictures: every line as the truth beside the picture has it. */
static void check_digits(const char *picture_name, const char *expected_name)
{
    size_t size = 0;
    nnd_json_doc *doc = NULL;
    char *bytes = read_bytes(path_in(NND_SOURCE_DIR, "tools/train/digits/expected.json"), &size);
    assert_ok(nnd_json_parse(bytes, size, "expected.json", &doc));
    free(bytes);
    const nnd_json *lines = nnd_json_get(nnd_json_get(nnd_json_root(doc), expected_name), "lines");
    assert_true(nnd_json_count(lines) > 0);
    char wanted[4096] = "";
    size_t digits = 0;
    for (size_t i = 0; i < nnd_json_count(lines); i++) {
        const nnd_json *line = nnd_json_at(lines, i);
        strcat(wanted, nnd_json_string(nnd_json_get(line, "text"), "?"));
        strcat(wanted, "\n");
        digits += nnd_json_count(nnd_json_get(line, "digits"));
    }
    nnd_plan *plan = compile_workflow("workflows/read-digits.json", NULL, 0);
    nnd_value *picture = read_picture(path_in(NND_SOURCE_DIR, picture_name));
    nnd_value *outputs = run_on_picture(plan, picture);
    const nnd_text *text = nnd_value_text(nnd_value_record_get(outputs, "text"));
    const nnd_detections *boxes = nnd_value_detections(nnd_value_record_get(outputs, "digits"));
    assert_string_equal(text->text, wanted);
    assert_int_equal(boxes->count, digits);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
