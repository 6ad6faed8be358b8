/*
 * RNN, GRU, LSTM in f32, and com.microsoft's LSTM with weights of bytes: forward, reverse and both,
 * with initial states, peepholes and sequence lengths. What the input adds to the gates is one
 * product for all steps; a step is a product of the states of the batch with the recurrent weights,
 * and rows of gates.
 */
#include <math.h>
#include <string.h>

#include "base/isa.h"
#include "engine/kernels/kernels.h"
#include "engine/ops/dynamic.h"
#include "engine/ops/op.h"
#include "engine/packed/packed.h"

enum { RNN, GRU, LSTM, BYTES }; /* BYTES: an LSTM whose weights are quantised */

/* Inputs of BYTES behind those of LSTM. Its weights come transposed, [direction, in, gates]. */
enum { W_SCALE = 8, W_ZERO, R_SCALE, R_ZERO };

typedef struct recurrence {
    int kind;
    int64_t steps, batch, input, hidden, directions;
    int gates;
    bool reverse, batch_first, linear_before_reset, input_forget;
    bool bytes; /* the weights are, and input and states become such for their products */
    float clip;
} recurrence;

/* Scales and zero points of the weights: one for each direction, or for each column of one. */
static nnd_status check_scaling(const nnd_op_ctx *c, const recurrence *r, size_t scale, int weights)
{
    const nnd_tensor *s, *zero = nnd_op_in(c, scale + 1);
    NND_TRY(nnd_op_expect(c, scale, 1u << NND_F32));
    NND_TRY(nnd_op_need(c, scale, &s));
    if (zero) NND_TRY(nnd_op_expect(c, scale + 1, 1u << c->in[weights]->dtype));
    const nnd_tensor *const both[] = {s, zero ? zero : s};
    for (size_t i = 0; i < NND_COUNT(both); i++) {
        int64_t count = nnd_tensor_count(both[i]);
        if (count != r->directions && count != r->directions * r->gates * r->hidden)
            return nnd_op_fail(c, NND_E_SHAPE, "scales and zero points do not fit the weights");
    }
    return NND_OK;
}

static nnd_status read_recurrence(const nnd_op_ctx *c, recurrence *r)
{
    const nnd_tensor *x, *w, *rec;
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_F32));
    NND_TRY(nnd_op_need(c, 0, &x));
    const bool bytes = c->op->variant == BYTES;
    NND_TRY(nnd_op_expect(c, 1, bytes ? NND_BYTES : 1u << NND_F32));
    NND_TRY(nnd_op_need(c, 1, &w));
    NND_TRY(nnd_op_expect(c, 2, bytes ? NND_BYTES : 1u << NND_F32));
    NND_TRY(nnd_op_need(c, 2, &rec));
    const char *direction = nnd_node_string(c->node, "direction", "forward");
    *r = (recurrence){.kind = bytes ? LSTM : c->op->variant, .bytes = bytes};
    r->gates = r->kind == LSTM ? 4 : r->kind == GRU ? 3 : 1;
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
    const int in = bytes ? 1 : 2, out = bytes ? 2 : 1;
    r->hidden = rec->dims[in];
    bool fits = w->dims[0] == r->directions && rec->dims[0] == r->directions &&
                w->dims[in] == r->input && w->dims[out] == r->gates * r->hidden &&
                rec->dims[out] == r->gates * r->hidden;
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

/* The same of a whole node: packing knows the weights only. */
static nnd_status read_node(const nnd_op_ctx *c, recurrence *r)
{
    NND_TRY(read_recurrence(c, r));
    if (r->bytes) NND_TRY(check_scaling(c, r, W_SCALE, 1));
    return r->bytes ? check_scaling(c, r, R_SCALE, 2) : NND_OK;
}

static nnd_status rnn_infer(nnd_op_ctx *c)
{
    recurrence r;
    NND_TRY(read_node(c, &r));
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

/* Those that the kernels have, and behind them the ones of this family. */
enum { AFFINE = NND_ACT_COUNT, THRESHOLDED, SCALED_TANH, SOFTSIGN };

typedef struct gate_act {
    int kind;
    float a, b;
} gate_act;

static const struct {
    const char *name;
    gate_act act; /* with the defaults of alpha and beta */
} gate_acts[] = {{"Sigmoid", {NND_ACT_SIGMOID, 0, 0}},
                 {"Tanh", {NND_ACT_TANH, 0, 0}},
                 {"Relu", {NND_ACT_RELU, 0, 0}},
                 {"Affine", {AFFINE, 1, 0}},
                 {"LeakyRelu", {NND_ACT_LEAKY_RELU, 0.01f, 0}},
                 {"ThresholdedRelu", {THRESHOLDED, 1, 0}},
                 {"ScaledTanh", {SCALED_TANH, 1, 1}},
                 {"HardSigmoid", {NND_ACT_HARD_SIGMOID, 0.2f, 0.5f}},
                 {"Elu", {NND_ACT_ELU, 1, 0}},
                 {"Softsign", {SOFTSIGN, 0, 0}},
                 {"Softplus", {NND_ACT_SOFTPLUS, 0, 0}}};

static float rare_act(const gate_act *g, float x)
{
    switch (g->kind) {
    case AFFINE:
        return g->a * x + g->b;
    case THRESHOLDED:
        return x > g->a ? x : 0;
    case SCALED_TANH:
        return g->a * tanhf(g->b * x);
    default:
        return x / (1.0f + fabsf(x));
    }
}

/* clip limits what goes in; 0 = no limit. */
static void apply_gate(const gate_act *g, float clip, float *x, int64_t n)
{
    nnd_act act = {NND_ACT_CLIP, -clip, clip};
    if (clip > 0) nnd_act_apply(&act, x, x, (size_t)n);
    if (g->kind < NND_ACT_COUNT) {
        act = (nnd_act){(nnd_act_kind)g->kind, g->a, g->b};
        nnd_act_apply(&act, x, x, (size_t)n);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        x[i] = rare_act(g, x[i]);
}

static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if ((*a | 0x20) != (*b | 0x20)) return false;
    return *a == *b;
}

static nnd_status find_activation(const nnd_op_ctx *c, const char *name, gate_act *out)
{
    for (size_t i = 0; i < NND_COUNT(gate_acts); i++)
        if (same_name(gate_acts[i].name, name)) {
            *out = gate_acts[i].act;
            return NND_OK;
        }
    return nnd_op_fail(c, NND_E_UNSUPPORTED, "the activation '%s' is not known", name);
}

/* f, g, h of one direction. */
static nnd_status read_activations(const nnd_op_ctx *c, const recurrence *r, int64_t direction,
                                   gate_act act[3])
{
    size_t n = r->kind == RNN ? 1 : r->kind == GRU ? 2 : 3, alphas, betas;
    const nnd_attr *names = nnd_node_attr(c->node, "activations");
    const float *alpha = nnd_node_floats(c->node, "activation_alpha", &alphas);
    const float *beta = nnd_node_floats(c->node, "activation_beta", &betas);
    for (size_t i = 0; i < n; i++) {
        size_t k = (size_t)direction * n + i;
        act[i] = (gate_act){i == 0 && r->kind != RNN ? NND_ACT_SIGMOID : NND_ACT_TANH, 0, 0};
        if (names && names->kind == NND_ATTR_STRINGS && k < names->count)
            NND_TRY(find_activation(c, names->u.strings[k].text, &act[i]));
        if (k < alphas) act[i].a = alpha[k];
        if (k < betas) act[i].b = beta[k];
    }
    return NND_OK;
}

/* ---- weights and plan ------------------------------------------------------------------------ */

/* The products of a step: the input's part of all gates, the states' part of the gates that need
   nothing else, and for GRU that of the last gate. */
enum { FROM_INPUT, FROM_STATE, FROM_RESET, PRODUCTS };

typedef struct step_plan {
    recurrence r;
    gate_act act[2][3];
    nnd_gemm gemm[PRODUCTS];
    nnd_dynamic_product dynamic[2]; /* instead of them, with weights of bytes */
    int products;
    size_t packed[PRODUCTS + 1]; /* where each packed matrix begins, and bytes of a direction */
    /* Floats of the workspace: the input's part of every step; gates, the last gate of GRU, what
       goes into it, states and cells of the batch; biases; what a product with bytes needs; packed
       weights that are no constants. */
    size_t input_part, gates, last, reset, state, cell, bias, bytes, weights, total;
} step_plan;

static size_t whole_lines(size_t floats)
{
    const size_t line = NND_KERNEL_ALIGN / sizeof(float);
    return (floats + line - 1) / line * line;
}

static nnd_status plan_bytes(step_plan *s, int64_t inputs, int64_t states, const bool *is_signed)
{
    const recurrence *r = &s->r;
    const int64_t all = r->gates * r->hidden;
    s->products = 2;
    NND_TRY(nnd_dynamic_product_plan(inputs, all, r->input, is_signed[0], &s->dynamic[0]));
    NND_TRY(nnd_dynamic_product_plan(states, all, r->hidden, is_signed[1], &s->dynamic[1]));
    for (int i = 0; i < s->products; i++) {
        size_t bytes = nnd_int8_gemm_packed_bytes(&s->dynamic[i].gemm);
        s->packed[i + 1] = s->packed[i] + whole_lines(bytes / sizeof(float) + 1) * sizeof(float);
    }
    return NND_OK;
}

/* Products for so many rows of input and states, and the layout of packed weights, which does not
   depend on those. */
static nnd_status plan_products(const nnd_op_ctx *c, step_plan *s, int64_t inputs, int64_t states)
{
    const recurrence *r = &s->r;
    int64_t n = r->hidden, all = r->gates * n;
    const bool is_signed[2] = {c->in[1]->dtype == NND_I8, c->in[2]->dtype == NND_I8};
    if (r->bytes) return plan_bytes(s, inputs, states, is_signed);
    s->products = r->kind == GRU ? 3 : 2;
    const nnd_gemm_desc d[PRODUCTS] = {
        {.m = inputs, .n = all, .k = r->input, .bias = NND_GEMM_BIAS_COLUMN},
        {.m = states, .n = r->kind == GRU ? 2 * n : all, .k = n, .ldc = all, .ldr = all, .beta = 1},
        {.m = states, .n = n, .k = n, .bias = NND_GEMM_BIAS_COLUMN}};
    for (int i = 0; i < s->products; i++) {
        nnd_gemm_desc one = d[i];
        one.alpha = 1;
        one.trans_b = true;
        NND_TRY(nnd_gemm_plan(&one, &s->gemm[i]));
        size_t floats = nnd_gemm_packed_bytes(&s->gemm[i]) / sizeof(float);
        s->packed[i + 1] = s->packed[i] + whole_lines(floats) * sizeof(float);
    }
    return NND_OK;
}

static void pack_product(const step_plan *s, int product, const float *from, char *packed)
{
    nnd_gemm_pack_b(&s->gemm[product], from, (float *)(void *)(packed + s->packed[product]));
}

/* Weights of direction d: [gates·hidden, input] and [gates·hidden, hidden], transposed as bytes. */
static void pack_direction(const step_plan *s, int64_t d, const void *w, const void *rec,
                           char *packed)
{
    int64_t n = s->r.hidden, rows = s->r.gates * n;
    if (s->r.bytes) {
        nnd_int8_gemm_pack_b(&s->dynamic[0].gemm, (const uint8_t *)w + d * rows * s->r.input,
                             packed);
        nnd_int8_gemm_pack_b(&s->dynamic[1].gemm, (const uint8_t *)rec + d * rows * n,
                             packed + s->packed[1]);
        return;
    }
    const float *states = (const float *)rec + d * rows * n;
    pack_product(s, FROM_INPUT, (const float *)w + d * rows * s->r.input, packed);
    pack_product(s, FROM_STATE, states, packed);
    if (s->products > FROM_RESET) pack_product(s, FROM_RESET, states + 2 * n * n, packed);
}

static nnd_status pack_both(nnd_graph *g, nnd_graph_node *node, const step_plan *s, const void *w,
                            const void *rec)
{
    const recurrence *r = &s->r;
    size_t each = s->packed[s->products];
    nnd_packed_blob *packed;
    void *fill;
    NND_TRY(nnd_packed_take(g, node, r->bytes ? "int8 gemm" : "gemm", each * (size_t)r->directions,
                            &packed, &fill));
    for (int64_t d = 0; fill && d < r->directions; d++)
        pack_direction(s, d, w, rec, (char *)fill + (size_t)d * each);
    node->state = packed;
    return NND_OK;
}

static nnd_status rnn_prepare(nnd_graph *g, nnd_graph_node *n)
{
    const nnd_tensor *in[3] = {0};
    /* Vector kernels pack from any address, the reference wants floats where floats may lie. */
    for (size_t i = 1; i < 3; i++) {
        const nnd_graph_value *v = &g->values[n->inputs[i]];
        in[i] = v->is_constant ? &v->constant : NULL;
        if (nnd_isa_current() == NND_ISA_REFERENCE)
            NND_TRY(nnd_graph_constant(g, n->inputs[i], &in[i]));
        if (!in[i] || !in[i]->data || in[i]->rank != 3) return NND_OK;
    }
    const bool bytes = n->op->variant == BYTES;
    nnd_tensor x = {.dtype = NND_F32, .rank = 3, .dims = {1, 1, in[1]->dims[bytes ? 1 : 2]}};
    in[0] = &x;
    nnd_op_ctx c = {.node = n, .op = n->op, .in_count = 3, .in = in};
    step_plan s = {0};
    if (read_recurrence(&c, &s.r) != NND_OK || plan_products(&c, &s, 1, 1) != NND_OK) {
        nnd_error_clear(); /* the plan says what is wrong, with the real shapes */
        return NND_OK;
    }
    NND_TRY(pack_both(g, n, &s, in[1]->data, in[2]->data));
    for (size_t i = 1; i < 3; i++)
        if (g->values[n->inputs[i]].uses == 1) nnd_graph_release_constant(g, n->inputs[i]);
    return NND_OK;
}

static size_t take(step_plan *s, int64_t rows, int64_t columns)
{
    size_t at = s->total;
    s->total += whole_lines((size_t)(rows * columns));
    return at;
}

static nnd_status fill_plan(nnd_op_ctx *c, step_plan *s)
{
    recurrence *r = &s->r;
    NND_TRY(read_node(c, r));
    for (int64_t d = 0; d < r->directions; d++)
        NND_TRY(read_activations(c, r, d, s->act[d]));
    NND_TRY(plan_products(c, s, r->steps * r->batch, r->batch));
    int64_t all = r->gates * r->hidden;
    s->input_part = take(s, r->steps * r->batch, all);
    s->gates = take(s, r->batch, all);
    s->last = take(s, r->batch, r->hidden);
    s->reset = take(s, r->batch, r->hidden);
    s->state = take(s, r->batch, r->hidden);
    s->cell = take(s, r->batch, r->hidden);
    s->bias = take(s, 1, all);
    if (r->bytes) {
        size_t most =
            s->dynamic[0].total > s->dynamic[1].total ? s->dynamic[0].total : s->dynamic[1].total;
        s->bytes = take(s, 1, (int64_t)(most / sizeof(float)));
    }
    s->weights = s->total;
    if (!c->node->state) s->total += s->packed[s->products] / sizeof(float);
    c->workspace_bytes = s->total * sizeof(float);
    for (int i = 0; i < s->products && !r->bytes; i++) {
        size_t bytes = nnd_gemm_lane_bytes(&s->gemm[i]);
        if (bytes > c->lane_bytes) c->lane_bytes = bytes;
    }
    return NND_OK;
}

static nnd_status rnn_plan(nnd_op_ctx *c)
{
    step_plan *s = nnd_calloc(1, sizeof(*s));
    if (!s) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a plan");
    nnd_status status = fill_plan(c, s);
    if (status != NND_OK) {
        nnd_free(s);
        return status;
    }
    c->step = s;
    c->kernel = s->r.bytes ? "int8 gemm" : "gemm";
    return NND_OK;
}

static void rnn_unplan(void *step)
{
    nnd_free(step);
}

/* ---- one step -------------------------------------------------------------------------------- */

/* One direction of a run. Rows of the batch lie one behind the other. */
typedef struct direction_job {
    const nnd_op_ctx *c;
    const step_plan *s;
    int64_t d;
    const gate_act *act;
    const char *packed;
    const float *peephole, *last_bias;
    float *gates, *last, *reset, *h, *cell;
    void *bytes;
} direction_job;

typedef struct product_job {
    const nnd_op_ctx *c;
    const nnd_gemm *gemm;
    nnd_gemm_args args;
} product_job;

static nnd_status product_tile(void *user, size_t index, int lane)
{
    const product_job *j = user;
    nnd_gemm_run_tile(j->gemm, &j->args, index, nnd_op_lane(j->c, lane));
    return NND_OK;
}

/* What belongs to one direction of a list of scales or zero points, and how many there are. */
static const void *scaling_of(const direction_job *j, size_t input, size_t *count)
{
    const nnd_tensor *t = nnd_op_in(j->c, input);
    *count = t ? (size_t)(nnd_tensor_count(t) / j->s->r.directions) : 1;
    if (!t) return NULL;
    return (const char *)t->data + (size_t)j->d * *count * nnd_op_element(t->dtype);
}

static nnd_status product_of_bytes(const direction_job *j, int which, const float *a,
                                   const float *bias, float *to)
{
    nnd_dynamic_args args = {.a = a,
                             .packed_b = j->packed + j->s->packed[which],
                             .bias = bias,
                             .adds = which == FROM_STATE,
                             .c = to,
                             .workspace = j->bytes};
    const size_t scale = which == FROM_STATE ? R_SCALE : W_SCALE;
    args.scale = scaling_of(j, scale, &args.scales);
    args.zero = scaling_of(j, scale + 1, &args.zeros);
    return nnd_dynamic_product_run(j->c, &j->s->dynamic[which], &args);
}

/* Small products, as those of most steps are, end sooner than help arrives. */
#define WORTH_HELP (1 << 18)
static nnd_status product(const direction_job *j, int which, const float *a, const float *bias,
                          float *to)
{
    if (j->s->r.bytes) return product_of_bytes(j, which, a, bias, to);
    const nnd_gemm *g = &j->s->gemm[which];
    product_job p = {.c = j->c, .gemm = g, .args = {.a = a, .bias = bias, .r = to, .c = to}};
    p.args.packed_b = (const float *)(const void *)(j->packed + j->s->packed[which]);
    size_t tiles = nnd_gemm_tiles(g);
    if ((double)g->desc.m * (double)g->desc.n * (double)g->desc.k >= WORTH_HELP)
        return nnd_op_for(j->c, tiles, product_tile, &p);
    for (size_t i = 0; i < tiles; i++)
        NND_TRY(product_tile(&p, i, 0));
    return NND_OK;
}

static void end_rnn(const direction_job *j, int64_t b)
{
    int64_t n = j->s->r.hidden;
    apply_gate(&j->act[0], j->s->r.clip, j->gates + b * n, n);
    memcpy(j->h + b * n, j->gates + b * n, (size_t)n * sizeof(float));
}

/* Gates in the order update, reset, last. */
static nnd_status gru_last_gate(const direction_job *j)
{
    const recurrence *r = &j->s->r;
    int64_t n = r->hidden;
    for (int64_t b = 0; b < r->batch; b++) {
        float *gates = j->gates + b * 3 * n, *reset = gates + n;
        apply_gate(&j->act[0], r->clip, gates, 2 * n);
        for (int64_t i = 0; i < n; i++)
            j->reset[b * n + i] = reset[i] * j->h[b * n + i];
    }
    return product(j, FROM_RESET, r->linear_before_reset ? j->h : j->reset, j->last_bias, j->last);
}

static void end_gru(const direction_job *j, int64_t b)
{
    const recurrence *r = &j->s->r;
    int64_t n = r->hidden;
    const float *update = j->gates + b * 3 * n, *reset = update + n, *input = update + 2 * n;
    float *fresh = j->last + b * n, *h = j->h + b * n;
    for (int64_t i = 0; i < n; i++)
        fresh[i] = input[i] + (r->linear_before_reset ? reset[i] * fresh[i] : fresh[i]);
    apply_gate(&j->act[1], r->clip, fresh, n);
    for (int64_t i = 0; i < n; i++)
        h[i] = (1.0f - update[i]) * fresh[i] + update[i] * h[i];
}

static void look(const float *peephole, const float *cell, float *gate, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        gate[i] += peephole[i] * cell[i];
}

/* Gates in the order input, output, forget, cell. */
static void end_lstm(const direction_job *j, int64_t b)
{
    const recurrence *r = &j->s->r;
    int64_t n = r->hidden;
    float *in = j->gates + b * 4 * n, *out = in + n, *forget = in + 2 * n, *fresh = in + 3 * n;
    float *h = j->h + b * n, *cell = j->cell + b * n;
    const float *p = j->peephole;
    if (p) {
        look(p, cell, in, n);
        look(p + 2 * n, cell, forget, n);
        apply_gate(&j->act[0], r->clip, in, n);
        apply_gate(&j->act[0], r->clip, forget, n);
    } else {
        apply_gate(&j->act[0], r->clip, in, 3 * n);
    }
    for (int64_t i = 0; i < n && r->input_forget; i++)
        forget[i] = 1.0f - in[i];
    apply_gate(&j->act[1], r->clip, fresh, n);
    for (int64_t i = 0; i < n; i++)
        cell[i] = forget[i] * cell[i] + in[i] * fresh[i];
    if (p) {
        look(p + n, cell, out, n);
        apply_gate(&j->act[0], r->clip, out, n);
    }
    memcpy(h, cell, (size_t)n * sizeof(float));
    apply_gate(&j->act[2], 0, h, n);
    for (int64_t i = 0; i < n; i++)
        h[i] *= out[i];
}

/* ---- the whole sequence ---------------------------------------------------------------------- */

static const float *part(const nnd_op_ctx *c, size_t i, int64_t offset)
{
    const nnd_tensor *t = nnd_op_in(c, i);
    return t && t->data ? (const float *)t->data + offset : NULL;
}

static int64_t length_of(const nnd_op_ctx *c, const recurrence *r, int64_t b)
{
    const nnd_tensor *lengths = nnd_op_in(c, 4);
    return lengths ? nnd_op_int_at(lengths, (size_t)b) : r->steps;
}

/* The step of the sequence that entry b takes as its i-th; i itself behind its end. */
static int64_t time_of(const direction_job *j, int64_t d, int64_t b, int64_t i)
{
    const recurrence *r = &j->s->r;
    int64_t n = length_of(j->c, r, b);
    return i < n && (r->reverse || d == 1) ? n - 1 - i : i;
}

static int64_t input_row(const recurrence *r, int64_t t, int64_t b)
{
    return r->batch_first ? b * r->steps + t : t * r->batch + b;
}

/* Puts the states after step i into Y; zeros behind the end of a short sequence. */
static void put_states(const direction_job *j, int64_t d, int64_t i)
{
    const recurrence *r = &j->s->r;
    float *y = j->c->out[0].data;
    size_t bytes = (size_t)r->hidden * sizeof(float);
    for (int64_t b = 0; b < r->batch && y; b++) {
        int64_t t = time_of(j, d, b, i);
        int64_t row = r->batch_first ? (b * r->steps + t) * r->directions + d
                                     : (t * r->directions + d) * r->batch + b;
        if (i < length_of(j->c, r, b))
            memcpy(y + row * r->hidden, j->h + b * r->hidden, bytes);
        else
            memset(y + row * r->hidden, 0, bytes);
    }
}

static nnd_status run_step(const direction_job *j, const float *input_part, int64_t d, int64_t i)
{
    const recurrence *r = &j->s->r;
    int64_t all = r->gates * r->hidden;
    for (int64_t b = 0; b < r->batch; b++)
        memcpy(j->gates + b * all, input_part + input_row(r, time_of(j, d, b, i), b) * all,
               (size_t)all * sizeof(float));
    NND_TRY(product(j, FROM_STATE, j->h, NULL, j->gates));
    if (r->kind == GRU) NND_TRY(gru_last_gate(j));
    for (int64_t b = 0; b < r->batch; b++) {
        if (i >= length_of(j->c, r, b)) continue;
        if (r->kind == LSTM)
            end_lstm(j, b);
        else if (r->kind == GRU)
            end_gru(j, b);
        else
            end_rnn(j, b);
    }
    put_states(j, d, i);
    return nnd_cancel_check(j->c->cancel);
}

/* States of one direction between an array of [hidden] and the rows of a tensor. */
static void copy_states(const recurrence *r, int64_t d, float *rows, float *tensor, bool out)
{
    size_t bytes = (size_t)r->hidden * sizeof(float);
    for (int64_t b = 0; b < r->batch; b++) {
        int64_t at = (r->batch_first ? b * r->directions + d : d * r->batch + b) * r->hidden;
        if (out)
            memcpy(tensor + at, rows + b * r->hidden, bytes);
        else
            memcpy(rows + b * r->hidden, tensor + at, bytes);
    }
}

/* W's and R's biases; GRU's last gate adds that of R before the reset. */
static const float *join_biases(const direction_job *j, const float *given, float *to)
{
    const recurrence *r = &j->s->r;
    int64_t all = r->gates * r->hidden;
    for (int64_t i = 0; i < all && given; i++)
        to[i] = given[i] + (r->kind == GRU && i >= 2 * r->hidden ? 0.0f : given[all + i]);
    return given ? to : NULL;
}

static nnd_status run_direction(const nnd_op_ctx *c, int64_t d)
{
    const step_plan *s = c->step;
    const recurrence *r = &s->r;
    int64_t n = r->hidden, all = r->gates * n;
    float *memory = c->workspace;
    direction_job j = {.c = c,
                       .s = s,
                       .d = d,
                       .act = s->act[d],
                       .peephole = part(c, 7, d * 3 * n),
                       .gates = memory + s->gates,
                       .last = memory + s->last,
                       .reset = memory + s->reset,
                       .h = memory + s->state,
                       .cell = memory + s->cell,
                       .bytes = memory + s->bytes};
    const float *bias = part(c, 3, d * 2 * all);
    if (bias && r->kind == GRU) j.last_bias = bias + 5 * n;
    if (c->node->state) {
        const nnd_packed_blob *weights = c->node->state;
        j.packed = (const char *)weights->data + (size_t)d * s->packed[s->products];
    } else {
        char *packed = (char *)(memory + s->weights);
        pack_direction(s, d, c->in[1]->data, c->in[2]->data, packed);
        j.packed = packed;
    }
    memset(j.h, 0, (size_t)(r->batch * n) * sizeof(float));
    memset(j.cell, 0, (size_t)(r->batch * n) * sizeof(float));
    if (nnd_op_in(c, 5)) copy_states(r, d, j.h, c->in[5]->data, false);
    if (nnd_op_in(c, 6)) copy_states(r, d, j.cell, c->in[6]->data, false);
    NND_TRY(product(&j, FROM_INPUT, c->in[0]->data, join_biases(&j, bias, memory + s->bias),
                    memory + s->input_part));
    for (int64_t i = 0; i < r->steps; i++)
        NND_TRY(run_step(&j, memory + s->input_part, d, i));
    if (c->out_count > 1 && c->out[1].data) copy_states(r, d, j.h, c->out[1].data, true);
    if (c->out_count > 2 && c->out[2].data) copy_states(r, d, j.cell, c->out[2].data, true);
    return NND_OK;
}

static nnd_status rnn_run(nnd_op_ctx *c)
{
    const step_plan *s = c->step;
    for (int64_t b = 0; b < s->r.batch; b++) {
        int64_t n = length_of(c, &s->r, b);
        if (n < 0 || n > s->r.steps)
            return nnd_op_fail(c, NND_E_SHAPE, "a sequence length is impossible");
    }
    for (int64_t d = 0; d < s->r.directions; d++)
        NND_TRY(run_direction(c, d));
    return NND_OK;
}

static double rnn_flops(const nnd_op_ctx *c)
{
    recurrence r;
    if (read_recurrence(c, &r) != NND_OK) return 0;
    return 2.0 * (double)(r.directions * r.gates) * (double)r.hidden *
           (double)(r.input + r.hidden) * (double)r.steps * (double)r.batch;
}

#define ROW(domain, name, low, high, outputs, v)                                                   \
    {                                                                                              \
        domain, name, 1, 0, low, high, 0, outputs, NND_OP_PLANNED, rnn_infer, rnn_run,             \
            rnn_prepare, NULL, rnn_plan, rnn_unplan, rnn_flops, v                                  \
    }
static const nnd_op ops[] = {ROW("", "RNN", 3, 6, 2, RNN), ROW("", "GRU", 3, 6, 2, GRU),
                             ROW("", "LSTM", 3, 8, 3, LSTM),
                             ROW("com.microsoft", "DynamicQuantizeLSTM", 3, 12, 3, BYTES)};
const nnd_op_family nnd_ops_rnn = {ops, NND_COUNT(ops)};
