#include "infer/backends/openvino/onnx_file.h"

#include "base/str.h"
#include "engine/onnx/wire.h"

#include <string.h>

/* Sub-graphs inside each other; beyond that the file is refused. */
enum { MAX_DEPTH = 32 };

/* Field numbers of onnx.proto. */
enum {
    MODEL_GRAPH = 7,
    MODEL_FUNCTIONS = 25,
    FUNCTION_NODE = 7,
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_SPARSE_INITIALIZER = 15,
    SPARSE_VALUES = 1,
    SPARSE_INDICES = 2,
    NODE_ATTRIBUTE = 5,
    ATTRIBUTE_TENSOR = 5,
    ATTRIBUTE_GRAPH = 6,
    ATTRIBUTE_TENSORS = 10,
    ATTRIBUTE_GRAPHS = 11,
    TENSOR_NAME = 8,
    TENSOR_EXTERNAL = 13,
    ENTRY_KEY = 1,
    ENTRY_VALUE = 2,
    VALUE_NAME = 1,
    VALUE_TYPE = 2,
    TYPE_TENSOR = 1,
    TENSOR_TYPE_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_SYMBOL = 2
};

static nnd_status malformed(const char *what)
{
    return nnd_error_set(NND_E_FORMAT, "not an ONNX model: malformed %s", what);
}

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to look into an ONNX model");
}

static nnd_status text_of(nnd_onnx_file *file, nnd_pb_bytes bytes, const char **out)
{
    if (memchr(bytes.data, 0, bytes.size) || !nnd_utf8_valid((const char *)bytes.data, bytes.size))
        return malformed("name");
    *out = nnd_arena_strdup_n(&file->arena, (const char *)bytes.data, bytes.size);
    return *out ? NND_OK : no_memory();
}

/* ---- tensors ------------------------------------------------------------------------------ */

static nnd_status read_entry(nnd_onnx_file *file, nnd_pb_bytes left)
{
    nnd_pb_bytes key = {0}, value = {0};
    nnd_pb_field field;
    bool bad = false;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.number == ENTRY_KEY) key = field.bytes;
        if (field.number == ENTRY_VALUE) value = field.bytes;
    }
    if (bad) return malformed("external data");
    if (key.size != 8 || memcmp(key.data, "location", 8) != 0 || !value.size) return NND_OK;
    const char *name;
    NND_TRY(text_of(file, value, &name));
    return nnd_map_put(&file->externals, name, file, NULL);
}

static nnd_status read_tensor(nnd_onnx_file *file, nnd_pb_bytes left, bool is_weight)
{
    nnd_pb_field field;
    bool bad = false;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.type != NND_PB_LEN) continue;
        if (field.number == TENSOR_EXTERNAL) NND_TRY(read_entry(file, field.bytes));
        if (field.number == TENSOR_NAME && is_weight && field.bytes.size) {
            const char *name;
            NND_TRY(text_of(file, field.bytes, &name));
            NND_TRY(nnd_map_put(&file->weights, name, file, NULL));
        }
    }
    return bad ? malformed("tensor") : NND_OK;
}

static nnd_status read_sparse(nnd_onnx_file *file, nnd_pb_bytes left, bool is_weight)
{
    nnd_pb_field field;
    bool bad = false;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.type != NND_PB_LEN) continue;
        if (field.number == SPARSE_VALUES) NND_TRY(read_tensor(file, field.bytes, is_weight));
        if (field.number == SPARSE_INDICES) NND_TRY(read_tensor(file, field.bytes, false));
    }
    return bad ? malformed("sparse tensor") : NND_OK;
}

/* ---- ports -------------------------------------------------------------------------------- */

static nnd_status read_dim(nnd_onnx_file *file, nnd_pb_bytes left, nnd_onnx_port *port)
{
    nnd_pb_field field;
    bool bad = false;
    const char *symbol = NULL;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.number == DIM_SYMBOL && field.type == NND_PB_LEN && field.bytes.size)
            NND_TRY(text_of(file, field.bytes, &symbol));
    }
    if (port->rank < NND_MAX_RANK) port->symbols[port->rank] = symbol;
    port->rank++;
    return bad ? malformed("dimension") : NND_OK;
}

/* The field `number` of a message, a message itself; empty when absent. */
static nnd_status sub_message(nnd_pb_bytes left, uint32_t number, nnd_pb_bytes *out, bool *found)
{
    nnd_pb_field field;
    bool bad = false;
    *found = false;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.number != number || field.type != NND_PB_LEN) continue;
        *out = field.bytes;
        *found = true;
    }
    return bad ? malformed("type") : NND_OK;
}

static nnd_status read_type(nnd_onnx_file *file, nnd_pb_bytes type, nnd_onnx_port *port)
{
    nnd_pb_bytes tensor, shape;
    nnd_pb_field field;
    bool found, bad = false;
    NND_TRY(sub_message(type, TYPE_TENSOR, &tensor, &found));
    if (!found) return NND_OK;
    NND_TRY(sub_message(tensor, TENSOR_TYPE_SHAPE, &shape, &found));
    if (!found) return NND_OK;
    port->rank = 0;
    while (nnd_pb_next(&shape, &field, &bad)) {
        if (field.number == SHAPE_DIM && field.type == NND_PB_LEN)
            NND_TRY(read_dim(file, field.bytes, port));
    }
    return bad ? malformed("shape") : NND_OK;
}

static nnd_status read_port(nnd_onnx_file *file, nnd_pb_bytes left, nnd_onnx_port *port)
{
    nnd_pb_field field;
    bool bad = false;
    *port = (nnd_onnx_port){.name = "", .rank = -1};
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.type != NND_PB_LEN) continue;
        if (field.number == VALUE_NAME) NND_TRY(text_of(file, field.bytes, &port->name));
        if (field.number == VALUE_TYPE) NND_TRY(read_type(file, field.bytes, port));
    }
    return bad ? malformed("value") : NND_OK;
}

/* ---- graphs ------------------------------------------------------------------------------- */

static nnd_status read_graph(nnd_onnx_file *file, nnd_pb_bytes left, int depth);

static nnd_status read_attribute(nnd_onnx_file *file, nnd_pb_bytes left, int depth)
{
    nnd_pb_field field;
    bool bad = false;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.type != NND_PB_LEN) continue;
        if (field.number == ATTRIBUTE_TENSOR || field.number == ATTRIBUTE_TENSORS)
            NND_TRY(read_tensor(file, field.bytes, false));
        if (field.number == ATTRIBUTE_GRAPH || field.number == ATTRIBUTE_GRAPHS)
            NND_TRY(read_graph(file, field.bytes, depth + 1));
    }
    return bad ? malformed("attribute") : NND_OK;
}

static nnd_status read_node(nnd_onnx_file *file, nnd_pb_bytes left, int depth)
{
    nnd_pb_field field;
    bool bad = false;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.number == NODE_ATTRIBUTE && field.type == NND_PB_LEN)
            NND_TRY(read_attribute(file, field.bytes, depth));
    }
    return bad ? malformed("node") : NND_OK;
}

static nnd_status read_graph_field(nnd_onnx_file *file, const nnd_pb_field *field, int depth)
{
    nnd_onnx_port port;
    switch (field->number) {
    case GRAPH_NODE:
        return read_node(file, field->bytes, depth);
    case GRAPH_INITIALIZER:
        return read_tensor(file, field->bytes, depth == 0);
    case GRAPH_SPARSE_INITIALIZER:
        return read_sparse(file, field->bytes, depth == 0);
    case GRAPH_INPUT:
        if (depth) return NND_OK;
        NND_TRY(read_port(file, field->bytes, &port));
        return nnd_vec_push(&file->inputs, port) ? NND_OK : no_memory();
    case GRAPH_OUTPUT:
        if (depth) return NND_OK;
        NND_TRY(read_port(file, field->bytes, &port));
        return nnd_vec_push(&file->outputs, port) ? NND_OK : no_memory();
    default:
        return NND_OK;
    }
}

static nnd_status read_graph(nnd_onnx_file *file, nnd_pb_bytes left, int depth)
{
    nnd_pb_field field;
    bool bad = false;
    if (depth > MAX_DEPTH)
        return nnd_error_set(NND_E_LIMIT, "more than %d graphs inside each other", MAX_DEPTH);
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.type == NND_PB_LEN) NND_TRY(read_graph_field(file, &field, depth));
    }
    return bad ? malformed("graph") : NND_OK;
}

static nnd_status read_function(nnd_onnx_file *file, nnd_pb_bytes left)
{
    nnd_pb_field field;
    bool bad = false;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.number == FUNCTION_NODE && field.type == NND_PB_LEN)
            NND_TRY(read_node(file, field.bytes, 0));
    }
    return bad ? malformed("function") : NND_OK;
}

/* Weights may stand behind the inputs that carry their names. */
static void drop_weights(nnd_onnx_file *file)
{
    size_t kept = 0;
    for (size_t i = 0; i < file->inputs.count; i++) {
        if (!nnd_map_get(&file->weights, file->inputs.items[i].name))
            file->inputs.items[kept++] = file->inputs.items[i];
    }
    file->inputs.count = kept;
}

nnd_status nnd_onnx_file_read(nnd_onnx_file *file, const void *bytes, size_t size)
{
    nnd_pb_bytes left = {bytes, size};
    nnd_pb_field field;
    bool bad = false, has_graph = false;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.type != NND_PB_LEN) continue;
        if (field.number == MODEL_GRAPH) {
            NND_TRY(read_graph(file, field.bytes, 0));
            has_graph = true;
        }
        if (field.number == MODEL_FUNCTIONS) NND_TRY(read_function(file, field.bytes));
    }
    if (bad) return malformed("model");
    if (!has_graph) return nnd_error_set(NND_E_FORMAT, "not an ONNX model: it has no graph");
    drop_weights(file);
    return NND_OK;
}

void nnd_onnx_file_fini(nnd_onnx_file *file)
{
    nnd_arena_fini(&file->arena);
    nnd_vec_free(&file->inputs);
    nnd_vec_free(&file->outputs);
    nnd_map_fini(&file->weights);
    nnd_map_fini(&file->externals);
}
