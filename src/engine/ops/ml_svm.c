/* ai.onnx.ml: SVMRegressor and SVMClassifier. A classifier has one machine per pair of classes;
   they vote, or their margins become probabilities (Wu, Lin, Weng 2004, as in libsvm). */
#include <math.h>
#include <string.h>

#include "engine/ops/ml.h"

typedef enum kernel { LINEAR, POLY, RBF, SIGMOID } kernel;

typedef struct machine {
    size_t rows, features, vectors, classes;
    kernel kernel;
    double gamma, coef0, degree;
    const float *support, *weights, *rho, *prob_a, *prob_b;
    size_t weight_count, rho_count, prob_count;
    const int64_t *per_class; /* support vectors of each class */
    size_t per_class_count;
    nnd_ml_post post;
    bool one_class;
    nnd_ml_labels labels;
} machine;

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
    m->gamma = params && count > 0 ? (double)params[0] : 0;
    m->coef0 = params && count > 1 ? (double)params[1] : 0;
    m->degree = params && count > 2 ? (double)params[2] : 0;
    return NND_OK;
}

/* What both operators have. */
static nnd_status read_machine(const nnd_op_ctx *c, machine *m)
{
    size_t support, b;
    *m = (machine){0};
    NND_TRY(nnd_ml_rows(c, &m->rows, &m->features));
    NND_TRY(read_kernel(c, m));
    NND_TRY(nnd_ml_read_post(c, &m->post));
    m->support = nnd_node_floats(c->node, "support_vectors", &support);
    m->weights = nnd_node_floats(c->node, "coefficients", &m->weight_count);
    m->rho = nnd_node_floats(c->node, "rho", &m->rho_count);
    m->prob_a = nnd_node_floats(c->node, "prob_a", &m->prob_count);
    m->prob_b = nnd_node_floats(c->node, "prob_b", &b);
    m->per_class = nnd_node_ints(c->node, "vectors_per_class", &m->per_class_count);
    m->vectors = m->features ? support / m->features : 0;
    bool fits = m->features && m->vectors * m->features == support && m->weights && m->rho &&
                b == m->prob_count;
    return fits ? NND_OK
                : nnd_op_fail(c, NND_E_SHAPE, "the support vectors do not fit %zu features",
                              m->features);
}

static double kernel_of(const machine *m, const nnd_tensor *x, size_t row, const float *v)
{
    double sum = 0;
    for (size_t i = 0; i < m->features; i++) {
        double a = nnd_dtype_get(x->dtype, x->data, row * m->features + i), b = (double)v[i];
        sum += m->kernel == RBF ? (a - b) * (a - b) : a * b;
    }
    switch (m->kernel) {
    case POLY:
        return pow(m->gamma * sum + m->coef0, m->degree);
    case RBF:
        return exp(-m->gamma * sum);
    case SIGMOID:
        return tanh(m->gamma * sum + m->coef0);
    default:
        return sum;
    }
}

/* ---- regression ----------------------------------------------------------------------------- */

static nnd_status read_regressor(const nnd_op_ctx *c, machine *m)
{
    NND_TRY(read_machine(c, m));
    int64_t vectors = nnd_node_int(c->node, "n_supports", 0);
    m->one_class = nnd_node_int(c->node, "one_class", 0) != 0;
    if (vectors <= 0) m->vectors = 0; /* the coefficients are those of a plane */
    bool fits = vectors <= 0 ? m->weight_count == m->features
                             : (uint64_t)vectors == m->vectors && m->weight_count == m->vectors;
    return fits && m->rho_count ? NND_OK
                                : nnd_op_fail(c, NND_E_SHAPE, "the coefficients do not fit");
}

static nnd_status regressor_infer(nnd_op_ctx *c)
{
    machine m;
    NND_TRY(read_regressor(c, &m));
    return nnd_op_output(c, 0, NND_F32, 2, (int64_t[]){(int64_t)m.rows, 1});
}

static nnd_status regressor_run(nnd_op_ctx *c)
{
    machine m;
    NND_TRY(read_regressor(c, &m));
    for (size_t row = 0; row < m.rows; row++) {
        double sum = (double)m.rho[0];
        if (!m.vectors) sum += kernel_of(&m, c->in[0], row, m.weights);
        for (size_t j = 0; j < m.vectors; j++)
            sum += (double)m.weights[j] * kernel_of(&m, c->in[0], row, m.support + j * m.features);
        if (m.one_class) sum = sum > 0 ? 1 : -1;
        nnd_ml_apply(m.post, &sum, 1);
        nnd_ml_put_scores(c, 0, row, &sum, 1);
        NND_TRY(nnd_cancel_check(c->cancel));
    }
    return NND_OK;
}

/* ---- classification ------------------------------------------------------------------------- */

enum { MOST_CLASSES = 1024 };

static size_t pairs_of(size_t classes)
{
    return classes * (classes - 1) / 2;
}

static nnd_status read_classifier(const nnd_op_ctx *c, machine *m)
{
    int64_t sum = 0;
    bool fits = true;
    NND_TRY(read_machine(c, m));
    NND_TRY(nnd_ml_read_labels(c, "classlabels_strings", "classlabels_ints", &m->labels));
    m->classes = m->labels.count;
    if (m->classes > MOST_CLASSES) return nnd_op_fail(c, NND_E_LIMIT, "there are too many classes");
    if (!m->per_class_count) { /* planes, one per class */
        m->vectors = 0;
        fits = m->weight_count == m->classes * m->features && m->rho_count >= 1;
    } else {
        for (size_t i = 0; i < m->per_class_count && fits; i++) {
            fits = m->per_class[i] >= 0 && m->per_class[i] <= (int64_t)m->vectors;
            sum += m->per_class[i];
        }
        fits = fits && m->per_class_count == m->classes && m->classes >= 2 &&
               sum == (int64_t)m->vectors && m->weight_count == (m->classes - 1) * m->vectors &&
               m->rho_count == pairs_of(m->classes) &&
               (!m->prob_count || m->prob_count == pairs_of(m->classes));
    }
    return fits ? NND_OK : nnd_op_fail(c, NND_E_SHAPE, "the coefficients do not fit the classes");
}

/* More than two classes that only vote have a column per pair. */
static size_t columns_of(const machine *m)
{
    bool pairs = m->vectors && !m->prob_count && m->classes > 2;
    return pairs ? pairs_of(m->classes) : m->classes;
}

static nnd_status classifier_infer(nnd_op_ctx *c)
{
    machine m;
    NND_TRY(read_classifier(c, &m));
    return nnd_ml_infer_classes(c, &m.labels, columns_of(&m));
}

/* Room for one row. */
typedef struct scratch {
    double *kernels; /* per support vector */
    double *margins; /* per pair */
    double *votes;   /* per class */
    double *pairs;   /* classes × classes: probability of the first of the two */
    double *scores, *q;
} scratch;

static nnd_status scratch_init(scratch *s, const machine *m)
{
    size_t n = m->classes, pairs = pairs_of(n);
    s->kernels = nnd_calloc(m->vectors + pairs + 2 * n * n + n + pairs + n + 2, sizeof(double));
    if (!s->kernels) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for scores");
    s->margins = s->kernels + m->vectors;
    s->votes = s->margins + pairs;
    s->pairs = s->votes + n;
    s->q = s->pairs + n * n;
    s->scores = s->q + n * n;
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
            double sum = (double)m->rho[pair];
            for (size_t k = 0; k < (size_t)m->per_class[i]; k++)
                sum += (double)m->weights[(j - 1) * m->vectors + first + k] * s->kernels[first + k];
            for (size_t k = 0; k < (size_t)m->per_class[j]; k++)
                sum += (double)m->weights[i * m->vectors + second + k] * s->kernels[second + k];
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

static size_t classify(const machine *m, const nnd_tensor *x, size_t row, scratch *s)
{
    size_t columns = columns_of(m), best;
    for (size_t j = 0; j < m->vectors; j++)
        s->kernels[j] = kernel_of(m, x, row, m->support + j * m->features);
    if (!m->vectors) {
        for (size_t k = 0; k < m->classes; k++)
            s->scores[k] = kernel_of(m, x, row, m->weights + k * m->features) + (double)m->rho[0];
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

static nnd_status classifier_run(nnd_op_ctx *c)
{
    machine m;
    scratch s;
    NND_TRY(read_classifier(c, &m));
    NND_TRY(scratch_init(&s, &m));
    nnd_status status = NND_OK;
    for (size_t row = 0; row < m.rows && status == NND_OK; row++) {
        size_t best = classify(&m, c->in[0], row, &s);
        nnd_ml_put_label(c, &m.labels, row, best);
        nnd_ml_put_scores(c, 1, row, s.scores, columns_of(&m));
        status = nnd_cancel_check(c->cancel);
    }
    nnd_free(s.kernels);
    return status;
}

static const nnd_op ops[] = {
    {NND_ML, "SVMRegressor", 1, 0, 1, 1, 1, 1, 0, regressor_infer, regressor_run, .variant = 0},
    {NND_ML, "SVMClassifier", 1, 0, 1, 1, 2, 2, 0, classifier_infer, classifier_run, .variant = 1},
};
const nnd_op_family nnd_ops_ml_svm = {ops, NND_COUNT(ops)};
