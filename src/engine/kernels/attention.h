/*
 * Scaled dot-product attention on f32 arrays: softmax(scale·Q·Kᵀ + bias)·V.
 *
 * Keys are walked in blocks with a running maximum and sum per query row, so the matrix of scores
 * never exists: a lane holds one block of it, whatever the number of keys. Work is cut into blocks
 * of query rows by shapes and ISA only, and each row meets the keys in order, so the bits of a
 * result do not depend on the number of threads. See kernels.h for the rules of all kernels.
 *
 * A key that no row of a block may see (causal, window, valid) is not read. The weight of a key
 * that a mask hides is 0; an infinite or NaN value under that weight gives NaN, as in a product.
 */
#ifndef NND_ENGINE_KERNELS_ATTENTION_H
#define NND_ENGINE_KERNELS_ATTENTION_H

#include "engine/kernels/kernels.h"

/* Rows of [batch, heads, rows, size] in any order; all steps in elements, 0 repeats. */
typedef struct nnd_heads {
    const float *data;
    size_t batch, head, row;
    size_t step; /* between the elements of a row; 0 = 1 */
} nnd_heads;

/* A term for each score of [batch, heads, rows, columns]. Scores of columns beyond `columns` are
   −∞. */
typedef struct nnd_bias {
    const float *data;                        /* numbers that are added, or NULL */
    const uint8_t *keep;                      /* or bytes: `fill` takes the place of a score … */
    bool inverted;                            /* … where the byte is 0; not 0 when inverted */
    float fill;                               /* −∞ hides */
    size_t batch, head, row, column, columns; /* steps, 0 repeats; extent */
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
    nnd_bias bias;         /* numbers, applied first: a learned term */
    nnd_bias choice;       /* bytes, applied next */
    nnd_bias mask;         /* numbers, applied last: padding */
    const float *sinks;    /* per head: one more score, whose value is 0; NULL = none */
    bool causal;           /* row i sees keys 0 … i + offset */
    bool empty_is_nan;     /* a row that sees nothing: NaN as in a softmax, else 0 */
    bool nan_is_zero;      /* a row with NaN among its weights: 0 */
    int64_t window;        /* causal only: at most so many keys back, the row's own included;
                              0 = all */
    const int64_t *offset; /* per batch; NULL = 0 */
    const int64_t *valid;  /* per batch: keys that are there; NULL = all */
    float *y;              /* [batch, heads, rows, v_size] with these steps */
    size_t y_batch, y_head, y_row;
    float *tap; /* [batch, heads, rows, keys] dense; NULL = not wanted */
    nnd_attention_stage tap_stage;
} nnd_attention;

/* The keys [*from, *to) that causal, window and valid let a row see. */
void nnd_attention_sight(const nnd_attention *a, size_t batch, size_t row, size_t *from,
                         size_t *to);
/* Both read the sizes only (batch … v_size) and whether there is a tap. */
size_t nnd_attention_tiles(const nnd_attention *a);
size_t nnd_attention_lane_bytes(const nnd_attention *a); /* of one lane; SIZE_MAX/2 = too large */
void nnd_attention_run_tile(const nnd_attention *a, size_t tile, void *scratch);

#endif
