/* Weights of few bits: the order that the products want their operand in, and unpacking. */
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

void nnd_nbits_unpack(const nnd_nbits_column *c, size_t block, size_t k, float *y)
{
    const unsigned bits = (unsigned)c->bits, phases = 8 / bits, mask = (1u << bits) - 1u;
    for (size_t b = 0; b < c->blocks; b++) {
        size_t first = b * block, n = k - first < block ? k - first : block;
        const uint8_t *q = c->q + b * c->bytes;
        for (size_t i = 0; i < n; i++) {
            unsigned code = (unsigned)q[i / phases] >> (i % phases * bits) & mask;
            y[first + i] = ((float)code - c->zero[b]) * c->scale[b];
        }
    }
}

float nnd_nbits_dot(const nnd_nbits_column *c)
{
    return nnd_kernel_set_current()->nbits_dot(c);
}
