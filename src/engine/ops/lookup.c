#include "engine/ops/lookup.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"

bool nnd_same_element(const nnd_tensor *a, size_t i, const nnd_tensor *b, size_t k)
{
    if (a->dtype == NND_STRING) {
        const nnd_string *x = (const nnd_string *)a->data + i, *y = (const nnd_string *)b->data + k;
        return x->size == y->size && (!x->size || memcmp(x->text, y->text, x->size) == 0);
    }
    if (1u << a->dtype & NND_FLOATS) {
        double x = nnd_dtype_get(a->dtype, a->data, i), y = nnd_dtype_get(b->dtype, b->data, k);
        return x == y || (isnan(x) && isnan(y));
    }
    size_t size = nnd_op_element(a->dtype);
    return memcmp((const char *)a->data + i * size, (const char *)b->data + k * size, size) == 0;
}

uint64_t nnd_hash_element(const nnd_tensor *t, size_t i)
{
    if (t->dtype == NND_STRING) {
        const nnd_string *s = (const nnd_string *)t->data + i;
        return nnd_hash64(s->size ? s->text : "", s->size);
    }
    if (1u << t->dtype & NND_FLOATS) {
        double v = nnd_dtype_get(t->dtype, t->data, i);
        v = isnan(v) ? (double)NAN : v == 0 ? 0 : v; /* one form of each */
        return nnd_hash64(&v, sizeof(v));
    }
    size_t size = nnd_op_element(t->dtype);
    return nnd_hash64((const char *)t->data + i * size, size);
}

/* The slot of an equal key, or the free one where it belongs. */
static size_t slot_of(const nnd_lookup *l, const nnd_tensor *t, size_t at)
{
    size_t slot = (size_t)nnd_hash_element(t, at) & (l->slot_count - 1);
    while (l->slots[slot] && !nnd_same_element(&l->keys, l->slots[slot] - 1, t, at))
        slot = (slot + 1) & (l->slot_count - 1);
    return slot;
}

nnd_status nnd_lookup_init(nnd_lookup *l, const nnd_tensor *keys)
{
    size_t count = (size_t)nnd_tensor_count(keys), slots = 16;
    *l = (nnd_lookup){.keys = *keys};
    if (count >= UINT32_MAX / 4) return nnd_error_set(NND_E_LIMIT, "a table of %zu keys", count);
    while (slots < count * 2)
        slots *= 2;
    l->slots = nnd_calloc(slots, sizeof(*l->slots));
    if (!l->slots) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a table of keys");
    l->slot_count = slots;
    for (size_t i = 0; i < count; i++) {
        size_t slot = slot_of(l, keys, i);
        if (!l->slots[slot]) l->slots[slot] = (uint32_t)i + 1;
    }
    return NND_OK;
}

void nnd_lookup_fini(nnd_lookup *l)
{
    nnd_free(l->slots);
    l->slots = NULL;
}

size_t nnd_lookup_find(const nnd_lookup *l, const nnd_tensor *t, size_t at)
{
    uint32_t found = l->slots[slot_of(l, t, at)];
    return found ? found - 1 : NND_LOOKUP_NONE;
}
