/*
 * Layers with constant weights, and arithmetic per channel that moves into them: a factor into the
 * weights, a summand into the bias. Shared by the passes that find such arithmetic.
 */
#ifndef NND_ENGINE_PASSES_LAYER_H
#define NND_ENGINE_PASSES_LAYER_H

#include "engine/ops/op.h"

typedef enum nnd_layer_kind {
    NND_LAYER_NONE = 0,
    NND_LAYER_CONV,
    NND_LAYER_CONV_TRANSPOSE,
    NND_LAYER_GEMM,
    NND_LAYER_MATMUL
} nnd_layer_kind;

typedef struct nnd_layer {
    nnd_graph_node *node;
    nnd_layer_kind kind;
    nnd_tensor weight, bias; /* f32; bias.data NULL = none */
    int64_t channels;        /* of the result, more than 0 */
} nnd_layer;

/* The layer that makes `value` for one reader, with nothing fused behind it; kind NONE for anything
   else. A MatMul may have the bias that nnd_layer_apply gave it. The tensors are copies of their
   descriptions: they stay when the table of values moves. */
nnd_status nnd_layer_match(nnd_graph *graph, uint32_t value, nnd_layer *out);
/* The dimension of the layer's result, counted from the last one, in which its channels lie. */
int nnd_layer_channels_from_end(const nnd_layer *layer);
/* Channel c of the result becomes factor[c] · it + summand[c]. NULL = 1, 0. */
nnd_status nnd_layer_apply(nnd_graph *graph, const nnd_layer *layer, const double *factor,
                           const double *summand);
/* Gives the layer's result the name of what `last` makes of it, and takes `last` away. */
void nnd_layer_take_over(const nnd_layer *layer, nnd_graph_node *last);

#endif
