/* Soft-max, in the lanes of exp_lanes.h, and touching boxes with NEON. */
#include <arm_neon.h>
#include <math.h>

#include "ops/kernels/arm/neon.h"
#include "ops/kernels/reference/reference.h"

#define LANES 4
typedef float32x4_t floats;
typedef int32x4_t ints;
typedef struct sums {
    float64x2_t lane[NND_EXP_LANES / 2];
} sums;

static inline floats load(const float *p)
{
    return vld1q_f32(p);
}

static inline void store(float *p, floats v)
{
    vst1q_f32(p, v);
}

static inline floats load_part(const float *p, size_t count)
{
    float all[LANES] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    for (size_t i = 0; i < count; i++)
        all[i] = p[i];
    return load(all);
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
    return vdupq_n_f32(v);
}

static inline floats plus(floats a, floats b)
{
    return vaddq_f32(a, b);
}

static inline floats minus(floats a, floats b)
{
    return vsubq_f32(a, b);
}

static inline floats times(floats a, floats b)
{
    return vmulq_f32(a, b);
}

static inline floats least(floats v, floats lowest)
{
    return vmaxq_f32(v, lowest);
}

static inline ints bits_of(floats v)
{
    return vreinterpretq_s32_f32(v);
}

static inline floats floats_of(ints v)
{
    return vreinterpretq_f32_s32(v);
}

static inline ints less(ints a, ints b)
{
    return vsubq_s32(a, b);
}

static inline ints half(ints n)
{
    return vshrq_n_s32(n, 1);
}

#define power(n) vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(NND_EXP_BIAS)), 23)

static inline sums no_sums(void)
{
    const float64x2_t none = vdupq_n_f64(0);
    return (sums){{none, none, none, none, none, none, none, none}};
}

static inline sums add_to(sums sum, int first, floats v)
{
    float64x2_t *lane = sum.lane + first / 2;
    lane[0] = vaddq_f64(lane[0], vcvt_f64_f32(vget_low_f32(v)));
    lane[1] = vaddq_f64(lane[1], vcvt_high_f64_f32(v));
    return sum;
}

static inline double fold(sums sum)
{
    for (int width = NND_EXP_LANES / 4; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            sum.lane[i] = vaddq_f64(sum.lane[i], sum.lane[i + width]);
    return vpaddd_f64(sum.lane[0]);
}

#include "ops/kernels/exp_lanes.h"

double nnd_exp_f32_neon(float *dst, const float *src, size_t count, float top)
{
    return exp_row(dst, src, count, top);
}

float nnd_top_f32_neon(const float *src, size_t count)
{
    float32x4_t top = every(-INFINITY); /* NaN stays in a maximum */
    for (size_t i = 0; i < count; i += LANES)
        top = vmaxq_f32(top, count - i < LANES ? load_part(src + i, count - i) : load(src + i));
    return vmaxvq_f32(top);
}

size_t nnd_touching_neon(const nnd_box_columns *boxes, size_t from, const float box[4],
                         int32_t class_id)
{
    const float32x4_t x1 = every(box[0]), y1 = every(box[1]), x2 = every(box[2]),
                      y2 = every(box[3]);
    const int32x4_t id = vdupq_n_s32(class_id);
    size_t i = from;
    for (; i + LANES <= boxes->count; i += LANES) {
        const uint32x4_t wide =
            vcltq_f32(vmaxq_f32(load(boxes->x1 + i), x1), vminq_f32(load(boxes->x2 + i), x2));
        const uint32x4_t high =
            vcltq_f32(vmaxq_f32(load(boxes->y1 + i), y1), vminq_f32(load(boxes->y2 + i), y2));
        const uint32x4_t same = vceqq_s32(vld1q_s32(boxes->class_id + i), id);
        if (vmaxvq_u32(vandq_u32(vandq_u32(wide, high), same))) break; /* one of these */
    }
    return nnd_touching_reference(boxes, i, box, class_id);
}
