/* Values that are no tensors through engine.h: sequences, optionals, maps and strings at the border
   of a request, in loops and scans; their limits; what the host's hooks do. */
#include "engine/hooks.h"
#include "engine_support.h"
#include "onnx_writer.h"

enum { OW_STRING = 8 };

/* ---- models and values ---------------------------------------------------------------------- */

/* A value of type sequence(tensor(elem)); wrap 9: optional of it. */
static void ow_sequence(nnd_str *graph, uint32_t field, const char *name, int elem, int wrap)
{
    nnd_str info = {0}, type = {0}, inner = {0}, tensor = {0}, outer = {0};
    ow_int(&tensor, 1, (uint64_t)elem);
    ow_message(&inner, 1, &tensor); /* TypeProto of the tensor */
    ow_message(&type, 1, &inner);   /* Sequence.elem_type */
    ow_message(&outer, 4, &type);
    if (wrap) {
        ow_message(&type, 1, &outer); /* Optional.elem_type */
        ow_message(&outer, (uint32_t)wrap, &type);
    }
    ow_text(&info, 1, name);
    ow_message(&info, 2, &outer);
    ow_message(graph, field, &info);
}

static nnd_engine_request *request_for(nnd_str *graph, int64_t opset, uint64_t limit)
{
    nnd_str bytes = {0};
    nnd_engine_model *model;
    nnd_engine_request *request;
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    options.max_arena_bytes = limit;
    ow_model(&bytes, graph, opset);
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    nnd_buffer *buffer;
    desc.bytes = bytes.size;
    assert_ok(nnd_buffer_create(&desc, &buffer));
    memcpy(nnd_buffer_data(buffer), bytes.data, bytes.size);
    nnd_str_free(&bytes);
    nnd_status status = nnd_engine_model_load(buffer, &options, &model);
    nnd_buffer_unref(buffer);
    if (status != NND_OK) report_error("load");
    assert_int_equal(status, NND_OK);
    assert_ok(nnd_engine_request_create(model, &request));
    nnd_engine_model_unref(model);
    return request;
}

static nnd_value *f32_vector(int64_t count, float first)
{
    nnd_value *v;
    assert_ok(nnd_value_new_tensor(NND_F32, 1, &count, &v));
    for (int64_t i = 0; i < count; i++)
        ((float *)nnd_value_tensor(v)->data)[i] = first + (float)i;
    return v;
}

static nnd_value *i64_scalar(int64_t x)
{
    nnd_value *v;
    assert_ok(nnd_value_new_tensor(NND_I64, 0, NULL, &v));
    *(int64_t *)nnd_value_tensor(v)->data = x;
    return v;
}

static nnd_value *texts(const char *const *list, size_t count)
{
    nnd_value *v;
    int64_t n = (int64_t)count;
    assert_ok(nnd_value_new_tensor(NND_STRING, 1, &n, &v));
    for (size_t i = 0; i < count; i++)
        assert_ok(nnd_value_set_string(v, i, list[i], strlen(list[i])));
    return v;
}

static void bind(nnd_engine_request *r, size_t index, nnd_value *take)
{
    assert_ok(nnd_engine_request_bind_value(r, index, take));
    nnd_value_unref(take);
}

static nnd_value *result(nnd_engine_request *r, size_t index)
{
    nnd_value *v;
    assert_ok(nnd_engine_request_output_value(r, index, &v));
    return v;
}

static float f32_at(const nnd_value *tensor, size_t i)
{
    assert_int_equal(nnd_value_tensor(tensor)->dtype, NND_F32);
    return ((const float *)nnd_value_tensor(tensor)->data)[i];
}

static const char *text_at(const nnd_value *tensor, size_t i)
{
    assert_int_equal(nnd_value_tensor(tensor)->dtype, NND_STRING);
    return ((const nnd_string *)nnd_value_tensor(tensor)->data)[i].text;
}

/* ---- sequences ------------------------------------------------------------------------------ */

static void sequences_cross_the_border(void **state)
{
    nnd_str graph = {0};
    (void)state;
    ow_sequence(&graph, OW_INPUT, "s", OW_F32, 0);
    ow_value(&graph, OW_INPUT, "x", OW_F32, -1, NULL, NULL);
    ow_value(&graph, OW_INPUT, "at", OW_I64, 0, NULL, NULL);
    ow_node(&graph, "SequenceInsert", "s,x,at", "longer", NULL);
    ow_node(&graph, "SequenceErase", "longer,at", "same", NULL);
    ow_node(&graph, "SequenceLength", "longer", "n", NULL);
    ow_node(&graph, "Identity", "s", "again", NULL);
    ow_sequence(&graph, OW_OUTPUT, "longer", OW_F32, 0);
    ow_sequence(&graph, OW_OUTPUT, "same", OW_F32, 0);
    ow_value(&graph, OW_OUTPUT, "n", OW_I64, 0, NULL, NULL);
    ow_sequence(&graph, OW_OUTPUT, "again", OW_F32, 0);
    nnd_engine_request *r = request_for(&graph, 17, 0);
    nnd_value *items[2] = {f32_vector(2, 10), f32_vector(3, 20)}, *list;
    assert_ok(nnd_value_new_list(items, 2, &list));
    assert_ok(nnd_engine_request_bind_value(r, 0, list));
    bind(r, 1, f32_vector(1, 30));
    for (int64_t at = -2; at <= 2; at++) {
        size_t place = (size_t)(at < 0 ? at + 2 : at);
        bind(r, 2, i64_scalar(at));
        assert_ok(nnd_engine_request_run(r, 1, NULL));
        nnd_value *longer = result(r, 0), *n = result(r, 2), *again = result(r, 3);
        assert_int_equal(nnd_value_list_count(longer), 3);
        assert_int_equal(*(const int64_t *)nnd_value_tensor(n)->data, 3);
        assert_true(f32_at(nnd_value_list_at(longer, place), 0) == 30);
        assert_int_equal(nnd_value_list_count(again), 2);
        assert_ptr_equal(nnd_value_list_at(again, 0), items[0]); /* handed on, not copied */
        nnd_value_unref(longer);
        nnd_value_unref(n);
        nnd_value_unref(again);
    }
    bind(r, 2, i64_scalar(3));
    assert_int_equal(nnd_engine_request_run(r, 1, NULL), NND_E_SHAPE);
    assert_int_equal(nnd_engine_request_bind_value(r, 0, items[0]), NND_E_TYPE);
    assert_int_equal(nnd_engine_request_bind_value(r, 1, list), NND_E_TYPE);
    nnd_value_unref(list);
    nnd_value_unref(items[0]);
    nnd_value_unref(items[1]);
    nnd_engine_request_destroy(r);
}

/* A loop that appends x to a sequence n times; y is the number of its items. */
static nnd_engine_request *growing(uint64_t limit)
{
    nnd_str graph = {0}, body = {0}, attrs = {0};
    ow_value(&graph, OW_INPUT, "n", OW_I64, 0, NULL, NULL);
    ow_value(&graph, OW_INPUT, "x", OW_F32, -1, NULL, NULL);
    ow_node(&graph, "SequenceEmpty", "", "empty", NULL);
    ow_value(&body, OW_INPUT, "i", OW_I64, 0, NULL, NULL);
    ow_value(&body, OW_INPUT, "go", OW_BOOL, 0, NULL, NULL);
    ow_sequence(&body, OW_INPUT, "before", OW_F32, 0);
    ow_node(&body, "SequenceInsert", "before,x", "after", NULL);
    ow_node(&body, "Identity", "go", "on", NULL);
    ow_value(&body, OW_OUTPUT, "on", OW_BOOL, 0, NULL, NULL);
    ow_sequence(&body, OW_OUTPUT, "after", OW_F32, 0);
    ow_attr_graph(&attrs, "body", &body);
    ow_node(&graph, "Loop", "n,,empty", "all", &attrs);
    ow_node(&graph, "SequenceLength", "all", "y", NULL);
    ow_attr_int(&attrs, "axis", 0);
    ow_node(&graph, "ConcatFromSequence", "all", "joined", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", OW_I64, 0, NULL, NULL);
    ow_value(&graph, OW_OUTPUT, "joined", OW_F32, -1, NULL, NULL);
    return request_for(&graph, 17, limit);
}

static void loops_carry_sequences(void **state)
{
    (void)state;
    nnd_engine_request *r = growing(0);
    for (int64_t n = 1; n < 20; n += 6) {
        bind(r, 0, i64_scalar(n));
        bind(r, 1, f32_vector(3, 1));
        assert_ok(nnd_engine_request_run(r, 2, NULL));
        nnd_value *y = result(r, 0), *joined = result(r, 1);
        assert_int_equal(*(const int64_t *)nnd_value_tensor(y)->data, n);
        assert_int_equal(nnd_value_tensor(joined)->dims[0], 3 * n);
        assert_true(f32_at(joined, (size_t)(3 * n - 1)) == 3);
        nnd_value_unref(y);
        nnd_value_unref(joined);
    }
    nnd_engine_request_destroy(r);
}

/* A model cannot make a sequence grow without end, and a run that failed leaves nothing behind. */
static void sequences_are_bounded(void **state)
{
    (void)state;
    nnd_engine_request *r = growing(64 * 1024);
    bind(r, 0, i64_scalar(INT64_MAX));
    bind(r, 1, f32_vector(256, 1));
    assert_int_equal(nnd_engine_request_run(r, 1, NULL), NND_E_LIMIT);
    bind(r, 0, i64_scalar(2));
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    nnd_engine_request_destroy(r);
}

static void tensors_only_is_said(void **state)
{
    nnd_str graph = {0};
    (void)state;
    ow_sequence(&graph, OW_INPUT, "s", OW_F32, 0);
    ow_node(&graph, "Neg", "s", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, -1, NULL, NULL);
    nnd_engine_request *r = request_for(&graph, 17, 0);
    nnd_value *list;
    assert_ok(nnd_value_new_list(NULL, 0, &list));
    bind(r, 0, list);
    assert_int_equal(nnd_engine_request_run(r, 1, NULL), NND_E_TYPE);
    nnd_engine_request_destroy(r);
}

static void optionals_may_be_empty(void **state)
{
    nnd_str graph = {0};
    (void)state;
    ow_sequence(&graph, OW_INPUT, "o", OW_F32, 9);
    ow_node(&graph, "OptionalHasElement", "o", "has", NULL);
    ow_node(&graph, "Identity", "o", "again", NULL);
    ow_value(&graph, OW_OUTPUT, "has", OW_BOOL, 0, NULL, NULL);
    ow_sequence(&graph, OW_OUTPUT, "again", OW_F32, 9);
    nnd_engine_request *r = request_for(&graph, 18, 0);
    for (int full = 0; full < 2; full++) {
        nnd_value *list;
        assert_ok(nnd_value_new_list(NULL, 0, &list));
        if (full) assert_ok(nnd_engine_request_bind_value(r, 0, list));
        nnd_value_unref(list);
        assert_ok(nnd_engine_request_run(r, 1, NULL));
        nnd_value *has = result(r, 0), *again = result(r, 1);
        assert_int_equal(*(const uint8_t *)nnd_value_tensor(has)->data, full);
        assert_string_equal(nnd_value_type_name(again), full ? "list" : "gap");
        nnd_value_unref(has);
        nnd_value_unref(again);
    }
    nnd_engine_request_destroy(r);
}

/* ---- Scan ----------------------------------------------------------------------------------- */

/* Running sums of x[2,T,3] along axis 1, from the end, stacked along the last axis from the end. */
static void scans_take_axes_and_directions(void **state)
{
    enum { A = 2, T = 4, B = 3 };
    nnd_str graph = {0}, body = {0}, attrs = {0};
    const int64_t one = 1, minus_one = -1, dims[3] = {A, T, B}, state_dims[2] = {A, B};
    (void)state;
    ow_value(&graph, OW_INPUT, "start", OW_F32, 2, state_dims, NULL);
    ow_value(&graph, OW_INPUT, "x", OW_F32, 3, dims, NULL);
    ow_value(&body, OW_INPUT, "sum", OW_F32, -1, NULL, NULL);
    ow_value(&body, OW_INPUT, "piece", OW_F32, -1, NULL, NULL);
    ow_node(&body, "Add", "sum,piece", "next", NULL);
    ow_node(&body, "Identity", "next", "seen", NULL);
    ow_value(&body, OW_OUTPUT, "next", OW_F32, -1, NULL, NULL);
    ow_value(&body, OW_OUTPUT, "seen", OW_F32, -1, NULL, NULL);
    ow_attr_graph(&attrs, "body", &body);
    ow_attr_int(&attrs, "num_scan_inputs", 1);
    ow_attr_ints(&attrs, "scan_input_axes", &one, 1);
    ow_attr_ints(&attrs, "scan_input_directions", &one, 1);
    ow_attr_ints(&attrs, "scan_output_axes", &minus_one, 1);
    ow_attr_ints(&attrs, "scan_output_directions", &one, 1);
    ow_node(&graph, "Scan", "start,x", "final,all", &attrs);
    ow_value(&graph, OW_OUTPUT, "final", OW_F32, -1, NULL, NULL);
    ow_value(&graph, OW_OUTPUT, "all", OW_F32, -1, NULL, NULL);
    nnd_engine_request *r = request_for(&graph, 16, 0);
    float x[A][T][B], start[A][B] = {{0}};
    nnd_tensor t;
    for (size_t i = 0; i < A * T * B; i++)
        (&x[0][0][0])[i] = (float)((i * 7) % 11);
    assert_ok(nnd_tensor_init(&t, NND_F32, 2, state_dims, start));
    assert_ok(nnd_engine_request_bind_input(r, 0, &t));
    assert_ok(nnd_tensor_init(&t, NND_F32, 3, dims, x));
    assert_ok(nnd_engine_request_bind_input(r, 1, &t));
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    nnd_value *final = result(r, 0), *all = result(r, 1);
    assert_int_equal(nnd_value_tensor(all)->dims[2], T);
    for (size_t a = 0; a < A; a++)
        for (size_t b = 0; b < B; b++) {
            float sum = 0;
            for (size_t k = 0; k < T; k++) {
                sum += x[a][T - 1 - k][b]; /* iteration k lies at T − 1 − k of the result */
                assert_true(f32_at(all, (a * B + b) * T + T - 1 - k) == sum);
            }
            assert_true(f32_at(final, a * B + b) == sum);
        }
    nnd_value_unref(final);
    nnd_value_unref(all);
    nnd_engine_request_destroy(r);
}

/* Opset 8: entries of a batch have lengths of their own, the rest is zero. */
static void batches_have_lengths(void **state)
{
    enum { N = 2, T = 3 };
    nnd_str graph = {0}, body = {0}, attrs = {0};
    const int64_t n = N, nt[2] = {N, T}, lengths[N] = {3, 1};
    (void)state;
    ow_initializer(&graph, "lengths", OW_I64, 1, &n, lengths, sizeof(lengths));
    ow_value(&graph, OW_INPUT, "start", OW_F32, 1, &n, NULL);
    ow_value(&graph, OW_INPUT, "x", OW_F32, 2, nt, NULL);
    ow_value(&body, OW_INPUT, "sum", OW_F32, -1, NULL, NULL);
    ow_value(&body, OW_INPUT, "piece", OW_F32, -1, NULL, NULL);
    ow_node(&body, "Add", "sum,piece", "next", NULL);
    ow_node(&body, "Identity", "next", "seen", NULL);
    ow_value(&body, OW_OUTPUT, "next", OW_F32, -1, NULL, NULL);
    ow_value(&body, OW_OUTPUT, "seen", OW_F32, -1, NULL, NULL);
    ow_attr_graph(&attrs, "body", &body);
    ow_attr_int(&attrs, "num_scan_inputs", 1);
    ow_node(&graph, "Scan", "lengths,start,x", "final,all", &attrs);
    ow_value(&graph, OW_OUTPUT, "final", OW_F32, -1, NULL, NULL);
    ow_value(&graph, OW_OUTPUT, "all", OW_F32, -1, NULL, NULL);
    nnd_engine_request *r = request_for(&graph, 8, 0);
    float x[N * T] = {1, 2, 3, 4, 5, 6}, start[N] = {0, 10};
    const float final_wanted[N] = {6, 14}, all_wanted[N * T] = {1, 3, 6, 14, 0, 0};
    nnd_tensor t;
    assert_ok(nnd_tensor_init(&t, NND_F32, 1, &n, start));
    assert_ok(nnd_engine_request_bind_input(r, 0, &t));
    assert_ok(nnd_tensor_init(&t, NND_F32, 2, nt, x));
    assert_ok(nnd_engine_request_bind_input(r, 1, &t));
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    nnd_value *final = result(r, 0), *all = result(r, 1);
    for (size_t i = 0; i < N; i++)
        assert_true(f32_at(final, i) == final_wanted[i]);
    for (size_t i = 0; i < N * T; i++)
        assert_true(f32_at(all, i) == all_wanted[i]);
    nnd_value_unref(final);
    nnd_value_unref(all);
    nnd_engine_request_destroy(r);
}

/* ---- strings and maps ----------------------------------------------------------------------- */

/* Results keep their texts when the inputs, the request and the model are gone. */
static void texts_outlive_the_request(void **state)
{
    static const char *const words[] = {"Ärger", "b c", ""};
    const int64_t three = 3;
    nnd_str graph = {0}, attrs = {0};
    (void)state;
    ow_value(&graph, OW_INPUT, "x", OW_STRING, 1, &three, NULL);
    ow_node(&graph, "StringConcat", "x,x", "twice", NULL);
    ow_node(&graph, "Identity", "x", "same", NULL);
    ow_node(&graph, "SequenceConstruct", "x,twice", "both", NULL);
    ow_attr_text(&attrs, "case_change_action", "LOWER");
    ow_attr_texts(&attrs, "stopwords", "B C");
    ow_node(&graph, "StringNormalizer", "x", "lower", &attrs);
    ow_value(&graph, OW_OUTPUT, "twice", OW_STRING, 1, &three, NULL);
    ow_value(&graph, OW_OUTPUT, "same", OW_STRING, 1, &three, NULL);
    ow_sequence(&graph, OW_OUTPUT, "both", OW_STRING, 0);
    ow_value(&graph, OW_OUTPUT, "lower", OW_STRING, -1, NULL, NULL);
    nnd_engine_request *r = request_for(&graph, 20, 0);
    bind(r, 0, texts(words, 3));
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    nnd_value *twice = result(r, 0), *same = result(r, 1), *both = result(r, 2),
              *lower = result(r, 3);
    nnd_engine_request_destroy(r);
    assert_string_equal(text_at(twice, 0), "ÄrgerÄrger");
    assert_string_equal(text_at(same, 1), "b c");
    assert_string_equal(text_at(same, 2), "");
    assert_string_equal(text_at(nnd_value_list_at(both, 1), 1), "b cb c");
    assert_int_equal(nnd_value_tensor(lower)->dims[0], 2); /* "b c" is a stop word */
    assert_string_equal(text_at(lower, 0), "ärger");
    nnd_value_unref(twice);
    nnd_value_unref(same);
    nnd_value_unref(both);
    nnd_value_unref(lower);
}

static void maps_come_and_go(void **state)
{
    const int64_t dims[2] = {2, 3};
    nnd_str graph = {0}, attrs = {0};
    (void)state;
    ow_value(&graph, OW_INPUT, "x", OW_F32, 2, dims, NULL);
    ow_attr_texts(&attrs, "classlabels_strings", "a,b,c");
    ow_node_of(&graph, "ai.onnx.ml", "ZipMap", "x", "maps", &attrs);
    ow_sequence(&graph, OW_OUTPUT, "maps", OW_F32, 0);
    nnd_engine_request *r = request_for(&graph, 17, 0);
    float x[6] = {1, 2, 3, 4, 5, 6};
    nnd_tensor t;
    assert_ok(nnd_tensor_init(&t, NND_F32, 2, dims, x));
    assert_ok(nnd_engine_request_bind_input(r, 0, &t));
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    nnd_value *maps = result(r, 0);
    nnd_engine_request_destroy(r);
    assert_int_equal(nnd_value_list_count(maps), 2);
    const nnd_value *second = nnd_value_list_at(maps, 1);
    assert_string_equal(text_at(nnd_value_record_get(second, "keys"), 2), "c");
    assert_true(f32_at(nnd_value_record_get(second, "values"), 2) == 6);

    /* Back: a map's values in the order of a vocabulary. */
    nnd_str info = {0}, type = {0}, map = {0}, inner = {0}, tensor = {0};
    ow_int(&tensor, 1, OW_F32);
    ow_message(&inner, 1, &tensor);
    ow_int(&map, 1, OW_STRING);
    ow_message(&map, 2, &inner);
    ow_message(&type, 5, &map);
    ow_text(&info, 1, "m");
    ow_message(&info, 2, &type);
    ow_message(&graph, OW_INPUT, &info);
    ow_attr_texts(&attrs, "string_vocabulary", "c,nobody,a");
    ow_node_of(&graph, "ai.onnx.ml", "DictVectorizer", "m", "y", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, -1, NULL, NULL);
    r = request_for(&graph, 17, 0);
    assert_ok(nnd_engine_request_bind_value(r, 0, nnd_value_list_at(maps, 0)));
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    nnd_value *y = result(r, 0);
    assert_int_equal(nnd_value_tensor(y)->dims[1], 3);
    assert_true(f32_at(y, 0) == 3 && f32_at(y, 1) == 0 && f32_at(y, 2) == 1);
    nnd_value_unref(y);
    nnd_value_unref(maps);
    nnd_engine_request_destroy(r);
}

static void categories_go_both_ways(void **state)
{
    static const char *const words[] = {"two", "nobody", "one"};
    const int64_t three = 3, ints[2] = {1, 2};
    nnd_str graph = {0}, attrs = {0};
    (void)state;
    ow_value(&graph, OW_INPUT, "x", OW_STRING, 1, &three, NULL);
    for (int way = 0; way < 2; way++) {
        ow_attr_texts(&attrs, "cats_strings", "one,two");
        ow_attr_ints(&attrs, "cats_int64s", ints, 2);
        ow_node_of(&graph, "ai.onnx.ml", "CategoryMapper", way ? "n" : "x", way ? "y" : "n",
                   &attrs);
    }
    ow_value(&graph, OW_OUTPUT, "n", OW_I64, 1, &three, NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_STRING, 1, &three, NULL);
    nnd_engine_request *r = request_for(&graph, 17, 0);
    bind(r, 0, texts(words, 3));
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    nnd_value *n = result(r, 0), *y = result(r, 1);
    const int64_t *numbers = nnd_value_tensor(n)->data;
    assert_true(numbers[0] == 2 && numbers[1] == -1 && numbers[2] == 1);
    assert_string_equal(text_at(y, 0), "two");
    assert_string_equal(text_at(y, 1), "_Unused");
    nnd_value_unref(n);
    nnd_value_unref(y);
    nnd_engine_request_destroy(r);
}

/* ---- hooks ---------------------------------------------------------------------------------- */

static nnd_status match(void *user, const char *pattern, const nnd_string *list, size_t count,
                        bool *matches)
{
    (*(int *)user)++;
    for (size_t i = 0; i < count; i++)
        matches[i] =
            list[i].size == strlen(pattern) && !memcmp(list[i].text, pattern, list[i].size);
    return NND_OK;
}

static nnd_status decode(void *user, const void *bytes, size_t size, const char *pixel_format,
                         nnd_value **out)
{
    (*(int *)user)++;
    assert_string_equal(pixel_format, "Grayscale");
    if (size != 2) return nnd_error_set(NND_E_FORMAT, "no picture");
    NND_TRY(nnd_value_new_tensor(NND_U8, 3, (int64_t[]){1, 2, 1}, out));
    memcpy(nnd_value_tensor(*out)->data, bytes, size);
    return NND_OK;
}

/* Runs of small letters, whatever the pattern is. */
static nnd_status find_words(void *user, const char *pattern, const nnd_string *list, size_t count,
                             nnd_status (*found)(void *to, size_t i, size_t begin, size_t end),
                             void *to)
{
    (*(int *)user)++;
    assert_string_equal(pattern, "[a-z]+");
    for (size_t i = 0; i < count; i++) {
        size_t begin = 0;
        for (size_t at = 0; at <= list[i].size; at++) {
            if (at < list[i].size && list[i].text[at] >= 'a' && list[i].text[at] <= 'z') continue;
            if (at > begin) NND_TRY(found(to, i, begin, at));
            begin = at + 1;
        }
    }
    return NND_OK;
}

/* Runs Tokenizer with these attributes, which are emptied, on three texts; `wanted` has the rows of
   tokens, each row behind a bar. */
static nnd_status tokens_are(nnd_str *attrs, const char *wanted)
{
    static const char *const lines[] = {"a bc, d", "", "\xc3\x84rger e,f"};
    const int64_t three = 3;
    nnd_str graph = {0}, got = {0};
    ow_attr_text(attrs, "pad_value", "#");
    ow_value(&graph, OW_INPUT, "x", OW_STRING, 1, &three, NULL);
    ow_node_of(&graph, "com.microsoft", "Tokenizer", "x", "y", attrs);
    ow_value(&graph, OW_OUTPUT, "y", OW_STRING, -1, NULL, NULL);
    nnd_engine_request *r = request_for(&graph, 20, 0);
    bind(r, 0, texts(lines, 3));
    const nnd_status status = nnd_engine_request_run(r, 1, NULL);
    if (status == NND_OK) {
        nnd_value *y = result(r, 0);
        const nnd_tensor *t = nnd_value_tensor(y);
        assert_int_equal(t->rank, 2);
        assert_int_equal(t->dims[0], 3);
        for (int64_t i = 0; i < nnd_tensor_count(t); i++)
            nnd_str_printf(&got, "%s%s", i % t->dims[1] ? " " : "|", text_at(y, (size_t)i));
        assert_string_equal(got.data ? got.data : "", wanted);
        nnd_value_unref(y);
    }
    nnd_str_free(&got);
    nnd_engine_request_destroy(r);
    return status;
}

static void texts_become_tokens(void **state)
{
    nnd_str attrs = {0};
    int calls = 0;
    (void)state;
    ow_attr_texts(&attrs, "separators", " ");
    assert_ok(tokens_are(&attrs, "|a bc, d|# # #|\xc3\x84rger e,f #"));
    ow_attr_text_list(&attrs, "separators", (const char *[]){", ", " ", ","}, 3);
    ow_attr_int(&attrs, "mincharnum", 2);
    assert_ok(tokens_are(&attrs, "|bc|#|\xc3\x84rger"));
    ow_attr_text_list(&attrs, "separators", (const char *[]){","}, 1);
    ow_attr_int(&attrs, "mark", 1);
    assert_ok(tokens_are(&attrs, "|\x02 a bc  d \x03|\x02 \x03 # #|\x02 \xc3\x84rger e f \x03"));
    ow_attr_text_list(&attrs, "separators", (const char *[]){""}, 1);
    assert_ok(tokens_are(&attrs, "|a   b c ,   d # #|# # # # # # # # #|\xc3\x84 r g e r   e , f"));
    ow_attr_text(&attrs, "tokenexp", ".");
    ow_attr_int(&attrs, "mincharnum", 2);
    assert_status(tokens_are(&attrs, ""), NND_E_FORMAT);

    /* Patterns are the host's. */
    ow_attr_text(&attrs, "tokenexp", "[a-z]+");
    assert_status(tokens_are(&attrs, ""), NND_E_UNSUPPORTED);
    nnd_engine_set_hooks(&(nnd_engine_hooks){&calls, NULL, NULL, find_words});
    ow_attr_text(&attrs, "tokenexp", "[a-z]+");
    assert_ok(tokens_are(&attrs, "|a bc d|# # #|rger e f"));
    ow_attr_text_list(&attrs, "separators", (const char *[]){"[a-z]+"}, 1);
    assert_ok(tokens_are(&attrs, "|  ,  #|# # #|\xc3\x84   ,"));
    nnd_engine_set_hooks(NULL);
    assert_int_equal(calls, 2);

    /* What makes no sense. */
    assert_status(tokens_are(&attrs, ""), NND_E_FORMAT);
    ow_attr_text(&attrs, "tokenexp", "a");
    ow_attr_text_list(&attrs, "separators", (const char *[]){"b"}, 1);
    assert_status(tokens_are(&attrs, ""), NND_E_FORMAT);
    ow_attr_text_list(&attrs, "separators", (const char *[]){"b"}, 1);
    ow_attr_int(&attrs, "mincharnum", 0);
    assert_status(tokens_are(&attrs, ""), NND_E_FORMAT);
}

static void hooks_do_the_rest(void **state)
{
    static const char *const words[] = {"yes", "no"};
    const int64_t two = 2;
    int calls = 0;
    uint8_t file[2] = {7, 9};
    nnd_tensor t;
    nnd_str graph = {0}, attrs = {0};
    (void)state;
    ow_value(&graph, OW_INPUT, "x", OW_STRING, 1, &two, NULL);
    ow_value(&graph, OW_INPUT, "file", OW_U8, 1, &two, NULL);
    ow_attr_text(&attrs, "pattern", "no");
    ow_node(&graph, "RegexFullMatch", "x", "y", &attrs);
    ow_attr_text(&attrs, "pixel_format", "Grayscale");
    ow_node(&graph, "ImageDecoder", "file", "picture", &attrs);
    ow_value(&graph, OW_OUTPUT, "y", OW_BOOL, 1, &two, NULL);
    ow_value(&graph, OW_OUTPUT, "picture", OW_U8, -1, NULL, NULL);
    nnd_engine_request *r = request_for(&graph, 20, 0);
    bind(r, 0, texts(words, 2));
    assert_ok(nnd_tensor_init(&t, NND_U8, 1, &two, file));
    assert_ok(nnd_engine_request_bind_input(r, 1, &t));
    assert_int_equal(nnd_engine_request_run(r, 1, NULL), NND_E_UNSUPPORTED);
    nnd_engine_set_hooks(&(nnd_engine_hooks){&calls, decode, match, NULL});
    assert_ok(nnd_engine_request_run(r, 1, NULL));
    nnd_engine_set_hooks(NULL);
    assert_int_equal(calls, 2);
    nnd_value *y = result(r, 0), *picture = result(r, 1);
    const uint8_t *yes = nnd_value_tensor(y)->data, *pixels = nnd_value_tensor(picture)->data;
    assert_true(yes[0] == 0 && yes[1] == 1 && pixels[0] == 7 && pixels[1] == 9);
    nnd_value_unref(y);
    nnd_value_unref(picture);
    nnd_engine_request_destroy(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_cross_the_border),
        cmocka_unit_test(loops_carry_sequences),
        cmocka_unit_test(sequences_are_bounded),
        cmocka_unit_test(tensors_only_is_said),
        cmocka_unit_test(optionals_may_be_empty),
        cmocka_unit_test(scans_take_axes_and_directions),
        cmocka_unit_test(batches_have_lengths),
        cmocka_unit_test(texts_outlive_the_request),
        cmocka_unit_test(maps_come_and_go),
        cmocka_unit_test(categories_go_both_ways),
        cmocka_unit_test(texts_become_tokens),
        cmocka_unit_test(hooks_do_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
