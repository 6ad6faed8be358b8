/*
 * Depthwise convolution: planes (channels, or blocks of channels in NCHWc) do not mix, so a tile is
 * some planes, or some rows of one. Packed: taps of each plane, then the biases.
 */
#include <string.h>

#include "engine/kernels/conv.h"

#define TILE_MACS  (1 << 21)
#define TILE_PARTS 16
#define SMALL_TILE (1 << 16)

bool nnd_conv_depthwise_can(const nnd_conv_desc *d)
{
    return d->groups == d->in_channels && d->out_channels == d->in_channels &&
           d->in_layout == d->out_layout;
}

static int64_t plane_lanes(const nnd_conv *conv)
{
    return conv->desc.in_layout == NND_KERNEL_NCHWC ? conv->set->block : 1;
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

static void run_plane(const nnd_conv *conv, const nnd_conv_args *args, int64_t plane, int64_t row0,
                      int64_t row1)
{
    const nnd_conv_desc *d = &conv->desc;
    int64_t lanes = plane_lanes(conv), taps = d->kernel_h * d->kernel_w;
    int64_t per_image = nnd_ceil_div(d->in_channels, lanes);
    int64_t channel = plane % per_image * lanes;
    const float *packed = args->packed;
    int64_t out_plane = conv->out_h * conv->out_w * lanes;
    nnd_window_args w = {
        .x = args->x + plane * d->in_h * d->in_w * lanes,
        .y = args->y + plane * out_plane,
        .residual = d->residual ? args->residual + plane * out_plane : NULL,
        .weights = packed + channel * taps,
        .bias = packed + per_image * lanes * taps + channel,
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
    conv->set->depthwise[d->in_layout](&w);
    if (conv->clamps) return;
    float *rows = w.y + row0 * conv->out_w * lanes;
    conv->set->act(&d->act, rows, rows, (size_t)((row1 - row0) * conv->out_w * lanes));
}

void nnd_conv_depthwise_run(const nnd_conv *conv, const nnd_conv_args *args, size_t tile)
{
    int64_t part = (int64_t)tile % conv->row_parts;
    int64_t first = (int64_t)tile / conv->row_parts * conv->planes_per_tile;
    int64_t end = NND_MIN(conv->planes, first + conv->planes_per_tile);
    int64_t row0 = nnd_part(conv->out_h, conv->row_parts, part);
    int64_t row1 = nnd_part(conv->out_h, conv->row_parts, part + 1);
    for (int64_t plane = first; plane < end; plane++)
        run_plane(conv, args, plane, row0, row1);
}
