/* HSV and YCrCb, and normalised levels. */
#include <math.h>

#include "ops/kernels/kernels.h"
#include "ops/ops_common.h"

#define PATTERN 48 /* factors that a kernel takes at a time: a multiple of all channel counts */

typedef struct rgb8 {
    int r, g, b;
} rgb8;

static uint8_t clamp8(int v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Smith 1978; hue in steps of two degrees. */
static void rgb_to_hsv(rgb8 p, uint8_t out[3])
{
    const int max = p.r > p.g ? (p.r > p.b ? p.r : p.b) : (p.g > p.b ? p.g : p.b);
    const int min = p.r < p.g ? (p.r < p.b ? p.r : p.b) : (p.g < p.b ? p.g : p.b);
    const int range = max - min;
    double hue = 0;
    if (range) {
        if (max == p.r)
            hue = 30.0 * (p.g - p.b) / range;
        else if (max == p.g)
            hue = 60 + 30.0 * (p.b - p.r) / range;
        else
            hue = 120 + 30.0 * (p.r - p.g) / range;
    }
    const int h = (int)lrint(hue < 0 ? hue + 180 : hue);
    out[0] = (uint8_t)(h >= 180 ? h - 180 : h);
    out[1] = (uint8_t)(max ? lrint(255.0 * range / max) : 0);
    out[2] = (uint8_t)max;
}

static rgb8 hsv_to_rgb(const uint8_t in[3])
{
    const double hue = (in[0] % 180) / 30.0, s = in[1] / 255.0, v = in[2];
    const int sector = (int)hue;
    const double f = hue - sector;
    const int max = in[2], p = (int)lrint(v * (1 - s)), q = (int)lrint(v * (1 - s * f));
    const int t = (int)lrint(v * (1 - s * (1 - f)));
    switch (sector) {
    case 0:
        return (rgb8){max, t, p};
    case 1:
        return (rgb8){q, max, p};
    case 2:
        return (rgb8){p, max, t};
    case 3:
        return (rgb8){p, q, max};
    case 4:
        return (rgb8){t, p, max};
    default:
        return (rgb8){max, p, q};
    }
}

/* ITU-R BT.601 full range, chroma centred on 128, Q14. */
static void rgb_to_ycrcb(rgb8 p, uint8_t out[3])
{
    const int y = (4899 * p.r + 9617 * p.g + 1868 * p.b + 8192) >> 14;
    out[0] = (uint8_t)y;
    out[1] = clamp8((((p.r - y) * 11682 + 8192) >> 14) + 128);
    out[2] = clamp8((((p.b - y) * 9241 + 8192) >> 14) + 128);
}

static rgb8 ycrcb_to_rgb(const uint8_t in[3])
{
    const int y = in[0], cr = in[1] - 128, cb = in[2] - 128;
    return (rgb8){y + ((22987 * cr + 8192) >> 14), y + ((-11698 * cr - 5636 * cb + 8192) >> 14),
                  y + ((29049 * cb + 8192) >> 14)};
}

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

static int red_index(nnd_pixel_format format)
{
    return format == NND_PIX_BGR || format == NND_PIX_BGRA ? 2 : 0;
}

nnd_status nnd_image_to_space(nnd_image *dst, const nnd_image *src, nnd_color_space space)
{
    NND_TRY(check_space(dst, src, space));
    const int step = nnd_ops_channels(src->format), red = red_index(src->format);
    for (int y = 0; y < src->height; y++) {
        const uint8_t *in = nnd_ops_row(src, 0, y);
        uint8_t *out = nnd_ops_row(dst, 0, y);
        for (int x = 0; x < src->width; x++, in += step, out += 3) {
            const rgb8 p = {in[red], in[1], in[2 - red]};
            if (space == NND_SPACE_HSV)
                rgb_to_hsv(p, out);
            else
                rgb_to_ycrcb(p, out);
        }
    }
    return NND_OK;
}

nnd_status nnd_image_from_space(nnd_image *dst, const nnd_image *src, nnd_color_space space)
{
    NND_TRY(check_space(src, dst, space));
    const int step = nnd_ops_channels(dst->format), red = red_index(dst->format);
    for (int y = 0; y < src->height; y++) {
        const uint8_t *in = nnd_ops_row(src, 0, y);
        uint8_t *out = nnd_ops_row(dst, 0, y);
        for (int x = 0; x < src->width; x++, in += 3, out += step) {
            const rgb8 p = space == NND_SPACE_HSV ? hsv_to_rgb(in) : ycrcb_to_rgb(in);
            out[red] = clamp8(p.r);
            out[1] = clamp8(p.g);
            out[2 - red] = clamp8(p.b);
            if (step == 4) out[3] = 255;
        }
    }
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
    for (size_t c = 0; c < channels; c++)
        if (!(std[c] != 0))
            return nnd_error_set(NND_E_INVALID_ARGUMENT, "normalise: std of channel %zu is 0", c);
    for (size_t i = 0; i < PATTERN; i++) {
        mul[i] = (float)(scale / std[i % channels]);
        add[i] = (float)(-mean[i % channels] / std[i % channels]);
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
