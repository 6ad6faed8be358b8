/* Soft-max, in the lanes of exp_lanes.h, and touching boxes with AVX-512. */
#include <immintrin.h>
#include <math.h>

#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx512.h"

#define LANES 16
typedef __m512 floats;
typedef __m512i ints;
typedef struct sums {
    __m512d low, high;
} sums;

static inline floats load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void store(float *p, floats v)
{
    _mm512_storeu_ps(p, v);
}

static inline floats load_part(const float *p, size_t count)
{
    return _mm512_mask_loadu_ps(_mm512_set1_ps(-INFINITY), (__mmask16)((1u << count) - 1), p);
}

static inline void store_part(float *p, floats v, size_t count)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), v);
}

static inline floats every(float v)
{
    return _mm512_set1_ps(v);
}

static inline floats plus(floats a, floats b)
{
    return _mm512_add_ps(a, b);
}

static inline floats minus(floats a, floats b)
{
    return _mm512_sub_ps(a, b);
}

static inline floats times(floats a, floats b)
{
    return _mm512_mul_ps(a, b);
}

static inline floats least(floats v, floats lowest)
{
    return _mm512_max_ps(v, lowest);
}

static inline ints bits_of(floats v)
{
    return _mm512_castps_si512(v);
}

static inline floats floats_of(ints v)
{
    return _mm512_castsi512_ps(v);
}

static inline ints less(ints a, ints b)
{
    return _mm512_sub_epi32(a, b);
}

static inline ints half(ints n)
{
    return _mm512_srai_epi32(n, 1);
}

#define power(n) _mm512_slli_epi32(_mm512_add_epi32(n, _mm512_set1_epi32(NND_EXP_BIAS)), 23)

static inline sums no_sums(void)
{
    return (sums){_mm512_setzero_pd(), _mm512_setzero_pd()};
}

static inline sums add_to(sums sum, int first, floats v)
{
    (void)first; /* all of them */
    sum.low = _mm512_add_pd(sum.low, _mm512_cvtps_pd(_mm512_castps512_ps256(v)));
    sum.high = _mm512_add_pd(sum.high, _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)));
    return sum;
}

static inline double fold(sums sum)
{
    const __m512d eight = _mm512_add_pd(sum.low, sum.high);
    const __m256d four =
        _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

#include "ops/kernels/exp_lanes.h"

double nnd_exp_f32_avx512(float *dst, const float *src, size_t count, float top)
{
    return exp_row(dst, src, count, top);
}

float nnd_top_f32_avx512(const float *src, size_t count)
{
    __m512 top = every(-INFINITY);
    __mmask16 odd = 0;
    for (size_t i = 0; i < count; i += LANES) {
        const __m512 v = count - i < LANES ? load_part(src + i, count - i) : load(src + i);
        odd |= _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
        top = _mm512_max_ps(top, v);
    }
    return odd ? NAN : _mm512_reduce_max_ps(top);
}

size_t nnd_touching_avx512(const nnd_box_columns *boxes, size_t from, const float box[4],
                           int32_t class_id)
{
    const __m512 x1 = every(box[0]), y1 = every(box[1]), x2 = every(box[2]), y2 = every(box[3]);
    const __m512i id = _mm512_set1_epi32(class_id);
    size_t i = from;
    for (; i + LANES <= boxes->count; i += LANES) {
        __mmask16 found = _mm512_cmpeq_epi32_mask(_mm512_loadu_si512(boxes->class_id + i), id);
        found = _mm512_mask_cmp_ps_mask(found, _mm512_max_ps(load(boxes->x1 + i), x1),
                                        _mm512_min_ps(load(boxes->x2 + i), x2), _CMP_LT_OQ);
        found = _mm512_mask_cmp_ps_mask(found, _mm512_max_ps(load(boxes->y1 + i), y1),
                                        _mm512_min_ps(load(boxes->y2 + i), y2), _CMP_LT_OQ);
        if (found) return i + (size_t)__builtin_ctz((unsigned)found);
    }
    return nnd_touching_reference(boxes, i, box, class_id);
}
