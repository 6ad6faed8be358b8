/* Values: counting, headers, copies on write, types, containers. */
#include "data/samples.h"

#include "port/port.h"

static uint64_t copies(void)
{
    nnd_copy_stats stats;
    nnd_copy_get_stats(&stats);
    return stats.copies;
}

static void test_counting_and_defaults(void **state)
{
    (void)state;
    nnd_value *v;
    assert_ok(nnd_value_new_int(4, &v));
    const nnd_header *h = nnd_value_header(v);
    assert_true(h->pts == NND_NO_TIME && h->wall == NND_NO_TIME && h->sequence == 0);
    assert_true(h->group_parent == -1 && h->flags == 0);
    assert_int_equal(nnd_value_holders(v), 1);
    assert_ptr_equal(nnd_value_ref(v), v);
    assert_int_equal(nnd_value_holders(v), 2);
    assert_null(nnd_value_edit(v));
    nnd_value_unref(v);
    assert_non_null(nnd_value_edit(v));
    assert_null(nnd_value_ref(NULL));
    nnd_value_unref(NULL);
    assert_true(nnd_value_is(v, "int"));
    assert_false(nnd_value_is(NULL, "int"));
    assert_null(nnd_value_tensor(v));
    assert_null(nnd_value_payload(v, "float"));
    nnd_value_unref(v);
}

static void test_scalars_widen(void **state)
{
    (void)state;
    nnd_value *v;
    bool b;
    int64_t i;
    double f;
    assert_ok(nnd_value_new_bool(true, &v));
    assert_true(nnd_value_as_bool(v, &b) && b);
    assert_true(nnd_value_as_int(v, &i) && i == 1);
    assert_true(nnd_value_as_float(v, &f) && f == 1.0);
    nnd_value_unref(v);
    assert_ok(nnd_value_new_int(-3, &v));
    assert_false(nnd_value_as_bool(v, &b));
    assert_true(nnd_value_as_float(v, &f) && f == -3.0);
    nnd_value_unref(v);
    assert_ok(nnd_value_new_float(2.5, &v));
    assert_false(nnd_value_as_int(v, &i));
    nnd_value_unref(v);
    assert_false(nnd_value_as_float(NULL, &f));
}

static void test_writable_keeps_an_exclusive_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        nnd_value *v, *w;
        assert_ok(sample_make(i, &v));
        uint64_t before = copies();
        assert_ok(nnd_value_writable(v, &w));
        assert_ptr_equal(v, w);
        assert_true(copies() == before);
        nnd_value_unref(w);
    }
}

static void test_writable_copies_a_shared_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        nnd_value *v, *w;
        assert_ok(sample_make(i, &v));
        uint64_t before = copies();
        assert_ok(nnd_value_writable(nnd_value_ref(v), &w));
        assert_ptr_not_equal(v, w);
        bool bulk = nnd_value_buffer(v) != NULL;
        assert_int_equal(copies() - before, bulk ? 1 : 0);
        if (bulk) assert_ptr_not_equal(nnd_value_buffer(v), nnd_value_buffer(w));
        assert_int_equal(nnd_value_holders(v), 1);
        assert_same_value(v, w);
        nnd_value_unref(v);
        nnd_value_unref(w);
    }
}

static void test_writable_looks_at_the_buffer(void **state)
{
    (void)state;
    nnd_value *v, *w;
    assert_ok(sample_image(NND_PIX_RGB, NND_U8, &v));
    nnd_buffer *held = nnd_buffer_ref(nnd_value_buffer(v));
    assert_ok(nnd_value_writable(v, &w));
    assert_ptr_not_equal(nnd_value_buffer(w), held);
    assert_int_equal(nnd_buffer_holders(held), 1);
    nnd_buffer_unref(held);
    nnd_value_unref(w);
}

static void test_second_header_shares_the_payload(void **state)
{
    (void)state;
    nnd_value *v, *a, *b, *w;
    nnd_header h = {.pts = 100, .sequence = 7, .flags = NND_VALUE_KEY};
    assert_ok(sample_image(NND_PIX_RGB, NND_U8, &v));
    uint64_t before = copies();
    assert_ok(nnd_value_with_header(v, &h, &a));
    h.sequence = 8;
    assert_ok(nnd_value_with_header(a, &h, &b));
    assert_ptr_equal(nnd_value_image(a), nnd_value_image(v));
    assert_ptr_equal(nnd_value_image(b), nnd_value_image(v));
    assert_int_equal(nnd_value_header(a)->sequence, 7);
    assert_int_equal(nnd_value_header(v)->sequence, 0);
    assert_int_equal(nnd_value_holders(v), 3);
    assert_int_equal(nnd_value_holders(a), 3);
    assert_null(nnd_value_edit(a));
    assert_true(copies() == before);
    nnd_value_unref(v);
    nnd_value_unref(b);
    assert_int_equal(nnd_value_holders(a), 1);
    assert_ok(nnd_value_writable(a, &w)); /* alone again: nothing to copy */
    assert_ptr_equal(w, a);
    assert_non_null(nnd_value_edit(a));
    h.sequence = 9;
    assert_ok(nnd_value_set_header(a, &h));
    nnd_value_ref(a);
    assert_status(nnd_value_set_header(a, &h), NND_E_STATE);
    nnd_value_unref(a);
    nnd_value_unref(a);
}

static void test_gaps(void **state)
{
    (void)state;
    nnd_value *gap, *v;
    nnd_header h = {.sequence = 3};
    assert_ok(nnd_value_new_gap(&h, &gap));
    assert_string_equal(nnd_value_type_name(gap), "gap");
    assert_true(nnd_value_header(gap)->flags & NND_VALUE_GAP);
    assert_ok(nnd_value_set_header(gap, &h));
    assert_true(nnd_value_header(gap)->flags & NND_VALUE_GAP);
    nnd_value_unref(gap);
    assert_ok(nnd_value_new_int(1, &v));
    h.flags = NND_VALUE_GAP;
    assert_ok(nnd_value_set_header(v, &h));
    assert_true(nnd_value_is(v, "gap"));
    int64_t i;
    assert_false(nnd_value_as_int(v, &i));
    nnd_value_unref(v);
}

static void test_strided_clone_is_dense(void **state)
{
    (void)state;
    nnd_value *base, *crop, *copy;
    assert_ok(nnd_value_new_image(NND_PIX_RGB, NND_U8, 16, 8, &base));
    nnd_image view = *nnd_value_image(base);
    sample_fill(view.data[0], 16 * 8 * 3);
    view.data[0] += 3 * 4 + 2 * view.stride[0];
    view.width = 5;
    view.height = 3;
    assert_ok(nnd_value_from_image(&view, &crop));
    assert_ok(nnd_value_writable(nnd_value_ref(crop), &copy));
    const nnd_image *c = nnd_value_image(copy);
    assert_int_equal(c->stride[0], 15);
    for (int y = 0; y < 3; y++)
        assert_memory_equal(c->data[0] + 15 * y, view.data[0] + y * view.stride[0], 15);
    view.height = 7; /* beyond the end */
    nnd_value *bad;
    assert_status(nnd_value_from_image(&view, &bad), NND_E_INVALID_ARGUMENT);
    view.buffer = NULL;
    assert_status(nnd_value_from_image(&view, &bad), NND_E_INVALID_ARGUMENT);
    nnd_value_unref(copy);
    nnd_value_unref(crop);
    nnd_value_unref(base);
}

static void test_tensor_views_are_checked(void **state)
{
    (void)state;
    nnd_value *base, *v;
    const int64_t dims[] = {4, 6};
    assert_ok(nnd_value_new_tensor(NND_F32, 2, dims, &base));
    nnd_tensor t = *nnd_value_tensor(base);
    t.dims[1] = 3;
    t.data = (float *)t.data + 3;
    assert_ok(nnd_value_from_tensor(&t, &v));
    assert_int_equal(nnd_value_tensor(v)->offset, 12);
    assert_int_equal(nnd_buffer_holders(nnd_value_buffer(base)), 2);
    nnd_value_unref(v);
    t.dims[0] = 5;
    assert_status(nnd_value_from_tensor(&t, &v), NND_E_INVALID_ARGUMENT);
    t.dims[0] = 4;
    t.strides[0] = INT64_MAX / 2;
    assert_status(nnd_value_from_tensor(&t, &v), NND_E_INVALID_ARGUMENT);
    t.strides[0] = -6;
    assert_status(nnd_value_from_tensor(&t, &v), NND_E_INVALID_ARGUMENT);
    nnd_value_unref(base);
}

static void test_strings(void **state)
{
    (void)state;
    nnd_value *v, *w;
    assert_ok(sample_strings(&v));
    const nnd_string *s = nnd_value_tensor(v)->data;
    assert_string_equal(s[0].text, "first");
    assert_string_equal(s[1].text, "");
    assert_ok(nnd_value_set_string(v, 0, "a\0b", 3));
    assert_int_equal(s[0].size, 3);
    assert_status(nnd_value_set_string(v, 3, "x", 1), NND_E_INVALID_ARGUMENT);
    assert_ok(nnd_value_writable(nnd_value_ref(v), &w));
    const nnd_string *c = nnd_value_tensor(w)->data;
    assert_ptr_not_equal(c[0].text, s[0].text);
    assert_memory_equal(c[0].text, "a\0b", 4);
    nnd_value_ref(v);
    assert_status(nnd_value_set_string(v, 0, "x", 1), NND_E_STATE);
    nnd_value_unref(v);
    nnd_value_unref(v);
    nnd_value_unref(w);
    assert_ok(sample_tensor(NND_F32, &v));
    assert_status(nnd_value_set_string(v, 0, "x", 1), NND_E_TYPE);
    nnd_value_unref(v);
}

static void test_text_is_utf8(void **state)
{
    (void)state;
    nnd_value *v;
    assert_status(nnd_value_new_text("bad \xff", SIZE_MAX, &v), NND_E_FORMAT);
    assert_status(nnd_value_new_text("\xc3\xbc", 1, &v), NND_E_FORMAT);
    assert_ok(nnd_value_new_text("", 0, &v));
    assert_string_equal(nnd_value_text(v)->text, "");
    nnd_value_unref(v);
}

static void test_containers(void **state)
{
    (void)state;
    nnd_value *a, *b, *list, *record;
    assert_ok(nnd_value_new_int(1, &a));
    assert_ok(nnd_value_new_int(2, &b));
    nnd_value *items[] = {a, b};
    assert_ok(nnd_value_new_list(items, 2, &list));
    assert_int_equal(nnd_value_list_count(list), 2);
    assert_ptr_equal(nnd_value_list_at(list, 1), b);
    assert_null(nnd_value_list_at(list, 2));
    assert_int_equal(nnd_value_holders(a), 2);
    assert_ok(nnd_value_new_record(&record));
    assert_ok(nnd_value_record_set(record, "z", a));
    assert_ok(nnd_value_record_set(record, "y", b));
    assert_ok(nnd_value_record_set(record, "z", list));
    assert_int_equal(nnd_value_record_count(record), 2);
    assert_string_equal(nnd_value_record_name(record, 0), "z");
    assert_ptr_equal(nnd_value_record_get(record, "z"), list);
    assert_ptr_equal(nnd_value_record_at(record, 1), b);
    assert_null(nnd_value_record_get(record, "x"));
    assert_int_equal(nnd_value_holders(a), 2); /* the record let go of it */
    assert_status(nnd_value_record_set(record, "me", record), NND_E_INVALID_ARGUMENT);
    nnd_value_ref(record);
    assert_status(nnd_value_record_set(record, "y", a), NND_E_STATE);
    nnd_value_unref(record);
    nnd_value_unref(record);
    nnd_value_unref(list);
    assert_int_equal(nnd_value_holders(a), 1);
    nnd_value_unref(a);
    nnd_value_unref(b);
}

static void test_nesting_is_limited(void **state)
{
    (void)state;
    nnd_value *v, *outer = NULL;
    nnd_status status = NND_OK;
    int depth = 0;
    assert_ok(nnd_value_new_int(1, &v));
    while (depth < 1000) {
        status = nnd_value_new_list(&v, 1, &outer);
        if (status != NND_OK) break;
        nnd_value_unref(v);
        v = outer;
        depth++;
    }
    assert_status(status, NND_E_LIMIT);
    assert_int_equal(depth, 64);
    void *bytes;
    size_t size;
    assert_ok(nnd_value_pack(v, &bytes, &size));
    assert_ok(nnd_value_unpack(bytes, size, &outer));
    nnd_free(bytes);
    nnd_value_unref(outer);
    nnd_value_unref(v);
}

/* ---- types ---- */

static void nothing(void *payload)
{
    (void)payload;
}

static nnd_status clone_int(const void *payload, void *to, bool share_buffers)
{
    (void)share_buffers;
    memcpy(to, payload, sizeof(int));
    return NND_OK;
}

#define TEST_TYPE(type_name)                                                                       \
    {                                                                                              \
        .struct_size = sizeof(nnd_value_type), .name = (type_name), .payload_size = sizeof(int),   \
        .destroy = nothing, .clone = clone_int                                                     \
    }
static const nnd_value_type types[8] = {
    TEST_TYPE("test.a"), TEST_TYPE("test.b"), TEST_TYPE("test.c"), TEST_TYPE("test.d"),
    TEST_TYPE("test.e"), TEST_TYPE("test.f"), TEST_TYPE("test.g"), TEST_TYPE("test.h")};
static const nnd_value_type rival = TEST_TYPE("test.a");

static void register_all(void *arg)
{
    size_t first = *(size_t *)arg;
    for (size_t i = 0; i < 8; i++)
        (void)nnd_value_type_register(&types[(first + i) % 8]);
}

static void test_type_register(void **state)
{
    (void)state;
    size_t builtin = nnd_value_type_count();
    assert_non_null(nnd_value_type_find("tensor"));
    assert_null(nnd_value_type_find("test.a"));
    size_t first[4] = {0, 3, 5, 7};
    nnd_port_thread *threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(nnd_port_thread_create("type", register_all, &first[i], &threads[i]), 0);
    for (size_t i = 0; i < 4; i++)
        nnd_port_thread_join(threads[i]);
    assert_int_equal(nnd_value_type_count(), builtin + 8);
    for (size_t i = 0; i < 8; i++)
        assert_ptr_equal(nnd_value_type_find(types[i].name), &types[i]);
    assert_ok(nnd_value_type_register(&types[2])); /* again the same: fine */
    assert_status(nnd_value_type_register(&rival), NND_E_EXISTS);
    nnd_value_type bad = rival;
    bad.name = "tensor";
    assert_status(nnd_value_type_register(&bad), NND_E_EXISTS);
    bad.name = "";
    assert_status(nnd_value_type_register(&bad), NND_E_INVALID_ARGUMENT);
    bad.struct_size = 8;
    assert_status(nnd_value_type_register(&bad), NND_E_INVALID_ARGUMENT);
    nnd_value *v, *w;
    assert_ok(nnd_value_create("test.a", &v));
    *(int *)nnd_value_edit(v) = 11;
    assert_ok(nnd_value_writable(nnd_value_ref(v), &w));
    assert_int_equal(*(const int *)nnd_value_payload(w, "test.a"), 11);
    void *bytes;
    size_t size;
    assert_status(nnd_value_pack(v, &bytes, &size), NND_E_UNSUPPORTED);
    nnd_value_unref(v);
    nnd_value_unref(w);
    assert_status(nnd_value_create("no.such", &v), NND_E_NOT_FOUND);
}

static void test_every_type_can_be_created_empty(void **state)
{
    (void)state;
    for (size_t i = 0; i < nnd_value_type_count(); i++) {
        nnd_value *v, *w;
        assert_ok(nnd_value_create(nnd_value_type_at(i)->name, &v));
        assert_ok(nnd_value_writable(nnd_value_ref(v), &w));
        nnd_value_unref(v);
        nnd_value_unref(w);
    }
}

/* ---- threads ---- */

static void churn(void *arg)
{
    nnd_value *shared = arg;
    for (int i = 0; i < 2000; i++) {
        nnd_value *copy, *view;
        nnd_header h = {.sequence = i};
        nnd_value_ref(shared);
        assert_ok(nnd_value_with_header(shared, &h, &view));
        assert_ok(nnd_value_writable(view, &copy));
        nnd_dtype_set(NND_F32, nnd_value_tensor(copy)->data, 0, (double)i);
        nnd_value_unref(copy);
        nnd_value_unref(shared);
    }
}

static void test_sharing_between_threads(void **state)
{
    (void)state;
    nnd_value *v;
    nnd_port_thread *threads[3];
    assert_ok(sample_tensor(NND_F32, &v));
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(nnd_port_thread_create("churn", churn, v, &threads[i]), 0);
    for (size_t i = 0; i < 3; i++)
        nnd_port_thread_join(threads[i]);
    assert_int_equal(nnd_value_holders(v), 1);
    assert_true(nnd_dtype_get(NND_F32, nnd_value_tensor(v)->data, 0) == 0.0);
    nnd_value_unref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counting_and_defaults),
        cmocka_unit_test(test_scalars_widen),
        cmocka_unit_test(test_writable_keeps_an_exclusive_value),
        cmocka_unit_test(test_writable_copies_a_shared_value),
        cmocka_unit_test(test_writable_looks_at_the_buffer),
        cmocka_unit_test(test_second_header_shares_the_payload),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_strided_clone_is_dense),
        cmocka_unit_test(test_tensor_views_are_checked),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_text_is_utf8),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_nesting_is_limited),
        cmocka_unit_test(test_type_register),
        cmocka_unit_test(test_every_type_can_be_created_empty),
        cmocka_unit_test(test_sharing_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
