#include "base/bytes.h"

#include <string.h>

const uint8_t *nnd_bytes_take(nnd_bytes *b, size_t size)
{
    static const uint8_t nothing = 0;
    if (b->failed || size > b->size - b->pos) {
        b->failed = true;
        return NULL;
    }
    if (size == 0) return b->data ? b->data + b->pos : &nothing;
    const uint8_t *at = b->data + b->pos;
    b->pos += size;
    return at;
}

void nnd_bytes_skip(nnd_bytes *b, size_t size)
{
    (void)nnd_bytes_take(b, size);
}

void nnd_bytes_seek(nnd_bytes *b, size_t pos)
{
    if (pos > b->size)
        b->failed = true;
    else
        b->pos = pos;
}

void nnd_bytes_copy(nnd_bytes *b, void *to, size_t size)
{
    const uint8_t *from = nnd_bytes_take(b, size);
    if (size == 0) return;
    if (from)
        memcpy(to, from, size);
    else
        memset(to, 0, size);
}

nnd_bytes nnd_bytes_sub(nnd_bytes *b, size_t size)
{
    const uint8_t *from = nnd_bytes_take(b, size);
    nnd_bytes sub = {from, from ? size : 0, 0, !from};
    return sub;
}

static uint64_t little(nnd_bytes *b, size_t size)
{
    const uint8_t *p = nnd_bytes_take(b, size);
    uint64_t value = 0;
    for (size_t i = size; p && i-- > 0;)
        value = value << 8 | p[i];
    return value;
}

static uint64_t big(nnd_bytes *b, size_t size)
{
    const uint8_t *p = nnd_bytes_take(b, size);
    uint64_t value = 0;
    for (size_t i = 0; p && i < size; i++)
        value = value << 8 | p[i];
    return value;
}

uint8_t nnd_bytes_u8(nnd_bytes *b)
{
    return (uint8_t)little(b, 1);
}

uint16_t nnd_bytes_u16le(nnd_bytes *b)
{
    return (uint16_t)little(b, 2);
}

uint32_t nnd_bytes_u32le(nnd_bytes *b)
{
    return (uint32_t)little(b, 4);
}

uint64_t nnd_bytes_u64le(nnd_bytes *b)
{
    return little(b, 8);
}

uint16_t nnd_bytes_u16be(nnd_bytes *b)
{
    return (uint16_t)big(b, 2);
}

uint32_t nnd_bytes_u32be(nnd_bytes *b)
{
    return (uint32_t)big(b, 4);
}

uint64_t nnd_bytes_u64be(nnd_bytes *b)
{
    return big(b, 8);
}

float nnd_bytes_f32le(nnd_bytes *b)
{
    uint32_t bits = nnd_bytes_u32le(b);
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

double nnd_bytes_f64le(nnd_bytes *b)
{
    uint64_t bits = nnd_bytes_u64le(b);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

uint64_t nnd_bytes_varint(nnd_bytes *b)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        uint8_t byte = nnd_bytes_u8(b);
        if (b->failed) return 0;
        /* The tenth byte has room for one bit only. */
        if (shift == 63 && byte > 1) break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return value;
    }
    b->failed = true;
    return 0;
}
