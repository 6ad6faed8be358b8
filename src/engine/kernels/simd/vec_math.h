/*
 * Elementary functions on vectors. The polynomials are minimax fits of our own; the accuracy is
 * stated in kernels.h and measured by tests/engine/test_kernels_elementwise.c.
 */
#ifndef NND_ENGINE_KERNELS_SIMD_VEC_MATH_H
#define NND_ENGINE_KERNELS_SIMD_VEC_MATH_H

#include <math.h>

#include "engine/kernels/simd/vec.h"

/* c[0] + c[1]·x + … by Horner's rule; count is a constant at each call. */
NND_INLINE vf v_poly(vf x, const float *c, int count)
{
    vf sum = v_set1(c[count - 1]);
    for (int i = count - 2; i >= 0; i--)
        sum = v_fma(sum, x, v_set1(c[i]));
    return sum;
}

/* x = n·ln 2 + r with |r| ≤ ln 2 / 2; returns (e^r − 1) and n. */
static inline vf v_exp_parts(vf x, vf *n)
{
    static const float c[] = {0x1.fffffcp-2f, 0x1.55548ap-3f, 0x1.5558fcp-5f, 0x1.123f3p-7f,
                              0x1.6a2998p-10f};
    *n = v_round(v_mul(x, v_set1(0x1.715476p0f)));
    vf r = v_fnma(*n, v_set1(0x1.62e4p-1f), x); /* ln 2 in two pieces, the first one short */
    r = v_fnma(*n, v_set1(0x1.7f7d1cp-20f), r);
    return v_fma(v_mul(r, r), v_poly(r, c, 5), r);
}

static inline vf v_exp(vf x)
{
    vf n;
    x = v_min(v_set1(89.0f), v_max(v_set1(-104.0f), x));
    vf p = v_exp_parts(x, &n);
    return v_scale2(v_add(p, v_set1(1.0f)), n);
}

/* e^x − 1 for x ≤ 0, without cancellation near 0. */
static inline vf v_expm1_negative(vf x)
{
    vf n;
    x = v_max(v_set1(-40.0f), x);
    vf p = v_exp_parts(x, &n);
    vf power = v_scale2(v_set1(1.0f), n);
    return v_fma(power, p, v_sub(power, v_set1(1.0f)));
}

static inline vf v_sigmoid(vf x)
{
    /* From e^−|x| ≤ 1, so that neither tail loses digits. */
    const vf one = v_set1(1.0f);
    vf e = v_exp(v_neg(v_abs(x)));
    vf top = v_select(v_less(x, v_set1(0.0f)), e, one);
    return v_mul(top, v_inverse(v_add(one, e)));
}

static inline vf v_tanh(vf x)
{
    static const float c[] = {-0x1.555534p-2f, 0x1.110768p-3f, -0x1.b84448p-5f, 0x1.5256cep-6f,
                              -0x1.76abf6p-8f};
    const vf one = v_set1(1.0f);
    vf a = v_abs(x), z = v_mul(x, x);
    vf near = v_fma(v_mul(x, z), v_poly(z, c, 5), x);
    vf e = v_exp(v_add(a, a));
    vf far = v_sub(one, v_div(v_set1(2.0f), v_add(e, one)));
    return v_select(v_less(a, v_set1(0.625f)), near, v_copysign(far, x));
}

static inline vf v_erf(vf x)
{
    /* erf(x)/x − 1 in x² near 0; beyond, log(erfc(a)) in a. */
    static const float c[] = {0x1.06eba8p-3f, -0x1.812742p-2f,  0x1.ce2de2p-4f, -0x1.b80b0ep-6f,
                              0x1.54a49p-8f,  -0x1.a8fc6cp-11f, 0x1.58947p-14f};
    static const float d[] = {0x1.41aa8p-13f,  -0x1.21202ap0f,   -0x1.446accp-1f,
                              -0x1.b9fb54p-4f, 0x1.968866p-6f,   -0x1.07059cp-8f,
                              0x1.937a02p-12f, -0x1.9db958p-17f, -0x1.63d8ep-21f};
    vf a = v_abs(x), z = v_mul(x, x);
    vf near = v_fma(x, v_poly(z, c, 7), x);
    vf far = v_sub(v_set1(1.0f), v_exp(v_poly(v_min(v_set1(4.0f), a), d, 9)));
    return v_select(v_less(a, v_set1(0.92f)), near, v_copysign(far, x));
}

static inline vf v_log(vf x)
{
    static const float c[] = {0x1.555546p-2f,  -0x1.ffffeep-3f, 0x1.99a4e2p-3f,
                              -0x1.55629ap-3f, 0x1.233914p-3f,  -0x1.fb5282p-4f,
                              0x1.e60866p-4f,  -0x1.e27ec2p-4f, 0x1.1b5c5p-4f};
    const vf one = v_set1(1.0f), zero = v_set1(0.0f);
    vf e;
    vf m = v_split(x, &e);
    /* m in [√½, √2). */
    vm high = v_less(v_set1(0x1.6a09e6p0f), m);
    m = v_select(high, v_mul(m, v_set1(0.5f)), m);
    e = v_select(high, v_add(e, one), e);
    vf f = v_sub(m, one), f2 = v_mul(f, f);
    vf tail = v_fnma(v_set1(0.5f), f2, v_mul(v_mul(f, f2), v_poly(f, c, 9)));
    tail = v_fma(e, v_set1(0x1.7f7d1cp-20f), tail);
    vf y = v_fma(e, v_set1(0x1.62e4p-1f), v_add(f, tail));
    y = v_select(v_equal(x, zero), v_set1(-INFINITY), y);
    y = v_select(v_equal(x, v_set1(INFINITY)), x, y);
    return v_select(v_less(x, zero), v_set1(NAN), v_select(v_is_nan(x), x, y));
}

/* log(1 + t) for t in [0, 1], small t included. */
static inline vf v_log1p_small(vf t)
{
    const vf one = v_set1(1.0f);
    vf u = v_add(one, t);
    vf lost = v_sub(t, v_sub(u, one));
    return v_add(v_log(u), v_div(lost, u));
}

static inline vf v_softplus(vf x)
{
    vf e = v_exp(v_neg(v_abs(x)));
    return v_add(v_max(v_set1(0.0f), x), v_log1p_small(e));
}

/* x·tanh(softplus(x)): with e = e^x, tanh(log(1 + e)) = (e² + 2e)/(e² + 2e + 2). */
static inline vf v_mish(vf x)
{
    const vf two = v_set1(2.0f);
    vf e = v_exp(v_min(v_set1(20.0f), x));
    vf top = v_mul(e, v_add(e, two));
    return v_mul(x, v_div(top, v_add(top, two)));
}

static inline vf v_gelu(vf x)
{
    vf half = v_mul(v_set1(0.5f), x);
    return v_fma(half, v_erf(v_mul(x, v_set1(0x1.6a09e6p-1f))), half);
}

static inline vf v_gelu_tanh(vf x)
{
    vf cubic = v_fma(v_mul(v_set1(0.044715f), v_mul(x, x)), x, x);
    vf half = v_mul(v_set1(0.5f), x);
    return v_fma(half, v_tanh(v_mul(v_set1(0x1.988454p-1f), cubic)), half);
}

#endif
