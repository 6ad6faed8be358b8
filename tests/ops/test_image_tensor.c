/*
 * The fused preprocessing: it must give exactly what conversion, letterboxing and normalising give
 * one after the other, in every format, layout, instruction set and number of threads; and the way
 * back.
 */
#include <math.h>

#include "data/float_bits.h"
#include "ops_support.h"

#define MAX_ELEMENTS (4 * 80 * 80)

static const nnd_pixel_format all_formats[] = {NND_PIX_RGB,  NND_PIX_BGR,  NND_PIX_GRAY,
                                               NND_PIX_RGBA, NND_PIX_BGRA, NND_PIX_NV12,
                                               NND_PIX_I420, NND_PIX_YUYV};
static const nnd_pixel_format orders[] = {NND_PIX_RGB, NND_PIX_BGR, NND_PIX_GRAY, NND_PIX_RGBA};

typedef struct setting {
    nnd_to_tensor_options options;
    nnd_layout layout;
    nnd_dtype dtype;
    int width, height;
} setting;

static setting default_setting(int width, int height)
{
    setting s = {NND_TO_TENSOR_OPTIONS_INIT, NND_LAYOUT_NCHW, NND_F32, width, height};
    const double mean[4] = {0.485, 0.456, 0.406, 0.5}, std[4] = {0.229, 0.224, 0.225, 0.25};
    memcpy(s.options.mean, mean, sizeof(mean));
    memcpy(s.options.std, std, sizeof(std));
    s.options.pad[0] = 114, s.options.pad[1] = 7, s.options.pad[2] = 201, s.options.pad[3] = 255;
    return s;
}

static nnd_tensor tensor_of(const setting *s, void *data)
{
    const int64_t c = nnd_pixel_format_channels(s->options.order), h = s->height, w = s->width;
    const int64_t nchw[4] = {1, c, h, w}, nhwc[4] = {1, h, w, c};
    nnd_tensor t;
    assert_ok(nnd_tensor_init(&t, s->dtype, 4, s->layout == NND_LAYOUT_NHWC ? nhwc : nchw, data));
    t.layout = s->layout;
    return t;
}

/* What the operators give one after the other, as f32 in the tensor's layout. */
static void chain(float *out, const nnd_image *src, const setting *s)
{
    const nnd_pixel_format order = s->options.order;
    const int c = nnd_pixel_format_channels(order), w = s->width, h = s->height;
    test_image colour = test_image_new(order, NND_U8, src->width, src->height, 0);
    test_image fitted = test_image_new(order, NND_U8, w, h, 1);
    nnd_letterbox_options letterbox = NND_LETTERBOX_OPTIONS_INIT;
    letterbox.fit = s->options.fit;
    letterbox.align = s->options.align;
    letterbox.filter = s->options.filter;
    letterbox.antialias = s->options.antialias;
    memcpy(letterbox.value, s->options.pad, sizeof(letterbox.value));
    assert_ok(nnd_image_convert(&colour.view, src, NULL));
    nnd_image part = colour.view;
    if (s->options.roi.width) {
        part.data[0] += s->options.roi.y * part.stride[0] + s->options.roi.x * c;
        part.width = s->options.roi.width;
        part.height = s->options.roi.height;
    }
    assert_ok(nnd_image_letterbox(&fitted.view, &part, &letterbox, NULL));
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            for (int k = 0; k < c; k++) {
                const float mul = (float)(s->options.scale / s->options.std[k]);
                const float add = (float)(-s->options.mean[k] / s->options.std[k]);
                const float value =
                    (float)fitted.view.data[0][y * fitted.view.stride[0] + x * c + k] * mul + add;
                out[s->layout == NND_LAYOUT_NHWC ? (y * w + x) * c + k : (k * h + y) * w + x] =
                    value;
            }
    test_image_free(&colour);
    test_image_free(&fitted);
}

/* One element as f32, and what the expected f32 becomes in that dtype. */
static float element(const nnd_tensor *t, int i)
{
    if (t->dtype == NND_F32) return ((const float *)t->data)[i];
    if (t->dtype == NND_F16) return nnd_f16_to_f32(((const uint16_t *)t->data)[i]);
    return ((const uint8_t *)t->data)[i];
}

static float expected_as(nnd_dtype dtype, float v)
{
    if (dtype == NND_F32) return v;
    if (dtype == NND_F16) return nnd_f16_to_f32(nnd_f32_to_f16(v));
    return rintf(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void check(const nnd_image *src, const setting *s, const char *what)
{
    static float want[MAX_ELEMENTS];
    static uint8_t data[MAX_ELEMENTS * 4 + 64];
    nnd_geometry geometry, planned;
    nnd_tensor t = tensor_of(s, data);
    const int count = (int)nnd_tensor_count(&t);
    const size_t bytes = nnd_tensor_bytes(&t);
    assert_true(count <= MAX_ELEMENTS);
    assert_ok(nnd_isa_force(NND_ISA_REFERENCE));
    chain(want, src, s);
    FOR_EACH_ISA
    {
        memset(data, GUARD_BYTE, sizeof(data));
        assert_ok(nnd_image_to_tensor(&t, src, &s->options, &geometry));
        for (int i = 0; i < count; i++)
            if (element(&t, i) != expected_as(s->dtype, want[i]))
                fail_msg("%s, %s of %d x %d to %d x %d on %s: element %d is %g, expected %g", what,
                         nnd_pixel_format_name(src->format), src->width, src->height, s->width,
                         s->height, nnd_isa_name(nnd_isa_current()), i, (double)element(&t, i),
                         (double)expected_as(s->dtype, want[i]));
        for (size_t i = bytes; i < bytes + 64; i++)
            assert_int_equal(data[i], GUARD_BYTE);
    }
    assert_ok(nnd_fit_plan(s->options.fit, s->options.align, src->width, src->height,
                           s->options.roi, s->width, s->height, NULL, &planned));
    assert_memory_equal(&planned, &geometry, sizeof(planned));
}

static void test_formats(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof(all_formats) / sizeof(all_formats[0]); f++) {
        test_image src = test_image_new(all_formats[f], NND_U8, 47, 31, 9);
        test_image_noise(&src, 77);
        for (size_t o = 0; o < sizeof(orders) / sizeof(orders[0]); o++)
            for (int layout = NND_LAYOUT_NCHW; layout <= NND_LAYOUT_NHWC; layout++) {
                setting s = default_setting(33, 21);
                s.options.order = orders[o];
                s.layout = (nnd_layout)layout;
                check(&src.view, &s, "formats");
                s.options.fit = NND_FIT_LETTERBOX;
                s.dtype = NND_F16;
                check(&src.view, &s, "f16");
                s.dtype = NND_U8;
                s.options.scale = 1;
                memset(s.options.mean, 0, sizeof(s.options.mean));
                for (int k = 0; k < 4; k++)
                    s.options.std[k] = 1.25;
                check(&src.view, &s, "u8");
                /* An odd corner of a picture with pairs of chroma. */
                s.options.roi = (nnd_rect){3, 5, 29, 17};
                check(&src.view, &s, "region");
            }
        test_image_free(&src);
    }
}

static void test_filters_and_fits(void **state)
{
    (void)state;
    static const int sizes[][2] = {{40, 40}, {64, 20}, {17, 53}, {5, 3}, {1, 1}, {80, 80}};
    test_image src = test_image_new(NND_PIX_BGR, NND_U8, 51, 38, 1),
               nv12 = test_image_new(NND_PIX_NV12, NND_U8, 50, 38, 2);
    test_image_noise(&src, 5);
    test_image_noise(&nv12, 6);
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
        for (int filter = NND_FILTER_NEAREST; filter <= NND_FILTER_LANCZOS; filter++)
            for (int fit = NND_FIT_STRETCH; fit <= NND_FIT_NONE; fit++) {
                setting s = default_setting(sizes[k][0], sizes[k][1]);
                s.options.filter = (nnd_filter)filter;
                s.options.fit = (nnd_fit)fit;
                s.options.align = filter & 1 ? NND_ALIGN_TOP_LEFT : NND_ALIGN_CENTRE;
                s.options.antialias = fit & 1;
                check(&src.view, &s, "filters");
                check(&nv12.view, &s, "filters");
            }
    test_image_free(&src);
    test_image_free(&nv12);
}

static void test_all_sizes(void **state)
{
    (void)state;
    static const nnd_pixel_format formats[] = {NND_PIX_BGR, NND_PIX_RGBA, NND_PIX_GRAY,
                                               NND_PIX_NV12};
    for (size_t f = 0; f < sizeof(formats) / sizeof(formats[0]); f++)
        for (int n = 1; n <= 70; n++) {
            test_image src = test_image_new(formats[f], NND_U8, n, 71 - n, n % 4);
            test_image_noise(&src, (uint32_t)n);
            setting s = default_setting(71 - n, 1 + n % 9);
            check(&src.view, &s, "sizes");
            s = default_setting(n, 1 + n % 5);
            check(&src.view, &s, "sizes");
            test_image_free(&src);
        }
}

/* u16 and f32 pictures on the scale of u8: the result is that of u8 but for the rounding. */
static void test_deep_pictures(void **state)
{
    (void)state;
    test_image u8 = test_image_new(NND_PIX_BGR, NND_U8, 40, 30, 0);
    test_image u16 = test_image_new(NND_PIX_BGR, NND_U16, 40, 30, 3),
               f32 = test_image_new(NND_PIX_BGR, NND_F32, 40, 30, 1);
    static float want[3 * 20 * 20], got[3 * 20 * 20];
    setting s = default_setting(20, 20);
    nnd_tensor a = tensor_of(&s, want), b = tensor_of(&s, got);
    test_image_noise(&u8, 4);
    assert_ok(nnd_image_convert(&u16.view, &u8.view, NULL));
    assert_ok(nnd_image_convert(&f32.view, &u8.view, NULL));
    assert_ok(nnd_image_to_tensor(&a, &u8.view, &s.options, NULL));
    const nnd_image *const deep[2] = {&u16.view, &f32.view};
    for (int k = 0; k < 2; k++) {
        assert_ok(nnd_image_to_tensor(&b, deep[k], &s.options, NULL));
        for (int i = 0; i < 3 * 20 * 20; i++) /* half a level, through scale and std */
            assert_true(fabsf(want[i] - got[i]) < 0.52f / 255 / 0.224f);
    }
    assert_guards(&u16);
    assert_guards(&f32);
    test_image_free(&u8);
    test_image_free(&u16);
    test_image_free(&f32);
}

static void test_threads_and_batch(void **state)
{
    (void)state;
    test_image src = test_image_new(NND_PIX_NV12, NND_U8, 317, 203, 0);
    test_image_noise(&src, 9);
    enum { SIZE = 3 * 150 * 160 };
    float *data = calloc(3 * SIZE, sizeof(float));
    const int64_t dims[4] = {3, 3, 150, 160};
    nnd_tensor t;
    assert_non_null(data);
    assert_ok(nnd_sched_set_threads(4));
    assert_ok(nnd_tensor_init(&t, NND_F32, 4, dims, data));
    nnd_to_tensor_options options = NND_TO_TENSOR_OPTIONS_INIT;
    options.fit = NND_FIT_LETTERBOX;
    for (int item = 0; item < 3; item++) {
        static const int threads[3] = {1, 4, 0};
        options.batch = item;
        options.threads = threads[item];
        assert_ok(nnd_image_to_tensor(&t, &src.view, &options, NULL));
    }
    assert_memory_equal(data, data + SIZE, SIZE * sizeof(float));
    assert_memory_equal(data, data + 2 * SIZE, SIZE * sizeof(float));
    assert_ok(nnd_sched_set_threads(0));
    nnd_cancel *cancel = NULL;
    assert_ok(nnd_cancel_create(NULL, &cancel));
    nnd_cancel_request(cancel);
    options.cancel = cancel;
    assert_status(nnd_image_to_tensor(&t, &src.view, &options, NULL), NND_E_CANCELLED);
    nnd_cancel_unref(cancel);
    free(data);
    test_image_free(&src);
}

static void test_geometry(void **state)
{
    (void)state;
    nnd_geometry g;
    nnd_rect content;
    double x, y;
    assert_ok(nnd_fit_plan(NND_FIT_LETTERBOX, NND_ALIGN_CENTRE, 1920, 1080, (nnd_rect){0, 0, 0, 0},
                           640, 640, &content, &g));
    assert_int_equal(content.x, 0);
    assert_int_equal(content.y, 140);
    assert_int_equal(content.width, 640);
    assert_int_equal(content.height, 360);
    nnd_geometry_to_source(&g, 0, 140, &x, &y);
    assert_float_equal(x, 0, 1e-9);
    assert_float_equal(y, 0, 1e-9);
    nnd_geometry_to_source(&g, 640, 500, &x, &y);
    assert_float_equal(x, 1920, 1e-9);
    assert_float_equal(y, 1080, 1e-9);
    assert_ok(nnd_fit_plan(NND_FIT_LETTERBOX, NND_ALIGN_TOP_LEFT, 1080, 1920,
                           (nnd_rect){0, 0, 0, 0}, 416, 416, &content, NULL));
    assert_int_equal(content.x, 0);
    assert_int_equal(content.width, 234);
    assert_ok(nnd_fit_plan(NND_FIT_COVER, NND_ALIGN_CENTRE, 200, 100, (nnd_rect){0, 0, 0, 0}, 50,
                           50, &content, &g));
    assert_int_equal(content.width, 50);
    nnd_geometry_to_source(&g, 0, 0, &x, &y);
    assert_float_equal(x, 50, 1e-9); /* the middle square of the source */
    assert_float_equal(y, 0, 1e-9);
    assert_ok(nnd_fit_plan(NND_FIT_NONE, NND_ALIGN_CENTRE, 30, 80, (nnd_rect){0, 0, 0, 0}, 50, 50,
                           &content, &g));
    assert_int_equal(content.x, 10);
    nnd_geometry_to_source(&g, 10, 0, &x, &y);
    assert_float_equal(x, 0, 1e-9);
    assert_float_equal(y, 15, 1e-9);
    assert_ok(nnd_fit_plan(NND_FIT_STRETCH, NND_ALIGN_CENTRE, 100, 100, (nnd_rect){20, 30, 40, 50},
                           80, 200, NULL, &g));
    nnd_geometry_to_source(&g, 80, 200, &x, &y);
    assert_float_equal(x, 60, 1e-9);
    assert_float_equal(y, 80, 1e-9);
    assert_status(nnd_fit_plan(NND_FIT_COVER, NND_ALIGN_CENTRE, 1, 65535, (nnd_rect){0, 0, 0, 0},
                               65535, 1, NULL, &g),
                  NND_E_LIMIT);
}

/* There and back: levels survive but for rounding of the tensor's dtype. */
static void test_from_tensor(void **state)
{
    (void)state;
    static const nnd_dtype dtypes[] = {NND_F32, NND_F16};
    static uint8_t data[MAX_ELEMENTS * 4];
    for (size_t f = 0; f < 5; f++)
        for (size_t d = 0; d < 2; d++)
            for (int layout = NND_LAYOUT_NCHW; layout <= NND_LAYOUT_NHWC; layout++) {
                const nnd_pixel_format format = all_formats[f];
                test_image src = test_image_new(format, NND_U8, 37, 23, 2),
                           back = test_image_new(format, NND_U8, 37, 23, 5);
                test_image_noise(&src, 12);
                setting s = default_setting(37, 23);
                s.layout = (nnd_layout)layout;
                s.dtype = dtypes[d];
                /* The other order of colours in the tensor; alpha needs four channels. */
                s.options.order = format == NND_PIX_GRAY ? NND_PIX_GRAY
                                  : f >= 3               ? NND_PIX_BGRA
                                                         : NND_PIX_RGB;
                nnd_tensor t = tensor_of(&s, data);
                nnd_from_tensor_options options = NND_FROM_TENSOR_OPTIONS_INIT;
                options.order = s.options.order;
                memcpy(options.mean, s.options.mean, sizeof(options.mean));
                memcpy(options.std, s.options.std, sizeof(options.std));
                assert_ok(nnd_image_to_tensor(&t, &src.view, &s.options, NULL));
                FOR_EACH_ISA
                {
                    assert_ok(nnd_image_from_tensor(&back.view, &t, &options));
                    assert_same_pixels(&back.view, &src.view);
                    assert_guards(&back);
                }
                test_image_free(&src);
                test_image_free(&back);
            }
}

static void test_from_tensor_clamps(void **state)
{
    (void)state;
    float values[6] = {-0.5f, 2.0f, 0.5f, (float)NAN, INFINITY, 127.0f / 255};
    const int64_t dims[3] = {1, 1, 6};
    nnd_tensor t;
    test_image u8 = test_image_new(NND_PIX_RGB, NND_U8, 6, 1, 0),
               u16 = test_image_new(NND_PIX_GRAY, NND_U16, 6, 1, 0);
    nnd_from_tensor_options options = NND_FROM_TENSOR_OPTIONS_INIT;
    options.order = NND_PIX_GRAY;
    assert_ok(nnd_tensor_init(&t, NND_F32, 3, dims, values));
    assert_ok(nnd_image_from_tensor(&u8.view, &t, &options));
    static const uint8_t want[6] = {0, 255, 128, 0, 255, 127};
    for (int i = 0; i < 18; i++)
        assert_int_equal(u8.view.data[0][i], want[i / 3]);
    assert_ok(nnd_image_from_tensor(&u16.view, &t, &options));
    assert_int_equal(((uint16_t *)(void *)u16.view.data[0])[1], 65535);
    assert_int_equal(((uint16_t *)(void *)u16.view.data[0])[2], 32768);
    test_image_free(&u8);
    test_image_free(&u16);
}

static void test_refusals(void **state)
{
    (void)state;
    static float data[3 * 8 * 8];
    test_image src = test_image_new(NND_PIX_BGR, NND_U8, 10, 10, 0);
    nnd_to_tensor_options options = NND_TO_TENSOR_OPTIONS_INIT;
    nnd_tensor t, bad;
    const int64_t dims[4] = {1, 3, 8, 8};
    assert_ok(nnd_tensor_init(&t, NND_F32, 4, dims, data));
    assert_ok(nnd_image_to_tensor(&t, &src.view, NULL, NULL));
    bad = t;
    bad.dims[2] = 65536;
    assert_status(nnd_image_to_tensor(&bad, &src.view, &options, NULL), NND_E_LIMIT);
    bad.dims[2] = 0;
    assert_status(nnd_image_to_tensor(&bad, &src.view, &options, NULL), NND_E_SHAPE);
    bad = t;
    bad.dims[1] = 4;
    assert_status(nnd_image_to_tensor(&bad, &src.view, &options, NULL), NND_E_SHAPE);
    bad = t;
    bad.rank = 2;
    assert_status(nnd_image_to_tensor(&bad, &src.view, &options, NULL), NND_E_SHAPE);
    bad = t;
    bad.strides[3] = 2;
    assert_status(nnd_image_to_tensor(&bad, &src.view, &options, NULL), NND_E_SHAPE);
    bad = t;
    bad.dtype = NND_I32;
    assert_status(nnd_image_to_tensor(&bad, &src.view, &options, NULL), NND_E_TYPE);
    options.batch = 1;
    assert_status(nnd_image_to_tensor(&t, &src.view, &options, NULL), NND_E_SHAPE);
    options.batch = 0;
    options.std[1] = 0;
    assert_status(nnd_image_to_tensor(&t, &src.view, &options, NULL), NND_E_INVALID_ARGUMENT);
    options.std[1] = 1;
    options.roi = (nnd_rect){5, 5, 6, 2};
    assert_status(nnd_image_to_tensor(&t, &src.view, &options, NULL), NND_E_SHAPE);
    options.roi = (nnd_rect){INT32_MAX, 0, INT32_MAX, 1};
    assert_status(nnd_image_to_tensor(&t, &src.view, &options, NULL), NND_E_SHAPE);
    options.roi = (nnd_rect){0, 0, 0, 0};
    options.size = 3;
    assert_status(nnd_image_to_tensor(&t, &src.view, &options, NULL), NND_E_INVALID_ARGUMENT);
    nnd_image wrong = src.view;
    wrong.width = 65536;
    assert_status(nnd_image_to_tensor(&t, &wrong, NULL, NULL), NND_E_LIMIT);
    wrong = src.view;
    wrong.stride[0] = 29;
    assert_status(nnd_image_to_tensor(&t, &wrong, NULL, NULL), NND_E_SHAPE);
    wrong = src.view;
    wrong.data[0] = NULL;
    assert_status(nnd_image_to_tensor(&t, &wrong, NULL, NULL), NND_E_INVALID_ARGUMENT);
    wrong = src.view;
    wrong.format = (nnd_pixel_format)99;
    assert_status(nnd_image_to_tensor(&t, &wrong, NULL, NULL), NND_E_UNSUPPORTED);
    test_image_free(&src);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),           cmocka_unit_test(test_filters_and_fits),
        cmocka_unit_test(test_all_sizes),         cmocka_unit_test(test_deep_pictures),
        cmocka_unit_test(test_threads_and_batch), cmocka_unit_test(test_geometry),
        cmocka_unit_test(test_from_tensor),       cmocka_unit_test(test_from_tensor_clamps),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
