/*
 * Kernels: bilinear and bicubic as in Keys 1981 ("Cubic convolution interpolation"), Lanczos with
 * four lobes, area as the exact overlap of pixel squares.
 */
#include "ops/image/axis.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "ops/kernels/kernels.h"

#define PI 3.14159265358979323846

/* A kernel in the source's pixels: weight at a distance. */
static double cubic(double x, double a)
{
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    return 0;
}

static double lanczos4(double x)
{
    if (fabs(x) < 1e-9) return 1;
    /* Whole distances exactly, so that an unscaled picture stays as it is. */
    if (fabs(x) >= 4 || fabs(x - rint(x)) < 1e-9) return 0;
    return 4 * sin(PI * x) * sin(PI * x / 4) / (PI * PI * x * x);
}

static double triangle(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double kernel_at(nnd_filter filter, bool antialias, double x)
{
    switch (filter) {
    case NND_FILTER_BICUBIC:
        return cubic(x, antialias ? -0.5 : -0.75);
    case NND_FILTER_LANCZOS:
        return lanczos4(x);
    default:
        return triangle(x);
    }
}

/* Puts the weights of the samples first … first + n − 1 into row i; samples beyond an end count for
   the edge sample. */
static void place(nnd_axis *axis, int i, int src, int64_t first, const double *weight, int n)
{
    int64_t start = first;
    if (start > src - axis->taps) start = src - axis->taps;
    if (start < 0) start = 0;
    float *row = axis->weight + (size_t)i * (size_t)axis->taps;
    double sum = 0;
    for (int k = 0; k < n; k++)
        sum += weight[k];
    axis->start[i] = (int32_t)start;
    for (int k = 0; k < n; k++) {
        const int64_t at = first + k < 0 ? 0 : first + k >= src ? src - 1 : first + k;
        row[at - start] += (float)(weight[k] / sum);
    }
}

/* Fixed support: 2, 4 or 8 samples around the position. */
static void fill_kernel(nnd_axis *axis, nnd_axis_size size, nnd_filter filter, int support)
{
    const double scale = (double)size.src / size.dst;
    double weight[8];
    for (int i = 0; i < size.count; i++) {
        const int at = size.from + i;
        const double centre = (at + 0.5) * scale - 0.5, left = floor(centre);
        const int64_t first = (int64_t)left - (support / 2 - 1);
        for (int k = 0; k < support; k++)
            weight[k] = kernel_at(filter, false, (double)(first + k) - centre);
        place(axis, i, size.src, first, weight, support);
    }
}

/* A kernel widened by the scale; samples beyond the ends are left out, as Pillow does. */
static void fill_antialias(nnd_axis *axis, nnd_axis_size size, nnd_filter filter, double support,
                           double *weight)
{
    const double scale = (double)size.src / size.dst;
    for (int i = 0; i < size.count; i++) {
        const int at = size.from + i;
        const double centre = (at + 0.5) * scale;
        int first = (int)floor(centre - support * scale + 0.5);
        int last = (int)floor(centre + support * scale + 0.5);
        if (first < 0) first = 0;
        if (last > size.src) last = size.src;
        for (int k = first; k < last; k++)
            weight[k - first] = kernel_at(filter, true, (k + 0.5 - centre) / scale);
        place(axis, i, size.src, first, weight, last - first);
    }
}

static void fill_area(nnd_axis *axis, nnd_axis_size size, double *weight)
{
    const double scale = (double)size.src / size.dst;
    for (int i = 0; i < size.count; i++) {
        const int at = size.from + i;
        const double from = at * scale, to = (at + 1.0) * scale;
        int first = (int)floor(from + 1e-9), last = (int)ceil(to - 1e-9);
        if (last > size.src) last = size.src;
        for (int k = first; k < last; k++) {
            const double a = k < from ? from : k, b = k + 1 > to ? to : k + 1;
            weight[k - first] = b - a;
        }
        place(axis, i, size.src, first, weight, last - first);
    }
}

/* What OpenCV's INTER_AREA does when a side grows: pixel squares with a linear ramp where a
   destination pixel straddles two of them. */
static void fill_area_enlarge(nnd_axis *axis, nnd_axis_size size)
{
    const double scale = (double)size.src / size.dst, inverse = (double)size.dst / size.src;
    for (int i = 0; i < size.count; i++) {
        const int at = size.from + i;
        const double first = floor(at * scale + 1e-9);
        double f = (at + 1) - (first + 1) * inverse;
        f = f <= 0 ? 0 : f - floor(f);
        const double weight[2] = {1 - f, f};
        place(axis, i, size.src, (int64_t)first, weight, 2);
    }
}

static void fill_nearest(nnd_axis *axis, nnd_axis_size size, nnd_filter filter)
{
    const double step = 1.0 / ((double)size.dst / size.src);
    for (int i = 0; i < size.count; i++) {
        const int at = size.from + i;
        const int64_t source = filter == NND_FILTER_NEAREST
                                   ? (int64_t)floor(at * step)
                                   : (2 * (int64_t)at + 1) * size.src / (2 * (int64_t)size.dst);
        axis->start[i] = (int32_t)(source < size.src ? source : size.src - 1);
    }
}

void nnd_axis_fini(nnd_axis *axis)
{
    nnd_free(axis->start);
    nnd_free(axis->weight);
    memset(axis, 0, sizeof(*axis));
}

static nnd_status axis_alloc(nnd_axis *axis, nnd_axis_size size, double taps, double **scratch)
{
    axis->count = size.count;
    axis->taps = taps < size.src ? (int)taps : size.src;
    axis->start = nnd_calloc((size_t)size.count, sizeof(int32_t));
    size_t count = 0;
    if (taps > 0 && nnd_size_mul((size_t)size.count, (size_t)axis->taps, &count) &&
        nnd_size_add(count, NND_SUM_COLUMNS_READ, &count))
        axis->weight = nnd_calloc(count, sizeof(float));
    if (scratch) *scratch = nnd_calloc((size_t)taps + 4, sizeof(double));
    if (axis->start && (taps <= 0 || axis->weight) && (!scratch || *scratch)) return NND_OK;
    nnd_axis_fini(axis);
    if (scratch) nnd_free(*scratch);
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the weights of a resize %d -> %d",
                         size.src, size.dst);
}

nnd_status nnd_axis_init(nnd_axis *axis, nnd_axis_size size, double other_scale, nnd_filter filter,
                         bool antialias)
{
    const double scale = (double)size.src / size.dst;
    double *scratch = NULL;
    memset(axis, 0, sizeof(*axis));
    switch (filter) {
    case NND_FILTER_NEAREST:
    case NND_FILTER_NEAREST_CENTRE:
        NND_TRY(axis_alloc(axis, size, 0, NULL));
        fill_nearest(axis, size, filter);
        axis->taps = 1;
        return NND_OK;
    case NND_FILTER_AREA:
        if (scale < 1 || other_scale < 1) {
            NND_TRY(axis_alloc(axis, size, 2, NULL));
            fill_area_enlarge(axis, size);
            return NND_OK;
        }
        NND_TRY(axis_alloc(axis, size, ceil(scale) + 1, &scratch));
        fill_area(axis, size, scratch);
        break;
    case NND_FILTER_LANCZOS:
        NND_TRY(axis_alloc(axis, size, 8, NULL));
        fill_kernel(axis, size, filter, 8);
        return NND_OK;
    case NND_FILTER_BILINEAR:
    case NND_FILTER_BICUBIC: {
        const int support = filter == NND_FILTER_BILINEAR ? 1 : 2;
        if (!antialias || scale <= 1) {
            NND_TRY(axis_alloc(axis, size, 2 * support, NULL));
            fill_kernel(axis, size, filter, 2 * support);
            return NND_OK;
        }
        NND_TRY(axis_alloc(axis, size, ceil(2 * support * scale) + 1, &scratch));
        fill_antialias(axis, size, filter, support, scratch);
        break;
    }
    default:
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "unknown filter %d", (int)filter);
    }
    nnd_free(scratch);
    return NND_OK;
}

int16_t *nnd_axis_quantise(const nnd_axis *axis)
{
    int16_t *out = nnd_calloc((size_t)axis->count * (size_t)axis->taps, sizeof(int16_t));
    if (!out) return NULL;
    for (int i = 0; i < axis->count; i++) {
        const size_t at = (size_t)i * (size_t)axis->taps;
        double sum = 0;
        long done = 0;
        /* Rounds the running sum, so that errors do not add up. */
        for (int k = 0; k < axis->taps; k++) {
            sum += (double)axis->weight[at + (size_t)k];
            long total = lrint(sum * 16384);
            if (k == axis->taps - 1) total = 16384;
            out[at + (size_t)k] = (int16_t)(total - done);
            done = total;
        }
    }
    return out;
}
