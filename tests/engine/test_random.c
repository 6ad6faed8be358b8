/* Random operators: the published numbers of the generator, what the draws look like, and that
   neither threads nor runs change them. */
#include "engine_support.h"
#include "onnx_writer.h"

enum { F64 = 11, COUNT = 200000 };

typedef struct drawn {
    nnd_engine_model *model;
    nnd_engine_request *request;
    nnd_tensor y;
} drawn;

/* A model of one node without operands; its result is "y". */
static nnd_engine_model *fill_model(const char *type, int64_t count, const char *a, float a_value,
                                    const char *b, float b_value, const float *seed)
{
    nnd_str graph = {0}, attrs = {0}, model = {0};
    nnd_engine_model *m;
    ow_attr_ints(&attrs, "shape", &count, 1);
    ow_attr_int(&attrs, "dtype", F64);
    ow_attr_float(&attrs, a, a_value);
    ow_attr_float(&attrs, b, b_value);
    if (seed) ow_attr_float(&attrs, "seed", *seed);
    ow_node(&graph, type, "", "y", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", F64, 1, &count, NULL);
    ow_model(&model, &graph, 22);
    assert_ok(nnd_engine_model_load_memory(model.data, model.size, NULL, &m));
    nnd_str_free(&model);
    return m;
}

static drawn draw(nnd_engine_model *model, int threads)
{
    drawn d = {.model = model};
    assert_ok(nnd_engine_request_create(model, &d.request));
    assert_ok(nnd_engine_request_run(d.request, threads, NULL));
    assert_ok(nnd_engine_request_output(d.request, 0, &d.y));
    return d;
}

static void drop(drawn *d)
{
    nnd_engine_request_destroy(d->request);
    nnd_engine_model_unref(d->model);
}

static void moments(const nnd_tensor *t, double *mean, double *variance)
{
    size_t n = (size_t)nnd_tensor_count(t);
    *mean = *variance = 0;
    for (size_t i = 0; i < n; i++)
        *mean += nnd_dtype_get(t->dtype, t->data, i) / (double)n;
    for (size_t i = 0; i < n; i++) {
        double v = nnd_dtype_get(t->dtype, t->data, i) - *mean;
        *variance += v * v / (double)n;
    }
}

/* Philox4x32-10 of key 0 and counter 0, as its authors publish it. */
static void generator_is_the_published_one(void **state)
{
    static const uint32_t words[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    const float seed = 0;
    (void)state;
    drawn d = draw(fill_model("RandomUniform", 2, "low", 0, "high", 1, &seed), 1);
    for (size_t i = 0; i < 2; i++) {
        uint64_t bits = (uint64_t)words[2 * i] << 32 | words[2 * i + 1];
        assert_true(((const double *)d.y.data)[i] == (double)(bits >> 11) / 0x1p53);
    }
    drop(&d);
}

static void draws_have_their_distribution(void **state)
{
    double mean, variance;
    const float seed = 3;
    (void)state;
    drawn normal = draw(fill_model("RandomNormal", COUNT, "mean", 2, "scale", 3, &seed), 2);
    moments(&normal.y, &mean, &variance);
    assert_true(fabs(mean - 2) < 0.03 && fabs(variance - 9) < 0.15);
    drop(&normal);
    drawn uniform = draw(fill_model("RandomUniform", COUNT, "low", -1, "high", 5, &seed), 2);
    moments(&uniform.y, &mean, &variance);
    assert_true(fabs(mean - 2) < 0.03 && fabs(variance - 3) < 0.05);
    for (size_t i = 0; i < COUNT; i++) {
        double v = ((const double *)uniform.y.data)[i];
        assert_true(v >= -1 && v < 5);
    }
    drop(&uniform);
}

static bool same(const drawn *a, const drawn *b)
{
    return memcmp(a->y.data, b->y.data, nnd_tensor_bytes(&a->y)) == 0;
}

static void only_seeds_change_the_draws(void **state)
{
    const float seeds[2] = {1, 2};
    (void)state;
    drawn a = draw(fill_model("RandomNormal", COUNT, "mean", 0, "scale", 1, &seeds[0]), 1);
    drawn b = draw(fill_model("RandomNormal", COUNT, "mean", 0, "scale", 1, &seeds[0]), 4);
    drawn c = draw(fill_model("RandomNormal", COUNT, "mean", 0, "scale", 1, &seeds[1]), 1);
    drawn d = draw(fill_model("RandomNormal", COUNT, "mean", 0, "scale", 1, NULL), 1);
    assert_true(same(&a, &b) && !same(&a, &c) && !same(&a, &d) && !same(&c, &d));
    assert_ok(nnd_engine_request_run(b.request, 2, NULL));
    assert_ok(nnd_engine_request_output(b.request, 0, &b.y));
    assert_true(same(&a, &b));
    drawn *all[] = {&a, &b, &c, &d};
    for (size_t i = 0; i < NND_COUNT(all); i++)
        drop(all[i]);
}

/* Two nodes with one seed, one after the other: the second one draws other numbers. */
static void nodes_do_not_repeat_each_other(void **state)
{
    const int64_t count = 64;
    nnd_str graph = {0}, attrs = {0}, model = {0};
    nnd_engine_model *m;
    nnd_engine_request *r;
    nnd_tensor y[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        ow_attr_ints(&attrs, "shape", &count, 1);
        ow_attr_float(&attrs, "seed", 5);
        ow_node(&graph, "RandomUniform", "", i ? "y1" : "y0", &attrs);
        ow_value(&graph, OW_OUTPUT, i ? "y1" : "y0", OW_F32, 1, &count, NULL);
    }
    ow_model(&model, &graph, 22);
    assert_ok(nnd_engine_model_load_memory(model.data, model.size, NULL, &m));
    assert_ok(nnd_engine_request_create(m, &r));
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    for (size_t i = 0; i < 2; i++)
        assert_ok(nnd_engine_request_output(r, i, &y[i]));
    assert_true(memcmp(y[0].data, y[1].data, nnd_tensor_bytes(&y[0])) != 0);
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&model);
}

/* Multinomial of two rows; a class of weight 0 never comes. */
static void classes_come_as_often_as_they_should(void **state)
{
    enum { CLASSES = 3, SAMPLES = 30000 };
    static const float weights[2][CLASSES] = {{0.2f, 0.5f, 0.3f}, {0.75f, 0, 0.25f}};
    const int64_t in_dims[2] = {2, CLASSES}, out_dims[2] = {2, SAMPLES};
    float x[2][CLASSES];
    nnd_str graph = {0}, attrs = {0}, model = {0};
    nnd_engine_model *m;
    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < CLASSES; k++)
            x[i][k] = logf(weights[i][k]);
    ow_initializer(&graph, "x", OW_F32, 2, in_dims, x, sizeof x);
    ow_attr_int(&attrs, "sample_size", SAMPLES);
    ow_attr_int(&attrs, "dtype", OW_I64);
    ow_node(&graph, "Multinomial", "x", "y", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", OW_I64, 2, out_dims, NULL);
    ow_model(&model, &graph, 22);
    assert_ok(nnd_engine_model_load_memory(model.data, model.size, NULL, &m));
    drawn d = draw(m, 2);
    for (size_t i = 0; i < 2; i++) {
        size_t times[CLASSES] = {0};
        for (size_t k = 0; k < SAMPLES; k++) {
            int64_t class_index = ((const int64_t *)d.y.data)[i * SAMPLES + k];
            assert_true(class_index >= 0 && class_index < CLASSES);
            times[class_index]++;
        }
        for (size_t k = 0; k < CLASSES; k++)
            assert_true(fabs((double)times[k] / SAMPLES - (double)weights[i][k]) < 0.015);
        if (i == 1) assert_int_equal(times[1], 0);
    }
    drop(&d);
    nnd_str_free(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generator_is_the_published_one),
        cmocka_unit_test(draws_have_their_distribution),
        cmocka_unit_test(only_seeds_change_the_draws),
        cmocka_unit_test(nodes_do_not_repeat_each_other),
        cmocka_unit_test(classes_come_as_often_as_they_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
