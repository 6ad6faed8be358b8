/*
 * An ONNX file of an old operator set as one of set 13, for tools that add operators of today.
 */
#ifndef NND_ENGINE_ONNX_UPGRADE_H
#define NND_ENGINE_ONNX_UPGRADE_H

#include "nndeploy/base.h"

enum { NND_ONNX_UPGRADED = 13 };

/* The same model in operator set 13: settings that have become inputs are constants, a Softmax over
   several dimensions is one over a flattened tensor, Upsample is Resize. Tensors keep their names.
   *out is NULL when the file has that set or a newer one; else the caller frees it (nnd_free).
   NND_E_UNSUPPORTED for a set before 7, an operator that this does not know, and sub-graphs;
   NND_E_FORMAT for what is no ONNX model. External data stays outside. */
nnd_status nnd_onnx_upgrade(const void *bytes, size_t size, void **out, size_t *out_size);

#endif
