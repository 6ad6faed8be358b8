/*
 * Image views: formats, plane layout, copies.
 */
#include "data/image.h"

#include <string.h>

#include "base/size.h"

typedef struct format_info {
    const char *name;
    int planes, channels;
} format_info;

static const format_info infos[] = {
    [NND_PIX_NONE] = {"none", 0, 0}, [NND_PIX_RGB] = {"rgb", 1, 3},
    [NND_PIX_BGR] = {"bgr", 1, 3},   [NND_PIX_GRAY] = {"gray", 1, 1},
    [NND_PIX_RGBA] = {"rgba", 1, 4}, [NND_PIX_BGRA] = {"bgra", 1, 4},
    [NND_PIX_NV12] = {"nv12", 2, 0}, [NND_PIX_I420] = {"i420", 3, 0},
    [NND_PIX_YUYV] = {"yuyv", 1, 0},
};

static const format_info *info_of(nnd_pixel_format format)
{
    return &infos[(unsigned)format < NND_COUNT(infos) ? format : NND_PIX_NONE];
}

const char *nnd_pixel_format_name(nnd_pixel_format format)
{
    return info_of(format)->name;
}

nnd_pixel_format nnd_pixel_format_from_name(const char *name)
{
    if (!name) return NND_PIX_NONE;
    for (size_t i = 1; i < NND_COUNT(infos); i++)
        if (strcmp(infos[i].name, name) == 0) return (nnd_pixel_format)i;
    return NND_PIX_NONE;
}

int nnd_pixel_format_planes(nnd_pixel_format format)
{
    return info_of(format)->planes;
}

int nnd_pixel_format_channels(nnd_pixel_format format)
{
    return info_of(format)->channels;
}

static nnd_status check_kind(nnd_pixel_format format, nnd_dtype dtype, int64_t width,
                             int64_t height)
{
    const format_info *info = info_of(format);
    if (info->planes == 0) {
        return nnd_error_set(NND_E_TYPE, "%d is not a pixel format", (int)format);
    }
    bool dtype_fits = dtype == NND_U8 || (info->channels && (dtype == NND_U16 || dtype == NND_F32));
    if (!dtype_fits) {
        return nnd_error_set(NND_E_TYPE, "an image of format %s cannot have elements of %s (%s)",
                             info->name, nnd_dtype_name(dtype),
                             info->channels ? "u8, u16 or f32" : "u8 only");
    }
    if (width < 1 || height < 1 || width > NND_IMAGE_MAX_SIDE || height > NND_IMAGE_MAX_SIDE) {
        return nnd_error_set(NND_E_SHAPE, "image size %lldx%lld is outside 1…%d", (long long)width,
                             (long long)height, NND_IMAGE_MAX_SIDE);
    }
    return NND_OK;
}

size_t nnd_image_pixel_bytes(const nnd_image *image)
{
    return (size_t)info_of(image->format)->channels * (nnd_dtype_bits(image->dtype) / 8);
}

size_t nnd_image_row_bytes(const nnd_image *image, int plane)
{
    size_t width = (size_t)image->width;
    size_t half = (width + 1) / 2;
    switch (image->format) {
    case NND_PIX_NV12:
        return plane == 0 ? width : 2 * half;
    case NND_PIX_I420:
        return plane == 0 ? width : half;
    case NND_PIX_YUYV:
        return 4 * half;
    default:
        return width * nnd_image_pixel_bytes(image);
    }
}

int32_t nnd_image_rows(const nnd_image *image, int plane)
{
    return plane == 0 ? image->height : (image->height + 1) / 2;
}

nnd_status nnd_image_init(nnd_image *image, nnd_pixel_format format, nnd_dtype dtype, int width,
                          int height, size_t row_align, void *data, size_t *bytes)
{
    NND_TRY(check_kind(format, dtype, width, height));
    if (row_align == 0) row_align = 1;
    if (row_align & (row_align - 1)) {
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "row alignment %zu is not a power of two",
                             row_align);
    }
    nnd_image made = {.format = format, .dtype = dtype, .width = width, .height = height};
    size_t total = 0;
    for (int p = 0; p < info_of(format)->planes; p++) {
        size_t stride, plane_bytes;
        if (!nnd_size_align(nnd_image_row_bytes(&made, p), row_align, &stride) ||
            !nnd_size_mul(stride, (size_t)nnd_image_rows(&made, p), &plane_bytes) ||
            stride > (size_t)INT64_MAX) {
            return nnd_error_set(NND_E_OVERFLOW, "image of %dx%d does not fit the address space",
                                 width, height);
        }
        made.data[p] = data ? (uint8_t *)data + total : NULL;
        made.stride[p] = (int64_t)stride;
        if (!nnd_size_add(total, plane_bytes, &total) || total > (size_t)PTRDIFF_MAX) {
            return nnd_error_set(NND_E_OVERFLOW, "image of %dx%d does not fit the address space",
                                 width, height);
        }
    }
    *image = made;
    if (bytes) *bytes = total;
    return NND_OK;
}

nnd_status nnd_image_check(const nnd_image *image)
{
    NND_TRY(check_kind(image->format, image->dtype, image->width, image->height));
    for (int p = 0; p < info_of(image->format)->planes; p++) {
        int64_t row = (int64_t)nnd_image_row_bytes(image, p);
        int64_t stride = image->stride[p];
        /* A negative stride is a picture stored bottom-up. */
        int64_t item = nnd_dtype_bits(image->dtype) / 8;
        if ((stride < row && stride > -row) || stride % item != 0 || stride == INT64_MIN ||
            (stride < 0 ? -stride : stride) > INT64_MAX / (NND_IMAGE_MAX_SIDE + 1)) {
            return nnd_error_set(NND_E_SHAPE,
                                 "plane %d: stride %lld does not fit rows of %lld "
                                 "bytes",
                                 p, (long long)stride, (long long)row);
        }
    }
    return NND_OK;
}

void nnd_image_plane_extent(const nnd_image *image, int plane, int64_t *low, int64_t *high)
{
    int64_t reach = (nnd_image_rows(image, plane) - 1) * image->stride[plane];
    *low = reach < 0 ? reach : 0;
    *high = (reach > 0 ? reach : 0) + (int64_t)nnd_image_row_bytes(image, plane);
}

nnd_status nnd_image_copy(nnd_image *dst, const nnd_image *src)
{
    NND_TRY(nnd_image_check(src));
    NND_TRY(nnd_image_check(dst));
    if (dst->format != src->format || dst->dtype != src->dtype) {
        return nnd_error_set(NND_E_TYPE, "cannot copy a %s image of %s to %s of %s",
                             nnd_pixel_format_name(src->format), nnd_dtype_name(src->dtype),
                             nnd_pixel_format_name(dst->format), nnd_dtype_name(dst->dtype));
    }
    if (dst->width != src->width || dst->height != src->height) {
        return nnd_error_set(NND_E_SHAPE, "cannot copy an image of %dx%d to one of %dx%d",
                             src->width, src->height, dst->width, dst->height);
    }
    for (int p = 0; p < info_of(src->format)->planes; p++) {
        if (!src->data[p] || !dst->data[p]) {
            return nnd_error_set(NND_E_STATE, "the pixels are not in host memory");
        }
        size_t row = nnd_image_row_bytes(src, p);
        int32_t rows = nnd_image_rows(src, p);
        if (src->stride[p] == dst->stride[p] && src->stride[p] == (int64_t)row) {
            memcpy(dst->data[p], src->data[p], row * (size_t)rows);
            continue;
        }
        for (int32_t y = 0; y < rows; y++)
            memcpy(dst->data[p] + y * dst->stride[p], src->data[p] + y * src->stride[p], row);
    }
    dst->range = src->range;
    dst->matrix = src->matrix;
    return NND_OK;
}
