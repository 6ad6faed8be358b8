/* Constant weights of products with the packed kernel. */
#ifndef NND_ENGINE_OPS_PRODUCT_H
#define NND_ENGINE_OPS_PRODUCT_H

#include "engine/graph/graph.h"
#include "engine/kernels/kernels.h"

/* Packs the node's second input at load where it is a constant matrix [k, n] in f32, in the
   precision that the model and the weights allow. node->state is then the nnd_packed_blob and
   node->packed the nnd_gemm_precision; otherwise both stay 0. */
nnd_status nnd_product_prepare(nnd_graph *graph, nnd_graph_node *node);

/* That precision for a constant matrix in f32, which may lie at any address. */
nnd_gemm_precision nnd_product_precision(const nnd_graph *graph, const nnd_tensor *weights);

#endif
