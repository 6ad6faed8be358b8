/* What both NEON files share: everything but the products of bytes. */
#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 4 };
#define VECTORS        2
#define SIGNED_VECTORS true
#define WIDE_ROWS      false

typedef int32x4_t vi;
typedef float32x4_t vf;
typedef int8x16_t vx;
typedef int8x16_t vb;

static inline vi vi_load(const int32_t *p)
{
    return vld1q_s32(p);
}
static inline void vi_store(int32_t *p, vi v)
{
    vst1q_s32(p, v);
}
static inline vi vi_set1(int32_t v)
{
    return vdupq_n_s32(v);
}
static inline vi vi_add(vi a, vi b)
{
    return vaddq_s32(a, b);
}
static inline vi vi_mul(vi a, vi b)
{
    return vmulq_s32(a, b);
}
static inline vx vx_load(const uint8_t *p)
{
    return vreinterpretq_s8_u8(vld1q_u8(p));
}
static inline vb vb_load(const char *p)
{
    return vreinterpretq_s8_s32(vld1q_dup_s32((const int32_t *)(const void *)p));
}
static inline vf vf_set1(float v)
{
    return vdupq_n_f32(v);
}
static inline vf vf_load(const float *p)
{
    return vld1q_f32(p);
}
static inline void vf_store(float *p, vf v)
{
    vst1q_f32(p, v);
}
static inline vf vf_load_n(const float *p, size_t n)
{
    float lanes[4] = {0};
    memcpy(lanes, p, n * sizeof *p);
    return vld1q_f32(lanes);
}
static inline void vf_store_n(float *p, vf v, size_t n)
{
    float lanes[4];
    vst1q_f32(lanes, v);
    memcpy(p, lanes, n * sizeof *p);
}
static inline vf vf_of(vi v)
{
    return vcvtq_f32_s32(v);
}
static inline vf vf_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}
static inline vf vf_mul(vf a, vf b)
{
    return vmulq_f32(a, b);
}
static inline vf vf_div(vf a, vf b)
{
    return vdivq_f32(a, b);
}
static inline vf vf_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
}
static inline vf vf_least(vf v, vf low)
{
    return vbslq_f32(vcltq_f32(v, low), v, low);
}
static inline vf vf_most(vf v, vf high)
{
    return vbslq_f32(vcgtq_f32(v, high), v, high);
}
static inline vi vi_codes(const uint8_t *p, bool is_signed)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    uint8x8_t v = vreinterpret_u8_u32(vdup_n_u32(four));
    if (is_signed) return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(v))));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(v))));
}
static inline vf vf_ordered(vf v)
{
    return vbslq_f32(vceqq_f32(v, v), v, vdupq_n_f32(0.0f));
}
/* A NaN is not greater than low. */
static inline vi vi_round(vf v, vf low, vf high)
{
    v = vbslq_f32(vcgtq_f32(v, low), v, low);
    return vcvtnq_s32_f32(vminq_f32(v, high));
}
static inline void vi_bytes(vi v, uint8_t *to)
{
    int16x4_t half = vmovn_s32(v);
    int8x8_t bytes = vmovn_s16(vcombine_s16(half, half));
    uint32_t four = vget_lane_u32(vreinterpret_u32_s8(bytes), 0);
    memcpy(to, &four, sizeof four);
}

static inline void vi_bytes_part(vi v, uint8_t *to, size_t n)
{
    uint8_t all[LANES];
    vi_bytes(v, all);
    for (size_t i = 0; i < n; i++)
        to[i] = all[i];
}

/* 64 entries at a time; what is not among the first of them is taken from the next. */
static inline size_t int8_lookup_all(const uint8_t *table, const uint8_t *x, uint8_t *y, size_t n)
{
    uint8x16x4_t part[4];
    size_t i = 0;
    for (int t = 0; t < 4; t++)
        part[t] = vld1q_u8_x4(table + 64 * t);
    for (; n - i >= 16; i += 16) {
        uint8x16_t v = vld1q_u8(x + i), found = vqtbl4q_u8(part[0], v);
        for (int t = 1; t < 4; t++)
            found = vqtbx4q_u8(found, part[t], vsubq_u8(v, vdupq_n_u8((uint8_t)(64 * t))));
        vst1q_u8(y + i, found);
    }
    return i;
}

enum { INTERLEAVED = 8 };
static inline void int8_interleave_some(const uint8_t *const rows[4], size_t at, uint8_t flip,
                                        uint8_t *to)
{
    uint8x8x4_t x;
    for (int j = 0; j < 4; j++)
        x.val[j] = veor_u8(vld1_u8(rows[j] + at), vdup_n_u8(flip));
    vst4_u8(to, x);
}

typedef struct vp {
    vi v[2];
} vp;
enum { PAIR_LANES = 8 };
static inline vp vp_set1(int32_t v)
{
    return (vp){{vi_set1(v), vi_set1(v)}};
}
static inline vp vp_tap(vp sums, const uint8_t *x, int32_t weight, int64_t step)
{
    uint8x8_t bytes = step == 1 ? vld1_u8(x) : vld2_u8(x).val[0];
    int16x8_t v = vreinterpretq_s16_u16(vmovl_u8(bytes));
    sums.v[0] = vmlal_n_s16(sums.v[0], vget_low_s16(v), (int16_t)weight);
    sums.v[1] = vmlal_n_s16(sums.v[1], vget_high_s16(v), (int16_t)weight);
    return sums;
}
static inline vi vp_get(vp sums, int i)
{
    return sums.v[i];
}
