/*
 * Compute kernels of the built-in engine: plain functions on f32 arrays that know nothing of
 * graphs.
 *
 * Sections: 1 layouts and dispatch · 2 activations · 3 GEMM · 4 convolution · 5 pooling ·
 *           6 element-wise · 7 rows: softmax, normalisation, sums · 8 data movement ·
 *           9 f16 and bf16 rows · 10 weights of few bits
 *
 * Shape of the big kernels. A plan is made once per shape; it picks the best kernels not above
 * nnd_isa_current() and keeps them, so forcing another ISA later does not disturb it. Weights are
 * packed once. A run is a list of tiles, 0 … tiles−1, which the caller hands to nnd_gang_for or
 * loops over; tiles write disjoint parts of the output and may run in any order and at once, each
 * lane (thread) with its own scratch. How the work is cut depends on shapes and ISA only, and no
 * sum is ever split between tiles, so the bits of a result do not depend on the number of threads.
 * A tile is at most about 32 million multiply-adds (well under 1 ms with AVX2), so that checking a
 * cancel token between tiles makes a cancelled run return in about a millisecond per lane.
 *
 * Rules for all functions here, unless said otherwise: any thread; no allocation; arrays are
 * borrowed for the call and need only the natural alignment of their type; packed weights and
 * scratch want 64-byte alignment (NND_KERNEL_ALIGN); sizes and strides count elements, sizes named
 * `…_bytes` count bytes; outputs may not overlap inputs except where "in place" is allowed. Only
 * plan and create functions check their arguments; the rest trusts a plan's caller.
 *
 * Floating point: NaN and infinities propagate through sums, min, max and activations as in the
 * plain C reference (Winograd convolution lets them reach the whole tile of 4×4 outputs). ISAs may
 * differ from each other in the last bits (fused multiply-add, order of sums), a given ISA never
 * differs from itself.
 */
#ifndef NND_ENGINE_KERNELS_KERNELS_H
#define NND_ENGINE_KERNELS_KERNELS_H

#include "nndeploy/base.h"

#define NND_KERNEL_ALIGN 64

/* ---- 1 layouts and dispatch ------------------------------------------------------------- */

/*
 * NCHW is plain and dense. NCHWc is [N][ceil(C/c)][H][W][c] with c = nnd_kernel_block(): a pixel
 * holds c consecutive channels. The lanes beyond C in the last block are padding: every kernel
 * writes all of them, no kernel lets them influence another lane, and their values mean nothing.
 */
typedef enum nnd_kernel_layout { NND_KERNEL_NCHW = 0, NND_KERNEL_NCHWC = 1 } nnd_kernel_layout;

/* c of NCHWc for the ISA in force: 16 AVX-512, 8 AVX2 and reference, 4 NEON. It may change with
   nnd_isa_force, so a graph asks once and makes all its plans under the same ISA. */
int nnd_kernel_block(void);
/* Elements of an [n, channels, spatial] tensor in `layout`, padding lanes included. The caller has
   checked that the product fits. */
size_t nnd_kernel_elements(nnd_kernel_layout layout, size_t n, size_t channels, size_t spatial);
/* How many elements of element-wise work make a good tile (a multiple of every block). */
#define NND_KERNEL_GRAIN 32768

/* ---- 2 activations ---------------------------------------------------------------------- */

typedef enum nnd_act_kind {
    NND_ACT_NONE = 0,
    NND_ACT_RELU,       /* max(x, 0) */
    NND_ACT_CLIP,       /* min(max(x, alpha), beta) */
    NND_ACT_LEAKY_RELU, /* x < 0 ? alpha·x : x */
    NND_ACT_SIGMOID,
    NND_ACT_TANH,
    NND_ACT_SILU,         /* x·sigmoid(alpha·x) */
    NND_ACT_HARD_SIGMOID, /* min(max(alpha·x + beta, 0), 1) */
    NND_ACT_HARD_SWISH,   /* x·min(max(x/6 + 1/2, 0), 1) */
    NND_ACT_GELU,         /* x/2·(1 + erf(x/√2)) */
    NND_ACT_GELU_TANH,    /* the tanh approximation */
    NND_ACT_ELU,          /* x < 0 ? alpha·(exp(x) − 1) : x */
    NND_ACT_SOFTPLUS,     /* log(1 + exp(x)) */
    NND_ACT_MISH,         /* x·tanh(softplus(x)) */
    NND_ACT_COUNT
} nnd_act_kind;

/* alpha and beta are read only by the kinds that name them. {0} is no activation. */
typedef struct nnd_act {
    nnd_act_kind kind;
    float alpha, beta;
} nnd_act;

/* y[i] = act(x[i]); in place allowed. An element's bits depend on its value only, not on its
   position. */
void nnd_act_apply(const nnd_act *act, const float *x, float *y, size_t n);

/* ---- 3 GEMM ----------------------------------------------------------------------------- */

/*
 * C = act(alpha·op(A)·op(B) + bias + beta·R): op(A) is m×k, op(B) k×n, C and R m×n, all row-major
 * with a row stride (ld…). R may be C itself (BLAS's beta·C) or another array (a residual).
 * B is packed, once when it holds weights or per run when it does not; A is packed tile by tile in
 * the lane's scratch. k = 0 is allowed and gives act(bias + beta·R).
 */
typedef enum nnd_gemm_bias {
    NND_GEMM_BIAS_NONE = 0,
    NND_GEMM_BIAS_ROW,    /* bias[m], one value per row of C */
    NND_GEMM_BIAS_COLUMN, /* bias[n], one value per column of C (a fully connected layer) */
    NND_GEMM_BIAS_SCALAR  /* bias[1] */
} nnd_gemm_bias;

/* What is multiplied; sums are f32 always. B packed in bf16 takes half the memory, except in the
   reference. */
typedef enum nnd_gemm_precision {
    NND_GEMM_F32 = 0,
    NND_GEMM_BF16_WEIGHTS, /* B is rounded to bf16, A stays f32 */
    NND_GEMM_BF16          /* alpha·A is rounded as well, and products of pairs are exact. With
                              AVX-512 BF16 its instruction multiplies, which takes subnormal
                              numbers for 0; elsewhere the rounded numbers are multiplied in f32 */
} nnd_gemm_precision;

typedef struct nnd_gemm_desc {
    int64_t m, n, k;
    bool trans_a;               /* A is stored k×m */
    bool trans_b;               /* B is stored n×k */
    int64_t lda, ldb, ldc, ldr; /* 0 = dense. ldr is read only with beta ≠ 0 */
    float alpha;                /* 1 for the plain product */
    float beta;                 /* 0: R is not read */
    nnd_gemm_bias bias;
    nnd_act act;
    nnd_gemm_precision precision;
    bool one_tile; /* all of it is one tile: for a part of a product that one lane computes */
} nnd_gemm_desc;

struct nnd_kernel_set;
struct nnd_bf16_tile;

/* A plan: plain data, copied freely, nothing to destroy. Fields beside `desc` are private. */
typedef struct nnd_gemm {
    nnd_gemm_desc desc;
    const struct nnd_kernel_set *set;
    const struct nnd_bf16_tile *bf16; /* NULL: f32, or the reference */
    int64_t mc, nc, kc;               /* extent of a tile in m and n; k is summed in chunks of kc */
    int64_t m_tiles, n_tiles;
    int64_t panel; /* columns of a packed panel */
} nnd_gemm;

/* NND_E_SHAPE for negative sizes or too small strides, NND_E_OVERFLOW. */
nnd_status nnd_gemm_plan(const nnd_gemm_desc *desc, nnd_gemm *out);

/* Bytes of the packed B. Packing has tiles of its own; nnd_gemm_pack_b does all of them. With a
   vector ISA in force, B itself may lie at any address. */
size_t nnd_gemm_packed_bytes(const nnd_gemm *gemm);
size_t nnd_gemm_pack_tiles(const nnd_gemm *gemm);
void nnd_gemm_pack_b_tile(const nnd_gemm *gemm, const float *b, float *packed, size_t tile);
void nnd_gemm_pack_b(const nnd_gemm *gemm, const float *b, float *packed);

typedef struct nnd_gemm_args {
    const float *a;
    const float *packed_b;
    const float *bias; /* as desc.bias says; NULL = no bias whatever desc.bias says */
    const float *r;    /* read when desc.beta ≠ 0 */
    float *c;
} nnd_gemm_args;

size_t nnd_gemm_tiles(const nnd_gemm *gemm);
size_t nnd_gemm_lane_bytes(const nnd_gemm *gemm); /* scratch of one lane */
void nnd_gemm_run_tile(const nnd_gemm *gemm, const nnd_gemm_args *args, size_t tile, void *scratch);

/* ---- 4 convolution ---------------------------------------------------------------------- */

/* Where a convolution's pixels go when they are every so many of a larger picture: row r, column c
   to row first_h + r·step_h, column first_w + c·step_w. */
typedef struct nnd_conv_place {
    int64_t height, width; /* of that picture; 0 = the output is all of it */
    int64_t first_h, first_w, step_h, step_w;
} nnd_conv_place;

/* 2-D convolution (cross-correlation, as in ONNX). A 1-D one is in_h = kernel_h = 1. */
typedef struct nnd_conv_desc {
    int64_t batch, in_channels, in_h, in_w, out_channels;
    int64_t groups; /* divides in_channels and out_channels */
    int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int64_t pad_top, pad_left, pad_bottom, pad_right; /* ≥ 0, zeros */
    nnd_kernel_layout in_layout, out_layout;          /* any combination */
    nnd_act act;
    bool residual;        /* adds a tensor of the output's shape and layout before the activation */
    bool bf16;            /* NND_CONV_DIRECT_BF16 is allowed */
    nnd_conv_place place; /* NND_CONV_DIRECT only, without residual and activation */
} nnd_conv_desc;

/* An algorithm of the plan; all of them compute the same function, the last one with weights and
   inputs rounded to bf16. It wants an instruction that multiplies pairs (and takes subnormal values
   as 0), NCHWc inputs and an even number of input channels per group. */
typedef enum nnd_conv_algorithm {
    NND_CONV_AUTO = 0,
    NND_CONV_REFERENCE, /* plain loops */
    NND_CONV_DIRECT,    /* implicit GEMM over output pixels and channel blocks, any shape */
    NND_CONV_DEPTHWISE, /* one input channel per group, one output channel per group */
    NND_CONV_WINOGRAD,  /* 3×3, stride 1, NCHWc: fewer multiplications, a wider error bound */
    NND_CONV_DIRECT_BF16
} nnd_conv_algorithm;
const char *nnd_conv_algorithm_name(nnd_conv_algorithm algorithm);
/* Whether an algorithm can do a shape on the ISA in force; false for NND_CONV_AUTO. */
bool nnd_conv_can(const nnd_conv_desc *desc, nnd_conv_algorithm algorithm);

typedef struct nnd_conv nnd_conv; /* immutable after creation, shared by threads */

/* Chooses an algorithm (or takes `algorithm`; NND_E_UNSUPPORTED when it cannot do this shape) and
   makes the plan, owned by the caller. NND_E_SHAPE when no output pixel is left, a size is not
   positive or groups do not divide; NND_E_OVERFLOW; NND_E_OUT_OF_MEMORY. */
nnd_status nnd_conv_create(const nnd_conv_desc *desc, nnd_conv_algorithm algorithm, nnd_conv **out);
void nnd_conv_destroy(nnd_conv *conv); /* takes NULL */
const nnd_conv_desc *nnd_conv_get_desc(const nnd_conv *conv);
nnd_conv_algorithm nnd_conv_get_algorithm(const nnd_conv *conv);
int64_t nnd_conv_out_h(const nnd_conv *conv);
int64_t nnd_conv_out_w(const nnd_conv *conv);
/* 2 × multiply-adds of the definition, the figure that GFLOP/s are counted with. */
double nnd_conv_flops(const nnd_conv *conv);

/* Packs weights [out_channels][in_channels/groups][kernel_h][kernel_w] and bias [out_channels]
   (NULL = 0) into nnd_conv_packed_bytes() bytes. Equal descriptors (batch, in_h, in_w, padding and
   place aside) with the same algorithm and ISA pack equally, so one packing serves many sizes. */
size_t nnd_conv_packed_bytes(const nnd_conv *conv);
void nnd_conv_pack(const nnd_conv *conv, const float *weights, const float *bias, void *packed);

typedef struct nnd_conv_args {
    const float *x;
    const void *packed;
    const float *residual; /* read when desc.residual; may be y itself */
    float *y;
    void *workspace; /* nnd_conv_workspace_bytes() bytes, shared by all lanes; NULL when 0 */
} nnd_conv_args;

/* A run is nnd_conv_stages() loops one after another (the transform algorithm has several): all
 * tiles of a stage are done before the next one starts. */
int nnd_conv_stages(const nnd_conv *conv);
size_t nnd_conv_tiles(const nnd_conv *conv, int stage);
size_t nnd_conv_workspace_bytes(const nnd_conv *conv);
size_t nnd_conv_lane_bytes(const nnd_conv *conv);
void nnd_conv_run_tile(const nnd_conv *conv, const nnd_conv_args *args, int stage, size_t tile,
                       void *scratch);

/*
 * Transposed convolution: input pixel i reaches the outputs i·stride − begin + k of each tap k. The
 * outputs o with the same (o + begin) modulo the stride see the same taps, one every stride: each
 * such phase is a convolution of its own (nnd_conv_desc.place), and nothing is added up in memory.
 */
typedef struct nnd_conv_transpose_desc {
    int64_t batch, in_channels, in_h, in_w;
    int64_t out_channels, out_h, out_w;
    int64_t groups;                                 /* divides both */
    int64_t kernel_h, kernel_w, stride_h, stride_w; /* kernel ≥ stride */
    int64_t begin_h, begin_w;                       /* rows, columns cut off in front */
    nnd_kernel_layout in_layout, out_layout;        /* any combination */
} nnd_conv_transpose_desc;

/* Whether the phases can do it on the ISA in force: what is cut off is less than a window, and the
   extents of the output follow from whole windows (give or take the cut and output_padding). That
   depends on out − in·stride, not on in itself. */
bool nnd_conv_transpose_can(const nnd_conv_transpose_desc *desc);

typedef struct nnd_conv_transpose nnd_conv_transpose; /* immutable after creation */

/* Owned by the caller; destroy takes NULL. NND_E_UNSUPPORTED when nnd_conv_transpose_can says no;
   NND_E_SHAPE, NND_E_OVERFLOW, NND_E_OUT_OF_MEMORY. */
nnd_status nnd_conv_transpose_create(const nnd_conv_transpose_desc *desc, nnd_conv_transpose **out);
void nnd_conv_transpose_destroy(nnd_conv_transpose *conv);

/* Packs weights [in_channels][out_channels/groups][kernel_h][kernel_w] and bias [out_channels]
   (NULL = 0). Descriptors that are equal but for batch, in, out and begin pack equally.
   NND_E_OUT_OF_MEMORY. */
size_t nnd_conv_transpose_packed_bytes(const nnd_conv_transpose *conv);
nnd_status nnd_conv_transpose_pack(const nnd_conv_transpose *conv, const float *weights,
                                   const float *bias, void *packed);

size_t nnd_conv_transpose_tiles(const nnd_conv_transpose *conv);
size_t nnd_conv_transpose_lane_bytes(const nnd_conv_transpose *conv);
void nnd_conv_transpose_run_tile(const nnd_conv_transpose *conv, const float *x, const void *packed,
                                 float *y, size_t tile, void *scratch);

/* ---- 5 pooling -------------------------------------------------------------------------- */

typedef enum nnd_pool_kind { NND_POOL_MAX = 0, NND_POOL_AVERAGE = 1 } nnd_pool_kind;

typedef struct nnd_pool_desc {
    nnd_pool_kind kind;
    nnd_kernel_layout layout; /* of input and output */
    int64_t batch, channels, in_h, in_w, out_h, out_w;
    int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int64_t pad_top, pad_left; /* ≥ 0; out_h and out_w imply the other two (ceil mode included) */
    int64_t pad_bottom, pad_right; /* read only with count_include_pad */
    bool count_include_pad; /* average: cells of the stated padding count, what ceil mode adds does
                               not */
} nnd_pool_desc;

/* A plan: plain data, copied freely, nothing to destroy. Fields beside `desc` are private. */
typedef struct nnd_pool {
    nnd_pool_desc desc;
    const struct nnd_kernel_set *set;
    int64_t planes;      /* batch × channels or channel blocks */
    int64_t plane_lanes; /* lanes per pixel: 1 or the block */
    int64_t planes_per_tile;
    int64_t row_parts;
    bool gathers; /* small planes of NCHW go through blocks */
} nnd_pool;

/* NND_E_SHAPE when sizes are not positive or an output cell lies wholly in the padding. */
nnd_status nnd_pool_plan(const nnd_pool_desc *desc, nnd_pool *out);
size_t nnd_pool_tiles(const nnd_pool *pool);
void nnd_pool_run_tile(const nnd_pool *pool, const float *x, float *y, size_t tile);

/* Global pooling of planes [first, first + count) with `spatial` pixels each: NCHW reads
   plane·spatial and writes y[plane]; NCHWc the same with a block of lanes per pixel. */
void nnd_global_pool(nnd_pool_kind kind, nnd_kernel_layout layout, const float *x, float *y,
                     size_t spatial, size_t first, size_t count);

/* Local response normalisation across channels in NCHWc: y = x/(bias + alpha/size·Σ x²)^beta, the
   sum over `size` channels around each, of blocks [first, first + count). size ≤
   2·nnd_kernel_block(). */
typedef struct nnd_lrn_desc {
    size_t channels, spatial;
    int size;
    float alpha, beta, bias;
} nnd_lrn_desc;
void nnd_lrn_nchwc(const nnd_lrn_desc *desc, const float *x, float *y, size_t first, size_t count);

/* ---- 6 element-wise --------------------------------------------------------------------- */

/*
 * Accuracy of the vector forms against double precision, over the whole range: exp and log ≤ 1 ulp,
 * erf and tanh ≤ 2 ulp, sigmoid ≤ 3 ulp (tests/engine/test_kernels_elementwise.c measures them);
 * the activations made of these are within 1e-6·max(1, |y|). The reference uses the C library's
 * double functions.
 */
typedef enum nnd_unary_op {
    NND_UNARY_NEG = 0,
    NND_UNARY_ABS,
    NND_UNARY_SQRT,
    NND_UNARY_RECIPROCAL,
    NND_UNARY_SQUARE,
    NND_UNARY_FLOOR,
    NND_UNARY_CEIL,
    NND_UNARY_ROUND, /* round: half to even */
    NND_UNARY_EXP,
    NND_UNARY_LOG,
    NND_UNARY_ERF,
    NND_UNARY_COUNT
} nnd_unary_op;

/* y[i] = op(x[i]); in place allowed. Sigmoid, tanh and their like are nnd_act_apply. */
void nnd_unary_apply(nnd_unary_op op, const float *x, float *y, size_t n);

typedef enum nnd_binary_op {
    NND_BINARY_ADD = 0,
    NND_BINARY_SUB,
    NND_BINARY_MUL,
    NND_BINARY_DIV,
    NND_BINARY_MIN,
    NND_BINARY_MAX, /* NaN when one of the two is NaN */
    NND_BINARY_COUNT
} nnd_binary_op;

typedef enum nnd_binary_mode {
    NND_BINARY_BOTH = 0, /* a[i], b[i] */
    NND_BINARY_SCALAR_A, /* a[0], b[i] */
    NND_BINARY_SCALAR_B  /* a[i], b[0] */
} nnd_binary_mode;

/* y[i] = op(a, b), then act (NULL or kind NONE: nothing). y may be a or b. The common broadcasts
   are made of it: per channel is SCALAR_B for each plane, last dimension is BOTH for each row. */
void nnd_binary_apply(nnd_binary_op op, nnd_binary_mode mode, const float *a, const float *b,
                      float *y, size_t n, const nnd_act *act);
/* Planes [first, first + count) of `spatial` pixels: y = op(x, s) with s per plane in NCHW
   (s[plane % channels]) and per channel block in NCHWc (s padded to whole blocks). */
void nnd_binary_channel(nnd_binary_op op, nnd_kernel_layout layout, const float *x, const float *s,
                        float *y, size_t channels, size_t spatial, size_t first, size_t count,
                        const nnd_act *act);
/* y = x·scale + shift per channel, then act: a batch normalisation that could not be folded. Same
   arguments as nnd_binary_channel. In place allowed. */
void nnd_scale_shift_channel(nnd_kernel_layout layout, const float *x, const float *scale,
                             const float *shift, float *y, size_t channels, size_t spatial,
                             size_t first, size_t count, const nnd_act *act);

/* ---- 7 rows: softmax, normalisation, sums ------------------------------------------------ */

/* Each of `rows` dense rows of n ≥ 1; in place allowed. A row is summed in an order that depends
   on n only. */
void nnd_softmax_rows(const float *x, float *y, size_t rows, size_t n);
void nnd_log_softmax_rows(const float *x, float *y, size_t rows, size_t n);
/* y = (x − mean)/√(var + eps)·gamma + beta; gamma and beta have n elements, each may be NULL. */
void nnd_layer_norm_rows(const float *x, const float *gamma, const float *beta, float eps, float *y,
                         size_t rows, size_t n);
/* y = x/√(mean of squares + eps)·gamma; gamma may be NULL. */
void nnd_rms_norm_rows(const float *x, const float *gamma, float eps, float *y, size_t rows,
                       size_t n);
/* Sum, maximum or mean of each row: y has one value per row. */
typedef enum nnd_row_op { NND_ROW_SUM = 0, NND_ROW_MAX, NND_ROW_MEAN } nnd_row_op;
void nnd_reduce_rows(nnd_row_op op, const float *x, float *y, size_t rows, size_t n);

/* ---- 8 data movement -------------------------------------------------------------------- */

/* Planes of the reorder are channel blocks: block p = (image·ceil(C/c) + index). Converts blocks
   [first, first + count); the NCHW side has `channels` channels per image. Padding lanes become 0.
 */
void nnd_reorder_to_nchwc(const float *nchw, float *nchwc, size_t channels, size_t spatial,
                          size_t first, size_t count);
void nnd_reorder_to_nchw(const float *nchwc, float *nchw, size_t channels, size_t spatial,
                         size_t first, size_t count);
/* The same for pixels [pixel, pixel + pixels) of one block. */
void nnd_reorder_part_to_nchwc(const float *nchw, float *nchwc, size_t channels, size_t spatial,
                               size_t block, size_t pixel, size_t pixels);
void nnd_reorder_part_to_nchw(const float *nchwc, float *nchw, size_t channels, size_t spatial,
                              size_t block, size_t pixel, size_t pixels);
/* y[c][r] = x[r][c] with row strides: rows×cols in, cols×rows out. The strip form does output rows
   [first, first + count) so that it can be tiled. */
void nnd_transpose(const float *x, size_t ldx, float *y, size_t ldy, size_t rows, size_t cols);
void nnd_transpose_strip(const float *x, size_t ldx, float *y, size_t ldy, size_t rows,
                         size_t first, size_t count);
/* y[i] = Σ weights[k]·x[rows[k]·pitch + i] for i < n: rows of a picture mixed. */
void nnd_mix_rows(const float *x, size_t pitch, const int32_t *rows, const float *weights,
                  size_t taps, float *y, size_t n);
/* Pixel p of y = Σ weights[p·taps + k]·pixel columns[p·taps + k] of x; `lanes` floats per pixel (1
   or the block). One tap is a copy. */
void nnd_mix_pixels(const float *x, size_t lanes, const int32_t *columns, const float *weights,
                    size_t taps, float *y, size_t pixels);

/* ---- 9 f16 and bf16 rows ---------------------------------------------------------------- */

/* IEEE half and bfloat16 as raw bits. Narrowing rounds to nearest even; NaN stays a (quiet) NaN,
   f16 overflow becomes infinity, subnormals are kept. */
void nnd_f16_to_f32(const uint16_t *x, float *y, size_t n);
void nnd_f32_to_f16(const float *x, uint16_t *y, size_t n);
void nnd_bf16_to_f32(const uint16_t *x, float *y, size_t n);
void nnd_f32_to_bf16(const float *x, uint16_t *y, size_t n);

/* ---- 10 weights of few bits ------------------------------------------------------------- */

enum { NND_NBITS_ROWS = 4 }; /* so many rows share the work of taking codes out of their bytes */

/* One column of a matrix whose elements are codes of 2, 4 or 8 bits, the first one in a byte's
   lowest bits. Element i of block b is (code − zero[b])·scale[b].

   The elements of a block are arranged by phases: first all that lie in the lowest bits of their
   bytes, then those of the next bits, and so on. */
typedef struct nnd_nbits_column {
    int bits;
    size_t blocks, bytes; /* per column; per block, = elements·bits/8 */
    const uint8_t *q;
    const float *scale, *zero; /* per block */
    /* nnd_nbits_dot only: rows that nnd_nbits_arrange made, a_row apart, their sums `blocks` */
    const float *a, *sums;
    size_t rows, a_row;
} nnd_nbits_column;

/* Arranges k elements, padded with zeros to whole blocks of `block` elements, and sums each
   block. */
void nnd_nbits_arrange(int bits, size_t block, const float *a, size_t k, float *arranged,
                       float *sums);
/* y[row] = Σ a[row][i]·element[i]. The order of a sum depends on the column's shape only. */
void nnd_nbits_dot(const nnd_nbits_column *c, float *y);
/* The first k elements, in their own order. */
void nnd_nbits_unpack(const nnd_nbits_column *c, size_t block, size_t k, float *y);
/* All elements of all blocks, arranged. */
void nnd_nbits_spread(const nnd_nbits_column *c, float *y);

#endif
