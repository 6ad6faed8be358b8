/* Every kernel set of this build. */
#ifndef NND_ENGINE_KERNELS_SETS_H
#define NND_ENGINE_KERNELS_SETS_H

#include "engine/kernels/set.h"

extern const nnd_kernel_set nnd_kernel_set_reference;
#if defined(__x86_64__)
extern const nnd_kernel_set nnd_kernel_set_avx2;
extern const nnd_kernel_set nnd_kernel_set_avx512;
extern const nnd_bf16_tile nnd_bf16_tile_avx2, nnd_bf16_tile_avx512, nnd_bf16_tile_avx512bf16;
#elif defined(__aarch64__)
extern const nnd_kernel_set nnd_kernel_set_neon;
extern const nnd_bf16_tile nnd_bf16_tile_neon, nnd_bf16_tile_neon_bf16;
#endif

#endif
