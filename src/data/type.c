/*
 * The register of value types. Built-in types need no registration; plug-ins append to a table of
 * slots that are filled once and never cleared, so that reading takes no lock.
 */
#include <stdatomic.h>
#include <string.h>

#include "data/value.h"

static const nnd_value_type *const builtin[] = {
    &nnd_type_tensor,    &nnd_type_image, &nnd_type_audio,  &nnd_type_detections,
    &nnd_type_keypoints, &nnd_type_mask,  &nnd_type_tracks, &nnd_type_classes,
    &nnd_type_geometry,  &nnd_type_text,  &nnd_type_bool,   &nnd_type_int,
    &nnd_type_float,     &nnd_type_bytes, &nnd_type_list,   &nnd_type_record,
    &nnd_type_gap,
};

enum { MAX_REGISTERED = 512 };
static _Atomic(const nnd_value_type *) registered[MAX_REGISTERED];

static nnd_status check_type(const nnd_value_type *type)
{
    if (!type || type->struct_size < offsetof(nnd_value_type, buffer)) {
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "value type: struct_size is missing or older than version 1");
    }
    if (!type->name || !type->name[0] || strlen(type->name) > 64) {
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "value type: the name must have 1…64 bytes");
    }
    if (!type->clone || !type->destroy) {
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "value type '%s' needs destroy and clone",
                             type->name);
    }
    return NND_OK;
}

nnd_status nnd_value_type_register(const nnd_value_type *type)
{
    NND_TRY(check_type(type));
    for (size_t i = 0; i < NND_COUNT(builtin); i++)
        if (strcmp(builtin[i]->name, type->name) == 0) goto exists;
    for (size_t i = 0; i < MAX_REGISTERED; i++) {
        const nnd_value_type *found = NULL;
        /* Whoever loses the race for a slot sees the winner and compares names with it too. */
        if (atomic_compare_exchange_strong(&registered[i], &found, type)) return NND_OK;
        if (found == type) return NND_OK;
        if (strcmp(found->name, type->name) == 0) goto exists;
    }
    return nnd_error_set(NND_E_LIMIT, "cannot register value type '%s': there are already %d",
                         type->name, MAX_REGISTERED);
exists:
    return nnd_error_set(NND_E_EXISTS, "there is already a value type '%s'", type->name);
}

const nnd_value_type *nnd_value_type_at(size_t index)
{
    if (index < NND_COUNT(builtin)) return builtin[index];
    index -= NND_COUNT(builtin);
    return index < MAX_REGISTERED ? atomic_load(&registered[index]) : NULL;
}

size_t nnd_value_type_count(void)
{
    size_t count = NND_COUNT(builtin);
    while (nnd_value_type_at(count))
        count++;
    return count;
}

const nnd_value_type *nnd_value_type_find(const char *name)
{
    if (!name) return NULL;
    const nnd_value_type *type;
    for (size_t i = 0; (type = nnd_value_type_at(i)) != NULL; i++)
        if (strcmp(type->name, name) == 0) return type;
    return NULL;
}
