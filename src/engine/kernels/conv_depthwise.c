/*
 * Depthwise convolution: planes (channels, or blocks of channels in NCHWc) do not mix, so a tile is
 * some planes, or some rows of one. Packed: taps of each plane, then the biases.
 *
 * The vector kernels work on NCHWc; for NCHW a tile reorders the rows it needs of a block of
 * channels into scratch and the result back, which is cheaper than vectors along rows that have
 * borders, strides and odd lengths.
 */
#include <string.h>

#include "engine/kernels/conv.h"

#define TILE_MACS   (1 << 21)
#define TILE_PARTS  16
#define SMALL_TILE  (1 << 16)
#define COPY_FLOATS (1 << 15) /* about what the reordered rows of a tile take: 128 KiB */

bool nnd_conv_depthwise_can(const nnd_conv_desc *d)
{
    return d->groups == d->in_channels && d->out_channels == d->in_channels &&
           d->in_layout == d->out_layout;
}

/* NCHW whose kernel is that of NCHWc. */
static bool reorders(const nnd_conv *conv)
{
    return conv->desc.in_layout == NND_KERNEL_NCHW && !conv->set->depthwise[NND_KERNEL_NCHW];
}

/* Channels of a plane as the kernel sees it. */
static int64_t plane_lanes(const nnd_conv *conv)
{
    bool plain = conv->desc.in_layout == NND_KERNEL_NCHW && !reorders(conv);
    return plain ? 1 : conv->set->block;
}

/* Input rows under `rows` output rows, borders included. */
static int64_t rows_under(const nnd_conv_desc *d, int64_t rows)
{
    return (rows - 1) * d->stride_h + (d->kernel_h - 1) * d->dilation_h + 1;
}

/* Cuts the rows so that their reordered copy stays small, and says how large it is. */
static void plan_copy(nnd_conv *conv, int64_t lanes)
{
    const nnd_conv_desc *d = &conv->desc;
    int64_t rows;
    double in, out;
    for (;; conv->row_parts++) {
        rows = nnd_ceil_div(conv->out_h, conv->row_parts);
        in = (double)NND_MIN(d->in_h, rows_under(d, rows)) * (double)(d->in_w * lanes);
        out = (double)rows * (double)(conv->out_w * lanes);
        if (rows == 1 || in + out <= COPY_FLOATS) break;
    }
    conv->lane_bytes = ((size_t)in + (size_t)out) * sizeof(float);
    if (conv->row_parts > 1) conv->planes_per_tile = 1;
}

void nnd_conv_depthwise_plan(nnd_conv *conv)
{
    const nnd_conv_desc *d = &conv->desc;
    int64_t lanes = plane_lanes(conv);
    int64_t per_image = nnd_ceil_div(d->in_channels, lanes);
    int64_t taps = d->kernel_h * d->kernel_w;
    conv->packed_bytes = (size_t)(per_image * lanes * (taps + 1)) * sizeof(float);
    conv->planes = d->batch * per_image;
    double plane_macs = (double)(conv->out_h * conv->out_w) * (double)(taps * lanes);
    double total = plane_macs * (double)conv->planes;
    double target = NND_MIN((double)TILE_MACS, NND_MAX((double)SMALL_TILE, total / TILE_PARTS));
    conv->row_parts = NND_MIN(conv->out_h, (int64_t)(plane_macs / target) + 1);
    conv->planes_per_tile = 1;
    if (plane_macs < target) {
        conv->row_parts = 1;
        conv->planes_per_tile = NND_MIN(conv->planes, (int64_t)(target / plane_macs));
    }
    if (reorders(conv)) plan_copy(conv, lanes);
    conv->tiles = (size_t)(nnd_ceil_div(conv->planes, conv->planes_per_tile) * conv->row_parts);
}

void nnd_conv_depthwise_pack(const nnd_conv *conv, const float *weights, const float *bias,
                             float *packed)
{
    const nnd_conv_desc *d = &conv->desc;
    int64_t lanes = plane_lanes(conv), taps = d->kernel_h * d->kernel_w;
    int64_t padded = nnd_round_up(d->in_channels, lanes);
    for (int64_t c = 0; c < padded; c++) {
        float *to = packed + c / lanes * lanes * taps + c % lanes;
        bool real = c < d->in_channels;
        for (int64_t t = 0; t < taps; t++)
            to[t * lanes] = real ? weights[c * taps + t] : 0.0f;
        packed[padded * taps + c] = real && bias ? bias[c] : 0.0f;
    }
}

/* The window over output rows [row0, row1) of a plane that begins at x, y and residual. */
static nnd_window_args window_of(const nnd_conv *conv, const float *packed, int64_t channel,
                                 int64_t row0, int64_t row1)
{
    const nnd_conv_desc *d = &conv->desc;
    int64_t lanes = plane_lanes(conv), taps = d->kernel_h * d->kernel_w;
    return (nnd_window_args){
        .weights = packed + channel * taps,
        .bias = packed + nnd_round_up(d->in_channels, lanes) * taps + channel,
        .in_h = d->in_h,
        .in_w = d->in_w,
        .out_h = conv->out_h,
        .out_w = conv->out_w,
        .kernel_h = d->kernel_h,
        .kernel_w = d->kernel_w,
        .stride_h = d->stride_h,
        .stride_w = d->stride_w,
        .dilation_h = d->dilation_h,
        .dilation_w = d->dilation_w,
        .pad_top = d->pad_top,
        .pad_left = d->pad_left,
        .row_begin = row0,
        .row_end = row1,
        .low = conv->low,
        .high = conv->high,
    };
}

static void run_plane(const nnd_conv *conv, const nnd_conv_args *args, int64_t plane, int64_t row0,
                      int64_t row1)
{
    const nnd_conv_desc *d = &conv->desc;
    int64_t lanes = plane_lanes(conv), out_plane = conv->out_h * conv->out_w * lanes;
    int64_t channel = plane % nnd_ceil_div(d->in_channels, lanes) * lanes;
    nnd_window_args w = window_of(conv, args->packed, channel, row0, row1);
    w.x = args->x + plane * d->in_h * d->in_w * lanes;
    w.y = args->y + plane * out_plane;
    w.residual = d->residual ? args->residual + plane * out_plane : NULL;
    conv->set->depthwise[d->in_layout](&w);
    if (conv->clamps) return;
    float *rows = w.y + row0 * conv->out_w * lanes;
    conv->set->act(&d->act, rows, rows, (size_t)((row1 - row0) * conv->out_w * lanes));
}

/* The same for NCHW by way of scratch: the copy of the input begins with the first row that the
   tile needs, which moves the padding and the output rows with it. */
static void run_reordered(const nnd_conv *conv, const nnd_conv_args *args, int64_t plane,
                          int64_t row0, int64_t row1, float *scratch)
{
    const nnd_conv_desc *d = &conv->desc;
    const nnd_kernel_set *set = conv->set;
    int64_t per_image = nnd_ceil_div(d->in_channels, set->block), image = plane / per_image;
    int64_t channel = plane % per_image * set->block;
    size_t used = (size_t)NND_MIN(set->block, d->in_channels - channel);
    int64_t first = NND_MAX(0, row0 * d->stride_h - d->pad_top);
    int64_t last = row0 * d->stride_h - d->pad_top + rows_under(d, row1 - row0);
    int64_t rows = NND_MAX(0, NND_MIN(last, d->in_h) - first);
    size_t in_plane = (size_t)(d->in_h * d->in_w), out_plane = (size_t)(conv->out_h * conv->out_w);
    size_t pixels = (size_t)((row1 - row0) * conv->out_w);
    size_t channel0 = (size_t)(image * d->in_channels + channel);
    size_t to = channel0 * out_plane + (size_t)(row0 * conv->out_w);
    float *out = scratch + rows * d->in_w * set->block;
    nnd_window_args w = window_of(conv, args->packed, channel, 0, row1 - row0);
    set->to_nchwc(args->x + channel0 * in_plane + (size_t)(first * d->in_w), in_plane, scratch,
                  used, (size_t)(rows * d->in_w));
    if (d->residual) {
        set->to_nchwc(args->residual + to, out_plane, out, used, pixels);
        w.residual = out;
    }
    w.x = scratch;
    w.y = out;
    w.in_h = rows;
    w.out_h = row1 - row0;
    w.pad_top = first - (row0 * d->stride_h - d->pad_top);
    set->depthwise[NND_KERNEL_NCHWC](&w);
    if (!conv->clamps) set->act(&d->act, out, out, pixels * (size_t)set->block);
    set->to_nchw(out, args->y + to, out_plane, used, pixels);
}

void nnd_conv_depthwise_run(const nnd_conv *conv, const nnd_conv_args *args, size_t tile,
                            float *scratch)
{
    int64_t part = (int64_t)tile % conv->row_parts;
    int64_t first = (int64_t)tile / conv->row_parts * conv->planes_per_tile;
    int64_t end = NND_MIN(conv->planes, first + conv->planes_per_tile);
    int64_t row0 = nnd_part(conv->out_h, conv->row_parts, part);
    int64_t row1 = nnd_part(conv->out_h, conv->row_parts, part + 1);
    for (int64_t plane = first; plane < end; plane++) {
        if (reorders(conv))
            run_reordered(conv, args, plane, row0, row1, scratch);
        else
            run_plane(conv, args, plane, row0, row1);
    }
}
