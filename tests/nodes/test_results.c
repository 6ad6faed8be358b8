/* Nodes that make results of tensors and boxes: decoding, choosing, drawing, lines of text. */
#include "nodes/nodes_support.h"

static char folder[512];

static int begin(void **state)
{
    (void)state;
    make_folder(folder, sizeof folder);
    put_text(path_in(folder, "labels.txt"), "zero\none\ntwo\n");
    return 0;
}

static int finish(void **state)
{
    (void)state;
    remove_folder(folder);
    return 0;
}

/* A node whose files are in the folder above. */
static nnd_status run_with_files(const char *type, const char *params, const nnd_value *given,
                                 nnd_value **outputs)
{
    bench b;
    nnd_io *io = io_below(folder);
    *outputs = NULL;
    bench_single(&b, io, type, params, given);
    nnd_status status = bench_run(&b, given, outputs);
    bench_end(&b);
    nnd_io_unref(io);
    return status;
}

/* Boxes "x1 y1 x2 y2 score class" of a picture of 100 × 80. */
static nnd_value *boxes_of(const float (*rows)[6], size_t count)
{
    static const char *const labels[] = {"cat", "dog"};
    nnd_value *value = NULL;
    assert_ok(nnd_value_new_detections(count, 1, labels, 2, &value));
    nnd_detections *d = nnd_value_edit(value);
    d->source_width = 100;
    d->source_height = 80;
    for (size_t i = 0; i < count; i++) {
        memcpy(&d->items[i].x1, rows[i], 4 * sizeof(float));
        d->items[i].score = rows[i][4];
        d->items[i].class_id = d->items[i].label = (int32_t)rows[i][5];
        d->points[i] = (nnd_point){rows[i][0], rows[i][1], 1};
    }
    return value;
}

static const nnd_detections *boxes_in(const nnd_value *outputs, const char *name)
{
    const nnd_detections *d = nnd_value_detections(nnd_value_record_get(outputs, name));
    assert_non_null(d);
    return d;
}

/* ---- choosing ----------------------------------------------------------------------------- */

static const float three_boxes[][6] = {
    {10, 10, 30, 30, 0.9f, 0}, {11, 11, 31, 31, 0.8f, 0}, {10, 10, 30, 31, 0.7f, 1}};

static void suppression_keeps_the_best(void **state)
{
    (void)state;
    static const struct {
        const char *params;
        size_t count;
        float last;
    } cases[] = {{NULL, 2, 0.7f},
                 {"class_aware=false", 1, 0.9f},
                 {"iou=1", 3, 0.7f},
                 {"iou=1;max=2", 2, 0.8f}};
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        nnd_value *in = record_of("detections", boxes_of(three_boxes, 3), NULL, NULL), *out = NULL;
        assert_ok(run_node("detect.nms", cases[i].params, in, &out));
        const nnd_detections *d = boxes_in(out, "detections");
        assert_int_equal(d->count, cases[i].count);
        assert_float_equal(d->items[d->count - 1].score, cases[i].last, 0);
        assert_int_equal(d->source_width, 100);
        nnd_value_unref(out);
        nnd_value_unref(in);
    }
}

static void the_filter_keeps_what_is_wanted(void **state)
{
    (void)state;
    static const float rows[][6] = {
        {0, 0, 5, 5, 0.9f, 0}, {10, 10, 40, 40, 0.5f, 1}, {20, 20, 60, 24, 0.6f, 0}};
    static const struct {
        const char *params;
        size_t count;
        float first;
    } cases[] = {{NULL, 3, 0},
                 {"score=0.5", 2, 0},
                 {"min_side=5", 2, 0},
                 {"min_side=5.5", 1, 10},
                 {"labels=['dog']", 1, 10},
                 {"labels=['dog','cat'];min_side=4;score=0.55", 2, 0},
                 {"labels=['bird']", 0, 0}};
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        nnd_value *in = record_of("detections", boxes_of(rows, 3), NULL, NULL), *out = NULL;
        assert_ok(run_node("detect.filter", cases[i].params, in, &out));
        const nnd_detections *d = boxes_in(out, "detections");
        assert_int_equal(d->count, cases[i].count);
        assert_int_equal(d->label_count, 2);
        for (size_t k = 0; k < d->count; k++) /* points go with their boxes */
            assert_float_equal(d->points[k].x, d->items[k].x1, 0);
        if (d->count) assert_float_equal(d->items[0].x1, cases[i].first, 0);
        nnd_value_unref(out);
        nnd_value_unref(in);
    }
}

static void fill_box(nnd_image *image, int x0, int y0, int x1, int y1)
{
    for (int y = y0; y < y1; y++)
        memset(image->data[0] + y * image->stride[0] + x0, 255, (size_t)(x1 - x0));
}

static void components_become_boxes(void **state)
{
    (void)state;
    nnd_value *picture = NULL, *out = NULL;
    assert_ok(nnd_value_new_image(NND_PIX_GRAY, NND_U8, 60, 50, &picture));
    nnd_image *image = nnd_value_edit(picture);
    for (int y = 0; y < 50; y++)
        memset(image->data[0] + y * image->stride[0], 0, 60);
    fill_box(image, 40, 5, 46, 16); /* the first by rows; full: fill 1 */
    fill_box(image, 5, 20, 13, 24); /* an L of 8 × 20, half filled */
    fill_box(image, 5, 24, 9, 40);
    fill_box(image, 30, 30, 32, 45);
    fill_box(image, 32, 45, 36, 48); /* touches by its corner */
    nnd_value *in = record_of("image", picture, NULL, NULL);
    assert_ok(run_node("detect.components", "max_fill=1;min_fill=0", in, &out));
    const nnd_detections *d = boxes_in(out, "detections");
    assert_int_equal(d->count, 3);
    assert_true(d->items[0].x1 == 40 && d->items[0].y1 == 5 && d->items[0].x2 == 46 &&
                d->items[0].y2 == 16 && d->items[0].score == 1);
    assert_true(d->items[1].x1 == 5 && d->items[1].y2 == 40);
    assert_float_equal(d->items[1].score, 0.6, 1e-6);
    assert_true(d->items[2].x1 == 30 && d->items[2].x2 == 36 && d->items[2].y2 == 48);
    nnd_value_unref(out);
    assert_ok(run_node("detect.components", NULL, in, &out)); /* full boxes are no characters */
    assert_int_equal(boxes_in(out, "detections")->count, 2);
    nnd_value_unref(out);
    assert_ok(run_node("detect.components", "connectivity='4';max_fill=1;min_width=2", in, &out));
    assert_int_equal(boxes_in(out, "detections")->count, 3); /* the foot alone is too low */
    nnd_value_unref(out);
    nnd_value_unref(in);
    in = record_of("image", test_picture(NND_PIX_RGB, 5, 5), NULL, NULL);
    assert_fails(run_node("detect.components", NULL, in, &out), NND_E_TYPE, "node");
    nnd_value_unref(in);
}

/* ---- decoding ----------------------------------------------------------------------------- */

static void ssd_boxes_are_decoded(void **state)
{
    (void)state;
    const float scores[6] = {0.1f, 0.9f, 0.8f, 0.2f, 0.3f, 0.75f};
    const float boxes[12] = {0.1f, 0.2f, 0.5f, 0.6f, 0, 0, 1, 1, 0.5f, 0.5f, 1.5f, 1};
    nnd_value *in = record_of("scores", f32_value(3, (int64_t[]){1, 3, 2}, scores), "boxes",
                              f32_value(3, (int64_t[]){1, 3, 4}, boxes)),
              *out = NULL;
    assert_ok(
        run_with_files("detect.decode_ssd", "width=100;height=50;labels='labels.txt'", in, &out));
    const nnd_detections *d = boxes_in(out, "detections");
    assert_int_equal(d->count, 2); /* above 0.7 */
    assert_float_equal(d->items[0].x1, 10, 1e-4);
    assert_float_equal(d->items[0].y2, 30, 1e-4);
    assert_string_equal(d->labels[d->items[0].label], "zero"); /* the background is not counted */
    assert_float_equal(d->items[1].x2, 100, 1e-4);             /* clipped */
    nnd_value_unref(out);
    assert_ok(run_node("detect.decode_ssd", "width=100;height=50;max_candidates=1", in, &out));
    assert_int_equal(boxes_in(out, "detections")->count, 1);
    nnd_value_unref(out);
    /* The geometry of the preprocessing leads to the picture. */
    nnd_geometry g = {{2, 0, 5, 0, 2, 7}, 300, 300, 100, 50};
    nnd_value *geometry = NULL;
    assert_ok(nnd_value_new_geometry(&g, &geometry));
    assert_ok(nnd_value_record_set(in, "geometry", geometry));
    nnd_value_unref(geometry);
    assert_ok(run_node("detect.decode_ssd", NULL, in, &out));
    d = boxes_in(out, "detections");
    assert_float_equal(d->items[0].x1, 25, 1e-4);
    assert_float_equal(d->items[0].y1, 27, 1e-4);
    assert_int_equal(d->source_width, 300);
    nnd_value_unref(out);
    nnd_value_unref(in);
    in = record_of("scores", f32_value(3, (int64_t[]){1, 3, 2}, scores), "boxes",
                   f32_value(2, (int64_t[]){3, 4}, boxes));
    assert_fails(run_node("detect.decode_ssd", "width=100;height=50", in, &out), NND_E_SHAPE,
                 "node");
    nnd_value_unref(in);
}

/* A model of 32 × 32: one cell at stride 32, four at 16, sixteen at 8. */
static void yolox_boxes_are_decoded(void **state)
{
    (void)state;
    float output[21][7] = {{0}};
    memcpy(output[20], (float[7]){0.5f, 0.25f, 0, 0, 0.8f, 0.1f, 0.9f}, sizeof output[20]);
    nnd_value *in = record_of("output", f32_value(3, (int64_t[]){1, 21, 7}, output[0]), NULL, NULL);
    nnd_value *out = NULL;
    assert_ok(run_node("detect.decode_yolox", "width=32;height=32", in, &out));
    const nnd_detections *d = boxes_in(out, "detections");
    assert_int_equal(d->count, 1);
    assert_int_equal(d->items[0].class_id, 1);
    assert_float_equal(d->items[0].score, 0.72, 1e-6);
    assert_float_equal(d->items[0].x1, 0, 1e-4); /* centre (16, 8), side 32, clipped */
    assert_float_equal(d->items[0].y2, 24, 1e-4);
    nnd_value_unref(out);
    assert_fails(run_node("detect.decode_yolox", "width=32;height=32;strides=[8]", in, &out),
                 NND_E_SHAPE, "node");
    assert_fails(
        run_node("detect.decode_yolox", "width=32;height=32;strides=[1,1,1,1,1,1,1,1,1]", in, &out),
        NND_E_SHAPE, "strides", "1 to 8");
    nnd_value_unref(in);
}

/* ---- classes ------------------------------------------------------------------------------ */

static void the_best_classes_are_named(void **state)
{
    (void)state;
    const float scores[3] = {1, 3, 2};
    nnd_value *in = record_of("scores", f32_value(2, (int64_t[]){1, 3}, scores), NULL, NULL);
    nnd_value *out = NULL;
    assert_ok(run_with_files("classify.top_k", "k=2;labels='labels.txt'", in, &out));
    const nnd_classes *c = nnd_value_classes(nnd_value_record_get(out, "classes"));
    assert_int_equal(c->count, 2);
    assert_string_equal(c->items[0].label, "one");
    assert_string_equal(c->items[1].label, "two");
    assert_float_equal(c->items[0].score, 0.66524, 1e-4);
    nnd_value_unref(out);
    assert_ok(run_node("classify.top_k", "softmax=false", in, &out));
    c = nnd_value_classes(nnd_value_record_get(out, "classes"));
    assert_int_equal(c->count, 3);
    assert_null(c->items[0].label);
    assert_float_equal(c->items[0].score, 3, 0);
    nnd_value_unref(out);
    nnd_value_unref(in);
    in = record_of("tensor", f32_value(2, (int64_t[]){1, 3}, scores), NULL, NULL);
    assert_ok(run_node("tensor.softmax", NULL, in, &out));
    const float *p = nnd_value_tensor(nnd_value_record_get(out, "tensor"))->data;
    assert_float_equal(p[0] + p[1] + p[2], 1, 1e-6);
    assert_float_equal(p[1], 0.66524, 1e-4);
    nnd_value_unref(out);
    nnd_value_unref(in);
}

/* ---- drawing ------------------------------------------------------------------------------ */

/* The packet's picture is drawn into when nobody else holds it, else it is copied first. */
static void drawing_copies_only_what_others_hold(void **state)
{
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        bench b;
        nnd_run *run = NULL;
        nnd_copy_stats before, after;
        bench_begin(&b, NULL);
        assert_ok(nnd_workflow_add_input(b.wf, "image", "image"));
        bench_node(&b, "small", "image.resize", "width=64;height=48");
        bench_node(&b, "first", "draw.text", "text='one';x=2;y=2");
        bench_node(&b, "second", "draw.text", "text='two';x=2;y=20");
        bench_link(&b, "@", "image", "small", "image");
        bench_link(&b, "small", "image", "first", "image");
        bench_link(&b, "first", "image", "second", "image");
        assert_ok(nnd_workflow_add_output(b.wf, "drawn", "second", "image"));
        if (shared) assert_ok(nnd_workflow_add_output(b.wf, "plain", "small", "image"));
        assert_ok(bench_compile(&b));
        assert_ok(nnd_run_create(b.plan, NULL, &run));
        nnd_value *picture = test_picture(NND_PIX_RGB, 128, 96), *drawn = NULL;
        nnd_copy_get_stats(&before);
        for (int i = 0; i < 5; i++) {
            assert_ok(nnd_run_push(run, "image", picture));
            assert_ok(nnd_run_pop(run, "drawn", &drawn));
            nnd_value_unref(drawn);
        }
        nnd_copy_get_stats(&after);
        assert_int_equal(after.copies - before.copies, shared ? 5 : 0);
        nnd_run_destroy(run);
        nnd_value_unref(picture);
        bench_end(&b);
    }
}

static void boxes_and_text_are_drawn(void **state)
{
    (void)state;
    nnd_value *in = record_of("image", test_picture(NND_PIX_RGB, 100, 80), "detections",
                              boxes_of(three_boxes, 3)),
              *out = NULL;
    assert_ok(run_node("draw.detections", "color='#FF0000';thickness=2", in, &out));
    const nnd_image *drawn = nnd_value_image(nnd_value_record_get(out, "image"));
    const uint8_t *edge = drawn->data[0] + 20 * drawn->stride[0] + 10 * 3;
    assert_true(edge[0] == 255 && edge[1] == 0 && edge[2] == 0);
    const nnd_image *plain = nnd_value_image(nnd_value_record_get(in, "image"));
    assert_false(same_image(drawn, plain)); /* what was given stays as it is */
    nnd_value_unref(out);
    const char *bad[] = {"color='red'", "color='#12345'", "color='#12345g'", "color='#+12345'"};
    for (size_t i = 0; i < NND_COUNT(bad); i++)
        assert_fails(run_node("draw.detections", bad[i], in, &out), NND_E_INVALID_ARGUMENT, "color",
                     "#RRGGBB");
    nnd_value_unref(in);
    /* The text port counts more than the parameter; lines of any length and language. */
    char *text = malloc(3001);
    memset(text, 'x', 3000);
    text[3000] = '\0';
    memcpy(text + 509, "本本\n", 7);
    in = record_of("image", test_picture(NND_PIX_RGB, 100, 80), "text", text_value(text));
    assert_ok(run_node("draw.text", "text='ignored';color='00FF00'", in, &out));
    nnd_value_unref(out);
    nnd_value_unref(in);
    free(text);
    in = record_of("image", test_picture(NND_PIX_RGB, 100, 80), NULL, NULL);
    assert_ok(run_node("draw.text", "text=''", in, &out));
    assert_true(same_image(nnd_value_image(nnd_value_record_get(out, "image")),
                           nnd_value_image(nnd_value_record_get(in, "image"))));
    nnd_value_unref(out);
    nnd_value_unref(in);
}

/* ---- lines of text ------------------------------------------------------------------------ */

static nnd_value *classes_of(const char *const *labels, size_t count, float score)
{
    nnd_value *items[16], *list = NULL;
    for (size_t i = 0; i < count; i++) {
        assert_ok(nnd_value_new_classes(1, &items[i]));
        assert_ok(nnd_value_set_class(items[i], 0, (int)i, score, labels[i]));
    }
    assert_ok(nnd_value_new_list(items, count, &list));
    for (size_t i = 0; i < count; i++)
        nnd_value_unref(items[i]);
    return list;
}

static void characters_become_lines(void **state)
{
    (void)state;
    static const float rows[][6] = {{60, 50, 70, 70, 1, 0}, {10, 10, 20, 30, 1, 0},
                                    {22, 12, 32, 32, 1, 0}, {60, 11, 70, 31, 1, 0},
                                    {34, 10, 44, 30, 1, 0}, {10, 50, 20, 70, 1, 0}};
    static const char *const labels[] = {"f", "a", "b", "c", "other", "d"};
    nnd_value *in =
        record_of("detections", boxes_of(rows, 6), "classes", classes_of(labels, 6, 0.9f));
    nnd_value *out = NULL;
    assert_ok(run_node("text.lines", NULL, in, &out));
    assert_string_equal(nnd_value_text(nnd_value_record_get(out, "text"))->text, "ab c\nd f\n");
    const nnd_detections *d = boxes_in(out, "detections");
    assert_int_equal(d->count, 5);
    for (size_t i = 0; i < d->count; i++)
        assert_string_not_equal(d->labels[d->items[i].label], "other");
    nnd_value_unref(out);
    assert_ok(run_node("text.lines", "word_gap=100;drop=[]", in, &out));
    assert_string_equal(nnd_value_text(nnd_value_record_get(out, "text"))->text, "abotherc\ndf\n");
    nnd_value_unref(out);
    assert_ok(run_node("text.lines", "score=0.95", in, &out));
    assert_string_equal(nnd_value_text(nnd_value_record_get(out, "text"))->text, "");
    nnd_value_unref(out);
    nnd_value_unref(in);
    in = record_of("detections", boxes_of(rows, 6), "classes", classes_of(labels, 5, 0.9f));
    assert_fails(run_node("text.lines", NULL, in, &out), NND_E_SHAPE, "6 boxes", "5");
    nnd_value_unref(in);
    in = record_of("detections", boxes_of(rows, 1), "classes",
                   classes_of((const char *const[]){NULL}, 1, 0.9f));
    assert_fails(run_node("text.lines", NULL, in, &out), NND_E_TYPE, "label");
    nnd_value_unref(in);
}

/* ---- constants ---------------------------------------------------------------------------- */

static void constants_stand_for_every_packet(void **state)
{
    (void)state;
    bench b;
    nnd_run *run = NULL;
    bench_begin(&b, NULL);
    assert_ok(nnd_workflow_add_input(b.wf, "image", "image"));
    bench_node(&b, "what", "const.text", "value='hi'");
    bench_node(&b, "size", "const.float", "value=12");
    bench_node(&b, "draw", "draw.text", NULL);
    bench_link(&b, "@", "image", "draw", "image");
    bench_link(&b, "what", "value", "draw", "text");
    assert_ok(nnd_workflow_connect_param(b.wf, "size", "value", "draw", "size"));
    assert_ok(nnd_workflow_add_output(b.wf, "image", "draw", "image"));
    nnd_status status = bench_compile(&b);
    print_diagnostics(b.diags);
    assert_ok(status);
    assert_ok(nnd_run_create(b.plan, NULL, &run));
    nnd_value *picture = test_picture(NND_PIX_RGB, 60, 40), *first = NULL, *next = NULL;
    for (int i = 0; i < 5; i++) {
        assert_ok(nnd_run_push(run, "image", picture));
        assert_ok(nnd_run_pop(run, "image", i ? &next : &first));
        if (i) assert_true(same_image(nnd_value_image(first), nnd_value_image(next)));
        nnd_value_unref(next);
        next = NULL;
    }
    assert_false(same_image(nnd_value_image(first), nnd_value_image(picture)));
    nnd_value_unref(first);
    nnd_value_unref(picture);
    nnd_run_destroy(run);
    bench_end(&b);
}

static void constants_have_their_types(void **state)
{
    (void)state;
    nnd_value *out = NULL;
    int64_t i = 0;
    double f = 0;
    bool yes = false;
    assert_ok(run_node("const.int", "value=-9007199254740991", NULL, &out));
    assert_true(nnd_value_as_int(nnd_value_record_get(out, "value"), &i) && i == -9007199254740991);
    nnd_value_unref(out);
    assert_ok(run_node("const.float", "value=0.1", NULL, &out));
    assert_true(nnd_value_as_float(nnd_value_record_get(out, "value"), &f) && f == 0.1);
    nnd_value_unref(out);
    assert_ok(run_node("const.bool", "value=true", NULL, &out));
    assert_true(nnd_value_as_bool(nnd_value_record_get(out, "value"), &yes) && yes);
    nnd_value_unref(out);
    assert_ok(run_node("const.tensor", "value=[[1,2,3],[4,5,6]]", NULL, &out));
    const nnd_tensor *t = nnd_value_tensor(nnd_value_record_get(out, "value"));
    assert_true(t->rank == 2 && t->dims[0] == 2 && t->dims[1] == 3 && t->dtype == NND_F32);
    nnd_value_unref(out);
    assert_fails(run_node("const.tensor", "value=[[1,2],[3]]", NULL, &out), NND_E_SHAPE, "node");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suppression_keeps_the_best),
        cmocka_unit_test(the_filter_keeps_what_is_wanted),
        cmocka_unit_test(components_become_boxes),
        cmocka_unit_test(ssd_boxes_are_decoded),
        cmocka_unit_test(yolox_boxes_are_decoded),
        cmocka_unit_test(the_best_classes_are_named),
        cmocka_unit_test(drawing_copies_only_what_others_hold),
        cmocka_unit_test(boxes_and_text_are_drawn),
        cmocka_unit_test(characters_become_lines),
        cmocka_unit_test(constants_stand_for_every_packet),
        cmocka_unit_test(constants_have_their_types),
    };
    return cmocka_run_group_tests(tests, begin, finish);
}
