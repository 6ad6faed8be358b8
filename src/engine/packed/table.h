/*
 * The form of a cache file of packed weights. Private to this folder.
 *
 * A file is whole lines of 64 bytes; integers are little-endian:
 *
 *      0  magic "NNDPACK\n", u32 version, u32 number of rows n, u64 size of the file
 *     24  32 bytes of key
 *     56  16 bytes of checksum over everything behind them
 *     72  n rows {u64 form, u64 bytes}, zeros up to a whole line
 *         the weights of each row, zeros up to a whole line
 *
 * Offsets follow from the sizes, so there is only one place where the weights of a row can be.
 */
#ifndef NND_ENGINE_PACKED_TABLE_H
#define NND_ENGINE_PACKED_TABLE_H

#include "engine/packed/packed.h"

enum { NND_PACKED_LINE = 64, NND_PACKED_HEAD = 72, NND_PACKED_ROW = 16 };

static inline uint64_t nnd_packed_whole_lines(uint64_t bytes)
{
    return (bytes + NND_PACKED_LINE - 1) / NND_PACKED_LINE * NND_PACKED_LINE;
}

typedef struct nnd_packed_row {
    uint64_t form; /* of which way of packing the weights are */
    uint64_t bytes;
} nnd_packed_row;

/* What a file says of itself; borrows its bytes. */
typedef struct nnd_packed_table {
    const uint8_t *bytes;
    size_t size;
    size_t count;
    size_t payload; /* where the weights of the first row begin */
} nnd_packed_table;

/* Checks everything but the checksum, in time bounded by the size: afterwards the weights of every
   row lie inside of the bytes. Any bytes may be given. NND_E_FORMAT says what is wrong with them.
 */
nnd_status nnd_packed_table_read(const void *bytes, size_t size, const nnd_packed_key *key,
                                 nnd_packed_table *out);
nnd_packed_row nnd_packed_table_row(const nnd_packed_table *table, size_t index);
/* Whether the checksum is right. Reads every byte. */
bool nnd_packed_table_is_intact(const nnd_packed_table *table);

/* The lines before the weights, checksum included, nnd_packed_head_bytes(count) bytes. */
size_t nnd_packed_head_bytes(size_t count);
void nnd_packed_head_write(const nnd_packed_key *key, const nnd_packed_row *rows,
                           const void *const *weights, size_t count, uint8_t *out);

#endif
