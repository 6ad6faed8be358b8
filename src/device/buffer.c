/* Buffers: creation, windows, foreign and shared memory, holders. */
#include <string.h>

#include "base/port_status.h"
#include "base/size.h"
#include "device/device_internal.h"
#include "port/port.h"

/* ---- creation ------------------------------------------------------------------------------ */

nnd_status nnd_buffer_desc_resolve(const nnd_buffer_desc *desc, nnd_buffer_desc *out)
{
    if (!desc || desc->size < sizeof *desc)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "a buffer description begins with NND_BUFFER_DESC_INIT");
    *out = *desc;
    if (out->alignment == 0) out->alignment = NND_DEFAULT_ALIGNMENT;
    if (out->padding == 0) out->padding = NND_DEFAULT_PADDING;
    if (!out->device) out->device = nnd_device_cpu();
    if ((out->alignment & (out->alignment - 1)) != 0)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "a buffer cannot be aligned to %zu bytes: no power of two",
                             out->alignment);
    const nnd_device_info *info = &out->device->info;
    if ((unsigned)out->kind > NND_MEM_DMABUF || !(info->memory_kinds & 1u << out->kind))
        return nnd_error_set(NND_E_UNSUPPORTED, "device '%s' has no %s memory", info->name,
                             nnd_memory_kind_name(out->kind));
    return NND_OK;
}

static nnd_buffer *buffer_alloc(nnd_buffer_origin origin, nnd_memory_kind kind, nnd_device *device,
                                size_t bytes)
{
    nnd_buffer *buffer = nnd_calloc(1, sizeof *buffer);
    if (!buffer) {
        nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a buffer");
        return NULL;
    }
    atomic_init(&buffer->refs, 1);
    atomic_init(&buffer->ready, NULL);
    buffer->origin = origin;
    buffer->kind = kind;
    buffer->device = device;
    buffer->bytes = bytes;
    buffer->memory.fd = -1;
    return buffer;
}

nnd_status nnd_buffer_create_sized(const nnd_buffer_desc *desc, size_t capacity, nnd_buffer **out)
{
    size_t total;
    if (!nnd_size_add(capacity, desc->padding, &total) || total > PTRDIFF_MAX)
        return nnd_error_set(NND_E_OVERFLOW, "a buffer of %zu bytes is not possible", desc->bytes);
    nnd_buffer *buffer = buffer_alloc(NND_BUFFER_OWN, desc->kind, desc->device, desc->bytes);
    if (!buffer) return NND_E_OUT_OF_MEMORY;
    nnd_status status = desc->device->ops->memory_alloc(desc->device->self, desc->kind, total,
                                                        desc->alignment, &buffer->memory);
    if (status != NND_OK) {
        nnd_free(buffer);
        return status;
    }
    /* Vector loads that overrun the end read something defined. */
    if (buffer->memory.data) memset((char *)buffer->memory.data + capacity, 0, desc->padding);
    nnd_count_allocation();
    *out = buffer;
    return NND_OK;
}

nnd_status nnd_buffer_create(const nnd_buffer_desc *desc, nnd_buffer **out)
{
    if (!out) return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_buffer_create: out is NULL");
    *out = NULL;
    nnd_buffer_desc resolved;
    NND_TRY(nnd_buffer_desc_resolve(desc, &resolved));
    return nnd_buffer_create_sized(&resolved, resolved.bytes, out);
}

nnd_status nnd_buffer_wrap(void *data, size_t bytes, void (*release)(void *user, void *data),
                           void *user, nnd_buffer **out)
{
    if (!out || (!data && bytes > 0))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_buffer_wrap: data or out is NULL");
    *out = buffer_alloc(NND_BUFFER_WRAPPED, NND_MEM_HOST, nnd_device_cpu(), bytes);
    if (!*out) return NND_E_OUT_OF_MEMORY;
    (*out)->memory.data = data;
    (*out)->memory.address = (uint64_t)(uintptr_t)data;
    (*out)->release = release;
    (*out)->release_user = user;
    return NND_OK;
}

nnd_status nnd_buffer_slice(nnd_buffer *parent, size_t offset, size_t bytes, nnd_buffer **out)
{
    if (!parent || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_buffer_slice: parent or out is NULL");
    *out = NULL;
    if (offset > parent->bytes || bytes > parent->bytes - offset)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "a slice of %zu bytes at %zu leaves its buffer of %zu bytes", bytes,
                             offset, parent->bytes);
    nnd_buffer *slice = buffer_alloc(NND_BUFFER_SLICE, parent->kind, parent->device, bytes);
    if (!slice) return NND_E_OUT_OF_MEMORY;
    slice->parent = nnd_buffer_ref(parent);
    slice->memory = parent->memory;
    slice->offset = parent->offset + offset;
    slice->read_only = parent->read_only;
    *out = slice;
    return NND_OK;
}

/* ---- shared memory ------------------------------------------------------------------------- */

nnd_status nnd_buffer_export_fd(const nnd_buffer *buffer, int *fd, size_t *offset)
{
    if (!buffer || !fd || !offset)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_buffer_export_fd: an argument is NULL");
    if (buffer->kind != NND_MEM_SHARED)
        return nnd_error_set(NND_E_TYPE, "only shared memory can be exported, this is %s memory",
                             nnd_memory_kind_name(buffer->kind));
    nnd_port_fd copy;
    NND_TRY(nnd_error_from_port(nnd_port_fd_dup(buffer->memory.fd, &copy),
                                "cannot duplicate the descriptor of shared memory", NULL));
    *fd = (int)copy;
    *offset = buffer->offset;
    return NND_OK;
}

/* Checks what the descriptor names before anything is mapped: it comes from another process. */
static nnd_status check_import(nnd_port_fd fd, size_t offset, size_t bytes, size_t *mapped)
{
    size_t end, size;
    bool fixed;
    if (!nnd_size_add(offset, bytes, &end))
        return nnd_error_set(NND_E_OVERFLOW, "shared memory of %zu bytes at %zu is not possible",
                             bytes, offset);
    NND_TRY(nnd_error_from_port(nnd_port_shm_size(fd, &size, &fixed),
                                "cannot use a descriptor as shared memory", NULL));
    if (end > size || size == 0)
        return nnd_error_set(NND_E_FORMAT, "%zu bytes at %zu leave the shared memory of %zu bytes",
                             bytes, offset, size);
    if (!fixed)
        return nnd_error_set(NND_E_PERMISSION, "shared memory whose owner can still shrink it is "
                                               "not accepted; seal its size first");
    /* The padding behind the bytes as well, as far as there is some. */
    if (!nnd_size_add(end, NND_DEFAULT_PADDING, mapped) || *mapped > size) *mapped = size;
    return NND_OK;
}

static nnd_status import_fd(nnd_port_fd fd, size_t offset, size_t bytes, bool read_only,
                            nnd_buffer **out)
{
    size_t mapped;
    NND_TRY(check_import(fd, offset, bytes, &mapped));
    nnd_buffer *buffer = buffer_alloc(NND_BUFFER_IMPORTED, NND_MEM_SHARED, nnd_device_cpu(), bytes);
    if (!buffer) return NND_E_OUT_OF_MEMORY;
    nnd_status status =
        nnd_error_from_port(nnd_port_shm_map(fd, mapped, !read_only, &buffer->memory.data),
                            "cannot map shared memory", NULL);
    if (status != NND_OK) {
        nnd_free(buffer);
        return status;
    }
    buffer->memory.address = (uint64_t)(uintptr_t)buffer->memory.data;
    buffer->memory.fd = fd;
    buffer->memory.mapped = mapped;
    buffer->offset = offset;
    buffer->read_only = read_only;
    *out = buffer;
    return NND_OK;
}

nnd_status nnd_buffer_import_fd(int fd, size_t offset, size_t bytes, bool read_only,
                                nnd_buffer **out)
{
    nnd_status status;
    if (out) {
        *out = NULL;
        status = import_fd(fd, offset, bytes, read_only, out);
    } else {
        status = nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_buffer_import_fd: out is NULL");
    }
    if (status != NND_OK && fd >= 0) nnd_port_fd_close(fd);
    return status;
}

void nnd_buffer_on_free(nnd_buffer *buffer, void (*released)(void *user, void *data), void *user)
{
    buffer->release = released;
    buffer->release_user = user;
}

/* ---- holders ------------------------------------------------------------------------------- */

nnd_buffer *nnd_buffer_ref(nnd_buffer *buffer)
{
    if (buffer) atomic_fetch_add_explicit(&buffer->refs, 1, memory_order_relaxed);
    return buffer;
}

void nnd_buffer_free(nnd_buffer *buffer)
{
    switch (buffer->origin) {
    case NND_BUFFER_OWN:
    case NND_BUFFER_IMPORTED:
        buffer->device->ops->memory_free(buffer->device->self, buffer->kind, &buffer->memory);
        if (buffer->release) buffer->release(buffer->release_user, NULL);
        break;
    case NND_BUFFER_WRAPPED:
        if (buffer->release) buffer->release(buffer->release_user, buffer->memory.data);
        break;
    case NND_BUFFER_SLICE:
        break;
    }
    nnd_free(buffer);
}

void nnd_buffer_unref(nnd_buffer *buffer)
{
    /* The last holder of a slice also gives up the slice's hold on its parent, and so on. */
    while (buffer && atomic_fetch_sub_explicit(&buffer->refs, 1, memory_order_acq_rel) == 1) {
        nnd_buffer *parent = buffer->parent;
        nnd_buffer_set_ready(buffer, NULL);
        if (buffer->pool_class) {
            nnd_pool_take_back(buffer);
        } else {
            nnd_buffer_free(buffer);
        }
        buffer = parent;
    }
}

uint32_t nnd_buffer_holders(const nnd_buffer *buffer)
{
    uint32_t holders = 0;
    for (; buffer; buffer = buffer->parent) {
        uint32_t refs = atomic_load_explicit(&buffer->refs, memory_order_acquire);
        /* A slice is itself one of its parent's holders. */
        holders += holders ? refs - 1 : refs;
    }
    return holders;
}

/* ---- fields -------------------------------------------------------------------------------- */

void *nnd_buffer_data(const nnd_buffer *buffer)
{
    if (!buffer || !buffer->memory.data) return NULL;
    return (char *)buffer->memory.data + buffer->offset;
}

uint64_t nnd_buffer_device_address(const nnd_buffer *buffer)
{
    return buffer ? buffer->memory.address + buffer->offset : 0;
}

size_t nnd_buffer_size(const nnd_buffer *buffer)
{
    return buffer ? buffer->bytes : 0;
}

nnd_memory_kind nnd_buffer_kind(const nnd_buffer *buffer)
{
    return buffer ? buffer->kind : NND_MEM_HOST;
}

nnd_device *nnd_buffer_device(const nnd_buffer *buffer)
{
    return buffer ? buffer->device : nnd_device_cpu();
}

bool nnd_buffer_is_read_only(const nnd_buffer *buffer)
{
    return buffer && buffer->read_only;
}

void nnd_buffer_set_ready(nnd_buffer *buffer, nnd_fence *fence)
{
    if (buffer) nnd_fence_unref(atomic_exchange(&buffer->ready, nnd_fence_ref(fence)));
}

nnd_fence *nnd_buffer_ready(const nnd_buffer *buffer)
{
    /* A slice without a fence of its own is as ready as what it is cut from. */
    nnd_fence *fence = NULL;
    for (; buffer && !fence; buffer = buffer->parent)
        fence = atomic_load(&buffer->ready);
    return fence;
}

nnd_status nnd_buffer_wait(nnd_buffer *buffer, const nnd_cancel *cancel)
{
    return nnd_fence_wait(nnd_buffer_ready(buffer), cancel);
}
