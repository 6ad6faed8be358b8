/* The vector vocabulary of the kernel bodies, AVX-512 form. See vec.h for what the names mean. */
#ifndef NND_ENGINE_KERNELS_SIMD_VEC_AVX512_H
#define NND_ENGINE_KERNELS_SIMD_VEC_AVX512_H

#include <immintrin.h>
#include <stddef.h>

#define VLEN           16
#define VEC_REGISTERS  32
#define VEC_NAME(stem) stem##_avx512
/* Register tile: 14 × 2 sums, 2 weights and a broadcast operand. */
#define TILE_ROWS    14
#define TILE_VECTORS 2

typedef __m512 vf;
typedef __mmask16 vm;

static inline vf v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline void v_store(float *p, vf v)
{
    _mm512_storeu_ps(p, v);
}
static inline vm v_first(size_t n)
{
    return (vm)((1u << n) - 1u);
}
static inline vf v_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(v_first(n), p);
}
static inline void v_store_n(float *p, vf v, size_t n)
{
    _mm512_mask_storeu_ps(p, v_first(n), v);
}
static inline vf v_set1(float x)
{
    return _mm512_set1_ps(x);
}
static inline vf v_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
static inline vf v_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
static inline vf v_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
static inline vf v_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
static inline vf v_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
}
static inline vf v_min(vf limit, vf x)
{
    return _mm512_min_ps(limit, x);
}
static inline vf v_max(vf limit, vf x)
{
    return _mm512_max_ps(limit, x);
}
static inline vf v_inverse(vf x)
{
    /* 14 bits, doubled by a step of Newton's. */
    vf y = _mm512_rcp14_ps(x);
    return _mm512_fmadd_ps(y, _mm512_fnmadd_ps(x, y, _mm512_set1_ps(1.0f)), y);
}
static inline vf v_sqrt(vf a)
{
    return _mm512_sqrt_ps(a);
}
static inline vf v_floor(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
static inline vf v_ceil(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
}
static inline vf v_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vf v_abs(vf a)
{
    return _mm512_abs_ps(a);
}
static inline vf v_neg(vf a)
{
    return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f));
}
static inline vf v_copysign(vf magnitude, vf sign)
{
    const vf bit = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(bit, magnitude), _mm512_and_ps(bit, sign));
}
static inline vm v_less(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
static inline vm v_equal(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}
static inline vm v_is_nan(vf a)
{
    return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
}
static inline vf v_select(vm mask, vf yes, vf no)
{
    return _mm512_mask_blend_ps(mask, no, yes);
}
static inline vf v_scale2(vf a, vf n)
{
    return _mm512_scalef_ps(a, n);
}
static inline vf v_split(vf x, vf *exponent)
{
    *exponent = _mm512_getexp_ps(x);
    return _mm512_getmant_ps(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero);
}
static inline vf v_load_even(const float *p)
{
    const __m512i even =
        _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    return _mm512_permutex2var_ps(_mm512_loadu_ps(p), even, _mm512_loadu_ps(p + 16));
}
static inline float v_sum(vf a)
{
    return _mm512_reduce_add_ps(a);
}
static inline float v_largest(vf a)
{
    return _mm512_reduce_max_ps(a);
}
static inline void v_transpose(vf r[VLEN])
{
    vf a[VLEN];
    for (int i = 0; i < VLEN; i += 2) {
        a[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        a[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    /* b[4g + j]: column j of each 4-column lane for rows 4g … 4g + 3. */
    for (int g = 0; g < VLEN; g += 4) {
        __m512d low0 = _mm512_castps_pd(a[g]), low1 = _mm512_castps_pd(a[g + 2]);
        __m512d high0 = _mm512_castps_pd(a[g + 1]), high1 = _mm512_castps_pd(a[g + 3]);
        r[g] = _mm512_castpd_ps(_mm512_unpacklo_pd(low0, low1));
        r[g + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low0, low1));
        r[g + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high0, high1));
        r[g + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high0, high1));
    }
    for (int j = 0; j < 4; j++) {
        vf even01 = _mm512_shuffle_f32x4(r[j], r[4 + j], 0x88);
        vf odd01 = _mm512_shuffle_f32x4(r[j], r[4 + j], 0xdd);
        vf even23 = _mm512_shuffle_f32x4(r[8 + j], r[12 + j], 0x88);
        vf odd23 = _mm512_shuffle_f32x4(r[8 + j], r[12 + j], 0xdd);
        a[j] = _mm512_shuffle_f32x4(even01, even23, 0x88);
        a[8 + j] = _mm512_shuffle_f32x4(even01, even23, 0xdd);
        a[4 + j] = _mm512_shuffle_f32x4(odd01, odd23, 0x88);
        a[12 + j] = _mm512_shuffle_f32x4(odd01, odd23, 0xdd);
    }
    for (int i = 0; i < VLEN; i++)
        r[i] = a[i];
}

#endif
