/* Tensor and image views, geometry. */
#include "support/test.h"

#include <math.h>

#include "nndeploy/data.h"

/* ---- tensors ---- */

static void test_tensor_shapes(void **state)
{
    (void)state;
    nnd_tensor t;
    char text[64], tiny[8];
    const int64_t dims[] = {1, 3, 240, 320};
    assert_ok(nnd_tensor_init(&t, NND_F32, 4, dims, NULL));
    assert_int_equal(nnd_tensor_count(&t), 3 * 240 * 320);
    assert_int_equal(nnd_tensor_bytes(&t), 4 * 3 * 240 * 320);
    assert_int_equal(t.strides[1], 240 * 320);
    assert_true(nnd_tensor_is_dense(&t));
    assert_string_equal(nnd_tensor_describe(&t, text, sizeof(text)), "f32[1,3,240,320]");
    nnd_tensor_describe(&t, tiny, sizeof(tiny));
    assert_string_equal(tiny, "f32[1,3");
    assert_ok(nnd_tensor_init(&t, NND_I64, 0, NULL, NULL));
    assert_int_equal(nnd_tensor_count(&t), 1);
    assert_string_equal(nnd_tensor_describe(&t, text, sizeof(text)), "i64[]");
    const int64_t empty[] = {0, INT64_MAX};
    assert_ok(nnd_tensor_init(&t, NND_U8, 2, empty, NULL));
    assert_int_equal(nnd_tensor_count(&t), 0);
    const int64_t packed[] = {3, 3};
    assert_ok(nnd_tensor_init(&t, NND_I4, 2, packed, NULL));
    assert_int_equal(nnd_tensor_bytes(&t), 5);
    const int64_t negative[] = {2, -1}, huge[] = {INT64_MAX, 2}, wide[] = {INT64_MAX / 2};
    assert_status(nnd_tensor_init(&t, NND_U8, 2, negative, NULL), NND_E_SHAPE);
    assert_status(nnd_tensor_init(&t, NND_U8, 9, dims, NULL), NND_E_SHAPE);
    assert_status(nnd_tensor_init(&t, NND_U8, 2, huge, NULL), NND_E_OVERFLOW);
    assert_status(nnd_tensor_init(&t, NND_F64, 1, wide, NULL), NND_E_OVERFLOW);
    assert_status(nnd_tensor_init(&t, NND_DTYPE_INVALID, 1, dims, NULL), NND_E_TYPE);
    assert_string_equal(nnd_layout_name(NND_LAYOUT_NHWC), "NHWC");
}

static void test_tensor_strided_copy(void **state)
{
    (void)state;
    const int64_t dims[] = {2, 3, 4}, transposed_dims[] = {4, 3, 2};
    int32_t data[24], copy[24], back[24];
    for (int i = 0; i < 24; i++)
        data[i] = i;
    nnd_tensor a, t, c;
    assert_ok(nnd_tensor_init(&a, NND_I32, 3, dims, data));
    t = a; /* axes reversed */
    for (int i = 0; i < 3; i++) {
        t.dims[i] = a.dims[2 - i];
        t.strides[i] = a.strides[2 - i];
    }
    assert_false(nnd_tensor_is_dense(&t));
    assert_ok(nnd_tensor_init(&c, NND_I32, 3, transposed_dims, copy));
    assert_ok(nnd_tensor_copy(&c, &t));
    for (int x = 0; x < 4; x++)
        for (int y = 0; y < 3; y++)
            for (int z = 0; z < 2; z++)
                assert_int_equal(copy[(x * 3 + y) * 2 + z], data[(z * 3 + y) * 4 + x]);
    nnd_tensor b = t;
    b.data = back;
    assert_ok(nnd_tensor_copy(&b, &c));
    assert_memory_equal(back, data, sizeof(data));
    /* Negative strides: rows upside down. */
    t = a;
    t.data = data + 12;
    t.strides[0] = -12;
    assert_ok(nnd_tensor_init(&c, NND_I32, 3, dims, copy));
    assert_ok(nnd_tensor_copy(&c, &t));
    assert_int_equal(copy[0], 12);
    assert_int_equal(copy[12], 0);
    assert_ok(nnd_tensor_init(&c, NND_F32, 3, dims, copy));
    assert_status(nnd_tensor_copy(&c, &a), NND_E_TYPE);
    assert_ok(nnd_tensor_init(&c, NND_I32, 3, transposed_dims, copy));
    assert_status(nnd_tensor_copy(&c, &a), NND_E_SHAPE);
    c.data = NULL;
    t = a;
    t.data = NULL;
    assert_status(nnd_tensor_copy(&t, &a), NND_E_STATE);
    assert_ok(nnd_tensor_init(&t, NND_I4, 3, dims, data));
    t.strides[0] = 24;
    assert_status(nnd_tensor_copy(&t, &t), NND_E_SHAPE);
}

/* ---- images ---- */

static void test_image_planes(void **state)
{
    (void)state;
    static const struct {
        nnd_pixel_format format;
        nnd_dtype dtype;
        size_t align;
        size_t bytes;
        int64_t strides[3];
    } cases[] = {
        /* 5 × 3 pixels, odd on purpose */
        {NND_PIX_RGB, NND_U8, 0, 45, {15, 0, 0}},
        {NND_PIX_RGB, NND_U8, 16, 48, {16, 0, 0}},
        {NND_PIX_GRAY, NND_U16, 0, 30, {10, 0, 0}},
        {NND_PIX_BGRA, NND_F32, 0, 240, {80, 0, 0}},
        {NND_PIX_NV12, NND_U8, 0, 15 + 12, {5, 6, 0}},
        {NND_PIX_NV12, NND_U8, 8, 24 + 16, {8, 8, 0}},
        {NND_PIX_I420, NND_U8, 0, 15 + 6 + 6, {5, 3, 3}},
        {NND_PIX_YUYV, NND_U8, 0, 36, {12, 0, 0}},
    };
    static uint8_t block[512];
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        nnd_image image;
        size_t bytes;
        assert_ok(nnd_image_init(&image, cases[i].format, cases[i].dtype, 5, 3, cases[i].align,
                                 block, &bytes));
        assert_int_equal(bytes, cases[i].bytes);
        uint8_t *expected = block;
        for (int p = 0; p < nnd_pixel_format_planes(cases[i].format); p++) {
            assert_int_equal(image.stride[p], cases[i].strides[p]);
            assert_ptr_equal(image.data[p], expected);
            expected += image.stride[p] * (p == 0 ? 3 : 2);
        }
        assert_true(expected == block + bytes);
    }
    for (int f = 1; f <= NND_PIX_YUYV; f++)
        assert_int_equal(nnd_pixel_format_from_name(nnd_pixel_format_name((nnd_pixel_format)f)), f);
    assert_int_equal(nnd_pixel_format_from_name("what"), NND_PIX_NONE);
}

static void test_image_refuses(void **state)
{
    (void)state;
    nnd_image image;
    assert_status(nnd_image_init(&image, NND_PIX_RGB, NND_U8, 0, 1, 0, NULL, NULL), NND_E_SHAPE);
    assert_status(nnd_image_init(&image, NND_PIX_RGB, NND_U8, 65536, 1, 0, NULL, NULL),
                  NND_E_SHAPE);
    assert_status(nnd_image_init(&image, NND_PIX_NV12, NND_U16, 4, 4, 0, NULL, NULL), NND_E_TYPE);
    assert_status(nnd_image_init(&image, NND_PIX_RGB, NND_I32, 4, 4, 0, NULL, NULL), NND_E_TYPE);
    assert_status(nnd_image_init(&image, NND_PIX_NONE, NND_U8, 4, 4, 0, NULL, NULL), NND_E_TYPE);
    assert_status(nnd_image_init(&image, NND_PIX_RGB, NND_U8, 4, 4, 3, NULL, NULL),
                  NND_E_INVALID_ARGUMENT);
}

static void test_image_copy(void **state)
{
    (void)state;
    for (int f = 1; f <= NND_PIX_YUYV; f++) {
        nnd_image a, b, c;
        size_t bytes, padded;
        assert_ok(nnd_image_init(&a, (nnd_pixel_format)f, NND_U8, 7, 5, 0, NULL, &bytes));
        assert_ok(nnd_image_init(&b, (nnd_pixel_format)f, NND_U8, 7, 5, 32, NULL, &padded));
        uint8_t *m = malloc(bytes), *n = malloc(padded), *o = malloc(bytes);
        for (size_t i = 0; i < bytes; i++)
            m[i] = (uint8_t)(i * 7);
        nnd_image_init(&a, (nnd_pixel_format)f, NND_U8, 7, 5, 0, m, NULL);
        nnd_image_init(&b, (nnd_pixel_format)f, NND_U8, 7, 5, 32, n, NULL);
        nnd_image_init(&c, (nnd_pixel_format)f, NND_U8, 7, 5, 0, o, NULL);
        a.range = NND_RANGE_FULL;
        assert_ok(nnd_image_copy(&b, &a));
        assert_ok(nnd_image_copy(&c, &b));
        assert_memory_equal(m, o, bytes);
        assert_int_equal(c.range, NND_RANGE_FULL);
        c.height = 4;
        assert_status(nnd_image_copy(&c, &a), NND_E_SHAPE);
        c = b;
        c.stride[0] = 1;
        assert_status(nnd_image_copy(&c, &a), NND_E_SHAPE);
        free(m);
        free(n);
        free(o);
    }
}

/* ---- geometry ---- */

static double random_unit(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (double)(*seed >> 8) / (double)(1u << 24) * 2.0 - 1.0;
}

static nnd_geometry random_geometry(uint32_t *seed)
{
    nnd_geometry g;
    nnd_geometry_identity(&g, 640, 480);
    for (int i = 0; i < 6; i++)
        g.m[i] = random_unit(seed) * (i % 3 == 2 ? 100.0 : 2.0);
    g.m[0] += 5.0; /* far from singular */
    g.m[4] += 5.0;
    return g;
}

static void test_geometry_properties(void **state)
{
    (void)state;
    uint32_t seed = 7;
    for (int i = 0; i < 1000; i++) {
        nnd_geometry a = random_geometry(&seed), b = random_geometry(&seed);
        nnd_geometry c = random_geometry(&seed), ab, bc, left, right, id, same;
        double x = random_unit(&seed) * 500.0, y = random_unit(&seed) * 500.0;
        double mx, my, sx, sy, tx, ty;
        nnd_geometry_compose(&ab, &a, &b);
        nnd_geometry_to_source(&a, x, y, &mx, &my);
        nnd_geometry_to_source(&b, mx, my, &sx, &sy);
        nnd_geometry_to_source(&ab, x, y, &tx, &ty);
        assert_true(fabs(sx - tx) < 1e-6 && fabs(sy - ty) < 1e-6);
        assert_ok(nnd_geometry_from_source(&ab, tx, ty, &mx, &my));
        assert_true(fabs(mx - x) < 1e-6 && fabs(my - y) < 1e-6);
        /* Associative; the identity changes nothing; out may be an input. */
        nnd_geometry_compose(&bc, &b, &c);
        nnd_geometry_compose(&left, &ab, &c);
        nnd_geometry_compose(&right, &a, &bc);
        for (int k = 0; k < 6; k++)
            assert_true(fabs(left.m[k] - right.m[k]) < 1e-6 * (1.0 + fabs(left.m[k])));
        nnd_geometry_identity(&id, 640, 480);
        nnd_geometry_compose(&same, &a, &id);
        assert_memory_equal(same.m, a.m, sizeof(a.m));
        nnd_geometry_compose(&a, &a, &b);
        assert_memory_equal(a.m, ab.m, sizeof(a.m));
    }
}

static void test_geometry_sizes_and_singular(void **state)
{
    (void)state;
    nnd_geometry crop, scale, both;
    double x, y;
    nnd_geometry_identity(&crop, 100, 50); /* a cut-out at (30, 20) */
    crop.m[2] = 30;
    crop.m[5] = 20;
    crop.source_width = 640;
    crop.source_height = 480;
    nnd_geometry_identity(&scale, 200, 100); /* enlarged twice */
    scale.m[0] = scale.m[4] = 0.5;
    scale.source_width = 100;
    scale.source_height = 50;
    nnd_geometry_compose(&both, &scale, &crop);
    assert_int_equal(both.width, 200);
    assert_int_equal(both.source_width, 640);
    nnd_geometry_to_source(&both, 200, 100, &x, &y);
    assert_true(x == 130.0 && y == 70.0);
    nnd_geometry flat = {.m = {1, 2, 0, 2, 4, 0}};
    assert_status(nnd_geometry_from_source(&flat, 1, 1, &x, &y), NND_E_SHAPE);
    nnd_geometry tiny = {.m = {1e-9, 0, 0, 0, 1e-9, 0}};
    assert_ok(nnd_geometry_from_source(&tiny, 1e-9, 2e-9, &x, &y));
    assert_true(fabs(x - 1.0) < 1e-9 && fabs(y - 2.0) < 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensor_shapes),
        cmocka_unit_test(test_tensor_strided_copy),
        cmocka_unit_test(test_image_planes),
        cmocka_unit_test(test_image_refuses),
        cmocka_unit_test(test_image_copy),
        cmocka_unit_test(test_geometry_properties),
        cmocka_unit_test(test_geometry_sizes_and_singular),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
