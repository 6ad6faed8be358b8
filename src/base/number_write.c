/*
 * Shortest decimal digits of a floating point number: the free-format algorithm of Steele and
 * White ("How to print floating-point numbers accurately", 1990) with the scaling of Burger and
 * Dybvig (1996), exact on big integers. Integers and decimals of up to 15 digits, which are nearly
 * all numbers in practice, take short cuts that are exact, too.
 */
#include "base/number.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/bigint.h"

typedef struct digits {
    char text[24];
    int count;
    int point; /* value = 0.ddd × 10^point */
} digits;

static void put_integer(uint64_t value, digits *out)
{
    char reversed[24];
    int n = 0;
    for (; value; value /= 10)
        reversed[n++] = (char)('0' + value % 10);
    out->point = n;
    out->count = n;
    for (int i = 0; i < n; i++)
        out->text[i] = reversed[n - 1 - i];
    while (out->count > 1 && out->text[out->count - 1] == '0')
        out->count--;
}

/* A decimal of at most 15 digits that reads back as value is the only one, hence the shortest:
   look for value = n / 10^p with both exact. */
static bool put_short_decimal(double value, digits *out)
{
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 0
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    if (value < 1e-5 || value >= 1e15) return false;
    for (int p = 1; p <= 15; p++) {
        double scaled = value * powers[p];
        if (scaled >= 1e15) return false;
        uint64_t n = (uint64_t)(scaled + 0.5);
        if ((double)n / powers[p] != value) continue;
        put_integer(n, out);
        out->point -= p;
        return true;
    }
#else
    (void)value;
    (void)out;
#endif
    return false;
}

/* The running state of the digit generation: value = r / s × 10^point, and the numbers that read
   back as the same value reach from value - down / s to value + up / s. */
typedef struct generator {
    nnd_bigint r, s, up, down;
    bool inclusive; /* the ends belong to the interval: ties go to an even mantissa */
} generator;

static bool at_upper_end(const generator *g)
{
    int sign = nnd_bigint_compare_sum(&g->r, &g->up, &g->s);
    return g->inclusive ? sign >= 0 : sign > 0;
}

static bool at_lower_end(const generator *g)
{
    int sign = nnd_bigint_compare(&g->r, &g->down);
    return g->inclusive ? sign <= 0 : sign < 0;
}

static void times_ten(generator *g)
{
    nnd_bigint_mul_add(&g->r, 10, 0);
    nnd_bigint_mul_add(&g->up, 10, 0);
    nnd_bigint_mul_add(&g->down, 10, 0);
}

/* Sets up mantissa × 2^exponent; lopsided: the gap below is half the gap above. */
static void start(generator *g, uint64_t mantissa, int exponent, bool lopsided)
{
    int extra = lopsided ? 2 : 1;
    nnd_bigint_set(&g->r, mantissa);
    nnd_bigint_set(&g->s, 1);
    nnd_bigint_set(&g->up, 1);
    nnd_bigint_set(&g->down, 1);
    int up = exponent > 0 ? exponent : 0;
    int down = exponent < 0 ? -exponent : 0;
    nnd_bigint_shift(&g->r, up + extra);
    nnd_bigint_shift(&g->s, down + extra);
    nnd_bigint_shift(&g->up, up + extra - 1);
    nnd_bigint_shift(&g->down, up);
    g->inclusive = (mantissa & 1) == 0;
}

/* Divides by 10^point such that the first digit comes next. */
static int scale(generator *g, uint64_t mantissa, int exponent)
{
    int bits = exponent - 1;
    for (; mantissa; mantissa >>= 1)
        bits++;
    /* ceil(log10(value)) or one less. */
    int point = (int)ceil(bits * 0.30102999566398120 - 1e-10);
    if (point >= 0) {
        nnd_bigint_mul_pow10(&g->s, point);
    } else {
        nnd_bigint_mul_pow10(&g->r, -point);
        nnd_bigint_mul_pow10(&g->up, -point);
        nnd_bigint_mul_pow10(&g->down, -point);
    }
    if (at_upper_end(g))
        point++;
    else
        times_ten(g);
    /* Division wants the top bit of the divisor set. */
    int pad = (32 - nnd_bigint_bits(&g->s) % 32) % 32;
    nnd_bigint_shift(&g->r, pad);
    nnd_bigint_shift(&g->s, pad);
    nnd_bigint_shift(&g->up, pad);
    nnd_bigint_shift(&g->down, pad);
    return point;
}

static void put_exact(uint64_t mantissa, int exponent, bool lopsided, digits *out)
{
    generator g;
    start(&g, mantissa, exponent, lopsided);
    out->point = scale(&g, mantissa, exponent);
    out->count = 0;
    for (;;) {
        uint32_t digit = nnd_bigint_divide(&g.r, &g.s);
        bool low = at_lower_end(&g), high = at_upper_end(&g);
        if (!low && !high) {
            out->text[out->count++] = (char)('0' + digit);
            times_ten(&g);
            continue;
        }
        bool up = high;
        if (low && high) {
            int sign = nnd_bigint_compare_sum(&g.r, &g.r, &g.s);
            up = sign > 0 || (sign == 0 && (digit & 1));
        }
        out->text[out->count++] = (char)('0' + digit + (up ? 1 : 0));
        return;
    }
}

static char *put_small_int(char *at, int value)
{
    if (value >= 100) *at++ = (char)('0' + value / 100);
    if (value >= 10) *at++ = (char)('0' + value / 10 % 10);
    *at++ = (char)('0' + value % 10);
    return at;
}

static char *put_bytes(char *at, const char *bytes, int count)
{
    memcpy(at, bytes, (size_t)count);
    return at + count;
}

static char *put_zeros(char *at, int count)
{
    memset(at, '0', (size_t)count);
    return at + count;
}

/* The layout rules of Number::toString (ECMA-262, 6.1.6.1.20). */
static size_t layout(const digits *d, bool negative, char *out)
{
    char *at = out;
    int k = d->count, n = d->point;
    if (negative) *at++ = '-';
    if (k <= n && n <= 21) {
        at = put_bytes(at, d->text, k);
        at = put_zeros(at, n - k);
    } else if (0 < n && n <= 21) {
        at = put_bytes(at, d->text, n);
        *at++ = '.';
        at = put_bytes(at, d->text + n, k - n);
    } else if (-6 < n && n <= 0) {
        at = put_bytes(at, "0.", 2);
        at = put_zeros(at, -n);
        at = put_bytes(at, d->text, k);
    } else {
        *at++ = d->text[0];
        if (k > 1) {
            *at++ = '.';
            at = put_bytes(at, d->text + 1, k - 1);
        }
        *at++ = 'e';
        *at++ = n > 0 ? '+' : '-';
        at = put_small_int(at, n > 0 ? n - 1 : 1 - n);
    }
    *at = '\0';
    return (size_t)(at - out);
}

static size_t put_text(char *out, const char *text)
{
    size_t n = strlen(text);
    memcpy(out, text, n + 1);
    return n;
}

/* NaN, infinities and zero; 0 for all other values. */
static size_t put_special(double value, char *out)
{
    if (value != value) return put_text(out, "NaN");
    if (value > DBL_MAX) return put_text(out, "Infinity");
    if (value < -DBL_MAX) return put_text(out, "-Infinity");
    return value == 0 ? put_text(out, "0") : 0;
}

size_t nnd_number_write(double value, char out[NND_NUMBER_TEXT])
{
    size_t special = put_special(value, out);
    if (special) return special;
    digits d;
    double size = fabs(value);
    if (size < 9007199254740992.0 && size == (double)(uint64_t)size) {
        put_integer((uint64_t)size, &d);
    } else if (!put_short_decimal(size, &d)) {
        uint64_t bits;
        memcpy(&bits, &size, sizeof(bits));
        uint64_t mantissa = bits & (((uint64_t)1 << 52) - 1);
        int exponent = (int)(bits >> 52);
        bool lopsided = mantissa == 0 && exponent > 1;
        if (exponent)
            mantissa |= (uint64_t)1 << 52;
        else
            exponent = 1;
        put_exact(mantissa, exponent - 1075, lopsided, &d);
    }
    return layout(&d, value < 0, out);
}

size_t nnd_number_write_float(float value, char out[NND_NUMBER_TEXT])
{
    size_t special = put_special((double)value, out);
    if (special) return special;
    digits d;
    float size = fabsf(value);
    if (size < 16777216.0f && size == (float)(uint32_t)size) {
        put_integer((uint32_t)size, &d);
    } else {
        uint32_t bits;
        memcpy(&bits, &size, sizeof(bits));
        uint32_t mantissa = bits & 0x7fffff;
        int exponent = (int)(bits >> 23);
        bool lopsided = mantissa == 0 && exponent > 1;
        if (exponent)
            mantissa |= 0x800000;
        else
            exponent = 1;
        put_exact(mantissa, exponent - 150, lopsided, &d);
    }
    return layout(&d, value < 0, out);
}

size_t nnd_number_write_int(int64_t value, char out[NND_NUMBER_TEXT])
{
    digits d;
    if (value == 0) return put_text(out, "0");
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    put_integer(size, &d);
    return layout(&d, value < 0, out); /* at most 19 digits: never an exponent */
}
