/*
 * The safetensors file: 8 bytes, the length n of the header (little endian); n bytes of JSON, which
 * give each tensor's dtype, shape and place; the elements, without gaps, to the end of the file.
 *
 * Reading is strict: a header that is too long or no object, tensors that overlap, leave gaps, lie
 * outside of the file or have another size than their shape says, names given twice: NND_E_FORMAT.
 * Writing pads the header so that elements begin at a multiple of 64.
 */
#ifndef NND_ENGINE_IR_SAFETENSORS_H
#define NND_ENGINE_IR_SAFETENSORS_H

#include <stdio.h>

#include "base/hash.h"
#include "nndeploy/data.h"

enum { NND_SAFETENSORS_MAX_HEADER = 100 << 20 };

typedef struct nnd_safetensors {
    nnd_json_doc *header;
    const uint8_t *data; /* of the elements, in the caller's bytes */
    size_t size;
} nnd_safetensors;

/* Checks everything that can be checked. The bytes stay borrowed. On failure nothing is held. */
nnd_status nnd_safetensors_open(nnd_safetensors *st, const void *bytes, size_t size,
                                const char *name);
void nnd_safetensors_close(nnd_safetensors *st); /* a zeroed one too */
/* The tensor of that name; its data lies in the file, perhaps unaligned. NND_E_NOT_FOUND. */
nnd_status nnd_safetensors_find(const nnd_safetensors *st, const char *name, nnd_tensor *out);

/* The id that the file was written with; NULL for a file that has none. */
const char *nnd_safetensors_id(const nnd_safetensors *st);

/* "F32"; NULL for types that the format does not have. */
const char *nnd_safetensors_dtype(nnd_dtype dtype);

/* A tensor to be written. */
typedef struct nnd_safetensors_item {
    const char *name;
    nnd_tensor tensor; /* of a dtype that the format has */
} nnd_safetensors_item;
/* Sorts the items (widest elements first, then by name: every tensor is aligned). Names are unique.
   The id is made of their names, types, shapes and elements. */
void nnd_safetensors_sort(nnd_safetensors_item *items, size_t count, char id[NND_KEY128_TEXT]);
/* Writes a file of sorted items, with the id among its metadata; NND_E_IO. */
nnd_status nnd_safetensors_write(const nnd_safetensors_item *items, size_t count, const char *id,
                                 FILE *file);

#endif
