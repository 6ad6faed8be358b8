/*
 * Local response normalisation across channels in NCHWc: y = x / (bias + alpha·Σ x²)^beta, the sum
 * over a window of channels around each. The squares of three neighbouring blocks lie side by side
 * in a buffer, so that the window is a few loads at shifted places.
 */
#include <string.h>

#include "engine/kernels/set.h"
#include "engine/kernels/simd/vec.h"
#include "engine/kernels/simd/vec_math.h"

NND_INLINE void put_squares(const float *x, int lanes, float *to)
{
    vf v = v_load(x);
    v_store(to, v_mul(v, v));
    for (int i = lanes; i < VLEN; i++)
        to[i] = 0.0f; /* padding means nothing */
}

/* s^−beta; 3/4 is what everybody uses. */
NND_INLINE vf power(vf s, float beta)
{
    if (beta == 0.75f) {
        vf root = v_sqrt(s);
        return v_div(v_set1(1.0f), v_mul(root, v_sqrt(root)));
    }
    return v_exp(v_mul(v_set1(-beta), v_log(s)));
}

void VEC_NAME(nnd_f32_lrn_nchwc)(const nnd_lrn_args *p)
{
    float squares[3 * VLEN];
    const vf alpha = v_set1(p->alpha), bias = v_set1(p->bias);
    memset(squares, 0, sizeof squares);
    for (size_t i = 0; i < p->pixels; i++) {
        const float *x = p->x + i * VLEN;
        if (p->before) put_squares(x - p->plane, VLEN, squares);
        put_squares(x, p->lanes, squares + VLEN);
        if (p->lanes_after) put_squares(x + p->plane, p->lanes_after, squares + 2 * VLEN);
        vf sum = v_load(squares + VLEN + p->first);
        for (int k = p->first + 1; k <= p->last; k++)
            sum = v_add(sum, v_load(squares + VLEN + k));
        v_store(p->y + i * VLEN, v_mul(v_load(x), power(v_fma(alpha, sum, bias), p->beta)));
    }
}
