/*
 * One pool of activation memory per process for the models that ask for it: a run borrows a block
 * and gives it back, so there are as many blocks as runs at the same time, however many models and
 * requests there are. Nothing of a run stays in a block after it.
 */
#ifndef NND_ENGINE_RUNTIME_SHARED_ARENA_H
#define NND_ENGINE_RUNTIME_SHARED_ARENA_H

#include "engine/runtime/exec.h"

typedef struct nnd_shared_block {
    nnd_block arena, lanes;
    struct nnd_shared_block *next; /* in the pool */
} nnd_shared_block;

/* A model that shares holds the pool; the last one to leave frees it. Any thread. */
void nnd_shared_arena_join(void);
void nnd_shared_arena_leave(void);
/* A block that nobody else has until it is given back: the one given back last, or a new one.
   Contents mean nothing. NND_E_OUT_OF_MEMORY. Any thread. */
nnd_status nnd_shared_arena_borrow(nnd_shared_block **out);
void nnd_shared_arena_give_back(nnd_shared_block *block);
/* Bytes of the blocks that are not lent. */
size_t nnd_shared_arena_bytes(void);

#endif
