/* Weights of few bits: the order that the products want their operand in. */
#include "engine/kernels/set.h"

void nnd_nbits_arrange(int bits, size_t block, const float *a, size_t k, float *arranged,
                       float *sums)
{
    const size_t phases = 8 / (size_t)bits, bytes = block / phases;
    for (size_t b = 0; b * block < k; b++) {
        float *to = arranged + b * block;
        size_t n = k - b * block < block ? k - b * block : block;
        sums[b] = 0.0f;
        for (size_t i = 0; i < block; i++) {
            float v = i < n ? a[b * block + i] : 0.0f;
            to[i % phases * bytes + i / phases] = v;
            sums[b] += v;
        }
    }
}

/* `bits` is a constant where it is inlined: nothing is divided for each element. */
static inline void unpack_bits(const nnd_nbits_column *c, unsigned bits, size_t block, size_t k,
                               float *y)
{
    const unsigned mask = (1u << bits) - 1u;
    const size_t phases = 8 / bits;
    for (size_t b = 0; b < c->blocks; b++, y += block) {
        size_t n = k - b * block < block ? k - b * block : block, whole = n / phases;
        const uint8_t *q = c->q + b * c->bytes;
        const float zero = c->zero[b], scale = c->scale[b];
        for (size_t i = 0; i < whole; i++)
            for (size_t p = 0; p < phases; p++)
                y[i * phases + p] =
                    ((float)(int)((unsigned)q[i] >> (p * bits) & mask) - zero) * scale;
        for (size_t i = whole * phases; i < n; i++)
            y[i] = ((float)(int)((unsigned)q[whole] >> (i % phases * bits) & mask) - zero) * scale;
    }
}

void nnd_nbits_unpack(const nnd_nbits_column *c, size_t block, size_t k, float *y)
{
    if (c->bits == 4)
        unpack_bits(c, 4, block, k, y);
    else if (c->bits == 8)
        unpack_bits(c, 8, block, k, y);
    else
        unpack_bits(c, 2, block, k, y);
}

void nnd_nbits_dot(const nnd_nbits_column *c, float *y)
{
    nnd_kernel_set_current()->nbits_dot(c, y);
}

void nnd_nbits_spread(const nnd_nbits_column *c, float *y)
{
    nnd_kernel_set_current()->nbits_spread(c, y);
}
