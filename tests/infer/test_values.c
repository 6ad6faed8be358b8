/* Values that are no tensors at the ports of a model, and values in ONNX's stored form. */
#include "infer_support.h"

enum { STRING = 8 };

static nnd_value *vector(nnd_dtype dtype, int64_t count)
{
    nnd_value *v;
    assert_ok(nnd_value_new_tensor(dtype, 1, &count, &v));
    return v;
}

static nnd_value *map_of(nnd_value *take_keys, nnd_value *take_values)
{
    nnd_value *map;
    assert_ok(nnd_value_new_record(&map));
    if (take_keys) assert_ok(nnd_value_record_set(map, "keys", take_keys));
    if (take_values) assert_ok(nnd_value_record_set(map, "values", take_values));
    nnd_value_unref(take_keys);
    nnd_value_unref(take_values);
    return map;
}

/* The TypeProto of map(string → f32), in sequences around it. */
static void map_port(nnd_str *graph, uint32_t field, const char *name, int sequences)
{
    nnd_str info = {0}, type = {0}, map = {0}, inner = {0}, tensor = {0};
    ow_int(&tensor, 1, OW_F32);
    ow_message(&inner, 1, &tensor);
    ow_int(&map, 1, STRING);
    ow_message(&map, 2, &inner);
    ow_message(&type, 5, &map);
    for (int i = 0; i < sequences; i++) {
        ow_message(&inner, 1, &type);
        ow_message(&type, 4, &inner);
    }
    ow_text(&info, 1, name);
    ow_message(&info, 2, &type);
    ow_message(graph, field, &info);
}

/* x[n,2] → ZipMap; and a map → DictVectorizer. */
static nnd_model *map_model(nnd_str *bytes)
{
    static const char *const symbols[] = {"n", NULL};
    nnd_str graph = {0}, attrs = {0};
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    nnd_model *model;
    ow_value(&graph, OW_INPUT, "x", OW_F32, 2, (int64_t[]){-1, 2}, symbols);
    map_port(&graph, OW_INPUT, "m", 0);
    ow_attr_texts(&attrs, "classlabels_strings", "a,b");
    ow_node_of(&graph, "ai.onnx.ml", "ZipMap", "x", "maps", &attrs);
    ow_attr_texts(&attrs, "string_vocabulary", "b,a");
    ow_node_of(&graph, "ai.onnx.ml", "DictVectorizer", "m", "v", &attrs);
    map_port(&graph, OW_OUTPUT, "maps", 1);
    ow_value(&graph, OW_OUTPUT, "v", OW_F32, -1, NULL, NULL);
    ow_model(bytes, &graph, 17);
    options.backend = "builtin";
    assert_ok(nnd_model_load_memory(bytes->data, bytes->size, &options, &model));
    return model;
}

static void ports_say_their_kind(void **state)
{
    nnd_str bytes = {0};
    (void)state;
    nnd_model *model = map_model(&bytes);
    const nnd_model_port *m = nnd_model_input(model, 1), *maps = nnd_model_output(model, 0);
    assert_int_equal(m->kind, NND_PORT_MAP);
    assert_int_equal(m->key, NND_STRING);
    assert_int_equal(m->dtype, NND_F32);
    assert_int_equal(maps->kind, NND_PORT_SEQUENCE);
    assert_int_equal(maps->element, NND_PORT_MAP);
    nnd_model_unref(model);
    nnd_str_free(&bytes);
}

static void maps_are_checked_and_come_back(void **state)
{
    nnd_str bytes = {0};
    nnd_request *request;
    nnd_value *x, *maps, *v, *wrong[5];
    (void)state;
    nnd_model *model = map_model(&bytes);
    assert_ok(nnd_request_create(model, NULL, &request));
    assert_ok(nnd_value_new_tensor(NND_F32, 2, (int64_t[]){1, 2}, &x));
    ((float *)nnd_value_tensor(x)->data)[0] = 3;
    ((float *)nnd_value_tensor(x)->data)[1] = 4;
    assert_ok(nnd_request_bind_input(request, "x", x));
    wrong[0] = nnd_value_ref(x);
    wrong[1] = map_of(NULL, NULL);
    wrong[2] = map_of(vector(NND_I64, 2), vector(NND_F32, 2));
    wrong[3] = map_of(vector(NND_STRING, 2), vector(NND_F64, 2));
    wrong[4] = map_of(vector(NND_STRING, 2), vector(NND_F32, 3));
    for (size_t i = 0; i < NND_COUNT(wrong); i++) {
        assert_status(nnd_request_bind_input(request, "m", wrong[i]), NND_E_TYPE);
        nnd_value_unref(wrong[i]);
    }
    nnd_value *empty = map_of(vector(NND_STRING, 0), vector(NND_F32, 0));
    assert_ok(nnd_request_bind_input(request, "m", empty));
    assert_ok(nnd_request_run(request, NULL));
    assert_ok(nnd_request_output(request, "maps", &maps));
    assert_ok(nnd_request_bind_input(request, "m", nnd_value_list_at(maps, 0)));
    assert_ok(nnd_request_run(request, NULL));
    assert_ok(nnd_request_output(request, "v", &v));
    const float *values = nnd_value_tensor(v)->data;
    assert_true(values[0] == 4 && values[1] == 3);
    assert_status(nnd_request_bind_output(request, "maps", x), NND_E_UNSUPPORTED);
    nnd_value_unref(empty);
    nnd_value_unref(maps);
    nnd_value_unref(v);
    nnd_value_unref(x);
    nnd_request_destroy(request);
    nnd_model_unref(model);
    nnd_str_free(&bytes);
}

/* ---- stored values -------------------------------------------------------------------------- */

static nnd_value *parse(const nnd_str *bytes, nnd_port_kind kind, bool optional, nnd_status want)
{
    nnd_model_port port = {.size = sizeof port, .kind = kind, .optional = optional, .rank = -1};
    nnd_value *value = NULL;
    nnd_status status = nnd_value_from_onnx(bytes->data, bytes->size, &port, &value);
    assert_int_equal(status, want);
    nnd_error_clear();
    return value;
}

static void stored_values_are_read(void **state)
{
    nnd_str tensor = {0}, list = {0}, map = {0}, optional = {0}, empty = {0};
    const float x[2] = {1, 2};
    (void)state;
    for (int i = 0; i < 2; i++) {
        ow_tensor(&tensor, "", OW_F32, 0, NULL, &x[i], sizeof x[i]);
        ow_message(&list, 3, &tensor);
    }
    ow_int(&map, 3, 7);
    ow_int(&map, 3, 9);
    nnd_str_add_n(&optional, list.data, list.size);
    ow_message(&map, 5, &optional);
    nnd_value *v = parse(&list, NND_PORT_SEQUENCE, false, NND_OK);
    assert_int_equal(nnd_value_list_count(v), 2);
    nnd_value_unref(v);
    v = parse(&map, NND_PORT_MAP, false, NND_OK);
    const nnd_tensor *keys = nnd_value_tensor(nnd_value_record_get(v, "keys"));
    const nnd_tensor *values = nnd_value_tensor(nnd_value_record_get(v, "values"));
    assert_true(((const int64_t *)keys->data)[1] == 9 && ((const float *)values->data)[1] == 2);
    nnd_value_unref(v);
    ow_int(&map, 3, 11); /* a key without a value */
    parse(&map, NND_PORT_MAP, false, NND_E_FORMAT);
    nnd_str_add_n(&tensor, list.data, list.size);
    ow_message(&optional, 5, &tensor);
    v = parse(&optional, NND_PORT_SEQUENCE, true, NND_OK);
    assert_int_equal(nnd_value_list_count(v), 2);
    nnd_value_unref(v);
    ow_int(&empty, 2, 1);
    v = parse(&empty, NND_PORT_TENSOR, true, NND_OK);
    assert_true(nnd_value_is(v, "gap"));
    nnd_value_unref(v);
    for (size_t cut = 1; cut < list.size; cut++) { /* no piece of it reads beyond its end */
        nnd_str piece = {.data = list.data, .size = cut};
        nnd_model_port port = {.size = sizeof port, .kind = NND_PORT_SEQUENCE, .rank = -1};
        v = NULL;
        (void)!nnd_value_from_onnx(piece.data, piece.size, &port, &v);
        nnd_value_unref(v);
    }
    nnd_error_clear();
    nnd_str_free(&list);
    nnd_str_free(&map);
    nnd_str_free(&optional);
    nnd_str_free(&empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_say_their_kind),
        cmocka_unit_test(maps_are_checked_and_come_back),
        cmocka_unit_test(stored_values_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
