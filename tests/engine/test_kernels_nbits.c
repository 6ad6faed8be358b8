/* Products with weights of 2, 4 and 8 bits under every ISA against sums in double. */
#include "kernels_support.h"

enum { MAX_BLOCKS = 5, MAX_BLOCK = 128, MAX_K = MAX_BLOCKS * MAX_BLOCK };

static double element(const nnd_nbits_column *c, size_t block, size_t i)
{
    size_t per_byte = 8 / (size_t)c->bits, b = i / block, bit = i % per_byte * (size_t)c->bits;
    unsigned byte = c->q[b * c->bytes + i % block / per_byte];
    unsigned code = byte >> bit & ((1u << c->bits) - 1u);
    return ((double)code - (double)c->zero[b]) * (double)c->scale[b];
}

static void check_column(int bits, size_t block, size_t blocks, size_t k)
{
    uint8_t q[MAX_K];
    guarded scale = guarded_random(blocks, -0.5f, 0.5f), zero = guarded_random(blocks, 0, 15);
    guarded a = guarded_random(k, -1, 1), arranged = guarded_make(blocks * block);
    guarded sums = guarded_make(blocks), y = guarded_make(k);
    nnd_nbits_column c = {.bits = bits,
                          .blocks = blocks,
                          .bytes = block * (size_t)bits / 8,
                          .q = q,
                          .scale = scale.data,
                          .zero = zero.data,
                          .a = arranged.data,
                          .sums = sums.data};
    double want = 0, size = 0;
    for (size_t i = 0; i < blocks * c.bytes; i++)
        q[i] = (uint8_t)rng_next();
    nnd_nbits_arrange(bits, block, a.data, k, arranged.data, sums.data);
    nnd_nbits_unpack(&c, block, k, y.data);
    for (size_t i = 0; i < k; i++) {
        double w = element(&c, block, i), term = (double)a.data[i] * w;
        assert_true(fabs((double)y.data[i] - w) <= 1e-6 * (1 + fabs(w)));
        want += term;
        /* What cancels in the sum is code·scale and zero·scale. */
        size += fabs((double)a.data[i] * (double)scale.data[i / block]) * (1 << bits);
    }
    assert_true(fabs((double)nnd_nbits_dot(&c) - want) <= 1e-6 * size);
    guarded *all[] = {&scale, &zero, &a, &arranged, &sums, &y};
    for (size_t i = 0; i < NND_COUNT(all); i++)
        guarded_free(all[i]);
}

static void check_isa(nnd_isa isa)
{
    (void)isa;
    for (int round = 0; round < 300; round++) {
        size_t block = (size_t)16 << rng_int(0, 3), blocks = (size_t)rng_int(1, MAX_BLOCKS);
        size_t k = (blocks - 1) * block + (size_t)rng_int(1, (int64_t)block);
        check_column(1 << rng_int(1, 3), block, blocks, k);
    }
}

static void test_columns(void **state)
{
    (void)state;
    each_isa(check_isa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_columns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
