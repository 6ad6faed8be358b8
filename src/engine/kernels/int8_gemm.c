/*
 * The GEMM driver for bytes. B is the vector operand, packed ahead in panels; rows of A are
 * broadcast, packed at the start of a run, since all panels read the same ones. Sums of k never
 * leave the registers, so there are no chunks of k.
 *
 * Packed B: panels of `panel` columns, the last one narrowed to whole vectors, each
 * [quads][width][4] bytes; then the sums of all columns as they are packed, n_padded integers.
 * Packed A: pieces of rows, each [quads][rows] quads; then what a zero point of B takes off each
 * row, the sum of its values as they are packed, negative.
 */
#include <string.h>

#include "engine/kernels/int8_set.h"

#define TILE_MACS  (16 << 20)
#define TILE_PARTS 16
#define SMALL_TILE (1 << 18)
#define A_BYTES    (256 << 10) /* of a tile's rows: they stay in the second-level cache */
#define PACK_BYTES (64 << 10)  /* of rows, to be worth a thread of their own */

static int64_t piece_bytes(const nnd_int8_gemm *g)
{
    return NND_MAX(1, g->quads) * g->set->tile_rows * (int64_t)nnd_int8_quad_bytes(g->set);
}

/* A tile has `tall` pieces of rows and `wide` panels; each panel stays in the first-level cache
   while the pieces pass by. */
static void choose_tiles(nnd_int8_gemm *g)
{
    int64_t panels = nnd_ceil_div(g->desc.n, g->panel);
    double rows = (double)g->desc.m / (double)NND_MAX(1, g->pieces);
    double one = NND_MAX(1, rows) * (double)g->panel * (double)NND_MAX(1, g->desc.k);
    double total = one * (double)g->pieces * (double)panels;
    double target = NND_MIN((double)TILE_MACS, NND_MAX((double)SMALL_TILE, total / TILE_PARTS));
    int64_t budget = NND_MAX(1, (int64_t)NND_MIN(target / one, 1e6));
    int64_t fit = NND_MAX(1, A_BYTES / piece_bytes(g));
    int64_t tall = NND_MAX(1, NND_MIN(g->pieces, NND_MIN(budget, fit)));
    int64_t wide = NND_MAX(1, NND_MIN(panels, budget / tall));
    g->m_tiles = nnd_ceil_div(g->pieces, tall);
    g->n_tiles = nnd_ceil_div(panels, wide);
    g->a_tiles = nnd_ceil_div(g->pieces, NND_MAX(1, PACK_BYTES / piece_bytes(g)));
}

nnd_status nnd_int8_gemm_plan(const nnd_int8_gemm_desc *desc, nnd_int8_gemm *out)
{
    nnd_int8_gemm g = {.desc = *desc, .set = nnd_int8_set_current()};
    const int64_t limit = INT64_MAX / 64 / (int64_t)sizeof(int32_t);
    if (desc->m < 0 || desc->n < 0 || desc->k < 0)
        return nnd_error_set(NND_E_SHAPE, "gemm: negative size %lld×%lld×%lld", (long long)desc->m,
                             (long long)desc->n, (long long)desc->k);
    int64_t k = NND_MAX(1, desc->k), n = NND_MAX(1, desc->n);
    if (k > limit - 64 || n > limit - 64 || desc->m > limit - 64 || n + 64 > limit / (k + 4) ||
        desc->m + 64 > limit / (k + 4) || desc->m + 64 > limit / (n + 64))
        return nnd_error_set(NND_E_OVERFLOW, "gemm: %lld×%lld×%lld is too large",
                             (long long)desc->m, (long long)desc->n, (long long)desc->k);
    g.quads = nnd_ceil_div(desc->k, 4);
    g.panel = g.set->tile_vectors * g.set->lanes;
    g.n_padded = nnd_round_up(desc->n, g.set->lanes);
    g.pieces = nnd_ceil_div(desc->m, g.set->tile_rows);
    choose_tiles(&g);
    *out = g;
    return NND_OK;
}

static size_t sums_offset(const nnd_int8_gemm *g)
{
    return (size_t)nnd_round_up(g->quads * g->n_padded * 4, NND_KERNEL_ALIGN);
}

size_t nnd_int8_gemm_packed_bytes(const nnd_int8_gemm *g)
{
    return sums_offset(g) + (size_t)g->n_padded * sizeof(int32_t);
}

void nnd_int8_gemm_pack_b(const nnd_int8_gemm *g, const void *b, void *packed)
{
    const uint8_t *from = b;
    uint8_t flip = nnd_int8_flip(g->set, g->desc.b_signed), *bytes = packed;
    int32_t *sums = (int32_t *)(void *)(bytes + sums_offset(g));
    size_t n = (size_t)g->desc.n, k = (size_t)g->desc.k, panel = (size_t)g->panel;
    memset(packed, 0, nnd_int8_gemm_packed_bytes(g));
    for (size_t first = 0; first < n; first += panel) {
        size_t columns = NND_MIN(panel, n - first);
        size_t width = NND_MIN(panel, (size_t)g->n_padded - first);
        uint8_t *to = bytes + first * (size_t)g->quads * 4;
        for (size_t x = 0; x < k; x++) {
            for (size_t i = 0; i < columns; i++) {
                uint8_t v = from[x * n + first + i] ^ flip;
                to[(x / 4 * width + i) * 4 + x % 4] = v;
                sums[first + i] += g->set->signed_vectors ? (int8_t)v : v;
            }
        }
    }
}

size_t nnd_int8_gemm_column_bytes(const nnd_int8_gemm *g)
{
    return (size_t)g->n_padded * 2 * sizeof(int32_t);
}

void nnd_int8_gemm_columns(const nnd_int8_gemm *g, const void *packed_b, int32_t a_zero,
                           const int32_t *b_zero, size_t b_zeros, const int32_t *bias,
                           size_t biases, int32_t *columns)
{
    const int32_t *sums = (const int32_t *)(const void *)((const char *)packed_b + sums_offset(g));
    int32_t *start = columns, *zero = columns + g->n_padded;
    uint32_t a = (uint32_t)(g->desc.a_signed ? a_zero : a_zero - 128);
    for (int64_t i = 0; i < g->n_padded; i++) {
        size_t at = b_zeros == 1 ? 0 : (size_t)NND_MIN(i, g->desc.n - 1);
        zero[i] = b_zero[at] + nnd_int8_shift(g->set, g->desc.b_signed);
        uint32_t sum = (uint32_t)sums[i] - (uint32_t)g->desc.k * (uint32_t)zero[i];
        uint32_t added = bias ? (uint32_t)bias[biases == 1 ? 0 : NND_MIN(i, g->desc.n - 1)] : 0;
        start[i] = (int32_t)(added - a * sum);
    }
}

/* ---- rows -------------------------------------------------------------------------------------
 */

static size_t row_bytes(const nnd_int8_gemm *g)
{
    return (size_t)g->quads * nnd_int8_quad_bytes(g->set);
}

static size_t factors_offset(const nnd_int8_gemm *g)
{
    return (size_t)nnd_round_up(g->desc.m * (int64_t)row_bytes(g), NND_KERNEL_ALIGN);
}

size_t nnd_int8_gemm_a_bytes(const nnd_int8_gemm *g)
{
    return factors_offset(g) + (size_t)g->desc.m * sizeof(int32_t);
}

size_t nnd_int8_gemm_a_tiles(const nnd_int8_gemm *g)
{
    return (size_t)g->a_tiles;
}

void nnd_int8_gemm_pack_a_tile(const nnd_int8_gemm *g, const void *a, void *packed, size_t tile)
{
    const nnd_int8_gemm_desc *d = &g->desc;
    int32_t *factors = (int32_t *)(void *)((char *)packed + factors_offset(g));
    int64_t end = nnd_part(g->pieces, g->a_tiles, (int64_t)tile + 1);
    for (int64_t p = nnd_part(g->pieces, g->a_tiles, (int64_t)tile); p < end; p++) {
        int64_t row = nnd_part(d->m, g->pieces, p), rows = nnd_part(d->m, g->pieces, p + 1) - row;
        nnd_int8_pack_rows(g->set, (const uint8_t *)a + row * d->k, (size_t)d->k, d->a_signed,
                           (size_t)rows, (size_t)d->k, (char *)packed + (size_t)row * row_bytes(g),
                           factors + row);
        for (int64_t i = row; i < row + rows; i++)
            factors[i] = (int32_t)(0u - (uint32_t)factors[i]);
    }
}

/* ---- product ----------------------------------------------------------------------------------
 */

size_t nnd_int8_gemm_tiles(const nnd_int8_gemm *g)
{
    return (size_t)(g->m_tiles * g->n_tiles);
}

/* One register tile and its results. */
static void run_spot(const nnd_int8_gemm *g, const nnd_int8_gemm_args *args, int64_t row,
                     int64_t rows, int64_t column)
{
    const char *a = args->packed_a;
    int32_t sums[NND_INT8_MAX_ROWS * NND_INT8_MAX_PANEL];
    int64_t columns = NND_MIN(g->panel, g->desc.n - column);
    const nnd_int8_result *r = &args->result;
    nnd_int8_tile_args t = {
        .vectors = (const uint8_t *)args->packed_b + column * g->quads * 4,
        .rows = a + (size_t)row * row_bytes(g),
        .quads = (size_t)g->quads,
        .column_start = args->columns + column,
        .row_factor = (const int32_t *)(const void *)(a + factors_offset(g)) + row,
        .column_factor = args->columns + g->n_padded + column,
        .sums = sums,
        .stride = (size_t)g->panel,
    };
    char *c = (char *)args->c + (size_t)(row * g->desc.n + column) * nnd_int8_result_bytes(r);
    nnd_int8_bytes bytes = nnd_int8_bytes_of(r, (uint8_t *)c, (size_t)g->desc.n);
    bool direct = nnd_int8_result_bytes(r) == 1 && columns % g->set->lanes == 0;
    if (direct) {
        bytes.column_scale = r->scale + column;
        t.bytes = &bytes;
    }
    g->set->tile((int)rows, (int)nnd_ceil_div(columns, g->set->lanes), &t);
    if (direct) return;
    nnd_int8_block block = {
        .sums = sums, .stride = t.stride, .rows = (size_t)rows, .columns = (size_t)columns};
    if (r->scale) block.column_scale = r->scale + column;
    if (r->bias) block.column_bias = r->bias + column;
    nnd_int8_store(g->set, r, &block, c, (size_t)g->desc.n);
}

void nnd_int8_gemm_run_tile(const nnd_int8_gemm *g, const nnd_int8_gemm_args *args, size_t tile)
{
    int64_t panels = nnd_ceil_div(g->desc.n, g->panel);
    int64_t ni = (int64_t)tile % g->n_tiles, mi = (int64_t)tile / g->n_tiles;
    int64_t first = nnd_part(g->pieces, g->m_tiles, mi);
    int64_t end = nnd_part(g->pieces, g->m_tiles, mi + 1);
    int64_t panel_end = nnd_part(panels, g->n_tiles, ni + 1);
    for (int64_t i = nnd_part(panels, g->n_tiles, ni); i < panel_end; i++) {
        for (int64_t p = first; p < end; p++) {
            int64_t row = nnd_part(g->desc.m, g->pieces, p);
            int64_t rows = nnd_part(g->desc.m, g->pieces, p + 1) - row;
            run_spot(g, args, row, rows, i * g->panel);
        }
    }
}
