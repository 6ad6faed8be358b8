/* What all attention operators share: running the kernel, reading masks, placing heads. */
#ifndef NND_ENGINE_OPS_ATTENTION_H
#define NND_ENGINE_OPS_ATTENTION_H

#include "engine/kernels/attention.h"
#include "engine/ops/op.h"

/* On the lanes that the plan made (lane_bytes of nnd_attention_lane_bytes), or on one of its own.
 */
nnd_status nnd_attention_run(nnd_op_ctx *c, const nnd_attention *a);

/* Broadcasts a tensor of rank ≤ 4 to [batch, heads, rows, keys], its last dimension possibly
   shorter. NND_E_SHAPE when it does not fit. `data` are its elements in f32; unused for a bool one,
   which hides where it is false. */
nnd_status nnd_bias_read(const nnd_op_ctx *c, const nnd_tensor *t, const float *data,
                         const nnd_attention *a, nnd_bias *out);

/* [batch, rows, heads·size] */
nnd_heads nnd_heads_packed(const float *data, size_t rows, size_t heads, size_t size);
/* [batch, heads, rows, size] */
nnd_heads nnd_heads_planar(const float *data, size_t rows, size_t heads, size_t size);
/* Copies `rows` rows of every head behind `past` ones of another: to[batch, heads, total, size],
   where `total` ≥ past + rows is the extent of `to`. past may be NULL. */
void nnd_heads_append(float *to, size_t total, const float *past, size_t past_rows,
                      size_t past_extent, const nnd_heads *more, size_t more_rows, size_t batch,
                      size_t heads, size_t size);

/* What the pass 'attention' makes: see attention_fused.c. In no table that a model's file can name.
 */
extern const nnd_op nnd_op_fused_attention;

#endif
