#include "base/vec.h"

#include <string.h>

#include "base/size.h"

bool nnd_vec_grow(void **items, size_t count, size_t *capacity, size_t extra, size_t item_size)
{
    size_t needed, bytes;
    if (!nnd_size_add(count, extra, &needed)) return false;
    if (needed <= *capacity) return true;
    size_t wanted = *capacity < 4 ? 4 : *capacity;
    while (wanted < needed)
        wanted = wanted > SIZE_MAX / 2 ? needed : wanted * 2;
    if (!nnd_size_mul(wanted, item_size, &bytes)) return false;
    void *grown = nnd_realloc(*items, bytes);
    if (!grown) return false;
    *items = grown;
    *capacity = wanted;
    return true;
}

void nnd_vec_put(void *items, size_t at, const void *from, size_t n, size_t item_size)
{
    if (n) memcpy((char *)items + at * item_size, from, n * item_size);
}

void nnd_vec_copy(void *to, const void *from, size_t size)
{
    if (size) memcpy(to, from, size);
}
