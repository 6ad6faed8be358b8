/* Which experts of a mixture get a token, and how much of each one's answer counts. */
#ifndef NND_ENGINE_OPS_MOE_ROUTE_H
#define NND_ENGINE_OPS_MOE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NND_MOST_EXPERTS = 1024 };

typedef struct nnd_routing {
    size_t experts, top; /* 1 ≤ top ≤ experts ≤ NND_MOST_EXPERTS */
    bool normalise;      /* the weights of the chosen ones sum up to 1 */
    bool sparse_mixer;   /* top is 2: https://arxiv.org/abs/2310.00811, nothing being trained */
} nnd_routing;

/* The indices of the `top` largest of n values, the largest first; of equal ones the first or the
   last. NaN is below everything. */
void nnd_top_few(const float *x, size_t n, size_t top, bool last, uint32_t *index);

/* One token: `logits` of all experts choose (of equal ones the last, as ONNX Runtime does on CPUs),
   and are weighed by their softmax. `shares` (NULL =
   none) are weights for all experts that take the place of the softmax. chosen and weight have room
   for `top`. */
void nnd_route(const nnd_routing *r, const float *logits, const float *shares, uint32_t *chosen,
               float *weight);

#endif
