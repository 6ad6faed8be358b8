/* Colour spaces with AVX-512: the lanes of space_lanes.h. */
#include <immintrin.h>

#include "ops/kernels/reference/reference.h"
#include "ops/kernels/x86/avx512.h"

#define LANES 16
typedef __m512i ints;

#define BYTES_OF_3 (((__mmask64)1 << 48) - 1) /* sixteen pixels of three bytes */

static inline ints load_3(const uint8_t *p)
{
    /* Twelve bytes into every quarter, then into words. */
    const __m512i index = _mm512_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
    const __m512i pick =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1));
    const __m512i bytes = _mm512_maskz_loadu_epi8(BYTES_OF_3, p);
    return _mm512_shuffle_epi8(_mm512_permutexvar_epi32(index, bytes), pick);
}

static inline ints load_4(const uint8_t *p)
{
    return _mm512_loadu_si512(p);
}

static inline void store_3(uint8_t *p, ints word)
{
    const __m512i index = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 3, 3, 3, 3);
    const __m512i pick = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    _mm512_mask_storeu_epi8(p, BYTES_OF_3,
                            _mm512_permutexvar_epi32(index, _mm512_shuffle_epi8(word, pick)));
}

static inline void store_4(uint8_t *p, ints word)
{
    _mm512_storeu_si512(p, word);
}

static inline ints each(int v)
{
    return _mm512_set1_epi32(v);
}

static inline ints plus(ints a, ints b)
{
    return _mm512_add_epi32(a, b);
}

static inline ints minus(ints a, ints b)
{
    return _mm512_sub_epi32(a, b);
}

static inline ints smaller(ints a, ints b)
{
    return _mm512_min_epi32(a, b);
}

static inline ints larger(ints a, ints b)
{
    return _mm512_max_epi32(a, b);
}

static inline ints both_bits(ints a, ints b)
{
    return _mm512_and_si512(a, b);
}

static inline ints either_bits(ints a, ints b)
{
    return _mm512_or_si512(a, b);
}

static inline ints shift_up(ints v, unsigned n)
{
    return _mm512_slli_epi32(v, n);
}

static inline ints shift_down(ints v, unsigned n)
{
    return _mm512_srai_epi32(v, n);
}

/* The upper words multiply to 0, as those of b are. */
static inline ints times(ints a, ints b)
{
    return _mm512_madd_epi16(a, b);
}

static inline ints if_equal(ints a, ints b, ints yes, ints no)
{
    return _mm512_mask_mov_epi32(no, _mm512_cmpeq_epi32_mask(a, b), yes);
}

static inline ints if_less(ints a, ints b, ints yes, ints no)
{
    return _mm512_mask_mov_epi32(no, _mm512_cmplt_epi32_mask(a, b), yes);
}

static inline ints quotient(ints a, ints b)
{
    return _mm512_cvtps_epi32(_mm512_div_ps(_mm512_cvtepi32_ps(a), _mm512_cvtepi32_ps(b)));
}

#include "ops/kernels/space_lanes.h"

SPACE_KERNELS(avx512)
