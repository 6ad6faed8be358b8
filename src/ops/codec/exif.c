/*
 * EXIF orientation: just enough of TIFF to find one tag, on bytes that nobody has checked.
 */
#include <string.h>

#include "base/bytes.h"
#include "ops/codec/codec.h"

#define TAG_ORIENTATION 0x0112
#define TYPE_SHORT      3
#define ENTRY_BYTES     12

typedef struct tiff_reader {
    nnd_bytes bytes;
    bool big_endian;
} tiff_reader;

static uint16_t read_u16(tiff_reader *r)
{
    return r->big_endian ? nnd_bytes_u16be(&r->bytes) : nnd_bytes_u16le(&r->bytes);
}

static uint32_t read_u32(tiff_reader *r)
{
    return r->big_endian ? nnd_bytes_u32be(&r->bytes) : nnd_bytes_u32le(&r->bytes);
}

int nnd_exif_orientation(const uint8_t *tiff, size_t size)
{
    if (size < 8) return 1;
    tiff_reader r = {nnd_bytes_of(tiff, size), false};
    if (memcmp(tiff, "MM", 2) == 0)
        r.big_endian = true;
    else if (memcmp(tiff, "II", 2) != 0)
        return 1;
    nnd_bytes_skip(&r.bytes, 2);
    if (read_u16(&r) != 42) return 1;
    nnd_bytes_seek(&r.bytes, read_u32(&r));
    const unsigned count = read_u16(&r);
    for (unsigned i = 0; i < count && nnd_bytes_left(&r.bytes) >= ENTRY_BYTES; i++) {
        const uint16_t tag = read_u16(&r), type = read_u16(&r);
        const uint32_t values = read_u32(&r);
        const uint16_t value = read_u16(&r);
        nnd_bytes_skip(&r.bytes, 2);
        if (tag == TAG_ORIENTATION)
            return type == TYPE_SHORT && values == 1 && value >= 1 && value <= 8 ? value : 1;
    }
    return 1;
}

int nnd_exif_orientation_of_jpeg(const uint8_t *bytes, size_t size)
{
    static const uint8_t signature[6] = {'E', 'x', 'i', 'f', 0, 0};
    nnd_bytes b = nnd_bytes_of(bytes, size);
    nnd_bytes_skip(&b, 2);
    while (nnd_bytes_left(&b) >= 4) {
        if (nnd_bytes_u8(&b) != 0xFF) return 1;
        uint8_t marker = nnd_bytes_u8(&b);
        while (marker == 0xFF)
            marker = nnd_bytes_u8(&b);
        if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD7)) continue; /* without a body */
        const uint16_t length = nnd_bytes_u16be(&b);
        if (length < 2 || marker == 0xDA || marker == 0xD9) return 1;
        const uint8_t *body = nnd_bytes_take(&b, (size_t)length - 2);
        if (!body) return 1;
        if (marker == 0xE1 && length >= 2 + sizeof(signature) &&
            memcmp(body, signature, sizeof(signature)) == 0)
            return nnd_exif_orientation(body + sizeof(signature), length - 2 - sizeof(signature));
    }
    return 1;
}
