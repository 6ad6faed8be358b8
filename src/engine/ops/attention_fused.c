/*
 * Attention as the pass 'attention' writes it: the two products, the softmax between them and what
 * stood around them as one node, on operands of rank 2 to 4 whose matrices are [rows, size],
 * [keys, size] and [keys, v_size]. All dimensions before those broadcast, as in MatMul; and where a
 * term has more rows or columns than the scores of one row or key, these are repeated.
 *
 * Attributes: scale, fill; perm_q, perm_k, perm_v, perm_y (transpositions that have become part of
 * it: operands are read and the result is written through them); inverted, nan_is_zero.
 * Inputs: query, key, value, and three terms that each may be absent: bias (numbers, added),
 * choice (bool: `fill` where it is false, or true when inverted), mask (numbers, added last).
 */
#include <math.h>
#include <string.h>

#include "engine/ops/attention.h"

enum { Q, K, V, BIAS, CHOICE, MASK, INPUTS };
enum { MAX_BATCH = 2, MAX_DIMS = MAX_BATCH + 2 };

/* A tensor of the common rank, seen through a transposition. */
typedef struct view {
    int64_t dims[MAX_DIMS];
    size_t steps[MAX_DIMS];
} view;

typedef struct fused {
    int rank, batch_rank;
    view q, k, v, y;          /* y: without data; dims before its transposition */
    int64_t batch[MAX_BATCH]; /* of the result, 1 where there is none */
    int64_t rows;
} fused;

/* ---- shapes -------------------------------------------------------------------------------- */

/* The order of a transposition; natural when the node does not have it. */
static nnd_status read_perm(const nnd_op_ctx *c, const char *name, int rank, int64_t *perm)
{
    size_t count;
    uint32_t set = 0;
    const int64_t *list = nnd_node_ints(c->node, name, &count);
    for (int i = 0; i < rank; i++)
        perm[i] = list && (size_t)i < count ? list[i] : i;
    if (list && count != (size_t)rank)
        return nnd_op_fail(c, NND_E_SHAPE, "%s does not fit rank %d", name, rank);
    return nnd_op_axes(c, perm, (size_t)rank, rank, &set);
}

/* Sizes and steps of dense dimensions `dims` in the order of `perm`. */
static void make_view(const int64_t *dims, int rank, const int64_t *perm, view *out)
{
    size_t steps[MAX_DIMS], size = 1;
    for (int i = rank; i-- > 0;) {
        steps[i] = size;
        size *= (size_t)dims[i];
    }
    for (int i = 0; i < rank; i++) {
        out->dims[i] = dims[perm[i]];
        out->steps[i] = steps[perm[i]];
    }
}

static nnd_status read_operand(const nnd_op_ctx *c, size_t i, const char *name, int rank, view *out)
{
    int64_t perm[MAX_DIMS];
    NND_TRY(nnd_op_expect(c, i, 1u << NND_F32));
    if (c->in[i]->rank != rank)
        return nnd_op_fail(c, NND_E_SHAPE, "the operands do not have one rank");
    NND_TRY(read_perm(c, name, rank, perm));
    make_view(c->in[i]->dims, rank, perm, out);
    return NND_OK;
}

/* One dimension of the result, which every operand repeats or has. */
static nnd_status join(const nnd_op_ctx *c, int64_t *extent, int64_t more)
{
    if (*extent == 1) *extent = more;
    if (more == 1 || more == *extent) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "dimensions %lld and %lld do not broadcast",
                       (long long)*extent, (long long)more);
}

static nnd_status join_terms(const nnd_op_ctx *c, fused *f)
{
    const uint32_t number = 1u << NND_F32, byte = 1u << NND_BOOL;
    for (size_t i = BIAS; i < INPUTS; i++) {
        const nnd_tensor *t = nnd_op_in(c, i);
        if (!t) continue;
        NND_TRY(nnd_op_expect(c, i, i == CHOICE ? byte : number));
        if (t->rank > f->rank)
            return nnd_op_fail(c, NND_E_SHAPE, "a mask has rank %d, the scores have %d", t->rank,
                               f->rank);
        for (int d = 0; d + 1 < f->rank; d++) {
            int at = d - (f->rank - t->rank);
            int64_t *extent = d < f->batch_rank ? &f->batch[d] : &f->rows;
            if (at >= 0) NND_TRY(join(c, extent, t->dims[at]));
        }
    }
    return NND_OK;
}

static nnd_status read_fused(const nnd_op_ctx *c, fused *f)
{
    const nnd_tensor *q;
    NND_TRY(nnd_op_need(c, Q, &q));
    if (q->rank < 2 || q->rank > MAX_DIMS)
        return nnd_op_fail(c, NND_E_SHAPE, "the query has rank %d", q->rank);
    *f = (fused){.rank = q->rank, .batch_rank = q->rank - 2, .batch = {1, 1}};
    NND_TRY(read_operand(c, Q, "perm_q", f->rank, &f->q));
    NND_TRY(read_operand(c, K, "perm_k", f->rank, &f->k));
    NND_TRY(read_operand(c, V, "perm_v", f->rank, &f->v));
    int row = f->rank - 2, last = f->rank - 1;
    bool keys_fit = f->k.dims[row] == f->v.dims[row] || f->k.dims[row] == 1;
    if (f->q.dims[last] != f->k.dims[last] || !keys_fit)
        return nnd_op_fail(c, NND_E_SHAPE, "query, key and value do not fit each other");
    for (int i = 0; i < f->batch_rank; i++) {
        NND_TRY(join(c, &f->batch[i], f->q.dims[i]));
        NND_TRY(join(c, &f->batch[i], f->k.dims[i]));
        NND_TRY(join(c, &f->batch[i], f->v.dims[i]));
    }
    f->rows = f->q.dims[row];
    NND_TRY(join_terms(c, f));
    memcpy(f->y.dims, f->batch, (size_t)f->batch_rank * sizeof(*f->batch));
    f->y.dims[row] = f->rows;
    f->y.dims[last] = f->v.dims[last];
    return NND_OK;
}

static nnd_status fused_infer(nnd_op_ctx *c)
{
    fused f;
    int64_t perm[MAX_DIMS], dims[MAX_DIMS];
    NND_TRY(read_fused(c, &f));
    NND_TRY(read_perm(c, "perm_y", f.rank, perm));
    if (perm[f.rank - 1] != f.rank - 1)
        return nnd_op_fail(c, NND_E_SHAPE, "perm_y moves the last dimension");
    for (int i = 0; i < f.rank; i++)
        dims[i] = f.y.dims[perm[i]];
    return nnd_op_output(c, 0, NND_F32, f.rank, dims);
}

/* ---- the kernel ---------------------------------------------------------------------------- */

static nnd_attention sizes_of(const fused *f)
{
    int row = f->rank - 2, last = f->rank - 1;
    size_t heads = (size_t)f->batch[f->batch_rank > 1];
    return (nnd_attention){.batch = f->batch_rank > 1 ? (size_t)f->batch[0] : 1,
                           .heads = heads,
                           .kv_heads = heads,
                           .rows = (size_t)f->rows,
                           .keys = (size_t)f->v.dims[row],
                           .size = (size_t)f->q.dims[last],
                           .v_size = (size_t)f->v.dims[last]};
}

static nnd_status fused_plan(nnd_op_ctx *c)
{
    fused f;
    NND_TRY(read_fused(c, &f));
    nnd_attention a = sizes_of(&f);
    c->lane_bytes = nnd_attention_lane_bytes(&a);
    c->kernel = "tiled";
    return NND_OK;
}

static double fused_flops(const nnd_op_ctx *c)
{
    fused f;
    if (read_fused(c, &f) != NND_OK) return 0;
    nnd_attention a = sizes_of(&f);
    return 2.0 * (double)a.batch * (double)a.heads * (double)a.rows * (double)a.keys *
           ((double)a.size + (double)a.v_size);
}

/* A dimension of extent 1 is repeated. */
static size_t step_of(const view *v, int dim)
{
    return dim < 0 || v->dims[dim] == 1 ? 0 : v->steps[dim];
}

static nnd_heads heads_of(const fused *f, const view *v, const float *data)
{
    int row = f->rank - 2;
    return (nnd_heads){.data = data,
                       .batch = step_of(v, row - 2),
                       .head = step_of(v, row - 1),
                       .row = step_of(v, row),
                       .step = v->steps[row + 1]};
}

/* A term of the scores' rank or less, for the kernel in rank 4: [rows, keys] are the last two and
   heads stand before them. */
static nnd_status read_term(const nnd_op_ctx *c, size_t i, const nnd_attention *a, nnd_bias *out)
{
    const nnd_tensor *t = nnd_op_in(c, i);
    nnd_tensor whole;
    if (!t) return NND_OK;
    whole = *t;
    if (!t->rank) {
        whole.rank = 1;
        whole.dims[0] = 1;
    }
    int64_t columns = whole.dims[whole.rank - 1];
    if (columns != 1 && columns != (int64_t)a->keys)
        return nnd_op_fail(c, NND_E_SHAPE, "a mask has %lld columns, the scores have %zu",
                           (long long)columns, a->keys);
    return nnd_bias_read(c, &whole, t->data, a, out);
}

static nnd_status fused_run(nnd_op_ctx *c)
{
    fused f;
    view y;
    int64_t perm[MAX_DIMS], back[MAX_DIMS];
    NND_TRY(read_fused(c, &f));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    NND_TRY(read_perm(c, "perm_y", f.rank, perm));
    for (int i = 0; i < f.rank; i++)
        back[perm[i]] = i;
    make_view(c->out[0].dims, f.rank, back, &y);
    nnd_attention a = sizes_of(&f);
    a.q = heads_of(&f, &f.q, c->in[Q]->data);
    a.k = heads_of(&f, &f.k, c->in[K]->data);
    a.v = heads_of(&f, &f.v, c->in[V]->data);
    a.scale = nnd_node_float(c->node, "scale", 1.0f);
    a.empty_is_nan = true;
    a.nan_is_zero = nnd_node_int(c->node, "nan_is_zero", 0) != 0;
    NND_TRY(read_term(c, BIAS, &a, &a.bias));
    NND_TRY(read_term(c, CHOICE, &a, &a.choice));
    NND_TRY(read_term(c, MASK, &a, &a.mask));
    a.choice.inverted = nnd_node_int(c->node, "inverted", 0) != 0;
    a.choice.fill = nnd_node_float(c->node, "fill", -INFINITY);
    nnd_heads to = heads_of(&f, &y, NULL);
    a.y = c->out[0].data;
    a.y_batch = to.batch;
    a.y_head = to.head;
    a.y_row = to.row;
    return nnd_attention_run(c, &a);
}

const nnd_op nnd_op_fused_attention = {"",
                                       "FusedAttention",
                                       1,
                                       0,
                                       3,
                                       INPUTS,
                                       1,
                                       1,
                                       0,
                                       fused_infer,
                                       fused_run,
                                       .plan = fused_plan,
                                       .flops = fused_flops};
