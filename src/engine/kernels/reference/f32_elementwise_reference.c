#include <math.h>

#include "engine/kernels/reference/reference.h"

/* NaN stays NaN. */
static float clamp(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

static double softplus(double x)
{
    return x > 0.0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static float act_value(const nnd_act *act, float v)
{
    double x = v;
    switch (act->kind) {
    case NND_ACT_RELU:
        return v < 0.0f ? 0.0f : v;
    case NND_ACT_CLIP:
        return clamp(v, act->alpha, act->beta);
    case NND_ACT_LEAKY_RELU:
        return v < 0.0f ? act->alpha * v : v;
    case NND_ACT_SIGMOID:
        return (float)(1.0 / (1.0 + exp(-x)));
    case NND_ACT_TANH:
        return (float)tanh(x);
    case NND_ACT_SILU:
        return (float)(x / (1.0 + exp(-(double)act->alpha * x)));
    case NND_ACT_HARD_SIGMOID:
        return clamp(act->alpha * v + act->beta, 0.0f, 1.0f);
    case NND_ACT_HARD_SWISH:
        return v * clamp(v * (1.0f / 6.0f) + 0.5f, 0.0f, 1.0f);
    case NND_ACT_GELU:
        return (float)(0.5 * x * (1.0 + erf(x * 0.70710678118654752)));
    case NND_ACT_GELU_TANH:
        return (float)(0.5 * x * (1.0 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x))));
    case NND_ACT_ELU:
        return v < 0.0f ? (float)(act->alpha * expm1(x)) : v;
    case NND_ACT_SOFTPLUS:
        return (float)softplus(x);
    case NND_ACT_MISH:
        return (float)(x * tanh(softplus(x)));
    case NND_ACT_NONE:
    case NND_ACT_COUNT:
        break;
    }
    return v;
}

void nnd_f32_act_reference(const nnd_act *act, const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = act_value(act, x[i]);
}

static float unary_value(nnd_unary_op op, float v)
{
    switch (op) {
    case NND_UNARY_NEG:
        return -v;
    case NND_UNARY_ABS:
        return fabsf(v);
    case NND_UNARY_SQRT:
        return sqrtf(v);
    case NND_UNARY_RECIPROCAL:
        return 1.0f / v;
    case NND_UNARY_SQUARE:
        return v * v;
    case NND_UNARY_FLOOR:
        return floorf(v);
    case NND_UNARY_CEIL:
        return ceilf(v);
    case NND_UNARY_ROUND:
        return nearbyintf(v);
    case NND_UNARY_EXP:
        return (float)exp((double)v);
    case NND_UNARY_LOG:
        return (float)log((double)v);
    case NND_UNARY_ERF:
        return (float)erf((double)v);
    case NND_UNARY_COUNT:
        break;
    }
    return v;
}

void nnd_f32_unary_reference(nnd_unary_op op, const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = unary_value(op, x[i]);
}

static float binary_value(nnd_binary_op op, float a, float b)
{
    switch (op) {
    case NND_BINARY_ADD:
        return a + b;
    case NND_BINARY_SUB:
        return a - b;
    case NND_BINARY_MUL:
        return a * b;
    case NND_BINARY_DIV:
        return a / b;
    case NND_BINARY_MIN:
        return isnan(a) || a < b ? a : b;
    case NND_BINARY_MAX:
        return isnan(a) || a > b ? a : b;
    case NND_BINARY_COUNT:
        break;
    }
    return a;
}

void nnd_f32_binary_reference(nnd_binary_op op, nnd_binary_mode mode, const float *a,
                              const float *b, float *y, size_t n)
{
    /* A scalar is read once, so that y may be its array. */
    float scalar = mode == NND_BINARY_SCALAR_A ? a[0] : b[0];
    for (size_t i = 0; i < n; i++) {
        float left = mode == NND_BINARY_SCALAR_A ? scalar : a[i];
        float right = mode == NND_BINARY_SCALAR_B ? scalar : b[i];
        y[i] = binary_value(op, left, right);
    }
}

void nnd_f32_binary_block_reference(nnd_binary_op op, const float *x, const float *s, float *y,
                                    size_t pixels)
{
    for (size_t i = 0; i < pixels * NND_REFERENCE_BLOCK; i++)
        y[i] = binary_value(op, x[i], s[i % NND_REFERENCE_BLOCK]);
}

void nnd_f32_scale_shift_reference(const float *x, float scale, float shift, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * scale + shift;
}

void nnd_f32_scale_shift_block_reference(const float *x, const float *scale, const float *shift,
                                         float *y, size_t pixels)
{
    for (size_t i = 0; i < pixels * NND_REFERENCE_BLOCK; i++)
        y[i] = x[i] * scale[i % NND_REFERENCE_BLOCK] + shift[i % NND_REFERENCE_BLOCK];
}
