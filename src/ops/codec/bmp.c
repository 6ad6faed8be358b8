/*
 * Windows bitmaps: every uncompressed kind is read (1, 4, 8 bits with palette, 16, 24, 32 bits with
 * or without bit fields, either row order), 24 bits are written.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/size.h"
#include "ops/codec/codec.h"

#define FILE_HEADER_BYTES 14
#define CORE_HEADER_BYTES 12
#define INFO_HEADER_BYTES 40
#define MAX_PALETTE       256

enum { BMP_RGB = 0, BMP_BITFIELDS = 3, BMP_ALPHABITFIELDS = 6 };

/* One channel of a pixel word. */
typedef struct bmp_field {
    uint32_t mask;
    unsigned shift;
    uint32_t max; /* mask >> shift; 0 = the channel is absent */
} bmp_field;

typedef struct bmp_header {
    uint32_t width, height;
    bool top_down;
    unsigned bits;
    bmp_field fields[4]; /* 16 and 32 bits: R G B A */
    unsigned palette_count;
    uint8_t palette[MAX_PALETTE][3]; /* R G B; zero beyond palette_count */
    bool gray_palette;
    size_t pixels; /* offset of the first stored row */
    size_t stride; /* bytes of a stored row */
} bmp_header;

static nnd_status damaged(const char *what)
{
    return nnd_error_set(NND_E_FORMAT, "damaged BMP: %s", what);
}

/* ---- header ---- */

static nnd_status set_field(bmp_field *field, uint32_t mask)
{
    *field = (bmp_field){mask, 0, mask};
    if (mask == 0) return NND_OK;
    while (((mask >> field->shift) & 1) == 0)
        field->shift++;
    field->max = mask >> field->shift;
    if (field->max & (field->max + 1)) return damaged("a bit field with holes");
    return NND_OK;
}

/* Masks follow the 40 bytes that all later headers share. */
static nnd_status read_fields(bmp_header *h, nnd_bytes *b, uint32_t compression,
                              uint32_t header_bytes)
{
    uint32_t masks[4] = {0, 0, 0, 0};
    if (compression == BMP_RGB) {
        const bool wide = h->bits == 32;
        masks[0] = wide ? 0xFF0000 : 0x7C00;
        masks[1] = wide ? 0x00FF00 : 0x03E0;
        masks[2] = wide ? 0x0000FF : 0x001F;
    } else {
        const bool alpha = compression == BMP_ALPHABITFIELDS || header_bytes >= 56;
        for (int i = 0; i < (alpha ? 4 : 3); i++)
            masks[i] = nnd_bytes_u32le(b);
        if (!(masks[0] && masks[1] && masks[2])) return damaged("an empty bit field");
    }
    for (int i = 0; i < 4; i++)
        NND_TRY(set_field(&h->fields[i], masks[i]));
    return NND_OK;
}

static nnd_status read_palette(bmp_header *h, nnd_bytes *b, uint32_t used, unsigned entry_bytes)
{
    const unsigned most = 1u << h->bits;
    if (used > most) return damaged("more colours than its pixels can name");
    h->palette_count = used ? used : most;
    h->gray_palette = true;
    for (unsigned i = 0; i < h->palette_count; i++) {
        const uint8_t *entry = nnd_bytes_take(b, entry_bytes);
        if (!entry) return damaged("the palette ends early");
        for (int c = 0; c < 3; c++)
            h->palette[i][c] = entry[2 - c];
        if (entry[0] != entry[1] || entry[1] != entry[2]) h->gray_palette = false;
    }
    return NND_OK;
}

static nnd_status read_dimensions(bmp_header *h, nnd_bytes *b, uint32_t header_bytes)
{
    if (header_bytes == CORE_HEADER_BYTES) {
        h->width = nnd_bytes_u16le(b);
        h->height = nnd_bytes_u16le(b);
    } else {
        const int32_t width = (int32_t)nnd_bytes_u32le(b), height = (int32_t)nnd_bytes_u32le(b);
        if (width <= 0 || height == INT32_MIN) return damaged("an impossible size");
        h->width = (uint32_t)width;
        h->height = (uint32_t)(height < 0 ? -height : height);
        h->top_down = height < 0;
    }
    nnd_bytes_skip(b, 2); /* planes */
    h->bits = nnd_bytes_u16le(b);
    if (h->width == 0 || h->height == 0) return damaged("an impossible size");
    return NND_OK;
}

static nnd_status check_kind(const bmp_header *h, uint32_t compression)
{
    const unsigned bits = h->bits;
    if (bits != 1 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32)
        return nnd_error_set(NND_E_FORMAT, "damaged BMP: %u bits per pixel", bits);
    const bool fields = compression == BMP_BITFIELDS || compression == BMP_ALPHABITFIELDS;
    if (compression != BMP_RGB && !(fields && (bits == 16 || bits == 32)))
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "BMP with compression %u is not read: save it uncompressed or as PNG",
                             (unsigned)compression);
    return NND_OK;
}

static nnd_status read_header(const uint8_t *bytes, size_t size, bmp_header *h)
{
    memset(h, 0, sizeof(*h));
    nnd_bytes b = nnd_bytes_of(bytes, size);
    nnd_bytes_skip(&b, 10);
    const uint32_t pixels = nnd_bytes_u32le(&b), header_bytes = nnd_bytes_u32le(&b);
    if (!nnd_bytes_ok(&b)) return damaged("the header ends early");
    const bool core = header_bytes == CORE_HEADER_BYTES;
    if (!core && header_bytes != INFO_HEADER_BYTES && header_bytes != 52 && header_bytes != 56 &&
        header_bytes != 108 && header_bytes != 124)
        return nnd_error_set(NND_E_UNSUPPORTED, "BMP header of %u bytes: unknown variant",
                             (unsigned)header_bytes);
    NND_TRY(read_dimensions(h, &b, header_bytes));
    uint32_t compression = BMP_RGB, colors = 0;
    if (!core) {
        compression = nnd_bytes_u32le(&b);
        nnd_bytes_skip(&b, 12); /* image size, pixels per metre */
        colors = nnd_bytes_u32le(&b);
        nnd_bytes_skip(&b, 4);
    }
    if (!nnd_bytes_ok(&b)) return damaged("the header ends early");
    NND_TRY(check_kind(h, compression));
    if (h->bits == 16 || h->bits == 32) NND_TRY(read_fields(h, &b, compression, header_bytes));
    if (h->bits <= 8) {
        nnd_bytes_seek(&b, (size_t)FILE_HEADER_BYTES + header_bytes);
        NND_TRY(read_palette(h, &b, colors, core ? 3 : 4));
    }
    if (!nnd_bytes_ok(&b)) return damaged("the header ends early");
    h->pixels = pixels;
    h->stride = (size_t)(((uint64_t)h->width * h->bits + 31) / 32 * 4);
    return NND_OK;
}

nnd_status nnd_bmp_info(const uint8_t *bytes, size_t size, nnd_image_file_info *out)
{
    bmp_header h;
    NND_TRY(read_header(bytes, size, &h));
    if (h.width > INT32_MAX || h.height > INT32_MAX) return damaged("an impossible size");
    out->width = (int32_t)h.width;
    out->height = (int32_t)h.height;
    out->channels = h.bits <= 8 && h.gray_palette ? 1 : h.fields[3].max ? 4 : 3;
    out->bits = 8;
    return NND_OK;
}

/* ---- pixels ---- */

static void read_indexed(const bmp_header *h, const uint8_t *from, uint8_t *to)
{
    const unsigned per_byte = 8 / h->bits, mask = (1u << h->bits) - 1;
    for (uint32_t x = 0; x < h->width; x++) {
        const unsigned shift = (per_byte - 1 - x % per_byte) * h->bits;
        const uint8_t *color = h->palette[((unsigned)from[x / per_byte] >> shift) & mask];
        *to++ = color[0];
        if (!h->gray_palette) {
            *to++ = color[1];
            *to++ = color[2];
        }
    }
}

static void read_fielded(const bmp_header *h, const uint8_t *from, uint8_t *to)
{
    const unsigned bytes = h->bits / 8;
    const int channels = h->fields[3].max ? 4 : 3;
    for (uint32_t x = 0; x < h->width; x++, from += bytes) {
        const uint32_t low = (uint32_t)(from[0] | from[1] << 8);
        const uint32_t word =
            bytes == 4 ? low | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24 : low;
        for (int c = 0; c < channels; c++) {
            const bmp_field *field = &h->fields[c];
            const uint64_t level = (word & field->mask) >> field->shift;
            *to++ = (uint8_t)((level * 255 + field->max / 2) / field->max);
        }
    }
}

static void read_row(const bmp_header *h, const uint8_t *from, uint8_t *to)
{
    if (h->bits <= 8)
        read_indexed(h, from, to);
    else if (h->bits == 24)
        memcpy(to, from, (size_t)h->width * 3);
    else
        read_fielded(h, from, to);
}

nnd_status nnd_bmp_decode(const nnd_codec_request *request, nnd_value **out)
{
    bmp_header h;
    NND_TRY(read_header(request->bytes, request->size, &h));
    NND_TRY(nnd_codec_check_size(request, h.width, h.height));
    size_t needed;
    if (!nnd_size_mul(h.stride, h.height, &needed) || !nnd_size_add(needed, h.pixels, &needed) ||
        needed > request->size || h.pixels < FILE_HEADER_BYTES)
        return damaged("the pixels end early");
    const nnd_pixel_format format = h.bits == 24                    ? NND_PIX_BGR
                                    : h.bits <= 8 && h.gray_palette ? NND_PIX_GRAY
                                    : h.bits > 8 && h.fields[3].max ? NND_PIX_RGBA
                                                                    : NND_PIX_RGB;
    nnd_value *value;
    NND_TRY(nnd_codec_new_image(request, format, NND_U8, h.width, h.height, &value));
    const nnd_image *image = nnd_value_image(value);
    for (uint32_t y = 0; y < h.height; y++) {
        const nnd_status status = nnd_codec_check_cancel(request, y);
        if (status != NND_OK) {
            nnd_value_unref(value);
            return status;
        }
        const uint32_t stored = h.top_down ? y : h.height - 1 - y;
        read_row(&h, request->bytes + h.pixels + stored * h.stride, nnd_ops_row(image, 0, y));
    }
    *out = value;
    return NND_OK;
}

/* ---- writing ---- */

static void put_u16(uint8_t *to, uint32_t v)
{
    to[0] = (uint8_t)v;
    to[1] = (uint8_t)(v >> 8);
}

static void put_u32(uint8_t *to, uint32_t v)
{
    put_u16(to, v);
    put_u16(to + 2, v >> 16);
}

static void write_row(const nnd_image *image, int y, uint8_t *to)
{
    const uint8_t *from = nnd_ops_row(image, 0, y);
    const int channels = nnd_ops_channels(image->format);
    const bool blue_first = image->format == NND_PIX_BGR || image->format == NND_PIX_BGRA;
    const int red = channels == 1 ? 0 : blue_first ? 2 : 0;
    const int green = channels == 1 ? 0 : 1, blue = channels == 1 ? 0 : 2 - red;
    for (int x = 0; x < image->width; x++, from += channels, to += 3) {
        to[0] = from[blue];
        to[1] = from[green];
        to[2] = from[red];
    }
}

nnd_status nnd_bmp_encode(const nnd_image *image, nnd_codec_sink *sink)
{
    const uint64_t stride = ((uint64_t)image->width * 3 + 3) / 4 * 4;
    const uint64_t pixels = stride * (uint64_t)image->height;
    const uint32_t start = FILE_HEADER_BYTES + INFO_HEADER_BYTES;
    if (pixels > UINT32_MAX - start)
        return nnd_error_set(NND_E_LIMIT, "%d x %d does not fit into a BMP: use PNG",
                             (int)image->width, (int)image->height);
    if (!nnd_codec_sink_reserve(sink, start + (size_t)pixels)) return NND_OK; /* sink->failed */
    uint8_t *header = sink->data;
    memset(header, 0, start + (size_t)pixels);
    memcpy(header, "BM", 2);
    put_u32(header + 2, start + (uint32_t)pixels);
    put_u32(header + 10, start);
    put_u32(header + 14, INFO_HEADER_BYTES);
    put_u32(header + 18, (uint32_t)image->width);
    put_u32(header + 22, (uint32_t)image->height);
    put_u16(header + 26, 1);
    put_u16(header + 28, 24);
    put_u32(header + 34, (uint32_t)pixels);
    for (int y = 0; y < image->height; y++)
        write_row(image, y, header + start + (size_t)(image->height - 1 - y) * (size_t)stride);
    sink->size = start + (size_t)pixels;
    return NND_OK;
}
