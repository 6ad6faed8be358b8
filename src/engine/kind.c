#include "engine/kind.h"

nnd_status nnd_engine_map_create(nnd_value *take_keys, nnd_value *take_values, nnd_value **out)
{
    nnd_value *map = NULL;
    nnd_status status = nnd_value_new_record(&map);
    if (status == NND_OK) status = nnd_value_record_set(map, "keys", take_keys);
    if (status == NND_OK) status = nnd_value_record_set(map, "values", take_values);
    nnd_value_unref(take_keys);
    nnd_value_unref(take_values);
    if (status != NND_OK) {
        nnd_value_unref(map);
        return status;
    }
    *out = map;
    return NND_OK;
}
