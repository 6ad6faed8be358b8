/*
 * Cropping, filling, padding, turning, conversion, resizing of deep pictures, thresholds,
 * components: what does not need another library to say what is right.
 */
#include <math.h>

#include "ops_support.h"

static const nnd_pixel_format interleaved[] = {NND_PIX_RGB, NND_PIX_BGR, NND_PIX_GRAY, NND_PIX_RGBA,
                                               NND_PIX_BGRA};
static const nnd_dtype dtypes[] = {NND_U8, NND_U16, NND_F32};

static size_t pixel_bytes(const nnd_image *image)
{
    return nnd_image_pixel_bytes(image);
}

static const uint8_t *pixel(const nnd_image *image, int x, int y)
{
    return image->data[0] + y * image->stride[0] + (int64_t)x * (int64_t)pixel_bytes(image);
}

static void assert_pixel(const nnd_image *a, int ax, int ay, const nnd_image *b, int bx, int by)
{
    assert_memory_equal(pixel(a, ax, ay), pixel(b, bx, by), pixel_bytes(a));
}

/* ---- place ----------------------------------------------------------------------------- */

static void test_crop(void **state)
{
    (void)state;
    static const nnd_pixel_format formats[] = {NND_PIX_RGB, NND_PIX_NV12, NND_PIX_I420,
                                               NND_PIX_YUYV};
    for (size_t f = 0; f < 4; f++) {
        test_image src = test_image_new(formats[f], NND_U8, 20, 14, 3),
                   dst = test_image_new(formats[f], NND_U8, 7, 5, 1);
        test_image again = test_image_new(formats[f], NND_U8, 7, 5, 0);
        nnd_image view;
        nnd_geometry g;
        test_image_noise(&src, 1);
        const nnd_rect rect = {4, 6, 7, 5};
        assert_ok(nnd_image_crop_view(&src.view, rect, &view, &g));
        assert_int_equal(view.stride[0], src.view.stride[0]);
        assert_ptr_equal(view.data[0], src.view.data[0] + 6 * src.view.stride[0] +
                                           (f == 0   ? 12
                                            : f == 3 ? 8
                                                     : 4));
        assert_float_equal(g.m[2], 4, 0);
        assert_float_equal(g.m[5], 6, 0);
        assert_ok(nnd_image_crop(&dst.view, &src.view, rect, NULL));
        assert_guards(&dst);
        assert_ok(nnd_image_copy(&again.view, &view));
        assert_same_pixels(&dst.view, &again.view);
        if (f > 0)
            assert_status(nnd_image_crop_view(&src.view, (nnd_rect){3, 6, 7, 5}, &view, NULL),
                          NND_E_SHAPE);
        assert_status(nnd_image_crop_view(&src.view, (nnd_rect){14, 6, 7, 5}, &view, NULL),
                      NND_E_SHAPE);
        assert_status(nnd_image_crop_view(&src.view, (nnd_rect){-2, 0, 7, 5}, &view, NULL),
                      NND_E_SHAPE);
        assert_status(nnd_image_crop_view(&src.view, (nnd_rect){2, 2, INT32_MAX, 5}, &view, NULL),
                      NND_E_SHAPE);
        assert_status(nnd_image_crop(&dst.view, &src.view, (nnd_rect){0, 0, 6, 5}, NULL),
                      NND_E_SHAPE);
        test_image_free(&src);
        test_image_free(&dst);
        test_image_free(&again);
    }
}

static void test_fill_and_pad(void **state)
{
    (void)state;
    const double value[4] = {1, 0.25, 3, 4};
    /* Where destination columns −3 … 7 of a line of four come from, per border; −1 = constant. */
    static const int from[4][11] = {{-1, -1, -1, 0, 1, 2, 3, -1, -1, -1, -1},
                                    {0, 0, 0, 0, 1, 2, 3, 3, 3, 3, 3},
                                    {3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1},
                                    {2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0}};
    for (size_t f = 0; f < 5; f++)
        for (size_t d = 0; d < 3; d++)
            for (int border = NND_BORDER_CONSTANT; border <= NND_BORDER_SYMMETRIC; border++) {
                test_image src = test_image_new(interleaved[f], dtypes[d], 4, 4, 2);
                test_image dst = test_image_new(interleaved[f], dtypes[d], 11, 11, 1);
                test_image fill = test_image_new(interleaved[f], dtypes[d], 1, 1, 0);
                test_image_noise(&src, 3);
                assert_ok(nnd_image_fill(&fill.view, (nnd_rect){0, 0, 0, 0}, value));
                assert_ok(nnd_image_pad(&dst.view, &src.view, 3, 3, (nnd_border)border, value));
                for (int y = 0; y < 11; y++)
                    for (int x = 0; x < 11; x++) {
                        const int sx = from[border][x], sy = from[border][y];
                        if (sx < 0 || sy < 0)
                            assert_pixel(&dst.view, x, y, &fill.view, 0, 0);
                        else
                            assert_pixel(&dst.view, x, y, &src.view, sx, sy);
                    }
                assert_guards(&dst);
                assert_status(nnd_image_pad(&dst.view, &src.view, 8, 0, (nnd_border)border, NULL),
                              NND_E_SHAPE);
                test_image_free(&src);
                test_image_free(&dst);
                test_image_free(&fill);
            }
    test_image part = test_image_new(NND_PIX_RGB, NND_U8, 9, 5, 0);
    memset(part.block, 0, part.block_size);
    assert_ok(nnd_image_fill(&part.view, (nnd_rect){2, 1, 3, 2}, value));
    for (int y = 0; y < 5; y++)
        for (int x = 0; x < 9; x++)
            assert_int_equal(pixel(&part.view, x, y)[2],
                             x >= 2 && x < 5 && y >= 1 && y < 3 ? 3 : 0);
    assert_status(nnd_image_fill(&part.view, (nnd_rect){7, 1, 3, 2}, value), NND_E_SHAPE);
    test_image_free(&part);
}

/* Where EXIF says that pixel (x, y) of the upright w × h picture is stored. */
static void stored_place(int orientation, int x, int y, int w, int h, int *sx, int *sy)
{
    const int places[8][2] = {{x, y}, {w - 1 - x, y}, {w - 1 - x, h - 1 - y}, {x, h - 1 - y},
                              {y, x}, {y, w - 1 - x}, {h - 1 - y, w - 1 - x}, {h - 1 - y, x}};
    *sx = places[orientation - 1][0];
    *sy = places[orientation - 1][1];
}

/* A picture of width × height turned into one of w × h. */
static void check_orient(nnd_pixel_format format, nnd_dtype dtype, int width, int height, int o)
{
    const int w = o > 4 ? height : width, h = o > 4 ? width : height;
    test_image src = test_image_new(format, dtype, width, height, 2);
    test_image dst = test_image_new(format, dtype, w, h, 3);
    nnd_geometry g;
    test_image_noise(&src, 8);
    assert_ok(nnd_image_orient(&dst.view, &src.view, o, &g));
    assert_guards(&dst);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            int sx, sy;
            double gx, gy;
            stored_place(o, x, y, w, h, &sx, &sy);
            assert_pixel(&dst.view, x, y, &src.view, sx, sy);
            nnd_geometry_to_source(&g, x + 0.5, y + 0.5, &gx, &gy);
            assert_float_equal(gx, sx + 0.5, 1e-9);
            assert_float_equal(gy, sy + 0.5, 1e-9);
        }
    test_image_free(&src);
    test_image_free(&dst);
}

static void test_orient(void **state)
{
    (void)state;
    for (size_t f = 0; f < 5; f++)
        for (size_t d = 0; d < 3; d++)
            for (int o = 1; o <= 8; o++)
                FOR_EACH_ISA
                {
                    check_orient(interleaved[f], dtypes[d], 7, 5, o);
                    check_orient(interleaved[f], dtypes[d], 133, 70, o);
                }
    test_image src = test_image_new(NND_PIX_I420, NND_U8, 8, 6, 0),
               turned = test_image_new(NND_PIX_I420, NND_U8, 6, 8, 1);
    test_image back = test_image_new(NND_PIX_I420, NND_U8, 8, 6, 2);
    test_image_noise(&src, 2);
    assert_ok(nnd_image_rotate(&turned.view, &src.view, 90));
    assert_int_equal(turned.view.data[1][2],
                     src.view.data[1][0]); /* top left goes to the top right */
    assert_ok(nnd_image_rotate(&back.view, &turned.view, -90));
    assert_same_pixels(&back.view, &src.view);
    assert_ok(nnd_image_flip(&back.view, &src.view, NND_FLIP_BOTH));
    assert_int_equal(back.view.data[0][0], src.view.data[0][5 * 8 + 7]);
    assert_status(nnd_image_rotate(&back.view, &src.view, 45), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_image_rotate(&back.view, &src.view, 90), NND_E_SHAPE);
    assert_status(nnd_image_orient(&back.view, &src.view, 9, NULL), NND_E_INVALID_ARGUMENT);
    test_image_free(&src);
    test_image_free(&turned);
    test_image_free(&back);
}

/* NV12 turns as I420 does, sides odd or even. */
static void test_orient_nv12(void **state)
{
    (void)state;
    for (int width = 1; width <= 9; width += 4)
        for (int height = 2; height <= 7; height += 5)
            for (int o = 1; o <= 8; o++) {
                const int w = o > 4 ? height : width, h = o > 4 ? width : height;
                test_image nv12 = test_image_new(NND_PIX_NV12, NND_U8, width, height, 1),
                           i420 = test_image_new(NND_PIX_I420, NND_U8, width, height, 0);
                test_image got = test_image_new(NND_PIX_NV12, NND_U8, w, h, 2),
                           turned = test_image_new(NND_PIX_I420, NND_U8, w, h, 0);
                test_image want = test_image_new(NND_PIX_NV12, NND_U8, w, h, 0);
                test_image_noise(&nv12, 6);
                assert_ok(nnd_image_orient(&got.view, &nv12.view, o, NULL));
                assert_guards(&got);
                assert_ok(nnd_image_convert(&i420.view, &nv12.view, NULL));
                assert_ok(nnd_image_orient(&turned.view, &i420.view, o, NULL));
                assert_ok(nnd_image_convert(&want.view, &turned.view, NULL));
                assert_same_pixels(&got.view, &want.view);
                test_image_free(&nv12);
                test_image_free(&i420);
                test_image_free(&got);
                test_image_free(&turned);
                test_image_free(&want);
            }
}

/* ---- conversion ------------------------------------------------------------------------ */

static const nnd_pixel_format all_formats[] = {NND_PIX_RGB,  NND_PIX_BGR,  NND_PIX_GRAY,
                                               NND_PIX_RGBA, NND_PIX_BGRA, NND_PIX_NV12,
                                               NND_PIX_I420, NND_PIX_YUYV};

static bool is_yuv(nnd_pixel_format f)
{
    return f >= NND_PIX_NV12;
}

/* Every pair of formats, all small sizes: the same bits everywhere, nothing outside is touched. */
static void test_convert_pairs(void **state)
{
    (void)state;
    for (size_t a = 0; a < 8; a++)
        for (size_t b = 0; b < 8; b++)
            for (int n = 1; n <= 40; n += n < 8 ? 1 : 5) {
                test_image src = test_image_new(all_formats[a], NND_U8, n, 41 - n, 3);
                test_image want = test_image_new(all_formats[b], NND_U8, n, 41 - n, 0);
                test_image got = test_image_new(all_formats[b], NND_U8, n, 41 - n, 5);
                test_image_noise(&src, (uint32_t)n);
                got.view.matrix = want.view.matrix = NND_MATRIX_BT709;
                got.view.range = want.view.range = NND_RANGE_FULL;
                assert_ok(nnd_isa_force(NND_ISA_REFERENCE));
                assert_ok(nnd_image_convert(&want.view, &src.view, NULL));
                FOR_EACH_ISA
                {
                    assert_ok(nnd_image_convert(&got.view, &src.view, NULL));
                    assert_same_pixels(&got.view, &want.view);
                    assert_guards(&got);
                }
                test_image_free(&src);
                test_image_free(&want);
                test_image_free(&got);
            }
}

/* One colour through every YUV format, matrix and range comes back within 2 levels. */
static void test_convert_colors(void **state)
{
    (void)state;
    static const double colors[][4] = {{255, 0, 0},   {0, 255, 0},     {0, 0, 255},
                                       {12, 200, 99}, {255, 255, 255}, {0, 0, 0}};
    for (size_t f = 5; f < 8; f++)
        for (int k = 0; k < 4; k++)
            for (size_t c = 0; c < sizeof(colors) / sizeof(colors[0]); c++) {
                test_image rgb = test_image_new(NND_PIX_RGB, NND_U8, 5, 3, 0),
                           back = test_image_new(NND_PIX_RGB, NND_U8, 5, 3, 0);
                test_image yuv = test_image_new(all_formats[f], NND_U8, 5, 3, 1);
                yuv.view.matrix = k & 1 ? NND_MATRIX_BT709 : NND_MATRIX_BT601;
                yuv.view.range = k & 2 ? NND_RANGE_FULL : NND_RANGE_LIMITED;
                assert_ok(nnd_image_fill(&rgb.view, (nnd_rect){0, 0, 0, 0}, colors[c]));
                assert_ok(nnd_image_convert(&yuv.view, &rgb.view, NULL));
                assert_ok(nnd_image_convert(&back.view, &yuv.view, NULL));
                for (int i = 0; i < 45; i++)
                    assert_true(fabs(back.view.data[0][i] - colors[c][i % 3]) <= 2);
                if (c == 4) assert_int_equal(yuv.view.data[0][0], k & 2 ? 255 : 235);
                test_image_free(&rgb);
                test_image_free(&back);
                test_image_free(&yuv);
            }
}

static void test_convert_depth(void **state)
{
    (void)state;
    for (size_t a = 0; a < 5; a++)
        for (size_t d = 0; d < 3; d++) {
            test_image u8 = test_image_new(interleaved[a], NND_U8, 33, 9, 1),
                       deep = test_image_new(interleaved[a], dtypes[d], 33, 9, 3);
            test_image back = test_image_new(interleaved[a], NND_U8, 33, 9, 0);
            test_image_noise(&u8, 4);
            assert_ok(nnd_image_convert(&deep.view, &u8.view, NULL));
            assert_ok(nnd_image_convert(&back.view, &deep.view, NULL));
            assert_same_pixels(&back.view, &u8.view);
            assert_guards(&deep);
            if (dtypes[d] == NND_U16)
                assert_int_equal(((uint16_t *)(void *)deep.view.data[0])[0],
                                 u8.view.data[0][0] * 257);
            if (dtypes[d] == NND_F32)
                assert_float_equal(((float *)(void *)deep.view.data[0])[0],
                                   u8.view.data[0][0] / 255.0, 1e-6);
            test_image_free(&u8);
            test_image_free(&deep);
            test_image_free(&back);
        }
    /* Gray of deep colour, within the rounding of u8. */
    test_image f32 = test_image_new(NND_PIX_BGR, NND_F32, 20, 4, 0),
               gray = test_image_new(NND_PIX_GRAY, NND_F32, 20, 4, 0);
    test_image_noise(&f32, 5);
    assert_ok(nnd_image_convert(&gray.view, &f32.view, NULL));
    const float *p = (const float *)(const void *)f32.view.data[0],
                *g = (const float *)(const void *)gray.view.data[0];
    for (int i = 0; i < 80; i++)
        assert_float_equal(g[i], 0.114f * p[3 * i] + 0.587f * p[3 * i + 1] + 0.299f * p[3 * i + 2],
                           1e-6);
    test_image_free(&f32);
    test_image_free(&gray);
}

static void test_regroup(void **state)
{
    (void)state;
    test_image nv12 = test_image_new(NND_PIX_NV12, NND_U8, 13, 7, 1),
               i420 = test_image_new(NND_PIX_I420, NND_U8, 13, 7, 2);
    test_image back = test_image_new(NND_PIX_NV12, NND_U8, 13, 7, 3);
    test_image_noise(&nv12, 1);
    assert_ok(nnd_image_convert(&i420.view, &nv12.view, NULL));
    assert_int_equal(i420.view.data[2][3], nv12.view.data[1][7]);
    assert_ok(nnd_image_convert(&back.view, &i420.view, NULL));
    assert_same_pixels(&back.view, &nv12.view);
    assert_guards(&back);
    test_image_free(&nv12);
    test_image_free(&i420);
    test_image_free(&back);
}

/* ---- resize ---------------------------------------------------------------------------- */

/* What stands behind an odd last column of YUYV repeats it. */
static void end_pairs(const nnd_image *image)
{
    for (int y = 0; y < image->height && image->width % 2; y++) {
        uint8_t *end = image->data[0] + y * image->stride[0] + 2 * image->width;
        end[0] = end[-2];
    }
}

/* YUYV is resized as its luma and its chroma would be, each a picture of its own. */
static void test_resize_yuyv(void **state)
{
    (void)state;
    static const int sizes[][4] = {
        {45, 37, 29, 61}, {8, 3, 301, 2}, {301, 120, 2, 1}, {1, 1, 5, 4}};
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
        for (int filter = NND_FILTER_NEAREST; filter <= NND_FILTER_LANCZOS; filter++) {
            const int *n = sizes[k];
            test_image from[2] = {test_image_new(NND_PIX_YUYV, NND_U8, n[0], n[1], 1),
                                  test_image_new(NND_PIX_GRAY, NND_U8, n[0], n[1], 0)};
            test_image to[2] = {test_image_new(NND_PIX_YUYV, NND_U8, n[2], n[3], 3),
                                test_image_new(NND_PIX_GRAY, NND_U8, n[2], n[3], 0)};
            test_image u[2] = {test_image_new(NND_PIX_GRAY, NND_U8, (n[0] + 1) / 2, n[1], 0),
                               test_image_new(NND_PIX_GRAY, NND_U8, (n[2] + 1) / 2, n[3], 0)};
            nnd_resize_options options = NND_RESIZE_OPTIONS_INIT;
            options.filter = (nnd_filter)filter;
            test_image_noise(&from[0], 3);
            for (int y = 0; y < n[1]; y++) {
                const uint8_t *row = from[0].view.data[0] + y * from[0].view.stride[0];
                for (int x = 0; x < n[0]; x++)
                    from[1].view.data[0][y * n[0] + x] = row[2 * x];
                for (int x = 0; x < u[0].view.width; x++)
                    u[0].view.data[0][y * u[0].view.width + x] = row[4 * x + 1];
            }
            assert_ok(nnd_image_resize(&to[1].view, &from[1].view, &options));
            assert_ok(nnd_image_resize(&u[1].view, &u[0].view, &options));
            FOR_EACH_ISA
            {
                assert_ok(nnd_image_resize(&to[0].view, &from[0].view, &options));
                assert_guards(&to[0]);
                for (int y = 0; y < n[3]; y++) {
                    const uint8_t *row = to[0].view.data[0] + y * to[0].view.stride[0];
                    for (int x = 0; x < n[2]; x++)
                        assert_int_equal(row[2 * x], to[1].view.data[0][y * n[2] + x]);
                    for (int x = 0; x < u[1].view.width; x++)
                        assert_int_equal(row[4 * x + 1],
                                         u[1].view.data[0][y * u[1].view.width + x]);
                }
            }
            for (int i = 0; i < 2; i++) {
                test_image_free(&from[i]);
                test_image_free(&to[i]);
                test_image_free(&u[i]);
            }
        }
}

/* All instruction sets, depths and thread counts; identity keeps every pixel. */
static void test_resize(void **state)
{
    (void)state;
    assert_ok(nnd_sched_set_threads(3));
    for (size_t a = 0; a < 8; a++)
        for (size_t d = 0; d < 3; d++)
            for (int filter = NND_FILTER_NEAREST; filter <= NND_FILTER_LANCZOS; filter++) {
                const nnd_dtype dtype = dtypes[d];
                if (is_yuv(all_formats[a]) && dtype != NND_U8) continue;
                test_image src = test_image_new(all_formats[a], dtype, 45, 37, 2),
                           same = test_image_new(all_formats[a], dtype, 45, 37, 1);
                test_image want = test_image_new(all_formats[a], dtype, 29, 61, 0),
                           got = test_image_new(all_formats[a], dtype, 29, 61, 3);
                nnd_resize_options options = NND_RESIZE_OPTIONS_INIT;
                test_image_noise(&src, 4);
                if (all_formats[a] == NND_PIX_YUYV) end_pairs(&src.view);
                options.filter = (nnd_filter)filter;
                assert_ok(nnd_isa_force(NND_ISA_REFERENCE));
                assert_ok(nnd_image_resize(&want.view, &src.view, &options));
                FOR_EACH_ISA
                {
                    options.threads = 0;
                    assert_ok(nnd_image_resize(&got.view, &src.view, &options));
                    assert_same_pixels(&got.view, &want.view);
                    assert_guards(&got);
                    assert_ok(nnd_image_resize(&same.view, &src.view, &options));
                    assert_same_pixels(&same.view, &src.view);
                }
                test_image_free(&src);
                test_image_free(&same);
                test_image_free(&want);
                test_image_free(&got);
            }
    assert_ok(nnd_sched_set_threads(0));
}

/* A mean of everything, however strong the shrinking; and antialiasing keeps the mean. */
static void test_shrink(void **state)
{
    (void)state;
    test_image src = test_image_new(NND_PIX_GRAY, NND_U8, 700, 900, 0),
               dst = test_image_new(NND_PIX_GRAY, NND_U8, 1, 1, 0);
    double mean = 0;
    test_image_noise(&src, 6);
    for (int i = 0; i < 700 * 900; i++)
        mean += src.view.data[0][i] / (700.0 * 900.0);
    nnd_resize_options options = NND_RESIZE_OPTIONS_INIT;
    options.filter = NND_FILTER_AREA;
    assert_ok(nnd_image_resize(&dst.view, &src.view, &options));
    assert_true(fabs(dst.view.data[0][0] - mean) <= 0.6);
    options.antialias = true;
    options.filter = NND_FILTER_BILINEAR;
    assert_ok(nnd_image_resize(&dst.view, &src.view, &options));
    assert_true(fabs(dst.view.data[0][0] - mean) <= 3);
    test_image_free(&src);
    test_image_free(&dst);
}

static void test_nearest_centre(void **state)
{
    (void)state;
    test_image src = test_image_new(NND_PIX_GRAY, NND_U8, 10, 1, 0),
               dst = test_image_new(NND_PIX_GRAY, NND_U8, 4, 1, 0);
    nnd_resize_options options = NND_RESIZE_OPTIONS_INIT;
    for (int i = 0; i < 10; i++)
        src.view.data[0][i] = (uint8_t)i;
    options.filter = NND_FILTER_NEAREST_CENTRE; /* centres at 1.25, 3.75, 6.25, 8.75 */
    assert_ok(nnd_image_resize(&dst.view, &src.view, &options));
    assert_memory_equal(dst.view.data[0], ((const uint8_t[]){1, 3, 6, 8}), 4);
    test_image_free(&src);
    test_image_free(&dst);
    nnd_filter filter;
    for (int f = NND_FILTER_NEAREST; f <= NND_FILTER_LANCZOS; f++) {
        assert_ok(nnd_filter_from_name(nnd_filter_name((nnd_filter)f), &filter));
        assert_int_equal(filter, f);
    }
    assert_status(nnd_filter_from_name("cubic", &filter), NND_E_INVALID_ARGUMENT);
}

/* ---- others ---------------------------------------------------------------------------- */

static void test_normalise(void **state)
{
    (void)state;
    test_image src = test_image_new(NND_PIX_RGB, NND_U16, 3, 2, 1),
               dst = test_image_new(NND_PIX_RGB, NND_F32, 3, 2, 1);
    const double mean[4] = {0.5, 0.25, 0}, std[4] = {0.5, 2, 1}, zero[4] = {0};
    test_image_noise(&src, 3);
    assert_ok(nnd_image_normalise(&dst.view, &src.view, 1 / 65535.0, mean, std));
    const uint16_t *in = (const uint16_t *)(const void *)pixel(&src.view, 2, 1);
    const float *out = (const float *)(const void *)pixel(&dst.view, 2, 1);
    for (int c = 0; c < 3; c++)
        assert_float_equal(out[c], (in[c] / 65535.0 - mean[c]) / std[c], 1e-6);
    assert_guards(&dst);
    assert_status(nnd_image_normalise(&dst.view, &src.view, 1, mean, zero), NND_E_INVALID_ARGUMENT);
    test_image_free(&src);
    test_image_free(&dst);
}

static void test_threshold(void **state)
{
    (void)state;
    test_image src = test_image_new(NND_PIX_GRAY, NND_U8, 256, 1, 0),
               dst = test_image_new(NND_PIX_GRAY, NND_U8, 256, 1, 0);
    nnd_threshold_options options = NND_THRESHOLD_OPTIONS_INIT;
    for (int i = 0; i < 256; i++)
        src.view.data[0][i] = (uint8_t)i;
    options.value = 99;
    options.max_value = 7;
    options.invert = true;
    assert_ok(nnd_image_threshold(&dst.view, &src.view, &options, NULL));
    for (int i = 0; i < 256; i++)
        assert_int_equal(dst.view.data[0][i], i > 99 ? 0 : 7);
    options.value = 256;
    assert_status(nnd_image_threshold(&dst.view, &src.view, &options, NULL),
                  NND_E_INVALID_ARGUMENT);
    options.kind = NND_THRESHOLD_ADAPTIVE;
    options.block = 4;
    assert_status(nnd_image_threshold(&dst.view, &src.view, &options, NULL),
                  NND_E_INVALID_ARGUMENT);
    test_image_free(&src);
    test_image_free(&dst);
}

static void test_components(void **state)
{
    (void)state;
    static const char *const picture[5] = {"#.#..##", "#.#..#.", ".#...##", "......#", "###.#.."};
    test_image src = test_image_new(NND_PIX_GRAY, NND_U8, 7, 5, 2);
    nnd_components_options options = NND_COMPONENTS_OPTIONS_INIT;
    nnd_component *list = NULL;
    size_t count = 0;
    for (int y = 0; y < 5; y++)
        for (int x = 0; x < 7; x++)
            src.view.data[0][y * src.view.stride[0] + x] = picture[y][x] == '#' ? 200 : 0;
    assert_ok(nnd_image_components(&src.view, &options, NULL, &list, &count));
    assert_int_equal(count, 4); /* the V at the left is one by its diagonals */
    assert_int_equal(list[0].area, 5);
    assert_int_equal(list[0].box.width, 3);
    assert_int_equal(list[0].box.height, 3);
    assert_float_equal(list[0].cx, 1.5, 1e-9);
    assert_int_equal(list[1].box.x, 5);
    assert_int_equal(list[1].area, 6);
    assert_int_equal(list[3].area, 1);
    assert_float_equal(list[3].cy, 4.5, 1e-9);
    nnd_free(list);
    options.connectivity = 4;
    assert_ok(nnd_image_components(&src.view, &options, NULL, &list, &count));
    assert_int_equal(count, 6);
    nnd_free(list);
    options.max_components = 5;
    assert_status(nnd_image_components(&src.view, &options, NULL, &list, &count), NND_E_LIMIT);
    options.connectivity = 6;
    assert_status(nnd_image_components(&src.view, &options, NULL, &list, &count),
                  NND_E_INVALID_ARGUMENT);
    test_image_free(&src);
}

static void test_refusals(void **state)
{
    (void)state;
    test_image a = test_image_new(NND_PIX_RGB, NND_U8, 8, 8, 0),
               b = test_image_new(NND_PIX_GRAY, NND_U8, 8, 8, 0);
    test_image yuyv = test_image_new(NND_PIX_YUYV, NND_U8, 8, 8, 0),
               small = test_image_new(NND_PIX_RGB, NND_U8, 7, 8, 0);
    nnd_resize_options resize = NND_RESIZE_OPTIONS_INIT;
    assert_status(nnd_image_resize(&a.view, &b.view, NULL), NND_E_TYPE);
    assert_status(nnd_image_flip(&yuyv.view, &yuyv.view, NND_FLIP_BOTH), NND_E_UNSUPPORTED);
    assert_status(nnd_image_resize(NULL, &b.view, NULL), NND_E_INVALID_ARGUMENT);
    resize.filter = (nnd_filter)17;
    assert_status(nnd_image_resize(&a.view, &small.view, &resize), NND_E_INVALID_ARGUMENT);
    resize = (nnd_resize_options)NND_RESIZE_OPTIONS_INIT;
    resize.threads = -1;
    assert_status(nnd_image_resize(&a.view, &small.view, &resize), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_image_convert(&a.view, &small.view, NULL), NND_E_SHAPE);
    nnd_image huge = a.view;
    huge.height = 1 << 20;
    assert_status(nnd_image_convert(&huge, &a.view, NULL), NND_E_LIMIT);
    huge.height = -4;
    assert_status(nnd_image_convert(&huge, &a.view, NULL), NND_E_SHAPE);
    huge = yuyv.view;
    huge.dtype = NND_F32;
    assert_status(nnd_image_convert(&a.view, &huge, NULL), NND_E_TYPE);
    nnd_blur_options blur = NND_BLUR_OPTIONS_INIT;
    blur.kernel_width = 257;
    assert_status(nnd_image_blur(&a.view, &a.view, &blur), NND_E_INVALID_ARGUMENT);
    test_image_free(&a);
    test_image_free(&b);
    test_image_free(&yuyv);
    test_image_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crop),           cmocka_unit_test(test_fill_and_pad),
        cmocka_unit_test(test_orient),         cmocka_unit_test(test_convert_pairs),
        cmocka_unit_test(test_convert_colors), cmocka_unit_test(test_convert_depth),
        cmocka_unit_test(test_regroup),        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_resize_yuyv),    cmocka_unit_test(test_orient_nv12),
        cmocka_unit_test(test_shrink),         cmocka_unit_test(test_nearest_centre),
        cmocka_unit_test(test_normalise),      cmocka_unit_test(test_threshold),
        cmocka_unit_test(test_components),     cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
