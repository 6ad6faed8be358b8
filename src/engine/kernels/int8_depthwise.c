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

size_t nnd_int8_depthwise_quads(const nnd_conv_desc *d)
{
    return (size_t)(d->kernel_h * nnd_ceil_div(d->kernel_w, 4));
}

/* Quads from the integers of the taps. */
void nnd_int8_depthwise_pack(const nnd_int8_conv *c, const nnd_int8_conv_packed *p)
{
    const int32_t *from = (const int32_t *)(const void *)p->weights;
    int32_t *to = p->quads;
    for (int64_t row = 0; row < c->desc.out_channels * c->desc.kernel_h; row++) {
        for (int64_t x = 0; x < c->desc.kernel_w; x += 4) {
            uint32_t quad = 0;
            for (int64_t i = 0; i < NND_MIN(4, c->desc.kernel_w - x); i++)
                quad |= (uint32_t)(uint8_t)from[x + i] << 8 * i;
            *to++ = (int32_t)quad;
        }
        from += c->desc.kernel_w;
    }
}

/* Neighbours of the picture are neighbours in the copy, and several of them have weights. */
static bool takes_quads(const nnd_int8_conv *c, const nnd_int8_conv_packed *p)
{
    const nnd_conv_desc *d = &c->desc;
    return c->set->depthwise_quads && !p->is_wide && d->kernel_w > 1 && d->dilation_w == 1 &&
           c->apart == 1;
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

/* Rows are often shorter than a call of memcpy takes: two pieces of `half` bytes, which may
   overlap, for n in [half, 2·half]. */
static inline void copy_halves(const uint8_t *from, size_t from_step, uint8_t *to, size_t to_step,
                               size_t n, size_t rows, const size_t half)
{
    for (size_t i = 0; i < rows; i++, from += from_step, to += to_step) {
        memcpy(to, from, half);
        memcpy(to + n - half, from + n - half, half);
    }
}

static void copy_rows(const uint8_t *from, size_t from_step, uint8_t *to, size_t to_step, size_t n,
                      size_t rows)
{
    if (from_step == n && to_step == n)
        memcpy(to, from, n * rows);
    else if (n > 128 || n < 4)
        for (size_t i = 0; i < rows; i++)
            memcpy(to + i * to_step, from + i * from_step, n);
    else if (n > 64)
        copy_halves(from, from_step, to, to_step, n, rows, 64);
    else if (n >= 32)
        copy_halves(from, from_step, to, to_step, n, rows, 32);
    else if (n >= 16)
        copy_halves(from, from_step, to, to_step, n, rows, 16);
    else if (n >= 8)
        copy_halves(from, from_step, to, to_step, n, rows, 8);
    else
        copy_halves(from, from_step, to, to_step, n, rows, 4);
}

/* The same of bytes that are `apart` from each other, flipped. */
static void copy_apart(const uint8_t *from, size_t from_step, size_t apart, uint8_t flip,
                       uint8_t *to, size_t to_step, size_t n, size_t rows)
{
    for (; rows; rows--, from += from_step, to += to_step)
        for (size_t i = 0; i < n; i++)
            to[i] = from[apart * i] ^ flip;
}

/* Rows of the input for the outputs from `row` on. The copy is padding wherever nothing has been
   copied to it; that is so for the same columns in every band and plane. */
static void copy_band(const nnd_int8_conv *c, const uint8_t *plane, int64_t row, int64_t rows,
                      uint8_t padding, uint8_t *to)
{
    const nnd_conv_desc *d = &c->desc;
    const uint8_t flip = c->x_signed ? 0x80 : 0;
    const int64_t bytes = row_bytes(c), all = rows + c->reach_h;
    for (int64_t px = 0; px < c->phases_w; px++) {
        int64_t first, end, start = px - d->pad_left;
        nnd_int8_inside(start, c->apart, d->in_w, bytes, &first, &end);
        for (int64_t py = 0; py < c->phases_h; py++) {
            uint8_t *slot = to + (py * c->phases_w + px) * slot_rows(c) * bytes;
            int64_t top, bottom, y = row * d->stride_h + py - d->pad_top;
            nnd_int8_inside(y, d->stride_h, d->in_h, all, &top, &bottom);
            memset(slot, padding, (size_t)(top * bytes));
            memset(slot + bottom * bytes, padding, (size_t)((all - bottom) * bytes));
            if (top == bottom || first == end) continue;
            const uint8_t *from =
                plane + (y + top * d->stride_h) * d->in_w + start + first * c->apart;
            size_t step = (size_t)(d->stride_h * d->in_w), n = (size_t)(end - first);
            uint8_t *at = slot + top * bytes + first;
            if (c->apart == 1 && !flip)
                copy_rows(from, step, at, (size_t)bytes, n, (size_t)(bottom - top));
            else
                copy_apart(from, step, (size_t)c->apart, flip, at, (size_t)bytes, n,
                           (size_t)(bottom - top));
        }
    }
}

/* Where taps begin in the copy, or the first ones of `wide` neighbours each. */
static void find_taps(const nnd_int8_conv *c, int64_t wide, ptrdiff_t *taps)
{
    const nnd_conv_desc *d = &c->desc;
    for (int64_t ky = 0; ky < d->kernel_h; ky++) {
        for (int64_t kx = 0; kx < d->kernel_w; kx += wide) {
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

/* Results of a band: bytes come out of the kernel, between rows those that nobody wants. */
static void run_band(const nnd_int8_conv *c, const nnd_int8_result *r, bool quads,
                     nnd_int8_depthwise_args *a, const nnd_int8_block *block, char *y)
{
    void (*kernel)(const nnd_int8_depthwise_args *) =
        quads ? c->set->depthwise_quads : c->set->depthwise;
    if (nnd_int8_result_bytes(r) != 1) {
        kernel(a);
        nnd_int8_store(c->set, r, block, y, block->columns);
        return;
    }
    uint8_t *codes = (uint8_t *)a->sums;
    nnd_int8_bytes bytes = nnd_int8_bytes_of(r, codes, 0);
    bytes.row_scale = block->row_scale;
    a->bytes = &bytes;
    kernel(a);
    a->bytes = NULL;
    copy_rows(codes, block->stride, (uint8_t *)y, block->columns, block->columns, block->rows);
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
                            .row_scale = r->scale ? r->scale + channel : NULL,
                            .row_bias = r->bias ? r->bias + channel : NULL};
    bool quads = takes_quads(c, &p);
    const int32_t *weights = quads ? p.quads : (const int32_t *)(const void *)p.weights;
    a->weights = weights + (size_t)channel * a->count;
    a->start = args->start[channel];
    for (; row < end; row += c->band) {
        size_t at = (size_t)((plane * c->out_h + row) * c->out_w);
        block.rows = (size_t)NND_MIN(c->band, end - row);
        copy_band(c, x, row, (int64_t)block.rows, padding_of(c, args), copy);
        a->n = (block.rows - 1) * block.stride + block.columns;
        run_band(c, r, quads, a, &block, (char *)args->y + at * nnd_int8_result_bytes(r));
    }
}

void nnd_int8_depthwise_run(const nnd_int8_conv *c, const nnd_int8_conv_args *args, size_t tile,
                            void *scratch)
{
    const nnd_conv_desc *d = &c->desc;
    nnd_int8_conv_packed p = nnd_int8_conv_parts(c, args->packed);
    bool quads = takes_quads(c, &p);
    size_t taps_count = (size_t)(d->kernel_h * d->kernel_w);
    int64_t part = (int64_t)tile % c->band_parts, bands = nnd_ceil_div(c->out_h, c->band);
    int64_t plane = (int64_t)tile / c->band_parts * c->planes_per_tile;
    int64_t last = NND_MIN(d->batch * d->out_channels, plane + c->planes_per_tile);
    int64_t row = nnd_part(bands, c->band_parts, part) * c->band;
    int64_t end = NND_MIN(c->out_h, nnd_part(bands, c->band_parts, part + 1) * c->band);
    uint8_t *copy = scratch;
    ptrdiff_t *taps = (ptrdiff_t *)(void *)(copy + copy_bytes(c));
    nnd_int8_depthwise_args a = {.x = copy,
                                 .taps = taps,
                                 .count = quads ? nnd_int8_depthwise_quads(d) : taps_count,
                                 .step = c->step,
                                 .sums = (int32_t *)(void *)(taps + taps_count)};
    find_taps(c, quads ? 4 : 1, taps);
    memset(copy, padding_of(c, args), copy_bytes(c));
    for (; plane < last; plane++)
        run_rows(c, args, plane, row, end, &a, copy);
}
