/*
 * Element types, inside the room: raw codes and exact integers.
 */
#ifndef NND_DATA_DTYPE_H
#define NND_DATA_DTYPE_H

#include "nndeploy/data.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "element runs are kept in little-endian order; a big-endian port needs swaps in pack and npy"
#endif

/* The code of a 2- or 4-bit element. */
uint32_t nnd_dtype_get_packed(const void *data, size_t index, unsigned bits);
void nnd_dtype_set_packed(void *data, size_t index, unsigned bits, uint32_t code);

static inline bool nnd_dtype_is_signed_int(nnd_dtype dtype)
{
    return dtype >= NND_I64 && dtype <= NND_I2;
}

static inline bool nnd_dtype_is_unsigned_int(nnd_dtype dtype)
{
    return dtype >= NND_U64 && dtype <= NND_BOOL;
}

static inline bool nnd_dtype_is_complex(nnd_dtype dtype)
{
    return dtype == NND_C64 || dtype == NND_C128;
}

/* An element of an integer type or bool without a detour over double; u64 as the same 64 bits. */
int64_t nnd_dtype_get_int(nnd_dtype dtype, const void *data, size_t index);

#endif
