/*
 * The value types "geometry", "bool", "int", "float" and "bytes".
 */
#include <math.h>
#include <string.h>

#include "data/float_bits.h"
#include "data/pack.h"
#include "data/preview.h"
#include "data/value.h"

static void destroy_nothing(void *payload)
{
    (void)payload;
}

/* ---- geometry ---- */

static nnd_status geometry_clone(const void *payload, void *to, bool share_buffers)
{
    (void)share_buffers;
    memcpy(to, payload, sizeof(nnd_geometry));
    return NND_OK;
}

static nnd_status geometry_to_json(const void *payload, nnd_json_writer *w)
{
    const nnd_geometry *g = payload;
    nnd_json_begin_object(w);
    nnd_json_set_inline(w, true);
    nnd_json_key(w, "matrix");
    nnd_json_begin_array(w);
    for (int i = 0; i < 6; i++)
        nnd_json_put_number(w, g->m[i]);
    nnd_json_end_array(w);
    nnd_json_key(w, "source_width");
    nnd_json_put_int(w, g->source_width);
    nnd_json_key(w, "source_height");
    nnd_json_put_int(w, g->source_height);
    nnd_json_key(w, "width");
    nnd_json_put_int(w, g->width);
    nnd_json_key(w, "height");
    nnd_json_put_int(w, g->height);
    nnd_json_end_object(w);
    return NND_OK;
}

/* Payload: f64 matrix[6], u32 source size twice, u32 size twice. */
static nnd_status geometry_pack(const void *payload, nnd_packer *p)
{
    const nnd_geometry *g = payload;
    for (int i = 0; i < 6; i++)
        nnd_pack_f64(p, g->m[i]);
    nnd_pack_u32(p, (uint32_t)g->source_width);
    nnd_pack_u32(p, (uint32_t)g->source_height);
    nnd_pack_u32(p, (uint32_t)g->width);
    return nnd_pack_u32(p, (uint32_t)g->height);
}

static nnd_status geometry_unpack(void *payload, nnd_unpacker *u)
{
    nnd_geometry *g = payload;
    int32_t *const sizes[] = {&g->source_width, &g->source_height, &g->width, &g->height};
    for (int i = 0; i < 6; i++) {
        NND_TRY(nnd_unpack_f64(u, &g->m[i]));
        if (!nnd_f64_is_finite(g->m[i])) return nnd_unpack_fail(u, "a geometry is not finite");
    }
    for (size_t i = 0; i < NND_COUNT(sizes); i++) {
        int64_t v;
        NND_TRY(nnd_unpack_u32_in(u, 0, INT32_MAX, "size of a geometry", &v));
        *sizes[i] = (int32_t)v;
    }
    return NND_OK;
}

const nnd_value_type nnd_type_geometry = {
    .struct_size = sizeof(nnd_value_type),
    .name = "geometry",
    .payload_size = sizeof(nnd_geometry),
    .destroy = destroy_nothing,
    .clone = geometry_clone,
    .to_json = geometry_to_json,
    .preview = nnd_preview_geometry,
    .pack = geometry_pack,
    .unpack = geometry_unpack,
};

nnd_status nnd_value_new_geometry(const nnd_geometry *g, nnd_value **out)
{
    NND_TRY(nnd_value_alloc(&nnd_type_geometry, out));
    memcpy((*out)->payload, g, sizeof(*g));
    return NND_OK;
}

/* ---- bool, int, float ---- */

static nnd_status bool_clone(const void *payload, void *to, bool share_buffers)
{
    (void)share_buffers;
    memcpy(to, payload, sizeof(bool));
    return NND_OK;
}

static nnd_status bool_to_json(const void *payload, nnd_json_writer *w)
{
    nnd_json_put_bool(w, *(const bool *)payload);
    return NND_OK;
}

static nnd_status bool_pack(const void *payload, nnd_packer *p)
{
    return nnd_pack_u32(p, *(const bool *)payload);
}

static nnd_status bool_unpack(void *payload, nnd_unpacker *u)
{
    int64_t v;
    NND_TRY(nnd_unpack_u32_in(u, 0, 1, "bool", &v));
    *(bool *)payload = v != 0;
    return NND_OK;
}

const nnd_value_type nnd_type_bool = {
    .struct_size = sizeof(nnd_value_type),
    .name = "bool",
    .payload_size = sizeof(bool),
    .destroy = destroy_nothing,
    .clone = bool_clone,
    .to_json = bool_to_json,
    .pack = bool_pack,
    .unpack = bool_unpack,
};

static nnd_status int_clone(const void *payload, void *to, bool share_buffers)
{
    (void)share_buffers;
    memcpy(to, payload, sizeof(int64_t));
    return NND_OK;
}

static nnd_status int_to_json(const void *payload, nnd_json_writer *w)
{
    nnd_json_put_int(w, *(const int64_t *)payload);
    return NND_OK;
}

static nnd_status int_pack(const void *payload, nnd_packer *p)
{
    return nnd_pack_i64(p, *(const int64_t *)payload);
}

static nnd_status int_unpack(void *payload, nnd_unpacker *u)
{
    return nnd_unpack_i64(u, payload);
}

const nnd_value_type nnd_type_int = {
    .struct_size = sizeof(nnd_value_type),
    .name = "int",
    .payload_size = sizeof(int64_t),
    .destroy = destroy_nothing,
    .clone = int_clone,
    .to_json = int_to_json,
    .pack = int_pack,
    .unpack = int_unpack,
};

static nnd_status float_clone(const void *payload, void *to, bool share_buffers)
{
    (void)share_buffers;
    memcpy(to, payload, sizeof(double));
    return NND_OK;
}

static nnd_status float_to_json(const void *payload, nnd_json_writer *w)
{
    nnd_json_put_number(w, *(const double *)payload);
    return NND_OK;
}

static nnd_status float_pack(const void *payload, nnd_packer *p)
{
    return nnd_pack_f64(p, *(const double *)payload);
}

static nnd_status float_unpack(void *payload, nnd_unpacker *u)
{
    return nnd_unpack_f64(u, payload);
}

const nnd_value_type nnd_type_float = {
    .struct_size = sizeof(nnd_value_type),
    .name = "float",
    .payload_size = sizeof(double),
    .destroy = destroy_nothing,
    .clone = float_clone,
    .to_json = float_to_json,
    .pack = float_pack,
    .unpack = float_unpack,
};

nnd_status nnd_value_new_bool(bool value, nnd_value **out)
{
    NND_TRY(nnd_value_alloc(&nnd_type_bool, out));
    *(bool *)(*out)->payload = value;
    return NND_OK;
}

nnd_status nnd_value_new_int(int64_t value, nnd_value **out)
{
    NND_TRY(nnd_value_alloc(&nnd_type_int, out));
    *(int64_t *)(*out)->payload = value;
    return NND_OK;
}

nnd_status nnd_value_new_float(double value, nnd_value **out)
{
    NND_TRY(nnd_value_alloc(&nnd_type_float, out));
    *(double *)(*out)->payload = value;
    return NND_OK;
}

bool nnd_value_as_bool(const nnd_value *value, bool *out)
{
    const bool *payload = nnd_value_payload_of(value, &nnd_type_bool);
    if (!payload) return false;
    *out = *payload;
    return true;
}

bool nnd_value_as_int(const nnd_value *value, int64_t *out)
{
    bool truth;
    const int64_t *payload = nnd_value_payload_of(value, &nnd_type_int);
    if (payload) {
        *out = *payload;
    } else if (nnd_value_as_bool(value, &truth)) {
        *out = truth;
    } else {
        return false;
    }
    return true;
}

bool nnd_value_as_float(const nnd_value *value, double *out)
{
    int64_t integer;
    const double *payload = nnd_value_payload_of(value, &nnd_type_float);
    if (payload) {
        *out = *payload;
    } else if (nnd_value_as_int(value, &integer)) {
        *out = (double)integer;
    } else {
        return false;
    }
    return true;
}

/* ---- bytes ---- */

static void bytes_destroy(void *payload)
{
    nnd_buffer_unref(((nnd_bytes_payload *)payload)->buffer);
}

static nnd_buffer *bytes_buffer(const void *payload)
{
    return ((const nnd_bytes_payload *)payload)->buffer;
}

static nnd_status make_bytes(nnd_bytes_payload *p, const void *data, size_t size,
                             const nnd_buffer *like)
{
    nnd_buffer *buffer;
    NND_TRY(nnd_bulk_alloc(like, size, &buffer));
    if (size) memcpy(nnd_buffer_data(buffer), data, size);
    *p = (nnd_bytes_payload){nnd_buffer_data(buffer), size, buffer};
    return NND_OK;
}

static nnd_status bytes_clone(const void *payload, void *to, bool share_buffers)
{
    const nnd_bytes_payload *from = payload;
    if (share_buffers || !from->buffer) {
        *(nnd_bytes_payload *)to = *from;
        if (from->buffer) nnd_buffer_ref(from->buffer);
        return NND_OK;
    }
    NND_TRY(make_bytes(to, from->data, from->size, from->buffer));
    nnd_copy_count(from->size);
    return NND_OK;
}

/* Base64 (RFC 4648), so that small blobs survive in a file. */
static nnd_status bytes_to_json(const void *payload, nnd_json_writer *w)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const nnd_bytes_payload *p = payload;
    const uint8_t *data = p->data;
    if (p->size > SIZE_MAX / 2) return nnd_error_set(NND_E_OVERFLOW, "too many bytes for JSON");
    char *text = nnd_alloc(p->size / 3 * 4 + 4);
    if (!text)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for %zu bytes as JSON", p->size);
    size_t used = 0;
    for (size_t i = 0; i < p->size; i += 3) {
        size_t left = p->size - i;
        uint32_t group = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0u) |
                         (left > 2 ? data[i + 2] : 0u);
        text[used++] = digits[group >> 18];
        text[used++] = digits[(group >> 12) & 63u];
        text[used++] = left > 1 ? digits[(group >> 6) & 63u] : '=';
        text[used++] = left > 2 ? digits[group & 63u] : '=';
    }
    nnd_json_put_string_n(w, text, used);
    nnd_free(text);
    return NND_OK;
}

static nnd_status bytes_pack(const void *payload, nnd_packer *p)
{
    const nnd_bytes_payload *bytes = payload;
    if (!bytes->buffer) return nnd_error_set(NND_E_STATE, "an empty bytes value cannot be packed");
    size_t offset =
        bytes->size
            ? (size_t)((const char *)bytes->data - (const char *)nnd_buffer_data(bytes->buffer))
            : 0;
    return nnd_pack_buffer(p, bytes->buffer, offset, bytes->size);
}

static nnd_status bytes_unpack(void *payload, nnd_unpacker *u)
{
    nnd_bytes_payload *bytes = payload;
    size_t offset;
    NND_TRY(nnd_unpack_buffer(u, &bytes->buffer, &offset, &bytes->size));
    const char *base = nnd_buffer_data(bytes->buffer);
    bytes->data = base ? base + offset : NULL;
    return NND_OK;
}

const nnd_value_type nnd_type_bytes = {
    .struct_size = sizeof(nnd_value_type),
    .name = "bytes",
    .payload_size = sizeof(nnd_bytes_payload),
    .destroy = bytes_destroy,
    .clone = bytes_clone,
    .to_json = bytes_to_json,
    .preview = nnd_preview_bytes,
    .pack = bytes_pack,
    .unpack = bytes_unpack,
    .buffer = bytes_buffer,
};

nnd_status nnd_value_new_bytes(const void *data, size_t size, nnd_value **out)
{
    nnd_value *value;
    NND_TRY(nnd_value_alloc(&nnd_type_bytes, &value));
    nnd_status status = make_bytes((nnd_bytes_payload *)value->payload, data, size, NULL);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

bool nnd_value_as_bytes(const nnd_value *value, const void **data, size_t *size)
{
    const nnd_bytes_payload *payload = nnd_value_payload_of(value, &nnd_type_bytes);
    if (!payload) return false;
    *data = payload->data;
    *size = payload->size;
    return true;
}
