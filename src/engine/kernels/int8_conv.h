/* The plan of a convolution of bytes. Private to the kernels folder. */
#ifndef NND_ENGINE_KERNELS_INT8_CONV_H
#define NND_ENGINE_KERNELS_INT8_CONV_H

#include "engine/kernels/int8_set.h"

/*
 * Packed weights: a header, per output channel Σ(w − zero) and −zero (of the i8 that is packed, or
 * of w itself in the depthwise form), then the weights:
 * register tiles of rows, group by group, and a row of ones (for sums of columns), or
 * one integer w − zero per tap, and the same as i8, four neighbours of a row in one integer.
 */
typedef struct nnd_int8_conv_packed {
    int32_t has_zeros; /* some zero point is not 0 */
    int32_t is_wide;   /* some w − zero is no i8 */
    int32_t *sums, *minus_zeros;
    char *weights, *ones;
    int32_t *quads; /* depthwise */
} nnd_int8_conv_packed;

struct nnd_int8_conv {
    nnd_conv_desc desc;
    const nnd_int8_set *set;
    bool x_signed, w_signed, depthwise;
    int64_t out_h, out_w;
    size_t tiles, lane_bytes;

    /* Through GEMM: rows are the output channels of a group, columns the pixels of an image. */
    bool pointwise; /* a column's k are the channels of one pixel */
    int64_t k, quads, group_rows, pieces, panel;
    int64_t chunk, chunks; /* pixels of a tile, whole panels */
    int64_t row_parts;     /* pieces are shared out among so many tiles */
    /* The padded rows of one plane that a tile sees, columns apart by position modulo the stride:
       `phase` bytes for each. 0 = taps are gathered from the plane itself. */
    int64_t copy_rows, copy_pitch, phase;

    /* Depthwise: the padded input is copied, rows apart by position modulo the stride, columns too
       unless the kernel itself takes that step: then a step of the output is `step` bytes for every
       tap. `pitch` is a row of sums; one of the copy is pitch × step bytes. */
    int64_t phases_h, phases_w, step, apart; /* step × apart is the stride */
    int64_t reach_h, pitch;                  /* rows of a phase beyond those of the output */
    int64_t band;                            /* output rows done at once */
    int64_t planes_per_tile, band_parts;     /* one of them is 1 */
};

/* Σ (w − zero) and so on inside `packed`. */
nnd_int8_conv_packed nnd_int8_conv_parts(const nnd_int8_conv *conv, const void *packed);

/* Steps i in [first, end) ⊆ [0, n] for which start + i·step is in [0, width). */
static inline void nnd_int8_inside(int64_t start, int64_t step, int64_t width, int64_t n,
                                   int64_t *first, int64_t *end)
{
    const bool each = step == 1; /* nearly always: divisions are slow */
    const int64_t before = each ? -start : nnd_ceil_div(-start, step);
    const int64_t within = each ? width - start : nnd_ceil_div(width - start, step);
    *first = start < 0 ? NND_MIN(n, before) : 0;
    *end = start < width ? NND_MIN(n, within) : 0;
    *end = NND_MAX(*first, *end);
}

bool nnd_int8_depthwise_can(const nnd_conv_desc *desc);
size_t nnd_int8_depthwise_quads(const nnd_conv_desc *desc); /* of one channel */
void nnd_int8_depthwise_pack(const nnd_int8_conv *conv, const nnd_int8_conv_packed *packed);
void nnd_int8_depthwise_plan(nnd_int8_conv *conv);
void nnd_int8_depthwise_run(const nnd_int8_conv *conv, const nnd_int8_conv_args *args, size_t tile,
                            void *scratch);

#endif
