/*
 * Packing, inside the library: the state of packer and unpacker and the hooks by which an owner
 * (wire) carries shared buffers beside the bytes.
 *
 * A packed value is: type name (string), header (i64 pts, i64 wall, u32 stream, u32 epoch,
 * i64 sequence, i64 group parent, u32 group index, u32 flags), u64 payload bytes, payload.
 * Numbers are little-endian. Bytes and strings carry a u64 length (UINT64_MAX: no string).
 * A buffer is u32 form: 0 = u64 size, zeros up to the next multiple of NND_PACK_ALIGN from the
 * start of the block, the bytes; 1 = u32 attachment, u64 offset, u64 size.
 */
#ifndef NND_DATA_PACK_H
#define NND_DATA_PACK_H

#include "nndeploy/data.h"

#define NND_PACK_ALIGN 64

typedef struct nnd_pack_hooks {
    /* Whether the buffer itself can travel beside the bytes, without a copy. May be NULL. */
    bool (*shares)(void *user, const nnd_buffer *buffer);
    /* True when [offset, offset + size) of the buffer travels beside the bytes: as which attachment
       and from where in it. False: as bytes. May be NULL. */
    bool (*attach)(void *user, nnd_buffer *buffer, size_t offset, size_t size, uint32_t *attachment,
                   uint64_t *attachment_offset);
    void *user;
} nnd_pack_hooks;

struct nnd_packer {
    uint8_t *bytes;
    size_t size, capacity;
    nnd_status status;
    int depth;
    nnd_pack_hooks hooks;
};

typedef struct nnd_unpack_hooks {
    /* A new reference on an attached buffer, or a failure. May be NULL. */
    nnd_status (*attached)(void *user, uint32_t attachment, nnd_buffer **out);
    nnd_buffer *block; /* holds the bytes being read: pieces of it need no copy. May be NULL. */
    void *user;
} nnd_unpack_hooks;

struct nnd_unpacker {
    const uint8_t *bytes;
    size_t size, pos;
    size_t start; /* of the whole block, before `bytes`: what alignment counts from */
    nnd_status status;
    int depth;
    nnd_unpack_hooks hooks;
};

void nnd_packer_init(nnd_packer *p, const nnd_pack_hooks *hooks); /* hooks may be NULL */
void nnd_packer_fini(nnd_packer *p);
/* Whether nnd_pack_buffer sends this buffer without a copy. */
bool nnd_packer_shares(const nnd_packer *p, const nnd_buffer *buffer);
void nnd_unpacker_init(nnd_unpacker *u, const void *bytes, size_t size,
                       const nnd_unpack_hooks *hooks); /* hooks may be NULL */
size_t nnd_unpacker_left(const nnd_unpacker *u);
/* Marks the bytes as malformed; returns NND_E_FORMAT. */
nnd_status nnd_unpack_fail(nnd_unpacker *u, const char *format, ...) NND_PRINTF(2, 3);

/* Labels as one run of texts. */
nnd_status nnd_pack_labels(nnd_packer *p, const char *const *labels, size_t count);
nnd_status nnd_unpack_labels(nnd_unpacker *u, const char ***labels, size_t *count);
/* A u32 that must lie within [low, high]. */
nnd_status nnd_unpack_u32_in(nnd_unpacker *u, int64_t low, int64_t high, const char *what,
                             int64_t *out);

#endif
