/* Warps against a plain double-precision interpolation, in every instruction set and format. */
#include <math.h>

#include "ops_support.h"

static const nnd_pixel_format formats[] = {NND_PIX_GRAY, NND_PIX_BGR, NND_PIX_RGBA};
static const nnd_dtype dtypes[] = {NND_U8, NND_U16, NND_F32};

static double level(const nnd_image *image, int x, int y, int c)
{
    const int channels = nnd_pixel_format_channels(image->format);
    const uint8_t *row = image->data[0] + y * image->stride[0];
    const int at = x * channels + c;
    if (image->dtype == NND_U8) return row[at];
    if (image->dtype == NND_U16) return ((const uint16_t *)(const void *)row)[at];
    return (double)((const float *)(const void *)row)[at];
}

static double neighbour(const nnd_image *image, int x, int y, int c,
                        const nnd_warp_options *options)
{
    const bool outside = x < 0 || y < 0 || x >= image->width || y >= image->height;
    if (outside && options->border == NND_BORDER_CONSTANT) return options->value[c];
    x = x < 0 ? 0 : x >= image->width ? image->width - 1 : x;
    y = y < 0 ? 0 : y >= image->height ? image->height - 1 : y;
    return level(image, x, y, c);
}

/* The level that pixel (x, y) should have, from the definition. */
static double expected(const nnd_image *src, const double m[9], int x, int y, int c,
                       const nnd_warp_options *options)
{
    const double w = m[6] * (x + 0.5) + m[7] * (y + 0.5) + m[8];
    const double sx = (m[0] * (x + 0.5) + m[1] * (y + 0.5) + m[2]) / w - 0.5;
    const double sy = (m[3] * (x + 0.5) + m[4] * (y + 0.5) + m[5]) / w - 0.5;
    const int left = (int)floor(sx), top = (int)floor(sy);
    const double fx = sx - left, fy = sy - top;
    const double upper = neighbour(src, left, top, c, options) * (1 - fx) +
                         neighbour(src, left + 1, top, c, options) * fx;
    const double lower = neighbour(src, left, top + 1, c, options) * (1 - fx) +
                         neighbour(src, left + 1, top + 1, c, options) * fx;
    return upper * (1 - fy) + lower * fy;
}

static void check_warp(nnd_pixel_format format, nnd_dtype dtype, nnd_border border,
                       const double m[9], bool perspective, int width, int height)
{
    test_image src = test_image_new(format, dtype, 41, 33, 2),
               dst = test_image_new(format, dtype, width, height, 3);
    test_image first = test_image_new(format, dtype, width, height, 0);
    nnd_warp_options options = NND_WARP_OPTIONS_INIT;
    const int channels = nnd_pixel_format_channels(format);
    const double max = dtype == NND_U8 ? 255 : dtype == NND_U16 ? 65535 : 1;
    /* Half a level of rounding, and 2⁻¹⁵ pixel across the sharpest edge. */
    const double tolerance = dtype == NND_U8 ? 0.55 : max / 8000 + (dtype == NND_U16 ? 0.5 : 0);
    options.border = border;
    options.inverse = true;
    for (int c = 0; c < 4; c++)
        options.value[c] = dtype == NND_F32 ? 0.25 * c : 40.0 * c;
    test_image_noise(&src, 21);
    FOR_EACH_ISA
    {
        if (perspective)
            assert_ok(nnd_image_warp_perspective(&dst.view, &src.view, m, &options));
        else
            assert_ok(nnd_image_warp_affine(&dst.view, &src.view, m, &options, NULL));
        assert_guards(&dst);
        if (isa_ == 0) assert_ok(nnd_image_copy(&first.view, &dst.view));
        assert_same_pixels(&dst.view, &first.view);
    }
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++) {
                const double want = expected(&src.view, m, x, y, c, &options),
                             got = level(&dst.view, x, y, c);
                if (fabs(got - want) > tolerance)
                    fail_msg("pixel (%d, %d) channel %d is %g, expected %g", x, y, c, got, want);
            }
    test_image_free(&src);
    test_image_free(&dst);
    test_image_free(&first);
}

static const double maps[][9] = {
    {1, 0, 0, 0, 1, 0, 0, 0, 1},                       /* unchanged */
    {0.9, -0.3, 5.25, 0.25, 1.1, -4.5, 0, 0, 1},       /* turned */
    {-0.2, 0.01, 30, 0.02, 0.3, 3, 0, 0, 1},           /* enlarged and mirrored */
    {5, 1, -40, -2, 7, 20, 0, 0, 1},                   /* mostly outside */
    {0.95, 0.12, 3, -0.08, 1.05, 4, 0.004, -0.003, 1}, /* perspective */
};

static void test_bilinear(void **state)
{
    (void)state;
    for (size_t f = 0; f < 3; f++)
        for (size_t d = 0; d < 3; d++)
            for (size_t m = 0; m < 5; m++)
                for (int border = NND_BORDER_CONSTANT; border <= NND_BORDER_REPLICATE; border++) {
                    check_warp(formats[f], dtypes[d], (nnd_border)border, maps[m], m == 4, 53, 29);
                    check_warp(formats[f], dtypes[d], (nnd_border)border, maps[m], m == 4, 1, 1);
                    check_warp(formats[f], dtypes[d], (nnd_border)border, maps[m], m == 4, 290, 3);
                }
}

/* Whole pixels, by the definition but where the place is next to an edge between two of them. */
static void check_nearest(nnd_pixel_format format, nnd_dtype dtype, nnd_border border,
                          const double m[9])
{
    test_image src = test_image_new(format, dtype, 41, 33, 2),
               dst = test_image_new(format, dtype, 150, 29, 3);
    nnd_warp_options options = NND_WARP_OPTIONS_INIT;
    options.border = border;
    options.filter = NND_FILTER_NEAREST;
    options.inverse = true;
    for (int c = 0; c < 4; c++)
        options.value[c] = dtype == NND_F32 ? 0.25 * c : 40.0 * c;
    test_image_noise(&src, 22);
    FOR_EACH_ISA
    {
        assert_ok(nnd_image_warp_perspective(&dst.view, &src.view, m, &options));
        assert_guards(&dst);
        for (int y = 0; y < 29; y++)
            for (int x = 0; x < 150; x++) {
                const double w = m[6] * (x + 0.5) + m[7] * (y + 0.5) + m[8];
                const double sx = (m[0] * (x + 0.5) + m[1] * (y + 0.5) + m[2]) / w;
                const double sy = (m[3] * (x + 0.5) + m[4] * (y + 0.5) + m[5]) / w;
                if (fabs(sx - rint(sx)) < 1e-3 || fabs(sy - rint(sy)) < 1e-3) continue;
                for (int c = 0; c < nnd_pixel_format_channels(format); c++)
                    assert_float_equal(
                        level(&dst.view, x, y, c),
                        neighbour(&src.view, (int)floor(sx), (int)floor(sy), c, &options), 0);
            }
    }
    test_image_free(&src);
    test_image_free(&dst);
}

static void test_nearest_pixels(void **state)
{
    (void)state;
    for (size_t f = 0; f < 3; f++)
        for (size_t d = 0; d < 3; d++)
            for (size_t m = 0; m < 5; m++)
                for (int border = NND_BORDER_CONSTANT; border <= NND_BORDER_REPLICATE; border++)
                    check_nearest(formats[f], dtypes[d], (nnd_border)border, maps[m]);
}

static void test_nearest(void **state)
{
    (void)state;
    test_image src = test_image_new(NND_PIX_RGB, NND_U8, 8, 6, 0),
               dst = test_image_new(NND_PIX_RGB, NND_U8, 6, 8, 0);
    test_image turned = test_image_new(NND_PIX_RGB, NND_U8, 6, 8, 0);
    nnd_warp_options options = NND_WARP_OPTIONS_INIT;
    nnd_geometry g;
    const double quarter[6] = {0, -1, 6, 1, 0, 0}; /* clockwise: (x, y) goes to (6 − y, x) */
    test_image_noise(&src, 3);
    assert_ok(nnd_image_rotate(&turned.view, &src.view, 90));
    for (int filter = 0; filter < 2; filter++) {
        options.filter = filter ? NND_FILTER_NEAREST : NND_FILTER_BILINEAR;
        assert_ok(nnd_image_warp_affine(&dst.view, &src.view, quarter, &options, &g));
        assert_same_pixels(&dst.view, &turned.view);
    }
    double x, y;
    nnd_geometry_to_source(&g, 6, 0, &x, &y);
    assert_float_equal(x, 0, 1e-9);
    assert_float_equal(y, 0, 1e-9);
    options.filter = NND_FILTER_AREA;
    assert_status(nnd_image_warp_affine(&dst.view, &src.view, quarter, &options, NULL),
                  NND_E_INVALID_ARGUMENT);
    test_image_free(&src);
    test_image_free(&dst);
    test_image_free(&turned);
}

static void test_crop_rotated(void **state)
{
    (void)state;
    test_image src = test_image_new(NND_PIX_GRAY, NND_U8, 30, 20, 0),
               dst = test_image_new(NND_PIX_GRAY, NND_U8, 6, 4, 0);
    const nnd_rotated_rect straight = {15, 10, 6, 4, 0}, turned = {15, 10, 6, 4, 180};
    nnd_geometry g;
    test_image_noise(&src, 2);
    assert_ok(nnd_image_crop_rotated(&dst.view, &src.view, &straight, NULL, &g));
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 6; x++)
            assert_int_equal(dst.view.data[0][y * 6 + x], src.view.data[0][(y + 8) * 30 + x + 12]);
    assert_float_equal(g.m[2], 12, 1e-9);
    assert_ok(nnd_image_crop_rotated(&dst.view, &src.view, &turned, NULL, NULL));
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 6; x++)
            assert_int_equal(dst.view.data[0][y * 6 + x], src.view.data[0][(11 - y) * 30 + 17 - x]);
    test_image_free(&src);
    test_image_free(&dst);
}

/* Places far outside, infinite coordinates and matrices that are no matrices. */
static void test_hostile_matrices(void **state)
{
    (void)state;
    test_image src = test_image_new(NND_PIX_BGR, NND_U8, 9, 9, 0),
               dst = test_image_new(NND_PIX_BGR, NND_U8, 70, 3, 1);
    nnd_warp_options options = NND_WARP_OPTIONS_INIT;
    const double far[6] = {1e300, 0, -1e300, 0, 1e300, 1e300},
                 nan[6] = {(double)NAN, 0, 0, 0, 1, 0};
    const double horizon[9] = {1, 0, 0, 0, 1, 0, 1, 0, -35.5}; /* w is 0 in the middle of the row */
    options.inverse = true;
    options.value[0] = options.value[1] = options.value[2] = 9;
    test_image_noise(&src, 1);
    assert_ok(nnd_image_warp_affine(&dst.view, &src.view, far, &options, NULL));
    assert_int_equal(dst.view.data[0][0], 9);
    options.border = NND_BORDER_REPLICATE;
    assert_ok(nnd_image_warp_affine(&dst.view, &src.view, far, &options, NULL));
    assert_ok(nnd_image_warp_perspective(&dst.view, &src.view, horizon, &options));
    assert_guards(&dst);
    assert_status(nnd_image_warp_affine(&dst.view, &src.view, nan, &options, NULL),
                  NND_E_INVALID_ARGUMENT);
    assert_status(nnd_image_warp_affine(&dst.view, &src.view, NULL, &options, NULL),
                  NND_E_INVALID_ARGUMENT);
    options.inverse = false;
    assert_status(nnd_image_warp_affine(&dst.view, &src.view, (const double[6]){0}, &options, NULL),
                  NND_E_SHAPE);
    options.border = NND_BORDER_REFLECT;
    assert_status(nnd_image_warp_affine(&dst.view, &src.view, far, &options, NULL),
                  NND_E_INVALID_ARGUMENT);
    test_image_free(&src);
    test_image_free(&dst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bilinear),         cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_nearest_pixels),   cmocka_unit_test(test_crop_rotated),
        cmocka_unit_test(test_hostile_matrices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
