/* ai.onnx.ml: SVMRegressor and SVMClassifier. A classifier has one machine per pair of classes;
   they vote, or their margins become probabilities (Wu, Lin, Weng 2004, as in libsvm). */
#include <math.h>
#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/ops/ml.h"

typedef enum kernel { LINEAR, POLY, RBF, SIGMOID } kernel;

/* Made by prepare. A row is compared with `count` vectors: the support vectors, or without them
   the planes themselves. They are kept in columns, a feature of all of them side by side. */
typedef struct machine {
    size_t features, vectors, classes, count;
    kernel kernel;
    float gamma, coef0;
    double degree;
    float *columns; /* [features][count] */
    int32_t *order; /* 0 … features − 1 */
    const float *weights, *rho, *prob_a, *prob_b;
    size_t weight_count, rho_count, prob_count;
    const int64_t *per_class; /* support vectors of each class */
    size_t per_class_count;
    nnd_ml_post post;
    bool one_class;
    nnd_ml_labels labels;
} machine;

static void release(void *state)
{
    machine *m = state;
    if (!m) return;
    nnd_free(m->columns);
    nnd_free(m->order);
    nnd_free(m);
}

static nnd_status read_kernel(const nnd_op_ctx *c, machine *m)
{
    static const char *const names[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
    const char *name = nnd_node_string(c->node, "kernel_type", "LINEAR");
    size_t count, k = 0;
    const float *params = nnd_node_floats(c->node, "kernel_params", &count);
    while (k < NND_COUNT(names) && strcmp(names[k], name) != 0)
        k++;
    if (k == NND_COUNT(names)) return nnd_op_fail(c, NND_E_FORMAT, "kernel_type is '%s'", name);
    m->kernel = (kernel)k;
    m->gamma = params && count > 0 ? params[0] : 0;
    m->coef0 = params && count > 1 ? params[1] : 0;
    m->degree = params && count > 2 ? (double)params[2] : 0;
    return NND_OK;
}

/* What both operators have. */
static nnd_status read_machine(const nnd_op_ctx *c, machine *m)
{
    size_t b;
    NND_TRY(read_kernel(c, m));
    NND_TRY(nnd_ml_read_post(c, &m->post));
    m->weights = nnd_node_floats(c->node, "coefficients", &m->weight_count);
    m->rho = nnd_node_floats(c->node, "rho", &m->rho_count);
    m->prob_a = nnd_node_floats(c->node, "prob_a", &m->prob_count);
    m->prob_b = nnd_node_floats(c->node, "prob_b", &b);
    m->per_class = nnd_node_ints(c->node, "vectors_per_class", &m->per_class_count);
    bool fits = m->weights && m->rho && m->rho_count && b == m->prob_count;
    return fits ? NND_OK : nnd_op_fail(c, NND_E_SHAPE, "the coefficients do not fit");
}

/* `rows` holds m->count vectors, one after the other. */
static nnd_status keep_columns(const nnd_op_ctx *c, machine *m, const float *rows, size_t size)
{
    m->features = m->count ? size / m->count : 0;
    if (!rows || !m->features || m->features * m->count != size || m->features > INT32_MAX)
        return nnd_op_fail(c, NND_E_SHAPE, "%zu numbers are not %zu vectors", size, m->count);
    m->columns = nnd_calloc(size, sizeof(*m->columns));
    m->order = nnd_calloc(m->features, sizeof(*m->order));
    if (!m->columns || !m->order)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for support vectors");
    for (size_t i = 0; i < m->features; i++) {
        m->order[i] = (int32_t)i;
        for (size_t j = 0; j < m->count; j++)
            m->columns[i * m->count + j] = rows[j * m->features + i];
    }
    return NND_OK;
}

static nnd_status create(nnd_graph_node *n, machine **out)
{
    *out = n->state = nnd_calloc(1, sizeof(**out));
    return n->state ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a machine");
}

static nnd_status check_features(const nnd_op_ctx *c, const machine *m, size_t *rows)
{
    size_t features;
    NND_TRY(nnd_ml_rows(c, rows, &features));
    if (features == m->features) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "the support vectors do not fit %zu features", features);
}

/* ---- the kernel function -------------------------------------------------------------------- */

static void square_distances(const machine *m, const float *x, float *y)
{
    memset(y, 0, m->count * sizeof(*y));
    for (size_t i = 0; i < m->features; i++) {
        const float *column = m->columns + i * m->count;
        for (size_t j = 0; j < m->count; j++)
            y[j] += (x[i] - column[j]) * (x[i] - column[j]);
    }
}

static inline void multiply_out(float *y, size_t count, int degree)
{
    for (size_t j = 0; j < count; j++) {
        double v = (double)y[j], power = v;
        for (int k = 1; k < degree; k++)
            power *= v;
        y[j] = (float)power;
    }
}

static void raise_to_degree(const machine *m, float *y)
{
    if (m->degree == 2)
        multiply_out(y, m->count, 2);
    else if (m->degree == 3)
        multiply_out(y, m->count, 3);
    else
        for (size_t j = 0; j < m->count; j++)
            y[j] = (float)pow((double)y[j], m->degree);
}

/* y[j] = kernel(x, vector j). */
static void kernels_of(const machine *m, const float *x, float *y)
{
    if (m->kernel == RBF) {
        square_distances(m, x, y);
        for (size_t j = 0; j < m->count; j++)
            y[j] *= -m->gamma;
        nnd_unary_apply(NND_UNARY_EXP, y, y, m->count);
        return;
    }
    if (m->count == 1) /* a column is a row */
        *y = (float)nnd_ml_dot(m->columns, x, m->features);
    else
        nnd_mix_rows(m->columns, m->count, m->order, x, m->features, y, m->count);
    if (m->kernel == LINEAR) return;
    for (size_t j = 0; j < m->count; j++)
        y[j] = m->gamma * y[j] + m->coef0;
    if (m->kernel == POLY)
        raise_to_degree(m, y);
    else
        nnd_act_apply(&(nnd_act){.kind = NND_ACT_TANH}, y, y, m->count);
}

typedef struct job {
    nnd_op_ctx *c;
    const machine *m;
    size_t rows, per_tile;
} job;

static nnd_status run(nnd_op_ctx *c, nnd_tile_fn tile)
{
    const machine *m = c->node->state;
    job j = {c, m, (size_t)c->out[0].dims[0], 1 + NND_OP_GRAIN / (m->features * m->count + 1)};
    return nnd_op_for(c, (j.rows + j.per_tile - 1) / j.per_tile, tile, &j);
}

/* ---- regression ----------------------------------------------------------------------------- */

static nnd_status regressor_prepare(nnd_graph *graph, nnd_graph_node *n)
{
    nnd_op_ctx c = {.node = n, .op = n->op};
    machine *m;
    size_t size;
    (void)graph;
    NND_TRY(create(n, &m));
    NND_TRY(read_machine(&c, m));
    const float *support = nnd_node_floats(n, "support_vectors", &size);
    int64_t vectors = nnd_node_int(n, "n_supports", 0);
    m->one_class = nnd_node_int(n, "one_class", 0) != 0;
    if (vectors <= 0) { /* the coefficients are those of a plane */
        m->count = 1;
        return keep_columns(&c, m, m->weights, m->weight_count);
    }
    m->vectors = m->count = (size_t)vectors;
    if (m->weight_count != m->vectors)
        return nnd_op_fail(&c, NND_E_SHAPE, "the coefficients do not fit");
    return keep_columns(&c, m, support, size);
}

static nnd_status regressor_infer(nnd_op_ctx *c)
{
    const machine *m = c->node->state;
    size_t rows;
    NND_TRY(nnd_op_expect(c, 0, NND_ML_NUMBERS));
    if (!m) return NND_E_AGAIN; /* asked before prepare */
    NND_TRY(check_features(c, m, &rows));
    return nnd_op_output(c, 0, NND_F32, 2, (int64_t[]){(int64_t)rows, 1});
}

static nnd_status regressor_plan(nnd_op_ctx *c)
{
    const machine *m = c->node->state;
    c->lane_bytes = (m->features + m->count) * sizeof(float);
    return NND_OK;
}

static nnd_status regressor_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    const machine *m = j->m;
    float *room = nnd_op_lane(j->c, lane), *kernels = room + m->features;
    const float *x;
    size_t end = (tile + 1) * j->per_tile < j->rows ? (tile + 1) * j->per_tile : j->rows;
    for (size_t row = tile * j->per_tile; row < end; row++) {
        NND_TRY(nnd_ml_row(j->c->in[0], row, room, &x));
        kernels_of(m, x, kernels);
        double sum = (double)m->rho[0] +
                     (m->vectors ? nnd_ml_dot(m->weights, kernels, m->vectors) : (double)*kernels);
        if (m->one_class) sum = sum > 0 ? 1 : -1;
        nnd_ml_apply(m->post, &sum, 1);
        nnd_ml_put_scores(j->c, 0, row, &sum, 1);
    }
    return NND_OK;
}

static nnd_status regressor_run(nnd_op_ctx *c)
{
    return run(c, regressor_tile);
}

/* ---- classification ------------------------------------------------------------------------- */

enum { MOST_CLASSES = 1024 };

static size_t pairs_of(size_t classes)
{
    return classes * (classes - 1) / 2;
}

static nnd_status check_classes(const nnd_op_ctx *c, const machine *m)
{
    int64_t sum = 0;
    size_t pairs = pairs_of(m->classes);
    bool fits = m->per_class_count == m->classes && m->classes >= 2 && m->rho_count == pairs &&
                (!m->prob_count || m->prob_count == pairs);
    for (size_t i = 0; i < m->per_class_count && fits; i++) {
        fits = m->per_class[i] >= 0 && m->per_class[i] <= INT32_MAX;
        sum += m->per_class[i];
    }
    fits = fits && sum == (int64_t)m->vectors && m->weight_count == (m->classes - 1) * m->vectors;
    return fits ? NND_OK : nnd_op_fail(c, NND_E_SHAPE, "the coefficients do not fit the classes");
}

static nnd_status classifier_prepare(nnd_graph *graph, nnd_graph_node *n)
{
    nnd_op_ctx c = {.node = n, .op = n->op};
    machine *m;
    size_t size;
    (void)graph;
    NND_TRY(create(n, &m));
    NND_TRY(read_machine(&c, m));
    NND_TRY(nnd_ml_read_labels(&c, "classlabels_strings", "classlabels_ints", &m->labels));
    m->classes = m->labels.count;
    if (m->classes > MOST_CLASSES)
        return nnd_op_fail(&c, NND_E_LIMIT, "there are too many classes");
    if (!m->per_class_count) { /* planes, one per class */
        m->count = m->classes;
        return keep_columns(&c, m, m->weights, m->weight_count);
    }
    const float *support = nnd_node_floats(n, "support_vectors", &size);
    for (size_t i = 0; i < m->per_class_count; i++)
        m->vectors +=
            m->per_class[i] > 0 && m->per_class[i] <= INT32_MAX ? (size_t)m->per_class[i] : 0;
    m->count = m->vectors;
    NND_TRY(check_classes(&c, m));
    return keep_columns(&c, m, support, size);
}

/* More than two classes that only vote have a column per pair. */
static size_t columns_of(const machine *m)
{
    bool pairs = m->vectors && !m->prob_count && m->classes > 2;
    return pairs ? pairs_of(m->classes) : m->classes;
}

static nnd_status classifier_infer(nnd_op_ctx *c)
{
    const machine *m = c->node->state;
    size_t rows;
    NND_TRY(nnd_op_expect(c, 0, NND_ML_NUMBERS));
    if (!m) return NND_E_AGAIN;
    NND_TRY(check_features(c, m, &rows));
    return nnd_ml_infer_classes(c, &m->labels, columns_of(m));
}

/* Room for one row, in the scratch of a lane. */
typedef struct scratch {
    double *margins; /* per pair */
    double *votes;   /* per class */
    double *pairs;   /* classes × classes: probability of the first of the two */
    double *scores, *q;
    float *room; /* for features that are converted */
    float *kernels;
} scratch;

static size_t scratch_bytes(const machine *m)
{
    size_t n = m->classes, pairs = pairs_of(n);
    return (pairs + n + 2 * n * n + n + pairs + 2) * sizeof(double) +
           (m->features + m->count) * sizeof(float);
}

static scratch scratch_of(const machine *m, void *memory)
{
    size_t n = m->classes, pairs = pairs_of(n);
    scratch s = {.margins = memory};
    s.votes = s.margins + pairs;
    s.pairs = s.votes + n;
    s.q = s.pairs + n * n;
    s.scores = s.q + n * n; /* per class or per pair, and at least two */
    s.room = (float *)(s.scores + n + pairs + 2);
    s.kernels = s.room + m->features;
    return s;
}

static nnd_status classifier_plan(nnd_op_ctx *c)
{
    c->lane_bytes = scratch_bytes(c->node->state);
    return NND_OK;
}

/* The margin of every pair of classes; a positive one is a vote for the first. */
static void compare_pairs(const machine *m, scratch *s)
{
    size_t first = 0, pair = 0;
    memset(s->votes, 0, m->classes * sizeof(double));
    for (size_t i = 0; i < m->classes; i++) {
        size_t second = first + (size_t)m->per_class[i];
        for (size_t j = i + 1; j < m->classes; j++) {
            const float *of_first = m->weights + (j - 1) * m->vectors + first;
            const float *of_second = m->weights + i * m->vectors + second;
            double sum = (double)m->rho[pair];
            sum += nnd_ml_dot(of_first, s->kernels + first, (size_t)m->per_class[i]);
            sum += nnd_ml_dot(of_second, s->kernels + second, (size_t)m->per_class[j]);
            s->votes[sum > 0 ? i : j] += 1;
            s->margins[pair++] = sum;
            second += (size_t)m->per_class[j];
        }
        first += (size_t)m->per_class[i];
    }
}

/* Probabilities of the pairs become one of each class. */
static void couple(size_t n, const double *r, double *q, double *p)
{
    for (size_t t = 0; t < n; t++) {
        p[t] = 1.0 / (double)n;
        for (size_t j = 0; j < n; j++)
            q[t * n + j] = t == j ? 0 : -r[j * n + t] * r[t * n + j];
        for (size_t j = 0; j < n; j++)
            if (j != t) q[t * n + t] += r[j * n + t] * r[j * n + t];
    }
    for (size_t step = 0; step < 100 || step < n; step++) {
        double pqp = 0, worst = 0;
        for (size_t t = 0; t < n; t++)
            for (size_t j = 0; j < n; j++)
                pqp += p[t] * q[t * n + j] * p[j];
        for (size_t t = 0; t < n; t++) {
            double qp = 0;
            for (size_t j = 0; j < n; j++)
                qp += q[t * n + j] * p[j];
            worst = fmax(worst, fabs(qp - pqp));
        }
        if (worst < 0.005 / (double)n) return;
        for (size_t t = 0; t < n; t++) {
            double qp = 0;
            for (size_t j = 0; j < n; j++)
                qp += q[t * n + j] * p[j];
            double add = (pqp - qp) / q[t * n + t];
            pqp = (pqp + add * (add * q[t * n + t] + 2 * qp)) / (1 + add) / (1 + add);
            for (size_t j = 0; j < n; j++)
                p[j] = (p[j] + (j == t ? add : 0)) / (1 + add);
        }
    }
}

static void find_probabilities(const machine *m, scratch *s)
{
    size_t n = m->classes, pair = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++, pair++) {
            double v = s->margins[pair] * (double)m->prob_a[pair] + (double)m->prob_b[pair];
            double p = fmin(fmax(1 / (1 + exp(v)), 1e-7), 1 - 1e-7);
            s->pairs[i * n + j] = p;
            s->pairs[j * n + i] = 1 - p;
        }
    couple(n, s->pairs, s->q, s->scores);
}

/* The margin of the one pair stands for the second class. */
static size_t two_classes(const machine *m, scratch *s, size_t best)
{
    bool margins = m->post == NND_ML_NONE || m->post == NND_ML_LOGISTIC;
    s->scores[1] = s->margins[0];
    s->scores[0] = margins ? -s->margins[0] : 1 - s->margins[0];
    if (m->post == NND_ML_LOGISTIC || m->post == NND_ML_PROBIT) nnd_ml_apply(m->post, s->scores, 2);
    return best;
}

static size_t classify(const machine *m, const float *x, scratch *s)
{
    size_t columns = columns_of(m), best;
    kernels_of(m, x, s->kernels);
    if (!m->vectors) {
        for (size_t k = 0; k < m->classes; k++)
            s->scores[k] = (double)s->kernels[k] + (double)m->rho[0];
        best = nnd_ml_argmax(s->scores, m->classes);
    } else {
        compare_pairs(m, s);
        best = nnd_ml_argmax(s->votes, m->classes);
        if (m->prob_count)
            find_probabilities(m, s);
        else if (m->classes > 2)
            memcpy(s->scores, s->margins, columns * sizeof(double));
        else
            return two_classes(m, s, best);
    }
    nnd_ml_apply(m->post, s->scores, columns);
    return best;
}

static nnd_status classifier_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    const machine *m = j->m;
    scratch s = scratch_of(m, nnd_op_lane(j->c, lane));
    const float *x;
    size_t end = (tile + 1) * j->per_tile < j->rows ? (tile + 1) * j->per_tile : j->rows;
    for (size_t row = tile * j->per_tile; row < end; row++) {
        NND_TRY(nnd_ml_row(j->c->in[0], row, s.room, &x));
        size_t best = classify(m, x, &s);
        nnd_ml_put_label(j->c, &m->labels, row, best);
        nnd_ml_put_scores(j->c, 1, row, s.scores, columns_of(m));
    }
    return NND_OK;
}

static nnd_status classifier_run(nnd_op_ctx *c)
{
    return run(c, classifier_tile);
}

static const nnd_op ops[] = {
    {NND_ML, "SVMRegressor", 1, 0, 1, 1, 1, 1, NND_OP_PLANNED, regressor_infer, regressor_run,
     regressor_prepare, release, regressor_plan, .variant = 0},
    {NND_ML, "SVMClassifier", 1, 0, 1, 1, 2, 2, NND_OP_PLANNED, classifier_infer, classifier_run,
     classifier_prepare, release, classifier_plan, .variant = 1},
};
const nnd_op_family nnd_ops_ml_svm = {ops, NND_COUNT(ops)};
