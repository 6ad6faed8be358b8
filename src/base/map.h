/*
 * A map from text to pointer that keeps the order of insertion:
 *
 *     nnd_map m = {0};
 *     NND_TRY(nnd_map_put(&m, "name", value, NULL));
 *     thing *t = nnd_map_get(&m, "name");
 *     for (size_t i = 0; i < m.count; i++) use(m.entries[i].key, m.entries[i].value);
 *     nnd_map_fini(&m);
 *
 * Keys are copied, values borrowed (a value may not be NULL).
 */
#ifndef NND_BASE_MAP_H
#define NND_BASE_MAP_H

#include "nndeploy/base.h"

typedef struct nnd_map_entry {
    char *key;
    void *value;
    uint64_t hash;
} nnd_map_entry;

typedef struct nnd_map {
    nnd_map_entry *entries; /* in order of insertion */
    size_t count;
    size_t capacity;
    uint32_t *slots;   /* index + 1 into entries, 0 = free */
    size_t slot_count; /* a power of two */
} nnd_map;

void nnd_map_fini(nnd_map *map); /* frees keys and tables, not values */
void nnd_map_clear(nnd_map *map);
void *nnd_map_get(const nnd_map *map, const char *key); /* NULL when absent */
void *nnd_map_get_n(const nnd_map *map, const char *key, size_t size);
/* Inserts or replaces; the replaced value goes to *old (NULL when new; old may be NULL). */
nnd_status nnd_map_put(nnd_map *map, const char *key, void *value, void **old);
/* Removes and returns the value, NULL when absent. The order of the others stays; O(count). */
void *nnd_map_remove(nnd_map *map, const char *key);

#endif
