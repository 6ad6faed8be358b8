#include "infer/quantize/range.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- observing --------------------------------------------------------------------------- */

/* The smallest power of two that is larger than v. */
static double limit_for(double v)
{
    int exponent;
    frexp(v, &exponent);
    return ldexp(1.0, exponent);
}

/* Twice the width: bin i holds what 2i and 2i + 1 held, counted from zero outwards. */
static void widen(nnd_observer *o)
{
    uint64_t *down = o->bins, *up = o->bins + NND_RANGE_BINS;
    for (int i = 0; i < NND_RANGE_BINS; i++) {
        const bool inside = 2 * i < NND_RANGE_BINS;
        down[i] = inside ? down[2 * i] + down[2 * i + 1] : 0;
        up[i] = inside ? up[2 * i] + up[2 * i + 1] : 0;
    }
    o->limit *= 2;
}

static nnd_status make_room(nnd_observer *o, double low, double high)
{
    const double largest = fmax(-low, high);
    if (!o->bins) o->bins = nnd_calloc(2 * NND_RANGE_BINS, sizeof *o->bins);
    if (!o->bins) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to count values");
    if (largest == 0) return NND_OK;
    if (o->limit == 0) o->limit = limit_for(largest);
    while (o->limit <= largest)
        widen(o);
    return NND_OK;
}

static void count(nnd_observer *o, const float *values, size_t n)
{
    const double per_unit = NND_RANGE_BINS / o->limit;
    for (size_t i = 0; i < n; i++) {
        const double v = (double)values[i];
        if (v == 0) {
            o->zeros++;
            continue;
        }
        /* Tiny limits could make the product round up to the edge. */
        size_t bin = (size_t)(fabs(v) * per_unit);
        if (bin >= NND_RANGE_BINS) bin = NND_RANGE_BINS - 1;
        o->bins[(v < 0 ? 0 : NND_RANGE_BINS) + bin]++;
    }
}

nnd_status nnd_observer_add(nnd_observer *o, const float *values, size_t n, bool with_bins)
{
    double low = o->count ? o->low : DBL_MAX, high = o->count ? o->high : -DBL_MAX;
    if (!n) return NND_OK;
    for (size_t i = 0; i < n; i++) {
        const double v = (double)values[i];
        if (!isfinite(v))
            return nnd_error_set(NND_E_FORMAT, "element %zu is %s", i,
                                 isnan(v) ? "not a number (NaN)" : "infinite");
        low = fmin(low, v);
        high = fmax(high, v);
    }
    if (with_bins) {
        NND_TRY(make_room(o, low, high));
        count(o, values, n);
    }
    o->low = low;
    o->high = high;
    o->count += n;
    return NND_OK;
}

void nnd_observer_fini(nnd_observer *o)
{
    nnd_free(o->bins);
    *o = (nnd_observer){0};
}

/* ---- ranges ------------------------------------------------------------------------------ */

nnd_range nnd_observer_min_max(const nnd_observer *o)
{
    if (!o->count) return (nnd_range){0, 0};
    return (nnd_range){fmin(o->low, 0), fmax(o->high, 0)};
}

/* Outer edge of the innermost bin beyond which at most `spare` values lie, of one side. */
static double cut(const uint64_t *bins, double width, uint64_t spare)
{
    uint64_t outside = 0;
    int i = NND_RANGE_BINS;
    while (i > 0 && outside + bins[i - 1] <= spare)
        outside += bins[--i];
    return i * width;
}

nnd_range nnd_observer_percentile(const nnd_observer *o, double percentile)
{
    const nnd_range all = nnd_observer_min_max(o);
    if (!o->bins || o->limit == 0) return all;
    const double width = o->limit / NND_RANGE_BINS;
    const bool one_sided = all.low == 0 || all.high == 0;
    const double spare = (double)o->count * (1 - percentile / 100) / (one_sided ? 1 : 2);
    /* What is spared rounds off when 1 - p / 100 does: half a millionth of a value is none. */
    const uint64_t whole = (uint64_t)(spare + 1e-6);
    return (nnd_range){fmax(all.low, -cut(o->bins, width, whole)),
                       fmin(all.high, cut(o->bins + NND_RANGE_BINS, width, whole))};
}

/*
 * Divergence of the counts in the first `used` bins, all that lies beyond in the last of them, from
 * the same bins after each of `levels` runs of them has been levelled out.
 */
static double divergence(const double *counts, double total, int used, int levels)
{
    double beyond = total, sum = 0, kept = 0;
    for (int i = 0; i < used; i++)
        kept += counts[i];
    beyond -= kept;
    for (int k = 0; k < levels; k++) {
        const int begin = (int)((int64_t)k * used / levels);
        const int end = (int)((int64_t)(k + 1) * used / levels);
        double in_level = 0, filled = 0;
        for (int i = begin; i < end; i++) {
            in_level += counts[i];
            filled += counts[i] > 0;
        }
        for (int i = begin; i < end; i++) {
            const double real = counts[i] + (i == used - 1 ? beyond : 0);
            if (real <= 0) continue;
            /* A level that nothing falls into cannot stand for what was cut off. */
            if (filled == 0) return INFINITY;
            const double level = counts[i] > 0 ? in_level / filled : 0;
            if (level <= 0) return INFINITY;
            sum += real / total * log(real / total / (level / kept));
        }
    }
    return sum;
}

nnd_status nnd_observer_entropy(const nnd_observer *o, int levels, nnd_range *out)
{
    double total = 0, best = INFINITY;
    int used = 0, chosen = 0;
    *out = nnd_observer_min_max(o);
    if (!o->bins || o->limit == 0) return NND_OK;
    double *counts = nnd_calloc(NND_RANGE_BINS, sizeof *counts);
    if (!counts) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to choose a range");
    for (int i = 0; i < NND_RANGE_BINS; i++) {
        counts[i] = (double)o->bins[i] + (double)o->bins[NND_RANGE_BINS + i];
        total += counts[i];
        if (counts[i] > 0) used = i + 1;
    }
    for (int i = levels; i <= used; i++) {
        const double d = divergence(counts, total, i, levels);
        if (d >= best) continue;
        best = d;
        chosen = i;
    }
    nnd_free(counts);
    if (!chosen || chosen == used) return NND_OK;
    const double edge = chosen * (o->limit / NND_RANGE_BINS);
    *out = (nnd_range){fmax(out->low, -edge), fmin(out->high, edge)};
    return NND_OK;
}

/* Of the values in the bins of one side, |v| taken as the middle of its bin: how many there are up
   to the outer edge of each bin, their sum and that of their squares. */
typedef struct moments {
    double count[NND_RANGE_BINS + 1], sum[NND_RANGE_BINS + 1], squares[NND_RANGE_BINS + 1];
} moments;

static void take_moments(const uint64_t *bins, double width, moments *m)
{
    m->count[0] = m->sum[0] = m->squares[0] = 0;
    for (int i = 0; i < NND_RANGE_BINS; i++) {
        const double n = (double)bins[i], v = (i + 0.5) * width;
        m->count[i + 1] = m->count[i] + n;
        m->sum[i + 1] = m->sum[i] + n * v;
        m->squares[i + 1] = m->squares[i] + n * v * v;
    }
}

/* What cutting off at the outer edge of `kept` bins changes, squared. */
static double clipped(const moments *m, int kept, double width)
{
    const double edge = kept * width;
    const double count = m->count[NND_RANGE_BINS] - m->count[kept],
                 sum = m->sum[NND_RANGE_BINS] - m->sum[kept],
                 squares = m->squares[NND_RANGE_BINS] - m->squares[kept];
    return fmax(squares - 2 * edge * sum + edge * edge * count, 0);
}

/* All of it for a range of so many bins on each side. A rounded value is off by step²/12 in the
   mean. */
static double square_error(const moments side[2], int down, int up, double width, bool symmetric)
{
    const double step =
        width * (symmetric ? 2 * fmax(down, up) / 254.0 : ((double)down + (double)up) / 255.0);
    return clipped(&side[0], down, width) + clipped(&side[1], up, width) +
           (side[0].count[down] + side[1].count[up]) * step * step / 12;
}

static int bins_used(const uint64_t *bins)
{
    int used = NND_RANGE_BINS;
    while (used > 0 && !bins[used - 1])
        used--;
    return used;
}

/* Side by side in turns: each choice is the best one for the other side as it is. */
static void shrink(const moments side[2], double width, bool symmetric, int kept[2])
{
    enum { ROUNDS = 4 };
    const int most[2] = {kept[0], kept[1]};
    for (int round = 0; round < 2 * ROUNDS; round++) {
        const int s = (round + 1) % 2;
        double best = INFINITY;
        int trial[2] = {kept[0], kept[1]};
        for (int n = most[s] ? 1 : 0; n <= most[s]; n++) {
            trial[s] = n;
            const double error = square_error(side, trial[0], trial[1], width, symmetric);
            if (error > best) continue;
            best = error;
            kept[s] = n;
        }
    }
}

nnd_status nnd_observer_mse(const nnd_observer *o, bool symmetric, nnd_range *out)
{
    *out = nnd_observer_min_max(o);
    if (!o->bins || o->limit == 0) return NND_OK;
    const double width = o->limit / NND_RANGE_BINS;
    moments *side = nnd_calloc(2, sizeof *side);
    if (!side) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to choose a range");
    int kept[2] = {bins_used(o->bins), bins_used(o->bins + NND_RANGE_BINS)};
    take_moments(o->bins, width, &side[0]);
    take_moments(o->bins + NND_RANGE_BINS, width, &side[1]);
    shrink(side, width, symmetric, kept);
    nnd_free(side);
    *out = (nnd_range){fmax(out->low, -kept[0] * width), fmin(out->high, kept[1] * width)};
    return NND_OK;
}

/* ---- scales ------------------------------------------------------------------------------ */

static float usable(double scale)
{
    return scale < (double)FLT_MIN ? 1.0f : (float)scale;
}

nnd_scale nnd_scale_u8(nnd_range range)
{
    const float scale = usable((range.high - range.low) / 255);
    const double zero = nearbyint(-range.low / (double)scale);
    return (nnd_scale){scale, (int32_t)fmin(fmax(zero, 0), 255)};
}

nnd_scale nnd_scale_s8(nnd_range range)
{
    return (nnd_scale){usable(fmax(-range.low, range.high) / 127), 0};
}

static float channel_scale(const float *w, size_t outer, size_t stride, size_t inner, int largest)
{
    double top = 0;
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < inner; i++)
            top = fmax(top, fabs((double)w[o * stride + i]));
    return usable(top / largest);
}

void nnd_quantize_weights(const float *w, size_t outer, size_t channels, size_t inner, int largest,
                          float *scales, int8_t *out)
{
    const size_t stride = channels * inner;
    for (size_t c = 0; c < channels; c++) {
        const float needed = channel_scale(w + c * inner, outer, stride, inner, largest);
        if (!(scales[c] > needed)) scales[c] = needed;
        for (size_t o = 0; o < outer; o++)
            for (size_t i = 0; i < inner; i++) {
                const size_t at = o * stride + c * inner + i;
                const double q = nearbyint((double)w[at] / (double)scales[c]);
                out[at] = (int8_t)fmin(fmax(q, -largest), largest);
            }
    }
}
