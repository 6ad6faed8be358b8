/* Searching the scores of detection heads in plain C; see kernels.h. */
#include <math.h>

#include "ops/kernels/reference/reference.h"

size_t nnd_first_above_reference(const float *src, size_t from, size_t count, const float *bound,
                                 size_t period)
{
    size_t i = from, phase = from % period;
    while (i < count && !(src[i] > bound[phase])) {
        i++;
        if (++phase == period) phase = 0;
    }
    return i;
}

size_t nnd_first_mean_above_reference(const float *a, const float *b, size_t from, size_t count,
                                      float bound)
{
    size_t i = from;
    while (i < count && !(nnd_score_mean(a[i], b[i]) > bound))
        i++;
    return i;
}

size_t nnd_first_product_above_reference(const float *cells, size_t step, size_t from, size_t count,
                                         float bound)
{
    size_t i = from;
    for (; i < count; i++) {
        const float *cell = cells + i * step;
        float top = -INFINITY;
        for (size_t k = NND_CELL_CLASSES; k < step; k++)
            if (cell[k] > top) top = cell[k];
        if (cell[NND_CELL_OBJECT] * top > bound) break;
    }
    return i;
}

size_t nnd_best_f32_reference(const float *src, size_t count)
{
    size_t best = count;
    for (size_t i = 0; i < count; i++)
        if (!isnan(src[i]) && (best == count || src[i] > src[best])) best = i;
    return best;
}
