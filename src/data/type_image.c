/*
 * The value type "image".
 */
#include <string.h>

#include "base/size.h"
#include "data/image.h"
#include "data/pack.h"
#include "data/preview.h"
#include "data/value.h"

static void image_destroy(void *payload)
{
    nnd_buffer_unref(((nnd_image *)payload)->buffer);
}

static nnd_buffer *image_buffer(const void *payload)
{
    return ((const nnd_image *)payload)->buffer;
}

/* Tight rows in memory of the same kind as `like`. */
static nnd_status make_image(nnd_image *image, nnd_pixel_format format, nnd_dtype dtype, int width,
                             int height, const nnd_buffer *like)
{
    nnd_image made;
    size_t bytes;
    nnd_buffer *buffer;
    NND_TRY(nnd_image_init(&made, format, dtype, width, height, 0, NULL, &bytes));
    NND_TRY(nnd_bulk_alloc(like, bytes, &buffer));
    void *data = nnd_buffer_data(buffer);
    if (data) nnd_image_init(&made, format, dtype, width, height, 0, data, NULL);
    made.buffer = buffer;
    *image = made;
    return NND_OK;
}

/* Bytes from the start of a device buffer: plane after plane. */
static int64_t device_bytes(const nnd_image *image)
{
    int64_t bytes = 0;
    for (int p = 0; p < nnd_pixel_format_planes(image->format); p++)
        bytes += image->stride[p] * nnd_image_rows(image, p);
    return bytes;
}

static nnd_status clone_device_image(const nnd_image *from, nnd_image *to)
{
    nnd_buffer *buffer;
    size_t bytes = (size_t)device_bytes(from);
    NND_TRY(nnd_bulk_alloc(from->buffer, bytes, &buffer));
    nnd_status status = nnd_buffer_copy(buffer, 0, from->buffer, 0, bytes, NULL);
    if (status != NND_OK) {
        nnd_buffer_unref(buffer);
        return status;
    }
    *to = *from;
    to->buffer = buffer;
    return NND_OK;
}

static nnd_status image_clone(const void *payload, void *to, bool share_buffers)
{
    const nnd_image *from = payload;
    nnd_image *copy = to;
    if (share_buffers || !from->buffer) {
        *copy = *from;
        if (from->buffer) nnd_buffer_ref(from->buffer);
        return NND_OK;
    }
    if (!from->data[0]) return clone_device_image(from, copy);
    NND_TRY(nnd_bulk_wait(from->buffer));
    NND_TRY(make_image(copy, from->format, from->dtype, from->width, from->height, from->buffer));
    NND_TRY(nnd_image_copy(copy, from));
    nnd_copy_count(nnd_buffer_size(copy->buffer));
    return NND_OK;
}

static nnd_status image_to_json(const void *payload, nnd_json_writer *w)
{
    const nnd_image *image = payload;
    nnd_json_begin_object(w);
    nnd_json_set_inline(w, true);
    nnd_json_key(w, "format");
    nnd_json_put_string(w, nnd_pixel_format_name(image->format));
    nnd_json_key(w, "dtype");
    nnd_json_put_string(w, nnd_dtype_name(image->dtype));
    nnd_json_key(w, "width");
    nnd_json_put_int(w, image->width);
    nnd_json_key(w, "height");
    nnd_json_put_int(w, image->height);
    nnd_json_end_object(w);
    return NND_OK;
}

/* Where the planes lie within the block [*low, *high) that covers them, relative to `base`. */
static void image_extent(const nnd_image *image, const uint8_t *base, int64_t *low, int64_t *high)
{
    *low = INT64_MAX;
    *high = 0;
    for (int p = 0; p < nnd_pixel_format_planes(image->format); p++) {
        int64_t at = image->data[p] - base, plane_low, plane_high;
        nnd_image_plane_extent(image, p, &plane_low, &plane_high);
        if (at + plane_low < *low) *low = at + plane_low;
        if (at + plane_high > *high) *high = at + plane_high;
    }
}

/* Payload: u32 format, dtype, width, height, range, matrix; per plane i64 stride and i64 position
   in the range; the range as a buffer. */
static nnd_status pack_image_view(const nnd_image *image, nnd_packer *p)
{
    const uint8_t *base = nnd_buffer_data(image->buffer);
    int64_t low, high;
    image_extent(image, base, &low, &high);
    nnd_pack_u32(p, (uint32_t)image->format);
    nnd_pack_u32(p, (uint32_t)image->dtype);
    nnd_pack_u32(p, (uint32_t)image->width);
    nnd_pack_u32(p, (uint32_t)image->height);
    nnd_pack_u32(p, (uint32_t)image->range);
    nnd_pack_u32(p, (uint32_t)image->matrix);
    for (int i = 0; i < nnd_pixel_format_planes(image->format); i++) {
        nnd_pack_i64(p, image->stride[i]);
        nnd_pack_i64(p, image->data[i] - base - low);
    }
    return nnd_pack_buffer(p, image->buffer, (size_t)low, (size_t)(high - low));
}

static nnd_status image_pack(const void *payload, nnd_packer *p)
{
    const nnd_image *image = payload;
    if (!image->buffer) return nnd_error_set(NND_E_STATE, "an empty image value cannot be packed");
    if (!image->data[0]) {
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "an image on device '%s' cannot be packed; copy it "
                             "to the host first",
                             nnd_device_name(nnd_buffer_device(image->buffer)));
    }
    NND_TRY(nnd_bulk_wait(image->buffer));
    nnd_image tight;
    size_t bytes;
    int64_t low, high;
    NND_TRY(nnd_image_init(&tight, image->format, image->dtype, image->width, image->height, 0,
                           NULL, &bytes));
    image_extent(image, nnd_buffer_data(image->buffer), &low, &high);
    bool covers = (uint64_t)(high - low) >= bytes;
    bool wasteful = (uint64_t)(high - low) > bytes + bytes / 8;
    if (covers && (!wasteful || nnd_packer_shares(p, image->buffer))) {
        return pack_image_view(image, p);
    }
    /* A cut-out of a larger picture that goes as bytes: without what lies between its rows. */
    nnd_image copy = {0};
    nnd_status status = image_clone(image, &copy, false);
    if (status == NND_OK) status = pack_image_view(&copy, p);
    image_destroy(&copy);
    return status;
}

static nnd_status unpack_image_planes(nnd_image *image, const int64_t *positions, nnd_unpacker *u)
{
    size_t offset, size, tight_bytes;
    nnd_image tight;
    if (nnd_image_check(image) != NND_OK ||
        nnd_image_init(&tight, image->format, image->dtype, image->width, image->height, 0, NULL,
                       &tight_bytes) != NND_OK) {
        return nnd_unpack_fail(u, "an image has an impossible format, size or stride");
    }
    NND_TRY(nnd_unpack_buffer(u, &image->buffer, &offset, &size));
    uint8_t *base = nnd_buffer_data(image->buffer);
    if (!base || tight_bytes > size) {
        return nnd_unpack_fail(u, "an image of %zu bytes has only %zu", tight_bytes, size);
    }
    size_t item = nnd_dtype_bits(image->dtype) / 8;
    for (int i = 0; i < nnd_pixel_format_planes(image->format); i++) {
        int64_t low, high, at = positions[i]; /* NOLINT: no format has more than three planes */
        nnd_image_plane_extent(image, i, &low, &high);
        bool inside = at >= 0 && (uint64_t)at <= size && low >= -at && high <= (int64_t)size - at;
        if (!inside) {
            return nnd_unpack_fail(u, "plane %d of an image lies outside of its %zu bytes", i,
                                   size);
        }
        image->data[i] = base + offset + positions[i];
        if ((uintptr_t)image->data[i] % item != 0) {
            return nnd_unpack_fail(u, "the pixels of an image are not aligned");
        }
    }
    return NND_OK;
}

static nnd_status image_unpack(void *payload, nnd_unpacker *u)
{
    nnd_image *image = payload;
    int64_t format, dtype, width, height, range, matrix, positions[3] = {0, 0, 0};
    NND_TRY(nnd_unpack_u32_in(u, NND_PIX_NONE + 1, NND_PIX_YUYV, "pixel format", &format));
    NND_TRY(nnd_unpack_u32_in(u, NND_DTYPE_INVALID + 1, NND_DTYPE_COUNT - 1, "dtype", &dtype));
    NND_TRY(nnd_unpack_u32_in(u, 1, NND_IMAGE_MAX_SIDE, "width", &width));
    NND_TRY(nnd_unpack_u32_in(u, 1, NND_IMAGE_MAX_SIDE, "height", &height));
    NND_TRY(nnd_unpack_u32_in(u, NND_RANGE_LIMITED, NND_RANGE_FULL, "range", &range));
    NND_TRY(nnd_unpack_u32_in(u, NND_MATRIX_BT601, NND_MATRIX_BT709, "matrix", &matrix));
    image->format = (nnd_pixel_format)format;
    image->dtype = (nnd_dtype)dtype;
    image->width = (int32_t)width;
    image->height = (int32_t)height;
    image->range = (nnd_color_range)range;
    image->matrix = (nnd_color_matrix)matrix;
    for (int i = 0; i < nnd_pixel_format_planes(image->format); i++) {
        NND_TRY(nnd_unpack_i64(u, &image->stride[i]));
        NND_TRY(nnd_unpack_i64(u, &positions[i]));
    }
    return unpack_image_planes(image, positions, u);
}

const nnd_value_type nnd_type_image = {
    .struct_size = sizeof(nnd_value_type),
    .name = "image",
    .payload_size = sizeof(nnd_image),
    .destroy = image_destroy,
    .clone = image_clone,
    .to_json = image_to_json,
    .preview = nnd_preview_image,
    .pack = image_pack,
    .unpack = image_unpack,
    .buffer = image_buffer,
};

nnd_status nnd_value_from_image(const nnd_image *image, nnd_value **out)
{
    if (!image->buffer) {
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "an image value needs a buffer; nnd_buffer_wrap makes one");
    }
    NND_TRY(nnd_image_check(image));
    nnd_image view = *image;
    uint8_t *base = nnd_buffer_data(view.buffer);
    int planes = nnd_pixel_format_planes(view.format);
    bool laid_out = base && view.data[0];
    if (!laid_out) {
        int64_t at = 0;
        for (int i = 0; i < planes; i++) {
            if (view.stride[i] < 0) {
                return nnd_error_set(NND_E_SHAPE, "plane %d: a negative stride needs a pointer", i);
            }
            view.data[i] = base ? base + at : NULL;
            at += view.stride[i] * nnd_image_rows(&view, i);
        }
        NND_TRY(nnd_bulk_check_range(view.buffer, 0, at, "image"));
    }
    for (int i = 0; laid_out && i < planes; i++) {
        int64_t low, high;
        nnd_image_plane_extent(&view, i, &low, &high);
        int64_t at = (int64_t)((uintptr_t)view.data[i] - (uintptr_t)base);
        if (!nnd_i64_add(at, low, &low) || !nnd_i64_add(at, high, &high)) low = -1;
        NND_TRY(nnd_bulk_check_range(view.buffer, low, high, "image"));
    }
    NND_TRY(nnd_value_alloc(&nnd_type_image, out));
    nnd_buffer_ref(view.buffer);
    *(nnd_image *)(*out)->payload = view;
    return NND_OK;
}

nnd_status nnd_value_new_image(nnd_pixel_format format, nnd_dtype dtype, int width, int height,
                               nnd_value **out)
{
    nnd_value *value;
    NND_TRY(nnd_value_alloc(&nnd_type_image, &value));
    nnd_status status = make_image((nnd_image *)value->payload, format, dtype, width, height, NULL);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}
