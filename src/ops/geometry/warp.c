/*
 * Warps. A row is done in chunks: the places of its pixels in the source are worked out first (in
 * plain C, so that they are the same everywhere), then runs of pixels whose neighbours all lie
 * inside go to the vector kernel and the others pixel by pixel through the border rule.
 */
#include <math.h>
#include <string.h>

#include "ops/kernels/fixed.h"
#include "ops/kernels/kernels.h"
#include "ops/ops_common.h"

#define WARP_BAND  16
#define CHUNK      128
#define FRACTION   15     /* bits of a place below the pixel */
#define FAR_AWAY   0x1p30 /* places beyond are as good as this one */
#define PLACE_BIAS 0x1p46 /* makes truncation round down */

typedef struct warp_job {
    nnd_image dst, src;
    double m[9]; /* dst → src */
    bool perspective;
    nnd_filter filter;
    nnd_border border;
    uint8_t constant[16];
    int channels, depth;
    const nnd_ops_kernels *kernels;
} warp_job;

/* Upper left neighbours and weights of a chunk of pixels. */
typedef struct places {
    int32_t x[CHUNK], y[CHUNK];
    int16_t wx[CHUNK], wy[CHUNK];
    int64_t offset[CHUNK];
} places;

static int64_t to_fixed(double place, double round)
{
    if (!(place > -FAR_AWAY)) place = -FAR_AWAY; /* also NaN */
    if (place > FAR_AWAY) place = FAR_AWAY;
    return (int64_t)(place * (1 << FRACTION) + (PLACE_BIAS + round)) - (int64_t)PLACE_BIAS;
}

static void find_places(const warp_job *job, int x, int y, int count, places *p)
{
    const double *m = job->m;
    const bool bilinear = job->filter == NND_FILTER_BILINEAR;
    /* Neighbours are found from pixel centres, the nearest pixel from its edges. */
    const double shift = bilinear ? -0.5 : 0, round = bilinear ? 0.5 : 0;
    const double cy = y + 0.5;
    for (int i = 0; i < count; i++) {
        const double cx = x + i + 0.5;
        double u = m[0] * cx + m[1] * cy + m[2], v = m[3] * cx + m[4] * cy + m[5];
        if (job->perspective) {
            const double w = m[6] * cx + m[7] * cy + m[8];
            u /= w;
            v /= w;
        }
        const int64_t fu = to_fixed(u + shift, round), fv = to_fixed(v + shift, round);
        p->x[i] = (int32_t)(fu >> FRACTION);
        p->y[i] = (int32_t)(fv >> FRACTION);
        p->wx[i] = (int16_t)(fu & ((1 << FRACTION) - 1));
        p->wy[i] = (int16_t)(fv & ((1 << FRACTION) - 1));
    }
}

static const uint8_t *pixel_at(const warp_job *job, int64_t x, int64_t y)
{
    const int column = nnd_ops_border_index(x, job->src.width, job->border);
    const int row = nnd_ops_border_index(y, job->src.height, job->border);
    if (column < 0 || row < 0) return job->constant;
    return nnd_ops_row(&job->src, 0, row) + (int64_t)column * job->channels * job->depth;
}

static float level_of(const uint8_t *pixel, int depth, int channel)
{
    if (depth == 2) {
        uint16_t u;
        memcpy(&u, pixel + 2 * channel, 2);
        return (float)u;
    }
    float f;
    memcpy(&f, pixel + 4 * channel, 4);
    return f;
}

static void blend_float(const warp_job *job, const uint8_t *const p[4], float wx, float wy,
                        uint8_t *dst)
{
    for (int c = 0; c < job->channels; c++) {
        const float left =
            level_of(p[0], job->depth, c) * (1 - wy) + level_of(p[2], job->depth, c) * wy;
        const float right =
            level_of(p[1], job->depth, c) * (1 - wy) + level_of(p[3], job->depth, c) * wy;
        const float level = left * (1 - wx) + right * wx;
        if (job->depth == 2) {
            const uint16_t u = (uint16_t)rintf(level);
            memcpy(dst + 2 * c, &u, 2);
        } else {
            memcpy(dst + 4 * c, &level, 4);
        }
    }
}

static void blend_pixel(const warp_job *job, const places *p, int i, uint8_t *dst)
{
    const int64_t x = p->x[i], y = p->y[i];
    const uint8_t *const near[4] = {pixel_at(job, x, y), pixel_at(job, x + 1, y),
                                    pixel_at(job, x, y + 1), pixel_at(job, x + 1, y + 1)};
    if (job->depth > 1) {
        const float unit = 1.0f / (1 << FRACTION);
        blend_float(job, near, (float)p->wx[i] * unit, (float)p->wy[i] * unit, dst);
        return;
    }
    for (int c = 0; c < job->channels; c++)
        dst[c] =
            nnd_fixed_bilinear(near[0][c], near[1][c], near[2][c], near[3][c], p->wx[i], p->wy[i]);
}

/* How many pixels from i on have all their neighbours, and what the kernel may over-read, inside.
 */
static int inner_run(const warp_job *job, places *p, int i, int count)
{
    const int64_t bytes = job->channels, row_bytes = (int64_t)job->src.width * bytes;
    const int64_t last = row_bytes - (2 * bytes > NND_BILINEAR_READ(job->channels)
                                          ? 2 * bytes
                                          : NND_BILINEAR_READ(job->channels));
    int n = i;
    for (; n < count; n++) {
        if (p->x[n] < 0 || p->y[n] < 0 || p->y[n] >= job->src.height - 1 || p->x[n] * bytes > last)
            break;
        p->offset[n] = p->y[n] * job->src.stride[0] + p->x[n] * bytes;
    }
    return n - i;
}

static void bilinear_chunk(const warp_job *job, places *p, int count, uint8_t *dst)
{
    const size_t pixel = (size_t)(job->channels * job->depth);
    for (int i = 0; i < count;) {
        const int run = job->depth == 1 ? inner_run(job, p, i, count) : 0;
        if (run == 0) {
            blend_pixel(job, p, i, dst + (size_t)i * pixel);
            i++;
            continue;
        }
        job->kernels->points_u8[job->channels - 1](dst + (size_t)i * pixel, job->src.data[0],
                                                   job->src.stride[0], p->offset + i, p->wx + i,
                                                   p->wy + i, (size_t)run);
        i += run;
    }
}

static nnd_status warp_band(void *user, int begin, int end, void *scratch)
{
    const warp_job *job = user;
    const size_t pixel = (size_t)(job->channels * job->depth);
    places *p = scratch;
    for (int y = begin; y < end; y++) {
        uint8_t *row = nnd_ops_row(&job->dst, 0, y);
        for (int x = 0; x < job->dst.width; x += CHUNK) {
            const int count = job->dst.width - x < CHUNK ? job->dst.width - x : CHUNK;
            uint8_t *dst = row + (size_t)x * pixel;
            find_places(job, x, y, count, p);
            if (job->filter == NND_FILTER_BILINEAR) {
                bilinear_chunk(job, p, count, dst);
                continue;
            }
            for (int i = 0; i < count; i++)
                memcpy(dst + (size_t)i * pixel, pixel_at(job, p->x[i], p->y[i]), pixel);
        }
    }
    return NND_OK;
}

static nnd_status check_warp(const nnd_image *dst, const nnd_image *src,
                             const nnd_warp_options *options)
{
    NND_OPS_CHECK_OPTIONS(options, nnd_warp_options);
    NND_TRY(nnd_ops_check_same_kind(dst, src));
    NND_TRY(nnd_ops_check_interleaved(src, "warp"));
    if (options->filter != NND_FILTER_NEAREST && options->filter != NND_FILTER_BILINEAR)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "warps take the filters nearest and bilinear, not %s",
                             nnd_filter_name(options->filter));
    if (options->border != NND_BORDER_CONSTANT && options->border != NND_BORDER_REPLICATE)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "warps take the borders constant and replicate");
    return NND_OK;
}

/* m: dst → src, 9 elements. */
static nnd_status warp(nnd_image *dst, const nnd_image *src, const double m[9],
                       const nnd_warp_options *options)
{
    for (int i = 0; i < 9; i++)
        if (!nnd_ops_is_finite(m[i]))
            return nnd_error_set(NND_E_INVALID_ARGUMENT, "element %d of the matrix is not finite",
                                 i);
    warp_job job = {
        .dst = *dst,
        .src = *src,
        .perspective = m[6] != 0 || m[7] != 0 || m[8] != 1,
        .filter = options->filter,
        .border = options->border,
        .channels = nnd_ops_channels(src->format),
        .depth = nnd_ops_depth(src->dtype),
        .kernels = nnd_ops_kernels_get(),
    };
    memcpy(job.m, m, sizeof(job.m));
    nnd_ops_encode_pixel(src, options->value, job.constant);
    return nnd_ops_for_rows(dst->height, WARP_BAND, options->threads, sizeof(places), warp_band,
                            &job, options->cancel);
}

nnd_status nnd_image_warp_affine(nnd_image *dst, const nnd_image *src, const double m[6],
                                 const nnd_warp_options *options, nnd_geometry *geometry)
{
    const nnd_warp_options defaults = NND_WARP_OPTIONS_INIT;
    double full[9] = {0, 0, 0, 0, 0, 0, 0, 0, 1};
    if (!options) options = &defaults;
    NND_TRY(check_warp(dst, src, options));
    if (!m) return nnd_error_set(NND_E_INVALID_ARGUMENT, "warp: no matrix");
    if (options->inverse)
        memcpy(full, m, 6 * sizeof(double));
    else
        NND_TRY(nnd_affine_invert(m, full));
    NND_TRY(warp(dst, src, full, options));
    if (geometry) {
        *geometry = (nnd_geometry){.source_width = src->width,
                                   .source_height = src->height,
                                   .width = dst->width,
                                   .height = dst->height};
        memcpy(geometry->m, full, sizeof(geometry->m));
    }
    return NND_OK;
}

nnd_status nnd_image_warp_perspective(nnd_image *dst, const nnd_image *src, const double m[9],
                                      const nnd_warp_options *options)
{
    const nnd_warp_options defaults = NND_WARP_OPTIONS_INIT;
    double inverse[9];
    if (!options) options = &defaults;
    NND_TRY(check_warp(dst, src, options));
    if (!m) return nnd_error_set(NND_E_INVALID_ARGUMENT, "warp: no matrix");
    if (options->inverse) return warp(dst, src, m, options);
    NND_TRY(nnd_perspective_invert(m, inverse));
    return warp(dst, src, inverse, options);
}

nnd_status nnd_image_crop_rotated(nnd_image *dst, const nnd_image *src,
                                  const nnd_rotated_rect *rect, const nnd_warp_options *options,
                                  nnd_geometry *geometry)
{
    nnd_warp_options inside = NND_WARP_OPTIONS_INIT;
    double m[6];
    if (options) inside = *options;
    inside.inverse = true;
    NND_TRY(check_warp(dst, src, &inside));
    NND_TRY(nnd_rotated_rect_to_affine(rect, dst->width, dst->height, m));
    return nnd_image_warp_affine(dst, src, m, &inside, geometry);
}
