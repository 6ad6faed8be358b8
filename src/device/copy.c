/* Copies between buffers, and the counters that tests use to prove that there are none. */
#include "device/device_internal.h"
#include "device/stream.h"

static _Atomic uint64_t count_copies;
static _Atomic uint64_t count_bytes;
static _Atomic uint64_t count_transfers;
static _Atomic uint64_t count_allocations;

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void nnd_copy_get_stats(nnd_copy_stats *out)
{
    if (!out) return;
    *out = (nnd_copy_stats){.copies = atomic_load(&count_copies),
                            .bytes = atomic_load(&count_bytes),
                            .transfers = atomic_load(&count_transfers),
                            .allocations = atomic_load(&count_allocations)};
}

void nnd_copy_count(uint64_t bytes)
{
    add(&count_copies, 1);
    add(&count_bytes, bytes);
}

void nnd_count_allocation(void)
{
    add(&count_allocations, 1);
}

/* ---- copying ------------------------------------------------------------------------------- */

/* The device whose memory it is; host memory belongs to the processor whoever pinned it. */
static nnd_device *memory_space(const nnd_buffer *buffer)
{
    return buffer->memory.data ? nnd_device_cpu() : buffer->device;
}

static nnd_copy_side side_of(const nnd_buffer *buffer, size_t offset)
{
    return (nnd_copy_side){memory_space(buffer), &buffer->memory, buffer->offset + offset};
}

nnd_status nnd_copy_now(const nnd_copy_side *dst, const nnd_copy_side *src, size_t bytes)
{
    nnd_device *cpu = nnd_device_cpu();
    nnd_device *device = dst->device != cpu ? dst->device : src->device;
    return device->ops->copy(device->self, dst, src, bytes);
}

typedef struct held_pair {
    nnd_buffer *dst;
    nnd_buffer *src;
} held_pair;

static void release_pair(void *user)
{
    held_pair *pair = user;
    nnd_buffer_unref(pair->dst);
    nnd_buffer_unref(pair->src);
    nnd_free(pair);
}

/* Queues the copy; the stream holds both buffers until it is done. */
static nnd_status queue_copy(nnd_stream *stream, nnd_buffer *dst, size_t dst_offset,
                             nnd_buffer *src, size_t src_offset, size_t bytes, nnd_fence *fence)
{
    NND_TRY(nnd_stream_wait_fence(stream, nnd_buffer_ready(src)));
    nnd_fence *earlier = nnd_buffer_ready(dst);
    if (!nnd_fence_is_signalled(earlier)) NND_TRY(nnd_stream_wait_fence(stream, earlier));

    held_pair *pair = nnd_alloc(sizeof *pair);
    if (!pair) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to queue a copy");
    pair->dst = nnd_buffer_ref(dst);
    pair->src = nnd_buffer_ref(src);
    nnd_copy_side to = side_of(dst, dst_offset);
    nnd_copy_side from = side_of(src, src_offset);
    nnd_status status = stream->device->ops->stream_copy(stream->device->self, stream->impl, &to,
                                                         &from, bytes, fence, release_pair, pair);
    if (status != NND_OK) release_pair(pair);
    return status;
}

static nnd_status copy_on_stream(nnd_stream *stream, nnd_buffer *dst, size_t dst_offset,
                                 nnd_buffer *src, size_t src_offset, size_t bytes)
{
    nnd_fence *fence;
    NND_TRY(nnd_fence_create(&fence));
    nnd_status status = queue_copy(stream, dst, dst_offset, src, src_offset, bytes, fence);
    if (status == NND_OK) nnd_buffer_set_ready(dst, fence);
    nnd_fence_unref(fence);
    return status;
}

static nnd_status copy_at_once(nnd_buffer *dst, size_t dst_offset, nnd_buffer *src,
                               size_t src_offset, size_t bytes)
{
    NND_TRY(nnd_buffer_wait(src, NULL));
    /* Whatever became of an earlier write to the destination, it has to be over. */
    if (nnd_buffer_wait(dst, NULL) != NND_OK) nnd_error_clear();
    nnd_copy_side to = side_of(dst, dst_offset);
    nnd_copy_side from = side_of(src, src_offset);
    NND_TRY(nnd_copy_now(&to, &from, bytes));
    nnd_buffer_set_ready(dst, NULL);
    return NND_OK;
}

static nnd_status check_range(const nnd_buffer *buffer, size_t offset, size_t bytes,
                              const char *what)
{
    if (offset <= buffer->bytes && bytes <= buffer->bytes - offset) return NND_OK;
    return nnd_error_set(NND_E_INVALID_ARGUMENT,
                         "a copy of %zu bytes at %zu leaves the %s buffer of %zu bytes", bytes,
                         offset, what, buffer->bytes);
}

nnd_status nnd_buffer_copy(nnd_buffer *dst, size_t dst_offset, nnd_buffer *src, size_t src_offset,
                           size_t bytes, nnd_stream *stream)
{
    if (!dst || !src)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_buffer_copy: dst or src is NULL");
    NND_TRY(check_range(dst, dst_offset, bytes, "destination"));
    NND_TRY(check_range(src, src_offset, bytes, "source"));
    if (dst->read_only)
        return nnd_error_set(NND_E_PERMISSION, "the destination of a copy is read-only");
    nnd_status status = stream ? copy_on_stream(stream, dst, dst_offset, src, src_offset, bytes)
                               : copy_at_once(dst, dst_offset, src, src_offset, bytes);
    if (status != NND_OK) return status;
    nnd_copy_count(bytes);
    if (memory_space(dst) != memory_space(src)) add(&count_transfers, 1);
    return NND_OK;
}
