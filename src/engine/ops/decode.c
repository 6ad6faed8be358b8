/*
 * com.microsoft's helpers of decoding loops: NGramRepeatBlock keeps a text from repeating itself,
 * BifurcationDetector joins guessed tokens to it, DynamicTimeWarping lays two sequences side by
 * side.
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "engine/ops/op.h"

/* ---- NGramRepeatBlock ---------------------------------------------------------------------- */

static nnd_status ngram_infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_I64));
    NND_TRY(nnd_op_expect(c, 1, 1u << NND_F32));
    const nnd_tensor *ids = c->in[0], *scores = c->in[1];
    if (ids->rank != 2 || scores->rank != 2 || ids->dims[0] != scores->dims[0])
        return nnd_op_fail(c, NND_E_SHAPE, "tokens and scores do not have the same rows");
    if (nnd_node_int(c->node, "ngram_size", 0) < 1)
        return nnd_op_fail(c, NND_E_SHAPE, "ngram_size is not positive");
    return nnd_op_like(c, 0, 1);
}

/* Tokens that would end a run of n which is there already are out of question. */
static nnd_status ngram_row(void *user, size_t row, int lane)
{
    const nnd_op_ctx *c = user;
    const int64_t length = c->in[0]->dims[1], words = c->in[1]->dims[1];
    const int64_t n = nnd_node_int(c->node, "ngram_size", 1);
    const int64_t *ids = (const int64_t *)c->in[0]->data + row * (size_t)length;
    float *y = (float *)c->out[0].data + row * (size_t)words;
    (void)lane;
    if (words)
        memcpy(y, (const float *)c->in[1]->data + row * (size_t)words, (size_t)words * sizeof(*y));
    for (int64_t i = 0; n <= length && i <= length - n; i++) {
        const int64_t *last = ids + length - (n - 1), id = ids[i + n - 1];
        if (memcmp(ids + i, last, (size_t)(n - 1) * sizeof(*ids)) != 0) continue;
        if (id < 0 || id >= words)
            return nnd_op_fail(c, NND_E_FORMAT, "token %lld is outside of %lld words",
                               (long long)id, (long long)words);
        y[id] = -INFINITY;
    }
    return NND_OK;
}

static nnd_status ngram_run(nnd_op_ctx *c)
{
    return nnd_op_for(c, (size_t)c->in[0]->dims[0], ngram_row, c);
}

/* ---- BifurcationDetector ----------------------------------------------------------------------
 */

enum { SOURCE, TEXT, MATCH, GUESS };

typedef struct tokens {
    const int64_t *items;
    int64_t count;
} tokens;

static nnd_status tokens_of(const nnd_op_ctx *c, size_t i, tokens *out)
{
    const nnd_tensor *t = nnd_op_in(c, i);
    *out = (tokens){0};
    if (!t && i == GUESS) return NND_OK;
    NND_TRY(nnd_op_expect(c, i, 1u << NND_I64));
    *out = (tokens){t->data, nnd_tensor_count(t)};
    return NND_OK;
}

static nnd_status detector_infer(nnd_op_ctx *c)
{
    tokens t;
    for (size_t i = SOURCE; i <= GUESS; i++)
        NND_TRY(tokens_of(c, i, &t));
    return nnd_op_not_ahead(c);
}

/* How many of the guessed tokens are kept: those that the source has as well, and the next one. */
static nnd_status count_kept(const nnd_op_ctx *c, const tokens *source, const tokens *guess,
                             int64_t *kept)
{
    *kept = 0;
    if (!nnd_op_in(c, GUESS)) return NND_OK;
    const int64_t from = nnd_tensor_count(c->in[MATCH]) == 1 ? nnd_op_int_at(c->in[MATCH], 0) : -1;
    if (from < 0 || from > source->count || guess->count != source->count - from + 1)
        return nnd_op_fail(c, NND_E_SHAPE, "%lld guessed tokens from place %lld of %lld",
                           (long long)guess->count, (long long)from, (long long)source->count);
    while (*kept < source->count - from && guess->items[*kept] == source->items[from + *kept])
        (*kept)++;
    (*kept)++;
    return NND_OK;
}

/* The first place from `from` on where the source has the last n tokens of the text; −1 = none. */
static int64_t find_last(const tokens *source, const tokens *text, int64_t n, int64_t from)
{
    const int64_t *last = text->items + text->count - n;
    for (int64_t i = from; i <= source->count - n; i++)
        if (memcmp(source->items + i, last, (size_t)n * sizeof(*last)) == 0) return i;
    return -1;
}

/* Behind the one place of the source that ends as the text does; longer ends are tried while there
   are several such places. */
static int64_t find_match(const nnd_op_ctx *c, const tokens *source, const tokens *text)
{
    const int64_t most = nnd_node_int(c->node, "max_ngram_size", 3);
    int64_t n = nnd_node_int(c->node, "min_ngram_size", 1);
    for (; n >= 1 && n <= most && n <= text->count; n++) {
        const int64_t at = find_last(source, text, n, 0);
        if (at < 0) return -1;
        if (find_last(source, text, n, at + 1) < 0) return at + n;
    }
    return -1;
}

static nnd_status detector_run(nnd_op_ctx *c)
{
    tokens source, text, guess;
    int64_t kept;
    NND_TRY(tokens_of(c, SOURCE, &source));
    NND_TRY(tokens_of(c, TEXT, &text));
    NND_TRY(tokens_of(c, GUESS, &guess));
    NND_TRY(count_kept(c, &source, &guess, &kept));
    const int64_t count = text.count + kept, one = 1;
    int64_t *all = nnd_alloc((size_t)count * sizeof(*all) + 1);
    if (!all) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for the tokens");
    if (text.count) memcpy(all, text.items, (size_t)text.count * sizeof(*all));
    if (kept) memcpy(all + text.count, guess.items, (size_t)kept * sizeof(*all));
    const tokens joined = {all, count};
    const int64_t match = find_match(c, &source, &joined);
    nnd_status status = nnd_op_make_output(c, 0, NND_I64, 1, &count);
    if (status == NND_OK && c->out[0].data && count)
        memcpy(c->out[0].data, all, (size_t)count * sizeof(*all));
    nnd_free(all);
    if (status != NND_OK || c->out_count < 2) return status;
    NND_TRY(nnd_op_make_output(c, 1, NND_I64, 1, &one));
    if (c->out[1].data) *(int64_t *)c->out[1].data = match;
    return NND_OK;
}

/* ---- DynamicTimeWarping -------------------------------------------------------------------- */

/* Where the cheapest path to a cell comes from. */
enum { DIAGONAL, ABOVE, LEFT };

typedef struct warp {
    const float *cost;
    size_t rows, columns;
    uint8_t *from; /* rows·columns */
    float *best;   /* two rows of columns + 1 */
} warp;

static nnd_status warp_read(const nnd_op_ctx *c, warp *w)
{
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_F32));
    const nnd_tensor *x = c->in[0];
    if (x->rank != 2 && (x->rank != 3 || x->dims[0] != 1))
        return nnd_op_fail(c, NND_E_SHAPE, "the costs are no matrix");
    *w = (warp){.cost = x->data,
                .rows = (size_t)x->dims[x->rank - 2],
                .columns = (size_t)x->dims[x->rank - 1]};
    if (w->rows && w->columns) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "there are no costs");
}

static nnd_status warp_infer(nnd_op_ctx *c)
{
    warp w;
    NND_TRY(warp_read(c, &w));
    return nnd_op_not_ahead(c);
}

/* Of equal ways the one from the left, as of all that are not the cheapest alone. */
static void find_ways(const warp *w)
{
    float *before = w->best, *now = w->best + w->columns + 1;
    for (size_t k = 0; k <= w->columns; k++)
        before[k] = k ? INFINITY : 0;
    for (size_t i = 0; i < w->rows; i++) {
        now[0] = INFINITY;
        for (size_t k = 0; k < w->columns; k++) {
            const float diagonal = before[k], above = before[k + 1], left = now[k];
            uint8_t way = LEFT;
            if (diagonal < above && diagonal < left)
                way = DIAGONAL;
            else if (above < diagonal && above < left)
                way = ABOVE;
            const float least = way == LEFT ? left : way == ABOVE ? above : diagonal;
            now[k + 1] = w->cost[i * w->columns + k] + least;
            w->from[i * w->columns + k] = way;
        }
        float *swap = before;
        before = now;
        now = swap;
    }
}

/* The path, found from its end; only counted without `rows`. */
static size_t walk(const warp *w, int32_t *rows, int32_t *columns, size_t length)
{
    size_t i = w->rows, k = w->columns, steps = 0;
    while (i > 0 && k > 0) {
        const uint8_t way = w->from[(i - 1) * w->columns + k - 1];
        steps++;
        if (rows) {
            rows[length - steps] = (int32_t)(i - 1);
            columns[length - steps] = (int32_t)(k - 1);
        }
        i -= way != LEFT;
        k -= way != ABOVE;
    }
    return steps;
}

static nnd_status warp_output(nnd_op_ctx *c, const warp *w)
{
    const size_t length = walk(w, NULL, NULL, 0);
    const int64_t dims[2] = {2, (int64_t)length};
    NND_TRY(nnd_op_make_output(c, 0, NND_I32, 2, dims));
    int32_t *y = c->out[0].data;
    if (y) walk(w, y, y + length, length);
    return NND_OK;
}

static nnd_status warp_run(nnd_op_ctx *c)
{
    warp w;
    size_t cells;
    NND_TRY(warp_read(c, &w));
    if (!nnd_size_mul(w.rows, w.columns, &cells) || w.rows > INT32_MAX || w.columns > INT32_MAX)
        return nnd_op_fail(c, NND_E_OVERFLOW, "the costs are too many");
    w.from = nnd_alloc(cells);
    w.best = nnd_calloc(2 * (w.columns + 1), sizeof(*w.best));
    nnd_status status = NND_OK;
    if (!w.from || !w.best) status = nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for the ways");
    if (status == NND_OK) {
        find_ways(&w);
        status = warp_output(c, &w);
    }
    nnd_free(w.from);
    nnd_free(w.best);
    return status;
}

#define MS "com.microsoft"
static const nnd_op ops[] = {
    {MS, "NGramRepeatBlock", 1, 0, 2, 2, 1, 1, 0, ngram_infer, ngram_run, .variant = 0},
    {MS, "BifurcationDetector", 1, 0, 3, 4, 1, 2, NND_OP_DYNAMIC, detector_infer, detector_run,
     .variant = 0},
    {MS, "DynamicTimeWarping", 1, 0, 1, 1, 1, 1, NND_OP_DYNAMIC, warp_infer, warp_run,
     .variant = 0},
};
const nnd_op_family nnd_ops_decode = {ops, NND_COUNT(ops)};
