#include "engine/kernels/reference/reference.h"

static float code_at(const nnd_nbits_column *c, size_t block, unsigned phase, size_t byte)
{
    const unsigned bits = (unsigned)c->bits, mask = (1u << bits) - 1u;
    return (float)((unsigned)c->q[block * c->bytes + byte] >> (phase * bits) & mask);
}

void nnd_f32_nbits_dot_reference(const nnd_nbits_column *c, float *y)
{
    const unsigned phases = 8 / (unsigned)c->bits;
    for (size_t row = 0; row < c->rows; row++) {
        const float *a = c->a + row * c->a_row;
        double result = 0;
        for (size_t b = 0; b < c->blocks; b++)
            for (unsigned p = 0; p < phases; p++)
                for (size_t i = 0; i < c->bytes; i++)
                    result += (double)*a++ * ((double)code_at(c, b, p, i) - (double)c->zero[b]) *
                              (double)c->scale[b];
        y[row] = (float)result;
    }
}

void nnd_f32_nbits_spread_reference(const nnd_nbits_column *c, float *y)
{
    const unsigned phases = 8 / (unsigned)c->bits;
    for (size_t b = 0; b < c->blocks; b++)
        for (unsigned p = 0; p < phases; p++)
            for (size_t i = 0; i < c->bytes; i++)
                *y++ = (code_at(c, b, p, i) - c->zero[b]) * c->scale[b];
}
