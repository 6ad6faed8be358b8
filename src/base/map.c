/* Text → pointer: entries in order of insertion, found through an open-addressing table. */
#include "base/map.h"

#include <string.h>

#include "base/hash.h"
#include "base/str.h"
#include "base/vec.h"

/* Position in slots: where the key is, or the free slot where it belongs. */
static size_t find_slot(const nnd_map *map, const char *key, size_t size, uint64_t hash)
{
    size_t mask = map->slot_count - 1;
    for (size_t at = (size_t)hash & mask;; at = (at + 1) & mask) {
        uint32_t slot = map->slots[at];
        if (slot == 0) return at;
        const nnd_map_entry *e = &map->entries[slot - 1];
        if (e->hash == hash && strncmp(e->key, key, size) == 0 && e->key[size] == '\0') return at;
    }
}

static void fill_slots(nnd_map *map)
{
    memset(map->slots, 0, map->slot_count * sizeof(map->slots[0]));
    size_t mask = map->slot_count - 1;
    for (size_t i = 0; i < map->count; i++) {
        size_t at = (size_t)map->entries[i].hash & mask;
        while (map->slots[at])
            at = (at + 1) & mask;
        map->slots[at] = (uint32_t)(i + 1);
    }
}

/* Keeps the table at most half full. */
static bool grow_slots(nnd_map *map)
{
    if (map->slots && (map->count + 1) * 2 <= map->slot_count) return true;
    if (map->count >= UINT32_MAX / 4) return false;
    size_t wanted = map->slot_count ? map->slot_count * 2 : 16;
    uint32_t *slots = nnd_calloc(wanted, sizeof(*slots));
    if (!slots) return false;
    nnd_free(map->slots);
    map->slots = slots;
    map->slot_count = wanted;
    fill_slots(map);
    return true;
}

void nnd_map_clear(nnd_map *map)
{
    for (size_t i = 0; i < map->count; i++)
        nnd_free(map->entries[i].key);
    map->count = 0;
    if (map->slots) memset(map->slots, 0, map->slot_count * sizeof(map->slots[0]));
}

void nnd_map_fini(nnd_map *map)
{
    nnd_map_clear(map);
    nnd_free(map->entries);
    nnd_free(map->slots);
    memset(map, 0, sizeof(*map));
}

void *nnd_map_get_n(const nnd_map *map, const char *key, size_t size)
{
    if (map->count == 0) return NULL;
    uint32_t slot = map->slots[find_slot(map, key, size, nnd_hash64(key, size))];
    return slot ? map->entries[slot - 1].value : NULL;
}

void *nnd_map_get(const nnd_map *map, const char *key)
{
    return nnd_map_get_n(map, key, strlen(key));
}

nnd_status nnd_map_put(nnd_map *map, const char *key, void *value, void **old)
{
    size_t size = strlen(key);
    uint64_t hash = nnd_hash64(key, size);
    if (!grow_slots(map) ||
        !nnd_vec_grow((void **)&map->entries, map->count, &map->capacity, 1, sizeof(nnd_map_entry)))
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a map entry");
    size_t at = find_slot(map, key, size, hash);
    if (old) *old = NULL;
    if (map->slots[at]) {
        nnd_map_entry *e = &map->entries[map->slots[at] - 1];
        if (old) *old = e->value;
        e->value = value;
        return NND_OK;
    }
    char *copy = nnd_strdup_n(key, size);
    if (!copy) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a map entry");
    map->entries[map->count] = (nnd_map_entry){copy, value, hash};
    map->slots[at] = (uint32_t)++map->count;
    return NND_OK;
}

void *nnd_map_remove(nnd_map *map, const char *key)
{
    if (map->count == 0) return NULL;
    size_t size = strlen(key);
    uint32_t slot = map->slots[find_slot(map, key, size, nnd_hash64(key, size))];
    if (!slot) return NULL;
    nnd_map_entry *e = &map->entries[slot - 1];
    void *value = e->value;
    nnd_free(e->key);
    memmove(e, e + 1, (map->count - slot) * sizeof(*e));
    map->count--;
    fill_slots(map); /* positions behind it moved */
    return value;
}
