/*
 * Scaled dot-product attention, the part that all attention operators share.
 *
 * Every query row is independent: scores over all keys, soft cap, bias, mask, softmax, sum of
 * values. Rows are the unit of work, so that the result does not depend on the number of threads.
 */
#ifndef NND_ENGINE_OPS_ATTENTION_H
#define NND_ENGINE_OPS_ATTENTION_H

#include "engine/ops/op.h"

/* Heads of [batch, heads, rows, size] in any order of the first three; steps in elements. */
typedef struct nnd_heads {
    const float *data;
    size_t batch, head, row;
} nnd_heads;

/* An additive term [batch, heads, rows, columns]; a step of 0 repeats. Columns beyond `columns`
   are masked out. */
typedef struct nnd_bias {
    const float *data; /* NULL = none */
    size_t batch, head, row, column, columns;
} nnd_bias;

/* Which scores go to `tap`. */
typedef enum nnd_attention_stage {
    NND_TAP_SCORES = 0,
    NND_TAP_CAPPED = 1,
    NND_TAP_BIASED = 2,
    NND_TAP_SOFTMAX = 3
} nnd_attention_stage;

typedef struct nnd_attention {
    size_t batch, heads, kv_heads; /* heads is a multiple of kv_heads */
    size_t rows, keys, size, v_size;
    nnd_heads q, k, v;
    float scale, softcap;  /* softcap 0 = none */
    nnd_bias bias, mask;   /* two terms: a learned one and padding */
    bool causal;           /* row i sees keys 0 … i + offset */
    int64_t window;        /* causal only: at most so many keys back, the row's own included;
                              0 = all */
    const int64_t *offset; /* per batch; NULL = 0 */
    const int64_t *valid;  /* per batch: keys that are there; NULL = all */
    float *y;              /* [batch, heads, rows, v_size] with these steps */
    size_t y_batch, y_head, y_row;
    float *tap; /* [batch, heads, rows, keys] dense; NULL = not wanted */
    nnd_attention_stage tap_stage;
} nnd_attention;

/* Bytes of scratch for one lane. */
size_t nnd_attention_lane_bytes(size_t keys);
nnd_status nnd_attention_run(nnd_op_ctx *c, const nnd_attention *a);

/* Broadcasts a tensor of rank ≤ 4 to [batch, heads, rows, keys], its last dimension possibly
   shorter. NND_E_SHAPE when it does not fit. `data` are its elements in f32. */
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

#endif
