/* The host's processor as a device: plain, shared and page-aligned memory; streams work at once. */
#include <stdio.h>
#include <string.h>

#include "base/port_status.h"
#include "device/device_internal.h"
#include "port/port.h"

static nnd_status cpu_probe(void *self, nnd_device_info *info)
{
    (void)self;
    snprintf(info->description, sizeof info->description, "host processor, %u usable",
             (unsigned)nnd_port_cpu_count());
    info->memory_kinds = 1u << NND_MEM_HOST | 1u << NND_MEM_SHARED | 1u << NND_MEM_PINNED;
    return NND_OK;
}

/* ---- memory -------------------------------------------------------------------------------- */

static nnd_status alloc_shared(size_t bytes, size_t alignment, nnd_memory *out)
{
    if (alignment > nnd_port_page_size())
        return nnd_error_set(NND_E_UNSUPPORTED, "shared memory is aligned to %zu bytes, not %zu",
                             nnd_port_page_size(), alignment);
    nnd_port_fd fd;
    NND_TRY(
        nnd_error_from_port(nnd_port_shm_create(bytes, &fd), "cannot create shared memory", NULL));
    nnd_status status = nnd_error_from_port(nnd_port_shm_map(fd, bytes, true, &out->data),
                                            "cannot map shared memory", NULL);
    if (status != NND_OK) {
        nnd_port_fd_close(fd);
        return status;
    }
    out->fd = fd;
    out->mapped = bytes;
    return NND_OK;
}

static nnd_status cpu_memory_alloc(void *self, nnd_memory_kind kind, size_t bytes, size_t alignment,
                                   nnd_memory *out)
{
    (void)self;
    *out = (nnd_memory){.fd = -1};
    if (kind == NND_MEM_SHARED) {
        NND_TRY(alloc_shared(bytes, alignment, out));
    } else {
        size_t page = nnd_port_page_size();
        if (kind == NND_MEM_PINNED && alignment < page) alignment = page;
        out->data = nnd_alloc_aligned(bytes, alignment);
        if (!out->data)
            return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a buffer of %zu bytes", bytes);
    }
    out->address = (uint64_t)(uintptr_t)out->data;
    return NND_OK;
}

static void cpu_memory_free(void *self, nnd_memory_kind kind, nnd_memory *memory)
{
    (void)self;
    if (kind == NND_MEM_SHARED) {
        nnd_port_shm_unmap(memory->data, memory->mapped);
        nnd_port_fd_close(memory->fd);
    } else {
        nnd_free_aligned(memory->data);
    }
}

static nnd_status cpu_copy(void *self, const nnd_copy_side *dst, const nnd_copy_side *src,
                           size_t bytes)
{
    (void)self;
    if (bytes == 0) return NND_OK;
    /* The two ranges may be windows of one block. */
    memmove((char *)dst->memory->data + dst->offset, (const char *)src->memory->data + src->offset,
            bytes);
    return NND_OK;
}

/* ---- streams: all work is done by the caller, at once -------------------------------------- */

static nnd_status cpu_stream_create(void *self, void **stream)
{
    (void)self;
    *stream = nnd_calloc(1, sizeof(nnd_stream_failure));
    if (!*stream) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a stream on 'cpu'");
    return NND_OK;
}

static void cpu_stream_destroy(void *self, void *stream)
{
    (void)self;
    nnd_stream_failure_clear(stream);
    nnd_free(stream);
}

static nnd_status cpu_stream_call(void *self, void *stream, nnd_status (*fn)(void *user),
                                  void *user)
{
    (void)self;
    nnd_stream_failure *failure = stream;
    if (failure->status == NND_OK) nnd_stream_failure_note(failure, fn(user));
    return NND_OK;
}

static nnd_status cpu_stream_copy(void *self, void *stream, const nnd_copy_side *dst,
                                  const nnd_copy_side *src, size_t bytes, nnd_fence *fence,
                                  void (*done)(void *user), void *user)
{
    (void)self;
    nnd_stream_failure *failure = stream;
    if (failure->status == NND_OK) nnd_stream_failure_note(failure, nnd_copy_now(dst, src, bytes));
    nnd_stream_failure_signal(failure, fence);
    done(user);
    return NND_OK;
}

static nnd_status cpu_stream_record(void *self, void *stream, nnd_fence *fence)
{
    (void)self;
    nnd_stream_failure_signal(stream, fence);
    nnd_stream_failure_clear(stream);
    return NND_OK;
}

static nnd_status cpu_stream_wait(void *self, void *stream, nnd_fence *fence)
{
    (void)self;
    nnd_stream_failure_note(stream, nnd_fence_wait(fence, NULL));
    return NND_OK;
}

const nnd_device_ops nnd_cpu_ops = {
    .size = sizeof(nnd_device_ops),
    .kind = "cpu",
    .probe = cpu_probe,
    .memory_alloc = cpu_memory_alloc,
    .memory_free = cpu_memory_free,
    .copy = cpu_copy,
    .stream_create = cpu_stream_create,
    .stream_destroy = cpu_stream_destroy,
    .stream_call = cpu_stream_call,
    .stream_copy = cpu_stream_copy,
    .stream_record = cpu_stream_record,
    .stream_wait = cpu_stream_wait,
};
