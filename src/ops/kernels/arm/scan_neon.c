/* Searching scores, in the lanes of scan_lanes.h, with NEON. */
#include <arm_neon.h>
#include <math.h>

#include "ops/kernels/arm/neon.h"
#include "ops/kernels/reference/reference.h"

#define SCAN(name) name##_neon
#define LANES      4
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
