/*
 * Convolution of bytes: plans, packing, and the way through GEMM. The columns of the product are
 * pixels, gathered panel by panel in the lane's scratch (for a 1×1 kernel they are the planes
 * themselves), so that results come out as planes again.
 */
#include <string.h>

#include "engine/kernels/conv.h"
#include "engine/kernels/int8_conv.h"

#define TILE_MACS    (16 << 20)
#define SMALL_TILE   (1 << 18)
#define TILE_PARTS   8           /* few: parts of the channels gather the same pixels again */
#define CHUNK_BYTES  (128 << 10) /* of gathered pixels: they stay in the second-level cache */
#define CHUNK_PANELS 8
#define COPY_BYTES   (16 << 10) /* of a plane: it stays in the first-level cache */

enum { MOVE = 16 }; /* bytes that are moved at once, and what may be touched behind a row */

static int64_t at_most(int64_t value, int64_t limit)
{
    return NND_MAX(1, NND_MIN(value, limit));
}

/* A kernel with several taps sees a pixel several times: it is worth a copy in which rows follow
   each other, padded and without steps. */
static void plan_copy(nnd_int8_conv *c)
{
    const nnd_conv_desc *d = &c->desc;
    if (c->pointwise || d->stride_w > 2) return;
    int64_t rows = NND_MIN(c->out_h, nnd_ceil_div(c->chunk - 1, c->out_w) + 1);
    int64_t high = (rows - 1) * d->stride_h + (d->kernel_h - 1) * d->dilation_h + 1;
    int64_t pitch = c->out_w + (d->kernel_w - 1) * d->dilation_w / d->stride_w;
    if (pitch > COPY_BYTES || high > COPY_BYTES / d->stride_w / pitch) return;
    c->copy_rows = high;
    c->copy_pitch = pitch;
    c->phase = high * pitch;
}

static void plan_gemm(nnd_int8_conv *c)
{
    const nnd_conv_desc *d = &c->desc;
    int64_t depth = d->in_channels / d->groups, pixels = c->out_h * c->out_w;
    c->pointwise = d->kernel_h == 1 && d->kernel_w == 1 && d->stride_h == 1 && d->stride_w == 1 &&
                   !d->pad_top && !d->pad_left && !d->pad_bottom && !d->pad_right;
    c->k = depth * d->kernel_h * d->kernel_w;
    c->quads = nnd_ceil_div(c->k, 4);
    c->group_rows = d->out_channels / d->groups;
    c->pieces = nnd_ceil_div(c->group_rows, c->set->tile_rows);
    c->panel = c->set->tile_vectors * c->set->lanes;
    int64_t panels = nnd_ceil_div(pixels, c->panel), images = d->batch * d->groups;
    /* As many panels per tile as leave enough tiles for threads, then parts of the channels. */
    double column = (double)c->panel * (double)c->k * (double)c->group_rows;
    double total = column * (double)panels * (double)images;
    double target = NND_MIN((double)TILE_MACS, NND_MAX((double)SMALL_TILE, total / TILE_PARTS));
    int64_t fit = NND_MIN(CHUNK_PANELS, CHUNK_BYTES / NND_MAX(1, c->quads * 4 * c->panel));
    int64_t wanted = (int64_t)NND_MIN(target / column, 1e6);
    c->chunks = nnd_ceil_div(panels, at_most(wanted, fit));
    c->chunk = nnd_ceil_div(panels, c->chunks) * c->panel;
    c->chunks = nnd_ceil_div(pixels, c->chunk);
    double work = column * (double)(c->chunk / c->panel);
    c->row_parts = at_most((int64_t)NND_MIN(work / target + 0.5, 1e6), c->pieces);
    c->tiles = (size_t)(images * c->chunks * c->row_parts);
    plan_copy(c);
    c->lane_bytes = (size_t)((c->quads * 4 + 4) * c->chunk + c->phase * d->stride_w + 2 * MOVE);
}

nnd_status nnd_int8_conv_create(const nnd_conv_desc *desc, bool x_signed, bool w_signed,
                                nnd_int8_conv **out)
{
    int64_t out_h, out_w;
    *out = NULL;
    NND_TRY(nnd_conv_check(desc, &out_h, &out_w));
    nnd_int8_conv *conv = nnd_calloc(1, sizeof *conv);
    if (!conv) return nnd_error_set(NND_E_OUT_OF_MEMORY, "convolution: no memory for the plan");
    conv->desc = *desc;
    conv->set = nnd_int8_set_current();
    conv->x_signed = x_signed;
    conv->w_signed = w_signed;
    conv->out_h = out_h;
    conv->out_w = out_w;
    conv->depthwise = nnd_int8_depthwise_can(desc);
    if (conv->depthwise)
        nnd_int8_depthwise_plan(conv);
    else
        plan_gemm(conv);
    *out = conv;
    return NND_OK;
}

void nnd_int8_conv_destroy(nnd_int8_conv *conv)
{
    nnd_free(conv);
}

const char *nnd_int8_conv_name(const nnd_int8_conv *conv)
{
    return conv->depthwise ? "int8 depthwise" : "int8";
}

/* ---- weights ----------------------------------------------------------------------------- */

static size_t aligned(size_t bytes)
{
    return (bytes + NND_KERNEL_ALIGN - 1) / NND_KERNEL_ALIGN * NND_KERNEL_ALIGN;
}

static size_t weight_bytes(const nnd_int8_conv *c)
{
    const nnd_conv_desc *d = &c->desc;
    size_t channels = (size_t)d->out_channels;
    size_t taps = (size_t)(d->kernel_h * d->kernel_w);
    if (c->depthwise) return channels * (taps + nnd_int8_depthwise_quads(d)) * sizeof(int32_t);
    return channels * (size_t)c->quads * nnd_int8_quad_bytes(c->set);
}

nnd_int8_conv_packed nnd_int8_conv_parts(const nnd_int8_conv *c, const void *packed)
{
    char *at = (char *)packed; /* the parts are written by nnd_int8_conv_pack only */
    size_t list = aligned((size_t)c->desc.out_channels * sizeof(int32_t));
    const nnd_conv_desc *d = &c->desc;
    nnd_int8_conv_packed p = {.has_zeros = ((const int32_t *)packed)[0],
                              .is_wide = ((const int32_t *)packed)[1]};
    at += NND_KERNEL_ALIGN;
    p.sums = (int32_t *)(void *)at;
    p.minus_zeros = (int32_t *)(void *)(at + list);
    p.weights = at + 2 * list;
    p.ones = p.weights + aligned(weight_bytes(c));
    p.quads = (int32_t *)(void *)p.weights + d->out_channels * d->kernel_h * d->kernel_w;
    return p;
}

size_t nnd_int8_conv_packed_bytes(const nnd_int8_conv *c)
{
    size_t list = aligned((size_t)c->desc.out_channels * sizeof(int32_t));
    size_t ones = c->depthwise ? 0 : (size_t)c->quads * nnd_int8_quad_bytes(c->set);
    return NND_KERNEL_ALIGN + 2 * list + aligned(weight_bytes(c)) + ones;
}

/* Start of the rows of piece i of a group, and where they are packed. */
static int64_t piece_row(const nnd_int8_conv *c, int64_t i)
{
    return nnd_part(c->group_rows, c->pieces, i);
}

static char *packed_rows(const nnd_int8_conv *c, const nnd_int8_conv_packed *p, int64_t group,
                         int64_t row)
{
    int64_t first = group * c->group_rows + row;
    return p->weights + (size_t)(first * c->quads) * nnd_int8_quad_bytes(c->set);
}

static void pack_gemm(const nnd_int8_conv *c, const uint8_t *weights, nnd_int8_conv_packed *p)
{
    for (int64_t g = 0; g < c->desc.groups; g++) {
        for (int64_t i = 0; i < c->pieces; i++) {
            int64_t row = piece_row(c, i), rows = piece_row(c, i + 1) - row;
            const uint8_t *from = weights + (g * c->group_rows + row) * c->k;
            nnd_int8_pack_rows(c->set, from, (size_t)c->k, c->w_signed, (size_t)rows, (size_t)c->k,
                               packed_rows(c, p, g, row), NULL);
        }
    }
    /* Quads of ones; what k lacks to whole quads is 0. */
    for (int64_t q = 0; q < c->quads; q++) {
        static const uint8_t ones[4] = {1, 1, 1, 1};
        nnd_int8_pack_rows(c->set, ones, 0, true, 1, (size_t)NND_MIN(4, c->k - 4 * q),
                           p->ones + (size_t)q * nnd_int8_quad_bytes(c->set), NULL);
    }
}

void nnd_int8_conv_pack(const nnd_int8_conv *c, const void *weights, const int32_t *w_zero,
                        size_t w_zeros, void *packed)
{
    const nnd_conv_desc *d = &c->desc;
    const uint8_t *w = weights;
    size_t taps = (size_t)(d->in_channels / d->groups * d->kernel_h * d->kernel_w);
    memset(packed, 0, nnd_int8_conv_packed_bytes(c));
    nnd_int8_conv_packed p = nnd_int8_conv_parts(c, packed);
    for (size_t m = 0; m < (size_t)d->out_channels; m++) {
        int32_t zero = w_zero[w_zeros == 1 ? 0 : m];
        uint32_t sum = 0;
        for (size_t t = 0; t < taps; t++) {
            uint8_t byte = w[m * taps + t];
            int32_t v = (c->w_signed ? (int8_t)byte : byte) - zero;
            sum += (uint32_t)v;
            if (c->depthwise) ((int32_t *)(void *)p.weights)[m * taps + t] = v;
            if (v < -128 || v > 127) ((int32_t *)packed)[1] = 1;
        }
        p.sums[m] = (int32_t)sum;
        p.minus_zeros[m] = (c->w_signed ? 0 : 128) - zero;
        if (p.minus_zeros[m]) *(int32_t *)packed = 1;
    }
    if (c->depthwise)
        nnd_int8_depthwise_pack(c, &p);
    else
        pack_gemm(c, w, &p);
}

void nnd_int8_conv_start(const nnd_int8_conv *c, const void *packed, const int32_t *bias,
                         int32_t x_zero, int32_t *start)
{
    nnd_int8_conv_packed p = nnd_int8_conv_parts(c, packed);
    int32_t shift = c->depthwise ? (c->x_signed ? 128 : 0) : nnd_int8_shift(c->set, c->x_signed);
    uint32_t zero = (uint32_t)(x_zero + shift);
    for (int64_t m = 0; m < c->desc.out_channels; m++)
        start[m] = (int32_t)((bias ? (uint32_t)bias[m] : 0) - zero * (uint32_t)p.sums[m]);
}

/* ---- pixels ------------------------------------------------------------------------------ */

/* to[i] = row[start + i·step] where that is inside the row of `width` bytes, else zero. */
static void copy_steps(const uint8_t *row, int64_t width, int64_t start, int64_t step, int64_t n,
                       uint8_t zero, uint8_t *to)
{
    int64_t first, end;
    nnd_int8_inside(start, step, width, n, &first, &end);
    if (first) memset(to, zero, (size_t)first);
    const uint8_t *from = row + start + first * step;
    if (step == 1) {
        memcpy(to + first, from, (size_t)(end - first));
    } else if (step == 2) {
        for (int64_t i = 0; i < end - first; i++)
            to[first + i] = from[2 * i];
    } else {
        for (int64_t i = 0; i < end - first; i++)
            to[first + i] = from[i * step];
    }
    if (n > end) memset(to + end, zero, (size_t)(n - end));
}

/* What tap (y, x) of one plane sees at n output pixels from (row, column) on. */
static void gather_tap(const nnd_int8_conv *c, const uint8_t *plane, int64_t y, int64_t x,
                       int64_t row, int64_t column, int64_t n, uint8_t zero, uint8_t *to)
{
    const nnd_conv_desc *d = &c->desc;
    while (n > 0) {
        int64_t part = NND_MIN(n, c->out_w - column);
        int64_t in_y = row * d->stride_h - d->pad_top + y * d->dilation_h;
        int64_t in_x = column * d->stride_w - d->pad_left + x * d->dilation_w;
        if (in_y < 0 || in_y >= d->in_h)
            memset(to, zero, (size_t)part);
        else
            copy_steps(plane + in_y * d->in_w, d->in_w, in_x, d->stride_w, part, zero, to);
        to += part;
        n -= part;
        row++;
        column = 0;
    }
}

/* Copies what taps see of a plane from output row `row` on; the padding is there already. */
static void copy_plane(const nnd_int8_conv *c, const uint8_t *plane, int64_t row, uint8_t *to)
{
    const nnd_conv_desc *d = &c->desc;
    int64_t y = row * d->stride_h - d->pad_top, top, bottom;
    nnd_int8_inside(y, 1, d->in_h, c->copy_rows, &top, &bottom);
    for (int64_t p = 0; p < d->stride_w; p++, to += c->phase) {
        int64_t first, end, start = p - d->pad_left;
        nnd_int8_inside(start, d->stride_w, d->in_w, c->copy_pitch, &first, &end);
        for (int64_t i = top; i < bottom && first < end; i++)
            copy_steps(plane + (y + i) * d->in_w, d->in_w, start + first * d->stride_w, d->stride_w,
                       end - first, 0, to + i * c->copy_pitch + first);
    }
}

/* gather_tap from such a copy. */
static void move_tap(const nnd_int8_conv *c, const uint8_t *copy, int64_t y, int64_t x,
                     int64_t column, int64_t n, uint8_t *to)
{
    const nnd_conv_desc *d = &c->desc;
    const int64_t right = x * d->dilation_w, step = d->stride_h * c->copy_pitch;
    const uint8_t *from = copy + right % d->stride_w * c->phase + right / d->stride_w +
                          y * d->dilation_h * c->copy_pitch + column;
    for (int64_t part = NND_MIN(n, c->out_w - column); n > 0; part = NND_MIN(n, c->out_w)) {
        for (int64_t i = 0; i < part; i += MOVE)
            memcpy(to + i, from + i, MOVE);
        to += part;
        n -= part;
        from += step - column;
        column = 0;
    }
}

/* Gathers `n` pixels from `pixel` on as panels of the vector operand. x is a group's planes. */
static void gather(const nnd_int8_conv *c, const uint8_t *x, int64_t pixel, int64_t n, uint8_t zero,
                   uint8_t *panels, uint8_t *stage)
{
    const nnd_conv_desc *d = &c->desc;
    uint8_t flip = nnd_int8_flip(c->set, c->x_signed);
    int64_t area = d->in_h * d->in_w;
    int64_t width = nnd_round_up(n, c->panel);
    /* Whole panels of a 1×1 kernel are taken from where they lie. */
    int64_t direct = c->pointwise ? n / c->panel : 0, staged = width / c->panel - direct;
    size_t stride = (size_t)(c->quads * c->panel * 4);
    int64_t first = direct * c->panel;
    int64_t row = (pixel + first) / c->out_w, column = (pixel + first) % c->out_w;
    int64_t tap_y = 0, tap_x = 0; /* of k */
    const uint8_t *plane = x;
    uint8_t *copy = stage + 4 * c->chunk + MOVE;
    if (staged) memset(stage, 0, (size_t)(4 * c->chunk));
    if (c->phase) memset(copy, zero, (size_t)(c->phase * d->stride_w + MOVE));
    for (int64_t q = 0; q < c->quads; q++) {
        const uint8_t *planes[4], *rows[4];
        for (int64_t j = 0; j < 4; j++) {
            planes[j] = direct ? plane + pixel : plane;
            rows[j] = stage + j * c->chunk;
            if (c->phase && tap_y == 0 && tap_x == 0) copy_plane(c, plane, row, copy);
            if (c->phase)
                move_tap(c, copy, tap_y, tap_x, column, n, stage + j * c->chunk);
            else if (staged && c->pointwise)
                memcpy(stage + j * c->chunk, plane + pixel + first, (size_t)(n - first));
            else if (staged)
                gather_tap(c, plane, tap_y, tap_x, row, column, n - first, zero,
                           stage + j * c->chunk);
            /* Rows beyond k meet weights of 0: any bytes will do. */
            if (4 * q + j + 1 >= c->k) continue;
            if (++tap_x == d->kernel_w) tap_x = 0, tap_y++;
            if (tap_y == d->kernel_h) tap_y = 0, plane += area;
        }
        uint8_t *to = panels + q * c->panel * 4;
        if (direct) c->set->interleave(planes, flip, (size_t)direct, to, stride);
        if (staged)
            c->set->interleave(rows, flip, (size_t)staged, to + (size_t)direct * stride, stride);
    }
}

/* ---- product ----------------------------------------------------------------------------- */

/* Sums of a panel's columns: a product with ones. */
static void sum_columns(const nnd_int8_conv *c, const char *ones, const uint8_t *panel,
                        int32_t *sums)
{
    nnd_int8_tile_args t = {.vectors = panel,
                            .rows = ones,
                            .quads = (size_t)c->quads,
                            .sums = sums,
                            .stride = (size_t)c->panel};
    c->set->tile(1, c->set->tile_vectors, &t);
}

/* One panel with the output channels of pieces [first, end) of a group. */
static void run_panel(const nnd_int8_conv *c, const nnd_int8_conv_args *args,
                      const nnd_int8_conv_packed *p, int64_t image, int64_t group, int64_t first,
                      int64_t end, const uint8_t *panel, int64_t pixel)
{
    int32_t sums[NND_INT8_MAX_ROWS * NND_INT8_MAX_PANEL], column_sums[NND_INT8_MAX_PANEL];
    int64_t area = c->out_h * c->out_w, channels = c->desc.out_channels;
    const nnd_int8_result *r = &args->result;
    size_t bytes = nnd_int8_result_bytes(r);
    char *y = (char *)args->y + (size_t)(image * channels * area + pixel) * bytes;
    bool direct = bytes == 1 && area - pixel >= c->panel;
    if (p->has_zeros) sum_columns(c, p->ones, panel, column_sums);
    for (int64_t i = first; i < end; i++) {
        int64_t row = piece_row(c, i), rows = piece_row(c, i + 1) - row;
        int64_t channel = group * c->group_rows + row;
        nnd_int8_tile_args t = {
            .vectors = panel,
            .rows = packed_rows(c, p, group, row),
            .quads = (size_t)c->quads,
            .row_start = args->start + channel,
            .row_factor = p->has_zeros ? p->minus_zeros + channel : NULL,
            .column_factor = p->has_zeros ? column_sums : NULL,
            .sums = sums,
            .stride = (size_t)c->panel,
        };
        char *to = y + (size_t)(channel * area) * bytes;
        nnd_int8_bytes codes = nnd_int8_bytes_of(r, (uint8_t *)to, (size_t)area);
        if (direct) {
            codes.row_scale = r->scale + channel;
            t.bytes = &codes;
        }
        c->set->tile((int)rows, c->set->tile_vectors, &t);
        if (direct) continue;
        nnd_int8_block block = {.sums = sums,
                                .stride = t.stride,
                                .rows = (size_t)rows,
                                .columns = (size_t)NND_MIN(c->panel, area - pixel),
                                .row_scale = r->scale ? r->scale + channel : NULL,
                                .row_bias = r->bias ? r->bias + channel : NULL,
                                .row_step = 1};
        nnd_int8_store(c->set, r, &block, to, (size_t)area);
    }
}

static void run_gemm(const nnd_int8_conv *c, const nnd_int8_conv_args *args, size_t tile,
                     void *scratch)
{
    const nnd_conv_desc *d = &c->desc;
    nnd_int8_conv_packed p = nnd_int8_conv_parts(c, args->packed);
    int64_t left = (int64_t)tile, part = left % c->row_parts;
    left /= c->row_parts;
    int64_t pixel = left % c->chunks * c->chunk;
    left /= c->chunks;
    int64_t group = left % d->groups, image = left / d->groups;
    int64_t n = NND_MIN(c->chunk, c->out_h * c->out_w - pixel);
    int64_t depth = d->in_channels / d->groups;
    const uint8_t *x = args->x;
    x += (image * d->in_channels + group * depth) * d->in_h * d->in_w;
    uint8_t *panels = scratch, *stage = panels + c->quads * 4 * c->chunk;
    gather(c, x, pixel, n, (uint8_t)args->x_zero, panels, stage);
    int64_t first = nnd_part(c->pieces, c->row_parts, part);
    int64_t end = nnd_part(c->pieces, c->row_parts, part + 1);
    for (int64_t i = 0; i < n; i += c->panel)
        run_panel(c, args, &p, image, group, first, end, panels + i * c->quads * 4, pixel + i);
}

size_t nnd_int8_conv_tiles(const nnd_int8_conv *c)
{
    return c->tiles;
}

size_t nnd_int8_conv_lane_bytes(const nnd_int8_conv *c)
{
    return c->lane_bytes;
}

void nnd_int8_conv_run_tile(const nnd_int8_conv *c, const nnd_int8_conv_args *args, size_t tile,
                            void *scratch)
{
    if (c->depthwise)
        nnd_int8_depthwise_run(c, args, tile, scratch);
    else
        run_gemm(c, args, tile, scratch);
}
