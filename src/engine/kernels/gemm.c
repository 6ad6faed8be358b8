/*
 * The GEMM driver: cuts C into tiles, packs A, walks the register-tile kernel over each tile.
 *
 * Packed B: for each chunk of kc rows of op(B), for each panel of `panel` columns (the last one
 * narrowed to whole vectors): kc × width floats, columns beyond n are 0. Weights in bf16 lie in the
 * same order as pairs of two k in one 32-bit lane (an odd last k with a 0), so kc is even and every
 * count of rows of B is one of pairs. The reference keeps op(B) dense instead.
 */
#include <math.h>
#include <string.h>

#include "engine/kernels/reference/reference.h"
#include "engine/kernels/sets.h"

#define MAX_ROWS    16
#define MAX_PANEL   64
#define CHUNK       384 /* k: a panel of B and a panel of A stay in the second-level cache */
#define TILE_MACS   (16 << 20)
#define TILE_PARTS  16 /* a product large enough is cut into about so many tiles */
#define SMALL_TILE  (1 << 18)
#define TILE_ROWS   4 /* row panels of a tile when there are enough columns to share packing */
#define PACK_PANELS 8 /* panels of B that one packing tile does */

static nnd_status check_stride(const char *name, int64_t *stride, int64_t columns)
{
    if (*stride == 0) *stride = columns;
    if (*stride < columns)
        return nnd_error_set(NND_E_SHAPE, "gemm: row stride %lld of %s is below its %lld columns",
                             (long long)*stride, name, (long long)columns);
    return NND_OK;
}

static nnd_status check_gemm(nnd_gemm_desc *d)
{
    if (d->m < 0 || d->n < 0 || d->k < 0)
        return nnd_error_set(NND_E_SHAPE, "gemm: negative size %lld×%lld×%lld", (long long)d->m,
                             (long long)d->n, (long long)d->k);
    NND_TRY(check_stride("A", &d->lda, d->trans_a ? d->m : d->k));
    NND_TRY(check_stride("B", &d->ldb, d->trans_b ? d->k : d->n));
    NND_TRY(check_stride("C", &d->ldc, d->n));
    NND_TRY(check_stride("R", &d->ldr, d->n));
    /* Bounds that keep every product of the driver inside 63 bits. */
    const int64_t limit = INT64_MAX / 64 / (int64_t)sizeof(float);
    int64_t wide = d->n + MAX_PANEL;
    if (d->n > limit - MAX_PANEL || d->m > limit - MAX_ROWS || (d->k && wide > limit / d->k) ||
        (d->m && (NND_MAX(d->lda, NND_MAX(d->ldc, d->ldr)) > limit / (d->m + MAX_ROWS))) ||
        (d->k && d->lda > limit / d->k) || d->ldb > limit / NND_MAX(1, NND_MAX(d->n, d->k)))
        return nnd_error_set(NND_E_OVERFLOW, "gemm: %lld×%lld×%lld is too large", (long long)d->m,
                             (long long)d->n, (long long)d->k);
    return NND_OK;
}

/* Tiles of mc × nc: whole panels, as even as possible, of at most TILE_MACS multiply-adds. */
static void choose_tiles(nnd_gemm *g, int64_t rows)
{
    const nnd_gemm_desc *d = &g->desc;
    int64_t k = NND_MAX(1, d->k);
    int64_t row_panels = NND_MAX(1, nnd_ceil_div(d->m, rows));
    int64_t column_panels = NND_MAX(1, nnd_ceil_div(d->n, g->panel));
    if (d->one_tile) { /* each row is packed once */
        g->mc = row_panels * rows;
        g->nc = column_panels * g->panel;
        g->m_tiles = d->m ? 1 : 0;
        g->n_tiles = d->n ? 1 : 0;
        return;
    }
    double total =
        (double)row_panels * (double)rows * (double)column_panels * (double)g->panel * (double)k;
    double target = NND_MIN((double)TILE_MACS, NND_MAX((double)SMALL_TILE, total / TILE_PARTS));
    double one = (double)rows * (double)g->panel * (double)k; /* panel by panel */
    int64_t budget = NND_MAX(1, (int64_t)NND_MIN(target / one, 1e6));
    int64_t tall = NND_MIN(row_panels, NND_MIN(budget, TILE_ROWS));
    int64_t wide = NND_MIN(column_panels, NND_MAX(1, budget / tall));
    tall = NND_MIN(row_panels, NND_MAX(tall, budget / wide));
    g->m_tiles = nnd_ceil_div(row_panels, tall);
    g->n_tiles = nnd_ceil_div(column_panels, wide);
    g->mc = nnd_ceil_div(row_panels, g->m_tiles) * rows;
    g->nc = nnd_ceil_div(column_panels, g->n_tiles) * g->panel;
    g->m_tiles = nnd_ceil_div(d->m, g->mc);
    g->n_tiles = nnd_ceil_div(d->n, g->nc);
}

nnd_status nnd_gemm_plan(const nnd_gemm_desc *desc, nnd_gemm *out)
{
    nnd_gemm g = {.desc = *desc, .set = nnd_kernel_set_current()};
    NND_TRY(check_gemm(&g.desc));
    bool vector = g.set->tile_planar != NULL;
    if (vector && desc->precision != NND_GEMM_F32)
        g.bf16 = nnd_bf16_tile_current(desc->precision == NND_GEMM_BF16);
    g.panel = vector ? g.set->tile_vectors * g.set->block : NND_REFERENCE_BLOCK;
    int64_t k = g.desc.k;
    g.kc = k <= CHUNK + CHUNK / 2 ? NND_MAX(1, k) : nnd_ceil_div(k, nnd_ceil_div(k, CHUNK));
    if (g.bf16) g.kc = nnd_round_up(g.kc, 2);
    choose_tiles(&g, vector ? g.set->tile_rows : 1);
    *out = g;
    return NND_OK;
}

static bool is_reference(const nnd_gemm *g)
{
    return g->set->tile_planar == NULL;
}

/* Columns that the packed form has: n rounded up to whole vectors. */
static int64_t packed_columns(const nnd_gemm *g)
{
    return is_reference(g) ? g->desc.n : nnd_round_up(g->desc.n, g->set->block);
}

/* Rows of packed B that `depth` rows of B make. */
static int64_t packed_rows(const nnd_gemm *g, int64_t depth)
{
    return g->bf16 ? nnd_ceil_div(depth, 2) : depth;
}

/* Where the panel of column n0 in the chunk of row k0 begins. */
static size_t packed_offset(const nnd_gemm *g, int64_t k0, int64_t depth, int64_t n0)
{
    return (size_t)(packed_rows(g, k0) * packed_columns(g) + n0 * packed_rows(g, depth));
}

size_t nnd_gemm_packed_bytes(const nnd_gemm *g)
{
    return (size_t)(packed_rows(g, g->desc.k) * packed_columns(g)) * sizeof(float);
}

size_t nnd_gemm_pack_tiles(const nnd_gemm *g)
{
    return (size_t)nnd_ceil_div(g->desc.n, g->panel * PACK_PANELS);
}

/* `depth` rows of op(B) from k0, `width` columns from n0, `stored` of which exist. */
static void pack_panel(const nnd_gemm *g, const float *b, int64_t k0, int64_t depth, int64_t n0,
                       int64_t width, int64_t stored, float *to)
{
    const nnd_gemm_desc *d = &g->desc;
    if (d->trans_b) {
        g->set->transpose(b + n0 * d->ldb + k0, (size_t)d->ldb, to, (size_t)width, (size_t)stored,
                          (size_t)depth);
    } else {
        for (int64_t k = 0; k < depth; k++)
            memcpy(to + k * width, b + (k0 + k) * d->ldb + n0, (size_t)stored * sizeof *to);
    }
    for (int64_t j = stored; j < width; j++) {
        for (int64_t k = 0; k < depth; k++)
            to[k * width + j] = 0.0f;
    }
}

/* The same in pairs of bf16. */
static void pack_pairs(const nnd_gemm *g, const float *b, int64_t k0, int64_t depth, int64_t n0,
                       int64_t width, int64_t stored, float *to)
{
    const nnd_gemm_desc *d = &g->desc;
    int64_t k_step = d->trans_b ? 1 : d->ldb, n_step = d->trans_b ? d->ldb : 1;
    uint16_t *halves = (uint16_t *)(void *)to;
    const float *from = b + k0 * k_step + n0 * n_step;
    for (int64_t k = 0; k < nnd_round_up(depth, 2); k++) {
        float row[MAX_PANEL] = {0};
        uint16_t narrow[MAX_PANEL], *pairs = halves + (k / 2 * width) * 2 + k % 2;
        /* B may lie at any address. */
        for (int64_t j = 0; j < stored && k < depth; j++)
            memcpy(row + j, from + k * k_step + j * n_step, sizeof *row);
        g->set->f32_to_bf16(row, narrow, (size_t)width);
        for (int64_t j = 0; j < width; j++)
            pairs[2 * j] = narrow[j];
    }
}

static void pack_dense(const nnd_gemm_desc *d, const float *b, int64_t n0, int64_t n1, float *to)
{
    for (int64_t k = 0; k < d->k; k++) {
        for (int64_t j = n0; j < n1; j++) {
            float value = d->trans_b ? b[j * d->ldb + k] : b[k * d->ldb + j];
            to[k * d->n + j] =
                d->precision == NND_GEMM_F32 ? value : nnd_round_to_bf16_reference(value);
        }
    }
}

void nnd_gemm_pack_b_tile(const nnd_gemm *g, const float *b, float *packed, size_t tile)
{
    int64_t n0 = (int64_t)tile * g->panel * PACK_PANELS;
    int64_t n1 = NND_MIN(g->desc.n, n0 + g->panel * PACK_PANELS);
    if (is_reference(g)) {
        pack_dense(&g->desc, b, n0, n1, packed);
        return;
    }
    for (int64_t k0 = 0; k0 < g->desc.k; k0 += g->kc) {
        int64_t depth = NND_MIN(g->kc, g->desc.k - k0);
        for (int64_t n = n0; n < n1; n += g->panel) {
            int64_t stored = NND_MIN(g->panel, n1 - n);
            int64_t width = nnd_round_up(stored, g->set->block);
            float *to = packed + packed_offset(g, k0, depth, n);
            (g->bf16 ? pack_pairs : pack_panel)(g, b, k0, depth, n, width, stored, to);
        }
    }
}

void nnd_gemm_pack_b(const nnd_gemm *g, const float *b, float *packed)
{
    size_t tiles = nnd_gemm_pack_tiles(g);
    for (size_t i = 0; i < tiles; i++)
        nnd_gemm_pack_b_tile(g, b, packed, i);
}

size_t nnd_gemm_tiles(const nnd_gemm *g)
{
    return (size_t)(g->m_tiles * g->n_tiles);
}

/* A single row is read where it lies. */
static bool reads_a(const nnd_gemm *g)
{
    return g->desc.m == 1 && g->desc.alpha == 1.0f && !g->bf16;
}

/* Rounding works on the rows of one piece as they lie in A, and on one in bf16. */
static int64_t rounding_floats(const nnd_gemm *g)
{
    return g->bf16 ? (g->set->tile_rows + 1) * g->kc : 0;
}

size_t nnd_gemm_lane_bytes(const nnd_gemm *g)
{
    if (is_reference(g) || reads_a(g)) return 0;
    return (size_t)(g->mc * g->kc + rounding_floats(g)) * sizeof(float);
}

/* Packs `count` ≤ rows rows from row m0 as [k][rows], scaled by alpha. */
static void pack_rows(const nnd_kernel_set *set, const nnd_gemm_desc *d, const float *a, int64_t m0,
                      int64_t count, int64_t k0, int64_t depth, float *to)
{
    int64_t rows = set->tile_rows;
    int64_t row_step = d->trans_a ? 1 : d->lda;
    int64_t k_step = d->trans_a ? d->lda : 1;
    const float *from = a + m0 * row_step + k0 * k_step;
    if (!d->trans_a && d->alpha == 1.0f) {
        set->transpose(from, (size_t)d->lda, to, (size_t)rows, (size_t)count, (size_t)depth);
        return;
    }
    for (int64_t k = 0; k < depth; k++) {
        for (int64_t i = 0; i < count; i++)
            to[k * rows + i] = d->alpha * from[i * row_step + k * k_step];
    }
}

/* A row of alpha·op(A) rounded to bf16: `pairs` 32-bit lanes, an odd last element with a 0. Without
   the instruction for pairs it is widened again. */
static void round_row(const nnd_gemm *g, const float *from, int64_t step, int64_t depth, float *to,
                      uint16_t *halves)
{
    const float *row = from;
    if (step != 1 || g->desc.alpha != 1.0f) {
        for (int64_t k = 0; k < depth; k++)
            to[k] = g->desc.alpha * from[k * step];
        row = to;
    }
    if (g->desc.precision == NND_GEMM_BF16_WEIGHTS) {
        if (row != to) memcpy(to, row, (size_t)depth * sizeof *to);
    } else {
        g->set->f32_to_bf16(row, halves, (size_t)depth);
        if (g->bf16->pairs)
            memcpy(to, halves, (size_t)depth * sizeof *halves);
        else
            g->set->bf16_to_f32(halves, to, (size_t)depth);
    }
    bool as_pairs = g->bf16->pairs && g->desc.precision == NND_GEMM_BF16;
    if (depth % 2 == 0) return;
    if (as_pairs)
        ((uint16_t *)(void *)to)[depth] = 0;
    else
        to[depth] = 0.0f;
}

/* As pack_rows, for a tile with weights in bf16: [pair][rows], or [k][rows] with an even k. */
static void pack_rounded(const nnd_gemm *g, const float *a, int64_t m0, int64_t count, int64_t k0,
                         int64_t depth, float *to, float *room)
{
    const nnd_gemm_desc *d = &g->desc;
    int64_t row_step = d->trans_a ? 1 : d->lda, k_step = d->trans_a ? d->lda : 1;
    int64_t even = nnd_round_up(depth, 2), lanes = g->bf16->pairs ? even / 2 : even;
    uint16_t *halves = (uint16_t *)(void *)(room + g->set->tile_rows * g->kc);
    for (int64_t i = 0; i < count; i++)
        round_row(g, a + (m0 + i) * row_step + k0 * k_step, k_step, depth, room + i * g->kc,
                  halves);
    g->set->transpose(room, (size_t)g->kc, to, (size_t)g->set->tile_rows, (size_t)count,
                      (size_t)lanes);
}

/* One register tile's place in the product. */
typedef struct spot {
    int64_t m, rows, n, columns, k, depth;
} spot;

static void run_tile(const nnd_gemm *g, int64_t rows, int64_t vectors, const nnd_tile_args *t)
{
    (g->bf16 ? g->bf16->run : g->set->tile_planar)((int)rows, (int)vectors, t);
}

/* A register tile whose last vector sticks out over column n: it works on copies. */
static void run_narrow(const nnd_gemm *g, const nnd_gemm_args *args, const spot *at,
                       nnd_tile_args *t)
{
    float c[MAX_ROWS * MAX_PANEL], r[MAX_ROWS * MAX_PANEL], bias[MAX_PANEL] = {0};
    int64_t width = nnd_round_up(at->columns, g->set->block);
    size_t bytes = (size_t)at->columns * sizeof(float);
    float *real = t->c;
    if (t->bias_vector) {
        memcpy(bias, t->bias_vector, bytes);
        t->bias_vector = bias;
    }
    memset(c, 0, sizeof c);
    memset(r, 0, sizeof r);
    for (int64_t i = 0; i < at->rows; i++) {
        if (t->accumulate) memcpy(c + i * width, real + i * t->c_row, bytes);
        if (t->r) memcpy(r + i * width, args->r + (at->m + i) * g->desc.ldr + at->n, bytes);
    }
    int64_t c_row = t->c_row;
    if (t->r) t->r = r;
    t->c = c;
    t->c_row = t->r_row = width;
    run_tile(g, at->rows, width / g->set->block, t);
    for (int64_t i = 0; i < at->rows; i++)
        memcpy(real + i * c_row, c + i * width, bytes);
}

static void run_spot(const nnd_gemm *g, const nnd_gemm_args *args, const spot *at,
                     const float *packed_a)
{
    static const ptrdiff_t origin = 0;
    const nnd_gemm_desc *d = &g->desc;
    bool first = at->k == 0, last = at->k + at->depth >= d->k;
    const float *bias = args->bias;
    float scalar[MAX_ROWS];
    nnd_tile_args t = {
        .a = packed_a,
        .a_step = !reads_a(g)  ? g->set->tile_rows
                  : d->trans_a ? d->lda
                               : 1,
        .segments = {{&origin, 1, (size_t)packed_rows(g, at->depth)}},
        .b = args->packed_b + packed_offset(g, at->k, at->depth, at->n),
        .c = args->c + at->m * d->ldc + at->n,
        .c_row = d->ldc,
        .c_vector = g->set->block,
        .accumulate = !first,
        .r_row = d->ldr,
        .r_vector = g->set->block,
        .beta = d->beta,
        .low = -INFINITY,
        .high = INFINITY,
    };
    if (g->bf16 && !g->bf16->pairs) t.a_step *= 2;
    if (first && d->beta != 0.0f) t.r = args->r + at->m * d->ldr + at->n;
    if (first && bias && d->bias == NND_GEMM_BIAS_COLUMN) t.bias_vector = bias + at->n;
    if (first && bias && d->bias == NND_GEMM_BIAS_ROW) t.bias_row = bias + at->m;
    if (first && bias && d->bias == NND_GEMM_BIAS_SCALAR) {
        for (int64_t i = 0; i < at->rows; i++)
            scalar[i] = bias[0];
        t.bias_row = scalar;
    }
    bool clamp = true;
    if (last) clamp = nnd_act_is_clamp(&d->act, &t.low, &t.high);
    if (at->columns % g->set->block)
        run_narrow(g, args, at, &t);
    else
        run_tile(g, at->rows, at->columns / g->set->block, &t);
    if (clamp) return;
    for (int64_t i = 0; i < at->rows; i++) {
        float *row = args->c + (at->m + i) * d->ldc + at->n;
        g->set->act(&d->act, row, row, (size_t)at->columns);
    }
}

/* Rows [m0, m1) × columns [n0, n1) for k in [k0, k0 + depth). */
static void run_chunk(const nnd_gemm *g, const nnd_gemm_args *args, int64_t m0, int64_t m1,
                      int64_t n0, int64_t n1, int64_t k0, int64_t depth, float *packed_a)
{
    int64_t rows = m1 - m0, pieces = nnd_ceil_div(rows, g->set->tile_rows);
    int64_t piece_floats = g->set->tile_rows * (g->bf16 ? nnd_round_up(depth, 2) : depth);
    const nnd_gemm_desc *d = &g->desc;
    const float *a = reads_a(g) ? args->a + k0 * (d->trans_a ? d->lda : 1) : packed_a;
    for (int64_t i = 0; i < pieces && a == packed_a; i++) {
        int64_t m = m0 + nnd_part(rows, pieces, i), end = m0 + nnd_part(rows, pieces, i + 1);
        float *to = packed_a + i * piece_floats;
        if (g->bf16)
            pack_rounded(g, args->a, m, end - m, k0, depth, to, packed_a + g->mc * g->kc);
        else
            pack_rows(g->set, d, args->a, m, end - m, k0, depth, to);
    }
    for (int64_t n = n0; n < n1; n += g->panel) {
        for (int64_t i = 0; i < pieces; i++) {
            int64_t m = m0 + nnd_part(rows, pieces, i), end = m0 + nnd_part(rows, pieces, i + 1);
            spot at = {m, end - m, n, NND_MIN(g->panel, n1 - n), k0, depth};
            run_spot(g, args, &at, a + i * piece_floats);
        }
    }
}

void nnd_gemm_run_tile(const nnd_gemm *g, const nnd_gemm_args *args, size_t tile, void *scratch)
{
    const nnd_gemm_desc *d = &g->desc;
    int64_t m0 = (int64_t)tile % g->m_tiles * g->mc;
    int64_t n0 = (int64_t)tile / g->m_tiles * g->nc;
    int64_t m1 = NND_MIN(d->m, m0 + g->mc), n1 = NND_MIN(d->n, n0 + g->nc);
    if (is_reference(g)) {
        nnd_f32_gemm_reference(d, args, m0, m1, n0, n1);
        return;
    }
    if (d->k == 0) {
        run_chunk(g, args, m0, m1, n0, n1, 0, 0, scratch);
        return;
    }
    for (int64_t k0 = 0; k0 < d->k; k0 += g->kc)
        run_chunk(g, args, m0, m1, n0, n1, k0, NND_MIN(g->kc, d->k - k0), scratch);
}
