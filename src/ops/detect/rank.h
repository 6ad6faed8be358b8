/* Sorting by score, best first, ties in the order of the indices; scores must not be NaN. */
#ifndef NND_OPS_RANK_H
#define NND_OPS_RANK_H

#include <stdlib.h>

typedef struct nnd_ranked {
    float score;
    size_t index;
} nnd_ranked;

static inline int nnd_ranked_compare(const void *a, const void *b)
{
    const nnd_ranked *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static inline void nnd_ranked_sort(nnd_ranked *items, size_t count)
{
    qsort(items, count, sizeof(*items), nnd_ranked_compare);
}

#endif
