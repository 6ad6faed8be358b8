/* ai.onnx.ml: TreeEnsemble, TreeEnsembleRegressor, TreeEnsembleClassifier. */
#include <math.h>
#include <string.h>

#include "engine/ops/ml_forest.h"

/* Rows that see a tree before the next one is asked: it stays near the processor meanwhile. */
enum { ROWS = 4 * NND_FOREST_WALKS };
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

/* Scratch of a lane, for the rows that are summed up together. */
typedef struct scratch {
    double *sums;    /* [rows][targets] */
    double *numbers; /* [rows][features], of inputs that are no floats */
    bool *seen;      /* [rows][targets]: whether a tree had something to say */
} scratch;

static size_t rows_together(const nnd_op_ctx *c)
{
    size_t rows = (size_t)c->out[0].dims[0];
    return rows < ROWS ? rows : ROWS;
}

static bool has_floats(const nnd_tensor *x)
{
    return x->dtype == NND_F32 || x->dtype == NND_F64;
}

/* Numbers of a row that have to be converted. */
static size_t numbers_of(const nnd_tensor *x)
{
    return has_floats(x) ? 0 : (size_t)x->dims[x->rank - 1];
}

static nnd_status plan(nnd_op_ctx *c)
{
    const ensemble *e = c->node->state;
    size_t row = (e->targets + numbers_of(c->in[0])) * sizeof(double) + e->targets * sizeof(bool);
    c->lane_bytes = rows_together(c) * row;
    return NND_OK;
}

static scratch scratch_of(const nnd_op_ctx *c, const ensemble *e, int lane)
{
    size_t rows = rows_together(c);
    scratch s = {.sums = nnd_op_lane(c, lane)};
    s.numbers = s.sums + rows * e->targets;
    s.seen = (bool *)(s.numbers + rows * numbers_of(c->in[0]));
    return s;
}

static nnd_status take_rows(const nnd_op_ctx *c, size_t row, size_t count, const scratch *s,
                            nnd_forest_rows *out)
{
    const nnd_tensor *x = c->in[0];
    size_t width = (size_t)x->dims[x->rank - 1];
    const char *from = (const char *)x->data + row * width * nnd_op_element(x->dtype);
    *out = (nnd_forest_rows){x->dtype, from, width};
    if (has_floats(x)) return NND_OK;
    out->dtype = NND_F64;
    out->data = s->numbers;
    return nnd_dtype_convert(x->dtype, from, NND_F64, s->numbers, width * count);
}

static void add_leaf(const ensemble *e, const nnd_forest_node *leaf, double *sums, bool *seen)
{
    for (uint32_t i = leaf->begin; i < leaf->begin + leaf->count; i++) {
        nnd_forest_weight w = e->forest.weights[i];
        double *sum = &sums[w.target];
        if (e->how <= SUM)
            *sum += w.weight;
        else if (!seen[w.target] || (e->how == MINIMUM ? w.weight < *sum : w.weight > *sum))
            *sum = w.weight;
        seen[w.target] = true;
    }
}

static nnd_status cycle(const nnd_op_ctx *c)
{
    return nnd_op_fail(c, NND_E_FORMAT, "a tree has a cycle");
}

/* All rows walk through one tree after the other, a few of them together. */
static nnd_status walk_rows(const nnd_op_ctx *c, const ensemble *e, const nnd_forest_rows *x,
                            size_t count, const scratch *s)
{
    const nnd_forest *f = &e->forest;
    size_t n = e->targets, pitch = x->stride * nnd_op_element(x->dtype);
    for (size_t t = 0; t < f->root_count; t++) {
        nnd_forest_rows some = *x;
        for (size_t row = 0, walks; row < count; row += walks) {
            uint32_t at[NND_FOREST_WALKS];
            walks = count - row < NND_FOREST_WALKS ? count - row : NND_FOREST_WALKS;
            some.data = (const char *)x->data + row * pitch;
            for (size_t i = 0; i < walks; i++)
                at[i] = (uint32_t)t;
            if (!nnd_forest_walk(f, &some, walks, at)) return cycle(c);
            for (size_t i = 0; i < walks; i++)
                add_leaf(e, &f->nodes[at[i]], s->sums + (row + i) * n, s->seen + (row + i) * n);
        }
    }
    return NND_OK;
}

/* One row walks through several trees at once. Their leaves are added in the same order. */
static nnd_status walk_trees(const nnd_op_ctx *c, const ensemble *e, const nnd_forest_rows *row,
                             double *sums, bool *seen)
{
    const nnd_forest *f = &e->forest;
    uint32_t at[NND_FOREST_WALKS];
    for (size_t t = 0, count; t < f->root_count; t += count) {
        count = f->root_count - t < NND_FOREST_WALKS ? f->root_count - t : NND_FOREST_WALKS;
        for (size_t i = 0; i < count; i++)
            at[i] = (uint32_t)(t + i);
        if (!nnd_forest_walk(f, row, count, at)) return cycle(c);
        for (size_t i = 0; i < count; i++)
            add_leaf(e, &f->nodes[at[i]], sums, seen);
    }
    return NND_OK;
}

/* What the trees say about the rows, without base values. */
static nnd_status add_up(const nnd_op_ctx *c, const ensemble *e, size_t row, size_t count,
                         const scratch *s)
{
    size_t n = e->targets, trees = e->forest.root_count;
    nnd_forest_rows x;
    NND_TRY(take_rows(c, row, count, s, &x));
    memset(s->sums, 0, count * n * sizeof(*s->sums));
    memset(s->seen, 0, count * n * sizeof(*s->seen));
    size_t pitch = x.stride * nnd_op_element(x.dtype);
    size_t together = count >= trees ? count : count - count % NND_FOREST_WALKS;
    if (together) NND_TRY(walk_rows(c, e, &x, together, s));
    for (size_t i = together; i < count; i++) {
        nnd_forest_rows one = {x.dtype, (const char *)x.data + i * pitch, 0};
        NND_TRY(walk_trees(c, e, &one, s->sums + i * n, s->seen + i * n));
    }
    for (size_t k = 0; k < count * n && e->how == AVERAGE && trees; k++)
        s->sums[k] /= (double)trees;
    return NND_OK;
}

/* Finishes one row. */
typedef void (*finish_fn)(nnd_op_ctx *c, const ensemble *e, size_t row, double *sums,
                          const bool *seen);
typedef struct job {
    nnd_op_ctx *c;
    finish_fn finish;
    size_t rows, per_tile;
} job;

static nnd_status one_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    const ensemble *e = j->c->node->state;
    scratch s = scratch_of(j->c, e, lane);
    size_t end = (tile + 1) * j->per_tile < j->rows ? (tile + 1) * j->per_tile : j->rows;
    for (size_t row = tile * j->per_tile; row < end; row += ROWS) {
        size_t count = end - row < ROWS ? end - row : ROWS;
        NND_TRY(add_up(j->c, e, row, count, &s));
        for (size_t i = 0; i < count; i++)
            j->finish(j->c, e, row + i, s.sums + i * e->targets, s.seen + i * e->targets);
    }
    return NND_OK;
}

/* About a thousand visits of trees are a tile. */
static nnd_status run(nnd_op_ctx *c, finish_fn finish)
{
    const ensemble *e = c->node->state;
    size_t groups = 1 + 1024 / (ROWS * (e->forest.root_count + e->targets));
    job j = {c, finish, (size_t)c->out[0].dims[0], groups * ROWS};
    return nnd_op_for(c, (j.rows + j.per_tile - 1) / j.per_tile, one_tile, &j);
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

static void regress(nnd_op_ctx *c, const ensemble *e, size_t row, double *sums, const bool *seen)
{
    (void)seen;
    for (size_t k = 0; k < e->targets; k++)
        sums[k] += base_of(e, k);
    nnd_ml_apply(e->post, sums, e->targets);
    nnd_ml_put_scores(c, 0, row, sums, e->targets);
}

static nnd_status regressor_run(nnd_op_ctx *c)
{
    return run(c, regress);
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

static void classify(nnd_op_ctx *c, const ensemble *e, size_t row, double *scores, const bool *seen)
{
    size_t best;
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

static nnd_status classifier_run(nnd_op_ctx *c)
{
    return run(c, classify);
}

static const nnd_op ops[] = {
    {NND_ML, "TreeEnsemble", 5, 0, 1, 1, 1, 1, NND_OP_PLANNED, regressor_infer, regressor_run,
     ensemble_prepare, release, plan, .variant = 1},
    {NND_ML, "TreeEnsembleRegressor", 1, 0, 1, 1, 1, 1, NND_OP_PLANNED, regressor_infer,
     regressor_run, regressor_prepare, release, plan, .variant = 0},
    {NND_ML, "TreeEnsembleClassifier", 1, 0, 1, 1, 2, 2, NND_OP_PLANNED, classifier_infer,
     classifier_run, classifier_prepare, release, plan, .variant = 0},
};
const nnd_op_family nnd_ops_ml_tree = {ops, NND_COUNT(ops)};
