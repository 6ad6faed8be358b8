/*
 * Tensors in NCHWc as the graph sees them: an ordinary dense f32 tensor of the shape
 * [N, ceil(C/c), H, W, c] with c = nnd_kernel_block(). Element-wise operators work on that shape
 * unchanged; the operators here and those with the flags NND_OP_BLOCKED_… know what it means. What
 * the lanes behind the last channel hold is nobody's business.
 *
 * Only the layout pass makes such nodes: they are in no table that a model's file can name.
 */
#ifndef NND_ENGINE_OPS_BLOCKED_H
#define NND_ENGINE_OPS_BLOCKED_H

#include "engine/kernels/kernels.h"
#include "engine/ops/op.h"

enum { NND_BLOCKED_RANK = 5 };

/* Forms of operators, by layout. */
extern const nnd_op nnd_op_to_blocked;   /* NCHW → NCHWc; attribute channels */
extern const nnd_op nnd_op_from_blocked; /* NCHWc → NCHW; attribute channels */
/* Channels of the result picked from the inputs: attribute map has pairs (input, channel). That is
   Concat, Split and Slice along channels, and the channel shuffle. */
extern const nnd_op nnd_op_pick_channels;
/* in and out blocked, in blocked, out blocked */
extern const nnd_op nnd_op_conv_blocked, nnd_op_conv_blocked_in, nnd_op_conv_blocked_out;
/* in and out blocked, out blocked; only for nodes that have phases, that is, for whose weights and
   attributes a kernel on blocks exists at all sizes. */
extern const nnd_op nnd_op_conv_transpose_blocked, nnd_op_conv_transpose_blocked_out;
bool nnd_conv_transpose_has_phases(const nnd_graph *graph, const nnd_graph_node *node);
/* Poolings in and out blocked, found by their type. */
extern const nnd_op_family nnd_ops_pool_blocked;
/* Height and width only; attribute channels. */
extern const nnd_op_family nnd_ops_resize_blocked;
/* Attribute channels; size at most twice the block. */
extern const nnd_op nnd_op_lrn_blocked;

static inline int64_t nnd_blocks(int64_t channels, int64_t block)
{
    return (channels + block - 1) / block;
}

/* NCHW seen through a blocked tensor. */
static inline nnd_tensor nnd_blocked_logical(const nnd_tensor *t, int64_t channels)
{
    nnd_tensor x = *t;
    x.rank = 4;
    x.dims[1] = channels;
    x.dims[4] = 0;
    return x;
}

/* Describes output 0 as the blocked form of NCHW dims. */
nnd_status nnd_blocked_output(nnd_op_ctx *c, const int64_t *dims);
/* NND_E_INTERNAL unless input i is blocked with room for `channels`. */
nnd_status nnd_blocked_check(const nnd_op_ctx *c, size_t i, int64_t channels);

#endif
