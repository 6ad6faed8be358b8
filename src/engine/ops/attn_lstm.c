/*
 * com.microsoft's AttnLSTM: an LSTM that looks at a memory after each step. What it found there,
 * weighed by an additive attention ("Neural machine translation by jointly learning to align and
 * translate", 2014), is a part of its next input. Sequences and directions do not know each other.
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "engine/kernels/kernels.h"
#include "engine/ops/real.h"

enum {
    X,
    W,
    R,
    B,
    LENGTHS,
    FIRST_H,
    FIRST_C,
    PEEPHOLES,
    QUERY_W,
    MEMORY_W,
    SCORE_W,
    MEMORY,
    MEMORY_LENGTHS,
    OUTPUT_W,
    INPUTS
};

typedef struct sizes {
    size_t steps, batch, input, hidden, directions;
    size_t rows, depth, keys, found; /* memory: rows and their size; of keys; of what is found */
    bool reverse;
} sizes;

static bool is_list(size_t i)
{
    return i == LENGTHS || i == MEMORY_LENGTHS;
}

static nnd_status check_types(const nnd_op_ctx *c)
{
    static const size_t needed[] = {X, W, R, QUERY_W, MEMORY_W, SCORE_W, MEMORY};
    const uint32_t floats = 1u << NND_F32 | 1u << NND_F64;
    for (size_t i = 0; i < NND_COUNT(needed); i++)
        NND_TRY(nnd_op_expect(c, needed[i], floats));
    for (size_t i = 0; i < INPUTS; i++)
        if (nnd_op_in(c, i))
            NND_TRY(nnd_op_expect(c, i, is_list(i) ? 1u << NND_I32 : 1u << c->in[X]->dtype));
    return NND_OK;
}

/* The shape that an operand has to have; what is absent fits. */
static bool has_shape(const nnd_op_ctx *c, size_t i, int rank, size_t a, size_t b, size_t d)
{
    const nnd_tensor *t = nnd_op_in(c, i);
    const size_t want[3] = {a, b, d};
    bool fits = !t || t->rank == rank;
    for (int k = 0; t && fits && k < rank; k++)
        fits = (size_t)t->dims[k] == want[k];
    return fits;
}

static nnd_status check_attributes(const nnd_op_ctx *c)
{
    if (nnd_node_attr(c->node, "activations") || nnd_node_attr(c->node, "clip") ||
        nnd_node_int(c->node, "input_forget", 0))
        return nnd_op_fail(c, NND_E_UNSUPPORTED,
                           "activations, clip and input_forget are not supported");
    return NND_OK;
}

static nnd_status read_sizes(const nnd_op_ctx *c, sizes *s)
{
    NND_TRY(check_types(c));
    NND_TRY(check_attributes(c));
    const nnd_tensor *const *in = c->in;
    const char *direction = nnd_node_string(c->node, "direction", "forward");
    const nnd_tensor *last = nnd_op_in(c, OUTPUT_W);
    if (in[X]->rank != 3 || in[R]->rank != 3 || in[QUERY_W]->rank != 3 || in[MEMORY]->rank != 3 ||
        (last && last->rank != 3))
        return nnd_op_fail(c, NND_E_SHAPE, "input, weights and memory have three dimensions");
    *s = (sizes){.steps = (size_t)in[X]->dims[0],
                 .batch = (size_t)in[X]->dims[1],
                 .input = (size_t)in[X]->dims[2],
                 .hidden = (size_t)in[R]->dims[2],
                 .directions = strcmp(direction, "bidirectional") == 0 ? 2 : 1,
                 .rows = (size_t)in[MEMORY]->dims[1],
                 .depth = (size_t)in[MEMORY]->dims[2],
                 .keys = (size_t)in[QUERY_W]->dims[2],
                 .reverse = strcmp(direction, "reverse") == 0};
    s->found = last ? (size_t)last->dims[2] : s->depth;
    const size_t d = s->directions, h = s->hidden, b = s->batch;
    const bool fits =
        h < SIZE_MAX / 8 && s->input < SIZE_MAX / 2 && s->found < SIZE_MAX / 2 &&
        s->depth < SIZE_MAX / 2 && has_shape(c, W, 3, d, 4 * h, s->input + s->found) &&
        has_shape(c, R, 3, d, 4 * h, h) && has_shape(c, B, 2, d, 8 * h, 0) &&
        has_shape(c, LENGTHS, 1, b, 0, 0) && has_shape(c, FIRST_H, 3, d, b, h) &&
        has_shape(c, FIRST_C, 3, d, b, h) && has_shape(c, PEEPHOLES, 2, d, 3 * h, 0) &&
        has_shape(c, QUERY_W, 3, d, h, s->keys) &&
        has_shape(c, MEMORY_W, 3, d, s->depth, s->keys) &&
        has_shape(c, SCORE_W, 2, d, s->keys, 0) && has_shape(c, MEMORY, 3, b, s->rows, s->depth) &&
        has_shape(c, MEMORY_LENGTHS, 1, b, 0, 0) &&
        has_shape(c, OUTPUT_W, 3, d, s->depth + h, s->found);
    return fits ? NND_OK : nnd_op_fail(c, NND_E_SHAPE, "the inputs do not fit each other");
}

static nnd_status infer(nnd_op_ctx *c)
{
    sizes s;
    NND_TRY(read_sizes(c, &s));
    const int64_t y[4] = {(int64_t)s.steps, (int64_t)s.directions, (int64_t)s.batch,
                          (int64_t)s.hidden};
    NND_TRY(nnd_op_output(c, 0, c->in[X]->dtype, 4, y));
    NND_TRY(nnd_op_output(c, 1, c->in[X]->dtype, 3, y + 1));
    return nnd_op_output(c, 2, c->in[X]->dtype, 3, y + 1);
}

/* ---- scratch of one sequence ----------------------------------------------------------------- */

typedef struct job {
    const nnd_op_ctx *c;
    sizes s;
    nnd_real in[INPUTS], out[3];
    float *y[3];
} job;

typedef struct state {
    float *input; /* what comes in, behind it what was found, then the state h, then the cell */
    float *found, *h, *cell, *gates;
    float *keys, *query, *weights, *joined; /* joined: h, then the sum of the memory's rows */
} state;

static nnd_status scratch_floats(const nnd_op_ctx *c, const sizes *s, size_t *count)
{
    size_t keys;
    const size_t most = SIZE_MAX / 64;
    if (!nnd_size_mul(s->rows, s->keys, &keys) || keys > most || s->hidden > most / 8 ||
        s->input > most || s->found > most || s->keys > most || s->rows > most || s->depth > most)
        return nnd_op_fail(c, NND_E_OVERFLOW, "the layer is too large");
    *count = s->input + s->found + 7 * s->hidden + keys + s->keys + s->rows + s->depth;
    return NND_OK;
}

static state lay_out(const sizes *s, float *at)
{
    state t = {.input = at};
    t.found = t.input + s->input;
    t.h = t.found + s->found;
    t.cell = t.h + s->hidden;
    t.gates = t.cell + s->hidden;
    t.keys = t.gates + 4 * s->hidden;
    t.query = t.keys + s->rows * s->keys;
    t.weights = t.query + s->keys;
    t.joined = t.weights + s->rows;
    return t;
}

/* ---- one sequence in one direction ----------------------------------------------------------- */

static float sigmoid(float v)
{
    return 1.0f / (1.0f + expf(-v));
}

static float dot(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return (float)sum;
}

/* y[n] = x[m] · w[m, n] */
static void product(const float *x, const float *w, size_t m, size_t n, float *y)
{
    memset(y, 0, n * sizeof(*y));
    for (size_t i = 0; i < m; i++)
        for (size_t k = 0; k < n; k++)
            y[k] += x[i] * w[i * n + k];
}

/* Gates in the order input, output, forget, cell. */
static void step(const job *j, const state *t, size_t d)
{
    const size_t h = j->s.hidden, all = j->s.input + j->s.found;
    const float *w = j->in[W].data + d * 4 * h * all, *r = j->in[R].data + d * 4 * h * h;
    const float *bias = j->in[B].data ? j->in[B].data + d * 8 * h : NULL;
    const float *look = j->in[PEEPHOLES].data ? j->in[PEEPHOLES].data + d * 3 * h : NULL;
    for (size_t i = 0; i < 4 * h; i++) {
        t->gates[i] = dot(t->input, w + i * all, all) + dot(t->h, r + i * h, h);
        if (bias) t->gates[i] += bias[i] + bias[4 * h + i];
    }
    for (size_t i = 0; i < h; i++) {
        const float before = t->cell[i];
        const float in = sigmoid(t->gates[i] + (look ? look[i] * before : 0.0f));
        const float keep = sigmoid(t->gates[2 * h + i] + (look ? look[2 * h + i] * before : 0.0f));
        t->cell[i] = keep * before + in * tanhf(t->gates[3 * h + i]);
        const float out = sigmoid(t->gates[h + i] + (look ? look[h + i] * t->cell[i] : 0.0f));
        t->h[i] = out * tanhf(t->cell[i]);
    }
}

/* Looks at the first `rows` rows of the memory. */
static void attend(const job *j, const state *t, size_t d, const float *memory, size_t rows)
{
    const sizes *s = &j->s;
    const float *score = j->in[SCORE_W].data + d * s->keys;
    float *sum = t->joined;
    product(t->h, j->in[QUERY_W].data + d * s->hidden * s->keys, s->hidden, s->keys, t->query);
    for (size_t i = 0; i < rows; i++) {
        double weight = 0;
        for (size_t k = 0; k < s->keys; k++)
            weight += (double)score[k] * (double)tanhf(t->keys[i * s->keys + k] + t->query[k]);
        t->weights[i] = (float)weight;
    }
    if (rows) nnd_softmax_rows(t->weights, t->weights, 1, rows);
    product(t->weights, memory, rows, s->depth, sum);
    if (!j->in[OUTPUT_W].data) {
        memcpy(t->found, sum, s->depth * sizeof(*sum));
        return;
    }
    /* The weights of h come first. */
    const float *w = j->in[OUTPUT_W].data + d * (s->hidden + s->depth) * s->found;
    product(t->h, w, s->hidden, s->found, t->found);
    for (size_t i = 0; i < s->depth; i++)
        for (size_t k = 0; k < s->found; k++)
            t->found[k] += sum[i] * w[(s->hidden + i) * s->found + k];
}

static nnd_status length_of(const job *j, size_t list, size_t batch, size_t most, size_t *out)
{
    const nnd_tensor *t = nnd_op_in(j->c, list);
    *out = most;
    if (!t) return NND_OK;
    const int32_t n = ((const int32_t *)t->data)[batch];
    if (n < 0 || (size_t)n > most)
        return nnd_op_fail(j->c, NND_E_FORMAT, "sequence %zu has %d of %zu rows", batch, (int)n,
                           most);
    *out = (size_t)n;
    return NND_OK;
}

static void start(const job *j, const state *t, size_t d, size_t b)
{
    const size_t h = j->s.hidden, at = (d * j->s.batch + b) * h;
    const float *first_h = j->in[FIRST_H].data, *first_c = j->in[FIRST_C].data;
    memset(t->found, 0, j->s.found * sizeof(float));
    memset(t->h, 0, 2 * h * sizeof(float));
    if (first_h) memcpy(t->h, first_h + at, h * sizeof(float));
    if (first_c) memcpy(t->cell, first_c + at, h * sizeof(float));
}

static nnd_status sequence(void *user, size_t index, int lane)
{
    const job *j = user;
    const sizes *s = &j->s;
    const size_t d = index / s->batch, b = index % s->batch, h = s->hidden;
    const bool reverse = s->reverse || d == 1;
    const float *memory = j->in[MEMORY].data + b * s->rows * s->depth;
    const state t = lay_out(s, nnd_op_lane(j->c, lane));
    size_t steps, rows;
    NND_TRY(length_of(j, LENGTHS, b, s->steps, &steps));
    NND_TRY(length_of(j, MEMORY_LENGTHS, b, s->rows, &rows));
    start(j, &t, d, b);
    for (size_t i = 0; i < rows; i++)
        product(memory + i * s->depth, j->in[MEMORY_W].data + d * s->depth * s->keys, s->depth,
                s->keys, t.keys + i * s->keys);
    for (size_t i = 0; i < steps; i++) {
        const size_t time = reverse ? steps - 1 - i : i;
        memcpy(t.input, j->in[X].data + (time * s->batch + b) * s->input, s->input * sizeof(float));
        step(j, &t, d);
        attend(j, &t, d, memory, rows);
        if (j->y[0])
            memcpy(j->y[0] + ((time * s->directions + d) * s->batch + b) * h, t.h,
                   h * sizeof(float));
    }
    if (j->y[1]) memcpy(j->y[1] + index * h, t.h, h * sizeof(float));
    if (j->y[2]) memcpy(j->y[2] + index * h, t.cell, h * sizeof(float));
    return NND_OK;
}

/* ---- the operator ---------------------------------------------------------------------------- */

static nnd_status plan(nnd_op_ctx *c)
{
    sizes s;
    size_t count;
    NND_TRY(read_sizes(c, &s));
    NND_TRY(scratch_floats(c, &s, &count));
    c->lane_bytes = count * sizeof(float);
    return NND_OK;
}

static nnd_status compute(nnd_op_ctx *c, job *j)
{
    for (size_t i = 0; i < INPUTS; i++)
        if (!is_list(i)) NND_TRY(nnd_real_read(nnd_op_in(c, i), &j->in[i]));
    for (size_t i = 0; i < 3 && i < c->out_count; i++)
        NND_TRY(nnd_real_result(&c->out[i], false, &j->out[i], &j->y[i]));
    NND_TRY(nnd_op_for(c, j->s.directions * j->s.batch, sequence, j));
    for (size_t i = 0; i < 3 && i < c->out_count; i++)
        NND_TRY(nnd_real_write(&c->out[i], &j->out[i]));
    return NND_OK;
}

static nnd_status run(nnd_op_ctx *c)
{
    nnd_op_ctx own = *c;
    job j = {.c = &own};
    size_t count;
    void *memory;
    NND_TRY(read_sizes(c, &j.s));
    NND_TRY(scratch_floats(c, &j.s, &count));
    NND_TRY(nnd_op_need_lane(&own, count * sizeof(float), &memory));
    const nnd_status status = compute(&own, &j);
    for (size_t i = 0; i < INPUTS; i++)
        nnd_real_free(&j.in[i]);
    for (size_t i = 0; i < 3; i++)
        nnd_real_free(&j.out[i]);
    nnd_free_aligned(memory);
    return status;
}

static double flops(const nnd_op_ctx *c)
{
    sizes s;
    if (read_sizes(c, &s) != NND_OK) return 0;
    const double h = (double)s.hidden, keys = (double)s.keys, rows = (double)s.rows;
    const double gates = 4 * h * ((double)(s.input + s.found) + h);
    const double look = h * keys + rows * (keys + (double)s.depth);
    return 2.0 * (double)s.directions * (double)s.batch * (double)s.steps * (gates + look);
}

static const nnd_op ops[] = {
    {"com.microsoft", "AttnLSTM", 1, 0, 3, INPUTS, 1, 3, 0, infer, run, .plan = plan,
     .flops = flops},
};
const nnd_op_family nnd_ops_attn_lstm = {ops, NND_COUNT(ops)};
