#include "engine/onnx/wire.h"

#include <string.h>

bool nnd_pb_is_text(nnd_pb_bytes bytes, const char *text)
{
    return bytes.size == strlen(text) && (!bytes.size || memcmp(bytes.data, text, bytes.size) == 0);
}

bool nnd_pb_varint(nnd_pb_bytes *left, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 10 && i < left->size; i++) {
        uint8_t byte = left->data[i];
        if (i == 9 && byte > 1) return false;
        value |= (uint64_t)(byte & 0x7fu) << (7 * i);
        if (!(byte & 0x80u)) {
            left->data += i + 1;
            left->size -= i + 1;
            *out = value;
            return true;
        }
    }
    return false;
}

static bool read_fixed(nnd_pb_bytes *left, unsigned width, uint64_t *out)
{
    if (left->size < width) return false;
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)left->data[i] << (8 * i);
    left->data += width;
    left->size -= width;
    *out = value;
    return true;
}

bool nnd_pb_next(nnd_pb_bytes *left, nnd_pb_field *field, bool *bad)
{
    if (!left->size || *bad) return false;
    uint64_t tag, length;
    *field = (nnd_pb_field){0};
    bool ok = nnd_pb_varint(left, &tag) && tag >> 3 != 0 && tag >> 3 <= 0x1fffffffu;
    if (ok) {
        field->number = (uint32_t)(tag >> 3);
        field->type = (nnd_pb_type)(tag & 7u);
        switch (field->type) {
        case NND_PB_VARINT:
            ok = nnd_pb_varint(left, &field->bits);
            break;
        case NND_PB_I64:
            ok = read_fixed(left, 8, &field->bits);
            break;
        case NND_PB_I32:
            ok = read_fixed(left, 4, &field->bits);
            break;
        case NND_PB_LEN:
            ok = nnd_pb_varint(left, &length) && length <= left->size;
            if (ok) {
                field->bytes = (nnd_pb_bytes){left->data, (size_t)length};
                left->data += length;
                left->size -= (size_t)length;
            }
            break;
        default:
            ok = false;
            break;
        }
    }
    if (!ok) *bad = true;
    return ok;
}

bool nnd_pb_packed_count(const nnd_pb_field *field, unsigned width, size_t *out)
{
    if (field->type != NND_PB_LEN) {
        *out = 1;
        return true;
    }
    if (width) {
        *out = field->bytes.size / width;
        return field->bytes.size % width == 0;
    }
    /* The number of varints is the number of bytes without a continuation bit. */
    size_t n = 0;
    for (size_t i = 0; i < field->bytes.size; i++)
        n += !(field->bytes.data[i] & 0x80u);
    *out = n;
    return field->bytes.size == 0 || !(field->bytes.data[field->bytes.size - 1] & 0x80u);
}
