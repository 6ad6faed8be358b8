/* GraphProto: initialisers and inputs first, then nodes, then outputs and value types. */
#include <string.h>

#include "engine/onnx/onnx.h"
#include "engine/onnx/scope.h"

enum {
    G_NODE = 1,
    G_NAME = 2,
    G_INITIALIZER = 5,
    G_INPUT = 11,
    G_OUTPUT = 12,
    G_VALUE_INFO = 13,
    G_SPARSE = 15
};

/* ---- types --------------------------------------------------------------------------------- */

typedef struct value_type {
    nnd_engine_type type;
    nnd_dtype dtype;
    int rank; /* −1 = the file does not say */
    int64_t dims[NND_MAX_RANK];
    const char *symbols[NND_MAX_RANK];
} value_type;

static nnd_status read_dim(nnd_graph *g, nnd_pb_bytes message, value_type *t)
{
    if (t->rank == NND_MAX_RANK)
        return nnd_error_set(NND_E_UNSUPPORTED, "a value has more than %d dimensions",
                             NND_MAX_RANK);
    nnd_pb_field f;
    bool bad = false;
    t->dims[t->rank] = -1;
    t->symbols[t->rank] = NULL;
    while (nnd_pb_next(&message, &f, &bad)) {
        /* Some exporters write −1 or 0 for "any". */
        if (f.number == 1 && (int64_t)f.bits > 0) t->dims[t->rank] = (int64_t)f.bits;
        if (f.number == 1 && f.bits == 0) t->dims[t->rank] = 0;
        if (f.number == 2 && f.bytes.size)
            NND_TRY(nnd_onnx_string(&g->arena, f.bytes, &t->symbols[t->rank]));
    }
    t->rank++;
    return bad ? nnd_onnx_malformed("a dimension") : NND_OK;
}

static nnd_status read_tensor_type(nnd_graph *g, nnd_pb_bytes message, value_type *t)
{
    nnd_pb_field f, dim;
    bool bad = false;
    while (nnd_pb_next(&message, &f, &bad)) {
        if (f.number == 1) t->dtype = nnd_onnx_dtype(f.bits);
        if (f.number != 2 || f.type != NND_PB_LEN) continue;
        t->rank = 0;
        while (nnd_pb_next(&f.bytes, &dim, &bad))
            if (dim.number == 1) NND_TRY(read_dim(g, dim.bytes, t));
    }
    return bad ? nnd_onnx_malformed("a type") : NND_OK;
}

/* TypeProto's choice. */
enum { T_TENSOR = 1, T_SEQUENCE = 4, T_MAP = 5, T_DENOTATION = 6, T_SPARSE = 8, T_OPTIONAL = 9 };
enum { MAX_TYPE_DEPTH = 8 };

static nnd_status read_type(nnd_graph *g, nnd_pb_bytes message, int depth, value_type *t);

static nnd_status read_map_type(nnd_graph *g, nnd_pb_bytes message, int depth, value_type *t)
{
    nnd_pb_field f;
    bool bad = false;
    uint64_t key = 0;
    while (nnd_pb_next(&message, &f, &bad)) {
        if (f.number == 1) key = f.bits;
        if (f.number == 2 && f.type == NND_PB_LEN) NND_TRY(read_type(g, f.bytes, depth + 1, t));
    }
    t->type.key = nnd_onnx_dtype(key);
    return bad ? nnd_onnx_malformed("a type") : NND_OK;
}

/* The one type inside of a sequence's or an optional's type. */
static nnd_status read_inner_type(nnd_graph *g, nnd_pb_bytes message, int depth, value_type *t)
{
    nnd_pb_field f;
    bool bad = false;
    while (nnd_pb_next(&message, &f, &bad))
        if (f.number == 1 && f.type == NND_PB_LEN) NND_TRY(read_type(g, f.bytes, depth + 1, t));
    return bad ? nnd_onnx_malformed("a type") : NND_OK;
}

/* A TypeProto. Shapes of what lies in a sequence or map are not kept: each element has its own. */
static nnd_status read_type(nnd_graph *g, nnd_pb_bytes message, int depth, value_type *t)
{
    nnd_pb_field f;
    bool bad = false;
    if (depth > MAX_TYPE_DEPTH)
        return nnd_error_set(NND_E_LIMIT, "types are nested more than %d deep", MAX_TYPE_DEPTH);
    while (nnd_pb_next(&message, &f, &bad)) {
        if (f.type != NND_PB_LEN || f.number == T_DENOTATION) continue;
        if (f.number == T_TENSOR) {
            NND_TRY(read_tensor_type(g, f.bytes, t));
        } else if (f.number == T_SEQUENCE) {
            NND_TRY(read_inner_type(g, f.bytes, depth, t));
            t->type.element = t->type.kind;
            t->type.kind = NND_KIND_SEQUENCE;
        } else if (f.number == T_MAP) {
            NND_TRY(read_map_type(g, f.bytes, depth, t));
            t->type.kind = NND_KIND_MAP;
        } else if (f.number == T_OPTIONAL) {
            NND_TRY(read_inner_type(g, f.bytes, depth, t));
            t->type.optional = true;
        } else {
            return nnd_error_set(NND_E_UNSUPPORTED, f.number == T_SPARSE
                                                        ? "a value is a sparse tensor"
                                                        : "a value is of a type of its own kind");
        }
        if (t->type.kind != NND_KIND_TENSOR) t->rank = -1;
    }
    return bad ? nnd_onnx_malformed("a type") : NND_OK;
}

/* A ValueInfoProto. */
static nnd_status read_value_info(nnd_onnx_model *m, nnd_graph *g, nnd_pb_bytes message,
                                  const char **name, value_type *t)
{
    nnd_pb_field f;
    bool bad = false;
    *t = (value_type){.rank = -1};
    *name = "";
    while (nnd_pb_next(&message, &f, &bad)) {
        if (f.number == 1) NND_TRY(nnd_onnx_scoped_name(m, g, f.bytes, name));
        if (f.number != 2 || f.type != NND_PB_LEN) continue;
        nnd_status status = read_type(g, f.bytes, 0, t);
        if (status != NND_OK) return nnd_error_wrap(status, "value '%s'", *name);
    }
    return bad ? nnd_onnx_malformed("a value's description") : NND_OK;
}

static void set_type(nnd_graph_value *v, const value_type *t)
{
    v->type = t->type;
    if (t->dtype != NND_DTYPE_INVALID) v->dtype = t->dtype;
    if (t->rank < 0 || v->is_constant) return;
    v->rank = t->rank;
    memcpy(v->dims, t->dims, sizeof(v->dims));
    memcpy(v->symbols, t->symbols, sizeof(v->symbols));
}

/* ---- the three passes ---------------------------------------------------------------------- */

static nnd_status read_initializer(nnd_onnx_model *m, nnd_graph *g, nnd_pb_bytes message)
{
    nnd_tensor t;
    void *owned = NULL;
    nnd_pb_bytes raw_name;
    const char *name;
    uint32_t id;
    nnd_status status = nnd_onnx_read_tensor(m, &g->arena, message, &t, &owned, &raw_name);
    if (status != NND_OK) return status;
    status = nnd_onnx_scoped_name(m, g, raw_name, &name);
    /* Of two with one name the last counts, as in ONNX Runtime, whose tools write such files. */
    bool again = status == NND_OK && (id = nnd_graph_find_value(g, name)) != NND_NO_ID;
    if (again) m->parameters -= (uint64_t)nnd_tensor_count(&g->values[id].constant);
    if (status == NND_OK && !again) status = nnd_graph_add_value(g, name, &id);
    if (status != NND_OK) {
        nnd_free_aligned(owned);
        return status;
    }
    m->parameters += (uint64_t)nnd_tensor_count(&t);
    return nnd_graph_set_constant(g, id, &t, owned);
}

static nnd_status read_input(nnd_onnx_model *m, nnd_graph *g, nnd_pb_bytes message)
{
    const char *name;
    value_type t;
    uint32_t id;
    NND_TRY(read_value_info(m, g, message, &name, &t));
    if (!name[0]) return nnd_onnx_malformed("an input without a name");
    if (nnd_graph_find_value(g, name) != NND_NO_ID) return NND_OK; /* an initialiser: a constant */
    NND_TRY(nnd_graph_add_input(g, name, t.dtype, t.rank, t.dims, &id));
    set_type(&g->values[id], &t);
    return NND_OK;
}

static nnd_status read_output(nnd_onnx_model *m, nnd_graph *g, nnd_pb_bytes message)
{
    const char *name;
    value_type t;
    uint32_t id;
    NND_TRY(read_value_info(m, g, message, &name, &t));
    nnd_status status = nnd_graph_resolve(g, name, &id);
    if (status == NND_E_NOT_FOUND)
        return nnd_error_set(NND_E_FORMAT, "malformed ONNX: nothing computes the output '%s'",
                             name);
    NND_TRY(status);
    set_type(&g->values[id], &t);
    return nnd_graph_add_output(g, id);
}

static nnd_status read_hint(nnd_onnx_model *m, nnd_graph *g, nnd_pb_bytes message)
{
    const char *name;
    value_type t;
    NND_TRY(read_value_info(m, g, message, &name, &t));
    uint32_t id = nnd_graph_find_value(g, name);
    if (id != NND_NO_ID && !nnd_graph_is_input(g, id)) set_type(&g->values[id], &t);
    return NND_OK;
}

typedef nnd_status (*part_reader)(nnd_onnx_model *m, nnd_graph *g, nnd_pb_bytes message);

/* Hands every occurrence of one field to its reader. */
static nnd_status each(nnd_onnx_model *m, nnd_graph *g, nnd_pb_bytes message, uint32_t number,
                       part_reader read)
{
    nnd_pb_field f;
    bool bad = false;
    while (nnd_pb_next(&message, &f, &bad))
        if (f.number == number && f.type == NND_PB_LEN) NND_TRY(read(m, g, f.bytes));
    return bad ? nnd_onnx_malformed("the graph ends in the middle of a field") : NND_OK;
}

static nnd_status read_nodes(nnd_onnx_model *m, nnd_pb_bytes message, nnd_graph *g, int depth)
{
    nnd_pb_bytes *nodes;
    size_t count;
    NND_TRY(nnd_onnx_order_nodes(message, G_NODE, &nodes, &count));
    if (depth == 0) m->node_count = count;
    nnd_status status = NND_OK;
    for (size_t i = 0; i < count && status == NND_OK; i++)
        status = nnd_onnx_read_node(m, nodes[i], g, depth);
    nnd_free(nodes);
    return status;
}

nnd_status nnd_onnx_read_graph(nnd_onnx_model *m, nnd_pb_bytes bytes, nnd_graph *g, int depth)
{
    nnd_pb_field f;
    bool bad = false;
    if (depth > NND_ONNX_MAX_DEPTH)
        return nnd_error_set(NND_E_LIMIT, "sub-graphs are nested more than %d deep",
                             NND_ONNX_MAX_DEPTH);
    NND_TRY(each(m, g, bytes, G_INITIALIZER, read_initializer));
    NND_TRY(each(m, g, bytes, G_INPUT, read_input));
    nnd_pb_bytes left = bytes;
    while (nnd_pb_next(&left, &f, &bad)) {
        if (f.number == G_NAME && depth == 0)
            NND_TRY(nnd_onnx_string(&g->arena, f.bytes, &g->name));
        if (f.number == G_SPARSE)
            return nnd_error_set(NND_E_UNSUPPORTED, "sparse initialisers are not supported");
    }
    NND_TRY(read_nodes(m, bytes, g, depth));
    NND_TRY(each(m, g, bytes, G_OUTPUT, read_output));
    return each(m, g, bytes, G_VALUE_INFO, read_hint);
}
