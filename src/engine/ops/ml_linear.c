/* ai.onnx.ml: LinearRegressor and LinearClassifier. */
#include <math.h>

#include "engine/ops/ml.h"

typedef struct linear {
    size_t rows, features, targets;
    const float *weights, *bias; /* [targets, features]; [targets] or NULL */
    nnd_ml_post post;
} linear;

static nnd_status read_linear(const nnd_op_ctx *c, linear *l)
{
    size_t weights, biases;
    NND_TRY(nnd_ml_rows(c, &l->rows, &l->features));
    NND_TRY(nnd_ml_read_post(c, &l->post));
    l->weights = nnd_node_floats(c->node, "coefficients", &weights);
    l->bias = nnd_node_floats(c->node, "intercepts", &biases);
    if (!biases) l->bias = NULL;
    l->targets = l->features ? weights / l->features : 0;
    if (!l->weights || !l->targets || l->targets * l->features != weights ||
        (l->bias && biases != l->targets))
        return nnd_op_fail(c, NND_E_SHAPE, "the coefficients do not fit %zu features", l->features);
    return NND_OK;
}

static nnd_status regressor_infer(nnd_op_ctx *c)
{
    linear l;
    NND_TRY(read_linear(c, &l));
    if ((int64_t)l.targets != nnd_node_int(c->node, "targets", 1))
        return nnd_op_fail(c, NND_E_SHAPE, "there are coefficients for %zu targets", l.targets);
    return nnd_op_output(c, 0, NND_F32, 2, (int64_t[]){(int64_t)l.rows, (int64_t)l.targets});
}

/* Two classes with one score have a column for each all the same. */
static nnd_status classifier_infer(nnd_op_ctx *c)
{
    linear l;
    nnd_ml_labels labels;
    NND_TRY(read_linear(c, &l));
    NND_TRY(nnd_ml_read_labels(c, "classlabels_strings", "classlabels_ints", &labels));
    bool fits = l.targets == labels.count || (l.targets == 1 && labels.count == 2);
    if (!fits)
        return nnd_op_fail(c, NND_E_SHAPE, "%zu scores for %zu labels", l.targets, labels.count);
    return nnd_ml_infer_classes(c, &labels, labels.count);
}

static size_t decide(const linear *l, const nnd_ml_labels *labels, double *scores)
{
    if (l->targets == labels->count) {
        size_t best = nnd_ml_argmax(scores, l->targets);
        nnd_ml_apply(l->post, scores, l->targets);
        return best;
    }
    /* One score for two classes: it is that of the second, as runtimes have it. */
    bool yes = scores[0] > 0;
    scores[1] = scores[0];
    if (l->post == NND_ML_LOGISTIC || l->post == NND_ML_PROBIT)
        nnd_ml_apply(l->post, scores + 1, 1);
    scores[0] = 1 - scores[1];
    return yes;
}

/* room: for the features of a row, where they are converted. */
static nnd_status one_row(nnd_op_ctx *c, const linear *l, const nnd_ml_labels *labels, size_t row,
                          double *scores, float *room)
{
    const float *x;
    NND_TRY(nnd_ml_row(c->in[0], row, room, &x));
    for (size_t k = 0; k < l->targets; k++)
        scores[k] = (l->bias ? (double)l->bias[k] : 0) +
                    nnd_ml_dot(l->weights + k * l->features, x, l->features);
    if (c->op->variant) {
        nnd_ml_put_label(c, labels, row, decide(l, labels, scores));
        nnd_ml_put_scores(c, 1, row, scores, labels->count);
    } else {
        nnd_ml_apply(l->post, scores, l->targets);
        nnd_ml_put_scores(c, 0, row, scores, l->targets);
    }
    return NND_OK;
}

static nnd_status run(nnd_op_ctx *c)
{
    linear l;
    nnd_ml_labels labels = {.count = 0};
    NND_TRY(read_linear(c, &l));
    if (c->op->variant)
        NND_TRY(nnd_ml_read_labels(c, "classlabels_strings", "classlabels_ints", &labels));
    double *scores = nnd_calloc(l.targets + 2 + (l.features + 1) / 2, sizeof(*scores));
    if (!scores) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for scores");
    float *room = (float *)(scores + l.targets + 2);
    nnd_status status = NND_OK;
    for (size_t row = 0; row < l.rows && status == NND_OK; row++) {
        status = row % 64 ? NND_OK : nnd_cancel_check(c->cancel);
        if (status == NND_OK) status = one_row(c, &l, &labels, row, scores, room);
    }
    nnd_free(scores);
    return status;
}

static const nnd_op ops[] = {
    {NND_ML, "LinearRegressor", 1, 0, 1, 1, 1, 1, 0, regressor_infer, run, .variant = 0},
    {NND_ML, "LinearClassifier", 1, 0, 1, 1, 2, 2, 0, classifier_infer, run, .variant = 1},
};
const nnd_op_family nnd_ops_ml_linear = {ops, NND_COUNT(ops)};
