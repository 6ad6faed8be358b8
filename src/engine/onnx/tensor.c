/* TensorProto: raw bytes in place, typed fields copied, external files through the callback. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "engine/onnx/onnx.h"

nnd_dtype nnd_onnx_dtype(uint64_t code)
{
    static const nnd_dtype map[] = {
        NND_DTYPE_INVALID, NND_F32,    NND_U8,         NND_I8,   NND_U16,  NND_I16,
        NND_I32,           NND_I64,    NND_STRING,     NND_BOOL, NND_F16,  NND_F64,
        NND_U32,           NND_U64,    NND_C64,        NND_C128, NND_BF16, NND_F8E4M3FN,
        NND_F8E4M3FNUZ,    NND_F8E5M2, NND_F8E5M2FNUZ, NND_U4,   NND_I4,   NND_F4E2M1,
        NND_F8E8M0,        NND_U2,     NND_I2};
    return code < NND_COUNT(map) ? map[code] : NND_DTYPE_INVALID;
}

nnd_status nnd_onnx_string(nnd_arena *arena, nnd_pb_bytes bytes, const char **out)
{
    const char *text = (const char *)bytes.data;
    if (memchr(bytes.size ? text : "", 0, bytes.size) || !nnd_utf8_valid(text, bytes.size))
        return nnd_onnx_malformed("a name is not valid UTF-8 text");
    *out = nnd_arena_strdup_n(arena, bytes.size ? text : "", bytes.size);
    return *out ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the model's names");
}

enum {
    F_DIMS = 1,
    F_TYPE = 2,
    F_SEGMENT = 3,
    F_FLOAT = 4,
    F_INT32 = 5,
    F_STRING = 6,
    F_INT64 = 7,
    F_NAME = 8,
    F_RAW = 9,
    F_DOUBLE = 10,
    F_UINT64 = 11,
    F_EXTERNAL = 13,
    F_LOCATION = 14
};

/* What a pass over the message finds before any element is read. */
typedef struct tensor_fields {
    nnd_pb_bytes message;
    int rank;
    int64_t dims[NND_MAX_RANK];
    nnd_dtype dtype;
    bool has_raw, external, has_segment;
    nnd_pb_bytes raw, name;
} tensor_fields;

static nnd_status read_dims(tensor_fields *t, const nnd_pb_field *field)
{
    nnd_pb_bytes left = field->bytes;
    uint64_t value = field->bits;
    bool packed = field->type == NND_PB_LEN;
    do {
        if (packed && !left.size) break;
        if (packed && !nnd_pb_varint(&left, &value)) return nnd_onnx_malformed("tensor dimensions");
        if (t->rank == NND_MAX_RANK)
            return nnd_error_set(NND_E_UNSUPPORTED, "a tensor has more than %d dimensions",
                                 NND_MAX_RANK);
        if ((int64_t)value < 0) return nnd_onnx_malformed("a tensor dimension is negative");
        t->dims[t->rank++] = (int64_t)value;
    } while (packed);
    return NND_OK;
}

static nnd_status scan_fields(nnd_pb_bytes message, tensor_fields *t)
{
    *t = (tensor_fields){.message = message};
    nnd_pb_field f;
    bool bad = false;
    uint64_t type_code = 0;
    while (nnd_pb_next(&message, &f, &bad)) {
        switch (f.number) {
        case F_DIMS:
            NND_TRY(read_dims(t, &f));
            break;
        case F_TYPE:
            type_code = f.bits;
            break;
        case F_SEGMENT:
            t->has_segment = true;
            break;
        case F_NAME:
            t->name = f.bytes;
            break;
        case F_RAW:
            t->has_raw = f.type == NND_PB_LEN;
            t->raw = f.bytes;
            break;
        case F_LOCATION:
            t->external = f.bits == 1;
            break;
        default:
            break;
        }
    }
    if (bad) return nnd_onnx_malformed("a tensor ends in the middle of a field");
    if (t->has_segment)
        return nnd_error_set(NND_E_UNSUPPORTED, "tensors in segments are not supported");
    t->dtype = nnd_onnx_dtype(type_code);
    if (t->dtype == NND_DTYPE_INVALID)
        return nnd_error_set(NND_E_FORMAT,
                             "malformed ONNX: a tensor has the unknown data type %llu",
                             (unsigned long long)type_code);
    return NND_OK;
}

/* ---- typed fields -------------------------------------------------------------------------- */

/* Which repeated field holds elements of a dtype, and how wide its items are (0 = varint). */
static uint32_t typed_field(nnd_dtype dtype, unsigned *width)
{
    *width = 0;
    switch (dtype) {
    case NND_F32:
    case NND_C64:
        *width = 4;
        return F_FLOAT;
    case NND_F64:
    case NND_C128:
        *width = 8;
        return F_DOUBLE;
    case NND_I64:
        return F_INT64;
    case NND_U32:
    case NND_U64:
        return F_UINT64;
    default:
        return F_INT32;
    }
}

/* Stores one item of a typed field; `bytes` is the size of the unit that an item fills. */
static void store_item(uint8_t *to, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static nnd_status read_typed(const tensor_fields *t, uint8_t *to, size_t total)
{
    unsigned width, unit = nnd_dtype_bits(t->dtype) / 8;
    uint32_t number = typed_field(t->dtype, &width);
    if (width) unit = width; /* complex numbers are two items */
    if (!unit) unit = 1;     /* an item of a sub-byte type is a byte of packed elements */
    size_t at = 0;
    nnd_pb_bytes message = t->message;
    nnd_pb_field f;
    bool bad = false;
    while (nnd_pb_next(&message, &f, &bad)) {
        if (f.number != number) continue;
        size_t n;
        if (!nnd_pb_packed_count(&f, width, &n) || n > (total - at) / unit)
            return nnd_onnx_malformed("a tensor has more elements than its shape says");
        if (f.type != NND_PB_LEN) {
            store_item(to + at, unit, f.bits);
            at += unit;
        } else if (width) {
            if (f.bytes.size) memcpy(to + at, f.bytes.data, f.bytes.size);
            at += f.bytes.size;
        } else {
            uint64_t value;
            while (f.bytes.size) {
                if (!nnd_pb_varint(&f.bytes, &value)) return nnd_onnx_malformed("tensor elements");
                store_item(to + at, unit, value);
                at += unit;
            }
        }
    }
    if (at != total) return nnd_onnx_malformed("a tensor has fewer elements than its shape says");
    return NND_OK;
}

static nnd_status read_strings(const tensor_fields *t, nnd_arena *arena, nnd_tensor *out)
{
    size_t count = (size_t)nnd_tensor_count(out), n = 0;
    if (count > t->message.size) return nnd_onnx_malformed("a string tensor is too short");
    nnd_string *items = nnd_arena_calloc(arena, count ? count : 1, sizeof(*items));
    if (!items) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a string tensor");
    nnd_pb_bytes message = t->message;
    nnd_pb_field f;
    bool bad = false;
    while (nnd_pb_next(&message, &f, &bad)) {
        if (f.number != F_STRING || f.type != NND_PB_LEN) continue;
        if (n == count) return nnd_onnx_malformed("a string tensor has too many elements");
        const char *copy =
            nnd_arena_strdup_n(arena, f.bytes.size ? (const char *)f.bytes.data : "", f.bytes.size);
        if (!copy) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a string tensor");
        items[n++] = (nnd_string){copy, f.bytes.size};
    }
    if (n != count) return nnd_onnx_malformed("a string tensor has too few elements");
    out->data = items;
    return NND_OK;
}

/* ---- external data ------------------------------------------------------------------------- */

/* Only plain components below the model's folder: nothing absolute, no "..", no drive letters. */
static bool is_inside(const char *path)
{
    if (!path[0] || path[0] == '/' || strchr(path, '\\') || strchr(path, ':')) return false;
    for (const char *part = path; *part;) {
        size_t n = strcspn(part, "/");
        if (n == 0 || (n == 2 && part[0] == '.' && part[1] == '.')) return false;
        part += n;
        if (*part == '/' && !*++part) return false;
    }
    return true;
}

nnd_status nnd_onnx_open_external(nnd_onnx_model *m, const char *path, nnd_buffer **out)
{
    for (size_t i = 0; i < m->external_count; i++)
        if (strcmp(m->externals[i].path, path) == 0) {
            *out = m->externals[i].buffer;
            return NND_OK;
        }
    if (!is_inside(path))
        return nnd_error_set(NND_E_PERMISSION,
                             "the external data file '%s' is not inside the model's folder", path);
    if (!m->open)
        return nnd_error_set(NND_E_PERMISSION,
                             "the model needs the external data file '%s', but it was loaded "
                             "without a folder; load it from a file",
                             path);
    if (m->external_count == NND_ONNX_MAX_EXTERNAL_FILES)
        return nnd_error_set(NND_E_LIMIT, "the model names more than %d external data files",
                             NND_ONNX_MAX_EXTERNAL_FILES);
    nnd_onnx_external *grown = nnd_realloc(m->externals, (m->external_count + 1) * sizeof(*grown));
    if (!grown) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for external data");
    m->externals = grown;
    nnd_buffer *buffer = NULL;
    nnd_status status = m->open(m->open_user, path, &buffer);
    if (status != NND_OK)
        return nnd_error_wrap(status, "cannot open the external data file '%s'", path);
    m->externals[m->external_count++] = (nnd_onnx_external){path, buffer};
    *out = buffer;
    return NND_OK;
}

/* A number of an external_data entry: decimal digits only. */
static nnd_status parse_size(nnd_pb_bytes text, uint64_t *out)
{
    uint64_t value = 0;
    if (!text.size || text.size > 18) return nnd_onnx_malformed("an offset of external data");
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return nnd_onnx_malformed("an offset of external data");
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out = value;
    return NND_OK;
}

static nnd_status read_external(nnd_onnx_model *m, const tensor_fields *t, nnd_tensor *out)
{
    nnd_pb_bytes message = t->message;
    nnd_pb_field f, entry;
    bool bad = false;
    const char *path = NULL;
    uint64_t offset = 0, length = UINT64_MAX;
    while (nnd_pb_next(&message, &f, &bad)) {
        if (f.number != F_EXTERNAL || f.type != NND_PB_LEN) continue;
        nnd_pb_bytes key = {0}, value = {0};
        while (nnd_pb_next(&f.bytes, &entry, &bad)) {
            if (entry.number == 1) key = entry.bytes;
            if (entry.number == 2) value = entry.bytes;
        }
        if (nnd_pb_is_text(key, "location")) NND_TRY(nnd_onnx_string(&m->arena, value, &path));
        if (nnd_pb_is_text(key, "offset")) NND_TRY(parse_size(value, &offset));
        if (nnd_pb_is_text(key, "length")) NND_TRY(parse_size(value, &length));
    }
    if (bad || !path) return nnd_onnx_malformed("external data without a location");
    nnd_buffer *buffer;
    NND_TRY(nnd_onnx_open_external(m, path, &buffer));
    size_t bytes = nnd_tensor_bytes(out), size = nnd_buffer_size(buffer);
    if (offset > size || bytes > size - offset || (length != UINT64_MAX && length != bytes))
        return nnd_error_set(NND_E_FORMAT,
                             "external data: the file '%s' has %zu bytes, the tensor wants %zu at "
                             "offset %llu",
                             path, size, bytes, (unsigned long long)offset);
    out->data = (char *)nnd_buffer_data(buffer) + offset;
    return NND_OK;
}

/* ---- the whole tensor ---------------------------------------------------------------------- */

static nnd_status read_elements(nnd_onnx_model *m, nnd_arena *arena, const tensor_fields *t,
                                nnd_tensor *out, void **owned)
{
    size_t bytes = nnd_tensor_bytes(out);
    if (t->dtype == NND_STRING) return read_strings(t, arena, out);
    m->weight_bytes += bytes;
    if (m->weight_bytes > m->max_weight_bytes)
        return nnd_error_set(NND_E_LIMIT, "the model's weights exceed the limit of %llu bytes",
                             (unsigned long long)m->max_weight_bytes);
    if (t->external) return read_external(m, t, out);
    if (t->has_raw) {
        if (t->raw.size != bytes)
            return nnd_error_set(NND_E_FORMAT,
                                 "malformed ONNX: a tensor has %zu bytes, its shape wants %zu",
                                 t->raw.size, bytes);
        static const uint8_t nothing;
        union {
            const void *in;
            void *out;
        } cast = {bytes ? (const void *)t->raw.data : &nothing};
        out->data = cast.out;
        return NND_OK;
    }
    /* Every item of a typed field takes at least one byte of the file: a huge shape is refused
       before memory is asked for. */
    if (bytes / 16 > t->message.size)
        return nnd_onnx_malformed("a tensor has fewer elements than its shape says");
    *owned = nnd_alloc_aligned(bytes ? bytes : 1, 64);
    if (!*owned) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a weight");
    out->data = *owned;
    return read_typed(t, *owned, bytes);
}

nnd_status nnd_onnx_read_tensor(nnd_onnx_model *model, nnd_arena *arena, nnd_pb_bytes bytes,
                                nnd_tensor *out, void **owned, nnd_pb_bytes *name)
{
    tensor_fields t;
    *owned = NULL;
    NND_TRY(scan_fields(bytes, &t));
    if (name) *name = t.name;
    NND_TRY(nnd_tensor_init(out, t.dtype, t.rank, t.dims, NULL));
    nnd_status status = read_elements(model, arena, &t, out, owned);
    if (status != NND_OK) {
        nnd_free_aligned(*owned);
        *owned = NULL;
    }
    return status;
}
