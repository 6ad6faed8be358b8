/* Soft-max, in the lanes of exp_lanes.h, and touching boxes with AVX2. */
#include <immintrin.h>
#include <math.h>

#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx2.h"

#define LANES 8
typedef __m256 floats;
typedef __m256i ints;
typedef struct sums {
    __m256d lane[NND_EXP_LANES / 4];
} sums;

static inline floats load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void store(float *p, floats v)
{
    _mm256_storeu_ps(p, v);
}

static inline floats load_part(const float *p, size_t count)
{
    static const int32_t there[2 * LANES] = {-1, -1, -1, -1, -1, -1, -1, -1};
    const __m256i mask = _mm256_loadu_si256((const __m256i *)(const void *)(there + LANES - count));
    return _mm256_blendv_ps(_mm256_set1_ps(-INFINITY), _mm256_maskload_ps(p, mask),
                            _mm256_castsi256_ps(mask));
}

static inline void store_part(float *p, floats v, size_t count)
{
    float all[LANES];
    store(all, v);
    for (size_t i = 0; i < count; i++)
        p[i] = all[i];
}

static inline floats every(float v)
{
    return _mm256_set1_ps(v);
}

static inline floats plus(floats a, floats b)
{
    return _mm256_add_ps(a, b);
}

static inline floats minus(floats a, floats b)
{
    return _mm256_sub_ps(a, b);
}

static inline floats times(floats a, floats b)
{
    return _mm256_mul_ps(a, b);
}

static inline floats least(floats v, floats lowest)
{
    return _mm256_max_ps(v, lowest);
}

static inline ints bits_of(floats v)
{
    return _mm256_castps_si256(v);
}

static inline floats floats_of(ints v)
{
    return _mm256_castsi256_ps(v);
}

static inline ints less(ints a, ints b)
{
    return _mm256_sub_epi32(a, b);
}

static inline ints half(ints n)
{
    return _mm256_srai_epi32(n, 1);
}

#define power(n) _mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(NND_EXP_BIAS)), 23)

static inline sums no_sums(void)
{
    const __m256d none = _mm256_setzero_pd();
    return (sums){{none, none, none, none}};
}

static inline sums add_to(sums sum, int first, floats v)
{
    __m256d *lane = sum.lane + first / 4;
    lane[0] = _mm256_add_pd(lane[0], _mm256_cvtps_pd(_mm256_castps256_ps128(v)));
    lane[1] = _mm256_add_pd(lane[1], _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)));
    return sum;
}

static inline double fold(sums sum)
{
    const __m256d four = _mm256_add_pd(_mm256_add_pd(sum.lane[0], sum.lane[2]),
                                       _mm256_add_pd(sum.lane[1], sum.lane[3]));
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

#include "ops/kernels/exp_lanes.h"

double nnd_exp_f32_avx2(float *dst, const float *src, size_t count, float top)
{
    return exp_row(dst, src, count, top);
}

float nnd_top_f32_avx2(const float *src, size_t count)
{
    __m256 top = every(-INFINITY), odd = _mm256_setzero_ps();
    for (size_t i = 0; i < count; i += LANES) {
        const __m256 v = count - i < LANES ? load_part(src + i, count - i) : load(src + i);
        odd = _mm256_or_ps(odd, _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
        top = _mm256_max_ps(top, v);
    }
    if (_mm256_movemask_ps(odd)) return NAN;
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(top), _mm256_extractf128_ps(top, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

size_t nnd_touching_avx2(const nnd_box_columns *boxes, size_t from, const float box[4],
                         int32_t class_id)
{
    const __m256 x1 = every(box[0]), y1 = every(box[1]), x2 = every(box[2]), y2 = every(box[3]);
    const __m256i id = _mm256_set1_epi32(class_id);
    size_t i = from;
    for (; i + LANES <= boxes->count; i += LANES) {
        const __m256 left = _mm256_max_ps(load(boxes->x1 + i), x1),
                     upper = _mm256_max_ps(load(boxes->y1 + i), y1);
        const __m256 right = _mm256_min_ps(load(boxes->x2 + i), x2),
                     lower = _mm256_min_ps(load(boxes->y2 + i), y2);
        const __m256 area = _mm256_and_ps(_mm256_cmp_ps(left, right, _CMP_LT_OQ),
                                          _mm256_cmp_ps(upper, lower, _CMP_LT_OQ));
        const __m256i ids =
            _mm256_loadu_si256((const __m256i *)(const void *)(boxes->class_id + i));
        const __m256 same = _mm256_castsi256_ps(_mm256_cmpeq_epi32(ids, id));
        const int found = _mm256_movemask_ps(_mm256_and_ps(area, same));
        if (found) return i + (size_t)__builtin_ctz((unsigned)found);
    }
    return nnd_touching_reference(boxes, i, box, class_id);
}
