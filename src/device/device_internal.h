/* What the files of this room share. */
#ifndef NND_DEVICE_DEVICE_INTERNAL_H
#define NND_DEVICE_DEVICE_INTERNAL_H

#include <stdatomic.h>

#include "device/device_ops.h"

#define NND_DEFAULT_ALIGNMENT 64
#define NND_DEFAULT_PADDING   64

struct nnd_device {
    const nnd_device_ops *ops;
    void *self;
    nnd_device_info info;
};

typedef struct nnd_pool_class nnd_pool_class;

/* Where the bytes of a buffer come from, and so how they are given back. */
typedef enum nnd_buffer_origin {
    NND_BUFFER_OWN,     /* the device's memory */
    NND_BUFFER_SLICE,   /* a window into parent */
    NND_BUFFER_WRAPPED, /* the host program's memory */
    NND_BUFFER_IMPORTED /* a mapping of somebody else's descriptor */
} nnd_buffer_origin;

struct nnd_buffer {
    _Atomic uint32_t refs;
    nnd_buffer_origin origin;
    nnd_memory_kind kind;
    bool read_only;
    nnd_device *device;
    nnd_memory memory; /* the whole block; a slice has a copy of its root's */
    size_t offset;     /* of this buffer in the block */
    size_t bytes;
    _Atomic(nnd_fence *) ready;

    nnd_buffer *parent;                      /* SLICE */
    void (*release)(void *user, void *data); /* WRAPPED, may be NULL */
    void *release_user;
    nnd_pool_class *pool_class; /* NULL = not from a pool */
    nnd_buffer *next_kept;      /* in the pool */
};

/* ---- buffer.c ---- */

/* Fills in the defaults of a description and checks it. */
nnd_status nnd_buffer_desc_resolve(const nnd_buffer_desc *desc, nnd_buffer_desc *out);
/* A buffer of desc->bytes with room for `capacity`; desc is a resolved one. */
nnd_status nnd_buffer_create_sized(const nnd_buffer_desc *desc, size_t capacity, nnd_buffer **out);
/* Calls released(user, NULL) when the memory of an imported buffer has been unmapped: wire then
   tells its owner. To be set before the buffer is shared. */
void nnd_buffer_on_free(nnd_buffer *buffer, void (*released)(void *user, void *data), void *user);
/* Gives the memory back; nobody holds the buffer. */
void nnd_buffer_free(nnd_buffer *buffer);

/* ---- pool.c ---- */

/* Takes a buffer back that nobody holds any more. */
void nnd_pool_take_back(nnd_buffer *buffer);

/* ---- copy.c ---- */

void nnd_count_allocation(void);
/* Copies at once with the device that can reach both sides. */
nnd_status nnd_copy_now(const nnd_copy_side *dst, const nnd_copy_side *src, size_t bytes);

/* ---- fence.c ---- */

/* Waits, and gives up with NND_E_CLOSED when the caller is the only holder left, so that nobody
   can signal the fence any more. */
nnd_status nnd_fence_wait_held(nnd_fence *fence);

/* The first failure among the work of a stream since it was last reported. */
typedef struct nnd_stream_failure {
    nnd_status status;
    nnd_error *record;
} nnd_stream_failure;
/* Remembers a status other than NND_OK, with this thread's record, unless there is one already. */
void nnd_stream_failure_note(nnd_stream_failure *failure, nnd_status status);
void nnd_stream_failure_clear(nnd_stream_failure *failure);
/* Signals the fence with the failure, or with NND_OK. */
void nnd_stream_failure_signal(const nnd_stream_failure *failure, nnd_fence *fence);

/* ---- the devices of this room ---- */

extern const nnd_device_ops nnd_cpu_ops;
/* Adds the simulated devices up to sim:<count-1> that are not there yet. */
nnd_status nnd_simulated_enable(int count, int64_t latency_ns);

#endif
