/* Cutting out, filling and padding. */
#include <string.h>

#include "ops/ops_common.h"

nnd_status nnd_image_crop_view(const nnd_image *src, nnd_rect rect, nnd_image *view,
                               nnd_geometry *geometry)
{
    NND_TRY(nnd_ops_check_image(src, "crop"));
    if (!view) return nnd_error_set(NND_E_INVALID_ARGUMENT, "crop: no view");
    NND_TRY(nnd_ops_check_rect(rect, src->width, src->height, "crop"));
    const bool planar_420 = src->format == NND_PIX_NV12 || src->format == NND_PIX_I420;
    if ((nnd_ops_is_yuv(src->format) && (rect.x & 1)) || (planar_420 && (rect.y & 1)))
        return nnd_error_set(NND_E_SHAPE,
                             "crop: %s pictures are cut at even places, not at (%d, %d)",
                             nnd_pixel_format_name(src->format), (int)rect.x, (int)rect.y);
    nnd_image out = *src;
    out.width = rect.width;
    out.height = rect.height;
    const int planes = nnd_pixel_format_planes(src->format);
    for (int p = 0; p < planes; p++) {
        const nnd_ops_plane plane = nnd_ops_plane_of(src, p);
        const int halves_x = src->format == NND_PIX_YUYV || (p > 0 && planar_420);
        const int halves_y = p > 0 && planar_420;
        const int64_t x = rect.x >> halves_x, y = rect.y >> halves_y;
        out.data[p] = nnd_ops_row(src, p, y) + x * plane.channels * nnd_ops_depth(src->dtype);
    }
    const nnd_geometry moved = {
        {1, 0, rect.x, 0, 1, rect.y}, src->width, src->height, rect.width, rect.height};
    *view = out;
    if (geometry) *geometry = moved;
    return NND_OK;
}

nnd_status nnd_image_crop(nnd_image *dst, const nnd_image *src, nnd_rect rect,
                          nnd_geometry *geometry)
{
    nnd_image view;
    NND_TRY(nnd_ops_check_same_kind(dst, src));
    if (dst->width != rect.width || dst->height != rect.height)
        return nnd_error_set(NND_E_SHAPE, "crop: destination is %d x %d, the rectangle %d x %d",
                             (int)dst->width, (int)dst->height, (int)rect.width, (int)rect.height);
    NND_TRY(nnd_image_crop_view(src, rect, &view, geometry));
    return nnd_image_copy(dst, &view);
}

static size_t pixel_bytes(const nnd_image *image)
{
    return (size_t)(nnd_ops_channels(image->format) * nnd_ops_depth(image->dtype));
}

nnd_status nnd_image_fill(nnd_image *dst, nnd_rect rect, const double value[4])
{
    uint8_t pixel[16];
    NND_TRY(nnd_ops_check_interleaved(dst, "fill"));
    if (nnd_ops_rect_is_empty(rect)) rect = (nnd_rect){0, 0, dst->width, dst->height};
    NND_TRY(nnd_ops_check_rect(rect, dst->width, dst->height, "fill"));
    const size_t bytes = pixel_bytes(dst);
    nnd_ops_encode_pixel(dst, value, pixel);
    for (int y = rect.y; y < rect.y + rect.height; y++)
        nnd_ops_fill_row(nnd_ops_row(dst, 0, y) + (size_t)rect.x * bytes, pixel, bytes,
                         (size_t)rect.width);
    return NND_OK;
}

/* One row of a padded picture from the source row `src` (NULL: all constant). */
static void pad_row(uint8_t *dst, const uint8_t *src, int dst_width, int src_width, int left,
                    nnd_border border, const uint8_t *constant, size_t bytes)
{
    if (!src) {
        nnd_ops_fill_row(dst, constant, bytes, (size_t)dst_width);
        return;
    }
    memcpy(dst + (size_t)left * bytes, src, (size_t)src_width * bytes);
    for (int x = 0; x < dst_width; x++) {
        if (x == left) x += src_width;
        if (x >= dst_width) break;
        const int from = nnd_ops_border_index((int64_t)x - left, src_width, border);
        memcpy(dst + (size_t)x * bytes, from < 0 ? constant : src + (size_t)from * bytes, bytes);
    }
}

nnd_status nnd_image_pad(nnd_image *dst, const nnd_image *src, int left, int top, nnd_border border,
                         const double value[4])
{
    uint8_t constant[16];
    NND_TRY(nnd_ops_check_same_kind(dst, src));
    NND_TRY(nnd_ops_check_interleaved(src, "pad"));
    if ((unsigned)border > NND_BORDER_SYMMETRIC)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "pad: unknown border %d", (int)border);
    NND_TRY(nnd_ops_check_rect((nnd_rect){left, top, src->width, src->height}, dst->width,
                               dst->height, "pad"));
    const size_t bytes = pixel_bytes(dst);
    nnd_ops_encode_pixel(dst, value, constant);
    for (int y = 0; y < dst->height; y++) {
        const int from = nnd_ops_border_index((int64_t)y - top, src->height, border);
        pad_row(nnd_ops_row(dst, 0, y), from < 0 ? NULL : nnd_ops_row(src, 0, from), dst->width,
                src->width, left, border, constant, bytes);
    }
    return NND_OK;
}
