/* What the tests of kernels share: blocks of noise that end where they must, and comparison. */
#ifndef NND_TESTS_KERNEL_SUPPORT_H
#define NND_TESTS_KERNEL_SUPPORT_H

#include "ops/kernels/kernels.h"
#include "ops_support.h"

#define MAX_COUNT 331

static const nnd_ops_kernels *const reference = &nnd_ops_kernels_reference;

/* The tables that this machine can run. */
static inline int vector_tables(const nnd_ops_kernels *out[4])
{
    nnd_isa isas[8];
    const int count = test_isas(isas);
    int tables = 0;
    for (int i = 1; i < count; i++) {
        assert_ok(nnd_isa_force(isas[i]));
        out[tables++] = nnd_ops_kernels_get();
    }
    assert_ok(nnd_isa_force(nnd_isa_detected()));
    return tables;
}

typedef struct block {
    uint8_t *data;
    size_t size;
} block;

/* Exactly `size` bytes of noise, so that the sanitizer catches reads behind the end. */
static inline block noise(size_t size, uint32_t seed)
{
    block b = {malloc(size ? size : 1), size};
    assert_non_null(b.data);
    for (size_t i = 0; i < size; i++)
        b.data[i] = (uint8_t)next_random(&seed);
    return b;
}

static inline block blank(size_t size)
{
    block b = {malloc(size + GUARD_SIZE), size};
    assert_non_null(b.data);
    memset(b.data, GUARD_BYTE, size + GUARD_SIZE);
    return b;
}

static inline void assert_equal(block got, block want, const char *what, const char *table,
                                size_t count)
{
    for (size_t i = 0; i < got.size + GUARD_SIZE; i++)
        if (got.data[i] != want.data[i])
            fail_msg("%s of %s, %zu pixels: byte %zu is %d, expected %d", what, table, count, i,
                     got.data[i], want.data[i]);
}

/* Every count up to 70 and two long ones; 0 ends the walk. */
static inline size_t next_count(size_t count)
{
    return count < 70 ? count + 1 : count < 130 ? 130 : count < MAX_COUNT ? MAX_COUNT : 0;
}

#endif
