/*
 * 3×3 convolution of stride 1 by Winograd's F(4×4, 3×3): 36 multiplications for 16 outputs where
 * the definition has 144. Input and output are NCHWc.
 *
 * The picture is cut into tiles of 4×4 outputs, tiles into chunks whose transforms stay in the
 * caches. Each chunk is three stages:
 *
 * - input: the 6×6 pixels under each tile become 36 values, V[36][input block][tile][c];
 * - product: 36 products of V with the transformed weights, M[36][output block][tile][c];
 * - output: M becomes 4×4 outputs, with bias, residual and activation.
 *
 * The products run on the register tile of direct convolution: tiles are its pixels, blocks of
 * input channels its taps.
 *
 * Accuracy: with inputs of magnitude X, an output of weights w and C input channels is within
 * 2^-24·(C + 64)·X·Σ|w| of the exact value; the test measures it (about half of that). An infinity
 * or NaN spreads over its tile.
 *
 * Packed: for each of 36 elements, panels as in direct convolution; then the biases.
 */
#include <math.h>
#include <string.h>

#include "engine/kernels/conv.h"

#define OUT          4
#define ELEMENTS     36
#define CHUNK_FLOATS (1 << 19) /* of V and M together: 2 MiB */
#define PRODUCT_MACS (1 << 22)
#define PIECE_TILES  32 /* of one block per tile of the stages that transform */

enum { INPUT, PRODUCT, OUTPUT, STAGES };

bool nnd_conv_winograd_can(const nnd_conv_desc *d, const nnd_kernel_set *set)
{
    return set->winograd_input && d->kernel_h == 3 && d->kernel_w == 3 && d->stride_h == 1 &&
           d->stride_w == 1 && d->dilation_h == 1 && d->dilation_w == 1 && d->groups == 1 &&
           d->in_layout == NND_KERNEL_NCHWC && d->out_layout == NND_KERNEL_NCHWC;
}

/*
 * Static costs in multiply-adds of a core at its peak. A byte of weights that no cache keeps costs
 * about 6 of them; the transforms of a vector about 200 vector operations in and 160 out.
 */
bool nnd_conv_winograd_pays(const nnd_conv_desc *d, const nnd_kernel_set *set, int64_t out_h,
                            int64_t out_w)
{
    double block = set->block;
    double in = (double)nnd_round_up(d->in_channels, set->block);
    double out = (double)nnd_round_up(d->out_channels, set->block);
    double depth = (double)d->in_channels, tiles = (double)d->batch *
                                                   (double)nnd_ceil_div(out_h, OUT) *
                                                   (double)nnd_ceil_div(out_w, OUT);
    double pixels = (double)d->batch * (double)(out_h * out_w);
    if (depth < block) return false;
    double per_byte = 6.0, weight_bytes = depth * out * sizeof(float);
    double direct = 9.0 * pixels * depth * out + 9.0 * weight_bytes * per_byte;
    if (nnd_conv_bf16_can(d)) direct /= 2; /* pairs, of half the bytes */
    double winograd = ELEMENTS * tiles * depth * out + ELEMENTS * weight_bytes * per_byte +
                      tiles * (in * 200.0 + out * 160.0);
    return winograd < direct * 0.9;
}

/* Taps of the register tile: whole blocks of input channels, then what is left. */
static nnd_status plan_segments(nnd_conv *conv)
{
    nnd_conv_winograd *p = &conv->winograd;
    int64_t block = conv->set->block, rest = conv->desc.in_channels % block;
    int64_t whole = conv->desc.in_channels / block;
    p->taps = nnd_calloc((size_t)p->in_blocks, sizeof(*p->taps));
    if (!p->taps) return nnd_error_set(NND_E_OUT_OF_MEMORY, "convolution: no memory for the plan");
    for (int64_t i = 0; i < p->in_blocks; i++)
        p->taps[i] = (ptrdiff_t)(i * p->chunk_tiles * block);
    p->segments[0] = (nnd_tile_segment){p->taps, (size_t)whole, (size_t)block};
    if (rest) p->segments[1] = (nnd_tile_segment){p->taps + whole, 1, (size_t)rest};
    return NND_OK;
}

void nnd_conv_winograd_free(nnd_conv *conv)
{
    nnd_free(conv->winograd.taps);
}

nnd_status nnd_conv_winograd_plan(nnd_conv *conv)
{
    const nnd_conv_desc *d = &conv->desc;
    nnd_conv_winograd *p = &conv->winograd;
    int64_t block = conv->set->block;
    p->in_blocks = nnd_ceil_div(d->in_channels, block);
    p->out_blocks = nnd_ceil_div(d->out_channels, block);
    p->panels = nnd_ceil_div(p->out_blocks, conv->set->tile_vectors);
    p->tiles_h = nnd_ceil_div(conv->out_h, OUT);
    p->tiles_w = nnd_ceil_div(conv->out_w, OUT);
    p->tiles = d->batch * p->tiles_h * p->tiles_w;
    int64_t per_tile = ELEMENTS * (p->in_blocks + p->out_blocks) * block;
    int64_t most = NND_MAX(conv->set->tile_rows, CHUNK_FLOATS / per_tile);
    p->chunks = nnd_ceil_div(p->tiles, most);
    p->chunk_tiles = nnd_ceil_div(p->tiles, p->chunks);
    double panel_macs =
        (double)p->chunk_tiles * (double)d->in_channels * (double)(conv->set->tile_vectors * block);
    p->panels_per_tile =
        NND_MIN(p->panels, NND_MAX(1, (int64_t)((double)PRODUCT_MACS / panel_macs)));
    conv->packed_bytes =
        (size_t)(ELEMENTS * d->in_channels + 1) * (size_t)(p->out_blocks * block) * sizeof(float);
    conv->stages = (int)(p->chunks * STAGES);
    conv->workspace_bytes = (size_t)(p->chunk_tiles * per_tile) * sizeof(float);
    return plan_segments(conv);
}

/* ---- packing ---------------------------------------------------------------------------- */

/* G·g: three values, `step` apart, to six. */
static void filter_line(const double *g, size_t step, double *out, size_t out_step)
{
    double ends = (g[0] + g[2 * step]) / 6, middle = g[step] / 6;
    double far = g[0] / 24 + g[2 * step] / 6, near = g[step] / 12;
    out[0] = g[0] / 4;
    out[out_step] = -ends - middle;
    out[2 * out_step] = middle - ends;
    out[3 * out_step] = far + near;
    out[4 * out_step] = far - near;
    out[5 * out_step] = g[2 * step];
}

/* G·g·Gᵀ of one 3×3 filter, `step` floats between the elements. */
static void transform_filter(const float *g, float *out, int64_t step)
{
    double filter[9], half[18], whole[ELEMENTS];
    for (int i = 0; i < 9; i++)
        filter[i] = (double)g[i];
    for (size_t j = 0; j < 3; j++)
        filter_line(filter + j, 3, half + j, 3);
    for (size_t i = 0; i < 6; i++)
        filter_line(half + 3 * i, 1, whole + 6 * i, 1);
    for (int e = 0; e < ELEMENTS; e++)
        out[e * step] = (float)whole[e];
}

void nnd_conv_winograd_pack(const nnd_conv *conv, const float *weights, const float *bias,
                            float *packed)
{
    enum { MOST = 64 };
    const nnd_conv_desc *d = &conv->desc;
    int64_t panel = conv->set->block * conv->set->tile_vectors;
    int64_t width = conv->winograd.out_blocks * conv->set->block;
    int64_t element = width * d->in_channels;
    float *biases = packed + ELEMENTS * element;
    for (int64_t first = 0; first < width; first += panel) {
        int64_t columns = NND_MIN(panel, width - first);
        for (int64_t ic = 0; ic < d->in_channels; ic++) {
            /* A row of each element at a time: 36 scattered floats per filter would be slow. */
            float rows[ELEMENTS * MOST] = {0};
            for (int64_t j = 0; j < columns && first + j < d->out_channels; j++)
                transform_filter(weights + ((first + j) * d->in_channels + ic) * 9, rows + j, MOST);
            float *to = packed + first * d->in_channels + ic * columns;
            for (int64_t e = 0; e < ELEMENTS; e++)
                memcpy(to + e * element, rows + e * MOST, (size_t)columns * sizeof(*to));
        }
    }
    for (int64_t j = 0; j < width; j++)
        biases[j] = bias && j < d->out_channels ? bias[j] : 0.0f;
}

/* ---- running ---------------------------------------------------------------------------- */

/* A chunk: tiles [first, first + count) and its part of the workspace. */
typedef struct chunk {
    int64_t first, count;
    float *v, *m;
} chunk;

static chunk chunk_of(const nnd_conv *conv, const nnd_conv_args *args, int stage)
{
    const nnd_conv_winograd *p = &conv->winograd;
    int64_t index = stage / STAGES;
    chunk c = {.first = nnd_part(p->tiles, p->chunks, index)};
    c.count = nnd_part(p->tiles, p->chunks, index + 1) - c.first;
    c.v = args->workspace;
    c.m = c.v + ELEMENTS * p->in_blocks * p->chunk_tiles * conv->set->block;
    return c;
}

size_t nnd_conv_winograd_tiles(const nnd_conv *conv, int stage)
{
    const nnd_conv_winograd *p = &conv->winograd;
    chunk c = chunk_of(conv, &(nnd_conv_args){0}, stage);
    int64_t pieces = nnd_ceil_div(c.count, PIECE_TILES);
    switch (stage % STAGES) {
    case INPUT:
        return (size_t)(p->in_blocks * pieces);
    case PRODUCT:
        return (size_t)(ELEMENTS * nnd_ceil_div(p->panels, p->panels_per_tile));
    default:
        return (size_t)(p->out_blocks * pieces);
    }
}

/* Tile `index` of the picture: its image and its upper left output. */
static int64_t place_of(const nnd_conv_winograd *p, int64_t index, int64_t *row, int64_t *column)
{
    int64_t within = index % (p->tiles_h * p->tiles_w);
    *row = within / p->tiles_w * OUT;
    *column = within % p->tiles_w * OUT;
    return index / (p->tiles_h * p->tiles_w);
}

static void run_input(const nnd_conv *conv, const nnd_conv_args *args, const chunk *c, int64_t tile)
{
    const nnd_conv_desc *d = &conv->desc;
    const nnd_conv_winograd *p = &conv->winograd;
    int64_t pieces = nnd_ceil_div(c->count, PIECE_TILES), lanes = conv->set->block;
    int64_t block = tile / pieces, piece = tile % pieces, row, column;
    nnd_winograd_args w = {
        .in_h = d->in_h, .in_w = d->in_w, .step = p->in_blocks * p->chunk_tiles * lanes};
    int64_t end = nnd_part(c->count, pieces, piece + 1);
    for (int64_t t = nnd_part(c->count, pieces, piece); t < end; t++) {
        int64_t image = place_of(p, c->first + t, &row, &column);
        w.x = args->x + (image * p->in_blocks + block) * d->in_h * d->in_w * lanes;
        conv->set->winograd_input(&w, row - d->pad_top, column - d->pad_left,
                                  c->v + (block * p->chunk_tiles + t) * lanes);
    }
}

/* One panel of output channels of element `e`. */
static void run_panel(const nnd_conv *conv, const nnd_conv_args *args, const chunk *c, int64_t e,
                      int64_t panel)
{
    const nnd_conv_winograd *p = &conv->winograd;
    const nnd_kernel_set *set = conv->set;
    int64_t lanes = set->block, depth = conv->desc.in_channels;
    int64_t width = p->out_blocks * lanes, first = panel * set->tile_vectors;
    int64_t vectors = NND_MIN(set->tile_vectors, p->out_blocks - first);
    int64_t pieces = nnd_ceil_div(c->count, set->tile_rows);
    const float *v = c->v + e * p->in_blocks * p->chunk_tiles * lanes;
    float *m = c->m + (e * p->out_blocks + first) * p->chunk_tiles * lanes;
    nnd_tile_args t = {
        .b = (const float *)args->packed + (e * width + first * lanes) * depth,
        .c_row = lanes,
        .c_vector = p->chunk_tiles * lanes,
        .low = -INFINITY,
        .high = INFINITY,
    };
    t.segments[0] = p->segments[0];
    t.segments[1] = p->segments[1];
    for (int64_t i = 0; i < pieces; i++) {
        int64_t from = nnd_part(c->count, pieces, i), to = nnd_part(c->count, pieces, i + 1);
        t.a = v + from * lanes;
        t.c = m + from * lanes;
        set->tile_blocked((int)(to - from), (int)vectors, &t);
    }
}

static void run_product(const nnd_conv *conv, const nnd_conv_args *args, const chunk *c,
                        int64_t tile)
{
    const nnd_conv_winograd *p = &conv->winograd;
    int64_t parts = nnd_ceil_div(p->panels, p->panels_per_tile);
    int64_t e = tile / parts, part = tile % parts;
    for (int64_t i = nnd_part(p->panels, parts, part); i < nnd_part(p->panels, parts, part + 1);
         i++)
        run_panel(conv, args, c, e, i);
}

/* The activation that is no clamp, over the outputs of a tile. */
static void activate(const nnd_conv *conv, float *y, int64_t row, int64_t column)
{
    int64_t rows = NND_MIN(OUT, conv->out_h - row), columns = NND_MIN(OUT, conv->out_w - column);
    for (int64_t i = 0; i < rows; i++) {
        float *line = y + ((row + i) * conv->out_w + column) * conv->set->block;
        conv->set->act(&conv->desc.act, line, line, (size_t)(columns * conv->set->block));
    }
}

static void run_output(const nnd_conv *conv, const nnd_conv_args *args, const chunk *c,
                       int64_t tile)
{
    const nnd_conv_winograd *p = &conv->winograd;
    int64_t pieces = nnd_ceil_div(c->count, PIECE_TILES), lanes = conv->set->block;
    int64_t block = tile / pieces, piece = tile % pieces, row, column;
    const float *biases =
        (const float *)args->packed + ELEMENTS * conv->desc.in_channels * p->out_blocks * lanes;
    nnd_winograd_args w = {.out_h = conv->out_h,
                           .out_w = conv->out_w,
                           .step = p->out_blocks * p->chunk_tiles * lanes,
                           .bias = biases + block * lanes,
                           .low = conv->low,
                           .high = conv->high};
    int64_t end = nnd_part(c->count, pieces, piece + 1);
    for (int64_t t = nnd_part(c->count, pieces, piece); t < end; t++) {
        int64_t image = place_of(p, c->first + t, &row, &column);
        int64_t plane = (image * p->out_blocks + block) * conv->out_h * conv->out_w * lanes;
        w.y = args->y + plane;
        w.residual = conv->desc.residual ? args->residual + plane : NULL;
        conv->set->winograd_output(&w, c->m + (block * p->chunk_tiles + t) * lanes, row, column);
        if (!conv->clamps) activate(conv, w.y, row, column);
    }
}

void nnd_conv_winograd_run(const nnd_conv *conv, const nnd_conv_args *args, int stage, size_t tile)
{
    chunk c = chunk_of(conv, args, stage);
    if (stage % STAGES == INPUT)
        run_input(conv, args, &c, (int64_t)tile);
    else if (stage % STAGES == PRODUCT)
        run_product(conv, args, &c, (int64_t)tile);
    else
        run_output(conv, args, &c, (int64_t)tile);
}
