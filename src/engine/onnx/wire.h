/*
 * Protocol buffer wire format, reading only: fields of one message, one after the other, out of
 * memory that is never copied. Every length is checked against what is left of the message.
 */
#ifndef NND_ENGINE_ONNX_WIRE_H
#define NND_ENGINE_ONNX_WIRE_H

#include "nndeploy/base.h"

/* A piece of the file. */
typedef struct nnd_pb_bytes {
    const uint8_t *data;
    size_t size;
} nnd_pb_bytes;

bool nnd_pb_is_text(nnd_pb_bytes bytes, const char *text);

typedef enum nnd_pb_type {
    NND_PB_VARINT = 0,
    NND_PB_I64 = 1,
    NND_PB_LEN = 2,
    NND_PB_I32 = 5
} nnd_pb_type;

typedef struct nnd_pb_field {
    uint32_t number;
    nnd_pb_type type;
    uint64_t bits;      /* VARINT, I64, I32 */
    nnd_pb_bytes bytes; /* LEN */
} nnd_pb_field;

/* Reads the next field and moves `left` behind it. false at the end and on malformed bytes; the
   two are told apart by `*bad`, which is only ever set. Unknown fields come out like known ones;
   groups are refused (ONNX has none). */
bool nnd_pb_next(nnd_pb_bytes *left, nnd_pb_field *field, bool *bad);
/* Reads one varint from the front of a packed field. */
bool nnd_pb_varint(nnd_pb_bytes *left, uint64_t *out);

/* Number of elements of a repeated scalar field's occurrence, packed or not: one for an unpacked
   occurrence. width: 0 = varint, else 4 or 8 bytes. false when the bytes do not divide. */
bool nnd_pb_packed_count(const nnd_pb_field *field, unsigned width, size_t *out);

#endif
