/*
 * Netpbm's portable maps, P1 to P6: black and white, gray and RGB, as text and as bytes, up to 16
 * bits. Read only.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/size.h"
#include "ops/codec/codec.h"

#define MOST_LEVEL 65535u

typedef struct pnm_header {
    uint32_t width, height, most; /* most: the level of white */
    int channels;                 /* 1 or 3 */
    bool text, is_bitmap;
    size_t pixels; /* offset of the first sample */
} pnm_header;

static nnd_status damaged(const char *what)
{
    return nnd_error_set(NND_E_FORMAT, "damaged PNM: %s", what);
}

/* ---- header ---- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next byte, 0 at the end; a comment counts as the end of its line. */
static uint8_t next_byte(nnd_bytes *b)
{
    uint8_t c = nnd_bytes_u8(b);
    if (c != '#') return c;
    while (c != '\n' && c != '\r' && nnd_bytes_left(b) > 0)
        c = nnd_bytes_u8(b);
    return '\n';
}

/* A number behind blanks, and the one byte behind it. */
static bool read_number(nnd_bytes *b, uint32_t *out)
{
    uint64_t number = 0;
    uint8_t c = next_byte(b);
    while (nnd_bytes_ok(b) && is_blank(c))
        c = next_byte(b);
    if (c < '0' || c > '9') return false;
    for (; c >= '0' && c <= '9'; c = nnd_bytes_left(b) ? next_byte(b) : ' ') {
        number = number * 10 + (uint64_t)(c - '0');
        if (number > INT32_MAX) return false;
    }
    *out = (uint32_t)number;
    return is_blank(c);
}

static nnd_status read_header(const uint8_t *bytes, size_t size, pnm_header *h)
{
    nnd_bytes b = nnd_bytes_of(bytes, size);
    nnd_bytes_skip(&b, 1);
    const int kind = nnd_bytes_u8(&b) - '0';
    *h = (pnm_header){.most = 1};
    h->text = kind <= 3;
    h->is_bitmap = kind == 1 || kind == 4;
    h->channels = kind == 3 || kind == 6 ? 3 : 1;
    if (!read_number(&b, &h->width) || !read_number(&b, &h->height) || h->width == 0 ||
        h->height == 0)
        return damaged("an impossible size");
    if (!h->is_bitmap && (!read_number(&b, &h->most) || h->most < 1 || h->most > MOST_LEVEL))
        return damaged("the largest level has to be 1 to 65535");
    h->pixels = b.pos;
    return NND_OK;
}

nnd_status nnd_pnm_info(const uint8_t *bytes, size_t size, nnd_image_file_info *out)
{
    pnm_header h;
    NND_TRY(read_header(bytes, size, &h));
    out->width = (int32_t)h.width;
    out->height = (int32_t)h.height;
    out->channels = h.channels;
    out->bits = h.most > 255 ? 16 : 8;
    return NND_OK;
}

/* ---- pixels ---- */

/* Samples of a row, one after the other. */
typedef struct pnm_reader {
    const pnm_header *header;
    nnd_bytes bytes;
    size_t samples; /* of a row */
    uint32_t white; /* the level of white in the result */
} pnm_reader;

/* Bitmaps as text need no blanks between their digits. */
static bool read_digit(nnd_bytes *b, uint32_t *out)
{
    uint8_t c = next_byte(b);
    while (nnd_bytes_ok(b) && is_blank(c))
        c = next_byte(b);
    *out = (uint32_t)(c - '0');
    return c == '0' || c == '1';
}

/* A sample as a level of the result: those above white are white, a bitmap's 1 is black. */
static bool read_level(pnm_reader *r, const uint8_t *row, size_t i, uint32_t *out)
{
    const bool is_bitmap = r->header->is_bitmap;
    const uint32_t most = r->header->most;
    uint32_t sample = 0;
    if (r->header->text) {
        if (!(is_bitmap ? read_digit(&r->bytes, &sample) : read_number(&r->bytes, &sample)))
            return false;
    } else if (is_bitmap) {
        sample = (uint32_t)row[i / 8] >> (7 - i % 8) & 1;
    } else {
        sample = most > 255 ? (uint32_t)row[2 * i] << 8 | row[2 * i + 1] : row[i];
    }
    if (is_bitmap) {
        *out = sample ? 0 : r->white;
        return true;
    }
    if (sample > most) sample = most;
    *out = (uint32_t)(((uint64_t)sample * r->white + most / 2) / most);
    return true;
}

static nnd_status read_row(pnm_reader *r, void *to, bool wide)
{
    const pnm_header *h = r->header;
    const size_t stored = h->text        ? 0
                          : h->is_bitmap ? (r->samples + 7) / 8
                                         : r->samples * (h->most > 255 ? 2 : 1);
    const uint8_t *row = nnd_bytes_take(&r->bytes, stored);
    if (!row) return damaged("the pixels end early");
    for (size_t i = 0; i < r->samples; i++) {
        uint32_t level;
        if (!read_level(r, row, i, &level)) return damaged("a sample is missing or no number");
        if (wide)
            ((uint16_t *)to)[i] = (uint16_t)level;
        else
            ((uint8_t *)to)[i] = (uint8_t)level;
    }
    return NND_OK;
}

/* So that a header alone cannot ask for memory: as text, every sample but those of a bitmap has a
   digit and, unless it is the last one, a blank. */
static nnd_status check_length(const pnm_header *h, size_t size)
{
    const uint64_t samples = (uint64_t)h->width * (uint64_t)h->channels;
    const uint64_t row = h->is_bitmap               ? (h->text ? samples : (samples + 7) / 8)
                         : h->text || h->most > 255 ? 2 * samples
                                                    : samples;
    const uint64_t slack = h->text && !h->is_bitmap;
    if (row * h->height > (uint64_t)(size - h->pixels) + slack)
        return damaged("the pixels end early");
    return NND_OK;
}

static nnd_status read_pixels(const nnd_codec_request *request, const pnm_header *h, bool wide,
                              const nnd_image *image)
{
    pnm_reader r = {h, nnd_bytes_of(request->bytes, request->size),
                    (size_t)h->width * (size_t)h->channels, wide ? MOST_LEVEL : 255};
    if (request->as_stored && h->channels == 1 && h->most <= 255) r.white = h->most;
    nnd_bytes_seek(&r.bytes, h->pixels);
    for (uint32_t y = 0; y < h->height; y++) {
        NND_TRY(nnd_codec_check_cancel(request, y));
        NND_TRY(read_row(&r, nnd_ops_row(image, 0, y), wide));
    }
    return NND_OK;
}

nnd_status nnd_pnm_decode(const nnd_codec_request *request, nnd_value **out)
{
    pnm_header h;
    nnd_value *value;
    NND_TRY(read_header(request->bytes, request->size, &h));
    NND_TRY(nnd_codec_check_size(request, h.width, h.height));
    NND_TRY(check_length(&h, request->size));
    const bool wide = request->keep_16_bit && h.most > 255;
    NND_TRY(nnd_codec_new_image(request, h.channels == 1 ? NND_PIX_GRAY : NND_PIX_RGB,
                                wide ? NND_U16 : NND_U8, h.width, h.height, &value));
    const nnd_status status = read_pixels(request, &h, wide, nnd_value_image(value));
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}
