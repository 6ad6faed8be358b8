/*
 * com.microsoft's operators on batches without padding: RemovePadding, RestorePadding and
 * PackedMultiHeadAttention. The rows of all sequences lie one after the other; a list of offsets
 * has the places of the rows in the padded batch, those of padding last, another one says where
 * each sequence begins.
 */
#include <math.h>
#include <string.h>

#include "engine/ops/attention.h"
#include "engine/ops/real.h"

/* ---- RemovePadding ------------------------------------------------------------------------- */

enum { OFFSETS = 1, STARTS, LONGEST };

/* Rows that are no padding. */
static nnd_status count_rows(const nnd_op_ctx *c, int64_t *rows)
{
    const nnd_tensor *x = c->in[0], *lengths = c->in[1];
    *rows = 0;
    for (int64_t i = 0; i < x->dims[0]; i++) {
        const int32_t n = ((const int32_t *)lengths->data)[i];
        if (n < 0 || n > x->dims[1])
            return nnd_op_fail(c, NND_E_FORMAT, "sequence %lld has %d rows, there are %lld",
                               (long long)i, (int)n, (long long)x->dims[1]);
        *rows += n;
    }
    return NND_OK;
}

static nnd_status remove_infer(nnd_op_ctx *c)
{
    const nnd_tensor *x, *lengths;
    int64_t rows;
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    NND_TRY(nnd_op_expect(c, 1, 1u << NND_I32));
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_known(c, 1, &lengths));
    if (x->rank != 3 || nnd_tensor_count(lengths) != x->dims[0] ||
        nnd_op_span(x, 0, 2) >= INT32_MAX)
        return nnd_op_fail(c, NND_E_SHAPE, "there is not one length for each sequence");
    NND_TRY(count_rows(c, &rows));
    NND_TRY(nnd_op_output(c, 0, x->dtype, 2, (const int64_t[]){rows, x->dims[2]}));
    NND_TRY(nnd_op_output(c, OFFSETS, NND_I32, 2, x->dims));
    NND_TRY(nnd_op_output(c, STARTS, NND_I32, 1, (const int64_t[]){x->dims[0] + 1}));
    return nnd_op_output(c, LONGEST, NND_I32, 1, (const int64_t[]){1});
}

static int32_t *wanted(const nnd_op_ctx *c, size_t i)
{
    return i < c->out_count ? c->out[i].data : NULL;
}

static nnd_status remove_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0];
    const int32_t *lengths = c->in[1]->data;
    int32_t *offsets = wanted(c, OFFSETS), *starts = wanted(c, STARTS), longest = 0, done = 0;
    const int32_t rows = (int32_t)x->dims[1];
    const size_t row = (size_t)x->dims[2] * nnd_op_element(x->dtype);
    int64_t real;
    NND_TRY(count_rows(c, &real));
    int32_t padding = (int32_t)real;
    for (int32_t b = 0; b < (int32_t)x->dims[0]; b++) {
        const int32_t n = lengths[b];
        if (starts) starts[b] = done;
        if (c->out[0].data && n)
            memcpy((char *)c->out[0].data + (size_t)done * row,
                   (const char *)x->data + (size_t)b * (size_t)rows * row, (size_t)n * row);
        for (int32_t i = 0; i < rows && offsets; i++)
            offsets[i < n ? done + i : padding + i - n] = b * rows + i;
        done += n;
        padding += rows - n;
        longest = n > longest ? n : longest;
    }
    if (starts) starts[x->dims[0]] = done;
    if (wanted(c, LONGEST)) wanted(c, LONGEST)[0] = longest;
    return NND_OK;
}

/* ---- RestorePadding ------------------------------------------------------------------------ */

static nnd_status restore_infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    NND_TRY(nnd_op_expect(c, 1, 1u << NND_I32));
    const nnd_tensor *x = c->in[0], *offsets = c->in[1];
    if (x->rank != 2 || offsets->rank != 2 || x->dims[0] > nnd_tensor_count(offsets))
        return nnd_op_fail(c, NND_E_SHAPE, "there is not an offset for each row");
    const int64_t dims[3] = {offsets->dims[0], offsets->dims[1], x->dims[1]};
    return nnd_op_output(c, 0, x->dtype, 3, dims);
}

static nnd_status restore_run(nnd_op_ctx *c)
{
    const nnd_tensor *x = c->in[0], *y = &c->out[0];
    const int32_t *offsets = c->in[1]->data;
    const size_t row = (size_t)x->dims[1] * nnd_op_element(x->dtype);
    if (!row || nnd_tensor_count(y) == 0) return NND_OK;
    memset(y->data, 0, nnd_tensor_bytes(y));
    for (int64_t i = 0; i < x->dims[0]; i++) {
        if (offsets[i] < 0 || offsets[i] >= nnd_tensor_count(c->in[1]))
            return nnd_op_fail(c, NND_E_FORMAT, "offset %d is outside of the batch",
                               (int)offsets[i]);
        memcpy((char *)y->data + (size_t)offsets[i] * row, (const char *)x->data + (size_t)i * row,
               row);
    }
    return NND_OK;
}

/* ---- PackedMultiHeadAttention -------------------------------------------------------------- */

enum { Q, K, V, BIAS, TOKENS, SEQUENCES, SCORE_BIAS };

typedef struct packed {
    size_t heads, size, v_size, rows, batch, longest;
    bool together; /* one operand [rows, heads, 3, size] */
} packed;

static nnd_status check_operands(const nnd_op_ctx *c, packed *p)
{
    const nnd_tensor *q = c->in[Q], *k = nnd_op_in(c, K), *v = nnd_op_in(c, V);
    const int64_t heads = nnd_node_int(c->node, "num_heads", 0);
    p->heads = heads > 0 ? (size_t)heads : 1;
    p->together = !k && !v;
    bool fits = heads > 0 && q->rank > 0;
    if (p->together) {
        fits = fits && q->rank == 4 && q->dims[1] == heads && q->dims[2] == 3;
        p->size = p->v_size = fits ? (size_t)q->dims[3] : 0;
    } else {
        fits = fits && k && v && q->rank == 2 && k->rank == 2 && v->rank == 2 &&
               q->dims[1] % heads == 0 && v->dims[1] % heads == 0 && k->dims[1] == q->dims[1] &&
               k->dims[0] == q->dims[0] && v->dims[0] == q->dims[0];
        p->size = fits ? (size_t)(q->dims[1] / heads) : 0;
        p->v_size = fits ? (size_t)(v->dims[1] / heads) : 0;
    }
    if (!fits)
        return nnd_op_fail(c, NND_E_SHAPE, "query, key and value do not fit %lld heads",
                           (long long)heads);
    p->rows = (size_t)q->dims[0];
    const nnd_tensor *bias = nnd_op_in(c, BIAS);
    if (bias && (size_t)nnd_tensor_count(bias) != p->heads * (2 * p->size + p->v_size))
        return nnd_op_fail(c, NND_E_SHAPE, "the bias does not have one value per feature");
    return NND_OK;
}

static nnd_status read_packed(const nnd_op_ctx *c, packed *p)
{
    *p = (packed){0};
    NND_TRY(nnd_op_expect(c, Q, NND_FLOATS));
    const size_t others[] = {K, V, BIAS, SCORE_BIAS};
    for (size_t i = 0; i < NND_COUNT(others); i++)
        if (nnd_op_in(c, others[i])) NND_TRY(nnd_op_expect(c, others[i], 1u << c->in[Q]->dtype));
    NND_TRY(nnd_op_expect(c, TOKENS, 1u << NND_I32));
    NND_TRY(nnd_op_expect(c, SEQUENCES, 1u << NND_I32));
    NND_TRY(check_operands(c, p));
    const nnd_tensor *tokens = c->in[TOKENS], *bias = nnd_op_in(c, SCORE_BIAS);
    if (tokens->rank != 2 || nnd_tensor_count(c->in[SEQUENCES]) != tokens->dims[0] + 1)
        return nnd_op_fail(c, NND_E_SHAPE, "there is not one beginning for each sequence");
    p->batch = (size_t)tokens->dims[0];
    p->longest = (size_t)tokens->dims[1];
    if (!bias) return NND_OK;
    const int64_t want[4] = {tokens->dims[0], (int64_t)p->heads, tokens->dims[1], tokens->dims[1]};
    for (int i = 0; i < 4; i++)
        if (bias->rank != 4 || (bias->dims[i] != want[i] && (i > 1 || bias->dims[i] != 1)))
            return nnd_op_fail(c, NND_E_SHAPE, "the score bias does not fit the sequences");
    return NND_OK;
}

static nnd_status packed_infer(nnd_op_ctx *c)
{
    packed p;
    NND_TRY(read_packed(c, &p));
    const int64_t dims[2] = {(int64_t)p.rows, (int64_t)(p.heads * p.v_size)};
    return nnd_op_output(c, 0, c->in[Q]->dtype, 2, dims);
}

static nnd_attention attention_of(const nnd_op_ctx *c, const packed *p)
{
    const float scale = nnd_node_float(c->node, "scale", 0.0f);
    return (nnd_attention){.batch = 1,
                           .heads = p->heads,
                           .kv_heads = p->heads,
                           .rows = p->longest,
                           .keys = p->longest,
                           .size = p->size,
                           .v_size = p->v_size,
                           .scale =
                               scale != 0 ? scale : 1.0f / sqrtf((float)(p->size ? p->size : 1))};
}

static nnd_status packed_plan(nnd_op_ctx *c)
{
    packed p;
    NND_TRY(read_packed(c, &p));
    const nnd_attention a = attention_of(c, &p);
    c->lane_bytes = nnd_attention_lane_bytes(&a);
    c->kernel = "attention";
    return NND_OK;
}

typedef struct operands {
    nnd_real q, k, v, bias, scores, result;
    float *with_bias[3], *y;
} operands;

/* Heads of one operand, with its part of the bias. */
static nnd_status read_heads(const nnd_op_ctx *c, const packed *p, operands *o, size_t which,
                             nnd_heads *out)
{
    const float *parts[3] = {o->q.data, o->k.data, o->v.data};
    const size_t size = which == V ? p->v_size : p->size, n = p->heads * size;
    *out = nnd_heads_packed(parts[which], p->rows, p->heads, size);
    if (p->together)
        *out = (nnd_heads){.data = o->q.data + which * size, .head = 3 * size, .row = 3 * n};
    if (!o->bias.data) return NND_OK;
    float *to = o->with_bias[which] = nnd_alloc_aligned(p->rows * n * sizeof(*to) + 1, 64);
    const float *bias = o->bias.data + which * p->heads * p->size;
    if (!to) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory to add the bias");
    for (size_t r = 0; r < p->rows; r++)
        for (size_t h = 0; h < p->heads; h++)
            for (size_t i = 0; i < size; i++)
                to[r * n + h * size + i] =
                    out->data[r * out->row + h * out->head + i] + bias[h * size + i];
    *out = nnd_heads_packed(to, p->rows, p->heads, size);
    return NND_OK;
}

/* Rows [from, to) of one sequence attend each other. */
static nnd_status attend(nnd_op_ctx *c, const packed *p, const operands *o, nnd_attention a,
                         size_t sequence, int32_t from, int32_t to)
{
    if (from < 0 || to < from || (size_t)to > p->rows || (size_t)(to - from) > p->longest)
        return nnd_op_fail(c, NND_E_FORMAT, "sequence %zu has rows %d to %d", sequence, (int)from,
                           (int)to);
    a.rows = a.keys = (size_t)(to - from);
    a.q.data += (size_t)from * a.q.row;
    a.k.data += (size_t)from * a.k.row;
    a.v.data += (size_t)from * a.v.row;
    a.y_row = p->heads * p->v_size;
    a.y_head = p->v_size;
    a.y = o->y + (size_t)from * a.y_row;
    if (o->scores.data) {
        const nnd_tensor *t = c->in[SCORE_BIAS];
        const size_t matrix = p->longest * p->longest, heads = (size_t)t->dims[1];
        a.bias =
            (nnd_bias){.data = o->scores.data + (t->dims[0] > 1 ? sequence : 0) * heads * matrix,
                       .head = heads > 1 ? matrix : 0,
                       .row = p->longest,
                       .column = 1,
                       .columns = a.keys};
    }
    return nnd_attention_run(c, &a);
}

static nnd_status attend_all(nnd_op_ctx *c, const packed *p, operands *o)
{
    const int32_t *starts = c->in[SEQUENCES]->data;
    nnd_attention a = attention_of(c, p);
    NND_TRY(nnd_real_read(c->in[Q], &o->q));
    NND_TRY(nnd_real_read(nnd_op_in(c, K), &o->k));
    NND_TRY(nnd_real_read(nnd_op_in(c, V), &o->v));
    NND_TRY(nnd_real_read(nnd_op_in(c, BIAS), &o->bias));
    NND_TRY(nnd_real_read(nnd_op_in(c, SCORE_BIAS), &o->scores));
    NND_TRY(nnd_real_result(&c->out[0], true, &o->result, &o->y));
    NND_TRY(read_heads(c, p, o, Q, &a.q));
    NND_TRY(read_heads(c, p, o, K, &a.k));
    NND_TRY(read_heads(c, p, o, V, &a.v));
    for (size_t i = 0; i < p->batch; i++)
        NND_TRY(attend(c, p, o, a, i, starts[i], starts[i + 1]));
    return nnd_real_write(&c->out[0], &o->result);
}

static nnd_status packed_run(nnd_op_ctx *c)
{
    packed p;
    operands o = {0};
    NND_TRY(read_packed(c, &p));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    nnd_status status = attend_all(c, &p, &o);
    nnd_real *all[] = {&o.q, &o.k, &o.v, &o.bias, &o.scores, &o.result};
    for (size_t i = 0; i < NND_COUNT(all); i++)
        nnd_real_free(all[i]);
    for (size_t i = 0; i < NND_COUNT(o.with_bias); i++)
        nnd_free_aligned(o.with_bias[i]);
    return status;
}

static double packed_flops(const nnd_op_ctx *c)
{
    packed p;
    if (read_packed(c, &p) != NND_OK) return 0;
    /* The lengths are not known: as if all were of one size. */
    const double rows = (double)p.rows, keys = rows / (double)(p.batch ? p.batch : 1);
    return 2.0 * rows * keys * (double)p.heads * (double)(p.size + p.v_size);
}

#define MS "com.microsoft"
static const nnd_op ops[] = {
    {MS, "RemovePadding", 1, 0, 2, 2, 1, 4, 0, remove_infer, remove_run, .variant = 0},
    {MS, "RestorePadding", 1, 0, 2, 2, 1, 1, 0, restore_infer, restore_run, .variant = 0},
    {MS, "PackedMultiHeadAttention", 1, 0, 1, 7, 1, 1, 0, packed_infer, packed_run,
     .plan = packed_plan, .flops = packed_flops, .variant = 0},
};
const nnd_op_family nnd_ops_padding = {ops, NND_COUNT(ops)};
