/* Soft-max and touching boxes in plain C; see kernels.h. */
#include <math.h>
#include <string.h>

#include "ops/kernels/exponential.h"
#include "ops/kernels/reference/reference.h"

float nnd_top_f32_reference(const float *src, size_t count)
{
    float top = -INFINITY;
    for (size_t i = 0; i < count; i++)
        if (src[i] > top || isnan(src[i])) top = src[i];
    return top;
}

/* 2^n of −126 … 127. */
static float power(int32_t n)
{
    const int32_t bits = (n + NND_EXP_BIAS) * (1 << 23);
    float out;
    memcpy(&out, &bits, sizeof(out));
    return out;
}

static float exponential(float x)
{
    if (x < NND_EXP_LOWEST) x = NND_EXP_LOWEST;
    const float n = (x * NND_EXP_INV_LN2 + NND_EXP_ROUND) - NND_EXP_ROUND;
    const float r = (x - n * NND_EXP_LN2_HIGH) - n * NND_EXP_LN2_LOW;
    float q = NND_EXP_Q4 * r + NND_EXP_Q3;
    q = q * r + NND_EXP_Q2;
    q = q * r + NND_EXP_Q1;
    q = q * r + NND_EXP_Q0;
    const float e = ((r * r) * q + r) + 1;
    const int32_t exponent = (int32_t)n, low = exponent >> 1;
    return e * power(low) * power(exponent - low);
}

/* The upper half is added to the lower one until one lane is left. */
static double fold(double lane[NND_EXP_LANES])
{
    for (int width = NND_EXP_LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            lane[i] += lane[i + width];
    return lane[0];
}

double nnd_exp_f32_reference(float *dst, const float *src, size_t count, float top)
{
    double lane[NND_EXP_LANES] = {0};
    for (size_t i = 0; i < count; i++) {
        dst[i] = exponential(src[i] - top);
        lane[i % NND_EXP_LANES] += dst[i];
    }
    return fold(lane);
}

size_t nnd_touching_reference(const nnd_box_columns *boxes, size_t from, const float box[4],
                              int32_t class_id)
{
    size_t i = from;
    for (; i < boxes->count; i++) {
        const float x1 = boxes->x1[i] > box[0] ? boxes->x1[i] : box[0];
        const float y1 = boxes->y1[i] > box[1] ? boxes->y1[i] : box[1];
        const float x2 = boxes->x2[i] < box[2] ? boxes->x2[i] : box[2];
        const float y2 = boxes->y2[i] < box[3] ? boxes->y2[i] : box[3];
        if (x1 < x2 && y1 < y2 && boxes->class_id[i] == class_id) break;
    }
    return i;
}
