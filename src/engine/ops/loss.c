/* NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss. Sums in double. */
#include <math.h>
#include <string.h>

#include "engine/ops/op.h"

enum { NLL, CROSS_ENTROPY };
enum { REDUCE_NONE, REDUCE_SUM, REDUCE_MEAN };

/* Scores are [batch, classes, …], labels [batch, …]. */
typedef struct loss {
    size_t batch, classes, area;
    int reduction;
    bool ignores;
    int64_t ignored;
} loss;

static nnd_status read_loss(const nnd_op_ctx *c, loss *l)
{
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    NND_TRY(nnd_op_expect(c, 1, 1u << NND_I32 | 1u << NND_I64));
    const nnd_tensor *x = c->in[0], *labels = c->in[1], *weights = nnd_op_in(c, 2);
    bool fits = x->rank >= 2 && labels->rank == x->rank - 1 && labels->dims[0] == x->dims[0];
    for (int i = 2; fits && i < x->rank; i++)
        fits = labels->dims[i - 1] == x->dims[i];
    if (!fits) return nnd_op_fail(c, NND_E_SHAPE, "the labels do not fit the scores");
    if (weights) {
        NND_TRY(nnd_op_expect(c, 2, NND_FLOATS));
        if (nnd_tensor_count(weights) != x->dims[1])
            return nnd_op_fail(c, NND_E_SHAPE, "there is not one weight per class");
    }
    const char *how = nnd_node_string(c->node, "reduction", "mean");
    *l = (loss){.batch = (size_t)x->dims[0],
                .classes = (size_t)x->dims[1],
                .area = (size_t)nnd_op_span(x, 2, x->rank),
                .ignores = nnd_node_attr(c->node, "ignore_index") != NULL,
                .ignored = nnd_node_int(c->node, "ignore_index", 0)};
    l->reduction = strcmp(how, "none") == 0  ? REDUCE_NONE
                   : strcmp(how, "sum") == 0 ? REDUCE_SUM
                                             : REDUCE_MEAN;
    return NND_OK;
}

static nnd_status loss_infer(nnd_op_ctx *c)
{
    loss l;
    NND_TRY(read_loss(c, &l));
    const nnd_tensor *labels = c->in[1];
    int rank = l.reduction == REDUCE_NONE ? labels->rank : 0;
    NND_TRY(nnd_op_output(c, 0, c->in[0]->dtype, rank, labels->dims));
    return nnd_op_output(c, 1, c->in[0]->dtype, c->in[0]->rank, c->in[0]->dims);
}

/* log Σ exp of the scores at one place, 0 when the scores are logarithms already. */
static double log_sum(const nnd_op_ctx *c, const loss *l, size_t base)
{
    const nnd_tensor *x = c->in[0];
    double top = -INFINITY, sum = 0;
    if (c->op->variant == NLL) return 0;
    for (size_t k = 0; k < l->classes; k++)
        top = fmax(top, nnd_dtype_get(x->dtype, x->data, base + k * l->area));
    for (size_t k = 0; k < l->classes; k++)
        sum += exp(nnd_dtype_get(x->dtype, x->data, base + k * l->area) - top);
    return top + log(sum);
}

static void write_logs(const nnd_op_ctx *c, const loss *l, size_t base, double shift)
{
    const nnd_tensor *x = c->in[0];
    if (c->out_count < 2 || !c->out[1].data) return;
    for (size_t k = 0; k < l->classes; k++) {
        size_t at = base + k * l->area;
        nnd_dtype_set(x->dtype, c->out[1].data, at, nnd_dtype_get(x->dtype, x->data, at) - shift);
    }
}

static nnd_status loss_run(nnd_op_ctx *c)
{
    loss l;
    NND_TRY(read_loss(c, &l));
    const nnd_tensor *x = c->in[0], *weights = nnd_op_in(c, 2), *y = &c->out[0];
    double total = 0, weight_sum = 0;
    for (size_t i = 0; i < l.batch * l.area; i++) {
        size_t base = i / l.area * l.classes * l.area + i % l.area;
        int64_t label = nnd_op_int_at(c->in[1], i);
        double shift = log_sum(c, &l, base), weight = 0, value = 0;
        write_logs(c, &l, base, shift);
        if (!l.ignores || label != l.ignored) {
            if (label < 0 || label >= (int64_t)l.classes)
                return nnd_op_fail(c, NND_E_FORMAT, "label %lld is none of %zu classes",
                                   (long long)label, l.classes);
            size_t at = base + (size_t)label * l.area;
            weight = weights ? nnd_dtype_get(weights->dtype, weights->data, (size_t)label) : 1.0;
            value = weight * (shift - nnd_dtype_get(x->dtype, x->data, at));
        }
        total += value;
        weight_sum += weight;
        if (l.reduction == REDUCE_NONE && y->data) nnd_dtype_set(y->dtype, y->data, i, value);
    }
    if (l.reduction != REDUCE_NONE && y->data)
        nnd_dtype_set(y->dtype, y->data, 0,
                      l.reduction == REDUCE_MEAN ? total / weight_sum : total);
    return NND_OK;
}

static const nnd_op ops[] = {
    {"", "NegativeLogLikelihoodLoss", 12, 0, 2, 3, 1, 1, 0, loss_infer, loss_run, .variant = NLL},
    {"", "SoftmaxCrossEntropyLoss", 12, 0, 2, 3, 1, 2, 0, loss_infer, loss_run,
     .variant = CROSS_ENTROPY},
};
const nnd_op_family nnd_ops_loss = {ops, NND_COUNT(ops)};
