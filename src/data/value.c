/*
 * Values: counting, headers, access, copies on write.
 */
#include "data/value.h"

#include <string.h>

static const nnd_header default_header = {
    .pts = NND_NO_TIME,
    .wall = NND_NO_TIME,
    .group_parent = -1,
};

/* ---- life ---- */

static nnd_status alloc_object(size_t payload_size, const nnd_value_type *type, nnd_value **out)
{
    nnd_value *value = nnd_calloc(1, sizeof(*value) + payload_size);
    if (!value) {
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a value of type '%s'", type->name);
    }
    atomic_init(&value->refs, 1);
    value->type = type;
    value->header = default_header;
    *out = value;
    return NND_OK;
}

nnd_status nnd_value_alloc(const nnd_value_type *type, nnd_value **out)
{
    return alloc_object(type->payload_size, type, out);
}

nnd_status nnd_value_create(const char *type_name, nnd_value **out)
{
    const nnd_value_type *type = nnd_value_type_find(type_name);
    if (!type) {
        return nnd_error_set(NND_E_NOT_FOUND, "there is no value type '%s'",
                             type_name ? type_name : "(null)");
    }
    NND_TRY(nnd_value_alloc(type, out));
    if (type == &nnd_type_gap) (*out)->header.flags = NND_VALUE_GAP;
    return NND_OK;
}

nnd_value *nnd_value_ref(nnd_value *value)
{
    if (value) atomic_fetch_add_explicit(&value->refs, 1, memory_order_relaxed);
    return value;
}

void nnd_value_unref(nnd_value *value)
{
    while (value && atomic_fetch_sub_explicit(&value->refs, 1, memory_order_acq_rel) == 1) {
        nnd_value *owner = value->owner;
        if (!owner) value->type->destroy(value->payload);
        nnd_free(value);
        value = owner;
    }
}

/* A second header counts as holder of its payload's owner, so together the counts say how many
   parties look at the payload. */
uint32_t nnd_value_holders(const nnd_value *value)
{
    uint32_t holders = atomic_load_explicit(&value->refs, memory_order_acquire);
    if (value->owner) {
        holders += atomic_load_explicit(&value->owner->refs, memory_order_acquire) - 1;
    }
    return holders;
}

/* ---- access ---- */

static bool is_gap(const nnd_value *value)
{
    return (value->header.flags & NND_VALUE_GAP) != 0;
}

const nnd_value_type *nnd_value_get_type(const nnd_value *value)
{
    return value->type;
}

const char *nnd_value_type_name(const nnd_value *value)
{
    return is_gap(value) ? nnd_type_gap.name : value->type->name;
}

bool nnd_value_is(const nnd_value *value, const char *type_name)
{
    return value && type_name && strcmp(nnd_value_type_name(value), type_name) == 0;
}

const nnd_header *nnd_value_header(const nnd_value *value)
{
    return &value->header;
}

const void *nnd_value_payload(const nnd_value *value, const char *type_name)
{
    return nnd_value_is(value, type_name) ? nnd_value_data(value) : NULL;
}

const void *nnd_value_payload_of(const nnd_value *value, const nnd_value_type *type)
{
    return value && value->type == type && !is_gap(value) ? nnd_value_data(value) : NULL;
}

const nnd_tensor *nnd_value_tensor(const nnd_value *value)
{
    const nnd_tensor_payload *payload = nnd_value_payload_of(value, &nnd_type_tensor);
    return payload ? &payload->tensor : NULL;
}

const nnd_image *nnd_value_image(const nnd_value *value)
{
    return nnd_value_payload_of(value, &nnd_type_image);
}

const nnd_audio *nnd_value_audio(const nnd_value *value)
{
    return nnd_value_payload_of(value, &nnd_type_audio);
}

const nnd_detections *nnd_value_detections(const nnd_value *value)
{
    return nnd_value_payload_of(value, &nnd_type_detections);
}

const nnd_keypoints *nnd_value_keypoints(const nnd_value *value)
{
    return nnd_value_payload_of(value, &nnd_type_keypoints);
}

const nnd_mask *nnd_value_mask(const nnd_value *value)
{
    return nnd_value_payload_of(value, &nnd_type_mask);
}

const nnd_tracks *nnd_value_tracks(const nnd_value *value)
{
    return nnd_value_payload_of(value, &nnd_type_tracks);
}

const nnd_classes *nnd_value_classes(const nnd_value *value)
{
    const nnd_classes_payload *payload = nnd_value_payload_of(value, &nnd_type_classes);
    return payload ? &payload->classes : NULL;
}

const nnd_geometry *nnd_value_geometry(const nnd_value *value)
{
    return nnd_value_payload_of(value, &nnd_type_geometry);
}

const nnd_text *nnd_value_text(const nnd_value *value)
{
    return nnd_value_payload_of(value, &nnd_type_text);
}

nnd_buffer *nnd_value_buffer(const nnd_value *value)
{
    if (!value) return NULL;
    const nnd_value_type *type = value->type;
    if (type->struct_size < sizeof(nnd_value_type) || !type->buffer) return NULL;
    return type->buffer(nnd_value_data(value));
}

/* ---- change ---- */

static bool is_exclusive(const nnd_value *value)
{
    if (nnd_value_holders(value) != 1) return false;
    nnd_buffer *buffer = nnd_value_buffer(value);
    return !buffer || (nnd_buffer_holders(buffer) == 1 && !nnd_buffer_is_read_only(buffer));
}

nnd_status nnd_value_writable(nnd_value *take_value, nnd_value **out)
{
    if (is_exclusive(take_value)) {
        *out = take_value;
        return NND_OK;
    }
    nnd_value *copy = NULL;
    nnd_status status = nnd_value_alloc(take_value->type, &copy);
    if (status == NND_OK) {
        copy->header = take_value->header;
        status = copy->type->clone(nnd_value_data(take_value), copy->payload, false);
    }
    nnd_value_unref(take_value);
    if (status != NND_OK) {
        nnd_value_unref(copy);
        return status;
    }
    *out = copy;
    return NND_OK;
}

void *nnd_value_edit(nnd_value *value)
{
    return value && nnd_value_holders(value) == 1 ? nnd_value_data(value) : NULL;
}

nnd_status nnd_value_edit_as(nnd_value *value, const nnd_value_type *type, void **payload)
{
    if (!nnd_value_payload_of(value, type)) {
        return nnd_error_set(NND_E_TYPE, "the value is '%s', not '%s'",
                             value ? nnd_value_type_name(value) : "(null)", type->name);
    }
    *payload = nnd_value_edit(value);
    if (!*payload) {
        return nnd_error_set(NND_E_STATE,
                             "the %s has %u holders and cannot be changed; "
                             "nnd_value_writable makes a copy",
                             type->name, nnd_value_holders(value));
    }
    return NND_OK;
}

/* A gap has no payload that could be shown again, so its flag stays. */
static nnd_header checked_header(const nnd_value *value, const nnd_header *header)
{
    nnd_header result = *header;
    if (value->type == &nnd_type_gap) result.flags |= NND_VALUE_GAP;
    return result;
}

nnd_status nnd_value_with_header(nnd_value *value, const nnd_header *header, nnd_value **out)
{
    nnd_value *view = NULL;
    NND_TRY(alloc_object(0, value->type, &view));
    view->owner = nnd_value_ref(value->owner ? value->owner : value);
    view->header = checked_header(value, header);
    *out = view;
    return NND_OK;
}

nnd_status nnd_value_set_header(nnd_value *value, const nnd_header *header)
{
    /* The header belongs to this object alone, whoever else shows the payload. */
    uint32_t holders = atomic_load_explicit(&value->refs, memory_order_acquire);
    if (holders != 1) {
        return nnd_error_set(NND_E_STATE,
                             "the header of a value with %u holders cannot be changed; "
                             "use nnd_value_with_header",
                             holders);
    }
    value->header = checked_header(value, header);
    return NND_OK;
}

/* ---- gaps ---- */

static void gap_destroy(void *payload)
{
    (void)payload;
}

static nnd_status gap_clone(const void *payload, void *to, bool share_buffers)
{
    (void)payload;
    (void)to;
    (void)share_buffers;
    return NND_OK;
}

static nnd_status gap_to_json(const void *payload, nnd_json_writer *w)
{
    (void)payload;
    nnd_json_put_null(w);
    return NND_OK;
}

static nnd_status gap_pack(const void *payload, nnd_packer *packer)
{
    (void)payload;
    (void)packer;
    return NND_OK;
}

static nnd_status gap_unpack(void *payload, nnd_unpacker *unpacker)
{
    (void)payload;
    (void)unpacker;
    return NND_OK;
}

const nnd_value_type nnd_type_gap = {
    .struct_size = sizeof(nnd_value_type),
    .name = "gap",
    .destroy = gap_destroy,
    .clone = gap_clone,
    .to_json = gap_to_json,
    .pack = gap_pack,
    .unpack = gap_unpack,
};

nnd_status nnd_value_new_gap(const nnd_header *header, nnd_value **out)
{
    NND_TRY(nnd_value_alloc(&nnd_type_gap, out));
    if (header) (*out)->header = *header;
    (*out)->header.flags |= NND_VALUE_GAP;
    return NND_OK;
}
