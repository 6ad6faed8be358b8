#include "engine/ops/moe_route.h"

#include <math.h>

/* NaN is below everything. */
static bool above(float a, float b)
{
    return a > b || (isnan(b) && !isnan(a));
}

void nnd_top_few(const float *x, size_t n, size_t top, bool last, uint32_t *index)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = found;
        while (at > 0 &&
               (above(x[i], x[index[at - 1]]) || (last && !above(x[index[at - 1]], x[i]))))
            at--;
        if (at == top) continue;
        if (found < top) found++;
        for (size_t k = found - 1; k > at; k--)
            index[k] = index[k - 1];
        index[at] = (uint32_t)i;
    }
}

/* The sparse mixer of two experts when nothing is trained: each is weighed by a softmax of those
   logits only that are close to its own, the second one without the first. */
static void mix_sparsely(const float *x, size_t n, const uint32_t *chosen, float *share)
{
    const float close = 0.02f; /* twice the jitter that it is trained with */
    for (size_t k = 0; k < 2; k++) {
        float best = x[chosen[k]], sum = 0;
        for (size_t i = 0; i < n; i++) {
            float size = fabsf(x[i]) > best ? fabsf(x[i]) : best;
            if ((k && i == chosen[0]) || (best - x[i]) / size > close) continue;
            sum += expf(x[i] - best);
        }
        share[k] = 1.0f / sum;
    }
}

/* The shares of the chosen ones in the softmax of all n values. */
static void softmax_of(const float *x, size_t n, const uint32_t *chosen, size_t top, float *share)
{
    float largest = x[chosen[0]], sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += expf(x[i] - largest);
    for (size_t i = 0; i < top; i++)
        share[i] = expf(x[chosen[i]] - largest) / sum;
}

void nnd_route(const nnd_routing *r, const float *logits, const float *shares, uint32_t *chosen,
               float *weight)
{
    nnd_top_few(logits, r->experts, r->top, true, chosen);
    if (r->sparse_mixer) {
        mix_sparsely(logits, r->experts, chosen, weight);
        return;
    }
    if (shares)
        for (size_t i = 0; i < r->top; i++)
            weight[i] = shares[chosen[i]];
    else
        softmax_of(logits, r->experts, chosen, r->top, weight);
    if (!r->normalise) return;
    float sum = 0;
    for (size_t i = 0; i < r->top; i++)
        sum += weight[i];
    for (size_t i = 0; i < r->top; i++)
        weight[i] /= sum;
}
