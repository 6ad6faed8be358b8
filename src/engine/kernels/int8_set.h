/*
 * The byte kernels of one ISA as a const table, and what the drivers hand them. Private to the
 * kernels folder.
 *
 * k is worked on in quads: four consecutive k of one column or row. One operand comes as vectors,
 * [quad][column][4] bytes, u8 or i8 as the ISA's instruction wants it; the other one is broadcast,
 * [quad][row], always i8: four bytes, or four 16-bit integers (k, k+2, k+1, k+3) where the product
 * is one of 16-bit pairs. Bytes of the other signedness have their top bit flipped, which moves
 * their zero point by 128.
 *
 * The exact sum of a column c and a row r, with every value less its zero point, is
 *     Σ row·column − zero(c)·Σ row − zero(r)·Σ(column − zero(c));
 * one of the two corrections is known ahead (`start`), the other is a product of what depends on
 * the row and what depends on the column.
 */
#ifndef NND_ENGINE_KERNELS_INT8_SET_H
#define NND_ENGINE_KERNELS_INT8_SET_H

#include "engine/kernels/int8.h"
#include "engine/kernels/set.h"

enum {
    NND_INT8_MAX_ROWS = 16,
    NND_INT8_MAX_PANEL = 32,
    NND_INT8_SLACK =
        128 /* elements and bytes that a depthwise kernel may touch beyond what counts */
};

/* How sums become bytes: those of nnd_int8_result, and where they go. */
typedef struct nnd_int8_bytes {
    int32_t zero, low, high;
    const float *row_scale;    /* one per row, or NULL and */
    const float *column_scale; /* one per column */
    uint8_t *y;                /* rows y_stride apart */
    size_t y_stride;
} nnd_int8_bytes;

/* sums[row][column] = start + Σ + row_factor·column_factor; the starts are those given. */
typedef struct nnd_int8_tile_args {
    const uint8_t *vectors; /* [quads][vectors × lanes][4] */
    const void *rows;       /* [quads][rows] */
    size_t quads;
    const int32_t *row_start, *column_start;   /* either may be NULL */
    const int32_t *row_factor, *column_factor; /* both or none */
    int32_t *sums;                             /* `stride` apart from row to row */
    size_t stride;
    const nnd_int8_bytes *bytes; /* NULL, or these are written instead, whole vectors of them */
} nnd_int8_tile_args;

/* Sums that become results. */
typedef struct nnd_int8_block {
    const int32_t *sums; /* rows `stride` apart, readable up to whole vectors */
    size_t stride, rows, columns;
    const float *row_scale; /* one per row, or one for all rows with row_step 0; or NULL and */
    size_t row_step;
    const float *column_scale;           /* one per column, as readable as sums */
    const float *row_bias, *column_bias; /* of floats; one per row as row_scale is, one per column,
                                            at most one of them */
} nnd_int8_block;

/* sums[i] = start + Σ over taps: x[taps[t] + i·step]·weights[t], x unsigned, |weights| < 2^15. In
   quads, a tap is four neighbouring bytes, and its weight four i8, the first one lowest. */
typedef struct nnd_int8_depthwise_args {
    const uint8_t *x;
    const ptrdiff_t *taps;
    const int32_t *weights;
    size_t count;
    int64_t step; /* 1 or 2 */
    int32_t start;
    int32_t *sums; /* writable up to NND_INT8_SLACK elements more, x readable so many bytes */
    size_t n;
    const nnd_int8_bytes *bytes; /* NULL, or one row of these instead, as writable; its row_scale */
} nnd_int8_depthwise_args;

typedef struct nnd_int8_set {
    nnd_isa isa;
    int lanes, tile_rows, tile_vectors;
    bool signed_vectors; /* the vector operand is i8 */
    bool wide_rows;      /* the broadcast operand is of 16 bits */
    void (*tile)(int rows, int vectors, const nnd_int8_tile_args *args);
    /* to[i][j] = rows[j][i] ^ flip, in panels of tile_vectors × lanes columns, `stride` bytes
       apart. */
    void (*interleave)(const uint8_t *const rows[4], uint8_t flip, size_t panels, uint8_t *to,
                       size_t stride);
    /* Sums to bytes, as `result` says; rows of y are y_stride apart. */
    void (*finish)(const nnd_int8_block *block, const nnd_int8_result *result, uint8_t *y,
                   size_t y_stride);
    /* Sums to f32, rounded after each operation; rows of y are y_stride elements apart. */
    void (*floats)(const nnd_int8_block *block, float *y, size_t y_stride);
    void (*depthwise)(const nnd_int8_depthwise_args *args);
    void (*depthwise_quads)(const nnd_int8_depthwise_args *args); /* NULL = no better than taps */
    /* nnd_int8_quantise with the limits [low, high]. */
    void (*quantise)(const float *x, float scale, int32_t zero, int32_t low, int32_t high,
                     uint8_t *y, size_t n);
    void (*dequantise)(const uint8_t *x, float scale, int32_t zero, bool is_signed, float *y,
                       size_t n);
    void (*lookup)(const uint8_t *table, const uint8_t *x, uint8_t *y, size_t n);
    uint32_t (*sum)(const uint8_t *x, bool is_signed, size_t n);
    void (*range)(const float *x, size_t n, float *low, float *high);
    /* nnd_int8_pair_run. */
    void (*pair)(const nnd_int8_pair *p, const uint8_t *a, size_t a_step, const uint8_t *b,
                 size_t b_step, uint8_t *y, size_t n);
} nnd_int8_set;

extern const nnd_int8_set nnd_int8_set_reference;
#if defined(__x86_64__)
extern const nnd_int8_set nnd_int8_set_avx2;
extern const nnd_int8_set nnd_int8_set_avx512vnni;
#elif defined(__aarch64__)
extern const nnd_int8_set nnd_int8_set_neon;
extern const nnd_int8_set nnd_int8_set_neon_dotprod;
#endif

/* The best set not above nnd_isa_current(). */
const nnd_int8_set *nnd_int8_set_current(void);

/* Bytes of one quad of the broadcast operand. */
static inline size_t nnd_int8_quad_bytes(const nnd_int8_set *set)
{
    return set->wide_rows ? 8 : 4;
}
/* What turns bytes of a type into what the vector operand wants, and how that moves zero points. */
static inline uint8_t nnd_int8_flip(const nnd_int8_set *set, bool is_signed)
{
    return is_signed == set->signed_vectors ? 0 : 0x80;
}
static inline int32_t nnd_int8_shift(const nnd_int8_set *set, bool is_signed)
{
    return is_signed == set->signed_vectors ? 0 : is_signed ? 128 : -128;
}

/* Packs `rows` rows of k bytes, `stride` apart, as the broadcast operand; sums of the packed values
   go to `sums` when that is not NULL. */
void nnd_int8_pack_rows(const nnd_int8_set *set, const uint8_t *from, size_t stride, bool is_signed,
                        size_t rows, size_t k, void *to, int32_t *sums);

/* Writes a block as the operator's results, rows of y `width` elements apart. */
void nnd_int8_store(const nnd_int8_set *set, const nnd_int8_result *result,
                    const nnd_int8_block *block, void *y, size_t width);
/* The same as bytes, for results that are. */
static inline nnd_int8_bytes nnd_int8_bytes_of(const nnd_int8_result *result, uint8_t *y,
                                               size_t y_stride)
{
    return (nnd_int8_bytes){.zero = result->zero,
                            .low = result->low,
                            .high = result->high,
                            .y = y,
                            .y_stride = y_stride};
}
/* Bytes of one result. */
static inline size_t nnd_int8_result_bytes(const nnd_int8_result *result)
{
    return result->type == NND_I32 || result->type == NND_F32 ? 4 : 1;
}

#endif
