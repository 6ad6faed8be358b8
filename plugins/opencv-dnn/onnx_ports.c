#include "onnx_ports.h"

#include "engine/onnx/wire.h"

#include <stdlib.h>
#include <string.h>

/* Field numbers of onnx.proto. */
enum {
    MODEL_GRAPH = 7,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_SPARSE_INITIALIZER = 15,
    SPARSE_VALUES = 1,
    TENSOR_NAME = 8,
    TENSOR_EXTERNAL = 13,
    VALUE_NAME = 1,
    VALUE_TYPE = 2,
    TYPE_TENSOR = 1,
    TENSOR_TYPE_ELEMENT = 1,
    TENSOR_TYPE_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_VALUE = 1,
    DIM_SYMBOL = 2
};

/* By ONNX's numbers of element types. */
static const nnd_dtype dtypes[] = {
    NND_DTYPE_INVALID, NND_F32,    NND_U8,   NND_I8,  NND_U16, NND_I16, NND_I32,
    NND_I64,           NND_STRING, NND_BOOL, NND_F16, NND_F64, NND_U32, NND_U64,
};

typedef struct reader {
    const nnd_host *host;
    opencv_ports *ports;
    nnd_pb_bytes *weights; /* names */
    size_t weight_count, weight_room, port_room;
} reader;

static nnd_status malformed(const reader *r, const char *what)
{
    return r->host->error_set(NND_E_FORMAT, "'%s' is no ONNX model: malformed %s", r->ports->model,
                              what);
}

static nnd_status no_memory(const reader *r)
{
    return r->host->error_set(NND_E_OUT_OF_MEMORY, "no memory to look into an ONNX model");
}

/* Room for one more item; `items` stays as it is without memory. */
static bool make_room(const nnd_host *host, void **items, size_t count, size_t *room, size_t each)
{
    if (count < *room) return true;
    size_t more = *room ? 2 * *room : 16;
    void *grown = more <= SIZE_MAX / each ? host->realloc(*items, more * each) : NULL;
    if (!grown) return false;
    *items = grown;
    *room = more;
    return true;
}

static nnd_status text_of(const reader *r, nnd_pb_bytes bytes, const char **out)
{
    if (memchr(bytes.data, 0, bytes.size)) return malformed(r, "name");
    char *text = r->host->alloc(bytes.size + 1);
    if (!text) return no_memory(r);
    memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    r->host->free((void *)(uintptr_t)*out);
    *out = text;
    return NND_OK;
}

/* ---- ports -------------------------------------------------------------------------------- */

static nnd_status read_dim(const reader *r, nnd_pb_bytes left, nnd_model_port *port)
{
    nnd_pb_field field;
    bool bad = false;
    if (port->rank == NND_MAX_RANK)
        return r->host->error_set(NND_E_UNSUPPORTED,
                                  "model '%s': port '%s' has more than %d dimensions",
                                  r->ports->model, port->name ? port->name : "", NND_MAX_RANK);
    nnd_dim *dim = &port->dims[port->rank++];
    dim->value = -1;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.number == DIM_VALUE && field.type == NND_PB_VARINT)
            dim->value = field.bits <= INT64_MAX ? (int64_t)field.bits : -1;
        if (field.number == DIM_SYMBOL && field.type == NND_PB_LEN && field.bytes.size)
            NND_TRY(text_of(r, field.bytes, &dim->symbol));
    }
    return bad ? malformed(r, "dimension") : NND_OK;
}

static nnd_status read_shape(const reader *r, nnd_pb_bytes left, nnd_model_port *port)
{
    nnd_pb_field field;
    bool bad = false;
    if (port->rank < 0) port->rank = 0;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.number == SHAPE_DIM && field.type == NND_PB_LEN)
            NND_TRY(read_dim(r, field.bytes, port));
    }
    return bad ? malformed(r, "shape") : NND_OK;
}

static nnd_status read_tensor_type(const reader *r, nnd_pb_bytes left, nnd_model_port *port)
{
    nnd_pb_field field;
    bool bad = false;
    port->kind = NND_PORT_TENSOR;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.number == TENSOR_TYPE_ELEMENT && field.type == NND_PB_VARINT)
            port->dtype = field.bits < NND_COUNT(dtypes) ? dtypes[field.bits] : NND_DTYPE_INVALID;
        if (field.number == TENSOR_TYPE_SHAPE && field.type == NND_PB_LEN)
            NND_TRY(read_shape(r, field.bytes, port));
    }
    return bad ? malformed(r, "type") : NND_OK;
}

static nnd_status read_type(const reader *r, nnd_pb_bytes left, nnd_model_port *port)
{
    nnd_pb_field field;
    bool bad = false;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.number == TYPE_TENSOR && field.type == NND_PB_LEN)
            NND_TRY(read_tensor_type(r, field.bytes, port));
    }
    return bad ? malformed(r, "type") : NND_OK;
}

/* Whatever is no tensor stays a sequence of nothing, which the caller refuses. */
static nnd_status read_port(const reader *r, nnd_pb_bytes left, nnd_model_port *port)
{
    nnd_pb_field field;
    bool bad = false;
    *port = (nnd_model_port){.size = sizeof *port, .kind = NND_PORT_SEQUENCE, .rank = -1};
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.type != NND_PB_LEN) continue;
        if (field.number == VALUE_NAME) NND_TRY(text_of(r, field.bytes, &port->name));
        if (field.number == VALUE_TYPE) NND_TRY(read_type(r, field.bytes, port));
    }
    return bad || !port->name ? malformed(r, "port") : NND_OK;
}

/* ---- weights ------------------------------------------------------------------------------ */

static nnd_status read_weight(reader *r, nnd_pb_bytes left)
{
    nnd_pb_field field;
    bool bad = false;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.type != NND_PB_LEN) continue;
        if (field.number == TENSOR_EXTERNAL) r->ports->has_external = true;
        if (field.number != TENSOR_NAME) continue;
        if (!make_room(r->host, (void **)&r->weights, r->weight_count, &r->weight_room,
                       sizeof *r->weights))
            return no_memory(r);
        r->weights[r->weight_count++] = field.bytes;
    }
    return bad ? malformed(r, "tensor") : NND_OK;
}

static nnd_status read_sparse_weight(reader *r, nnd_pb_bytes left)
{
    nnd_pb_field field;
    bool bad = false;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.number == SPARSE_VALUES && field.type == NND_PB_LEN)
            NND_TRY(read_weight(r, field.bytes));
    }
    return bad ? malformed(r, "sparse tensor") : NND_OK;
}

static int by_name(const void *a, const void *b)
{
    const nnd_pb_bytes *x = a, *y = b;
    size_t n = x->size < y->size ? x->size : y->size;
    int order = n ? memcmp(x->data, y->data, n) : 0;
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

static bool is_weight(const reader *r, const char *name)
{
    nnd_pb_bytes key = {(const uint8_t *)name, strlen(name)};
    return r->weight_count &&
           bsearch(&key, r->weights, r->weight_count, sizeof *r->weights, by_name);
}

/* ---- the file ----------------------------------------------------------------------------- */

static void free_texts(const nnd_host *host, nnd_model_port *port)
{
    host->free((void *)(uintptr_t)port->name);
    for (int d = 0; d < NND_MAX_RANK; d++)
        host->free((void *)(uintptr_t)port->dims[d].symbol);
}

/* Inputs are all read before the first output, whatever their order in the file. */
static nnd_status read_ports(reader *r, nnd_pb_bytes graph, uint32_t number, size_t *count)
{
    opencv_ports *ports = r->ports;
    nnd_pb_field field;
    bool bad = false;
    while (nnd_pb_next(&graph, &field, &bad)) {
        size_t used = ports->input_count + ports->output_count;
        if (field.number != number || field.type != NND_PB_LEN) continue;
        if (!make_room(r->host, (void **)&ports->items, used, &r->port_room, sizeof *ports->items))
            return no_memory(r);
        nnd_model_port *port = &ports->items[used];
        nnd_status status = read_port(r, field.bytes, port);
        bool is_left_out = status != NND_OK || (number == GRAPH_INPUT && is_weight(r, port->name));
        if (is_left_out)
            free_texts(r->host, port);
        else
            ++*count;
        NND_TRY(status);
    }
    return NND_OK;
}

static nnd_status read_graph(reader *r, nnd_pb_bytes graph)
{
    nnd_pb_bytes left = graph;
    nnd_pb_field field;
    bool bad = false;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.type != NND_PB_LEN) continue;
        if (field.number == GRAPH_INITIALIZER) NND_TRY(read_weight(r, field.bytes));
        if (field.number == GRAPH_SPARSE_INITIALIZER) NND_TRY(read_sparse_weight(r, field.bytes));
    }
    if (bad) return malformed(r, "graph");
    if (r->weight_count) qsort(r->weights, r->weight_count, sizeof *r->weights, by_name);
    NND_TRY(read_ports(r, graph, GRAPH_INPUT, &r->ports->input_count));
    return read_ports(r, graph, GRAPH_OUTPUT, &r->ports->output_count);
}

nnd_status opencv_ports_read(const nnd_host *host, opencv_ports *ports, const void *bytes,
                             size_t size)
{
    reader r = {.host = host, .ports = ports};
    nnd_pb_bytes left = {bytes, size}, graph = {0};
    nnd_pb_field field;
    bool bad = false;
    while (nnd_pb_next(&left, &field, &bad)) {
        if (field.number == MODEL_GRAPH && field.type == NND_PB_LEN) graph = field.bytes;
    }
    if (bad) return malformed(&r, "model");
    if (!graph.data)
        return host->error_set(NND_E_FORMAT, "'%s' is no ONNX model: it has no graph",
                               ports->model);
    nnd_status status = read_graph(&r, graph);
    host->free(r.weights);
    return status;
}

void opencv_ports_fini(const nnd_host *host, opencv_ports *ports)
{
    for (size_t i = 0; i < ports->input_count + ports->output_count; i++)
        free_texts(host, &ports->items[i]);
    host->free(ports->items);
}
