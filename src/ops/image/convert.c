/* Conversion between pixel formats and element types. */
#include <math.h>
#include <string.h>

#include "ops/image/row_reader.h"

#define CONVERT_BAND 16 /* even: chroma of a pair of rows is made in one band */

typedef struct rgb_yuv {
    int16_t luma[3]; /* Q15, in the order of the row's channels, as those of chroma */
    nnd_chroma_coef chroma;
    nnd_level_range from_gray;
} rgb_yuv;

typedef struct convert_job {
    nnd_row_reader reader;
    nnd_image out;
    int map[4];
    rgb_yuv yuv;
} convert_job;

/* ---- to interleaved -------------------------------------------------------------------- */

static void store_u8(const convert_job *job, const uint8_t *src, uint8_t *dst, size_t width)
{
    const size_t from = (size_t)job->reader.channels,
                 to = (size_t)nnd_ops_channels(job->out.format);
    const nnd_ops_kernels *kernels = job->reader.kernels;
    if (from == to && job->map[0] == 0) {
        memcpy(dst, src, width * to);
    } else if (from == to && to == 3) {
        kernels->swap_u8c3(dst, src, width);
    } else if (from == to && to == 4) {
        kernels->swap_u8c4(dst, src, width);
    } else {
        nnd_channel_order order = {(int)from, (int)to, {0}};
        memcpy(order.channel, job->map, sizeof(order.channel));
        kernels->order_u8(dst, src, width, &order);
    }
}

/* Rows in between, one per thread. */
typedef struct convert_lane {
    nnd_row_cache cache;
    float *levels, *plane[5]; /* deep pixels: reordered; their channels and an opaque one */
    uint8_t *bytes[2], *luma, *chroma; /* to YUV: two rows as u8, what YUYV and I420 are made of */
} convert_lane;

static void carve_lane(convert_lane *lane, const convert_job *job, nnd_carve *carve)
{
    const bool to_yuv = nnd_ops_is_yuv(job->out.format), deep = job->reader.dtype == NND_F32;
    const size_t width = (size_t)job->out.width;
    memset(lane, 0, sizeof(*lane));
    nnd_row_cache_carve(&lane->cache, &job->reader, to_yuv ? 2 : 1, carve);
    if (to_yuv) {
        lane->luma = nnd_carve_take(carve, width + 1);
        lane->chroma = nnd_carve_take(carve, width + 1);
        for (int k = 0; deep && k < 2; k++)
            lane->bytes[k] = nnd_carve_take(carve, width * 4);
    } else if (deep) {
        lane->levels = nnd_carve_take(carve, width * 4 * sizeof(float));
        for (int k = 0; k < 5; k++)
            lane->plane[k] = nnd_carve_take(carve, width * sizeof(float));
    }
}

/* f32 rows carry levels of the destination's scale. */
static const float *order_f32(const convert_job *job, const convert_lane *lane, const float *src,
                              size_t width)
{
    static const float one[4] = {1, 1, 1, 1}, none[4] = {0};
    const nnd_ops_kernels *kernels = job->reader.kernels;
    const int from = job->reader.channels, to = nnd_ops_channels(job->out.format);
    const float *plane[4];
    if (from == to && job->map[0] == 0) return src;
    for (size_t i = 0; i < width; i++)
        lane->plane[4][i] = (float)nnd_ops_max_level(job->out.dtype);
    (from == 1   ? kernels->planar_f32c1
     : from == 3 ? kernels->planar_f32c3
                 : kernels->planar_f32c4)(lane->plane, src, width, one, none);
    for (int k = 0; k < to; k++)
        plane[k] = lane->plane[job->map[k] < 0 ? 4 : job->map[k]];
    (to == 3 ? kernels->interleave_f32c3 : kernels->interleave_f32c4)(lane->levels, plane, width);
    return lane->levels;
}

static void store_f32(const convert_job *job, const convert_lane *lane, const float *src,
                      uint8_t *dst, size_t width)
{
    const float *levels = order_f32(job, lane, src, width);
    const size_t count = width * (size_t)nnd_ops_channels(job->out.format);
    if (job->out.dtype == NND_U8)
        job->reader.kernels->f32_to_u8(dst, levels, count);
    else if (job->out.dtype == NND_U16)
        job->reader.kernels->f32_to_u16((uint16_t *)(void *)dst, levels, count);
    else
        memcpy(dst, levels, count * sizeof(float));
}

static nnd_status interleaved_band(void *user, int begin, int end, void *memory)
{
    const convert_job *job = user;
    const size_t width = (size_t)job->out.width;
    nnd_carve carve = {memory, 0};
    convert_lane lane;
    carve_lane(&lane, job, &carve);
    nnd_row_cache_reset(&lane.cache);
    for (int y = begin; y < end; y++) {
        const void *row = nnd_row_cache_get(&lane.cache, y);
        if (job->reader.dtype == NND_U8)
            store_u8(job, row, nnd_ops_row(&job->out, 0, y), width);
        else
            store_f32(job, &lane, row, nnd_ops_row(&job->out, 0, y), width);
    }
    return NND_OK;
}

/* ---- to YUV ---------------------------------------------------------------------------- */

static rgb_yuv rgb_yuv_of(const nnd_image *image, bool bgr)
{
    const bool wide = image->matrix == NND_MATRIX_BT709, full = image->range == NND_RANGE_FULL;
    const double r = wide ? 0.2126 : 0.299, b = wide ? 0.0722 : 0.114, g = 1 - r - b;
    const double luma = full ? 1.0 : 219.0 / 255.0, chroma = full ? 1.0 : 224.0 / 255.0;
    const double y[3] = {r * luma, g * luma, b * luma};
    const double u[3] = {-0.5 * r / (1 - b) * chroma, -0.5 * g / (1 - b) * chroma, 0.5 * chroma};
    const double v[3] = {0.5 * chroma, -0.5 * g / (1 - r) * chroma, -0.5 * b / (1 - r) * chroma};
    rgb_yuv out = {.from_gray = {0, full ? 0 : 16, (int16_t)lrint(luma * 16384)}};
    for (int k = 0; k < 3; k++) {
        const int at = bgr ? 2 - k : k;
        out.luma[at] = (int16_t)lrint(y[k] * 32768);
        out.chroma.u[at] = (int16_t)lrint(u[k] * 32768);
        out.chroma.v[at] = (int16_t)lrint(v[k] * 32768);
    }
    return out;
}

/* A row of the reader as levels of u8; `bytes` where they have to be made. */
static const uint8_t *row_u8(const convert_job *job, convert_lane *lane, int y, int slot)
{
    const void *row = nnd_row_cache_get(&lane->cache, y);
    if (job->reader.dtype == NND_U8) return row;
    job->reader.kernels->f32_to_u8(lane->bytes[slot], row,
                                   (size_t)job->out.width * (size_t)job->reader.channels);
    return lane->bytes[slot];
}

static void make_luma(const convert_job *job, uint8_t *dst, const uint8_t *row)
{
    const nnd_ops_kernels *kernels = job->reader.kernels;
    const rgb_yuv *k = &job->yuv;
    const size_t width = (size_t)job->out.width;
    if (job->reader.channels == 1)
        kernels->range_u8(dst, row, width, &k->from_gray);
    else if (job->reader.channels == 3)
        kernels->gray_u8c3(dst, row, width, k->luma, k->from_gray.above);
    else
        kernels->gray_u8c4(dst, row, width, k->luma, k->from_gray.above);
}

/* Pairs of chroma of one or two rows (lower may be NULL). */
static void make_chroma(const convert_job *job, uint8_t *uv, const uint8_t *upper,
                        const uint8_t *lower)
{
    const nnd_ops_kernels *kernels = job->reader.kernels;
    const size_t width = (size_t)job->out.width;
    if (job->reader.channels == 1)
        memset(uv, 128, (width + 1) / 2 * 2);
    else if (job->reader.channels == 3)
        kernels->chroma_u8c3(uv, upper, lower, width, &job->yuv.chroma);
    else
        kernels->chroma_u8c4(uv, upper, lower, width, &job->yuv.chroma);
}

static void store_yuyv(const convert_job *job, convert_lane *lane, int y)
{
    const size_t width = (size_t)job->out.width;
    const uint8_t *row = row_u8(job, lane, y, 0);
    make_luma(job, lane->luma, row);
    if (width & 1) lane->luma[width] = lane->luma[width - 1];
    make_chroma(job, lane->chroma, row, NULL);
    job->reader.kernels->merge_u8(nnd_ops_row(&job->out, 0, y), lane->luma, lane->chroma,
                                  (width + 1) / 2 * 2);
}

/* Rows y and, unless it is beyond the end, y + 1. */
static void store_420(const convert_job *job, convert_lane *lane, int y, bool two)
{
    const nnd_image *out = &job->out;
    const bool pairs = out->format == NND_PIX_NV12;
    const uint8_t *upper = row_u8(job, lane, y, 0),
                  *lower = two ? row_u8(job, lane, y + 1, 1) : NULL;
    uint8_t *uv = pairs ? nnd_ops_row(out, 1, y / 2) : lane->chroma;
    make_luma(job, nnd_ops_row(out, 0, y), upper);
    if (two) make_luma(job, nnd_ops_row(out, 0, y + 1), lower);
    make_chroma(job, uv, upper, lower);
    if (!pairs)
        job->reader.kernels->split_u8(nnd_ops_row(out, 1, y / 2), nnd_ops_row(out, 2, y / 2), uv,
                                      ((size_t)out->width + 1) / 2);
}

static nnd_status yuv_band(void *user, int begin, int end, void *memory)
{
    const convert_job *job = user;
    const bool every_row = job->out.format == NND_PIX_YUYV;
    nnd_carve carve = {memory, 0};
    convert_lane lane;
    carve_lane(&lane, job, &carve);
    nnd_row_cache_reset(&lane.cache);
    for (int y = begin; y < end; y += every_row ? 1 : 2) {
        if (every_row)
            store_yuyv(job, &lane, y);
        else
            store_420(job, &lane, y, y + 1 < end);
    }
    return NND_OK;
}

/* NV12 ↔ I420 without touching the samples. */
static void regroup_chroma(const nnd_image *dst, const nnd_image *src)
{
    const nnd_ops_kernels *kernels = nnd_ops_kernels_get();
    const size_t width = (size_t)src->width, pairs = (width + 1) / 2;
    for (int y = 0; y < src->height; y++)
        memcpy(nnd_ops_row(dst, 0, y), nnd_ops_row(src, 0, y), width);
    for (int y = 0; y < (src->height + 1) / 2; y++) {
        const bool from_pairs = src->format == NND_PIX_NV12;
        const nnd_image *pair_side = from_pairs ? src : dst, *plane_side = from_pairs ? dst : src;
        uint8_t *uv = nnd_ops_row(pair_side, 1, y);
        uint8_t *u = nnd_ops_row(plane_side, 1, y), *v = nnd_ops_row(plane_side, 2, y);
        if (from_pairs)
            kernels->split_u8(u, v, uv, pairs);
        else
            kernels->merge_u8(uv, u, v, pairs);
    }
}

/* ---- entry ----------------------------------------------------------------------------- */

static bool is_planar_420(nnd_pixel_format format)
{
    return format == NND_PIX_NV12 || format == NND_PIX_I420;
}

static nnd_status convert_general(nnd_image *dst, const nnd_image *src,
                                  const nnd_convert_options *options)
{
    const nnd_rect whole = {0, 0, src->width, src->height};
    const bool to_yuv = nnd_ops_is_yuv(dst->format);
    const bool u8 = src->dtype == NND_U8 && dst->dtype == NND_U8;
    convert_job job = {.out = *dst};
    nnd_row_reader_init(&job.reader, src, whole, to_yuv ? NND_PIX_RGB : dst->format,
                        u8 ? NND_U8 : NND_F32,
                        nnd_ops_max_level(dst->dtype) / nnd_ops_max_level(src->dtype));
    if (to_yuv)
        job.yuv =
            rgb_yuv_of(dst, job.reader.format == NND_PIX_BGR || job.reader.format == NND_PIX_BGRA);
    else
        nnd_channel_map(job.reader.format, dst->format, job.map);
    nnd_carve measure = {NULL, 0};
    convert_lane lane;
    carve_lane(&lane, &job, &measure);
    return nnd_ops_for_rows(dst->height, CONVERT_BAND, options->threads, measure.used,
                            to_yuv ? yuv_band : interleaved_band, &job, options->cancel);
}

nnd_status nnd_image_convert(nnd_image *dst, const nnd_image *src,
                             const nnd_convert_options *options)
{
    const nnd_convert_options defaults = NND_CONVERT_OPTIONS_INIT;
    if (!options) options = &defaults;
    NND_OPS_CHECK_OPTIONS(options, nnd_convert_options);
    NND_TRY(nnd_ops_check_image(dst, "destination"));
    NND_TRY(nnd_ops_check_image(src, "source"));
    NND_TRY(nnd_ops_check_same_size(dst, src));
    const bool same_color =
        !nnd_ops_is_yuv(src->format) || (dst->matrix == src->matrix && dst->range == src->range);
    if (dst->format == src->format && dst->dtype == src->dtype && same_color)
        return nnd_image_copy(dst, src);
    if (is_planar_420(dst->format) && is_planar_420(src->format) && same_color) {
        regroup_chroma(dst, src);
        return NND_OK;
    }
    return convert_general(dst, src, options);
}
