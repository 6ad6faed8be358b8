/*
 * Numbers ↔ text, correctly rounded and the same on every system: independent of the C library
 * and the locale.
 */
#ifndef NND_BASE_NUMBER_H
#define NND_BASE_NUMBER_H

#include "nndeploy/base.h"

static inline bool nnd_number_is_finite(double value)
{
    return value - value == 0;
}

/* Reads JSON's number form at the start of text: "-"? digits fraction? exponent?. Returns the
   bytes used, 0 when there is no number. The result is the double nearest to the exact decimal
   value (ties to even); too large gives ±infinity, too small ±0. */
size_t nnd_number_read(const char *text, size_t size, double *out);

/* Shortest decimal that reads back as the same value, in the form of ECMAScript's
   Number::toString: 0.1, 1e+21, 1e-7, 100; -0 is "0"; NaN, Infinity, -Infinity. Returns the
   length; NUL-terminated. */
#define NND_NUMBER_TEXT 32
size_t nnd_number_write(double value, char out[NND_NUMBER_TEXT]);
size_t nnd_number_write_float(float value, char out[NND_NUMBER_TEXT]);
size_t nnd_number_write_int(int64_t value, char out[NND_NUMBER_TEXT]);

#endif
