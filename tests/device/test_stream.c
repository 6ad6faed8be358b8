/* Devices, fences, streams, and the simulated accelerator. */
#include "device/device_ops.h"
#include "nndeploy/device.h"
#include "port/port.h"
#include "support/test.h"

#include <stdatomic.h>

static nnd_device *sim(void)
{
    nnd_device *device;
    assert_ok(nnd_device_enable_simulated(2, 0));
    assert_ok(nnd_device_find("sim:0", &device));
    return device;
}

static nnd_buffer *create(nnd_device *device, nnd_memory_kind kind, size_t bytes)
{
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    desc.kind = kind;
    desc.device = device;
    desc.bytes = bytes;
    nnd_buffer *buffer;
    assert_ok(nnd_buffer_create(&desc, &buffer));
    return buffer;
}

static void check_message(const char *part)
{
    nnd_error *error = nnd_error_take();
    assert_non_null(error);
    assert_non_null(strstr(nnd_error_message(error), part));
    nnd_error_destroy(error);
}

static void test_registry(void **state)
{
    (void)state;
    nnd_device *device;
    assert_ok(nnd_device_find("cpu", &device));
    assert_ptr_equal(device, nnd_device_cpu());
    assert_ptr_equal(nnd_device_at(0), device);
    assert_status(nnd_device_find("warp:9", &device), NND_E_NOT_FOUND);
    check_message("cpu");
    assert_status(nnd_device_enable_simulated(0, 0), NND_E_INVALID_ARGUMENT);
    device = sim();
    assert_int_equal(nnd_device_count(), 3);
    assert_null(nnd_device_at(3));
    nnd_device_info info = {.size = sizeof info};
    assert_ok(nnd_device_get_info(device, &info));
    assert_string_equal(info.name, "sim:0");
    assert_string_equal(info.kind, "sim");
    assert_true(info.asynchronous);
    assert_true(info.memory_kinds & 1u << NND_MEM_DEVICE);
    assert_false(info.memory_kinds & 1u << NND_MEM_HOST);
    info.size = 0;
    assert_status(nnd_device_get_info(device, &info), NND_E_INVALID_ARGUMENT);
    nnd_device_ops broken = {.size = sizeof broken};
    assert_status(nnd_device_register(&broken, "cpu", NULL, &device), NND_E_INVALID_ARGUMENT);
}

static nnd_status double_bytes(void *user)
{
    unsigned char *data = nnd_device_sim_data(user);
    if (!data) return NND_E_STATE;
    for (size_t i = 0; i < nnd_buffer_size(user); i++)
        data[i] = (unsigned char)(2 * data[i]);
    return NND_OK;
}

static void test_separate_memory(void **state)
{
    (void)state;
    nnd_device *device = sim();
    nnd_buffer *host = create(NULL, NND_MEM_HOST, 256), *back = create(NULL, NND_MEM_HOST, 256);
    nnd_buffer *there = create(device, NND_MEM_DEVICE, 256);
    assert_null(nnd_buffer_data(there));
    assert_true(nnd_buffer_device_address(there) >> 63);
    assert_null(nnd_device_sim_data(there)); /* not on a stream of the device */
    check_message("outside of its streams");
    for (int i = 0; i < 256; i++)
        ((unsigned char *)nnd_buffer_data(host))[i] = (unsigned char)i;

    nnd_copy_stats before, after;
    nnd_copy_get_stats(&before);
    nnd_stream *stream;
    assert_ok(nnd_stream_create(device, &stream));
    assert_ptr_equal(nnd_stream_device(stream), device);
    assert_ok(nnd_buffer_copy(there, 0, host, 0, 256, stream));
    assert_ok(nnd_stream_call(stream, double_bytes, there));
    assert_ok(nnd_buffer_copy(back, 0, there, 0, 256, stream));
    nnd_buffer_unref(there); /* the queue holds what it works on... */
    assert_ok(nnd_buffer_wait(back, NULL));
    nnd_copy_get_stats(&after);
    assert_int_equal(after.transfers - before.transfers, 2);
    assert_int_equal(after.copies - before.copies, 2);
    assert_int_equal(after.bytes - before.bytes, 512);
    for (int i = 0; i < 256; i++)
        assert_int_equal(((unsigned char *)nnd_buffer_data(back))[i], (2 * i) & 255);
    nnd_stream_destroy(stream);
    nnd_buffer_unref(host);
    nnd_buffer_unref(back);
}

static void test_between_simulated_devices(void **state)
{
    (void)state;
    nnd_device *first = sim(), *second;
    assert_ok(nnd_device_find("sim:1", &second));
    nnd_buffer *host = create(first, NND_MEM_PINNED, 64), *a = create(first, NND_MEM_DEVICE, 64);
    nnd_buffer *b = create(second, NND_MEM_DEVICE, 64), *window;
    memset(nnd_buffer_data(host), 3, 64);
    nnd_copy_stats before, after;
    nnd_copy_get_stats(&before);
    assert_ok(nnd_buffer_copy(a, 0, host, 0, 64, NULL));
    assert_ok(nnd_buffer_slice(b, 32, 32, &window));
    assert_ok(nnd_buffer_copy(window, 0, a, 0, 32, NULL));
    memset(nnd_buffer_data(host), 0, 64);
    assert_ok(nnd_buffer_copy(host, 0, b, 32, 32, NULL));
    nnd_copy_get_stats(&after);
    assert_int_equal(after.transfers - before.transfers, 3);
    assert_int_equal(((char *)nnd_buffer_data(host))[31], 3);
    assert_int_equal(((char *)nnd_buffer_data(host))[32], 0);
    /* Work of one device does not see the other's memory. */
    nnd_stream *stream;
    assert_ok(nnd_stream_create(first, &stream));
    assert_ok(nnd_stream_call(stream, double_bytes, b));
    assert_status(nnd_stream_synchronize(stream, NULL), NND_E_STATE);
    nnd_stream_destroy(stream);
    nnd_buffer_unref(window);
    nnd_buffer_unref(b);
    nnd_buffer_unref(a);
    nnd_buffer_unref(host);
}

/* ---- failures ------------------------------------------------------------------------------ */

static nnd_status fail_call(void *user)
{
    return nnd_error_set(NND_E_BACKEND, "kernel %s broke", (const char *)user);
}

static nnd_status count_call(void *user)
{
    atomic_fetch_add((_Atomic int *)user, 1);
    return NND_OK;
}

static void check_failures(nnd_device *device)
{
    nnd_buffer *a = create(NULL, NND_MEM_HOST, 16), *b = create(NULL, NND_MEM_HOST, 16);
    memset(nnd_buffer_data(a), 0, 16);
    nnd_stream *stream, *other;
    nnd_fence *fence;
    _Atomic int calls = 0;
    assert_ok(nnd_stream_create(device, &stream));
    assert_ok(nnd_stream_create(device, &other));
    assert_ok(nnd_stream_call(stream, count_call, &calls));
    assert_ok(nnd_stream_call(stream, fail_call, "seven"));
    assert_ok(nnd_stream_call(stream, count_call, &calls)); /* skipped */
    assert_ok(nnd_buffer_copy(b, 0, a, 0, 16, stream));     /* skipped */
    assert_ok(nnd_stream_record(stream, &fence));
    assert_ok(nnd_stream_call(stream, count_call, &calls)); /* behind the report */
    assert_status(nnd_fence_wait(fence, NULL), NND_E_BACKEND);
    check_message("kernel seven broke");
    assert_status(nnd_buffer_wait(b, NULL), NND_E_BACKEND);
    assert_ok(nnd_stream_synchronize(stream, NULL));
    assert_int_equal(calls, 2);
    /* A failed fence fails the work that waits for it. */
    assert_ok(nnd_stream_wait_fence(other, fence));
    assert_ok(nnd_stream_call(other, count_call, &calls));
    assert_status(nnd_stream_synchronize(other, NULL), NND_E_BACKEND);
    check_message("kernel seven broke");
    assert_int_equal(calls, 2);
    nnd_fence_unref(fence);
    nnd_stream_destroy(stream);
    nnd_stream_destroy(other);
    nnd_buffer_unref(a);
    nnd_buffer_unref(b);
}

static void test_failures_reach_the_fence(void **state)
{
    (void)state;
    check_failures(sim());
    check_failures(nnd_device_cpu());
}

/* ---- fences -------------------------------------------------------------------------------- */

static void test_fence_signals_once(void **state)
{
    (void)state;
    nnd_fence *fence;
    assert_ok(nnd_fence_create(&fence));
    assert_false(nnd_fence_is_signalled(fence));
    nnd_fence_signal(fence, NND_OK);
    nnd_fence_signal(fence, NND_E_IO);
    assert_true(nnd_fence_is_signalled(fence));
    assert_ok(nnd_fence_wait(fence, NULL));
    assert_ok(nnd_fence_wait(NULL, NULL));
    nnd_fence_unref(fence);
    assert_ok(nnd_fence_create(&fence));
    nnd_fence_signal(fence, NND_E_IO);
    assert_status(nnd_fence_wait(fence, NULL), NND_E_IO);
    nnd_fence_unref(fence);
    nnd_fence_unref(NULL);
}

static void test_streams_wait_for_each_other(void **state)
{
    (void)state;
    nnd_device *device = sim();
    nnd_stream *first, *second;
    nnd_fence *gate, *done;
    _Atomic int calls = 0;
    assert_ok(nnd_stream_create(device, &first));
    assert_ok(nnd_stream_create(device, &second));
    assert_ok(nnd_fence_create(&gate));
    assert_ok(nnd_stream_wait_fence(first, gate));
    assert_ok(nnd_stream_call(first, count_call, &calls));
    assert_ok(nnd_stream_record(first, &done));
    assert_ok(nnd_stream_wait_fence(second, done));
    assert_ok(nnd_stream_call(second, count_call, &calls));
    nnd_port_sleep(2000000);
    assert_int_equal(calls, 0);
    assert_false(nnd_fence_is_signalled(done));
    nnd_fence_signal(gate, NND_OK);
    assert_ok(nnd_stream_synchronize(second, NULL));
    assert_int_equal(calls, 2);
    nnd_fence_unref(gate);
    nnd_fence_unref(done);
    nnd_stream_destroy(first);
    nnd_stream_destroy(second);
}

static void test_abandoned_fence_ends_the_wait(void **state)
{
    (void)state;
    nnd_stream *stream;
    nnd_fence *gate, *done;
    assert_ok(nnd_stream_create(sim(), &stream));
    assert_ok(nnd_fence_create(&gate));
    assert_ok(nnd_stream_wait_fence(stream, gate));
    assert_ok(nnd_stream_record(stream, &done));
    nnd_fence_unref(gate); /* nobody can signal it any more */
    assert_status(nnd_fence_wait(done, NULL), NND_E_CLOSED);
    nnd_fence_unref(done);
    nnd_stream_destroy(stream);
}

static void cancel_main(void *arg)
{
    nnd_port_sleep(3000000);
    nnd_cancel_request(arg);
}

static void test_waiting_ends_with_cancel_and_deadline(void **state)
{
    (void)state;
    nnd_fence *fence;
    nnd_cancel *token;
    nnd_port_thread *thread;
    assert_ok(nnd_fence_create(&fence));
    assert_ok(nnd_cancel_create(NULL, &token));
    assert_int_equal(nnd_port_thread_create("cancel", cancel_main, token, &thread), 0);
    assert_status(nnd_fence_wait(fence, token), NND_E_CANCELLED);
    nnd_port_thread_join(thread);
    nnd_cancel_unref(token);
    assert_ok(nnd_cancel_create(NULL, &token));
    nnd_cancel_set_deadline(token, nnd_clock_now() + 3000000);
    assert_status(nnd_fence_wait(fence, token), NND_E_TIMEOUT);
    nnd_cancel_unref(token);
    nnd_fence_unref(fence);
}

static void test_latency(void **state)
{
    (void)state;
    nnd_stream *stream;
    _Atomic int calls = 0;
    nnd_device *device = sim();
    assert_ok(nnd_device_enable_simulated(2, 2000000));
    assert_ok(nnd_stream_create(device, &stream));
    int64_t begin = nnd_clock_now();
    for (int i = 0; i < 5; i++)
        assert_ok(nnd_stream_call(stream, count_call, &calls));
    assert_ok(nnd_stream_synchronize(stream, NULL));
    assert_true(nnd_clock_now() - begin >= 5 * 2000000);
    nnd_stream_destroy(stream);
    assert_ok(nnd_device_enable_simulated(2, 0));
}

static void test_destroy_works_the_queue_off(void **state)
{
    (void)state;
    nnd_stream *stream;
    _Atomic int calls = 0;
    assert_ok(nnd_stream_create(sim(), &stream));
    for (int i = 0; i < 500; i++)
        assert_ok(nnd_stream_call(stream, count_call, &calls));
    nnd_stream_destroy(stream);
    assert_int_equal(calls, 500);
    nnd_stream_destroy(NULL);
    assert_status(nnd_stream_call(NULL, count_call, &calls), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_stream_wait_fence(NULL, NULL), NND_E_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry),
        cmocka_unit_test(test_separate_memory),
        cmocka_unit_test(test_between_simulated_devices),
        cmocka_unit_test(test_failures_reach_the_fence),
        cmocka_unit_test(test_fence_signals_once),
        cmocka_unit_test(test_streams_wait_for_each_other),
        cmocka_unit_test(test_abandoned_fence_ends_the_wait),
        cmocka_unit_test(test_waiting_ends_with_cancel_and_deadline),
        cmocka_unit_test(test_latency),
        cmocka_unit_test(test_destroy_works_the_queue_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
