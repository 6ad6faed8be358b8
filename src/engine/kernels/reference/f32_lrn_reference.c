#include <math.h>

#include "engine/kernels/reference/reference.h"

void nnd_f32_lrn_reference(const nnd_lrn_args *p)
{
    enum { BLOCK = NND_REFERENCE_BLOCK };
    for (size_t i = 0; i < p->pixels; i++) {
        const float *x = p->x + i * BLOCK;
        for (int c = 0; c < BLOCK; c++) {
            double sum = 0;
            for (int k = c + p->first; k <= c + p->last; k++) {
                int lanes = k < 0 ? (p->before ? BLOCK : 0) : k < BLOCK ? p->lanes : p->lanes_after;
                int lane = (k + BLOCK) % BLOCK;
                const float *from = k < 0 ? x - p->plane : k < BLOCK ? x : x + p->plane;
                if (lane < lanes) sum += (double)from[lane] * (double)from[lane];
            }
            double scale = pow((double)p->bias + (double)p->alpha * sum, (double)p->beta);
            p->y[i * BLOCK + (size_t)c] = (float)((double)x[c] / scale);
        }
    }
}
