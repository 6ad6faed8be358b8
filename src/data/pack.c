/*
 * Packing and unpacking; the form is described in pack.h.
 */
#include "data/pack.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "base/str.h"
#include "data/dtype.h"
#include "data/value.h"

enum { FORM_BYTES = 0, FORM_ATTACHED = 1 };
#define NO_STRING UINT64_MAX

/* ---- writing ---- */

void nnd_packer_init(nnd_packer *p, const nnd_pack_hooks *hooks)
{
    memset(p, 0, sizeof(*p));
    if (hooks) p->hooks = *hooks;
}

void nnd_packer_fini(nnd_packer *p)
{
    nnd_free(p->bytes);
    memset(p, 0, sizeof(*p));
}

static uint8_t *grow(nnd_packer *p, size_t size)
{
    if (p->status != NND_OK) return NULL;
    size_t needed;
    if (!nnd_size_add(p->size, size, &needed) || needed > (size_t)PTRDIFF_MAX) {
        p->status =
            nnd_error_set(NND_E_OVERFLOW, "the packed value does not fit the address space");
        return NULL;
    }
    if (needed > p->capacity) {
        size_t capacity = p->capacity + p->capacity / 2;
        if (capacity < needed) capacity = needed;
        if (capacity < 256) capacity = 256;
        uint8_t *bytes = nnd_realloc(p->bytes, capacity);
        if (!bytes) {
            p->status =
                nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for %zu packed bytes", needed);
            return NULL;
        }
        p->bytes = bytes;
        p->capacity = capacity;
    }
    uint8_t *at = p->bytes + p->size;
    p->size = needed;
    return at;
}

static void store_u64(uint8_t *at, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

nnd_status nnd_pack_u32(nnd_packer *p, uint32_t v)
{
    uint8_t *at = grow(p, 4);
    for (int i = 0; at && i < 4; i++)
        at[i] = (uint8_t)(v >> (8 * i));
    return p->status;
}

nnd_status nnd_pack_u64(nnd_packer *p, uint64_t v)
{
    uint8_t *at = grow(p, 8);
    if (at) store_u64(at, v);
    return p->status;
}

nnd_status nnd_pack_i64(nnd_packer *p, int64_t v)
{
    return nnd_pack_u64(p, (uint64_t)v);
}

nnd_status nnd_pack_f64(nnd_packer *p, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return nnd_pack_u64(p, bits);
}

static nnd_status pack_raw(nnd_packer *p, const void *data, size_t size)
{
    uint8_t *at = grow(p, size);
    if (at && size) memcpy(at, data, size);
    return p->status;
}

nnd_status nnd_pack_bytes(nnd_packer *p, const void *data, size_t size)
{
    nnd_pack_u64(p, size);
    return pack_raw(p, data, size);
}

nnd_status nnd_pack_string(nnd_packer *p, const char *text)
{
    return text ? nnd_pack_bytes(p, text, strlen(text)) : nnd_pack_u64(p, NO_STRING);
}

nnd_status nnd_pack_labels(nnd_packer *p, const char *const *labels, size_t count)
{
    nnd_pack_u64(p, count);
    for (size_t i = 0; i < count; i++)
        nnd_pack_bytes(p, labels[i], strlen(labels[i]));
    return p->status;
}

bool nnd_packer_shares(const nnd_packer *p, const nnd_buffer *buffer)
{
    return buffer && p->hooks.shares && p->hooks.shares(p->hooks.user, buffer);
}

nnd_status nnd_pack_buffer(nnd_packer *p, nnd_buffer *buffer, size_t offset, size_t size)
{
    if (p->status != NND_OK) return p->status;
    size_t end;
    if (!buffer || !nnd_size_add(offset, size, &end) || end > nnd_buffer_size(buffer)) {
        return p->status = nnd_error_set(NND_E_INVALID_ARGUMENT,
                                         "bytes %zu + %zu lie outside of the buffer", offset, size);
    }
    uint32_t attachment;
    uint64_t at;
    if (size > 0 && p->hooks.attach &&
        p->hooks.attach(p->hooks.user, buffer, offset, size, &attachment, &at)) {
        nnd_pack_u32(p, FORM_ATTACHED);
        nnd_pack_u32(p, attachment);
        nnd_pack_u64(p, at);
        return nnd_pack_u64(p, size);
    }
    const char *data = nnd_buffer_data(buffer);
    if (size > 0 && !data) {
        return p->status = nnd_error_set(NND_E_UNSUPPORTED,
                                         "memory on device '%s' cannot be packed; copy it to the "
                                         "host first",
                                         nnd_device_name(nnd_buffer_device(buffer)));
    }
    nnd_pack_u32(p, FORM_BYTES);
    nnd_pack_u64(p, size);
    size_t padding = (NND_PACK_ALIGN - p->size % NND_PACK_ALIGN) % NND_PACK_ALIGN;
    uint8_t *zeros = grow(p, size ? padding : 0);
    if (zeros && size) memset(zeros, 0, padding);
    if (size && pack_raw(p, data + offset, size) == NND_OK) nnd_copy_count(size);
    return p->status;
}

static void pack_header(nnd_packer *p, const nnd_header *h)
{
    nnd_pack_i64(p, h->pts);
    nnd_pack_i64(p, h->wall);
    nnd_pack_u32(p, h->stream);
    nnd_pack_u32(p, h->epoch);
    nnd_pack_i64(p, h->sequence);
    nnd_pack_i64(p, h->group_parent);
    nnd_pack_u32(p, (uint32_t)h->group_index);
    nnd_pack_u32(p, h->flags);
}

nnd_status nnd_pack_value(nnd_packer *p, const nnd_value *value)
{
    if (p->status != NND_OK) return p->status;
    if (!value) return p->status = nnd_error_set(NND_E_INVALID_ARGUMENT, "no value to pack");
    const nnd_value_type *type = value->type;
    if (!type->pack || !type->unpack) {
        return p->status = nnd_error_set(NND_E_UNSUPPORTED,
                                         "a value of type '%s' cannot leave the "
                                         "process",
                                         type->name);
    }
    if (p->depth > NND_VALUE_MAX_DEPTH) {
        return p->status = nnd_error_set(NND_E_LIMIT, "values are nested deeper than %d",
                                         NND_VALUE_MAX_DEPTH);
    }
    nnd_pack_string(p, type->name);
    pack_header(p, &value->header);
    size_t length_at = p->size;
    nnd_pack_u64(p, 0);
    size_t start = p->size;
    p->depth++;
    nnd_status status = type->pack(nnd_value_data(value), p);
    p->depth--;
    if (p->status == NND_OK) p->status = status;
    if (p->status == NND_OK) store_u64(p->bytes + length_at, p->size - start);
    return p->status;
}

/* ---- reading ---- */

void nnd_unpacker_init(nnd_unpacker *u, const void *bytes, size_t size,
                       const nnd_unpack_hooks *hooks)
{
    memset(u, 0, sizeof(*u));
    u->bytes = bytes;
    u->size = size;
    if (hooks) u->hooks = *hooks;
}

size_t nnd_unpacker_left(const nnd_unpacker *u)
{
    return u->size - u->pos;
}

nnd_status nnd_unpack_fail(nnd_unpacker *u, const char *format, ...)
{
    if (u->status != NND_OK) return u->status;
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return u->status =
               nnd_error_set(NND_E_FORMAT, "packed value, byte %zu: %s", u->start + u->pos, text);
}

static const uint8_t *take(nnd_unpacker *u, size_t size)
{
    if (u->status != NND_OK) return NULL;
    if (size > u->size - u->pos) {
        nnd_unpack_fail(u, "the bytes end early (%zu needed, %zu left)", size, u->size - u->pos);
        return NULL;
    }
    const uint8_t *at = u->bytes + u->pos;
    u->pos += size;
    return at;
}

nnd_status nnd_unpack_u32(nnd_unpacker *u, uint32_t *v)
{
    const uint8_t *at = take(u, 4);
    *v = 0;
    for (int i = 0; at && i < 4; i++)
        *v |= (uint32_t)at[i] << (8 * i);
    return u->status;
}

nnd_status nnd_unpack_u64(nnd_unpacker *u, uint64_t *v)
{
    const uint8_t *at = take(u, 8);
    *v = 0;
    for (int i = 0; at && i < 8; i++)
        *v |= (uint64_t)at[i] << (8 * i);
    return u->status;
}

nnd_status nnd_unpack_i64(nnd_unpacker *u, int64_t *v)
{
    uint64_t bits;
    nnd_unpack_u64(u, &bits);
    *v = (int64_t)bits;
    return u->status;
}

nnd_status nnd_unpack_f64(nnd_unpacker *u, double *v)
{
    uint64_t bits;
    nnd_unpack_u64(u, &bits);
    memcpy(v, &bits, sizeof(bits));
    return u->status;
}

nnd_status nnd_unpack_u32_in(nnd_unpacker *u, int64_t low, int64_t high, const char *what,
                             int64_t *out)
{
    uint32_t v;
    NND_TRY(nnd_unpack_u32(u, &v));
    *out = v;
    if (*out < low || *out > high) {
        return nnd_unpack_fail(u, "%s %lld is outside %lld…%lld", what, (long long)*out,
                               (long long)low, (long long)high);
    }
    return NND_OK;
}

nnd_status nnd_unpack_bytes(nnd_unpacker *u, const void **data, size_t *size)
{
    uint64_t length;
    *data = NULL;
    *size = 0;
    NND_TRY(nnd_unpack_u64(u, &length));
    if (length > nnd_unpacker_left(u)) {
        return nnd_unpack_fail(u, "the bytes end early (%llu needed, %zu left)",
                               (unsigned long long)length, nnd_unpacker_left(u));
    }
    *data = take(u, (size_t)length);
    *size = (size_t)length;
    return u->status;
}

nnd_status nnd_unpack_string(nnd_unpacker *u, char **text)
{
    const void *data;
    size_t size, before = u->pos;
    uint64_t length;
    *text = NULL;
    NND_TRY(nnd_unpack_u64(u, &length));
    if (length == NO_STRING) return NND_OK;
    u->pos = before;
    NND_TRY(nnd_unpack_bytes(u, &data, &size));
    if (size && memchr(data, '\0', size))
        return nnd_unpack_fail(u, "a string contains a zero byte");
    *text = nnd_strdup_n(data, size);
    if (!*text) {
        return u->status =
                   nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a string of %zu bytes", size);
    }
    return NND_OK;
}

nnd_status nnd_unpack_labels(nnd_unpacker *u, const char ***labels, size_t *count)
{
    uint64_t wanted;
    *labels = NULL;
    *count = 0;
    NND_TRY(nnd_unpack_u64(u, &wanted));
    if (wanted > nnd_unpacker_left(u) / sizeof(uint64_t)) {
        return nnd_unpack_fail(u, "%llu labels do not fit into %zu bytes",
                               (unsigned long long)wanted, nnd_unpacker_left(u));
    }
    if (wanted == 0) return NND_OK;
    /* Texts of n bytes come with 8 bytes of length each, so this is room for all of them. */
    size_t room = (size_t)wanted * (sizeof(char *) + 1) + nnd_unpacker_left(u);
    const char **block = nnd_alloc(room);
    if (!block) {
        return u->status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for labels");
    }
    char *text = (char *)(block + wanted);
    for (size_t i = 0; i < wanted; i++) {
        const void *data;
        size_t size;
        nnd_status status = nnd_unpack_bytes(u, &data, &size);
        if (status == NND_OK && !nnd_utf8_valid(data, size)) {
            status = nnd_unpack_fail(u, "label %zu is not UTF-8", i);
        }
        if (status != NND_OK) {
            nnd_free(block);
            return status;
        }
        if (size) memcpy(text, data, size);
        text[size] = '\0';
        block[i] = text;
        text += size + 1;
    }
    *labels = block;
    *count = (size_t)wanted;
    return NND_OK;
}

static nnd_status unpack_attached(nnd_unpacker *u, nnd_buffer **buffer, size_t *offset,
                                  size_t *size)
{
    uint32_t attachment;
    uint64_t at, length;
    NND_TRY(nnd_unpack_u32(u, &attachment));
    NND_TRY(nnd_unpack_u64(u, &at));
    NND_TRY(nnd_unpack_u64(u, &length));
    if (!u->hooks.attached) return nnd_unpack_fail(u, "there are no attachments");
    nnd_buffer *found;
    nnd_status status = u->hooks.attached(u->hooks.user, attachment, &found);
    if (status != NND_OK) return u->status = status;
    size_t room = nnd_buffer_size(found);
    if (at > room || length > room - at) {
        nnd_buffer_unref(found);
        return nnd_unpack_fail(u, "bytes %llu + %llu lie outside of attachment %u",
                               (unsigned long long)at, (unsigned long long)length, attachment);
    }
    *buffer = found;
    *offset = (size_t)at;
    *size = (size_t)length;
    return NND_OK;
}

static nnd_status unpack_inline(nnd_unpacker *u, nnd_buffer **buffer, size_t *offset, size_t *size)
{
    uint64_t length;
    NND_TRY(nnd_unpack_u64(u, &length));
    size_t used = (u->start + u->pos) % NND_PACK_ALIGN;
    if (length > 0 && !take(u, (NND_PACK_ALIGN - used) % NND_PACK_ALIGN)) return u->status;
    if (length > nnd_unpacker_left(u)) {
        return nnd_unpack_fail(u, "a buffer of %llu bytes has only %zu", (unsigned long long)length,
                               nnd_unpacker_left(u));
    }
    const uint8_t *data = take(u, (size_t)length);
    nnd_buffer *made;
    nnd_status status;
    if (u->hooks.block && length > 0) {
        size_t at = (size_t)(data - (const uint8_t *)nnd_buffer_data(u->hooks.block));
        status = nnd_buffer_slice(u->hooks.block, at, (size_t)length, &made);
    } else {
        nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
        desc.bytes = (size_t)length;
        status = nnd_buffer_create(&desc, &made);
        if (status == NND_OK && length > 0) {
            memcpy(nnd_buffer_data(made), data, (size_t)length);
            nnd_copy_count(length);
        }
    }
    if (status != NND_OK) return u->status = status;
    *buffer = made;
    *offset = 0;
    *size = (size_t)length;
    return NND_OK;
}

nnd_status nnd_unpack_buffer(nnd_unpacker *u, nnd_buffer **buffer, size_t *offset, size_t *size)
{
    int64_t form;
    NND_TRY(nnd_unpack_u32_in(u, FORM_BYTES, FORM_ATTACHED, "form of a buffer", &form));
    return form == FORM_ATTACHED ? unpack_attached(u, buffer, offset, size)
                                 : unpack_inline(u, buffer, offset, size);
}

static nnd_status unpack_header(nnd_unpacker *u, nnd_header *h)
{
    uint32_t group_index;
    nnd_unpack_i64(u, &h->pts);
    nnd_unpack_i64(u, &h->wall);
    nnd_unpack_u32(u, &h->stream);
    nnd_unpack_u32(u, &h->epoch);
    nnd_unpack_i64(u, &h->sequence);
    nnd_unpack_i64(u, &h->group_parent);
    nnd_unpack_u32(u, &group_index);
    nnd_unpack_u32(u, &h->flags);
    h->group_index = (int32_t)group_index;
    return u->status;
}

static nnd_status unpack_type(nnd_unpacker *u, const nnd_value_type **type)
{
    char *name;
    NND_TRY(nnd_unpack_string(u, &name));
    if (!name || !name[0]) {
        nnd_free(name);
        return nnd_unpack_fail(u, "a value has no type");
    }
    *type = nnd_value_type_find(name);
    nnd_status status = NND_OK;
    if (!*type || !(*type)->unpack) {
        nnd_str quoted = {0};
        nnd_str_add_quoted(&quoted, name, strlen(name), 64);
        status = nnd_error_set(NND_E_UNSUPPORTED,
                               "this process knows no value type %s; a plug-in "
                               "may bring it",
                               quoted.data ? quoted.data : "of that name");
        u->status = status;
        nnd_str_free(&quoted);
    }
    nnd_free(name);
    return status;
}

/* Reads the payload through a reader of its own, which cannot leave the payload's bytes. */
static nnd_status unpack_payload(nnd_unpacker *u, nnd_value *value)
{
    uint64_t length;
    NND_TRY(nnd_unpack_u64(u, &length));
    if (length > nnd_unpacker_left(u)) {
        return nnd_unpack_fail(u, "a payload of %llu bytes has only %zu",
                               (unsigned long long)length, nnd_unpacker_left(u));
    }
    nnd_unpacker inner = *u;
    inner.start = u->start + u->pos;
    inner.bytes = take(u, (size_t)length);
    inner.size = (size_t)length;
    inner.pos = 0;
    inner.depth = u->depth + 1;
    nnd_status status = value->type->unpack(value->payload, &inner);
    if (inner.status != NND_OK) status = inner.status;
    if (status == NND_OK && inner.pos != inner.size) {
        status = nnd_unpack_fail(&inner, "%zu bytes are left over in a '%s'",
                                 inner.size - inner.pos, value->type->name);
    }
    return u->status = status;
}

nnd_status nnd_unpack_value(nnd_unpacker *u, nnd_value **out)
{
    const nnd_value_type *type = NULL;
    nnd_header header;
    if (u->depth > NND_VALUE_MAX_DEPTH) {
        return nnd_unpack_fail(u, "values are nested deeper than %d", NND_VALUE_MAX_DEPTH);
    }
    NND_TRY(unpack_type(u, &type));
    NND_TRY(unpack_header(u, &header));
    nnd_value *value;
    nnd_status status = nnd_value_alloc(type, &value);
    if (status != NND_OK) return u->status = status;
    value->header = header;
    if (type == &nnd_type_gap) value->header.flags |= NND_VALUE_GAP;
    status = unpack_payload(u, value);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

/* ---- a value as one block ---- */

enum { BLOCK_MAGIC = 0x56444e4e /* "NNDV" */, BLOCK_VERSION = 1 };

nnd_status nnd_value_pack(const nnd_value *value, void **bytes, size_t *size)
{
    nnd_packer p;
    nnd_packer_init(&p, NULL);
    nnd_pack_u32(&p, BLOCK_MAGIC);
    nnd_pack_u32(&p, BLOCK_VERSION);
    nnd_status status = nnd_pack_value(&p, value);
    if (status != NND_OK) {
        nnd_packer_fini(&p);
        return status;
    }
    *bytes = p.bytes;
    *size = p.size;
    return NND_OK;
}

nnd_status nnd_value_unpack(const void *bytes, size_t size, nnd_value **out)
{
    nnd_unpacker u;
    uint32_t magic, version;
    nnd_unpacker_init(&u, bytes, size, NULL);
    NND_TRY(nnd_unpack_u32(&u, &magic));
    NND_TRY(nnd_unpack_u32(&u, &version));
    if (magic != BLOCK_MAGIC) return nnd_unpack_fail(&u, "these bytes are no packed value");
    if (version != BLOCK_VERSION) {
        return nnd_error_set(NND_E_UNSUPPORTED, "packed value of version %u, this library reads %d",
                             version, BLOCK_VERSION);
    }
    nnd_value *value = NULL;
    NND_TRY(nnd_unpack_value(&u, &value));
    if (nnd_unpacker_left(&u) > 0) {
        nnd_value_unref(value);
        return nnd_unpack_fail(&u, "%zu bytes are left over", nnd_unpacker_left(&u));
    }
    *out = value;
    return NND_OK;
}
