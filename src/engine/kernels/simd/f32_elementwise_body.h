/* Element-wise kernels: whole vectors, then the same computation on the lanes that are left. */
#include "engine/kernels/set.h"
#include "engine/kernels/simd/vec.h"
#include "engine/kernels/simd/vec_math.h"

/* y[i] = expression of v (= x[i]) for all i. */
#define FOR_EACH(expression)                                                                       \
    do {                                                                                           \
        size_t i_ = 0;                                                                             \
        for (; i_ + VLEN <= n; i_ += VLEN) {                                                       \
            vf v = v_load(x + i_);                                                                 \
            v_store(y + i_, expression);                                                           \
        }                                                                                          \
        if (i_ < n) {                                                                              \
            vf v = v_load_n(x + i_, n - i_);                                                       \
            v_store_n(y + i_, expression, n - i_);                                                 \
        }                                                                                          \
    } while (0)

NND_INLINE vf clamp01(vf v)
{
    return v_min(v_set1(1.0f), v_max(v_set1(0.0f), v));
}

void VEC_NAME(nnd_f32_act)(const nnd_act *act, const float *x, float *y, size_t n)
{
    const vf zero = v_set1(0.0f), alpha = v_set1(act->alpha), beta = v_set1(act->beta);
    switch (act->kind) {
    case NND_ACT_RELU:
        FOR_EACH(v_max(zero, v));
        break;
    case NND_ACT_CLIP:
        FOR_EACH(v_min(beta, v_max(alpha, v)));
        break;
    case NND_ACT_LEAKY_RELU:
        FOR_EACH(v_select(v_less(v, zero), v_mul(alpha, v), v));
        break;
    case NND_ACT_SIGMOID:
        FOR_EACH(v_sigmoid(v));
        break;
    case NND_ACT_TANH:
        FOR_EACH(v_tanh(v));
        break;
    case NND_ACT_SILU:
        FOR_EACH(v_mul(v, v_sigmoid(v_mul(alpha, v))));
        break;
    case NND_ACT_HARD_SIGMOID:
        FOR_EACH(clamp01(v_fma(alpha, v, beta)));
        break;
    case NND_ACT_HARD_SWISH:
        FOR_EACH(v_mul(v, clamp01(v_fma(v, v_set1(1.0f / 6.0f), v_set1(0.5f)))));
        break;
    case NND_ACT_GELU:
        FOR_EACH(v_gelu(v));
        break;
    case NND_ACT_GELU_TANH:
        FOR_EACH(v_gelu_tanh(v));
        break;
    case NND_ACT_ELU:
        FOR_EACH(v_select(v_less(v, zero), v_mul(alpha, v_expm1_negative(v)), v));
        break;
    case NND_ACT_SOFTPLUS:
        FOR_EACH(v_softplus(v));
        break;
    case NND_ACT_MISH:
        FOR_EACH(v_mish(v));
        break;
    case NND_ACT_NONE:
    case NND_ACT_COUNT:
        FOR_EACH(v);
        break;
    }
}

void VEC_NAME(nnd_f32_unary)(nnd_unary_op op, const float *x, float *y, size_t n)
{
    switch (op) {
    case NND_UNARY_NEG:
        FOR_EACH(v_neg(v));
        break;
    case NND_UNARY_ABS:
        FOR_EACH(v_abs(v));
        break;
    case NND_UNARY_SQRT:
        FOR_EACH(v_sqrt(v));
        break;
    case NND_UNARY_RECIPROCAL:
        FOR_EACH(v_div(v_set1(1.0f), v));
        break;
    case NND_UNARY_SQUARE:
        FOR_EACH(v_mul(v, v));
        break;
    case NND_UNARY_FLOOR:
        FOR_EACH(v_floor(v));
        break;
    case NND_UNARY_CEIL:
        FOR_EACH(v_ceil(v));
        break;
    case NND_UNARY_ROUND:
        FOR_EACH(v_round(v));
        break;
    case NND_UNARY_EXP:
        FOR_EACH(v_exp(v));
        break;
    case NND_UNARY_LOG:
        FOR_EACH(v_log(v));
        break;
    case NND_UNARY_ERF:
        FOR_EACH(v_erf(v));
        break;
    case NND_UNARY_COUNT:
        break;
    }
}

NND_INLINE vf binary_value(nnd_binary_op op, vf a, vf b)
{
    switch (op) {
    case NND_BINARY_ADD:
        return v_add(a, b);
    case NND_BINARY_SUB:
        return v_sub(a, b);
    case NND_BINARY_MUL:
        return v_mul(a, b);
    case NND_BINARY_DIV:
        return v_div(a, b);
    case NND_BINARY_MIN:
        return v_min2(a, b);
    case NND_BINARY_MAX:
        return v_max2(a, b);
    case NND_BINARY_COUNT:
        break;
    }
    return a;
}

NND_INLINE void binary_loop(nnd_binary_op op, nnd_binary_mode mode, const float *a, const float *b,
                            float *y, size_t n)
{
    bool scalar_a = mode == NND_BINARY_SCALAR_A, scalar_b = mode == NND_BINARY_SCALAR_B;
    vf sa = v_set1(scalar_a ? a[0] : 0.0f), sb = v_set1(scalar_b ? b[0] : 0.0f);
    size_t i = 0;
    for (; i + VLEN <= n; i += VLEN)
        v_store(y + i,
                binary_value(op, scalar_a ? sa : v_load(a + i), scalar_b ? sb : v_load(b + i)));
    size_t rest = n - i;
    if (rest)
        v_store_n(y + i,
                  binary_value(op, scalar_a ? sa : v_load_n(a + i, rest),
                               scalar_b ? sb : v_load_n(b + i, rest)),
                  rest);
}

NND_INLINE void binary_modes(nnd_binary_op op, nnd_binary_mode mode, const float *a, const float *b,
                             float *y, size_t n)
{
    switch (mode) {
    case NND_BINARY_BOTH:
        binary_loop(op, NND_BINARY_BOTH, a, b, y, n);
        break;
    case NND_BINARY_SCALAR_A:
        binary_loop(op, NND_BINARY_SCALAR_A, a, b, y, n);
        break;
    case NND_BINARY_SCALAR_B:
        binary_loop(op, NND_BINARY_SCALAR_B, a, b, y, n);
        break;
    }
}

NND_INLINE void block_loop(nnd_binary_op op, const float *x, const float *s, float *y,
                           size_t pixels)
{
    vf right = v_load(s);
    for (size_t i = 0; i < pixels * VLEN; i += VLEN)
        v_store(y + i, binary_value(op, v_load(x + i), right));
}

/* Calls a loop with the operator as a constant, so that each has inner code of its own. */
#define FOR_OPERATOR(op, loop, ...)                                                                \
    switch (op) {                                                                                  \
    case NND_BINARY_ADD:                                                                           \
        loop(NND_BINARY_ADD, __VA_ARGS__);                                                         \
        break;                                                                                     \
    case NND_BINARY_SUB:                                                                           \
        loop(NND_BINARY_SUB, __VA_ARGS__);                                                         \
        break;                                                                                     \
    case NND_BINARY_MUL:                                                                           \
        loop(NND_BINARY_MUL, __VA_ARGS__);                                                         \
        break;                                                                                     \
    case NND_BINARY_DIV:                                                                           \
        loop(NND_BINARY_DIV, __VA_ARGS__);                                                         \
        break;                                                                                     \
    case NND_BINARY_MIN:                                                                           \
        loop(NND_BINARY_MIN, __VA_ARGS__);                                                         \
        break;                                                                                     \
    case NND_BINARY_MAX:                                                                           \
        loop(NND_BINARY_MAX, __VA_ARGS__);                                                         \
        break;                                                                                     \
    case NND_BINARY_COUNT:                                                                         \
        break;                                                                                     \
    }

void VEC_NAME(nnd_f32_binary)(nnd_binary_op op, nnd_binary_mode mode, const float *a,
                              const float *b, float *y, size_t n)
{
    FOR_OPERATOR(op, binary_modes, mode, a, b, y, n)
}

void VEC_NAME(nnd_f32_binary_block)(nnd_binary_op op, const float *x, const float *s, float *y,
                                    size_t pixels)
{
    FOR_OPERATOR(op, block_loop, x, s, y, pixels)
}

void VEC_NAME(nnd_f32_scale_shift)(const float *x, float scale, float shift, float *y, size_t n)
{
    const vf by = v_set1(scale), plus = v_set1(shift);
    FOR_EACH(v_fma(v, by, plus));
}

void VEC_NAME(nnd_f32_scale_shift_block)(const float *x, const float *scale, const float *shift,
                                         float *y, size_t pixels)
{
    const vf by = v_load(scale), plus = v_load(shift);
    for (size_t i = 0; i < pixels * VLEN; i += VLEN)
        v_store(y + i, v_fma(v_load(x + i), by, plus));
}
