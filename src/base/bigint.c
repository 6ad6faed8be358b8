#include "base/bigint.h"

#include <string.h>

static void trim(nnd_bigint *a)
{
    while (a->size > 0 && a->limb[a->size - 1] == 0)
        a->size--;
}

void nnd_bigint_set(nnd_bigint *a, uint64_t value)
{
    a->limb[0] = (uint32_t)value;
    a->limb[1] = (uint32_t)(value >> 32);
    a->size = 2;
    trim(a);
}

void nnd_bigint_mul_add(nnd_bigint *a, uint32_t factor, uint32_t summand)
{
    uint64_t carry = summand;
    for (int i = 0; i < a->size; i++) {
        carry += (uint64_t)a->limb[i] * factor;
        a->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry) a->limb[a->size++] = (uint32_t)carry;
}

void nnd_bigint_mul_pow10(nnd_bigint *a, int exponent)
{
    enum { LARGEST = 13 }; /* 5^13 is the largest power of five in 32 bits */
    static const uint32_t powers[LARGEST + 1] = {1,       5,        25,        125,       625,
                                                 3125,    15625,    78125,     390625,    1953125,
                                                 9765625, 48828125, 244140625, 1220703125};
    int left = exponent;
    for (; left >= LARGEST; left -= LARGEST)
        nnd_bigint_mul_add(a, powers[LARGEST], 0);
    if (left > 0) nnd_bigint_mul_add(a, powers[left], 0);
    nnd_bigint_shift(a, exponent);
}

void nnd_bigint_shift(nnd_bigint *a, int bits)
{
    if (a->size == 0 || bits == 0) return;
    int whole = bits / 32, part = bits % 32;
    if (part) {
        uint32_t carry = 0;
        for (int i = 0; i < a->size; i++) {
            uint32_t limb = a->limb[i];
            a->limb[i] = limb << part | carry;
            carry = limb >> (32 - part);
        }
        if (carry) a->limb[a->size++] = carry;
    }
    if (whole) {
        memmove(a->limb + whole, a->limb, (size_t)a->size * sizeof(a->limb[0]));
        memset(a->limb, 0, (size_t)whole * sizeof(a->limb[0]));
        a->size += whole;
    }
}

int nnd_bigint_bits(const nnd_bigint *a)
{
    if (a->size == 0) return 0;
    int bits = 32 * a->size;
    for (uint32_t top = a->limb[a->size - 1]; !(top & 0x80000000u); top <<= 1)
        bits--;
    return bits;
}

int nnd_bigint_compare(const nnd_bigint *a, const nnd_bigint *b)
{
    if (a->size != b->size) return a->size < b->size ? -1 : 1;
    for (int i = a->size - 1; i >= 0; i--)
        if (a->limb[i] != b->limb[i]) /* NOLINT: size is the number of limbs in use */
            return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

int nnd_bigint_compare_sum(const nnd_bigint *a, const nnd_bigint *b, const nnd_bigint *c)
{
    nnd_bigint sum;
    int n = a->size > b->size ? a->size : b->size;
    uint64_t carry = 0;
    for (int i = 0; i < n; i++) {
        carry += i < a->size ? a->limb[i] : 0;
        carry += i < b->size ? b->limb[i] : 0;
        sum.limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    sum.size = n;
    if (carry) sum.limb[sum.size++] = (uint32_t)carry;
    return nnd_bigint_compare(&sum, c);
}

/* a -= b * factor over b's limbs plus one; true when it went below zero (then modulo 2^32^n). */
static bool subtract_multiple(nnd_bigint *a, const nnd_bigint *b, uint32_t factor)
{
    uint64_t carry = 0, borrow = 0;
    for (int i = 0; i <= b->size; i++) {
        carry += i < b->size ? (uint64_t)b->limb[i] * factor : 0;
        uint64_t difference = (uint64_t)a->limb[i] - (uint32_t)carry - borrow;
        a->limb[i] = (uint32_t)difference;
        borrow = (difference >> 32) & 1;
        carry >>= 32;
    }
    return borrow != 0;
}

static bool add_back(nnd_bigint *a, const nnd_bigint *b)
{
    uint64_t carry = 0;
    for (int i = 0; i <= b->size; i++) {
        carry += (uint64_t)a->limb[i] + (i < b->size ? b->limb[i] : 0);
        a->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return carry != 0;
}

uint32_t nnd_bigint_divide(nnd_bigint *a, const nnd_bigint *b)
{
    int n = b->size;
    if (a->size < n) return 0;
    for (int i = a->size; i <= n; i++)
        a->limb[i] = 0;
    /* The estimate from the top limbs is at most two too large, as b is normalised (Knuth, The
       Art of Computer Programming, volume 2, 4.3.1). */
    uint64_t top = (uint64_t)a->limb[n] << 32 | a->limb[n - 1];
    uint64_t estimate = top / b->limb[n - 1];
    uint32_t digit = estimate > UINT32_MAX ? UINT32_MAX : (uint32_t)estimate;
    if (subtract_multiple(a, b, digit)) {
        do {
            digit--;
        } while (!add_back(a, b));
    }
    a->size = n + 1;
    trim(a);
    return digit;
}
