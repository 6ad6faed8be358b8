/* Colour spaces with AVX2: the lanes of space_lanes.h. */
#include <immintrin.h>

#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx2.h"

#define LANES 8
typedef __m256i ints;

/* Four pixels in the low half from byte 0 on, four in the high half from byte 4 on. */
static inline ints load_3(const uint8_t *p)
{
    const __m256i pick = _mm256_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1, 4,
                                          5, 6, -1, 7, 8, 9, -1, 10, 11, 12, -1, 13, 14, 15, -1);
    const __m256i bytes = _mm256_set_m128i(_mm_loadu_si128((const __m128i *)(const void *)(p + 8)),
                                           _mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_shuffle_epi8(bytes, pick);
}

static inline ints load_4(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

static inline void store_3(uint8_t *p, ints word)
{
    const __m256i pick = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(word, pick),
                                                      _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7));
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(bytes));
    _mm_storel_epi64((__m128i *)(void *)(p + 16), _mm256_extracti128_si256(bytes, 1));
}

static inline void store_4(uint8_t *p, ints word)
{
    _mm256_storeu_si256((__m256i *)(void *)p, word);
}

static inline ints each(int v)
{
    return _mm256_set1_epi32(v);
}

static inline ints plus(ints a, ints b)
{
    return _mm256_add_epi32(a, b);
}

static inline ints minus(ints a, ints b)
{
    return _mm256_sub_epi32(a, b);
}

static inline ints smaller(ints a, ints b)
{
    return _mm256_min_epi32(a, b);
}

static inline ints larger(ints a, ints b)
{
    return _mm256_max_epi32(a, b);
}

static inline ints both_bits(ints a, ints b)
{
    return _mm256_and_si256(a, b);
}

static inline ints either_bits(ints a, ints b)
{
    return _mm256_or_si256(a, b);
}

static inline ints shift_up(ints v, int n)
{
    return _mm256_slli_epi32(v, n);
}

static inline ints shift_down(ints v, int n)
{
    return _mm256_srai_epi32(v, n);
}

/* The upper words multiply to 0, as those of b are. */
static inline ints times(ints a, ints b)
{
    return _mm256_madd_epi16(a, b);
}

static inline ints if_equal(ints a, ints b, ints yes, ints no)
{
    return _mm256_blendv_epi8(no, yes, _mm256_cmpeq_epi32(a, b));
}

static inline ints if_less(ints a, ints b, ints yes, ints no)
{
    return _mm256_blendv_epi8(no, yes, _mm256_cmpgt_epi32(b, a));
}

static inline ints quotient(ints a, ints b)
{
    return _mm256_cvtps_epi32(_mm256_div_ps(_mm256_cvtepi32_ps(a), _mm256_cvtepi32_ps(b)));
}

#include "ops/kernels/space_lanes.h"

SPACE_KERNELS(avx2)
