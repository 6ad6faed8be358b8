/* Thresholds: fixed, Otsu's, and the mean of the neighbourhood by an integral image. */
#include <math.h>
#include <string.h>

#include "ops/ops_common.h"

static nnd_status check_gray(const nnd_image *image, const char *name)
{
    NND_TRY(nnd_ops_check_image(image, name));
    if (image->format != NND_PIX_GRAY || image->dtype != NND_U8)
        return nnd_error_set(NND_E_TYPE, "%s: gray u8 is needed, not %s %s", name,
                             nnd_pixel_format_name(image->format), nnd_dtype_name(image->dtype));
    return NND_OK;
}

/* Otsu 1979: the level that separates two classes with the largest variance between them. */
static int otsu_level(const nnd_image *src)
{
    uint64_t histogram[256] = {0};
    double total = 0, sum = 0;
    for (int y = 0; y < src->height; y++) {
        const uint8_t *row = nnd_ops_row(src, 0, y);
        for (int x = 0; x < src->width; x++)
            histogram[row[x]]++;
    }
    for (int i = 0; i < 256; i++) {
        total += (double)histogram[i];
        sum += (double)histogram[i] * i;
    }
    double below = 0, below_sum = 0, best = 0;
    int level = 0;
    for (int i = 0; i < 256; i++) {
        below += (double)histogram[i];
        below_sum += (double)histogram[i] * i;
        const double above = total - below;
        if (below == 0 || above == 0) continue;
        const double distance = below_sum / below - (sum - below_sum) / above;
        const double between = below * above * distance * distance;
        if (between > best) {
            best = between;
            level = i;
        }
    }
    return level;
}

static void apply_level(nnd_image *dst, const nnd_image *src, int level, uint8_t above,
                        uint8_t below)
{
    for (int y = 0; y < src->height; y++) {
        const uint8_t *in = nnd_ops_row(src, 0, y);
        uint8_t *out = nnd_ops_row(dst, 0, y);
        for (int x = 0; x < src->width; x++)
            out[x] = in[x] > level ? above : below;
    }
}

/* Sums over everything above and left of (x, y), of the picture with its edges repeated by
   `radius`; (width + 2 radius + 1) × (height + 2 radius + 1). Modulo 2³²: differences of nearby
   sums are exact, as a block holds less than 2²⁴. */
static void integrate(uint32_t *sums, const nnd_image *src, int radius)
{
    const size_t columns = (size_t)(src->width + 2 * radius + 1);
    for (size_t x = 0; x < columns; x++)
        sums[x] = 0;
    for (int y = 0; y < src->height + 2 * radius; y++) {
        const uint8_t *row = nnd_ops_row(
            src, 0, nnd_ops_border_index((int64_t)y - radius, src->height, NND_BORDER_REPLICATE));
        const uint32_t *above = sums + (size_t)y * columns;
        uint32_t *out = sums + (size_t)(y + 1) * columns, line = 0;
        out[0] = 0;
        for (size_t x = 1; x < columns; x++) {
            const int64_t at = (int64_t)x - 1 - radius;
            line += row[nnd_ops_border_index(at, src->width, NND_BORDER_REPLICATE)];
            out[x] = above[x] + line;
        }
    }
}

static nnd_status apply_adaptive(nnd_image *dst, const nnd_image *src,
                                 const nnd_threshold_options *options, uint8_t above, uint8_t below)
{
    const int block = options->block, radius = block / 2;
    const size_t columns = (size_t)(src->width + 2 * radius + 1),
                 rows = (size_t)(src->height + 2 * radius + 1);
    uint32_t *sums = nnd_calloc(columns * rows, sizeof(uint32_t));
    if (!sums) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the sums of a threshold");
    integrate(sums, src, radius);
    for (int y = 0; y < src->height; y++) {
        const uint32_t *top = sums + (size_t)y * columns, *bottom = top + (size_t)block * columns;
        const uint8_t *in = nnd_ops_row(src, 0, y);
        uint8_t *out = nnd_ops_row(dst, 0, y);
        for (int x = 0; x < src->width; x++) {
            const uint32_t sum = bottom[x + block] - bottom[x] - top[x + block] + top[x];
            /* The mean is rounded to a level first, as OpenCV does. */
            const double mean = rint((double)sum / (block * block));
            out[x] = in[x] > mean - options->offset ? above : below;
        }
    }
    nnd_free(sums);
    return NND_OK;
}

/* Sums over everything above and left of (x, y), (width + 1) × (height + 1), modulo 2³² as above.
 */
static void integrate_inside(uint32_t *sums, const nnd_image *src)
{
    const size_t columns = (size_t)src->width + 1;
    memset(sums, 0, columns * sizeof *sums);
    for (int y = 0; y < src->height; y++) {
        const uint8_t *row = nnd_ops_row(src, 0, y);
        const uint32_t *above = sums + (size_t)y * columns;
        uint32_t *out = sums + (size_t)(y + 1) * columns, line = 0;
        out[0] = 0;
        for (int x = 0; x < src->width; x++) {
            line += row[x];
            out[x + 1] = above[x + 1] + line;
        }
    }
}

static nnd_status apply_local(nnd_image *dst, const nnd_image *src,
                              const nnd_threshold_options *options)
{
    const int radius = options->block / 2, width = src->width, height = src->height;
    const size_t columns = (size_t)width + 1, rows = (size_t)height + 1;
    uint32_t *sums = nnd_calloc(columns * rows, sizeof(uint32_t));
    if (!sums) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the sums of a threshold");
    integrate_inside(sums, src);
    for (int y = 0; y < height; y++) {
        const int y0 = y > radius ? y - radius : 0;
        const int y1 = y < height - radius ? y + radius + 1 : height;
        const uint32_t *top = sums + (size_t)y0 * columns, *bottom = sums + (size_t)y1 * columns;
        const uint8_t *in = nnd_ops_row(src, 0, y);
        uint8_t *out = nnd_ops_row(dst, 0, y);
        for (int x = 0; x < width; x++) {
            const int x0 = x > radius ? x - radius : 0;
            const int x1 = x < width - radius ? x + radius + 1 : width;
            const double sum = bottom[x1] - bottom[x0] - top[x1] + top[x0];
            const double count = (double)(x1 - x0) * (y1 - y0);
            const bool ink = options->invert ? (in[x] + options->offset) * count <= sum
                                             : (in[x] - options->offset) * count >= sum;
            out[x] = ink ? options->max_value : 0;
        }
    }
    nnd_free(sums);
    return NND_OK;
}

static nnd_status check_block(const nnd_threshold_options *options)
{
    if (options->block >= 3 && options->block <= 255 && options->block % 2 == 1) return NND_OK;
    return nnd_error_set(NND_E_INVALID_ARGUMENT, "threshold block is %d, expected odd, 3 to 255",
                         options->block);
}

nnd_status nnd_image_threshold(nnd_image *dst, const nnd_image *src,
                               const nnd_threshold_options *options, int *used)
{
    const nnd_threshold_options defaults = NND_THRESHOLD_OPTIONS_INIT;
    if (!options) options = &defaults;
    NND_OPS_CHECK_OPTIONS(options, nnd_threshold_options);
    NND_TRY(check_gray(dst, "destination"));
    NND_TRY(check_gray(src, "source"));
    NND_TRY(nnd_ops_check_same_size(dst, src));
    const uint8_t above = options->invert ? 0 : options->max_value,
                  below = options->invert ? options->max_value : 0;
    int level = -1;
    switch (options->kind) {
    case NND_THRESHOLD_FIXED:
        if (options->value < 0 || options->value > 255)
            return nnd_error_set(NND_E_INVALID_ARGUMENT, "threshold value is %d, expected 0 to 255",
                                 options->value);
        level = options->value;
        apply_level(dst, src, level, above, below);
        break;
    case NND_THRESHOLD_OTSU:
        level = otsu_level(src);
        apply_level(dst, src, level, above, below);
        break;
    case NND_THRESHOLD_ADAPTIVE:
        NND_TRY(check_block(options));
        NND_TRY(apply_adaptive(dst, src, options, above, below));
        break;
    case NND_THRESHOLD_LOCAL:
        NND_TRY(check_block(options));
        NND_TRY(apply_local(dst, src, options));
        break;
    default:
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "unknown threshold kind %d",
                             (int)options->kind);
    }
    if (used) *used = level;
    return NND_OK;
}
