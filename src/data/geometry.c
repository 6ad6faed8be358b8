/*
 * Geometry: the affine map from a made picture to its source.
 */
#include <math.h>

#include "data/float_bits.h"
#include "nndeploy/data.h"

void nnd_geometry_identity(nnd_geometry *g, int width, int height)
{
    *g = (nnd_geometry){.m = {1, 0, 0, 0, 1, 0},
                        .source_width = width,
                        .source_height = height,
                        .width = width,
                        .height = height};
}

void nnd_geometry_compose(nnd_geometry *out, const nnd_geometry *outer, const nnd_geometry *inner)
{
    const double *a = inner->m, *b = outer->m; /* source = inner(outer(point)) */
    nnd_geometry g = {.m = {a[0] * b[0] + a[1] * b[3], a[0] * b[1] + a[1] * b[4],
                            a[0] * b[2] + a[1] * b[5] + a[2], a[3] * b[0] + a[4] * b[3],
                            a[3] * b[1] + a[4] * b[4], a[3] * b[2] + a[4] * b[5] + a[5]},
                      .source_width = inner->source_width,
                      .source_height = inner->source_height,
                      .width = outer->width,
                      .height = outer->height};
    *out = g;
}

void nnd_geometry_to_source(const nnd_geometry *g, double x, double y, double *sx, double *sy)
{
    *sx = g->m[0] * x + g->m[1] * y + g->m[2];
    *sy = g->m[3] * x + g->m[4] * y + g->m[5];
}

nnd_status nnd_geometry_from_source(const nnd_geometry *g, double sx, double sy, double *x,
                                    double *y)
{
    const double *m = g->m;
    double determinant = m[0] * m[4] - m[1] * m[3];
    double scale = fabs(m[0] * m[4]) + fabs(m[1] * m[3]);
    /* Relative to its two terms the determinant tells a flat map from a small one. */
    if (!(fabs(determinant) > scale * 1e-12) || !nnd_f64_is_finite(determinant)) {
        return nnd_error_set(NND_E_SHAPE, "the geometry [%g %g %g; %g %g %g] cannot be inverted",
                             m[0], m[1], m[2], m[3], m[4], m[5]);
    }
    double dx = sx - m[2], dy = sy - m[5];
    *x = (m[4] * dx - m[1] * dy) / determinant;
    *y = (m[0] * dy - m[3] * dx) / determinant;
    return NND_OK;
}
