/* com.microsoft's VarlenCausalConvWithState: a causal convolution of each channel by itself, over
   sequences that are packed one behind the other and go on where a state says they were. */
#include <string.h>

#include "base/size.h"
#include "engine/kernels/kernels.h"
#include "engine/ops/real.h"

enum { X, WEIGHT, STARTS, BIAS, STATE, CAPTURES, INPUTS, LAST_INPUT = 8 };
enum { Y, FINAL, UPDATE, OUTPUTS, GRAIN = 16, MOST_CAPTURES = 8 };

typedef struct conv {
    int64_t tokens, channels, batch, kernel, dilation, before; /* before: what a state holds */
    int64_t captures;                                          /* tokens that UPDATE has room for */
    bool silu;
} conv;

/* ---- reading --------------------------------------------------------------------------------- */

static nnd_status check_dims(const nnd_op_ctx *c, size_t i, int rank, const int64_t *want)
{
    const nnd_tensor *t = nnd_op_in(c, i);
    if (!t) return NND_OK;
    bool fits = t->rank == rank;
    for (int d = 0; fits && d < rank; d++)
        fits = t->dims[d] == want[d];
    return fits ? NND_OK : nnd_op_fail(c, NND_E_SHAPE, "input %zu has an impossible shape", i);
}

static nnd_status read_attributes(const nnd_op_ctx *c, conv *v)
{
    const char *act = nnd_node_string(c->node, "activation", "none");
    v->silu = strcmp(act, "silu") == 0 || strcmp(act, "swish") == 0;
    if (!v->silu && strcmp(act, "none") != 0)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the activation '%s' is not known", act);
    for (size_t i = INPUTS; i < LAST_INPUT; i++)
        if (nnd_op_in(c, i))
            return nnd_op_fail(c, NND_E_UNSUPPORTED, "kernels that change are not supported");
    v->dilation = nnd_node_int(c->node, "dilation", 1);
    v->captures = nnd_node_int(c->node, "state_update_capacity", 0);
    if (v->captures < 0 || v->captures > MOST_CAPTURES)
        return nnd_op_fail(c, NND_E_SHAPE, "state_update_capacity is %lld", (long long)v->captures);
    if (!nnd_op_in(c, CAPTURES) == (v->captures > 0))
        return nnd_op_fail(c, NND_E_FORMAT, "capture_count does not fit state_update_capacity");
    return NND_OK;
}

static nnd_status read_conv(const nnd_op_ctx *c, conv *v)
{
    *v = (conv){0};
    NND_TRY(nnd_op_expect(c, X, 1u << NND_F32 | 1u << NND_F16 | 1u << NND_BF16));
    const uint32_t real = 1u << c->in[X]->dtype;
    NND_TRY(nnd_op_expect(c, WEIGHT, real));
    NND_TRY(nnd_op_expect(c, STARTS, 1u << NND_I32));
    NND_TRY(nnd_op_expect(c, STATE, real));
    if (nnd_op_in(c, BIAS)) NND_TRY(nnd_op_expect(c, BIAS, real));
    if (nnd_op_in(c, CAPTURES)) NND_TRY(nnd_op_expect(c, CAPTURES, 1u << NND_I32));
    NND_TRY(read_attributes(c, v));
    const nnd_tensor *x = c->in[X], *w = c->in[WEIGHT], *starts = c->in[STARTS];
    if (x->rank != 2 || w->rank != 3 || starts->rank != 1 || starts->dims[0] < 2 || w->dims[2] < 1)
        return nnd_op_fail(c, NND_E_SHAPE, "the input, the kernel or cu_seqlens has no such shape");
    v->tokens = x->dims[0];
    v->channels = x->dims[1];
    v->batch = starts->dims[0] - 1;
    v->kernel = w->dims[2];
    if (v->dilation < 1 || !nnd_i64_mul(v->kernel - 1, v->dilation, &v->before) ||
        v->before > INT32_MAX)
        return nnd_op_fail(c, NND_E_SHAPE, "dilation %lld is impossible", (long long)v->dilation);
    NND_TRY(check_dims(c, WEIGHT, 3, (int64_t[]){v->channels, 1, v->kernel}));
    NND_TRY(check_dims(c, BIAS, 1, &v->channels));
    NND_TRY(check_dims(c, CAPTURES, 1, &v->batch));
    return check_dims(c, STATE, 3, (int64_t[]){v->batch, v->channels, v->before});
}

static nnd_status conv_infer(nnd_op_ctx *c)
{
    conv v;
    NND_TRY(read_conv(c, &v));
    NND_TRY(nnd_op_like(c, Y, X));
    NND_TRY(nnd_op_like(c, FINAL, STATE));
    return nnd_op_output(c, UPDATE, c->in[X]->dtype, 3,
                         (int64_t[]){v.batch, v.captures, v.channels});
}

/* ---- a run ----------------------------------------------------------------------------------- */

typedef struct job {
    const nnd_op_ctx *c;
    conv v;
    nnd_real in[INPUTS], out[OUTPUTS];
    float *y[OUTPUTS];
    const int32_t *starts;
} job;

/* The sequence that a token belongs to: the last one that begins at or before it. */
static size_t sequence_of(const job *j, size_t token)
{
    size_t low = 0, high = (size_t)j->v.batch;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if ((size_t)j->starts[middle] <= token)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static nnd_status token_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    const conv *v = &j->v;
    const nnd_act silu = {.kind = NND_ACT_SILU, .alpha = 1.0f};
    size_t channels = (size_t)v->channels, before = (size_t)v->before, kernel = (size_t)v->kernel;
    size_t until = (tile + 1) * GRAIN < (size_t)v->tokens ? (tile + 1) * GRAIN : (size_t)v->tokens;
    (void)lane;
    for (size_t t = tile * GRAIN; t < until; t++) {
        size_t batch = sequence_of(j, t), local = t - (size_t)j->starts[batch];
        const float *state = j->in[STATE].data + batch * channels * before;
        float *y = j->y[Y] + t * channels;
        for (size_t i = 0; i < channels && j->in[BIAS].data; i++)
            y[i] = j->in[BIAS].data[i];
        for (size_t tap = 0; tap < kernel; tap++) {
            size_t back = (kernel - 1 - tap) * (size_t)v->dilation;
            bool old = back > local; /* in front of what this run is given */
            const float *w = j->in[WEIGHT].data + tap;
            const float *x = j->in[X].data + (old ? 0 : t - back) * channels;
            for (size_t i = 0; i < channels; i++)
                y[i] += w[i * kernel] * (old ? state[i * before + before + local - back] : x[i]);
        }
        if (v->silu) nnd_act_apply(&silu, y, y, channels);
    }
    return NND_OK;
}

/* What one sequence leaves behind: its last inputs, and the first ones that are asked for. */
static nnd_status sequence_tile(void *user, size_t batch, int lane)
{
    const job *j = user;
    const conv *v = &j->v;
    size_t channels = (size_t)v->channels, before = (size_t)v->before;
    size_t first = (size_t)j->starts[batch], length = (size_t)j->starts[batch + 1] - first;
    const float *x = j->in[X].data + first * channels;
    const float *state = j->in[STATE].data + batch * channels * before;
    (void)lane;
    for (size_t i = 0; i < channels * before && j->y[FINAL]; i++) {
        size_t channel = i / before, at = i % before + length;
        j->y[FINAL][batch * channels * before + i] =
            at < before ? state[channel * before + at] : x[(at - before) * channels + channel];
    }
    if (!j->y[UPDATE]) return NND_OK;
    int64_t asked = v->captures ? ((const int32_t *)j->c->in[CAPTURES]->data)[batch] : 0;
    if (asked > v->captures) asked = v->captures;
    if (asked > (int64_t)length) asked = (int64_t)length;
    if (asked > 0)
        memcpy(j->y[UPDATE] + batch * (size_t)v->captures * channels, x,
               (size_t)asked * channels * sizeof(*x));
    return NND_OK;
}

static nnd_status compute(nnd_op_ctx *c, job *j)
{
    const conv *v = &j->v;
    bool good = j->starts[0] == 0 && j->starts[v->batch] == v->tokens;
    for (int64_t i = 0; good && i < v->batch; i++)
        good = j->starts[i] <= j->starts[i + 1];
    if (!good)
        return nnd_op_fail(c, NND_E_FORMAT, "cu_seqlens does not rise from 0 to %lld tokens",
                           (long long)v->tokens);
    for (size_t i = 0; i < CAPTURES; i++)
        if (i != STARTS) NND_TRY(nnd_real_read(nnd_op_in(c, i), &j->in[i]));
    for (size_t i = 0; i < c->out_count; i++)
        NND_TRY(nnd_real_result(&c->out[i], i == Y, &j->out[i], &j->y[i]));
    NND_TRY(nnd_op_for(c, ((size_t)v->tokens + GRAIN - 1) / GRAIN, token_tile, j));
    NND_TRY(nnd_op_for(c, (size_t)v->batch, sequence_tile, j));
    for (size_t i = 0; i < c->out_count; i++)
        NND_TRY(nnd_real_write(&c->out[i], &j->out[i]));
    return NND_OK;
}

static nnd_status conv_run(nnd_op_ctx *c)
{
    job j = {.c = c};
    NND_TRY(read_conv(c, &j.v));
    if (j.v.channels == 0) return NND_OK;
    j.starts = c->in[STARTS]->data;
    nnd_status status = compute(c, &j);
    for (size_t i = 0; i < INPUTS; i++)
        nnd_real_free(&j.in[i]);
    for (size_t i = 0; i < OUTPUTS; i++)
        nnd_real_free(&j.out[i]);
    return status;
}

static double conv_flops(const nnd_op_ctx *c)
{
    conv v;
    if (read_conv(c, &v) != NND_OK) return 0;
    return 2.0 * (double)v.tokens * (double)v.channels * (double)v.kernel;
}

static const nnd_op ops[] = {
    {"com.microsoft", "VarlenCausalConvWithState", 1, 0, 3, LAST_INPUT, 1, OUTPUTS, 0, conv_infer,
     conv_run, .flops = conv_flops},
};
const nnd_op_family nnd_ops_varlen_conv = {ops, NND_COUNT(ops)};
