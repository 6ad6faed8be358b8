/* The vector vocabulary of the kernel bodies, AArch64 NEON form. See vec.h for the names. */
#ifndef NND_ENGINE_KERNELS_SIMD_VEC_NEON_H
#define NND_ENGINE_KERNELS_SIMD_VEC_NEON_H

#include <arm_neon.h>
#include <stddef.h>
#include <string.h>

#define VLEN           4
#define VEC_REGISTERS  32
#define VEC_NAME(stem) stem##_neon
/* Register tile: 8 × 2 sums, 2 weights, 8 broadcast operands. */
#define TILE_ROWS    8
#define TILE_VECTORS 2

typedef float32x4_t vf;
typedef uint32x4_t vm;

static inline vf v_load(const float *p)
{
    return vld1q_f32(p);
}
static inline void v_store(float *p, vf v)
{
    vst1q_f32(p, v);
}
static inline vf v_load_n(const float *p, size_t n)
{
    float lanes[4] = {0};
    memcpy(lanes, p, n * sizeof *p);
    return vld1q_f32(lanes);
}
static inline void v_store_n(float *p, vf v, size_t n)
{
    float lanes[4];
    vst1q_f32(lanes, v);
    memcpy(p, lanes, n * sizeof *p);
}
static inline vf v_set1(float x)
{
    return vdupq_n_f32(x);
}
static inline vf v_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}
static inline vf v_sub(vf a, vf b)
{
    return vsubq_f32(a, b);
}
static inline vf v_mul(vf a, vf b)
{
    return vmulq_f32(a, b);
}
static inline vf v_div(vf a, vf b)
{
    return vdivq_f32(a, b);
}
static inline vf v_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
}
static inline vf v_fnma(vf a, vf b, vf c)
{
    return vfmsq_f32(c, a, b);
}
static inline vf v_min(vf limit, vf x)
{
    return vminq_f32(limit, x);
}
static inline vf v_max(vf limit, vf x)
{
    return vmaxq_f32(limit, x);
}
static inline vf v_inverse(vf x)
{
    return vdivq_f32(vdupq_n_f32(1.0f), x);
}
static inline vf v_sqrt(vf a)
{
    return vsqrtq_f32(a);
}
static inline vf v_floor(vf a)
{
    return vrndmq_f32(a);
}
static inline vf v_ceil(vf a)
{
    return vrndpq_f32(a);
}
static inline vf v_round(vf a)
{
    return vrndnq_f32(a);
}
static inline vf v_abs(vf a)
{
    return vabsq_f32(a);
}
static inline vf v_neg(vf a)
{
    return vnegq_f32(a);
}
static inline vf v_copysign(vf magnitude, vf sign)
{
    return vbslq_f32(vdupq_n_u32(0x80000000u), sign, magnitude);
}
static inline vm v_less(vf a, vf b)
{
    return vcltq_f32(a, b);
}
static inline vm v_equal(vf a, vf b)
{
    return vceqq_f32(a, b);
}
static inline vm v_is_nan(vf a)
{
    return vmvnq_u32(vceqq_f32(a, a));
}
static inline vf v_select(vm mask, vf yes, vf no)
{
    return vbslq_f32(mask, yes, no);
}
static inline vf v_scale2(vf a, vf n)
{
    /* In two steps, so that results near both ends of the range come out right. */
    int32x4_t whole = vcvtnq_s32_f32(n), half = vshrq_n_s32(whole, 1);
    const int32x4_t bias = vdupq_n_s32(127);
    int32x4_t one = vshlq_n_s32(vaddq_s32(half, bias), 23);
    int32x4_t two = vshlq_n_s32(vaddq_s32(vsubq_s32(whole, half), bias), 23);
    return vmulq_f32(vmulq_f32(a, vreinterpretq_f32_s32(one)), vreinterpretq_f32_s32(two));
}
static inline vf v_split(vf x, vf *exponent)
{
    /* Subnormals are lifted by 2^24 first. */
    vm small = vcltq_f32(x, vdupq_n_f32(0x1p-126f));
    x = vbslq_f32(small, vmulq_n_f32(x, 0x1p24f), x);
    uint32x4_t bits = vreinterpretq_u32_f32(x);
    int32x4_t e = vsubq_s32(vreinterpretq_s32_u32(vshrq_n_u32(bits, 23)), vdupq_n_s32(127));
    vf lift = vbslq_f32(small, vdupq_n_f32(24.0f), vdupq_n_f32(0.0f));
    *exponent = vsubq_f32(vcvtq_f32_s32(e), lift);
    uint32x4_t fraction = vandq_u32(bits, vdupq_n_u32(0x7fffff));
    return vreinterpretq_f32_u32(vorrq_u32(fraction, vdupq_n_u32(0x3f800000)));
}
static inline vf v_load_even(const float *p)
{
    return vuzp1q_f32(vld1q_f32(p), vld1q_f32(p + 4));
}
static inline float v_sum(vf a)
{
    return vaddvq_f32(a);
}
static inline float v_largest(vf a)
{
    return vmaxvq_f32(a);
}
static inline void v_transpose(vf r[VLEN])
{
    float64x2_t low01 = vreinterpretq_f64_f32(vzip1q_f32(r[0], r[1]));
    float64x2_t high01 = vreinterpretq_f64_f32(vzip2q_f32(r[0], r[1]));
    float64x2_t low23 = vreinterpretq_f64_f32(vzip1q_f32(r[2], r[3]));
    float64x2_t high23 = vreinterpretq_f64_f32(vzip2q_f32(r[2], r[3]));
    r[0] = vreinterpretq_f32_f64(vzip1q_f64(low01, low23));
    r[1] = vreinterpretq_f32_f64(vzip2q_f64(low01, low23));
    r[2] = vreinterpretq_f32_f64(vzip1q_f64(high01, high23));
    r[3] = vreinterpretq_f32_f64(vzip2q_f64(high01, high23));
}

#endif
