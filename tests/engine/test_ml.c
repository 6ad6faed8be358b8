/*
 * Trees and support vector machines of ai.onnx.ml against their plain definitions in f64: all kinds
 * of branches, mixed, with missing values and sets of members; every kernel function. Rows walk in
 * groups and tiles, so that numbers of rows around the size of a group, and many, are tried, with
 * several threads, whose results must have the bits of one. Trees that make no sense are refused.
 */
#include "engine_support.h"
#include "kernels_support.h"
#include "onnx_writer.h"

#include <float.h>

#include "engine/ops/ml_forest.h"
#include "support/oom.h"

enum { FEATURES = 5, MAX_ROWS = 3001, MAX_TREES = 20, DEPTH = 4, MEMBER = 6 };
enum { NODES = (1 << DEPTH) - 1, LEAVES = 1 << DEPTH };

static const size_t row_counts[] = {1, 2, 7, 8, 9, 17, 32, 45, MAX_ROWS};
static float rows[MAX_ROWS * FEATURES];

/* Small whole numbers, so that EQ, NEQ and MEMBER decide both ways; some are missing. */
static void fill_rows(void)
{
    for (size_t i = 0; i < NND_COUNT(rows); i++)
        rows[i] = rng_next() % 11 == 0 ? NAN : (float)(int)(rng_next() % 7) - 3.0f;
}

/* ---- models --------------------------------------------------------------------------------- */

static nnd_str model_of(const char *type, const char *outputs, nnd_str *attrs, int64_t width,
                        int opset)
{
    const int64_t open[2] = {-1, width};
    static const char *const symbols[] = {"n", "c"};
    nnd_str graph = {0}, model = {0}, import = {0};
    ow_value(&graph, OW_INPUT, "x", OW_F32, 2, open, symbols);
    ow_node_of(&graph, "ai.onnx.ml", type, "x", outputs, attrs);
    for (const char *y = outputs; *y; y += 1 + (y[1] == ','))
        ow_value(&graph, OW_OUTPUT, y[0] == 'y' ? "y" : "z", y[0] == 'y' ? OW_F32 : OW_I64, -1,
                 NULL, NULL);
    ow_int(&model, 1, 8);
    ow_message(&model, 7, &graph);
    ow_int(&import, 2, 17);
    ow_message(&model, 8, &import);
    ow_text(&import, 1, "ai.onnx.ml");
    ow_int(&import, 2, (uint64_t)opset);
    ow_message(&model, 8, &import);
    return model;
}

static nnd_status load(const nnd_str *bytes, nnd_engine_model **m)
{
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    return nnd_engine_model_load_memory(bytes->data, bytes->size, &options, m);
}

static nnd_status run(nnd_engine_request *r, size_t count, int threads)
{
    nnd_tensor x;
    NND_TRY(nnd_tensor_init(&x, NND_F32, 2, (int64_t[]){(int64_t)count, FEATURES}, rows));
    NND_TRY(nnd_engine_request_bind_input(r, 0, &x));
    return nnd_engine_request_run(r, threads, NULL);
}

/* ---- what is expected ----------------------------------------------------------------------- */

/* The result of output `width` numbers wide for one row. */
typedef void (*definition)(const void *user, const float *row, double *y);

static void compare(const char *what, nnd_str *bytes, size_t output, size_t width,
                    definition expected, const void *user, double tolerance)
{
    static float one_thread[MAX_ROWS * 4];
    nnd_engine_model *m;
    nnd_engine_request *r;
    if (load(bytes, &m) != NND_OK) {
        report_error(what);
        fail();
    }
    assert_ok(nnd_engine_request_create(m, &r));
    for (size_t k = 0; k < NND_COUNT(row_counts); k++)
        for (int threads = 1; threads <= 4; threads++) {
            size_t count = row_counts[k];
            nnd_tensor y;
            if (run(r, count, threads) != NND_OK) {
                report_error(what);
                fail();
            }
            assert_ok(nnd_engine_request_output(r, output, &y));
            assert_int_equal(nnd_tensor_count(&y), count * width);
            if (threads > 1) {
                assert_memory_equal(y.data, one_thread, count * width * sizeof(float));
                continue;
            }
            memcpy(one_thread, y.data, count * width * sizeof(float));
            for (size_t i = 0; i < count; i++) {
                double want[4];
                expected(user, rows + i * FEATURES, want);
                for (size_t j = 0; j < width; j++) {
                    double got = (double)one_thread[i * width + j];
                    if (!(fabs(got - want[j]) <= tolerance * (1 + fabs(want[j]))))
                        fail_msg("%s, row %zu of %zu: %g instead of %g", what, i, count, got,
                                 want[j]);
                }
            }
        }
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(bytes);
}

/* ---- trees ---------------------------------------------------------------------------------- */

/* Full trees but for two branches that are exchanged, so that rows arrive at different times. Child
   numbers from NODES on are leaves. */
typedef struct forest {
    size_t trees;
    int modes[MAX_TREES * NODES];
    int64_t features[MAX_TREES * NODES], next[2][MAX_TREES * NODES];
    int64_t missing[MAX_TREES * NODES];
    float values[MAX_TREES * NODES], weights[MAX_TREES * LEAVES];
} forest;

/* mode: of all nodes; −1 = mixed, up to `last`. */
static void grow(forest *f, size_t trees, int mode, int last)
{
    f->trees = trees;
    for (size_t i = 0; i < trees * NODES; i++) {
        size_t k = i % NODES;
        f->modes[i] = mode >= 0 ? mode : (int)(rng_next() % (unsigned)(last + 1));
        f->features[i] = rng_next() % FEATURES;
        f->values[i] = (float)(int)(rng_next() % 5) - 2.0f;
        f->missing[i] = rng_next() % 2;
        f->next[0][i] = (int64_t)(2 * k + 1);
        f->next[1][i] = (int64_t)(2 * k + 2);
    }
    for (size_t t = 0; t < trees; t++) {
        int64_t *short_way = &f->next[t % 2][t * NODES + 1];
        f->next[1][t * NODES + NODES - 1] = *short_way;
        *short_way = NODES + LEAVES - 1;
    }
    for (size_t i = 0; i < trees * LEAVES; i++)
        f->weights[i] = rng_float(-1, 1);
}

/* Members of a node's set: its value and the one two above. */
static bool answer(const forest *f, size_t node, float x)
{
    float v = f->values[node];
    if (isnan(x) && f->missing[node]) return true;
    switch (f->modes[node]) {
    case 0:
        return x <= v;
    case 1:
        return x < v;
    case 2:
        return x >= v;
    case 3:
        return x > v;
    case 4:
        return x == v;
    case 5:
        return x != v;
    default:
        return x == v || x == v + 2;
    }
}

static void sum_of_trees(const void *user, const float *row, double *y)
{
    const forest *f = user;
    *y = 0;
    for (size_t t = 0; t < f->trees; t++) {
        int64_t at = 0;
        while (at < NODES) {
            size_t node = t * NODES + (size_t)at;
            at = f->next[answer(f, node, row[f->features[node]])][node];
        }
        *y += (double)f->weights[t * LEAVES + (size_t)(at - NODES)];
    }
}

static const char *const mode_names[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                         "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ"};

/* TreeEnsembleRegressor: leaves are nodes among the others. */
static nnd_str old_form(const forest *f)
{
    enum { ALL = NODES + LEAVES, MANY = MAX_TREES * (NODES + LEAVES) };
    static int64_t trees[MANY], ids[MANY], features[MANY], yes[MANY], no[MANY], missing[MANY];
    static int64_t leaf_trees[MAX_TREES * LEAVES], leaf_ids[MAX_TREES * LEAVES];
    static const int64_t targets[MAX_TREES * LEAVES];
    static float values[MANY];
    nnd_str attrs = {0}, modes = {0};
    for (size_t i = 0; i < f->trees * ALL; i++) {
        size_t t = i / ALL, k = i % ALL, node = t * NODES + k;
        bool leaf = k >= NODES;
        trees[i] = (int64_t)t;
        ids[i] = (int64_t)k;
        features[i] = leaf ? 0 : f->features[node];
        no[i] = leaf ? 0 : f->next[0][node];
        yes[i] = leaf ? 0 : f->next[1][node];
        missing[i] = leaf ? 0 : f->missing[node];
        values[i] = leaf ? 0 : f->values[node];
        nnd_str_add(&modes, i ? "," : "");
        nnd_str_add(&modes, leaf ? "LEAF" : mode_names[f->modes[node]]);
        if (!leaf) continue;
        leaf_trees[t * LEAVES + k - NODES] = (int64_t)t;
        leaf_ids[t * LEAVES + k - NODES] = (int64_t)k;
    }
    size_t n = f->trees * ALL, leaves = f->trees * LEAVES;
    ow_attr_ints(&attrs, "nodes_treeids", trees, n);
    ow_attr_ints(&attrs, "nodes_nodeids", ids, n);
    ow_attr_ints(&attrs, "nodes_featureids", features, n);
    ow_attr_ints(&attrs, "nodes_truenodeids", yes, n);
    ow_attr_ints(&attrs, "nodes_falsenodeids", no, n);
    ow_attr_ints(&attrs, "nodes_missing_value_tracks_true", missing, n);
    ow_attr_floats(&attrs, "nodes_values", values, n);
    ow_attr_texts(&attrs, "nodes_modes", modes.data);
    ow_attr_ints(&attrs, "target_treeids", leaf_trees, leaves);
    ow_attr_ints(&attrs, "target_nodeids", leaf_ids, leaves);
    ow_attr_ints(&attrs, "target_ids", targets, leaves);
    ow_attr_floats(&attrs, "target_weights", f->weights, leaves);
    ow_attr_int(&attrs, "n_targets", 1);
    nnd_str_free(&modes);
    return model_of("TreeEnsembleRegressor", "y", &attrs, FEATURES, 3);
}

static void attr_numbers(nnd_str *attrs, const char *name, int type, const void *data, size_t count,
                         size_t size)
{
    nnd_str t = {0};
    ow_tensor(&t, name, type, 1, (int64_t[]){(int64_t)count}, data, count * size);
    ow_attr_tensor(attrs, name, &t);
}

/* TreeEnsemble: leaves are counted apart, and sets of members end with NaN. */
static nnd_str new_form(const forest *f)
{
    static int64_t next[2][MAX_TREES * NODES], is_leaf[2][MAX_TREES * NODES], roots[MAX_TREES];
    static const int64_t targets[MAX_TREES * LEAVES];
    static uint8_t modes[MAX_TREES * NODES];
    static float members[MAX_TREES * NODES * 3];
    size_t n = f->trees * NODES, leaves = f->trees * LEAVES, count = 0;
    nnd_str attrs = {0};
    for (size_t i = 0; i < n; i++) {
        size_t t = i / NODES;
        roots[t] = (int64_t)(t * NODES);
        modes[i] = (uint8_t)f->modes[i];
        for (size_t k = 0; k < 2; k++) {
            is_leaf[k][i] = f->next[k][i] >= NODES;
            next[k][i] = is_leaf[k][i] ? (int64_t)(t * LEAVES) + f->next[k][i] - NODES
                                       : (int64_t)(t * NODES) + f->next[k][i];
        }
        if (f->modes[i] != MEMBER) continue;
        members[count++] = f->values[i];
        members[count++] = f->values[i] + 2;
        members[count++] = NAN;
    }
    ow_attr_ints(&attrs, "nodes_featureids", f->features, n);
    ow_attr_ints(&attrs, "nodes_truenodeids", next[1], n);
    ow_attr_ints(&attrs, "nodes_falsenodeids", next[0], n);
    ow_attr_ints(&attrs, "nodes_trueleafs", is_leaf[1], n);
    ow_attr_ints(&attrs, "nodes_falseleafs", is_leaf[0], n);
    ow_attr_ints(&attrs, "nodes_missing_value_tracks_true", f->missing, n);
    attr_numbers(&attrs, "nodes_modes", OW_U8, modes, n, 1);
    attr_numbers(&attrs, "nodes_splits", OW_F32, f->values, n, sizeof(float));
    attr_numbers(&attrs, "leaf_weights", OW_F32, f->weights, leaves, sizeof(float));
    ow_attr_ints(&attrs, "leaf_targetids", targets, leaves);
    ow_attr_ints(&attrs, "tree_roots", roots, f->trees);
    if (count) attr_numbers(&attrs, "membership_values", OW_F32, members, count, sizeof(float));
    ow_attr_int(&attrs, "n_targets", 1);
    return model_of("TreeEnsemble", "y", &attrs, FEATURES, 5);
}

static void trees_are_their_definition(void **state)
{
    static const size_t sizes[] = {1, 3, 8, MAX_TREES};
    static forest f;
    (void)state;
    fill_rows();
    for (size_t s = 0; s < NND_COUNT(sizes); s++)
        for (int mode = -1; mode <= MEMBER; mode++) {
            char what[64];
            snprintf(what, sizeof(what), "%zu trees of mode %d", sizes[s], mode);
            grow(&f, sizes[s], mode, MEMBER);
            nnd_str bytes = new_form(&f);
            compare(what, &bytes, 0, 1, sum_of_trees, &f, 1e-5);
            if (mode == MEMBER) continue;
            grow(&f, sizes[s], mode, MEMBER - 1);
            bytes = old_form(&f);
            compare(what, &bytes, 0, 1, sum_of_trees, &f, 1e-5);
        }
}

static bool asks(int mode, double x, double v)
{
    return mode == 0 ? x <= v : mode == 1 ? x < v : mode == 2 ? x >= v : x > v;
}

/* Rows of f32 meet thresholds of f64, also where the two have no number in common. */
static void thresholds_are_not_rounded(void **state)
{
    static const double values[] = {0,     -0.0,      0.1,        -0.1,      5e-324,    -5e-324,
                                    1e-45, -1e-45,    FLT_MIN,    -FLT_MIN,  FLT_MAX,   -FLT_MAX,
                                    1e300, -1e300,    INFINITY,   -INFINITY, NAN,       1,
                                    -1,    1 + 1e-12, -1 - 1e-12, 1 - 1e-12, -1 + 1e-12};
    (void)state;
    for (int mode = 0; mode < 4; mode++)
        for (size_t v = 0; v < NND_COUNT(values); v++)
            for (int missing = 0; missing < 2; missing++) {
                nnd_forest_node nodes[3] = {{.value = values[v], .next = {1, 2}},
                                            {.branch = NND_BRANCH_LEAF},
                                            {.branch = NND_BRANCH_LEAF}};
                uint32_t root = 0, at = 0;
                nnd_forest f = {.node_count = 3, .root_count = 1, .features = 1};
                nodes[0].branch = (uint8_t)mode;
                nodes[0].nan_is_yes = missing;
                f.nodes = nodes;
                f.roots = &root;
                assert_ok(nnd_forest_lay_out(&f));
                assert_non_null(f.steps);
                for (size_t k = 0; k < NND_COUNT(values); k++, at = 0) {
                    bool wide = isfinite(values[k]) && fabs(values[k]) > (double)FLT_MAX;
                    float x = wide ? FLT_MAX : (float)values[k];
                    bool yes = isnan(x) ? missing : asks(mode, (double)x, values[v]);
                    uint32_t want = yes ? 2 : 1;
                    nnd_forest_rows rows_of_x = {NND_F32, &x, 0};
                    assert_true(nnd_forest_walk(&f, &rows_of_x, 1, &at));
                    if (at != want)
                        fail_msg("mode %d, %g against %g: %u", mode, (double)x, values[v], at);
                }
                nnd_free(f.steps);
                nnd_free(f.trees);
            }
}

/* Nodes that lead to themselves, in a circle, and nowhere. */
static void bad_trees_are_refused(void **state)
{
    static const int64_t children[] = {1, 3, 100000, -100000};
    static forest f;
    (void)state;
    fill_rows();
    for (size_t k = 0; k < NND_COUNT(children); k++)
        for (int form = 0; form < 2; form++) {
            nnd_engine_model *m = NULL;
            nnd_engine_request *r;
            grow(&f, 9, form ? MEMBER : 0, 0);
            for (size_t way = 0; way < 2; way++) {
                int64_t *next = f.next[way] + 3 * NODES;
                next[0] = next[3] = 1;
                next[1] = children[k];
            }
            nnd_str bytes = form ? new_form(&f) : old_form(&f);
            nnd_status status = load(&bytes, &m);
            assert_int_equal(status, k < 2 ? NND_OK : NND_E_FORMAT);
            if (m) {
                assert_ok(nnd_engine_request_create(m, &r));
                assert_status(run(r, 1, 1), NND_E_FORMAT);
                assert_status(run(r, 9, 1), NND_E_FORMAT);
                nnd_engine_request_destroy(r);
                nnd_engine_model_unref(m);
            }
            nnd_error_clear();
            nnd_str_free(&bytes);
        }
}

/* Without a branch there is nothing to read, and rows may have no features. */
static void rows_may_be_empty(void **state)
{
    static const int64_t zero[1];
    static const float weight[1] = {2.5f};
    nnd_str attrs = {0};
    nnd_engine_model *m;
    nnd_engine_request *r;
    nnd_tensor x, y;
    (void)state;
    ow_attr_ints(&attrs, "nodes_treeids", zero, 1);
    ow_attr_ints(&attrs, "nodes_nodeids", zero, 1);
    ow_attr_ints(&attrs, "nodes_featureids", zero, 1);
    ow_attr_ints(&attrs, "nodes_truenodeids", zero, 1);
    ow_attr_ints(&attrs, "nodes_falsenodeids", zero, 1);
    ow_attr_floats(&attrs, "nodes_values", weight, 1);
    ow_attr_texts(&attrs, "nodes_modes", "LEAF");
    ow_attr_ints(&attrs, "target_treeids", zero, 1);
    ow_attr_ints(&attrs, "target_nodeids", zero, 1);
    ow_attr_ints(&attrs, "target_ids", zero, 1);
    ow_attr_floats(&attrs, "target_weights", weight, 1);
    nnd_str bytes = model_of("TreeEnsembleRegressor", "y", &attrs, -1, 3);
    assert_ok(load(&bytes, &m));
    assert_ok(nnd_engine_request_create(m, &r));
    for (int64_t count = 1; count <= 9; count += 8) {
        assert_ok(nnd_tensor_init(&x, NND_F32, 2, (int64_t[]){count, 0}, rows));
        assert_ok(nnd_engine_request_bind_input(r, 0, &x));
        assert_ok(nnd_engine_request_run(r, 1, NULL));
        assert_ok(nnd_engine_request_output(r, 0, &y));
        for (size_t i = 0; i < (size_t)count; i++)
            assert_true(((const float *)y.data)[i] == weight[0]);
    }
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

/* ---- machines ------------------------------------------------------------------------------- */

enum { LINEAR, POLY, RBF, SIGMOID, KERNELS };
enum { VECTORS = 37 };
static const char *const kernel_names[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
static const float params[3] = {0.1f, 0.25f, 3};

typedef struct svm {
    int kernel;
    bool one_class;
    float support[VECTORS * FEATURES], weights[VECTORS], rho;
} svm;

static double kernel_of(const svm *m, const float *x, size_t vector)
{
    double dot = 0, square = 0, g = (double)params[0], c = (double)params[1];
    for (size_t i = 0; i < FEATURES; i++) {
        double a = (double)x[i], b = (double)m->support[vector * FEATURES + i];
        dot += a * b;
        square += (a - b) * (a - b);
    }
    return m->kernel == POLY      ? pow(g * dot + c, (double)params[2])
           : m->kernel == RBF     ? exp(-g * square)
           : m->kernel == SIGMOID ? tanh(g * dot + c)
                                  : dot;
}

static double margin(const svm *m, const float *row)
{
    double sum = (double)m->rho;
    for (size_t j = 0; j < VECTORS; j++)
        sum += (double)m->weights[j] * kernel_of(m, row, j);
    return sum;
}

static void regression(const void *user, const float *row, double *y)
{
    const svm *m = user;
    *y = margin(m, row);
    if (m->one_class) *y = *y > 0 ? 1 : -1;
}

static void classification(const void *user, const float *row, double *y)
{
    y[1] = margin(user, row);
    y[0] = -y[1];
}

static nnd_str svm_model(const svm *m, bool classes)
{
    nnd_str attrs = {0};
    ow_attr_text(&attrs, "kernel_type", kernel_names[m->kernel]);
    ow_attr_floats(&attrs, "kernel_params", params, 3);
    ow_attr_floats(&attrs, "support_vectors", m->support, NND_COUNT(m->support));
    ow_attr_floats(&attrs, "coefficients", m->weights, VECTORS);
    ow_attr_floats(&attrs, "rho", &m->rho, 1);
    if (classes) {
        ow_attr_ints(&attrs, "vectors_per_class", (int64_t[]){20, VECTORS - 20}, 2);
        ow_attr_ints(&attrs, "classlabels_ints", (int64_t[]){4, 9}, 2);
        return model_of("SVMClassifier", "z,y", &attrs, FEATURES, 3);
    }
    ow_attr_int(&attrs, "n_supports", VECTORS);
    ow_attr_int(&attrs, "one_class", m->one_class);
    return model_of("SVMRegressor", "y", &attrs, FEATURES, 3);
}

static void draw(svm *m, int kernel, bool one_class)
{
    *m = (svm){.kernel = kernel, .one_class = one_class, .rho = rng_float(-0.5f, 0.5f)};
    for (size_t i = 0; i < NND_COUNT(m->support); i++)
        m->support[i] = rng_float(-2, 2);
    for (size_t i = 0; i < VECTORS; i++)
        m->weights[i] = rng_float(-1, 1);
}

static void compare_machines(nnd_isa isa)
{
    static svm m;
    (void)isa;
    for (size_t i = 0; i < NND_COUNT(rows); i++)
        rows[i] = rng_float(-2, 2);
    for (int kernel = 0; kernel < KERNELS; kernel++) {
        draw(&m, kernel, false);
        nnd_str bytes = svm_model(&m, false);
        compare(kernel_names[kernel], &bytes, 0, 1, regression, &m, 1e-4);
        bytes = svm_model(&m, true);
        compare(kernel_names[kernel], &bytes, 1, 2, classification, &m, 1e-4);
    }
    draw(&m, RBF, true);
    m.rho = 60; /* far from the border, which single precision may cross */
    nnd_str bytes = svm_model(&m, false);
    compare("one class", &bytes, 0, 1, regression, &m, 0);
}

static void machines_are_their_definition(void **state)
{
    (void)state;
    each_isa(compare_machines);
}

/* ---- memory --------------------------------------------------------------------------------- */

static nnd_status load_and_run(const nnd_str *bytes)
{
    nnd_engine_model *m;
    nnd_engine_request *r;
    NND_TRY(load(bytes, &m));
    nnd_status status = nnd_engine_request_create(m, &r);
    if (status == NND_OK) {
        status = run(r, 9, 1);
        nnd_engine_request_destroy(r);
    }
    nnd_engine_model_unref(m);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    static forest f;
    static svm m;
    (void)state;
    grow(&f, 3, -1, MEMBER);
    draw(&m, RBF, false);
    nnd_str models[] = {new_form(&f), svm_model(&m, true), svm_model(&m, false)};
    for (size_t k = 0; k < NND_COUNT(models); k++) {
        assert_ok(load_and_run(&models[k])); /* what is made once is there */
        bool hit = true;
        oom_begin();
        for (long n = 0; hit; n++) {
            oom_fail_after(n);
            nnd_status status = load_and_run(&models[k]);
            hit = oom_hit();
            oom_never();
            if (hit && status != NND_OK) assert_int_equal(status, NND_E_OUT_OF_MEMORY);
            nnd_error_clear();
        }
        assert_int_equal(oom_live_blocks(), 0);
        oom_end();
        nnd_str_free(&models[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees_are_their_definition),
        cmocka_unit_test(thresholds_are_not_rounded),
        cmocka_unit_test(bad_trees_are_refused),
        cmocka_unit_test(rows_may_be_empty),
        cmocka_unit_test(machines_are_their_definition),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
