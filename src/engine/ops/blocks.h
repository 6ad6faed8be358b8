/*
 * Element-wise work in any dtype: elements are converted, a block at a time, into one of four types
 * to compute in, and back.
 */
#ifndef NND_ENGINE_OPS_BLOCKS_H
#define NND_ENGINE_OPS_BLOCKS_H

#include "engine/ops/op.h"

typedef enum nnd_class {
    NND_IN_F32 = 0,
    NND_IN_F64,
    NND_IN_I64,
    NND_IN_U64,
    NND_IN_COUNT
} nnd_class;

/* f16, bf16 and float8 compute in f32; integers in 64 bits with wrap-around on the way back. */
nnd_class nnd_class_of(nnd_dtype dtype);

enum { NND_BLOCK = 256 };
typedef union nnd_block_memory {
    float f32[NND_BLOCK];
    double f64[NND_BLOCK];
    int64_t i64[NND_BLOCK];
    uint64_t u64[NND_BLOCK];
} nnd_block_memory;

/* n ≤ NND_BLOCK elements from `index` on, `stride` elements apart (0 = one element, repeated).
   Returns a pointer into the tensor itself when nothing has to be converted. */
const void *nnd_block_load(nnd_class in, nnd_dtype dtype, const void *data, size_t index,
                           size_t stride, size_t n, nnd_block_memory *memory);
void nnd_block_store(nnd_class in, nnd_dtype dtype, void *data, size_t index, size_t n,
                     const void *block);

/* Broadcasting of up to three operands over one result: dimensions are merged where all operands
   allow it, so that the innermost run is as long as possible. */
enum { NND_MAX_OPERANDS = 3 };
typedef struct nnd_broadcast {
    int rank; /* of the merged shape, ≥ 1 */
    size_t dims[NND_MAX_RANK];
    size_t strides[NND_MAX_OPERANDS][NND_MAX_RANK]; /* elements; 0 = repeated */
    size_t operands, total;
} nnd_broadcast;
void nnd_broadcast_init(nnd_broadcast *b, const nnd_tensor *out, const nnd_tensor *const *in,
                        size_t operands);
/* Calls fn for each run of [begin, end) of the result that is regular in every operand: operand k
   starts at at[k] and steps by b->strides[k][rank − 1]. */
typedef void (*nnd_run_fn)(void *user, size_t out, const size_t *at, size_t n);
void nnd_broadcast_runs(const nnd_broadcast *b, size_t begin, size_t end, nnd_run_fn fn,
                        void *user);

#endif
