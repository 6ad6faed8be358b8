/* Overflow-checked arithmetic for untrusted sizes: false when the result does not fit (and *out is
   then unchanged). */
#ifndef NND_BASE_SIZE_H
#define NND_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool nnd_size_add(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b) return false;
    *out = a + b;
    return true;
}

static inline bool nnd_size_mul(size_t a, size_t b, size_t *out)
{
    if (b != 0 && a > SIZE_MAX / b) return false;
    *out = a * b;
    return true;
}

/* Rounds up to a multiple of align, a power of two. */
static inline bool nnd_size_align(size_t a, size_t align, size_t *out)
{
    if (a > SIZE_MAX - (align - 1)) return false;
    *out = (a + (align - 1)) & ~(align - 1);
    return true;
}

static inline bool nnd_i64_add(int64_t a, int64_t b, int64_t *out)
{
    if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b) return false;
    *out = a + b;
    return true;
}

static inline bool nnd_i64_sub(int64_t a, int64_t b, int64_t *out)
{
    if (b < 0 ? a > INT64_MAX + b : a < INT64_MIN + b) return false;
    *out = a - b;
    return true;
}

static inline bool nnd_i64_mul(int64_t a, int64_t b, int64_t *out)
{
#if defined(__GNUC__)
    int64_t product;
    if (__builtin_mul_overflow(a, b, &product)) return false;
    *out = product;
    return true;
#else
    if (a != 0 && b != 0) {
        if (a > 0 ? (b > 0 ? a > INT64_MAX / b : b < INT64_MIN / a)
                  : (b > 0 ? a < INT64_MIN / b : b < INT64_MAX / a))
            return false;
    }
    *out = a * b;
    return true;
#endif
}

/* A non-negative int64 that fits into size_t. */
static inline bool nnd_size_from_i64(int64_t a, size_t *out)
{
    if (a < 0 || (uint64_t)a > SIZE_MAX) return false;
    *out = (size_t)a;
    return true;
}

#endif
