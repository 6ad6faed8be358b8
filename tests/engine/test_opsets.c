/* Older forms of operators, which the official cases (always the newest opset) do not show. */
#include "engine_support.h"
#include "onnx_writer.h"

typedef struct setup {
    nnd_str graph, attrs;
    int64_t opset;
    int rank;
    const int64_t *dims;
    float x[64];
} setup;

static setup begin(int64_t opset, int rank, const int64_t *dims)
{
    setup s = {.opset = opset, .rank = rank, .dims = dims};
    ow_value(&s.graph, OW_INPUT, "x", OW_F32, rank, dims, NULL);
    for (size_t i = 0; i < NND_COUNT(s.x); i++)
        s.x[i] = (float)i - 4.0f;
    return s;
}

static void add_f32(setup *s, const char *name, int rank, const int64_t *dims, const float *v,
                    size_t n)
{
    ow_initializer(&s->graph, name, OW_F32, rank, dims, v, n * sizeof(*v));
}

/* Adds the node x[,more] → y, runs the model and compares shape and elements. */
static void expect(setup *s, const char *type, const char *inputs, int rank, const int64_t *dims,
                   const float *want)
{
    nnd_str model = {0};
    nnd_engine_model *m;
    nnd_engine_request *r;
    nnd_tensor x, y;
    ow_node(&s->graph, type, inputs, "y", &s->attrs);
    ow_value(&s->graph, OW_OUTPUT, "y", OW_F32, 0, NULL, NULL);
    ow_model(&model, &s->graph, s->opset);
    assert_ok(nnd_engine_model_load_memory(model.data, model.size, NULL, &m));
    assert_ok(nnd_engine_request_create(m, &r));
    assert_ok(nnd_tensor_init(&x, NND_F32, s->rank, s->dims, s->x));
    assert_ok(nnd_engine_request_bind_input(r, 0, &x));
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    assert_ok(nnd_engine_request_output(r, 0, &y));
    assert_int_equal(y.rank, rank);
    for (int i = 0; i < rank; i++)
        assert_int_equal(y.dims[i], dims[i]);
    for (int64_t i = 0; i < nnd_tensor_count(&y); i++)
        assert_true(fabsf(((float *)y.data)[i] - want[i]) < 1e-5f);
    nnd_engine_request_destroy(r);
    nnd_engine_model_unref(m);
    nnd_str_free(&model);
}

static void attr_float(nnd_str *attrs, const char *name, float v)
{
    nnd_str a = {0};
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    ow_text(&a, 1, name);
    ow_varint(&a, 2u << 3 | 5);
    nnd_str_add_n(&a, (const char *)&bits, sizeof(bits));
    ow_int(&a, 20, 1);
    ow_message(attrs, 5, &a);
}

static void softmax_before_13_takes_the_rest_of_the_shape(void **state)
{
    (void)state;
    const int64_t dims[3] = {1, 2, 2};
    setup s = begin(11, 3, dims);
    memset(s.x, 0, sizeof(s.x));
    ow_attr_int(&s.attrs, "axis", 1);
    expect(&s, "Softmax", "x", 3, dims, (float[]){0.25f, 0.25f, 0.25f, 0.25f});
    s = begin(13, 3, dims);
    memset(s.x, 0, sizeof(s.x));
    ow_attr_int(&s.attrs, "axis", 1);
    expect(&s, "Softmax", "x", 3, dims, (float[]){0.5f, 0.5f, 0.5f, 0.5f});
}

static void clip_before_11_has_attributes(void **state)
{
    (void)state;
    const int64_t dims[1] = {6};
    setup s = begin(6, 1, dims);
    attr_float(&s.attrs, "min", -2.0f);
    attr_float(&s.attrs, "max", 0.5f);
    expect(&s, "Clip", "x", 1, dims, (float[]){-2, -2, -2, -1, 0, 0.5f});
}

static void slice_before_10_has_attributes(void **state)
{
    (void)state;
    const int64_t dims[2] = {2, 4}, starts[1] = {-3}, ends[1] = {1000}, axes[1] = {1},
                  out[2] = {2, 3};
    setup s = begin(9, 2, dims);
    ow_attr_ints(&s.attrs, "starts", starts, 1);
    ow_attr_ints(&s.attrs, "ends", ends, 1);
    ow_attr_ints(&s.attrs, "axes", axes, 1);
    expect(&s, "Slice", "x", 2, out, (float[]){-3, -2, -1, 1, 2, 3});
}

static void squeeze_and_unsqueeze_before_13_have_attributes(void **state)
{
    (void)state;
    const int64_t dims[3] = {1, 2, 1}, axes[1] = {0}, squeezed[2] = {2, 1}, more[4] = {1, 1, 2, 1};
    setup s = begin(11, 3, dims);
    ow_attr_ints(&s.attrs, "axes", axes, 1);
    expect(&s, "Squeeze", "x", 2, squeezed, (float[]){-4, -3});
    s = begin(11, 3, dims);
    ow_attr_ints(&s.attrs, "axes", axes, 1);
    expect(&s, "Unsqueeze", "x", 4, more, (float[]){-4, -3});
}

static void reduce_axes_were_attributes(void **state)
{
    (void)state;
    const int64_t dims[2] = {2, 3}, axes[1] = {-1}, out[1] = {2};
    setup s = begin(11, 2, dims);
    ow_attr_ints(&s.attrs, "axes", axes, 1);
    ow_attr_int(&s.attrs, "keepdims", 0);
    expect(&s, "ReduceSum", "x", 1, out, (float[]){-9, 0});
}

static void pad_before_11_has_attributes(void **state)
{
    (void)state;
    const int64_t dims[1] = {2}, pads[2] = {1, 2}, out[1] = {5};
    setup s = begin(2, 1, dims);
    ow_attr_ints(&s.attrs, "pads", pads, 2);
    attr_float(&s.attrs, "value", 7.0f);
    expect(&s, "Pad", "x", 1, out, (float[]){7, -4, -3, 7, 7});
}

static void upsample_and_resize_10_take_scales_second(void **state)
{
    (void)state;
    const int64_t dims[4] = {1, 1, 1, 2}, out[4] = {1, 1, 2, 4}, four[1] = {4};
    const float scales[4] = {1, 1, 2, 2}, want[8] = {-4, -4, -3, -3, -4, -4, -3, -3};
    setup s = begin(9, 4, dims);
    add_f32(&s, "s", 1, four, scales, 4);
    expect(&s, "Upsample", "x,s", 4, out, want);
    s = begin(10, 4, dims);
    add_f32(&s, "s", 1, four, scales, 4);
    expect(&s, "Resize", "x,s", 4, out, want);
}

/* (o + 0.5) / scale: over 3 columns made 7 of, sources 0.2 0.6 1.07 1.5 1.9 2.4 2.8; over 7 made
   3 of, 1.2 3.5 5.8. What tf2onnx writes for a nearest resize. */
static void resize_11_knows_the_pixels_of_tensorflow(void **state)
{
    (void)state;
    const int64_t narrow[2] = {1, 3}, wide[2] = {1, 7}, two[1] = {2}, none[1] = {0};
    const float seven[7] = {-4, -4, -3, -3, -3, -2, -2}, three[3] = {-3, -1, 1};
    for (int grow = 0; grow < 2; grow++) {
        const int64_t *from = grow ? narrow : wide, *to = grow ? wide : narrow;
        setup s = begin(11, 2, from);
        add_f32(&s, "none", 1, none, NULL, 0);
        ow_initializer(&s.graph, "sizes", OW_I64, 1, two, to, 2 * sizeof(*to));
        ow_attr_text(&s.attrs, "coordinate_transformation_mode", "tf_half_pixel_for_nn");
        ow_attr_text(&s.attrs, "mode", "nearest");
        ow_attr_text(&s.attrs, "nearest_mode", "floor");
        expect(&s, "Resize", "x,none,none,sizes", 2, to, grow ? seven : three);
    }
}

/* ONNX Runtime's tools fuse it into models of any opset. */
static void layer_normalization_is_older_than_17(void **state)
{
    (void)state;
    const int64_t dims[2] = {2, 2}, two[1] = {2};
    setup s = begin(11, 2, dims);
    add_f32(&s, "scale", 1, two, (float[]){2, 3}, 2);
    add_f32(&s, "bias", 1, two, (float[]){0, 10}, 2);
    attr_float(&s.attrs, "epsilon", 0);
    expect(&s, "LayerNormalization", "x,scale,bias", 2, dims, (float[]){-2, 13, -2, 13});
}

static void the_old_broadcast_names_an_axis(void **state)
{
    (void)state;
    const int64_t dims[3] = {1, 2, 2}, two[1] = {2};
    setup s = begin(6, 3, dims);
    add_f32(&s, "b", 1, two, (float[]){10, 20}, 2);
    ow_attr_int(&s.attrs, "broadcast", 1);
    ow_attr_int(&s.attrs, "axis", 1);
    expect(&s, "Add", "x,b", 3, dims, (float[]){6, 7, 18, 19});
}

static void reshape_5_and_1_agree(void **state)
{
    (void)state;
    const int64_t dims[2] = {2, 3}, shape[2] = {0, -1}, out[2] = {2, 3}, two[1] = {2};
    const float want[6] = {-4, -3, -2, -1, 0, 1};
    setup s = begin(1, 2, dims);
    ow_attr_ints(&s.attrs, "shape", shape, 2);
    expect(&s, "Reshape", "x", 2, out, want);
    s = begin(5, 2, dims);
    ow_initializer(&s.graph, "s", OW_I64, 1, two, shape, sizeof(shape));
    expect(&s, "Reshape", "x,s", 2, out, want);
}

static void an_operator_newer_than_the_opset_is_refused(void **state)
{
    (void)state;
    const int64_t dims[1] = {2};
    nnd_str model = {0};
    nnd_engine_model *m;
    setup s = begin(13, 1, dims);
    ow_node(&s.graph, "Mish", "x", "y", NULL);
    ow_value(&s.graph, OW_OUTPUT, "y", OW_F32, 1, dims, NULL);
    ow_model(&model, &s.graph, 13);
    assert_status(nnd_engine_model_load_memory(model.data, model.size, NULL, &m),
                  NND_E_UNSUPPORTED);
    nnd_error *e = nnd_error_take();
    assert_non_null(strstr(nnd_error_message(e), "not in this opset version"));
    nnd_error_destroy(e);
    nnd_str_free(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_before_13_takes_the_rest_of_the_shape),
        cmocka_unit_test(clip_before_11_has_attributes),
        cmocka_unit_test(slice_before_10_has_attributes),
        cmocka_unit_test(squeeze_and_unsqueeze_before_13_have_attributes),
        cmocka_unit_test(reduce_axes_were_attributes),
        cmocka_unit_test(pad_before_11_has_attributes),
        cmocka_unit_test(upsample_and_resize_10_take_scales_second),
        cmocka_unit_test(resize_11_knows_the_pixels_of_tensorflow),
        cmocka_unit_test(layer_normalization_is_older_than_17),
        cmocka_unit_test(the_old_broadcast_names_an_axis),
        cmocka_unit_test(reshape_5_and_1_agree),
        cmocka_unit_test(an_operator_newer_than_the_opset_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
