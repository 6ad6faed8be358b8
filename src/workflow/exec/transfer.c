/* Copies between memory spaces, waiting for buffers, and the streams of a run. */
#include <string.h>

#include "workflow/exec/exec.h"

/* ---- streams ----------------------------------------------------------------------------- */

/* One stream per device and run: nodes on the same device need no fences between them. */
nnd_status wf_run_stream(nnd_run *run, nnd_device *device, nnd_stream **out)
{
    for (size_t i = 0; i < run->stream_count; i++) {
        if (run->streams[i].device != device) continue;
        *out = run->streams[i].stream;
        return NND_OK;
    }
    struct wf_device_stream *grown =
        nnd_realloc(run->streams, (run->stream_count + 1) * sizeof(*run->streams));
    if (!grown) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a stream");
    run->streams = grown;
    nnd_stream *stream = NULL;
    NND_TRY(nnd_stream_create(device, &stream));
    run->streams[run->stream_count].device = device;
    run->streams[run->stream_count++].stream = stream;
    *out = stream;
    return NND_OK;
}

nnd_status wf_wait_value(nnd_run *run, const nnd_value *value, nnd_stream *stream)
{
    nnd_buffer *buffer = nnd_value_buffer(value);
    if (buffer && nnd_buffer_ready(buffer)) {
        if (stream)
            NND_TRY(nnd_stream_wait_fence(stream, nnd_buffer_ready(buffer)));
        else
            NND_TRY(nnd_buffer_wait(buffer, run->cancel));
    }
    for (size_t i = 0; nnd_value_is(value, "list") && i < nnd_value_list_count(value); i++)
        NND_TRY(wf_wait_value(run, nnd_value_list_at(value, i), stream));
    return NND_OK;
}

nnd_status wf_retire(nnd_run *run, nnd_stream *stream, nnd_value *take_value)
{
    wf_retired r = {NULL, take_value};
    nnd_status status = nnd_stream_record(stream, &r.fence);
    if (status == NND_OK && !nnd_vec_push(&run->retired, r)) {
        nnd_fence_unref(r.fence);
        status = nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    }
    if (status != NND_OK) {
        /* It must not go while it is read: wait here. */
        (void)nnd_stream_synchronize(stream, NULL);
        nnd_value_unref(take_value);
        return status;
    }
    wf_retire_done(run, false);
    return NND_OK;
}

void wf_retire_done(nnd_run *run, bool wait)
{
    size_t kept = 0;
    for (size_t i = 0; i < run->retired.count; i++) {
        wf_retired r = run->retired.items[i];
        if (wait) (void)nnd_fence_wait(r.fence, NULL);
        if (wait || nnd_fence_is_signalled(r.fence)) {
            nnd_fence_unref(r.fence);
            nnd_value_unref(r.value);
        } else {
            run->retired.items[kept++] = r;
        }
    }
    run->retired.count = kept;
}

/* ---- copies ------------------------------------------------------------------------------ */

/* The stream that a copy runs on: the device's of whichever side has one. */
static nnd_status copy_stream(nnd_run *run, const nnd_buffer *from, const wf_memory *to,
                              nnd_stream **out)
{
    *out = NULL;
    nnd_device *device = to->kind == NND_MEM_DEVICE ? to->device : nnd_buffer_device(from);
    if (!device || device == nnd_device_cpu()) return NND_OK;
    return wf_run_stream(run, device, out);
}

static nnd_status copy_buffer(nnd_run *run, nnd_buffer *from, const wf_memory *target,
                              nnd_buffer **out, nnd_stream **stream)
{
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    desc.bytes = nnd_buffer_size(from);
    desc.alignment = target->alignment;
    desc.padding = target->padding;
    desc.kind = target->kind;
    desc.device = target->device;
    nnd_buffer *to = NULL;
    NND_TRY(copy_stream(run, from, target, stream));
    NND_TRY(nnd_pool_get(run->pool, &desc, &to));
    nnd_status status = nnd_buffer_copy(to, 0, from, 0, desc.bytes, *stream);
    if (status != NND_OK) {
        nnd_buffer_unref(to);
        return status;
    }
    run->transfers++;
    run->transfer_bytes += desc.bytes;
    *out = to;
    return NND_OK;
}

/* The same view over another buffer. */
static nnd_status rebuild(const nnd_value *value, nnd_buffer *from, nnd_buffer *to, nnd_value **out)
{
    char *base = nnd_buffer_data(to);
    const nnd_tensor *tensor = nnd_value_tensor(value);
    if (tensor) {
        nnd_tensor t = *tensor;
        t.buffer = to;
        t.data = base ? base + t.offset : NULL;
        return nnd_value_from_tensor(&t, out);
    }
    const nnd_image *image = nnd_value_image(value);
    nnd_image i = *image;
    i.buffer = to;
    const uint8_t *old_base = nnd_buffer_data(from);
    size_t bytes = 0;
    if (base && old_base) {
        for (int p = 0; p < 3; p++)
            if (i.data[p]) i.data[p] = (uint8_t *)base + (i.data[p] - old_base);
    } else if (base) { /* from a device: the layout nnd_ctx_alloc makes */
        NND_TRY(nnd_image_init(&i, i.format, i.dtype, i.width, i.height, 1, base, &bytes));
        i.range = image->range;
        i.matrix = image->matrix;
        i.buffer = to;
    } else {
        memset(i.data, 0, sizeof(i.data));
    }
    return nnd_value_from_image(&i, out);
}

static bool lies_in(const nnd_buffer *buffer, const wf_memory *target)
{
    return nnd_buffer_kind(buffer) == target->kind &&
           (target->kind != NND_MEM_DEVICE || nnd_buffer_device(buffer) == target->device);
}

nnd_status wf_transfer_value(nnd_run *run, nnd_value *take_value, const wf_memory *target,
                             nnd_value **out)
{
    nnd_value *value = take_value;
    nnd_buffer *from = nnd_value_buffer(value), *to = NULL;
    *out = value;
    if (!from || lies_in(from, target)) return NND_OK;
    if (!nnd_value_tensor(value) && !nnd_value_image(value)) {
        nnd_status status =
            nnd_error_set(NND_E_UNSUPPORTED, "a value of type %s cannot be moved to %s memory",
                          nnd_value_type_name(value), nnd_memory_kind_name(target->kind));
        nnd_value_unref(value);
        return status;
    }
    nnd_stream *stream = NULL;
    nnd_value *moved = NULL;
    nnd_status status = copy_buffer(run, from, target, &to, &stream);
    if (status == NND_OK) status = rebuild(value, from, to, &moved);
    nnd_buffer_unref(to);
    if (status == NND_OK) status = nnd_value_set_header(moved, nnd_value_header(value));
    if (status != NND_OK) {
        nnd_value_unref(moved);
        nnd_value_unref(value);
        return status;
    }
    *out = moved;
    if (!stream) {
        nnd_value_unref(value);
        return NND_OK;
    }
    status = wf_retire(run, stream, value);
    if (status != NND_OK) nnd_value_unref(moved);
    return status;
}
