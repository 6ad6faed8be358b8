/*
 * Agreement with OpenCV (antialiasing: with its definition) on tests/ops/data/opencv.bin, which
 * tools/testdata/make_ops_opencv.py writes. Each check states its tolerance in levels; every
 * instruction set is run.
 */
#include "ops_support.h"

typedef struct record {
    int channels, height, width;
    const uint8_t *pixels;
} record;

static uint8_t *file_data;
static size_t file_size;

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int load_file(void **state)
{
    (void)state;
    FILE *file = fopen(NND_SOURCE_DIR "/tests/ops/data/opencv.bin", "rb");
    if (!file) return -1;
    file_data = malloc(1 << 20);
    file_size = file_data ? fread(file_data, 1, 1 << 20, file) : 0;
    fclose(file);
    return file_size > 0 ? 0 : -1;
}

static int free_file(void **state)
{
    (void)state;
    free(file_data);
    return 0;
}

static record find(const char *name)
{
    for (size_t at = 0; at + 28 <= file_size;) {
        const uint8_t *p = file_data + at;
        const record r = {(int)read_u32(p + 16), (int)read_u32(p + 20), (int)read_u32(p + 24),
                          p + 28};
        if (strncmp((const char *)p, name, 16) == 0) return r;
        at += 28 + (size_t)r.channels * (size_t)r.height * (size_t)r.width;
    }
    fail_msg("opencv.bin has no record %s", name);
    return (record){0};
}

/* A view of a record; the library does not write to sources. */
static nnd_image view_of(record r, nnd_pixel_format format)
{
    nnd_image image;
    assert_ok(nnd_image_init(&image, format, NND_U8, r.width, r.height, 0,
                             (void *)(uintptr_t)r.pixels, NULL));
    return image;
}

static nnd_pixel_format format_of(record r)
{
    return r.channels == 1 ? NND_PIX_GRAY : r.channels == 3 ? NND_PIX_BGR : NND_PIX_BGRA;
}

static void assert_near(const nnd_image *got, record want, int tolerance, const char *name)
{
    const size_t row = (size_t)want.width * (size_t)want.channels;
    int worst = 0;
    size_t at = 0;
    for (int y = 0; y < want.height; y++)
        for (size_t i = 0; i < row; i++) {
            const int d = abs(got->data[0][y * got->stride[0] + (int64_t)i] -
                              want.pixels[(size_t)y * row + i]);
            if (d > worst) {
                worst = d;
                at = (size_t)y * row + i;
            }
        }
    if (worst > tolerance)
        fail_msg("%s on %s: %d levels off at byte %zu (row %zu), %d allowed", name,
                 nnd_isa_name(nnd_isa_current()), worst, at, at / row, tolerance);
}

/* ---- resize ---------------------------------------------------------------------------- */

static void check_resize(const char *name, nnd_filter filter, bool antialias, int tolerance)
{
    const record from = find("scene"), want = find(name);
    nnd_image src = view_of(from, format_of(from));
    test_image own = {0}, dst = test_image_new(format_of(want), NND_U8, want.width, want.height, 3);
    if (want.channels !=
        from.channels) { /* the first channel, or the second one repeated as fourth */
        own = test_image_new(format_of(want), NND_U8, from.width, from.height, 0);
        const int c = want.channels;
        for (int i = 0; i < from.width * from.height; i++)
            for (int k = 0; k < c; k++)
                own.view.data[0][i * c + k] = from.pixels[i * from.channels + (k == 3 ? 1 : k)];
        src = own.view;
    }
    nnd_resize_options options = NND_RESIZE_OPTIONS_INIT;
    options.filter = filter;
    options.antialias = antialias;
    FOR_EACH_ISA
    {
        assert_ok(nnd_image_resize(&dst.view, &src, &options));
        assert_near(&dst.view, want, tolerance, name);
        assert_guards(&dst);
    }
    test_image_free(&dst);
    test_image_free(&own);
}

static void test_resize(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        nnd_filter filter;
        int tolerance;
    } filters[] = {
        {"near", NND_FILTER_NEAREST, 0},  {"line", NND_FILTER_BILINEAR, 1},
        {"cubic", NND_FILTER_BICUBIC, 1}, {"area", NND_FILTER_AREA, 1},
        {"lancz", NND_FILTER_LANCZOS, 1},
    };
    static const char *const sizes[] = {"23x17", "32x24", "80x61", "50x13", "7x5"};
    for (size_t f = 0; f < sizeof(filters) / sizeof(filters[0]); f++)
        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            char name[32];
            snprintf(name, sizeof(name), "%s_%s", filters[f].name, sizes[s]);
            check_resize(name, filters[f].filter, false, filters[f].tolerance);
        }
    check_resize("area_c1", NND_FILTER_AREA, false, 1);
    check_resize("line_c4", NND_FILTER_BILINEAR, false, 1);
    check_resize("aa_line_23x17", NND_FILTER_BILINEAR, true, 1);
    check_resize("aa_line_7x5", NND_FILTER_BILINEAR, true, 1);
    check_resize("aa_cubic_23x17", NND_FILTER_BICUBIC, true, 1);
    check_resize("aa_cubic_7x5", NND_FILTER_BICUBIC, true, 1);
}

/* ---- warps ----------------------------------------------------------------------------- */

/* A smooth picture: OpenCV rounds positions to 1/32 pixel, ours are exact. */
static void test_warps(void **state)
{
    (void)state;
    static const double affine[6] = {0.9, -0.3, 12.0, 0.25, 1.1, -6.0};
    static const double perspective[9] = {0.95, 0.12, 3.0, -0.08, 1.05, 4.0, 0.0006, -0.0004, 1.0};
    const record from = find("smooth");
    const nnd_image src = view_of(from, NND_PIX_BGR);
    test_image dst = test_image_new(NND_PIX_BGR, NND_U8, 60, 50, 1);
    double m[9];
    nnd_warp_options options = NND_WARP_OPTIONS_INIT;
    FOR_EACH_ISA
    {
        nnd_affine_from_centres(affine, m);
        options.border = NND_BORDER_CONSTANT;
        options.value[0] = 10, options.value[1] = 20, options.value[2] = 30;
        assert_ok(nnd_image_warp_affine(&dst.view, &src, m, &options, NULL));
        /* Against a constant border a 1/64 pixel is worth up to 255/64 levels. */
        assert_near(&dst.view, find("affine_const"), 4, "affine_const");
        options.border = NND_BORDER_REPLICATE;
        assert_ok(nnd_image_warp_affine(&dst.view, &src, m, &options, NULL));
        assert_near(&dst.view, find("affine_repl"), 1, "affine_repl");
        nnd_perspective_from_centres(perspective, m);
        options.border = NND_BORDER_CONSTANT;
        memset(options.value, 0, sizeof(options.value));
        assert_ok(nnd_image_warp_perspective(&dst.view, &src, m, &options));
        assert_near(&dst.view, find("persp_const"), 4, "persp_const");
        assert_guards(&dst);
    }
    test_image_free(&dst);
}

/* ---- colour ---------------------------------------------------------------------------- */

static void check_convert(nnd_image *src, const char *name, nnd_pixel_format format, int tolerance)
{
    const record want = find(name);
    test_image dst = test_image_new(format, NND_U8, src->width, src->height, 5);
    FOR_EACH_ISA
    {
        assert_ok(nnd_image_convert(&dst.view, src, NULL));
        assert_near(&dst.view, want, tolerance, name);
        assert_guards(&dst);
    }
    test_image_free(&dst);
}

static void test_colors(void **state)
{
    (void)state;
    const record scene = find("scene"), planes = find("yuv420"), packed = find("yuyv");
    nnd_image bgr = view_of(scene, NND_PIX_BGR), nv12, i420, yuyv;
    uint8_t *yuv = (uint8_t *)(uintptr_t)planes.pixels;
    check_convert(&bgr, "gray", NND_PIX_GRAY, 1);
    assert_ok(nnd_image_init(&nv12, NND_PIX_NV12, NND_U8, 32, 24, 0, yuv, NULL));
    check_convert(&nv12, "nv12_bgr", NND_PIX_BGR, 1);
    assert_ok(nnd_image_init(&i420, NND_PIX_I420, NND_U8, 32, 24, 0, yuv, NULL));
    check_convert(&i420, "i420_rgb", NND_PIX_RGB, 1);
    assert_ok(nnd_image_init(&yuyv, NND_PIX_YUYV, NND_U8, 20, 12, 0,
                             (void *)(uintptr_t)packed.pixels, NULL));
    check_convert(&yuyv, "yuyv_bgr", NND_PIX_BGR, 1);
}

static void test_spaces(void **state)
{
    (void)state;
    const record scene = find("scene");
    const nnd_image bgr = view_of(scene, NND_PIX_BGR);
    test_image space = test_image_new(NND_PIX_RGB, NND_U8, 64, 48, 2),
               back = test_image_new(NND_PIX_BGR, NND_U8, 64, 48, 0);
    assert_ok(nnd_image_to_space(&space.view, &bgr, NND_SPACE_HSV));
    const record hsv = find("hsv");
    for (int y = 0; y < 48; y++)
        for (int x = 0; x < 64; x++) {
            const uint8_t *got = space.view.data[0] + y * space.view.stride[0] + 3 * x;
            const uint8_t *want = hsv.pixels + (y * 64 + x) * 3;
            const int d = abs(got[0] - want[0]); /* hue is a circle of 180 */
            assert_true(d <= 1 || d >= 179);
            assert_in_range(got[1] + 1 - want[1], 0, 2);
            assert_int_equal(got[2], want[2]);
        }
    assert_ok(nnd_image_from_space(&back.view, &space.view, NND_SPACE_HSV));
    assert_near(&back.view, scene, 5, "HSV and back"); /* two degrees of hue per step */
    assert_ok(nnd_image_to_space(&space.view, &bgr, NND_SPACE_YCRCB));
    assert_near(&space.view, find("ycrcb"), 1, "YCrCb");
    assert_ok(nnd_image_from_space(&back.view, &space.view, NND_SPACE_YCRCB));
    assert_near(&back.view, scene, 2, "YCrCb and back");
    test_image_free(&space);
    test_image_free(&back);
}

/* ---- filters --------------------------------------------------------------------------- */

static void test_thresholds(void **state)
{
    (void)state;
    const nnd_image gray = view_of(find("gray"), NND_PIX_GRAY);
    test_image dst = test_image_new(NND_PIX_GRAY, NND_U8, 64, 48, 7);
    nnd_threshold_options options = NND_THRESHOLD_OPTIONS_INIT;
    int used = 0;
    options.kind = NND_THRESHOLD_OTSU;
    assert_ok(nnd_image_threshold(&dst.view, &gray, &options, &used));
    assert_int_equal(used, find("otsu_level").pixels[0]);
    assert_near(&dst.view, find("otsu"), 0, "otsu");
    options.kind = NND_THRESHOLD_ADAPTIVE;
    assert_ok(nnd_image_threshold(&dst.view, &gray, &options, &used));
    assert_int_equal(used, -1);
    assert_near(&dst.view, find("adaptive"), 0, "adaptive");
    assert_guards(&dst);
    test_image_free(&dst);
}

static void test_blurs(void **state)
{
    (void)state;
    const nnd_image src = view_of(find("scene"), NND_PIX_BGR);
    test_image dst = test_image_new(NND_PIX_BGR, NND_U8, 64, 48, 4);
    nnd_blur_options options = NND_BLUR_OPTIONS_INIT;
    options.kind = NND_BLUR_BOX;
    options.kernel_width = 5;
    assert_ok(nnd_image_blur(&dst.view, &src, &options));
    assert_near(&dst.view, find("box_5x3"), 1, "box");
    options.kind = NND_BLUR_GAUSSIAN;
    options.kernel_width = options.kernel_height = 7;
    options.sigma_x = options.sigma_y = 1.6;
    assert_ok(nnd_image_blur(&dst.view, &src, &options));
    assert_near(&dst.view, find("gauss_7"), 1, "gaussian 7");
    options.kernel_width = 5;
    options.kernel_height = 9;
    options.sigma_x = options.sigma_y = 0;
    options.border = NND_BORDER_REPLICATE;
    assert_ok(nnd_image_blur(&dst.view, &src, &options));
    assert_near(&dst.view, find("gauss_5x9"), 1, "gaussian 5 x 9");
    assert_guards(&dst);
    test_image_free(&dst);
}

/* The same groups with the same boxes and areas; numbering may differ. */
static void check_components(int connectivity)
{
    char name[16];
    const nnd_image blobs = view_of(find("blobs"), NND_PIX_GRAY);
    snprintf(name, sizeof(name), "labels_%d", connectivity);
    const record want_labels = find(name);
    snprintf(name, sizeof(name), "stats_%d", connectivity);
    const record stats = find(name);
    int32_t data[40 * 50];
    nnd_tensor labels;
    const int64_t dims[2] = {40, 50};
    nnd_component *list = NULL;
    size_t count = 0;
    nnd_components_options options = NND_COMPONENTS_OPTIONS_INIT;
    options.connectivity = connectivity;
    assert_ok(nnd_tensor_init(&labels, NND_I32, 2, dims, data));
    assert_ok(nnd_image_components(&blobs, &options, &labels, &list, &count));
    assert_int_equal(count, stats.height);
    int32_t partner[256] = {0};
    for (int i = 0; i < 40 * 50; i++) {
        const uint8_t theirs = want_labels.pixels[i];
        if (!partner[theirs]) partner[theirs] = data[i];
        assert_int_equal(partner[theirs], data[i]);
        assert_int_equal(theirs == 0, data[i] == 0);
    }
    for (int k = 0; k < stats.height; k++) {
        const uint8_t *p = stats.pixels + 20 * k;
        const nnd_component *c = &list[partner[k + 1] - 1];
        assert_int_equal(c->box.x, read_u32(p));
        assert_int_equal(c->box.y, read_u32(p + 4));
        assert_int_equal(c->box.width, read_u32(p + 8));
        assert_int_equal(c->box.height, read_u32(p + 12));
        assert_int_equal(c->area, read_u32(p + 16));
    }
    nnd_free(list);
}

static void test_components(void **state)
{
    (void)state;
    check_components(4);
    check_components(8);
}

/* ---- preprocessing --------------------------------------------------------------------- */

static void test_blob(void **state)
{
    (void)state;
    const nnd_image src = view_of(find("scene"), NND_PIX_BGR);
    const record want = find("blob_rgb");
    float data[3 * 20 * 24];
    const int64_t dims[4] = {1, 3, 20, 24};
    nnd_tensor tensor;
    nnd_to_tensor_options options = NND_TO_TENSOR_OPTIONS_INIT;
    options.scale = 1;
    assert_ok(nnd_tensor_init(&tensor, NND_F32, 4, dims, data));
    FOR_EACH_ISA
    {
        assert_ok(nnd_image_to_tensor(&tensor, &src, &options, NULL));
        for (int i = 0; i < 20 * 24; i++)
            for (int c = 0; c < 3; c++)
                assert_in_range((int)data[c * 20 * 24 + i] + 1 - want.pixels[3 * i + c], 0, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize),     cmocka_unit_test(test_warps),
        cmocka_unit_test(test_colors),     cmocka_unit_test(test_spaces),
        cmocka_unit_test(test_thresholds), cmocka_unit_test(test_blurs),
        cmocka_unit_test(test_components), cmocka_unit_test(test_blob),
    };
    return cmocka_run_group_tests(tests, load_file, free_file);
}
