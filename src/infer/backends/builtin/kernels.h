/* Which kernels a model is loaded with: those that were measured, or what the user asks for. */
#ifndef NND_INFER_BACKENDS_BUILTIN_KERNELS_H
#define NND_INFER_BACKENDS_BUILTIN_KERNELS_H

#include "engine/engine.h"
#include "infer/tuning.h"

typedef struct nnd_builtin_kernels {
    nnd_engine_kernel *items;
    size_t count;
    nnd_tuned_kernels tuned; /* what the texts of the items live in */
} nnd_builtin_kernels;

/* choice: "tuned" or NULL, "own", or a kernel's name for every node that it can compute
   (NND_E_INVALID_ARGUMENT when there is none of that name). What the tuning file says and the
   engine does not know is named in a warning and left out. `choice` is borrowed. */
nnd_status nnd_builtin_kernels_find(const char *choice, const char *path, const void *bytes,
                                    size_t size, nnd_builtin_kernels *out);
void nnd_builtin_kernels_fini(nnd_builtin_kernels *kernels);

#endif
