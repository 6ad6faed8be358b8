/*
 * A bounds-checked reader over untrusted bytes. Reading past the end sets `failed`, gives zero and
 * never touches memory outside; so a parser may read a whole header and ask once.
 */
#ifndef NND_BASE_BYTES_H
#define NND_BASE_BYTES_H

#include "nndeploy/base.h"

typedef struct nnd_bytes {
    const uint8_t *data; /* borrowed */
    size_t size;
    size_t pos;
    bool failed;
} nnd_bytes;

static inline nnd_bytes nnd_bytes_of(const void *data, size_t size)
{
    nnd_bytes b = {(const uint8_t *)data, size, 0, false};
    return b;
}
static inline size_t nnd_bytes_left(const nnd_bytes *b)
{
    return b->failed ? 0 : b->size - b->pos;
}
static inline bool nnd_bytes_ok(const nnd_bytes *b)
{
    return !b->failed;
}

uint8_t nnd_bytes_u8(nnd_bytes *b);
uint16_t nnd_bytes_u16le(nnd_bytes *b);
uint32_t nnd_bytes_u32le(nnd_bytes *b);
uint64_t nnd_bytes_u64le(nnd_bytes *b);
uint16_t nnd_bytes_u16be(nnd_bytes *b);
uint32_t nnd_bytes_u32be(nnd_bytes *b);
uint64_t nnd_bytes_u64be(nnd_bytes *b);
float nnd_bytes_f32le(nnd_bytes *b);
double nnd_bytes_f64le(nnd_bytes *b);
/* LEB128 as in protocol buffers, at most 10 bytes. */
uint64_t nnd_bytes_varint(nnd_bytes *b);
/* Borrows the next `size` bytes; NULL (and failed) when there are fewer. Size 0 is not NULL. */
const uint8_t *nnd_bytes_take(nnd_bytes *b, size_t size);
void nnd_bytes_skip(nnd_bytes *b, size_t size);
void nnd_bytes_seek(nnd_bytes *b, size_t pos);            /* pos == size is the end and allowed */
void nnd_bytes_copy(nnd_bytes *b, void *to, size_t size); /* zeroes `to` on failure */
/* A reader over the next `size` bytes; empty and failed when there are fewer. */
nnd_bytes nnd_bytes_sub(nnd_bytes *b, size_t size);

#endif
