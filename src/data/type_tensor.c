/*
 * The value type "tensor".
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "data/dtype.h"
#include "data/float_bits.h"
#include "data/pack.h"
#include "data/preview.h"
#include "data/tensor.h"
#include "data/value.h"

static void tensor_destroy(void *payload)
{
    nnd_buffer_unref(((nnd_tensor_payload *)payload)->tensor.buffer);
}

static nnd_buffer *tensor_buffer(const void *payload)
{
    return ((const nnd_tensor_payload *)payload)->tensor.buffer;
}

/* A tensor that owns dense memory of the same kind as `like`; data is NULL on a device. */
static nnd_status make_dense(nnd_tensor_payload *p, nnd_dtype dtype, int rank, const int64_t *dims,
                             const nnd_buffer *like)
{
    nnd_tensor t;
    NND_TRY(nnd_tensor_init(&t, dtype, rank, dims, NULL));
    bool strings = dtype == NND_STRING;
    if (strings) {
        NND_TRY(nnd_string_table_create((size_t)nnd_tensor_count(&t), &t.buffer));
    } else {
        NND_TRY(nnd_bulk_alloc(like, nnd_tensor_bytes(&t), &t.buffer));
    }
    t.data = nnd_buffer_data(t.buffer);
    /* The bits behind the last element of a packed type belong to nobody; keep them zero. */
    size_t bytes = nnd_tensor_bytes(&t);
    if (t.data && bytes > 0 && nnd_dtype_bits(dtype) < 8) ((uint8_t *)t.data)[bytes - 1] = 0;
    *p = (nnd_tensor_payload){t, strings};
    return NND_OK;
}

static nnd_status clone_strings(const nnd_tensor *from, nnd_tensor *to)
{
    const nnd_string *items = nnd_tensor_host(from);
    int64_t count = nnd_tensor_count(from);
    for (int64_t i = 0; i < count; i++) {
        if (items[i].size == 0) continue;
        NND_TRY(nnd_string_table_set(to->buffer, (size_t)i, items[i].text, items[i].size));
    }
    return NND_OK;
}

/* Memory that the host cannot touch is copied as the range of bytes it is. */
static nnd_status clone_device(const nnd_tensor *from, nnd_tensor *to)
{
    int64_t low, high;
    if (!nnd_tensor_extent(from, &low, &high)) {
        return nnd_error_set(NND_E_OVERFLOW, "the strides of the tensor overflow");
    }
    nnd_buffer *buffer;
    size_t bytes = (size_t)(high - low);
    NND_TRY(nnd_bulk_alloc(from->buffer, bytes, &buffer));
    nnd_status status = nnd_buffer_copy(buffer, 0, from->buffer,
                                        (size_t)((int64_t)from->offset + low), bytes, NULL);
    if (status != NND_OK) {
        nnd_buffer_unref(buffer);
        return status;
    }
    *to = *from;
    to->buffer = buffer;
    to->offset = (size_t)-low;
    return NND_OK;
}

static nnd_status tensor_clone(const void *payload, void *to, bool share_buffers)
{
    const nnd_tensor_payload *from = payload;
    nnd_tensor_payload *copy = to;
    const nnd_tensor *t = &from->tensor;
    if (share_buffers || !t->buffer) {
        *copy = *from;
        if (t->buffer) nnd_buffer_ref(t->buffer);
        return NND_OK;
    }
    if (!nnd_tensor_host(t)) return clone_device(t, &copy->tensor);
    NND_TRY(nnd_bulk_wait(t->buffer));
    NND_TRY(make_dense(copy, t->dtype, t->rank, t->dims, t->buffer));
    copy->tensor.layout = t->layout;
    NND_TRY(t->dtype == NND_STRING ? clone_strings(t, &copy->tensor)
                                   : nnd_tensor_copy(&copy->tensor, t));
    nnd_copy_count(nnd_tensor_bytes(t));
    return NND_OK;
}

/* ---- JSON ---- */

enum { JSON_MAX_ELEMENTS = 1024 };

static void put_element(nnd_json_writer *w, nnd_dtype dtype, const void *data, size_t index)
{
    if (dtype == NND_STRING) {
        const nnd_string *s = (const nnd_string *)data + index;
        nnd_json_put_string_n(w, s->text, s->size);
    } else if (dtype == NND_BOOL) {
        nnd_json_put_bool(w, nnd_dtype_get(dtype, data, index) != 0.0);
    } else if (dtype == NND_U64 && nnd_dtype_get_int(dtype, data, index) < 0) {
        nnd_json_put_number(w, nnd_dtype_get(dtype, data, index));
    } else if (nnd_dtype_is_signed_int(dtype) || nnd_dtype_is_unsigned_int(dtype)) {
        nnd_json_put_int(w, nnd_dtype_get_int(dtype, data, index));
    } else if (nnd_dtype_is_complex(dtype)) {
        nnd_dtype part = dtype == NND_C64 ? NND_F32 : NND_F64;
        nnd_json_begin_array(w);
        put_element(w, part, data, index * 2);
        put_element(w, part, data, index * 2 + 1);
        nnd_json_end_array(w);
    } else if (dtype == NND_F32) {
        nnd_json_put_float(w, (float)nnd_dtype_get(dtype, data, index));
    } else {
        nnd_json_put_number(w, nnd_dtype_get(dtype, data, index));
    }
}

static void put_statistics(nnd_json_writer *w, const nnd_tensor *t, const void *data)
{
    size_t count = (size_t)nnd_tensor_count(t), finite = 0;
    double low = INFINITY, high = -INFINITY, sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        double v = nnd_dtype_get(t->dtype, data, i);
        if (!nnd_f64_is_finite(v)) continue;
        if (v < low) low = v;
        if (v > high) high = v;
        sum += v;
        finite++;
    }
    nnd_json_key(w, "min");
    nnd_json_put_number(w, low);
    nnd_json_key(w, "max");
    nnd_json_put_number(w, high);
    nnd_json_key(w, "mean");
    nnd_json_put_number(w, finite ? sum / (double)finite : NAN);
    if (finite < count) {
        nnd_json_key(w, "nonfinite");
        nnd_json_put_int(w, (int64_t)(count - finite));
    }
}

static void put_elements(nnd_json_writer *w, const nnd_tensor *t)
{
    const void *data = nnd_tensor_host(t);
    int64_t count = nnd_tensor_count(t);
    if (!data && count > 0) {
        nnd_json_key(w, "where");
        nnd_json_put_string(w, nnd_device_name(nnd_buffer_device(t->buffer)));
    } else if (count <= JSON_MAX_ELEMENTS) {
        nnd_json_key(w, "data");
        nnd_json_begin_array(w);
        for (int64_t i = 0; i < count; i++)
            put_element(w, t->dtype, data, (size_t)i);
        nnd_json_end_array(w);
    } else if (t->dtype != NND_STRING) {
        put_statistics(w, t, data);
    }
}

static nnd_status tensor_to_json(const void *payload, nnd_json_writer *w)
{
    const nnd_tensor *t = &((const nnd_tensor_payload *)payload)->tensor;
    nnd_tensor_payload dense = {0};
    if (!nnd_tensor_is_dense(t) && nnd_tensor_host(t)) {
        NND_TRY(nnd_bulk_wait(t->buffer));
        NND_TRY(make_dense(&dense, t->dtype, t->rank, t->dims, NULL));
        nnd_status status = nnd_tensor_copy(&dense.tensor, t);
        if (status != NND_OK) {
            tensor_destroy(&dense);
            return status;
        }
    } else if (nnd_tensor_host(t)) {
        NND_TRY(nnd_bulk_wait(t->buffer));
    }
    nnd_json_begin_object(w);
    nnd_json_set_inline(w, true);
    nnd_json_key(w, "dtype");
    nnd_json_put_string(w, nnd_dtype_name(t->dtype));
    nnd_json_key(w, "shape");
    nnd_json_begin_array(w);
    for (int i = 0; i < t->rank; i++)
        nnd_json_put_int(w, t->dims[i]);
    nnd_json_end_array(w);
    put_elements(w, dense.tensor.buffer ? &dense.tensor : t);
    nnd_json_end_object(w);
    tensor_destroy(&dense);
    return NND_OK;
}

/* ---- packing ---- */

/* Payload: u32 dtype, u32 layout, u32 rank, i64 dims[rank]; strings: bytes each; others:
   i64 strides[rank], i64 position of the first element in the range, the range as a buffer. */
static nnd_status pack_view(const nnd_tensor *t, nnd_packer *p)
{
    nnd_pack_u32(p, (uint32_t)t->dtype);
    nnd_pack_u32(p, (uint32_t)t->layout);
    nnd_pack_u32(p, (uint32_t)t->rank);
    for (int i = 0; i < t->rank; i++)
        nnd_pack_i64(p, t->dims[i]);
    if (t->dtype == NND_STRING) {
        const nnd_string *items = nnd_tensor_host(t);
        for (int64_t i = 0, n = nnd_tensor_count(t); i < n; i++)
            nnd_pack_bytes(p, items[i].text, items[i].size);
        return p->status;
    }
    int64_t low, high;
    if (!nnd_tensor_extent(t, &low, &high)) {
        return nnd_error_set(NND_E_OVERFLOW, "the strides of the tensor overflow");
    }
    for (int i = 0; i < t->rank; i++)
        nnd_pack_i64(p, t->strides[i]);
    nnd_pack_i64(p, -low);
    return nnd_pack_buffer(p, t->buffer, (size_t)((int64_t)t->offset + low), (size_t)(high - low));
}

static nnd_status tensor_pack(const void *payload, nnd_packer *p)
{
    const nnd_tensor *t = &((const nnd_tensor_payload *)payload)->tensor;
    if (!t->buffer) return nnd_error_set(NND_E_STATE, "an empty tensor value cannot be packed");
    if (!nnd_tensor_host(t)) {
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "a tensor on device '%s' cannot be packed; copy it "
                             "to the host first",
                             nnd_device_name(nnd_buffer_device(t->buffer)));
    }
    NND_TRY(nnd_bulk_wait(t->buffer));
    int64_t low = 0, high = 0;
    bool dense = nnd_tensor_is_dense(t);
    bool overlaps =
        !dense && nnd_tensor_extent(t, &low, &high) && (uint64_t)(high - low) < nnd_tensor_bytes(t);
    if (dense || (!overlaps && nnd_packer_shares(p, t->buffer))) return pack_view(t, p);
    /* A strided view that goes as bytes: only its own elements are anybody's business. */
    nnd_tensor_payload copy = {0};
    nnd_status status = tensor_clone(payload, &copy, false);
    if (status == NND_OK) status = pack_view(&copy.tensor, p);
    tensor_destroy(&copy);
    return status;
}

static nnd_status unpack_strings(nnd_tensor_payload *payload, nnd_unpacker *u, const nnd_tensor *t)
{
    uint64_t count = (uint64_t)nnd_tensor_count(t);
    if (count > nnd_unpacker_left(u) / sizeof(uint64_t)) {
        return nnd_unpack_fail(u, "a tensor of %llu strings does not fit into %zu bytes",
                               (unsigned long long)count, nnd_unpacker_left(u));
    }
    NND_TRY(make_dense(payload, NND_STRING, t->rank, t->dims, NULL));
    payload->tensor.layout = t->layout;
    for (size_t i = 0; i < count; i++) {
        const void *text;
        size_t size;
        NND_TRY(nnd_unpack_bytes(u, &text, &size));
        if (size) NND_TRY(nnd_string_table_set(payload->tensor.buffer, i, text, size));
    }
    return NND_OK;
}

static nnd_status unpack_elements(nnd_tensor *t, nnd_unpacker *u)
{
    int64_t first = 0, low, high;
    for (int i = 0; i < t->rank; i++)
        NND_TRY(nnd_unpack_i64(u, &t->strides[i]));
    NND_TRY(nnd_unpack_i64(u, &first));
    size_t offset, size;
    NND_TRY(nnd_unpack_buffer(u, &t->buffer, &offset, &size)); /* the payload's destroy lets go */
    char *base = nnd_buffer_data(t->buffer);
    size_t item = nnd_dtype_bits(t->dtype) / 8;
    size_t align = item > 8 ? 8 : item;
    bool fits = nnd_tensor_check(t) == NND_OK && nnd_tensor_extent(t, &low, &high) && first >= 0 &&
                (uint64_t)first <= size && low >= -first &&
                high <= (int64_t)(size - (size_t)first) && nnd_tensor_bytes(t) <= size;
    if (!fits || !base) {
        return nnd_unpack_fail(u, "a tensor's elements lie outside of its %zu bytes", size);
    }
    t->offset = offset + (size_t)first;
    t->data = base + t->offset;
    if (align > 1 && (uintptr_t)t->data % align != 0) {
        return nnd_unpack_fail(u, "a tensor's elements are not aligned");
    }
    return NND_OK;
}

static nnd_status tensor_unpack(void *payload, nnd_unpacker *u)
{
    nnd_tensor_payload *p = payload;
    int64_t dtype, layout, rank, dims[NND_MAX_RANK];
    NND_TRY(nnd_unpack_u32_in(u, NND_DTYPE_INVALID + 1, NND_DTYPE_COUNT - 1, "dtype", &dtype));
    NND_TRY(nnd_unpack_u32_in(u, NND_LAYOUT_ANY, NND_LAYOUT_NCHW16C, "layout", &layout));
    NND_TRY(nnd_unpack_u32_in(u, 0, NND_MAX_RANK, "rank", &rank));
    for (int i = 0; i < rank; i++)
        NND_TRY(nnd_unpack_i64(u, &dims[i]));
    nnd_tensor t;
    if (nnd_tensor_init(&t, (nnd_dtype)dtype, (int)rank, dims, NULL) != NND_OK) {
        return nnd_unpack_fail(u, "a tensor has an impossible shape");
    }
    t.layout = (nnd_layout)layout;
    if (t.dtype == NND_STRING) return unpack_strings(p, u, &t);
    p->tensor = t;
    return unpack_elements(&p->tensor, u);
}

const nnd_value_type nnd_type_tensor = {
    .struct_size = sizeof(nnd_value_type),
    .name = "tensor",
    .payload_size = sizeof(nnd_tensor_payload),
    .destroy = tensor_destroy,
    .clone = tensor_clone,
    .to_json = tensor_to_json,
    .preview = nnd_preview_tensor,
    .pack = tensor_pack,
    .unpack = tensor_unpack,
    .buffer = tensor_buffer,
};

/* ---- makers ---- */

nnd_status nnd_value_from_tensor(const nnd_tensor *t, nnd_value **out)
{
    if (!t->buffer) {
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "a tensor value needs a buffer; nnd_buffer_wrap makes one");
    }
    NND_TRY(nnd_tensor_check(t));
    nnd_tensor view = *t;
    char *base = nnd_buffer_data(t->buffer);
    if (base) {
        if (!view.data) view.data = base + view.offset;
        view.offset = (size_t)((uintptr_t)view.data - (uintptr_t)base);
    }
    int64_t low, high;
    if (view.offset > (size_t)PTRDIFF_MAX || !nnd_tensor_extent(&view, &low, &high) ||
        !nnd_i64_add((int64_t)view.offset, low, &low) ||
        !nnd_i64_add((int64_t)view.offset, high, &high)) {
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "the tensor lies outside of its buffer");
    }
    NND_TRY(nnd_bulk_check_range(view.buffer, low, high, "tensor"));
    NND_TRY(nnd_value_alloc(&nnd_type_tensor, out));
    nnd_buffer_ref(view.buffer);
    *(nnd_tensor_payload *)(*out)->payload = (nnd_tensor_payload){view, false};
    return NND_OK;
}

nnd_status nnd_value_new_tensor(nnd_dtype dtype, int rank, const int64_t *dims, nnd_value **out)
{
    nnd_value *value;
    NND_TRY(nnd_value_alloc(&nnd_type_tensor, &value));
    nnd_status status = make_dense((nnd_tensor_payload *)value->payload, dtype, rank, dims, NULL);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

nnd_status nnd_value_set_string(nnd_value *tensor_value, size_t index, const char *text,
                                size_t size)
{
    void *payload;
    NND_TRY(nnd_value_edit_as(tensor_value, &nnd_type_tensor, &payload));
    nnd_tensor_payload *p = payload;
    if (p->tensor.dtype != NND_STRING) {
        return nnd_error_set(NND_E_TYPE, "the tensor holds %s, not strings",
                             nnd_dtype_name(p->tensor.dtype));
    }
    if (!p->owns_strings || nnd_buffer_holders(p->tensor.buffer) != 1) {
        return nnd_error_set(NND_E_STATE, "the strings are shared or foreign; "
                                          "nnd_value_writable makes a copy");
    }
    if (index >= (size_t)nnd_tensor_count(&p->tensor)) {
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "string %zu of %lld", index,
                             (long long)nnd_tensor_count(&p->tensor));
    }
    return nnd_string_table_set(p->tensor.buffer, index, text,
                                size == SIZE_MAX ? strlen(text) : size);
}
