/* UTF-8 as of RFC 3629. */
#include "base/str.h"

/* Bytes of the character at text, 0 when it is not a valid one. */
static size_t character(const uint8_t *text, size_t size)
{
    uint8_t c = text[0];
    if (c < 0x80) return 1;
    if (c < 0xc2 || c > 0xf4) return 0;
    size_t n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (size < n) return 0;
    for (size_t i = 1; i < n; i++)
        if ((text[i] & 0xc0) != 0x80) return 0;
    /* The second byte rules out longer forms, surrogates and what lies beyond U+10FFFF. */
    uint8_t second = text[1];
    if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) ||
        (c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f))
        return 0;
    return n;
}

size_t nnd_utf8_valid_prefix(const char *text, size_t size)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t i = 0;
    while (i < size) {
        size_t n = character(bytes + i, size - i);
        if (n == 0) break;
        i += n;
    }
    return i;
}

bool nnd_utf8_valid(const char *text, size_t size)
{
    return nnd_utf8_valid_prefix(text, size) == size;
}

uint32_t nnd_utf8_decode(const char *text, size_t size, size_t *used)
{
    const uint8_t *b = (const uint8_t *)text;
    size_t n = size ? character(b, size) : 0;
    *used = n ? n : 1;
    switch (n) {
    case 1:
        return b[0];
    case 2:
        return (uint32_t)(b[0] & 0x1f) << 6 | (b[1] & 0x3f);
    case 3:
        return (uint32_t)(b[0] & 0x0f) << 12 | (uint32_t)(b[1] & 0x3f) << 6 | (b[2] & 0x3f);
    case 4:
        return (uint32_t)(b[0] & 0x07) << 18 | (uint32_t)(b[1] & 0x3f) << 12 |
               (uint32_t)(b[2] & 0x3f) << 6 | (b[3] & 0x3f);
    default:
        return 0xfffd; /* replacement character */
    }
}

size_t nnd_utf8_encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)(lead[n] | code);
    return n;
}
