/* Every allocation of every operator may fail: the status says so and nothing is leaked. */
#include "ops_support.h"
#include "support/oom.h"

typedef struct pictures {
    nnd_image *nv12, *bgr, *small, *gray, *binary, *yuyv, *small_yuyv;
    nnd_tensor *tensor;
} pictures;

static nnd_status run_to_tensor(const pictures *p)
{
    nnd_to_tensor_options options = NND_TO_TENSOR_OPTIONS_INIT;
    options.fit = NND_FIT_LETTERBOX;
    options.filter = NND_FILTER_AREA;
    return nnd_image_to_tensor(p->tensor, p->nv12, &options, NULL);
}

static nnd_status run_to_tensor_bilinear(const pictures *p)
{
    return nnd_image_to_tensor(p->tensor, p->bgr, NULL, NULL);
}

static nnd_status run_from_tensor(const pictures *p)
{
    return nnd_image_from_tensor(p->small, p->tensor, NULL);
}

static nnd_status run_resize(const pictures *p)
{
    nnd_resize_options options = NND_RESIZE_OPTIONS_INIT;
    options.filter = NND_FILTER_LANCZOS;
    return nnd_image_resize(p->small, p->bgr, &options);
}

static nnd_status run_nearest(const pictures *p)
{
    nnd_resize_options options = NND_RESIZE_OPTIONS_INIT;
    options.filter = NND_FILTER_NEAREST;
    return nnd_image_resize(p->small, p->bgr, &options);
}

static nnd_status run_resize_yuyv(const pictures *p)
{
    return nnd_image_resize(p->small_yuyv, p->yuyv, NULL);
}

static nnd_status run_to_yuv(const pictures *p)
{
    return nnd_image_convert(p->yuyv, p->bgr, NULL);
}

static nnd_status run_antialias(const pictures *p)
{
    nnd_resize_options options = NND_RESIZE_OPTIONS_INIT;
    options.antialias = true;
    return nnd_image_resize(p->small, p->bgr, &options);
}

static nnd_status run_convert(const pictures *p)
{
    return nnd_image_convert(p->bgr, p->nv12, NULL);
}

static nnd_status run_threshold(const pictures *p)
{
    nnd_threshold_options options = NND_THRESHOLD_OPTIONS_INIT;
    options.kind = NND_THRESHOLD_ADAPTIVE;
    return nnd_image_threshold(p->binary, p->gray, &options, NULL);
}

static nnd_status run_components(const pictures *p)
{
    nnd_component *list = NULL;
    size_t count = 0;
    const nnd_status status = nnd_image_components(p->gray, NULL, NULL, &list, &count);
    nnd_free(list);
    return status;
}

static nnd_status run_blur(const pictures *p)
{
    return nnd_image_blur(p->binary, p->gray, NULL);
}

static nnd_status run_warp(const pictures *p)
{
    return nnd_image_warp_affine(p->small, p->bgr, (const double[6]){1, 0, 0, 0, 1, 0}, NULL, NULL);
}

static void check(const char *name, nnd_status (*run)(const pictures *), const pictures *p)
{
    for (long n = 0; n < 100; n++) {
        const long before = oom_live_blocks();
        oom_fail_after(n);
        const nnd_status status = run(p);
        const bool was_hit = oom_hit();
        oom_never();
        nnd_error_clear();
        if (status != (was_hit ? NND_E_OUT_OF_MEMORY : NND_OK))
            fail_msg("%s with %ld allocations: %s", name, n, nnd_status_name(status));
        assert_int_equal(oom_live_blocks(), before);
        if (!was_hit) return;
    }
    fail_msg("%s allocates without end", name);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    test_image nv12 = test_image_new(NND_PIX_NV12, NND_U8, 60, 50, 0),
               bgr = test_image_new(NND_PIX_BGR, NND_U8, 60, 50, 0);
    test_image small = test_image_new(NND_PIX_BGR, NND_U8, 20, 16, 0),
               gray = test_image_new(NND_PIX_GRAY, NND_U8, 90, 80, 0);
    test_image binary = test_image_new(NND_PIX_GRAY, NND_U8, 90, 80, 0);
    static float elements[3 * 20 * 16];
    const int64_t dims[3] = {3, 16, 20};
    nnd_tensor tensor;
    test_image_noise(&nv12, 1);
    test_image_noise(&bgr, 2);
    test_image_noise(&gray, 3);
    assert_ok(nnd_tensor_init(&tensor, NND_F32, 3, dims, elements));
    test_image yuyv = test_image_new(NND_PIX_YUYV, NND_U8, 60, 50, 0),
               small_yuyv = test_image_new(NND_PIX_YUYV, NND_U8, 21, 16, 0);
    test_image_noise(&yuyv, 4);
    const pictures p = {&nv12.view,   &bgr.view,  &small.view,      &gray.view,
                        &binary.view, &yuyv.view, &small_yuyv.view, &tensor};
    oom_begin();
    check("to_tensor", run_to_tensor, &p);
    check("to_tensor bilinear", run_to_tensor_bilinear, &p);
    check("from_tensor", run_from_tensor, &p);
    check("resize", run_resize, &p);
    check("resize nearest", run_nearest, &p);
    check("resize yuyv", run_resize_yuyv, &p);
    check("convert to yuv", run_to_yuv, &p);
    check("resize antialias", run_antialias, &p);
    check("convert", run_convert, &p);
    check("threshold", run_threshold, &p);
    check("components", run_components, &p);
    check("blur", run_blur, &p);
    check("warp", run_warp, &p);
    oom_end();
    test_image_free(&nv12);
    test_image_free(&bgr);
    test_image_free(&small);
    test_image_free(&gray);
    test_image_free(&binary);
    test_image_free(&yuyv);
    test_image_free(&small_yuyv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
