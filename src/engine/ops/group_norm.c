/*
 * com.microsoft's SkipGroupNorm of diffusion models: a sum whose groups of channels are normalised
 * by their own statistics, channels last or first, then scale and shift per channel, then SiLU if
 * it is asked for. Statistics are taken in double, group by group, in the order of memory.
 *
 * Where the file tells the operands' ranks, runtime/expand.c makes other operators of it.
 */
#include <math.h>
#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/ops/real.h"

enum { X, GAMMA, BETA, SKIP, BIAS };

typedef struct shape {
    size_t batch, area, channels, groups;
    bool last;       /* channels are the last dimension */
    bool whole_skip; /* as large as the input; else one value per channel of each picture */
} shape;

static nnd_status check_vector(const nnd_op_ctx *c, size_t i, size_t channels)
{
    const nnd_tensor *t = nnd_op_in(c, i);
    if (!t && i == BIAS) return NND_OK;
    NND_TRY(nnd_op_expect(c, i, NND_FLOATS));
    if ((size_t)nnd_tensor_count(t) == channels) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "input %zu does not have one value per channel", i);
}

static nnd_status read_shape(const nnd_op_ctx *c, shape *s)
{
    const nnd_tensor *x;
    NND_TRY(nnd_op_expect(c, X, NND_FLOATS));
    NND_TRY(nnd_op_need(c, X, &x));
    const int64_t groups = nnd_node_int(c->node, "groups", 0);
    *s = (shape){.last = nnd_node_int(c->node, "channels_last", 1) != 0};
    if (x->rank < 3) return nnd_op_fail(c, NND_E_SHAPE, "the input has rank %d", x->rank);
    const int at = s->last ? x->rank - 1 : 1;
    s->batch = (size_t)x->dims[0];
    s->channels = (size_t)x->dims[at];
    s->area = (size_t)(s->last ? nnd_op_span(x, 1, at) : nnd_op_span(x, 2, x->rank));
    if (groups < 1 || x->dims[at] % groups)
        return nnd_op_fail(c, NND_E_SHAPE, "%lld groups do not divide %lld channels",
                           (long long)groups, (long long)x->dims[at]);
    s->groups = (size_t)groups;
    NND_TRY(check_vector(c, GAMMA, s->channels));
    NND_TRY(check_vector(c, BETA, s->channels));
    NND_TRY(nnd_op_expect(c, SKIP, NND_FLOATS));
    NND_TRY(check_vector(c, BIAS, s->channels));
    const size_t more = (size_t)nnd_tensor_count(c->in[SKIP]);
    s->whole_skip = more == (size_t)nnd_tensor_count(x);
    if (!s->whole_skip && more != s->batch * s->channels)
        return nnd_op_fail(c, NND_E_SHAPE, "skip does not broadcast to the input");
    return NND_OK;
}

static nnd_status infer(nnd_op_ctx *c)
{
    shape s;
    NND_TRY(read_shape(c, &s));
    const int64_t activation = nnd_node_int(c->node, "activation", 0);
    if (activation != 0 && activation != 1)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "there is no activation %lld",
                           (long long)activation);
    if (c->out_count > 1) NND_TRY(nnd_op_like(c, 1, X));
    return nnd_op_like(c, 0, X);
}

/* The elements of one group of one picture are `runs` runs of `n` neighbours, `step` apart. */
typedef struct job {
    shape s;
    nnd_real in[5], result, total;
    float *y, *sum; /* sum: where x + skip + bias goes, y when nobody asks for it */
    size_t runs, n, step;
    double epsilon;
    bool silu;
} job;

static size_t channel_of(const job *j, size_t first, size_t run, size_t i)
{
    return j->s.last ? first + i : first + run;
}

/* x + skip + bias of one run. */
static const float *add_run(const job *j, size_t picture, size_t first, size_t run, size_t at)
{
    const float *x = j->in[X].data + at, *skip = j->in[SKIP].data, *bias = j->in[BIAS].data;
    float *sum = j->sum + at;
    for (size_t i = 0; i < j->n; i++) {
        const size_t channel = channel_of(j, first, run, i);
        const float more = skip[j->s.whole_skip ? at + i : picture * j->s.channels + channel];
        sum[i] = x[i] + more + (bias ? bias[channel] : 0.0f);
    }
    return sum;
}

static nnd_status group_tile(void *user, size_t index, int lane)
{
    const job *j = user;
    const size_t picture = index / j->s.groups, each = j->s.channels / j->s.groups;
    const size_t first = index % j->s.groups * each;
    const size_t begin = picture * j->s.area * j->s.channels + first * (j->s.last ? 1 : j->s.area);
    const nnd_act silu = {.kind = NND_ACT_SILU, .alpha = 1};
    double mean = 0, squares = 0;
    (void)lane;
    for (size_t r = 0; r < j->runs; r++) {
        const float *x = add_run(j, picture, first, r, begin + r * j->step);
        for (size_t i = 0; i < j->n; i++)
            mean += (double)x[i];
    }
    const float *from = j->sum + begin;
    mean /= (double)(j->runs * j->n);
    for (size_t r = 0; r < j->runs; r++)
        for (size_t i = 0; i < j->n; i++) {
            const double d = (double)from[r * j->step + i] - mean;
            squares += d * d;
        }
    const double inverse = 1.0 / sqrt(squares / (double)(j->runs * j->n) + j->epsilon);
    for (size_t r = 0; r < j->runs; r++) {
        float *y = j->y + begin + r * j->step;
        for (size_t i = 0; i < j->n; i++) {
            const size_t channel = channel_of(j, first, r, i);
            const double scale = (double)j->in[GAMMA].data[channel] * inverse;
            y[i] = (float)(((double)from[r * j->step + i] - mean) * scale +
                           (double)j->in[BETA].data[channel]);
        }
        if (j->silu) nnd_act_apply(&silu, y, y, j->n);
    }
    return NND_OK;
}

static nnd_status read_operands(nnd_op_ctx *c, job *j)
{
    const size_t each = j->s.channels / j->s.groups;
    for (size_t i = 0; i < NND_COUNT(j->in); i++)
        NND_TRY(nnd_real_read(nnd_op_in(c, i), &j->in[i]));
    NND_TRY(nnd_real_result(&c->out[0], true, &j->result, &j->y));
    if (c->out_count > 1) NND_TRY(nnd_real_result(&c->out[1], false, &j->total, &j->sum));
    if (!j->sum) j->sum = j->y;
    j->runs = j->s.last ? j->s.area : each;
    j->n = j->s.last ? each : j->s.area;
    j->step = j->s.last ? j->s.channels : j->s.area;
    j->epsilon = (double)nnd_node_float(c->node, "epsilon", 1e-5f);
    j->silu = nnd_node_int(c->node, "activation", 0) == 1;
    return NND_OK;
}

static nnd_status run(nnd_op_ctx *c)
{
    job j = {0};
    NND_TRY(read_shape(c, &j.s));
    if (nnd_tensor_count(c->in[X]) == 0) return NND_OK;
    nnd_status status = read_operands(c, &j);
    if (status == NND_OK) status = nnd_op_for(c, j.s.batch * j.s.groups, group_tile, &j);
    if (status == NND_OK) status = nnd_real_write(&c->out[0], &j.result);
    if (status == NND_OK && c->out_count > 1) status = nnd_real_write(&c->out[1], &j.total);
    for (size_t i = 0; i < NND_COUNT(j.in); i++)
        nnd_real_free(&j.in[i]);
    nnd_real_free(&j.result);
    nnd_real_free(&j.total);
    return status;
}

#define MS "com.microsoft"
static const nnd_op ops[] = {
    {MS, "SkipGroupNorm", 1, 0, 4, 5, 1, 2, 0, infer, run, .variant = 0},
};
const nnd_op_family nnd_ops_group_norm = {ops, NND_COUNT(ops)};
