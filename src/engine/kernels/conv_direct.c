/*
 * Direct convolution as an implicit GEMM: rows of a register tile are output pixels of one row,
 * vectors are blocks of output channels, k runs over taps and input channels.
 *
 * Where the input cannot be read as it lies (padding, strides, NCHW), a tile first copies what it
 * needs into scratch, zeros included and sorted by phase (see nnd_conv_axis), so that the register
 * tile never meets a border or a stride.
 *
 * Packed, per group: panels of `tile_vectors` blocks of output channels (the last one may have
 * fewer), each in the order of k; then the biases of all groups, padded to whole vectors.
 */
#include <math.h>
#include <string.h>

#include "engine/kernels/conv.h"

#define TILE_MACS   (16 << 20)
#define TILE_PARTS  16
#define SMALL_TILE  (1 << 19)
#define MIN_PIXELS  56  /* below, packed weights are read too often for the work done with them */
#define MAX_COLUMNS 512 /* longer rows are cut */
#define COPY_FLOATS (1 << 17) /* about what the copy of a tile's input may take: half of L2 */
#define MAX_ROWS    16
#define MAX_PANEL   64

static void plan_axis(nnd_conv_axis *axis, int64_t taps, int64_t stride, int64_t dilation,
                      int64_t *numbers)
{
    axis->phase = numbers;
    axis->slot = numbers + taps;
    axis->index = numbers + 2 * taps;
    for (int64_t t = 0; t < taps; t++) {
        int64_t phase = t * dilation % stride, slot = 0;
        while (slot < axis->slots && axis->phase[slot] != phase)
            slot++;
        if (slot == axis->slots) axis->phase[axis->slots++] = phase;
        axis->slot[t] = slot;
        axis->index[t] = t * dilation / stride;
        axis->reach = NND_MAX(axis->reach, axis->index[t]);
    }
}

/* Pixels as one row where no tap reaches another pixel. */
static void plan_shape(nnd_conv *conv)
{
    const nnd_conv_desc *d = &conv->desc;
    nnd_conv_direct *p = &conv->direct;
    bool pads = d->pad_top || d->pad_left || d->pad_bottom || d->pad_right;
    bool unit = d->stride_h == 1 && d->stride_w == 1 && !pads;
    bool flat = unit && d->kernel_h == 1 && d->kernel_w == 1;
    int64_t block = conv->set->block;
    p->depth = d->in_channels / d->groups;
    p->out_depth = d->out_channels / d->groups;
    p->k = p->depth * d->kernel_h * d->kernel_w;
    p->vectors = nnd_ceil_div(p->out_depth, block);
    p->panels = nnd_ceil_div(p->vectors, conv->set->tile_vectors);
    p->in_h = flat ? 1 : d->in_h;
    p->in_w = flat ? d->in_h * d->in_w : d->in_w;
    p->out_h = flat ? 1 : conv->out_h;
    p->out_w = flat ? conv->out_h * conv->out_w : conv->out_w;
    p->blocked_in = d->in_layout == NND_KERNEL_NCHWC && (d->groups == 1 || p->depth % block == 0);
    p->blocked_out =
        d->out_layout == NND_KERNEL_NCHWC && (d->groups == 1 || p->out_depth % block == 0);
    p->copies = !p->blocked_in || !unit;
    p->lanes = p->blocked_in ? block : 1;
}

/* Floats that the copy for `rows` × `columns` outputs takes. */
static double copy_floats(const nnd_conv_direct *p, int64_t rows, int64_t columns)
{
    return (double)(p->rows.slots * (rows + p->rows.reach)) *
           (double)(p->columns.slots * (columns + p->columns.reach)) * (double)p->depth;
}

static void plan_tiles(nnd_conv *conv)
{
    const nnd_conv_desc *d = &conv->desc;
    nnd_conv_direct *p = &conv->direct;
    double pixels = (double)(p->out_h * p->out_w);
    double width = (double)(p->vectors * conv->set->block); /* of a group */
    double total = pixels * width * (double)p->k * (double)(d->batch * d->groups);
    double target = NND_MIN((double)TILE_MACS, NND_MAX((double)SMALL_TILE, total / TILE_PARTS));
    double few = NND_MIN(pixels, (double)MIN_PIXELS);
    double chunk = NND_MIN(pixels, NND_MAX(few, target / (width * (double)p->k)));
    int64_t columns = NND_MIN(p->out_w, MAX_COLUMNS);
    if ((double)columns > chunk * 2) columns = (int64_t)chunk;
    int64_t rows = NND_MIN(p->out_h, NND_MAX(1, (int64_t)(chunk / (double)columns)));
    if (p->copies) {
        while (rows > 1 && copy_floats(p, rows, columns) > COPY_FLOATS)
            rows = (rows + 1) / 2;
        while (columns > MAX_ROWS && copy_floats(p, rows, columns) > COPY_FLOATS)
            columns = (columns + 1) / 2;
    }
    double panel_macs = (double)(rows * columns) * width / (double)p->panels * (double)p->k;
    int64_t panels = NND_MIN(p->panels, NND_MAX(1, (int64_t)(target / panel_macs + 0.5)));
    p->row_parts = nnd_ceil_div(p->out_h, rows);
    p->column_parts = nnd_ceil_div(p->out_w, columns);
    p->panel_parts = nnd_ceil_div(p->panels, panels);
    conv->tiles = (size_t)(d->batch * d->groups * p->panel_parts * p->row_parts * p->column_parts);
}

/* Strides of what the register tile reads. An odd number of cache lines between planes keeps them
   from falling into the same sets of the cache. */
static void plan_input(nnd_conv *conv)
{
    nnd_conv_direct *p = &conv->direct;
    if (!p->copies) {
        p->row_pitch = p->in_w * p->lanes;
        p->plane = p->in_h * p->row_pitch;
        return;
    }
    p->slot_rows = nnd_ceil_div(p->out_h, p->row_parts) + p->rows.reach;
    p->slot_columns = nnd_ceil_div(p->out_w, p->column_parts) + p->columns.reach;
    p->row_pitch = p->columns.slots * p->slot_columns * p->lanes;
    int64_t lines = nnd_ceil_div(p->rows.slots * p->slot_rows * p->row_pitch, 16);
    p->plane = (lines | 1) * 16;
    int64_t planes = nnd_ceil_div(p->depth, p->lanes);
    conv->lane_bytes = (size_t)(planes * p->plane) * sizeof(float);
}

static ptrdiff_t tap_offset(const nnd_conv_direct *p, int64_t kh, int64_t kw)
{
    int64_t row = p->rows.slot[kh] * p->slot_rows + p->rows.index[kh];
    int64_t column = p->columns.slot[kw] * p->slot_columns + p->columns.index[kw];
    return (ptrdiff_t)(row * p->row_pitch + column * p->lanes);
}

static void plan_taps(nnd_conv *conv)
{
    const nnd_conv_desc *d = &conv->desc;
    nnd_conv_direct *p = &conv->direct;
    int64_t taps = d->kernel_h * d->kernel_w;
    int64_t whole = p->blocked_in ? p->depth / p->lanes : 1;
    int64_t rest = p->blocked_in ? p->depth % p->lanes : 0;
    for (int64_t i = 0; i < (whole + (rest > 0)) * taps; i++) {
        int64_t tap = i % taps;
        p->taps[i] =
            (ptrdiff_t)(i / taps * p->plane) + tap_offset(p, tap / d->kernel_w, tap % d->kernel_w);
    }
    size_t depth = (size_t)(p->blocked_in ? p->lanes : p->depth);
    p->segments[0] = (nnd_tile_segment){p->taps, (size_t)(whole * taps), depth};
    if (rest)
        p->segments[1] = (nnd_tile_segment){p->taps + whole * taps, (size_t)taps, (size_t)rest};
}

nnd_status nnd_conv_direct_plan(nnd_conv *conv)
{
    const nnd_conv_desc *d = &conv->desc;
    nnd_conv_direct *p = &conv->direct;
    plan_shape(conv);
    int64_t planes = p->blocked_in ? nnd_ceil_div(p->depth, p->lanes) : 1;
    p->taps = nnd_calloc((size_t)(planes * d->kernel_h * d->kernel_w), sizeof *p->taps);
    p->numbers = nnd_calloc(3 * (size_t)(d->kernel_h + d->kernel_w), sizeof *p->numbers);
    if (!p->taps || !p->numbers)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "convolution: no memory for the list of taps");
    plan_axis(&p->rows, d->kernel_h, d->stride_h, d->dilation_h, p->numbers);
    plan_axis(&p->columns, d->kernel_w, d->stride_w, d->dilation_w, p->numbers + 3 * d->kernel_h);
    plan_tiles(conv);
    plan_input(conv);
    plan_taps(conv);
    int64_t width = p->vectors * conv->set->block;
    conv->packed_bytes = (size_t)(d->groups * width * (p->k + 1)) * sizeof(float);
    return NND_OK;
}

void nnd_conv_direct_free(nnd_conv *conv)
{
    nnd_free(conv->direct.taps);
    nnd_free(conv->direct.numbers);
}

/* ---- packing ---------------------------------------------------------------------------- */

/* Channels [ic0, ic0 + depth) of every tap for the output channels of one panel. */
static float *pack_taps(const nnd_conv *conv, const float *weights, int64_t oc0, int64_t stored,
                        int64_t width, int64_t ic0, int64_t depth, float *to)
{
    const nnd_conv_direct *p = &conv->direct;
    int64_t taps = conv->desc.kernel_h * conv->desc.kernel_w;
    for (int64_t tap = 0; tap < taps; tap++) {
        for (int64_t ic = ic0; ic < ic0 + depth; ic++, to += width) {
            for (int64_t j = 0; j < width; j++)
                to[j] = j < stored ? weights[((oc0 + j) * p->depth + ic) * taps + tap] : 0.0f;
        }
    }
    return to;
}

void nnd_conv_direct_pack(const nnd_conv *conv, const float *weights, const float *bias,
                          float *packed)
{
    const nnd_conv_direct *p = &conv->direct;
    int64_t block = conv->set->block, panel = block * conv->set->tile_vectors;
    int64_t step = p->blocked_in ? block : p->depth;
    float *to = packed;
    for (int64_t g = 0; g < conv->desc.groups; g++) {
        for (int64_t j = 0; j < p->out_depth; j += panel) {
            int64_t stored = NND_MIN(panel, p->out_depth - j);
            int64_t width = nnd_round_up(stored, block);
            for (int64_t ic = 0; ic < p->depth; ic += step)
                to = pack_taps(conv, weights, g * p->out_depth + j, stored, width, ic,
                               NND_MIN(step, p->depth - ic), to);
        }
    }
    for (int64_t g = 0; g < conv->desc.groups; g++) {
        for (int64_t j = 0; j < p->vectors * block; j++)
            *to++ = bias && j < p->out_depth ? bias[g * p->out_depth + j] : 0.0f;
    }
}

/* ---- running ---------------------------------------------------------------------------- */

/* What one tile covers. */
typedef struct conv_tile {
    int64_t image, group, panel0, panel1, row0, row1, column0, column1;
} conv_tile;

static conv_tile tile_of(const nnd_conv *conv, size_t index)
{
    const nnd_conv_direct *p = &conv->direct;
    int64_t i = (int64_t)index;
    int64_t column = i % p->column_parts;
    i /= p->column_parts;
    int64_t row = i % p->row_parts;
    i /= p->row_parts;
    int64_t panel = i % p->panel_parts;
    i /= p->panel_parts;
    return (conv_tile){
        .image = i / conv->desc.groups,
        .group = i % conv->desc.groups,
        .panel0 = nnd_part(p->panels, p->panel_parts, panel),
        .panel1 = nnd_part(p->panels, p->panel_parts, panel + 1),
        .row0 = nnd_part(p->out_h, p->row_parts, row),
        .row1 = nnd_part(p->out_h, p->row_parts, row + 1),
        .column0 = nnd_part(p->out_w, p->column_parts, column),
        .column1 = nnd_part(p->out_w, p->column_parts, column + 1),
    };
}

/* count pixels, `step` floats apart in the input, `lanes` floats each. */
static void copy_pixels(const nnd_kernel_set *set, const float *from, int64_t step, float *to,
                        int64_t lanes, int64_t count)
{
    if (step == lanes) {
        memcpy(to, from, (size_t)(count * lanes) * sizeof *to);
    } else if (lanes == 1 && step == 2 && set->every_second) {
        set->every_second(from, to, (size_t)count);
    } else if (lanes == 1) {
        for (int64_t i = 0; i < count; i++)
            to[i] = from[i * step];
    } else {
        for (int64_t i = 0; i < count; i++)
            memcpy(to + i * lanes, from + i * step, (size_t)lanes * sizeof *to);
    }
}

/* One phase of an input row: elements o of [o0, o0 + count) are input columns
   o·stride + shift, zeros outside [0, in_w). `pixel` floats lie between input columns. */
static void copy_row(const nnd_conv *conv, const float *row, int64_t pixel, int64_t o0,
                     int64_t count, int64_t shift, float *to)
{
    int64_t stride = conv->desc.stride_w, lanes = conv->direct.lanes;
    int64_t first = o0 * stride + shift; /* input column of element o0 */
    int64_t low = first < 0 ? NND_MIN(count, nnd_ceil_div(-first, stride)) : 0;
    int64_t room = conv->direct.in_w - first; /* columns from there to the end of the row */
    int64_t high = room > 0 ? NND_MIN(count, nnd_ceil_div(room, stride)) : 0;
    high = NND_MAX(high, low);
    memset(to, 0, (size_t)(low * lanes) * sizeof *to);
    if (high > low)
        copy_pixels(conv->set, row + (first + low * stride) * pixel, stride * pixel,
                    to + low * lanes, lanes, high - low);
    memset(to + high * lanes, 0, (size_t)((count - high) * lanes) * sizeof *to);
}

/* All phases that the tile needs of one input plane. */
static void copy_plane(const nnd_conv *conv, const conv_tile *t, const float *plane, int64_t pixel,
                       float *to)
{
    const nnd_conv_desc *d = &conv->desc;
    const nnd_conv_direct *p = &conv->direct;
    int64_t rows = t->row1 - t->row0 + p->rows.reach;
    int64_t columns = t->column1 - t->column0 + p->columns.reach;
    for (int64_t slot = 0; slot < p->rows.slots; slot++) {
        for (int64_t r = 0; r < rows; r++) {
            int64_t ih = (t->row0 + r) * d->stride_h + p->rows.phase[slot] - d->pad_top;
            float *line = to + (slot * p->slot_rows + r) * p->row_pitch;
            if (ih < 0 || ih >= p->in_h) {
                memset(line, 0, (size_t)p->row_pitch * sizeof *line);
                continue;
            }
            for (int64_t s = 0; s < p->columns.slots; s++)
                copy_row(conv, plane + ih * p->in_w * pixel, pixel, t->column0, columns,
                         p->columns.phase[s] - d->pad_left, line + s * p->slot_columns * p->lanes);
        }
    }
}

static void copy_input(const nnd_conv *conv, const conv_tile *t, const float *x, float *to)
{
    const nnd_conv_desc *d = &conv->desc;
    const nnd_conv_direct *p = &conv->direct;
    int64_t block = conv->set->block, spatial = p->in_h * p->in_w;
    int64_t planes = nnd_ceil_div(p->depth, p->lanes);
    for (int64_t i = 0; i < planes; i++, to += p->plane) {
        int64_t channel = t->group * p->depth + i * p->lanes;
        if (d->in_layout == NND_KERNEL_NCHW) {
            copy_plane(conv, t, x + (t->image * d->in_channels + channel) * spatial, 1, to);
        } else {
            int64_t per_image = nnd_ceil_div(d->in_channels, block);
            const float *from = x + (t->image * per_image + channel / block) * spatial * block;
            copy_plane(conv, t, from + channel % block, block, to);
        }
    }
}

/* The input of the tile's first output pixel, for tap offsets. */
static const float *tile_input(const nnd_conv *conv, const conv_tile *t, const float *x,
                               float *scratch)
{
    const nnd_conv_direct *p = &conv->direct;
    if (p->copies) {
        copy_input(conv, t, x, scratch);
        return scratch;
    }
    int64_t per_image = nnd_ceil_div(conv->desc.in_channels, p->lanes);
    int64_t plane = t->image * per_image + t->group * p->depth / p->lanes;
    return x + plane * p->plane + t->row0 * p->row_pitch + t->column0 * p->lanes;
}

/* A place in the output: pixels of one row and channels of one panel. */
typedef struct conv_spot {
    int64_t image, channel, channels, pixel, pixels;
} conv_spot;

static size_t output_offset(const nnd_conv *conv, int64_t image, int64_t channel, int64_t pixel)
{
    const nnd_conv_desc *d = &conv->desc;
    int64_t spatial = conv->out_h * conv->out_w, block = conv->set->block;
    if (d->out_layout == NND_KERNEL_NCHW)
        return (size_t)((image * d->out_channels + channel) * spatial + pixel);
    int64_t plane = image * nnd_ceil_div(d->out_channels, block) + channel / block;
    return (size_t)((plane * spatial + pixel) * block + channel % block);
}

static void run_blocked(const nnd_conv *conv, const nnd_conv_args *args, const conv_spot *s,
                        nnd_tile_fn_f32 fn, nnd_tile_args *t)
{
    int64_t block = conv->set->block;
    size_t to = output_offset(conv, s->image, s->channel, s->pixel);
    t->c = args->y + to;
    t->c_row = t->r_row = block;
    t->c_vector = t->r_vector = conv->out_h * conv->out_w * block;
    if (conv->desc.residual) t->r = args->residual + to;
    fn((int)s->pixels, (int)nnd_ceil_div(s->channels, block), t);
}

/* Lanes of the last block that no group owns are written as 0. */
static void clear_padding(const nnd_conv *conv, const nnd_conv_args *args, const conv_spot *s)
{
    int64_t end = s->channel + s->channels, block = conv->set->block;
    if (end != conv->desc.out_channels || end % block == 0) return;
    for (int64_t i = 0; i < s->pixels; i++) {
        float *lane = args->y + output_offset(conv, s->image, end, s->pixel + i);
        memset(lane, 0, (size_t)(block - end % block) * sizeof *lane);
    }
}

/* The register tile goes to a buffer and from there to planes, or to lanes of blocks. */
static void run_scattered(const nnd_conv *conv, const nnd_conv_args *args, const conv_spot *s,
                          nnd_tile_fn_f32 fn, nnd_tile_args *t)
{
    float c[MAX_ROWS * MAX_PANEL], r[MAX_ROWS * MAX_PANEL];
    int64_t block = conv->set->block, spatial = conv->out_h * conv->out_w;
    int64_t width = nnd_round_up(s->channels, block);
    bool planes = conv->desc.out_layout == NND_KERNEL_NCHW;
    size_t at = output_offset(conv, s->image, s->channel, s->pixel);
    t->c = c;
    t->c_row = t->r_row = width;
    t->c_vector = t->r_vector = block;
    if (conv->desc.residual) {
        memset(r, 0, sizeof r);
        for (int64_t i = 0; i < s->pixels && !planes; i++) {
            for (int64_t j = 0; j < s->channels; j++)
                r[i * width + j] =
                    args->residual[output_offset(conv, s->image, s->channel + j, s->pixel + i)];
        }
        if (planes)
            conv->set->transpose(args->residual + at, (size_t)spatial, r, (size_t)width,
                                 (size_t)s->channels, (size_t)s->pixels);
        t->r = r;
    }
    fn((int)s->pixels, (int)(width / block), t);
    if (planes) {
        conv->set->transpose(c, (size_t)width, args->y + at, (size_t)spatial, (size_t)s->pixels,
                             (size_t)s->channels);
        return;
    }
    for (int64_t i = 0; i < s->pixels; i++) {
        for (int64_t j = 0; j < s->channels; j++)
            args->y[output_offset(conv, s->image, s->channel + j, s->pixel + i)] = c[i * width + j];
    }
    clear_padding(conv, args, s);
}

/* The activation that is no clamp, over what one row of a panel has just written. */
static void activate(const nnd_conv *conv, const nnd_conv_args *args, const conv_spot *s)
{
    const nnd_act *act = &conv->desc.act;
    int64_t block = conv->set->block;
    if (conv->direct.blocked_out) {
        for (int64_t c = 0; c < s->channels; c += block) {
            float *y = args->y + output_offset(conv, s->image, s->channel + c, s->pixel);
            conv->set->act(act, y, y, (size_t)(s->pixels * block));
        }
    } else if (conv->desc.out_layout == NND_KERNEL_NCHW) {
        for (int64_t c = 0; c < s->channels; c++) {
            float *y = args->y + output_offset(conv, s->image, s->channel + c, s->pixel);
            conv->set->act(act, y, y, (size_t)s->pixels);
        }
    } else { /* lanes of blocks that groups share */
        for (int64_t i = 0; i < s->pixels * s->channels; i++) {
            float *y = args->y + output_offset(conv, s->image, s->channel + i % s->channels,
                                               s->pixel + i / s->channels);
            conv->set->act(act, y, y, 1);
        }
    }
}

/* One panel of output channels over one row of the tile. */
static void run_row(const nnd_conv *conv, const nnd_conv_args *args, const conv_tile *t,
                    int64_t panel, int64_t row, const float *input)
{
    const nnd_conv_direct *p = &conv->direct;
    const nnd_kernel_set *set = conv->set;
    int64_t block = set->block, width = set->tile_vectors * block;
    int64_t columns = t->column1 - t->column0;
    int64_t pieces = nnd_ceil_div(columns, set->tile_rows);
    int64_t first = panel * width; /* channel within the group */
    const float *packed = args->packed;
    int64_t group_width = p->vectors * block;
    const float *biases = packed + conv->desc.groups * group_width * p->k;
    nnd_tile_fn_f32 fn = p->blocked_in ? set->tile_blocked : set->tile_planar;
    conv_spot whole = {t->image, t->group * p->out_depth + first,
                       NND_MIN(width, p->out_depth - first), row * p->out_w + t->column0, columns};
    for (int64_t i = 0; i < pieces; i++) {
        int64_t from = nnd_part(columns, pieces, i), to = nnd_part(columns, pieces, i + 1);
        nnd_tile_args args_of_tile = {
            .a = input + (row - t->row0) * p->row_pitch + from * p->lanes,
            .a_step = p->plane,
            .segments = {p->segments[0], p->segments[1]},
            .b = packed + t->group * group_width * p->k + first * p->k,
            .bias_vector = biases + t->group * group_width + first,
            .beta = 1.0f,
            .low = conv->low,
            .high = conv->high,
        };
        conv_spot spot = whole;
        spot.pixel += from;
        spot.pixels = to - from;
        if (p->blocked_out)
            run_blocked(conv, args, &spot, fn, &args_of_tile);
        else
            run_scattered(conv, args, &spot, fn, &args_of_tile);
    }
    if (!conv->clamps) activate(conv, args, &whole);
}

void nnd_conv_direct_run(const nnd_conv *conv, const nnd_conv_args *args, size_t tile,
                         float *scratch)
{
    conv_tile t = tile_of(conv, tile);
    const float *input = tile_input(conv, &t, args->x, scratch);
    for (int64_t panel = t.panel0; panel < t.panel1; panel++) {
        for (int64_t row = t.row0; row < t.row1; row++)
            run_row(conv, args, &t, panel, row, input);
    }
}
