/* Streams: in-order queues of work, forwarded to their device. */
#include "device/stream.h"
#include "device/device_internal.h"

nnd_status nnd_stream_create(nnd_device *device, nnd_stream **out)
{
    if (!out) return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_stream_create: out is NULL");
    *out = NULL;
    if (!device) device = nnd_device_cpu();
    nnd_stream *stream = nnd_calloc(1, sizeof *stream);
    if (!stream)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a stream on '%s'",
                             device->info.name);
    stream->device = device;
    nnd_status status = device->ops->stream_create(device->self, &stream->impl);
    if (status != NND_OK) {
        nnd_free(stream);
        return status;
    }
    *out = stream;
    return NND_OK;
}

void nnd_stream_destroy(nnd_stream *stream)
{
    if (!stream) return;
    stream->device->ops->stream_destroy(stream->device->self, stream->impl);
    nnd_free(stream);
}

nnd_device *nnd_stream_device(const nnd_stream *stream)
{
    return stream ? stream->device : nnd_device_cpu();
}

static nnd_status no_stream(const char *function)
{
    return nnd_error_set(NND_E_INVALID_ARGUMENT, "%s: no stream, or nothing to do on it", function);
}

nnd_status nnd_stream_call(nnd_stream *stream, nnd_status (*fn)(void *user), void *user)
{
    if (!stream || !fn) return no_stream("nnd_stream_call");
    return stream->device->ops->stream_call(stream->device->self, stream->impl, fn, user);
}

nnd_status nnd_stream_record(nnd_stream *stream, nnd_fence **out)
{
    if (!stream || !out) return no_stream("nnd_stream_record");
    *out = NULL;
    nnd_fence *fence;
    NND_TRY(nnd_fence_create(&fence));
    nnd_status status =
        stream->device->ops->stream_record(stream->device->self, stream->impl, fence);
    if (status != NND_OK) {
        nnd_fence_unref(fence);
        return status;
    }
    *out = fence;
    return NND_OK;
}

nnd_status nnd_stream_wait_fence(nnd_stream *stream, nnd_fence *fence)
{
    if (!stream) return no_stream("nnd_stream_wait_fence");
    if (!fence) return NND_OK;
    return stream->device->ops->stream_wait(stream->device->self, stream->impl, fence);
}

nnd_status nnd_stream_synchronize(nnd_stream *stream, const nnd_cancel *cancel)
{
    nnd_fence *fence;
    NND_TRY(nnd_stream_record(stream, &fence));
    nnd_status status = nnd_fence_wait(fence, cancel);
    nnd_fence_unref(fence);
    return status;
}
