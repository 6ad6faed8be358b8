/*
 * nndeploy/device.h: memory kinds, buffers, pools, streams, fences, devices.
 *
 * Sections: 1 devices · 2 buffers · 3 fences and streams · 4 copies · 5 pools
 *
 * Part of nndeploy, Apache-2.0. Compiles alone as C11 and C++17.
 */
#ifndef NNDEPLOY_DEVICE_H
#define NNDEPLOY_DEVICE_H

#include "nndeploy/sched.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- 1 devices ------------------------------------------------------------------------- */

/* Where memory lives. SHARED is host memory that other processes can map (memfd or the like). */
typedef enum nnd_memory_kind {
    NND_MEM_HOST = 0,
    NND_MEM_SHARED = 1,
    NND_MEM_PINNED = 2,
    NND_MEM_DEVICE = 3,
    NND_MEM_DMABUF = 4
} nnd_memory_kind;
NND_API const char *nnd_memory_kind_name(nnd_memory_kind kind); /* "host", "shared", … */

/* A device is named "cpu", "sim:0" (the simulated accelerator), "cuda:0", … Static for the life of
   the process once found. */
typedef struct nnd_device nnd_device;
typedef struct nnd_device_info {
    size_t size;   /* = sizeof(nnd_device_info), set by the caller */
    char name[32]; /* "sim:0" */
    char kind[16]; /* "cpu", "sim", "cuda" */
    char description[128];
    uint64_t memory_bytes; /* 0 = unknown */
    uint32_t memory_kinds; /* bit (1u << nnd_memory_kind) */
    bool asynchronous;     /* work is queued on streams */
} nnd_device_info;

/* The host's processor; never NULL. */
NND_API nnd_device *nnd_device_cpu(void);
/* NND_E_NOT_FOUND with the list of names that exist. The simulated accelerator exists when
   nnd_device_enable_simulated was called or NNDEPLOY_SIMULATED=1 is set. */
NND_API nnd_status nnd_device_find(const char *name, nnd_device **out);
NND_API size_t nnd_device_count(void);
NND_API nnd_device *nnd_device_at(size_t index);
NND_API nnd_status nnd_device_get_info(const nnd_device *device, nnd_device_info *out);
NND_API const char *nnd_device_name(const nnd_device *device);
/* Adds devices "sim:0" … "sim:count-1": separate memory that the host may not touch, asynchronous
   streams (one thread each), fences, a latency per operation. For tests and development. */
NND_API nnd_status nnd_device_enable_simulated(int count, int64_t latency_ns);

/* ---- 2 buffers ------------------------------------------------------------------------- */

/* A piece of memory, reference-counted and thread-safe in its count; its bytes follow the rules of
   the value that holds it. */
typedef struct nnd_buffer nnd_buffer;
typedef struct nnd_pool nnd_pool;
typedef struct nnd_fence nnd_fence;
typedef struct nnd_stream nnd_stream;

typedef struct nnd_buffer_desc {
    size_t size;      /* = sizeof(nnd_buffer_desc) */
    size_t bytes;     /* usable bytes; 0 is allowed */
    size_t alignment; /* power of two; 0 = 64 */
    size_t padding;   /* readable bytes behind the end, 0 = 64 (vector loads may overrun) */
    nnd_memory_kind kind;
    nnd_device *device; /* NULL = cpu */
} nnd_buffer_desc;
/* clang-format off */
#define NND_BUFFER_DESC_INIT {sizeof(nnd_buffer_desc), 0, 0, 0, NND_MEM_HOST, NULL}
/* clang-format on */

NND_API nnd_status nnd_buffer_create(const nnd_buffer_desc *desc, nnd_buffer **out);
/* Wraps foreign memory. release(user, data) is called when the last holder lets go (may be
   NULL). */
NND_API nnd_status nnd_buffer_wrap(void *data, size_t bytes,
                                   void (*release)(void *user, void *data), void *user,
                                   nnd_buffer **out);
/* A window into another buffer, which it keeps alive. NND_E_INVALID_ARGUMENT outside of it. It is
   ready when its own fence is, without one when its parent is; the parent does not wait for the
   fences of its windows. */
NND_API nnd_status nnd_buffer_slice(nnd_buffer *parent, size_t offset, size_t bytes,
                                    nnd_buffer **out);
/* Shared memory by file descriptor (SHARED only): export dups, import takes the descriptor over
   (also on failure) and maps `bytes` of it; read_only maps without write access. Import trusts
   nobody: NND_E_FORMAT when the bytes leave the memory, NND_E_PERMISSION when its owner could
   still shrink it. */
NND_API nnd_status nnd_buffer_export_fd(const nnd_buffer *buffer, int *fd, size_t *offset);
NND_API nnd_status nnd_buffer_import_fd(int fd, size_t offset, size_t bytes, bool read_only,
                                        nnd_buffer **out);
NND_API nnd_buffer *nnd_buffer_ref(nnd_buffer *buffer);
/* Takes NULL; returns to its pool if it has one. */
NND_API void nnd_buffer_unref(nnd_buffer *buffer);
/* Host address; NULL for memory that the host cannot touch. Does not wait for the ready fence. */
NND_API void *nnd_buffer_data(const nnd_buffer *buffer);
/* The address in the buffer's own memory space (device pointer). */
NND_API uint64_t nnd_buffer_device_address(const nnd_buffer *buffer);
NND_API size_t nnd_buffer_size(const nnd_buffer *buffer);
NND_API nnd_memory_kind nnd_buffer_kind(const nnd_buffer *buffer);
NND_API nnd_device *nnd_buffer_device(const nnd_buffer *buffer);
NND_API bool nnd_buffer_is_read_only(const nnd_buffer *buffer);
/* How many hold the buffer now; for a window, also those who hold what it is cut from. 1 means that
   nobody else can see the bytes. */
NND_API uint32_t nnd_buffer_holders(const nnd_buffer *buffer);

/* ---- 3 fences and streams -------------------------------------------------------------- */

/* A fence is signalled once, with NND_OK or with the failure of the work it stands for. */
NND_API nnd_status nnd_fence_create(nnd_fence **out);
NND_API nnd_fence *nnd_fence_ref(nnd_fence *fence);
NND_API void nnd_fence_unref(nnd_fence *fence);
NND_API void nnd_fence_signal(nnd_fence *fence, nnd_status status);
NND_API bool nnd_fence_is_signalled(const nnd_fence *fence);
/* Waits until signalled, cancelled or past the token's deadline; NULL fence = ready. */
NND_API nnd_status nnd_fence_wait(nnd_fence *fence, const nnd_cancel *cancel);
/* The fence after which the buffer's bytes are valid; NULL = ready. set takes its own reference. */
NND_API void nnd_buffer_set_ready(nnd_buffer *buffer, nnd_fence *fence);
NND_API nnd_fence *nnd_buffer_ready(const nnd_buffer *buffer); /* borrowed */
NND_API nnd_status nnd_buffer_wait(nnd_buffer *buffer, const nnd_cancel *cancel);

/* An in-order queue of work on one device; used by one thread at a time. On "cpu" work is done at
   once. When something on it fails (a function, a copy, a fence that it waits for), what is queued
   behind is skipped, up to the next nnd_stream_record or nnd_stream_synchronize, which reports the
   failure with its error record and ends it. */
NND_API nnd_status nnd_stream_create(nnd_device *device, nnd_stream **out);
NND_API void nnd_stream_destroy(nnd_stream *stream); /* waits for queued work; takes NULL */
NND_API nnd_device *nnd_stream_device(const nnd_stream *stream);
/* Queues a host function behind the work before it (how the simulated accelerator computes: fn may
   touch that device's memory through nnd_device_sim_data). */
NND_API nnd_status nnd_stream_call(nnd_stream *stream, nnd_status (*fn)(void *user), void *user);
/* A fence that is signalled when all work queued so far is done; the caller owns it. */
NND_API nnd_status nnd_stream_record(nnd_stream *stream, nnd_fence **out);
/* Work queued afterwards starts when the fence is signalled. Fails with NND_E_CLOSED, on the
   stream, when everybody who could signal it has given the fence up. */
NND_API nnd_status nnd_stream_wait_fence(nnd_stream *stream, nnd_fence *fence);
NND_API nnd_status nnd_stream_synchronize(nnd_stream *stream, const nnd_cancel *cancel);
/* Address of a simulated device's memory; valid only inside a function queued on its stream, NULL
   with an error record (NND_E_STATE, NND_E_TYPE) elsewhere. */
NND_API void *nnd_device_sim_data(const nnd_buffer *buffer);

/* ---- 4 copies -------------------------------------------------------------------------- */

/* Copies between any two kinds of memory, on `stream` (NULL = done when it returns). Waits for the
   source's ready fence, sets the destination's. Every call counts. */
NND_API nnd_status nnd_buffer_copy(nnd_buffer *dst, size_t dst_offset, nnd_buffer *src,
                                   size_t src_offset, size_t bytes, nnd_stream *stream);
typedef struct nnd_copy_stats {
    uint64_t copies; /* calls of nnd_buffer_copy and counted host copies */
    uint64_t bytes;
    uint64_t transfers;   /* those between different memory spaces */
    uint64_t allocations; /* buffers that came from the system, not from a pool */
} nnd_copy_stats;
/* Process-wide counters since start. */
NND_API void nnd_copy_get_stats(nnd_copy_stats *out);
/* Code that copies payload bytes by other means reports it here. */
NND_API void nnd_copy_count(uint64_t bytes);

/* ---- 5 pools --------------------------------------------------------------------------- */

/* Recycles buffers of equal description. soft_limit: bytes kept for re-use; asking for more never
   blocks and never fails for the limit's sake: what is above it is freed when it comes back.
   A pool may be destroyed while its buffers live. Thread-safe. */
NND_API nnd_status nnd_pool_create(size_t soft_limit, nnd_pool **out);
NND_API void nnd_pool_destroy(nnd_pool *pool);
NND_API nnd_status nnd_pool_get(nnd_pool *pool, const nnd_buffer_desc *desc, nnd_buffer **out);
typedef struct nnd_pool_stats {
    uint64_t hits, misses; /* requests served by re-use / by a new allocation */
    size_t kept_bytes;     /* idle in the pool now */
    size_t live_bytes;     /* handed out now */
} nnd_pool_stats;
NND_API void nnd_pool_get_stats(const nnd_pool *pool, nnd_pool_stats *out);

#ifdef __cplusplus
}
#endif
#endif
