#include "base/arena.h"

#include <string.h>

#include "base/size.h"

enum { ALIGN = 16, FIRST_BLOCK = 1024, LARGEST_BLOCK = 256 * 1024 };

struct nnd_arena_block {
    nnd_arena_block *next;
    size_t size; /* bytes after the header */
};

/* Rounded up, so that what follows the header is aligned. */
#define HEADER ((sizeof(nnd_arena_block) + ALIGN - 1) / ALIGN * ALIGN)

static nnd_arena_block *add_block(nnd_arena *arena, size_t size)
{
    size_t total;
    if (!nnd_size_add(size, HEADER, &total)) return NULL;
    nnd_arena_block *block = nnd_alloc(total);
    if (!block) return NULL;
    block->size = size;
    block->next = NULL;
    arena->total += total;
    return block;
}

void *nnd_arena_alloc(nnd_arena *arena, size_t size)
{
    size_t rounded;
    if (!nnd_size_align(size ? size : 1, ALIGN, &rounded)) return NULL;
    nnd_arena_block *head = arena->head;
    if (!head || head->size - arena->used < rounded) {
        size_t usual = head ? arena->total : FIRST_BLOCK;
        if (usual > LARGEST_BLOCK) usual = LARGEST_BLOCK;
        nnd_arena_block *block = add_block(arena, rounded > usual ? rounded : usual);
        if (!block) return NULL;
        if (head && rounded > usual) {
            /* A large piece gets a block of its own; the rest of the head stays in use. */
            block->next = head->next;
            head->next = block;
            return (char *)block + HEADER;
        }
        block->next = head;
        arena->head = head = block;
        arena->used = 0;
    }
    void *piece = (char *)head + HEADER + arena->used;
    arena->used += rounded;
    return piece;
}

void *nnd_arena_calloc(nnd_arena *arena, size_t count, size_t size)
{
    size_t total;
    if (!nnd_size_mul(count, size, &total)) return NULL;
    void *piece = nnd_arena_alloc(arena, total);
    if (piece && total) memset(piece, 0, total);
    return piece;
}

char *nnd_arena_strdup_n(nnd_arena *arena, const char *text, size_t size)
{
    size_t total;
    if (!nnd_size_add(size, 1, &total)) return NULL;
    char *copy = nnd_arena_alloc(arena, total);
    if (!copy) return NULL;
    if (size) memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

char *nnd_arena_strdup(nnd_arena *arena, const char *text)
{
    return nnd_arena_strdup_n(arena, text, strlen(text));
}

void nnd_arena_fini(nnd_arena *arena)
{
    nnd_arena_block *block = arena->head;
    while (block) {
        nnd_arena_block *next = block->next;
        nnd_free(block);
        block = next;
    }
    memset(arena, 0, sizeof(*arena));
}
