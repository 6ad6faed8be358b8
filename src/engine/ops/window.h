/*
 * Sliding windows of convolution and pooling: attributes of all opsets brought into one form.
 */
#ifndef NND_ENGINE_OPS_WINDOW_H
#define NND_ENGINE_OPS_WINDOW_H

#include "engine/ops/op.h"

enum { NND_MAX_SPATIAL = 3 };
typedef struct nnd_window {
    int spatial; /* 1 … 3 */
    int64_t in[NND_MAX_SPATIAL], out[NND_MAX_SPATIAL], kernel[NND_MAX_SPATIAL];
    int64_t stride[NND_MAX_SPATIAL], dilation[NND_MAX_SPATIAL];
    int64_t begin[NND_MAX_SPATIAL], end[NND_MAX_SPATIAL]; /* padding */
    bool ceil_mode;
} nnd_window;

/* Reads strides, dilations, pads and auto_pad of the node for input 0 of shape [N, C, …] and a
   kernel of `kernel` (NULL: the attribute kernel_shape), and computes the output extents.
   NND_E_SHAPE when the window does not fit. */
nnd_status nnd_window_read(const nnd_op_ctx *c, const int64_t *kernel, nnd_window *w);

/* The groups of a convolution's node, and the channels of all of them together when `each` has so
   many. False, with 0 channels, for what no convolution has. */
bool nnd_conv_groups(const nnd_graph_node *n, int64_t each, int64_t *groups, int64_t *channels);

#endif
