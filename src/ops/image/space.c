/* HSV and YCrCb, and normalised levels. */
#include "ops/kernels/kernels.h"
#include "ops/ops_common.h"

#define PATTERN 48 /* factors that a kernel takes at a time: a multiple of all channel counts */

static nnd_status check_space(const nnd_image *space_side, const nnd_image *color_side,
                              nnd_color_space space)
{
    NND_TRY(nnd_ops_check_interleaved(space_side, "colour space side"));
    NND_TRY(nnd_ops_check_interleaved(color_side, "colour side"));
    NND_TRY(nnd_ops_check_same_size(space_side, color_side));
    if (space != NND_SPACE_HSV && space != NND_SPACE_YCRCB)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "unknown colour space %d", (int)space);
    if (space_side->dtype != NND_U8 || color_side->dtype != NND_U8)
        return nnd_error_set(NND_E_TYPE, "colour spaces are converted on u8 images only");
    if (space_side->format != NND_PIX_RGB || color_side->format == NND_PIX_GRAY)
        return nnd_error_set(
            NND_E_UNSUPPORTED, "a colour space is held in rgb and made from colour, not %s and %s",
            nnd_pixel_format_name(space_side->format), nnd_pixel_format_name(color_side->format));
    return NND_OK;
}

static bool is_bgr(nnd_pixel_format format)
{
    return format == NND_PIX_BGR || format == NND_PIX_BGRA;
}

nnd_status nnd_image_to_space(nnd_image *dst, const nnd_image *src, nnd_color_space space)
{
    NND_TRY(check_space(dst, src, space));
    const nnd_ops_kernels *kernels = nnd_ops_kernels_get();
    for (int y = 0; y < src->height; y++)
        (space == NND_SPACE_HSV ? kernels->rgb_to_hsv_u8 : kernels->rgb_to_ycrcb_u8)(
            nnd_ops_row(dst, 0, y), nnd_ops_row(src, 0, y), (size_t)src->width,
            nnd_ops_channels(src->format), is_bgr(src->format));
    return NND_OK;
}

nnd_status nnd_image_from_space(nnd_image *dst, const nnd_image *src, nnd_color_space space)
{
    NND_TRY(check_space(src, dst, space));
    const nnd_ops_kernels *kernels = nnd_ops_kernels_get();
    for (int y = 0; y < src->height; y++)
        (space == NND_SPACE_HSV ? kernels->hsv_to_rgb_u8 : kernels->ycrcb_to_rgb_u8)(
            nnd_ops_row(dst, 0, y), nnd_ops_row(src, 0, y), (size_t)src->width,
            nnd_ops_channels(dst->format), is_bgr(dst->format));
    return NND_OK;
}

nnd_status nnd_image_normalise(nnd_image *dst, const nnd_image *src, double scale,
                               const double mean[4], const double std[4])
{
    NND_TRY(nnd_ops_check_interleaved(dst, "destination"));
    NND_TRY(nnd_ops_check_interleaved(src, "source"));
    NND_TRY(nnd_ops_check_same_size(dst, src));
    if (dst->format != src->format || dst->dtype != NND_F32)
        return nnd_error_set(NND_E_TYPE, "normalised levels are f32 of the source's format %s",
                             nnd_pixel_format_name(src->format));
    if (!mean || !std) return nnd_error_set(NND_E_INVALID_ARGUMENT, "normalise: no mean or std");
    const size_t channels = (size_t)nnd_ops_channels(src->format);
    const size_t count = (size_t)src->width * channels;
    const nnd_ops_kernels *kernels = nnd_ops_kernels_get();
    float mul[PATTERN], add[PATTERN];
    for (size_t c = 0; c < channels; c++) {
        if (!(std[c] != 0))
            return nnd_error_set(NND_E_INVALID_ARGUMENT, "normalise: std of channel %zu is 0", c);
        for (size_t i = c; i < PATTERN; i += channels) {
            mul[i] = (float)(scale / std[c]);
            add[i] = (float)(-mean[c] / std[c]);
        }
    }
    for (int y = 0; y < src->height; y++) {
        const void *in = nnd_ops_row(src, 0, y);
        float *out = (float *)(void *)nnd_ops_row(dst, 0, y);
        if (src->dtype == NND_U8) {
            kernels->packed_u8(out, in, count, mul, add);
            continue;
        }
        if (src->dtype == NND_U16) kernels->u16_to_f32(out, in, count);
        kernels->packed_f32(out, src->dtype == NND_U16 ? out : in, count, mul, add);
    }
    return NND_OK;
}
