/* Nodes of pictures against direct calls of the operators, and how they refuse what they cannot do.
 */
#include "nodes/nodes_support.h"

#include <math.h>

/* ---- the same as the operator ------------------------------------------------------------- */

typedef nnd_status (*direct_fn)(nnd_image *dst, const nnd_image *src);

static nnd_status direct_resize(nnd_image *dst, const nnd_image *src)
{
    return nnd_image_resize(dst, src, NULL);
}

static nnd_status direct_bicubic(nnd_image *dst, const nnd_image *src)
{
    nnd_resize_options o = NND_RESIZE_OPTIONS_INIT;
    o.filter = NND_FILTER_BICUBIC;
    o.antialias = true;
    return nnd_image_resize(dst, src, &o);
}

static nnd_status direct_letterbox(nnd_image *dst, const nnd_image *src)
{
    nnd_letterbox_options o = NND_LETTERBOX_OPTIONS_INIT;
    o.value[0] = 10, o.value[1] = 20, o.value[2] = 30;
    return nnd_image_letterbox(dst, src, &o, NULL);
}

static nnd_status direct_cover(nnd_image *dst, const nnd_image *src)
{
    nnd_letterbox_options o = NND_LETTERBOX_OPTIONS_INIT;
    o.fit = NND_FIT_COVER;
    o.align = NND_ALIGN_TOP_LEFT;
    o.filter = NND_FILTER_NEAREST;
    return nnd_image_letterbox(dst, src, &o, NULL);
}

static nnd_status direct_crop(nnd_image *dst, const nnd_image *src)
{
    return nnd_image_crop(dst, src, (nnd_rect){3, 2, 10, 7}, NULL);
}

static nnd_status direct_pad(nnd_image *dst, const nnd_image *src)
{
    return nnd_image_pad(dst, src, 1, 2, NND_BORDER_REFLECT, NULL);
}

static nnd_status direct_pad_color(nnd_image *dst, const nnd_image *src)
{
    return nnd_image_pad(dst, src, 1, 2, NND_BORDER_CONSTANT, (double[4]){1, 2, 3, 0});
}

static nnd_status direct_flip(nnd_image *dst, const nnd_image *src)
{
    return nnd_image_flip(dst, src, NND_FLIP_BOTH);
}

static nnd_status direct_rotate(nnd_image *dst, const nnd_image *src)
{
    return nnd_image_rotate(dst, src, 270);
}

static nnd_status direct_convert(nnd_image *dst, const nnd_image *src)
{
    return nnd_image_convert(dst, src, NULL);
}

static nnd_status direct_blur(nnd_image *dst, const nnd_image *src)
{
    nnd_blur_options o = NND_BLUR_OPTIONS_INIT;
    o.kind = NND_BLUR_BOX;
    o.kernel_width = o.kernel_height = 5; /* 4 counts as 5 */
    return nnd_image_blur(dst, src, &o);
}

static nnd_status direct_normalise(nnd_image *dst, const nnd_image *src)
{
    return nnd_image_normalise(dst, src, 0.5, (double[4]){1, 2, 3, 0}, (double[4]){4, 4, 4, 4});
}

static nnd_status direct_affine(nnd_image *dst, const nnd_image *src)
{
    nnd_warp_options o = NND_WARP_OPTIONS_INIT;
    o.border = NND_BORDER_REPLICATE;
    return nnd_image_warp_affine(dst, src, (double[6]){0.9, 0.1, 1, -0.1, 0.9, 2}, &o, NULL);
}

static nnd_status direct_perspective(nnd_image *dst, const nnd_image *src)
{
    const double from[8] = {1, 1, 18, 2, 17, 12, 2, 11};
    const double to[8] = {0, 0, 12, 0, 12, 8, 0, 8};
    double m[9];
    NND_TRY(nnd_perspective_from_points(from, to, m));
    return nnd_image_warp_perspective(dst, src, m, NULL);
}

static nnd_status direct_otsu(nnd_image *dst, const nnd_image *src)
{
    nnd_threshold_options o = NND_THRESHOLD_OPTIONS_INIT;
    nnd_value *gray = NULL;
    o.kind = NND_THRESHOLD_OTSU;
    NND_TRY(nnd_value_new_image(NND_PIX_GRAY, NND_U8, src->width, src->height, &gray));
    nnd_status status = nnd_image_convert(nnd_value_edit(gray), src, NULL);
    if (status == NND_OK) status = nnd_image_threshold(dst, nnd_value_image(gray), &o, NULL);
    nnd_value_unref(gray);
    return status;
}

static const struct {
    const char *type, *params;
    direct_fn direct;
    nnd_pixel_format format;
    nnd_dtype dtype;
    int width, height;
} operators[] = {
    {"image.resize", "width=11;height=8", direct_resize, NND_PIX_RGB, NND_U8, 11, 8},
    {"image.resize", "width=40", direct_resize, NND_PIX_RGB, NND_U8, 40, 28},
    {"image.resize", "height=7", direct_resize, NND_PIX_RGB, NND_U8, 10, 7},
    {"image.resize", "scale=1.5", direct_resize, NND_PIX_RGB, NND_U8, 30, 21},
    {"image.resize", "width=5;height=5;filter='bicubic';antialias=true", direct_bicubic,
     NND_PIX_RGB, NND_U8, 5, 5},
    {"image.letterbox", "width=32;height=32;color=[10,20,30]", direct_letterbox, NND_PIX_RGB,
     NND_U8, 32, 32},
    {"image.letterbox", "width=9;height=30;fit='cover';align='top-left';filter='nearest'",
     direct_cover, NND_PIX_RGB, NND_U8, 9, 30},
    {"image.crop", "x=3;y=2;width=10;height=7", direct_crop, NND_PIX_RGB, NND_U8, 10, 7},
    {"image.pad", "left=1;top=2;right=3;bottom=4;border='reflect'", direct_pad, NND_PIX_RGB, NND_U8,
     24, 20},
    {"image.pad", "left=1;top=2;color=[1,2,3]", direct_pad_color, NND_PIX_RGB, NND_U8, 21, 16},
    {"image.flip", "axis='both'", direct_flip, NND_PIX_RGB, NND_U8, 20, 14},
    {"image.rotate", "degrees='270'", direct_rotate, NND_PIX_RGB, NND_U8, 14, 20},
    {"image.convert", "format='bgra'", direct_convert, NND_PIX_BGRA, NND_U8, 20, 14},
    {"image.convert", "format='gray';dtype='u16'", direct_convert, NND_PIX_GRAY, NND_U16, 20, 14},
    {"image.convert", "format='rgb';dtype='f32'", direct_convert, NND_PIX_RGB, NND_F32, 20, 14},
    {"image.blur", "kind='box';size=4", direct_blur, NND_PIX_RGB, NND_U8, 20, 14},
    {"image.normalise", "scale=0.5;mean=[1,2,3];std=4", direct_normalise, NND_PIX_RGB, NND_F32, 20,
     14},
    {"image.warp_affine", "matrix=[0.9,0.1,1,-0.1,0.9,2];border='replicate'", direct_affine,
     NND_PIX_RGB, NND_U8, 20, 14},
    {"image.warp_perspective", "corners=[1,1,18,2,17,12,2,11];width=12;height=8",
     direct_perspective, NND_PIX_RGB, NND_U8, 12, 8},
    {"image.threshold", "kind='otsu';foreground='light'", direct_otsu, NND_PIX_GRAY, NND_U8, 20,
     14},
};

static void nodes_do_what_their_operators_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < NND_COUNT(operators); i++) {
        nnd_value *in = record_of("image", test_picture(NND_PIX_RGB, 20, 14), NULL, NULL);
        nnd_value *out = NULL, *wanted = NULL;
        assert_ok(run_node(operators[i].type, operators[i].params, in, &out));
        assert_ok(nnd_value_new_image(operators[i].format, operators[i].dtype, operators[i].width,
                                      operators[i].height, &wanted));
        assert_ok(operators[i].direct(nnd_value_edit(wanted),
                                      nnd_value_image(nnd_value_record_get(in, "image"))));
        if (!same_image(nnd_value_image(nnd_value_record_get(out, "image")),
                        nnd_value_image(wanted)))
            fail_msg("%s %s differs from its operator", operators[i].type, operators[i].params);
        nnd_value_unref(wanted);
        nnd_value_unref(out);
        nnd_value_unref(in);
    }
}

/* ---- thresholds --------------------------------------------------------------------------- */

/* By the rule as it is written, with integers. */
static bool is_ink(const nnd_image *g, int x, int y, int window, int offset, bool dark)
{
    int r = window / 2;
    int64_t sum = 0, count = 0;
    for (int v = y - r; v <= y + r; v++)
        for (int u = x - r; u <= x + r; u++) {
            if (u < 0 || v < 0 || u >= g->width || v >= g->height) continue;
            sum += g->data[0][v * g->stride[0] + u];
            count++;
        }
    int level = g->data[0][y * g->stride[0] + x];
    return dark ? (level + offset) * count <= sum : (level - offset) * count >= sum;
}

static void the_local_threshold_follows_its_rule(void **state)
{
    (void)state;
    for (int dark = 0; dark < 2; dark++) {
        for (int window = 3; window <= 61; window += 29) {
            char params[128];
            nnd_value *in = record_of("image", test_picture(NND_PIX_GRAY, 37, 23), NULL, NULL);
            nnd_value *out = NULL;
            snprintf(params, sizeof params, "kind='adaptive';window=%d;offset=18;foreground='%s'",
                     window, dark ? "dark" : "light");
            assert_ok(run_node("image.threshold", params, in, &out));
            const nnd_image *g = nnd_value_image(nnd_value_record_get(in, "image"));
            const nnd_image *ink = nnd_value_image(nnd_value_record_get(out, "image"));
            for (int y = 0; y < g->height; y++)
                for (int x = 0; x < g->width; x++)
                    assert_int_equal(ink->data[0][y * ink->stride[0] + x] == 255,
                                     is_ink(g, x, y, window, 18, dark));
            nnd_value_unref(out);
            nnd_value_unref(in);
        }
    }
}

/* ---- tensors ------------------------------------------------------------------------------ */

static void pictures_become_tensors_and_come_back(void **state)
{
    (void)state;
    static const char *const layouts[] = {"nchw", "nhwc"};
    for (int i = 0; i < 2; i++) {
        char params[256];
        nnd_value *in = record_of("image", test_picture(NND_PIX_RGB, 20, 14), NULL, NULL);
        nnd_value *out = NULL, *wanted = NULL, *back = NULL;
        const char *numbers = "order='bgr';scale=0.0078125;mean=[0.1,0.2,0.3];std=[2,3,4]";
        snprintf(params, sizeof params, "%s;layout='%s'", numbers, layouts[i]);
        assert_ok(run_node("image.to_tensor", params, in, &out));
        const nnd_tensor *t = nnd_value_tensor(nnd_value_record_get(out, "tensor"));
        nnd_to_tensor_options o = NND_TO_TENSOR_OPTIONS_INIT;
        o.order = NND_PIX_BGR;
        o.scale = 0.0078125;
        memcpy(o.mean, (double[]){0.1, 0.2, 0.3}, 3 * sizeof(double));
        memcpy(o.std, (double[]){2, 3, 4}, 3 * sizeof(double));
        assert_ok(nnd_value_new_tensor(NND_F32, 4, t->dims, &wanted));
        nnd_tensor *w = nnd_value_edit(wanted);
        w->layout = i ? NND_LAYOUT_NHWC : NND_LAYOUT_NCHW;
        assert_int_equal(t->layout, w->layout);
        assert_int_equal(t->dims[i ? 3 : 1], 3);
        assert_int_equal(t->dims[i ? 1 : 2], 14);
        assert_ok(
            nnd_image_to_tensor(w, nnd_value_image(nnd_value_record_get(in, "image")), &o, NULL));
        assert_memory_equal(t->data, w->data, nnd_tensor_bytes(t));
        nnd_value *given =
            record_of("tensor", nnd_value_ref(nnd_value_record_get(out, "tensor")), NULL, NULL);
        assert_ok(run_node("image.from_tensor", params, given, &back));
        assert_true(same_image(nnd_value_image(nnd_value_record_get(back, "image")),
                               nnd_value_image(nnd_value_record_get(in, "image"))));
        nnd_value_unref(given);
        nnd_value_unref(back);
        nnd_value_unref(wanted);
        nnd_value_unref(out);
        nnd_value_unref(in);
    }
}

/* ---- geometry ----------------------------------------------------------------------------- */

static void geometry_tells_where_a_result_lies(void **state)
{
    (void)state;
    static const struct {
        const char *type, *params;
        double x, y, sx, sy; /* a point of the result and where it lies in the picture */
    } cases[] = {
        {"image.crop", "x=3;y=2;width=10;height=7", 1, 1, 4, 3},
        {"image.letterbox", "width=40;height=40", 20, 20, 10, 7},
        {"image.letterbox", "width=40;height=40", 0, 6, 0, 0},
        {"image.warp_affine", "matrix=[1,0,5,0,1,-2]", 5, 0, 0, 2},
        {"image.to_tensor", "width=40;height=28", 40, 28, 20, 14},
    };
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        nnd_value *in = record_of("image", test_picture(NND_PIX_RGB, 20, 14), NULL, NULL);
        nnd_value *out = NULL;
        double x, y;
        assert_ok(run_node(cases[i].type, cases[i].params, in, &out));
        const nnd_geometry *g = nnd_value_geometry(nnd_value_record_get(out, "geometry"));
        assert_true(g->source_width == 20 && g->source_height == 14);
        nnd_geometry_to_source(g, cases[i].x, cases[i].y, &x, &y);
        assert_float_equal(x, cases[i].sx, 1e-9);
        assert_float_equal(y, cases[i].sy, 1e-9);
        nnd_value_unref(out);
        nnd_value_unref(in);
    }
}

/* A crop that is letterboxed: the two geometries together lead back to the picture. */
static void geometries_compose(void **state)
{
    (void)state;
    bench b;
    nnd_value *in = record_of("image", test_picture(NND_PIX_RGB, 20, 14), NULL, NULL), *out = NULL;
    bench_begin(&b, NULL);
    assert_ok(nnd_workflow_add_input(b.wf, "image", "image"));
    bench_node(&b, "cut", "image.crop", "x=4;y=2;width=8;height=8");
    bench_node(&b, "fit", "image.letterbox", "width=32;height=16");
    bench_link(&b, "@", "image", "cut", "image");
    bench_link(&b, "cut", "image", "fit", "image");
    assert_ok(nnd_workflow_add_output(b.wf, "cut", "cut", "geometry"));
    assert_ok(nnd_workflow_add_output(b.wf, "fit", "fit", "geometry"));
    assert_ok(bench_run(&b, in, &out));
    nnd_geometry whole;
    double x, y;
    nnd_geometry_compose(&whole, nnd_value_geometry(nnd_value_record_get(out, "fit")),
                         nnd_value_geometry(nnd_value_record_get(out, "cut")));
    nnd_geometry_to_source(&whole, 16, 8, &x, &y); /* the middle of both */
    assert_float_equal(x, 8, 1e-9);
    assert_float_equal(y, 6, 1e-9);
    bench_end(&b);
    nnd_value_unref(out);
    nnd_value_unref(in);
}

/* ---- crops of boxes ----------------------------------------------------------------------- */

/* Section 5 of tools/train/digits/README.md, one cell. */
static double cell(const nnd_image *g, const nnd_detection *d, int i, int j)
{
    double side = 1.25 * fmax(d->x2 - d->x1, d->y2 - d->y1), sum = 0;
    double left = (d->x1 + d->x2 - side) / 2, top = (d->y1 + d->y2 - side) / 2;
    int n = (int)fmax(1, ceil(side / 32));
    for (int b = 0; b < n; b++)
        for (int a = 0; a < n; a++) {
            double x = left + (i * n + a + 0.5) * side / (32 * n) - 0.5;
            double y = top + (j * n + b + 0.5) * side / (32 * n) - 0.5;
            x = fmin(fmax(x, 0), g->width - 1);
            y = fmin(fmax(y, 0), g->height - 1);
            int xl = (int)x, yl = (int)y;
            int xh = xl + 1 < g->width ? xl + 1 : xl, yh = yl + 1 < g->height ? yl + 1 : yl;
            double f = x - xl, h = y - yl;
            const uint8_t *p = g->data[0] + yl * g->stride[0], *q = g->data[0] + yh * g->stride[0];
            sum += (1 - h) * ((1 - f) * p[xl] + f * p[xh]) + h * ((1 - f) * q[xl] + f * q[xh]);
        }
    return sum / (n * n);
}

static void crops_follow_the_specification(void **state)
{
    (void)state;
    static const float boxes[][4] = {
        {10, 10, 20, 30}, {0, 0, 90, 60}, {70, 40, 79, 59}, {30, 30, 30, 30}};
    nnd_value *picture = test_picture(NND_PIX_GRAY, 90, 60), *detections = NULL, *out = NULL;
    assert_ok(nnd_value_new_detections(NND_COUNT(boxes), 0, NULL, 0, &detections));
    nnd_detections *d = nnd_value_edit(detections);
    for (size_t i = 0; i < NND_COUNT(boxes); i++)
        memcpy(&d->items[i].x1, boxes[i], sizeof boxes[i]);
    nnd_value *in = record_of("image", picture, "detections", detections);
    assert_ok(run_node("image.crop_boxes", "width=32;height=32;scale=1.25;square=true", in, &out));
    const nnd_value *crops = nnd_value_record_get(out, "crops");
    const nnd_image *g = nnd_value_image(picture);
    assert_int_equal(nnd_value_list_count(crops), NND_COUNT(boxes));
    for (size_t i = 0; i < NND_COUNT(boxes); i++) {
        const nnd_image *crop = nnd_value_image(nnd_value_list_at(crops, i));
        assert_true(crop->width == 32 && crop->height == 32);
        if (i == 3) continue; /* a box without area gives its pixel */
        for (int y = 0; y < 32; y++)
            for (int x = 0; x < 32; x++)
                assert_float_equal(crop->data[0][y * crop->stride[0] + x],
                                   cell(g, &d->items[i], x, y), 1.01); /* rounded twice */
    }
    nnd_value_unref(out);
    d->items[1].x2 = NAN;
    assert_fails(run_node("image.crop_boxes", NULL, in, &out), NND_E_SHAPE, "box 1");
    nnd_value_unref(in);
    assert_ok(nnd_value_new_detections(0, 0, NULL, 0, &detections));
    in = record_of("image", test_picture(NND_PIX_RGB, 5, 5), "detections", detections);
    assert_ok(run_node("image.crop_boxes", NULL, in, &out));
    assert_int_equal(nnd_value_list_count(nnd_value_record_get(out, "crops")), 0);
    nnd_value_unref(out);
    nnd_value_unref(in);
}

/* ---- codecs ------------------------------------------------------------------------------- */

static void pictures_are_encoded_and_decoded(void **state)
{
    (void)state;
    static const char *const codecs[] = {"png", "bmp", "jpeg"};
    for (size_t i = 0; i < NND_COUNT(codecs); i++) {
        char params[64];
        nnd_value *in = record_of("image", test_picture(NND_PIX_RGB, 20, 14), NULL, NULL);
        nnd_value *out = NULL, *back = NULL;
        snprintf(params, sizeof params, "codec='%s'", codecs[i]);
        assert_ok(run_node("image.encode", params, in, &out));
        nnd_value *given =
            record_of("bytes", nnd_value_ref(nnd_value_record_get(out, "bytes")), NULL, NULL);
        assert_ok(run_node("image.decode", NULL, given, &back));
        const nnd_image *image = nnd_value_image(nnd_value_record_get(back, "image"));
        assert_int_equal(image->width, 20);
        if (i < 2)
            assert_true(same_image(image, nnd_value_image(nnd_value_record_get(in, "image"))));
        nnd_value_unref(given);
        nnd_value_unref(back);
        nnd_value_unref(out);
        nnd_value_unref(in);
    }
    nnd_value *junk = NULL, *out = NULL;
    assert_ok(nnd_value_new_bytes("no picture", 10, &junk));
    nnd_value *in = record_of("bytes", junk, NULL, NULL);
    assert_status(run_node("image.decode", NULL, in, &out), NND_E_FORMAT);
    nnd_value_unref(in);
}

/* ---- what is refused ---------------------------------------------------------------------- */

static void parameters_have_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *type, *params, *name;
    } cases[] = {
        {"image.resize", "width=65536", "width"},
        {"image.resize", "scale=0", "scale"},
        {"image.resize", "filter='sharp'", "filter"},
        {"image.resize", "widht=3", "widht"},
        {"image.letterbox", "width=0", "width"},
        {"image.letterbox", "color=[-1]", "color"},
        {"image.crop", "x=-1", "x"},
        {"image.pad", "border='wrap'", "border"},
        {"image.flip", "axis=3", "axis"},
        {"image.rotate", "degrees='45'", "degrees"},
        {"image.convert", "format='cmyk'", "format"},
        {"image.blur", "size=256", "size"},
        {"image.threshold", "window=257", "window"},
        {"image.crop_boxes", "width=0", "width"},
        {"image.crop_boxes", "scale=0", "scale"},
        {"image.to_tensor", "pad=[300]", "pad"},
        {"image.to_tensor", "dtype='f64'", "dtype"},
        {"image.encode", "quality=0", "quality"},
        {"detect.nms", "iou=1.5", "iou"},
        {"detect.components", "min_width=0", "min_width"},
        {"detect.decode_yolox", "strides=[0]", "strides"},
        {"classify.top_k", "k=0", "k"},
        {"draw.text", "size=1", "size"},
        {"text.lines", "line_ratio=0.5", "line_ratio"},
        {"io.write_image", "path='x.png';quality=101", "quality"},
    };
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        bench b;
        bench_single(&b, NULL, cases[i].type, cases[i].params, NULL);
        bench_refuses(&b, NND_E_VALIDATION, (const char *const[]){"'node'", cases[i].name, NULL});
        bench_end(&b);
    }
}

static void what_does_not_fit_the_picture_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *type, *params;
        nnd_status status;
        const char *word;
    } cases[] = {
        {"image.crop", "x=15;width=10", NND_E_SHAPE, "outside"},
        {"image.crop", "x=60", NND_E_SHAPE, "outside"},
        {"image.pad", "left=65535", NND_E_LIMIT, "65535"},
        {"image.letterbox", "color=[1,2]", NND_E_SHAPE, "color"},
        {"image.pad", "color=[1,2,3,4]", NND_E_SHAPE, "1 or 3"},
        {"image.normalise", "std=0", NND_E_INVALID_ARGUMENT, "std"},
        {"image.normalise", "mean=[1,2]", NND_E_SHAPE, "mean"},
        {"image.warp_affine", "matrix=[1,2,3]", NND_E_SHAPE, "matrix"},
        {"image.warp_affine", "matrix=[0,0,0,0,0,0]", NND_E_SHAPE, ""},
        {"image.warp_perspective", "corners=[0,0,1,1,2,2,3,3]", NND_E_SHAPE, ""},
        {"image.to_tensor", "std=[1,0,1]", NND_E_INVALID_ARGUMENT, "std"},
    };
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        nnd_value *in = record_of("image", test_picture(NND_PIX_RGB, 20, 14), NULL, NULL);
        nnd_value *out = NULL;
        assert_fails(run_node(cases[i].type, cases[i].params, in, &out), cases[i].status,
                     cases[i].word, "node");
        assert_null(out);
        nnd_value_unref(in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_do_what_their_operators_do),
        cmocka_unit_test(the_local_threshold_follows_its_rule),
        cmocka_unit_test(pictures_become_tensors_and_come_back),
        cmocka_unit_test(geometry_tells_where_a_result_lies),
        cmocka_unit_test(geometries_compose),
        cmocka_unit_test(crops_follow_the_specification),
        cmocka_unit_test(pictures_are_encoded_and_decoded),
        cmocka_unit_test(parameters_have_bounds),
        cmocka_unit_test(what_does_not_fit_the_picture_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
