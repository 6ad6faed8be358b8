/* RNN, GRU, LSTM in f32, forward, reverse and both, with initial states, peepholes and sequence
   lengths; one step at a time. */
#include <math.h>
#include <string.h>

#include "engine/ops/op.h"

enum { RNN, GRU, LSTM };
enum { MOST_GATES = 4 };

typedef struct recurrence {
    int kind;
    int64_t steps, batch, input, hidden, directions;
    int gates;
    bool reverse, batch_first, linear_before_reset, input_forget;
    float clip;
} recurrence;

static nnd_status read_recurrence(const nnd_op_ctx *c, recurrence *r)
{
    const nnd_tensor *x, *w, *rec;
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_F32));
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_expect(c, 1, 1u << NND_F32));
    NND_TRY(nnd_op_need(c, 1, &w));
    NND_TRY(nnd_op_expect(c, 2, 1u << NND_F32));
    NND_TRY(nnd_op_need(c, 2, &rec));
    const char *direction = nnd_node_string(c->node, "direction", "forward");
    *r = (recurrence){.kind = c->op->variant,
                      .gates = c->op->variant == LSTM  ? 4
                               : c->op->variant == GRU ? 3
                                                       : 1};
    r->directions = strcmp(direction, "bidirectional") == 0 ? 2 : 1;
    r->reverse = strcmp(direction, "reverse") == 0;
    r->batch_first = nnd_node_int(c->node, "layout", 0) == 1;
    r->linear_before_reset = nnd_node_int(c->node, "linear_before_reset", 0) != 0;
    r->input_forget = nnd_node_int(c->node, "input_forget", 0) != 0;
    r->clip = nnd_node_float(c->node, "clip", 0.0f);
    if (x->rank != 3 || w->rank != 3 || rec->rank != 3)
        return nnd_op_fail(c, NND_E_SHAPE, "input and weights have three dimensions");
    r->steps = x->dims[r->batch_first];
    r->batch = x->dims[!r->batch_first];
    r->input = x->dims[2];
    r->hidden = rec->dims[2];
    bool fits = w->dims[0] == r->directions && rec->dims[0] == r->directions &&
                w->dims[2] == r->input && w->dims[1] == r->gates * r->hidden &&
                rec->dims[1] == r->gates * r->hidden;
    const int64_t sizes[] = {2 * r->gates * r->hidden * r->directions, r->batch,
                             r->directions * r->batch * r->hidden,
                             r->directions * r->batch * r->hidden, 3 * r->hidden * r->directions};
    for (size_t i = 3; i < c->in_count && i < 8; i++)
        if (nnd_op_in(c, i)) {
            fits = fits && nnd_tensor_count(c->in[i]) == sizes[i - 3];
            NND_TRY(nnd_op_expect(c, i, i == 4 ? 1u << NND_I32 : 1u << NND_F32));
        }
    return fits ? NND_OK : nnd_op_fail(c, NND_E_SHAPE, "the inputs do not fit each other");
}

static nnd_status rnn_infer(nnd_op_ctx *c)
{
    recurrence r;
    NND_TRY(read_recurrence(c, &r));
    int64_t y[4] = {r.steps, r.directions, r.batch, r.hidden},
            last[3] = {r.directions, r.batch, r.hidden};
    if (r.batch_first) {
        int64_t other[4] = {r.batch, r.steps, r.directions, r.hidden};
        memcpy(y, other, sizeof(y));
        last[0] = r.batch;
        last[1] = r.directions;
    }
    NND_TRY(nnd_op_output(c, 0, NND_F32, 4, y));
    NND_TRY(nnd_op_output(c, 1, NND_F32, 3, last));
    return nnd_op_output(c, 2, NND_F32, 3, last);
}

/* ---- activations ---------------------------------------------------------------------------- */

typedef enum gate_fn {
    SIGMOID_FN,
    TANH_FN,
    RELU_FN,
    AFFINE_FN,
    LEAKY_FN,
    THRESHOLDED_FN,
    SCALED_TANH_FN,
    HARD_SIGMOID_FN,
    ELU_FN,
    SOFTSIGN_FN,
    SOFTPLUS_FN,
    GATE_FN_COUNT
} gate_fn;
typedef struct gate_act {
    gate_fn fn;
    float a, b;
} gate_act;

static const struct {
    const char *name;
    float a, b;
} gate_fns[GATE_FN_COUNT] = {{"Sigmoid", 0, 0},       {"Tanh", 0, 0},
                             {"Relu", 0, 0},          {"Affine", 1, 0},
                             {"LeakyRelu", 0.01f, 0}, {"ThresholdedRelu", 1, 0},
                             {"ScaledTanh", 1, 1},    {"HardSigmoid", 0.2f, 0.5f},
                             {"Elu", 1, 0},           {"Softsign", 0, 0},
                             {"Softplus", 0, 0}};

static float apply(const gate_act *g, float x)
{
    switch (g->fn) {
    case SIGMOID_FN:
        return 1.0f / (1.0f + expf(-x));
    case TANH_FN:
        return tanhf(x);
    case RELU_FN:
        return x > 0 ? x : 0;
    case AFFINE_FN:
        return g->a * x + g->b;
    case LEAKY_FN:
        return x < 0 ? g->a * x : x;
    case THRESHOLDED_FN:
        return x > g->a ? x : 0;
    case SCALED_TANH_FN:
        return g->a * tanhf(g->b * x);
    case HARD_SIGMOID_FN:
        return fminf(fmaxf(g->a * x + g->b, 0.0f), 1.0f);
    case ELU_FN:
        return x < 0 ? g->a * expm1f(x) : x;
    case SOFTSIGN_FN:
        return x / (1.0f + fabsf(x));
    default:
        return log1pf(expf(-fabsf(x))) + fmaxf(x, 0.0f);
    }
}

static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if ((*a | 0x20) != (*b | 0x20)) return false;
    return *a == *b;
}

/* f, g, h of one direction. */
static nnd_status read_activations(const nnd_op_ctx *c, const recurrence *r, int64_t direction,
                                   gate_act act[3])
{
    static const gate_fn defaults[3][3] = {{TANH_FN, TANH_FN, TANH_FN},
                                           {SIGMOID_FN, TANH_FN, TANH_FN},
                                           {SIGMOID_FN, TANH_FN, TANH_FN}};
    size_t n = r->kind == RNN ? 1 : r->kind == GRU ? 2 : 3, alphas, betas;
    const nnd_attr *names = nnd_node_attr(c->node, "activations");
    const float *alpha = nnd_node_floats(c->node, "activation_alpha", &alphas);
    const float *beta = nnd_node_floats(c->node, "activation_beta", &betas);
    for (size_t i = 0; i < n; i++) {
        size_t k = (size_t)direction * n + i;
        act[i] = (gate_act){defaults[r->kind][i], 0, 0};
        if (names && names->kind == NND_ATTR_STRINGS && k < names->count) {
            int found = -1;
            for (int f = 0; f < GATE_FN_COUNT; f++)
                if (same_name(gate_fns[f].name, names->u.strings[k].text)) found = f;
            if (found < 0)
                return nnd_op_fail(c, NND_E_UNSUPPORTED, "the activation '%s' is not known",
                                   names->u.strings[k].text);
            act[i].fn = (gate_fn)found;
        }
        act[i].a = k < alphas ? alpha[k] : gate_fns[act[i].fn].a;
        act[i].b = k < betas ? beta[k] : gate_fns[act[i].fn].b;
    }
    return NND_OK;
}

/* ---- one step ------------------------------------------------------------------------------- */

typedef struct direction_job {
    const recurrence *r;
    const float *w, *rec, *bias, *peephole; /* of this direction */
    gate_act act[3];
    float *h, *cell; /* [hidden] of one batch entry */
    float *gates;    /* scratch [gates × hidden] and [hidden] */
} direction_job;

static float dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return (float)sum;
}

static float clipped(const recurrence *r, float x)
{
    return r->clip > 0 ? fminf(fmaxf(x, -r->clip), r->clip) : x;
}

/* W·x + R·h + biases of one gate row. */
static float gate_row(const direction_job *j, const float *x, int64_t row, bool recurrent)
{
    const recurrence *r = j->r;
    float v = dot(j->w + row * r->input, x, r->input);
    if (j->bias) v += j->bias[row] + (recurrent ? j->bias[r->gates * r->hidden + row] : 0);
    return recurrent ? v + dot(j->rec + row * r->hidden, j->h, r->hidden) : v;
}

static void step_rnn(direction_job *j, const float *x)
{
    for (int64_t i = 0; i < j->r->hidden; i++)
        j->gates[i] = apply(&j->act[0], clipped(j->r, gate_row(j, x, i, true)));
    memcpy(j->h, j->gates, (size_t)j->r->hidden * sizeof(float));
}

static void step_gru(direction_job *j, const float *x)
{
    const recurrence *r = j->r;
    int64_t n = r->hidden;
    float *update = j->gates, *reset = j->gates + n, *old = j->gates + 2 * n;
    for (int64_t i = 0; i < n; i++) {
        update[i] = apply(&j->act[0], clipped(r, gate_row(j, x, i, true)));
        reset[i] = apply(&j->act[0], clipped(r, gate_row(j, x, n + i, true)));
    }
    for (int64_t i = 0; i < n; i++)
        old[i] = r->linear_before_reset ? j->h[i] : reset[i] * j->h[i];
    float *fresh = j->gates + 3 * n;
    for (int64_t i = 0; i < n; i++) {
        float past = dot(j->rec + (2 * n + i) * n, old, n);
        if (j->bias) past += j->bias[5 * n + i];
        if (r->linear_before_reset) past *= reset[i];
        fresh[i] = apply(&j->act[1], clipped(r, gate_row(j, x, 2 * n + i, false) + past));
    }
    for (int64_t i = 0; i < n; i++)
        j->h[i] = (1.0f - update[i]) * fresh[i] + update[i] * j->h[i];
}

/* Gates in the order input, output, forget, cell. */
static void step_lstm(direction_job *j, const float *x)
{
    const recurrence *r = j->r;
    int64_t n = r->hidden;
    const float *p = j->peephole;
    for (int64_t i = 0; i < 4 * n; i++)
        j->gates[i] = gate_row(j, x, i, true);
    for (int64_t i = 0; i < n; i++) {
        float in = j->gates[i] + (p ? p[i] * j->cell[i] : 0);
        float forget = j->gates[2 * n + i] + (p ? p[2 * n + i] * j->cell[i] : 0);
        in = apply(&j->act[0], clipped(r, in));
        forget = r->input_forget ? 1.0f - in : apply(&j->act[0], clipped(r, forget));
        float cell = forget * j->cell[i] + in * apply(&j->act[1], clipped(r, j->gates[3 * n + i]));
        float out = j->gates[n + i] + (p ? p[n + i] * cell : 0);
        j->cell[i] = cell;
        j->h[i] = apply(&j->act[0], clipped(r, out)) * apply(&j->act[2], cell);
    }
}

/* ---- the whole sequence ---------------------------------------------------------------------- */

static const float *part(const nnd_op_ctx *c, size_t i, int64_t offset)
{
    const nnd_tensor *t = nnd_op_in(c, i);
    return t ? (const float *)t->data + offset : NULL;
}

static nnd_status run_entry(const nnd_op_ctx *c, direction_job *j, int64_t d, int64_t b)
{
    const recurrence *r = j->r;
    const float *x = c->in[0]->data;
    float *y = c->out[0].data;
    const nnd_tensor *lengths = nnd_op_in(c, 4);
    int64_t n = lengths ? nnd_op_int_at(lengths, (size_t)b) : r->steps;
    bool backwards = r->reverse || d == 1;
    if (n < 0 || n > r->steps)
        return nnd_op_fail(c, NND_E_SHAPE, "a sequence length is impossible");
    size_t state =
        (size_t)((r->batch_first ? b * r->directions + d : d * r->batch + b) * r->hidden);
    size_t bytes = (size_t)r->hidden * sizeof(float);
    memset(j->h, 0, bytes);
    memset(j->cell, 0, bytes);
    if (nnd_op_in(c, 5)) memcpy(j->h, part(c, 5, (int64_t)state), bytes);
    if (nnd_op_in(c, 6)) memcpy(j->cell, part(c, 6, (int64_t)state), bytes);
    for (int64_t i = 0; i < r->steps; i++) {
        int64_t t = backwards ? n - 1 - i : i;
        size_t row =
            (size_t)(r->batch_first ? (b * r->steps + (i < n ? t : i)) * r->directions + d
                                    : ((i < n ? t : i) * r->directions + d) * r->batch + b);
        if (i >= n) { /* behind the end of a short sequence */
            if (y) memset(y + row * (size_t)r->hidden, 0, bytes);
            continue;
        }
        const float *now = x + (r->batch_first ? b * r->steps + t : t * r->batch + b) * r->input;
        if (r->kind == LSTM)
            step_lstm(j, now);
        else if (r->kind == GRU)
            step_gru(j, now);
        else
            step_rnn(j, now);
        if (y) memcpy(y + row * (size_t)r->hidden, j->h, bytes);
        NND_TRY(nnd_cancel_check(c->cancel));
    }
    if (c->out_count > 1 && c->out[1].data) memcpy((float *)c->out[1].data + state, j->h, bytes);
    if (c->out_count > 2 && c->out[2].data) memcpy((float *)c->out[2].data + state, j->cell, bytes);
    return NND_OK;
}

static nnd_status rnn_run(nnd_op_ctx *c)
{
    recurrence r;
    NND_TRY(read_recurrence(c, &r));
    int64_t n = r.hidden, g = r.gates;
    float *scratch = nnd_calloc((size_t)n + 1, (MOST_GATES + 2) * sizeof(float));
    if (!scratch) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a recurrent layer");
    nnd_status status = NND_OK;
    for (int64_t d = 0; d < r.directions && status == NND_OK; d++) {
        direction_job j = {.r = &r, .h = scratch, .cell = scratch + n, .gates = scratch + 2 * n};
        j.w = part(c, 1, d * g * n * r.input);
        j.rec = part(c, 2, d * g * n * n);
        j.bias = part(c, 3, d * 2 * g * n);
        j.peephole = part(c, 7, d * 3 * n);
        status = read_activations(c, &r, d, j.act);
        for (int64_t b = 0; b < r.batch && status == NND_OK; b++)
            status = run_entry(c, &j, d, b);
    }
    nnd_free(scratch);
    return status;
}

static double rnn_flops(const nnd_op_ctx *c)
{
    recurrence r;
    if (read_recurrence(c, &r) != NND_OK) return 0;
    return 2.0 * (double)(r.directions * r.gates) * (double)r.hidden *
           (double)(r.input + r.hidden) * (double)r.steps * (double)r.batch;
}

static const nnd_op ops[] = {
    {"", "RNN", 1, 0, 3, 6, 0, 2, 0, rnn_infer, rnn_run, .flops = rnn_flops, .variant = RNN},
    {"", "GRU", 1, 0, 3, 6, 0, 2, 0, rnn_infer, rnn_run, .flops = rnn_flops, .variant = GRU},
    {"", "LSTM", 1, 0, 3, 8, 0, 3, 0, rnn_infer, rnn_run, .flops = rnn_flops, .variant = LSTM},
};
const nnd_op_family nnd_ops_rnn = {ops, NND_COUNT(ops)};
