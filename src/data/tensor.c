/*
 * Tensor views: shape arithmetic and strided copies.
 */
#include "data/tensor.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

const char *nnd_layout_name(nnd_layout layout)
{
    static const char *const names[] = {"any", "NCHW", "NHWC", "NC", "NCHW8c", "NCHW16c"};
    return (unsigned)layout < NND_COUNT(names) ? names[layout] : "unknown";
}

/* Elements of a shape; false when a dimension is negative or the product does not fit. A zero
   anywhere makes the count zero, however large the others are. */
static bool shape_count(int rank, const int64_t *dims, int64_t *out)
{
    int64_t count = 1;
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) return false;
        if (dims[i] == 0) {
            empty = true;
        } else if (!nnd_i64_mul(count, dims[i], &count)) {
            return false;
        }
    }
    *out = empty ? 0 : count;
    return true;
}

nnd_status nnd_tensor_init(nnd_tensor *t, nnd_dtype dtype, int rank, const int64_t *dims,
                           void *data)
{
    if (nnd_dtype_bits(dtype) == 0) {
        return nnd_error_set(NND_E_TYPE, "%d is not an element type", (int)dtype);
    }
    if (rank < 0 || rank > NND_MAX_RANK) {
        return nnd_error_set(NND_E_SHAPE, "rank %d is outside 0…%d", rank, NND_MAX_RANK);
    }
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) {
            return nnd_error_set(NND_E_SHAPE, "dimension %d is negative (%lld)", i,
                                 (long long)dims[i]);
        }
    }
    int64_t count;
    size_t bytes;
    if (!shape_count(rank, dims, &count)) {
        return nnd_error_set(NND_E_OVERFLOW, "the number of elements of the shape overflows");
    }
    NND_TRY(nnd_dtype_bytes(dtype, (uint64_t)count, &bytes));
    memset(t, 0, sizeof(*t));
    t->dtype = dtype;
    t->rank = rank;
    t->data = data;
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        t->dims[i] = dims[i];
        t->strides[i] = stride;
        stride *= dims[i] > 0 ? dims[i] : 1; /* fits: shape_count multiplied the same */
    }
    return NND_OK;
}

int64_t nnd_tensor_count(const nnd_tensor *t)
{
    int64_t count = 0;
    return shape_count(t->rank, t->dims, &count) ? count : 0;
}

size_t nnd_tensor_bytes(const nnd_tensor *t)
{
    unsigned bits = nnd_dtype_bits(t->dtype);
    size_t count = (size_t)nnd_tensor_count(t);
    return bits >= 8 ? count * (bits / 8) : (count * bits + 7) / 8;
}

bool nnd_tensor_is_dense(const nnd_tensor *t)
{
    if (nnd_tensor_count(t) == 0) return true;
    int64_t stride = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (t->dims[i] != 1 && t->strides[i] != stride) return false;
        stride *= t->dims[i];
    }
    return true;
}

nnd_status nnd_tensor_check(const nnd_tensor *t)
{
    nnd_tensor dense;
    NND_TRY(nnd_tensor_init(&dense, t->dtype, t->rank, t->dims, NULL));
    bool packed = nnd_dtype_bits(t->dtype) < 8 || t->dtype == NND_STRING;
    if (packed && !nnd_tensor_is_dense(t)) {
        return nnd_error_set(NND_E_SHAPE, "a tensor of %s must be dense", nnd_dtype_name(t->dtype));
    }
    return NND_OK;
}

bool nnd_tensor_extent(const nnd_tensor *t, int64_t *low, int64_t *high)
{
    *low = *high = 0;
    size_t item = nnd_dtype_bits(t->dtype) / 8;
    if (nnd_tensor_count(t) == 0) return true;
    if (item == 0 || nnd_tensor_is_dense(t)) {
        return nnd_i64_add(0, (int64_t)nnd_tensor_bytes(t), high);
    }
    int64_t first = 0, last = 0;
    for (int i = 0; i < t->rank; i++) {
        int64_t reach;
        if (!nnd_i64_mul(t->dims[i] - 1, t->strides[i], &reach)) return false;
        int64_t *end = reach < 0 ? &first : &last;
        if (!nnd_i64_add(*end, reach, end)) return false;
    }
    return nnd_i64_mul(first, (int64_t)item, low) && nnd_i64_add(last, 1, &last) &&
           nnd_i64_mul(last, (int64_t)item, high);
}

void *nnd_tensor_host(const nnd_tensor *t)
{
    if (t->data) return t->data;
    char *base = t->buffer ? nnd_buffer_data(t->buffer) : NULL;
    return base ? base + t->offset : NULL;
}

/* Copies dimension `axis` and all inner ones. `inner` is the first axis from which on both sides
   are dense, so that one memcpy moves the rest. */
static void copy_axes(const nnd_tensor *dst, char *to, const nnd_tensor *src, const char *from,
                      int axis, int inner, size_t run)
{
    if (axis == inner) {
        memcpy(to, from, run);
        return;
    }
    int64_t item = (int64_t)(nnd_dtype_bits(src->dtype) / 8);
    for (int64_t i = 0; i < src->dims[axis]; i++) {
        copy_axes(dst, to + i * dst->strides[axis] * item, src,
                  from + i * src->strides[axis] * item, axis + 1, inner, run);
    }
}

nnd_status nnd_tensor_copy(nnd_tensor *dst, const nnd_tensor *src)
{
    if (dst->dtype != src->dtype || src->dtype == NND_STRING) {
        return nnd_error_set(NND_E_TYPE, "cannot copy elements of %s to %s",
                             nnd_dtype_name(src->dtype), nnd_dtype_name(dst->dtype));
    }
    NND_TRY(nnd_tensor_check(src));
    NND_TRY(nnd_tensor_check(dst));
    if (dst->rank != src->rank ||
        memcmp(dst->dims, src->dims, sizeof(dst->dims[0]) * (size_t)src->rank) != 0) {
        char a[128], b[128];
        return nnd_error_set(NND_E_SHAPE, "cannot copy %s to %s",
                             nnd_tensor_describe(src, a, sizeof(a)),
                             nnd_tensor_describe(dst, b, sizeof(b)));
    }
    if (nnd_tensor_count(src) == 0) return NND_OK;
    char *to = nnd_tensor_host(dst);
    const char *from = nnd_tensor_host(src);
    if (!to || !from) {
        return nnd_error_set(NND_E_STATE, "the elements are not in host memory");
    }
    int inner = src->rank;
    int64_t run = 1;
    while (inner > 0 && (src->dims[inner - 1] == 1 ||
                         (src->strides[inner - 1] == run && dst->strides[inner - 1] == run))) {
        run *= src->dims[--inner];
    }
    size_t bytes =
        inner == 0 ? nnd_tensor_bytes(src) : (size_t)run * (nnd_dtype_bits(src->dtype) / 8);
    copy_axes(dst, to, src, from, 0, inner, bytes);
    return NND_OK;
}

const char *nnd_tensor_describe(const nnd_tensor *t, char *text, size_t size)
{
    if (size == 0) return text;
    size_t used = 0;
    int wrote = snprintf(text, size, "%s[", nnd_dtype_name(t->dtype));
    for (int i = 0; i <= t->rank && i <= NND_MAX_RANK; i++) {
        used += wrote > 0 ? (size_t)wrote : 0;
        if (used >= size) break;
        if (i == t->rank) {
            snprintf(text + used, size - used, "]");
        } else {
            wrote = snprintf(text + used, size - used, i ? ",%lld" : "%lld", (long long)t->dims[i]);
        }
    }
    return text;
}
