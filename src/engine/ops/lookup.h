/* Tables from keys to numbers: elements of a tensor, or runs of them, to their index. */
#ifndef NND_ENGINE_OPS_LOOKUP_H
#define NND_ENGINE_OPS_LOOKUP_H

#include "engine/ops/op.h"

#define NND_LOOKUP_NONE SIZE_MAX

typedef struct nnd_lookup {
    nnd_tensor keys; /* borrowed: dense, whole bytes; stays as long as the table */
    size_t slot_count;
    uint32_t *slots; /* key index + 1; 0 = free */
} nnd_lookup;

/* Every element is a key; the first of equal ones counts. NaN equals NaN, +0 equals −0. */
nnd_status nnd_lookup_init(nnd_lookup *l, const nnd_tensor *keys);
void nnd_lookup_fini(nnd_lookup *l);
/* Index of the key that equals element `at` of t, which is of the keys' type. */
size_t nnd_lookup_find(const nnd_lookup *l, const nnd_tensor *t, size_t at);

/* Element i of a and k of b, of the same type, are the same key. */
bool nnd_same_element(const nnd_tensor *a, size_t i, const nnd_tensor *b, size_t k);
uint64_t nnd_hash_element(const nnd_tensor *t, size_t i);

#endif
