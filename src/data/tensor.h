/*
 * Tensor views, inside the room: checks of views that others made.
 */
#ifndef NND_DATA_TENSOR_H
#define NND_DATA_TENSOR_H

#include "nndeploy/data.h"

/* Element type, rank, dimensions and size are sane; sub-byte types and strings are dense. */
nnd_status nnd_tensor_check(const nnd_tensor *t);
/* The bytes that the view touches, relative to its first element: [low, high). false when the
   strides overflow. */
bool nnd_tensor_extent(const nnd_tensor *t, int64_t *low, int64_t *high);
/* The first element in host memory, NULL when it is only on a device. */
void *nnd_tensor_host(const nnd_tensor *t);

#endif
