/*
 * Products of bytes: u8 and i8 in any pairing, summed exactly in 32 bits (modulo 2^32, as integer
 * hardware does), with zero points, scaled once at the end.
 *
 * Sections: 1 results · 2 GEMM · 3 convolution · 4 element by element
 *
 * The rules and the shape of a plan are those of kernels.h. In addition every ISA gives the same
 * bits: sums are exact, and the one scaling is the same sequence of roundings everywhere.
 */
#ifndef NND_ENGINE_KERNELS_INT8_H
#define NND_ENGINE_KERNELS_INT8_H

#include "base/isa.h"
#include "engine/kernels/kernels.h"
#include "nndeploy/data.h"

struct nnd_int8_set;

/* Which ISA's byte kernels are the best ones not above nnd_isa_current(). */
nnd_isa nnd_int8_isa(void);

/* ---- 1 results -------------------------------------------------------------------------- */

/*
 * I32: the sums. F32: sum·scale + bias, rounded after each operation. U8, I8: sum·scale rounded to
 * the nearest integer, halves to even, plus zero, limited to [low, high]; a NaN becomes low. scale
 * and bias have one value per column of a GEMM, one per output channel of a convolution.
 */
typedef struct nnd_int8_result {
    nnd_dtype type;
    int32_t zero, low, high; /* low and high: what the type holds, or an activation's limits */
    const float *scale;      /* not read for I32 */
    const float *bias;       /* F32 only; NULL = none */
} nnd_int8_result;

/* y[i] = the larger of y[i] and x[i·step]. */
void nnd_int8_max(const void *x, int64_t step, bool is_signed, void *y, size_t n);

/* y[i] = x[i]/scale rounded to the nearest integer, halves to even, plus zero, limited to what the
   type holds; a NaN becomes zero. y is i8 or u8. */
void nnd_int8_quantise(const float *x, float scale, int32_t zero, bool is_signed, void *y,
                       size_t n);

/* The same with the limits [low, high], which y's type holds. */
void nnd_int8_quantise_to(const float *x, float scale, int32_t zero, int32_t low, int32_t high,
                          void *y, size_t n);

/* y[i] = (x[i] − zero)·scale; x is i8 or u8, and zero is of that type. */
void nnd_int8_dequantise(const void *x, float scale, int32_t zero, bool is_signed, float *y,
                         size_t n);

/* y[i] = table[x[i]], one entry for each of the 256 bytes; y may be x. */
void nnd_int8_lookup(const uint8_t *table, const uint8_t *x, uint8_t *y, size_t n);

/* Σ x, modulo 2^32; x is i8 or u8. */
uint32_t nnd_int8_sum(const void *x, bool is_signed, size_t n);

/* The least and the greatest of 0 and n numbers; a NaN is neither. */
void nnd_int8_range(const float *x, size_t n, float *low, float *high);

/* ---- 2 GEMM ----------------------------------------------------------------------------- */

/* C = (A − a_zero)·(B − b_zero): A is m×k, B is k×n, all dense and row-major. */
typedef struct nnd_int8_gemm_desc {
    int64_t m, n, k;
    bool a_signed, b_signed;
} nnd_int8_gemm_desc;

/* A plan: plain data, copied freely, nothing to destroy. Fields beside `desc` are private. */
typedef struct nnd_int8_gemm {
    nnd_int8_gemm_desc desc;
    const struct nnd_int8_set *set;
    int64_t quads;    /* of k */
    int64_t panel;    /* columns of a packed panel */
    int64_t n_padded; /* n in whole vectors */
    int64_t pieces;   /* m in register tiles */
    int64_t a_tiles;  /* they are packed in so many parts */
    int64_t m_tiles, n_tiles;
} nnd_int8_gemm;

/* NND_E_SHAPE for negative sizes, NND_E_OVERFLOW. */
nnd_status nnd_int8_gemm_plan(const nnd_int8_gemm_desc *desc, nnd_int8_gemm *out);

/* The packing depends on k, n, the type of B and the ISA, not on m. */
size_t nnd_int8_gemm_packed_bytes(const nnd_int8_gemm *gemm);
void nnd_int8_gemm_pack_b(const nnd_int8_gemm *gemm, const void *b, void *packed);

typedef struct nnd_int8_gemm_args {
    const void *packed_a, *packed_b;
    const int32_t *columns; /* of nnd_int8_gemm_columns */
    nnd_int8_result result; /* scale: readable up to n_padded */
    void *c;
} nnd_int8_gemm_args;

/* A is packed too, once per run: tile by tile, in any order, of which each writes its own part. */
size_t nnd_int8_gemm_a_bytes(const nnd_int8_gemm *gemm);
size_t nnd_int8_gemm_a_tiles(const nnd_int8_gemm *gemm);
void nnd_int8_gemm_pack_a_tile(const nnd_int8_gemm *gemm, const void *a, void *packed, size_t tile);

/* What the zero points do to each column, n_padded × 2 integers; b_zero has b_zeros = 1 or n
   elements. bias: what is added to the sums of a column, 1 or n elements, or NULL. Made once per
   run (or once for all when the zero points are constant). */
size_t nnd_int8_gemm_column_bytes(const nnd_int8_gemm *gemm);
void nnd_int8_gemm_columns(const nnd_int8_gemm *gemm, const void *packed_b, int32_t a_zero,
                           const int32_t *b_zero, size_t b_zeros, const int32_t *bias,
                           size_t biases, int32_t *columns);

size_t nnd_int8_gemm_tiles(const nnd_int8_gemm *gemm);
void nnd_int8_gemm_run_tile(const nnd_int8_gemm *gemm, const nnd_int8_gemm_args *args, size_t tile);

/* ---- 3 convolution ---------------------------------------------------------------------- */

typedef struct nnd_int8_conv nnd_int8_conv; /* immutable after creation, shared by threads */

/* The geometry of `desc` (its layouts, activation and residual are not read: NCHW, none), padded
   with x's zero point. Errors as nnd_conv_create's. */
nnd_status nnd_int8_conv_create(const nnd_conv_desc *desc, bool x_signed, bool w_signed,
                                nnd_int8_conv **out);
void nnd_int8_conv_destroy(nnd_int8_conv *conv); /* takes NULL */
const char *nnd_int8_conv_name(const nnd_int8_conv *conv);

/* Packs weights [out_channels][in_channels/groups][kernel_h][kernel_w], whose zero points w_zero
   are w_zeros = 1 or out_channels elements. Equal descriptors (batch, in_h and in_w aside) of the
   same types and ISA pack equally. */
size_t nnd_int8_conv_packed_bytes(const nnd_int8_conv *conv);
void nnd_int8_conv_pack(const nnd_int8_conv *conv, const void *weights, const int32_t *w_zero,
                        size_t w_zeros, void *packed);

typedef struct nnd_int8_conv_args {
    const void *x;
    const void *packed;
    int32_t x_zero;
    const int32_t *start; /* of nnd_int8_conv_start */
    nnd_int8_result result;
    void *y;
} nnd_int8_conv_args;

/* What each output channel's sums begin with; bias [out_channels] or NULL. */
void nnd_int8_conv_start(const nnd_int8_conv *conv, const void *packed, const int32_t *bias,
                         int32_t x_zero, int32_t *start);

size_t nnd_int8_conv_tiles(const nnd_int8_conv *conv);
size_t nnd_int8_conv_lane_bytes(const nnd_int8_conv *conv);
void nnd_int8_conv_run_tile(const nnd_int8_conv *conv, const nnd_int8_conv_args *args, size_t tile,
                            void *scratch);

/* ---- 4 element by element --------------------------------------------------------------- */

/*
 * Sums and products of two operands of codes, all of one type. With fused multiply-adds,
 *     sum:     v = a·a_factor + (b·b_factor + start)
 *     product: v = (a − a_zero)·(b − b_zero)·a_factor + start,
 * rounded to the nearest integer, halves to even, and limited; a NaN becomes low. The zero point of
 * the result is part of `start`: it takes part in what is a half.
 */
typedef struct nnd_int8_pair {
    bool product, is_signed;
    float a_factor, b_factor, start;
    int32_t a_zero, b_zero, low, high;
} nnd_int8_pair;
/* a_step, b_step: 1, or 0 for one code that is repeated. */
void nnd_int8_pair_run(const nnd_int8_pair *pair, const void *a, size_t a_step, const void *b,
                       size_t b_step, void *y, size_t n);

#endif
