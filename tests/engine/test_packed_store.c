/* The memory of packed weights: aligned, apart from each other, given back whatever fails. */
#include <string.h>

#include "base/memory.h"
#include "engine/kernels/kernels.h"
#include "engine/packed/packed.h"
#include "port/port.h"
#include "support/oom.h"
#include "support/test.h"

/* Weights as networks have them: few, then beyond a large page, one operator with more than a slab
   holds, none at all, and some that do not fill lines of the cache. */
static const size_t sizes[] = {1000,    600000,   1500001, 70,      0,      300000, 2500000,
                               5000000, 40000000, 4,       1200000, 700000, 64,     3000000};

static void fill_with(void *memory, size_t index)
{
    memset(memory, (int)index + 1, sizes[index]);
}

static void check_holds(const nnd_packed_blob *blob, size_t index)
{
    const unsigned char *bytes = blob->data;
    assert_int_equal(blob->bytes, sizes[index]);
    assert_int_equal((uintptr_t)bytes % NND_KERNEL_ALIGN, 0);
    for (size_t i = 0; i < sizes[index]; i += i + 1 < sizes[index] ? 61 : 1)
        assert_int_equal(bytes[i], index + 1);
    if (sizes[index]) assert_int_equal(bytes[sizes[index] - 1], index + 1);
}

/* All of them from a new store; false when memory ended. */
static bool take_all(void)
{
    nnd_graph graph = {0};
    const nnd_graph_node node = {.name = "layer", .type = "Conv"};
    nnd_packed_blob *blobs[NND_COUNT(sizes)];
    uint64_t sum = 0;
    nnd_status status = nnd_packed_create(&graph.packed);
    for (size_t i = 0; i < NND_COUNT(sizes) && status == NND_OK; i++) {
        void *fill = NULL;
        status = nnd_packed_take(&graph, &node, "direct", sizes[i], &blobs[i], &fill);
        if (status != NND_OK) break;
        assert_non_null(fill);
        assert_ptr_equal(fill, blobs[i]->data);
        fill_with(fill, i);
        sum += sizes[i];
        assert_int_equal(nnd_packed_bytes(graph.packed), sum);
    }
    for (size_t i = 0; i < NND_COUNT(sizes) && status == NND_OK; i++)
        check_holds(blobs[i], i);
    nnd_packed_destroy(graph.packed);
    if (status != NND_OK) assert_int_equal(status, NND_E_OUT_OF_MEMORY);
    nnd_error_clear();
    return status == NND_OK;
}

static void weights_are_apart(void **state)
{
    (void)state;
    assert_true(take_all());
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    bool all = false;
    oom_begin();
    for (long n = 0; !all; n++) {
        oom_fail_after(n);
        all = take_all();
        assert_int_equal(all, !oom_hit());
        oom_never();
        assert_int_equal(oom_live_blocks(), 0);
    }
    oom_end();
}

static void large_blocks_begin_with_a_large_page(void **state)
{
    (void)state;
    size_t page = nnd_port_large_page_size();
    static const size_t bytes[] = {0, 1, 100000, (2 << 20) - 1, 2 << 20, (4 << 20) + 5};
    for (size_t i = 0; i < NND_COUNT(bytes); i++) {
        unsigned char *block = nnd_alloc_large(bytes[i]);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % NND_LARGE_ALIGN, 0);
        if (page && bytes[i] >= page) assert_int_equal((uintptr_t)block % page, 0);
        memset(block, 7, bytes[i]);
        nnd_free_aligned(block);
    }
    assert_null(nnd_alloc_large(SIZE_MAX));
    assert_null(nnd_alloc_large(SIZE_MAX - 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_apart),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(large_blocks_begin_with_a_large_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
