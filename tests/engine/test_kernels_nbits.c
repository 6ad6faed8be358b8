/* Products with weights of 2, 4 and 8 bits under every ISA against sums in double. */
#include "kernels_support.h"

enum { MAX_BLOCKS = 5 };

static double element(const nnd_nbits_column *c, size_t block, size_t i)
{
    size_t per_byte = 8 / (size_t)c->bits, b = i / block, bit = i % per_byte * (size_t)c->bits;
    unsigned byte = c->q[b * c->bytes + i % block / per_byte];
    unsigned code = byte >> bit & ((1u << c->bits) - 1u);
    return ((double)code - (double)c->zero[b]) * (double)c->scale[b];
}

/* Where element i of a column lies among the arranged ones. */
static size_t place_of(int bits, size_t block, size_t i)
{
    size_t phases = 8 / (size_t)bits, in = i % block;
    return i / block * block + in % phases * (block / phases) + in / phases;
}

static void check_column(int bits, size_t block, size_t blocks, size_t k, size_t rows)
{
    const size_t all = blocks * block, bytes = block * (size_t)bits / 8;
    uint8_t *q = malloc(blocks * bytes); /* so that reading too far is seen */
    guarded scale = guarded_random(blocks, -0.5f, 0.5f), zero = guarded_random(blocks, 0, 15);
    guarded a = guarded_random(rows * k, -1, 1), arranged = guarded_make(rows * all);
    guarded sums = guarded_make(rows * blocks), y = guarded_make(all), dots = guarded_make(rows);
    nnd_nbits_column c = {.bits = bits,
                          .blocks = blocks,
                          .bytes = bytes,
                          .q = q,
                          .scale = scale.data,
                          .zero = zero.data,
                          .a = arranged.data,
                          .sums = sums.data,
                          .rows = rows,
                          .a_row = all};
    assert_non_null(q);
    for (size_t i = 0; i < blocks * bytes; i++)
        q[i] = (uint8_t)rng_next();
    for (size_t row = 0; row < rows; row++)
        nnd_nbits_arrange(bits, block, a.data + row * k, k, arranged.data + row * all,
                          sums.data + row * blocks);
    nnd_nbits_spread(&c, y.data);
    nnd_nbits_dot(&c, dots.data);
    for (size_t i = 0; i < all; i++) {
        double w = element(&c, block, i);
        assert_true(fabs((double)y.data[place_of(bits, block, i)] - w) <= 1e-6 * (1 + fabs(w)));
    }
    nnd_nbits_unpack(&c, block, k, y.data);
    for (size_t i = 0; i < k; i++) {
        double w = element(&c, block, i);
        assert_true(fabs((double)y.data[i] - w) <= 1e-6 * (1 + fabs(w)));
    }
    for (size_t row = 0; row < rows; row++) {
        double want = 0, size = 0;
        for (size_t i = 0; i < k; i++) {
            double x = (double)a.data[row * k + i];
            want += x * element(&c, block, i);
            /* What cancels in the sum is code·scale and zero·scale. */
            size += fabs(x * (double)scale.data[i / block]) * (1 << bits);
        }
        assert_true(fabs((double)dots.data[row] - want) <= 1e-6 * size);
        /* A row's bits do not depend on the rows beside it. */
        nnd_nbits_column one = c;
        float alone;
        one.a += row * all;
        one.sums += row * blocks;
        one.rows = 1;
        nnd_nbits_dot(&one, &alone);
        assert_memory_equal(&alone, &dots.data[row], sizeof(alone));
    }
    guarded *freed[] = {&scale, &zero, &a, &arranged, &sums, &y, &dots};
    for (size_t i = 0; i < NND_COUNT(freed); i++)
        guarded_free(freed[i]);
    free(q);
}

static void check_isa(nnd_isa isa)
{
    (void)isa;
    for (int round = 0; round < 400; round++) {
        size_t block = (size_t)16 << rng_int(0, 3), blocks = (size_t)rng_int(1, MAX_BLOCKS);
        if (round % 4 == 0) block = 4 * (size_t)rng_int(1, 40); /* a whole row, of any length */
        size_t k = (blocks - 1) * block + (size_t)rng_int(1, (int64_t)block);
        check_column(1 << rng_int(1, 3), block, blocks, k, (size_t)rng_int(1, 9));
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
