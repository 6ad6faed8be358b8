/*
 * Box decoders on hand-made tensors and on the recorded outputs of real models; suppression
 * against an oracle.
 */
#include <math.h>

#include "ops/ops_support.h"
#include "port/port.h"
#include "support/oom.h"

static nnd_tensor tensor3(int64_t rows, int64_t columns, float *data)
{
    nnd_tensor t;
    const int64_t dims[] = {1, rows, columns};
    assert_ok(nnd_tensor_init(&t, NND_F32, 3, dims, data));
    return t;
}

static void check_box(const nnd_detection *d, double x1, double y1, double x2, double y2,
                      double slack)
{
    if (fabs(d->x1 - x1) <= slack && fabs(d->y1 - y1) <= slack && fabs(d->x2 - x2) <= slack &&
        fabs(d->y2 - y2) <= slack)
        return;
    fprintf(stderr, "box %g %g %g %g, expected %g %g %g %g\n", (double)d->x1, (double)d->y1,
            (double)d->x2, (double)d->y2, x1, y1, x2, y2);
    fail();
}

/* ---- hand-made tensors ---- */

static void test_ssd(void **state)
{
    (void)state;
    float scores[] = {0.1f, 0.9f,  0.0f,                     /* class 1 → id 0 */
                      0.9f, 0.05f, 0.05f, 0.2f, 0.1f, 0.95f, /* class 2 → id 1 */
                      0.0f, NAN,   0.3f};
    float boxes[] = {0.1f, 0.2f, 0.3f, 0.4f, 0, 0, 1, 1, -0.5f, 0.5f, 0.5f, 1.5f, 0, 0, 1, 1};
    const char *labels[] = {"one", "two"};
    nnd_tensor s = tensor3(4, 3, scores), b = tensor3(4, 4, boxes);
    nnd_decode_boxes_options o = NND_DECODE_BOXES_OPTIONS_INIT;
    nnd_value *value;
    o.labels = labels;
    o.label_count = 2;
    o.width = 200;
    o.height = 100;
    assert_ok(nnd_decode_ssd(&s, &b, 0, &o, &value));
    const nnd_detections *d = nnd_value_detections(value);
    assert_int_equal(d->count, 2);
    assert_int_equal(d->source_width, 200);
    check_box(&d->items[0], 0, 50, 100, 100, 1e-4); /* clipped */
    assert_int_equal(d->items[0].class_id, 1);
    assert_string_equal(d->labels[d->items[0].label], "two");
    check_box(&d->items[1], 20, 20, 60, 40, 1e-4);
    assert_int_equal(d->items[1].class_id, 0);
    nnd_value_unref(value);
    o.max_candidates = 1;
    o.score = 0.25f;
    assert_ok(nnd_decode_ssd(&s, &b, -1, &o, &value)); /* no background: three classes */
    d = nnd_value_detections(value);
    assert_int_equal(d->count, 1);
    assert_int_equal(d->items[0].class_id, 2);
    assert_int_equal(d->items[0].label, -1); /* beyond the labels */
    nnd_value_unref(value);
}

static void test_geometry_maps_boxes(void **state)
{
    (void)state;
    float scores[] = {0, 1}, boxes[] = {0.25f, 0.25f, 0.5f, 0.75f};
    nnd_tensor s = tensor3(1, 2, scores), b = tensor3(1, 4, boxes);
    /* the model's 100 × 100 picture shows a 400 × 200 source, turned by a quarter */
    nnd_geometry g = {{0, 4, 0, -2, 0, 200}, 400, 200, 100, 100};
    nnd_decode_boxes_options o = NND_DECODE_BOXES_OPTIONS_INIT;
    nnd_value *value;
    o.geometry = &g;
    assert_ok(nnd_decode_ssd(&s, &b, 0, &o, &value));
    const nnd_detections *d = nnd_value_detections(value);
    assert_int_equal(d->source_width, 400);
    assert_int_equal(d->count, 1);
    check_box(&d->items[0], 100, 100, 300, 150, 1e-3);
    nnd_value_unref(value);
}

static void test_yolox_cells(void **state)
{
    (void)state;
    /* 16 × 8 pixels: stride 8 has 2 × 1 cells, stride 16 one */
    float cells[3][7] = {{0.5f, 0.5f, 0, 0, 0.9f, 0.1f, 0.8f},
                         {0.5f, 0.5f, 0, 0, 0.9f, 0.9f, 0.1f},
                         {0.25f, 0.25f, -1, -1, 1.0f, 0.2f, 0.9f}};
    nnd_tensor t = tensor3(3, 7, &cells[0][0]);
    const int strides[] = {8, 16};
    nnd_decode_boxes_options o = NND_DECODE_BOXES_OPTIONS_INIT;
    nnd_value *value;
    o.width = 16;
    o.height = 8;
    assert_ok(nnd_decode_yolox(&t, strides, 2, &o, &value));
    const nnd_detections *d = nnd_value_detections(value);
    assert_int_equal(d->count, 3);
    const double half = exp(-1.0) * 8;
    check_box(&d->items[0], 4 - half, 4 - half, 4 + half, 4 + half, 1e-4);
    assert_int_equal(d->items[0].class_id, 1);
    check_box(&d->items[1], 8, 0, 16, 8, 1e-4);
    assert_int_equal(d->items[1].class_id, 0);
    check_box(&d->items[2], 0, 0, 8, 8, 1e-4);
    assert_float_equal(d->items[2].score, 0.72f, 1e-5);
    nnd_value_unref(value);
    cells[0][2] = 1e30f; /* exp overflows: the box is left out */
    assert_ok(nnd_decode_yolox(&t, strides, 2, &o, &value));
    assert_int_equal(nnd_value_detections(value)->count, 2);
    nnd_value_unref(value);
}

static void test_wrong_tensors(void **state)
{
    (void)state;
    float data[64] = {0};
    nnd_tensor s = tensor3(4, 2, data), b = tensor3(4, 4, data), wrong = tensor3(3, 4, data);
    nnd_decode_boxes_options o = NND_DECODE_BOXES_OPTIONS_INIT;
    nnd_value *value = NULL;
    const int strides[] = {8}, zero[] = {0};
    assert_status(nnd_decode_ssd(&s, &b, 0, &o, &value), NND_E_INVALID_ARGUMENT); /* no size */
    o.width = o.height = 16;
    assert_status(nnd_decode_ssd(&s, &wrong, 0, &o, &value), NND_E_SHAPE);
    assert_status(nnd_decode_ssd(&s, &b, 2, &o, &value), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_decode_ssd(&s, NULL, 0, &o, &value), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_decode_yolox(&b, strides, 1, &o, &value), NND_E_SHAPE);
    assert_status(nnd_decode_yolox(&wrong, strides, 1, &o, &value), NND_E_SHAPE);
    assert_status(nnd_decode_yolox(&b, zero, 1, &o, &value), NND_E_INVALID_ARGUMENT);
    b.dtype = NND_I32;
    assert_status(nnd_decode_ssd(&s, &b, 0, &o, &value), NND_E_TYPE);
    b = tensor3(4, 4, data);
    b.strides[1] = 8;
    assert_status(nnd_decode_ssd(&s, &b, 0, &o, &value), NND_E_SHAPE);
    o.score = NAN;
    b = tensor3(4, 4, data);
    assert_status(nnd_decode_ssd(&s, &b, 0, &o, &value), NND_E_INVALID_ARGUMENT);
    assert_null(value);
}

/* ---- suppression ---- */

static void test_iou(void **state)
{
    (void)state;
    const nnd_detection a = {.x1 = 0, .y1 = 0, .x2 = 10, .y2 = 10};
    const nnd_detection half = {.x1 = 5, .y1 = 0, .x2 = 15, .y2 = 10};
    const nnd_detection apart = {.x1 = 10, .y1 = 0, .x2 = 20, .y2 = 10};
    const nnd_detection line = {.x1 = 5, .y1 = 0, .x2 = 5, .y2 = 10};
    const nnd_detection turned = {.x1 = 10, .y1 = 10, .x2 = 0, .y2 = 0};
    assert_float_equal(nnd_box_iou(&a, &a), 1, 0);
    assert_float_equal(nnd_box_iou(&a, &half), 1.0 / 3, 1e-6);
    assert_float_equal(nnd_box_iou(&a, &apart), 0, 0);
    assert_float_equal(nnd_box_iou(&a, &line), 0, 0);
    assert_float_equal(nnd_box_iou(&line, &line), 0, 0);
    assert_float_equal(nnd_box_iou(&a, &turned), 0, 0);
    const nnd_detection bad = {.x1 = 0, .y1 = 0, .x2 = NAN, .y2 = 10};
    assert_float_equal(nnd_box_iou(&a, &bad), 0, 0);
    assert_float_equal(nnd_box_iou(&bad, &a), 0, 0);
}

static float random_unit(uint32_t *seed)
{
    return (float)(next_random(seed) % 10000) / 10000;
}

static nnd_value *random_detections(uint32_t *seed, size_t count)
{
    static const char *const labels[] = {"a", "b", "c"};
    nnd_value *value;
    assert_ok(nnd_value_new_detections(count, 2, labels, 3, &value));
    nnd_detections *d = nnd_value_edit(value);
    d->source_width = d->source_height = 100;
    for (size_t i = 0; i < count; i++) {
        nnd_detection *item = &d->items[i];
        item->x1 = random_unit(seed) * 80;
        item->y1 = random_unit(seed) * 80;
        item->x2 = item->x1 + random_unit(seed) * 30;
        item->y2 = item->y1 + random_unit(seed) * 30;
        item->score = floorf(random_unit(seed) * 20) / 20; /* many ties */
        item->class_id = item->label = (int32_t)(next_random(seed) % 3);
        item->track_id = (int64_t)i;
        d->points[2 * i] = (nnd_point){(float)i, 1, -1};
    }
    return value;
}

/* Marks what stays by the definition: the best that is left stays and removes what overlaps. */
static size_t oracle(const nnd_detections *d, float iou, bool class_aware, size_t *order)
{
    bool *gone = calloc(d->count + 1, 1);
    size_t kept = 0;
    for (;;) {
        size_t best = d->count;
        for (size_t i = 0; i < d->count; i++)
            if (!gone[i] && (best == d->count || d->items[i].score > d->items[best].score))
                best = i;
        if (best == d->count) break;
        order[kept++] = best;
        for (size_t i = 0; i < d->count; i++)
            if (i == best || ((!class_aware || d->items[i].class_id == d->items[best].class_id) &&
                              nnd_box_iou(&d->items[i], &d->items[best]) > iou))
                gone[i] = true;
    }
    free(gone);
    return kept;
}

static void test_nms_against_oracle(void **state)
{
    (void)state;
    uint32_t seed = 5;
    size_t order[120];
    for (int round = 0; round < 300; round++) {
        nnd_value *in = random_detections(&seed, next_random(&seed) % 120), *out;
        const nnd_detections *d = nnd_value_detections(in);
        const float iou = random_unit(&seed);
        const bool class_aware = round % 2;
        const size_t kept = oracle(d, iou, class_aware, order);
        const size_t most = round % 3 ? 0 : 5;
        nnd_isa isas[8];
        assert_ok(nnd_isa_force(nnd_isa_detected()));
        assert_ok(nnd_isa_force(isas[round / 6 % test_isas(isas)]));
        assert_ok(nnd_detections_nms(d, iou, class_aware, (int64_t)most, &out));
        const nnd_detections *got = nnd_value_detections(out);
        assert_int_equal(got->count, most && most < kept ? most : kept);
        for (size_t i = 0; i < got->count; i++) {
            assert_int_equal(got->items[i].track_id, order[i]);
            assert_float_equal(got->points[2 * i].x, (float)order[i], 0);
        }
        assert_int_equal(got->label_count, 3);
        nnd_value_unref(out);
        nnd_value_unref(in);
    }
    assert_ok(nnd_isa_force(nnd_isa_detected()));
}

static void test_nms_arguments(void **state)
{
    (void)state;
    uint32_t seed = 6;
    nnd_value *in = random_detections(&seed, 3), *out = NULL;
    nnd_detections *d = nnd_value_edit(in);
    assert_status(nnd_detections_nms(d, 1.5f, true, 0, &out), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_detections_nms(d, NAN, true, 0, &out), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_detections_nms(d, 0.5f, true, -1, &out), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_detections_nms(NULL, 0.5f, true, 0, &out), NND_E_INVALID_ARGUMENT);
    d->items[0].score = NAN; /* last, but kept */
    assert_ok(nnd_detections_nms(d, 1, true, 0, &out));
    assert_int_equal(nnd_value_detections(out)->items[2].track_id, 0);
    nnd_value_unref(out);
    for (size_t i = 0; i < 3; i++) {
        d->items[i] = d->items[0];
        d->items[i].y1 = NAN; /* overlaps nothing, not even its like */
    }
    assert_ok(nnd_detections_nms(d, 0, false, 0, &out));
    assert_int_equal(nnd_value_detections(out)->count, 3);
    nnd_value_unref(out);
    nnd_value_unref(in);
}

static nnd_status decode_and_suppress(const nnd_tensor *t)
{
    const int strides[] = {8};
    const char *labels[] = {"thing"};
    nnd_decode_boxes_options o = NND_DECODE_BOXES_OPTIONS_INIT;
    nnd_value *value, *best;
    o.width = 80;
    o.height = 80;
    o.labels = labels;
    o.label_count = 1;
    NND_TRY(nnd_decode_yolox(t, strides, 1, &o, &value));
    const nnd_status status = nnd_detections_nms(nnd_value_detections(value), 0.5f, true, 0, &best);
    nnd_value_unref(value);
    if (status == NND_OK) nnd_value_unref(best);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    float cells[100][6];
    for (int i = 0; i < 100; i++)
        memcpy(cells[i], (float[]){0.5f, 0.5f, 0, 0, 1, 1}, sizeof(cells[i]));
    nnd_tensor t = tensor3(100, 6, &cells[0][0]);
    long tries = 0;
    oom_begin();
    for (bool hit = true; hit; tries++) {
        oom_fail_after(tries);
        const nnd_status status = decode_and_suppress(&t);
        hit = oom_hit();
        oom_never();
        assert_int_equal(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), 0);
    }
    oom_end();
    assert_true(tries > 5);
}

/* ---- recorded outputs of real models ---- */

static char *read_file(const char *folder, const char *name, size_t *size)
{
    char path[1024], *data;
    snprintf(path, sizeof(path), "%s/%s/%s", test_data_dir(), folder, name);
    assert_int_equal(nnd_port_file_read(path, 64u << 20, &data, size), 0);
    return data;
}

/* Output `index` of a model as a tensor [1, rows, columns]; the memory is the caller's. */
static nnd_tensor read_output(const char *model, int index, int64_t columns)
{
    char folder[128], name[32];
    size_t size;
    snprintf(folder, sizeof(folder), "models/%s/ref", model);
    snprintf(name, sizeof(name), "out_%d.bin", index);
    float *data = (float *)(void *)read_file(folder, name, &size);
    assert_int_equal(size % (4 * (size_t)columns), 0);
    return tensor3((int64_t)(size / 4) / columns, columns, data);
}

/* The verified result of a model: its SOURCE.json. */
static nnd_json_doc *read_expected(const char *model)
{
    char folder[128];
    size_t size;
    nnd_json_doc *doc;
    snprintf(folder, sizeof(folder), "models/%s", model);
    char *text = read_file(folder, "SOURCE.json", &size);
    assert_ok(nnd_json_parse(text, size, "SOURCE.json", &doc));
    nnd_port_free(text);
    return doc;
}

static void picture_size(const char *name, int *width, int *height)
{
    size_t size;
    char *bytes = read_file("media", name, &size);
    nnd_image_file_info info = {.size = sizeof(info)};
    assert_ok(nnd_image_decode_info(bytes, size, &info));
    *width = info.width;
    *height = info.height;
    nnd_port_free(bytes);
}

/* Some detection overlaps the expected box by 0.9 and scores the same. */
static void check_found(const nnd_detections *d, const nnd_json *box, double score,
                        const char *label)
{
    nnd_detection wanted = {.x1 = (float)nnd_json_number(nnd_json_at(box, 0), -1),
                            .y1 = (float)nnd_json_number(nnd_json_at(box, 1), -1),
                            .x2 = (float)nnd_json_number(nnd_json_at(box, 2), -1),
                            .y2 = (float)nnd_json_number(nnd_json_at(box, 3), -1)};
    for (size_t i = 0; i < d->count; i++) {
        if (nnd_box_iou(&d->items[i], &wanted) < 0.9f || fabs(d->items[i].score - score) > 0.02)
            continue;
        if (label) assert_string_equal(d->labels[d->items[i].label], label);
        return;
    }
    fprintf(stderr, "no box at %g %g %g %g with score %g\n", (double)wanted.x1, (double)wanted.y1,
            (double)wanted.x2, (double)wanted.y2, score);
    fail();
}

/* Suppresses and compares with {"faces": count, "top": [[score, box], …]}. */
static void check_faces(nnd_value *decoded, const char *model)
{
    nnd_value *faces;
    assert_ok(nnd_detections_nms(nnd_value_detections(decoded), 0.3f, true, 0, &faces));
    const nnd_detections *d = nnd_value_detections(faces);
    nnd_json_doc *doc = read_expected(model);
    const nnd_json *result = nnd_json_get(nnd_json_root(doc), "verified_result");
    assert_float_equal((double)d->count, nnd_json_number(nnd_json_get(result, "faces"), -1), 0);
    const nnd_json *top = nnd_json_get(result, "top");
    assert_true(nnd_json_count(top) > 0);
    for (size_t i = 0; i < nnd_json_count(top); i++) {
        const nnd_json *item = nnd_json_at(top, i);
        check_found(d, nnd_json_at(item, 1), nnd_json_number(nnd_json_at(item, 0), -1), NULL);
    }
    nnd_json_destroy(doc);
    nnd_value_unref(faces);
}

static void test_ultraface(void **state)
{
    (void)state;
    skip_without_data();
    int width, height;
    picture_size("faces_1.jpg", &width, &height);
    nnd_geometry g = {{width / 320.0, 0, 0, 0, height / 240.0, 0}, width, height, 320, 240};
    nnd_decode_boxes_options o = NND_DECODE_BOXES_OPTIONS_INIT;
    nnd_tensor scores = read_output("ultraface_rfb320", 0, 2);
    nnd_tensor boxes = read_output("ultraface_rfb320", 1, 4);
    nnd_value *value;
    o.score = 0.7f;
    o.geometry = &g;
    assert_ok(nnd_decode_ssd(&scores, &boxes, 0, &o, &value));
    check_faces(value, "ultraface_rfb320");
    nnd_value_unref(value);
    nnd_port_free(scores.data);
    nnd_port_free(boxes.data);
}

/* Scaled by the smaller ratio, at the top left of a square. */
static nnd_geometry letterboxed(const char *picture, int side)
{
    int width, height;
    picture_size(picture, &width, &height);
    const double scale = (double)(width > height ? width : height) / side;
    return (nnd_geometry){{scale, 0, 0, 0, scale, 0}, width, height, side, side};
}

static void test_yunet(void **state)
{
    (void)state;
    skip_without_data();
    nnd_geometry g = letterboxed("faces_1.jpg", 320);
    nnd_tensor t[12];
    const nnd_tensor *views[12];
    static const int columns[] = {1, 1, 4, 10};
    for (int i = 0; i < 12; i++) {
        t[i] = read_output("yunet_n_320", i, columns[i / 3]);
        views[i] = &t[i];
    }
    const int strides[] = {8, 16, 32};
    nnd_decode_boxes_options o = NND_DECODE_BOXES_OPTIONS_INIT;
    nnd_value *value;
    o.score = 0.6f;
    o.geometry = &g;
    assert_ok(nnd_decode_yunet(views, views + 3, views + 6, views + 9, strides, 3, &o, &value));
    check_faces(value, "yunet_n_320");
    const nnd_detections *d = nnd_value_detections(value);
    assert_int_equal(d->points_per_item, 5);
    for (size_t i = 0; i < d->count; i++) { /* eyes above the mouth, inside of the face */
        const nnd_point *p = &d->points[5 * i];
        assert_true(p[0].y < p[3].y && p[1].y < p[4].y);
        assert_true(p[2].x > d->items[i].x1 - 2 && p[2].x < d->items[i].x2 + 2);
    }
    nnd_value_unref(value);
    views[4] = views[3]; /* the wrong stride's tensor */
    assert_status(nnd_decode_yunet(views, views + 3, views + 6, views + 9, strides, 3, &o, &value),
                  NND_E_SHAPE);
    for (int i = 0; i < 12; i++)
        nnd_port_free(t[i].data);
}

static void test_yolox(void **state)
{
    (void)state;
    skip_without_data();
    nnd_geometry g = letterboxed("dog.jpg", 416);
    nnd_tensor output = read_output("yolox_nano", 0, 85);
    size_t size, label_count;
    char *text = read_file("media/labels", "coco80.txt", &size), **labels;
    assert_ok(nnd_labels_parse(text, size, &labels, &label_count));
    assert_int_equal(label_count, 80);
    const int strides[] = {8, 16, 32};
    nnd_decode_boxes_options o = NND_DECODE_BOXES_OPTIONS_INIT;
    nnd_value *value, *best;
    o.score = 0.35f;
    o.geometry = &g;
    o.labels = (const char *const *)labels;
    o.label_count = label_count;
    assert_ok(nnd_decode_yolox(&output, strides, 3, &o, &value));
    assert_ok(nnd_detections_nms(nnd_value_detections(value), 0.45f, true, 0, &best));
    const nnd_detections *d = nnd_value_detections(best);
    nnd_json_doc *doc = read_expected("yolox_nano");
    const nnd_json *result = nnd_json_get(nnd_json_root(doc), "verified_result");
    assert_int_equal(d->count, nnd_json_count(result));
    for (size_t i = 0; i < d->count; i++) {
        const nnd_json *item = nnd_json_at(result, i);
        check_found(d, nnd_json_at(item, 2), nnd_json_number(nnd_json_at(item, 1), -1),
                    nnd_json_string(nnd_json_at(item, 0), ""));
    }
    nnd_json_destroy(doc);
    nnd_value_unref(best);
    nnd_value_unref(value);
    nnd_labels_free(labels, label_count);
    nnd_port_free(text);
    nnd_port_free(output.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ssd),           cmocka_unit_test(test_geometry_maps_boxes),
        cmocka_unit_test(test_yolox_cells),   cmocka_unit_test(test_wrong_tensors),
        cmocka_unit_test(test_iou),           cmocka_unit_test(test_nms_against_oracle),
        cmocka_unit_test(test_nms_arguments), cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_ultraface),     cmocka_unit_test(test_yunet),
        cmocka_unit_test(test_yolox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
