/*
 * What a kind of device has to do. The processor and the simulated accelerator are written against
 * this table, and so is every device that joins later, from this library or from a plug-in.
 *
 * All functions get the device's own state (`self`) and are called from any thread, several at a
 * time; streams are used by one thread at a time. Memory blocks and ranges have been checked by
 * the caller. Failures set an error record.
 */
#ifndef NND_DEVICE_DEVICE_OPS_H
#define NND_DEVICE_DEVICE_OPS_H

#include "nndeploy/device.h"

/* A block as the device gave it out. The device fills it and gets the same back to release. */
typedef struct nnd_memory {
    void *data;       /* host address, NULL when the host cannot touch it */
    uint64_t address; /* in the device's own space; the host address for host memory */
    void *handle;     /* the device's own */
    intptr_t fd;      /* descriptor of SHARED memory, else -1 */
    size_t mapped;    /* bytes to unmap, SHARED only */
} nnd_memory;

/* One side of a copy: a place in a block of `device` (the host's processor for host memory). */
typedef struct nnd_copy_side {
    nnd_device *device;
    const nnd_memory *memory; /* valid until the copy is done */
    size_t offset;
} nnd_copy_side;

typedef struct nnd_device_ops {
    size_t size; /* = sizeof(nnd_device_ops) as its author saw it */
    const char *kind;

    /* Fills description, memory_bytes, memory_kinds and asynchronous; or says why the device
       cannot be used. Called once, before anything else. */
    nnd_status (*probe)(void *self, nnd_device_info *info);

    /* At least `bytes` bytes; alignment is a power of two. kind is one of info.memory_kinds. */
    nnd_status (*memory_alloc)(void *self, nnd_memory_kind kind, size_t bytes, size_t alignment,
                               nnd_memory *out);
    void (*memory_free)(void *self, nnd_memory_kind kind, nnd_memory *memory);

    /* Copies at once; one side or both are this device's memory. */
    nnd_status (*copy)(void *self, const nnd_copy_side *dst, const nnd_copy_side *src,
                       size_t bytes);

    nnd_status (*stream_create)(void *self, void **stream);
    /* Waits for the work in the queue. */
    void (*stream_destroy)(void *self, void *stream);
    nnd_status (*stream_call)(void *self, void *stream, nnd_status (*fn)(void *user), void *user);
    /* Queues a copy and behind it the signal of `fence` with the result of the work so far.
       done(user) is called afterwards in any thread, also when the copy was skipped or failed;
       not when this function fails. The sides are copied, their blocks stay until done. */
    nnd_status (*stream_copy)(void *self, void *stream, const nnd_copy_side *dst,
                              const nnd_copy_side *src, size_t bytes, nnd_fence *fence,
                              void (*done)(void *user), void *user);
    /* Signals the fence with the result of the work before it, which ends the skipping that a
       failure began. Like the others, keeps its own reference to the fence until then. */
    nnd_status (*stream_record)(void *self, void *stream, nnd_fence *fence);
    nnd_status (*stream_wait)(void *self, void *stream, nnd_fence *fence);
} nnd_device_ops;

/* Adds a device under a name that is not taken: NND_E_EXISTS, NND_E_LIMIT, or what probe says.
   `self` has to stay for the life of the process. Any thread. */
nnd_status nnd_device_register(const nnd_device_ops *ops, const char *name, void *self,
                               nnd_device **out);

#endif
