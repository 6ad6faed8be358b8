/* Values as JSON, npy, packed bytes and previews; failing allocations in all of it. */
#include "data/samples.h"

#include <math.h>

#include "support/oom.h"

static char *json_of(const nnd_value *v)
{
    nnd_json_writer *w;
    char *text;
    assert_ok(nnd_json_writer_create(0, &w));
    assert_ok(nnd_value_to_json(v, w));
    assert_ok(nnd_json_writer_take(w, &text, NULL));
    nnd_json_writer_destroy(w);
    return text;
}

static nnd_status from_text(const char *text, const char *type, nnd_value **out)
{
    nnd_json_doc *doc;
    assert_ok(nnd_json_parse(text, strlen(text), NULL, &doc));
    nnd_status status = nnd_value_from_json(nnd_json_root(doc), type, out);
    nnd_json_destroy(doc);
    return status;
}

/* ---- JSON ---- */

static void test_json_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        nnd_value *v, *back;
        assert_ok(sample_make(i, &v));
        char *text = json_of(v);
        const char *type = nnd_value_type_name(v);
        bool partial = nnd_value_image(v) || nnd_value_audio(v) || nnd_value_mask(v) ||
                       nnd_value_is(v, "gap") || nnd_value_is(v, "list") ||
                       nnd_value_is(v, "record");
        if (!partial) {
            assert_ok(from_text(text, type, &back));
            char *again = json_of(back);
            assert_string_equal(text, again);
            nnd_free(again);
            nnd_value_unref(back);
        }
        nnd_free(text);
        nnd_value_unref(v);
    }
}

static void test_json_scalars_and_any(void **state)
{
    (void)state;
    nnd_value *v;
    int64_t i;
    double f;
    assert_ok(from_text("7", "any", &v));
    assert_true(nnd_value_is(v, "int"));
    nnd_value_unref(v);
    assert_ok(from_text("7", "float", &v));
    assert_true(nnd_value_as_float(v, &f) && f == 7.0 && nnd_value_is(v, "float"));
    nnd_value_unref(v);
    assert_ok(from_text("7.5", "int|float", &v));
    assert_true(nnd_value_is(v, "float"));
    nnd_value_unref(v);
    assert_status(from_text("7.5", "int", &v), NND_E_TYPE);
    assert_status(from_text("null", "any", &v), NND_E_TYPE);
    assert_status(from_text("1", "image", &v), NND_E_UNSUPPORTED);
    assert_ok(from_text("{\"a\": [1, \"x\", true]}", "any", &v));
    nnd_value *list = nnd_value_record_get(v, "a");
    assert_int_equal(nnd_value_list_count(list), 3);
    assert_true(nnd_value_as_int(nnd_value_list_at(list, 0), &i) && i == 1);
    assert_string_equal(nnd_value_text(nnd_value_list_at(list, 1))->text, "x");
    nnd_value_unref(v);
    assert_ok(from_text("[[1], []]", "list<list<float>>", &v));
    assert_true(nnd_value_is(nnd_value_list_at(nnd_value_list_at(v, 0), 0), "float"));
    nnd_value_unref(v);
    assert_ok(from_text("\"9223372036854775807\"", "int", &v));
    assert_true(nnd_value_as_int(v, &i) && i == INT64_MAX);
    nnd_value_unref(v);
}

static void test_json_tensors(void **state)
{
    (void)state;
    nnd_value *v;
    char text[64];
    assert_ok(from_text("[[1, 2, 3], [4, 5, null]]", "tensor", &v));
    const nnd_tensor *t = nnd_value_tensor(v);
    assert_string_equal(nnd_tensor_describe(t, text, sizeof(text)), "f32[2,3]");
    assert_true(((float *)t->data)[4] == 5.0f && isnan(((float *)t->data)[5]));
    nnd_value_unref(v);
    assert_ok(from_text("3", "tensor", &v));
    assert_int_equal(nnd_value_tensor(v)->rank, 0);
    nnd_value_unref(v);
    assert_ok(from_text("[[], []]", "tensor", &v));
    assert_int_equal(nnd_tensor_count(nnd_value_tensor(v)), 0);
    nnd_value_unref(v);
    assert_status(from_text("[[1, 2], [3]]", "tensor", &v), NND_E_SHAPE);
    assert_status(from_text("[[1, 2], 3]", "tensor", &v), NND_E_SHAPE);
    assert_status(from_text("[1, \"x\"]", "tensor", &v), NND_E_TYPE);
    assert_status(from_text("[[[[[[[[[1]]]]]]]]]", "tensor", &v), NND_E_SHAPE);
    nnd_error *error = nnd_error_take();
    assert_int_equal(nnd_error_line(error), 1);
    nnd_error_destroy(error);
    assert_status(from_text("{\"dtype\": \"u8\", \"shape\": [3], \"data\": [1]}", "tensor", &v),
                  NND_E_SHAPE);
    assert_status(from_text("{\"dtype\": \"what\", \"shape\": [], \"data\": [1]}", "tensor", &v),
                  NND_E_TYPE);
    const int64_t dims[] = {2000};
    assert_ok(nnd_value_new_tensor(NND_U8, 1, dims, &v));
    memset(nnd_value_tensor(v)->data, 3, 2000);
    char *json = json_of(v);
    assert_string_equal(json, "{\"dtype\":\"u8\",\"shape\":[2000],\"min\":3,\"max\":3,\"mean\":3}");
    nnd_free(json);
    nnd_value_unref(v);
}

static void test_json_refuses_malformed_payloads(void **state)
{
    (void)state;
    static const struct {
        const char *text, *type;
    } cases[] = {
        {"{\"items\": [{\"box\": [1, 2, 3]}]}", "detections"},
        {"{\"items\": [7]}", "detections"},
        {"{\"items\": [{\"box\": [1,2,3,4], \"class\": \"x\"}]}", "detections"},
        {"{\"items\": 7}", "detections"},
        {"[{\"class\": 1}]", "classes"},
        {"{\"matrix\": [1, 2, 3]}", "geometry"},
        {"{\"source_width\": -4, \"items\": []}", "keypoints"},
        {"\"abc\"", "bytes"},
        {"\"a*c=\"", "bytes"},
    };
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        nnd_value *v;
        assert_int_not_equal(from_text(cases[i].text, cases[i].type, &v), NND_OK);
    }
}

/* ---- npy ---- */

static void test_npy_both_ways(void **state)
{
    (void)state;
    for (int dtype = 1; dtype < NND_DTYPE_COUNT; dtype++) {
        nnd_value *v, *back;
        void *bytes;
        size_t size;
        if (dtype == NND_STRING) continue;
        assert_ok(sample_tensor((nnd_dtype)dtype, &v));
        nnd_status status = nnd_npy_write(nnd_value_tensor(v), &bytes, &size);
        bool unknown =
            nnd_dtype_bits((nnd_dtype)dtype) < 8 || (dtype >= NND_BF16 && dtype <= NND_F4E2M1);
        if (unknown) {
            assert_status(status, NND_E_UNSUPPORTED);
        } else {
            assert_ok(status);
            assert_int_equal((size - nnd_tensor_bytes(nnd_value_tensor(v))) % 64, 0);
            assert_ok(nnd_npy_parse(bytes, size, &back));
            assert_same_value(v, back);
            for (size_t cut = 0; cut < size; cut++) {
                nnd_value *none;
                assert_int_not_equal(nnd_npy_parse(bytes, cut, &none), NND_OK);
            }
            nnd_free(bytes);
            nnd_value_unref(back);
        }
        nnd_value_unref(v);
    }
}

/* A version 1 file from a header text and elements. */
static nnd_status parse_npy(const char *header, const void *data, size_t size, nnd_value **out)
{
    unsigned char file[1024];
    size_t length = strlen(header);
    memcpy(file, "\x93NUMPY\1\0", 8);
    file[8] = (unsigned char)length;
    file[9] = (unsigned char)(length >> 8);
    memcpy(file + 10, header, length);
    memcpy(file + 10 + length, data, size);
    return nnd_npy_parse(file, 10 + length + size, out);
}

static void test_npy_orders(void **state)
{
    (void)state;
    nnd_value *v;
    static const unsigned char big[] = {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6};
    assert_ok(
        parse_npy("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }\n", big, 12, &v));
    const int16_t *data = nnd_value_tensor(v)->data;
    static const int16_t expected[] = {1, 3, 5, 2, 4, 6}; /* columns were stored first */
    assert_memory_equal(data, expected, sizeof(expected));
    nnd_value_unref(v);
    static const unsigned char complex_big[] = {0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0};
    assert_ok(
        parse_npy("{\"shape\":(),\"descr\":\">c8\",\"fortran_order\":False}", complex_big, 8, &v));
    const float *c = nnd_value_tensor(v)->data;
    assert_true(c[0] == 1.0f && c[1] == -2.0f);
    nnd_value_unref(v);
}

static void test_npy_hostile_headers(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "",
        "{",
        "{}",
        "{'descr': '<f4'}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (1,1,1,1,1,1,1,1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} trailing",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<U8', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4",
    };
    for (size_t i = 0; i < NND_COUNT(headers); i++) {
        nnd_value *v;
        assert_int_not_equal(parse_npy(headers[i], "\0\0\0\0\0\0\0\0", 8, &v), NND_OK);
    }
    nnd_value *v;
    assert_status(nnd_npy_parse("\x93NUMPY\4\0\0\0\0\0", 12, &v), NND_E_UNSUPPORTED);
    assert_status(nnd_npy_parse("\x93NUMPY\2\0\377\377\377\177", 12, &v), NND_E_LIMIT);
    assert_status(nnd_npy_parse("PK\3\4 no npy at all", 16, &v), NND_E_FORMAT);
}

/* ---- packing ---- */

static void test_pack_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        nnd_value *v, *back;
        void *bytes;
        size_t size;
        nnd_header h = {.pts = -5,
                        .wall = 6,
                        .stream = 7,
                        .epoch = 8,
                        .sequence = 9,
                        .group_parent = 10,
                        .group_index = -11,
                        .flags = NND_VALUE_LAST};
        assert_ok(sample_make(i, &v));
        assert_ok(nnd_value_set_header(v, &h));
        assert_ok(nnd_value_pack(v, &bytes, &size));
        assert_ok(nnd_value_unpack(bytes, size, &back));
        assert_memory_equal(nnd_value_header(v), nnd_value_header(back), sizeof(h));
        assert_same_value(v, back);
        nnd_value_unref(back);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_not_equal(nnd_value_unpack(bytes, cut, &back), NND_OK);
        nnd_free(bytes);
        nnd_value_unref(v);
    }
}

/* Every single changed byte gives a value or an error, never a fault; what is accepted can be
   used. */
static void test_unpack_survives_changes(void **state)
{
    (void)state;
    static const unsigned char changes[] = {0x01, 0x80, 0xff, 0x7f};
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        nnd_value *v;
        void *packed;
        size_t size;
        assert_ok(sample_make(i, &v));
        assert_ok(nnd_value_pack(v, &packed, &size));
        unsigned char *bytes = packed;
        for (size_t k = 0; k < size * NND_COUNT(changes); k++) {
            nnd_value *back, *picture;
            bytes[k / NND_COUNT(changes)] ^= changes[k % NND_COUNT(changes)];
            if (nnd_value_unpack(bytes, size, &back) == NND_OK) {
                if (nnd_value_preview(back, &picture) == NND_OK) nnd_value_unref(picture);
                nnd_value_unref(back);
            }
            bytes[k / NND_COUNT(changes)] ^= changes[k % NND_COUNT(changes)];
        }
        nnd_free(packed);
        nnd_value_unref(v);
    }
}

static void test_pack_of_a_cut_out_leaves_the_rest_behind(void **state)
{
    (void)state;
    nnd_value *base, *crop, *back;
    void *bytes;
    size_t size;
    assert_ok(nnd_value_new_image(NND_PIX_GRAY, NND_U8, 1000, 1000, &base));
    nnd_image view = *nnd_value_image(base);
    memset(view.data[0], 0x5a, 1000 * 1000);
    view.width = view.height = 10;
    assert_ok(nnd_value_from_image(&view, &crop));
    assert_ok(nnd_value_pack(crop, &bytes, &size));
    assert_true(size < 1000);
    assert_ok(nnd_value_unpack(bytes, size, &back));
    assert_int_equal(nnd_value_image(back)->width, 10);
    nnd_free(bytes);
    nnd_value_unref(back);
    nnd_value_unref(crop);
    nnd_value_unref(base);
}

/* ---- previews ---- */

static void test_previews(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        nnd_value *v, *shown;
        assert_ok(sample_make(i, &v));
        assert_ok(nnd_value_preview(v, &shown));
        const nnd_image *image = nnd_value_image(shown);
        const nnd_text *text = nnd_value_text(shown);
        assert_true(image || text);
        if (image) assert_true(image->width <= 512 && image->height <= 512);
        if (text) assert_true(text->size > 0 && text->size < 8192);
        nnd_value_unref(shown);
        nnd_value_unref(v);
    }
}

static void test_preview_colours(void **state)
{
    (void)state;
    nnd_value *v, *shown;
    assert_ok(nnd_value_new_image(NND_PIX_NV12, NND_U8, 2, 2, &v));
    uint8_t *p = nnd_value_image(v)->data[0];
    memset(p, 235, 4); /* white of the limited range */
    p[4] = p[5] = 128;
    assert_ok(nnd_value_preview(v, &shown));
    for (int i = 0; i < 12; i++)
        assert_int_equal(nnd_value_image(shown)->data[0][i], 255);
    nnd_value_unref(shown);
    nnd_value_unref(v);
    assert_ok(nnd_value_new_image(NND_PIX_BGR, NND_U8, 1000, 4, &v));
    memset(nnd_value_image(v)->data[0], 0, 12000);
    for (int i = 0; i < 4000; i++)
        nnd_value_image(v)->data[0][3 * i] = 200; /* blue */
    assert_ok(nnd_value_preview(v, &shown));
    assert_int_equal(nnd_value_image(shown)->width, 512);
    assert_int_equal(nnd_value_image(shown)->height, 2);
    assert_int_equal(nnd_value_image(shown)->data[0][0], 0);
    assert_int_equal(nnd_value_image(shown)->data[0][2], 200);
    nnd_value_unref(shown);
    nnd_value_unref(v);
}

/* ---- without memory ---- */

/* All that can be done with a sample, as far as the memory goes. */
static nnd_status exercise(size_t index)
{
    nnd_value *v, *copy = NULL, *back = NULL, *shown = NULL;
    void *bytes = NULL;
    size_t size;
    NND_TRY(sample_make(index, &v));
    nnd_status status = nnd_value_writable(nnd_value_ref(v), &copy);
    if (status == NND_OK) status = nnd_value_pack(copy, &bytes, &size);
    if (status == NND_OK) status = nnd_value_unpack(bytes, size, &back);
    if (status == NND_OK) status = nnd_value_preview(back, &shown);
    nnd_free(bytes);
    nnd_value_unref(shown);
    nnd_value_unref(back);
    nnd_value_unref(copy);
    nnd_value_unref(v);
    return status;
}

static void test_failing_allocations(void **state)
{
    (void)state;
    oom_begin();
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        bool was_hit = true;
        long n = 0;
        for (; was_hit; n++) {
            oom_fail_after(n);
            nnd_status status = exercise(i);
            was_hit = oom_hit();
            oom_never();
            nnd_error_clear();
            assert_int_equal(status, was_hit ? NND_E_OUT_OF_MEMORY : NND_OK);
            assert_int_equal(oom_live_blocks(), 0);
        }
        assert_true(n > 2);
    }
    oom_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_both_ways),
        cmocka_unit_test(test_json_scalars_and_any),
        cmocka_unit_test(test_json_tensors),
        cmocka_unit_test(test_json_refuses_malformed_payloads),
        cmocka_unit_test(test_npy_both_ways),
        cmocka_unit_test(test_npy_orders),
        cmocka_unit_test(test_npy_hostile_headers),
        cmocka_unit_test(test_pack_both_ways),
        cmocka_unit_test(test_unpack_survives_changes),
        cmocka_unit_test(test_pack_of_a_cut_out_leaves_the_rest_behind),
        cmocka_unit_test(test_previews),
        cmocka_unit_test(test_preview_colours),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
