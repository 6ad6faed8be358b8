/* SipHash-1-3 and MurmurHash3 x64/128. */
#include "base/hash.h"

#include <string.h>

#include "port/port.h"

static uint64_t load64(const uint8_t *p)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | p[i];
    return value;
}

static uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

/* ---- SipHash ---- */

static nnd_port_once key_once = NND_PORT_ONCE_INIT;
static uint64_t sip_key[2];

static void draw_key(void)
{
    if (nnd_port_random(sip_key, sizeof(sip_key)) != 0) {
        sip_key[0] = (uint64_t)nnd_port_now();
        sip_key[1] = (uint64_t)nnd_port_wall_now();
    }
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

uint64_t nnd_hash64(const void *data, size_t size)
{
    nnd_port_once_run(&key_once, draw_key);
    uint64_t v[4] = {sip_key[0] ^ 0x736f6d6570736575, sip_key[1] ^ 0x646f72616e646f6d,
                     sip_key[0] ^ 0x6c7967656e657261, sip_key[1] ^ 0x7465646279746573};
    const uint8_t *p = data;
    size_t left = size;
    for (; left >= 8; left -= 8, p += 8) {
        uint64_t word = load64(p);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)(size & 0xff) << 56;
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)p[i] << (8 * i);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- MurmurHash3 ---- */

static const uint64_t c1 = 0x87c37b91114253d5, c2 = 0x4cf5ad432745937f;

static uint64_t scramble1(uint64_t k)
{
    return rotate(k * c1, 31) * c2;
}

static uint64_t scramble2(uint64_t k)
{
    return rotate(k * c2, 33) * c1;
}

static void add_block(nnd_hash128 *h, const uint8_t *p)
{
    h->h1 ^= scramble1(load64(p));
    h->h1 = (rotate(h->h1, 27) + h->h2) * 5 + 0x52dce729;
    h->h2 ^= scramble2(load64(p + 8));
    h->h2 = (rotate(h->h2, 31) + h->h1) * 5 + 0x38495ab5;
}

void nnd_hash128_init(nnd_hash128 *h, uint32_t seed)
{
    memset(h, 0, sizeof(*h));
    h->h1 = h->h2 = seed;
}

void nnd_hash128_add(nnd_hash128 *h, const void *data, size_t size)
{
    const uint8_t *p = data;
    size_t held = (size_t)(h->total & 15);
    h->total += size;
    if (held) {
        size_t n = 16 - held < size ? 16 - held : size;
        memcpy(h->tail + held, p, n);
        if (held + n < 16) return;
        add_block(h, h->tail);
        p += n;
        size -= n;
    }
    for (; size >= 16; size -= 16, p += 16)
        add_block(h, p);
    if (size) memcpy(h->tail, p, size);
}

void nnd_hash128_add_u64(nnd_hash128 *h, uint64_t value)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    nnd_hash128_add(h, bytes, sizeof(bytes));
}

void nnd_hash128_add_str(nnd_hash128 *h, const char *text)
{
    size_t size = text ? strlen(text) : 0;
    nnd_hash128_add_u64(h, text ? size : UINT64_MAX);
    if (size) nnd_hash128_add(h, text, size);
}

static uint64_t finish(uint64_t k)
{
    k = (k ^ (k >> 33)) * 0xff51afd7ed558ccd;
    k = (k ^ (k >> 33)) * 0xc4ceb9fe1a85ec53;
    return k ^ (k >> 33);
}

nnd_key128 nnd_hash128_end(const nnd_hash128 *h)
{
    uint8_t tail[16] = {0};
    size_t held = (size_t)(h->total & 15);
    memcpy(tail, h->tail, held);
    uint64_t h1 = h->h1, h2 = h->h2;
    if (held > 8) h2 ^= scramble2(load64(tail + 8));
    if (held > 0) h1 ^= scramble1(load64(tail));
    h1 ^= h->total;
    h2 ^= h->total;
    h1 += h2;
    h2 += h1;
    h1 = finish(h1);
    h2 = finish(h2);
    h1 += h2;
    h2 += h1;
    nnd_key128 key = {h1, h2};
    return key;
}

nnd_key128 nnd_hash128_of(const void *data, size_t size)
{
    nnd_hash128 h;
    nnd_hash128_init(&h, 0);
    nnd_hash128_add(&h, data, size);
    return nnd_hash128_end(&h);
}

void nnd_key128_text(nnd_key128 key, char out[NND_KEY128_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        out[i] = digits[(key.hi >> (60 - 4 * i)) & 15];
        out[16 + i] = digits[(key.lo >> (60 - 4 * i)) & 15];
    }
    out[32] = '\0';
}
