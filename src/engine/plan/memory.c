#include "engine/plan/memory.h"

#include <stdlib.h>

#include "base/size.h"

/* Beyond so many items the search among all placed ones would cost more than the memory is worth:
   what comes later (the smallest) goes to the end. */
enum { SEARCHED_ITEMS = 16384 };

static int by_size(const void *a, const void *b)
{
    const nnd_memory_item *x = *(nnd_memory_item *const *)a, *y = *(nnd_memory_item *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x < y ? -1 : x > y;
}

static bool overlap(const nnd_memory_item *a, const nnd_memory_item *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static size_t rounded(const nnd_memory_item *item)
{
    return (item->bytes + NND_MEMORY_ALIGN - 1) & ~(size_t)(NND_MEMORY_ALIGN - 1);
}

/* `placed` is kept in order of offsets. */
static void insert_by_offset(nnd_memory_item **placed, size_t count, nnd_memory_item *item)
{
    size_t at = count;
    while (at > 0 && placed[at - 1]->offset > item->offset) {
        placed[at] = placed[at - 1];
        at--;
    }
    placed[at] = item;
}

static size_t best_hole(nnd_memory_item *const *placed, size_t count, const nnd_memory_item *item)
{
    size_t want = rounded(item), end = 0, best = SIZE_MAX, best_size = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        const nnd_memory_item *p = placed[i];
        if (!overlap(p, item)) continue;
        if (p->offset > end && p->offset - end >= want && p->offset - end < best_size) {
            best = end;
            best_size = p->offset - end;
        }
        if (p->offset + rounded(p) > end) end = p->offset + rounded(p);
    }
    return best == SIZE_MAX ? end : best;
}

nnd_status nnd_memory_assign(nnd_memory_item *items, size_t count, size_t *total)
{
    *total = 0;
    if (!count) return NND_OK;
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        if (items[i].bytes > SIZE_MAX / 2 || !nnd_size_add(sum, rounded(&items[i]), &sum))
            return nnd_error_set(NND_E_OVERFLOW, "the activations do not fit the address space");
    nnd_memory_item **order = nnd_calloc(count, sizeof(*order));
    nnd_memory_item **placed = nnd_calloc(count, sizeof(*placed));
    if (!order || !placed) {
        nnd_free(order);
        nnd_free(placed);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the memory plan");
    }
    for (size_t i = 0; i < count; i++)
        order[i] = &items[i];
    qsort(order, count, sizeof(*order), by_size);
    for (size_t i = 0; i < count; i++) {
        nnd_memory_item *item = order[i];
        item->offset = i < SEARCHED_ITEMS ? best_hole(placed, i, item) : *total;
        if (i < SEARCHED_ITEMS) insert_by_offset(placed, i, item);
        size_t end = item->offset + rounded(item);
        if (end > *total) *total = end;
    }
    nnd_free(order);
    nnd_free(placed);
    return NND_OK;
}
