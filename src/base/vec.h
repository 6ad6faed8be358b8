/*
 * A growable array of any element type:
 *
 *     NND_VEC(int) v = {0};
 *     if (!nnd_vec_push(&v, 42)) …out of memory…
 *     for (size_t i = 0; i < v.count; i++) use(v.items[i]);
 *     nnd_vec_free(&v);
 *
 * The macros evaluate `v` more than once. They return false without memory and leave the vector as
 * it was.
 */
#ifndef NND_BASE_VEC_H
#define NND_BASE_VEC_H

#include "nndeploy/base.h"

#define NND_VEC(type)                                                                              \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count;                                                                              \
        size_t capacity;                                                                           \
    }

/* Makes room for `extra` more elements. */
#define nnd_vec_reserve(v, extra)                                                                  \
    nnd_vec_grow((void **)&(v)->items, (v)->count, &(v)->capacity, (extra), sizeof((v)->items[0]))
#define nnd_vec_push(v, value)                                                                     \
    (nnd_vec_reserve(v, 1) ? ((v)->items[(v)->count++] = (value), true) : false)
/* Appends n elements from an array of the same type. */
#define nnd_vec_append(v, source, n)                                                               \
    (nnd_vec_reserve(v, n)                                                                         \
         ? (nnd_vec_put((v)->items, (v)->count, (source), (n), sizeof((v)->items[0])),             \
            (v)->count += (n), true)                                                               \
         : false)
#define nnd_vec_pop(v)   ((v)->items[--(v)->count])
#define nnd_vec_last(v)  ((v)->items[(v)->count - 1])
#define nnd_vec_clear(v) ((v)->count = 0)
#define nnd_vec_free(v)                                                                            \
    (nnd_free((v)->items), (v)->items = NULL, (v)->count = 0, (v)->capacity = 0, (void)0)

/* The functions behind the macros. */
bool nnd_vec_grow(void **items, size_t count, size_t *capacity, size_t extra, size_t item_size);
/* Copies n elements to position `at`; n == 0 touches neither side, which may be NULL then. */
void nnd_vec_put(void *items, size_t at, const void *from, size_t n, size_t item_size);
void nnd_vec_copy(void *to, const void *from, size_t size); /* memcpy that allows size 0 of NULL */

#endif
