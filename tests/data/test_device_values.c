/* Values whose bulk lies on a device that the host cannot touch. */
#include "data/samples.h"

static nnd_device *sim(void)
{
    nnd_device *device;
    assert_ok(nnd_device_enable_simulated(1, 0));
    assert_ok(nnd_device_find("sim:0", &device));
    return device;
}

static nnd_buffer *device_buffer(size_t bytes)
{
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    nnd_buffer *buffer;
    desc.bytes = bytes;
    desc.kind = NND_MEM_DEVICE;
    desc.device = sim();
    assert_ok(nnd_buffer_create(&desc, &buffer));
    assert_null(nnd_buffer_data(buffer));
    return buffer;
}

/* Copies the buffer's bytes to the host and compares them. */
static void assert_device_bytes(nnd_buffer *buffer, size_t offset, const void *expected,
                                size_t size)
{
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    nnd_buffer *host;
    desc.bytes = size;
    assert_ok(nnd_buffer_create(&desc, &host));
    assert_ok(nnd_buffer_copy(host, 0, buffer, offset, size, NULL));
    assert_memory_equal(nnd_buffer_data(host), expected, size);
    nnd_buffer_unref(host);
}

static void fill_from_host(nnd_buffer *buffer, const void *data, size_t size)
{
    nnd_buffer *host;
    assert_ok(nnd_buffer_wrap((void *)(uintptr_t)data, size, NULL, NULL, &host));
    assert_ok(nnd_buffer_copy(buffer, 0, host, 0, size, NULL));
    nnd_buffer_unref(host);
}

static void test_tensor_on_a_device(void **state)
{
    (void)state;
    const int64_t dims[] = {2, 3};
    const float data[] = {0, 1, 2, 3, 4, 5, 6, 7};
    nnd_buffer *buffer = device_buffer(sizeof(data));
    fill_from_host(buffer, data, sizeof(data));
    nnd_tensor t;
    nnd_value *v, *copy, *bad;
    assert_ok(nnd_tensor_init(&t, NND_F32, 2, dims, NULL));
    t.buffer = buffer;
    t.offset = 8;
    assert_ok(nnd_value_from_tensor(&t, &v));
    nnd_buffer_unref(buffer);
    assert_null(nnd_value_tensor(v)->data);
    t.offset = 12;
    assert_status(nnd_value_from_tensor(&t, &bad), NND_E_INVALID_ARGUMENT);

    nnd_copy_stats before, after;
    nnd_copy_get_stats(&before);
    assert_ok(nnd_value_writable(nnd_value_ref(v), &copy));
    nnd_copy_get_stats(&after);
    assert_int_equal(after.copies - before.copies, 1);
    assert_int_equal(after.transfers - before.transfers, 0); /* it stayed on the device */
    assert_ptr_equal(nnd_buffer_device(nnd_value_buffer(copy)), sim());
    assert_device_bytes(nnd_value_buffer(copy), nnd_value_tensor(copy)->offset, data + 2, 24);

    void *bytes;
    size_t size;
    assert_status(nnd_value_pack(v, &bytes, &size), NND_E_UNSUPPORTED);
    nnd_value *shown;
    assert_ok(nnd_value_preview(v, &shown));
    assert_string_equal(nnd_value_text(shown)->text, "f32[2,3]");
    nnd_value_unref(shown);
    nnd_json_writer *w;
    char *text;
    assert_ok(nnd_json_writer_create(0, &w));
    assert_ok(nnd_value_to_json(v, w));
    assert_ok(nnd_json_writer_take(w, &text, NULL));
    assert_string_equal(text, "{\"dtype\":\"f32\",\"shape\":[2,3],\"where\":\"sim:0\"}");
    nnd_free(text);
    nnd_json_writer_destroy(w);
    nnd_value_unref(copy);
    nnd_value_unref(v);
}

static void test_image_on_a_device(void **state)
{
    (void)state;
    nnd_image image;
    size_t bytes, size;
    void *packed;
    unsigned char data[64];
    nnd_value *v, *copy, *shown;
    assert_ok(nnd_image_init(&image, NND_PIX_NV12, NND_U8, 5, 3, 0, NULL, &bytes));
    sample_fill(data, sizeof(data));
    image.buffer = device_buffer(bytes);
    fill_from_host(image.buffer, data, bytes);
    assert_ok(nnd_value_from_image(&image, &v));
    nnd_buffer_unref(image.buffer);
    assert_null(nnd_value_image(v)->data[0]);
    assert_ok(nnd_value_writable(nnd_value_ref(v), &copy));
    assert_device_bytes(nnd_value_buffer(copy), 0, data, bytes);
    assert_status(nnd_value_pack(v, &packed, &size), NND_E_UNSUPPORTED);
    assert_status(nnd_value_preview(v, &shown), NND_E_STATE);
    nnd_value_unref(copy);
    nnd_value_unref(v);
    image.buffer = device_buffer(bytes - 1);
    assert_status(nnd_value_from_image(&image, &v), NND_E_INVALID_ARGUMENT);
    nnd_buffer_unref(image.buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensor_on_a_device),
        cmocka_unit_test(test_image_on_a_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
