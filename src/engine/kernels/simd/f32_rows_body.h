/* Kernels over one row. Sums run in four vectors that are joined in a fixed order. */
#include "engine/kernels/set.h"
#include "engine/kernels/simd/vec.h"
#include "engine/kernels/simd/vec_math.h"

#define LANES 4 /* vectors in flight */

typedef enum row_term { TERM_VALUE, TERM_SQUARE, TERM_EXP } row_term;

/* Σ (x − center), (x − center)² or e^(x − center); e^… is stored to y when y is given. */
NND_INLINE vf row_value(row_term term, vf x, vf center)
{
    vf d = v_sub(x, center);
    return term == TERM_VALUE ? d : term == TERM_SQUARE ? v_mul(d, d) : v_exp(d);
}

NND_INLINE float row_sum(const row_term term, const float *x, float center, float *y, size_t n)
{
    vf sum[LANES], c = v_set1(center);
    size_t i = 0;
    for (int k = 0; k < LANES; k++)
        sum[k] = v_set1(0.0f);
    for (; i + LANES * VLEN <= n; i += LANES * VLEN) {
        for (int k = 0; k < LANES; k++) {
            vf v = row_value(term, v_load(x + i + (size_t)k * VLEN), c);
            if (y) v_store(y + i + (size_t)k * VLEN, v);
            sum[k] = v_add(sum[k], v);
        }
    }
    for (; i + VLEN <= n; i += VLEN) {
        vf v = row_value(term, v_load(x + i), c);
        if (y) v_store(y + i, v);
        sum[0] = v_add(sum[0], v);
    }
    float rest = 0.0f;
    if (i < n) {
        float lanes[VLEN];
        vf v = row_value(term, v_load_n(x + i, n - i), c);
        if (y) v_store_n(y + i, v, n - i);
        v_store(lanes, v);
        for (size_t k = 0; k < n - i; k++)
            rest += lanes[k];
    }
    return v_sum(v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3]))) + rest;
}

/* The largest element, NaN when there is one. */
static float row_largest(const float *x, size_t n)
{
    vf most = v_set1(-INFINITY), broken = v_set1(0.0f);
    size_t i = 0;
    for (; i + VLEN <= n; i += VLEN) {
        vf v = v_load(x + i);
        broken = v_add(broken, v_select(v_is_nan(v), v, v_set1(0.0f)));
        most = v_select(v_less(most, v), v, most);
    }
    float result = v_largest(most);
    float nan = v_sum(broken);
    for (; i < n; i++) {
        if (x[i] != x[i]) nan = x[i];
        if (x[i] > result) result = x[i];
    }
    return nan != nan ? nan : result;
}

float VEC_NAME(nnd_f32_reduce)(nnd_row_op op, const float *x, size_t n)
{
    if (op == NND_ROW_MAX) return row_largest(x, n);
    float sum = row_sum(TERM_VALUE, x, 0.0f, NULL, n);
    return op == NND_ROW_MEAN ? sum / (float)n : sum;
}

/* y = x·scale + shift with scalars. */
static void row_affine(const float *x, float scale, float shift, float *y, size_t n)
{
    vf by = v_set1(scale), plus = v_set1(shift);
    size_t i = 0;
    for (; i + VLEN <= n; i += VLEN)
        v_store(y + i, v_fma(v_load(x + i), by, plus));
    if (i < n) v_store_n(y + i, v_fma(v_load_n(x + i, n - i), by, plus), n - i);
}

void VEC_NAME(nnd_f32_softmax)(const float *x, float *y, size_t n, bool logarithm)
{
    float most = row_largest(x, n);
    if (logarithm) {
        float sum = row_sum(TERM_EXP, x, most, NULL, n);
        float shift = logf(sum);
        vf center = v_set1(most), lower = v_set1(shift);
        size_t i = 0;
        for (; i + VLEN <= n; i += VLEN)
            v_store(y + i, v_sub(v_sub(v_load(x + i), center), lower));
        if (i < n) v_store_n(y + i, v_sub(v_sub(v_load_n(x + i, n - i), center), lower), n - i);
        return;
    }
    float sum = row_sum(TERM_EXP, x, most, y, n);
    row_affine(y, 1.0f / sum, 0.0f, y, n);
}

/* y = (x − center)·scale·gamma + beta. */
static void row_normalise(const float *x, float center, float scale, const float *gamma,
                          const float *beta, float *y, size_t n)
{
    vf c = v_set1(center), s = v_set1(scale), one = v_set1(1.0f), zero = v_set1(0.0f);
    size_t i = 0;
    for (; i + VLEN <= n; i += VLEN) {
        vf v = v_mul(v_sub(v_load(x + i), c), s);
        v_store(y + i, v_fma(v, gamma ? v_load(gamma + i) : one, beta ? v_load(beta + i) : zero));
    }
    size_t rest = n - i;
    if (rest) {
        vf v = v_mul(v_sub(v_load_n(x + i, rest), c), s);
        vf by = gamma ? v_load_n(gamma + i, rest) : one;
        vf plus = beta ? v_load_n(beta + i, rest) : zero;
        v_store_n(y + i, v_fma(v, by, plus), rest);
    }
}

void VEC_NAME(nnd_f32_layernorm)(const float *x, const float *gamma, const float *beta, float eps,
                                 float *y, size_t n)
{
    float mean = row_sum(TERM_VALUE, x, 0.0f, NULL, n) / (float)n;
    float variance = row_sum(TERM_SQUARE, x, mean, NULL, n) / (float)n;
    row_normalise(x, mean, 1.0f / sqrtf(variance + eps), gamma, beta, y, n);
}

void VEC_NAME(nnd_f32_rmsnorm)(const float *x, const float *gamma, float eps, float *y, size_t n)
{
    float squares = row_sum(TERM_SQUARE, x, 0.0f, NULL, n) / (float)n;
    row_normalise(x, 0.0f, 1.0f / sqrtf(squares + eps), gamma, NULL, y, n);
}

/* ---- global pooling --------------------------------------------------------------------- */

void VEC_NAME(nnd_f32_globalpool_nchw)(nnd_pool_kind kind, const float *x, float *y, size_t spatial,
                                       size_t planes)
{
    for (size_t p = 0; p < planes; p++)
        y[p] = VEC_NAME(nnd_f32_reduce)(kind == NND_POOL_MAX ? NND_ROW_MAX : NND_ROW_MEAN,
                                        x + p * spatial, spatial);
}

void VEC_NAME(nnd_f32_globalpool_nchwc)(nnd_pool_kind kind, const float *x, float *y,
                                        size_t spatial, size_t planes)
{
    for (size_t p = 0; p < planes; p++) {
        const float *from = x + p * spatial * VLEN;
        vf most = v_load(from), even = v_set1(0.0f), odd = v_set1(0.0f);
        size_t i = 0;
        for (; kind == NND_POOL_MAX && i < spatial; i++)
            most = v_max2(most, v_load(from + i * VLEN));
        for (; i + 2 <= spatial; i += 2) {
            even = v_add(even, v_load(from + i * VLEN));
            odd = v_add(odd, v_load(from + (i + 1) * VLEN));
        }
        if (i < spatial) even = v_add(even, v_load(from + i * VLEN));
        vf mean = v_div(v_add(even, odd), v_set1((float)spatial));
        v_store(y + p * VLEN, kind == NND_POOL_MAX ? most : mean);
    }
}
