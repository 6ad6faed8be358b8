/*
 * The kernels of one ISA as a const table, and the argument blocks that the drivers (gemm.c,
 * conv_direct.c, …) fill for them. Private to the kernels folder.
 */
#ifndef NND_ENGINE_KERNELS_SET_H
#define NND_ENGINE_KERNELS_SET_H

#include "base/isa.h"
#include "engine/kernels/kernels.h"

/*
 * The register-tile kernel behind GEMM and direct convolution. It computes `rows` × `vectors`
 * vectors of outputs:
 *
 *   acc[i][v] = start + Σ over segments s, taps t, k < depth(s):
 *               a[tap(s, t) + i·A_ROW + k·a_step] · b[next vector v]
 *
 * b is read front to back, `vectors` vectors per (tap, k); segments of no taps come last. With a
 * window, taps that are not live are left out, and their part of b. Rows are
 * packed rows of A (GEMM), output pixels over planes (convolution of NCHW) or over channel blocks
 * (convolution of NCHWc); A_ROW is 1 in the planar form and the block in the blocked form, where
 * a_step is 1.
 */
typedef struct nnd_tile_segment {
    const ptrdiff_t *taps; /* offsets from a */
    size_t count;
    size_t depth; /* k per tap */
} nnd_tile_segment;

enum { NND_TILE_SEGMENTS = 3 };

/* The live ones of every `taps` taps of a segment, those of one plane: `rows` runs of `columns`
   taps, `width` taps apart, from `first` on. */
typedef struct nnd_tile_window {
    size_t taps, width, first, rows, columns;
} nnd_tile_window;

typedef struct nnd_tile_args {
    const float *a;
    ptrdiff_t a_step; /* planar form only */
    nnd_tile_segment segments[NND_TILE_SEGMENTS];
    const nnd_tile_window *window; /* NULL: all taps are live */
    const float *b;
    float *c;
    ptrdiff_t c_row, c_vector; /* strides of c over rows and vectors */
    bool accumulate;           /* start from c; else from the following three, each may be absent */
    const float *bias_vector;  /* `vectors` whole vectors */
    const float *bias_row;     /* `rows` values */
    const float *r;            /* adds beta·r, strides as for c */
    ptrdiff_t r_row, r_vector;
    float beta;
    float low, high;      /* the result is clamped to [low, high], ±infinity for none */
    const float *foreign; /* `vectors` whole vectors or NULL: lanes of c above 0 stay as they are */
} nnd_tile_args;

typedef void (*nnd_tile_fn_f32)(int rows, int vectors, const nnd_tile_args *args);

/*
 * The same tile for weights in bf16. b holds pairs: the element of an even k in the low half of a
 * lane, the one of the odd k behind it in the high half. Depths count pairs.
 *
 * `run` is for GEMM: segments[0] without a tap. a is [pair][rows] of such pairs with `pairs`, else
 * f32, [k][rows]; a_step is from one pair to the next.
 * `blocked` is the blocked form with rows of half a block of pairs; NULL without `pairs`.
 */
typedef struct nnd_bf16_tile {
    nnd_isa isa;
    bool pairs;
    nnd_tile_fn_f32 run, blocked;
} nnd_bf16_tile;

/* The best one not above nnd_isa_current(), without `pairs` the best that takes a in f32; NULL on
   the reference. */
const nnd_bf16_tile *nnd_bf16_tile_current(bool pairs);

/* One plane (a channel, or a block of channels) of a depthwise convolution or of a pooling. */
typedef struct nnd_window_args {
    const float *x; /* in_h × in_w pixels */
    float *y;       /* out_h × out_w pixels */
    const float *residual;
    const float *weights; /* kernel_h × kernel_w (× block) */
    const float *bias;    /* 1 or block values */
    int64_t in_h, in_w, out_h, out_w;
    int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int64_t pad_top, pad_left, pad_bottom, pad_right;
    int64_t row_begin, row_end; /* output rows to do */
    bool count_include_pad;
    float low, high;
} nnd_window_args;

typedef void (*nnd_window_fn)(const nnd_window_args *args);
/* Pooling of `planes` planes, one behind the other; the arguments are those of the first. */
typedef void (*nnd_pool_fn)(const nnd_window_args *args, int64_t planes);

/* Transforms of Winograd convolution F(4×4, 3×3); the 36 elements of a tile are `step` floats
   apart. Input: 6×6 pixels of plane x from (top, left) on, zeros outside. Output: up to 4×4 pixels
   of plane y from (top, left) on. */
typedef struct nnd_winograd_args {
    const float *x;
    int64_t in_h, in_w, out_h, out_w;
    int64_t step;
    const float *bias, *residual; /* a block; a plane like y or NULL */
    float *y;
    float low, high;
} nnd_winograd_args;

/* Local response normalisation of one block of channels; neighbours lie `plane` floats apart. */
typedef struct nnd_lrn_args {
    const float *x;
    float *y;
    size_t pixels;
    ptrdiff_t plane;
    bool before;             /* there is a block before this one (all of its lanes are channels) */
    int lanes, lanes_after;  /* channels in this block and in the next one, 0 = there is none */
    int first, last;         /* the window around a channel, in [−block, block] */
    float alpha, beta, bias; /* alpha of the sum: already divided by the size */
} nnd_lrn_args;

/* One row of attention and one block of its keys. The scores become weights e^(score − most), the
   maximum and the sum go on, and what was summed so far is scaled to the new maximum. */
typedef struct nnd_attention_row {
    float *scores; /* whole vectors, vector i at scores + i·step */
    size_t step;
    size_t keys;            /* in the block */
    size_t first, last;     /* of them, those that the row sees */
    float softcap;          /* 0 = none */
    const float *first_add; /* `keys` terms each, applied in this order; NULL = none */
    const float *instead;   /* takes the place of the score unless NaN */
    const float *last_add;
    float most, sum; /* −∞ and 0 before the first block */
    float *out;
    size_t out_size; /* a multiple of the vector */
} nnd_attention_row;

typedef struct nnd_kernel_set {
    nnd_isa isa;
    int block; /* lanes of NCHWc; also the vector's width, except in the reference */
    /* GEMM and direct convolution; NULL in the reference, which has loops of its own. */
    int tile_rows, tile_vectors;
    nnd_tile_fn_f32 tile_planar, tile_blocked;
    /* Indexed by nnd_kernel_layout; the one for NCHW may be NULL. */
    nnd_window_fn depthwise[2];
    void (*winograd_input)(const nnd_winograd_args *args, int64_t top, int64_t left, float *to);
    void (*winograd_output)(const nnd_winograd_args *args, const float *from, int64_t top,
                            int64_t left); /* both NULL in the reference */
    nnd_pool_fn pool[2][2];                /* [nnd_pool_kind][layout] */
    void (*lrn)(const nnd_lrn_args *args);
    void (*global_pool[2])(nnd_pool_kind kind, const float *x, float *y, size_t spatial,
                           size_t planes);
    void (*act)(const nnd_act *act, const float *x, float *y, size_t n);
    void (*unary)(nnd_unary_op op, const float *x, float *y, size_t n);
    void (*binary)(nnd_binary_op op, nnd_binary_mode mode, const float *a, const float *b, float *y,
                   size_t n);
    /* y = op(x, s) with s of one block, repeated for `pixels` pixels. */
    void (*binary_block)(nnd_binary_op op, const float *x, const float *s, float *y, size_t pixels);
    /* y = x·scale + shift: scalars, or one block each repeated for `pixels` pixels. */
    void (*scale_shift)(const float *x, float scale, float shift, float *y, size_t n);
    void (*scale_shift_block)(const float *x, const float *scale, const float *shift, float *y,
                              size_t pixels);
    void (*softmax)(const float *x, float *y, size_t n, bool logarithm);
    void (*layer_norm)(const float *x, const float *gamma, const float *beta, float eps, float *y,
                       size_t n);
    void (*rms_norm)(const float *x, const float *gamma, float eps, float *y, size_t n);
    float (*reduce)(nnd_row_op op, const float *x, size_t n);
    /* `channels` ≤ block planes, ld floats apart, to or from one block; `pixels` of each. */
    void (*to_nchwc)(const float *x, size_t ldx, float *y, size_t channels, size_t pixels);
    void (*to_nchw)(const float *x, float *y, size_t ldy, size_t channels, size_t pixels);
    /* As nnd_mix_rows; and nnd_mix_pixels with a block per pixel. */
    void (*mix_rows)(const float *x, size_t pitch, const int32_t *rows, const float *weights,
                     size_t taps, float *y, size_t n);
    void (*mix_pixels)(const float *x, const int32_t *columns, const float *weights, size_t taps,
                       float *y, size_t pixels);
    /* y[i] = x[2i]; may be NULL. */
    void (*every_second)(const float *x, float *y, size_t n);
    void (*transpose)(const float *x, size_t ldx, float *y, size_t ldy, size_t rows, size_t cols);
    void (*f16_to_f32)(const uint16_t *x, float *y, size_t n);
    void (*f32_to_f16)(const float *x, uint16_t *y, size_t n);
    void (*bf16_to_f32)(const uint16_t *x, float *y, size_t n);
    void (*f32_to_bf16)(const float *x, uint16_t *y, size_t n);
    void (*nbits_dot)(const nnd_nbits_column *c, float *y);
    void (*nbits_spread)(const nnd_nbits_column *c, float *y);
    void (*attention_row)(nnd_attention_row *row); /* NULL in the reference */
} nnd_kernel_set;

/* The best set not above nnd_isa_current(). */
const nnd_kernel_set *nnd_kernel_set_current(void);

/* Clamp limits that express an activation, or false when it needs a pass of its own (the limits
   are then ±infinity). */
bool nnd_act_is_clamp(const nnd_act *act, float *low, float *high);

#define NND_MIN(a, b) ((a) < (b) ? (a) : (b))
#define NND_MAX(a, b) ((a) > (b) ? (a) : (b))
static inline int64_t nnd_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}
static inline int64_t nnd_round_up(int64_t a, int64_t b)
{
    return nnd_ceil_div(a, b) * b;
}
/* Start of part i when n is cut into `parts` parts whose sizes differ by at most one. */
static inline int64_t nnd_part(int64_t n, int64_t parts, int64_t i)
{
    return n / parts * i + NND_MIN(i, n % parts);
}

#endif
