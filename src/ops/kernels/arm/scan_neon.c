/* Searching scores, in the lanes of scan_lanes.h, with NEON. */
#include <arm_neon.h>
#include <math.h>

#include "ops/kernels/arm/neon.h"
#include "ops/kernels/reference/reference.h"

#define LANES 4
typedef float32x4_t floats;

static inline floats load(const float *p)
{
    return vld1q_f32(p);
}

static inline floats every(float v)
{
    return vdupq_n_f32(v);
}

static inline floats times(floats a, floats b)
{
    return vmulq_f32(a, b);
}

static inline floats higher(floats a, floats b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

static inline floats capped(floats v)
{
    return vminq_f32(higher(v, every(0)), every(1));
}

static inline floats root(floats v)
{
    return vsqrtq_f32(v);
}

static inline float largest(floats v)
{
    return vmaxvq_f32(v);
}

static inline bool any_above(floats a, floats b)
{
    return vmaxvq_u32(vcgtq_f32(a, b)) != 0;
}

static inline bool any_equal(floats a, floats b)
{
    return vmaxvq_u32(vceqq_f32(a, b)) != 0;
}

#include "ops/kernels/scan_lanes.h"

size_t nnd_first_above_neon(const float *src, size_t from, size_t count, const float *bound,
                            size_t period)
{
    return scan_above(src, from, count, bound, period);
}

size_t nnd_first_mean_above_neon(const float *a, const float *b, size_t from, size_t count,
                                 float bound)
{
    return scan_mean(a, b, from, count, bound);
}

size_t nnd_first_product_above_neon(const float *cells, size_t step, size_t from, size_t count,
                                    float bound)
{
    return scan_cells(cells, step, from, count, bound);
}

size_t nnd_best_f32_neon(const float *src, size_t count)
{
    return scan_best(src, count);
}
