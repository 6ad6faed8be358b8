/*
 * The attention driver. A tile is a block of query rows of one (batch, key head): the rows of all
 * query heads that share the key head, one head after the other. For each block of keys it packs
 * keys and values once and then takes the rows piece by piece, a register tile's rows at a time:
 *
 *   scores   tile_planar    packed queries [size][rows] × panels of keys
 *   weights  attention_row  in place, with the running maximum and sum of each row
 *   output   tile_blocked   weights × panels of values, added to the block's sums
 *
 * A piece's scores lie as [vector of keys][row][lane], which is what the first tile kernel can
 * write and the second one can read, so nothing is transposed in between.
 */
#include "engine/kernels/attention.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "engine/kernels/reference/reference.h"

enum {
    KEYS = 128,    /* keys of a block */
    ROWS = 96,     /* rows that share a packed block, about */
    MAX_ROWS = 16, /* of a register tile */
    MAX_VLEN = 16,
    TILE_MACS = 32 << 20
};

void nnd_attention_sight(const nnd_attention *a, size_t batch, size_t row, size_t *from, size_t *to)
{
    int64_t keys = (int64_t)a->keys, first = 0, end = a->valid ? a->valid[batch] : keys;
    if (a->causal) {
        int64_t last = (int64_t)row + 1 + (a->offset ? a->offset[batch] : 0);
        if (last < end) end = last;
        if (a->window > 0 && last > a->window) first = last - a->window;
    }
    end = end < 0 ? 0 : NND_MIN(end, keys);
    *to = (size_t)end;
    *from = (size_t)NND_MIN(first, end);
}

/* ---- cutting ------------------------------------------------------------------------------- */

static bool row_by_row(const nnd_attention *a, const nnd_kernel_set *set)
{
    return !set->attention_row || a->tap;
}

static size_t rows_of_unit(const nnd_attention *a)
{
    return a->kv_heads ? a->heads / a->kv_heads * a->rows : 0;
}

/* Rows of a block: whole register tiles, fewer when there are very many keys. */
static size_t block_rows(const nnd_attention *a, const nnd_kernel_set *set)
{
    double macs = (double)a->keys * ((double)a->size + (double)a->v_size) + 1;
    size_t pieces = NND_MAX(1, ROWS / (size_t)set->tile_rows);
    double fit = TILE_MACS / macs / set->tile_rows;
    if (fit < (double)pieces) pieces = fit < 1 ? 1 : (size_t)fit;
    return pieces * (size_t)set->tile_rows;
}

static size_t blocks_of_unit(const nnd_attention *a, const nnd_kernel_set *set)
{
    size_t most = block_rows(a, set);
    return (rows_of_unit(a) + most - 1) / most;
}

size_t nnd_attention_tiles(const nnd_attention *a)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    if (row_by_row(a, set)) return a->batch * a->heads * a->rows;
    return a->batch * a->kv_heads * blocks_of_unit(a, set);
}

/* ---- scratch ------------------------------------------------------------------------------- */

/* One block of rows and what it needs, parts of the lane's scratch. */
typedef struct lane {
    const nnd_attention *a;
    const nnd_kernel_set *set;
    size_t rows;    /* of the block, at most */
    size_t panel;   /* columns of a packed panel */
    size_t v_width; /* v_size in whole vectors */
    float *q, *k, *v, *scores, *out, *most, *sum, *terms;
} lane;

static size_t in_vectors(const lane *l, size_t n)
{
    size_t lanes = (size_t)l->set->block;
    return (n + lanes - 1) / lanes * lanes;
}

/* Whether the bytes of a lane can be counted. */
static bool is_countable(const nnd_attention *a)
{
    const size_t limit = SIZE_MAX / 64 / KEYS;
    return a->size <= limit && a->v_size <= limit;
}

/* Places the parts from `base` on, nowhere when it is NULL; returns their bytes. */
static size_t place_lane(const nnd_attention *a, const nnd_kernel_set *set, float *base, lane *l)
{
    *l = (lane){.a = a, .set = set, .rows = block_rows(a, set)};
    l->panel = (size_t)set->tile_vectors * (size_t)set->block;
    l->v_width = in_vectors(l, a->v_size);
    const struct {
        float **part;
        size_t floats;
    } parts[] = {
        {&l->q, l->rows * a->size}, {&l->k, KEYS * a->size},
        {&l->v, KEYS * l->v_width}, {&l->scores, KEYS * (size_t)set->tile_rows},
        {&l->most, l->rows},        {&l->sum, l->rows},
        {&l->terms, 3 * KEYS},      {&l->out, l->rows * l->v_width},
    };
    size_t at = 0;
    for (size_t i = 0; i < NND_COUNT(parts); i++) {
        if (base) *parts[i].part = base + at;
        at += (parts[i].floats + MAX_VLEN - 1) / MAX_VLEN * MAX_VLEN;
    }
    return at * sizeof(float);
}

size_t nnd_attention_lane_bytes(const nnd_attention *a)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    lane l;
    if (!a->batch || !rows_of_unit(a)) return 0;
    if (row_by_row(a, set))
        return a->keys < SIZE_MAX / 8 ? (a->keys + 1) * sizeof(float) : SIZE_MAX / 2;
    return is_countable(a) ? place_lane(a, set, NULL, &l) : SIZE_MAX / 2;
}

/* ---- packing ------------------------------------------------------------------------------- */

/* `rows` rows of a head as [size][ld], element by element where the kernel's transposition does not
   apply. */
static void pack_rows(const lane *l, const float *from, size_t row, size_t step, size_t rows,
                      float *to, size_t ld)
{
    size_t size = l->a->size;
    if (step <= 1) {
        l->set->transpose(from, row, to, ld, rows, size);
        return;
    }
    for (size_t d = 0; d < size; d++) {
        if (row == 1) memcpy(to + d * ld, from + d * step, rows * sizeof(*to));
        for (size_t i = 0; row != 1 && i < rows; i++)
            to[d * ld + i] = from[i * row + d * step];
    }
}

/* Where a row of the unit's block is. */
typedef struct spot {
    size_t batch, head, row;
} spot;

static spot spot_of(const nnd_attention *a, size_t unit, size_t row)
{
    size_t group = a->heads / a->kv_heads;
    return (spot){unit / a->kv_heads, unit % a->kv_heads * group + row / a->rows, row % a->rows};
}

/* Rows of one piece, scaled; a piece may go from one head to the next. */
static void pack_queries(const lane *l, size_t unit, size_t first, size_t count, float *to)
{
    const nnd_attention *a = l->a;
    size_t ld = (size_t)l->set->tile_rows;
    for (size_t i = 0; i < count;) {
        spot s = spot_of(a, unit, first + i);
        size_t n = NND_MIN(count - i, a->rows - s.row);
        const float *q = a->q.data + s.batch * a->q.batch + s.head * a->q.head + s.row * a->q.row;
        pack_rows(l, q, a->q.row, a->q.step, n, to + i, ld);
        i += n;
    }
    for (size_t d = 0; a->scale != 1.0f && d < a->size; d++)
        for (size_t i = 0; i < count; i++)
            to[d * ld + i] *= a->scale;
}

/* Keys [from, from + count) as panels [size][width]; columns beyond the last one are 0. */
static void pack_keys(const lane *l, const float *k, size_t from, size_t count)
{
    const nnd_attention *a = l->a;
    for (size_t n = 0; n < count; n += l->panel) {
        size_t stored = NND_MIN(l->panel, count - n), width = in_vectors(l, stored);
        float *to = l->k + n * a->size;
        pack_rows(l, k + (from + n) * a->k.row, a->k.row, a->k.step, stored, to, width);
        for (size_t d = 0; d < a->size && stored < width; d++)
            memset(to + d * width + stored, 0, (width - stored) * sizeof(*to));
    }
}

/* Values of those keys as panels [key][width]; what fills up to whole vectors is 0. */
static void pack_values(const lane *l, const float *v, size_t from, size_t count)
{
    const nnd_attention *a = l->a;
    size_t depth = in_vectors(l, count), step = a->v.step ? a->v.step : 1;
    for (size_t n = 0; n < a->v_size; n += l->panel) {
        size_t stored = NND_MIN(l->panel, a->v_size - n), width = in_vectors(l, stored);
        float *to = l->v + n * depth;
        for (size_t key = 0; key < count; key++, to += width) {
            const float *row = v + (from + key) * a->v.row + n * step;
            if (step == 1) memcpy(to, row, stored * sizeof(*to));
            for (size_t i = 0; step != 1 && i < stored; i++)
                to[i] = row[i * step];
            for (size_t i = stored; i < width; i++)
                to[i] = 0.0f;
        }
        memset(to, 0, (depth - count) * width * sizeof(*to));
    }
}

/* ---- one block of keys --------------------------------------------------------------------- */

static void run_tiles(const lane *l, bool planar, size_t rows, size_t columns, size_t depth,
                      nnd_tile_args *t)
{
    const float *b = t->b;
    float *c = t->c;
    t->low = -INFINITY;
    t->high = INFINITY;
    for (size_t n = 0; n < columns; n += l->panel) {
        size_t width = NND_MIN(l->panel, columns - n), vectors = width / (size_t)l->set->block;
        t->b = b + n * depth;
        t->c = c + n / (size_t)l->set->block * (size_t)t->c_vector;
        (planar ? l->set->tile_planar : l->set->tile_blocked)((int)rows, (int)vectors, t);
    }
}

static void make_scores(const lane *l, const float *q, size_t rows, size_t keys)
{
    static const ptrdiff_t origin = 0;
    size_t lanes = (size_t)l->set->block;
    nnd_tile_args t = {.a = q,
                       .a_step = l->set->tile_rows,
                       .segments = {{&origin, 1, l->a->size}},
                       .b = l->k,
                       .c = l->scores,
                       .c_row = (ptrdiff_t)lanes,
                       .c_vector = (ptrdiff_t)(rows * lanes)};
    run_tiles(l, true, rows, in_vectors(l, keys), l->a->size, &t);
}

static void add_values(const lane *l, float *out, size_t rows, size_t keys)
{
    ptrdiff_t taps[KEYS];
    size_t lanes = (size_t)l->set->block, count = in_vectors(l, keys) / lanes;
    for (size_t i = 0; i < count; i++)
        taps[i] = (ptrdiff_t)(i * rows * lanes);
    nnd_tile_args t = {.a = l->scores,
                       .segments = {{taps, count, lanes}},
                       .b = l->v,
                       .c = out,
                       .c_row = (ptrdiff_t)l->v_width,
                       .c_vector = (ptrdiff_t)lanes,
                       .accumulate = true};
    run_tiles(l, false, rows, l->v_width, count * lanes, &t);
}

/* The terms of a row for keys [from, from + count), NaN for a score that stays: the bias itself
   where it lies dense. */
static const float *terms_of(const nnd_bias *b, const spot *s, size_t from, size_t count,
                             float *buffer)
{
    size_t start = s->batch * b->batch + s->head * b->head + s->row * b->row;
    if (!b->data && !b->keep) return NULL;
    if (b->data && b->column == 1 && from + count <= b->columns) return b->data + start + from;
    for (size_t i = 0; i < count; i++) {
        size_t at = start + (from + i) * b->column;
        if (from + i >= b->columns)
            buffer[i] = -INFINITY;
        else if (b->data)
            buffer[i] = b->data[at];
        else
            buffer[i] = (b->keep[at] != 0) != b->inverted ? NAN : b->fill;
    }
    return buffer;
}

/* Part of the keys [begin, end) that lies in the block from `from` on. */
static size_t inside(size_t position, size_t from, size_t count)
{
    return position < from ? 0 : NND_MIN(position - from, count);
}

/* Rows [first, first + rows) of the unit, which are those from `row` on of the block, meet keys
   [from, from + keys). */
static void run_piece(const lane *l, size_t unit, size_t first, size_t row, size_t rows,
                      size_t from, size_t keys)
{
    const nnd_attention *a = l->a;
    size_t lanes = (size_t)l->set->block;
    make_scores(l, l->q + row * a->size, rows, keys);
    for (size_t i = 0; i < rows; i++) {
        spot s = spot_of(a, unit, first + i);
        size_t begin, end;
        nnd_attention_sight(a, s.batch, s.row, &begin, &end);
        nnd_attention_row r = {.scores = l->scores + i * lanes,
                               .step = rows * lanes,
                               .keys = keys,
                               .first = inside(begin, from, keys),
                               .last = inside(end, from, keys),
                               .softcap = a->softcap,
                               .most = l->most[row + i],
                               .sum = l->sum[row + i],
                               .out = l->out + (row + i) * l->v_width,
                               .out_size = l->v_width};
        r.first_add = terms_of(&a->bias, &s, from, keys, l->terms);
        r.instead = terms_of(&a->choice, &s, from, keys, l->terms + KEYS);
        r.last_add = terms_of(&a->mask, &s, from, keys, l->terms + 2 * KEYS);
        l->set->attention_row(&r);
        l->most[row + i] = r.most;
        l->sum[row + i] = r.sum;
    }
    add_values(l, l->out + row * l->v_width, rows, keys);
}

/* ---- tiles --------------------------------------------------------------------------------- */

static void finish_row(const lane *l, const spot *s, size_t row)
{
    const nnd_attention *a = l->a;
    float *y = a->y + s->batch * a->y_batch + s->head * a->y_head + s->row * a->y_row;
    float *out = l->out + row * l->v_width, sum = l->sum[row];
    float by = sum != 0 ? 1.0f / sum : a->empty_is_nan && a->keys ? NAN : 0.0f;
    if (by == by || !a->nan_is_zero)
        l->set->scale_shift(out, by, 0.0f, y, a->v_size);
    else
        memset(y, 0, a->v_size * sizeof(*y));
}

static void run_block(const lane *l, size_t unit, size_t first, size_t rows)
{
    const nnd_attention *a = l->a;
    size_t batch = unit / a->kv_heads, kv = unit % a->kv_heads, step = (size_t)l->set->tile_rows;
    const float *k = a->k.data + batch * a->k.batch + kv * a->k.head;
    const float *v = a->v.data + batch * a->v.batch + kv * a->v.head;
    size_t begin = a->keys, end = 0;
    for (size_t i = 0; i < rows; i++) {
        size_t from, to;
        spot s = spot_of(a, unit, first + i);
        nnd_attention_sight(a, batch, s.row, &from, &to);
        if (from < to) begin = NND_MIN(begin, from);
        if (from < to) end = NND_MAX(end, to);
        l->most[i] = a->sinks ? a->sinks[s.head] : -INFINITY;
        l->sum[i] = a->sinks ? 1.0f : 0.0f;
    }
    memset(l->out, 0, rows * l->v_width * sizeof(*l->out));
    for (size_t row = 0; row < rows && begin < end; row += step)
        pack_queries(l, unit, first + row, NND_MIN(step, rows - row), l->q + row * a->size);
    for (size_t from = begin; from < end; from += KEYS) {
        size_t keys = NND_MIN((size_t)KEYS, end - from);
        pack_keys(l, k, from, keys);
        pack_values(l, v, from, keys);
        for (size_t row = 0; row < rows; row += step)
            run_piece(l, unit, first + row, row, NND_MIN(step, rows - row), from, keys);
    }
    for (size_t i = 0; i < rows; i++) {
        spot s = spot_of(a, unit, first + i);
        finish_row(l, &s, i);
    }
}

void nnd_attention_run_tile(const nnd_attention *a, size_t tile, void *scratch)
{
    const nnd_kernel_set *set = nnd_kernel_set_current();
    lane l;
    if (row_by_row(a, set)) {
        nnd_f32_attention_reference(a, tile, scratch);
        return;
    }
    (void)place_lane(a, set, scratch, &l);
    int64_t blocks = (int64_t)blocks_of_unit(a, set), block = (int64_t)tile % blocks;
    int64_t rows = (int64_t)rows_of_unit(a);
    size_t first = (size_t)nnd_part(rows, blocks, block);
    run_block(&l, tile / (size_t)blocks, first, (size_t)nnd_part(rows, blocks, block + 1) - first);
}
