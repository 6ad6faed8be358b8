/*
 * The value type "mask".
 */
#include <string.h>

#include "data/pack.h"
#include "data/preview.h"
#include "data/value.h"

static void mask_destroy(void *payload)
{
    nnd_mask *mask = payload;
    nnd_buffer_unref(mask->buffer);
    nnd_free(mask->labels);
}

static nnd_buffer *mask_buffer(const void *payload)
{
    return ((const nnd_mask *)payload)->buffer;
}

static nnd_status check_mask(nnd_dtype dtype, bool is_alpha, int64_t width, int64_t height)
{
    if (!(dtype == NND_U8 || dtype == (is_alpha ? NND_F32 : NND_U16))) {
        return nnd_error_set(NND_E_TYPE, "a mask of %s cannot have elements of %s (%s)",
                             is_alpha ? "alpha" : "classes", nnd_dtype_name(dtype),
                             is_alpha ? "u8 or f32" : "u8 or u16");
    }
    if (width < 1 || height < 1 || width > NND_IMAGE_MAX_SIDE || height > NND_IMAGE_MAX_SIDE) {
        return nnd_error_set(NND_E_SHAPE, "mask size %lldx%lld is outside 1…%d", (long long)width,
                             (long long)height, NND_IMAGE_MAX_SIDE);
    }
    return NND_OK;
}

static size_t row_bytes(const nnd_mask *mask)
{
    return (size_t)mask->width * (nnd_dtype_bits(mask->dtype) / 8);
}

static nnd_status make_mask(nnd_mask *mask, nnd_dtype dtype, bool is_alpha, int width, int height,
                            const nnd_buffer *like)
{
    NND_TRY(check_mask(dtype, is_alpha, width, height));
    nnd_mask made = {.dtype = dtype, .is_alpha = is_alpha, .width = width, .height = height};
    made.stride = (int64_t)row_bytes(&made);
    nnd_geometry_identity(&made.geometry, width, height);
    uint64_t bytes = (uint64_t)made.stride * (uint64_t)height;
    if (bytes > (uint64_t)PTRDIFF_MAX) {
        return nnd_error_set(NND_E_OVERFLOW, "mask of %dx%d does not fit the address space", width,
                             height);
    }
    NND_TRY(nnd_bulk_alloc(like, (size_t)bytes, &made.buffer));
    made.data = nnd_buffer_data(made.buffer);
    *mask = made;
    return NND_OK;
}

static nnd_status mask_clone(const void *payload, void *to, bool share_buffers)
{
    const nnd_mask *from = payload;
    nnd_mask *copy = to;
    if (!from->buffer || share_buffers) {
        *copy = *from;
        copy->labels = NULL;
        if (from->buffer) nnd_buffer_ref(from->buffer);
    } else {
        if (!from->data) {
            return nnd_error_set(NND_E_STATE, "the mask is not in host memory");
        }
        NND_TRY(nnd_bulk_wait(from->buffer));
        NND_TRY(
            make_mask(copy, from->dtype, from->is_alpha, from->width, from->height, from->buffer));
        copy->geometry = from->geometry;
        for (int32_t y = 0; y < from->height; y++) {
            memcpy((char *)copy->data + y * copy->stride,
                   (const char *)from->data + y * from->stride, row_bytes(from));
        }
        nnd_copy_count(nnd_buffer_size(copy->buffer));
    }
    copy->label_count = 0;
    NND_TRY(nnd_labels_copy(from->labels, from->label_count, &copy->labels));
    copy->label_count = from->label_count;
    return NND_OK;
}

static nnd_status mask_to_json(const void *payload, nnd_json_writer *w)
{
    const nnd_mask *mask = payload;
    nnd_json_begin_object(w);
    nnd_json_key(w, "kind");
    nnd_json_put_string(w, mask->is_alpha ? "alpha" : "classes");
    nnd_json_key(w, "dtype");
    nnd_json_put_string(w, nnd_dtype_name(mask->dtype));
    nnd_json_key(w, "width");
    nnd_json_put_int(w, mask->width);
    nnd_json_key(w, "height");
    nnd_json_put_int(w, mask->height);
    nnd_json_key(w, "labels");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < mask->label_count; i++)
        nnd_json_put_string(w, mask->labels[i]);
    nnd_json_end_array(w);
    nnd_json_key(w, "geometry");
    NND_TRY(nnd_type_geometry.to_json(&mask->geometry, w));
    nnd_json_end_object(w);
    return NND_OK;
}

/* Payload: u32 dtype, u32 is_alpha, u32 width, u32 height, i64 stride, labels, geometry, the rows
   as a buffer. */
static nnd_status mask_pack(const void *payload, nnd_packer *p)
{
    const nnd_mask *mask = payload;
    if (!mask->buffer || !mask->data) {
        return nnd_error_set(NND_E_STATE, "the mask has no bytes in host memory to pack");
    }
    NND_TRY(nnd_bulk_wait(mask->buffer));
    size_t bytes = (size_t)mask->stride * (size_t)(mask->height - 1) + row_bytes(mask);
    nnd_pack_u32(p, (uint32_t)mask->dtype);
    nnd_pack_u32(p, mask->is_alpha);
    nnd_pack_u32(p, (uint32_t)mask->width);
    nnd_pack_u32(p, (uint32_t)mask->height);
    nnd_pack_i64(p, mask->stride);
    nnd_pack_labels(p, mask->labels, mask->label_count);
    NND_TRY(nnd_type_geometry.pack(&mask->geometry, p));
    size_t offset = (size_t)((char *)mask->data - (char *)nnd_buffer_data(mask->buffer));
    return nnd_pack_buffer(p, mask->buffer, offset, bytes);
}

static nnd_status mask_unpack(void *payload, nnd_unpacker *u)
{
    nnd_mask *mask = payload;
    int64_t dtype, is_alpha, width, height, stride;
    size_t offset, size;
    NND_TRY(nnd_unpack_u32_in(u, NND_DTYPE_INVALID + 1, NND_DTYPE_COUNT - 1, "dtype", &dtype));
    NND_TRY(nnd_unpack_u32_in(u, 0, 1, "kind of mask", &is_alpha));
    NND_TRY(nnd_unpack_u32_in(u, 1, NND_IMAGE_MAX_SIDE, "width", &width));
    NND_TRY(nnd_unpack_u32_in(u, 1, NND_IMAGE_MAX_SIDE, "height", &height));
    NND_TRY(nnd_unpack_i64(u, &stride));
    mask->dtype = (nnd_dtype)dtype;
    mask->is_alpha = is_alpha != 0;
    mask->width = (int32_t)width;
    mask->height = (int32_t)height;
    mask->stride = stride;
    if (check_mask(mask->dtype, mask->is_alpha, width, height) != NND_OK) {
        return nnd_unpack_fail(u, "a mask has an impossible element type");
    }
    NND_TRY(nnd_unpack_labels(u, &mask->labels, &mask->label_count));
    NND_TRY(nnd_type_geometry.unpack(&mask->geometry, u));
    NND_TRY(nnd_unpack_buffer(u, &mask->buffer, &offset, &size));
    char *base = nnd_buffer_data(mask->buffer);
    size_t row = row_bytes(mask), item = nnd_dtype_bits(mask->dtype) / 8;
    bool fits = base && stride >= (int64_t)row && row <= size &&
                (height == 1 || (uint64_t)stride <= (size - row) / (uint64_t)(height - 1)) &&
                (uintptr_t)(base + offset) % item == 0 && (uint64_t)stride % item == 0;
    if (!fits) return nnd_unpack_fail(u, "the rows of a mask do not fit its %zu bytes", size);
    mask->data = base + offset;
    return NND_OK;
}

const nnd_value_type nnd_type_mask = {
    .struct_size = sizeof(nnd_value_type),
    .name = "mask",
    .payload_size = sizeof(nnd_mask),
    .destroy = mask_destroy,
    .clone = mask_clone,
    .to_json = mask_to_json,
    .preview = nnd_preview_mask,
    .pack = mask_pack,
    .unpack = mask_unpack,
    .buffer = mask_buffer,
};

nnd_status nnd_value_new_mask(nnd_dtype dtype, bool is_alpha, int width, int height,
                              nnd_value **out)
{
    nnd_value *value;
    NND_TRY(nnd_value_alloc(&nnd_type_mask, &value));
    nnd_status status = make_mask((nnd_mask *)value->payload, dtype, is_alpha, width, height, NULL);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}
