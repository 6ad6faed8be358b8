/*
 * The value types "list" and "record".
 */
#include <string.h>

#include "base/str.h"
#include "data/pack.h"
#include "data/preview.h"
#include "data/value.h"

int nnd_value_depth(const nnd_value *value)
{
    const nnd_list_payload *list = nnd_value_payload_of(value, &nnd_type_list);
    if (list) return list->depth;
    const nnd_record_payload *record = nnd_value_payload_of(value, &nnd_type_record);
    return record ? record->depth : 0;
}

static nnd_status raise_depth(const nnd_value *item, int *depth)
{
    int below = nnd_value_depth(item);
    if (below >= NND_VALUE_MAX_DEPTH) {
        return nnd_error_set(NND_E_LIMIT, "lists and records are nested deeper than %d",
                             NND_VALUE_MAX_DEPTH);
    }
    if (below + 1 > *depth) *depth = below + 1;
    return NND_OK;
}

/* ---- list ---- */

static void list_destroy(void *payload)
{
    nnd_list_payload *list = payload;
    for (size_t i = 0; i < list->count; i++)
        nnd_value_unref(list->items[i]);
    nnd_free(list->items);
}

static nnd_status fill_list(nnd_list_payload *list, nnd_value *const *items, size_t count)
{
    int depth = 1;
    for (size_t i = 0; i < count; i++) {
        if (!items[i]) return nnd_error_set(NND_E_INVALID_ARGUMENT, "list item %zu is NULL", i);
        NND_TRY(raise_depth(items[i], &depth));
    }
    list->depth = depth;
    if (count == 0) return NND_OK;
    list->items = nnd_calloc(count, sizeof(list->items[0]));
    if (!list->items) {
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a list of %zu", count);
    }
    for (size_t i = 0; i < count; i++)
        list->items[i] = nnd_value_ref(items[i]);
    list->count = count;
    return NND_OK;
}

static nnd_status list_clone(const void *payload, void *to, bool share_buffers)
{
    (void)share_buffers; /* the items are immutable values of their own */
    const nnd_list_payload *from = payload;
    return fill_list(to, from->items, from->count);
}

static nnd_status list_to_json(const void *payload, nnd_json_writer *w)
{
    const nnd_list_payload *list = payload;
    nnd_json_begin_array(w);
    for (size_t i = 0; i < list->count; i++)
        NND_TRY(nnd_value_to_json(list->items[i], w));
    nnd_json_end_array(w);
    return NND_OK;
}

/* Payload: u64 count, the packed values. */
static nnd_status list_pack(const void *payload, nnd_packer *p)
{
    const nnd_list_payload *list = payload;
    nnd_pack_u64(p, list->count);
    for (size_t i = 0; i < list->count; i++)
        NND_TRY(nnd_pack_value(p, list->items[i]));
    return p->status;
}

static nnd_status list_unpack(void *payload, nnd_unpacker *u)
{
    enum { SMALLEST_VALUE = 64 }; /* bytes of type name, header and length of any packed value */
    nnd_list_payload *list = payload;
    uint64_t count;
    NND_TRY(nnd_unpack_u64(u, &count));
    if (count > nnd_unpacker_left(u) / SMALLEST_VALUE) {
        return nnd_unpack_fail(u, "a list of %llu does not fit into %zu bytes",
                               (unsigned long long)count, nnd_unpacker_left(u));
    }
    list->depth = 1;
    if (count == 0) return NND_OK;
    list->items = nnd_calloc((size_t)count, sizeof(list->items[0]));
    if (!list->items) {
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a list of %llu",
                             (unsigned long long)count);
    }
    while (list->count < count) {
        nnd_value *item;
        NND_TRY(nnd_unpack_value(u, &item));
        list->items[list->count++] = item;
        NND_TRY(raise_depth(item, &list->depth));
    }
    return NND_OK;
}

const nnd_value_type nnd_type_list = {
    .struct_size = sizeof(nnd_value_type),
    .name = "list",
    .payload_size = sizeof(nnd_list_payload),
    .destroy = list_destroy,
    .clone = list_clone,
    .to_json = list_to_json,
    .preview = nnd_preview_list,
    .pack = list_pack,
    .unpack = list_unpack,
};

nnd_status nnd_value_new_list(nnd_value *const *items, size_t count, nnd_value **out)
{
    nnd_value *value;
    NND_TRY(nnd_value_alloc(&nnd_type_list, &value));
    nnd_status status = fill_list((nnd_list_payload *)value->payload, items, count);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

size_t nnd_value_list_count(const nnd_value *list)
{
    const nnd_list_payload *payload = nnd_value_payload_of(list, &nnd_type_list);
    return payload ? payload->count : 0;
}

nnd_value *nnd_value_list_at(const nnd_value *list, size_t index)
{
    const nnd_list_payload *payload = nnd_value_payload_of(list, &nnd_type_list);
    return payload && index < payload->count ? payload->items[index] : NULL;
}

/* ---- record ---- */

static void record_destroy(void *payload)
{
    nnd_record_payload *record = payload;
    for (size_t i = 0; i < record->map.count; i++)
        nnd_value_unref(record->map.entries[i].value);
    nnd_map_fini(&record->map);
}

static nnd_status record_put(nnd_record_payload *record, const char *name, nnd_value *value)
{
    int depth = record->depth > 0 ? record->depth : 1;
    NND_TRY(raise_depth(value, &depth));
    void *old = NULL;
    NND_TRY(nnd_map_put(&record->map, name, value, &old));
    nnd_value_ref(value);
    nnd_value_unref(old);
    record->depth = depth;
    return NND_OK;
}

static nnd_status record_clone(const void *payload, void *to, bool share_buffers)
{
    (void)share_buffers;
    const nnd_record_payload *from = payload;
    for (size_t i = 0; i < from->map.count; i++)
        NND_TRY(record_put(to, from->map.entries[i].key, from->map.entries[i].value));
    return NND_OK;
}

static nnd_status record_to_json(const void *payload, nnd_json_writer *w)
{
    const nnd_record_payload *record = payload;
    nnd_json_begin_object(w);
    for (size_t i = 0; i < record->map.count; i++) {
        nnd_json_key(w, record->map.entries[i].key);
        NND_TRY(nnd_value_to_json(record->map.entries[i].value, w));
    }
    nnd_json_end_object(w);
    return NND_OK;
}

/* Payload: u64 count, per member the name as string and the packed value. */
static nnd_status record_pack(const void *payload, nnd_packer *p)
{
    const nnd_record_payload *record = payload;
    nnd_pack_u64(p, record->map.count);
    for (size_t i = 0; i < record->map.count; i++) {
        nnd_pack_string(p, record->map.entries[i].key);
        NND_TRY(nnd_pack_value(p, record->map.entries[i].value));
    }
    return p->status;
}

static nnd_status unpack_member(nnd_record_payload *record, nnd_unpacker *u)
{
    char *name;
    nnd_value *value = NULL;
    NND_TRY(nnd_unpack_string(u, &name));
    nnd_status status = NND_OK;
    if (!name || !nnd_utf8_valid(name, strlen(name)) || nnd_map_get(&record->map, name)) {
        status = nnd_unpack_fail(u, "a record has a missing, malformed or repeated name");
    }
    if (status == NND_OK) status = nnd_unpack_value(u, &value);
    if (status == NND_OK) status = record_put(record, name, value);
    nnd_value_unref(value);
    nnd_free(name);
    return status;
}

static nnd_status record_unpack(void *payload, nnd_unpacker *u)
{
    uint64_t count;
    NND_TRY(nnd_unpack_u64(u, &count));
    for (uint64_t i = 0; i < count; i++)
        NND_TRY(unpack_member(payload, u));
    return NND_OK;
}

const nnd_value_type nnd_type_record = {
    .struct_size = sizeof(nnd_value_type),
    .name = "record",
    .payload_size = sizeof(nnd_record_payload),
    .destroy = record_destroy,
    .clone = record_clone,
    .to_json = record_to_json,
    .preview = nnd_preview_record,
    .pack = record_pack,
    .unpack = record_unpack,
};

nnd_status nnd_value_new_record(nnd_value **out)
{
    NND_TRY(nnd_value_alloc(&nnd_type_record, out));
    ((nnd_record_payload *)(*out)->payload)->depth = 1;
    return NND_OK;
}

nnd_status nnd_value_record_set(nnd_value *record, const char *name, nnd_value *value)
{
    void *payload;
    NND_TRY(nnd_value_edit_as(record, &nnd_type_record, &payload));
    if (!name || !value || value == record) {
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "record member '%s' needs a name and another "
                             "value",
                             name ? name : "");
    }
    return record_put(payload, name, value);
}

nnd_value *nnd_value_record_get(const nnd_value *record, const char *name)
{
    const nnd_record_payload *payload = nnd_value_payload_of(record, &nnd_type_record);
    return payload && name ? nnd_map_get(&payload->map, name) : NULL;
}

size_t nnd_value_record_count(const nnd_value *record)
{
    const nnd_record_payload *payload = nnd_value_payload_of(record, &nnd_type_record);
    return payload ? payload->map.count : 0;
}

const char *nnd_value_record_name(const nnd_value *record, size_t index)
{
    const nnd_record_payload *payload = nnd_value_payload_of(record, &nnd_type_record);
    return payload && index < payload->map.count ? payload->map.entries[index].key : NULL;
}

nnd_value *nnd_value_record_at(const nnd_value *record, size_t index)
{
    const nnd_record_payload *payload = nnd_value_payload_of(record, &nnd_type_record);
    return payload && index < payload->map.count ? payload->map.entries[index].value : NULL;
}
