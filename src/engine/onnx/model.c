/* ModelProto: the envelope around the graph. */
#include <string.h>

#include "engine/onnx/onnx.h"
#include "engine/onnx/scope.h"

enum {
    M_IR = 1,
    M_PRODUCER = 2,
    M_PRODUCER_VERSION = 3,
    M_DOMAIN = 4,
    M_VERSION = 5,
    M_DOC = 6,
    M_GRAPH = 7,
    M_OPSET = 8,
    M_METADATA = 14,
    M_FUNCTION = 25
};

/* Texts for people may hold anything: a broken one is left out, not refused. */
static const char *text_or_empty(nnd_arena *arena, nnd_pb_bytes bytes)
{
    const char *text = "";
    if (nnd_onnx_string(arena, bytes, &text) != NND_OK) {
        nnd_error_clear();
        return "";
    }
    return text;
}

static nnd_status read_function(nnd_onnx_model *m, nnd_pb_bytes message, nnd_onnx_function *out)
{
    nnd_pb_field f;
    bool bad = false;
    nnd_pb_bytes left = message, name = {0}, domain = {0}, overload = {0};
    while (nnd_pb_next(&left, &f, &bad)) {
        if (f.number == 1) name = f.bytes;
        if (f.number == 10) domain = f.bytes;
        if (f.number == 13) overload = f.bytes;
    }
    if (bad) return nnd_onnx_malformed("a function ends in the middle of a field");
    out->body = message;
    NND_TRY(nnd_onnx_string(&m->arena, name, &out->name));
    NND_TRY(nnd_onnx_string(&m->arena, overload, &out->overload));
    return nnd_onnx_string(&m->arena, domain, &out->domain);
}

static void read_metadata(nnd_onnx_model *m, nnd_pb_bytes message)
{
    nnd_pb_field f;
    bool bad = false;
    nnd_pb_bytes key = {0}, value = {0};
    while (nnd_pb_next(&message, &f, &bad)) {
        if (f.number == 1) key = f.bytes;
        if (f.number == 2) value = f.bytes;
    }
    m->metadata[2 * m->metadata_count] = text_or_empty(&m->arena, key);
    m->metadata[2 * m->metadata_count + 1] = text_or_empty(&m->arena, value);
    m->metadata_count++;
}

/* Counts the repeated fields and makes room for them. */
static nnd_status count_parts(nnd_onnx_model *m, nnd_pb_bytes message, nnd_pb_bytes *graph)
{
    nnd_pb_field f;
    bool bad = false, has_graph = false;
    size_t opsets = 0, functions = 0, metadata = 0;
    while (nnd_pb_next(&message, &f, &bad)) {
        opsets += f.number == M_OPSET;
        functions += f.number == M_FUNCTION;
        metadata += f.number == M_METADATA;
        if (f.number == M_GRAPH && f.type == NND_PB_LEN) {
            *graph = f.bytes;
            has_graph = true;
        }
    }
    if (bad) return nnd_onnx_malformed("the file ends in the middle of a field (truncated?)");
    if (!has_graph) return nnd_onnx_malformed("there is no graph in it");
    m->opsets = nnd_arena_calloc(&m->arena, opsets + 1, sizeof(*m->opsets));
    m->functions = nnd_arena_calloc(&m->arena, functions + 1, sizeof(*m->functions));
    m->metadata = nnd_arena_calloc(&m->arena, 2 * metadata + 1, sizeof(*m->metadata));
    if (!m->opsets || !m->functions || !m->metadata)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the model");
    return NND_OK;
}

static nnd_status read_envelope(nnd_onnx_model *m, nnd_pb_bytes message)
{
    nnd_pb_field f;
    bool bad = false;
    m->producer = m->producer_version = m->domain = m->doc = "";
    while (nnd_pb_next(&message, &f, &bad)) {
        switch (f.number) {
        case M_IR:
            m->ir_version = (int64_t)f.bits;
            break;
        case M_PRODUCER:
            m->producer = text_or_empty(&m->arena, f.bytes);
            break;
        case M_PRODUCER_VERSION:
            m->producer_version = text_or_empty(&m->arena, f.bytes);
            break;
        case M_DOMAIN:
            m->domain = text_or_empty(&m->arena, f.bytes);
            break;
        case M_VERSION:
            m->model_version = (int64_t)f.bits;
            break;
        case M_DOC:
            m->doc = text_or_empty(&m->arena, f.bytes);
            break;
        case M_OPSET:
            NND_TRY(nnd_onnx_read_opset(&m->arena, f.bytes, &m->opsets[m->opset_count++]));
            break;
        case M_METADATA:
            read_metadata(m, f.bytes);
            break;
        case M_FUNCTION:
            NND_TRY(read_function(m, f.bytes, &m->functions[m->function_count++]));
            break;
        default:
            break;
        }
    }
    return NND_OK;
}

/* Files of the first versions of the format have no opset import: it is 1 then. */
static nnd_status default_opset(nnd_onnx_model *m)
{
    if (m->opset_count) return NND_OK;
    if (m->ir_version >= 3) return nnd_onnx_malformed("it imports no operator set");
    m->opsets[0] = (nnd_engine_opset){"", 1};
    m->opset_count = 1;
    return NND_OK;
}

nnd_status nnd_onnx_read(nnd_onnx_model *m, const void *bytes, size_t size)
{
    nnd_pb_bytes message = {bytes, size}, graph = {0};
    if (!size) return nnd_onnx_malformed("the file is empty");
    NND_TRY(count_parts(m, message, &graph));
    NND_TRY(read_envelope(m, message));
    NND_TRY(default_opset(m));
    NND_TRY(nnd_graph_create(NULL, "", &m->graph));
    NND_TRY(nnd_onnx_read_graph(m, graph, m->graph, 0));
    if (!m->graph->output_count) return nnd_onnx_malformed("the graph has no outputs");
    return NND_OK;
}

void nnd_onnx_fini(nnd_onnx_model *m)
{
    nnd_graph_destroy(m->graph);
    for (size_t i = 0; i < m->external_count; i++)
        nnd_buffer_unref(m->externals[i].buffer);
    nnd_free(m->externals);
    nnd_arena_fini(&m->arena);
}
