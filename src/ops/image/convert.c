/* Conversion between pixel formats and element types. */
#include <math.h>
#include <string.h>

#include "ops/image/row_reader.h"

#define CONVERT_BAND 16 /* even: chroma of a pair of rows is made in one band */

typedef struct rgb_yuv {
    int32_t y[3], u[3], v[3]; /* Q16 of the row's three channels in their order */
    int32_t y_offset;
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
        for (size_t i = 0; i < width; i++)
            for (size_t k = 0; k < to; k++)
                dst[i * to + k] = job->map[k] < 0 ? 255 : src[i * from + (size_t)job->map[k]];
    }
}

/* f32 rows carry levels of the destination's scale. */
static void store_f32(const convert_job *job, const float *src, uint8_t *dst, size_t width)
{
    const size_t from = (size_t)job->reader.channels,
                 to = (size_t)nnd_ops_channels(job->out.format);
    const nnd_dtype dtype = job->out.dtype;
    const float max = (float)nnd_ops_max_level(dtype);
    for (size_t i = 0; i < width; i++) {
        for (size_t k = 0; k < to; k++) {
            const float level = job->map[k] < 0 ? max : src[i * from + (size_t)job->map[k]];
            if (dtype == NND_F32) {
                memcpy(dst + 4 * (i * to + k), &level, 4);
                continue;
            }
            const float v = level > 0.0f ? level : 0.0f;
            const uint16_t u = (uint16_t)rintf(v < max ? v : max);
            if (dtype == NND_U8)
                dst[i * to + k] = (uint8_t)u;
            else
                memcpy(dst + 2 * (i * to + k), &u, 2);
        }
    }
}

static nnd_status interleaved_band(void *user, int begin, int end, void *memory)
{
    const convert_job *job = user;
    const size_t width = (size_t)job->out.width;
    nnd_carve carve = {memory, 0};
    nnd_row_cache cache;
    nnd_row_cache_carve(&cache, &job->reader, 1, &carve);
    nnd_row_cache_reset(&cache);
    for (int y = begin; y < end; y++) {
        const void *row = nnd_row_cache_get(&cache, y);
        if (job->reader.dtype == NND_U8)
            store_u8(job, row, nnd_ops_row(&job->out, 0, y), width);
        else
            store_f32(job, row, nnd_ops_row(&job->out, 0, y), width);
    }
    return NND_OK;
}

/* ---- to YUV ---------------------------------------------------------------------------- */

static rgb_yuv rgb_yuv_of(const nnd_image *image, bool bgr)
{
    const bool wide = image->matrix == NND_MATRIX_BT709, full = image->range == NND_RANGE_FULL;
    const double r = wide ? 0.2126 : 0.299, b = wide ? 0.0722 : 0.114, g = 1 - r - b;
    const double luma = (full ? 1.0 : 219.0 / 255.0) * 65536,
                 chroma = (full ? 1.0 : 224.0 / 255.0) * 65536;
    const double y[3] = {r * luma, g * luma, b * luma};
    const double u[3] = {-0.5 * r / (1 - b) * chroma, -0.5 * g / (1 - b) * chroma, 0.5 * chroma};
    const double v[3] = {0.5 * chroma, -0.5 * g / (1 - r) * chroma, -0.5 * b / (1 - r) * chroma};
    rgb_yuv out = {.y_offset = full ? 0 : 16};
    for (int k = 0; k < 3; k++) {
        const int at = bgr ? 2 - k : k;
        out.y[at] = (int32_t)lrint(y[k]);
        out.u[at] = (int32_t)lrint(u[k]);
        out.v[at] = (int32_t)lrint(v[k]);
    }
    return out;
}

/* weight · the mean of 2^log2_count summed levels, rounded. */
static uint8_t dot(const int32_t weight[3], const int32_t sum[3], int log2_count, int32_t offset)
{
    const int shift = 16 + log2_count;
    const int32_t v = weight[0] * sum[0] + weight[1] * sum[1] + weight[2] * sum[2];
    const int32_t level = ((v + (1 << (shift - 1))) >> shift) + offset;
    return (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
}

/* Three levels of pixel x of a row that the reader gave. */
static void levels_at(const convert_job *job, const void *row, size_t x, int32_t level[3])
{
    const size_t channels = (size_t)job->reader.channels;
    for (size_t k = 0; k < 3; k++) {
        const size_t at = x * channels + (channels == 1 ? 0 : k);
        level[k] = job->reader.dtype == NND_U8 ? ((const uint8_t *)row)[at]
                                               : nnd_ops_to_u8((double)((const float *)row)[at]);
    }
}

static void store_luma(const convert_job *job, const void *row, int y)
{
    const size_t step = job->out.format == NND_PIX_YUYV ? 2 : 1, width = (size_t)job->out.width;
    uint8_t *dst = nnd_ops_row(&job->out, 0, y);
    int32_t level[3];
    for (size_t x = 0; x < width; x++) {
        levels_at(job, row, x, level);
        dst[x * step] = dot(job->yuv.y, level, 0, job->yuv.y_offset);
    }
    if (step == 2 && (width & 1)) dst[2 * width] = dst[2 * width - 2];
}

/* The chroma samples of one or two rows (lower may be NULL). */
static void store_chroma(const convert_job *job, const void *upper, const void *lower, int y)
{
    const nnd_image *out = &job->out;
    const size_t width = (size_t)out->width;
    for (size_t pair = 0; pair < (width + 1) / 2; pair++) {
        int32_t sum[3] = {0, 0, 0}, level[3];
        const bool two = 2 * pair + 1 < width;
        for (size_t x = 2 * pair; x <= 2 * pair + (two ? 1 : 0); x++) {
            for (int side = 0; side < (lower ? 2 : 1); side++) {
                levels_at(job, side ? lower : upper, x, level);
                for (int k = 0; k < 3; k++)
                    sum[k] += level[k];
            }
        }
        const int log2_count = (two ? 1 : 0) + (lower ? 1 : 0);
        const uint8_t u = dot(job->yuv.u, sum, log2_count, 128),
                      v = dot(job->yuv.v, sum, log2_count, 128);
        if (out->format == NND_PIX_YUYV) {
            uint8_t *dst = nnd_ops_row(out, 0, y) + 4 * pair;
            dst[1] = u;
            dst[3] = v;
        } else if (out->format == NND_PIX_NV12) {
            uint8_t *dst = nnd_ops_row(out, 1, y / 2) + 2 * pair;
            dst[0] = u;
            dst[1] = v;
        } else {
            nnd_ops_row(out, 1, y / 2)[pair] = u;
            nnd_ops_row(out, 2, y / 2)[pair] = v;
        }
    }
}

static nnd_status yuv_band(void *user, int begin, int end, void *memory)
{
    const convert_job *job = user;
    const bool every_row = job->out.format == NND_PIX_YUYV;
    nnd_carve carve = {memory, 0};
    nnd_row_cache cache;
    nnd_row_cache_carve(&cache, &job->reader, 2, &carve);
    nnd_row_cache_reset(&cache);
    for (int y = begin; y < end; y += every_row ? 1 : 2) {
        const void *upper = nnd_row_cache_get(&cache, y);
        const void *lower = !every_row && y + 1 < end ? nnd_row_cache_get(&cache, y + 1) : NULL;
        store_luma(job, upper, y);
        if (lower) store_luma(job, lower, y + 1);
        store_chroma(job, upper, lower, y);
    }
    return NND_OK;
}

/* NV12 ↔ I420 without touching the samples. */
static void regroup_chroma(const nnd_image *dst, const nnd_image *src)
{
    const size_t width = (size_t)src->width, pairs = (width + 1) / 2;
    for (int y = 0; y < src->height; y++)
        memcpy(nnd_ops_row(dst, 0, y), nnd_ops_row(src, 0, y), width);
    for (int y = 0; y < (src->height + 1) / 2; y++) {
        const bool from_pairs = src->format == NND_PIX_NV12;
        const nnd_image *pair_side = from_pairs ? src : dst, *plane_side = from_pairs ? dst : src;
        uint8_t *uv = nnd_ops_row(pair_side, 1, y);
        uint8_t *u = nnd_ops_row(plane_side, 1, y), *v = nnd_ops_row(plane_side, 2, y);
        for (size_t i = 0; i < pairs; i++) {
            if (from_pairs) {
                u[i] = uv[2 * i];
                v[i] = uv[2 * i + 1];
            } else {
                uv[2 * i] = u[i];
                uv[2 * i + 1] = v[i];
            }
        }
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
    nnd_row_cache cache;
    nnd_row_cache_carve(&cache, &job.reader, to_yuv ? 2 : 1, &measure);
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
