/*
 * Lines, rectangles and circles. Rectangles cover pixels by exact area; lines and circles by the
 * distance of the pixel's centre from the outline, one pixel wide ramps.
 */
#include <math.h>

#include "ops/draw/canvas.h"

unsigned nnd_color_luminance(uint32_t color)
{
    const unsigned r = color >> 16 & 255, g = color >> 8 & 255, b = color & 255;
    return (299 * r + 587 * g + 114 * b + 500) / 1000;
}

nnd_status nnd_canvas_open(nnd_canvas *canvas, const nnd_image *image, uint32_t color)
{
    NND_TRY(nnd_ops_check_interleaved(image, "picture to draw into"));
    if (image->dtype != NND_U8)
        return nnd_error_set(NND_E_TYPE, "pictures of %s cannot be drawn into, convert to u8 first",
                             nnd_dtype_name(image->dtype));
    const uint8_t r = (uint8_t)(color >> 16), g = (uint8_t)(color >> 8), b = (uint8_t)color;
    *canvas = (nnd_canvas){image, nnd_ops_channels(image->format), {r, g, b, 255}};
    if (image->format == NND_PIX_GRAY) {
        canvas->color[0] = (uint8_t)nnd_color_luminance(color);
    } else if (image->format == NND_PIX_BGR || image->format == NND_PIX_BGRA) {
        canvas->color[0] = b;
        canvas->color[2] = r;
    }
    return NND_OK;
}

nnd_span nnd_span_of(double from, double to, int size)
{
    const double begin = floor(from), end = ceil(to);
    nnd_span span = {begin > 0 ? begin < size ? (int)begin : size : 0,
                     end < size ? end > 0 ? (int)end : 0 : size};
    return span;
}

static nnd_status check_finite(float a, float b, float c, float d)
{
    if (isfinite(a) && isfinite(b) && isfinite(c) && isfinite(d)) return NND_OK;
    return nnd_error_set(NND_E_INVALID_ARGUMENT, "a coordinate or thickness is not a number");
}

/* ---- lines ---- */

typedef struct segment {
    double x, y, dx, dy, length;
    double radius;
} segment;

/* Distance of a point from the segment. */
static double distance(const segment *s, double x, double y)
{
    const double px = x - s->x, py = y - s->y;
    double along = s->length > 0 ? (px * s->dx + py * s->dy) / (s->length * s->length) : 0;
    along = along < 0 ? 0 : along > 1 ? 1 : along;
    return hypot(px - along * s->dx, py - along * s->dy);
}

/* Columns of a row that the line can touch. */
static nnd_span row_span(const segment *s, double y, int width)
{
    const double reach = s->radius + 1;
    double low = fmin(s->x, s->x + s->dx) - reach, high = fmax(s->x, s->x + s->dx) + reach;
    if (fabs(s->dy) > 1e-6) {
        const double at = s->x + (y - s->y) * s->dx / s->dy;
        const double half = reach * s->length / fabs(s->dy);
        low = fmax(low, at - half);
        high = fmin(high, at + half);
    }
    return nnd_span_of(low, high, width);
}

nnd_status nnd_draw_line(nnd_image *image, float x1, float y1, float x2, float y2, float thickness,
                         uint32_t color)
{
    nnd_canvas canvas;
    NND_TRY(nnd_canvas_open(&canvas, image, color));
    NND_TRY(check_finite(x1, y1, x2, y2));
    if (!(thickness > 0) || !isfinite(thickness))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "thickness is %g, expected more than 0",
                             (double)thickness);
    segment s = {x1, y1, (double)x2 - x1, (double)y2 - y1, 0, thickness / 2.0};
    s.length = hypot(s.dx, s.dy);
    const double reach = s.radius + 1;
    const nnd_span rows = nnd_span_of(fmin(y1, y2) - reach, fmax(y1, y2) + reach, image->height);
    for (int y = rows.begin; y < rows.end; y++) {
        const nnd_span columns = row_span(&s, y + 0.5, image->width);
        for (int x = columns.begin; x < columns.end; x++) {
            const unsigned c = nnd_coverage(s.radius + 0.5 - distance(&s, x + 0.5, y + 0.5));
            if (c) nnd_canvas_blend(&canvas, x, y, c);
        }
    }
    return NND_OK;
}

/* ---- rectangles ---- */

typedef struct box {
    double x1, y1, x2, y2;
} box;

/* Length of [i, i + 1) inside [from, to). */
static double overlap(int i, double from, double to)
{
    const double length = fmin(i + 1, to) - fmax(i, from);
    return length > 0 ? length : 0;
}

/* One row of the area between two boxes; `inner` may be empty. */
static void fill_row(const nnd_canvas *canvas, int y, const box *outer, const box *inner)
{
    const nnd_span columns = nnd_span_of(outer->x1, outer->x2, canvas->image->width);
    const double high = overlap(y, outer->y1, outer->y2), hole = overlap(y, inner->y1, inner->y2);
    nnd_span gap = {columns.end, columns.end};
    if (hole >= high && hole > 0) { /* pixels wholly inside of the hole's columns are not touched */
        gap = nnd_span_of(ceil(inner->x1), floor(inner->x2), canvas->image->width);
        if (gap.end <= gap.begin) gap = (nnd_span){columns.end, columns.end};
    }
    for (int x = columns.begin; x < columns.end; x++) {
        if (x == gap.begin) x = gap.end;
        if (x >= columns.end) break;
        const double share =
            high * overlap(x, outer->x1, outer->x2) - hole * overlap(x, inner->x1, inner->x2);
        const unsigned c = nnd_coverage(share);
        if (c) nnd_canvas_blend(canvas, x, y, c);
    }
}

nnd_status nnd_draw_rect(nnd_image *image, float x1, float y1, float x2, float y2, float thickness,
                         uint32_t color)
{
    nnd_canvas canvas;
    NND_TRY(nnd_canvas_open(&canvas, image, color));
    NND_TRY(check_finite(x1, y1, x2, y2));
    NND_TRY(check_finite(thickness, 0, 0, 0));
    const double half = thickness > 0 ? thickness / 2.0 : 0;
    const double left = fmin(x1, x2), right = fmax(x1, x2);
    const double top = fmin(y1, y2), bottom = fmax(y1, y2);
    const box outer = {left - half, top - half, right + half, bottom + half};
    box inner = {left + half, top + half, right - half, bottom - half};
    if (thickness <= 0 || inner.x1 >= inner.x2 || inner.y1 >= inner.y2) inner = (box){0, 0, 0, 0};
    const nnd_span rows = nnd_span_of(outer.y1, outer.y2, image->height);
    for (int y = rows.begin; y < rows.end; y++)
        fill_row(&canvas, y, &outer, &inner);
    return NND_OK;
}

/* ---- circles ---- */

nnd_status nnd_draw_circle(nnd_image *image, float x, float y, float radius, float thickness,
                           uint32_t color)
{
    nnd_canvas canvas;
    NND_TRY(nnd_canvas_open(&canvas, image, color));
    NND_TRY(check_finite(x, y, radius, thickness));
    if (radius < 0)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "radius is %g, expected 0 or more",
                             (double)radius);
    const bool filled = thickness <= 0;
    const double outer = radius + (filled ? 0 : thickness / 2.0);
    const double inner = filled ? -1 : radius - thickness / 2.0;
    const nnd_span rows = nnd_span_of(y - outer - 1, y + outer + 1, image->height);
    const nnd_span columns = nnd_span_of(x - outer - 1, x + outer + 1, image->width);
    for (int row = rows.begin; row < rows.end; row++) {
        for (int column = columns.begin; column < columns.end; column++) {
            const double d = hypot(column + 0.5 - x, row + 0.5 - y);
            const double hole = filled ? 1 : d - inner + 0.5;
            const unsigned c = nnd_coverage(fmin(outer + 0.5 - d, hole));
            if (c) nnd_canvas_blend(&canvas, column, row, c);
        }
    }
    return NND_OK;
}
