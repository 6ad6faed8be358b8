/* Searching scores, in the lanes of scan_lanes.h, with AVX-512. */
#include <immintrin.h>
#include <math.h>

#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx512.h"

#define SCAN(name) name##_avx512
#define LANES      16
typedef __m512 floats;

static inline floats load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline floats every(float v)
{
    return _mm512_set1_ps(v);
}

static inline floats times(floats a, floats b)
{
    return _mm512_mul_ps(a, b);
}

static inline floats higher(floats a, floats b)
{
    return _mm512_max_ps(a, b);
}

static inline floats capped(floats v)
{
    return _mm512_min_ps(_mm512_max_ps(v, _mm512_setzero_ps()), every(1));
}

static inline floats root(floats v)
{
    return _mm512_sqrt_ps(v);
}

static inline float largest(floats v)
{
    return _mm512_reduce_max_ps(v);
}

static inline bool any_above(floats a, floats b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0;
}

static inline bool any_equal(floats a, floats b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ) != 0;
}

#include "ops/kernels/scan_lanes.h"
