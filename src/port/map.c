/* Which file a mapping is of: who gets only the bytes can still ask. */
#include "port/internal.h"

typedef struct known_map {
    struct known_map *next;
    const void *data;
    size_t size;
    nnd_port_file_info info;
} known_map;

static struct {
    nnd_port_mutex lock;
    known_map *first;
} maps = {.lock = NND_PORT_MUTEX_INIT};

int nnd_port_map_remember(const nnd_port_map *map, const nnd_port_file_info *info)
{
    if (!map->data) return 0;
    known_map *known = nnd_port_alloc(sizeof *known);
    if (!known) return NND_PORT_E_MEMORY;
    *known = (known_map){.data = map->data, .size = map->size, .info = *info};
    nnd_port_mutex_lock(&maps.lock);
    known->next = maps.first;
    maps.first = known;
    nnd_port_mutex_unlock(&maps.lock);
    return 0;
}

/* The link that points to the mapping at `data`, or the last one. Under the lock. */
static known_map **find(const void *data)
{
    known_map **link = &maps.first;
    while (*link && (*link)->data != data)
        link = &(*link)->next;
    return link;
}

void nnd_port_map_drop(const nnd_port_map *map)
{
    if (!map->data) return;
    nnd_port_mutex_lock(&maps.lock);
    known_map **link = find(map->data), *known = *link;
    if (known) *link = known->next;
    nnd_port_mutex_unlock(&maps.lock);
    nnd_port_free(known);
}

int nnd_port_map_info(const void *data, size_t size, nnd_port_file_info *out)
{
    int rc = NND_PORT_E_NOT_FOUND;
    nnd_port_mutex_lock(&maps.lock);
    const known_map *known = data ? *find(data) : NULL;
    if (known && known->size == size) {
        *out = known->info;
        rc = 0;
    }
    nnd_port_mutex_unlock(&maps.lock);
    return rc;
}
