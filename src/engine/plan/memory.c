#include "engine/plan/memory.h"

#include <stdlib.h>

#include "base/size.h"

/* Beyond so many items the search among all placed ones would cost more than the memory is worth:
   what comes later (the smallest) goes to the end. */
enum { SEARCHED_ITEMS = 16384 };
/* Beyond so many items one order has to do. */
enum { ORDERED_ITEMS = 2048 };

static int by_size(const void *a, const void *b)
{
    const nnd_memory_item *x = *(nnd_memory_item *const *)a, *y = *(nnd_memory_item *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Bytes times steps, largest first: what blocks most of the room. */
static int by_area(const void *a, const void *b)
{
    const nnd_memory_item *x = *(nnd_memory_item *const *)a, *y = *(nnd_memory_item *const *)b;
    double p = (double)x->bytes * ((double)(x->last - x->first) + 1);
    double q = (double)y->bytes * ((double)(y->last - y->first) + 1);
    return p < q ? 1 : p > q ? -1 : by_size(a, b);
}

static int by_birth(const void *a, const void *b)
{
    const nnd_memory_item *x = *(nnd_memory_item *const *)a, *y = *(nnd_memory_item *const *)b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return by_size(a, b);
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

/* What lives at the same time: no order can do with less. */
static size_t least_total(const nnd_memory_item *items, size_t count)
{
    size_t most = 0;
    for (size_t i = 0; i < count; i++) {
        size_t sum = 0;
        for (size_t k = 0; k < count; k++)
            if (items[k].first <= items[i].first && items[i].first <= items[k].last)
                sum += rounded(&items[k]);
        if (sum > most) most = sum;
    }
    return most;
}

typedef int (*item_order)(const void *a, const void *b);

/* Scratch of `count` pointers each: the order of placing, and what is placed by offset. */
static size_t place(nnd_memory_item **order, nnd_memory_item **placed, size_t count,
                    item_order compare)
{
    size_t total = 0;
    qsort(order, count, sizeof(nnd_memory_item *), compare);
    for (size_t i = 0; i < count; i++) {
        nnd_memory_item *item = order[i];
        item->offset = i < SEARCHED_ITEMS ? best_hole(placed, i, item) : total;
        if (i < SEARCHED_ITEMS) insert_by_offset(placed, i, item);
        size_t end = item->offset + rounded(item);
        if (end > total) total = end;
    }
    return total;
}

/* By size as a rule; where that wastes something, in the order that wastes least. */
static size_t place_best(const nnd_memory_item *items, nnd_memory_item **order,
                         nnd_memory_item **placed, size_t count)
{
    static const item_order others[] = {by_area, by_birth};
    size_t best = place(order, placed, count, by_size);
    size_t least = count <= ORDERED_ITEMS ? least_total(items, count) : best;
    item_order chosen = by_size, latest = by_size;
    for (size_t i = 0; i < NND_COUNT(others) && best > least; i++) {
        size_t total = place(order, placed, count, latest = others[i]);
        if (total < best) chosen = others[i];
        if (total < best) best = total;
    }
    return chosen == latest ? best : place(order, placed, count, chosen);
}

nnd_status nnd_memory_assign(nnd_memory_item *items, size_t count, size_t *total)
{
    *total = 0;
    if (!count) return NND_OK;
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        if (items[i].bytes > SIZE_MAX / 2 || !nnd_size_add(sum, rounded(&items[i]), &sum))
            return nnd_error_set(NND_E_OVERFLOW, "the activations do not fit the address space");
    nnd_memory_item **order = nnd_calloc(2 * count, sizeof(*order));
    if (!order) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the memory plan");
    for (size_t i = 0; i < count; i++)
        order[i] = &items[i];
    *total = place_best(items, order, order + count, count);
    nnd_free(order);
    return NND_OK;
}
