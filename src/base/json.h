/* The document that json_read.c builds and json_doc.c answers from. */
#ifndef NND_BASE_JSON_H
#define NND_BASE_JSON_H

#include "base/arena.h"

typedef struct nnd_json_member nnd_json_member;

struct nnd_json {
    uint32_t line;
    uint32_t column;
    uint8_t type;  /* nnd_json_type */
    bool truth;    /* NND_JSON_BOOL */
    uint32_t size; /* bytes of a string, elements of an array, members of an object */
    union {
        double number;
        const char *text;
        const nnd_json *items;
        const nnd_json_member *members;
    } u;
};

/* Members lie in the order of the text. Objects beyond NND_JSON_SMALL_OBJECT have an index behind
   the members: their positions (uint32_t), sorted by key. Sorting, not hashing, so that no choice
   of keys makes look-up slow. */
enum { NND_JSON_SMALL_OBJECT = 8 };
struct nnd_json_member {
    const char *key;
    uint32_t key_size;
    uint32_t line;
    uint32_t column;
    nnd_json value;
};

struct nnd_json_doc {
    nnd_arena arena;
    nnd_json root;
};

int nnd_json_compare_keys(const char *a, size_t a_size, const char *b, size_t b_size);
static inline const uint32_t *nnd_json_index(const nnd_json *object)
{
    return (const uint32_t *)(object->u.members + object->size);
}

#endif
