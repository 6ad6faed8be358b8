/*
 * Depthwise convolution of bytes, plane by plane. The rows that a band of outputs needs are copied
 * with their padding, apart by position modulo the strides; the outputs of the band are then one
 * run over the copy, with `pitch` − out_w sums between two rows that nobody wants.
 */
#include <string.h>

#include "engine/kernels/int8_conv.h"

#define BAND_SUMS   4096
#define TILE_MACS   (1 << 18)
#define TILE_PARTS  16
#define LARGE_PLANE (1 << 20) /* multiplications from which a plane is cut */

bool nnd_int8_depthwise_can(const nnd_conv_desc *d)
{
    return d->groups == d->in_channels && d->kernel_h * d->kernel_w <= 1024;
}

static int64_t slot_rows(const nnd_int8_conv *c)
{
    return c->band + c->reach_h;
}

static int64_t row_bytes(const nnd_int8_conv *c)
{
    return c->pitch * c->step;
}

static size_t copy_bytes(const nnd_int8_conv *c)
{
    int64_t bytes = c->phases_h * c->phases_w * slot_rows(c) * row_bytes(c) + NND_INT8_SLACK;
    return (size_t)nnd_round_up(bytes, NND_KERNEL_ALIGN);
}

void nnd_int8_depthwise_plan(nnd_int8_conv *c)
{
    const nnd_conv_desc *d = &c->desc;
    int64_t span_h = d->dilation_h * (d->kernel_h - 1), span_w = d->dilation_w * (d->kernel_w - 1);
    c->phases_h = NND_MIN(d->stride_h, span_h + 1);
    c->step = d->stride_w == 2 ? 2 : 1;
    c->apart = d->stride_w / c->step;
    c->phases_w = NND_MIN(c->apart, span_w + 1);
    c->reach_h = span_h / d->stride_h;
    c->pitch = c->out_w + span_w / d->stride_w;
    c->band = NND_MIN(c->out_h, NND_MAX(1, BAND_SUMS / c->pitch));
    int64_t taps = d->kernel_h * d->kernel_w, planes = d->batch * d->out_channels;
    double macs = (double)(c->out_h * c->out_w) * (double)taps;
    c->planes_per_tile =
        NND_MAX(1, NND_MIN(planes / TILE_PARTS, (int64_t)NND_MIN(TILE_MACS / macs, 1e6)));
    int64_t bands = nnd_ceil_div(c->out_h, c->band);
    c->band_parts = NND_MAX(1, NND_MIN(bands, (int64_t)(macs / LARGE_PLANE)));
    c->tiles = (size_t)(nnd_ceil_div(planes, c->planes_per_tile) * c->band_parts);
    c->lane_bytes = copy_bytes(c) + (size_t)taps * sizeof(ptrdiff_t) +
                    ((size_t)(c->band * c->pitch) + NND_INT8_SLACK) * sizeof(int32_t);
}

/* n bytes that are `apart` from each other, flipped. */
static void copy_apart(const uint8_t *from, int64_t apart, uint8_t flip, int64_t n, uint8_t *to)
{
    if (apart == 1) {
        memcpy(to, from, (size_t)n);
    } else {
        for (int64_t i = 0; i < n; i++)
            to[i] = from[apart * i];
    }
    for (int64_t i = 0; flip && i < n; i++)
        to[i] ^= flip;
}

/* Rows of the input for the outputs from `row` on. The copy is padding wherever nothing has been
   copied to it; that is so for the same columns in every band and plane. */
static void copy_band(const nnd_int8_conv *c, const uint8_t *plane, int64_t row, int64_t rows,
                      uint8_t padding, uint8_t *to)
{
    const nnd_conv_desc *d = &c->desc;
    const uint8_t flip = c->x_signed ? 0x80 : 0;
    const int64_t bytes = row_bytes(c);
    for (int64_t px = 0; px < c->phases_w; px++) {
        int64_t first, end, start = px - d->pad_left;
        nnd_int8_inside(start, c->apart, d->in_w, bytes, &first, &end);
        for (int64_t py = 0; py < c->phases_h; py++) {
            uint8_t *slot = to + (py * c->phases_w + px) * slot_rows(c) * bytes;
            for (int64_t i = 0; i < rows + c->reach_h; i++, slot += bytes) {
                int64_t y = (row + i) * d->stride_h + py - d->pad_top;
                if (y < 0 || y >= d->in_h)
                    memset(slot, padding, (size_t)bytes);
                else
                    copy_apart(plane + y * d->in_w + start + first * c->apart, c->apart, flip,
                               end - first, slot + first);
            }
        }
    }
}

static void find_taps(const nnd_int8_conv *c, ptrdiff_t *taps)
{
    const nnd_conv_desc *d = &c->desc;
    for (int64_t ky = 0; ky < d->kernel_h; ky++) {
        for (int64_t kx = 0; kx < d->kernel_w; kx++) {
            int64_t y = ky * d->dilation_h, x = kx * d->dilation_w;
            int64_t slot = y % d->stride_h * c->phases_w + x % c->apart;
            *taps++ =
                (ptrdiff_t)((slot * slot_rows(c) + y / d->stride_h) * row_bytes(c) + x / c->apart);
        }
    }
}

/* The byte that stands for zero in the copy. */
static uint8_t padding_of(const nnd_int8_conv *c, const nnd_int8_conv_args *args)
{
    return (uint8_t)((uint32_t)args->x_zero ^ (c->x_signed ? 0x80u : 0u));
}

/* Output rows [row, end) of one plane. */
static void run_rows(const nnd_int8_conv *c, const nnd_int8_conv_args *args, int64_t plane,
                     int64_t row, int64_t end, nnd_int8_depthwise_args *a, uint8_t *copy)
{
    const nnd_conv_desc *d = &c->desc;
    int64_t channel = plane % d->out_channels, image = plane / d->out_channels;
    int64_t from = image * d->in_channels + channel / (d->out_channels / d->groups);
    const uint8_t *x = (const uint8_t *)args->x + from * d->in_h * d->in_w;
    nnd_int8_conv_packed p = nnd_int8_conv_parts(c, args->packed);
    const nnd_int8_result *r = &args->result;
    nnd_int8_block block = {.sums = a->sums,
                            .stride = (size_t)c->pitch,
                            .columns = (size_t)c->out_w,
                            .row_scale = r->scale ? r->scale + channel : NULL};
    a->weights = (const int32_t *)(const void *)p.weights + (size_t)channel * a->count;
    a->start = args->start[channel];
    for (; row < end; row += c->band) {
        size_t at = (size_t)((plane * c->out_h + row) * c->out_w);
        block.rows = (size_t)NND_MIN(c->band, end - row);
        copy_band(c, x, row, (int64_t)block.rows, padding_of(c, args), copy);
        a->n = (block.rows - 1) * block.stride + block.columns;
        c->set->depthwise(a);
        nnd_int8_store(c->set, r, &block, (char *)args->y + at * nnd_int8_result_bytes(r),
                       block.columns);
    }
}

void nnd_int8_depthwise_run(const nnd_int8_conv *c, const nnd_int8_conv_args *args, size_t tile,
                            void *scratch)
{
    const nnd_conv_desc *d = &c->desc;
    size_t count = (size_t)(d->kernel_h * d->kernel_w);
    int64_t part = (int64_t)tile % c->band_parts, bands = nnd_ceil_div(c->out_h, c->band);
    int64_t plane = (int64_t)tile / c->band_parts * c->planes_per_tile;
    int64_t last = NND_MIN(d->batch * d->out_channels, plane + c->planes_per_tile);
    int64_t row = nnd_part(bands, c->band_parts, part) * c->band;
    int64_t end = NND_MIN(c->out_h, nnd_part(bands, c->band_parts, part + 1) * c->band);
    uint8_t *copy = scratch;
    ptrdiff_t *taps = (ptrdiff_t *)(void *)(copy + copy_bytes(c));
    nnd_int8_depthwise_args a = {.x = copy,
                                 .taps = taps,
                                 .count = count,
                                 .step = c->step,
                                 .sums = (int32_t *)(void *)(taps + count)};
    find_taps(c, taps);
    memset(copy, padding_of(c, args), copy_bytes(c));
    for (; plane < last; plane++)
        run_rows(c, args, plane, row, end, &a, copy);
}
