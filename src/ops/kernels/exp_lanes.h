/*
 * The exponentials of a soft-max in vectors: the arithmetic once for every instruction set. The
 * including file says what `floats`, `ints` and `sums` (NND_EXP_LANES doubles) are, how many LANES
 * the first two have, and what is done with them: load, store, load_part, store_part (`count`
 * lanes of an address; the others are −inf), every(v), plus, minus, times, least (not less than),
 * bits_of, floats_of, power(n) (bits of 2^n), half(n) (rounded down), less(a, b), no_sums,
 * add_to(sums, first lane, floats), fold (the upper half added to the lower one until one is left).
 */
#include "ops/kernels/exponential.h"

static inline floats exponential(floats x)
{
    const floats big = every(NND_EXP_ROUND);
    x = least(x, every(NND_EXP_LOWEST));
    const floats shifted = plus(times(x, every(NND_EXP_INV_LN2)), big);
    const floats n = minus(shifted, big);
    const floats r =
        minus(minus(x, times(n, every(NND_EXP_LN2_HIGH))), times(n, every(NND_EXP_LN2_LOW)));
    floats q = plus(times(every(NND_EXP_Q4), r), every(NND_EXP_Q3));
    q = plus(times(q, r), every(NND_EXP_Q2));
    q = plus(times(q, r), every(NND_EXP_Q1));
    q = plus(times(q, r), every(NND_EXP_Q0));
    const floats e = plus(plus(times(times(r, r), q), r), every(1));
    const ints exponent = less(bits_of(shifted), bits_of(big)), low = half(exponent);
    return times(times(e, floats_of(power(low))), floats_of(power(less(exponent, low))));
}

static inline double exp_row(float *dst, const float *src, size_t count, float top)
{
    const floats highest = every(top);
    sums sum = no_sums();
    size_t i = 0;
    for (; i + NND_EXP_LANES <= count; i += NND_EXP_LANES)
        for (int k = 0; k < NND_EXP_LANES; k += LANES) {
            const floats e = exponential(minus(load(src + i + (size_t)k), highest));
            store(dst + i + (size_t)k, e);
            sum = add_to(sum, k, e);
        }
    for (int k = 0; i < count; k += LANES, i += LANES) { /* what is not there adds 0 */
        const size_t part = count - i < LANES ? count - i : LANES;
        const floats e = exponential(minus(load_part(src + i, part), highest));
        store_part(dst + i, e, part);
        sum = add_to(sum, k, e);
    }
    return fold(sum);
}
