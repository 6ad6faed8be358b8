/* Attention of ai.onnx: 3-D and 4-D operands, grouped heads, cache, masks, taps of the scores. */
#include <math.h>
#include <string.h>

#include "engine/ops/attention.h"
#include "engine/ops/real.h"

enum { Q, K, V, MASK, PAST_K, PAST_V, VALID, INPUTS };

typedef struct shape {
    int64_t batch, heads, kv_heads, rows, keys, past, size, v_size;
    bool planar; /* 4-D */
} shape;

/* [batch, heads, rows, size] or [batch, rows, heads·size] */
static nnd_status read_operand(const nnd_op_ctx *c, size_t i, int64_t heads, int64_t *dims)
{
    const nnd_tensor *t = c->in[i];
    if (t->rank == 4) {
        memcpy(dims, t->dims, 4 * sizeof(*dims));
        return NND_OK;
    }
    if (heads < 1 || heads > 65536 || t->dims[2] % heads)
        return nnd_op_fail(c, NND_E_SHAPE,
                           "%lld heads do not divide the last dimension of input %zu",
                           (long long)heads, i);
    dims[0] = t->dims[0];
    dims[1] = heads;
    dims[2] = t->dims[1];
    dims[3] = t->dims[2] / heads;
    return NND_OK;
}

static nnd_status read_past(const nnd_op_ctx *c, shape *s)
{
    const nnd_tensor *k = nnd_op_in(c, PAST_K), *v = nnd_op_in(c, PAST_V);
    s->past = 0;
    if (!k && !v) return NND_OK;
    bool fits = k && v && k->rank == 4 && v->rank == 4 && k->dims[2] == v->dims[2];
    for (int i = 0; fits && i < 2; i++) {
        int64_t want = i ? s->kv_heads : s->batch;
        fits = k->dims[i] == want && v->dims[i] == want;
    }
    if (!fits || k->dims[3] != s->size || v->dims[3] != s->v_size)
        return nnd_op_fail(c, NND_E_SHAPE, "the past keys and values do not fit the new ones");
    s->past = k->dims[2];
    return NND_OK;
}

static nnd_status read_shape(const nnd_op_ctx *c, shape *s)
{
    int64_t q[4], k[4], v[4];
    for (size_t i = 0; i < PAST_V + 1; i++)
        if (i < MASK || nnd_op_in(c, i))
            NND_TRY(nnd_op_expect(c, i, i == MASK ? NND_NUMBERS | 1u << NND_BOOL : NND_FLOATS));
    int rank = c->in[Q]->rank;
    if ((rank != 3 && rank != 4) || c->in[K]->rank != rank || c->in[V]->rank != rank)
        return nnd_op_fail(c, NND_E_SHAPE, "query, key and value are not all 3-D or all 4-D");
    s->planar = rank == 4;
    int64_t q_heads = nnd_node_int(c->node, "q_num_heads", 0);
    int64_t kv_heads = nnd_node_int(c->node, "kv_num_heads", 0);
    NND_TRY(read_operand(c, Q, q_heads, q));
    NND_TRY(read_operand(c, K, kv_heads, k));
    NND_TRY(read_operand(c, V, kv_heads, v));
    if (q[0] != k[0] || q[0] != v[0] || k[1] != v[1] || k[2] != v[2] || q[3] != k[3] || k[1] < 1 ||
        q[1] % k[1])
        return nnd_op_fail(c, NND_E_SHAPE, "query, key and value do not fit each other");
    s->batch = q[0];
    s->heads = q[1];
    s->rows = q[2];
    s->size = q[3];
    s->kv_heads = k[1];
    s->keys = k[2];
    s->v_size = v[3];
    NND_TRY(read_past(c, s));
    const nnd_tensor *valid = nnd_op_in(c, VALID);
    if (!valid) return NND_OK;
    NND_TRY(nnd_op_expect(c, VALID, 1u << NND_I64));
    if (nnd_tensor_count(valid) != s->batch)
        return nnd_op_fail(c, NND_E_SHAPE, "nonpad_kv_seqlen does not have one value per batch");
    return NND_OK;
}

static nnd_status attention_infer(nnd_op_ctx *c)
{
    shape s;
    NND_TRY(read_shape(c, &s));
    nnd_dtype type = c->in[Q]->dtype;
    int64_t total = s.past + s.keys;
    int64_t packed[3] = {s.batch, s.rows, s.planar ? 0 : s.heads * s.v_size};
    int64_t planar[4] = {s.batch, s.heads, s.rows, s.v_size};
    NND_TRY(nnd_op_output(c, 0, type, s.planar ? 4 : 3, s.planar ? planar : packed));
    int64_t keys[4] = {s.batch, s.kv_heads, total, s.size};
    int64_t values[4] = {s.batch, s.kv_heads, total, s.v_size};
    int64_t scores[4] = {s.batch, s.heads, s.rows, total};
    NND_TRY(nnd_op_output(c, 1, c->in[K]->dtype, 4, keys));
    NND_TRY(nnd_op_output(c, 2, c->in[V]->dtype, 4, values));
    return nnd_op_output(c, 3, type, 4, scores);
}

static nnd_attention sizes_of(const shape *s)
{
    return (nnd_attention){.batch = (size_t)s->batch,
                           .heads = (size_t)s->heads,
                           .kv_heads = (size_t)s->kv_heads,
                           .rows = (size_t)s->rows,
                           .keys = (size_t)(s->past + s->keys),
                           .size = (size_t)s->size,
                           .v_size = (size_t)s->v_size};
}

static nnd_status attention_plan(nnd_op_ctx *c)
{
    shape s;
    NND_TRY(read_shape(c, &s));
    nnd_attention a = sizes_of(&s);
    /* Any address will do: scores that are wanted are made row by row. */
    if (c->out_count > 3 && c->node->outputs[3] != NND_NO_ID) a.tap = &a.scale;
    c->lane_bytes = nnd_attention_lane_bytes(&a);
    return NND_OK;
}

/* Memory of one run. */
typedef struct run {
    shape s;
    nnd_attention a;
    nnd_real q, k, v, mask, past_k, past_v, y, tap, all_k, all_v;
    int64_t *offset;
} run;

static void run_free(run *r)
{
    nnd_real *all[] = {&r->q,      &r->k, &r->v,   &r->mask,  &r->past_k,
                       &r->past_v, &r->y, &r->tap, &r->all_k, &r->all_v};
    for (size_t i = 0; i < NND_COUNT(all); i++)
        nnd_real_free(all[i]);
    nnd_free(r->offset);
}

static nnd_heads heads_of(const shape *s, const nnd_real *r, int64_t rows, int64_t heads,
                          int64_t size)
{
    return (s->planar ? nnd_heads_planar : nnd_heads_packed)(r->data, (size_t)rows, (size_t)heads,
                                                             (size_t)size);
}

static nnd_status read_inputs(nnd_op_ctx *c, run *r)
{
    NND_TRY(read_shape(c, &r->s));
    NND_TRY(nnd_real_read(c->in[Q], &r->q));
    NND_TRY(nnd_real_read(c->in[K], &r->k));
    NND_TRY(nnd_real_read(c->in[V], &r->v));
    NND_TRY(nnd_real_read(nnd_op_in(c, PAST_K), &r->past_k));
    NND_TRY(nnd_real_read(nnd_op_in(c, PAST_V), &r->past_v));
    const nnd_tensor *mask = nnd_op_in(c, MASK);
    return mask && mask->dtype != NND_BOOL ? nnd_real_read(mask, &r->mask) : NND_OK;
}

/* Keys (or values) behind the past ones, in the output when somebody wants it there. */
static nnd_status join(nnd_op_ctx *c, run *r, size_t output, const nnd_real *past, int64_t size,
                       nnd_real *memory, nnd_heads *heads)
{
    const shape *s = &r->s;
    size_t total = (size_t)(s->past + s->keys);
    int64_t dims[4] = {s->batch, s->kv_heads, (int64_t)total, size};
    nnd_tensor unwanted;
    bool wanted = output < c->out_count && c->out[output].data;
    float *to;
    if (!wanted && !past->data) return NND_OK;
    NND_TRY(nnd_tensor_init(&unwanted, NND_F32, 4, dims, NULL));
    NND_TRY(nnd_real_result(wanted ? &c->out[output] : &unwanted, true, memory, &to));
    nnd_heads_append(to, total, past->data, (size_t)s->past, (size_t)s->past, heads,
                     (size_t)s->keys, (size_t)s->batch, (size_t)s->kv_heads, (size_t)size);
    *heads = nnd_heads_planar(to, total, (size_t)s->kv_heads, (size_t)size);
    return NND_OK;
}

/* The last row of the queries belongs to the last key that is there. */
static nnd_status set_offsets(nnd_op_ctx *c, run *r)
{
    const nnd_tensor *valid = nnd_op_in(c, VALID);
    r->a.valid = valid ? valid->data : NULL;
    r->offset = nnd_calloc((size_t)r->s.batch + 1, sizeof(*r->offset));
    if (!r->offset) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for the offsets");
    for (int64_t i = 0; i < r->s.batch; i++) {
        int64_t there = valid ? r->a.valid[i] : 0, limit = (int64_t)1 << 40;
        if (there > limit || there < -limit)
            return nnd_op_fail(c, NND_E_FORMAT, "nonpad_kv_seqlen holds %lld", (long long)there);
        r->offset[i] = valid ? there - r->s.rows : r->s.past;
    }
    r->a.offset = r->offset;
    return NND_OK;
}

static nnd_status attend(nnd_op_ctx *c, run *r)
{
    const shape *s = &r->s;
    NND_TRY(read_inputs(c, r));
    nnd_attention *a = &r->a;
    *a = sizes_of(s);
    a->softcap = nnd_node_float(c->node, "softcap", 0);
    a->causal = nnd_node_int(c->node, "is_causal", 0) != 0;
    a->scale = nnd_node_float(c->node, "scale", 1.0f / sqrtf((float)(s->size ? s->size : 1)));
    a->q = heads_of(s, &r->q, s->rows, s->heads, s->size);
    a->k = heads_of(s, &r->k, s->keys, s->kv_heads, s->size);
    a->v = heads_of(s, &r->v, s->keys, s->kv_heads, s->v_size);
    NND_TRY(join(c, r, 1, &r->past_k, s->size, &r->all_k, &a->k));
    NND_TRY(join(c, r, 2, &r->past_v, s->v_size, &r->all_v, &a->v));
    const nnd_tensor *mask = nnd_op_in(c, MASK);
    bool bytes = mask && mask->dtype == NND_BOOL;
    NND_TRY(nnd_bias_read(c, mask, r->mask.data, a, bytes ? &a->choice : &a->mask));
    NND_TRY(set_offsets(c, r));
    NND_TRY(nnd_real_result(&c->out[0], true, &r->y, &a->y));
    nnd_heads y = heads_of(s, &r->y, s->rows, s->heads, s->v_size);
    a->y_batch = y.batch;
    a->y_head = y.head;
    a->y_row = y.row;
    a->tap_stage = (nnd_attention_stage)nnd_node_int(c->node, "qk_matmul_output_mode", 0);
    if (c->out_count > 3) NND_TRY(nnd_real_result(&c->out[3], false, &r->tap, &a->tap));
    NND_TRY(nnd_attention_run(c, a));
    NND_TRY(nnd_real_write(&c->out[0], &r->y));
    if (c->out_count > 1) NND_TRY(nnd_real_write(&c->out[1], &r->all_k));
    if (c->out_count > 2) NND_TRY(nnd_real_write(&c->out[2], &r->all_v));
    return c->out_count > 3 ? nnd_real_write(&c->out[3], &r->tap) : NND_OK;
}

static nnd_status attention_run(nnd_op_ctx *c)
{
    run r = {0};
    nnd_status status = attend(c, &r);
    run_free(&r);
    return status;
}

static double attention_flops(const nnd_op_ctx *c)
{
    shape s;
    if (read_shape(c, &s) != NND_OK) return 0;
    return 2.0 * (double)s.batch * (double)s.heads * (double)s.rows * (double)(s.past + s.keys) *
           (double)(s.size + s.v_size);
}

static const nnd_op ops[] = {
    {"", "Attention", 23, 0, 3, INPUTS, 1, 4, 0, attention_infer, attention_run,
     .plan = attention_plan, .flops = attention_flops},
};
const nnd_op_family nnd_ops_attention = {ops, NND_COUNT(ops)};
