/*
 * Flips, quarter turns and EXIF orientation: rows copied or reversed, or made from columns.
 */
#include <string.h>

#include "ops/kernels/kernels.h"
#include "ops/ops_common.h"

#define TURN_SIDE 64 /* of the squares of pixels that are turned at a time */

/* Source place of destination (x, y): transposed first when asked, then mirrored. */
typedef struct orientation {
    bool transpose, mirror_x, mirror_y; /* mirrors are of the source's axes */
} orientation;

/* Index: EXIF orientation − 1. */
static const orientation by_exif[8] = {
    {false, false, false}, {false, true, false}, {false, true, true}, {false, false, true},
    {true, false, false},  {true, false, true},  {true, true, true},  {true, true, false},
};

static void mirror_plane(const nnd_image *dst, const nnd_image *src, int plane, orientation o,
                         size_t bytes)
{
    const nnd_ops_kernels *kernels = nnd_ops_kernels_get();
    const nnd_ops_plane to = nnd_ops_plane_of(dst, plane);
    const size_t width = (size_t)to.width;
    for (int y = 0; y < to.height; y++) {
        const uint8_t *in = nnd_ops_row(src, plane, o.mirror_y ? to.height - 1 - y : y);
        uint8_t *out = nnd_ops_row(dst, plane, y);
        if (o.mirror_x)
            kernels->reverse_u8(out, in, width, bytes);
        else
            memcpy(out, in, width * bytes);
    }
}

/* Rows become columns. Where the source's y is mirrored it is read from its last row upwards, where
   its x is, the destination is written so. Done in squares that the caches hold, since one of the
   two is walked across its rows. */
static void turn_plane(const nnd_image *dst, const nnd_image *src, int plane, orientation o,
                       size_t bytes)
{
    const nnd_ops_kernels *kernels = nnd_ops_kernels_get();
    const nnd_ops_plane to = nnd_ops_plane_of(dst, plane);
    const int64_t dst_step = o.mirror_x ? -dst->stride[plane] : dst->stride[plane];
    const int64_t src_step = o.mirror_y ? -src->stride[plane] : src->stride[plane];
    uint8_t *out = nnd_ops_row(dst, plane, o.mirror_x ? to.height - 1 : 0);
    const uint8_t *in = nnd_ops_row(src, plane, o.mirror_y ? to.width - 1 : 0);
    for (int y = 0; y < to.height; y += TURN_SIDE)
        for (int x = 0; x < to.width; x += TURN_SIDE) {
            const nnd_transposition square = {
                .dst = out + y * dst_step + x * (int64_t)bytes,
                .dst_stride = dst_step,
                .src = in + x * src_step + y * (int64_t)bytes,
                .src_stride = src_step,
                .width = (size_t)(to.width - x < TURN_SIDE ? to.width - x : TURN_SIDE),
                .height = (size_t)(to.height - y < TURN_SIDE ? to.height - y : TURN_SIDE),
                .bytes = bytes,
            };
            kernels->transpose(&square);
        }
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
    for (int p = 0; p < planes; p++) {
        const size_t bytes =
            (size_t)(nnd_ops_plane_of(src, p).channels * nnd_ops_depth(src->dtype));
        (o.transpose ? turn_plane : mirror_plane)(dst, src, p, o, bytes);
    }
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
