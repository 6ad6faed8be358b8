/* SHA-256 (FIPS 180-4). */
#include "base/hash.h"

#include <stdio.h>
#include <string.h>

#include "base/port_status.h"
#include "port/port.h"

/* Fractional parts of the cube roots of the first 64 primes. */
static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t value, int bits)
{
    return value >> bits | value << (32 - bits);
}

static void add_block(uint32_t state[8], const uint8_t *p)
{
    uint32_t w[64];
    for (int i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t v[8];
    memcpy(v, state, sizeof(v));
    for (int i = 0; i < 64; i++) {
        uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
        uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
        uint32_t t1 = v[7] + s1 + choice + constants[i] + w[i];
        uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
        uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        memmove(v + 1, v, 7 * sizeof(v[0]));
        v[4] += t1;
        v[0] = t1 + s0 + majority;
    }
    for (int i = 0; i < 8; i++)
        state[i] += v[i];
}

void nnd_sha256_init(nnd_sha256 *h)
{
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memset(h, 0, sizeof(*h));
    memcpy(h->state, start, sizeof(start));
}

void nnd_sha256_add(nnd_sha256 *h, const void *data, size_t size)
{
    const uint8_t *p = data;
    size_t held = (size_t)(h->total & 63);
    h->total += size;
    if (held) {
        size_t n = 64 - held < size ? 64 - held : size;
        memcpy(h->tail + held, p, n);
        if (held + n < 64) return;
        add_block(h->state, h->tail);
        p += n;
        size -= n;
    }
    for (; size >= 64; size -= 64, p += 64)
        add_block(h->state, p);
    if (size) memcpy(h->tail, p, size);
}

void nnd_sha256_end(nnd_sha256 *h, uint8_t out[NND_SHA256_SIZE])
{
    static const uint8_t padding[64] = {0x80};
    uint8_t length[8];
    uint64_t bits = h->total * 8;
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    size_t held = (size_t)(h->total & 63);
    nnd_sha256_add(h, padding, held < 56 ? 56 - held : 120 - held);
    nnd_sha256_add(h, length, sizeof(length));
    for (int i = 0; i < NND_SHA256_SIZE; i++)
        out[i] = (uint8_t)(h->state[i / 4] >> (24 - 8 * (i % 4)));
}

void nnd_sha256_text(const uint8_t digest[NND_SHA256_SIZE], char out[NND_SHA256_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < NND_SHA256_SIZE; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[NND_SHA256_TEXT - 1] = '\0';
}

nnd_status nnd_sha256_file(const char *path, uint8_t out[NND_SHA256_SIZE])
{
    FILE *stream;
    uint8_t chunk[16384];
    nnd_sha256 h;
    int rc = nnd_port_file_open(path, "rb", &stream);
    if (rc) return nnd_error_from_port(rc, "cannot read", path);
    nnd_sha256_init(&h);
    size_t n;
    while ((n = fread(chunk, 1, sizeof(chunk), stream)) > 0)
        nnd_sha256_add(&h, chunk, n);
    bool failed = ferror(stream) != 0;
    fclose(stream);
    if (failed) return nnd_error_from_port(NND_PORT_E_IO, "cannot read", path);
    nnd_sha256_end(&h, out);
    return NND_OK;
}

static char lower_hex(char c)
{
    return c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
}

bool nnd_sha256_text_equal(const char *a, const char *b)
{
    size_t i = 0;
    while (a[i] && lower_hex(a[i]) == lower_hex(b[i]))
        i++;
    return a[i] == '\0' && b[i] == '\0';
}
