/* Searching scores, in the lanes of scan_lanes.h, with AVX2. */
#include <immintrin.h>
#include <math.h>

#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx2.h"

#define SCAN(name) name##_avx2
#define LANES      8
typedef __m256 floats;

static inline floats load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline floats every(float v)
{
    return _mm256_set1_ps(v);
}

static inline floats times(floats a, floats b)
{
    return _mm256_mul_ps(a, b);
}

static inline floats higher(floats a, floats b)
{
    return _mm256_max_ps(a, b);
}

static inline floats capped(floats v)
{
    return _mm256_min_ps(_mm256_max_ps(v, _mm256_setzero_ps()), every(1));
}

static inline floats root(floats v)
{
    return _mm256_sqrt_ps(v);
}

static inline float largest(floats v)
{
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

static inline bool any_above(floats a, floats b)
{
    return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0;
}

static inline bool any_equal(floats a, floats b)
{
    return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_EQ_OQ)) != 0;
}

#include "ops/kernels/scan_lanes.h"
