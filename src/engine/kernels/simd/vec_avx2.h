/* The vector vocabulary of the kernel bodies, AVX2 + FMA form. See vec.h for the names. */
#ifndef NND_ENGINE_KERNELS_SIMD_VEC_AVX2_H
#define NND_ENGINE_KERNELS_SIMD_VEC_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define VLEN           8
#define VEC_REGISTERS  16
#define VEC_NAME(stem) stem##_avx2
/* Register tile: 6 × 2 sums, 2 weights and a broadcast operand. */
#define TILE_ROWS    6
#define TILE_VECTORS 2

typedef __m256 vf;
typedef __m256 vm;

static inline vf v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
static inline void v_store(float *p, vf v)
{
    _mm256_storeu_ps(p, v);
}
static inline __m256i v_first(size_t n)
{
    static const int32_t mask[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    return _mm256_loadu_si256((const __m256i *)(mask + 8 - n));
}
static inline vf v_load_n(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, v_first(n));
}
static inline void v_store_n(float *p, vf v, size_t n)
{
    _mm256_maskstore_ps(p, v_first(n), v);
}
static inline vf v_set1(float x)
{
    return _mm256_set1_ps(x);
}
static inline vf v_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
static inline vf v_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
static inline vf v_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
static inline vf v_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
static inline vf v_fnma(vf a, vf b, vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}
static inline vf v_min(vf limit, vf x)
{
    return _mm256_min_ps(limit, x);
}
static inline vf v_max(vf limit, vf x)
{
    return _mm256_max_ps(limit, x);
}
static inline vf v_inverse(vf x)
{
    return _mm256_div_ps(_mm256_set1_ps(1.0f), x);
}
static inline vf v_sqrt(vf a)
{
    return _mm256_sqrt_ps(a);
}
static inline vf v_floor(vf a)
{
    return _mm256_floor_ps(a);
}
static inline vf v_ceil(vf a)
{
    return _mm256_ceil_ps(a);
}
static inline vf v_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vf v_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
static inline vf v_neg(vf a)
{
    return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f));
}
static inline vf v_copysign(vf magnitude, vf sign)
{
    const vf bit = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(bit, magnitude), _mm256_and_ps(bit, sign));
}
static inline vm v_less(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
static inline vm v_equal(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}
static inline vm v_is_nan(vf a)
{
    return _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
}
static inline vf v_select(vm mask, vf yes, vf no)
{
    return _mm256_blendv_ps(no, yes, mask);
}
static inline vf v_scale2(vf a, vf n)
{
    /* In two steps, so that results near both ends of the range come out right. */
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    const __m256i bias = _mm256_set1_epi32(127);
    __m256i one = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    __m256i two = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(a, _mm256_castsi256_ps(one)), _mm256_castsi256_ps(two));
}
static inline vf v_split(vf x, vf *exponent)
{
    /* Subnormals are lifted by 2^24 first. */
    vm small = _mm256_cmp_ps(x, _mm256_set1_ps(0x1p-126f), _CMP_LT_OQ);
    x = _mm256_blendv_ps(x, _mm256_mul_ps(x, _mm256_set1_ps(0x1p24f)), small);
    __m256i bits = _mm256_castps_si256(x);
    __m256i e = _mm256_sub_epi32(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(127));
    vf lift = _mm256_and_ps(small, _mm256_set1_ps(24.0f));
    *exponent = _mm256_sub_ps(_mm256_cvtepi32_ps(e), lift);
    __m256i fraction = _mm256_and_si256(bits, _mm256_set1_epi32(0x7fffff));
    return _mm256_castsi256_ps(_mm256_or_si256(fraction, _mm256_set1_epi32(0x3f800000)));
}
static inline vf v_load_even(const float *p)
{
    __m256 low = _mm256_loadu_ps(p), high = _mm256_loadu_ps(p + 8);
    __m256 mixed = _mm256_shuffle_ps(low, high, 0x88);
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), 0xd8));
}
static inline float v_sum(vf a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
static inline float v_largest(vf a)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
static inline void v_transpose(vf r[VLEN])
{
    vf a[VLEN];
    for (int i = 0; i < VLEN; i += 2) {
        a[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        a[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int g = 0; g < VLEN; g += 4) {
        r[g] = _mm256_shuffle_ps(a[g], a[g + 2], 0x44);
        r[g + 1] = _mm256_shuffle_ps(a[g], a[g + 2], 0xee);
        r[g + 2] = _mm256_shuffle_ps(a[g + 1], a[g + 3], 0x44);
        r[g + 3] = _mm256_shuffle_ps(a[g + 1], a[g + 3], 0xee);
    }
    for (int j = 0; j < 4; j++) {
        a[j] = _mm256_permute2f128_ps(r[j], r[4 + j], 0x20);
        a[4 + j] = _mm256_permute2f128_ps(r[j], r[4 + j], 0x31);
    }
    for (int i = 0; i < VLEN; i++)
        r[i] = a[i];
}

#endif
