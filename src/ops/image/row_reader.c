#include "ops/image/row_reader.h"

#include <math.h>
#include <string.h>

typedef struct luma_weights {
    double r, g, b;
} luma_weights;

static luma_weights matrix_of(nnd_color_matrix matrix)
{
    return matrix == NND_MATRIX_BT709 ? (luma_weights){0.2126, 0.7152, 0.0722}
                                      : (luma_weights){0.299, 0.587, 0.114};
}

nnd_yuv_coef nnd_yuv_coef_of(const nnd_image *image)
{
    const luma_weights k = matrix_of(image->matrix);
    const bool full = image->range == NND_RANGE_FULL;
    const double luma = full ? 1.0 : 255.0 / 219.0, chroma = full ? 1.0 : 255.0 / 224.0;
    const double cr = 2 * (1 - k.r) * chroma, cb = 2 * (1 - k.b) * chroma;
    return (nnd_yuv_coef){
        .y_offset = full ? 0 : 16,
        .cy = (int16_t)lrint(luma * 16384),
        .crv = (int16_t)lrint(cr * 8192),
        .cgu = (int16_t)lrint(cb * k.b / k.g * 8192),
        .cgv = (int16_t)lrint(cr * k.r / k.g * 8192),
        .cbu = (int16_t)lrint(cb * 8192),
    };
}

static bool is_bgr(nnd_pixel_format format)
{
    return format == NND_PIX_BGR || format == NND_PIX_BGRA;
}

void nnd_channel_map(nnd_pixel_format from, nnd_pixel_format to, int channel[4])
{
    const bool swap = is_bgr(from) != is_bgr(to);
    for (int k = 0; k < 4; k++) {
        if (from == NND_PIX_GRAY)
            channel[k] = k < 3 ? 0 : -1;
        else if (k == 3)
            channel[k] = nnd_ops_channels(from) == 4 ? 3 : -1;
        else
            channel[k] = swap ? 2 - k : k;
    }
}

void nnd_row_reader_init(nnd_row_reader *reader, const nnd_image *image, nnd_rect roi,
                         nnd_pixel_format wanted, nnd_dtype dtype, double gain)
{
    const bool yuv = nnd_ops_is_yuv(image->format);
    memset(reader, 0, sizeof(*reader));
    reader->image = *image;
    reader->roi = roi;
    reader->dtype = dtype;
    reader->gain = (float)gain;
    reader->kernels = nnd_ops_kernels_get();
    if (wanted == NND_PIX_GRAY)
        reader->format = NND_PIX_GRAY;
    else if (yuv)
        reader->format = is_bgr(wanted) ? NND_PIX_BGR : NND_PIX_RGB;
    else
        reader->format = image->format;
    reader->channels = nnd_ops_channels(reader->format);
    reader->direct = reader->format == image->format && dtype == image->dtype &&
                     (dtype == NND_U8 || reader->gain == 1.0f);
    reader->row_bytes =
        ((size_t)roi.width + 1) * (size_t)reader->channels * (size_t)nnd_ops_depth(dtype);
    if (yuv) reader->yuv = nnd_yuv_coef_of(image);
    /* Q15, as exact as 15 bits allow while the sum stays 1. */
    const int16_t r = 9798, g = 19235, b = 3735;
    const bool bgr = is_bgr(image->format);
    reader->gray_weight[0] = bgr ? b : r;
    reader->gray_weight[1] = g;
    reader->gray_weight[2] = bgr ? r : b;
}

void nnd_row_cache_carve(nnd_row_cache *cache, const nnd_row_reader *reader, int slots,
                         nnd_carve *carve)
{
    memset(cache, 0, sizeof(*cache));
    cache->reader = reader;
    cache->slots = slots;
    if (reader->direct) return;
    const size_t width = (size_t)reader->roi.width + 2;
    cache->slot_bytes = (reader->row_bytes / NND_CARVE_ALIGN + 2) * NND_CARVE_ALIGN;
    cache->tag = nnd_carve_take(carve, sizeof(int) * (size_t)slots);
    cache->rows = nnd_carve_take(carve, cache->slot_bytes * (size_t)slots);
    if (nnd_ops_is_yuv(reader->image.format)) {
        cache->luma = nnd_carve_take(carve, width);
        cache->chroma = nnd_carve_take(carve, width);
    }
    if (reader->dtype == NND_F32) cache->color = nnd_carve_take(carve, width * 4);
    if (reader->image.dtype == NND_U8 || reader->format == reader->image.format) return;
    cache->wide = nnd_carve_take(carve, width * 4 * sizeof(float));
    for (int k = 0; k < 3; k++)
        cache->plane[k] = nnd_carve_take(carve, width * sizeof(float));
}

void nnd_row_cache_reset(nnd_row_cache *cache)
{
    for (int i = 0; cache->tag && i < cache->slots; i++)
        cache->tag[i] = -1;
}

/* ---- YUV ------------------------------------------------------------------------------- */

/* Luma and pairs of chroma of `count` pixels from the even column x on. */
static void yuv_rows(nnd_row_cache *cache, int x, int y, size_t count, const uint8_t **luma,
                     const uint8_t **chroma)
{
    const nnd_image *image = &cache->reader->image;
    const size_t pairs = (count + 1) / 2;
    if (image->format == NND_PIX_YUYV) {
        const uint8_t *row = nnd_ops_row(image, 0, y) + 2 * (size_t)x;
        cache->reader->kernels->split_u8(cache->luma, cache->chroma, row, 2 * pairs);
        *luma = cache->luma;
        *chroma = cache->chroma;
        return;
    }
    *luma = nnd_ops_row(image, 0, y) + x;
    if (image->format == NND_PIX_NV12) {
        *chroma = nnd_ops_row(image, 1, y / 2) + x;
        return;
    }
    const uint8_t *u = nnd_ops_row(image, 1, y / 2) + x / 2,
                  *v = nnd_ops_row(image, 2, y / 2) + x / 2;
    cache->reader->kernels->merge_u8(cache->chroma, u, v, pairs);
    *chroma = cache->chroma;
}

/* Converts row y into `dst` and returns its first pixel: chroma pairs start at even columns, so an
   odd region has one pixel in front. */
static uint8_t *read_yuv(nnd_row_cache *cache, int y, uint8_t *dst)
{
    const nnd_row_reader *r = cache->reader;
    const int x = r->roi.x & ~1, skip = r->roi.x & 1;
    const size_t count = (size_t)(r->roi.width + skip);
    const uint8_t *luma, *chroma;
    yuv_rows(cache, x, r->roi.y + y, count, &luma, &chroma);
    /* Luma brought to full range is the gray of a YUV picture. */
    const nnd_level_range full = {r->yuv.y_offset, 0, r->yuv.cy};
    if (r->format == NND_PIX_GRAY)
        r->kernels->range_u8(dst, luma, count, &full);
    else
        r->kernels->nv12_to_rgb(dst, luma, chroma, count, &r->yuv, r->format == NND_PIX_BGR);
    return dst + skip * r->channels;
}

/* ---- interleaved ----------------------------------------------------------------------- */

static void read_u8_gray(const nnd_row_reader *r, const uint8_t *src, uint8_t *dst)
{
    if (nnd_ops_channels(r->image.format) == 3)
        r->kernels->gray_u8c3(dst, src, (size_t)r->roi.width, r->gray_weight, 0);
    else
        r->kernels->gray_u8c4(dst, src, (size_t)r->roi.width, r->gray_weight, 0);
}

static void to_f32(const nnd_row_reader *r, float *dst, const uint8_t *src, nnd_dtype dtype,
                   size_t count)
{
    const float none = 0;
    const float *levels = (const float *)(const void *)src;
    if (dtype == NND_U8) {
        r->kernels->planar_u8c1(&dst, src, count, &r->gain, &none);
        return;
    }
    if (dtype == NND_U16) {
        r->kernels->u16_to_f32(dst, (const uint16_t *)(const void *)src, count);
        levels = dst;
    }
    r->kernels->planar_f32c1(&dst, levels, count, &r->gain, &none);
}

static void to_f32_gray(nnd_row_cache *cache, float *dst, const uint8_t *src)
{
    static const float weight[3] = {0.299f, 0.587f, 0.114f}, one[4] = {1, 1, 1, 1}, none[4] = {0};
    const nnd_row_reader *r = cache->reader;
    const size_t width = (size_t)r->roi.width;
    const int channels = nnd_ops_channels(r->image.format), red = is_bgr(r->image.format) ? 2 : 0;
    float *plane[4] = {cache->plane[red], cache->plane[1], cache->plane[2 - red], NULL};
    const float *levels = (const float *)(const void *)src;
    if (r->image.dtype == NND_U16) {
        r->kernels->u16_to_f32(cache->wide, (const uint16_t *)(const void *)src,
                               width * (size_t)channels);
        levels = cache->wide;
    }
    (channels == 3 ? r->kernels->planar_f32c3 : r->kernels->planar_f32c4)(plane, levels, width, one,
                                                                          none);
    r->kernels->gray_f32(dst, (const float *const *)cache->plane, width, weight);
    r->kernels->planar_f32c1(&dst, dst, width, &r->gain, none);
}

static const void *read_interleaved(nnd_row_cache *cache, int y, uint8_t *dst)
{
    const nnd_row_reader *r = cache->reader;
    const nnd_image *image = &r->image;
    const int channels = nnd_ops_channels(image->format), depth = nnd_ops_depth(image->dtype);
    const uint8_t *src =
        nnd_ops_row(image, 0, r->roi.y + y) + (size_t)r->roi.x * (size_t)(channels * depth);
    const bool to_gray = r->format == NND_PIX_GRAY && image->format != NND_PIX_GRAY;
    const size_t count = (size_t)r->roi.width * (size_t)r->channels;
    if (r->dtype == NND_U8)
        read_u8_gray(r, src, dst);
    else if (!to_gray)
        to_f32(r, (float *)(void *)dst, src, image->dtype, count);
    else if (image->dtype != NND_U8)
        to_f32_gray(cache, (float *)(void *)dst, src);
    else {
        read_u8_gray(r, src, cache->color);
        to_f32(r, (float *)(void *)dst, cache->color, NND_U8, count);
    }
    return dst;
}

static const void *read_row(nnd_row_cache *cache, int y, uint8_t *dst)
{
    const nnd_row_reader *r = cache->reader;
    if (!nnd_ops_is_yuv(r->image.format)) return read_interleaved(cache, y, dst);
    if (r->dtype == NND_U8) return read_yuv(cache, y, dst);
    const uint8_t *color = read_yuv(cache, y, cache->color);
    to_f32(r, (float *)(void *)dst, color, NND_U8, (size_t)r->roi.width * (size_t)r->channels);
    return dst;
}

const void *nnd_row_cache_get(nnd_row_cache *cache, int y)
{
    const nnd_row_reader *r = cache->reader;
    if (r->direct) {
        const size_t pixel = (size_t)(r->channels * nnd_ops_depth(r->dtype));
        return nnd_ops_row(&r->image, 0, r->roi.y + y) + (size_t)r->roi.x * pixel;
    }
    const int slot = y % cache->slots;
    uint8_t *row = cache->rows + (size_t)slot * cache->slot_bytes;
    if (cache->tag[slot] != y) {
        read_row(cache, y, row);
        cache->tag[slot] = y;
    }
    /* An odd region of a YUV picture starts one pixel into its converted row. */
    const bool skip = nnd_ops_is_yuv(r->image.format) && r->dtype == NND_U8 && (r->roi.x & 1);
    return skip ? row + r->channels : row;
}
