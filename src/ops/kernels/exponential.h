/*
 * What the exponentials of all instruction sets share: e^x = 2^n · e^r with n the integer next to
 * x / ln 2 and e^r = 1 + r + r² · q(r) for |r| ≤ ln 2 / 2, where q is the polynomial of degree 4
 * of the least relative error (3·10⁻⁹, a 20th of what rounding does).
 */
#ifndef NND_OPS_EXPONENTIAL_H
#define NND_OPS_EXPONENTIAL_H

#define NND_EXP_LOWEST   (-104.0f)        /* e^x rounds to 0 from here on */
#define NND_EXP_INV_LN2  0x1.715476p+0f   /* 1 / ln 2 */
#define NND_EXP_LN2_HIGH 0x1.63p-1f       /* few bits: its product with n is exact */
#define NND_EXP_LN2_LOW  -0x1.bd0106p-13f /* ln 2 less those */
#define NND_EXP_ROUND    0x1.8p+23f       /* added, leaves an integer in the lowest bits */
#define NND_EXP_Q0       0x1.fffffcp-2f
#define NND_EXP_Q1       0x1.555492p-3f
#define NND_EXP_Q2       0x1.5558f2p-5f
#define NND_EXP_Q3       0x1.123a2p-7f
#define NND_EXP_Q4       0x1.6a23dp-10f
/* 2^n in two factors, neither of which leaves the range of f32: 2^(n / 2) · 2^(n − n / 2). */
#define NND_EXP_BIAS 127

#endif
