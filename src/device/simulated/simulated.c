/*
 * The simulated accelerator: a device for tests that punishes what a real one would punish.
 *
 * Its memory has addresses that no host pointer can have, so touching it from the host faults;
 * only work on its own streams sees the bytes. Each stream is a thread that works off a queue, and
 * each operation takes the configured latency before it begins.
 */
#include <stdio.h>
#include <string.h>

#include "base/port_status.h"
#include "device/device_internal.h"
#include "port/port.h"

/* Above the user half of the address space of every 64-bit processor we run on. */
#define FIRST_ADDRESS (UINT64_C(1) << 63)
#define PAGE          UINT64_C(4096)

typedef struct simulated_device {
    int index;
} simulated_device;

static simulated_device simulated[64];
static int simulated_count;
static _Atomic int64_t latency;
static _Atomic uint64_t next_address = FIRST_ADDRESS;
static nnd_port_mutex enable_lock = NND_PORT_MUTEX_INIT;

/* The device whose work this thread does now. */
static nnd_port_thread_local const simulated_device *working_for;

static nnd_status simulated_probe(void *self, nnd_device_info *info)
{
    const simulated_device *device = self;
    snprintf(info->description, sizeof info->description,
             "simulated accelerator %d: separate memory, asynchronous streams", device->index);
    info->memory_kinds = 1u << NND_MEM_DEVICE | 1u << NND_MEM_PINNED;
    info->asynchronous = true;
    return NND_OK;
}

/* ---- memory -------------------------------------------------------------------------------- */

static nnd_status simulated_memory_alloc(void *self, nnd_memory_kind kind, size_t bytes,
                                         size_t alignment, nnd_memory *out)
{
    if (kind == NND_MEM_PINNED) return nnd_cpu_ops.memory_alloc(NULL, kind, bytes, alignment, out);
    const simulated_device *device = self;
    *out = (nnd_memory){.fd = -1};
    out->handle = nnd_alloc_aligned(bytes, alignment);
    if (!out->handle)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a buffer of %zu bytes on 'sim:%d'",
                             bytes, device->index);
    uint64_t step = alignment > PAGE ? alignment : PAGE;
    uint64_t room = ((uint64_t)bytes / step + 2) * step;
    out->address = (atomic_fetch_add(&next_address, room) + step - 1) & ~(step - 1);
    return NND_OK;
}

static void simulated_memory_free(void *self, nnd_memory_kind kind, nnd_memory *memory)
{
    (void)self;
    if (kind == NND_MEM_PINNED) {
        nnd_cpu_ops.memory_free(NULL, kind, memory);
    } else {
        nnd_free_aligned(memory->handle);
    }
}

static void take_time(void)
{
    int64_t ns = atomic_load_explicit(&latency, memory_order_relaxed);
    if (ns > 0) nnd_port_sleep(ns);
}

/* The bytes of one side, or NULL for another kind of accelerator's memory. */
static char *side_bytes(const nnd_copy_side *side)
{
    if (side->memory->data) return (char *)side->memory->data + side->offset;
    if (strcmp(side->device->info.kind, "sim") != 0) return NULL;
    return (char *)side->memory->handle + side->offset;
}

static nnd_status simulated_copy(void *self, const nnd_copy_side *dst, const nnd_copy_side *src,
                                 size_t bytes)
{
    (void)self;
    char *to = side_bytes(dst);
    const char *from = side_bytes(src);
    if (!to || !from)
        return nnd_error_set(NND_E_UNSUPPORTED, "cannot copy from '%s' to '%s' directly",
                             nnd_device_name(src->device), nnd_device_name(dst->device));
    take_time();
    memmove(to, from, bytes);
    return NND_OK;
}

void *nnd_device_sim_data(const nnd_buffer *buffer)
{
    if (!buffer || buffer->kind != NND_MEM_DEVICE ||
        strcmp(buffer->device->info.kind, "sim") != 0) {
        nnd_error_set(NND_E_TYPE, "nnd_device_sim_data: not memory of a simulated device");
        return NULL;
    }
    if (working_for != buffer->device->self) {
        nnd_error_set(NND_E_STATE, "memory of '%s' was touched outside of its streams",
                      buffer->device->info.name);
        return NULL;
    }
    return (char *)buffer->memory.handle + buffer->offset;
}

/* ---- streams ------------------------------------------------------------------------------- */

typedef enum operation_kind {
    OPERATION_CALL,
    OPERATION_COPY,
    OPERATION_RECORD,
    OPERATION_WAIT
} operation_kind;

typedef struct operation operation;
struct operation {
    operation_kind kind;
    nnd_status (*fn)(void *user); /* CALL */
    void (*done)(void *user);     /* COPY */
    void *user;
    nnd_fence *fence; /* held; COPY, RECORD, WAIT */
    nnd_copy_side dst;
    nnd_copy_side src;
    size_t bytes;
    operation *next;
};

typedef struct simulated_stream {
    simulated_device *device;
    nnd_port_thread *thread;
    nnd_port_mutex lock;
    nnd_port_cond changed;
    operation *first;
    operation **last;
    bool ending;
    nnd_stream_failure failure; /* of the stream's thread */
} simulated_stream;

/* After a failure the work is skipped, up to the fence that reports it. */
static void perform(simulated_stream *stream, operation *op)
{
    nnd_stream_failure *failure = &stream->failure;
    switch (op->kind) {
    case OPERATION_CALL:
        if (failure->status != NND_OK) break;
        take_time();
        nnd_stream_failure_note(failure, op->fn(op->user));
        break;
    case OPERATION_COPY:
        if (failure->status == NND_OK)
            nnd_stream_failure_note(failure,
                                    simulated_copy(stream->device, &op->dst, &op->src, op->bytes));
        nnd_stream_failure_signal(failure, op->fence);
        op->done(op->user);
        break;
    case OPERATION_RECORD:
        nnd_stream_failure_signal(failure, op->fence);
        nnd_stream_failure_clear(failure);
        break;
    case OPERATION_WAIT:
        nnd_stream_failure_note(failure, nnd_fence_wait_held(op->fence));
        break;
    }
    nnd_fence_unref(op->fence);
    nnd_free(op);
}

/* The next operation; NULL when the stream ends and its queue is empty. */
static operation *next_operation(simulated_stream *stream)
{
    nnd_port_mutex_lock(&stream->lock);
    while (!stream->first && !stream->ending)
        nnd_port_cond_wait(&stream->changed, &stream->lock, NND_PORT_FOREVER);
    operation *op = stream->first;
    if (op) {
        stream->first = op->next;
        if (!stream->first) stream->last = &stream->first;
    }
    nnd_port_mutex_unlock(&stream->lock);
    return op;
}

static void stream_main(void *arg)
{
    simulated_stream *stream = arg;
    working_for = stream->device;
    operation *op;
    while ((op = next_operation(stream)) != NULL)
        perform(stream, op);
    nnd_error_clear();
}

static nnd_status enqueue(simulated_stream *stream, const operation *content)
{
    operation *op = nnd_alloc(sizeof *op);
    if (!op)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to queue work on 'sim:%d'",
                             stream->device->index);
    *op = *content;
    op->next = NULL;
    nnd_fence_ref(op->fence);
    nnd_port_mutex_lock(&stream->lock);
    *stream->last = op;
    stream->last = &op->next;
    nnd_port_cond_signal(&stream->changed);
    nnd_port_mutex_unlock(&stream->lock);
    return NND_OK;
}

static nnd_status stream_start(simulated_stream *stream)
{
    int error = nnd_port_mutex_init(&stream->lock);
    if (error != NND_PORT_OK) goto no_lock;
    error = nnd_port_cond_init(&stream->changed);
    if (error != NND_PORT_OK) goto no_cond;
    error = nnd_port_thread_create("nnd-sim", stream_main, stream, &stream->thread);
    if (error == NND_PORT_OK) return NND_OK;
    nnd_port_cond_fini(&stream->changed);
no_cond:
    nnd_port_mutex_fini(&stream->lock);
no_lock:
    return nnd_error_from_port(error, "cannot start a simulated stream", NULL);
}

static nnd_status simulated_stream_create(void *self, void **out)
{
    simulated_stream *stream = nnd_calloc(1, sizeof *stream);
    if (!stream) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a simulated stream");
    stream->device = self;
    stream->last = &stream->first;
    nnd_status status = stream_start(stream);
    if (status != NND_OK) {
        nnd_free(stream);
        return status;
    }
    *out = stream;
    return NND_OK;
}

static void simulated_stream_destroy(void *self, void *impl)
{
    (void)self;
    simulated_stream *stream = impl;
    nnd_port_mutex_lock(&stream->lock);
    stream->ending = true;
    nnd_port_cond_signal(&stream->changed);
    nnd_port_mutex_unlock(&stream->lock);
    nnd_port_thread_join(stream->thread);
    nnd_port_cond_fini(&stream->changed);
    nnd_port_mutex_fini(&stream->lock);
    nnd_stream_failure_clear(&stream->failure);
    nnd_free(stream);
}

static nnd_status simulated_stream_call(void *self, void *stream, nnd_status (*fn)(void *user),
                                        void *user)
{
    (void)self;
    return enqueue(stream, &(operation){.kind = OPERATION_CALL, .fn = fn, .user = user});
}

static nnd_status simulated_stream_copy(void *self, void *stream, const nnd_copy_side *dst,
                                        const nnd_copy_side *src, size_t bytes, nnd_fence *fence,
                                        void (*done)(void *user), void *user)
{
    (void)self;
    return enqueue(stream, &(operation){.kind = OPERATION_COPY,
                                        .dst = *dst,
                                        .src = *src,
                                        .bytes = bytes,
                                        .fence = fence,
                                        .done = done,
                                        .user = user});
}

static nnd_status simulated_stream_record(void *self, void *stream, nnd_fence *fence)
{
    (void)self;
    return enqueue(stream, &(operation){.kind = OPERATION_RECORD, .fence = fence});
}

static nnd_status simulated_stream_wait(void *self, void *stream, nnd_fence *fence)
{
    (void)self;
    return enqueue(stream, &(operation){.kind = OPERATION_WAIT, .fence = fence});
}

static const nnd_device_ops simulated_ops = {
    .size = sizeof(nnd_device_ops),
    .kind = "sim",
    .probe = simulated_probe,
    .memory_alloc = simulated_memory_alloc,
    .memory_free = simulated_memory_free,
    .copy = simulated_copy,
    .stream_create = simulated_stream_create,
    .stream_destroy = simulated_stream_destroy,
    .stream_call = simulated_stream_call,
    .stream_copy = simulated_stream_copy,
    .stream_record = simulated_stream_record,
    .stream_wait = simulated_stream_wait,
};

nnd_status nnd_simulated_enable(int count, int64_t latency_ns)
{
    nnd_status status = NND_OK;
    nnd_port_mutex_lock(&enable_lock);
    atomic_store_explicit(&latency, latency_ns, memory_order_relaxed);
    while (simulated_count < count && status == NND_OK) {
        simulated_device *device = &simulated[simulated_count];
        device->index = simulated_count;
        char name[16];
        snprintf(name, sizeof name, "sim:%d", device->index);
        nnd_device *registered;
        status = nnd_device_register(&simulated_ops, name, device, &registered);
        if (status == NND_OK) simulated_count++;
    }
    nnd_port_mutex_unlock(&enable_lock);
    return status;
}
