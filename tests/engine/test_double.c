/* Operators have kernels for f32 and plain loops for f64: the same network in both types, on random
   numbers, gives the same results. One thread and three give the same bits. */
#include "base/isa.h"

#include "engine_support.h"
#include "onnx_writer.h"

enum { MAX_INPUTS = 4, ROOM = 40000, OW_F64 = 11 };

typedef struct net {
    bool wide; /* f64 */
    uint32_t seed;
    nnd_str graph, attrs;
    size_t inputs;
    nnd_tensor t[MAX_INPUTS];
    double data[MAX_INPUTS][ROOM];
} net;
typedef void (*build_fn)(net *n, const void *what);

#define DIMS(...)                                                                                  \
    NND_COUNT(((const int64_t[]){__VA_ARGS__})), (const int64_t[])                                 \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static double next(net *n)
{
    n->seed = n->seed * 1664525u + 1013904223u;
    return (double)(float)(n->seed >> 8) / 8388608.0 - 1.0;
}

/* The same numbers in both types: those of f32. */
static void fill(net *n, nnd_tensor *t)
{
    for (size_t i = 0; i < (size_t)nnd_tensor_count(t); i++)
        nnd_dtype_set(t->dtype, t->data, i, (double)(float)next(n));
}

static void input(net *n, const char *name, size_t rank, const int64_t *dims)
{
    nnd_tensor *t = &n->t[n->inputs];
    assert_true(n->inputs < MAX_INPUTS);
    assert_ok(nnd_tensor_init(t, n->wide ? NND_F64 : NND_F32, (int)rank, dims, n->data[n->inputs]));
    assert_true(nnd_tensor_count(t) <= ROOM);
    fill(n, t);
    ow_value(&n->graph, OW_INPUT, name, n->wide ? OW_F64 : OW_F32, (int)rank, dims, NULL);
    n->inputs++;
}

static void weight(net *n, const char *name, size_t rank, const int64_t *dims)
{
    static double data[ROOM];
    nnd_tensor t;
    assert_ok(nnd_tensor_init(&t, n->wide ? NND_F64 : NND_F32, (int)rank, dims, data));
    assert_true(nnd_tensor_count(&t) <= ROOM);
    fill(n, &t);
    ow_initializer(&n->graph, name, n->wide ? OW_F64 : OW_F32, (int)rank, dims, data,
                   nnd_tensor_bytes(&t));
}

static void node(net *n, const char *type, const char *inputs, const char *outputs)
{
    ow_node(&n->graph, type, inputs, outputs, &n->attrs);
}

static size_t plain_convolutions; /* of f32: plain loops have computed them */

static void count_plain(const nnd_engine_request *r)
{
    nnd_engine_step_profile step;
    for (size_t i = 0; i < nnd_engine_request_profile_count(r); i++) {
        assert_ok(nnd_engine_request_profile_step(r, i, &step));
        plain_convolutions += step.dtype == NND_F32 && strcmp(step.op, "Conv") == 0 &&
                              strcmp(step.kernel, "reference") == 0;
    }
}

/* The result of one type, as doubles. */
static double *compute(build_fn build, const void *what, bool wide, int threads, nnd_tensor *shape)
{
    net *n = nnd_calloc(1, sizeof *n);
    nnd_str bytes = {0};
    nnd_engine_model *m = NULL;
    nnd_engine_request *r;
    assert_non_null(n);
    n->wide = wide;
    n->seed = 5;
    build(n, what);
    ow_value(&n->graph, OW_OUTPUT, "y", wide ? OW_F64 : OW_F32, -1, NULL, NULL);
    ow_model(&bytes, &n->graph, 23);
    nnd_status status = nnd_engine_model_load_memory(bytes.data, bytes.size, NULL, &m);
    if (status != NND_OK) report_error("load");
    assert_int_equal(status, NND_OK);
    assert_ok(nnd_engine_request_create(m, &r));
    for (size_t i = 0; i < n->inputs; i++)
        assert_ok(nnd_engine_request_bind_input(r, i, &n->t[i]));
    nnd_engine_request_set_profile(r, true);
    status = nnd_engine_request_run(r, threads, NULL);
    if (status != NND_OK) report_error("run");
    assert_int_equal(status, NND_OK);
    assert_ok(nnd_engine_request_output(r, 0, shape));
    count_plain(r);
    size_t count = (size_t)nnd_tensor_count(shape);
    double *y = nnd_calloc(count + 1, sizeof *y);
    assert_non_null(y);
    for (size_t i = 0; i < count; i++)
        y[i] = nnd_dtype_get(shape->dtype, shape->data, i);
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
    nnd_free(n);
    return y;
}

static void compare(build_fn build, const void *what, double tolerance)
{
    nnd_tensor a, b, c;
    double *x = compute(build, what, false, 1, &a), *y = compute(build, what, true, 1, &b);
    double *z = compute(build, what, false, 3, &c);
    size_t count = (size_t)nnd_tensor_count(&b);
    assert_int_equal(a.rank, b.rank);
    assert_memory_equal(a.dims, b.dims, (size_t)a.rank * sizeof(a.dims[0]));
    for (size_t i = 0; i < count; i++)
        if (!(fabs(x[i] - y[i]) <= tolerance * (1 + fabs(y[i]))))
            fail_msg("element %zu is %.9g instead of %.9g", i, x[i], y[i]);
    assert_memory_equal(x, z, count * sizeof(*x));
    nnd_free(x);
    nnd_free(y);
    nnd_free(z);
}

/* ---- normalisations ----------------------------------------------------------------------------
 */

typedef struct norm_case {
    const char *type;
    size_t rank;
    int64_t dims[4], axis, groups, count; /* count: of the parameters */
} norm_case;

static void norm(net *n, const void *what)
{
    const norm_case *k = what;
    input(n, "x", k->rank, k->dims);
    weight(n, "scale", 1, &k->count);
    weight(n, "bias", 1, &k->count);
    if (k->axis) ow_attr_int(&n->attrs, "axis", k->axis);
    if (k->groups) ow_attr_int(&n->attrs, "num_groups", k->groups);
    node(n, k->type, strncmp(k->type, "RMS", 3) == 0 ? "x,scale" : "x,scale,bias", "y");
}

static void normalisations(void **state)
{
    (void)state;
    static const norm_case cases[] = {{"LayerNormalization", 3, {2, 5, 1}, -1, 0, 1},
                                      {"LayerNormalization", 3, {2, 5, 37}, -1, 0, 37},
                                      {"LayerNormalization", 2, {300, 129}, 1, 0, 129},
                                      {"LayerNormalization", 3, {7, 40, 64}, -1, 0, 1},
                                      {"LayerNormalization", 1, {1000}, -1, 0, 1000},
                                      {"RMSNormalization", 3, {2, 3, 19}, -1, 0, 19},
                                      {"RMSNormalization", 2, {64, 256}, -1, 0, 256},
                                      {"InstanceNormalization", 3, {2, 3, 5}, 0, 0, 3},
                                      {"InstanceNormalization", 4, {2, 3, 31, 33}, 0, 0, 3},
                                      {"GroupNormalization", 4, {2, 8, 5, 7}, 0, 4, 8},
                                      {"GroupNormalization", 4, {1, 6, 80, 80}, 0, 2, 6},
                                      {"GroupNormalization", 3, {3, 8, 9}, 0, 8, 8},
                                      {"GroupNormalization", 2, {3, 8}, 0, 1, 8}};
    for (size_t i = 0; i < NND_COUNT(cases); i++)
        compare(norm, &cases[i], 2e-5);
}

/* In f64 by its definition, so that the two have nothing in common. */
static void batch_norm(net *n, const void *what)
{
    const norm_case *k = what;
    static const int64_t one = 1;
    const double epsilon = (double)1e-5f;
    int64_t dims[4] = {k->dims[1], 1, 1, 1};
    size_t rank = n->wide ? k->rank - 1 : 1;
    input(n, "x", k->rank, k->dims);
    weight(n, "scale", rank, dims);
    weight(n, "bias", rank, dims);
    weight(n, "mean", rank, dims);
    weight(n, "log", rank, dims);
    node(n, "Exp", "log", "variance");
    if (!n->wide) {
        node(n, "BatchNormalization", "x,scale,bias,mean,variance", "y");
        return;
    }
    ow_initializer(&n->graph, "epsilon", OW_F64, 1, &one, &epsilon, sizeof(epsilon));
    node(n, "Add", "variance,epsilon", "sum");
    node(n, "Sqrt", "sum", "deviation");
    node(n, "Sub", "x,mean", "centred");
    node(n, "Div", "centred,deviation", "normal");
    node(n, "Mul", "normal,scale", "scaled");
    node(n, "Add", "scaled,bias", "y");
}

/* Rows of single numbers, of few and of many; channels around the number of a tile. */
static void batch_normalisations(void **state)
{
    (void)state;
    static const norm_case cases[] = {
        {"", 2, {1, 5}, 0, 0, 0},           {"", 2, {300, 64}, 0, 0, 0},
        {"", 2, {7, 130}, 0, 0, 0},         {"", 2, {600, 65}, 0, 0, 0},
        {"", 3, {3, 70, 5}, 0, 0, 0},       {"", 4, {2, 9, 31, 33}, 0, 0, 0},
        {"", 4, {1, 2, 140, 141}, 0, 0, 0}, {"", 4, {5, 66, 7, 1}, 0, 0, 0}};
    for (size_t i = 0; i < NND_COUNT(cases); i++)
        compare(batch_norm, &cases[i], 1e-5);
}

/* ---- reductions --------------------------------------------------------------------------------
 */

typedef struct reduce_case {
    const char *type;
    size_t rank;
    int64_t dims[4];
    int64_t axes[4];
    int64_t axis_count;
} reduce_case;

static void reduce(net *n, const void *what)
{
    const reduce_case *k = what;
    input(n, "x", k->rank, k->dims);
    ow_initializer(&n->graph, "axes", OW_I64, 1, &k->axis_count, k->axes,
                   (size_t)k->axis_count * sizeof(k->axes[0]));
    node(n, k->type, "x,axes", "y");
}

static void reductions(void **state)
{
    (void)state;
    static const char *const types[] = {"ReduceSum", "ReduceMean", "ReduceMax",
                                        "ReduceMin", "ReduceL2",   "ReduceSumSquare"};
    static const reduce_case shapes[] = {
        {"", 3, {3, 5, 7}, {0}, 1},        {"", 3, {3, 5, 17}, {1}, 1},
        {"", 3, {3, 5, 17}, {2}, 1},       {"", 4, {2, 9, 11, 48}, {1, 2}, 2},
        {"", 4, {2, 9, 3, 48}, {0, 2}, 2}, {"", 4, {2, 3, 4, 8}, {1, 3}, 2},
        {"", 2, {4000, 9}, {0}, 1},        {"", 2, {2, 15000}, {0}, 1},
        {"", 2, {1, 64}, {0}, 1},          {"", 3, {3, 5, 7}, {0, 1, 2}, 3}};
    for (size_t t = 0; t < NND_COUNT(types); t++) {
        for (size_t i = 0; i < NND_COUNT(shapes); i++) {
            reduce_case k = shapes[i];
            k.type = types[t];
            compare(reduce, &k, 1e-5);
        }
    }
}

/* ---- convolutions of volumes --------------------------------------------------------------------
 */

typedef struct volume_case {
    int64_t x[5], w[5], group, strides[3], dilations[3], pads[6];
} volume_case;

static void volume(net *n, const void *what)
{
    const volume_case *k = what;
    input(n, "x", 5, k->x);
    weight(n, "w", 5, k->w);
    weight(n, "b", 1, k->w);
    ow_attr_int(&n->attrs, "group", k->group);
    ow_attr_ints(&n->attrs, "strides", k->strides, 3);
    ow_attr_ints(&n->attrs, "dilations", k->dilations, 3);
    ow_attr_ints(&n->attrs, "pads", k->pads, 6);
    node(n, "Conv", "x,w,b", "c");
    node(n, "Relu", "c", "y");
}

/* A sum of two becomes a convolution with a residual. */
static void volumes_joined(net *n, const void *what)
{
    const volume_case *k = what;
    input(n, "x", 5, k->x);
    weight(n, "w", 5, k->w);
    weight(n, "v", 5, k->w);
    for (int i = 0; i < 2; i++) {
        ow_attr_int(&n->attrs, "group", k->group);
        ow_attr_ints(&n->attrs, "strides", k->strides, 3);
        ow_attr_ints(&n->attrs, "dilations", k->dilations, 3);
        ow_attr_ints(&n->attrs, "pads", k->pads, 6);
        node(n, "Conv", i ? "x,w" : "x,v", i ? "c" : "d");
    }
    node(n, "Add", "c,d", "s");
    node(n, "Relu", "s", "y");
}

static void convolutions_of_volumes(void **state)
{
    (void)state;
    static const volume_case cases[] = {
        {{1, 3, 5, 9, 11}, {8, 3, 3, 3, 3}, 1, {1, 1, 1}, {1, 1, 1}, {1, 1, 1, 1, 1, 1}},
        {{2, 4, 6, 7, 8}, {6, 4, 2, 3, 1}, 1, {2, 1, 2}, {2, 1, 1}, {0, 2, 0, 3, 0, 1}},
        {{2, 4, 6, 7, 8}, {8, 2, 3, 3, 3}, 2, {1, 2, 1}, {1, 2, 1}, {2, 1, 0, 0, 1, 2}},
        {{1, 6, 4, 5, 6}, {6, 1, 3, 3, 3}, 6, {1, 1, 1}, {1, 1, 1}, {1, 1, 1, 1, 1, 1}},
        {{2, 5, 7, 4, 6}, {7, 5, 3, 1, 1}, 1, {2, 1, 1}, {2, 1, 1}, {3, 0, 0, 1, 0, 0}},
        {{2, 5, 3, 4, 6}, {17, 5, 1, 1, 1}, 1, {1, 1, 1}, {1, 1, 1}, {0, 0, 0, 0, 0, 0}},
        {{1, 5, 4, 9, 6}, {4, 5, 1, 3, 3}, 1, {1, 1, 1}, {1, 1, 1}, {0, 1, 1, 0, 1, 1}},
        {{1, 2, 4, 9, 6}, {4, 2, 1, 1, 1}, 1, {1, 2, 2}, {1, 1, 1}, {0, 0, 0, 0, 0, 0}},
        {{1, 3, 1, 9, 6}, {4, 3, 1, 3, 3}, 1, {1, 1, 1}, {1, 1, 1}, {0, 0, 0, 0, 0, 0}}};
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        compare(volume, &cases[i], 1e-5);
        compare(volumes_joined, &cases[i], 1e-5);
    }
}

/* ---- weights that the model is given ----------------------------------------------------------
 */

typedef struct plane_case {
    int64_t x[4], w[4], group, strides[2], dilations[2], pads[4];
    bool bias, joined;
} plane_case;

static void plane(net *n, const void *what)
{
    const plane_case *k = what;
    const int64_t channels[] = {k->w[0]};
    input(n, "x", 4, k->x);
    input(n, "w", 4, k->w);
    if (k->bias) input(n, "b", 1, channels);
    ow_attr_int(&n->attrs, "group", k->group);
    ow_attr_ints(&n->attrs, "strides", k->strides, 2);
    ow_attr_ints(&n->attrs, "dilations", k->dilations, 2);
    ow_attr_ints(&n->attrs, "pads", k->pads, 4);
    node(n, "Conv", k->bias ? "x,w,b" : "x,w", "c");
    if (k->joined) {
        node(n, "Exp", "c", "e");
        node(n, "Add", "c,e", "s");
    }
    node(n, "Relu", k->joined ? "s" : "c", "y");
}

static void volume_with_weights(net *n, const void *what)
{
    const volume_case *k = what;
    input(n, "x", 5, k->x);
    input(n, "w", 5, k->w);
    input(n, "b", 1, k->w);
    ow_attr_int(&n->attrs, "group", k->group);
    ow_attr_ints(&n->attrs, "strides", k->strides, 3);
    ow_attr_ints(&n->attrs, "dilations", k->dilations, 3);
    ow_attr_ints(&n->attrs, "pads", k->pads, 6);
    node(n, "Conv", "x,w,b", "y");
}

/* As where trackers compare a picture with a template: the kernels pack them in every run. */
static void convolutions_with_given_weights(void **state)
{
    (void)state;
    static const plane_case cases[] = {
        {{1, 3, 9, 11}, {8, 3, 3, 3}, 1, {1, 1}, {1, 1}, {1, 1, 1, 1}, true, false},
        {{2, 5, 12, 9}, {17, 5, 3, 2}, 1, {2, 1}, {1, 2}, {0, 2, 1, 0}, false, true},
        {{1, 19, 10, 10}, {19, 1, 5, 5}, 19, {1, 1}, {1, 1}, {0, 0, 0, 0}, false, false},
        {{1, 18, 10, 10}, {36, 1, 3, 3}, 18, {2, 2}, {1, 1}, {1, 1, 1, 1}, true, true},
        {{2, 12, 7, 7}, {20, 3, 3, 3}, 4, {1, 1}, {2, 2}, {2, 2, 2, 2}, true, false},
        {{1, 70, 6, 6}, {33, 70, 1, 1}, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, true, true},
        {{1, 64, 1, 1}, {40, 64, 1, 1}, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, false, false}};
    static const volume_case volumes[] = {
        {{1, 3, 5, 9, 11}, {8, 3, 3, 3, 3}, 1, {1, 1, 1}, {1, 1, 1}, {1, 1, 1, 1, 1, 1}},
        {{2, 4, 6, 7, 8}, {8, 2, 3, 3, 3}, 2, {1, 2, 1}, {1, 2, 1}, {2, 1, 0, 0, 1, 2}},
        {{2, 5, 7, 4, 6}, {7, 5, 3, 1, 1}, 1, {2, 1, 1}, {2, 1, 1}, {3, 0, 0, 1, 0, 0}}};
    plain_convolutions = 0;
    for (size_t i = 0; i < NND_COUNT(cases); i++)
        compare(plane, &cases[i], 1e-5);
    for (size_t i = 0; i < NND_COUNT(volumes); i++)
        compare(volume_with_weights, &volumes[i], 1e-5);
    if (nnd_isa_current() != NND_ISA_REFERENCE) assert_int_equal(plain_convolutions, 0);
}

typedef struct pool_case {
    const char *type;
    int64_t x[5], kernel[3], strides[3], dilations[3], pads[6], ceil, include;
} pool_case;

static void pool(net *n, const void *what)
{
    const pool_case *k = what;
    input(n, "x", 5, k->x);
    ow_attr_ints(&n->attrs, "kernel_shape", k->kernel, 3);
    ow_attr_ints(&n->attrs, "strides", k->strides, 3);
    ow_attr_ints(&n->attrs, "dilations", k->dilations, 3);
    ow_attr_ints(&n->attrs, "pads", k->pads, 6);
    ow_attr_int(&n->attrs, "ceil_mode", k->ceil);
    if (k->include) ow_attr_int(&n->attrs, "count_include_pad", 1);
    node(n, k->type, "x", "y");
}

static void pools_of_volumes(void **state)
{
    (void)state;
    static const pool_case cases[] = {
        {"", {2, 3, 5, 9, 11}, {1, 3, 3}, {1, 2, 2}, {1, 1, 1}, {0, 1, 1, 0, 1, 1}, 0, 0},
        {"", {1, 2, 7, 6, 5}, {3, 2, 4}, {2, 1, 1}, {1, 2, 1}, {1, 0, 3, 2, 1, 0}, 0, 0},
        {"", {1, 2, 7, 6, 8}, {2, 2, 3}, {2, 2, 2}, {2, 1, 3}, {0, 0, 0, 0, 0, 0}, 1, 0},
        {"", {2, 1, 4, 4, 4}, {2, 3, 2}, {3, 3, 3}, {1, 1, 1}, {1, 1, 1, 1, 1, 1}, 1, 0}};
    for (size_t i = 0; i < 3 * NND_COUNT(cases); i++) {
        pool_case k = cases[i / 3];
        k.type = i % 3 ? "AveragePool" : "MaxPool";
        k.include = i % 3 == 2;
        compare(pool, &k, 1e-5);
    }
}

/* ---- sums of products ---------------------------------------------------------------------------
 */

typedef struct einsum_case {
    const char *equation;
    size_t a_rank, b_rank;
    int64_t a[4], b[4];
} einsum_case;

static void einsum(net *n, const void *what)
{
    const einsum_case *k = what;
    input(n, "a", k->a_rank, k->a);
    if (k->b_rank) input(n, "b", k->b_rank, k->b);
    ow_attr_text(&n->attrs, "equation", k->equation);
    node(n, "Einsum", k->b_rank ? "a,b" : "a", "y");
}

static void sums_of_products(void **state)
{
    (void)state;
    static const einsum_case cases[] = {{"ij,jk->ik", 2, 2, {5, 7}, {7, 9}},
                                        {"ij,kj->ki", 2, 2, {5, 7}, {9, 7}},
                                        {"ji,jk", 2, 2, {5, 7}, {5, 3}},
                                        {"bte,hed->bhtd", 3, 3, {2, 9, 16}, {4, 16, 8}},
                                        {"bhtd,bhsd->bhts", 4, 4, {2, 3, 7, 8}, {2, 3, 5, 8}},
                                        {"bhts,bhsd->bthd", 4, 4, {2, 3, 7, 5}, {2, 3, 5, 8}},
                                        {"ibnd,jbnd->bnij", 4, 4, {6, 2, 3, 8}, {5, 2, 3, 8}},
                                        {"...ij,...jk->...ik", 3, 3, {3, 4, 5}, {1, 5, 6}},
                                        {"...ij,jk->...ik", 4, 2, {2, 3, 4, 5}, {5, 6}},
                                        {"bte,bse->", 3, 3, {2, 9, 4}, {2, 8, 4}},
                                        {"bte,bte->", 3, 3, {2, 9, 4}, {2, 9, 4}},
                                        {"i,j->ji", 1, 1, {9}, {17}},
                                        {"bi,bj->bij", 2, 2, {3, 4}, {3, 5}},
                                        {"bi,bi->bi", 2, 2, {3, 4}, {3, 4}},
                                        {"ii,ij->j", 2, 2, {4, 4}, {4, 5}},
                                        {"bcd,ac->abd", 3, 2, {2, 3, 40}, {50, 3}},
                                        {"abcd,dc->ab", 4, 2, {1, 5, 6, 7}, {7, 6}},
                                        {"ij->ji", 2, 0, {3, 4}, {0}},
                                        {"bii->bi", 3, 0, {2, 4, 4}, {0}},
                                        {"abcd->acbd", 4, 0, {2, 3, 5, 4}, {0}},
                                        {"abc->acb", 3, 0, {3, 70, 45}, {0}},
                                        {"abcd->dba", 4, 0, {2, 3, 4, 19}, {0}},
                                        {"ab->b", 2, 0, {9, 1100}, {0}},
                                        {"abc->ca", 3, 0, {5, 3, 33}, {0}},
                                        {"abc->b", 3, 0, {4, 3, 70}, {0}},
                                        {"abcd->ab", 4, 0, {5, 7, 3, 11}, {0}},
                                        {"abcd->bd", 4, 0, {3, 2, 4, 5}, {0}},
                                        {"abc->", 3, 0, {3, 1, 2000}, {0}},
                                        {"aab->b", 3, 0, {4, 4, 17}, {0}},
                                        {"abab->ba", 4, 0, {3, 4, 3, 4}, {0}},
                                        {"a...->...", 3, 0, {6, 3, 5}, {0}}};
    for (size_t i = 0; i < NND_COUNT(cases); i++)
        compare(einsum, &cases[i], 1e-5);
}

/* ---- softmax, elements by index, samples
 * --------------------------------------------------------- */

typedef struct axis_case {
    const char *type;
    size_t rank;
    int64_t dims[4], axis;
} axis_case;

static void along_axis(net *n, const void *what)
{
    const axis_case *k = what;
    input(n, "x", k->rank, k->dims);
    ow_attr_int(&n->attrs, "axis", k->axis);
    node(n, k->type, "x", "y");
}

static void softmax_over_any_axis(void **state)
{
    (void)state;
    static const axis_case cases[] = {{"", 3, {2, 9, 5}, 1},   {"", 4, {2, 3, 4, 300}, 1},
                                      {"", 2, {50, 3}, 0},     {"", 2, {1, 64}, 0},
                                      {"", 3, {2, 9, 513}, 0}, {"", 3, {3, 7, 33}, -1}};
    for (size_t i = 0; i < 2 * NND_COUNT(cases); i++) {
        axis_case k = cases[i / 2];
        k.type = i % 2 ? "LogSoftmax" : "Softmax";
        compare(along_axis, &k, 1e-5);
    }
}

/* Indices that stay inside of every dimension, negative ones too, and repeat. */
typedef struct element_case {
    size_t rank;
    int64_t dims[4], index[4], axis;
    const char *reduction; /* NULL: gathers */
} element_case;

static void elements(net *n, const void *what)
{
    const element_case *k = what;
    int64_t index[600], extent = k->dims[k->axis], count = 1;
    for (size_t d = 0; d < k->rank; d++)
        count *= k->index[d];
    assert_true(count <= (int64_t)NND_COUNT(index));
    for (int64_t i = 0; i < count; i++)
        index[i] = i * i * 7 % (2 * extent) - extent;
    input(n, "x", k->rank, k->dims);
    ow_initializer(&n->graph, "i", OW_I64, (int)k->rank, k->index, index,
                   (size_t)count * sizeof(*index));
    ow_attr_int(&n->attrs, "axis", k->axis);
    if (!k->reduction) {
        node(n, "GatherElements", "x,i", "y");
        return;
    }
    input(n, "u", k->rank, k->index);
    ow_attr_text(&n->attrs, "reduction", k->reduction);
    node(n, "ScatterElements", "x,i,u", "y");
}

static void elements_by_index(void **state)
{
    static const char *const ways[] = {NULL, "none", "add", "mul", "min", "max"};
    static const element_case cases[] = {{2, {5, 7}, {3, 7}, 0, NULL},
                                         {2, {5, 7}, {5, 20}, 1, NULL},
                                         {3, {4, 5, 6}, {4, 9, 5}, 1, NULL},
                                         {3, {4, 5, 6}, {9, 5, 6}, 0, NULL},
                                         {3, {4, 5, 6}, {2, 3, 0}, 1, NULL},
                                         {4, {2, 3, 4, 5}, {2, 2, 9, 4}, 2, NULL},
                                         {1, {9}, {30}, 0, NULL}};
    (void)state;
    for (size_t i = 0; i < NND_COUNT(ways) * NND_COUNT(cases); i++) {
        element_case k = cases[i / NND_COUNT(ways)];
        k.reduction = ways[i % NND_COUNT(ways)];
        compare(elements, &k, 1e-6);
    }
}

typedef struct sample_case {
    const char *padding;
    int64_t align, x[4], grid[4];
} sample_case;

static void sample(net *n, const void *what)
{
    const sample_case *k = what;
    input(n, "x", 4, k->x);
    input(n, "g", 4, k->grid);
    weight(n, "far", DIMS(1)); /* some places lie outside of the picture */
    node(n, "Div", "g,far", "grid");
    ow_attr_text(&n->attrs, "padding_mode", k->padding);
    ow_attr_int(&n->attrs, "align_corners", k->align);
    node(n, "GridSample", "x,grid", "y");
}

static void samples_of_pictures(void **state)
{
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    (void)state;
    for (int i = 0; i < 6; i++) {
        const sample_case k = {paddings[i / 2], i % 2, {2, 3, 5, 7}, {2, 9, 11, 2}};
        const sample_case one = {paddings[i / 2], i % 2, {1, 2, 1, 1}, {1, 3, 3, 2}};
        compare(sample, &k, 2e-5);
        compare(sample, &one, 2e-5);
    }
}

typedef struct region_case {
    const char *mode;
    int64_t ratio;
} region_case;

static void align_regions(net *n, const void *what)
{
    const region_case *k = what;
    const int64_t batch[] = {0, 1, 0, 1}, count = 4;
    const double corners[] = {0, 0, 7, 5, 1.5, 2.25, 1.5, 2.25, -3, -2, 12, 9, 3, 1, 20, 2.5};
    float narrow[NND_COUNT(corners)];
    for (size_t i = 0; i < NND_COUNT(corners); i++)
        narrow[i] = (float)corners[i];
    input(n, "x", DIMS(2, 70, 6, 8));
    ow_initializer(&n->graph, "r", n->wide ? OW_F64 : OW_F32, 2, (int64_t[]){4, 4},
                   n->wide ? (const void *)corners : narrow,
                   n->wide ? sizeof(corners) : sizeof(narrow));
    ow_initializer(&n->graph, "b", OW_I64, 1, &count, batch, sizeof(batch));
    ow_attr_text(&n->attrs, "mode", k->mode);
    ow_attr_int(&n->attrs, "output_height", 3);
    ow_attr_int(&n->attrs, "output_width", 5);
    ow_attr_int(&n->attrs, "sampling_ratio", k->ratio);
    node(n, "RoiAlign", "x,r,b", "y");
}

static void regions_of_pictures(void **state)
{
    static const region_case cases[] = {{"avg", 0}, {"avg", 2}, {"max", 2}};
    (void)state;
    for (size_t i = 0; i < NND_COUNT(cases); i++)
        compare(align_regions, &cases[i], 1e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normalisations),
        cmocka_unit_test(batch_normalisations),
        cmocka_unit_test(reductions),
        cmocka_unit_test(convolutions_of_volumes),
        cmocka_unit_test(convolutions_with_given_weights),
        cmocka_unit_test(pools_of_volumes),
        cmocka_unit_test(sums_of_products),
        cmocka_unit_test(softmax_over_any_axis),
        cmocka_unit_test(elements_by_index),
        cmocka_unit_test(samples_of_pictures),
        cmocka_unit_test(regions_of_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
