/* Memory that is given back all at once: `nnd_arena a = {0};`. Not thread-safe. */
#ifndef NND_BASE_ARENA_H
#define NND_BASE_ARENA_H

#include "nndeploy/base.h"

typedef struct nnd_arena_block nnd_arena_block;
typedef struct nnd_arena {
    nnd_arena_block *head;
    size_t used;  /* in head */
    size_t total; /* bytes asked from the allocator */
} nnd_arena;

/* 16-byte aligned; NULL without memory. Size 0 gives a unique pointer. */
void *nnd_arena_alloc(nnd_arena *arena, size_t size);
void *nnd_arena_calloc(nnd_arena *arena, size_t count, size_t size);
char *nnd_arena_strdup(nnd_arena *arena, const char *text);
char *nnd_arena_strdup_n(nnd_arena *arena, const char *text, size_t size);
void nnd_arena_fini(nnd_arena *arena); /* frees everything; the arena is empty and usable again */

#endif
