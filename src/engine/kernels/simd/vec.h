/*
 * What the vec_<isa>.h headers provide. A kernel body (the *_body.h files) is written once in these
 * words; x86/ and arm/ hold one small file per op family and ISA that includes a vector header and
 * then the body. Include this after the vector header.
 *
 *   VLEN                    floats per vector, also the block of NCHWc
 *   VEC_NAME(stem)          stem with the ISA's suffix
 *   VEC_REGISTERS           how many vectors the processor holds
 *   TILE_ROWS, TILE_VECTORS the register tile
 *   vf, vm                  a vector, a mask of its lanes
 *   v_load_n, v_store_n     the first n lanes only, 0 < n < VLEN (absent lanes read 0)
 *   v_fma(a, b, c)          a·b + c rounded once; v_fnma: c − a·b
 *   v_min, v_max(limit, x)  limit where it wins; a NaN in x stays, limit must not be NaN
 *   v_scale2(a, n)          a·2^n for integral n in [−252, 254], correct into the subnormals
 *   v_split(x, &e)          m in [1, 2) and e with x = m·2^e, for finite x > 0
 *   v_load_even(p)          p[0], p[2], …; reads 2·VLEN floats
 *   v_transpose(r)          r[i] lane j ↔ r[j] lane i, for VLEN vectors
 *   v_inverse(x)            1/x within 1 ulp for x in [1, 2]
 *   v_sum, v_largest        over the lanes, in a fixed order
 */
#ifndef NND_ENGINE_KERNELS_SIMD_VEC_H
#define NND_ENGINE_KERNELS_SIMD_VEC_H

#if defined(__GNUC__)
#define NND_INLINE static inline __attribute__((always_inline))
#else
#define NND_INLINE static inline
#endif

/* Smaller of two values, NaN when one of them is. */
static inline vf v_min2(vf a, vf b)
{
    return v_select(v_is_nan(a), a, v_min(a, b));
}
static inline vf v_max2(vf a, vf b)
{
    return v_select(v_is_nan(a), a, v_max(a, b));
}

#endif
