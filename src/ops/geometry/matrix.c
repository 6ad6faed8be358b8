/* Affine and perspective matrices from points, inverses, rotated rectangles. */
#include <math.h>
#include <string.h>

#include "ops/ops_common.h"

#define PI 3.14159265358979323846

/* Solves the n × n system a · x = b (n ≤ 8, row-major, both are overwritten) by elimination with
   row pivots. false when it is singular to working precision. */
static bool solve(double *a, double *b, int n)
{
    double largest = 0;
    for (int i = 0; i < n * n; i++)
        largest = fmax(largest, fabs(a[i]));
    for (int k = 0; k < n; k++) {
        int pivot = k;
        for (int i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
        if (!(fabs(a[pivot * n + k]) > largest * 1e-14)) return false;
        for (int j = 0; j < n && pivot != k; j++) {
            const double t = a[k * n + j];
            a[k * n + j] = a[pivot * n + j];
            a[pivot * n + j] = t;
        }
        const double t = b[k];
        b[k] = b[pivot];
        b[pivot] = t;
        for (int i = k + 1; i < n; i++) {
            const double f = a[i * n + k] / a[k * n + k];
            for (int j = k; j < n; j++)
                a[i * n + j] -= f * a[k * n + j];
            b[i] -= f * b[k];
        }
    }
    for (int k = n - 1; k >= 0; k--) {
        for (int j = k + 1; j < n; j++)
            b[k] -= a[k * n + j] * b[j];
        b[k] /= a[k * n + k];
    }
    return true;
}

nnd_status nnd_affine_from_points(const double from[6], const double to[6], double out[6])
{
    for (int axis = 0; axis < 2; axis++) {
        double a[9], b[3];
        for (int i = 0; i < 3; i++) {
            a[3 * i] = from[2 * i];
            a[3 * i + 1] = from[2 * i + 1];
            a[3 * i + 2] = 1;
            b[i] = to[2 * i + axis];
        }
        if (!solve(a, b, 3)) return nnd_error_set(NND_E_SHAPE, "the three points lie on a line");
        memcpy(out + 3 * axis, b, sizeof(b));
    }
    return NND_OK;
}

/* In the plane the optimum of Umeyama's problem is a complex division: with centred points p and q
   it is Σ conj(p)·q / Σ |p|². */
nnd_status nnd_similarity_from_points(const double *from, const double *to, size_t count,
                                      double out[6])
{
    double px = 0, py = 0, qx = 0, qy = 0, re = 0, im = 0, norm = 0;
    if (!from || !to || count < 2)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "a similarity needs two points or more, not %zu", count);
    for (size_t i = 0; i < count; i++) {
        px += from[2 * i] / (double)count;
        py += from[2 * i + 1] / (double)count;
        qx += to[2 * i] / (double)count;
        qy += to[2 * i + 1] / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        const double x = from[2 * i] - px, y = from[2 * i + 1] - py;
        const double u = to[2 * i] - qx, v = to[2 * i + 1] - qy;
        re += x * u + y * v;
        im += x * v - y * u;
        norm += x * x + y * y;
    }
    if (!(norm > 0))
        return nnd_error_set(NND_E_SHAPE, "the points of a similarity are all the same");
    const double a = re / norm, b = im / norm;
    const double m[6] = {a, -b, qx - a * px + b * py, b, a, qy - b * px - a * py};
    memcpy(out, m, sizeof(m));
    return NND_OK;
}

void nnd_affine_rotation(double cx, double cy, double degrees, double scale, double out[6])
{
    const double a = scale * cos(degrees * PI / 180), b = scale * sin(degrees * PI / 180);
    const double m[6] = {a, b, (1 - a) * cx - b * cy, -b, a, b * cx + (1 - a) * cy};
    memcpy(out, m, sizeof(m));
}

nnd_status nnd_affine_invert(const double m[6], double out[6])
{
    const double det = m[0] * m[4] - m[1] * m[3];
    const double size = fabs(m[0] * m[4]) + fabs(m[1] * m[3]);
    if (!nnd_ops_is_finite(det) || !(fabs(det) > size * 1e-14))
        return nnd_error_set(NND_E_SHAPE, "the affine matrix has no inverse");
    const double a = m[4] / det, b = -m[1] / det, c = -m[3] / det, d = m[0] / det;
    const double r[6] = {a, b, -(a * m[2] + b * m[5]), c, d, -(c * m[2] + d * m[5])};
    memcpy(out, r, sizeof(r));
    return NND_OK;
}

void nnd_affine_from_centres(const double m[6], double out[6])
{
    /* x' = M (x − ½) + ½ */
    const double r[6] = {m[0], m[1], m[2] + 0.5 - 0.5 * (m[0] + m[1]),
                         m[3], m[4], m[5] + 0.5 - 0.5 * (m[3] + m[4])};
    memcpy(out, r, sizeof(r));
}

nnd_status nnd_perspective_from_points(const double from[8], const double to[8], double out[9])
{
    double a[64] = {0}, b[8];
    for (int i = 0; i < 4; i++) {
        const double x = from[2 * i], y = from[2 * i + 1], u = to[2 * i], v = to[2 * i + 1];
        const double row_u[8] = {x, y, 1, 0, 0, 0, -x * u, -y * u};
        const double row_v[8] = {0, 0, 0, x, y, 1, -x * v, -y * v};
        memcpy(a + 16 * i, row_u, sizeof(row_u));
        memcpy(a + 16 * i + 8, row_v, sizeof(row_v));
        b[2 * i] = u;
        b[2 * i + 1] = v;
    }
    double inverse[9];
    if (!solve(a, b, 8))
        return nnd_error_set(NND_E_SHAPE, "three of the four points lie on a line");
    memcpy(out, b, sizeof(b));
    out[8] = 1;
    return nnd_perspective_invert(out, inverse);
}

nnd_status nnd_perspective_invert(const double m[9], double out[9])
{
    const double c[9] = {
        m[4] * m[8] - m[5] * m[7], m[2] * m[7] - m[1] * m[8], m[1] * m[5] - m[2] * m[4],
        m[5] * m[6] - m[3] * m[8], m[0] * m[8] - m[2] * m[6], m[2] * m[3] - m[0] * m[5],
        m[3] * m[7] - m[4] * m[6], m[1] * m[6] - m[0] * m[7], m[0] * m[4] - m[1] * m[3],
    };
    const double det = m[0] * c[0] + m[1] * c[3] + m[2] * c[6];
    const double size = fabs(m[0] * c[0]) + fabs(m[1] * c[3]) + fabs(m[2] * c[6]);
    if (!nnd_ops_is_finite(det) || !(fabs(det) > size * 1e-12))
        return nnd_error_set(NND_E_SHAPE, "the perspective matrix has no inverse");
    for (int i = 0; i < 9; i++)
        out[i] = c[i] / det;
    return NND_OK;
}

void nnd_perspective_from_centres(const double m[9], double out[9])
{
    double r[9];
    /* T(½) · M · T(−½) */
    for (int i = 0; i < 3; i++) {
        r[3 * i] = m[3 * i];
        r[3 * i + 1] = m[3 * i + 1];
        r[3 * i + 2] = m[3 * i + 2] - 0.5 * (m[3 * i] + m[3 * i + 1]);
    }
    for (int j = 0; j < 3; j++) {
        r[j] += 0.5 * r[6 + j];
        r[3 + j] += 0.5 * r[6 + j];
    }
    memcpy(out, r, sizeof(r));
}

nnd_status nnd_rotated_rect_to_affine(const nnd_rotated_rect *rect, int dst_width, int dst_height,
                                      double out[6])
{
    if (!rect || dst_width < 1 || dst_height < 1 || !(rect->width > 0) || !(rect->height > 0))
        return nnd_error_set(NND_E_SHAPE, "a rotated rectangle and its picture need sides above 0");
    const double c = cos(rect->degrees * PI / 180), s = sin(rect->degrees * PI / 180);
    const double x = rect->width / dst_width, y = rect->height / dst_height;
    const double half_w = rect->width / 2, half_h = rect->height / 2;
    const double m[6] = {c * x, -s * y, rect->cx - c * half_w + s * half_h,
                         s * x, c * y,  rect->cy - s * half_w - c * half_h};
    for (int i = 0; i < 6; i++)
        if (!nnd_ops_is_finite(m[i]))
            return nnd_error_set(NND_E_SHAPE, "the rotated rectangle is not finite");
    memcpy(out, m, sizeof(m));
    return NND_OK;
}
