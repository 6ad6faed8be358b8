/* ai.onnx.ml: TreeEnsemble, TreeEnsembleRegressor, TreeEnsembleClassifier. */
#include <math.h>
#include <string.h>

#include "engine/ops/ml_forest.h"

typedef enum aggregate { AVERAGE = 0, SUM, MINIMUM, MAXIMUM } aggregate;

/* Made by prepare. */
typedef struct ensemble {
    nnd_forest forest;
    size_t targets;
    aggregate how;
    nnd_ml_post post;
    nnd_tensor base;
    /* classifiers */
    nnd_ml_labels labels;
    bool one_sided; /* two classes, and all weights are for one of them */
    bool positive;  /* and none is negative */
} ensemble;

static void release(void *state)
{
    ensemble *e = state;
    if (e) nnd_forest_fini(&e->forest);
    nnd_free(e);
}

static nnd_status create(nnd_graph_node *n, ensemble **out)
{
    *out = n->state = nnd_calloc(1, sizeof(**out));
    return n->state ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for trees");
}

static nnd_status check_targets(const nnd_op_ctx *c, const ensemble *e, int64_t targets)
{
    if (targets < 1 || targets > INT32_MAX)
        return nnd_op_fail(c, NND_E_FORMAT, "there are %lld targets", (long long)targets);
    for (size_t i = 0; i < e->forest.weight_count; i++)
        if (e->forest.weights[i].target >= (uint64_t)targets)
            return nnd_op_fail(c, NND_E_FORMAT, "a weight is for target %u of %lld",
                               e->forest.weights[i].target, (long long)targets);
    bool base = e->base.rank < 0 || !nnd_tensor_count(&e->base) || e->base.dtype != NND_STRING;
    return base ? NND_OK : nnd_op_fail(c, NND_E_FORMAT, "base_values are no numbers");
}

static nnd_status read_base(const nnd_graph_node *n, ensemble *e)
{
    NND_TRY(nnd_ml_vector(n, "base_values", &e->base));
    if (e->base.rank >= 0 && nnd_tensor_count(&e->base)) return NND_OK;
    return nnd_ml_vector(n, "base_values_as_tensor", &e->base);
}

static nnd_status regressor_prepare(nnd_graph *graph, nnd_graph_node *n)
{
    static const char *const names[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    nnd_op_ctx c = {.node = n, .op = n->op};
    ensemble *e;
    (void)graph;
    NND_TRY(create(n, &e));
    NND_TRY(nnd_forest_read_old(n, "target", &e->forest));
    NND_TRY(read_base(n, e));
    NND_TRY(nnd_ml_read_post(&c, &e->post));
    const char *how = nnd_node_string(n, "aggregate_function", "SUM");
    size_t k = 0;
    while (k < NND_COUNT(names) && strcmp(names[k], how) != 0)
        k++;
    if (k == NND_COUNT(names))
        return nnd_op_fail(&c, NND_E_FORMAT, "aggregate_function is '%s'", how);
    e->how = (aggregate)k;
    int64_t targets = nnd_node_int(n, "n_targets", 1);
    NND_TRY(check_targets(&c, e, targets));
    e->targets = (size_t)targets;
    return NND_OK;
}

static nnd_status ensemble_prepare(nnd_graph *graph, nnd_graph_node *n)
{
    nnd_op_ctx c = {.node = n, .op = n->op};
    ensemble *e;
    (void)graph;
    NND_TRY(create(n, &e));
    NND_TRY(nnd_forest_read(n, &e->forest));
    int64_t how = nnd_node_int(n, "aggregate_function", SUM);
    int64_t post = nnd_node_int(n, "post_transform", NND_ML_NONE);
    int64_t targets = nnd_node_int(n, "n_targets", 1);
    if (how < AVERAGE || how > MAXIMUM || post < NND_ML_NONE || post > NND_ML_PROBIT)
        return nnd_op_fail(&c, NND_E_FORMAT, "aggregate_function or post_transform is unknown");
    e->how = (aggregate)how;
    e->post = (nnd_ml_post)post;
    e->base.rank = -1;
    NND_TRY(check_targets(&c, e, targets));
    e->targets = (size_t)targets;
    return NND_OK;
}

static nnd_status classifier_prepare(nnd_graph *graph, nnd_graph_node *n)
{
    nnd_op_ctx c = {.node = n, .op = n->op};
    ensemble *e;
    (void)graph;
    NND_TRY(create(n, &e));
    NND_TRY(nnd_forest_read_old(n, "class", &e->forest));
    NND_TRY(read_base(n, e));
    NND_TRY(nnd_ml_read_post(&c, &e->post));
    NND_TRY(nnd_ml_read_labels(&c, "classlabels_strings", "classlabels_int64s", &e->labels));
    NND_TRY(check_targets(&c, e, (int64_t)e->labels.count));
    e->targets = e->labels.count;
    e->how = SUM;
    e->positive = true;
    e->one_sided = e->targets == 2;
    const nnd_forest *f = &e->forest;
    for (size_t i = 0; i < f->weight_count; i++) {
        e->one_sided = e->one_sided && f->weights[i].target == f->weights[0].target;
        e->positive = e->positive && f->weights[i].weight >= 0;
    }
    return NND_OK;
}

/* ---- sums ----------------------------------------------------------------------------------- */

static double base_of(const ensemble *e, size_t target)
{
    size_t count = e->base.rank < 0 ? 0 : (size_t)nnd_tensor_count(&e->base);
    return target < count ? nnd_dtype_get(e->base.dtype, e->base.data, target) : 0;
}

/* What the trees say about a row, without base values. */
static nnd_status add_up(const nnd_op_ctx *c, const ensemble *e, size_t row, double *sums,
                         bool *seen)
{
    for (size_t k = 0; k < e->targets; k++) {
        sums[k] = 0;
        seen[k] = false;
    }
    for (size_t t = 0; t < e->forest.root_count; t++) {
        const nnd_forest_node *leaf =
            nnd_forest_leaf(&e->forest, e->forest.roots[t], c->in[0], row);
        if (!leaf) return nnd_op_fail(c, NND_E_FORMAT, "tree %zu has a cycle", t);
        for (uint32_t i = 0; i < leaf->count; i++) {
            nnd_forest_weight w = e->forest.weights[leaf->begin + i];
            double *sum = &sums[w.target];
            if (!seen[w.target] || (e->how == MINIMUM && w.weight < *sum) ||
                (e->how == MAXIMUM && w.weight > *sum))
                *sum = e->how <= SUM ? *sum + w.weight : w.weight;
            else if (e->how <= SUM)
                *sum += w.weight;
            seen[w.target] = true;
        }
    }
    for (size_t k = 0; k < e->targets && e->how == AVERAGE && e->forest.root_count; k++)
        sums[k] /= (double)e->forest.root_count;
    return NND_OK;
}

static nnd_status check_features(const nnd_op_ctx *c, const ensemble *e, size_t *rows)
{
    size_t features;
    NND_TRY(nnd_ml_rows(c, rows, &features));
    if ((uint64_t)e->forest.features <= features) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "the trees read %lld features, the input has %zu",
                       (long long)e->forest.features, features);
}

/* ---- regression ----------------------------------------------------------------------------- */

static nnd_status regressor_infer(nnd_op_ctx *c)
{
    const ensemble *e = c->node->state;
    size_t rows;
    NND_TRY(nnd_op_expect(c, 0, NND_ML_NUMBERS));
    if (!e) return NND_E_AGAIN; /* asked before prepare */
    NND_TRY(check_features(c, e, &rows));
    int64_t dims[2] = {(int64_t)rows, (int64_t)e->targets};
    bool own_type = c->op->variant && c->in[0]->dtype == NND_F64;
    return nnd_op_output(c, 0, own_type ? NND_F64 : NND_F32, 2, dims);
}

static nnd_status regressor_run(nnd_op_ctx *c)
{
    const ensemble *e = c->node->state;
    size_t rows = (size_t)c->out[0].dims[0];
    double *sums = nnd_calloc(e->targets + 1, sizeof(*sums));
    bool *seen = nnd_calloc(e->targets + 1, sizeof(*seen));
    nnd_status status =
        sums && seen ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for scores");
    for (size_t row = 0; row < rows && status == NND_OK; row++) {
        status = row % 64 ? NND_OK : nnd_cancel_check(c->cancel);
        if (status == NND_OK) status = add_up(c, e, row, sums, seen);
        for (size_t k = 0; k < e->targets; k++)
            sums[k] += base_of(e, k);
        nnd_ml_apply(e->post, sums, e->targets);
        if (status == NND_OK) nnd_ml_put_scores(c, 0, row, sums, e->targets);
    }
    nnd_free(seen);
    nnd_free(sums);
    return status;
}

/* ---- classification ------------------------------------------------------------------------- */

static nnd_status classifier_infer(nnd_op_ctx *c)
{
    const ensemble *e = c->node->state;
    size_t rows;
    NND_TRY(nnd_op_expect(c, 0, NND_ML_NUMBERS));
    if (!e) return NND_E_AGAIN;
    NND_TRY(check_features(c, e, &rows));
    return nnd_ml_infer_classes(c, &e->labels, e->targets);
}

/* Two classes of which one has all weights. Weights of the first mean a single score, that of the
   second class: margins when some are negative, else probabilities. */
static size_t complete(const ensemble *e, double *scores, const bool *seen)
{
    double threshold = e->positive ? 0.5 : 0;
    if (seen[1]) {
        bool yes = scores[1] > threshold;
        nnd_ml_apply(e->post, scores, 2);
        return yes;
    }
    double s = scores[0] + base_of(e, 0);
    bool margin = !e->positive || e->post == NND_ML_LOGISTIC;
    scores[1] = s;
    scores[0] = margin ? -s : 1 - s;
    if (e->post == NND_ML_LOGISTIC || e->post == NND_ML_PROBIT) nnd_ml_apply(e->post, scores, 2);
    return s > threshold;
}

static nnd_status classifier_run(nnd_op_ctx *c)
{
    const ensemble *e = c->node->state;
    size_t rows = (size_t)c->out[0].dims[0];
    double *scores = nnd_calloc(e->targets + 1, sizeof(*scores));
    bool *seen = nnd_calloc(e->targets + 1, sizeof(*seen));
    nnd_status status =
        scores && seen ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for scores");
    for (size_t row = 0; row < rows && status == NND_OK; row++) {
        size_t best;
        status = row % 64 ? NND_OK : nnd_cancel_check(c->cancel);
        if (status == NND_OK) status = add_up(c, e, row, scores, seen);
        if (status != NND_OK) break;
        if (e->one_sided) {
            best = complete(e, scores, seen);
        } else {
            for (size_t k = 0; k < e->targets; k++)
                scores[k] += base_of(e, k);
            best = nnd_ml_argmax(scores, e->targets);
            nnd_ml_apply(e->post, scores, e->targets);
        }
        nnd_ml_put_label(c, &e->labels, row, best);
        nnd_ml_put_scores(c, 1, row, scores, e->targets);
    }
    nnd_free(seen);
    nnd_free(scores);
    return status;
}

static const nnd_op ops[] = {
    {NND_ML, "TreeEnsemble", 5, 0, 1, 1, 1, 1, NND_OP_PLANNED, regressor_infer, regressor_run,
     ensemble_prepare, release, .variant = 1},
    {NND_ML, "TreeEnsembleRegressor", 1, 0, 1, 1, 1, 1, NND_OP_PLANNED, regressor_infer,
     regressor_run, regressor_prepare, release, .variant = 0},
    {NND_ML, "TreeEnsembleClassifier", 1, 0, 1, 1, 2, 2, NND_OP_PLANNED, classifier_infer,
     classifier_run, classifier_prepare, release, .variant = 0},
};
const nnd_op_family nnd_ops_ml_tree = {ops, NND_COUNT(ops)};
