/*
 * The optimisers of ai.onnx.preview.training: Adagrad, Adam, Momentum.
 *
 * Inputs are the learning rate, the step number and then, for n tensors at a time: all values, all
 * gradients, all of the first state, all of the second one. Outputs are the new values and states
 * in the same order, without the gradients.
 */
#include <math.h>
#include <string.h>

#include "engine/ops/element.h"

enum { ADAGRAD, ADAM, MOMENTUM };
enum { RATE, STEP, FIRST };

/* Groups of inputs behind the first two, of which the second group is the gradients. */
static size_t groups_of(const nnd_op_ctx *c)
{
    return c->op->variant == ADAM ? 4 : 3;
}

static nnd_status check_scalar(const nnd_op_ctx *c, size_t i, uint32_t types)
{
    NND_TRY(nnd_op_expect(c, i, types));
    if (nnd_tensor_count(c->in[i]) == 1) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "input %zu is no scalar", i);
}

static nnd_status training_infer(nnd_op_ctx *c)
{
    size_t groups = groups_of(c), n = (c->in_count - FIRST) / groups;
    NND_TRY(check_scalar(c, RATE, NND_FLOATS));
    NND_TRY(check_scalar(c, STEP, 1u << NND_I64));
    if (n < 1 || FIRST + n * groups != c->in_count || c->out_count > n * (groups - 1))
        return nnd_op_fail(c, NND_E_FORMAT, "there are not %zu inputs for each tensor", groups);
    for (size_t i = FIRST; i < c->in_count; i++) {
        NND_TRY(nnd_op_expect(c, i, NND_FLOATS));
        const nnd_tensor *t = c->in[i], *first = c->in[FIRST + (i - FIRST) % n];
        if (t->dtype != first->dtype || t->rank != first->rank ||
            memcmp(t->dims, first->dims, (size_t)t->rank * sizeof(t->dims[0])) != 0)
            return nnd_op_fail(c, NND_E_SHAPE, "input %zu does not fit the values", i);
    }
    for (size_t i = 0; i < c->out_count; i++)
        NND_TRY(nnd_op_like(c, i, FIRST + i % n));
    return NND_OK;
}

typedef struct job {
    const nnd_op_ctx *c;
    size_t index, n; /* the tensor, of how many */
    double rate, step, regular, regular_post, alpha, beta, epsilon;
    bool nesterov;
} job;

/* One element: value, gradient and two states in; value and states out. */
static void update(const job *j, double *x, double g, double *v, double *h)
{
    g += j->regular * *x;
    switch (j->c->op->variant) {
    case ADAGRAD: /* v accumulates the squares */
        *v += g * g;
        *x -= j->rate * g / (sqrt(*v) + j->epsilon);
        break;
    case ADAM:
        *v = j->alpha * *v + (1 - j->alpha) * g;
        *h = j->beta * *h + (1 - j->beta) * g * g;
        *x -= j->rate * *v / (sqrt(*h) + j->epsilon);
        *x *= 1 - j->regular_post;
        break;
    default:
        *v = j->alpha * *v + (j->step > 0 ? j->beta : 1.0) * g;
        *x -= j->rate * (j->nesterov ? g + j->alpha * *v : *v);
    }
}

static nnd_status training_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    const nnd_op_ctx *c = j->c;
    bool second = c->op->variant == ADAM;
    const nnd_tensor *const *in = c->in + FIRST + j->index;
    size_t begin = tile * NND_OP_GRAIN, end = begin + NND_OP_GRAIN;
    size_t count = (size_t)nnd_tensor_count(in[0]);
    (void)lane;
    if (end > count) end = count;
    for (size_t i = begin; i < end; i++) {
        double x = nnd_get(in[0], i), v = nnd_get(in[2 * j->n], i);
        double h = second ? nnd_get(in[3 * j->n], i) : 0;
        update(j, &x, nnd_get(in[j->n], i), &v, &h);
        const double results[3] = {x, v, h};
        for (size_t k = 0; k < 3; k++) {
            size_t to = j->index + k * j->n;
            if (to < c->out_count && c->out[to].data) nnd_set(&c->out[to], i, results[k]);
        }
    }
    return NND_OK;
}

/* The rate that the step number makes of the given one. */
static double adjusted_rate(const job *j, double rate, double decay)
{
    if (j->c->op->variant == ADAGRAD) return rate / (1 + j->step * decay);
    if (j->c->op->variant == ADAM && j->step > 0)
        return rate * sqrt(1 - pow(j->beta, j->step)) / (1 - pow(j->alpha, j->step));
    return rate;
}

static nnd_status training_run(nnd_op_ctx *c)
{
    const nnd_graph_node *node = c->node;
    job j = {.c = c,
             .n = (c->in_count - FIRST) / groups_of(c),
             .step = (double)nnd_op_int_at(c->in[STEP], 0),
             .regular = (double)nnd_node_float(node, "norm_coefficient", 0.0f),
             .regular_post = (double)nnd_node_float(node, "norm_coefficient_post", 0.0f),
             .alpha = (double)nnd_node_float(node, "alpha", 0.9f),
             .beta = (double)nnd_node_float(node, "beta", 0.999f),
             .epsilon = (double)nnd_node_float(node, "epsilon", 1e-6f),
             .nesterov = strcmp(nnd_node_string(node, "mode", "standard"), "nesterov") == 0};
    j.rate = adjusted_rate(&j, nnd_get(c->in[RATE], 0),
                           (double)nnd_node_float(node, "decay_factor", 0.0f));
    for (; j.index < j.n; j.index++) {
        size_t count = (size_t)nnd_tensor_count(c->in[FIRST + j.index]);
        NND_TRY(nnd_op_for(c, nnd_op_tiles(count), training_tile, &j));
    }
    return NND_OK;
}

#define OPTIMISER(name, inputs, v)                                                                 \
    {                                                                                              \
        "ai.onnx.preview.training", name, 1, 0, inputs, -1, 1, -1, 0, training_infer,              \
            training_run, .variant = v                                                             \
    }
static const nnd_op ops[] = {
    OPTIMISER("Adagrad", 5, ADAGRAD),
    OPTIMISER("Adam", 6, ADAM),
    OPTIMISER("Momentum", 5, MOMENTUM),
};
const nnd_op_family nnd_ops_training = {ops, NND_COUNT(ops)};
