/* com.microsoft's MultiHeadAttention, Attention, QAttention and GroupQueryAttention. */
#include <math.h>
#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/ops/attention.h"
#include "engine/ops/product.h"
#include "engine/ops/real.h"
#include "engine/ops/rotary.h"
#include "engine/packed/packed.h"

/* ---- memory of one run ------------------------------------------------------------------------
 */

enum { BUFFERS = 14 };
typedef struct run {
    nnd_attention a;
    nnd_real buffers[BUFFERS];
    size_t used;
    nnd_real y, present_k, present_v;
    int64_t *offset, *valid;
    int64_t *added; /* GroupQueryAttention: rows of each sequence that are there */
} run;

static void run_free(run *r)
{
    for (size_t i = 0; i < r->used; i++)
        nnd_real_free(&r->buffers[i]);
    nnd_real_free(&r->y);
    nnd_real_free(&r->present_k);
    nnd_real_free(&r->present_v);
    nnd_free(r->offset);
    nnd_free(r->valid);
    nnd_free(r->added);
}

static nnd_status read_real(run *r, const nnd_tensor *t, const float **out)
{
    nnd_real *to = &r->buffers[r->used++];
    nnd_status status = nnd_real_read(t, to);
    *out = to->data;
    return status;
}

static nnd_status make_real(run *r, int rank, const int64_t *dims, float **out)
{
    nnd_tensor t;
    NND_TRY(nnd_tensor_init(&t, NND_F32, rank, dims, NULL));
    return nnd_real_result(&t, true, &r->buffers[r->used++], out);
}

/* Per batch: where the causal diagonal starts and how many keys are there. */
static nnd_status make_limits(const nnd_op_ctx *c, run *r, int64_t offset, int64_t valid)
{
    r->offset = nnd_calloc(r->a.batch + 1, sizeof(*r->offset));
    r->valid = nnd_calloc(r->a.batch + 1, sizeof(*r->valid));
    if (!r->offset || !r->valid) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory to attend");
    for (size_t i = 0; i < r->a.batch; i++) {
        r->offset[i] = offset;
        r->valid[i] = valid;
    }
    r->a.offset = r->offset;
    r->a.valid = r->valid;
    return NND_OK;
}

static float scale_of(const nnd_op_ctx *c, int64_t size)
{
    float scale = nnd_node_float(c->node, "scale", 0.0f);
    return scale != 0 ? scale : 1.0f / sqrtf((float)(size > 0 ? size : 1));
}

/* Result [batch, rows, heads·v_size], attention, conversion back. */
static nnd_status finish(nnd_op_ctx *c, run *r)
{
    nnd_attention *a = &r->a;
    NND_TRY(nnd_real_result(&c->out[0], true, &r->y, &a->y));
    a->y_row = a->heads * a->v_size;
    a->y_head = a->v_size;
    a->y_batch = a->rows * a->y_row;
    NND_TRY(nnd_attention_run(c, a));
    return nnd_real_write(&c->out[0], &r->y);
}

/* Padding masks of integers: [batch] lengths, [batch, keys] or [batch, rows, keys] of 0 and 1. */
static nnd_status read_padding(nnd_op_ctx *c, run *r, const nnd_tensor *t)
{
    nnd_attention *a = &r->a;
    float *data, hidden = nnd_node_float(c->node, "mask_filter_value", -10000.0f);
    if (!t) return NND_OK;
    if (t->dtype != NND_I32)
        return nnd_op_fail(c, NND_E_TYPE, "a padding mask has type %s", nnd_dtype_name(t->dtype));
    const int32_t *mask = t->data;
    if (t->rank == 1 && t->dims[0] == (int64_t)a->batch) {
        for (size_t i = 0; i < a->batch; i++)
            r->valid[i] = mask[i];
        return NND_OK;
    }
    bool whole = t->rank == 3 && t->dims[1] == (int64_t)a->rows;
    if ((t->rank != 2 && !whole) || t->dims[0] != (int64_t)a->batch ||
        t->dims[t->rank - 1] != (int64_t)a->keys)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "a padding mask of this shape is not supported");
    NND_TRY(make_real(r, t->rank, t->dims, &data));
    for (int64_t i = 0; i < nnd_tensor_count(t); i++)
        data[i] = mask[i] > 0 ? 0.0f : hidden;
    size_t rows = whole ? a->rows : 1;
    a->mask = (nnd_bias){.data = data,
                         .batch = rows * a->keys,
                         .row = whole ? a->keys : 0,
                         .column = 1,
                         .columns = a->keys};
    return NND_OK;
}

static nnd_status read_bias(nnd_op_ctx *c, run *r, const nnd_tensor *t)
{
    const float *data;
    if (!t) return NND_OK;
    NND_TRY(read_real(r, t, &data));
    return nnd_bias_read(c, t, data, &r->a, &r->a.bias);
}

/* Puts new keys or values behind old ones: in the output if somebody wants it. */
static nnd_status join(nnd_op_ctx *c, run *r, size_t output, const nnd_tensor *past, size_t size,
                       nnd_real *present, nnd_heads *heads, size_t new_rows)
{
    nnd_attention *a = &r->a;
    bool wanted = output < c->out_count && c->out[output].data;
    size_t old = a->keys - new_rows;
    const float *before = NULL;
    float *to;
    int64_t dims[4] = {(int64_t)a->batch, (int64_t)a->kv_heads, (int64_t)a->keys, (int64_t)size};
    nnd_tensor unwanted;
    if (!wanted && !past) return NND_OK;
    NND_TRY(nnd_tensor_init(&unwanted, NND_F32, 4, dims, NULL));
    NND_TRY(read_real(r, past, &before));
    NND_TRY(nnd_real_result(wanted ? &c->out[output] : &unwanted, true, present, &to));
    nnd_heads_append(to, a->keys, before, old, old, heads, new_rows, a->batch, a->kv_heads, size);
    *heads = nnd_heads_planar(to, a->keys, a->kv_heads, size);
    return NND_OK;
}

/* ---- MultiHeadAttention ------------------------------------------------------------------------
 */

enum { QUERY, KEY, VALUE, BIAS, PADDING, ATTENTION_BIAS, PAST_K, PAST_V };
enum { SEPARATE, PACKED_KV, PACKED_QKV, PLANAR_KV };

typedef struct multi {
    int64_t batch, heads, rows, added, past, size, v_size; /* added: keys that are new */
    int form;
} multi;

static nnd_status multi_form(const nnd_op_ctx *c, multi *m)
{
    const nnd_tensor *q = c->in[QUERY], *k = nnd_op_in(c, KEY), *v = nnd_op_in(c, VALUE);
    bool fits = false;
    m->batch = q->rank ? q->dims[0] : 0;
    m->rows = q->rank > 1 ? q->dims[1] : 0;
    if (!k && q->rank == 5) {
        m->form = PACKED_QKV;
        m->added = m->rows;
        m->size = m->v_size = q->dims[4];
        fits = !v && q->dims[2] == m->heads && q->dims[3] == 3;
    } else if (k && q->rank == 3 && q->dims[2] % m->heads == 0) {
        m->size = q->dims[2] / m->heads;
        m->form = k->rank == 5 ? PACKED_KV : k->rank == 4 ? PLANAR_KV : SEPARATE;
        m->added = k->rank > 2 ? k->dims[m->form == PLANAR_KV ? 2 : 1] : 0;
        m->v_size = m->size;
        fits = k->rank > 2 && k->dims[0] == m->batch;
        if (m->form == PACKED_KV)
            fits = fits && !v && k->dims[2] == m->heads && k->dims[3] == 2 && k->dims[4] == m->size;
        if (m->form == PLANAR_KV) {
            fits = fits && v && v->rank == 4 && k->dims[1] == m->heads && k->dims[3] == m->size &&
                   v->dims[0] == m->batch && v->dims[1] == m->heads && v->dims[2] == m->added;
            if (fits) m->v_size = v->dims[3];
        }
        if (m->form == SEPARATE) {
            fits = fits && v && v->rank == 3 && k->dims[2] == q->dims[2] &&
                   v->dims[0] == m->batch && v->dims[1] == m->added && v->dims[2] % m->heads == 0;
            if (fits) m->v_size = v->dims[2] / m->heads;
        }
    }
    return fits ? NND_OK
                : nnd_op_fail(c, NND_E_SHAPE, "query, key and value do not fit %lld heads",
                              (long long)m->heads);
}

static bool is_cache(const nnd_tensor *t, int64_t batch, int64_t heads, int64_t rows, int64_t size)
{
    return t && t->rank == 4 && t->dims[0] == batch && t->dims[1] == heads && t->dims[2] == rows &&
           t->dims[3] == size;
}

static nnd_status multi_read(const nnd_op_ctx *c, multi *m)
{
    *m = (multi){.heads = nnd_node_int(c->node, "num_heads", 0)};
    NND_TRY(nnd_op_expect(c, QUERY, NND_FLOATS));
    for (size_t i = KEY; i <= PAST_V; i++)
        if (i != PADDING && nnd_op_in(c, i))
            NND_TRY(nnd_op_expect(c, i, 1u << c->in[QUERY]->dtype));
    if (c->in_count > PAST_V + 1 && c->node->formal_count > PAST_V + 1)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "a shared cache is not supported");
    if (m->heads < 1 || m->heads > 65536)
        return nnd_op_fail(c, NND_E_FORMAT, "num_heads is missing or impossible");
    NND_TRY(multi_form(c, m));
    const nnd_tensor *bias = nnd_op_in(c, BIAS), *past = nnd_op_in(c, PAST_K);
    if (bias &&
        (m->form != SEPARATE || nnd_tensor_count(bias) != m->heads * (2 * m->size + m->v_size)))
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "a bias of this shape is not supported");
    if (!past && !nnd_op_in(c, PAST_V)) return NND_OK;
    m->past = past && past->rank == 4 ? past->dims[2] : 0;
    if (is_cache(past, m->batch, m->heads, m->past, m->size) &&
        is_cache(nnd_op_in(c, PAST_V), m->batch, m->heads, m->past, m->v_size))
        return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "the past keys and values do not fit the new ones");
}

static nnd_status multi_infer(nnd_op_ctx *c)
{
    multi m;
    NND_TRY(multi_read(c, &m));
    int64_t total = m.past + m.added;
    int64_t y[3] = {m.batch, m.rows, m.heads * m.v_size};
    int64_t k[4] = {m.batch, m.heads, total, m.size}, v[4] = {m.batch, m.heads, total, m.v_size};
    NND_TRY(nnd_op_output(c, 0, c->in[QUERY]->dtype, 3, y));
    NND_TRY(nnd_op_output(c, 1, c->in[QUERY]->dtype, 4, k));
    return nnd_op_output(c, 2, c->in[QUERY]->dtype, 4, v);
}

static nnd_attention multi_sizes(const multi *m)
{
    size_t heads = (size_t)m->heads;
    return (nnd_attention){.batch = (size_t)m->batch,
                           .heads = heads,
                           .kv_heads = heads,
                           .rows = (size_t)m->rows,
                           .keys = (size_t)(m->past + m->added),
                           .size = (size_t)m->size,
                           .v_size = (size_t)m->v_size};
}

static nnd_status multi_plan(nnd_op_ctx *c)
{
    multi m;
    NND_TRY(multi_read(c, &m));
    nnd_attention a = multi_sizes(&m);
    c->lane_bytes = nnd_attention_lane_bytes(&a);
    return NND_OK;
}

/* Scores and the sum of values: all keys count, also those that a mask hides. */
static double heads_flops(int64_t batch, int64_t heads, int64_t rows, int64_t keys, int64_t sizes)
{
    return 2.0 * (double)batch * (double)heads * (double)rows * (double)keys * (double)sizes;
}

static double multi_flops(const nnd_op_ctx *c)
{
    multi m;
    if (multi_read(c, &m) != NND_OK) return 0;
    return heads_flops(m.batch, m.heads, m.rows, m.past + m.added, m.size + m.v_size);
}

/* Rows of `width` features with a part of the bias added. */
static nnd_status add_features(run *r, const nnd_tensor *t, const float *bias, const float **data)
{
    float *sum;
    if (!bias) return NND_OK;
    NND_TRY(make_real(r, t->rank, t->dims, &sum));
    for (size_t i = 0, n = (size_t)nnd_tensor_count(t), w = (size_t)t->dims[t->rank - 1]; i < n;
         i++)
        sum[i] = (*data)[i] + bias[i % w];
    *data = sum;
    return NND_OK;
}

static nnd_status multi_heads(nnd_op_ctx *c, run *r, const multi *m)
{
    const float *q, *k, *v, *bias;
    size_t heads = (size_t)m->heads, size = (size_t)m->size, v_size = (size_t)m->v_size;
    size_t rows = (size_t)m->rows, keys = (size_t)m->added;
    NND_TRY(read_real(r, c->in[QUERY], &q));
    NND_TRY(read_real(r, nnd_op_in(c, KEY), &k));
    NND_TRY(read_real(r, nnd_op_in(c, VALUE), &v));
    NND_TRY(read_real(r, nnd_op_in(c, BIAS), &bias));
    if (m->form == PACKED_QKV) {
        size_t row = heads * 3 * size;
        r->a.q = (nnd_heads){q, rows * row, 3 * size, row, 1};
        r->a.k = (nnd_heads){q + size, rows * row, 3 * size, row, 1};
        r->a.v = (nnd_heads){q + 2 * size, rows * row, 3 * size, row, 1};
        return NND_OK;
    }
    NND_TRY(add_features(r, c->in[QUERY], bias, &q));
    r->a.q = nnd_heads_packed(q, rows, heads, size);
    if (m->form == PACKED_KV) {
        size_t row = heads * 2 * size;
        r->a.k = (nnd_heads){k, keys * row, 2 * size, row, 1};
        r->a.v = (nnd_heads){k + size, keys * row, 2 * size, row, 1};
    } else if (m->form == PLANAR_KV) {
        r->a.k = nnd_heads_planar(k, keys, heads, size);
        r->a.v = nnd_heads_planar(v, keys, heads, v_size);
    } else {
        NND_TRY(add_features(r, c->in[KEY], bias ? bias + heads * size : NULL, &k));
        NND_TRY(add_features(r, c->in[VALUE], bias ? bias + 2 * heads * size : NULL, &v));
        r->a.k = nnd_heads_packed(k, keys, heads, size);
        r->a.v = nnd_heads_packed(v, keys, heads, v_size);
    }
    return NND_OK;
}

static nnd_status multi_attend(nnd_op_ctx *c, run *r)
{
    multi m;
    NND_TRY(multi_read(c, &m));
    r->a = multi_sizes(&m);
    r->a.scale = scale_of(c, m.size);
    r->a.causal = nnd_node_int(c->node, "unidirectional", 0) != 0;
    NND_TRY(make_limits(c, r, m.past, m.past + m.added));
    NND_TRY(multi_heads(c, r, &m));
    size_t added = (size_t)m.added;
    NND_TRY(join(c, r, 1, nnd_op_in(c, PAST_K), r->a.size, &r->present_k, &r->a.k, added));
    NND_TRY(join(c, r, 2, nnd_op_in(c, PAST_V), r->a.v_size, &r->present_v, &r->a.v, added));
    NND_TRY(read_padding(c, r, nnd_op_in(c, PADDING)));
    NND_TRY(read_bias(c, r, nnd_op_in(c, ATTENTION_BIAS)));
    NND_TRY(finish(c, r));
    if (c->out_count > 1) NND_TRY(nnd_real_write(&c->out[1], &r->present_k));
    return c->out_count > 2 ? nnd_real_write(&c->out[2], &r->present_v) : NND_OK;
}

static nnd_status multi_run(nnd_op_ctx *c)
{
    run r = {0};
    nnd_status status = multi_attend(c, &r);
    run_free(&r);
    return status;
}

/* ---- Attention: projection and attention in one -------------------------------------------------
 */

enum { INPUT, WEIGHTS, PROJECTION_BIAS, MASK_INDEX, PAST, SCORE_BIAS };
/* QAttention, whose input and weights are bytes: scales and zero points are between the others. */
enum { Q_SCALE = 3, Q_WEIGHT_SCALE, Q_MASK_INDEX, Q_ZERO, Q_WEIGHT_ZERO, Q_PAST, Q_INPUTS };
enum { PLAIN, QUANTISED };

typedef struct projected {
    int64_t batch, rows, features, heads, past, size, v_size, width;
} projected;

static bool is_quantised(const nnd_op_ctx *c)
{
    return c->op->variant == QUANTISED;
}

static const nnd_tensor *past_of(const nnd_op_ctx *c)
{
    return nnd_op_in(c, is_quantised(c) ? Q_PAST : PAST);
}

static const nnd_tensor *mask_of(const nnd_op_ctx *c)
{
    return nnd_op_in(c, is_quantised(c) ? Q_MASK_INDEX : MASK_INDEX);
}

/* The type of the result and of everything that is not quantised. */
static nnd_dtype real_type(const nnd_op_ctx *c)
{
    return c->in[is_quantised(c) ? Q_SCALE : INPUT]->dtype;
}

/* One value for all, or one per column of the weights. */
static nnd_status check_scaling(const nnd_op_ctx *c, size_t scale, size_t zero, size_t values)
{
    const uint32_t floats = 1u << NND_F32 | 1u << NND_F16;
    const nnd_tensor *t = c->in[values], *given[2];
    int64_t columns = values == WEIGHTS && t->rank ? t->dims[t->rank - 1] : 1;
    NND_TRY(nnd_op_expect(c, scale, floats));
    if (nnd_op_in(c, zero)) NND_TRY(nnd_op_expect(c, zero, 1u << t->dtype));
    given[0] = c->in[scale];
    given[1] = nnd_op_in(c, zero);
    for (size_t i = 0; i < 2; i++) {
        int64_t n = given[i] ? nnd_tensor_count(given[i]) : 1;
        if (n != 1 && n != columns)
            return nnd_op_fail(c, NND_E_SHAPE, "input %zu does not fit the columns",
                               i ? zero : scale);
    }
    return NND_OK;
}

static nnd_status projected_types(const nnd_op_ctx *c)
{
    const uint32_t bytes = 1u << NND_U8 | 1u << NND_I8;
    if (!is_quantised(c)) {
        NND_TRY(nnd_op_expect(c, INPUT, NND_FLOATS));
        return nnd_op_expect(c, WEIGHTS, 1u << c->in[INPUT]->dtype);
    }
    NND_TRY(nnd_op_expect(c, INPUT, bytes));
    NND_TRY(nnd_op_expect(c, WEIGHTS, bytes));
    NND_TRY(check_scaling(c, Q_SCALE, Q_ZERO, INPUT));
    return check_scaling(c, Q_WEIGHT_SCALE, Q_WEIGHT_ZERO, WEIGHTS);
}

static nnd_status projected_read(const nnd_op_ctx *c, projected *p)
{
    NND_TRY(projected_types(c));
    const nnd_tensor *x = c->in[INPUT], *w = c->in[WEIGHTS];
    const nnd_tensor *bias = nnd_op_in(c, PROJECTION_BIAS), *past = past_of(c);
    size_t count;
    const int64_t *sizes = nnd_node_ints(c->node, "qkv_hidden_sizes", &count);
    *p = (projected){.heads = nnd_node_int(c->node, "num_heads", 0)};
    if (nnd_node_int(c->node, "do_rotary", 0) ||
        c->node->formal_count > (is_quantised(c) ? Q_INPUTS : SCORE_BIAS + 1))
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "rotation and a shared cache are not supported");
    if (x->rank != 3 || w->rank != 2 || w->dims[0] != x->dims[2] || p->heads < 1 ||
        p->heads > 65536)
        return nnd_op_fail(c, NND_E_SHAPE, "input and weights do not fit each other");
    int64_t q = count == 3 ? sizes[0] : w->dims[1] / 3, v = count == 3 ? sizes[2] : w->dims[1] / 3;
    if (q < 0 || v < 0 || q > w->dims[1] || v > w->dims[1] || 2 * q + v != w->dims[1] ||
        (count == 3 && sizes[1] != q) || q % p->heads || v % p->heads)
        return nnd_op_fail(c, NND_E_SHAPE, "the weights do not fit %lld heads",
                           (long long)p->heads);
    if (bias && (bias->dtype != real_type(c) || nnd_tensor_count(bias) != w->dims[1]))
        return nnd_op_fail(c, NND_E_SHAPE, "the bias does not fit the weights");
    p->batch = x->dims[0];
    p->rows = x->dims[1];
    p->features = x->dims[2];
    p->size = q / p->heads;
    p->v_size = v / p->heads;
    p->width = w->dims[1];
    if (!past) return NND_OK;
    bool fits = past->rank == 5 && past->dims[0] == 2 && past->dims[1] == p->batch &&
                past->dims[2] == p->heads && past->dims[4] == p->size && p->size == p->v_size &&
                past->dtype == real_type(c);
    if (!fits) return nnd_op_fail(c, NND_E_SHAPE, "past does not fit the new keys");
    p->past = past->dims[3];
    return NND_OK;
}

static nnd_status projected_infer(nnd_op_ctx *c)
{
    projected p;
    NND_TRY(projected_read(c, &p));
    int64_t y[3] = {p.batch, p.rows, p.heads * p.v_size};
    int64_t present[5] = {2, p.batch, p.heads, p.past + p.rows, p.size};
    if (c->out_count > 1 && p.size != p.v_size)
        return nnd_op_fail(c, NND_E_SHAPE,
                           "keys and values of different sizes have no common "
                           "present output");
    NND_TRY(nnd_op_output(c, 0, real_type(c), 3, y));
    return nnd_op_output(c, 1, real_type(c), 5, present);
}

static double projected_flops(const nnd_op_ctx *c)
{
    projected p;
    if (projected_read(c, &p) != NND_OK) return 0;
    return 2.0 * (double)p.batch * (double)p.rows * (double)p.width * (double)p.features +
           heads_flops(p.batch, p.heads, p.rows, p.past + p.rows, p.size + p.v_size);
}

/* Weights that are packed already have chosen the precision. */
static nnd_status projection_gemm(const nnd_op_ctx *c, const projected *p, bool bias,
                                  nnd_gemm *gemm)
{
    nnd_gemm_desc d = {.m = p->batch * p->rows,
                       .n = p->width,
                       .k = p->features,
                       .alpha = 1.0f,
                       .precision = (nnd_gemm_precision)c->node->packed,
                       .bias = bias ? NND_GEMM_BIAS_COLUMN : NND_GEMM_BIAS_NONE};
    return nnd_gemm_plan(&d, gemm);
}

static nnd_attention projected_sizes(const projected *p)
{
    size_t heads = (size_t)p->heads;
    return (nnd_attention){.batch = (size_t)p->batch,
                           .heads = heads,
                           .kv_heads = heads,
                           .rows = (size_t)p->rows,
                           .keys = (size_t)(p->past + p->rows),
                           .size = (size_t)p->size,
                           .v_size = (size_t)p->v_size};
}

static nnd_status projected_plan(nnd_op_ctx *c)
{
    projected p;
    nnd_gemm gemm;
    NND_TRY(projected_read(c, &p));
    NND_TRY(projection_gemm(c, &p, nnd_op_in(c, PROJECTION_BIAS) != NULL, &gemm));
    nnd_attention a = projected_sizes(&p);
    size_t scores = nnd_attention_lane_bytes(&a);
    size_t product = nnd_gemm_lane_bytes(&gemm);
    c->lane_bytes = scores > product ? scores : product;
    if (!c->node->state) c->workspace_bytes = nnd_gemm_packed_bytes(&gemm);
    return NND_OK;
}

typedef struct project_job {
    const nnd_op_ctx *c;
    nnd_gemm gemm;
    nnd_gemm_args args;
} project_job;

static nnd_status project_tile(void *user, size_t index, int lane)
{
    const project_job *j = user;
    nnd_gemm_run_tile(&j->gemm, &j->args, index, nnd_op_lane(j->c, lane));
    return NND_OK;
}

/* (code − zero)·scale of bytes, in f32; the elements themselves of another type. */
static nnd_status read_operand(nnd_op_ctx *c, run *r, size_t i, size_t scale, size_t zero,
                               const float **out)
{
    const nnd_tensor *t = c->in[i], *scales, *zeros;
    float *values;
    if (!is_quantised(c)) return read_real(r, t, out);
    NND_TRY(make_real(r, t->rank, t->dims, &values));
    scales = c->in[scale];
    zeros = nnd_op_in(c, zero);
    size_t n = (size_t)nnd_tensor_count(t), columns = (size_t)t->dims[t->rank - 1];
    bool one_scale = nnd_tensor_count(scales) == 1;
    bool one_zero = !zeros || nnd_tensor_count(zeros) == 1;
    for (size_t k = 0; k < n; k++) {
        size_t column = k % columns;
        double z = zeros ? nnd_dtype_get(zeros->dtype, zeros->data, one_zero ? 0 : column) : 0;
        double s = nnd_dtype_get(scales->dtype, scales->data, one_scale ? 0 : column);
        values[k] = (float)((nnd_dtype_get(t->dtype, t->data, k) - z) * s);
    }
    *out = values;
    return NND_OK;
}

/* The product with weights that are no constants, packed for this run. */
static nnd_status project_packing(nnd_op_ctx *c, run *r, project_job *j)
{
    const float *weights;
    void *packed = c->workspace;
    NND_TRY(read_operand(c, r, WEIGHTS, Q_WEIGHT_SCALE, Q_WEIGHT_ZERO, &weights));
    if (!packed) packed = nnd_alloc_aligned(nnd_gemm_packed_bytes(&j->gemm), NND_KERNEL_ALIGN);
    if (!packed) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory to pack the weights");
    nnd_gemm_pack_b(&j->gemm, weights, packed);
    j->args.packed_b = packed;
    nnd_status status = nnd_op_for(j->c, nnd_gemm_tiles(&j->gemm), project_tile, j);
    if (!c->workspace) nnd_free_aligned(packed);
    return status;
}

/* input · weights + bias, [batch·rows, width]. */
static nnd_status project(nnd_op_ctx *c, run *r, const projected *p, float **out)
{
    int64_t dims[2] = {p->batch * p->rows, p->width};
    nnd_op_ctx own = *c; /* its scratch is this call's when there is no plan */
    project_job j = {.c = &own};
    const nnd_packed_blob *ready = c->node->state;
    void *scratch;
    NND_TRY(make_real(r, 2, dims, out));
    NND_TRY(read_operand(c, r, INPUT, Q_SCALE, Q_ZERO, &j.args.a));
    NND_TRY(read_real(r, nnd_op_in(c, PROJECTION_BIAS), &j.args.bias));
    NND_TRY(projection_gemm(c, p, j.args.bias != NULL, &j.gemm));
    NND_TRY(nnd_op_need_lane(&own, nnd_gemm_lane_bytes(&j.gemm), &scratch));
    j.args.c = *out;
    if (ready) j.args.packed_b = ready->data;
    nnd_status status = ready ? nnd_op_for(&own, nnd_gemm_tiles(&j.gemm), project_tile, &j)
                              : project_packing(c, r, &j);
    nnd_free_aligned(scratch);
    return status;
}

/* The halves of past and present are keys and values. */
static nnd_status share_cache(nnd_op_ctx *c, run *r, const projected *p)
{
    const nnd_tensor *past = past_of(c);
    bool wanted = c->out_count > 1 && c->out[1].data;
    const float *before;
    float *to;
    int64_t dims[5] = {2, p->batch, p->heads, p->past + p->rows, p->size};
    nnd_tensor unwanted;
    if (!past && !wanted) return NND_OK;
    NND_TRY(nnd_tensor_init(&unwanted, NND_F32, 5, dims, NULL));
    NND_TRY(read_real(r, past, &before));
    NND_TRY(nnd_real_result(wanted ? &c->out[1] : &unwanted, true, &r->present_k, &to));
    size_t old = (size_t)p->past, rows = (size_t)p->rows, size = (size_t)p->size;
    size_t planes = r->a.batch * r->a.heads;
    nnd_heads *halves[2] = {&r->a.k, &r->a.v};
    for (size_t i = 0; i < 2; i++) {
        float *at = to + i * planes * (old + rows) * size;
        nnd_heads_append(at, old + rows, before ? before + i * planes * old * size : NULL, old, old,
                         halves[i], rows, r->a.batch, r->a.heads, size);
        *halves[i] = nnd_heads_planar(at, old + rows, r->a.heads, size);
    }
    return NND_OK;
}

static nnd_status projected_attend(nnd_op_ctx *c, run *r)
{
    projected p;
    float *qkv;
    NND_TRY(projected_read(c, &p));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    size_t heads = (size_t)p.heads, size = (size_t)p.size, width = (size_t)p.width;
    size_t batch = (size_t)p.rows * width;
    NND_TRY(project(c, r, &p, &qkv));
    r->a = projected_sizes(&p);
    r->a.q = (nnd_heads){qkv, batch, size, width, 1};
    r->a.k = (nnd_heads){qkv + heads * size, batch, size, width, 1};
    r->a.v = (nnd_heads){qkv + 2 * heads * size, batch, (size_t)p.v_size, width, 1};
    r->a.scale = scale_of(c, p.size);
    r->a.causal = nnd_node_int(c->node, "unidirectional", 0) != 0;
    NND_TRY(make_limits(c, r, p.past, p.past + p.rows));
    NND_TRY(share_cache(c, r, &p));
    NND_TRY(read_padding(c, r, mask_of(c)));
    NND_TRY(read_bias(c, r, is_quantised(c) ? NULL : nnd_op_in(c, SCORE_BIAS)));
    NND_TRY(finish(c, r));
    return c->out_count > 1 ? nnd_real_write(&c->out[1], &r->present_k) : NND_OK;
}

static nnd_status projected_run(nnd_op_ctx *c)
{
    run r = {0};
    nnd_status status = projected_attend(c, &r);
    run_free(&r);
    return status;
}

/* ---- GroupQueryAttention ------------------------------------------------------------------------
 */

enum { G_QUERY, G_KEY, G_VALUE, G_PAST_K, G_PAST_V, G_LENGTHS, G_TOTAL, G_COS, G_SIN };
enum {
    G_POSITIONS = 9,
    G_BIAS,
    G_SINKS,
    G_K_SCALE,
    G_V_SCALE,
    G_Q_NORM,
    G_K_NORM,
    G_NEW,
    G_INPUTS
};

typedef struct grouped {
    int64_t batch, rows, heads, kv_heads, size, past, total, extent;
    bool packed; /* query holds keys and values too */
    bool prompt; /* nothing is cached */
} grouped;

static bool is_none(const nnd_graph_node *n, const char *name)
{
    return strcmp(nnd_node_string(n, name, "NONE"), "NONE") == 0;
}

static nnd_status grouped_supported(const nnd_op_ctx *c)
{
    const nnd_graph_node *n = c->node;
    if (!is_none(n, "k_quant_type") || !is_none(n, "v_quant_type") || nnd_op_in(c, G_K_SCALE) ||
        nnd_op_in(c, G_V_SCALE))
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "a quantised cache is not supported");
    if (nnd_node_int(n, "sliding_window_cache", 0))
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "a cache of one window is not supported");
    if (nnd_op_in(c, G_Q_NORM) || nnd_op_in(c, G_K_NORM))
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "normalised heads are not supported");
    return NND_OK;
}

/* Positions, a bias of the scores, sinks, and how much of a padded chunk is there. */
static nnd_status grouped_extras(const nnd_op_ctx *c, grouped *g)
{
    const nnd_tensor *positions = nnd_op_in(c, G_POSITIONS), *bias = nnd_op_in(c, G_BIAS);
    const nnd_tensor *sinks = nnd_op_in(c, G_SINKS), *added = nnd_op_in(c, G_NEW);
    g->prompt = !added && g->rows == g->total;
    if (positions && (positions->dtype != NND_I64 || positions->rank != 2 ||
                      positions->dims[0] != g->batch || positions->dims[1] != g->rows))
        return nnd_op_fail(c, NND_E_SHAPE, "position_ids does not have one number per row");
    if (bias && (bias->rank != 4 || bias->dims[3] != g->total))
        return nnd_op_fail(c, NND_E_SHAPE, "attention_bias does not have one term per key");
    if (sinks && (sinks->rank != 1 || sinks->dims[0] != g->heads))
        return nnd_op_fail(c, NND_E_SHAPE, "head_sink does not have one number per head");
    if (added && (added->dtype != NND_I32 || nnd_tensor_count(added) != g->batch))
        return nnd_op_fail(c, NND_E_SHAPE, "query_seqlens does not have one length per batch");
    if (!nnd_node_int(c->node, "causal", 1) && nnd_node_int(c->node, "local_window_size", -1) > 0)
        return nnd_op_fail(c, NND_E_FORMAT, "a local window without causal attention");
    return NND_OK;
}

static nnd_status grouped_cache(const nnd_op_ctx *c, grouped *g)
{
    const nnd_tensor *past = nnd_op_in(c, G_PAST_K), *lengths = c->in[G_LENGTHS], *total;
    g->past = past && past->rank == 4 ? past->dims[2] : 0;
    if ((past || nnd_op_in(c, G_PAST_V)) &&
        !(is_cache(past, g->batch, g->kv_heads, g->past, g->size) &&
          is_cache(nnd_op_in(c, G_PAST_V), g->batch, g->kv_heads, g->past, g->size)))
        return nnd_op_fail(c, NND_E_SHAPE, "the past keys and values do not fit the new ones");
    if (lengths->dtype != NND_I32 || nnd_tensor_count(lengths) != g->batch)
        return nnd_op_fail(c, NND_E_SHAPE, "seqlens_k does not have one length per batch");
    NND_TRY(nnd_op_expect(c, G_TOTAL, 1u << NND_I32));
    NND_TRY(nnd_op_known(c, G_TOTAL, &total));
    g->total = nnd_tensor_count(total) == 1 ? nnd_op_int_at(total, 0) : -1;
    if (g->total < 1 || g->total > INT32_MAX)
        return nnd_op_fail(c, NND_E_SHAPE, "total_sequence_length is impossible");
    g->extent = g->past > g->total ? g->past : g->total;
    return NND_OK;
}

static nnd_status grouped_read(const nnd_op_ctx *c, grouped *g)
{
    const nnd_tensor *q, *t;
    NND_TRY(nnd_op_expect(c, G_QUERY, NND_FLOATS));
    NND_TRY(nnd_op_need(c, G_QUERY, &q));
    NND_TRY(nnd_op_need(c, G_LENGTHS, &t));
    for (size_t i = G_KEY; i <= G_PAST_V; i++)
        if (nnd_op_in(c, i)) NND_TRY(nnd_op_expect(c, i, 1u << q->dtype));
    for (size_t i = G_BIAS; i <= G_SINKS; i++)
        if (nnd_op_in(c, i)) NND_TRY(nnd_op_expect(c, i, 1u << q->dtype));
    NND_TRY(grouped_supported(c));
    *g = (grouped){.heads = nnd_node_int(c->node, "num_heads", 0),
                   .kv_heads = nnd_node_int(c->node, "kv_num_heads", 0),
                   .packed = !nnd_op_in(c, G_KEY)};
    if (!g->kv_heads) g->kv_heads = g->heads;
    bool sane = q->rank == 3 && g->heads > 0 && g->heads < 65536 && g->kv_heads > 0 &&
                g->heads % g->kv_heads == 0;
    int64_t parts = g->packed ? g->heads + 2 * g->kv_heads : g->heads;
    if (!sane || q->dims[2] % parts)
        return nnd_op_fail(c, NND_E_SHAPE, "the query does not fit the heads");
    g->batch = q->dims[0];
    g->rows = q->dims[1];
    g->size = q->dims[2] / parts;
    for (size_t i = G_KEY; i <= G_VALUE && !g->packed; i++) {
        NND_TRY(nnd_op_need(c, i, &t));
        if (t->rank != 3 || t->dims[0] != g->batch || t->dims[1] != g->rows ||
            t->dims[2] != g->kv_heads * g->size)
            return nnd_op_fail(c, NND_E_SHAPE, "input %zu does not fit the query", i);
    }
    NND_TRY(grouped_cache(c, g));
    return grouped_extras(c, g);
}

static nnd_status grouped_infer(nnd_op_ctx *c)
{
    grouped g;
    NND_TRY(grouped_read(c, &g));
    int64_t y[3] = {g.batch, g.rows, g.heads * g.size};
    int64_t cache[4] = {g.batch, g.kv_heads, g.extent, g.size};
    NND_TRY(nnd_op_output(c, 0, c->in[G_QUERY]->dtype, 3, y));
    NND_TRY(nnd_op_output(c, 1, c->in[G_QUERY]->dtype, 4, cache));
    return nnd_op_output(c, 2, c->in[G_QUERY]->dtype, 4, cache);
}

static double grouped_flops(const nnd_op_ctx *c)
{
    grouped g;
    if (grouped_read(c, &g) != NND_OK) return 0;
    return heads_flops(g.batch, g.heads, g.rows, g.extent, 2 * g.size);
}

static nnd_attention grouped_sizes(const grouped *g)
{
    return (nnd_attention){.batch = (size_t)g->batch,
                           .heads = (size_t)g->heads,
                           .kv_heads = (size_t)g->kv_heads,
                           .rows = (size_t)g->rows,
                           .keys = (size_t)g->extent,
                           .size = (size_t)g->size,
                           .v_size = (size_t)g->size};
}

static nnd_status grouped_plan(nnd_op_ctx *c)
{
    grouped g;
    NND_TRY(grouped_read(c, &g));
    nnd_attention a = grouped_sizes(&g);
    c->lane_bytes = nnd_attention_lane_bytes(&a);
    return NND_OK;
}

/* How many keys each sequence had before, and how many new ones go behind them. */
static nnd_status grouped_limits(nnd_op_ctx *c, run *r, const grouped *g)
{
    const int32_t *lengths = c->in[G_LENGTHS]->data;
    const nnd_tensor *added = nnd_op_in(c, G_NEW);
    NND_TRY(make_limits(c, r, 0, 0));
    r->added = nnd_calloc(r->a.batch + 1, sizeof(*r->added));
    if (!r->added) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory to attend");
    for (int64_t i = 0; i < g->batch; i++) {
        int64_t rows = added ? nnd_op_int_at(added, (size_t)i) : g->rows;
        int64_t before = g->prompt ? 0 : (int64_t)lengths[i] + 1 - rows;
        if (rows < 0 || rows > g->rows)
            return nnd_op_fail(c, NND_E_FORMAT, "query_seqlens[%lld] is %lld of %lld rows",
                               (long long)i, (long long)rows, (long long)g->rows);
        if (before < 0 || before > g->past || before + rows > g->extent)
            return nnd_op_fail(c, NND_E_FORMAT,
                               "seqlens_k[%lld] is %d, which does not fit the "
                               "cache",
                               (long long)i, lengths[i]);
        r->added[i] = rows;
        r->offset[i] = before;
        r->valid[i] = before + rows;
    }
    return NND_OK;
}

/* Where a row stands. Of the positions of a prompt, the first one counts, for all sequences. */
static nnd_status position_of(const nnd_op_ctx *c, const run *r, const grouped *g, int64_t batch,
                              int64_t row, int64_t positions, int64_t *out)
{
    const nnd_tensor *t = nnd_op_in(c, G_POSITIONS);
    int64_t at = r->offset[batch] + row;
    if (t) at = nnd_op_int_at(t, g->prompt ? 0 : (size_t)(batch * g->rows + row));
    if (t && g->prompt && at >= 0 && at < positions) at += row;
    *out = at;
    if (at >= 0 && at < positions) return NND_OK;
    return nnd_op_fail(c, NND_E_FORMAT, "position %lld is outside of the caches", (long long)at);
}

/* Rotates rows of `heads` heads in place, [batch, heads, rows, size] from row `skip` of `extent`.
 */
static nnd_status turn(nnd_op_ctx *c, run *r, const grouped *g, float *data, int64_t heads,
                       int64_t extent, bool skip)
{
    const nnd_tensor *t = nnd_op_in(c, G_COS), *s = nnd_op_in(c, G_SIN);
    const float *cosine, *sine;
    if (!nnd_node_int(c->node, "do_rotary", 0)) return NND_OK;
    if (!t || !s || t->rank != 2 || s->rank != 2 || t->dims[0] != s->dims[0] ||
        t->dims[1] != s->dims[1] || 2 * t->dims[1] > g->size)
        return nnd_op_fail(c, NND_E_SHAPE, "the cosine and sine caches do not fit the heads");
    NND_TRY(read_real(r, t, &cosine));
    NND_TRY(read_real(r, s, &sine));
    bool interleaved = nnd_node_int(c->node, "rotary_interleaved", 0) != 0;
    size_t half = (size_t)t->dims[1], size = (size_t)g->size;
    for (int64_t i = 0; i < g->batch * heads; i++) {
        int64_t batch = i / heads, first = r->offset[batch], position;
        for (int64_t row = 0; row < r->added[batch]; row++) {
            NND_TRY(position_of(c, r, g, batch, row, t->dims[0], &position));
            size_t angle = (size_t)position * half;
            float *x = data + (size_t)(i * extent + row + (skip ? first : 0)) * size;
            nnd_rotary_apply(x, x, size, 2 * half, cosine + angle, sine + angle, interleaved);
        }
    }
    return NND_OK;
}

static nnd_status grouped_heads(nnd_op_ctx *c, run *r, const grouped *g)
{
    const float *q, *k, *v;
    size_t rows = (size_t)g->rows, heads = (size_t)g->heads, size = (size_t)g->size;
    size_t kv = (size_t)g->kv_heads;
    NND_TRY(read_real(r, c->in[G_QUERY], &q));
    NND_TRY(read_real(r, nnd_op_in(c, G_KEY), &k));
    NND_TRY(read_real(r, nnd_op_in(c, G_VALUE), &v));
    r->a.q = nnd_heads_packed(q, rows, heads, size);
    r->a.k = nnd_heads_packed(k, rows, kv, size);
    r->a.v = nnd_heads_packed(v, rows, kv, size);
    if (!g->packed) return NND_OK;
    size_t row = (heads + 2 * kv) * size;
    r->a.q = (nnd_heads){q, rows * row, size, row, 1};
    r->a.k = (nnd_heads){q + heads * size, rows * row, size, row, 1};
    r->a.v = (nnd_heads){q + (heads + kv) * size, rows * row, size, row, 1};
    return NND_OK;
}

/* The cache with the new rows; every sequence has a length of its own. */
static nnd_status grouped_append(nnd_op_ctx *c, run *r, const grouped *g, size_t output,
                                 const nnd_tensor *past, nnd_real *present, nnd_heads *heads,
                                 float **out)
{
    int64_t dims[4] = {g->batch, g->kv_heads, g->extent, g->size};
    bool wanted = output < c->out_count && c->out[output].data;
    const float *before;
    nnd_tensor unwanted;
    size_t kv = (size_t)g->kv_heads, size = (size_t)g->size, extent = (size_t)g->extent;
    NND_TRY(nnd_tensor_init(&unwanted, NND_F32, 4, dims, NULL));
    NND_TRY(read_real(r, past, &before));
    NND_TRY(nnd_real_result(wanted ? &c->out[output] : &unwanted, true, present, out));
    for (size_t b = 0; b < (size_t)g->batch; b++) {
        nnd_heads one = *heads;
        one.data += b * one.batch;
        nnd_heads_append(*out + b * kv * extent * size, extent,
                         before ? before + b * kv * (size_t)g->past * size : NULL,
                         (size_t)r->offset[b], (size_t)g->past, &one, (size_t)r->added[b], 1, kv,
                         size);
    }
    *heads = nnd_heads_planar(*out, extent, kv, size);
    return NND_OK;
}

/* A sink is a score more in the sum of a row's weights; a smooth softmax has one of 0. */
static nnd_status grouped_sinks(nnd_op_ctx *c, run *r)
{
    const nnd_tensor *t = nnd_op_in(c, G_SINKS);
    const int64_t heads = (int64_t)r->a.heads;
    float *zeros;
    if (t) return read_real(r, t, &r->a.sinks);
    if (nnd_node_int(c->node, "smooth_softmax", 0) != 1) return NND_OK;
    NND_TRY(make_real(r, 1, &heads, &zeros));
    memset(zeros, 0, r->a.heads * sizeof(*zeros));
    r->a.sinks = zeros;
    return NND_OK;
}

static nnd_status grouped_attend(nnd_op_ctx *c, run *r)
{
    grouped g;
    float *q, *k, *v;
    NND_TRY(grouped_read(c, &g));
    int64_t window = nnd_node_int(c->node, "local_window_size", -1);
    r->a = grouped_sizes(&g);
    r->a.scale = scale_of(c, g.size);
    r->a.softcap = nnd_node_float(c->node, "softcap", 0);
    r->a.causal = nnd_node_int(c->node, "causal", 1) != 0;
    r->a.window = window > 0 ? window : 0;
    NND_TRY(grouped_limits(c, r, &g));
    NND_TRY(read_bias(c, r, nnd_op_in(c, G_BIAS)));
    NND_TRY(grouped_sinks(c, r));
    NND_TRY(grouped_heads(c, r, &g));
    int64_t dims[4] = {g.batch, g.heads, g.rows, g.size};
    NND_TRY(make_real(r, 4, dims, &q));
    nnd_heads_append(q, r->a.rows, NULL, 0, 0, &r->a.q, r->a.rows, r->a.batch, r->a.heads,
                     r->a.size);
    r->a.q = nnd_heads_planar(q, r->a.rows, r->a.heads, r->a.size);
    NND_TRY(grouped_append(c, r, &g, 1, nnd_op_in(c, G_PAST_K), &r->present_k, &r->a.k, &k));
    NND_TRY(grouped_append(c, r, &g, 2, nnd_op_in(c, G_PAST_V), &r->present_v, &r->a.v, &v));
    NND_TRY(turn(c, r, &g, q, g.heads, g.rows, false));
    NND_TRY(turn(c, r, &g, k, g.kv_heads, g.extent, true));
    NND_TRY(finish(c, r));
    if (c->out_count > 1) NND_TRY(nnd_real_write(&c->out[1], &r->present_k));
    return c->out_count > 2 ? nnd_real_write(&c->out[2], &r->present_v) : NND_OK;
}

static nnd_status grouped_run(nnd_op_ctx *c)
{
    run r = {0};
    nnd_status status = grouped_attend(c, &r);
    run_free(&r);
    return status;
}

#define MS "com.microsoft"
static const nnd_op ops[] = {
    {MS, "MultiHeadAttention", 1, 0, 1, 10, 1, 3, 0, multi_infer, multi_run, .plan = multi_plan,
     .flops = multi_flops},
    {MS, "Attention", 1, 0, 2, 7, 1, 2, 0, projected_infer, projected_run,
     .prepare = nnd_product_prepare, .plan = projected_plan, .flops = projected_flops},
    {MS, "QAttention", 1, 0, 5, Q_INPUTS, 1, 2, 0, projected_infer, projected_run,
     .plan = projected_plan, .flops = projected_flops, .variant = QUANTISED},
    {MS, "GroupQueryAttention", 1, 0, 1, G_INPUTS, 1, 3, 0, grouped_infer, grouped_run,
     .plan = grouped_plan, .flops = grouped_flops},
};
const nnd_op_family nnd_ops_attention_ms = {ops, NND_COUNT(ops)};
