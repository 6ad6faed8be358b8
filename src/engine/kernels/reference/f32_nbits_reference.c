#include "engine/kernels/reference/reference.h"

float nnd_f32_nbits_dot_reference(const nnd_nbits_column *c)
{
    const unsigned bits = (unsigned)c->bits, phases = 8 / bits, mask = (1u << bits) - 1u;
    double result = 0;
    for (size_t b = 0; b < c->blocks; b++)
        for (unsigned p = 0; p < phases; p++)
            for (size_t i = 0; i < c->bytes; i++) {
                unsigned q = (unsigned)c->q[b * c->bytes + i] >> (p * bits) & mask;
                float a = c->a[(b * phases + p) * c->bytes + i];
                result += (double)a * ((double)q - (double)c->zero[b]) * (double)c->scale[b];
            }
    return (float)result;
}
