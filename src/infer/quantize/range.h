/*
 * What values a tensor takes, and the range of them that integers should stand for.
 *
 * An observer counts into bins of equal width around zero. When a value lies beyond the outermost
 * bin, the width doubles and neighbours are merged, so that samples may come in any order and give
 * the same counts.
 */
#ifndef NND_INFER_QUANTIZE_RANGE_H
#define NND_INFER_QUANTIZE_RANGE_H

#include "nndeploy/data.h"

enum { NND_RANGE_BINS = 2048 }; /* on each side of zero */

typedef enum nnd_range_method {
    NND_RANGE_MIN_MAX,    /* everything that was seen */
    NND_RANGE_PERCENTILE, /* without the rarest values at both ends */
    NND_RANGE_ENTROPY,    /* loses the least information (Kullback-Leibler divergence) */
    NND_RANGE_MSE,        /* the least mean square of what rounding and clipping change */
    NND_RANGE_AUTO        /* whichever of them leaves the results the least error */
} nnd_range_method;

typedef struct nnd_observer {
    double low, high; /* of all values; meaningless while count is 0 */
    uint64_t count;
    uint64_t zeros; /* exact ones, in no bin: every range stands for them exactly */
    double limit;   /* |value| of the outer edge of the outermost bins, a power of two; 0 = none */
    uint64_t *bins; /* 2 * NND_RANGE_BINS: negative values, then positive ones */
} nnd_observer;

/* Counts n values; only low and high unless `with_bins`. NND_E_FORMAT for one that is not finite.
 */
nnd_status nnd_observer_add(nnd_observer *o, const float *values, size_t n, bool with_bins);
void nnd_observer_fini(nnd_observer *o);

/* The range; it always includes zero, and is [0, 0] when nothing else was seen.
   percentile: of the values that are inside, 50 to 100; half of the others is cut off at each end,
   or all at one end when zero is the other end. levels: how many integers stand for one side of
   zero, 128, or 256 when one-sided values get all of them. */
typedef struct nnd_range {
    double low, high;
} nnd_range;
nnd_range nnd_observer_min_max(const nnd_observer *o);
nnd_range nnd_observer_percentile(const nnd_observer *o, double percentile);
nnd_status nnd_observer_entropy(const nnd_observer *o, int levels, nnd_range *out);
/* symmetric: the integers reach as far on both sides of zero. */
nnd_status nnd_observer_mse(const nnd_observer *o, bool symmetric, nnd_range *out);

/* Integers for a range: real = scale * (integer - zero). */
typedef struct nnd_scale {
    float scale; /* > 0 */
    int32_t zero;
} nnd_scale;
nnd_scale nnd_scale_u8(nnd_range range); /* 0 … 255 */
nnd_scale nnd_scale_s8(nnd_range range); /* -127 … 127 around zero */

/* Weights: elements [outer, channels, inner] to int8 with a scale per channel, zero point 0.
   largest: 127, or 63 for sums that must not saturate in 16 bits. A scale that is set already is
   kept when it is larger than the channel needs. */
void nnd_quantize_weights(const float *w, size_t outer, size_t channels, size_t inner, int largest,
                          float *scales, int8_t *out);

#endif
