/* f16 and bf16 rows: whole vectors, and a padded copy for the elements that are left. The vector
   file defines widen_f16, narrow_f16, widen_bf16 and narrow_bf16 for one vector each. */
#include <string.h>

#include "engine/kernels/set.h"
#include "engine/kernels/simd/vec.h"

NND_INLINE void widen_rows(vf (*widen)(const uint16_t *), const uint16_t *x, float *y, size_t n)
{
    size_t i = 0;
    for (; i + VLEN <= n; i += VLEN)
        v_store(y + i, widen(x + i));
    if (i < n) {
        uint16_t rest[VLEN] = {0};
        memcpy(rest, x + i, (n - i) * sizeof *x);
        v_store_n(y + i, widen(rest), n - i);
    }
}

NND_INLINE void narrow_rows(void (*narrow)(vf, uint16_t *), const float *x, uint16_t *y, size_t n)
{
    size_t i = 0;
    for (; i + VLEN <= n; i += VLEN)
        narrow(v_load(x + i), y + i);
    if (i < n) {
        uint16_t rest[VLEN];
        narrow(v_load_n(x + i, n - i), rest);
        memcpy(y + i, rest, (n - i) * sizeof *y);
    }
}

void VEC_NAME(nnd_f16_to_f32)(const uint16_t *x, float *y, size_t n)
{
    widen_rows(widen_f16, x, y, n);
}

void VEC_NAME(nnd_f32_to_f16)(const float *x, uint16_t *y, size_t n)
{
    narrow_rows(narrow_f16, x, y, n);
}

void VEC_NAME(nnd_bf16_to_f32)(const uint16_t *x, float *y, size_t n)
{
    widen_rows(widen_bf16, x, y, n);
}

void VEC_NAME(nnd_f32_to_bf16)(const float *x, uint16_t *y, size_t n)
{
    narrow_rows(narrow_bf16, x, y, n);
}
