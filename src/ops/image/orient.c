/*
 * Flips, quarter turns and EXIF orientation: all are one walk over the source with a start and a
 * step per direction.
 */
#include <string.h>

#include "ops/kernels/kernels.h"
#include "ops/ops_common.h"

/* Source place of destination (x, y): transposed first when asked, then mirrored. */
typedef struct orientation {
    bool transpose, mirror_x, mirror_y; /* mirrors are of the source's axes */
} orientation;

/* Index: EXIF orientation − 1. */
static const orientation by_exif[8] = {
    {false, false, false}, {false, true, false}, {false, true, true}, {false, false, true},
    {true, false, false},  {true, false, true},  {true, true, true},  {true, true, false},
};

static void copy_pixels(const nnd_ops_kernels *kernels, uint8_t *dst, const uint8_t *src,
                        int64_t step, size_t count, size_t bytes)
{
    if (step == (int64_t)bytes) {
        memcpy(dst, src, count * bytes);
        return;
    }
    if (step == -(int64_t)bytes && bytes <= 4) {
        kernels->reverse_u8(dst, src - (count - 1) * bytes, count, bytes);
        return;
    }
    switch (bytes) {
    case 1:
        for (size_t i = 0; i < count; i++, src += step)
            dst[i] = *src;
        break;
    case 2:
        for (size_t i = 0; i < count; i++, src += step)
            memcpy(dst + 2 * i, src, 2);
        break;
    case 3:
        for (size_t i = 0; i < count; i++, src += step, dst += 3) {
            dst[0] = src[0];
            dst[1] = src[1];
            dst[2] = src[2];
        }
        break;
    case 4:
        for (size_t i = 0; i < count; i++, src += step)
            memcpy(dst + 4 * i, src, 4);
        break;
    default:
        for (size_t i = 0; i < count; i++, src += step)
            memcpy(dst + bytes * i, src, bytes);
    }
}

static void orient_plane(const nnd_image *dst, const nnd_image *src, int plane, orientation o)
{
    const nnd_ops_plane from = nnd_ops_plane_of(src, plane), to = nnd_ops_plane_of(dst, plane);
    const int64_t bytes = (int64_t)from.channels * nnd_ops_depth(src->dtype);
    const int64_t x_step = o.mirror_x ? -bytes : bytes;
    const int64_t y_step = o.mirror_y ? -src->stride[plane] : src->stride[plane];
    const uint8_t *first = nnd_ops_row(src, plane, o.mirror_y ? from.height - 1 : 0) +
                           (o.mirror_x ? (from.width - 1) * bytes : 0);
    const int64_t along_row = o.transpose ? y_step : x_step,
                  along_column = o.transpose ? x_step : y_step;
    const nnd_ops_kernels *kernels = nnd_ops_kernels_get();
    for (int y = 0; y < to.height; y++)
        copy_pixels(kernels, nnd_ops_row(dst, plane, y), first + y * along_column, along_row,
                    (size_t)to.width, (size_t)bytes);
}

static nnd_status orient(nnd_image *dst, const nnd_image *src, orientation o)
{
    NND_TRY(nnd_ops_check_same_kind(dst, src));
    /* Turned, pairs of YUYV would share their chroma downwards, which the format cannot hold. */
    if (src->format == NND_PIX_YUYV) return nnd_ops_check_interleaved(src, "orient");
    const int width = o.transpose ? src->height : src->width,
              height = o.transpose ? src->width : src->height;
    if (dst->width != width || dst->height != height)
        return nnd_error_set(NND_E_SHAPE, "the turned picture is %d x %d, the destination %d x %d",
                             width, height, (int)dst->width, (int)dst->height);
    const int planes = nnd_pixel_format_planes(src->format);
    for (int p = 0; p < planes; p++)
        orient_plane(dst, src, p, o);
    return NND_OK;
}

nnd_status nnd_image_flip(nnd_image *dst, const nnd_image *src, nnd_flip flip)
{
    if (flip != NND_FLIP_HORIZONTAL && flip != NND_FLIP_VERTICAL && flip != NND_FLIP_BOTH)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "unknown flip %d", (int)flip);
    return orient(dst, src,
                  (orientation){false, flip != NND_FLIP_VERTICAL, flip != NND_FLIP_HORIZONTAL});
}

nnd_status nnd_image_rotate(nnd_image *dst, const nnd_image *src, int degrees)
{
    if (degrees % 90)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "rotation by %d degrees: quarter turns only",
                             degrees);
    const int quarter = ((degrees / 90) % 4 + 4) % 4;
    static const int exif[4] = {1, 6, 3, 8};
    return orient(dst, src, by_exif[exif[quarter] - 1]);
}

nnd_status nnd_image_orient(nnd_image *dst, const nnd_image *src, int orientation_tag,
                            nnd_geometry *geometry)
{
    if (orientation_tag < 1 || orientation_tag > 8)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "EXIF orientation is %d, expected 1 to 8",
                             orientation_tag);
    const orientation o = by_exif[orientation_tag - 1];
    NND_TRY(orient(dst, src, o));
    if (!geometry) return NND_OK;
    const double x_step = o.mirror_x ? -1 : 1, y_step = o.mirror_y ? -1 : 1;
    *geometry = (nnd_geometry){
        .m = {o.transpose ? 0 : x_step, o.transpose ? x_step : 0, o.mirror_x ? src->width : 0,
              o.transpose ? y_step : 0, o.transpose ? 0 : y_step, o.mirror_y ? src->height : 0},
        .source_width = src->width,
        .source_height = src->height,
        .width = dst->width,
        .height = dst->height,
    };
    return NND_OK;
}
