/* What a port of a model carries, when it is more than one tensor. */
#ifndef NND_ENGINE_KIND_H
#define NND_ENGINE_KIND_H

#include "nndeploy/data.h"

typedef enum nnd_engine_kind {
    NND_KIND_TENSOR = 0,
    NND_KIND_SEQUENCE = 1, /* a list */
    NND_KIND_MAP = 2       /* a record of two vectors, "keys" and "values" */
} nnd_engine_kind;

typedef struct nnd_engine_type {
    nnd_engine_kind kind;
    nnd_engine_kind element; /* SEQUENCE: of what */
    nnd_dtype key;           /* MAP, and a SEQUENCE of them */
    bool optional;           /* may be empty: a gap value */
} nnd_engine_type;

/* The value of a map from its vectors; takes over both references, also on failure. */
nnd_status nnd_engine_map_create(nnd_value *take_keys, nnd_value *take_values, nnd_value **out);

#endif
