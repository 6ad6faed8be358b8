/*
 * The main graph of an ONNX file as its author wrote it: nodes, constants and names, with the bytes
 * of each. For tools that write a changed file; to run a model there is onnx.h.
 */
#ifndef NND_ENGINE_ONNX_OUTLINE_H
#define NND_ENGINE_ONNX_OUTLINE_H

#include "base/map.h"
#include "base/vec.h"
#include "engine/onnx/onnx.h"

typedef struct nnd_onnx_outline_node {
    nnd_pb_bytes bytes; /* NodeProto */
    const char *op, *domain, *name;
    size_t input_count, output_count;
    const char **inputs, **outputs; /* "" = left out */
} nnd_onnx_outline_node;

/* An initialiser, or the tensor of a Constant node. */
typedef struct nnd_onnx_constant {
    const char *name;
    nnd_pb_bytes bytes; /* TensorProto */
    nnd_tensor tensor;  /* its data need not be aligned when it points into the file */
    void *owned;
    bool is_external; /* its elements are in another file */
    bool is_initializer;
} nnd_onnx_constant;

typedef struct nnd_onnx_outline {
    nnd_arena arena; /* of the texts */
    nnd_pb_bytes file, graph;
    int64_t ir_version, opset; /* of the default domain */
    NND_VEC(nnd_onnx_outline_node) nodes;
    NND_VEC(nnd_onnx_constant) constants;
    NND_VEC(const char *) inputs; /* without those that are initialisers */
    NND_VEC(const char *) outputs;
    nnd_map constant_at;  /* name → nnd_onnx_constant */
    nnd_map captured;     /* names that sub-graphs mention: they may be uses of outer values */
    bool has_inner_nodes; /* in sub-graphs or functions */
    bool names_only;      /* constants have no elements */
    bool hidden_external; /* a tensor of a sub-graph, attribute or function is in another file */
    nnd_onnx_model reader;
} nnd_onnx_outline;

/* Fills a zeroed outline; the bytes stay borrowed. `open` gives external files, as for the engine.
   fini also after a failure. */
nnd_status nnd_onnx_outline_read(nnd_onnx_outline *outline, const void *bytes, size_t size,
                                 nnd_engine_open_fn open, void *open_user);
/* The same without the elements of constants, so that nothing is read but the file itself. */
nnd_status nnd_onnx_outline_read_names(nnd_onnx_outline *outline, const void *bytes, size_t size);
void nnd_onnx_outline_fini(nnd_onnx_outline *outline);

const nnd_onnx_constant *nnd_onnx_outline_constant(const nnd_onnx_outline *outline,
                                                   const char *name);
/* Attributes of a node; the fallback when it has none of that name. */
int64_t nnd_onnx_outline_int(const nnd_onnx_outline_node *node, const char *name, int64_t fallback);
/* false when there is none, or more than `most` numbers. */
bool nnd_onnx_outline_ints(const nnd_onnx_outline_node *node, const char *name, int64_t *out,
                           size_t most, size_t *count);
float nnd_onnx_outline_float(const nnd_onnx_outline_node *node, const char *name, float fallback);

#endif
