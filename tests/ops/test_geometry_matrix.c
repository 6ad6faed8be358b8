/* Matrices from points, their inverses, rotated rectangles, and the change of conventions. */
#include <math.h>

#include "ops_support.h"

static void map_affine(const double m[6], double x, double y, double out[2])
{
    out[0] = m[0] * x + m[1] * y + m[2];
    out[1] = m[3] * x + m[4] * y + m[5];
}

static void map_perspective(const double m[9], double x, double y, double out[2])
{
    const double w = m[6] * x + m[7] * y + m[8];
    out[0] = (m[0] * x + m[1] * y + m[2]) / w;
    out[1] = (m[3] * x + m[4] * y + m[5]) / w;
}

static void assert_point(const double got[2], double x, double y)
{
    assert_float_equal(got[0], x, 1e-6);
    assert_float_equal(got[1], y, 1e-6);
}

static void test_affine(void **state)
{
    (void)state;
    const double from[6] = {10, 20, 200, 35, 60, 150}, to[6] = {0, 0, 100, 10, -5, 80};
    const double line[6] = {0, 0, 1, 1, 2, 2};
    double m[6], inverse[6], p[2];
    assert_ok(nnd_affine_from_points(from, to, m));
    assert_ok(nnd_affine_invert(m, inverse));
    for (int i = 0; i < 3; i++) {
        map_affine(m, from[2 * i], from[2 * i + 1], p);
        assert_point(p, to[2 * i], to[2 * i + 1]);
        map_affine(inverse, to[2 * i], to[2 * i + 1], p);
        assert_point(p, from[2 * i], from[2 * i + 1]);
    }
    assert_status(nnd_affine_from_points(line, to, m), NND_E_SHAPE);
    assert_status(nnd_affine_invert((const double[6]){1, 2, 3, 2, 4, 5}, m), NND_E_SHAPE);
    assert_status(nnd_affine_invert((const double[6]){0}, m), NND_E_SHAPE);
    assert_status(nnd_affine_invert((const double[6]){(double)NAN, 0, 0, 0, 1, 0}, m), NND_E_SHAPE);
}

static void test_rotation(void **state)
{
    (void)state;
    double m[6], p[2];
    nnd_affine_rotation(10, 20, 90, 2, m);
    map_affine(m, 10, 20, p);
    assert_point(p, 10, 20);
    map_affine(m, 11, 20, p); /* to the right becomes up, twice as far */
    assert_point(p, 10, 18);
}

static void test_similarity(void **state)
{
    (void)state;
    double from[10] = {38, 52, 74, 51, 56, 72, 42, 92, 71, 92}, to[10], m[6];
    const double a = 0.8, b = 0.3, shift[2] = {5, -9};
    for (int i = 0; i < 5; i++) {
        to[2 * i] = a * from[2 * i] - b * from[2 * i + 1] + shift[0];
        to[2 * i + 1] = b * from[2 * i] + a * from[2 * i + 1] + shift[1];
    }
    const double want[6] = {a, -b, shift[0], b, a, shift[1]};
    assert_ok(nnd_similarity_from_points(from, to, 5, m));
    for (int i = 0; i < 6; i++)
        assert_float_equal(m[i], want[i], 1e-9);
    assert_ok(nnd_similarity_from_points(from, to, 2, m));
    assert_float_equal(m[0], a, 1e-9);
    /* Moving one point does not move the fit to it. */
    to[0] += 3;
    assert_ok(nnd_similarity_from_points(from, to, 5, m));
    double p[2];
    map_affine(m, from[0], from[1], p);
    assert_true(fabs(p[0] - to[0]) > 0.5 && fabs(p[0] - to[0]) < 3);
    assert_status(nnd_similarity_from_points(from, to, 1, m), NND_E_INVALID_ARGUMENT);
    const double same[4] = {1, 1, 1, 1};
    assert_status(nnd_similarity_from_points(same, to, 2, m), NND_E_SHAPE);
}

static void test_perspective(void **state)
{
    (void)state;
    const double from[8] = {0, 0, 100, 0, 100, 50, 0, 50}, to[8] = {10, 5, 90, 12, 110, 60, -4, 44};
    const double line[8] = {0, 0, 1, 1, 2, 2, 0, 5};
    double m[9], inverse[9], p[2];
    assert_ok(nnd_perspective_from_points(from, to, m));
    assert_ok(nnd_perspective_invert(m, inverse));
    for (int i = 0; i < 4; i++) {
        map_perspective(m, from[2 * i], from[2 * i + 1], p);
        assert_point(p, to[2 * i], to[2 * i + 1]);
        map_perspective(inverse, to[2 * i], to[2 * i + 1], p);
        assert_point(p, from[2 * i], from[2 * i + 1]);
    }
    assert_status(nnd_perspective_from_points(line, to, m), NND_E_SHAPE);
    assert_status(nnd_perspective_from_points(from, line, m), NND_E_SHAPE);
    assert_status(nnd_perspective_invert((const double[9]){0}, m), NND_E_SHAPE);
}

/* The same map in both conventions: a centre lies half a pixel further. */
static void test_centres(void **state)
{
    (void)state;
    const double affine[6] = {1.5, 0.2, -3, 0.1, 0.7, 8};
    const double perspective[9] = {1.1, 0.2, -3, 0.1, 0.7, 8, 0.001, -0.002, 1};
    double m[9], p[2], q[2];
    nnd_affine_from_centres(affine, m);
    map_affine(affine, 4, 9, p);
    map_affine(m, 4.5, 9.5, q);
    assert_point(q, p[0] + 0.5, p[1] + 0.5);
    nnd_perspective_from_centres(perspective, m);
    map_perspective(perspective, 4, 9, p);
    map_perspective(m, 4.5, 9.5, q);
    assert_point(q, p[0] + 0.5, p[1] + 0.5);
}

static void test_rotated_rect(void **state)
{
    (void)state;
    nnd_rotated_rect rect = {50, 40, 20, 10, 90};
    double m[6], p[2];
    assert_ok(nnd_rotated_rect_to_affine(&rect, 40, 20, m));
    map_affine(m, 20, 10, p);
    assert_point(p, 50, 40);
    map_affine(m, 0, 0, p); /* clockwise on the screen: the top left corner goes to the right */
    assert_point(p, 55, 30);
    map_affine(m, 40, 0, p);
    assert_point(p, 55, 50);
    rect.width = 0;
    assert_status(nnd_rotated_rect_to_affine(&rect, 40, 20, m), NND_E_SHAPE);
    rect.width = INFINITY;
    assert_status(nnd_rotated_rect_to_affine(&rect, 40, 20, m), NND_E_SHAPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_affine),     cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_similarity), cmocka_unit_test(test_perspective),
        cmocka_unit_test(test_centres),    cmocka_unit_test(test_rotated_rect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
