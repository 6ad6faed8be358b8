/* Products with weights of few bits. The loops are plain: with the number of bits a constant and
   VLEN sums side by side, compilers make vectors of them. */
#include "engine/kernels/set.h"
#include "engine/kernels/simd/vec.h"

NND_INLINE float dot_bits(const nnd_nbits_column *c, unsigned bits)
{
    const uint8_t *q = c->q;
    const float *a = c->a;
    const size_t phases = 8 / bits;
    const uint32_t mask = (1u << bits) - 1u;
    float result = 0.0f;
    for (size_t b = 0; b < c->blocks; b++, q += c->bytes) {
        float sums[VLEN] = {0}, sum = 0.0f;
        for (size_t p = 0; p < phases; p++, a += c->bytes) {
            const unsigned shift = (unsigned)p * bits;
            size_t i = 0;
            for (; i + VLEN <= c->bytes; i += VLEN)
                for (size_t k = 0; k < VLEN; k++)
                    sums[k] += a[i + k] * (float)(int32_t)((uint32_t)q[i + k] >> shift & mask);
            for (; i < c->bytes; i++)
                sum += a[i] * (float)(int32_t)((uint32_t)q[i] >> shift & mask);
        }
        for (size_t k = 0; k < VLEN; k++)
            sum += sums[k];
        result += c->scale[b] * (sum - c->zero[b] * c->sums[b]);
    }
    return result;
}

float VEC_NAME(nnd_f32_nbits_dot)(const nnd_nbits_column *c)
{
    return c->bits == 4 ? dot_bits(c, 4) : c->bits == 8 ? dot_bits(c, 8) : dot_bits(c, 2);
}
