/* TensorProto, SequenceProto, MapProto and OptionalProto as values: stored inputs and outputs. */
#include <string.h>

#include "engine/onnx/onnx.h"

/* Field numbers. A sequence's and an optional's values of one kind are in one field. */
enum {
    V_TENSOR = 3,
    V_SPARSE = 4,
    V_SEQUENCE = 5,
    V_MAP = 6,
    V_OPTIONAL = 7,
    M_KEYS = 3,
    M_STRING_KEYS = 4,
    M_VALUES = 5,
    MAX_DEPTH = 8
};

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a stored value");
}

static nnd_status read_tensor(nnd_pb_bytes message, nnd_value **out)
{
    nnd_onnx_model owner = {.max_weight_bytes = UINT64_MAX};
    nnd_tensor t;
    void *owned = NULL;
    nnd_value *value = NULL;
    nnd_status status = nnd_onnx_read_tensor(&owner, &owner.arena, message, &t, &owned, NULL);
    if (status == NND_OK) status = nnd_value_new_tensor(t.dtype, t.rank, t.dims, &value);
    if (status == NND_OK && t.dtype == NND_STRING) {
        const nnd_string *items = t.data;
        for (size_t i = 0; i < (size_t)nnd_tensor_count(&t) && status == NND_OK; i++)
            status = nnd_value_set_string(value, i, items[i].text, items[i].size);
    } else if (status == NND_OK && nnd_tensor_bytes(&t)) {
        memcpy(nnd_value_tensor(value)->data, t.data, nnd_tensor_bytes(&t));
    }
    nnd_free_aligned(owned);
    nnd_arena_fini(&owner.arena);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

/* ---- maps ---------------------------------------------------------------------------------- */

static nnd_status read_int_keys(nnd_pb_bytes message, nnd_value **out)
{
    nnd_pb_bytes again = message;
    nnd_pb_field f;
    bool bad = false;
    size_t more, n = 0;
    int64_t count = 0;
    while (nnd_pb_next(&again, &f, &bad)) {
        if (f.number != M_KEYS) continue;
        if (!nnd_pb_packed_count(&f, 0, &more)) return nnd_onnx_malformed("a map's keys");
        count += (int64_t)more;
    }
    NND_TRY(nnd_value_new_tensor(NND_I64, 1, &count, out));
    int64_t *keys = nnd_value_tensor(*out)->data;
    while (nnd_pb_next(&message, &f, &bad)) {
        if (f.number != M_KEYS) continue;
        uint64_t key = f.bits;
        if (f.type != NND_PB_LEN) keys[n++] = (int64_t)key;
        while (f.bytes.size && nnd_pb_varint(&f.bytes, &key))
            keys[n++] = (int64_t)key;
    }
    return NND_OK;
}

static nnd_status read_string_keys(nnd_pb_bytes message, int64_t count, nnd_value **out)
{
    nnd_pb_field f;
    bool bad = false;
    size_t n = 0;
    NND_TRY(nnd_value_new_tensor(NND_STRING, 1, &count, out));
    while (nnd_pb_next(&message, &f, &bad))
        if (f.number == M_STRING_KEYS && f.type == NND_PB_LEN)
            NND_TRY(nnd_value_set_string(*out, n++, f.bytes.size ? (const char *)f.bytes.data : "",
                                         f.bytes.size));
    return NND_OK;
}

/* The values of a map: one tensor each in the file, one vector here. */
static nnd_status join_values(const nnd_value *list, nnd_value **out)
{
    int64_t count = (int64_t)nnd_value_list_count(list);
    const nnd_tensor *first = count ? nnd_value_tensor(nnd_value_list_at(list, 0)) : NULL;
    NND_TRY(nnd_value_new_tensor(first ? first->dtype : NND_F32, 1, &count, out));
    for (size_t i = 0; i < (size_t)count; i++) {
        const nnd_tensor *t = nnd_value_tensor(nnd_value_list_at(list, i));
        if (!t || t->dtype != first->dtype || nnd_tensor_count(t) != 1 ||
            nnd_dtype_bits(t->dtype) < 8)
            return nnd_error_set(NND_E_UNSUPPORTED, "a map's values are not scalars of one type");
        size_t bytes = nnd_tensor_bytes(t);
        const nnd_string *s = t->data;
        if (t->dtype == NND_STRING)
            NND_TRY(nnd_value_set_string(*out, i, s->text, s->size));
        else
            memcpy((char *)nnd_value_tensor(*out)->data + i * bytes, t->data, bytes);
    }
    return NND_OK;
}

static nnd_status read_list(nnd_pb_bytes message, int depth, nnd_value **out);

static nnd_status read_map(nnd_pb_bytes message, int depth, nnd_value **out)
{
    nnd_pb_bytes again = message, sequence = {0};
    nnd_pb_field f;
    bool bad = false;
    int64_t strings = 0;
    nnd_value *list = NULL, *keys = NULL, *values = NULL;
    while (nnd_pb_next(&again, &f, &bad)) {
        strings += f.number == M_STRING_KEYS && f.type == NND_PB_LEN;
        if (f.number == M_VALUES && f.type == NND_PB_LEN) sequence = f.bytes;
    }
    if (bad) return nnd_onnx_malformed("a map ends in the middle of a field");
    nnd_status status = read_list(sequence, depth + 1, &list);
    if (status == NND_OK) status = join_values(list, &values);
    nnd_value_unref(list);
    if (status == NND_OK)
        status =
            strings ? read_string_keys(message, strings, &keys) : read_int_keys(message, &keys);
    if (status == NND_OK && nnd_value_tensor(keys)->dims[0] != nnd_value_tensor(values)->dims[0])
        status = nnd_onnx_malformed("a map has more keys than values, or fewer");
    if (status == NND_OK) return nnd_engine_map_create(keys, values, out);
    nnd_value_unref(keys);
    nnd_value_unref(values);
    return status;
}

/* ---- sequences and optionals --------------------------------------------------------------- */

static nnd_status read_optional(nnd_pb_bytes message, int depth, nnd_value **out);

/* A value in its field of a SequenceProto or OptionalProto; NND_E_NOT_FOUND for other fields. */
static nnd_status read_member(const nnd_pb_field *f, int depth, nnd_value **out)
{
    if (f->type != NND_PB_LEN) return NND_E_NOT_FOUND;
    if (depth > MAX_DEPTH)
        return nnd_error_set(NND_E_LIMIT, "stored values are nested more than %d deep", MAX_DEPTH);
    switch (f->number) {
    case V_TENSOR:
        return read_tensor(f->bytes, out);
    case V_SPARSE:
        return nnd_error_set(NND_E_UNSUPPORTED, "sparse tensors are not supported");
    case V_SEQUENCE:
        return read_list(f->bytes, depth + 1, out);
    case V_MAP:
        return read_map(f->bytes, depth + 1, out);
    case V_OPTIONAL:
        return read_optional(f->bytes, depth + 1, out);
    default:
        return NND_E_NOT_FOUND;
    }
}

static nnd_status read_list(nnd_pb_bytes message, int depth, nnd_value **out)
{
    nnd_pb_bytes again = message;
    nnd_pb_field f;
    bool bad = false;
    size_t most = 0, n = 0;
    while (nnd_pb_next(&again, &f, &bad))
        most++;
    if (bad) return nnd_onnx_malformed("a sequence ends in the middle of a field");
    nnd_value **items = nnd_calloc(most + 1, sizeof(nnd_value *));
    if (!items) return out_of_memory();
    nnd_status status = NND_OK;
    while (status == NND_OK && nnd_pb_next(&message, &f, &bad)) {
        status = read_member(&f, depth, &items[n]);
        if (status == NND_OK) n++;
        if (status == NND_E_NOT_FOUND) status = NND_OK;
    }
    if (status == NND_OK) status = nnd_value_new_list(items, n, out);
    for (size_t i = 0; i < n; i++)
        nnd_value_unref(items[i]);
    nnd_free(items);
    return status;
}

static nnd_status read_optional(nnd_pb_bytes message, int depth, nnd_value **out)
{
    nnd_pb_field f;
    bool bad = false;
    while (nnd_pb_next(&message, &f, &bad)) {
        nnd_status status = read_member(&f, depth, out);
        if (status != NND_E_NOT_FOUND) return status;
    }
    if (bad) return nnd_onnx_malformed("an optional ends in the middle of a field");
    return nnd_value_new_gap(NULL, out);
}

nnd_status nnd_onnx_read_value(const void *bytes, size_t size, const nnd_engine_type *type,
                               nnd_value **out)
{
    nnd_pb_bytes message = {bytes, size};
    if (type->optional) return read_optional(message, 0, out);
    switch (type->kind) {
    case NND_KIND_SEQUENCE:
        return read_list(message, 0, out);
    case NND_KIND_MAP:
        return read_map(message, 0, out);
    default:
        return read_tensor(message, out);
    }
}
