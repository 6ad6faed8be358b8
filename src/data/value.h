/*
 * Values, inside the room: the object behind nnd_value, the built-in types, helpers for bulk
 * memory.
 */
#ifndef NND_DATA_VALUE_H
#define NND_DATA_VALUE_H

#include <stdalign.h>
#include <stdatomic.h>

#include "base/map.h"
#include "nndeploy/data.h"

struct nnd_value {
    atomic_uint refs;
    const nnd_value_type *type;
    nnd_value *owner; /* the value whose payload this one shows under another header, or NULL */
    nnd_header header;
    alignas(16) unsigned char payload[]; /* type->payload_size bytes when owner is NULL */
};

/* A value of `type` with a zeroed payload and the default header. */
nnd_status nnd_value_alloc(const nnd_value_type *type, nnd_value **out);
/* The payload, whoever owns it. */
static inline void *nnd_value_data(const nnd_value *value)
{
    return (void *)(value->owner ? value->owner : value)->payload;
}
/* The payload when the value is of that built-in type (and no gap), else NULL. */
const void *nnd_value_payload_of(const nnd_value *value, const nnd_value_type *type);
/* nnd_value_edit for a value that must be of that type; sets NND_E_TYPE or NND_E_STATE. */
nnd_status nnd_value_edit_as(nnd_value *value, const nnd_value_type *type, void **payload);

/* ---- built-in types, in the order in which nnd_value_type_at lists them ---- */

extern const nnd_value_type nnd_type_tensor, nnd_type_image, nnd_type_audio, nnd_type_detections,
    nnd_type_keypoints, nnd_type_mask, nnd_type_tracks, nnd_type_classes, nnd_type_geometry,
    nnd_type_text, nnd_type_bool, nnd_type_int, nnd_type_float, nnd_type_bytes, nnd_type_list,
    nnd_type_record, nnd_type_gap;

/* Payloads that hold more than their public struct, which comes first. */
typedef struct nnd_tensor_payload {
    nnd_tensor tensor;
    bool owns_strings; /* the buffer is a table made by nnd_string_table_create */
} nnd_tensor_payload;

typedef struct nnd_classes_payload {
    nnd_classes classes;
    size_t capacity; /* items whose labels have to be freed, also when count was lowered */
} nnd_classes_payload;

typedef struct nnd_bytes_payload {
    const void *data;
    size_t size;
    nnd_buffer *buffer;
} nnd_bytes_payload;

typedef struct nnd_list_payload {
    size_t count;
    nnd_value **items;
    int depth;
} nnd_list_payload;

typedef struct nnd_record_payload {
    nnd_map map; /* name → nnd_value, one reference each */
    int depth;
} nnd_record_payload;

/* Lists and records inside each other, at most; bounds every recursion over values. */
#define NND_VALUE_MAX_DEPTH 64
int nnd_value_depth(const nnd_value *value); /* 0 for what is no container */

/* ---- bulk memory ---- */

/* `bytes` of memory of the same kind and device as `like` (NULL: host memory). */
nnd_status nnd_bulk_alloc(const nnd_buffer *like, size_t bytes, nnd_buffer **out);
/* Waits until the bytes of `buffer` (may be NULL) are valid. */
nnd_status nnd_bulk_wait(nnd_buffer *buffer);
/* Fails with NND_E_INVALID_ARGUMENT unless [low, high) lies within the buffer. */
nnd_status nnd_bulk_check_range(const nnd_buffer *buffer, int64_t low, int64_t high,
                                const char *what);
/* A table of `count` empty strings that frees what nnd_string_table_set put into it. */
nnd_status nnd_string_table_create(size_t count, nnd_buffer **out);
nnd_status nnd_string_table_set(nnd_buffer *table, size_t index, const char *text, size_t size);

/* ---- labels: one block with the pointers and the texts; nnd_free ---- */

nnd_status nnd_labels_copy(const char *const *labels, size_t count, const char ***out);

#endif
