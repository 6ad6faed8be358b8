/* u8 vectors × i8 rows by VNNI, whose sums of four products do not saturate. */
#include "engine/kernels/simd/int8_interleave_sse.h"

enum { LANES = 16 };
#define ROWS           14
#define VECTORS        2
#define SIGNED_VECTORS false
#define WIDE_ROWS      false
#define SET_ISA        NND_ISA_AVX512VNNI
#define SET_NAME       nnd_int8_set_avx512vnni

typedef __m512i vi;
typedef __m512i vx;
typedef __m512i vb;
typedef __m512i va;
typedef __m512 vf;

static inline vi vi_load(const int32_t *p)
{
    return _mm512_loadu_si512(p);
}
static inline void vi_store(int32_t *p, vi v)
{
    _mm512_storeu_si512(p, v);
}
static inline vi vi_set1(int32_t v)
{
    return _mm512_set1_epi32(v);
}
static inline vi vi_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}
static inline vi vi_mul(vi a, vi b)
{
    return _mm512_mullo_epi32(a, b);
}
static inline vx vx_load(const uint8_t *p)
{
    return _mm512_loadu_si512(p);
}
static inline vb vb_load(const char *p)
{
    return _mm512_set1_epi32(*(const int32_t *)(const void *)p);
}
static inline va va_zero(void)
{
    return _mm512_setzero_si512();
}
static inline va va_dot(va sums, vx x, vb row)
{
    /* gcc 12 copies the sums around its own function for this; as an operand that is read and
       written they stay where they are. */
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(x), "v"(row));
    return sums;
}
static inline vi va_total(va sums)
{
    return sums;
}
static inline vf vf_set1(float v)
{
    return _mm512_set1_ps(v);
}
static inline vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline vi vi_scale(vi sums, vf scale)
{
    vf v = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), scale);
    /* A NaN becomes the second operand. */
    v = _mm512_min_ps(_mm512_max_ps(v, _mm512_set1_ps(-1024.0f)), _mm512_set1_ps(1024.0f));
    return _mm512_cvtps_epi32(v);
}
static inline vi vi_limit(vi v, vi low, vi high)
{
    return _mm512_min_epi32(_mm512_max_epi32(v, low), high);
}
static inline void vi_bytes(vi v, uint8_t *to)
{
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtepi32_epi8(v));
}

typedef struct vp {
    vi v[2];
} vp;
enum { PAIR_LANES = 32 };
static inline vp vp_set1(int32_t v)
{
    return (vp){{vi_set1(v), vi_set1(v)}};
}
/* The upper halves of the lanes are 0: pairs of 16-bit products with one product each. */
static inline vp vp_tap(vp sums, const uint8_t *x, int32_t weight)
{
    vi w = vi_set1(weight & 0xffff);
    for (int i = 0; i < 2; i++) {
        vi v = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(x + 16 * i)));
        sums.v[i] = _mm512_dpwssd_epi32(sums.v[i], v, w);
    }
    return sums;
}
static inline void vp_store(int32_t *to, vp sums)
{
    vi_store(to, sums.v[0]);
    vi_store(to + LANES, sums.v[1]);
}

#include "engine/kernels/simd/int8_body.h"
