/*
 * Decimal text to double, correctly rounded. Short numbers take W. Clinger's exact path (one
 * multiplication or division of exact operands); all others divide big integers, which costs a
 * microsecond or so and is right by construction.
 */
#include "base/number.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/bigint.h"

enum {
    /* 767 significant digits decide every halfway case between doubles; one more digit that is
       not zero stands for the rest. */
    MAX_DIGITS = 780
};

typedef struct decimal {
    const char *text; /* first significant digit */
    size_t span;      /* bytes from there to the last digit, the point may be among them */
    int64_t digits;   /* significant digits */
    int64_t exponent; /* value = digits as an integer × 10^exponent */
    bool negative;
} decimal;

static bool is_digit(const char *text, size_t size, size_t at)
{
    return at < size && text[at] >= '0' && text[at] <= '9';
}

/* Bytes of the exponent part at text[at], 0 when there is none. */
static size_t scan_exponent(const char *text, size_t size, size_t at, int64_t *out)
{
    size_t start = at;
    if (at >= size || (text[at] != 'e' && text[at] != 'E')) return 0;
    at++;
    bool negative = at < size && text[at] == '-';
    if (at < size && (text[at] == '-' || text[at] == '+')) at++;
    if (!is_digit(text, size, at)) return 0;
    int64_t value = 0;
    for (; is_digit(text, size, at); at++)
        if (value < INT64_MAX / 16) value = value * 10 + (text[at] - '0');
    *out = negative ? -value : value;
    return at - start;
}

/* Splits the number's text; 0 when there is none. */
static size_t scan(const char *text, size_t size, decimal *d)
{
    size_t at = 0, first = 0, last = 0;
    int64_t fraction = 0, exponent = 0;
    bool significant = false;
    memset(d, 0, sizeof(*d));
    d->negative = at < size && text[at] == '-';
    if (d->negative) at++;
    if (!is_digit(text, size, at)) return 0;
    bool leading_zero = text[at] == '0';
    for (bool point = false;; at++) {
        if (!point && at + 1 < size && text[at] == '.' && is_digit(text, size, at + 1)) {
            point = true;
            continue;
        }
        if (!is_digit(text, size, at)) break;
        if (point) fraction++;
        if (!significant && text[at] != '0') {
            significant = true;
            first = at;
        }
        if (significant) {
            d->digits++;
            last = at + 1;
        }
        /* "01" is the number 0 followed by something else. */
        if (leading_zero && !point && is_digit(text, size, at + 1)) {
            at++;
            break;
        }
    }
    at += scan_exponent(text, size, at, &exponent);
    d->text = text + first;
    d->span = last - first;
    d->exponent = exponent - fraction;
    return at;
}

/* q × 2^exponent (q's highest bit set), rounded to nearest even; inexact: a little more than q. */
static double assemble(uint64_t q, int exponent, bool inexact)
{
    int top = exponent + 63; /* value = 1.x × 2^top */
    if (top > 1023) return (double)INFINITY;
    int drop = top >= -1022 ? 11 : 11 + (-1022 - top);
    if (drop > 64) return 0.0;
    uint64_t mantissa = drop == 64 ? 0 : q >> drop;
    uint64_t half = (uint64_t)1 << (drop - 1);
    uint64_t rest = q & (half - 1);
    bool above_half = (q & half) != 0;
    if (above_half && (rest != 0 || inexact || (mantissa & 1))) mantissa++;
    /* A carry out of the mantissa walks into the exponent, up to infinity. */
    uint64_t bits = top >= -1022 ? ((uint64_t)(top + 1022) << 52) + mantissa : mantissa;
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static double exact(const decimal *d)
{
    nnd_bigint num, den;
    nnd_bigint_set(&num, 0);
    nnd_bigint_set(&den, 1);
    int kept = 0;
    bool cut = false;
    for (size_t i = 0; i < d->span; i++) {
        char c = d->text[i];
        if (c == '.') continue;
        if (kept < MAX_DIGITS) {
            nnd_bigint_mul_add(&num, 10, (uint32_t)(c - '0'));
            kept++;
        } else if (c != '0') {
            cut = true;
        }
    }
    int exponent = (int)(d->exponent + (d->digits - kept));
    if (cut) {
        nnd_bigint_mul_add(&num, 10, 1);
        exponent--;
    }
    if (exponent >= 0)
        nnd_bigint_mul_pow10(&num, exponent);
    else
        nnd_bigint_mul_pow10(&den, -exponent);

    /* Scale to den/4 < num < den with den's top bit set; two quotient digits are 62..64 bits. */
    int num_bits = nnd_bigint_bits(&num), den_bits = nnd_bigint_bits(&den);
    int target = ((den_bits > num_bits ? den_bits : num_bits + 1) + 31) / 32 * 32;
    nnd_bigint_shift(&den, target - den_bits);
    nnd_bigint_shift(&num, target - 1 - num_bits);
    int scale = (target - den_bits) - (target - 1 - num_bits);
    uint64_t q = 0;
    for (int i = 0; i < 2; i++) {
        nnd_bigint_shift(&num, 32);
        q = q << 32 | nnd_bigint_divide(&num, &den);
    }
    int binary = scale - 64;
    while (!(q >> 63)) {
        q <<= 1;
        binary--;
    }
    return assemble(q, binary, num.size != 0);
}

/* Exact operands give a correctly rounded result, where the processor rounds to double. */
static bool try_fast(const decimal *d, double *out)
{
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 0
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (d->digits > 15 || d->exponent > 22 || d->exponent < -22) return false;
    uint64_t integer = 0;
    for (size_t i = 0; i < d->span; i++)
        if (d->text[i] != '.') integer = integer * 10 + (uint64_t)(d->text[i] - '0');
    double value = (double)integer;
    *out = d->exponent < 0 ? value / powers[-d->exponent] : value * powers[d->exponent];
    return true;
#else
    (void)d;
    (void)out;
    return false;
#endif
}

size_t nnd_number_read(const char *text, size_t size, double *out)
{
    decimal d;
    size_t used = scan(text, size, &d);
    if (used == 0) return 0;
    double value;
    int64_t point = d.digits + d.exponent; /* value = 0.ddd × 10^point */
    if (d.digits == 0 || point < -400)
        value = 0.0;
    else if (point > 400)
        value = (double)INFINITY;
    else if (!try_fast(&d, &value))
        value = exact(&d);
    *out = d.negative ? -value : value;
    return used;
}
