/*
 * Operators of language models that carry a state from one call to the next: TensorScatter (caches
 * of fixed length), CausalConvWithState and LinearAttention.
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "engine/ops/real.h"

static nnd_status check_dims(const nnd_op_ctx *c, size_t i, int rank, const int64_t *want)
{
    const nnd_tensor *t = nnd_op_in(c, i);
    if (!t) return NND_OK;
    bool fits = t->rank == rank;
    for (int d = 0; fits && d < rank; d++)
        fits = t->dims[d] == want[d];
    return fits ? NND_OK : nnd_op_fail(c, NND_E_SHAPE, "input %zu has an impossible shape", i);
}

/* ---- TensorScatter -------------------------------------------------------------------------- */

typedef struct cache {
    int axis;
    size_t row, all, fresh; /* bytes of a row; rows of the cache, of the update */
    bool circular;
} cache;

static nnd_status read_cache(const nnd_op_ctx *c, cache *k)
{
    const nnd_tensor *past, *update, *at = nnd_op_in(c, 2);
    NND_TRY(nnd_op_need(c, 0, &past));
    NND_TRY(nnd_op_need(c, 1, &update));
    if (!nnd_op_element(past->dtype)) return nnd_op_expect(c, 0, 0);
    NND_TRY(nnd_op_expect(c, 1, 1u << past->dtype));
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", -2), past->rank, &k->axis));
    if (k->axis == 0 || update->rank != past->rank)
        return nnd_op_fail(c, NND_E_SHAPE, "the update does not fit the cache");
    for (int d = 0; d < past->rank; d++)
        if (d == k->axis ? update->dims[d] > past->dims[d] : update->dims[d] != past->dims[d])
            return nnd_op_fail(c, NND_E_SHAPE, "the update does not fit the cache's dimension %d",
                               d);
    if (at) {
        NND_TRY(nnd_op_expect(c, 2, 1u << NND_I64));
        if (nnd_tensor_count(at) != past->dims[0])
            return nnd_op_fail(c, NND_E_SHAPE, "there is not one write index per batch");
    }
    const char *mode = nnd_node_string(c->node, "mode", "linear");
    k->circular = strcmp(mode, "circular") == 0;
    if (!k->circular && strcmp(mode, "linear") != 0)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the mode '%s' is not known", mode);
    k->all = (size_t)past->dims[k->axis];
    k->fresh = (size_t)update->dims[k->axis];
    k->row = (size_t)nnd_op_span(past, k->axis + 1, past->rank) * nnd_op_element(past->dtype);
    return NND_OK;
}

static nnd_status cache_infer(nnd_op_ctx *c)
{
    cache k;
    NND_TRY(read_cache(c, &k));
    return nnd_op_like(c, 0, 0);
}

static nnd_status write_index(const nnd_op_ctx *c, const cache *k, size_t batch, size_t *out)
{
    const nnd_tensor *at = nnd_op_in(c, 2);
    int64_t index = at ? ((const int64_t *)at->data)[batch] : 0, all = (int64_t)k->all;
    if (k->circular) index = ((index % all) + all) % all;
    if (index < 0 || (!k->circular && index > all - (int64_t)k->fresh))
        return nnd_op_fail(c, NND_E_FORMAT, "write index %lld does not leave room for %zu rows",
                           (long long)index, k->fresh);
    *out = (size_t)index;
    return NND_OK;
}

static nnd_status cache_run(nnd_op_ctx *c)
{
    cache k = {0};
    NND_TRY(read_cache(c, &k));
    const nnd_tensor *past = c->in[0], *update = c->in[1];
    char *to = c->out[0].data;
    size_t prefixes = (size_t)nnd_op_span(past, 0, k.axis);
    size_t per_batch = (size_t)nnd_op_span(past, 1, k.axis), first;
    if (nnd_tensor_count(past) == 0) return NND_OK;
    if (to != past->data) memcpy(to, past->data, nnd_tensor_bytes(past));
    for (size_t p = 0; p < prefixes; p++) {
        NND_TRY(write_index(c, &k, p / per_batch, &first));
        for (size_t i = 0; i < k.fresh; i++)
            memcpy(to + (p * k.all + (first + i) % k.all) * k.row,
                   (const char *)update->data + (p * k.fresh + i) * k.row, k.row);
    }
    return NND_OK;
}

/* ---- CausalConvWithState -------------------------------------------------------------------- */

enum { CONV_X, CONV_W, CONV_BIAS, CONV_PAST, CONV_INPUTS };

typedef struct conv {
    size_t channels, length, kernel, dilation, before; /* before: what the state holds */
    bool silu;
    nnd_real in[CONV_INPUTS], out[2];
    float *y, *state;
} conv;

/* What com.microsoft's form has beside the other one: taps apart, which is done, and layouts and
   histories, which are not. */
static nnd_status read_spread(const nnd_op_ctx *c, int64_t taps_before, conv *v)
{
    static const char *const others[] = {"channels_last", "state_window",   "state_update_capacity",
                                         "state_length",  "input_channels", "input_channel_offset"};
    int64_t dilation = nnd_node_int(c->node, "dilation", 1), before;
    for (size_t i = 0; i < NND_COUNT(others); i++)
        if (nnd_node_int(c->node, others[i], 0) != 0)
            return nnd_op_fail(c, NND_E_UNSUPPORTED, "%s is not supported", others[i]);
    if (dilation < 1 || !nnd_i64_mul(taps_before, dilation, &before) || before > INT32_MAX)
        return nnd_op_fail(c, NND_E_SHAPE, "dilation %lld is impossible", (long long)dilation);
    v->dilation = (size_t)dilation;
    v->before = (size_t)before;
    return NND_OK;
}

static nnd_status read_conv(const nnd_op_ctx *c, conv *v)
{
    *v = (conv){0};
    for (size_t i = 0; i < CONV_INPUTS; i++)
        if (i <= CONV_W || nnd_op_in(c, i)) NND_TRY(nnd_op_expect(c, i, NND_FLOATS));
    const nnd_tensor *x = c->in[CONV_X], *w = c->in[CONV_W], *bias = nnd_op_in(c, CONV_BIAS);
    if (x->rank != 3 || w->rank != 3 || w->dims[2] < 1)
        return nnd_op_fail(c, NND_E_SHAPE, "input and weights are not 3-D");
    int64_t weights[3] = {x->dims[1], 1, w->dims[2]};
    NND_TRY(read_spread(c, w->dims[2] - 1, v));
    int64_t past[3] = {x->dims[0], x->dims[1], (int64_t)v->before};
    NND_TRY(check_dims(c, CONV_W, 3, weights));
    NND_TRY(check_dims(c, CONV_PAST, 3, past));
    if (bias) NND_TRY(check_dims(c, CONV_BIAS, 1, &x->dims[1]));
    const char *activation = nnd_node_string(c->node, "activation", "none");
    v->silu = strcmp(activation, "silu") == 0 || strcmp(activation, "swish") == 0;
    if (!v->silu && strcmp(activation, "none") != 0)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the activation '%s' is not known", activation);
    v->channels = (size_t)x->dims[1];
    v->length = (size_t)x->dims[2];
    v->kernel = (size_t)w->dims[2];
    return NND_OK;
}

static nnd_status conv_infer(nnd_op_ctx *c)
{
    conv v;
    NND_TRY(read_conv(c, &v));
    int64_t state[3] = {c->in[0]->dims[0], c->in[0]->dims[1], (int64_t)v.before};
    NND_TRY(nnd_op_like(c, 0, 0));
    return nnd_op_output(c, 1, c->in[0]->dtype, 3, state);
}

/* Position i of the joined sequence: the past, or zeros, and then the input. */
static float joined(const float *past, size_t before, const float *x, size_t i)
{
    if (i >= before) return x[i - before];
    return past ? past[i] : 0.0f;
}

static nnd_status conv_tile(void *user, size_t plane, int lane)
{
    const conv *v = user;
    size_t channel = plane % v->channels, before = v->before;
    const float *x = v->in[CONV_X].data + plane * v->length;
    const float *w = v->in[CONV_W].data + channel * v->kernel;
    const float *past = v->in[CONV_PAST].data ? v->in[CONV_PAST].data + plane * before : NULL;
    float bias = v->in[CONV_BIAS].data ? v->in[CONV_BIAS].data[channel] : 0.0f;
    (void)lane;
    for (size_t i = 0; i < v->length; i++) {
        float sum = bias;
        for (size_t k = 0; k < v->kernel; k++)
            sum += w[k] * joined(past, before, x, i + k * v->dilation);
        v->y[plane * v->length + i] = v->silu ? sum / (1.0f + expf(-sum)) : sum;
    }
    for (size_t i = 0; v->state && i < before; i++)
        v->state[plane * before + i] = joined(past, before, x, v->length + i);
    return NND_OK;
}

static nnd_status convolve(nnd_op_ctx *c, conv *v)
{
    for (size_t i = 0; i < CONV_INPUTS; i++)
        NND_TRY(nnd_real_read(nnd_op_in(c, i), &v->in[i]));
    NND_TRY(nnd_real_result(&c->out[0], true, &v->out[0], &v->y));
    if (c->out_count > 1) NND_TRY(nnd_real_result(&c->out[1], false, &v->out[1], &v->state));
    NND_TRY(nnd_op_for(c, (size_t)c->in[0]->dims[0] * v->channels, conv_tile, v));
    NND_TRY(nnd_real_write(&c->out[0], &v->out[0]));
    return c->out_count > 1 ? nnd_real_write(&c->out[1], &v->out[1]) : NND_OK;
}

static nnd_status conv_run(nnd_op_ctx *c)
{
    conv v;
    NND_TRY(read_conv(c, &v));
    nnd_status status = convolve(c, &v);
    for (size_t i = 0; i < CONV_INPUTS; i++)
        nnd_real_free(&v.in[i]);
    for (size_t i = 0; i < 2; i++)
        nnd_real_free(&v.out[i]);
    return status;
}

/* ---- LinearAttention ------------------------------------------------------------------------ */

enum { Q, K, V, PAST, DECAY, BETA, LINEAR_INPUTS };
enum { COLUMNS = 32 }; /* of the state that a tile takes: they are independent of each other */

typedef struct linear {
    int64_t batch, length, q_heads, heads, k_size, v_size;
    bool gated, delta, decay_per_key, beta_per_head;
    float scale;
    nnd_real in[LINEAR_INPUTS], out[2];
    float *y, *state;
} linear;

static nnd_status read_rule(const nnd_op_ctx *c, linear *l)
{
    const char *rule = nnd_node_string(c->node, "update_rule", "gated_delta");
    l->gated = strncmp(rule, "gated", 5) == 0;
    l->delta = strcmp(rule, "delta") == 0 || strcmp(rule, "gated_delta") == 0;
    if (!l->delta && strcmp(rule, "linear") != 0 && strcmp(rule, "gated") != 0)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the update_rule '%s' is not known", rule);
    if (nnd_node_int(c->node, "state_window", 0))
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "state_window is not supported");
    if (!nnd_op_in(c, DECAY) == l->gated || !nnd_op_in(c, BETA) == l->delta)
        return nnd_op_fail(c, NND_E_FORMAT, "decay and beta do not fit the update_rule '%s'", rule);
    return NND_OK;
}

static nnd_status read_gates(const nnd_op_ctx *c, linear *l)
{
    const nnd_tensor *decay = nnd_op_in(c, DECAY), *beta = nnd_op_in(c, BETA);
    if (decay) {
        l->decay_per_key = decay->rank == 3 && decay->dims[2] != l->heads;
        int64_t want[3] = {l->batch, l->length, l->decay_per_key ? l->heads * l->k_size : l->heads};
        NND_TRY(check_dims(c, DECAY, 3, want));
    }
    if (beta) {
        l->beta_per_head = beta->rank == 3 && beta->dims[2] != 1;
        int64_t want[3] = {l->batch, l->length, l->beta_per_head ? l->heads : 1};
        NND_TRY(check_dims(c, BETA, 3, want));
    }
    return NND_OK;
}

static nnd_status read_linear(const nnd_op_ctx *c, linear *l)
{
    *l = (linear){.q_heads = nnd_node_int(c->node, "q_num_heads", 0),
                  .heads = nnd_node_int(c->node, "kv_num_heads", 0)};
    for (size_t i = 0; i < LINEAR_INPUTS; i++)
        if (i <= V || nnd_op_in(c, i)) NND_TRY(nnd_op_expect(c, i, NND_FLOATS));
    const nnd_tensor *q = c->in[Q], *k = c->in[K], *v = c->in[V];
    if (q->rank != 3 || k->rank != 3 || v->rank != 3)
        return nnd_op_fail(c, NND_E_SHAPE, "query, key and value are not 3-D");
    if (l->heads < 1 || l->q_heads < 1 || l->q_heads % l->heads || q->dims[2] % l->q_heads ||
        k->dims[2] % l->heads || v->dims[2] % l->heads)
        return nnd_op_fail(c, NND_E_SHAPE, "%lld and %lld heads do not divide the operands",
                           (long long)l->q_heads, (long long)l->heads);
    l->batch = q->dims[0];
    l->length = q->dims[1];
    l->k_size = q->dims[2] / l->q_heads;
    l->v_size = v->dims[2] / l->heads;
    int64_t keys[3] = {l->batch, l->length, l->heads * l->k_size};
    int64_t values[3] = {l->batch, l->length, l->heads * l->v_size};
    int64_t past[4] = {l->batch, l->heads, l->k_size, l->v_size};
    NND_TRY(check_dims(c, K, 3, keys));
    NND_TRY(check_dims(c, V, 3, values));
    NND_TRY(check_dims(c, PAST, 4, past));
    NND_TRY(read_rule(c, l));
    NND_TRY(read_gates(c, l));
    l->scale = nnd_node_float(c->node, "scale", 0.0f);
    if (l->scale == 0 && l->k_size > 0) l->scale = 1.0f / sqrtf((float)l->k_size);
    return NND_OK;
}

static nnd_status linear_infer(nnd_op_ctx *c)
{
    linear l;
    NND_TRY(read_linear(c, &l));
    const nnd_tensor *past = nnd_op_in(c, PAST);
    int64_t y[3] = {l.batch, l.length, l.q_heads * l.v_size};
    int64_t state[4] = {l.batch, l.heads, l.k_size, l.v_size};
    NND_TRY(nnd_op_output(c, 0, c->in[Q]->dtype, 3, y));
    return nnd_op_output(c, 1, past ? past->dtype : c->in[Q]->dtype, 4, state);
}

/* One token of one head: columns [first, first + n) of the state S [k_size, v_size]. */
static void linear_token(const linear *l, size_t token, size_t head, size_t first, size_t n,
                         float *state)
{
    size_t heads = (size_t)l->heads, k_size = (size_t)l->k_size, v_size = (size_t)l->v_size;
    size_t group = (size_t)(l->q_heads / l->heads);
    const float *k = l->in[K].data + (token * heads + head) * k_size;
    const float *v = l->in[V].data + (token * heads + head) * v_size + first;
    const float *decay = l->in[DECAY].data;
    float write[COLUMNS], read[COLUMNS];
    if (decay) decay += (token * heads + head) * (l->decay_per_key ? k_size : 1);
    for (size_t d = 0; d < k_size && decay; d++) {
        float keep = expf(decay[l->decay_per_key ? d : 0]);
        for (size_t i = 0; i < n; i++)
            state[d * v_size + i] *= keep;
    }
    memcpy(write, v, n * sizeof(*write));
    if (l->delta) {
        float beta = l->in[BETA].data[l->beta_per_head ? token * heads + head : token];
        memset(read, 0, sizeof(read));
        for (size_t d = 0; d < k_size; d++)
            for (size_t i = 0; i < n; i++)
                read[i] += k[d] * state[d * v_size + i];
        for (size_t i = 0; i < n; i++)
            write[i] = beta * (v[i] - read[i]);
    }
    for (size_t d = 0; d < k_size; d++)
        for (size_t i = 0; i < n; i++)
            state[d * v_size + i] += k[d] * write[i];
    for (size_t g = 0; g < group; g++) {
        size_t q_head = token * (size_t)l->q_heads + head * group + g;
        const float *q = l->in[Q].data + q_head * k_size;
        memset(read, 0, sizeof(read));
        for (size_t d = 0; d < k_size; d++)
            for (size_t i = 0; i < n; i++)
                read[i] += q[d] * state[d * v_size + i];
        for (size_t i = 0; i < n; i++)
            l->y[q_head * v_size + first + i] = l->scale * read[i];
    }
}

static size_t column_blocks(const linear *l)
{
    return ((size_t)l->v_size + COLUMNS - 1) / COLUMNS;
}

static nnd_status linear_tile(void *user, size_t tile, int lane)
{
    const linear *l = user;
    size_t blocks = column_blocks(l), first = tile % blocks * COLUMNS, plane = tile / blocks;
    size_t v_size = (size_t)l->v_size, k_size = (size_t)l->k_size;
    size_t n = v_size - first < COLUMNS ? v_size - first : COLUMNS;
    size_t batch = plane / (size_t)l->heads, head = plane % (size_t)l->heads;
    float *state = l->state + plane * k_size * v_size + first;
    (void)lane;
    for (size_t t = 0; t < (size_t)l->length; t++)
        linear_token(l, batch * (size_t)l->length + t, head, first, n, state);
    return NND_OK;
}

static nnd_status attend(nnd_op_ctx *c, linear *l)
{
    nnd_tensor unwanted;
    int64_t dims[4] = {l->batch, l->heads, l->k_size, l->v_size};
    NND_TRY(nnd_tensor_init(&unwanted, NND_F32, 4, dims, NULL));
    nnd_tensor *state = c->out_count > 1 && c->out[1].data ? &c->out[1] : &unwanted;
    for (size_t i = 0; i < LINEAR_INPUTS; i++)
        NND_TRY(nnd_real_read(nnd_op_in(c, i), &l->in[i]));
    NND_TRY(nnd_real_result(&c->out[0], true, &l->out[0], &l->y));
    NND_TRY(nnd_real_result(state, true, &l->out[1], &l->state));
    size_t bytes = (size_t)nnd_tensor_count(state) * sizeof(float);
    if (l->in[PAST].data && bytes) memcpy(l->state, l->in[PAST].data, bytes);
    NND_TRY(nnd_op_for(c, (size_t)(l->batch * l->heads) * column_blocks(l), linear_tile, l));
    NND_TRY(nnd_real_write(&c->out[0], &l->out[0]));
    return nnd_real_write(state, &l->out[1]);
}

static nnd_status linear_run(nnd_op_ctx *c)
{
    linear l;
    NND_TRY(read_linear(c, &l));
    nnd_status status = attend(c, &l);
    for (size_t i = 0; i < LINEAR_INPUTS; i++)
        nnd_real_free(&l.in[i]);
    for (size_t i = 0; i < 2; i++)
        nnd_real_free(&l.out[i]);
    return status;
}

static double linear_flops(const nnd_op_ctx *c)
{
    linear l;
    if (read_linear(c, &l) != NND_OK) return 0;
    double state = (double)l.batch * (double)l.heads * (double)l.k_size * (double)l.v_size;
    double passes = (l.delta ? 2.0 : 1.0) + (double)(l.q_heads / l.heads);
    return 2.0 * passes * state * (double)l.length;
}

#define CONV(domain, since)                                                                        \
    {                                                                                              \
        domain, "CausalConvWithState", since, 0, 2, CONV_INPUTS, 1, 2, 0, conv_infer, conv_run,    \
            .variant = 0                                                                           \
    }
#define LINEAR(domain, since)                                                                      \
    {                                                                                              \
        domain, "LinearAttention", since, 0, 3, LINEAR_INPUTS, 1, 2, 0, linear_infer, linear_run,  \
            .flops = linear_flops                                                                  \
    }
static const nnd_op ops[] = {
    {"", "TensorScatter", 24, 0, 2, 3, 1, 1, NND_OP_INPLACE, cache_infer, cache_run, .variant = 0},
    CONV("", 27),
    CONV("com.microsoft", 1),
    LINEAR("", 27),
    LINEAR("com.microsoft", 1),
};
const nnd_op_family nnd_ops_state = {ops, NND_COUNT(ops)};
