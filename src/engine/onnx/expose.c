#include "engine/onnx/expose.h"

#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "engine/onnx/onnx.h"
#include "engine/onnx/write.h"

/* Field numbers of onnx.proto. */
enum {
    MODEL_GRAPH = 7,
    GRAPH_NODE = 1,
    GRAPH_OUTPUT = 12,
    VALUE_NAME = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP = 4,
    NODE_DOMAIN = 7
};

/* The last graph counts, as for every reader of the format. */
static nnd_status find_graph(const void *bytes, size_t size, nnd_pb_bytes *graph)
{
    nnd_pb_bytes left = {bytes, size};
    nnd_pb_field field;
    bool bad = false, found = false;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.number != MODEL_GRAPH || field.type != NND_PB_LEN) continue;
        *graph = field.bytes;
        found = true;
    }
    if (bad) return nnd_onnx_malformed("the file ends in the middle of a field (truncated?)");
    return found ? NND_OK : nnd_onnx_malformed("there is no graph in it");
}

/* ---- listing ------------------------------------------------------------------------------- */

static nnd_status op_text(nnd_onnx_tensors *tensors, nnd_pb_bytes domain, nnd_pb_bytes op,
                          const char **out)
{
    const char *prefix, *name;
    NND_TRY(nnd_onnx_string(&tensors->arena, domain, &prefix));
    NND_TRY(nnd_onnx_string(&tensors->arena, op, &name));
    *out = name;
    if (!prefix[0] || strcmp(prefix, "ai.onnx") == 0) return NND_OK;
    char *text = nnd_strf("%s.%s", prefix, name);
    *out = text ? nnd_arena_strdup(&tensors->arena, text) : NULL;
    nnd_free(text);
    return *out ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for an operator's name");
}

static nnd_status list_node(nnd_onnx_tensors *tensors, nnd_pb_bytes node)
{
    nnd_pb_bytes left = node, name = {0}, op = {0}, domain = {0};
    nnd_onnx_tensor_info info = {0};
    nnd_pb_field field;
    bool bad = false;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.number == NODE_NAME) name = field.bytes;
        if (field.number == NODE_OP) op = field.bytes;
        if (field.number == NODE_DOMAIN) domain = field.bytes;
    }
    if (bad) return nnd_onnx_malformed("a node ends in the middle of a field");
    NND_TRY(nnd_onnx_string(&tensors->arena, name, &info.node));
    NND_TRY(op_text(tensors, domain, op, &info.op));
    for (left = node; nnd_pb_next(&left, &field, &bad);) {
        if (field.number != NODE_OUTPUT || !field.bytes.size) continue;
        NND_TRY(nnd_onnx_string(&tensors->arena, field.bytes, &info.tensor));
        if (!nnd_vec_push(&tensors->items, info))
            return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a list of tensors");
    }
    return NND_OK;
}

static nnd_status note_output(nnd_arena *arena, nnd_map *outputs, nnd_pb_bytes value)
{
    nnd_pb_field field;
    bool bad = false;
    const char *name = "";
    while (nnd_pb_next(&value, &field, &bad))
        if (field.number == VALUE_NAME) NND_TRY(nnd_onnx_string(arena, field.bytes, &name));
    if (bad) return nnd_onnx_malformed("a value's description");
    return nnd_map_put(outputs, name, outputs, NULL);
}

static nnd_status list_graph(nnd_onnx_tensors *tensors, nnd_pb_bytes graph, nnd_map *outputs)
{
    nnd_pb_field field;
    bool bad = false;
    while (nnd_pb_next(&graph, &field, &bad)) {
        if (field.type != NND_PB_LEN) continue;
        if (field.number == GRAPH_NODE) NND_TRY(list_node(tensors, field.bytes));
        if (field.number == GRAPH_OUTPUT)
            NND_TRY(note_output(&tensors->arena, outputs, field.bytes));
    }
    return bad ? nnd_onnx_malformed("the graph ends in the middle of a field") : NND_OK;
}

nnd_status nnd_onnx_tensors_read(nnd_onnx_tensors *tensors, const void *bytes, size_t size)
{
    nnd_pb_bytes graph;
    nnd_map outputs = {0};
    NND_TRY(find_graph(bytes, size, &graph));
    nnd_status status = list_graph(tensors, graph, &outputs);
    for (size_t i = 0; i < tensors->items.count; i++)
        tensors->items.items[i].is_output = nnd_map_get(&outputs, tensors->items.items[i].tensor);
    nnd_map_fini(&outputs);
    return status;
}

void nnd_onnx_tensors_fini(nnd_onnx_tensors *tensors)
{
    nnd_vec_free(&tensors->items);
    nnd_arena_fini(&tensors->arena);
}

/* ---- writing ------------------------------------------------------------------------------- */

static void put_output(nnd_str *outputs, const char *tensor)
{
    nnd_str value = {0};
    nnd_pb_put_text(&value, VALUE_NAME, tensor);
    nnd_pb_put_message(outputs, GRAPH_OUTPUT, &value);
}

/* Everything as it stands in the file; only the graph has the outputs behind its own fields. */
static void put_model(nnd_str *s, const void *bytes, size_t size, nnd_pb_bytes graph,
                      const nnd_str *outputs)
{
    nnd_pb_bytes left = {bytes, size};
    const uint8_t *begin = left.data;
    nnd_pb_field field;
    bool bad = false;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.bytes.data == graph.data && field.number == MODEL_GRAPH) {
            nnd_str whole = {0};
            nnd_str_add_n(&whole, (const char *)graph.data, graph.size);
            if (outputs->size) nnd_str_add_n(&whole, outputs->data, outputs->size);
            nnd_pb_put_message(s, MODEL_GRAPH, &whole);
        } else {
            nnd_str_add_n(s, (const char *)begin, (size_t)(left.data - begin));
        }
        begin = left.data;
    }
}

nnd_status nnd_onnx_expose(const void *bytes, size_t size, const char *const *tensors, size_t count,
                           void **out, size_t *out_size)
{
    nnd_pb_bytes graph;
    nnd_str outputs = {0}, model = {0};
    char *text = NULL;
    NND_TRY(find_graph(bytes, size, &graph));
    for (size_t i = 0; i < count; i++)
        put_output(&outputs, tensors[i]);
    if (!outputs.failed) put_model(&model, bytes, size, graph, &outputs);
    model.failed |= outputs.failed;
    nnd_str_free(&outputs);
    nnd_status status = nnd_str_take(&model, &text, out_size);
    nnd_str_free(&model);
    if (status == NND_OK) *out = text;
    return status;
}
