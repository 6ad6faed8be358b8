/*
 * Protocol buffer wire format, writing, and the pieces of an ONNX file that are made anew. What is
 * not changed is copied from the file that was read, byte by byte.
 *
 * Everything appends to an nnd_str: without memory its `failed` is set, and asked once at the end.
 */
#ifndef NND_ENGINE_ONNX_WRITE_H
#define NND_ENGINE_ONNX_WRITE_H

#include "base/str.h"
#include "engine/onnx/wire.h"
#include "nndeploy/data.h"

void nnd_pb_put_int(nnd_str *s, uint32_t field, uint64_t value);
void nnd_pb_put_bytes(nnd_str *s, uint32_t field, const void *data, size_t size);
void nnd_pb_put_text(nnd_str *s, uint32_t field, const char *text);
/* A sub-message that has been written into `part`, which is freed. */
void nnd_pb_put_message(nnd_str *s, uint32_t field, nnd_str *part);

/* TensorProto.DataType of an element type; 0 = ONNX has none. */
uint32_t nnd_onnx_type_code(nnd_dtype dtype);
/* The fields of a TensorProto with raw bytes: a dense tensor of numbers in host memory. Its data
   need not be aligned. */
void nnd_onnx_put_tensor(nnd_str *s, const char *name, const nnd_tensor *t);

/* A node with at most one attribute, an integer. */
typedef struct nnd_onnx_new_node {
    const char *op, *domain, *name;
    const char *inputs[3]; /* NULL = no more */
    const char *output;
    const char *attribute; /* NULL = none */
    int64_t value;
} nnd_onnx_new_node;
void nnd_onnx_put_node(nnd_str *graph, const nnd_onnx_new_node *node);
/* A node of the file with other inputs and outputs; all else is copied. */
void nnd_onnx_put_node_again(nnd_str *graph, nnd_pb_bytes node, const char *const *inputs,
                             size_t input_count, const char *const *outputs, size_t output_count);

#endif
