#include "engine/onnx/write.h"

#include <string.h>

/* Field numbers of onnx.proto. */
enum {
    GRAPH_NODE = 1,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP = 4,
    NODE_ATTRIBUTE = 5,
    NODE_DOMAIN = 7,
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_INT = 3,
    ATTRIBUTE_TYPE = 20,
    ATTRIBUTE_TYPE_INT = 2,
    TENSOR_DIMS = 1,
    TENSOR_TYPE = 2,
    TENSOR_NAME = 8,
    TENSOR_RAW = 9
};

/* ---- fields ------------------------------------------------------------------------------ */

static void put_varint(nnd_str *s, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        nnd_str_add_char(s, (char)(v | 0x80));
    nnd_str_add_char(s, (char)v);
}

static void put_tag(nnd_str *s, uint32_t field, nnd_pb_type type)
{
    put_varint(s, (uint64_t)field << 3 | (uint64_t)type);
}

void nnd_pb_put_int(nnd_str *s, uint32_t field, uint64_t value)
{
    put_tag(s, field, NND_PB_VARINT);
    put_varint(s, value);
}

void nnd_pb_put_bytes(nnd_str *s, uint32_t field, const void *data, size_t size)
{
    put_tag(s, field, NND_PB_LEN);
    put_varint(s, size);
    if (size) nnd_str_add_n(s, data, size);
}

void nnd_pb_put_text(nnd_str *s, uint32_t field, const char *text)
{
    nnd_pb_put_bytes(s, field, text, strlen(text));
}

void nnd_pb_put_message(nnd_str *s, uint32_t field, nnd_str *part)
{
    s->failed |= part->failed;
    if (!s->failed) nnd_pb_put_bytes(s, field, part->data, part->size);
    nnd_str_free(part);
}

/* ---- tensors ----------------------------------------------------------------------------- */

uint32_t nnd_onnx_type_code(nnd_dtype dtype)
{
    static const uint8_t codes[NND_DTYPE_COUNT] = {
        [NND_F32] = 1,       [NND_U8] = 2,          [NND_I8] = 3,      [NND_U16] = 4,
        [NND_I16] = 5,       [NND_I32] = 6,         [NND_I64] = 7,     [NND_STRING] = 8,
        [NND_BOOL] = 9,      [NND_F16] = 10,        [NND_F64] = 11,    [NND_U32] = 12,
        [NND_U64] = 13,      [NND_C64] = 14,        [NND_C128] = 15,   [NND_BF16] = 16,
        [NND_F8E4M3FN] = 17, [NND_F8E4M3FNUZ] = 18, [NND_F8E5M2] = 19, [NND_F8E5M2FNUZ] = 20,
        [NND_U4] = 21,       [NND_I4] = 22,         [NND_F4E2M1] = 23, [NND_F8E8M0] = 24,
        [NND_U2] = 25,       [NND_I2] = 26,
    };
    return (unsigned)dtype < NND_DTYPE_COUNT ? codes[dtype] : 0;
}

void nnd_onnx_put_tensor(nnd_str *s, const char *name, const nnd_tensor *t)
{
    for (int i = 0; i < t->rank; i++)
        nnd_pb_put_int(s, TENSOR_DIMS, (uint64_t)t->dims[i]);
    nnd_pb_put_int(s, TENSOR_TYPE, nnd_onnx_type_code(t->dtype));
    nnd_pb_put_text(s, TENSOR_NAME, name);
    nnd_pb_put_bytes(s, TENSOR_RAW, t->data, nnd_tensor_bytes(t));
}

/* ---- nodes ------------------------------------------------------------------------------- */

void nnd_onnx_put_node(nnd_str *graph, const nnd_onnx_new_node *node)
{
    nnd_str s = {0}, attribute = {0};
    for (size_t i = 0; i < NND_COUNT(node->inputs) && node->inputs[i]; i++)
        nnd_pb_put_text(&s, NODE_INPUT, node->inputs[i]);
    nnd_pb_put_text(&s, NODE_OUTPUT, node->output);
    nnd_pb_put_text(&s, NODE_NAME, node->name);
    nnd_pb_put_text(&s, NODE_OP, node->op);
    if (node->attribute) {
        nnd_pb_put_text(&attribute, ATTRIBUTE_NAME, node->attribute);
        nnd_pb_put_int(&attribute, ATTRIBUTE_INT, (uint64_t)node->value);
        nnd_pb_put_int(&attribute, ATTRIBUTE_TYPE, ATTRIBUTE_TYPE_INT);
        nnd_pb_put_message(&s, NODE_ATTRIBUTE, &attribute);
    }
    if (node->domain[0]) nnd_pb_put_text(&s, NODE_DOMAIN, node->domain);
    nnd_pb_put_message(graph, GRAPH_NODE, &s);
}

void nnd_onnx_put_node_again(nnd_str *graph, nnd_pb_bytes node, const char *const *inputs,
                             size_t input_count, const char *const *outputs, size_t output_count)
{
    nnd_str s = {0};
    nnd_pb_field field;
    bool bad = false;
    for (size_t i = 0; i < input_count; i++)
        nnd_pb_put_text(&s, NODE_INPUT, inputs[i]);
    for (size_t i = 0; i < output_count; i++)
        nnd_pb_put_text(&s, NODE_OUTPUT, outputs[i]);
    for (const uint8_t *begin = node.data; nnd_pb_next(&node, &field, &bad); begin = node.data)
        if (field.number != NODE_INPUT && field.number != NODE_OUTPUT)
            nnd_str_add_n(&s, (const char *)begin, (size_t)(node.data - begin));
    nnd_pb_put_message(graph, GRAPH_NODE, &s);
}
