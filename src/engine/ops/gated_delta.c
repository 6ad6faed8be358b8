/*
 * com.microsoft's GatedDeltaNet: linear attention with a gated delta rule
 * (https://arxiv.org/abs/2412.06464) over sequences that are packed one behind the other.
 *
 * A value head has a state S [v_size, k_size], whose rows know nothing of each other: a tile is a
 * block of rows of one head of one sequence, for all of its tokens. What the gates are is computed
 * for all tokens before.
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "engine/ops/real.h"

enum { QUERY, KEY, VALUE, STARTS, DECAY, BETA, STATE, A_LOG, DT_BIAS, CAPTURES, ACTIVE, INPUTS };
enum { ROWS = 16, LANES = 8 }; /* rows of the state in a tile; partial sums of a product */

enum { PLAIN, SOFTPLUS, SIGMOID }; /* how a decay is computed */

typedef struct delta {
    int64_t tokens, batch, q_heads, heads, k_size, v_size;
    bool packed, gated, deltas, per_key; /* per_key: the decay, not one per head */
    bool wide_bias;                      /* dt_bias has a value per key as well */
    int gate;
    bool beta_sigmoid, normalised;
    float scale, lower;
} delta;

/* ---- reading --------------------------------------------------------------------------------- */

static bool has_dims(const nnd_tensor *t, int rank, const int64_t *want)
{
    bool fits = t->rank == rank;
    for (int d = 0; fits && d < rank; d++)
        fits = t->dims[d] == want[d];
    return fits;
}

/* Whether a tensor is [tokens, a, b], its first dimension possibly apart as that of the query.
   b = 0: [tokens, a]. */
static bool is_per_token(const nnd_op_ctx *c, const nnd_tensor *t, int64_t a, int64_t b)
{
    const nnd_tensor *q = c->in[QUERY];
    int64_t want[5];
    int rank = 0;
    for (int d = 0; d < q->rank - (nnd_op_in(c, KEY) ? 2 : 1); d++)
        want[rank++] = q->dims[d];
    want[rank++] = a;
    if (b) want[rank++] = b;
    return has_dims(t, rank, want);
}

static nnd_status read_rule(const nnd_op_ctx *c, delta *d)
{
    const char *rule = nnd_node_string(c->node, "update_rule", "gated_delta");
    const char *gate = nnd_node_string(c->node, "gate_activation", "none");
    const char *beta = nnd_node_string(c->node, "beta_activation", "none");
    d->gated = strncmp(rule, "gated", 5) == 0;
    d->deltas = strcmp(rule, "delta") == 0 || strcmp(rule, "gated_delta") == 0;
    if (!d->deltas && strcmp(rule, "linear") != 0 && strcmp(rule, "gated") != 0)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the update_rule '%s' is not known", rule);
    if (strcmp(gate, "softplus") == 0 || strcmp(gate, "qwen") == 0)
        d->gate = SOFTPLUS;
    else if (strcmp(gate, "sigmoid") == 0 || strcmp(gate, "kda") == 0)
        d->gate = SIGMOID;
    else if (strcmp(gate, "none") != 0)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the gate_activation '%s' is not known", gate);
    d->beta_sigmoid = strcmp(beta, "sigmoid") == 0;
    if (!d->beta_sigmoid && strcmp(beta, "none") != 0)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the beta_activation '%s' is not known", beta);
    if (nnd_node_int(c->node, "state_update_capacity", 0))
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "state_update_capacity is not supported");
    if (!nnd_op_in(c, DECAY) == d->gated || !nnd_op_in(c, BETA) == d->deltas)
        return nnd_op_fail(c, NND_E_FORMAT, "decay and beta do not fit the update_rule '%s'", rule);
    d->normalised = nnd_node_int(c->node, "qk_l2_norm", 0) != 0;
    d->lower = nnd_node_float(c->node, "gate_lower_bound", -5.0f);
    d->scale = nnd_node_float(c->node, "scale", 0.0f);
    return NND_OK;
}

/* Query, keys and values lie in one tensor, whose parts the state tells. */
static nnd_status read_packed(const nnd_op_ctx *c, delta *d)
{
    const nnd_tensor *q = c->in[QUERY], *state = nnd_op_in(c, STATE);
    if (!state || state->rank != 4 || q->rank < 2 || q->rank > 3 || nnd_op_in(c, VALUE))
        return nnd_op_fail(c, NND_E_SHAPE, "packed operands come with a 4-D state only");
    d->packed = true;
    d->heads = state->dims[1];
    d->v_size = state->dims[2];
    d->k_size = state->dims[3];
    int64_t values, rest = q->dims[q->rank - 1];
    bool fits = nnd_i64_mul(d->heads, d->v_size, &values) && values <= rest && d->k_size > 0 &&
                (rest - values) % 2 == 0 && (rest - values) / 2 % d->k_size == 0;
    if (!fits) return nnd_op_fail(c, NND_E_SHAPE, "the packed operands do not fit the state");
    d->q_heads = (rest - values) / 2 / d->k_size;
    d->tokens = nnd_op_span(q, 0, q->rank - 1);
    return NND_OK;
}

static nnd_status read_operands(const nnd_op_ctx *c, delta *d)
{
    const nnd_tensor *q = c->in[QUERY], *k = nnd_op_in(c, KEY), *v;
    if (!k) return read_packed(c, d);
    NND_TRY(nnd_op_expect(c, KEY, 1u << q->dtype));
    NND_TRY(nnd_op_expect(c, VALUE, 1u << q->dtype));
    v = c->in[VALUE];
    if ((q->rank != 3 && q->rank != 4) || v->rank != q->rank)
        return nnd_op_fail(c, NND_E_SHAPE, "query, key and value are not 3-D or 4-D");
    d->q_heads = q->dims[q->rank - 2];
    d->k_size = q->dims[q->rank - 1];
    d->heads = v->dims[v->rank - 2];
    d->v_size = v->dims[v->rank - 1];
    d->tokens = nnd_op_span(q, 0, q->rank - 2);
    if (has_dims(k, q->rank, q->dims) && is_per_token(c, v, d->heads, d->v_size)) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "query, key and value do not fit each other");
}

static nnd_status read_gates(const nnd_op_ctx *c, delta *d)
{
    const uint32_t types = 1u << NND_F32 | 1u << c->in[QUERY]->dtype;
    const nnd_tensor *decay = nnd_op_in(c, DECAY), *beta = nnd_op_in(c, BETA);
    const nnd_tensor *bias = nnd_op_in(c, DT_BIAS);
    if (decay) {
        NND_TRY(nnd_op_expect(c, DECAY, types));
        d->per_key = !is_per_token(c, decay, d->heads, 0);
        if (d->per_key && !is_per_token(c, decay, d->heads, d->k_size))
            return nnd_op_fail(c, NND_E_SHAPE, "the decay does not fit the heads");
    }
    if (beta) {
        NND_TRY(nnd_op_expect(c, BETA, types));
        if (!is_per_token(c, beta, d->heads, 0))
            return nnd_op_fail(c, NND_E_SHAPE, "beta does not fit the heads");
    }
    if (d->gate == PLAIN || !decay) return NND_OK;
    NND_TRY(nnd_op_expect(c, A_LOG, 1u << NND_F32));
    NND_TRY(nnd_op_expect(c, DT_BIAS, 1u << NND_F32));
    int64_t keys = d->heads * d->k_size, wide[2] = {d->heads, d->k_size};
    bool narrow = has_dims(bias, 1, &d->heads);
    d->wide_bias = !narrow && d->per_key && (has_dims(bias, 1, &keys) || has_dims(bias, 2, wide));
    if (has_dims(c->in[A_LOG], 1, &d->heads) && (narrow || d->wide_bias)) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "a_log and dt_bias do not fit the heads");
}

/* How many sequences there are. */
static nnd_status read_batch(const nnd_op_ctx *c, delta *d)
{
    const nnd_tensor *starts = nnd_op_in(c, STARTS), *state = nnd_op_in(c, STATE);
    const nnd_tensor *q = c->in[QUERY];
    bool apart = q->rank == (d->packed ? 3 : 4);
    if (starts) NND_TRY(nnd_op_expect(c, STARTS, 1u << NND_I32));
    if (state) NND_TRY(nnd_op_expect(c, STATE, 1u << NND_F32));
    if (starts && (apart || starts->rank != 1 || starts->dims[0] < 2))
        return nnd_op_fail(c, NND_E_SHAPE, "cu_seqlens does not fit the operands");
    if (!starts && !apart && (!state || !state->rank))
        return nnd_op_fail(c, NND_E_FORMAT, "nothing tells how many sequences there are");
    d->batch = starts ? starts->dims[0] - 1 : apart ? q->dims[0] : state->dims[0];
    int64_t want[4] = {d->batch, d->heads, d->v_size, d->k_size};
    if (state && !has_dims(state, 4, want))
        return nnd_op_fail(c, NND_E_SHAPE, "the state does not fit the operands");
    if (!starts && (d->batch < 1 ? d->tokens > 0 : d->tokens % d->batch != 0))
        return nnd_op_fail(c, NND_E_SHAPE, "%lld tokens are not %lld sequences",
                           (long long)d->tokens, (long long)d->batch);
    return NND_OK;
}

static nnd_status read_delta(const nnd_op_ctx *c, delta *d)
{
    *d = (delta){0};
    NND_TRY(nnd_op_expect(c, QUERY, 1u << NND_F32 | 1u << NND_F16 | 1u << NND_BF16));
    NND_TRY(read_rule(c, d));
    NND_TRY(read_operands(c, d));
    if (d->q_heads < 1 || d->heads < 1 || d->heads % d->q_heads || d->k_size < 1 || d->v_size < 1)
        return nnd_op_fail(c, NND_E_SHAPE, "%lld value heads do not share %lld heads of keys",
                           (long long)d->heads, (long long)d->q_heads);
    if (d->scale == 0) d->scale = 1.0f / sqrtf((float)d->k_size);
    NND_TRY(read_gates(c, d));
    return read_batch(c, d);
}

static nnd_status delta_infer(nnd_op_ctx *c)
{
    delta d;
    NND_TRY(read_delta(c, &d));
    const nnd_tensor *q = c->in[QUERY];
    int64_t y[NND_MAX_RANK], state[4] = {d.batch, d.heads, d.v_size, d.k_size};
    int rank = q->rank - (d.packed ? 1 : 2);
    memcpy(y, q->dims, (size_t)rank * sizeof(*y));
    y[rank++] = d.heads;
    y[rank++] = d.v_size;
    NND_TRY(nnd_op_output(c, 0, q->dtype, rank, y));
    return nnd_op_output(c, 1, NND_F32, 4, state);
}

static double delta_flops(const nnd_op_ctx *c)
{
    delta d;
    if (read_delta(c, &d) != NND_OK) return 0;
    double state = (double)d.heads * (double)d.v_size * (double)d.k_size;
    return 2.0 * (d.deltas ? 3.0 : 2.0) * state * (double)d.tokens;
}

/* ---- what all rows of the states share ------------------------------------------------------- */

typedef struct job {
    const nnd_op_ctx *c;
    delta d;
    nnd_real in[INPUTS], out[2], made[4];
    const float *q, *k, *v;
    size_t q_row, v_row;                  /* from one token to the next */
    float *keep, *beta, *q_norm, *k_norm; /* of every token; NULL = not needed */
    float *y, *state;
} job;

static float softplus(float x)
{
    return x > 20.0f ? x : log1pf(expf(x));
}

static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

/* How much of a state remains: exp of the decay, [tokens, heads] or [tokens, heads, k_size]. */
static void decide_keep(const job *j, size_t head, size_t key, size_t at)
{
    const delta *d = &j->d;
    float g = j->in[DECAY].data[at];
    if (d->gate != PLAIN) {
        size_t bias = d->wide_bias ? head * (size_t)d->k_size + key : head;
        float a = expf(j->in[A_LOG].data[head]), x = g + j->in[DT_BIAS].data[bias];
        g = d->gate == SOFTPLUS ? -a * softplus(x) : d->lower * sigmoid(a * x);
    }
    j->keep[at] = expf(g);
}

/* One over the length of a vector. */
static float inverse_length(const float *x, size_t n)
{
    double sum = 1e-12;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return (float)(1.0 / sqrt(sum));
}

static nnd_status gate_tile(void *user, size_t token, int lane)
{
    const job *j = user;
    const delta *d = &j->d;
    size_t heads = (size_t)d->heads, q_heads = (size_t)d->q_heads, k_size = (size_t)d->k_size;
    size_t width = d->per_key ? k_size : 1;
    (void)lane;
    for (size_t i = 0; i < heads * width && j->keep; i++)
        decide_keep(j, i / width, i % width, token * heads * width + i);
    for (size_t i = token * heads; i < (token + 1) * heads && j->beta; i++)
        j->beta[i] = d->beta_sigmoid ? sigmoid(j->in[BETA].data[i]) : j->in[BETA].data[i];
    for (size_t h = 0; h < q_heads && j->q_norm; h++) {
        size_t at = token * j->q_row + h * k_size;
        j->q_norm[token * q_heads + h] = inverse_length(j->q + at, k_size);
        j->k_norm[token * q_heads + h] = inverse_length(j->k + at, k_size);
    }
    return NND_OK;
}

/* ---- the recurrence -------------------------------------------------------------------------- */

/* The order of the sum depends on n only. */
static float dot(const float *a, const float *b, size_t n)
{
    float sums[LANES] = {0}, rest = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++)
            sums[l] += a[i + l] * b[i + l];
    for (; i < n; i++)
        rest += a[i] * b[i];
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
           ((sums[2] + sums[6]) + (sums[3] + sums[7])) + rest;
}

/* Rows [first, until) of one head's state take one token. */
static void take_token(const job *j, size_t token, size_t head, size_t first, size_t until,
                       float *state)
{
    const delta *d = &j->d;
    size_t heads = (size_t)d->heads, k_size = (size_t)d->k_size, v_size = (size_t)d->v_size;
    size_t shared = head / (size_t)(d->heads / d->q_heads), at = token * heads + head;
    const float *q = j->q + token * j->q_row + shared * k_size;
    const float *k = j->k + token * j->q_row + shared * k_size;
    const float *v = j->v + token * j->v_row + head * v_size;
    size_t norm = token * (size_t)d->q_heads + shared;
    float k_norm = j->k_norm ? j->k_norm[norm] : 1.0f;
    float scale = d->scale * (j->q_norm ? j->q_norm[norm] : 1.0f);
    for (size_t row = first; row < until; row++) {
        float *s = state + row * k_size, write = v[row];
        for (size_t i = 0; i < k_size && j->keep; i++)
            s[i] *= d->per_key ? j->keep[at * k_size + i] : j->keep[at];
        if (d->deltas) write = j->beta[at] * (write - k_norm * dot(s, k, k_size));
        write *= k_norm;
        for (size_t i = 0; i < k_size; i++)
            s[i] += write * k[i];
        j->y[at * v_size + row] = scale * dot(s, q, k_size);
    }
}

static size_t row_blocks(const delta *d)
{
    return ((size_t)d->v_size + ROWS - 1) / ROWS;
}

static nnd_status state_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    const delta *d = &j->d;
    size_t blocks = row_blocks(d), first = tile % blocks * ROWS, plane = tile / blocks;
    size_t batch = plane / (size_t)d->heads, head = plane % (size_t)d->heads;
    size_t until = first + ROWS < (size_t)d->v_size ? first + ROWS : (size_t)d->v_size;
    float *state = j->state + plane * (size_t)(d->v_size * d->k_size);
    size_t length = (size_t)(d->tokens / d->batch), from = batch * length, to = from + length;
    const nnd_tensor *starts = nnd_op_in(j->c, STARTS);
    (void)lane;
    if (starts) {
        from = (size_t)((const int32_t *)starts->data)[batch];
        to = (size_t)((const int32_t *)starts->data)[batch + 1];
    }
    for (size_t t = from; t < to; t++)
        take_token(j, t, head, first, until, state);
    return NND_OK;
}

/* ---- the operator ---------------------------------------------------------------------------- */

static nnd_status check_starts(const nnd_op_ctx *c, const delta *d)
{
    const nnd_tensor *t = nnd_op_in(c, STARTS);
    const int32_t *starts = t ? t->data : NULL;
    bool good = !t || (starts[0] == 0 && starts[d->batch] == d->tokens);
    for (int64_t i = 0; t && good && i < d->batch; i++)
        good = starts[i] <= starts[i + 1];
    return good ? NND_OK
                : nnd_op_fail(c, NND_E_FORMAT, "cu_seqlens does not rise from 0 to %lld tokens",
                              (long long)d->tokens);
}

static nnd_status make(job *j, size_t i, int64_t width, float **out)
{
    nnd_tensor t;
    NND_TRY(nnd_tensor_init(&t, NND_F32, 2, (int64_t[]){j->d.tokens, width}, NULL));
    return nnd_real_result(&t, true, &j->made[i], out);
}

static nnd_status prepare_job(nnd_op_ctx *c, job *j)
{
    const delta *d = &j->d;
    size_t keys = (size_t)(d->q_heads * d->k_size), values = (size_t)(d->heads * d->v_size);
    for (size_t i = 0; i < INPUTS; i++)
        if (i != STARTS && i < CAPTURES) NND_TRY(nnd_real_read(nnd_op_in(c, i), &j->in[i]));
    j->q = j->in[QUERY].data;
    j->k = d->packed ? j->q + keys : j->in[KEY].data;
    j->v = d->packed ? j->q + 2 * keys : j->in[VALUE].data;
    j->q_row = d->packed ? 2 * keys + values : keys;
    j->v_row = d->packed ? j->q_row : values;
    if (d->gated) NND_TRY(make(j, 0, d->heads * (d->per_key ? d->k_size : 1), &j->keep));
    if (d->deltas) NND_TRY(make(j, 1, d->heads, &j->beta));
    if (d->normalised) NND_TRY(make(j, 2, d->q_heads, &j->q_norm));
    if (d->normalised) NND_TRY(make(j, 3, d->q_heads, &j->k_norm));
    return NND_OK;
}

static nnd_status compute(nnd_op_ctx *c, job *j)
{
    const delta *d = &j->d;
    int64_t dims[4] = {d->batch, d->heads, d->v_size, d->k_size};
    nnd_tensor unwanted;
    NND_TRY(check_starts(c, d));
    NND_TRY(prepare_job(c, j));
    NND_TRY(nnd_tensor_init(&unwanted, NND_F32, 4, dims, NULL));
    nnd_tensor *state = c->out_count > 1 && c->out[1].data ? &c->out[1] : &unwanted;
    NND_TRY(nnd_real_result(&c->out[0], true, &j->out[0], &j->y));
    NND_TRY(nnd_real_result(state, true, &j->out[1], &j->state));
    size_t bytes = (size_t)nnd_tensor_count(state) * sizeof(float);
    if (j->in[STATE].data && bytes) memcpy(j->state, j->in[STATE].data, bytes);
    NND_TRY(nnd_op_for(c, (size_t)d->tokens, gate_tile, j));
    size_t tiles = (size_t)(d->batch * d->heads) * row_blocks(d);
    NND_TRY(nnd_op_for(c, tiles, state_tile, j));
    NND_TRY(nnd_real_write(&c->out[0], &j->out[0]));
    return nnd_real_write(state, &j->out[1]);
}

static nnd_status delta_run(nnd_op_ctx *c)
{
    job j = {.c = c};
    NND_TRY(read_delta(c, &j.d));
    nnd_status status = compute(c, &j);
    for (size_t i = 0; i < INPUTS; i++)
        nnd_real_free(&j.in[i]);
    for (size_t i = 0; i < 2; i++)
        nnd_real_free(&j.out[i]);
    for (size_t i = 0; i < NND_COUNT(j.made); i++)
        nnd_real_free(&j.made[i]);
    return status;
}

static const nnd_op ops[] = {
    {"com.microsoft", "GatedDeltaNet", 1, 0, 1, INPUTS, 1, 2, 0, delta_infer, delta_run,
     .flops = delta_flops},
};
const nnd_op_family nnd_ops_gated_delta = {ops, NND_COUNT(ops)};
