/*
 * One line of text as a network reads it: 32 rows, straightened, normalised. The formulae are those
 * of tools/train/ocr/README.md, sections 6 and 7.
 */
#include <math.h>

#include "ops/ops_common.h"
#include "ops/text/text.h"

enum { ROWS = 32, STEP = 4 };

static const double margin_x = 0.25, margin_y = 0.125; /* in heights of the ink */
static const double min_spread = 4;                    /* gray levels */

typedef struct view {
    const nnd_image *gray;
    double slope, middle;    /* how far the line falls per column, and the column it turns about */
    double pitch, left, top; /* source pixels per cell; the crop's corner */
    int64_t columns;
    int samples; /* per cell and axis */
} view;

static double clamp(double value, double high)
{
    return value < 0 ? 0 : value > high ? high : value;
}

/* The picture at (x, y), where integers are centres of pixels; its border repeats. */
static double bilinear(const nnd_image *gray, double x, double y)
{
    x = clamp(x, gray->width - 1);
    y = clamp(y, gray->height - 1);
    const int xl = (int)x, yl = (int)y;
    const int xh = xl + 1 < gray->width ? xl + 1 : xl;
    const int yh = yl + 1 < gray->height ? yl + 1 : yl;
    const uint8_t *low = nnd_ops_row(gray, 0, yl), *high = nnd_ops_row(gray, 0, yh);
    const double f = x - xl, g = y - yl;
    return (1 - g) * ((1 - f) * low[xl] + f * low[xh]) + g * ((1 - f) * high[xl] + f * high[xh]);
}

static double cell(const view *v, int64_t i, int j)
{
    const int n = v->samples;
    double sum = 0;
    for (int a = 0; a < n; a++) {
        const double x = v->left + ((double)(i * n + a) + 0.5) * v->pitch / n - 0.5;
        const double fall = v->slope * (x + 0.5 - v->middle);
        for (int b = 0; b < n; b++) {
            const double y = v->top + (j * n + b + 0.5) * v->pitch / n - 0.5;
            sum += bilinear(v->gray, x, y + fall);
        }
    }
    return sum / ((double)n * n);
}

/* Mean 0, deviation 1; ink is rarer than the ground, the sign makes it positive. */
static void normalise(float *values, int64_t count)
{
    double mean = 0, square = 0, cube = 0;
    for (int64_t i = 0; i < count; i++)
        mean += values[i];
    mean /= (double)count;
    for (int64_t i = 0; i < count; i++) {
        const double d = values[i] - mean;
        square += d * d;
        cube += d * d * d;
    }
    const double spread = fmax(sqrt(square / (double)count), min_spread);
    const double scale = (cube >= 0 ? 1 : -1) / spread;
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)((values[i] - mean) * scale);
}

/* The tensor of a line that is `cells` columns wide; v lacks only what follows from that. */
static nnd_status fill(view *v, double cells, int64_t max_width, nnd_value **out_tensor)
{
    if (!(cells <= (double)max_width))
        return nnd_error_set(NND_E_LIMIT, "the line is %.0f columns wide, at most %lld are read",
                             cells, (long long)max_width);
    v->samples = v->pitch > 1 ? (int)ceil(v->pitch) : 1;
    v->columns = (int64_t)ceil(cells / STEP) * STEP;
    if (v->columns < 2 * STEP) v->columns = 2 * STEP;
    const int64_t dims[4] = {1, 1, ROWS, v->columns};
    nnd_value *value = NULL;
    NND_TRY(nnd_value_new_tensor(NND_F32, 4, dims, &value));
    float *to = ((nnd_tensor *)nnd_value_edit(value))->data;
    for (int j = 0; j < ROWS; j++)
        for (int64_t i = 0; i < v->columns; i++)
            to[j * v->columns + i] = (float)cell(v, i, j);
    normalise(to, ROWS * v->columns);
    *out_tensor = value;
    return NND_OK;
}

static nnd_status check_gray(const nnd_image *gray)
{
    NND_TRY(nnd_ops_check_image(gray, "picture"));
    if (gray->format == NND_PIX_GRAY && gray->dtype == NND_U8) return NND_OK;
    return nnd_error_set(NND_E_TYPE, "a line is read from a gray u8 picture: convert it first");
}

static nnd_status check_line(const nnd_text_line *line)
{
    const double reach = 2.0 * NND_IMAGE_MAX_SIDE;
    if (!(line->x1 > line->x0) || !(line->y1 > line->y0) || !(fabs(line->x0) < reach) ||
        !(fabs(line->y0) < reach) || !(line->x1 < reach) || !(line->y1 < reach) ||
        !(fabs(line->slope) <= 1))
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "(%g, %g) to (%g, %g) with slope %g is no line of a picture", line->x0,
                             line->y0, line->x1, line->y1, line->slope);
    return NND_OK;
}

nnd_status nnd_text_line_to_tensor(const nnd_image *gray, const nnd_text_line *line,
                                   int64_t max_width, nnd_value **out_tensor)
{
    if (!gray || !line || !out_tensor)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "a picture, a line or a result is missing");
    NND_TRY(check_gray(gray));
    NND_TRY(check_line(line));
    const double high = line->y1 - line->y0;
    view v = {.gray = gray,
              .slope = line->slope,
              .middle = (line->x0 + line->x1) / 2,
              .pitch = (1 + 2 * margin_y) * high / ROWS,
              .left = line->x0 - margin_x * high,
              .top = line->y0 - margin_y * high};
    const double cells = (line->x1 - line->x0 + 2 * margin_x * high) / v.pitch;
    return fill(&v, cells, max_width, out_tensor);
}

nnd_status nnd_text_picture_to_tensor(const nnd_image *gray, int64_t max_width,
                                      nnd_value **out_tensor)
{
    if (!gray || !out_tensor)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "a picture or a result is missing");
    NND_TRY(check_gray(gray));
    view v = {.gray = gray, .pitch = (double)gray->height / ROWS};
    return fill(&v, gray->width / v.pitch, max_width, out_tensor);
}
