/* Every kernel set of this build. */
#ifndef NND_ENGINE_KERNELS_SETS_H
#define NND_ENGINE_KERNELS_SETS_H

#include "engine/kernels/set.h"

extern const nnd_kernel_set nnd_kernel_set_reference;

#endif
