#include "engine/onnx/outline.h"

#include <string.h>

/* Field numbers of onnx.proto. */
enum {
    MODEL_IR = 1,
    MODEL_GRAPH = 7,
    MODEL_OPSET = 8,
    MODEL_FUNCTION = 25,
    OPSET_DOMAIN = 1,
    OPSET_VERSION = 2,
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    VALUE_NAME = 1,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP = 4,
    NODE_ATTRIBUTE = 5,
    NODE_DOMAIN = 7,
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_FLOAT = 2,
    ATTRIBUTE_INT = 3,
    ATTRIBUTE_TENSOR = 5,
    ATTRIBUTE_GRAPH = 6,
    ATTRIBUTE_INTS = 8,
    ATTRIBUTE_TENSORS = 10,
    ATTRIBUTE_GRAPHS = 11,
    FUNCTION_NODE = 7,
    TENSOR_NAME = 8,
    TENSOR_LOCATION = 14
};

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the outline of a model");
}

static bool is_external(nnd_pb_bytes tensor)
{
    nnd_pb_field f;
    bool bad = false, external = false;
    while (nnd_pb_next(&tensor, &f, &bad))
        if (f.number == TENSOR_LOCATION) external = f.bits == 1;
    return external;
}

/* ---- what is inside of nodes --------------------------------------------------------------- */

static nnd_status visit_node(nnd_onnx_outline *o, nnd_pb_bytes node, int depth, bool inner);

static nnd_status visit_graph(nnd_onnx_outline *o, nnd_pb_bytes graph, uint32_t nodes, int depth)
{
    nnd_pb_field f;
    bool bad = false;
    if (depth > NND_ONNX_MAX_DEPTH)
        return nnd_error_set(NND_E_LIMIT, "graphs are nested more than %d deep",
                             NND_ONNX_MAX_DEPTH);
    while (nnd_pb_next(&graph, &f, &bad)) {
        if (f.type != NND_PB_LEN) continue;
        if (f.number == nodes) NND_TRY(visit_node(o, f.bytes, depth, true));
        if (nodes == GRAPH_NODE && f.number == GRAPH_INITIALIZER)
            o->hidden_external |= is_external(f.bytes);
        if (nodes != GRAPH_NODE || f.number != GRAPH_OUTPUT) continue;
        /* A branch may hand an outer value out as it is. */
        nnd_pb_field name;
        const char *text;
        for (nnd_pb_bytes value = f.bytes; nnd_pb_next(&value, &name, &bad);)
            if (name.number == VALUE_NAME) {
                NND_TRY(nnd_onnx_string(&o->arena, name.bytes, &text));
                NND_TRY(nnd_map_put(&o->captured, text, o, NULL));
            }
    }
    return bad ? nnd_onnx_malformed("a sub-graph ends in the middle of a field") : NND_OK;
}

static nnd_status visit_attribute(nnd_onnx_outline *o, nnd_pb_bytes attribute, int depth)
{
    nnd_pb_field f;
    bool bad = false;
    while (nnd_pb_next(&attribute, &f, &bad)) {
        if (f.type != NND_PB_LEN) continue;
        if (f.number == ATTRIBUTE_GRAPH || f.number == ATTRIBUTE_GRAPHS)
            NND_TRY(visit_graph(o, f.bytes, GRAPH_NODE, depth + 1));
        if (f.number == ATTRIBUTE_TENSOR || f.number == ATTRIBUTE_TENSORS)
            o->hidden_external |= is_external(f.bytes);
    }
    return bad ? nnd_onnx_malformed("an attribute ends in the middle of a field") : NND_OK;
}

/* inner: the node is in a sub-graph, so that the names of its inputs may be those of the main
   graph. */
static nnd_status visit_node(nnd_onnx_outline *o, nnd_pb_bytes node, int depth, bool inner)
{
    nnd_pb_field f;
    bool bad = false;
    const char *text;
    o->has_inner_nodes |= inner;
    while (nnd_pb_next(&node, &f, &bad)) {
        if (f.type != NND_PB_LEN) continue;
        if (f.number == NODE_ATTRIBUTE) NND_TRY(visit_attribute(o, f.bytes, depth));
        if (f.number != NODE_INPUT || !inner || !f.bytes.size) continue;
        NND_TRY(nnd_onnx_string(&o->arena, f.bytes, &text));
        NND_TRY(nnd_map_put(&o->captured, text, o, NULL));
    }
    return bad ? nnd_onnx_malformed("a node ends in the middle of a field") : NND_OK;
}

/* ---- nodes --------------------------------------------------------------------------------- */

static nnd_status read_node(nnd_onnx_outline *o, nnd_pb_bytes bytes)
{
    nnd_onnx_outline_node node = {.bytes = bytes, .op = "", .domain = "", .name = ""};
    nnd_pb_bytes left = bytes;
    nnd_pb_field f;
    bool bad = false;
    if (o->nodes.count == NND_ONNX_MAX_NODES)
        return nnd_error_set(NND_E_LIMIT, "more than %d nodes", NND_ONNX_MAX_NODES);
    while (nnd_pb_next(&left, &f, &bad)) {
        node.input_count += f.number == NODE_INPUT;
        node.output_count += f.number == NODE_OUTPUT;
    }
    node.inputs = nnd_arena_calloc(&o->arena, node.input_count + 1, sizeof *node.inputs);
    node.outputs = nnd_arena_calloc(&o->arena, node.output_count + 1, sizeof *node.outputs);
    if (!node.inputs || !node.outputs) return no_memory();
    size_t inputs = 0, outputs = 0;
    for (left = bytes; nnd_pb_next(&left, &f, &bad);) {
        const char **text = f.number == NODE_INPUT    ? &node.inputs[inputs++]
                            : f.number == NODE_OUTPUT ? &node.outputs[outputs++]
                            : f.number == NODE_NAME   ? &node.name
                            : f.number == NODE_OP     ? &node.op
                            : f.number == NODE_DOMAIN ? &node.domain
                                                      : NULL;
        if (text) NND_TRY(nnd_onnx_string(&o->arena, f.bytes, text));
    }
    if (bad) return nnd_onnx_malformed("a node ends in the middle of a field");
    if (strcmp(node.domain, "ai.onnx") == 0) node.domain = "";
    NND_TRY(visit_node(o, bytes, 0, false));
    return nnd_vec_push(&o->nodes, node) ? NND_OK : no_memory();
}

/* The message of the attribute of that name; empty when there is none. */
static nnd_pb_bytes find_attribute(const nnd_onnx_outline_node *node, const char *name)
{
    nnd_pb_bytes left = node->bytes, found = {0};
    nnd_pb_field f, part;
    bool bad = false;
    while (nnd_pb_next(&left, &f, &bad)) {
        if (f.number != NODE_ATTRIBUTE || f.type != NND_PB_LEN) continue;
        for (nnd_pb_bytes fields = f.bytes; nnd_pb_next(&fields, &part, &bad);)
            if (part.number == ATTRIBUTE_NAME && nnd_pb_is_text(part.bytes, name)) found = f.bytes;
    }
    return found;
}

static bool find_value(const nnd_onnx_outline_node *node, const char *name, uint32_t number,
                       nnd_pb_field *out)
{
    nnd_pb_bytes fields = find_attribute(node, name);
    nnd_pb_field part;
    bool bad = false, found = false;
    while (nnd_pb_next(&fields, &part, &bad)) {
        if (part.number != number) continue;
        *out = part;
        found = true;
    }
    return found;
}

bool nnd_onnx_outline_ints(const nnd_onnx_outline_node *node, const char *name, int64_t *out,
                           size_t most, size_t *count)
{
    nnd_pb_bytes fields = find_attribute(node, name);
    nnd_pb_field part;
    bool bad = false;
    *count = 0;
    if (!fields.size) return false;
    while (nnd_pb_next(&fields, &part, &bad)) {
        uint64_t value = part.bits;
        if (part.number != ATTRIBUTE_INTS) continue;
        const bool packed = part.type == NND_PB_LEN;
        while (!packed || part.bytes.size) {
            if (*count == most || (packed && !nnd_pb_varint(&part.bytes, &value))) return false;
            out[(*count)++] = (int64_t)value;
            if (!packed) break;
        }
    }
    return true;
}

int64_t nnd_onnx_outline_int(const nnd_onnx_outline_node *node, const char *name, int64_t fallback)
{
    nnd_pb_field f;
    return find_value(node, name, ATTRIBUTE_INT, &f) ? (int64_t)f.bits : fallback;
}

float nnd_onnx_outline_float(const nnd_onnx_outline_node *node, const char *name, float fallback)
{
    nnd_pb_field f;
    if (!find_value(node, name, ATTRIBUTE_FLOAT, &f)) return fallback;
    uint32_t bits = (uint32_t)f.bits;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- constants ----------------------------------------------------------------------------- */

static nnd_status tensor_name(nnd_pb_bytes tensor, nnd_pb_bytes *name)
{
    nnd_pb_field f;
    bool bad = false;
    while (nnd_pb_next(&tensor, &f, &bad))
        if (f.number == TENSOR_NAME) *name = f.bytes;
    return bad ? nnd_onnx_malformed("a tensor ends in the middle of a field") : NND_OK;
}

static nnd_status add_constant(nnd_onnx_outline *o, nnd_pb_bytes bytes, const char *name)
{
    nnd_onnx_constant c = {.bytes = bytes, .name = name, .is_initializer = !name};
    nnd_pb_bytes own = {0};
    c.is_external = is_external(bytes);
    nnd_status status = o->names_only ? tensor_name(bytes, &own)
                                      : nnd_onnx_read_tensor(&o->reader, &o->arena, bytes,
                                                             &c.tensor, &c.owned, &own);
    if (status == NND_OK && !name) status = nnd_onnx_string(&o->arena, own, &c.name);
    if (status == NND_OK && !nnd_vec_push(&o->constants, c)) status = no_memory();
    if (status != NND_OK) nnd_free_aligned(c.owned);
    return status;
}

static nnd_status add_constant_nodes(nnd_onnx_outline *o)
{
    for (size_t i = 0; i < o->nodes.count; i++) {
        const nnd_onnx_outline_node *n = &o->nodes.items[i];
        nnd_pb_field f;
        if (n->domain[0] || strcmp(n->op, "Constant") != 0 || n->output_count != 1) continue;
        if (find_value(n, "value", ATTRIBUTE_TENSOR, &f))
            NND_TRY(add_constant(o, f.bytes, n->outputs[0]));
    }
    return NND_OK;
}

const nnd_onnx_constant *nnd_onnx_outline_constant(const nnd_onnx_outline *outline,
                                                   const char *name)
{
    return nnd_map_get(&outline->constant_at, name);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static nnd_status read_opset(nnd_onnx_outline *o, nnd_pb_bytes message)
{
    nnd_pb_field f;
    nnd_pb_bytes domain = {0};
    bool bad = false;
    int64_t version = 0;
    while (nnd_pb_next(&message, &f, &bad)) {
        if (f.number == OPSET_DOMAIN) domain = f.bytes;
        if (f.number == OPSET_VERSION) version = (int64_t)f.bits;
    }
    if (!domain.size || nnd_pb_is_text(domain, "ai.onnx")) o->opset = version;
    return bad ? nnd_onnx_malformed("an operator set") : NND_OK;
}

static nnd_status read_model(nnd_onnx_outline *o)
{
    nnd_pb_bytes left = o->file;
    nnd_pb_field f;
    bool bad = false;
    while (nnd_pb_next(&left, &f, &bad)) {
        if (f.number == MODEL_IR) o->ir_version = (int64_t)f.bits;
        if (f.type != NND_PB_LEN) continue;
        if (f.number == MODEL_GRAPH) o->graph = f.bytes;
        if (f.number == MODEL_OPSET) NND_TRY(read_opset(o, f.bytes));
        if (f.number == MODEL_FUNCTION) NND_TRY(visit_graph(o, f.bytes, FUNCTION_NODE, 0));
    }
    if (bad) return nnd_onnx_malformed("the file ends in the middle of a field (truncated?)");
    return o->graph.data ? NND_OK : nnd_onnx_malformed("there is no graph in it");
}

static nnd_status value_name(nnd_onnx_outline *o, nnd_pb_bytes value, const char **out)
{
    nnd_pb_field f;
    bool bad = false;
    *out = "";
    while (nnd_pb_next(&value, &f, &bad))
        if (f.number == VALUE_NAME) NND_TRY(nnd_onnx_string(&o->arena, f.bytes, out));
    return bad ? nnd_onnx_malformed("a value's description") : NND_OK;
}

static nnd_status read_graph(nnd_onnx_outline *o)
{
    nnd_pb_bytes left = o->graph;
    nnd_pb_field f;
    bool bad = false;
    const char *name;
    while (nnd_pb_next(&left, &f, &bad)) {
        bool ok = true;
        if (f.type != NND_PB_LEN) continue;
        if (f.number == GRAPH_NODE) NND_TRY(read_node(o, f.bytes));
        if (f.number == GRAPH_INITIALIZER) NND_TRY(add_constant(o, f.bytes, NULL));
        if (f.number == GRAPH_INPUT || f.number == GRAPH_OUTPUT)
            NND_TRY(value_name(o, f.bytes, &name));
        if (f.number == GRAPH_INPUT) ok = nnd_vec_push(&o->inputs, name);
        if (f.number == GRAPH_OUTPUT) ok = nnd_vec_push(&o->outputs, name);
        if (!ok) return no_memory();
    }
    if (bad) return nnd_onnx_malformed("the graph ends in the middle of a field");
    return add_constant_nodes(o);
}

/* Old files name their initialisers among the inputs, too. */
static nnd_status index_names(nnd_onnx_outline *o)
{
    size_t kept = 0;
    for (size_t i = 0; i < o->constants.count; i++)
        NND_TRY(
            nnd_map_put(&o->constant_at, o->constants.items[i].name, &o->constants.items[i], NULL));
    for (size_t i = 0; i < o->inputs.count; i++)
        if (!nnd_map_get(&o->constant_at, o->inputs.items[i]))
            o->inputs.items[kept++] = o->inputs.items[i];
    o->inputs.count = kept;
    return NND_OK;
}

nnd_status nnd_onnx_outline_read(nnd_onnx_outline *outline, const void *bytes, size_t size,
                                 nnd_engine_open_fn open, void *open_user)
{
    outline->file = (nnd_pb_bytes){bytes, size};
    outline->reader.open = open;
    outline->reader.open_user = open_user;
    outline->reader.max_weight_bytes = UINT64_MAX;
    NND_TRY(read_model(outline));
    NND_TRY(read_graph(outline));
    return index_names(outline);
}

nnd_status nnd_onnx_outline_read_names(nnd_onnx_outline *outline, const void *bytes, size_t size)
{
    outline->names_only = true;
    return nnd_onnx_outline_read(outline, bytes, size, NULL, NULL);
}

void nnd_onnx_outline_fini(nnd_onnx_outline *outline)
{
    for (size_t i = 0; i < outline->constants.count; i++)
        nnd_free_aligned(outline->constants.items[i].owned);
    nnd_vec_free(&outline->constants);
    nnd_vec_free(&outline->nodes);
    nnd_vec_free(&outline->inputs);
    nnd_vec_free(&outline->outputs);
    nnd_map_fini(&outline->constant_at);
    nnd_map_fini(&outline->captured);
    nnd_arena_fini(&outline->arena);
    nnd_onnx_fini(&outline->reader);
}
