/*
 * Hashes.
 *  - nnd_hash64: SipHash-1-3 (Aumasson, Bernstein 2012) under a key drawn once per process, for
 *    tables in memory: no choice of names can make a table slow. Differs from run to run.
 *  - nnd_hash128: MurmurHash3 x64/128 (Austin Appleby, 2011), for content
 *    keys; the same bytes give the same key on every machine. Not for secrets.
 *  - SHA-256 (FIPS 180-4), for files from outside.
 */
#ifndef NND_BASE_HASH_H
#define NND_BASE_HASH_H

#include "nndeploy/base.h"

uint64_t nnd_hash64(const void *data, size_t size);

typedef struct nnd_key128 {
    uint64_t lo, hi;
} nnd_key128;

/* Streaming form. Field by field: lengths are not part of the hash, add them where two fields
   could trade bytes (nnd_hash128_add_str does). */
typedef struct nnd_hash128 {
    uint64_t h1, h2;
    uint64_t total;
    uint8_t tail[16];
} nnd_hash128;
void nnd_hash128_init(nnd_hash128 *h, uint32_t seed);
void nnd_hash128_add(nnd_hash128 *h, const void *data, size_t size);
void nnd_hash128_add_u64(nnd_hash128 *h, uint64_t value);   /* as 8 little-endian bytes */
void nnd_hash128_add_str(nnd_hash128 *h, const char *text); /* size, then bytes; NULL is its own */
nnd_key128 nnd_hash128_end(const nnd_hash128 *h);           /* h may go on afterwards */
nnd_key128 nnd_hash128_of(const void *data, size_t size);
static inline bool nnd_key128_equal(nnd_key128 a, nnd_key128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}
#define NND_KEY128_TEXT 33
void nnd_key128_text(nnd_key128 key, char out[NND_KEY128_TEXT]); /* 32 hex digits and NUL */

typedef struct nnd_sha256 {
    uint32_t state[8];
    uint64_t total;
    uint8_t tail[64];
} nnd_sha256;
#define NND_SHA256_SIZE 32
#define NND_SHA256_TEXT 65
void nnd_sha256_init(nnd_sha256 *h);
void nnd_sha256_add(nnd_sha256 *h, const void *data, size_t size);
void nnd_sha256_end(nnd_sha256 *h, uint8_t out[NND_SHA256_SIZE]);
void nnd_sha256_text(const uint8_t digest[NND_SHA256_SIZE], char out[NND_SHA256_TEXT]);
/* Whether two texts are the same digest: hex digits of either case. */
bool nnd_sha256_text_equal(const char *a, const char *b);
/* Of a whole file. NND_E_NOT_FOUND, NND_E_IO. */
nnd_status nnd_sha256_file(const char *path, uint8_t out[NND_SHA256_SIZE]);

#endif
