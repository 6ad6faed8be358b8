/* Buffers, pools, shared memory, out of memory. */
#include "nndeploy/device.h"
#include "port/port.h"
#include "support/test.h"

#include <stdatomic.h>

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

static nnd_buffer *create(nnd_memory_kind kind, size_t bytes)
{
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    desc.kind = kind;
    desc.bytes = bytes;
    nnd_buffer *buffer;
    assert_ok(nnd_buffer_create(&desc, &buffer));
    return buffer;
}

static void test_alignment_and_padding(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 4096; align *= 2) {
        nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
        desc.bytes = 1000;
        desc.alignment = align;
        desc.padding = 128;
        nnd_buffer *buffer;
        assert_ok(nnd_buffer_create(&desc, &buffer));
        unsigned char *data = nnd_buffer_data(buffer);
        assert_int_equal((uintptr_t)data % align, 0);
        for (int i = 0; i < 128; i++)
            assert_int_equal(data[1000 + i], 0);
        assert_int_equal(nnd_buffer_size(buffer), 1000);
        assert_true(nnd_buffer_device_address(buffer) == (uintptr_t)data);
        assert_ptr_equal(nnd_buffer_device(buffer), nnd_device_cpu());
        nnd_buffer_unref(buffer);
    }
    nnd_buffer *empty = create(NND_MEM_HOST, 0);
    assert_int_equal(nnd_buffer_size(empty), 0);
    nnd_buffer_unref(empty);
    nnd_buffer *pinned = create(NND_MEM_PINNED, 10);
    assert_int_equal((uintptr_t)nnd_buffer_data(pinned) % nnd_port_page_size(), 0);
    nnd_buffer_unref(pinned);
}

static void test_bad_descriptions(void **state)
{
    (void)state;
    nnd_buffer *buffer = NULL;
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    assert_status(nnd_buffer_create(NULL, &buffer), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_buffer_create(&desc, NULL), NND_E_INVALID_ARGUMENT);
    desc.alignment = 48;
    assert_status(nnd_buffer_create(&desc, &buffer), NND_E_INVALID_ARGUMENT);
    desc.alignment = 0;
    desc.bytes = SIZE_MAX - 3;
    assert_status(nnd_buffer_create(&desc, &buffer), NND_E_OVERFLOW);
    desc.bytes = 8;
    desc.kind = NND_MEM_DEVICE;
    assert_status(nnd_buffer_create(&desc, &buffer), NND_E_UNSUPPORTED);
    desc.kind = (nnd_memory_kind)77;
    assert_status(nnd_buffer_create(&desc, &buffer), NND_E_UNSUPPORTED);
    assert_null(buffer);
    assert_string_equal(nnd_memory_kind_name(NND_MEM_SHARED), "shared");
    assert_string_equal(nnd_memory_kind_name((nnd_memory_kind)77), "unknown");
}

static void count_release(void *user, void *data)
{
    (void)data;
    ++*(int *)user;
}

static void test_wrap_and_slices(void **state)
{
    (void)state;
    char bytes[100];
    int released = 0;
    nnd_buffer *whole, *part, *inner, *bad = NULL;
    assert_ok(nnd_buffer_wrap(bytes, sizeof bytes, count_release, &released, &whole));
    assert_ok(nnd_buffer_slice(whole, 10, 50, &part));
    assert_ok(nnd_buffer_slice(part, 5, 45, &inner));
    assert_ptr_equal(nnd_buffer_data(inner), bytes + 15);
    assert_int_equal(nnd_buffer_size(inner), 45);
    assert_int_equal(nnd_buffer_holders(whole), 2);
    assert_int_equal(nnd_buffer_holders(inner), 3); /* the owners of whole and part see the bytes */
    assert_status(nnd_buffer_slice(part, 6, 45, &bad), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_buffer_slice(part, 51, 0, &bad), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_buffer_slice(part, 1, SIZE_MAX, &bad), NND_E_INVALID_ARGUMENT);
    assert_null(bad);
    nnd_buffer_unref(whole);
    nnd_buffer_unref(part);
    assert_int_equal(nnd_buffer_holders(inner), 1);
    assert_int_equal(released, 0);
    nnd_buffer_unref(inner);
    assert_int_equal(released, 1);
    assert_status(nnd_buffer_wrap(NULL, 1, NULL, NULL, &bad), NND_E_INVALID_ARGUMENT);
}

static void test_host_copies_are_counted(void **state)
{
    (void)state;
    nnd_buffer *a = create(NND_MEM_HOST, 64), *b = create(NND_MEM_PINNED, 64);
    memset(nnd_buffer_data(a), 7, 64);
    memset(nnd_buffer_data(b), 0, 64);
    nnd_copy_stats before, after;
    nnd_copy_get_stats(&before);
    assert_ok(nnd_buffer_copy(b, 8, a, 0, 16, NULL));
    nnd_copy_count(100);
    nnd_copy_get_stats(&after);
    assert_int_equal(after.copies - before.copies, 2);
    assert_int_equal(after.bytes - before.bytes, 116);
    assert_int_equal(after.transfers - before.transfers, 0);
    const unsigned char *data = nnd_buffer_data(b);
    assert_int_equal(data[7], 0);
    assert_int_equal(data[8], 7);
    assert_int_equal(data[23], 7);
    assert_int_equal(data[24], 0);
    assert_status(nnd_buffer_copy(b, 60, a, 0, 5, NULL), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_buffer_copy(b, 0, a, 65, 0, NULL), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_buffer_copy(b, 0, a, 1, SIZE_MAX, NULL), NND_E_INVALID_ARGUMENT);
    nnd_buffer_unref(a);
    nnd_buffer_unref(b);
}

/* ---- pools --------------------------------------------------------------------------------- */

static void test_pool_recycles(void **state)
{
    (void)state;
    nnd_pool *pool;
    assert_ok(nnd_pool_create(10000, &pool));
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    desc.bytes = 4000;
    nnd_copy_stats before, after;
    nnd_copy_get_stats(&before);
    nnd_buffer *a, *b, *c;
    assert_ok(nnd_pool_get(pool, &desc, &a));
    void *data = nnd_buffer_data(a);
    nnd_buffer_unref(a);
    desc.bytes = 3990; /* the same class */
    assert_ok(nnd_pool_get(pool, &desc, &a));
    assert_ptr_equal(nnd_buffer_data(a), data);
    assert_int_equal(nnd_buffer_size(a), 3990);
    desc.alignment = 256; /* another one */
    assert_ok(nnd_pool_get(pool, &desc, &b));
    assert_ok(nnd_pool_get(pool, &desc, &c));
    nnd_copy_get_stats(&after);
    assert_int_equal(after.allocations - before.allocations, 3);
    nnd_pool_stats stats;
    nnd_pool_get_stats(pool, &stats);
    assert_int_equal(stats.hits, 1);
    assert_int_equal(stats.misses, 3);
    assert_int_equal(stats.kept_bytes, 0);
    assert_true(stats.live_bytes >= 3 * 3990);
    nnd_buffer_unref(a);
    nnd_buffer_unref(b);
    nnd_buffer_unref(c); /* above the soft limit: the stalest goes */
    nnd_pool_get_stats(pool, &stats);
    assert_true(stats.kept_bytes > 0 && stats.kept_bytes <= 10000);
    assert_int_equal(stats.live_bytes, 0);
    nnd_pool_destroy(pool);
}

static void test_pool_destroyed_before_its_buffers(void **state)
{
    (void)state;
    nnd_pool *pool;
    assert_ok(nnd_pool_create(1 << 20, &pool));
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    desc.bytes = 100;
    nnd_buffer *a, *b, *slice;
    assert_ok(nnd_pool_get(pool, &desc, &a));
    assert_ok(nnd_pool_get(pool, &desc, &b));
    assert_ok(nnd_buffer_slice(b, 10, 10, &slice));
    nnd_buffer_unref(b);
    nnd_pool_destroy(pool);
    memset(nnd_buffer_data(a), 1, 100);
    memset(nnd_buffer_data(slice), 1, 10);
    nnd_buffer_unref(a);
    nnd_buffer_unref(slice);
    nnd_pool_destroy(NULL);
}

static void pool_main(void *arg)
{
    nnd_pool *pool = arg;
    nnd_buffer *held[8] = {0};
    for (int i = 0; i < 2000; i++) {
        nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
        desc.bytes = (size_t)(i % 5) * 600; /* what goes back is asked for again soon */
        nnd_buffer **slot = &held[i % 8];
        nnd_buffer_unref(*slot);
        if (nnd_pool_get(pool, &desc, slot) != NND_OK) *slot = NULL;
        if (*slot) memset(nnd_buffer_data(*slot), i, desc.bytes);
    }
    for (int i = 0; i < 8; i++)
        nnd_buffer_unref(held[i]);
}

static void test_pool_from_many_threads(void **state)
{
    (void)state;
    nnd_pool *pool;
    assert_ok(nnd_pool_create(20000, &pool));
    nnd_port_thread *threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(nnd_port_thread_create("pool", pool_main, pool, &threads[i]), 0);
    for (int i = 0; i < 3; i++)
        nnd_port_thread_join(threads[i]);
    nnd_pool_stats stats;
    nnd_pool_get_stats(pool, &stats);
    assert_int_equal(stats.hits + stats.misses, 6000);
    assert_int_equal(stats.live_bytes, 0);
    assert_true(stats.hits > 0 && stats.kept_bytes <= 20000);
    nnd_pool_destroy(pool);
}

/* ---- shared memory ------------------------------------------------------------------------- */

#if !defined(_WIN32)
static void test_shared_memory_maps_twice(void **state)
{
    (void)state;
    nnd_buffer *buffer = create(NND_MEM_SHARED, 5000), *slice, *view, *bad = NULL;
    char *data = nnd_buffer_data(buffer);
    strcpy(data + 4321, "hello");
    assert_ok(nnd_buffer_slice(buffer, 4321, 600, &slice));
    int fd;
    size_t offset;
    assert_ok(nnd_buffer_export_fd(slice, &fd, &offset));
    assert_int_equal(offset, 4321);
    assert_ok(nnd_buffer_import_fd(fd, offset, 600, true, &view));
    assert_string_equal(nnd_buffer_data(view), "hello");
    assert_ptr_not_equal(nnd_buffer_data(view), nnd_buffer_data(slice));
    strcpy(data + 4321, "again"); /* one memory, two addresses */
    assert_string_equal(nnd_buffer_data(view), "again");
    assert_true(nnd_buffer_is_read_only(view));
    assert_int_equal(nnd_buffer_kind(view), NND_MEM_SHARED);
    assert_status(nnd_buffer_copy(view, 0, slice, 0, 5, NULL), NND_E_PERMISSION);

    assert_ok(nnd_buffer_export_fd(view, &fd, &offset)); /* an import can be passed on */
    assert_status(nnd_buffer_import_fd(fd, offset, 50000, true, &bad), NND_E_FORMAT);
    assert_ok(nnd_buffer_export_fd(view, &fd, &offset));
    assert_status(nnd_buffer_import_fd(fd, SIZE_MAX - 5, 50, true, &bad), NND_E_OVERFLOW);
    assert_true(nnd_buffer_import_fd(-1, 0, 1, true, &bad) != NND_OK);
    FILE *file = tmpfile(); /* a file that its owner can shrink */
    assert_non_null(file);
    fputs("0123456789", file);
    fflush(file);
    assert_status(nnd_buffer_import_fd(dup(fileno(file)), 0, 5, true, &bad), NND_E_PERMISSION);
    fclose(file);
    assert_null(bad);
    nnd_buffer *host = create(NND_MEM_HOST, 8);
    assert_status(nnd_buffer_export_fd(host, &fd, &offset), NND_E_TYPE);
    nnd_buffer_unref(host);
    nnd_buffer_unref(view);
    nnd_buffer_unref(slice);
    nnd_buffer_unref(buffer);
}

/* What the child does with the parent's memory; its exit code. */
static int child_main(int fd, size_t offset)
{
    nnd_copy_stats before, after;
    nnd_copy_get_stats(&before);
    nnd_buffer *buffer;
    if (nnd_buffer_import_fd(fd, offset, 100000, false, &buffer) != NND_OK) return 1;
    unsigned char *data = nnd_buffer_data(buffer);
    for (size_t i = 0; i < 100000; i++) {
        if (data[i] != i % 251) return 2;
        data[i] = (unsigned char)(data[i] + 1);
    }
    nnd_buffer_unref(buffer);
    nnd_copy_get_stats(&after);
    return after.copies == before.copies && after.bytes == before.bytes ? 0 : 3;
}

static void test_another_process_without_copies(void **state)
{
    (void)state;
    nnd_buffer *buffer = create(NND_MEM_SHARED, 100000);
    unsigned char *data = nnd_buffer_data(buffer);
    for (size_t i = 0; i < 100000; i++)
        data[i] = (unsigned char)(i % 251);
    nnd_copy_stats before, after;
    nnd_copy_get_stats(&before);
    int fd, result = -1;
    size_t offset;
    assert_ok(nnd_buffer_export_fd(buffer, &fd, &offset));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(child_main(fd, offset));
    close(fd);
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);
    for (size_t i = 0; i < 100000; i++)
        assert_int_equal(data[i], i % 251 + 1);
    nnd_copy_get_stats(&after);
    assert_int_equal(after.copies, before.copies);
    nnd_buffer_unref(buffer);
}
#endif

/* ---- out of memory ------------------------------------------------------------------------- */

static _Atomic int allocations_left;
static _Atomic int live_blocks;

static void *failing_alloc(void *user, size_t size)
{
    (void)user;
    if (atomic_fetch_sub(&allocations_left, 1) <= 0) return NULL;
    void *block = malloc(size);
    if (block) atomic_fetch_add(&live_blocks, 1);
    return block;
}

static void *failing_resize(void *user, void *block, size_t size)
{
    if (!block) return failing_alloc(user, size);
    if (atomic_fetch_sub(&allocations_left, 1) <= 0) return NULL;
    return realloc(block, size);
}

static void counted_release(void *user, void *block)
{
    (void)user;
    if (block) atomic_fetch_sub(&live_blocks, 1);
    free(block);
}

static nnd_status ok_call(void *user)
{
    (void)user;
    return NND_OK;
}

/* A bit of everything; stops at the first failure and cleans up. */
static nnd_status use_everything(nnd_device *sim)
{
    nnd_buffer *host = NULL, *device = NULL, *slice = NULL;
    nnd_pool *pool = NULL;
    nnd_stream *stream = NULL;
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    desc.bytes = 100;
    nnd_status status = nnd_pool_create(1000, &pool);
    if (status == NND_OK) status = nnd_pool_get(pool, &desc, &host);
    if (status == NND_OK) memset(nnd_buffer_data(host), 1, 100);
    if (status == NND_OK) status = nnd_buffer_slice(host, 5, 10, &slice);
    desc.kind = NND_MEM_DEVICE;
    desc.device = sim;
    if (status == NND_OK) status = nnd_buffer_create(&desc, &device);
    if (status == NND_OK) status = nnd_stream_create(sim, &stream);
    if (status == NND_OK) status = nnd_buffer_copy(device, 0, slice, 0, 10, stream);
    if (status == NND_OK) status = nnd_stream_call(stream, ok_call, NULL);
    if (status == NND_OK) status = nnd_stream_synchronize(stream, NULL);
    nnd_buffer_unref(slice);
    nnd_buffer_unref(host);
    nnd_buffer_unref(device);
    nnd_pool_destroy(pool);
    nnd_stream_destroy(stream);
    return status;
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    nnd_device *sim;
    assert_ok(nnd_device_enable_simulated(1, 0));
    assert_ok(nnd_device_find("sim:0", &sim));
    nnd_error_clear();
    nnd_allocator allocator = {failing_alloc, failing_resize, counted_release, NULL};
    nnd_status status = NND_E_OUT_OF_MEMORY;
    int n = 0;
    for (; status != NND_OK && n < 200; n++) {
        nnd_set_allocator(&allocator);
        allocations_left = n;
        live_blocks = 0;
        status = use_everything(sim);
        nnd_error_clear();
        nnd_set_allocator(NULL);
        assert_true(status == NND_OK || status == NND_E_OUT_OF_MEMORY);
        assert_int_equal(live_blocks, 0);
    }
    assert_int_equal(status, NND_OK);
    assert_true(n > 8); /* there were that many allocations to fail */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment_and_padding),
        cmocka_unit_test(test_bad_descriptions),
        cmocka_unit_test(test_wrap_and_slices),
        cmocka_unit_test(test_host_copies_are_counted),
        cmocka_unit_test(test_pool_recycles),
        cmocka_unit_test(test_pool_destroyed_before_its_buffers),
        cmocka_unit_test(test_pool_from_many_threads),
#if !defined(_WIN32)
        cmocka_unit_test(test_shared_memory_maps_twice),
        cmocka_unit_test(test_another_process_without_copies),
#endif
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
