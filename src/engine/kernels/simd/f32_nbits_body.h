/* Products with weights of few bits. The vector file defines codes_at: VLEN bytes, shifted and
   masked, as floats. */
#include "engine/kernels/set.h"
#include "engine/kernels/simd/vec.h"

/* A block's sums stay apart until the end of the column: adding them up is the slow part. */
NND_INLINE float dot_bits(const nnd_nbits_column *c, int bits)
{
    const uint8_t *q = c->q;
    const float *a = c->a;
    const int phases = 8 / bits;
    const uint32_t mask = (1u << bits) - 1u;
    vf total = v_set1(0.0f);
    float result = 0.0f;
    for (size_t b = 0; b < c->blocks; b++, q += c->bytes) {
        vf sums = v_set1(0.0f);
        float rest = 0.0f;
        for (int p = 0; p < phases; p++, a += c->bytes) {
            size_t i = 0;
            for (; i + VLEN <= c->bytes; i += VLEN)
                sums = v_fma(v_load(a + i), codes_at(q + i, p * bits, mask), sums);
            for (; i < c->bytes; i++)
                rest += a[i] * (float)(int32_t)((uint32_t)q[i] >> (p * bits) & mask);
        }
        total = v_fma(v_set1(c->scale[b]), sums, total);
        result += c->scale[b] * (rest - c->zero[b] * c->sums[b]);
    }
    return result + v_sum(total);
}

float VEC_NAME(nnd_f32_nbits_dot)(const nnd_nbits_column *c)
{
    return c->bits == 4 ? dot_bits(c, 4) : c->bits == 8 ? dot_bits(c, 8) : dot_bits(c, 2);
}
