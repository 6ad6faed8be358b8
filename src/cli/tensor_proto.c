/*
 * Tensors as bytes of an ONNX TensorProto: what .npy cannot hold (bfloat16, float8, 4 bits,
 * strings).
 *
 * Protocol buffers' wire format: each field is a varint key (number << 3 | kind) and a value; kind
 * 0 is a varint, kind 2 a length and bytes. Field numbers and element types are those of
 * onnx.proto.
 */
#include "cli/values.h"

#include <string.h>

enum { FIELD_DIMS = 1, FIELD_DATA_TYPE = 2, FIELD_STRINGS = 6, FIELD_NAME = 8, FIELD_RAW = 9 };
enum { KIND_VARINT = 0, KIND_BYTES = 2 };

/* TensorProto.DataType; 0 = ONNX has no such type. */
static int onnx_type(nnd_dtype dtype)
{
    static const uint8_t types[NND_DTYPE_COUNT] = {
        [NND_F32] = 1,       [NND_U8] = 2,          [NND_I8] = 3,      [NND_U16] = 4,
        [NND_I16] = 5,       [NND_I32] = 6,         [NND_I64] = 7,     [NND_STRING] = 8,
        [NND_BOOL] = 9,      [NND_F16] = 10,        [NND_F64] = 11,    [NND_U32] = 12,
        [NND_U64] = 13,      [NND_C64] = 14,        [NND_C128] = 15,   [NND_BF16] = 16,
        [NND_F8E4M3FN] = 17, [NND_F8E4M3FNUZ] = 18, [NND_F8E5M2] = 19, [NND_F8E5M2FNUZ] = 20,
        [NND_U4] = 21,       [NND_I4] = 22,         [NND_F4E2M1] = 23, [NND_F8E8M0] = 24,
        [NND_U2] = 25,       [NND_I2] = 26,
    };
    return (unsigned)dtype < NND_DTYPE_COUNT ? types[dtype] : 0;
}

static void put_varint(nnd_str *out, uint64_t value)
{
    while (value >= 0x80) {
        nnd_str_add_char(out, (char)(value | 0x80));
        value >>= 7;
    }
    nnd_str_add_char(out, (char)value);
}

static void put_number(nnd_str *out, int field, uint64_t value)
{
    put_varint(out, (uint64_t)field << 3 | KIND_VARINT);
    put_varint(out, value);
}

static void put_bytes(nnd_str *out, int field, const void *data, size_t size)
{
    put_varint(out, (uint64_t)field << 3 | KIND_BYTES);
    put_varint(out, size);
    nnd_str_add_n(out, data, size);
}

nnd_status cli_tensor_proto(const nnd_tensor *t, const char *name, void **bytes, size_t *size)
{
    nnd_str out = {0};
    char *text = NULL;
    int type = onnx_type(t->dtype);
    if (!type)
        return nnd_error_set(NND_E_UNSUPPORTED, "ONNX has no element type %s",
                             nnd_dtype_name(t->dtype));
    if (!t->data || !nnd_tensor_is_dense(t))
        return nnd_error_set(NND_E_UNSUPPORTED, "only dense tensors in host memory are written");
    for (int i = 0; i < t->rank; i++)
        put_number(&out, FIELD_DIMS, (uint64_t)t->dims[i]);
    put_number(&out, FIELD_DATA_TYPE, (uint64_t)type);
    if (name[0]) put_bytes(&out, FIELD_NAME, name, strlen(name));
    if (t->dtype == NND_STRING) {
        const nnd_string *strings = t->data;
        for (int64_t i = 0; i < nnd_tensor_count(t); i++)
            put_bytes(&out, FIELD_STRINGS, strings[i].text, strings[i].size);
    } else {
        put_bytes(&out, FIELD_RAW, t->data, nnd_tensor_bytes(t));
    }
    NND_TRY(nnd_str_take(&out, &text, size));
    *bytes = text;
    return NND_OK;
}
