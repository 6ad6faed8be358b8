#include "engine/ops/blocks.h"

#include <string.h>

#include "data/dtype.h"
#include "data/float_bits.h"

nnd_class nnd_class_of(nnd_dtype dtype)
{
    if (dtype == NND_F64) return NND_IN_F64;
    if (nnd_dtype_is_signed_int(dtype)) return NND_IN_I64;
    if (nnd_dtype_is_unsigned_int(dtype)) return NND_IN_U64;
    return NND_IN_F32;
}

static void load_f32(nnd_dtype dtype, const void *data, size_t index, size_t stride, size_t n,
                     float *to)
{
    if (dtype == NND_F32) {
        const float *p = (const float *)data + index;
        for (size_t i = 0; i < n; i++)
            to[i] = p[i * stride];
    } else if (dtype == NND_F16) {
        const uint16_t *p = (const uint16_t *)data + index;
        for (size_t i = 0; i < n; i++)
            to[i] = nnd_f16_to_f32(p[i * stride]);
    } else if (dtype == NND_BF16) {
        const uint16_t *p = (const uint16_t *)data + index;
        for (size_t i = 0; i < n; i++)
            to[i] = nnd_bf16_to_f32(p[i * stride]);
    } else {
        for (size_t i = 0; i < n; i++)
            to[i] = (float)nnd_dtype_get(dtype, data, index + i * stride);
    }
}

static void load_int(nnd_dtype dtype, const void *data, size_t index, size_t stride, size_t n,
                     int64_t *to)
{
#define LOAD(type)                                                                                 \
    do {                                                                                           \
        const type *p = (const type *)data + index;                                                \
        for (size_t i = 0; i < n; i++)                                                             \
            to[i] = (int64_t)p[i * stride];                                                        \
        return;                                                                                    \
    } while (0)
    switch (dtype) {
    case NND_I64:
    case NND_U64:
        LOAD(int64_t);
    case NND_I32:
        LOAD(int32_t);
    case NND_U32:
        LOAD(uint32_t);
    case NND_I16:
        LOAD(int16_t);
    case NND_U16:
        LOAD(uint16_t);
    case NND_I8:
        LOAD(int8_t);
    case NND_U8:
    case NND_BOOL:
        LOAD(uint8_t);
    default:
        for (size_t i = 0; i < n; i++)
            to[i] = nnd_dtype_get_int(dtype, data, index + i * stride);
    }
#undef LOAD
}

const void *nnd_block_load(nnd_class in, nnd_dtype dtype, const void *data, size_t index,
                           size_t stride, size_t n, nnd_block_memory *memory)
{
    if (in == NND_IN_F32) {
        if (dtype == NND_F32 && stride == 1) return (const float *)data + index;
        load_f32(dtype, data, index, stride, n, memory->f32);
    } else if (in == NND_IN_F64) {
        if (dtype == NND_F64 && stride == 1) return (const double *)data + index;
        for (size_t i = 0; i < n; i++)
            memory->f64[i] = dtype == NND_F64 ? ((const double *)data)[index + i * stride]
                                              : nnd_dtype_get(dtype, data, index + i * stride);
    } else {
        if (nnd_dtype_bits(dtype) == 64 && stride == 1) return (const int64_t *)data + index;
        load_int(dtype, data, index, stride, n, memory->i64);
    }
    return memory;
}

static void store_f32(nnd_dtype dtype, void *data, size_t index, size_t n, const float *from)
{
    if (dtype == NND_F32) {
        if ((float *)data + index != from) memmove((float *)data + index, from, n * sizeof(float));
    } else if (dtype == NND_F16) {
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)data)[index + i] = nnd_f32_to_f16(from[i]);
    } else if (dtype == NND_BF16) {
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)data)[index + i] = nnd_f32_to_bf16(from[i]);
    } else {
        for (size_t i = 0; i < n; i++)
            nnd_dtype_set(dtype, data, index + i, (double)from[i]);
    }
}

static void store_int(nnd_dtype dtype, void *data, size_t index, size_t n, const int64_t *from)
{
#define STORE(type)                                                                                \
    do {                                                                                           \
        for (size_t i = 0; i < n; i++)                                                             \
            ((type *)data)[index + i] = (type)from[i];                                             \
        return;                                                                                    \
    } while (0)
    switch (dtype) {
    case NND_I64:
    case NND_U64:
        STORE(int64_t);
    case NND_I32:
    case NND_U32:
        STORE(uint32_t);
    case NND_I16:
    case NND_U16:
        STORE(uint16_t);
    case NND_I8:
    case NND_U8:
        STORE(uint8_t);
    case NND_BOOL:
        for (size_t i = 0; i < n; i++)
            ((uint8_t *)data)[index + i] = from[i] != 0;
        return;
    default:
        for (size_t i = 0; i < n; i++)
            nnd_dtype_set_packed(data, index + i, nnd_dtype_bits(dtype), (uint32_t)from[i]);
    }
#undef STORE
}

void nnd_block_store(nnd_class in, nnd_dtype dtype, void *data, size_t index, size_t n,
                     const void *block)
{
    if (in == NND_IN_F32) {
        store_f32(dtype, data, index, n, block);
    } else if (in == NND_IN_F64) {
        const double *from = block;
        for (size_t i = 0; i < n; i++)
            nnd_dtype_set(dtype, data, index + i, from[i]);
    } else {
        store_int(dtype, data, index, n, block);
    }
}

/* ---- broadcasting -------------------------------------------------------------------------- */

void nnd_broadcast_init(nnd_broadcast *b, const nnd_tensor *out, const nnd_tensor *const *in,
                        size_t operands)
{
    size_t dims[NND_MAX_RANK + 1], strides[NND_MAX_RANK + 1][NND_MAX_OPERANDS];
    size_t step[NND_MAX_OPERANDS] = {1, 1, 1};
    *b = (nnd_broadcast){.rank = 1, .operands = operands, .total = (size_t)nnd_tensor_count(out)};
    b->dims[0] = 1;
    for (size_t k = 0; k < operands; k++)
        b->strides[k][0] = 0;
    for (int d = out->rank - 1; d >= 0; d--) {
        dims[d] = (size_t)out->dims[d];
        for (size_t k = 0; k < operands; k++) {
            int own = d - (out->rank - in[k]->rank);
            bool moves = own >= 0 && in[k]->dims[own] != 1;
            strides[d][k] = moves ? step[k] : 0;
            if (moves) step[k] *= (size_t)in[k]->dims[own];
        }
    }
    /* From the outside in; a dimension that merges into the last kept one is multiplied in. */
    int kept = 0;
    for (int d = 0; d < out->rank; d++) {
        if (dims[d] == 1) continue;
        bool joins = kept > 0;
        for (size_t k = 0; k < operands && joins; k++)
            joins = b->strides[k][kept - 1] == strides[d][k] * dims[d];
        if (!joins) kept++;
        size_t outer = joins ? b->dims[kept - 1] : 1;
        b->dims[kept - 1] = outer * dims[d];
        for (size_t k = 0; k < operands; k++)
            b->strides[k][kept - 1] = strides[d][k];
    }
    b->rank = kept ? kept : 1;
}

void nnd_broadcast_runs(const nnd_broadcast *b, size_t begin, size_t end, nnd_run_fn fn, void *user)
{
    size_t index[NND_MAX_RANK], at[NND_MAX_OPERANDS] = {0}, left = begin;
    int last = b->rank - 1;
    for (int d = last; d >= 0; d--) {
        index[d] = b->dims[d] ? left % b->dims[d] : 0;
        left = b->dims[d] ? left / b->dims[d] : 0;
        for (size_t k = 0; k < b->operands; k++)
            at[k] += index[d] * b->strides[k][d];
    }
    while (begin < end) {
        size_t n = b->dims[last] - index[last];
        if (n > end - begin) n = end - begin;
        fn(user, begin, at, n);
        begin += n;
        index[last] += n;
        for (size_t k = 0; k < b->operands; k++)
            at[k] += n * b->strides[k][last];
        for (int d = last; d > 0 && index[d] == b->dims[d]; d--) {
            index[d] = 0;
            index[d - 1]++;
            for (size_t k = 0; k < b->operands; k++)
                at[k] += b->strides[k][d - 1] - b->dims[d] * b->strides[k][d];
        }
    }
}
