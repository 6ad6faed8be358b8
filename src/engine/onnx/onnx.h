/*
 * From the bytes of an ONNX ModelProto to the engine's graph.
 */
#ifndef NND_ENGINE_ONNX_ONNX_H
#define NND_ENGINE_ONNX_ONNX_H

#include "engine/engine.h"
#include "engine/graph/graph.h"
#include "engine/onnx/wire.h"

/* Limits against hostile files. */
enum {
    NND_ONNX_MAX_DEPTH = 32, /* sub-graphs inside each other */
    NND_ONNX_MAX_NODES = 1000000,
    NND_ONNX_MAX_EXTERNAL_FILES = 1024
};

/* A model-local function: a body that nodes of its name stand for. */
typedef struct nnd_onnx_function {
    const char *domain, *name, *overload;
    nnd_pb_bytes body; /* FunctionProto */
} nnd_onnx_function;

typedef struct nnd_onnx_external {
    const char *path;
    nnd_buffer *buffer;
} nnd_onnx_external;

typedef struct nnd_onnx_scope nnd_onnx_scope; /* scope.h */
typedef struct nnd_onnx_model {
    nnd_arena arena; /* of the strings below */
    const char *producer, *producer_version, *domain, *doc;
    int64_t ir_version, model_version;
    size_t opset_count;
    nnd_engine_opset *opsets;
    size_t metadata_count;
    const char **metadata;
    size_t function_count;
    nnd_onnx_function *functions;
    size_t external_count;
    nnd_onnx_external *externals; /* keeps mapped weight files alive */
    const nnd_onnx_scope *scope;  /* of the function call that is being expanded */
    size_t expanded_nodes;        /* by function calls so far */
    size_t gradient_work;         /* values and nodes that Gradient nodes have looked at so far */
    size_t gradient_nodes;        /* that stand for them so far */
    nnd_graph *graph;
    size_t node_count; /* of the main graph in the file */
    uint64_t parameters, weight_bytes;
    uint64_t max_weight_bytes;
    nnd_engine_open_fn open;
    void *open_user;
} nnd_onnx_model;

/* Fills a zeroed `model` whose open, open_user and max_weight_bytes are set. The bytes stay
   borrowed by constants of the graph. On failure the caller still calls fini. */
nnd_status nnd_onnx_read(nnd_onnx_model *model, const void *bytes, size_t size);
void nnd_onnx_fini(nnd_onnx_model *model); /* also the graph unless it was taken */

/* ---- parts of the reader, one file each ---------------------------------------------------- */

nnd_dtype nnd_onnx_dtype(uint64_t code); /* NND_DTYPE_INVALID = unknown */
/* A TensorProto. The tensor's data points into the file when that is possible; else *owned is
   aligned memory that the caller takes over. Strings live in `arena`. *name may be NULL. */
nnd_status nnd_onnx_read_tensor(nnd_onnx_model *model, nnd_arena *arena, nnd_pb_bytes bytes,
                                nnd_tensor *out, void **owned, nnd_pb_bytes *name);
/* A file beside the model, opened once and kept; `path` has to live as long as the model. */
nnd_status nnd_onnx_open_external(nnd_onnx_model *model, const char *path, nnd_buffer **out);
/* The bytes of a TensorProto, SequenceProto, MapProto or (type->optional) OptionalProto. */
nnd_status nnd_onnx_read_value(const void *bytes, size_t size, const nnd_engine_type *type,
                               nnd_value **out);
/* A GraphProto into a fresh graph; depth counts enclosing graphs. */
nnd_status nnd_onnx_read_graph(nnd_onnx_model *model, nnd_pb_bytes bytes, nnd_graph *graph,
                               int depth);
/* The NodeProtos that a message holds in fields of that number, each behind those whose results it
   reads, else in the file's order. NND_E_FORMAT when nodes wait for each other. *nodes, which point
   into the message, is to be freed with nnd_free. */
nnd_status nnd_onnx_order_nodes(nnd_pb_bytes message, uint32_t field, nnd_pb_bytes **nodes,
                                size_t *count);
/* One NodeProto, appended to the graph; function calls are replaced by the function's body. */
nnd_status nnd_onnx_read_node(nnd_onnx_model *model, nnd_pb_bytes bytes, nnd_graph *graph,
                              int depth);
/* A string of the file: valid UTF-8 without NUL, copied into the arena. */
nnd_status nnd_onnx_string(nnd_arena *arena, nnd_pb_bytes bytes, const char **out);

static inline nnd_status nnd_onnx_malformed(const char *what)
{
    return nnd_error_set(NND_E_FORMAT, "malformed ONNX: %s", what);
}

#endif
