/*
 * com.microsoft's SparseAttention: causal attention in which a block of query rows sees some blocks
 * of keys only (https://arxiv.org/abs/2404.14219), with a cache of fixed extent.
 *
 * The blocks that a block of rows sees are gathered side by side in the lane's scratch; what
 * remains is ordinary attention, causal in the block on the diagonal alone, which comes last.
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "engine/ops/attention.h"
#include "engine/ops/real.h"
#include "engine/ops/rotary.h"

enum { QUERY, KEY, VALUE, PAST_K, PAST_V, ROW_STARTS, COLUMNS, TOTAL, LENGTHS, COSINE, SINE };
enum { INPUTS = 11, MOST_BLOCK = 1024 };

typedef struct sparse {
    int64_t batch, rows, heads, kv_heads, size, extent; /* extent: rows of the cache */
    int64_t block, layouts, blocks, entries;            /* of the masks */
    bool packed;                                        /* query holds keys and values too */
} sparse;

/* ---- reading --------------------------------------------------------------------------------- */

static nnd_status read_query(const nnd_op_ctx *c, sparse *s)
{
    const nnd_tensor *q = c->in[QUERY], *t;
    s->packed = !nnd_op_in(c, KEY);
    bool sane = q->rank == 3 && s->heads > 0 && s->heads < 65536 && s->kv_heads > 0 &&
                s->heads % s->kv_heads == 0;
    int64_t parts = s->packed ? s->heads + 2 * s->kv_heads : s->heads;
    if (!sane || q->dims[2] % parts)
        return nnd_op_fail(c, NND_E_SHAPE, "the query does not fit the heads");
    s->batch = q->dims[0];
    s->rows = q->dims[1];
    s->size = q->dims[2] / parts;
    for (size_t i = KEY; i <= VALUE && !s->packed; i++) {
        NND_TRY(nnd_op_expect(c, i, 1u << q->dtype));
        t = c->in[i];
        if (t->rank != 3 || t->dims[0] != s->batch || t->dims[1] != s->rows ||
            t->dims[2] != s->kv_heads * s->size)
            return nnd_op_fail(c, NND_E_SHAPE, "input %zu does not fit the query", i);
    }
    for (size_t i = PAST_K; i <= PAST_V; i++) {
        NND_TRY(nnd_op_expect(c, i, 1u << q->dtype));
        t = c->in[i];
        if (t->rank != 4 || t->dims[0] != s->batch || t->dims[1] != s->kv_heads ||
            t->dims[3] != s->size || t->dims[2] != c->in[PAST_K]->dims[2])
            return nnd_op_fail(c, NND_E_SHAPE, "the cache does not fit the query");
    }
    s->extent = c->in[PAST_K]->dims[2];
    return NND_OK;
}

static nnd_status read_mask(const nnd_op_ctx *c, sparse *s)
{
    for (size_t i = ROW_STARTS; i <= LENGTHS; i++)
        NND_TRY(nnd_op_expect(c, i, 1u << NND_I32));
    const nnd_tensor *starts = c->in[ROW_STARTS], *columns = c->in[COLUMNS];
    s->block = nnd_node_int(c->node, "sparse_block_size", 0);
    if (s->block < 1 || s->block > MOST_BLOCK)
        return nnd_op_fail(c, NND_E_SHAPE, "sparse_block_size is missing or impossible");
    if (starts->rank != 2 || columns->rank != 2 || starts->dims[0] < 1 || starts->dims[1] < 2 ||
        columns->dims[0] != starts->dims[0] || s->heads % starts->dims[0])
        return nnd_op_fail(c, NND_E_SHAPE, "the layouts of blocks do not fit %lld heads",
                           (long long)s->heads);
    s->layouts = starts->dims[0];
    s->blocks = starts->dims[1] - 1;
    s->entries = columns->dims[1];
    if (nnd_tensor_count(c->in[TOTAL]) != 1 || nnd_tensor_count(c->in[LENGTHS]) != s->batch)
        return nnd_op_fail(c, NND_E_SHAPE, "there is not one length for each batch");
    return NND_OK;
}

static nnd_status read_sparse(const nnd_op_ctx *c, sparse *s)
{
    const nnd_tensor *cosine = nnd_op_in(c, COSINE), *sine = nnd_op_in(c, SINE);
    *s = (sparse){.heads = nnd_node_int(c->node, "num_heads", 0),
                  .kv_heads = nnd_node_int(c->node, "kv_num_heads", 0)};
    NND_TRY(nnd_op_expect(c, QUERY, NND_FLOATS));
    NND_TRY(read_query(c, s));
    NND_TRY(read_mask(c, s));
    if (!nnd_node_int(c->node, "do_rotary", 0)) return NND_OK;
    if (!cosine || !sine || cosine->rank != 2 || sine->rank != 2 ||
        cosine->dims[0] != sine->dims[0] || cosine->dims[1] != sine->dims[1] ||
        2 * cosine->dims[1] > s->size)
        return nnd_op_fail(c, NND_E_SHAPE, "the cosine and sine caches do not fit the heads");
    NND_TRY(nnd_op_expect(c, COSINE, 1u << c->in[QUERY]->dtype));
    return nnd_op_expect(c, SINE, 1u << c->in[QUERY]->dtype);
}

static nnd_status sparse_infer(nnd_op_ctx *c)
{
    sparse s;
    NND_TRY(read_sparse(c, &s));
    int64_t y[3] = {s.batch, s.rows, s.heads * s.size};
    NND_TRY(nnd_op_output(c, 0, c->in[QUERY]->dtype, 3, y));
    NND_TRY(nnd_op_like(c, 1, PAST_K));
    return nnd_op_like(c, 2, PAST_V);
}

/* As if every block was seen: which ones are is known at run time only. */
static double sparse_flops(const nnd_op_ctx *c)
{
    sparse s;
    if (read_sparse(c, &s) != NND_OK) return 0;
    return 4.0 * (double)s.batch * (double)s.heads * (double)s.rows * (double)s.extent *
           (double)s.size;
}

/* Scratch of a lane: gathered keys, gathered values, and what attention takes. */
static nnd_status lane_bytes(const nnd_op_ctx *c, const sparse *s, size_t *out)
{
    size_t rows = (size_t)(s->rows < s->block ? s->rows : s->block), most = 0, gathered;
    size_t extent = (size_t)s->extent, size = (size_t)s->size;
    for (size_t i = 1; i <= rows; i++) {
        nnd_attention a = {.batch = 1,
                           .heads = 1,
                           .kv_heads = 1,
                           .rows = i,
                           .keys = extent,
                           .size = size,
                           .v_size = size};
        size_t bytes = nnd_attention_lane_bytes(&a);
        if (bytes > most) most = bytes;
    }
    if (!nnd_size_mul(extent * size, 2 * sizeof(float), &gathered) ||
        !nnd_size_align(gathered, NND_KERNEL_ALIGN, &gathered) ||
        !nnd_size_add(gathered, most, out))
        return nnd_op_fail(c, NND_E_OVERFLOW, "the cache is too large");
    return NND_OK;
}

static nnd_status sparse_plan(nnd_op_ctx *c)
{
    sparse s;
    NND_TRY(read_sparse(c, &s));
    return lane_bytes(c, &s, &c->lane_bytes);
}

/* ---- the cache ------------------------------------------------------------------------------- */

typedef struct job {
    const nnd_op_ctx *c;
    sparse s;
    nnd_real in[INPUTS], out[3], turned;
    float *y, *cache[2], *q; /* q: [batch, heads, rows, size], of `turned` */
    int64_t *before;         /* per batch: rows that the cache had */
} job;

/* How many rows each sequence had. A prompt begins them, whatever its padding. */
static nnd_status read_lengths(job *j)
{
    const sparse *s = &j->s;
    const int32_t *lengths = j->c->in[LENGTHS]->data;
    int64_t total = ((const int32_t *)j->c->in[TOTAL]->data)[0];
    j->before = nnd_calloc((size_t)s->batch + 1, sizeof(*j->before));
    if (!j->before) return nnd_op_fail(j->c, NND_E_OUT_OF_MEMORY, "no memory for the lengths");
    for (int64_t b = 0; b < s->batch; b++) {
        int64_t before = total == s->rows ? 0 : (int64_t)lengths[b] - s->rows;
        int64_t until = before + s->rows;
        if (before < 0 || until > s->extent || (until + s->block - 1) / s->block > s->blocks)
            return nnd_op_fail(j->c, NND_E_FORMAT,
                               "a key length of %d fits neither the cache nor the blocks",
                               (int)lengths[b]);
        j->before[b] = before;
    }
    return NND_OK;
}

/* Turns rows [batch, heads, extent, size] in place; those of batch b are `skip`·before[b] rows
   behind the first one. */
static nnd_status turn(const job *j, float *data, int64_t heads, int64_t extent, bool skip)
{
    const nnd_tensor *t = nnd_op_in(j->c, COSINE);
    const sparse *s = &j->s;
    if (!nnd_node_int(j->c->node, "do_rotary", 0)) return NND_OK;
    bool interleaved = nnd_node_int(j->c->node, "rotary_interleaved", 0) != 0;
    size_t half = (size_t)t->dims[1], size = (size_t)s->size;
    for (int64_t i = 0; i < s->batch * heads; i++) {
        int64_t first = j->before[i / heads];
        if (first + s->rows > t->dims[0])
            return nnd_op_fail(j->c, NND_E_FORMAT, "position %lld is outside of the caches",
                               (long long)(first + s->rows - 1));
        for (int64_t row = 0; row < s->rows; row++) {
            size_t angle = (size_t)(first + row) * half;
            float *x = data + (size_t)(i * extent + row + (skip ? first : 0)) * size;
            nnd_rotary_apply(x, x, size, 2 * half, j->in[COSINE].data + angle,
                             j->in[SINE].data + angle, interleaved);
        }
    }
    return NND_OK;
}

/* Where a part of the operands lies: 0 the query, 1 the keys, 2 the values. */
static nnd_heads part_of(const job *j, size_t part)
{
    const sparse *s = &j->s;
    size_t heads = (size_t)s->heads, kv = (size_t)s->kv_heads, size = (size_t)s->size;
    size_t rows = (size_t)s->rows, row = (heads + 2 * kv) * size;
    if (!s->packed)
        return nnd_heads_packed(j->in[QUERY + part].data, rows, part ? kv : heads, size);
    size_t first = part == 0 ? 0 : part == 1 ? heads : heads + kv;
    return (nnd_heads){j->in[QUERY].data + first * size, rows * row, size, row, 1};
}

static nnd_status fill_cache(job *j)
{
    const sparse *s = &j->s;
    size_t extent = (size_t)s->extent, size = (size_t)s->size, kv = (size_t)s->kv_heads;
    size_t rows = (size_t)s->rows, plane = kv * extent * size, all = (size_t)s->batch * plane;
    for (size_t i = 0; i < 2; i++) {
        if (all) memcpy(j->cache[i], j->in[PAST_K + i].data, all * sizeof(float));
        for (size_t b = 0; b < (size_t)s->batch && all; b++) {
            nnd_heads fresh = part_of(j, 1 + i);
            fresh.data += b * fresh.batch;
            nnd_heads_append(j->cache[i] + b * plane + (size_t)j->before[b] * size, extent, NULL, 0,
                             0, &fresh, rows, 1, kv, size);
        }
    }
    return turn(j, j->cache[0], s->kv_heads, s->extent, true);
}

/* ---- attention ------------------------------------------------------------------------------- */

typedef struct sight {
    float *k, *v;
    size_t others, keys; /* keys of other blocks than the rows' own one; all of them */
    bool own;            /* whether that one is seen */
} sight;

static void see(const job *j, size_t plane, int64_t column, int64_t until, sight *e)
{
    const sparse *s = &j->s;
    int64_t first = column * s->block, rows = until - first < s->block ? until - first : s->block;
    size_t size = (size_t)s->size, from = plane * (size_t)(s->extent * s->size);
    from += (size_t)first * size;
    memcpy(e->k + e->keys * size, j->cache[0] + from, (size_t)rows * size * sizeof(*e->k));
    memcpy(e->v + e->keys * size, j->cache[1] + from, (size_t)rows * size * sizeof(*e->v));
    e->keys += (size_t)rows;
}

/* Gathers what the block `row` of a head sees. */
static nnd_status gather(const job *j, size_t batch, size_t head, int64_t row, sight *e)
{
    const sparse *s = &j->s;
    int64_t layout = (int64_t)head % s->layouts, until = j->before[batch] + s->rows, last = -1;
    const int32_t *starts = (const int32_t *)j->c->in[ROW_STARTS]->data + layout * (s->blocks + 1);
    const int32_t *columns = (const int32_t *)j->c->in[COLUMNS]->data + layout * s->entries;
    size_t plane = batch * (size_t)s->kv_heads + head / (size_t)(s->heads / s->kv_heads);
    e->keys = 0;
    e->own = false;
    if (starts[row] < 0 || starts[row + 1] > s->entries)
        return nnd_op_fail(j->c, NND_E_FORMAT, "row %lld of the blocks is outside of them",
                           (long long)row);
    for (int64_t i = starts[row]; i < starts[row + 1]; i++) {
        if (columns[i] <= last)
            return nnd_op_fail(j->c, NND_E_FORMAT, "the blocks of row %lld are in no order",
                               (long long)row);
        last = columns[i];
        e->own |= last == row;
        if (last < row) see(j, plane, last, until, e);
    }
    e->others = e->keys;
    if (e->own) see(j, plane, row, until, e);
    return NND_OK;
}

/* The rows of one block of rows of one head. */
static nnd_status block_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    const sparse *s = &j->s;
    size_t size = (size_t)s->size, heads = (size_t)s->heads, rows = (size_t)s->rows;
    size_t steps = (size_t)((s->rows + s->block - 1) / s->block + 1);
    size_t batch = tile / steps / heads, head = tile / steps % heads;
    int64_t before = j->before[batch], row = before / s->block + (int64_t)(tile % steps);
    int64_t first = row * s->block > before ? row * s->block : before, until = (row + 1) * s->block;
    if (until > before + s->rows) until = before + s->rows;
    if (first >= until) return NND_OK;
    float *memory = nnd_op_lane(j->c, lane);
    sight e = {.k = memory, .v = memory + (size_t)s->extent * size};
    size_t gathered = ((size_t)s->extent * size * 2 * sizeof(float) + NND_KERNEL_ALIGN - 1) /
                      NND_KERNEL_ALIGN * NND_KERNEL_ALIGN;
    NND_TRY(gather(j, batch, head, row, &e));
    int64_t offset = (int64_t)e.others + first - row * s->block;
    const float *q = j->q + ((batch * heads + head) * rows + (size_t)(first - before)) * size;
    float *y = j->y + (batch * rows + (size_t)(first - before)) * heads * size + head * size;
    nnd_attention a = {.batch = 1,
                       .heads = 1,
                       .kv_heads = 1,
                       .rows = (size_t)(until - first),
                       .keys = e.keys,
                       .size = size,
                       .v_size = size,
                       .q = nnd_heads_planar(q, (size_t)(until - first), 1, size),
                       .k = nnd_heads_planar(e.k, e.keys, 1, size),
                       .v = nnd_heads_planar(e.v, e.keys, 1, size),
                       .scale = nnd_node_float(j->c->node, "scale", 0.0f),
                       .causal = e.own,
                       .offset = &offset,
                       .y = y,
                       .y_row = heads * size};
    if (a.scale == 0) a.scale = 1.0f / sqrtf((float)s->size);
    for (size_t i = 0; i < nnd_attention_tiles(&a); i++)
        nnd_attention_run_tile(&a, i, (char *)memory + gathered);
    return NND_OK;
}

/* ---- the operator ---------------------------------------------------------------------------- */

static nnd_status compute(nnd_op_ctx *c, job *j)
{
    const sparse *s = &j->s;
    int64_t dims[4] = {s->batch, s->heads, s->rows, s->size};
    nnd_tensor turned;
    size_t bytes;
    void *memory;
    for (size_t i = 0; i < INPUTS; i++)
        if (i < ROW_STARTS || i > LENGTHS) NND_TRY(nnd_real_read(nnd_op_in(c, i), &j->in[i]));
    NND_TRY(nnd_tensor_init(&turned, NND_F32, 4, dims, NULL));
    NND_TRY(nnd_real_result(&turned, true, &j->turned, &j->q));
    NND_TRY(nnd_real_result(&c->out[0], true, &j->out[0], &j->y));
    for (size_t i = 0; i < 2; i++)
        NND_TRY(nnd_real_result(&c->out[1 + i], true, &j->out[1 + i], &j->cache[i]));
    NND_TRY(read_lengths(j));
    NND_TRY(fill_cache(j));
    nnd_heads q = part_of(j, 0);
    nnd_heads_append(j->q, (size_t)s->rows, NULL, 0, 0, &q, (size_t)s->rows, (size_t)s->batch,
                     (size_t)s->heads, (size_t)s->size);
    NND_TRY(turn(j, j->q, s->heads, s->rows, false));
    NND_TRY(lane_bytes(c, s, &bytes));
    NND_TRY(nnd_op_need_lane(c, bytes, &memory));
    size_t steps = (size_t)((s->rows + s->block - 1) / s->block + 1);
    nnd_status status = nnd_op_for(c, (size_t)(s->batch * s->heads) * steps, block_tile, j);
    nnd_free_aligned(memory);
    NND_TRY(status);
    for (size_t i = 0; i < 3; i++)
        NND_TRY(nnd_real_write(&c->out[i], &j->out[i]));
    return NND_OK;
}

static nnd_status sparse_run(nnd_op_ctx *c)
{
    nnd_op_ctx own = *c; /* its scratch may be this call's */
    job j = {.c = &own};
    NND_TRY(read_sparse(&own, &j.s));
    if (nnd_tensor_count(&c->out[0]) == 0 && nnd_tensor_count(&c->out[1]) == 0) return NND_OK;
    nnd_status status = compute(&own, &j);
    for (size_t i = 0; i < INPUTS; i++)
        nnd_real_free(&j.in[i]);
    for (size_t i = 0; i < 3; i++)
        nnd_real_free(&j.out[i]);
    nnd_real_free(&j.turned);
    nnd_free(j.before);
    return status;
}

static const nnd_op ops[] = {
    {"com.microsoft", "SparseAttention", 1, 0, 1, INPUTS, 3, 3, 0, sparse_infer, sparse_run,
     .plan = sparse_plan, .flops = sparse_flops},
};
const nnd_op_family nnd_ops_sparse = {ops, NND_COUNT(ops)};
