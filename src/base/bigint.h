/*
 * Unsigned integers of bounded size for exact conversion of numbers. The capacity covers every
 * intermediate of number_read.c and number_write.c, so nothing can overflow; private to those two.
 */
#ifndef NND_BASE_BIGINT_H
#define NND_BASE_BIGINT_H

#include <stdbool.h>
#include <stdint.h>

/* 800 digits over 10^1125: 3740 bits, and a guard limb for a division step. */
#define NND_BIGINT_LIMBS 136

typedef struct nnd_bigint {
    uint32_t limb[NND_BIGINT_LIMBS]; /* least significant first */
    int size;                        /* limbs in use, the top one is not zero; 0 = zero */
} nnd_bigint;

void nnd_bigint_set(nnd_bigint *a, uint64_t value);
void nnd_bigint_mul_add(nnd_bigint *a, uint32_t factor, uint32_t summand);
void nnd_bigint_mul_pow10(nnd_bigint *a, int exponent); /* exponent ≥ 0 */
void nnd_bigint_shift(nnd_bigint *a, int bits);         /* to the left */
int nnd_bigint_bits(const nnd_bigint *a);
int nnd_bigint_compare(const nnd_bigint *a, const nnd_bigint *b);
/* Sign of a + b - c. */
int nnd_bigint_compare_sum(const nnd_bigint *a, const nnd_bigint *b, const nnd_bigint *c);
/* Replaces a by a mod b and returns a / b, which has to be below 2^32; b's top limb must have its
   highest bit set. */
uint32_t nnd_bigint_divide(nnd_bigint *a, const nnd_bigint *b);

#endif
