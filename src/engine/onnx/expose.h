/*
 * The tensors between the operators of an ONNX model, made visible: which ones there are, and a
 * copy of the file with some of them as additional outputs of the graph. Any engine that runs ONNX
 * runs the copy, so that two engines can be compared operator by operator.
 */
#ifndef NND_ENGINE_ONNX_EXPOSE_H
#define NND_ENGINE_ONNX_EXPOSE_H

#include "base/arena.h"
#include "base/vec.h"

/* What one node of the main graph computes; the nodes of sub-graphs and functions stay inside. */
typedef struct nnd_onnx_tensor_info {
    const char *tensor;
    const char *node; /* "" when the file gives it no name */
    const char *op;   /* "Conv", "com.microsoft.FusedConv" */
    bool is_output;   /* of the graph already */
} nnd_onnx_tensor_info;

typedef struct nnd_onnx_tensors {
    nnd_arena arena; /* of the texts */
    NND_VEC(nnd_onnx_tensor_info) items;
} nnd_onnx_tensors;

/* Fills a zeroed list in the order of the file, which is one of execution; fini also after a
   failure. NND_E_FORMAT for what is no ONNX model. */
nnd_status nnd_onnx_tensors_read(nnd_onnx_tensors *tensors, const void *bytes, size_t size);
void nnd_onnx_tensors_fini(nnd_onnx_tensors *tensors);

/* The model with these tensors as outputs behind those that it has; their types are left to
   whoever loads it. The caller frees *out (nnd_free). */
nnd_status nnd_onnx_expose(const void *bytes, size_t size, const char *const *tensors, size_t count,
                           void **out, size_t *out_size);

#endif
