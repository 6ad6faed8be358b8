/*
 * Direct convolution as an implicit GEMM: rows of a register tile are output pixels of one row,
 * vectors are blocks of output channels, k runs over taps and input channels.
 *
 * Where the input cannot be read as it lies (padding, strides, NCHW), a tile first copies what it
 * needs into scratch, zeros included and sorted by phase (see nnd_conv_axis), so that the register
 * tile never meets a border or a stride. Rows too short to fill a register tile are joined: every
 * tap gets a copy of its own, in which the rows follow each other without a gap, and NCHW becomes a
 * plain matrix product (patches of a picture, the last small maps of a detector). Where the
 * dilation comes near the size of the picture, many taps find nothing but padding under all pixels
 * of a register tile; these are not multiplied. The terms that are left out are 0·w, which a finite
 * sum does not show; an infinite or NaN weight shows under padding (as NaN) only where its tap is
 * live for another pixel of the register tile. ONNX does not say which.
 *
 * In NCHWc a group may begin and end inside of a block. It reads its own lanes of such a block
 * only, and writes its own lanes only; groups that share a block of the output are done by the same
 * tile, one after the other.
 *
 * Packed, per group: panels of `tile_vectors` blocks of output channels (the last one may have
 * fewer), each in the order of k, with zeros where a block has channels of another group; then the
 * biases of all groups in whole vectors.
 */
#include <math.h>
#include <string.h>

#include "engine/kernels/conv.h"

#define TILE_MACS   (16 << 20)
#define TILE_PARTS  16
#define SMALL_TILE  (1 << 19)
#define MIN_PIXELS  56  /* below, packed weights are read too often for the work done with them */
#define FEW_PIXELS  28  /* the same for a bundle of groups, which cannot be cut by channels */
#define MAX_COLUMNS 512 /* longer rows are cut */
#define COPY_FLOATS (1 << 17) /* about what the copy of a tile's input may take: half of L2 */
#define MAX_ROWS    16
#define MAX_PANEL   64
#define MOST_LIVE   0.75 /* skipping pays when fewer of the taps see the picture */
#define BUSY        8    /* sums that keep the multipliers of a core busy; fewer take as long */

static int64_t greatest_common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static void plan_axis(nnd_conv_axis *axis, int64_t taps, int64_t stride, int64_t dilation,
                      int64_t *numbers)
{
    axis->phase = numbers;
    axis->slot = numbers + taps;
    axis->index = numbers + 2 * taps;
    /* Phases repeat after a period, and none does before. */
    int64_t period = stride / greatest_common_divisor(stride, dilation);
    axis->slots = NND_MIN(taps, period);
    for (int64_t t = 0; t < taps; t++) {
        if (t < axis->slots) axis->phase[t] = t * dilation % stride;
        axis->slot[t] = t % period;
        axis->index[t] = t * dilation / stride;
        axis->reach = NND_MAX(axis->reach, axis->index[t]);
    }
}

/* Inputs along one axis that the copy for n outputs has: each one that lies between the taps once,
   or those of each tap for itself, which are fewer where the taps lie far apart. */
static int64_t copied(const nnd_conv_axis *axis, int64_t taps, int64_t n)
{
    return NND_MIN(axis->slots * (n + axis->reach), taps * n);
}

static void separate_taps(nnd_conv_axis *axis, int64_t taps, int64_t dilation)
{
    axis->slots = taps;
    axis->reach = 0;
    for (int64_t t = 0; t < taps; t++) {
        axis->phase[t] = t * dilation;
        axis->slot[t] = t;
        axis->index[t] = 0;
    }
}

static void keep_fewer(nnd_conv_axis *axis, int64_t taps, int64_t dilation, int64_t n)
{
    if (copied(axis, taps, n) < axis->slots * (n + axis->reach))
        separate_taps(axis, taps, dilation);
}

/* Groups begin with a pair. */
bool nnd_conv_bf16_can(const nnd_conv_desc *d)
{
    const nnd_bf16_tile *tile = nnd_bf16_tile_current(true);
    return d->bf16 && tile && tile->pairs && d->in_layout == NND_KERNEL_NCHWC &&
           d->in_channels / d->groups % 2 == 0;
}

/* The lane of its first block in which a group's first channel lies. */
static int64_t input_lane(const nnd_conv *conv, int64_t group)
{
    return group * conv->direct.depth % conv->direct.lanes;
}

static int64_t output_lane(const nnd_conv *conv, int64_t group)
{
    return conv->direct.shares ? group * conv->direct.out_depth % conv->set->block : 0;
}

/* Blocks of the output that have channels of the group. */
static int64_t vectors_of(const nnd_conv *conv, int64_t group)
{
    return nnd_ceil_div(output_lane(conv, group) + conv->direct.out_depth, conv->set->block);
}

/* Groups after which `depth` channels each fill whole blocks; all groups when that never happens.
 */
static int64_t period_of(int64_t groups, int64_t depth, int64_t block)
{
    int64_t period = 1;
    while (period < groups && period * depth % block != 0)
        period++;
    return period;
}

static void plan_groups(nnd_conv *conv)
{
    const nnd_conv_desc *d = &conv->desc;
    nnd_conv_direct *p = &conv->direct;
    p->depth = d->in_channels / d->groups;
    p->out_depth = d->out_channels / d->groups;
    p->k = p->depth * d->kernel_h * d->kernel_w / p->halves;
    p->lanes = p->blocked_in ? conv->set->block : 1;
    p->pixel = p->lanes / p->halves;
    p->shares = p->blocked_out && d->groups > 1 && p->out_depth % conv->set->block != 0;
    p->bundle = p->shares ? period_of(d->groups, p->out_depth, conv->set->block) : 1;
    p->bundles = nnd_ceil_div(d->groups, p->bundle);
    p->reads_period = period_of(d->groups, p->depth, p->lanes);
    for (int64_t g = 0; g < p->bundle; g++)
        p->vectors = NND_MAX(p->vectors, vectors_of(conv, g));
    for (int64_t g = 0; g < p->reads_period; g++)
        p->planes = NND_MAX(p->planes, nnd_ceil_div(input_lane(conv, g) + p->depth, p->lanes));
    p->panels = nnd_ceil_div(p->vectors, conv->set->tile_vectors);
}

/* Pixels as one row where no tap reaches another pixel. */
static void plan_shape(nnd_conv *conv)
{
    const nnd_conv_desc *d = &conv->desc;
    nnd_conv_direct *p = &conv->direct;
    bool pads = d->pad_top || d->pad_left || d->pad_bottom || d->pad_right;
    bool unit = d->stride_h == 1 && d->stride_w == 1 && !pads;
    bool placed = d->place.height > 0;
    bool flat = unit && d->kernel_h == 1 && d->kernel_w == 1 && !placed;
    p->in_h = flat ? 1 : d->in_h;
    p->in_w = flat ? d->in_h * d->in_w : d->in_w;
    p->out_h = flat ? 1 : conv->out_h;
    p->out_w = flat ? conv->out_h * conv->out_w : conv->out_w;
    p->first_pixel = d->place.first_h * d->place.width + d->place.first_w;
    p->row_step = placed ? d->place.step_h * d->place.width : p->out_w;
    p->column_step = placed ? d->place.step_w : 1;
    p->spatial = placed ? d->place.height * d->place.width : p->out_h * p->out_w;
    p->blocked_in = d->in_layout == NND_KERNEL_NCHWC;
    p->blocked_out = d->out_layout == NND_KERNEL_NCHWC;
    if (conv->algorithm == NND_CONV_DIRECT_BF16) p->bf16 = nnd_bf16_tile_current(true);
    p->halves = p->bf16 ? 2 : 1;
    p->copies = !p->blocked_in || !unit || p->bf16;
    plan_groups(conv);
}

/* Floats that the copy for `rows` × `columns` outputs takes. */
static double copy_floats(const nnd_conv *conv, int64_t rows, int64_t columns)
{
    const nnd_conv_direct *p = &conv->direct;
    const nnd_conv_desc *d = &conv->desc;
    double depth = (double)(p->planes * p->pixel);
    if (p->joins) return (double)(rows * d->kernel_h) * (double)(columns * d->kernel_w) * depth;
    return (double)copied(&p->rows, d->kernel_h, rows) *
           (double)copied(&p->columns, d->kernel_w, columns) * depth;
}

/* A contiguous range of the taps of one axis. */
typedef struct live_taps {
    int64_t from, end;
} live_taps;

/* Taps that see the input from some output between two, whose first taps lie at `low` and `high`.
   Most see all of it, without a division. */
static live_taps live_between(int64_t low, int64_t high, int64_t taps, int64_t dilation,
                              int64_t extent)
{
    live_taps live = {0, taps};
    if (high < 0) live.from = NND_MIN(taps, nnd_ceil_div(-high, dilation));
    if (low + (taps - 1) * dilation >= extent)
        live.end = low < extent ? (extent - 1 - low) / dilation + 1 : 0;
    live.end = NND_MAX(live.from, live.end);
    return live;
}

static live_taps live_rows(const nnd_conv *conv, int64_t row)
{
    const nnd_conv_desc *d = &conv->desc;
    int64_t at = row * d->stride_h - d->pad_top;
    return live_between(at, at, d->kernel_h, d->dilation_h, conv->direct.in_h);
}

/* For the output columns [column0, column1). */
static live_taps live_columns(const nnd_conv *conv, int64_t column0, int64_t column1)
{
    const nnd_conv_desc *d = &conv->desc;
    int64_t low = column0 * d->stride_w - d->pad_left;
    int64_t high = (column1 - 1) * d->stride_w - d->pad_left;
    return live_between(low, high, d->kernel_w, d->dilation_w, conv->direct.in_w);
}

/* Along one axis, the share of all taps under all of `outputs` that is live, where register tiles
   of `step` outputs take what one of theirs does. Tap by tap, for there may be billions of
   outputs: those from which a tap sees the input lie side by side. */
static double live_along(int64_t outputs, int64_t step, int64_t taps, int64_t stride,
                         int64_t dilation, int64_t pad, int64_t extent)
{
    double live = 0;
    for (int64_t t = 0; t < taps; t++) {
        int64_t begin = NND_MAX(0, pad - t * dilation); /* of the input, seen from output 0 */
        int64_t end = NND_MAX(0, pad - t * dilation + extent);
        int64_t low = nnd_ceil_div(begin, stride);
        int64_t high = NND_MIN(outputs, nnd_round_up(nnd_ceil_div(end, stride), step));
        if (low < outputs) live += (double)NND_MAX(0, high - low / step * step);
    }
    return live / ((double)outputs * (double)taps);
}

static double live_share(const nnd_conv *conv)
{
    const nnd_conv_desc *d = &conv->desc;
    const nnd_conv_direct *p = &conv->direct;
    return live_along(p->out_h, 1, d->kernel_h, d->stride_h, d->dilation_h, d->pad_top, p->in_h) *
           live_along(p->out_w, conv->set->tile_rows, d->kernel_w, d->stride_w, d->dilation_w,
                      d->pad_left, p->in_w);
}

/* Steps of the multipliers that one k takes for a row of pixels. */
static int64_t row_steps(const nnd_conv *conv, int64_t pixels)
{
    int64_t vectors = NND_MIN(conv->direct.vectors, conv->set->tile_vectors);
    int64_t pieces = nnd_ceil_div(pixels, conv->set->tile_rows);
    int64_t low = pixels / pieces, higher = pixels % pieces;
    return (pieces - higher) * NND_MAX(BUSY, low * vectors) +
           higher * NND_MAX(BUSY, (low + 1) * vectors);
}

/* Whether `rows` rows of `columns` pixels take clearly less time in one piece; copying a pixel of
   one k costs about half a step in NCHW, for a few panels of output channels. */
static bool joining_pays(const nnd_conv *conv, int64_t rows, int64_t columns)
{
    const nnd_conv_direct *p = &conv->direct;
    int64_t panels = NND_MIN(p->panels, 4);
    if (p->vectors < 2) return false; /* too few products to be worth the room for the copy */
    double copy = 0.5 * (double)(rows * columns) / (double)(p->lanes * panels);
    double joined = (double)row_steps(conv, rows * columns) + copy;
    return joined < 0.9 * (double)(rows * row_steps(conv, columns));
}

/* NCHW whose taps share no input: joining copies nothing twice. */
static bool is_patches(const nnd_conv *conv)
{
    const nnd_conv_desc *d = &conv->desc;
    const nnd_conv_direct *p = &conv->direct;
    return d->in_layout == NND_KERNEL_NCHW && p->rows.slots == d->kernel_h &&
           p->columns.slots == d->kernel_w && p->rows.reach == 0 && p->columns.reach == 0;
}

/* For tiles of whole rows, or of a part of one. */
static void plan_joining(nnd_conv *conv, int64_t rows, int64_t columns)
{
    const nnd_conv_desc *d = &conv->desc;
    nnd_conv_direct *p = &conv->direct;
    bool whole = (rows == 1 || columns == p->out_w) && !d->place.height;
    p->joins = whole && !p->skips && (is_patches(conv) || joining_pays(conv, rows, columns));
    if (!p->joins) return;
    p->copies = true;
    separate_taps(&p->rows, d->kernel_h, d->dilation_h);
    separate_taps(&p->columns, d->kernel_w, d->dilation_w);
}

/* Panels that should share a copy so that it takes a sixteenth of the time, two floats of NCHW in
   the time of a vector of multiply-adds. */
static int64_t panels_for_copy(const nnd_conv *conv, int64_t rows, int64_t columns,
                               double panel_macs)
{
    if (conv->desc.in_layout != NND_KERNEL_NCHW) return 1;
    double copy = 8.0 * (double)conv->set->block * copy_floats(conv, rows, columns);
    return (int64_t)NND_MAX(1.0, NND_MIN(copy, TILE_MACS) / panel_macs + 0.5);
}

static void plan_tiles(nnd_conv *conv)
{
    const nnd_conv_desc *d = &conv->desc;
    nnd_conv_direct *p = &conv->direct;
    double pixels = (double)(p->out_h * p->out_w);
    double width = (double)(p->bundle * p->vectors * conv->set->block);
    double live = live_share(conv);
    p->skips = live < MOST_LIVE;
    double k = p->skips ? NND_MAX(1.0, (double)p->k * live) : (double)p->k;
    double total = pixels * width * k * (double)(d->batch * p->bundles);
    double target = NND_MIN((double)TILE_MACS, NND_MAX((double)SMALL_TILE, total / TILE_PARTS));
    double few = NND_MIN(pixels, (double)(p->shares ? FEW_PIXELS : MIN_PIXELS));
    double chunk = NND_MIN(pixels, NND_MAX(few, target / (width * k)));
    int64_t columns = NND_MIN(p->out_w, MAX_COLUMNS);
    if ((double)columns > chunk * 2) columns = (int64_t)chunk;
    int64_t rows = NND_MIN(p->out_h, NND_MAX(1, (int64_t)(chunk / (double)columns)));
    plan_joining(conv, rows, columns);
    if (p->copies) {
        while (rows > 1 && copy_floats(conv, rows, columns) > COPY_FLOATS)
            rows = (rows + 1) / 2;
        while (columns > MAX_ROWS && copy_floats(conv, rows, columns) > COPY_FLOATS)
            columns = (columns + 1) / 2;
    }
    double panel_macs = (double)(rows * columns) * width / (double)p->panels * k;
    int64_t panels = NND_MAX(panels_for_copy(conv, rows, columns, panel_macs),
                             (int64_t)(target / panel_macs + 0.5));
    panels = NND_MIN(p->panels, panels);
    p->row_parts = nnd_ceil_div(p->out_h, rows);
    p->column_parts = nnd_ceil_div(p->out_w, columns);
    p->panel_parts = p->shares ? 1 : nnd_ceil_div(p->panels, panels);
    conv->tiles = (size_t)(d->batch * p->bundles * p->panel_parts * p->row_parts * p->column_parts);
}

/* The copy of joined rows. In NCHW the rows of a matrix follow each other: taps, then channels. */
static int64_t plan_joined_copy(nnd_conv *conv, int64_t rows, int64_t columns)
{
    const nnd_conv_desc *d = &conv->desc;
    nnd_conv_direct *p = &conv->direct;
    int64_t area = rows * columns * p->pixel;
    p->row_pitch = columns * p->pixel;
    p->plane = area;
    p->column_slot = p->blocked_in ? area : p->planes * area;
    p->row_slot = d->kernel_w * p->column_slot;
    if (p->blocked_in) p->plane = d->kernel_h * p->row_slot;
    return p->blocked_in ? p->planes * p->plane : d->kernel_h * p->row_slot;
}

/* Strides of what the register tile reads. An odd number of cache lines between planes keeps them
   from falling into the same sets of the cache. */
static void plan_input(nnd_conv *conv)
{
    nnd_conv_direct *p = &conv->direct;
    if (!p->copies) {
        p->column_slot = p->row_slot = 0; /* one phase, which is the input */
        p->row_pitch = p->in_w * p->pixel;
        p->plane = p->in_h * p->row_pitch;
        return;
    }
    const nnd_conv_desc *d = &conv->desc;
    int64_t rows = nnd_ceil_div(p->out_h, p->row_parts);
    int64_t columns = nnd_ceil_div(p->out_w, p->column_parts);
    int64_t floats;
    if (p->joins) {
        floats = plan_joined_copy(conv, rows, columns);
    } else {
        keep_fewer(&p->rows, d->kernel_h, d->dilation_h, rows);
        keep_fewer(&p->columns, d->kernel_w, d->dilation_w, columns);
        p->column_slot = (columns + p->columns.reach) * p->pixel;
        p->row_pitch = p->columns.slots * p->column_slot;
        p->row_slot = (rows + p->rows.reach) * p->row_pitch;
        int64_t lines = nnd_ceil_div(p->rows.slots * p->row_slot, 16);
        p->plane = (lines | 1) * 16;
        floats = p->planes * p->plane;
    }
    conv->lane_bytes = (size_t)floats * sizeof(float);
}

static ptrdiff_t tap_offset(const nnd_conv_direct *p, int64_t kh, int64_t kw)
{
    return (ptrdiff_t)(p->rows.slot[kh] * p->row_slot + p->rows.index[kh] * p->row_pitch +
                       p->columns.slot[kw] * p->column_slot + p->columns.index[kw] * p->pixel);
}

/* The planar form steps over planes itself: one list of taps is all that it needs. In the blocked
   one, `to` gets the taps of one plane after the other. */
static void plan_reads(const nnd_conv *conv, int64_t group, ptrdiff_t *to, nnd_conv_reads *reads)
{
    const nnd_conv_direct *p = &conv->direct;
    int64_t width = conv->desc.kernel_w, taps = conv->desc.kernel_h * width;
    int64_t lane = input_lane(conv, group), left = p->depth;
    nnd_tile_segment *s = reads->segments;
    reads->planes = nnd_ceil_div(lane + p->depth, p->lanes);
    if (p->joins && !p->blocked_in) { /* one tap at offset 0 that has all of k */
        *s = (nnd_tile_segment){.taps = to, .count = 1, .depth = (size_t)p->k};
        return;
    }
    for (int64_t plane = 0; left > 0; plane++, lane = 0) {
        int64_t depth = p->blocked_in ? NND_MIN(left, p->lanes - lane) : p->depth;
        size_t rows = (size_t)(depth / p->halves);
        if (s->count && s->depth != rows) s++;
        if (!s->count) *s = (nnd_tile_segment){.taps = to, .depth = rows};
        for (int64_t tap = 0; tap < taps; tap++)
            *to++ = (ptrdiff_t)(plane * p->plane + lane / p->halves) +
                    tap_offset(p, tap / width, tap % width);
        s->count += (size_t)taps;
        left -= depth;
    }
}

/* Which lanes of a group's blocks are another group's. What follows the last group is nobody's. */
static void plan_foreign(const nnd_conv *conv, int64_t group, float *to)
{
    const nnd_conv_direct *p = &conv->direct;
    int64_t first = output_lane(conv, group), end = first + p->out_depth;
    bool last = group == conv->desc.groups - 1;
    for (int64_t j = 0; j < p->vectors * conv->set->block; j++)
        to[j] = j < first || (j >= end && !last) ? 1.0f : 0.0f;
}

static nnd_status plan_lists(nnd_conv *conv)
{
    const nnd_conv_desc *d = &conv->desc;
    nnd_conv_direct *p = &conv->direct;
    int64_t per_group = (p->blocked_in ? p->planes : 1) * d->kernel_h * d->kernel_w;
    int64_t width = p->vectors * conv->set->block;
    p->reads = nnd_calloc((size_t)p->reads_period, sizeof *p->reads);
    p->taps = nnd_calloc((size_t)(p->reads_period * per_group), sizeof *p->taps);
    if (p->shares) p->foreign = nnd_calloc((size_t)((p->bundle + 1) * width), sizeof(float));
    if (!p->reads || !p->taps || (p->shares && !p->foreign))
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "convolution: no memory for the list of taps");
    for (int64_t g = 0; g < p->reads_period; g++)
        plan_reads(conv, g, p->taps + g * per_group, &p->reads[g]);
    for (int64_t g = 0; g < p->bundle && p->shares; g++)
        plan_foreign(conv, g, p->foreign + g * width);
    if (p->shares) plan_foreign(conv, d->groups - 1, p->foreign + p->bundle * width);
    return NND_OK;
}

nnd_status nnd_conv_direct_plan(nnd_conv *conv)
{
    const nnd_conv_desc *d = &conv->desc;
    nnd_conv_direct *p = &conv->direct;
    plan_shape(conv);
    p->numbers = nnd_calloc(3 * (size_t)(d->kernel_h + d->kernel_w), sizeof *p->numbers);
    if (!p->numbers)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "convolution: no memory for the list of taps");
    plan_axis(&p->rows, d->kernel_h, d->stride_h, d->dilation_h, p->numbers);
    plan_axis(&p->columns, d->kernel_w, d->stride_w, d->dilation_w, p->numbers + 3 * d->kernel_h);
    plan_tiles(conv);
    plan_input(conv);
    int64_t width = p->vectors * conv->set->block;
    conv->packed_bytes = (size_t)(d->groups * width * (p->k + 1)) * sizeof(float);
    return plan_lists(conv);
}

void nnd_conv_direct_free(nnd_conv *conv)
{
    nnd_free(conv->direct.reads);
    nnd_free(conv->direct.taps);
    nnd_free(conv->direct.foreign);
    nnd_free(conv->direct.numbers);
}

/* ---- packing ---------------------------------------------------------------------------- */

/* One panel: lanes [first, first + width) of the blocks of a group. */
typedef struct pack_panel {
    int64_t group, first, width;
} pack_panel;

/* Two rows of weights, rounded, as pairs. */
static void join_pairs(const nnd_kernel_set *set, float rows[2][MAX_PANEL], int64_t width,
                       float *to)
{
    uint16_t narrow[MAX_PANEL], *halves = (uint16_t *)(void *)to;
    for (int64_t i = 0; i < 2; i++) {
        set->f32_to_bf16(rows[i], narrow, (size_t)width);
        for (int64_t j = 0; j < width; j++)
            halves[2 * j + i] = narrow[j];
    }
}

/* Input channels [ic0, ic0 + depth) of every tap for the lanes of one panel. */
static float *pack_taps(const nnd_conv *conv, const float *weights, const pack_panel *panel,
                        int64_t ic0, int64_t depth, float *to)
{
    const nnd_conv_direct *p = &conv->direct;
    int64_t taps = conv->desc.kernel_h * conv->desc.kernel_w;
    int64_t before = output_lane(conv, panel->group) - panel->first; /* lanes before the group */
    int64_t low = NND_MAX(0, before), high = NND_MIN(panel->width, before + p->out_depth);
    const float *filters = weights + (panel->group * p->out_depth - before) * p->depth * taps;
    float rows[2][MAX_PANEL];
    for (int64_t tap = 0; tap < taps; tap++) {
        for (int64_t ic = ic0; ic < ic0 + depth; ic += p->halves, to += panel->width) {
            for (int64_t i = 0; i < p->halves; i++) {
                float *row = p->bf16 ? rows[i] : to;
                for (int64_t j = 0; j < panel->width; j++)
                    row[j] =
                        j < low || j >= high ? 0.0f : filters[(j * p->depth + ic + i) * taps + tap];
            }
            if (p->bf16) join_pairs(conv->set, rows, panel->width, to);
        }
    }
    return to;
}

static float *pack_panels(const nnd_conv *conv, const float *weights, int64_t group, float *to)
{
    const nnd_conv_direct *p = &conv->direct;
    int64_t block = conv->set->block, lanes = vectors_of(conv, group) * block;
    int64_t width = block * conv->set->tile_vectors;
    int64_t head = p->blocked_in ? p->lanes - input_lane(conv, group) : p->depth;
    for (int64_t first = 0; first < lanes; first += width) {
        pack_panel panel = {group, first, NND_MIN(width, lanes - first)};
        for (int64_t ic = 0, end = head; ic < p->depth; ic = end, end += p->lanes)
            to = pack_taps(conv, weights, &panel, ic, NND_MIN(end, p->depth) - ic, to);
    }
    return to;
}

void nnd_conv_direct_pack(const nnd_conv *conv, const float *weights, const float *bias,
                          float *packed)
{
    const nnd_conv_direct *p = &conv->direct;
    int64_t width = p->vectors * conv->set->block;
    float *biases = packed + conv->desc.groups * width * p->k;
    for (int64_t g = 0; g < conv->desc.groups; g++, biases += width) {
        float *end = pack_panels(conv, weights, g, packed + g * width * p->k);
        memset(end, 0, (size_t)(packed + (g + 1) * width * p->k - end) * sizeof *end);
        memset(biases, 0, (size_t)width * sizeof *biases);
        if (bias)
            memcpy(biases + output_lane(conv, g), bias + g * p->out_depth,
                   (size_t)p->out_depth * sizeof *bias);
    }
}

/* ---- running ---------------------------------------------------------------------------- */

/* What one tile covers. */
typedef struct conv_tile {
    int64_t image, group0, group1, panel0, panel1, row0, row1, column0, column1;
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
    int64_t group = i % p->bundles * p->bundle;
    return (conv_tile){
        .image = i / p->bundles,
        .group0 = group,
        .group1 = NND_MIN(group + p->bundle, conv->desc.groups),
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

/* The same in bf16. */
static void round_pixels(const nnd_kernel_set *set, const float *from, int64_t step, float *to,
                         int64_t lanes, int64_t count)
{
    int64_t run = step == lanes ? count : 1; /* pixels that lie side by side */
    for (int64_t i = 0; i < count; i += run)
        set->f32_to_bf16(from + i * step, (uint16_t *)(void *)(to + i * lanes / 2),
                         (size_t)(run * lanes));
}

/* One phase of an input row: elements o of [o0, o0 + count) are input columns
   o·stride + shift, zeros outside [0, in_w). */
static void copy_row(const nnd_conv *conv, const float *row, int64_t o0, int64_t count,
                     int64_t shift, float *to)
{
    int64_t stride = conv->desc.stride_w, lanes = conv->direct.lanes, pixel = conv->direct.pixel;
    int64_t first = o0 * stride + shift; /* input column of element o0 */
    int64_t low = first < 0 ? NND_MIN(count, nnd_ceil_div(-first, stride)) : 0;
    int64_t room = conv->direct.in_w - first; /* columns from there to the end of the row */
    int64_t high = room > 0 ? NND_MIN(count, nnd_ceil_div(room, stride)) : 0;
    high = NND_MAX(high, low);
    int64_t last = first + (count - 1) * stride;
    if (conv->direct.skips && (first >= conv->direct.in_w || last < 0)) return; /* nobody's tap */
    memset(to, 0, (size_t)(low * pixel) * sizeof *to);
    if (high > low)
        (conv->direct.bf16 ? round_pixels
                           : copy_pixels)(conv->set, row + (first + low * stride) * lanes,
                                          stride * lanes, to + low * pixel, lanes, high - low);
    memset(to + high * pixel, 0, (size_t)((count - high) * pixel) * sizeof *to);
}

/* The phases of an input row in NCHW when they are neighbours: a transposition between the borders,
   since phase s of element o is column o·stride + s + shift. */
static void copy_phases(const nnd_conv *conv, const float *row, int64_t o0, int64_t count,
                        float *to)
{
    const nnd_conv_direct *p = &conv->direct;
    int64_t stride = conv->desc.stride_w, slots = p->columns.slots;
    int64_t first = o0 * stride - conv->desc.pad_left; /* input column of phase 0, element o0 */
    int64_t low = first < 0 ? NND_MIN(count, nnd_ceil_div(-first, stride)) : 0;
    int64_t room = p->in_w - slots - first; /* columns that the first of all phases may have */
    int64_t high = room >= 0 ? NND_MIN(count, room / stride + 1) : 0;
    high = NND_MAX(high, low);
    for (int64_t s = 0; s < slots; s++) {
        float *line = to + s * p->column_slot;
        if (low > 0) copy_row(conv, row, o0, low, s - conv->desc.pad_left, line);
        if (high < count)
            copy_row(conv, row, o0 + high, count - high, s - conv->desc.pad_left, line + high);
    }
    if (high > low)
        conv->set->transpose(row + first + low * stride, (size_t)stride, to + low,
                             (size_t)p->column_slot, (size_t)(high - low), (size_t)slots);
}

/* Worth it for strides that no vector instruction takes apart. */
static bool has_neighbours(const nnd_conv *conv)
{
    const nnd_conv_desc *d = &conv->desc;
    const nnd_conv_axis *axis = &conv->direct.columns;
    return conv->direct.lanes == 1 && d->stride_w > 4 && d->dilation_w == 1 && axis->slots > 4 &&
           !conv->direct.skips;
}

/* All phases that the tile needs of one input plane; those of padding only are not read. */
static void copy_plane(const nnd_conv *conv, const conv_tile *t, const float *plane, float *to)
{
    const nnd_conv_desc *d = &conv->desc;
    const nnd_conv_direct *p = &conv->direct;
    int64_t rows = t->row1 - t->row0 + p->rows.reach;
    int64_t columns = t->column1 - t->column0 + p->columns.reach;
    bool neighbours = has_neighbours(conv);
    for (int64_t slot = 0; slot < p->rows.slots; slot++) {
        for (int64_t r = 0; r < rows; r++) {
            int64_t ih = (t->row0 + r) * d->stride_h + p->rows.phase[slot] - d->pad_top;
            float *line = to + slot * p->row_slot + r * p->row_pitch;
            bool inside = ih >= 0 && ih < p->in_h;
            const float *row = inside ? plane + ih * p->in_w * p->lanes : NULL;
            if (inside && neighbours) {
                copy_phases(conv, row, t->column0, columns, line);
                continue;
            }
            for (int64_t s = 0; s < p->columns.slots; s++, line += p->column_slot) {
                if (inside)
                    copy_row(conv, row, t->column0, columns, p->columns.phase[s] - d->pad_left,
                             line);
                else if (!p->skips)
                    memset(line, 0, (size_t)(columns * p->pixel) * sizeof *line);
            }
        }
    }
}

/* The input of a group at the tile's first output pixel, for tap offsets. */
static const float *tile_input(const nnd_conv *conv, const conv_tile *t, int64_t group,
                               const float *x, float *scratch)
{
    const nnd_conv_direct *p = &conv->direct;
    int64_t per_image = nnd_ceil_div(conv->desc.in_channels, p->lanes);
    int64_t plane = t->image * per_image + group * p->depth / p->lanes;
    if (!p->copies) return x + plane * p->plane + t->row0 * p->row_pitch + t->column0 * p->pixel;
    int64_t floats = p->in_h * p->in_w * p->lanes;
    for (int64_t i = 0; i < p->reads[group % p->reads_period].planes; i++)
        copy_plane(conv, t, x + (plane + i) * floats, scratch + i * p->plane);
    return scratch;
}

/* A row of pixels of one panel's channels, or lanes where blocks are shared: then `channel` is the
   first one of a block. */
typedef struct conv_row {
    int64_t image, channel, channels, pixel, pixels;
    int64_t column; /* of the first pixel */
    live_taps rows;
} conv_row;

static size_t output_offset(const nnd_conv *conv, int64_t image, int64_t channel, int64_t pixel)
{
    const nnd_conv_desc *d = &conv->desc;
    int64_t spatial = conv->direct.spatial, block = conv->set->block;
    if (d->out_layout == NND_KERNEL_NCHW)
        return (size_t)((image * d->out_channels + channel) * spatial + pixel);
    int64_t plane = image * nnd_ceil_div(d->out_channels, block) + channel / block;
    return (size_t)((plane * spatial + pixel) * block);
}

/* The taps that are live for `pixels` pixels of a row; NULL when all are taken. */
static const nnd_tile_window *live_window(const nnd_conv *conv, const conv_row *s, int64_t first,
                                          int64_t pixels, nnd_tile_window *window)
{
    const nnd_conv_desc *d = &conv->desc;
    if (!conv->direct.skips) return NULL;
    live_taps columns = live_columns(conv, s->column + first, s->column + first + pixels);
    int64_t count = columns.end - columns.from, rows = s->rows.end - s->rows.from;
    if (rows == d->kernel_h && count == d->kernel_w) return NULL;
    *window = (nnd_tile_window){.taps = (size_t)(d->kernel_h * d->kernel_w),
                                .width = (size_t)d->kernel_w,
                                .first = (size_t)(s->rows.from * d->kernel_w + columns.from),
                                .rows = (size_t)rows,
                                .columns = (size_t)count};
    return window;
}

/* Register tile after register tile along a row; their heights differ by one at most, so that none
   is left with a few pixels. */
static void run_blocked(const nnd_conv *conv, const nnd_conv_args *args, const conv_row *s,
                        nnd_tile_fn_f32 fn, nnd_tile_args *t)
{
    int64_t block = conv->set->block, step = conv->direct.column_step * block;
    int64_t pieces = nnd_ceil_div(s->pixels, conv->set->tile_rows);
    int64_t low = s->pixels / pieces, higher = s->pixels % pieces;
    int vectors = (int)nnd_ceil_div(s->channels, block);
    size_t to = output_offset(conv, s->image, s->channel, s->pixel);
    t->c = args->y + to;
    t->c_row = t->r_row = step;
    t->c_vector = t->r_vector = conv->direct.spatial * block;
    if (conv->desc.residual) t->r = args->residual + to;
    for (int64_t i = 0, first = 0; i < pieces; i++) {
        int64_t pixels = low + (i < higher);
        nnd_tile_window window;
        t->window = live_window(conv, s, first, pixels, &window);
        fn((int)pixels, vectors, t);
        first += pixels;
        t->a += pixels * conv->direct.pixel;
        t->c += pixels * step;
        if (t->r) t->r += pixels * step;
    }
    t->window = NULL; /* it ends here */
}

/* From the buffer of a register tile, `width` floats per pixel, to planes from y on. */
static void give_planes(const nnd_conv *conv, const float *c, size_t width, float *y, size_t pixels,
                        size_t channels)
{
    size_t spatial = (size_t)conv->direct.spatial, step = (size_t)conv->direct.column_step;
    float planes[MAX_ROWS * MAX_PANEL];
    if (step == 1) {
        conv->set->transpose(c, width, y, spatial, pixels, channels);
        return;
    }
    conv->set->transpose(c, width, planes, MAX_ROWS, pixels, channels);
    for (size_t i = 0; i < channels; i++)
        for (size_t k = 0; k < pixels; k++)
            y[i * spatial + k * step] = planes[i * MAX_ROWS + k];
}

/* The register tile goes to a buffer and from there to planes. */
static void run_planes(const nnd_conv *conv, const nnd_conv_args *args, const conv_row *s,
                       nnd_tile_fn_f32 fn, nnd_tile_args *t)
{
    float c[MAX_ROWS * MAX_PANEL], r[MAX_ROWS * MAX_PANEL];
    int64_t block = conv->set->block, pieces = nnd_ceil_div(s->pixels, conv->set->tile_rows);
    int64_t width = nnd_round_up(s->channels, block), pixel = 0;
    size_t spatial = (size_t)conv->direct.spatial;
    t->c = c;
    t->c_row = t->r_row = width;
    t->c_vector = t->r_vector = block;
    if (conv->desc.residual) memset(r, 0, sizeof r);
    for (int64_t i = 0; i < pieces; i++) {
        int64_t end = nnd_part(s->pixels, pieces, i + 1);
        size_t at =
            output_offset(conv, s->image, s->channel, s->pixel + pixel * conv->direct.column_step);
        size_t pixels = (size_t)(end - pixel), channels = (size_t)s->channels;
        if (conv->desc.residual) {
            conv->set->transpose(args->residual + at, spatial, r, (size_t)width, channels, pixels);
            t->r = r;
        }
        nnd_tile_window window;
        t->window = live_window(conv, s, pixel, end - pixel, &window);
        fn((int)pixels, (int)(width / block), t);
        give_planes(conv, c, (size_t)width, args->y + at, pixels, channels);
        t->a += (end - pixel) * conv->direct.pixel;
        pixel = end;
    }
    t->r = t->c = NULL; /* the buffers end here */
    t->window = NULL;
}

/* The activation that is no clamp, over what has just been written. */
static void activate(const nnd_conv *conv, const nnd_conv_args *args, const conv_row *s)
{
    const nnd_act *act = &conv->desc.act;
    int64_t lanes = conv->direct.blocked_out ? conv->set->block : 1;
    for (int64_t c = 0; c < s->channels; c += lanes) {
        float *y = args->y + output_offset(conv, s->image, s->channel + c, s->pixel);
        conv->set->act(act, y, y, (size_t)(s->pixels * lanes));
    }
}

static const float *foreign_lanes(const nnd_conv *conv, int64_t group)
{
    const nnd_conv_direct *p = &conv->direct;
    int64_t entry = group == conv->desc.groups - 1 ? p->bundle : group % p->bundle;
    return p->foreign + entry * p->vectors * conv->set->block;
}

/* One panel of a group's output channels over `rows` rows of the tile that follow each other. */
static void run_rows(const nnd_conv *conv, const nnd_conv_args *args, const conv_tile *t,
                     int64_t group, int64_t panel, int64_t row, int64_t rows, const float *input)
{
    const nnd_conv_direct *p = &conv->direct;
    int64_t width = conv->set->tile_vectors * conv->set->block, lane = output_lane(conv, group);
    int64_t first = panel * width; /* lane within the group's blocks */
    int64_t group_width = p->vectors * conv->set->block;
    const float *packed = (const float *)args->packed + group * group_width * p->k;
    const float *biases =
        (const float *)args->packed + conv->desc.groups * group_width * p->k + group * group_width;
    const nnd_conv_reads *reads = &p->reads[group % p->reads_period];
    nnd_tile_fn_f32 fn = p->bf16         ? p->bf16->blocked
                         : p->blocked_in ? conv->set->tile_blocked
                                         : conv->set->tile_planar;
    conv_row whole = {t->image,
                      group * p->out_depth - lane + first,
                      NND_MIN(width, lane + p->out_depth - first),
                      p->first_pixel + row * p->row_step + t->column0 * p->column_step,
                      rows * (t->column1 - t->column0),
                      t->column0,
                      live_rows(conv, row)};
    nnd_tile_args tile = {
        .a = input + (row - t->row0) * p->row_pitch,
        .a_step = p->plane,
        .segments = {reads->segments[0], reads->segments[1], reads->segments[2]},
        .b = packed + first * p->k,
        .bias_vector = biases + first,
        .beta = 1.0f,
        .low = conv->low,
        .high = conv->high,
        .foreign = p->shares ? foreign_lanes(conv, group) + first : NULL,
    };
    if (p->blocked_out)
        run_blocked(conv, args, &whole, fn, &tile);
    else
        run_planes(conv, args, &whole, fn, &tile);
    if (!conv->clamps && !p->shares) activate(conv, args, &whole);
}

static void run_group(const nnd_conv *conv, const nnd_conv_args *args, const conv_tile *t,
                      int64_t group, const float *input)
{
    int64_t panels = nnd_ceil_div(vectors_of(conv, group), conv->set->tile_vectors);
    int64_t rows = conv->direct.joins ? t->row1 - t->row0 : 1;
    for (int64_t panel = t->panel0; panel < NND_MIN(t->panel1, panels); panel++) {
        for (int64_t row = t->row0; row < t->row1; row += rows)
            run_rows(conv, args, t, group, panel, row, rows, input);
    }
}

/* Blocks that groups share, when all of these are done. */
static void activate_bundle(const nnd_conv *conv, const nnd_conv_args *args, const conv_tile *t)
{
    int64_t depth = conv->direct.out_depth;
    for (int64_t row = t->row0; row < t->row1; row++) {
        conv_row whole = {t->image,
                          t->group0 * depth,
                          (t->group1 - t->group0) * depth,
                          row * conv->direct.out_w + t->column0,
                          t->column1 - t->column0,
                          t->column0,
                          {0, 0}};
        activate(conv, args, &whole);
    }
}

void nnd_conv_direct_run(const nnd_conv *conv, const nnd_conv_args *args, size_t tile,
                         float *scratch)
{
    conv_tile t = tile_of(conv, tile);
    for (int64_t group = t.group0; group < t.group1; group++)
        run_group(conv, args, &t, group, tile_input(conv, &t, group, args->x, scratch));
    if (!conv->clamps && conv->direct.shares) activate_bundle(conv, args, &t);
}
