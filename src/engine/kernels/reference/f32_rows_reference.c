#include <math.h>

#include "engine/kernels/reference/reference.h"

float nnd_f32_reduce_reference(nnd_row_op op, const float *x, size_t n)
{
    double sum = 0.0;
    float most = x[0];
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        if (x[i] > most || isnan(x[i])) most = x[i];
    }
    if (op == NND_ROW_MAX) return most;
    return (float)(op == NND_ROW_MEAN ? sum / (double)n : sum);
}

void nnd_f32_softmax_reference(const float *x, float *y, size_t n, bool logarithm)
{
    double most = nnd_f32_reduce_reference(NND_ROW_MAX, x, n);
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += exp(x[i] - most);
    double log_sum = log(sum);
    for (size_t i = 0; i < n; i++) {
        double shifted = x[i] - most;
        y[i] = (float)(logarithm ? shifted - log_sum : exp(shifted) / sum);
    }
}

void nnd_f32_layernorm_reference(const float *x, const float *gamma, const float *beta, float eps,
                                 float *y, size_t n)
{
    double mean = 0.0, variance = 0.0;
    for (size_t i = 0; i < n; i++)
        mean += x[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean);
    double scale = 1.0 / sqrt(variance / (double)n + (double)eps);
    for (size_t i = 0; i < n; i++) {
        double v = (x[i] - mean) * scale;
        if (gamma) v *= gamma[i];
        if (beta) v += beta[i];
        y[i] = (float)v;
    }
}

void nnd_f32_rmsnorm_reference(const float *x, const float *gamma, float eps, float *y, size_t n)
{
    double squares = 0.0;
    for (size_t i = 0; i < n; i++)
        squares += (double)x[i] * x[i];
    double scale = 1.0 / sqrt(squares / (double)n + (double)eps);
    for (size_t i = 0; i < n; i++)
        y[i] = (float)(x[i] * scale * (gamma ? gamma[i] : 1.0f));
}
