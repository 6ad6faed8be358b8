/*
 * Operators whose kernels work in float or write YUV, in every instruction set: the same bits as
 * the reference, and the reference against a plain double-precision formula with a stated bound.
 */
#include <math.h>

#include "ops_support.h"

static const nnd_pixel_format interleaved[] = {NND_PIX_GRAY, NND_PIX_RGB, NND_PIX_BGR, NND_PIX_RGBA,
                                               NND_PIX_BGRA};
static const nnd_dtype dtypes[] = {NND_U8, NND_U16, NND_F32};

static double level(const nnd_image *image, int x, int y, int c)
{
    const uint8_t *row = image->data[0] + y * image->stride[0];
    const int at = x * nnd_pixel_format_channels(image->format) + c;
    if (image->dtype == NND_U8) return row[at];
    if (image->dtype == NND_U16) return ((const uint16_t *)(const void *)row)[at];
    return (double)((const float *)(const void *)row)[at];
}

static double top_level(nnd_dtype dtype)
{
    return dtype == NND_U8 ? 255 : dtype == NND_U16 ? 65535 : 1;
}

/* ---- blur ------------------------------------------------------------------------------ */

static int reflected(int i, int n, nnd_border border)
{
    if (border == NND_BORDER_REPLICATE) return i < 0 ? 0 : i >= n ? n - 1 : i;
    while (n > 1 && (i < 0 || i >= n))
        i = i < 0 ? -i : 2 * (n - 1) - i;
    return n > 1 ? i : 0;
}

static void weights_of(double *weight, int size, const nnd_blur_options *options)
{
    double sum = 0;
    for (int i = 0; i < size; i++) {
        const double d = i - (size - 1) / 2;
        weight[i] = options->kind == NND_BLUR_BOX
                        ? 1
                        : exp(-d * d / (2 * options->sigma_x * options->sigma_x));
        sum += weight[i];
    }
    for (int i = 0; i < size; i++)
        weight[i] /= sum;
}

/* Half a level of rounding for u8, float's precision times the number of taps for f32. */
static void assert_blurred(const nnd_image *got, const nnd_image *src,
                           const nnd_blur_options *options)
{
    static double wx[255], wy[255];
    const int w = options->kernel_width, h = options->kernel_height;
    const double bound = src->dtype == NND_U8 ? 0.501 : 2e-7 * (w + h);
    weights_of(wx, w, options);
    weights_of(wy, h, options);
    for (int y = 0; y < src->height; y++)
        for (int x = 0; x < src->width; x++)
            for (int c = 0; c < nnd_pixel_format_channels(src->format); c++) {
                double want = 0;
                for (int j = 0; j < h; j++)
                    for (int i = 0; i < w; i++)
                        want += wx[i] * wy[j] *
                                level(src, reflected(x + i - w / 2, src->width, options->border),
                                      reflected(y + j - h / 2, src->height, options->border), c);
                if (fabs(level(got, x, y, c) - want) > bound)
                    fail_msg("blur %d x %d at (%d, %d): %g, expected %g", w, h, x, y,
                             level(got, x, y, c), want);
            }
}

static void check_blur(nnd_pixel_format format, nnd_dtype dtype, int width, int height,
                       const nnd_blur_options *options)
{
    test_image src = test_image_new(format, dtype, width, height, 3),
               want = test_image_new(format, dtype, width, height, 0),
               got = test_image_new(format, dtype, width, height, 2);
    test_image_noise(&src, (uint32_t)width);
    FOR_EACH_ISA
    {
        assert_ok(nnd_image_blur(&got.view, &src.view, options));
        assert_guards(&got);
        if (isa_ == 0) {
            assert_ok(nnd_image_copy(&want.view, &got.view));
            assert_blurred(&got.view, &src.view, options);
        }
        assert_same_pixels(&got.view, &want.view);
    }
    test_image_free(&src);
    test_image_free(&want);
    test_image_free(&got);
}

static void test_blur(void **state)
{
    (void)state;
    static const int kernels[][2] = {{1, 1}, {3, 3}, {5, 1}, {1, 7}, {9, 17}, {31, 3}};
    for (size_t f = 0; f < 5; f++)
        for (size_t d = 0; d < 3; d += 2)
            for (size_t k = 0; k < sizeof(kernels) / sizeof(kernels[0]); k++)
                for (int kind = NND_BLUR_BOX; kind <= NND_BLUR_GAUSSIAN; kind++) {
                    nnd_blur_options options = NND_BLUR_OPTIONS_INIT;
                    options.kind = (nnd_blur_kind)kind;
                    options.kernel_width = kernels[k][0];
                    options.kernel_height = kernels[k][1];
                    options.sigma_x = options.sigma_y = 1.7;
                    options.border = k % 2 ? NND_BORDER_REFLECT : NND_BORDER_REPLICATE;
                    check_blur(interleaved[f], dtypes[d], 37, 7, &options);
                    check_blur(interleaved[f], dtypes[d], 2, 19, &options);
                }
}

/* ---- conversion ------------------------------------------------------------------------ */

/* Deep pictures to everything, and everything to deep pictures. */
static void test_convert_deep(void **state)
{
    (void)state;
    for (size_t a = 0; a < 5; a++)
        for (size_t b = 0; b < 8; b++)
            for (size_t d = 0; d < 9; d++)
                for (int width = 1; width <= 53; width += 13) {
                    const bool yuv = b >= 5;
                    const nnd_dtype from = dtypes[d / 3], to = yuv ? NND_U8 : dtypes[d % 3];
                    const nnd_pixel_format format =
                        yuv ? (nnd_pixel_format)(NND_PIX_NV12 + (int)(b - 5)) : interleaved[b];
                    test_image src = test_image_new(interleaved[a], from, width, 5, 3),
                               want = test_image_new(format, to, width, 5, 0),
                               got = test_image_new(format, to, width, 5, 1);
                    test_image_noise(&src, (uint32_t)width);
                    FOR_EACH_ISA
                    {
                        assert_ok(nnd_image_convert(&got.view, &src.view, NULL));
                        assert_guards(&got);
                        if (isa_ == 0) assert_ok(nnd_image_copy(&want.view, &got.view));
                        assert_same_pixels(&got.view, &want.view);
                    }
                    test_image_free(&src);
                    test_image_free(&want);
                    test_image_free(&got);
                }
}

typedef struct yuv_formula {
    double y[3], u[3], v[3], above;
} yuv_formula;

static yuv_formula formula_of(const nnd_image *image)
{
    const bool full = image->range == NND_RANGE_FULL, wide = image->matrix == NND_MATRIX_BT709;
    const double r = wide ? 0.2126 : 0.299, b = wide ? 0.0722 : 0.114;
    const double luma = full ? 1 : 219.0 / 255, chroma = full ? 1 : 224.0 / 255;
    const double y[3] = {r, 1 - r - b, b};
    yuv_formula f = {.above = full ? 0 : 16};
    for (int k = 0; k < 3; k++) {
        f.y[k] = y[k] * luma;
        f.u[k] = ((k == 2) - y[k]) / (2 * (1 - b)) * chroma;
        f.v[k] = ((k == 0) - y[k]) / (2 * (1 - r)) * chroma;
    }
    return f;
}

static double weigh(const double weight[3], const double rgb[3])
{
    return weight[0] * rgb[0] + weight[1] * rgb[1] + weight[2] * rgb[2];
}

/* Rounding, and weights in 2⁻¹⁵. Chroma of full range may reach 255.5, which is written as 255. */
static void assert_level(int got, double want)
{
    want = want > 255 ? 255 : want;
    if (fabs(got - want) > 0.52) fail_msg("%d is written, expected %g", got, want);
}

/* NV12 written from `rgb`, against the definition. */
static void assert_nv12(const nnd_image *nv12, const nnd_image *rgb)
{
    const yuv_formula f = formula_of(nv12);
    const bool bgr = rgb->format == NND_PIX_BGR || rgb->format == NND_PIX_BGRA;
    for (int y = 0; y < rgb->height; y += 2)
        for (int x = 0; x < rgb->width; x += 2) {
            double mean[3] = {0, 0, 0};
            int count = 0;
            for (int k = 0; k < 4; k++) {
                const int px = x + k % 2, py = y + k / 2;
                if (px >= rgb->width || py >= rgb->height) continue;
                double pixel[3];
                for (int c = 0; c < 3; c++) {
                    pixel[c] = level(rgb, px, py, bgr ? 2 - c : c);
                    mean[c] += pixel[c];
                }
                assert_level(nv12->data[0][py * nv12->stride[0] + px], weigh(f.y, pixel) + f.above);
                count++;
            }
            for (int c = 0; c < 3; c++)
                mean[c] /= count;
            const uint8_t *uv = nv12->data[1] + y / 2 * nv12->stride[1] + x;
            assert_level(uv[0], weigh(f.u, mean) + 128);
            assert_level(uv[1], weigh(f.v, mean) + 128);
        }
}

static void test_write_yuv(void **state)
{
    (void)state;
    for (size_t a = 1; a < 5; a++)
        for (int k = 0; k < 4; k++)
            for (int width = 1; width <= 70; width += 23) {
                test_image rgb = test_image_new(interleaved[a], NND_U8, width, 7, 1),
                           nv12 = test_image_new(NND_PIX_NV12, NND_U8, width, 7, 2);
                nv12.view.matrix = k & 1 ? NND_MATRIX_BT709 : NND_MATRIX_BT601;
                nv12.view.range = k & 2 ? NND_RANGE_FULL : NND_RANGE_LIMITED;
                test_image_noise(&rgb, (uint32_t)(width + k));
                FOR_EACH_ISA
                {
                    assert_ok(nnd_image_convert(&nv12.view, &rgb.view, NULL));
                    assert_nv12(&nv12.view, &rgb.view);
                }
                test_image_free(&rgb);
                test_image_free(&nv12);
            }
}

/* ---- resize ---------------------------------------------------------------------------- */

/* More taps than fixed point takes: sums in float, of two channels too. */
static void test_many_taps(void **state)
{
    (void)state;
    static const nnd_pixel_format formats[] = {NND_PIX_GRAY, NND_PIX_RGB, NND_PIX_RGBA,
                                               NND_PIX_NV12, NND_PIX_YUYV};
    for (size_t f = 0; f < 5; f++) {
        test_image src = test_image_new(formats[f], NND_U8, 1403, 290, 1),
                   want = test_image_new(formats[f], NND_U8, 9, 3, 0),
                   got = test_image_new(formats[f], NND_U8, 9, 3, 2);
        nnd_resize_options options = NND_RESIZE_OPTIONS_INIT;
        options.filter = NND_FILTER_AREA;
        test_image_noise(&src, 4);
        FOR_EACH_ISA
        {
            assert_ok(nnd_image_resize(&got.view, &src.view, &options));
            assert_guards(&got);
            if (isa_ == 0) assert_ok(nnd_image_copy(&want.view, &got.view));
            assert_same_pixels(&got.view, &want.view);
        }
        for (int x = 0; x < 9 && f == 0; x++)
            assert_in_range(got.view.data[0][x], 120, 135); /* the mean of noise */
        test_image_free(&src);
        test_image_free(&want);
        test_image_free(&got);
    }
}

/* ---- tensors --------------------------------------------------------------------------- */

#define WIDTH    53
#define HEIGHT   5
#define ELEMENTS (4 * WIDTH * HEIGHT)

static size_t depth_of(nnd_dtype dtype)
{
    return nnd_dtype_bits(dtype) / 8;
}

static nnd_tensor tensor_of(nnd_dtype dtype, nnd_layout layout, int channels, void *data)
{
    const int64_t nchw[3] = {channels, HEIGHT, WIDTH}, nhwc[3] = {HEIGHT, WIDTH, channels};
    nnd_tensor t;
    assert_ok(nnd_tensor_init(&t, dtype, 3, layout == NND_LAYOUT_NCHW ? nchw : nhwc, data));
    t.layout = layout;
    return t;
}

/* Elements around the range of levels 0 … 1. */
static void fill_elements(nnd_dtype dtype, void *data)
{
    uint32_t seed = 5;
    for (size_t i = 0; i < ELEMENTS; i++) {
        const float v = (float)(next_random(&seed) & 0xffff) / 50000.0f - 0.15f;
        if (dtype == NND_F32)
            ((float *)data)[i] = v;
        else if (dtype == NND_F16) /* 2⁻² … 2⁰, both signs of the smallest ones */
            ((uint16_t *)data)[i] = (uint16_t)(0x3400 + (next_random(&seed) % 0x900));
        else
            ((uint8_t *)data)[i] = (uint8_t)next_random(&seed);
    }
}

static void test_from_tensor(void **state)
{
    (void)state;
    static const nnd_dtype elements[] = {NND_F32, NND_F16, NND_U8};
    static float data[ELEMENTS];
    for (size_t e = 0; e < 3; e++)
        for (size_t order = 0; order < 5; order++)
            for (size_t f = 0; f < 5; f++)
                for (size_t d = 0; d < 3; d++)
                    for (int layout = NND_LAYOUT_NCHW; layout <= NND_LAYOUT_NHWC; layout++) {
                        nnd_from_tensor_options options = NND_FROM_TENSOR_OPTIONS_INIT;
                        options.order = interleaved[order];
                        if (elements[e] == NND_U8) options.scale = 1;
                        options.mean[0] = 0.1;
                        options.std[1] = 0.9;
                        fill_elements(elements[e], data);
                        const nnd_tensor t =
                            tensor_of(elements[e], (nnd_layout)layout,
                                      nnd_pixel_format_channels(options.order), data);
                        test_image want =
                                       test_image_new(interleaved[f], dtypes[d], WIDTH, HEIGHT, 0),
                                   got =
                                       test_image_new(interleaved[f], dtypes[d], WIDTH, HEIGHT, 3);
                        FOR_EACH_ISA
                        {
                            assert_ok(nnd_image_from_tensor(&got.view, &t, &options));
                            assert_guards(&got);
                            if (isa_ == 0) assert_ok(nnd_image_copy(&want.view, &got.view));
                            assert_same_pixels(&got.view, &want.view);
                        }
                        test_image_free(&want);
                        test_image_free(&got);
                    }
}

/* One channel against the formula, in every layout: half a level and float's precision. */
static void test_from_tensor_levels(void **state)
{
    (void)state;
    static float data[ELEMENTS];
    nnd_from_tensor_options options = NND_FROM_TENSOR_OPTIONS_INIT;
    options.order = NND_PIX_BGR;
    for (int c = 0; c < 3; c++) {
        options.mean[c] = 0.05 * c;
        options.std[c] = 1 - 0.1 * c;
    }
    fill_elements(NND_F32, data);
    for (size_t d = 0; d < 3; d++)
        for (int layout = NND_LAYOUT_NCHW; layout <= NND_LAYOUT_NHWC; layout++) {
            const nnd_tensor t = tensor_of(NND_F32, (nnd_layout)layout, 3, data);
            const double top = top_level(dtypes[d]), bound = d == 2 ? 1e-6 : 0.505;
            test_image rgb = test_image_new(NND_PIX_RGB, dtypes[d], WIDTH, HEIGHT, 1);
            assert_ok(nnd_image_from_tensor(&rgb.view, &t, &options));
            for (int i = 0; i < WIDTH * HEIGHT; i++)
                for (int c = 0; c < 3; c++) {
                    const float v =
                        layout == NND_LAYOUT_NCHW ? data[c * WIDTH * HEIGHT + i] : data[3 * i + c];
                    const double exact = ((double)v * options.std[c] + options.mean[c]) * top;
                    const double want = exact < 0 ? 0 : exact > top ? top : exact;
                    if (fabs(level(&rgb.view, i % WIDTH, i / WIDTH, 2 - c) - want) > bound)
                        fail_msg("pixel %d channel %d: expected %g", i, c, want);
                }
            test_image_free(&rgb);
        }
}

static void test_to_tensor_deep(void **state)
{
    (void)state;
    static const nnd_dtype elements[] = {NND_F32, NND_F16, NND_U8};
    static float got[ELEMENTS], want[ELEMENTS];
    for (size_t e = 0; e < 3; e++)
        for (size_t order = 0; order < 5; order++)
            for (size_t f = 0; f < 5; f++)
                for (size_t d = 1; d < 3; d++)
                    for (int layout = NND_LAYOUT_NCHW; layout <= NND_LAYOUT_NHWC; layout++) {
                        const int channels = nnd_pixel_format_channels(interleaved[order]);
                        const size_t bytes =
                            (size_t)channels * WIDTH * HEIGHT * depth_of(elements[e]);
                        nnd_to_tensor_options options = NND_TO_TENSOR_OPTIONS_INIT;
                        options.order = interleaved[order];
                        options.fit = NND_FIT_LETTERBOX;
                        options.scale = elements[e] == NND_U8 ? 1 : 1.0 / 255;
                        options.std[1] = 0.5;
                        nnd_tensor t = tensor_of(elements[e], (nnd_layout)layout, channels, got);
                        test_image src = test_image_new(interleaved[f], dtypes[d], 87, 11, 1);
                        test_image_noise(&src, 2);
                        FOR_EACH_ISA
                        {
                            memset(got, 0, sizeof(got));
                            assert_ok(nnd_image_to_tensor(&t, &src.view, &options, NULL));
                            if (isa_ == 0) memcpy(want, got, sizeof(want));
                            assert_memory_equal(got, want, bytes);
                        }
                        test_image_free(&src);
                    }
}

/* ---- normalise ------------------------------------------------------------------------- */

static void test_normalise(void **state)
{
    (void)state;
    static const double mean[4] = {0.4, 0.5, 0.6, 0}, std[4] = {0.2, 0.25, 0.3, 1};
    for (size_t f = 0; f < 5; f++)
        for (size_t d = 0; d < 3; d++) {
            test_image src = test_image_new(interleaved[f], dtypes[d], 61, 4, 1),
                       dst = test_image_new(interleaved[f], NND_F32, 61, 4, 2),
                       want = test_image_new(interleaved[f], NND_F32, 61, 4, 0);
            const double scale = 1 / top_level(dtypes[d]);
            const int channels = nnd_pixel_format_channels(interleaved[f]);
            test_image_noise(&src, 9);
            FOR_EACH_ISA
            {
                assert_ok(nnd_image_normalise(&dst.view, &src.view, scale, mean, std));
                assert_guards(&dst);
                if (isa_ == 0) assert_ok(nnd_image_copy(&want.view, &dst.view));
                assert_same_pixels(&dst.view, &want.view);
            }
            for (int x = 0; x < 61; x++)
                for (int c = 0; c < channels; c++)
                    assert_float_equal(level(&dst.view, x, 3, c),
                                       (level(&src.view, x, 3, c) * scale - mean[c]) / std[c],
                                       2e-6);
            test_image_free(&src);
            test_image_free(&dst);
            test_image_free(&want);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blur),           cmocka_unit_test(test_convert_deep),
        cmocka_unit_test(test_write_yuv),      cmocka_unit_test(test_many_taps),
        cmocka_unit_test(test_from_tensor),    cmocka_unit_test(test_from_tensor_levels),
        cmocka_unit_test(test_to_tensor_deep), cmocka_unit_test(test_normalise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
