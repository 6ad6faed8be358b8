/*
 * Warps. A row is done in chunks: the places of its pixels in the source are worked out first (in
 * double precision, the same everywhere), then runs of pixels whose neighbours all lie
 * inside go to the vector kernel and the others pixel by pixel through the border rule.
 */
#include <string.h>

#include "ops/kernels/fixed.h"
#include "ops/kernels/kernels.h"
#include "ops/kernels/pixel_sizes.h"
#include "ops/ops_common.h"

#define WARP_BAND 16
#define CHUNK     128

typedef struct warp_job {
    nnd_image dst, src;
    nnd_warp_map map; /* dst → src */
    nnd_filter filter;
    nnd_border border;
    uint8_t constant[16];
    int channels, depth;
    /* Points in there, from 0 on, have all that the filter takes; those further out than `reach`
       have nothing. */
    uint32_t inner_width, inner_height;
    int reach;
    const nnd_ops_kernels *kernels;
} warp_job;

/* Upper left neighbours and weights of a chunk of pixels. */
typedef struct places {
    int32_t x[CHUNK], y[CHUNK];
    int16_t wx[CHUNK], wy[CHUNK];
    int64_t offset[CHUNK];
} places;

/* What the kernels take of them. */
typedef struct source_points {
    const uint8_t *src;
    int64_t stride;
    const int64_t *offset;
    const int16_t *wx, *wy;
} source_points;

static void find_places(const warp_job *job, int x, int y, int count, places *p)
{
    const nnd_places out = {p->x, p->y, p->wx, p->wy};
    job->kernels->places(&out, &job->map, x, y, (size_t)count);
}

static const uint8_t *pixel_at(const warp_job *job, int64_t x, int64_t y)
{
    const int column = nnd_ops_border_index(x, job->src.width, job->border);
    const int row = nnd_ops_border_index(y, job->src.height, job->border);
    if (column < 0 || row < 0) return job->constant;
    return nnd_ops_row(&job->src, 0, row) + (int64_t)column * job->channels * job->depth;
}

static void blend_points(const nnd_ops_kernels *kernels, int channels, int depth, void *dst,
                         source_points p, size_t count)
{
    const int c = channels - 1;
    if (depth == 1)
        kernels->points_u8[c](dst, p.src, p.stride, p.offset, p.wx, p.wy, count);
    else if (depth == 2)
        kernels->points_u16[c](dst, p.src, p.stride, p.offset, p.wx, p.wy, count);
    else
        kernels->points_f32[c](dst, p.src, p.stride, p.offset, p.wx, p.wy, count);
}

/* A pixel whose neighbours lie apart: brought together, they are one point for the kernel. */
static void blend_deep(const warp_job *job, const uint8_t *const near[4], int16_t wx, int16_t wy,
                       uint8_t *dst)
{
    const size_t pixel = (size_t)(job->channels * job->depth);
    const int64_t offset = 0;
    float block[4 * 4], level[4]; /* aligned for every type */
    for (size_t k = 0; k < 4; k++)
        memcpy((uint8_t *)block + k * pixel, near[k], pixel);
    blend_points(&nnd_ops_kernels_reference, job->channels, job->depth, level,
                 (source_points){(const uint8_t *)block, 2 * (int64_t)pixel, &offset, &wx, &wy}, 1);
    memcpy(dst, level, pixel);
}

static void blend_pixel(const warp_job *job, const places *p, int i, uint8_t *dst)
{
    const int64_t x = p->x[i], y = p->y[i];
    const uint8_t *const near[4] = {pixel_at(job, x, y), pixel_at(job, x + 1, y),
                                    pixel_at(job, x, y + 1), pixel_at(job, x + 1, y + 1)};
    if (job->depth > 1) {
        blend_deep(job, near, p->wx[i], p->wy[i], dst);
        return;
    }
    for (int c = 0; c < job->channels; c++)
        dst[c] =
            nnd_fixed_bilinear(near[0][c], near[1][c], near[2][c], near[3][c], p->wx[i], p->wy[i]);
}

/* Bytes that the kernel may read at a point: two pixels at least. */
static int64_t point_bytes(const warp_job *job)
{
    const int64_t two = 2 * (int64_t)job->channels;
    const int64_t read =
        job->depth == 1 ? NND_BILINEAR_READ(job->channels) : NND_POINTS_READ(job->channels);
    return (read > two ? read : two) * job->depth;
}

/* How many pixels from i on have all their neighbours, and what the kernel may over-read, inside.
 */
static int inner_run(const warp_job *job, places *p, int i, int count)
{
    const int64_t bytes = (int64_t)job->channels * job->depth;
    int n = i;
    while (n < count && (uint32_t)p->x[n] < job->inner_width &&
           (uint32_t)p->y[n] < job->inner_height) {
        p->offset[n] = p->y[n] * job->src.stride[0] + p->x[n] * bytes;
        n++;
    }
    return n - i;
}

/* How many pixels from i on see nothing but the constant. */
static int outer_run(const warp_job *job, const places *p, int i, int count)
{
    const int width = job->src.width, height = job->src.height, first = -job->reach;
    int n = i;
    if (job->border != NND_BORDER_CONSTANT) return 0;
    while (n < count &&
           (p->x[n] < first || p->x[n] >= width || p->y[n] < first || p->y[n] >= height))
        n++;
    return n - i;
}

/* Scattered pixels as they are, one load and one store each. */
static void copy_points(uint8_t *dst, const uint8_t *src, const int64_t *offset, size_t count,
                        size_t bytes)
{
#define COPY(n)                                                                                    \
    case n:                                                                                        \
        for (size_t i = 0; i < count; i++)                                                         \
            memcpy(dst + i * (n), src + offset[i], n);                                             \
        break;
    NND_FOR_PIXEL_SIZE(bytes, COPY)
#undef COPY
}

static void inner_pixels(const warp_job *job, const places *p, int i, size_t count, uint8_t *dst)
{
    const source_points points = {job->src.data[0], job->src.stride[0], p->offset + i, p->wx + i,
                                  p->wy + i};
    if (job->filter == NND_FILTER_BILINEAR)
        blend_points(job->kernels, job->channels, job->depth, dst, points, count);
    else
        copy_points(dst, points.src, points.offset, count, (size_t)(job->channels * job->depth));
}

static void edge_pixel(const warp_job *job, const places *p, int i, uint8_t *dst)
{
    if (job->filter == NND_FILTER_BILINEAR)
        blend_pixel(job, p, i, dst);
    else
        memcpy(dst, pixel_at(job, p->x[i], p->y[i]), (size_t)(job->channels * job->depth));
}

static void warp_chunk(const warp_job *job, places *p, int count, uint8_t *dst)
{
    const size_t pixel = (size_t)(job->channels * job->depth);
    for (int i = 0; i < count;) {
        uint8_t *out = dst + (size_t)i * pixel;
        const int inner = inner_run(job, p, i, count);
        const int outer = inner ? 0 : outer_run(job, p, i, count);
        if (inner)
            inner_pixels(job, p, i, (size_t)inner, out);
        else if (outer)
            nnd_ops_fill_row(out, job->constant, pixel, (size_t)outer);
        else
            edge_pixel(job, p, i, out);
        i += inner + outer ? inner + outer : 1;
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
            find_places(job, x, y, count, p);
            warp_chunk(job, p, count, row + (size_t)x * pixel);
        }
    }
    return NND_OK;
}

/* What the filter takes around a point. */
static void set_reach(warp_job *job)
{
    const int64_t bytes = (int64_t)job->channels * job->depth;
    job->inner_width = (uint32_t)job->src.width;
    job->inner_height = (uint32_t)job->src.height;
    if (job->filter != NND_FILTER_BILINEAR) return;
    const int64_t last = job->src.width * bytes - point_bytes(job);
    job->inner_width = last < 0 ? 0 : (uint32_t)(last / bytes) + 1;
    job->inner_height--;
    job->reach = 1;
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
        /* Neighbours are found from pixel centres, the nearest pixel from its edges. */
        .map = {.perspective = m[6] != 0 || m[7] != 0 || m[8] != 1,
                .shift = options->filter == NND_FILTER_BILINEAR ? -0.5 : 0,
                .round = options->filter == NND_FILTER_BILINEAR ? 0.5 : 0},
        .filter = options->filter,
        .border = options->border,
        .channels = nnd_ops_channels(src->format),
        .depth = nnd_ops_depth(src->dtype),
        .kernels = nnd_ops_kernels_get(),
    };
    memcpy(job.map.m, m, sizeof(job.map.m));
    set_reach(&job);
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
