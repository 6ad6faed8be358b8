/*
 * The packed weights of a model: what operators rearrange at load into the form that their kernels
 * read. One store per model hands out their memory, which is private, or lies in a file of a cache
 * folder that is mapped read-only: every process that maps it reads the same pages, and nothing
 * is packed.
 *
 *     create → (open) → take, once per operator in the order of the graph → seal → … → destroy
 *
 * A cache file that is missing, stale, foreign or damaged costs nothing but the packing: it is
 * written anew, or, where that is impossible, done without. It is never changed in place.
 */
#ifndef NND_ENGINE_PACKED_PACKED_H
#define NND_ENGINE_PACKED_PACKED_H

#include "base/hash.h"
#include "engine/engine.h"
#include "engine/graph/graph.h"

typedef struct nnd_packed nnd_packed;

/* The weights of one operator: aligned for kernels, constant once the operator is prepared. The
   struct stays where it is until destroy; `data` moves in seal. */
typedef struct nnd_packed_blob {
    const void *data;
    size_t bytes;
} nnd_packed_blob;

/* What all bytes of a model's packed weights follow from, see nnd_packed_key_of. */
typedef struct nnd_packed_key {
    uint8_t bytes[NND_SHA256_SIZE];
} nnd_packed_key;

nnd_status nnd_packed_create(nnd_packed **out);
void nnd_packed_destroy(nnd_packed *packed); /* takes NULL */

/* Before the first take: looks for the weights of `key` in the folder, and has seal write them
   there. max_bytes bounds the folder, 0 = NND_PACKED_FOLDER_BYTES. `name` is the model's in the
   log. Failures are told there; what remains is a store without a cache. */
#define NND_PACKED_FOLDER_BYTES ((uint64_t)4 << 30)
void nnd_packed_open(nnd_packed *packed, const char *folder, uint64_t max_bytes,
                     const nnd_packed_key *key, const char *name);

/* The memory of the node's weights in graph->packed. *fill is where the caller packs them now, or
   NULL when they are there already. `form` names the way of packing. NND_E_OUT_OF_MEMORY. */
nnd_status nnd_packed_take(nnd_graph *graph, const nnd_graph_node *node, const char *form,
                           size_t bytes, nnd_packed_blob **out, void **fill);

/* After the last take: what was packed goes to the cache folder, and is read from there from now
   on. Does nothing without a folder, or when all weights came from there. */
void nnd_packed_seal(nnd_packed *packed);

uint64_t nnd_packed_bytes(const nnd_packed *packed);        /* of all weights */
uint64_t nnd_packed_mapped_bytes(const nnd_packed *packed); /* of those in a mapped file */

/* A file of the model, in memory. */
typedef struct nnd_packed_source {
    const void *data;
    size_t size;
} nnd_packed_source;

/* What a model's packed weights are made from. */
typedef struct nnd_packed_origin {
    const nnd_packed_source *files; /* that describe all of the model */
    size_t file_count;
    uint32_t passes;
    const nnd_engine_kernel *kernels; /* wanted instead of the cost model's choice */
    size_t kernel_count;
    bool bf16; /* products in bf16 are allowed */
} nnd_packed_origin;

/* The key of what this build makes of them with the instruction set in force. A file that port
   mapped is known by its identity (inode, size, times) where that is one: its bytes are not read.
   Other bytes are hashed. */
void nnd_packed_key_of(const nnd_packed_origin *origin, nnd_packed_key *out);

#endif
